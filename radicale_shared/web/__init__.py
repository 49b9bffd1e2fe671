"""The surface for people's own tools and pages: a JSON API below ``/api/``.

application   who asks, which route it is, and the one table from errors to answers
people        who asks, and the groups that they run
books         books, their grants, and why somebody may do a thing
devices       a person's own device passwords
asking        one request: what was sent, checked
paths         which requests are the API's
"""

from .paths import is_api

__all__ = ["is_api"]

"""What the lines for phones' configurations have in common."""

from __future__ import annotations

from urllib.parse import quote

from .asking import Setup


def with_login(told: Setup, path: str) -> str:
    """The URL of an answer, with login and password in it where the phone signs in by Basic."""
    if not told.login:
        return told.url + path
    scheme, _, rest = told.url.partition("://")
    return f"{scheme}://{quote(told.login, safe='')}:{quote(told.password, safe='')}@{rest}{path}"

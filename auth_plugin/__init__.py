"""Radicale's auth and rights plugins of radicale-shared, for both in one configuration:

[auth]
type = radicale_shared.auth_plugin
[rights]
type = radicale_shared.auth_plugin
"""

if __name__ == "auth_plugin":  # found by its folder: there would be two copies of every class
    raise ImportError("this package is imported as radicale_shared.auth_plugin")

from .auth import Auth
from .rights import Rights

__all__ = ["Auth", "Rights"]

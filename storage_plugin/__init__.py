"""Radicale's storage plugin of radicale-shared:

[storage]
type = radicale_shared.storage_plugin
database_url_file = /run/credentials/radicale-shared.service/database_url
"""

if __name__ == "storage_plugin":  # found by its folder: there would be two copies of every class
    raise ImportError("this package is imported as radicale_shared.storage_plugin")

from .storage import Storage

__all__ = ["Storage"]

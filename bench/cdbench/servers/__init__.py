"""The servers of a side-by-side run: set up in a folder of their own, started on a free port, stopped again."""

from .bare import OursBare, OursOnPostgresqlBare
from .base import HOST, PASSWORD, USER, Running, Server, ServerFailedError, script
from .cyrus import Cyrus
from .ours import POSTGRESQL_VARIABLE, Ours, OursOnPostgresql
from .radicale import Radicale
from .xandikos import Xandikos

SERVERS: dict[str, type[Server]] = {
    each.label: each for each in (Ours, OursOnPostgresql, Radicale, Xandikos, Cyrus, OursBare, OursOnPostgresqlBare)
}

__all__ = [
    "HOST",
    "PASSWORD",
    "POSTGRESQL_VARIABLE",
    "SERVERS",
    "USER",
    "Cyrus",
    "Ours",
    "OursBare",
    "OursOnPostgresql",
    "OursOnPostgresqlBare",
    "Radicale",
    "Running",
    "Server",
    "ServerFailedError",
    "Xandikos",
    "script",
]

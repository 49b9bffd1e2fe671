"""Which requests are the phones'; known without loading what answers them.

``/p/PASSWORD/PATH`` is how a phone asks that has its password in the URL, and ``/p/-/PATH`` one that sends it by HTTP
Basic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ..proxies import host_of, path_of, prefix_of
from ..settings import Settings

ROOT = "/p/"
BY_BASIC = "-"


def is_phones(environ: Mapping[str, Any], settings: Settings) -> bool:
    """Whether a request is a phone's: its path is ``/p`` or below, behind the prefix of all our paths."""
    return f"{path_of(environ, prefix_of(environ, settings))}/".startswith(ROOT)


def split(environ: Mapping[str, Any], settings: Settings) -> tuple[str, str]:
    """(password or ``-``, path behind it) of a phone's request."""
    below = path_of(environ, prefix_of(environ, settings)).removeprefix(ROOT.rstrip("/")).removeprefix("/")
    password, _, path = below.partition("/")
    return password, path


def masked(environ: Mapping[str, Any], settings: Settings) -> str:
    """The path of a phone's request without its password, for the log."""
    password, path = split(environ, settings)
    return f"{ROOT}{password if password in {'', BY_BASIC} else '...'}/{path}"


def url_below(base: str, password: str) -> str:
    """The absolute URL of all that one phone asks for, with a slash at its end.

    base: as ``base_of`` gives it
    password: ``-`` for one that isn't in the URL
    """
    return f"{base}{ROOT}{quote(password, safe='')}/"


def base_of(environ: Mapping[str, Any], settings: Settings) -> str:
    """What stands before ``/p/`` in the phones' URLs: as configured, else as this request came."""
    return settings.file.phones.url.rstrip("/") or f"{host_of(environ, settings)}{prefix_of(environ, settings)}"

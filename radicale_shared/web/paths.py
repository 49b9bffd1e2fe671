"""Which requests are the API's; known without loading what answers them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..proxies import prefix_of
from ..settings import Settings

ROOT = "/api/"


def is_api(environ: Mapping[str, Any], settings: Settings) -> bool:
    """Whether a request is the API's: its path is ``/api`` or below, behind the prefix of all our paths."""
    return f"{path_of(environ, prefix_of(environ, settings))}/".startswith(ROOT)


def path_of(environ: Mapping[str, Any], prefix: str) -> str:
    """The decoded path without the prefix; what is not UTF-8 in it is U+FFFD."""
    path = str(environ.get("PATH_INFO", "")).encode("latin-1", "replace").decode("utf-8", "replace")
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        return path[len(prefix) :]
    return path

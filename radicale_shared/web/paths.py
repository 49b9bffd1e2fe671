"""Which requests are the API's; known without loading what answers them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..proxies import path_of, prefix_of
from ..settings import Settings

ROOT = "/api/"


def is_api(environ: Mapping[str, Any], settings: Settings) -> bool:
    """Whether a request is the API's: its path is ``/api`` or below, behind the prefix of all our paths."""
    return f"{path_of(environ, prefix_of(environ, settings))}/".startswith(ROOT)

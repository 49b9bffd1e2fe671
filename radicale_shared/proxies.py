"""Who really asks and for which path, behind reverse proxies that the configuration trusts."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .settings import Network, Settings

_CONTROL = re.compile("[\x00-\x1f\x7f]")


def client_address(environ: Mapping[str, Any], trusted: Iterable[Network]) -> str:
    """Where a request comes from: the last address that no trusted proxy vouches for.

    environ: of WSGI; X-Forwarded-For counts only as far as the hop before it is trusted
    """
    networks = tuple(trusted)
    address = str(environ.get("REMOTE_ADDR", ""))
    hops = [hop.strip() for hop in str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",") if hop.strip()]
    while hops and is_trusted(address, networks):
        address = hops.pop()
    return address[:45]


def is_trusted(address: str, networks: Iterable[Network]) -> bool:
    """Whether an address lies in one of the networks; an IPv4 address may be written as an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    plain = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(plain in network or parsed in network for network in networks)


def prefix_of(environ: Mapping[str, Any], settings: Settings) -> str:
    """What stands before all our paths: the configured script_name, else X-Script-Name of a trusted proxy."""
    if settings.script_name:
        return settings.script_name
    named = str(environ.get("HTTP_X_SCRIPT_NAME", "")).rstrip("/")
    if (
        named.startswith("/")
        and not _CONTROL.search(named)
        and is_trusted(str(environ.get("REMOTE_ADDR", "")), settings.trusted_proxies)
    ):
        return named
    return str(environ.get("SCRIPT_NAME", "")).rstrip("/")

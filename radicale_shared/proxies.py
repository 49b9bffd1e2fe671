"""Who really asks and for which path, behind reverse proxies that the configuration trusts."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .settings import Network, Settings

_CONTROL = re.compile("[\x00-\x1f\x7f]")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,255}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")


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


def path_of(environ: Mapping[str, Any], prefix: str) -> str:
    """The decoded path without the prefix; what is not UTF-8 in it is U+FFFD."""
    path = str(environ.get("PATH_INFO", "")).encode("latin-1", "replace").decode("utf-8", "replace")
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        return path[len(prefix) :]
    return path


def host_of(environ: Mapping[str, Any], settings: Settings) -> str:
    """``scheme://host`` by which a request came; the scheme of X-Forwarded-Proto from a trusted proxy."""
    scheme = str(environ.get("wsgi.url_scheme", "http"))
    if is_trusted(str(environ.get("REMOTE_ADDR", "")), settings.trusted_proxies):
        forwarded = str(environ.get("HTTP_X_FORWARDED_PROTO", "")).strip().lower()
        scheme = forwarded if forwarded in {"http", "https"} else scheme
    host = str(environ.get("HTTP_HOST", ""))
    if not _HOST.fullmatch(host):  # HTTP/1.0 has none
        name, port = str(environ.get("SERVER_NAME", "localhost")), str(environ.get("SERVER_PORT", ""))
        named = f"[{name}]" if ":" in name else name
        host = named if port in {"", {"http": "80", "https": "443"}.get(scheme)} else f"{named}:{port}"
    return f"{scheme}://{host}"

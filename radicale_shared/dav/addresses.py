"""URLs that headers name: Destination and the tags of If (RFC 4918, sections 8.3 and 10)."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import unquote_to_bytes, urlsplit

from .http import BadRequestError, HTTPError, Request, split_path

_DEFAULT_PORTS = {80, 443}


class BadGatewayError(HTTPError):
    """The URL is another server's, to which nothing is sent from here (RFC 4918, section 9.8.5)."""

    status = HTTPStatus.BAD_GATEWAY


def segments_of(request: Request, url: str) -> tuple[str, ...]:
    """The decoded segments of an absolute URL of this server, or of an absolute path (Simple-ref, section 8.3).

    The scheme is not compared, nor a port that is the default of one: behind a proxy the client's are not ours.

    Raises BadRequestError for anything else, BadGatewayError for another server's URL.
    """
    try:
        parts = urlsplit(url.strip())
        host = _host(parts.hostname, parts.port)
        path = unquote_to_bytes(parts.path.encode("latin-1")).decode("latin-1")
    except ValueError as error:
        raise BadRequestError("The URL in a header can't be understood.") from error
    if parts.fragment or not path.startswith("/") or bool(parts.scheme) != bool(parts.netloc):
        raise BadRequestError("A header names a resource by an absolute URL or an absolute path.")
    if parts.scheme and (parts.scheme not in {"http", "https"} or host not in _own_hosts(request)):
        raise BadGatewayError("", "That is another server's address.")
    return split_path(path, request.prefix)


def _own_hosts(request: Request) -> set[tuple[str, int | None]]:
    """Under which names the client may know this server; whoever makes one up only deceives themselves."""
    said = [request.header("Host") or "", *(request.header("X-Forwarded-Host") or "").split(",")]
    named = [one.strip() for one in said if one.strip()]
    if not request.header("Host"):
        named.append(f"{request.environ.get('SERVER_NAME', '')}:{request.environ.get('SERVER_PORT', '')}")
    hosts = set()
    for one in named:
        try:
            parts = urlsplit(f"//{one}")
            hosts.add(_host(parts.hostname, parts.port))
        except ValueError:
            continue
    return hosts


def _host(name: str | None, port: int | None) -> tuple[str, int | None]:
    return (name or "").rstrip("."), None if port in _DEFAULT_PORTS else port

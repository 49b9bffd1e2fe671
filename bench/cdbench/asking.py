"""What is asked of a server, and what its answers are held against."""

import html
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from .client import Response

NAMESPACES = 'xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:carddav" xmlns:CS="http://calendarserver.org/ns/"'
XML = '<?xml version="1.0" encoding="utf-8"?>\n'
XML_TYPE = "application/xml; charset=utf-8"
VCARD_TYPE = "text/vcard; charset=utf-8"
PROPFIND_ETAGS = f"{XML}<D:propfind {NAMESPACES}><D:prop><D:getetag/></D:prop></D:propfind>".encode()
PROPFIND_POLL = f"{XML}<D:propfind {NAMESPACES}><D:prop><CS:getctag/><D:sync-token/></D:prop></D:propfind>".encode()
MKCOL = (
    f"{XML}<D:mkcol {NAMESPACES}><D:set><D:prop><D:resourcetype><D:collection/><C:addressbook/></D:resourcetype>"
    "<D:displayname>bench</D:displayname></D:prop></D:set></D:mkcol>"
).encode()
DONE = (200, 201, 204, 207)


class Refused(Exception):
    """The server answered a workload's request with an error.

    status: of the answer, or a word where there was none
    """

    def __init__(self, status: int | str, body: bytes = b"") -> None:
        super().__init__(status)
        self.status = status
        self.body = body


class Request(NamedTuple):
    """What a concurrent client asks next, made before its clock starts."""

    kind: str
    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = MappingProxyType({})


def sync_body(token: str | None) -> bytes:
    """Return the sync-collection REPORT for ``token``; None or ``""`` asks for everything (RFC 6578, section 3.4)."""
    written = html.escape(token or "", quote=False)
    return (
        f"{XML}<D:sync-collection {NAMESPACES}><D:sync-token>{written}</D:sync-token><D:sync-level>1</D:sync-level>"
        "<D:prop><D:getetag/></D:prop></D:sync-collection>"
    ).encode()


def multiget_body(hrefs: Iterable[str]) -> bytes:
    """Return the addressbook-multiget REPORT of ``hrefs``, percent-encoded as the server wrote them."""
    written = "".join(f"<D:href>{html.escape(href, quote=False)}</D:href>" for href in hrefs)
    return (
        f"{XML}<C:addressbook-multiget {NAMESPACES}><D:prop><D:getetag/><C:address-data/></D:prop>{written}"
        "</C:addressbook-multiget>"
    ).encode()


def query_body(prop: str, needle: str) -> bytes:
    """Return the addressbook-query REPORT for the cards with ``needle`` in a value of ``prop``."""
    return (
        f"{XML}<C:addressbook-query {NAMESPACES}><D:prop><D:getetag/><C:address-data/></D:prop><C:filter>"
        f'<C:prop-filter name="{prop}"><C:text-match collation="i;unicode-casemap" match-type="contains">'
        f"{html.escape(needle, quote=False)}</C:text-match></C:prop-filter></C:filter></C:addressbook-query>"
    ).encode()


def check(response: Response, *wanted: int) -> Response:
    """Return ``response`` if its status is one of ``wanted`` (by default: any that says done); else raise Refused."""
    if response.status not in (wanted or DONE):
        raise Refused(response.status, response.body)
    return response


def expect_members(response: Response, counts: Sequence[int]) -> str | None:
    """Return a note unless the multistatus has one of ``counts`` members; the first is the one to be expected."""
    got = response.count()
    return None if got in counts else f"{got} responses, expected {counts[0]}"

"""XML in and out: request bodies within limits, answers as text (RFC 4918, section 14).

Answers are written as text, not as element trees: a listing has one line a card, and thousands of them.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from itertools import chain

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from .http import BadRequestError, ForbiddenError, number

DAV = "DAV:"
CARDDAV = "urn:ietf:params:xml:ns:carddav"
CALENDARSERVER = "http://calendarserver.org/ns/"
INFIT = "http://inf-it.com/ns/ab/"

# Name of a property or element as ElementTree writes it: "{namespace}local".
Name = str

# A part of an answer: text, or UTF-8 already.
Piece = str | bytes

# More than any client sends: the longest are multigets, one href a card.
MOST_ELEMENTS = 500_000
MOST_DEPTH = 40
_TOO_MUCH = "The XML body has too many or too deep elements."
# The start of a body that names UTF-8 or no encoding, and has nothing in front of its root element.
_UTF_8 = re.compile(
    rb"""(?:<\?xml\s+version=["']1\.0["'](?:\s+encoding=["']utf-8["'])?\s*\?>)?\s*<[^?!]""", re.IGNORECASE
)

# "xml" is bound already, and its namespace must not be bound to any other prefix.
_PREFIXES = {
    DAV: "",
    CARDDAV: "C:",
    CALENDARSERVER: "CS:",
    INFIT: "I:",
    "http://www.w3.org/XML/1998/namespace": "xml:",
}
_NAMESPACES = f'xmlns="{DAV}" xmlns:C="{CARDDAV}" xmlns:CS="{CALENDARSERVER}" xmlns:I="{INFIT}"'
_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'
_MARKUP = re.compile("[&<>\r]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}


def dav(local: str) -> Name:
    """The name of an element of WebDAV."""
    return f"{{{DAV}}}{local}"


def carddav(local: str) -> Name:
    """The name of an element of CardDAV."""
    return f"{{{CARDDAV}}}{local}"


class _Limited(ET.TreeBuilder):
    """Builds the tree of a request body, up to a size and depth."""

    def __init__(self) -> None:
        super().__init__()
        self._elements = 0
        self._depth = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> ET.Element:
        self._elements += 1
        self._depth += 1
        if self._elements > MOST_ELEMENTS or self._depth > MOST_DEPTH:
            raise BadRequestError(_TOO_MUCH)
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> ET.Element:
        self._depth -= 1
        return super().end(tag)


def parse(body: bytes) -> ET.Element | None:
    """The root element of a request body; None for an empty one.

    Raises BadRequestError for XML that isn't well-formed, ForbiddenError (no-external-entities, RFC 4918, section 16)
    for a DTD or entities.
    """
    if not body.strip():
        return None
    try:
        return _parsed_plainly(body) if _is_plain(body) else _parsed_with_care(body)
    except DefusedXmlException as error:
        raise ForbiddenError("<no-external-entities/>", "A document type or entity is not accepted here.") from error
    except (ET.ParseError, ValueError, LookupError) as error:
        raise BadRequestError(f"The request body is not well-formed XML: {error}") from error


def _is_plain(body: bytes) -> bool:
    """Whether this is UTF-8, has no document type (nor a comment or CDATA), and can't have too many elements.

    A NUL is in every document that is UTF-16 without saying so.
    """
    return (
        _UTF_8.match(body) is not None and b"<!" not in body and b"\0" not in body and body.count(b"<") <= MOST_ELEMENTS
    )


def _parsed_plainly(body: bytes) -> ET.Element:
    """The root, by the parser that makes no call into Python for an element: what clients send goes this way."""
    parser = ET.XMLParser()  # noqa: S314  # entities need a document type, which a plain body hasn't
    parser.feed(body)
    root = parser.close()
    level = [root]
    for _ in range(MOST_DEPTH):
        level = list(chain.from_iterable(level))
        if not level:
            return root
    raise BadRequestError(_TOO_MUCH)


def _parsed_with_care(body: bytes) -> ET.Element:
    parser = DefusedXMLParser(target=_Limited(), forbid_dtd=True)
    parser.feed(body)
    root: ET.Element = parser.close()
    return root


def limit_of(root: ET.Element, *namespaces: str) -> int | None:
    """How many results a report wants at most (RFC 6578, section 6.4; RFC 6352, section 10.6); None: all.

    namespaces: those of limit and nresults

    Raises BadRequestError if that is no number.
    """
    for namespace in namespaces:
        text = root.findtext(f"{{{namespace}}}limit/{{{namespace}}}nresults")
        if text is not None:
            limit = number(text.strip())
            if limit is None:
                raise BadRequestError("The nresults of a limit is a number.")
            return limit
    return None


def escape(text: str) -> str:
    """``text`` as character data. CR is written as a reference: a parser would turn it into LF (XML, section 2.11)."""
    if _MARKUP.search(text) is None:
        return text
    return _MARKUP.sub(lambda found: _ESCAPES[found.group()], text)


def escape_bytes(data: bytes) -> bytes:
    """The same of UTF-8."""
    return data.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;").replace(b"\r", b"&#13;")


def escape_attribute(text: str) -> str:
    """``text`` as the value of an attribute in double quotes."""
    return escape(text).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")


def element(name: Name, content: str = "") -> str:
    """An element of any namespace around ``content``, which is XML already."""
    tag, declaration = _tag(name)
    return f"<{tag}{declaration}>{content}</{tag}>" if content else f"<{tag}{declaration}/>"


@lru_cache(maxsize=1024)
def _tag(name: Name) -> tuple[str, str]:
    """(prefix and local name, namespace declaration if the root element has none for it)."""
    namespace, _, local = name[1:].rpartition("}") if name.startswith("{") else ("", "", name)
    if namespace in _PREFIXES:
        return _PREFIXES[namespace] + local, ""
    if namespace:
        return f"X:{local}", f' xmlns:X="{escape_attribute(namespace)}"'
    return local, ' xmlns=""'


def href(url: str) -> str:
    """A DAV:href; ``url`` is percent-encoded already."""
    return f"<href>{escape(url)}</href>"


def error_body(condition: str, description: str = "") -> bytes:
    """A DAV:error body (RFC 4918, section 16) with one precondition element, and a sentence for people."""
    said = f"<responsedescription>{escape(description)}</responsedescription>" if description else ""
    return f"{_DECLARATION}<error {_NAMESPACES}>{condition}{said}</error>".encode()


def propstat(
    found: Sequence[str], missing: Sequence[Name], forbidden: Mapping[str, Sequence[Name]] | None = None
) -> str:
    """The propstats of one response. The 200 one comes first, always: Thunderbird reads the first status only.

    forbidden: {precondition element: the names that may not be seen because of it} (RFC 4918, section 14.22)
    """
    out = f"<propstat><prop>{''.join(found)}</prop><status>HTTP/1.1 200 OK</status></propstat>"
    if missing:
        names = "".join(element(name) for name in missing)
        out += f"<propstat><prop>{names}</prop><status>HTTP/1.1 404 Not Found</status></propstat>"
    for condition, denied in forbidden.items() if forbidden else ():
        names, why = "".join(element(name) for name in denied), f"<error>{condition}</error>"
        out += f"<propstat><prop>{names}</prop><status>HTTP/1.1 403 Forbidden</status>{why}</propstat>"
    return out


def document(name: str, content: str) -> bytes:
    """A whole document of another kind than multistatus or error, around one element of WebDAV."""
    return f"{_DECLARATION}<{name} {_NAMESPACES}>{content}</{name}>\n".encode()


def response(url: str, content: str) -> str:
    """A DAV:response around propstats or a status."""
    return f"<response><href>{escape(url)}</href>{content}</response>\n"


def not_found(url: str) -> str:
    """A DAV:response that says a resource is not, or no longer, there."""
    return response(url, "<status>HTTP/1.1 404 Not Found</status>")


def refused(url: str, status: int, condition: str, description: str) -> str:
    """A DAV:response that says what was done to a resource failed, with the precondition (RFC 4918, section 14.24)."""
    said = f"<responsedescription>{escape(description)}</responsedescription>" if description else ""
    line = f"<status>HTTP/1.1 {status} {HTTPStatus(status).phrase}</status>"
    why = f"<error>{condition}</error>" if condition else ""
    return response(url, f"{line}{why}{said}")


def truncated(url: str) -> str:
    """The DAV:response that says an answer was cut: there is more to ask for (RFC 6578, section 3.6; RFC 6352, 8.6.2).

    url: the request's own
    """
    return response(
        url,
        "<status>HTTP/1.1 507 Insufficient Storage</status><error><number-of-matches-within-limits/></error>",
    )


def multistatus(responses: Iterable[Piece], after: str = "") -> Iterable[bytes]:
    """A multistatus in pieces of 64 kB or more, to be sent as they come.

    after: XML behind the responses, e.g. a sync token
    """
    pieces, size = [f"{_DECLARATION}<multistatus {_NAMESPACES}>\n".encode()], 0
    for one in responses:
        pieces.append(one if isinstance(one, bytes) else one.encode())
        size += len(one)
        if size > 65536:
            yield b"".join(pieces)
            pieces, size = [], 0
    pieces.append(f"{after}</multistatus>\n".encode())
    yield b"".join(pieces)

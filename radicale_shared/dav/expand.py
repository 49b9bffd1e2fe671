"""The expand-property report (RFC 3253, section 3.8): what a property refers to, described in its place."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import unquote_to_bytes, urlsplit
from xml.sax.saxutils import unescape

from sqlalchemy.orm import Session

from ..errors import NotAllowedHereError
from . import properties, webdav, xml
from .http import XML_TYPE, Answer, BadRequestError, ForbiddenError, NotFoundHereError, Request, split_path
from .principal_reports import require_depth_0
from .principals import directory, url_of
from .properties import Wanted
from .resources import OtherPrincipal, Resource, collection, located

DEEPEST = 3
MOST_EXPANDED = 1000
MOST_TEXT = 8 * 1024 * 1024

# {property: those wanted of what it refers to}
Wishes = dict[xml.Name, "Wishes"]

_HREF = re.compile("<href>([^<]*)</href>")
_START = (
    "A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c-\u200d\u2070-\u218f\u2c00-\u2fef"
    "\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
# XML, section 2.3, without the colon of Namespaces in XML.
_NAME = re.compile(f"[{_START}][{_START}.0-9\u00b7\u0300-\u036f\u203f-\u2040-]*")
_NOT_BOUND = "http://www.w3.org/2000/xmlns/"


def expand_property(request: Request, root: ET.Element, resource: Resource) -> Answer:
    """RFC 3253, section 3.8. At most DEEPEST properties deep, MOST_EXPANDED resources and MOST_TEXT characters.

    Raises ForbiddenError (number-of-matches-within-limits) beyond that.
    """
    require_depth_0(request)
    wishes = _wishes(root, DEEPEST)
    if len(list(_names(wishes))) > properties.MOST_NAMES:
        raise BadRequestError(f"At most {properties.MOST_NAMES} properties can be asked for.")
    with request.reading() as session:
        body = xml.multistatus([_Expansion(request, session).response(resource.url, resource, wishes)])
        return Answer(207, (("Content-Type", XML_TYPE),), list(body))


def _wishes(element: ET.Element, deep: int) -> Wishes:
    """What the DAV:property elements ask for."""
    found: Wishes = {}
    for one in element.findall(xml.dav("property")):
        if not deep:
            raise _too_much()
        namespace, local = one.get("namespace", xml.DAV), one.get("name", "")
        if not _NAME.fullmatch(local) or namespace == _NOT_BOUND:
            raise BadRequestError("A DAV:property has the name of a property.")
        name = f"{{{namespace}}}{local}" if namespace else local
        if len(name) > properties.LONGEST_NAME:
            raise BadRequestError(f"Names of properties have at most {properties.LONGEST_NAME} characters.")
        found.setdefault(name, {}).update(_wishes(one, deep - 1))
    return found


def _names(wishes: Wishes) -> Iterator[xml.Name]:
    for name, nested in wishes.items():
        yield name
        yield from _names(nested)


def _too_much() -> ForbiddenError:
    return ForbiddenError("<number-of-matches-within-limits/>", "This refers to too much; ask for less at a time.")


@dataclass
class _Expansion:
    """One answer in the making: what was looked up for it, and how much there is of it."""

    request: Request
    session: Session
    known: dict[str, Resource | None] = field(default_factory=dict)
    expanded: int = 0
    size: int = 0

    def response(self, url: str, resource: Resource, wishes: Wishes) -> str:
        """The DAV:response of a resource. url: as it was referred to"""

        def altered(name: xml.Name, content: str) -> str:
            nested = wishes.get(name)
            return (
                _HREF.sub(lambda found: self.referred(found[0], unescape(found[1]), nested), content)
                if nested
                else content
            )

        text = xml.response(url, properties.propstat(self.request, resource, Wanted(list(wishes)), altered))
        self.size += len(text)
        if self.size > MOST_TEXT:
            raise _too_much()
        return text

    def referred(self, href: str, url: str, wishes: Wishes) -> str:
        """What stands in the place of a DAV:href: the resource's response, or that there is none."""
        if urlsplit(url).scheme not in {"", "http", "https"}:
            return href
        self.expanded += 1
        if self.expanded > MOST_EXPANDED:
            raise _too_much()
        if url not in self.known:
            self.known[url] = self.resource(url)
        resource = self.known[url]
        return self.response(url, resource, wishes) if resource else xml.not_found(url)

    def resource(self, url: str) -> Resource | None:
        """What an address stands for, None for nothing that this user may know of."""
        try:
            segments = split_path(unquote_to_bytes(urlsplit(url).path).decode("latin-1"), self.request.prefix)
            there = replace(self.request, segments=segments)
            if len(segments) == 1 and segments[0] != self.request.user:
                found = directory(self.request).known.get(segments[0])
                return OtherPrincipal(url_of(self.request, found), found) if found else None
            resource: Resource | None = collection(self.session, there)
            return resource or webdav.card(self.session, there, *located(self.session, there))
        except (BadRequestError, NotFoundHereError, NotAllowedHereError, ValueError):
            return None

"""CARDDAV:address-data of a request: how cards are given, and what of them (RFC 6352, sections 5.1.1, 10.4).

What a card is stored as and what a client is given are two things: either version is converted to the other on the way
out. A client that names no version gets the one it wrote last, else 3.0, which every client understands.

A client that names properties gets these of the card in that version, in the card's order, and VERSION, without which
no program reads a vCard. Nothing else is added: UID, FN and N may be missing then (section 10.4).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, replace

from .. import vcard
from ..access import Access
from ..vcard.checking import VERSIONS
from ..vcard.lines import rebuild_line
from . import xml
from .filters import grouped
from .http import BadRequestError, ForbiddenError, NotAcceptableError, Request
from .properties import MOST_NAMES, live
from .resources import BookResource, CardResource, MergedBook, Resource

DEFAULT = "3.0"
_MEDIA_RANGE = re.compile(r"\s*([^\s;,]+)\s*((?:;[^,\"]*(?:\"[^\"]*\"[^,\"]*)*)?)(?:,|$)")
_TYPES = frozenset({"text/vcard", "text/x-vcard", "text/directory"})
_ANY = frozenset({"*/*", "text/*"})


# What Apple's programs say of another property in its group: the label they show, and the country of an address.
_OF_A_GROUP = frozenset({"X-ABLABEL", "X-ABADR"})


@dataclass(frozen=True, slots=True)
class Form:
    """How cards are given in a report: the vCard version, and which of their properties.

    properties: {(group in lower case, empty for any; name in upper case): whether with its value}; None: all
    """

    version: str
    properties: Mapping[tuple[str, str], bool] | None = None

    def of(self, data: bytes, version: str) -> bytes:
        """A card that is stored as ``data`` of ``version``, in this form; the stored bytes where they are of it."""
        if version == self.version and self.properties is None:
            return data
        return self.given(self.read(data, version))

    def read(self, data: bytes, version: str) -> vcard.Card:
        """The same card, whole."""
        card = vcard.Card.parse(data)
        return card if version == self.version else vcard.convert(card, self.version)

    def given(self, card: vcard.Card) -> bytes:
        """What is given of a card that was read by ``read``."""
        if self.properties is None:
            return card.serialise()
        kept = [(line, self._with_value(line)) for line in card.lines]
        # A label says nothing without what it is the label of, and that is shown wrongly without its label.
        groups = {line.group.lower() for line, with_value in kept if with_value and line.group}
        lines = []
        for line, with_value in kept:
            if with_value or (line.name in _OF_A_GROUP and line.group.lower() in groups):
                lines.append(line)
            elif with_value is not None:
                lines.append(rebuild_line(line, "", card.eol))
        return replace(card, lines=tuple(lines)).serialise()

    def _with_value(self, line: vcard.ContentLine) -> bool | None:
        """Whether a property is given with its value; None if it isn't given."""
        asked = self.properties or {}
        found = [asked[key] for key in (("", line.name), (line.group.lower(), line.name)) if key in asked]
        if not found:
            return True if line.name == "VERSION" else None
        return any(found)


def converted(data: bytes, version: str) -> bytes:
    """A stored card in another version."""
    return vcard.convert(vcard.Card.parse(data), version).serialise()


def asked_for(root: ET.Element, access: Access | None) -> Form:
    """The form that a report asks for; access: whose client it is, for what it wrote last.

    Raises ForbiddenError (CARDDAV:supported-address-data, section 8.6) for another type or version than 3.0 and 4.0,
    BadRequestError for a CARDDAV:prop without a name, or more of them than MOST_NAMES.
    """
    element = root.find(f"{xml.dav('prop')}/{xml.carddav('address-data')}")
    default = (access.wrote if access else "") or DEFAULT
    if element is None:
        return Form(default)
    kind = element.get("content-type", "text/vcard").partition(";")[0].strip().lower()
    version = element.get("version", "").strip() or default
    if kind not in _TYPES or version not in VERSIONS:
        raise ForbiddenError("<C:supported-address-data/>", "Cards are given as text/vcard, version 3.0 or 4.0.")
    return Form(version, _properties(element))


def _properties(element: ET.Element) -> Mapping[tuple[str, str], bool] | None:
    """The CARDDAV:prop elements (section 10.4.2); None for none, and for CARDDAV:allprop (section 10.4.1)."""
    parts = element.findall(xml.carddav("prop"))
    if not parts or element.find(xml.carddav("allprop")) is not None:
        return None
    if len(parts) > MOST_NAMES:
        raise BadRequestError(f"At most {MOST_NAMES} properties of a card can be asked for.")
    asked: dict[tuple[str, str], bool] = {}
    for part in parts:
        key = grouped(part.get("name", "").strip())
        asked[key] = asked.get(key, False) or part.get("novalue", "no") != "yes"
    return asked


def accepted(accept: str | None, stored: str) -> str:
    """The version to answer a GET in, by its Accept header; the stored one where that leaves the choice.

    A header that names no vCard at all is as good as none (RFC 9110, section 12.5.1): some clients send the same one
    with every request.

    Raises NotAcceptableError (CARDDAV:supported-address-data-conversion, RFC 6352, section 5.1.1) if the only vCards it
    names are of versions that there aren't.
    """
    if accept is None:
        return stored
    best, version = 0.0, ""
    vcards = False
    position = 0
    while position < len(accept) and (found := _MEDIA_RANGE.match(accept, position)):
        position = found.end()
        kind, parameters = found[1].lower(), _parameters(found[2])
        if kind not in _TYPES | _ANY:
            continue
        vcards = vcards or kind in _TYPES
        wanted = parameters.get("version", stored)
        quality = _quality(parameters.get("q", "1"))
        # A version that is named goes before one that is only not excluded.
        if wanted in VERSIONS and (quality > best or (quality == best and best and "version" in parameters)):
            best, version = quality, wanted
    if vcards and not version:
        raise NotAcceptableError(
            "<C:supported-address-data-conversion/>", "Cards are given as text/vcard, version 3.0 or 4.0."
        )
    return version or stored


def _parameters(written: str) -> dict[str, str]:
    found = {}
    for part in written.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            found[name.strip().lower()] = value.strip().strip('"')
    return found


def _quality(text: str) -> float:
    return float(text) if re.fullmatch(r"[01](?:\.\d{0,3})?", text) else 1.0


@live(xml.carddav("address-data"))
def address_data(_request: Request, resource: Resource) -> str | None:
    """RFC 6352, section 10.4; in reports only."""
    if isinstance(resource, CardResource) and resource.data is not None:
        return xml.escape(resource.data.decode("utf-8"))
    return None


@live(xml.carddav("supported-address-data"))
def supported_address_data(_request: Request, resource: Resource) -> str | None:
    """RFC 6352, section 6.2.2."""
    if isinstance(resource, BookResource | MergedBook):
        return "".join(f'<C:address-data-type content-type="text/vcard" version="{version}"/>' for version in VERSIONS)
    return None

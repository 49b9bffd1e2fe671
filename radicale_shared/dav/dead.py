"""Dead properties in answers and requests (RFC 4918, sections 4.2 to 4.4): elements that are kept as they are.

What counts of an element is kept: names with their namespaces, attributes, text, children, and the xml:lang in scope.
Prefixes, comments and processing instructions don't count, and are lost.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes, urlsplit

from .. import dead_properties
from ..dead_properties import Found
from . import xml
from .http import BadRequestError, Request, split_path
from .resources import MERGED, BookResource, CardResource, Home, MergedBook, Resource, Root, members, merged_of

ME_CARD = f"{{{xml.CALENDARSERVER}}}me-card"
_XML = "http://www.w3.org/XML/1998/namespace"
_LANG = f"{{{_XML}}}lang"
_REMEMBERED = "dead properties"
_NONE: Mapping[str, str] = {}

# These namespaces belong to standards: what the server doesn't know in them isn't kept, or one day it would answer by
# it (RFC 4918, section 4.2).
RESERVED = (f"{{{xml.DAV}}}", f"{{{xml.CARDDAV}}}")


@dataclass(frozen=True, slots=True)
class Wish:
    """One instruction of a PROPPATCH. ``element``: what to set the property to, None to remove it.

    lang: the xml:lang in scope, empty for none
    """

    name: xml.Name
    element: ET.Element | None
    lang: str


def remember(
    request: Request, resource: Resource, names: Collection[xml.Name] | None, *, with_members: bool = True
) -> None:
    """Read the dead properties that an answer needs, by one statement; ``of`` gives them.

    names: those that are no live ones; None for all. Without any nothing is read
    with_members: of a collection's members too
    """
    if names is not None and not names:
        return
    home, books, cards_of, card = "", [], [], None
    match resource:
        case Root():
            home = request.user if with_members else ""
        case Home():
            home = request.user
            books = [access.book.id for access in resource.books] if with_members else []
        case BookResource() | MergedBook():
            books = [resource.access.book.id] if isinstance(resource, BookResource) else []
            cards_of = [one.access.book.id for one in members(resource)] if with_members else []
        case CardResource():
            card = (resource.access.book.id, resource.href)
    with request.reading() as session:
        request.remembered[_REMEMBERED] = dead_properties.read(
            session, names=names, home=home, books=books, cards_of=cards_of, card=card
        )


def of(request: Request, resource: Resource) -> Mapping[xml.Name, str]:
    """{name: its whole element} of a resource, of those that ``remember`` read."""
    found: Found | None = request.remembered.get(_REMEMBERED)
    if found is None:
        return _NONE
    match resource:
        case CardResource():
            return found.cards.get((resource.access.book.id, resource.href), _NONE)
        case BookResource():
            return found.books.get(resource.access.book.id, _NONE)
        case Home():
            return _with_me_card(request, resource, found.home)
    return _NONE


def _with_me_card(request: Request, home: Home, kept_ones: Mapping[str, str]) -> Mapping[str, str]:
    """The properties of a home, with me-card as the client that asks would name the card.

    A Mac names its own card by the merged book, which isn't there for the phone of the same person, and the other way
    round. A device with some books is told of no card in another.
    """
    if ME_CARD not in kept_ones:
        return kept_ones
    element = ET.fromstring(kept_ones[ME_CARD])  # noqa: S314  # written by ``kept``, from what ``xml.parse`` had parsed
    named = (element.findtext(xml.dav("href")) or "").strip()
    try:
        user, book, name = split_path(unquote_to_bytes(urlsplit(named).path).decode("latin-1"), request.prefix)
    except (BadRequestError, ValueError):
        return kept_ones
    whole = merged_of(request, home)
    uuid = name.partition("-")[0]
    if request.scope.books is not None and not any(
        one.access.name == book or (book == MERGED and one.access.book.uuid == uuid) for one in whole.members
    ):
        return {known: kept_one for known, kept_one in kept_ones.items() if known != ME_CARD}
    url = ""
    if book == MERGED and not request.shows_one_book:
        member = whole.by_uuid.get(uuid)
        if member is not None:
            url = request.url(user, member.access.name, name.removeprefix(member.prefix))
    elif book != MERGED and request.shows_one_book:
        url = next((one.card_url(name) for one in whole.members if one.access.name == book), "")
    return {**kept_ones, ME_CARD: xml.element(ME_CARD, xml.href(url))} if url else kept_ones


def wishes(root: ET.Element) -> Iterator[Wish]:
    """The instructions of a DAV:propertyupdate, or DAV:mkcol, in their order (RFC 4918, section 9.2)."""
    outer = root.get(_LANG, "")
    for action in root:
        if action.tag not in {xml.dav("set"), xml.dav("remove")}:
            continue
        for prop in action.findall(xml.dav("prop")):
            lang = prop.get(_LANG, action.get(_LANG, outer))
            for one in prop:
                yield Wish(one.tag, one if action.tag == xml.dav("set") else None, lang)


def kept(element: ET.Element, lang: str) -> str:
    """An element as it is kept: with all its namespaces declared, so that it can stand in any answer.

    lang: the xml:lang that is in scope where it stood (section 4.3)
    """
    prefixes: dict[str, str] = {}
    for one in element.iter():
        for name in (one.tag, *one.keys()):
            namespace = name[1:].rpartition("}")[0] if name.startswith("{") else ""
            if namespace and namespace != _XML:
                prefixes.setdefault(namespace, f"n{len(prefixes)}")
    declared = "".join(f' xmlns:{prefix}="{xml.escape_attribute(uri)}"' for uri, prefix in prefixes.items())
    if lang and element.get(_LANG) is None:
        declared += f' xml:lang="{xml.escape_attribute(lang)}"'
    # The default namespace of an answer is DAV:, which is not that of an element without any.
    if any(not one.tag.startswith("{") for one in element.iter()):
        declared += ' xmlns=""'
    return _text(element, {**prefixes, _XML: "xml"}, declared)


def _text(element: ET.Element, prefixes: Mapping[str, str], declared: str = "") -> str:
    tag = _prefixed(element.tag, prefixes)
    given = "".join(f' {_prefixed(name, prefixes)}="{xml.escape_attribute(text)}"' for name, text in element.items())
    inside = xml.escape(element.text or "") + "".join(
        _text(child, prefixes) + xml.escape(child.tail or "") for child in element
    )
    return f"<{tag}{declared}{given}>{inside}</{tag}>" if inside else f"<{tag}{declared}{given}/>"


def _prefixed(name: str, prefixes: Mapping[str, str]) -> str:
    namespace, _, local = name[1:].rpartition("}") if name.startswith("{") else ("", "", name)
    return f"{prefixes[namespace]}:{local}" if namespace else local

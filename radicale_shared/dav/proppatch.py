"""PROPPATCH (RFC 4918, section 9.2): what a client may set on its home, on books and on cards.

A book's name, description and colour are the server's own; whatever it doesn't know is kept as a dead property. The
``me-card`` of a home (CalendarServer's, which Apple's contacts set) is one of these, and has to name a card.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from .. import books, cards, changes, dead_properties, people, reading, transfers
from ..access import Access, Verb
from ..dead_properties import Kind, Subject
from ..errors import NeedPrivilegeError, TooManyPropertiesError
from . import conditions, dead, if_header, prefer, properties, sync, webdav, xml
from .addresses import BadGatewayError, segments_of
from .dead import Wish
from .http import XML_TYPE, Answer, BadRequestError, ForbiddenError, NotFoundHereError, Request
from .resources import BookResource, CardResource, Home, Resource, collection, located

# The properties of a book that a client may set (name, and how books.set_properties calls it).
_SETTABLE = {
    xml.dav("displayname"): "name",
    xml.carddav("addressbook-description"): "description",
    f"{{{xml.INFIT}}}addressbook-color": "color",
}
_LONGEST_REASON = 1000

_OK, _PROTECTED, _CONFLICT = "200 OK", "403 Forbidden", "409 Conflict"
_FAILED, _FULL = "424 Failed Dependency", "507 Insufficient Storage"
_CONDITIONS = {_PROTECTED: "<cannot-modify-protected-property/>", _FULL: "<quota-not-exceeded/>"}


@dataclass(frozen=True, slots=True)
class Judged:
    """What the instructions of a request come to; of several about one property the last counts.

    values: {argument of books.set_properties: text}
    kept: {name: the whole element of a dead property, None to remove it}
    refused: {name: status}
    """

    values: dict[str, str] = field(default_factory=dict)
    kept: dict[xml.Name, str | None] = field(default_factory=dict)
    refused: dict[xml.Name, str] = field(default_factory=dict)


def proppatch(request: Request) -> Answer:
    """RFC 4918, section 9.2: all or nothing. One refusal fails the rest, and is told with its own status."""
    root = xml.parse(request.read_xml_body())
    if root is None or root.tag != xml.dav("propertyupdate"):
        raise BadRequestError("The body of a PROPPATCH is a DAV:propertyupdate.")
    names = properties.checked(one.name for one in dead.wishes(root))
    with request.reading() as session:
        resource: Resource | None = collection(session, request)
        if resource is None:
            resource = webdav.card(session, request, *located(session, request))
        _require_right(request, resource)
        if not names:
            raise BadRequestError("The DAV:propertyupdate sets and removes nothing.")
        judged = judge(session, request, root, resource)
    statuses = dict.fromkeys(names, _OK)
    try:
        if not judged.refused:
            _write(request, resource, judged)
    except TooManyPropertiesError as error:
        judged.refused.update(dict.fromkeys(error.names, _FULL))
    if judged.refused:
        statuses = {name: judged.refused.get(name, _FAILED) for name in names}
    elif request.preferences.minimal:
        return Answer(200, request.preferences.applied(prefer.MINIMAL))  # RFC 8144, section 2.2
    return Answer(207, (("Content-Type", XML_TYPE),), list(xml.multistatus([_patched(resource.url, statuses)])))


def judge(session: Session, request: Request, root: ET.Element, resource: Resource | None) -> Judged:
    """What the DAV:set and DAV:remove elements of a request come to; resource: None for a book that is to be made."""
    judged = Judged()
    is_book = resource is None or isinstance(resource, BookResource)
    for one in dead.wishes(root):
        if is_book and one.name in _SETTABLE:
            judged.values[_SETTABLE[one.name]] = "" if one.element is None else "".join(one.element.itertext())
        elif one.name in properties.PROPERTIES or (one.element is not None and one.name.startswith(dead.RESERVED)):
            judged.refused[one.name] = _PROTECTED
        elif one.name == dead.ME_CARD and isinstance(resource, Home) and not _is_card(session, request, one):
            judged.refused[one.name] = _CONFLICT
        else:
            judged.kept[one.name] = None if one.element is None else dead.kept(one.element, one.lang)
    return judged


def _require_right(request: Request, resource: Resource) -> None:
    match resource:
        case Home():
            if request.scope.read_only:
                raise NeedPrivilegeError(Verb.OWN)
        case BookResource():
            if Verb.OWN not in resource.access.verbs:
                raise NeedPrivilegeError(Verb.OWN)
        case CardResource():
            resource.access.require(Verb.EDIT, resource.href)
        case _:
            raise ForbiddenError("<cannot-modify-protected-property/>", "Nothing can be set here.")


def _is_card(session: Session, request: Request, wish: Wish) -> bool:
    """Whether a me-card is removed, or names one card that this user may read."""
    if wish.element is None:
        return True
    named = [child.text or "" for child in wish.element]
    if len(named) != 1 or wish.element[0].tag != xml.dav("href"):
        return False
    try:
        book, href = located(session, request, segments_of(request, named[0]))
    except (BadRequestError, BadGatewayError, NotFoundHereError):
        return False
    return reading.is_there(session, book.access.book.id, href)


def _write(request: Request, resource: Resource, judged: Judged) -> None:
    if not isinstance(resource, CardResource):
        conditions.require(request)
    match resource:
        case Home():
            with request.db.write() as session:
                people.lock(session, resource.person.id)
                if_header.require(session, request)
                dead_properties.alter(session, Subject(Kind.HOME, resource.person.id), judged.kept)
        case BookResource():
            access = resource.access
            with request.db.write(access.book.id) as session:
                transfers.lock(session, access)
                if_header.require(session, request, access)
                if judged.values:
                    by = request.actor(access.principal_id, access.login)
                    books.set_properties(session, access.book, by=by, **judged.values)
                _keep(session, request, access, Subject(Kind.BOOK, access.book.id, access.book.id), judged)
        case CardResource():
            access, href = resource.access, resource.href
            with request.db.write(access.book.id) as session:
                if_header.require(session, request, access, href=href)
                conditions.require_unchanged_since(session, request, access, href, Verb.EDIT)
                counted = sync.refused(session, request, access).mark(href)
                card_id = cards.held(session, access, href, request.conditions(counted))
                _keep(session, request, access, Subject(Kind.CARD, card_id, access.book.id), judged, href)


def _keep(session: Session, request: Request, access: Access, subject: Subject, judged: Judged, href: str = "") -> None:
    if judged.kept:
        dead_properties.alter(session, subject, judged.kept)
        by = request.actor(access.principal_id, access.login)
        reason = f"{href}: {', '.join(judged.kept)}" if href else ", ".join(judged.kept)
        changes.begin(session, "set-properties", by, book_id=access.book.id, reason=reason[:_LONGEST_REASON])


def _patched(url: str, statuses: dict[xml.Name, str]) -> str:
    parts = []
    for status in sorted(set(statuses.values())):
        names = "".join(xml.element(name) for name, one in statuses.items() if one == status)
        condition = f"<error>{_CONDITIONS[status]}</error>" if status in _CONDITIONS else ""
        parts.append(f"<propstat><prop>{names}</prop><status>HTTP/1.1 {status}</status>{condition}</propstat>")
    return xml.response(url, "".join(parts))

"""OPTIONS, PROPFIND, PROPPATCH, GET, HEAD and DELETE (RFC 4918)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from email.utils import format_datetime

from sqlalchemy.orm import Session

from .. import access as rights
from .. import books, cards, people
from ..access import Access, Verb
from ..cards import shown_etag
from ..errors import NeedPrivilegeError, NotAllowedHereError
from . import properties, sync, xml
from .http import (
    VCARD_TYPE,
    XML_TYPE,
    Answer,
    BadRequestError,
    ForbiddenError,
    MethodNotAllowedError,
    NotFoundHereError,
    Request,
    encoded,
    etags,
)
from .properties import Wanted, live
from .resources import (
    BookResource,
    CardResource,
    Home,
    OtherPrincipal,
    Resource,
    Root,
    book_url,
    card_url,
    collection,
    require_book,
)

# No class 2: there are no locks. "addressbook" is what clients look for (RFC 6352, section 6.1).
CLASSES = "1, 3, access-control, addressbook, extended-mkcol"

_READ_METHODS = ("OPTIONS", "PROPFIND", "REPORT")
_HELLO = b"This is an address book server. Add its address, with your login, to your contacts app (CardDAV).\n"

# The properties of a book that a client may set (name, and how books.set_properties calls it).
_SETTABLE = {
    xml.dav("displayname"): "name",
    xml.carddav("addressbook-description"): "description",
    f"{{{xml.INFIT}}}addressbook-color": "color",
}


# -- OPTIONS -----------------------------------------------------------------------------------------------------------


def options(request: Request) -> Answer:
    """RFC 4918, section 10.1. ``Allow`` is true for this user: Evolution takes a book without PUT for read-only."""
    with request.db.read() as session:
        resource = collection(session, request)
        allowed = methods(resource) if resource is not None else card_methods(require_book(session, request))
    return Answer(200, (("DAV", CLASSES), ("Allow", ", ".join(allowed))))


def methods(resource: Root | Home | OtherPrincipal | BookResource) -> list[str]:
    """What can be done with a collection."""
    if not isinstance(resource, BookResource):
        return [*_READ_METHODS, "GET", "HEAD"]
    access = resource.access
    allowed = [*_READ_METHODS]
    if Verb.EXPORT in access.verbs:
        allowed += ["GET", "HEAD"]
    if Verb.OWN in access.verbs:
        allowed.append("PROPPATCH")
    # Evolution looks here, not at a card, for whether it may write.
    if access.verbs & {Verb.ADD, Verb.EDIT}:
        allowed.append("PUT")
    if Verb.DELETE in access.verbs or (Verb.OWN in access.verbs and access.is_home):
        allowed.append("DELETE")
    return allowed


def card_methods(access: Access) -> list[str]:
    """What can be done with a card, or the address of one to be."""
    allowed = [*_READ_METHODS, "GET", "HEAD"]
    if access.verbs & {Verb.ADD, Verb.EDIT}:
        allowed.append("PUT")
    if Verb.DELETE in access.verbs:
        allowed.append("DELETE")
    return allowed


# -- PROPFIND ----------------------------------------------------------------------------------------------------------


def propfind(request: Request) -> Answer:
    """RFC 4918, section 9.1. A missing Depth counts as 0, as Radicale has it; infinity is refused (section 9.1)."""
    depth = (request.header("Depth") or "0").strip().lower()
    if depth == "infinity":
        raise ForbiddenError("<propfind-finite-depth/>", "Ask with Depth 0 or 1.")
    if depth not in {"0", "1"}:
        raise BadRequestError("Depth is 0 or 1.")
    asked = properties.wanted(xml.parse(request.read_xml_body()))
    with request.db.read() as session:
        responses = list(xml.multistatus(properties.described(request, _found(session, request, depth, asked), asked)))
    return Answer(207, (("Content-Type", XML_TYPE), ("DAV", CLASSES)), responses)


def _found(session: Session, request: Request, depth: str, asked: Wanted) -> Iterator[Resource]:
    """The resource of the path, and with Depth 1 its members, read as they are asked for."""
    resource = collection(session, request)
    if resource is None:
        access = require_book(session, request)
        yield card(session, request, access, request.segments[2])
        return
    yield resource
    if depth == "0":
        return
    match resource:
        case Root():
            yield from (one for one in [_home(session, request)] if one is not None)
        case Home():
            for access in rights.all_readable(session, request.user, client=request.client):
                yield BookResource(book_url(request, access), access)
        case BookResource():
            yield from listing(session, request, resource.access, details=asked.needs_details)


def _home(session: Session, request: Request) -> Home | None:
    person = people.by_slug(session, request.user)
    return Home(request.url(request.user, collection=True), person) if person else None


def listing(session: Session, request: Request, access: Access, *, details: bool) -> Iterator[CardResource]:
    """All live cards of a book, without their bytes; ``details``: with size and time."""
    known = sync.refused(session, request, access)
    view = access.view
    base = book_url(request, access)
    rows = (cards.listing_with_details if details else cards.listing)(session, access.book.id)
    for href, etag, *size_and_time in rows:
        shown = shown_etag(etag, view, known.mark(href))
        yield CardResource(base + encoded(href), access, href, shown, *size_and_time)


def card(session: Session, request: Request, access: Access, href: str) -> CardResource:
    """One live card with its bytes. Raises NotFoundHereError."""
    stored = cards.get(session, access.book.id, href)
    if stored is None:
        raise NotFoundHereError("", "There is nothing at this address.")
    return card_resource(request, access, stored, sync.refused(session, request, access).mark(href))


def card_resource(request: Request, access: Access, stored: cards.Stored, refused: int) -> CardResource:
    """A stored card as a client sees it."""
    return CardResource(
        card_url(request, access, stored.href),
        access,
        stored.href,
        shown_etag(stored.etag, access.view, refused),
        stored.size,
        stored.modified_at,
        stored.data,
    )


# -- PROPPATCH ---------------------------------------------------------------------------------------------------------


def proppatch(request: Request) -> Answer:
    """RFC 4918, section 9.2: a book's name, description and colour, all or nothing: one refusal fails the rest."""
    root = xml.parse(request.read_xml_body())
    if root is None or root.tag != xml.dav("propertyupdate"):
        raise BadRequestError("The body of a PROPPATCH is a DAV:propertyupdate.")
    with request.db.read() as session:
        resource = collection(session, request)
        if resource is None:
            card(session, request, require_book(session, request), request.segments[2])
    if not isinstance(resource, BookResource):
        raise ForbiddenError("<cannot-modify-protected-property/>", "Only address books have properties to set.")
    access = resource.access
    if Verb.OWN not in access.verbs:
        raise NeedPrivilegeError(Verb.OWN)
    values, refused = settable(root)
    names = _names(root)
    if not names:
        raise BadRequestError("The DAV:propertyupdate sets and removes nothing.")
    if refused:
        statuses = {name: "403 Forbidden" if name in refused else "424 Failed Dependency" for name in names}
    else:
        with request.db.write(access.book.id) as session:
            by = request.actor(access.principal_id, access.login)
            books.set_properties(session, access.book, by=by, **values)
        statuses = dict.fromkeys(names, "200 OK")
    return Answer(207, (("Content-Type", XML_TYPE),), list(xml.multistatus([_patched(resource.url, statuses)])))


def settable(root: ET.Element) -> tuple[dict[str, str], set[xml.Name]]:
    """({argument of books.set_properties: text}, the names that can't be set) of DAV:set and DAV:remove elements."""
    values: dict[str, str] = {}
    refused: set[xml.Name] = set()
    for action in _actions(root):
        for prop in action.findall(xml.dav("prop")):
            for one in prop:
                if one.tag not in _SETTABLE:
                    refused.add(one.tag)
                elif action.tag == xml.dav("remove"):
                    values[_SETTABLE[one.tag]] = ""
                else:
                    values[_SETTABLE[one.tag]] = "".join(one.itertext())
    return values, refused


def _names(root: ET.Element) -> list[xml.Name]:
    """The properties to be set or removed. Raises BadRequestError for too many."""
    return properties.checked(
        one.tag for action in _actions(root) for prop in action.findall(xml.dav("prop")) for one in prop
    )


def _actions(root: ET.Element) -> list[ET.Element]:
    return [one for one in root if one.tag in {xml.dav("set"), xml.dav("remove")}]


def _patched(url: str, statuses: dict[xml.Name, str]) -> str:
    parts = []
    for status in sorted(set(statuses.values())):
        names = "".join(xml.element(name) for name, one in statuses.items() if one == status)
        condition = "<error><cannot-modify-protected-property/></error>" if status.startswith("403") else ""
        parts.append(f"<propstat><prop>{names}</prop><status>HTTP/1.1 {status}</status>{condition}</propstat>")
    return xml.response(url, "".join(parts))


# -- GET, HEAD, DELETE -------------------------------------------------------------------------------------------------


def get(request: Request) -> Answer:
    """A card's stored bytes, or a whole book where its reader may export it."""
    with request.db.read() as session:
        resource = collection(session, request)
        if resource is None:
            found = card(session, request, require_book(session, request), request.segments[2])
    match resource:
        case None:
            return _get_card(request, found)
        case BookResource() if Verb.EXPORT in resource.access.verbs:
            name = f'attachment; filename="{resource.access.book.slug}.vcf"'
            headers = (("Content-Type", VCARD_TYPE), ("Content-Disposition", name))
            return Answer(200, headers, _exported(request, resource.access))
        case BookResource():
            raise NeedPrivilegeError(Verb.EXPORT)
    return Answer(200, (("Content-Type", "text/plain; charset=utf-8"), ("DAV", CLASSES)), _HELLO)


def _get_card(request: Request, found: CardResource) -> Answer:
    headers = (("ETag", f'"{found.etag}"'), ("Last-Modified", _http_date(found)))
    known = etags(request.header("If-None-Match"), weak=True)
    if known and {"*", found.etag}.intersection(known):
        return Answer(304, headers)
    if found.data is None:
        raise NotFoundHereError("", "There is nothing at this address.")
    return Answer(200, (("Content-Type", VCARD_TYPE), *headers), found.data)


def _exported(request: Request, access: Access) -> Iterable[bytes]:
    hrefs: list[str] = []
    with request.db.read() as session:
        hrefs = [row.href for row in cards.listing(session, access.book.id)]
    for stored in sync.stored_cards(request, access, hrefs):
        yield stored.data if stored.data.endswith((b"\n", b"\r")) else stored.data + b"\r\n"


def delete(request: Request) -> Answer:
    """RFC 4918, section 9.6: a card, or an own book, which goes to the trash. A mounted book: never."""
    with request.db.read() as session:
        resource = collection(session, request)
        access = require_book(session, request) if resource is None else None
    if resource is None and access is not None:
        _delete_card(request, access, request.segments[2])
        return Answer(204)
    if not isinstance(resource, BookResource):
        raise MethodNotAllowedError(methods(resource) if resource else ())
    access = resource.access
    if not access.is_home or Verb.OWN not in access.verbs:
        raise NeedPrivilegeError(Verb.DELETE)
    with request.db.write(access.book.id) as session:
        books.trash(session, access.book, by=request.actor(access.principal_id, access.login))
    return Answer(204)


def _delete_card(request: Request, access: Access, href: str) -> None:
    try:
        cards.check_href(href)
    except NotAllowedHereError as error:
        raise NotFoundHereError("", "There is nothing at this address.") from error
    with sync.refusals_remembered(request, access, href), request.db.write(access.book.id) as session:
        conditions = request.conditions(sync.refused(session, request, access).mark(href))
        by = request.actor(access.principal_id, access.login)
        cards.remove(session, access, href, by=by, conditions=conditions)


# -- properties --------------------------------------------------------------------------------------------------------


@live(xml.dav("resourcetype"), in_allprop=True)
def resourcetype(_request: Request, resource: Resource) -> str:
    """RFC 4918, section 15.9; RFC 6352, section 5.2; RFC 3744, section 4."""
    match resource:
        case Root():
            return "<collection/>"
        case Home():
            return "<collection/><principal/>"
        case OtherPrincipal():
            return "<principal/>"
        case BookResource():
            return "<collection/><C:addressbook/>"
        case CardResource():
            return ""


@live(xml.dav("displayname"), in_allprop=True)
def displayname(_request: Request, resource: Resource) -> str | None:
    """RFC 4918, section 15.2."""
    match resource:
        case Home():
            return xml.escape(resource.person.name)
        case OtherPrincipal():
            return xml.escape(resource.name)
        case BookResource():
            return xml.escape(resource.access.book.name)
    return None


@live(xml.dav("getetag"), in_allprop=True)
def getetag(_request: Request, resource: Resource) -> str | None:
    """RFC 4918, section 15.6; cards only."""
    return f'"{resource.etag}"' if isinstance(resource, CardResource) else None


@live(xml.dav("getcontenttype"), in_allprop=True)
def getcontenttype(_request: Request, resource: Resource) -> str | None:
    """RFC 4918, section 15.5."""
    return VCARD_TYPE if isinstance(resource, CardResource) else None


@live(xml.dav("getcontentlength"), in_allprop=True)
def getcontentlength(_request: Request, resource: Resource) -> str | None:
    """RFC 4918, section 15.4; of the stored bytes, as GET sends them."""
    return str(resource.size) if isinstance(resource, CardResource) and resource.size is not None else None


@live(xml.dav("getlastmodified"), in_allprop=True)
def getlastmodified(_request: Request, resource: Resource) -> str | None:
    """RFC 4918, section 15.7."""
    return _http_date(resource) if isinstance(resource, CardResource) and resource.modified_at else None


@live(xml.dav("creationdate"), in_allprop=True)
def creationdate(_request: Request, resource: Resource) -> str | None:
    """RFC 4918, section 15.1; of books."""
    if isinstance(resource, BookResource):
        return resource.access.book.created_at.isoformat(timespec="seconds").replace("+00:00", "Z")
    return None


def _http_date(resource: CardResource) -> str:
    return format_datetime(resource.modified_at, usegmt=True) if resource.modified_at else ""

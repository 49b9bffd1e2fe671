"""OPTIONS, PROPFIND and the properties of RFC 4918."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.orm import Session

from .. import homes, people, reading
from ..access import Access, Verb
from ..etags import shown_etag
from . import dead, prefer, properties, sync, xml
from .http import (
    VCARD_TYPE,
    XML_TYPE,
    Answer,
    BadRequestError,
    ForbiddenError,
    NotFoundHereError,
    Request,
    encoded,
    http_date,
)
from .properties import Wanted, live
from .resources import (
    BookResource,
    CardResource,
    Collection,
    Home,
    MergedBook,
    OtherPrincipal,
    Resource,
    Root,
    book_url,
    collection,
    home,
    located,
    merged_of,
)

# No class 2: there are no locks. "addressbook" is what clients look for (RFC 6352, section 6.1).
CLASSES = "1, 3, access-control, addressbook, extended-mkcol"

MERGED_NAME = "All contacts"
_READ_METHODS = ("OPTIONS", "PROPFIND", "REPORT")

# -- OPTIONS -----------------------------------------------------------------------------------------------------------


def options(request: Request) -> Answer:
    """RFC 4918, section 10.1. ``Allow`` is true for this user: Evolution takes a book without PUT for read-only."""
    with request.db.read() as session:
        resource = collection(session, request)
        allowed = methods(resource) if resource is not None else card_methods(located(session, request)[0].access)
    return Answer(200, (("DAV", CLASSES), ("Allow", ", ".join(allowed))))


def methods(resource: Collection) -> list[str]:
    """What can be done with a collection."""
    if isinstance(resource, MergedBook):
        return [*_READ_METHODS, *(["PUT", "POST"] if resource.first else [])]
    if not isinstance(resource, BookResource):
        return [*_READ_METHODS, "GET", "HEAD", *(["PROPPATCH"] if isinstance(resource, Home) else [])]
    access = resource.access
    allowed = [*_READ_METHODS]
    if Verb.EXPORT in access.verbs:
        allowed += ["GET", "HEAD"]
    if Verb.OWN in access.verbs:
        allowed.append("PROPPATCH")
    # Evolution looks here, not at a card, for whether it may write.
    if access.verbs & {Verb.ADD, Verb.EDIT}:
        allowed.append("PUT")
    if Verb.ADD in access.verbs:
        allowed.append("POST")
    if Verb.DELETE in access.verbs or (Verb.OWN in access.verbs and access.is_home):
        allowed.append("DELETE")
    return allowed


def card_methods(access: Access) -> list[str]:
    """What can be done with a card, or the address of one to be."""
    allowed = [*_READ_METHODS, "GET", "HEAD", "COPY"]
    if access.verbs & {Verb.ADD, Verb.EDIT}:
        allowed.append("PUT")
    if Verb.EDIT in access.verbs:
        allowed.append("PROPPATCH")
    if Verb.DELETE in access.verbs:
        allowed += ["DELETE", "MOVE"]
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
    no_root = request.preferences.no_root and depth == "1"
    with request.reading() as session:
        found = _found(session, request, depth, asked)
        if no_root:
            next(found)
        responses = list(xml.multistatus(properties.described(request, found, asked)))
    applied = request.preferences.applied(prefer.MINIMAL, *([prefer.NO_ROOT] if no_root else []))
    return Answer(207, (("Content-Type", XML_TYPE), ("DAV", CLASSES), *applied), responses)


def _found(session: Session, request: Request, depth: str, asked: Wanted) -> Iterator[Resource]:
    """The resource of the path, and with Depth 1 its members, read as they are asked for."""
    resource = collection(session, request)
    if resource is None:
        one = card(session, request, *located(session, request))
        dead.remember(request, one, asked.dead)
        yield one
        return
    dead.remember(request, resource, asked.dead, with_members=depth != "0")
    yield resource
    if depth == "0":
        return
    match resource:
        case Root():
            if people.by_slug(session, request.user):
                yield home(session, request)
        case Home() if request.shows_one_book:
            yield merged_of(request, resource)
        case Home():
            for access in resource.books:
                yield BookResource(book_url(request, access), access)
        case BookResource() if not resource.access.book.search_only:
            yield from listing(session, request, resource, details=asked.needs_details)
        case MergedBook():
            hidden = homes.hidden(session, [book.access for book in resource.members])
            for book in resource.members:
                for one in listing(session, request, book, details=asked.needs_details):
                    if (book.access.book.id, one.href) not in hidden:
                        yield one


def listing(session: Session, request: Request, book: BookResource, *, details: bool) -> Iterator[CardResource]:
    """All live cards of a book, without their bytes; ``details``: with size and time."""
    access = book.access
    known = sync.refused(session, request, access)
    view = access.view
    base = book.url + book.prefix
    rows = (reading.listing_with_details if details else reading.listing)(session, access)
    for href, etag, *size_and_time in rows:
        shown = shown_etag(etag, view, known.mark(href))
        yield CardResource(base + encoded(href), access, href, shown, *size_and_time)


def card(session: Session, request: Request, book: BookResource, href: str) -> CardResource:
    """One live card with its stored bytes, as far as this user may see them. Raises NotFoundHereError."""
    stored = reading.get(session, book.access, href)
    if stored is None:
        raise NotFoundHereError("", "There is nothing at this address.")
    return sync.card_resource(book, stored, sync.refused(session, request, book.access).mark(href), None)


# -- properties --------------------------------------------------------------------------------------------------------


@live(xml.dav("resourcetype"), in_allprop=True)
def resourcetype(_request: Request, resource: Resource) -> str:
    """RFC 4918, section 15.9; RFC 6352, section 5.2; RFC 3744, section 4; of directories see ``gateway``."""
    match resource:
        case Root():
            return "<collection/>"
        case Home():
            return "<collection/><principal/>"
        case OtherPrincipal():
            return "<principal/>"
        case BookResource() if resource.access.book.search_only:
            return "<collection/><C:addressbook/><C:directory/>"
        case BookResource() | MergedBook():
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
            return xml.escape(resource.known.name)
        case BookResource():
            return xml.escape(resource.access.book.name)
        case MergedBook():
            return xml.escape(MERGED_NAME)
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
    """RFC 4918, section 15.4; of the bytes that GET sends. A listing through a view that hides fields tells none."""
    return str(resource.size) if isinstance(resource, CardResource) and resource.size is not None else None


@live(xml.dav("getlastmodified"), in_allprop=True)
def getlastmodified(_request: Request, resource: Resource) -> str | None:
    """RFC 4918, section 15.7."""
    return http_date(resource.modified_at) if isinstance(resource, CardResource) and resource.modified_at else None


@live(xml.dav("creationdate"), in_allprop=True)
def creationdate(_request: Request, resource: Resource) -> str | None:
    """RFC 4918, section 15.1; of books."""
    if isinstance(resource, BookResource):
        return resource.access.book.created_at.isoformat(timespec="seconds").replace("+00:00", "Z")
    return None

"""OPTIONS, PROPFIND and the properties of RFC 4918."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from itertools import chain

from sqlalchemy.orm import Session

from .. import homes, people, reading
from ..access import Access, Verb
from . import dead, listing, prefer, properties, sync, xml
from .http import (
    VCARD_TYPE,
    XML_TYPE,
    Answer,
    BadRequestError,
    ForbiddenError,
    NotFoundHereError,
    Request,
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
from .rows import Writer, card_resource

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
    has_members = depth == "1"
    no_root = request.preferences.no_root and has_members
    with request.reading() as session:
        resource = collection(session, request) or card(session, request, *located(session, request))
        dead.remember(request, resource, asked.dead, with_members=has_members)
        found = [] if no_root else [resource]
        books: Sequence[BookResource] = ()
        if has_members:
            found += _children(session, request, resource)
            books = _books_listed(resource)
        described = list(properties.described(request, found, asked))
        writers = [Writer(request, book, asked, sync.refused(session, request, book.access)) for book in books]
        hidden = homes.hidden(session, [book.access for book in books]) if isinstance(resource, MergedBook) else set()
    members = [_members(request, *pair, asked, hidden) for pair in zip(books, writers, strict=True)]
    body = xml.multistatus(chain(described, *members))
    is_short = all(listing.is_short(book.access) for book in books)
    applied = request.preferences.applied(prefer.MINIMAL, *([prefer.NO_ROOT] if no_root else []))
    headers = (("Content-Type", XML_TYPE), ("DAV", CLASSES), *applied)
    return Answer(207, headers, list(body) if is_short else body)


def _children(session: Session, request: Request, resource: Resource) -> list[Resource]:
    """The collections in a collection."""
    match resource:
        case Root():
            return [home(session, request)] if people.by_slug(session, request.user) else []
        case Home() if request.shows_one_book:
            return [merged_of(request, resource)]
        case Home():
            return [BookResource(book_url(request, access), access) for access in resource.books]
    return []


def _books_listed(resource: Resource) -> Sequence[BookResource]:
    """The books whose cards are the members of a collection."""
    match resource:
        case BookResource() if not resource.access.book.search_only:
            return [resource]
        case MergedBook():
            return resource.members
    return []


def _members(
    request: Request, book: BookResource, writer: Writer, asked: Wanted, hidden: Set[tuple[int, str]]
) -> Iterator[xml.Piece]:
    """The cards of a book, without their bytes. hidden: (book id, href) of those that aren't told"""
    if writer.takes_blocks and not hidden:
        yield from writer.blocks(listing.blocks(request.db.read, book.access))
        return
    pages = (reading.pages_with_details if asked.needs_details else reading.pages)(request.db.read, book.access)
    for page in pages:
        for href, etag, *more in page:
            if (book.access.book.id, href) not in hidden:
                yield writer.listed(href, etag, *(more if asked.needs_details else ()))


def card(session: Session, request: Request, book: BookResource, href: str) -> CardResource:
    """One live card with its stored bytes, as far as this user may see them. Raises NotFoundHereError."""
    stored = reading.get(session, book.access, href)
    if stored is None:
        raise NotFoundHereError("", "There is nothing at this address.")
    return card_resource(book, stored, sync.refused(session, request, book.access).mark(href))


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

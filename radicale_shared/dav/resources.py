"""What a URL stands for, for the user who asks; and what that user may not know is not there.

``/`` and ``/.well-known/carddav`` are the same thing and answered in place (RFC 6764, section 5: clients differ in what
they make of a redirect), ``/{user}/`` is principal and home at once, ``/{user}/{book}/`` an own or mounted book.

``/{user}/all/`` is the merged book: the cards of all books, for clients that show one book only (macOS). It is all that
their home lists, and for others it isn't there. A card's name in it is the uuid of its book, ``-``, and its href.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote_to_bytes, urlsplit

from sqlalchemy.orm import Session

from .. import access as rights
from .. import cards, homes, people, principals
from ..access import Access, Verb
from ..errors import NeedPrivilegeError, NotAllowedHereError
from ..people import Person
from ..principals import Findable, Known
from . import xml
from .http import (
    WELL_KNOWN,
    BadRequestError,
    ConflictError,
    NotFoundHereError,
    Request,
    encoded,
    is_plain_segment,
    split_path,
)

MERGED = "all"
_UUID_FIRST = re.compile("[0-9a-f]{32}-")
# More letters than a card's URL has where each byte is percent-encoded. Decoding takes several times the memory.
_LONGEST_URL = 16_384


@dataclass(frozen=True, slots=True)
class Root:
    """The server itself: only leads to the principal."""

    url: str


@dataclass(frozen=True, slots=True)
class Home:
    """The user's principal and address book home.

    books: all that the user may read, in the order they are listed
    gateways: those that are searched and never listed
    """

    url: str
    person: Person
    books: tuple[Access, ...]
    gateways: tuple[Access, ...] = ()


@dataclass(frozen=True, slots=True)
class OtherPrincipal:
    """Another user, or a group, that this user may know of (RFC 3744, section 2); it has no home here."""

    url: str
    known: Known


@dataclass(frozen=True, slots=True)
class BookResource:
    """A book that the user may read.

    url: of the collection its cards are met in: its own, or the merged book's
    prefix: what stands before its hrefs there; empty in its own
    """

    url: str
    access: Access
    prefix: str = ""

    def card_url(self, href: str) -> str:
        """The percent-encoded path of a card."""
        return self.url + encoded(self.prefix + href)


@dataclass(frozen=True, slots=True)
class MergedBook:
    """All books of a user as one, for a client that shows one only.

    members: the own ones first, then by age: where two cards have one UID, the one in the first book is shown
    """

    url: str
    members: tuple[BookResource, ...]
    by_uuid: Mapping[str, BookResource]

    @property
    def first(self) -> BookResource | None:
        """The book that new cards are put into: the one the user's home lists first, if it is an own one."""
        own = [one for one in self.members if one.access.is_home]
        return next((one for one in own if one.access.default), own[0] if own else None)


@dataclass(slots=True)  # not frozen: a listing makes thousands, and freezing costs most of the making
class CardResource:
    """A card of such a book. ``etag`` is the one this client sees, without quotes.

    size, modified_at: None in a listing that wasn't asked for them
    data: None in any listing; in a report as it was asked for, else as it is stored
    version: vCard version of the stored bytes, empty in any listing
    """

    url: str
    access: Access
    href: str
    etag: str
    size: int | None = None
    modified_at: datetime | None = None
    data: bytes | None = None
    version: str = ""


Collection = Root | Home | OtherPrincipal | BookResource | MergedBook
Resource = Collection | CardResource


def book_of(session: Session, request: Request, segments: Sequence[str] | None = None) -> BookResource | None:
    """The book that a path (the request's own) lies in or is, None where there is none for this user.

    Of the merged book it is the one that its new cards go to.
    """
    segments = request.segments if segments is None else segments
    if len(segments) < 2 or segments[0] != request.user:
        return None
    if is_merged(request, segments):
        whole = merged(session, request)
        if len(segments) == 2:
            return whole.first
        found = member_of(whole, segments[2])
        return found[0] if found else None
    access = rights.find(session, request.user, segments[1], client=request.client, scope=request.scope)
    return BookResource(book_url(request, access), access) if access else None


def located(session: Session, request: Request, segments: Sequence[str] | None = None) -> tuple[BookResource, str]:
    """(book, href) of a card's path, the request's own without another; there need not be a card.

    Raises NotFoundHereError.
    """
    segments = request.segments if segments is None else segments
    if len(segments) == 3 and segments[0] == request.user and is_merged(request, segments):
        found = member_of(merged(session, request), segments[2])
    else:
        book = book_of(session, request, segments) if len(segments) == 3 else None
        found = (book, segments[2]) if book else None
    if found is None:
        raise NotFoundHereError("", "There is nothing at this address.")
    return found


def is_merged(request: Request, segments: Sequence[str]) -> bool:
    """Whether a path of the user's home is or lies in the merged book, and this client has one."""
    return len(segments) in {2, 3} and segments[1] == MERGED and request.shows_one_book


def merged(session: Session, request: Request) -> MergedBook:
    """The user's books as one. Raises NotFoundHereError."""
    return merged_of(request, home(session, request))


def merged_of(request: Request, whole: Home) -> MergedBook:
    """The books of a home as one."""
    url = request.url(request.user, MERGED, collection=True)
    # By what never changes: the order decides which of two cards with one UID is shown.
    ordered = sorted(whole.books, key=lambda access: (not access.is_home, access.book.id))
    books = tuple(BookResource(url, access, f"{access.book.uuid}-") for access in ordered)
    return MergedBook(url, books, {book.access.book.uuid: book for book in books})


def member_of(book: MergedBook, name: str) -> tuple[BookResource, str] | None:
    """(member, href) that a name in the merged book stands for; None if it can't be there.

    A name without a book's uuid is that of a new card: it goes to the first book. Without one it stands for a card of
    any book, so that to make it there can be refused by name, and taken back.
    """
    uuid, _, href = name.partition("-")
    if member := book.by_uuid.get(uuid):
        return (member, href) if href else None
    if not is_plain(name) or not book.members:
        return None
    return book.first or book.members[0], name


def is_plain(name: str) -> bool:
    """Whether a name in the merged book is without a book's uuid: one that a client gave to a new card."""
    return not _UUID_FIRST.match(name)


def require_own(book: BookResource, name: str) -> None:
    """Raise NeedPrivilegeError for a new card of the merged book where there is no own book that it could go to.

    name: of the card in the collection, as the client gave it
    """
    if book.prefix and not book.access.is_home and is_plain(name):
        raise NeedPrivilegeError(Verb.ADD, name)


def require_free_uid(session: Session, request: Request, left: Set[int], uid: str) -> None:
    """Raise ConflictError if a new card of the merged book would have the UID of a card in another of its books.

    left: ids of the books that aren't looked at; each is sure of its own UIDs
    """
    others = {one.access.book.id: one for one in merged(session, request).members if one.access.book.id not in left}
    if taken := homes.card_with_uid(session, list(others), uid):
        url = others[taken[0]].card_url(taken[1])
        raise ConflictError(
            f"<C:no-uid-conflict>{xml.href(url)}</C:no-uid-conflict>", "This UID is in use in another book."
        )


def require_person(session: Session, request: Request) -> Person:
    """Who is signed in. Raises NotFoundHereError for a sign-in (by another auth plugin) that is no user here."""
    person = people.by_slug(session, request.user)
    if person is None:
        raise NotFoundHereError("", "This user has no account in the address books.")
    return person


def home(session: Session, request: Request) -> Home:
    """The home of who is signed in. Raises NotFoundHereError."""
    person = require_person(session, request)
    readable = rights.all_readable(session, request.user, client=request.client, scope=request.scope)
    books = tuple(access for access in readable if not access.book.search_only)
    gateways = tuple(access for access in readable if access.book.search_only)
    return Home(request.url(request.user, collection=True), person, books, gateways)


def is_root(request: Request) -> bool:
    return request.segments in {(), WELL_KNOWN}


def is_home(request: Request) -> bool:
    return request.segments == (request.user,)


def collection(session: Session, request: Request) -> Collection | None:
    """What the path stands for, if it is no card; None for a card's path. Raises NotFoundHereError."""
    match request.segments:
        case ():
            return Root(request.url())
        case segments if segments == WELL_KNOWN:
            # Well-known lies at the root of a host (RFC 8615, section 3), whatever the prefix of our paths is.
            return Root("/" + "/".join(WELL_KNOWN))
        case (user,) if user == request.user:
            return home(session, request)
        case (slug,):
            return _other_principal(session, request, slug)
        case (user, _) if user == request.user and is_merged(request, request.segments):
            return merged(session, request)
        case (_, _):
            book = book_of(session, request)
            if book is not None:
                return book
        case (_, _, _):
            return None
    raise NotFoundHereError("", "There is nothing at this address.")


def members(resource: BookResource | MergedBook) -> tuple[BookResource, ...]:
    """The books whose cards a collection shows."""
    return resource.members if isinstance(resource, MergedBook) else (resource,)


def named(request: Request, resource: BookResource | MergedBook, url: str) -> tuple[BookResource, str] | None:
    """(book, href) that a DAV:href stands for; None if it can't be a card of this collection."""
    if len(url) > _LONGEST_URL:
        return None
    if isinstance(resource, BookResource) and url.startswith(resource.url):
        href = url[len(resource.url) :]
        if is_plain_segment(href):  # as nearly all are: nothing to decode, nothing to refuse
            return resource, href
    try:
        path = unquote_to_bytes(urlsplit(url).path).decode("latin-1")
        segments = split_path(path, request.prefix)
        name = MERGED if isinstance(resource, MergedBook) else resource.access.name
        if len(segments) != 3 or segments[:2] != (request.user, name):
            return None
        found = member_of(resource, segments[2]) if isinstance(resource, MergedBook) else (resource, segments[2])
        if found is not None:
            cards.check_href(found[1])
    except (BadRequestError, NotAllowedHereError, ValueError):
        return None
    return found


def book_url(request: Request, access: Access) -> str:
    return request.url(request.user, access.name, collection=True)


def _other_principal(session: Session, request: Request, slug: str) -> OtherPrincipal:
    findable = Findable(request.settings.find_people)
    known = principals.find(session, request.user, findable, slug, scope=request.scope)
    if known is None:
        raise NotFoundHereError("", "There is nothing at this address.")
    return OtherPrincipal(request.url(slug, collection=True), known)

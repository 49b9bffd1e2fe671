"""What a URL stands for, for the user who asks; and what that user may not know is not there.

``/`` and ``/.well-known/carddav`` are the same thing and answered in place (RFC 6764, section 5: clients differ in what
they make of a redirect), ``/{user}/`` is principal and home at once, ``/{user}/{book}/`` an own or mounted book.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from .. import access as rights
from .. import people
from ..access import Access
from ..people import Person
from .http import WELL_KNOWN, NotFoundHereError, Request


@dataclass(frozen=True, slots=True)
class Root:
    """The server itself: only leads to the principal."""

    url: str


@dataclass(frozen=True, slots=True)
class Home:
    """The user's principal and address book home."""

    url: str
    person: Person


@dataclass(frozen=True, slots=True)
class OtherPrincipal:
    """The owner of a book that the user may read: its name, and nothing else."""

    url: str
    slug: str
    name: str


@dataclass(frozen=True, slots=True)
class BookResource:
    """A book that the user may read."""

    url: str
    access: Access


@dataclass(slots=True)  # not frozen: a listing makes thousands, and freezing costs most of the making
class CardResource:
    """A card of such a book. ``etag`` is the one this client sees, without quotes.

    size, modified_at: None in a listing that wasn't asked for them; data: None in any listing
    """

    url: str
    access: Access
    href: str
    etag: str
    size: int | None = None
    modified_at: datetime | None = None
    data: bytes | None = None


Resource = Root | Home | OtherPrincipal | BookResource | CardResource


def book_of(session: Session, request: Request) -> Access | None:
    """The book that the request's path lies in or is, None where there is none for this user."""
    if len(request.segments) < 2 or request.segments[0] != request.user:
        return None
    return rights.find(session, request.user, request.segments[1], client=request.client)


def require_book(session: Session, request: Request) -> Access:
    """``book_of``, or NotFoundHereError."""
    access = book_of(session, request)
    if access is None:
        raise NotFoundHereError("", "There is nothing at this address.")
    return access


def require_person(session: Session, request: Request) -> Person:
    """Who is signed in. Raises NotFoundHereError for a sign-in (by another auth plugin) that is no user here."""
    person = people.by_slug(session, request.user)
    if person is None:
        raise NotFoundHereError("", "This user has no account in the address books.")
    return person


def is_root(request: Request) -> bool:
    return request.segments in {(), WELL_KNOWN}


def is_home(request: Request) -> bool:
    return request.segments == (request.user,)


def collection(session: Session, request: Request) -> Root | Home | OtherPrincipal | BookResource | None:
    """What the path stands for, if it is no card; None for a card's path. Raises NotFoundHereError."""
    match request.segments:
        case ():
            return Root(request.url())
        case segments if segments == WELL_KNOWN:
            # Well-known lies at the root of a host (RFC 8615, section 3), whatever the prefix of our paths is.
            return Root("/" + "/".join(WELL_KNOWN))
        case (user,) if user == request.user:
            return Home(request.url(user, collection=True), require_person(session, request))
        case (slug,):
            return _other_principal(session, request, slug)
        case (_, _):
            access = require_book(session, request)
            return BookResource(book_url(request, access), access)
        case (_, _, _):
            return None
    raise NotFoundHereError("", "There is nothing at this address.")


def book_url(request: Request, access: Access) -> str:
    return request.url(request.user, access.name, collection=True)


def card_url(request: Request, access: Access, href: str) -> str:
    return request.url(request.user, access.name, href)


def _other_principal(session: Session, request: Request, slug: str) -> OtherPrincipal:
    if any(access.book.owner == slug for access in rights.all_readable(session, request.user)):
        return OtherPrincipal(request.url(slug, collection=True), slug, people.name_of(session, slug))
    raise NotFoundHereError("", "There is nothing at this address.")

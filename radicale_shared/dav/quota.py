"""How much room is left (RFC 4331): in a book, by its own limit and by the one of its owner; in a home.

Each book counts its bytes as cards are written, so neither property costs more in a large one. A write beyond a limit
is 507 with DAV:quota-not-exceeded (section 6). Who sees a part of the cards is told neither: it would tell how much is
hidden.
"""

from __future__ import annotations

from .. import books
from ..access import Verb
from ..books import Book
from . import xml
from .http import Request
from .properties import live
from .resources import BookResource, Home, MergedBook, Resource


@live(xml.dav("quota-used-bytes"))
def quota_used_bytes(_request: Request, resource: Resource) -> str | None:
    """Section 4: of a book's cards; of all own books together; of all that the merged book shows."""
    match resource:
        case BookResource() if not resource.access.view.hidden:
            return str(resource.access.book.card_bytes)
        case Home():
            return str(sum(one.book.card_bytes for one in resource.books if one.book.owner_id == resource.person.id))
        case MergedBook() if not any(one.access.view.hidden for one in resource.members):
            return str(sum(one.access.book.card_bytes for one in resource.members))
    return None


@live(xml.dav("quota-available-bytes"))
def quota_available_bytes(request: Request, resource: Resource) -> str | None:
    """Section 3: what may still be added, by the narrower of both limits; not there where nothing is limited.

    Nor for who may only read, nor of a home for a device with some of its books: it would tell how much the owner keeps
    in other books. The merged book has the room of the book that its new cards go to.
    """
    match resource:
        case BookResource() if resource.access.verbs & {Verb.ADD, Verb.EDIT} and not resource.access.view.hidden:
            left = _left_in(request, resource.access.book)
        case MergedBook() if resource.first:
            left = _left_in(request, resource.first.access.book)
        case Home() if request.limits.owner and request.scope.books is None:
            left = request.limits.owner - _of_owner(request, resource.person.id)
        case _:
            left = None
    return None if left is None else str(max(0, left))


def _left_in(request: Request, book: Book) -> int | None:
    limits = request.limits
    left = [limits.book - book.card_bytes] if limits.book else []
    if limits.owner:
        left.append(limits.owner - _of_owner(request, book.owner_id))
    return min(left, default=None)


def _of_owner(request: Request, owner_id: int) -> int:
    """What all books of an owner hold; one SELECT for each owner and request."""
    known: dict[int, int] = request.remembered.setdefault("bytes of owners", {})
    if owner_id not in known:
        with request.reading() as session:
            known[owner_id] = books.bytes_of_owner(session, owner_id)
    return known[owner_id]

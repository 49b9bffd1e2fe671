"""POST of a card to its book, which chooses the card's name (RFC 5995)."""

from __future__ import annotations

import re
import uuid

from sqlalchemy.orm import Session

from .. import books, reading
from ..access import Verb
from ..errors import NeedPrivilegeError
from . import carddav, webdav, xml
from .http import Answer, ForbiddenError, MethodNotAllowedError, Request
from .properties import live
from .resources import BookResource, MergedBook, Resource, collection, located

_TYPES = frozenset({"", "text/vcard", "text/x-vcard", "text/directory"})
# A UID that is fit to be a name everywhere, without characters that are escaped in URLs.
_SAFE = re.compile(r"(?:urn:uuid:)?([A-Za-z0-9][A-Za-z0-9._@-]{0,199})", re.ASCII)


def post(request: Request) -> Answer:
    """Section 3.1: store a new card. Its URL is in Location, and its ETag is told if it is stored exactly as sent.

    All that a PUT is refused for is refused here, in the same words. A refused POST left no name behind that the
    client could hold, so there is nothing to take back at its next sync.
    """
    with request.reading() as session:
        resource = collection(session, request)
        if resource is None:
            access = located(session, request)[0].access
            raise MethodNotAllowedError(webdav.card_methods(access))
    book = _adds_to(resource)
    if book is None:
        raise MethodNotAllowedError(webdav.methods(resource))
    if Verb.ADD not in book.access.verbs:
        raise NeedPrivilegeError(Verb.ADD)  # DAV:bind, section 5
    kind = (request.header("Content-Type") or "").partition(";")[0].strip().lower()
    if kind not in _TYPES:
        raise ForbiddenError("<C:supported-address-data/>", "A card is sent as text/vcard.")
    card = carddav.received(request)
    with request.db.write(book.access.book.id) as session:
        href = _name(session, book.access.book.id, card.card.uid)
        outcome = carddav.store(session, request, book, href, card)
    return carddav.answered(request, outcome, card)


def _adds_to(resource: Resource) -> BookResource | None:
    """The book that a card posted to a collection goes to: itself, or the merged book's first."""
    if isinstance(resource, MergedBook):
        return resource.first
    return resource if isinstance(resource, BookResource) else None


def _name(session: Session, book_id: int, uid: str) -> str:
    """A name that no card of the book has: after the UID where that can be one, else a random one."""
    books.lock(session, book_id)  # the name stays free until it is used
    safe = _SAFE.fullmatch(uid)
    href = f"{safe[1]}.vcf" if safe else ""
    if href and not reading.is_there(session, book_id, href):
        return href
    return f"{uuid.uuid4()}.vcf"


@live(xml.dav("add-member"))
def add_member(_request: Request, resource: Resource) -> str | None:
    """Section 3.2.1: where to post; the book itself, if one may add to it."""
    book = _adds_to(resource)
    return xml.href(resource.url) if book is not None and Verb.ADD in book.access.verbs else None

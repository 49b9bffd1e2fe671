"""GET, HEAD and DELETE (RFC 9110, section 9.3; RFC 4918, section 9.6)."""

from __future__ import annotations

from collections.abc import Iterable

from .. import books, cards, reading
from ..access import Access, Verb
from ..errors import NeedPrivilegeError, NotAllowedHereError, PreconditionFailedError
from . import address_data, conditions, if_header, prefer, sync
from .http import (
    VCARD_TYPE,
    Answer,
    Headers,
    MethodNotAllowedError,
    NotAcceptableError,
    NotFoundHereError,
    Request,
    http_date,
)
from .resources import BookResource, CardResource, MergedBook, collection, located
from .webdav import CLASSES, card, methods

_HELLO = b"This is an address book server. Add its address, with your login, to your contacts app (CardDAV).\n"


def get(request: Request) -> Answer:
    """A card's stored bytes, as far as its reader may see them, or a whole book where they may export it.

    HEAD is answered by the same headers (RFC 9110, section 9.3.2). Ranges are not served: a card is small, and given
    whole (section 14.2).
    """
    with request.reading() as session:
        resource = collection(session, request)
        if resource is None:
            found = card(session, request, *located(session, request))
    match resource:
        case None:
            return _get_card(request, found)
        case MergedBook():
            raise MethodNotAllowedError(methods(resource))
        case BookResource() if Verb.EXPORT in resource.access.verbs:
            name = f'attachment; filename="{resource.access.book.slug}.vcf"'
            headers = (("Content-Type", VCARD_TYPE), ("Content-Disposition", name))
            answer = Answer(200, headers, _exported(request, resource.access))
        case BookResource():
            raise NeedPrivilegeError(Verb.EXPORT)
        case _:
            answer = Answer(200, (("Content-Type", "text/plain; charset=utf-8"), ("DAV", CLASSES)), _HELLO)
    return Answer(304) if conditions.is_unchanged(request) else answer


def _get_card(request: Request, found: CardResource) -> Answer:
    """A card in the version that the client accepts. Its ETag is the same in each: it names the stored state."""
    version = address_data.accepted(request.header("Accept"), found.version)
    if conditions.is_unchanged(request, found.etag, found.modified_at):
        return Answer(304, _validators(found))
    return Answer(200, (("Content-Type", VCARD_TYPE), *_validators(found)), _data(found, version))


def representation(request: Request, found: CardResource, status: int, *, version: str) -> Answer | None:
    """A card as the body of an answer to a write (RFC 8144, section 3), which spares the client a GET.

    version: where the Accept header leaves the choice; None is returned where it accepts no card
    """
    try:
        version = address_data.accepted(request.header("Accept"), version)
    except NotAcceptableError:
        return None
    headers = (
        ("Content-Type", VCARD_TYPE),
        ("Content-Location", found.url),
        *_validators(found),
        *request.preferences.applied(prefer.REPRESENTATION),
    )
    return Answer(status, headers, _data(found, version))


def as_it_is(request: Request, error: PreconditionFailedError) -> Answer:
    """412 with the card as it is now, for whoever prefers that (RFC 8144, section 3.2).

    Raises ``error`` for everybody else, and where there is no card.
    """
    if not request.preferences.representation:
        raise error
    try:
        with request.reading() as session:
            book, href = located(session, request)
            found = card(session, request, book, href)
    except NotFoundHereError:
        raise error from None
    answer = representation(request, found, 412, version=book.access.wrote or found.version)
    if answer is None:
        raise error
    return answer


def _validators(found: CardResource) -> Headers:
    return (("ETag", f'"{found.etag}"'), ("Last-Modified", http_date(found.modified_at)))


def _data(found: CardResource, version: str) -> bytes:
    if found.data is None:
        raise NotFoundHereError("", "There is nothing at this address.")
    return found.data if version == found.version else address_data.converted(found.data, version)


def _exported(request: Request, access: Access) -> Iterable[bytes]:
    for page in reading.pages(request.db.read, access):
        for stored in reading.get_many(request.db.read, access, [href for href, *_ in page]):
            yield stored.data if stored.data.endswith((b"\n", b"\r")) else stored.data + b"\r\n"


def delete(request: Request) -> Answer:
    """RFC 4918, section 9.6: a card, or an own book, which goes to the trash. A mounted book: never."""
    with request.reading() as session:
        resource = collection(session, request)
        place = located(session, request) if resource is None else None
    if place is not None:
        try:
            _delete_card(request, place[0].access, place[1])
        except PreconditionFailedError as error:
            return as_it_is(request, error)
        return Answer(204)
    if not isinstance(resource, BookResource):
        raise MethodNotAllowedError(methods(resource) if resource else ())
    access = resource.access
    if not access.is_home or Verb.OWN not in access.verbs:
        raise NeedPrivilegeError(Verb.DELETE)
    conditions.require(request)
    with request.db.write(access.book.id) as session:
        if_header.require(session, request, access)
        books.trash(session, access.book, by=request.actor(access.principal_id, access.login))
    return Answer(204)


def _delete_card(request: Request, access: Access, href: str) -> None:
    try:
        cards.check_href(href)
    except NotAllowedHereError as error:
        raise NotFoundHereError("", "There is nothing at this address.") from error
    with sync.refusals_remembered(request, access, href), request.db.write(access.book.id) as session:
        if_header.require(session, request, access, href=href)
        conditions.require_unchanged_since(session, request, access, href, Verb.DELETE)
        asked = request.conditions(sync.refused(session, request, access).mark(href))
        by = request.actor(access.principal_id, access.login)
        cards.remove(session, access, href, by=by, conditions=asked, policy=request.policy)

"""COPY and MOVE of cards (RFC 4918, sections 9.8 and 9.9; RFC 6352, section 6.3.2.1).

Address books are neither copied nor moved: an address never changes.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from sqlalchemy.orm import Session

from .. import reading, transfers, vcard
from ..access import Verb
from ..cards import Written
from ..errors import NeedPrivilegeError, PreconditionFailedError, UidConflictError
from ..etags import shown_etag
from ..transfers import Place
from . import conditions, if_header, preconditions, sync, webdav
from .addresses import segments_of
from .http import Answer, BadRequestError, ConflictError, ForbiddenError, NotFoundHereError, Request
from .resources import BookResource, Home, MergedBook, collection, located, require_free_uid, require_own

_CAN_NOT: dict[type, str] = {
    BookResource: "An address book keeps its address, and can't be copied as a whole. Copy or move its cards.",
    MergedBook: "The book of all contacts has no cards of its own. Copy or move single cards.",
    Home: "A home can't be copied or moved.",
}


def copy(request: Request) -> Answer:
    """RFC 4918, section 9.8."""
    return _transfer(request, moving=False)


def move(request: Request) -> Answer:
    """RFC 4918, section 9.9: one deed, which is in both books or in none."""
    return _transfer(request, moving=True)


def _transfer(request: Request, *, moving: bool) -> Answer:
    """201 for a new card, 204 for a replaced one. Depth means nothing for a card (section 9.8.3), and isn't looked at.

    A 201 has the new card's ETag (RFC 9110, section 15.3.2); in a 204 it would be read as that of the source.
    """
    with request.reading() as session:
        found = collection(session, request)
        if found is not None:
            raise ForbiddenError("", _CAN_NOT.get(type(found), "There are no cards here."))
        book, href = located(session, request)
        webdav.card(session, request, book, href)
        overwrite = _overwrite(request)
        named = _named(request)
        target, target_href = _destination(session, request, named, overwrite=overwrite)
    source = Place(book.access, href)
    place = Place(target.access, target_href)
    if source.key == place.key:
        raise ForbiddenError("", "A card can't be copied or moved onto itself.")
    try:
        with ExitStack() as remembered:
            if moving:
                remembered.enter_context(sync.refusals_remembered(request, book.access, href))
            remembered.enter_context(sync.refusals_remembered(request, target.access, target_href))
            written, mark = _write(request, source, target, target_href, moving=moving, overwrite=overwrite)
    except (NeedPrivilegeError, UidConflictError) as error:
        stays = moving and not transfers.may_leave(book.access, target.access)
        of_source = isinstance(error, NeedPrivilegeError) and (error.verb == Verb.DELETE or stays)
        return preconditions.answer(error, request, lambda _: book if of_source else target)
    url = target.card_url(target_href)
    # A new card's name in the merged book begins with its book's uuid.
    headers = [("Location", url)] if url != request.url(*named) else []
    if written.created:
        headers.append(("ETag", f'"{shown_etag(written.etag, target.access.view, mark)}"'))
    return Answer(201 if written.created else 204, headers)


def _write(
    request: Request, source: Place, target: BookResource, href: str, *, moving: bool, overwrite: bool
) -> tuple[Written, int]:
    """What was written, and what this client's ETag of it counts (``Refused.mark``)."""
    access = source.access
    with request.db.write(access.book.id, target.access.book.id) as session:
        transfers.lock(session, access, target.access)
        if_header.require(session, request, href=source.href)
        conditions.require_unchanged_since(session, request, access, source.href, Verb.DELETE if moving else Verb.READ)
        counted = sync.refused(session, request, access).mark(source.href)
        require_own(target, _named(request)[-1])
        if target.prefix:
            _check_uid(session, request, source, target, href, moving=moving)
        written = transfers.transfer(
            session,
            source,
            Place(target.access, href),
            moving=moving,
            secret=request.db.secret,
            by=request.actor(access.principal_id, access.login),
            overwrite=overwrite,
            conditions=request.conditions(counted),
            limits=request.limits,
            policy=request.policy,
        )
        return written, sync.refused(session, request, target.access).mark(href)


def _overwrite(request: Request) -> bool:
    """RFC 4918, section 10.6: T without the header."""
    said = (request.header("Overwrite") or "T").strip().upper()
    if said not in {"T", "F"}:
        raise BadRequestError("Overwrite is T or F.")
    return said == "T"


def _named(request: Request) -> tuple[str, ...]:
    """The segments of the Destination header (section 10.3). Raises BadRequestError, BadGatewayError."""
    said = request.header("Destination")
    if said is None:
        raise BadRequestError("A COPY or MOVE has a Destination.")
    return segments_of(request, said)


def _destination(
    session: Session, request: Request, segments: tuple[str, ...], *, overwrite: bool
) -> tuple[BookResource, str]:
    """(book, href) of a destination.

    Raises ConflictError for a card of a book that isn't there for this user (section 9.8.5), ForbiddenError for what
    can't be a card's address, PreconditionFailedError where that is there and is not to be overwritten.
    """
    if len(segments) < 3:
        if not overwrite and _is_there(session, request, segments):
            raise PreconditionFailedError("/".join(segments))
        raise ForbiddenError("", "Cards are kept in address books: give the address of a card.")
    try:
        return located(session, request, segments)
    except NotFoundHereError as error:
        raise ConflictError("", "There is no address book for this card.") from error


def _is_there(session: Session, request: Request, segments: tuple[str, ...]) -> bool:
    try:
        return collection(session, replace(request, segments=segments)) is not None
    except NotFoundHereError:
        return False


def _check_uid(
    session: Session, request: Request, source: Place, target: BookResource, href: str, *, moving: bool
) -> None:
    """Raise ConflictError if a new card of the merged book would have the UID of a card in another of its books."""
    stored = reading.get(session, source.access, source.href)
    if stored is not None and not reading.is_there(session, target.access.book.id, href):
        left = {target.access.book.id, *((source.access.book.id,) if moving else ())}
        require_free_uid(session, request, left, vcard.Card.parse(stored.data).uid)

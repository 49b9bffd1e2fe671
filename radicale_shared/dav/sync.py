"""The sync-collection report and the sync-token property (RFC 6578); getctag is the same string.

Refused writes are remembered here for the client that made them, and reported at its next sync.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from .. import blocks, cards, homes, refusals
from .. import sync as core
from ..access import Access, Verb
from ..errors import GuardedError, NotAllowedHereError, NotAVCardError, RefusedError, UnknownSyncTokenError
from ..refusals import Refused
from . import address_data, listing, properties, xml
from .http import (
    XML_TYPE,
    Answer,
    BadRequestError,
    ConflictError,
    ForbiddenError,
    InsufficientStorageError,
    Request,
    encoded,
)
from .properties import Wanted, live
from .resources import BookResource, Home, MergedBook, Resource, book_of, book_url, is_plain, merged_of
from .rows import Writer


def sync_collection(request: Request, root: ET.Element, resource: BookResource | MergedBook | Home) -> Answer:
    """RFC 6578, section 3.2. Depth is not looked at: clients send 0, 1 or nothing, and there is only one level."""
    level = (root.findtext(xml.dav("sync-level")) or "1").strip()
    if level not in {"1", "infinite"}:
        raise BadRequestError("DAV:sync-level is 1 or infinite.")
    if level == "infinite" and isinstance(resource, Home):
        raise ForbiddenError("<sync-traversal-supported/>", "Ask each address book for its own changes.")
    old = (root.findtext(xml.dav("sync-token")) or "").strip()
    asked = properties.wanted_of_report(root)
    limit = xml.limit_of(root, xml.DAV)
    if limit == 0:
        raise _over_limit()  # nothing can be told in nothing
    match resource:
        case BookResource():
            return _of_book(request, root, resource, old, asked, limit)
        case MergedBook():
            return _of_merged_book(request, root, resource, old, asked, limit)
    return _of_home(request, resource, old, asked, limit)


def _of_book(
    request: Request, root: ET.Element, book: BookResource, old: str, asked: Wanted, limit: int | None
) -> Answer:
    access, secret = book.access, request.db.secret
    form = address_data.asked_for(root, access)
    new = core.token(access, secret)
    if old == new:
        return _multistatus((), new, whole=True)
    if core.is_rollback(access, old, secret):
        _rotate(request, [access])
        with request.db.read() as session:
            # The new epoch is part of the token from now on.
            book = book_of(session, request) or book
            access = book.access
    with request.db.read() as session:
        known = refused(session, request, access)
    writer = Writer(request, book, asked, known, form)
    if not old and limit is None and writer.takes_blocks and not asked.reads_cards:
        members = writer.blocks(listing.blocks(request.db.read, access))
        return _multistatus(members, core.token(access, secret), whole=listing.is_short(access))
    with request.db.read() as session:
        try:
            told = core.changed_since(session, access, old, known, secret=secret, limit=limit)
        except UnknownSyncTokenError:
            if not _cannot_start_over(request, access):
                raise
            told = core.everything(session, access, secret)
    return _multistatus(_changes_of_book(book, told, writer), told.token, whole=not asked.reads_cards)


def _key(request: Request) -> bytes:
    """What the tokens of the user's home are signed with."""
    return homes.key(request.db.secret, request.user)


def _rotate(request: Request, rolled_back: Iterable[Access]) -> None:
    for access in rolled_back:
        with request.db.write(access.book.id) as session:
            core.rotate(session, access)


def _cannot_start_over(request: Request, access: Access) -> bool:
    """Whether this is Thunderbird with a book it may only read.

    On an unknown token it starts over by functions that refuse to change such a book: it would lose changes for good,
    or never sync again. Told of every card that is there or ever was, it ends equal.
    """
    return request.is_thunderbird and Verb.EDIT not in access.verbs


def _multistatus(responses: Iterable[xml.Piece], token: str, *, whole: bool) -> Answer:
    """The answer to a sync; whole: whether it is sent with its length, and not in pieces as they are made"""
    body: Iterable[bytes] = xml.multistatus(responses, f"<sync-token>{xml.escape(token)}</sync-token>")
    return Answer(207, (("Content-Type", XML_TYPE),), list(body) if whole else body)


def _over_limit() -> InsufficientStorageError:
    return InsufficientStorageError("<number-of-matches-within-limits/>", "There are more changes than this limit.")


def _changes_of_book(book: BookResource, told: core.Changes, writer: Writer) -> Iterator[xml.Piece]:
    for row in told.rows:
        if row.deleted:
            yield xml.not_found(book.card_url(row.href))
    for href in told.missing:
        yield xml.not_found(book.card_url(href))
    yield from writer.live((row.href, row.etag) for row in told.rows if not row.deleted)
    if not told.complete:
        yield xml.truncated(book.url)


def _of_merged_book(
    request: Request, root: ET.Element, whole: MergedBook, old: str, asked: Wanted, limit: int | None
) -> Answer:
    books = {book.access.book.id: book for book in whole.members}
    form = address_data.asked_for(root, whole.members[0].access if books else None)
    accesses = [book.access for book in whole.members]
    secret = _key(request)
    _rotate(request, homes.rolled_back(homes.MERGED, accesses, old, secret))
    with request.db.read() as session:
        known = {one: refused(session, request, book.access) for one, book in books.items()}
        told = homes.merged_changed(session, accesses, known, old, secret=secret)
    # A card of an own book may be called as a card of another book is called here.
    gone = [*(f"{uuid}-{href}" for uuid, href in told.gone), *filter(is_plain, told.aliases)]
    # Not cut: the clients that have this book don't ask for parts.
    if limit is not None and len(told.shown) + len(gone) > limit:
        raise _over_limit()

    def responses() -> Iterator[xml.Piece]:
        for name in dict.fromkeys(gone):
            yield xml.not_found(whole.url + encoded(name))
        for book_id, book in books.items():
            writer = Writer(request, book, asked, known[book_id], form)
            yield from writer.live((one.href, one.etag) for one in told.shown if one.book_id == book_id)

    return _multistatus(responses(), told.token, whole=not asked.reads_cards)


def _of_home(request: Request, home: Home, old: str, asked: Wanted, limit: int | None) -> Answer:
    """RFC 6578, section 3.3: which books came, went, or changed; their cards are each book's own to tell."""
    secret = _key(request)
    _rotate(request, homes.rolled_back(homes.HOME, home.books, old, secret))
    with request.reading() as session:
        told = homes.books_changed(session, home.person.id, home.books, old, secret=secret)
        books: list[BookResource | MergedBook] = [
            BookResource(book_url(request, access), access) for access in told.changed
        ]
        gone = [request.url(request.user, name, collection=True) for name in told.gone]
        if request.shows_one_book:
            books, gone = [merged_of(request, home)] if books or gone else [], []
        if limit is not None and len(books) + len(gone) > limit:
            raise _over_limit()
        responses = [*properties.described(request, books, asked), *(xml.not_found(url) for url in gone)]
    return _multistatus(responses, told.token, whole=True)


def refused(session: Session, request: Request, access: Access) -> Refused:
    """What was refused to this client in a book; no query where nothing was."""
    return core.refused_writes(session, access, request.client)


@contextmanager
def refusals_remembered(request: Request, access: Access, href: str) -> Iterator[None]:
    """Remember a write that is refused inside the block, so that this client's next sync takes it back.

    Failed conditions too: the ETag that the client named may be one of an older refusal, and the card as it was. What
    the guard refuses is written down as such too.
    """
    try:
        yield
    except (RefusedError, NotAVCardError, NotAllowedHereError, ConflictError) as error:
        if isinstance(error, GuardedError):
            blocks.record(request.db, error)
        try:
            cards.check_href(href)
        except NotAllowedHereError:
            pass
        else:
            if access.principal_id is not None:
                with request.db.write(access.book.id) as session:
                    refusals.remember(session, access.principal_id, request.client, access.book.id, href)
        raise


@live(xml.dav("sync-token"))
def sync_token(request: Request, resource: Resource) -> str | None:
    """RFC 6578, section 4."""
    secret = request.db.secret
    match resource:
        case BookResource() if not resource.access.book.search_only:
            return xml.escape(core.token(resource.access, secret))
        case MergedBook():
            return xml.escape(homes.token(homes.MERGED, [one.access for one in resource.members], _key(request)))
        case Home():
            return xml.escape(homes.token(homes.HOME, resource.books, _key(request)))
    return None


@live(f"{{{xml.CALENDARSERVER}}}getctag")
def getctag(request: Request, resource: Resource) -> str | None:
    """CalendarServer's; without it macOS asks for no cards, and KDE polls by it alone."""
    return sync_token(request, resource) if isinstance(resource, BookResource | MergedBook) else None

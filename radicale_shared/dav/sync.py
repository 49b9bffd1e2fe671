"""The sync-collection report and the sync-token property (RFC 6578); getctag is the same string.

Refused writes are remembered here for the client that made them, and reported at its next sync.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy.orm import Session

from .. import cards, homes, reading, refusals
from .. import sync as core
from ..access import Access, Verb
from ..errors import NotAllowedHereError, NotAVCardError, RefusedError, UnknownSyncTokenError
from ..etags import shown_etag
from ..reading import Stored
from ..refusals import Refused
from . import address_data, properties, xml
from .address_data import Form
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
from .resources import BookResource, CardResource, Home, MergedBook, Resource, book_of, book_url, is_plain, merged_of


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
    known = refusals.NOTHING
    new = core.token(access, secret)
    if old == new:
        return _multistatus((), new, asked)
    if core.is_rollback(access, old, secret):
        _rotate(request, [access])
        with request.db.read() as session:
            # The new epoch is part of the token from now on.
            book = book_of(session, request) or book
            access = book.access
    with request.db.read() as session:
        known = refused(session, request, access)
        try:
            told = core.changed_since(session, access, old, known, secret=secret, limit=limit)
        except UnknownSyncTokenError:
            if not _cannot_start_over(request, access):
                raise
            told = core.everything(session, access, secret)
    return _multistatus(_changes_of_book(request, book, told, known, asked, form), told.token, asked)


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


def _multistatus(responses: Iterable[str], token: str, asked: Wanted) -> Answer:
    """The answer to a sync; whole where it was read whole anyway, else in pieces as the cards are read."""
    body: Iterable[bytes] = xml.multistatus(responses, f"<sync-token>{xml.escape(token)}</sync-token>")
    return Answer(207, (("Content-Type", XML_TYPE),), body if asked.needs_data or asked.needs_details else list(body))


def _over_limit() -> InsufficientStorageError:
    return InsufficientStorageError("<number-of-matches-within-limits/>", "There are more changes than this limit.")


def _changes_of_book(
    request: Request, book: BookResource, told: core.Changes, known: Refused, asked: Wanted, form: Form
) -> Iterator[str]:
    access, view = book.access, book.access.view
    base = book.url + book.prefix
    needs_more = asked.needs_data or asked.needs_details
    live_hrefs = []
    for href, etag, deleted, *_revision in told.rows:
        if deleted:
            yield xml.not_found(base + encoded(href))
        elif needs_more:
            live_hrefs.append(href)
        else:
            resource = CardResource(base + encoded(href), access, href, shown_etag(etag, view, known.mark(href)))
            yield xml.response(resource.url, properties.propstat(request, resource, asked))
    for href in told.missing:
        yield xml.not_found(book.card_url(href))
    for resource in with_data(request, book, live_hrefs, known, form):
        yield xml.response(resource.url, properties.propstat(request, resource, asked))
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

    def responses() -> Iterator[str]:
        for name in dict.fromkeys(gone):
            yield xml.not_found(whole.url + encoded(name))
        for book_id, book in books.items():
            shown = [one for one in told.shown if one.book_id == book_id]
            if asked.needs_data or asked.needs_details:
                cards_of: Iterable[CardResource] = with_data(
                    request, book, [one.href for one in shown], known[book_id], form
                )
            else:
                cards_of = (_listed(book, one.href, one.etag, known[book_id]) for one in shown)
            for card in cards_of:
                yield xml.response(card.url, properties.propstat(request, card, asked))

    return _multistatus(responses(), told.token, asked)


def _listed(book: BookResource, href: str, etag: str, known: Refused) -> CardResource:
    shown = shown_etag(etag, book.access.view, known.mark(href))
    return CardResource(book.card_url(href), book.access, href, shown)


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
    return _multistatus(responses, told.token, asked)


def with_data(
    request: Request, book: BookResource, hrefs: Sequence[str], known: Refused, form: Form | None
) -> Iterator[CardResource]:
    """The live ones of these cards with their bytes, a batch at a time: bounded memory, no connection kept between.

    form: how to give them; None: in the version they are stored in
    """
    for stored in stored_cards(request, book.access, hrefs):
        yield card_resource(book, stored, known.mark(stored.href), form)


def card_resource(book: BookResource, stored: Stored, refused: int, form: Form | None) -> CardResource:
    """A stored card as a client sees it. refused: what its ETag counts for this client (``Refused.mark``)"""
    return CardResource(
        book.card_url(stored.href),
        book.access,
        stored.href,
        shown_etag(stored.etag, book.access.view, refused),
        stored.size,
        stored.modified_at,
        form.of(stored.data, stored.version) if form else stored.data,
        stored.version,
    )


def stored_cards(request: Request, access: Access, hrefs: Sequence[str]) -> Iterator[Stored]:
    """The live ones of these cards, read a few at a time while they are asked for."""
    for start in range(0, len(hrefs), reading.BATCH):
        with request.db.read() as session:
            pieces = reading.batches(session, access.book.id, hrefs[start : start + reading.BATCH])
        for piece in pieces:
            with request.db.read() as session:
                found = list(reading.get_many(session, access, piece)) if piece else []
            yield from found


def refused(session: Session, request: Request, access: Access) -> Refused:
    """What was refused to this client in a book; no query where nothing was."""
    return core.refused_writes(session, access, request.client)


@contextmanager
def refusals_remembered(request: Request, access: Access, href: str) -> Iterator[None]:
    """Remember a write that is refused inside the block, so that this client's next sync takes it back.

    Failed conditions too: the ETag that the client named may be one of an older refusal, and the card as it was.
    """
    try:
        yield
    except (RefusedError, NotAVCardError, NotAllowedHereError, ConflictError):
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

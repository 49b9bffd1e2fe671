"""Reading cards as somebody sees them: each read that gives bytes takes an ``Access``, and gives those of its view.

Hidden fields are left out here and nowhere else. Whoever reads for the program itself, not for a reader, does so as the
administrator (``access.administrator``), whose view is full. A full view costs nothing: the stored bytes are given, and
no card is parsed. Through a view that hides fields neither the size of what is stored is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, case, select
from sqlalchemy.orm import Session

from . import bodies, lanes, vcard
from .access import Access, View
from .models import Card as CardTable
from .models import table
from .statements import Rows, Statement

# Cards that are read together, so that they take 6 MB at most; one with more bytes than LARGE is read by itself.
BATCH = 200
LARGE = 32 * 1024
# Cards of one page of a listing.
PAGE = 1000

# Opens a reading session, e.g. ``Database.read``.
Read = Callable[[], AbstractContextManager[Session]]


class Stored(NamedTuple):
    """A live card as its reader sees it.

    etag: the stored one (see ``etags``)
    size, data: of what the reader sees: the exact bytes that are stored, or these without the lines of hidden fields
    """

    href: str
    etag: str
    size: int
    version: str
    modified_at: datetime
    data: bytes


_cards = table(CardTable).c
_live = (_cards.book_id == bindparam("book"), ~_cards.deleted)
_with_bytes = bodies.beside(table(CardTable), _cards.body_id)
_stored = (
    select(_cards.href, _cards.etag, _cards.size, _cards.version, _cards.modified_at, *bodies.columns)
    .select_from(_with_bytes)
    .where(*_live)
)
_ONE = Statement(_stored.where(_cards.href == bindparam("href")))
_EVERY = _stored.order_by(_cards.id)
_SOME = Statement(
    select(
        *(_cards.href, _cards.etag, _cards.size, _cards.version, _cards.modified_at),
        *(case((_cards.size <= bindparam("most"), column)) for column in bodies.columns),
    )
    .select_from(_with_bytes)
    .where(*_live, _cards.href.in_(bindparam("hrefs", expanding=True)))
    .order_by(_cards.id)
)
_IS_THERE = Statement(select(_cards.id).where(*_live, _cards.href == bindparam("href")))
_page = (*_live, _cards.href > bindparam("after"))
_PAGE = Statement(
    select(_cards.href, _cards.etag, _cards.id).where(*_page).order_by(_cards.href).limit(bindparam("most"))
)
_DETAILS = Statement(
    select(_cards.href, _cards.etag, _cards.size, _cards.modified_at)
    .where(*_page)
    .order_by(_cards.href)
    .limit(bindparam("most"))
)
_HAS_UID = Statement(select(_cards.id).where(*_live, _cards.uid == bindparam("uid")))
_LAST_CHANGE = Statement(
    select(_cards.modified_at).where(_cards.book_id == bindparam("book")).order_by(_cards.revision.desc()).limit(1)
)


def as_seen(data: bytes, view: View) -> bytes:
    """A card's bytes as they are seen through ``view``."""
    return vcard.visible(vcard.Card.parse(data), view.hidden).serialise() if view.hidden else data


def get(session: Session, access: Access, href: str) -> Stored | None:
    """The live card at ``href``."""
    row = _ONE.row(session, book=access.book.id, href=href)
    stored = _stored_of(row) if row else None
    return _seen(access.view, stored) if stored else None


def get_many(read: Read, access: Access, hrefs: Sequence[str]) -> Iterator[Stored]:
    """The live ones of some cards; read a few at a time, as they are asked for, and no connection kept between.

    read: opens a reading session, e.g. ``Database.read``
    """
    for start in range(0, len(hrefs), BATCH):
        if start:
            lanes.give_way()  # of 50,000 cards perhaps none matches a search, and all have to be looked at
        with read() as session:
            rows = _SOME.rows(session, book=access.book.id, hrefs=list(hrefs[start : start + BATCH]), most=LARGE)
        for row in rows:
            stored = _stored_of(row)
            if stored is not None:
                yield _seen(access.view, stored)
                continue
            with read() as session:
                large = get(session, access, row[0])
            if large is not None:
                yield large


def every(session: Session, access: Access) -> Iterator[Stored]:
    """All live cards with their bytes, oldest first, read as they are asked for: by a ``Database.snapshot``."""
    for row in session.execute(_EVERY, {"book": access.book.id}, execution_options={"yield_per": 20}):
        stored = _stored_of(row)
        if stored is not None:
            yield _seen(access.view, stored)


def _stored_of(row: Sequence[Any]) -> Stored | None:
    """The card of a row that ends with ``bodies.columns``; None without its bytes."""
    href, etag, size, version, modified_at, data, large_at, large = row
    if large_at is not None:
        data = bodies.whole(data, large_at, large)
    return None if data is None else Stored(href, etag, size, version, modified_at, data)


def _seen(view: View, stored: Stored) -> Stored:
    if not view.hidden:
        return stored
    data = as_seen(stored.data, view)
    return stored._replace(size=len(data), data=data)


def is_there(session: Session, book_id: int, href: str) -> bool:
    """Whether there is a live card at ``href``."""
    return _IS_THERE.row(session, book=book_id, href=href) is not None


def pages(read: Read, access: Access) -> Iterator[Rows]:
    """(href, etag, id) of all live cards, a thousand at a time, no connection kept between.

    Each card once, whatever is written meanwhile: the pages are cut by the hrefs, which never change.
    """
    yield from _paged(read, access, _PAGE)


def pages_with_details(read: Read, access: Access) -> Iterator[Rows]:
    """(href, etag, size, modified_at) of all live cards in the same way; size: None where the view hides fields."""
    for page in _paged(read, access, _DETAILS):
        yield [(href, etag, None, at) for href, etag, _, at in page] if access.view.hidden else page


def _paged(read: Read, access: Access, query: Statement) -> Iterator[Rows]:
    after = ""
    while True:
        with read() as session:
            page = query.rows(session, book=access.book.id, after=after, most=PAGE)
        yield page
        if len(page) < PAGE:
            return
        after = page[-1][0]


def last_change(session: Session, book_id: int) -> datetime | None:
    """When a card of the book was written or deleted last; None if it never had one."""
    found: datetime | None = _LAST_CHANGE.value(session, book=book_id)
    return found


def has_uid(session: Session, book_id: int, uid: str) -> bool:
    """Whether a live card of the book has this UID."""
    return _HAS_UID.row(session, book=book_id, uid=uid) is not None

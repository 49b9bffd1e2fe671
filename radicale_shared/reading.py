"""Reading cards as somebody sees them: each read that gives bytes takes an ``Access``, and gives those of its view.

Hidden fields are left out here and nowhere else. Whoever reads for the program itself, not for a reader, does so as the
administrator (``access.administrator``), whose view is full. A full view costs nothing: the stored bytes are given, and
no card is parsed. Through a view that hides fields neither the size of what is stored is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, null, select
from sqlalchemy.orm import Session

from . import vcard
from .access import Access, View
from .models import AnyRow, Body, table
from .models import Card as CardTable

# Cards of one IN list: databases limit the variables of a statement.
BATCH = 500
# Bytes of the cards that are read together, unless a single one has more.
BATCH_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stored:
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


_STORED = select(
    CardTable.href, CardTable.etag, CardTable.size, CardTable.version, CardTable.modified_at, Body.data
).join(Body, Body.id == CardTable.body_id)
_ONE = _STORED.where(CardTable.book_id == bindparam("book"), CardTable.href == bindparam("href"), ~CardTable.deleted)
_SOME = _STORED.where(
    CardTable.book_id == bindparam("book"),
    CardTable.href.in_(bindparam("hrefs", expanding=True)),
    ~CardTable.deleted,
).order_by(CardTable.id)
_EVERY = _STORED.where(CardTable.book_id == bindparam("book"), ~CardTable.deleted).order_by(CardTable.id)
# On the table, not the mapped class: over thousands of rows the ORM would cost more than the query.
_columns = table(CardTable).c
_IS_THERE = select(_columns.id).where(
    _columns.book_id == bindparam("book"), _columns.href == bindparam("href"), ~_columns.deleted
)
_LISTING = select(_columns.href, _columns.etag).where(_columns.book_id == bindparam("book"), ~_columns.deleted)
_SIZES = (
    select(_columns.href, _columns.size)
    .where(
        _columns.book_id == bindparam("book"), _columns.href.in_(bindparam("hrefs", expanding=True)), ~_columns.deleted
    )
    .order_by(_columns.id)
)
_DETAILS = _LISTING.add_columns(_columns.size, _columns.modified_at)
_DETAILS_OF_A_PART = _LISTING.add_columns(null().label("size"), _columns.modified_at)
_HAS_UID = select(CardTable.id).where(
    CardTable.book_id == bindparam("book"), CardTable.uid == bindparam("uid"), ~CardTable.deleted
)
_LAST_CHANGE = (
    select(CardTable.modified_at)
    .where(CardTable.book_id == bindparam("book"))
    .order_by(CardTable.revision.desc())
    .limit(1)
)


def as_seen(data: bytes, view: View) -> bytes:
    """A card's bytes as they are seen through ``view``."""
    return vcard.visible(vcard.Card.parse(data), view.hidden).serialise() if view.hidden else data


def get(session: Session, access: Access, href: str) -> Stored | None:
    """The live card at ``href``."""
    row = session.execute(_ONE, {"book": access.book.id, "href": href}).one_or_none()
    return _seen(access.view, row) if row else None


def get_many(session: Session, access: Access, hrefs: Sequence[str]) -> Iterator[Stored]:
    """The live ones of at most BATCH hrefs, oldest first."""
    if len(hrefs) > BATCH:
        raise ValueError(f"at most {BATCH} hrefs at a time")
    for row in session.execute(_SOME, {"book": access.book.id, "hrefs": list(hrefs)}):
        yield _seen(access.view, row)


def batches(session: Session, book_id: int, hrefs: Sequence[str]) -> list[list[str]]:
    """The live ones of at most BATCH hrefs, cut so that no piece has more than BATCH_BYTES (but a single card may)."""
    if len(hrefs) > BATCH:
        raise ValueError(f"at most {BATCH} hrefs at a time")
    pieces: list[list[str]] = [[]]
    room = BATCH_BYTES
    for href, size in session.execute(_SIZES, {"book": book_id, "hrefs": list(hrefs)}):
        if size > room and pieces[-1]:
            pieces.append([])
            room = BATCH_BYTES
        pieces[-1].append(href)
        room -= size
    return pieces


def every(session: Session, access: Access) -> Iterator[Stored]:
    """All live cards with their bytes, oldest first, read as they are asked for: by a ``Database.snapshot``."""
    for row in session.execute(_EVERY, {"book": access.book.id}, execution_options={"yield_per": 20}):
        yield _seen(access.view, row)


def _seen(view: View, row: AnyRow) -> Stored:
    if not view.hidden:
        return Stored(*row)
    data = as_seen(row.data, view)
    return Stored(row.href, row.etag, len(data), row.version, row.modified_at, data)


def is_there(session: Session, book_id: int, href: str) -> bool:
    """Whether there is a live card at ``href``."""
    return session.execute(_IS_THERE, {"book": book_id, "href": href}).first() is not None


def listing(session: Session, access: Access) -> Sequence[AnyRow]:
    """(href, etag) of all live cards, in no order."""
    return session.execute(_LISTING, {"book": access.book.id}).all()


def listing_with_details(session: Session, access: Access) -> Sequence[AnyRow]:
    """(href, etag, size, modified_at) of all live cards, in no order; size: None where the view hides fields."""
    query = _DETAILS_OF_A_PART if access.view.hidden else _DETAILS
    return session.execute(query, {"book": access.book.id}).all()


def last_change(session: Session, book_id: int) -> datetime | None:
    """When a card of the book was written or deleted last; None if it never had one."""
    return session.scalar(_LAST_CHANGE, {"book": book_id})


def has_uid(session: Session, book_id: int, uid: str) -> bool:
    """Whether a live card of the book has this UID."""
    return session.execute(_HAS_UID, {"book": book_id, "uid": uid}).first() is not None

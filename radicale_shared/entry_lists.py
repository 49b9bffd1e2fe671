"""Entries in the order of their names, for phones that get a whole book, and for pages of it.

The order is one of the keys of ``entry_keys``. Through a view that hides fields it is that of what is left: a card
without a name is called by what it has, and where it stands in a list would tell what its hidden company begins with.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from itertools import islice

from sqlalchemy import bindparam, select

from . import entry_rows, lanes
from .access import Access
from .entries import Entry
from .entry_keys import order_of
from .models import EntryKey, table
from .reading import Read
from .statements import Statement

PAGE = 200

_keys = table(EntryKey).c
_NEXT = Statement(
    select(_keys.key, _keys.card_id)
    .where(
        _keys.book_id == bindparam("book"),
        _keys.key >= bindparam("after"),
        _keys.key < bindparam("end"),
        (_keys.key > bindparam("after")) | (_keys.card_id > bindparam("card")),
    )
    .order_by(_keys.key, _keys.card_id)
    .limit(PAGE)
)

# What the lists are put in order by: an order's key, and the card.
_Place = tuple[str, int]


def in_order(
    reading: Read, accesses: Mapping[int, Access], order: str, *, on_phones: bool = False
) -> Iterator[list[Entry]]:
    """All entries of some books as their reader sees them, by name, some hundred at a time, none of them twice.

    reading: opens a reading session, e.g. ``Database.read``; no connection is kept between
    accesses: {id of a book: what the reader may do with it}
    order: FAMILY_FIRST or GIVEN_FIRST of ``entry_keys``
    on_phones: whether those that are hidden from phones are left out
    """
    lists = [
        _by_what_is_left(reading, access, order, on_phones=on_phones)
        if access.view.hidden
        else _by_index(reading, book_id, order)
        for book_id, access in accesses.items()
    ]
    places = heapq.merge(*lists)
    told: set[int] = set()
    while some := list(islice(places, PAGE)):
        # Who is renamed meanwhile may come twice; who isn't there then comes with the book's next state.
        ids = [card_id for _, card_id in some if card_id not in told]
        told.update(ids)
        with reading() as session:
            found = entry_rows.seen(session, accesses, ids, on_phones=on_phones)
        yield found
        lanes.queue_again()


def _by_index(reading: Read, book_id: int, order: str) -> Iterator[_Place]:
    """The places of the entries of a book that the reader sees all of."""
    after, card = order, 0
    while True:
        with reading() as session:
            rows = _NEXT.rows(session, book=book_id, after=after, card=card, end=chr(ord(order) + 1))
        yield from ((key, card_id) for key, card_id in rows)
        if len(rows) < PAGE:
            return
        after, card = rows[-1]


def _by_what_is_left(reading: Read, access: Access, order: str, *, on_phones: bool) -> Iterator[_Place]:
    places: list[_Place] = []
    for page in entry_rows.pages(reading, access, on_phones=on_phones):
        places += ((order_of(entry, order), entry.card_id) for entry in page)
        lanes.queue_again()
    yield from sorted(places)

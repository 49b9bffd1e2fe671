"""Making entries anew: what numbers mean depends on the region of their book, and on what is known of countries.

``books.entries_of`` says by which rules all entries of a book were made. Where one of those has changed since, or where
entries are written otherwise, ``refresh`` makes them anew, card by card, while others read and write.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, select, tuple_, update
from sqlalchemy.orm import Session

from . import bodies, books, search_index, slices, vcard
from .database import Database
from .entries import Entry, of_card
from .entry_keys import is_of_this_edition, rules, unfinished
from .entry_rows import PAGE, Searched, searched_of, store
from .models import Book as BookTable
from .models import Card as CardTable
from .models import CardSearch, EntryKey, table
from .models import Entry as EntryTable
from .statements import Statement

_MOST_EMPTIED = 2000

_cards, _entries, _keys = table(CardTable).c, table(EntryTable).c, table(EntryKey).c


def stale(session: Session) -> list[int]:
    """The ids of the live books whose entries were made by other rules than today's."""
    query = select(BookTable.id, books.region_column(), BookTable.entries_of).where(BookTable.deleted_at.is_(None))
    return [book_id for book_id, region, made_by in session.execute(query) if made_by != rules(region)]


def refresh(db: Database, *, told: Callable[[int], object] = lambda _cards: None, damaged: bool = False) -> int:
    """Make the entries of stale books anew, in short transactions; returns of how many books.

    told: is told how many cards are done, again and again
    damaged: make those of all books anew, from nothing

    Two that do it at once, and writers in between, leave what is right: whoever writes a card writes its entry.
    """
    with db.read() as session:
        found = {book.id: book for book in books.all_books(session)}
        meant = found if damaged else [book_id for book_id in stale(session) if book_id in found]
    count = 0
    for book_id in meant:
        count += _refreshed(db, book_id, told, damaged=damaged)
    return count


def _empty(db: Database, book_id: int) -> str:
    """Remove all entries and keys of a book, some at a time; who writes a card meanwhile writes what is new.

    Returns what the book says of its entries then, unless somebody else makes them say something else meanwhile.
    """
    mark = unfinished(from_nothing=True)
    with db.write(book_id) as session:
        # Whoever finds it half done begins again.
        books.entries_made(session, book_id, mark)
    some_keys = select(_keys.key, _keys.card_id).where(_keys.book_id == book_id).limit(_MOST_EMPTIED)
    of_book = delete(table(EntryKey)).where(_keys.book_id == book_id)
    keys_gone = of_book.where(tuple_(_keys.key, _keys.card_id).in_(some_keys)).returning(_keys.card_id)
    _in_slices(db, book_id, lambda session: len(session.execute(keys_gone).all()))
    some = select(_entries.card_id).where(_entries.book_id == book_id).limit(_MOST_EMPTIED)
    gone = delete(table(EntryTable)).where(_entries.card_id.in_(some)).returning(_entries.card_id)

    def remove(session: Session) -> int:
        ids = list(session.scalars(gone))
        # Keys of who was written since.
        session.execute(of_book.where(_keys.card_id.in_(ids)))
        return len(ids)

    _in_slices(db, book_id, remove)
    return mark


def _in_slices(db: Database, book_id: int, remove: Callable[[Session], int]) -> None:
    """Remove rows of a book until there are none. remove: some of them, and says how many"""
    removed = 1
    while removed:
        with db.write(book_id) as session:
            books.lock(session, book_id)
            removed = remove(session)
        slices.pause()


_SIZES = Statement(
    select(_cards.id, _cards.size)
    .where(_cards.book_id == bindparam("book"), _cards.id > bindparam("after"), ~_cards.deleted)
    .order_by(_cards.id)
    .limit(PAGE)
)
_REFRESHED = Statement(
    select(_cards.id, _cards.revision, *bodies.columns)
    .select_from(bodies.beside(table(CardTable), _cards.body_id))
    .where(_cards.id.in_(bindparam("cards", expanding=True)), ~_cards.deleted)
)
_REVISIONS = Statement(
    select(_cards.id, _cards.revision, _entries.data)
    .select_from(table(CardTable).join(table(EntryTable), _entries.card_id == _cards.id, isouter=True))
    .where(_cards.id.in_(bindparam("cards", expanding=True)), ~_cards.deleted)
)
_search = table(CardSearch)
_NEW_TEXTS = Statement(update(_search).where(_search.c.card_id == bindparam("card")), "more_in", *search_index.FIELDS)


def _refreshed(db: Database, book_id: int, told: Callable[[int], object], *, damaged: bool) -> bool:
    """Whether the book is still there, and all of its entries are made by the rules of the region it had."""
    with db.read() as session:
        at_first = books.entries_by(session, book_id)
    if at_first is not None and (damaged or (at_first[1] and not is_of_this_edition(at_first[1]))):
        mark = _empty(db, book_id)
        with db.read() as session:
            at_first = books.entries_by(session, book_id)
        if at_first is not None and at_first[1] != mark:
            return False  # somebody else removes them too
    if at_first is None:
        return False
    region, _ = at_first
    for portion in slices.read_ahead(_sizes(db, book_id), lambda one: one[1]):
        with db.read() as session:
            rows = _REFRESHED.rows(session, cards=[card_id for card_id, _ in portion])
        made = deque(one for row in rows if (one := _made(row, book_id, region)))
        while made:
            with db.write(book_id) as session:
                if not _replaced(session, book_id, region, made):
                    return False
            slices.pause()
        told(len(portion))
    with db.write(book_id) as session:
        if not books.lock(session, book_id) or books.entries_by(session, book_id) != at_first:
            return False  # whoever changed the region, or makes them from nothing, finishes it
        books.entries_made(session, book_id, rules(region))
    return True


def _sizes(db: Database, book_id: int) -> Iterator[tuple[int, int]]:
    """(id, size) of the live cards of a book."""
    after = 0
    while True:
        with db.read() as session:
            rows = _SIZES.rows(session, book=book_id, after=after)
        yield from ((card_id, size) for card_id, size in rows)
        if len(rows) < PAGE:
            return
        after = rows[-1][0]


class _Made(NamedTuple):
    """What is to be written anew of a card."""

    card_id: int
    revision: int
    entry: Entry | None
    texts: Searched


def _made(row: Sequence[Any], book_id: int, region: str) -> _Made | None:
    """What a row of _REFRESHED makes; None for a card whose bytes are damaged."""
    card_id, revision, *parts = row
    data = bodies.whole(*parts)
    if data is None:
        return None
    card = vcard.Card.parse(data)
    entry = of_card(card, card_id=card_id, book_id=book_id, region=region)
    return _Made(card_id, revision, entry, searched_of(card, entry))


def _replaced(session: Session, book_id: int, region: str, made: deque[_Made]) -> bool:
    """Write entries of cards that nobody has written since they were read, as many as a slice takes.

    False if the book is gone, or of another region by now.
    """
    if not books.lock(session, book_id) or (books.entries_by(session, book_id) or ("",))[0] != region:
        return False
    present = {row[0]: row[1:] for row in _REVISIONS.rows(session, cards=[one.card_id for one in made])}
    for card_id, revision, entry, texts in slices.taken(made):
        now_at, had = present.get(card_id, (None, None))
        if now_at == revision:
            store(session, had, card_id, book_id, entry)
            _NEW_TEXTS.run(session, card=card_id, more_in=texts.more_in, **texts.fields)
    return True

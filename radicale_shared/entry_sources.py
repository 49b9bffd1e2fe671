"""What gives entries of some books: keys of entries, trigrams of cards' texts, a card's own number, or all there are.

Each source has an order of its own and goes on behind any place in it; it gives a superset, some at a time, and holds
nothing between. An entry is given once, at the first of its keys there that the reader sees, and only by the first of
several sources. So a search goes on anywhere without a memory of what it gave, and what is hidden changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import bindparam, text

from . import search_index, vcard
from .access import Access
from .entries import Entry
from .entry_keys import DIGITS, FAMILY_FIRST, GIVEN_FIRST, SUFFIX, T9, keys_of, plain
from .numbers import digits_of
from .reading import Read
from .search_index import BOOK_SHIFT, CARD_MASK, CARD_SHIFT, EVERY_VERSION, PLACE_MASK, SHORTEST
from .statements import Statement

# What a book that is only searched has to be asked by.
LEAST_LETTERS = 3
LEAST_DIGITS = 5

LARGEST = 384  # entries that are looked at together in a long search
_MOST_BOOKS = 128  # in one statement
_HIGHEST = "\U0010ffff"  # behind every text that begins so


@dataclass(frozen=True, slots=True)
class HasKey:
    """A key of the entry begins with ``key``, or is it."""

    key: str
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class HasText:
    """A text of one of ``fields`` (``search_index.FIELDS``) contains ``text``, which is plain and not empty."""

    fields: frozenset[str]
    text: str


@dataclass(frozen=True, slots=True)
class IsCard:
    """It is the entry of this card."""

    card_id: int


@dataclass(frozen=True, slots=True)
class IsThere:
    """Every entry of books from which fields are hidden, in the order of cards.

    That of names won't do there: who has none is called by something else, which may be hidden. Elsewhere this gives
    nothing.
    """


Source = HasKey | HasText | IsCard | IsThere


class Place(NamedTuple):
    """Where in a search an entry was found.

    source: the number of the source; key: its first key there, or nothing where a source goes by cards
    searched: how many were given until then of books that are only searched
    """

    source: int
    key: str
    book_id: int
    card_id: int
    searched: int = 0


def may_ask(access: Access, source: Source) -> bool:
    """Whether a book may be asked for what a source gives, and whether any of it can be seen there."""
    hidden = access.view.hidden
    if isinstance(source, IsCard):
        return True
    if isinstance(source, IsThere):
        return bool(hidden) and not access.book.search_only
    if isinstance(source, HasText):
        is_enough = len(source.text) >= (LEAST_DIGITS if source.fields == {"tel"} else LEAST_LETTERS)
        return not source.fields <= hidden and (is_enough or not access.book.search_only)
    kind, length = source.key[0], len(source.key) - 1
    if kind in {FAMILY_FIRST, GIVEN_FIRST} and hidden:
        return False
    if kind in {DIGITS, SUFFIX} and "tel" in hidden:
        return False
    return not access.book.search_only or length >= (LEAST_DIGITS if kind in {DIGITS, SUFFIX, T9} else LEAST_LETTERS)


def is_first(entry: Entry, place: Place, source: Source, before: Sequence[Source]) -> bool:
    """Whether an entry, as it is seen, is given at this place: nowhere before, and by something that is seen.

    before: the sources before this one that its book was asked for
    """
    keys = keys_of(entry)
    if any(_holds(entry, keys, one) for one in before):
        return False
    if not isinstance(source, HasKey):
        return _holds(entry, keys, source)
    return place.key == min((key for key in keys if _has(key, source)), default=None)


def has_text_of(entry: Entry, source: Source) -> bool:
    """Whether an entry has the text that a source is about, if any: the index also has what entries leave out."""
    return not isinstance(source, HasText) or any(
        source.text in one for of in source.fields for one in _texts(entry, of)
    )


def _holds(entry: Entry, keys: frozenset[str], source: Source) -> bool:
    if isinstance(source, HasKey):
        return any(_has(key, source) for key in keys)
    if isinstance(source, IsCard):
        return entry.card_id == source.card_id
    if isinstance(source, IsThere):
        return True
    return has_text_of(entry, source)


def _has(key: str, source: HasKey) -> bool:
    return key == source.key if source.is_whole else key.startswith(source.key)


def _texts(entry: Entry, field: str) -> Iterator[str]:
    """The texts of an entry that a field of the search index has of its card, plain."""
    match field:
        case "fn":
            found: tuple[str, ...] = (entry.name,)
        case "n":
            found = (entry.family, entry.given, entry.additional, entry.prefix, entry.suffix)
        case "org":
            found = (entry.org, *entry.units)
        case "email":
            found = entry.emails
        case "adr":
            found = tuple(part for one in entry.addresses for part in one[1:])
        case "categories":
            found = entry.categories
        case "tel":
            found = tuple(told for one in entry.numbers for told in (one.digits, digits_of(one.written)))
        case "nickname":
            found = (entry.nickname,)
        case "title":
            found = (entry.title,)
        case "note":
            found = (entry.note,)
        case _:
            found = (entry.uid,)
    return map(plain, found)


def looked_up(
    reading: Read, book_ids: Sequence[int], source: Source, after: Place | None, size: int
) -> Iterator[list[Place]]:
    """What a source gives of some books behind a place, some at a time."""
    if not book_ids:
        return
    if isinstance(source, HasText):
        yield from _by_text(reading, book_ids, source, after, size)
        return
    if isinstance(source, IsCard):
        if after is None:
            yield [Place(0, "", 0, source.card_id)]
        return
    if isinstance(source, IsThere):
        yield from _of_books(reading, book_ids, after, size)
        return
    for start in range(0, len(book_ids), _MOST_BOOKS):
        # More books than one statement takes come one part after another: after their places, so are these.
        some = book_ids[start : start + _MOST_BOOKS]
        if after is not None and len(book_ids) > _MOST_BOOKS and after.book_id > some[-1]:
            continue
        here = after if after is not None and (len(book_ids) <= _MOST_BOOKS or after.book_id >= some[0]) else None
        yield from _by_key(reading, some, source, here, size)


# -- by keys -----------------------------------------------------------------------------------------------------------


def _by_key(
    reading: Read, book_ids: Sequence[int], source: HasKey, after: Place | None, size: int
) -> Iterator[list[Place]]:
    statement = _ranges(1 << (len(book_ids) - 1).bit_length())
    padded = [*book_ids, *[0] * (statement.books - len(book_ids))]
    values = {f"book{at}": book_id for at, book_id in enumerate(padded)}
    end = f"{source.key}\x01" if source.is_whole else source.key + _HIGHEST
    key, card_id = (after.key, after.card_id) if after else (source.key, 0)
    while True:
        with reading() as session:
            rows = statement.rows(session, key=key, card=card_id, end=end, most=size, **values)
        if rows:
            key, card_id = rows[-1][:2]
            yield [Place(0, its_key, book_id, its_card) for its_key, its_card, book_id in rows]
        if len(rows) < size:
            return
        size = min(2 * size, LARGEST)


class _Ranges(Statement):
    """What has a key of a range, in some books. books: how many"""

    def __init__(self, books: int) -> None:
        one = (
            "SELECT key, card_id, book_id FROM entry_keys WHERE book_id = :book{} AND (key, card_id) > (:key, :card)"
            " AND key < :end ORDER BY key, card_id LIMIT :most"
        )
        if books == 1:
            query = one.format(0)
        else:
            each = " UNION ALL ".join(f"SELECT * FROM ({one.format(at)}) AS book{at}" for at in range(books))  # noqa: S608  # numbers
            query = f"{each} ORDER BY key, card_id LIMIT :most"
        super().__init__(text(query))
        self.books = books


@lru_cache(maxsize=_MOST_BOOKS.bit_length())
def _ranges(books: int) -> _Ranges:
    return _Ranges(books)


_EVERY = Statement(
    text("SELECT card_id FROM entries WHERE book_id = :book AND card_id > :after ORDER BY card_id LIMIT :most")
)


def _of_books(reading: Read, book_ids: Sequence[int], after: Place | None, size: int) -> Iterator[list[Place]]:
    for book_id in book_ids:
        if after is not None and book_id < after.book_id:
            continue
        card_id = after.card_id if after is not None and book_id == after.book_id else 0
        while True:
            with reading() as session:
                rows = _EVERY.rows(session, book=book_id, after=card_id, most=size)
            if rows:
                card_id = rows[-1][0]
                yield [Place(0, "", book_id, its_card) for (its_card,) in rows]
            if len(rows) < size:
                break
            size = min(2 * size, LARGEST)


# -- by texts ----------------------------------------------------------------------------------------------------------

_TRIGRAMS = Statement(
    text(
        "SELECT rowid FROM card_texts WHERE card_texts MATCH :expression AND rowid > :after AND rowid <= :highest"  # noqa: S608  # our own numbers
        f" AND (rowid >> {BOOK_SHIFT}) IN :books AND (:places >> (rowid & {PLACE_MASK})) & 1"
        " ORDER BY rowid LIMIT :most"
    ).bindparams(bindparam("books", expanding=True))
)
# Cards of which texts were cut: the index can't tell what else they have.
_CUT = Statement(
    text(
        "SELECT book_id, card_id FROM card_search"  # noqa: S608  # our own name
        f" WHERE book_id IN :books AND more_in = '{EVERY_VERSION}' AND more_in <> '' ORDER BY book_id, card_id"
    ).bindparams(bindparam("books", expanding=True))
)


def _by_text(
    reading: Read, book_ids: Sequence[int], source: HasText, after: Place | None, size: int
) -> Iterator[list[Place]]:
    """In the order of books and cards."""
    begin = (after.book_id, after.card_id) if after else (0, 0)
    with reading() as session:
        cut = [Place(0, "", *row) for row in _CUT.rows(session, books=list(book_ids)) if row > begin]
        is_sqlite = session.get_bind().dialect.name == "sqlite"
    if is_sqlite and len(source.text) >= SHORTEST:
        told = _by_trigrams(reading, book_ids, source, begin, size)
    else:
        told = _by_patterns(reading, book_ids, source, begin, size, is_sqlite=is_sqlite)
    for places in told:
        last = places[-1][2:4]
        earlier = [one for one in cut if one[2:4] <= last]
        cut = cut[len(earlier) :]
        yield sorted({*places, *earlier}, key=lambda one: one[2:4]) if earlier else places
    for start in range(0, len(cut), LARGEST):
        yield cut[start : start + LARGEST]


def _by_trigrams(
    reading: Read, book_ids: Sequence[int], source: HasText, begin: tuple[int, int], size: int
) -> Iterator[list[Place]]:
    needles = [(field, vcard.needle(field, source.text)) for field in sorted(source.fields)]
    expression = search_index.expression(needles)
    lowest, highest = search_index.keys_of(book_ids)
    after = max(lowest - 1, (begin[0] << BOOK_SHIFT) + (begin[1] << CARD_SHIFT) + PLACE_MASK)
    values = {"books": list(book_ids), "places": search_index.places_of(source.fields), "highest": highest}
    while True:
        with reading() as session:
            rows = _TRIGRAMS.rows(session, expression=expression, after=after, most=size, **values)
        if rows:
            cards = dict.fromkeys(row[0] >> CARD_SHIFT for row in rows)
            yield [Place(0, "", card >> BOOK_SHIFT - CARD_SHIFT, card & CARD_MASK) for card in cards]
        if len(rows) < size:
            return
        after = rows[-1][0] | PLACE_MASK
        size = min(2 * size, LARGEST)


def _by_patterns(
    reading: Read, book_ids: Sequence[int], source: HasText, begin: tuple[int, int], size: int, *, is_sqlite: bool
) -> Iterator[list[Place]]:
    """By PostgreSQL's own index; or by a look at every card, as no trigram is so short: a quick one at its text."""
    statement = _patterns(tuple(sorted(source.fields)), is_sqlite=is_sqlite)
    pattern = source.text if is_sqlite else "%" + re.sub(r"([\\%_])", r"\\\1", source.text) + "%"
    while True:
        with reading() as session:
            rows = statement.rows(
                session, books=list(book_ids), pattern=pattern, book=begin[0], card=begin[1], most=size
            )
        if rows:
            begin = rows[-1]
            yield [Place(0, "", *row) for row in rows]
        if len(rows) < size:
            return
        size = min(2 * size, LARGEST)


@lru_cache(maxsize=64)
def _patterns(fields: tuple[str, ...], *, is_sqlite: bool) -> Statement:
    test = "instr({}, :pattern) > 0" if is_sqlite else "{} LIKE :pattern"
    holds = " OR ".join(map(test.format, fields))
    query = (
        "SELECT book_id, card_id FROM card_search"  # noqa: S608  # names of search_index.FIELDS
        f" WHERE book_id IN :books AND (book_id, card_id) > (:book, :card) AND ({holds})"
        " ORDER BY book_id, card_id LIMIT :most"
    )
    # Of what many cards contain some are found soon in their order; of what few do the trigrams find all.
    return Statement(text(query).bindparams(bindparam("books", expanding=True)), planned_anew=True)

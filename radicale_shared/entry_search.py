"""Which entries are found by what: for phones, which know beginnings of words and digits, and for the LDAP view.

A search is narrowed by what is indexed: the keys of entries (``entry_keys``) and the trigrams of cards' texts
(``search_index``), read a few at a time and in an order of their own, so that the first hits cost the same in a book of
any size. What is found is a superset. The entry decides, as its reader sees it: what is hidden makes no difference to
what is found, to how much, or to the order; a place in a search (``Place``) is made of nothing but what the reader saw.

Each source of a search gives an entry once, at the first of its keys there that the reader sees, and only what no
source before it gives. So a search goes on anywhere without a memory of what it gave.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from sqlalchemy.orm import Session

from . import entry_rows, lanes
from .access import Access
from .entries import Entry
from .entry_keys import DIGITS, FAMILY_FIRST, GIVEN_FIRST, MOST, SUFFIX, T9, WORD, keys_of, order_of, plain
from .entry_sources import (
    LARGEST,
    LEAST_DIGITS,
    HasKey,
    HasText,
    IsCard,
    IsThere,
    Place,
    Source,
    has_text_of,
    is_first,
    looked_up,
    may_ask,
)
from .reading import Read
from .search_index import SHORTEST

# How many entries a search gives of books that are only searched, with all its pages.
MOST_OF_SEARCHED = 100

FIRST = 24  # entries that are looked at together at first
_FEW = 10
_WAY = 4  # times; then others run first
_SORTED = 100  # results; so many or fewer are put in the order of their names
_APART = re.compile(r"[\s,;$]+")


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of them hold; of none: every entry."""

    parts: tuple[Narrowing, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of them holds; of none: no entry."""

    parts: tuple[Narrowing, ...]


# What has to be true of an entry that is looked for.
Narrowing = HasKey | HasText | IsCard | AllOf | AnyOf

EVERY = AllOf(())
NOBODY = AnyOf(())


class Hit(NamedTuple):
    """An entry that was found, and where."""

    entry: Entry
    place: Place


def has_text(fields: Sequence[str], written: str) -> Narrowing:
    """What narrows a search for texts of some fields that contain what is written: its longest part."""
    longest = max(_APART.split(plain(written)), key=len)
    return HasText(frozenset(fields), longest) if longest else EVERY


def begins(written: str) -> Narrowing:
    """What narrows a search for names, organisations or e-mail addresses that begin with what is written."""
    *whole, last = plain(written).split(" ")
    found = [HasKey(f"{WORD}{word}"[:MOST], is_whole=len(word) < MOST) for word in whole if word]
    if last:
        found.append(HasKey(f"{WORD}{last}"[:MOST]))
    return max(found, key=lambda one: len(one.key), default=EVERY)


# -- what phones ask ---------------------------------------------------------------------------------------------------

Shown = Callable[[Entry], Entry]


def _whole(entry: Entry) -> Entry:
    return entry


def by_words(
    session: Session,
    accesses: Mapping[int, Access],
    written: str,
    *,
    limit: int,
    family_first: bool = True,
    shown: Shown = _whole,
) -> list[Entry]:
    """The entries of which each word that is written begins a word of the name or organisation, or an e-mail address.

    In the order of their names, if they are no more than a hundred. Else those first whose name begins with what is
    written, and those behind of which another word does: so a page costs the same in a book of any size. No words at
    all find everyone.

    family_first: whether names are in order by the family's name
    shown: what of an entry is to be seen; nothing else is searched, and this is what is returned
    """
    words = [word[: MOST - 1] for word in plain(written).split(" ") if word]

    def matches(entry: Entry) -> bool:
        its = [key[1:] for key in keys_of(entry) if key[0] == WORD]
        return all(any(one.startswith(word) for one in its) for word in words)

    orders = (FAMILY_FIRST, GIVEN_FIRST) if family_first else (GIVEN_FIRST, FAMILY_FIRST)
    if not words:
        sources: list[Source] = [HasKey(orders[0]), IsThere()]
    else:
        beginning = " ".join(words)[: MOST - 1]
        sources = [*(HasKey(order + beginning) for order in orders), HasKey(WORD + max(words, key=len))]
    found = _stream(lambda: nullcontext(session), accesses, sources, matches, on_phones=True, shown=shown)
    return _first(found, limit, orders[0] if words else "")


def by_number(
    session: Session,
    accesses: Mapping[int, Access],
    digits: str,
    *,
    limit: int,
    shown: Shown = _whole,
) -> list[Entry]:
    """The entries with a number that contains some digits, those first of which one begins, then ends with them.

    digits: in the form of ``numbers.digits_of``; zeros at their front are those of a national or international prefix.
        Less than three of them are looked for at both ends of numbers alone
    """
    sought = digits.lstrip("0") or digits
    if not sought:
        return []

    def matches(entry: Entry) -> bool:
        its = [number.digits for number in entry.numbers]
        if len(sought) >= SHORTEST:
            return any(sought in one for one in its)
        return any(one.startswith(sought) or one.endswith(sought) for one in its)

    sources: list[Source] = [HasKey(DIGITS + sought[: MOST - 1]), HasKey(SUFFIX + sought[::-1][: MOST - 1])]
    if len(sought) >= SHORTEST:
        sources.append(HasText(frozenset({"tel"}), sought))
    found = _stream(lambda: nullcontext(session), accesses, sources, matches, on_phones=True, shown=shown)
    return _first(found, limit, "")


def by_t9(
    session: Session,
    accesses: Mapping[int, Access],
    digits: str,
    *,
    limit: int,
    family_first: bool = True,
    shown: Shown = _whole,
) -> list[Entry]:
    """The entries of which a word of name or organisation begins with letters on these keys of a telephone."""
    key = (T9 + digits)[:MOST]
    if key == T9:
        return []

    def matches(entry: Entry) -> bool:
        return any(one.startswith(key) for one in keys_of(entry))

    found = _stream(lambda: nullcontext(session), accesses, [HasKey(key)], matches, on_phones=True, shown=shown)
    return _first(found, limit, FAMILY_FIRST if family_first else GIVEN_FIRST)


def _first(found: Iterator[Hit], limit: int, order: str) -> list[Entry]:
    """The first results. order: of the names, for few results; empty: as they are found"""
    if not order:
        return [hit.entry for hit in islice(found, limit)]
    first = [hit.entry for hit in islice(found, _SORTED + 1)]
    if len(first) <= _SORTED:
        return sorted(first, key=lambda one: (order_of(one, order), one.card_id))[:limit]
    rest = [hit.entry for hit in islice(found, max(0, limit - len(first)))]
    return [*first, *rest][:limit]


# -- what the LDAP view asks -------------------------------------------------------------------------------------------


def find(
    reading: Read,
    accesses: Mapping[int, Access],
    narrowing: Narrowing,
    matches: Callable[[Entry], bool],
    *,
    after: Place | None = None,
    most: int = FIRST,
    on_phones: bool = False,
    shown: Shown | None = None,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Hit]:
    """The entries that match, found by what narrows them best; where nothing does, every entry is looked at.

    Books that are only searched are searched by what narrows them enough (LEAST_LETTERS, LEAST_DIGITS), and give
    MOST_OF_SEARCHED entries at most. No connection is held between two entries.

    reading: opens a reading session, e.g. ``Database.read``
    after: the place from which to go on
    most: so many are going to be taken, probably
    shown: what of an entry is to be seen; this is what has to match, and what is given
    check: is called every few milliseconds, and raises what ends the search
    """
    sources = _sources(narrowing)
    found: list[Source] = [HasKey(FAMILY_FIRST), IsThere()] if sources is None else list(sources)
    yield from _stream(
        reading,
        accesses,
        found,
        matches,
        after=after,
        most=most,
        on_phones=on_phones,
        shown=shown or _whole,
        check=check,
    )


def _sources(narrowing: Narrowing) -> tuple[Source, ...] | None:
    """What gives all entries for which a narrowing holds; None: only all that there are do."""
    match narrowing:
        case AllOf(parts):
            each = [found for part in parts if (found := _sources(part)) is not None]
            return min(each, key=_cost, default=None)
        case AnyOf(parts):
            united: dict[Source, None] = {}
            for part in parts:
                found = _sources(part)
                if found is None:
                    return None
                united.update(dict.fromkeys(found))
            return _joined(tuple(united))
        case _:
            return (narrowing,)


def _joined(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    """The same with one source for a text, whatever fields it is looked for in, and none that another one covers.

    Few digits of a number stay by themselves: they may not be enough for a book that is only searched, as letters are.
    """
    fields: dict[tuple[str, bool], frozenset[str]] = {}
    for one in sources:
        if isinstance(one, HasText):
            which = one.text, len(one.text) < LEAST_DIGITS and one.fields == {"tel"}
            fields[which] = fields.get(which, frozenset()) | one.fields
    texts = [HasText(found, sought) for (sought, _), found in fields.items()]
    keys = [one for one in sources if isinstance(one, HasKey)]
    cards = [one for one in sources if isinstance(one, IsCard)]
    return (*cards, *(one for one in keys if not any(_covers(other, one) for other in keys)), *texts)


def _covers(wider: HasKey, narrower: HasKey) -> bool:
    return wider != narrower and not wider.is_whole and narrower.key.startswith(wider.key)


def _cost(sources: Sequence[Source]) -> float:
    """The lower, the fewer entries some sources are likely to give."""
    return sum(_share(one) for one in sources)


def _share(source: Source) -> float:
    """A guess at which part of all entries a source gives."""
    if isinstance(source, IsCard):
        return 0.0
    if isinstance(source, IsThere):
        return 1.0
    if isinstance(source, HasText):
        return 2.0 * 5.0 ** -len(source.text)
    kind, length = source.key[0], len(source.key) - 1
    if kind in {DIGITS, SUFFIX, T9}:
        return 10.0**-length
    return 8.0**-length * (0.1 if source.is_whole else 1.0)


# -- sources, one after another ----------------------------------------------------------------------------------------


def _stream(
    reading: Read,
    accesses: Mapping[int, Access],
    sources: Sequence[Source],
    matches: Callable[[Entry], bool],
    *,
    after: Place | None = None,
    most: int = FIRST,
    on_phones: bool,
    shown: Shown,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Hit]:
    searched = after.searched if after else 0
    seen: set[int] = set()
    # Where all of the entries is seen, from the beginning on, to remember them is cheaper than to look at their keys.
    is_plain = after is None and shown is _whole
    for number, source in enumerate(sources):
        if after is not None and number < after.source:
            continue
        check()
        here = after if after is not None and number == after.source else None
        books = {book_id: one for book_id, one in accesses.items() if may_ask(one, source)}
        before: dict[int, list[Source]] = {}
        some_at_a_time = looked_up(reading, sorted(books), source, here, min(max(most, FIRST), LARGEST))
        for times, candidates in enumerate(_looked_at_together(some_at_a_time, books), 1):
            check()
            if not times % _WAY:
                lanes.give_way()
            ids = list(dict.fromkeys(one.card_id for one in candidates if one.card_id not in seen))
            with reading() as session:
                found = {one.card_id: one for one in entry_rows.seen(session, books, ids, on_phones=on_phones)}
            for place in candidates:
                entry = found.get(place.card_id)
                if entry is None or place.card_id in seen:
                    continue
                check()  # a hard filter may look at each for milliseconds
                book_id, access = entry.book_id, books[entry.book_id]
                if access.book.search_only and searched >= MOST_OF_SEARCHED:
                    continue
                entry = shown(entry)
                is_known = is_plain and not access.view.hidden
                if is_known:
                    if not has_text_of(entry, source):
                        continue  # a later source gives it, on this page as on others
                    seen.add(place.card_id)
                else:
                    if book_id not in before:
                        before[book_id] = [one for one in sources[:number] if may_ask(access, one)]
                    if not is_first(entry, place, source, before[book_id]):
                        continue
                if not matches(entry):
                    continue
                searched += access.book.search_only
                yield Hit(entry, place._replace(source=number, searched=searched))


def _looked_at_together(places: Iterator[list[Place]], books: Mapping[int, Access]) -> Iterator[list[Place]]:
    """The same; where fields are hidden few at a time, as their cards are read, which may have megabytes each."""
    if not any(one.view.hidden for one in books.values()):
        yield from places
        return
    for some in places:
        for start in range(0, len(some), _FEW):
            yield some[start : start + _FEW]

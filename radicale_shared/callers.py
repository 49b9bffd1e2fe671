"""Who is calling: the entry that has a number, found by a few ranges of ``entry_keys`` however many cards there are.

Programs write a number in many ways. It is looked for in this order, and the first that finds somebody is the answer:
as E.164 in the region of who asks, or as it is written; the same without the prefix of an outside line; its last seven
to nine digits; and without its last one to four, as the main number of a company, which is all that is told then.

Keys only narrow: whether a number is an entry's is decided by the entry as the asker sees it, and by the fields that
the asker's phone shows. So what is hidden finds nothing, and is no different from what isn't there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from typing import Any

from sqlalchemy import and_, bindparam, literal, select, union_all
from sqlalchemy.orm import Session

from . import entries, entry_rows, numbers
from .access import Access
from .entries import Entry, Kind, Number
from .entry_keys import DIGITS, SUFFIX, plain
from .models import Card as CardTable
from .models import Entry as EntryTable
from .models import EntryKey, table
from .phone_profiles import FIELDS
from .statements import Statement
from .vcard import fields as hideable

# Candidates of each way to write the number that are looked at. One number of a company may stand on 100,000 cards.
MOST = 50
MOST_CHARACTERS = 40

_FEWEST_LAST = 7  # digits; fewer are the end of anybody's number
_MOST_LAST = 9
_MOST_DROPPED = 4
_SHORTEST_STEM = 7  # digits of a main number without its extension, the country code among them
_LONGEST_INTERNAL = 5  # digits
# "030 1234-0": what stands before the zero is the company's stem.
_MAIN = re.compile(r"[-\u2010-\u2015/.]\s*0\s*\Z")
# Numbers of one person: they are nobody's main number.
_PERSONAL = frozenset({Kind.MOBILE, Kind.HOME, Kind.PAGER})


class Match(StrEnum):
    """How a number was found."""

    EXACT = "exact"
    SUFFIX = "suffix"
    TRUNK = "trunk"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, as far as it is known.

    number: what was asked for, in E.164 where it has that form, else its digits
    match: None: nobody is known
    entry: whose number it is; None where only a company is known
    org: the company; empty where the phone doesn't show any, or several people of different ones have the number
    count: how many entries have the number in the way that was found, MOST at most
    """

    number: str
    match: Match | None = None
    entry: Entry | None = None
    org: str = ""
    count: int = 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """The ways to write a number, the likeliest first.

    e164s: without an outside line's prefix last
    digits: as written, and without that prefix
    stem: in E.164, of which the last digits may be an extension; empty for none
    """

    e164s: tuple[str, ...]
    digits: tuple[str, ...]
    stem: str

    @property
    def last(self) -> str:
        """The most digits that are compared from the end; fewer than _FEWEST_LAST: none are."""
        shortest = self.digits[-1].lstrip("0") if self.digits else ""
        return shortest[-_MOST_LAST:] if shortest.isdigit() else ""

    @property
    def stems(self) -> list[str]:
        """What may be the company's, the longest first."""
        cut = (self.stem[:-dropped] for dropped in range(1, _MOST_DROPPED + 1))
        return list(takewhile(lambda one: len(one) > _SHORTEST_STEM, cut))


# -- the one statement -------------------------------------------------------------------------------------------------

_keys, _entries, _cards = table(EntryKey).c, table(EntryTable).c, table(CardTable).c
_joined = (
    table(EntryKey)
    .join(table(EntryTable), _entries.card_id == _keys.card_id)
    .join(table(CardTable), and_(_cards.id == _keys.card_id, ~_cards.deleted, ~_cards.hidden_from_phones))
)


def _some(books: str, condition: Any, *, with_data: bool) -> Any:
    """Candidates of some books, a few: alone, as what many cards have must not keep others out.

    They are joined inside of the limit: behind it PostgreSQL may think of so many that it reads the whole tables.
    """
    data = _entries.data if with_data else literal("").label("data")
    found = select(_keys.card_id, _keys.book_id, data).select_from(_joined)
    of_books = _keys.book_id.in_(bindparam(books, expanding=True))
    return select(found.where(of_books, condition).limit(MOST).subquery())


# From the whole view of a book the row is read, from others only which card it is. PostgreSQL's planning takes longer
# than all else here, and as long as a statement is: what isn't asked is not in it.
_CANDIDATES: Mapping[tuple[str, ...], Statement] = {
    several: Statement(
        union_all(
            *(
                _some(books, condition, with_data=books == "whole")
                for books in several
                for condition in (
                    _keys.key.in_(bindparam("exact", expanding=True)),
                    and_(_keys.key >= bindparam("last"), _keys.key < bindparam("behind")),
                    _keys.key.in_(bindparam("stems", expanding=True)),
                )
            )
        )
    )
    for several in (("whole",), ("partly",), ("whole", "partly"))
}


def called(
    session: Session,
    accesses: Mapping[int, Access],
    number: str,
    *,
    fields: Collection[str] = FIELDS,
    region: str = "",
    outside_prefix: str = "",
    trunk: str = "",
) -> Caller:
    """Who calls from ``number``; two SELECTs at most, a third where many cards of hiding views may have it.

    accesses: {id of a book: what the asker may do with it}, the books whose entries win first
    number: as a telephone exchange writes it
    fields: those of ``phone_profiles.FIELDS`` that the asker's phone shows: no others find anything, nor are told
    region: where the asker's phone stands
    outside_prefix, trunk: of the asker's phone, as in ``numbers.dialled``
    """
    asked = _asked(number, region, outside_prefix, trunk)
    told = asked.e164s[0] if asked.e164s else next(iter(asked.digits), "")
    kinds = {kind for kind in Kind if f"tel:{kind}" in fields}
    found = [
        (rank, entry)
        for entry in _candidates(session, accesses, asked)
        if (rank := min((_rank(asked, one) for one in entry.numbers if one.kind in kinds), default=_NONE)) < _NONE
    ]
    if "org" not in fields:
        found = [(rank, entry) for rank, entry in found if rank < _TRUNK]
    elif any(rank >= _TRUNK for rank, _ in found):
        found = [(rank, entry) for rank, entry in found if rank < _TRUNK or company(entry)]
    if not found:
        return Caller(told)
    best = min(rank for rank, _ in found)
    places = {book_id: place for place, book_id in enumerate(accesses)}
    hits = sorted(
        (entry for rank, entry in found if rank == best),
        key=lambda one: (places[one.book_id], plain(one.name), one.card_id),
    )
    return _caller(told, best, hits, shows_org="org" in fields)


def company(entry: Entry) -> str:
    """The company of an entry: its organisation, or itself where it has no person's name."""
    return entry.org or ("" if entry.family or entry.given else entry.name)


def _caller(told: str, rank: int, hits: Sequence[Entry], *, shows_org: bool) -> Caller:
    """hits: the best one first"""
    first = hits[0]
    same_org = shows_org and len({plain(company(one)) for one in hits}) == 1
    if rank >= _TRUNK:
        return Caller(told, Match.TRUNK, None, company(first), len(hits))
    match = Match.SUFFIX if rank == _LAST else Match.EXACT
    if len({plain(one.name) for one in hits}) == 1:
        org = first.org if shows_org and (same_org or len(hits) == 1) else ""
        return Caller(told, match, first, org, len(hits))
    if same_org and company(first):
        return Caller(told, match, None, company(first), len(hits))
    return Caller(told, match, first, first.org if shows_org else "", len(hits))


def _candidates(session: Session, accesses: Mapping[int, Access], asked: _Asked) -> list[Entry]:
    """The entries that may have a number, as they are seen, each once."""
    whole = [book_id for book_id, access in accesses.items() if not access.view.hidden]
    # Where all numbers are hidden, none has to be looked at.
    partly = [
        book_id
        for book_id, access in accesses.items()
        if access.view.hidden and not hideable.covers(access.view.hidden, {"tel"})
    ]
    exact = {DIGITS + one[1:] for one in asked.e164s} | {DIGITS + one for one in asked.digits}
    last = asked.last if len(asked.last) >= _FEWEST_LAST else ""
    if last:
        # Numbers that are written without their area or country.
        exact |= {DIGITS + last[-length:] for length in range(_FEWEST_LAST, len(last) + 1)}
    if not exact or not (whole or partly):
        return []
    stems = {DIGITS + stem[1:] + zero for stem in asked.stems for zero in ("", "0")}
    several = {name: books for name, books in (("whole", whole), ("partly", partly)) if books}
    rows = _CANDIDATES[tuple(several)].rows(
        session,
        **several,
        exact=sorted(exact),
        last=SUFFIX + last[::-1] if last else "",
        behind=f"{SUFFIX}{last[::-1]}:" if last else "",  # the character behind 9
        stems=sorted(stems),
    )
    found = {card_id: entries.read(card_id, book_id, data) for card_id, book_id, data in rows if data}
    others = list(dict.fromkeys(card_id for card_id, _, data in rows if not data))
    if others:
        seen = entry_rows.seen(session, {one: accesses[one] for one in partly}, others, on_phones=True)
        found.update((one.card_id, one) for one in seen)
    return list(found.values())


# -- what is compared --------------------------------------------------------------------------------------------------

# The lower, the better: in E.164, as written, both without an outside line, by the last digits, by a stem of the
# longest length to the shortest.
_AS_WRITTEN, _OUTSIDE, _LAST, _TRUNK = 1, 2, 4, 5
_NONE = _TRUNK + _MOST_DROPPED


def _asked(number: str, region: str, outside_prefix: str, trunk: str) -> _Asked:
    written = number.strip()[:MOST_CHARACTERS]
    e164s: list[str] = []
    digits: list[str] = []
    for text in (written, written.removeprefix(outside_prefix)):
        told = numbers.digits_of(text)
        if not told or told in digits:
            continue
        digits.append(told)
        found = numbers.normalise(text, region).e164
        if not found and text.startswith("00"):
            found = numbers.normalise(f"+{told[2:]}").e164
        e164s.append(found)
    internal = trunk and digits and len(digits[0]) <= _LONGEST_INTERNAL and digits[0].isdigit()
    if internal and not e164s[0]:
        e164s[0] = trunk + digits[0]
    known = tuple(filter(None, e164s))
    return _Asked(known, tuple(digits), "" if internal else next(iter(known), ""))


def _rank(asked: _Asked, number: Number) -> int:
    """How well a number is the one that was asked for; _NONE: not at all."""
    if number.e164 and number.e164 in asked.e164s:
        return 0 if number.e164 == asked.e164s[0] else _OUTSIDE
    if number.digits in asked.digits:
        return _AS_WRITTEN if number.digits == asked.digits[0] else _OUTSIDE + 1
    last = asked.last
    if len(last) >= _FEWEST_LAST and number.digits.isdigit():
        compared = min(len(last), len(number.digits))
        # A whole number that is shorter is compared only where it is written without its area.
        is_cut = compared == len(last) or not number.e164
        if compared >= _FEWEST_LAST and is_cut and number.digits.endswith(last[-compared:]):
            return _LAST
    if number.kind not in _PERSONAL:
        for place, stem in enumerate(asked.stems):
            if number.e164 == stem or (number.e164 == f"{stem}0" and _MAIN.search(number.written)):
                return _TRUNK + place
    return _NONE

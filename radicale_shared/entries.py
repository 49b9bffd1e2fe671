"""What a directory tells of a card: an ``Entry`` with names, numbers and addresses, made of the card's bytes.

Desk phones, callers' names and the LDAP view read entries, and never cards. ``entry_rows`` keeps them,
``entry_refresh`` makes them anew, ``entry_search`` and ``entry_lists`` find them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from . import numbers, vcard

_LONGEST = 500  # characters of a text
_LONGEST_NOTE = 1000
_MOST = 50  # numbers, addresses and the like, of one kind
_READ_OF_LISTS = 40_000  # characters of a value with several parts


class Kind(StrEnum):
    """What a number is for."""

    WORK = "work"
    MOBILE = "mobile"
    HOME = "home"
    FAX = "fax"
    PAGER = "pager"
    OTHER = "other"


class Number(NamedTuple):
    """A number of an entry.

    written: as it stands on the card
    e164, digits, extension: as in ``numbers.Normalised``
    """

    kind: Kind
    written: str
    e164: str = ""
    digits: str = ""
    extension: str = ""


class Address(NamedTuple):
    """A postal address. kind: WORK, HOME or OTHER"""

    kind: Kind
    street: str
    locality: str
    region: str
    code: str
    country: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What a directory tells of one card; texts are empty where the card has none, and cut where they are endless.

    name: as it is shown; never empty
    family, given, additional, prefix, suffix: of N
    units: of the organisation, the largest first
    emails, numbers, addresses: the preferred ones first
    """

    card_id: int
    book_id: int
    uid: str
    name: str
    family: str = ""
    given: str = ""
    additional: str = ""
    prefix: str = ""
    suffix: str = ""
    nickname: str = ""
    org: str = ""
    units: tuple[str, ...] = ()
    title: str = ""
    role: str = ""
    emails: tuple[str, ...] = ()
    numbers: tuple[Number, ...] = ()
    addresses: tuple[Address, ...] = ()
    urls: tuple[str, ...] = ()
    note: str = ""
    categories: tuple[str, ...] = ()


# -- of a card ---------------------------------------------------------------------------------------------------------

_HOME_WORDS = frozenset({"home"})
_WORK_WORDS = frozenset({"work", "main", "company"})
_AT_WORK = frozenset({"work"})
_PREFERRED = frozenset({"pref"})
_ORDER = {
    Kind.FAX: frozenset({"fax"}),
    Kind.PAGER: frozenset({"pager", "bbs", "modem"}),
    Kind.MOBILE: frozenset({"cell", "car"}),
    Kind.HOME: _HOME_WORDS,
    Kind.WORK: _WORK_WORDS,
}


def of_card(card: vcard.Card, *, card_id: int = 0, book_id: int = 0, region: str = "") -> Entry | None:
    """The entry of a card; None for one of a group, and for one without anything to call it by.

    region: of its book, or of the server (``region_of``)
    """
    entry = described(card)
    return None if entry is None else numbered(replace(entry, card_id=card_id, book_id=book_id), region)


def described(card: vcard.Card) -> Entry | None:
    """The same without what its numbers mean, and whose entry it is."""
    found: dict[str, list[vcard.ContentLine]] = {}
    for line in card.lines:
        if line.name in _READ:
            found.setdefault(line.name, []).append(line)
    if any(one.value.strip().lower() == "group" for name in _KINDS for one in found.get(name, ())):
        return None
    name = _short(vcard.display_name(card))
    if not name:
        return None
    labels = vcard.labels(card)

    def first(of: str) -> str:
        return next((cut for line in found.get(of, ()) if (cut := _short(line.text))), "")

    def preferred(of: str) -> list[tuple[vcard.Types, vcard.ContentLine]]:
        typed = [(vcard.types(line, labels), line) for line in found.get(of, ())]
        return sorted(typed, key=lambda one: _preference(*one))[:_MOST]

    family, given, additional, prefix, suffix = _parts(found.get("N", ())[:1], 5)
    org, *units = _parts(found.get("ORG", ())[:1], 6)
    return Entry(
        card_id=0,
        book_id=0,
        uid=card.uid[:_LONGEST],
        name=name,
        family=family,
        given=given,
        additional=additional,
        prefix=prefix,
        suffix=suffix,
        nickname=first("NICKNAME"),
        org=org,
        units=tuple(filter(None, units)),
        title=first("TITLE"),
        role=first("ROLE"),
        emails=_unlike(_short(line.text) for _, line in preferred("EMAIL")),
        numbers=tuple(
            Number(_kind(types), written)
            for types, line in preferred("TEL")
            if (written := _short(line.text)) and any(map(str.isdigit, written))
        ),
        addresses=tuple(one for types, line in preferred("ADR") if any((one := _address(types, line))[1:])),
        urls=_unlike(_short(line.text) for _, line in preferred("URL")),
        note=" ".join(first_note.text[: 4 * _LONGEST_NOTE].split())[:_LONGEST_NOTE]
        if (first_note := next(iter(found.get("NOTE", ())), None))
        else "",
        categories=_unlike(
            _short(vcard.unescape(one))
            for line in found.get("CATEGORIES", ())
            for one in vcard.items(line.decoded[:_READ_OF_LISTS])
        ),
    )


_KINDS = ("KIND", "X-ADDRESSBOOKSERVER-KIND")
_READ = frozenset(
    {*_KINDS, "N", "ORG", "NICKNAME", "TITLE", "ROLE", "EMAIL", "TEL", "ADR", "URL", "NOTE", "CATEGORIES"}
)


def _short(written: str) -> str:
    """A text on one line."""
    return " ".join(written[: 4 * _LONGEST].split())[:_LONGEST].strip()


def _unlike(texts: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, texts)))[:_MOST]


def _parts(lines: Sequence[vcard.ContentLine], most: int) -> list[str]:
    """The components of a structured value, as many as asked for."""
    parts = [part for line in lines for part in vcard.components(line.decoded[:_READ_OF_LISTS])[:most]]
    return ([_short(vcard.unescape(part)) for part in parts] + [""] * most)[:most]


def _kind(types: vcard.Types) -> Kind:
    """The one kind that a number's types say: a fax at home is a fax, a mobile of the company a mobile."""
    return next((kind for kind, words in _ORDER.items() if types.has(words)), Kind.OTHER)


def _preference(types: vcard.Types, line: vcard.ContentLine) -> int:
    """The lower, the more it is preferred (RFC 6350, section 5.3; TYPE=pref of RFC 2426)."""
    told = next(iter(line.param("PREF")), "")
    if told.isascii() and told.isdigit() and len(told) <= 3:
        return int(told)
    return 1 if types.has(_PREFERRED) else 101


def _address(types: vcard.Types, line: vcard.ContentLine) -> Address:
    box, extended, street, locality, region, code, country = _parts([line], 7)
    kind = Kind.HOME if types.has(_HOME_WORDS) else Kind.WORK if types.has(_AT_WORK) else Kind.OTHER
    return Address(kind, ", ".join(filter(None, (box, extended, street))), locality, region, code, country)


def numbered(entry: Entry, region: str) -> Entry:
    """The entry with what its numbers mean in a region; none of them twice."""
    found: dict[tuple[str, str], Number] = {}
    for number in entry.numbers:
        told = numbers.normalise(number.written, region)
        if told.digits:
            found.setdefault((told.digits, told.extension), Number(number.kind, number.written, *told))
    return replace(entry, numbers=tuple(found.values()))


# -- as it is kept -----------------------------------------------------------------------------------------------------


def written(entry: Entry) -> str:
    """The row's text of an entry; ``read`` reads it."""
    return json.dumps(
        [
            *(entry.uid, entry.name, entry.family, entry.given, entry.additional, entry.prefix, entry.suffix),
            *(entry.nickname, entry.org, entry.units, entry.title, entry.role, entry.emails, entry.numbers),
            *(entry.addresses, entry.urls, entry.note, entry.categories),
        ],
        ensure_ascii=False,
        separators=(",", ":"),
    )


def read(card_id: int, book_id: int, data: str) -> Entry:
    """The entry of a row."""
    told = json.loads(data)
    units, title, role, emails, found, addresses, urls, note, categories = told[_TEXTS:]
    made = (
        *(card_id, book_id, *told[:_TEXTS], tuple(units), title, role, tuple(emails)),
        tuple(Number(_KIND_OF[kind], *rest) for kind, *rest in found),
        tuple(Address(_KIND_OF[kind], *rest) for kind, *rest in addresses),
        *(tuple(urls), note, tuple(categories)),
    )
    return Entry(*made)


_TEXTS = 9  # of a row before the first that is a list
_KIND_OF = {str(kind): kind for kind in Kind}

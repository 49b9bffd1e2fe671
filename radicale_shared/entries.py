"""What a directory tells of a card: an ``Entry`` with names, numbers and addresses, made of the card's bytes.

Desk phones, callers' names and the LDAP view read entries, and never cards. For a reader who sees all of a book, an
entry is a row that was written with the card. For one from whom fields are hidden it is made anew of the card without
them (``vcard.visible``): what is hidden is told in one place, and exists nowhere else. ``entry_search`` finds entries.

What numbers mean depends on the region of their book, and on the library's knowledge of countries; ``refresh`` makes
the entries of a book anew when one of them has changed.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, insert, select, text, tuple_, update
from sqlalchemy.orm import Session

from . import bodies, books, numbers, search_index, slices, vcard
from .access import Access
from .database import Database
from .entry_keys import is_of_this_edition, keys_of, plain, rules, unfinished
from .models import Book as BookTable
from .models import Card as CardTable
from .models import CardSearch, EntryKey, table
from .models import Entry as EntryTable
from .reading import Read
from .statements import Statement

PAGE = 200
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


# -- rows --------------------------------------------------------------------------------------------------------------


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
_entries, _keys = table(EntryTable).c, table(EntryKey).c
_NEW = Statement(insert(table(EntryTable)).inline(), "card_id", "book_id", "data")
_CHANGED = Statement(update(table(EntryTable)).where(_entries.card_id == bindparam("card")), "data")
_GONE = Statement(delete(table(EntryTable)).where(_entries.card_id == bindparam("card")))
_KEYS_GONE = Statement(
    delete(table(EntryKey)).where(
        _keys.book_id == bindparam("book"),
        _keys.card_id == bindparam("card"),
        _keys.key.in_(bindparam("keys", expanding=True)),
    )
)
_INTO_KEYS = "INSERT INTO entry_keys (book_id, key, card_id) SELECT {} ON CONFLICT DO NOTHING"
_NEW_KEYS = {
    "sqlite": Statement(text(_INTO_KEYS.format(":book, value, :card FROM json_each(:keys) WHERE true"))),
    "postgresql": Statement(
        text(
            _INTO_KEYS.format(
                "CAST(:book AS bigint), value, CAST(:card AS bigint)"
                " FROM jsonb_array_elements_text(CAST(:keys AS jsonb)) AS told (value)"
            )
        )
    ),
}


def store(session: Session, had: str | None, card_id: int, book_id: int, entry: Entry | None) -> None:
    """Write the entry of a card that is written, and what finds it. The book's lock must be held.

    had: the row's text of its entry until now; None: it had none
    entry: numbered; None: it has none any more
    """
    data = None if entry is None else written(entry)
    if data == had:
        return
    old = keys_of_row(card_id, book_id, had)
    new = frozenset[str]() if entry is None else keys_of(entry)
    if data is None:
        _GONE.run(session, card=card_id)
    elif had is None:
        _NEW.run(session, card_id=card_id, book_id=book_id, data=data)
    else:
        _CHANGED.run(session, card=card_id, data=data)
    if old - new:
        _KEYS_GONE.run(session, book=book_id, card=card_id, keys=sorted(old - new))
    if new - old:
        added = json.dumps(sorted(new - old), ensure_ascii=False)
        _NEW_KEYS[session.get_bind().dialect.name].run(session, book=book_id, card=card_id, keys=added)


def keys_of_row(card_id: int, book_id: int, had: str | None) -> frozenset[str]:
    """The keys of an entry by its row; none for one that can't be read, as another edition's: ``refresh`` removes them."""
    try:
        return frozenset() if had is None else keys_of(read(card_id, book_id, had))
    except (ValueError, TypeError, KeyError, AttributeError):
        return frozenset()


def forget(session: Session, book_id: int, card_ids: Sequence[int]) -> None:
    """Remove the entries of some cards, and what finds them. The book's lock must be held."""
    found = session.execute(select(_entries.card_id, _entries.data).where(_entries.card_id.in_(card_ids)))
    for card_id, had in found.all():
        store(session, had, card_id, book_id, None)


class Searched(NamedTuple):
    """The texts of a card for the search index. more_in: as in ``search_index.more_in``"""

    fields: dict[str, str]
    more_in: str

    @classmethod
    def of(cls, fields: Mapping[str, str], more_in: str, entry: Entry | None) -> Searched:
        """Those of the card and those by which its entry is found.

        fields: of ``vcard.search_fields``. Only ever more texts: what they narrow, the card's bytes or the entry decide
        """
        found = dict(fields)
        for field in _SEARCHED_PLAIN:
            if not (told := found[field]).isascii():
                found[field] = _with(told, (plain(line) for line in told.split("\n")))
        if entry is not None:
            if not found["fn"]:
                found["fn"] = _with(vcard.fold(entry.name), (plain(entry.name),))
            found["tel"] = _with(found["tel"], (one for number in entry.numbers for one in _digits(number)))
        is_cut = any(len(one) >= vcard.MAX_FIELD_LENGTH for one in found.values())
        return cls(found, search_index.EVERY_VERSION if is_cut else more_in)


_SEARCHED_PLAIN = ("fn", "n", "nickname", "org", "title", "email", "adr", "note", "categories")


def _digits(number: Number) -> tuple[str, str]:
    return number.digits, numbers.digits_of(number.written)


def _with(told: str, more: Iterable[str]) -> str:
    """More lines of a field's text, as far as there is room."""
    lines = [one for one in dict.fromkeys(more) if one and one not in told]
    return "\n".join((told, *lines))[: vcard.MAX_FIELD_LENGTH] if lines else told


# -- as their readers see them -----------------------------------------------------------------------------------------

_cards = table(CardTable).c
_of_card = table(EntryTable).join(table(CardTable), _cards.id == _entries.card_id)
_is_shown = (
    ~_cards.deleted,
    ~(_cards.hidden_from_phones & bindparam("on_phones", type_=_cards.hidden_from_phones.type)),
)
_SOME = Statement(
    select(_entries.card_id, _entries.book_id, _entries.data)
    .select_from(_of_card)
    .where(
        _entries.card_id.in_(bindparam("cards", expanding=True)),
        _entries.book_id.in_(bindparam("books", expanding=True)),
        *_is_shown,
    )
)
_SOME_BYTES = Statement(
    select(_cards.id, _cards.book_id, *bodies.columns)
    .select_from(bodies.beside(table(CardTable), _cards.body_id))
    .where(
        _cards.id.in_(bindparam("cards", expanding=True)),
        _cards.book_id.in_(bindparam("books", expanding=True)),
        *_is_shown,
    )
)
_PAGE_OF_BOOK = Statement(
    select(_entries.card_id)
    .where(_entries.book_id == bindparam("book"), _entries.card_id > bindparam("after"))
    .order_by(_entries.card_id)
    .limit(PAGE)
)
# Cards of which the bytes are read together: they may have 10 MB each.
_FEW = 10


def seen(
    session: Session, accesses: Mapping[int, Access], card_ids: Sequence[int], *, on_phones: bool = False
) -> list[Entry]:
    """The entries of some cards as their reader sees them, in the order of ``card_ids``; without those they don't see.

    accesses: {id of a book: what the reader may do with it}; cards of other books are left out
    on_phones: whether those that are hidden from phones are left out
    """
    whole = [book_id for book_id, access in accesses.items() if not access.view.hidden]
    found: dict[int, Entry] = {}
    if whole and card_ids:
        for row in _SOME.rows(session, cards=list(card_ids), books=whole, on_phones=on_phones):
            found[row[0]] = read(*row)
    partly = [book_id for book_id, access in accesses.items() if access.view.hidden]
    left = [card_id for card_id in card_ids if card_id not in found] if partly else []
    for start in range(0, len(left), _FEW):
        some = left[start : start + _FEW]
        for card_id, book_id, *parts in _SOME_BYTES.rows(session, cards=some, books=partly, on_phones=on_phones):
            entry = _as_seen(accesses[book_id], card_id, bodies.whole(*parts))
            if entry is not None:
                found[card_id] = entry
    return [found[card_id] for card_id in card_ids if card_id in found]


def _as_seen(access: Access, card_id: int, data: bytes | None) -> Entry | None:
    if data is None:
        return None
    card = vcard.visible(vcard.Card.parse(data), access.view.hidden)
    return of_card(card, card_id=card_id, book_id=access.book.id, region=access.book.region)


def pages(reading: Read, access: Access, *, on_phones: bool = False) -> Iterator[list[Entry]]:
    """All entries of a book as its reader sees them, a few hundred at a time, no connection kept between.

    reading: opens a reading session, e.g. ``Database.read``
    """
    after = 0
    while True:
        with reading() as session:
            ids = [row[0] for row in _PAGE_OF_BOOK.rows(session, book=access.book.id, after=after)]
            found = seen(session, {access.book.id: access}, ids, on_phones=on_phones)
        yield found
        if len(ids) < PAGE:
            return
        after = ids[-1]


# -- making them anew --------------------------------------------------------------------------------------------------


def stale(session: Session) -> list[int]:
    """The ids of the live books whose entries were made by other rules than today's."""
    query = select(BookTable.id, books.region_column(), BookTable.entries_of).where(BookTable.deleted_at.is_(None))
    return [book_id for book_id, region, made_by in session.execute(query) if made_by != rules(region)]


def refresh(
    db: Database,
    book_ids: Collection[int] | None = None,
    *,
    told: Callable[[int], object] = lambda _cards: None,
    damaged: bool = False,
) -> int:
    """Make the entries of stale books anew, in short transactions; returns of how many books.

    book_ids: only of these
    told: is told how many cards are done, again and again
    damaged: make those of all books anew, from nothing

    Two that do it at once, and writers in between, leave what is right: whoever writes a card writes its entry.
    """
    with db.read() as session:
        found = {book.id: book for book in books.all_books(session) if book_ids is None or book.id in book_ids}
        meant = found if damaged else [book_id for book_id in stale(session) if book_id in found]
    count = 0
    for book_id in meant:
        if damaged or (found[book_id].entries_of and not is_of_this_edition(found[book_id].entries_of)):
            _empty(db, book_id)
        count += _refreshed(db, book_id, told)
    return count


def _empty(db: Database, book_id: int) -> None:
    """Remove all entries and keys of a book, some at a time; who writes a card meanwhile writes what is new."""
    with db.write(book_id) as session:
        # Whoever finds it half done begins again.
        books.entries_made(session, book_id, unfinished(from_nothing=True))
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


def _in_slices(db: Database, book_id: int, remove: Callable[[Session], int]) -> None:
    """Remove rows of a book until there are none. remove: some of them, and says how many"""
    removed = 1
    while removed:
        with db.write(book_id) as session:
            books.lock(session, book_id)
            removed = remove(session)
        slices.pause()


_MOST_EMPTIED = 2000


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


def _refreshed(db: Database, book_id: int, told: Callable[[int], object]) -> bool:
    """Whether the book is still there, and all of its entries are made by the rules of the region it had."""
    with db.read() as session:
        at_first = books.entries_by(session, book_id)
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


def searched_of(card: vcard.Card, entry: Entry | None) -> Searched:
    """The texts of a card for the search index."""
    fields = vcard.search_fields(card)
    return Searched.of(fields, search_index.more_in(card, fields), entry)


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

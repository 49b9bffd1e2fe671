"""The rows of entries: written with their cards, and read as their readers see them.

For a reader who sees all of a book, an entry is a row that was written with the card. For one from whom fields are
hidden it is made anew of the card without them (``vcard.visible``): what is hidden is told in one place, and exists
nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, select, text, update
from sqlalchemy.orm import Session

from . import bodies, numbers, search_index, vcard
from .access import Access
from .entries import Entry, Number, of_card, read, written
from .entry_keys import called_instead, keys_of, plain
from .models import Card as CardTable
from .models import Entry as EntryTable
from .models import EntryKey, table
from .reading import Read
from .statements import Statement

PAGE = 200

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
    """The keys of an entry by its row; none for one that no one reads, as of another edition."""
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
                found["fn"] = _with(vcard.fold(entry.name), map(plain, (entry.name, *called_instead(entry))))
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


def searched_of(card: vcard.Card, entry: Entry | None) -> Searched:
    """The texts of a card for the search index."""
    fields = vcard.search_fields(card)
    return Searched.of(fields, search_index.more_in(card, fields), entry)


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

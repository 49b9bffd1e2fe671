"""Dead properties: what clients set on homes, books and cards, and this server only keeps (RFC 4918, section 4).

They belong to what they are set on: a deleted card loses them, a copied or moved one takes them along. Setting one is
no change of a card: neither its ETag nor the book's revision moves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Select, Text, bindparam, cast, delete, func, insert, null, select, union_all
from sqlalchemy.orm import Session

from .errors import TooManyPropertiesError
from .models import Card, DeadProperty, Principal, table

# Of the element as it is kept, in bytes.
MOST_BYTES = 64 * 1024
MOST_OF_ONE = 100
# Of a book and all its cards, in characters: so much of them may have to be read for one answer.
MOST_OF_BOOK = 16 * 1024 * 1024

_columns = table(DeadProperty).c
_cards = table(Card).c
_OF_BOOK = union_all(
    select(func.length(_columns.xml).label("size")).where(_columns.book_id == bindparam("book")),
    select(func.length(_columns.xml)).join(Card, Card.id == _columns.card_id).where(Card.book_id == bindparam("book")),
).subquery()
_NO_BOOK, _NO_HREF = cast(null(), BigInteger).label("book"), cast(null(), Text).label("href")
_SIZE_OF_BOOK = select(func.coalesce(func.sum(_OF_BOOK.c.size), 0))


class Kind(StrEnum):
    """What a property can be set on; the value names its column."""

    HOME = "principal_id"
    BOOK = "book_id"
    CARD = "card_id"


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that has properties.

    id: of the user whose home it is, of the book, or of the card
    book_id: the book that it is or lies in, 0 for a home
    """

    kind: Kind
    id: int
    book_id: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """Properties that were read: {name: its whole element} of a home, of books by id, of cards by (book's id, href)."""

    home: dict[str, str] = field(default_factory=dict)
    books: dict[int, dict[str, str]] = field(default_factory=dict)
    cards: dict[tuple[int, str], dict[str, str]] = field(default_factory=dict)


def of(session: Session, subject: Subject) -> dict[str, str]:
    """{name: its whole element} of one thing."""
    query = select(_columns.name, _columns.xml).where(_columns[subject.kind] == subject.id).order_by(_columns.id)
    return {row.name: row.xml for row in session.execute(query)}


def read(
    session: Session,
    *,
    names: Collection[str] | None = None,
    home: str = "",
    books: Collection[int] = (),
    cards_of: Collection[int] = (),
    card: tuple[int, str] | None = None,
) -> Found:
    """The properties of many things, by one statement; those of each in the order they were set in.

    names: these only; None for all
    home: the slug of the user whose home is asked for
    books: books themselves
    cards_of: books of which all cards are asked for
    card: (id of its book, href) of a single one
    """
    found = Found()
    asked = _queries(home, books, cards_of, card)
    if names is not None:
        asked = [query.where(_columns.name.in_(names)) for query in asked]
    if not asked or (names is not None and not names):
        return found
    query = union_all(*asked).order_by("id") if len(asked) > 1 else asked[0].order_by(_columns.id)
    for row in session.execute(query):
        if row.href is not None:
            of_one = found.cards.setdefault((row.book, row.href), {})
        else:
            of_one = found.home if row.book is None else found.books.setdefault(row.book, {})
        of_one[row.name] = row.xml
    return found


def _queries(
    home: str, books: Collection[int], cards_of: Collection[int], card: tuple[int, str] | None
) -> list[Select[Any]]:
    asked: list[Select[Any]] = []
    selected = (_columns.id, _columns.name, _columns.xml)
    if home:
        of_home = select(*selected, _NO_BOOK, _NO_HREF).join(Principal, Principal.id == _columns.principal_id)
        asked.append(of_home.where(Principal.slug == home))
    if books:
        of_books = select(*selected, _columns.book_id.label("book"), _NO_HREF)
        asked.append(of_books.where(_columns.book_id.in_(books)))
    of_cards = select(*selected, _cards.book_id.label("book"), _cards.href).join(Card, Card.id == _columns.card_id)
    if cards_of:
        asked.append(of_cards.where(_cards.book_id.in_(cards_of)))
    if card:
        asked.append(of_cards.where(_cards.book_id == card[0], _cards.href == card[1]))
    return asked


def alter(session: Session, subject: Subject, wishes: Mapping[str, str | None]) -> None:
    """Set and remove properties: all or none. The book's lock, or the user's, must be held.

    wishes: {name: the whole element to keep, None to remove it}; removing what isn't there is no error

    Raises TooManyPropertiesError, with nothing changed, for more than may be kept.
    """
    before = of(session, subject)
    after = {name: xml for name, xml in {**before, **wishes}.items() if xml is not None}
    _require_room(session, subject, before, after)
    gone = [name for name in wishes if name in before and before[name] != wishes[name]]
    new = [(name, xml) for name, xml in wishes.items() if xml is not None and before.get(name) != xml]
    if gone:
        mine = _columns[subject.kind] == subject.id
        session.execute(delete(table(DeadProperty)).where(mine, _columns.name.in_(gone)))
    if new:
        session.execute(
            insert(table(DeadProperty)),
            [{subject.kind.value: subject.id, "name": name, "xml": xml} for name, xml in new],
        )


def replace(session: Session, subject: Subject, properties: Mapping[str, str]) -> None:
    """Let a thing have these properties and no others. Raises TooManyPropertiesError as ``alter``."""
    alter(session, subject, {**dict.fromkeys(of(session, subject)), **properties})


def forget(session: Session, subject: Subject) -> None:
    """Remove all properties of one thing."""
    session.execute(delete(table(DeadProperty)).where(_columns[subject.kind] == subject.id))


def _require_room(session: Session, subject: Subject, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    new = [name for name, xml in after.items() if before.get(name) != xml]
    large = [name for name in new if len(after[name].encode()) > MOST_BYTES]
    if large:
        raise TooManyPropertiesError(large, f"A property may have {MOST_BYTES} bytes.")
    if len(after) > MOST_OF_ONE and len(after) > len(before):
        raise TooManyPropertiesError(new, f"{MOST_OF_ONE} properties are kept of one thing.")
    grown = sum(map(len, after.values())) - sum(map(len, before.values()))
    if subject.book_id and grown > 0:
        size = int(session.scalar(_SIZE_OF_BOOK, {"book": subject.book_id}) or 0)
        if size + grown > MOST_OF_BOOK:
            raise TooManyPropertiesError(new, f"{MOST_OF_BOOK} characters of properties are kept of a book.")

"""Whether a database is whole: nothing here changes anything.

What is looked at is what the promises stand on: every live card has its exact bytes, its ETag and its row of searched
fields, these are what the index finds, its entry in directories is what it says, every change has the bytes before,
after and received, no card is ahead of its book's revision, each book has counted its cards, and what comes from a
directory is that directory's alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from . import bodies, books, entries, entry_keys, entry_rows, search_index, vcard
from .database import Database
from .etags import names_bytes
from .models import Body, Book, Card, CardSearch, Change, Entry, EntryKey, LargeValue, Membership, Principal, table

_lacks_a_part = and_(Body.large_at.is_not(None), LargeValue.id.is_(None))
# How many problems of SQLite's own check are worth listing.
_MOST_OF_SQLITE = 100
_ANEW = "radicale-shared db upgrade --entries makes them anew"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. ``book`` (owner/slug) and ``href`` are empty where the whole database is meant."""

    book: str
    href: str
    what: str


def problems(db: Database) -> Iterator[Problem]:
    """Everything that is wrong with the database, as of one moment; the schema must have been checked."""
    secret = db.secret
    with db.snapshot() as session:
        if session.connection().dialect.name == "sqlite":
            yield from _sqlite(session)
        yield from _books(session)
        yield from _counters(session)
        yield from _cards(session, secret)
        yield from _search_index(session)
        yield from _history(session)
        yield from _principals(session)
        yield from _memberships(session)


def _sqlite(session: Session) -> Iterator[Problem]:
    connection = session.connection()
    for (line,) in connection.exec_driver_sql(f"PRAGMA integrity_check({_MOST_OF_SQLITE})").all():
        if line != "ok":
            yield Problem("", "", f"SQLite: {line}")
    for row in connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(_MOST_OF_SQLITE):
        yield Problem("", "", f"SQLite: row {row[1]} of {row[0]} refers to a row of {row[2]} that isn't there")


def _books(session: Session) -> Iterator[Problem]:
    for model, what in ((Card, "card"), (Change, "change")):
        query = (
            select(Book.mount, Book.revision, func.max(model.revision).label("most"))
            .join(model, model.book_id == Book.id)
            .group_by(Book.id, Book.mount, Book.revision)
            .having(func.max(model.revision) > Book.revision)
            .order_by(Book.mount)
        )
        for row in session.execute(query).all():
            yield Problem(
                books.address_of(row.mount), "", f"the book is at revision {row.revision}, a {what} of it at {row.most}"
            )


def _counters(session: Session) -> Iterator[Problem]:
    """Books whose counters, which quotas stand on, are not what their live cards sum up to."""
    live = (
        select(Card.book_id, func.count().label("number"), func.sum(Card.size).label("bytes"))
        .where(~Card.deleted)
        .group_by(Card.book_id)
        .subquery()
    )
    number, size = func.coalesce(live.c.number, 0), func.coalesce(live.c.bytes, 0)
    query = (
        select(Book.mount, Book.card_count, Book.card_bytes, number.label("number"), size.label("bytes"))
        .join(live, live.c.book_id == Book.id, isouter=True)
        .where((Book.card_count != number) | (Book.card_bytes != size))
        .order_by(Book.mount)
    )
    for row in session.execute(query).all():
        yield Problem(
            books.address_of(row.mount),
            "",
            f"the book has {row.number} cards of {row.bytes} bytes, and counted {row.card_count} of {row.card_bytes}",
        )


def _cards(session: Session, secret: bytes) -> Iterator[Problem]:
    query = (
        select(
            *(Card.id, Card.book_id, Book.mount, Card.href, Card.deleted, Card.revision, Card.etag, Card.size),
            *(*bodies.columns, Entry.data.label("entry"), books.region_column(), Book.entries_of),
            CardSearch.card_id.label("search"),
            (CardSearch.book_id != Card.book_id).label("is_elsewhere"),
        )
        .select_from(bodies.beside(table(Card), Card.body_id, isouter=True))
        .join(Book, Book.id == Card.book_id)
        .join(CardSearch, CardSearch.card_id == Card.id, isouter=True)
        .join(Entry, Entry.card_id == Card.id, isouter=True)
        .order_by(Card.id)
    )
    keys: Counter[int] = Counter()
    for row in session.execute(query, execution_options={"yield_per": 200}):
        for what in _wrong_with(row, secret):
            yield Problem(books.address_of(row.mount), row.href, what)
        if row.entry is not None and row.entries_of == entry_keys.rules(row.region):
            keys[row.book_id] += len(entry_rows.keys_of_row(row.id, row.book_id, row.entry))
    there = (
        select(Book.id, Book.mount, func.count(EntryKey.card_id), books.region_column(), Book.entries_of)
        .join(EntryKey, EntryKey.book_id == Book.id, isouter=True)
        .where(Book.purged_at.is_(None))
        .group_by(*(Book.id, Book.mount, Book.region, Book.entries_of))
        .order_by(Book.mount)
    )
    for book_id, mount, number, region, made_by in session.execute(there).all():
        if made_by == entry_keys.rules(region) and number != keys[book_id]:
            what = f"its entries in directories are found by {number} keys instead of {keys[book_id]}; {_ANEW}"
            yield Problem(books.address_of(mount), "", what)


def _wrong_with(row: Any, secret: bytes) -> Iterator[str]:
    if row.deleted:
        if row.entry is not None:
            yield f"the card is deleted and still in directories; {_ANEW}"
        if row.search is not None:
            yield "the card is deleted and still among the searched ones"
        return
    data = bodies.whole(row.data, row.large_at, row.large)
    if data is None:
        yield "the card's bytes are missing"
    else:
        is_own = names_bytes(secret, row.etag, data, row.revision)
        if not is_own:
            yield "the card's bytes aren't those of its ETag"
        if row.size != len(data):
            yield f"the card has {len(data)} bytes, and {row.size} are noted"
        if is_own and row.entries_of == entry_keys.rules(row.region) and row.entry != _entry_of(row, data):
            yield f"what directories tell of the card is not what it says; {_ANEW}"
    if row.search is None:
        yield "the card's searched fields are missing"
    elif row.is_elsewhere:
        yield "the card's searched fields are another book's"


def _entry_of(row: Any, data: bytes) -> str | None:
    """What the card's entry should be, as its row has it."""
    made = entries.of_card(vcard.Card.parse(data), card_id=row.id, book_id=row.book_id, region=row.region)
    return entries.written(made) if made else None


def _search_index(session: Session) -> Iterator[Problem]:
    if search_index.is_missing(session.connection()):
        yield Problem("", "", search_index.MISSING)
    elif session.connection().dialect.name == "sqlite" and (wrong := search_index.wrong_trigrams(session.connection())):
        what = f"the index of searched texts is wrong about {wrong} of its trigrams: searches miss cards"
        yield Problem("", "", f"{what}; radicale-shared db upgrade makes it anew")


def _history(session: Session) -> Iterator[Problem]:
    pointers = ((Change.before_id, "before"), (Change.after_id, "after"), (Change.received_id, "received for"))
    for column, when in pointers:
        missing = (
            select(Book.mount, Card.href, Change.revision)
            .join(Book, Book.id == Change.book_id)
            .join(Card, Card.id == Change.card_id)
            .join(Body, Body.id == column, isouter=True)
            .join(LargeValue, LargeValue.id == Body.large_id, isouter=True)
            .where(column.is_not(None), or_(Body.id.is_(None), _lacks_a_part))
            .order_by(Change.id)
        )
        for row in session.execute(missing, execution_options={"yield_per": 200}):
            yield Problem(
                books.address_of(row.mount), row.href, f"history: the bytes {when} revision {row.revision} are missing"
            )


def _principals(session: Session) -> Iterator[Problem]:
    """People and groups who are half a directory's, or who nobody says are disabled."""
    is_foreign, has_key = Principal.directory != "", Principal.directory_key.is_not(None)
    wrongs = (
        (and_(is_foreign, ~has_key), "comes from a directory without a key in it"),
        (and_(~is_foreign, has_key), "has the key of a directory and comes from none"),
        (and_(is_foreign, Principal.password.is_not(None)), "comes from a directory and has a password here"),
        (and_(Principal.state == "disabled", Principal.disabled_by == ""), "is disabled by nobody"),
        (and_(Principal.state == "active", Principal.disabled_by != ""), "is active though somebody disabled it"),
    )
    for wrong, what in wrongs:
        query = select(Principal.kind, Principal.slug).where(wrong, Principal.state != "removed")
        for row in session.execute(query.order_by(Principal.slug)):
            yield Problem("", "", f"{row.kind} {row.slug}: {what}")


def _memberships(session: Session) -> Iterator[Problem]:
    """Memberships of removed ones, and in a directory's groups of others than its own."""
    member, group = aliased(Principal), aliased(Principal)
    is_strange = and_(group.directory != "", member.directory != group.directory)
    query = (
        select(member.slug, group.slug.label("group"), group.directory)
        .join(Membership, Membership.member_id == member.id)
        .join(group, group.id == Membership.group_id)
        .where(or_(is_strange, member.state == "removed", group.state == "removed", group.kind != "group"))
        .order_by(group.slug, member.slug)
    )
    for row in session.execute(query).all():
        of = f" of the directory {row.directory!r}" if row.directory else ""
        yield Problem("", "", f"{row.slug} can't be in the group {row.group}{of}")

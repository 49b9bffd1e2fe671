"""Everything of one database into another, of the same kind or the other one, and what a database holds.

Every table is copied row by row with its ids, in an order in which nothing refers to what isn't there yet; the index of
searched texts is made anew. Whoever copies has a transaction on both sides: ``Database.exclusive``, and for reading
also ``Database.snapshot``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from sqlalchemy import Dialect, Table, inspect

from . import search_index
from .books import address_of
from .connections import OpenConnection
from .errors import UnavailableError
from .models import Base

Row = tuple[Any, ...]
# What is told of how far copying has come: the table, and how many of its rows were copied.
Told = Callable[[str, int], None]

_ROWS_AT_A_TIME = 1000
_CARDS = "SELECT book_id, href, etag FROM cards WHERE NOT deleted"
_BOOKS = "SELECT id, mount, uuid, epoch, revision, deleted_at IS NOT NULL FROM books ORDER BY mount, id"


@dataclass(frozen=True, slots=True)
class BookHolding:
    """What a database holds of one book.

    address: ``home/slug``
    cards: live ones
    digest: of names and ETags of these, so of their bytes, in any order; 64 hexadecimal digits
    """

    address: str
    uuid: str
    epoch: str
    revision: int
    is_deleted: bool
    cards: int
    digest: str


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a database holds.

    rows: {table: how many}
    """

    rows: Mapping[str, int]
    books: tuple[BookHolding, ...]


def tables() -> list[Table]:
    """All tables, each behind those it refers to."""
    return list(Base.metadata.sorted_tables)


def names(connection: OpenConnection) -> set[str]:
    """Which of the tables are there: an older schema doesn't have all of them."""
    return {one.name for one in tables()} & set(inspect(connection.session.connection()).get_table_names())


def holdings(connection: OpenConnection, among: Collection[str] | None = None) -> Holdings:
    """What is in a database, as the connection's transaction sees it.

    among: tables of which the rows are counted; those of this program's schema without
    """
    counted = {
        one.name: int(connection.driver.execute(f"SELECT count(*) FROM {one.name}").fetchone()[0])  # noqa: S608  # ours
        for one in tables()
        if among is None or one.name in among
    }
    books = connection.driver.execute(_BOOKS).fetchall()
    sums = {book[0]: 0 for book in books}
    cards = dict.fromkeys(sums, 0)
    for book_id, href, etag in _queried(connection, _CARDS):
        cards[book_id] += 1
        # A sum, and not a digest of them all: no database has to put a hundred thousand names into one order.
        sums[book_id] += int.from_bytes(blake2b(f"{href}\0{etag}".encode(), digest_size=32).digest(), "big")
    found = [
        BookHolding(
            address_of(mount),
            *(uuid, epoch, revision, bool(is_deleted)),
            cards[book_id],
            f"{sums[book_id] % 2**256:064x}",
        )
        for book_id, mount, uuid, epoch, revision, is_deleted in books
    ]
    return Holdings(counted, tuple(found))


def is_unused(connection: OpenConnection) -> bool:
    """Whether there is nothing of anybody: no principal, no book, no deed."""
    return not any(
        connection.driver.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone()  # noqa: S608  # our own names
        for name in ("principals", "books", "acts")
    )


def fill(source: OpenConnection, target: OpenConnection, told: Told = lambda _table, _rows: None) -> None:
    """Replace everything in ``target`` by what is in ``source``.

    Raises UnavailableError, after which the target's transaction must end without a trace, if not all of it came along.
    """
    taken = search_index.take_away(target.session.connection())
    for one in reversed(tables()):
        target.driver.execute(f"DELETE FROM {one.name}")  # noqa: S608  # our own names
    for one in tables():
        _copy(source, target, one, told)
    if target.dialect.name == "postgresql":
        for one in tables():
            _count_on(target, one)
    search_index.put_back(target.session.connection(), taken)
    require_whole(target)
    if (was := holdings(source)) != (now := holdings(target)):
        raise UnavailableError(f"Not everything came along: {_first_difference(was, now)}.")


def require_whole(target: OpenConnection) -> None:
    """Raise UnavailableError if SQLite finds a row that refers to one that isn't there."""
    if target.dialect.name == "sqlite" and (wrong := target.driver.execute("PRAGMA foreign_key_check").fetchone()):
        raise UnavailableError(f"A row of {wrong[0]} refers to one of {wrong[2]} that isn't there.")


def _first_difference(was: Holdings, now: Holdings) -> str:
    for name, number in was.rows.items():
        if now.rows[name] != number:
            return f"{name} has {now.rows[name]} rows and not {number}"
    return next(f"the cards of {one.address} differ" for one in was.books if one not in now.books)


def _copy(source: OpenConnection, target: OpenConnection, one: Table, told: Told) -> None:
    names = ", ".join(column.name for column in one.columns)
    order = ", ".join(column.name for column in one.primary_key.columns)
    rows = _queried(source, f"SELECT {names} FROM {one.name} ORDER BY {order}")  # noqa: S608  # our own names
    converted = _counted(_converted(rows, one, source.dialect, target.dialect), one.name, told)
    if target.dialect.name == "sqlite":
        places = ", ".join("?" for _ in one.columns)
        # Given an iterator it takes one row after another.
        target.driver.executemany(f"INSERT INTO {one.name} ({names}) VALUES ({places})", converted)  # noqa: S608  # ours
        return
    with target.driver.cursor() as cursor, cursor.copy(f"COPY {one.name} ({names}) FROM STDIN") as copy:
        for row in converted:
            copy.write_row(row)


def _queried(connection: OpenConnection, query: str) -> Iterator[Row]:
    """The rows of a query as they come; cards may have 10 MB, so never many in memory."""
    if connection.dialect.name == "sqlite":
        yield from connection.driver.execute(query)
        return
    with connection.driver.cursor() as cursor:
        cursor.execute(f"SELECT * FROM ({query}) AS of_it LIMIT 0")  # noqa: S608  # our own
        kinds = [column.type_code for column in cursor.description]
        with cursor.copy(f"COPY ({query}) TO STDOUT") as copy:
            copy.set_types(kinds)
            yield from copy.rows()


def _counted(rows: Iterator[Row], name: str, told: Told) -> Iterator[Row]:
    number = 0
    for row in rows:
        yield row
        number += 1
        if number == _ROWS_AT_A_TIME:
            told(name, number)
            number = 0
    told(name, number)


def _converted(rows: Iterator[Row], one: Table, source: Dialect, target: Dialect) -> Iterator[Row]:
    """Rows as one database's driver gave them, as the other one's takes them."""
    if source.name == target.name:
        return rows
    steps = [(place, step) for place, column in enumerate(one.columns) for step in _steps(column.type, source, target)]
    if target.name == "postgresql":
        return _without_nul(_stepped(rows, steps))
    return _stepped(rows, steps)


def _steps(kind: Any, source: Dialect, target: Dialect) -> Sequence[Callable[[Any], Any]]:
    out_of = kind.dialect_impl(source).result_processor(source, None)
    into = kind.dialect_impl(target).bind_processor(target)
    return [step for step in (out_of, into) if step is not None]


def _stepped(rows: Iterator[Row], steps: Sequence[tuple[int, Callable[[Any], Any]]]) -> Iterator[Row]:
    for row in rows:
        values = list(row)
        for place, step in steps:
            values[place] = step(values[place])
        yield tuple(values)


def _without_nul(rows: Iterator[Row]) -> Iterator[Row]:
    """PostgreSQL can't hold U+0000 in a text; nothing that is checked has any, what a program called itself may."""
    for row in rows:
        if any(isinstance(value, str) and "\0" in value for value in row):
            yield tuple(value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in row)
        else:
            yield row


def _count_on(target: OpenConnection, one: Table) -> None:
    """Let PostgreSQL give ids behind those that were copied."""
    column = one.autoincrement_column
    if column is None:
        return
    target.driver.execute(
        f"SELECT setval(pg_get_serial_sequence('{one.name}', '{column.name}'),"  # noqa: S608  # our own names
        f" (SELECT coalesce(max({column.name}), 0) + 1 FROM {one.name}), false)"
    )

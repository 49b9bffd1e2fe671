"""Shared tools of all tests: both databases, and a small organisation to try things with.

The organisation: Ada and Ben are in the group "Sales", Carla isn't. Each has a personal book, and has signed in before;
the group's book "sales/leads" may be edited by the group. Passwords are the login twice ("adaada").
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from weakref import WeakSet

import hypothesis
import pytest
from passlib.hash import argon2
from radicale_shared.auth_plugin import memory
from sqlalchemy import Engine, Table, create_engine, event, insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from radicale_shared import (
    access,
    books,
    cards,
    client_properties,
    database,
    directories,
    grants,
    models,
    passwords,
    people,
)
from radicale_shared.access import Role
from radicale_shared.changes import Actor
from radicale_shared.database import Database
from radicale_shared.statements import Rows, Statement

POSTGRESQL = "RADICALE_SHARED_TEST_POSTGRESQL"
PROFILE = os.environ.get("RADICALE_SHARED_TEST_PROFILE", "default")
BY = Actor(None, "tests", device="tests")

# Property-based tests over a database: every example makes its own book, so the function's fixtures may be shared.
_ALLOWED = (hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow)
hypothesis.settings.register_profile("default", deadline=None, suppress_health_check=_ALLOWED)
hypothesis.settings.register_profile(
    "nightly", deadline=None, suppress_health_check=_ALLOWED, max_examples=2000, print_blob=True
)
hypothesis.settings.load_profile("nightly" if PROFILE == "nightly" else "default")


def examples(few: int) -> hypothesis.settings:
    """How many examples a costly property gets: ``few`` by day, fifty times as many by night."""
    return hypothesis.settings(max_examples=few * 50 if PROFILE == "nightly" else few)


def card(uid: str, name: str = "", *lines: str, version: str = "3.0") -> bytes:
    """A small vCard, CRLF line ends."""
    name = name or uid.capitalize()
    content = [
        "BEGIN:VCARD",
        f"VERSION:{version}",
        f"UID:{uid}",
        f"FN:{name}",
        f"N:{name};;;;",
        *lines,
        "END:VCARD",
        "",
    ]
    return "\r\n".join(content).encode()


def kinds_of_deeds(session: Session, book_id: int) -> list[str]:
    """Of all deeds on a book, oldest first."""
    acts = models.table(models.Act).c
    return list(session.scalars(select(acts.kind).where(acts.book_id == book_id).order_by(acts.id)))


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> Iterator[None]:
    """argon2id at its cheapest: the product's own cost is asserted where passwords are tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_ARGON2", argon2.using(type="ID", memory_cost=8, time_cost=1, parallelism=1))
        patch.setattr(passwords, "_NOBODYS", passwords.hashed("nobody"))
        yield


@pytest.fixture(autouse=True)
def _no_sign_in_is_remembered() -> None:
    """Wrong passwords of one test don't count in the next: PostgreSQL's tests have one URL."""
    memory._memories.clear()


@pytest.fixture(autouse=True)
def _no_program_is_remembered() -> None:
    """What programs sent in one test is not known in the next."""
    client_properties.forget()


@pytest.fixture(scope="session")
def postgresql_admin() -> str:
    """URL of a superuser of the test PostgreSQL; tests that need it are skipped where there is none."""
    url = os.environ.get(POSTGRESQL, "")
    if not url:
        pytest.skip(f"{POSTGRESQL} is not set: run the tests by 'make test', or tests/with-postgresql pytest")
    return url


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "empty.db"
    template = Database(f"sqlite:///{path}", pool_size=1, write_wait=timedelta(seconds=10), threads=2)
    template.upgrade()
    with template.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    template.close()
    return path


def new_postgresql_database(admin: str) -> str:
    """The URL of a database made for one test module; dropped by ``drop_postgresql_database``."""
    name = f"test_{uuid.uuid4().hex}"
    engine = create_engine(admin, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return make_url(admin).set(database=name).render_as_string(hide_password=False)


def drop_postgresql_database(admin: str, url: str) -> None:
    engine = create_engine(admin, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {make_url(url).database} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture(scope="session")
def _postgresql_url(postgresql_admin: str) -> Iterator[str]:
    url = new_postgresql_database(postgresql_admin)
    database.connect(url).upgrade()
    yield url
    _close(url)
    drop_postgresql_database(postgresql_admin, url)


KINDS = ("sqlite", "postgresql")


@pytest.fixture
def new_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Gives the URL of a database of one of KINDS, with the current schema and nothing in it."""
    made: list[str] = []

    def make(kind: str) -> str:
        if kind == "sqlite":
            path = tmp_path / "books.db"
            path.write_bytes(request.getfixturevalue("_sqlite_template").read_bytes())
            made.append(f"sqlite:///{path}")
            return made[-1]
        url: str = request.getfixturevalue("_postgresql_url")
        # Quicker than TRUNCATE, which makes files anew, as long as a test leaves some hundred rows.
        emptied = [one.name for one in reversed(models.Base.metadata.sorted_tables) if one.name != "database_state"]
        with database.connect(url).write() as session:
            connection = session.connection()
            connection.exec_driver_sql("; ".join(f"DELETE FROM {name}" for name in emptied))
            connection.exec_driver_sql("UPDATE database_state SET pruned_at = NULL, region = ''")
        return url

    yield make
    for url in made:  # files are not left open; PostgreSQL's connections serve the next test
        _close(url)


def _close(url: str) -> None:
    """Close and forget this process' Database of a URL."""
    if known := database._databases.pop(url, None):
        known.close()


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, new_database_url: Callable[[str], str]) -> str:
    """URL of a database with the current schema and nothing in it, once for each kind."""
    return new_database_url(request.param)


@pytest.fixture
def db(database_url: str) -> Database:
    """The Database of ``database_url``."""
    return database.connect(database_url)


_looked_at: WeakSet[Database] = WeakSet()


@contextmanager
def schemas_looked_at_once() -> Iterator[None]:
    """A server that is made within doesn't look at the schema of a database that another one has looked at.

    Each looks three times, by connections that it makes for that and closes; and most tests make a server.
    """
    look = Database.check_schema

    def once(db: Database) -> None:
        if db not in _looked_at:
            look(db)
            _looked_at.add(db)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "check_schema", once)
        yield


@dataclass
class Statements:
    """The SQL statements that were sent since the ``statements`` fixture or its last ``clear``."""

    texts: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len([one for one in self.texts if not one.startswith(("BEGIN", "COMMIT", "SAVEPOINT"))])

    def clear(self) -> None:
        self.texts.clear()


@pytest.fixture
def statements() -> Iterator[Statements]:
    """Counts the statements of all databases of this process, those that begin transactions left out."""
    seen = Statements()

    def listen(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.texts.append(statement)

    run = Statement.rows

    def counted(self: Statement, session: Session, **values: object) -> Rows:
        seen.texts.append(self.text(session))
        return run(self, session, **values)

    event.listen(Engine, "before_cursor_execute", listen)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Statement, "rows", counted)
        yield seen
    event.remove(Engine, "before_cursor_execute", listen)


@dataclass
class Organisation:
    """The people of the tests; ``put`` and ``remove`` work as one of them, straight on the core and past the guard."""

    db: Database

    def access(self, login: str, name: str, client: str = "") -> access.Access | None:
        with self.db.read() as session:
            return access.find(session, login, name, client=client)

    def put(self, login: str, name: str, href: str, data: bytes) -> cards.Written:
        found = self.access(login, name)
        assert found is not None, f"{login} has no book {name}"
        with self.db.write(found.book.id) as session:
            return cards.put(session, found, href, cards.check(data), secret=self.db.secret, by=BY, policy=None)

    def remove(self, login: str, name: str, href: str) -> int:
        found = self.access(login, name)
        assert found is not None, f"{login} has no book {name}"
        with self.db.write(found.book.id) as session:
            return cards.remove(session, found, href, by=BY, policy=None)

    def book(self, address: str) -> books.Book:
        with self.db.read() as session:
            return books.find(session, address)

    def grant(self, address: str, principal: str, role: str) -> None:
        with self.db.write() as session:
            grants.give(session, books.find(session, address), principal, Role(role), by=BY)


def organise(db: Database) -> Organisation:
    """Ada, Ben, Carla, the group Sales and their books, in an empty database: as the product makes them."""
    with db.write() as session:
        for login in ("ada", "ben", "carla"):
            person = people.add_user(session, login, name=login.capitalize(), password=login * 2)
            books.add_personal(session, person, by=BY)
            directories.seen(session, person.id)
        sales = people.add_group(session, "Sales")
        for login in ("ada", "ben"):
            people.add_member(session, "sales", login)
        leads = books.add(session, sales, "leads", name="Leads", by=BY)
        grants.give(session, leads, "group:sales", Role.EDITOR, by=BY)
    return Organisation(db)


# {kind of database: {table: what its rows are after ``organise``}}, in an order in which they can be inserted.
_organised: dict[str, dict[Table, list[dict[str, Any]]]] = {}


@pytest.fixture
def organisation(db: Database) -> Organisation:
    """Ada, Ben, Carla, the group Sales and their books.

    The product makes them once in this process for each kind of database. After that their rows are inserted, with new
    ids, uuids, epochs and times: nothing that is remembered of one test's organisation is true of another's.
    """
    kind = db.engine.dialect.name
    if kind not in _organised:
        before = _rows_of(db)
        made = organise(db)
        if not before:
            _organised[kind] = _rows_of(db)
        return made
    ids: dict[tuple[Table, Any], int] = {}
    with db.write() as session:
        for one, rows in _organised[kind].items():
            anew = [_anew(one, row, ids) for row in rows]
            if "id" not in one.c:
                session.execute(insert(one), anew)
                continue
            given = session.scalars(insert(one).returning(one.c.id, sort_by_parameter_order=True), anew)
            ids.update(((one, row["id"]), new) for row, new in zip(rows, given, strict=True))
    return Organisation(db)


def _rows_of(db: Database) -> dict[Table, list[dict[str, Any]]]:
    """{table: its rows} of those that a test begins with none in."""
    tables = [one for one in models.Base.metadata.sorted_tables if one.name != "database_state"]
    with db.read() as session:
        rows = {one: [dict(row._mapping) for row in session.execute(select(one))] for one in tables}
    return {one: found for one, found in rows.items() if found}


def _anew(of: Table, row: dict[str, Any], ids: dict[tuple[Table, Any], int]) -> dict[str, Any]:
    """A row without its id; ``ids``: {(table, id that a row had): id that it has now}."""
    made = {}
    for column in of.c:
        value = row[column.name]
        if column.name == "id":
            continue
        for key in column.foreign_keys:
            value = ids.get((key.column.table, value), value)
        if isinstance(value, datetime):
            value = models.now()
        elif column.name in {"uuid", "epoch"}:
            value = uuid.uuid4().hex[: len(value)]
        made[column.name] = value
    return made


__all__ = ["BY", "KINDS", "PROFILE", "Organisation", "Statements", "card", "examples", "kinds_of_deeds", "organise"]

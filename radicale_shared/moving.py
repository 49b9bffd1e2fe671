"""Moving everything from one database to another, of either kind, with nothing that a client would notice.

Ids, epochs, revisions and the secret stay what they are, and so do tokens, ETags and passwords. Meanwhile nobody writes
to the old database, and afterwards nobody can: triggers refuse it, so processes that still run on it answer 503.

It is three commits, after each of which there is one database to be used and the other one refuses: what was copied,
marked as arriving; that the old one is closed; that everything has arrived. After a crash the same move, once more,
begins anew or does what is left; where the other database is lost, ``reopen`` is the way out.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import select, update

from . import books, changes, copying
from .changes import Actor
from .connections import OpenConnection
from .copying import Holdings, Told
from .database import ARRIVING, MOVED, Database
from .errors import NotAllowedHereError
from .models import DatabaseState, table

_NAME = "radicale_shared_moved"
_KEPT_OF_URL = frozenset({"host", "port", "dbname"})


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved. to: where, without a password"""

    to: str
    holdings: Holdings


def move(source: Database, target: Database, *, told: Told = lambda _table, _rows: None) -> Moved:
    """Copy everything of ``source`` to ``target``, which must be empty, and close ``source``.

    Raises NotAllowedHereError for a target that isn't empty or is the source, SchemaError if either has another schema
    or is closed, BusyError if writers don't give way in time, UnavailableError.
    """
    to = shown(target)
    if _is_same(source, target):
        raise NotAllowedHereError(f"Everything is in {to} already: name another database.")
    source.check_tables()
    if source.moved_to:
        _require_unfinished(source, target, to)
    else:
        if target.is_empty():
            target.upgrade()
        target.check_tables()
        with source.exclusive() as from_:
            if _moved_to(from_):
                raise NotAllowedHereError("Everything was moved by somebody else at this moment.")
            with target.exclusive() as into:
                _require_empty(into, to)
                copying.fill(from_, into, told)
                _mark(into, ARRIVING)
            _mark(from_, to)
            _close(from_)
    with target.exclusive() as into:
        _mark(into, "")
        return Moved(to, copying.holdings(into))


def reopen(db: Database, *, by: Actor) -> int:
    """Let a database be written again from which, or to which, everything was moved; returns how many books it has.

    For when the other one is lost: what was written there is not here. So each book gets a new epoch, and its clients
    start over.

    Raises NotAllowedHereError if nothing was moved, SchemaError, BusyError.
    """
    db.check_tables()
    with db.exclusive() as connection:
        moved_to = _moved_to(connection)
        if not moved_to:
            raise NotAllowedHereError("The database wasn't moved, and is open.")
        _open(connection)
        _mark(connection, "")
        changes.begin(connection.session, "reopen-database", by, book_id=None, reason=f"it was moved: {moved_to}")
        return books.new_epoch(connection.session)


def shown(db: Database) -> str:
    """A database's URL without password, and without options that are nobody else's business."""
    url = db.engine.url
    query = {key: value for key, value in url.query.items() if key in _KEPT_OF_URL}
    return url._replace(password=None, query=type(url.query)(query)).render_as_string()


def _is_same(source: Database, target: Database) -> bool:
    one, other = source.engine.url, target.engine.url
    if one.get_backend_name() == other.get_backend_name() == "sqlite":
        with suppress(OSError):
            return os.path.samefile(str(one.database), str(other.database))
    return one == other


def _require_empty(target: OpenConnection, to: str) -> None:
    """Raise NotAllowedHereError if there is more than what a move that was cut short has left."""
    moved_to = _moved_to(target)
    if moved_to != ARRIVING and (moved_to or not copying.is_unused(target)):
        raise NotAllowedHereError(f"The database {to} isn't empty. Name an empty one.")


def _moved_to(connection: OpenConnection) -> str:
    return connection.session.scalar(select(DatabaseState.moved_to)) or ""


def _require_unfinished(source: Database, target: Database, to: str) -> None:
    """Raise SchemaError unless all that is left of a move is to say that everything has arrived."""
    moved_to = source.moved_to
    if moved_to == to and not target.is_empty():
        target.check_tables()
        if target.moved_to == ARRIVING:
            return
    source.check_schema()


def _mark(connection: OpenConnection, moved_to: str) -> None:
    connection.session.execute(update(table(DatabaseState)).values(moved_to=moved_to))


def _close(connection: OpenConnection) -> None:
    """Let the database refuse every write, of whomever and whatever program."""
    driver = connection.driver
    if connection.dialect.name == "postgresql":
        driver.execute(
            f"CREATE FUNCTION {_NAME}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{MOVED}'; END $$"
        )
    for one in copying.tables():
        if connection.dialect.name == "postgresql":
            driver.execute(
                f"CREATE TRIGGER {_NAME} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {one.name}"
                f" FOR EACH STATEMENT EXECUTE FUNCTION {_NAME}()"
            )
            continue
        for deed in ("INSERT", "UPDATE", "DELETE"):
            driver.execute(
                f"CREATE TRIGGER {_NAME}_{deed.lower()}_{one.name} BEFORE {deed} ON {one.name}"
                f" BEGIN SELECT RAISE(ABORT, '{MOVED}'); END"
            )


def _open(connection: OpenConnection) -> None:
    """Take back what ``_close`` did."""
    if connection.dialect.name == "postgresql":
        connection.driver.execute(f"DROP FUNCTION IF EXISTS {_NAME}() CASCADE")
        return
    query = f"SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE '{_NAME}%'"  # noqa: S608  # our own name
    for (name,) in connection.driver.execute(query).fetchall():
        connection.driver.execute(f"DROP TRIGGER {name}")

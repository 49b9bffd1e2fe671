"""The database: one a process and URL, reading, writing one after another, and whether it may be used.

``Database.read()`` gives a session that holds no transaction: each statement sees what is committed at its moment, so
whoever reads a revision and then the changes reads them in this order (a client may see a change twice, never lose
one). ``Database.write()`` gives a session in one transaction that ends with a durable commit, or without any trace.

Writers of one SQLite database, and of one book on PostgreSQL, form a queue in the process *before* they take a
connection; on SQLite a lock on a file beside the database then orders the processes. (SQLite's own waiting polls and
starves writers; on PostgreSQL waiting writers would empty the pool.)
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, inspect, select
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.orm import Session

from . import engines, lanes, models, schemas
from .connections import Connections, OpenConnection
from .errors import BusyError, ConfigurationError, SchemaError, UnavailableError
from .statements import Statement

# What triggers say in a database that was moved (``moving``), to every process that still writes there.
MOVED = "everything was moved to another database, and this one is read-only"
# In ``moved_to`` of a database to which everything is being moved, until its source is closed.
ARRIVING = "(arriving)"

_databases: dict[str, Database] = {}
_databases_lock = threading.Lock()
_SECRET = Statement(select(models.DatabaseState.secret))
_MOVED_TO = select(models.DatabaseState.moved_to)
_WHOLE_LOCK_WAIT = 60  # seconds


class _Turn:
    """A lock that is given to the waiting threads in the order they came; a waiter may give up."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()

    def acquire(self, timeout: float) -> bool:
        with self._guard:
            if not self._taken:
                self._taken = True
                return True
            ticket = threading.Lock()
            ticket.acquire()
            self._waiting.append(ticket)
        with lanes.left():
            if ticket.acquire(timeout=timeout):
                return True
        with self._guard:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
                return False
        return True  # the turn was handed over at the very moment of giving up

    def release(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


class Database:
    """One database of this process: engine, write queue, secret. Made by ``connect`` only.

    url: SQLAlchemy URL
    pool_size: connections at most
    write_wait: how long a writer waits for its turn, then BusyError
    threads: request threads of this process; more than half of them waiting to write: BusyError at once
    """

    def __init__(self, url: str, *, pool_size: int, write_wait: timedelta, threads: int) -> None:
        self.url = url
        self._write_wait = write_wait.total_seconds()
        self._most_writers = max(1, threads // 2)
        self._writers = 0
        self._turns: dict[int, tuple[_Turn, int]] = {}
        self._guard = threading.Lock()
        try:
            self.engine = engines.make(url, self._write_wait)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise ConfigurationError(f"The database URL can't be used: {error}") from error
        self._is_sqlite = self.engine.dialect.name == "sqlite"
        self._lock_file = f"{self.engine.url.database}.lock" if self._is_sqlite else ""
        self.connections = Connections(self.engine, pool_size, self._write_wait)
        self._translated = _Translated(self.engine)
        self._secret = b""

    @property
    def secret(self) -> bytes:
        """The key of the ETags' hash, 32 bytes."""
        if not self._secret:
            with self.read() as session:
                self._secret = _SECRET.value(session)
        return self._secret

    def read(self) -> AbstractContextManager[Session]:
        """A session without a transaction; writing through it is a mistake.

        Raises UnavailableError if the database can't be reached, BusyError if no connection becomes free.
        """
        return _Reading(self.connections, self._translated)

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """A reading session in which all statements see one moment, and long results may be read piece by piece.

        Holds a connection until the end of the block: not for as long as a client takes to read.
        """
        with self._transaction("BEGIN" if self._is_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ") as session:
            yield session

    @contextmanager
    def write(self, *book_ids: int) -> Iterator[Session]:
        """A session in a transaction: committed durably at the end of the block, rolled back on any exception.

        book_ids: whose writers' queues to join; none for what belongs to no book

        Raises BusyError if the turn in this process doesn't come in time, UnavailableError if the database can't be
        reached. (Whoever has the turn waits for other processes without a limit: the lock on the file is handed on in
        order only to those who sleep on it, and each holds it for one transaction.)
        """
        with (
            ExitStack() as away,
            self._queue(*(() if self._is_sqlite else book_ids)),
            self._file_lock(),
            self._transaction("BEGIN IMMEDIATE" if self._is_sqlite else "BEGIN") as session,
        ):
            yield session
            # What follows waits for the disk; and who comes back holds no lock that others wait for.
            away.enter_context(lanes.left())

    @contextmanager
    def alone(self) -> Iterator[OpenConnection]:
        """A connection of its own, without a transaction: for what SQLite does to a whole file."""
        with self._translated:
            connection = OpenConnection(self.engine)
            try:
                yield connection
            finally:
                connection.close()

    @contextmanager
    def exclusive(self) -> Iterator[OpenConnection]:
        """A connection of its own in a transaction, during which no process writes anything; reading goes on.

        Committed at the end of the block, without any trace on an exception. SQLite doesn't look at foreign keys
        meanwhile: whoever writes much at a time has them checked at the end (``copying.require_whole``).

        Raises BusyError if others don't end their writes in time.
        """
        with self._queue(), self._file_lock(), self._translated:
            connection = OpenConnection(self.engine)
            try:
                if self._is_sqlite:
                    connection.driver.execute("PRAGMA foreign_keys = OFF")
                    connection.driver.execute("PRAGMA cache_size = -64000")
                    connection.begin("BEGIN IMMEDIATE")
                else:
                    connection.begin("BEGIN")
                    connection.driver.execute(f"SET LOCAL lock_timeout = '{_WHOLE_LOCK_WAIT}s'")
                    # Those first with which writers begin: who waits for them holds nothing that is locked next.
                    first = ("database_state", "books")
                    others = (one.name for one in models.Base.metadata.sorted_tables if one.name not in first)
                    connection.driver.execute(f"LOCK TABLE {', '.join([*first, *others])} IN EXCLUSIVE MODE")
                yield connection
                connection.commit()
            finally:
                connection.roll_back()
                connection.close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Session]:
        with self._translated:
            connection = self.connections.take()
            try:
                connection.begin(begin)
                yield connection.session
                connection.commit()
            finally:
                connection.roll_back()  # of what wasn't committed
                self.connections.give(connection)

    def check_schema(self) -> None:
        """Raise SchemaError unless this database is to be used, and by this program.

        Its schema must be this program's; the message names the command that mends it. And its content must not have
        been moved to another one.
        """
        self.check_tables()
        moved_to = self.moved_to
        if moved_to == ARRIVING:
            raise SchemaError(
                "Everything was being moved to this database, and that wasn't finished. Again, with the configuration "
                "of the old one: radicale-shared db move. Where that one is lost: radicale-shared db reopen"
            )
        if moved_to:
            raise SchemaError(
                f"Everything was moved to {moved_to}, and this database is read-only. Name that one in [storage] "
                "database_url or database_url_file. Where that one is lost: radicale-shared db reopen"
            )

    @property
    def moved_to(self) -> str:
        """Where everything was moved to, without a password; ARRIVING while it is being moved here, mostly empty."""
        with self._translated, self.engine.connect() as connection:
            return str(connection.execute(_MOVED_TO).scalar() or "")

    @property
    def schema(self) -> str | None:
        """The name of the schema that is there; None for none at all. Raises SchemaError for a wrong encoding."""
        if self._is_missing:  # connecting would make an SQLite file
            return None
        with self._translated, self.engine.connect() as connection:
            schemas.require_utf8(connection)
            return schemas.of(connection)

    def check_tables(self) -> None:
        """Raise SchemaError unless the schema is this program's; the message names the command that mends it."""
        found = self.schema
        if found is None:
            raise SchemaError("The database is empty. Create its tables: radicale-shared db upgrade")
        if found != schemas.present():
            schemas.refuse_newer(found)
            raise SchemaError(
                f"The database has the old schema {found}; this program needs {schemas.present()}. "
                "Make a backup, then: radicale-shared db upgrade"
            )

    def is_empty(self) -> bool:
        """Whether the database has no table at all."""
        if self._is_missing:
            return True
        with self._translated, self.engine.connect() as connection:
            return not inspect(connection).get_table_names()

    def upgrade(self) -> tuple[str | None, str]:
        """Bring the schema to this program's; returns (revision before, revision now).

        Two upgrades at a time wait for one another. Raises SchemaError if this installation has lost its migrations, is
        older than the database, or the content was moved to another one.
        """
        if self._is_sqlite:
            file = Path(str(self.engine.url.database))
            try:
                file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                if not file.exists() or not file.stat().st_size:
                    file.touch()
                    file.chmod(0o600)  # SQLite would make it readable by everyone; its other files follow this one
            except OSError as error:
                raise UnavailableError(f"The database {str(file)!r} can't be made: {error.strerror}") from error
        with self._file_lock(), self._translated, self.engine.connect() as connection:
            schemas.require_utf8(connection)
            before = schemas.of(connection)
            if before is not None:
                schemas.refuse_newer(before)
                schemas.refuse_moved(connection, before)
            from alembic import command  # not before: see schemas.alembic_config

            config = schemas.alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
        return before, schemas.present()

    @property
    def _is_missing(self) -> bool:
        return self._is_sqlite and not Path(str(self.engine.url.database)).exists()

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        self.connections.close()

    @contextmanager
    def _queue(self, *book_ids: int) -> Iterator[None]:
        """The turn in the queues of some books, or in the one of no book. In one order: two that wait never cross."""
        keys = sorted(set(book_ids)) or [0]
        with self._guard:
            if self._writers >= self._most_writers:
                raise BusyError
            self._writers += 1
            turns = []
            for key in keys:
                turn, users = self._turns.get(key) or (_Turn(), 0)
                self._turns[key] = (turn, users + 1)
                turns.append(turn)
        until = time.monotonic() + self._write_wait
        try:
            with ExitStack() as taken:
                for turn in turns:
                    if not turn.acquire(max(0.0, until - time.monotonic())):
                        raise BusyError
                    taken.callback(turn.release)
                yield
        finally:
            with self._guard:
                self._writers -= 1
                for key in keys:
                    turn, users = self._turns.pop(key)
                    if users > 1:
                        self._turns[key] = (turn, users - 1)

    @contextmanager
    def _file_lock(self) -> Iterator[None]:
        if not self._is_sqlite:
            yield
            return
        try:
            file = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UnavailableError(f"The lock file {self._lock_file!r} can't be opened: {error}") from error
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with lanes.left():
                    fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)


def connect(
    url: str, *, pool_size: int = 10, write_wait: timedelta = timedelta(seconds=10), threads: int = 64
) -> Database:
    """The Database of ``url``, one a process: where there is one already its own settings stay.

    Raises ConfigurationError if the URL can't be used. Nothing is opened yet.
    """
    with _databases_lock:
        if url not in _databases:
            _databases[url] = Database(url, pool_size=pool_size, write_wait=write_wait, threads=threads)
        return _databases[url]


class _Translated:
    """A block whose errors of the driver, wrapped by SQLAlchemy or not, become ours."""

    def __init__(self, engine: Engine) -> None:
        self._driver: Any = engine.dialect.loaded_dbapi

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if error is None:
            return
        cause = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(cause, self._driver.Error):
            translated = self._ours(cause)
            if translated is not None:
                raise translated from error

    def _ours(self, error: BaseException) -> BusyError | UnavailableError | None:
        """What an error of the driver is here; None for a mistake of the program."""
        driver, name, text = self._driver, type(error).__name__, str(error).strip()
        if MOVED in text:
            return UnavailableError(f"The database can't be used: {MOVED}")
        if isinstance(error, driver.IntegrityError):
            # Everything is checked before it is written: what still breaks a constraint was written meanwhile.
            return BusyError()
        if "database is locked" in text or name in {"LockNotAvailable", "DeadlockDetected"}:
            return BusyError()
        # No subclass: SQLite's "file is not a database" and "malformed".
        if isinstance(error, driver.OperationalError) or type(error) is driver.DatabaseError:
            return UnavailableError(f"The database can't be used: {text}")
        return UnavailableError(f"The database can't be used: {text}") if name == "InsufficientPrivilege" else None


class _Reading:
    """The block of ``Database.read``; a class, as each request has two or three of them."""

    __slots__ = ("_connection", "_connections", "_translated")

    def __init__(self, connections: Connections, translated: _Translated) -> None:
        self._connections = connections
        self._translated = translated
        self._connection: OpenConnection | None = None

    def __enter__(self) -> Session:
        with self._translated:
            self._connection = self._connections.take()
        return self._connection.session

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._connection is not None:
            self._connections.give(self._connection)
        self._translated.__exit__(kind, error, traceback)

"""The open connections of a process to its database, each with the session that works on it.

A pool as SQLAlchemy has one, but that what is lent stays whole: making a session and checking a connection out of a
pool cost more than the statements of most requests. Connections are in autocommit mode always; a transaction is what
``Database`` begins and ends by statements of its own.
"""

from __future__ import annotations

import select
import threading
import time
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from . import lanes
from .errors import BusyError, UnavailableError

# A connection that nobody used for so long may have been lost without a word, as firewalls do it.
_IDLE_SECONDS = 60.0
_KEY = "radicale_shared.connection"


class _Session(Session):
    """The session of an open connection, which knows no transaction but that of ``Database.write``."""

    def commit(self) -> None:
        """Not here: ``Database.write`` commits, at the end of its block."""
        raise NotImplementedError

    def rollback(self) -> None:
        """Undo what the transaction did; what its block does afterwards is undone at its end, and never committed."""
        connection = of(self)
        was_in_transaction = connection.is_in_transaction
        connection.roll_back()
        super().rollback()
        if was_in_transaction:
            connection.begin("BEGIN", in_vain=True)


class OpenConnection:
    """A connection in autocommit mode.

    session: works on this connection alone
    driver: the connection as the driver has it, for statements that are compiled already (``statements``)
    dialect: of SQLAlchemy
    is_in_transaction: whether one was begun that has not ended
    """

    __slots__ = (
        *("_connection", "_in_vain", "_is_spoilt"),
        *("dialect", "driver", "is_in_transaction", "session", "used_at"),
    )

    def __init__(self, engine: Engine) -> None:
        self._connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self.driver: Any = self._connection.connection.driver_connection
        self.dialect = engine.dialect
        self.session = _Session(self._connection, autoflush=False, expire_on_commit=False, info={_KEY: self})
        self.used_at = time.monotonic()
        self.is_in_transaction = False
        self._in_vain = False
        self._is_spoilt = False

    def begin(self, statement: str, *, in_vain: bool = False) -> None:
        """Begin a transaction, which ends by ``commit`` or ``roll_back``. in_vain: by the second of them alone"""
        self.driver.execute(statement)
        self.is_in_transaction = True
        self._in_vain = in_vain

    def commit(self) -> None:
        """End the transaction durably; nothing where it was rolled back already.

        Raises UnavailableError if it had failed before: PostgreSQL then takes COMMIT for ROLLBACK, without an error.
        """
        if self.is_in_transaction and not self._in_vain:
            ended = self.driver.execute("COMMIT")
            self.is_in_transaction = False
            if getattr(ended, "statusmessage", "COMMIT") != "COMMIT":
                raise UnavailableError("The database didn't commit: one of the transaction's statements had failed.")

    def roll_back(self) -> None:
        """End the transaction without any trace; nothing where there is none."""
        if self.is_in_transaction:
            self.is_in_transaction = False
            try:
                self.driver.execute("ROLLBACK")
            except self.driver_error:
                self._is_spoilt = True  # nobody knows what state it is in

    @property
    def driver_error(self) -> type[Exception]:
        """What all errors of the driver are (PEP 249)."""
        error: type[Exception] = self.dialect.loaded_dbapi.Error
        return error

    @property
    def answers(self) -> bool:
        """Whether the other side is still there; it is asked only where the connection was idle for long."""
        if self.dialect.name == "sqlite":
            return True
        looked = select.poll()
        try:
            # A server that closes a connection says so first; to one that is open and idle it says nothing.
            looked.register(self.driver.fileno(), select.POLLIN)
            if looked.poll(0):
                return False
            if time.monotonic() - self.used_at >= _IDLE_SECONDS:
                self.driver.execute("SELECT 1")
        except self.driver_error:
            return False
        return True

    @property
    def is_lost(self) -> bool:
        """Whether it is known to be of no use any more."""
        return self._is_spoilt or self._connection.invalidated or getattr(self.driver, "closed", False)

    def close(self) -> None:
        """Close it; nothing is said of one that is broken."""
        with suppress(Exception):
            self._connection.invalidate()
            self.session.close()
            self._connection.close()


def of(session: Session) -> OpenConnection:
    """The connection that a session of ``Database`` works on."""
    found: OpenConnection = session.info[_KEY]
    return found


class Connections:
    """At most ``size`` connections; the one that came back last is lent first.

    engine: must have no pool of its own
    wait: seconds that a thread waits for one, then BusyError
    """

    def __init__(self, engine: Engine, size: int, wait: float) -> None:
        self._engine = engine
        self._size = size
        self._wait = wait
        self._idle: list[OpenConnection] = []
        self._opened = 0
        self._changed = threading.Condition()

    @property
    def lent(self) -> int:
        """How many are in use at this moment."""
        with self._changed:
            return self._opened - len(self._idle)

    def take(self) -> OpenConnection:
        """A connection, to be given back by ``give``. Raises BusyError, and the driver's errors."""
        while (found := self._idle_one()) is not None:
            if found.answers:
                return found
            self._drop(found)
            self.close()  # what one of them has lost the others have too
        return self._new_one()

    def give(self, connection: OpenConnection) -> None:
        """Take a connection back."""
        if connection.is_lost:
            self._drop(connection)
            return
        connection.used_at = time.monotonic()
        with self._changed:
            self._idle.append(connection)
            self._changed.notify()

    def close(self) -> None:
        """Close all that nobody uses."""
        with self._changed:
            idle, self._idle = self._idle, []
            self._opened -= len(idle)
            self._changed.notify_all()
        for one in idle:
            one.close()

    def _idle_one(self) -> OpenConnection | None:
        with self._changed:
            if self._has_room():
                return self._place()
        # Back in the lane only without the lock: who runs there may need it.
        with lanes.left(), self._changed:
            if not self._changed.wait_for(self._has_room, self._wait):
                raise BusyError
            return self._place()

    def _has_room(self) -> bool:
        return bool(self._idle) or self._opened < self._size

    def _place(self) -> OpenConnection | None:
        if self._idle:
            return self._idle.pop()
        self._opened += 1
        return None

    def _new_one(self) -> OpenConnection:
        try:
            return OpenConnection(self._engine)
        except BaseException:
            self._forget_one()
            raise

    def _drop(self, connection: OpenConnection) -> None:
        connection.close()
        self._forget_one()

    def _forget_one(self) -> None:
        with self._changed:
            self._opened -= 1
            self._changed.notify()

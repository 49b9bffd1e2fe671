"""Engines: how connections to SQLite and PostgreSQL are opened, and what each of them is told first."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Engine, NullPool, create_engine, event
from sqlalchemy.engine import make_url

from .errors import ConfigurationError


def make(url: str, wait: float) -> Engine:
    """Without a pool: ``Connections`` keeps what is open."""
    parsed = make_url(url)
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ConfigurationError(f"Databases of the kind {parsed.get_backend_name()!r} are not supported.")
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ConfigurationError("The SQLite database must be a file: sqlite:////ABSOLUTE/PATH.db")
        engine = create_engine(
            parsed,
            poolclass=NullPool,
            connect_args={"timeout": wait, "check_same_thread": False},
            hide_parameters=True,
        )
        event.listen(engine, "connect", _prepare_sqlite)
        return engine
    engine = create_engine(
        parsed,
        poolclass=NullPool,
        connect_args={"connect_timeout": 10},
        hide_parameters=True,  # errors are logged, and the parameters are people's cards
    )

    def prepare(connection: Any, _record: Any) -> None:
        autocommit, connection.autocommit = connection.autocommit, True
        # Nothing here runs for long. Compiling a query, which is done for what its statistics expect, takes longer than
        # the rights of a small office do.
        connection.execute(f"SET lock_timeout = {int(wait * 1000)}; SET jit = off")
        connection.autocommit = autocommit

    event.listen(engine, "connect", prepare)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver would begin transactions by itself, and not before SELECT: we say BEGIN ourselves.
    connection.isolation_level = None
    cursor = connection.cursor()
    # Two processes that open a new database together may find it locked while one turns WAL on.
    for attempt in range(50):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            break
        except Exception:
            if attempt == 49:
                raise
            time.sleep(0.1)
    cursor.execute("PRAGMA synchronous = FULL")  # an answered write survives a power cut, in WAL mode too
    cursor.execute("PRAGMA foreign_keys = ON")
    # A megabyte, and not two: measured, the operating system's cache behind it makes up for the rest.
    cursor.execute("PRAGMA cache_size = -1000")
    cursor.close()

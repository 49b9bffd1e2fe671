"""Tools of the tests of backups, restoring and moving: what is in a database, and processes that are killed."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Boolean, DateTime, Integer, LargeBinary, func, insert, select

from radicale_shared import (
    access,
    books,
    copying,
    models,
    reading,
)
from radicale_shared.database import Database

KEEP = timedelta(days=30)
LEADS = "sales/leads"


def held(db: Database) -> dict[str, list[tuple[Any, ...]]]:
    """{table: its rows in the order of their keys}"""
    with db.snapshot() as session:
        return {
            one.name: [tuple(row) for row in session.execute(select(one).order_by(*one.primary_key.columns))]
            for one in copying.tables()
        }


def shown(db: Database, address: str = LEADS) -> dict[str, bytes]:
    """{href: bytes} of a book."""
    with db.snapshot() as session:
        of = access.administrator(books.find(session, address))
        return {one.href: one.data for one in reading.every(session, of)}


def fill_every_table(db: Database) -> None:
    """A row at least in each table, whatever tables there are."""
    with db.write() as session:
        for one in copying.tables():
            if session.scalar(select(func.count()).select_from(one)):
                continue
            values = {column.name: value_for(session, column) for column in one.columns if not column.nullable}
            values |= ONE_OF.get(one.name, {})
            session.execute(insert(one).values(values))


ONE_OF: dict[str, dict[str, Any]] = {
    "sign_ins": {"verdict": "right"},
    "dead_properties": {"book_id": select(func.min(models.Book.id)).scalar_subquery()},
}


def value_for(session: Any, column: Any) -> Any:
    """Anything that a column takes, and a row that is there for one that points at another."""
    if column.foreign_keys:
        (key,) = column.foreign_keys
        return session.scalar(select(func.min(key.column)))
    kind = column.type
    if isinstance(kind, models.UTCDateTime | DateTime):
        return datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    if isinstance(kind, Boolean):
        return True
    if isinstance(kind, LargeBinary):
        return b"\x00\xff"
    return 7 if isinstance(kind, Integer) or kind.python_type is int else "ü"


_KILLED = """
import os, signal, sys
from datetime import timedelta
from pathlib import Path
from radicale_shared import backups, changes, database, moving, restoring
def kill(*_args):
    os.kill(os.getpid(), signal.SIGKILL)
def reached(table, rows):
    if table == "changes":
        kill()
what, url, other = sys.argv[1:]
db = database.connect(url)
if what == "restore":
    with backups.opened(Path(other)) as opened:
        restoring.everything(db, opened, by=changes.command_line(), replace=True, told=reached)
elif what == "move":
    moving.move(db, database.connect(other), told=reached)
else:
    moving._close = kill
    moving.move(db, database.connect(other))
"""


def killed(what: str, url: str, other: str) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED, what, url, other], check=False)
    assert done.returncode == -9

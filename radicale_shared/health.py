"""Whether all is well: what an administrator should know of without asking for each thing by itself.

Nothing here changes anything. Each finding says what to do; ``integrity`` looks at every card, this at what is quick.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from . import backup_notes, blocks, entry_refresh, moving, notices, retention, search_index, undo
from .database import Database
from .errors import SchemaError, UnavailableError
from .models import Book, Card, DirectoryState, now

_PRUNED_LATE = timedelta(hours=48)
_LITTLE_SPACE = 100_000_000  # bytes, and less is trouble
_NAMED = 3
_DAMAGED = "See all of it: radicale-shared db check. Then: radicale-shared restore FILE"


class State(StrEnum):
    """How something is: nothing to do, to be looked at, to be mended."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one thing. remedy: what to do; empty where there is nothing to"""

    check: str
    state: State
    told: str
    remedy: str = ""


def findings(db: Database, *, backup_age: timedelta, directories: Collection[str]) -> Iterator[Finding]:
    """Everything that is looked at, also what is well.

    backup_age: how old the last verified backup may be
    directories: names of those that are configured
    """
    try:
        db.check_schema()
    except SchemaError as error:
        message, _, remedy = str(error).partition(". ")
        yield Finding("database", State.BAD, f"{message}.", remedy)
        return
    except UnavailableError as error:
        yield Finding("database", State.BAD, f"{_line(str(error))}: {moving.shown(db)}", f"Is it there? {_DAMAGED}")
        return
    yield Finding("database", State.OK, "The schema is this program's, and everything is here.")
    checks: list[tuple[str, Callable[[Session], Finding]]] = [
        ("integrity", _integrity),
        ("search index", _search),
        ("entries", _entries),
        ("backup", partial(_backup, most=backup_age)),
        ("undo", _undos),
        ("guard", _blocks),
        ("notices", _notices),
        *((f"directory {name}", partial(_directory, name=name)) for name in sorted(directories)),
        ("retention", _pruning),
    ]
    for name, check in checks:
        try:
            with db.snapshot() as session:
                found = check(session)
        except UnavailableError as error:
            found = Finding(name, State.BAD, _line(str(error)), _DAMAGED)
        yield found
    if db.engine.dialect.name == "sqlite":
        yield _space(Path(str(db.engine.url.database)))


def _integrity(session: Session) -> Finding:
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        line = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if line != "ok":
            return Finding("integrity", State.BAD, f"SQLite: {line}", _DAMAGED)
    counted = session.scalar(select(func.sum(Book.card_count))) or 0
    there = session.scalar(select(func.count()).select_from(Card).where(~Card.deleted)) or 0
    if counted != there:
        return Finding("integrity", State.BAD, f"There are {there} cards, and the books counted {counted}.", _DAMAGED)
    return Finding("integrity", State.OK, f"{there} cards are there; db check looks at each.")


def _search(session: Session) -> Finding:
    if search_index.is_missing(session.connection()):
        told, _, remedy = search_index.MISSING.partition(". ")
        return Finding("search index", State.WARN, f"{told}.", remedy)
    return Finding("search index", State.OK, "Searches have their index.")


def _entries(session: Session) -> Finding:
    if waiting := entry_refresh.stale(session):
        of = f"{len(waiting)} book{'' if len(waiting) == 1 else 's'}"
        told = f"What phones and LDAP are told of the cards of {of} is not up to date."
        return Finding(
            "entries", State.WARN, told, "The server does it within the hour; or: radicale-shared db upgrade"
        )
    return Finding("entries", State.OK, "Phones and LDAP are told of each card what it says.")


def _backup(session: Session, most: timedelta) -> Finding:
    hours = most // timedelta(hours=1)
    if bad := backup_notes.last_bad(session):
        return Finding(
            "backup",
            State.BAD,
            f"The newest backup is broken: {bad[0]}: {_line(bad[1])}",
            "Make another: radicale-shared backup",
        )
    last = backup_notes.last_good(session)
    if last is None:
        remedy = "radicale-shared backup FOLDER, then radicale-shared verify FOLDER; or the timers of systemd"
        return Finding("backup", State.BAD, "There is no verified backup.", remedy)
    age = now() - last.of_at
    told = f"The last verified backup is {_long(age)} old: {last.file}"
    if age > most:
        return Finding("backup", State.BAD, told, f"More than {hours} hours: look at the timers of backup and verify.")
    return Finding("backup", State.OK, told)


def _undos(session: Session) -> Finding:
    acts = [str(one.act_id) for one in undo.unfinished(session)]
    if acts:
        told = f"{len(acts)} undo{'' if len(acts) == 1 else 's'} did not come to an end: {_some(acts)}"
        return Finding("undo", State.WARN, told, "See: radicale-shared history undo --list-unfinished")
    return Finding("undo", State.OK, "Every undo came to its end.")


def _blocks(session: Session) -> Finding:
    found = [f"{one.who} in {one.book}" for one in blocks.standing(session)]
    if found:
        return Finding("guard", State.WARN, f"The guard stops {_some(found)}", "See: radicale-shared guard list")
    return Finding("guard", State.OK, "The guard stops nobody.")


def _notices(session: Session) -> Finding:
    failing = notices.failing(session)
    if not failing:
        return Finding("notices", State.OK, "No notice failed.")
    given_up = sum(1 for one in failing if one.next_at is None)
    again = len(failing) - given_up
    told = f"{given_up} notices could not be sent, {again} are tried again: {_line(failing[-1].failure)}"
    return Finding("notices", State.WARN, told, "See [notify] in the settings file.")


def _directory(session: Session, name: str) -> Finding:
    check = f"directory {name}"
    row = session.execute(
        select(
            DirectoryState.followed_at, DirectoryState.failing_since, DirectoryState.failure, DirectoryState.guard
        ).where(DirectoryState.name == name)
    ).one_or_none()
    if row is None or (row.followed_at is None and row.failing_since is None):
        return Finding(
            check, State.WARN, "It was never read.", "Is the server running? Else: radicale-shared directory sync"
        )
    if row.failing_since is not None:
        told = f"It can't be read since {row.failing_since:%Y-%m-%d %H:%M} UTC: {_line(row.failure)}"
        return Finding(check, State.BAD, told, "See: radicale-shared directory check USER")
    if row.guard:
        return Finding(check, State.WARN, _line(row.guard), "If it is true: radicale-shared directory sync --accept")
    return Finding(check, State.OK, f"It was read {_long(now() - row.followed_at)} ago.")


def _pruning(session: Session) -> Finding:
    at = retention.pruned_at(session)
    remedy = "Look at its timer; or: radicale-shared history prune"
    if at is None:
        return Finding("retention", State.WARN, "What is too old was never removed.", remedy)
    told = f"What is too old was removed {_long(now() - at)} ago."
    return Finding("retention", State.WARN if now() - at > _PRUNED_LATE else State.OK, told, remedy)


def _space(file: Path) -> Finding:
    size = sum(one.stat().st_size for one in (file, Path(f"{file}-wal")) if one.exists())
    free = shutil.disk_usage(file.parent).free
    told = f"{free // 1_000_000} MB are free beside the database, which has {size // 1_000_000} MB."
    remedy = "Make room, or move the database: radicale-shared db move"
    if free < _LITTLE_SPACE:
        return Finding("disk", State.BAD, told, remedy)
    return Finding("disk", State.WARN if free < size else State.OK, told, remedy if free < size else "")


def _some(found: Sequence[str]) -> str:
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more


def _line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _long(age: timedelta) -> str:
    for unit, name in ((timedelta(days=1), "days"), (timedelta(hours=1), "hours")):
        if age >= 2 * unit:
            return f"{age // unit} {name}"
    minutes = max(0, age // timedelta(minutes=1))
    return f"{minutes} minute{'' if minutes == 1 else 's'}"

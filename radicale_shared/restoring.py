"""Bringing all of a backup back, in the place of what a database holds.

It is one transaction: every other process sees what was there before, or what was in the backup. Each book gets a new
epoch, so that every client starts over: whatever it holds of the time after the backup is gone on it as well.
``restoring_parts`` brings back one book or one card.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping, delete, func, insert, select, update
from sqlalchemy.orm import Session

from . import books, changes, connections, copying
from .backups import Opened
from .changes import Actor
from .copying import BookHolding, Told
from .database import Database
from .errors import NotAllowedHereError
from .models import Act, Backup, Card, DatabaseState, Lease, Notice, Principal, SignIn, table


@dataclass(frozen=True, slots=True)
class Restored:
    """What restoring everything did. has_new_secret: whether servers that run don't know the database's secret"""

    books: int
    cards: int
    has_new_secret: bool


@dataclass(frozen=True, slots=True)
class BookThenAndNow:
    """A book as it is in a backup and in the database. None: it isn't there; is_same: the same cards, byte for byte"""

    address: str
    then: int | None
    now: int | None
    is_same: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """What restoring everything would do. deeds_since: how many deeds the database has that are not in the backup"""

    books: tuple[BookThenAndNow, ...]
    deeds_since: int
    last_deed_at: datetime | None


def preview(db: Database | None, backup: Opened) -> Preview:
    """What restoring everything would do. db: None where there is no database yet"""
    then, today = _live(backup.manifest.holdings.books), dict[str, BookHolding]()
    number, last = 0, None
    if db is not None:
        with db.snapshot() as session:
            today = _live(copying.holdings(connections.of(session)).books)
            since = Act.at > backup.manifest.made_at
            number, last = session.execute(select(func.count(), func.max(Act.at)).where(since)).one()
    compared = []
    for address in sorted(then.keys() | today.keys()):
        old, new = then.get(address), today.get(address)
        is_same = old is not None and new is not None and (old.uuid, old.digest) == (new.uuid, new.digest)
        compared.append(BookThenAndNow(address, old.cards if old else None, new.cards if new else None, is_same))
    return Preview(tuple(compared), int(number), last)


def _live(found: tuple[BookHolding, ...]) -> dict[str, BookHolding]:
    return {one.address: one for one in found if not one.is_deleted}


def size(db: Database) -> int:
    """How many rows there are."""
    with db.read() as session:
        return sum(copying.holdings(connections.of(session)).rows.values())


def is_unused(db: Database) -> bool:
    """Whether there is nothing in the database that restoring would replace."""
    with db.read() as session:
        return copying.is_unused(connections.of(session))


def everything(
    db: Database,
    backup: Opened,
    *,
    by: Actor,
    replace: bool = False,
    first: Callable[[], None] = lambda: None,
    told: Told = lambda _table, _rows: None,
) -> Restored:
    """Replace all that the database holds by what is in the backup; its schema must be this program's.

    replace: whether there may be something to replace
    first: is called if there is, when nobody writes any more: what it keeps has every write that was answered

    Raises NotAllowedHereError for a database with something in it, else BusyError, UnavailableError; nothing was
    changed then.
    """
    with db.exclusive() as target, backup.db.snapshot() as source:
        if not copying.is_unused(target):
            if not replace:
                raise NotAllowedHereError(
                    "The database isn't empty. --replace puts the backup in the place of what is there; see --dry-run."
                )
            first()
        session = target.session
        secret = session.scalar(select(DatabaseState.secret))
        versions, generation = _counters(session)
        noted = session.execute(select(table(Backup))).mappings().all()
        copying.fill(connections.of(source), target, told)
        old_versions, old_generation = _counters(session)
        # Above both: what a process remembers of passwords and rights is of neither.
        session.execute(update(table(Principal)).values(auth_version=max(versions, old_versions) + 1))
        session.execute(update(table(DatabaseState)).values(rights_generation=max(generation, old_generation) + 1))
        number = books.new_epoch(session)
        # What belongs to that moment alone: who leads, what directories said, and messages that were sent since.
        for model in (Lease, SignIn, Notice):
            session.execute(delete(table(model)))
        _keep_notes(session, noted)
        reason = f"{backup.file}, of {backup.manifest.made_at:%Y-%m-%d %H:%M:%S} UTC"
        changes.begin(session, "restore-backup", by, book_id=None, reason=reason)
        has_new_secret = session.scalar(select(DatabaseState.secret)) != secret
        cards_now = int(session.scalar(select(func.count()).select_from(Card).where(~Card.deleted)) or 0)
    return Restored(number, cards_now, has_new_secret)


def _counters(session: Session) -> tuple[int, int]:
    """(the highest auth_version, the rights' generation)"""
    versions = session.scalar(select(func.max(Principal.auth_version))) or 0
    return versions, session.scalar(select(DatabaseState.rights_generation)) or 0


def _keep_notes(session: Session, noted: Sequence[RowMapping]) -> None:
    """Bring back what was noted of backups: the one that is restored doesn't know what came of them later."""
    session.execute(delete(table(Backup)).where(table(Backup).c.digest.in_([row["digest"] for row in noted])))
    for row in noted:
        session.execute(insert(table(Backup)).values({name: row[name] for name in row if name != "id"}))

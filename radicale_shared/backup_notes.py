"""What is noted of backups (``Backup``): which were made, and what verifying them found; for ``health`` to tell."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from .backups import Made, Opened
from .database import Database
from .models import Backup, now, table


class Last(NamedTuple):
    """The newest backup that was verified. of_at: the moment that it shows"""

    file: str
    of_at: datetime
    verified_at: datetime


def made(db: Database, backup: Made) -> None:
    """Write down that a backup was made."""
    with db.write() as session:
        _note(session, backup)


def verified(db: Database, backup: Opened, found: Sequence[str]) -> None:
    """Write down that a backup was verified, and what was wrong with it."""
    with db.write() as session:
        _note(session, backup)
        columns = table(Backup).c
        session.execute(
            update(table(Backup))
            .where(columns.digest == backup.written.digest)
            .values(verified_at=now(), problem="\n".join(found))
        )


def damaged(db: Database, file: Path, reason: str) -> None:
    """Write down that a file is not the backup any more that was written there; nothing if none is known."""
    columns = table(Backup).c
    with db.write() as session:
        last = select(func.max(columns.id)).where(columns.file == str(file.absolute())).scalar_subquery()
        session.execute(update(table(Backup)).where(columns.id == last).values(verified_at=now(), problem=reason))


def forget(db: Database, files: Sequence[Path]) -> None:
    """Write down no more of files that were removed."""
    if files:
        with db.write() as session:
            names = [str(file) for file in files]
            session.execute(delete(table(Backup)).where(table(Backup).c.file.in_(names)))


def last_good(session: Session) -> Last | None:
    """The backup that shows the latest moment, of those that were verified and found whole."""
    query = (
        select(Backup.file, Backup.of_at, Backup.verified_at)
        .where(Backup.verified_at.is_not(None), Backup.problem == "")
        .order_by(Backup.of_at.desc())
        .limit(1)
    )
    row = session.execute(query).one_or_none()
    return Last(row.file, row.of_at, row.verified_at) if row and row.verified_at else None


def last_bad(session: Session) -> tuple[str, str] | None:
    """(file, what is wrong) of the backup of the latest moment, if that was verified and found to be broken."""
    query = select(Backup.file, Backup.problem).where(Backup.verified_at.is_not(None)).order_by(Backup.of_at.desc())
    row = session.execute(query.limit(1)).one_or_none()
    return (row.file, row.problem) if row and row.problem else None


def _note(session: Session, backup: Made | Opened) -> None:
    columns = table(Backup).c
    where = columns.digest == backup.written.digest
    if session.execute(select(columns.id).where(where)).first():
        session.execute(update(table(Backup)).where(where).values(file=str(backup.file)))
        return
    session.execute(
        insert(table(Backup)).values(
            file=str(backup.file),
            digest=backup.written.digest,
            size=backup.written.size,
            of_at=backup.manifest.made_at,
            problem="",
        )
    )

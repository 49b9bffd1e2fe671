"""Leases: that one process does a thing, of all that could, until a moment that it puts off again and again.

A holder that dies is followed as soon as its lease has run out. Machines whose clocks differ by more than a lease's
life may both hold one for that time: what is done under a lease must be harmless when it is done twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import bindparam, insert, or_, select, update
from sqlalchemy.orm import Session

from .models import DatabaseState, Lease, now, table

_columns = table(Lease).c
_mine_or_over = or_(
    _columns.holder == bindparam("who"), _columns.until_at <= bindparam("at"), _columns.until_at > bindparam("latest")
)
_PUT_OFF = (
    update(table(Lease))
    .where(_columns.name == bindparam("what"), _mine_or_over)
    .values(holder=bindparam("who"), until_at=bindparam("until"))
)


def take(session: Session, name: str, holder: str, life: timedelta) -> bool:
    """Get a lease, or put off its end; False where somebody else holds it.

    holder: names the process, e.g. machine, number and a random part
    """
    at = now()
    bounds = {"what": name, "who": holder, "at": at, "until": at + life, "latest": _latest(at, life)}
    if session.execute(_PUT_OFF, bounds).rowcount:  # type: ignore[attr-defined]  # an UPDATE's result is a CursorResult
        return True
    # The first time ever: one after another, so that nobody's INSERT breaks the other's transaction.
    session.execute(select(DatabaseState.id).with_for_update())
    if session.execute(select(Lease.name).where(Lease.name == name)).first():
        return False
    session.execute(insert(table(Lease)).values(name=name, holder=holder, until_at=at + life))
    return True


def release(session: Session, name: str, holder: str) -> None:
    """Give a lease back, so that the next one need not wait for its end; nothing where another has it."""
    mine = update(table(Lease)).where(_columns.name == name, _columns.holder == holder)
    session.execute(mine.values(until_at=now()))


def holder(session: Session, name: str, *, life: timedelta) -> str:
    """Who holds a lease at this moment; empty: nobody."""
    at = now()
    query = select(Lease.holder).where(Lease.name == name, Lease.until_at > at, Lease.until_at <= _latest(at, life))
    return session.scalar(query) or ""


def _latest(at: datetime, life: timedelta) -> datetime:
    """The latest end that a lease can have at a moment: a later one is of a clock that was ahead."""
    return at + 2 * life

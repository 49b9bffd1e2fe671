"""The history in short: what each person did with each device within minutes is one line."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session

from . import acts, books
from .acts import ANY, Which
from .models import Act, Book, Change

# What is further apart than this is two lines.
GAP = timedelta(minutes=10)


@dataclass(slots=True)
class Line:
    """What one person did with one device in one book, never pausing for longer than GAP.

    book: address; empty for deeds on no book
    added, changed, deleted: cards, each as often as that happened to it
    others: how many deeds of each kind changed no card
    acts: their ids, newest first
    """

    first_at: datetime
    last_at: datetime
    book: str
    actor: str
    device: str
    user_agent: str
    added: int = 0
    changed: int = 0
    deleted: int = 0
    others: Counter[str] = field(default_factory=Counter)
    acts: list[int] = field(default_factory=list)


def lines(session: Session, *, book_id: int | None = None, which: Which = ANY) -> list[Line]:
    """The deeds in short, the newest first; what others did in between parts no line."""
    query: Select[*tuple[Any, ...]] = (
        select(
            Act.id,
            Act.at,
            Act.kind,
            Book.mount,
            Act.actor,
            Act.device,
            func.max(Act.user_agent).label("user_agent"),
            func.count(Change.id).label("changes"),
            func.sum(case((Change.before_id.is_(None), 1), else_=0)).label("added"),
            func.sum(case((Change.after_id.is_(None), 1), else_=0)).label("deleted"),
        )
        .select_from(Act)
        .join(Change, Change.act_id == Act.id, isouter=True)
        .join(Book, Book.id == acts.book_of_line, isouter=True)
        .where(*which.conditions())
        .group_by(Act.id, Act.at, Act.kind, Book.mount, Act.actor, Act.device)
        .order_by(Act.id.desc())
    )
    if book_id is not None:
        query = query.where(acts.of_book(book_id), acts.book_of_line == book_id)
    found: list[Line] = []
    growing: dict[tuple[str, str, str], Line] = {}
    for row in session.execute(query, execution_options={"yield_per": 1000}):
        book = books.address_of(row.mount or "")
        line = growing.get((book, row.actor, row.device))
        if line is None or line.first_at - row.at > GAP:
            line = Line(row.at, row.at, book, row.actor, row.device, row.user_agent)
            growing[book, row.actor, row.device] = line
            found.append(line)
        line.first_at = min(line.first_at, row.at)
        line.acts.append(row.id)
        if row.changes:
            line.added += row.added
            line.deleted += row.deleted
            line.changed += row.changes - row.added - row.deleted
        else:
            line.others[row.kind] += 1
    return found

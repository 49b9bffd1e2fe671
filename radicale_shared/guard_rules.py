"""What the guard of one book lets through, as its managers want it: rules of its own, and clean-ups said beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from . import books, changes
from .access import Role
from .books import Book
from .changes import Actor
from .errors import WrongValueError
from .guard import DEFAULT, Policy, Rule, rule_of
from .models import CleanUp, GuardRule, Principal, now, table

LONGEST_CLEAN_UP = timedelta(hours=24)
MOST_CARDS = 1_000_000
_HUNDRED = 100

_clean_up = table(CleanUp)


@dataclass(frozen=True, slots=True)
class OwnRule:
    """A rule that a book has of its own; ``role`` empty: for all that have none. ``rule`` None: the guard is off."""

    role: str
    rule: Rule | None

    def facts(self) -> dict[str, Any]:
        """For programs; JSON has words for all of it."""
        return {
            "role": self.role or None,
            "guard": "on" if self.rule else "off",
            "cards": self.rule.cards if self.rule else None,
            "percent": self.rule.percent if self.rule else None,
        }


@dataclass(frozen=True, slots=True)
class Announced:
    """That a person cleans up a book until a moment, and who said so.

    user: the login; of somebody removed the slug
    """

    user: str
    until_at: datetime
    said_by: str

    def facts(self) -> dict[str, Any]:
        """For programs."""
        return {"user": self.user, "until": self.until_at, "said_by": self.said_by}


def rules(session: Session, book_id: int, policy: Policy = DEFAULT) -> list[OwnRule]:
    """A book's own rules, the one for all first."""
    columns = table(GuardRule).c
    query = select(columns.role, columns.cards, columns.percent).where(columns.book_id == book_id)
    roles = ["", *Role]
    found = [
        OwnRule(row.role, rule_of(row.cards, row.percent, policy.for_role(row.role))) for row in session.execute(query)
    ]
    return sorted(found, key=lambda one: roles.index(one.role))


def set_rule(
    session: Session, book: Book, role: str, *, cards: int | None, percent: int | None, off: bool, by: Actor
) -> None:
    """Give a book a rule of its own, for a role or for all (empty). What isn't told is as the settings say.

    Raises WrongValueError for numbers that can't be.
    """
    if off and (cards is not None or percent is not None):
        raise WrongValueError("The guard is either off or lets so many cards through, not both.")
    if not off and cards is None and percent is None:
        raise WrongValueError("Say how many cards, how many percent, or that the guard is off.")
    if cards is not None and not 0 <= cards <= MOST_CARDS:
        raise WrongValueError(f"Cards are a number from 0 to {MOST_CARDS}.")
    if percent is not None and not 0 <= percent <= _HUNDRED:
        raise WrongValueError("Percent are a number from 0 to 100.")
    _forget_rule(session, book, role)
    session.execute(insert(table(GuardRule)).values(book_id=book.id, role=role, cards=cards, percent=percent))
    said = (
        "off"
        if off
        else ", ".join(
            [*([f"{cards} cards"] if cards is not None else []), *([f"{percent} %"] if percent is not None else [])]
        )
    )
    changes.begin(session, "guard-rule", by, book_id=book.id, reason=f"{role or 'everybody'}: {said}")


def drop_rule(session: Session, book: Book, role: str, *, by: Actor) -> bool:
    """Take a book's own rule for a role, or for all, away: the settings count again. False where there was none."""
    if not _forget_rule(session, book, role):
        return False
    changes.begin(session, "guard-rule", by, book_id=book.id, reason=f"{role or 'everybody'}: as the settings say")
    return True


def _forget_rule(session: Session, book: Book, role: str) -> bool:
    columns = table(GuardRule).c
    books.lock(session, book.id)  # two that set the same rule follow one another
    gone = session.execute(delete(table(GuardRule)).where(columns.book_id == book.id, columns.role == role))
    return bool(gone.rowcount)  # type: ignore[attr-defined]  # a DELETE's result is a CursorResult


def announce(session: Session, book: Book, principal_id: int, name: str, until: datetime, *, by: Actor) -> None:
    """Write down that a person is going to delete many cards of a book: until then their devices aren't counted there.

    A block that stands goes on: that is released by who manages the book.

    name: the person's, for the history
    until: at most LONGEST_CLEAN_UP from now, else WrongValueError
    """
    at = now()
    if not at < until <= at + LONGEST_CLEAN_UP + timedelta(minutes=1):
        raise WrongValueError("A clean-up lasts 24 hours at most.")
    books.lock(session, book.id)
    mine = (_clean_up.c.book_id == book.id, _clean_up.c.principal_id == principal_id)
    session.execute(delete(_clean_up).where(*mine))
    session.execute(
        insert(_clean_up).values(book_id=book.id, principal_id=principal_id, until_at=until, said_by=by.name[:320])
    )
    changes.begin(session, "clean-up", by, book_id=book.id, reason=f"{name}, until {until:%Y-%m-%d %H:%M} UTC")


def announced(session: Session, book_id: int) -> list[Announced]:
    """The clean-ups of a book that have not ended."""
    query = (
        select(func.coalesce(Principal.login, Principal.slug), _clean_up.c.until_at, _clean_up.c.said_by)
        .join(Principal, Principal.id == _clean_up.c.principal_id)
        .where(_clean_up.c.book_id == book_id, _clean_up.c.until_at > now())
        .order_by(_clean_up.c.until_at)
    )
    return [Announced(*row) for row in session.execute(query)]

"""The guard: how many cards of a book one device of a person may delete or empty, before it is taken for gone mad.

There is one rule, and it is asked in one place: ``cards`` asks it under the book's lock for every deletion, and for
every write that empties a card (``vcard.is_emptied``), wherever it comes from: CardDAV, Radicale's plugin, moves,
imports. A *source* is a person, or nobody, with a device. Within some minutes it may destroy so many cards, or a part
of the book if that is more; the next write that would destroy one is refused, and ``blocks`` writes down that the
source is stopped. While that stands everything else goes on: it may read, add and edit.

Not counted is who brings back what was (undo, restore), who said beforehand that they clean up, and who passes no
policy: an administrator who was asked, and a directory's mirror, which disbelieves large losses itself, by what the
directory says and not by what is in the book (``directories.lost``), until an administrator accepts them there.

Writes that say the same in other words destroy nothing: a phone that rewrites every card never counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import and_, bindparam, delete, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from . import changes
from .access import VERBS, Access, Role, Verb
from .books import Book
from .changes import Actor
from .errors import GuardedError, WrongValueError
from .models import Block, CleanUp, Destruction, GuardRule, Principal, UTCDateTime, now, table
from .models import Book as BookTable
from .notices import Channels
from .statements import Statement

LONGEST_CLEAN_UP = timedelta(hours=24)
MOST_CARDS = 1_000_000
_HUNDRED = 100


@dataclass(frozen=True, slots=True)
class Rule:
    """So many cards of a book may be destroyed, or so many percent of them if that is more; less than these, strictly.

    (Of 5,000 cards 249 go through by 5 %: the guard steps in before a twentieth is gone. Of 100 it is 10, by number.)
    """

    cards: int = 10
    percent: int = 5

    def most(self, of_cards: int) -> int:
        """How many of a book with so many cards."""
        return max(self.cards, (self.percent * of_cards - 1) // _HUNDRED)


@dataclass(frozen=True, slots=True)
class Policy:
    """What counts for books that have no rules of their own.

    rule: None: the guard is off
    roles: {role: what is otherwise for people of it}
    minutes: in which it is counted
    release_hours: after so long a stopped source may go on
    channels: who is told
    """

    rule: Rule | None = Rule()
    roles: Mapping[str, Rule | None] = field(default_factory=dict, hash=False)
    minutes: int = 10
    release_hours: int = 24
    channels: Channels = field(default_factory=Channels)

    def for_role(self, role: str) -> Rule | None:
        """What counts for people of a role; None: nothing."""
        return self.roles.get(role, self.rule)


DEFAULT = Policy()


@dataclass(frozen=True, slots=True)
class Trip:
    """That a source went too far, as ``blocks.record`` needs it.

    most: how many cards it might have destroyed
    of_cards: that the book had before
    since: from when on it was counted
    """

    book_id: int
    source: str
    by: Actor
    policy: Policy
    most: int
    of_cards: int
    since: datetime


class _State(NamedTuple):
    """What a verdict is made of; the rules of the book are None where there are none."""

    cards: int
    destroyed: int
    deleted: int
    standing_until: datetime | None
    cleans_up: bool
    has_role_rule: bool
    role_cards: int | None
    role_percent: int | None
    has_rule: bool
    rule_cards: int | None
    rule_percent: int | None

    def rule(self, policy: Policy, role: str) -> Rule | None:
        """The rule that counts: the book's for the role, the book's for all, the settings' for the role, and theirs."""
        whole = policy.for_role(role)
        if self.has_role_rule:
            return _rule(self.role_cards, self.role_percent, whole)
        if self.has_rule:
            return _rule(self.rule_cards, self.rule_percent, whole)
        return whole


_book, _destroyed, _block, _clean_up = table(BookTable), table(Destruction), table(Block), table(CleanUp)
_of_role, _of_all = aliased(table(GuardRule)), aliased(table(GuardRule))
_stopped = (_block.c.book_id == bindparam("book"), _block.c.source == bindparam("source"))
_until = func.coalesce(_block.c.released_at, _block.c.until_at, type_=UTCDateTime)
# After a block has ended, by itself or by a manager, its source begins at nothing.
_ended = select(func.max(_until, type_=UTCDateTime)).where(*_stopped).scalar_subquery()
_counted = (
    _destroyed.c.book_id == bindparam("book"),
    _destroyed.c.source == bindparam("source"),
    _destroyed.c.at > bindparam("since"),
    or_(_ended.is_(None), _destroyed.c.at > _ended),
)
_STATE = Statement(
    select(
        _book.c.card_count,
        select(func.count()).select_from(_destroyed).where(*_counted).scalar_subquery(),
        select(func.count()).select_from(_destroyed).where(*_counted, _destroyed.c.deleted).scalar_subquery(),
        select(func.max(_block.c.until_at, type_=UTCDateTime))
        .where(*_stopped, _block.c.released_at.is_(None), _block.c.until_at > bindparam("now"))
        .scalar_subquery(),
        exists().where(
            _clean_up.c.book_id == bindparam("book"),
            _clean_up.c.principal_id == bindparam("principal"),
            _clean_up.c.until_at > bindparam("now"),
        ),
        _of_role.c.id.is_not(None),
        _of_role.c.cards,
        _of_role.c.percent,
        _of_all.c.id.is_not(None),
        _of_all.c.cards,
        _of_all.c.percent,
    )
    .select_from(
        _book.outerjoin(
            _of_role, and_(_of_role.c.book_id == _book.c.id, _of_role.c.role == bindparam("role"))
        ).outerjoin(_of_all, and_(_of_all.c.book_id == _book.c.id, _of_all.c.role == ""))
    )
    .where(_book.c.id == bindparam("book"))
)
_LOGIN = select(Principal.login, Principal.slug).where(Principal.id == bindparam("id"))
_DESTROYED = Statement(insert(_destroyed).inline(), "book_id", "source", "revision", "deleted", "at")


def source_of(by: Actor) -> str:
    """Who by which device: what is counted, and stopped, by itself."""
    return f"{by.principal_id or 0} {by.device[:200]}"


def role_of(access: Access) -> str:
    """The strongest role whose verbs an access has; empty for none."""
    return next((role.value for role in reversed(Role) if VERBS[role] <= access.verbs), "")


def require(
    session: Session, access: Access, verb: Verb, href: str, *, by: Actor, policy: Policy | None, deletes: bool
) -> bool:
    """Whether the destruction of a card counts, and is to be ``counted`` once it is done. Under the book's lock.

    verb: that the write needs
    policy: None: whoever it is isn't guarded

    Raises GuardedError, which ``blocks.record`` must get to see.
    """
    if policy is None:
        return False
    at = now()
    since = at - timedelta(minutes=policy.minutes)
    role, source = role_of(access), source_of(by)
    row = _STATE.row(
        session,
        book=access.book.id,
        source=source,
        since=since,
        now=at,
        principal=by.principal_id,
        role=role,
    )
    if row is None:
        return False
    state = _State(*row)
    rule = state.rule(policy, role)
    if rule is None:
        return False
    if state.standing_until is not None:
        raise GuardedError(verb, href, _stopped_until(state.standing_until))
    if state.cleans_up:
        return False
    of_cards = state.cards + state.deleted
    most = rule.most(of_cards)
    if state.destroyed < most:
        return True
    until = at + timedelta(hours=policy.release_hours)
    what = "deleted" if deletes else "emptied"
    told = (
        f"{state.destroyed} of {of_cards} cards were deleted or emptied by this device within {policy.minutes} minutes,"
        f" and one more would be {what}. {_stopped_until(until)}"
    )
    raise GuardedError(verb, href, told, Trip(access.book.id, source, by, policy, most, of_cards, since))


def counted(session: Session, access: Access, revision: int, *, by: Actor, deleted: bool) -> None:
    """Count a card that was destroyed at a revision of its book."""
    _DESTROYED.run(session, book_id=access.book.id, source=source_of(by), revision=revision, deleted=deleted, at=now())


def _stopped_until(until: datetime) -> str:
    return (
        f"Until {until:%Y-%m-%d %H:%M} UTC this device deletes and empties no cards of this address book, unless"
        " somebody who manages it releases it. All else works as before."
    )


def _rule(cards: int | None, percent: int | None, otherwise: Rule | None) -> Rule | None:
    """A row of ``guard_rules``; what it doesn't say is as otherwise."""
    if cards is None and percent is None:
        return None
    found = otherwise or Rule()
    return Rule(found.cards if cards is None else cards, found.percent if percent is None else percent)


# -- rules of a book, and clean-ups ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OwnRule:
    """A rule that a book has of its own; ``role`` empty: for all that have none. ``rule`` None: the guard is off."""

    role: str
    rule: Rule | None


@dataclass(frozen=True, slots=True)
class Announced:
    """That a person cleans up a book until a moment, and who said so."""

    principal_id: int
    until_at: datetime
    said_by: str


def rules(session: Session, book_id: int, policy: Policy = DEFAULT) -> list[OwnRule]:
    """A book's own rules, the one for all first."""
    columns = table(GuardRule).c
    query = select(columns.role, columns.cards, columns.percent).where(columns.book_id == book_id)
    roles = ["", *Role]
    found = [
        OwnRule(row.role, _rule(row.cards, row.percent, policy.for_role(row.role))) for row in session.execute(query)
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
    # The book's lock: two that set the same rule follow one another.
    session.execute(update(_book).where(_book.c.id == book.id).values(revision=_book.c.revision))
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
    session.execute(update(_book).where(_book.c.id == book.id).values(revision=_book.c.revision))
    mine = (_clean_up.c.book_id == book.id, _clean_up.c.principal_id == principal_id)
    session.execute(delete(_clean_up).where(*mine))
    session.execute(
        insert(_clean_up).values(book_id=book.id, principal_id=principal_id, until_at=until, said_by=by.name[:320])
    )
    changes.begin(session, "clean-up", by, book_id=book.id, reason=f"{name}, until {until:%Y-%m-%d %H:%M} UTC")


def announced(session: Session, book_id: int) -> list[Announced]:
    """The clean-ups of a book that have not ended."""
    query = (
        select(_clean_up.c.principal_id, _clean_up.c.until_at, _clean_up.c.said_by)
        .where(_clean_up.c.book_id == book_id, _clean_up.c.until_at > now())
        .order_by(_clean_up.c.until_at)
    )
    return [Announced(*row) for row in session.execute(query)]


def login_of(session: Session, principal_id: int) -> str:
    """The login of who cleans up; of somebody removed the slug."""
    row = session.execute(_LOGIN, {"id": principal_id}).one()
    return str(row.login or row.slug)

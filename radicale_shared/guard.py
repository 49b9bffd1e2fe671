"""The guard: how many cards of a book one device of a person may delete or empty, before it is taken for gone mad.

There is one rule, and it is asked in one place: ``cards`` asks it under the book's lock for every deletion, and for
every write that empties a card (``vcard.is_emptied``), wherever it comes from: CardDAV, Radicale's plugin, moves,
imports. A *source* is a person, or nobody, with a device. Within some minutes it may destroy so many cards, or a part
of the book if that is more; the next write that would destroy one is refused, and ``blocks`` writes down that the
source is stopped. While that stands everything else goes on: it may read, add and edit.

A device with a password of its own is told by that. What uses the person's password is told by its User-Agent, which
costs nothing to change: all of these together may destroy twice as much, and are stopped together.

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

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, insert, or_, select, true
from sqlalchemy.orm import Session, aliased

from . import changes
from .access import VERBS, Access, Role, Verb
from .changes import Actor
from .errors import GuardedError
from .models import Block, CleanUp, Destruction, GuardRule, UTCDateTime, now, table
from .models import Book as BookTable
from .notices import Channels
from .statements import Statement

_HUNDRED = 100
# How often what one device may destroy all programs that use a person's own password may, together.
_TOGETHER = 2
ALL_PROGRAMS = "all programs with the person's own password"


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

    device: its name for people
    most: how many cards it might have destroyed
    of_cards: that the book had before
    since: from when on it was counted
    """

    book_id: int
    source: str
    device: str
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
    destroyed_together: int
    deleted_together: int
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
            return rule_of(self.role_cards, self.role_percent, whole)
        if self.has_rule:
            return rule_of(self.rule_cards, self.rule_percent, whole)
        return whole


_book, _destroyed, _block, _clean_up = table(BookTable), table(Destruction), table(Block), table(CleanUp)
_of_role, _of_all = aliased(table(GuardRule)), aliased(table(GuardRule))
_until = func.coalesce(_block.c.released_at, _block.c.until_at, type_=UTCDateTime)


def _since_end_of(blocks: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a destruction counts after what ended blocks: what was before, whoever ended one, doesn't."""
    ended = select(func.max(_until, type_=UTCDateTime)).where(
        _block.c.book_id == bindparam("book"), blocks, _until <= bindparam("now")
    )
    last = ended.scalar_subquery()
    return or_(last.is_(None), _destroyed.c.at > last)


_stopped = or_(_block.c.source == bindparam("source"), _block.c.source == bindparam("person"))
_mine = and_(_destroyed.c.source == bindparam("source"), _since_end_of(_stopped))
# A manager who lets one of the programs go on looked at what this person does.
_together = and_(
    _destroyed.c.person == bindparam("person"), _since_end_of(_block.c.principal_id == bindparam("principal"))
)
_recent = (
    select(
        func.count().filter(_mine).label("mine"),
        func.count().filter(_mine, _destroyed.c.deleted).label("deleted"),
        func.count().filter(_together).label("together"),
        func.count().filter(_together, _destroyed.c.deleted).label("deleted_together"),
    )
    .where(_destroyed.c.book_id == bindparam("book"), _destroyed.c.at > bindparam("since"))
    .subquery("recent")
)
_STATE = Statement(
    select(
        _book.c.card_count,
        *_recent.c,
        select(func.max(_block.c.until_at, type_=UTCDateTime))
        .where(
            _block.c.book_id == bindparam("book"),
            _stopped,
            _block.c.released_at.is_(None),
            _block.c.until_at > bindparam("now"),
        )
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
        _book.join(_recent, true())
        .outerjoin(_of_role, and_(_of_role.c.book_id == _book.c.id, _of_role.c.role == bindparam("role")))
        .outerjoin(_of_all, and_(_of_all.c.book_id == _book.c.id, _of_all.c.role == ""))
    )
    .where(_book.c.id == bindparam("book"))
)
_DESTROYED = Statement(insert(_destroyed).inline(), "book_id", "source", "person", "revision", "deleted", "at")


def source_of(by: Actor) -> str:
    """Who by which device: what is counted, and stopped, by itself."""
    return f"{by.principal_id or 0} {by.device[:200]}"


def person_of(by: Actor) -> str | None:
    """The source of all programs of a person that only a User-Agent tells apart; None where the device is known."""
    return f"{by.principal_id}" if by.principal_id and by.device == changes.client_of(by.user_agent) else None


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
    role, source, person = role_of(access), source_of(by), person_of(by)
    row = _STATE.row(
        session,
        book=access.book.id,
        source=source,
        person=person,
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
    device, destroyed, of_cards = by.device, state.destroyed, state.cards + state.deleted
    most = rule.most(of_cards)
    with_others = state.cards + state.deleted_together
    if person and state.destroyed_together >= _TOGETHER * rule.most(with_others):
        source, device, destroyed, of_cards = person, ALL_PROGRAMS, state.destroyed_together, with_others
        most = _TOGETHER * rule.most(with_others)
    elif destroyed < most:
        return True
    until = at + timedelta(hours=policy.release_hours)
    what = "deleted" if deletes else "emptied"
    told = (
        f"{destroyed} of {of_cards} cards were deleted or emptied by {_words(device)} within {policy.minutes} minutes,"
        f" and one more would be {what}. {_stopped_until(until)}"
    )
    raise GuardedError(verb, href, told, Trip(access.book.id, source, device, by, policy, most, of_cards, since))


def counted(session: Session, access: Access, revision: int, *, by: Actor, deleted: bool) -> None:
    """Count a card that was destroyed at a revision of its book."""
    _DESTROYED.run(
        session,
        book_id=access.book.id,
        source=source_of(by),
        person=person_of(by),
        revision=revision,
        deleted=deleted,
        at=now(),
    )


def is_of(source: str) -> ColumnElement[bool]:
    """Whether a row of ``destructions`` is of a source: of a device, or of all programs of a person."""
    return or_(_destroyed.c.source == source, _destroyed.c.person == source)


def _words(device: str) -> str:
    return device if device == ALL_PROGRAMS else "this device"


def _stopped_until(until: datetime) -> str:
    return (
        f"Until {until:%Y-%m-%d %H:%M} UTC this device deletes and empties no cards of this address book, unless"
        " somebody who manages it releases it. All else works as before."
    )


def rule_of(cards: int | None, percent: int | None, otherwise: Rule | None) -> Rule | None:
    """The rule of a row of ``guard_rules``; what it doesn't say is as otherwise."""
    if cards is None and percent is None:
        return None
    found = otherwise or Rule()
    return Rule(found.cards if cards is None else cards, found.percent if percent is None else percent)

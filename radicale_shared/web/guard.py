"""The guard, for those who manage books: who was stopped, releasing and taking back; rules and clean-ups of a book.

A block of a book that one doesn't manage is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from .. import access, blocks, guard_rules, people, policies, undo
from ..access import Access, Role, Verb
from ..blocks import Block
from ..books import Book
from ..errors import NotAllowedHereError, NotFoundError
from ..guard_rules import OwnRule
from ..models import now
from ..undo_plan import Step
from . import history
from .asking import Asking, Reply, UnreadableError

_MOST_HOURS = 24


def list_(asking: Asking) -> Reply:
    """The blocks of the books that who asks manages, the latest first; with ``?all=1`` those that ended too."""
    all_ = asking.argument("all")
    if all_ not in {"", "0", "1"}:
        raise UnreadableError("'all' is 0 or 1.")
    with asking.db.read() as session:
        managed = {one.book.id: one for one in asking.books(session) if Verb.MANAGE in one.verbs}
        look = blocks.all_blocks if all_ == "1" else blocks.standing
        found = look(session, list(managed))
    return Reply(200, {"blocks": [_block(one, managed[one.book_id]) for one in found]})


def release(asking: Asking, block: str) -> Reply:
    """Let the device of a block delete again."""
    asking.require_own_password()
    asking.require_keys()
    with asking.db.read() as session:
        found, _ = _managed(asking, session, block)
    with asking.db.write(found.book_id) as session:
        person = asking.person(session)
        found, managed = _managed(asking, session, block)
        released = blocks.release(session, found.id, by=asking.actor(person))
    return Reply(200, _block(released, managed))


def revert(asking: Asking, block: str) -> Reply:
    """Bring back what the device of a block destroyed; with ``dry_run`` only say what would be done."""
    asking.require_own_password()
    asking.require_keys("dry_run", "release")
    dry_run, releases = asking.flag("dry_run"), asking.flag("release")
    with asking.db.read() as session:
        person = asking.person(session)
        found, managed = _managed(asking, session, block)
    _require_full_view(managed)
    steps: list[Step] = []
    outcome = undo.Outcome()
    if dry_run:
        with asking.db.snapshot() as session:
            for step in undo.plan(session, blocks.selection(session, found), outcome=outcome):
                history.keep(steps, step)
    else:

        def opened(session: Session, book: Book) -> Access:
            """The right to do it, asked anew for each slice; then all cards are brought back, whatever their role."""
            mine = access.to_book(session, asking.slug, book.id)
            if mine is None:
                raise NotFoundError("book", managed.name)
            mine.require(Verb.MANAGE)
            _require_full_view(mine)
            return mine

        seen = partial(history.keep, steps)
        outcome = blocks.revert(asking.db, found, by=asking.actor(person), opened=opened, seen=seen)
    released = False
    if releases and not dry_run:
        with asking.db.write(found.book_id) as session:
            found, _ = _managed(asking, session, block)
            released = found.stands
            if released:
                blocks.release(session, found.id, by=asking.actor(person))
    return Reply(200, {"block": found.id, "released": released, **history.facts(outcome, steps, dry_run=dry_run)})


def show(asking: Asking, name: str) -> Reply:
    """What the guard lets through in a book, and who cleans it up; for its managers."""
    with asking.db.read() as session:
        found = asking.book(session, name)
        found.require(Verb.MANAGE)
        told = _rules(asking, session, found)
    return Reply(200, told)


def put(asking: Asking, name: str) -> Reply:
    """Give a book a rule of its own, for a role or for everybody, or take it away."""
    asking.require_own_password()
    asking.require_keys("role", "guard", "cards", "percent")
    role, state = asking.sent.get("role"), asking.text("guard", "on")
    cards, percent = _number(asking, "cards"), _number(asking, "percent")
    if role is not None and role not in list(Role):
        raise UnreadableError(f"'role' must be one of {', '.join(Role)}, or null for everybody.")
    if state not in {"on", "off", "default"}:
        raise UnreadableError("'guard' must be on, off or default.")
    if state == "default" and (cards is not None or percent is not None):
        raise UnreadableError("What is as the settings say has no numbers of its own.")
    with asking.db.write() as session:
        person, found = asking.person(session), asking.book(session, name)
        found.require(Verb.MANAGE)
        by = asking.actor(person)
        if state == "default":
            guard_rules.drop_rule(session, found.book, role or "", by=by)
        else:
            off = state == "off"
            guard_rules.set_rule(session, found.book, role or "", cards=cards, percent=percent, off=off, by=by)
        told = _rules(asking, session, found)
    return Reply(200, told)


def clean_up(asking: Asking, name: str) -> Reply:
    """Say that one is going to delete many cards of a book; for those who may delete, and its managers for others."""
    asking.require_own_password()
    asking.require_keys("user", "hours")
    login = asking.text("user", "")
    hours = _number(asking, "hours") if "hours" in asking.sent else 1
    if hours is None or not 1 <= hours <= _MOST_HOURS:
        raise UnreadableError(f"'hours' must be a number from 1 to {_MOST_HOURS}.")
    with asking.db.write() as session:
        person, found = asking.person(session), asking.book(session, name)
        by = asking.actor(person)
        whose = person
        if login and people.folded(login) != people.folded(person.login):
            found.require(Verb.MANAGE)
            whose = _known(session, found, login)
        else:
            found.require(Verb.DELETE)
        until = now() + timedelta(hours=hours)
        guard_rules.announce(session, found.book, whose.id, whose.login, until, by=by)
    return Reply(200, {"user": whose.login, "until": until})


def _known(session: Session, found: Access, login: str) -> people.Person:
    """Somebody who may delete cards of the book; whether others exist is not told."""
    try:
        whose = people.user(session, login)
    except NotFoundError:
        raise NotFoundError("user", login) from None
    theirs = access.to_book(session, whose.slug, found.book.id)
    if theirs is None or Verb.DELETE not in theirs.verbs:
        raise NotFoundError("user", login)
    return whose


def _managed(asking: Asking, session: Session, written: str) -> tuple[Block, Access]:
    """A block, and the rights on its book of who asks, who manages it. Raises NotFoundError in all other cases."""
    missing = NotFoundError("block", written)
    if not (written.isascii() and written.isdigit() and len(written) <= 18):
        raise missing
    try:
        found = blocks.find(session, int(written))
    except NotFoundError:
        raise missing from None
    mine = access.to_book(session, asking.slug, found.book_id)
    mine = asking.scope.over(mine) if mine is not None else None
    if mine is None or Verb.MANAGE not in mine.verbs:
        raise missing
    return found, mine


def _require_full_view(mine: Access) -> None:
    if mine.view.hidden:
        raise NotAllowedHereError(
            "Fields of this book are hidden from you: ask who sees all of it to bring cards back."
        )


def _number(asking: Asking, key: str) -> int | None:
    """A whole number of the body; None for null and without. Raises UnreadableError."""
    value = asking.sent.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise UnreadableError(f"{key!r} must be a whole number, or null.")
    return value


def _block(block: Block, managed: Access) -> Mapping[str, Any]:
    return {**blocks.facts(block), "book": managed.name}


def _rules(asking: Asking, session: Session, found: Access) -> Mapping[str, Any]:
    policy = policies.guard(asking.settings.file)
    own = guard_rules.rules(session, found.book.id, policy)
    return {
        "minutes": policy.minutes,
        "rules": [one.facts() for one in own],
        "otherwise": [OwnRule(*one).facts() for one in (("", policy.rule), *policy.roles.items())],
        "clean_ups": [one.facts() for one in guard_rules.announced(session, found.book.id)],
    }

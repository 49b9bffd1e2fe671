"""The history of a book, for those who manage it and see all of it: what was done, and taking it back."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy.orm import Session

from .. import acts, history, lanes, undo
from ..access import Access, Verb
from ..acts import Which
from ..books import Book
from ..errors import NotAllowedHereError
from ..history import Entry
from ..selections import Selection, one_device
from ..undo import Outcome
from ..undo_plan import Step, What
from ..vcard import Conflict, Difference
from .asking import Asking, Reply, UnreadableError

_LEAST, _DEFAULT, _MOST = 1, 50, 200  # entries of an answer
_MOST_DIFFERENCES = 100  # of an entry or a step
_MOST_BYTES = 50_000_000  # of cards that are compared for one answer
_MOST_STEPS = 1000
_MOST_ACTS = 200

# Where a card was copied or moved (``transfers``): two addresses of books, and names of cards, which have no slash.
_BOTH_ENDS = re.compile(r"from ([^/]+/[^/]+)/([^/]+) to ([^/]+/[^/]+)/([^/]+)")


def show(asking: Asking, name: str) -> Reply:
    """The newest deeds on a book and its cards, each with what it changed."""
    asking.require_own_password()
    given = asking.arguments("card", "person", "device", "act", "since", "until", "limit")
    limit = _number("limit", given["limit"] or str(_DEFAULT), _MOST)
    which = Which(
        acts=frozenset({_number("act", given["act"], 2**62)} if given["act"] else ()),
        person=given["person"],
        since=_moment("since", given["since"]),
        until=_moment("until", given["until"]),
    )
    with asking.db.snapshot() as session:
        book = _managed(asking, session, name).book
        which = acts.with_devices(session, which, given["device"], book.id)
        found = history.entries(session, book_id=book.id, href=given["card"] or None, which=which, limit=limit)
        entries = list(found)
        readable = {access.book.address for access in asking.books(session)}
    # Cards may have 10 MB each: the more of them are asked for, the smaller those are of which all is told.
    room = _MOST_BYTES // max(1, len(entries))
    told = []
    for entry in entries:
        lanes.give_way()
        with asking.db.read() as session:
            differences = history.differences(session, entry, room) if entry.revision else ()
            told.append(_entry(entry, differences, readable))
    return Reply(200, {"entries": told})


def take_back(asking: Asking, name: str) -> Reply:
    """Take back deeds on a book's cards; with ``dry_run`` only say what would be done."""
    asking.require_own_password()
    keys = ("acts", "device", "person", "since", "until", "as_of", "card", "properties", "dry_run")
    asking.require_keys(*keys)
    selection = Selection(
        href=asking.text("card", ""),
        acts=frozenset(_acts(asking)),
        person=asking.text("person", ""),
        since=asking.moment("since"),
        until=asking.moment("until"),
        as_of=asking.moment("as_of"),
        properties=frozenset(one.upper() for one in asking.texts("properties")),
    )
    device, dry_run = asking.text("device", ""), asking.flag("dry_run")
    steps: list[Step] = []
    outcome = Outcome()

    def opened(session: Session, _book: Book) -> Access:
        return _managed(asking, session, name)

    with asking.db.read() as session:
        person = asking.person(session)
        selection = replace(selection, book_id=_managed(asking, session, name).book.id)
        if not (selection.acts or selection.href or selection.since or selection.as_of):
            raise UnreadableError("Say what to take back: 'acts', 'card', 'since' or 'as_of'.")
        if device:
            selection = replace(selection, device=one_device(session, selection, device))
    if dry_run:
        with asking.db.snapshot() as session:
            for step in undo.plan(session, selection, outcome=outcome):
                keep(steps, step)
    else:
        outcome = undo.run(asking.db, selection, by=asking.actor(person), opened=opened, seen=partial(keep, steps))
    return Reply(200, facts(outcome, steps, dry_run=dry_run))


def keep(steps: list[Step], step: Step) -> None:
    """Keep a step of an undo for the answer, if it tells anything and there is room."""
    if step.what is not What.NOTHING and len(steps) < _MOST_STEPS:
        differences, conflicts = step.differences[:_MOST_DIFFERENCES], step.conflicts[:_MOST_DIFFERENCES]
        steps.append(replace(step, differences=differences, conflicts=conflicts))


def facts(outcome: Outcome, steps: Sequence[Step], *, dry_run: bool) -> dict[str, Any]:
    """What an undo did, or would do."""
    return {
        "dry_run": dry_run,
        "act": next(iter(outcome.acts), None),
        "resumed": bool(outcome.resumed),
        "counts": {what.value: outcome.counts[what] for what in What},
        "conflicts": outcome.conflicts,
        "steps": [_step(one) for one in steps],
    }


def _managed(asking: Asking, session: Session, name: str) -> Access:
    """The book, if who asks manages it and sees all of it: earlier states show what a view hides.

    Raises NotFoundError, NeedPrivilegeError, NotAllowedHereError.
    """
    found = asking.book(session, name)
    found.require(Verb.MANAGE)
    if found.view.hidden:
        raise NotAllowedHereError("Fields of this book are hidden from you, which its history would show.")
    return found


def _number(name: str, written: str, most: int) -> int:
    if not (written.isascii() and written.isdecimal() and len(written) < 20 and _LEAST <= int(written) <= most):
        raise UnreadableError(f"{name!r} must be a number from {_LEAST} to {most}.")
    return int(written)


def _moment(name: str, written: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(written) if written else None
        if moment is not None and moment.tzinfo is None:
            raise ValueError
        return moment.astimezone(UTC) if moment is not None else None
    except (ValueError, OverflowError) as error:
        raise UnreadableError(f"{name!r} must be a time with its zone, such as 2026-12-31T23:59:59Z.") from error


def _acts(asking: Asking) -> Sequence[int]:
    value: Any = asking.sent.get("acts", [])
    is_list = isinstance(value, list) and len(value) <= _MOST_ACTS
    if not is_list or not all(type(one) is int and 0 < one < 2**62 for one in value):
        raise UnreadableError(f"'acts' must be a list of at most {_MOST_ACTS} numbers of deeds.")
    return list(value)


def _reason(entry: Entry, readable: Set[str]) -> str:
    """An entry's remark, without the names of books that the reader may not know of."""
    found = _BOTH_ENDS.fullmatch(entry.reason) if entry.kind in {"move", "copy"} else None
    if found is None:
        return entry.reason
    ends = (found[1], found[2]), (found[3], found[4])
    source, target = (f"{book}/{href}" if book in readable else "another book" for book, href in ends)
    return f"from {source} to {target}"


def _entry(entry: Entry, differences: Sequence[Difference] | None, readable: Set[str]) -> dict[str, Any]:
    return {
        "act": entry.act_id,
        "at": entry.at,
        "kind": entry.kind,
        "card": entry.href or None,
        "name": entry.name,
        "revision": entry.revision,
        "change": entry.change,
        "merged": entry.received_id is not None,
        "overwritten": [asdict(one) for one in entry.overwritten],
        "person": entry.actor,
        "device": entry.device,
        "user_agent": entry.user_agent,
        "address": entry.address,
        "reason": _reason(entry, readable),
        "differences": None if differences is None else _differences(differences),
    }


def _differences(some: Sequence[Difference | Conflict]) -> list[dict[str, str]]:
    return [asdict(one) for one in islice(some, _MOST_DIFFERENCES)]


def _step(step: Step) -> dict[str, Any]:
    return {
        "card": step.href,
        "name": step.name,
        "what": step.what.value,
        "why": step.why,
        "differences": _differences(step.differences),
        "conflicts": _differences(step.conflicts),
    }

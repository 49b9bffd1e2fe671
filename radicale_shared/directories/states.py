"""How far the following of each directory has come, what failed, and what was not believed.

A directory in trouble must not look like lost people: what would take away too much at once changes nothing, and is
kept as the *guard* of that directory, until an administrator accepts it or the directory has them again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from ..models import DirectoryState as StateTable
from ..models import Principal, now, table

# Parts of a directory that are believed or not, see ``State.guards``.
PEOPLE = "people"
MIRROR = "mirror"
_FEW = 5
_PART = 0.2
# How exactly ``followed_at`` is kept: rounds follow one another within seconds, and each note is a write.
_FOLLOWED_WITHIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class State:
    """What is noted of one directory.

    followed_at: groups and people were read then, within a minute
    mirrored_at, mirrored_to: the mirrored book was brought up then; the directory's own time of that
    failing_since, failure: since when it can't be read, and why; None and empty while it can
    guards: (part, sentence) of what was not believed; the parts are PEOPLE, its groups among it, and MIRROR
    """

    name: str
    followed_at: datetime | None = None
    mirrored_at: datetime | None = None
    mirrored_to: str = ""
    failing_since: datetime | None = None
    failure: str = ""
    guards: tuple[tuple[str, str], ...] = ()

    def guard(self, part: str) -> str:
        """What was not believed of a part; empty: nothing."""
        return dict(self.guards).get(part, "")

    @property
    def followed_lately(self) -> bool:
        """Whether ``followed`` would write nothing."""
        can_be_read = self.failing_since is None
        return can_be_read and self.followed_at is not None and self.followed_at > now() - _FOLLOWED_WITHIN


def lost(what: str, known: int, gone: int, *, of_all: bool = False) -> str:
    """What is not believed, as a sentence, where more than 5 and more than 20 % are gone at once; else nothing.

    what: e.g. ``"members of 'sales'"``
    of_all: whether it is about all there is of a directory: that nothing at all is left is not believed either
    """
    is_believed = gone <= max(_FEW, known * _PART) and not (of_all and 1 < known <= gone)
    return "" if is_believed else f"{gone} of {known} {what} would be gone at once."


def state(session: Session, name: str) -> State:
    """The state of a directory; an empty one where nothing is noted yet."""
    return next((one for one in states(session) if one.name == name), State(name))


def states(session: Session) -> list[State]:
    """The states of all directories that were ever followed, by name."""
    rows = session.execute(
        select(
            StateTable.name,
            StateTable.followed_at,
            StateTable.mirrored_at,
            StateTable.mirrored_to,
            StateTable.failing_since,
            StateTable.failure,
            StateTable.guard,
        ).order_by(StateTable.name)
    )
    return [State(*row[:6], guards=_guards(row.guard)) for row in rows]


def names(session: Session) -> set[str]:
    """The names of all directories that people or groups came from."""
    return set(session.scalars(select(Principal.directory).where(Principal.directory != "").distinct()))


def counts(session: Session, name: str) -> tuple[int, int]:
    """(people, groups) of a directory that are active here."""
    rows = session.execute(
        select(Principal.kind, func.count())
        .where(Principal.directory == name, Principal.state == "active")
        .group_by(Principal.kind)
    )
    number = dict(rows.all())
    return number.get("user", 0), number.get("group", 0)


def followed(session: Session, name: str, *, is_believed: bool = True) -> None:
    """Note that a directory could be read and, unless it was not believed, followed; see ``State.followed_lately``."""
    values: dict[str, object] = {"followed_at": now()} if is_believed else {}
    _note(session, name, failing_since=None, failure="", **values)


def failed(session: Session, name: str, reason: str) -> bool:
    """Note that a directory can't be read. Returns whether this is news."""
    before = state(session, name)
    if before.failing_since is not None and before.failure == reason:
        return False
    _note(session, name, failing_since=before.failing_since or now(), failure=reason)
    return before.failing_since is None


def mirrored(session: Session, name: str, to: str) -> None:
    """Note that the mirrored book of a directory was brought up.

    to: the directory's own time of that
    """
    _note(session, name, mirrored_at=now(), mirrored_to=to)


def set_guard(session: Session, name: str, part: str, sentence: str) -> bool:
    """Note what of a part of a directory was not believed; empty: all of it is. Returns whether this is news."""
    before = state(session, name)
    sentence = " ".join(sentence.split())
    if before.guard(part) == sentence:
        return False
    guards = dict(before.guards) | {part: sentence}
    _note(session, name, guard="\n".join(f"{one}: {said}" for one, said in sorted(guards.items()) if said))
    return True


def _guards(kept: str) -> tuple[tuple[str, str], ...]:
    parts = (line.partition(": ") for line in kept.splitlines())
    return tuple((part, sentence) for part, _, sentence in parts)


def _note(session: Session, name: str, **values: object) -> None:
    done = session.execute(update(table(StateTable)).where(table(StateTable).c.name == name).values(**values))
    if not done.rowcount:  # type: ignore[attr-defined]  # an UPDATE's result is a CursorResult
        session.execute(insert(table(StateTable)).values(name=name, **values))

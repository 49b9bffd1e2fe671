"""One round of following a directory: who may still sign in, what people and groups are called, who is in which group.

First everything is read (``present``), then what differs is written, in short transactions.

What is merely missing is not believed in large numbers (``directories.lost``): then nothing of the directory is
changed, but for people of whom it says itself that they may not sign in.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy.orm import Session

from .. import directories, sign_ins
from ..database import Database
from ..directories import GroupFacts, KnownGroup, KnownPerson, PersonFacts
from ..errors import AlreadyExistsError, NotAllowedHereError
from ..people import domain_of, folded
from .entries import PersonEntry
from .find import Directory
from .present import Memory, Present

# Of people, groups or memberships in one transaction: others wait for it to end.
_SLICE = 100

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(slots=True)
class Report:
    """What a round found: how many were looked at, and how many of these had news.

    joined, left: direct memberships
    guard: what was not believed, so that nothing was changed; empty: all of it was
    problems: what can't be taken in, as sentences
    """

    directory: str
    people: int = 0
    groups: int = 0
    new_groups: int = 0
    gone_groups: int = 0
    changed: int = 0
    disabled: int = 0
    enabled: int = 0
    joined: int = 0
    left: int = 0
    guard: str = ""
    problems: list[str] = field(default_factory=list)


def facts_of(directory: Directory, entry: PersonEntry) -> PersonFacts:
    """What the core needs of a person's entry."""
    is_in_own_domain = domain_of(entry.login) in {folded(domain) for domain in directory.settings.domains}
    return PersonFacts(
        key=entry.key,
        dn=entry.dn,
        login=entry.login,
        name=entry.name,
        email=entry.email,
        domain=entry.domain,
        active=entry.active if entry.tells_state else None,
        may_be_bare=directory.is_first or is_in_own_domain,
        elsewhere=directory.elsewhere,
    )


def take(db: Database, directory: Directory, entry: PersonEntry) -> KnownPerson:
    """The principal of a person's entry, made or brought up to it, as ``directories.take_person``.

    Somebody else who has this login by all that is known is looked at in the directory first, and renamed or disabled
    where it says so. Raises AlreadyExistsError if both have it, NotAllowedHereError, DirectoryUnavailableError.
    """
    name, facts = directory.settings.name, facts_of(directory, entry)
    try:
        with db.write() as session:
            return directories.take_person(session, name, facts)
    except AlreadyExistsError:
        with db.read() as session:
            holder = directories.known(session, name, folded(facts.login))
        if holder is None:
            raise
        present = directory.person(holder.key)
        if present is not None and folded(present.login) == holder.directory_login:
            raise
        with db.write() as session:
            if present is None:
                directories.person_gone(session, name, holder.key)
            return directories.take_person(session, name, facts, freed={holder.key})


def follow(
    directory: Directory,
    db: Database,
    *,
    everything: bool,
    memory: Memory | None = None,
    accept: bool = False,
    dry_run: bool = False,
    goes_on: Callable[[], bool] = lambda: True,
) -> Report:
    """Do one round.

    everything: all groups, and everybody who is known; else those that matter now
    accept: believe the directory whatever is missing, and forget what was not believed before
    dry_run: only tell what would be changed
    goes_on: asked between reading and writing; False leaves all as it is

    Raises DirectoryUnavailableError; nothing was changed then.
    """
    one = _Round(directory, db, memory or Memory(), everything=everything)
    one.read()
    one.report.people, one.report.groups = len(one.people), len(one.facts)
    one.guard("" if accept else one.lost())
    if not dry_run and goes_on():
        one.write()
    return one.report


class _Round(Present):
    """What one round found out, judged and written."""

    def __init__(self, directory: Directory, db: Database, memory: Memory, *, everything: bool) -> None:
        super().__init__(directory, db, memory, everything=everything)
        self.report = Report(self.name, problems=self.problems)

    # -- judging -------------------------------------------------------------------------------------------------------

    def lost(self) -> str:
        """What can't be believed, as sentences; empty: nothing."""
        active = [one for one in self.people if one.state == "active"]
        gone = [one for one in active if not self._is_named(one)]
        groups = [one for one in self.groups.values() if one.state == "active" and self._is_looked_at(one)]
        said = [
            directories.lost("people who are known", len(active), len(gone), of_all=True),
            directories.lost("groups", len(groups), len(self.gone), of_all=True),
        ]
        left = Counter(group for group, _ in [*self.left_people, *self.left_groups])
        left.update({one.key: self.sizes[one.key] for one in self.gone})
        for key, number in sorted(left.items()):
            group = self.groups[key]
            if group.id in self.followed:  # of others nobody loses a right
                said.append(directories.lost(f"members of {group.slug!r}", self.sizes[key], number))
        return " ".join(sentence for sentence in said if sentence)

    def _is_named(self, one: KnownPerson) -> bool:
        """Whether a person has an entry with a login: a reader who may not see logins any more loses everybody's."""
        return one.key in self.entries and bool(self.entries[one.key].login)

    def _is_looked_at(self, group: KnownGroup) -> bool:
        return self.everything or group.id in self.followed

    def guard(self, sentence: str) -> None:
        """Keep what isn't believed; then only what the directory says in so many words is written."""
        self.report.guard = sentence
        report, entries = self.report, self.entries
        self.shut_out = [
            one for one in self.people if one.key in entries and not entries[one.key].active and one.state == "active"
        ]
        self.gone_people: list[KnownPerson] = []
        self.taken: list[KnownPerson] = []
        self.taken_groups: list[GroupFacts] = []
        if sentence:
            self.shut_out = [one for one in self.shut_out if self._is_named(one)]
        report.disabled = len(self.shut_out)
        if sentence:
            self.gone, self.joined_people, self.left_people = [], set(), set()
            self.joined_groups, self.left_groups = set(), set()
            return
        self.gone_people = [
            one for one in self.people if one.key not in entries and (one.state == "active" or one.directory_login)
        ]
        self.taken = [one for one in self.people if one.key in entries and self._has_news(one)]
        self.taken_groups = [
            facts for key, facts in sorted(self.facts.items()) if self._group_has_news(self.groups.get(key), facts)
        ]
        report.disabled += sum(one.state == "active" for one in self.gone_people)
        report.enabled = sum(
            one.disabled_by == "directory" and _may_come_back(entries[one.key]) and one.key not in self.twins
            for one in self.people
            if one.key in entries
        )
        report.new_groups = sum(facts.key not in self.groups for facts in self.taken_groups)
        report.gone_groups = len(self.gone)
        report.changed = len(self.taken) + len(self.taken_groups) - report.new_groups
        report.joined = len(self.joined_people) + len(self.joined_groups)
        report.left = len(self.left_people) + len(self.left_groups)

    def _has_news(self, one: KnownPerson) -> bool:
        entry = self.entries[one.key]
        if one.key in self.twins:
            return False
        try:
            return directories.has_news(one, self.name, facts_of(self.directory, entry))
        except NotAllowedHereError as error:
            if entry.active:
                self.problem(f"{entry.dn!r} can't be taken in: {error}")
            return False

    def _group_has_news(self, known: KnownGroup | None, facts: GroupFacts) -> bool:
        try:
            return directories.group_has_news(known, facts)
        except NotAllowedHereError as error:
            self.problem(f"{facts.dn!r} can't be taken in: {error}")
            return False

    # -- writing -------------------------------------------------------------------------------------------------------

    def write(self) -> None:
        self._each(self.shut_out, lambda session, one: directories.person_disabled(session, self.name, one.key))
        self._each(self.gone_people, lambda session, one: directories.person_gone(session, self.name, one.key))
        lost_login = {
            one.key
            for one in self.people
            if one.key not in self.entries or folded(self.entries[one.key].login) != one.directory_login
        }
        self._each(self.taken, lambda session, one: self._take(session, one, lost_login))
        self._each(self.taken_groups, lambda session, facts: directories.take_group(session, self.name, facts))
        self._each(self.gone, lambda session, one: directories.group_gone(session, self.name, one.key))
        self._write_memberships()
        self._note()
        for problem in self.report.problems:
            if problem not in self.memory.told:
                _log.warning("Directory %s: %s", self.name, problem)
        self.memory.told = set(self.report.problems)
        if not self.report.guard:
            self._remember()

    def _each(self, items: Sequence[T], work: Callable[[Session, T], object]) -> None:
        for some in _slices(items):
            with self.db.write() as session:
                for one in some:
                    work(session, one)

    def _take(self, session: Session, one: KnownPerson, lost_login: set[str]) -> None:
        entry = self.entries[one.key]
        try:
            directories.take_person(session, self.name, facts_of(self.directory, entry), freed=lost_login)
        except AlreadyExistsError as error:
            self.problem(f"{entry.dn!r} can't be taken in: {error}")
            if not entry.active:
                directories.person_disabled(session, self.name, one.key)

    def _write_memberships(self) -> None:
        ids = {key: one.id for key, one in self.groups.items()}
        if self.report.new_groups:
            with self.db.read() as session:
                ids = {one.key: one.id for one in directories.known_groups(session, self.name)}
        added = [(ids[group], person) for group, person in sorted(self.joined_people) if group in ids]
        added += [(ids[g], ids[child]) for g, child in sorted(self.joined_groups) if g in ids and child in ids]
        removed = [(ids[group], person) for group, person in sorted(self.left_people)]
        removed += [(ids[group], ids[child]) for group, child in sorted(self.left_groups)]
        # What is taken away first: it must not wait for a long list of what is given.
        for some in _slices(removed):
            with self.db.write() as session:
                directories.change_memberships(session, added=[], removed=some)
        for some in _slices(added):
            with self.db.write() as session:
                directories.change_memberships(session, added=some, removed=[])

    def _note(self) -> None:
        """That the directory was read, and what of it was not believed."""
        guard, state = self.report.guard, self.state
        if guard:
            _log.error(
                "Directory %s: nothing is changed, as this is not believed: %s Look at the directory; if it is right: "
                "radicale-shared directory sync --directory %s --accept",
                *(self.name, guard, self.name),
            )
        can_be_read = state.failing_since is None
        if state.guard(directories.PEOPLE) == guard and (state.followed_lately or (guard and can_be_read)):
            return
        with self.db.write() as session:
            directories.followed(session, self.name, is_believed=not guard)
            directories.set_guard(session, self.name, directories.PEOPLE, guard)
        if not can_be_read:
            _log.warning("Directory %s can be read again.", self.name)

    def _remember(self) -> None:
        """Keep what the next round compares with, and what follows from changed passwords."""
        told = {key: entry.password_changed for key, entry in self.entries.items()}
        changed = [key for key, mark in told.items() if self.memory.passwords.get(key, mark) != mark]
        self._each(changed, lambda session, key: sign_ins.password_changed(session, self.name, key))
        self.memory.passwords.update(told)
        self.memory.members.update(self.members)


def _may_come_back(entry: PersonEntry) -> bool:
    """Whether an entry says that the person may sign in: where it tells nothing, a sign-in has to show it."""
    return entry.active and entry.tells_state


def _slices(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for begin in range(0, len(items), _SLICE):
        yield items[begin : begin + _SLICE]

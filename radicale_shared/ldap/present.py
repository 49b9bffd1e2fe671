"""What a directory has at this moment, beside what is known of it: people, groups, and who is in which group.

An ordinary reading has the people who were here lately and the groups that rights hang on; one of everything has all
groups, and everybody who is known.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from .. import directories
from ..database import Database
from ..directories import GroupFacts
from ..models import now
from ..people import folded
from . import nesting
from .entries import GroupEntry, folded_dn
from .find import Directory


@dataclass(slots=True)
class Memory:
    """What the rounds of one process remember of a directory from one to the next.

    passwords: {person's key: what tells of changes of the password}
    members: {group's key: a number that changes with its members}
    told: problems that the log has already
    """

    passwords: dict[str, str] = field(default_factory=dict)
    members: dict[str, int] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)


class Present:
    """What was read, and which memberships differ. Groups are named by their keys, as new ones have no id yet.

    people, groups: known before, groups by key; entries: of those people who are there, by key
    twins: keys of entries that share a login; facts: of the groups that are there; gone: groups that are not
    joined_people, left_people: pairs of (group's key, person's id); joined_groups, left_groups: of two groups' keys
    sizes: how many are known to be in a group, by its key
    """

    def __init__(self, directory: Directory, db: Database, memory: Memory, *, everything: bool) -> None:
        self.directory = directory
        self.db = db
        self.memory = memory
        self.everything = everything
        self.name = directory.settings.name
        self.is_ad = directory.settings.kind == "ad"
        self.problems: list[str] = []
        self.knows_people = True

    def read(self) -> None:
        """Ask the database, then the directory. Raises DirectoryUnavailableError."""
        with self.db.read() as session:
            # What was not believed can be of the whole directory: the rounds are until it is settled.
            self.state = directories.state(session, self.name)
            self.everything |= bool(self.state.guard(directories.PEOPLE))
            since = None if self.everything else now() - directories.RECENTLY
            self.people = directories.known_people(session, self.name, seen_since=since)
            self.groups = {one.key: one for one in directories.known_groups(session, self.name)}
            self.followed = directories.followed_groups(session, self.name)
            pairs = directories.memberships(session, self.name, followed_only=not self.everything)
        self._read_people()
        self._read_groups()
        self._compare_memberships(pairs)

    def _read_people(self) -> None:
        self.entries = self.directory.people([one.key for one in self.people])
        renamed = {
            folded(self.entries[one.key].login)
            for one in self.people
            if one.key in self.entries and folded(self.entries[one.key].login) != one.directory_login
        }
        if renamed:  # whoever had such a login until now is looked at too, wherever they are
            with self.db.read() as session:
                holders = [directories.known(session, self.name, login) for login in sorted(renamed)]
            known = {one.key for one in self.people}
            more = {one.key: one for one in holders if one is not None and one.key not in known}
            self.people += more.values()
            self.entries.update(self.directory.people(more))
        logins = Counter(folded(entry.login) for entry in self.entries.values())
        self.twins = {key for key, entry in self.entries.items() if logins[folded(entry.login)] > 1}
        for key in sorted(self.twins):
            entry = self.entries[key]
            self.problem(f"{entry.dn!r} is not the only one with the login {entry.login!r}: both are refused.")

    def _read_groups(self) -> None:
        """Which groups there are, and who is in each: known people by id, groups by key."""
        present = {one.key: one.id for one in self.people if one.key in self.entries}
        self.by_dn = {folded_dn(self.entries[key].dn): one for key, one in present.items()}
        self.by_login = {folded(self.entries[key].login): one for key, one in present.items() if key not in self.twins}
        self.group_by_dn = {folded_dn(one.dn): key for key, one in self.groups.items() if one.state == "active"}
        self.facts: dict[str, GroupFacts] = {}
        self.person_pairs: set[tuple[str, int]] = set()
        self.group_pairs: set[tuple[str, str]] = set()
        self.members: dict[str, int] = {}
        if self.everything:
            before = dict(self.group_by_dn)
            for entry in self.directory.all_groups():
                self._read_group(entry)
            self.group_by_dn = {folded_dn(one.dn): key for key, one in self.facts.items()}
            if self.group_by_dn.items() - before.items():  # some were named by others before they were known
                self.group_pairs = set()
                for entry in self.directory.all_groups():
                    self._read_group(entry)
            wanted = set(self.groups)
        else:
            wanted = self._read_followed()
        self.gone = [self.groups[key] for key in sorted(wanted - set(self.facts)) if self.groups[key].state == "active"]
        if self.is_ad:
            self._read_tokens(present)
        elif self.directory.settings.member_of_attribute:
            self._read_member_of(present)

    def _read_followed(self) -> set[str]:
        """Read the groups that rights hang on, and those in them; returns the keys that were asked for."""
        wanted = {key for key, one in self.groups.items() if one.id in self.followed}
        front, read = set(wanted), dict[str, GroupEntry]()
        while front:
            more = self.directory.groups(sorted(front))
            read.update(more)
            named = {dn for entry in more.values() for dn in entry.members}
            front = {self.group_by_dn[dn] for dn in named & self.group_by_dn.keys()} - wanted
            wanted |= front
        # By what they are called now: a name that one of them had may be another group's.
        self.group_by_dn = {dn: key for dn, key in self.group_by_dn.items() if key not in wanted}
        self.group_by_dn.update({folded_dn(entry.dn): key for key, entry in read.items()})
        for entry in read.values():
            self._read_group(entry)
        return wanted

    def _read_group(self, entry: GroupEntry) -> None:
        self.facts[entry.key] = GroupFacts(entry.key, entry.dn, entry.name)
        self.group_by_dn[folded_dn(entry.dn)] = entry.key
        self.group_pairs |= {(entry.key, self.group_by_dn[dn]) for dn in entry.members & self.group_by_dn.keys()}
        if not self.is_ad:
            people = {self.by_dn[dn] for dn in entry.members & self.by_dn.keys()}
            people |= {self.by_login[login] for login in entry.member_logins & self.by_login.keys()}
            self.person_pairs |= {(entry.key, one) for one in people}
        self.members[entry.key] = hash((entry.members, entry.member_logins))

    def _read_member_of(self, present: dict[str, int]) -> None:
        for key, principal_id in present.items():
            for dn in self.entries[key].entry.texts(self.directory.settings.member_of_attribute):
                group = self.group_by_dn.get(folded_dn(dn))
                if group in self.facts:
                    self.person_pairs.add((group, principal_id))

    def _read_tokens(self, present: dict[str, int]) -> None:
        """All groups of each person, the primary one too, which no group's members tell: two requests each.

        Only where a group's members changed, at the first round of a process, and in rounds over everything.
        """
        changed = any(self.memory.members.get(key) != mark for key, mark in self.members.items())
        self.knows_people = self.everything or changed or bool(self.gone)
        if self.knows_people:
            for key, principal_id in present.items():
                groups = self.directory.groups_of(self.entries[key]) & self.facts.keys()
                self.person_pairs |= {(group, principal_id) for group in groups}

    def _compare_memberships(self, pairs: set[tuple[int, int]]) -> None:
        """What of the memberships differs, of the groups that were read and the people that are there."""
        keys = {one.id: key for key, one in self.groups.items()}
        present = {one.id for one in self.people if one.key in self.entries}
        known_people = {(keys[group], member) for group, member in pairs if group in keys and member not in keys}
        known_groups = {(keys[group], keys[member]) for group, member in pairs if group in keys and member in keys}
        self.sizes = Counter(group for group, _ in [*known_people, *known_groups])
        others = {pair for pair in known_groups if pair[0] not in self.facts}
        nested = nesting.within_depth(self.group_pairs | others, self.directory.settings.nested_depth)
        compared = {pair for pair in known_people if pair[0] in self.facts and pair[1] in present}
        wanted = self.person_pairs if self.knows_people else compared
        self.joined_people, self.left_people = wanted - compared, compared - wanted
        compared_groups = {pair for pair in known_groups if pair[0] in self.facts}
        wanted_groups = {pair for pair in nested if pair[0] in self.facts}
        self.joined_groups, self.left_groups = wanted_groups - compared_groups, compared_groups - wanted_groups

    def problem(self, sentence: str) -> None:
        """Keep what can't be taken in."""
        self.problems.append(sentence)

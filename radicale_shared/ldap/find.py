"""People and groups of one directory: found by login or key, checked by password, streamed for the mirror."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from ..directory_settings import DirectorySettings
from ..people import folded
from . import entries, filters, search, verdicts
from .connection import Connections
from .entries import Entry, GroupEntry, NoKeyError, PersonEntry, folded_dn
from .line import Line
from .messages import Scope
from .verdicts import Verdict

BATCH = 200  # keys in one filter
LONGEST_LOGIN = 320  # as long as an address for mail (RFC 5321, section 4.5.3.1)
_MOST_TWINS = 10  # entries with one login that are looked at
_MOST_SHOWN = 3
# How far a server's clock may be behind ours where it doesn't tell the time.
_CLOCKS_DIFFER = timedelta(minutes=5)
# What casefolding makes one, and directories keep apart.
_FOLDED_PAIRS = (("ss", "ß"), ("σ", "ς"))
_MOST_SPELLINGS = 8

T = TypeVar("T")


class Directory:
    """One directory of the settings; thread-safe, opens nothing before the first use.

    is_first: whether its people may be called by their login alone
    elsewhere: the other directories' domains, folded

    Whatever is asked of it raises DirectoryUnavailableError where it can't be asked, or doesn't answer wholly.
    """

    def __init__(
        self, settings: DirectorySettings, *, is_first: bool = True, elsewhere: frozenset[str] = frozenset()
    ) -> None:
        self.settings = settings
        self.is_first = is_first
        self.elsewhere = elsewhere
        self._connections = Connections(settings)
        self._person_attributes = _named(
            *(settings.login_attribute, *settings.login_aliases, settings.key_attribute, settings.name_attribute),
            *(settings.mail_attribute, settings.principal_name_attribute, *settings.state_attributes),
            *(settings.password_changed_attribute, settings.member_of_attribute),
        )
        self._group_attributes = _named(
            *(settings.group_name_attribute, settings.group_key_attribute, *settings.member_attributes),
            settings.member_login_attribute,
        )

    @property
    def operations(self) -> int:
        """LDAP requests sent so far."""
        return self._connections.operations

    def find(self, login: str, domain: str = "") -> list[PersonEntry]:
        """The people with this login, at most 3; one round trip for each base.

        Those whose login it is go before those where an alias has it, who are left out then. Found are also logins that
        are the same to us and others to the directory (``strauß``, ``strauss``): who signs in must be the only one.

        login: without domain
        domain: the one that was typed with it, for aliases that are written with one (mail, userPrincipalName)
        """
        wanted = self._login_filter(login, domain)
        if not wanted:
            return []
        found = self._people(wanted, most=_MOST_TWINS)
        same = [person for person in found if folded(person.login) == folded(login)]
        return (same or [person for person in found if person.login])[:_MOST_SHOWN]

    def check(self, entry: PersonEntry, password: str) -> Verdict:
        """What the directory says to a password of ``entry``; one round trip.

        An empty one is never sent: directories take it for an anonymous bind, which succeeds (RFC 4513, section 5.1.2).

        Raises ValueError if it is empty.
        """
        if not password:
            raise ValueError("an empty password is checked nowhere")
        name = self._bind_name(entry)
        return self._connections.check(lambda line: verdicts.bound(line, self.settings, name, password))

    def check_nobody(self, password: str) -> None:
        """Fail to sign in: an unknown login costs what a wrong password does."""
        if password:
            name = f"{self.settings.login_attribute}=nobody-{secrets.token_hex(8)},{self.settings.people_base[0]}"
            self._connections.check(lambda line: verdicts.bound(line, self.settings, name, password))

    def person(self, key: str) -> PersonEntry | None:
        """The person with this key."""
        return self.people([key]).get(key)

    def people(self, keys: Iterable[str]) -> dict[str, PersonEntry]:
        """The people with these keys, those that are there; BATCH of them a search."""
        settings, wanted = self.settings, set(keys)
        found = self._keyed(
            wanted, settings.key_attribute, settings.people_base, settings.people_filter, self._person_attributes
        )
        return {person.key: person for entry in found if (person := self._person(entry)).key in wanted}

    def groups_of(self, entry: PersonEntry) -> set[str]:
        """The keys of the groups that the person is in: directly, on Active Directory all of them.

        Directly is whatever way the directory writes it: a member's DN or login in the group, the group's DN in the
        person. One search for at most BATCH groups; on Active Directory one more.
        """
        found: set[str] = set()
        if not self.settings.group_base:
            return found
        clauses = self._token_clauses(entry) if self.settings.kind == "ad" else self._member_clauses(entry)
        for begin in range(0, len(clauses), BATCH):
            wanted = filters.every(self.settings.group_filter, filters.some(clauses[begin : begin + BATCH]))
            part = self._below(self.settings.group_base, wanted, self._group_key)
            found.update(
                self._made(lambda one: entries.key(one, self.settings.group_key_attribute), one) for one in part
            )
        return found

    def all_groups(self) -> Iterator[GroupEntry]:
        """Every group, one page after another on a connection of its own."""
        for entry in self.search(self.settings.group_base, self.settings.group_filter, self._group_attributes):
            yield self._group(entry)

    def groups(self, keys: Iterable[str]) -> dict[str, GroupEntry]:
        """The groups with these keys, those that are there; BATCH of them a search."""
        settings, wanted = self.settings, set(keys)
        found = self._keyed(
            wanted, settings.group_key_attribute, settings.group_base, settings.group_filter, self._group_attributes
        )
        return {group.key: group for entry in found if (group := self._group(entry)).key in wanted}

    def search(
        self,
        bases: Sequence[str],
        filter: str,
        attributes: Sequence[str],
        *,
        changed_since: str = "",
    ) -> Iterator[Entry]:
        """The entries below the bases that match, each once, as they come: page by page on a connection of its own.

        changed_since: only those that changed since what ``now`` gave then; who is gone is not among them
        """
        attribute = "whenChanged" if self.settings.kind == "ad" else "modifyTimestamp"
        wanted = filters.every(filter, f"({attribute}>={filters.escaped(changed_since)})") if changed_since else filter
        seen: set[str] = set()
        with self._connections.stream() as line:
            for base in bases:
                for page in search.pages(line, self.settings, base, wanted, _named(*attributes)):
                    for entry in page:
                        dn = folded_dn(entry.dn) if len(bases) > 1 else ""
                        if not dn or dn not in seen:
                            seen.add(dn)
                            yield entry

    def now(self) -> str:
        """The directory's time, as ``changed_since`` takes it; where it doesn't tell, ours, a little earlier."""
        found = self._at("", "(objectClass=*)", ["currentTime"])
        told = entries.generalized_time(found[0].text("currentTime")) if found else None
        moment = told or datetime.now(UTC) - _CLOCKS_DIFFER
        return f"{moment:%Y%m%d%H%M%S}{'.0' if self.settings.kind == 'ad' else ''}Z"

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        self._connections.close()

    # -- what is searched

    @property
    def _group_key(self) -> tuple[str, ...]:
        return _named(self.settings.group_key_attribute) or ("1.1",)  # RFC 4511, section 4.5.1.8: no attributes

    def _login_filter(self, login: str, domain: str) -> str:
        """Who has this login, or has it as an alias; empty where nobody can."""
        settings, login = self.settings, login.strip()
        try:
            f"{login}@{domain}".encode()
        except UnicodeEncodeError:
            return ""
        if not login or len(login) > LONGEST_LOGIN or len(domain) > LONGEST_LOGIN:
            return ""
        clauses = [filters.equal(settings.login_attribute, one) for one in _spellings(login)]
        typed = [login, f"{login}@{domain}"] if domain else [login]
        clauses += [filters.equal(alias, one) for alias in settings.login_aliases for one in typed]
        if settings.principal_name_attribute and not domain:
            names = [f"{login}@{one}" for one in settings.domains if "." in one]
            clauses += [filters.equal(settings.principal_name_attribute, one) for one in names]
        return filters.some(clauses)

    def _member_clauses(self, entry: PersonEntry) -> list[str]:
        """What is true of a group that the person is in, if any of it is."""
        settings = self.settings
        clauses = [filters.equal(name, entry.dn) for name in settings.member_attributes]
        if settings.member_login_attribute and entry.login:
            clauses.append(filters.equal(settings.member_login_attribute, entry.login))
        groups = entry.entry.texts(settings.member_of_attribute)
        return [*clauses, *(filters.equal(settings.dn_attribute, dn) for dn in groups)]

    def _token_clauses(self, entry: PersonEntry) -> list[str]:
        """One clause for each group in the person's token (MS-ADTS, section 3.1.1.4.5.19), the primary one among them.

        Whoever exists has a primary group: no token at all is one that the reader may not see.
        """
        found = self._at(entry.dn, "(objectClass=*)", ["tokenGroups"])
        if not found:
            moved = self.person(entry.key)
            if moved is None:
                return []
            found = self._at(moved.dn, "(objectClass=*)", ["tokenGroups"])
        tokens = found[0].attributes.get("tokengroups", ()) if found else ()
        if not tokens:
            raise self._connections.unavailable(f"the reader may not see tokenGroups of {entry.dn!r}")
        return [filters.equal("objectSid", token) for token in tokens]

    def _bind_name(self, entry: PersonEntry) -> str:
        """Whom to bind as. The login is the entry's own: what was typed may be an alias, and somebody else's login."""
        pattern = self.settings.bind_as
        login = entries.escaped_in_dn(entry.login) if "=" in pattern else entry.login
        return pattern.replace("{login}", login) if pattern else entry.dn

    # -- searches

    def _below(self, bases: Sequence[str], wanted: str, attributes: Sequence[str], *, most: int = 0) -> list[Entry]:
        """The entries below the bases that match, each once."""

        def work(line: Line) -> list[Entry]:
            found = (search.pages(line, self.settings, base, wanted, attributes, most=most) for base in bases)
            return [entry for pages in found for page in pages for entry in page]

        return list({entry.dn: entry for entry in self._connections.read(work)}.values())

    def _at(self, dn: str, wanted: str, attributes: Sequence[str]) -> list[Entry]:
        """The entry with this DN, if it matches."""

        def work(line: Line) -> list[Entry]:
            found = search.pages(line, self.settings, dn, wanted, attributes, scope=Scope.BASE)
            return [entry for page in found for entry in page]

        return self._connections.read(work)

    def _keyed(
        self, keys: Iterable[str], attribute: str, bases: Sequence[str], wanted: str, attributes: Sequence[str]
    ) -> Iterator[Entry]:
        """The entries with these keys; without an attribute for it they are DNs."""
        if not attribute:
            below = tuple(folded_dn(base) for base in bases)
            for key in keys:
                if any(key == base or key.endswith(f",{base}") for base in below):
                    yield from self._at(key, wanted, attributes)
            return
        clauses = [filters.equal(attribute, entries.searched(key, attribute)) for key in keys]
        for begin in range(0, len(clauses), BATCH):
            part = filters.some(clauses[begin : begin + BATCH])
            yield from self._below(bases, filters.every(wanted, part), attributes)

    def _people(self, wanted: str, *, most: int) -> list[PersonEntry]:
        settings = self.settings
        wanted = filters.every(settings.people_filter, wanted)
        return [
            self._person(entry)
            for entry in self._below(settings.people_base, wanted, self._person_attributes, most=most)
        ]

    def _person(self, entry: Entry) -> PersonEntry:
        return self._made(lambda one: entries.person(self.settings, one, datetime.now(UTC)), entry)

    def _group(self, entry: Entry) -> GroupEntry:
        return self._made(lambda one: entries.group(self.settings, one), entry)

    def _made(self, make: Callable[[Entry], T], entry: Entry) -> T:
        try:
            return make(entry)
        except NoKeyError as error:
            raise self._connections.unavailable(str(error)) from error


def _named(*names: str) -> tuple[str, ...]:
    """The names that are some, each once."""
    return tuple({name.lower(): name for name in names if name}.values())


def _spellings(login: str) -> list[str]:
    """``login`` and others that fold to the same, of which a directory may have one or both."""
    plain = folded(login)
    found = [login, plain]
    for joined, single in _FOLDED_PAIRS:
        parts = plain.split(joined)
        found += [joined.join(parts[:at]) + single + joined.join(parts[at:]) for at in range(1, len(parts))]
    return list(dict.fromkeys(found))[:_MOST_SPELLINGS]

"""The people of directories: taking in who they are there, and whether they may sign in.

A person's ``login`` is what they are called here: in the first directory their login there, where nobody else has it,
else ``login@domain``. What they are called there is ``directory_login``, by which they are found at a sign-in.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, count, islice
from typing import Any

from sqlalchemy import Select, bindparam, case, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from .. import people, texts
from ..errors import AlreadyExistsError, NotAllowedHereError
from ..models import Device, DirectoryState, Principal, now, table

# Who signed in, or used a device, within this time is looked at in every round.
RECENTLY = timedelta(days=30)
# How exactly ``seen_at`` is kept: a device polls every few minutes, and each note is a write.
_SEEN_WITHIN = timedelta(hours=1)
# An index holds it (PostgreSQL: some 2,700 bytes an entry); of a directory without stable ids it is the DN.
_LONGEST_KEY = 2000


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """What a directory says of a person.

    key: what never changes there, e.g. objectGUID
    login: the value of its login attribute
    domain: empty if the directory has none
    active: whether the directory lets them sign in; None where it doesn't tell: who is known stays as they are
    may_be_bare: whether they may be called by their login alone; whoever is already stays so
    elsewhere: domains of other directories, folded; nobody of this one is called as if they were of those
    """

    key: str
    dn: str
    login: str
    name: str
    email: str
    domain: str
    active: bool | None
    may_be_bare: bool = True
    elsewhere: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """A principal of a directory as it was when it was read; never a removed one.

    directory_login: folded; empty once somebody else has it there
    state, disabled_by: ``"active"`` and empty, or ``"disabled"`` by ``"administrator"`` or ``"directory"``
    groups_at: when their groups were read for themselves
    followed_at: when the directory's groups and recently active people were read last
    """

    id: int
    slug: str
    key: str
    login: str
    directory_login: str
    dn: str
    name: str
    email: str
    domain: str
    state: str
    disabled_by: str
    auth_version: int
    seen_at: datetime | None
    groups_at: datetime | None
    followed_at: datetime | None

    @property
    def groups_known_at(self) -> datetime | None:
        """When their groups were surely known last: read for themselves, or by the round that follows active people."""
        if self.groups_at is None or self.followed_at is None or self.seen_at is None:
            return self.groups_at
        was_followed = self.seen_at > self.followed_at - RECENTLY + _SEEN_WITHIN
        return max(self.groups_at, self.followed_at) if was_followed else self.groups_at


_KNOWN: Select[*tuple[Any, ...]] = (
    select(
        Principal.id,
        Principal.slug,
        Principal.directory_key.label("key"),
        func.coalesce(Principal.login, "").label("login"),
        func.coalesce(Principal.directory_login, "").label("directory_login"),
        func.coalesce(Principal.dn, "").label("dn"),
        Principal.name,
        Principal.email,
        Principal.domain,
        Principal.state,
        Principal.disabled_by,
        Principal.auth_version,
        Principal.seen_at,
        Principal.groups_at,
        DirectoryState.followed_at,
    )
    .join(DirectoryState, DirectoryState.name == Principal.directory, isouter=True)
    .where(
        Principal.kind == "user",
        Principal.directory == bindparam("directory"),
        Principal.directory_key.is_not(None),
        Principal.state != "removed",
    )
)
_BY_LOGIN = _KNOWN.where(
    or_(Principal.directory_login == bindparam("login"), Principal.login_folded == bindparam("login"))
).order_by(case((Principal.directory_login == bindparam("login"), 0), else_=1))
_BY_KEY = _KNOWN.where(Principal.directory_key == bindparam("key"))
_HOLDER = _KNOWN.where(Principal.directory_login == bindparam("login"))
_used_a_device = exists().where(Device.principal_id == Principal.id, Device.last_used_at > bindparam("since"))
_SEEN_SINCE = _KNOWN.where(or_(Principal.seen_at > bindparam("since"), _used_a_device))


def known(session: Session, directory: str, login_folded: str) -> KnownPerson | None:
    """The person with this login in a directory, or whose login here it is; also a disabled one. One SELECT.

    login_folded: by ``people.folded``, without the directory's domain
    """
    row = session.execute(_BY_LOGIN, {"directory": directory, "login": login_folded}).first()
    return KnownPerson(*row) if row else None


def by_key(session: Session, directory: str, key: str) -> KnownPerson | None:
    """The person whom a directory tells by ``key``."""
    return _one(session, _BY_KEY, directory=directory, key=key)


def known_people(session: Session, directory: str, *, seen_since: datetime | None = None) -> list[KnownPerson]:
    """Everybody who is known of a directory, disabled ones too; or only those who were here since a moment.

    Here is who signed in, or had a device that did.
    """
    query = _KNOWN if seen_since is None else _SEEN_SINCE
    rows = session.execute(query.order_by(Principal.id), {"directory": directory, "since": seen_since})
    return [KnownPerson(*row) for row in rows]


def take_person(
    session: Session, directory: str, facts: PersonFacts, *, freed: Collection[str] = frozenset()
) -> KnownPerson:
    """The principal of a directory's person: made, brought up to the facts, or as it is where they say nothing new.

    One SELECT where nothing is new. A person whom an administrator disabled stays so.

    freed: keys of others who are known to have lost the login they had in the directory

    Raises AlreadyExistsError if somebody else of the directory has this login, by all that is known: look at both
    there, and take the other one first. Raises NotAllowedHereError for a login or key that can't be one.
    """
    wanted = _cleaned(facts)
    found = by_key(session, directory, facts.key)
    if found is not None and not _news(found, wanted, facts, directory):
        return found
    people.rights_changed(session)
    found = by_key(session, directory, facts.key)  # again, now that nobody else changes people
    _make_way(session, directory, facts, wanted["directory_login"], freed)
    if found is None:
        session.execute(
            insert(table(Principal)).values(
                **wanted,
                kind="user",
                directory=directory,
                directory_key=facts.key,
                slug=people.free_slug(session, facts.login),
                **_login(session, directory, facts, wanted["domain"], None),
                **_state(facts),
                auth_version=1,
                created_at=now(),
            )
        )
    elif values := _news(found, wanted, facts, directory):
        if "login" in values:
            values |= _login(session, directory, facts, wanted["domain"], found)
        people.alter(session, found.id, ends_sign_ins=bool({"login", "state"} & values.keys()), **values)
    taken = by_key(session, directory, facts.key)
    assert taken is not None  # noqa: S101  # it was written in this transaction
    return taken


def has_news(found: KnownPerson, directory: str, facts: PersonFacts) -> bool:
    """Whether ``take_person`` would write. Raises NotAllowedHereError as it does."""
    return bool(_news(found, _cleaned(facts), facts, directory))


def person_disabled(session: Session, directory: str, key: str) -> bool:
    """Disable a person whom the directory doesn't let in; books, grants and slug stay. Returns whether it's news."""
    return _shut_out(session, directory, key, {})


def person_gone(session: Session, directory: str, key: str) -> bool:
    """Disable a person whom the directory has no longer; their login there is free. Returns whether it's news."""
    return _shut_out(session, directory, key, {"directory_login": None})


def seen(session: Session, principal_id: int, at: datetime | None = None) -> None:
    """Note that a person, of a directory or not, was here, now or ``at`` a moment; at most once an hour."""
    columns, at = table(Principal).c, at or now()
    session.execute(
        update(table(Principal))
        .where(columns.id == principal_id, or_(columns.seen_at.is_(None), columns.seen_at < at - _SEEN_WITHIN))
        .values(seen_at=at)
    )


def check_key(key: str, whose: str) -> None:
    """Raise NotAllowedHereError for a key of a person or group that can't be kept."""
    if not key or len(key.encode()) > _LONGEST_KEY or "\x00" in key:
        raise NotAllowedHereError(f"The key of {whose!r} in its directory is empty, too long or has a NUL.")


def _shut_out(session: Session, directory: str, key: str, values: dict[str, object]) -> bool:
    people.rights_changed(session)
    found = by_key(session, directory, key)
    if found is None or (found.state == "disabled" and not (values and found.directory_login)):
        return False
    if found.state == "active":
        values = values | {"state": "disabled", "disabled_by": "directory"}
    people.alter(session, found.id, ends_sign_ins=True, **values)
    return True


def _one(session: Session, query: Select[*tuple[Any, ...]], **values: str) -> KnownPerson | None:
    row = session.execute(query, values).one_or_none()
    return KnownPerson(*row) if row else None


def _cleaned(facts: PersonFacts) -> dict[str, Any]:
    """The columns that follow from the facts alone."""
    login = people.checked_login(facts.login)
    check_key(facts.key, facts.login)
    domain = people.folded(facts.domain)
    email = texts.cleaned(facts.email, 321)
    return {
        "directory_login": people.folded(login),
        "dn": facts.dn.replace("\x00", ""),
        "name": texts.cleaned(facts.name, 500) or login,
        "email": email if len(email) <= 320 else "",
        "domain": domain if len(domain) <= 255 else "",
    }


def _state(facts: PersonFacts) -> dict[str, str]:
    if facts.active is False:
        return {"state": "disabled", "disabled_by": "directory"}
    return {"state": "active", "disabled_by": ""}


def _news(found: KnownPerson, wanted: dict[str, Any], facts: PersonFacts, directory: str) -> dict[str, Any]:
    """What of the facts isn't noted yet, as columns; ``login`` is in it where another one has to be found."""
    values = {name: value for name, value in wanted.items() if getattr(found, name) != value}
    if found.login not in _may_keep(facts, directory, wanted["domain"]):
        values["login"] = None
    state = _state(facts)["state"]
    if facts.active is not None and found.state != state and found.disabled_by in {"", "directory"}:
        values |= _state(facts)
    return values


def _may_keep(facts: PersonFacts, directory: str, domain: str) -> list[str]:
    """What a person who is called so already may be called on."""
    return list(islice(_logins(replace(facts, may_be_bare=True), directory, domain), 100))


def _logins(facts: PersonFacts, directory: str, domain: str) -> Iterator[str]:
    """What a person may be called here, the best first."""
    login = unicodedata.normalize("NFC", facts.login.strip())
    # ``name@domain`` and ``DOMAIN\\name`` go to the directory that has the domain, see ``ldap.sign_in.place``.
    if people.folded(login.partition("\\")[0]) in facts.elsewhere:
        login = login.replace("\\", "-")
    wishes = [login] if facts.may_be_bare else []
    if domain and "@" not in login:
        wishes.append(f"{login}@{domain}")
    numbered = (f"{login}@{directory}-{number}" for number in count(2))
    for wish in chain(wishes, [f"{login}@{directory}"], numbered):
        if people.domain_of(wish) not in facts.elsewhere:
            yield wish


def _login(
    session: Session, directory: str, facts: PersonFacts, domain: str, found: KnownPerson | None
) -> dict[str, str]:
    """The columns of the first login that is free; the one they have, spelled as now, where it may stay."""
    if found is not None:
        for login in _may_keep(facts, directory, domain):
            if people.folded(login) == people.folded(found.login):
                return {"login": login, "login_folded": people.folded(login)}
    for login in _logins(facts, directory, domain):
        if people.is_free_login(session, login):
            break
    return {"login": login, "login_folded": people.folded(login)}


def _make_way(session: Session, directory: str, facts: PersonFacts, login_folded: str, freed: Collection[str]) -> None:
    """Take the login from whoever had it in the directory and has no longer. Raises AlreadyExistsError."""
    holders = [_one(session, _HOLDER, directory=directory, login=login_folded)]
    named = known(session, directory, people.folded(facts.login))
    if named is not None and not named.directory_login:
        holders.append(named)  # gone, or displaced: its login here is somebody else's there now
    for holder in holders:
        if holder is None or holder.key == facts.key:
            continue
        if holder.directory_login and holder.key not in freed:
            raise AlreadyExistsError("person with the login", facts.login, f"It is {holder.slug!r}, {holder.dn!r}.")
        former = next(
            login
            for login in (f"{holder.slug}~former{number or ''}" for number in range(1_000_000))
            if people.is_free_login(session, login)
        )
        people.alter(
            session,
            holder.id,
            ends_sign_ins=True,
            directory_login=None,
            login=former,
            login_folded=people.folded(former),
        )

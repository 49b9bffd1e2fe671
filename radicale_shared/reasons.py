"""Why somebody may do a thing with a book, or may not; and who can see it: what people are told of rights.

What may be done is ``access``', by its one query. Here the same grants are walked one by one, for the ways they go:
from a person through their groups to whom a grant names, or to the owner.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from . import access, grants, principals
from .access import EVERYONE, FULL_VIEW, VERBS, Access, Role, Verb, View
from .books import Book
from .grants import DOMAIN_PREFIX, Terms
from .models import AnyRow, GroupOwner, Membership, Principal, now
from .people import Person
from .principals import Directory, Findable
from .vcard import fields

_ORDER = list(Role)


@dataclass(frozen=True, slots=True)
class Reason:
    """One way by which somebody has rights on a book, or had until it ended.

    principal: whom the grant names, as in ``grants.GrantLine``; ``"owner"`` where ownership gives it
    path: the names from the person up to that principal
    """

    terms: Terms
    principal: str
    path: tuple[str, ...]

    def __str__(self) -> str:
        first, *more = self.path
        owns = more.pop() if self.principal == "owner" else ""
        return f"{self.terms.role} as {' in '.join([first, *more])}{', ' + owns if owns else ''}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a person may do with a book, and why.

    reasons: what gives it, strongest role first; of a disabled person what would
    ended: grants that would give something, and are over
    deciders: who gives rights on the book, by name
    """

    verbs: frozenset[Verb]
    view: View
    reasons: tuple[Reason, ...]
    ended: tuple[Reason, ...]
    deciders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seer:
    """Who has access by name: the owner, or whom a grant in force is for.

    principal: as in ``grants.GrantLine``
    name: as people call it
    people: of everyone and of a domain: how many they are; None for others, and where the asker may not learn that
    """

    principal: str
    name: str
    terms: Terms
    is_owner: bool = False
    people: int | None = None


@dataclass(frozen=True, slots=True)
class SeeingPerson:
    """A person who can read a book, and by which ways."""

    slug: str
    login: str
    name: str
    verbs: frozenset[Verb]
    view: View
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Seers:
    """Who can see a book.

    people: the active people who are named or in a named group; None where the asker may not learn that
    """

    principals: tuple[Seer, ...]
    people: tuple[SeeingPerson, ...] | None


def explain(
    session: Session,
    person: Person,
    book: Book,
    *,
    asker: Access | None = None,
    findable: Findable = Findable.SHARED,
) -> Explanation:
    """Everything that gives a user rights on a book, what would if it had not ended, and who could give more.

    asker, findable: as in ``who``: of who decides, only those whom the asker may know of are told
    """
    found = access.to_book(session, person.slug, book.id)
    sources, at = _sources(session, book), now()
    paths = _upwards(session, person)
    told = sources if asker is None else _known_to(principals.directory(session, asker.slug, findable), sources)
    domain = session.scalar(_DOMAIN, {"person": person.id}) or ""
    reasons = _strongest_first(one for source in sources if (one := source.reason(paths, domain)) is not None)
    return Explanation(
        verbs=found.verbs if found else frozenset(),
        view=found.view if found else FULL_VIEW,
        reasons=tuple(one for one in reasons if one.terms.lasts(at)),
        ended=tuple(one for one in reasons if not one.terms.lasts(at)),
        deciders=_deciders(told, at),
    )


def who(session: Session, book: Book, *, asker: Access | None = None, findable: Findable = Findable.SHARED) -> Seers:
    """Who can see a book: the principals that its grants name, and the people these are.

    asker: None for an administrator, who learns all of it. A reader learns the principals, as far as they may know of
        them; who manages the book learns the people too, and what is hidden from whom
    findable: whom the asker may know of
    """
    at = now()
    sources = [source for source in _sources(session, book) if source.terms.lasts(at)]
    if asker is None:
        return Seers(tuple(_seer(session, one) for one in sources), tuple(_people(session, sources, book)))
    directory = principals.directory(session, asker.slug, findable)
    seers = [_seer(session, one) for one in _known_to(directory, sources)]
    if Verb.MANAGE not in asker.verbs:
        return Seers(tuple(replace(one, terms=Terms(one.terms.role), people=None) for one in seers), None)
    return Seers(tuple(seers), tuple(one for one in _people(session, sources, book) if one.slug in directory.known))


def refusal(session: Session, asker: Access, verb: Verb, *, findable: Findable = Findable.SHARED) -> str:
    """Why somebody who can read a book may not do a thing with it, and whom they may ask: sentences for them.

    asker: their access, which a device may have narrowed
    """
    whole = access.to_book(session, asker.slug, asker.book.id)
    may = f"You may {_listed([one.value for one in Verb if one in asker.verbs], 'and')} here, not {verb.value}."
    if asker.book.mirrored_from and verb in access.WRITES:
        return f"{may} This address book is written by a directory alone."
    if whole is not None and verb in whole.verbs:
        return f"{may} That is this device's password: with your own you may."
    known = principals.directory(session, asker.slug, findable)
    asked = _listed(_deciders(_known_to(known, _sources(session, asker.book)), now()), "or")
    return f"{may} Ask {asked}." if asked else may


def role_of(verbs: frozenset[Verb]) -> Role | None:
    """The strongest role whose verbs are all in ``verbs``."""
    return next((role for role in reversed(Role) if VERBS[role] <= verbs), None)


def _listed(words: Sequence[str], last: str) -> str:
    """E.g. ``read, add and edit``."""
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""


# -- what gives rights -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Source:
    """A grant, or a way to own the book.

    label: the principal as people call it
    principal_id: None for everyone and for a domain
    owns: of owners: what; empty for a grant
    """

    terms: Terms
    principal: str
    label: str
    principal_id: int | None = None
    domain: str = ""
    owns: str = ""

    def reason(self, paths: Mapping[int, tuple[str, ...]], domain: str) -> Reason | None:
        """Why it reaches the person with these paths and this domain; None if it doesn't."""
        if self.principal_id is None:
            if self.domain and self.domain != domain:
                return None
            return Reason(self.terms, self.principal, (self.label,))
        path = paths.get(self.principal_id)
        if path is None:
            return None
        if self.owns:
            return Reason(self.terms, "owner", (*path, self.owns))
        return Reason(self.terms, self.principal, path)


_DOMAIN = select(Principal.domain).where(Principal.id == bindparam("person"))
_NAMED = select(Principal.id, Principal.kind, Principal.slug, Principal.login, Principal.name).where(
    Principal.id.in_(bindparam("ids", expanding=True))
)
_OWNERS_OF_GROUP = select(GroupOwner.owner_id).where(GroupOwner.group_id == bindparam("group"))


def _sources(session: Session, book: Book) -> list[_Source]:
    """All that gives rights on a book, ended or not: who owns it, then its grants.

    A group that owns a book gives its members nothing by that; the group's owners are the book's.
    """
    lines = grants.of_book(session, book)
    heads = list(session.scalars(_OWNERS_OF_GROUP, {"group": book.owner_id}))
    ids = {book.owner_id, *heads, *(line.principal_id for line in lines if line.principal_id is not None)}
    named = {row.id: row for row in session.execute(_NAMED, {"ids": sorted(ids)})}
    owner = named[book.owner_id]
    owning = [(owner, "whose book it is")] if owner.kind == "user" else []
    owning += [(named[head], f"owner of group {owner.slug}") for head in heads]
    sources = [_Source(Terms(Role.OWNER), *_written(row), row.id, owns=owns) for row, owns in owning]
    for line in lines:
        if line.principal_id is not None:
            sources.append(_Source(line.terms, *_written(named[line.principal_id]), line.principal_id))
        elif line.principal == EVERYONE:
            sources.append(_Source(line.terms, EVERYONE, "everyone signed in"))
        else:
            domain = line.principal.removeprefix(DOMAIN_PREFIX)
            sources.append(_Source(line.terms, line.principal, f"everyone of {domain}", domain=domain))
    return sources


def _known_to(directory: Directory, sources: Iterable[_Source]) -> list[_Source]:
    """The sources whose principals somebody may know of; everyone and domains are nobody's secret."""
    ids = {known.id for known in directory.known.values()}
    return [one for one in sources if one.principal_id is None or one.principal_id in ids]


def _written(row: AnyRow) -> tuple[str, str]:
    """(principal, label) of a user or group."""
    return grants.written(row), f"the group {row.name}" if row.kind == "group" else row.name


def _deciders(sources: Iterable[_Source], at: datetime) -> tuple[str, ...]:
    """Who gives rights on the book, by name, each once."""
    deciding = (one for one in sources if Verb.MANAGE in VERBS[one.terms.role] and one.terms.lasts(at))
    return tuple(dict.fromkeys(one.label for one in deciding))


def _strongest_first(reasons: Iterable[Reason]) -> list[Reason]:
    return sorted(reasons, key=lambda reason: -_ORDER.index(reason.terms.role))


# -- from a person up to all they act as -------------------------------------------------------------------------------

_up = select(Principal.id).where(Principal.id == bindparam("person")).cte("up", recursive=True)
_up = _up.union(select(Membership.group_id).join(_up, Membership.member_id == _up.c.id))
_GROUPS_ABOVE = (
    select(Membership.member_id, Membership.group_id, Principal.slug)
    .join(Principal, Principal.id == Membership.group_id)
    .where(Membership.member_id.in_(select(_up.c.id)))
    .order_by(Principal.name, Principal.slug)
)


def _upwards(session: Session, person: Person) -> dict[int, tuple[str, ...]]:
    """For each principal a user acts as: the names from the user up to it, by a shortest way."""
    above: dict[int, list[tuple[int, str]]] = {}
    for row in session.execute(_GROUPS_ABOVE, {"person": person.id}):
        above.setdefault(row.member_id, []).append((row.group_id, row.slug))
    paths: dict[int, tuple[str, ...]] = {person.id: (f"user {person.login}",)}
    edge = [person.id]
    while edge:
        following = []
        for member in edge:
            for group, slug in above.get(member, ()):
                if group not in paths:
                    paths[group] = (*paths[member], f"group {slug}")
                    following.append(group)
        edge = following
    return paths


# -- from whom a grant names down to the people ------------------------------------------------------------------------

_down = select(Principal.id).where(Principal.id.in_(bindparam("ids", expanding=True))).cte("down", recursive=True)
_down = _down.union(select(Membership.member_id).join(_down, Membership.group_id == _down.c.id))
_MEMBERS = (
    select(Membership.group_id, Membership.member_id)
    .join(Principal, Principal.id == Membership.member_id)
    .where(Membership.group_id.in_(select(_down.c.id)))
    .order_by(Principal.name, Principal.slug)
)
_BELOW = (
    select(Principal.id, Principal.kind, Principal.slug, Principal.login, Principal.name, Principal.domain)
    .where(Principal.id.in_(select(_down.c.id)), Principal.state == "active")
    .order_by(Principal.name, Principal.slug)
)
_PEOPLE = select(func.count()).where(Principal.kind == "user", Principal.state == "active")


def _people(session: Session, sources: Sequence[_Source], book: Book) -> Iterator[SeeingPerson]:
    """The active people whom the sources reach by name or group, by name; what everyone has counts for them too."""
    ids = {"ids": sorted({one.principal_id for one in sources if one.principal_id is not None})}
    members: dict[int, list[int]] = {}
    for group_id, member_id in session.execute(_MEMBERS, ids):
        members.setdefault(group_id, []).append(member_id)
    below = {row.id: row for row in session.execute(_BELOW, ids)}
    paths = {one: _downwards(one, members, below) for one in ids["ids"]}
    for row in below.values():
        if row.kind != "user":
            continue
        mine = {one: found[row.id] for one, found in paths.items() if row.id in found}
        reasons = _strongest_first(one for source in sources if (one := source.reason(mine, row.domain)) is not None)
        verbs = frozenset[Verb]().union(*(access.given(one.terms.role, book) for one in reasons))
        hidden = reduce(fields.common, (one.terms.hidden for one in reasons))
        yield SeeingPerson(row.slug, row.login or row.slug, row.name, verbs, View(hidden), tuple(reasons))


def _downwards(start: int, members: Mapping[int, list[int]], below: Mapping[int, AnyRow]) -> dict[int, tuple[str, ...]]:
    """For each person in a group, at any depth: the names from the person up to it, by a shortest way."""
    paths: dict[int, tuple[str, ...]] = {}
    seen = {start}
    edge: list[tuple[int, tuple[str, ...]]] = [(start, ())]
    while edge:
        following: list[tuple[int, tuple[str, ...]]] = []
        for one, above in edge:
            row = below.get(one)
            if row is None:
                continue
            if row.kind == "user":
                paths[one] = (f"user {row.login}", *above)
                continue
            for member in members.get(one, ()):
                if member not in seen:
                    seen.add(member)
                    following.append((member, (f"group {row.slug}", *above)))
        edge = following
    return paths


def _seer(session: Session, source: _Source) -> Seer:
    people = None
    if source.domain:
        people = grants.people_of_domain(session, source.domain)
    elif source.principal_id is None:
        people = session.scalar(_PEOPLE)
    return Seer(source.principal, source.label, source.terms, is_owner=bool(source.owns), people=people)

"""Small organisations as plans: made in a database, and judged by slow obvious code what each user may know."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from hypothesis import strategies as st
from sqlalchemy import update

from radicale_shared import access, books, people
from radicale_shared.access import VERBS, Role, Verb
from radicale_shared.database import Database
from radicale_shared.models import Grant, now, table
from tests.conftest import BY

_prefixes = itertools.count(1)

EVERYBODY = -1


@dataclass(frozen=True)
class PlannedGrant:
    """``who``: a principal's number, or EVERYBODY; ``state``: "in force", "ended" or "hiding"."""

    who: int
    role: Role
    state: str


@dataclass(frozen=True)
class Plan:
    """Principals are numbers: users first, then groups.

    memberships: (group, member); disabled: users; books: (owner, grants)
    """

    users: int
    groups: int
    memberships: frozenset[tuple[int, int]]
    disabled: frozenset[int]
    books: tuple[tuple[int, tuple[PlannedGrant, ...]], ...]

    @property
    def everybody(self) -> range:
        return range(self.users + self.groups)

    def acts_as(self, user: int) -> set[int]:
        """The user, their groups, the groups of those."""
        found = {user}
        while more := {group for group, member in self.memberships if member in found} - found:
            found |= more
        return found

    def within(self, group: int) -> set[int]:
        """The members of a group, those of the groups among them, and so on."""
        found: set[int] = set()
        while more := {member for one, member in self.memberships if one in {group, *found}} - found:
            found |= more
        return found

    def verbs(self, user: int, book: int) -> frozenset[Verb]:
        owner, grants = self.books[book]
        verbs = VERBS[Role.OWNER] if owner == user else frozenset()
        for grant in grants:
            if grant.state == "in force" and grant.who in {*self.acts_as(user), EVERYBODY}:
                verbs |= VERBS[grant.role]
        return verbs

    def visible(self, user: int, mode: str) -> set[int]:
        """Whom a user may know of, said once more in other words than the program's."""
        found = self.acts_as(user)
        for book, (owner, grants) in enumerate(self.books):
            verbs = self.verbs(user, book)
            if Verb.READ not in verbs:
                continue
            found.add(owner)
            if mode == "nobody":
                continue
            named = {grant.who for grant in grants if grant.state == "in force"} - {EVERYBODY}
            found |= named
            if Verb.MANAGE in verbs:
                for one in named:
                    found |= self.within(one)
        if mode == "everyone":
            found |= set(self.everybody) - self.disabled
        return found


@dataclass(frozen=True)
class Made:
    """A plan in a database. slugs: of its principals, by number"""

    plan: Plan
    prefix: str
    slugs: tuple[str, ...]

    def named(self, slugs: Iterator[str] | set[str]) -> set[int]:
        """The numbers of those slugs that are of this plan."""
        return {self.slugs.index(slug) for slug in slugs if slug in self.slugs}


def make(db: Database, plan: Plan) -> Made:
    """Put a plan into a database, beside those that are there; passwords are the slug twice."""
    prefix = f"p{next(_prefixes)}"
    logins = [f"{prefix}-u{number}" for number in range(plan.users)]
    slugs = [*logins, *(f"{prefix}-g{number}" for number in range(plan.groups))]

    def member(number: int) -> str:
        return slugs[number] if number < plan.users else f"group:{slugs[number]}"

    def subject(number: int) -> str:
        if number == EVERYBODY:
            return access.EVERYONE
        return f"user:{slugs[number]}" if number < plan.users else member(number)

    with db.write() as session:
        for login in logins:
            people.add_user(session, login, email=f"{login}@example.org", password=login * 2)
        for group in slugs[plan.users :]:
            people.add_group(session, group)
        for group, one in plan.memberships:
            people.add_member(session, slugs[group], member(one))
        for number, (owner, grants) in enumerate(plan.books):
            book = books.add(session, people.principal(session, member(owner)), f"b{number}", by=BY)
            for grant in grants:
                access.give(session, book, subject(grant.who), grant.role, by=BY)
                if grant.state != "in force":
                    ended = {"until_at": now() - timedelta(seconds=1)}
                    values = ended if grant.state == "ended" else {"hidden_fields": '["NOTE"]'}
                    newest = max(one.id for one in access.grants(session, book))
                    session.execute(update(table(Grant)).where(table(Grant).c.id == newest).values(**values))
        for number in plan.disabled:
            people.set_enabled(session, logins[number], enabled=False)
    return Made(plan, prefix, tuple(slugs))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Organisations in which most depends on groups: what is told of people by way of them is what can go wrong."""
    users, groups = draw(st.integers(2, 5)), draw(st.integers(0, 3))
    people_only, anybody = st.integers(0, users - 1), st.integers(0, users + groups - 1)
    one_group = st.integers(users, users + groups - 1) if groups else people_only
    pairs = st.one_of(st.tuples(one_group, people_only), st.tuples(one_group, anybody)).filter(
        lambda pair: pair[0] != pair[1]
    )
    memberships = draw(st.frozensets(pairs, min_size=2, max_size=7)) if groups else frozenset()
    grants = st.lists(
        st.builds(
            PlannedGrant,
            who=st.one_of(one_group, anybody, st.just(EVERYBODY)),
            role=st.sampled_from([Role.VIEWER, Role.VIEWER, *Role]),
            state=st.sampled_from(["in force", "in force", "in force", "ended", "hiding"]),
        ),
        max_size=3,
        unique_by=lambda grant: grant.who,
    ).map(tuple)
    owned = draw(st.lists(st.tuples(anybody, grants), min_size=1, max_size=4).map(tuple))
    disabled = draw(st.frozensets(st.integers(1, users - 1), max_size=1))  # the first one can always sign in
    return Plan(users, groups, memberships, disabled, owned)

"""Small organisations as plans: made in a database, and judged by slow obvious code what each user may do and know.

The judgement is written from what people are promised (docs/rights.md), and shares no code with the program's.
"""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import strategies as st
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from radicale_shared import passwords
from radicale_shared.access import Role, Verb
from radicale_shared.database import Database
from radicale_shared.models import Book, Grant, GroupOwner, Membership, Principal, now, table

_prefixes = itertools.count(1)

EVERYBODY = -1
DOMAINS = {-2: "red.example", -3: "blue.example"}

READ, ADD, EDIT, DELETE, EXPORT, MANAGE, OWN = Verb
ROLES = {
    Role.VIEWER: {READ},
    Role.CONTRIBUTOR: {READ, ADD},
    Role.EDITOR: {READ, ADD, EDIT},
    Role.CURATOR: {READ, ADD, EDIT, DELETE, EXPORT},
    Role.MANAGER: {READ, ADD, EDIT, DELETE, EXPORT, MANAGE},
    Role.OWNER: {READ, ADD, EDIT, DELETE, EXPORT, MANAGE, OWN},
}
FIELDS = ("note", "tel", "tel:home", "tel:cell", "email:home", "adr", "other")
# Lines of a card as (field, types): which of them are hidden tells one view from another.
LINES = frozenset(
    (name, frozenset(types))
    for name, types in [
        *itertools.product(("note", "adr", "other", "bday"), [()]),
        *itertools.product(("tel", "email"), [(), ("home",), ("cell",), ("work",), ("home", "cell"), ("work", "cell")]),
    ]
)


def hidden_lines(fields: Iterable[str]) -> frozenset[tuple[str, frozenset[str]]]:
    """Which of LINES a set of fields hides: those of a field, or of it those that have all types behind its colon."""
    found = set()
    for written in fields:
        name, _, types = written.partition(":")
        wanted = {one for one in types.split("+") if one}
        found |= {line for line in LINES if line[0] == name and wanted <= line[1]}
    return frozenset(found)


@dataclass(frozen=True)
class PlannedGrant:
    """``who``: a principal's number, EVERYBODY, or one of DOMAINS."""

    who: int
    role: Role
    ended: bool = False
    hidden: frozenset[str] = frozenset()


@dataclass(frozen=True)
class PlannedBook:
    """``owner``: a principal's number."""

    owner: int
    grants: tuple[PlannedGrant, ...] = ()
    mirrored: bool = False
    trashed: bool = False

    @property
    def in_force(self) -> list[PlannedGrant]:
        return [grant for grant in self.grants if not grant.ended]


@dataclass(frozen=True)
class Plan:
    """Principals are numbers: users first, then groups.

    memberships: (group, member); heads: (group, its owner); disabled: users; domains: {user: one of DOMAINS}
    """

    users: int
    groups: int
    memberships: frozenset[tuple[int, int]]
    disabled: frozenset[int]
    books: tuple[PlannedBook, ...]
    heads: frozenset[tuple[int, int]] = frozenset()
    domains: dict[int, int] = field(default_factory=dict)

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

    def owned_groups(self, user: int) -> set[int]:
        return {group for group, head in self.heads if head in self.acts_as(user)}

    def owns(self, user: int, book: PlannedBook) -> bool:
        return book.owner == user or book.owner in self.owned_groups(user)

    def reaches(self, user: int, grant: PlannedGrant) -> bool:
        return grant.who == EVERYBODY or grant.who in self.acts_as(user) or grant.who == self.domains.get(user)

    def verbs(self, user: int, number: int) -> frozenset[Verb]:
        book = self.books[number]
        if user in self.disabled or book.trashed:
            return frozenset()
        verbs = set(ROLES[Role.OWNER]) if self.owns(user, book) else set()
        for grant in book.in_force:
            if self.reaches(user, grant):
                verbs |= ROLES[grant.role]
        return frozenset(verbs - {ADD, EDIT, DELETE} if book.mirrored else verbs)

    def hidden(self, user: int, number: int) -> frozenset[tuple[str, frozenset[str]]]:
        """Which of LINES a reader doesn't see: those that all of their grants hide."""
        book = self.books[number]
        views = [hidden_lines(grant.hidden) for grant in book.in_force if self.reaches(user, grant)]
        if self.owns(user, book) or not views:
            return frozenset()
        return frozenset.intersection(*views)

    def visible(self, user: int, mode: str) -> set[int]:
        """Whom a user may know of, said once more in other words than the program's."""
        found = self.acts_as(user) | self.owned_groups(user)
        if mode != "nobody":
            for group in self.owned_groups(user):
                found |= self.within(group)
        for number, book in enumerate(self.books):
            verbs = self.verbs(user, number)
            if READ not in verbs:
                continue
            found.add(book.owner)
            if mode == "nobody":
                continue
            named = {grant.who for grant in book.in_force if grant.who >= 0}
            found |= named
            if MANAGE in verbs:
                named |= {head for group, head in self.heads if group == book.owner}
                found |= named
                for one in named:
                    found |= self.within(one)
        if mode == "everyone":
            found |= set(self.everybody) - self.disabled
        return found


@dataclass(frozen=True)
class Made:
    """A plan in a database. prefix: of all slugs; slugs: of its principals, by number; books: ids, by number"""

    plan: Plan
    prefix: str
    slugs: tuple[str, ...]
    books: tuple[int, ...]

    def named(self, slugs: Iterable[str]) -> set[int]:
        """The numbers of those slugs that are of this plan."""
        return {self.slugs.index(slug) for slug in slugs if slug in self.slugs}

    def address(self, user: int, number: int) -> str:
        """What a book is called in a user's home."""
        owner = self.plan.books[number].owner
        return f"b{number}" if owner == user else f"{self.slugs[owner]}~b{number}"


def make(db: Database, plan: Plan) -> Made:
    """Put a plan into a database, beside those that are there; passwords are the slug twice."""
    with db.write() as session:
        return make_in(session, plan, can_sign_in=True)


def make_in(session: Session, plan: Plan, *, can_sign_in: bool = False) -> Made:
    """Put a plan into a database by its tables, which is quick; nobody can sign in unless asked for."""
    prefix = f"p{next(_prefixes)}"
    users = [f"{prefix}-u{number}" for number in range(plan.users)]
    slugs = (*users, *(f"{prefix}-g{number}" for number in range(plan.groups)))
    shared = {"state": "active", "auth_version": 1, "created_at": now()}
    session.execute(
        insert(table(Principal)),
        [
            {
                "kind": "user" if number < plan.users else "group",
                "slug": slug,
                "name": slug,
                "login": slug if number < plan.users else None,
                "login_folded": slug if number < plan.users else None,
                "email": f"{slug}@example.org" if number < plan.users else "",
                "password": passwords.hashed(slug * 2) if can_sign_in and number < plan.users else None,
                "domain": DOMAINS.get(plan.domains.get(number, 0), ""),
                **shared,
                "state": "disabled" if number in plan.disabled else "active",
            }
            for number, slug in enumerate(slugs)
        ],
    )
    found = dict(session.execute(select(Principal.slug, Principal.id).where(Principal.slug.in_(slugs))).all())
    ids = [found[slug] for slug in slugs]
    books = _make_books(session, plan, slugs, ids)
    for model, rows in (
        (Membership, [{"group_id": ids[group], "member_id": ids[member]} for group, member in plan.memberships]),
        (GroupOwner, [{"group_id": ids[group], "owner_id": ids[head]} for group, head in plan.heads]),
        (Grant, [_grant(books[at], one, ids) for at, book in enumerate(plan.books) for one in book.grants]),
    ):
        if rows:
            session.execute(insert(table(model)), rows)
    return Made(plan, prefix, slugs, books)


def _make_books(session: Session, plan: Plan, slugs: tuple[str, ...], ids: list[int]) -> tuple[int, ...]:
    rows = [
        {
            "uuid": uuid.uuid4().hex,
            "home_id": ids[book.owner],
            "owner_id": ids[book.owner],
            "slug": f"b{number}",
            "mount": f"{slugs[book.owner]}~b{number}",
            "name": f"b{number}",
            "description": "",
            "color": "",
            "epoch": "0" * 16,
            "revision": 1,
            "floor": 0,
            "created_at": now(),
            "deleted_at": now() if book.trashed else None,
            "mirrored_from": "main" if book.mirrored else "",
        }
        for number, book in enumerate(plan.books)
    ]
    session.execute(insert(table(Book)), rows)
    mounts = [row["mount"] for row in rows]
    found = dict(session.execute(select(Book.mount, Book.id).where(Book.mount.in_(mounts))).all())
    return tuple(found[mount] for mount in mounts)


def _grant(book_id: int, grant: PlannedGrant, ids: list[int]) -> dict[str, object]:
    audience = "everyone" if grant.who == EVERYBODY else "domain" if grant.who in DOMAINS else "principal"
    end = timedelta(seconds=-1) if grant.ended else timedelta(days=1)
    return {
        "book_id": book_id,
        "audience": audience,
        "principal_id": ids[grant.who] if audience == "principal" else None,
        "domain": DOMAINS.get(grant.who, ""),
        "role": grant.role,
        "until_at": now() + end if grant.ended or grant.who % 2 else None,
        "hidden_fields": json.dumps(sorted(grant.hidden)) if grant.hidden else None,
        "created_at": now(),
    }


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Organisations in which most depends on groups: what is given and told by way of them is what can go wrong."""
    users, groups = draw(st.integers(2, 4)), draw(st.integers(0, 4))
    people_only, anybody = st.integers(0, users - 1), st.integers(0, users + groups - 1)
    one_group = st.integers(users, users + groups - 1) if groups else people_only
    pairs = st.one_of(st.tuples(one_group, people_only), st.tuples(one_group, anybody)).filter(
        lambda pair: pair[0] != pair[1]
    )
    grants = st.lists(
        st.builds(
            PlannedGrant,
            who=st.one_of(one_group, anybody, st.sampled_from([EVERYBODY, *DOMAINS])),
            role=st.sampled_from([Role.VIEWER, Role.VIEWER, *Role]),
            ended=st.sampled_from([False, False, False, True]),
            hidden=st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(FIELDS), max_size=3)),
        ),
        max_size=4,
        unique_by=lambda grant: grant.who,
    ).map(tuple)
    rarely = st.sampled_from([False] * 5 + [True])
    books = st.lists(
        st.builds(PlannedBook, owner=anybody, grants=grants, mirrored=rarely, trashed=rarely), min_size=1, max_size=3
    )
    return Plan(
        users,
        groups,
        memberships=draw(st.frozensets(pairs, min_size=2, max_size=7)) if groups else frozenset(),
        disabled=draw(st.frozensets(st.integers(1, users - 1), max_size=1)),  # the first one can always sign in
        books=tuple(draw(books)),
        heads=draw(st.frozensets(st.tuples(one_group, anybody), max_size=2)) if groups else frozenset(),
        domains=draw(st.dictionaries(people_only, st.sampled_from(list(DOMAINS)))),
    )

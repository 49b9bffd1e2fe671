"""Which people and groups a user may know of: the one decision behind whatever is told of principals.

Always: the user, the groups they act as or own, and the owners of books they may read; ``Findable`` says who else.
Readers of a book learn which principals have access to it, its managers also which people these are; who owns a group
learns who is in it. A grant to a domain names nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import and_, bindparam, or_, select
from sqlalchemy.orm import Session

from . import access, grants
from .access import ACTS_AS, OWNED_GROUPS, WHOLE, Role, Scope, Verb
from .models import GroupOwner, Membership, Principal


class Findable(StrEnum):
    """Who may be found by a user, beside those whom the user always knows."""

    SHARED = "shared"
    EVERYONE = "everyone"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Known:
    """A user or group that somebody may know of. ``kind`` is ``"user"`` or ``"group"``; a group has no e-mail."""

    id: int
    kind: str
    slug: str
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Directory:
    """All that one user may know of people, groups and grants; nobody outside of it is told of anywhere.

    known: {slug: principal}, by name
    groups: {principal's id: the groups it is in directly}
    members: {group's id: its direct members}
    mine: the ids of the principals that the user acts as: the user, their groups, the groups of those
    grants: {book's id: (principal, role)} of the books the user may read; the principal is None for everyone signed in
    """

    known: Mapping[str, Known]
    groups: Mapping[int, Sequence[Known]]
    members: Mapping[int, Sequence[Known]]
    mine: frozenset[int]
    grants: Mapping[int, Sequence[tuple[Known | None, Role]]]


# The owners of the groups whose books the user manages: they own these books.
_heads = select(GroupOwner.owner_id).where(GroupOwner.group_id.in_(bindparam("managed_owners", expanding=True)))
# The members of some groups, those of the groups among them, and so on; a circle of groups ends here too.
_within = (
    select(Membership.member_id)
    .where(
        or_(
            Membership.group_id.in_(bindparam("managed", expanding=True)),
            Membership.group_id.in_(OWNED_GROUPS),
            Membership.group_id.in_(_heads),
        )
    )
    .cte("within", recursive=True)
)
_within = _within.union(select(Membership.member_id).join(_within, Membership.group_id == _within.c.member_id))
_always = or_(
    Principal.id.in_(ACTS_AS),
    Principal.id.in_(OWNED_GROUPS),
    Principal.id.in_(bindparam("owners", expanding=True)),
)
_shared = or_(
    _always,
    Principal.id.in_(bindparam("granted", expanding=True)),
    Principal.id.in_(_heads),
    Principal.id.in_(select(_within.c.member_id)),
)
_WHO: Mapping[Findable, Any] = {
    Findable.SHARED: _shared,
    Findable.EVERYONE: or_(_shared, and_(Principal.state == "active", ACTS_AS.exists())),
    Findable.NOBODY: _always,
}
_KNOWN = {
    findable: select(Principal.id, Principal.kind, Principal.slug, Principal.name, Principal.email)
    .where(who, Principal.state != "removed")
    .order_by(Principal.name, Principal.slug)
    for findable, who in _WHO.items()
}
_ONE = {findable: query.where(Principal.slug == bindparam("wanted")) for findable, query in _KNOWN.items()}
_MEMBERSHIPS = select(Membership.group_id, Membership.member_id).where(
    Membership.group_id.in_(bindparam("groups", expanding=True))
)


def find(session: Session, slug: str, findable: Findable, wanted: str, *, scope: Scope = WHOLE) -> Known | None:
    """The principal ``wanted``, if the user ``slug`` may know of it; else None, as for one that isn't there.

    scope: of the device that asks
    """
    bounds, _grants = _bounds(session, slug, scope)
    row = session.execute(_ONE[findable], {**bounds, "wanted": wanted}).one_or_none()
    return Known(*row) if row else None


def directory(session: Session, slug: str, findable: Findable, *, scope: Scope = WHOLE) -> Directory:
    """All that the user ``slug`` may know of others, in five statements."""
    bounds, granted = _bounds(session, slug, scope)
    found = [Known(*row) for row in session.execute(_KNOWN[findable], bounds)]
    by_id = {one.id: one for one in found}
    groups: dict[int, list[Known]] = {}
    members: dict[int, list[Known]] = {}
    of_groups = {"groups": [one.id for one in found if one.kind == "group"]}
    pairs = [tuple(row) for row in session.execute(_MEMBERSHIPS, of_groups) if row.member_id in by_id]
    place = {one.id: at for at, one in enumerate(found)}  # by name, as they were read
    for group_id, member_id in sorted(pairs, key=lambda pair: (place[pair[0]], place[pair[1]])):
        groups.setdefault(member_id, []).append(by_id[group_id])
        members.setdefault(group_id, []).append(by_id[member_id])
    granted_on: dict[int, list[tuple[Known | None, Role]]] = {}
    for grant in granted:
        if grant.principal_id is None:
            granted_on.setdefault(grant.book_id, []).append((None, grant.role))
        elif grant.principal_id in by_id:
            granted_on.setdefault(grant.book_id, []).append((by_id[grant.principal_id], grant.role))
    mine = frozenset(session.scalars(ACTS_AS, {"slug": slug}))
    return Directory({one.slug: one for one in found}, groups, members, mine, granted_on)


def _bounds(session: Session, slug: str, scope: Scope) -> tuple[dict[str, Any], list[grants.GrantInForce]]:
    """(what the queries above are asked with, the grants in force on the books that the user may read)."""
    books = access.all_readable(session, slug, scope=scope)
    in_force = grants.in_force(session, [one.book.id for one in books])
    managed = {one.book.id for one in books if Verb.MANAGE in one.verbs}
    named = [one for one in in_force if one.principal_id is not None]
    bounds = {
        "slug": slug,
        "owners": list({one.book.owner_id for one in books}),
        "granted": list({one.principal_id for one in named}),
        "managed": list({one.principal_id for one in named if one.book_id in managed}),
        "managed_owners": list({one.book.owner_id for one in books if Verb.MANAGE in one.verbs}),
    }
    return bounds, in_force

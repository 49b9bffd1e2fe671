"""Who runs a group: its owners make books for it, and own the books that it owns (``access`` says so).

Owners are users or groups; only an administrator names them, for the groups of a directory too. To own a group is not
to be in it: grants to the group don't reach its owners.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.orm import Session

from . import books, people
from .access import OWNED_GROUPS
from .books import Book
from .changes import Actor
from .errors import NotFoundError
from .models import GroupOwner, Principal, table
from .people import Group, Person

_RUN_BY = (
    select(Principal.id, Principal.slug, Principal.name, Principal.state, Principal.directory)
    .where(Principal.id.in_(OWNED_GROUPS), Principal.state == "active")
    .order_by(Principal.name, Principal.slug)
)
_RUNS = OWNED_GROUPS.where(GroupOwner.group_id == bindparam("group"))
_OWNERS = (
    select(Principal.kind, Principal.slug, Principal.login)
    .join(GroupOwner, GroupOwner.owner_id == Principal.id)
    .where(GroupOwner.group_id == bindparam("group"), Principal.state != "removed")
)


def add(session: Session, group_name: str, owner: str) -> None:
    """Let a user (``LOGIN``) or group (``group:NAME``) own a group; does it already: nothing happens.

    Raises NotFoundError.
    """
    people.rights_changed(session)
    group, who = people.group(session, group_name), people.principal(session, owner)
    owners = GroupOwner.group_id == group.id, GroupOwner.owner_id == who.id
    if session.execute(select(GroupOwner.group_id).where(*owners)).first() is None:
        session.execute(insert(table(GroupOwner)).values(group_id=group.id, owner_id=who.id))


def remove(session: Session, group_name: str, owner: str) -> None:
    """Let a principal own a group no longer. Raises NotFoundError, also if it didn't."""
    people.rights_changed(session)
    group, who = people.group(session, group_name), people.principal(session, owner)
    columns = table(GroupOwner).c
    gone = session.execute(
        delete(table(GroupOwner)).where(columns.group_id == group.id, columns.owner_id == who.id).returning(columns)
    )
    if gone.first() is None:
        raise NotFoundError("owner", owner, f"It does not own the group {group.slug!r}.")


def of_group(session: Session, group_id: int) -> Sequence[str]:
    """The owners of a group, as ``LOGIN`` or ``group:SLUG``, sorted."""
    rows = session.execute(_OWNERS, {"group": group_id})
    return sorted(map(people.written, rows))


def runs(session: Session, slug: str, group_id: int) -> bool:
    """Whether the active user ``slug`` owns a group, also by way of a group they are in."""
    return session.execute(_RUNS, {"slug": slug, "group": group_id}).first() is not None


def run_by(session: Session, slug: str) -> list[Group]:
    """The groups that the active user ``slug`` owns, also by way of a group they are in; by name."""
    return [Group(*row) for row in session.execute(_RUN_BY, {"slug": slug})]


def add_book(session: Session, person: Person, group: Group, slug: str, *, by: Actor, name: str = "") -> Book:
    """Make an empty book of a group for one of the group's owners.

    Raises NotFoundError if the person is none of them, as if there were no such group; else as ``books.add``.
    """
    if not runs(session, person.slug, group.id):
        raise NotFoundError("group", group.slug, f"{person.login} owns none of that name.")
    return books.add(session, group, slug, by=by, name=name)

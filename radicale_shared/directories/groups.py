"""The groups of directories, and who is in them.

Rows of ``memberships`` are direct ones, as the directory has them: people in groups, and groups in groups. What follows
from nesting is ``access``'s query. A group of a directory has members of that directory alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, delete, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from .. import people, texts
from ..models import Book, Grant, GroupOwner, Membership, Principal, now, table
from . import states
from .persons import check_key


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """What a directory says of a group; ``key`` is what never changes there."""

    key: str
    dn: str
    name: str


@dataclass(frozen=True, slots=True)
class KnownGroup:
    """A group of a directory as it was when it was read; ``state`` is ``"disabled"`` once the directory lost it."""

    id: int
    slug: str
    key: str
    dn: str
    name: str
    state: str


_KNOWN: Select[*tuple[Any, ...]] = select(
    Principal.id,
    Principal.slug,
    Principal.directory_key.label("key"),
    func.coalesce(Principal.dn, "").label("dn"),
    Principal.name,
    Principal.state,
).where(
    Principal.kind == "group",
    Principal.directory == bindparam("directory"),
    Principal.directory_key.is_not(None),
    Principal.state != "removed",
)
_BY_KEY = _KNOWN.where(Principal.directory_key == bindparam("key"))

_Group = aliased(Principal)
_Local = aliased(Principal)
# The groups that something hangs on, the groups in these, and so on; a circle of groups ends here too.
_followed = (
    select(_Group.id)
    .where(
        _Group.kind == "group",
        _Group.directory == bindparam("directory"),
        _Group.state != "removed",
        or_(
            exists().where(Grant.principal_id == _Group.id),
            exists().where(GroupOwner.owner_id == _Group.id),
            exists().where(GroupOwner.group_id == _Group.id),
            exists().where(Book.owner_id == _Group.id),
            exists().where(Membership.member_id == _Group.id, Membership.group_id == _Local.id, _Local.directory == ""),
        ),
    )
    .cte("followed", recursive=True)
)
_followed = _followed.union(
    select(Membership.member_id)
    .join(_followed, Membership.group_id == _followed.c.id)
    .join(Principal, Principal.id == Membership.member_id)
    .where(Principal.kind == "group")
)
_FOLLOWED = select(_followed.c.id)
_MEMBERSHIPS = (
    select(Membership.group_id, Membership.member_id)
    .join(Principal, Principal.id == Membership.group_id)
    .where(Principal.directory == bindparam("directory"))
)
_FOLLOWED_MEMBERSHIPS = select(Membership.group_id, Membership.member_id).where(Membership.group_id.in_(_FOLLOWED))

_AMONG = select(Membership.group_id, Membership.member_id).where(
    Membership.group_id.in_(bindparam("groups", expanding=True)),
    Membership.member_id.in_(bindparam("members", expanding=True)),
)
_ALIVE = select(Principal.id).where(
    Principal.id.in_(bindparam("members", expanding=True)), Principal.state != "removed"
)
# Pairs in one statement: far from what a database takes as parameters.
_AT_ONCE = 200


def known_groups(session: Session, directory: str) -> list[KnownGroup]:
    """All groups that are known of a directory, those that it lost too."""
    return [KnownGroup(*row) for row in session.execute(_KNOWN.order_by(Principal.id), {"directory": directory})]


def followed_groups(session: Session, directory: str) -> set[int]:
    """The ids of a directory's groups that rights may hang on.

    Those with a grant, an owner, or a book, or in a group made here; and the groups in these.
    """
    return set(session.scalars(_FOLLOWED, {"directory": directory}))


def memberships(session: Session, directory: str, *, followed_only: bool = False) -> set[tuple[int, int]]:
    """(group's id, member's id) of all that is known to be in a directory's groups.

    followed_only: in those of ``followed_groups``
    """
    query = _FOLLOWED_MEMBERSHIPS if followed_only else _MEMBERSHIPS
    return {(row.group_id, row.member_id) for row in session.execute(query, {"directory": directory})}


def take_group(session: Session, directory: str, facts: GroupFacts) -> KnownGroup:
    """The principal of a directory's group: made, renamed, back again, or as it is.

    Its slug is made of the name it has first; of two groups with one name the second one's ends in ``-2``.
    Raises NotAllowedHereError for a key that can't be one.
    """
    values = _cleaned(facts)
    found = _by_key(session, directory, facts.key)
    if found is not None and not group_has_news(found, facts):
        return found
    people.rights_changed(session)
    found = _by_key(session, directory, facts.key)  # again, now that nobody else changes groups
    if found is None:
        session.execute(
            insert(table(Principal)).values(
                **values,
                kind="group",
                slug=people.free_slug(session, values["name"]),
                email="",
                directory=directory,
                directory_key=facts.key,
                state="active",
                auth_version=1,
                created_at=now(),
            )
        )
    else:
        session.execute(
            update(table(Principal))
            .where(table(Principal).c.id == found.id)
            .values(**values, state="active", disabled_by="")
        )
    taken = _by_key(session, directory, facts.key)
    assert taken is not None  # noqa: S101  # it was written in this transaction
    return taken


def group_has_news(found: KnownGroup | None, facts: GroupFacts) -> bool:
    """Whether ``take_group`` would write. Raises NotAllowedHereError as it does."""
    values = _cleaned(facts)
    return found is None or (found.state, found.name, found.dn) != ("active", values["name"], values["dn"])


def group_gone(session: Session, directory: str, key: str) -> bool:
    """Empty a group that its directory has no longer. Returns whether that is news.

    Grants, books and slug stay: should the directory have it again, all is as it was.
    """
    found = _by_key(session, directory, key)
    if found is None or found.state != "active":
        return False
    people.rights_changed(session)
    session.execute(
        update(table(Principal))
        .where(table(Principal).c.id == found.id)
        .values(state="disabled", disabled_by="directory")
    )
    session.execute(delete(table(Membership)).where(table(Membership).c.group_id == found.id))
    return True


def change_memberships(
    session: Session, *, added: Sequence[tuple[int, int]], removed: Sequence[tuple[int, int]]
) -> None:
    """Put members into groups of a directory and take others out; pairs of (group's id, member's id).

    What is there already, or gone already, is left alone, and so are people who were removed here meanwhile.
    """
    if not added and not removed:
        return
    people.rights_changed(session)
    columns = table(Membership).c
    for group_id, member_id in removed:
        session.execute(delete(table(Membership)).where(columns.group_id == group_id, columns.member_id == member_id))
    for begin in range(0, len(added), _AT_ONCE):
        some = added[begin : begin + _AT_ONCE]
        there = session.execute(_AMONG, {"groups": [one for one, _ in some], "members": [other for _, other in some]})
        present = {(row.group_id, row.member_id) for row in there}
        alive = set(session.scalars(_ALIVE, {"members": [other for _, other in some]}))
        missing = [pair for pair in dict.fromkeys(some) if pair not in present and pair[1] in alive]
        if missing:
            rows = [{"group_id": group_id, "member_id": member_id} for group_id, member_id in missing]
            session.execute(insert(table(Membership)), rows)


def set_groups(session: Session, directory: str, person_id: int, group_keys: Iterable[str]) -> bool:
    """Let a person be in exactly these of a directory's groups, directly. Returns whether that changed anything.

    Keys of groups that are not known here are left out. While something of the directory's people is not believed
    (``State.guard``), groups are only added. Notes that the person's groups were read now.
    """
    keys = set(group_keys)
    wanted = {one.id for one in known_groups(session, directory) if one.key in keys and one.state == "active"}
    query = _MEMBERSHIPS.where(Membership.member_id == bindparam("member"))
    present = {row.group_id for row in session.execute(query, {"directory": directory, "member": person_id})}
    lost = set() if states.state(session, directory).guard(states.PEOPLE) else present - wanted
    change_memberships(
        session,
        added=[(group_id, person_id) for group_id in sorted(wanted - present)],
        removed=[(group_id, person_id) for group_id in sorted(lost)],
    )
    session.execute(update(table(Principal)).where(table(Principal).c.id == person_id).values(groups_at=now()))
    return bool(wanted - present or lost)


def _by_key(session: Session, directory: str, key: str) -> KnownGroup | None:
    row = session.execute(_BY_KEY, {"directory": directory, "key": key}).one_or_none()
    return KnownGroup(*row) if row else None


def _cleaned(facts: GroupFacts) -> dict[str, str]:
    """The columns that follow from the facts alone."""
    check_key(facts.key, facts.name)
    return {"name": texts.cleaned(facts.name, 500) or facts.key[:500], "dn": facts.dn.replace("\x00", "")}

"""Who may do what with which book, which view of it they get, and why.

Rights are evaluated here and nowhere else, by one query a request and from nothing but the database: a change of
grants, groups or state counts for every request that begins after its commit, in every process.

Several grants unite: verbs add up. A book that one may not read is, for the caller, a book that does not exist: every
function here answers None for both. A grant that hides fields gives nothing until views are enforced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any

from sqlalchemy import Select, and_, bindparam, case, delete, func, insert, or_, select, union, update
from sqlalchemy.orm import Session

from . import books, changes, people
from .books import Book
from .changes import Actor
from .errors import AlreadyExistsError, NeedPrivilegeError, NotAllowedHereError, NotFoundError
from .models import AnyRow, ClientVersion, DefaultBook, Grant, Membership, Principal, Refusal, now, table
from .models import Book as BookTable

EVERYONE = "everyone"


class Verb(StrEnum):
    """What can be done with a book."""

    READ = "read"
    ADD = "add"
    EDIT = "edit"
    DELETE = "delete"
    EXPORT = "export"
    MANAGE = "manage"
    OWN = "own"


class Role(StrEnum):
    """Named sets of verbs, each with all of the one before."""

    VIEWER = "viewer"
    CONTRIBUTOR = "contributor"
    EDITOR = "editor"
    CURATOR = "curator"
    MANAGER = "manager"
    OWNER = "owner"


_VIEWER = frozenset({Verb.READ})
_CONTRIBUTOR = _VIEWER | {Verb.ADD}
_EDITOR = _CONTRIBUTOR | {Verb.EDIT}
_CURATOR = _EDITOR | {Verb.DELETE, Verb.EXPORT}
_MANAGER = _CURATOR | {Verb.MANAGE}
VERBS: Mapping[Role, frozenset[Verb]] = {
    Role.VIEWER: _VIEWER,
    Role.CONTRIBUTOR: _CONTRIBUTOR,
    Role.EDITOR: _EDITOR,
    Role.CURATOR: _CURATOR,
    Role.MANAGER: _MANAGER,
    Role.OWNER: _MANAGER | {Verb.OWN},
}


@dataclass(frozen=True, slots=True)
class View:
    """Which fields of a book a reader doesn't see. Part of every ETag, token and cache key."""

    hidden: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """``"0"`` for the full view, else 16 hexadecimal digits named by the hidden fields alone."""
        if not self.hidden:
            return "0"
        return blake2b("\n".join(sorted(self.hidden)).encode(), digest_size=8).hexdigest()


FULL_VIEW = View()


@dataclass(frozen=True, slots=True)
class Access:
    """What one principal may do with one book.

    principal_id, login: None and empty for the administrator on the command line
    name: the book's segment in this principal's home: its slug, or its mount
    refused: this client's serial of refused writes in the book, 0 without any
    default: whether the principal chose it as the book listed first
    wrote: the vCard version that this client wrote last, empty if it never wrote; see ``clients``
    """

    principal_id: int | None
    book: Book
    verbs: frozenset[Verb]
    view: View = FULL_VIEW
    name: str = ""
    refused: int = 0
    default: bool = False
    login: str = ""
    wrote: str = ""

    def require(self, verb: Verb, href: str = "") -> None:
        """Raise NeedPrivilegeError unless this access has the verb."""
        if verb not in self.verbs:
            raise NeedPrivilegeError(verb, href)

    @property
    def is_home(self) -> bool:
        """Whether the book's address lies in this principal's home."""
        return self.principal_id == self.book.home_id


def administrator(book: Book) -> Access:
    """All verbs, for the command line."""
    return Access(None, book, VERBS[Role.OWNER], name=book.mount)


# The principals that a user acts as: the user, the groups they are in, the groups those are in, and so on. UNION drops
# what is known already, so a circle of groups ends.
_circle = (
    select(Principal.id)
    .where(Principal.slug == bindparam("slug"), Principal.kind == "user", Principal.state == "active")
    .cte("circle", recursive=True)
)
_circle = _circle.union(select(Membership.group_id).join(_circle, Membership.member_id == _circle.c.id))
_reaches = and_(
    or_(Grant.principal_id.in_(select(_circle.c.id)), Grant.audience == EVERYONE),
    or_(Grant.until_at.is_(None), Grant.until_at > bindparam("now")),
    Grant.hidden_fields.is_(None),
)
_me = (
    select(Principal.id, Principal.login)
    .where(Principal.slug == bindparam("slug"), Principal.kind == "user", Principal.state == "active")
    .subquery("me")
)
_refused = (
    select(func.max(Refusal.serial))
    .where(
        Refusal.principal_id == _me.c.id,
        Refusal.client == bindparam("client"),
        Refusal.book_id == BookTable.id,
    )
    .scalar_subquery()
)
_wrote = (
    select(ClientVersion.version)
    .where(ClientVersion.principal_id == _me.c.id, ClientVersion.client == bindparam("client"))
    .scalar_subquery()
)
_ACCESS = (
    books.joined(
        select(
            *books.columns(),
            _me.c.id.label("me"),
            _me.c.login,
            Grant.role,
            func.coalesce(_refused, 0).label("refused"),
            func.coalesce(_wrote, "").label("wrote"),
            case((DefaultBook.book_id.is_not(None), 1), else_=0).label("is_default"),
        )
        .select_from(BookTable)
        .join(_me, BookTable.deleted_at.is_(None))
    )
    .join(Grant, and_(Grant.book_id == BookTable.id, _reaches), isouter=True)
    .join(
        DefaultBook,
        and_(DefaultBook.principal_id == _me.c.id, DefaultBook.book_id == BookTable.id),
        isouter=True,
    )
    .where(or_(BookTable.owner_id == _me.c.id, Grant.id.is_not(None)))
)
_OF_BOOK = len(books.columns())
_IN_HOME = _ACCESS.where(BookTable.home_id == _me.c.id, BookTable.slug == bindparam("name"))
_MOUNTED = _ACCESS.where(BookTable.home_id != _me.c.id, BookTable.mount == bindparam("name"))
_ALL = _ACCESS.where(
    BookTable.id.in_(
        union(
            select(BookTable.id).where(BookTable.owner_id == select(_me.c.id).scalar_subquery()),
            select(Grant.book_id).where(_reaches),
        )
    )
)

_IN_FORCE = (
    select(Grant.book_id, Grant.principal_id, Grant.role)
    .where(
        Grant.book_id.in_(bindparam("books", expanding=True)),
        Grant.audience.in_(("principal", EVERYONE)),
        or_(Grant.until_at.is_(None), Grant.until_at > bindparam("now")),
        Grant.hidden_fields.is_(None),
    )
    .order_by(Grant.id)
)


def find(session: Session, slug: str, name: str, *, client: str = "") -> Access | None:
    """What the user ``slug`` may do with the book ``name`` of their home; None if it doesn't exist for them.

    name: the book's slug for an own address, its mount (with ``~``) for another's
    client: whose refused writes to count, see ``changes.client_of``
    """
    query = _MOUNTED if "~" in name else _IN_HOME
    rows = session.execute(query, {"slug": slug, "name": name, "client": client, "now": now()}).all()
    return next(iter(_united(rows)), None)


def all_readable(session: Session, slug: str, *, client: str = "") -> list[Access]:
    """Everything the user ``slug`` may read: own books first, the default one at the very front, then the mounted."""
    rows = session.execute(_ALL, {"slug": slug, "client": client, "now": now()}).all()
    return sorted(
        _united(rows),
        key=lambda one: (not one.is_home, not one.default, one.book.id if one.is_home else 0, one.name),
    )


def _united(rows: Iterable[AnyRow]) -> list[Access]:
    found: dict[int, Access] = {}
    for row in rows:
        book = Book(*row[:_OF_BOOK])
        verbs: frozenset[Verb] = found[book.id].verbs if book.id in found else frozenset()
        if book.owner_id == row.me:
            verbs |= VERBS[Role.OWNER]
        if row.role is not None:
            verbs |= VERBS[Role(row.role)]
        name = book.slug if book.home_id == row.me else book.mount
        found[book.id] = Access(
            row.me, book, verbs, FULL_VIEW, name, row.refused, bool(row.is_default), row.login, row.wrote
        )
    return [one for one in found.values() if Verb.READ in one.verbs]


# -- grants ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GrantLine:
    """A grant as people read it: ``principal`` is ``user:LOGIN``, ``group:SLUG`` or ``everyone``."""

    id: int
    principal: str
    role: Role
    until_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Reason:
    """Why somebody has a role: the grant's principal, and the groups from the user up to it."""

    role: Role
    principal: str
    path: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.role} as " + " in ".join(self.path)


def give(session: Session, book: Book, principal: str, role: Role, *, by: Actor) -> None:
    """Grant a role on a book to ``user:LOGIN``, ``group:NAME`` or ``everyone`` who is signed in.

    Raises NotFoundError, AlreadyExistsError if the principal has a grant there, NotAllowedHereError for a domain.
    """
    people.rights_changed(session)
    values = _subject(session, principal)
    if session.execute(_same_subject(select(Grant.id), book, values)).first():
        raise AlreadyExistsError("grant", principal, "Change it instead: radicale-shared grant change")
    session.execute(insert(table(Grant)).values(book_id=book.id, role=role, created_at=now(), **values))
    changes.begin(session, "grant", by, book_id=book.id, reason=f"{role} to {principal}")


def change(session: Session, book: Book, principal: str, role: Role, *, by: Actor) -> None:
    """Give a principal's grant another role. Raises NotFoundError."""
    people.rights_changed(session)
    grant_id = _grant(session, book, principal)
    session.execute(update(table(Grant)).where(table(Grant).c.id == grant_id).values(role=role))
    changes.begin(session, "change-grant", by, book_id=book.id, reason=f"{role} to {principal}")


def take(session: Session, book: Book, principal: str, *, by: Actor) -> None:
    """Remove a principal's grant. Raises NotFoundError."""
    people.rights_changed(session)
    grant_id = _grant(session, book, principal)
    session.execute(delete(table(Grant)).where(table(Grant).c.id == grant_id))
    changes.begin(session, "remove-grant", by, book_id=book.id, reason=f"of {principal}")


def grants(session: Session, book: Book) -> list[GrantLine]:
    """All grants on a book, in the order they were made."""
    rows = session.execute(
        select(Grant, Principal.kind, Principal.slug, Principal.login)
        .join(Principal, Principal.id == Grant.principal_id, isouter=True)
        .where(Grant.book_id == book.id)
        .order_by(Grant.id)
    )
    return [
        GrantLine(grant.id, _named(grant, kind, slug, login), Role(grant.role), grant.until_at, grant.created_at)
        for grant, kind, slug, login in rows
    ]


@dataclass(frozen=True, slots=True)
class GrantInForce:
    """A grant that gives something at this moment; ``principal_id`` is None for everyone who is signed in."""

    book_id: int
    principal_id: int | None
    role: Role


def grants_in_force(session: Session, book_ids: Iterable[int]) -> list[GrantInForce]:
    """The grants on some books that have not ended and hide no field, in the order they were made."""
    rows = session.execute(_IN_FORCE, {"books": list(book_ids), "now": now()})
    return [GrantInForce(book_id, principal_id, Role(role)) for book_id, principal_id, role in rows]


def explain(session: Session, person: people.Person, book: Book) -> tuple[frozenset[Verb], list[Reason]]:
    """(verbs, why): everything that gives a user rights on a book, strongest role first; empty where nothing does.

    The verbs are those of ``find``, asked anew; the reasons walk the same grants one by one.
    """
    access = next((one for one in all_readable(session, person.slug) if one.book.id == book.id), None)
    reasons: list[Reason] = []
    if access is None:
        return frozenset(), reasons
    if book.owner_id == person.id:
        reasons.append(Reason(Role.OWNER, "owner", (f"owner {person.login}",)))
    paths = _paths(session, person)
    rows = session.execute(
        select(Grant, Principal.kind, Principal.slug, Principal.login)
        .join(Principal, Principal.id == Grant.principal_id, isouter=True)
        .where(
            Grant.book_id == book.id,
            or_(Grant.until_at.is_(None), Grant.until_at > now()),
            Grant.hidden_fields.is_(None),
        )
    )
    for grant, kind, slug, login in rows:
        if grant.audience == EVERYONE:
            reasons.append(Reason(Role(grant.role), EVERYONE, ("everyone signed in",)))
        elif grant.principal_id in paths:
            reasons.append(Reason(Role(grant.role), _named(grant, kind, slug, login), paths[grant.principal_id]))
    order = list(Role)
    return access.verbs, sorted(reasons, key=lambda reason: -order.index(reason.role))


def _paths(session: Session, person: people.Person) -> dict[int, tuple[str, ...]]:
    """For each principal a user acts as: the names from the user up to it, by a shortest way."""
    paths: dict[int, tuple[str, ...]] = {person.id: (f"user {person.login}",)}
    edge = [person.id]
    while edge:
        following: list[int] = []
        for member in edge:
            for group in people.groups_of(session, member):
                if group.id not in paths:
                    paths[group.id] = (*paths[member], f"group {group.slug}")
                    following.append(group.id)
        edge = following
    return paths


def _subject(session: Session, principal: str) -> dict[str, Any]:
    """The columns that say whom a grant is for."""
    if principal == EVERYONE:
        return {"audience": EVERYONE, "principal_id": None, "domain": ""}
    kind, colon, name = principal.partition(":")
    if colon and kind == "user":
        return {"audience": "principal", "principal_id": people.user(session, name).id, "domain": ""}
    if colon and kind == "group":
        return {"audience": "principal", "principal_id": people.group(session, name).id, "domain": ""}
    if colon and kind == "domain":
        raise NotAllowedHereError("Grants to a domain need directories, which this version does not know yet.")
    raise NotFoundError("principal", principal, "Write user:LOGIN, group:NAME or everyone.")


def _same_subject(query: Select[Any], book: Book, subject: Mapping[str, Any]) -> Select[Any]:
    return query.where(
        Grant.book_id == book.id,
        Grant.audience == subject["audience"],
        Grant.domain == subject["domain"],
        Grant.principal_id == subject["principal_id"]
        if subject["principal_id"] is not None
        else Grant.principal_id.is_(None),
    )


def _grant(session: Session, book: Book, principal: str) -> int:
    grant_id: int | None = session.scalar(_same_subject(select(Grant.id), book, _subject(session, principal)))
    if grant_id is None:
        raise NotFoundError("grant", principal, f"See: radicale-shared grant list {book.address}")
    return grant_id


def _named(grant: Grant, kind: str | None, slug: str | None, login: str | None) -> str:
    if grant.audience == EVERYONE:
        return EVERYONE
    if grant.audience == "domain":
        return f"domain:{grant.domain}"
    return f"group:{slug}" if kind == "group" else f"user:{login or slug}"

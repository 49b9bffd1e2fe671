"""Who may do what with which book, which view of it they get, and why.

Rights are evaluated here and nowhere else, by one query a request and from nothing but the database: a change of
grants, groups or state counts for every request that begins after its commit, in every process.

Several grants unite: verbs add up, and hidden is what all of them hide. A book that one may not read is, for the
caller, a book that does not exist: every function here answers None for both. ``grants`` is who gives what, ``reasons``
tells people why.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from sqlalchemy import and_, bindparam, case, func, or_, select, union
from sqlalchemy.orm import Session

from . import books
from .books import Book
from .errors import NeedPrivilegeError
from .models import Book as BookTable
from .models import ClientVersion, DefaultBook, Grant, GroupOwner, Membership, Principal, Refusal, now
from .statements import Statement
from .vcard import fields

EVERYONE = "everyone"
DOMAIN = "domain"


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


_NOTHING: frozenset[Verb] = frozenset()
_VIEWER = frozenset({Verb.READ})
_CONTRIBUTOR = _VIEWER | {Verb.ADD}
_EDITOR = _CONTRIBUTOR | {Verb.EDIT}
_CURATOR = _EDITOR | {Verb.DELETE, Verb.EXPORT}
_MANAGER = _CURATOR | {Verb.MANAGE}
# Nobody has these on a mirrored book: it is written by its directory alone.
WRITES = frozenset({Verb.ADD, Verb.EDIT, Verb.DELETE})
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
    """Which fields of a book a reader doesn't see (``vcard.fields``). Part of every ETag, token and cache key."""

    hidden: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """``"0"`` for the full view, else 16 hexadecimal digits named by the hidden fields alone."""
        if not self.hidden:
            return "0"
        return blake2b("\n".join(sorted(self.hidden)).encode(), digest_size=8).hexdigest()


FULL_VIEW = View()


@dataclass(frozen=True, slots=True)
class Scope:
    """What of a person's rights a device has.

    books: ids of the books it may use; None for all. A device with some makes no books, and neither renames nor deletes
        any
    read_only: whether it may read and nothing else
    """

    books: frozenset[int] | None = None
    read_only: bool = False

    def over(self, access: Access) -> Access | None:
        """What is left of an access; None where nothing is."""
        if self.books is not None and access.book.id not in self.books:
            return None
        if self.books is None and not self.read_only:
            return access
        verbs = access.verbs if self.books is None else access.verbs - {Verb.OWN}
        return replace(access, verbs=verbs & {Verb.READ} if self.read_only else verbs)


WHOLE = Scope()


@dataclass(frozen=True, slots=True)
class Access:
    """What one principal may do with one book.

    principal_id, login: None and empty for the administrator on the command line
    name: the book's segment in this principal's home: its slug, or its mount
    slug: the principal's
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
    slug: str = ""

    def require(self, verb: Verb, href: str = "") -> None:
        """Raise NeedPrivilegeError unless this access has the verb."""
        if verb not in self.verbs:
            raise NeedPrivilegeError(verb, href)

    @property
    def is_home(self) -> bool:
        """Whether the book's address lies in this principal's home."""
        return self.principal_id == self.book.home_id


def given(role: Role, book: Book) -> frozenset[Verb]:
    """The verbs that a role gives on a book: nobody adds to a mirrored one."""
    return VERBS[role] - WRITES if book.mirrored_from else VERBS[role]


def administrator(book: Book) -> Access:
    """All verbs that anybody can have on the book, for the command line."""
    return Access(None, book, given(Role.OWNER, book), name=book.mount)


# The principals that the user ``slug`` acts as: the user, the groups they are in, the groups those are in, and so on.
# UNION drops what is known already, so a circle of groups ends.
_is_me = and_(Principal.slug == bindparam("slug"), Principal.kind == "user", Principal.state == "active")
_circle = select(Principal.id).where(_is_me).cte("circle", recursive=True)
_circle = _circle.union(select(Membership.group_id).join(_circle, Membership.member_id == _circle.c.id))
ACTS_AS = select(_circle.c.id)
_me = select(Principal.id, Principal.login).where(_is_me).subquery("me")
_my_domain = select(Principal.domain).where(_is_me, Principal.domain != "").scalar_subquery()
# A grant that has not ended at the moment ``now``.
LASTS = or_(Grant.until_at.is_(None), Grant.until_at > bindparam("now"))
# Whom a grant may be for to reach the user. Apart: each has an index of its own, which one condition would not use.
_WHOM = (
    Grant.principal_id.in_(ACTS_AS),
    Grant.audience == EVERYONE,
    and_(Grant.audience == DOMAIN, Grant.domain == _my_domain),
)
OWNED_GROUPS = select(GroupOwner.group_id).where(GroupOwner.owner_id.in_(ACTS_AS))
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
            case((or_(BookTable.owner_id == _me.c.id, BookTable.owner_id.in_(OWNED_GROUPS)), 1), else_=0).label(
                "is_owner"
            ),
            Grant.role,
            Grant.hidden_fields,
            func.coalesce(_refused, 0).label("refused"),
            func.coalesce(_wrote, "").label("wrote"),
            case((DefaultBook.book_id.is_not(None), 1), else_=0).label("is_default"),
        )
        .select_from(BookTable)
        .join(_me, BookTable.deleted_at.is_(None))
    )
    .join(Grant, and_(Grant.book_id == BookTable.id, or_(*_WHOM), LASTS), isouter=True)
    .join(
        DefaultBook,
        and_(DefaultBook.principal_id == _me.c.id, DefaultBook.book_id == BookTable.id),
        isouter=True,
    )
    .where(or_(BookTable.owner_id == _me.c.id, BookTable.owner_id.in_(OWNED_GROUPS), Grant.id.is_not(None)))
)
_OF_BOOK = len(books.columns())
_IN_HOME = Statement(_ACCESS.where(BookTable.home_id == _me.c.id, BookTable.slug == bindparam("name")))
_MOUNTED = Statement(_ACCESS.where(BookTable.home_id != _me.c.id, BookTable.mount == bindparam("name")))
_ONE = Statement(_ACCESS.where(BookTable.id == bindparam("book")))
_ALL = Statement(
    _ACCESS.where(
        BookTable.id.in_(
            union(
                select(BookTable.id).where(BookTable.owner_id == select(_me.c.id).scalar_subquery()),
                select(BookTable.id).where(BookTable.owner_id.in_(OWNED_GROUPS)),
                *(select(Grant.book_id).where(whom, LASTS) for whom in _WHOM),
            )
        )
    )
)


def find(session: Session, slug: str, name: str, *, client: str = "", scope: Scope = WHOLE) -> Access | None:
    """What the user ``slug`` may do with the book ``name`` of their home; None if it doesn't exist for them.

    name: the book's slug for an own address, its mount (with ``~``) for another's
    client: whose refused writes to count, see ``changes.client_of``
    scope: of the device that asks
    """
    query = _MOUNTED if "~" in name else _IN_HOME
    rows = query.rows(session, slug=slug, name=name, client=client, now=now())
    return next(iter(_united(rows, slug, scope)), None)


def to_book(session: Session, slug: str, book_id: int, *, at: datetime | None = None) -> Access | None:
    """What the user ``slug`` may do with a book; None if it doesn't exist for them.

    at: a later moment, for what will be left of the grants of today
    """
    rows = _ONE.rows(session, slug=slug, book=book_id, client="", now=at or now())
    return next(iter(_united(rows, slug, WHOLE)), None)


def all_readable(session: Session, slug: str, *, client: str = "", scope: Scope = WHOLE) -> list[Access]:
    """Everything the user ``slug`` may read: own books first, the default one at the very front, then the mounted."""
    rows = _ALL.rows(session, slug=slug, client=client, now=now())
    return sorted(
        _united(rows, slug, scope),
        key=lambda one: (not one.is_home, not one.default, one.book.id if one.is_home else 0, one.name),
    )


def _united(rows: Iterable[tuple[Any, ...]], slug: str, scope: Scope) -> list[Access]:
    """One access for each book that may be read, of rows of one grant each."""
    verbs: dict[int, frozenset[Verb]] = {}
    hidden: dict[int, frozenset[str]] = {}
    books_by_id: dict[int, tuple[Book, tuple[Any, ...]]] = {}
    for row in rows:
        _, _, is_owner, role, hidden_fields, *_ = row[_OF_BOOK:]
        if row[0] not in books_by_id:
            books_by_id[row[0]] = Book(*row[:_OF_BOOK]), row[_OF_BOOK:]
        book, _ = books_by_id[row[0]]
        if is_owner:
            verbs[book.id] = verbs.get(book.id, _NOTHING) | given(Role.OWNER, book)
            hidden[book.id] = frozenset()
        if role is not None:
            verbs[book.id] = verbs.get(book.id, _NOTHING) | given(Role(role), book)
            hides = hidden_by(hidden_fields)
            hidden[book.id] = fields.common(hidden[book.id], hides) if book.id in hidden else hides
    found = []
    for book, (me, login, _, _, _, refused, wrote, is_default) in books_by_id.values():
        if Verb.READ not in verbs.get(book.id, _NOTHING):
            continue
        name = book.slug if book.home_id == me else book.mount
        view = View(hidden[book.id]) if hidden[book.id] else FULL_VIEW
        whole = Access(me, book, verbs[book.id], view, name, refused, bool(is_default), login, wrote, slug)
        if (access := scope.over(whole)) is not None:
            found.append(access)
    return found


@lru_cache(maxsize=1024)  # of texts, of which there are few; nothing that can change is remembered
def hidden_by(kept: str | None) -> frozenset[str]:
    """The fields that a grant hides, of its column in the database."""
    return frozenset(json.loads(kept)) if kept else frozenset()

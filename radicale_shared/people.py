"""People and groups: logins, slugs, membership, signing in.

A principal's *slug* is its name in URLs: made once from the login or group name, never changed, never given to anybody
else, not even after a removal. A *login* may change; it compares by NFC and casefold, since iOS capitalises.
Users and groups share one name space of slugs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from . import passwords, texts
from .errors import AlreadyExistsError, NotAllowedHereError, NotFoundError
from .models import Book, DatabaseState, Grant, Membership, Principal, now, table

RESERVED_SLUGS = frozenset({"all", "p", "api", "ldap", "healthz", "readyz"})
GROUP_PREFIX = "group:"

_NOT_IN_SLUGS = re.compile(r"[^a-z0-9._@-]+")


@dataclass(frozen=True, slots=True)
class Person:
    """A user. ``state`` is ``"active"``, ``"disabled"`` or ``"removed"`` (then without a login)."""

    id: int
    slug: str
    login: str
    name: str
    email: str
    state: str
    created_at: datetime
    has_password: bool


@dataclass(frozen=True, slots=True)
class Group:
    """A group of users and groups."""

    id: int
    slug: str
    name: str
    state: str


_PERSON = select(
    Principal.id,
    Principal.slug,
    func.coalesce(Principal.login, "").label("login"),
    Principal.name,
    Principal.email,
    Principal.state,
    Principal.created_at,
    Principal.password.is_not(None).label("has_password"),
).where(Principal.kind == "user")
_BY_LOGIN = _PERSON.where(Principal.login_folded == bindparam("login"))
_BY_SLUG = _PERSON.where(Principal.slug == bindparam("slug"), Principal.state == "active")
_SIGN_IN = (
    select(Principal.id, Principal.slug, Principal.password, Principal.auth_version, DatabaseState.rights_generation)
    .join(DatabaseState, DatabaseState.id == 1)
    .where(Principal.login_folded == bindparam("login"), Principal.kind == "user", Principal.state == "active")
)
_GROUP = select(Principal.id, Principal.slug, Principal.name, Principal.state).where(
    Principal.kind == "group", Principal.state == "active"
)


def folded(login: str) -> str:
    """What logins compare by: NFC, casefolded, without surrounding space."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", login.strip()).casefold())


def sign_in(session: Session, login: str, password: str, verified: passwords.VerifiedPasswords) -> str | None:
    """The slug of the active user with this login and password, else None.

    One SELECT, and the costly verification only where ``verified`` doesn't remember it; an unknown login costs the
    same time as a wrong password. An empty password is never right, nor is one longer than any can be.

    Raises BusyError if too many passwords are being verified already.
    """
    if not password or len(password) > passwords.LONGEST or "\x00" in login:
        return None
    row = session.execute(_SIGN_IN, {"login": folded(login)}).one_or_none()
    session.close()  # gives the connection back: verifying takes long, and waiting for a turn to do so longer
    if row is None:
        passwords.matches(password, None)
        return None
    whose = (row.id, row.auth_version, row.rights_generation)
    slug: str = row.slug
    return slug if verified.verify(whose, password, row.password) else None


def by_slug(session: Session, slug: str) -> Person | None:
    """The active user with this slug."""
    row = session.execute(_BY_SLUG, {"slug": slug}).one_or_none()
    return Person(*row) if row else None


def user(session: Session, login: str) -> Person:
    """The user with this login, also a disabled one. Raises NotFoundError."""
    row = session.execute(_BY_LOGIN, {"login": folded(login)}).one_or_none()
    if row is None:
        raise NotFoundError("user", login, "See: radicale-shared user list")
    return Person(*row)


def users(session: Session) -> list[Person]:
    """All users but the removed ones, by login."""
    query = _PERSON.where(Principal.state != "removed").order_by(Principal.login_folded)
    return [Person(*row) for row in session.execute(query)]


def add_user(session: Session, login: str, *, name: str = "", email: str = "", password: str | None = None) -> Person:
    """Make a user; without a password nobody can sign in as them yet.

    Raises AlreadyExistsError, NotAllowedHereError for a login that can't be one.
    """
    login = _checked_login(login)
    rights_changed(session)
    if session.execute(_BY_LOGIN, {"login": folded(login)}).one_or_none():
        raise AlreadyExistsError("user", login)
    session.execute(
        insert(table(Principal)).values(
            kind="user",
            slug=_free_slug(session, login),
            login=login,
            login_folded=folded(login),
            name=_checked_name(name or login),
            email=texts.checked(email, 320, what="e-mail address"),
            state="active",
            password=passwords.hashed(_checked_password(password)) if password is not None else None,
            auth_version=1,
            created_at=now(),
        )
    )
    return user(session, login)


def rename_user(session: Session, login: str, new: str) -> Person:
    """Give a user another login; slug, URLs and books stay. Raises NotFoundError, AlreadyExistsError."""
    rights_changed(session)
    person = user(session, login)
    new = _checked_login(new)
    if folded(new) != folded(login) and session.execute(_BY_LOGIN, {"login": folded(new)}).one_or_none():
        raise AlreadyExistsError("user", new)
    _alter(session, person.id, login=new, login_folded=folded(new))
    return user(session, new)


def set_password(session: Session, login: str, password: str) -> None:
    """Set a user's password; the old one stops working at every process' next request. Raises NotFoundError."""
    _alter(session, user(session, login).id, password=passwords.hashed(_checked_password(password)))


def set_enabled(session: Session, login: str, *, enabled: bool) -> None:
    """Let a user sign in, or no longer; books, grants and groups stay. Raises NotFoundError."""
    rights_changed(session)
    _alter(session, user(session, login).id, state="active" if enabled else "disabled")


def remove_user(session: Session, login: str) -> Person:
    """Remove a user: login and password go, the slug stays taken, history keeps the name.

    Whoever calls this has first given away or deleted the books they own. Raises NotFoundError, NotAllowedHereError.
    """
    rights_changed(session)
    person = user(session, login)
    lock(session, person.id)
    if owned := _owned_books(session, person.id):
        raise NotAllowedHereError(f"{login!r} still owns {owned} books; give or delete them first.")
    _retire(session, person.id)
    return person


def groups(session: Session) -> list[Group]:
    """All groups, by name."""
    return [Group(*row) for row in session.execute(_GROUP.order_by(Principal.name, Principal.slug))]


def group(session: Session, name: str) -> Group:
    """The group with this slug, else the one group with this display name.

    Raises NotFoundError, also where several groups have the name (the hint lists their slugs).
    """
    name = name.removeprefix(GROUP_PREFIX)
    rows = session.execute(_GROUP.where(or_(Principal.slug == name, Principal.name == name))).all()
    exact = [row for row in rows if row.slug == name]
    if exact or len(rows) == 1:
        return Group(*(exact or rows)[0])
    if rows:
        slugs = ", ".join(sorted(row.slug for row in rows))
        raise NotFoundError("single group", name, f"Several have this name; say which: {slugs}")
    raise NotFoundError("group", name, "See: radicale-shared group list")


def add_group(session: Session, name: str) -> Group:
    """Make a group. Raises AlreadyExistsError if a group has this name or slug."""
    name = _checked_name(name.removeprefix(GROUP_PREFIX))
    if not name:
        raise NotAllowedHereError("A group needs a name.")
    rights_changed(session)
    if session.execute(_GROUP.where(or_(Principal.slug == name, Principal.name == name))).first():
        raise AlreadyExistsError("group", name)
    slug = _free_slug(session, name)
    session.execute(
        insert(table(Principal)).values(
            kind="group", slug=slug, name=name, email="", state="active", auth_version=1, created_at=now()
        )
    )
    return group(session, slug)


def rename_group(session: Session, name: str, new: str) -> Group:
    """Give a group another display name; its slug, grants and books stay. Raises NotFoundError, AlreadyExistsError."""
    rights_changed(session)
    found = group(session, name)
    new = _checked_name(new)
    if session.execute(_GROUP.where(Principal.name == new, Principal.id != found.id)).first():
        raise AlreadyExistsError("group", new)
    session.execute(update(table(Principal)).where(Principal.id == found.id).values(name=new))
    return group(session, found.slug)


def remove_group(session: Session, name: str) -> Group:
    """Remove a group with its memberships and grants. Raises NotFoundError, NotAllowedHereError if it owns books."""
    rights_changed(session)
    found = group(session, name)
    lock(session, found.id)
    if owned := _owned_books(session, found.id):
        raise NotAllowedHereError(f"The group {found.slug!r} owns {owned} books; give or delete them first.")
    _retire(session, found.id)
    return found


def principal(session: Session, name: str) -> Person | Group:
    """What ``group:NAME`` or the login ``NAME`` stands for. Raises NotFoundError."""
    if name.startswith(GROUP_PREFIX):
        return group(session, name)
    return user(session, name)


def add_member(session: Session, group_name: str, member: str) -> None:
    """Put a user (``LOGIN``) or group (``group:NAME``) into a group; in it already: nothing happens.

    Raises NotFoundError, NotAllowedHereError for a group in itself (longer circles are legal and harmless).
    """
    rights_changed(session)
    into, who = group(session, group_name), principal(session, member)
    if into.id == who.id:
        raise NotAllowedHereError(f"The group {into.slug!r} can't be a member of itself.")
    known = session.execute(
        select(Membership.group_id).where(Membership.group_id == into.id, Membership.member_id == who.id)
    ).first()
    if known is None:
        session.execute(insert(table(Membership)).values(group_id=into.id, member_id=who.id))


def remove_member(session: Session, group_name: str, member: str) -> None:
    """Take a user or group out of a group. Raises NotFoundError, also if it wasn't in it."""
    rights_changed(session)
    out_of, who = group(session, group_name), principal(session, member)
    gone = session.execute(
        delete(table(Membership)).where(
            table(Membership).c.group_id == out_of.id, table(Membership).c.member_id == who.id
        )
    )
    if not gone.rowcount:  # type: ignore[attr-defined]  # a DELETE's result is a CursorResult
        raise NotFoundError("member", member, f"It is not in the group {out_of.slug!r} itself.")


def members(session: Session, group_id: int) -> Sequence[str]:
    """The direct members of a group, as ``LOGIN`` or ``group:SLUG``, sorted."""
    rows = session.execute(
        select(Principal.kind, Principal.slug, Principal.login)
        .join(Membership, Membership.member_id == Principal.id)
        .where(Membership.group_id == group_id)
    )
    return sorted(GROUP_PREFIX + row.slug if row.kind == "group" else row.login or row.slug for row in rows)


def groups_of(session: Session, principal_id: int) -> list[Group]:
    """The groups that a principal is in directly."""
    query = _GROUP.join(Membership, Membership.group_id == Principal.id).where(Membership.member_id == principal_id)
    return [Group(*row) for row in session.execute(query.order_by(Principal.name))]


def rights_changed(session: Session) -> None:
    """Raise the rights generation, so that every process' caches end with this transaction's commit.

    Updating its one row is also the lock of people and groups: done first, it makes their changes follow one another.
    """
    session.execute(update(table(DatabaseState)).values(rights_generation=table(DatabaseState).c.rights_generation + 1))


def lock(session: Session, principal_id: int) -> None:
    """Hold a principal as it is until the transaction ends; who makes or removes books of one comes by here.

    Raises NotFoundError if it was removed.
    """
    columns = table(Principal).c
    held = session.execute(
        update(table(Principal))
        .where(columns.id == principal_id, columns.state != "removed")
        .values(auth_version=columns.auth_version)
    )
    if not held.rowcount:  # type: ignore[attr-defined]  # an UPDATE's result is a CursorResult
        raise NotFoundError("user or group", str(principal_id), "It was removed.")


def _alter(session: Session, principal_id: int, **values: object) -> None:
    columns = table(Principal).c
    session.execute(
        update(table(Principal))
        .where(columns.id == principal_id)
        .values(**values, auth_version=columns.auth_version + 1)
    )


def _owned_books(session: Session, principal_id: int) -> int:
    query = select(func.count()).select_from(Book).where(Book.owner_id == principal_id, Book.deleted_at.is_(None))
    return session.scalar(query) or 0


def _retire(session: Session, principal_id: int) -> None:
    columns = table(Membership).c
    session.execute(
        delete(table(Membership)).where(or_(columns.group_id == principal_id, columns.member_id == principal_id))
    )
    session.execute(delete(table(Grant)).where(table(Grant).c.principal_id == principal_id))
    _alter(session, principal_id, state="removed", login=None, login_folded=None, password=None)


def _free_slug(session: Session, wish: str) -> str:
    plain = unicodedata.normalize("NFKD", wish.strip()).casefold()
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    base = _NOT_IN_SLUGS.sub("-", plain).strip(".-")[:150] or "x"
    slug, suffix = base, 1
    while slug in RESERVED_SLUGS or session.scalar(select(Principal.id).where(Principal.slug == slug)):
        suffix += 1
        slug = f"{base}-{suffix}"
    return slug


def _checked_login(login: str) -> str:
    login = texts.checked(login, 320, what="login")
    if not login or ":" in login or len(folded(login)) > 640:
        raise NotAllowedHereError(
            f"{login!r} can't be a login: it is empty, too long or has a ':' (HTTP Basic, RFC 7617)."
        )
    return login


def _checked_name(name: str) -> str:
    return texts.checked(name, 500, what="name")


def _checked_password(password: str) -> str:
    if not password or "\x00" in password or len(password) > passwords.LONGEST:
        raise NotAllowedHereError(f"A password has 1 to {passwords.LONGEST} characters, and no NUL.")
    return password

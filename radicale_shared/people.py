"""People and groups: logins, slugs, membership. Who signs in is found by ``accounts``.

A principal's *slug* is its name in URLs: made once from the login or group name, never changed, never given to anybody
else, not even after a removal. A *login* may change; it compares by NFC and casefold, since iOS capitalises.
Users and groups share one name space of slugs.

What comes from a directory (``directories``) is renamed, emptied and given passwords there, and refused here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from . import passwords, texts
from .errors import AlreadyExistsError, NotAllowedHereError, NotFoundError
from .models import AnyRow, Book, DatabaseState, Grant, GroupOwner, Membership, Principal, now, table

RESERVED_SLUGS = frozenset({"all", "p", "api", "ldap", "healthz", "readyz"})
GROUP_PREFIX = "group:"
# Characters of a login as it is typed, with a domain or without.
LONGEST_TYPED = 1000

_ONCE_SIGNED_IN = "People of a directory are known here once they have signed in."

_NOT_IN_SLUGS = re.compile(r"[^a-z0-9._@-]+")


@dataclass(frozen=True, slots=True)
class Person:
    """A user. ``state`` is ``"active"``, ``"disabled"`` or ``"removed"`` (then without a login).

    directory: the name of the directory they come from; empty for those who were made here
    disabled_by: of a disabled one, ``"administrator"`` or ``"directory"``
    """

    id: int
    slug: str
    login: str
    name: str
    email: str
    state: str
    created_at: datetime
    has_password: bool
    directory: str
    disabled_by: str


@dataclass(frozen=True, slots=True)
class Group:
    """A group of users and groups.

    state: ``"active"``, or ``"disabled"`` where its directory has it no longer
    directory: the name of the directory it comes from; empty for one that was made here
    """

    id: int
    slug: str
    name: str
    state: str
    directory: str


_PERSON: Select[*tuple[Any, ...]] = select(
    Principal.id,
    Principal.slug,
    func.coalesce(Principal.login, "").label("login"),
    Principal.name,
    Principal.email,
    Principal.state,
    Principal.created_at,
    Principal.password.is_not(None).label("has_password"),
    Principal.directory,
    Principal.disabled_by,
).where(Principal.kind == "user")
_BY_LOGIN = _PERSON.where(Principal.login_folded == bindparam("login"))
_BY_SLUG = _PERSON.where(Principal.slug == bindparam("slug"), Principal.state == "active")
_GROUP = select(Principal.id, Principal.slug, Principal.name, Principal.state, Principal.directory).where(
    Principal.kind == "group", Principal.state != "removed"
)


def folded(login: str) -> str:
    """What logins compare by: NFC, casefolded, without surrounding space."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", login.strip()).casefold())


def may_be_login(typed: str) -> bool:
    """Whether anybody can have this login, for what is of no known length: some texts take seconds to be ``folded``."""
    return len(typed) <= LONGEST_TYPED and "\x00" not in typed


def domain_of(login: str) -> str:
    """What stands behind the last ``@`` of a login, folded: whose grants to a domain count for it. Empty without."""
    domain = folded(login.rpartition("@")[2]) if "@" in login else ""
    return domain if len(domain) <= 255 else ""


def by_slug(session: Session, slug: str) -> Person | None:
    """The active user with this slug."""
    row = session.execute(_BY_SLUG, {"slug": slug}).one_or_none()
    return Person(*row) if row else None


def user(session: Session, login: str) -> Person:
    """The user with this login, also a disabled one. Raises NotFoundError."""
    row = session.execute(_BY_LOGIN, {"login": folded(login)}).one_or_none() if may_be_login(login) else None
    if row is None:
        raise NotFoundError("user", login[:LONGEST_TYPED], f"See: radicale-shared user list. {_ONCE_SIGNED_IN}")
    return Person(*row)


def users(session: Session) -> list[Person]:
    """All users but the removed ones, by login."""
    query = _PERSON.where(Principal.state != "removed").order_by(Principal.login_folded)
    return [Person(*row) for row in session.execute(query)]


def add_user(session: Session, login: str, *, name: str = "", email: str = "", password: str | None = None) -> Person:
    """Make a user; without a password nobody can sign in as them yet.

    Raises AlreadyExistsError, NotAllowedHereError for a login that can't be one.
    """
    login = checked_login(login)
    rights_changed(session)
    if not is_free_login(session, login):
        raise AlreadyExistsError("user", login)
    session.execute(
        insert(table(Principal)).values(
            kind="user",
            slug=free_slug(session, login),
            login=login,
            login_folded=folded(login),
            domain=domain_of(login),
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
    """Give a user another login; slug, URLs and books stay.

    Raises NotFoundError, AlreadyExistsError, NotAllowedHereError for a person of a directory.
    """
    rights_changed(session)
    person = user(session, login)
    _refuse_foreign(person, "is renamed there; here it follows by itself")
    new = checked_login(new)
    if folded(new) != folded(login) and not is_free_login(session, new):
        raise AlreadyExistsError("user", new)
    alter(session, person.id, ends_sign_ins=True, login=new, login_folded=folded(new), domain=domain_of(new))
    return user(session, new)


def set_password(session: Session, login: str, password: str) -> None:
    """Set a user's password; the old one stops working at every process' next request.

    Raises NotFoundError, NotAllowedHereError for a person of a directory.
    """
    person = user(session, login)
    _refuse_foreign(person, "has the password of the directory; change it there")
    alter(session, person.id, ends_sign_ins=True, password=passwords.hashed(_checked_password(password)))


def set_enabled(session: Session, login: str, *, enabled: bool) -> None:
    """Let a user sign in, or no longer; books, grants and groups stay. A disabled one stays so until this enables them.

    Raises NotFoundError, NotAllowedHereError to enable whom their directory disabled.
    """
    rights_changed(session)
    person = user(session, login)
    if enabled and person.disabled_by == "directory":
        raise NotAllowedHereError(
            f"{person.login!r} is disabled in the directory {person.directory!r}, or gone there. Enable them there; "
            "here it follows by itself."
        )
    state, by = ("active", "") if enabled else ("disabled", "administrator")
    if (person.state, person.disabled_by) != (state, by):
        alter(session, person.id, ends_sign_ins=True, state=state, disabled_by=by)


def remove_user(session: Session, login: str) -> Person:
    """Remove a user: login and password go, the slug stays taken, history keeps the name.

    Whoever calls this has first given away or deleted the books they own. Raises NotFoundError, NotAllowedHereError,
    also for a person whom their directory still has: they would come back, with nothing of what they had.
    """
    rights_changed(session)
    person = user(session, login)
    is_there = select(Principal.id).where(Principal.id == person.id, Principal.directory_login.is_not(None))
    if session.execute(is_there).first():
        _refuse_foreign(
            person, "can be removed here once they are gone there. Until then: radicale-shared user disable"
        )
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
    slug = free_slug(session, name)
    session.execute(
        insert(table(Principal)).values(
            kind="group", slug=slug, name=name, email="", state="active", auth_version=1, created_at=now()
        )
    )
    return group(session, slug)


def rename_group(session: Session, name: str, new: str) -> Group:
    """Give a group another display name; its slug, grants and books stay.

    Raises NotFoundError, AlreadyExistsError, NotAllowedHereError for a group of a directory.
    """
    rights_changed(session)
    found = group(session, name)
    _refuse_foreign(found, "is renamed there; here it follows by itself")
    new = _checked_name(new)
    if session.execute(_GROUP.where(Principal.name == new, Principal.id != found.id)).first():
        raise AlreadyExistsError("group", new)
    session.execute(update(table(Principal)).where(Principal.id == found.id).values(name=new))
    return group(session, found.slug)


def remove_group(session: Session, name: str) -> Group:
    """Remove a group with its memberships and grants.

    Raises NotFoundError, NotAllowedHereError if it owns books, or if its directory still has it.
    """
    rights_changed(session)
    found = group(session, name)
    if found.state == "active":
        _refuse_foreign(found, "can be removed here once it is gone there. Until then take its grants away")
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

    Raises NotFoundError, NotAllowedHereError for a group in itself (longer circles are legal and harmless), or one of a
    directory.
    """
    rights_changed(session)
    into, who = group(session, group_name), principal(session, member)
    _refuse_foreign(into, "gets its members there; or put it into a group made here, with those who are missing")
    if into.id == who.id:
        raise NotAllowedHereError(f"The group {into.slug!r} can't be a member of itself.")
    known = session.execute(
        select(Membership.group_id).where(Membership.group_id == into.id, Membership.member_id == who.id)
    ).first()
    if known is None:
        session.execute(insert(table(Membership)).values(group_id=into.id, member_id=who.id))


def remove_member(session: Session, group_name: str, member: str) -> None:
    """Take a user or group out of a group.

    Raises NotFoundError, also if it wasn't in it, NotAllowedHereError for a group of a directory.
    """
    rights_changed(session)
    out_of, who = group(session, group_name), principal(session, member)
    _refuse_foreign(out_of, "loses its members there")
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
    return sorted(map(written, rows))


def written(row: AnyRow) -> str:
    """A user or group as members and owners of groups are written: ``LOGIN`` or ``group:SLUG``."""
    return f"{GROUP_PREFIX}{row.slug}" if row.kind == "group" else f"{row.login or row.slug}"


def groups_of(session: Session, principal_id: int) -> list[Group]:
    """The groups that a principal is in directly."""
    query = _GROUP.join(Membership, Membership.group_id == Principal.id).where(Membership.member_id == principal_id)
    return [Group(*row) for row in session.execute(query.order_by(Principal.name))]


def rights_changed(session: Session) -> None:
    """Count a change of people, groups or grants: done first, it makes these changes follow one another.

    Its one row is their lock. Nobody has to be told of them: every request asks the database what it may.
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


def alter(session: Session, principal_id: int, *, ends_sign_ins: bool, **values: object) -> None:
    """Set columns of a principal.

    ends_sign_ins: whether what was remembered of their password counts no longer, from every process' next request on
    """
    columns = table(Principal).c
    if ends_sign_ins:
        values["auth_version"] = columns.auth_version + 1
    session.execute(update(table(Principal)).where(columns.id == principal_id).values(**values))


def is_free_login(session: Session, login: str) -> bool:
    """Whether nobody has this login, or one that compares as the same."""
    return session.execute(_BY_LOGIN, {"login": folded(login)}).first() is None


def _refuse_foreign(whom: Person | Group, why: str) -> None:
    """Raise NotAllowedHereError for what comes from a directory."""
    if whom.directory:
        name = whom.login if isinstance(whom, Person) else whom.slug
        raise NotAllowedHereError(f"{name!r} comes from the directory {whom.directory!r} and {why}.")


def _owned_books(session: Session, principal_id: int) -> int:
    query = select(func.count()).select_from(Book).where(Book.owner_id == principal_id, Book.deleted_at.is_(None))
    return session.scalar(query) or 0


def _retire(session: Session, principal_id: int) -> None:
    columns = table(Membership).c
    session.execute(
        delete(table(Membership)).where(or_(columns.group_id == principal_id, columns.member_id == principal_id))
    )
    session.execute(delete(table(Grant)).where(table(Grant).c.principal_id == principal_id))
    owners = table(GroupOwner).c
    session.execute(
        delete(table(GroupOwner)).where(or_(owners.group_id == principal_id, owners.owner_id == principal_id))
    )
    nothing = dict.fromkeys(("login", "login_folded", "password", "directory_key", "directory_login", "dn"))
    alter(session, principal_id, ends_sign_ins=True, state="removed", disabled_by="", **nothing)


def free_slug(session: Session, wish: str) -> str:
    """A slug made of ``wish`` that no principal has, or ever had."""
    plain = unicodedata.normalize("NFKD", wish.strip()).casefold()
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    base = _NOT_IN_SLUGS.sub("-", plain).strip(".-")[:150] or "x"
    slug, suffix = base, 1
    while slug in RESERVED_SLUGS or session.scalar(select(Principal.id).where(Principal.slug == slug)):
        suffix += 1
        slug = f"{base}-{suffix}"
    return slug


def checked_login(login: str) -> str:
    """``login`` as it is kept. Raises NotAllowedHereError if it can't be one."""
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

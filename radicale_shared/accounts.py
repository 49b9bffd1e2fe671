"""Who signs in: the one SELECT that finds an account by what was typed, and the passwords of those who were made here.

People of directories have no password here: ``ldap.sign_in`` asks for it. Nothing is remembered of who may sign in, so
whoever is disabled is out with the next request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, and_, bindparam, or_, select
from sqlalchemy.orm import Session

from . import passwords
from .database import Database
from .models import Principal, table
from .people import folded, may_be_login
from .statements import Statement


class Refusal(StrEnum):
    """Why somebody may not sign in, as the log has it."""

    UNKNOWN = "unknown-login"
    WRONG = "wrong-password"
    REPEATED = "repeated"
    DEVICE = "device-password"
    DEVICE_NEEDED = "device-password-needed"
    DISABLED = "disabled"
    EXPIRED = "password-expired"
    NOT_NOW = "not-now"
    TOO_MANY = "too-many-attempts"
    AT_RISK = "account-at-risk"
    AMBIGUOUS = "several-entries"
    UNUSABLE = "unusable-entry"
    NO_PASSWORD = "no-password"  # noqa: S105
    NO_LOGIN = "no-login"


@dataclass(frozen=True, slots=True)
class Account:
    """A user as signing in needs one.

    password: argon2id, PHC string format; none for people of directories
    directory: where the password is checked, empty for here; its key and login are those there
    login: folded; of people of directories not always what they are called there
    seen_at: when they signed in last, within an hour; None: never
    groups_at: when their groups were read there
    """

    id: int
    slug: str
    state: str
    password: str | None
    auth_version: int
    directory: str
    directory_key: str | None
    directory_login: str | None
    seen_at: datetime | None
    groups_at: datetime | None
    login: str

    @property
    def version(self) -> tuple[int, int]:
        """What a remembered password is kept by: it ends with a change of password or state."""
        return self.id, self.auth_version


# Columns of the table and not of the class: each request asks this, and the ORM would take half as long again.
_columns = table(Principal).c
_ACCOUNT: Select[*tuple[Any, ...]] = select(
    _columns.id,
    _columns.slug,
    _columns.state,
    _columns.password,
    _columns.auth_version,
    _columns.directory,
    _columns.directory_key,
    _columns.directory_login,
    _columns.seen_at,
    _columns.groups_at,
    _columns.login_folded,
).where(_columns.kind == "user")
_LOCAL_ACCOUNT = Statement(_ACCOUNT.where(_columns.login_folded == bindparam("login")))
_ANY_ACCOUNT = Statement(
    _ACCOUNT.where(
        or_(
            _columns.login_folded == bindparam("login"),
            and_(
                _columns.directory_login == bindparam("name"),
                _columns.directory.in_(bindparam("directories", expanding=True)),
            ),
        )
    )
)

_STANDING = Statement(
    select(_columns.auth_version).where(
        _columns.kind == "user", _columns.slug == bindparam("slug"), _columns.state == "active"
    )
)


def find(session: Session, login: str, *, name: str = "", directories: Sequence[str] = ()) -> Account | None:
    """The user who signs in by ``login``, also a disabled one; one SELECT.

    A user who was made here goes before people of directories; of these the one whose login it is here, then the one
    who has it in the first of ``directories``.

    name: the login, folded, without what names a directory
    directories: names of those it may belong to, in their order
    """
    asked = folded(login)
    if not directories:
        rows = _LOCAL_ACCOUNT.rows(session, login=asked)
    else:
        rows = _ANY_ACCOUNT.rows(session, login=asked, name=name, directories=list(directories))
    order = {"": -1, **{directory: place for place, directory in enumerate(directories)}}
    found = [account for row in rows if (account := Account(*row)).directory in order]
    return min(found, key=lambda one: (one.directory != "", one.login != asked, order[one.directory]), default=None)


def stands(session: Session, slug: str, auth_version: int) -> bool:
    """Whether who signed in under ``auth_version`` still is: active, with the same password; one SELECT."""
    return bool(_STANDING.value(session, slug=slug) == auth_version)


def sign_in(db: Database, login: str, password: str, verified: passwords.VerifiedPasswords) -> str | None:
    """The slug of the active user who was made here and has this login and password, else None.

    One SELECT, and the costly verification only where ``verified`` doesn't remember it; an unknown login costs the
    same time as a wrong password. An empty password is never right, nor is one longer than any can be.

    Raises BusyError if too many passwords are being verified already.
    """
    if not passwords.may_be_one(password) or not may_be_login(login):
        return None
    with db.read() as session:
        found = find(session, login)
    # No connection is held any more: verifying takes long, and waiting for a turn to do so longer.
    return found.slug if verify(found, password, verified) and found else None


def verify(found: Account | None, password: str, verified: passwords.VerifiedPasswords) -> bool:
    """Whether a password is the one of an active user who was made here; as slow where there is none.

    Raises BusyError if too many passwords are being verified already.
    """
    if found is None or found.state != "active" or found.directory:
        return passwords.matches(password, None)
    if verified.knows(found.version, password):
        return True
    if not passwords.matches(password, found.password):
        return False
    verified.remember(found.version, password)
    return True

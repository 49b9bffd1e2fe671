"""What directories said of logins and passwords, so that none is asked the same twice.

A row is a password of one login in one directory, as an argon2id digest: a right one lets its owner in for a while
where the directory can't be asked, a wrong one is not tried there again, and a pending one is being asked by some
process at this moment. Whoever asks a directory first ``claim``s the password, so that of several requests, in
several processes, one does.

No transaction here lasts while a directory is asked or a digest is made: those take seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, bindparam, case, delete, exists, func, or_, select, text, update
from sqlalchemy.orm import Session

from . import books, changes, directories, people
from .models import Book, Principal, SignIn, now, table

RIGHT, WRONG, PENDING = "right", "wrong", "pending"

# How long a wrong password isn't tried again; a change of password ends it earlier, see ``password_changed``.
WRONG_FOR = timedelta(hours=12)
# The same of somebody who never signed in here: nobody follows whether they have a new password.
STRANGERS_WRONG_FOR = timedelta(hours=1)
# Whoever has asked for so long was killed; a directory whose time-outs are longer has a ``pending_for`` of its own.
PENDING_FOR = timedelta(seconds=60)
# Of one that was folded, which can make three characters of one.
LONGEST_LOGIN = 640
# Of one login in one directory; the oldest wrong ones go.
MOST_REMEMBERED = 20

_columns = table(SignIn).c
_REMEMBERED: Select[*tuple[Any, ...]] = (
    select(
        SignIn.id,
        SignIn.directory,
        SignIn.directory_key.label("key"),
        SignIn.digest,
        SignIn.verdict,
        SignIn.at,
        Principal.id.label("principal_id"),
        Principal.slug,
        Principal.auth_version,
        Principal.state,
    )
    .join(
        Principal,
        and_(
            Principal.kind == "user",
            Principal.directory == SignIn.directory,
            Principal.directory_key == SignIn.directory_key,
        ),
        isouter=True,
    )
    .where(SignIn.login == bindparam("login"), SignIn.directory.in_(bindparam("directories", expanding=True)))
    .order_by(SignIn.id)
)
_TRIED = select(func.count()).where(
    SignIn.directory == bindparam("directory"),
    SignIn.directory_key == bindparam("key"),
    SignIn.verdict != RIGHT,
    SignIn.at > bindparam("since"),
)
_OLDEST_TRIED = select(func.min(SignIn.at)).where(
    SignIn.directory == bindparam("directory"),
    SignIn.directory_key == bindparam("key"),
    or_(SignIn.verdict == WRONG, and_(SignIn.verdict == PENDING, SignIn.at < bindparam("lost_since"))),
    SignIn.at > bindparam("since"),
)
# Both databases know this form; of two that claim one password at a moment one gets a row.
_CLAIM = text(
    "INSERT INTO sign_ins (directory, login, digest, directory_key, verdict, at)"
    " VALUES (:directory, :login, :digest, :key, 'pending', :at)"
    " ON CONFLICT (directory, login, digest) DO NOTHING RETURNING id"
).bindparams(bindparam("at", type_=SignIn.at.type))


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is known of one password of a login.

    key: whose it was tried for; None where that isn't known yet
    at: when the directory was asked
    principal_id, slug, auth_version: of whom ``key`` tells of; None where nobody here is known by it
    """

    id: int
    directory: str
    key: str | None
    digest: bytes
    verdict: str
    at: datetime
    principal_id: int | None
    slug: str | None
    auth_version: int | None
    state: str | None

    def is_pending(self, for_: timedelta = PENDING_FOR) -> bool:
        """Whether a directory is being asked at this moment.

        for_: how long it may take to answer
        """
        return self.verdict == PENDING and self.at > now() - for_

    def is_wrong(self, window: timedelta) -> bool:
        """Whether the directory said no, and isn't asked again.

        window: for how long it counts what was wrong, see ``tried``
        """
        for_ = STRANGERS_WRONG_FOR if self.principal_id is None else WRONG_FOR
        return self.verdict == WRONG and self.at > now() - max(for_, window)

    def is_right(self, for_: timedelta) -> bool:
        """Whether the directory said yes within this time, to somebody who is still active here."""
        return self.verdict == RIGHT and self.state == "active" and self.at > now() - for_


def remembered(session: Session, directory_names: Sequence[str], login: str) -> list[Remembered]:
    """All that is known of the passwords of a login in some directories; one SELECT.

    login: as it was typed, by ``people.folded``, without the directory's domain
    """
    rows = session.execute(_REMEMBERED, {"login": login, "directories": list(directory_names)})
    return [Remembered(*row) for row in rows]


def claim(
    session: Session,
    directory: str,
    login: str,
    digest: bytes,
    key: str | None,
    *,
    window: timedelta = WRONG_FOR,
    pending_for: timedelta = PENDING_FOR,
) -> int | None:
    """Begin to ask a directory for a password. The row's id; None where somebody else asks, or has an answer.

    To be committed before the directory is asked; then ``settle`` or ``forget`` it.

    key: whose password it is tried for, None where that isn't known yet
    window: for how long wrong ones are needed, see ``tried``
    pending_for: how long the directory may take to answer
    """
    mine = and_(_columns.directory == directory, _columns.login == login)
    at = now()
    # What is too old to count makes way; so do the oldest wrong ones where there are many.
    kept = (
        select(_columns.id).where(mine, _columns.verdict == WRONG).order_by(_columns.at.desc()).offset(MOST_REMEMBERED)
    )
    outdated = or_(
        and_(_columns.verdict == WRONG, _columns.at < at - max(WRONG_FOR, window)),
        and_(_columns.verdict == PENDING, _columns.at < at - max(pending_for, window)),
        and_(_columns.verdict == PENDING, _columns.at < at - pending_for, _columns.digest == digest),
        _columns.id.in_(kept.limit(1000)),
    )
    session.execute(delete(table(SignIn)).where(mine, outdated))
    row = session.execute(
        _CLAIM, {"directory": directory, "login": login, "digest": digest, "key": key, "at": at}
    ).first()
    return row.id if row else None


def claim_again(session: Session, row: Remembered) -> bool:
    """Begin to ask a directory for a password that was right a while ago; False if somebody else does already.

    It counts as right meanwhile. To be committed before the directory is asked; then ``settle`` it, or ``release`` it.
    """
    done = session.execute(
        update(table(SignIn))
        .where(_columns.id == row.id, _columns.verdict == RIGHT, _columns.at == row.at)
        .values(at=now())
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]  # an UPDATE's result is a CursorResult


def release(session: Session, row: Remembered) -> None:
    """Note that the directory could not be asked again: the password was right when it was, and no later."""
    session.execute(update(table(SignIn)).where(_columns.id == row.id, _columns.verdict == RIGHT).values(at=row.at))


def tried(
    session: Session, directory: str, key: str, window: timedelta, *, pending_for: timedelta = PENDING_FOR
) -> int:
    """How many passwords of an entry were wrong within a time, or are being asked for; under all its logins.

    One whose answer never came is among them: the directory may have counted it.
    """
    asked = {"directory": directory, "key": key, "since": now() - max(pending_for, window)}
    return session.execute(_TRIED, asked).scalar_one()


def free_in(
    session: Session, directory: str, key: str, window: timedelta, *, pending_for: timedelta = PENDING_FOR
) -> int:
    """Seconds until the oldest wrong password of an entry is out of the window."""
    at = now()
    asked = {"directory": directory, "key": key, "since": at - window, "lost_since": at - pending_for}
    oldest: datetime | None = session.execute(_OLDEST_TRIED, asked).scalar_one()
    return max(1, int((oldest + window - now()).total_seconds()) + 1) if oldest else 1


def settle(session: Session, row_id: int, *, key: str, is_right: bool) -> None:
    """Note what the directory said. What was right before under this login in this directory is so no longer.

    key: of the entry that it was asked for
    """
    verdict = RIGHT if is_right else WRONG
    session.execute(
        update(table(SignIn)).where(_columns.id == row_id).values(verdict=verdict, directory_key=key, at=now())
    )
    if is_right:
        same = select(SignIn.directory, SignIn.login).where(SignIn.id == row_id).subquery()
        session.execute(
            delete(table(SignIn)).where(
                _columns.id != row_id,
                _columns.verdict == RIGHT,
                exists().where(same.c.directory == _columns.directory, same.c.login == _columns.login),
            )
        )


def forget(session: Session, row_id: int) -> None:
    """Drop a password of which the directory said neither right nor wrong, or of a login that nobody has any more."""
    session.execute(delete(table(SignIn)).where(_columns.id == row_id))


def password_changed(session: Session, directory: str, key: str, *, recheck: timedelta = timedelta(hours=1)) -> None:
    """Let the directory be asked again for all passwords of an entry: there is evidence of a new one.

    Wrong ones may be right now. Right ones count on only where the directory can't be asked.

    recheck: after which a right one is asked for again
    """
    mine = and_(_columns.directory == directory, _columns.directory_key == key)
    due = now() - recheck
    session.execute(delete(table(SignIn)).where(mine, _columns.verdict == WRONG))
    session.execute(
        update(table(SignIn))
        .where(mine, _columns.verdict == RIGHT)
        .values(at=case((_columns.at < due, _columns.at), else_=due))
    )
    whose = table(Principal).c
    session.execute(
        update(table(Principal))
        .where(whose.kind == "user", whose.directory == directory, whose.directory_key == key)
        .values(auth_version=whose.auth_version + 1)
    )


def prune(
    session: Session,
    directory: str,
    right_for: timedelta,
    *,
    window: timedelta = WRONG_FOR,
    pending_for: timedelta = PENDING_FOR,
) -> int:
    """Drop what no longer counts for a directory, or was noted by a clock that was ahead. Returns how many rows.

    right_for: how long a right password counts without the directory
    window: for how long wrong ones are needed, see ``tried``
    """
    at = now()
    done = session.execute(
        delete(table(SignIn)).where(
            _columns.directory == directory,
            or_(
                and_(_columns.verdict == RIGHT, _columns.at < at - right_for),
                and_(_columns.verdict == WRONG, _columns.at < at - max(WRONG_FOR, window)),
                and_(_columns.verdict == PENDING, _columns.at < at - max(pending_for, window)),
                _columns.at > at + PENDING_FOR,  # it would count until that day
            ),
        )
    )
    return int(done.rowcount)  # type: ignore[attr-defined]  # a DELETE's result is a CursorResult


def seen(session: Session, principal_id: int, *, address: str = "", user_agent: str = "") -> None:
    """Note that a person signed in, at most once an hour. The first time they get a book of their own.

    Once in their life: who had one, and be it in the trash, gets no other, nor who signed in before.
    """
    row = session.execute(
        select(Principal.slug, Principal.login, Principal.seen_at).where(Principal.id == principal_id)
    ).one_or_none()
    if row is None:
        return
    directories.seen(session, principal_id)
    if row.seen_at is not None:
        return
    people.lock(session, principal_id)
    had_one = session.execute(select(Book.id).where(Book.home_id == principal_id).limit(1)).first()
    person = people.by_slug(session, row.slug)
    if had_one is None and person is not None:
        by = changes.Actor(principal_id, row.login or row.slug, user_agent=user_agent, address=address)
        books.add_personal(session, person, by=by)

"""Signing in with a password that a directory checks.

What a directory said before is remembered (``sign_ins``): a right password is asked for again after a while only, and
counts on where the directory can't be asked; a wrong one is never tried there twice, and of different wrong ones few
enough that no account is locked. Who is new here becomes a principal, with their groups.

A directory that can't be asked refuses nobody: that is a DirectoryUnavailableError, and the client comes back.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property

from sqlalchemy.orm import Session

from .. import directories, passwords, sign_ins
from ..accounts import Account, Refusal
from ..database import Database
from ..directories import KnownPerson
from ..errors import (
    AccountAtRiskError,
    AlreadyExistsError,
    BusyError,
    DirectoryUnavailableError,
    NotAllowedHereError,
    SharedBooksError,
    UnavailableError,
)
from ..models import now
from ..people import folded
from ..sign_ins import Remembered
from .entries import PersonEntry
from .find import Directory
from .follow import facts_of, take
from .gate import gate_of
from .verdicts import Verdict

_log = logging.getLogger(__name__)

# How long a request waits for the answer that another one is about to get for the same password.
_WAIT_SECONDS = 2.0
_WAIT_STEP_SECONDS = 0.1
# In rounds of the follower: groups that were read longer ago are read again at a sign-in.
_GROUPS_ROUNDS = 10
_LOCKED_RETRY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in; ``auth_version`` is the principal's at that moment."""

    id: int
    slug: str
    auth_version: int


@dataclass(frozen=True, slots=True)
class Place:
    """Whose login it may be that somebody typed.

    name: the login without what names a directory, as it was typed
    domain: what named it, empty for nothing
    directories: those that it may belong to, in their order
    """

    name: str
    domain: str
    directories: tuple[Directory, ...]

    @property
    def names(self) -> list[str]:
        """The directories' names in the settings."""
        return [one.settings.name for one in self.directories]


def place(among: Sequence[Directory], login: str) -> Place:
    """Where the password of ``login`` may be checked: ``name@domain`` and ``DOMAIN\\name`` name their directory.

    A login without a domain, or with one that no directory has, may be of any.
    """
    typed = login.strip()
    before, _, behind = typed.rpartition("@")
    head, _, tail = typed.partition("\\")
    for name, domain in ((before, behind), (tail, head)):
        named = tuple(one for one in among if folded(domain) in map(folded, one.settings.domains))
        if name and domain and named:
            return Place(name, domain, named)
    return Place(typed, "", tuple(among))


def narrowed(where: Place, account: Account | None) -> Place:
    """``where``, for the person of a directory who is known by the login: there, and by their login there.

    Who is called otherwise here, and left the domain out, may be somebody of a directory before theirs, too.
    """
    if account is None:
        return where
    at = where.names.index(account.directory)
    is_theirs = where.domain or account.login == folded(where.name)
    among = where.directories[at if is_theirs else 0 : at + 1]
    return replace(where, name=account.directory_login or where.name, directories=among)


def sign_in(db: Database, where: Place, account: Account | None, password: str) -> SignedIn | Refusal:
    """Who signs in by a password, or why nobody does.

    where: at least one directory
    account: who is known by this login, a person of one of its directories; None for nobody

    Raises DirectoryUnavailableError if the directory that decides can't be asked and nothing is known that lets the
    person in, BusyError if too many passwords are being verified, or this one by somebody else for too long.
    """
    where = narrowed(where, account)
    login = folded(where.name)
    if len(login) > sign_ins.LONGEST_LOGIN:
        return Refusal.UNKNOWN
    with db.read() as session:
        rows = sign_ins.remembered(session, where.names, login)
    if account is not None:
        theirs = _Attempt(db, where.directories[-1], where, login, password, account.directory_key or "")
        mine = [row for row in rows if row.directory == theirs.name and row.key == theirs.key]
        if len(where.directories) == 1 or theirs.was_right(mine):
            return theirs.decide(mine)
    # One directory after another: no password goes to a later one where somebody has the login in one before.
    for directory in where.directories:
        if account is not None and directory.settings.name == account.directory:
            return theirs.decide(mine)
        remembered = [row for row in rows if row.directory == directory.settings.name and row.key]
        if remembered:
            key = remembered[0].key or ""
            attempt = _Attempt(db, directory, where, login, password, key)
            return attempt.decide([row for row in remembered if row.key == key])
        with gate_of(directory).passed():
            found = directory.find(where.name, where.domain)
        if found:
            return _Attempt(db, directory, where, login, password, found[0].key, found).decide([])
    _cost_the_same(db, where.directories[0], login, password)
    return Refusal.UNKNOWN


def pending_for(directory: Directory) -> timedelta:
    """After how long it is sure that nobody waits for the directory's answer to a password any more."""
    return max(sign_ins.PENDING_FOR, directory.settings.longest_answer)


def _cost_the_same(db: Database, directory: Directory, login: str, password: str) -> None:
    """Take as long as with somebody who is there."""
    passwords.digest(password, secret=db.secret, directory=directory.settings.name, login=login)
    with contextlib.suppress(DirectoryUnavailableError), gate_of(directory).passed():
        directory.check_nobody(password)


@dataclass
class _Attempt:
    """One password of one person in one directory.

    login: what it is remembered under
    key: of the person, by what is known so far
    found: their entries, where the directory was asked for them already
    is_sent: whether the directory may have seen the password, and counted it, without having said what it thinks of it
    """

    db: Database
    directory: Directory
    where: Place
    login: str
    password: str
    key: str
    found: list[PersonEntry] | None = None
    is_sent: bool = False

    @property
    def name(self) -> str:
        return self.directory.settings.name

    @property
    def _window(self) -> timedelta:
        return timedelta(minutes=self.directory.settings.wrong_passwords_minutes)

    @property
    def _pending_for(self) -> timedelta:
        return pending_for(self.directory)

    @cached_property
    def _digest(self) -> bytes:
        return passwords.digest(self.password, secret=self.db.secret, directory=self.name, login=self.login)

    def was_right(self, rows: list[Remembered]) -> bool:
        """Whether the directory let the person in by this password, and that counts still."""
        row = self._of(rows)
        return row is not None and row.is_right(timedelta(hours=self.directory.settings.offline_hours))

    def _of(self, rows: list[Remembered]) -> Remembered | None:
        digest = self._digest  # also for no rows: it takes long, and needs a connection of the pool
        return next((row for row in rows if hmac.compare_digest(row.digest, digest)), None)

    def decide(self, rows: list[Remembered]) -> SignedIn | Refusal:
        """The answer: from ``rows``, what is remembered of this login, else the directory's."""
        settings = self.directory.settings
        row = self._of(rows)
        if row is not None and row.is_wrong(self._window):
            return Refusal.WRONG
        if row is not None and row.is_right(timedelta(minutes=settings.recheck_minutes)):
            return _signed_in(row)
        is_in_grace = row is not None and row.is_right(timedelta(hours=settings.offline_hours))
        try:
            with gate_of(self.directory).passed():
                return self._again(row) if row is not None and is_in_grace else self._anew(row)
        except DirectoryUnavailableError as error:
            if row is None or not is_in_grace:
                raise
            _log.info("%r goes on with a password that was right at %s: %s", self.login, row.at, error)
            return _signed_in(row)

    def _again(self, row: Remembered) -> SignedIn | Refusal:
        """The directory's answer for a password that was right.

        It is asked for even while no other may be tried: whoever guesses shall not use up the owner's time without it.
        Once, that is: a person has several logins, and after a change of password all of them have an old one.
        """
        self._brake(self.key, is_claimed=True)
        with self.db.write() as session:
            if not sign_ins.claim_again(session, row):
                return _signed_in(row)  # somebody else asks at this moment
        try:
            return self._asked(row.id)
        except BaseException:
            self._undo(lambda session: sign_ins.release(session, row))
            raise

    def _anew(self, row: Remembered | None) -> SignedIn | Refusal:
        """The directory's answer for a password that it hasn't said anything of, or not for a long time."""
        self._brake(self.key, is_claimed=row is not None and row.verdict == sign_ins.PENDING)
        if row is not None and not row.is_pending(self._pending_for):
            with self.db.write() as session:
                sign_ins.forget(session, row.id)
        digest, until = self._digest, time.monotonic() + _WAIT_SECONDS
        while True:
            with self.db.write() as session:
                patience = {"window": self._window, "pending_for": self._pending_for}
                row_id = sign_ins.claim(session, self.name, self.login, digest, self.key, **patience)
            if row_id is not None:
                break
            if answer := self._answer_of_another():
                return answer
            if time.monotonic() > until:
                # Says nothing of the directory: whoever asks it may have been killed.
                raise BusyError(1, "This password is being verified for another request")
            time.sleep(_WAIT_STEP_SECONDS)
        try:
            self._brake(self.key, is_claimed=True)
            return self._asked(row_id)
        except BaseException:
            if not self.is_sent:  # else it counts as being asked for a minute: it isn't sent again at once
                self._undo(lambda session: sign_ins.forget(session, row_id))
            raise

    def _answer_of_another(self) -> SignedIn | Refusal | None:
        """What the directory said to somebody else who asked for the same; None as long as it says nothing."""
        with self.db.read() as session:
            rows = sign_ins.remembered(session, [self.name], self.login)
        row = self._of(rows)
        if row is None or row.is_pending(self._pending_for):
            return None
        return _signed_in(row) if row.is_right(self._pending_for) else Refusal.WRONG

    def _undo(self, change: Callable[[Session], None]) -> None:
        """Take back that the directory is being asked. Where that fails too, it counts for a minute."""
        with contextlib.suppress(SharedBooksError), self.db.write() as session:
            change(session)

    def _brake(self, key: str, *, is_claimed: bool) -> None:
        """Stop before an account is locked there: this password would be one too many. Raises AccountAtRiskError.

        is_claimed: whether this password is among those that are being asked for. All of these count, so of several
        requests at one moment too many may give up, never too few.
        """
        most = self.directory.settings.wrong_passwords
        with self.db.read() as session:
            if self._tried(session, key) < most + is_claimed:
                return
            wait = sign_ins.free_in(session, self.name, key, self._window, pending_for=self._pending_for)
        raise AccountAtRiskError(self.name, wait)

    def _tried(self, session: Session, key: str) -> int:
        return sign_ins.tried(session, self.name, key, self._window, pending_for=self._pending_for)

    def _asked(self, row_id: int) -> SignedIn | Refusal:
        """The directory's answer, written to the row of this password.

        Raises DirectoryUnavailableError, also for an account that is locked or would be soon.
        """
        found = self.found if self.found is not None else self._find()
        if len(found) != 1:
            if found:
                _log.error("Several people of %r have the login %r: %s", self.name, self.login, _dns(found))
            return self._refused(row_id, Refusal.AMBIGUOUS if found else Refusal.UNKNOWN)
        entry = found[0]
        if entry.key != self.key:  # the login is somebody else's now
            self._brake(entry.key, is_claimed=False)
        if not entry.active:
            self.directory.check_nobody(self.password)
            return self._disabled(entry, row_id, entry.inactive_because)
        self.is_sent = True
        match self.directory.check(entry, self.password):
            case Verdict.RIGHT:
                return self._right(entry, row_id)
            case Verdict.WRONG:
                with self.db.write() as session:
                    sign_ins.settle(session, row_id, key=entry.key, is_right=False)
                return Refusal.WRONG
            case Verdict.DISABLED:
                return self._disabled(entry, row_id, "the directory refuses the account")
            case Verdict.NOT_NOW:  # they aren't disabled: their devices go on
                return self._refused(row_id, Refusal.NOT_NOW)
            case Verdict.PASSWORD_EXPIRED:
                return self._refused(row_id, Refusal.EXPIRED)
            case Verdict.LOCKED:
                self.is_sent = False
                raise AccountAtRiskError(self.name, _LOCKED_RETRY_SECONDS)

    def _refused(self, row_id: int, because: Refusal) -> Refusal:
        """Not remembered: it says nothing of the password."""
        with self.db.write() as session:
            sign_ins.forget(session, row_id)
        return because

    def _disabled(self, entry: PersonEntry, row_id: int, because: str) -> Refusal:
        """Believe a directory that says so of one person: they are out at once, with all their devices."""
        with self.db.write() as session:
            sign_ins.forget(session, row_id)
            if directories.by_key(session, self.name, entry.key) is not None:
                # What else is odd about the entry, the follower tells.
                with contextlib.suppress(AlreadyExistsError, NotAllowedHereError):
                    directories.take_person(session, self.name, replace(facts_of(self.directory, entry), active=False))
        _log.warning("%r may not sign in: %s", entry.dn, because)
        return Refusal.DISABLED

    def _right(self, entry: PersonEntry, row_id: int) -> SignedIn | Refusal:
        """Let somebody in whose password is right; who is new becomes a principal first."""
        with self.db.read() as session:
            known = directories.by_key(session, self.name, entry.key)
        groups = self._groups(entry, known)
        try:
            try:
                person = self._written(entry, row_id, groups)
            except AlreadyExistsError:  # by all that is known here; the directory may know better
                take(self.db, self.directory, entry)
                person = self._written(entry, row_id, groups)
        except (AlreadyExistsError, NotAllowedHereError) as error:
            _log.error("%r of the directory %r can't sign in: %s", entry.dn, self.name, error)
            return self._refused(row_id, Refusal.UNUSABLE)
        except (BusyError, UnavailableError) as error:
            if known is None or known.state != "active":
                raise
            _log.warning("That %r signed in is not written down: %s", known.slug, error)
            person = known
        if person.state != "active":
            return Refusal.DISABLED
        return SignedIn(person.id, person.slug, person.auth_version)

    def _written(self, entry: PersonEntry, row_id: int, groups: set[str] | None) -> KnownPerson:
        """Write down who signed in, with their groups where those were read."""
        facts = replace(facts_of(self.directory, entry), active=True)  # the directory let them in
        with self.db.write() as session:
            person = directories.take_person(session, self.name, facts)
            if groups is not None:
                directories.set_groups(session, self.name, person.id, groups)
            sign_ins.settle(session, row_id, key=entry.key, is_right=True)
        return person

    def _groups(self, entry: PersonEntry, known: KnownPerson | None) -> set[str] | None:
        """The groups of somebody who is new here, or back after a while; None where they are followed anyway.

        Raises DirectoryUnavailableError for somebody new: they would come in without rights. All others keep theirs.
        """
        fresh = timedelta(seconds=self.directory.settings.poll_seconds * _GROUPS_ROUNDS)
        if known is None:
            return self.directory.groups_of(entry)
        if known.groups_known_at is not None and known.groups_known_at > now() - fresh:
            return None
        try:
            return self.directory.groups_of(entry)
        except DirectoryUnavailableError as error:
            _log.warning("The groups of %r stay as they were: %s", known.slug, error)
            return None

    def _find(self) -> list[PersonEntry]:
        return self.directory.find(self.where.name, self.where.domain)


def _dns(entries: list[PersonEntry]) -> str:
    return ", ".join(repr(one.dn) for one in entries)


def _signed_in(row: Remembered) -> SignedIn:
    """Who is known by a remembered password that is right."""
    assert row.principal_id is not None and row.slug is not None and row.auth_version is not None  # noqa: S101, PT018
    return SignedIn(row.principal_id, row.slug, row.auth_version)

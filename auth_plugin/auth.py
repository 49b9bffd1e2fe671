"""Who signs in: ``radicale.auth`` over the core's people and the organisation's directories.

A device password is a device's, and nothing else is tried. A login of somebody who was made here is checked here, and
every other one by the directories. The user that Radicale goes on with is the principal's slug, which is what stands in
paths; the login may be another. Groups are evaluated in the core, so none are handed to Radicale.

What can't be checked raises, and is answered as an error: a 401 would make programs forget passwords that are right.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from datetime import datetime
from typing import Any, cast

from radicale import auth, config, types
from radicale.log import logger

from radicale_shared import (
    accounts,
    device_uses,
    devices,
    lanes,
    ldap,
    passwords,
    people,
    sent_bytes,
    settings,
    sign_ins,
)
from radicale_shared.accounts import Account, Refusal
from radicale_shared.errors import (
    AccountAtRiskError,
    DirectoryUnavailableError,
    SharedBooksError,
    TooManyAttemptsError,
)
from radicale_shared.ldap import sign_in as by_directory
from radicale_shared.ldap.sign_in import Place, SignedIn
from radicale_shared.passwords import RIGHT_BEFORE

from .memory import UNKNOWN_FOR, WRONG_FOR, in_background, memory_of


class Auth(auth.BaseAuth):
    """Login and password against the database and directories; also the first to see each request (``sent_bytes``)."""

    def __init__(self, configuration: config.Configuration) -> None:
        super().__init__(configuration)
        self._settings = settings.from_configuration(configuration)
        self._memory = memory_of(self._settings)
        self._database = self._settings.connect()
        self._directories = ldap.directories(self._settings)
        self._uses = device_uses.uses(self._database)

    def get_external_login(self, environ: types.WSGIEnviron) -> tuple[()]:
        """No login from elsewhere. Called before the body is read: here the copy of the client's bytes begins."""
        sent_bytes.begin(
            cast(MutableMapping[str, Any], environ),
            limit=self._settings.max_body_size,
            trusted_proxies=self._settings.trusted_proxies,
        )
        return ()

    def _login_ext_with_groups(self, login: str, password: str, context: auth.AuthContext) -> tuple[str, set[str]]:
        del context  # it knows no trusted proxies
        if not people.may_be_login(login):
            return self._refused(login[: people.LONGEST_TYPED], Refusal.NO_LOGIN), set()
        if not passwords.may_be_one(password):
            return self._refused(login, Refusal.NO_PASSWORD), set()
        if devices.parse(password):
            return self._by_device_password(login, password), set()
        if self._settings.device_passwords_only and sent_bytes.sender().is_device:
            return self._refused(login, Refusal.DEVICE_NEEDED), set()
        return self._by_own_password(login, password), set()

    def _by_device_password(self, login: str, password: str) -> str:
        """The slug of the owner of the device with this password; empty for none, and then nothing else is tried."""
        secret = self._database.secret  # read first: not on a second connection
        with self._database.read() as session:
            device = devices.sign_in(session, login, password, secret=secret)
        if device is None:
            return self._refused(login, Refusal.DEVICE)
        if device.last_used_at is None:
            self._note(device.principal_id, None)
        sender = sent_bytes.sender()
        self._uses.note(device, sender.address, sender.user_agent)
        sent_bytes.set_signed_in(device.slug, device)
        return device.slug

    def _by_own_password(self, login: str, password: str) -> str:
        """The slug of the person with this password; empty for nobody.

        From the cheapest to the costliest: one SELECT, what is in memory, argon2id, a directory. How many unknown
        passwords get that far is limited; one that was right before here always does.

        Raises TooManyAttemptsError, BusyError, DirectoryUnavailableError.
        """
        place = by_directory.place(self._directories, login)
        name = people.folded(place.name)
        pair = (self._settings.database_url, people.folded(login), password)
        was_right = RIGHT_BEFORE.knows(*pair)
        if not was_right:
            self._admit(login, name)
        with self._database.read() as session:
            account = accounts.find(session, login, name=name, directories=place.names)
        found = self._verified_before(account, password) or self._checked(login, account, place, password)
        if isinstance(found, Refusal):
            if found is not Refusal.REPEATED:
                RIGHT_BEFORE.forget(*pair)
            return self._refused(login, found)
        if not was_right:
            RIGHT_BEFORE.remember(*pair)
        self._note(found.id, account.seen_at if account and account.id == found.id else None)
        sent_bytes.set_signed_in(found.slug, auth_version=found.auth_version)
        return found.slug

    def _verified_before(self, account: Account | None, password: str) -> SignedIn | None:
        """Who this is, by memory; None where it doesn't tell."""
        if account and account.state == "active" and self._memory.verified.knows(account.version, password):
            return SignedIn(account.id, account.slug, account.auth_version)
        return None

    def _checked(self, login: str, account: Account | None, place: Place, password: str) -> SignedIn | Refusal:
        """Who this is, by the password that is stored here or by the directory; what is wrong is remembered."""
        memory, address, name = self._memory, sent_bytes.sender().address, people.folded(place.name)
        # Somebody else may have this login in another directory, and the same password.
        whose = " ".join((f"{account.id} {account.auth_version}" if account else "", *place.names, name))
        if memory.wrong.knows(whose, password):
            return Refusal.REPEATED
        try:
            found = self._asked(account, place, password)
        except AccountAtRiskError:
            memory.attempts.failed(address, name, password)
            self._refused(login, Refusal.AT_RISK)
            raise
        except DirectoryUnavailableError as error:
            # Not as a failed login: what counts these must ban nobody for a directory that is down.
            logger.warning("Whether %r may sign in can't be told: %s", login, error)
            raise
        if isinstance(found, Refusal):
            memory.wrong.remember(whose, password, UNKNOWN_FOR if found is Refusal.UNKNOWN else WRONG_FOR)
            if found not in {Refusal.EXPIRED, Refusal.NOT_NOW}:
                memory.attempts.failed(address, name, password)
        return found

    def _asked(self, account: Account | None, place: Place, password: str) -> SignedIn | Refusal:
        """What the password stored here, or the directory, says."""
        verified = self._memory.verified
        if place.directories and (account is None or account.directory):
            with lanes.left():
                found = by_directory.sign_in(self._database, place, account, password)
            if isinstance(found, SignedIn):
                verified.remember((found.id, found.auth_version), password)
            return found
        if accounts.verify(account, password, verified) and account:
            return SignedIn(account.id, account.slug, account.auth_version)
        if account is None:
            return Refusal.UNKNOWN
        return Refusal.WRONG if account.state == "active" else Refusal.DISABLED

    def _admit(self, login: str, name: str) -> None:
        """Raise TooManyAttemptsError where too many wrong passwords came before this one, which was never right."""
        try:
            self._memory.attempts.admit(sent_bytes.sender().address, name)
        except TooManyAttemptsError:
            self._refused(login, Refusal.TOO_MANY)
            raise

    def _note(self, principal_id: int, seen_at: datetime | None) -> None:
        """Write down that a person signed in, at most once an hour; the first time they get a book of their own."""
        if not self._memory.seen.is_due(principal_id, seen_at):
            return
        sender = sent_bytes.sender()

        def write() -> None:
            try:
                with self._database.write() as session:
                    sign_ins.seen(session, principal_id, address=sender.address, user_agent=sender.user_agent)
            except SharedBooksError as error:
                logger.warning("That somebody signed in is not written down: %s", error)
                self._memory.seen.forget(principal_id)

        if seen_at is None:
            write()
        else:
            in_background(write)

    def _refused(self, login: str, because: Refusal) -> str:
        """Nobody signed in: one line in the log, for people and for programs that ban addresses.

        The login is quoted and escaped: nobody writes lines of their own by it.
        """
        logger.warning("Failed login from %s: %r (%s)", sent_bytes.sender().address or "nowhere", login, because)
        return ""

    def _sleep_for_constant_exec_time(self, time_ns_begin: int) -> None:
        # Wrong and unknown logins cost the same argon2 work already, and a thread that sleeps serves nobody.
        del time_ns_begin

"""What is done for clients: signing in, searching, comparing. All of it may wait, and runs in threads of a pool."""

from __future__ import annotations

import base64
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from .. import accounts, devices, lanes, phone_profiles, sent_bytes
from ..database import Database
from ..devices import Device
from ..errors import BusyError, DirectoryUnavailableError, SharedBooksError, TooManyAttemptsError, UnavailableError
from ..rates import Rates
from ..settings_file import LdapServerSettings
from . import controls, filters, messages, schema, search
from .controls import Wanted
from .messages import ANSWERS, BindRequest, CompareRequest, Operation
from .requests import Found, Identity, Scope, Search, SearchRequest
from .results import AbandonedError, CannotSortError, Code, ResultError

# An answer goes out in pieces of so many octets; of a search that finds little nobody waits for longer than this.
_PIECE = 32768
_PIECE_SECONDS = 0.5
# How long a search runs before another request may run first.
_WAY_SECONDS = 0.01
_LONGEST_LOGGED = 120

# The first part of a DN (RFC 4514, section 3) whose value is a login.
_NAMED = re.compile(
    r"\s*(?:uid|userid|cn|commonName|mail)\s*=((?:[^\\,;+]|\\.)*)(?:[,;].*)?", re.IGNORECASE | re.DOTALL
)
_ESCAPED = re.compile(rb"\\(?:([0-9A-Fa-f]{2})|(.))", re.DOTALL)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in on a connection, as of that moment.

    auth_version: of their own password; 0 for a device's
    address: from where
    """

    slug: str
    device: Device | None
    auth_version: int
    address: str

    @property
    def key(self) -> tuple[str, int]:
        """What their searches are counted by."""
        return self.slug, self.device.id if self.device else 0

    @property
    def described(self) -> str:
        """As the log has them."""
        return f"{self.slug} ({self.device.label!r})" if self.device else self.slug


class Service:
    """What one process does for clients.

    sign_in: the slug of who may ask, of an environ as HTTP has it; empty for nobody. It notes the device
        (``sent_bytes.signed_in``)
    """

    def __init__(self, db: Database, settings: LdapServerSettings, sign_in: Callable[[dict[str, Any]], str]) -> None:
        self.db = db
        self.settings = settings
        self._sign_in = sign_in
        self._rates = Rates(settings.searches_per_minute)

    def bind(self, request: BindRequest, address: str) -> SignedIn:
        """Who signs in by a name, which is a DN or a login, and a password (RFC 4511, section 4.2).

        Raises ResultError.
        """
        password = _text(request.password or b"")
        login = login_of(request.name)
        if not login or ":" in login:  # HTTP has none of these
            raise ResultError(Code.INVALID_CREDENTIALS)
        pair = base64.b64encode(f"{login}:{password}".encode()).decode()
        environ = {
            "REQUEST_METHOD": "BIND",
            "REMOTE_ADDR": address,
            "HTTP_USER_AGENT": "LDAP",
            "HTTP_AUTHORIZATION": f"Basic {pair}",
            sent_bytes.DISPATCHER: True,
        }
        with lanes.entered(), refused_as_results():
            slug = self._sign_in(environ)
            known = sent_bytes.signed_in()
        if not slug or known is None or known.slug != slug:
            raise ResultError(Code.INVALID_CREDENTIALS)
        found = SignedIn(slug, known.device, known.auth_version, address)
        if known.device is not None and known.device.phones_only:
            with lanes.entered(), refused_as_results(), self.db.read() as session:
                if not _is_in_its_networks(session, known.device, address):
                    raise ResultError(Code.INVALID_CREDENTIALS)
        return found

    def identity(self, of: SignedIn) -> Identity:
        """Who asks, as the database has it now; one SELECT, for a phone two.

        Raises ResultError where they may not any more.
        """
        with self.db.read() as session:
            if of.device is None:
                if accounts.stands(session, of.slug, of.auth_version):
                    return Identity(of.slug)
            elif (device := devices.standing(session, of.device)) and (
                not device.phones_only or _is_in_its_networks(session, device, of.address)
            ):
                return Identity(of.slug, device)
        raise ResultError(Code.INVALID_CREDENTIALS, "Sign in again: the password was changed or revoked.")

    def count(self, of: SignedIn) -> None:
        """Count a search. Raises ResultError for one too many."""
        if self._rates.take(of.key):
            raise ResultError(Code.BUSY, "Too many searches in a minute.")

    def compare(self, message_id: int, request: CompareRequest, of: SignedIn) -> bytes:
        """The answer to whether an entry has a value (RFC 4511, section 4.10)."""
        tag = ANSWERS[Operation.COMPARE]
        wanted = filters.equality(request.attribute.encode("utf-8", "replace"), request.value)
        asked = SearchRequest(request.dn, Scope.BASE, 1, 0, types_only=True, filter=wanted, attributes=("1.1",))
        deadline = time.monotonic() + self.settings.time_limit_seconds

        def check() -> None:
            if time.monotonic() > deadline:
                raise ResultError(Code.TIME_LIMIT_EXCEEDED)

        try:
            with lanes.entered(), refused_as_results():
                self.count(of)
                found = search.answer(self.db, self.identity(of), Search(asked, self.settings.base, 1, b"", (), check))
                code = Code.COMPARE_FALSE if next(iter(found), None) is None else Code.COMPARE_TRUE
        except ResultError as error:
            return messages.result(message_id, tag, error.code, error.text, matched=error.matched)
        return messages.result(message_id, tag, code)


class RunningSearch:
    """A search, whose answer is made piece by piece: between two of them it takes no thread and no connection.

    wanted: what its controls ask for
    is_refused: whether it ended as who asks isn't signed in any more
    """

    def __init__(
        self, service: Service, message_id: int, request: SearchRequest, wanted: Wanted, of: SignedIn, address: str
    ) -> None:
        self._service = service
        self._id = message_id
        self._request = request
        self._wanted = wanted
        self._of = of
        self._address = address
        self._selection = schema.selection(request.attributes)
        self._abandoned = threading.Event()
        settings = service.settings
        self._seconds_left = float(min(request.time_limit or settings.time_limit_seconds, settings.time_limit_seconds))
        self._deadline = 0.0
        self._way_at = 0.0
        self._found: Iterator[Found] | None = None
        self._identity = Identity(of.slug, of.device)
        self._sort_result: Code | None = None
        self._most = settings.size_limit  # of this page
        self._before = 0  # entries of earlier pages
        self._sent = 0
        self._position = b""
        self._took = 0.0
        self.is_refused = False

    def abandon(self) -> None:
        """Nobody waits for it any more; from any thread."""
        self._abandoned.set()

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody waits for it."""
        return self._abandoned.is_set()

    def piece(self) -> tuple[bytes, bool]:
        """(the next messages of the answer, whether these are the last)."""
        begun = time.monotonic()
        self._deadline = begun + self._seconds_left
        made: list[bytes] = []
        try:
            with lanes.entered(), refused_as_results():
                ended = self._make(made, begun + _PIECE_SECONDS)
        except AbandonedError:
            ended, made = Code.SUCCESS, []
        except ResultError as error:
            ended = error.code
            made.append(self._result(error))
        except Exception:  # noqa: BLE001  # nothing may get past this: the client gets no stack trace, the log does
            _log.exception("A search of %s failed", self._of.described)
            ended = Code.OTHER
            made.append(self._result(ResultError(Code.OTHER, "Something went wrong here. It was logged.")))
        now = time.monotonic()
        self._took += now - begun
        self._seconds_left = max(0.0, self._deadline - now)
        if ended is not None:
            self._found = None
            self.is_refused = ended is Code.INVALID_CREDENTIALS
            self._log(ended)
        return b"".join(made), ended is not None

    def _make(self, made: list[bytes], until: float) -> Code | None:
        """Add the next messages to ``made``; how it ended, None where it goes on."""
        self._way_at = time.monotonic() + _WAY_SECONDS
        self._check()
        if self._found is None:
            self._found = self._begin()
        size = 0
        while size < _PIECE and time.monotonic() < until:
            self._check()
            found = next(self._found, None)
            if found is None:
                made.append(self._done(Code.SUCCESS))
                return Code.SUCCESS
            if self._sent == self._most:
                return self._full(made)
            made.append(
                messages.entry(
                    self._id,
                    found.dn,
                    self._selection.of(found.attributes),
                    types_only=self._request.types_only,
                )
            )
            size += len(made[-1])
            self._sent += 1
            self._position = found.position
        return None

    def _begin(self) -> Iterator[Found]:
        """What is found, from its beginning or from the page on that was asked for."""
        service, asked, wanted = self._service, self._request, self._wanted
        service.count(self._of)
        self._identity = service.identity(self._of)
        self._before, after = controls.opened(service.db.secret, self._identity, asked, wanted)
        if asked.size_limit:
            self._most = min(self._most, max(0, asked.size_limit - self._before))
        if wanted.page:
            self._most = min(self._most, wanted.page.size)
            if not wanted.page.size:  # the client has had enough (RFC 2696, section 3)
                return iter(())
        try:
            return self._answer(after, sort=bool(wanted.sort))
        except CannotSortError:
            self._sort_result = Code.UNWILLING_TO_PERFORM
            if wanted.must_sort:
                text = "It can't be sorted by this."
                raise ResultError(Code.UNAVAILABLE_CRITICAL_EXTENSION, text) from None
            return self._answer(after, sort=False)

    def _answer(self, after: bytes, *, sort: bool) -> Iterator[Found]:
        """What is found, of which the first is found already."""
        keys = self._wanted.sort if sort else ()
        asked = Search(self._request, self._service.settings.base, self._most + 1, after, keys, self._check)
        found = iter(search.answer(self._service.db, self._identity, asked))
        first = next(found, None)
        if sort:
            self._sort_result = Code.SUCCESS
        return found if first is None else _chained(first, found)

    def _full(self, made: list[bytes]) -> Code:
        """End a page, or a search that has reached its limit, behind which there is more."""
        asked, wanted = self._request, self._wanted
        total = self._before + self._sent
        if not wanted.page or (asked.size_limit and total >= asked.size_limit):
            raise ResultError(Code.SIZE_LIMIT_EXCEEDED)
        cookie = controls.cookie(self._service.db.secret, self._identity, asked, wanted, total, self._position)
        made.append(self._done(Code.SUCCESS, cookie=cookie))
        return Code.SUCCESS

    def _check(self) -> None:
        """Whether to go on; in the middle of long work others run first."""
        if self._abandoned.is_set():
            raise AbandonedError
        now = time.monotonic()
        if now > self._deadline:
            raise ResultError(Code.TIME_LIMIT_EXCEEDED)
        if now > self._way_at:
            lanes.queue_again()
            self._way_at = time.monotonic() + _WAY_SECONDS

    def _result(self, error: ResultError) -> bytes:
        return self._done(error.code, error.text, matched=error.matched)

    def _done(self, code: Code, text: str = "", *, matched: str = "", cookie: bytes = b"") -> bytes:
        sent = []
        if self._wanted.page and code is Code.SUCCESS:
            sent.append(controls.paged(cookie))
        if self._sort_result is not None:
            sent.append(controls.sorted_by(self._sort_result))
        return messages.result(self._id, ANSWERS[Operation.SEARCH], code, text, matched=matched, controls=sent)

    def _log(self, code: Code) -> None:
        """One line for each search, without what was searched for."""
        _log.info(
            "LDAP search by %s from %s below %r for %s: %d found, %s, %d ms",
            self._of.described,
            self._address,
            self._request.base[:_LONGEST_LOGGED],
            filters.shape(self._request.filter)[:_LONGEST_LOGGED],
            self._sent,
            "abandoned" if self.is_abandoned else code.name.lower(),
            round(self._took * 1000),
        )


def _is_in_its_networks(session: Session, device: Device, address: str) -> bool:
    """Whether a desk phone asks from where it may."""
    profile = phone_profiles.of_device(session, device)
    if profile is None or profile.may_ask_from(address):
        return profile is not None
    _log.warning(
        "The phone %r of %r asks from %s, which is in none of its networks.", device.label, device.slug, address
    )
    return False


def _chained(first: Found, others: Iterator[Found]) -> Iterator[Found]:
    yield first
    yield from others


def _text(password: bytes) -> str:
    """A password as text (RFC 4513, section 5.1.3), also of clients that know no UTF-8."""
    try:
        return password.decode("utf-8")
    except UnicodeDecodeError:
        return password.decode("latin-1")


def login_of(name: str) -> str:
    """The login of a bind's name: of a DN (``uid=eva,ou=people,dc=contacts``) its first value, else all of it."""
    found = _NAMED.fullmatch(name)
    if found is None:
        return name.strip()
    plain = _ESCAPED.sub(lambda one: bytes.fromhex(one[1].decode()) if one[1] else one[2], found[1].encode())
    return plain.decode("utf-8", "replace").strip()


class refused_as_results:  # read as a word: with refused_as_results()
    """The one table from the core's errors to results (RFC 4511, appendix A)."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        match error:
            case TooManyAttemptsError() | BusyError():
                raise ResultError(Code.BUSY, str(error)) from error
            case DirectoryUnavailableError():
                text = "The password can't be checked at the moment; try again later."
                raise ResultError(Code.UNAVAILABLE, text) from error
            case UnavailableError():
                _log.error("%s", error)
                raise ResultError(Code.UNAVAILABLE, "The database can't be reached; try again later.") from error
            case SharedBooksError():
                _log.error("%s", error)
                raise ResultError(Code.UNWILLING_TO_PERFORM) from error

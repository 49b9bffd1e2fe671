"""One request of the API, and what is replied.

What people send is checked here, before anything is locked: a body is one JSON object of bounded size, with the keys
that its route knows and no others, and no text in it has characters that couldn't be told again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session
from werkzeug.wrappers import Request

from .. import access, changes, lanes, people, texts
from ..access import Access, Scope
from ..changes import Actor
from ..database import Database
from ..devices import Device
from ..errors import NotFoundError, SharedBooksError
from ..people import Person
from ..principals import Findable
from ..proxies import client_address
from ..settings import Settings

MOST_BYTES = 64 * 1024
# Each is compared with all others, or looked up.
MOST_TEXTS = 200

_PIECE = 64 * 1024
_MOST_DROPPED = 2 * 1024 * 1024


class UnreadableError(SharedBooksError):
    """The request is not what the route takes; the message says why. ``status``: what it is answered by."""

    def __init__(self, told: str, status: int = 400) -> None:
        super().__init__(told)
        self.status = status


class DeviceNotEnoughError(SharedBooksError):
    """A device password was sent where only the person's own password will do."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What is replied: a value for JSON, or nothing."""

    status: int
    value: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Asking:
    """One request, after sign-in.

    root: the path of the API, with the prefix of all our paths, e.g. ``/contacts/api/``
    slug: of who is signed in
    device: whose password it was; None for the person's own
    """

    request: Request
    db: Database
    settings: Settings
    root: str
    slug: str
    device: Device | None
    _sent: Mapping[str, Any] | None = None

    def person(self, session: Session) -> Person:
        """Who asks. Raises NotFoundError for a sign-in (by another auth plugin) that is no user here."""
        found = people.by_slug(session, self.slug)
        if found is None:
            raise NotFoundError("user", self.slug)
        return found

    def book(self, session: Session, name: str) -> Access:
        """What the person may do with a book of their home. Raises NotFoundError, as for one that isn't there."""
        found = access.find(session, self.slug, name, scope=self.scope)
        if found is None:
            raise NotFoundError("book", name)
        return found

    def books(self, session: Session) -> list[Access]:
        """All books that the person may read, in the order of their home."""
        return access.all_readable(session, self.slug, scope=self.scope)

    @property
    def scope(self) -> Scope:
        """What of the person's rights this request has: all, unless it is a device's."""
        return self.device.scope if self.device else access.WHOLE

    @property
    def findable(self) -> Findable:
        """Whom people may know of here."""
        return Findable(self.settings.find_people)

    def actor(self, person: Person) -> Actor:
        """Who does what this request asks for, for the history."""
        agent = self.request.headers.get("User-Agent", "")
        address = client_address(self.request.environ, self.settings.trusted_proxies)
        return Actor(person.id, person.login, changes.client_of(agent), agent, address)

    def require_own_password(self) -> None:
        """Raise DeviceNotEnoughError for a device: a lost phone gives nobody rights, and makes no other passwords."""
        if self.device is not None:
            raise DeviceNotEnoughError("A device password can't do this; sign in with your own password.")

    def argument(self, name: str) -> str:
        """The one argument behind the ``?`` that the route knows; empty without. Raises UnreadableError for others."""
        return self.arguments(name)[name]

    def arguments(self, *names: str) -> Mapping[str, str]:
        """All arguments that the route knows. Raises UnreadableError for others."""
        if unknown := sorted(set(self.request.args) - set(names)):
            raise UnreadableError(f"There is no argument {unknown[0]!r} here; use {', '.join(names)}.")
        return {name: _checked(name, self.request.args.get(name, "")) for name in names}

    @property
    def sent(self) -> Mapping[str, Any]:
        """The JSON object in the body. Raises UnreadableError."""
        if self._sent is None:
            self._sent = self._read()
        return self._sent

    def _read(self) -> Mapping[str, Any]:
        # A form of another site can send any other type; this one it can't without asking us first (CORS).
        if self.request.mimetype != "application/json":
            raise UnreadableError("Send a JSON object, as application/json.", 415)
        try:
            value = json.loads(_body(self.request))
        except (ValueError, RecursionError) as error:
            raise UnreadableError("The body is not JSON.") from error
        if not isinstance(value, dict):
            raise UnreadableError("Send a JSON object.")
        return value

    def require_keys(self, *keys: str) -> None:
        """Raise UnreadableError if the body has other keys: one with a slip in its name would go unnoticed."""
        if unknown := sorted(set(self.sent) - set(keys)):
            raise UnreadableError(f"There is no key {unknown[0][:100]!r} here; use {', '.join(keys)}.")

    def text(self, key: str, default: str | None = None) -> str:
        """A text of the body. Raises UnreadableError; also where there is none, and no default."""
        value = self.sent.get(key, default)
        if not isinstance(value, str):
            raise UnreadableError(f"{key!r} must be a text.")
        return _checked(key, value)

    def flag(self, key: str) -> bool:
        """A boolean of the body, False without. Raises UnreadableError."""
        value = self.sent.get(key, False)
        if not isinstance(value, bool):
            raise UnreadableError(f"{key!r} must be true or false.")
        return value

    def choice(self, key: str) -> bool | None:
        """A boolean of the body, or None for null and without. Raises UnreadableError."""
        return None if self.sent.get(key) is None else self.flag(key)

    def texts(self, key: str) -> list[str]:
        """A list of at most MOST_TEXTS texts of the body, empty without. Raises UnreadableError."""
        value = self.sent.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise UnreadableError(f"{key!r} must be a list of texts.")
        if len(value) > MOST_TEXTS:
            raise UnreadableError(f"{key!r} has at most {MOST_TEXTS} entries.")
        return [_checked(key, one) for one in value]

    def moment(self, key: str) -> datetime | None:
        """A time of the body, in UTC; None for null and without. Raises UnreadableError."""
        value = self.sent.get(key)
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                raise UnreadableError(f"{key!r} must name its zone, as in 2026-12-31T23:59:59+01:00.")
            return moment.astimezone(UTC)
        except (TypeError, ValueError, OverflowError) as error:
            raise UnreadableError(f"{key!r} must be a time such as 2026-12-31T23:59:59+01:00, or null.") from error


def _checked(name: str, text: str) -> str:
    """``text``, unless it has characters that no text here may have (half a surrogate, NUL): then UnreadableError."""
    if texts.ILLEGAL.search(text):
        raise UnreadableError(f"{name!r} has characters that can't be shown.")
    return text


def _body(request: Request) -> bytes:
    """The request's body, by its Content-Length or in chunks. Raises UnreadableError if it is too long, or not all.

    Of one that is too long the rest is read and dropped, within reason: an answer before its end is a broken connection
    to some proxies.
    """
    stream, length = request.environ["wsgi.input"], request.content_length
    wanted = _MOST_DROPPED if length is None else min(length, _MOST_DROPPED)
    kept, size = b"", 0
    with lanes.left():
        while size < wanted and (piece := stream.read(min(_PIECE, wanted - size))):
            size += len(piece)
            kept = kept + piece if size <= MOST_BYTES else b""
    if max(size, length or 0) > MOST_BYTES:
        raise UnreadableError(f"The body is larger than {MOST_BYTES} bytes.", 413)
    if length is not None and size < length:
        raise UnreadableError("The body ended before its Content-Length.")
    return kept

"""The request that this thread serves, as a plain Radicale tells its plugins nothing about it.

Radicale hands a storage plugin cards that were parsed and written anew, which damages many, and names neither client
nor method. The auth plugin sees each request first: it ``begin``s it here and copies what is read of its body, so that
the storage plugin can keep the client's own bytes. Plugins never import one another; this module is where they meet.

Our own dispatcher needs no copies and says so by the key ``DISPATCHER`` in the environ. Who signed in, by which device,
it learns here too.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from .access import WHOLE, Scope
from .devices import Device
from .proxies import client_address
from .settings import Network

DISPATCHER = "radicale_shared.dispatcher"
_SMALL = 65536
_DRAINING = threading.BoundedSemaphore(16)
# In the environ of a request of a page or tool, where people use their own passwords whatever devices have to use.
PERSON = "radicale_shared.person"


class Tee:
    """A WSGI input stream (PEP 3333) that keeps a copy of what is read from it.

    limit: bytes to keep at most; a longer body is not kept at all; 0 for any length
    """

    def __init__(self, stream: Any, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._parts: list[bytes] = []
        self._length = 0

    def read(self, size: int = -1) -> bytes:
        return self._kept(self._stream.read() if size < 0 else self._stream.read(size))

    def readline(self, size: int = -1) -> bytes:
        return self._kept(self._stream.readline() if size < 0 else self._stream.readline(size))

    def readlines(self, hint: int = -1) -> list[bytes]:
        return [self._kept(line) for line in (self._stream.readlines() if hint < 0 else self._stream.readlines(hint))]

    def __iter__(self) -> Iterator[bytes]:
        for line in self._stream:
            yield self._kept(line)

    @property
    def is_too_long(self) -> bool:
        """Whether more was read than may be kept."""
        return bool(self._limit) and self._length > self._limit

    @property
    def length(self) -> int:
        """How many bytes were read."""
        return self._length

    def take(self) -> bytes:
        """What was read, given once: a body is not held until the thread's next request."""
        parts, self._parts = self._parts, []
        return b"".join(parts)

    def _kept(self, data: bytes) -> bytes:
        self._length += len(data)
        if self.is_too_long:
            self._parts.clear()
        else:
            self._parts.append(data)
        return data


def announced(environ: Mapping[str, Any]) -> int:
    """The bytes of a request's body by its Content-Length; 0 where there is none, or no number of bytes."""
    length = str(environ.get("CONTENT_LENGTH") or "")
    return int(length) if length.isascii() and length.isdigit() and len(length) <= 18 else 0


def drain(environ: Mapping[str, Any]) -> None:
    """Read a small body of which nothing was read, so that an answer given without it doesn't end the connection.

    A server closes a connection with an unread body, and a client learns that by the loss of its next request. Few at a
    time wait here: who announces bodies and sends none shall not take up all threads.
    """
    left = announced(environ)
    if not 0 < left <= _SMALL or not _DRAINING.acquire(blocking=False):
        return
    try:
        with suppress(OSError):  # the client is gone: nobody is left to answer
            while left > 0 and (piece := environ["wsgi.input"].read(left)):
                left -= len(piece)
    finally:
        _DRAINING.release()


@dataclass(slots=True)
class Request:
    """What of a request is not told to storage and rights plugins.

    announced: the body's bytes by Content-Length
    if_match: the header of this name (RFC 9110, section 13.1.1), which is Radicale's to compare; empty without
    body: None for methods that store no card
    """

    method: str
    user_agent: str
    address: str
    announced: int = 0
    if_match: str = ""
    body: Tee | None = None

    @property
    def names_state(self) -> bool:
        """Whether it is for one state of the card."""
        return self.if_match not in {"", "*"}


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends a request, before anybody signs in. ``is_device``: a program that syncs, and no page."""

    address: str
    user_agent: str
    is_device: bool = True


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in. ``device``: whose password it was; None for the person's own, which has an ``auth_version``."""

    slug: str
    device: Device | None = None
    auth_version: int = 0


_current: ContextVar[Request | None] = ContextVar("radicale_shared_request", default=None)
_sender: ContextVar[Sender | None] = ContextVar("radicale_shared_sender", default=None)
_signed_in: ContextVar[SignedIn | None] = ContextVar("radicale_shared_signed_in", default=None)
# What a device has of the books that serves desk phones alone.
_NOTHING = Scope(frozenset(), read_only=True)


def begin(environ: MutableMapping[str, Any], *, limit: int, trusted_proxies: Iterable[Network] = ()) -> None:
    """Forget the last request of this thread, with who signed in, and note this one; a PUT's input becomes a Tee.

    limit: bytes of a body to keep at most, 0 for any
    """
    _current.set(None)
    _signed_in.set(None)
    sender = Sender(client_address(environ, trusted_proxies), environ.get("HTTP_USER_AGENT", ""), PERSON not in environ)
    _sender.set(sender)
    if DISPATCHER in environ:
        return
    method = str(environ.get("REQUEST_METHOD", "")).upper()
    if_match = str(environ.get("HTTP_IF_MATCH", "")).strip()
    request = Request(method, sender.user_agent, sender.address, if_match=if_match)
    if method == "PUT":
        request.announced = announced(environ)
        request.body = environ["wsgi.input"] = Tee(environ["wsgi.input"], limit)
    _current.set(request)


def current() -> Request | None:
    """The request of this thread; None where nobody noted it."""
    return _current.get()


def sender() -> Sender:
    """Who sends the request of this thread; nobody knows where nobody noted it."""
    return _sender.get() or Sender("", "")


def set_signed_in(slug: str, device: Device | None = None, auth_version: int = 0) -> None:
    """Note who signed in for the request of this thread.

    device: whose password it was, if not the person's own; auth_version: under which that was right
    """
    _signed_in.set(SignedIn(slug, device, auth_version))


def signed_in() -> SignedIn | None:
    """Who signed in; None for nobody, and where the sign-in was another auth plugin's."""
    return _signed_in.get()


def device() -> Device | None:
    """The device that asks; None for a sign-in by the person's own password."""
    found = _signed_in.get()
    return found.device if found else None


def scope() -> Scope:
    """What of the person's rights the request of this thread has: all, unless it is a device's."""
    asking = device()
    if asking is None:
        return WHOLE
    return _NOTHING if asking.phones_only else asking.scope

"""The request that this thread serves, as a plain Radicale tells its plugins nothing about it.

Radicale hands a storage plugin cards that were parsed and written anew, which damages many, and names neither client
nor method. The auth plugin sees each request first: it ``begin``s it here and copies what is read of its body, so that
the storage plugin can keep the client's own bytes. Plugins never import one another; this module is where they meet.

Our own dispatcher needs none of it and says so by the key ``DISPATCHER`` in the environ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from .proxies import client_address
from .settings import Network

DISPATCHER = "radicale_shared.dispatcher"


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


@dataclass(slots=True)
class Request:
    """What of a request is not told to storage and rights plugins.

    announced: the body's bytes by Content-Length
    body: None for methods that store no card
    """

    method: str
    user_agent: str
    address: str
    announced: int = 0
    body: Tee | None = None


_current: ContextVar[Request | None] = ContextVar("radicale_shared_request", default=None)


def begin(environ: MutableMapping[str, Any], *, limit: int, trusted_proxies: Iterable[Network] = ()) -> None:
    """Forget the last request of this thread and note this one; a PUT's input is replaced by a Tee.

    limit: bytes of a body to keep at most, 0 for any
    """
    _current.set(None)
    if DISPATCHER in environ:
        return
    method = str(environ.get("REQUEST_METHOD", "")).upper()
    request = Request(method, environ.get("HTTP_USER_AGENT", ""), client_address(environ, trusted_proxies))
    if method == "PUT":
        length = str(environ.get("CONTENT_LENGTH") or "0")
        request.announced = int(length) if length.isascii() and length.isdigit() else 0
        request.body = environ["wsgi.input"] = Tee(environ["wsgi.input"], limit)
    _current.set(request)


def current() -> Request | None:
    """The request of this thread; None where nobody noted it."""
    return _current.get()

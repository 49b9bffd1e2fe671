"""Connections to a directory's servers: kept open, shared by all threads, failing over from one server to the next.

Servers are tried in their order, the one that worked last first. One that failed is left alone for half a minute; once
all did, one thread at a time tries them again, and the others are told at once. People's passwords are checked on
connections of their own, so that nothing is ever read as somebody else than the reader.
"""

from __future__ import annotations

import contextlib
import logging
import ssl
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar
from urllib.parse import urlsplit

from ..directory_settings import DirectorySettings
from ..errors import DirectoryUnavailableError
from . import messages
from .line import Line, LineError, Server
from .messages import ResultCode

log = logging.getLogger(__name__)

MOST = 4  # connections of a kind
LEFT_ALONE_SECONDS = 30.0
# A reader that is refused now will be so in a minute, and trying often could lock its account: so waits double.
REFUSED_SECONDS = 60.0
LONGEST_REFUSED_SECONDS = 900.0
# Firewalls forget connections that lie idle without a word to either side.
IDLE_SECONDS = 120.0

T = TypeVar("T")


class _Pool:
    """At most MOST connections, the one that was used last first."""

    def __init__(self) -> None:
        self.slots = threading.BoundedSemaphore(MOST)
        self._idle: list[Line] = []
        self._lock = threading.Lock()

    def take(self) -> Line | None:
        """An open connection that nobody uses, if there is one."""
        with self._lock:
            fresh = [line for line in self._idle if time.monotonic() - line.used_at < IDLE_SECONDS]
            stale = [line for line in self._idle if line not in fresh]
            self._idle = fresh
            line = fresh.pop() if fresh else None
        for one in stale:
            one.close()
        return line

    def give_back(self, line: Line) -> None:
        line.used_at = time.monotonic()
        with self._lock:
            self._idle.append(line)

    def close(self, server: Server | None = None) -> None:
        """Close those that nobody uses, of one server or all."""
        with self._lock:
            closed = [line for line in self._idle if server in {None, line.server}]
            self._idle = [line for line in self._idle if line not in closed]
        for line in closed:
            line.close()


class Connections:
    """The connections to one directory; thread-safe, nothing is opened before the first use."""

    def __init__(self, settings: DirectorySettings) -> None:
        self._settings = settings
        self._servers = [_server(url) for url in settings.servers]
        self._failed: dict[Server, tuple[float, str]] = {}
        self._refused = (0.0, "")
        self._refused_for = 0.0
        self._readers = _Pool()
        self._checkers = _Pool()
        self._lock = threading.Lock()
        self._probing = threading.Lock()
        self._context: ssl.SSLContext | None = None
        self.operations = 0

    def read(self, work: Callable[[Line], T]) -> T:
        """What ``work`` makes of a connection that is bound as the reader; it may be called again on another one.

        Raises DirectoryUnavailableError.
        """
        return self._run(self._readers, self._reader, work, may_repeat=True)

    def check(self, work: Callable[[Line], T]) -> T:
        """What ``work`` makes of a connection that anybody may be bound on.

        It is called again only where the first connection had ended while it lay idle: a password that a directory may
        have seen isn't sent twice. Raises DirectoryUnavailableError.
        """
        return self._run(self._checkers, self._open, work, may_repeat=False)

    @contextlib.contextmanager
    def stream(self) -> Iterator[Line]:
        """A connection of its own, bound as the reader, for an answer that is read over a long time.

        Raises DirectoryUnavailableError, also for what is wrong with the connection inside the block.
        """
        line, _ = self._first(self._reader, lambda _: None, may_repeat=True)
        try:
            yield line
        except LineError as error:
            self._note(line.server, error)
            raise self.unavailable(error.reason) from error
        finally:
            line.close()

    def close(self) -> None:
        """Close what is open; the next use opens anew."""
        self._readers.close()
        self._checkers.close()

    def unavailable(self, reason: str) -> DirectoryUnavailableError:
        """The error of this directory for ``reason``."""
        return DirectoryUnavailableError(self._settings.name, reason)

    def _run(self, pool: _Pool, make: Callable[[Server], Line], work: Callable[[Line], T], *, may_repeat: bool) -> T:
        settings = self._settings
        if not pool.slots.acquire(timeout=settings.connect_timeout_seconds + settings.answer_timeout_seconds):
            raise self.unavailable(f"all {MOST} connections are in use")
        try:
            line = pool.take()
            if line is not None:
                try:
                    found = self._worked(line, work)
                except LineError as error:
                    if not error.is_unanswered:
                        self._note(line.server, error)
                        if not may_repeat:
                            raise self.unavailable(error.reason) from error
                else:
                    pool.give_back(line)
                    return found
            line, found = self._first(make, work, may_repeat=may_repeat)
            pool.give_back(line)
            return found
        finally:
            pool.slots.release()

    def _first(self, make: Callable[[Server], Line], work: Callable[[Line], T], *, may_repeat: bool) -> tuple[Line, T]:
        """(a new connection to the first server where ``work`` succeeds, what it gave)."""
        reason = ""
        with contextlib.closing(self._in_turn()) as servers:
            for server in servers:
                is_open = False
                try:
                    line = make(server)
                    is_open = True
                    found = self._worked(line, work)
                except LineError as error:
                    self._note(server, error)
                    reason = error.reason
                    if is_open and not may_repeat:
                        break
                else:
                    self._works(server)
                    return line, found
        raise self.unavailable(reason or self._last_reason())

    def _in_turn(self) -> Generator[Server, None, None]:
        """The servers to try: first those that didn't fail lately, then, by one thread at a time, those that did."""
        with self._lock:
            servers = tuple(self._servers)
            lately = time.monotonic() - LEFT_ALONE_SECONDS
            left_alone = {server for server in servers if server in self._failed and self._failed[server][0] > lately}
        yield from (server for server in servers if server not in left_alone)
        if left_alone and self._probing.acquire(blocking=False):
            try:
                yield from (server for server in servers if server in left_alone)
            finally:
                self._probing.release()

    def _worked(self, line: Line, work: Callable[[Line], T]) -> T:
        """What ``work`` gives; whatever it raises, the connection is closed: something may still be under way on it."""
        try:
            return work(line)
        except BaseException:
            line.close()
            raise

    def _open(self, server: Server) -> Line:
        """A new connection, with TLS unless the settings allow plain text. Raises LineError."""
        line = Line(server, self._settings, self._sent)
        try:
            if server.is_tls or self._settings.start_tls:
                line.secure(self._tls())
        except BaseException:
            line.close()
            raise
        return line

    def _reader(self, server: Server) -> Line:
        """A new connection on which the reader is bound. Raises LineError; DirectoryUnavailableError if it may not."""
        refused_until, reason = self._refused
        if time.monotonic() < refused_until:
            raise self.unavailable(reason)
        line = self._open(server)
        try:
            dn, password = self._settings.bind_dn, self._settings.bind_password
            result = line.result(lambda message_id: messages.bind(message_id, dn, password))
            if result.code in _REFUSALS:
                reason = f"{server.url} doesn't let {dn or 'anonymous readers'} in ({result.said})"
                self._refused_for = min(max(self._refused_for * 2, REFUSED_SECONDS), LONGEST_REFUSED_SECONDS)
                self._refused = (time.monotonic() + self._refused_for, reason)
                log.error("Directory %s: %s", self._settings.name, reason)
                raise self.unavailable(reason)
            if result.code != ResultCode.SUCCESS:
                raise LineError(f"{server.url} doesn't let {dn or 'anonymous readers'} in ({result.said})")
            self._refused_for = 0.0
        except BaseException:
            line.close()
            raise
        return line

    def _tls(self) -> ssl.SSLContext:
        """Chain, name and dates are verified; TLS 1.2 or newer. Raises LineError."""
        with self._lock:
            if self._context is None:
                try:
                    self._context = ssl.create_default_context(cafile=self._settings.ca_file or None)
                except OSError as error:
                    raise LineError(f"ca_file can't be read: {error}") from error
                self._context.minimum_version = ssl.TLSVersion.TLSv1_2
            return self._context

    def _sent(self) -> None:
        with self._lock:
            self.operations += 1

    def _note(self, server: Server, error: LineError) -> None:
        """Remember that a server failed; its connections that nobody uses are closed."""
        with self._lock:
            is_new = server not in self._failed
            self._failed[server] = (time.monotonic(), error.reason)
        self._readers.close(server)
        self._checkers.close(server)
        if is_new:
            log.warning("Directory %s: %s", self._settings.name, error.reason)

    def _works(self, server: Server) -> None:
        """Remember that a server works: from now on it is tried first."""
        with self._lock:
            failed = self._failed.pop(server, None)
            self._servers.sort(key=lambda one: one != server)
        if failed:
            log.warning("Directory %s: %s works again", self._settings.name, server.url)

    def _last_reason(self) -> str:
        with self._lock:
            return next((reason for _, reason in self._failed.values()), "no server answers")


_REFUSALS = {
    ResultCode.STRONGER_AUTH_REQUIRED,
    ResultCode.CONFIDENTIALITY_REQUIRED,
    ResultCode.INVALID_DN_SYNTAX,
    ResultCode.INAPPROPRIATE_AUTHENTICATION,
    ResultCode.INVALID_CREDENTIALS,
    ResultCode.INSUFFICIENT_ACCESS,
    ResultCode.UNWILLING_TO_PERFORM,
}


def _server(url: str) -> Server:
    parts = urlsplit(url)
    is_tls = parts.scheme == "ldaps"
    return Server(url, parts.hostname or "", parts.port or (636 if is_tls else 389), is_tls)

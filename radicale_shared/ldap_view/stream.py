"""One client's connection as a stream of messages (RFC 4511, section 5): octets, TLS, and what a client is waited for.

Everything here runs on the event loop and waits for nothing. What a client can make this process keep is bounded: half
a message, a few operations, and an answer's piece that it hasn't read yet. Who has more under way isn't read from.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from . import messages
from .ber import BerError
from .messages import Message
from .results import Code

if TYPE_CHECKING:
    from .server import Server

MOST_OUTSTANDING = 8
# Seconds that a client has to sign in, to send the rest of a message that it began, and to read of an answer.
SIGN_IN_SECONDS = 60
MESSAGE_SECONDS = 20
READ_SECONDS = 30
_HANDSHAKE_SECONDS = 20
_UNREAD = 65536

_log = logging.getLogger(__name__)


class Stream(asyncio.BufferedProtocol):
    """What all connections have in common, whatever is asked on them.

    tls: whether the client begins with TLS (LDAPS)
    """

    def __init__(self, server: Server, *, tls: bool) -> None:
        self._server = server
        self._begins_with_tls = tls
        self._loop = server.loop
        self._transport: asyncio.Transport | None = None
        self._address = ""
        self._is_counted = False
        self._is_stranger = True  # nobody is signed in
        self._is_secure = False
        self._is_upgrading = False
        self._received = bytearray()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_busy = False  # an operation runs beside which there is no other
        self._is_ending = False
        self._writable = asyncio.Event()
        self._writable.set()
        now = self._loop.time()
        self._begun_at = self._active_at = now
        self._message_since: float | None = None
        self._unread_since: float | None = None

    def _take(self, message: Message) -> None:
        """Do what a message asks for, or begin to."""
        raise NotImplementedError

    def _abandon_all(self) -> None:
        """Nobody waits for anything any more."""
        raise NotImplementedError

    # -- the transport's calls -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_UNREAD)
        with suppress(OSError):  # it is gone already
            # asyncio does so itself only for sockets that were made as TCP's by name. The system would wait for 40 ms.
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._address = _address_of(transport.get_extra_info("peername"))
        if not self._server.admit(self, self._address):
            self._is_ending = True
            if not self._begins_with_tls:
                self._transport.write(messages.notice_of_disconnection(Code.BUSY, "Too many connections."))
            self._transport.close()
            return
        self._is_counted = True
        if self._begins_with_tls:
            self._start(self._secure())

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # a protocol's method
        """Where octets are received: one place for all connections, emptied before the next one's come."""
        return self._server.scratch

    def buffer_updated(self, nbytes: int) -> None:
        if self._is_ending:
            return
        self._received += self._server.scratch[:nbytes]
        self._go_on()

    def eof_received(self) -> bool:
        """The client is gone: LDAP has no half a connection (RFC 4511, section 5.3)."""
        return False

    def pause_writing(self) -> None:
        self._writable.clear()
        self._unread_since = self._loop.time()
        self._read_or_not()

    def resume_writing(self) -> None:
        self._writable.set()
        self._unread_since = None
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # a protocol's method
        self._is_ending = True
        self._abandon_all()
        self._writable.set()
        self._received.clear()
        if self._is_counted:
            self._is_counted = False
            self._server.left(self, self._address, is_stranger=self._is_stranger)

    # -- messages ------------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Take up what was received, as far as it is whole and there is room for it."""
        while self._takes_more():
            try:
                length = messages.length(self._received)
                if length is None or len(self._received) < length:
                    break
                message = messages.read(bytes(self._received[:length]))
            except BerError as error:
                self._end(Code.PROTOCOL_ERROR, f"This can't be read: {error}.")
                return
            del self._received[:length]
            self._message_since = None
            self._active_at = self._loop.time()
            self._take(message)
        if self._received and self._message_since is None and self._takes_more():
            self._message_since = self._loop.time()
        self._read_or_not()

    def _takes_more(self) -> bool:
        return not (
            self._is_busy
            or self._is_ending
            or self._is_upgrading
            or len(self._tasks) >= MOST_OUTSTANDING
            or not self._writable.is_set()
        )

    def _pause_reading(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def _read_or_not(self) -> None:
        if self._transport is None or self._is_upgrading or self._transport.is_closing():
            return
        if self._takes_more():
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    async def _secure(self) -> None:
        """Go on with TLS on this connection."""
        self._is_upgrading = True
        plain, context = self._transport, self._server.context
        if plain is None or context is None:
            self.abort()
            return
        try:
            made = await self._loop.start_tls(
                plain, self, context, server_side=True, ssl_handshake_timeout=_HANDSHAKE_SECONDS
            )
        except (TimeoutError, OSError, ssl.SSLError) as error:
            _log.info("TLS with %s failed: %s", self._address, error)
            made = None
        if made is None or made.is_closing():
            self.abort()
            self.connection_lost(None)  # nobody calls it for what was lost in a handshake
            return
        self._transport = made
        made.set_write_buffer_limits(high=_UNREAD)
        self._is_secure, self._is_upgrading = True, False

    # -- time, and the end ---------------------------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """End it where the client takes too long; called every few seconds."""
        if (self._is_ending and now - self._active_at > READ_SECONDS) or (
            self._unread_since is not None and now - self._unread_since > READ_SECONDS
        ):
            self.abort()
        elif self._is_ending:
            return
        elif self._message_since is not None and now - self._message_since > MESSAGE_SECONDS and self._takes_more():
            self.abort()
        elif self._tasks:
            self._active_at = now
        elif now - self._active_at > self._server.settings.idle_seconds or (
            self._is_stranger and now - self._begun_at > SIGN_IN_SECONDS
        ):
            self._close()

    def shut_down(self) -> None:
        """End it as the server ends."""
        self._end(Code.UNAVAILABLE, "The server ends.")

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("An operation of %s failed", self._address, exc_info=error)
            self._end(Code.OTHER, "Something went wrong here. It was logged.")
            return
        if self._is_ending:
            return
        self._active_at = self._loop.time()
        self._go_on()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _end(self, code: Code, text: str) -> None:
        """Say why, and end the connection (RFC 4511, section 4.4.1)."""
        self._write(messages.notice_of_disconnection(code, text))
        self._close()

    def _close(self) -> None:
        """End it when all is sent; who doesn't read that loses the rest."""
        self._is_ending = True
        self._active_at = self._loop.time()
        self._abandon_all()
        self._received.clear()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()

    def abort(self) -> None:
        """End it now, whatever is under way."""
        self._is_ending = True
        self._abandon_all()
        if self._transport is not None:
            self._transport.abort()


def _address_of(peer: Any) -> str:
    """An address as it is counted: IPv4 as such, however it is written."""
    try:
        found = ipaddress.ip_address(str(peer[0]).partition("%")[0])
    except (TypeError, IndexError, ValueError):
        return ""
    return str(getattr(found, "ipv4_mapped", None) or found)

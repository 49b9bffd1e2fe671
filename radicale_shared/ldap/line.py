"""One connection to an LDAP server: TCP, TLS (RFC 4513, section 3), requests and answers, with time-outs that hold.

A time-out bounds a whole answer, however slowly its octets trickle; time that the reader of a streamed answer takes for
itself doesn't count. Names are resolved by the system, which has time-outs of its own.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..directory_settings import DirectorySettings
from . import messages
from .messages import Found, NotLdapError, Reference, Result, ResultCode

_READ = 65536


class LineError(Exception):
    """The connection is of no use any more.

    reason: a sentence for administrators
    is_timeout: the server kept silent, which is told from one that hung up
    is_unanswered: it hung up before a single octet of the answer, as servers do with connections that lie idle
    """

    def __init__(self, reason: str, *, is_timeout: bool = False, is_unanswered: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_timeout = is_timeout
        self.is_unanswered = is_unanswered


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server listens; ``is_tls``: TLS from the first octet (ldaps)."""

    url: str
    host: str
    port: int
    is_tls: bool


class Line:
    """An open connection; used by one thread at a time.

    used_at: when it was given back last, on the monotonic clock
    """

    def __init__(self, server: Server, settings: DirectorySettings, sent: Callable[[], None]) -> None:
        self.server = server
        self.used_at = time.monotonic()
        self._settings = settings
        self._sent = sent
        self._received = bytearray()
        self._message_id = 0
        self._left = float(settings.connect_timeout_seconds)
        self._socket: socket.socket = self._connected()

    def secure(self, context: ssl.SSLContext) -> None:
        """Begin TLS, by StartTLS where the server doesn't begin with it; nothing that is worth hiding went before.

        What came in plain text behind the answer to StartTLS is refused: it would be taken for the server's later.
        """
        self._left = float(self._settings.connect_timeout_seconds)
        if not self.server.is_tls:
            for answer in self._exchange(messages.start_tls):
                if isinstance(answer, Result) and answer.code != ResultCode.SUCCESS:
                    raise LineError(f"{self.server.url} refuses StartTLS ({answer.code}: {answer.text})")
            if self._received:
                raise LineError(f"{self.server.url} sent something in plain text after StartTLS")
        name = self._settings.server_name or self.server.host
        try:
            self._socket.settimeout(max(self._left, 0.001))
            self._socket = context.wrap_socket(self._socket, server_hostname=name)
        except ssl.SSLCertVerificationError as error:
            raise LineError(f"the certificate of {self.server.url} is not accepted: {error.verify_message}") from error
        except TimeoutError as error:
            raise LineError(f"{self.server.url} doesn't finish the TLS handshake", is_timeout=True) from error
        except (OSError, ValueError) as error:
            raise LineError(f"TLS with {self.server.url} fails: {error}") from error

    @property
    def tls(self) -> ssl.SSLSocket | None:
        """What tells of the connection's protection; None where it is in plain text."""
        return self._socket if isinstance(self._socket, ssl.SSLSocket) else None

    def exchange(self, write: Callable[[int], bytes]) -> Iterator[Found | Reference | Result]:
        """Send the request that ``write`` makes of a message id; its answers as they come, the Result last.

        Raises LineError.
        """
        self._left = float(self._settings.answer_timeout_seconds)
        return self._exchange(write)

    def result(self, write: Callable[[int], bytes]) -> Result:
        """The Result of a request that is answered by nothing else. Raises LineError."""
        answers = list(self.exchange(write))
        if len(answers) == 1 and isinstance(answers[0], Result):
            return answers[0]
        raise LineError(f"{self.server.url} answers with what wasn't asked for")

    def close(self) -> None:
        """Hang up; more than once does no harm."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _connected(self) -> socket.socket:
        """A TCP connection to the first address of the server that takes one."""
        reason = "has no address"
        try:
            found = socket.getaddrinfo(self.server.host, self.server.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise LineError(f"the address of {self.server.url} can't be found: {error}") from error
        is_timeout = False
        for number, (family, kind, protocol, _, address) in enumerate(found):
            began = time.monotonic()
            share = self._left / (len(found) - number)  # one address that is silent leaves time for the others
            made = socket.socket(family, kind, protocol)
            try:
                made.settimeout(max(share, 0.001))
                made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                made.connect(address)
            except OSError as error:
                made.close()
                reason, is_timeout = f"can't be reached: {error.strerror or error}", isinstance(error, TimeoutError)
            else:
                return made
            finally:
                self._left -= time.monotonic() - began
        raise LineError(f"{self.server.url} {reason}", is_timeout=is_timeout)

    def _exchange(self, write: Callable[[int], bytes]) -> Iterator[Found | Reference | Result]:
        self._message_id += 1
        self._send(write(self._message_id))
        is_first = True
        while True:
            message_id, answer = self._decoded(self._message(is_first=is_first))
            is_first = False
            if message_id == 0:  # RFC 4511, section 4.4.1
                raise LineError(f"{self.server.url} says that it ends the connection", is_unanswered=True)
            if message_id != self._message_id:
                raise LineError(f"{self.server.url} answers what wasn't asked")
            if answer is not None:
                yield answer
            if isinstance(answer, Result):
                return

    def _send(self, request: bytes) -> None:
        self._sent()
        began = time.monotonic()
        try:
            self._socket.settimeout(max(self._left, 0.001))
            self._socket.sendall(request)
        except TimeoutError as error:
            raise LineError(f"{self.server.url} takes no request", is_timeout=True) from error
        except OSError as error:
            raise LineError(f"{self.server.url} hung up: {error}", is_unanswered=True) from error
        self._left -= time.monotonic() - began

    def _message(self, *, is_first: bool) -> bytes:
        """The next message, as octets."""
        while (size := self._length()) is None or len(self._received) < size:
            began = time.monotonic()
            if self._left <= 0:
                raise LineError(f"{self.server.url} doesn't answer", is_timeout=True)
            try:
                self._socket.settimeout(self._left)
                more = self._socket.recv(_READ)
            except TimeoutError as error:
                raise LineError(f"{self.server.url} doesn't answer", is_timeout=True) from error
            except OSError as error:
                is_unanswered = is_first and not self._received
                raise LineError(f"{self.server.url} hung up: {error}", is_unanswered=is_unanswered) from error
            if not more:
                is_unanswered = is_first and not self._received
                raise LineError(f"{self.server.url} hung up before its answer was whole", is_unanswered=is_unanswered)
            self._received += more
            self._left -= time.monotonic() - began
        message = bytes(self._received[:size])
        # An answer of many small messages comes in blocks of _READ: what this moves is bounded.
        del self._received[:size]
        return message

    def _length(self) -> int | None:
        try:
            return messages.length(self._received)
        except NotLdapError as error:
            raise LineError(f"{self.server.url}: {error}") from error

    def _decoded(self, message: bytes) -> tuple[int, Found | Reference | Result | None]:
        try:
            return messages.decoded(message)
        except NotLdapError as error:
            raise LineError(f"{self.server.url}: {error}") from error

"""A minimal keep-alive HTTP/1.1 client on a raw socket: the client must cost little.

Answers are kept as bytes; what a workload has to know about them is picked out by regular expressions, outside the
timed part. It is not a general client: plain HTTP, Basic authentication, one request at a time.
"""

import base64
import html
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

_RESPONSE = re.compile(rb"<(?:[\w.-]+:)?response[\s>]")
_TOKEN = re.compile(rb"<(?:[\w.-]+:)?sync-token[^>]*>\s*([^<\s]+)\s*</")
_HREF_ETAG = re.compile(rb"<(?:[\w.-]+:)?href[^>]*>\s*([^<]+?)\s*</|<(?:[\w.-]+:)?getetag[^>]*>\s*([^<]+?)\s*</")
_WITH_BODY = frozenset({"PUT", "REPORT", "PROPFIND", "MKCOL"})
_WITHOUT_ANSWER_BODY = frozenset({204, 304})


def name_of(href: str) -> str:
    """Return the last segment of ``href``, percent-decoded, so that two spellings of one name compare equal.

    href: a URL or its path, as a multistatus names it once XML entities are resolved
    """
    return unquote(href.rstrip("/").rpartition("/")[2])


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, read to its end. Names of headers are in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    def count(self) -> int:
        """Return how many DAV:response elements a multistatus holds."""
        return len(_RESPONSE.findall(self.body))

    def token(self) -> str | None:
        """Return the DAV:sync-token. In a multistatus it follows the members, so the last one counts."""
        found = _TOKEN.findall(self.body)
        return html.unescape(found[-1].decode()) if found else None

    def etags(self) -> dict[str, str]:
        """Return {href: etag} of the members that have an ETag.

        XML entities are resolved, percent-encoding is kept: an href can be sent back as the server wrote it. Compare
        hrefs by ``name_of``.
        """
        etags: dict[str, str] = {}
        href = None
        for href_found, etag_found in _HREF_ETAG.findall(self.body):
            if href_found:
                href = html.unescape(href_found.decode())
            elif href is not None:
                etags[href] = html.unescape(etag_found.decode())
        return etags


@dataclass(frozen=True, slots=True)
class Target:
    """The address book to drive, and how.

    timeout: seconds a connection may stay silent
    quickack: acknowledge every segment at once, which hides a server's Nagle stalls of 40 ms
    """

    url: str
    user: str | None = None
    password: str | None = None
    timeout: float = 300
    extra_headers: tuple[str, ...] = ()
    quickack: bool = False

    @property
    def path(self) -> str:
        """The collection's path, with a slash at its end."""
        return urlsplit(self.url).path.rstrip("/") + "/"


class Client:
    """One connection to a server, opened when it is needed."""

    def __init__(self, target: Target) -> None:
        parts = urlsplit(target.url)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError(f"not a plain http URL: {target.url!r} (TLS would measure the TLS library)")
        self.address = (parts.hostname, parts.port or 80)
        self.timeout = target.timeout
        self.quickack = target.quickack
        self.connects = 0
        self._head_lines = _head_lines(parts.netloc, target.user, target.password, target.extra_headers)
        self._socket: socket.socket | None = None
        self._buffer = b""

    def close(self) -> None:
        """Drop the connection; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._buffer = b""

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> Response:
        """Send one request and read its answer; a kept connection the server had closed is opened again once.

        headers: ``If_Match="x"`` is sent as ``If-Match: x``

        Raises OSError or EOFError if the connection breaks, ValueError if the answer is not HTTP.
        """
        lines = [f"{method} {path} HTTP/1.1\r\n", self._head_lines]
        lines += [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
        if body or method in _WITH_BODY:
            lines.append(f"Content-Length: {len(body)}\r\n")
        request = ("".join(lines) + "\r\n").encode() + body
        fresh = self._socket is None
        try:
            return self._exchange(request, method)
        except (ConnectionError, EOFError):
            self.close()
            if fresh:
                raise
        return self._exchange(request, method)

    def _exchange(self, request: bytes, method: str) -> Response:
        connection = self._connect()
        connection.sendall(request)
        status = 0
        while status < 200:  # 1xx announce the answer (RFC 9110, section 15.2)
            status, version, headers = self._read_head(connection)
        keep = _keeps_open(version, headers)
        if method == "HEAD" or status in _WITHOUT_ANSWER_BODY:
            body = b""
        elif headers.get(b"transfer-encoding", b"").lower() == b"chunked":
            body = self._read_chunks(connection)
        elif b"content-length" in headers:
            body = self._read_exactly(connection, int(headers[b"content-length"]))
        else:
            body, keep = self._read_to_end(connection), False
        if not keep:
            self.close()
        return Response(status, headers, body)

    def _connect(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(self.address, self.timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connects += 1
        return self._socket

    def _receive(self, connection: socket.socket) -> bytes:
        if self.quickack:  # the kernel clears it again, so set it before every read
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        received = connection.recv(262144)
        if not received:
            raise EOFError("server closed the connection")
        return received

    def _read_head(self, connection: socket.socket) -> tuple[int, bytes, dict[bytes, bytes]]:
        buffer = self._buffer
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            buffer += self._receive(connection)
        first, *lines = buffer[:end].split(b"\r\n")
        self._buffer = buffer[end + 4 :]
        version, status = first.split(b" ", 2)[:2]
        headers = {}
        for line in lines:
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip()
        return int(status), version, headers

    def _read_exactly(self, connection: socket.socket, size: int) -> bytes:
        parts, have = [self._buffer], len(self._buffer)
        while have < size:
            received = self._receive(connection)
            parts.append(received)
            have += len(received)
        whole = b"".join(parts)
        self._buffer = whole[size:]
        return whole[:size]

    def _read_line(self, connection: socket.socket) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._buffer += self._receive(connection)
        line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        return line

    def _read_chunks(self, connection: socket.socket) -> bytes:
        parts = []
        while size := int(self._read_line(connection).split(b";")[0], 16):
            parts.append(self._read_exactly(connection, size))
            self._read_exactly(connection, 2)
        while self._read_line(connection):  # trailers
            pass
        return b"".join(parts)

    def _read_to_end(self, connection: socket.socket) -> bytes:
        parts = [self._buffer]
        while received := connection.recv(262144):
            parts.append(received)
        self._buffer = b""
        return b"".join(parts)


def _head_lines(host: str, user: str | None, password: str | None, extra: Iterable[str]) -> str:
    lines = [f"Host: {host}", "User-Agent: carddav-bench"]
    if user is not None:
        pair = base64.b64encode(f"{user}:{password or ''}".encode()).decode()
        lines.append(f"Authorization: Basic {pair}")
    return "".join(f"{line}\r\n" for line in [*lines, *extra])


def _keeps_open(version: bytes, headers: dict[bytes, bytes]) -> bool:
    connection = headers.get(b"connection", b"").lower()
    if b"close" in connection:
        return False
    return version != b"HTTP/1.0" or b"keep-alive" in connection

"""A TCP relay before a server: it counts what passes, and fails in the ways that networks and servers do."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path

from radicale_shared.ldap import messages


class Relay:
    """Listens on a port of its own and passes on to ``target``: a port of this machine, or a socket's file.

    requests: LDAP messages from clients, where they aren't encrypted; opened: connections that were made
    delay: seconds before each part of what the server says is passed on

    What happens is set by the methods, for connections that are open and for new ones alike.
    """

    def __init__(self, target: int | Path) -> None:
        self.target = target
        self.requests = 0
        self.opened = 0
        self.delay = 0.0
        self._is_hanging = False
        self._is_trickling = False
        self._answer_left: int | None = None
        self._answer: bytes | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.accept()

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://127.0.0.1:{self.port}"

    # -- what happens

    def accept(self) -> None:
        """Take connections (again), and pass on everything."""
        self._is_hanging, self._is_trickling, self._answer_left, self._answer = False, False, None, None
        if self._listener is None:
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", self.port))
            listener.listen(64)
            self._listener = listener
            threading.Thread(target=self._accepting, args=(listener,), daemon=True).start()

    def refuse(self) -> None:
        """Take no connections; those that are open end."""
        if self._listener is not None:
            # Closing alone doesn't end an accept() that waits in another thread.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.drop()

    def drop(self) -> None:
        """End the connections that are open."""
        with self._lock:
            ended, self._open = self._open, set()
        for one in ended:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def hang(self) -> None:
        """Take connections and never answer."""
        self._is_hanging = True

    def trickle(self) -> None:
        """Pass on what the server says octet by octet, with a pause before each."""
        self._is_trickling = True

    def cut(self, octets: int) -> None:
        """Pass on this much of what the server says from now on, then end the connection."""
        self._answer_left = octets

    def say(self, answer: bytes) -> None:
        """Answer every request with these octets."""
        self._answer = answer

    def stop(self) -> None:
        self.refuse()

    # -- passing on

    def _accepting(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.opened += 1
            with self._lock:
                self._open.add(client)
            try:
                server = self._connected()
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open.add(server)
            threading.Thread(target=self._pump, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, False), daemon=True).start()

    def _connected(self) -> socket.socket:
        if isinstance(self.target, int):
            return socket.create_connection(("127.0.0.1", self.target))
        made = socket.socket(socket.AF_UNIX)
        made.connect(str(self.target))
        return made

    def _pump(self, source: socket.socket, sink: socket.socket, is_request: bool) -> None:
        waiting = bytearray()
        with contextlib.suppress(OSError, messages.NotLdapError):
            while part := source.recv(65536):
                if is_request:
                    self._count(waiting, part)
                    if self._answer is not None:
                        source.sendall(self._answer)
                        continue
                if self._is_hanging:
                    continue
                if self._is_trickling and not is_request:
                    for octet in part:
                        time.sleep(0.2)
                        sink.sendall(bytes([octet]))
                    continue
                if not is_request:
                    time.sleep(self.delay)
                if not is_request and self._answer_left is not None:
                    part = part[: self._answer_left]
                    self._answer_left -= len(part)
                    sink.sendall(part)
                    if self._answer_left <= 0:
                        break
                    continue
                sink.sendall(part)
        if not self._is_hanging:
            for one in (source, sink):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _count(self, waiting: bytearray, part: bytes) -> None:
        waiting += part
        with contextlib.suppress(messages.NotLdapError):  # TLS
            while (size := messages.length(waiting)) is not None and len(waiting) >= size:
                del waiting[:size]
                self.requests += 1
            return
        waiting.clear()

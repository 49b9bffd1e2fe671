"""The LDAP server of one process: its sockets, and an event loop in a thread of its own.

Several processes listen on the same port, and the system shares out who comes (SO_REUSEPORT). The loop never waits for
anything but clients; sign-ins and searches are done by few threads each, so that neither holds up the other.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
import threading
from asyncio import sslproto
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from ..database import Database
from ..errors import ConfigurationError
from ..proxies import is_trusted
from ..settings_file import LdapServerSettings
from .connection import Connection
from .limits import Doors
from .operations import Service
from .stream import Stream
from .threads import Threads

_SCRATCH = 16384
_TLS_BUFFER = 32768
_WAITING_CONNECTIONS = 512
# A sign-in may wait for a directory for long; of searches few run at a time anyhow.
_SIGN_INS, _SEARCHERS = 16, 8
_MOST_WAITING = 256
_LOOKS_EVERY = 2.0  # seconds
_TOLD_EVERY = 60.0
_GONE_WITHIN = 50  # hundredths of a second

_log = logging.getLogger(__name__)


class Server:
    """``start`` listens and serves; ``stop`` ends it.

    sign_in: as in ``operations.Service``
    """

    def __init__(self, db: Database, settings: LdapServerSettings, sign_in: Callable[[dict[str, Any]], str]) -> None:
        self.settings = settings
        self.service = Service(db, settings, sign_in)
        self.context = tls_context(settings)
        self.scratch = memoryview(bytearray(_SCRATCH))
        self.sign_ins = Threads("ldap-sign-in", _SIGN_INS, _MOST_WAITING)
        self.searchers = Threads("ldap-search", _SEARCHERS, _MOST_WAITING)
        self.loop = asyncio.SelectorEventLoop()
        self._doors = Doors(settings.connections)
        self._open_networks = tuple(ipaddress.ip_network(one) for one in settings.plaintext_networks)
        self._connections: set[Stream] = set()
        self._told_at: float | None = None  # that there are too many
        self._thread: threading.Thread | None = None
        self._listening: list[asyncio.Server] = []

    def start(self) -> None:
        """Listen, and serve in a thread. Raises ConfigurationError where it can't listen."""
        ports = ((self.settings.port, False), (self.settings.tls_port, True))
        bound: list[tuple[socket.socket, bool]] = []
        try:
            for port, tls in ports:
                if port:
                    bound.append((listening(self.settings.host, port), tls))
        except ConfigurationError:
            for opened, _ in bound:
                opened.close()
            raise
        self._thread = threading.Thread(target=self._serve, args=(bound,), name="ldap", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """End all connections, each with a word, and the thread."""
        if self._thread is None:
            return
        with suppress(RuntimeError):  # it has ended by itself
            self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout)

    @property
    def is_alive(self) -> bool:
        """Whether it serves."""
        return self._thread is not None and self._thread.is_alive()

    # -- what connections ask ------------------------------------------------------------------------------------------

    def admit(self, connection: Stream, address: str) -> bool:
        """Whether one more client may connect; only one who may will have to leave."""
        if not self._doors.enter(address):
            if self._told_at is None or self.loop.time() - self._told_at > _TOLD_EVERY:
                self._told_at = self.loop.time()
                _log.warning("LDAP: %s has too many connections, or all have; others aren't told for a minute", address)
            return False
        self._connections.add(connection)
        return True

    def signed_in(self, address: str, *, is_stranger: bool) -> None:
        """Somebody has signed in, or begins to do so anew."""
        if is_stranger:
            self._doors.stranger(address)
        else:
            self._doors.known(address)

    def left(self, connection: Stream, address: str, *, is_stranger: bool) -> None:
        """A client is gone."""
        self._connections.discard(connection)
        self._doors.leave(address, is_stranger=is_stranger)

    def may_bind_openly(self, address: str) -> bool:
        """Whether a password may come from there without TLS."""
        try:
            here = ipaddress.ip_address(address).is_loopback
        except ValueError:
            return False
        return here or is_trusted(address, self._open_networks)

    # -- its thread ----------------------------------------------------------------------------------------------------

    def _serve(self, bound: list[tuple[socket.socket, bool]]) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            for opened, tls in bound:
                made = self.loop.create_server(
                    partial(Connection, self, tls=tls), sock=opened, backlog=_WAITING_CONNECTIONS
                )
                self._listening.append(self.loop.run_until_complete(made))
            self.loop.call_later(_LOOKS_EVERY, self._look)
            self.loop.run_forever()
        except Exception:  # noqa: BLE001  # the process has other things to serve
            _log.exception("The LDAP server has ended")
        finally:
            self._end()

    def _look(self) -> None:
        self.loop.call_later(_LOOKS_EVERY, self._look)  # first: a mistake with one shall not leave all others alone
        now = self.loop.time()
        for connection in tuple(self._connections):
            connection.look(now)

    def _end(self) -> None:
        for one in self._listening:
            one.close()
        for connection in tuple(self._connections):
            connection.shut_down()
        self.sign_ins.stop()
        self.searchers.stop()
        self.loop.run_until_complete(self._all_gone())
        self.loop.close()

    async def _all_gone(self) -> None:
        """What was said last has gone out, if it goes out soon, and nothing goes on."""
        for _ in range(_GONE_WITHIN):
            if not self._connections:
                break
            await asyncio.sleep(0.01)
        for connection in tuple(self._connections):
            connection.abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def listening(host: str, port: int) -> socket.socket:
    """A socket on which other processes of this server may listen too. Raises ConfigurationError."""
    try:
        found = sorted(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), key=lambda one: one[0])
        family, _, _, _, address = found[0]
        both = family == socket.AF_INET6 and address[0] == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(
            address[:2], family=family, backlog=_WAITING_CONNECTIONS, reuse_port=True, dualstack_ipv6=both
        )
    except OSError as error:
        raise ConfigurationError(
            f"Can't listen for LDAP on {host} port {port}: {error.strerror}. Choose another in [ldap_server]."
        ) from error


def require_free(settings: LdapServerSettings) -> None:
    """Raise ConfigurationError where a port is another program's: a worker that finds out later tells nobody."""
    for port in filter(None, (settings.port, settings.tls_port)):
        try:
            found = sorted(socket.getaddrinfo(settings.host, port, type=socket.SOCK_STREAM), key=lambda one: one[0])
            family, _, _, _, address = found[0]
            socket.create_server(address[:2], family=family, reuse_port=False).close()
        except OSError as error:
            raise ConfigurationError(
                f"Can't listen for LDAP on {settings.host} port {port}: {error.strerror}. "
                "Choose another in [ldap_server]."
            ) from error


def tls_context(settings: LdapServerSettings) -> ssl.SSLContext | None:
    """TLS by the configured certificate; None without. Raises ConfigurationError."""
    if not settings.certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate, settings.key or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"[ldap_server] certificate and key can't be used: {error}") from error
    # What asyncio receives into, one for each connection: it takes 256 kB, for requests of some hundred bytes.
    sslproto.SSLProtocol.max_size = _TLS_BUFFER
    return context

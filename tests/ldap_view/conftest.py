"""The LDAP view over real sockets: the server of ``serve``, in a thread of the tests' process, and clients of it."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import ldap3
import pytest
from ldap3.operation.search import search_operation
from ldap3.protocol.rfc4511 import LDAPMessage, MessageID, ProtocolOp
from ldap3.utils.asn1 import decode_message_fast, encode

from radicale_shared import books, devices, people, settings
from radicale_shared.database import Database
from radicale_shared.dav.application import Application
from radicale_shared.ldap_view import ber
from radicale_shared.ldap_view.server import Server
from radicale_shared.settings_file import LdapServerSettings
from tests.conftest import BY, Organisation, card, schemas_looked_at_once
from tests.dav.conftest import write_configuration
from tests.ldap import certificates
from tests.ldap.certificates import Authority, Certificate

SUFFIX = "dc=contacts"
SECONDS = 20
SUCCESS, PROTOCOL_ERROR, SIZE_LIMIT, INVALID_CREDENTIALS, BUSY = 0, 2, 4, 49, 51


def free_port() -> int:
    """A port that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def message(number: int, operation: object, kind: str = "", controls: bytes = b"") -> bytes:
    """A request in octets, written by ldap3. kind: the operation's name in RFC 4511, e.g. ``searchRequest``"""
    made = LDAPMessage()
    made["messageID"] = MessageID(number)
    made["protocolOp"] = ProtocolOp().setComponentByName(kind, operation)
    written: bytes = encode(made)
    if not controls:
        return written
    _, begin, _ = ber.header(written) or (0, 0, 0)
    return ber.written(ber.SEQUENCE, written[begin:], ber.written(0xA0, controls))


def bind(number: int, name: str, password: str, version: int = 3) -> bytes:
    """A simple bind; ldap3 writes none without a name."""
    told = ber.written_number(version), ber.written_text(name), ber.written_text(password, 0x80)
    return ber.written(ber.SEQUENCE, ber.written_number(number), ber.written(0x60, *told))


def search(
    number: int,
    wanted: str = "(objectClass=*)",
    base: str = SUFFIX,
    scope: str = "SUBTREE",
    attributes: tuple[str, ...] = ("*",),
    limit: int = 0,
    controls: bytes = b"",
) -> bytes:
    """A search."""
    asked = search_operation(base, wanted, scope, "NEVER", list(attributes), limit, 0, False, None, None)
    return message(number, asked, "searchRequest", controls)


@dataclass
class Raw:
    """A client that sends octets, and reads answers one by one."""

    socket: socket.socket
    _received: bytearray = field(default_factory=bytearray)

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, _kind: type | None, _error: BaseException | None, _traceback: TracebackType | None) -> None:
        self.socket.close()

    def send(self, *data: bytes) -> Raw:
        self.socket.sendall(b"".join(data))
        return self

    def octets(self) -> bytes:
        """The next message; none at the end of the connection."""
        while True:
            head = ber.header(self._received)
            if head is not None and len(self._received) >= head[1] + head[2]:
                length = head[1] + head[2]
                data = bytes(self._received[:length])
                del self._received[:length]
                return data
            try:
                more = self.socket.recv(65536)
            except ConnectionError:
                return b""
            if not more:
                return b""
            self._received += more

    def answer(self) -> tuple[int, int, int, str]:
        """(message number, tag of the answer, result code, text) of the next message; of an entry the code is -1."""
        data = self.octets()
        assert data, "the connection has ended"
        told = decode_message_fast(data)
        tag = 0x60 + told["protocolOp"]
        parts = ber.children(ber.children(ber.only(data).content)[1].content)
        if parts[0].tag != ber.ENUMERATED:
            return told["messageID"], tag, -1, parts[0].content.decode()
        return told["messageID"], tag, ber.number(parts[0], ber.ENUMERATED), parts[2].content.decode()

    def result(self) -> tuple[int, int]:
        """(result code, entries before it) of the next operation."""
        count = 0
        while (found := self.answer())[2] < 0:
            count += 1
        return found[2], count

    def is_closed(self) -> bool:
        """Whether the server ends the connection, whatever it says before."""
        while self.octets():
            pass
        return True

    def sign_in(self, login: str = "ada", password: str = "") -> Raw:
        assert self.send(bind(1, login, password or login * 2)).answer()[2] == SUCCESS
        return self


@dataclass
class Directory:
    """A running server."""

    server: Server
    settings: LdapServerSettings

    @property
    def port(self) -> int:
        return self.settings.port

    @property
    def tls_port(self) -> int:
        return self.settings.tls_port

    def raw(self, port: int = 0) -> Raw:
        return Raw(socket.create_connection(("127.0.0.1", port or self.port), timeout=SECONDS))

    def connection(self, login: str = "ada", password: str = "", **more: Any) -> ldap3.Connection:
        """A client by ldap3, signed in."""
        server = ldap3.Server("127.0.0.1", self.port, get_info=more.pop("get_info", ldap3.NONE))
        return ldap3.Connection(
            server,
            login,
            password or login * 2,
            auto_bind=True,
            receive_timeout=SECONDS,
            raise_exceptions=False,
            **more,
        )

    def connected(self) -> int:
        """How many clients there are."""
        return len(self.server._connections)


@pytest.fixture
def serve(db: Database, database_url: str, tmp_path: Path) -> Iterator[Callable[..., Directory]]:
    """Starts a server, with what of its settings is given, and of [auth] by ``auth``."""
    started: list[Directory] = []

    def start(auth: dict[str, str] | None = None, **given: Any) -> Directory:
        configuration = settings.load_configuration(str(write_configuration(tmp_path, database_url)))
        configuration.update({"auth": auth or {}}, "test")
        with schemas_looked_at_once():
            sign_in = Application(configuration).sign_in
        chosen = replace(LdapServerSettings(base=SUFFIX, port=free_port()), **given)
        directory = Directory(Server(db, chosen, sign_in), chosen)
        directory.server.start()
        started.append(directory)
        return directory

    yield start
    for one in started:
        one.server.stop(timeout=10)


@pytest.fixture
def view(serve: Callable[..., Directory], organisation: Organisation) -> Directory:
    """A server for the organisation of the tests, with three people in sales/leads, which Ada and Ben see."""
    for uid, family, given, tel in PEOPLE:
        data = card(uid, f"{given} {family}", f"TEL;TYPE=WORK:{tel}").replace(
            f"N:{given} {family};;;;".encode(), f"N:{family};{given};;;".encode()
        )
        organisation.put("ada", "sales~leads", f"{uid}.vcf", data)
    return serve()


# Uid, family name, given name, number.
PEOPLE = (
    ("frieda", "Schmidt", "Frieda", "+49 30 23125 001"),
    ("gregor", "Schmidt", "Gregor", "+49 30 23125 002"),
    ("hanna", "Meyer", "Hanna", "+49 30 23125 003"),
)


def many(organisation: Organisation, count: int) -> None:
    """Put so many more people into Ada's own book."""
    for number in range(count):
        organisation.put("ada", "contacts", f"{number}.vcf", card(f"p{number}", f"Person {number:04}"))


@pytest.fixture
def device_of(db: Database, organisation: Organisation) -> Callable[..., str]:
    """Makes a device of somebody, and gives its password."""

    def make(login: str = "ada", label: str = "phone", only: list[str] | None = None, **more: Any) -> str:
        with db.write() as session:
            found = [books.find(session, one) for one in only] if only else None
            person = people.user(session, login)
            return devices.add(session, person, label, secret=db.secret, by=BY, only=found, **more)[1]

    return make


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The private CA of the tests' servers."""
    if reason := certificates.missing():
        pytest.skip(reason)
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def certificate(authority: Authority) -> Certificate:
    return authority.issue("directory", "DNS:localhost", "IP:127.0.0.1")


def resident() -> int:
    """Octets of this process, in which the server runs, that are in memory."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize()


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; far too long at most."""
    for _ in range(SECONDS * 100):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it never comes about")

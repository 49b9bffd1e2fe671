"""TLS from the beginning and by StartTLS, with the certificate of a private CA."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess

import ldap3
import pytest

from radicale_shared.errors import ConfigurationError
from radicale_shared.ldap_view import ber, server, stream
from radicale_shared.ldap_view.messages import START_TLS
from radicale_shared.settings_file import LdapServerSettings
from tests.ldap_view.conftest import PEOPLE, SUCCESS, SUFFIX, Raw, bind, free_port, many, resident, search, until

# ldap3 compares names by a function that Python gives up; TLS 1.1 is tried on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

OPERATIONS_ERROR, PROTOCOL_ERROR = 1, 2
EVERYBODY = "(objectClass=person)"
UPGRADE = ber.written(ber.SEQUENCE, ber.written_number(1), ber.written(0x77, ber.written_text(START_TLS, 0x80)))


@pytest.fixture
def database_url(new_database_url):
    """Which database it is makes no difference here."""
    return new_database_url("sqlite")


@pytest.fixture
def secured(serve, view, certificate):
    """A server with both ports and a certificate."""
    return serve(tls_port=free_port(), certificate=str(certificate.certificate), key=str(certificate.key))


@pytest.fixture
def client_context(authority):
    return ssl.create_default_context(cafile=str(authority.file))


def by_ldap3(secured, authority, *, port: int, tls_from_the_beginning: bool) -> ldap3.Connection:
    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(authority.file), version=ssl.PROTOCOL_TLS_CLIENT)
    found = ldap3.Server("localhost", port, use_ssl=tls_from_the_beginning, tls=tls, get_info=ldap3.ALL)
    bound = ldap3.AUTO_BIND_NO_TLS if tls_from_the_beginning else ldap3.AUTO_BIND_TLS_BEFORE_BIND
    return ldap3.Connection(found, "ada", "adaada", auto_bind=bound, receive_timeout=20)


def test_people_are_found_with_tls_from_the_beginning(secured, authority):
    client = by_ldap3(secured, authority, port=secured.tls_port, tls_from_the_beginning=True)
    client.search(SUFFIX, EVERYBODY, attributes=["cn"])
    assert len(client.entries) == len(PEOPLE)


def test_people_are_found_behind_start_tls_which_is_announced(secured, authority):
    client = by_ldap3(secured, authority, port=secured.port, tls_from_the_beginning=False)
    client.search(SUFFIX, EVERYBODY, attributes=["cn"])
    assert len(client.entries) == len(PEOPLE)
    assert START_TLS in [one[0] for one in client.server.info.supported_extensions]


def test_a_password_from_anywhere_is_taken_with_tls(secured, client_context, monkeypatch):
    monkeypatch.setattr(server.Server, "may_bind_openly", lambda *_: False)
    with secured.raw() as client:
        assert client.send(bind(1, "ada", "adaada")).answer()[2] == 13
        assert client.send(UPGRADE).answer() == (1, 0x78, SUCCESS, "")
        with client_context.wrap_socket(client.socket, server_hostname="localhost") as inside:
            assert Raw(inside).sign_in().send(search(2, EVERYBODY)).result() == (SUCCESS, len(PEOPLE))


def test_what_was_slipped_in_behind_start_tls_ends_the_connection(secured):
    with secured.raw() as client:
        client.send(UPGRADE + bind(2, "ada", "adaada"))
        assert client.answer()[:3] == (0, 0x78, PROTOCOL_ERROR)
        assert client.is_closed()


def test_start_tls_is_refused_with_tls_and_without_a_certificate(secured, view, client_context):
    raw = socket.create_connection(("localhost", secured.tls_port), timeout=20)
    with client_context.wrap_socket(raw, server_hostname="localhost") as inside:
        assert Raw(inside).send(UPGRADE).answer()[2] == OPERATIONS_ERROR
    with view.raw() as client:
        assert client.send(UPGRADE).answer()[2] == PROTOCOL_ERROR


def test_start_tls_is_refused_while_something_is_under_way(secured):
    with secured.raw().sign_in() as client:
        client.send(search(2, EVERYBODY), UPGRADE)
        answers = [client.answer() for _ in range(len(PEOPLE) + 2)]
    assert (1, OPERATIONS_ERROR) in [(number, code) for number, _, code, _ in answers]


def test_who_breaks_off_a_handshake_leaves_nothing_behind(secured):
    for sent in (b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n", UPGRADE):
        with secured.raw(secured.tls_port) as client:
            client.send(sent)
        until(lambda: secured.connected() == 0)
    with secured.raw() as client:
        assert client.send(UPGRADE).answer()[2] == SUCCESS
    until(lambda: secured.connected() == 0)
    assert not secured.server._doors._all


def test_handshakes_that_nobody_ends_count_as_connections_and_are_cut_off(secured, monkeypatch):
    monkeypatch.setattr(stream, "_HANDSHAKE_SECONDS", 0.5)
    with secured.raw(secured.tls_port) as client:
        until(lambda: secured.connected() == 1)
        assert client.is_closed()
    until(lambda: secured.connected() == 0)


def test_an_answer_of_many_pieces_comes_whole_over_tls(secured, client_context, organisation):
    many(organisation, 150)
    raw = socket.create_connection(("localhost", secured.tls_port), timeout=20)
    with client_context.wrap_socket(raw, server_hostname="localhost") as inside:
        client = Raw(inside).sign_in()
        for number in range(2, 6):
            assert client.send(search(number, EVERYBODY)).result() == (SUCCESS, 150 + len(PEOPLE))


def test_old_versions_of_tls_are_not_spoken(secured, authority):
    old = ssl.create_default_context(cafile=str(authority.file))
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        pytest.raises((ssl.SSLError, ConnectionError)),
        socket.create_connection(("localhost", secured.tls_port), timeout=20) as raw,
    ):
        old.wrap_socket(raw, server_hostname="localhost")


def test_a_certificate_that_can_t_be_used_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match="certificate"):
        server.tls_context(LdapServerSettings(certificate=str(tmp_path / "none.pem")))


def test_a_port_of_another_program_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for look in (server.require_free, lambda told: server.listening(told.host, told.port)):
            with pytest.raises(ConfigurationError, match=str(port)):
                look(LdapServerSettings(port=port))


@pytest.mark.parametrize("start_tls", [True, False])
def test_ldapsearch_finds_people_with_tls(secured, authority, start_tls):
    program = shutil.which("ldapsearch")
    if program is None:
        pytest.skip("ldapsearch is not installed (Debian: ldap-utils)")
    url = f"ldap://127.0.0.1:{secured.port}" if start_tls else f"ldaps://127.0.0.1:{secured.tls_port}"
    upgrade = ["-ZZ"] if start_tls else []
    done = subprocess.run(
        [program, "-x", "-LLL", *upgrade, "-H", url, "-D", "ada", "-w", "adaada", "-b", SUFFIX, "(sn=meyer)", "cn"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"LDAPTLS_CACERT": str(authority.file), "LDAPTLS_REQCERT": "demand"},
    )
    assert done.returncode == 0, done.stderr
    assert "cn: Hanna Meyer" in done.stdout


def test_many_connections_with_tls_take_little_memory(secured, client_context):
    opened = []

    def more(count: int) -> None:
        for _ in range(count):
            raw = socket.create_connection(("localhost", secured.tls_port), timeout=20)
            opened.append(Raw(client_context.wrap_socket(raw, server_hostname="localhost")).sign_in())

    more(5)
    before = resident()
    more(50)
    taken = resident() - before
    for client in opened:
        client.socket.close()
    assert taken < 50 * 200_000  # the clients' part is in it too

"""Phones at a real ``radicale-shared serve``, two processes, as old firmware speaks to it."""

import socket

import pytest

from radicale_shared import people, phone_profiles
from radicale_shared.phone_profiles import Choices
from tests.conftest import BY, card
from tests.dav.conftest import write_configuration
from tests.proofs.conftest import RunningServer, free_port


@pytest.fixture
def server(database_url, organisation, tmp_path):
    running = RunningServer(write_configuration(tmp_path, database_url), free_port(), 2, tmp_path / "server.log")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def password(organisation, db):
    """The password of a Poly of Ada's, who knows Eva."""
    organisation.put("ada", "contacts", "x.vcf", card("x", "Eva", "TEL:+49 30 23125 11"))
    secret = db.secret
    with db.write() as session:
        ada = people.user(session, "ada")
        _, made = phone_profiles.add(session, ada, "poly", Choices(make="poly"), secret=secret, by=BY)
    return made


def sent(server, *requests):
    """All that is answered to some requests on one connection, byte for byte."""
    answer = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"".join(requests))
        while piece := connection.recv(65536):
            answer += piece
    return answer


def test_a_phone_of_http_1_0_is_answered_by_what_it_understands(server, password):
    path = f"/p/{password}/poly/0004f2abcdef-directory.xml"
    whole = sent(server, f"GET {path} HTTP/1.0\r\n\r\n".encode())
    head = sent(server, f"HEAD {path} HTTP/1.0\r\nUser-Agent: FileTransport Poly/1\r\n\r\n".encode())

    assert whole.startswith(b"HTTP/1.0 200 ")
    assert b"<ct>+49302312511</ct>" in whole
    assert b"transfer-encoding" not in whole.lower()
    assert head.startswith(b"HTTP/1.0 200 ")
    assert head.endswith(b"\r\n\r\n")


def test_a_directory_that_is_sent_back_leaves_the_connection_as_it_was(server, password):
    path = f"/p/{password}/poly/0004f2abcdef-directory.xml"
    body = b"<directory>" + b"x" * 200_000
    answer = sent(
        server,
        f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body,
        f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode(),
    )

    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert b"<ct>+49302312511</ct>" in answer


def test_a_revoked_phone_is_out_in_every_process(server, password, db):
    request = f"GET /p/{password}/lookup?number=03023125 HTTP/1.0\r\n\r\n".encode()
    assert all(sent(server, request).startswith(b"HTTP/1.0 200 ") for _ in range(8))
    with db.write() as session:
        phone_profiles.revoke(session, people.user(session, "ada"), "poly", by=BY)

    assert all(sent(server, request).startswith(b"HTTP/1.0 404 ") for _ in range(8))
    assert password not in server.log.read_text()

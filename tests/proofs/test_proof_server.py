"""What only the real server shows: sockets, streams, several processes."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
import requests
from sqlalchemy import select

from radicale_shared import caretaker, database, leases, people, settings
from radicale_shared.database import Database
from radicale_shared.models import Lease

ADA = ("ada", "adaada")
BEN = ("ben", "benben")
BASIC = "Basic " + b64encode(b"ada:adaada").decode()


def _card(uid: str, *lines: str) -> bytes:
    return "\r\n".join(["BEGIN:VCARD", "VERSION:3.0", f"UID:{uid}", f"FN:{uid}", *lines, "END:VCARD", ""]).encode()


def _speak(port: int, sent: bytes, *, half_close: bool = False) -> bytes:
    """What the server answers to raw bytes until it closes or is silent for 3 seconds."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(sent)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        connection.settimeout(3)
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except TimeoutError:
            pass
        return answer


@pytest.fixture
def server(organisation: object, running: Callable[..., Any]) -> Any:
    return running(workers=2)


def test_a_card_of_20_mb_is_refused_and_the_server_goes_on(server: Any) -> None:
    url = f"{server.url}/ada/contacts/big.vcf"
    answer = requests.put(url, _card("big", "NOTE:" + "x" * 20_000_000), auth=ADA, timeout=60)
    assert answer.status_code == 403
    assert "max-resource-size" in answer.text
    assert requests.get(url, auth=ADA, timeout=10).status_code == 404
    assert requests.put(url, _card("big"), auth=ADA, timeout=10).status_code == 201


def test_a_half_sent_card_changes_nothing(server: Any) -> None:
    head = (
        "PUT /ada/contacts/half.vcf HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: {BASIC}\r\nContent-Type: text/vcard\r\nContent-Length: 1000\r\n\r\n"
    )
    answer = _speak(server.port, head.encode() + _card("half"), half_close=True)
    assert b" 201 " not in answer
    assert requests.get(f"{server.url}/ada/contacts/half.vcf", auth=ADA, timeout=10).status_code == 404


def test_a_chunked_card_is_stored_and_a_chunked_flood_is_refused(server: Any) -> None:
    url = f"{server.url}/ada/contacts/chunked.vcf"
    data = _card("chunked")
    assert requests.put(url, iter([data[:10], data[10:]]), auth=ADA, timeout=10).status_code == 201
    assert requests.get(url, auth=ADA, timeout=10).content == data
    flood = requests.put(url, (b"x" * 65536 for _ in range(400)), auth=ADA, timeout=60)
    assert flood.status_code == 403
    assert requests.get(url, auth=ADA, timeout=10).content == data


def test_expect_100_continue_is_served(server: Any) -> None:
    data = _card("expect")
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(
            f"PUT /ada/contacts/expect.vcf HTTP/1.1\r\nHost: localhost\r\nAuthorization: {BASIC}\r\n"
            f"Content-Length: {len(data)}\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(data)
        assert connection.recv(1000).startswith(b"HTTP/1.1 201 ")


TRICKS = (
    "/ada/contacts/%2e%2e/%2e%2e/etc/passwd",
    "/ada/contacts/..%2f..%2fetc%2fpasswd",
    "/ada/contacts/%00.vcf",
    "/ada/contacts//x.vcf",
    "/ada/./contacts/",
    "/ada/contacts/%ff.vcf",
    "/ada/contacts/a/b.vcf",
)


def test_path_tricks_end_in_a_clear_4xx(server: Any) -> None:
    data = _card("trick")
    head = f"HTTP/1.1\r\nHost: localhost\r\nAuthorization: {BASIC}\r\nConnection: close\r\nContent-Length: {len(data)}"
    answers = {path: _speak(server.port, f"PUT {path} {head}\r\n\r\n".encode() + data) for path in TRICKS}
    assert {path: answer.split(b" ", 2)[1] for path, answer in answers.items()} == dict.fromkeys(TRICKS[:6], b"400") | {
        "/ada/contacts/..%2f..%2fetc%2fpasswd": b"400",
        "/ada/contacts/a/b.vcf": b"404",
    }


def test_two_writers_of_one_card_never_both_win(server: Any) -> None:
    url = f"{server.url}/ada/sales~leads/shared.vcf"
    first = requests.put(url, _card("shared"), auth=ADA, timeout=10)
    etag = first.headers["ETag"]
    answers: list[int] = []

    def write(number: int) -> None:
        mine = url if number % 2 else url.replace("/ada/", "/ben/")
        answer = requests.put(
            mine,
            _card("shared", f"NOTE:{number}"),
            auth=ADA if number % 2 else BEN,
            headers={"If-Match": etag},
            timeout=30,
        )
        answers.append(answer.status_code)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [204] + [412] * 7


def test_many_writers_on_one_book_all_succeed_and_nothing_is_lost(
    organisation: object, running: Callable[..., Any]
) -> None:
    server = running(workers=3)
    wrong: list[str] = []

    def write(number: int) -> None:
        session = requests.Session()
        session.auth = ADA
        for count in range(15):
            name = f"{number}-{count}"
            answer = session.put(f"{server.url}/ada/contacts/{name}.vcf", _card(name), timeout=60)
            if answer.status_code != 201:
                wrong.append(f"{name}: {answer.status_code} {answer.text}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    listing = requests.request(
        "PROPFIND",
        f"{server.url}/ada/contacts/",
        data='<propfind xmlns="DAV:"><prop><getetag/></prop></propfind>',
        headers={"Depth": "1"},
        auth=ADA,
        timeout=30,
    )
    assert listing.text.count("<getetag>") == 16 * 15


def test_a_removed_member_gets_404_in_every_worker_at_the_next_request(server: Any) -> None:
    url = f"{server.url}/ben/sales~leads/"
    body = '<propfind xmlns="DAV:"><prop><displayname/></prop></propfind>'

    def statuses() -> set[int]:
        # A connection each, so that both workers are asked.
        return {requests.request("PROPFIND", url, data=body, auth=BEN, timeout=10).status_code for _ in range(12)}

    assert statuses() == {207}
    found = settings.from_configuration(settings.load_configuration(str(server.configuration)))
    with database.connect(found.database_url).write() as session:
        people.remove_member(session, "sales", "ben")
    assert statuses() == {404}


def test_a_card_with_every_byte_of_its_own_comes_back_from_the_real_server(server: Any) -> None:
    data = _card("bytes", "NOTE:a\\nb\\, c;d", 'X-ABC;TYPE="a:b;c":ü \t end ', "item1.TEL:+49 30 1")
    url = f"{server.url}/ada/contacts/bytes.vcf"
    assert requests.put(url, data, auth=ADA, timeout=10).status_code == 201
    got = requests.get(url, auth=ADA, timeout=10)
    assert got.content == data
    assert got.headers["Content-Type"] == "text/vcard; charset=utf-8"


def test_a_listing_is_compressed_for_a_client_that_takes_it(server: Any) -> None:
    def listing(coding: str) -> requests.Response:
        headers = {"Depth": "1", "Accept-Encoding": coding}
        return requests.request("PROPFIND", f"{server.url}/ada/", headers=headers, auth=ADA, timeout=10)

    packed, plain = listing("gzip"), listing("identity")
    assert packed.headers.get("Content-Encoding", "identity") == ("gzip" if len(plain.content) > 1400 else "identity")
    assert packed.text == plain.text


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.3, 2.0])
def test_ctrl_c_ends_all_processes_in_good_order(server: Any, db: Database, seconds: float) -> None:
    # A terminal sends it to the whole group; workers that took it for theirs had to be killed after 10 seconds. (That
    # granian says so in its log means little: it also does where a process takes a millisecond to be gone.)
    time.sleep(seconds)  # the fixture waits for one worker; another one may still be starting
    os.killpg(server.process.pid, signal.SIGINT)
    assert server.process.wait(9) == 0
    if seconds >= 1:
        # Who led gave it up, as its last deed.
        with db.read() as session:
            assert session.scalars(select(Lease.name)).all() == [caretaker.LEASE]
            assert leases.holder(session, caretaker.LEASE, life=caretaker.LEASE_LIFE) == ""

"""Searches that never end by themselves, and many at a time: what ends them, and that they hold up nobody else."""

from __future__ import annotations

import logging
import socket
import threading
import time

import pytest

from radicale_shared.ldap_view import ber, operations
from radicale_shared.ldap_view.requests import Found
from tests.conftest import card
from tests.ldap_view.conftest import PEOPLE, SUCCESS, SUFFIX, bind, search, until

TIME_LIMIT, OTHER = 3, 80
EVERYBODY = "(objectClass=person)"
ENDLESS = "(cn=endless)"
SILENT = "(cn=silent)"
BROKEN = "(cn=broken)"


@pytest.fixture
def database_url(new_database_url):
    """Which database it is makes no difference here."""
    return new_database_url("sqlite")


@pytest.fixture
def running(monkeypatch):
    """The numbers of searches that run: some filters find more and more, nothing for ever, or a mistake of ours."""
    ours = operations.search.answer
    under_way = []

    def answer(db, identity, asked):
        value = getattr(asked.request.filter, "value", "")
        if value not in {"endless", "silent", "broken"}:
            yield from ours(db, identity, asked)
            return
        under_way.append(value)
        try:
            number = 0
            while True:
                asked.check()
                number += 1
                if value == "broken":
                    raise RuntimeError("a mistake")
                if value == "silent":
                    time.sleep(0.002)
                else:
                    yield Found(f"uid={number},{SUFFIX}", {"cn": ["x" * 500]}, b"here")
        finally:
            under_way.remove(value)

    monkeypatch.setattr(operations.search, "answer", answer)
    return under_way


@pytest.mark.parametrize("endless", [SILENT, ENDLESS])
def test_after_its_time_a_search_ends_with_what_it_has_found(running, serve, view, endless):
    patient = serve(time_limit_seconds=1, size_limit=1_000_000)
    with patient.raw().sign_in() as client:
        code, count = client.send(search(2, endless)).result()
        assert (code, count > 0) == (TIME_LIMIT, endless == ENDLESS)
        assert client.send(search(3, EVERYBODY)).result() == (SUCCESS, len(PEOPLE))
    assert running == []


def test_a_client_s_own_time_limit_holds(running, view):
    asked = search(2, SILENT)
    told = ber.children(ber.only(asked).content)
    parts = ber.children(told[1].content)
    parts[4] = ber.Element(ber.INTEGER, b"\x01")
    content = b"".join(ber.written(*one) for one in parts)
    with view.raw().sign_in() as client:
        client.send(ber.written(ber.SEQUENCE, ber.written(*told[0]), ber.written(0x63, content)))
        assert client.result() == (TIME_LIMIT, 0)


def test_an_abandoned_search_ends_without_an_answer(running, view):
    with view.raw().sign_in() as client:
        client.send(search(2, SILENT))
        until(lambda: running == ["silent"])
        client.send(ber.written(ber.SEQUENCE, ber.written_number(3), ber.written_number(2, 0x50)))
        until(lambda: running == [])
        assert client.send(search(4, EVERYBODY)).answer()[0] == 4


def test_to_sign_in_anew_abandons_what_is_under_way(running, view):
    with view.raw().sign_in() as client:
        client.send(search(2, SILENT))
        until(lambda: running == ["silent"])
        assert client.send(bind(3, "ben", "benben")).answer()[:3] == (3, 0x61, SUCCESS)
        until(lambda: running == [])


def test_a_search_ends_with_its_connection(running, view):
    with view.raw().sign_in() as client:
        client.send(search(2, SILENT), search(3, SILENT))
        until(lambda: len(running) == 2)
    until(lambda: running == [])
    until(lambda: view.connected() == 0)


def test_a_server_that_ends_waits_for_no_search(running, view):
    with view.raw().sign_in() as client:
        client.send(search(2, SILENT))
        until(lambda: running == ["silent"])
        view.server.stop(timeout=5)
        assert not view.server.is_alive
    until(lambda: running == [])


def test_clients_that_don_t_read_hold_up_nobody(running, serve, view):
    slow = serve(size_limit=1_000_000)
    clients = [slow.raw() for _ in range(20)]
    for client in clients:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sign_in().send(search(2, ENDLESS))
    with slow.raw().sign_in("ben") as other:
        for number in range(2, 20):
            assert other.send(search(number, EVERYBODY)).result() == (SUCCESS, len(PEOPLE))
    for client in clients:
        client.socket.close()
    until(lambda: slow.connected() == 0)


def test_searches_that_find_nothing_for_long_let_others_in_between(running, view):
    with view.raw().sign_in() as busy, view.raw().sign_in("ben") as other:
        busy.send(*(search(number, SILENT) for number in range(2, 6)))
        until(lambda: len(running) == 4)
        assert other.send(search(2, EVERYBODY)).result() == (SUCCESS, len(PEOPLE))
        assert len(running) == 4


def test_one_person_s_searches_never_take_all_threads(running, serve, view):
    patient = serve(time_limit_seconds=600)
    with patient.raw().sign_in() as busy, patient.raw().sign_in() as again, patient.raw().sign_in("ben") as other:
        for client in (busy, again):
            client.send(*(search(number, SILENT) for number in range(2, 9)))
        until(lambda: len(running) >= 4)
        assert other.send(search(2, EVERYBODY)).result() == (SUCCESS, len(PEOPLE))
        for client in (busy, again):
            client.socket.close()
        until(lambda: running == [] and patient.connected() == 1)
    with patient.raw().sign_in() as client:
        assert client.send(search(2, EVERYBODY)).result() == (SUCCESS, len(PEOPLE))


def test_a_mistake_of_ours_is_logged_and_told_without_what_it_is(running, view, caplog):
    with view.raw().sign_in() as client:
        client.send(search(2, BROKEN))
        _, _, code, text = client.answer()
        assert (code, "mistake" in text) == (OTHER, False)
        assert client.send(search(3, EVERYBODY)).result() == (SUCCESS, len(PEOPLE))
    assert [one.exc_info[1].args for one in caplog.records if one.levelno >= logging.ERROR] == [("a mistake",)]


def test_many_clients_are_answered_while_somebody_writes(view, organisation):
    wrong: list[object] = []

    def ask(login: str) -> None:
        try:
            for number in range(2, 12):
                with view.raw().sign_in(login) as client:
                    code, count = client.send(search(number, "(sn=schmidt)", attributes=("cn",))).result()
                    if (code, count) != (SUCCESS, 2):
                        wrong.append((code, count))
        except Exception as error:  # noqa: BLE001  # a thread's is lost else
            wrong.append(error)

    threads = [threading.Thread(target=ask, args=(login,)) for login in ("ada", "ben") * 4]
    for thread in threads:
        thread.start()
    for number in range(30):
        organisation.put("ada", "sales~leads", f"w{number}.vcf", card(f"w{number}", f"Written {number}"))
    for thread in threads:
        thread.join()
    assert wrong == []

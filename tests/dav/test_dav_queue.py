"""Requests queue for their worker: who waits for a client, or for others, holds up nobody."""

import io
import threading
import time

import pytest

from radicale_shared import lanes, reading, server
from radicale_shared.dav import filters
from tests.conftest import card
from tests.dav.conftest import XMLNS, Client


class Slow:
    """A body whose client sends no more until told to."""

    def __init__(self, data):
        self._data = io.BytesIO(data)
        self.is_read = threading.Event()
        self.goes_on = threading.Event()

    def read(self, size=-1):
        self.is_read.set()
        assert self.goes_on.wait(30)
        return self._data.read(size)


@pytest.fixture
def queued(application, organisation):
    return server.queued(application)


def in_the_background(work):
    found = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    return thread, found


@pytest.mark.parametrize("size", [100, 200_000])
def test_a_client_that_sends_slowly_holds_up_nobody(queued, size):
    data = card("slow", "Slow", "NOTE:" + "x" * size)
    body = Slow(data)
    slow = Client(queued, "ada", environ={"wsgi.input": body})
    thread, found = in_the_background(
        lambda: slow.request("PUT", "/ada/contacts/slow.vcf", b"", Content_Length=str(len(data)))
    )
    assert body.is_read.wait(30)

    assert Client(queued, "ben").propfind("/ben/", "displayname").status == 207
    body.goes_on.set()
    thread.join(30)
    assert found[0].status == 201
    assert Client(queued, "ada").get("/ada/contacts/slow.vcf").body == data


def test_a_client_that_takes_its_answer_slowly_holds_up_nobody(queued, organisation):
    for number in range(3):
        organisation.put("ada", "contacts", f"{number}.vcf", card(f"{number}", "Large", "NOTE:" + "x" * 70_000))
    started = []
    environ = {}
    Client(lambda given, start: environ.update(given) or start("200 OK", []) or [], "ada").get("/ada/contacts/")
    answer = iter(queued(environ, lambda status, _: started.append(status)))
    first = next(answer)

    assert Client(queued, "ben").propfind("/ben/", "displayname").status == 207
    rest = b"".join(answer)
    assert started == ["200 OK"]
    assert (first + rest).count(b"END:VCARD") == 3


def test_a_search_through_many_cards_holds_up_nobody(queued, organisation, monkeypatch):
    for number in range(20):
        organisation.put("ada", "contacts", f"{number}.vcf", card(f"{number}"))
    monkeypatch.setattr(reading, "BATCH", 1)
    order = []
    matches = filters.Filter.matches

    def looked_at(self, found):
        if not order:
            thread.start()
        order.append("card")
        time.sleep(0.01)
        return matches(self, found)

    def other():
        Client(queued, "ben").propfind("/ben/", "displayname")
        order.append("other")

    monkeypatch.setattr(filters.Filter, "matches", looked_at)
    thread = threading.Thread(target=other)
    none = "<C:filter><C:prop-filter name='FN'><C:is-not-defined/></C:prop-filter></C:filter>"
    body = f"<C:addressbook-query {XMLNS}><prop><getetag/></prop>{none}</C:addressbook-query>"
    assert Client(queued, "ada").request("REPORT", "/ada/contacts/", body).status == 207
    thread.join(30)

    assert order.count("card") == 20
    assert order[-1] == "card"


def test_a_writer_that_waits_for_another_holds_up_nobody(queued, organisation):
    with organisation.db.write() as _:
        thread, found = in_the_background(lambda: Client(queued, "ada").put("/ada/contacts/a.vcf", card("a")))
        if organisation.db.url.startswith("sqlite"):
            while not organisation.db._turns:
                pass
            assert Client(queued, "ben").propfind("/ben/", "displayname").status == 207
            assert not found
    thread.join(30)
    assert found[0].status == 201


def test_a_body_that_ends_too_soon_is_refused_and_nothing_is_held(queued):
    short = Client(queued, "ada").request("PUT", "/ada/contacts/a.vcf", card("a"), Content_Length="5000")
    assert short.status == 400
    assert b"ended before" in short.body
    with lanes.entered():
        pass


def test_a_connection_that_breaks_in_a_body_is_answered_and_nothing_is_held(queued):
    class Broken:
        def read(self, size=-1):
            raise OSError("connection reset")

    broken = Client(queued, "ada", environ={"wsgi.input": Broken()})
    assert broken.request("PUT", "/ada/contacts/a.vcf", b"", Content_Length="50").status == 400
    with lanes.entered():
        pass


def test_all_of_many_requests_at_once_are_answered(queued, organisation):
    answers = []

    def work(number):
        client = Client(queued, "ada")
        answers.append(client.put(f"/ada/contacts/{number}.vcf", card(str(number))).status)
        answers.append(client.propfind("/ada/contacts/", "getetag", depth="1").status)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == [201] * 16 + [207] * 16
    assert len(Client(queued, "ada").propfind("/ada/contacts/", "getetag", depth="1").hrefs) == 17

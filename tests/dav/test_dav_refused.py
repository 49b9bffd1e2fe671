"""Refused writes come back: no client is left stuck or different from the server.

Clients fetch a reported card again only if its ETag is new to them, so the ETag that a client sees counts its refusals.
"""

import pytest

from radicale_shared import access, books, grants, refusals
from tests.conftest import BY, card
from tests.dav.conftest import CARDDAV, DAV, Client, etags_of, token_of

BOOK = "/carla/sales~leads/"
OLD, NEW = f"{BOOK}old.vcf", f"{BOOK}new.vcf"
PHONE, OTHER = "DAVx5/4.4 (Android)", "Evolution/3.50"


@pytest.fixture
def phone(application, organisation):
    """Carla's phone; she may read the book. Ada's card "old" is in it."""
    organisation.grant("sales/leads", "user:carla", "viewer")
    organisation.put("ada", "sales~leads", "old.vcf", card("old"))
    return Client(application, "carla", user_agent=PHONE)


@pytest.fixture
def laptop(phone, application):
    """Another program of Carla's."""
    return Client(application, "carla", user_agent=OTHER)


@pytest.fixture
def editing(organisation, phone):
    """Lets Carla write, so that only what she sends can be wrong."""
    with organisation.db.write() as session:
        grants.change(session, books.find(session, "sales/leads"), "user:carla", access.Role.CURATOR, by=BY)


REFUSALS = {
    "bad data": (b"no card", 403, "valid-address-data"),
    "vCard 2.1": (card("old", version="2.1"), 403, "supported-address-data"),
    "too large": (card("old", "Old", "NOTE:" + "x" * 11_000_000), 403, "max-resource-size"),
    "UID changed": (card("other"), 409, "no-uid-conflict"),
    "latin-1": (card("old", "J\u00f6rg").decode().encode("latin-1"), 403, "valid-address-data"),
}


def known_and_token(client):
    return etags_of(client, BOOK), client.sync(BOOK).token


def test_an_edit_without_the_right_is_403_and_comes_back_with_an_etag_that_is_new_to_the_client(phone):
    known, token = known_and_token(phone)

    answer = phone.put(OLD, card("old", "Mine"), If_Match=known[OLD])

    assert (answer.status, answer.conditions) == (403, ["need-privileges"])
    resource = answer.xml.find(f"{DAV}need-privileges/{DAV}resource")
    assert resource.findtext(f"{DAV}href") == OLD
    assert [one.tag for one in resource.find(f"{DAV}privilege")] == [f"{DAV}write-content"]
    told = phone.sync(BOOK, token)
    assert told.hrefs == [OLD]
    assert told.text(OLD, f"{DAV}getetag") != known[OLD]
    assert phone.sync(BOOK, told.token).hrefs == []


def test_a_new_card_without_the_right_is_403_and_then_404(phone):
    _, token = known_and_token(phone)

    answer = phone.put(NEW, card("new"), If_None_Match="*")

    assert (answer.status, answer.conditions) == (403, ["need-privileges"])
    resource = answer.xml.find(f"{DAV}need-privileges/{DAV}resource")
    assert resource.findtext(f"{DAV}href") == BOOK
    assert [one.tag for one in resource.find(f"{DAV}privilege")] == [f"{DAV}bind"]
    told = phone.sync(BOOK, token)
    assert (told.hrefs, told.status_of(NEW)) == ([NEW], "HTTP/1.1 404 Not Found")
    assert phone.sync(BOOK, told.token).hrefs == []


def test_a_deletion_without_the_right_is_403_and_the_card_comes_back(phone):
    known, token = known_and_token(phone)

    answer = phone.delete(OLD, If_Match=known[OLD])

    assert (answer.status, answer.conditions) == (403, ["need-privileges"])
    told = phone.sync(BOOK, token)
    assert told.text(OLD, f"{DAV}getetag") != known[OLD]


@pytest.mark.parametrize(("data", "status", "condition"), REFUSALS.values(), ids=REFUSALS.keys())
def test_whatever_an_edit_was_refused_for_it_comes_back(phone, editing, data, status, condition):
    known, token = known_and_token(phone)

    answer = phone.put(OLD, data)

    assert (answer.status, answer.conditions) == (status, [condition])
    told = phone.sync(BOOK, token)
    assert told.hrefs == [OLD]
    assert told.text(OLD, f"{DAV}getetag") != known[OLD]
    assert phone.get(OLD).body == card("old")


@pytest.mark.parametrize(
    "data", [b"no card", card("new", version="2.1"), card("old")], ids=["bad", "2.1", "UID in use"]
)
def test_whatever_a_new_card_was_refused_for_it_is_told_as_404(phone, editing, data):
    _, token = known_and_token(phone)

    assert phone.put(NEW, data).status in (403, 409)

    told = phone.sync(BOOK, token)
    assert (told.hrefs, told.status_of(NEW)) == ([NEW], "HTTP/1.1 404 Not Found")


def test_a_failed_condition_is_taken_back_too(phone, editing):
    known, token = known_and_token(phone)

    assert phone.put(OLD, card("old", "Mine"), If_Match='"of an older refusal"').status == 412

    assert phone.sync(BOOK, token).hrefs == [OLD]
    assert etags_of(phone, BOOK)[OLD] != known[OLD]


def test_every_answer_shows_the_client_its_new_etag(phone):
    phone.put(OLD, card("old", "Mine"))
    etag = etags_of(phone, BOOK)[OLD]

    assert phone.get(OLD).etag == etag
    assert phone.get(OLD, If_None_Match=etag).status == 304
    assert phone.propfind(OLD, "getetag").text(OLD, f"{DAV}getetag") == etag
    for told in (phone.multiget(BOOK, OLD), phone.sync(BOOK), phone.sync(BOOK, data=True)):
        assert told.text(OLD, f"{DAV}getetag") == etag
    assert phone.multiget(BOOK, OLD).text(OLD, f"{CARDDAV}address-data").encode() == card("old")


def test_each_refusal_is_one_more_new_etag(phone):
    seen = [etags_of(phone, BOOK)[OLD]]
    for number in range(3):
        phone.put(OLD, card("old", f"Mine {number}"))
        seen.append(etags_of(phone, BOOK)[OLD])

    assert len(set(seen)) == 4


def test_a_refusal_changes_the_clients_ctag_for_those_that_poll_by_it(phone):
    before = token_of(phone, BOOK)
    phone.delete(OLD)

    found = phone.propfind("/carla/", "sync-token", "CS:getctag", depth="1")
    ctag = found.text(BOOK, "{http://calendarserver.org/ns/}getctag")
    assert ctag == found.text(BOOK, f"{DAV}sync-token") != before


def test_a_later_edit_may_name_either_etag(phone, organisation):
    known = etags_of(phone, BOOK)
    phone.put(OLD, card("old", "Mine"))
    shown = etags_of(phone, BOOK)[OLD]
    organisation.grant("sales/leads", "everyone", "curator")

    assert phone.put(OLD, card("old", "Two"), If_Match=known[OLD]).status == 204
    stored_now = phone.put(OLD, card("old", "Three"), If_Match=etags_of(phone, BOOK)[OLD])
    assert stored_now.etag == etags_of(phone, BOOK)[OLD]
    assert phone.put(OLD, card("old", "Four"), If_Match=shown).status == 412
    assert phone.delete(OLD, If_Match=etags_of(phone, BOOK)[OLD]).status == 204


def test_the_other_programs_and_people_notice_nothing(phone, laptop, application):
    ada = Client(application, "ada", user_agent=PHONE)
    before = [
        (etags_of(laptop, BOOK), token_of(laptop, BOOK)),
        (etags_of(ada, "/ada/sales~leads/"), token_of(ada, "/ada/sales~leads/")),
    ]

    phone.put(OLD, card("old", "Mine"))
    phone.put(NEW, card("new"))

    after = [
        (etags_of(laptop, BOOK), token_of(laptop, BOOK)),
        (etags_of(ada, "/ada/sales~leads/"), token_of(ada, "/ada/sales~leads/")),
    ]
    assert after == before


def test_an_update_of_the_program_keeps_what_it_was_refused(phone, application):
    _, token = known_and_token(phone)
    phone.put(OLD, card("old", "Mine"))

    updated = Client(application, "carla", user_agent="DAVx5/5.0 (Android)")
    assert updated.sync(BOOK, token).hrefs == [OLD]


def test_a_client_that_starts_over_after_more_refusals_than_are_kept_equals_the_server(phone, monkeypatch):
    monkeypatch.setattr(refusals, "MOST_KEPT", 20)
    known, token = known_and_token(phone)
    phone.put(OLD, card("old", "Mine"))
    for number in range(25):
        assert phone.put(f"{BOOK}new{number}.vcf", card(f"new{number}")).status == 403

    answer = phone.sync(BOOK, token)

    assert (answer.status, answer.conditions) == (403, ["valid-sync-token"])
    fresh = phone.sync(BOOK)
    assert fresh.hrefs == [OLD]
    assert fresh.text(OLD, f"{DAV}getetag") != known[OLD]
    assert phone.get(OLD).body == card("old")
    assert phone.sync(BOOK, fresh.token).hrefs == []


def test_a_book_one_may_not_read_remembers_nothing(application, organisation):
    stranger = Client(application, "carla", user_agent=PHONE)

    assert stranger.put(NEW, card("new")).status == 404
    with organisation.db.read() as session:
        assert session.query(refusals.Refusal).count() == 0

"""What a client was refused comes back to it with its next sync, also under a plain Radicale."""

import pytest

from radicale_shared import access, books, changes, grants, refusals
from radicale_shared.errors import BusyError

LEADS = "/carla/sales~leads/"


@pytest.fixture
def leads(organisation, a_card):
    """Carla may read sales/leads, which has one card."""
    organisation.put("ada", "sales~leads", "old.vcf", a_card("old"))
    organisation.grant("sales/leads", "user:carla", "viewer")
    return organisation


def refuse_edit(carla, a_card):
    assert carla.put(LEADS + "old.vcf", a_card("old", "Changed")).status == 403


def refuse_deletion(carla, a_card):
    assert carla.delete(LEADS + "old.vcf").status == 403


@pytest.mark.parametrize("refuse", [refuse_edit, refuse_deletion])
def test_a_refused_write_is_reported_with_an_etag_that_is_new_to_the_client(leads, carla, a_card, refuse):
    synced = carla.sync(LEADS)
    before = synced.text(LEADS + "old.vcf", "D:getetag")
    ctag = carla.propfind(LEADS, "CS:getctag").text(LEADS, "CS:getctag")
    refuse(carla, a_card)

    again = carla.sync(LEADS, synced.token)
    etag = again.text(LEADS + "old.vcf", "D:getetag")
    assert again.hrefs == [LEADS + "old.vcf"]
    assert etag != before
    assert carla.get(LEADS + "old.vcf").etag == etag
    assert carla.multiget(LEADS, LEADS + "old.vcf").text(LEADS + "old.vcf", "D:getetag") == etag
    assert carla.propfind(LEADS, "D:getetag", depth="1").text(LEADS + "old.vcf", "D:getetag") == etag
    assert carla.propfind(LEADS, "CS:getctag").text(LEADS, "CS:getctag") != ctag
    assert carla.sync(LEADS, again.token).hrefs == []


def test_a_refused_new_card_is_reported_as_gone(leads, carla, a_card):
    token = carla.sync(LEADS).token
    assert carla.put(LEADS + "new.vcf", a_card("new")).status == 403

    assert carla.sync(LEADS, token).missing == [LEADS + "new.vcf"]


def test_a_refusal_is_the_matter_of_that_client_alone(leads, carla, ada, a_card, tools):
    other = tools.client(carla.application, "carla", user_agent="Other/1.0")
    mine, others = carla.sync(LEADS), other.sync(LEADS)
    theirs = ada.sync("/ada/sales~leads/").token
    carla.put(LEADS + "old.vcf", a_card("old", "Changed"))

    assert carla.sync(LEADS, mine.token).hrefs == [LEADS + "old.vcf"]
    assert other.sync(LEADS, others.token).hrefs == []
    assert ada.sync("/ada/sales~leads/", theirs).hrefs == []


def test_the_etag_after_a_refusal_serves_for_the_next_edit(leads, carla, a_card):
    before = carla.get(LEADS + "old.vcf").etag
    refuse_edit(carla, a_card)
    with leads.db.write() as session:
        book = books.find(session, "sales/leads")
        grants.change(session, book, "user:carla", access.Role.CURATOR, by=changes.command_line())
    after = carla.get(LEADS + "old.vcf").etag

    answer = carla.put(LEADS + "old.vcf", a_card("old", "Changed"), if_match=after)
    assert answer.status == 204
    assert len({before, after, answer.etag}) == 3
    assert answer.etag == carla.get(LEADS + "old.vcf").etag
    assert carla.delete(LEADS + "old.vcf", if_match=after).status == 412


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_the_etag_from_before_a_refusal_serves_too(leads, carla, a_card, method):
    """A second device of the same kind hasn't synced since, and the card is the same."""
    before = carla.get(LEADS + "old.vcf").etag
    refuse_edit(carla, a_card)
    with leads.db.write() as session:
        book = books.find(session, "sales/leads")
        grants.change(session, book, "user:carla", access.Role.CURATOR, by=changes.command_line())

    answer = carla.request(method, LEADS + "old.vcf", a_card("old", "Changed"), if_match=before)
    assert answer.status in {200, 204}


def test_a_conflict_of_uids_is_remembered_too(ada, a_card):
    ada.put("/ada/contacts/x.vcf", a_card("x"))
    token = ada.sync("/ada/contacts/").token

    assert ada.put("/ada/contacts/y.vcf", a_card("x")).status == 409
    assert ada.sync("/ada/contacts/", token).missing == ["/ada/contacts/y.vcf"]


def test_a_deletion_of_nothing_is_not_remembered(ada):
    token = ada.sync("/ada/contacts/").token

    assert ada.delete("/ada/contacts/none.vcf").status == 404
    assert ada.sync("/ada/contacts/").token == token


def test_a_refusal_that_can_t_be_remembered_is_a_refusal_all_the_same(leads, carla, a_card, monkeypatch):
    def busy(*_args):
        raise BusyError

    monkeypatch.setattr(refusals, "remember", busy)
    refuse_edit(carla, a_card)
    refuse_deletion(carla, a_card)

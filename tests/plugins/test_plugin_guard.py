"""The guard, and what programs don't know, under a plain Radicale."""

import pytest

from radicale_shared import blocks
from radicale_shared.vcard import Card
from tests.conftest import card

BOOK = "/ada/contacts/"
FULL = ("TEL:1", "EMAIL:a@example.org", "NOTE:n")


@pytest.fixture
def filled(organisation):
    for one in range(14):
        organisation.put("ada", "contacts", f"{one}.vcf", card(f"{one}", "", *FULL))
    return organisation


def standing(organisation):
    with organisation.db.read() as session:
        return blocks.standing(session)


def test_a_program_that_deletes_too_much_is_stopped_and_its_next_sync_brings_the_card_back(ada, filled):
    token = ada.sync(BOOK).token
    statuses = [ada.delete(f"{BOOK}{one}.vcf").status for one in range(12)]

    assert statuses == [200] * 10 + [403] * 2
    (block,) = standing(filled)
    assert (block.actor, block.destroyed) == ("ada", 10)
    told = ada.sync(BOOK, token)
    assert set(told.hrefs) >= {f"{BOOK}10.vcf", f"{BOOK}11.vcf"}
    assert ada.get(f"{BOOK}10.vcf").status == 200
    assert ada.put(f"{BOOK}new.vcf", card("new", "", *FULL)).status == 201


def test_under_rights_that_are_not_ours_the_card_stays_and_the_program_is_stopped_too(
    tools, database_url, filled, tmp_path
):
    rules = tmp_path / "rights"
    rules.write_text("[all]\nuser = .+\ncollection = .*\npermissions = RrWw\n", "utf-8")
    configuration = tools.configuration(database_url)
    configuration.update({"rights": {"type": "from_file", "file": str(rules)}}, "test")
    ada = tools.client(tools.application(configuration), "ada")
    statuses = [ada.delete(f"{BOOK}{one}.vcf").status for one in range(12)]

    assert statuses == [200] * 10 + [500] * 2
    assert len(standing(filled)) == 1
    assert ada.get(f"{BOOK}10.vcf").status == 200


def test_a_deletion_that_fails_anyway_stops_nobody(ada, filled):
    statuses = [ada.delete(f"{BOOK}{one}.vcf").status for one in range(10)]

    assert statuses == [200] * 10
    assert ada.delete(f"{BOOK}10.vcf", if_match='"old"').status == 412
    assert ada.delete(f"{BOOK}none.vcf").status == 404
    assert standing(filled) == []


def test_a_device_that_may_not_delete_at_all_is_told_so_and_not_stopped(filled, ada, ben, organisation):
    organisation.grant("ada/contacts", "user:ben", "editor")
    assert [ada.delete(f"{BOOK}{one}.vcf").status for one in range(10)] == [200] * 10

    assert ben.delete("/ben/ada~contacts/10.vcf").status == 403
    assert standing(filled) == []


def test_a_program_that_empties_too_much_is_refused(ada, filled):
    statuses = [ada.put(f"{BOOK}{one}.vcf", card(f"{one}", "", "TEL:1")).status for one in range(12)]

    assert statuses == [204] * 10 + [403] * 2
    assert len(standing(filled)) == 1
    assert b"NOTE:n" in ada.get(f"{BOOK}10.vcf").body


def test_a_card_that_is_moved_away_counts_in_its_book(ada, filled):
    assert ada.mkcol("/ada/other/").status == 201
    to = "http://localhost/ada/other/{}.vcf"
    statuses = [
        ada.request("MOVE", f"{BOOK}{one}.vcf", destination=to.format(one), host="localhost").status
        for one in range(12)
    ]

    assert statuses == [201] * 10 + [403] * 2
    assert [one.book for one in standing(filled)] == ["ada/contacts"]


def test_a_card_that_gets_another_name_in_its_book_is_not_destroyed(ada, filled):
    to = "http://localhost/ada/contacts/moved{}.vcf"
    statuses = [
        ada.request("MOVE", f"{BOOK}{one}.vcf", destination=to.format(one), host="localhost").status
        for one in range(12)
    ]

    assert statuses == [201] * 12


def test_what_a_program_never_sends_stays_and_it_fetches_at_its_next_sync(ada, organisation):
    organisation.put("ada", "contacts", "x.vcf", card("x", "Ada", "TEL:1", "NICKNAME:n"))
    answer = ada.put(f"{BOOK}x.vcf", card("x", "Ada", "TEL:2"))

    assert answer.status == 204
    stored = ada.get(f"{BOOK}x.vcf")
    assert (Card.parse(stored.body).text("TEL"), Card.parse(stored.body).text("NICKNAME")) == ("2", "n")
    assert answer.etag != stored.etag

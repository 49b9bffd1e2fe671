"""What the guard says over CardDAV: a privilege that is missing (RFC 3744, section 7.1.1), and nothing else changes."""

import pytest

from radicale_shared import blocks, devices, people, settings
from radicale_shared.dav.application import Application
from tests.conftest import BY, card
from tests.dav.conftest import DAV, Client, write_configuration

BOOK = "/ada/contacts/"
FULL = ("TEL:1", "EMAIL:a@example.org", "NOTE:n")


@pytest.fixture
def filled(organisation):
    for one in range(16):
        organisation.put("ada", "contacts", f"{one}.vcf", card(f"{one}", "", *FULL))
    return organisation


def standing(organisation):
    with organisation.db.read() as session:
        return blocks.standing(session)


def privilege(answer):
    return [one.tag for one in answer.xml.iter(f"{DAV}privilege") for one in one]


def test_a_deletion_too_many_lacks_the_privilege_to_unbind_and_is_taken_back_at_the_next_sync(filled, ada):
    token = ada.sync(BOOK).token
    statuses = [ada.delete(f"{BOOK}{one}.vcf").status for one in range(12)]
    refused = ada.delete(f"{BOOK}12.vcf")

    assert statuses == [204] * 10 + [403] * 2
    assert (refused.conditions, privilege(refused)) == (["need-privileges"], [f"{DAV}unbind"])
    assert "this device deletes and empties no cards" in refused.body.decode()
    told = ada.sync(BOOK, token)
    again = {f"{BOOK}{one}.vcf" for one in (10, 11, 12)}
    assert {href for href in told.hrefs if not told.status_of(href)} == again
    assert ada.sync(BOOK, told.token).hrefs == []


def test_an_emptied_card_too_many_lacks_the_privilege_to_write_its_content(filled, ada):
    statuses = [ada.put(f"{BOOK}{one}.vcf", card(f"{one}")).status for one in range(11)]
    refused = ada.put(f"{BOOK}12.vcf", card("12"))

    assert statuses == [204] * 10 + [403]
    assert (refused.conditions, privilege(refused)) == (["need-privileges"], [f"{DAV}write-content"])
    assert b"NOTE:n" in ada.get(f"{BOOK}12.vcf").body
    assert ada.put(f"{BOOK}12.vcf", card("12", "Renamed", *FULL)).status == 204
    assert len(standing(filled)) == 1


def test_a_refused_put_of_thunderbird_is_answered_inside_a_multistatus(filled, application):
    bird = Client(application, "ada", user_agent="Mozilla/5.0 Thunderbird/128.4.0")
    statuses = [bird.put(f"{BOOK}{one}.vcf", card(f"{one}")).status for one in range(11)]

    assert statuses == [204] * 10 + [207]


def test_cards_that_are_moved_away_count_in_the_book_they_leave(filled, ada):
    ada.mkcol("/ada/other/")
    answers = [ada.request("MOVE", f"{BOOK}{one}.vcf", Destination=f"/ada/other/{one}.vcf") for one in range(12)]

    assert [one.status for one in answers] == [201] * 10 + [403] * 2
    assert (answers[-1].conditions, privilege(answers[-1])) == (["need-privileges"], [f"{DAV}unbind"])
    assert [one.book for one in standing(filled)] == ["ada/contacts"]


def test_a_card_that_gets_another_name_in_its_book_is_not_destroyed(filled, ada):
    answers = [ada.request("MOVE", f"{BOOK}{one}.vcf", Destination=f"{BOOK}moved{one}.vcf") for one in range(12)]

    assert [one.status for one in answers] == [201] * 12
    assert ada.delete(f"{BOOK}moved0.vcf").status == 204


def test_cards_over_which_nearly_empty_ones_are_copied_count(filled, ada):
    ada.mkcol("/ada/other/")
    for one in range(12):
        assert ada.put(f"/ada/other/{one}.vcf", card(f"{one}")).status == 201
    answers = [ada.request("COPY", f"/ada/other/{one}.vcf", Destination=f"{BOOK}{one}.vcf") for one in range(12)]

    assert [one.status for one in answers] == [204] * 10 + [403] * 2
    assert (answers[-1].conditions, privilege(answers[-1])) == (["need-privileges"], [f"{DAV}write-content"])
    assert b"NOTE:n" in ada.get(f"{BOOK}11.vcf").body


def test_programs_with_a_person_s_own_password_that_change_their_names_are_stopped_together(filled, application):
    for one in range(16, 30):
        filled.put("ada", "contacts", f"{one}.vcf", card(f"{one}"))
    names = [f"Script {chr(ord('a') + one)}" for one in range(25)]
    programs = [Client(application, "ada", user_agent=name) for name in names]
    statuses = [one.delete(f"{BOOK}{number}.vcf").status for number, one in enumerate(programs)]

    assert statuses == [204] * 20 + [403] * 5
    assert len(standing(filled)) == 1
    told = programs[-1].sync(BOOK)
    assert f"{BOOK}24.vcf" in told.hrefs


def test_two_devices_of_a_person_are_two_sources_though_they_are_the_same_program(filled, application):
    with filled.db.write() as session:
        person = people.user(session, "ada")
        made = [devices.add(session, person, label, secret=filled.db.secret, by=BY)[1] for label in ("one", "two")]
    one, two = (Client(application, "ada", password, user_agent="Phone/1") for password in made)
    assert [one.delete(f"{BOOK}{number}.vcf").status for number in range(11)] == [204] * 10 + [403]

    assert two.delete(f"{BOOK}12.vcf").status == 204
    assert [block.device for block in standing(filled)] == ["one"]


def test_the_settings_file_says_how_many(filled, database_url, tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("[guard]\ncards = 3\npercent = 1\nrole = { owner = { cards = 4 } }\n", "utf-8")
    path = write_configuration(tmp_path, database_url)
    path.write_text(path.read_text().replace("[auth]", f"settings_file = {file}\n[auth]", 1))
    ada = Client(Application(settings.load_configuration(str(path))), "ada")

    assert [ada.delete(f"{BOOK}{one}.vcf").status for one in range(6)] == [204] * 4 + [403] * 2


def test_deletions_that_are_refused_anyway_count_nothing(filled, ada, ben):
    for one in range(12):
        assert ada.delete(f"{BOOK}{one}.vcf", If_Match='"old"').status == 412
        assert ada.delete(f"{BOOK}none{one}.vcf").status == 404

    assert [ada.delete(f"{BOOK}{one}.vcf").status for one in range(10)] == [204] * 10

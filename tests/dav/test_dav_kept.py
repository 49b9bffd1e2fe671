"""A program that writes back cards without what it has no fields for: that stays, and the program is told to fetch."""

import pytest
from sqlalchemy import insert

from radicale_shared import client_properties
from radicale_shared.models import ClientProperty, table
from radicale_shared.vcard import Card
from tests.conftest import card
from tests.dav.conftest import Client

BOOK = "/ada/contacts/"
X = f"{BOOK}x.vcf"
RICH = ("TEL:1", "NICKNAME:Nick", "item1.X-ODD:1", "item1.X-ABLabel:odd", "NOTE:n", "GEO:1;2")


@pytest.fixture
def rich(organisation):
    """A card that somebody's import has made."""
    organisation.put("ada", "contacts", "x.vcf", card("x", "Ada", *RICH))


@pytest.fixture
def phone(application, rich):
    return Client(application, "ada", user_agent="Simple Phone/3.1")


def edited(client, *lines, match=True):
    etag = client.get(X).etag
    return client.put(X, card("x", "Ada", *lines), If_Match=etag if match else None)


def names(client):
    return {line.name for line in Card.parse(client.get(X).body).lines} - {"VERSION", "UID", "FN", "N"}


@pytest.mark.parametrize("match", [True, False])
def test_what_a_program_never_sends_stays_and_it_is_told_to_fetch(phone, match):
    answer = edited(phone, "TEL:2", match=match)

    assert answer.status == 204
    assert "ETag" not in answer.headers
    assert names(phone) == {"TEL", "NICKNAME", "X-ODD", "X-ABLABEL", "GEO"}
    assert b"item1.X-ODD:1\r\nitem1.X-ABLabel:odd" in phone.get(X).body


@pytest.mark.parametrize(
    "line",
    [
        "TEL:1",
        "EMAIL:a@b",
        "ADR:;;S;;;;",
        "NOTE:n",
        "BDAY:20000101",
        "ORG:o",
        "URL:http://u",
        "PHOTO;ENCODING=b:AA",
        "LABEL:Street 1",
    ],
)
def test_what_every_program_has_is_its_user_s_to_delete(organisation, application, line):
    organisation.put("ada", "contacts", "x.vcf", card("x", "Ada", line))
    phone = Client(application, "ada", user_agent="Simple Phone/3.1")
    answer = edited(phone)

    assert answer.headers["ETag"]
    assert phone.get(X).body == card("x", "Ada")


def test_a_program_that_has_sent_a_property_once_can_delete_it_with_whomever_and_wherever(phone, ben, organisation):
    other = Client(ben.application, "ben", user_agent="Simple Phone/4.77")
    assert other.put("/ben/contacts/y.vcf", card("y", "", "NICKNAME:n", "GEO:3;4")).status == 201

    edited(phone, "TEL:2")

    assert names(phone) == {"TEL", "X-ODD", "X-ABLABEL"}


def test_a_program_of_another_kind_has_learned_nothing_by_that(phone, ada):
    ada.put(f"{BOOK}y.vcf", card("y", "", "NICKNAME:n"))

    edited(phone, "TEL:2")

    assert "NICKNAME" in names(phone)


def test_what_another_worker_learned_meanwhile_counts_here(phone, db):
    phone.put(f"{BOOK}z.vcf", card("z"))
    with db.write() as session:
        rows = [{"client": "Simple Phone/.", "name": name} for name in ("NICKNAME", "GEO", "X-ODD")]
        session.execute(insert(table(ClientProperty)), rows)

    edited(phone, "TEL:2")

    assert names(phone) == {"TEL"}


@pytest.mark.parametrize(
    ("agent", "left"),
    [
        ("DAVx5/4.4.1-ose (dav4jvm; okhttp/4.12.0) Android/14", {"TEL"}),
        ("vdirsyncer/0.20.0", {"TEL"}),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.4.0", {"TEL", "X-ODD", "GEO"}),
    ],
)
def test_well_known_programs_delete_on_their_first_day_what_they_have_fields_for(application, rich, agent, left):
    program = Client(application, "ada", user_agent=agent)
    edited(program, "TEL:2")

    assert names(program) - {"X-ABLABEL"} == left


APPLE, KDE, ROUNDCUBE = "iOS/17.5 (21F79) dataaccessd/1.0", "Mozilla/5.0 KIO/5.115", "RCMCardDAV/5.1.0"


@pytest.mark.parametrize(
    ("agent", "lines"),
    [
        (APPLE, ["X-ABShowAs:COMPANY"]),  # a person who was taken for a firm
        (APPLE, ["X-ALTBDAY;CALSCALE=chinese:20240101", "X-PHONETIC-MIDDLE-NAME:n"]),
        (APPLE, ["IMPP;X-SERVICE-TYPE=Jabber:xmpp:a@example.org", "X-JABBER:a@example.org"]),
        (KDE, ["X-KADDRESSBOOK-X-SpousesName:Ida"]),
        (KDE, ["X-EVOLUTION-SPOUSE:Ida"]),
        (ROUNDCUBE, ["X-ABShowAs:COMPANY", "X-ASSISTANT:Ida"]),
        ("Evolution/3.52.3", ["X-EVOLUTION-SPOUSE:Ida", "X-SKYPE:ida"]),
        ("CalDavSynchronizer/4.4.1", ["CLASS:PRIVATE"]),
    ],
)
def test_what_a_well_known_program_shows_is_its_user_s_to_delete(organisation, application, agent, lines):
    organisation.put("ada", "contacts", "x.vcf", card("x", "Ada", "TEL:1", *lines))
    program = Client(application, "ada", user_agent=agent)
    edited(program, "TEL:1")

    assert names(program) == {"TEL"}


@pytest.mark.parametrize(
    ("agent", "line"),
    [
        (APPLE, "X-EVOLUTION-SPOUSE:Ida"),
        ("CalDavSynchronizer/4.4.1", "RELATED;TYPE=spouse:Ida"),
        ("CalDavSynchronizer/4.4.1", "X-EVOLUTION-SPOUSE:Ida"),
        ("Mozilla/5.0 Thunderbird/128.4.0", "CATEGORIES:a"),
    ],
)
def test_what_a_well_known_program_doesn_t_show_stays(organisation, application, agent, line):
    organisation.put("ada", "contacts", "x.vcf", card("x", "Ada", "TEL:1", line))
    program = Client(application, "ada", user_agent=agent)
    edited(program, "TEL:2")

    assert line.encode() in program.get(X).body


def test_the_whole_card_from_a_program_that_keeps_all_is_stored_exactly_with_its_etag(phone):
    data = card("x", "Ada", *reversed(RICH))
    answer = phone.put(X, data, If_Match=phone.get(X).etag)

    assert phone.get(X).body == data
    assert phone.get(X).etag == answer.etag


def test_what_was_put_back_stays_at_the_next_write_too(phone):
    for number in range(3):
        edited(phone, f"TEL:{number}")

    assert names(phone) == {"TEL", "NICKNAME", "X-ODD", "X-ABLABEL", "GEO"}
    assert phone.get(X).body.count(b"NICKNAME") == 1


def test_a_label_that_a_program_drops_stays_at_its_line(organisation, application):
    organisation.put("ada", "contacts", "x.vcf", card("x", "Ada", "item1.TEL:1", "item1.X-ABLabel:Ferien", "TEL:9"))
    phone = Client(application, "ada", user_agent="Simple Phone/3.1")
    edited(phone, "TEL:9", "TEL:1", "NOTE:new")

    assert b"item1.TEL:1\r\nitem1.X-ABLabel:Ferien" in phone.get(X).body
    assert names(phone) == {"TEL", "X-ABLABEL", "NOTE"}


def test_a_program_that_writes_the_other_version_keeps_what_it_never_sends_too(phone):
    answer = phone.put(X, card("x", "Ada", "TEL:2", version="4.0"), If_Match=phone.get(X).etag)

    assert answer.status == 204
    assert names(phone) == {"TEL", "NICKNAME", "X-ODD", "X-ABLABEL", "GEO"}
    assert Card.parse(phone.get(X).body).version == "3.0"


def test_a_write_with_nothing_new_costs_no_statement_more(phone, statements):
    phone.put(f"{BOOK}y.vcf", card("y", "", "BDAY:1970-01-01"))
    etag = phone.get(f"{BOOK}y.vcf").etag
    statements.clear()
    phone.put(f"{BOOK}y.vcf", card("y", "", "BDAY:1970-01-02"), If_Match=etag)

    assert len(statements) == 9


def test_endless_names_of_a_program_are_learned_up_to_a_limit(phone, db):
    for number in range(5):
        lines = [f"X-N{number}-{one}:1" for one in range(100)]
        assert phone.put(f"{BOOK}{number}.vcf", card(f"{number}", "", *lines)).status == 201

    with db.read() as session:
        assert session.query(ClientProperty).count() == client_properties.MOST_NAMES

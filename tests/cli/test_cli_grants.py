"""``grant``, the owners of groups, and personal books: rights as an administrator sees them."""

from datetime import UTC, datetime, time, timedelta

import pytest

from radicale_shared import books, people
from radicale_shared.cli.moments import last_day, moment
from radicale_shared.models import now
from tests.conftest import card

LEADS = "sales/leads"


def only(rows, principal="user:carla"):
    return next(one for one in rows if one["principal"] == principal)


# -- add, change, remove, list -----------------------------------------------------------------------------------------


def test_grants_are_given_changed_listed_and_taken(cli, organisation):
    assert cli.json("grant", "add", LEADS, "user:carla", "viewer") == {
        "book": LEADS,
        "principal": "user:carla",
        "role": "viewer",
        "until": None,
        "hide": [],
        "ended": False,
        "created_at": only(cli.json("grant", "list", LEADS))["created_at"],
    }
    cli.done("grant", "change", LEADS, "user:carla", "curator")
    assert [(one["principal"], one["role"]) for one in cli.json("grant", "list", LEADS)] == [
        ("group:sales", "editor"),
        ("user:carla", "curator"),
    ]
    assert "user:carla" in cli.done("grant", "list", LEADS)
    cli.done("grant", "remove", LEADS, "user:carla")
    assert len(cli.json("grant", "list", LEADS)) == 1
    cli.done("grant", "add", "ada/contacts", "everyone", "viewer")
    assert "ada/contacts" in [one["book"] for one in cli.json("book", "list", "--user", "carla")]


def test_grants_that_cannot_be_are_refused(cli, organisation):
    there = cli.refused("grant", "add", LEADS, "group:sales", "viewer")
    assert f"Change it instead: radicale-shared grant change {LEADS} group:sales viewer" in there
    for unknown in (("grant", "add", LEADS, "user:nobody", "viewer"), ("device", "add", "nobody", "phone")):
        assert "People of a directory are known here once they have signed in." in cli.refused(*unknown)
    cli.refused("grant", "add", LEADS, "carla", "viewer")
    cli.refused("grant", "add", "sales/nothing", "user:carla", "viewer")
    cli.refused("grant", "change", LEADS, "user:carla", "viewer")
    cli.refused("grant", "remove", LEADS, "user:carla")
    cli.misused("grant", "add", LEADS, "user:carla", "king")
    assert "is over" in cli.refused("grant", "add", LEADS, "user:carla", "viewer", "--until", "2020-01-01")
    assert "can be hidden" in cli.refused("grant", "add", LEADS, "user:carla", "viewer", "--hide", "fn")
    assert "no date" in cli.misused("grant", "add", LEADS, "user:carla", "viewer", "--until", "soon")
    assert len(cli.json("grant", "list", LEADS)) == 1


def test_a_grant_lasts_through_its_last_day_and_hides_its_fields(cli, organisation):
    given = cli.json("grant", "add", LEADS, "user:carla", "viewer", "--until", "2100-12-31", "--hide", "TEL:Private")

    assert datetime.fromisoformat(given["until"]) == datetime(2101, 1, 1).astimezone()
    assert given["hide"] == ["tel:home"]
    assert only(cli.json("grant", "list", LEADS))["until"] == given["until"]
    assert ["user:carla", "viewer", "2100-12-31", "tel:home"] in [
        line.split()[:4] for line in cli.done("grant", "list", LEADS).splitlines()
    ]
    assert "viewer as user carla, until 2100-12-31, without tel:home" in cli.done("grant", "explain", "carla", LEADS)


def test_a_grant_is_told_as_a_sentence_with_its_limits_behind_the_book(cli, organisation):
    limits = ("--until", "2100-12-31", "--hide", "note", "--hide", "tel")
    told = cli.done("grant", "add", LEADS, "user:carla", "viewer", *limits)
    assert told == f"user:carla is viewer of {LEADS}, until 2100-12-31, without note, tel: read.\n"
    told = cli.done("grant", "change", LEADS, "user:carla", "editor", "--until", "never")
    assert told == f"Changed: user:carla is editor of {LEADS}, without note, tel.\n"


def test_a_change_keeps_what_it_does_not_name(cli, organisation):
    cli.done("grant", "add", LEADS, "user:carla", "viewer", "--until", "2100-12-31T17:00", "--hide", "note")
    change = ("grant", "change", LEADS, "user:carla")

    assert cli.json(*change, "editor")["hide"] == ["note"]
    assert cli.json(*change, "--hide", "tel", "--hide", "adr")["hide"] == ["adr", "tel"]
    changed = cli.json(*change, "--until", "never")
    assert (changed["role"], changed["until"], changed["hide"]) == ("editor", None, ["adr", "tel"])
    assert cli.json(*change, "--show-all")["hide"] == []
    cli.misused(*change)
    cli.misused(*change, "--show-all", "--hide", "tel")


def test_a_grant_to_a_domain_tells_how_many_people_it_reaches(cli, organisation):
    assert "Nobody is of example.org yet" in cli.done("grant", "add", LEADS, "domain:Example.org", "viewer")
    assert cli.json("grant", "list", LEADS)[1]["principal"] == "domain:example.org"
    with organisation.db.write() as session:
        session.execute(people.table(people.Principal).update().values(domain="example.net"))
    assert "It reaches 3 people today." in cli.done("grant", "add", LEADS, "domain:example.net", "viewer")
    cli.done("grant", "remove", LEADS, "domain:EXAMPLE.net")


def test_a_day_ends_at_midnight_here_and_is_told_as_that_day():
    end = moment("2026-12-31")

    assert end.astimezone().time() == time()
    assert end.astimezone().date().isoformat() == "2027-01-01"
    assert last_day(end) == "2026-12-31"
    assert moment("2026-12-31T17:00+02:00") == datetime(2026, 12, 31, 15, tzinfo=UTC)
    assert last_day(datetime(2026, 12, 31, 15, 30, tzinfo=UTC)).startswith("2026-12-3")
    assert last_day(None) == ""


# -- explain, who ------------------------------------------------------------------------------------------------------


def test_rights_are_explained_with_their_way(cli, organisation):
    told = cli.json("grant", "explain", "ada", LEADS)

    assert (told["role"], told["verbs"], told["hidden"]) == ("editor", ["read", "add", "edit"], [])
    assert told["reasons"] == [
        {
            "role": "editor",
            "until": None,
            "hide": [],
            "principal": "group:sales",
            "path": ["user ada", "group sales"],
        }
    ]
    assert "editor as user ada in group sales" in cli.done("grant", "explain", "ada", LEADS)


def test_the_absence_of_rights_is_explained_too(cli, organisation):
    assert cli.json("grant", "explain", "carla", LEADS)["verbs"] == []
    assert "nothing" in cli.done("grant", "explain", "carla", LEADS)
    cli.done("user", "disable", "ada")
    assert "disabled" in cli.done("grant", "explain", "ada", LEADS)
    cli.refused("grant", "explain", "nobody", LEADS)


def test_one_verb_is_explained_with_what_gives_it_or_who_could(cli, organisation):
    cli.done("grant", "add", LEADS, "everyone", "viewer")
    cli.done("grant", "add", LEADS, "user:carla", "manager")

    told = cli.json("grant", "explain", "ada", LEADS, "delete")
    assert (told["verb"], told["allowed"], told["deciders"]) == ("delete", False, ["Carla"])
    said = cli.done("grant", "explain", "ada", LEADS, "delete")
    assert said == "ada may not delete sales/leads.\nWho can give more: Carla.\n"
    said = cli.done("grant", "explain", "ada", LEADS, "edit")
    assert said == "ada may edit sales/leads.\n  editor as user ada in group sales\n"
    cli.misused("grant", "explain", "ada", LEADS, "fly")


def test_a_grant_that_ended_is_told(cli, organisation):
    cli.done("grant", "add", LEADS, "user:carla", "viewer", "--until", (now() + timedelta(seconds=1)).isoformat())
    with organisation.db.write() as session:
        grant = people.table(people.Grant)
        session.execute(
            grant.update().where(grant.c.until_at.is_not(None)).values(until_at=datetime(2026, 1, 1, 12, tzinfo=UTC))
        )

    assert only(cli.json("grant", "list", LEADS))["ended"] is True
    assert cli.json("grant", "explain", "carla", LEADS)["ended"][0]["role"] == "viewer"
    assert "ended: viewer as user carla, until 2026-01-01" in cli.done("grant", "explain", "carla", LEADS)
    assert "It has ended" in cli.done("grant", "change", LEADS, "user:carla", "editor")


def test_who_can_see_a_book_or_a_card_is_told_to_each_as_far_as_they_may_learn(cli, organisation):
    organisation.put("ada", "sales~leads", "bob.vcf", card("bob"))
    cli.done("grant", "add", LEADS, "user:carla", "viewer", "--hide", "note")

    told = cli.json("grant", "who", f"{LEADS}/bob.vcf")
    assert (told["book"], told["href"]) == (LEADS, "bob.vcf")
    assert [one["principal"] for one in told["principals"]] == ["group:sales", "user:carla"]
    assert [(one["login"], one["role"], one["hidden"]) for one in told["people"]] == [
        ("ada", "editor", []),
        ("ben", "editor", []),
        ("carla", "viewer", ["note"]),
    ]
    assert "editor as user ben in group sales" in cli.done("grant", "who", LEADS)
    assert cli.json("grant", "who", LEADS, "--as", "carla")["people"] is None
    assert "ben" not in cli.done("grant", "who", LEADS, "--as", "carla")
    cli.refused("grant", "who", LEADS, "--as", "nobody")
    cli.refused("grant", "who", f"{LEADS}/nothing.vcf")
    assert "can't read it" in cli.refused("grant", "who", "ada/contacts", "--as", "carla")


# -- owners of groups --------------------------------------------------------------------------------------------------


def test_the_owners_of_a_group_are_named_and_make_its_books(cli, organisation):
    assert cli.json("group", "owner", "add", "sales", "carla")["owners"] == ["carla"]
    assert cli.json("group", "show", "sales")["owners"] == ["carla"]
    assert cli.json("group", "list")[0]["owners"] == ["carla"]

    assert cli.json("book", "add", "sales/partners", "--as", "carla")["owner"] == "sales"
    made = cli.json("history", "show", "sales/partners")[0]
    assert (made["kind"], made["actor"].partition(" ")[0]) == ("create-book", "carla")
    cli.refused("book", "add", "sales/more", "--as", "ada")
    cli.refused("book", "add", "ada/more", "--as", "carla")

    assert cli.json("group", "owner", "remove", "sales", "user:carla")["owners"] == []
    cli.refused("group", "owner", "remove", "sales", "carla")
    cli.refused("book", "add", "sales/more", "--as", "carla")


# -- personal books ----------------------------------------------------------------------------------------------------


@pytest.fixture
def reading(cli):
    """The command line of administrators who may read personal books."""
    text = cli.config.read_text("utf-8")
    cli.config.write_text(text.replace("[auth]", "administrators_read_personal_books = True\n[auth]", 1), "utf-8")
    return cli


def test_the_cards_of_a_personal_book_are_their_owners_alone(cli, organisation, tmp_path):
    organisation.put("ada", "contacts", "a.vcf", card("a", "Secret Person"))
    organisation.put("ada", "contacts", "a.vcf", card("a", "Secret Woman"))

    for command in (
        ("export", "ada/contacts"),
        ("export", "ada/contacts", "-o", str(tmp_path / "out.vcf")),
        ("history", "restore", "ada/contacts", "a.vcf", "--revision", "2", "--dry-run"),
        ("history", "show", "ada/contacts", "--find", "secret"),
    ):
        assert "only ada reads it" in cli.refused(*command)
    for command in (
        ("history", "show"),
        ("history", "show", "ada/contacts"),
        ("history", "show", "ada/contacts/a.vcf"),
        ("book", "show", "ada/contacts"),
        ("db", "check"),
        ("grant", "who", "ada/contacts/a.vcf"),
    ):
        assert "Secret" not in cli.done(*command)
        assert "Secret" not in cli.done(*command, "--json")
    assert cli.json("history", "show", "--find", "secret") == []
    assert cli.json("book", "show", "ada/contacts")["personal"] is True
    assert "administrator-read" not in [one["kind"] for one in cli.json("history", "show", "ada/contacts")]


def test_administrators_still_import_bring_back_and_delete_in_a_personal_book(cli, organisation, write_vcf):
    cli.done("import", "ada/contacts", write_vcf("a.vcf", "bob"))
    organisation.remove("ada", "contacts", "bob.vcf")

    assert cli.json("history", "restore", "ada/contacts", "bob.vcf", "--revision", "2")["deleted"] is False
    cli.done("book", "delete", "ada/contacts")


def test_whose_a_personal_book_is_is_told_by_the_login_they_have_now(cli, organisation):
    cli.done("user", "rename", "ada", "ada@example.org")

    assert "only ada@example.org reads it" in cli.refused("export", "ada/contacts")


def test_where_they_may_read_each_look_is_a_deed_in_the_books_history(reading, organisation):
    organisation.put("ada", "contacts", "a.vcf", card("a", "Secret Person"))

    assert "Secret Person" in reading.done("export", "ada/contacts")
    assert reading.json("history", "show", "ada/contacts", "--find", "secret")[0]["name"] == "Secret Person"
    reading.done("history", "restore", "ada/contacts", "a.vcf", "--revision", "2", "--dry-run")
    deeds = [(one["kind"], one["reason"]) for one in reading.json("history", "show", "ada/contacts")][:4]
    assert deeds == [
        ("administrator-read", "history show"),
        ("administrator-read", "history restore"),
        ("administrator-read", "history show"),
        ("administrator-read", "export"),
    ]
    assert "Secret" not in reading.done("history", "show")


def test_reading_a_shared_book_leaves_no_deed(reading, organisation):
    before = organisation.book(LEADS)
    reading.done("export", LEADS)
    reading.done("history", "show", LEADS)

    assert [one["kind"] for one in reading.json("history", "show", LEADS)] == ["grant", "create-book"]
    assert organisation.book(LEADS) == before
    with organisation.db.read() as session:
        assert books.find(session, LEADS).revision == before.revision

"""``device``."""

import pytest

from radicale_shared import devices
from radicale_shared.access import Scope


@pytest.fixture
def sign_in(db):
    def do(login, password):
        secret = db.secret
        with db.read() as session:
            return devices.sign_in(session, login, password, secret=secret)

    return do


def test_a_password_is_printed_alone_on_the_first_line_and_signs_in(cli, organisation, sign_in):
    told = cli.done("device", "add", "ada", "Ada's phone")

    password, how = told.splitlines()
    found = sign_in("ada", password)
    assert (found.label, found.scope, found.merged) == ("Ada's phone", Scope(), None)
    assert "login ada" in how


def test_what_a_device_may_is_chosen_when_it_is_made(cli, organisation, sign_in, db):
    made = cli.json(
        *("device", "add", "user:ada", "tablet", "--read-only", "--merged"),
        *("--book", "sales/leads", "--book", "/ada/contacts/"),
    )

    assert (made["label"], made["read_only"], made["merged"]) == ("tablet", True, True)
    assert made["books"] == ["ada/contacts", "sales/leads"]
    found = sign_in("ada", made["password"])
    ids = frozenset(organisation.book(address).id for address in made["books"])
    assert (found.scope, found.phones_only, found.merged) == (Scope(ids, read_only=True), False, True)
    desk = cli.json("device", "add", "ada", "desk", "--phones-only", "--separate")
    assert (desk["books"], desk["phones_only"], desk["merged"]) == (None, True, False)


def test_devices_are_listed_without_their_passwords(cli, organisation):
    made = cli.json("device", "add", "ada", "phone", "--book", "sales/leads")
    cli.done("device", "add", "ada", "tablet")

    (first, second) = cli.json("device", "list", "ada")
    assert first == {key: value for key, value in made.items() if key != "password"}
    assert (second["label"], second["books"], second["last_used_at"]) == ("tablet", None, None)
    table = cli.done("device", "list", "ada")
    assert "sales/leads" in table
    assert " all " in table
    assert made["password"] not in table
    assert cli.json("device", "list", "ben") == []
    assert "device add" in cli.done("device", "list", "ben")


def test_a_book_in_the_trash_is_named_nowhere_and_comes_back(cli, organisation):
    cli.done("device", "add", "ada", "phone", "--book", "sales/leads")
    cli.done("book", "delete", "sales/leads")
    assert cli.json("device", "list", "ada")[0]["books"] == []
    cli.done("book", "undelete", "sales/leads")
    assert cli.json("device", "list", "ada")[0]["books"] == ["sales/leads"]


def test_a_revoked_device_is_out(cli, organisation, sign_in):
    made = cli.json("device", "add", "ada", "phone")

    assert "phone" in cli.done("device", "revoke", "ada", "Phone")

    assert sign_in("ada", made["password"]) is None
    assert "device list ada" in cli.refused("device", "revoke", "ada", "phone")


@pytest.mark.parametrize(
    "arguments",
    [
        ("ada", ""),
        ("ada", "phone", "--book", "ben/contacts"),
        ("ada", "phone", "--book", "nobody/books"),
        ("nobody", "phone"),
    ],
)
def test_what_can_be_no_device_is_refused(cli, organisation, arguments):
    cli.refused("device", "add", *arguments)

    assert cli.json("device", "list", "ada") == []


def test_a_label_that_is_taken_is_refused(cli, organisation):
    cli.done("device", "add", "ada", "phone")

    assert "already" in cli.refused("device", "add", "ada", "PHONE")


def test_making_and_revoking_is_in_the_history_and_the_password_is_not(cli, organisation):
    made = cli.json("device", "add", "ada", "phone")
    cli.done("device", "revoke", "ada", "phone")

    told = cli.done("history", "show")
    assert "add-device" in told
    assert "revoke-device" in told
    assert "ada: phone" in told
    assert devices.parse(made["password"])[6:] not in told.replace("-", "")

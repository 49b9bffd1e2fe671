"""``phone``."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from radicale_shared import phone_profiles
from radicale_shared.phones.formats import FORMATS
from tests.conftest import card

EVA = card("eva", "Eva", "ORG:Muster GmbH", "TEL;TYPE=WORK:030 1234567")


@pytest.fixture
def known(db):
    def by(token):
        secret = db.secret
        with db.read() as session:
            return phone_profiles.by_token(session, token, secret=secret)

    return by


@pytest.fixture
def eva(organisation):
    organisation.put("ada", "sales~leads", "eva.vcf", EVA)


@pytest.fixture
def desk(cli, organisation):
    """A phone of Ada's that shows one book."""
    return cli.json("phone", "add", "ada", "desk", "--make", "yealink", "--book", "sales/leads")


# -- making them -------------------------------------------------------------------------------------------------------


def test_a_new_phone_is_told_with_its_password_and_the_lines_for_its_configuration(cli, organisation, known):
    told = cli.done("phone", "add", "ada", "desk", "--make", "yealink")

    password = told.splitlines()[0]
    assert known(password).device.label == "desk"
    url = f"https://SERVER/p/{password.replace('-', '')}/"
    assert f"Its address: {url}" in told
    assert f"remote_phonebook.data.1.url = {url}yealink.xml?q=#SEARCH" in told
    assert "[phones]" in told  # where to say what SERVER is


def test_a_phone_is_told_where_it_reaches_the_server(cli, organisation, tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text('[phones]\nurl = "https://contacts.example.org/sub/"\n')
    ini = cli.config
    ini.write_text(ini.read_text().replace("[auth]", f"settings_file = {file}\n[auth]", 1))
    made = cli.json("phone", "add", "ada", "desk", "--make", "cisco")
    assert made["url"] == f"https://contacts.example.org/sub/p/{made['password'].replace('-', '')}/"
    assert made["url"] in made["setup"]
    assert "SERVER" not in cli.done("phone", "show", "ada", "desk")


def test_a_phone_that_signs_in_by_basic_has_no_password_in_its_address(cli, organisation, known):
    made = cli.json("phone", "add", "ada", "desk", "--make", "yealink", "--sign-in", "basic")
    assert made["url"] == "https://SERVER/p/-/"
    assert f"password = {made['password']}" in made["setup"]
    assert "username = ada" in made["setup"]
    assert known(made["password"]) is None


def test_everything_can_be_chosen_and_is_shown(cli, organisation):
    options = {
        "--order": "given",
        "--dial": "national",
        "--region": "fr",
        "--outside-prefix": "0",
        "--trunk": "+33 1 23 45",
        "--sign-in": "both",
        "--max-entries": "500",
        "--max-bytes": "100000",
        "--language": "de",
    }
    several = ("--field", "tel:work", "--field", "note", "--network", "10.20.0.0/16", "--network", "192.0.2.1")
    arguments = [part for pair in options.items() for part in pair]
    made = cli.json("phone", "add", "ada", "desk", "--make", "snom", "--book", "sales/leads", *arguments, *several)

    told = {key: made[key] for key in ("order", "dial", "region", "own_region", "outside_prefix", "trunk", "sign_in")}
    assert told == {
        **{"order": "given", "dial": "national", "region": "FR", "own_region": "FR", "outside_prefix": "0"},
        **{"trunk": "+3312345", "sign_in": "both"},
    }
    assert (made["max_entries"], made["max_bytes"], made["language"]) == (500, 100_000, "de")
    assert (made["books"], made["fields"]) == (["sales/leads"], ["note", "tel:work"])
    assert made["networks"] == ["10.20.0.0/16", "192.0.2.1/32"]
    shown = cli.json("phone", "show", "user:ada", "DESK")
    assert {**shown, "password": "", "url": "", "setup": ""} == {**made, "password": "", "url": "", "setup": ""}


@pytest.mark.parametrize("make", FORMATS)
def test_each_make_tells_lines_for_its_configuration(cli, organisation, make):
    made = cli.json("phone", "add", "ada", "desk", "--make", make)
    assert made["password"].replace("-", "") in made["setup"]
    assert (made["max_entries"], made["max_bytes"]) == (10_000, 0)  # its own limits are the format's


@pytest.mark.parametrize(
    "arguments",
    [
        ("ada", ""),
        ("ada", "x", "--book", "carla/contacts"),
        ("ada", "x", "--book", "nobody/here"),
        ("nobody", "x"),
        ("ada", "x", "--region", "XX"),
        ("ada", "x", "--field", "bday"),
        ("ada", "x", "--network", "office"),
        ("ada", "x", "--trunk", "030"),
        ("ada", "x", "--dial", "national"),
        ("ada", "x", "--outside-prefix", "0"),
        ("ada", "x", "--max-entries", "0"),
        ("ada", "desk"),
    ],
)
def test_a_phone_that_can_t_be_is_refused(cli, desk, arguments):
    cli.refused("phone", "add", *arguments, "--make", "yealink")
    assert [one["label"] for one in cli.json("phone", "list", "ada")] == ["desk"]


def test_a_phone_needs_a_make_that_is_known(cli, organisation):
    assert "--make" in cli.misused("phone", "add", "ada", "desk")
    assert "yealink" in cli.misused("phone", "add", "ada", "desk", "--make", "teapot")


# -- looking after them ------------------------------------------------------------------------------------------------


def test_phones_are_listed_for_one_person_and_for_all_and_never_with_a_password(cli, desk):
    cli.done("phone", "add", "ben", "hall", "--make", "snom")
    cli.done("device", "add", "ada", "tablet")
    (mine,) = cli.json("phone", "list", "ada")
    assert mine == {key: value for key, value in desk.items() if key not in {"password", "url", "setup"}}
    assert [(one["user"], one["label"]) for one in cli.json("phone", "list")] == [("ada", "desk"), ("ben", "hall")]
    table = cli.done("phone", "list")
    assert "sales/leads" in table
    assert "all\n" in table
    assert desk["password"] not in table
    assert "phone add" in cli.done("phone", "list", "carla")


def test_the_lines_are_shown_again_with_a_gap_or_with_the_password_of_who_has_kept_it(cli, desk):
    shown = cli.done("phone", "show", "ada", "desk")
    assert "https://SERVER/p/PASSWORD/yealink.xml" in shown
    assert "--password-stdin" in shown
    again = cli.json("phone", "show", "ada", "desk", "--password-stdin", stdin=desk["password"] + "\n")
    assert again["setup"] == desk["setup"]
    other = cli.json("phone", "add", "ada", "other", "--make", "yealink")["password"]
    for wrong in (other, "rs-nothing", "adaada"):
        assert "not the password" in cli.refused("phone", "show", "ada", "desk", "--password-stdin", stdin=wrong)


def test_what_was_chosen_is_changed_and_the_password_stays(cli, desk, known):
    cli.done("phone", "region", "DE")
    changed = cli.json(
        *("phone", "change", "ada", "desk", "--make", "cisco", "--dial", "national", "--outside-prefix", "0"),
        *("--network", "10.0.0.0/8", "--trunk", "+4930123", "--field", "tel:work"),
    )
    assert (changed["make"], changed["dial"], changed["books"]) == ("cisco", "national", ["sales/leads"])
    assert known(desk["password"]).make == "cisco"
    emptied = ("--network", "", "--trunk", "", "--outside-prefix", "")
    again = cli.json("phone", "change", "ada", "desk", *emptied)
    assert (again["networks"], again["trunk"], again["outside_prefix"]) == ([], "", "")
    assert (again["make"], again["dial"], again["fields"]) == ("cisco", "national", ["tel:work"])
    # Where it stands is the server's matter still.
    assert (again["region"], again["own_region"]) == ("DE", "")
    cli.refused("phone", "change", "ada", "nothing", "--dial", "00")
    cli.refused("phone", "change", "ada", "desk", "--field", "")


def test_that_the_lines_are_others_now_is_told(cli, desk):
    told = "radicale-shared phone show ada desk"
    assert told not in cli.done("phone", "change", "ada", "desk", "--order", "given")
    assert told in cli.done("phone", "change", "ada", "desk", "--sign-in", "basic")
    assert told in cli.done("phone", "change", "ada", "desk", "--make", "snom")


def test_a_revoked_phone_is_out(cli, desk, known):
    cli.done("device", "add", "ada", "tablet")
    assert "desk" in cli.done("phone", "revoke", "ada", "Desk")
    assert known(desk["password"]) is None
    assert "phone list ada" in cli.refused("phone", "revoke", "ada", "desk")
    cli.refused("phone", "revoke", "ada", "tablet")  # no phone


def test_the_makes_are_listed_with_their_limits(cli, organisation):
    made = {one["make"]: one for one in cli.json("phone", "makes")}
    assert set(made) == set(FORMATS)
    assert all(one["source"] and one["answers"] for one in made.values())
    assert "yealink.xml" in cli.done("phone", "makes")


# -- trying ------------------------------------------------------------------------------------------------------------


def test_a_preview_is_exactly_what_the_phone_gets(cli, desk, eva):
    cli.done("phone", "region", "DE")
    result = cli.run("phone", "preview", "ada", "desk")
    assert result.exit_code == 0
    told = cli.json("phone", "preview", "ada", "desk")
    assert result.stdout_bytes == told["body"].encode()
    assert len(result.stdout_bytes) == told["bytes"]
    assert "+49301234567" in result.stdout
    assert "Nobody is left out." in result.stderr
    assert (told["path"], told["status"], told["left_out"]) == ("yealink.xml", 200, [])


def test_a_preview_tells_who_is_left_out_and_why(cli, desk, eva, organisation):
    organisation.put("ada", "sales~leads", "silent.vcf", card("silent"))
    result = cli.run("phone", "preview", "ada", "desk")
    assert "Left out: 1 contact, as it has no number that the phone shows; e.g. Silent" in result.stderr
    (row,) = cli.json("phone", "preview", "ada", "desk")["left_out"]
    assert (row["contacts"], row["example"]) == (1, "Silent")


def test_a_preview_is_of_what_somebody_types_or_of_another_answer(cli, desk, eva, organisation):
    organisation.put("ada", "sales~leads", "bob.vcf", card("bob", "Bob", "TEL:+49 30 7654321"))
    assert "Eva" not in cli.done("phone", "preview", "ada", "desk", "--query", "bo")
    assert "Bob" in cli.done("phone", "preview", "ada", "desk", "--parameter", "q=bo")
    assert "YealinkIPPhoneBook" in cli.done("phone", "preview", "ada", "desk", "--path", "yealink-book.xml")
    assert "yealink-book.xml" in cli.refused("phone", "preview", "ada", "desk", "--path", "nothing.xml")
    cli.misused("phone", "preview", "ada", "desk", "--parameter", "q")


def test_a_preview_tells_what_is_hidden_from_the_phone(cli, desk, eva, organisation):
    organisation.put("ada", "sales~leads", "bob.vcf", card("bob", "Bob", "TEL:+49 30 7654321"))
    assert cli.json("phone", "preview", "ada", "desk")["hidden"] == []
    cli.done("phone", "hide", "sales/leads/bob.vcf")
    assert cli.json("phone", "preview", "ada", "desk")["hidden"] == [{"book": "sales/leads", "cards": 1}]
    assert "Hidden from phones: 1 card of 'sales/leads'." in cli.run("phone", "preview", "ada", "desk").stderr
    cli.done("phone", "hide", "sales/leads")
    assert cli.json("phone", "preview", "ada", "desk")["hidden"] == [{"book": "sales/leads", "cards": None}]
    assert "Hidden from phones: all of 'sales/leads'." in cli.run("phone", "preview", "ada", "desk").stderr


def test_a_phone_whose_owner_is_disabled_has_no_preview(cli, desk, eva):
    cli.done("user", "disable", "ada")
    assert "'ada' is disabled" in cli.refused("phone", "preview", "ada", "desk")
    assert "'ada' is disabled" in cli.refused("phone", "lookup", "ada", "desk", "030 1234567")


def test_a_caller_is_looked_up(cli, desk, eva):
    cli.done("phone", "region", "DE")
    assert cli.done("phone", "lookup", "ada", "desk", "030/1234567") == "Eva (Muster GmbH)\n"
    nobody = cli.run("phone", "lookup", "ada", "desk", "030/7654321")
    assert (nobody.exit_code, nobody.stdout) == (0, "")
    assert "Nobody" in nobody.stderr
    found = cli.json("phone", "lookup", "ada", "desk", "+49301234567")
    assert (found["match"], found["name"], found["company"]) == ("exact", "Eva", "Muster GmbH")
    assert "<caller" in cli.done("phone", "lookup", "ada", "desk", "0301234567", "--format", "xml")


def test_that_an_administrator_looked_into_a_personal_book_is_written_down(cli, organisation):
    ini = cli.config
    ini.write_text(ini.read_text().replace("[auth]", "administrators_read_personal_books = True\n[auth]", 1))
    organisation.put("ada", "contacts", "eva.vcf", EVA)
    cli.done("phone", "add", "ada", "desk", "--make", "yealink")
    cli.done("phone", "preview", "ada", "desk")
    cli.done("phone", "lookup", "ada", "desk", "110")
    deeds = [one for one in cli.json("history", "show", "ada/contacts") if one["kind"] == "administrator-read"]
    assert {"phone preview", "phone lookup"} <= {one["reason"] for one in deeds}


def test_an_administrator_who_may_not_read_personal_books_gets_no_preview_of_them(cli, organisation):
    organisation.put("ada", "contacts", "eva.vcf", EVA)
    cli.done("phone", "add", "ada", "desk", "--make", "yealink")
    cli.done("phone", "add", "ada", "hall", "--make", "yealink", "--book", "sales/leads")
    cli.done("phone", "preview", "ada", "hall")
    cli.done("phone", "add", "ben", "desk", "--make", "yealink")
    cli.done("phone", "preview", "ben", "desk")  # whose personal book is empty
    told = cli.refused("phone", "preview", "ada", "desk")
    assert "personal book" in told
    assert "phone add --book" in told
    cli.refused("phone", "lookup", "ada", "desk", "030 1234567")
    cli.done("phone", "preview", "ada", "hall")


# -- what of the books -------------------------------------------------------------------------------------------------


def test_a_book_or_a_card_is_hidden_from_phones_and_shown_again(cli, desk, eva):
    assert "Eva" in cli.done("phone", "preview", "ada", "desk")
    for what in ("sales/leads", "sales/leads/eva.vcf", "ada/sales~leads/eva.vcf"):
        told = cli.json("phone", "hide", what)
        assert (told["book"], told["hidden"], told["changed"]) == ("sales/leads", True, True)
        assert "already" in cli.done("phone", "hide", what)
        assert "Eva" not in cli.done("phone", "preview", "ada", "desk")
        assert cli.json("phone", "unhide", what)["changed"]
        assert "Eva" in cli.done("phone", "preview", "ada", "desk")
    cli.refused("phone", "hide", "sales/nothing")
    cli.refused("phone", "hide", "sales/leads/nobody.vcf")


def test_what_is_hidden_is_listed(cli, eva, organisation):
    assert "Nothing is hidden" in cli.done("phone", "hidden")
    cli.done("phone", "hide", "ada/contacts")
    cli.done("phone", "hide", "sales/leads/eva.vcf")
    assert cli.json("phone", "hidden") == [
        {"book": "ada/contacts", "href": None},
        {"book": "sales/leads", "href": "eva.vcf"},
    ]
    assert cli.json("phone", "hidden", "sales/leads") == [{"book": "sales/leads", "href": "eva.vcf"}]


def test_that_something_was_hidden_stands_in_the_history(cli, eva, organisation):
    cli.done("phone", "hide", "sales/leads/eva.vcf")
    cli.done("phone", "unhide", "sales/leads/eva.vcf")
    kinds = [one["kind"] for one in cli.json("history", "show", "sales/leads")]
    assert {"hide-from-phones", "show-on-phones"} <= set(kinds)


def test_a_region_is_said_for_the_server_and_for_a_book(cli, desk, eva):
    def match():
        return cli.json("phone", "lookup", "ada", "desk", "+49301234567")["match"]

    assert cli.json("phone", "region") == {"region": "", "books": {}, "remade": 0}
    assert "nowhere" in cli.done("phone", "region")
    assert match() == "suffix"
    told = cli.json("phone", "region", "de")
    assert (told["region"], told["remade"] > 0) == ("DE", True)
    assert match() == "exact"
    told = cli.json("phone", "region", "FR", "--book", "sales/leads")
    assert (told["region"], told["books"], told["remade"]) == ("DE", {"sales/leads": "FR"}, 1)
    assert match() == "suffix"
    assert "FR" in cli.done("phone", "region")
    assert cli.json("phone", "region", "", "--book", "sales/leads")["books"] == {}
    told = cli.done("phone", "region", "--book", "sales/leads")
    assert [line.split() for line in told.splitlines() if "sales" in line] == [
        ["sales/leads", "DE,", "as", "the", "server"]
    ]
    cli.refused("phone", "region", "--book", "sales/nothing")
    cli.refused("phone", "region", "XX")
    cli.refused("phone", "region", "DE", "--book", "sales/nothing")


# -- the document ------------------------------------------------------------------------------------------------------

DOCUMENT = (Path(__file__).parents[2] / "docs" / "phones.md").read_text("utf-8")
TEMPLATES = re.findall(r"^```xml\n(.*?)^```", DOCUMENT, flags=re.DOTALL | re.MULTILINE)


def test_the_template_of_an_exchange_names_what_a_lookup_answers(cli, desk, eva):
    found = cli.json("phone", "lookup", "ada", "desk", "030 1234567")
    (template,) = [ElementTree.fromstring(one.strip()) for one in TEMPLATES if "<Crm" in one]
    paths = {one.get("Path") for one in template.iter("Variable")} | {one.text for one in template.iter("Rule")}
    assert paths <= set(found)
    assert not paths & set(cli.json("phone", "lookup", "ada", "desk", "030 7654321"))
    known = {f"[{one.get('Name')}]" for one in (*template.iter("Variable"), *template.iter("Parameter"))}
    assert {one.get("Value") for one in template.iter("Output")} <= known | {"[Number]"}


def test_the_templates_are_well_formed():
    assert len(TEMPLATES) == 3
    for one in TEMPLATES:
        ElementTree.fromstring(one)


def test_the_numbers_of_the_document_are_dialled_so(cli, organisation):
    """Its table: on the card, then each way to dial."""
    rows = re.findall(r"^\| `([0-9+][^`|]*)` \| (`[^|]*`) \| (`[^|]*`) \| (`[^|]*`) \| (`[^|]*`) \|$", DOCUMENT, re.M)
    assert len(rows) == 3
    ways = [("e164", ""), ("00", ""), ("national", ""), ("national", "0")]
    cli.done("phone", "region", "DE")
    for number, (written, *_) in enumerate(rows):
        organisation.put("ada", "sales~leads", f"{number}.vcf", card(f"n{number}", f"N{number}", f"TEL:{written}"))
    for number, (dial, prefix) in enumerate(ways):
        arguments = ("--dial", dial, "--outside-prefix", prefix, "--book", "sales/leads")
        cli.done("phone", "add", "ada", f"desk {number}", "--make", "yealink", *arguments)
        shown = cli.done("phone", "preview", "ada", f"desk {number}")
        assert set(re.findall(r"<Telephone[^>]*>([^<]*)<", shown)) == {row[1 + number].strip("`") for row in rows}

"""``guard``, and an import that the guard stops."""

import json

import pytest

from radicale_shared import blocks, cards, notices, reading
from radicale_shared.access import administrator
from radicale_shared.changes import Actor
from radicale_shared.errors import GuardedError
from radicale_shared.notices import Channels
from tests.conftest import card
from tests.telling.receivers import MailServer, Webhook

FULL = ("TEL:1", "EMAIL:a@example.org", "NOTE:n")
PHONE = Actor(None, "ada", "phone\x1b[2J", "Phone/1", "192.0.2.1")


@pytest.fixture
def stopped(organisation):
    """Makes a phone that was stopped in a book; gives the block's number."""

    def stop(address="sales/leads", name="sales~leads"):
        db = organisation.db
        for one in range(14):
            organisation.put("ada", name, f"{one}.vcf", card(f"{one}", "", *FULL))
        whole = administrator(organisation.book(address))
        for one in range(14):
            try:
                with db.write(whole.book.id) as session:
                    cards.remove(session, whole, f"{one}.vcf", by=PHONE)
            except GuardedError as error:
                blocks.record(db, error)
                break
        with db.read() as session:
            return blocks.standing(session, [whole.book.id])[0].id

    return stop


def test_who_was_stopped_is_listed_released_and_kept(cli, stopped):
    assert cli.done("guard", "list") == "No device is stopped.\n"
    number = stopped()
    (block,) = cli.json("guard", "list")
    assert (block["block"], block["book"], block["destroyed"], block["of_cards"]) == (number, "sales/leads", 10, 14)
    text = cli.done("guard", "list")
    assert (
        text.splitlines()[0]
        == f"Block {number}  sales/leads  phone\ufffd[2J (Phone/1) of ada  10 of 14 cards destroyed"
    )
    assert "stopped until" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text

    assert cli.json("guard", "release", str(number))["stands"] is False
    assert cli.json("guard", "list") == []
    assert len(cli.json("guard", "list", "--all")) == 1
    assert "released by" in cli.done("guard", "list", "--all")
    assert "has ended" in cli.refused("guard", "release", str(number))
    assert "no block" in cli.refused("guard", "release", "99")


def test_what_was_destroyed_is_looked_at_and_brought_back(cli, stopped, organisation):
    number = str(stopped())
    looked = cli.json("guard", "revert", number, "--dry-run")
    assert (looked["act"], len(looked["steps"])) == (None, 10)
    assert organisation.book("sales/leads").card_count == 4

    done = cli.json("guard", "revert", number, "--release")

    assert organisation.book("sales/leads").card_count == 14
    assert done["released"] is True
    (block,) = cli.json("guard", "list", "--all")
    assert block["reverted_act"] == done["act"]
    again = cli.json("guard", "revert", number)
    assert {one["what"] for one in again["steps"]} <= {"nothing", "conflict"}
    assert organisation.book("sales/leads").card_count == 14


def test_of_a_personal_book_no_name_is_told(cli, stopped):
    number = str(stopped("ada/contacts", "contacts"))

    assert {one["name"] for one in cli.json("guard", "revert", number, "--dry-run")["steps"]} == {""}


def test_a_book_has_rules_of_its_own(cli, organisation):
    cli.done("guard", "set", "sales/leads", "--cards", "3", "--percent", "1")
    cli.done("guard", "set", "sales/leads", "--role", "curator", "--off")
    told = cli.json("guard", "show", "sales/leads")
    assert told["rules"] == [
        {"role": None, "guard": "on", "cards": 3, "percent": 1, "from": "book"},
        {"role": "curator", "guard": "off", "cards": None, "percent": None, "from": "book"},
    ]
    assert "curator" in cli.done("guard", "show", "sales/leads")

    cli.done("guard", "set", "sales/leads", "--default")
    cli.done("guard", "set", "sales/leads", "--role", "curator", "--default")
    (rule,) = cli.json("guard", "show", "sales/leads")["rules"]
    assert rule == {"role": None, "guard": "on", "cards": 10, "percent": 5, "from": "settings"}


@pytest.mark.parametrize(
    "wrong", [[], ["--off", "--cards", "1"], ["--off", "--default"], ["--cards", "-1"], ["--role", "king", "--off"]]
)
def test_a_rule_that_can_t_be_is_wrong_usage(cli, organisation, wrong):
    cli.misused("guard", "set", "sales/leads", *wrong)


def test_a_clean_up_is_announced(cli, organisation):
    assert cli.json("guard", "announce", "sales/leads", "ada", "--hours", "3")["user"] == "ada"
    (one,) = cli.json("guard", "show", "sales/leads")["clean_ups"]
    assert one["user"] == "ada"
    assert "no user" in cli.refused("guard", "announce", "sales/leads", "nobody")
    cli.misused("guard", "announce", "sales/leads", "ada", "--hours", "25")


# -- notices -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def told(tmp_path, configuration, db):
    """Writes a settings file with a mail server and a webhook, and gives both."""
    mail, hook = MailServer(), Webhook()
    lines = [
        "[notify]",
        f'smtp_host = "127.0.0.1"\nsmtp_port = {mail.port}\nsmtp_security = "none"',
        'mail_from = "rs@example.org"\nmail_to = ["it@example.org"]',
        f'webhook_url = "{hook.url}"\ntimeout_seconds = 5',
    ]
    (tmp_path / "settings.toml").write_text("\n".join(lines), "utf-8")
    path = configuration(db.url)
    path.write_text(path.read_text().replace("[auth]", f"settings_file = {tmp_path}/settings.toml\n[auth]", 1))
    yield mail, hook
    mail.close()
    hook.close()


def test_a_test_notice_goes_to_every_channel_and_what_fails_is_told(cli, told):
    mail, hook = told
    sent = cli.json("guard", "notify", "--test")
    assert [(one["channel"], one["problem"]) for one in sent] == [("mail", None), ("webhook", None)]
    assert (len(mail.mails), len(hook.requests)) == (1, 1)

    mail.answers["RCPT"] = "550 nobody here"
    failed = cli.run("guard", "notify", "--test")
    assert failed.exit_code == 1
    assert "550 nobody here" in failed.stdout


def test_what_is_due_is_sent_and_what_fails_is_told(cli, told, db):
    mail, hook = told
    hook.answers.append(500)
    with db.write() as session:
        notices.add(session, Channels(mail=True, mail_to=("it@example.org",), webhook=True), "s", "t", {})
    result = cli.run("guard", "notify", "--json")

    facts = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (facts["sent"], facts["failed"], facts["waiting"]) == (1, 1, 1)
    assert facts["problems"][0]["failure"] == "the webhook answered 500"
    assert len(mail.mails) == 1


def test_without_anybody_to_tell_a_test_is_refused(cli):
    assert "mail_to" in cli.refused("guard", "notify", "--test")
    assert cli.json("guard", "notify")["sent"] == 0


# -- imports -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def thin(tmp_path, organisation):
    """A file with the names alone of the cards of sales/leads."""
    for one in range(20):
        organisation.put("ada", "sales~leads", f"{one}.vcf", card(f"{one}", "", *FULL))
    path = tmp_path / "thin.vcf"
    path.write_bytes(b"".join(card(f"{one}") for one in range(20)))
    return str(path)


def stored_whole(organisation):
    access = organisation.access("ada", "sales~leads")
    with organisation.db.snapshot() as session:
        return sum(b"NOTE:n" in one.data for one in reading.every(session, access))


def test_an_import_that_empties_cards_is_stopped_and_goes_on_where_it_is_allowed(cli, organisation, thin):
    cli.refused("import", "sales/leads", thin, "--dry-run")
    assert cli.json("guard", "list") == []
    said = cli.refused("import", "sales/leads", thin)

    assert "--allow-emptying" in said
    assert "10 cards are in" in said
    assert stored_whole(organisation) == 10
    (block,) = cli.json("guard", "list")
    assert block["device"] == "command line"
    cli.refused("import", "sales/leads", thin)
    assert stored_whole(organisation) == 10

    cli.done("import", "sales/leads", thin, "--allow-emptying")
    assert stored_whole(organisation) == 0


def test_an_import_that_only_adds_and_edits_is_not_stopped(cli, organisation, thin, write_vcf):
    cli.done("import", "sales/leads", write_vcf("new.vcf", *(f"new{one}" for one in range(30))))
    cli.done("import", "sales/leads", write_vcf("new.vcf", *(f"new{one}" for one in range(30)), note="edited"))

    assert cli.json("guard", "list") == []

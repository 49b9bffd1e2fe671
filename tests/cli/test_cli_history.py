"""``history`` on the command line: who did what, what differs, and taking it back."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from radicale_shared import cards, history, slices
from radicale_shared.access import administrator
from radicale_shared.changes import Actor
from radicale_shared.cli import moments
from radicale_shared.models import Act, table
from tests.conftest import card

LEADS = "sales/leads"
PHONE = Actor(None, "ada", device="iPhone of ada", user_agent="iOS/17.4 dataaccessd/1.0")
LAPTOP = Actor(None, "ben", device="Thunderbird/.", user_agent="Thunderbird/115.9.0")


@pytest.fixture
def writing(organisation, db):
    """Writes or deletes cards of sales/leads as somebody."""

    def write(by, href, data=None):
        book = organisation.book(LEADS)
        with db.write(book.id) as session:
            whole = administrator(book)
            if data is None:
                cards.remove(session, whole, href, by=by, policy=None)
            else:
                cards.put(session, whole, href, cards.check(data), secret=db.secret, by=by)

    return write


@pytest.fixture
def worked(writing):
    """Ada's phone has changed a number and deleted a card; Ben has written a note since."""
    writing(LAPTOP, "a.vcf", card("a", "Ada", "TEL:+49 30 1"))
    writing(LAPTOP, "b.vcf", card("b", "Bob"))
    writing(PHONE, "a.vcf", card("a", "Ada", "TEL:+49 30 2"))
    writing(PHONE, "b.vcf")
    writing(LAPTOP, "a.vcf", card("a", "Ada", "TEL:+49 30 2", "NOTE:mine"))


@pytest.mark.usefixtures("worked")
def test_a_card_shows_who_changed_what_from_what_to_what(cli):
    told = cli.done("history", "show", "sales/leads/a.vcf")
    entries = cli.json("history", "show", "sales/leads/a.vcf")

    assert "TEL  +49 30 1 -> +49 30 2" in told
    assert "NOTE  (none) -> mine" in told
    assert [one["actor"] for one in entries] == ["ben", "ada", "ben"]
    changed = {"change": "changed", "name": "TEL", "before": "+49 30 1", "after": "+49 30 2"}
    assert entries[1]["differences"] == [changed]
    assert cli.json("history", "show", LEADS)[0]["differences"] is None
    assert cli.json("history", "show", LEADS, "--diff")[0]["differences"] != []


@pytest.mark.usefixtures("worked")
def test_the_history_is_narrowed_down(cli):
    every = cli.json("history", "show", LEADS)
    deletion = next(one for one in every if one["change"] == "deleted")

    def acts(*arguments):
        return [one["act"] for one in cli.json("history", "show", LEADS, *arguments)]

    assert len(acts("--person", "ada")) == len(acts("--device", "iphone")) == 2
    assert acts("--act", str(deletion["act"])) == [deletion["act"]]
    assert acts("--since", "2h") == [one["act"] for one in every]
    assert acts("--until", "2h") == []
    assert acts("--since", deletion["at"], "--until", deletion["at"]) == [deletion["act"]]
    assert "No such deed" in cli.done("history", "show", "--person", "carla")
    cli.misused("history", "show", "--since", "yesterday")


def test_times_are_read_as_ago_as_days_and_as_moments():
    now = datetime.now(UTC)
    assert abs(moments.past("2h") - (now - timedelta(hours=2))) < timedelta(minutes=1)
    assert moments.past("2026-03-01T10:00:00+02:00") == datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert moments.past("2026-03-01", until=True) - moments.past("2026-03-01") == timedelta(days=1)
    assert [moments.counts_from_now(one) for one in ("3d", "2026-03-01", "")] == [True, False, False]


def test_a_rampage_is_one_line_in_the_morning_and_one_command_takes_it_back(cli, db, organisation, writing):
    start = datetime.now(UTC).replace(hour=3, minute=12) - timedelta(days=1)
    for number in range(12):
        writing(LAPTOP, f"{number}.vcf", card(str(number)))
        writing(PHONE, f"{number}.vcf")
    with db.write() as session:
        rampage = [one.act_id for one in history.entries(session) if one.actor == "ada"]
        for number, act_id in enumerate(reversed(rampage)):
            moment = {"at": start + timedelta(seconds=10 * number)}
            session.execute(update(table(Act)).where(table(Act).c.id == act_id).values(**moment))

    told = cli.done("history", "summary", LEADS, "--since", "3d", "--person", "ada")
    (line,) = cli.json("history", "summary", "--since", "3d", "--person", "ada")
    until = (start + timedelta(minutes=5)).isoformat()
    done = cli.json(
        *("history", "undo", "--book", LEADS, "--device", "iphone", "--since", start.isoformat(), "--until", until)
    )

    assert re.search(r"03:12-03:1[34]  ada \(iPhone of ada .*\)  12 deleted", told)
    assert (line["deleted"], line["device"], len(line["acts"])) == (12, PHONE.device, 12)
    assert done["counts"]["restored"] == 12
    assert organisation.book(LEADS).card_count == 12
    assert "with iPhone of ada since" in cli.json("history", "show", LEADS, "--limit", "1")[0]["reason"]
    assert "Nothing has happened" in cli.done("history", "summary", "--person", "carla")
    cli.refused("history", "summary", "sales/leads/a.vcf")


@pytest.mark.usefixtures("worked")
def test_an_undo_says_before_and_afterwards_what_it_does(cli, organisation):
    words = ("history", "undo", "--book", LEADS, "--person", "ada", "--since", "1h")

    dry = cli.done(*words, "--dry-run")
    steps = cli.json(*words, "--dry-run")["steps"]
    assert "TEL  +49 30 2 -> +49 30 1" in dry
    assert "1 to be brought back, 1 to be changed back" in dry
    assert [(one["href"], one["what"]) for one in steps] == [("a.vcf", "changed"), ("b.vcf", "restored")]
    assert organisation.book(LEADS).card_count == 1

    done = cli.done(*words)
    assert "1 brought back, 1 changed back" in done
    number = re.search(r"history undo (\d+)", done)[1]
    assert cli.run("export", LEADS).stdout_bytes == card("a", "Ada", "TEL:+49 30 1", "NOTE:mine") + card("b", "Bob")
    again = cli.json("history", "undo", number)
    assert (again["counts"]["changed"], again["counts"]["deleted"]) == (1, 1)
    assert again["act"] in again["acts"]


@pytest.mark.usefixtures("worked")
def test_where_later_work_stays_the_undo_tells_it_and_is_done(cli, writing):
    writing(LAPTOP, "a.vcf", card("a", "Ada", "TEL:+49 30 3", "NOTE:mine"))

    told = cli.done("history", "undo", "--book", LEADS, "--card", "a.vcf", "--person", "ada")

    assert "stays TEL:+49 30 3" in told
    assert "not TEL:+49 30 1" in told
    assert "later work stays" in told


@pytest.mark.usefixtures("worked")
def test_one_property_and_a_book_as_of_a_moment_are_taken_back(cli):
    moment = cli.json("history", "show", "sales/leads/b.vcf")[-1]["at"]

    cli.done("history", "undo", "--book", LEADS, "--card", "a.vcf", "--property", "note")
    assert cli.run("export", LEADS).stdout_bytes == card("a", "Ada", "TEL:+49 30 2")
    cli.done("history", "undo", "--book", LEADS, "--as-of", moment)
    assert cli.run("export", LEADS).stdout_bytes == card("a", "Ada", "TEL:+49 30 1") + card("b", "Bob")


@pytest.mark.usefixtures("worked")
def test_what_differs_between_two_states_or_by_a_deed(cli):
    told = cli.done("history", "diff", "sales/leads/a.vcf", "--from", "2")
    (whole,) = cli.json("history", "diff", "sales/leads/a.vcf", "--from", "2")
    (last,) = cli.json("history", "diff", "sales/leads/a.vcf")
    act = cli.json("history", "show", "sales/leads/a.vcf")[1]["act"]
    (deed,) = cli.json("history", "diff", "--act", str(act))

    assert "TEL  +49 30 1 -> +49 30 2" in told
    assert [one["name"] for one in whole["differences"]] == ["TEL", "NOTE"]
    assert [one["name"] for one in last["differences"]] == ["NOTE"]
    assert [one["name"] for one in deed["differences"]] == ["TEL"]
    (same,) = cli.json("history", "diff", "sales/leads/a.vcf", "--from", "4", "--to", "4")
    assert same["differences"] == []
    cli.misused("history", "diff")
    cli.misused("history", "diff", "sales/leads/a.vcf", "--act", "1")
    cli.refused("history", "diff", "sales/leads/nobody.vcf")
    cli.refused("history", "diff", LEADS)
    cli.refused("history", "diff", "sales/leads/a.vcf", "--to", "1")


def test_personal_books_are_taken_back_unseen(cli, organisation):
    organisation.put("ada", "contacts", "x.vcf", card("x", "Secret Name", "NOTE:secret"))
    organisation.put("ada", "contacts", "x.vcf", card("x", "Secret Name", "NOTE:Secret too"))

    cli.refused("history", "diff", "ada/contacts/x.vcf")
    for words in ((), ("--dry-run",), ("--json",), ("--json", "--dry-run")):
        result = cli.run("history", "undo", "--book", "ada/contacts", "--card", "x.vcf", "--property", "NOTE", *words)
        assert result.exit_code == 0
        assert "ecret" not in result.output
    assert "ecret" not in cli.done("history", "show", "ada/contacts/x.vcf")


@pytest.mark.usefixtures("worked")
def test_an_undo_that_cannot_be_is_refused_and_one_that_says_nothing_misused(cli):
    cli.misused("history", "undo")
    cli.misused("history", "undo", "--card", "a.vcf")
    cli.misused("history", "undo", "--as-of", "2h")
    cli.misused("history", "undo", "--book", LEADS, "--as-of", "2h", "--person", "ada")
    cli.misused("history", "undo", "--person", "ada")
    cli.refused("history", "undo", "999999")
    cli.refused("history", "undo", "--book", "sales/nothing", "--since", "2h")
    cli.refused("history", "undo", "--book", LEADS, "--since", "2h", "--person", "carla")
    cli.refused("history", "undo", "--book", LEADS, "--since", "2h", "--device", "no such device")
    assert "may be several" in cli.refused("history", "undo", "--book", LEADS, "--since", "2h", "--device", "e")


@pytest.mark.usefixtures("worked")
def test_an_interrupted_undo_is_listed_and_finished_by_the_same_command(cli, monkeypatch):
    def cut():
        raise KeyboardInterrupt

    monkeypatch.setattr(slices, "MOST_CARDS", 1)
    monkeypatch.setattr(slices, "pause", cut)
    words = ("history", "undo", "--book", LEADS, "--person", "ada", "--since", "2h")
    cli.run(*words)
    monkeypatch.undo()
    (left,) = cli.json("history", "undo", "--list-unfinished")
    assert str(left["act"]) in cli.done("history", "undo", "--list-unfinished")

    assert f"went on with act {left['act']}" in cli.done(*words)
    assert "None." in cli.done("history", "undo", "--list-unfinished")
    assert cli.run("export", LEADS).stdout_bytes == card("a", "Ada", "TEL:+49 30 1", "NOTE:mine") + card("b", "Bob")

"""``book`` and ``grant``."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from radicale_shared import history, mirrored
from radicale_shared.cli import book as book_commands
from radicale_shared.models import Act, Book, now, table
from tests.conftest import card


def test_a_book_of_a_user_is_found_by_login_or_slug(cli, organisation):
    cli.done("user", "rename", "ada", "ada.winter")

    assert cli.json("book", "add", "ada/friends", "--name", "Friends")["book"] == "ada/friends"
    made = cli.json("book", "add", "ada.winter/family")
    assert (made["book"], made["name"], made["owner"], made["cards"]) == ("ada/family", "family", "ada", 0)


def test_the_next_command_for_a_group_s_book_works_as_printed(cli, organisation):
    said = cli.done("book", "add", "sales/fairs")
    command = said.split("radicale-shared ", 1)[1].split()

    assert cli.json("book", "list", "--user", "ada")[-1]["book"] == "sales/leads"
    cli.done(*command)

    assert "sales/fairs" in [one["book"] for one in cli.json("book", "list", "--user", "ada")]


def test_a_book_is_refused_where_the_owner_or_a_free_legal_name_is_missing(cli, organisation):
    cli.refused("book", "add", "nobody/x")
    cli.refused("book", "add", "ada/contacts")
    cli.refused("book", "add", "ada/all")
    cli.refused("book", "add", "ada/Ümlaut")
    cli.misused("book", "add", "ada")
    cli.misused("book", "add", "ada/a/b")


def test_books_are_listed_for_all_and_as_one_user_sees_them(cli, organisation):
    assert [one["book"] for one in cli.json("book", "list")] == [
        "ada/contacts",
        "ben/contacts",
        "carla/contacts",
        "sales/leads",
    ]
    assert [(one["book"], one["role"], one["url"]) for one in cli.json("book", "list", "--user", "ben")] == [
        ("ben/contacts", "owner", "/ben/contacts/"),
        ("sales/leads", "editor", "/ben/sales~leads/"),
    ]
    assert [one["book"] for one in cli.json("book", "list", "--user", "carla")] == ["carla/contacts"]
    cli.refused("book", "list", "--user", "nobody")
    cli.misused("book", "list", "--user", "ada", "--trash")


def test_the_book_of_a_directory_is_told_by_its_name_and_whether_it_is_searched_only(cli, organisation):
    assert "Searched only" not in cli.done("book", "list")
    with organisation.db.write() as session:
        mirrored.make(session, "office/people", "main", name="", readers=(), search_only=True)

    facts = cli.json("book", "show", "office/people")
    assert (facts["mirrored_from"], facts["search_only"]) == ("main", True)
    listed = {one["book"]: (one["mirrored_from"], one["search_only"]) for one in cli.json("book", "list")}
    assert (listed["office/people"], listed["sales/leads"]) == (("main", True), (None, False))
    (line,) = [line for line in cli.done("book", "list").splitlines() if line.startswith("office/people")]
    assert line.split()[-2:] == ["main", "yes"]
    assert "search only    yes" in cli.done("book", "show", "office/people")


def test_long_names_are_never_cut_in_a_pipe(cli, organisation):
    name = "Straßenbauunternehmungen " * 15

    cli.done("book", "rename", "sales/leads", name)

    assert name.strip() in cli.done("book", "list")
    assert "\x1b" not in cli.done("book", "list")


def test_a_book_shows_its_grants(cli, organisation):
    shown = cli.json("book", "show", "sales/leads")

    assert shown["grants"] == [{"principal": "group:sales", "role": "editor"}]
    assert shown["mount"] == "sales~leads"
    assert "group:sales (editor)" in cli.done("book", "show", "sales/leads")
    cli.refused("book", "show", "sales/nothing")


def test_how_long_a_book_is_kept_is_said_by_the_settings_or_by_the_book(cli, organisation):
    shown = {"book": "sales/leads", "history_days": 730, "trash_days": 90, "own": []}
    assert cli.json("book", "retention", "sales/leads") == shown
    assert "730 days (default), itself in the trash for 90 days (default)" in cli.done(
        "book", "retention", "sales/leads"
    )
    with organisation.db.snapshot() as session:
        book_id = organisation.book("sales/leads").id
        assert next(history.entries(session, book_id=book_id)).kind != "retention"  # looking is no deed

    said = cli.json("book", "retention", "sales/leads", "--history-days", "30")
    assert said == {**shown, "history_days": 30, "own": ["history_days"]}
    said = cli.json("book", "retention", "sales/leads", "--trash-days", "7")
    assert said == {**shown, "history_days": 30, "trash_days": 7, "own": ["history_days", "trash_days"]}
    facts = cli.json("book", "show", "sales/leads")
    assert (facts["history_days"], facts["trash_days"]) == (30, 7)
    newest = cli.json("history", "show", "sales/leads")[0]
    assert (newest["kind"], newest["reason"]) == ("retention", "history 30 days, trash 7 days")

    cli.done("book", "delete", "sales/leads")
    said = cli.json("book", "retention", "sales/leads", "--history-days", "default", "--trash-days", "default")
    assert said == shown
    for days in ("0", "-1", "x", "1000001", ""):
        cli.misused("book", "retention", "sales/leads", "--history-days", days)
    cli.refused("book", "retention", "sales/nothing")


def test_what_is_older_than_books_are_kept_is_removed(cli, organisation):
    organisation.put("ada", "sales~leads", "a.vcf", card("a"))
    organisation.put("ada", "sales~leads", "a.vcf", card("a", "Two"))
    assert cli.json("history", "prune")["changes"] == 0
    with organisation.db.write() as session:
        session.execute(update(table(Act)).values(at=now() - timedelta(days=31)))
    cli.done("book", "retention", "sales/leads", "--history-days", "30")

    would_be = cli.json("history", "prune", "--dry-run")
    assert (would_be["changes"], would_be["states"], would_be["dry_run"]) == (2, 1, True)
    assert "Would be removed: 2 changes of cards" in cli.done("history", "prune", "--dry-run")
    assert cli.json("history", "prune") == {**would_be, "dry_run": False}
    assert cli.json("history", "prune")["changes"] == 0
    assert [one["kind"] for one in cli.json("history", "show", "sales/leads")] == ["retention"]
    assert "book retention" in cli.refused("history", "restore", "sales/leads", "a.vcf", "--revision", "2")
    assert cli.json("history", "restore", "sales/leads", "a.vcf", "--revision", "3")["revision"] is None
    assert cli.done("db", "check") == "Nothing is wrong.\n"

    cli.done("book", "delete", "sales/leads")
    with organisation.db.write() as session:
        session.execute(
            update(table(Book)).where(Book.deleted_at.is_not(None)).values(deleted_at=now() - timedelta(91))
        )
    assert "Of the trash: sales/leads." in cli.done("history", "prune")
    assert cli.json("book", "list", "--trash") == []


def test_a_renamed_book_keeps_its_address(cli, organisation):
    assert cli.json("book", "rename", "sales/leads", "Prospects")["name"] == "Prospects"
    assert cli.json("book", "show", "sales/leads")["name"] == "Prospects"
    cli.refused("book", "rename", "sales/nothing", "x")


def test_a_given_book_keeps_its_address_and_serves_its_new_owner(cli, organisation):
    assert cli.json("book", "give", "ada/contacts", "carla")["owner"] == "carla"
    assert ("ada/contacts", "/carla/ada~contacts/") in [
        (one["book"], one["url"]) for one in cli.json("book", "list", "--user", "carla")
    ]
    assert "ada/contacts" not in [one["book"] for one in cli.json("book", "list", "--user", "ada")]
    cli.refused("book", "give", "ada/contacts", "nobody")


def test_the_default_book_comes_first_and_must_be_one_of_the_own_home(cli, organisation):
    cli.done("book", "add", "ada/aaa")
    cli.done("book", "default", "ada", "ada/aaa")

    assert cli.json("book", "list", "--user", "ada")[0]["book"] == "ada/aaa"
    assert "is shared with ada" in cli.refused("book", "default", "ada", "sales/leads")
    assert cli.json("book", "list", "--user", "ada")[0]["book"] == "ada/aaa"
    assert "can't read" in cli.refused("book", "default", "carla", "sales/leads")


def test_a_deleted_book_is_in_the_trash_and_comes_back_with_its_cards(cli, organisation, write_vcf):
    cli.done("import", "sales/leads", write_vcf("a.vcf", "bob", "eve"))

    assert cli.json("book", "delete", "sales/leads", "--dry-run")["cards"] == 2
    assert cli.json("book", "list", "--user", "ada")[-1]["book"] == "sales/leads"
    assert cli.json("book", "delete", "sales/leads")["dry_run"] is False
    assert [one["book"] for one in cli.json("book", "list", "--trash")] == ["sales/leads"]
    assert cli.json("book", "show", "sales/leads")["deleted_at"] is not None
    cli.refused("book", "delete", "sales/leads")

    assert cli.json("book", "undelete", "sales/leads")["cards"] == 2
    assert cli.json("book", "list", "--trash") == []
    cli.refused("book", "undelete", "sales/leads")


def test_a_book_does_not_come_back_over_another_one(cli, organisation):
    cli.done("book", "delete", "ada/contacts")
    cli.done("book", "add", "ada/contacts")

    assert "already" in cli.refused("book", "undelete", "ada/contacts")


def test_only_a_book_in_the_trash_is_purged_and_only_on_purpose(cli, organisation):
    cli.refused("book", "purge", "sales/leads", "--yes")
    cli.done("book", "delete", "sales/leads")
    assert "--yes" in cli.refused("book", "purge", "sales/leads")
    assert cli.json("book", "purge", "sales/leads", "--dry-run")["dry_run"] is True
    assert len(cli.json("book", "list", "--trash")) == 1

    cli.done("book", "purge", "sales/leads", "--yes")

    assert cli.json("book", "list", "--trash") == []
    cli.refused("book", "undelete", "sales/leads")
    assert cli.json("history", "show", "--limit", "1")[0]["kind"] == "purge-book"


@pytest.mark.parametrize(("answer", "status", "left"), [("y\n", 0, 0), ("n\n", 1, 1)])
def test_a_person_is_asked_before_a_purge(cli, organisation, monkeypatch, answer, status, left):
    cli.done("book", "delete", "sales/leads")
    monkeypatch.setattr(book_commands, "may_ask", lambda: True)

    assert cli.run("book", "purge", "sales/leads", stdin=answer).exit_code == status
    assert len(cli.json("book", "list", "--trash")) == left


@pytest.mark.parametrize(
    ("written", "meant"), [("sales", "group:sales"), ("Sales", "group:sales"), ("ADA", "user:ada"), ("x", "user:LOGIN")]
)
@pytest.mark.parametrize("command", [("add",), ("change",), ("remove",)])
def test_a_bare_name_in_a_grant_is_refused_with_what_may_be_meant(cli, organisation, command, written, meant):
    role = () if command == ("remove",) else ("viewer",)

    assert meant in cli.refused("grant", *command, "ada/contacts", written, *role)


def test_a_user_may_be_written_as_in_grants_everywhere(cli, organisation):
    assert cli.json("grant", "explain", "user:ada", "sales/leads")["role"] == "editor"
    assert cli.json("book", "add", "user:ada/friends")["book"] == "ada/friends"
    assert cli.json("book", "give", "ada/friends", "user:ben")["owner"] == "ben"
    assert len(cli.json("book", "list", "--user", "user:carla")) == 1
    assert cli.json("user", "show", "user:carla")["login"] == "carla"


@pytest.mark.parametrize("written", ["sales~leads", "ada/sales~leads", "/ada/sales~leads/", "sales/leads"])
def test_a_book_may_be_written_as_in_urls(cli, organisation, write_vcf, written):
    assert cli.json("import", written, write_vcf("a.vcf", "bob"))["book"] == "sales/leads"
    assert cli.json("book", "show", written)["cards"] == 1
    assert cli.json("grant", "list", written)[0]["principal"] == "group:sales"
    assert len(cli.json("history", "show", f"{written.strip('/')}/bob.vcf")) == 1
    assert "UID:bob" in cli.done("export", written)
    assert cli.json("book", "delete", written)["book"] == "sales/leads"
    assert cli.json("book", "undelete", written)["book"] == "sales/leads"


def test_a_book_in_the_trash_is_said_to_be_there(cli, organisation, write_vcf):
    cli.done("book", "delete", "sales/leads")

    for command in (
        ("book", "delete", "sales/leads"),
        ("export", "sales/leads"),
        ("import", "sales/leads", write_vcf("a.vcf", "bob")),
        ("grant", "add", "sales/leads", "user:carla", "viewer"),
        ("grant", "list", "sales/leads"),
    ):
        said = cli.refused(*command)
        assert "trash" in said
        assert "radicale-shared book undelete sales/leads" in said
    assert "in the trash" in cli.done("book", "show", "sales/leads")

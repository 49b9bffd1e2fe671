"""``user`` and ``group``."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from datetime import timedelta

import pytest

from radicale_shared import accounts
from radicale_shared.passwords import VerifiedPasswords


def signs_in(db, login: str, password: str) -> bool:
    return accounts.sign_in(db, login, password, VerifiedPasswords(timedelta(0))) is not None


def test_a_new_user_has_a_book_of_their_own_and_the_password_that_was_given(cli, db):
    made = cli.json(
        "user", "add", "ada", "--name", "Ada", "--email", "a@example.com", "--password-stdin", stdin="s3 \n"
    )

    assert (made["login"], made["slug"], made["name"], made["email"]) == ("ada", "ada", "Ada", "a@example.com")
    assert (made["state"], made["has_password"], made["book"]) == ("active", True, "ada/contacts")
    assert signs_in(db, "ada", "s3 ")


@pytest.mark.parametrize(
    ("given", "password"),
    [("pw", "pw"), ("pw\n", "pw"), ("pw\r\n", "pw"), ("pw\n\n", "pw\n"), ("pässword\n", "pässword")],
)
def test_one_line_break_at_the_end_of_a_password_is_dropped(cli, db, given, password):
    cli.done("user", "add", "ada", "--password-stdin", stdin=given)

    assert signs_in(db, "ada", password)


def test_a_password_is_never_printed(cli):
    result = cli.run("user", "add", "ada", "--password-stdin", stdin="verysecret\n")

    assert "verysecret" not in result.output


@pytest.mark.parametrize("given", ["", "\n", b"\xff\xfe\n"])
def test_no_password_and_no_text_are_refused(cli, given):
    cli.refused("user", "add", "ada", "--password-stdin", stdin=given)

    assert cli.json("user", "list") == []


def test_without_a_password_the_next_command_is_named(cli):
    assert "radicale-shared user password ada --password-stdin" in cli.done("user", "add", "ada")


def test_a_password_is_set_from_standard_input_only(cli, db):
    cli.done("user", "add", "ada", "--password-stdin", stdin="old")
    cli.done("user", "password", "ada", "--password-stdin", stdin="new\n")

    assert signs_in(db, "ada", "new")
    assert not signs_in(db, "ada", "old")
    assert "--password-stdin" in cli.misused("user", "password", "ada")
    cli.refused("user", "password", "nobody", "--password-stdin", stdin="x")


@pytest.mark.parametrize(("is_new", "asked"), [(True, 2), (False, 1)])
def test_a_person_at_a_terminal_is_asked_twice_for_a_new_password_and_once_for_one_to_try(is_new, asked):
    ours, theirs = pty.openpty()
    code = f"from radicale_shared.cli.context import *; print(password_from_stdin(is_new={is_new}))"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as asking:
        for _ in range(asked):
            prompt = b""
            while not prompt.endswith(b": "):
                prompt += (read := asking.stderr.read(1))
                assert read, prompt
            os.write(ours, b"secret\n")
        assert asking.stdout.read() == b"secret\n"
    for end in (ours, theirs):
        os.close(end)


def test_a_login_is_taken_whatever_its_case(cli):
    cli.done("user", "add", "ada")

    assert "already" in cli.refused("user", "add", "ADA")


def test_a_login_that_cannot_be_one_is_refused(cli):
    cli.refused("user", "add", "a:b")


def test_users_are_listed_and_shown_with_groups_and_books(cli, organisation):
    assert [one["login"] for one in cli.json("user", "list")] == ["ada", "ben", "carla"]
    shown = cli.json("user", "show", "ada")
    assert shown["groups"] == ["sales"]
    assert shown["books"] == [
        {"book": "ada/contacts", "role": "owner", "url": "/ada/contacts/"},
        {"book": "sales/leads", "role": "editor", "url": "/ada/sales~leads/"},
    ]
    assert "sales/leads (editor)" in cli.done("user", "show", "ada")
    assert "carla" in cli.done("user", "list")
    cli.refused("user", "show", "nobody")


def test_a_renamed_user_keeps_address_and_books(cli, organisation, db):
    renamed = cli.json("user", "rename", "ada", "ada@example.com")

    assert (renamed["login"], renamed["slug"]) == ("ada@example.com", "ada")
    assert signs_in(db, "ada@example.com", "adaada")
    cli.refused("user", "rename", "ada@example.com", "ben")
    cli.refused("user", "rename", "nobody", "somebody")


def test_a_disabled_user_cannot_sign_in_until_enabled(cli, organisation, db):
    disabled = cli.json("user", "disable", "ada")
    assert (disabled["state"], disabled["disabled_by"]) == ("disabled", "administrator")
    for told in (cli.done("user", "list"), cli.done("user", "show", "ada")):
        assert "administrator" in told
    assert not signs_in(db, "ada", "adaada")
    enabled = cli.json("user", "enable", "ada")
    assert (enabled["state"], enabled["disabled_by"]) == ("active", None)
    assert signs_in(db, "ada", "adaada")
    cli.refused("user", "disable", "nobody")


def test_a_user_with_books_is_removed_only_when_somebody_gets_them(cli, organisation):
    said = cli.refused("user", "remove", "ada")
    assert "owns ada/contacts" in said
    assert "radicale-shared user remove ada --books-to OWNER" in said
    cli.refused("user", "remove", "ada", "--books-to", "nobody")
    cli.misused("user", "remove", "ada", "--books-to", "ada")

    removed = cli.json("user", "remove", "ada", "--books-to", "sales")

    assert removed == {"login": "ada", "given": ["ada/contacts"], "books_to": "sales", "dry_run": False}
    assert [one["login"] for one in cli.json("user", "list")] == ["ben", "carla"]
    assert cli.json("book", "show", "ada/contacts")["owner"] == "sales"


def test_a_dry_removal_changes_nothing(cli, organisation):
    removed = cli.json("user", "remove", "ada", "--books-to", "ben", "--dry-run")

    assert removed["given"] == ["ada/contacts"]
    assert cli.json("book", "show", "ada/contacts")["owner"] == "ada"
    assert signs_in(organisation.db, "ada", "adaada")


def test_a_group_is_made_shown_renamed_and_removed(cli):
    made = {"slug": "field-sales", "name": "Field Sales", "members": [], "owners": [], "directory": ""}
    assert cli.json("group", "add", "Field Sales") == made
    cli.refused("group", "add", "Field Sales")
    assert cli.json("group", "rename", "field-sales", "Outside")["name"] == "Outside"
    assert cli.json("group", "show", "Outside")["books"] == []
    assert "Outside" in cli.done("group", "list")
    assert cli.json("group", "remove", "field-sales") == {"slug": "field-sales", "name": "Outside"}
    assert cli.json("group", "list") == []
    cli.refused("group", "show", "field-sales")


def test_a_group_that_owns_books_is_not_removed(cli, organisation):
    said = cli.refused("group", "remove", "sales")
    assert "owns sales/leads" in said
    assert "radicale-shared book give sales/leads OWNER" in said


def test_a_slug_is_listed_where_it_is_not_the_login(cli, organisation):
    assert "Slug" not in cli.done("user", "list")
    cli.done("user", "add", "Zoë Long")

    said = cli.done("user", "list")
    assert "Slug" in said
    assert "zoe-long" in said


def test_commands_in_hints_can_be_pasted_whatever_the_login(cli):
    assert "user password 'a b; rm -rf' --password-stdin" in cli.done("user", "add", "a b; rm -rf")


def test_a_member_may_be_written_as_in_grants(cli, organisation):
    assert "carla" in cli.json("group", "member", "add", "sales", "user:carla")["members"]
    assert "carla" not in cli.json("group", "member", "remove", "sales", "user:carla")["members"]


def test_members_are_users_and_groups(cli, organisation):
    cli.done("group", "add", "Everything")
    assert cli.json("group", "member", "add", "everything", "carla")["members"] == ["carla"]
    assert cli.json("group", "member", "add", "everything", "group:sales")["members"] == ["carla", "group:sales"]
    assert cli.json("group", "show", "sales")["groups"] == ["everything"]
    assert cli.json("group", "member", "remove", "everything", "carla")["members"] == ["group:sales"]
    cli.refused("group", "member", "remove", "everything", "carla")
    cli.refused("group", "member", "add", "everything", "nobody")
    cli.refused("group", "member", "add", "everything", "group:everything")


@pytest.mark.parametrize(
    "arguments",
    [
        ("user",),
        ("user", "add"),
        ("user", "nonsense"),
        ("user", "rename", "a"),
        ("group", "member", "add", "g"),
        ("nonsense",),
    ],
)
def test_wrong_usage_ends_with_2(cli, arguments):
    cli.misused(*arguments)

"""``db``, ``serve``, ``demo``, and what all commands have in common."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from datetime import timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from radicale_shared import accounts, database, people, schemas, server, vcard
from radicale_shared.cli import main
from radicale_shared.passwords import VerifiedPasswords


def change(db, *statements: str) -> None:
    with db.write() as session:
        for statement in statements:
            session.execute(text(statement))


def test_every_command_explains_itself(cli):
    def all_commands(command, path=()):
        yield path
        for name, child in getattr(command, "commands", {}).items():
            yield from all_commands(child, (*path, name))

    for path in all_commands(main):
        said = cli.done(*path, "--help")
        assert said.startswith("Usage: ")
        assert "JSON" in said or "--json" not in said, path


def test_the_version_is_told(cli):
    assert cli.done("--version").startswith("radicale-shared")


@pytest.mark.parametrize(
    "arguments",
    [("user", "list"), ("db", "check"), ("db", "new-epoch"), ("book", "list"), ("export", "a/b"), ("history", "show")],
)
def test_no_command_but_upgrade_makes_tables(configuration, tmp_path, arguments):
    config = configuration(f"sqlite:///{tmp_path}/new.db")

    result = CliRunner().invoke(main, ["--config", str(config), *arguments])

    assert result.exit_code == 1
    assert "radicale-shared db upgrade" in result.stderr
    assert database.connect(f"sqlite:///{tmp_path}/new.db").is_empty()


def test_an_upgrade_creates_the_tables_once(configuration, tmp_path):
    config = str(configuration(f"sqlite:///{tmp_path}/new.db"))

    first = CliRunner().invoke(main, ["--config", config, "db", "upgrade"])
    second = CliRunner().invoke(main, ["--config", config, "db", "upgrade", "--json"])

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "created" in first.stdout
    assert '"before": null' not in second.stdout
    assert CliRunner().invoke(main, ["--config", config, "user", "list"]).exit_code == 0


def test_an_old_and_a_newer_schema_are_refused(cli, db):
    version = db.upgrade()[1]
    try:
        change(db, f"UPDATE {schemas.VERSION_TABLE} SET version_num = 'v9999'")
        assert "newer" in cli.refused("user", "list")
        assert "newer" in cli.refused("db", "upgrade")
    finally:
        change(db, f"UPDATE {schemas.VERSION_TABLE} SET version_num = '{version}'")


def test_a_configuration_that_cannot_be_used_is_refused(tmp_path):
    result = CliRunner().invoke(main, ["--config", str(tmp_path / "missing.ini"), "user", "list"])

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")


def said_with(tmp_path, storage: str, *arguments: str) -> str:
    """What the error line is with these options of [storage]."""
    config = tmp_path / "odd.ini"
    config.write_text(f"[storage]\ntype = radicale_shared.storage_plugin\n{storage}\n")
    result = CliRunner().invoke(main, ["--config", str(config), *(arguments or ("user", "list"))])
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.mark.parametrize("url", ["sqlite:///books.db", "sqlite:///./var/books.db", "sqlite://"])
def test_a_database_url_that_depends_on_the_folder_one_is_in_is_refused(tmp_path, monkeypatch, url):
    monkeypatch.chdir(tmp_path)
    before = sorted(os.listdir(tmp_path))

    said = said_with(tmp_path, f"database_url = {url}", "db", "upgrade")

    assert "sqlite:////" in said
    assert set(os.listdir(tmp_path)) <= {*before, "odd.ini"}


def test_a_wrong_value_is_told_without_names_of_the_program_s_inside(tmp_path):
    url = f"database_url = sqlite:///{tmp_path}/x.db"

    said = said_with(tmp_path, f"{url}\npool_size = many")
    assert "whole number" in said
    assert "_" not in said.replace("pool_size", "").replace(str(tmp_path), "")
    said = said_with(tmp_path, f"{url}\n[auth]\ntype = radicale_shared.auth_plugin\ntrusted_proxies = here")
    assert "list of networks" in said


def test_a_database_that_cannot_be_opened_or_written_is_named_with_what_to_do(tmp_path, db, cli):
    folder = tmp_path / "folder.db"
    folder.mkdir()
    said = said_with(tmp_path, f"database_url = sqlite:///{folder}")
    assert str(folder) in said
    assert "writable" in said


def test_a_remedy_never_tells_the_password(tmp_path):
    said = said_with(tmp_path, "database_url = postgresql://nobody:s3cret@127.0.0.1:1/nothing?connect_timeout=2")

    assert "nobody" in said
    assert "s3cret" not in said


def test_an_argument_that_is_no_text_is_wrong_usage_everywhere(cli):
    for arguments in (("user", "add", "j\udcfcrgen"), ("export", "\udcff/x"), ("nons\udcffense",)):
        assert "not UTF-8" in cli.misused(*arguments)


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("user", "list")])
def test_an_output_that_cannot_be_written_ends_with_1_and_one_line(cli, arguments):
    cli.done("user", "list")
    command = [sys.executable, "-c", "from radicale_shared.cli import main; main()"]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [*command, "--config", str(cli.config), *arguments], stdout=full, stderr=subprocess.PIPE, check=False
        )

    assert ended.returncode == 1
    assert ended.stderr.decode() == "Error: The output can't be written: No space left on device.\n"


def test_a_user_without_rights_on_the_tables_is_told_so(postgresql_admin, new_database_url, tmp_path):
    url = make_url(new_database_url("postgresql"))
    name = f"stranger_{uuid.uuid4().hex}"
    owner = database.connect(url.render_as_string(hide_password=False)).engine
    with owner.begin() as connection:
        connection.execute(text(f"CREATE ROLE {name} LOGIN PASSWORD 'x'"))
    try:
        stranger = url.set(username=name, password="x").render_as_string(hide_password=False)
        said = said_with(tmp_path, f"database_url = {stranger}")
        database._databases.pop(stranger).close()
    finally:
        with owner.begin() as connection:
            connection.execute(text(f"DROP ROLE {name}"))

    assert "permission denied" in said
    assert "database_url" in said


def test_a_postgresql_of_another_encoding_is_told_so(postgresql_admin, tmp_path):
    name = f"latin_{uuid.uuid4().hex}"
    admin = database.connect(postgresql_admin).engine.execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"))
    url = make_url(postgresql_admin).set(database=name).render_as_string(hide_password=False)
    try:
        said = said_with(tmp_path, f"database_url = {url}", "db", "upgrade")
        database._databases.pop(url).close()
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))

    assert "UTF8" in said


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ProgrammingError("SELECT 1", {"note": "s3cret"}, Exception("no such thing\nLINE 1")), "no such thing"),
        (UnicodeEncodeError("iso8859-1", "\u0141", 0, 1, "ordinal not in range"), "UTF8"),
    ],
)
def test_what_the_database_refuses_otherwise_is_one_line_too(cli, monkeypatch, error, expected):
    def refuse(_session):
        raise error

    monkeypatch.setattr(people, "users", refuse)

    said = cli.refused("user", "list")
    assert expected in said
    assert "s3cret" not in said
    assert "LINE" not in said


def test_a_bug_is_not_hidden(cli, monkeypatch):
    monkeypatch.setattr(people, "users", lambda _session: 1 / 0)

    assert isinstance(cli.run("user", "list").exception, ZeroDivisionError)


def test_a_database_that_is_not_there_is_refused_without_a_traceback(configuration):
    config = configuration("postgresql+psycopg://nobody@127.0.0.1:1/nothing?connect_timeout=2")

    result = CliRunner().invoke(main, ["--config", str(config), "user", "list"])

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.output


def test_a_whole_database_has_nothing_wrong(cli, organisation, write_vcf):
    cli.done("import", "sales/leads", write_vcf("a.vcf", "bob", "eve"))
    cli.done("import", "sales/leads", write_vcf("a.vcf", "bob", note="x"))
    organisation.put("ada", "contacts", "x.vcf", b"BEGIN:VCARD\nVERSION:4.0\nUID:x\nFN:X\nEND:VCARD\n")
    organisation.remove("ada", "contacts", "x.vcf")

    assert cli.done("db", "check") == "Nothing is wrong.\n"
    assert cli.json("db", "check") == []


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("DELETE FROM bodies WHERE id = (SELECT body_id FROM cards WHERE href = 'bob.vcf')", "bytes are missing"),
        ("UPDATE cards SET etag = 'x' WHERE href = 'bob.vcf'", "aren't those of its ETag"),
        ("UPDATE cards SET size = 1 WHERE href = 'bob.vcf'", "1 are noted"),
        ("UPDATE cards SET revision = 1000 WHERE href = 'bob.vcf'", "a card of it at 1000"),
        ("UPDATE changes SET revision = 1000 WHERE revision = 2", "a change of it at 1000"),
        ("DELETE FROM card_search", "searched fields are missing"),
        ("UPDATE cards SET deleted = true WHERE href = 'bob.vcf'", "still among the searched"),
        ("UPDATE changes SET before_id = 99999", "bytes before revision 2 are missing"),
        ("UPDATE books SET card_bytes = card_bytes + 7 WHERE slug = 'leads'", "and counted 1 of "),
        ("UPDATE books SET card_count = 0 WHERE slug = 'leads'", "the book has 1 cards of "),
    ],
)
def test_damage_is_found_and_named(cli, organisation, write_vcf, damage, problem):
    cli.done("import", "sales/leads", write_vcf("a.vcf", "bob"))
    change(organisation.db, damage)

    result = cli.run("db", "check")

    assert result.exit_code == 1
    assert problem in result.stdout
    assert "sales/leads" in result.stdout
    assert cli.run("db", "check", "--json").exit_code == 1


def test_a_damaged_sqlite_row_is_found(cli, organisation):
    if organisation.db.engine.dialect.name != "sqlite":
        pytest.skip("SQLite's own checks")
    with organisation.db.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql("INSERT INTO memberships (group_id, member_id) VALUES (777, 778)")
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")

    assert "memberships" in cli.run("db", "check").stdout


def test_a_new_epoch_starts_clients_of_one_book_or_of_all_over(cli, organisation):
    before = {address: organisation.book(address).epoch for address in ("sales/leads", "ada/contacts")}

    assert cli.json("db", "new-epoch", "sales/leads") == {"books": 1}
    assert organisation.book("sales/leads").epoch != before["sales/leads"]
    assert organisation.book("ada/contacts").epoch == before["ada/contacts"]
    assert cli.json("db", "new-epoch") == {"books": 4}
    assert organisation.book("ada/contacts").epoch != before["ada/contacts"]
    cli.refused("db", "new-epoch", "sales/nothing")


def test_serve_hands_its_options_to_the_server(cli, monkeypatch):
    calls = []
    monkeypatch.setattr(server, "serve", lambda *arguments: calls.append(arguments))

    cli.done("serve", "--host", "::1", "--port", "5233", "--workers", "3")
    cli.done("serve")

    assert calls == [(str(cli.config), "::1", 5233, 3), (str(cli.config), None, None, None)]
    cli.misused("serve", "--port", "0")
    cli.misused("serve", "--workers", "0")


def test_the_demo_is_made_once_and_printed_every_time(cli, db):
    first = cli.json("demo")
    second = cli.json("demo")

    assert (first["made"], second["made"]) == (True, False)
    assert first["users"] == second["users"]
    assert [one["login"] for one in first["users"]] == ["ada", "ben", "carla", "dora", "finn"]
    assert "sales/leads (editor)" in first["users"][0]["books"]
    assert not any("sales/leads" in book for book in first["users"][2]["books"])
    trainee = first["users"][4]["books"]
    assert any(re.fullmatch(r"sales/leads \(viewer, until [-\d]{10}, without note, tel:home\)", one) for one in trainee)
    said = cli.done("demo")
    assert "ada-demo" in said
    assert "public" in said
    assert cli.done("db", "check") == "Nothing is wrong.\n"


def everything(db) -> dict[str, list[tuple]]:
    with db.read() as session:
        return {
            name: sorted(map(repr, session.execute(text(f"SELECT * FROM {name}")).all()))
            for name in ("database_state", "principals", "memberships", "books", "cards", "grants", "acts", "changes")
        }


def test_the_demo_again_changes_nothing_at_all_and_tells_what_was_changed(cli, db):
    cli.done("demo")
    cli.done("user", "password", "ben", "--password-stdin", stdin="other")
    cli.done("user", "disable", "carla")
    cli.done("user", "rename", "dora", "dora@example.com")
    cli.done("user", "add", "emil", "--password-stdin", stdin="emil-demo")
    before = everything(db)

    again = cli.json("demo")
    said = cli.done("demo")

    assert everything(db) == before
    assert [(one["login"], one["password"], one["state"]) for one in again["users"]] == [
        ("ada", "ada-demo", "active"),
        ("ben", None, "active"),
        ("carla", "carla-demo", "disabled"),
        ("dora@example.com", "dora-demo", "active"),
        ("finn", "finn-demo", "active"),
    ]
    assert "carla (disabled)" in said
    assert "emil" not in said


def test_the_demo_s_logins_work(cli, db):
    for user in cli.json("demo")["users"]:
        assert accounts.sign_in(db, user["login"], user["password"], VerifiedPasswords(timedelta(0)))


def test_the_demo_never_touches_people_who_only_have_the_names_of_its_own(cli, db):
    cli.done("user", "add", "ada", "--password-stdin", stdin="secret")
    before = everything(db)

    assert "ada" in cli.refused("demo")
    assert everything(db) == before
    cli.done("user", "remove", "ada", "--books-to", cli.json("group", "add", "Heirs")["slug"])
    assert "group:heirs" in cli.refused("demo")


def test_the_demo_never_enters_a_database_with_other_users(cli, db):
    cli.done("user", "add", "zoe")

    assert "zoe" in cli.refused("demo")
    assert [one["login"] for one in cli.json("user", "list")] == ["zoe"]


def test_the_demo_s_cards_are_many_valid_and_of_several_kinds(cli, db):
    cli.done("demo")
    cards = [vcard.check(one) for one in vcard.split_cards(cli.run("export", "sales/leads").stdout_bytes)]

    assert len(cards) == 26
    assert {card.version for card in cards} == {"3.0", "4.0"}
    assert any(card.first("PHOTO") for card in cards)
    assert any(card.first("X-ABLabel") for card in cards)
    names = " ".join(vcard.display_name(card) for card in cards)
    for name in ("Jürgen Großmann", "Ελένη", "Наталья", "דניאל", "ليلى", "王小芳", "佐藤美咲", "김지훈"):
        assert name in names


def test_the_embedded_database_is_made_by_the_demo_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RADICALE_CONFIG", raising=False)

    refused = CliRunner().invoke(main, ["user", "list"])
    assert refused.exit_code == 1
    assert os.listdir(tmp_path) == []
    assert CliRunner().invoke(main, ["demo"]).exit_code == 0
    assert CliRunner().invoke(main, ["user", "list"]).exit_code == 0

"""backup, verify, restore, db move and doctor, as somebody types them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, update

from radicale_shared import backups, database, entry_refresh
from radicale_shared.database import Database
from radicale_shared.models import Book, Entry, EntryKey, table
from tests.cli.conftest import CommandLine
from tests.conftest import Organisation, card, drop_postgresql_database, new_postgresql_database

LEADS = "sales/leads"


@pytest.fixture(autouse=True)
def _workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "work"))


@pytest.fixture
def office(organisation: Organisation) -> Organisation:
    organisation.put("ada", "sales~leads", "one.vcf", card("one", "One"))
    organisation.put("ada", "sales~leads", "two.vcf", card("two", "Two"))
    return organisation


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


@pytest.fixture
def other(tmp_path: Path, configuration: Callable[[str], Path], request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty database of the other kind than ``db``."""
    db: Database = request.getfixturevalue("db")
    if db.engine.dialect.name == "postgresql":
        url = f"sqlite:///{tmp_path / 'other.db'}"
    else:
        url = new_postgresql_database(request.getfixturevalue("postgresql_admin"))
    yield url
    if known := database._databases.pop(url, None):
        known.close()
    if not url.startswith("sqlite"):
        drop_postgresql_database(request.getfixturevalue("postgresql_admin"), url)
    elif db.moved_to:
        with db.engine.begin() as connection:
            connection.exec_driver_sql("DROP FUNCTION radicale_shared_moved CASCADE")
            connection.exec_driver_sql("UPDATE database_state SET moved_to = ''")


def with_settings(cli: CommandLine, text: str) -> None:
    """Let the configuration name a settings file."""
    settings = cli.config.with_name("settings.toml")
    settings.write_text(text)
    told = cli.config.read_text().replace("[auth]", f"settings_file = {settings}\n[auth]")
    cli.config.write_text(told)


def test_a_backup_is_made_verified_and_known(cli, office, folder):
    made = cli.json("backup", str(folder))
    assert (made["books"], made["cards"], made["encrypted"], made["removed"]) == (4, 2, False, [])
    assert Path(made["file"]).stat().st_size == made["size"]
    assert "2 cards of 4 books" in cli.done("verify", made["file"])

    verified = cli.json("verify", str(folder))
    assert (verified["file"], verified["problems"], verified["expired"]) == (made["file"], [], False)
    (backup,) = [one for one in cli_doctor(cli) if one["check"] == "backup"]
    assert (backup["state"], made["file"] in backup["told"]) == ("ok", True)


def cli_doctor(cli: CommandLine) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(cli.run("doctor", "--json").stdout)
    return found


def test_a_folder_without_a_backup_is_told(cli, office, folder):
    assert f"There is no backup in '{folder}'" in cli.refused("verify", str(folder))


def test_a_file_that_is_there_is_not_overwritten(cli, office, folder):
    cli.done("backup", str(folder / "a.backup"))
    assert "overwrites nothing" in cli.refused("backup", str(folder / "a.backup"))
    assert "can't be written" in cli.refused("backup", str(folder / "nowhere" / "a.backup"))


def test_a_damaged_backup_is_refused_by_each_command(cli, office, folder):
    file = folder / "a.backup"
    cli.done("backup", str(file))
    data = file.read_bytes()
    file.write_bytes(data[:-1])
    for command in (["verify"], ["restore", "--dry-run"], ["restore", "--book", LEADS]):
        assert "it is damaged or cut" in cli.refused(command[0], str(file), *command[1:])
    assert "There is no backup" in cli.refused("verify", str(folder / ".."))


def test_the_doctor_knows_that_the_newest_backup_was_found_damaged(cli, office, folder):
    cli.done("backup", str(folder / "first.backup"))
    cli.done("verify", str(folder / "first.backup"))
    for name, damage in (("cut", lambda data: data[: len(data) // 2]), ("lost", lambda data: bytes(len(data)))):
        file = folder / f"{name}.backup"
        cli.done("backup", str(file))
        file.write_bytes(damage(file.read_bytes()))

        cli.refused("verify", str(file))

        told = next(one for one in cli_doctor(cli) if one["check"] == "backup")
        assert (told["state"], str(file) in told["told"]) == ("bad", True)


def test_a_backup_that_is_not_good_is_told_with_what_is_wrong(cli, office, folder):
    with office.db.write() as session:
        session.connection().exec_driver_sql("UPDATE cards SET etag = 'x' WHERE href = 'one.vcf'")
    cli.done("backup", str(folder))
    result = cli.run("verify", str(folder))
    assert (result.exit_code, "can't be relied on" in result.stdout, "one.vcf" in result.stdout) == (1, True, True)
    assert [one["state"] for one in cli_doctor(cli) if one["check"] == "backup"] == ["bad"]


def test_a_backup_can_be_verified_where_its_database_cannot_be_reached(cli, office, folder, tmp_path):
    cli.done("backup", str(folder))
    cli.config.write_text(cli.config.read_text().replace(office.db.url, f"sqlite:///{tmp_path / 'none' / 'x.db'}"))
    result = cli.run("verify", str(folder))
    assert (result.exit_code, "is good" in result.stdout) == (0, True)
    assert "is not noted in the database" in result.stderr


def test_a_preview_tells_what_would_change_and_changes_nothing(cli, office, folder):
    cli.done("backup", str(folder / "a.backup"))
    office.put("ada", "sales~leads", "three.vcf", card("three"))
    told = cli.done("restore", str(folder / "a.backup"), "--dry-run")
    assert "1 deed since then would be lost" in told
    found = cli.json("restore", str(folder / "a.backup"), "--dry-run")
    (leads,) = [one for one in found["books"] if one["book"] == LEADS]
    assert (leads["cards_then"], leads["cards_now"], leads["same"]) == (2, 3, False)
    assert (found["restored"], found["deeds_since"]) == (False, 1)
    assert office.book(LEADS).card_count == 3


def test_everything_is_replaced_only_when_told_and_what_was_there_is_kept(cli, office, folder):
    cli.done("backup", str(folder / "a.backup"))
    office.put("ada", "sales~leads", "three.vcf", card("three"))
    assert "isn't empty" in cli.refused("restore", str(folder / "a.backup"))
    assert [file.name for file in folder.iterdir()] == ["a.backup"]

    done = cli.json("restore", str(folder / "a.backup"), "--replace")

    assert (done["restored"], done["restart"]) == (True, False)
    assert office.book(LEADS).card_count == 2
    back = cli.json("restore", done["safety"], "--book", LEADS)
    assert (back["added"], back["deleted"], back["refused"]) == (1, 0, [])
    assert office.book(LEADS).card_count == 3
    assert cli.json("db", "check") == []


def test_a_backup_of_an_older_program_is_restored_with_entries_of_today(cli, office, folder):
    with office.db.write() as session:
        session.execute(delete(table(EntryKey)))
        session.execute(delete(table(Entry)))
        session.execute(update(table(Book)).values(entries_of=""))
    cli.done("backup", str(folder / "a.backup"))
    cli.done("restore", str(folder / "a.backup"), "--replace")
    assert cli.json("db", "check") == []
    with office.db.read() as session:
        assert entry_refresh.stale(session) == []
        assert session.scalar(select(func.count()).select_from(table(Entry))) == 2


def test_everything_is_restored_into_a_new_database(cli, office, folder, tmp_path):
    cli.done("backup", str(folder / "a.backup"))
    new = tmp_path / "new.db"
    cli.config.write_text(cli.config.read_text().replace(office.db.url, f"sqlite:///{new}"))
    found = cli.json("restore", str(folder / "a.backup"), "--dry-run")["books"]
    assert [(one["cards_then"], one["cards_now"]) for one in found if one["book"] == LEADS] == [(2, None)]
    assert not new.exists()

    told = cli.done("restore", str(folder / "a.backup"))

    assert "restart every server" in told
    assert [one["cards"] for one in cli.json("book", "list") if one["book"] == LEADS] == [2]
    assert cli.json("db", "check") == []
    database._databases.pop(f"sqlite:///{new}").close()


def test_one_card_and_a_book_beside_are_restored(cli, office, folder):
    file = str(folder / "a.backup")
    cli.done("backup", file)
    office.put("ada", "sales~leads", "one.vcf", card("one", "Later"))
    office.put("ada", "sales~leads", "two.vcf", card("two", "Later"))

    done = cli.json("restore", file, "--book", "sales~leads", "--card", "one.vcf")
    assert (done["changed"], done["added"], done["deleted"]) == (1, 0, 0)
    done = cli.json("restore", file, "--book", LEADS, "--as", "sales/old")
    assert (done["book"], done["made"], done["added"]) == ("sales/old", True, 2)
    assert "two.vcf" in cli.refused("restore", file, "--book", LEADS, "--card", "two.vcf.old")
    deeds = cli.json("history", "show", LEADS)
    assert deeds[0]["kind"] == "restore-book"


def test_a_personal_book_is_not_put_where_others_read_it(cli, office, folder):
    made = cli.json("backup", str(folder))
    said = cli.refused("restore", made["file"], "--book", "ada/contacts", "--as", "sales/peek")
    assert "personal book" in said
    cli.refused("book", "show", "sales/peek")
    assert cli.json("restore", made["file"], "--book", "ada/contacts", "--as", "ada/again")["made"]


@pytest.mark.parametrize(
    "options",
    [["--card", "x"], ["--as", "a/b"], ["--book", "a/b", "--as", "a/c", "--card", "x"], ["--book", "a/b", "--replace"]],
)
def test_options_that_do_not_go_together_are_wrong_usage(cli, office, options):
    assert cli.misused("restore", "x.backup", *options)


def test_an_expired_backup_needs_a_word(cli, office, folder):
    file = folder / "a.backup"
    backups.make(office.db, file, keep=timedelta(seconds=-1))
    assert "--expired" in cli.refused("restore", str(file), "--book", LEADS)
    assert cli.json("restore", str(file), "--book", LEADS, "--expired")["unchanged"] == 2
    assert "It expired on" in cli.done("verify", str(file))


def test_encrypted_backups_are_made_and_verified_by_the_settings(cli, office, folder, tmp_path):
    pyrage = pytest.importorskip("pyrage", reason="pyrage is not installed (pip install 'radicale-shared[age]')")
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "key").write_text(f"{identity}\n")
    with_settings(cli, f'[backup]\nage_recipients = ["{identity.to_public()}"]\nkeep_days = 7\n')

    made = cli.json("backup", str(folder))

    assert (made["encrypted"], made["file"].endswith(".age")) == (True, True)
    assert "it is encrypted" in cli.refused("verify", str(folder))
    assert cli.json("verify", str(folder), "--identity", str(tmp_path / "key"))["problems"] == []
    with (tmp_path / "settings.toml").open("a") as settings:
        settings.write(f'age_identity_file = "{tmp_path / "key"}"\n')
    assert cli.json("restore", made["file"], "--book", LEADS)["unchanged"] == 2


# -- moving ------------------------------------------------------------------------------------------------------------


def test_everything_moves_to_the_database_that_a_file_names(cli, office, other, tmp_path):
    secret = tmp_path / "url"
    secret.write_text(other + "\n")
    secret.chmod(0o600)
    was = cli.json("book", "list")

    moved = cli.json("db", "move", str(secret))

    assert (moved["books"], moved["cards"]) == (4, 2)
    refused = cli.refused("book", "list")
    assert moved["moved_to"] in refused
    assert [one["state"] for one in cli_doctor(cli)] == ["bad"]
    cli.config.write_text(cli.config.read_text().replace(office.db.url, other))
    assert cli.json("book", "list") == was
    assert cli.json("db", "check") == []


def test_a_database_that_was_moved_is_reopened_by_a_command(cli, office, other):
    assert "wasn't moved" in cli.refused("db", "reopen")
    cli.done("db", "move", other)
    assert "radicale-shared db reopen" in cli.refused("book", "list")

    assert cli.json("db", "reopen") == {"books": 4}

    assert cli.json("db", "check") == []
    cli.done("book", "add", "sales/later")


def test_a_database_that_cannot_be_moved_to_is_told(cli, office, tmp_path):
    assert "isn't empty" in cli.refused("db", "move", taken(tmp_path))
    assert "already" in cli.refused("db", "move", office.db.url)
    nothing = tmp_path / "nothing"
    assert f"{str(nothing)!r}, which is to name a database, can't be read: No such file" in cli.refused(
        "db", "move", str(nothing)
    )
    open_to_all = tmp_path / "open"
    open_to_all.write_text(f"sqlite:///{tmp_path / 'new.db'}")
    open_to_all.chmod(0o644)
    assert "chmod o=" in cli.refused("db", "move", str(open_to_all))
    assert "absolute path" in cli.refused("db", "move", "sqlite:///relative.db")
    assert cli.json("book", "list")


def taken(folder: Path) -> str:
    url = f"sqlite:///{folder / 'taken.db'}"
    db = database.connect(url)
    db.upgrade()
    with db.write() as session:
        session.connection().exec_driver_sql(
            "INSERT INTO acts (kind, actor, device, user_agent, address, reason, at)"
            " VALUES ('x', '', '', '', '', '', '2026-01-01 00:00:00.000000')"
        )
    database._databases.pop(url).close()
    return url


# -- doctor ------------------------------------------------------------------------------------------------------------


def test_the_doctor_says_what_to_do(cli, office):
    result = cli.run("doctor")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert any(line.startswith("ok    database") for line in lines)
    assert any(line.startswith("BAD   backup") for line in lines)
    assert any("radicale-shared backup FOLDER" in line for line in lines)


def test_the_doctor_is_content_with_what_is_well(cli, office, folder):
    cli.done("backup", str(folder))
    cli.done("verify", str(folder))
    result = cli.run("doctor")
    assert (result.exit_code, "BAD" in result.stdout) == (0, False)

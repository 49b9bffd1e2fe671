"""What the doctor finds, and what it says to do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update

from radicale_shared import backup_notes, backups, changes, database, entry_refresh, health, models, moving
from radicale_shared.database import Database
from tests.conftest import BY
from tests.core.backed_up import KEEP, LEADS

pytestmark = pytest.mark.usefixtures("workspace")


def states(db: Database, **directories: Any) -> dict[str, str]:
    """{check: state}"""
    found = health.findings(db, backup_age=timedelta(hours=36), directories=list(directories))
    return {one.check: str(one.state) for one in found}


def test_health_tells_that_phones_and_ldap_do_not_know_all_cards_yet(office):
    db = office.db
    assert states(db)["entries"] == "ok"
    with db.write() as session:
        session.execute(update(models.Book).where(models.Book.id == office.book(LEADS).id).values(entries_of=""))
    assert states(db)["entries"] == "warn"
    entry_refresh.refresh(db)
    assert states(db)["entries"] == "ok"


def test_health_tells_what_is_wrong_and_what_to_do(office, tmp_path):
    db = office.db
    made = backups.make(db, tmp_path / "a.backup", keep=KEEP)
    assert states(db, main=1)["backup"] == "bad"
    with backups.opened(made.file) as opened:
        backup_notes.verified(db, opened, [])
    found = states(db, main=1)
    assert (found["database"], found["integrity"], found["backup"], found["undo"]) == ("ok", "ok", "ok", "ok")
    assert (found["guard"], found["notices"], found["directory main"], found["retention"]) == (
        "ok",
        "ok",
        "warn",
        "warn",
    )

    now, book = models.now(), office.book(LEADS)
    with db.write() as session:
        act = changes.begin(session, "undo", BY, book_id=book.id)
        session.execute(insert(models.Undo).values(act_id=act, spec="{}", upto_card_id=0, finished=False))
        session.execute(update(models.Backup).values(of_at=now - timedelta(hours=40)))
        session.execute(
            insert(models.Block).values(
                **dict.fromkeys(("source", "actor", "device", "address", "user_agent"), "x"),
                **dict.fromkeys(("first_revision", "destroyed", "of_cards"), 1),
                **dict.fromkeys(("began_at", "at"), now),
                book_id=book.id,
                until_at=now + timedelta(hours=1),
            )
        )
        session.execute(
            insert(models.Notice).values(
                channel="mail", recipient="", content="{}", made_at=now, next_at=None, tries=9, failure="no route"
            )
        )
        session.execute(insert(models.DirectoryState).values(name="main", failing_since=now, failure="no answer"))
        session.execute(update(models.Book).where(models.Book.id == book.id).values(card_count=99))
        session.execute(update(models.DatabaseState).values(pruned_at=now))
    worse = states(db, main=1)
    assert (worse["integrity"], worse["backup"], worse["undo"], worse["guard"]) == ("bad", "bad", "warn", "warn")
    assert (worse["notices"], worse["directory main"], worse["retention"]) == ("warn", "bad", "ok")
    every = health.findings(db, backup_age=timedelta(hours=36), directories=["main"])
    assert [one.check for one in every if one.state != health.State.OK and not one.remedy] == []


@pytest.mark.usefixtures("opened_again")
def test_health_of_a_moved_or_empty_database_is_bad(office, other_url):
    empty = database.connect(other_url("sqlite"))
    assert states(empty) == {"database": "bad"}
    moving.move(office.db, empty)
    assert states(office.db) == {"database": "bad"}
    assert states(empty)["database"] == "ok"


def test_health_of_a_damaged_database_still_tells_of_its_backups(sqlite_office, tmp_path):
    db = sqlite_office.db
    backup_notes.made(db, backups.make(db, tmp_path / "a.backup", keep=KEEP))
    file = str(db.engine.url.database)
    with db.write() as session:
        pages = session.connection().exec_driver_sql(
            "SELECT rootpage FROM sqlite_master WHERE tbl_name IN ('cards', 'undos')"
        )
        damaged = [page for (page,) in pages]
    db.close()
    with open(file, "r+b") as database_file:
        for page in damaged:
            database_file.seek((page - 1) * 4096)
            database_file.write(b"damaged!" * 512)
    found = {one.check: one for one in health.findings(db, backup_age=timedelta(hours=36), directories=[])}
    for check in ("integrity", "undo"):
        assert (found[check].state, "restore" in found[check].remedy) == ("bad", True)
    assert found["backup"].told == "There is no verified backup."


@pytest.mark.parametrize("what", ["nobody answers", "no database"])
def test_health_of_a_database_that_cannot_be_used_is_bad(tmp_path, what):
    if what == "no database":
        (tmp_path / "a.db").write_bytes(b"something else" * 1000)
        db = database.connect(f"sqlite:///{tmp_path / 'a.db'}")
    else:
        db = database.connect("postgresql+psycopg://ada:secret@127.0.0.1:1/books")
    [found] = health.findings(db, backup_age=timedelta(hours=36), directories=[])
    database._databases.pop(db.url).close()
    assert (found.check, found.state, bool(found.remedy)) == ("database", "bad", True)
    assert "secret" not in found.told

"""Moving: every row stays as it is, one database can be used at any moment, and the old one is closed."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from radicale_shared import (
    changes,
    copying,
    database,
    integrity,
    models,
    moving,
    sync,
)
from radicale_shared.database import ARRIVING, Database
from radicale_shared.errors import (
    NotAllowedHereError,
    SchemaError,
    UnavailableError,
)
from tests.conftest import BY, Organisation, card, organise
from tests.core.backed_up import fill_every_table, held, killed, shown

pytestmark = pytest.mark.usefixtures("workspace")


def test_nobody_writes_during_an_exclusive_transaction_and_everybody_reads(office):
    order = []

    def write() -> None:
        office.put("ada", "sales~leads", "waiting.vcf", card("waiting"))
        order.append("written")

    writer = threading.Thread(target=write)
    with office.db.exclusive():
        writer.start()
        writer.join(0.3)
        assert "waiting.vcf" not in shown(office.db)
        order.append("ended")
    writer.join()
    assert order == ["ended", "written"]
    assert "waiting.vcf" in shown(office.db)


@pytest.mark.usefixtures("opened_again")
@pytest.mark.parametrize("to", ["sqlite", "postgresql"])
def test_moving_keeps_every_row_of_every_table_as_it_is(office, other_url, to):
    fill_every_table(office.db)
    was = held(office.db)
    target = database.connect(other_url(to))

    moved = moving.move(office.db, target)

    assert held(target) == was
    assert [name for name, rows in was.items() if not rows] == []
    assert list(integrity.problems(target)) == []
    target.check_schema()
    assert moved.holdings.rows["cards"] == 4
    Organisation(target).put("ada", "sales~leads", "next.vcf", card("next"))
    assert list(integrity.problems(target)) == []


@pytest.mark.usefixtures("opened_again")
def test_what_was_moved_is_read_only_for_everybody_who_still_has_it_open(office, other_url):
    db = office.db
    fill_every_table(db)
    was = held(db)
    target = database.connect(other_url("sqlite"))
    moving.move(db, target)

    for one in copying.tables():
        if was[one.name]:
            with pytest.raises(UnavailableError, match="moved to another database"), db.write() as session:
                session.execute(one.delete())
    with pytest.raises(UnavailableError, match="moved to another database"):
        office.put("ada", "sales~leads", "late.vcf", card("late"))
    assert set(shown(db)) == {"one.vcf", "two.vcf"}
    with pytest.raises(SchemaError, match="moved to sqlite:"):
        db.check_schema()
    with pytest.raises(SchemaError, match="moved to"):
        moving.move(db, target)


def test_a_password_is_neither_told_nor_kept(tmp_path):
    db = database.Database(
        "postgresql+psycopg://ada:se%40cret@db.example.org:5433/books?host=/run/pg&password=se@cret&sslmode=require",
        pool_size=1,
        write_wait=timedelta(seconds=1),
        threads=2,
    )
    assert moving.shown(db) == "postgresql+psycopg://ada@db.example.org:5433/books?host=%2Frun%2Fpg"


def test_moving_needs_an_empty_database_and_another_one(office, other_url):
    taken = database.connect(other_url("sqlite"))
    taken.upgrade()
    organise(taken)
    with pytest.raises(NotAllowedHereError, match="isn't empty"):
        moving.move(office.db, taken)
    with pytest.raises(NotAllowedHereError, match="already"):
        moving.move(office.db, office.db)
    office.put("ada", "sales~leads", "still.vcf", card("still"))


@pytest.mark.usefixtures("opened_again")
@pytest.mark.parametrize(
    ("to", "at"),
    [("sqlite", "fill"), ("sqlite", "mark"), ("sqlite", "arrived"), ("postgresql", "fill"), ("postgresql", "close")],
)
def test_a_move_that_is_cut_short_leaves_one_database_to_use_and_is_finished_by_another_one(
    office, other_url, monkeypatch, to, at
):
    class Killed(BaseException):
        pass

    def killed(*_args: Any) -> None:
        raise Killed

    was, target = held(office.db), database.connect(other_url(to))
    with monkeypatch.context() as patch:
        if at == "fill":
            patch.setattr(copying, "_count_on" if to == "postgresql" else "require_whole", killed)
        elif at == "mark":
            patch.setattr(moving, "_mark", killed)
        elif at == "close":
            patch.setattr(moving, "_close", killed)
        else:
            mark, calls = moving._mark, []

            def third(connection: Any, moved_to: str) -> None:
                calls.append(moved_to)
                if len(calls) == 3:
                    raise Killed
                mark(connection, moved_to)

            patch.setattr(moving, "_mark", third)
        with pytest.raises(Killed):
            moving.move(office.db, target)
    if at == "arrived":
        with pytest.raises(SchemaError, match="moved to"):
            office.db.check_schema()
    else:
        office.db.check_schema()
        assert held(office.db) == was
    if at in {"close", "arrived"}:
        with pytest.raises(SchemaError, match="db move"):
            target.check_schema()
        assert target.moved_to == ARRIVING

    moving.move(office.db, target)

    assert held(target) == was
    target.check_schema()
    with pytest.raises(SchemaError, match="moved to"):
        office.db.check_schema()


@pytest.mark.usefixtures("opened_again")
def test_the_old_database_is_used_again_where_the_new_one_was_lost(office, other_url):
    was, books_were = held(office.db), epochs(office.db)
    moving.move(office.db, database.connect(other_url("sqlite")))

    assert moving.reopen(office.db, by=BY) == len(books_were)

    office.db.check_schema()
    assert {name for name, rows in held(office.db).items() if rows != was[name]} == {"acts", "books"}
    assert not set(epochs(office.db)) & set(books_were)
    office.put("ada", "sales~leads", "again.vcf", card("again"))
    third = database.connect(other_url("sqlite"))
    assert moving.move(office.db, third).holdings.rows["cards"] == len(was["cards"]) + 1
    assert list(integrity.problems(third)) == []


@pytest.mark.usefixtures("opened_again")
def test_the_new_database_is_used_where_the_old_one_was_lost_before_the_move_ended(office, other_url):
    target = database.connect(other_url("sqlite"))
    moving.move(office.db, target)
    with target.exclusive() as into:
        moving._mark(into, ARRIVING)

    moving.reopen(target, by=BY)

    target.check_schema()
    Organisation(target).put("ada", "sales~leads", "next.vcf", card("next"))


def test_a_database_that_was_not_moved_is_not_reopened(office):
    was = held(office.db)
    with pytest.raises(NotAllowedHereError, match="wasn't moved"):
        moving.reopen(office.db, by=BY)
    assert held(office.db) == was


def epochs(db: Database) -> list[str]:
    with db.read() as session:
        return list(session.scalars(select(models.Book.epoch)))


def test_of_two_moves_at_once_the_second_one_changes_nothing(sqlite_office, other_url, monkeypatch):
    """What the second one read of the databases before it got its turn isn't true any more."""
    source, target = sqlite_office.db, database.connect(other_url("sqlite"))
    moving.move(source, target)
    Organisation(target).put("ada", "contacts", "new.vcf", card("new"))
    with monkeypatch.context() as patch:
        patch.setattr(Database, "moved_to", "")
        with pytest.raises(NotAllowedHereError, match="somebody else"):
            moving.move(source, target)
    assert set(shown(target, "ada/contacts")) == {"new.vcf"}


def test_a_text_that_postgresql_cannot_hold_does_not_stop_a_move(sqlite_office, other_url):
    with sqlite_office.db.write() as session:
        changes.begin(session, "put", replace(BY, user_agent="odd\0agent"), book_id=None)
    target = database.connect(other_url("postgresql"))
    moving.move(sqlite_office.db, target)
    with target.read() as session:
        assert session.scalars(select(models.Act.user_agent).where(models.Act.user_agent != "")).all() == [
            "odd\ufffdagent"
        ]


@pytest.mark.usefixtures("opened_again")
def test_an_old_token_and_etag_say_the_same_in_the_new_database(office, other_url):
    db = office.db
    token = sync.token(office.access("ada", "sales~leads"), db.secret)
    target = database.connect(other_url("sqlite" if db.engine.dialect.name == "postgresql" else "postgresql"))
    moving.move(db, target)
    there = Organisation(target)
    there.put("ada", "sales~leads", "next.vcf", card("next"))
    with target.read() as session:
        found = there.access("ada", "sales~leads")
        told = sync.changed_since(session, found, token, sync.refusals.NOTHING, secret=target.secret)
    assert [row.href for row in told.rows] == ["next.vcf"]


@pytest.mark.usefixtures("opened_again")
@pytest.mark.parametrize("at", ["move", "close"])
def test_a_move_that_is_killed_is_done_by_another_one(office, other_url, at):
    was, url = held(office.db), other_url("sqlite")
    killed(at, office.db.url, url)
    assert held(office.db) == was
    office.put("ada", "sales~leads", "next.vcf", card("next"))
    target = database.connect(url)
    if at == "close":
        with pytest.raises(SchemaError, match="db move"):
            target.check_schema()
    moving.move(office.db, target)
    assert set(shown(target)) == {"one.vcf", "two.vcf", "next.vcf"}
    assert list(integrity.problems(target)) == []

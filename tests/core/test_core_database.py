"""The database: the write queue, several processes, transactions, schema, lost connections."""

import subprocess
import sys
import threading
from contextlib import closing
from datetime import timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, inspect, text

from radicale_shared import cards, database, etags, integrity, people, reading, schemas
from radicale_shared.database import Database, _Turn
from radicale_shared.errors import (
    BusyError,
    ConfigurationError,
    PreconditionFailedError,
    SchemaError,
    UnavailableError,
)
from radicale_shared.models import Base
from radicale_shared.schemas import VERSION_TABLE
from tests.conftest import BY, card, drop_postgresql_database, new_postgresql_database

LONG, SHORT = timedelta(seconds=30), timedelta(seconds=0.2)


def opened(url, *, pool_size=4, write_wait=LONG, threads=64):
    return closing(Database(url, pool_size=pool_size, write_wait=write_wait, threads=threads))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request, tmp_path):
    """URL of a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'deep' / 'er' / 'books.db'}"
        return
    admin = request.getfixturevalue("postgresql_admin")
    url = new_postgresql_database(admin)
    yield url
    drop_postgresql_database(admin, url)


# -- the write queue ---------------------------------------------------------------------------------------------------


def test_waiting_writers_get_their_turn_in_the_order_they_came():
    turn, order, arrived = _Turn(), [], threading.Semaphore(0)
    turn.acquire(0)

    def wait(number):
        arrived.release()
        turn.acquire(30)
        order.append(number)
        turn.release()

    threads = []
    for number in range(10):
        threads.append(threading.Thread(target=wait, args=(number,)))
        threads[-1].start()
        arrived.acquire()
        while len(turn._waiting) <= number:
            pass
    turn.release()
    for thread in threads:
        thread.join()

    assert order == list(range(10))


def test_a_waiter_that_gives_up_leaves_the_queue_to_the_others():
    turn = _Turn()
    turn.acquire(0)

    assert not turn.acquire(0.01)
    turn.release()
    assert turn.acquire(0)
    assert not turn.acquire(0.01)


class Holding:
    """Threads that write a book and stay in their transaction until told."""

    def __init__(self, db, number, book_id):
        self._go = threading.Event()
        self.errors = []
        self._started = threading.Semaphore(0)
        self._db, self._book_id = db, book_id
        self._threads = [threading.Thread(target=self._write) for _ in range(number)]

    def _write(self):
        try:
            with self._db._queue(self._book_id):
                self._go.wait(30)
        except BusyError as error:
            self.errors.append(error)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        while self._db._writers < len(self._threads):
            pass
        return self

    def __exit__(self, *_):
        self._go.set()
        for thread in self._threads:
            thread.join()


def test_writers_never_hold_more_than_half_of_the_threads_the_next_one_is_told_to_come_back(database_url):
    with opened(database_url, threads=8) as db:
        with Holding(db, 4, 7) as holding, pytest.raises(BusyError) as refused, db.write(7):
            pass
        assert refused.value.retry_after > 0
        assert holding.errors == []

        with db.write(7):
            pass
        assert (db._writers, db._turns) == (0, {})


def test_a_writer_whose_turn_does_not_come_in_time_is_told_to_come_back(database_url):
    with opened(database_url, write_wait=SHORT) as db, Holding(db, 1, 0), pytest.raises(BusyError), db.write(0):
        pass


def test_writers_of_two_books_wait_for_each_other_on_sqlite_only(database_url):
    with opened(database_url, write_wait=SHORT) as db, db.write(1):
        if database_url.startswith("sqlite"):
            with pytest.raises(BusyError), db.write(2):
                pass
        else:
            with db.write(2):
                pass


def test_reading_goes_on_while_a_writer_is_under_way(desk):
    desk.put("a", card("a"))
    found = desk.access
    with desk.db.write(desk.book_id) as session:
        cards.put(session, found, "b", cards.check(card("b")), secret=desk.db.secret, by=BY)

        assert list(desk.state()) == ["a"]
    assert list(desk.state()) == ["a", "b"]


def test_no_free_connection_means_come_back_later(database_url):
    with opened(database_url, pool_size=1, write_wait=SHORT) as db, db.read() as session:
        session.execute(text("SELECT 1"))
        with pytest.raises(BusyError), db.read() as second:
            second.execute(text("SELECT 1"))


# -- several processes -------------------------------------------------------------------------------------------------


# Writes cards of its own, and one that all of them write.
WRITE_MANY = """
import sys
from datetime import timedelta
from radicale_shared import access, books, cards, changes, database

url, address, name, number = sys.argv[1:]
db = database.connect(url)
for one in range(int(number)):
    with db.read() as session:
        found = access.administrator(books.find(session, address))
    for href in (f"{name}-{one}", "shared"):
        data = f"BEGIN:VCARD\\nVERSION:3.0\\nUID:{href}\\nFN:{name} {one}\\nEND:VCARD\\n".encode()
        with db.write(found.book.id) as session:
            cards.put(session, found, href, cards.check(data), secret=db.secret, by=changes.Actor(None, name))
"""
UPGRADE = "import sys; from radicale_shared import database; database.connect(sys.argv[1]).upgrade()"


def exit_codes(script, *arguments):
    """Run a script once for each list of arguments, all at the same time."""
    started = [subprocess.Popen([sys.executable, "-c", script, *one]) for one in arguments]
    return [one.wait(120) for one in started]


def test_two_processes_that_write_one_book_lose_nothing(desk):
    arguments = [(desk.db.url, desk.address, name, "15") for name in ("one", "two")]

    assert exit_codes(WRITE_MANY, *arguments) == [0, 0]

    assert set(desk.state()) == {f"{name}-{one}" for name in ("one", "two") for one in range(15)} | {"shared"}
    assert [revision for revision, *_ in desk.changes()] == list(range(2, 62))
    before = {}
    for _, card_id, old, new in desk.changes():
        assert old == before.get(card_id)
        before[card_id] = new
    assert list(integrity.problems(desk.db)) == []


def test_two_writers_on_one_card_with_the_same_etag_make_one_winner(desk):
    etag = desk.put("a", card("a")).etag
    found, wins, losses = desk.access, [], []
    start = threading.Barrier(2)

    def write(name, db):
        start.wait()
        try:
            with db.write(desk.book_id) as session:
                conditions = etags.Conditions((etag,))
                cards.put(
                    session,
                    found,
                    "a",
                    cards.check(card("a", name)),
                    secret=desk.db.secret,
                    by=BY,
                    conditions=conditions,
                )
            wins.append(name)
        except PreconditionFailedError:
            losses.append(name)

    with opened(desk.db.url) as other:
        threads = [threading.Thread(target=write, args=pair) for pair in (("One", desk.db), ("Two", other))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert (len(wins), len(losses)) == (1, 1)
    assert desk.get("a").data == card("a", wins[0])


# -- transactions ------------------------------------------------------------------------------------------------------


def rows(db):
    with db.engine.connect() as connection:
        return {
            table.name: connection.execute(text(f"SELECT * FROM {table.name} ORDER BY 1")).all()
            for table in Base.metadata.sorted_tables
        }


def test_an_error_in_a_transaction_leaves_no_trace_of_it(desk):
    desk.put("a", card("a"))
    before, found = rows(desk.db), desk.access

    def fail():
        with desk.db.write(desk.book_id) as session:
            cards.put(session, found, "b", cards.check(card("b")), secret=desk.db.secret, by=BY)
            cards.remove(session, found, "a", by=BY)
            people.add_user(session, "carla")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert rows(desk.db) == before
    desk.put("b", card("b"))


def test_a_constraint_that_somebody_else_broke_meanwhile_is_for_trying_again(desk):
    with pytest.raises(BusyError), desk.db.write() as session:
        session.execute(text("UPDATE books SET owner_id = 999999"))


def test_a_snapshot_sees_one_moment(desk):
    desk.put("a", card("a"))
    whole = desk.access
    with desk.db.snapshot() as session:
        first = [one.href for one in reading.every(session, whole)]
        desk.put("b", card("b"))

        assert [one.href for one in reading.every(session, whole)] == first == ["a"]


def test_a_reading_session_sees_what_was_committed_before_each_statement(desk):
    with desk.db.read() as session:
        assert not reading.has_uid(session, desk.book_id, "a")
        desk.put("a", card("a"))
        assert reading.has_uid(session, desk.book_id, "a")


def test_sqlite_commits_durably_and_keeps_its_foreign_keys(new_database_url):
    with opened(new_database_url("sqlite")) as db, db.engine.connect() as connection:
        names = ("journal_mode", "synchronous", "foreign_keys", "cache_size")
        asked = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert asked == ["wal", 2, 1, -1000]


def test_postgresql_bounds_what_waits_for_a_lock_and_compiles_no_queries(new_database_url):
    db = Database(new_database_url("postgresql"), pool_size=2, write_wait=timedelta(seconds=7), threads=4)
    with closing(db), db.read() as session:
        shown = [session.scalar(text(f"SHOW {name}")) for name in ("lock_timeout", "jit")]

    assert shown == ["7s", "off"]


# -- the schema --------------------------------------------------------------------------------------------------------


def test_an_empty_database_is_refused_with_the_command_that_makes_its_tables(empty_url):
    with opened(empty_url) as db:
        assert db.is_empty()
        db.upgrade()
        assert not db.is_empty()
        with db.engine.begin() as connection:
            connection.execute(text(f"DELETE FROM {VERSION_TABLE}"))

        with pytest.raises(SchemaError, match="radicale-shared db upgrade"):
            db.check_schema()


def test_an_upgrade_makes_the_current_schema_and_a_second_one_changes_nothing(empty_url):
    with opened(empty_url) as db:
        before, now = db.upgrade()
        assert before is None
        first = rows(db)
        assert db.upgrade() == (now, now)
        assert rows(db) == first
        db.check_schema()


def test_two_upgrades_at_once_wait_for_each_other(empty_url):
    assert exit_codes(UPGRADE, [empty_url], [empty_url], [empty_url]) == [0, 0, 0]

    with opened(empty_url) as db, db.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM database_state")).scalar() == 1


def test_a_newer_schema_is_refused_by_the_server_and_by_the_upgrade(empty_url):
    with opened(empty_url) as db:
        db.upgrade()
        with db.engine.begin() as connection:
            connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))

        with pytest.raises(SchemaError, match="newer"):
            db.check_schema()
        with pytest.raises(SchemaError, match="newer"):
            db.upgrade()


def test_an_older_schema_is_refused_with_the_command_that_upgrades_it(empty_url, monkeypatch):
    with opened(empty_url) as db:
        db.upgrade()
        monkeypatch.setattr(schemas, "present", lambda: "9999")

        with pytest.raises(SchemaError, match="radicale-shared db upgrade"):
            db.check_schema()


def test_a_database_that_was_moved_is_not_upgraded(empty_url, monkeypatch):
    with opened(empty_url) as db:
        db.upgrade()
        with db.engine.begin() as connection:
            connection.execute(text("UPDATE database_state SET moved_to = 'elsewhere'"))
        assert db.upgrade() == (schemas.present(), schemas.present())
        monkeypatch.setattr(schemas, "present", lambda: "9999")

        with pytest.raises(SchemaError, match="Everything was moved to elsewhere"):
            db.upgrade()


SEARCH_INDEX = ("card_texts", "ix_card_search_trigrams")


def test_the_migrations_make_the_tables_of_the_models(empty_url):
    with opened(empty_url) as db:
        db.upgrade()
        with db.engine.connect() as connection:
            options = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
            # The index of searched texts is no part of the models (radicale_shared.search_index).
            options["include_name"] = lambda name, _kind, _parents: not str(name).startswith(SEARCH_INDEX)
            context = MigrationContext.configure(connection, opts=options)

            assert compare_metadata(context, Base.metadata) == []


def test_names_of_constraints_are_those_of_the_convention_on_both_databases(empty_url):
    with opened(empty_url) as db:
        db.upgrade()
        found = inspect(db.engine)
        for table in Base.metadata.sorted_tables:
            names = {one["name"] for one in found.get_foreign_keys(table.name)}
            assert names == {one.name for one in table.foreign_key_constraints}, table.name
            assert found.get_pk_constraint(table.name)["name"] == table.primary_key.name
            checks = {one["name"] for one in found.get_check_constraints(table.name)}
            assert checks == {one.name for one in table.constraints if isinstance(one, CheckConstraint)}


def test_every_database_has_a_secret_of_its_own(database_url, tmp_path):
    with opened(database_url) as db, opened(f"sqlite:///{tmp_path / 'other.db'}") as other:
        other.upgrade()

        assert len(db.secret) == 32
        assert db.secret != other.secret


# -- URLs, and databases that are gone ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://localhost/x", "sqlite://", "sqlite:///:memory:", "nosuch://x"]
)
def test_a_url_that_can_not_be_used_is_a_mistake_of_the_configuration(url):
    with pytest.raises(ConfigurationError):
        database.connect(url)


@pytest.mark.parametrize(
    "url", ["sqlite:////nonexistent/folder/books.db", "postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=2"]
)
def test_a_database_that_is_not_there_is_unavailable(url):
    with opened(url, write_wait=SHORT) as db:
        with pytest.raises(UnavailableError), db.read() as session:
            session.execute(text("SELECT 1"))
        with pytest.raises(UnavailableError), db.write() as session:
            session.execute(text("SELECT 1"))


TERMINATE_ONESELF = "SELECT pg_terminate_backend(pg_backend_pid())"


def terminate_others(admin_url, name):
    with opened(admin_url) as admin, admin.engine.connect() as connection:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
        while connection.execute(text(query), {"name": name}).all():
            connection.rollback()  # they end in a moment, which this transaction wouldn't see


def test_a_lost_connection_to_postgresql_is_unavailable_and_then_it_works_again(postgresql_admin):
    url = new_postgresql_database(postgresql_admin)
    with opened(url) as db:
        db.upgrade()
        name = db.engine.url.database
        for way in (db.read, db.write, db.snapshot):
            with way() as session:
                session.execute(text("SELECT 1"))
            with pytest.raises(UnavailableError), way() as session:
                session.execute(text(TERMINATE_ONESELF))

            with way() as session:
                assert session.execute(text("SELECT 1")).scalar() == 1

        with db.read() as session:
            session.execute(text("SELECT 1"))
        terminate_others(postgresql_admin, name)
        with db.read() as session:  # an idle connection that was lost isn't even noticed
            assert session.execute(text("SELECT 1")).scalar() == 1
    drop_postgresql_database(postgresql_admin, url)

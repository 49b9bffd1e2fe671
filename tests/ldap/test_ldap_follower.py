"""The threads that follow: one leader a directory, none that waits for another, none that ends."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import select

from radicale_shared import books, database, directories, leases, people
from radicale_shared.database import Database
from radicale_shared.directory_settings import MirrorSettings
from radicale_shared.errors import NotFoundError
from radicale_shared.ldap.follower import Follower, lease_life, lease_name
from radicale_shared.models import Principal
from tests.ldap.people import branch

SOON = 20.0


def until(happened):
    deadline = time.monotonic() + SOON
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def follower(db):
    """Starts a Follower; all are stopped after the test."""
    started = []

    def start(*followed, db=db):
        started.append(Follower(db, followed))
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        one.stop(10)


def groups(db, name="main"):
    with db.read() as session:
        return [one.slug for one in people.groups(session) if one.directory == name]


def state(db, name="main"):
    with db.read() as session:
        return directories.state(session, name)


def holder(db, name="main"):
    with db.read() as session:
        return leases.holder(session, lease_name(name), life=timedelta(minutes=1))


def test_the_first_round_is_over_everything(follower, db, company, directory):
    follower(directory(company.settings(poll_seconds=1)))
    until(lambda: len(groups(db)) == 8 and state(db).followed_lately)


def test_a_directory_that_hangs_holds_up_no_other(follower, db, company, new_slapd, directory):
    hanging = new_slapd(branch(), suffix="dc=branch,dc=example")
    hanging.freeze()
    follower(
        directory(hanging.settings(name="branch", poll_seconds=1, connect_timeout_seconds=2, answer_timeout_seconds=2)),
        directory(company.settings(poll_seconds=1)),
    )
    until(lambda: len(groups(db)) == 8)
    assert state(db, "branch").followed_at is None
    until(lambda: state(db, "branch").failing_since is not None)
    hanging.thaw()
    until(lambda: state(db, "branch").failing_since is None and groups(db, "branch") == ["staff-3"])


def test_one_of_two_processes_leads_and_the_other_one_when_it_stops(follower, db, company, directory):
    other_db = Database(db.url, pool_size=2, write_wait=timedelta(seconds=10), threads=8)
    with closing(other_db):
        first = follower(directory(company.settings(poll_seconds=1)))
        until(lambda: holder(db) != "")
        leader = holder(db)
        second = follower(directory(company.settings(poll_seconds=1)), db=other_db)
        time.sleep(2.5)
        assert holder(db) == leader
        first.stop(10)
        until(lambda: holder(db) not in {"", leader})
        second.stop(10)
        assert holder(db) == ""


def test_reading_may_take_longer_than_a_lease_lasts(follower, db, company, directory, relay, monkeypatch):
    monkeypatch.setattr("radicale_shared.ldap.follower._SHORTEST_LEASE", 3.0)
    between = relay(company.port)
    between.delay = 1.5  # a round takes twice as long as a lease, and each of the others would have it meanwhile
    slow = company.settings(poll_seconds=1, servers=(between.url,))
    started = [follower(directory(slow)) for _ in range(3)]
    until(lambda: len(groups(db)) == 8 and state(db).followed_lately)
    for one in started:
        one.stop(10)


@pytest.mark.parametrize(("poll_seconds", "life"), [(1, 15), (30, 45)])
def test_a_leader_that_died_is_waited_for_less_than_a_minute(company, directory, poll_seconds, life):
    assert lease_life(directory(company.settings(poll_seconds=poll_seconds))) == timedelta(seconds=life)


def test_a_database_that_is_of_no_use_ends_no_thread(follower, company, directory, tmp_path):
    url = f"sqlite:///{tmp_path / 'late.db'}"
    with closing(database.connect(url)) as late:
        follower(directory(company.settings(poll_seconds=1)), db=late)
        time.sleep(1.5)
        late.upgrade()
        until(lambda: len(groups(late)) == 8)
        with late.read() as session:
            assert session.scalars(select(Principal.kind).distinct()).all() == ["group"]


def test_the_leader_brings_up_the_mirrored_book_where_it_is_due(follower, db, company, directory):
    mirror = MirrorSettings(book="company/people", name="People")
    follower(directory(company.settings(poll_seconds=1, mirror=mirror)))

    def is_there():
        try:
            with db.read() as session:
                return books.find(session, "company/people").card_count > 0
        except NotFoundError:
            return False

    until(is_there)
    until(lambda: state(db).mirrored_at is not None)

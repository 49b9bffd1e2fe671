"""The thread beside the requests: one leader, notices sent soon, what is too old removed each day, a good end."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from radicale_shared import access, books, cards, entry_refresh, entry_rows, leases, notices, people, retention
from radicale_shared.caretaker import LEASE, LEASE_LIFE, Caretaker
from radicale_shared.models import DatabaseState, Entry, now, table
from radicale_shared.notices import Channels
from radicale_shared.settings_file import FileSettings, NotifySettings
from tests.conftest import BY, card
from tests.telling.receivers import Webhook

SOON = 20.0


def until(happened):
    deadline = time.monotonic() + SOON
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def webhook():
    made = Webhook()
    yield made
    made.close()


@pytest.fixture
def caretaker(db, webhook):
    """Starts a Caretaker; all are stopped after the test."""
    started = []

    def start():
        settings = FileSettings(notify=NotifySettings(webhook_url=webhook.url))
        started.append(Caretaker(db, settings, every=0.05))
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        one.stop(10)


def queue(db):
    with db.write() as session:
        notices.add(session, Channels(webhook=True), "s", "t", {})


def pruned_at(db):
    with db.read() as session:
        return retention.pruned_at(session)


def holder(db):
    with db.read() as session:
        return leases.holder(session, LEASE, life=LEASE_LIFE)


def test_a_notice_is_sent_soon_by_one_of_several(db, webhook, caretaker):
    for _ in range(3):
        caretaker()
    for _ in range(5):
        queue(db)

    until(lambda: len(webhook.requests) >= 5)
    time.sleep(0.2)
    assert len(webhook.requests) == 5


def test_another_one_follows_who_stops(db, webhook, caretaker):
    first = caretaker()
    until(lambda: holder(db))
    second = caretaker()
    first.stop(10)
    assert not first.is_alive()
    queue(db)

    until(lambda: webhook.requests)
    assert second.is_alive()


def test_what_is_too_old_is_removed_once_a_day(db, caretaker):
    caretaker()
    until(lambda: pruned_at(db) is not None)
    first = pruned_at(db)
    time.sleep(0.3)
    assert pruned_at(db) == first


def test_it_is_not_removed_where_a_timer_did_it_today_and_is_after_a_day(db, caretaker):
    with db.write() as session:
        today = now() - timedelta(hours=23)
        session.execute(update(table(DatabaseState)).values(pruned_at=today))
    caretaker()
    until(lambda: holder(db))
    time.sleep(0.3)
    assert pruned_at(db) == today

    with db.write() as session:
        session.execute(update(table(DatabaseState)).values(pruned_at=now() - timedelta(hours=25)))
    until(lambda: pruned_at(db) > today)


def test_the_lease_is_given_back_at_the_end(db, caretaker):
    one = caretaker()
    until(lambda: holder(db))
    until(lambda: pruned_at(db) is not None)

    one.stop(10)

    assert holder(db) == ""
    with db.read() as session:
        assert session.scalar(select(DatabaseState.pruned_at)) is not None


def test_entries_that_an_older_program_made_are_made_anew(db, caretaker):
    with db.write() as session:
        book = books.add(session, people.add_user(session, "ada"), "contacts", by=BY)
        cards.put(session, access.administrator(book), "a", cards.check(card("a", "Ada")), secret=db.secret, by=BY)
        session.execute(update(table(Entry)).values(data="older"))
        books.entries_made(session, book.id, "0")
    caretaker()

    def stale():
        with db.read() as session:
            return entry_refresh.stale(session)

    until(lambda: not stale())
    (page,) = entry_rows.pages(db.read, access.administrator(book))
    assert [one.name for one in page] == ["Ada"]

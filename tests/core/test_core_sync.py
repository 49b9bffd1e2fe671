"""Sync: whatever happened, a client that applies the answers equals the server."""

from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from radicale_shared import access, books, reading, refusals, retention, sync
from radicale_shared.database import Database
from radicale_shared.errors import UnknownSyncTokenError
from radicale_shared.models import Book, Card, now, table
from radicale_shared.refusals import Refused
from radicale_shared.sync import PREFIX, Token
from tests.conftest import card, examples


def applied(known, news):
    """What a client has that knew ``known`` and was told ``news``."""
    return {href: etag for href, etag in {**known, **news}.items() if etag is not None}


def etags(desk):
    return {href: etag for page in reading.pages(desk.db.read, desk.access) for href, etag, _ in page}


# -- by property -------------------------------------------------------------------------------------------------------

HREFS = st.sampled_from(["a", "b", "c", "d"])
WRITERS = st.integers(0, 1)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), WRITERS, HREFS, st.integers(0, 2)),
        st.tuples(st.just("remove"), WRITERS, HREFS),
        st.tuples(st.just("forget"), WRITERS),
        st.tuples(st.just("sync"), st.integers(0, 20)),
    ),
    max_size=25,
)


def done(desks, step):
    """Take one step of a writer."""
    match step:
        case ("put", writer, href, version):
            desks[writer].put(href, card(href, f"Version {version}"))
        case ("remove", writer, href) if desks[0].get(href):
            desks[writer].remove(href)
        case ("forget", writer):
            # All of the history: no sync may need it.
            retention.prune(desks[writer].db, 1, 1000, at=now() + timedelta(days=2))


@pytest.fixture
def two_writers(new_desk):
    """Makes books, each as two programs see it: (desk, desk)."""
    with closing(Database(new_desk().db.url, pool_size=2, write_wait=timedelta(seconds=10), threads=8)) as second:

        def make():
            desk = new_desk()
            return desk, desk.of(second)

        yield make


@examples(20)
@given(steps=STEPS)
def test_a_client_that_applies_the_answers_equals_the_server_from_any_earlier_token(two_writers, steps):
    desks = two_writers()
    clients = [({}, "")]
    for step in steps:
        if step[0] != "sync":
            done(desks, step)
            continue
        known, token = clients[step[1] % len(clients)]
        news, token = desks[0].since(token)
        clients.append((applied(known, news), token))
        assert clients[-1][0] == etags(desks[0])

    for known, token in clients:
        news, _ = desks[0].since(token)
        assert applied(known, news) == etags(desks[0])


@examples(10)
@given(steps=STEPS, at=st.integers(0, 25))
def test_what_is_written_between_reading_the_token_and_the_cards_is_not_lost(two_writers, steps, at):
    desks = two_writers()
    early = desks[0].access
    for number, step in enumerate(steps):
        done(desks, step)
        if number == at:
            early = desks[0].access

    first, token = desks[0].since("", found=early)
    second, _ = desks[0].since(token)

    assert token == sync.token(early, desks[0].db.secret)
    assert applied(applied({}, first), second) == etags(desks[0])


@examples(20)
@given(steps=STEPS, limit=st.integers(1, 3), later=STEPS, refused=st.lists(HREFS, max_size=4, unique=True))
def test_parts_of_an_answer_add_up_to_it_whatever_happens_between_them(two_writers, steps, limit, later, refused):
    desks = two_writers()
    for step in steps:
        done(desks, step)
    half, start = desks[0].since("")
    for step in later:
        done(desks, step)
    serials = Refused({href: number for number, href in enumerate(refused, 1)}, 0)

    for known, token in (({}, ""), (half, start)):
        rest = list(later)
        holds, parts = known, [token]
        for news, part in desks[0].pages(token, limit, serials):
            holds = applied(holds, news)
            parts.append(part)
            if rest:
                # What changes behind a part is told by a later one, or by the next sync.
                done(desks, rest.pop())
        assert len(set(parts[1:])) == len(parts[1:])
        found = replace(desks[0].access, refused=len(refused))
        news, _ = desks[0].since(parts[-1], found, serials)
        assert applied(holds, news) == etags(desks[0])


def test_a_part_goes_as_far_as_its_limit_and_the_next_goes_on_there(desk):
    for href in "abcde":
        desk.put(href, card(href))
    desk.remove("b")

    # Nobody knows how far the client had come when the card went: its removal is told behind the first part.
    told = [news for news, _ in desk.pages("", 2)]
    assert [sorted(news) for news in told] == [["a", "c"], ["d", "e"], ["b"]]
    assert told[2] == {"b": None}

    token = desk.token
    desk.put("a", card("a", "Two"))
    desk.put("f", card("f"))
    desk.remove("c")
    (first, middle), (second, last) = list(desk.pages(token, 2))
    assert (sorted(first), second) == (["a", "f"], {"c": None})
    assert (middle != last, last) == (True, desk.token)


def test_refused_writes_are_told_in_parts_too_each_once(desk):
    desk.put("a", card("a"))
    token = desk.token
    desk.put("b", card("b"))
    serials = Refused({"a": 1, "x": 2, "y": 3}, 0)

    told = [sorted(news) for news, _ in desk.pages(token, 2, serials)]
    assert told == [["a", "b"], ["x", "y"]]


# -- tokens ------------------------------------------------------------------------------------------------------------


def test_a_token_is_a_uri_and_reads_back(desk):
    assert desk.token.startswith(PREFIX)
    assert sync.parse(desk.token, desk.db.secret).text(desk.db.secret) == desk.token


def test_nothing_new_is_nothing_and_costs_no_statement(desk, statements):
    desk.put("a", card("a"))
    token, found = desk.token, desk.access
    statements.clear()

    assert desk.since(token, found=found) == ({}, token)
    assert len(statements) == 0


def test_an_empty_token_gets_live_cards_only(desk):
    desk.put("a", card("a"))
    desk.put("b", card("b"))
    desk.remove("a")

    news, _ = desk.since("")

    assert list(news) == ["b"]


def test_a_card_that_came_and_went_since_the_token_is_told_as_removed_once(desk):
    token = desk.token
    desk.put("a", card("a"))
    desk.remove("a")

    assert desk.since(token)[0] == {"a": None}


def test_a_card_deleted_and_made_anew_is_told_once_as_it_is_now(desk):
    desk.put("a", card("a"))
    token = desk.token
    desk.remove("a")
    etag = desk.put("a", card("b")).etag

    assert desk.since(token)[0] == {"a": etag}


MALFORMED = [
    "x",
    "http://example.org/sync/1",
    PREFIX,
    PREFIX + "////",
    PREFIX + "a/b/1/0",
    PREFIX + "a/b/1/0/0/0",
    PREFIX + "a/b/-1/0/0",
    PREFIX + "a/b/1e3/0/0",
    PREFIX + "a/b/¹/0/0",
    PREFIX + "a/b/1/0/" + "9" * 5000,
    PREFIX + "a/b/" + "9" * 30 + "/0/0",
    "\x00",
]


@pytest.mark.parametrize("token", MALFORMED, ids=range(len(MALFORMED)))
def test_a_token_that_was_not_made_here_starts_over(desk, token):
    with pytest.raises(UnknownSyncTokenError):
        desk.since(token)
    assert not sync.is_rollback(desk.access, token, desk.db.secret)


def test_another_books_token_starts_over(new_desk):
    first, second = new_desk(), new_desk()

    with pytest.raises(UnknownSyncTokenError):
        first.since(second.token)
    assert not sync.is_rollback(first.access, second.token, first.db.secret)


def test_a_token_of_an_earlier_epoch_starts_over(desk):
    token = desk.token
    with desk.db.write() as session:
        assert books.new_epoch(session, desk.book_id) == 1

    with pytest.raises(UnknownSyncTokenError):
        desk.since(token)
    assert desk.since(desk.token)[0] == {}


def test_a_token_above_the_books_revision_proves_a_rollback_and_the_epoch_changes_once(desk):
    desk.put("a", card("a"))
    token, before = desk.token, desk.access
    with desk.db.write() as session:
        session.execute(update(table(Book)).where(table(Book).c.id == desk.book_id).values(revision=1))
    found = desk.access

    assert sync.is_rollback(found, token, desk.db.secret)
    with pytest.raises(UnknownSyncTokenError):
        desk.since(token)
    with desk.db.write() as session:
        sync.rotate(session, found)
    rotated = desk.access.book.epoch
    with desk.db.write() as session:
        sync.rotate(session, found)  # another process that saw the same

    assert rotated == desk.access.book.epoch != before.book.epoch
    assert not sync.is_rollback(desk.access, token, desk.db.secret)


def test_only_tokens_below_the_floor_start_over(desk):
    old = desk.token
    desk.put("a", card("a"))
    floor = desk.token
    desk.put("b", card("b"))
    with desk.db.write() as session:
        values = {"floor": sync.parse(floor, desk.db.secret).revision}
        session.execute(update(table(Book)).where(table(Book).c.id == desk.book_id).values(**values))

    with pytest.raises(UnknownSyncTokenError):
        desk.since(old)
    assert list(desk.since(floor)[0]) == ["b"]


def test_another_views_token_gets_all_live_cards_and_the_removals_since(desk):
    for href in ("a", "b", "c"):
        desk.put(href, card(href))
    desk.remove("a")
    token = sync.parse(desk.token, desk.db.secret)
    desk.remove("b")
    of_another_view = Token(token.book_uuid, token.epoch, token.revision, "f" * 16, token.refused).text(desk.db.secret)

    news, new_token = desk.since(of_another_view)

    assert news == {"b": None, "c": desk.get("c").etag}
    assert sync.parse(new_token, desk.db.secret).view == "0"


def test_a_sync_reads_cards_by_their_index_and_never_the_history(desk, statements):
    token = desk.token
    desk.put("a", card("a"))
    found = desk.access
    statements.clear()

    desk.since(token, found=found)

    assert len(statements) == 1
    assert "change" not in statements.texts[0].lower()


def test_a_deleted_cards_row_stays_for_ever(desk):
    desk.put("a", card("a"))
    desk.remove("a")

    with desk.db.read() as session:
        row = session.query(Card).where(Card.book_id == desk.book_id).one()
        assert (row.deleted, row.body_id) == (True, None)


# -- refused writes ----------------------------------------------------------------------------------------------------


def refused_access(desk, serial):
    found = desk.access
    return access.Access(found.principal_id, found.book, found.verbs, refused=serial)


def test_a_refused_edit_is_reported_and_a_refused_new_card_is_not_there(desk):
    etag = desk.put("a", card("a")).etag
    token = desk.token
    refused = Refused({"a": 1, "new": 2}, 0)

    news, after = desk.since(token, refused_access(desk, 2), refused)

    assert news == {"a": etag, "new": None}
    assert after != token
    assert desk.since(after, refused_access(desk, 2), refused) == ({}, after)


def test_only_what_was_refused_since_the_token_is_reported(desk):
    for href in ("a", "b"):
        desk.put(href, card(href))
    _, token = desk.since("", refused_access(desk, 1))
    refused = Refused({"a": 1, "b": 2}, 0)

    news, _ = desk.since(token, refused_access(desk, 2), refused)

    assert list(news) == ["b"]


def test_a_refused_card_that_changed_meanwhile_is_reported_once(desk):
    desk.put("a", card("a"))
    token = desk.token
    desk.put("a", card("a", "Two"))

    news, _ = desk.since(token, refused_access(desk, 1), Refused({"a": 1}, 0))

    assert list(news) == ["a"]


def test_a_client_whose_refusals_were_folded_starts_over_as_nobody_knows_its_new_cards(desk):
    desk.put("a", card("a"))
    token = desk.token
    refused = Refused({}, 5)

    with pytest.raises(UnknownSyncTokenError):
        desk.since(token, refused_access(desk, 5), refused)

    _, started_over = desk.since("", refused_access(desk, 5), refused)
    assert desk.since(started_over, refused_access(desk, 5), refused) == ({}, started_over)


def test_a_serial_of_another_program_counts_as_none(desk):
    desk.put("a", card("a"))
    _, of_another = desk.since("", refused_access(desk, 9))

    news, _ = desk.since(of_another, refused_access(desk, 1), Refused({"a": 1}, 0))

    assert list(news) == ["a"]
    assert refusals.NOTHING.since(0) == []

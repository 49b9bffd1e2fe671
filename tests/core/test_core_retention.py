"""Retention: what is old enough goes, what is needed stays, whenever it is interrupted and whoever writes meanwhile."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, insert, select, update

from radicale_shared import books, cards, changes, history, integrity, people, retention, slices, transfers
from radicale_shared.database import Database
from radicale_shared.errors import NotAllowedHereError, NotFoundError
from radicale_shared.models import (
    Act,
    Block,
    Body,
    Book,
    Card,
    Change,
    CleanUp,
    Destruction,
    GivenUpUid,
    LargeValue,
    Undo,
    table,
)
from radicale_shared.retention import Terms
from radicale_shared.transfers import Place
from tests.conftest import BY, card, examples

DAY = timedelta(days=1)
# Everything that tests do is older than a day by then.
LATER = datetime.now(UTC) + 10 * DAY


def prune(db, keep_days=1, trash_days=1, **more):
    return retention.prune(db, keep_days, trash_days, at=more.pop("at", LATER), clock_is_right=True, **more)


def count(db, model, *conditions):
    with db.read() as session:
        return session.scalars(select(func.count()).select_from(model).where(*conditions)).one()


def ids(db, query):
    with db.read() as session:
        return set(session.scalars(query)) - {None}


def wasted(db):
    """Bodies and long lines that nobody needs."""
    needed = ids(db, select(Card.body_id)).union(
        *(ids(db, select(column)) for column in (Change.before_id, Change.after_id, Change.received_id))
    )
    return ids(db, select(Body.id)) - needed, ids(db, select(LargeValue.id)) - ids(db, select(Body.large_id))


def photo(letter):
    return "PHOTO;ENCODING=b;TYPE=JPEG:" + letter * 1500


def told(desk, href, revision):
    with desk.db.read() as session:
        try:
            return history.state_after(session, desk.book_id, href, revision)
        except NotFoundError:
            return "unknown"


def act_of_each_revision_is_a_day_older(desk, at):
    """The book's last revision was made at ``at``, the one before it a day earlier, and so on."""
    last = desk.revision
    with desk.db.write(desk.book_id) as session:
        for act_id, revision in session.execute(
            select(Change.act_id, Change.revision).where(Change.book_id == desk.book_id)
        ).all():
            session.execute(update(table(Act)).where(Act.id == act_id).values(at=at - (last - revision) * DAY))


DEEDS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.one_of(st.just("remove"), st.tuples(st.integers(0, 2), st.sampled_from(["", "A", "B"]))),
    ),
    min_size=1,
    max_size=14,
)


def done(desk, deeds):
    """{revision: {href: bytes}} of all states, after some deeds."""
    states = {desk.revision: {}}
    for href, deed in deeds:
        if deed != "remove":
            number, letter = deed
            desk.put(href, card(href, f"Name {number}", *([photo(letter)] if letter else [])))
        elif desk.get(href):
            desk.remove(href)
        states[desk.revision] = desk.state()
    return states


@examples(30)
@given(deeds=DEEDS, days=st.lists(st.integers(1, 15), min_size=1, max_size=3), most=st.integers(1, 4))
def test_what_stays_is_every_state_since_then_and_what_goes_is_all_else(new_desk, deeds, days, most):
    desk = new_desk()
    states = done(desk, deeds)
    act_of_each_revision_is_a_day_older(desk, LATER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "MOST_CARDS", most)
        for keep in sorted(days, reverse=True):
            would_be = prune(desk.db, keep, dry_run=True)
            assert prune(desk.db, keep) == would_be
            assert prune(desk.db, keep) == retention.Pruned()
    keep = min(days)

    assert list(integrity.problems(desk.db)) == []
    assert wasted(desk.db) == (set(), set())
    assert desk.state() == states[desk.revision]
    # Of a day ago or younger are the last ``keep`` revisions and one more.
    kept = [revision for revision, *_ in desk.changes()]
    assert kept == [one for one in range(2, desk.revision + 1) if one >= desk.revision - keep]
    for at, state in states.items():
        for href in "abc":
            found = told(desk, href, at)
            if at >= desk.revision - keep - 1:
                assert found == state.get(href) or (found == "unknown" and href not in state)
            else:
                assert found == "unknown" or found == state.get(href)


def test_an_older_state_is_told_to_be_no_longer_kept(desk):
    desk.put("a", card("a", "One"))
    desk.put("a", card("a", "Two"))
    desk.put("a", card("a", "Three"))
    act_of_each_revision_is_a_day_older(desk, LATER)
    prune(desk.db, 1)

    with desk.db.read() as session, pytest.raises(NotFoundError, match="The book's history is kept since 20"):
        history.state_after(session, desk.book_id, "a", 2 - 1)
    assert told(desk, "a", 2) == card("a", "One")
    prune(desk.db, 1, at=LATER + 10 * DAY)
    with desk.db.read() as session, pytest.raises(NotFoundError, match="book retention"):
        history.state_after(session, desk.book_id, "a", 3)
    assert told(desk, "a", 4) == card("a", "Three")


def test_a_deletion_of_before_is_still_known(desk):
    desk.put("a", card("a"))
    desk.remove("a")
    desk.put("b", card("b"))
    prune(desk.db)
    assert count(desk.db, Change) == 0
    assert told(desk, "a", 4) is None


def test_what_was_received_and_not_stored_goes_too(desk):
    desk.put("a", card("a"))
    desk.put("a", card("a", "Two"))
    with desk.db.write(desk.book_id) as session:
        found = session.execute(
            insert(table(Body)).values(book_id=desk.book_id, data=card("a", "Sent")).returning(table(Body).c.id)
        ).scalar_one()
        session.execute(update(table(Change)).where(table(Change).c.revision == 3).values(received_id=found))
    prune(desk.db)
    assert count(desk.db, Body) == 1


# -- which book, which deed --------------------------------------------------------------------------------------------


def test_a_book_may_be_kept_longer_or_shorter_than_the_settings_say(new_desk):
    longer, shorter, default = new_desk(), new_desk(), new_desk()
    for desk in (longer, shorter, default):
        desk.put("a", card("a"))
    with default.db.write() as session:
        retention.set_terms(session, longer.access.book, Terms(history_days=1000), by=BY)
        retention.set_terms(session, shorter.access.book, Terms(history_days=1), by=BY)
    prune(default.db, 11)
    assert [len(desk.changes()) for desk in (longer, shorter, default)] == [1, 0, 1]
    assert count(default.db, Act, Act.book_id == shorter.book_id) == 0  # how it was made, and its terms
    prune(default.db, 5)
    assert [len(desk.changes()) for desk in (longer, shorter, default)] == [1, 0, 0]
    assert count(default.db, Act, Act.book_id == longer.book_id) == 3


def test_the_terms_of_a_book_are_a_deed_of_its_history(desk):
    with desk.db.write() as session:
        retention.set_terms(session, desk.access.book, Terms(30, 7), by=BY)
        retention.set_terms(session, desk.access.book, Terms(None, 7), by=BY)
        assert retention.terms_of(session, desk.book_id) == Terms(None, 7)
    with desk.db.snapshot() as session:
        told = [(entry.kind, entry.reason) for entry in history.entries(session, book_id=desk.book_id)]
    assert told[:2] == [
        ("retention", "history default, trash 7 days"),
        ("retention", "history 30 days, trash 7 days"),
    ]


def test_a_move_between_books_is_forgotten_once_both_have_forgotten_it(new_desk):
    source, target = new_desk(), new_desk()
    source.put("a", card("a"))
    with source.db.write(source.book_id, target.book_id) as session:
        transfers.transfer(
            session,
            Place(source.access, "a"),
            Place(target.access, "a"),
            moving=True,
            secret=source.db.secret,
            by=BY,
        )
    with source.db.write() as session:
        retention.set_terms(session, target.access.book, Terms(history_days=1000), by=BY)
    moved = Act.kind == "move"
    prune(source.db)
    assert (source.changes(), len(target.changes()), count(source.db, Act, moved)) == ([], 1, 1)
    assert target.state() == {"a": card("a")}

    with source.db.write() as session:
        retention.set_terms(session, target.access.book, Terms(), by=BY)
    prune(source.db)
    assert (target.changes(), count(source.db, Act, moved)) == ([], 0)
    assert target.state() == {"a": card("a")}


def test_a_deed_that_goes_on_for_days_keeps_what_came_after_it_until_it_is_old(desk):
    # A revision of an old deed, among those of younger ones: no hole is made there.
    with desk.db.write(desk.book_id) as session:
        old = changes.begin(session, "import", BY, book_id=desk.book_id)
    desk.put("a", card("a", "One"), act_id=old)
    desk.put("a", card("a", "Two"))
    desk.put("a", card("a", "Three"), act_id=old)
    with desk.db.write(desk.book_id) as session:
        session.execute(update(table(Act)).where(Act.id == old).values(at=LATER - 30 * DAY))
    prune(desk.db, 20)
    assert [revision for revision, *_ in desk.changes()] == [3, 4]
    assert told(desk, "a", 3) == card("a", "Two")
    assert count(desk.db, Act, Act.id == old) == 1


def test_deeds_on_no_book_and_on_books_are_kept_as_long_as_what_was_done_to_cards(desk):
    assert count(desk.db, Act) == 1  # how the book was made
    with desk.db.write() as session:
        changes.begin(session, "grant", BY, book_id=None)
        session.execute(update(table(Act)).where(Act.kind == "grant").values(at=LATER))
    would_be = prune(desk.db, dry_run=True)
    assert prune(desk.db) == would_be
    assert would_be.deeds == 1
    with desk.db.read() as session:
        assert session.scalars(select(Act.kind)).all() == ["grant"]


def test_an_undo_that_is_not_finished_can_go_on(desk):
    with desk.db.write(desk.book_id) as session:
        going, ended = (changes.begin(session, "undo", BY, book_id=desk.book_id) for _ in range(2))
        for act_id, finished in ((going, False), (ended, True)):
            session.execute(insert(table(Undo)).values(act_id=act_id, spec="{}", upto_card_id=0, finished=finished))
    desk.put("a", card("a"), act_id=going)
    prune(desk.db)
    assert count(desk.db, Change) == 0
    assert ids(desk.db, select(Act.id)) == ids(desk.db, select(Undo.act_id)) == {going}


# -- the trash ---------------------------------------------------------------------------------------------------------


def in_the_trash(desk, days):
    with desk.db.write() as session:
        books.trash(session, desk.access.book, by=BY)
        session.execute(
            update(table(Book)).where(Book.id == desk.book_id).values(deleted_at=LATER - timedelta(days=days))
        )


def trashed(desk):
    with desk.db.read() as session:
        return books.find_trashed(session, desk.address)


def filled(desk):
    for number in range(7):
        desk.put(f"{number}", card(f"{number}", "One", photo("A")))
        desk.put(f"{number}", card(f"{number}", "Two", photo("A")))
    desk.remove("3")
    return desk


def test_a_book_is_erased_once_it_was_in_the_trash_for_long_enough(new_desk):
    due, early, kept = filled(new_desk()), filled(new_desk()), filled(new_desk())
    with due.db.write() as session:
        retention.set_terms(session, kept.access.book, Terms(trash_days=100), by=BY)
    for desk, days in ((due, 31), (early, 29), (kept, 31)):
        in_the_trash(desk, days)
    would_be = prune(due.db, 1000, 30, dry_run=True)
    pruned = prune(due.db, 1000, 30)

    assert pruned == would_be
    assert pruned.books == [due.address]
    assert (pruned.changes, pruned.states, pruned.large) == (15, 14, 1)
    for model in (Body, Card, Change, LargeValue):
        assert count(due.db, model, model.book_id == due.book_id) == 0
        assert count(due.db, model, model.book_id == early.book_id) > 0
    assert count(due.db, Act, Act.kind == "purge-book", Act.reason.startswith(due.address)) == 1
    assert count(due.db, Act, Act.book_id.is_(None), Act.kind == "put") == 0
    with due.db.write() as session:
        books.undelete(session, trashed(early), by=BY)
    assert len(early.state()) == 6
    assert list(integrity.problems(due.db)) == []


@pytest.mark.parametrize("slice_number", [1, 3, 4, 5, 6])
def test_a_book_that_is_half_erased_comes_back_to_nobody_and_goes_on_being_erased(desk, monkeypatch, slice_number):
    filled(desk)
    with desk.db.read() as session:
        owner = people.user(session, desk.address.partition("/")[0])
    in_the_trash(desk, 31)
    before = trashed(desk)
    stop_at_pause(monkeypatch, slice_number, most=4)
    with pytest.raises(Stopped):
        prune(desk.db, 1000, 30)

    assert list(integrity.problems(desk.db)) == []
    with desk.db.read() as session:
        assert books.all_books(session, trash=True) == []
    with pytest.raises(NotFoundError):
        trashed(desk)
    with pytest.raises(NotFoundError), desk.db.write() as session:
        books.undelete(session, before, by=BY)
    with desk.db.write() as session:
        books.add(session, owner, desk.address.partition("/")[2], by=BY)

    monkeypatch.undo()
    # Whatever is said of the trash by now.
    assert prune(desk.db, 1000, 1000).books == [desk.address]
    assert count(desk.db, Book) == 1
    assert wasted(desk.db) == (set(), set())
    assert list(integrity.problems(desk.db)) == []


def test_a_book_that_came_back_meanwhile_is_not_erased(desk, monkeypatch):
    filled(desk)
    in_the_trash(desk, 31)
    erase = retention._Run.erase

    def bring_back_first(self, book, until):
        with desk.db.write() as session:
            books.undelete(session, trashed(desk), by=BY)
        return erase(self, book, until)

    monkeypatch.setattr(retention._Run, "erase", bring_back_first)
    assert prune(desk.db, 1000, 30).books == []
    assert len(desk.state()) == 6


# -- interruptions, and others at the same time ------------------------------------------------------------------------


class Stopped(Exception):
    """As if the process had been killed between two slices."""


def stop_at_pause(monkeypatch, number, *, most):
    left = [number]

    def pause():
        left[0] -= 1
        if not left[0]:
            raise Stopped

    monkeypatch.setattr(slices, "MOST_CARDS", most)
    monkeypatch.setattr(slices, "pause", pause)


@pytest.mark.parametrize("slice_number", [1, 2, 4])
def test_what_was_stopped_between_two_slices_is_whole_and_can_go_on(desk, monkeypatch, slice_number):
    filled(desk)
    states = [told(desk, "3", at) for at in range(2, desk.revision + 1)]
    stop_at_pause(monkeypatch, slice_number, most=3)
    with pytest.raises(Stopped):
        prune(desk.db, at=LATER + slice_number * DAY)

    assert list(integrity.problems(desk.db)) == []
    assert wasted(desk.db) == (set(), set())
    first, *_ = desk.changes()
    assert first[0] == 2 + 3 * slice_number
    assert [told(desk, "3", at) for at in range(first[0], desk.revision + 1)] == states[first[0] - 2 :]
    with desk.db.read() as session:
        assert retention.pruned_at(session) != LATER + slice_number * DAY

    monkeypatch.undo()
    prune(desk.db, at=LATER + slice_number * DAY)
    assert desk.changes() == []
    assert len(desk.state()) == 6
    assert wasted(desk.db) == (set(), set())
    with desk.db.read() as session:
        assert retention.pruned_at(session) == LATER + slice_number * DAY


@pytest.mark.parametrize("erased", [False, True])
def test_a_slice_ends_by_time_too(desk, monkeypatch, erased):
    filled(desk)
    if erased:
        in_the_trash(desk, 31)
    keep = 1000 if erased else 1
    would_be = prune(desk.db, keep, 30, dry_run=True)
    pauses = []
    monkeypatch.setattr(slices, "MOST_TIME", timedelta(0))
    monkeypatch.setattr(retention, "_AT_ONCE", 1)
    monkeypatch.setattr(slices, "pause", lambda: pauses.append(1))

    assert prune(desk.db, keep, 30) == would_be
    assert len(pauses) >= 15 + (7 if erased else 0)  # changes, and cards
    assert wasted(desk.db) == (set(), set())
    assert list(integrity.problems(desk.db)) == []


def test_writers_and_two_runs_at_a_time_lose_nothing(desk, monkeypatch):
    monkeypatch.setattr(slices, "MOST_CARDS", 3)
    letters, failures = "ABC", []
    written = threading.Event()

    def guarded(work):
        def run():
            try:
                work()
            except Exception as error:  # noqa: BLE001  # whatever it is, the test tells it
                failures.append(error)

        return threading.Thread(target=run)

    def write():
        for number in range(40):
            href = f"{number % 5}"
            if number % 7 == 6 and desk.get(href):
                desk.remove(href)
            else:
                desk.put(href, card(href, f"Name {number}", photo(letters[number % 3])))
        written.set()

    def prune_on():
        while not written.is_set():
            prune(desk.db)

    threads = [guarded(write), guarded(prune_on), guarded(prune_on)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert list(integrity.problems(desk.db)) == []
    assert wasted(desk.db) == (set(), set())
    expected = {}
    for number in range(40):
        href = f"{number % 5}"
        if number % 7 == 6 and href in expected:
            del expected[href]
        else:
            expected[href] = card(href, f"Name {number}", photo(letters[number % 3]))
    assert desk.state() == expected


@pytest.fixture
def other_process(db):
    """The same database, with writers' queues of its own."""
    other = Database(db.url, pool_size=3, write_wait=timedelta(seconds=20), threads=8)
    yield other
    other.close()


def test_a_long_line_is_not_removed_while_another_process_points_at_it(desk, other_process):
    desk.put("a", card("a", "One", photo("A")))
    desk.remove("a")
    data = card("b", "Two", photo("A"))
    whole, content = desk.access, cards.check(data)
    run = threading.Thread(target=prune, args=(other_process,))
    with desk.db.write(desk.book_id) as session:
        cards.put(session, whole, "b", content, secret=desk.db.secret, by=BY)
        run.start()
        run.join(0.3)
    run.join()

    assert desk.state() == {"b": data}
    assert count(desk.db, LargeValue) == 1
    assert list(integrity.problems(desk.db)) == []


@pytest.mark.parametrize("erased", [False, True])
def test_two_processes_that_prune_at_once_remove_and_count_everything_once(desk, other_process, monkeypatch, erased):
    filled(desk)
    if erased:
        in_the_trash(desk, 31)
    keep = 1000 if erased else 1
    would_be = prune(desk.db, keep, 30, dry_run=True)
    monkeypatch.setattr(slices, "MOST_CARDS", 2)
    found, failures = [], []

    def run(db):
        try:
            found.append(prune(db, keep, 30))
        except Exception as error:  # noqa: BLE001  # whatever it is, the test tells it
            failures.append(error)

    threads = [threading.Thread(target=run, args=(db,)) for db in (desk.db, other_process)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    for what in ("changes", "states", "large", "bytes", "books"):
        assert sum((getattr(one, what) for one in found[1:]), getattr(found[0], what)) == getattr(would_be, what)
    assert wasted(desk.db) == (set(), set())
    assert list(integrity.problems(desk.db)) == []


def test_two_runs_that_erase_the_same_book_erase_it_once(desk, monkeypatch):
    filled(desk)
    in_the_trash(desk, 31)
    monkeypatch.setattr(slices, "MOST_CARDS", 2)
    found, failures = [], []

    def run():
        try:
            found.extend(prune(desk.db, 1000, 30).books)
        except Exception as error:  # noqa: BLE001  # whatever it is, the test tells it
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert found == [desk.address]
    assert count(desk.db, Act, Act.kind == "purge-book") == 1
    assert count(desk.db, Body) == 0
    assert list(integrity.problems(desk.db)) == []


# -- what else is kept for a time --------------------------------------------------------------------------------------


def test_notes_of_the_guard_go_when_nobody_needs_them(desk):
    with desk.db.write() as session:
        person = people.add_user(session, "somebody")
        block = {
            "book_id": desk.book_id,
            "source": "mad",
            "actor": "ada",
            "device": "",
            "address": "",
            "user_agent": "",
            "destroyed": 2,
            "of_cards": 9,
            "first_revision": 7,
            "began_at": LATER - 99 * DAY,
        }
        ends = [(LATER - 91 * DAY, None), (LATER - 89 * DAY, None), (LATER + DAY, LATER - 91 * DAY)]
        for until_at, released_at in ends:
            session.execute(
                insert(table(Block)).values(**block, at=LATER - 99 * DAY, until_at=until_at, released_at=released_at)
            )
        counted = [("mad", 7, 99), ("mad", 8, 99), ("mad", 6, 99), ("mad", 9, 98), ("sane", 7, 99), ("sane", 10, 0)]
        for source, revision, days in counted:
            session.execute(
                insert(table(Destruction)).values(
                    book_id=desk.book_id, source=source, revision=revision, deleted=True, at=LATER - days * DAY
                )
            )
        # By a program that only a User-Agent told apart: it was stopped with all of its person's.
        of_person = {"book_id": desk.book_id, "source": "mad program", "person": "mad", "deleted": True}
        session.execute(insert(table(Destruction)).values(**of_person, revision=11, at=LATER - 99 * DAY))
        for one, until_at in ((desk.access.book.owner_id, LATER - DAY), (person.id, LATER + DAY)):
            session.execute(
                insert(table(CleanUp)).values(book_id=desk.book_id, principal_id=one, until_at=until_at, said_by="ada")
            )
    prune(desk.db, 1000)
    assert ids(desk.db, select(Block.until_at)) == {LATER - 89 * DAY}
    assert ids(desk.db, select(Destruction.revision)) == {7, 8, 10, 11}
    assert count(desk.db, Destruction, Destruction.source == "sane") == 1
    assert ids(desk.db, select(CleanUp.principal_id)) == {person.id}


def test_any_number_of_days_can_be_said(desk):
    desk.put("a", card("a"))
    assert prune(desk.db, 1_000_000, 1_000_000) == retention.Pruned()
    assert len(desk.changes()) == 1


def test_uids_that_were_given_up_are_kept_for_sync(desk):
    desk.put("a", card("one"))
    desk.remove("a")
    desk.put("a", card("one"))
    desk.remove("a")
    desk.put("a", card("two"))
    prune(desk.db)
    with desk.db.read() as session:
        assert session.execute(select(GivenUpUid.uid, GivenUpUid.revision)).all() == [("one", 5)]


def test_a_clock_that_jumped_ahead_removes_nothing(desk):
    desk.put("a.vcf", card("a"))
    desk.put("a.vcf", card("a", "Second"))
    today = datetime.now(UTC)
    retention.prune(desk.db, 730, 90, at=today - 20 * DAY)
    retention.prune(desk.db, 730, 90, at=today)
    years_later = today + 1000 * DAY

    with pytest.raises(NotAllowedHereError, match="--clock-is-right"):
        retention.prune(desk.db, 730, 90, at=years_later)
    assert retention.prune(desk.db, 730, 90, at=years_later, dry_run=True).changes == 2
    assert told(desk, "a.vcf", 2) == card("a")

    assert retention.prune(desk.db, 730, 90, at=years_later, clock_is_right=True).changes == 2

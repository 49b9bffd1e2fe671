"""Copying and moving cards: both ends or neither, one act that names them, and no two that wait for one another."""

import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from radicale_shared import books, cards, dead_properties, history, integrity, transfers
from radicale_shared.access import Verb
from radicale_shared.cards import Limits
from radicale_shared.database import Database
from radicale_shared.dead_properties import Kind, Subject
from radicale_shared.errors import (
    NeedPrivilegeError,
    NotAllowedHereError,
    NotFoundError,
    OverQuotaError,
    PreconditionFailedError,
    UidConflictError,
)
from radicale_shared.etags import Conditions
from radicale_shared.transfers import Place
from tests.conftest import BY, card, examples

XML = '<n0:x xmlns:n0="urn:x">1</n0:x>'


@pytest.fixture
def desks(new_desk):
    return new_desk(), new_desk()


def transfer(source, href, target, to_href, *, moving, **more):
    with source.db.write(source.book_id, target.book_id) as session:
        return transfers.transfer(
            session,
            Place(more.pop("source_access", None) or source.access, href),
            Place(more.pop("target_access", None) or target.access, to_href),
            moving=moving,
            secret=source.db.secret,
            by=BY,
            **more,
        )


def move(source, href, target, to_href, **more):
    return transfer(source, href, target, to_href, moving=True, **more)


def copy(source, href, target, to_href, **more):
    return transfer(source, href, target, to_href, moving=False, **more)


def told(desk):
    """(kind, book, href, reason) of a book's history, newest first."""
    with desk.db.snapshot() as session:
        return [(one.kind, one.book, one.href, one.reason) for one in history.entries(session, book_id=desk.book_id)]


def subject(desk, href):
    with desk.db.write(desk.book_id) as session:
        return Subject(Kind.CARD, cards.held(session, desk.access, href), desk.book_id)


def properties(desk, href):
    with desk.db.read() as session:
        return dead_properties.of(session, subject(desk, href))


def keep(desk, href, **wishes):
    found = subject(desk, href)
    with desk.db.write(desk.book_id) as session:
        dead_properties.alter(session, found, wishes)


def both(desks):
    return desks[0].state(), desks[1].state(), desks[0].revision, desks[1].revision


# -- what a move and a copy do -----------------------------------------------------------------------------------------


def test_a_moved_card_is_gone_here_and_there_with_the_same_bytes(desks):
    here, there = desks
    here.put("a.vcf", card("a", "A", "X-ODD:\u00e4"))
    tokens = here.token, there.token

    written = move(here, "a.vcf", there, "b.vcf")

    assert (here.state(), there.state()) == ({}, {"b.vcf": card("a", "A", "X-ODD:\u00e4")})
    assert (written.created, written.etag) == (True, there.get("b.vcf").etag)
    assert here.since(tokens[0])[0] == {"a.vcf": None}
    assert there.since(tokens[1])[0] == {"b.vcf": written.etag}
    assert list(integrity.problems(here.db)) == []


def test_a_copied_card_is_in_both_books_and_only_the_target_changes(desks):
    here, there = desks
    here.put("a.vcf", card("a"))
    token = here.token

    assert copy(here, "a.vcf", there, "a.vcf").created

    assert here.state() == there.state() == {"a.vcf": card("a")}
    assert here.token == token
    assert list(integrity.problems(here.db)) == []


def test_a_move_inside_a_book_keeps_the_uid(desk):
    desk.put("a.vcf", card("a"))
    token = desk.token

    move(desk, "a.vcf", desk, "b.vcf")

    assert desk.state() == {"b.vcf": card("a")}
    assert desk.since(token)[0] == {"a.vcf": None, "b.vcf": desk.get("b.vcf").etag}


def test_a_copy_inside_a_book_always_conflicts(desk):
    desk.put("a.vcf", card("a"))

    with pytest.raises(UidConflictError) as refused:
        copy(desk, "a.vcf", desk, "b.vcf")

    assert refused.value.href == "a.vcf"
    assert desk.state() == {"a.vcf": card("a")}


def test_a_card_moved_away_and_back_is_the_same_again(desks):
    here, there = desks
    here.put("a.vcf", card("a"))
    before = here.get("a.vcf")

    move(here, "a.vcf", there, "a.vcf")
    move(there, "a.vcf", here, "a.vcf")

    assert (here.get("a.vcf").etag, here.get("a.vcf").data) == (before.etag, before.data)
    assert there.state() == {}


def test_a_card_with_the_same_uid_is_replaced_and_one_with_another_never(desks):
    here, there = desks
    here.put("a.vcf", card("a", "New"))
    there.put("a.vcf", card("a", "Old"))
    there.put("b.vcf", card("b"))

    with pytest.raises(UidConflictError):
        copy(here, "a.vcf", there, "b.vcf")
    assert not copy(here, "a.vcf", there, "a.vcf").created

    assert there.state() == {"a.vcf": card("a", "New"), "b.vcf": card("b")}


# -- the history -------------------------------------------------------------------------------------------------------


def test_a_move_between_books_is_one_act_that_names_both_ends_in_the_history_of_each(desks):
    here, there = desks
    here.put("a.vcf", card("a"))

    move(here, "a.vcf", there, "b.vcf")

    reason = f"from {here.address}/a.vcf to {there.address}/b.vcf"
    assert told(here)[0] == ("move", here.address, "a.vcf", reason)
    assert told(there)[0] == ("move", there.address, "b.vcf", reason)
    assert len([one for one in told(here) if one[0] == "move"]) == 1
    with here.db.snapshot() as session:
        whole = [one.href for one in history.entries(session) if one.kind == "move"]
    assert sorted(whole) == ["a.vcf", "b.vcf"]


def test_a_copy_is_told_by_the_target_s_history_alone(desks):
    here, there = desks
    here.put("a.vcf", card("a"))

    copy(here, "a.vcf", there, "b.vcf")

    assert told(there)[0][:3] == ("copy", there.address, "b.vcf")
    assert [one[0] for one in told(here) if one[2]] == ["put"]


def test_a_moved_card_can_be_restored_where_it_was(desks):
    here, there = desks
    revision = here.put("a.vcf", card("a")).revision
    move(here, "a.vcf", there, "a.vcf")

    here.restore("a.vcf", revision)

    assert here.state() == there.state() == {"a.vcf": card("a")}


# -- refusals ----------------------------------------------------------------------------------------------------------


def viewer(desk):
    return replace(desk.access, verbs=frozenset({Verb.READ}))


REFUSALS = {
    "onto itself": (lambda here, there: move(here, "a.vcf", here, "a.vcf"), NotAllowedHereError),
    "no card": (lambda here, there: move(here, "none.vcf", there, "b.vcf"), NotFoundError),
    "a name that can't be": (lambda here, there: move(here, "a.vcf", there, "a/b"), NotAllowedHereError),
    "may not delete": (
        lambda here, there: move(here, "a.vcf", there, "b.vcf", source_access=viewer(here)),
        NeedPrivilegeError,
    ),
    "may not add": (
        lambda here, there: move(here, "a.vcf", there, "b.vcf", target_access=viewer(there)),
        NeedPrivilegeError,
    ),
    "UID in use": (lambda here, there: move(here, "taken.vcf", there, "b.vcf"), UidConflictError),
    "not to be overwritten": (
        lambda here, there: move(here, "taken.vcf", there, "taken.vcf", overwrite=False),
        PreconditionFailedError,
    ),
    "condition": (
        lambda here, there: move(here, "a.vcf", there, "b.vcf", conditions=Conditions(if_match=("x",))),
        PreconditionFailedError,
    ),
    "quota": (lambda here, there: move(here, "a.vcf", there, "b.vcf", limits=Limits(book=80)), OverQuotaError),
}


@pytest.mark.parametrize(("attempt", "error"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refused_move_leaves_both_books_as_they_were(desks, attempt, error):
    here, there = desks
    here.put("a.vcf", card("a"))
    here.put("taken.vcf", card("t", "Mine"))
    there.put("taken.vcf", card("t", "Theirs"))
    keep(here, "a.vcf", x=XML)
    before = both(desks), told(here), told(there)

    with pytest.raises(error):
        attempt(here, there)

    assert (both(desks), told(here), told(there)) == before
    assert properties(here, "a.vcf") == {"x": XML}
    assert list(integrity.problems(here.db)) == []


# -- dead properties ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", [move, copy])
def test_dead_properties_go_along_and_replace_the_ones_that_were_there(desks, act):
    here, there = desks
    here.put("a.vcf", card("a", "New"))
    there.put("a.vcf", card("a", "Old"))
    keep(here, "a.vcf", x=XML, y=XML)
    keep(there, "a.vcf", x="<old/>", z=XML)

    act(here, "a.vcf", there, "a.vcf")

    assert properties(there, "a.vcf") == {"x": XML, "y": XML}
    if act is copy:
        assert properties(here, "a.vcf") == {"x": XML, "y": XML}


def test_a_deleted_card_loses_its_dead_properties_and_a_new_one_at_its_name_has_none(desk, statements):
    desk.put("a.vcf", card("a"))
    desk.put("b.vcf", card("b"))
    desk.remove("b.vcf")
    statements.clear()
    desk.remove("a.vcf")
    plain = len(statements)
    desk.put("a.vcf", card("a"))
    keep(desk, "a.vcf", x=XML)

    statements.clear()
    desk.remove("a.vcf")

    assert len(statements) == plain + 1, "only a card that has some costs a statement more"
    with desk.db.read() as session:
        assert dead_properties.read(session, cards_of=[desk.book_id]).cards == {}
    desk.put("a.vcf", card("a"))
    assert properties(desk, "a.vcf") == {}


# -- several at once ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [1, 2])
def test_opposite_moves_at_once_all_succeed(desks, db, processes):
    here, there = desks
    # Another Database object queues for itself, as another process does: only the database's own locks order the two.
    other = db if processes == 1 else Database(db.url, pool_size=2, write_wait=timedelta(seconds=30), threads=8)
    for number in range(8):
        here.put(f"here{number}.vcf", card(f"here{number}"))
        there.put(f"there{number}.vcf", card(f"there{number}"))
    start = threading.Barrier(2)
    failed = []

    def run(source, target, name):
        start.wait()
        try:
            for number in range(8):
                move(source, f"{name}{number}.vcf", target, f"{name}{number}.vcf")
        except Exception as error:  # noqa: BLE001  # whatever it is, the test must tell it
            failed.append(error)

    threads = [
        threading.Thread(target=run, args=(here, there, "here")),
        threading.Thread(target=run, args=(there.of(other), here.of(other), "there")),
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    if other is not db:
        other.close()

    assert failed == []
    assert sorted(here.state()) == [f"there{number}.vcf" for number in range(8)]
    assert sorted(there.state()) == [f"here{number}.vcf" for number in range(8)]


def until_somebody_waits(db):
    """Return when another connection of the database waits for a lock; at once for SQLite, where all wait before."""
    for _ in range(1000):
        with db.read() as session:
            if db.engine.dialect.name == "sqlite" or session.scalar(
                text(
                    "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
                    " WHERE NOT granted AND datname = current_database()"
                )
            ):
                return
        time.sleep(0.01)
    pytest.fail("nobody came to wait")


def test_books_are_locked_in_one_order_whichever_way_a_card_goes(desks, db):
    first, second = sorted(desks, key=lambda desk: desk.book_id)
    second.put("a.vcf", card("a"))
    other = Database(db.url, pool_size=2, write_wait=timedelta(seconds=30), threads=8)

    with db.write(first.book_id) as session:
        books.next_revision(session, first.book_id, by=0)
        mover = threading.Thread(target=move, args=(second.of(other), "a.vcf", first.of(other), "a.vcf"))
        mover.start()
        until_somebody_waits(db)
        # A deadlock, if the mover held the second book already while it waits for the first.
        books.next_revision(session, second.book_id, by=0)
    mover.join(60)
    other.close()

    assert first.state() == {"a.vcf": card("a")}


def test_the_turn_in_two_queues_is_given_back_in_both(desks):
    here, there = desks
    with pytest.raises(NotFoundError):
        move(here, "none.vcf", there, "a.vcf")

    assert here.db._turns == {}
    here.put("a.vcf", card("a"))
    there.put("b.vcf", card("b"))


steps = st.tuples(
    st.sampled_from(["put", "move", "copy", "remove"]),
    st.integers(0, 1),
    st.sampled_from("abc"),
    st.integers(0, 1),
    st.sampled_from("abc"),
    st.sampled_from("uvw"),
    st.booleans(),
)


@examples(25)
@given(story=st.lists(steps, min_size=1, max_size=10))
def test_any_story_of_moves_and_copies_ends_as_a_dictionary_would(new_desk, story):
    desks = [new_desk(), new_desk()]
    model = [{}, {}]  # href -> (uid, bytes)
    tokens = [desk.token for desk in desks]
    seen = [{}, {}]

    for kind, one, href, two, to_href, uid, overwrite in story:
        source, target = model[one], model[two]
        try:
            match kind:
                case "put":
                    desks[one].put(href, card(uid, f"{uid} {len(source)}"))
                case "remove":
                    desks[one].remove(href)
                case _:
                    transfer(desks[one], href, desks[two], to_href, moving=kind == "move", overwrite=overwrite)
            done = True
        except (UidConflictError, NotFoundError, NotAllowedHereError, PreconditionFailedError):
            done = False
        expected = _step(kind, source, target, href, to_href, uid, overwrite=overwrite, same=one == two)
        assert done == expected, (kind, one, href, two, to_href, uid)
        for index, desk in enumerate(desks):
            assert desk.state() == {name: data for name, (_, data) in model[index].items()}
            news, tokens[index] = desk.since(tokens[index])
            seen[index].update(news)
            seen[index] = {name: etag for name, etag in seen[index].items() if etag is not None}
            assert seen[index] == {name: desk.get(name).etag for name in model[index]}


def _step(kind, source, target, href, to_href, uid, *, overwrite, same):
    """Do to the model what a step does to the books; returns whether it may be done."""
    if kind == "put":
        others = {one for name, (one, _) in source.items() if name != href}
        if uid in others or source.get(href, (uid,))[0] != uid:
            return False
        source[href] = (uid, card(uid, f"{uid} {len(source)}"))
        return True
    if kind == "remove":
        return source.pop(href, None) is not None
    if href not in source or (same and href == to_href) or (not overwrite and to_href in target):
        return False
    moved = source[href][0]
    left = {name: one for name, (one, _) in target.items() if not (same and kind == "move" and name == href)}
    if left.get(to_href, moved) != moved or moved in {one for name, one in left.items() if name != to_href}:
        return False
    target[to_href] = source[href]
    if kind == "move":
        del source[href]
    return True

"""The history: every write leaves one change with the exact bytes around it, and every state can come back."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import books, cards, changes, history
from radicale_shared.changes import Actor
from radicale_shared.errors import NotFoundError, UidConflictError
from tests.conftest import BY, card, examples, kinds_of_deeds


def entries(desk, **which):
    with desk.db.snapshot() as session:
        return list(history.entries(session, book_id=desk.book_id, **which))


# -- changes -----------------------------------------------------------------------------------------------------------


def test_each_write_is_one_change_with_the_exact_bytes_before_and_after(desk):
    one, two = card("a"), card("a", "Two").replace(b"\r\n", b"\n")
    desk.put("a", one)
    desk.put("a", two)
    desk.remove("a")
    desk.put("a", one)

    assert [(revision, before, after) for revision, _, before, after in desk.changes()] == [
        (2, None, one),
        (3, one, two),
        (4, two, None),
        (5, None, one),
    ]


HREFS = st.sampled_from(["a", "b", "c"])
DEEDS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), HREFS, st.integers(0, 2)),
        st.tuples(st.just("remove"), HREFS),
        st.tuples(st.just("restore"), HREFS, st.integers(0, 15)),
    ),
    max_size=15,
)


@examples(15)
@given(deeds=DEEDS)
def test_the_history_tells_every_state_the_book_ever_had(new_desk, deeds):
    desk = new_desk()
    states = {desk.revision: {}}
    for deed in deeds:
        match deed:
            case ("put", href, version):
                desk.put(href, card(href, f"Version {version}"))
            case ("remove", href) if desk.get(href):
                desk.remove(href)
            case ("restore", href, revision):
                before = {at: state for at, state in states.items() if at <= revision}
                try:
                    desk.restore(href, revision)
                except NotFoundError:
                    assert desk.get(href) is None or not any(href in state for state in before.values())
                else:
                    assert desk.state().get(href) == before[max(before)].get(href)
        states[desk.revision] = desk.state()

    of_card = {}
    for _, card_id, before, after in desk.changes():
        assert before == of_card.get(card_id), "a change begins where the one before it ended"
        assert before != after
        of_card[card_id] = after
    assert [revision for revision, *_ in desk.changes()] == list(range(2, desk.revision + 1))
    for at, state in states.items():
        for href in "abc":
            assert told(desk, href, at) == state.get(href)


def told(desk, href, revision):
    with desk.db.read() as session:
        try:
            return history.state_after(session, desk.book_id, href, revision)
        except NotFoundError:
            return None


# -- acts --------------------------------------------------------------------------------------------------------------


def test_a_deed_has_who_what_when_by_which_device_and_why(desk):
    by = Actor(None, "ada", "DAVx5/", "DAVx5/4.4 (Android)", "192.0.2.7")
    begun = datetime.now(UTC)
    desk.put("a", card("a"), by=by, reason="met her")

    entry = entries(desk)[0]

    assert (entry.kind, entry.href, entry.revision, entry.book) == ("put", "a", 2, desk.address)
    assert Actor(None, entry.actor, entry.device, entry.user_agent, entry.address) == by
    assert (entry.reason, entry.before_id) == ("met her", None)
    assert begun <= entry.at <= datetime.now(UTC)
    assert entry.at.tzinfo == UTC


def test_what_is_longer_than_its_column_is_cut_and_refuses_no_write(desk):
    desk.put("a", card("a"), by=Actor(None, "a" * 900, "d" * 900, "u" * 9000, "1" * 900), reason="why " * 1000)

    entry = entries(desk)[0]
    assert [len(part) for part in (entry.actor, entry.device, entry.user_agent, entry.address)] == [320, 200, 500, 45]
    assert entry.reason == "why " * 1000


def test_one_act_can_hold_many_changes(desk):
    found = desk.access
    with desk.db.write(desk.book_id) as session:
        act = changes.begin(session, "import", BY, book_id=desk.book_id)
        for href in ("a", "b"):
            cards.put(session, found, href, cards.check(card(href)), secret=desk.db.secret, by=BY, act_id=act)

    assert [(entry.kind, entry.href) for entry in entries(desk)] == [
        ("import", "b"),
        ("import", "a"),
        ("create-book", ""),
    ]


def test_the_history_is_newest_first_of_a_book_of_a_card_or_cut(desk):
    desk.put("a", card("a"))
    desk.put("b", card("b"))
    desk.remove("a")

    assert [entry.kind for entry in entries(desk)] == ["delete", "put", "put", "create-book"]
    assert [entry.kind for entry in entries(desk, href="a")] == ["delete", "put"]
    assert [entry.href for entry in entries(desk, limit=2)] == ["a", "b"]
    with desk.db.read() as session:
        assert kinds_of_deeds(session, desk.book_id) == ["create-book", "put", "put", "delete"]


def test_deeds_on_the_book_itself_are_in_its_history(desk):
    with desk.db.write() as session:
        book = books.find(session, desk.address)
        books.set_properties(session, book, by=BY, name="New", color="#123456")
        books.trash(session, book, by=BY)
        books.undelete(session, books.find_trashed(session, desk.address), by=BY)

    assert [(entry.kind, entry.reason) for entry in entries(desk)][:3] == [
        ("undelete-book", desk.address),
        ("delete-book", desk.address),
        ("change-book", "name 'New', color '#123456'"),
    ]


# -- restore -----------------------------------------------------------------------------------------------------------


def test_an_earlier_state_comes_back_byte_for_byte_as_a_new_change(desk):
    first = card("a").replace(b"\r\n", b"\n")
    revision = desk.put("a", first).revision
    token = desk.token
    desk.put("a", card("a", "Two"))

    written = desk.restore("a", revision, by=Actor(None, "ada"))

    assert desk.state() == {"a": first}
    assert list(desk.since(token)[0]) == ["a"]
    entry = entries(desk)[0]
    assert (entry.kind, entry.actor, entry.revision, entry.reason) == (
        "restore",
        "ada",
        written.revision,
        f"to revision {revision}",
    )


def test_a_deleted_card_comes_back_and_a_restore_can_be_undone_by_one(desk):
    made = desk.put("a", card("a")).revision
    gone = desk.remove("a")

    assert desk.restore("a", made).created
    assert desk.state() == {"a": card("a")}
    desk.restore("a", gone)
    assert desk.state() == {}


def test_the_state_at_a_revision_between_two_changes_is_that_of_the_first(desk):
    desk.put("a", card("a"))
    desk.put("b", card("b"))
    between = desk.revision
    desk.put("a", card("a", "Two"))

    desk.restore("a", between)

    assert desk.get("a").data == card("a")


def test_a_restore_of_the_present_state_changes_nothing(desk):
    revision = desk.put("a", card("a")).revision
    token = desk.token

    assert desk.restore("a", revision).revision == 0
    assert desk.token == token


@pytest.mark.parametrize(("href", "revision"), [("never", 5), ("a", 1), ("a", 0)])
def test_a_state_that_never_was_can_not_be_restored(desk, href, revision):
    desk.put("a", card("a"))

    with pytest.raises(NotFoundError):
        desk.restore(href, revision)


def test_a_restored_card_whose_uid_another_card_has_now_is_refused(desk):
    revision = desk.put("a", card("same")).revision
    desk.remove("a")
    desk.put("b", card("same"))
    token = desk.token

    with pytest.raises(UidConflictError):
        desk.restore("a", revision)
    assert desk.token == token


# -- clients -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user_agent", "client"),
    [
        (
            "DAVx5/4.4.1-ose (2024/06/12; dav4jvm; okhttp/4.12.0) Android/14",
            "DAVx/..-ose (//; davjvm; okhttp/..) Android/",
        ),
        ("", "unknown client"),
        ("123", "unknown client"),
        ("x" * 5000, "x" * 200),
    ],
)
def test_a_client_is_its_user_agent_without_digits_so_that_an_update_keeps_it(user_agent, client):
    assert changes.client_of(user_agent) == client

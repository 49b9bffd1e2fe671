"""Undo: what was done is taken back, byte for byte where nobody touched it since, and nobody's later work is lost."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, update

from radicale_shared import (
    acts,
    books,
    cards,
    changes,
    history,
    integrity,
    people,
    retention,
    slices,
    summaries,
    transfers,
    undo,
)
from radicale_shared.acts import Which
from radicale_shared.cards import Limits
from radicale_shared.changes import Actor
from radicale_shared.errors import NotAllowedHereError, NotFoundError, WrongValueError
from radicale_shared.models import Act, Body, table
from radicale_shared.models import Book as BookTable
from radicale_shared.selections import Selection
from radicale_shared.undo_plan import What
from radicale_shared.vcard import Card
from tests.conftest import BY, card

PHONE = Actor(None, "ada", device="iPhone of ada")
COLLEAGUE = Actor(None, "ben", device="Thunderbird")
MANAGER = Actor(None, "mia", device="command line")


def take_back(desk, *, by=MANAGER, **which):
    """(outcome, {href: step}) of an undo in the desk's book."""
    steps = []
    outcome = undo.run(desk.db, Selection(book_id=desk.book_id, **which), by=by, seen=steps.append)
    return outcome, {one.href: one for one in steps}


def planned(desk, **which):
    with desk.db.snapshot() as session:
        return {one.href: one for one in undo.plan(session, Selection(book_id=desk.book_id, **which))}


def last_act(desk) -> int:
    with desk.db.snapshot() as session:
        return next(history.entries(session, book_id=desk.book_id, limit=1)).act_id


def unfinished(desk):
    with desk.db.read() as session:
        return undo.unfinished(session)


# -- whole cards -------------------------------------------------------------------------------------------------------


def test_what_a_device_deleted_comes_back_byte_for_byte_under_its_name_and_uid_and_syncs(desk):
    one, two = card("a", "Ada", "X-ODD: kept ").replace(b"\r\n", b"\n"), card("b")
    desk.put("a.vcf", one)
    desk.put("b.vcf", two, by=COLLEAGUE)
    token = desk.token
    desk.remove("a.vcf", by=PHONE)
    desk.remove("b.vcf", by=COLLEAGUE)

    outcome, steps = take_back(desk, device=PHONE.device)

    assert desk.state() == {"a.vcf": one}
    assert (steps["a.vcf"].what, steps["a.vcf"].name) == (What.RESTORED, "Ada")
    assert set(desk.since(token)[0]) == {"a.vcf", "b.vcf"}
    with desk.db.snapshot() as session:
        entry = next(history.entries(session, book_id=desk.book_id))
    assert (entry.kind, entry.actor, entry.act_id) == ("undo", "mia", outcome.acts[0])
    assert entry.reason == "with iPhone of ada"


def test_an_undo_can_be_undone_and_done_once_more(desk):
    desk.put("a", card("a"))
    desk.remove("a", by=PHONE)
    first, _ = take_back(desk, acts=frozenset({last_act(desk)}))
    second, _ = take_back(desk, acts=frozenset(first.acts))
    assert desk.state() == {}

    take_back(desk, acts=frozenset(second.acts))
    assert desk.state() == {"a": card("a")}


def test_a_card_that_was_made_goes_again_unless_others_changed_it(desk):
    desk.put("a", card("a"), by=PHONE)
    desk.put("b", card("b"), by=PHONE)
    desk.put("b", card("b", "Berta"), by=COLLEAGUE)
    desk.put("c", card("c"), by=PHONE)
    desk.put("c", card("c").replace(b"FN:", b"fn:"), by=COLLEAGUE)  # says the same

    _, steps = take_back(desk, person="ada")

    assert desk.state() == {"b": card("b", "Berta")}
    assert {href: (one.what, one.why) for href, one in steps.items()} == {
        "a": (What.DELETED, ""),
        "b": (What.CONFLICT, "it was changed since it was made"),
        "c": (What.DELETED, ""),
    }


def test_a_card_that_others_deleted_stays_deleted(desk):
    desk.put("a", card("a"))
    desk.put("a", card("a", "Anna"), by=PHONE)
    desk.remove("a", by=COLLEAGUE)

    outcome, steps = take_back(desk, device=PHONE.device)

    assert desk.state() == {}
    assert (steps["a"].what, steps["a"].why, outcome.acts) == (What.CONFLICT, "it was deleted since", [])


def test_a_card_that_others_made_in_the_place_of_a_deleted_one_stays(desk):
    desk.put("a", card("a"))
    desk.remove("a", by=PHONE)
    desk.put("a", card("other"), by=COLLEAGUE)

    _, steps = take_back(desk, device=PHONE.device)

    assert desk.state() == {"a": card("other")}
    assert (steps["a"].what, steps["a"].why) == (What.CONFLICT, "another card is there")


def test_a_card_whose_uid_is_in_use_elsewhere_does_not_come_back(desk):
    desk.put("a", card("u"))
    desk.remove("a", by=PHONE)
    desk.put("b", card("u"), by=COLLEAGUE)

    _, steps = take_back(desk, device=PHONE.device)

    assert desk.state() == {"b": card("u")}
    assert (steps["a"].what, steps["a"].why) == (What.CONFLICT, "its UID is in use by b")


def test_a_name_that_was_used_anew_for_another_uid_gets_its_first_card_back(desk):
    desk.put("a", card("first"))
    desk.remove("a", by=PHONE)
    desk.put("a", card("second"), by=PHONE)

    _, steps = take_back(desk, device=PHONE.device)

    assert desk.state() == {"a": card("first")}
    assert steps["a"].what is What.CHANGED
    assert list(integrity.problems(desk.db)) == []


def test_a_moved_card_is_in_its_first_book_again_and_nowhere_else(new_desk):
    source, target = new_desk(), new_desk()
    source.put("a", card("a"))
    with source.db.write(source.book_id, target.book_id) as session:
        places = (transfers.Place(one.access, "a") for one in (source, target))
        transfers.transfer(session, *places, moving=True, secret=source.db.secret, by=PHONE)
    with source.db.snapshot() as session:
        act = next(one.act_id for one in history.entries(session) if one.kind == "move")

    outcome = undo.run(source.db, Selection(acts=frozenset({act})), by=MANAGER)

    assert (source.state(), target.state()) == ({"a": card("a")}, {})
    assert len(outcome.acts) == 2


def test_a_card_that_was_moved_within_its_book_has_its_first_name_again(desk):
    desk.put("a", card("a"))
    with desk.db.write(desk.book_id) as session:
        places = (transfers.Place(desk.access, href) for href in "ab")
        transfers.transfer(session, *places, moving=True, secret=desk.db.secret, by=PHONE)

    dry = planned(desk, device=PHONE.device)
    outcome, steps = take_back(desk, device=PHONE.device)

    assert desk.state() == {"a": card("a")}
    assert {href: one.what for href, one in steps.items()} == {"a": What.RESTORED, "b": What.DELETED}
    assert (steps, outcome.conflicts) == (dry, 0)
    take_back(desk, acts=frozenset(outcome.acts))
    assert desk.state() == {"b": card("a")}
    assert list(integrity.problems(desk.db)) == []


@pytest.mark.parametrize("survives", [True, False])
@pytest.mark.parametrize("new", ["0", "1"])
def test_what_a_device_put_anew_under_other_names_makes_way_for_the_first_ones(desk, monkeypatch, new, survives):
    desk.put("0", card("old"))
    desk.remove("0")
    whole = {f"1{number}": card(f"{number}") for number in range(4)}
    for href, data in whole.items():
        desk.put(href, data)
    names = {href: f"{new}{href}" if href != "10" else new for href in whole}
    for href, data in whole.items():
        desk.remove(href, by=PHONE)
        desk.put(names[href], data, by=PHONE)
    monkeypatch.setattr(slices, "MOST_CARDS", 1)
    if not survives:
        monkeypatch.setattr(slices, "pause", lambda: (_ for _ in ()).throw(Crash))
        with pytest.raises(Crash):
            take_back(desk, device=PHONE.device)
        monkeypatch.undo()

    outcome, _ = take_back(desk, device=PHONE.device)

    assert desk.state() == whole
    assert (outcome.conflicts, unfinished(desk)) == (0, [])
    assert list(integrity.problems(desk.db)) == []


def test_two_cards_of_which_each_has_the_uid_of_the_other_stay_and_are_named(desk):
    for href in "ab":
        desk.put(href, card(href))
    for href in "ab":
        desk.remove(href, by=PHONE)
    for href, uid in ("ab", "ba"):
        desk.put(href, card(uid), by=PHONE)

    _, steps = take_back(desk, device=PHONE.device)

    assert desk.state() == {"a": card("b"), "b": card("a")}
    assert {href: one.why for href, one in steps.items()} == {
        "a": "its UID is in use by b",
        "b": "its UID is in use by a",
    }


def test_a_card_that_others_made_again_and_deleted_stays_deleted(desk):
    desk.put("a", card("a"))
    desk.remove("a", by=PHONE)
    desk.put("a", card("a"), by=COLLEAGUE)
    desk.remove("a", by=COLLEAGUE)

    _, steps = take_back(desk, device=PHONE.device)

    assert desk.state() == {}
    assert (steps["a"].what, steps["a"].why) == (What.CONFLICT, "it was deleted since")


def test_a_card_that_others_deleted_and_made_again_stays(desk):
    desk.put("a", card("a"), by=PHONE)
    desk.remove("a", by=COLLEAGUE)
    desk.put("a", card("a"), by=COLLEAGUE)

    _, steps = take_back(desk, device=PHONE.device)

    assert desk.state() == {"a": card("a")}
    assert (steps["a"].what, steps["a"].why) == (What.CONFLICT, "another card is there")


def test_what_an_undo_brought_back_and_another_undo_took_away_comes_back_in_the_first_words(desk):
    desk.put("a", card("a"))
    desk.remove("a", by=PHONE)
    first, _ = take_back(desk, device=PHONE.device)
    take_back(desk, acts=frozenset(first.acts))
    assert desk.state() == {}

    outcome, _ = take_back(desk, device=PHONE.device)

    assert desk.state() == {"a": card("a")}
    assert outcome.conflicts == 0


# -- properties --------------------------------------------------------------------------------------------------------


def test_later_work_of_others_on_the_same_card_is_kept(desk):
    desk.put("a", card("a", "Ada", "TEL:+1", "NOTE:old"))
    desk.put("a", card("a", "Ada", "TEL:+2", "NOTE:old"), by=PHONE)
    desk.put("a", card("a", "Ada", "TEL:+2", "NOTE:new"), by=COLLEAGUE)

    _, steps = take_back(desk, device=PHONE.device)

    assert desk.state()["a"] == card("a", "Ada", "TEL:+1", "NOTE:new")
    assert [(one.name, one.before, one.after) for one in steps["a"].differences] == [("TEL", "+2", "+1")]
    assert steps["a"].conflicts == ()


def test_where_others_changed_the_same_property_theirs_stays_and_is_named(desk):
    desk.put("a", card("a", "Ada", "TEL:+1", "NOTE:old", "TITLE:Dr."))
    desk.put("a", card("a", "Ada", "TEL:+1", "NOTE:mad", "TITLE:mad"), by=PHONE)
    desk.put("a", card("a", "Ada", "TEL:+1", "NOTE:new", "TITLE:mad"), by=COLLEAGUE)

    outcome, steps = take_back(desk, device=PHONE.device)

    assert desk.state()["a"] == card("a", "Ada", "TEL:+1", "NOTE:new", "TITLE:Dr.")
    assert [(one.name, one.kept, one.lost) for one in steps["a"].conflicts] == [("NOTE", "NOTE:new", "NOTE:old")]
    assert (steps["a"].what, outcome.conflicts) == (What.CHANGED, 1)


def test_one_property_is_taken_back_and_nothing_else(desk):
    desk.put("a", card("a", "Ada", "item1.TEL:+1", "item1.X-ABLabel:Mill", "NOTE:old"))
    desk.put("a", card("a", "Anna", "NOTE:new"), by=PHONE)
    desk.put("b", card("b"), by=PHONE)
    desk.put("a", card("a", "Anna", "NOTE:new", "ORG:Mill"), by=COLLEAGUE)

    _, steps = take_back(desk, device=PHONE.device, properties=frozenset({"TEL"}))

    found = desk.state()["a"]
    assert found == card("a", "Anna", "NOTE:new", "ORG:Mill", "item1.TEL:+1", "item1.X-ABLabel:Mill")
    assert (steps["b"].what, set(desk.state())) == (What.NOTHING, {"a", "b"})


def test_states_of_another_vcard_version_are_taken_back_in_the_version_of_now(desk):
    desk.put("a", card("a", "Ada", "TEL;TYPE=CELL:+1", "BDAY:1980-01-01"))
    desk.put("a", card("a", "Ada", "TEL;TYPE=CELL:+2", "BDAY:1980-01-01"), by=PHONE)
    converted = card("a", "Ada", "TEL;TYPE=cell:+2", "BDAY:19800101", "NOTE:mine", version="4.0")
    desk.put("a", converted, by=COLLEAGUE)

    take_back(desk, device=PHONE.device)

    found = Card.parse(desk.state()["a"])
    assert (found.version, found.texts("TEL"), found.text("NOTE")) == ("4.0", ["+1"], "mine")


# -- books -------------------------------------------------------------------------------------------------------------


def test_a_book_that_was_deleted_comes_back_by_the_number_of_that_act(desk):
    desk.put("a", card("a"))
    with desk.db.write(desk.book_id) as session:
        books.trash(session, books.by_id(session, desk.book_id), by=PHONE)
        act = changes.begin(session, "x", BY, book_id=None) - 1

    with desk.db.snapshot() as session:
        (step,) = undo.plan(session, Selection(acts=frozenset({act})))
    undo.run(desk.db, Selection(acts=frozenset({act})), by=MANAGER)

    assert (step.what, step.href) == (What.RESTORED, "")
    assert desk.state() == {"a": card("a")}


def test_a_book_that_was_made_goes_into_the_trash_unless_it_has_cards(new_desk):
    empty, filled = new_desk(), new_desk()
    made = {desk: last_act(desk) for desk in (empty, filled)}
    filled.put("a", card("a"))

    outcome = undo.run(empty.db, Selection(acts=frozenset(made.values())), by=MANAGER)

    assert (outcome.counts[What.DELETED], outcome.counts[What.CONFLICT]) == (1, 1)
    with empty.db.read() as session:
        assert books.by_id(session, empty.book_id).deleted_at is not None
        assert books.by_id(session, filled.book_id).deleted_at is None


def test_what_was_done_in_a_book_that_is_erased_is_no_longer_there_to_be_taken_back(new_desk, monkeypatch):
    kept, erased = new_desk(), new_desk()
    monkeypatch.setattr(slices, "MOST_CARDS", 3)
    for desk in (kept, erased):
        fill(desk)
    with monkeypatch.context() as patch:
        patch.setattr(slices, "pause", lambda: (_ for _ in ()).throw(Crash))
        with pytest.raises(Crash):
            take_back(erased, person="ada")
    with kept.db.write(erased.book_id) as session:
        books.trash(session, books.by_id(session, erased.book_id), by=BY)
        act = changes.begin(session, "x", BY, book_id=None) - 1
        session.execute(
            update(table(BookTable)).where(table(BookTable).c.id == erased.book_id).values(purged_at=datetime.now(UTC))
        )

    outcome = undo.run(kept.db, Selection(person="ada"), by=MANAGER)

    assert (len(kept.state()), outcome.skipped, unfinished(kept)) == (12, [], [])
    with pytest.raises(NotAllowedHereError):
        undo.run(kept.db, Selection(acts=frozenset({act})), by=MANAGER)


def test_a_deed_that_changed_no_card_is_refused_with_the_command_that_takes_it_back(organisation, db):
    organisation.grant("sales/leads", "user:carla", "viewer")
    with db.snapshot() as session:
        act = next(history.entries(session, limit=1)).act_id

    with pytest.raises(NotAllowedHereError, match="radicale-shared grant remove"):
        undo.run(db, Selection(acts=frozenset({act})), by=MANAGER)
    with pytest.raises(NotFoundError):
        undo.run(db, Selection(acts=frozenset({act + 1000})), by=MANAGER)


def test_books_of_a_directory_and_of_the_trash_are_left_out_and_refused_alone(new_desk):
    desks = [new_desk() for _ in range(3)]
    for desk in desks:
        desk.put("a", card("a"))
        desk.remove("a", by=PHONE)
    db = desks[0].db
    with db.write() as session:
        session.execute(
            update(table(BookTable)).where(table(BookTable).c.id == desks[1].book_id).values(mirrored_from="main")
        )
        books.trash(session, books.by_id(session, desks[2].book_id), by=BY)

    outcome = undo.run(db, Selection(device=PHONE.device), by=MANAGER)

    assert [address for address, _ in outcome.skipped] == [desks[1].address, desks[2].address]
    assert desks[0].state() == {"a": card("a")}
    for desk in desks[1:]:
        with pytest.raises(NotAllowedHereError, match=desk.address):
            take_back(desk, device=PHONE.device)


# -- what is selected --------------------------------------------------------------------------------------------------


def test_times_persons_and_devices_narrow_down_what_is_taken_back(desk):
    desk.put("a", card("a"), by=PHONE)
    desk.put("b", card("b"), by=PHONE)
    start = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
    with desk.db.write() as session:
        for number, href in enumerate("ab"):
            (entry,) = history.entries(session, book_id=desk.book_id, href=href)
            moment = {"at": start + timedelta(hours=number)}
            session.execute(update(table(Act)).where(table(Act).c.id == entry.act_id).values(**moment))

    assert set(planned(desk, person="ada", since=start + timedelta(minutes=1))) == {"b"}
    assert set(planned(desk, person="ada", until=start + timedelta(minutes=1))) == {"a"}
    assert set(planned(desk, as_of=start)) == {"b"}
    assert set(planned(desk, device=PHONE.device, href="a")) == {"a"}
    assert set(planned(desk, revisions=frozenset({3}))) == {"b"}
    for nobody in ({"person": "ben"}, {"device": "iPhone"}, {"since": start + timedelta(days=1)}, {"href": "c"}):
        with pytest.raises(NotFoundError):
            planned(desk, **nobody)


def test_a_person_is_found_by_login_and_slug_of_today_and_by_the_name_of_that_day(new_desk, db):
    desk = new_desk()
    with db.write() as session:
        ada = people.add_user(session, "Ada.L")
    desk.put("a", card("a"), by=Actor(ada.id, "ada.old", device="x"))

    for name in ("ada.l", "ADA.L", ada.slug, "ada.old"):
        assert set(planned(desk, person=name)) == {"a"}


def test_nothing_is_taken_back_by_a_selection_of_everything(db):
    with pytest.raises(WrongValueError):
        undo.run(db, Selection(book_id=1, properties=frozenset({"TEL"})), by=MANAGER)
    with pytest.raises(WrongValueError):
        undo.run(db, Selection(href="a", acts=frozenset({1})), by=MANAGER)


def test_a_device_is_found_by_a_part_of_its_name_whatever_its_version(desk):
    for actor in (PHONE, COLLEAGUE, Actor(None, "ben", device="DAVx/.. Android/"), Actor(None, "cy", device="phone 2")):
        desk.put("a", card("a", actor.device), by=actor)

    def named(typed, **which):
        with desk.db.read() as session:
            found = acts.known_devices(session, typed, Which(**which), desk.book_id)
        return [one.name for one in found]

    assert named("IPHONE") == ["iPhone of ada"]
    assert named("DAVx5/4.3.14") == ["DAVx/.. Android/"]
    assert named("phone 2") == ["phone 2"]
    assert named("phone 3") == []
    assert named("phone") == ["iPhone of ada", "phone 2"]
    assert named("phone", person="cy") == ["phone 2"]


def test_a_selection_is_the_same_after_json():
    whole = Selection(
        *(1, "a", frozenset({2}), frozenset({3}), "p", "d"),
        *(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC), None, frozenset({"TEL"}), "since 2h"),
    )
    assert Selection.of(whole.facts()) == whole
    assert Selection.of(Selection().facts()) == Selection()


# -- limits, pruned bytes ----------------------------------------------------------------------------------------------


def test_no_quota_stops_an_undo(desk):
    desk.put("a", card("a", "Ada", "NOTE:" + "x" * 500))
    desk.remove("a", by=PHONE)
    desk.put("b", card("b"), limits=Limits(book=400))

    take_back(desk, device=PHONE.device)

    assert set(desk.state()) == {"a", "b"}


def test_a_card_whose_earlier_bytes_are_gone_is_told_and_stays(desk):
    desk.put("a", card("a"))
    desk.remove("a", by=PHONE)
    desk.put("b", card("b"))
    desk.remove("b", by=PHONE)
    with desk.db.write() as session:
        first = next(one.before_id for one in history.entries(session, book_id=desk.book_id, href="a"))
        session.execute(delete(table(Body)).where(table(Body).c.id == first))

    outcome, steps = take_back(desk, device=PHONE.device)

    assert (steps["a"].what, steps["b"].what) == (What.IMPOSSIBLE, What.RESTORED)
    assert desk.state() == {"b": card("b")}
    assert outcome.counts[What.IMPOSSIBLE] == 1


def test_a_book_as_of_a_moment_before_its_history_begins_is_refused(desk):
    now = datetime.now(UTC)
    for days, name in ((100, "One"), (50, "Two"), (10, "Three"), (5, "Four")):
        desk.put("a", card("a", name))
        with desk.db.write() as session:
            moment = {"at": now - timedelta(days=days)}
            session.execute(update(table(Act)).where(table(Act).c.id == last_act(desk)).values(**moment))
    before = [planned(desk, as_of=now - timedelta(days=days))["a"].name for days in (60, 20, 7)]
    assert before == ["One", "Two", "Three"]
    retention.prune(desk.db, 30, 30)

    with pytest.raises(NotFoundError, match="is kept since"):
        take_back(desk, as_of=now - timedelta(days=60))
    take_back(desk, as_of=now - timedelta(days=7))
    assert desk.state() == {"a": card("a", "Three")}
    # Before the oldest change that is kept, and after the last one that isn't.
    take_back(desk, as_of=now - timedelta(days=20))
    assert desk.state() == {"a": card("a", "Two")}


def test_a_book_of_which_nothing_is_kept_any_more_is_told_to_be_so(desk):
    desk.put("a", card("a"))
    retention.prune(desk.db, 1, 1, at=datetime.now(UTC) + timedelta(days=10))

    with pytest.raises(NotFoundError, match="is kept since"):
        take_back(desk, as_of=datetime.now(UTC) - timedelta(days=60))
    with pytest.raises(NotFoundError, match="change"):
        take_back(desk, as_of=datetime.now(UTC))


def test_a_book_that_has_lost_no_change_is_brought_back_to_any_moment(desk):
    with desk.db.write() as session:  # as a restored one
        session.execute(update(table(BookTable)).where(table(BookTable).c.id == desk.book_id).values(revision=1000))
    desk.put("a", card("a"))
    retention.prune(desk.db, 30, 30)

    take_back(desk, as_of=datetime.now(UTC) - timedelta(days=700))

    assert desk.state() == {}


# -- slices, crashes, others at work -----------------------------------------------------------------------------------


class Crash(BaseException):
    """The process ends here."""


def fill(desk, count=12):
    """A book of which the phone has deleted all."""
    whole = {f"{number:03}": card(f"{number:03}") for number in range(count)}
    with desk.db.write(desk.book_id) as session:
        for href, data in whole.items():
            cards.put(session, desk.access, href, cards.check(data), secret=desk.db.secret, by=BY)
    for href in whole:
        desk.remove(href, by=PHONE, policy=None)
    return whole


@pytest.fixture
def small_slices(monkeypatch):
    monkeypatch.setattr(slices, "MOST_CARDS", 3)


@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("survives", [0, 1, 2, 3])
def test_an_undo_that_was_cut_short_goes_on_as_the_same_act(desk, monkeypatch, survives):
    whole = fill(desk)
    committed = []

    def cut() -> None:
        committed.append(True)
        if len(committed) > survives:
            raise Crash

    monkeypatch.setattr(slices, "pause", cut)
    with pytest.raises(Crash):
        take_back(desk, device=PHONE.device)
    assert len(desk.state()) == 3 * (survives + 1)
    (left,) = unfinished(desk)
    monkeypatch.setattr(slices, "pause", lambda: None)
    desk.put("000", card("000", "Changed meanwhile"), by=COLLEAGUE)

    outcome, _ = take_back(desk, device=PHONE.device)

    assert desk.state() == {**whole, "000": card("000", "Changed meanwhile")}
    assert outcome.resumed == outcome.acts == [left.act_id]
    assert outcome.conflicts == 0
    assert unfinished(desk) == []
    assert list(integrity.problems(desk.db)) == []


@pytest.mark.usefixtures("small_slices")
def test_other_words_begin_another_undo_and_a_time_that_counts_from_now_the_same(desk, monkeypatch):
    fill(desk)
    monkeypatch.setattr(slices, "pause", lambda: (_ for _ in ()).throw(Crash))
    ago = datetime.now(UTC) - timedelta(hours=2)
    with pytest.raises(Crash):
        take_back(desk, device=PHONE.device, since=ago, typed="since 2h")
    monkeypatch.undo()
    (left,) = unfinished(desk)

    other, _ = take_back(desk, person="ada", until=datetime.now(UTC))
    assert left.act_id not in other.acts
    told = undo.Outcome()
    with desk.db.snapshot() as session:
        asked = Selection(book_id=desk.book_id, device=PHONE.device, since=ago + timedelta(minutes=1), typed="since 2h")
        would_be = [one.href for one in undo.plan(session, asked, outcome=told)]
    assert (told.resumed, min(would_be)) == ([left.act_id], "003")
    later, _ = take_back(desk, device=PHONE.device, since=ago + timedelta(minutes=1), typed="since 2h")
    assert later.resumed == [left.act_id]


@pytest.mark.usefixtures("small_slices")
def test_an_interrupted_undo_is_finished_by_its_number_or_over_once_it_is_taken_back(desk, monkeypatch):
    whole = fill(desk)
    allowed = iter([False, True, False])  # the second one finds three cards done

    def cut() -> None:
        if not next(allowed):
            raise Crash

    monkeypatch.setattr(slices, "pause", cut)
    for which in ({"person": "ada"}, {"device": PHONE.device}):
        with pytest.raises(Crash):
            take_back(desk, **which)
    one, other = (left.act_id for left in unfinished(desk))
    monkeypatch.setattr(slices, "pause", lambda: None)

    take_back(desk, acts=frozenset({one}))
    assert [left.act_id for left in unfinished(desk)] == [other]
    outcome = undo.finish(desk.db, other, by=MANAGER)

    assert (outcome.acts, unfinished(desk)) == ([other], [])
    assert desk.state().items() <= whole.items()
    for act_id in (one, other, 10**9):
        with pytest.raises(NotFoundError):
            undo.finish(desk.db, act_id, by=MANAGER)


@pytest.mark.usefixtures("small_slices")
def test_what_the_device_did_after_an_undo_was_interrupted_is_not_taken_back_when_it_goes_on(desk, monkeypatch):
    whole = fill(desk)
    monkeypatch.setattr(slices, "pause", lambda: (_ for _ in ()).throw(Crash))
    with pytest.raises(Crash):
        take_back(desk, device=PHONE.device)
    monkeypatch.setattr(slices, "pause", lambda: None)
    desk.put("011", card("011", "Anew"), by=PHONE)

    _, steps = take_back(desk, device=PHONE.device)
    assert desk.state() == {**whole, "011": card("011", "Anew")}
    assert steps["011"].what is What.CONFLICT

    take_back(desk, device=PHONE.device)  # that one is finished: these words mean all that the device did until now
    assert desk.state() == whole


@pytest.mark.usefixtures("small_slices")
def test_two_processes_that_go_on_with_one_undo_do_each_card_once(desk, monkeypatch):
    whole = fill(desk)
    monkeypatch.setattr(slices, "pause", lambda: (_ for _ in ()).throw(Crash))
    with pytest.raises(Crash):
        take_back(desk, device=PHONE.device)
    monkeypatch.setattr(slices, "pause", lambda: None)
    write = desk.db.write

    def overtaken(*book_ids):
        monkeypatch.setattr(desk.db, "write", write)
        take_back(desk, device=PHONE.device)
        desk.put("005", card("005", "Changed meanwhile"), by=COLLEAGUE)
        return write(*book_ids)

    monkeypatch.setattr(desk.db, "write", overtaken)
    outcome, steps = take_back(desk, device=PHONE.device)

    assert (outcome.conflicts, steps, unfinished(desk)) == (0, {}, [])
    assert desk.state() == {**whole, "005": card("005", "Changed meanwhile")}


@pytest.mark.usefixtures("small_slices")
def test_of_two_interrupted_undos_of_the_same_words_the_one_that_is_named_is_finished(desk, monkeypatch):
    fill(desk)
    monkeypatch.setattr(undo, "_begun", lambda *_: None)  # as if both had begun at the same moment
    allowed = iter([False, True, False])  # the second one finds three cards done
    monkeypatch.setattr(slices, "pause", lambda: next(allowed) or (_ for _ in ()).throw(Crash))
    for _ in range(2):
        with pytest.raises(Crash):
            take_back(desk, device=PHONE.device)
    monkeypatch.undo()
    one, other = (left.act_id for left in unfinished(desk))

    assert undo.finish(desk.db, one, by=MANAGER).acts == [one]
    assert [left.act_id for left in unfinished(desk)] == [other]


@pytest.mark.usefixtures("small_slices")
def test_a_writer_between_plan_and_lock_loses_nothing(desk, monkeypatch):
    whole = fill(desk)
    write = desk.db.write
    others = iter(["000", "004", "005", "005", "005", "005", "011"])

    def disturbed(*book_ids):
        monkeypatch.setattr(desk.db, "write", write)
        if (href := next(others, None)) is not None:
            if desk.get(href) is None:
                desk.put(href, card(href, "Made meanwhile"), by=COLLEAGUE)
            else:
                desk.remove(href, by=COLLEAGUE)
        monkeypatch.setattr(desk.db, "write", disturbed)
        return write(*book_ids)

    monkeypatch.setattr(desk.db, "write", disturbed)
    _, steps = take_back(desk, device=PHONE.device)
    monkeypatch.undo()

    assert list(others) == []
    state = desk.state()
    assert state["000"] == card("000", "Made meanwhile")
    assert steps["000"].what is What.CONFLICT
    untouched = whole.keys() - {"000", "004", "005", "011"}
    assert {href: state.get(href) for href in untouched} == {href: whole[href] for href in untouched}
    assert list(integrity.problems(desk.db)) == []


@pytest.mark.usefixtures("small_slices")
def test_what_the_same_device_does_once_the_undo_has_begun_is_not_taken_back_by_it(desk, monkeypatch):
    fill(desk)
    monkeypatch.setattr(slices, "pause", lambda: desk.get("011") or desk.put("011", card("011", "Anew"), by=PHONE))

    _, steps = take_back(desk, device=PHONE.device)

    assert desk.state()["011"] == card("011", "Anew")
    assert steps["011"].what is What.CONFLICT


def test_others_who_write_during_an_undo_lose_no_edit_and_two_undos_at_once_do_it_once(desk):
    whole = fill(desk, 40)
    for number in range(40):
        desk.put(f"edit{number:03}", card(f"edit{number:03}"))
    failures: list[BaseException] = []
    edited: dict[str, bytes] = {}

    def in_thread(work):
        def guarded():
            try:
                work()
            except BaseException as error:  # noqa: BLE001  # told at the end
                failures.append(error)

        return threading.Thread(target=guarded)

    def edit():
        for number in range(0, 40, 2):
            href = f"edit{number:03}"
            data = card(href, f"Edited {number}")
            desk.put(href, data, by=COLLEAGUE)
            edited[href] = data

    outcomes = []
    threads = [in_thread(edit), *(in_thread(lambda: outcomes.append(take_back(desk, person="ada"))) for _ in range(2))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    state = desk.state()
    assert {href: state[href] for href in whole} == whole
    assert {href: state[href] for href in edited} == edited
    restored = [after for _, _, before, after in desk.changes() if before is None and after in whole.values()]
    assert len(restored) == 2 * len(whole)  # once when they were made, and once by the undos together
    assert unfinished(desk) == []


def test_an_undo_ends_where_the_right_to_it_does(desk, monkeypatch):
    monkeypatch.setattr(slices, "MOST_CARDS", 3)
    fill(desk)
    asked = []

    def opened(_session, _book):
        asked.append(True)
        if len(asked) > 2:
            raise NotAllowedHereError("no longer")
        return desk.access

    with pytest.raises(NotAllowedHereError):
        undo.run(desk.db, Selection(book_id=desk.book_id, person="ada"), by=MANAGER, opened=opened)
    assert len(desk.state()) == 6


# -- the history in short ----------------------------------------------------------------------------------------------


def test_a_rampage_is_one_line(desk):
    start = datetime(2026, 3, 1, 3, 12, tzinfo=UTC)
    whole = fill(desk, 6)
    desk.put("x", card("x"), by=COLLEAGUE)
    with desk.db.write() as session:
        rows = list(history.entries(session, book_id=desk.book_id))
        for number, one in enumerate(reversed([row for row in rows if row.actor == "ada"])):
            moment = start + timedelta(seconds=20 * number)
            session.execute(update(table(Act)).where(table(Act).c.id == one.act_id).values(at=moment))
    with desk.db.snapshot() as session:
        lines = summaries.lines(session, book_id=desk.book_id, which=Which(until=start + timedelta(hours=1)))
        all_lines = summaries.lines(session, book_id=desk.book_id)

    (line,) = lines
    assert (line.actor, line.device, line.deleted, line.added, line.changed) == ("ada", PHONE.device, len(whole), 0, 0)
    assert (line.first_at, line.last_at) == (start, start + timedelta(seconds=100))
    assert len(line.acts) == len(whole)
    assert [one.actor for one in all_lines] == ["ben", "ada", "tests"]
    assert all_lines[2].others == {"create-book": 1}

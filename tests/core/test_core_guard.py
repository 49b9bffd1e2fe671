"""The guard: how many cards a source may destroy, what counts, what stops, and what ends a stop."""

import threading
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from radicale_shared import access, blocks, books, cards, guard, guard_rules, notices, retention, undo
from radicale_shared.access import Role
from radicale_shared.changes import Actor, client_of
from radicale_shared.errors import GuardedError, NeedPrivilegeError, NotAllowedHereError, WrongValueError
from radicale_shared.guard import Policy, Rule
from radicale_shared.models import Act, Block, Change, CleanUp, Destruction, Notice, Principal, now, table
from radicale_shared.notices import Channels
from radicale_shared.selections import Selection
from radicale_shared.vcard import is_emptied, outline
from tests.conftest import BY, card, examples

FULL = ("TEL:1", "EMAIL:a@example.org", "NOTE:n", "TITLE:t")
PHONE = Actor(None, "ada", "phone", "Phone/1", "192.0.2.1")
TABLET = Actor(None, "ada", "tablet", "Tablet/1")


def filled(desk, number):
    for one in range(number):
        desk.put(f"{one}", card(f"{one}", "", *FULL), policy=None)
    return desk


def destroy(desk, href, by=PHONE, **more):
    """Delete a card as a surface does: what the guard refuses is written down."""
    try:
        return desk.remove(href, by=by, **more)
    except GuardedError as error:
        blocks.record(desk.db, error)
        raise


def empty(desk, href, by=PHONE, **more):
    try:
        return desk.put(href, card(href, "", "TEL:1"), by=by, **more)
    except GuardedError as error:
        blocks.record(desk.db, error)
        raise


def destroyed(desk, hrefs, by=PHONE, **more):
    """How many of these could be deleted before the first refusal."""
    for number, href in enumerate(hrefs):
        try:
            destroy(desk, href, by, **more)
        except GuardedError:
            return number
    return len(hrefs)


def standing(desk):
    with desk.db.read() as session:
        return blocks.standing(session, [desk.book_id])


def count(db, model):
    with db.read() as session:
        return session.scalar(select(func.count()).select_from(table(model)))


def pass_by(db, time):
    """Let time pass: what was noted is as much older."""
    with db.write() as session:
        for model, names in {
            Destruction: ["at"],
            Block: ["at", "began_at", "until_at", "released_at"],
            CleanUp: ["until_at"],
        }.items():
            columns = table(model).c
            for row in session.execute(select(table(model))).all():
                there = [name for name in names if getattr(row, name) is not None]
                keys = [columns[one.name] == getattr(row, one.name) for one in table(model).primary_key]
                session.execute(
                    update(table(model)).where(*keys).values({name: getattr(row, name) - time for name in there})
                )


# -- the rule ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of_cards", "most"), [(0, 10), (100, 10), (200, 10), (220, 10), (221, 11), (240, 11), (241, 12), (5000, 249)]
)
def test_less_than_a_twentieth_is_let_through_and_ten_cards_always(of_cards, most):
    assert Rule().most(of_cards) == most


def test_a_source_that_deletes_more_than_ten_cards_is_stopped_and_the_cards_stay(desk):
    filled(desk, 20)

    assert destroyed(desk, [str(one) for one in range(20)]) == 10
    assert desk.access.book.card_count == 10
    (block,) = standing(desk)
    assert (block.actor, block.device, block.address) == ("ada", "phone", "192.0.2.1")
    assert (block.destroyed, block.of_cards) == (10, 20)
    assert block.until_at - block.at == timedelta(hours=24)


def test_the_part_counts_of_the_cards_that_were_there_before(desk):
    filled(desk, 40)

    assert destroyed(desk, [str(one) for one in range(40)], policy=Policy(Rule(0, 50))) == 19


def test_what_is_emptied_counts_like_what_is_deleted(desk):
    filled(desk, 20)
    for one in range(6):
        empty(desk, str(one))

    assert destroyed(desk, [str(one) for one in range(10, 20)]) == 4
    with pytest.raises(GuardedError, match="deletes and empties no cards"):
        empty(desk, "7")


def test_an_emptied_card_is_still_one_of_the_book_s(desk):
    filled(desk, 40)
    done = 0
    while not standing(desk):
        with suppress(GuardedError):
            empty(desk, str(done), policy=Policy(Rule(0, 50)))
            done += 1

    assert done == 19
    assert standing(desk)[0].of_cards == 40


def test_a_stopped_source_may_read_add_and_edit_and_others_may_delete(desk):
    filled(desk, 30)
    assert destroyed(desk, [str(one) for one in range(30)]) == 10

    desk.put("new", card("new", "", *FULL), by=PHONE)
    desk.put("20", card("20", "Renamed", *FULL), by=PHONE)
    desk.put("21", card("21", "", *FULL[1:]), by=PHONE)
    desk.remove("22", by=TABLET)
    with pytest.raises(GuardedError):
        destroy(desk, "23")
    assert len(standing(desk)) == 1


def test_a_source_in_another_book_is_another_one(new_desk):
    one, other = filled(new_desk(), 12), filled(new_desk(), 12)
    assert destroyed(one, [str(number) for number in range(12)]) == 10

    assert destroyed(other, [str(number) for number in range(12)]) == 10


def agents(principal_id, *names):
    """Programs with the own password of a person, which nothing but their User-Agents tell apart."""
    return [Actor(principal_id, "ada", client_of(name), name, "192.0.2.1") for name in names]


def test_programs_that_only_their_user_agents_tell_apart_destroy_twice_as_much_at_most_and_are_stopped_together(desk):
    filled(desk, 60)
    owner = desk.access.book.owner_id
    script = agents(owner, *(f"Script {chr(ord('a') + one)}" for one in range(26)))
    phone = Actor(owner, "ada", "phone", "Script a")
    through = [destroyed(desk, [f"{one}"], by) for one, by in enumerate(script)]

    assert through == [1] * 20 + [0] * 6
    (block,) = standing(desk)
    assert (block.destroyed, block.of_cards, block.device) == (20, 60, guard.ALL_PROGRAMS)
    assert destroyed(desk, [f"{one}" for one in range(30, 45)], phone) == 10  # a password of its own
    outcome = blocks.revert(desk.db, block, by=BY)
    assert len(outcome.acts) == 1
    assert desk.access.book.card_count == 50


def test_what_a_stopped_program_destroyed_counts_for_all_of_its_person(desk):
    filled(desk, 60)
    one, *others = agents(desk.access.book.owner_id, *(f"Script {chr(ord('a') + one)}" for one in range(15)))
    assert destroyed(desk, [f"{number}" for number in range(11)], one) == 10

    through = [destroyed(desk, [f"{20 + number}"], by) for number, by in enumerate(others)]

    assert through == [1] * 10 + [0] * 4
    assert [block.device for block in standing(desk)] == [guard.ALL_PROGRAMS, one.device]


@pytest.mark.parametrize("released", [False, True])
def test_a_program_whose_person_was_stopped_before_it_was_written_down_makes_no_block_of_its_own(desk, released):
    filled(desk, 60)
    one, *others = agents(desk.access.book.owner_id, *(f"Script {chr(ord('a') + one)}" for one in range(15)))
    for number in range(10):
        desk.remove(f"{number}", by=one)
    with pytest.raises(GuardedError) as refused:
        desk.remove("11", by=one)
    for number, by in enumerate(others):
        destroyed(desk, [f"{20 + number}"], by)
    (block,) = standing(desk)
    if released:
        with desk.db.write(desk.book_id) as session:
            blocks.release(session, block.id, by=BY)

    blocks.record(desk.db, refused.value)

    assert count(desk.db, Block) == 1


def test_where_nothing_may_be_destroyed_all_programs_of_a_person_are_one_block_and_one_notice(desk):
    filled(desk, 5)
    policy = Policy(Rule(0, 0), channels=Channels(webhook=True))
    for one, by in enumerate(agents(desk.access.book.owner_id, "One", "Two", "Three")):
        assert destroyed(desk, [f"{one}"], by, policy=policy) == 0

    assert count(desk.db, Block) == 1
    assert count(desk.db, Notice) == 1


def test_who_lets_one_program_of_a_person_go_on_lets_them_begin_at_nothing(desk):
    filled(desk, 80)
    hrefs = [f"{one}" for one in range(80)]
    one, two, three = agents(desk.access.book.owner_id, "One", "Two", "Three")
    assert destroyed(desk, hrefs[:11], one) == 10
    (block,) = standing(desk)
    with desk.db.write(desk.book_id) as session:
        blocks.release(session, block.id, by=BY)

    assert destroyed(desk, hrefs[20:29], two) == 9
    assert destroyed(desk, hrefs[30:39], one) == 9
    assert destroyed(desk, hrefs[40:49], three) == 2
    (block,) = standing(desk)
    assert (block.destroyed, block.device) == (20, guard.ALL_PROGRAMS)
    with desk.db.write(desk.book_id) as session:
        blocks.release(session, block.id, by=BY)
    assert destroyed(desk, hrefs[50:61], three) == 10


def test_a_refused_destruction_leaves_nothing_and_the_transaction_may_go_on(desk):
    filled(desk, 12)
    destroyed(desk, [str(one) for one in range(10)])
    before, found = desk.revision, desk.access
    with desk.db.write(desk.book_id) as session:
        with pytest.raises(GuardedError) as refused:
            cards.remove(session, found, "11", by=PHONE)
        cards.put(session, found, "12", cards.check(card("12")), secret=desk.db.secret, by=PHONE)

    assert isinstance(refused.value, NeedPrivilegeError)
    assert (refused.value.verb, refused.value.href) == ("delete", "11")
    assert desk.revision == before + 1
    assert standing(desk) == []  # nobody wrote it down, and it is refused all the same
    with pytest.raises(GuardedError):
        desk.remove("11", by=PHONE)


def test_older_destructions_than_the_minutes_don_t_count(desk):
    filled(desk, 30)
    assert destroyed(desk, [str(one) for one in range(10)]) == 10

    pass_by(desk.db, timedelta(minutes=11))

    assert destroyed(desk, [str(one) for one in range(10, 30)]) == 10


def test_writes_that_say_the_same_in_other_words_count_nothing(desk):
    filled(desk, 60)
    for one in range(60):
        lines = ("item1.TEL;TYPE=voice:1", "item1.X-ABLabel:x", "EMAIL:a@example.org", "NOTE:\r\n n", "TITLE:t")
        desk.put(f"{one}", card(f"{one}", "", *lines, "X-NEW:1", version="4.0"), by=PHONE)

    assert count(desk.db, Destruction) == 0


def test_a_category_that_is_taken_from_every_card_counts_nothing(desk):
    for one in range(30):
        desk.put(f"{one}", card(f"{one}", "", "CATEGORIES:Customers"), policy=None)
    for one in range(30):
        desk.put(f"{one}", card(f"{one}"), by=PHONE)

    assert count(desk.db, Destruction) == 0


def test_restoring_and_undoing_count_nothing(desk):
    for one in range(15):
        desk.put(f"{one}", card(f"{one}"), policy=None)
    first = desk.revision
    for one in range(15):
        desk.put(f"{one}", card(f"{one}", "", *FULL), by=PHONE)
    for one in range(15):
        desk.restore(f"{one}", first, by=PHONE)

    assert count(desk.db, Destruction) == 0


# -- what is emptied ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "emptied"),
    [
        (["TEL:1"], [], True),
        (["TEL:1", "EMAIL:2"], ["TEL:1"], False),
        (["TEL:1", "EMAIL:2"], [], True),
        (["TEL:1", "EMAIL:2", "NOTE:3"], ["TEL:1"], True),
        (["TEL:1", "EMAIL:2", "NOTE:3", "URL:4"], ["TEL:1", "NOTE:3"], False),
        (["TEL:1", "EMAIL:2", "NOTE:3"], ["TEL:", "EMAIL:", "NOTE: "], True),
        (["TEL:1", "EMAIL:2", "NOTE:3"], ["TEL:9", "TEL:8", "TEL:7"], False),
        (["ADR:;;;;;;", "NOTE:"], [], False),
        (["X-ODD:1", "CATEGORIES:a"], [], False),
        (["X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:1", "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:2"], [], True),
        ([], [], False),
    ],
)
def test_a_card_is_emptied_if_all_or_more_than_half_of_at_least_two_things_are_gone(before, after, emptied):
    assert is_emptied(outline(card("a", "", *before)).values, outline(card("a", "", *after)).values) is emptied


@pytest.mark.parametrize("eol", [b"\r\n", b"\n", b"\r"])
def test_an_outline_sees_every_property_however_it_is_written(eol):
    data = eol.join(
        [
            b"BEGIN:VCARD",
            b"VERSION:3.0",
            b'item1.tel;TYPE="a:b;c",x:1',
            b"EMAIL;TYPE=",
            b" HOME:",
            b" a@example.org",
            b"NOTE:",
            b"ADR;TYPE=home:;;Street;;;;",
            b"X-ODD:1",
            b"PHOTO;ENCODING=b:" + (b"A" * 70 + eol + b" ") * 50,
            b"END:VCARD",
        ]
    )

    assert outline(data).names == {"VERSION", "TEL", "EMAIL", "ADR", "X-ODD", "PHOTO"}
    assert outline(data).values == 4


def test_a_photo_that_is_kept_beside_the_rest_is_one_of_the_things_of_a_card(desk):
    photo = "PHOTO;ENCODING=b:" + "A" * 5000
    desk.put("a", card("a", "", photo, "TEL:1", "NOTE:2"), policy=None)
    desk.put("a", card("a", "", photo, "TEL:1"), by=PHONE)
    assert count(desk.db, Destruction) == 0

    desk.put("a", card("a"), by=PHONE)

    assert count(desk.db, Destruction) == 1


# -- settings and rules of a book --------------------------------------------------------------------------------------


def set_rule(desk, role="", **rule):
    with desk.db.write() as session:
        book = books.find(session, desk.address)
        guard_rules.set_rule(session, book, role, **{"cards": None, "percent": None, "off": False, **rule}, by=BY)


def test_the_rule_of_a_book_and_role_goes_before_that_of_the_book_before_the_settings(desk):
    filled(desk, 60)
    hrefs = [str(one) for one in range(60)]
    policy = Policy(Rule(2, 0), {"owner": Rule(3, 0)})
    assert destroyed(desk, hrefs[:5], policy=policy) == 3  # the administrator is an owner to the guard

    set_rule(desk, cards=4)
    assert destroyed(desk, hrefs[5:15], TABLET, policy=policy) == 4

    set_rule(desk, "owner", cards=6)
    assert destroyed(desk, hrefs[15:25], Actor(None, "ada", "third"), policy=policy) == 6

    set_rule(desk, "curator", cards=0)
    assert destroyed(desk, hrefs[25:35], Actor(None, "ada", "fourth"), policy=policy) == 6


def test_the_guard_can_be_off_by_the_settings_by_the_book_and_for_a_role_of_it(new_desk):
    hrefs = [str(one) for one in range(15)]
    assert destroyed(filled(new_desk(), 15), hrefs, policy=Policy(None)) == 15
    assert destroyed(filled(new_desk(), 15), hrefs, policy=Policy(roles={"owner": None})) == 15
    of_book = filled(new_desk(), 15)
    set_rule(of_book, off=True)
    assert destroyed(of_book, hrefs) == 15
    of_role = filled(new_desk(), 15)
    set_rule(of_role, "owner", off=True)
    assert destroyed(of_role, hrefs) == 15
    on_here = filled(new_desk(), 15)
    set_rule(on_here, cards=5, percent=0)
    assert destroyed(on_here, hrefs, policy=Policy(None)) == 5


def test_a_rule_that_lets_nothing_through_stops_at_the_first_card(desk):
    filled(desk, 3)

    assert destroyed(desk, ["0", "1"], policy=Policy(Rule(0, 0))) == 0
    (block,) = standing(desk)
    assert block.destroyed == 0
    with pytest.raises(NotAllowedHereError), desk.db.read() as session:
        blocks.selection(session, block)


def test_a_rule_is_replaced_dropped_and_in_the_history(desk):
    set_rule(desk, "curator", cards=5)
    set_rule(desk, "curator", percent=7)
    set_rule(desk, off=True)
    with desk.db.read() as session:
        found = guard_rules.rules(session, desk.book_id)
    assert [(one.role, one.rule) for one in found] == [("", None), ("curator", Rule(10, 7))]

    with desk.db.write() as session:
        book = books.find(session, desk.address)
        assert guard_rules.drop_rule(session, book, "curator", by=BY)
        assert not guard_rules.drop_rule(session, book, "curator", by=BY)
        assert [one.role for one in guard_rules.rules(session, desk.book_id)] == [""]
        assert session.scalar(select(func.count()).where(table(Act).c.kind == "guard-rule")) == 4


@pytest.mark.parametrize("wrong", [{"cards": -1}, {"percent": 101}, {}, {"cards": 1, "off": True}])
def test_numbers_that_can_t_be_are_refused(desk, wrong):
    with pytest.raises(WrongValueError):
        set_rule(desk, **wrong)


# -- clean-ups ---------------------------------------------------------------------------------------------------------


def test_an_announced_clean_up_counts_nothing_until_it_ends(organisation):
    db = organisation.db
    organisation.grant("sales/leads", "user:carla", "curator")
    for one in range(60):
        organisation.put("ada", "sales~leads", f"{one}", card(f"{one}"))
    carla = organisation.access("carla", "sales~leads")
    by = Actor(carla.principal_id, "carla", "laptop")
    with db.write() as session:
        book = books.find(session, "sales/leads")
        guard_rules.announce(session, book, carla.principal_id, "carla", now() + timedelta(hours=1), by=by)

    def delete(hrefs):
        for href in hrefs:
            with db.write(carla.book.id) as session:
                cards.remove(session, carla, f"{href}", by=by)

    delete(range(30))
    assert count(db, Destruction) == 0
    pass_by(db, timedelta(hours=2))
    with pytest.raises(GuardedError):
        delete(range(30, 60))
    with db.read() as session:
        assert guard_rules.announced(session, carla.book.id) == []


@pytest.mark.parametrize("hours", [-1, 25])
def test_a_clean_up_lasts_a_day_at_most(organisation, hours):
    ada = organisation.access("ada", "contacts")
    with pytest.raises(WrongValueError), organisation.db.write() as session:
        guard_rules.announce(session, ada.book, ada.principal_id, "ada", now() + timedelta(hours=hours), by=BY)


# -- blocks ------------------------------------------------------------------------------------------------------------


def test_two_workers_that_are_stopped_at_once_make_one_block(desk):
    filled(desk, 40)
    destroyed(desk, [str(one) for one in range(10)])
    refused, barrier = [], threading.Barrier(4)

    def work(number):
        try:
            desk.remove(f"{20 + number}", by=PHONE)
        except GuardedError as error:
            barrier.wait()
            blocks.record(desk.db, error)
            refused.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert sorted(refused) == [0, 1, 2, 3]
    assert len(standing(desk)) == 1
    assert count(desk.db, Block) == 1


def test_no_more_go_through_where_many_delete_at_once(desk):
    filled(desk, 40)
    through = []

    def work(number):
        for one in range(number, 40, 4):
            try:
                destroy(desk, f"{one}")
                through.append(one)
            except GuardedError:
                pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert len(through) == 10
    assert count(desk.db, Block) == 1


def test_a_released_source_begins_at_nothing(desk):
    filled(desk, 40)
    destroyed(desk, [str(one) for one in range(15)])
    (block,) = standing(desk)
    with desk.db.write(desk.book_id) as session:
        released = blocks.release(session, block.id, by=BY)

    assert (released.stands, released.released_by) == (False, "tests")
    assert destroyed(desk, [str(one) for one in range(10, 40)]) == 10
    assert len(standing(desk)) == 1
    with desk.db.write(desk.book_id) as session, pytest.raises(NotAllowedHereError):
        blocks.release(session, block.id, by=BY)


def test_a_block_ends_by_itself_after_a_day(desk):
    filled(desk, 40)
    destroyed(desk, [str(one) for one in range(15)])

    pass_by(desk.db, timedelta(hours=23))
    assert destroyed(desk, ["10"]) == 0
    pass_by(desk.db, timedelta(hours=2))

    assert standing(desk) == []
    assert destroyed(desk, [str(one) for one in range(10, 40)]) == 10
    with desk.db.read() as session:
        assert [one.stands for one in blocks.all_blocks(session)] == [True, False]


def test_a_block_is_a_deed_in_the_history(desk):
    filled(desk, 12)
    destroyed(desk, [str(one) for one in range(12)])

    with desk.db.read() as session:
        act = session.execute(select(table(Act)).where(table(Act).c.kind == "guard")).one()
    assert (act.actor, act.device, act.book_id) == ("ada", "phone", desk.book_id)
    assert act.reason.startswith("10 of 12 cards in 1 minute; stopped until ")


def test_reverting_brings_back_what_was_destroyed_and_keeps_what_others_did(desk):
    filled(desk, 30)
    desk.remove("29", by=TABLET)
    originals = {href: desk.get(href).data for href in ("0", "3", "9")}
    for one in range(3):
        empty(desk, str(one))
    desk.put("2", card("2", "Named anew", "TEL:1"), by=TABLET)
    assert destroyed(desk, [str(one) for one in range(3, 30)]) == 7
    (block,) = standing(desk)

    outcome = blocks.revert(desk.db, block, by=BY)

    assert len(outcome.acts) == 1
    assert {href: desk.get(href).data for href in originals} == originals
    assert b"FN:Named anew" in desk.get("2").data
    assert b"NOTE:n" in desk.get("2").data
    assert desk.get("29") is None
    with desk.db.read() as session:
        assert blocks.find(session, block.id).reverted_act_id == outcome.acts[0]
    assert count(desk.db, Block) == 1
    undo.run(desk.db, Selection(acts=frozenset(outcome.acts)), by=BY)
    assert desk.get("3") is None


def test_reverting_leaves_alone_what_the_source_deleted_on_other_days(desk):
    filled(desk, 30)
    destroyed(desk, ["0", "1", "2"])
    pass_by(desk.db, timedelta(minutes=20))
    assert destroyed(desk, [str(one) for one in range(3, 30)]) == 10
    (block,) = standing(desk)

    blocks.revert(desk.db, block, by=BY)

    assert [desk.get(str(one)) is not None for one in range(5)] == [False] * 3 + [True] * 2


def test_a_block_can_be_reverted_days_later(desk):
    filled(desk, 14)
    destroyed(desk, [str(one) for one in range(14)])
    pass_by(desk.db, timedelta(days=3))
    retention.prune(desk.db, 730, 90)
    with desk.db.read() as session:
        (block,) = blocks.all_blocks(session)
    assert not block.stands

    blocks.revert(desk.db, block, by=BY)

    assert desk.access.book.card_count == 14


# -- who is told -------------------------------------------------------------------------------------------------------


def test_managers_with_an_address_and_those_who_are_told_of_everything_get_a_notice_each(organisation):
    db = organisation.db
    organisation.grant("sales/leads", "user:carla", "manager")
    with db.write() as session:
        for login in ("ada", "carla"):
            who = update(table(Principal)).where(table(Principal).c.slug == login)
            session.execute(who.values(email=f"{login}@example.org"))
    for one in range(12):
        organisation.put("ada", "sales~leads", f"{one}", card(f"{one}"))
    ada = organisation.access("ada", "sales~leads")
    administrator = access.administrator(ada.book)
    policy = Policy(channels=Channels(mail=True, mail_to=("it@example.org", "Carla@example.org"), webhook=True))
    by = Actor(ada.principal_id, "ada", "phone")
    for one in range(12):
        try:
            with db.write(ada.book.id) as session:
                cards.remove(session, administrator, f"{one}", by=by, policy=policy)
        except GuardedError as error:
            blocks.record(db, error)

    with db.read() as session:
        rows = session.execute(select(table(Notice))).all()
    assert sorted((row.channel, row.recipient.lower()) for row in rows) == [
        ("mail", "carla@example.org"),
        ("mail", "it@example.org"),
        ("webhook", ""),
    ]
    assert "radicale-shared guard revert" in rows[0].content


def test_without_mail_and_webhook_nobody_is_told_and_it_is_in_the_log(desk, caplog):
    filled(desk, 12)
    with caplog.at_level("WARNING", "radicale_shared"):
        destroyed(desk, [str(one) for one in range(12)])

    assert count(desk.db, Notice) == 0
    assert "ada (phone) was stopped" in caplog.text


def test_a_notice_is_never_more_than_fifty_mails(db):
    channels = Channels(mail=True)
    with db.write() as session:
        made = notices.add(session, channels, "s", "t", {}, [f"{one}@example.org" for one in range(80)])

    assert made == notices.MOST_RECIPIENTS


# -- against a plain model ---------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("delete"), st.integers(0, 1)),
        st.tuples(st.just("empty"), st.integers(0, 1)),
        st.tuples(st.just("edit"), st.integers(0, 1)),
        st.tuples(st.just("add"), st.integers(0, 1)),
        st.tuples(st.just("wait"), st.integers(1, 7)),
        st.tuples(st.just("release"), st.integers(0, 1)),
    ),
    max_size=25,
)


@examples(15)
@given(steps=STEPS, cards_=st.integers(0, 3), percent=st.integers(0, 60), number=st.integers(1, 10))
def test_the_verdict_is_that_of_a_plain_model(new_desk, steps, cards_, percent, number):
    desk = filled(new_desk(), number)
    policy = Policy(Rule(cards_, percent))
    actors = [PHONE, TABLET]
    whole, thin = list(map(str, range(number))), []
    minute, counted, stopped = 0, {0: [], 1: []}, {0: None, 1: None}
    made = 100
    for what, which in steps:
        if what == "wait":
            minute += which
            pass_by(desk.db, timedelta(minutes=which))
            continue
        if what == "add":
            made += 1
            desk.put(f"{made}", card(f"{made}", "", *FULL), by=actors[which], policy=policy)
            whole.append(f"{made}")
            continue
        if what == "edit":
            if whole:
                desk.put(whole[0], card(whole[0], f"Name {minute}", *FULL), by=actors[which], policy=policy)
            continue
        if what == "release":
            for block in standing(desk):
                if block.device == actors[which].device:
                    with desk.db.write(desk.book_id) as session:
                        blocks.release(session, block.id, by=BY)
            if stopped[which] is not None:
                counted[which], stopped[which] = [], None
            continue
        if not whole and (what == "empty" or not thin):
            continue
        # The model: what this source destroyed in the last ten minutes, and how many cards there were with these.
        recent = [(at, deleted) for at, deleted in counted[which] if at > minute - 10]
        of_cards = len(whole) + len(thin) + sum(deleted for _, deleted in recent)
        most = max(cards_, max((n for n in range(of_cards + 1) if n * 100 < percent * of_cards), default=0))
        allowed = stopped[which] is None and len(recent) < most
        href = whole[0] if what == "empty" or not thin else thin[0]
        act = empty if what == "empty" else destroy
        try:
            act(desk, href, actors[which], policy=policy)
            done = True
        except GuardedError:
            done = False
        assert done == allowed, (what, recent, of_cards, most)
        if not done:
            stopped[which] = minute
            continue
        counted[which].append((minute, what == "delete"))
        if href in whole:
            whole.remove(href)
        else:
            thin.remove(href)
        if what == "empty":
            thin.append(href)
    assert {one.device for one in standing(desk)} == {
        actors[which].device for which, at in stopped.items() if at is not None
    }
    assert count(desk.db, Change) > 0
    assert Role.OWNER.value == guard.role_of(desk.access)

"""What is remembered of directories' answers, who claims a question, and a person's first sign-in."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from radicale_shared import accounts, books, directories, people, sign_ins
from radicale_shared.database import Database
from radicale_shared.directories import PersonFacts
from radicale_shared.models import Principal, SignIn, now
from tests.conftest import BY

HOUR = timedelta(hours=1)


@pytest.fixture
def ada(db):
    """A person of the directory ``main``."""
    facts = PersonFacts("key of ada", "uid=ada", "ada", "Ada", "ada@example.org", "example.org", active=True)
    with db.write() as session:
        return directories.take_person(session, "main", facts)


def claim(db, digest=b"x", *, login="ada", key="key of ada", directory="main"):
    with db.write() as session:
        return sign_ins.claim(session, directory, login, digest, key)


def settle(db, row_id, *, is_right, key="key of ada"):
    with db.write() as session:
        sign_ins.settle(session, row_id, key=key, is_right=is_right)


def remembered(db, login="ada", *names):
    with db.read() as session:
        return sign_ins.remembered(session, names or ["main"], login)


def age(db, row_id, by):
    with db.write() as session:
        session.execute(update(SignIn).where(SignIn.id == row_id).values(at=now() - by))


def test_of_two_processes_one_asks(db, ada):
    with closing(Database(db.url, pool_size=2, write_wait=timedelta(seconds=10), threads=8)) as other:
        first = claim(db)
        assert first is not None
        assert claim(other) is None
        assert claim(other, b"y") is not None
        assert claim(other, login="ada.l") is not None
        assert claim(other, directory="branch") is not None


def test_an_answer_is_remembered_with_whose_it_is(db, ada):
    settle(db, claim(db, b"right"), is_right=True)
    settle(db, claim(db, b"wrong"), is_right=False)
    claim(db, b"asked")

    right, wrong, asked = remembered(db)
    assert (right.principal_id, right.slug, right.auth_version, right.state) == (ada.id, "ada", 1, "active")
    assert [right.is_right(HOUR), right.is_wrong(HOUR), right.is_pending()] == [True, False, False]
    assert [wrong.is_right(HOUR), wrong.is_wrong(HOUR), wrong.is_pending()] == [False, True, False]
    assert [asked.is_right(HOUR), asked.is_wrong(HOUR), asked.is_pending()] == [False, False, True]


def test_a_right_password_counts_for_so_long_and_for_an_active_person_only(db, ada):
    row_id = claim(db)
    settle(db, row_id, is_right=True)
    age(db, row_id, timedelta(minutes=59))
    assert remembered(db)[0].is_right(HOUR)
    age(db, row_id, timedelta(minutes=61))
    assert not remembered(db)[0].is_right(HOUR)
    settle(db, row_id, is_right=True)
    with db.write() as session:
        people.set_enabled(session, "ada", enabled=False)
    assert not remembered(db)[0].is_right(HOUR)


def test_a_new_right_password_ends_the_former_one_of_this_login_alone(db, ada):
    settle(db, claim(db, b"old"), is_right=True)
    settle(db, claim(db, b"wrong"), is_right=False)
    settle(db, claim(db, b"old", login="ada.l"), is_right=True)
    settle(db, claim(db, b"new"), is_right=True)
    assert [(row.digest, row.verdict) for row in remembered(db)] == [(b"wrong", "wrong"), (b"new", "right")]
    assert [row.verdict for row in remembered(db, "ada.l")] == ["right"]


def test_a_question_that_was_never_answered_is_asked_again_after_a_minute(db, ada):
    row_id = claim(db)
    age(db, row_id, timedelta(seconds=59))
    assert claim(db) is None
    age(db, row_id, timedelta(seconds=61))
    assert claim(db) is not None


def test_a_wrong_password_is_asked_again_after_twelve_hours(db, ada):
    row_id = claim(db)
    settle(db, row_id, is_right=False)
    age(db, row_id, timedelta(hours=11, minutes=59))
    assert claim(db) is None
    age(db, row_id, timedelta(hours=12, minutes=1))
    assert claim(db) is not None


def test_a_right_password_is_asked_again_by_one_and_is_as_old_as_before_where_that_failed(db, ada):
    row_id = claim(db)
    settle(db, row_id, is_right=True)
    age(db, row_id, HOUR)
    (row,) = remembered(db)
    with db.write() as session:
        assert sign_ins.claim_again(session, row)
    with db.write() as session:
        assert not sign_ins.claim_again(session, row)
    assert remembered(db)[0].is_right(timedelta(minutes=1))
    with db.write() as session:
        sign_ins.release(session, row)
    assert remembered(db)[0].at == row.at


def test_what_was_tried_for_a_person_counts_under_all_logins_and_within_the_window(db, ada):
    def tried():
        with db.read() as session:
            return sign_ins.tried(session, "main", "key of ada", HOUR)

    first = claim(db, b"1")
    settle(db, first, is_right=False)
    settle(db, claim(db, b"2", login="ada.l"), is_right=False)
    settle(db, claim(db, b"3"), is_right=True)
    lost = claim(db, b"4")
    claim(db, b"5", key="somebody else's")
    claim(db, b"6", directory="branch")
    assert tried() == 3
    age(db, lost, timedelta(minutes=59))  # whoever asked never told what the directory said
    claim(db, b"another")
    assert tried() == 4
    age(db, lost, timedelta(minutes=61))
    age(db, first, timedelta(minutes=61))
    assert tried() == 2
    with db.read() as session:
        assert 3500 < sign_ins.free_in(session, "main", "key of ada", HOUR) <= 3601


def test_no_more_than_some_wrong_passwords_of_a_login_are_kept(db, ada):
    for number in range(40):
        settle(db, claim(db, str(number).encode()), is_right=False)
    kept = [row.digest for row in remembered(db)]
    assert len(kept) == sign_ins.MOST_REMEMBERED + 1
    assert kept[-1] == b"39"


def test_a_changed_password_forgets_the_wrong_ones_and_asks_for_the_right_one_again(db, ada):
    right = claim(db, b"right")
    settle(db, right, is_right=True)
    settle(db, claim(db, b"wrong"), is_right=False)
    settle(db, claim(db, b"right", login="ben", key="key of ben"), is_right=True, key="key of ben")
    with db.write() as session:
        sign_ins.password_changed(session, "main", "key of ada", recheck=HOUR)

    (row,) = remembered(db)
    assert not row.is_right(timedelta(minutes=59))
    assert row.is_right(timedelta(hours=2))
    assert row.auth_version == 2
    assert remembered(db, "ben")[0].at > now() - timedelta(minutes=1)
    age(db, right, timedelta(hours=5))
    with db.write() as session:
        sign_ins.password_changed(session, "main", "key of ada", recheck=HOUR)
    assert not remembered(db)[0].is_right(timedelta(hours=4))


def test_what_no_longer_counts_is_dropped(db, ada):
    kept = {
        ("ada", True): timedelta(hours=11),
        ("ben", True): timedelta(hours=13),
        ("carla", False): timedelta(hours=11),
        ("dora", False): timedelta(hours=13),
        ("emil", None): timedelta(seconds=50),
        ("fritz", None): timedelta(hours=13),
    }
    for (login, is_right), old in kept.items():
        row_id = claim(db, login=login)
        if is_right is not None:
            settle(db, row_id, is_right=is_right)
        age(db, row_id, old)
    with db.write() as session:
        assert sign_ins.prune(session, "other", timedelta(hours=12)) == 0
        assert sign_ins.prune(session, "main", timedelta(hours=12)) == 3
    assert [login for login, _ in kept if remembered(db, login)] == ["ada", "carla", "emil"]


def test_what_a_clock_noted_that_was_a_year_ahead_is_dropped(db, ada):
    settle(db, claim(db, b"right"), is_right=True)
    settle(db, claim(db, b"wrong"), is_right=False)
    claim(db, b"asked")
    for row in remembered(db):
        age(db, row.id, -timedelta(days=365))
    claim(db, b"now")
    with db.write() as session:
        assert sign_ins.prune(session, "main", timedelta(hours=12)) == 3
    assert [row.digest for row in remembered(db)] == [b"now"]


# -- the first sign-in -------------------------------------------------------------------------------------------------


def seen(db, principal_id):
    with db.write() as session:
        sign_ins.seen(session, principal_id, address="192.0.2.1", user_agent="Phone/1.0")


def books_of(db, slug):
    with db.read() as session:
        return [one.address for one in books.all_books(session) if one.home == slug]


def test_the_first_sign_in_makes_a_book_of_their_own(db, ada):
    seen(db, ada.id)
    assert books_of(db, "ada") == ["ada/contacts"]
    with db.read() as session:
        assert session.scalar(select(Principal.seen_at).where(Principal.id == ada.id)) is not None


@pytest.mark.parametrize("is_purged", [False, True], ids=["in the trash", "purged"])
def test_who_deleted_their_book_gets_no_other(db, ada, is_purged):
    seen(db, ada.id)
    with db.write() as session:
        book = books.find(session, "ada/contacts")
        books.trash(session, book, by=BY)
        if is_purged:
            books.purge(session, books.find_trashed(session, "ada/contacts"), by=BY)
    with db.write() as session:
        session.execute(update(Principal).values(seen_at=now() - timedelta(days=1)))
    seen(db, ada.id)
    assert books_of(db, "ada") == []


def test_who_has_a_book_already_gets_no_other(organisation):
    db = organisation.db
    with db.read() as session:
        carla = accounts.find(session, "carla")
    with db.write() as session:
        books.add(session, people.user(session, "carla"), "more", by=BY)
    seen(db, carla.id)
    assert books_of(db, "carla") == ["carla/contacts", "carla/more"]


# -- accounts ----------------------------------------------------------------------------------------------------------


def test_a_user_who_was_made_here_goes_before_a_person_of_a_directory(db, ada):
    facts = PersonFacts("key", "uid=ben", "ben", "Ben", "", "branch.example", active=True)
    with db.write() as session:
        people.add_user(session, "ben", password="secret")
        directories.take_person(session, "branch", facts)
    with db.read() as session:
        local = accounts.find(session, "ben", name="ben", directories=["main", "branch"])
        named = accounts.find(session, "ben@branch.example", name="ben", directories=["branch"])
        other = accounts.find(session, "ben@example.org", name="ben", directories=["main"])
    assert (local.directory, local.slug) == ("", "ben")
    assert (named.directory, named.slug) == ("branch", "ben-2")
    assert other is None


def test_a_person_of_a_directory_that_is_not_configured_is_nobody(db, ada):
    with db.read() as session:
        assert accounts.find(session, "ada") is None
        assert accounts.find(session, "ada", name="ada", directories=["branch"]) is None
        assert accounts.find(session, "ada", name="ada", directories=["main"]).id == ada.id


def test_of_two_directories_the_one_decides_whose_person_has_the_login_here_then_the_first(db, ada):
    facts = PersonFacts("key", "uid=ada", "ada", "Other", "", "branch.example", active=True)
    with db.write() as session:
        other = directories.take_person(session, "branch", facts)
    with db.read() as session:
        found = accounts.find(session, "ada", name="ada", directories=["branch", "main"])
        assert found.id == ada.id
    with db.write() as session:
        session.execute(update(Principal).where(Principal.id == ada.id).values(login_folded="somebody"))
    with db.read() as session:
        assert accounts.find(session, "ada", name="ada", directories=["branch", "main"]).id == other.id
        assert accounts.find(session, "ada", name="ada", directories=["main", "branch"]).id == ada.id


def test_an_account_costs_one_statement(db, ada, statements):
    with db.read() as session:
        statements.clear()
        accounts.find(session, "ada", name="ada", directories=["main", "branch"])
    assert len(statements) == 1

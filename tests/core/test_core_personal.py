"""Personal books: nobody but their owner reads them, unless the configuration says so, and then it is written down."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from radicale_shared import books, history, people, personal
from radicale_shared.errors import NotAllowedHereError
from radicale_shared.models import Book, Grant, now, table
from tests.conftest import BY, card, kinds_of_deeds

PERSONAL = "ada/contacts"


def is_personal(organisation, address=PERSONAL):
    with organisation.db.read() as session:
        return personal.is_personal(session, books.find(session, address))


def test_a_users_own_book_is_personal_until_a_grant_shares_it(organisation):
    assert is_personal(organisation)
    organisation.grant(PERSONAL, "user:ben", "viewer")
    assert not is_personal(organisation)

    with organisation.db.write() as session:
        session.execute(update(table(Grant)).values(until_at=now() - timedelta(days=1)))
    assert is_personal(organisation)


def test_a_groups_book_and_a_mirrored_one_are_nobodys_personal_books(organisation):
    with organisation.db.write() as session:
        session.execute(update(table(Book)).where(table(Book).c.mount == "ben~contacts").values(mirrored_from="main"))

    assert not is_personal(organisation, "sales/leads")
    assert not is_personal(organisation, "ben/contacts")


def test_all_personal_books_are_found_also_in_the_trash(organisation):
    with organisation.db.write() as session:
        ids = {books.find(session, f"{login}/contacts").id for login in ("ada", "ben", "carla")}
        books.trash(session, books.find(session, PERSONAL), by=BY)
        assert personal.all_ids(session) == ids


def test_an_administrator_who_may_not_read_is_refused_and_leaves_no_deed(organisation):
    with organisation.db.write() as session:
        book = books.find(session, PERSONAL)
        with pytest.raises(NotAllowedHereError, match="only ada reads it"):
            personal.read_by_administrator(session, book, "export", allowed=False, by=BY)

    with organisation.db.read() as session:
        assert kinds_of_deeds(session, book.id) == ["create-book"]


def test_an_administrator_who_may_read_leaves_a_deed_in_personal_books_alone(organisation):
    with organisation.db.write() as session:
        for address in (PERSONAL, "sales/leads"):
            personal.read_by_administrator(session, books.find(session, address), "export", allowed=True, by=BY)

    with organisation.db.snapshot() as session:
        deeds = [(one.kind, one.book, one.reason, one.actor) for one in history.entries(session)]
    assert deeds[0] == ("administrator-read", PERSONAL, "export", "tests")
    assert "administrator-read" not in [deed[0] for deed in deeds[1:]]


def test_the_history_tells_the_deeds_of_unread_books_without_names_and_values(organisation):
    organisation.put("ada", "contacts", "a.vcf", card("a", "Secret Person"))
    organisation.put("ada", "sales~leads", "a.vcf", card("a", "Known Person"))
    organisation.remove("ada", "contacts", "a.vcf")

    with organisation.db.snapshot() as session:
        unread = personal.all_ids(session)
        told = list(history.entries(session, unread=unread))
        found = list(history.entries(session, find="person", unread=unread))

    assert [(one.kind, one.book, one.href, one.name) for one in told[:3]] == [
        ("delete", PERSONAL, "a.vcf", ""),
        ("put", "sales/leads", "a.vcf", "Known Person"),
        ("put", PERSONAL, "a.vcf", ""),
    ]
    assert [one.name for one in found] == ["Known Person"]


def test_a_book_that_is_given_to_another_person_is_the_others_personal_book(organisation):
    with organisation.db.write() as session:
        books.give(session, books.find(session, PERSONAL), people.user(session, "ben"), by=BY)

    assert is_personal(organisation)

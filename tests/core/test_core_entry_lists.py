"""Entries in the order of their names, over several books and through views."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import access, books, entry_lists, grants, people, phone_books
from radicale_shared.access import Role
from radicale_shared.entry_keys import FAMILY_FIRST, GIVEN_FIRST, order_of
from tests.conftest import BY, card, examples


def listed(db, login, order=FAMILY_FIRST, *, on_phones=False):
    """The entries of all books that somebody reads, in order."""
    with db.read() as session:
        accesses = {one.book.id: one for one in access.all_readable(session, login)}
    return [one for page in entry_lists.in_order(db.read, accesses, order, on_phones=on_phones) for one in page]


def named(db, *arguments, **options):
    return [entry.name for entry in listed(db, *arguments, **options)]


def card_of(uid, family, given, *lines):
    return card(uid, f"{given} {family}", *lines).replace(
        f"N:{given} {family};;;;".encode(), f"N:{family};{given};;;".encode()
    )


@pytest.fixture
def filled(organisation):
    for book, family, first in (
        ("contacts", "Zander", "Ann"),
        ("sales~leads", "Ädler", "Zoe"),
        ("contacts", "Muster", "Eva"),
        ("sales~leads", "Muster", "Ben"),
    ):
        organisation.put("ada", book, f"{first}.vcf", card_of(first, family, first))
    return organisation


def test_several_books_are_one_list_by_family_or_by_given_name(filled, db):
    assert named(db, "ada") == ["Zoe Ädler", "Ben Muster", "Eva Muster", "Ann Zander"]
    assert named(db, "ada", GIVEN_FIRST) == ["Ann Zander", "Ben Muster", "Eva Muster", "Zoe Ädler"]
    assert named(db, "carla") == []


def test_who_is_hidden_from_phones_is_not_in_their_list(filled, db):
    leads = filled.book("sales/leads")
    with db.write(leads.id) as session:
        phone_books.hide_card(session, leads, "Ben.vcf", hidden=True, by=BY)

    assert named(db, "ada", on_phones=True) == ["Zoe Ädler", "Eva Muster", "Ann Zander"]
    assert named(db, "ada") == ["Zoe Ädler", "Ben Muster", "Eva Muster", "Ann Zander"]


def test_no_place_tells_of_a_company_that_is_hidden(filled, db):
    for uid, org, end in (("one", "Zebra", 2), ("two", "Adler", 9)):
        lines = "BEGIN:VCARD", "VERSION:4.0", f"UID:{uid}", f"ORG:{org}", f"TEL:+49 30 23125 {end}", "END:VCARD", ""
        filled.put("ada", "sales~leads", f"{uid}.vcf", "\r\n".join(lines).encode())
    with db.write() as session:
        grants.give(session, books.find(session, "sales/leads"), "user:carla", Role.VIEWER, by=BY, hide=["org"])

    assert [one.uid for one in listed(db, "ada") if one.uid in {"one", "two"}] == ["two", "one"]
    assert [one.uid for one in listed(db, "carla") if one.uid in {"one", "two"}] == ["one", "two"]
    assert {one.org for one in listed(db, "carla")} == {""}


def test_a_long_list_is_read_page_by_page_and_whole(organisation, db, statements):
    count = 3 * entry_lists.PAGE + 7
    for at in range(count):
        organisation.put("ada", "contacts", f"{at}.vcf", card(f"u{at}", f"Name {at * 7919 % count:04}"))
    statements.clear()
    found = named(db, "ada")

    assert found == [f"Name {at:04}" for at in range(count)]
    assert len(statements) < 20


def test_who_is_renamed_while_a_list_is_read_comes_once(organisation, db):
    count = entry_lists.PAGE + 50
    for at in range(count):
        organisation.put("ada", "contacts", f"{at}.vcf", card(f"u{at}", f"Name {at:04}"))
    with db.read() as session:
        accesses = {one.book.id: one for one in access.all_readable(session, "ada")}
    pages = entry_lists.in_order(db.read, accesses, FAMILY_FIRST)
    found = list(next(pages))
    organisation.put("ada", "contacts", "0.vcf", card("u0", "Zzz"))
    found += [one for page in pages for one in page]

    assert len(found) == len({one.card_id for one in found}) == count


names = st.text(st.sampled_from("abAB ÄäßZz-'0"), max_size=4)


@given(st.lists(st.tuples(st.booleans(), names, names, names), max_size=8), st.booleans())
@examples(25)
def test_the_order_is_that_of_what_the_reader_sees(organisation, db, made, is_hidden):
    with db.write() as session:
        carla, ben = people.user(session, "carla"), people.user(session, "ben")
        slugs = [f"b{len(books.all_books(session))}", f"c{len(books.all_books(session))}"]
        only = [books.add(session, carla, slug, by=BY) for slug in slugs]
        for book in only:
            grants.give(session, book, f"user:{ben.login}", Role.VIEWER, by=BY, hide=["org"] if is_hidden else [])
    for at, (which, family, given_name, org) in enumerate(made):
        content = card(f"u{at}", f"x{given_name}{family}", f"ORG:{org}")
        content = content.replace(f"N:x{given_name}{family};;;;".encode(), f"N:{family};{given_name};;;".encode())
        organisation.put("carla", slugs[which], f"{at}.vcf", content)
    with db.read() as session:
        readable = {one.book.id: one for one in access.all_readable(session, "ben")}
    accesses = {book.id: readable[book.id] for book in only}
    for order in (FAMILY_FIRST, GIVEN_FIRST):
        found = [one for page in entry_lists.in_order(db.read, accesses, order) for one in page]
        assert len(found) == len(made)
        assert found == sorted(found, key=lambda one: (order_of(one, order), one.card_id))

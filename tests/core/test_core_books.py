"""Books: addresses, names, the trash."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from radicale_shared import access, books, people, texts
from radicale_shared.access import Role
from radicale_shared.errors import AlreadyExistsError, NotAllowedHereError, NotFoundError
from radicale_shared.models import Act, Body, Book, Card, CardSearch, Change, DefaultBook, Grant, Refusal
from tests.conftest import BY, card, examples


def counts(db):
    with db.read() as session:
        models = (Body, Book, Card, CardSearch, Change, DefaultBook, Grant, Refusal)
        return {one.__tablename__: session.scalar(select(func.count()).select_from(one)) for one in models}


def in_book(db, deed, address, *arguments):
    with db.write() as session:
        return deed(session, books.find(session, address), *arguments, by=BY)


def from_trash(db, deed, address):
    with db.write() as session:
        deed(session, books.find_trashed(session, address), by=BY)


# -- addresses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "slug",
    ["", "A", "a b", "a/b", "a~b", "ä", ".a", "..", "a\n", "all", "p", "api", "ldap", "healthz", "readyz", "x" * 201],
)
def test_what_can_not_stand_in_urls_or_is_reserved_is_no_books_name(organisation, slug):
    with pytest.raises(NotAllowedHereError), organisation.db.write() as session:
        books.add(session, people.user(session, "ada"), slug, by=BY)


@pytest.mark.parametrize("slug", ["a", "a.b_c-d@e", "0", "-", "x" * 200])
def test_a_books_address_is_its_owners_slug_and_its_own(organisation, slug):
    with organisation.db.write() as session:
        book = books.add(session, people.user(session, "ada"), slug, by=BY)

    assert (book.address, book.mount) == (f"ada/{slug}", f"ada~{slug}")
    assert organisation.book(f"ada/{slug}") == book


def test_two_live_books_never_have_one_address(organisation):
    with pytest.raises(AlreadyExistsError), organisation.db.write() as session:
        books.add(session, people.user(session, "ada"), "contacts", by=BY)


@pytest.mark.parametrize("address", ["", "ada", "ada/", "/contacts", "ada/contacts/x", "ada/none", "none/contacts"])
def test_an_address_that_names_no_book_is_not_found(organisation, address):
    with pytest.raises(NotFoundError):
        organisation.book(address)


def test_names_are_normalised_and_fall_back_to_the_slug(organisation):
    in_book(
        organisation.db,
        lambda session, book, by: books.set_properties(session, book, by=by, name=" Cafe\u0301 "),
        "ada/contacts",
    )
    assert organisation.book("ada/contacts").name == "Café"

    in_book(
        organisation.db, lambda session, book, by: books.set_properties(session, book, by=by, name=""), "ada/contacts"
    )
    assert organisation.book("ada/contacts").name == "contacts"


@examples(20)
@given(text=st.text(st.characters(categories=["Cc", "Cs", "Cn"], exclude_characters="\t\n\r"), min_size=1, max_size=3))
def test_a_name_is_text_that_xml_can_carry(text):
    try:
        kept = texts.checked(f"a{text}b", 500)
    except NotAllowedHereError:
        return
    assert all(
        char in "\t\n\r" or "\x20" <= char <= "\ud7ff" or "\ue000" <= char <= "\ufffd" or char > "\uffff"
        for char in kept
    )


@pytest.mark.parametrize("values", [{"name": "x" * 501}, {"description": "x" * 10_001}, {"color": "x" * 33}])
def test_a_text_longer_than_its_column_is_refused(organisation, values):
    with pytest.raises(NotAllowedHereError), organisation.db.write() as session:
        books.set_properties(session, books.find(session, "ada/contacts"), by=BY, **values)


# -- default -----------------------------------------------------------------------------------------------------------


def test_the_default_book_can_be_another_one_also_a_mounted_one(organisation):
    with organisation.db.write() as session:
        ada = people.user(session, "ada")
        books.set_default(session, ada.id, books.find(session, "sales/leads"))

    with organisation.db.read() as session:
        listed = access.all_readable(session, "ada")
    # Own books stay before the mounted ones: Apple's programs need a writable one of their own in front.
    assert [(one.name, one.default) for one in listed] == [("contacts", False), ("sales~leads", True)]


# -- the trash ---------------------------------------------------------------------------------------------------------


def test_a_book_in_the_trash_frees_its_address_and_loses_nothing(organisation):
    organisation.put("ada", "contacts", "a.vcf", card("a"))
    before = counts(organisation.db)

    in_book(organisation.db, books.trash, "ada/contacts")

    assert counts(organisation.db) == before
    with pytest.raises(NotFoundError):
        organisation.book("ada/contacts")
    with organisation.db.write() as session:
        books.add(session, people.user(session, "ada"), "contacts", by=BY)
    assert organisation.access("ada", "contacts").book.revision == 1


def test_a_book_comes_back_with_its_cards_rights_and_sync_token_of_before(organisation):
    organisation.put("ada", "sales~leads", "a.vcf", card("a"))
    before = organisation.access("ben", "sales~leads")
    in_book(organisation.db, books.trash, "sales/leads")

    from_trash(organisation.db, books.undelete, "sales/leads")

    after = organisation.access("ben", "sales~leads")
    assert (after.book.id, after.book.uuid, after.book.epoch) == (before.book.id, before.book.uuid, before.book.epoch)
    assert after.verbs == before.verbs
    assert after.book.revision > before.book.revision
    assert after.book.card_count == 1


def test_a_book_does_not_come_back_to_an_address_that_is_taken(organisation):
    in_book(organisation.db, books.trash, "ada/contacts")
    with organisation.db.write() as session:
        books.add(session, people.user(session, "ada"), "contacts", by=BY)

    with pytest.raises(AlreadyExistsError):
        from_trash(organisation.db, books.undelete, "ada/contacts")


def test_of_several_books_of_one_address_in_the_trash_the_last_deleted_comes_back(organisation):
    in_book(organisation.db, books.trash, "ada/contacts")
    with organisation.db.write() as session:
        second = books.add(session, people.user(session, "ada"), "contacts", by=BY)
        books.trash(session, second, by=BY)

    from_trash(organisation.db, books.undelete, "ada/contacts")

    assert organisation.book("ada/contacts").id == second.id


def test_a_write_into_a_book_that_was_just_deleted_is_not_found(desk):
    found = desk.access
    with desk.db.write() as session:
        books.trash(session, found.book, by=BY)

    with pytest.raises(NotFoundError):
        desk.put("a", card("a"), access=found)
    assert desk.changes() == []


def test_a_purged_book_leaves_no_bytes_cards_changes_or_rights_only_a_note(organisation):
    before = counts(organisation.db)
    with organisation.db.write() as session:
        books.add(session, people.user(session, "ada"), "secret", name="Patients", by=BY)
    organisation.grant("ada/secret", "user:ben", Role.EDITOR)
    for name in ("One", "Two"):
        organisation.put("ada", "secret", "a.vcf", card("a", name))
    organisation.remove("ada", "secret", "a.vcf")
    in_book(organisation.db, books.trash, "ada/secret")

    from_trash(organisation.db, books.purge, "ada/secret")

    assert counts(organisation.db) == before
    with organisation.db.read() as session:
        note = session.query(Act).filter(Act.kind == "purge-book").one()
        assert (note.book_id, note.reason) == (None, "ada/secret, Patients")
        assert session.query(Act).filter(Act.kind == "put", Act.book_id.is_not(None)).count() == 0
    with pytest.raises(NotFoundError), organisation.db.read() as session:
        books.find_trashed(session, "ada/secret")


def test_a_live_book_can_not_be_purged(organisation):
    with pytest.raises(NotAllowedHereError):
        in_book(organisation.db, books.purge, "ada/contacts")


def test_lists_tell_live_books_from_those_in_the_trash(organisation):
    in_book(organisation.db, books.trash, "ben/contacts")

    with organisation.db.read() as session:
        live, trash = books.all_books(session), books.all_books(session, trash=True)
        assert [book.address for book in live] == ["ada/contacts", "carla/contacts", "sales/leads"]
        assert [book.address for book in trash] == ["ben/contacts"]
        assert books.owned_by(session, people.user(session, "ben").id) == []


def test_new_epochs_leave_everything_else(organisation):
    before = organisation.book("ada/contacts")
    with organisation.db.write() as session:
        assert books.new_epoch(session) == 4

    after = organisation.book("ada/contacts")
    assert after.epoch != before.epoch
    assert (after.uuid, after.revision, after.floor) == (before.uuid, before.revision, before.floor)

"""Mirrored books: making one, writing what changed, and nobody else writing there."""

import pytest

from radicale_shared import access, books, cards, history, mirrored, people
from radicale_shared.errors import NotAllowedHereError, NotFoundError
from radicale_shared.mirrored import Shown, Written
from tests.conftest import BY, card, kinds_of_deeds


@pytest.fixture
def book(organisation):
    with organisation.db.write() as session:
        return mirrored.make(session, "company/people", "main", name="Staff", readers=["everyone"], search_only=False)


def shown(key, name="", *, digest="1", gone=False):
    made = None if gone else cards.check(card(key, name))
    return Shown(key, f"{key}.vcf", "" if gone else digest, made)


def write(db, book, *wanted):
    written = Written()
    mirrored.write(db, book, wanted, written=written)
    return written.new, written.changed, written.removed


def told_of(db, book):
    with db.snapshot() as session:
        return [(one.kind, one.href, one.actor) for one in history.entries(session, book_id=book.id)]


def revision(db):
    with db.read() as session:
        return books.find(session, "company/people").revision


def test_the_book_is_made_with_its_owner_and_its_readers(organisation, book):
    assert (book.name, book.mirrored_from, book.owner) == ("Staff", "main", "company")
    for login in ("ada", "carla"):
        assert organisation.access(login, "company~people").verbs == {access.Verb.READ}
    with organisation.db.read() as session:
        assert people.group(session, "company").name == "company"
        assert mirrored.find(session, "company/people", "main") == book
        assert mirrored.find(session, "company/others", "main") is None


def test_another_book_is_never_taken_for_the_mirrored_one(organisation, book):
    with organisation.db.read() as session:
        for address, directory in (("company/people", "other"), ("sales/leads", "main")):
            with pytest.raises(NotAllowedHereError):
                mirrored.find(session, address, directory)


def test_a_reader_who_is_not_there_makes_no_book(organisation):
    with pytest.raises(NotFoundError), organisation.db.write() as session:
        mirrored.make(session, "company/people", "main", name="", readers=["group:nobody"], search_only=False)
    with organisation.db.read() as session:
        assert mirrored.find(session, "company/people", "main") is None


def test_nobody_else_has_a_right_to_write_there(organisation, book):
    organisation.grant("company/people", "user:ada", "owner")
    verbs = organisation.access("ada", "company~people").verbs
    assert verbs & {access.Verb.ADD, access.Verb.EDIT, access.Verb.DELETE} == set()
    assert access.Verb.EXPORT in verbs
    assert access.administrator(book).verbs == verbs


def test_only_what_another_digest_tells_of_is_written(organisation, book):
    db = organisation.db
    assert write(db, book, shown("a"), shown("b")) == (2, 0, 0)
    before = revision(db)
    assert write(db, book, shown("a", "Other"), shown("b", digest="2")) == (0, 0, 0)
    assert revision(db) == before
    assert write(db, book, shown("a", "Other", digest="2")) == (0, 1, 0)
    assert revision(db) == before + 1
    with db.read() as session:
        assert mirrored.digests(session, book.id) == {"a": "2", "b": "2"}


def test_unchanged_entries_write_no_row(organisation, book, statements):
    db = organisation.db
    write(db, book, shown("a"), shown("b"))
    statements.clear()
    write(db, book)
    assert len(statements) == 0


def test_who_is_gone_leaves_a_tombstone_and_comes_back_at_the_same_name(organisation, book):
    db = organisation.db
    write(db, book, shown("a"), shown("b"))
    assert write(db, book, shown("a", gone=True)) == (0, 0, 1)
    assert write(db, book, shown("a", gone=True)) == (0, 0, 0)
    with db.read() as session:
        assert mirrored.digests(session, book.id) == {"b": "1"}
        assert books.find(session, "company/people").card_count == 1
    assert write(db, book, shown("a")) == (1, 0, 0)
    assert [line[:2] for line in told_of(db, book)][:2] == [("mirror", "a.vcf"), ("mirror", "a.vcf")]


def test_an_entry_that_is_no_card_is_remembered_without_one(organisation, book):
    db = organisation.db
    nameless = Shown("a", "a.vcf", "-1", None)
    assert write(db, book, nameless) == (0, 0, 0)
    with db.read() as session:
        assert mirrored.digests(session, book.id) == {"a": "-1"}
    assert write(db, book, shown("a")) == (1, 0, 0)
    assert write(db, book, nameless) == (0, 0, 1)


def test_a_run_is_one_act_of_the_directory_and_one_that_did_nothing_leaves_no_trace(organisation, book, monkeypatch):
    db = organisation.db
    monkeypatch.setattr(mirrored.slices, "MOST_CARDS", 2)
    write(db, book, *(shown(f"p{number}") for number in range(5)))
    with db.read() as session:
        assert kinds_of_deeds(session, book.id).count("mirror") == 1
    write(db, book, shown("p0", digest="2"))
    told = told_of(db, book)
    assert len([line for line in told if line[0] == "mirror"]) == 5
    assert {line[2] for line in told} == {"directory main"}
    with db.read() as session:
        assert kinds_of_deeds(session, book.id).count("mirror") == 1


def test_a_run_that_breaks_off_keeps_what_it_wrote_and_the_next_one_goes_on(organisation, book, monkeypatch):
    db = organisation.db
    monkeypatch.setattr(mirrored.slices, "MOST_CARDS", 2)

    def entries():
        for number in range(5):
            yield shown(f"p{number}")
        raise ConnectionError

    written = Written()
    with pytest.raises(ConnectionError):
        mirrored.write(db, book, entries(), written=written)
    assert written.new == 4
    assert write(db, book, *(shown(f"p{number}") for number in range(5))) == (1, 0, 0)


def test_what_another_run_wrote_meanwhile_is_not_written_again(organisation, book):
    db = organisation.db

    def entries():
        yield shown("a")
        write(db, book, shown("a"), shown("b"))
        yield shown("b")

    written = Written()
    mirrored.write(db, book, entries(), written=written)
    assert not written.any


def test_a_book_that_was_deleted_is_not_written(organisation, book):
    db = organisation.db
    with db.write(book.id) as session:
        books.trash(session, book, by=BY)
    with pytest.raises(NotFoundError):
        write(db, book, shown("a"))
    with db.write() as session:
        again = mirrored.make(session, "company/people", "main", name="", readers=["everyone"], search_only=True)
    assert again.id != book.id
    assert again.search_only
    assert write(db, again, shown("a")) == (1, 0, 0)

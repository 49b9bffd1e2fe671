"""A database of an older schema, with cards in it, becomes one of today with nothing lost or miscounted."""

from __future__ import annotations

import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from alembic import command
from sqlalchemy import MetaData, insert, select

from radicale_shared import (
    access,
    books,
    cards,
    entry_refresh,
    entry_rows,
    etags,
    integrity,
    reading,
    schemas,
    search,
    sync,
    vcard,
)
from radicale_shared.database import Database
from radicale_shared.models import CardSearch, GivenUpUid
from tests.conftest import BY, card, drop_postgresql_database, new_postgresql_database

THEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FIRST_FIELDS = ("fn", "n", "nickname", "org", "title", "email", "tel", "adr", "note", "categories")
CARDS = {
    "a.vcf": card("a", "Ada", "NOTE:Straße"),
    "ß Ⅷ ﬁ.vcf": card("Uid-ß", "Äda Ⅷ ﬁ İstanbul Ὀδυσσεύς", "ORG:Größe;ﬁnanzen", "TEL:+49 30"),
    "four.vcf": card("four", "Four", version="4.0"),
}
GONE = card("gone", "Gone", "NOTE:which had more bytes than the others together" * 10)


class OldDatabase:
    """A database as ``revision`` left it, written to by its own tables and nothing of today's program."""

    def __init__(self, db: Database, revision: str) -> None:
        self.db = db
        with db.engine.connect() as connection:
            config = schemas.alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            connection.commit()
        self.tables = MetaData()
        self.tables.reflect(db.engine)
        self.secret = self.value("database_state", "secret")

    def value(self, table: str, column: str):
        with self.db.engine.connect() as connection:
            return connection.execute(select(self.tables.tables[table].c[column])).scalar_one()

    def add(self, table: str, **values) -> int:
        there = self.tables.tables[table]
        with self.db.engine.begin() as connection:
            new = connection.execute(insert(there).values(values).returning(*there.primary_key.columns))
            return new.scalars().first()

    def user(self, login: str) -> int:
        names = {"slug": login, "login": login, "login_folded": login, "name": login.capitalize()}
        rest = {"kind": "user", "email": "", "state": "active", "auth_version": 1, "created_at": THEN}
        return self.add("principals", **names, **rest)

    def book(self, owner: int, home: str, slug: str, *, revision: int = 1, trashed: bool = False) -> int:
        return self.add(
            "books",
            uuid=uuid.uuid4().hex,
            home_id=owner,
            owner_id=owner,
            slug=slug,
            mount=f"{home}~{slug}",
            name=slug,
            description="",
            color="",
            epoch="0123456789abcdef",
            revision=revision,
            floor=0,
            created_at=THEN,
            deleted_at=THEN if trashed else None,
        )

    def card(self, book: int, href: str, data: bytes, revision: int, *, deleted: bool = False, **search) -> None:
        """A card that was put at ``revision``, and deleted at the next one perhaps.

        search: columns of the searched fields that the first schema didn't have or had otherwise
        """
        found = vcard.Card.parse(data)
        body = self.add("bodies", book_id=book, data=data)
        card_id = self.add(
            "cards",
            book_id=book,
            href=href,
            uid=found.uid,
            revision=revision + deleted,
            deleted=deleted,
            etag=etags.etag_of(self.secret, data),
            size=len(data),
            version=found.version,
            body_id=None if deleted else body,
            created_at=THEN,
            modified_at=THEN,
        )
        if not deleted:
            fields = {name: old_fold(found, name) for name in FIRST_FIELDS} | search
            self.add("card_search", card_id=card_id, **fields)
        self.change(book, card_id, revision, None, body)
        if deleted:
            self.change(book, card_id, revision + 1, body, None)

    def change(self, book: int, card_id: int, revision: int, before: int | None, after: int | None) -> None:
        text = {"actor": "ada", "device": "", "user_agent": "", "address": "", "reason": ""}
        act = self.add("acts", kind="put", book_id=book, actor_id=None, at=THEN, **text)
        self.add(
            "changes", act_id=act, book_id=book, card_id=card_id, revision=revision, before_id=before, after_id=after
        )


def old_fold(found: vcard.Card, name: str) -> str:
    """What the first schema's program kept of a field: its values, one a line, without regard to case."""
    values = [line.text for line in found.lines if line.name.lower() == name]
    return "\n".join(" ".join(one.replace(";", " ").split()) for one in values).casefold()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_db(request, tmp_path):
    """The Database of a URL without any table."""
    if request.param == "sqlite":
        with closing(opened(f"sqlite:///{tmp_path / 'books.db'}")) as db:
            yield db
        return
    admin = request.getfixturevalue("postgresql_admin")
    url = new_postgresql_database(admin)
    with closing(opened(url)) as db:
        yield db
    drop_postgresql_database(admin, url)


def opened(url: str) -> Database:
    return Database(url, pool_size=4, write_wait=timedelta(seconds=10), threads=8)


@pytest.fixture
def upgraded(empty_db):
    """A database of the first schema with people, books and cards, brought to today's."""
    old = OldDatabase(empty_db, "0001")
    ada = old.user("ada")
    contacts = old.book(ada, "ada", "contacts", revision=6)
    for revision, (href, data) in enumerate(CARDS.items(), start=2):
        old.card(contacts, href, data, revision)
    old.card(contacts, "gone.vcf", GONE, 5, deleted=True)
    old.book(ada, "ada", "empty")
    trashed = old.book(ada, "ada", "trash", revision=2, trashed=True)
    old.card(trashed, "t.vcf", card("t"), 2)
    assert empty_db.upgrade() == ("0001", schemas.present())
    return empty_db


def test_each_book_has_counted_its_live_cards(upgraded):
    with upgraded.read() as session:
        found = {one.address: (one.card_count, one.card_bytes) for one in books.all_books(session)}
        trash = [(one.card_count, one.card_bytes) for one in books.all_books(session, trash=True)]

    assert found == {"ada/contacts": (3, sum(map(len, CARDS.values()))), "ada/empty": (0, 0)}
    assert trash == [(1, len(card("t")))]


def test_nothing_is_wrong_with_an_upgraded_database(upgraded):
    upgraded.check_schema()

    assert list(integrity.problems(upgraded)) == []


def test_every_card_has_its_bytes_its_etag_and_its_place_in_a_client_s_sync(upgraded):
    with upgraded.read() as session:
        found = access.find(session, "ada", "contacts")
        for href, data in CARDS.items():
            stored = reading.get(session, found, href)
            assert (stored.data, stored.etag) == (data, etags.etag_of(upgraded.secret, data))
            assert stored.modified_at == THEN
        state = access.find(session, "ada", "contacts", client="some")
        old = sync.token(state, upgraded.secret)
        assert found.book.epoch == "0123456789abcdef"
    with upgraded.write(found.book.id) as session:
        cards.put(session, found, "new.vcf", cards.check(card("new")), secret=upgraded.secret, by=BY)
    with upgraded.read() as session:
        found = access.find(session, "ada", "contacts", client="some")
        told = sync.changed_since(
            session, found, old, sync.refused_writes(session, found, "some"), secret=upgraded.secret
        )
        assert found.book.card_count == 4

    assert [(row.href, row.deleted) for row in told.rows] == [("new.vcf", False)]


def test_the_counters_go_on_from_what_was_counted(upgraded):
    with upgraded.read() as session:
        found = access.find(session, "ada", "contacts")
    with upgraded.write(found.book.id) as session:
        cards.put(session, found, "a.vcf", cards.check(card("a")), secret=upgraded.secret, by=BY)
        cards.put(session, found, "gone.vcf", cards.check(GONE), secret=upgraded.secret, by=BY)
        cards.remove(session, found, "four.vcf", by=BY)

    assert list(integrity.problems(upgraded)) == []


def test_every_field_is_indexed_as_a_new_card_s_would_be(upgraded):
    with upgraded.read() as session:
        rows = session.execute(
            select(*(getattr(CardSearch, name) for name in FIRST_FIELDS)).order_by(CardSearch.card_id)
        ).all()

    expected = [vcard.search_fields(vcard.Card.parse(data)) for data in [*CARDS.values(), card("t")]]
    for row, fields in zip(rows, expected, strict=True):
        assert {name: getattr(row, name) for name in FIRST_FIELDS} == {name: fields[name] for name in FIRST_FIELDS}


# -- 0004: the index of searched texts ---------------------------------------------------------------------------------

WITHOUT_N = b"BEGIN:VCARD\r\nVERSION:4.0\r\nUID:odd\r\nFN:Odd Lovelace\r\nEND:VCARD\r\n"
OLD_VERSION = card("old", "Old Lovelace").replace(b"3.0", b"2.1")
CUT = card("cut", "Cut Lovelace", "NOTE:" + "x" * vcard.MAX_FIELD_LENGTH)


@pytest.fixture
def indexed(empty_db):
    """A database of the third schema, with cards of two books in turns, brought to today's."""
    old = OldDatabase(empty_db, "0003")
    ada = old.user("ada")
    first, second = old.book(ada, "ada", "first", revision=9), old.book(ada, "ada", "second", revision=9)
    held = [card("new", "New Lovelace"), WITHOUT_N, OLD_VERSION, CUT, card("last", "Last Lovelace", "TEL:+49 30 1234")]
    for revision, data in enumerate(held, start=1):
        fields = vcard.search_fields(vcard.Card.parse(data))
        alike = vcard.is_alike(vcard.Card.parse(data))
        old.card(first if revision % 2 else second, fields["uid"], data, revision, alike=alike, **fields)
    old.card(second, "gone", GONE, 8, deleted=True)
    with empty_db.engine.begin() as connection:
        connection.exec_driver_sql(COUNTED)
    assert empty_db.upgrade() == ("0003", schemas.present())
    return empty_db


COUNTED = """UPDATE books SET
    card_count = (SELECT count(*) FROM cards WHERE book_id = books.id AND NOT deleted),
    card_bytes = (SELECT sum(size) FROM cards WHERE book_id = books.id AND NOT deleted)"""


def test_an_upgrade_indexes_the_texts_of_all_cards(indexed):
    assert list(integrity.problems(indexed)) == []
    with indexed.read() as session:
        first, second = (one.id for one in books.all_books(session))
        for sought, hrefs in [(("fn", "lovelace"), ["new", "old", "last"]), (("tel", "1234"), ["old", "last"])]:
            assert [one.href for one in search.candidates(session, [first], search.Contains(*sought))] == hrefs
        everywhere = search.candidates(session, [second, first], search.Contains("fn", "lovelace"))
    assert [one.href for one in everywhere] == ["new", "odd", "old", "cut", "last"]


def test_an_upgrade_notes_which_cards_have_more_texts_than_the_index(indexed):
    with indexed.read() as session:
        rows = session.execute(select(CardSearch.uid, CardSearch.more_in).order_by(CardSearch.card_id)).all()

    assert dict(map(tuple, rows)) == {"new": "", "odd": "3.0", "old": "*", "cut": "*", "last": ""}


def test_the_index_of_an_upgraded_database_follows_its_cards(indexed):
    with indexed.read() as session:
        found = access.find(session, "ada", "first")
    with indexed.write(found.book.id) as session:
        renamed = cards.check(card("new", "Renamed"))
        cards.put(session, found, "new", renamed, secret=indexed.secret, by=BY)
        cards.remove(session, found, "last", by=BY)
    with indexed.read() as session:
        rows = search.candidates(session, [found.book.id], search.Contains("fn", "name"))

    assert [one.href for one in rows] == ["new", "old"]
    assert list(integrity.problems(indexed)) == []


# -- 0005: history, guard, backups -------------------------------------------------------------------------------------

FOLDED = b"BEGIN:VCARD\r\nVERSION:3.0\r\nitem1.uid;X-A=b:fol\r\n ded\\,one\r\nFN:Folded\r\nEND:VCARD\r\n"


def test_an_upgrade_notes_the_uids_whose_names_were_used_again(empty_db):
    old = OldDatabase(empty_db, "0004")
    ada = old.user("ada")
    book = old.book(ada, "ada", "first", revision=9)
    search_fields = dict.fromkeys(("more_in", *FIRST_FIELDS), "")
    more = [(f"m{number}", card(f"more-{number}")) for number in range(60)]  # than are read at a time
    held = [("a", card("one")), ("b", FOLDED), ("c", card("kept")), *more]
    for revision, (href, data) in enumerate(held, start=1):
        old.card(book, href, data, revision * 2, deleted=True, **search_fields)
    with empty_db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE cards SET revision = 200, uid = 'another' WHERE href <> 'c'")
    assert empty_db.upgrade() == ("0004", schemas.present())

    with empty_db.read() as session:
        told = session.execute(select(GivenUpUid.uid, GivenUpUid.revision).order_by(GivenUpUid.id)).all()
    expected = [("one", 3), ("folded,one", 5), *((f"more-{number}", 2 * number + 9) for number in range(60))]
    assert list(map(tuple, told)) == expected


# -- 0006: entries -----------------------------------------------------------------------------------------------------


def test_the_cards_of_an_older_schema_get_their_entries_beside_the_running_server(empty_db):
    old = OldDatabase(empty_db, "0005")
    ada = old.user("ada")
    book = old.book(ada, "ada", "first", revision=9)
    held = [card("a", "Ada", "TEL:030 23125 101"), card("b", "Łukasz"), card("c", "Group", "KIND:group", version="4.0")]
    for revision, data in enumerate(held, start=1):
        fields = vcard.search_fields(vcard.Card.parse(data))
        old.card(book, fields["uid"], data, revision, more_in="", book_id=book, **fields)
    old.add("cards", **GONE_ROW, book_id=book)
    with empty_db.engine.begin() as connection:
        connection.exec_driver_sql(COUNTED)
    assert empty_db.upgrade() == ("0005", schemas.present())
    assert list(integrity.problems(empty_db)) == []  # they aren't there yet, and nobody says that they are

    with empty_db.read() as session:
        found = access.find(session, "ada", "first")
        assert entry_refresh.stale(session) == [book]
    with empty_db.write(book) as session:  # somebody is quicker
        renamed = cards.check(card("a", "Adele", "TEL:030 23125 101"))
        cards.put(session, found, "a", renamed, secret=empty_db.secret, by=BY)
    assert entry_refresh.refresh(empty_db) == 1

    assert [one.name for page in entry_rows.pages(empty_db.read, found) for one in page] == ["Adele", "Łukasz"]
    assert list(integrity.problems(empty_db)) == []
    with empty_db.read() as session:
        assert entry_refresh.stale(session) == []
        for sought in (search.Contains("fn", "lukasz"), search.Contains("tel", "030231")):
            assert len(search.candidates(session, [book], sought)) == 1


GONE_ROW = {
    **{"href": "gone", "uid": "gone", "revision": 9, "deleted": True, "etag": "", "size": 0, "version": "3.0"},
    **{"body_id": None, "created_at": THEN, "modified_at": THEN},
}

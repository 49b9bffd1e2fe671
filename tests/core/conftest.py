"""What the tests of the core share: a book to write in, and slow obvious views of the tables."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import aliased

from radicale_shared import access, books, cards, database, moving, people, reading, refusals, sync
from radicale_shared.database import Database
from radicale_shared.models import Body, Change
from tests.conftest import BY, Organisation, card, drop_postgresql_database, new_postgresql_database, organise

_names = itertools.count(1)


class Desk:
    """One book and its administrator: short names for the core's functions, each in a transaction of its own."""

    def __init__(self, db, address, book_id):
        self.db = db
        self.address = address
        self.book_id = book_id

    def of(self, db):
        """The same book, seen by another Database object."""
        return Desk(db, self.address, self.book_id)

    @property
    def access(self):
        """The access of this moment."""
        with self.db.read() as session:
            return access.administrator(books.find(session, self.address))

    @property
    def revision(self):
        return self.access.book.revision

    @property
    def token(self):
        return sync.token(self.access, self.db.secret)

    def put(self, href, data, **more):
        found = more.pop("access", None) or self.access
        checked = cards.check(data, more.pop("max_size", None))
        with self.db.write(self.book_id) as session:
            return cards.put(session, found, href, checked, secret=self.db.secret, by=more.pop("by", BY), **more)

    def remove(self, href, **more):
        found = more.pop("access", None) or self.access
        with self.db.write(self.book_id) as session:
            return cards.remove(session, found, href, by=more.pop("by", BY), **more)

    def restore(self, href, revision, by=BY):
        found = self.access
        with self.db.write(self.book_id) as session:
            return cards.restore(session, found, href, revision, secret=self.db.secret, by=by)

    def get(self, href):
        with self.db.read() as session:
            return reading.get(session, access.administrator(books.find(session, self.address)), href)

    def state(self):
        """{href: bytes} of all live cards."""
        with self.db.snapshot() as session:
            whole = access.administrator(books.find(session, self.address))
            return {one.href: one.data for one in reading.every(session, whole)}

    def since(self, token, found=None, refused=refusals.NOTHING):
        """({href: etag, None for removed ones}, the new token), as a client is answered."""
        found = found or self.access
        with self.db.read() as session:
            told = sync.changed_since(session, found, token, refused, secret=self.db.secret)
        hrefs = [row.href for row in told.rows] + list(told.missing)
        assert len(hrefs) == len(set(hrefs)), "an href was reported twice"
        assert told.complete
        news = {row.href: None if row.deleted else row.etag for row in told.rows} | dict.fromkeys(told.missing)
        return news, told.token

    def pages(self, token, limit, refused=refusals.NOTHING):
        """(news, token) of each part, with a limit; until nothing is left."""
        complete = False
        while not complete:
            found = replace(self.access, refused=max(refused.serials.values(), default=0))
            with self.db.read() as session:
                told = sync.changed_since(session, found, token, refused, secret=self.db.secret, limit=limit)
            assert len(told.rows) + len(told.missing) <= limit
            complete, token = told.complete, told.token
            news = {row.href: None if row.deleted else row.etag for row in told.rows}
            yield news | dict.fromkeys(told.missing), token

    def changes(self):
        """(revision, card id, before, after) of every change, oldest first; bytes or None."""
        before, after = aliased(Body), aliased(Body)
        query = (
            select(Change.revision, Change.card_id, before.data, after.data)
            .join(before, before.id == Change.before_id, isouter=True)
            .join(after, after.id == Change.after_id, isouter=True)
            .where(Change.book_id == self.book_id)
            .order_by(Change.revision)
        )
        with self.db.read() as session:
            return [tuple(row) for row in session.execute(query)]


@pytest.fixture
def new_desk(db):
    """Makes desks: an empty book each, of one new user."""
    with db.write() as session:
        owner = people.add_user(session, "desk-owner")

    def make():
        with db.write() as session:
            book = books.add(session, owner, f"book{next(_names)}", by=BY)
        return Desk(db, book.address, book.id)

    return make


@pytest.fixture
def desk(new_desk):
    return new_desk()


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Backups are worked on below the test's own folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))


@pytest.fixture
def office(organisation: Organisation) -> Organisation:
    """Cards in two books, one of them changed, one deleted, one with a photo of 20 kB."""
    photo = "PHOTO;ENCODING=b;TYPE=JPEG:" + "QUJD" * 5000
    organisation.put("ada", "sales~leads", "one.vcf", card("one", "Øne", "NOTE:first"))
    organisation.put("ada", "sales~leads", "one.vcf", card("one", "Øne", "NOTE:second"))
    organisation.put("ada", "sales~leads", "two.vcf", card("two", "Two", photo))
    organisation.put("ada", "sales~leads", "gone.vcf", card("gone"))
    organisation.grant("sales/leads", "user:carla", "owner")
    organisation.remove("carla", "sales~leads", "gone.vcf")
    organisation.put("ben", "contacts", "own.vcf", card("own"))
    return organisation


@pytest.fixture
def sqlite_office(new_database_url: Callable[[str], str]) -> Organisation:
    return organise(database.connect(new_database_url("sqlite")))


@pytest.fixture
def other_url(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], str]]:
    """Gives the URL of one more database of a kind, without tables."""
    made: list[str] = []

    def make(kind: str) -> str:
        if kind == "sqlite":
            made.append(f"sqlite:///{tmp_path / f'other-{len(made)}.db'}")
        else:
            made.append(new_postgresql_database(request.getfixturevalue("postgresql_admin")))
        return made[-1]

    yield make
    for url in made:
        if known := database._databases.pop(url, None):
            known.close()
        if not url.startswith("sqlite"):
            drop_postgresql_database(request.getfixturevalue("postgresql_admin"), url)


@pytest.fixture
def opened_again(db: Database) -> Iterator[None]:
    """Lets other tests use the database that was closed."""
    yield
    if db.moved_to and db.engine.dialect.name == "postgresql":
        with db.engine.begin() as connection:
            connection.execute(text(f"DROP FUNCTION {moving._NAME} CASCADE"))
            connection.execute(text("UPDATE database_state SET moved_to = ''"))

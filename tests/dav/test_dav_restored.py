"""Clients after a restored backup, and after a move to another database: all of them end with what the server has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from radicale_shared import backups, database, moving, people, restoring, restoring_parts
from radicale_shared.database import Database
from tests.conftest import BY, card, drop_postgresql_database, new_postgresql_database
from tests.dav.conftest import Client, Response, etags_of, serving, token_of

LEADS, HOME, OWN = "/ada/sales~leads/", "/ada/", "/ada/contacts/"
MERGED = "/ada/all/"
MAC = "macOS/14.5 AddressBookCore/2610"
KEEP = timedelta(days=30)


@pytest.fixture(autouse=True)
def _workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "work"))


@dataclass
class Phone:
    """A program that keeps a copy of one collection by sync alone, and starts over when it is told to."""

    client: Client
    url: str
    token: str = ""
    cards: dict[str, str] = field(default_factory=dict)
    started_over: int = 0

    def sync(self) -> Response:
        answer = self.client.sync(self.url, self.token)
        if answer.status in {400, 403} and self.token:
            assert "valid-sync-token" in answer.conditions
            self.token, self.started_over = "", self.started_over + 1
            self.cards.clear()
            answer = self.client.sync(self.url)
        assert answer.status == 207, answer.body
        for href in answer.hrefs:
            if "404" in answer.status_of(href):
                self.cards.pop(href, None)
            elif href != self.url:
                self.cards[href] = answer.text(href, "{DAV:}getetag")
        self.token = answer.token
        return answer

    @property
    def is_equal(self) -> bool:
        return self.cards == etags_of(self.client, self.url)


def phones(application) -> list[Phone]:
    """One for a book, one for the home, one for the merged book; each of two kinds of programs."""
    ada, thunderbird = Client(application, "ada"), Client(application, "ada", user_agent="Thunderbird/140.0")
    mac = Client(application, "ada", user_agent=MAC)
    return [Phone(ada, LEADS), Phone(thunderbird, LEADS), Phone(ada, OWN), Phone(mac, MERGED)]


@pytest.fixture
def three_times(application, ada, organisation, tmp_path) -> Iterator[tuple[list[Phone], backups.Opened]]:
    """Phones of before the backup, of the moment of the backup, and of after it: of the future."""
    before, at, after = phones(application), phones(application), phones(application)
    ada.put(f"{LEADS}one.vcf", card("one"))
    ada.put(f"{OWN}own.vcf", card("own"))
    for phone in before:
        phone.sync()
    ada.put(f"{LEADS}two.vcf", card("two"))
    for phone in at:
        phone.sync()
    made = backups.make(organisation.db, tmp_path / "a.backup", keep=KEEP)
    ada.put(f"{LEADS}one.vcf", card("one", "Later"))
    ada.put(f"{LEADS}three.vcf", card("three"))
    ada.put(f"{OWN}more.vcf", card("more"))
    organisation.grant("sales/leads", "user:ada", "owner")
    ada.delete(f"{LEADS}two.vcf")
    for phone in after:
        phone.sync()
    with backups.opened(made.file) as opened:
        yield [*before, *at, *after], opened


def test_phones_of_before_and_after_a_restored_backup_all_end_equal(three_times, organisation, ada):
    every, backup = three_times
    restoring.everything(organisation.db, backup, by=BY, replace=True)

    for phone in every:
        phone.sync()
        assert phone.is_equal, phone
        assert phone.started_over == 1, phone
        phone.sync()
        assert phone.is_equal
    assert set(etags_of(ada, LEADS)) == {f"{LEADS}one.vcf", f"{LEADS}two.vcf"}
    ada.put(f"{LEADS}four.vcf", card("four"))
    for phone in every:
        phone.sync()
        assert phone.is_equal
        assert phone.started_over == 1


def test_the_sync_of_a_home_tells_every_book_anew(three_times, organisation, ada):
    _, backup = three_times
    token = token_of(ada, HOME)
    restoring.everything(organisation.db, backup, by=BY, replace=True)
    told = ada.sync(HOME, token)
    assert (told.status, {LEADS, OWN} <= set(told.hrefs)) == (207, True)


def test_a_book_that_is_restored_alone_reaches_every_phone_by_its_ordinary_sync(three_times, organisation, ada):
    every, backup = three_times
    restoring_parts.part(organisation.db, backup, "sales/leads", by=BY)
    for phone in every:
        phone.sync()
        assert phone.is_equal
        assert phone.started_over == 0
    assert set(etags_of(ada, LEADS)) == {f"{LEADS}one.vcf", f"{LEADS}two.vcf"}


def test_a_password_that_was_changed_after_the_backup_counts_no_more_and_the_old_one_again(
    three_times, organisation, application
):
    _, backup = three_times
    with organisation.db.write() as session:
        people.set_password(session, "ada", "changed")
    changed, old = Client(application, "ada", "changed"), Client(application, "ada")
    assert changed.propfind(HOME).status == 207
    restoring.everything(organisation.db, backup, by=BY, replace=True)
    assert (changed.propfind(HOME).status, old.propfind(HOME).status) == (401, 207)


@pytest.fixture
def other(db: Database, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Database]]:
    """Gives one more database of a kind; afterwards other tests may use ``db`` again."""
    made: list[str] = []

    def make(kind: str) -> Database:
        if kind == "sqlite":
            made.append(f"sqlite:///{tmp_path / 'other.db'}")
        else:
            made.append(new_postgresql_database(request.getfixturevalue("postgresql_admin")))
        return database.connect(made[-1])

    yield make
    for url in made:
        database._databases.pop(url).close()
        if not url.startswith("sqlite"):
            drop_postgresql_database(request.getfixturevalue("postgresql_admin"), url)
    if db.moved_to and db.engine.dialect.name == "postgresql":
        with db.engine.begin() as connection:
            connection.exec_driver_sql("DROP FUNCTION radicale_shared_moved CASCADE")
            connection.exec_driver_sql("UPDATE database_state SET moved_to = ''")


@pytest.mark.parametrize("to", ["sqlite", "postgresql"])
def test_after_a_move_no_phone_notices_anything(application, ada, organisation, other, tmp_path, to):
    every = phones(application)
    ada.put(f"{LEADS}one.vcf", card("one"))
    etag = ada.put(f"{OWN}own.vcf", card("own")).etag
    for phone in every:
        phone.sync()
    home = token_of(ada, HOME)

    target = other(to)
    moving.move(organisation.db, target)

    late = ada.put(f"{LEADS}late.vcf", card("late"))
    assert (late.status, late.headers.get("Retry-After")) == (503, "30")
    assert ada.get(f"{LEADS}one.vcf").status == 200
    (tmp_path / "new").mkdir()
    moved = serving(target.url, tmp_path / "new")
    for phone in every:
        phone.client.application = moved
        assert phone.sync().hrefs == []
        assert phone.is_equal
    ada.application = moved
    assert ada.sync(HOME, home).hrefs == []
    assert ada.put(f"{OWN}own.vcf", card("own", "Changed"), If_Match=etag).status == 204
    ada.put(f"{LEADS}late.vcf", card("late"))
    for phone in every:
        phone.sync()
        assert phone.is_equal
        assert phone.started_over == 0

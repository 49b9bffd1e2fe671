"""Restoring: everything with new epochs, or a book and a card as changes of today."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from radicale_shared import (
    backup_notes,
    backups,
    books,
    database,
    grants,
    integrity,
    models,
    people,
    phone_books,
    restoring,
    restoring_parts,
    retention,
    slices,
    sync,
)
from radicale_shared.access import Role
from radicale_shared.errors import (
    NotAllowedHereError,
    NotFoundError,
)
from tests.conftest import BY, Organisation, card
from tests.core.backed_up import KEEP, LEADS, fill_every_table, held, killed, shown

pytestmark = pytest.mark.usefixtures("workspace")


# -- restoring everything ----------------------------------------------------------------------------------------------


def without(rows: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    """Rows without what restoring alters on purpose."""
    left = {name: rows[name] for name in rows if name not in {"acts", "leases", "sign_ins", "notices", "backups"}}
    for name, columns in {
        "principals": ["auth_version"],
        "books": ["epoch"],
        "database_state": ["rights_generation"],
    }.items():
        places = [[one.name for one in models.Base.metadata.tables[name].columns].index(column) for column in columns]
        left[name] = [tuple(v for place, v in enumerate(row) if place not in places) for row in left[name]]
    return left


def test_everything_is_restored_into_an_empty_database(office, tmp_path, other_url):
    fill_every_table(office.db)
    was = held(office.db)
    made = backups.make(office.db, tmp_path / "a.backup", keep=KEEP)
    other = database.connect(other_url(office.db.engine.dialect.name))
    other.upgrade()

    with backups.opened(made.file) as opened:
        done = restoring.everything(other, opened, by=BY)

    assert without(held(other)) == without(was)
    assert (done.cards, done.has_new_secret) == (3, True)
    other._secret = b""
    assert list(integrity.problems(other)) == []


def test_a_database_with_something_in_it_is_replaced_only_when_told(office, tmp_path):
    made = backups.make(office.db, tmp_path / "a.backup", keep=KEEP)
    with backups.opened(made.file) as opened, pytest.raises(NotAllowedHereError, match="--replace"):
        restoring.everything(office.db, opened, by=BY)


def test_what_came_after_the_backup_is_gone_and_every_token_and_remembered_password_with_it(office, tmp_path):
    db = office.db
    then, was = shown(db), held(db)
    made = backups.make(db, tmp_path / "a.backup", keep=KEEP)
    backup_notes.made(db, made)
    office.put("ada", "sales~leads", "new.vcf", card("new"))
    office.put("ada", "sales~leads", "one.vcf", card("one", "Later"))
    with db.write() as session:
        people.set_password(session, "ada", "another one")
        people.add_user(session, "dora")
    with db.read() as session:
        versions = dict(session.execute(select(models.Principal.id, models.Principal.auth_version)).all())
    before = office.book(LEADS)

    with backups.opened(made.file) as opened:
        found = restoring.preview(db, opened)
        done = restoring.everything(db, opened, by=BY, replace=True)

    assert [(one.then, one.now, one.is_same) for one in found.books if one.address == LEADS] == [(2, 3, False)]
    assert found.deeds_since >= 2
    assert shown(db) == then
    assert without(held(db)) == without(was)
    assert not done.has_new_secret
    assert list(integrity.problems(db)) == []
    now = office.book(LEADS)
    assert now.epoch != before.epoch
    with db.read() as session:
        assert people.by_slug(session, "dora") is None
        for id_, version in session.execute(select(models.Principal.id, models.Principal.auth_version)):
            assert version > max(versions.values()), id_
        # It is still known that there is a backup.
        assert session.scalar(select(models.Backup.digest)) == made.written.digest
    office.put("ada", "sales~leads", "after.vcf", card("after"))
    assert list(integrity.problems(db)) == []


def test_what_is_known_of_backups_is_not_forgotten_by_restoring_one(office, tmp_path):
    """The second one has it that there is a first one, and not that it was verified since."""
    db = office.db
    first, second = (tmp_path / name for name in ("first.backup", "second.backup"))
    made = backups.make(db, first, keep=KEEP)
    backup_notes.made(db, made)
    backups.make(db, second, keep=KEEP)
    with backups.opened(first) as opened:
        backup_notes.verified(db, opened, [])

    with backups.opened(second) as opened:
        restoring.everything(db, opened, by=BY, replace=True)

    with db.read() as session:
        last = backup_notes.last_good(session)
        assert last is not None
        assert last.file == str(first)


def test_ids_are_given_on_behind_those_that_were_restored(office, tmp_path, other_url):
    made = backups.make(office.db, tmp_path / "a.backup", keep=KEEP)
    other = database.connect(other_url("postgresql" if office.db.engine.dialect.name == "postgresql" else "sqlite"))
    other.upgrade()
    with backups.opened(made.file) as opened:
        restoring.everything(other, opened, by=BY)
    other._secret = b""
    there = Organisation(other)
    there.put("ada", "sales~leads", "next.vcf", card("next"))
    with other.write() as session:
        books.add(session, people.group(session, "sales"), "more", by=BY)
    assert set(shown(other)) == {"one.vcf", "two.vcf", "next.vcf"}


def test_a_restore_that_breaks_leaves_everything_as_it_was(office, tmp_path, monkeypatch):
    made = backups.make(office.db, tmp_path / "a.backup", keep=KEEP)
    office.put("ada", "sales~leads", "new.vcf", card("new"))
    was = held(office.db)
    monkeypatch.setattr(books, "new_epoch", lambda _session: 1 / 0)
    with backups.opened(made.file) as opened, pytest.raises(ZeroDivisionError):
        restoring.everything(office.db, opened, by=BY, replace=True)
    assert held(office.db) == was
    assert list(integrity.problems(office.db)) == []


def test_a_restore_that_is_killed_leaves_everything_as_it_was(office, tmp_path):
    made = backups.make(office.db, tmp_path / "a.backup", keep=KEEP)
    office.put("ada", "sales~leads", "new.vcf", card("new"))
    was = held(office.db)
    killed("restore", office.db.url, str(made.file))
    assert held(office.db) == was
    assert list(integrity.problems(office.db)) == []
    office.put("ada", "sales~leads", "next.vcf", card("next"))


def test_readers_see_the_old_state_until_the_new_one_is_there(office, tmp_path):
    db = office.db
    made = backups.make(db, tmp_path / "a.backup", keep=KEEP)
    office.put("ada", "sales~leads", "new.vcf", card("new"))
    seen: list[set[str]] = []
    with backups.opened(made.file) as opened:
        restoring.everything(db, opened, by=BY, replace=True, told=lambda _table, _rows: seen.append(set(shown(db))))
    assert seen
    assert all(one == {"one.vcf", "two.vcf", "new.vcf"} for one in seen)
    assert set(shown(db)) == {"one.vcf", "two.vcf"}


def test_every_write_that_was_answered_before_everything_is_replaced_is_in_what_is_kept_of_it(office, tmp_path):
    """The others wait, and are written to what was restored."""
    db = office.db
    made = backups.make(db, tmp_path / "a.backup", keep=KEEP)
    answered: list[str] = []
    kept: list[backups.Made] = []

    def write() -> None:
        for number in range(1000):
            office.put("ada", "sales~leads", f"{number}.vcf", card(str(number)))
            answered.append(f"{number}.vcf")
            if stop.is_set():
                return

    def keep() -> None:
        kept.append(backups.make_beside(db, made.file, keep=KEEP))

    stop, writer = threading.Event(), threading.Thread(target=write)
    writer.start()
    while len(answered) < 3:
        time.sleep(0.01)
    with backups.opened(made.file) as opened:
        restoring.everything(db, opened, by=BY, replace=True, first=keep)
    stop.set()
    writer.join()

    with backups.opened(kept[0].file) as opened:
        assert {"one.vcf", "two.vcf", *answered} == set(shown(opened.db)) | set(shown(db))
        assert not (set(shown(opened.db)) & set(shown(db)) - {"one.vcf", "two.vcf"})


# -- restoring a part --------------------------------------------------------------------------------------------------


@pytest.fixture
def backup(office: Organisation, tmp_path: Path) -> Iterator[backups.Opened]:
    with backups.opened(backups.make(office.db, tmp_path / "a.backup", keep=KEEP).file) as opened:
        yield opened


def test_a_book_becomes_as_it_was_by_changes_that_sync_out(office, backup):
    db, then = office.db, shown(office.db)
    before = office.access("ada", "sales~leads")
    token = sync.token(before, db.secret)
    office.put("ada", "sales~leads", "new.vcf", card("new"))
    office.put("ada", "sales~leads", "one.vcf", card("one", "Later"))
    office.remove("carla", "sales~leads", "two.vcf")

    dry = restoring_parts.part(db, backup, LEADS, by=BY, dry_run=True)
    assert shown(db) != then
    done = restoring_parts.part(db, backup, LEADS, by=BY)

    assert (done.added, done.changed, done.deleted, done.unchanged) == (1, 1, 1, 0)
    assert (dry.added, dry.changed, dry.deleted, dry.unchanged) == (1, 1, 1, 0)
    assert shown(db) == then
    with db.read() as session:
        acts = session.execute(select(models.Act.id, models.Act.kind).where(models.Act.kind == "restore-book")).all()
        assert len(acts) == 1
        told = sync.changed_since(
            session, office.access("ada", "sales~leads"), token, sync.refusals.NOTHING, secret=db.secret
        )
    assert {row.href: row.deleted for row in told.rows} == {"new.vcf": True, "one.vcf": False, "two.vcf": False}
    again = restoring_parts.part(db, backup, LEADS, by=BY)
    assert (again.added, again.changed, again.deleted, again.unchanged) == (0, 0, 0, 2)
    with db.read() as session:
        assert len(session.execute(select(models.Act.id).where(models.Act.kind == "restore-book")).all()) == 1


def test_a_book_is_restored_in_slices_between_which_others_write(office, backup, monkeypatch):
    then = shown(office.db)
    for href in then:
        office.put("ada", "sales~leads", href, card(href.removesuffix(".vcf"), "Later"))
    office.put("ada", "sales~leads", "new.vcf", card("new"))
    written: list[str] = []

    def others() -> None:
        written.append(f"live-{len(written)}.vcf")
        office.put("ben", "sales~leads", written[-1], card(f"live-{len(written)}"))

    monkeypatch.setattr(slices, "MOST_CARDS", 1)
    monkeypatch.setattr(slices, "pause", others)

    restoring_parts.part(office.db, backup, LEADS, by=BY)

    assert len(written) >= 3
    there = shown(office.db)
    assert {href: there[href] for href in then} == then
    assert set(there) == {*then, *written}
    with office.db.read() as session:
        assert len(session.execute(select(models.Act.id).where(models.Act.kind == "restore-book")).all()) == 1
    assert list(integrity.problems(office.db)) == []


def test_the_guard_lets_a_restore_delete_as_many_cards_as_it_must(office, backup):
    for number in range(30):
        office.put("ada", "sales~leads", f"new-{number}.vcf", card(f"new-{number}"))
    done = restoring_parts.part(office.db, backup, LEADS, by=BY)
    assert done.deleted == 30
    with office.db.read() as session:
        assert session.scalar(select(func.count()).select_from(models.Block)) == 0
        assert session.scalar(select(func.count()).select_from(models.Destruction)) == 0


def test_a_restore_of_a_book_that_was_cut_short_is_finished_by_another_one(office, backup, monkeypatch):
    then = shown(office.db)
    for href in then:
        office.put("ada", "sales~leads", href, card(href.removesuffix(".vcf"), "Later"))
    with monkeypatch.context() as patch:
        patch.setattr(slices, "MOST_CARDS", 1)
        patch.setattr(slices, "pause", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            restoring_parts.part(office.db, backup, LEADS, by=BY)
    assert shown(office.db) != then
    done = restoring_parts.part(office.db, backup, LEADS, by=BY)
    assert (shown(office.db), done.changed) == (then, 1)


def test_cards_that_changed_places_come_back_to_theirs(office, backup):
    then = shown(office.db)
    for href in ("one.vcf", "two.vcf"):
        office.remove("carla", "sales~leads", href)
    office.put("ada", "sales~leads", "one.vcf", card("two"))
    office.put("ada", "sales~leads", "two.vcf", card("one"))
    office.put("ada", "sales~leads", "three.vcf", card("gone"))

    done = restoring_parts.part(office.db, backup, LEADS, by=BY)

    assert shown(office.db) == then
    assert (done.added, done.changed, done.deleted, done.refused) == (0, 2, 1, {})
    assert list(integrity.problems(office.db)) == []


def test_one_card_comes_back_and_nothing_else_changes(office, backup):
    office.put("ada", "sales~leads", "new.vcf", card("new"))
    office.put("ada", "sales~leads", "two.vcf", card("two", "Later"))
    office.remove("carla", "sales~leads", "one.vcf")

    restoring_parts.part(office.db, backup, LEADS, href="one.vcf", by=BY)

    there = shown(office.db)
    assert b"NOTE:second" in there["one.vcf"]
    assert (b"Later" in there["two.vcf"], set(there)) == (True, {"one.vcf", "two.vcf", "new.vcf"})
    with pytest.raises(NotFoundError):
        restoring_parts.part(office.db, backup, LEADS, href="gone.vcf", by=BY)


def test_a_card_whose_uid_somebody_else_has_now_is_refused_and_told(office, backup):
    office.remove("carla", "sales~leads", "one.vcf")
    office.put("ada", "sales~leads", "elsewhere.vcf", card("one", "Elsewhere"))
    done = restoring_parts.part(office.db, backup, LEADS, href="one.vcf", by=BY)
    assert list(done.refused) == ["one.vcf"]
    assert set(shown(office.db)) == {"two.vcf", "elsewhere.vcf"}


def test_a_book_that_is_gone_is_made_anew_with_the_grants_of_those_who_are_there(office, backup):
    then = shown(office.db)
    with office.db.write() as session:
        gone = books.find(session, LEADS)
        session.execute(text("DELETE FROM books WHERE id = :id"), {"id": gone.id})
    with office.db.write() as session:
        for own in books.owned_by(session, people.user(session, "carla").id):
            books.give(session, own, people.user(session, "ben"), by=BY)
        people.remove_user(session, "carla")

    done = restoring_parts.part(office.db, backup, LEADS, by=BY)

    assert (done.made, done.added) == (True, 2)
    assert shown(office.db) == then
    book = office.book(LEADS)
    assert (book.name, book.uuid != gone.uuid) == ("Leads", True)
    with office.db.read() as session:
        lines = [(one.principal, one.terms.role) for one in grants.of_book(session, book)]
    assert lines == [("group:sales", Role.EDITOR)]
    assert list(integrity.problems(office.db)) == []


def test_a_book_that_is_made_anew_is_kept_for_as_long_as_it_was(office, tmp_path):
    terms = retention.Terms(history_days=30, trash_days=7)
    with office.db.write() as session:
        retention.set_terms(session, books.find(session, LEADS), terms, by=BY)
    made = backups.make(office.db, tmp_path / "a.backup", keep=KEEP)
    with backups.opened(made.file) as opened:
        restoring_parts.part(office.db, opened, LEADS, by=BY, as_="sales/again")
    with office.db.read() as session:
        assert retention.terms_of(session, books.find(session, "sales/again").id) == terms


def test_what_phones_don_t_get_comes_back_hidden_from_them(office, tmp_path):
    leads = office.book(LEADS)
    with office.db.write(leads.id) as session:
        phone_books.hide(session, leads, hidden=True, by=BY)
        phone_books.hide_card(session, leads, "one.vcf", hidden=True, by=BY)
        phone_books.set_region(session, "FR", by=BY, book=leads)
    made = backups.make(office.db, tmp_path / "a.backup", keep=KEEP)
    with backups.opened(made.file) as opened:
        restoring_parts.part(office.db, opened, LEADS, by=BY, as_="sales/again")
    again = office.book("sales/again")
    with office.db.read() as session:
        assert (again.hidden_from_phones, phone_books.regions(session)[again.id]) == (True, "FR")
        assert phone_books.hidden_cards(session, again.id) == ["one.vcf"]


def test_a_book_beside_is_its_owner_s_alone_as_rights_may_have_been_taken_away_since(office, backup):
    restoring_parts.part(office.db, backup, LEADS, by=BY, as_="sales/again")
    with office.db.read() as session:
        assert grants.of_book(session, books.find(session, "sales/again")) == []


def test_a_book_can_come_back_beside_the_one_that_is_there(office, backup):
    office.put("ada", "sales~leads", "new.vcf", card("new"))
    then = {href: data for href, data in shown(office.db).items() if href != "new.vcf"}
    restoring_parts.part(office.db, backup, LEADS, as_="sales/old-leads", by=BY)
    assert shown(office.db, "sales/old-leads") == then
    assert "new.vcf" in shown(office.db)
    with pytest.raises(NotAllowedHereError, match="already"):
        restoring_parts.part(office.db, backup, LEADS, as_="sales/old-leads", by=BY)


def test_a_book_of_the_trash_or_of_a_directory_is_not_written(office, backup):
    with office.db.write() as session:
        session.execute(update(models.Book).where(models.Book.slug == "leads").values(mirrored_from="main"))
    with pytest.raises(NotAllowedHereError, match="directory"):
        restoring_parts.part(office.db, backup, LEADS, by=BY)
    with office.db.write() as session:
        session.execute(update(models.Book).where(models.Book.slug == "leads").values(mirrored_from=""))
        books.trash(session, books.find(session, LEADS), by=BY)
    with pytest.raises(NotAllowedHereError, match="undelete"):
        restoring_parts.part(office.db, backup, LEADS, by=BY)
    with pytest.raises(NotFoundError):
        restoring_parts.part(office.db, backup, "sales/nothing", by=BY)

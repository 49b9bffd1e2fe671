"""What keeps one person's requests from taking the server, the disk or other people's time."""

from __future__ import annotations

import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from radicale_shared import (
    access,
    accounts,
    books,
    cards,
    etags,
    passwords,
    people,
    reading,
    refusals,
    settings,
    sync,
    vcard,
)
from radicale_shared.database import Database
from radicale_shared.errors import (
    BusyError,
    ConfigurationError,
    NotAllowedHereError,
    NotAVCardError,
    NotFoundError,
    SchemaError,
    UnknownSyncTokenError,
)
from radicale_shared.models import DatabaseState
from radicale_shared.passwords import VerifiedPasswords
from radicale_shared.sync import Token
from tests.conftest import BY, card


def _generation(db):
    with db.read() as session:
        return session.scalar(select(DatabaseState.rights_generation))


def test_more_passwords_to_verify_than_there_are_places_are_told_to_come_back(monkeypatch):
    monkeypatch.setattr(passwords, "_PLACES", threading.BoundedSemaphore(1))
    with passwords._turn(), pytest.raises(BusyError):
        passwords.matches("wrong", None)
    assert passwords.matches("wrong", None) is False


def test_no_connection_is_held_while_a_password_is_verified(organisation, monkeypatch):
    lent = []
    monkeypatch.setattr(passwords, "matches", lambda password, stored: lent.append(organisation.db.connections.lent))
    for login in ("ada", "nobody"):
        accounts.sign_in(organisation.db, login, "wrong", VerifiedPasswords(timedelta(seconds=1)))
    assert lent == [0, 0]


def test_a_book_that_somebody_makes_or_deletes_makes_nobody_sign_in_anew(organisation):
    before = _generation(organisation.db)
    with organisation.db.write() as session:
        mine = books.add(session, people.user(session, "carla"), "more", by=BY)
    with organisation.db.write(mine.id) as session:
        books.trash(session, mine, by=BY)
    assert _generation(organisation.db) == before


def test_a_book_is_moved_into_the_trash_once(organisation):
    book = organisation.book("carla/contacts")
    with organisation.db.write(book.id) as session:
        books.trash(session, book, by=BY)
    with pytest.raises(NotFoundError), organisation.db.write(book.id) as session:
        books.trash(session, book, by=BY)


def test_nobody_gets_a_book_after_they_were_removed(organisation):
    with organisation.db.read() as session:
        carla = people.user(session, "carla")
    book = organisation.book("carla/contacts")
    with organisation.db.write(book.id) as session:
        books.trash(session, book, by=BY)
    with organisation.db.write() as session:
        people.remove_user(session, "carla")
    with pytest.raises(NotFoundError), organisation.db.write() as session:
        books.add(session, carla, "late", by=BY)
    with pytest.raises(NotFoundError), organisation.db.write() as session:
        books.give(session, organisation.book("ada/contacts"), carla, by=BY)


def test_a_book_of_the_trash_comes_back_after_its_owner_was_removed(organisation):
    organisation.put("carla", "contacts", "a", card("a"))
    book = organisation.book("carla/contacts")
    with organisation.db.write(book.id) as session:
        books.trash(session, book, by=BY)
    with organisation.db.write() as session:
        people.remove_user(session, "carla")
        books.undelete(session, books.find_trashed(session, "carla/contacts"), by=BY)
        books.give(session, books.find(session, "carla/contacts"), people.user(session, "ada"), by=BY)
    found = organisation.access("ada", "carla~contacts")
    assert found is not None
    with organisation.db.read() as session:
        assert reading.get(session, found, "a").data == card("a")


def test_a_state_that_would_be_refused_today_can_be_brought_back(organisation, monkeypatch):
    organisation.put("ada", "contacts", "a", card("a"))
    organisation.put("ada", "contacts", "a", card("a", "Two"))
    monkeypatch.setattr(vcard, "check", lambda data, most=None: pytest.fail("looked at by the rules for new cards"))
    book = organisation.book("ada/contacts")
    with organisation.db.write(book.id) as session:
        cards.restore(session, access.administrator(book), "a", 2, secret=organisation.db.secret, by=BY)
    with organisation.db.read() as session:
        assert reading.get(session, access.administrator(book), "a").data == card("a")


def test_an_etag_that_another_device_of_the_same_kind_still_holds_is_accepted(organisation):
    found = organisation.access("ada", "contacts", "phone")
    stored = organisation.put("ada", "contacts", "a", card("a")).etag
    marks = []
    for _ in range(3):
        with organisation.db.write(found.book.id) as session:
            refusals.remember(session, found.principal_id, "phone", found.book.id, "a")
            marks.append(refusals.of(session, found.principal_id, "phone", found.book.id).mark("a"))
    held = etags.shown_etag(stored, found.view, marks[0])
    conditions = etags.Conditions((held,), None, marks[-1])
    with organisation.db.write(found.book.id) as session:
        changed = cards.check(card("a", "Two"))
        cards.put(session, found, "a", changed, secret=organisation.db.secret, by=BY, conditions=conditions)


def test_a_client_that_was_pushed_out_never_gets_an_etag_it_holds_for_a_refused_card(organisation):
    found = organisation.access("ada", "contacts")

    def refuse(client):
        with organisation.db.write(found.book.id) as session:
            refusals.remember(session, found.principal_id, client, found.book.id, "a")
            return refusals.of(session, found.principal_id, client, found.book.id).mark("a")

    first = refuse("phone")
    for number in range(refusals.MOST_CLIENTS):
        refuse(f"client {number}")
    assert refuse("phone") > first


def test_a_token_of_the_future_that_was_made_up_does_not_make_others_start_over(organisation):
    found = organisation.access("ada", "contacts")
    secret = organisation.db.secret
    real = sync.token(found, secret)
    ahead = Token(found.book.uuid, found.book.epoch, found.book.revision + 5, "0", 0)
    for made_up in (ahead.text(b"x" * 32), ahead.text(secret)[:-1] + "?", real + "0", real.rpartition("/")[0]):
        assert not sync.is_rollback(found, made_up, secret)
        with organisation.db.read() as session, pytest.raises(UnknownSyncTokenError):
            sync.changed_since(session, found, made_up, refusals.NOTHING, secret=secret)
    assert sync.is_rollback(found, ahead.text(secret), secret)


def test_invented_clients_push_out_their_own_oldest_and_no_serial_is_used_twice(organisation):
    found = organisation.access("ada", "contacts")
    for number in range(refusals.MOST_CLIENTS + 5):
        with organisation.db.write(found.book.id) as session:
            refusals.remember(session, found.principal_id, f"client {number}", found.book.id, "a")
    with organisation.db.read() as session:
        kept = [
            refusals.of(session, found.principal_id, f"client {number}", found.book.id).serials.get("a")
            for number in range(refusals.MOST_CLIENTS + 5)
        ]
    assert kept == [None] * 5 + list(range(6, refusals.MOST_CLIENTS + 6))


def test_large_cards_are_read_one_by_one(organisation, statements, monkeypatch):
    monkeypatch.setattr(reading, "LARGE", 500)
    names = ["a", "big", "b", "bigger", "c"]
    for name in names:
        long = ["NOTE:" + "x" * 600] if name.startswith("big") else []
        organisation.put("ada", "contacts", name, card(name, "", *long))
    found = organisation.access("ada", "contacts")
    statements.clear()

    read = [(stored.href, len(statements)) for stored in reading.get_many(organisation.db.read, found, [*names, "no"])]

    assert read == [("a", 1), ("big", 2), ("b", 2), ("bigger", 3), ("c", 3)]


@pytest.mark.parametrize("line", ["NOTE;ENCODING=QUOTED-PRINTABLE:a=00b", "FN;ENCODING=QUOTED-PRINTABLE:=00"])
def test_a_decoded_nul_is_kept_in_the_card_and_left_out_of_the_index(organisation, line):
    data = card("nul", "Nul", line)
    organisation.put("ada", "contacts", "nul.vcf", data)
    with organisation.db.read() as session:
        assert reading.get(session, organisation.access("ada", "contacts"), "nul.vcf").data == data


def test_a_uid_with_control_characters_is_refused():
    with pytest.raises(NotAVCardError):
        cards.check(b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID;ENCODING=QUOTED-PRINTABLE:a=00b\r\nFN:x\r\nEND:VCARD\r\n")


def test_a_card_of_too_many_lines_is_refused_before_it_is_read():
    with pytest.raises(NotAVCardError, match="lines"):
        cards.check(b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:a\r\n" + b"A:\n" * 500_000 + b"END:VCARD\r\n")


@pytest.mark.parametrize("name", ["a\ufffeb", "a\x00b", "a\ud800b", "a\nb"])
def test_a_persons_name_can_be_shown_in_xml(db, name):
    with pytest.raises(NotAllowedHereError), db.write() as session:
        people.add_user(session, "ada", name=name)


def test_asking_a_database_that_is_not_there_makes_none_and_upgrade_makes_it_the_owners_alone(tmp_path: Path):
    path = tmp_path / "new.db"
    with closing(Database(f"sqlite:///{path}", pool_size=1, write_wait=timedelta(seconds=1), threads=2)) as db:
        assert db.is_empty()
        with pytest.raises(SchemaError):
            db.check_schema()
        assert not path.exists()
        path.touch(mode=0o644)
        db.upgrade()
    assert path.stat().st_mode & 0o077 == 0


def test_radicales_own_sharing_is_refused_as_it_goes_past_all_grants(tmp_path: Path):
    path = tmp_path / "config.ini"
    path.write_text(
        f"[storage]\ntype = radicale_shared.storage_plugin\ndatabase_url = sqlite:///{tmp_path}/x.db\n"
        "[sharing]\ntype = csv\n"
    )
    with pytest.raises(ConfigurationError, match="sharing"):
        settings.from_configuration(settings.load_configuration(str(path)))


def test_the_administrator_may_do_everything(organisation):
    assert access.administrator(organisation.book("ada/contacts")).verbs == frozenset(access.Verb)

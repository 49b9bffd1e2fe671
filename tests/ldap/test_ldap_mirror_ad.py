"""The mirrored book of an Active Directory, by a Samba domain controller."""

import dataclasses
import uuid
from datetime import timedelta

import ldap3
import pytest

from radicale_shared import books, reading, vcard
from radicale_shared.access import administrator
from radicale_shared.directory_settings import MirrorKind, MirrorSettings
from radicale_shared.ldap import mirror
from tests.ldap.samba import PASSWORD, SUFFIX

ADDRESS = "company/people"
JPEG = b"\xff\xd8\xff\xe0" + b"x" * 500
ENABLED, DISABLED = "512", "514"


class Unit:
    """An organizational unit of its own."""

    def __init__(self, domain):
        self.domain = domain
        self.dn = f"OU={uuid.uuid4().hex},{SUFFIX}"
        with domain.administrator() as connection:
            assert connection.add(self.dn, ["organizationalUnit"]), connection.result

    def add(self, name, control=ENABLED, **attributes):
        dn = f"CN={name},{self.dn}"
        values = {"sAMAccountName": uuid.uuid4().hex[:16], "unicodePwd": f'"{PASSWORD}"'.encode("utf-16-le")}
        with self.domain.administrator() as connection:
            assert connection.add(dn, ["user"], {**values, **attributes}), connection.result
            connection.modify(dn, {"userAccountControl": [(ldap3.MODIFY_REPLACE, [control])]})
        return dn

    def set(self, dn, **attributes):
        with self.domain.administrator() as connection:
            changes = {name: [(ldap3.MODIFY_REPLACE, [value])] for name, value in attributes.items()}
            assert connection.modify(dn, changes), connection.result


@pytest.fixture
def unit(domain):
    return Unit(domain)


@pytest.fixture
def mirroring(unit, directory):
    def make(**changes):
        wanted = MirrorSettings(book=ADDRESS, base=(unit.dn,), **changes)
        return directory(dataclasses.replace(unit.domain.settings(), mirror=wanted))

    return make


def shown(db):
    with db.snapshot() as session:
        access = administrator(books.find(session, ADDRESS))
        return sorted(vcard.unfold(one.data).decode() for one in reading.every(session, access))


def test_people_are_shown_by_what_active_directory_calls_it_and_disabled_ones_are_not(db, unit, mirroring):
    unit.add(
        "Ada Lovelace",
        displayName="Ada Lovelace",
        givenName="Ada",
        sn="Lovelace",
        mail="ada@example.org",
        company="Engines",
        department="Notes",
        title="Countess",
        telephoneNumber="+44 20 1",
        mobile="+44 7700",
        homePhone="+44 1",
        streetAddress="12 Square\r\nMarylebone",
        co="United Kingdom",
        wWWHomePage="https://example.org",
        thumbnailPhoto=JPEG,
    )
    unit.add("Gone", control=DISABLED)
    report = mirror.run(mirroring(photos=True), db)
    assert (report.new, report.left_out, report.reasons) == (1, 0, {})
    (card,) = shown(db)
    assert [line for line in card.split("\r\n") if not line.startswith(("UID", "PHOTO"))] == [
        "BEGIN:VCARD",
        "VERSION:3.0",
        "FN:Ada Lovelace",
        "N:Lovelace;Ada;;;",
        "ORG:Engines;Notes",
        "TITLE:Countess",
        "EMAIL;TYPE=INTERNET,WORK:ada@example.org",
        "TEL;TYPE=WORK,VOICE:+44 20 1",
        r"ADR;TYPE=WORK:;;12 Square\nMarylebone;;;;United Kingdom",
        "URL:https://example.org",
        "END:VCARD",
    ]
    assert "PHOTO;ENCODING=b;TYPE=JPEG:/9j/" in card


def test_a_room_is_a_disabled_account_and_in_the_book_all_the_same(db, unit, mirroring):
    unit.add("Room 1", control=DISABLED, displayName="Room 1", description="room")
    mirror.run(mirroring(kinds=(MirrorKind("(description=room)", "location"),)), db)
    (room,) = shown(db)
    assert "X-VCARD4-KIND:location" in room


def test_changes_are_found_by_the_time_of_the_directory(db, unit, mirroring, monkeypatch):
    ada = unit.add("Ada", title="Countess")
    unit.add("Ben")
    unit.add("Carla")
    mirror.run(mirroring(), db)
    unit.set(ada, title="Mathematician")
    report = mirror.run(mirroring(), db)
    assert (report.new, report.changed, report.removed, report.read_all) == (0, 1, 0, False)
    assert any("TITLE:Mathematician" in card for card in shown(db))
    unit.set(ada, userAccountControl=DISABLED)
    monkeypatch.setattr(mirror, "_OVERLAP", -timedelta(days=1))
    report = mirror.run(mirroring(), db)
    assert (report.new, report.changed, report.removed, report.unchanged, report.read_all) == (0, 0, 1, 2, False)

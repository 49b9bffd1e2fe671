"""A program gone mad is stopped, has its cards back after its next sync, and goes on working: each kind of client."""

from __future__ import annotations

import pytest

from radicale_shared import blocks, books, guard_rules
from radicale_shared.models import now
from radicale_shared.vcard import Card
from tests.clients.conftest import Office
from tests.clients.life import BOTH, assert_equal
from tests.clients.programs import LEADS
from tests.clients.test_client_davx5 import DAVx5
from tests.clients.test_client_evolution import Evolution
from tests.clients.test_client_ios import IOS
from tests.clients.test_client_kde import Kontact
from tests.clients.test_client_macos import MacOS
from tests.clients.test_client_roundcube import Roundcube
from tests.clients.test_client_thunderbird import Thunderbird
from tests.clients.test_client_vdirsyncer import Vdirsyncer
from tests.conftest import BY, card

KINDS = [DAVx5, Thunderbird, IOS, MacOS, Evolution, Kontact, Roundcube, Vdirsyncer]
NUMBER = 16
FULL = ("TEL:1", "EMAIL:a@example.org", "NOTE:n")


@pytest.fixture
def filled(office: Office):
    """The book of Sales with some more cards."""
    for one in range(NUMBER):
        office.put(f"n{one}.vcf", card(f"n{one}", "", *FULL))
    return office


def settled(program):
    for _ in range(3):
        program.sync()
    return program


def standing(office):
    with office.organisation.db.read() as session:
        return blocks.standing(session)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mad_program_that_deletes_is_stopped_and_has_its_cards_again(application, filled: Office, kind):
    mad = kind(application)
    mad.set_up()
    settled(mad)
    before = filled.stored(*BOTH)
    for one in range(NUMBER):
        mad.delete(f"n{one}")
    settled(mad)

    after = filled.stored(*BOTH)
    assert len(before) - len(after) == 10
    assert_equal(mad, after)
    (block,) = standing(filled)
    assert (block.actor, block.destroyed) == ("ada", 10)

    # Everything else goes on.
    left = sorted(uid for uid in after if uid.startswith("n"))
    mad.edit(left[0], "NOTE", "still here")
    settled(mad)
    assert Card.parse(filled.stored()[left[0]]).text("NOTE") == "still here"
    mad.create(LEADS if LEADS in mad.books else mad.books[-1], "new")
    settled(mad)
    assert "new" in filled.stored(*BOTH)
    assert_equal(mad, filled.stored(*BOTH))

    # What was destroyed before comes back to it too, and once it is released it may delete again.
    outcome = blocks.revert(filled.organisation.db, block, by=BY)
    assert outcome.acts
    settled(mad)
    assert {uid: data for uid, data in filled.stored(*BOTH).items() if uid not in {"new", left[0]}} == {
        uid: data for uid, data in before.items() if uid != left[0]
    }
    assert_equal(mad, filled.stored(*BOTH))
    with filled.organisation.db.write(block.book_id) as session:
        blocks.release(session, block.id, by=BY)
    mad.delete("n3")
    settled(mad)
    assert "n3" not in filled.stored()
    assert_equal(mad, filled.stored(*BOTH))


@pytest.mark.parametrize("kind", [DAVx5, Thunderbird, IOS])
def test_a_mad_program_that_empties_cards_is_stopped_and_shows_them_as_they_were(application, filled: Office, kind):
    mad = kind(application)
    mad.set_up()
    settled(mad)
    for one in range(NUMBER):
        held = Card.parse(mad.held[mad.url(f"n{one}")].data)
        keep = [line for line in held.lines if line.name not in {"TEL", "EMAIL", "NOTE"}]
        data = b"".join([b"BEGIN:VCARD\r\n", *(line.raw for line in keep), b"END:VCARD\r\n"])
        mad.save(f"n{one}", data)
    settled(mad)

    stored = filled.stored()
    assert len([uid for uid, data in stored.items() if uid.startswith("n") and b"NOTE:n" not in data]) == 10
    assert_equal(mad, filled.stored(*BOTH))
    (block,) = standing(filled)

    blocks.revert(filled.organisation.db, block, by=BY)

    settled(mad)
    assert all(b"NOTE:n" in data for uid, data in filled.stored().items() if uid.startswith("n"))
    assert_equal(mad, filled.stored(*BOTH))


@pytest.mark.parametrize("kind", [DAVx5, Thunderbird, IOS])
def test_a_program_that_renames_a_category_of_all_cards_is_not_stopped(application, filled: Office, kind):
    program = kind(application)
    program.set_up()
    settled(program)
    for one in range(NUMBER):
        program.edit(f"n{one}", "CATEGORIES", "Renamed")
    settled(program)

    assert standing(filled) == []
    assert_equal(program, filled.stored(*BOTH))


def test_a_phone_that_moves_to_version_4_rewrites_every_card_and_is_not_stopped(application, filled: Office):
    """DAVx5 writes 4.0 over cards of 3.0, with all that it makes of them."""
    phone = DAVx5(application)
    phone.set_up()
    settled(phone)
    for one in range(NUMBER):
        phone.save(f"n{one}", phone.held[phone.url(f"n{one}")].data.replace(b"PRODID:", b"X-WAS:"))
        phone.edit(f"n{one}", "PRODID", "4.0")
    settled(phone)

    assert standing(filled) == []
    assert all(b"NOTE:n" in data for uid, data in filled.stored().items() if uid.startswith("n"))


def test_a_clean_up_passes_once_it_is_announced_and_is_stopped_and_released_where_it_isn_t(application, filled: Office):
    curator = IOS(application)
    curator.set_up()
    settled(curator)
    db = filled.organisation.db
    for one in range(NUMBER - 3):
        curator.delete(f"n{one}")
    settled(curator)
    (block,) = standing(filled)
    assert len([uid for uid in filled.stored() if uid.startswith("n")]) == NUMBER - 10

    with db.write(block.book_id) as session:
        blocks.release(session, block.id, by=BY)
        ada = filled.organisation.access("ada", "sales~leads")
        book = books.find(session, "sales/leads")
        guard_rules.announce(session, book, ada.principal_id, "ada", now() + guard_rules.LONGEST_CLEAN_UP / 24, by=BY)
    for uid in [uid for uid in curator.shown() if uid.startswith("n")]:
        curator.delete(uid)
    settled(curator)

    assert not [uid for uid in filled.stored() if uid.startswith("n")]
    assert standing(filled) == []
    assert_equal(curator, filled.stored(*BOTH))

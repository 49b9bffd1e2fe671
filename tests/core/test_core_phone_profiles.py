"""Phones: their passwords and profiles, what is hidden from them, and regions."""

import threading
from dataclasses import replace

import pytest
from sqlalchemy import select

from radicale_shared import (
    access,
    books,
    cards,
    devices,
    entry_refresh,
    entry_rows,
    grants,
    people,
    phone_books,
    phone_profiles,
    transfers,
)
from radicale_shared.access import Role, Scope
from radicale_shared.errors import AlreadyExistsError, NotAllowedHereError, NotFoundError, WrongValueError
from radicale_shared.models import Card
from radicale_shared.numbers import Dial
from radicale_shared.phone_profiles import Choices, NameOrder, SignIn
from tests.conftest import BY, card, kinds_of_deeds

YEALINK = Choices(make="yealink")


@pytest.fixture
def phones(organisation, db):
    return Phones(db)


class Phones:
    """Phones of the organisation's people."""

    def __init__(self, db):
        self.db = db

    def add(self, login="ada", label="desk", choices=YEALINK, only=None):
        with self.db.write() as session:
            chosen = None if only is None else [books.find(session, one) for one in only]
            person = people.user(session, login)
            return phone_profiles.add(session, person, label, choices, secret=self.db.secret, by=BY, only=chosen)

    def change(self, choices, login="ada", label="desk"):
        with self.db.write() as session:
            return phone_profiles.change(session, people.user(session, login), label, choices, by=BY)

    def of(self, token):
        secret = self.db.secret
        with self.db.read() as session:
            return phone_profiles.by_token(session, token, secret=secret)


# -- signing in --------------------------------------------------------------------------------------------------------


def test_a_phone_reads_some_books_and_nothing_else(phones, organisation):
    made, token = phones.add(only=["sales/leads"])

    assert phones.of(token) == made
    leads = organisation.book("sales/leads").id
    assert (made.device.scope, made.device.phones_only) == (Scope(frozenset({leads}), read_only=True), True)
    assert (made.device.slug, made.device.label, made.choices) == ("ada", "desk", YEALINK)


def test_a_phone_is_known_by_its_token_however_it_is_typed(phones):
    made, token = phones.add()
    plain = token.replace("-", "")
    assert [phones.of(one) for one in (token, plain, token.upper(), f" {plain[:20]} {plain[20:]} ")] == [made] * 4


def test_a_phone_signs_in_by_one_select(phones, statements):
    _, token = phones.add(only=["sales/leads", "ada/contacts"])
    statements.clear()
    assert phones.of(token) is not None
    assert len(statements) == 1


@pytest.mark.parametrize(
    "token", ["", "x", "rs-", "-", "rs" + "a" * 32, "rs" + "a" * 33, "é" * 34, "a" * 100_000, "\x00"]
)
def test_what_is_no_phone_s_token_is_nobody_s(phones, token):
    phones.add()
    assert phones.of(token) is None


def test_only_the_whole_token_signs_in(phones):
    _, token = phones.add()
    other = "b" if token[-1] != "b" else "c"
    assert phones.of(token[:-1] + other) is None


def test_a_device_without_a_profile_is_no_phone(phones, db):
    with db.write() as session:
        ada = people.user(session, "ada")
        for label, phones_only in (("app", False), ("other", True)):
            _, token = devices.add(session, ada, label, secret=db.secret, by=BY, phones_only=phones_only)
            assert phone_profiles.by_token(session, token, secret=db.secret) is None
        with pytest.raises(NotFoundError):
            phone_profiles.revoke(session, ada, "app", by=BY)
        assert phone_profiles.of_device(session, devices.of_user(session, ada.id)[0]) is None


def test_a_phone_that_signs_in_by_basic_alone_has_no_url(phones, db):
    _, token = phones.add(choices=replace(YEALINK, sign_in=SignIn.BASIC))
    assert phones.of(token) is None
    with db.read() as session:
        device = devices.sign_in(session, "ada", token, secret=db.secret)
        found = phone_profiles.of_device(session, device)
    assert (found.sign_in, found.device) == (SignIn.BASIC, device)


def test_a_phone_is_out_with_its_owner_and_comes_back_with_them(phones, db):
    _, token = phones.add()
    for active, known in ((False, False), (True, True)):
        with db.write() as session:
            people.set_enabled(session, "ada", enabled=active)
        assert (phones.of(token) is not None) is known


def test_a_revoked_phone_is_out_and_its_profile_is_gone(phones, db):
    _, token = phones.add()
    with db.write() as session:
        ada = people.user(session, "ada")
        gone = phone_profiles.revoke(session, ada, "DESK", by=BY)
        assert phone_profiles.of_user(session, ada.id) == []
    assert gone.device.label == "desk"
    assert phones.of(token) is None
    phones.add()  # SQLite may give the device the same number


def test_a_phone_is_a_device_like_others(phones, db):
    phones.add(label="Desk")
    with db.write() as session:
        ada = people.user(session, "ada")
        assert [one.label for one in devices.of_user(session, ada.id)] == ["Desk"]
        with pytest.raises(AlreadyExistsError):
            devices.add(session, ada, "desk", secret=db.secret, by=BY)
        devices.revoke(session, ada, "desk", by=BY)
        assert phone_profiles.every(session) == []
    with pytest.raises(NotAllowedHereError):
        phones.add(only=["carla/contacts"])


def test_phones_are_listed_by_owner_and_label(phones, db):
    for login, label in (("ben", "b"), ("ada", "z"), ("ada", "A")):
        phones.add(login, label, only=["sales/leads"])
    with db.read() as session:
        assert [(one.device.login, one.device.label) for one in phone_profiles.every(session)] == [
            ("ada", "A"),
            ("ada", "z"),
            ("ben", "b"),
        ]
        ben = people.user(session, "ben")
        assert [one.device.label for one in phone_profiles.of_user(session, ben.id)] == ["b"]


# -- what is chosen ----------------------------------------------------------------------------------------------------

ALL_CHOSEN = Choices(
    make="cisco-spa",
    sign_in=SignIn.BOTH,
    networks=("10.20.0.0/16", "2001:db8::/32", "192.0.2.7/32"),
    fields=frozenset({"note", "adr", "tel:fax"}),
    name_order=NameOrder.WRITTEN,
    dial=Dial.NATIONAL,
    region="FR",
    outside_prefix="0",
    trunk="+33123456",
    max_entries=500,
    max_bytes=100_000,
    language="de",
)


def test_everything_that_is_chosen_is_kept_and_can_be_changed(phones):
    made, token = phones.add(choices=ALL_CHOSEN)
    assert made.choices == ALL_CHOSEN
    other = replace(ALL_CHOSEN, make="snom", networks=(), fields=frozenset({"tel:work"}), region="", dial=Dial.E164)
    with pytest.raises(WrongValueError):
        phones.change(other)  # a + with an outside line
    changed = phones.change(replace(other, outside_prefix=""))
    assert (changed.make, changed.networks, changed.fields) == ("snom", (), {"tel:work"})
    assert phones.of(token) == changed


def test_what_is_chosen_is_kept_as_it_is_compared(phones):
    made, _ = phones.add(
        choices=replace(
            YEALINK,
            networks=(" 10.20.3.4/16", "10.20.0.0/16", "192.0.2.7"),
            region="de",
            trunk="+49 (30) 1234",
            outside_prefix=" 0 ",
            dial=Dial.INTERNATIONAL,
        )
    )
    assert made.networks == ("10.20.0.0/16", "192.0.2.7/32")
    assert (made.region, made.trunk, made.outside_prefix) == ("DE", "+49301234", "0")


@pytest.mark.parametrize(
    "wrong",
    [
        {"make": ""},
        {"make": "Yealink"},
        {"make": "x" * 33},
        {"networks": ("10.0.0.0/33",)},
        {"networks": ("office",)},
        {"networks": tuple(f"10.0.{number}.0/24" for number in range(33))},
        {"fields": frozenset({"tel:work", "bday"})},
        {"fields": frozenset({"org"})},
        {"region": "XX"},
        {"region": "Germany"},
        {"outside_prefix": "+"},
        {"outside_prefix": "123456789", "dial": Dial.INTERNATIONAL},
        {"outside_prefix": "0"},
        {"trunk": "030123"},
        {"trunk": "+49"},
        {"trunk": "+49 30 call"},
        {"trunk": "+" + "1" * 16},
        {"max_entries": 0},
        {"max_entries": 1_000_000},
        {"max_bytes": -1},
        {"max_bytes": 10},
        {"language": "fr"},
        {"dial": Dial.NATIONAL},
    ],
)
def test_what_can_t_be_chosen_is_refused_and_leaves_no_device(phones, db, wrong):
    with pytest.raises(WrongValueError):
        phones.add(choices=replace(YEALINK, **wrong))
    with db.read() as session:
        assert devices.of_user(session, people.user(session, "ada").id) == []


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("10.20.1.2", True),
        ("::ffff:10.20.1.2", True),
        ("10.21.0.1", False),
        ("2001:db8::5", True),
        ("fe80::1%eth0", False),
        ("", False),
        ("unix:", False),
        ("10.20.1.2, 10.20.1.3", False),
    ],
)
def test_a_phone_may_ask_from_its_networks_alone(phones, address, may):
    made, _ = phones.add(choices=replace(YEALINK, networks=("10.20.0.0/16", "2001:db8::/32")))
    assert made.may_ask_from(address) is may


def test_a_phone_without_networks_may_ask_from_everywhere(phones):
    assert phones.add()[0].may_ask_from("198.51.100.1")


def test_a_phone_stands_where_the_server_does_unless_it_was_told_otherwise(phones, db):
    _, token = phones.add()
    _, french = phones.add(label="Paris", choices=replace(YEALINK, region="FR"))
    with db.write() as session:
        phone_books.set_region(session, "DE", by=BY)
    assert (phones.of(token).region, phones.of(french).region) == ("DE", "FR")
    phones.change(replace(phones.of(token).choices, dial=Dial.NATIONAL))
    with db.write() as session:
        phone_books.set_region(session, "AT", by=BY)
    assert (phones.of(token).region, phones.of(token).dial) == ("AT", Dial.NATIONAL)


# -- hidden from phones ------------------------------------------------------------------------------------------------


def hide(db, address, href=None, *, hidden=True):
    with db.read() as session:
        book = books.find(session, address)
    with db.write(book.id) as session:
        if href is None:
            return phone_books.hide(session, book, hidden=hidden, by=BY)
        return phone_books.hide_card(session, book, href, hidden=hidden, by=BY)


def hidden_cards(db, book):
    with db.read() as session:
        return phone_books.hidden_cards(session, book.id)


def test_a_hidden_book_is_marked_once_and_every_copy_of_it_is_out_of_date(organisation, db):
    before = organisation.book("sales/leads")
    assert not before.hidden_from_phones

    assert hide(db, "sales/leads")
    hidden = organisation.book("sales/leads")
    assert not hide(db, "sales/leads")
    assert (hidden.hidden_from_phones, hidden.revision) == (True, before.revision + 1)
    assert organisation.book("sales/leads").revision == hidden.revision

    assert hide(db, "sales/leads", hidden=False)
    with db.read() as session:
        assert kinds_of_deeds(session, before.id)[-2:] == ["hide-from-phones", "show-on-phones"]


def test_a_hidden_card_keeps_its_bytes_and_its_etag(organisation, db):
    organisation.put("ada", "sales~leads", "eva.vcf", card("eva"))
    book = organisation.book("sales/leads")
    with db.read() as session:
        before = session.execute(select_card(book)).one()

    assert hide(db, "sales/leads", "eva.vcf")
    assert not hide(db, "sales/leads", "eva.vcf")

    assert hidden_cards(db, book) == ["eva.vcf"]
    with db.read() as session:
        assert session.execute(select_card(book)).one() == before
    assert organisation.book("sales/leads").revision == book.revision + 1
    organisation.put("ada", "sales~leads", "eva.vcf", card("eva", "Eva Muster"))
    assert hidden_cards(db, book) == ["eva.vcf"]


def select_card(book):
    return select(Card.etag, Card.revision, Card.body_id).where(Card.book_id == book.id)


@pytest.mark.parametrize("href", ["nobody.vcf", "gone.vcf", ""])
def test_a_card_that_is_not_there_can_t_be_hidden(organisation, db, href):
    organisation.put("ada", "contacts", "gone.vcf", card("gone"))
    organisation.remove("ada", "contacts", "gone.vcf")
    revision = organisation.book("ada/contacts").revision
    with pytest.raises(NotFoundError):
        hide(db, "ada/contacts", href)
    assert organisation.book("ada/contacts").revision == revision


def test_a_card_that_is_deleted_and_comes_back_is_hidden_as_before(organisation, db):
    organisation.put("ada", "contacts", "eva.vcf", card("eva"))
    hide(db, "ada/contacts", "eva.vcf")
    organisation.remove("ada", "contacts", "eva.vcf")
    book = organisation.book("ada/contacts")
    assert hidden_cards(db, book) == []
    organisation.put("ada", "contacts", "eva.vcf", card("eva"))
    assert hidden_cards(db, book) == ["eva.vcf"]


def test_two_that_hide_the_same_at_once_hide_it_once(organisation, db):
    organisation.put("ada", "contacts", "eva.vcf", card("eva"))
    before = organisation.book("ada/contacts")
    found = []
    both = [threading.Thread(target=lambda: found.append(hide(db, "ada/contacts", "eva.vcf"))) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(found) == [False, True]
    assert organisation.book("ada/contacts").revision == before.revision + 1


def test_a_book_in_the_trash_can_t_be_hidden(organisation, db):
    book = organisation.book("sales/leads")
    with db.write(book.id) as session:
        books.trash(session, book, by=BY)
    with pytest.raises(NotFoundError), db.write(book.id) as session:
        phone_books.hide(session, book, hidden=True, by=BY)


@pytest.mark.parametrize("moving", [True, False])
@pytest.mark.parametrize("is_hidden", [True, False])
def test_a_copy_is_hidden_as_its_original_is(organisation, db, moving, is_hidden):
    organisation.put("ada", "sales~leads", "eva.vcf", card("eva"))
    # The place was another card's, of which phones were told otherwise.
    organisation.put("ada", "contacts", "new.vcf", card("eva", "Old"))
    hide(db, "sales/leads" if is_hidden else "ada/contacts", "eva.vcf" if is_hidden else "new.vcf")
    with db.write() as session:
        grants.give(session, books.find(session, "sales/leads"), "user:ada", Role.MANAGER, by=BY)
    source, target = organisation.access("ada", "sales~leads"), organisation.access("ada", "contacts")
    with db.write(source.book.id, target.book.id) as session:
        transfers.transfer(
            session,
            transfers.Place(source, "eva.vcf"),
            transfers.Place(target, "new.vcf"),
            moving=moving,
            secret=db.secret,
            by=BY,
        )
    assert hidden_cards(db, target.book) == (["new.vcf"] if is_hidden else [])


# -- regions -----------------------------------------------------------------------------------------------------------


def numbers_of(db, login="ada"):
    with db.read() as session:
        found = {one.book.id: one for one in access.all_readable(session, login)}
    pages = (page for one in found.values() for page in entry_rows.pages(db.read, one))
    return {entry.name: [number.e164 for number in entry.numbers] for page in pages for entry in page}


def test_a_region_gives_numbers_their_meaning_for_the_server_and_for_a_book(organisation, db):
    organisation.put("ada", "contacts", "a.vcf", card("a", "Ann", "TEL:030 1234567"))
    organisation.put("ada", "sales~leads", "b.vcf", card("b", "Bob", "TEL:030 1234567"))
    assert numbers_of(db) == {"Ann": [""], "Bob": [""]}

    leads = organisation.book("sales/leads")
    with db.write() as session:
        phone_books.set_region(session, "de", by=BY)
        changed = phone_books.set_region(session, "IT", by=BY, book=leads)
        assert (list(changed), phone_books.region(session)) == ([leads.id], "DE")
        assert phone_books.regions(session) == {leads.id: "IT"}
    entry_refresh.refresh(db)
    assert numbers_of(db) == {"Ann": ["+49301234567"], "Bob": ["+390301234567"]}

    with db.write() as session:
        everywhere = phone_books.set_region(session, "AT", by=BY)
        assert leads.id not in everywhere
        assert organisation.book("ada/contacts").id in everywhere
        assert phone_books.set_region(session, "AT", by=BY) == []
        assert phone_books.set_region(session, "IT", by=BY, book=leads) == []
        assert phone_books.set_region(session, "", by=BY, book=leads) == [leads.id]
    entry_refresh.refresh(db)
    assert numbers_of(db) == {"Ann": ["+43301234567"], "Bob": ["+43301234567"]}


def test_a_region_waits_for_who_is_writing_entries_by_the_one_before(organisation, db):
    organisation.put("ada", "contacts", "a.vcf", card("a", "Ann", "TEL:030 1234567"))
    mine = organisation.access("ada", "contacts")

    def say():
        with db.write() as session:
            phone_books.set_region(session, "DE", by=BY)

    other = threading.Thread(target=say)
    with db.write(mine.book.id) as session:
        changed = cards.check(card("a", "Ann", "TEL:030 7654321"))
        cards.put(session, mine, "a.vcf", changed, secret=db.secret, by=BY)
        other.start()
        other.join(0.3)
        assert other.is_alive()
    other.join()
    entry_refresh.refresh(db)
    assert numbers_of(db) == {"Ann": ["+49307654321"]}


def test_what_is_no_country_is_no_region(organisation, db):
    with db.write() as session:
        for written in ("XX", "Germany", "D", "49"):
            with pytest.raises(WrongValueError):
                phone_books.set_region(session, written, by=BY)
        assert phone_books.region(session) == ""

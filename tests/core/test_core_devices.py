"""Device passwords: their form, whom they let in, what is kept of them, and how they end."""

import string
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from radicale_shared import access, books, cards, changes, clients, device_uses, devices, history, people, refusals
from radicale_shared.access import Scope, Verb
from radicale_shared.device_uses import Uses
from radicale_shared.errors import AlreadyExistsError, NotAllowedHereError, NotFoundError
from radicale_shared.models import Device as DeviceTable
from radicale_shared.models import Principal
from tests.conftest import BY, card

plain_passwords = st.text(devices.ALPHABET, min_size=32, max_size=32)
# What stands between and around the letters when a password is typed, spoken, corrected or pasted.
between = st.text(" -\t\n\N{EN DASH}\N{EM DASH}\N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}\N{SOFT HYPHEN}", max_size=3)


@pytest.fixture
def add(db, organisation):
    """Makes a device of somebody; gives it and its password."""

    def make(login="ada", label="phone", only=None, **more):
        secret = db.secret
        with db.write() as session:
            more["only"] = [books.find(session, address) for address in only] if only is not None else None
            return devices.add(session, people.user(session, login), label, secret=secret, by=BY, **more)

    return make


@pytest.fixture
def sign_in(db, organisation):
    def do(login, password):
        secret = db.secret
        with db.read() as session:
            return devices.sign_in(session, login, password, secret=secret)

    return do


@pytest.fixture
def revoke(db, organisation):
    def do(login, label):
        with db.write() as session:
            return devices.revoke(session, people.user(session, login), label, by=BY)

    return do


# -- the form ----------------------------------------------------------------------------------------------------------


def test_a_password_has_at_least_128_random_bits_beside_the_part_that_finds_the_device():
    plain = devices.parse(devices.new_password())

    assert len(plain) == 32
    assert len(devices.ALPHABET) ** (len(plain) - 6) >= 2**128


def test_a_password_has_no_letters_that_look_like_others_and_no_capitals():
    letters = {char for _ in range(50) for char in devices.new_password()} - {"-"}

    assert letters <= set(string.ascii_lowercase + string.digits)
    assert not letters & set("01ilo")


def test_no_password_is_made_twice():
    assert len({devices.new_password() for _ in range(1000)}) == 1000


def test_a_new_password_has_the_form_of_one():
    password = devices.new_password()

    assert password.startswith("rs-")
    assert devices.parse(password) == password.removeprefix("rs").replace("-", "")


@given(plain=plain_passwords, capitals=st.lists(st.booleans(), min_size=34), gaps=st.lists(between, min_size=35))
def test_capitals_spaces_and_dashes_do_not_matter(plain, capitals, gaps):
    letters = [char.upper() if big else char for char, big in zip(f"rs{plain}", capitals, strict=False)]
    typed = gaps[0] + "".join(char + gap for char, gap in zip(letters, gaps[1:], strict=False))

    assert devices.parse(typed) == plain


@given(plain=plain_passwords, other=plain_passwords)
def test_two_passwords_are_never_taken_for_one_another(plain, other):
    assert (devices.parse(f"rs-{plain}") == devices.parse(f"RS {other}")) == (plain == other)


@given(plain=plain_passwords, at=st.integers(0, 31), wrong=st.characters(exclude_characters=devices.ALPHABET))
def test_one_letter_of_another_alphabet_makes_it_no_device_password(plain, at, wrong):
    found = devices.parse(f"rs-{plain[:at]}{wrong}{plain[at + 1 :]}")

    assert found is None or found == plain[:at] + wrong.lower() + plain[at + 1 :]


@given(typed=st.text())
def test_what_people_choose_as_passwords_is_no_device_password(typed):
    assert devices.parse(typed) is None


@pytest.mark.parametrize(
    "typed",
    ["", "rs", "rs-", "rs-" + "a" * 31, "rs-" + "a" * 33, "a" * 32, "sr-" + "a" * 32, "rs-" + "l" * 32, "-" * 500],
)
def test_what_is_near_the_form_is_not_of_it(typed):
    assert devices.parse(typed) is None


def test_what_is_longer_than_anybody_types_is_not_looked_at():
    assert devices.parse("rs" + "-" * 10_000 + "a" * 32) is None


# -- signing in --------------------------------------------------------------------------------------------------------


def test_a_device_signs_in_by_its_password_in_one_statement(add, sign_in, statements, db):
    made, password = add(only=["ada/contacts", "sales/leads"])
    assert db.secret
    statements.clear()

    found = sign_in("ada", password)

    assert len(statements) == 1
    assert found == made
    assert (found.slug, found.label, found.scope.read_only) == ("ada", "phone", False)
    assert len(found.scope.books) == 2


def test_a_password_of_no_device_costs_as_much_as_a_wrong_one(add, sign_in, statements, monkeypatch):
    _, password = add()
    hashed = []
    real = devices._digest
    monkeypatch.setattr(devices, "_digest", lambda *given: hashed.append(given) or real(*given))
    unknown, wrong = devices.new_password(), f"{password[:12]}{devices.new_password()[12:]}"
    costs = []
    for typed in (unknown, wrong):
        statements.clear()
        assert sign_in("ada", typed) is None
        costs.append((len(statements), len(hashed)))
        hashed.clear()

    assert costs == [(1, 1), (1, 1)]


def test_each_letter_of_a_password_counts(add, sign_in):
    _, password = add()

    for at, char in enumerate(password):
        if char != "-" and at > 1:
            wrong = password[:at] + ("a" if char != "a" else "b") + password[at + 1 :]
            assert sign_in("ada", wrong) is None, at


def test_a_password_as_it_is_typed_on_a_phone_signs_in(add, sign_in):
    _, password = add()

    for typed in (password.upper(), password.replace("-", " "), password.replace("-", ""), f" {password} "):
        assert sign_in("ada", typed) is not None


def test_a_password_is_that_of_its_owner_only(add, sign_in):
    _, of_ada = add("ada")
    _, of_ben = add("ben")

    assert sign_in("ben", of_ada) is None
    assert sign_in("ada", of_ben) is None
    assert sign_in("sales", of_ada) is None
    assert sign_in("", of_ada) is None
    assert sign_in("ada\x00", of_ada) is None


def test_the_login_may_be_written_as_for_the_owners_own_password(add, sign_in, db):
    _, password = add()
    with db.write() as session:
        session.execute(
            update(Principal)
            .where(Principal.slug == "ada")
            .values(directory="main", directory_login="aking", domain="example.org", email="Ada.King@Example.com")
        )

    for login in (
        "ada",
        " ADA ",
        "aking",
        "AKing@Example.org",
        "ada@example.org",
        "EXAMPLE\\aking",
        "ada.king@example.com",
    ):
        assert sign_in(login, password) is not None, login
    for login in ("ada@elsewhere.org", "king", "aking@", "\\", "example.org"):
        assert sign_in(login, password) is None, login


def test_an_owner_without_a_mail_address_is_not_found_by_an_empty_one(add, sign_in):
    _, password = add()

    assert sign_in(" ", password) is None
    assert sign_in("EXAMPLE\\", password) is None


def test_a_disabled_owner_s_devices_are_out_and_come_back_with_them(add, sign_in, db):
    _, password = add()
    with db.write() as session:
        people.set_enabled(session, "ada", enabled=False)
    assert sign_in("ada", password) is None
    with db.write() as session:
        people.set_enabled(session, "ada", enabled=True)
    assert sign_in("ada", password) is not None


def test_another_password_of_the_owner_leaves_the_devices_alone(add, sign_in, db):
    _, password = add()
    with db.write() as session:
        people.set_password(session, "ada", "another")

    assert sign_in("ada", password) is not None


def test_what_is_stored_does_not_tell_the_password(add, db):
    _, password = add()

    with db.read() as session:
        row = session.execute(select(DeviceTable)).scalar_one()
    kept = repr({column.key: getattr(row, column.key) for column in DeviceTable.__table__.columns})
    assert devices.parse(password)[6:] not in kept
    assert len(row.digest) == 32


def test_with_another_secret_of_the_database_no_password_is_right(add, db):
    _, password = add()

    with db.read() as session:
        assert devices.sign_in(session, "ada", password, secret=bytes(32)) is None


# -- keeping them ------------------------------------------------------------------------------------------------------


def test_devices_are_listed_by_label_with_what_they_may(add, db):
    add(label="Tablet", read_only=True, merged=True)
    add(label="desk", only=["sales/leads"], phones_only=True)
    add(label="phone", merged=False)
    add("ben", label="other")

    with db.read() as session:
        found = devices.of_user(session, people.user(session, "ada").id)
        leads = books.find(session, "sales/leads").id
    assert [one.label for one in found] == ["desk", "phone", "Tablet"]
    assert [one.scope for one in found] == [Scope(frozenset({leads})), Scope(), Scope(None, read_only=True)]
    assert [one.phones_only for one in found] == [True, False, False]
    assert [one.merged for one in found] == [None, False, True]


def test_one_person_has_no_two_devices_of_one_label_but_two_people_have(add):
    add(label="Phone")

    with pytest.raises(AlreadyExistsError):
        add(label=" phone ")
    add("ben", label="Phone")


@pytest.mark.parametrize("label", ["", "  ", "a\nb", "a\x00b", "x" * 201])
def test_a_label_that_cannot_be_one_is_refused(add, label):
    with pytest.raises(NotAllowedHereError):
        add(label=label)


def test_a_person_has_50_devices_at_most_until_one_is_revoked(add, revoke):
    for number in range(devices.MOST_DEVICES):
        add(label=f"phone {number}")

    with pytest.raises(NotAllowedHereError, match="50"):
        add(label="one more")
    add("ben", label="one more")
    revoke("ada", "phone 0")
    add(label="one more")


def test_a_book_that_the_owner_cannot_read_is_refused(add):
    with pytest.raises(NotAllowedHereError, match="ben/contacts"):
        add(only=["ada/contacts", "ben/contacts"])
    with pytest.raises(NotAllowedHereError):
        add(only=[])


def test_a_person_who_is_disabled_or_removed_gets_no_device(add, db):
    with db.write() as session:
        people.set_enabled(session, "ada", enabled=False)
    with pytest.raises(NotAllowedHereError, match="disabled"):
        add("ada")
    with db.read() as session:
        ben = people.user(session, "ben")
    with db.write() as session:
        books.trash(session, books.find(session, "ben/contacts"), by=BY)
        people.remove_user(session, "ben")
    with pytest.raises(NotFoundError), db.write() as session:
        devices.add(session, ben, "phone", secret=bytes(32), by=BY)


def test_a_revoked_device_is_out_and_the_others_are_not(add, sign_in, revoke):
    _, gone = add(label="phone")
    _, kept = add(label="tablet")

    assert revoke("ada", "PHONE").label == "phone"

    assert sign_in("ada", gone) is None
    assert sign_in("ada", kept) is not None
    with pytest.raises(NotFoundError):
        revoke("ada", "phone")
    with pytest.raises(NotFoundError):
        revoke("ben", "tablet")


def test_with_a_device_goes_what_was_kept_for_it(add, revoke, db, organisation):
    device, _ = add()
    found = organisation.access("ada", "contacts", client=device.client)
    with db.write(found.book.id) as session:
        refusals.remember(session, device.principal_id, device.client, found.book.id, "a.vcf")
        refusals.remember(session, device.principal_id, "other", found.book.id, "a.vcf")
        clients.wrote(session, found, device.client, "4.0")
    assert organisation.access("ada", "contacts", client=device.client).wrote == "4.0"

    revoke("ada", "phone")

    gone = organisation.access("ada", "contacts", client=device.client)
    assert (gone.wrote, gone.refused) == ("", 0)
    assert organisation.access("ada", "contacts", client="other").refused


def test_making_and_revoking_stand_in_the_history(add, revoke, db):
    add(label="Ada's phone")
    revoke("ada", "ada's phone")

    with db.snapshot() as session:
        told = [(one.kind, one.reason) for one in history.entries(session) if one.kind.endswith("-device")]
    assert told == [("revoke-device", "ada: Ada's phone"), ("add-device", "ada: Ada's phone")]


def test_a_purged_book_leaves_its_device_with_nothing_and_never_with_everything(add, sign_in, db):
    _, password = add(only=["ada/contacts"])
    with db.write() as session:
        books.trash(session, books.find(session, "ada/contacts"), by=BY)
    with db.write() as session:
        books.purge(session, books.find_trashed(session, "ada/contacts"), by=BY)

    scope = sign_in("ada", password).scope

    assert scope.books == frozenset()
    with db.read() as session:
        assert access.all_readable(session, "ada", scope=scope) == []


# -- scopes ------------------------------------------------------------------------------------------------------------


def test_a_device_with_some_books_has_these_alone_and_none_to_rename_or_delete(add, db):
    device, _ = add(only=["ada/contacts"])

    with db.read() as session:
        whole = access.find(session, "ada", "contacts")
        found = access.all_readable(session, "ada", scope=device.scope)
        assert [one.book.address for one in found] == ["ada/contacts"]
        assert found[0].verbs == whole.verbs - {Verb.OWN}
        assert access.find(session, "ada", "sales~leads", scope=device.scope) is None


def test_a_device_has_no_more_than_its_owner(add, db, organisation):
    device, _ = add("ben", only=["sales/leads"])
    with db.write() as session:
        people.remove_member(session, "sales", "ben")

    with db.read() as session:
        assert access.all_readable(session, "ben", scope=device.scope) == []


def test_a_read_only_device_may_read_and_nothing_else(add, db):
    device, _ = add(read_only=True)

    with db.read() as session:
        found = access.all_readable(session, "ada", scope=device.scope)
    assert len(found) == 2
    assert {one.verbs for one in found} == {frozenset({Verb.READ})}


# -- when they were used -----------------------------------------------------------------------------------------------


@pytest.fixture
def used(db):
    """The device as it is once something was written down of its use."""

    def wait(login="ada", label="phone", address=""):
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with db.read() as session:
                found = next(
                    one for one in devices.of_user(session, people.user(session, login).id) if one.label == label
                )
            if found.last_used_at and found.last_address == address:
                return found
            time.sleep(0.01)
        raise AssertionError("nothing was written down")

    return wait


@pytest.fixture
def writes(monkeypatch):
    """The addresses that were written down."""
    seen = []
    real = Uses._write

    def counted(self, use):
        seen.append(use.address)
        real(self, use)

    monkeypatch.setattr(Uses, "_write", counted)
    return seen


def test_when_where_from_and_by_what_is_written_down_and_that_the_owner_is_about(add, db, used):
    device, _ = add()
    with db.write() as session:
        session.execute(update(Principal).values(seen_at=None))
    before = datetime.now(UTC)

    Uses(db).note(device, "192.0.2.1", "DAVx5/4.4\x00" + "x" * 600)

    found = used(address="192.0.2.1")
    assert before <= found.last_used_at <= datetime.now(UTC)
    assert found.last_user_agent.startswith("DAVx5/4.4")
    with db.read() as session:
        assert session.scalar(select(Principal.seen_at).where(Principal.slug == "ada")) == found.last_used_at


def test_it_is_written_down_once_an_hour_for_each_address(add, db, used, writes):
    device, _ = add()
    uses = Uses(db)

    for _ in range(5):
        uses.note(device, "192.0.2.1", "DAVx5")
        uses.note(device, "192.0.2.2", "DAVx5")
    used(address="192.0.2.2")
    uses.note(device, "192.0.2.1", "DAVx5")

    assert len(writes) <= 2


def test_another_process_does_not_write_it_down_again(add, db, used, writes):
    device, _ = add()
    Uses(db).note(device, "192.0.2.1", "DAVx5")
    found = used(address="192.0.2.1")

    elsewhere = Uses(db)
    elsewhere.note(found, "192.0.2.1", "DAVx5")

    assert elsewhere._writer is None
    assert writes == ["192.0.2.1"]


def test_a_use_of_an_hour_ago_is_written_down_anew(add, db, used):
    device, _ = add()
    long_ago = datetime.now(UTC) - device_uses.SELDOM - timedelta(minutes=1)
    with db.write() as session:
        session.execute(update(DeviceTable).values(last_used_at=long_ago, last_address="192.0.2.1"))
    with db.read() as session:
        device = devices.of_user(session, people.user(session, "ada").id)[0]

    Uses(db).note(device, "192.0.2.1", "DAVx5")

    until = time.monotonic() + 20
    while used(address="192.0.2.1").last_used_at == long_ago:
        assert time.monotonic() < until


def test_no_request_waits_for_what_is_written_down(add, db, used, organisation):
    device, _ = add()
    is_noted = threading.Event()
    with db.write():  # on SQLite nobody else can write now
        Uses(db).note(device, "192.0.2.1", "DAVx5")
        is_noted.set()

    assert is_noted.is_set()
    assert used(address="192.0.2.1")


def test_a_use_of_a_device_that_was_revoked_meanwhile_harms_nobody(add, db, revoke):
    device, _ = add()
    revoke("ada", "phone")
    uses = Uses(db)

    uses.note(device, "192.0.2.1", "DAVx5")

    until = time.monotonic() + 20
    while uses._writer is not None:
        assert time.monotonic() < until
    with db.read() as session:
        assert devices.of_user(session, people.user(session, "ada").id) == []


def test_a_use_that_cannot_be_written_down_is_tried_again_with_the_next_request(add, db, used, monkeypatch):
    device, _ = add()
    uses = Uses(db)
    with monkeypatch.context() as busy:
        busy.setattr(db, "_most_writers", 0)  # every write is refused
        uses.note(device, "192.0.2.1", "DAVx5")
        until = time.monotonic() + 20
        while uses._writer is not None:
            assert time.monotonic() < until

    uses.note(device, "192.0.2.1", "DAVx5")

    assert used(address="192.0.2.1")


def test_a_process_has_one_writer_for_each_database(db):
    assert device_uses.uses(db) is device_uses.uses(db)


def test_two_devices_of_one_program_are_two_clients(add):
    phone, _ = add(label="phone")
    tablet, _ = add(label="tablet")
    agent = "DAVx5/4.4 (Android)"

    assert len({devices.client_of(one, agent) for one in (phone, tablet, None)}) == 3
    assert devices.client_of(None, agent) == changes.client_of(agent)
    # Whatever somebody calls a program, it is no device: the digits of its name are dropped.
    assert changes.client_of(phone.client) != phone.client


def test_the_card_of_a_device_is_stored_with_its_label(add, db, organisation):
    device, _ = add(label="Ada's phone")
    found = organisation.access("ada", "contacts")
    by = changes.Actor(found.principal_id, "ada", device.label)
    with db.write(found.book.id) as session:
        cards.put(session, found, "a.vcf", cards.check(card("a")), secret=db.secret, by=by)

    with db.snapshot() as session:
        assert next(iter(history.entries(session, book_id=found.book.id))).device == "Ada's phone"

"""Who is calling: the order of ways to write a number, what is hidden, and what it costs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import access, books, callers, grants, phone_books
from radicale_shared.access import Role
from radicale_shared.callers import Match
from radicale_shared.phone_profiles import FIELDS
from tests.conftest import BY, card, examples

GERMAN = {"region": "DE"}


@pytest.fixture
def book(organisation, db):
    """Ada's phone asks; the server stands in Germany."""
    with db.write() as session:
        phone_books.set_region(session, "DE", by=BY)
    return Asking(organisation)


class Asking:
    def __init__(self, organisation):
        self.organisation = organisation
        self.db = organisation.db

    def put(self, uid, name, *lines, of="contacts", by="ada"):
        return self.organisation.put(by, of, f"{uid}.vcf", card(uid, name, *lines))

    def called(self, number, login="ada", **how):
        with self.db.read() as session:
            found = {one.book.id: one for one in access.all_readable(session, login)}
            return callers.called(session, found, number, **{**GERMAN, **how})

    def told(self, number, login="ada", **how):
        """(how it was found, name, company)."""
        found = self.called(number, login, **how)
        return found.match, found.entry.name if found.entry else "", found.org


def eva(book, number="TEL;TYPE=WORK:+49 30 1234567", **where):
    book.put("eva", "Eva Muster", number, "ORG:Muster GmbH", **where)


EVA = (Match.EXACT, "Eva Muster", "Muster GmbH")
NOBODY = (None, "", "")


@pytest.mark.parametrize(
    "written",
    [
        "+49301234567",
        "+49 30 1234567",
        "0049301234567",
        "0301234567",
        "49301234567",  # exchanges that leave out the plus
        "301234567",  # and the zero
        "030/123-4567",
        "tel:+49-30-1234567",
        "\N{FULLWIDTH PLUS SIGN}49301234567",
    ],
)
def test_a_number_is_known_however_an_exchange_writes_it(book, written):
    eva(book)
    assert book.told(written) == EVA


@pytest.mark.parametrize("written", ["0301234567", "TEL:0049 30 1234567", "(030) 12 34 567", "+49 (0)30 1234567"])
def test_a_number_is_known_however_the_card_writes_it(book, written):
    eva(book, f"TEL;TYPE=WORK:{written.removeprefix('TEL:')}")
    assert book.told("+49301234567") == EVA


def test_the_prefix_of_an_outside_line_is_taken_off_where_nobody_has_the_number_with_it(book):
    eva(book)
    assert book.told("00301234567", outside_prefix="0") == EVA
    assert book.told("00049301234567", outside_prefix="0") == EVA
    assert book.told("90301234567", outside_prefix="9") == EVA
    # As it stands it is a Greek number.
    book.put("lea", "Lea", "TEL:030 2101234567")
    assert book.called("00302101234567", outside_prefix="0").entry.name == "Lea"
    book.put("nikos", "Nikos", "TEL:+30 210 1234567")
    assert book.called("00302101234567", outside_prefix="0").entry.name == "Nikos"


def test_the_last_seven_to_nine_digits_are_enough_where_nothing_else_is_known(book):
    eva(book)
    assert book.told("1234567", region="") == (Match.SUFFIX, "Eva Muster", "Muster GmbH")
    assert book.told("234567", region="") == NOBODY
    assert book.told("9999301234567", region="") == (Match.SUFFIX, "Eva Muster", "Muster GmbH")
    assert book.told("9999991234567", region="") == NOBODY  # nine digits are compared where both have them
    assert book.told("+49 40 1234567") == NOBODY


def test_a_number_without_its_area_on_the_card_is_found_by_its_last_digits(organisation, db):
    book = Asking(organisation)
    eva(book, "TEL:123 4567")
    assert book.told("+49301234567")[0] is Match.SUFFIX
    assert book.told("1234567")[0] is Match.EXACT


@pytest.mark.parametrize("number", ["+4930123456717", "+493012345671799"])
def test_an_extension_of_a_company_is_told_by_the_company_alone(book, number):
    eva(book)
    found = book.called(number)
    assert (found.match, found.entry, found.org, found.count) == (Match.TRUNK, None, "Muster GmbH", 1)
    assert book.told("+49301234567" + "12345") == NOBODY


def test_a_main_number_that_is_written_with_a_zero_stands_for_its_company(book):
    book.put("head", "Muster GmbH", "TEL;TYPE=WORK:+49 30 98765-0", "ORG:Muster GmbH")
    book.put("other", "Another", "TEL;TYPE=WORK:+49 30 55555 0", "ORG:Other GmbH")
    assert book.told("+493098765432") == (Match.TRUNK, "", "Muster GmbH")
    assert book.told("+493055555432") == NOBODY  # nothing says that this zero is the reception's


@pytest.mark.parametrize("kind", ["CELL", "HOME", "PAGER"])
def test_a_number_of_one_person_is_no_main_number(book, kind):
    eva(book, f"TEL;TYPE={kind}:+49 30 1234567")
    assert book.told("+4930123456717") == NOBODY
    assert book.told("+49301234567") == EVA


def test_the_longest_beginning_is_the_company_s(book):
    book.put("short", "Short", "TEL:+49 30 123456", "ORG:Short Ltd")
    book.put("long", "Long", "TEL:+49 30 1234567", "ORG:Long Ltd")
    assert book.told("+493012345671") == (Match.TRUNK, "", "Long Ltd")


def test_a_company_without_a_person_is_its_own_name(book):
    data = b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:co\r\nFN:Muster AG\r\nN:;;;;\r\nTEL:+49 30 1234567\r\nEND:VCARD\r\n"
    book.organisation.put("ada", "contacts", "co.vcf", data)
    assert book.told("+493012345671") == (Match.TRUNK, "", "Muster AG")
    assert book.told("+49301234567") == (Match.EXACT, "Muster AG", "")


@pytest.mark.parametrize("number", ["110", "17", "*21", "**610"])
def test_an_internal_number_is_its_digits_and_nothing_else(book, number):
    eva(book, f"TEL:{number}")
    assert book.told(number) == EVA
    assert book.told(f"{number}1") == NOBODY


def test_a_colleague_s_extension_is_the_number_behind_the_trunk(book):
    eva(book, "TEL:+49 30 1234-17")
    assert book.told("17", trunk="+49301234") == EVA
    assert book.told("17") == NOBODY
    assert book.told("18", trunk="+49301234") == NOBODY


@pytest.mark.parametrize("number", ["", " ", "anonymous", "+", "unknown", "()", "\x00", "€", "0", "+49"])
def test_what_is_no_number_is_nobody_s(book, number):
    eva(book)
    found = book.called(number)
    assert (found.match, found.entry, found.org, found.count) == (None, None, "", 0)


# -- several -----------------------------------------------------------------------------------------------------------


def test_several_cards_of_one_name_are_that_name(book):
    eva(book)
    eva(book, of="sales~leads")
    found = book.called("+49301234567")
    assert (found.entry.name, found.org, found.count) == ("Eva Muster", "Muster GmbH", 2)


def test_several_people_of_one_company_are_the_company(book):
    eva(book)
    book.put("jan", "Jan Muster", "TEL:+49 30 1234567", "ORG:MUSTER GmbH")
    found = book.called("+49301234567")
    assert (found.match, found.entry, found.org, found.count) == (Match.EXACT, None, "Muster GmbH", 2)


def test_of_several_others_the_first_book_s_is_told(book):
    book.put("zoe", "Zoe", "TEL:+49 30 1234567", "ORG:One")
    book.put("ann", "Ann", "TEL:+49 30 1234567", "ORG:Two", of="sales~leads")
    found = book.called("+49301234567")
    assert (found.entry.name, found.org, found.count) == ("Zoe", "One", 2)


def test_who_has_exactly_the_number_is_before_who_has_its_end(book):
    book.put("ann", "Ann", "TEL:+1 212 301 234 567"[:19])
    eva(book, of="sales~leads")
    assert book.called("+49301234567").count == 1
    assert book.told("+49301234567") == EVA


def test_a_number_that_everybody_has_keeps_nobody_else_out(book):
    """The main number on each card of a company, and one person's whole number that begins with it."""
    for number in range(callers.MOST + 10):
        book.put(f"x{number}", f"X {number}", "TEL;TYPE=WORK:+49 30 1234567", "ORG:Muster GmbH", of="sales~leads")
    book.put("eva", "Eva Muster", "TEL:+49 30 1234567-17", of="sales~leads")
    assert book.called("+4930123456717").entry.name == "Eva Muster"
    everybody = book.called("+49301234567")
    assert (everybody.entry, everybody.org, everybody.count) == (None, "Muster GmbH", callers.MOST)


# -- what isn't there --------------------------------------------------------------------------------------------------


def test_a_book_that_the_owner_can_t_read_is_not_asked(book):
    eva(book, by="carla")
    assert book.told("+49301234567") == NOBODY
    assert book.told("+49301234567", "carla") == EVA


def hide_in_view(db, address, *hidden):
    with db.write() as session:
        found = books.find(session, address)
        grants.give(session, found, "user:carla", Role.VIEWER, by=BY, hide=hidden)


@pytest.mark.parametrize("number", ["+49301234567", "0301234567", "1234567", "+4930123456717"])
@pytest.mark.parametrize("hidden", ["tel", "tel:work"])
def test_a_hidden_number_is_as_unknown_as_one_that_is_not_there(book, db, number, hidden):
    hide_in_view(db, "sales/leads", hidden)
    nobody = book.called(number, "carla")
    eva(book, of="sales~leads")
    assert book.called(number, "carla") == nobody
    assert book.told(number)[0] is not None


def test_a_hidden_company_is_told_nowhere(book, db):
    hide_in_view(db, "sales/leads", "org")
    eva(book, of="sales~leads")
    assert book.told("+49301234567", "carla") == (Match.EXACT, "Eva Muster", "")
    assert book.told("+4930123456717", "carla") == NOBODY


def test_hidden_numbers_don_t_keep_others_of_the_same_card_out(book, db):
    hide_in_view(db, "sales/leads", "tel:home")
    book.put("eva", "Eva", "TEL;TYPE=HOME:+49 30 7654321", "TEL;TYPE=WORK:+49 30 1234567", of="sales~leads")
    assert book.told("+49301234567", "carla")[1] == "Eva"
    assert book.told("+49307654321", "carla") == NOBODY


def test_what_a_phone_does_not_show_finds_nothing_on_it(book):
    eva(book, "TEL;TYPE=HOME:+49 30 1234567")
    shown = set(FIELDS) - {"tel:home"}
    assert book.told("+49301234567", fields=shown) == NOBODY
    assert book.told("+49301234567", fields={"tel:home"}) == (Match.EXACT, "Eva Muster", "")


def test_a_phone_that_shows_no_companies_is_told_of_none(book):
    eva(book)
    book.put("jan", "Jan Muster", "TEL:+49 30 1234567", "ORG:Muster GmbH")
    shown = set(FIELDS) - {"org"}
    found = book.called("+49301234567", fields=shown)
    assert (found.entry.name, found.org, found.count) == ("Eva Muster", "", 2)
    assert book.told("+4930123456717", fields=shown) == NOBODY


@pytest.mark.parametrize("login", ["ada", "carla"])
def test_a_card_that_is_hidden_from_phones_calls_as_nobody(book, db, login):
    hide_in_view(db, "sales/leads", "note")
    eva(book, of="sales~leads")
    found = book.organisation.book("sales/leads")
    with db.write(found.id) as session:
        phone_books.hide_card(session, found, "eva.vcf", hidden=True, by=BY)
    assert book.told("+49301234567", login) == NOBODY
    with db.write(found.id) as session:
        phone_books.hide_card(session, found, "eva.vcf", hidden=False, by=BY)
    assert book.told("+49301234567", login) == EVA


def test_a_deleted_card_calls_as_nobody_and_a_changed_one_by_its_new_number(book):
    eva(book)
    eva(book, "TEL:+49 30 7654321")
    assert book.told("+49301234567") == NOBODY
    assert book.told("+49307654321") == EVA
    book.organisation.remove("ada", "contacts", "eva.vcf")
    assert book.told("+49307654321") == NOBODY


# -- what it costs -----------------------------------------------------------------------------------------------------


def test_a_caller_costs_one_select_where_nothing_is_hidden_and_two_where_something_is(book, db, statements):
    hide_in_view(db, "sales/leads", "note")
    eva(book, of="sales~leads")
    eva(book, of="contacts", by="carla")
    for login, number, most in (
        ("ada", "+49301234567", 1),
        ("carla", "+49301234567", 2),
        ("carla", "+4930123456717", 2),
        ("ada", "+49309999999", 1),
        ("carla", "anonymous", 0),
    ):
        with db.read() as session:
            found = {one.book.id: one for one in access.all_readable(session, login)}
            statements.clear()
            callers.called(session, found, number, region="DE", outside_prefix="0", trunk="+493012")
        assert len(statements) == most


@pytest.mark.parametrize("several", list(callers._CANDIDATES))
def test_callers_are_found_by_the_index_alone(book, db, several):
    """So it costs as much among 100,000 cards as among ten."""
    asked = {"whole": [1, 2], "partly": [3], "exact": ["d1", "d2"], "stems": ["d1"], "last": "s1", "behind": "s1:"}
    if db.engine.dialect.name == "postgresql":
        pytest.skip("PostgreSQL plans by what it has counted")
    with db.read() as session:
        plan = explained(session, callers._CANDIDATES[several], asked)
    keys = [step for step in plan if "entry_keys" in step]
    assert len(keys) == 3 * len(several)
    assert all(step.startswith("SEARCH entry_keys USING PRIMARY KEY (book_id=? AND key") for step in keys)
    assert {step.split()[1] for step in plan if step.startswith("SCAN")} <= {f"anon_{one}" for one in range(1, 7)}


def explained(session, statement, values):
    """SQLite's plan of a statement, a line for each step."""
    compiled = statement._for(session.get_bind().dialect)
    text = compiled._text_for(tuple(len(values[name]) for name in compiled._lists))
    given = tuple(compiled._spread({**compiled._fixed, **values}))
    return [row[-1] for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", given)]


@given(number=st.text("0123456789+*# ()-/.", max_size=40) | st.text(max_size=300))
@examples(60)
def test_whatever_is_asked_is_answered(book, number):
    found = book.called(number, outside_prefix="0", trunk="+49301234")
    assert found.count == 0

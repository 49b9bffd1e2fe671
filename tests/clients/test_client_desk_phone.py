"""Desk and soft phones with CardDAV: pointed at a home or at a book itself, they only read, by queries, in 3.0."""

import pytest

from tests.clients.answers import is_book
from tests.clients.conftest import Office
from tests.clients.life import BOTH, Reading, assert_equal
from tests.clients.programs import LEADS, OWN, Program
from tests.conftest import card
from tests.dav.conftest import CARDDAV


class DeskPhone(Program):
    """It holds nothing between two queries, and goes on asking for a book that is gone."""

    user_agent = "Yealink SIP-T54W 96.87.0.10"

    def set_up(self, start="/ada/"):
        listed = self.propfind(start, "D:resourcetype D:displayname", "1")
        assert listed.status == 207
        self.books = [href for href in listed.hrefs if is_book(listed, href)]

    def refresh(self):
        """Its administrator named the address; it never looks for another."""

    def query(self, book, match="", extra=""):
        """The cards with a name, or those of which a name or a number has ``match`` in it."""
        names = ("FN",) if not match else ("FN", "TEL", "ORG")
        match = f'<C:text-match match-type="contains">{match}</C:text-match>' if match else ""
        filters = "".join(f'<C:prop-filter name="{name}">{match}</C:prop-filter>' for name in names)
        wanted = "<D:prop><D:getetag/><C:address-data/></D:prop>"
        return self.report(
            book, "C:addressbook-query", f'{wanted}<C:filter test="anyof">{filters}</C:filter>{extra}', Depth="1"
        )

    def poll(self, book):
        return self.query(book)

    def sync(self):
        self.held = {}
        super().sync()

    def lose(self, book):
        """It shows an error."""

    def sync_book(self, book, polled):
        self.take(polled)

    def found(self, match, extra=""):
        answer = self.query(LEADS, match, extra)
        return [answer.text(url, f"{CARDDAV}address-data") for url in answer.hrefs if url != LEADS]


class TestDeskPhone(Reading):
    kind = DeskPhone
    starts = {"/ada/": [OWN, LEADS], LEADS: [LEADS]}  # noqa: RUF012  # read only

    def assert_lost(self, program, office: Office):
        assert program.books == [OWN, LEADS]
        assert_equal(program, office.stored("ada/contacts"))

    def test_a_caller_is_found_by_any_part_of_name_firm_or_number(self, program, office: Office):
        office.put("call.vcf", card("call", "Cara Caller", "TEL:+49 30 555 01", "ORG:Bureau"))
        for match in ("cara", "555 01", "BUREAU"):
            assert [one for one in program.found(match) if "UID:call" in one], match
        assert program.found("nobody at all") == []

    @pytest.mark.parametrize("limit", [1, 2])
    def test_it_gets_no_more_cards_than_it_has_room_for(self, program, limit):
        assert len(program.found("", f"<C:limit><C:nresults>{limit}</C:nresults></C:limit>")) == limit

    def test_a_user_who_may_only_read_gets_the_same(self, application, office: Office):
        office.give("viewer")
        program = self.new(application)
        program.sync()
        assert_equal(program, office.stored(*BOTH))

    def test_a_single_card_can_be_fetched(self, program):
        assert program.send("GET", program.url("three")).body == program.shown()["three"]

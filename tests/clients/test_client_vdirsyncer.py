"""vdirsyncer: two-way by ETags, looks at nothing else; a real one is run in tests/proofs."""

from tests.clients.answers import require
from tests.clients.kinds import TwoWay
from tests.clients.life import ALL, BOTH, Reading, RefusedWrites, Writing, assert_equal, wherever_it_is_pointed
from tests.clients.programs import LEADS, OWN, WELL_KNOWN, Held
from tests.conftest import card


class Vdirsyncer(TwoWay):
    """An answer to PUT that isn't empty it would read as a multistatus; without an ETag it fetches the card."""

    user_agent = "vdirsyncer/0.20.0"
    reads = ("3.0", "4.0")
    item_properties = "D:getcontenttype D:getetag"

    def set_up(self, start=WELL_KNOWN):
        principal = self.link(start, "D:current-user-principal")
        self.home = self.link(principal, "C:addressbook-home-set")
        self.refresh()

    def refresh(self):
        """``vdirsyncer discover``"""
        self.books_in(self.home, "D:resourcetype")
        self.may = dict.fromkeys(self.books, ALL)

    def sync_book(self, book, polled):
        for href in [one for one in polled.hrefs if one != book]:
            require(polled, href, "D:getcontenttype D:getetag")
        super().sync_book(book, polled)

    def uploaded(self, url, answer):
        assert answer.body == b""
        super().uploaded(url, answer)


class TestVdirsyncer(Reading, Writing, RefusedWrites):
    kind = Vdirsyncer
    starts = wherever_it_is_pointed(OWN, LEADS)

    def settle(self, program):
        """What a run tries and is refused the next one sees as changed on both sides."""
        program.sync()
        program.sync()

    def test_a_card_goes_there_and_back_byte_for_byte(self, application, program, office):
        data = card("odd-bytes", "Odd", "X-A;B=c:1", "note:folded", " here", "x-empty:").replace(b"\r\n", b"\n")
        url = f"{LEADS}a%20b.vcf"
        program.held[url] = Held(data, dirty=True)
        program.sync()
        other = self.new(application)

        other.sync()

        assert other.held[url].data == data
        assert office.stored()["odd-bytes"] == data

    # It never gives up a card of its user's: with "partial_sync = revert" it takes it back without asking the server.
    def test_a_refused_new_card_is_tried_at_each_run_until_it_may_be_there(self, program, office):
        office.give("viewer")
        program.create(LEADS, "made")
        self.settle(program)
        assert set(program.shown()) == {*office.stored(*BOTH), "made"}

        office.give("contributor")
        self.settle(program)

        assert "made" in office.stored()
        assert_equal(program, office.stored(*BOTH))

    def test_a_card_that_was_edited_here_and_deleted_there_is_kept(self, program, office):
        program.edit("three", "NOTE", "after")
        office.remove("three.vcf")

        program.sync()

        assert "three" in office.stored()
        assert_equal(program, office.stored(*BOTH))

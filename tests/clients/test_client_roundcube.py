"""Roundcube (rcmcarddav): syncs by token with Depth 0, posts new cards, wants short answers, looks at no privileges."""

from radicale_shared.vcard import Card
from tests.clients.answers import etags, require
from tests.clients.kinds import ServerFirst
from tests.clients.life import (
    ALL,
    BOTH,
    Polling,
    Reading,
    RefusedNewCards,
    RefusedWrites,
    Writing,
    assert_equal,
    wherever_it_is_pointed,
)
from tests.clients.programs import LEADS, OWN, WELL_KNOWN, Held
from tests.conftest import card
from tests.dav.conftest import CARDDAV, DAV

MINIMAL = {"Prefer": "return=minimal"}
MOST_ROUNDS = 10


class Roundcube(ServerFirst):
    """After ten pages it goes on at the next sync; a token that is refused it replaces by none."""

    user_agent = "RCMCardDAV/5.1.0 CardDavClient/1.5.0"
    reads = ("3.0", "4.0")
    limit = 0

    def set_up(self, start=WELL_KNOWN):
        principal = self.link(start, "D:current-user-principal", **MINIMAL)
        self.home = self.link(principal, "C:addressbook-home-set", **MINIMAL)
        self.refresh()

    def refresh(self):
        self.books_in(self.home, "D:resourcetype D:displayname", "", **MINIMAL)
        self.may = dict.fromkeys(self.books, ALL)

    def poll(self, book):
        names = (
            "D:resourcetype D:sync-token D:supported-report-set D:add-member D:displayname CS:getctag "
            "C:supported-address-data C:addressbook-description C:max-resource-size"
        )
        return self.propfind(book, names, **MINIMAL)

    def create(self, book, uid, *lines):
        """By POST where the server offers it (RFC 5995); the answer says where the card is."""
        offered = self.ask(book, "", "D:add-member D:resourcetype").prop(book, f"{DAV}add-member")
        if offered is None:
            super().create(book, uid, *lines)
            return
        target = offered.findtext(f"{DAV}href")
        data = card(uid, "", *lines, version=self.writes)
        answer = self.send("POST", target, data, Content_Type="text/vcard")
        if answer.status == 201:
            url = answer.headers["Location"]
            self.held[url] = Held(data)
            self.uploaded(url, answer)

    def sync_book(self, book, polled):
        needed = "D:resourcetype D:sync-token D:supported-report-set CS:getctag C:supported-address-data"
        require(polled, book, needed)
        if self.tokens.get(book) == polled.text(book, f"{DAV}sync-token"):
            return
        limit = f"<D:limit><D:nresults>{self.limit}</D:nresults></D:limit>" if self.limit else ""
        present = None if self.tokens.get(book) else set()
        for _ in range(MOST_ROUNDS):
            answer = self.changes(book, limit, Depth="0", **MINIMAL)
            if answer.status != 207:
                assert self.tokens.pop(book, ""), "a first sync can't be refused"
                present = set()
                continue
            told = etags(answer)
            for url in answer.hrefs:
                if url != book and answer.status_of(url):
                    self.held.pop(url, None)
            self.fetch(book, self.news(told))
            self.tokens[book] = answer.token
            if present is not None:
                present.update(told)
            if book not in answer.hrefs:
                if present is not None:
                    self.held = {
                        url: one for url, one in self.held.items() if not url.startswith(book) or url in present
                    }
                return


class TestRoundcube(Reading, Polling, Writing, RefusedWrites, RefusedNewCards):
    kind = Roundcube
    starts = wherever_it_is_pointed(OWN, LEADS)

    def test_a_new_card_is_posted_and_its_place_is_told(self, program, office):
        program.create(LEADS, "made")

        assert program.url("made") == f"{LEADS}made.vcf"
        assert office.stored()["made"] == program.shown()["made"]

    def test_ten_pages_at_a_sync_bring_every_change_in_the_end(self, program, office):
        program.limit = 1
        for number in range(13):
            office.put(f"{number}.vcf", card(f"new{number}"))

        program.sync()
        assert len(set(program.shown()) & {f"new{number}" for number in range(13)}) == MOST_ROUNDS
        program.sync()

        assert_equal(program, office.stored(*BOTH))

    def test_groups_are_apple_groups_and_categories(self, program, office):
        program.create(LEADS, "team", "X-ADDRESSBOOKSERVER-KIND:group", "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:three")
        program.edit("odd", "CATEGORIES", "Team")
        program.sync()

        assert Card.parse(office.stored()["odd"]).text("CATEGORIES") == "Team"
        assert_equal(program, office.stored(*BOTH))

    def test_its_search_gets_parts_of_a_bounded_number_of_cards(self, program, office):
        for number in range(5):
            office.put(f"{number}.vcf", card(f"new{number}", "", f"EMAIL:{number}@example.org"))
        parts = '<C:prop name="FN"/><C:prop name="EMAIL"/>'
        answer = program.report(
            LEADS,
            "C:addressbook-query",
            f"<D:prop><C:address-data>{parts}</C:address-data></D:prop>"
            '<C:filter><C:prop-filter name="EMAIL"><C:text-match>example.org</C:text-match></C:prop-filter></C:filter>'
            "<C:limit><C:nresults>3</C:nresults></C:limit>",
            Depth="1",
        )

        cards = [href for href in answer.hrefs if href != LEADS]
        assert len(cards) == 3
        assert answer.status_of(LEADS) == "HTTP/1.1 507 Insufficient Storage"
        for href in cards:
            found = Card.parse(answer.text(href, f"{CARDDAV}address-data").encode())
            assert {line.name for line in found.lines} == {"VERSION", "FN", "EMAIL"}

"""Evolution: writes to the server first, syncs by token, else by a listing, takes vCard 4.0, wants short answers."""

import pytest

from radicale_shared.vcard import Card
from tests.clients.answers import conditions, etags, privileges
from tests.clients.kinds import ServerFirst
from tests.clients.life import (
    ALL,
    Polling,
    Reading,
    RefusedNewCards,
    RefusedWrites,
    Writing,
    by_role,
    wherever_it_is_pointed,
)
from tests.clients.programs import LEADS, OWN, WELL_KNOWN
from tests.dav.conftest import CARDDAV, DAV

MINIMAL = {"Prefer": "return=minimal"}


class Evolution(ServerFirst):
    """It takes a token without ":" and "/" for a ctag, and a 403 or 412 to its token for one that is too old."""

    user_agent = "Evolution/3.52.3"
    reads = ("4.0",)
    asks_for = "4.0"
    writes = "4.0"
    batch = 100

    def __init__(self, application, login="ada"):
        super().__init__(application, login)
        self.allows = {}

    def set_up(self, start=WELL_KNOWN):
        principal = self.link(start, "D:current-user-principal", "D:resourcetype", **MINIMAL)
        self.home = self.link(principal, "C:addressbook-home-set", **MINIMAL)
        self.refresh()

    def refresh(self):
        self.books_in(self.home, "D:resourcetype D:displayname", "C:addressbook-description", **MINIMAL)
        for book in self.books:
            self.open(book)

    def open(self, book):
        options = self.send("OPTIONS", book)
        assert "addressbook" in options.headers["DAV"]
        # Where it is told no privileges it goes by the methods.
        self.allows[book] = {one.strip() for one in options.headers["Allow"].split(",")}
        needed = "CS:getctag C:supported-address-data D:supported-report-set D:current-user-privilege-set"
        found = self.ask(book, needed, "D:owner", **MINIMAL)
        assert found.xml.find(f".//{DAV}supported-report/{DAV}report/{DAV}sync-collection") is not None
        self.may[book] = ALL if {"all", "write", "write-content"} & privileges(found, book) else set()

    def poll(self, book):
        return self.propfind(book, "D:sync-token CS:getctag", **MINIMAL)

    def sync_book(self, book, polled):
        token = polled.text(book, f"{DAV}sync-token")
        assert ":" in token
        assert "/" in token
        if self.tokens.get(book) == token:
            return
        answer = self.changes(book, **MINIMAL) if book in self.tokens else None
        if answer is not None and answer.status == 207:
            for url in answer.hrefs:
                if answer.status_of(url):
                    self.held.pop(url, None)
            self.fetch(book, self.news(etags(answer)))
            self.tokens[book] = answer.token
            return
        if answer is not None:
            assert answer.status == 412 or (answer.status, conditions(answer)) == (403, ["valid-sync-token"])
        self.compare(book, self.listing(book, **MINIMAL))
        self.tokens[book] = token


class TestEvolution(Reading, Polling, Writing, RefusedWrites, RefusedNewCards):
    kind = Evolution
    starts = wherever_it_is_pointed(OWN, LEADS)
    sees = by_role(viewer="", contributor="")

    @pytest.mark.parametrize("role", ["viewer", "contributor", "editor", "curator"])
    def test_the_methods_of_a_book_tell_the_same_as_its_privileges(self, application, office, role):
        office.give(role)

        program = self.new(application)

        assert bool({"PUT", "POST", "DELETE"} & program.allows[LEADS]) == (role != "viewer")
        assert ("DELETE" in program.allows[LEADS]) == (role == "curator")

    def test_its_search_is_answered_with_the_parts_it_asks_for(self, program):
        parts = '<C:prop name="VERSION"/><C:prop name="UID"/><C:prop name="EMAIL"/>'
        wanted = f'<D:prop><D:getetag/><C:address-data version="4.0">{parts}</C:address-data></D:prop>'
        match = '<C:text-match match-type="contains">ŽOFIE</C:text-match>'
        answer = program.report(
            LEADS,
            "C:addressbook-query",
            f'{wanted}<C:filter test="anyof"><C:prop-filter name="FN">{match}</C:prop-filter></C:filter>',
            Depth="1",
        )

        assert answer.hrefs == [f"{LEADS}four.vcf"]
        found = Card.parse(answer.text(answer.hrefs[0], f"{CARDDAV}address-data").encode())
        assert {line.name for line in found.lines} == {"VERSION", "UID", "EMAIL"}

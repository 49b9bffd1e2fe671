"""Thunderbird: decides once whether a book may be written, writes blindly, and starts over on 400 alone."""

from tests.clients.answers import etags, is_book, privileges, require
from tests.clients.life import (
    ALL,
    BOTH,
    Polling,
    Reading,
    RefusedWrites,
    Writing,
    assert_equal,
    by_role,
    wherever_it_is_pointed,
)
from tests.clients.programs import LEADS, OWN, WELL_KNOWN, Held, Program, book_of
from tests.conftest import card
from tests.dav.conftest import CARDDAV, DAV

WRITE = {"all", "write", "write-content", "write-properties"}
UNSENT = "unsent:"
OF_A_BOOK = "D:resourcetype D:displayname D:current-user-privilege-set"


class Thunderbird(Program):
    """It passes over a response whose first status isn't "HTTP/1.1 200 OK", and 403 to a token ends a book's sync.

    waiting: what was done offline, in the order it was done
    """

    user_agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.4.0"
    reads = ("3.0", "4.0")
    writes = "4.0"
    careful = False
    batch = 100_000
    offline = False

    def __init__(self, application, login="ada"):
        super().__init__(application, login)
        self.waiting = []

    def set_up(self, start=WELL_KNOWN):
        listed = self.propfind(start, f"{OF_A_BOOK} D:current-user-principal")
        if not is_book(listed, start):
            principal = listed.prop(start, f"{DAV}current-user-principal").findtext(f"{DAV}href")
            # The first home alone, whatever follows.
            home = self.link(principal, "C:addressbook-home-set")
            listed = self.propfind(home, OF_A_BOOK, "1")
        self.check_first_statuses(listed)
        for book in [href for href in listed.hrefs if is_book(listed, href)]:
            require(listed, book, "D:displayname D:current-user-privilege-set")
            self.books.append(book)
            self.may[book] = ALL if WRITE & privileges(listed, book) else set()

    def refresh(self):
        """It never looks again."""

    # -- what its user does --------------------------------------------------------------------------------------------

    def create(self, book, uid, *lines):
        """The card has no URL until the server took it."""
        self.held[f"{book}{UNSENT}{uid}"] = Held(card(uid, "", *lines, version=self.writes))
        self.changed(f"{book}{UNSENT}{uid}")

    def changed(self, url):
        if self.offline:
            self.waiting.append(url)
            return
        self.upload(url)

    def upload(self, url):
        """Any answer below 400 is a success to it; then it asks for the card, and keeps its own if there is none."""
        target = url.replace(UNSENT, "") + (".vcf" if UNSENT in url else "")
        answer = self.send("PUT", target, self.held[url].data, Content_Type="text/vcard")
        if answer.status < 400:
            found = self.multiget(book_of(url), [target])
            if not found.status_of(target):
                self.held.pop(url)
                self.take(found)
        return answer

    # -- sync ----------------------------------------------------------------------------------------------------------

    def sync(self):
        waiting, self.waiting = self.waiting, []
        for url in waiting:
            assert self.upload(url).status < 400, "it would try this again before each sync, and never come to that"
        super().sync()

    def lose(self, book):
        """It reports an error, and tries again later."""

    def poll(self, book):
        if book not in self.tokens:
            return self.propfind(book, "D:resourcetype D:getetag", "1")
        return self.changes(book, wanted="<D:getetag/><C:address-data/>", Depth="1")

    def sync_book(self, book, polled):
        if book in self.tokens and polled.status == 207:
            self.take_changes(book, polled)
            return
        if book in self.tokens:
            assert polled.status == 400, "after a 403 it would never sync this book again"
        self.check_first_statuses(listed := self.propfind(book, "D:resourcetype D:getetag", "1"))
        self.compare(book, etags(listed))
        self.tokens[book] = self.ask(book, "D:displayname D:sync-token").text(book, f"{DAV}sync-token")

    def compare(self, book, listed):
        unsent = {url: one for url, one in self.held.items() if UNSENT in url}
        super().compare(book, listed)
        self.held.update(unsent)

    def take_changes(self, book, answer):
        told = etags(answer)
        for url in answer.hrefs:
            if url not in told:
                assert answer.status_of(url) == "HTTP/1.1 404 Not Found", "a page's end is passed over"
                self.held.pop(url, None)
        new = self.news(told)
        for url in list(answer.responses):
            if url in new and answer.prop(url, f"{CARDDAV}address-data") is not None:
                self.held[url] = Held(answer.text(url, f"{CARDDAV}address-data").encode(), told[url])
        self.fetch(book, self.news(told))
        self.tokens[book] = answer.token


class TestThunderbird(Reading, Polling, Writing, RefusedWrites):
    kind = Thunderbird
    starts = wherever_it_is_pointed(OWN, LEADS) | {LEADS: [LEADS]}
    sees = by_role(viewer="", contributor="")

    def assert_lost(self, program, office):
        """It keeps asking for the book, and what it has of it."""
        assert program.books == [OWN, LEADS]
        assert set(program.shown()) == {"own", "three", "four", "odd"}

    def test_a_whole_book_is_one_multiget(self, application, office):
        for number in range(600):
            office.put(f"{number}.vcf", card(f"uid-{number}"))
        program = self.new(application)

        program.sync()

        assert len(program.shown()) == 604

    def test_the_next_sync_brings_the_cards_themselves(self, program, office):
        office.put("new.vcf", card("new"))
        program.fetched.clear()

        program.sync()

        assert program.fetched == []
        assert program.shown()["new"] == card("new")

    def test_it_is_given_3_0_until_it_has_written_4_0_itself(self, application, program, office):
        assert program.text("four", "VERSION") == "3.0"
        program.create(OWN, "made")
        office.put("three.vcf", card("three", "Björn", "TEL:1"))
        office.put("four.vcf", card("four", "Žofie", "TEL:1", version="4.0"))

        program.sync()

        assert {program.text(uid, "VERSION") for uid in ("three", "four", "made")} == {"4.0"}
        assert_equal(program, office.stored(*BOTH))

    def test_of_two_single_values_its_own_wins_and_the_other_is_kept_in_the_history(self, program, office):
        office.put("three.vcf", card("three", "Björn", "BDAY:1990-01-01"))

        program.edit("three", "BDAY", "1991-02-02")
        program.sync()

        assert program.text("three", "BDAY") == "1991-02-02"
        assert "BDAY:1990-01-01" in office.conflicts()
        assert_equal(program, office.stored(*BOTH))

    # No server can take it back: Thunderbird looks for what was removed among the cards it got from the server.
    def test_a_refused_new_card_stays_in_thunderbird_and_the_book_goes_on(self, program, office):
        office.give("viewer")
        program.create(LEADS, "made")
        office.put("later.vcf", card("later"))

        program.sync()

        assert "made" not in office.stored()
        assert set(program.shown()) == {*office.stored(*BOTH), "made"}
        assert program.shown()["later"] == card("later")

    def test_what_was_done_offline_reaches_the_server_later(self, program, office):
        program.offline = True
        program.edit("three", "NOTE", "offline")
        program.create(LEADS, "made")
        program.offline = False

        program.sync()

        assert "made" in office.stored()
        assert_equal(program, office.stored(*BOTH))

    def test_an_edit_that_waited_and_was_refused_does_not_stop_the_book_and_is_taken_back(self, program, office):
        program.offline = True
        program.edit("three", "NOTE", "offline")
        office.give("viewer")
        program.offline = False

        program.sync()

        assert_equal(program, office.stored(*BOTH))

    def test_a_new_card_that_waited_and_was_refused_stays_in_thunderbird_alone(self, program, office):
        program.offline = True
        program.create(LEADS, "made")
        office.give("viewer")
        program.offline = False

        program.sync()

        assert set(program.shown()) == {*office.stored(*BOTH), "made"}

"""DAVx5: syncs by token, takes vCard 4.0, decides by privileges, and forgets a card even when its DELETE fails."""

from radicale_shared.vcard import Card
from tests.clients.answers import conditions, etags, privileges, require
from tests.clients.life import (
    ALL,
    BOTH,
    Polling,
    Reading,
    RefusedNewCards,
    RefusedWrites,
    Writing,
    assert_equal,
    by_role,
    wherever_it_is_pointed,
)
from tests.clients.programs import LEADS, OWN, WELL_KNOWN, Program, book_of
from tests.conftest import card
from tests.dav.conftest import CARDDAV, DAV

OF_A_BOOK = "CS:getctag D:sync-token D:supported-report-set C:max-resource-size C:supported-address-data"


class DAVx5(Program):
    """An answer without sync-token, and a 403 to an upload without need-privileges, stop its sync for good.

    limit: how many changes it asks for at a time, if it sets a limit
    """

    user_agent = "DAVx5/4.4.1-ose (dav4jvm; okhttp/4.12.0) Android/14"
    reads = ("4.0",)
    asks_for = "4.0"
    writes = "4.0"
    batch = 10
    limit = 0

    def __init__(self, application, login="ada"):
        super().__init__(application, login)
        self.deleted = {}
        self.pages = 0

    # -- setting up ----------------------------------------------------------------------------------------------------

    def set_up(self, start=WELL_KNOWN):
        optional = "D:displayname C:addressbook-home-set C:addressbook-description"
        found = self.ask(start, "D:resourcetype D:current-user-principal", optional)
        principal = found.prop(start, f"{DAV}current-user-principal").findtext(f"{DAV}href")
        assert "addressbook" in self.send("OPTIONS", principal).headers["DAV"]
        needed = "D:displayname D:resourcetype C:addressbook-home-set"
        found = self.ask(principal, needed, "D:group-membership")
        groups = found.prop(principal, f"{DAV}group-membership")
        for group in groups.findall(f"{DAV}href") if groups is not None else ():
            # It would list every book of such a home once more.
            theirs = self.propfind(group.text, "C:addressbook-home-set")
            assert theirs.prop(group.text, f"{CARDDAV}addressbook-home-set") is None
        self.home = self.link(principal, "C:addressbook-home-set")
        self.refresh()

    def refresh(self):
        needed = "D:current-user-privilege-set D:displayname D:owner D:resourcetype"
        listed = self.books_in(self.home, needed, "C:addressbook-description P:transports P:topic")
        require(listed, self.home, "D:current-user-privilege-set")
        self.may = {book: ALL if "write-content" in privileges(listed, book) else set() for book in self.books}

    # -- what its user does, which waits for the next sync -------------------------------------------------------------

    def changed(self, url):
        """It waits."""

    def delete(self, uid):
        url = self.url(uid)
        self.deleted[url] = self.held.pop(url).etag

    def push(self, book):
        """Whether there was anything to send."""
        deleted = [url for url in self.deleted if book_of(url) == book]
        for url in deleted:
            if etag := self.deleted.pop(url):  # dropped whatever the answer is
                self.send("DELETE", url, If_Match=etag)
        dirty = [url for url, one in self.held.items() if one.dirty and book_of(url) == book]
        for url in dirty:
            self.upload(url)
        return bool(deleted or dirty)

    def refused(self, url, answer):
        super().refused(url, answer)
        match answer.status:
            case 403:
                assert conditions(answer) == ["need-privileges"], "its sync fails hard, again and again"
            case 404 | 410 if self.held[url].etag:
                self.held[url].etag = ""
                self.upload(url)  # once more, as a new card
            case 404 | 410:
                self.lose(book_of(url))
            case _:
                assert answer.status in (409, 412), answer.status  # the server wins

    # -- sync ----------------------------------------------------------------------------------------------------------

    def poll(self, book):
        return self.propfind(book, f"{OF_A_BOOK} CAL:max-resource-size")

    def sync_book(self, book, polled):
        require(polled, book, OF_A_BOOK)
        supported = polled.prop(book, f"{CARDDAV}supported-address-data")
        assert self.asks_for in {one.get("version") for one in supported}
        sent = self.push(book)
        if book in self.books and (sent or self.tokens.get(book) != polled.text(book, f"{DAV}sync-token")):
            self.pull(book)

    def pull(self, book):
        """All changes, page by page; whatever a first sync doesn't tell of is not there any more."""
        present = None if self.tokens.get(book) else set()
        limit = f"<D:limit><D:nresults>{self.limit}</D:nresults></D:limit>" if self.limit else ""
        more = True
        while more:
            self.pages += 1
            answer = self.changes(book, limit)
            if answer.status != 207:
                assert "valid-sync-token" in conditions(answer), answer.status
                assert self.tokens.pop(book, ""), "a first sync can't be refused"
                present = set()
                continue
            assert answer.token, "an answer without sync-token is an error"
            more = self.take_changes(book, answer, present)
            self.tokens[book] = answer.token
        if present is not None:
            self.held = {url: one for url, one in self.held.items() if book_of(url) != book or url in present}

    def take_changes(self, book, answer, present):
        """Whether more follow: a 507 for the book itself (RFC 6578, section 3.6)."""
        more = False
        for url in answer.hrefs:
            if url == book:
                assert answer.status_of(url) == "HTTP/1.1 507 Insufficient Storage"
                more = True
            elif answer.status_of(url):
                self.held.pop(url, None)
        told = etags(answer)
        self.fetch(book, self.news(told))
        if present is not None:
            present.update(told)
        return more


class TestDAVx5(Reading, Polling, Writing, RefusedWrites, RefusedNewCards):
    kind = DAVx5
    starts = wherever_it_is_pointed(OWN, LEADS)
    sees = by_role(viewer="", contributor="")

    def test_page_by_page_it_gets_every_change(self, program, application, office):
        program.limit = 2
        paging = self.kind(application)
        paging.set_up()
        paging.limit = 2
        paging.sync()
        assert_equal(paging, office.stored(*BOTH))
        for number in range(5):
            office.put(f"{number}.vcf", card(f"new{number}"))
        office.remove("three.vcf")
        program.pages = 0

        program.sync()

        assert program.pages == 3
        assert_equal(program, office.stored(*BOTH))

    def test_more_refusals_than_fit_a_page_are_taken_back(self, program, office):
        program.limit = 2
        office.give("viewer")
        for number in range(5):
            program.create(LEADS, f"new{number}")
        program.edit("three", "NOTE", "refused")
        program.delete("four")

        program.sync()

        assert_equal(program, office.stored(*BOTH))

    def test_what_one_phone_was_refused_harms_no_other_phone_with_the_same_login(self, application, program, office):
        other = self.new(application)
        other.sync()
        office.give("viewer")
        program.edit("three", "NOTE", "refused")
        program.create(LEADS, "made")
        program.push(LEADS)

        for phone in (other, program, other):
            phone.sync()

        assert_equal(other, office.stored(*BOTH))
        assert_equal(program, office.stored(*BOTH))

    def test_an_edit_of_a_card_that_was_deleted_there_gives_way(self, program, office):
        office.remove("three.vcf")
        program.edit("three", "NOTE", "after")

        program.sync()

        assert "three" not in office.stored()
        assert_equal(program, office.stored(*BOTH))

    def test_an_edit_that_meets_a_book_that_is_gone_ends_without_the_book_and_comes_back_without_the_edit(
        self, program, office
    ):
        program.edit("three", "NOTE", "after")
        office.dismiss()
        program.sync()
        program.refresh()
        assert_equal(program, office.stored("ada/contacts"))

        office.welcome()
        program.refresh()
        program.sync()

        assert_equal(program, office.stored(*BOTH))

    def test_an_upload_that_meets_a_book_that_is_gone_is_tried_as_new_and_then_given_up(self, program, office):
        office.dismiss()
        program.edit("three", "NOTE", "after")

        program.push(LEADS)

        assert program.books == [OWN]
        assert_equal(program, office.stored("ada/contacts"))

    def test_a_card_of_another_version_that_it_edits_keeps_its_version(self, program, office):
        assert Card.parse(program.shown()["three"]).version == "4.0"

        program.edit("three", "NOTE", "after")
        program.sync()

        assert Card.parse(office.stored()["three"]).version == "3.0"

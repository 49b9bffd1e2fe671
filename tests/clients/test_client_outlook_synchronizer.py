"""Outlook's CalDav Synchronizer: two-way by ETags, judges each right by itself, reads 3.0."""

import pytest

from tests.clients.answers import privileges, require
from tests.clients.kinds import TwoWay
from tests.clients.life import ALL, BOTH, Reading, RefusedWrites, Writing, assert_equal, by_role, wherever_it_is_pointed
from tests.clients.programs import LEADS, OWN, WELL_KNOWN
from tests.clients.test_client_davx5 import DAVx5


class CalDavSynchronizer(TwoWay):
    """It names states without quotes, as some servers want it."""

    user_agent = "CalDavSynchronizer/4.4.1"
    item_properties = "D:getetag D:getcontenttype"

    def set_up(self, start=WELL_KNOWN):
        principal = self.link(start, "D:current-user-principal")
        self.home = self.link(principal, "C:addressbook-home-set")
        self.refresh()

    def refresh(self):
        listed = self.books_in(self.home, "D:resourcetype D:displayname", "D:current-user-privilege-set")
        for book in self.books:
            told = privileges(listed, book)
            parts = {"edit": "write-content", "create": "bind", "delete": "unbind"}
            self.may[book] = ALL if "write" in told else {act for act, one in parts.items() if one in told}

    def named_state(self, etag):
        return etag.strip('"')

    def multiget(self, book, urls):
        hrefs = "".join(f"<D:href>{url}</D:href>" for url in urls)
        wanted = "<D:prop><D:getetag/><D:getcontenttype/><C:address-data/></D:prop>"
        return self.report(book, "C:addressbook-multiget", wanted + hrefs, Depth="1")


class TestCalDavSynchronizer(Reading, Writing, RefusedWrites):
    kind = CalDavSynchronizer
    starts = wherever_it_is_pointed(OWN, LEADS)
    sees = by_role(viewer="", contributor="create", editor="create edit")

    def settle(self, program):
        """What a run tries and is refused the next one sees as changed on both sides."""
        program.sync()
        program.sync()

    # Outlook's item is its user's: it stays, with an error in the report of each run.
    def test_a_refused_new_card_is_tried_at_each_run_until_it_may_be_there(self, program, office):
        office.give("viewer")
        program.create(LEADS, "made")
        self.settle(program)
        assert set(program.shown()) == {*office.stored(*BOTH), "made"}

        office.give("contributor")
        self.settle(program)

        assert "made" in office.stored()
        assert_equal(program, office.stored(*BOTH))

    def test_a_single_card_tells_its_etag_and_type(self, program):
        url = program.url("three")
        require(program.ask(url, "D:getetag D:getcontenttype"), url, "D:getetag D:getcontenttype")

    def test_it_can_make_a_book(self, program):
        assert program.http.mkcol("/ada/from-outlook/", "From Outlook").status == 201
        program.refresh()
        assert "/ada/from-outlook/" in program.books

    @pytest.mark.parametrize("prefix", ["X-ADDRESSBOOKSERVER-", ""], ids=["as iCloud has it", "as KIND"])
    def test_a_list_is_a_group_on_android(self, application, program, office, prefix):
        program.create(LEADS, "team", f"{prefix}KIND:group", f"{prefix}MEMBER:urn:uuid:three")
        self.settle(program)
        android = DAVx5(application)
        android.set_up()

        android.sync()

        assert android.text("team", "KIND") == "group"
        assert android.text("team", "MEMBER") == "urn:uuid:three"
        assert_equal(program, office.stored(*BOTH))

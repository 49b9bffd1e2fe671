"""iOS Contacts: polls by getctag, reads 3.0 alone, syncs every book of the home, and never looks at privileges."""

from radicale_shared.vcard import Card
from tests.clients.answers import CS, is_book, require
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
from tests.clients.programs import LEADS, OWN, WELL_KNOWN, Program
from tests.clients.test_client_davx5 import DAVx5


class IOS(Program):
    """Any URL that is typed ends at the principal (RFC 6764, section 6); a 401 later on stops the account."""

    user_agent = "iOS/17.5 (21F79) dataaccessd/1.0"
    batch = 50

    def set_up(self, start=WELL_KNOWN):
        principal = self.link(start, "D:current-user-principal", "D:principal-URL D:resourcetype")
        assert "addressbook" in self.send("OPTIONS", principal).headers["DAV"]
        found = self.ask(
            principal,
            "C:addressbook-home-set D:displayname D:principal-collection-set D:supported-report-set",
            "C:directory-gateway CS:email-address-set D:resource-id",
        )
        require(found, principal, "C:addressbook-home-set")
        self.home = self.link(principal, "C:addressbook-home-set")
        self.refresh()

    def refresh(self):
        needed = "D:current-user-privilege-set D:displayname D:owner D:resourcetype D:supported-report-set D:sync-token"
        optional = (
            "D:add-member ME:bulk-requests C:max-image-size C:max-resource-size CS:me-card CS:push-transports "
            "CS:pushkey D:quota-available-bytes D:quota-used-bytes D:resource-id"
        )
        listed = self.books_in(self.home, needed, optional)
        assert all(is_book(listed, href) for href in self.books)
        self.may = dict.fromkeys(self.books, ALL)

    def sync(self):
        self.refresh()
        super().sync()

    def poll(self, book):
        return self.propfind(book, "CS:getctag D:sync-token")

    def sync_book(self, book, polled):
        require(polled, book, "CS:getctag D:sync-token")
        ctag = polled.text(book, f"{CS}getctag")
        if self.tokens.get(book) != ctag:
            self.compare(book, self.listing(book))
            self.tokens[book] = ctag


class TestIOS(Reading, Polling, Writing, RefusedWrites, RefusedNewCards):
    kind = IOS
    starts = wherever_it_is_pointed(OWN, LEADS)

    def test_groups_are_apple_groups_here_and_kind_groups_on_android(self, application, office, program):
        android = DAVx5(application)
        android.set_up()
        program.create(LEADS, "team", "X-ADDRESSBOOKSERVER-KIND:group", "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:three")
        android.sync()
        assert android.text("team", "KIND") == "group"
        assert android.text("team", "MEMBER") == "urn:uuid:three"

        android.add_line("team", b"MEMBER:urn:uuid:four\r\n")
        android.sync()
        program.sync()

        assert program.text("team", "X-ADDRESSBOOKSERVER-KIND") == "group"
        assert members(program, "team") == ["urn:uuid:three", "urn:uuid:four"]
        assert_equal(program, office.stored(*BOTH))

    def test_a_kind_group_of_android_is_an_apple_group_here(self, application, program):
        android = DAVx5(application)
        android.set_up()
        android.create(LEADS, "team", "KIND:group", "MEMBER:urn:uuid:three")
        android.sync()

        program.sync()

        assert program.text("team", "X-ADDRESSBOOKSERVER-KIND") == "group"
        assert members(program, "team") == ["urn:uuid:three"]

    def test_it_tells_which_card_is_me_and_is_told_again(self, program):
        body = (
            '<D:propertyupdate xmlns:D="DAV:" xmlns:CS="http://calendarserver.org/ns/"><D:set><D:prop><CS:me-card>'
            f"<D:href>{OWN}own.vcf</D:href></CS:me-card></D:prop></D:set></D:propertyupdate>"
        )
        assert program.send("PROPPATCH", program.home, body).status == 207
        assert program.link(program.home, "CS:me-card") == f"{OWN}own.vcf"


def members(program, uid):
    return Card.parse(program.shown()[uid]).texts("X-ADDRESSBOOKSERVER-MEMBER")

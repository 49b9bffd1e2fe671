"""macOS Contacts: iOS' way of syncing, with one book only, the first that is listed: here all books as one."""

from radicale_shared import books
from tests.clients.life import ALL, BOTH, Polling, Reading, RefusedWrites, Writing, assert_equal, wherever_it_is_pointed
from tests.clients.programs import OWN
from tests.clients.test_client_ios import IOS
from tests.conftest import BY, card
from tests.dav.conftest import Client

MERGED = "/ada/all/"


class MacOS(IOS):
    """It writes without conditions."""

    user_agent = "macOS/14.4.1 (23E224) AddressBookCore/2668.400.13"
    careful = False

    def refresh(self):
        super().refresh()
        self.books = self.books[:1]


class TestMacOS(Reading, Polling, Writing, RefusedWrites):
    kind = MacOS
    starts = wherever_it_is_pointed(MERGED)

    def test_a_book_that_is_taken_away_is_gone_like_one_that_never_was_and_comes_back_whole(self, program, office):
        url = program.url("three")
        never = url.replace(url.removeprefix(MERGED)[:32], "0" * 32)
        office.dismiss()
        for method in ("GET", "DELETE", "PROPFIND", "PUT"):
            told, other = program.send(method, url), program.send(method, never)
            assert told.status == 404
            assert (told.headers, told.body) == (other.headers, other.body)
        program.sync()
        assert_equal(program, office.stored("ada/contacts"))
        office.put("while-away.vcf", card("while-away"))

        office.welcome()
        program.sync()

        assert_equal(program, office.stored(*BOTH))

    def test_it_knows_what_may_be_done_as_far_as_it_looks(self, program):
        assert program.may == {MERGED: ALL}

    def test_a_new_card_goes_to_the_own_book_and_is_shown_once(self, program, office):
        program.create(MERGED, "made")
        program.sync()

        assert "made" in office.stored("ada/contacts")
        assert_equal(program, office.stored(*BOTH))
        program.fetched.clear()
        program.sync()
        assert program.fetched == []

    def test_without_an_own_book_a_new_card_is_refused_and_taken_back(self, program, office):
        with office.organisation.db.write() as session:
            books.trash(session, books.find(session, "ada/contacts"), by=BY)
        program.sync()

        program.create(MERGED, "made")
        program.sync()

        assert_equal(program, office.stored())

    def test_the_same_card_in_two_books_is_shown_once_and_the_other_when_the_first_is_gone(self, program, office):
        office.put("copy.vcf", card("own", "Theirs"))
        program.sync()
        assert program.text("own", "FN") == "Own"

        program.delete("own")
        program.sync()

        assert program.text("own", "FN") == "Theirs"
        assert_equal(program, office.stored(*BOTH))

    def test_what_it_makes_a_phone_of_the_same_person_gets(self, application, program, office):
        phone = IOS(application)
        phone.set_up()
        program.create(MERGED, "made")

        phone.sync()

        assert_equal(phone, office.stored(*BOTH))
        assert phone.url("made").startswith(OWN)
        assert Client(application, "ada").get(phone.url("made")).body == program.shown()["made"]

"""KDE's Kontact: knows no sync-collection; polls by getctag, and lists the whole book when that changed."""

from tests.clients.answers import CS, etags, privileges
from tests.clients.life import (
    Polling,
    Reading,
    RefusedNewCards,
    RefusedWrites,
    Writing,
    by_role,
    wherever_it_is_pointed,
)
from tests.clients.programs import LEADS, OWN, WELL_KNOWN, Program

OF_A_BOOK = "D:displayname D:resourcetype CS:getctag D:current-user-privilege-set"


class Kontact(Program):
    """It asks for cards with allprop. Privileges that it isn't told of are all there."""

    user_agent = "Mozilla/5.0 (X11; Linux x86_64) KHTML/5.246 (like Gecko) Konqueror/5 KIO/5.115"
    reads = ("3.0",)

    address_data = "<C:address-data><C:allprop/></C:address-data>"

    def __init__(self, application, login="ada"):
        super().__init__(application, login)
        self.ctags = {}

    def set_up(self, start=WELL_KNOWN):
        principal = self.link(start, "D:current-user-principal")
        self.home = self.link(principal, "C:addressbook-home-set")
        self.refresh()

    def refresh(self):
        listed = self.books_in(self.home, OF_A_BOOK)
        self.ctags = {book: listed.text(book, f"{CS}getctag") for book in self.books}
        for book in self.books:
            told = privileges(listed, book)
            parts = {"edit": "write-content", "create": "bind", "delete": "unbind"}
            self.may[book] = {act for act, one in parts.items() if {one, "write", "all"} & told}

    def sync(self):
        self.refresh()
        super().sync()

    def poll(self, book):
        return self.propfind(book, "CS:getctag")

    def sync_book(self, book, polled):
        if self.tokens.get(book) != self.ctags[book]:
            self.compare(book, etags(self.ask(book, "D:displayname D:resourcetype", "D:getetag", "1")))
            self.tokens[book] = self.ctags[book]


class TestKontact(Reading, Polling, Writing, RefusedWrites, RefusedNewCards):
    kind = Kontact
    starts = wherever_it_is_pointed(OWN, LEADS)
    sees = by_role(viewer="", contributor="create", editor="create edit")

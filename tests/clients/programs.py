"""The base of the clients of this folder: a program with its own copy of one person's books.

Each client is a small class that behaves as that program's source says: what it asks for, how it notices changes, what
it recovers from, and what it can't handle, which is an AssertionError here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from radicale_shared.vcard import Card, build_line, escape
from tests.clients.answers import XMLNS, etags, is_book, named, require
from tests.conftest import card
from tests.dav.conftest import CARDDAV, DAV, Client, Response

OWN, LEADS, NEVER = "/ada/contacts/", "/ada/sales~leads/", "/ada/sales~never/"
WELL_KNOWN = "/.well-known/carddav"


@dataclass
class Held:
    """A card as a client has it. etag: the last it took for it, empty if none; dirty: changed here and not yet sent"""

    data: bytes
    etag: str = ""
    dirty: bool = False


class Program(ABC):
    """A client with its own copy of one person's books.

    held: {URL: card}; tokens: {book: sync token or ctag}; books: the URLs it syncs
    may: {book: what this program thinks its user may do there, of "create", "edit" and "delete"}
    fetched: URLs whose cards it asked for; a test empties it

    The class says: reads, the vCard versions it understands; asks_for, the version it names in its requests, if any;
    writes, that of its new cards; careful, whether it names the state it writes over.
    """

    user_agent = ""
    reads = ("3.0",)
    asks_for = ""
    writes = "3.0"
    careful = True
    batch = 100
    item_properties = "D:getetag"

    def __init__(self, application: Any, login: str = "ada") -> None:
        self.http = Client(application, login, user_agent=self.user_agent)
        self.books: list[str] = []
        self.held: dict[str, Held] = {}
        self.tokens: dict[str, str] = {}
        self.may: dict[str, set[str]] = {}
        self.fetched: list[str] = []

    # -- requests ------------------------------------------------------------------------------------------------------

    def send(self, method: str, path: str, body: bytes | str = b"", **headers: str) -> Response:
        answer = self.http.request(method, unquote(path), body, **headers)
        assert answer.status != 401, f"{method} {path}: the program asks for the password, and stops until it gets one"
        assert answer.status < 500 or answer.status == 507, answer.body
        return answer

    def propfind(self, path: str, names: str, depth: str = "0", **headers: str) -> Response:
        props = "".join(f"<{name}/>" for name in names.split())
        body = f'<?xml version="1.0"?><D:propfind {XMLNS}><D:prop>{props}</D:prop></D:propfind>'
        answer = self.send("PROPFIND", path, body, Depth=depth, Content_Type="application/xml", **headers)
        if headers.get("Prefer") == "return=minimal" and answer.status == 207:
            assert {one.text for one in answer.xml.iter(f"{DAV}status")} == {"HTTP/1.1 200 OK"}
        return answer

    def ask(self, path: str, needed: str, optional: str = "", depth: str = "0", **headers: str) -> Response:
        """A PROPFIND that succeeds, with all that is needed at the path itself."""
        answer = self.propfind(path, f"{needed} {optional}", depth, **headers)
        assert answer.status == 207, f"{path}: {answer.status}"
        self.check_first_statuses(answer)
        require(answer, path, needed)
        return answer

    def check_first_statuses(self, answer: Response) -> None:
        """What is found is told before what isn't (Thunderbird looks at the first status alone)."""
        for href, one in answer.responses.items():
            assert one.findtext(f"{DAV}propstat/{DAV}status") == "HTTP/1.1 200 OK", href

    def report(self, path: str, name: str, inside: str, **headers: str) -> Response:
        headers = {"Content_Type": "text/xml; charset=utf-8", **headers}
        return self.send("REPORT", path, f"<{name} {XMLNS}>{inside}</{name}>", **headers)

    # -- setting up ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def set_up(self, start: str = WELL_KNOWN) -> None:
        """Find the books, beginning at a URL: as its user typed it, or well-known of a domain."""

    def link(self, path: str, name: str, others: str = "", **headers: str) -> str:
        """The href in a property."""
        found = self.ask(path, name, others, **headers).prop(path, named(name))
        return (found.findtext(f"{DAV}href") if found is not None else "") or ""

    def books_in(self, home: str, needed: str, optional: str = "", **headers: str) -> Response:
        """The Depth-1 listing of a home; its books become this program's, and the cards of others are dropped."""
        listed = self.propfind(home, f"{needed} {optional}", "1", **headers)
        assert listed.status == 207
        self.check_first_statuses(listed)
        found = [href for href in listed.hrefs if is_book(listed, href)]
        for href in found:
            require(listed, href, needed)
        for href in set(self.books) - set(found):
            self.lose(href)
        self.books = found
        return listed

    def lose(self, book: str) -> None:
        """What a program does with the cards of a book that isn't there any more."""
        self.tokens.pop(book, None)
        self.books = [one for one in self.books if one != book]
        self.held = {url: one for url, one in self.held.items() if book_of(url) != book}

    @abstractmethod
    def refresh(self) -> None:
        """Look for books that came or went."""

    # -- what its user does --------------------------------------------------------------------------------------------

    def url(self, uid: str) -> str:
        """Where the card with a UID is, as this program has it."""
        (found,) = [url for url, one in self.held.items() if Card.parse(one.data).uid == uid]
        return found

    def create(self, book: str, uid: str, *lines: str) -> None:
        url = f"{book}{uid}.vcf"
        self.held[url] = Held(card(uid, "", *lines, version=self.writes), dirty=True)
        self.changed(url)

    def edit(self, uid: str, name: str, value: str) -> None:
        """Change a property, or add it; PRODID becomes this program's, as with most of them."""
        data = edited(self.held[self.url(uid)].data, name, value)
        self.save(uid, edited(data, "PRODID", f"-//{self.user_agent.partition('/')[0]}//EN"))

    def add_line(self, uid: str, line: bytes) -> None:
        self.save(uid, Card.parse(self.held[self.url(uid)].data).append(line).serialise())

    def save(self, uid: str, data: bytes) -> None:
        url = self.url(uid)
        self.held[url] = Held(data, self.held[url].etag, dirty=True)
        self.changed(url)

    def delete(self, uid: str) -> None:
        """Gone on this program at once, whatever the server says to it."""
        url = self.url(uid)
        gone = self.held.pop(url)
        self.send("DELETE", url, **({"If_Match": gone.etag} if self.careful else {}))

    def changed(self, url: str) -> None:
        """Send a changed card at once; a program that waits for its next sync says so itself."""
        self.upload(url)

    def upload(self, url: str) -> Response:
        one = self.held[url]
        conditions = {}
        if self.careful:
            conditions = {"If_Match": one.etag} if one.etag else {"If_None_Match": "*"}
        answer = self.send("PUT", url, one.data, Content_Type="text/vcard; charset=utf-8", **conditions)
        if answer.status in (201, 204):
            self.uploaded(url, answer)
        else:
            self.refused(url, answer)
        return answer

    def uploaded(self, url: str, answer: Response) -> None:
        self.held[url].dirty = False
        if "ETag" in answer.headers:
            self.held[url].etag = answer.etag
        else:
            self.fetch(book_of(url), [url])

    def refused(self, url: str, answer: Response) -> None:
        """Most programs go on showing their own change, with the ETag they had, until a sync tells them otherwise."""
        self.held[url].dirty = False

    # -- sync ----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def poll(self, book: str) -> Response:
        """The first request of a sync: what may have changed."""

    @abstractmethod
    def sync_book(self, book: str, polled: Response) -> None:
        """The rest of it, unless the book is gone."""

    def sync(self) -> None:
        for book in list(self.books):
            polled = self.poll(book)
            if polled.status == 404:
                self.lose(book)
            else:
                self.sync_book(book, polled)

    def listing(self, book: str, **headers: str) -> dict[str, str]:
        """{URL: ETag} of the cards in a book."""
        return etags(self.ask(book, "", f"{self.item_properties} D:resourcetype", "1", **headers))

    def compare(self, book: str, listed: Mapping[str, str]) -> None:
        """Become equal to a listing: drop what isn't in it, fetch what is new or has another ETag."""
        self.held = {url: one for url, one in self.held.items() if book_of(url) != book or url in listed}
        self.fetch(book, self.news(listed))

    def news(self, told: Mapping[str, str]) -> list[str]:
        """Those cards that are not held with this very ETag."""
        return [url for url, etag in told.items() if url not in self.held or self.held[url].etag != etag]

    def changes(self, book: str, extra: str = "", wanted: str = "<D:getetag/>", **headers: str) -> Response:
        """A sync-collection from the token that is held."""
        token = f"<D:sync-token>{self.tokens.get(book, '')}</D:sync-token>"
        inside = f"{token}<D:sync-level>1</D:sync-level>{extra}<D:prop>{wanted}</D:prop>"
        return self.report(book, "D:sync-collection", inside, **headers)

    @property
    def address_data(self) -> str:
        version = f' content-type="text/vcard" version="{self.asks_for}"' if self.asks_for else ""
        return f"<C:address-data{version}/>"

    def multiget(self, book: str, urls: Iterable[str]) -> Response:
        hrefs = "".join(f"<D:href>{url}</D:href>" for url in urls)
        inside = f"<D:prop><D:getetag/>{self.address_data}</D:prop>{hrefs}"
        return self.report(book, "C:addressbook-multiget", inside, Depth="1")

    def fetch(self, book: str, urls: list[str]) -> None:
        self.fetched += urls
        for start in range(0, len(urls), self.batch):
            some = urls[start : start + self.batch]
            answer = self.multiget(book, some)
            assert sorted(answer.hrefs) == sorted(some)  # as they were asked for, letter by letter
            self.take(answer)

    def take(self, answer: Response) -> None:
        """Hold the cards of an answer, and drop those that are told to be gone."""
        for url in answer.hrefs:
            if answer.status_of(url):
                assert answer.status_of(url) == "HTTP/1.1 404 Not Found"
                self.held.pop(url, None)
            else:
                data = answer.text(url, f"{CARDDAV}address-data").encode()
                assert Card.parse(data).version in self.reads, "a vCard that this program can't read"
                self.held[url] = Held(data, answer.text(url, f"{DAV}getetag"))

    # -- what it shows -------------------------------------------------------------------------------------------------

    def shown(self) -> dict[str, bytes]:
        """{UID: card}, each card once."""
        found = [(Card.parse(one.data).uid, one.data) for one in self.held.values()]
        assert len(dict(found)) == len(found), "the program shows a card twice"
        return dict(found)

    def text(self, uid: str, name: str) -> str:
        return Card.parse(self.shown()[uid]).text(name)


def edited(data: bytes, name: str, value: str) -> bytes:
    """A card with a property changed, or added, and every other line as it was."""
    found = Card.parse(data)
    old = found.first(name)
    if old is None:
        return found.append(build_line(name, escape(value))).serialise()
    return found.replace_line(old, build_line(name, escape(value), old.params, old.group)).serialise()


def book_of(url: str) -> str:
    return url.rpartition("/")[0] + "/"

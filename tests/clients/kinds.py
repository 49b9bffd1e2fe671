"""Two kinds of programs, by when they keep a change of their user's."""

from __future__ import annotations

from typing import Any

from tests.clients.answers import etags
from tests.clients.programs import Held, Program, book_of
from tests.dav.conftest import Response


class ServerFirst(Program):
    """A program that keeps a change only once the server took it, and tells its user of an error else."""

    def __init__(self, application: Any, login: str = "ada") -> None:
        super().__init__(application, login)
        self.before: Held | None = None

    def save(self, uid: str, data: bytes) -> None:
        self.before = self.held[self.url(uid)]
        super().save(uid, data)

    def create(self, book: str, uid: str, *lines: str) -> None:
        self.before = None
        super().create(book, uid, *lines)

    def refused(self, url: str, answer: Response) -> None:
        del self.held[url]
        if self.before is not None:
            self.held[url] = self.before

    def delete(self, uid: str) -> None:
        url = self.url(uid)
        if self.send("DELETE", url, If_Match=self.held[url].etag).status == 204:
            del self.held[url]


class TwoWay(Program):
    """A program that compares two sides at each sync, by the ETags of the sync before.

    Where both changed, the server wins; an edit wins over a deletion. A write that was refused is one that is still to
    do: it is tried again at each sync, until the server's side has changed too.
    """

    def __init__(self, application: Any, login: str = "ada") -> None:
        super().__init__(application, login)
        self.known: dict[str, str] = {}

    def changed(self, url: str) -> None:
        """It waits for the next sync."""

    def delete(self, uid: str) -> None:
        del self.held[self.url(uid)]

    def poll(self, book: str) -> Response:
        return self.propfind(book, f"D:resourcetype {self.item_properties}", "1")

    def lose(self, book: str) -> None:
        super().lose(book)
        self.known = {url: etag for url, etag in self.known.items() if book_of(url) != book}

    def sync_book(self, book: str, polled: Response) -> None:
        self.check_first_statuses(polled)
        listed = etags(polled)
        for url in sorted({*listed, *(one for one in {*self.held, *self.known} if book_of(one) == book)}):
            here, there, known = self.held.get(url), listed.get(url), self.known.get(url)
            if there == known and here is not None and here.dirty:
                here.etag = known or ""
                self.upload(url)
            elif there == known and here is None and known is not None:
                if self.send("DELETE", url, If_Match=self.named_state(known)).status == 204:
                    self.known.pop(url)
            elif there is None and here is not None and here.dirty:
                here.etag = ""  # an edit wins over a deletion
                self.known.pop(url, None)
                self.upload(url)
            elif there != known:
                self.fetch(book, [url])
                self.known.pop(url, None)
            if url in self.held and not self.held[url].dirty:
                self.known[url] = self.held[url].etag

    def named_state(self, etag: str) -> str:
        """What it writes into If-Match."""
        return etag

    def upload(self, url: str) -> Response:
        self.held[url].etag = self.named_state(self.held[url].etag)
        return super().upload(url)

    def refused(self, url: str, answer: Response) -> None:
        """It stays to be done."""

"""The DAV:response of the cards of a book, written straight from rows where that can be.

What an answer says of the cards of one book mostly differs in three places alone: the card's URL, its ETag and its
bytes. Then one card is described by the properties' own functions, with marks in these places, and that text serves all
others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from operator import itemgetter

from .. import reading
from ..etags import shown_etag
from ..reading import Stored
from ..refusals import Refused
from . import properties, xml
from .address_data import Form
from .http import Request, encoded
from .properties import Wanted
from .resources import BookResource, CardResource

# Characters that XML can't have, so nothing else in an answer is one of them.
_URL, _ETAG, _DATA, _HREF = "\x01", "\x02", "\x03", "\x04"
_MARK = re.compile("[\x01-\x04]")
_PIECE = 65_536

# What a kept listing has instead of the text around a card's href and its ETag (``listing``).
BEFORE, BETWEEN, AFTER = b"\x01", b"\x02", b"\x03"


class Writer:
    """Writes the cards of a book into one answer, as one client sees them.

    known: the client's refused writes in the book
    form: how cards are given; None: as they are stored
    """

    def __init__(
        self, request: Request, book: BookResource, asked: Wanted, known: Refused, form: Form | None = None
    ) -> None:
        self._request = request
        self._book = book
        self._asked = asked
        self._known = known
        self._form = form
        self._base = (book.url + book.prefix).encode()
        self._when_read = self._text(_DATA.encode())
        self._when_listed = self._text(None) if asked.needs_data else self._when_read

    @property
    def takes_blocks(self) -> bool:
        """Whether ``blocks`` can be used: nothing is asked for that a kept listing doesn't tell."""
        text = self._when_listed
        return text is not None and text.marks == [_URL, _ETAG] and not self._known.any

    def listed(self, href: str, etag: str, size: int | None = None, modified_at: datetime | None = None) -> xml.Piece:
        """A card that wasn't read. etag: the stored one; size, modified_at: where they are asked for"""
        shown = shown_etag(etag, self._book.access.view, self._known.mark(href))
        if self._when_listed is not None:
            return self._when_listed.filled(self._base + encoded(href).encode(), shown.encode(), b"")
        url = self._book.card_url(href)
        return self._described(url, CardResource(url, self._book.access, href, shown, size, modified_at))

    def read(self, stored: Stored, url: str = "", *, data: bytes | None = None) -> xml.Piece:
        """A card that was read.

        url: by which to tell of it, where that isn't its own
        data: as it is given, where that is known already
        """
        mark = self._known.mark(stored.href)
        url = url or self._book.card_url(stored.href)
        if data is None:
            data = self._form.of(stored.data, stored.version) if self._form else stored.data
        if self._when_read is not None:
            shown = shown_etag(stored.etag, self._book.access.view, mark)
            return self._when_read.filled(xml.escape(url).encode(), shown.encode(), xml.escape_bytes(data))
        return self._described(url, card_resource(self._book, stored._replace(data=data), mark))

    def blocks(self, kept: Iterable[bytes]) -> Iterator[bytes]:
        """The cards of a kept listing (``listing``), in pieces of some 64 kB; only where ``takes_blocks``."""
        before, between, after = self._when_listed.parts if self._when_listed else [b"", b"", b""]
        before += self._base
        pieces, size = [], 0
        for block in kept:
            piece = block.replace(AFTER, after).replace(BETWEEN, between).replace(BEFORE, before)
            pieces.append(piece)
            size += len(piece)
            if size > _PIECE:
                yield b"".join(pieces)
                pieces, size = [], 0
        yield b"".join(pieces)

    def live(self, cards: Iterable[tuple[str, str]]) -> Iterator[xml.Piece]:
        """Some live cards, each (href, stored ETag); read a few at a time where more of them is asked for."""
        if not self._asked.reads_cards:
            for href, etag in cards:
                yield self.listed(href, etag)
            return
        for stored in self.stored([href for href, _ in cards]):
            yield self.read(stored)

    def stored(self, hrefs: Sequence[str]) -> Iterator[Stored]:
        """Those of some cards that are there."""
        return reading.get_many(self._request.db.read, self._book.access, hrefs)

    def _text(self, data: bytes | None) -> _Text | None:
        """The response of any card, with these bytes; None where that can't be told beforehand."""
        if not self._asked.values or self._asked.needs_details or self._request.remembered:
            return None
        probe = CardResource(_URL, self._book.access, _HREF, _ETAG, data=data)
        return _Text.of(self._described(_URL, probe))

    def _described(self, url: str, card: CardResource) -> str:
        return xml.response(url, properties.propstat(self._request, card, self._asked))


def card_resource(book: BookResource, stored: Stored, refused: int) -> CardResource:
    """A card that was read, as a client sees it. refused: what its ETag counts for this client (``Refused.mark``)"""
    return CardResource(
        book.card_url(stored.href),
        book.access,
        stored.href,
        shown_etag(stored.etag, book.access.view, refused),
        stored.size,
        stored.modified_at,
        stored.data,
        stored.version,
    )


class _Text:
    """The response of a card with places for what differs.

    parts: what stands around the marks
    """

    __slots__ = ("_pick", "_template", "marks", "parts")

    def __init__(self, text: str) -> None:
        self.marks = _MARK.findall(text)
        self.parts = [part.encode() for part in _MARK.split(text)]
        self._template = b"%b".join(part.replace(b"%", b"%%") for part in self.parts)
        self._pick = itemgetter(*(ord(mark) - 1 for mark in self.marks))

    @classmethod
    def of(cls, text: str) -> _Text | None:
        """None where cards differ in more than these places."""
        made = cls(text)
        return made if _HREF not in made.marks and len(set(made.marks)) == len(made.marks) else None

    def filled(self, url: bytes, etag: bytes, data: bytes) -> bytes:
        """The response of one card; all XML already."""
        filled: bytes = self._template % self._pick((url, etag, data))
        return filled

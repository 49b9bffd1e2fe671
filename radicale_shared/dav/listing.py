"""The members of a book as every listing of it has them, kept from one to the next.

Kept are blocks of ``BEFORE href BETWEEN etag AFTER``, which are the same for all who see the book alike, whatever URL
they see it at and whatever else they ask for. A listing is brought up to date by what changed since; what it says is
decided by the revision that ``access`` has, which each request reads from the database.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from .. import reading, sync
from ..access import Access, View
from ..etags import shown_etag
from ..reading import Read
from ..statements import Rows
from ..sync import Touched
from .http import encoded
from .rows import AFTER, BEFORE, BETWEEN

# More changes than these since the last listing, and it is made anew.
_MOST_CHANGES = 2000
# A block has the cards of so many ids, a power of two: a change finds its own by the card's.
_IDS = 256
# Bytes of all listings together; some 80 a card. A book with more is read from the database each time.
_MOST_BYTES = 9 * 1024 * 1024
_MOST_CARDS = 100_000
# Bytes that a listing, and each of its blocks, takes beside what it says.
_BESIDE = 300
_SHORT = 2000


@dataclass(frozen=True, slots=True)
class _Kept:
    revision: int
    blocks: dict[int, bytes]
    size: int

    @classmethod
    def of(cls, access: Access, blocks: dict[int, bytes]) -> _Kept:
        return cls(access.book.revision, blocks, _BESIDE * (1 + len(blocks)) + sum(map(len, blocks.values())))


class _Listings:
    """The listings of this process, the one that was used last at the end."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, str], _Kept] = OrderedDict()
        self._size = 0
        self._guard = threading.Lock()

    def get(self, key: tuple[str, str, str]) -> _Kept | None:
        with self._guard:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def keep(self, key: tuple[str, str, str], listing: _Kept) -> None:
        with self._guard:
            if (former := self._kept.pop(key, None)) is not None:
                self._size -= former.size
            if listing.size > _MOST_BYTES:
                return
            self._kept[key] = listing
            self._size += listing.size
            while self._size > _MOST_BYTES:
                _, oldest = self._kept.popitem(last=False)
                self._size -= oldest.size


_LISTINGS = _Listings()


def blocks(read: Read, access: Access) -> Iterable[bytes]:
    """The live cards of a book in no order, with their ETags in this view; all that were there at its revision.

    No statement where nothing changed since the last listing.
    """
    book, pages = access.book, reading.pages(read, access)
    if book.card_count > _MOST_CARDS:
        return _written(pages, access.view)
    key = (book.uuid, book.epoch, access.view.id)
    kept = _LISTINGS.get(key)
    if kept is not None and kept.revision == book.revision:
        return kept.blocks.values()
    if kept is not None and book.floor <= kept.revision < book.revision:
        found = _brought_up(read, access, kept)
        if found is not None:
            _LISTINGS.keep(key, found)
            return found.blocks.values()
    found = _Kept.of(access, _made(pages, access.view))
    _LISTINGS.keep(key, found)
    return chain(found.blocks.values(), _written(pages, access.view))  # what was too much to be kept


def is_short(access: Access) -> bool:
    """Whether the listing of a book is short enough to be sent in one piece, which takes memory for all of it."""
    return access.book.card_count <= _SHORT


def _brought_up(read: Read, access: Access, kept: _Kept) -> _Kept | None:
    """A listing with what changed since; None where that is too much."""
    with read() as session:
        touched = sync.touched(session, access, kept.revision, _MOST_CHANGES)
    if len(touched) == _MOST_CHANGES:
        return None
    changed = dict(kept.blocks)
    for row in touched:
        _put(changed, row, access.view)
    return _Kept.of(access, changed)


def _made(pages: Iterator[Rows], view: View) -> dict[int, bytes]:
    """The blocks of a listing; where they get larger than any is kept, those of the first pages."""
    made: dict[int, bytearray] = {}
    for page in pages:
        for href, etag, card_id in page:
            made.setdefault(card_id // _IDS, bytearray()).extend(_entry(href, etag, view))
        if sum(map(len, made.values())) > _MOST_BYTES:
            break
    found: dict[int, bytes] = {}
    while made:  # one after another, so that there are never two of all
        number, block = made.popitem()
        found[number] = bytes(block)
    return found


def _written(pages: Iterator[Rows], view: View) -> Iterator[bytes]:
    for page in pages:
        yield b"".join(_entry(href, etag, view) for href, etag, _ in page)


def _put(blocks_by_id: dict[int, bytes], row: Touched, view: View) -> None:
    """Put a card's present state in the place of its former one."""
    number = row.id // _IDS
    block = blocks_by_id.get(number, b"")
    start = block.find(BEFORE + encoded(row.href).encode() + BETWEEN)
    entry = b"" if row.deleted else _entry(row.href, row.etag, view)
    if start < 0:
        blocks_by_id[number] = block + entry
    else:
        end = block.index(AFTER, start) + len(AFTER)
        blocks_by_id[number] = block[:start] + entry + block[end:]


def _entry(href: str, etag: str, view: View) -> bytes:
    return BEFORE + encoded(href).encode() + BETWEEN + shown_etag(etag, view, 0).encode() + AFTER

"""Answers that were made are kept for the next phone that asks: all of an office ask in the minute after a power cut.

An answer is found by everything it was made of: the profile, the states and views of the books, and of what the phone
sent the part that was looked at. So nothing is ever thrown away because something changed: it isn't found any more, and
makes room when that is needed. Whoever asks was let in by the database before, at each request: nothing here knows
rights.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from hashlib import blake2b

from isal import isal_zlib

from .. import lanes
from .asking import Document

_log = logging.getLogger(__name__)

# What keeping an answer takes beside its bytes.
_BESIDE = 2048
# Names of parameters and headers that are kept apart for one make and path; a format that looks at more looks at all.
_MOST_NAMES = 64
_ALL = "*"


class Looked(Mapping[str, str]):
    """What a phone sent, which notes the names that somebody asks it for."""

    def __init__(self, values: Mapping[str, str], seen: set[str]) -> None:
        self._values = values
        self._seen = seen

    def __getitem__(self, name: str) -> str:
        self._seen.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        self._seen.add(_ALL)
        return iter(self._values)

    def __len__(self) -> int:
        self._seen.add(_ALL)
        return len(self._values)


class Kept:
    """An answer with what is sent beside it.

    is_listed: whether it is a list of everyone, which is worth keeping
    tag: of its bytes, without quotes
    """

    def __init__(self, document: Document, *, is_listed: bool = False) -> None:
        self.document = document
        self.is_listed = is_listed
        self.tag = blake2b(document.body, digest_size=16).hexdigest()
        self._packed: bytes | None = None

    @property
    def packed(self) -> bytes:
        """The body as gzip."""
        if self._packed is None:
            packer = isal_zlib.compressobj(level=1, wbits=31)
            self._packed = packer.compress(self.document.body) + packer.flush()
        return self._packed

    @property
    def size(self) -> int:
        """Bytes that keeping it takes; with room for the packed form, which is made later."""
        return len(self.document.body) + len(self.document.body) // 4 + _BESIDE


# Of what a phone sent: {where: {name: value}}, e.g. {"parameters": {"q": "mu"}}.
Sent = Mapping[str, Mapping[str, str]]
Make = Callable[[dict[str, Mapping[str, str]]], Kept]


class _Making:
    """An answer that somebody is making. sent: by whom"""

    def __init__(self, sent: Sent) -> None:
        self.sent = sent
        self.made: Kept | None = None
        self.is_done = threading.Event()


class Cache:
    """The answers of one process. most: bytes of them, together with what keeping them takes"""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._bytes = 0
        self._names: dict[Hashable, dict[str, frozenset[str]]] = {}
        self._making: dict[bytes, _Making] = {}
        self._too_large: set[Hashable] = set()
        self._guard = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes that the kept answers take, with what keeping them takes."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, route: Hashable, state: Hashable, sent: Sent, make: Make) -> Kept:
        """The answer that was made before, or the one that ``make`` makes now; two who miss it together wait for one.

        route: of which the answers look at the same names; there are few
        state: all else that the answer is made of
        make: gets ``sent``
        """
        while True:
            with self._guard:
                key = self._key(route, state, sent)
                found = self._kept.get(key)
                if found is not None:
                    self._kept.move_to_end(key)
                    return found
                making = self._making.get(key)
                if making is None:
                    making = self._making[key] = _Making(sent)
                    break
            with lanes.left():
                making.is_done.wait()
            with self._guard:
                # What it looked at is known only now, and may be what the two sent otherwise.
                is_ours = self._key(route, state, sent) == self._key(route, state, making.sent)
                if making.made is not None and is_ours:
                    return making.made
        try:
            making.made = self._made(route, state, sent, make)
            return making.made
        finally:
            with self._guard:
                del self._making[key]
            making.is_done.set()

    def _made(self, route: Hashable, state: Hashable, sent: Sent, make: Make) -> Kept:
        seen: dict[str, set[str]] = {where: set() for where in sent}
        kept = make({where: Looked(values, seen[where]) for where, values in sent.items()})
        with self._guard:
            known = self._names.setdefault(route, {where: frozenset() for where in sent})
            self._names[route] = {where: _united(known[where], seen[where]) for where in sent}
            if kept.is_listed and kept.size <= self._most:
                self._put(self._key(route, state, sent), kept)
            elif kept.is_listed and route not in self._too_large:
                self._too_large.add(route)
                _log.warning(
                    "An answer to a phone (%s) takes %d bytes, and is made anew for each request: there is room for "
                    "%d. Raise [phones] cache_megabytes, or let the phone have fewer entries.",
                    *(route, kept.size, self._most),
                )
        return kept

    def _key(self, route: Hashable, state: Hashable, sent: Sent) -> bytes:
        """What an answer is found by: of what was sent, what answers of this route have ever looked at.

        That may be more than one of them looked at, and is never less.
        """
        told: list[object] = [route, state]
        for where, names in self._names.get(route, {}).items():
            values = sent[where]
            looked = values if _ALL in names else names
            told.append([(name, values[name]) for name in sorted(looked) if name in values])
        return blake2b(repr(told).encode("utf-8", "backslashreplace"), digest_size=16).digest()

    def _put(self, key: bytes, kept: Kept) -> None:
        before = self._kept.pop(key, None)
        self._bytes += kept.size - (before.size if before else 0)
        self._kept[key] = kept
        while self._bytes > self._most:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= gone.size


def _united(known: frozenset[str], seen: set[str]) -> frozenset[str]:
    found = known | seen
    return frozenset({_ALL}) if _ALL in found or len(found) > _MOST_NAMES else found

"""Many writes to a book as one act, in transactions so short that other writers of the book hardly notice.

A slice holds the book for at most MOST_CARDS cards or MOST_TIME. A slice that was committed stays, whatever happens to
the next one.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import TypeVar

MOST_CARDS = 200
MOST_TIME = timedelta(milliseconds=200)
# What is read ahead of a slice, in bytes: cards may have 10 MB each.
_MOST_AHEAD = 8_000_000
# SQLite's writers in other processes wait for a lock on a file, which whoever just gave it up could take again first.
_PAUSE = timedelta(milliseconds=5)

_T = TypeVar("_T")


def read_ahead(incoming: Iterable[_T], size_of: Callable[[_T], int]) -> Iterator[deque[_T]]:
    """``incoming`` in portions for a slice: reading and checking is done while nobody waits for it.

    size_of: bytes of one
    """
    ahead: deque[_T] = deque()
    size = 0
    for one in incoming:
        ahead.append(one)
        size += size_of(one)
        if len(ahead) >= MOST_CARDS or size >= _MOST_AHEAD:
            yield ahead
            ahead, size = deque(), 0
    if ahead:
        yield ahead


def taken(ahead: deque[_T]) -> Iterator[_T]:
    """One after another out of ``ahead``, one at least, as long as its slice lasts."""
    until = time.monotonic() + MOST_TIME.total_seconds()
    count = 0
    while ahead and count < MOST_CARDS and (not count or time.monotonic() < until):
        count += 1
        yield ahead.popleft()


def pause() -> None:
    """Let others write, between two slices."""
    time.sleep(_PAUSE.total_seconds())

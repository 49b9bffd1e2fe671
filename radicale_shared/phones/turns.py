"""How many whole lists are made at a time.

After a power cut each phone with a password of its own asks for a list of its own. All at a time would fill the memory,
and the first of them be done when the last one is.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .. import lanes


class Turns:
    """At most so many at a time; who comes then waits, outside of the lane."""

    def __init__(self, most: int) -> None:
        self._left = threading.Semaphore(most)

    @contextmanager
    def one(self) -> Iterator[None]:
        """The block of one of them. No connection may be held before it."""
        with lanes.left():
            self._left.acquire()
        try:
            yield
        finally:
            self._left.release()

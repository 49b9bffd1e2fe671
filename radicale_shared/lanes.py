"""One request at a time runs in a worker process; the others wait in a queue.

Python runs one thread at a time. Threads that all want to run fight for it: each one that waits wakes up 200 times a
second to ask for it, and one that asks SQLite for a row has lost it when it comes back. Measured with 32 clients, that
doubles what a request costs, and lets a write among readers take 47 ms instead of 8. So a request enters the lane
first, and steps aside for as long as it waits for something else: its client, the disk, other writers, a directory, a
password's hash.

Nothing depends on it but speed. A thread that never entered isn't held up anywhere. Whoever leaves holds no lock that
one who runs may wait for: to come back it needs that one's place. (``functools.cached_property`` is such a lock in
Python 3.11, of all objects of a class.)
"""

from __future__ import annotations

import threading
import time
from collections import deque
from queue import Empty, SimpleQueue


class _Newcomers:
    """Those who wait for their first turn. begun: how many had to wait for theirs"""

    def __init__(self) -> None:
        self.waiting = 0
        self.begun = 0

    def wait(self) -> None:
        with _guard:
            self.waiting += 1
        _free.get()
        with _guard:
            self.waiting -= 1
            self.begun += 1


class _InOrder:
    """A lock that goes to who waited for longest."""

    def __init__(self) -> None:
        self._line: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        ticket = threading.Lock()
        ticket.acquire()
        with _guard:
            self._line.append(ticket)
            is_first = len(self._line) == 1
        if not is_first:
            ticket.acquire()

    def __exit__(self, *_: object) -> None:
        with _guard:
            self._line.popleft()
            if self._line:
                self._line[0].release()


_newcomers = _Newcomers()
_long = _InOrder()
_free: SimpleQueue[None] = SimpleQueue()
_free.put(None)
_returning: deque[threading.Lock] = deque()
_guard = threading.Lock()
_mine = threading.local()

# Seconds in which a thread that waits wakes up; the place that was left would be taken again before.
_WAKING = 0.0002
_STANDING_BACK = 0.001
_MOST_STANDING_BACK = 50  # times: who waits may be overtaken by others who begin


def widen(places: int) -> None:
    """Let ``places`` requests run at a time, one of which there is from the start; called once in a process.

    For a database that is another process: whoever waits for its answers doesn't run meanwhile.
    """
    for _ in range(places - 1):
        _free.put(None)


class entered:  # read as a word: with lanes.entered()
    """The block of a request that runs."""

    __slots__ = ()

    def __enter__(self) -> None:
        try:
            _free.get_nowait()
        except Empty:
            _newcomers.wait()
        _mine.inside = True

    def __exit__(self, *_: object) -> None:
        _mine.inside = False
        _give_up()


class left:  # read as a word: with lanes.left()
    """The block of a thread that waits for something else; nothing happens where it hasn't entered.

    Whoever comes back goes before those who haven't begun: it may hold what others wait for.
    """

    __slots__ = ("_was_inside",)

    def __enter__(self) -> None:
        self._was_inside = getattr(_mine, "inside", False)
        if self._was_inside:
            _mine.inside = False
            _give_up()

    def __exit__(self, *_: object) -> None:
        if self._was_inside:
            _come_back()
            _mine.inside = True


def give_way() -> None:
    """In the middle of long work: let one of those who wait run first, if there are any."""
    if getattr(_mine, "inside", False):
        with left():
            time.sleep(_WAKING)


def queue_again() -> None:
    """In the middle of work that may take seconds: let one of those first who haven't begun, if any wait.

    Where several ``give_way`` it is always one of them that goes on, and those who haven't begun wait for all of them.
    """
    if getattr(_mine, "inside", False):
        begun = _newcomers.begun
        _mine.inside = False
        _give_up()
        with _long:
            time.sleep(_WAKING)
            for _ in range(_MOST_STANDING_BACK):
                if not _newcomers.waiting or _newcomers.begun > begun:
                    break
                time.sleep(_STANDING_BACK)
            _come_back()  # not among those who begin: they would be quicker, again and again
        _mine.inside = True


def _give_up() -> None:
    with _guard:
        if _returning:
            _returning.popleft().release()
        else:
            _free.put(None)


def _come_back() -> None:
    with _guard:
        try:
            _free.get_nowait()
        except Empty:
            ticket = threading.Lock()
            ticket.acquire()
            _returning.append(ticket)
        else:
            return
    ticket.acquire()

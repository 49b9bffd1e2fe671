"""Who may ask a directory for a sign-in: a few at a time, and while it hangs hardly anybody.

Each of the server's threads that waits for a directory serves nobody else. So a few ask, a few more wait for a moment,
and all others are told at once that it can't be asked; so are all for some seconds after it kept somebody waiting in
vain. Then one tries it again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from ..errors import AccountAtRiskError, DirectoryUnavailableError
from .find import Directory

AT_ONCE = 8
WAITING = 24
LONGEST_WAIT_SECONDS = 2.0
# How long nobody asks a directory that kept somebody waiting in vain; one that refuses at once costs nobody anything.
LEFT_ALONE_SECONDS = 10.0
SLOW_SECONDS = 0.5


class Gate:
    """The gate of one directory; ``name`` is its name in the settings."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._places = threading.BoundedSemaphore(AT_ONCE + WAITING)
        self._at_once = threading.BoundedSemaphore(AT_ONCE)
        self._guard = threading.Lock()
        self._hung_until = 0.0
        self._is_tried = False

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Around what asks the directory. Raises DirectoryUnavailableError at once where nobody may."""
        is_trial = self._enter()
        try:
            if not self._places.acquire(blocking=False):
                raise self._closed("too many sign-ins wait for it", 5)
            try:
                if not self._at_once.acquire(timeout=LONGEST_WAIT_SECONDS):
                    raise self._closed("too many sign-ins wait for it", 5)
                try:
                    with self._watched():
                        yield
                finally:
                    self._at_once.release()
            finally:
                self._places.release()
        finally:
            if is_trial:
                with self._guard:
                    self._is_tried = False

    def _enter(self) -> bool:
        """Whether this is the one that tries a directory again that hung."""
        with self._guard:
            if not self._hung_until:
                return False
            left = self._hung_until - time.monotonic()
            if left > 0 or self._is_tried:
                raise self._closed("it did not answer just now", max(1, int(left) + 1))
            self._is_tried = True
            return True

    @contextmanager
    def _watched(self) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        except AccountAtRiskError:
            raise  # says nothing of the directory
        except DirectoryUnavailableError:
            ended = time.monotonic()
            if ended - began > SLOW_SECONDS:
                with self._guard:
                    self._hung_until = ended + LEFT_ALONE_SECONDS
            raise
        else:
            with self._guard:
                self._hung_until = 0.0

    def _closed(self, reason: str, retry_after: int) -> DirectoryUnavailableError:
        return DirectoryUnavailableError(self._name, reason, retry_after)


@cache
def gate_of(directory: Directory) -> Gate:
    """This process' Gate of a directory."""
    return Gate(directory.settings.name)

"""How often somebody may ask: nobody shall read a book out by asking again and again, nor keep others waiting."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable

_MINUTE = 60.0
# Of so many the times are known; who asked longest ago is forgotten first, and has all of theirs again.
_MOST_COUNTED = 10_000


class Rates:
    """So many a minute for each who asks, all of them at once if need be; for any thread, and in this process alone."""

    def __init__(self, per_minute: int) -> None:
        self._most = float(per_minute)
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        self._guard = threading.Lock()

    def take(self, who: Hashable) -> float:
        """Count one; returns the seconds until the next one is let through where this one isn't, else 0."""
        at = time.monotonic()
        with self._guard:
            left, since = self._left.pop(who, (self._most, at))
            left = min(self._most, left + (at - since) * self._most / _MINUTE)
            is_let_through = left >= 1.0
            self._left[who] = left - is_let_through, at
            if len(self._left) > _MOST_COUNTED:
                self._left.popitem(last=False)
        return 0.0 if is_let_through else (1.0 - left) * _MINUTE / self._most

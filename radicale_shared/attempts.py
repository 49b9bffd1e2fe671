"""How many wrong passwords are too many, so that guessing is slow and a device that works is never locked out.

Different wrong passwords are counted for each address and for each account; the same one again, as an app with an old
password sends it, counts once. Where there are too many, a password that was never right here passes once a second;
one that was right before passes always (``passwords.RIGHT_BEFORE``, whoever calls asks it first). The others wait for a
moment before they are refused: answering guesses as fast as they come would take the time of those who work.

Counted in memory, in each process for itself: who restarts the server forgives everybody, and forgets what was right.
So addresses that sent nothing wrong have a second of their own: whoever guesses doesn't use up theirs.
"""

from __future__ import annotations

import ipaddress
import math
import secrets
import threading
import time
from collections import OrderedDict
from datetime import timedelta

from . import lanes
from .errors import TooManyAttemptsError
from .passwords import pair

ADDRESS_WINDOW = timedelta(minutes=5)
ACCOUNT_WINDOW = timedelta(minutes=15)
# Addresses and accounts that are counted at a time; the one that was quiet for longest is forgotten first.
_MOST_COUNTED = 10_000
# Who is told to come back isn't told how long a guesser has to wait.
_LONGEST_WAIT = 60
HELD_SECONDS = 0.1
# A thread that waits serves nobody: of more guesses at a time the rest is refused at once.
MOST_HELD = 16


class _Counts:
    """Different pairs for each subject within a window; no more than matter."""

    def __init__(self, most: int, window: timedelta) -> None:
        self._most = most
        self._window = window.total_seconds()
        self._seen: OrderedDict[str, OrderedDict[bytes, float]] = OrderedDict()

    def add(self, subject: str, found: bytes, at: float) -> None:
        pairs = self._seen.setdefault(subject, OrderedDict())
        pairs[found] = at
        pairs.move_to_end(found)
        if len(pairs) > self._most:
            pairs.popitem(last=False)
        self._seen.move_to_end(subject)
        if len(self._seen) > _MOST_COUNTED:
            self._seen.popitem(last=False)

    def has(self, subject: str, at: float) -> bool:
        """Whether anything of a subject counts."""
        pairs = self._seen.get(subject)
        return pairs is not None and next(reversed(pairs.values())) + self._window > at

    def wait(self, subject: str, at: float) -> float:
        """Seconds until there are no longer too many of a subject; 0 where there aren't."""
        pairs = self._seen.get(subject)
        if pairs is None or len(pairs) < self._most:
            return 0.0
        # The oldest of the newest ``most``: with it there are too many, without it there aren't.
        return max(0.0, next(iter(pairs.values())) + self._window - at)


class Attempts:
    """What one process counts for one database.

    per_address, per_account: so many different wrong passwords within their windows, and guessing is slowed down
    """

    def __init__(self, per_address: int, per_account: int) -> None:
        self._addresses = _Counts(per_address, ADDRESS_WINDOW)
        self._accounts = _Counts(per_account, ACCOUNT_WINDOW)
        self._key = secrets.token_bytes(32)
        # When one was let through, of the addresses that sent wrong passwords and of the others.
        self._passed_at = {True: -math.inf, False: -math.inf}
        self._guard = threading.Lock()
        self._held = threading.BoundedSemaphore(MOST_HELD)

    def admit(self, address: str, account: str) -> None:
        """Let a password be looked at that was never right before. Raises TooManyAttemptsError, after a moment."""
        at, network = time.monotonic(), network_of(address)
        with self._guard:
            wait = max(self._addresses.wait(network, at), self._accounts.wait(self._named(account), at))
            if not wait:
                return
            has_failed = self._addresses.has(network, at)
            if at - self._passed_at[has_failed] >= 1.0:
                self._passed_at[has_failed] = at
                return
        if self._held.acquire(blocking=False):
            try:
                with lanes.left():
                    time.sleep(HELD_SECONDS)
            finally:
                self._held.release()
        raise TooManyAttemptsError(max(1, min(_LONGEST_WAIT, math.ceil(wait))))

    def failed(self, address: str, account: str, password: str) -> None:
        """Count a wrong password; the same again counts no further."""
        found = pair(self._key, account, password)
        at = time.monotonic()
        with self._guard:
            self._addresses.add(network_of(address), found, at)
            self._accounts.add(self._named(account), found, at)

    def _named(self, account: str) -> str:
        # A login may have as many characters as a header: what is kept of each has a few.
        return pair(self._key, account).hex()


def network_of(address: str) -> str:
    """What addresses are counted by: IPv4 as it is, however it is written; of IPv6 the /64, which one customer has.

    What is no address counts as one: nothing that a client makes up can be a new one each time.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(parsed) >> 64 << 64))

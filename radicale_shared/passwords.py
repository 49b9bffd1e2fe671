"""People's passwords: argon2id, and a short memory of the ones that were verified.

A verification costs tens of milliseconds and megabytes on purpose, and a device sends its password with every request;
so a verified one is remembered as a keyed hash, for a short time, in this process only. The memory is keyed by what a
change of password, state or rights alters, so such a change ends it in every process at the next request.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import blake2b

from passlib.hash import argon2

from .errors import BusyError

# OWASP's password storage cheat sheet: argon2id with m = 19 MiB, t = 2, p = 1.
_ARGON2 = argon2.using(type="ID", memory_cost=19456, time_cost=2, parallelism=1)
# How many verifications may run at once in a process: each takes a core and 19 MiB.
_AT_ONCE = threading.BoundedSemaphore(2)
# How many may run or wait: with more, strangers' wrong passwords would take up every thread of the server.
_PLACES = threading.BoundedSemaphore(34)
_MOST_REMEMBERED = 20_000
# Characters; passlib refuses to look at longer ones.
LONGEST = 4096


@contextmanager
def _turn() -> Iterator[None]:
    if not _PLACES.acquire(blocking=False):
        raise BusyError
    try:
        with _AT_ONCE:
            yield
    finally:
        _PLACES.release()


def hashed(password: str) -> str:
    """The argon2id hash of ``password`` in PHC string format, for the database."""
    with _turn():
        return str(_ARGON2.hash(password))


_NOBODYS = hashed(secrets.token_urlsafe(16))


def matches(password: str, stored: str | None) -> bool:
    """Whether ``password`` is the one of the hash ``stored``; as slow where there is no hash or person at all.

    Raises BusyError if too many are being verified already.
    """
    with _turn():
        right = bool(_ARGON2.verify(password, stored or _NOBODYS))
    return right and stored is not None


class VerifiedPasswords:
    """Remembers verified passwords by a key that dies with the password.

    life: how long
    """

    def __init__(self, life: timedelta) -> None:
        self._life = life.total_seconds()
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[tuple[int, ...], tuple[bytes, float]] = OrderedDict()
        self._guard = threading.Lock()

    def verify(self, whose: tuple[int, ...], password: str, stored: str | None) -> bool:
        """Whether ``password`` is right for ``stored``, from memory where it was verified before.

        whose: (principal, auth_version, rights generation): another version, and the memory no longer counts
        """
        digest = blake2b(password.encode("utf-8", "surrogatepass"), key=self._key, digest_size=32).digest()
        with self._guard:
            known = self._known.get(whose)
        if known and known[1] > time.monotonic() and hmac.compare_digest(known[0], digest):
            return True
        if not matches(password, stored):
            return False
        with self._guard:
            self._known[whose] = (digest, time.monotonic() + self._life)
            self._known.move_to_end(whose)
            while len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)
        return True

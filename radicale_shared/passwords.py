"""People's passwords: argon2id, and short memories of what was verified.

A verification costs tens of milliseconds and megabytes on purpose, and a device sends its password with every request;
so what was verified is remembered as a keyed hash, in memory only. ``VerifiedPasswords`` and ``WrongPasswords`` are
keyed by what a change of password or state alters, so such a change ends them in every process at the next request.
``RightBefore`` decides nothing: it only tells a device that works from somebody who guesses.
"""

from __future__ import annotations

import hmac
import mmap
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import blake2b

from argon2.low_level import Type, hash_secret_raw
from passlib.hash import argon2

from . import lanes
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
        raise BusyError(reason="Too many passwords are being verified")
    try:
        with lanes.left(), _AT_ONCE:
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


def digest(password: str, *, secret: bytes, directory: str, login: str) -> bytes:
    """The argon2id hash of a password that belongs to a directory, to be looked for among those of ``login`` there.

    secret: the database's. The salt is made of all three: the same password of somebody else has another digest

    As costly as ``matches``; raises BusyError as well.
    """
    salt = blake2b(f"{directory}\0{login}".encode("utf-8", "surrogatepass"), key=secret, digest_size=16).digest()
    with _turn():
        return hash_secret_raw(
            password.encode("utf-8", "surrogatepass"),
            salt,
            time_cost=_ARGON2.default_rounds,
            memory_cost=_ARGON2.memory_cost,
            parallelism=_ARGON2.parallelism,
            hash_len=32,
            type=Type.ID,
        )


def may_be_one(password: str) -> bool:
    """Whether anybody can have this password: none is empty, has a NUL or is longer than LONGEST."""
    return bool(password) and len(password) <= LONGEST and "\x00" not in password


def pair(key: bytes, *words: str) -> bytes:
    """A keyed hash of a login and a password, or of what else belongs together; 16 bytes."""
    # Each word's length goes before it, so that no two lists of words have one hash.
    found = blake2b(key=key, digest_size=16)
    for word in words:
        data = word.encode("utf-8", "surrogatepass")
        found.update(len(data).to_bytes(8, "big") + data)
    return found.digest()


class VerifiedPasswords:
    """Remembers verified passwords by a key that dies with the password.

    life: how long
    """

    def __init__(self, life: timedelta) -> None:
        self._life = life.total_seconds()
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[tuple[int, ...], tuple[bytes, float]] = OrderedDict()
        self._guard = threading.Lock()

    def knows(self, whose: tuple[int, ...], password: str) -> bool:
        """Whether ``password`` was verified for ``whose``, (principal, auth_version), a short time ago."""
        with self._guard:
            known = self._known.get(whose)
        return (
            known is not None
            and known[1] > time.monotonic()
            and hmac.compare_digest(known[0], pair(self._key, password))
        )

    def remember(self, whose: tuple[int, ...], password: str) -> None:
        """Note that ``password`` was verified."""
        with self._guard:
            self._known[whose] = (pair(self._key, password), time.monotonic() + self._life)
            self._known.move_to_end(whose)
            while len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)


class WrongPasswords:
    """Remembers passwords that were wrong, so that an app with an old one costs nothing when it comes again."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._until: OrderedDict[bytes, float] = OrderedDict()
        self._guard = threading.Lock()

    def knows(self, whose: str, password: str) -> bool:
        """Whether ``password`` was wrong for ``whose`` a short time ago."""
        with self._guard:
            return self._until.get(pair(self._key, whose, password), 0.0) > time.monotonic()

    def remember(self, whose: str, password: str, life: timedelta) -> None:
        """Note for how long ``password`` counts as wrong. ``whose`` is another after a change of password."""
        known = pair(self._key, whose, password)
        with self._guard:
            self._until[known] = time.monotonic() + life.total_seconds()
            self._until.move_to_end(known)
            while len(self._until) > _MOST_REMEMBERED:
                self._until.popitem(last=False)


class RightBefore:
    """Which logins and passwords signed in before, without an end: 65,536 of them, in one MiB.

    The memory belongs to this process and to all that are forked from it later: a device that worked with one worker is
    known to the others. Two that write at one moment can spoil an entry, and then it is forgotten, never made up.
    """

    _WAYS = 8
    _SETS = 2**13
    _SIZE = 16

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._table = mmap.mmap(-1, self._SETS * self._WAYS * self._SIZE)
        self._guard = threading.Lock()

    def knows(self, *words: str) -> bool:
        """Whether these words, (database, login, password), are remembered."""
        found, places = self._places(words)
        at = self._table[places[0] : places[-1] + self._SIZE].find(found)
        return at >= 0 and at % self._SIZE == 0

    def remember(self, *words: str) -> None:
        """Note that somebody signed in by these; an older entry may have to go."""
        found, places = self._places(words)
        with self._guard:
            held = [self._table[place : place + self._SIZE] for place in places]
            if found in held:
                return
            free = held.index(bytes(self._SIZE)) if bytes(self._SIZE) in held else found[-1] % self._WAYS
            self._table[places[free] : places[free] + self._SIZE] = found

    def forget(self, *words: str) -> None:
        """Note that these are no longer right."""
        found, places = self._places(words)
        with self._guard:
            for place in places:
                if self._table[place : place + self._SIZE] == found:
                    self._table[place : place + self._SIZE] = bytes(self._SIZE)

    def _places(self, words: tuple[str, ...]) -> tuple[bytes, list[int]]:
        found = pair(self._key, *words)
        first = int.from_bytes(found[:4], "big") % self._SETS * self._WAYS
        return found, [(first + way) * self._SIZE for way in range(self._WAYS)]


# Made when the server's parent process imports this, before it forks its workers.
RIGHT_BEFORE = RightBefore()

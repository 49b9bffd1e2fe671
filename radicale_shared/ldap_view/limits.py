"""How many connections, of all and of one address."""

from __future__ import annotations

from collections import Counter

from ..attempts import network_of

# Of all connections one address may hold this part, and of those on which nobody is signed in yet a smaller one. Phones
# of a whole office may come from one address.
_PART_OF_ADDRESS = 2
_PART_OF_STRANGERS = 8


class Doors:
    """Who is connected to this process, by address (``network_of``); used by its event loop alone."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._all: Counter[str] = Counter()
        self._strangers: Counter[str] = Counter()
        self._count = 0

    def enter(self, address: str) -> bool:
        """Whether one more may be connected from there; who may is counted as a stranger."""
        network = network_of(address)
        if (
            self._count >= self._most
            or self._all[network] >= max(1, self._most // _PART_OF_ADDRESS)
            or self._strangers[network] >= max(1, self._most // _PART_OF_STRANGERS)
        ):
            return False
        self._count += 1
        self._all[network] += 1
        self._strangers[network] += 1
        return True

    def known(self, address: str) -> None:
        """One of the strangers there has signed in."""
        self._less(self._strangers, address)

    def stranger(self, address: str) -> None:
        """One who had signed in is a stranger again."""
        self._strangers[network_of(address)] += 1

    def leave(self, address: str, *, is_stranger: bool) -> None:
        """One is gone."""
        self._count -= 1
        self._less(self._all, address)
        if is_stranger:
            self._less(self._strangers, address)

    def _less(self, counter: Counter[str], address: str) -> None:
        network = network_of(address)
        counter[network] -= 1
        if counter[network] <= 0:
            del counter[network]

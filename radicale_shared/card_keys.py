"""The numbers that stand for cards in what phones and LDAP clients get: a card's own would tell how many there are.

A permutation of the numbers of 64 bits, by the database's secret (four rounds of a Feistel network), so a contact keeps
its number, and nothing has to be stored for it.
"""

from __future__ import annotations

from hashlib import blake2b

_HALF = 32
_MASK = (1 << _HALF) - 1
_ROUNDS = 4


def key_of(card_id: int, secret: bytes) -> str:
    """The number that stands for a card."""
    left, right = card_id >> _HALF, card_id & _MASK
    for number in range(_ROUNDS):
        left, right = right, left ^ _mixed(right, number, secret)
    return str(left << _HALF | right)


def card_of(key: str, secret: bytes) -> int | None:
    """The card that a number stands for; None for what stands for none."""
    if not (key.isascii() and key.isdigit() and len(key) <= 20) or (told := int(key)) >> 2 * _HALF:
        return None
    left, right = told >> _HALF, told & _MASK
    for number in reversed(range(_ROUNDS)):
        left, right = right ^ _mixed(left, number, secret), left
    found = left << _HALF | right
    # No database gives numbers that are so high, and none could be asked for them.
    return found if found < 1 << 62 else None


def _mixed(half: int, number: int, secret: bytes) -> int:
    data = half.to_bytes(4, "big") + bytes([number])
    return int.from_bytes(blake2b(data, key=secret, digest_size=4, person=b"phone contacts").digest(), "big")

"""The texts by which a directory finds an entry: words, the same as keys of a telephone, digits from either end.

Each is a row of ``entry_keys``, whose primary key begins with book and key: whoever looks for the beginning of one
reads a range of it. What is found that way is a superset, as texts are cut; the entry decides.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from . import numbers
from .vcard import fold

if TYPE_CHECKING:
    from .entries import Entry

# Raised when rows of entries are written otherwise, or keys are made otherwise than before: all are made anew then.
_EDITION = 1
OF_THIS_EDITION = f"{_EDITION} "  # what a book says begins so, if its rows are such as this program reads and finds

# What a key begins with: which kind it is.
WORD = "w"  # a word of a name or organisation, or an e-mail address
T9 = "t"  # the same words as they are typed on a telephone's keys
DIGITS = "d"  # of a number, in E.164 where it has that form
SUFFIX = "s"  # the same from the end to the beginning
FAMILY_FIRST = "f"  # the name, in the order of lists
GIVEN_FIRST = "g"

MOST = 60  # characters of a key

# Letters that have no decomposition, as people without them on their keyboard write them.
_WRITTEN = str.maketrans(
    {
        **{"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h"},
        **{"ŋ": "n", "ŧ": "t", "ĸ": "k", "ŀ": "l", "ſ": "s"},
    }
)
_T9 = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")
_REMEMBERED = 100  # characters; of longer texts thousands are many megabytes
_BLANKS = re.compile(r"\s+")
_PARTS = re.compile(r"[^\W_]+")


def rules(region: str) -> str:
    """By which rules the entries of a region are made: what a book says of its own, if all of them were."""
    return f"{_EDITION} {numbers.RULES} {region}".rstrip()


def is_of_this_edition(made_by: str) -> bool:
    """Whether rows that were made by some rules are such as this program reads and finds."""
    return made_by.startswith(OF_THIS_EDITION)


def unfinished(*, from_nothing: bool) -> str:
    """What a book says of its entries until all of them are made anew; never the same twice.

    So who makes them notices that somebody else has begun, or that its region has changed, and be it back again.

    from_nothing: whether all that is there has to go first
    """
    return f"{'-' if from_nothing else _EDITION} {secrets.token_hex(8)}"


def plain(text: str) -> str:
    """``text`` as it is searched: without case, diacritics and doubled blanks; ``ß`` is ``ss``, ``ø`` is ``o``."""
    return _remembered(text) if len(text) <= _REMEMBERED else _plain(text)


def _plain(text: str) -> str:
    folded = fold(text)
    if not folded.isascii():
        folded = "".join(char for char in folded.translate(_WRITTEN) if not unicodedata.combining(char))
    return _BLANKS.sub(" ", folded).strip()


_remembered = lru_cache(maxsize=4096)(_plain)


def words(text: str) -> Iterator[str]:
    """The words of a text, plain: what stands between blanks, and the letters and digits between other marks.

    Of ``O'Brien-Meyer`` both all of it, and ``o``, ``brien`` and ``meyer``.
    """
    for word in plain(text).split(" "):
        if word:
            yield word
            if not word.isalnum():
                yield from _PARTS.findall(word)


def t9(word: str) -> str:
    """The keys of a telephone that a plain word is typed by; empty where it has other than a-z and digits."""
    keys = word.translate(_T9)
    return keys if keys.isascii() and keys.isdigit() else ""


def keys_of(entry: Entry) -> frozenset[str]:
    """All keys of an entry."""
    found: set[str] = set()
    of_names = (
        *(entry.name, entry.family, entry.given, entry.additional, entry.prefix, entry.suffix),
        *(entry.nickname, entry.org, *entry.units),
    )
    instead = called_instead(entry)
    for text in (*of_names, *instead) if entry.name in instead else of_names:
        for word in words(text):
            found.add(WORD + word)
            if keys := t9(word):
                found.add(T9 + keys)
    found.update(WORD + plain(address) for address in entry.emails)
    for number in entry.numbers:
        if number.digits:
            found.add(DIGITS + number.digits)
            found.add(SUFFIX + number.digits[::-1])
    found.update(order_of(entry, order) for order in (FAMILY_FIRST, GIVEN_FIRST))
    return frozenset(key[:MOST] for key in found)


def called_instead(entry: Entry) -> tuple[str, ...]:
    """What an entry without a name may be called by: by another of these for a reader who doesn't see the first."""
    company = ", ".join(filter(None, (entry.org, *entry.units)))
    return company, entry.nickname, *entry.emails, *(number.written for number in entry.numbers), entry.uid


def order_of(entry: Entry, order: str) -> str:
    """The key that puts an entry in order among others. order: FAMILY_FIRST or GIVEN_FIRST

    It is made of nothing that can be hidden: where somebody stands in a list would tell of it.
    """
    family = entry.family or entry.name
    first, second = (family, entry.given) if order == FAMILY_FIRST else (entry.given, family)
    return (order + plain(f"{first} {second}"))[:MOST]

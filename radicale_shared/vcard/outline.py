"""Which properties a card has, by a look at its raw lines: cheap enough for each write of every card.

Nothing is parsed: a property that is written in a way which only a parser understands (a quote that is never closed) is
left out here. So what is decided by an outline must be harmless where it is wrong by one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from radicale_shared.vcard.meaning import LABELS, UNSEEN

# What a card has for programs, or twice; and what says where it belongs rather than something of whom it is about.
_NO_VALUES = frozenset(
    [
        *("BEGIN", "END", "UID", "FN", "N", "KIND", "PROFILE", "NAME", "SOURCE", "CLASS", "CLIENTPIDMAP", "CREATED"),
        *("LANGUAGE", "SORT-STRING", "LABEL", "CATEGORIES"),
        *UNSEEN,
    ]
)
_MEMBERS = "X-ADDRESSBOOKSERVER-MEMBER"

# A name at the beginning of a line, and the first character of its value. No two pieces can match the same bytes in two
# ways, and what doesn't begin a line is passed over as quickly as bytes are searched.
_FOLD = rb"\r?\n[ \t]"
_FILLED = re.compile(
    rb'\n(?:[^.:;\r\n" \t]++\.)?+([^.:;\r\n" \t]++)'
    rb'(?:;(?:[^":\r\n]++|"(?:[^"\r\n]++|' + _FOLD + rb')*+"|' + _FOLD + rb")*+)?+:"
    rb"(?:[;, \t]|" + _FOLD + rb")*+[^\s;,]"
)


class Outline(NamedTuple):
    """What a card has.

    names: of its properties that say something, in upper case; without BEGIN and END
    values: how many things people keep in it: telephone numbers, addresses, notes and so on, names and marks apart
    """

    names: frozenset[str] = frozenset()
    values: int = 0


def outline(data: bytes, beside: bytes = b"") -> Outline:
    """What a card has, of its bytes.

    beside: a line of it that stands elsewhere, or the head of that line
    """
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    found = _FILLED.findall(data)
    if beside:
        found += _FILLED.findall(b"\n" + beside)
    names = [name.decode("utf-8", "replace").upper() for name in found]
    return Outline(frozenset(names) - {"BEGIN", "END"}, sum(map(_is_value, names)))


def is_emptied(before: int, after: int) -> bool:
    """Whether a write took most of what people keep in a card: all of it, or at least two things and more than half.

    before, after: ``Outline.values``
    """
    gone = before - after
    return before > 0 and (after == 0 or (gone >= 2 and 2 * gone > before))


def _is_value(name: str) -> bool:
    if name.startswith("X-"):
        return name == _MEMBERS
    return name not in _NO_VALUES and name not in LABELS

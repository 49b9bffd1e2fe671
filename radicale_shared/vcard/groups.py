"""Groups of lines, ``item1`` of ``item1.EMAIL``: names that are free in a card, and lines that move to another one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from radicale_shared.vcard.lines import LINE_OCTETS, ends_softly, fold_line, line_end, unfold

_WRITTEN_GROUP = re.compile(rb"[^.:;\r\n]*+\.")
_LINE_BREAK = re.compile(rb"[\r\n]")


class GroupNames:
    """The names of groups that are in use in a card; their case doesn't count (RFC 6350, section 3.3)."""

    __slots__ = ("_number", "_taken")

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = {name.lower() for name in taken}
        self._number = 0

    def free(self, wanted: str = "") -> str:
        """``wanted`` if it is free, else the next of ``item1``, ``item2`` and so on; from now on it is in use."""
        name = wanted
        while not name or name.lower() in self._taken:
            self._number += 1
            name = f"item{self._number}"
        self._taken.add(name.lower())
        return name


def in_group(raw: bytes, group: bytes) -> bytes:
    """A line that is in a group, in ``group``, or in none; folded anew if it has become too long."""
    found = _WRITTEN_GROUP.match(raw)
    if not found:  # a fold lies in the group's name
        raw = unfold(raw) + line_end(raw)
        found = _WRITTEN_GROUP.match(raw)
    moved = (group + b"." if group else b"") + raw[found.end() if found else 0 :]
    first = _LINE_BREAK.search(moved)
    if (first.start() if first else len(moved)) <= LINE_OCTETS:
        return moved
    text = unfold(moved)
    # Soft breaks and nested cards are left: they are no folds.
    return moved if _LINE_BREAK.search(text) or ends_softly(text) else fold_line(text, line_end(moved) or b"\r\n")

"""What came of an import: counts, and a line for everything that needs a person's eye."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum

from radicale_shared import vcard

_HEAD = 64 * 1024  # bytes of a broken card that are searched for its name


class Outcome(StrEnum):
    """What happened to one card."""

    ADDED = "added"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about one card.

    file: as it was named or found
    card: its number in the file, from 1; 0 for the file itself
    name: whose card, as far as it can be told
    what: why it was refused, or what was done to it
    """

    file: str
    card: int
    name: str
    what: str


@dataclass(slots=True)
class Report:
    """Counts what is committed, so it is right after an interruption too.

    kept: cards that are newer here than in what was imported, and were left alone
    mended: what had to be altered to be stored: vCard 2.1, folds that cut a character, a missing UID
    """

    files: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: list[Remark] = field(default_factory=list)
    kept: list[Remark] = field(default_factory=list)
    mended: list[Remark] = field(default_factory=list)

    def count(self, outcome: Outcome) -> None:
        """Count one card; what was kept is listed by whoever kept it."""
        if outcome is Outcome.ADDED:
            self.added += 1
        elif outcome is Outcome.UPDATED:
            self.updated += 1
        elif outcome is Outcome.UNCHANGED:
            self.unchanged += 1

    @property
    def written(self) -> int:
        """How many cards were written."""
        return self.added + self.updated


def name_in(data: bytes) -> str:
    """Whose card this is, as far as it can be told of a broken one too; empty if it can't."""
    return vcard.display_name(vcard.Card(b"", tuple(vcard.content_lines(data[:_HEAD])), b""))[:200]


def shown(path: str) -> str:
    """A file's name as text that can be printed and stored, whatever bytes it has."""
    return os.fsencode(path).decode("utf-8", "replace")

"""Dates and times of vCards in both spellings: 1996-04-15T10:22:00Z (RFC 2426) and 19960415T102200Z (RFC 6350, 4.3).

3.0 has no date without year. Apple writes such a birthday in the year 1604 and says so in a parameter:
``BDAY;X-APPLE-OMIT-YEAR=1604:1604-03-20``. Reading takes both spellings in both versions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NO_YEAR = "1604"

_MOMENT = re.compile(
    r"(\d{4}|--)-?(\d\d)-?(\d\d)"
    r"(?:[Tt](\d\d)(?::?(\d\d)(?::?(\d\d)(?:[.,]\d+)?)?)?([Zz]|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_OFFSET = re.compile(r"([+-]\d\d)(?::?(\d\d))?", re.ASCII)
_OFFSET_3 = re.compile(r"([+-])(\d?\d):(\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Moment:
    """A day, or a moment on it; as texts of digits.

    year: empty if there is none
    time: hours, minutes, seconds; empty for a whole day; what was not written is ``00``
    offset: ``Z``, ``+0100``, or empty
    """

    year: str
    month: str
    day: str
    time: tuple[str, str, str] | tuple[()]
    offset: str

    def basic(self) -> str:
        """As in 4.0: ``19960415T102200Z``, ``--0415``."""
        time = f"T{''.join(self.time)}{self.offset}" if self.time else ""
        return f"{self.year or '--'}{self.month}{self.day}{time}"

    def extended(self) -> str:
        """As in 3.0: ``1996-04-15T10:22:00Z``; without year in that of ``NO_YEAR``."""
        offset = self.offset if len(self.offset) < 5 else f"{self.offset[:3]}:{self.offset[3:]}"
        time = f"T{':'.join(self.time)}{offset}" if self.time else ""
        return f"{self.year or NO_YEAR}-{self.month}-{self.day}{time}"


def moment(written: str) -> Moment | None:
    """``written`` read, basic or extended; None if month and day aren't there, or it is no date at all."""
    found = _MOMENT.fullmatch(written.strip())
    if not found or not ("01" <= found[2] <= "12" and "01" <= found[3] <= "31"):
        return None
    time = (found[4], found[5] or "00", found[6] or "00") if found[4] else ()
    offset = found[7].upper() if found[7] else ""
    if parts := _OFFSET.fullmatch(offset):
        offset = parts[1] + (parts[2] or "00")
    return Moment("" if found[1] == "--" else found[1], found[2], found[3], time, offset)


def offset_basic(written: str) -> str:
    """An offset from UTC as 4.0 writes it, ``-0500``; empty if ``written`` is none (RFC 2426, section 3.4.1)."""
    found = _OFFSET_3.fullmatch(written.strip()) or re.fullmatch(r"([+-])(\d\d)(\d\d)?", written.strip(), re.ASCII)
    return f"{found[1]}{found[2]:0>2}{found[3] or '00'}" if found else ""


def offset_extended(written: str) -> str:
    """An offset from UTC as 3.0 writes it, ``-05:00``; empty if ``written`` is none."""
    basic = offset_basic(written)
    return f"{basic[:3]}:{basic[3:]}" if basic else ""

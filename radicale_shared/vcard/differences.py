"""What differs between two states of a card, property by property, as people are told of it.

Compared is what the states say (``meaning``): order, folds, the case of names and the names of groups are no
difference, and a label belongs to its property. Nor is the vCard version one: the earlier state is read as one of the
later state's version.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from radicale_shared.vcard.card import Card
from radicale_shared.vcard.checking import VERSIONS
from radicale_shared.vcard.convert import convert
from radicale_shared.vcard.meaning import DATES, LABELS, MEDIA, UNSEEN, Said, Unit, units
from radicale_shared.vcard.pairing import Budget, equal_pairs, likely_pairs

LONGEST_TOLD = 200  # characters of a value, and of a line

_BETWEEN = re.compile("[\x1e\x1f]")  # where ``meaning`` has parted a value
_DATE = re.compile(r"(\d{4}|--)(\d\d)(\d\d)", re.ASCII)
_APPLE = re.compile(r"_\$!<(.*)>!\$_")
_BASE64 = re.compile(r"data:(?P<type>[^;,]*)[^,]*;base64,")
_TYPE_OF_DATA = re.compile(r"data:(?:\w+/)?(?P<type>[\w.+-]+)")
# Said by the name of a property already, or to programs only.
_UNTOLD_PARAMS = frozenset({"VALUE", "ENCODING", "CHARSET", "ALTID", "PID", "CALSCALE"})


class Kind(StrEnum):
    """What became of a property."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One property that is not what it was.

    name: of the property, in upper case
    before, after: what it said, short, for people; empty where it was not there
    """

    change: Kind
    name: str
    before: str
    after: str


def differences(before: Card | None, after: Card | None) -> tuple[Difference, ...]:
    """What has to be done to ``before`` that it says what ``after`` says, in the order of their lines.

    None stands for no card. Empty if both say the same. REV and PRODID, which programs write at every save, are none.
    """
    if before is not None and after is not None and {before.version, after.version} == set(VERSIONS):
        # There and back, so that marks of how it was written in the other version are in none of them.
        after = convert(convert(after, before.version), after.version, marked=False)
        before = convert(before, after.version, marked=False)
    known: dict[bytes, Said] = {}
    alike = (before.version if before else "") == (after.version if after else "")
    ones = _by_name(before, known)
    others = _by_name(after, known if alike else {})
    budget = Budget()
    return tuple(
        one
        for name in dict.fromkeys([*others, *ones])
        for one in _of_property(name, ones.get(name, ()), others.get(name, ()), budget)
    )


def _by_name(card: Card | None, known: dict[bytes, Said]) -> dict[str, list[Unit]]:
    named: dict[str, list[Unit]] = {}
    for unit in units(card, known) if card is not None else ():
        if unit.name not in UNSEEN:
            named.setdefault(unit.name, []).append(unit)
    return named


def _of_property(name: str, ones: Sequence[Unit], others: Sequence[Unit], budget: Budget) -> Iterator[Difference]:
    same = equal_pairs(ones, others)
    kept = set(same.values())
    gone = [unit for at, unit in enumerate(ones) if at not in same]
    new = [unit for at, unit in enumerate(others) if at not in kept]
    pairs = likely_pairs(gone, new, budget)
    paired = {there: here for here, there in pairs.items()}
    for at, unit in enumerate(gone):
        if at not in pairs:
            yield Difference(Kind.REMOVED, name, told(unit), "")
    for at, unit in enumerate(new):
        if at in paired:
            yield Difference(Kind.CHANGED, name, *_told_apart(gone[paired[at]], unit))
        else:
            yield Difference(Kind.ADDED, name, "", told(unit))


def _told_apart(one: Unit, other: Unit) -> tuple[str, str]:
    """Two units that differ, for people: by their lines if what is shown of them is the same."""
    shown = told(one), told(other)
    if shown[0] != shown[1]:
        return shown
    if _media(one) or _media(other):
        return shown[0], f"another {shown[1]}"
    written = _cut(one.text), _cut(other.text)
    return written if written[0] != written[1] else (shown[0], f"{shown[1]} (differs further on)")


def told(unit: Unit) -> str:
    """What a unit says, for people: ``+49 30 1 (work)``; of a picture what it is, and how large."""
    own = [part for part in unit.said if part.name == unit.name]
    shown = "; ".join(filter(None, (_value(part) for part in own)))
    kinds = ", ".join(filter(None, (_kind(key, value) for part in own for key, value in part.params)))
    labels = ", ".join(filter(None, map(_label, unit.labels)))
    return _cut(" ".join(filter(None, (shown, f"({_cut(kinds)})" if kinds and not _media(unit) else "", labels))))


def _value(part: Said) -> str:
    if size := _size(part):
        kind = _media_type(part)
        return ", ".join(filter(None, (part.name.lower(), kind, _told_size(size))))
    text = part.value[: 4 * LONGEST_TOLD]
    if part.name in DATES and (found := _DATE.match(text)):
        year, month, day = found.groups()
        text = ("--" if year == "--" else f"{year}-") + f"{month}-{day}" + text[found.end() :]
    return ", ".join(piece for piece in map(_on_one_line, _BETWEEN.split(text)) if piece)


def _media(unit: Unit) -> bool:
    return any(_size(part) for part in unit.parts)


def _size(part: Said) -> int:
    """How many bytes a value in base64 stands for; 0 for any other one."""
    if ("ENCODING", "b") in part.params:
        return len(part.value) * 3 // 4
    found = _BASE64.match(part.value, 0, 300)
    if found:
        return (len(part.value) - found.end()) * 3 // 4
    return len(part.value) if part.name in MEDIA and part.value.startswith("data:") else 0


def _media_type(part: Said) -> str:
    """E.g. ``JPEG``; empty where it isn't told."""
    named = dict(part.params)
    written = named.get("TYPE") or named.get("MEDIATYPE", "").rpartition("/")[2]
    if not written and (found := _TYPE_OF_DATA.match(part.value, 0, 100)):
        written = found["type"]
    return _cut(written.upper(), 20)


def _told_size(size: int) -> str:
    for unit, factor in (("MB", 1_000_000), ("kB", 1000)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size} bytes"


def _kind(key: str, value: str) -> str:
    if key in _UNTOLD_PARAMS or key.startswith("X-VCARD"):
        return ""
    text = _on_one_line(value[:LONGEST_TOLD])
    return text.replace(",", ", ") if key == "TYPE" else f"{key.lower()} {text}"


def _label(part: Said) -> str:
    text = _on_one_line(part.value[:LONGEST_TOLD])
    if found := _APPLE.fullmatch(text):
        text = found[1]
    return f"[{text}]" if part.name in LABELS else f"[{part.name}: {text}]"


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _cut(text: str, longest: int = LONGEST_TOLD) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"

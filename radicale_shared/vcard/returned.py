"""What a client sent, with what the conversion had written for it put back: clients drop what they don't know.

A card that is shown in the other version has parameters and properties from which the way back is made (``convert``).
No program shows them, so nobody means anything by leaving them out. Looked at are those that begin with X-VCARD3- and
X-VCARD4-, and Apple's X-APPLE-OMIT-YEAR, without which a birthday without year is one of 1604.

    a unit that says what it said       has all of its marks again
    one that was edited                 has again what was said of its place (``_OF_THE_PLACE``), not of its old value
    an X-VCARD property that is missing is there again; its label too
    alternatives (ALTID) of something   are gone with it, whether the client sent them or not: they say the same in
    that was deleted                    other words. So are the labels of addresses, if no address is left
    an N that is missing while FN says  is there again: 4.0 allows cards without one, but 3.0 doesn't, and one made of
    the same as before                  FN for it would say less
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from radicale_shared.vcard.card import Card
from radicale_shared.vcard.convert_lines import FROM_3, FROM_4, read, written
from radicale_shared.vcard.groups import GroupNames, in_group
from radicale_shared.vcard.lines import ContentLine, ends_softly
from radicale_shared.vcard.meaning import LABELS, Said, Unit, units
from radicale_shared.vcard.pairing import Budget, equal_pairs, likely_pairs, pair_by

_PREFIXES = (FROM_3, FROM_4)
_OMITTED_YEAR = "X-APPLE-OMIT-YEAR"
_ALTERNATIVE = f"{FROM_4}ALTID"
_OF_THE_PLACE = frozenset(
    {_ALTERNATIVE, f"{FROM_4}PID", f"{FROM_4}PREF", f"{FROM_4}INDEX", f"{FROM_3}TYPE", f"{FROM_3}WITHOUT"}
)
_BLANK = ContentLine(b"")

Lines = dict[int, ContentLine]  # by position in the sent card
Owner = tuple[str, str] | None  # a property with its ALTID
_ADDRESS: Owner = ("ADR", "")


def returned(shown: Card, sent: Card) -> Card:
    """``sent`` as a client would have sent it that keeps what it doesn't know, N, and the lines that it didn't edit.

    shown: the card that the client edited, as it was converted for it; of the version of ``sent``

    The cost is that of reading both.
    """
    known: dict[bytes, Said] = {}
    seen, unseen = _apart(shown, known)
    seen_now, unseen_now = _apart(sent, known)
    lines = dict(enumerate(sent.lines))
    budget = Budget()

    stayed = _stayed(seen, seen_now)
    edited = _edited(seen, seen_now, stayed, budget)
    for at, now in stayed.items():
        lines.update(_as_shown(seen[at], seen_now[now]))
    for at, now in edited.items():
        lines.update(_with_place(seen[at], seen_now[now], sent.eol))
    names = [] if sent.all("N") or shown.texts("FN") != sent.texts("FN") else [one for one in seen if one.name == "N"]
    gone = _owners(shown.lines) - _owners([*lines.values(), *(line for unit in names for line in unit.lines)])

    carried = _stayed(unseen, unseen_now)
    there = carried | _edited(unseen, unseen_now, carried, budget)
    groups = _Groups(sent, {seen[at].group: seen_now[now].group for at, now in (edited | stayed).items()})
    orphans = _orphans(seen_now, stayed)
    added: list[ContentLine] = []
    for unit in names:
        group = groups.home(unit.group)
        added += [_regrouped(line, group) for line in unit.lines if not ends_softly(line.raw)]
    for at, unit in enumerate(unseen):
        its = unseen_now[there[at]] if at in there else None
        if _owner(unit) in gone:
            _take_out(its, lines)
        elif its is None:
            left = orphans.get(unit.labels)
            orphan = left.popleft() if left else None
            _take_out(orphan, lines)
            group = orphan.group if orphan else groups.home(unit.group)
            added += [_regrouped(line, group) for line in unit.lines if not ends_softly(line.raw)]
        elif at in carried:
            lines.update(_as_shown(unit, its))
    kept = [lines[position] for position in sorted(lines)]
    # A soft break at the end of the last line would take the next one along.
    end = len(kept) - bool(kept and ends_softly(kept[-1].raw))
    return replace(sent, lines=(*kept[:end], *added, *kept[end:]))


def _apart(card: Card, known: dict[bytes, Said]) -> tuple[list[Unit], list[Unit]]:
    """(the units that programs show, those of X-VCARD properties with the labels that are theirs alone)."""
    groups: dict[str, list[ContentLine]] = {}
    for line in card.lines:
        if line.group:
            groups.setdefault(line.group.lower(), []).append(line)
    hidden_groups = {
        group
        for group, lines in groups.items()
        if any(_is_hidden(line) for line in lines) and all(_is_hidden(line) or line.name in LABELS for line in lines)
    }
    hides = [_is_hidden(line) or line.group.lower() in hidden_groups for line in card.lines]
    parts = (
        replace(
            card, lines=tuple(line if hide is hidden else _BLANK for line, hide in zip(card.lines, hides, strict=True))
        )
        for hidden in (False, True)
    )
    visible, hidden = (units(part, known) for part in parts)
    return visible, hidden


def _is_hidden(line: ContentLine) -> bool:
    return line.name.startswith(_PREFIXES)


def _stayed(before: Sequence[Unit], now: Sequence[Unit]) -> dict[int, int]:
    """Index in ``before`` to index in ``now`` of units that say the same, marks apart; those with equal marks first."""
    same = equal_pairs(before, now)
    used = set(same.values())
    left = [at for at in range(len(before)) if at not in same]
    return same | pair_by(_bare, before, now, left, [at for at in range(len(now)) if at not in used])


def _edited(before: Sequence[Unit], now: Sequence[Unit], stayed: dict[int, int], budget: Budget) -> dict[int, int]:
    """Likewise those of the others of which the second is probably an edit of the first."""
    used = set(stayed.values())
    names: dict[str, tuple[list[int], list[int]]] = {}
    for side, (some, paired) in enumerate(((before, stayed.keys()), (now, used))):
        for at, unit in enumerate(some):
            if at not in paired:
                names.setdefault(unit.name, ([], []))[side].append(at)
    found = {}
    for olds, news in names.values():
        if olds and news:
            pairs = likely_pairs([before[at] for at in olds], [now[at] for at in news], budget)
            found.update({olds[old]: news[new] for old, new in pairs.items()})
    return found


def _bare(unit: Unit) -> tuple[Said, ...]:
    return tuple(sorted(map(_without_marks, unit.parts)))


def _without_marks(said: Said) -> Said:
    params = tuple(one for one in said.params if not _is_mark(one[0]))
    return replace(said, params=params) if len(params) < len(said.params) else said


def _is_mark(key: str) -> bool:
    return key.startswith(_PREFIXES) or key == _OMITTED_YEAR


def _as_shown(old: Unit, new: Unit) -> Iterator[tuple[int, ContentLine]]:
    """The lines of ``old`` in the places of those of ``new`` that say the same."""
    for one, other in zip(_order(old), _order(new), strict=True):
        # A line with a soft break at its end can stand at a card's end only.
        if not ends_softly(old.lines[one].raw):
            yield new.positions[other], _regrouped(old.lines[one], new.group if old.group else "")


def _order(unit: Unit) -> list[int]:
    said = [_without_marks(part) for part in unit.parts]
    return sorted(range(len(said)), key=said.__getitem__)


def _with_place(old: Unit, new: Unit, eol: bytes) -> Iterator[tuple[int, ContentLine]]:
    """The property's line in ``new`` with the parameters that say something of its place, if they are missing."""
    before, now = _main(old), _main(new)
    line, position = new.lines[now], new.positions[now]
    keys = {key for key, _ in line.params}
    missing = [one for one in old.lines[before].params if one[0] in _OF_THE_PLACE and one[0] not in keys]
    if missing and line.name:
        source = read(line)
        raw = written(replace(source, params=(*source.params, *missing)), line, eol)
        if raw is not None:
            yield position, ContentLine(raw)


def _main(unit: Unit) -> int:
    """Which of the unit's lines is the property itself."""
    return next(at for at, line in enumerate(unit.lines) if line.name == unit.name)


def _regrouped(line: ContentLine, group: str) -> ContentLine:
    return line if line.group.lower() == group.lower() else ContentLine(in_group(line.raw, group.encode()))


def _take_out(unit: Unit | None, lines: Lines) -> None:
    for position in unit.positions if unit else ():
        del lines[position]


def _owners(lines: Iterable[ContentLine]) -> set[Owner]:
    """What X-VCARD properties may belong to, of what programs show."""
    found = set()
    for line in lines:
        if not _is_hidden(line):
            found.add(_alternatives(line.name, line))
            if line.name == "ADR":
                found.add(_ADDRESS)
    return found - {None}


def _owner(unit: Unit) -> Owner:
    """What the X-VCARD property ``unit`` belongs to; None if it is something by itself."""
    line = unit.lines[_main(unit)]
    name = line.name[len(FROM_3) :]
    return _ADDRESS if name == "LABEL" else _alternatives(name, line)


def _alternatives(name: str, line: ContentLine) -> Owner:
    altid = next(iter(line.param(_ALTERNATIVE)), "")
    return (name, altid) if altid else None


def _orphans(now: Sequence[Unit], stayed: Mapping[int, int]) -> dict[tuple[Said, ...], deque[Unit]]:
    """New units that are nothing but labels, by what they say: what they name may have been left out."""
    used = set(stayed.values())
    found: dict[tuple[Said, ...], deque[Unit]] = {}
    for at, unit in enumerate(now):
        if unit.name in LABELS and at not in used:
            found.setdefault(unit.said, deque()).append(unit)
    return found


class _Groups:
    """What the groups of the shown card are called in the sent one."""

    def __init__(self, sent: Card, homes: Mapping[str, str]) -> None:
        self._homes = {shown.lower(): group for shown, group in homes.items() if shown}
        self._names = GroupNames(line.group for line in sent.lines)

    def home(self, group: str) -> str:
        """The name for ``group`` of the shown card: where the rest of it is now, else its own one or a free one."""
        if not group or group.lower() in self._homes:
            return self._homes.get(group.lower(), "")
        return self._names.free(group)

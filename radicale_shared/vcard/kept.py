"""What a client sent, with the properties that it can't know put back: leaving them out meant nothing.

Some programs write of a card only what they have fields for. Whether a program is one of these, and for which
properties, is told by who calls (``client_properties``); here they are put back, in the groups where they belong:

    a property                  as it was shown, with its label; in the group in which the rest of its group is now
    a label                     beside the line that it named, if that says what it said; else if it is the only line
                                of its property that was edited
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Set
from dataclasses import replace

from radicale_shared.vcard.card import Card
from radicale_shared.vcard.groups import GroupNames, in_group
from radicale_shared.vcard.lines import ContentLine, ends_softly
from radicale_shared.vcard.meaning import LABELS


def names_of(card: Card) -> frozenset[str]:
    """The names of the properties that say something."""
    return frozenset(line.name for line in card.lines if line.name and line.value.strip(" \t;,"))


def kept(shown: Card, sent: Card, names: Set[str]) -> Card:
    """``sent`` with those properties back that ``shown`` has, and it hasn't at all, of these names.

    shown: the card that the client edited, as it was shown it; of the version of ``sent``

    The cost is that of reading both.
    """
    missing = (names & names_of(shown)) - names_of(sent)
    if not missing:
        return sent
    lines = list(sent.lines)
    added: list[ContentLine] = []
    free = GroupNames(line.group for line in lines)
    homes: dict[str, str] = {}
    pairs = _pairs(shown, sent, missing)
    paired: dict[str, list[int]] = {}  # by group of ``shown``: positions in ``sent``
    for at, to in pairs.items():
        paired.setdefault(shown.lines[at].group.lower(), []).append(to)
        if lines[to].group:
            homes.setdefault(shown.lines[at].group.lower(), lines[to].group)
    labelled = {line.group.lower() for line in lines if line.name in LABELS and line.group}

    def home(group: str) -> str:
        """The group of ``sent`` that is ``group`` of ``shown``; where there is none its line is given one."""
        found = homes.get(group.lower())
        if found is None:
            found = homes[group.lower()] = free.free(group)
            for to in paired.get(group.lower(), ()):
                if not lines[to].group:
                    lines[to] = _regrouped(lines[to], found)
        return found

    stays = paired.keys()
    properties = missing - LABELS
    back = {line.group.lower() for line in shown.lines if line.name in properties}
    for line in shown.lines:
        group = line.group.lower()
        if ends_softly(line.raw) or not line.value.strip(" \t;,"):
            continue
        if line.name in properties:
            added.append(_regrouped(line, home(group)) if group else line)
        elif line.name in LABELS and group:
            is_lost = group in back and group not in stays
            is_left_out = line.name in missing and group in stays
            if (is_lost or is_left_out) and homes.get(group, "").lower() not in labelled:
                added.append(_regrouped(line, home(group)))
    # A soft break at the end of the last line would take the next one along.
    end = len(lines) - bool(lines and ends_softly(lines[-1].raw))
    return replace(sent, lines=(*lines[:end], *added, *lines[end:]))


def _pairs(shown: Card, sent: Card, missing: Set[str]) -> dict[int, int]:
    """Position in ``shown`` to position in ``sent`` of lines that are the same thing, of those that stand in groups."""
    waiting: dict[tuple[str, str], deque[int]] = {}
    for at, line in enumerate(sent.lines):
        if line.name and line.name not in LABELS:
            waiting.setdefault((line.name, line.text.strip()), deque()).append(at)
    pairs: dict[int, int] = {}
    left: dict[str, list[int]] = {}
    for at, line in _named(shown, missing):
        if queue := waiting.get((line.name, line.text.strip())):
            pairs[at] = queue.popleft()
        else:
            left.setdefault(line.name, []).append(at)
    edited: dict[str, list[int]] = {}
    used = set(pairs.values())
    for (name, _), queue in waiting.items():
        edited.setdefault(name, []).extend(at for at in queue if at not in used)
    for name, ats in left.items():
        others = edited.get(name, [])
        if len(ats) == len(others) == 1:
            pairs[ats[0]] = others[0]
    return {at: to for at, to in pairs.items() if shown.lines[at].group}


def _named(card: Card, missing: Set[str]) -> Iterator[tuple[int, ContentLine]]:
    """The lines that are neither labels nor to be put back; those in groups first, as they are what is looked for."""
    others = LABELS | missing
    lines = [(at, line) for at, line in enumerate(card.lines) if line.name and line.name not in others]
    yield from sorted(lines, key=lambda one: not one[1].group)


def _regrouped(line: ContentLine, group: str) -> ContentLine:
    return line if line.group == group else ContentLine(in_group(line.raw, group.encode()))

"""A card without the fields that its reader may not see (``fields``).

Hidden is what any program could take for a hidden property, not only what is one here: a reader's program may cut lines
elsewhere. So these go too, as soon as anything is hidden:

    lines that are no content lines        they may go on with the line before
    AGENT, XML, X-ANDROID-CUSTOM           they hold whole cards, any property, rows of any kind
    X-FCENCODED-...                        the name is encoded
    X-VCARD3-..., X-VCARD4-...             as names and as parameters: what a conversion put by (``convert``)
    labels that are in no group            or in one of which nothing else is seen

A hidden property takes the X- lines of its group along: ``item1.X-ABLabel`` says what ``item1.TEL`` is. A line that may
have a type it doesn't clearly say counts as having it: one whose quotes aren't closed, and LABEL, GEO and the like
beside an ADR of that type. A label counts as a type: ``_$!<Home>!$_`` is ``home``.

UID, FN, N and what else is in ``fields.ALWAYS_SHOWN`` stay; of a line that is always shown only that goes what another
program reads as a hidden line behind a line break of its own.

The cost is that of reading the card.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from radicale_shared.vcard.card import Card
from radicale_shared.vcard.convert_lines import FROM_3, FROM_4
from radicale_shared.vcard.fields import ALWAYS_SHOWN, PROPERTIES, field_of, meant, split
from radicale_shared.vcard.lines import ContentLine, is_well_formed, line_end
from radicale_shared.vcard.meaning import LABELS

_HOLD_ANYTHING = frozenset({"AGENT", "XML", "X-ANDROID-CUSTOM"})
_MARKS = (FROM_3, FROM_4)
_ENCODED = "X-FCENCODED-"  # behind it the name itself, in hexadecimal digits
# What nobody sees at the ends of a name.
_UNSEEN = "\ufeff\u200b\u200c\u200d\u2060"
_APPLE_LABEL = re.compile(r"_\$!<(.*)>!\$_", re.DOTALL)
_WORD = re.compile("[a-z0-9-]+")  # of a TYPE, all that can be hidden by; programs divide several by more than commas
_FAXES = {"homefax": ("home", "fax"), "workfax": ("work", "fax"), "otherfax": ("fax",)}  # Apple's words
# Where some program ends a line: at VT, FF, FS, GS, RS, NEL, LS and PS those that know Unicode's line breaks.
_ODD_BREAK = rb"[\x0b\x0c\x1c-\x1e]|\xc2\x85|\xe2\x80[\xa8\xa9]"
_BREAK = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?![ \t])|" + _ODD_BREAK)
_MOST_PARTS = 10_000  # of a card; a line beyond is hidden as soon as anything is, and costs nothing to look at
_NEVER_CUT = frozenset({"UID", "VERSION"})  # what the card is

_KNOWN = {name: frozenset({field_of(name)} - {""}) for name in ALWAYS_SHOWN.union(*PROPERTIES.values())}


def visible(card: Card, hidden: Set[str]) -> Card:
    """``card`` as a reader gets it from whom the fields ``hidden`` are hidden; the same object if that is all of it."""
    gone = hidden_positions(card, hidden)
    cut = _cut_lines(card, _rules(frozenset(hidden))) if hidden else {}
    if not gone and not cut:
        return card
    return replace(card, lines=tuple(cut.get(at, line) for at, line in enumerate(card.lines) if at not in gone))


def hidden_positions(card: Card, hidden: Set[str]) -> frozenset[int]:
    """Which lines of ``card`` are hidden as a whole, by their positions in ``card.lines``."""
    if not hidden:
        return frozenset()
    rules = _rules(frozenset(hidden))
    groups = _groups(card)
    said = labels(card)
    gone = {position for position, line in enumerate(card.lines) if line.raw.strip() and rules.hide(line, said)}
    gone.update(_labels_of_nothing(card, groups))
    gone.update(at for at, parts in _broken(card).items() if _fields(card.lines[at].name) and rules.hide_one(parts))
    # Each line may take others along, by its group and by lone CRs, and those may again.
    runs = {position: run for run in _runs(card) for position in run}
    waiting = list(gone)
    while waiting:
        position = waiting.pop()
        line = card.lines[position]
        along = set(runs.get(position, ()))
        for one in along:
            runs[one] = range(0)
        if line.name not in LABELS:
            along.update(at for at in groups.pop(line.group.casefold(), ()) if card.lines[at].name.startswith("X-"))
        more = {at for at in along - gone if _fields(card.lines[at].name)}
        gone |= more
        waiting += more
    return frozenset(gone)


def only(card: Card, positions: Set[int]) -> Card:
    """``card`` with nothing but the lines at ``positions``."""
    return replace(card, lines=tuple(line for at, line in enumerate(card.lines) if at in positions))


@dataclass(frozen=True, slots=True)
class _Rules:
    """A set of hidden fields. whole: those of which every line is hidden; typed: sets of types by field"""

    whole: frozenset[str]
    typed: Mapping[str, Sequence[frozenset[str]]]

    def hide(self, line: ContentLine, said: Mapping[str, frozenset[str]]) -> bool:
        """Whether a line is hidden for what it is by itself. said: by the labels of its card"""
        fields = _fields(line.name)
        if not fields:
            return False
        if not line.name or _is_marked(line) or any(map(_may_hold_anything, _names(line.name))):
            return True
        if line.name in LABELS:
            return line.name == "X-ABADR" and "adr" in self.whole
        return not fields.isdisjoint(self.whole) or any(self._have_type(line, field, said) for field in fields)

    def _have_type(self, line: ContentLine, field: str, said: Mapping[str, frozenset[str]]) -> bool:
        wanted = self.typed.get(field, ())
        if not wanted:
            return False
        its = types(line, said)
        if not is_well_formed(line) or (not any(its) and line.name != field.upper()):
            return True
        return any(kinds - its.written <= its.labelled for kinds in wanted)

    def hide_one(self, parts: Iterable[_Part]) -> bool:
        """Whether some program may take a part of a line for one of which anything is hidden."""
        return any(map(self.may_hide, parts))

    def may_hide(self, part: _Part) -> bool:
        """Whether a part of a line may be one of a field of which anything is hidden."""
        if part.text is None:
            return True
        name = ContentLine(part.text).name
        return name != "" and any(field in self.whole or field in self.typed for field in _fields(name))


@lru_cache(maxsize=256)
def _rules(hidden: frozenset[str]) -> _Rules:
    typed: dict[str, list[frozenset[str]]] = {}
    for name, kinds in map(split, hidden):
        if kinds:
            typed.setdefault(name, []).append(kinds)
    return _Rules(frozenset(name for name, kinds in map(split, hidden) if not kinds), typed)


def _names(name: str) -> tuple[str, ...]:
    """What some program may take for a property's name: which of several dots ends the group is told differently."""
    if name in _KNOWN:
        return (name,)
    name = name.strip().strip(_UNSEEN).strip().upper()
    return (name, name.rpartition(".")[2]) if "." in name else (name,)


def _fields(name: str) -> frozenset[str]:
    """The fields that some program may take a line of this name for; empty for one that is always shown."""
    found = _KNOWN.get(name)
    return frozenset(map(field_of, _names(name))) - {""} if found is None else found


def _may_hold_anything(name: str) -> bool:
    return name in _HOLD_ANYTHING or name.startswith((*_MARKS, _ENCODED))


def _is_marked(line: ContentLine) -> bool:
    return line.most_parameters > 0 and any(key.startswith(_MARKS) for key, _ in line.params)


def labels(card: Card) -> dict[str, frozenset[str]]:
    """What the labels of each group say of the types of its lines: {its name, casefolded: types}."""
    return {name: _label_types(card, positions) for name, positions in _groups(card).items()}


class Types(NamedTuple):
    """The types of a line, in the words that fields are hidden by.

    written: by its parameters; labelled: by the labels of its group. They are not united: thousands of lines of a group
    may have thousands of labels.
    """

    written: frozenset[str]
    labelled: frozenset[str]

    def has(self, words: Set[str]) -> bool:
        """Whether one of some words is among them."""
        return not (self.written.isdisjoint(words) and self.labelled.isdisjoint(words))


def types(line: ContentLine, said: Mapping[str, frozenset[str]]) -> Types:
    """The types of a line. said: by the ``labels`` of its card"""
    told = frozenset(meant(word) for one in line.param("TYPE") for word in _WORD.findall(one.lower()))
    return Types(told, said[line.group.casefold()] if line.group else frozenset())


def _label_types(card: Card, positions: Sequence[int]) -> frozenset[str]:
    """What the labels of a group say of a type."""
    lines = (card.lines[position] for position in positions)
    texts = (line.text.strip() for line in lines if line.name == "X-ABLABEL")
    words = (_APPLE_LABEL.sub(r"\1", text).strip().lower() for text in texts)
    return frozenset(meant(part) for word in words for part in _FAXES.get(word, (word,)) if part)


def _groups(card: Card) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for position, line in enumerate(card.lines):
        if line.group:
            found.setdefault(line.group.casefold(), []).append(position)
    return found


def _labels_of_nothing(card: Card, groups: Mapping[str, Sequence[int]]) -> Iterator[int]:
    """Labels without a group, and groups of nothing but labels."""
    for position, line in enumerate(card.lines):
        if line.name in LABELS and not line.group:
            yield position
    for positions in groups.values():
        if all(card.lines[position].name in LABELS for position in positions):
            yield from positions


def _runs(card: Card) -> Iterator[range]:
    """Lines that are one for a program to which a lone CR ends none, unless CR is what the card's lines end with."""
    if line_end(card.head) == b"\r":
        return
    start = 0
    for position, line in enumerate(card.lines):
        if line_end(line.raw) != b"\r":
            if position > start:
                yield range(start, position + 1)
            start = position + 1
    if start < len(card.lines):
        yield range(start, len(card.lines))


@dataclass(frozen=True, slots=True)
class _Part:
    """What some program may take for a line of its own inside of a line. start: where the line break before it is

    text: None where a card has too many of them to look at each
    """

    start: int
    text: bytes | None


def _broken(card: Card) -> dict[int, list[_Part]]:
    """The parts of the lines that have any, by position."""
    found: dict[int, list[_Part]] = {}
    count = 0
    for position, line in enumerate(card.lines):
        raw = line.raw
        end = len(raw) - len(line_end(raw))
        if not _BREAK.search(raw, 0, end):
            continue
        breaks = list(islice(_BREAK.finditer(raw, 0, end), max(1, _MOST_PARTS - count)))
        count += len(breaks)
        if count >= _MOST_PARTS:
            found[position] = [_Part(breaks[0].start(), None)]
            continue
        ends = [*(one.start() for one in breaks[1:]), end]
        found[position] = [
            _Part(one.start(), raw[one.end() : until].strip()) for one, until in zip(breaks, ends, strict=True)
        ]
    return found


def _cut_lines(card: Card, rules: _Rules) -> dict[int, ContentLine]:
    """The lines that are always shown and have a hidden part, without it and what follows, by position."""
    found: dict[int, ContentLine] = {}
    for position, parts in _broken(card).items():
        line = card.lines[position]
        if _fields(line.name) or line.name in _NEVER_CUT:
            continue
        part = next(filter(rules.may_hide, parts), None)
        if part is not None:
            found[position] = ContentLine(line.raw[: part.start] + line_end(line.raw))
    return found

"""Cards of vCard 3.0 (RFC 2426) as 4.0 (RFC 6350) and back, line by line; nothing is lost, and the way back is exact.

A line that is the same in both versions keeps its bytes. What has no place in the other version is kept there under
a name from which the way back makes it again; clients don't have to understand these, only not to lose them:

    X-VCARD4-GENDER, -XML, ...   properties of 4.0 in a 3.0 card; also what 3.0 has once: more FN, other ALTIDs
    X-VCARD3-CLASS, -NAME, ...   properties of 3.0 in a 4.0 card; also what 4.0 has once: a second BDAY
    X-VCARD4-PREF, -ALTID, ...   parameters of 4.0 (those of ``convert_lines.NEW_PARAMS``, and PREF other than 1)
    X-VCARD3-TYPE, -ENCODING     types and encodings that are gone in 4.0
    X-VCARD4-DATA                beginning of a ``data:`` URI whose media type 3.0's TYPE can't say
    X-VCARD4-WAS, -VALUE, X-VCARD3-WAS, -VALUE   how a line was written, see ``convert_lines``
    X-VCARD4-MADE, X-VCARD3-MADE on an FN or N that was made because the version needs one: the value it was given
    X-VCARD3-WITHOUT=N           on the FN of a card that had no N in 3.0, so that none is made on the way back

WAS, VALUE, MADE and WITHOUT say how a card was written; they can be left out. All the others hold what somebody typed.

Apple's programs show what no property of 3.0 has in their own ones, so these are used: X-ABDATE and X-ABRELATEDNAMES
with X-ABLabel, X-ADDRESSBOOKSERVER-KIND and -MEMBER, X-ABShowAs. X-PHONETIC-FIRST-NAME and its like stay what they are
in both versions: SORT-AS says how a name is sorted, not how it is spoken.

A property is converted by itself, so that an edit of one is an edit of that one. Exceptions: a label in its group; ADR
and its LABEL; which of several is the one; FN and N that are made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from radicale_shared.vcard.card import Card
from radicale_shared.vcard.convert_lines import (
    APPLE_LABEL,
    FROM_3,
    FROM_4,
    Line,
    general_to_3,
    general_to_4,
    read,
    translate,
    written,
)
from radicale_shared.vcard.convert_properties import CONCERNED, is_the_same, to_3, to_4
from radicale_shared.vcard.groups import GroupNames
from radicale_shared.vcard.lines import ContentLine
from radicale_shared.vcard.search import LONGEST_NAME, display_name
from radicale_shared.vcard.values import escape, unescape

# Cardinality *1 (RFC 6350, section 6); 3.0 has FN once as well.
_ONCE_IN_4 = frozenset({"N", "BDAY", "ANNIVERSARY", "GENDER", "KIND"})
_ONCE_IN_3 = frozenset({"FN", "N", "BDAY"})
_LABELLED = frozenset({"X-ABDATE", "X-ABRELATEDNAMES", "RELATED", "ANNIVERSARY"})
# Of properties that become the same one of which 4.0 has one: a group is a group, whoever it is shown as.
_RANKS = {"X-ADDRESSBOOKSERVER-KIND": 1, "X-ABSHOWAS": 2}


@dataclass(slots=True, eq=False)
class _Place:
    """A line that the other version could write otherwise, on its way.

    source, result: what it is in the card's version, and what it becomes; the same object as long as nothing changes
    label: position of its X-ABLabel in the card, -1 if there is none
    alone: nothing else is in its group, but for that label
    extra: a line that comes behind it
    gone: it is part of another line now, or not needed any more
    """

    line: ContentLine
    source: Line
    result: Line
    label: int = -1
    alone: bool = True
    extra: Line | None = None
    gone: bool = False


def convert(card: Card, version: str, *, marked: bool = True) -> Card:
    """``card`` as a card of ``version``; the same object if it is of that version already.

    version: ``"3.0"`` or ``"4.0"``
    marked: whether to mark how the card was written, for an exact way back (WAS, VALUE, MADE, WITHOUT). Without, marks
        that are there still count, and what ``version`` has no place for is carried as ever: what somebody else sent
        becomes part of a stored card, whose next way there and back starts with that card.

    Raises nothing for a card that ``check`` let pass, and the result passes too, unless it was just below one of the
    limits; ValueError for other versions.
    """
    if {version, card.version} - {"3.0", "4.0"}:
        raise ValueError(f"There is no conversion from {card.version[:20]!r} to {version!r}.")
    if card.version == version:
        return card
    newer = version == "4.0"
    mark, found = (FROM_3, FROM_4) if newer else (FROM_4, FROM_3)
    forward, backward = (to_4, to_3) if newer else (to_3, to_4)
    placed = _placed(card)
    places = list(placed.values())
    if newer:
        _take_labels_of_addresses(places)
    else:
        _give_labels_to_addresses(places)
    for place in places:
        same = is_the_same(place.source)
        place.result = place.source if same else translate(place.source, forward, backward, mark, found, marked=marked)
        if place.result.label and place.label < 0 and not place.alone:
            _put_by(place, mark, newer=newer)  # a label would name the rest of the group too
    _drop_made(places, f"{found}MADE")
    _one_of_each(places, newer=newer)
    made = _made(places, card, newer=newer, marked=marked)
    return replace(card, lines=tuple(_Writer(card).lines(placed, version, made)))


def _is_concerned(line: ContentLine) -> bool:
    """Whether the other version could write ``line`` otherwise."""
    if not line.name or line.name in {"VERSION", "UID"}:
        return False
    # An address may have its LABEL elsewhere in the card.
    if line.name in CONCERNED or line.name == "ADR" or line.name in _ONCE_IN_3 or line.name.startswith("X-VCARD"):
        return True
    colon = line.raw.find(b":")
    return line.raw.find(b";", 0, colon) >= 0


def _has_bare_params(line: ContentLine) -> bool:
    """Whether a parameter has no name, as in 2.1 (``TEL;CELL:``)."""
    return line.raw.count(b"=", 0, line.raw.find(b":")) < len(line.params)


def _placed(card: Card) -> dict[int, _Place]:
    """The lines that are concerned, by position; with the X-ABLabel of their group where it says what they are."""
    groups: dict[str, list[int]] = {}
    for position, line in enumerate(card.lines):
        if line.group:
            groups.setdefault(line.group.lower(), []).append(position)
    placed = {}
    for position, line in enumerate(card.lines):
        if not _is_concerned(line):
            continue
        source = read(line)
        place = placed[position] = _Place(line, source, source)
        if line.name in _LABELLED and line.group:
            others = [other for other in groups[line.group.lower()][:3] if other != position]
            place.alone = not others
            other = card.lines[others[0]] if len(others) == 1 else line
            if other.name == APPLE_LABEL and not other.params and other.text:
                place.label, place.alone = others[0], True
                place.source = place.result = replace(source, label=other.text)
    return placed


def _take_labels_of_addresses(places: Iterable[_Place]) -> None:
    """LABEL becomes a parameter of the ADR of the same types, if that is clearly the one (RFC 6350, section 6.3.1)."""
    labels, addresses = _by_key(places, "LABEL"), _by_key(places, "ADR")
    for key, found in labels.items():
        pair = (*found, *addresses.get(key, ()))
        if len(found) != 1 or len(pair) != 2:
            continue
        label, address = pair
        taken = {"LABEL", f"{FROM_4}LABEL", f"{FROM_4}WAS"}.intersection(name for name, _ in address.source.params)
        if not taken and all(name == "TYPE" for name, _ in label.source.params):
            address.source = address.source.with_param(f"{FROM_4}LABEL", unescape(label.source.value))
            label.gone = True


def _give_labels_to_addresses(places: Iterable[_Place]) -> None:
    """The LABEL parameter becomes the property, where ``_take_labels_of_addresses`` finds it again."""
    taken = _by_key(places, "LABEL", f"{FROM_3}LABEL")
    for key, found in _by_key(places, "ADR").items():
        source = found[0].source
        texts = [values for name, values in source.params if name == "LABEL"]
        if len(found) > 1 or key in taken or source.first("ALTID") or [len(values) for values in texts] != [1]:
            continue
        found[0].source = source.without("LABEL")
        types = tuple(one for name, values in general_to_3(source).params if name == "TYPE" for one in values)
        params = (("TYPE", types),) if types else ()
        found[0].extra = Line(source.group, "LABEL", params, escape(unescape(texts[0][0])))


def _by_key(places: Iterable[_Place], *names: str) -> dict[object, list[_Place]]:
    """Places by what an ADR and its LABEL share: group and types, those of the other version too."""
    found: dict[object, list[_Place]] = {}
    for place in places:
        if place.source.name in names:
            key = place.source.group.lower(), frozenset(general_to_3(place.source).types())
            found.setdefault(key, []).append(place)
    return found


def _one_of_each(places: Iterable[_Place], *, newer: bool) -> None:
    """Of what the version has once, and in 3.0 of each ALTID, one line keeps the name; the others are put by.

    Lines that come back from where this put them stay: so the card had them.
    """
    mark, found = (FROM_3, FROM_4) if newer else (FROM_4, FROM_3)
    once = _ONCE_IN_4 if newer else _ONCE_IN_3
    rivals: dict[tuple[str, str], list[_Place]] = {}
    for place in places:
        altid = place.result.first("ALTID" if newer else f"{FROM_4}ALTID")
        if place.gone:
            continue
        if place.result.name in once:
            rivals.setdefault((place.result.name, ""), []).append(place)
        elif altid and not newer and not place.result.name.startswith(FROM_4):
            rivals.setdefault((place.result.name, altid), []).append(place)
    for group in rivals.values():
        if len(group) > 1:
            best = min(group, key=partial(_rank, found=found))
            for place in group:
                if place is not best and not _may_stay(place, best, found, newer=newer):
                    _put_by(place, mark, newer=newer)


def _rank(place: _Place, found: str) -> tuple[bool, int, int]:
    """Which one keeps the name: one that had it, the preferred one, the first."""
    preference = place.source.first("PREF")
    return (
        place.source.name.startswith(found),
        _RANKS.get(place.source.name, 0),
        int(preference) if re.fullmatch("[0-9]{1,3}", preference) else 101,
    )


def _may_stay(place: _Place, best: _Place, found: str, *, newer: bool) -> bool:
    altid = place.result.first("ALTID")
    if newer and altid and altid == best.result.first("ALTID"):
        return True
    return place.source.name.startswith(found) and not altid


def _put_by(place: _Place, mark: str, *, newer: bool) -> None:
    """Keep a line as it is under a name of the other version's; its label stays its label."""
    general = general_to_4(place.source) if newer else general_to_3(place.source)
    place.result = replace(general, name=mark + place.source.name)


def _drop_made(places: Iterable[_Place], key: str) -> None:
    """FN and N that were made for the other version go again, if nobody changed them."""
    for place in places:
        if place.result.name in {"FN", "N"}:
            made = next((values[0] for name, values in place.result.params if name == key and values), None)
            place.result = place.result.without(key)
            place.gone = made == place.result.value


def _made(places: Iterable[_Place], card: Card, *, newer: bool, marked: bool) -> list[Line]:
    """The FN and N that the version needs and the card lacks (RFC 2426, section 3.1; RFC 6350, section 6.2.1)."""
    without = f"{FROM_3}WITHOUT"
    lacks_n = any(place.source.first(without) for place in places)
    names = [place for place in places if place.result.name == "FN"]
    has_n = any(place.result.name == "N" for place in places)
    made = []
    if not names:
        made.append(_made_line("FN", escape(display_name(card)), newer=newer, marked=marked))
    if newer:
        if marked and not has_n and names:
            names[0].result = names[0].result.with_param(without, "N")
        elif marked and not has_n:
            made[0] = made[0].with_param(without, "N")
        return made
    for place in names:
        place.result = place.result.without(without)
    if not has_n and not lacks_n:
        text = unescape(names[0].result.value)[:LONGEST_NAME] if names else display_name(card)
        made.append(_made_line("N", f"{escape(text)};;;;", newer=newer, marked=marked))
    return made


def _made_line(name: str, value: str, *, newer: bool, marked: bool) -> Line:
    return Line("", name, ((f"{FROM_3 if newer else FROM_4}MADE", (value,)),) if marked else (), value)


class _Writer:
    """Lines as bytes, with group names that are free in the card."""

    def __init__(self, card: Card) -> None:
        self._card = card
        self._groups = GroupNames(line.group for line in card.lines)

    def lines(self, placed: Mapping[int, _Place], version: str, made: Iterable[Line]) -> Iterator[ContentLine]:
        gone = set()
        for place in placed.values():
            if place.label >= 0 and not place.result.label:
                # The property says by its name what the label said.
                gone.add(place.label)
                place.result = replace(place.result, group="")
        for position, line in enumerate(self._card.lines):
            if line.name == "VERSION":
                yield from self._written(Line("", "VERSION", (), version), line)
                for one in made:
                    yield from self._written(one, line)
            elif position in placed:
                yield from self._place(placed[position])
            elif position not in gone:
                yield line

    def _place(self, place: _Place) -> Iterator[ContentLine]:
        result, line = place.result, place.line
        if place.gone:
            return
        same = result == place.source and (result.params, result.value) == (line.params, line.value)
        if same and not place.extra and not _has_bare_params(line):
            yield line
            return
        label = None
        if result.label and place.label < 0:
            result = replace(result, group=result.group or self._groups.free())
            label = Line(result.group, APPLE_LABEL, (), escape(result.label))
        raw = written(result, line, self._card.eol)
        if raw is None:
            yield line
            return
        yield ContentLine(raw)
        for extra in (label, place.extra):
            if extra is not None:
                yield from self._written(extra, line)

    def _written(self, line: Line, like: ContentLine) -> Iterator[ContentLine]:
        raw = written(line, like, self._card.eol)
        if raw is not None:
            yield ContentLine(raw)

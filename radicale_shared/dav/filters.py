"""CARDDAV:filter: what a query looks for, and whether a card is it (RFC 6352, section 10.5).

Decided here where the RFC leaves a choice:

- All conditions of a prop-filter are asked of one property of the card after another; with ``allof`` a single one must
  meet all of them. So a number that is both TYPE=HOME and begins with +49 is what is found, as section 10.5.2 has it:
  a *property* matches a param-filter.
- ``negate-condition`` turns round one comparison with one property. A card with two EMAILs of which one doesn't contain
  a text matches "doesn't contain it"; one without any EMAIL doesn't (section 10.5.1: "exists, and").
- A property is compared by its value as people read it, unescaped and decoded. N, ORG and ADR (their components parted
  by semicolons) match by each of their components as well, they, NICKNAME and CATEGORIES by each item between commas,
  and a ``tel:`` URI by its number. Not to match is not to match by any of these: with CATEGORIES:FRIEND,PERSON the
  category is PERSON (the example of section 10.5.4).
- A parameter is compared by each of its values; ``TYPE=HOME,WORK`` and ``TYPE=HOME;TYPE=WORK`` are the same.
- A filter without prop-filters is one that every card matches: that's what clients mean by it.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .. import search, vcard
from ..search_index import FIELDS
from . import xml
from .collations import Collation, collation
from .http import BadRequestError, ForbiddenError

# Elements of a filter. Clients send a prop-filter for each field they show, some twenty; each is compared with every
# card that may match.
MOST_PARTS = 200
LONGEST_NAME = 500

_STRUCTURED = frozenset({"N", "ORG", "ADR"})
_LISTS = frozenset({"NICKNAME", "CATEGORIES"})
_TEL_URI = "tel:"
# Match-types (RFC 6352, section 10.5.4), also those of principal searches.
COMPARISONS: Mapping[str, Callable[[str, str], bool]] = {
    "contains": str.__contains__,
    "equals": str.__eq__,
    "starts-with": str.startswith,
    "ends-with": str.endswith,
}

_FILTER = xml.carddav("filter")
_PROP_FILTER = xml.carddav("prop-filter")
_PARAM_FILTER = xml.carddav("param-filter")
_TEXT_MATCH = xml.carddav("text-match")
_IS_NOT_DEFINED = xml.carddav("is-not-defined")


_MOST_PARTS = 10_000


class _Subject:
    """A card that is compared: its properties by name, and what collations make of their texts, once for each."""

    __slots__ = ("_compared", "properties")

    def __init__(self, card: vcard.Card) -> None:
        self.properties: dict[str, list[vcard.ContentLine]] = {}
        for line in card.lines:
            self.properties.setdefault(line.name, []).append(line)
        self._compared: dict[tuple[int, str, Collation], list[str]] = {}

    def values(self, line: vcard.ContentLine, compared: Collation) -> list[str]:
        """The texts of one of its properties, as a collation compares them."""
        key = id(line), "", compared
        if key not in self._compared:
            self._compared[key] = [compared(text) for text in texts_of(line)]
        return self._compared[key]

    def parameters(self, line: vcard.ContentLine, name: str, compared: Collation) -> list[str]:
        """The values of a parameter, likewise."""
        key = id(line), name, compared
        if key not in self._compared:
            self._compared[key] = [compared(text) for text in line.param(name)]
        return self._compared[key]


@dataclass(frozen=True, slots=True)
class TextMatch:
    """CARDDAV:text-match (section 10.5.4).

    text: as the request has it; sought: what the collation makes of it
    """

    text: str
    sought: str
    collation: Collation
    compare: Callable[[str, str], bool]
    negated: bool

    def matches(self, texts: Iterable[str]) -> bool:
        """Whether one of ``texts`` matches, of which the collation made these; if negated, whether none does."""
        return any(self.compare(text, self.sought) for text in texts) != self.negated


@dataclass(frozen=True, slots=True)
class ParamFilter:
    """CARDDAV:param-filter (section 10.5.2). ``match``: None where it is enough that the parameter is there."""

    name: str
    defined: bool
    match: TextMatch | None

    def matches(self, subject: _Subject, line: vcard.ContentLine) -> bool:
        """Whether a property matches."""
        if any(name == self.name for name, _ in line.params) != self.defined:
            return False
        if self.match is None:
            return True
        return self.match.matches(subject.parameters(line, self.name, self.match.collation))


@dataclass(frozen=True, slots=True)
class PropFilter:
    """CARDDAV:prop-filter (section 10.5.1).

    group: in lower case; empty for any
    name: in upper case
    every: whether one property must match all conditions, or any
    """

    group: str
    name: str
    defined: bool
    every: bool
    conditions: tuple[TextMatch | ParamFilter, ...]

    def matches(self, subject: _Subject) -> bool:
        """Whether a card matches."""
        lines: Sequence[vcard.ContentLine] = subject.properties.get(self.name, ())
        if self.group:
            lines = [line for line in lines if line.group.lower() == self.group]
        if not self.defined:
            return not lines
        return any(self._is_met(subject, line) for line in lines)

    def _is_met(self, subject: _Subject, line: vcard.ContentLine) -> bool:
        met = (
            one.matches(subject, line)
            if isinstance(one, ParamFilter)
            else one.matches(subject.values(line, one.collation))
            for one in self.conditions
        )
        return all(met) if self.every or not self.conditions else any(met)

    def narrowed(self) -> search.Condition:
        """What must hold of every card that matches; EVERY where the index can't tell."""
        field = self.name.lower()
        if not self.defined or not self.conditions or field not in FIELDS:
            return search.EVERY
        return _joined([_narrowed(field, one) for one in self.conditions], every=self.every)


@dataclass(frozen=True, slots=True)
class Filter:
    """CARDDAV:filter (section 10.5). ``every``: whether a card must match all prop-filters, or any."""

    every: bool
    prop_filters: tuple[PropFilter, ...]

    def matches(self, card: vcard.Card) -> bool:
        """Whether a card matches."""
        subject = _Subject(card)
        met = (one.matches(subject) for one in self.prop_filters)
        return all(met) if self.every or not self.prop_filters else any(met)

    def narrowed(self) -> search.Condition:
        """What must hold of every card that matches, for a search in the index."""
        if not self.prop_filters:
            return search.EVERY
        return _joined([one.narrowed() for one in self.prop_filters], every=self.every)


def _narrowed(field: str, condition: TextMatch | ParamFilter) -> search.Condition:
    if isinstance(condition, ParamFilter) or condition.negated:
        return search.EVERY
    return search.Contains(field, condition.text)


def _joined(parts: list[search.Condition], *, every: bool) -> search.Condition:
    if every:
        narrow = tuple(part for part in parts if part != search.EVERY)
        return search.AllOf(narrow)
    return search.EVERY if search.EVERY in parts else search.AnyOf(tuple(parts))


def texts_of(line: vcard.ContentLine) -> Iterator[str]:
    """What a property is compared by: its whole value, then the parts that people take for values of their own.

    A value of thousands of parts is no name and no list of people's: it is compared as a whole only.
    """
    yield line.text
    value = line.decoded
    if value.count(";") + value.count(",") > _MOST_PARTS:
        return
    if line.name in _STRUCTURED:
        for component in vcard.components(value):
            if component:
                yield vcard.unescape(component)
                yield from _items(component)
    elif line.name in _LISTS:
        yield from _items(value)
    elif line.name == "TEL" and value[: len(_TEL_URI)].lower() == _TEL_URI:
        yield vcard.unescape(value[len(_TEL_URI) :].partition(";")[0])


def _items(value: str) -> Iterator[str]:
    if "," in value:
        yield from (vcard.unescape(item) for item in vcard.items(value))


# -- reading a request -------------------------------------------------------------------------------------------------


def parse(root: ET.Element) -> Filter:
    """The filter of a CARDDAV:addressbook-query.

    Raises BadRequestError for one that isn't as section 10.5 defines it, or none at all; ForbiddenError for what isn't
    supported: CARDDAV:supported-filter for unknown elements and for more than MOST_PARTS, CARDDAV:supported-collation
    (section 8.6).
    """
    found = root.findall(_FILTER)
    if len(found) != 1:
        raise BadRequestError("A CARDDAV:addressbook-query has one CARDDAV:filter.")
    if sum(1 for _ in found[0].iter()) - 1 > MOST_PARTS:
        raise _unsupported("", f"A filter has at most {MOST_PARTS} elements.")
    for child in found[0]:
        if child.tag != _PROP_FILTER:
            raise _unsupported("", "A CARDDAV:filter has CARDDAV:prop-filters only.")
    return Filter(_every(found[0]), tuple(_prop_filter(child) for child in found[0]))


def _prop_filter(element: ET.Element) -> PropFilter:
    written = _name(element)
    group, name = grouped(written)
    named = f'<C:prop-filter name="{xml.escape_attribute(written)}"/>'
    defined = _is_defined(element)
    conditions: list[TextMatch | ParamFilter] = []
    for child in element:
        if child.tag == _TEXT_MATCH:
            conditions.append(_text_match(child, named))
        elif child.tag == _PARAM_FILTER:
            conditions.append(_param_filter(child))
        elif child.tag != _IS_NOT_DEFINED:
            raise _unsupported(named, f"A part of the CARDDAV:prop-filter {written!r} is not known here.")
    return PropFilter(group, name, defined, _every(element), tuple(conditions))


def _param_filter(element: ET.Element) -> ParamFilter:
    written = _name(element)
    named = f'<C:param-filter name="{xml.escape_attribute(written)}"/>'
    defined = _is_defined(element)
    matches = []
    for child in element:
        if child.tag == _TEXT_MATCH:
            matches.append(_text_match(child, named))
        elif child.tag != _IS_NOT_DEFINED:
            raise _unsupported(named, f"A part of the CARDDAV:param-filter {written!r} is not known here.")
    if len(matches) > 1:
        raise BadRequestError("A CARDDAV:param-filter has one CARDDAV:text-match at most.")
    return ParamFilter(written.upper(), defined, matches[0] if matches else None)


def _text_match(element: ET.Element, named: str) -> TextMatch:
    if len(element):
        raise _unsupported(named, "A CARDDAV:text-match has nothing but text.")
    compared = collation(element.get("collation", ""))
    kind = element.get("match-type", "contains")
    if kind not in COMPARISONS:
        raise BadRequestError(f"A match-type is one of {', '.join(COMPARISONS)}.")
    negated = element.get("negate-condition", "no")
    if negated not in {"yes", "no"}:
        raise BadRequestError("A negate-condition is yes or no.")
    text = element.text or ""
    return TextMatch(text, compared(text), compared, COMPARISONS[kind], negated == "yes")


def grouped(written: str) -> tuple[str, str]:
    """(group in lower case, name in upper case) of a property's name in a request; an empty group stands for any.

    Raises BadRequestError for a group without a name.
    """
    group, _, name = written.partition(".") if "." in written else ("", "", written)
    if not name:
        raise BadRequestError("A property has a name.")
    return group.lower(), name.upper()


def _is_defined(element: ET.Element) -> bool:
    """False for an element that holds CARDDAV:is-not-defined. Raises BadRequestError if it holds anything else too."""
    if element.find(_IS_NOT_DEFINED) is None:
        return True
    if len(element) > 1:
        raise BadRequestError("Beside CARDDAV:is-not-defined there are no other conditions.")
    return False


def _name(element: ET.Element) -> str:
    name = element.get("name", "").strip()
    if not name or len(name) > LONGEST_NAME:
        raise BadRequestError(
            f"A filter has the name of a property or parameter, of {LONGEST_NAME} characters at most."
        )
    return name


def _every(element: ET.Element) -> bool:
    test = element.get("test", "anyof")
    if test not in {"anyof", "allof"}:
        raise BadRequestError("A test is anyof or allof.")
    return test == "allof"


def _unsupported(named: str, description: str) -> ForbiddenError:
    return ForbiddenError(f"<C:supported-filter>{named}</C:supported-filter>", description)

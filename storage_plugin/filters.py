"""Which cards a CARDDAV:addressbook-query can match at all, so that Radicale's filter looks at few of them.

Radicale decides each card (RFC 6352, section 10.5, as far as it goes). Here a filter becomes a list of alternatives,
each a tuple of (field, text) that the searched fields must all contain; None stands for "any card". Whatever isn't
understood, or whose fields are indexed otherwise than Radicale reads them, is None.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET  # the elements were parsed by Radicale, with defusedxml
from collections.abc import Iterable, Sequence

from radicale import xmlutils

Needle = tuple[str, str]
Alternatives = list[tuple[Needle, ...]] | None

MOST_ALTERNATIVES = 16
_FIELDS = frozenset({"fn", "n", "nickname", "email", "tel", "org", "title", "note", "categories"})
_MATCH_TYPES = frozenset({"contains", "equals", "starts-with", "ends-with"})
# vobject and our engine unescape these differently; N and ORG are compared as one text in another order than indexed.
_UNSURE = re.compile(r'[\\"]')
_UNSURE_IN = {"n": re.compile(r'[\\";,\s]'), "org": re.compile(r'[\\";,]')}

_PROP_FILTER = xmlutils.make_clark("CR:prop-filter")
_TEXT_MATCH = xmlutils.make_clark("CR:text-match")
_FILTER = xmlutils.make_clark("CR:filter")


def narrowing(filters: Iterable[ET.Element]) -> Alternatives:
    """The alternatives of all ``filters`` together (a card must match each of them)."""
    return _all([_filter(one) for one in filters])


def _filter(element: ET.Element) -> Alternatives:
    test = element.get("test", "anyof")
    if element.tag != _FILTER or any(child.tag != _PROP_FILTER for child in element) or not len(element):
        return None
    children = [_prop_filter(child) for child in element]
    if test == "anyof":
        return _any(children)
    return _all(children) if test == "allof" else None


def _prop_filter(element: ET.Element) -> Alternatives:
    name = element.get("name", "").lower()
    if name not in _FIELDS or not len(element):
        return None
    children = [_text_match(name, child) if child.tag == _TEXT_MATCH else None for child in element]
    return _any(children) if element.get("test", "anyof") == "anyof" else _all(children)


def _text_match(name: str, element: ET.Element) -> Alternatives:
    text = next(element.itertext(), "")
    if (
        element.get("negate-condition") == "yes"
        or element.get("match-type", "contains") not in _MATCH_TYPES
        or _UNSURE_IN.get(name, _UNSURE).search(text)
    ):
        return None
    return [((name, text),)]


def _any(parts: Sequence[Alternatives]) -> Alternatives:
    union: list[tuple[Needle, ...]] = []
    for part in parts:
        if part is None:
            return None
        union += part
    return union if len(union) <= MOST_ALTERNATIVES else None


def _all(parts: Sequence[Alternatives]) -> Alternatives:
    product: Alternatives = None
    for part in parts:
        if part is None:
            continue
        combined = part if product is None else [(*one, *other) for one in product for other in part]
        if len(combined) <= MOST_ALTERNATIVES:
            product = combined
    return product

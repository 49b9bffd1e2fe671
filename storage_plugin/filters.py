"""Which cards a CARDDAV:addressbook-query can match at all, so that Radicale's filter looks at few of them.

Radicale decides each card (RFC 6352, section 10.5, as far as it goes). Here a filter becomes a condition on the
searched fields that every match fulfils; ``EVERY`` stands for any card. Whatever isn't understood, or whose fields are
indexed otherwise than Radicale reads them, is that.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET  # the elements were parsed by Radicale, with defusedxml
from collections.abc import Iterable, Sequence

from radicale import xmlutils

from radicale_shared.search import EVERY, AllOf, AnyOf, Condition, Contains

MOST_ELEMENTS = 200  # of a filter; each becomes a part of a statement
_FIELDS = frozenset({"fn", "n", "nickname", "email", "tel", "org", "title", "note", "categories"})
_MATCH_TYPES = frozenset({"contains", "equals", "starts-with", "ends-with"})
# vobject and our engine unescape these differently; N and ORG are compared as one text in another order than indexed.
_UNSURE = re.compile(r'[\\"]')
_UNSURE_IN = {"n": re.compile(r'[\\";,\s]'), "org": re.compile(r'[\\";,]')}

_PROP_FILTER = xmlutils.make_clark("CR:prop-filter")
_TEXT_MATCH = xmlutils.make_clark("CR:text-match")
_FILTER = xmlutils.make_clark("CR:filter")


def narrowing(filters: Iterable[ET.Element]) -> Condition:
    """What every card fulfils that matches all ``filters``."""
    found = list(filters)
    if sum(1 for one in found for _ in one.iter()) > MOST_ELEMENTS:
        return EVERY
    return _all([_filter(one) for one in found])


def _filter(element: ET.Element) -> Condition:
    if element.tag != _FILTER or any(child.tag != _PROP_FILTER for child in element) or not len(element):
        return EVERY
    children = [_prop_filter(child) for child in element]
    test = element.get("test", "anyof")
    if test == "anyof":
        return _any(children)
    return _all(children) if test == "allof" else EVERY


def _prop_filter(element: ET.Element) -> Condition:
    name = element.get("name", "").lower()
    if name not in _FIELDS or not len(element):
        return EVERY
    children = [_text_match(name, child) if child.tag == _TEXT_MATCH else EVERY for child in element]
    return _any(children) if element.get("test", "anyof") == "anyof" else _all(children)


def _text_match(name: str, element: ET.Element) -> Condition:
    text = next(element.itertext(), "")
    if (
        element.get("negate-condition") == "yes"
        or element.get("match-type", "contains") not in _MATCH_TYPES
        or _UNSURE_IN.get(name, _UNSURE).search(text)
    ):
        return EVERY
    return Contains(name, text)


def _any(parts: Sequence[Condition]) -> Condition:
    return EVERY if EVERY in parts else AnyOf(tuple(parts))


def _all(parts: Sequence[Condition]) -> Condition:
    return AllOf(tuple(part for part in parts if part != EVERY))

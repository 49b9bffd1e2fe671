"""The registry of live properties: each RFC's module adds its own, PROPFIND and REPORT read them all here.

A property is a function of a request and a resource; it returns XML content, ``""`` for an empty element, or None where
the resource hasn't the property (then it stands in the 404 propstat).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from . import xml
from .http import BadRequestError, Request
from .resources import Resource

Value = Callable[[Request, Resource], str | None]


@dataclass(frozen=True, slots=True)
class Property:
    """One property. ``in_allprop``: cheap and defined by RFC 4918, so part of an allprop answer (section 14.2)."""

    name: xml.Name
    value: Value
    in_allprop: bool


_DETAILS = frozenset({xml.dav("getcontentlength"), xml.dav("getlastmodified")})

# Clients ask for some thirty.
MOST_NAMES = 200
LONGEST_NAME = 500

PROPERTIES: dict[xml.Name, Property] = {}


def live(name: xml.Name, *, in_allprop: bool = False) -> Callable[[Value], Value]:
    """Register the decorated function as the property ``name``."""

    def register(value: Value) -> Value:
        PROPERTIES[name] = Property(name, value, in_allprop)
        return value

    return register


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which properties a request asks for.

    names: in the order they were asked for
    values: False for propname: the names alone
    missing: whether to say which of them aren't there (not for allprop and propname)
    """

    names: Sequence[xml.Name]
    values: bool = True
    missing: bool = True

    @property
    def needs_data(self) -> bool:
        """Whether a card's bytes are needed."""
        return xml.carddav("address-data") in self.names

    @property
    def needs_details(self) -> bool:
        """Whether a card's size or time is needed; a listing doesn't read them otherwise."""
        return not _DETAILS.isdisjoint(self.names)


def wanted(root: ET.Element | None) -> Wanted:
    """What a PROPFIND body asks for (RFC 4918, section 9.1); an empty one means allprop.

    Raises BadRequestError for a body that asks for nothing known.
    """
    if root is None:
        return Wanted(_allprop(), missing=False)
    if root.tag != xml.dav("propfind"):
        raise BadRequestError("The body of a PROPFIND is a DAV:propfind.")
    if root.find(xml.dav("prop")) is not None:
        return wanted_of_report(root)
    if root.find(xml.dav("propname")) is not None:
        return Wanted(list(PROPERTIES), values=False, missing=False)
    if root.find(xml.dav("allprop")) is not None:
        include = root.find(xml.dav("include"))
        further = checked(child.tag for child in include) if include is not None else []
        return Wanted(_allprop() + further, missing=False)
    raise BadRequestError("A DAV:propfind has a prop, propname or allprop inside.")


def wanted_of_report(root: ET.Element) -> Wanted:
    """The properties in the DAV:prop of a PROPFIND or REPORT; DAV:allprop stands for the cheap ones."""
    prop = root.find(xml.dav("prop"))
    if prop is None:
        return Wanted(_allprop() if root.find(xml.dav("allprop")) is not None else [], missing=False)
    return Wanted(checked(child.tag for child in prop))


def checked(names: Iterable[xml.Name]) -> list[xml.Name]:
    """The names, each once. An answer has as many elements as names times members, so both are kept in bounds."""
    found = list(dict.fromkeys(names))
    if len(found) > MOST_NAMES or any(len(name) > LONGEST_NAME for name in found):
        raise BadRequestError(
            f"At most {MOST_NAMES} properties can be asked for, with names of {LONGEST_NAME} characters."
        )
    return found


def _allprop() -> list[xml.Name]:
    return [one.name for one in PROPERTIES.values() if one.in_allprop]


def propstat(request: Request, resource: Resource, asked: Wanted) -> str:
    """The propstats of one resource."""
    found: list[str] = []
    missing: list[xml.Name] = []
    for name in asked.names:
        known = PROPERTIES.get(name)
        content = known.value(request, resource) if known else None
        if content is None:
            missing.append(name)
        else:
            found.append(xml.element(name, content if asked.values else ""))
    return xml.propstat(found, missing if asked.missing else ())


def described(request: Request, resources: Iterable[Resource], asked: Wanted) -> Iterable[str]:
    """The DAV:response of each resource."""
    for resource in resources:
        yield xml.response(resource.url, propstat(request, resource, asked))

"""The registry of live properties: each RFC's module adds its own, PROPFIND and REPORT read them all here.

A property is a function of a request and a resource; it returns XML content, ``""`` for an empty element, or None where
the resource hasn't the property (then it stands in the 404 propstat). It raises ForbiddenError where this user may not
see the value (then it stands in a 403 propstat, with the precondition).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from . import dead, xml
from .http import BadRequestError, ForbiddenError, Request
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
    all_dead: whether all dead properties are asked for too (section 9.1.2)
    """

    names: Sequence[xml.Name]
    values: bool = True
    missing: bool = True
    all_dead: bool = False

    @property
    def dead(self) -> list[xml.Name] | None:
        """Which dead properties are asked for: those names that are no live ones; None for all."""
        return None if self.all_dead else [name for name in self.names if name not in PROPERTIES]

    @property
    def needs_data(self) -> bool:
        """Whether a card's bytes are needed."""
        return xml.carddav("address-data") in self.names

    @property
    def reads_cards(self) -> bool:
        """Whether more of a card is needed than its ETag."""
        return self.needs_data or self.needs_details

    @property
    def needs_details(self) -> bool:
        """Whether a card's size or time is needed; a listing doesn't read them otherwise."""
        return not _DETAILS.isdisjoint(self.names)


def wanted(root: ET.Element | None) -> Wanted:
    """What a PROPFIND body asks for (RFC 4918, section 9.1); an empty one means allprop.

    Raises BadRequestError for a body that asks for nothing known.
    """
    if root is None:
        return Wanted(_allprop(), missing=False, all_dead=True)
    if root.tag != xml.dav("propfind"):
        raise BadRequestError("The body of a PROPFIND is a DAV:propfind.")
    if root.find(xml.dav("prop")) is not None:
        return wanted_of_report(root)
    if root.find(xml.dav("propname")) is not None:
        return Wanted(list(PROPERTIES), values=False, missing=False, all_dead=True)
    if root.find(xml.dav("allprop")) is not None:
        include = root.find(xml.dav("include"))
        further = checked(child.tag for child in include) if include is not None else []
        return Wanted(_allprop() + further, missing=False, all_dead=True)
    raise BadRequestError("A DAV:propfind has a prop, propname or allprop inside.")


def wanted_of_report(root: ET.Element) -> Wanted:
    """The properties in the DAV:prop of a PROPFIND or REPORT; DAV:allprop stands for the cheap ones."""
    prop = root.find(xml.dav("prop"))
    if prop is None:
        is_allprop = root.find(xml.dav("allprop")) is not None
        return Wanted(_allprop() if is_allprop else [], missing=False, all_dead=is_allprop)
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


def value(request: Request, resource: Resource, known: Property) -> str | None:
    """The content of a property; None also where this user may not see it."""
    try:
        return known.value(request, resource)
    except ForbiddenError:
        return None


def propstat(
    request: Request, resource: Resource, asked: Wanted, altered: Callable[[xml.Name, str], str] | None = None
) -> str:
    """The propstats of one resource. altered: what to write instead of a live property's content"""
    found: list[str] = []
    missing: list[xml.Name] = []
    forbidden: dict[str, list[xml.Name]] | None = None
    kept = dead.of(request, resource) if request.remembered else {}
    for name in asked.names:
        known = PROPERTIES.get(name)
        if known is None and name in kept:
            found.append(kept[name] if asked.values else xml.element(name))
            continue
        try:
            content = known.value(request, resource) if known else None
        except ForbiddenError as error:
            if asked.values:
                forbidden = forbidden or {}
                forbidden.setdefault(error.condition, []).append(name)
                continue
            content = ""
        if content is None:
            missing.append(name)
        else:
            content = altered(name, content) if altered else content
            found.append(xml.element(name, content if asked.values else ""))
    if asked.all_dead:
        further = [name for name in kept if name not in PROPERTIES and name not in asked.names]
        found += [kept[name] if asked.values else xml.element(name) for name in further]
    if missing and (not asked.missing or request.preferences.minimal):
        missing.clear()  # RFC 8144, section 2.1; an empty propstat with 200 stays where nothing was found
    return xml.propstat(found, missing, forbidden)


def described(request: Request, resources: Iterable[Resource], asked: Wanted) -> Iterable[str]:
    """The DAV:response of each resource."""
    for resource in resources:
        yield xml.response(resource.url, propstat(request, resource, asked))

"""Which attributes an entry has, and how they are compared: one table. ``matching`` finds entries by them.

Texts are compared by ``entry_keys.plain``: without regard to case, diacritics, and to how many blanks there are.
Numbers are compared by their digits, on both sides; each is there in every form that who looks for it may use, as many
phones ask for all of what they show. What can't be compared is undefined, which is neither true nor false (RFC 4511,
section 4.5.1.7): nobody is found by an attribute that isn't known, nor by its negation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from .. import numbers
from ..card_keys import key_of
from ..entries import Address, Entry, Kind
from ..numbers import digits_of
from ..phone_profiles import Profile
from . import schema
from .schema import AttributeType, Syntax

ENTRY_DN = "entryDN"
CLASSES = ("top", "person", "organizationalPerson", "inetOrgPerson", "mozillaAbPersonAlpha")


class Rule(Enum):
    """How values are compared."""

    TEXT = auto()
    EXACT = auto()
    NUMBER = auto()
    CLASS = auto()
    NAME = auto()  # a DN


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom attributes are made.

    secret: the database's, for names that nobody can make up
    region: of the book, or where a phone stands
    profile: of a phone; None for people
    """

    secret: bytes
    region: str = ""
    profile: Profile | None = None

    def uid(self, card_id: int) -> str:
        """What names an entry: who hasn't found it doesn't know it, and can't try one number after another."""
        return key_of(card_id, self.secret)

    def shown(self, entry: Entry) -> Entry:
        """What of an entry this reader gets at all: phones show some fields alone, and are searched by no others."""
        return entry if self.profile is None else self.profile.shown(entry)

    def numbers(self, entry: Entry, *kinds: Kind) -> list[str]:
        """The numbers of some kinds in all their forms, the one that this reader dials first."""
        found: dict[str, None] = {}
        for number in entry.numbers:
            if number.kind in kinds:
                if self.profile is not None:
                    found[self.profile.dialled(number)] = None
                found.update(dict.fromkeys(numbers.forms(number, self.region)))
        found.pop("", None)
        return list(found)

    def internal(self, entry: Entry) -> list[str]:
        """Numbers that have no meaning outside the house."""
        trunk = self.profile.trunk if self.profile else ""
        found = [
            numbers.extension_behind(trunk, number) if number.e164 else digits_of(number.written)
            for number in entry.numbers
            if number.kind not in {Kind.FAX, Kind.PAGER}
        ]
        return list(dict.fromkeys(filter(None, found)))


_Values = Callable[[Entry, Reader], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Kept:
    """What an attribute has of an entry.

    fields: of the search index, whose texts hold the values
    has_words: whether the words of the values are keys too
    """

    values: _Values
    fields: tuple[str, ...] = ()
    has_words: bool = False


def _names(entry: Entry, _: Reader) -> Iterable[str]:
    return (entry.name,)


def _of_numbers(*kinds: Kind) -> Kept:
    return Kept(lambda entry, reader: reader.numbers(entry, *kinds), ("tel",))


def _postal(*kinds: Kind) -> _Values:
    """Postal addresses: lines, with a dollar between (RFC 4517, section 3.3.28)."""

    def values(entry: Entry, _: Reader) -> Iterable[str]:
        for one in entry.addresses:
            if one.kind in kinds:
                city = " ".join(filter(None, (one.code, one.locality)))
                lines = (one.street, city, one.region, one.country)
                yield "$".join(line.replace("\\", "\\5C").replace("$", "\\24") for line in lines if line)

    return values


def _address(part: Callable[[Address], str], *kinds: Kind) -> Kept:
    """A part of the first address of some kinds that has it."""

    def values(entry: Entry, _: Reader) -> Iterable[str]:
        return [found for one in entry.addresses if one.kind in kinds and (found := part(one))][:1]

    return Kept(values, ("adr",))


def _country_code(address: Address) -> str:
    return address.country.upper() if re.fullmatch("[A-Za-z]{2}", address.country) else ""


_WORK = (Kind.WORK, Kind.OTHER)
_ORG = Kept(lambda entry, _: (entry.org,), ("org",), has_words=True)
_UNITS = Kept(lambda entry, _: entry.units, ("org",), has_words=True)

KEPT: Mapping[str, Kept] = {
    "objectClass": Kept(lambda _entry, _reader: CLASSES),
    "cn": Kept(_names, ("fn",), has_words=True),
    "sn": Kept(lambda entry, _: (entry.family or entry.name,), ("n", "fn"), has_words=True),
    "givenName": Kept(lambda entry, _: (entry.given,), ("n",), has_words=True),
    "displayName": Kept(_names, ("fn",), has_words=True),
    "initials": Kept(
        lambda entry, _: ("".join(one[0] for one in f"{entry.given} {entry.additional} {entry.family}".split()[:5]),)
    ),
    "generationQualifier": Kept(lambda entry, _: (entry.suffix,), ("n",), has_words=True),
    "personalTitle": Kept(lambda entry, _: (entry.prefix,), ("n",), has_words=True),
    "uid": Kept(lambda entry, reader: (reader.uid(entry.card_id),)),
    "mail": Kept(lambda entry, _: entry.emails, ("email",), has_words=True),
    "telephoneNumber": _of_numbers(*_WORK),
    "mobile": _of_numbers(Kind.MOBILE),
    "homePhone": _of_numbers(Kind.HOME),
    "pager": _of_numbers(Kind.PAGER),
    "facsimileTelephoneNumber": _of_numbers(Kind.FAX),
    "ipPhone": Kept(lambda entry, reader: reader.internal(entry), ("tel",)),
    "o": _ORG,
    "company": _ORG,
    "ou": _UNITS,
    "department": _UNITS,
    "title": Kept(lambda entry, _: (entry.title,), ("title",)),
    "businessCategory": Kept(lambda entry, _: entry.categories, ("categories",)),
    "street": _address(lambda one: one.street, *_WORK),
    "postalCode": _address(lambda one: one.code, *_WORK),
    "l": _address(lambda one: one.locality, *_WORK),
    "st": _address(lambda one: one.region, *_WORK),
    "co": _address(lambda one: one.country, *_WORK),
    "c": _address(_country_code, *_WORK),
    "postalAddress": Kept(_postal(*_WORK), ("adr",)),
    "homePostalAddress": Kept(_postal(Kind.HOME), ("adr",)),
    "mozillaHomeStreet": _address(lambda one: one.street, Kind.HOME),
    "mozillaHomePostalCode": _address(lambda one: one.code, Kind.HOME),
    "mozillaHomeLocalityName": _address(lambda one: one.locality, Kind.HOME),
    "mozillaHomeState": _address(lambda one: one.region, Kind.HOME),
    "mozillaHomeCountryName": _address(lambda one: one.country, Kind.HOME),
    "labeledURI": Kept(lambda entry, _: entry.urls),
    "mozillaNickname": Kept(lambda entry, _: (entry.nickname,), ("nickname",), has_words=True),
    "mozillaSecondEmail": Kept(lambda entry, _: entry.emails[1:2], ("email",), has_words=True),
    "description": Kept(lambda entry, _: (entry.note,), ("note",)),
    "structuralObjectClass": Kept(lambda _entry, _reader: ("inetOrgPerson",)),
    "subschemaSubentry": Kept(lambda _entry, _reader: (schema.SUBSCHEMA,)),
    "hasSubordinates": Kept(lambda _entry, _reader: ("FALSE",)),
}


def values_of(entry: Entry, name: str, reader: Reader) -> list[str]:
    """What an entry has of an attribute. name: that of an AttributeType"""
    kept = KEPT.get(name)
    return [value for value in kept.values(entry, reader) if value] if kept else []


class Attributes(Mapping[str, Sequence[str]]):
    """All attributes of an entry, {name of an AttributeType: values}; worked out as they are asked for, one by one.

    name: the DN of the entry
    """

    __slots__ = ("_entry", "_reader", "_told")

    def __init__(self, entry: Entry, name: str, reader: Reader) -> None:
        self._entry = entry
        self._reader = reader
        self._told: dict[str, Sequence[str]] = {ENTRY_DN: [name]}

    def __getitem__(self, name: str) -> Sequence[str]:
        if name not in self._told:
            self._told[name] = values_of(self._entry, name, self._reader)
        if values := self._told[name]:
            return values
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name in (*KEPT, ENTRY_DN) if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def rule_of(attribute: AttributeType) -> Rule:
    """How values of an attribute are compared."""
    if attribute.syntax is Syntax.PHONE or attribute.name == "ipPhone":
        return Rule.NUMBER
    return _RULES.get(attribute.syntax, Rule.TEXT)


_RULES = {Syntax.EXACT: Rule.EXACT, Syntax.OID: Rule.CLASS, Syntax.DN: Rule.NAME}

"""The schema (RFC 4512, section 4): which attributes there are, by which names, and in which classes of entries.

One table, which clients also get to read as the subschema entry. Object identifiers are those of RFC 4512, 4519, 4524
and 2798, of RFC 2079 (labeledURI), Active Directory's (company, department, ipPhone) and Mozilla's; nothing is our own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache

SUBSCHEMA = "cn=Subschema"

ALL_USER, ALL_OPERATIONAL = "*", "+"


class Syntax(Enum):
    """What values look like: OID, description, and the names of the rules for equality and substrings."""

    TEXT = ("1.3.6.1.4.1.1466.115.121.1.15", "Directory String", "caseIgnoreMatch", "caseIgnoreSubstringsMatch")
    IA5 = ("1.3.6.1.4.1.1466.115.121.1.26", "IA5 String", "caseIgnoreIA5Match", "caseIgnoreIA5SubstringsMatch")
    EXACT = ("1.3.6.1.4.1.1466.115.121.1.15", "Directory String", "caseExactMatch", "caseExactSubstringsMatch")
    PHONE = (
        "1.3.6.1.4.1.1466.115.121.1.50",
        "Telephone Number",
        "telephoneNumberMatch",
        "telephoneNumberSubstringsMatch",
    )
    POSTAL = ("1.3.6.1.4.1.1466.115.121.1.41", "Postal Address", "caseIgnoreListMatch", "caseIgnoreListSubstringsMatch")
    COUNTRY = ("1.3.6.1.4.1.1466.115.121.1.11", "Country String", "caseIgnoreMatch", "caseIgnoreSubstringsMatch")
    OID = ("1.3.6.1.4.1.1466.115.121.1.38", "OID", "objectIdentifierMatch", "")
    DN = ("1.3.6.1.4.1.1466.115.121.1.12", "DN", "distinguishedNameMatch", "")
    BOOLEAN = ("1.3.6.1.4.1.1466.115.121.1.7", "Boolean", "booleanMatch", "")
    INTEGER = ("1.3.6.1.4.1.1466.115.121.1.27", "INTEGER", "integerMatch", "")
    ATTRIBUTE_TYPE = (
        "1.3.6.1.4.1.1466.115.121.1.3",
        "Attribute Type Description",
        "objectIdentifierFirstComponentMatch",
        "",
    )
    OBJECT_CLASS = (
        "1.3.6.1.4.1.1466.115.121.1.37",
        "Object Class Description",
        "objectIdentifierFirstComponentMatch",
        "",
    )
    SYNTAX = ("1.3.6.1.4.1.1466.115.121.1.54", "LDAP Syntax Description", "objectIdentifierFirstComponentMatch", "")
    RULE = (
        "1.3.6.1.4.1.1466.115.121.1.30",
        "Matching Rule Description",
        "objectIdentifierFirstComponentMatch",
        "",
    )


@dataclass(frozen=True, slots=True)
class AttributeType:
    """An attribute (RFC 4512, section 4.1.2).

    names: the first is the one it is shown by, others are as good
    is_operational: whether it is shown only to who asks for it
    """

    oid: str
    names: tuple[str, ...]
    syntax: Syntax = Syntax.TEXT
    single: bool = False
    is_operational: bool = False

    @property
    def name(self) -> str:
        """The name it is shown by where no other was asked for."""
        return self.names[0]


@dataclass(frozen=True, slots=True)
class ObjectClass:
    """A class of entries (RFC 4512, section 4.1.1). kind: ABSTRACT, STRUCTURAL or AUXILIARY"""

    oid: str
    name: str
    above: str
    kind: str
    must: tuple[str, ...] = ()
    may: tuple[str, ...] = ()


_X500, _COSINE = "2.5.4", "0.9.2342.19200300.100.1"
_NETSCAPE, _MOZILLA = "2.16.840.1.113730.3.1", "1.3.6.1.4.1.13769.2.1"

ATTRIBUTE_TYPES = (
    AttributeType(f"{_X500}.0", ("objectClass",), Syntax.OID),
    AttributeType(f"{_X500}.3", ("cn", "commonName")),
    AttributeType(f"{_X500}.4", ("sn", "surname")),
    AttributeType(f"{_X500}.42", ("givenName", "gn")),
    AttributeType(f"{_NETSCAPE}.241", ("displayName",), single=True),
    AttributeType(f"{_X500}.43", ("initials",)),
    AttributeType(f"{_X500}.44", ("generationQualifier",)),
    AttributeType(f"{_COSINE}.40", ("personalTitle",)),
    AttributeType(f"{_COSINE}.1", ("uid", "userid")),
    AttributeType(f"{_COSINE}.3", ("mail", "rfc822Mailbox"), Syntax.IA5),
    AttributeType(f"{_X500}.20", ("telephoneNumber",), Syntax.PHONE),
    AttributeType(f"{_COSINE}.41", ("mobile", "mobileTelephoneNumber"), Syntax.PHONE),
    AttributeType(f"{_COSINE}.20", ("homePhone", "homeTelephoneNumber"), Syntax.PHONE),
    AttributeType(f"{_COSINE}.42", ("pager", "pagerTelephoneNumber"), Syntax.PHONE),
    AttributeType(f"{_X500}.23", ("facsimileTelephoneNumber", "fax"), Syntax.PHONE),
    AttributeType("1.2.840.113556.1.4.721", ("ipPhone",)),
    AttributeType(f"{_X500}.10", ("o", "organizationName")),
    AttributeType("1.2.840.113556.1.2.146", ("company",)),
    AttributeType(f"{_X500}.11", ("ou", "organizationalUnitName")),
    AttributeType("1.2.840.113556.1.2.141", ("department",)),
    AttributeType(f"{_NETSCAPE}.2", ("departmentNumber",)),
    AttributeType(f"{_X500}.12", ("title",)),
    AttributeType(f"{_X500}.15", ("businessCategory",)),
    AttributeType(f"{_X500}.19", ("physicalDeliveryOfficeName",)),
    AttributeType(f"{_X500}.9", ("street", "streetAddress")),
    AttributeType(f"{_X500}.18", ("postOfficeBox",)),
    AttributeType(f"{_X500}.17", ("postalCode",)),
    AttributeType(f"{_X500}.7", ("l", "localityName")),
    AttributeType(f"{_X500}.8", ("st", "stateOrProvinceName")),
    AttributeType(f"{_X500}.6", ("c", "countryName"), Syntax.COUNTRY, single=True),
    AttributeType(f"{_COSINE}.43", ("co", "friendlyCountryName")),
    AttributeType(f"{_X500}.16", ("postalAddress",), Syntax.POSTAL),
    AttributeType(f"{_COSINE}.39", ("homePostalAddress",), Syntax.POSTAL),
    AttributeType("1.3.6.1.4.1.250.1.57", ("labeledURI",), Syntax.EXACT),
    AttributeType(f"{_X500}.13", ("description",)),
    AttributeType(f"{_COSINE}.25", ("dc", "domainComponent"), Syntax.IA5, single=True),
    AttributeType(f"{_MOZILLA}.1", ("mozillaNickname", "xmozillanickname")),
    AttributeType(f"{_MOZILLA}.3", ("mozillaSecondEmail", "xmozillasecondemail"), Syntax.IA5),
    AttributeType(f"{_MOZILLA}.14", ("mozillaHomeStreet",)),
    AttributeType(f"{_MOZILLA}.4", ("mozillaHomeLocalityName",)),
    AttributeType(f"{_MOZILLA}.7", ("mozillaHomeState",)),
    AttributeType(f"{_MOZILLA}.8", ("mozillaHomePostalCode",)),
    AttributeType(f"{_MOZILLA}.9", ("mozillaHomeCountryName",), single=True),
    AttributeType(f"{_MOZILLA}.11", ("mozillaHomeUrl",), Syntax.IA5),
    AttributeType(f"{_MOZILLA}.12", ("mozillaWorkUrl",), Syntax.IA5),
    AttributeType("2.5.18.10", ("subschemaSubentry",), Syntax.DN, single=True, is_operational=True),
    AttributeType("2.5.18.9", ("hasSubordinates",), Syntax.BOOLEAN, single=True, is_operational=True),
    AttributeType("2.5.21.9", ("structuralObjectClass",), Syntax.OID, single=True, is_operational=True),
    AttributeType("1.3.6.1.1.20", ("entryDN",), Syntax.DN, single=True, is_operational=True),
    AttributeType("2.5.21.5", ("attributeTypes",), Syntax.ATTRIBUTE_TYPE, is_operational=True),
    AttributeType("2.5.21.6", ("objectClasses",), Syntax.OBJECT_CLASS, is_operational=True),
    AttributeType("2.5.21.4", ("matchingRules",), Syntax.RULE, is_operational=True),
    AttributeType("1.3.6.1.4.1.1466.101.120.16", ("ldapSyntaxes",), Syntax.SYNTAX, is_operational=True),
    AttributeType("1.3.6.1.4.1.1466.101.120.5", ("namingContexts",), Syntax.DN, is_operational=True),
    AttributeType("1.3.6.1.4.1.1466.101.120.13", ("supportedControl",), Syntax.OID, is_operational=True),
    AttributeType("1.3.6.1.4.1.1466.101.120.7", ("supportedExtension",), Syntax.OID, is_operational=True),
    AttributeType("1.3.6.1.4.1.4203.1.3.5", ("supportedFeatures",), Syntax.OID, is_operational=True),
    AttributeType("1.3.6.1.4.1.1466.101.120.15", ("supportedLDAPVersion",), Syntax.INTEGER, is_operational=True),
    AttributeType("1.3.6.1.1.4", ("vendorName",), Syntax.EXACT, single=True, is_operational=True),
    AttributeType("1.3.6.1.1.5", ("vendorVersion",), Syntax.EXACT, single=True, is_operational=True),
)

_ADDRESS = ("street", "postOfficeBox", "postalCode", "postalAddress", "physicalDeliveryOfficeName", "ou", "st", "l")
_MOZILLA_PERSON = tuple(one.name for one in ATTRIBUTE_TYPES if one.oid.startswith(f"{_MOZILLA}."))

OBJECT_CLASSES = (
    ObjectClass("2.5.6.0", "top", "", "ABSTRACT", ("objectClass",)),
    ObjectClass("2.5.6.6", "person", "top", "STRUCTURAL", ("sn", "cn"), ("telephoneNumber", "description")),
    ObjectClass(
        "2.5.6.7", "organizationalPerson", "person", "STRUCTURAL", (), ("title", "facsimileTelephoneNumber", *_ADDRESS)
    ),
    ObjectClass(
        "2.16.840.1.113730.3.2.2",
        "inetOrgPerson",
        "organizationalPerson",
        "STRUCTURAL",
        (),
        (
            *("businessCategory", "departmentNumber", "displayName", "givenName", "homePhone", "homePostalAddress"),
            *("initials", "labeledURI", "mail", "mobile", "o", "pager", "uid"),
        ),
    ),
    ObjectClass(
        "1.3.6.1.4.1.13769.9.1",
        "mozillaAbPersonAlpha",
        "top",
        "AUXILIARY",
        ("cn",),
        (
            *("c", "description", "displayName", "facsimileTelephoneNumber", "givenName", "homePhone", "l", "mail"),
            *("mobile", "o", "ou", "pager", "postalCode", "postOfficeBox", "sn", "st", "street", "telephoneNumber"),
            *("title", *_MOZILLA_PERSON),
        ),
    ),
    ObjectClass(
        "2.5.6.5", "organizationalUnit", "top", "STRUCTURAL", ("ou",), ("description", "telephoneNumber", "l", "st")
    ),
    ObjectClass("2.5.6.4", "organization", "top", "STRUCTURAL", ("o",), ("description", "telephoneNumber", "l", "st")),
    ObjectClass("1.3.6.1.4.1.1466.344", "dcObject", "top", "AUXILIARY", ("dc",)),
    ObjectClass("2.5.20.1", "subschema", "top", "AUXILIARY", (), ("attributeTypes", "objectClasses", "matchingRules")),
)

# Which rules there are, with their syntaxes (RFC 4517, section 4.2).
_RULES: Mapping[str, tuple[str, str]] = {
    "booleanMatch": ("2.5.13.13", Syntax.BOOLEAN.value[0]),
    "caseExactMatch": ("2.5.13.5", Syntax.EXACT.value[0]),
    "caseExactSubstringsMatch": ("2.5.13.7", "1.3.6.1.4.1.1466.115.121.1.58"),
    "caseIgnoreIA5Match": ("1.3.6.1.4.1.1466.109.114.2", Syntax.IA5.value[0]),
    "caseIgnoreIA5SubstringsMatch": ("1.3.6.1.4.1.1466.109.114.3", "1.3.6.1.4.1.1466.115.121.1.58"),
    "caseIgnoreListMatch": ("2.5.13.11", Syntax.POSTAL.value[0]),
    "caseIgnoreListSubstringsMatch": ("2.5.13.12", "1.3.6.1.4.1.1466.115.121.1.58"),
    "caseIgnoreMatch": ("2.5.13.2", Syntax.TEXT.value[0]),
    "caseIgnoreOrderingMatch": ("2.5.13.3", Syntax.TEXT.value[0]),
    "caseIgnoreSubstringsMatch": ("2.5.13.4", "1.3.6.1.4.1.1466.115.121.1.58"),
    "distinguishedNameMatch": ("2.5.13.1", Syntax.DN.value[0]),
    "integerMatch": ("2.5.13.14", Syntax.INTEGER.value[0]),
    "objectIdentifierFirstComponentMatch": ("2.5.13.30", Syntax.OID.value[0]),
    "objectIdentifierMatch": ("2.5.13.0", Syntax.OID.value[0]),
    "telephoneNumberMatch": ("2.5.13.20", Syntax.PHONE.value[0]),
    "telephoneNumberSubstringsMatch": ("2.5.13.21", "1.3.6.1.4.1.1466.115.121.1.58"),
}

_BY_NAME: Mapping[str, AttributeType] = {key.lower(): one for one in ATTRIBUTE_TYPES for key in (one.oid, *one.names)}
_CLASSES: Mapping[str, ObjectClass] = {key.lower(): one for one in OBJECT_CLASSES for key in (one.oid, one.name)}


def attribute(description: str) -> AttributeType | None:
    """The attribute of a name or an OID, in any case; None for one that isn't known, and for one with options."""
    return _BY_NAME.get(description.lower())


def object_class(name: str) -> ObjectClass | None:
    """The class of a name or an OID, in any case; None for one that isn't known."""
    return _CLASSES.get(name.lower())


@dataclass(frozen=True, slots=True)
class Selection:
    """Which attributes of entries a client gets, and by which names.

    named: (name to show, name of the attribute) of those that were asked for by name
    others: the names of those that were asked for all together
    """

    named: tuple[tuple[str, str], ...]
    others: frozenset[str]

    def of(self, attributes: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, Sequence[str]]]:
        """(name to show, values) of what an entry has of them."""
        for shown, name in self.named:
            if values := attributes.get(name):
                yield shown, values
        if self.others:
            for name, values in attributes.items():
                if values and name in self.others:
                    yield name, values


def selection(asked: Sequence[str]) -> Selection:
    """What a client wants (RFC 4511, section 4.5.1.8).

    asked: as it was sent; none: all that users see. What isn't known is passed over.

    An attribute that was asked for by another of its names is answered by that one: many phones know no other.
    """
    named: dict[str, tuple[str, str]] = {}
    for one in asked:
        if known := attribute(one):
            named.setdefault(one.lower(), (one, known.name))
    wanted = {
        False: not asked or ALL_USER in asked,
        True: ALL_OPERATIONAL in asked,
    }
    others = (one.name for one in ATTRIBUTE_TYPES if wanted[one.is_operational])
    return Selection(tuple(named.values()), frozenset(one for one in others if one.lower() not in named))


@cache
def subschema() -> dict[str, list[str]]:
    """The attributes of the subschema entry (RFC 4512, section 4.2)."""
    return {
        "objectClass": ["top", "subschema"],
        "cn": ["Subschema"],
        "structuralObjectClass": ["subschema"],
        "subschemaSubentry": [SUBSCHEMA],
        "attributeTypes": [_of_attribute_type(one) for one in ATTRIBUTE_TYPES],
        "objectClasses": [_of_object_class(one) for one in OBJECT_CLASSES],
        "matchingRules": [f"( {oid} NAME '{name}' SYNTAX {syntax} )" for name, (oid, syntax) in _RULES.items()],
        "ldapSyntaxes": sorted({f"( {one.value[0]} DESC '{one.value[1]}' )" for one in Syntax}),
    }


def _of_attribute_type(of: AttributeType) -> str:
    oid, _, equality, substrings = of.syntax.value
    ordering = "caseIgnoreOrderingMatch" if of.syntax is Syntax.TEXT else ""
    parts = [
        of.oid,
        "NAME " + _listed(f"'{name}'" for name in of.names),
        f"EQUALITY {equality}",
        f"ORDERING {ordering}" if ordering else "",
        f"SUBSTR {substrings}" if substrings else "",
        f"SYNTAX {oid}",
        "SINGLE-VALUE" if of.single else "",
        "NO-USER-MODIFICATION USAGE directoryOperation" if of.is_operational else "",
    ]
    return f"( {' '.join(filter(None, parts))} )"


def _of_object_class(of: ObjectClass) -> str:
    parts = [
        of.oid,
        f"NAME '{of.name}'",
        f"SUP {of.above}" if of.above else "",
        of.kind,
        f"MUST {_listed(of.must, ' $ ')}" if of.must else "",
        f"MAY {_listed(of.may, ' $ ')}" if of.may else "",
    ]
    return f"( {' '.join(filter(None, parts))} )"


def _listed(names: Iterable[str], between: str = " ") -> str:
    """One name as it is, several in parentheses."""
    found = tuple(names)
    return found[0] if len(found) == 1 else f"( {between.join(found)} )"

"""The table of elements: what each answer to a phone may hold, written from the vendors' documents, not from our code.

``DOCUMENTS`` has, for each make and path, the roots that may be answered; ``checked`` holds an answer against them. A
path that is for all below it, or has a ``*``, stands here as it does in ``Format.answers``.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element as Node

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_DECLARED = re.compile(r'<\?xml version="1\.0" encoding="([A-Za-z0-9-]+)"\?>')
NUMBER = r"[0-9*#+]+"
ABSOLUTE = r"https?://[^\s<>]+"


@dataclass(frozen=True)
class Element:
    """An element. Its children stand in this order.

    text: a pattern for all of it; the empty one for an element without text
    attributes: {name: a pattern for its value}; all of them are there, but those that end with ``?``
    most_bytes: of its text, before it is escaped; 0: as many as there are
    """

    name: str
    text: str = ""
    children: Sequence[Child] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    most_bytes: int = 0


class Child(NamedTuple):
    """An element in another. most: None where there is no limit"""

    element: Element
    least: int = 1
    most: int | None = 1


def some(element: Element, most: int | None = None) -> Child:
    """Any number of an element, none too."""
    return Child(element, 0, most)


def maybe(element: Element) -> Child:
    """One, or none."""
    return Child(element, 0, 1)


def one(name: str, text: str = ".*", most_bytes: int = 0, **attributes: str) -> Child:
    """Exactly one element with text."""
    return Child(Element(name, text, attributes=attributes, most_bytes=most_bytes))


def checked(body: bytes, *roots: Element, most_bytes: int = 0) -> Node:
    """The root of an answer, which is well-formed, has nothing that a phone can't read, and agrees with a table."""
    text = body.decode("utf-16" if body[:2] in (BOM_UTF16_LE, BOM_UTF16_BE) else "utf-8")
    declared = _DECLARED.match(text)
    assert declared, "no XML declaration"
    assert declared[1] == ("UTF-16" if body[:2] in (BOM_UTF16_LE, BOM_UTF16_BE) else "UTF-8")
    assert not _CONTROLS.search(text), "a control character"
    assert not most_bytes or len(body) <= most_bytes, f"{len(body)} bytes"
    root = ElementTree.fromstring(body)
    of_name = {element.name: element for element in roots}
    assert root.tag in of_name, f"{root.tag} is none of {', '.join(of_name)}"
    _agrees(root, of_name[root.tag], root.tag)
    return root


def _agrees(node: Node, element: Element, path: str) -> None:
    required = {name for name in element.attributes if not name.endswith("?")}
    allowed = {name.rstrip("?"): pattern for name, pattern in element.attributes.items()}
    assert required <= set(node.attrib) <= set(allowed), f"{path}: attributes {sorted(node.attrib)}"
    for name, value in node.attrib.items():
        assert re.fullmatch(allowed[name], value, re.DOTALL), f"{path}/@{name}: {value!r}"
    text = node.text or ""
    if element.children:
        assert not text.strip(), f"{path}: text {text!r}"
    else:
        assert re.fullmatch(element.text, text, re.DOTALL), f"{path}: {text!r}"
        assert not element.most_bytes or len(text.encode()) <= element.most_bytes, f"{path}: {len(text.encode())} bytes"
    left = list(node)
    for child, least, most in element.children:
        count = 0
        while left and left[0].tag == child.name and (most is None or count < most):
            _agrees(left.pop(0), child, f"{path}/{child.name}")
            count += 1
        assert count >= least, f"{path}: {count} {child.name}"
    assert not left, f"{path}: {left[0].tag} isn't allowed there"
    assert all(not (child.tail or "").strip() for child in node), f"{path}: text between elements"


# Yealink: Matrix SPARSH VP110 User Guide, p. 342.
_YEALINK_NAME = one("Name", ".+")
_YEALINK = {
    "yealink.xml": [
        Element(
            "YealinkIPPhoneDirectory",
            children=[
                some(
                    Element(
                        "DirectoryEntry",
                        children=[
                            _YEALINK_NAME,
                            Child(Element("Telephone", NUMBER, attributes={"label?": ".+"}), 1, None),
                        ],
                    )
                )
            ],
        )
    ],
    "yealink-book.xml": [
        Element(
            "YealinkIPPhoneBook",
            children=[
                one("Title", ".+"),
                some(
                    Element(
                        "Menu",
                        attributes={"Name": ".*"},
                        children=[
                            Child(
                                Element(
                                    "Unit",
                                    attributes={
                                        "Name": ".+",
                                        "Phone1": NUMBER,
                                        "Phone2": "[0-9*#+]*",
                                        "Phone3": "[0-9*#+]*",
                                        "default_photo": "Resource:",
                                    },
                                ),
                                1,
                                None,
                            )
                        ],
                    )
                ),
            ],
        )
    ],
}

# Cisco: OL-20949-01, p. 3-6 and 3-7.
_CISCO_KEY = Element(
    "SoftKeyItem",
    children=[one("Name", ".+", 32), one("URL", rf"SoftKey:[A-Za-z]+|{ABSOLUTE}"), one("Position", "[1-8]")],
)
_CISCO = {
    "cisco": [
        Element(
            "CiscoIPPhoneMenu",
            children=[
                one("Title", ".*", 64),
                one("Prompt", ".*", 64),
                some(Element("MenuItem", children=[one("Name", ".+", 64), one("URL", ABSOLUTE)]), 100),
            ],
        )
    ],
    "cisco/search": [
        Element(
            "CiscoIPPhoneInput",
            children=[
                one("Title", ".*", 64),
                one("Prompt", ".*", 64),
                one("URL", ABSOLUTE),
                Child(
                    Element(
                        "InputItem",
                        children=[
                            one("DisplayName", ".+", 64),
                            one("QueryStringParam", "[a-z]+"),
                            one("DefaultValue"),
                            one("InputFlags", "[ATNEULP]"),
                        ],
                    ),
                    1,
                    5,
                ),
            ],
        )
    ],
    "cisco/list": [
        Element(
            "CiscoIPPhoneDirectory",
            children=[
                one("Title", ".*", 64),
                one("Prompt", ".*", 64),
                some(Element("DirectoryEntry", children=[one("Name", ".+", 64), one("Telephone", NUMBER)]), 32),
                some(_CISCO_KEY, 8),
            ],
        )
    ],
}

# Snom: Service Hub, Remote XML Directory; <tbook>, <phone-book> tag; SnomIPPhoneMenu, SnomIPPhoneInput.
_SNOM_TYPE = "business|extension|fixed|home|mobile|sip"
_SNOM_KEY = Element("SoftKeyItem", children=[one("Name", "F[1-4]"), one("Label", ".+"), one("URL", ABSOLUTE)])
_SNOM_ABOUT = [
    maybe(Element("title", ".+")),
    maybe(Element("organization", ".+")),
    maybe(Element("email", ".+")),
]
_DECT_NUMBER = "[0-9+]{0,21}"
_SNOM = {
    "snom.xml": [
        Element(
            "tbook",
            attributes={"e": "2", "version": r"2\.0", "complete": "true"},
            children=[
                some(
                    Element(
                        "contact",
                        attributes={"fav": "true|false", "vip": "true|false", "blocked": "true|false"},
                        children=[
                            one("first_name"),
                            one("last_name"),
                            *_SNOM_ABOUT,
                            Child(
                                Element(
                                    "numbers",
                                    children=[
                                        Child(
                                            Element(
                                                "number",
                                                attributes={"no": NUMBER, "type": _SNOM_TYPE, "outgoing_id": "[0-9]+"},
                                            ),
                                            1,
                                            None,
                                        )
                                    ],
                                )
                            ),
                        ],
                    )
                )
            ],
        )
    ],
    "snom-v1.xml": [
        Element(
            "tbook",
            attributes={"e": "2", "complete": "true"},
            children=[
                some(
                    Element(
                        "item",
                        attributes={
                            "context": "active|line[0-9]+",
                            "type": "none|friends|family|colleagues|vip|deny",
                            "fav": "true|false",
                            "index": "[0-9]+",
                        },
                        children=[
                            one("first_name"),
                            one("last_name"),
                            maybe(Element("organization", ".+")),
                            maybe(Element("title", ".+")),
                            maybe(Element("email", ".+")),
                            one("number", NUMBER),
                            one("number_type", _SNOM_TYPE),
                        ],
                    )
                )
            ],
        )
    ],
    # M700, M300 Admin and Installation Guide 1.02, p. 42: no element may be missing.
    "snom/m-series.xml": [
        Element(
            "IPPhoneDirectory",
            children=[
                some(
                    Element(
                        "DirectoryEntry",
                        children=[
                            one("Name", ".+", 23),
                            one("Telephone", _DECT_NUMBER),
                            one("Office", _DECT_NUMBER),
                            one("Mobile", _DECT_NUMBER),
                        ],
                    ),
                    3000,
                )
            ],
        )
    ],
    "snom/m100.xml": [
        Element(
            "directory",
            children=[
                Child(
                    Element(
                        "DIR_GROUP",
                        children=[
                            some(
                                Element(
                                    "DIR_ENTRY",
                                    children=[
                                        one("DIR_ENTRY_NAME_FIRST", ".*", 23),
                                        one("DIR_ENTRY_NAME_LAST", ".*", 23),
                                        *(
                                            maybe(Element(f"DIR_ENTRY_NUMBER_{place}", "[0-9+]{1,21}"))
                                            for place in ("HOME", "WORK", "MOBILE")
                                        ),
                                        one("DIR_ENTRY_LINE_NUMBER", "[0-9]+"),
                                        one("DIR_ENTRY_RINGER", "[0-9]+"),
                                    ],
                                ),
                                1000,
                            )
                        ],
                    )
                )
            ],
        )
    ],
    "snom/search": [
        Element(
            "SnomIPPhoneInput",
            children=[
                one("Url", ABSOLUTE),
                Child(
                    Element(
                        "InputItem",
                        children=[
                            one("DisplayName", ".+"),
                            one("InputToken", "__X__"),
                            one("DefaultValue"),
                            one("InputFlags", "a|t|n|e|u|l|p|pn"),
                        ],
                    )
                ),
            ],
        )
    ],
    "snom/list": [
        Element(
            "SnomIPPhoneMenu",
            children=[
                one("Title", ".+"),
                Child(
                    Element(
                        "MenuItem",
                        attributes={"name": ".+"},
                        children=[one("URL", r"snom://mb_nop#numberdial=([0-9*+]|%23)+")],
                    ),
                    1,
                    20,
                ),
                some(_SNOM_KEY, 2),
            ],
        ),
        Element("SnomIPPhoneText", children=[one("Title", ".+"), one("Text", ".+"), some(_SNOM_KEY, 2)]),
    ],
}


# Grandstream: GXP Series XML Phonebook Guide; 1.0.5.15, p. 12 for the old form. Names are case-sensitive.
def _grandstream(*types: str) -> list[Element]:
    number = Element("Phone", attributes={"type": "|".join(types)}, children=_grandstream_number("[0-5]"))
    return [
        Element(
            "AddressBook",
            children=[
                one("version", "1"),
                some(Element("pbgroup", children=[one("id", "[0-9]+"), one("name", ".+")])),
                some(
                    Element(
                        "Contact",
                        children=[
                            maybe(Element("FirstName", ".+")),
                            maybe(Element("LastName", ".+")),
                            one("Frequent", "[01]"),
                            Child(number, 1, len(types)),
                            one("Group", "[0-9]+"),
                        ],
                    ),
                    2000,
                ),
            ],
        )
    ]


def _grandstream_number(accounts: str) -> list[Child]:
    return [one("phonenumber", NUMBER), one("accountindex", accounts)]


_GRANDSTREAM_OLD = [
    Element(
        "AddressBook",
        children=[
            some(
                Element(
                    "Contact",
                    children=[
                        maybe(Element("FirstName", ".+")),
                        maybe(Element("LastName", ".+")),
                        Child(Element("Phone", children=_grandstream_number("[1-6]"))),
                        Child(Element("Groups", children=[one("groupid", "[0-9]+")])),
                    ],
                ),
                2000,
            )
        ],
    )
]
_GRANDSTREAM = {
    f"grandstream/{folder}{file}": table
    for folder, table in {
        "": _grandstream("Work", "Home", "Mobile", "Fax", "Other"),
        "grp/": _grandstream("Work", "Home", "Cell"),
        "dect/": _grandstream("Work", "Home", "Mobile"),
        "old/": _GRANDSTREAM_OLD,
    }.items()
    for file in ("phonebook.xml", "gs_phonebook.xml")
}

# Fanvil: XML Operation Guide 1.1.
_FANVIL = {
    "fanvil.xml": [
        Element(
            "FanvilIPPhoneDirectory",
            children=[
                one("Title", ".+"),
                some(
                    Element(
                        "DirectoryEntry",
                        children=[
                            one("Name", ".+"),
                            one("Telephone", "[0-9*#+]*"),
                            one("Mobile", "[0-9*#+]*"),
                            one("Other", "[0-9*#+]*"),
                            one("Ring", "0"),
                            one("Group"),
                        ],
                    )
                ),
            ],
        )
    ],
    "fanvil/search": [
        Element(
            "FanvilIPPhoneInputScreen",
            children=[
                one("Title", ".+"),
                one("Prompt", ".+"),
                one("URL", ABSOLUTE),
                Child(
                    Element("InputField", children=[one("Prompt", ".+"), one("Parameter", "[a-z]+"), one("Default")])
                ),
            ],
        )
    ],
    "fanvil/list": [
        Element(
            "FanvilIPPhoneDirectory",
            children=[
                one("Title", ".+"),
                Child(Element("MenuItem", children=[one("Prompt", ".+"), one("URI", "[0-9*#+]*")]), 1, 16),
                some(Element("SoftKey", children=[one("Name", ".+"), one("URI", rf"SoftKey:[A-Za-z]+|{ABSOLUTE}")]), 4),
            ],
        )
    ],
}

# Gigaset: Phonebook Search Protocol 1.4.02; the wiki's Central phonebook.
_GIGASET_SHOWN = "[0-9*#+]{1,40}"
_GIGASET_FILED = "[0-9*#+]{0,40}"
_GIGASET = {
    "gigaset": [
        Element(
            "list",
            attributes={
                "response": "get_list",
                "type": "pb|pr|yp",
                "total": "[0-9]+",
                "first?": "[1-9][0-9]*",
                "last?": "[1-9][0-9]*",
                "reqid?": ".+",
                "notfound?": "[a-z]+",
            },
            children=[
                some(
                    Element(
                        "entry",
                        attributes={"id": "[0-9]+"},
                        children=[
                            maybe(Element("ln", ".+")),
                            maybe(Element("fn", ".+")),
                            *(maybe(Element(name, _GIGASET_SHOWN)) for name in ("hm", "mb", "of")),
                            maybe(Element("em", ".+")),
                        ],
                    ),
                    100,
                )
            ],
        ),
        Element(
            "error",
            attributes={"response": "get_list", "type": "pb|pr|yp"},
            children=[one("errorid", "[0-7]"), one("message", ".+")],
        ),
    ],
    "gigaset/book.xml": [
        Element(
            "list",
            children=[
                some(
                    Element(
                        "entry",
                        attributes={
                            "surname": ".*",
                            "name": ".*",
                            **{f"{kind}{at}": _GIGASET_FILED for kind in ("office", "mobile", "home") for at in (1, 2)},
                        },
                    ),
                    2000,
                )
            ],
        )
    ],
}

# FRITZ!Box: what FRITZ!OS saves; nine numbers a contact.
_FRITZBOX = {
    "fritzbox.xml": [
        Element(
            "phonebooks",
            children=[
                Child(
                    Element(
                        "phonebook",
                        attributes={"name": ".+"},
                        children=[
                            some(
                                Element(
                                    "contact",
                                    children=[
                                        one("category", "[01]"),
                                        Child(Element("person", children=[one("realName", ".+")])),
                                        Child(
                                            Element(
                                                "telephony",
                                                children=[
                                                    Child(
                                                        Element(
                                                            "number",
                                                            NUMBER,
                                                            attributes={
                                                                "type": "home|work|mobile|fax_work|other",
                                                                "prio": "[01]",
                                                                "id": "[0-8]",
                                                            },
                                                        ),
                                                        1,
                                                        9,
                                                    )
                                                ],
                                            )
                                        ),
                                        maybe(
                                            Element(
                                                "services",
                                                children=[one("email", ".+", classifier="private|work", id="[0-9]+")],
                                            )
                                        ),
                                    ],
                                )
                            )
                        ],
                    )
                )
            ],
        )
    ]
}

# Poly: Administrator's Guide SIP 3.1, Local Contact Directory File Format.
_POLY = {
    "poly/*-directory.xml": [
        Element(
            "directory",
            children=[
                Child(
                    Element(
                        "item_list",
                        children=[
                            some(
                                Element("item", children=[one("ln", ".*", 40), one("fn", ".*", 40), one("ct", NUMBER)])
                            )
                        ],
                    )
                )
            ],
        )
    ]
}

# Mitel and Aastra: XML API 3.3.1 SP4, p. 40, 48 and 159.
_MITEL = {
    "mitel": [
        Element(
            "AastraIPPhoneInputScreen",
            attributes={"type": "string|number|IP", "destroyOnExit": "yes|no"},
            children=[
                one("Title", ".+"),
                one("Prompt", ".+"),
                one("URL", ABSOLUTE),
                one("Parameter", "[a-z]+"),
                one("Default"),
            ],
        )
    ],
    "mitel/list": [
        Element(
            "AastraIPPhoneTextMenu",
            attributes={"style": "numbered|none|radio", "destroyOnExit": "yes|no"},
            children=[
                one("Title", ".+"),
                Child(
                    Element("MenuItem", children=[one("Prompt", ".+"), one("URI", rf"Dial:{NUMBER}|{ABSOLUTE}")]),
                    1,
                    30,
                ),
                some(
                    Element(
                        "SoftKey",
                        attributes={"index": "[1-6]"},
                        children=[one("Label", ".+"), one("URI", rf"SoftKey:(Dial|Select|Exit)|{ABSOLUTE}")],
                    ),
                    6,
                ),
            ],
        )
    ],
}

# Panasonic: XML Application Developer's Guide 2.52, section 5.2.8.
_PANASONIC_SPACE = "{http://panasonic/sip_phone}"


def _panasonic(name: str, text: str = "", children: Sequence[Child] = (), **attributes: str) -> Element:
    return Element(f"{_PANASONIC_SPACE}{name}", text, children, attributes)


_PANASONIC_NUMBERS = _panasonic(
    "PhoneNums",
    children=[Child(_panasonic("PhoneNum", "[0-9#*]{1,32}", type="ext|company|mobile|home"), 1, None)],
)
_PANASONIC_PERSON = _panasonic(
    "Personnel",
    children=[Child(_panasonic("Name", "[^\"&'<>]{1,24}")), Child(_PANASONIC_NUMBERS)],
    id="[1-9]|1[0-9]|20",
)
_PANASONIC_BOOK = _panasonic("PhoneBook", children=[some(_PANASONIC_PERSON, 20)], version=r"[23]\.0")
_PANASONIC = {
    "panasonic.xml": [
        Element(
            f"{_PANASONIC_SPACE}ppxml",
            attributes={
                "{http://www.w3.org/2001/XMLSchema-instance}schemaLocation": "http://panasonic/sip_phone sip_phone.xsd"
            },
            children=[Child(_panasonic("Screen", children=[Child(_PANASONIC_BOOK)], version=r"[23]\.0"))],
        )
    ]
}

# Htek: as public programs answer it.
_HTEK = {
    "htek.xml": [
        Element(
            "PhoneDirectory",
            children=[
                some(
                    Element(
                        "DirectoryEntry", children=[one("Name", ".+"), Child(Element("Telephone", NUMBER), 1, None)]
                    )
                )
            ],
        )
    ]
}


# Thomson: TB30s SIP Administrator Guide 1.3, p. 188; for the older ones as public programs answer them.
def _thomson(root: str, most: int, number: str, pages: int = 0) -> Element:
    page = some(Element("MenuItem", children=[one("Name", ".+"), one("URL", ABSOLUTE)]), pages)
    entry = Element("DirectoryEntry", children=[one("Name", ".+"), one("Telephone", number)])
    return Element(root, children=[page, some(entry, most), page] if pages else [some(entry, most)])


_THOMSON = {
    "thomson.xml": [_thomson("ThomsonPhoneBook", 31, NUMBER), _thomson("PhoneBook", 29, NUMBER, pages=1)],
    "thomson/first.xml": [_thomson("ThomsonPhoneBook", 8, f"Dial:{NUMBER}")],
}

# Avaya: Installing and Administering J100 Series IP Phones 4.1, Downloadable directory.
_AVAYA = {
    "avaya.xml": [
        Element(
            "IPPhoneDirectory",
            children=[
                some(
                    Element(
                        "DirectoryEntry",
                        children=[
                            one("LastName", ".*"),
                            one("FirstName", ".*"),
                            Child(
                                Element(
                                    "PhoneNumbers",
                                    children=[
                                        Child(
                                            Element(
                                                "Phone",
                                                children=[
                                                    one("Number", NUMBER),
                                                    one("Type", "Mobile|Work|Home|Other"),
                                                ],
                                            ),
                                            1,
                                            None,
                                        )
                                    ],
                                )
                            ),
                        ],
                    )
                )
            ],
        )
    ]
}

# MicroSIP: its own contacts file.
_MICROSIP = {
    "microsip.xml": [
        Element(
            "contacts",
            attributes={"refresh": "[0-9]+"},
            children=[
                some(
                    Element(
                        "contact",
                        attributes={
                            "name": ".+",
                            "number": NUMBER,
                            "phone": "[0-9*#+]*",
                            "mobile": "[0-9*#+]*",
                            "firstname": ".*",
                            "lastname": ".*",
                            "email": ".*",
                            "presence": "[01]",
                        },
                    )
                )
            ],
        )
    ]
}

DOCUMENTS: dict[str, dict[str, list[Element]]] = {
    "yealink": _YEALINK,
    "cisco": _CISCO,
    "snom": _SNOM,
    "grandstream": _GRANDSTREAM,
    "fanvil": _FANVIL,
    "gigaset": _GIGASET,
    "fritzbox": _FRITZBOX,
    "poly": _POLY,
    "mitel": _MITEL,
    "panasonic": _PANASONIC,
    "htek": _HTEK,
    "thomson": _THOMSON,
    "avaya": _AVAYA,
    "microsip": _MICROSIP,
}

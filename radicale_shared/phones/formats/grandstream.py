"""Grandstream: a folder with the phone book; the phone puts the file's name behind its URL.

Checked against Grandstream's *GXP Series XML Phonebook Guide* and *XML Based Downloadable Phonebook Guide* for firmware
1.0.5.15 (p. 12: element names are case-sensitive, ``Groups/groupid``), for GXP2200 (1.0.3.2, p. 16: ``pbgroup``) and
GVC3200. Families differ in how they call a mobile number, which kinds they know and where accounts begin; each has a
folder. That a phone keeps 2,000 entries is what users tell; Grandstream's documents don't say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from ...entries import Kind
from .. import files, xml
from ..asking import Asked, Document, Format, Setup
from ..contacts import Contact

MOST_ENTRIES = 2000


@dataclass(frozen=True, slots=True)
class Family:
    """Phones that take the same phone book.

    types: what a number may be called, and for which kinds; the last one for all others
    account: by which it is called; the first one of the phone
    old: whether a contact has one number without a type, and its group stands in ``Groups/groupid``
    """

    types: Sequence[tuple[str, tuple[Kind, ...]]]
    account: int = 0
    old: bool = False


_ALL = (
    ("Work", (Kind.WORK,)),
    ("Home", (Kind.HOME,)),
    ("Mobile", (Kind.MOBILE,)),
    ("Fax", (Kind.FAX,)),
    ("Other", (Kind.PAGER, Kind.OTHER)),
)
_THREE = (("Mobile", (Kind.MOBILE,)), ("Home", (Kind.HOME,)), ("Work", (Kind.WORK, Kind.FAX, Kind.PAGER, Kind.OTHER)))
FAMILIES = {
    "": Family(_ALL),  # GXP16xx, GXP17xx, GXP21xx, GVC32xx
    "grp/": Family((("Cell", (Kind.MOBILE,)), *_THREE[1:])),  # GRP26xx
    "dect/": Family(_THREE),  # DP720, DP750
    "old/": Family((("", tuple(Kind)),), account=1, old=True),  # firmware 1.0.5: GXP116x, GXP14xx; Avaya E129
}
_FILES = ("phonebook.xml", "gs_phonebook.xml")


def _book(family: Family) -> Callable[[Asked], Document]:
    def answer(asked: Asked) -> Document:
        contacts = asked.everyone()
        groups = {name: at for at, name in enumerate(sorted({contact.group for contact in contacts}), start=1)}

        def entries(contact: Contact) -> list[str]:
            family_name, given = files.family_and_given(contact)
            names = [
                xml.element(name, text) for name, text in (("FirstName", given), ("LastName", family_name)) if text
            ]
            group = xml.element("groupid" if family.old else "Group", str(groups[contact.group]))
            numbers = files.one_of_each(files.dialled(asked, contact), [kinds for _, kinds in family.types])
            return [
                xml.parent(
                    "Contact",
                    [
                        *names,
                        *([] if family.old else [xml.element("Frequent", "0")]),
                        *_phones(family, places),
                        xml.parent("Groups", [group]) if family.old else group,
                    ],
                )
                + "\n"
                for places in numbers
            ]

        def head(named: Collection[str]) -> str:
            if family.old:
                return xml.DECLARATION + "<AddressBook>\n"
            told = (_group(name, at) for name, at in groups.items() if name in named)
            return "".join([xml.DECLARATION, "<AddressBook>\n", xml.element("version", "1"), "\n", *told])

        tail = "</AddressBook>\n"
        around = len(head(groups).encode()) + len(tail)
        written = files.fitting(asked, contacts, entries, around=around, most_entries=MOST_ENTRIES)
        named = {one.contact.group for one in written}
        return Document("".join([head(named), *(text for one in written for text in one.entries), tail]).encode())

    return answer


def _group(name: str, at: int) -> str:
    told = xml.plain(name, files.MOST_NAME_BYTES) or str(at)
    return xml.parent("pbgroup", [xml.element("id", str(at)), xml.element("name", told)]) + "\n"


def _phones(family: Family, numbers: Sequence[str]) -> list[str]:
    written = []
    for (type_name, _), number in zip(family.types, numbers, strict=True):
        if number:
            told = [xml.element("phonenumber", number), xml.element("accountindex", str(family.account))]
            written.append(xml.parent("Phone", told) if family.old else xml.parent("Phone", told, type=type_name))
    return written


def setup(told: Setup) -> str:
    """Lines for the phone's configuration template."""
    scheme, _, rest = told.url.partition("://")
    return f"""\
# GXP16xx, GXP17xx, GXP21xx, GVC32xx. The phone puts phonebook.xml or gs_phonebook.xml behind the folder.
phonebook.download.mode = {scheme.upper()}
phonebook.download.server = {rest}grandstream
# GRP26xx
# phonebook.download.server = {rest}grandstream/grp
# DP720, DP750
# phonebook.download.server = {rest}grandstream/dect
# Firmware 1.0.5 (GXP116x, GXP14xx), Avaya E129
# phonebook.download.server = {rest}grandstream/old
{_login(told)}# Minutes
phonebook.download.interval = 120
# What is no longer in the file goes from the phone.
phonebook.download.removeEditedEntries = Yes
phonebook.import.group.method = Replace
"""


def _login(told: Setup) -> str:
    if not told.login:
        return ""
    return f"phonebook.download.username = {told.login}\nphonebook.download.password = {told.password}\n"


FORMAT = Format(
    name="grandstream",
    title="Grandstream GXP, GRP, GVC, DP; Avaya E129",
    answers={f"grandstream/{folder}{file}": _book(family) for folder, family in FAMILIES.items() for file in _FILES},
    preview=("grandstream/phonebook.xml", {}),
    setup=setup,
    most_entries=MOST_ENTRIES,
    most_bytes=0,
    source="Grandstream GXP Series XML Phonebook Guide; XML Based Downloadable Phonebook Guide 1.0.5.15, p. 12",
)

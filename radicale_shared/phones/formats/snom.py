"""Snom: the desk phones' directory file, a search in their minibrowser, and the files of the DECT bases.

Checked against Snom's Service Hub: *Remote XML Directory* (tbook 2.0, firmware 10.1.178.0 and newer; the phone asks by
POST; ``complete`` is the only way to delete entries), *<tbook>, <phone-book> tag* (older firmware),
*SnomIPPhoneMenu* and *SnomIPPhoneInput* (minibrowser), the *M700, M300 Admin and Installation Guide* 1.02, p. 42
(name, three numbers, of which none may be missing, 23 characters and 21 digits) and the page on the directories of M100
and M500 (1,000 contacts). The phones' own limits for tbook differ by model and aren't known here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import quote

from ...entries import Kind
from .. import files, xml
from ..asking import Asked, Document, Format, Setup
from ..contacts import Contact
from ..paging import Place, page, screen
from ..setups import with_login
from ..words import words

PAGE = 20
BASE_ENTRIES, BASE_NAME, BASE_DIGITS = 3000, 23, 21
SMALL_BASE_ENTRIES = 1000
_TYPES = {Kind.WORK: "business", Kind.MOBILE: "mobile", Kind.HOME: "home"}
_TERM = "__X__"  # the phone puts what was typed in its place
_BASE = (
    ("Telephone", (Kind.HOME, Kind.FAX, Kind.PAGER, Kind.OTHER)),
    ("Office", (Kind.WORK,)),
    ("Mobile", (Kind.MOBILE,)),
)
_SMALL_BASE = (
    ("HOME", (Kind.HOME, Kind.FAX, Kind.PAGER, Kind.OTHER)),
    ("WORK", (Kind.WORK,)),
    ("MOBILE", (Kind.MOBILE,)),
)


def tbook(asked: Asked) -> Document:
    """``tbook`` 2.0."""

    def entry(contact: Contact) -> list[str]:
        numbers = [
            xml.empty("number", no=line.number, type=_TYPES.get(line.kind, "fixed"), outgoing_id="0")
            for line in files.dialled(asked, contact)
        ]
        if not numbers:
            return []
        return [
            xml.parent(
                "contact",
                [*_about(contact, "title", "organization", "email"), xml.parent("numbers", numbers)],
                fav="false",
                vip="false",
                blocked="false",
            )
            + "\n"
        ]

    return _file(asked, entry, '<tbook e="2" version="2.0" complete="true">', "</tbook>")


def old_tbook(asked: Asked) -> Document:
    """``tbook`` of firmware before 10: an item a number; those after the first of a contact name the first."""
    index = 0

    def items(contact: Contact) -> list[str]:
        nonlocal index
        written: list[str] = []
        lines = files.dialled(asked, contact)
        for line in lines:
            about = (
                _about(contact, "organization", "title", "email")
                if line is lines[0]
                else [xml.element("first_name", "Member_Alias"), xml.element("last_name", lines[0].number)]
            )
            number = [xml.element("number", line.number), xml.element("number_type", _TYPES.get(line.kind, "fixed"))]
            written.append(
                xml.parent("item", [*about, *number], context="active", type="none", fav="false", index=str(index))
                + "\n"
            )
            index += 1
        return written

    return _file(asked, items, '<tbook e="2" complete="true">', "</tbook>")


def _about(contact: Contact, *names: str) -> list[str]:
    family, given = files.family_and_given(contact)
    told = {"title": contact.title, "organization": contact.org, "email": contact.email}
    more = [(name, text) for name in names if (text := xml.plain(told[name], files.MOST_NAME_BYTES))]
    return [xml.element(name, text) for name, text in [("first_name", given), ("last_name", family), *more]]


def base(asked: Asked) -> Document:
    """``IPPhoneDirectory`` of M300, M700 and M900: always three numbers, empty where there is none."""

    def entries(contact: Contact) -> list[str]:
        name = xml.element("Name", files.name(contact, BASE_NAME))
        return [
            xml.parent("DirectoryEntry", [name, *map(xml.element, (place for place, _ in _BASE), numbers)]) + "\n"
            for numbers in _for_base(asked, contact)
        ]

    return _file(asked, entries, "<IPPhoneDirectory>", "</IPPhoneDirectory>", BASE_ENTRIES)


def small_base(asked: Asked) -> Document:
    """``directory`` of M100 and M500: the numbers that there are."""

    def entries(contact: Contact) -> list[str]:
        family, given = files.family_and_given(contact, BASE_NAME)
        names = [xml.element("DIR_ENTRY_NAME_FIRST", given), xml.element("DIR_ENTRY_NAME_LAST", family)]
        line = [xml.element("DIR_ENTRY_LINE_NUMBER", "1"), xml.element("DIR_ENTRY_RINGER", "0")]
        return [
            xml.parent(
                "DIR_ENTRY",
                [
                    *names,
                    *(
                        xml.element(f"DIR_ENTRY_NUMBER_{place}", number)
                        for (place, _), number in zip(_SMALL_BASE, numbers, strict=True)
                        if number
                    ),
                    *line,
                ],
            )
            + "\n"
            for numbers in _for_base(asked, contact)
        ]

    return _file(asked, entries, "<directory>\n<DIR_GROUP>", "</DIR_GROUP>\n</directory>", SMALL_BASE_ENTRIES)


def _for_base(asked: Asked, contact: Contact) -> list[list[str]]:
    """A base takes digits and ``+``, and discards entries with other signs without a word."""
    return files.one_of_each(files.dialled(asked, contact, BASE_DIGITS, "*#"), [kinds for _, kinds in _BASE])


def _file(
    asked: Asked, write: Callable[[Contact], list[str]], before: str, after: str, most_entries: int = 0
) -> Document:
    head, tail = f"{xml.DECLARATION}{before}\n", f"{after}\n"
    return files.document(asked, asked.everyone(), write, head, tail, most_entries=most_entries)


def search(asked: Asked) -> Document:
    """``SnomIPPhoneInput``."""
    told = words(asked.profile.language)
    return screen(
        "SnomIPPhoneInput",
        [
            xml.element("Url", asked.to("snom/list", term=_TERM)),
            xml.parent(
                "InputItem",
                [
                    xml.element("DisplayName", told.name_or_number),
                    xml.element("InputToken", _TERM),
                    xml.element("DefaultValue", ""),
                    xml.element("InputFlags", "a"),
                ],
            ),
        ],
    )


def found(asked: Asked) -> Document:
    """``SnomIPPhoneMenu``: one page of who is found by ``term``; F2 and F4 turn the pages."""
    told, text = words(asked.profile.language), asked.text("term")
    here = page(asked, text, PAGE, lambda contact: files.dialled(asked, contact))

    def key(name: str, label: str, place: Place | None) -> list[str]:
        if not place:
            return []
        url = asked.to("snom/list", term=text, **place.parameters)
        return [
            xml.parent("SoftKeyItem", [xml.element("Name", name), xml.element("Label", label), xml.element("URL", url)])
        ]

    keys = [*key("F2", told.previous, here.previous), *key("F4", told.next, here.next)]
    title = xml.element("Title", told.contacts)
    if not here.entries:
        return screen("SnomIPPhoneText", [title, xml.element("Text", told.nothing_found), *keys])
    items = [
        xml.parent("MenuItem", [xml.element("URL", f"snom://mb_nop#numberdial={quote(number, safe='+*')}")], name=name)
        for name, number in here.entries
    ]
    return screen("SnomIPPhoneMenu", [title, *items, *keys])


def setup(told: Setup) -> str:
    """Lines for desk phones; what the bases are told on their pages."""
    url = partial(with_login, told)
    return f"""\
<!-- Desk phones, firmware 10.1.178.0 and newer: Directory, Remote XML directory, URL -->
{url("snom.xml")}

<!-- Or as a file among others in the phone's provisioning. With older firmware: snom-v1.xml -->
<setting-files>
  <file url="{xml.escaped(url("snom.xml"))}" />
</setting-files>

<!-- A key that searches while somebody types -->
<settings><functionKeys>
  <fkey idx="0" context="active" perm="">url {xml.escaped(url("snom/search"))}</fkey>
</functionKeys></settings>

<!-- DECT bases M300, M700, M900: Central Directory, Location Local, Server and Filename. Their guide allows digits
     alone in numbers: best is a phone of their own, with "--dial 00" or "--dial national". -->
{url("snom/m-series.xml")}

<!-- DECT bases M100 and M500: Remote XML -->
{url("snom/m100.xml")}
"""


FORMAT = Format(
    name="snom",
    title="Snom desk phones and DECT bases",
    answers={
        "snom.xml": tbook,
        "snom-v1.xml": old_tbook,
        "snom/m-series.xml": base,
        "snom/m100.xml": small_base,
        "snom/search": search,
        "snom/list": found,
    },
    preview=("snom.xml", {}),
    setup=setup,
    most_entries=0,
    most_bytes=0,
    source="Snom Service Hub: Remote XML Directory, tbook tag, minibrowser; M700, M300 Installation Guide 1.02, p. 42",
)

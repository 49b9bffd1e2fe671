"""Fanvil: a file with the phone book, and a search on the phone's screen.

Checked against *Fanvil XML Operation Guide* 1.1 (11 August 2018) for the screens; the file against phone books that
Fanvil's phones are known to take. Its entries have three places for numbers, each once; who has more stands in it
again. Pages of 16 are what wazo-phoned gives these phones; the guide names no limit.
"""

from __future__ import annotations

from ...entries import Kind
from .. import files, xml
from ..asking import Asked, Document, Format, Setup
from ..contacts import Contact
from ..paging import Entry, page, screen
from ..words import words

PAGE = 16
_PLACES = (
    ("Telephone", (Kind.WORK,)),
    ("Mobile", (Kind.MOBILE,)),
    ("Other", (Kind.HOME, Kind.FAX, Kind.PAGER, Kind.OTHER)),
)


def book(asked: Asked) -> Document:
    """``FanvilIPPhoneDirectory`` with entries."""

    def entries(contact: Contact) -> list[str]:
        name = xml.element("Name", files.name(contact))
        group = xml.element("Group", contact.group, files.MOST_NAME_BYTES)
        numbers = files.one_of_each(files.dialled(asked, contact), [kinds for _, kinds in _PLACES])
        return [
            xml.parent(
                "DirectoryEntry",
                [name, *map(xml.element, (place for place, _ in _PLACES), places), xml.element("Ring", "0"), group],
            )
            + "\n"
            for places in numbers
        ]

    title = xml.element("Title", words(asked.profile.language).contacts)
    head, tail = f"{xml.DECLARATION}<FanvilIPPhoneDirectory>\n{title}\n", "</FanvilIPPhoneDirectory>\n"
    return files.document(asked, asked.everyone(), entries, head, tail)


def search(asked: Asked) -> Document:
    """``FanvilIPPhoneInputScreen``: the phone puts what was typed behind the URL as ``q``."""
    told = words(asked.profile.language)
    return screen(
        "FanvilIPPhoneInputScreen",
        [
            xml.element("Title", told.contacts),
            xml.element("Prompt", told.name_or_number),
            xml.element("URL", asked.to("fanvil/list")),
            xml.parent(
                "InputField",
                [
                    xml.element("Prompt", told.name_or_number),
                    xml.element("Parameter", "q"),
                    xml.element("Default", ""),
                ],
            ),
        ],
    )


def found(asked: Asked) -> Document:
    """``FanvilIPPhoneDirectory`` with items: one page of who is found; of everyone without ``q``."""
    told, text = words(asked.profile.language), asked.text("q")
    here = page(asked, text, PAGE, lambda contact: files.dialled(asked, contact))
    items = here.entries or [Entry(told.nothing_found, "")]
    keys = [(told.dial, "SoftKey:Dial")] if here.entries else []
    for label, place in ((told.previous, here.previous), (told.next, here.next)):
        if place:
            keys.append((label, asked.to("fanvil/list", q=text, **place.parameters)))
    keys.append((told.exit, "SoftKey:Exit"))
    return screen(
        "FanvilIPPhoneDirectory",
        [
            xml.element("Title", told.contacts),
            *(xml.parent("MenuItem", [xml.element("Prompt", name), xml.element("URI", uri)]) for name, uri in items),
            *(xml.parent("SoftKey", [xml.element("Name", name), xml.element("URI", uri)]) for name, uri in keys),
        ],
    )


def setup(told: Setup) -> str:
    """What stands where on the phone's page."""
    return f"""\
# Phone book, Cloud phonebook, Add. Type XML; the phone fetches the whole phone book.
URL: {told.url}fanvil.xml
# Or: the phone asks this server while somebody searches.
# URL: {told.url}fanvil/search
{_login(told)}"""


def _login(told: Setup) -> str:
    return f"User: {told.login}\nPassword: {told.password}\n" if told.login else ""


FORMAT = Format(
    name="fanvil",
    title="Fanvil",
    answers={"fanvil.xml": book, "fanvil/search": search, "fanvil/list": found},
    preview=("fanvil.xml", {}),
    setup=setup,
    most_entries=0,
    most_bytes=0,
    source="Fanvil XML Operation Guide 1.1 (2018-08-11)",
)

"""Thomson and Technicolor: a list of those who are found.

TB30 is answered as *TB30s SIP Administrator Guide* 1.3, p. 188, has it: fewer than 32 entries an answer in
``ThomsonPhoneBook``, or, where there are more, ``PhoneBook`` with items before and behind them that turn the page. For
ST2022 and ST2030 no document was found: eight entries, and numbers behind ``Dial:``, as Wazo answers them.
"""

from __future__ import annotations

from .. import files, paging, xml
from ..asking import Asked, Document, Format, Setup
from ..contacts import Contact
from ..setups import with_login
from ..words import words

_MOST_ENTRIES = 31
_MOST_OLD_ENTRIES = 8
_MOST_SEARCHED_BYTES = 60
_HEAD = f"{xml.DECLARATION}<ThomsonPhoneBook>\n"
_FOOT = "</ThomsonPhoneBook>\n"


def book(asked: Asked) -> Document:
    """One page, for TB30."""
    told, text = words(asked.profile.language), _sought(asked)
    most = _MOST_ENTRIES - 2  # room for the way back and on
    page = paging.page(asked, text, most, lambda contact: files.dialled(asked, contact))
    entries = [_entry(entry.name, entry.number) for entry in page.entries]
    if not page.next and not page.previous:
        return paging.screen("ThomsonPhoneBook", entries)
    back, on = (
        [
            xml.parent(
                "MenuItem",
                [
                    xml.element("Name", label),
                    xml.element("URL", asked.to("thomson.xml", q=text, **place.parameters)),
                ],
            )
        ]
        if place
        else []
        for label, place in ((told.previous, page.previous), (told.next, page.next))
    )
    return paging.screen("PhoneBook", [*back, *entries, *on])


def first(asked: Asked) -> Document:
    """The first who are found, for ST2022 and ST2030, which turn no page."""
    text = _sought(asked)
    contacts = asked.search(text, 0, _MOST_OLD_ENTRIES + 1).contacts if text else asked.everyone()
    return files.document(
        asked, contacts, lambda contact: _to_dial(asked, contact), _HEAD, _FOOT, most_entries=_MOST_OLD_ENTRIES
    )


def _to_dial(asked: Asked, contact: Contact) -> list[str]:
    """An entry for each number, with what it is for where there are several."""
    lines = files.dialled(asked, contact)[:_MOST_OLD_ENTRIES]
    kinds = words(asked.profile.language).kinds
    names = [f" ({kinds[line.kind]})" if len(lines) > 1 else "" for line in lines]
    return [
        f"{_entry(files.name(contact) + kind, f'Dial:{line.number}')}\n"
        for kind, line in zip(names, lines, strict=True)
    ]


def _sought(asked: Asked) -> str:
    """What is searched; the parameter is what the phone's configuration, or its software, puts behind the URL."""
    return xml.plain(asked.text("q", "search", "NAME", "name", "term"), _MOST_SEARCHED_BYTES)


def _entry(name: str, number: str) -> str:
    return xml.parent("DirectoryEntry", [xml.element("Name", name), xml.element("Telephone", number)])


def setup(told: Setup) -> str:
    """For the phone's configuration file."""
    return (
        "# TB30, in section [sys]:\n"
        f"Phonebook1_url={with_login(told, 'thomson.xml')}\n"
        "Phonebook1_name=Contacts\n"
        "# ST2022 and ST2030:\n"
        f"Phonebook1_url={with_login(told, 'thomson/first.xml')}\n"
        "Phonebook1_name=Contacts\n"
    )


FORMAT = Format(
    name="thomson",
    title="Thomson ST2022, ST2030, Technicolor TB30",
    answers={"thomson.xml": book, "thomson/first.xml": first},
    preview=("thomson.xml", {}),
    setup=setup,
    most_entries=_MOST_ENTRIES,
    most_bytes=0,
    source="Technicolor TB30s SIP Administrator Guide 1.3, p. 188; for ST2022 and ST2030 Wazo's template",
)

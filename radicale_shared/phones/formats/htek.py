"""Htek UC: a phone book as a file, which can be searched too.

Root and elements are those that Wazo's templates have for these phones, whose configuration is that of Wazo's
provisioning plugin: no document of Htek's with the form was found, so nothing is known of its limits either.
"""

from __future__ import annotations

from .. import files, xml
from ..asking import Asked, Document, Format, Setup
from ..contacts import Contact
from ..setups import with_login

_HEAD = f"{xml.DECLARATION}<PhoneDirectory>\n"
_FOOT = "</PhoneDirectory>\n"
_MOST_FOUND = 100


def book(asked: Asked) -> Document:
    """All contacts, or those who are found by ``q``."""
    text = asked.text("q")
    contacts = asked.search(text, 0, _MOST_FOUND).contacts if text else asked.everyone()
    return files.document(asked, contacts, lambda contact: _entry(asked, contact), _HEAD, _FOOT)


def _entry(asked: Asked, contact: Contact) -> list[str]:
    lines = files.dialled(asked, contact)
    if not lines:
        return []
    numbers = [xml.element("Telephone", line.number) for line in lines]
    return [f"{xml.parent('DirectoryEntry', [xml.element('Name', files.name(contact)), *numbers])}\n"]


def setup(told: Setup) -> str:
    """For the phone's configuration file."""
    url = with_login(told, "htek.xml")
    return (
        '<P330 para="PhonebookXmlDownload_Enable">1</P330>\n'
        f'<P331 para="PhonebookXmlDownload_ServerPath">{xml.escaped(url)}</P331>\n'
        '<P332 para="PhonebookXmlDownload_Interval">720</P332>\n'
        '<P333 para="PhonebookXmlDownload_RemoveMEOnDownload">0</P333>\n'
    )


FORMAT = Format(
    name="htek",
    title="Htek UC",
    answers={"htek.xml": book},
    preview=("htek.xml", {}),
    setup=setup,
    most_entries=0,
    most_bytes=0,
    source="Wazo's template and provisioning plugin for Htek (no document of the vendor)",
)

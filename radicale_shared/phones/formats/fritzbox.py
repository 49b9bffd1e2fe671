"""FRITZ!Box: a telephone book as a file, to be loaded into the box.

A box fetches nothing by itself: somebody downloads the file and restores it on the box's own page. The form is that of
the books that a FRITZ!Box saves, as public programs for it describe them, since AVM publishes no document for the file.
A contact has at most nine numbers; who has more is written several times.
"""

from __future__ import annotations

import shlex

from ...entries import Kind
from .. import files, xml
from ..asking import Asked, Document, Format, Setup
from ..contacts import Contact, Line
from ..words import words

_MOST_NUMBERS = 9
_KINDS = {Kind.WORK: "work", Kind.MOBILE: "mobile", Kind.HOME: "home", Kind.FAX: "fax_work"}
_FOOT = "</phonebook></phonebooks>\n"


def book(asked: Asked) -> Document:
    """All contacts."""
    name = xml.escaped(words(asked.profile.language).contacts)
    head = f'{xml.DECLARATION}<phonebooks><phonebook name="{name}">\n'
    return files.document(asked, asked.everyone(), lambda contact: _contacts(asked, contact), head, _FOOT)


def _contacts(asked: Asked, contact: Contact) -> list[str]:
    lines = files.dialled(asked, contact)
    return [
        _contact(contact, lines[start : start + _MOST_NUMBERS], is_first=not start)
        for start in range(0, len(lines), _MOST_NUMBERS)
    ]


def _contact(contact: Contact, lines: list[Line], *, is_first: bool) -> str:
    numbers = [
        xml.element("number", line.number, type=_KINDS.get(line.kind, "other"), prio=str(int(at == 0)), id=str(at))
        for at, line in enumerate(lines)
    ]
    parts = [
        xml.element("category", "0"),
        xml.parent("person", [xml.element("realName", files.name(contact))]),
        xml.parent("telephony", numbers),
    ]
    if is_first and (email := xml.plain(contact.email, files.MOST_NAME_BYTES)):
        parts.append(xml.parent("services", [xml.element("email", email, classifier="work", id="0")]))
    return f"{xml.parent('contact', parts)}\n"


def setup(told: Setup) -> str:
    """How the file is fetched, and where it goes."""
    login = f" --user {shlex.quote(f'{told.login}:{told.password}')}" if told.login else ""
    url = shlex.quote(f"{told.url}fritzbox.xml")
    return (
        "# A FRITZ!Box fetches no telephone books by itself. Download the file:\n"
        f"curl --fail --output fritzbox.xml{login} {url}\n"
        "# and restore it on the page of the box, in a book of its own: Telephony > Telephone Book > New Telephone\n"
        "# Book, then Restore. This replaces what is in that book.\n"
    )


FORMAT = Format(
    name="fritzbox",
    title="AVM FRITZ!Box (a file to restore)",
    answers={"fritzbox.xml": book},
    preview=("fritzbox.xml", {}),
    setup=setup,
    most_entries=0,
    most_bytes=0,
    source="telephone books saved by FRITZ!OS, as public programs read and write them; AVM X_AVM-DE_OnTel v35",
)

"""Avaya J139 to J189: the downloadable directory.

Root and elements are those of *Installing and Administering Avaya J100 Series IP Phones*, release 4.1, *Downloadable
directory*: four types of numbers. The phones load the file when they start and at their periodic updates. J129 has no
such directory. The page names no limits, and not the parameter that the file's name is set by.
"""

from __future__ import annotations

from ...entries import Kind
from .. import files, xml
from ..asking import Asked, Document, Format, Setup
from ..contacts import Contact

_HEAD = f"{xml.DECLARATION}<IPPhoneDirectory>\n"
_FOOT = "</IPPhoneDirectory>\n"
_KINDS = {Kind.WORK: "Work", Kind.MOBILE: "Mobile", Kind.HOME: "Home"}


def directory(asked: Asked) -> Document:
    """All contacts."""
    return files.document(asked, asked.everyone(), lambda contact: _entry(asked, contact), _HEAD, _FOOT)


def _entry(asked: Asked, contact: Contact) -> list[str]:
    phones = [
        xml.parent("Phone", [xml.element("Number", line.number), xml.element("Type", _KINDS.get(line.kind, "Other"))])
        for line in files.dialled(asked, contact)
    ]
    if not phones:
        return []
    family, given = files.family_and_given(contact)
    names = [xml.element("LastName", family), xml.element("FirstName", given)]
    return [f"{xml.parent('DirectoryEntry', [*names, xml.parent('PhoneNumbers', phones)])}\n"]


def setup(told: Setup) -> str:
    """Where the phones find the file."""
    login = f"## with login {told.login} and password {told.password}\n" if told.login else ""
    return (
        "## 46xxsettings.txt: where the downloadable directory is. The parameter's name is in Avaya's description\n"
        "## of your release.\n"
        f"## {told.url}avaya.xml\n{login}"
    )


FORMAT = Format(
    name="avaya",
    title="Avaya J139, J159, J169, J179, J189",
    answers={"avaya.xml": directory},
    preview=("avaya.xml", {}),
    setup=setup,
    most_entries=0,
    most_bytes=0,
    source="Installing and Administering Avaya J100 Series IP Phones 4.1, Downloadable directory",
)

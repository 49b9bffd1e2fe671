"""MicroSIP: the directory that the softphone loads from a URL.

Attributes are those of its own contacts file, as public programs that read and write it have them: ``number`` is what a
click dials, ``phone`` and ``mobile`` are shown beside it. How often it is loaded anew is said by ``refresh``, in
seconds. No document of the vendor was at hand.
"""

from __future__ import annotations

from ...entries import Kind
from .. import files, xml
from ..asking import Asked, Document, Format, Setup
from ..contacts import Contact, Line
from ..setups import with_login

_HEAD = f'{xml.DECLARATION}<contacts refresh="3600">\n'
_FOOT = "</contacts>\n"
_PLACES = ("number", "phone", "mobile")


def directory(asked: Asked) -> Document:
    """All contacts."""
    return files.document(asked, asked.everyone(), lambda contact: _contacts(asked, contact), _HEAD, _FOOT)


def _contacts(asked: Asked, contact: Contact) -> list[str]:
    """A contact; once more for each three numbers that it has beyond the first three."""
    lines = files.dialled(asked, contact)
    family, given = files.family_and_given(contact) if contact.family or contact.given else ("", "")
    return [
        xml.empty(
            "contact",
            name=files.name(contact),
            **_placed(lines[start : start + len(_PLACES)]),
            firstname=given,
            lastname=family,
            email=xml.plain(contact.email, files.MOST_NAME_BYTES),
            presence="0",
        )
        + "\n"
        for start in range(0, len(lines), len(_PLACES))
    ]


def _placed(lines: list[Line]) -> dict[str, str]:
    """The first number is the one to dial; of two others a mobile one has its own place."""
    first, *others = lines
    others.sort(key=lambda line: line.kind is Kind.MOBILE)
    if len(others) == 1 and others[0].kind is Kind.MOBILE:
        return {"number": first.number, "phone": "", "mobile": others[0].number}
    numbers = [first.number, *(line.number for line in others), "", ""]
    return dict(zip(_PLACES, numbers, strict=False))


def setup(told: Setup) -> str:
    """For the program's settings."""
    url = with_login(told, "microsip.xml")
    return f"; Menu > Settings > Users directory, or in microsip.ini, section [Settings]:\nusersDirectory={url}\n"


FORMAT = Format(
    name="microsip",
    title="MicroSIP",
    answers={"microsip.xml": directory},
    preview=("microsip.xml", {}),
    setup=setup,
    most_entries=0,
    most_bytes=0,
    source="MicroSIP's contacts file as public programs read and write it (no document of the vendor)",
)

"""Panasonic KX-HDV and KX-TGP600: the network phone book.

Elements and sizes are those of *XML Application Developer's Guide*, revision 2.50 and 2.52, section 5.2.8, *PhoneBook*:
twenty people an answer, numbered from 1; names of 24 characters, of which none is ``"``, ``&``, ``'``, ``<`` or ``>``;
numbers of 32 digits, ``*`` and ``#``, without ``+``. By which parameters the phone searches and turns pages isn't in
the pages that were read: several names are taken, and a phone that turns no page shows the first twenty.
"""

from __future__ import annotations

from ... import numbers
from ...entries import Kind
from ...numbers import Dial
from .. import files, xml
from ..asking import Asked, Document, Format, Setup
from ..contacts import Contact

_MOST_PEOPLE = 20
_MOST_NAME = 24  # characters
_MOST_DIGITS = 32
_KINDS = {Kind.WORK: "company", Kind.MOBILE: "mobile", Kind.HOME: "home"}
_LONGEST_EXTENSION = 6
_NOT_IN_NAMES = str.maketrans({"&": "+", **dict.fromkeys("\"'<>")})
_NAMESPACES = {
    "xmlns": "http://panasonic/sip_phone",
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xsi:schemaLocation": "http://panasonic/sip_phone sip_phone.xsd",
}


def book(asked: Asked) -> Document:
    """Up to twenty of those who are found."""
    text = asked.text("q", "name", "search", "term")
    offset = asked.number("offset") or _MOST_PEOPLE * max(asked.number("page") - 1, 0)
    found = asked.search(text, offset, _MOST_PEOPLE).contacts
    people = [(contact, written) for contact in found if (written := _numbers(asked, contact))]
    answer = xml.parent(
        "ppxml",
        [
            xml.parent(
                "Screen",
                [
                    xml.parent(
                        "PhoneBook",
                        [_person(contact, written, place) for place, (contact, written) in enumerate(people, 1)],
                        version="2.0",
                    )
                ],
                version="2.0",
            )
        ],
        **_NAMESPACES,
    )
    return Document(f"{xml.DECLARATION}{answer}\n".encode())


def _person(contact: Contact, written: list[str], place: int) -> str:
    name = xml.plain(contact.name.translate(_NOT_IN_NAMES)) or contact.lines[0].number
    parts = [xml.element("Name", name[:_MOST_NAME].rstrip()), xml.parent("PhoneNums", written)]
    return f"\n{xml.parent('Personnel', parts, id=str(place))}"


def _numbers(asked: Asked, contact: Contact) -> list[str]:
    """Its numbers, where ``+`` is what stands for it in the phone's region; notes those that have no such form."""
    written = []
    for line in files.dialled(asked, contact, _MOST_DIGITS):
        number = line.number
        if number.startswith("+"):
            number = numbers.in_form(number, Dial.INTERNATIONAL, asked.profile.region)
        if number.startswith("+") or len(number) > _MOST_DIGITS:
            asked.left_out.add("a number of theirs can't be dialled without +", contact.name)
        else:
            written.append(xml.element("PhoneNum", number, type=_kind(line.kind, number)))
    return written


def _kind(kind: Kind, number: str) -> str:
    if len(number) <= _LONGEST_EXTENSION and kind not in {Kind.MOBILE, Kind.HOME}:
        return "ext"
    return _KINDS.get(kind, "company")


def setup(told: Setup) -> str:
    """For the phone's configuration file."""
    login = f'XMLAPP_LDAP_USERID="{told.login}"\nXMLAPP_LDAP_USERPASS="{told.password}"\n' if told.login else ""
    return f'XMLAPP_ENABLE="Y"\nXMLAPP_LDAP_URL="{told.url}panasonic.xml"\n{login}'


FORMAT = Format(
    name="panasonic",
    title="Panasonic KX-HDV, KX-TGP600",
    answers={"panasonic.xml": book},
    preview=("panasonic.xml", {}),
    setup=setup,
    most_entries=_MOST_PEOPLE,
    most_bytes=0,
    source="Panasonic XML Application Developer's Guide 2.50/2.52, section 5.2.8",
)

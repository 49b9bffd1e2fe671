"""Avaya J100: the downloadable directory."""

from __future__ import annotations

from hypothesis import given

from radicale_shared.entries import Kind
from radicale_shared.phones.contacts import Contact, Line
from radicale_shared.phones.formats import avaya
from tests.conftest import examples
from tests.phones import made
from tests.phones.elements import DOCUMENTS, checked


def entries(*contacts: Contact) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """[(last name, first name, [(type, number)])] of the file"""
    root = checked(avaya.directory(made.asked("avaya.xml", contacts)).body, *DOCUMENTS["avaya"]["avaya.xml"])
    return [
        (
            entry.findtext("LastName") or "",
            entry.findtext("FirstName") or "",
            [(phone.findtext("Type") or "", phone.findtext("Number") or "") for phone in entry.iter("Phone")],
        )
        for entry in root
    ]


def test_each_kind_of_number_has_a_type_that_the_phone_knows() -> None:
    eva = made.contact(1, *(Line(kind, str(at)) for at, kind in enumerate(Kind)))

    assert entries(eva, made.contact(2, "7", name="Muster GmbH", family="", given="")) == [
        (
            "Muster 00001",
            "Eva",
            [("Work", "0"), ("Mobile", "1"), ("Home", "2"), ("Other", "3"), ("Other", "4"), ("Other", "5")],
        ),
        ("Muster GmbH", "", [("Work", "7")]),
    ]


@examples(25)
@given(contacts=made.CONTACTS)
def test_what_was_written_is_what_a_phone_reads(contacts: list[Contact]) -> None:
    told = [(one, [line.number for line in one.lines if len(line.number) <= 40]) for one in contacts]

    assert [(family, [number for _, number in phones]) for family, _, phones in entries(*contacts)] == [
        (
            made.shown(one.family)
            if made.shown(one.family) or made.shown(one.given)
            else made.shown(one.name) or one.lines[0].number,
            numbers,
        )
        for one, numbers in told
        if numbers
    ]

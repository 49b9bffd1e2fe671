"""Htek: the phone book."""

from __future__ import annotations

from hypothesis import given

from radicale_shared.phones.asking import Asked
from radicale_shared.phones.contacts import Contact
from radicale_shared.phones.formats import htek
from tests.conftest import examples
from tests.phones import made
from tests.phones.elements import DOCUMENTS, checked


def entries(asked: Asked) -> list[tuple[str, list[str]]]:
    """[(name, numbers)] of an answer"""
    root = checked(htek.book(asked).body, *DOCUMENTS["htek"]["htek.xml"])
    return [(entry.findtext("Name") or "", [one.text or "" for one in entry.iter("Telephone")]) for entry in root]


def test_all_contacts_stand_there_or_those_who_are_found() -> None:
    people = [made.contact(1, "01", "02"), made.company("Papier Muster", 2)]

    assert [name for name, _ in entries(made.asked("htek.xml", people))] == ["Muster 00001, Eva", "Papier Muster"]
    assert entries(made.asked("htek.xml", people, {"q": "ev"})) == [("Muster 00001, Eva", ["01", "02"])]
    assert entries(made.asked("htek.xml", people, {"q": "nobody"})) == []


@examples(25)
@given(contacts=made.CONTACTS)
def test_what_was_written_is_what_a_phone_reads(contacts: list[Contact]) -> None:
    told = [(one, [line.number for line in one.lines if len(line.number) <= 40]) for one in contacts]

    assert entries(made.asked("htek.xml", contacts)) == [
        (made.shown(one.name) or one.lines[0].number, numbers) for one, numbers in told if numbers
    ]

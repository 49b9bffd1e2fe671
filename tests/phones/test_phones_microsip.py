"""MicroSIP: the users directory."""

from __future__ import annotations

import pytest
from hypothesis import given

from radicale_shared.entries import Kind
from radicale_shared.phones.contacts import Contact, Line
from radicale_shared.phones.formats import microsip
from tests.conftest import examples
from tests.phones import made
from tests.phones.elements import DOCUMENTS, checked

_PLACES = ("number", "phone", "mobile")


def entries(*contacts: Contact) -> list[dict[str, str]]:
    """The attributes of each contact in the file."""
    asked = made.asked("microsip.xml", contacts)
    root = checked(microsip.directory(asked).body, *DOCUMENTS["microsip"]["microsip.xml"])
    return [dict(entry.attrib) for entry in root]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([(Kind.WORK, "1")], [("1", "", "")]),
        ([(Kind.WORK, "1"), (Kind.HOME, "2")], [("1", "2", "")]),
        ([(Kind.WORK, "1"), (Kind.MOBILE, "2")], [("1", "", "2")]),
        ([(Kind.WORK, "1"), (Kind.MOBILE, "2"), (Kind.HOME, "3")], [("1", "3", "2")]),
        ([(Kind.MOBILE, "1"), (Kind.WORK, "2"), (Kind.HOME, "3")], [("1", "2", "3")]),
        ([(Kind.WORK, str(at)) for at in range(7)], [("0", "1", "2"), ("3", "4", "5"), ("6", "", "")]),
    ],
)
def test_the_first_number_is_the_one_to_dial(
    lines: list[tuple[Kind, str]], expected: list[tuple[str, str, str]]
) -> None:
    eva = made.contact(1, *(Line(kind, number) for kind, number in lines))

    found = entries(eva)

    assert [tuple(one[place] for place in _PLACES) for one in found] == expected
    assert {(one["name"], one["lastname"], one["firstname"]) for one in found} == {
        ("Muster 00001, Eva", "Muster 00001", "Eva")
    }


def test_a_company_has_a_name_alone() -> None:
    (found,) = entries(made.company("Muster GmbH"))

    assert (found["name"], found["firstname"], found["lastname"]) == ("Muster GmbH", "", "")


@examples(25)
@given(contacts=made.CONTACTS)
def test_what_was_written_is_what_the_program_reads(contacts: list[Contact]) -> None:
    expected = [
        (made.shown(one.name) or one.lines[0].number, set(numbers[start : start + 3]))
        for one in contacts
        for numbers in [[line.number for line in one.lines if len(line.number) <= 40]]
        for start in range(0, len(numbers), 3)
    ]

    assert [(one["name"], {one[place] for place in _PLACES} - {""}) for one in entries(*contacts)] == expected

"""FRITZ!Box: the telephone book to restore."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given

from radicale_shared.entries import Kind
from radicale_shared.phones.contacts import Contact, Line
from radicale_shared.phones.formats import fritzbox
from tests.conftest import examples
from tests.phones import made
from tests.phones.elements import DOCUMENTS, checked


def written(*contacts: Contact) -> list[tuple[str, list[tuple[str, str]]]]:
    """[(name, [(type, number)])] of the file"""
    asked = made.asked("fritzbox.xml", contacts)
    root = checked(fritzbox.book(asked).body, *DOCUMENTS["fritzbox"]["fritzbox.xml"])
    for numbers in root.iter("telephony"):
        assert [number.get("prio") for number in numbers] == ["1"] + ["0"] * (len(numbers) - 1)
        assert [number.get("id") for number in numbers] == [str(at) for at in range(len(numbers))]
    return [
        (
            contact.findtext("person/realName") or "",
            [(one.get("type", ""), one.text or "") for one in contact.iter("number")],
        )
        for contact in root.iter("contact")
    ]


@pytest.mark.parametrize("size", [1, 8, 9, 10, 18, 19, 40])
def test_who_has_more_than_nine_numbers_is_written_several_times(size: int) -> None:
    numbers = [f"0302312{at:03}" for at in range(size)]

    found = written(made.contact(1, *numbers), made.contact(2))

    assert [number for _, told in found[:-1] for _, number in told] == numbers
    assert [len(told) for _, told in found[:-1]] == [9] * (size // 9) + ([size % 9] if size % 9 else [])
    assert [name for name, _ in found] == [
        *["Muster 00001, Eva"] * (len(found) - 1),
        "Muster 00002, Eva",
    ]


def test_each_kind_of_number_has_a_type_that_the_box_knows() -> None:
    eva = made.contact(1, *(Line(kind, str(at)) for at, kind in enumerate(Kind)))

    assert written(eva) == [
        (
            "Muster 00001, Eva",
            [("work", "0"), ("mobile", "1"), ("home", "2"), ("fax_work", "3"), ("other", "4"), ("other", "5")],
        )
    ]


def test_an_email_address_stands_with_the_first_part_alone() -> None:
    eva = made.contact(1, *(str(at) for at in range(12)), email="eva@muster.example")
    body = fritzbox.book(made.asked("fritzbox.xml", [eva])).body

    assert body.count(b"<contact>") == 2
    assert body.count(b'<services><email classifier="work" id="0">eva@muster.example</email></services>') == 1


@examples(25)
@given(contacts=made.CONTACTS)
def test_what_was_written_is_what_a_box_reads(contacts: list[Contact]) -> None:
    expected = [
        (made.shown(one.name) or one.lines[0].number, numbers[start : start + 9])
        for one in contacts
        for numbers in [[line.number for line in one.lines if len(line.number) <= 40]]
        for start in range(0, len(numbers), 9)
    ]

    assert [(name, [number for _, number in numbers]) for name, numbers in written(*contacts)] == expected


@pytest.mark.parametrize("by_basic", [False, True])
def test_the_download_is_one_command_for_a_shell(by_basic: bool) -> None:
    lines = fritzbox.setup(made.for_setup(make="fritzbox", by_basic=by_basic))

    command = next(shlex.split(line) for line in lines.splitlines() if line.startswith("curl"))
    assert command[-1].endswith("/fritzbox.xml")
    assert ("ada:rs-pass&word" in command) is by_basic

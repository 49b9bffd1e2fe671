"""Yealink's phone books."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from radicale_shared.entries import Kind
from radicale_shared.phones.contacts import Contact, Line
from radicale_shared.phones.formats import yealink
from tests.conftest import examples
from tests.phones import made
from tests.phones.elements import DOCUMENTS, checked

EVA = made.contact(
    1, Line(Kind.WORK, "+493023125001"), Line(Kind.MOBILE, "*31#017101"), Line(Kind.FAX, "3"), Line(Kind.OTHER, "4")
)
JAN = made.contact(2, "+493023125002", name="Okafor, Jan", group="Partners")


def flat(*contacts: Contact, q: str | None = None, **choices: Any) -> list[tuple[str, list[tuple[str | None, str]]]]:
    """[(name, [(label, number)])] of the flat phone book"""
    asked = made.asked("yealink.xml", contacts, {} if q is None else {"q": q}, **choices)
    root = checked(yealink.flat(asked).body, *DOCUMENTS["yealink"]["yealink.xml"])
    return [
        (entry.findtext("Name") or "", [(one.get("label"), one.text or "") for one in entry.iter("Telephone")])
        for entry in root
    ]


def grouped(*contacts: Contact, **choices: int) -> dict[str, list[list[str]]]:
    """{group: [[name, number ...]]} of the phone book with groups"""
    asked = made.asked("yealink-book.xml", contacts, **choices)
    root = checked(yealink.grouped(asked).body, *DOCUMENTS["yealink"]["yealink-book.xml"])
    return {
        menu.get("Name", ""): [[unit.get(name, "") for name in ("Name", "Phone1", "Phone2", "Phone3")] for unit in menu]
        for menu in root.iter("Menu")
    }


@examples(25)
@given(contacts=made.CONTACTS)
def test_what_was_written_is_what_a_phone_reads(contacts: list[Contact]) -> None:
    told = [(one, [line for line in one.lines if len(line.number) <= 40]) for one in contacts]

    assert [(name, [number for _, number in numbers]) for name, numbers in flat(*contacts)] == [
        (made.shown(one.name) or one.lines[0].number, [line.number for line in lines]) for one, lines in told if lines
    ]


def test_a_number_says_what_it_is_for() -> None:
    assert flat(EVA) == [
        ("Muster 00001, Eva", [("Work", "+493023125001"), ("Mobile", "*31#017101"), ("Fax", "3"), ("Other", "4")])
    ]
    assert flat(JAN, language="de") == [("Okafor, Jan", [("Büro", "+493023125002")])]


@pytest.mark.parametrize("q", [None, "", " ", "#SEARCH"])
def test_a_phone_where_nothing_was_typed_gets_everyone(q: str | None) -> None:
    assert [name for name, _ in flat(EVA, JAN, q=q)] == ["Muster 00001, Eva", "Okafor, Jan"]


def test_what_was_typed_is_searched_for() -> None:
    assert [name for name, _ in flat(EVA, JAN, q="oka")] == ["Okafor, Jan"]
    assert flat(EVA, JAN, q="nobody") == []


def test_a_book_has_a_menu_for_each_group_and_three_numbers_an_entry() -> None:
    assert grouped(EVA, JAN) == {
        "Leads": [["Muster 00001, Eva", "+493023125001", "*31#017101", "3"], ["Muster 00001, Eva", "4", "", ""]],
        "Partners": [["Okafor, Jan", "+493023125002", "", ""]],
    }


def test_a_number_that_nobody_can_dial_is_left_out_and_told() -> None:
    endless = made.contact(3, "1" * 41, "+493023125003")
    only = made.contact(4, "2" * 10_000)
    asked = made.asked("yealink.xml", [endless, only])

    body = yealink.flat(asked).body

    assert b"111" not in body
    assert b"+493023125003" in body
    assert [(one.reason, one.contacts) for one in asked.left_out.all] == [
        ("a number of theirs has more than 40 digits", 2)
    ]


@pytest.mark.parametrize(("most", "told"), [(1, 1), (2, 2), (3, 3), (4, 3)])
def test_a_profile_limits_entries(most: int, told: int) -> None:
    three = [made.contact(at) for at in range(3)]
    asked = made.asked("yealink.xml", three, max_entries=most)

    root = checked(yealink.flat(asked).body, *DOCUMENTS["yealink"]["yealink.xml"])

    assert len(root) == told
    assert [(one.reason, one.contacts) for one in asked.left_out.all] == (
        [(f"only {most} entries fit", 3 - told)] if told < 3 else []
    )


def test_a_file_takes_as_many_bytes_as_are_allowed_and_not_one_more() -> None:
    contacts = [made.contact(at) for at in range(3)]
    exact = len(yealink.flat(made.asked("yealink.xml", contacts[:2])).body)

    assert [len(flat(*contacts, max_bytes=exact + more)) for more in (-1, 0, 1)] == [1, 2, 2]


def test_a_name_that_cannot_be_shown_is_its_number() -> None:
    assert [name for name, _ in flat(made.company("\x07\x1b"), made.company(" \u2028 ", 2))] == [
        "+493023125000001",
        "+493023125000002",
    ]

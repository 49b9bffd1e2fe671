"""Poly: the contact directory."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given

from radicale_shared.entries import Kind
from radicale_shared.phones.asking import Asked
from radicale_shared.phones.contacts import Contact, Line
from radicale_shared.phones.formats import FORMATS, poly
from tests.conftest import examples
from tests.phones import made
from tests.phones.elements import DOCUMENTS, checked

_PATH = "poly/*-directory.xml"
_MANY = [made.contact(at) for at in range(5000)]


def items(asked: Asked) -> list[tuple[str, str, str]]:
    """[(last name, first name, number)] of the directory"""
    root = checked(poly.directory(asked).body, *DOCUMENTS["poly"][_PATH])
    return [
        (item.findtext("ln") or "", item.findtext("fn") or "", item.findtext("ct") or "") for item in root.iter("item")
    ]


def test_each_number_is_an_item_that_says_what_it_is_for() -> None:
    eva = made.contact(1, Line(Kind.WORK, "01"), Line(Kind.MOBILE, "02"))
    jan = made.contact(2, "03", name="Okafor, Jan", family="Okafor", given="Jan")
    firm = made.contact(3, "04", "05", name="Muster GmbH", family="", given="")

    assert items(made.asked(_PATH, [eva, jan, firm])) == [
        ("Muster 00001", "Eva (Work)", "01"),
        ("Muster 00001", "Eva (Mobile)", "02"),
        ("Okafor", "Jan", "03"),
        ("Muster GmbH", "(Work)", "04"),
        ("Muster GmbH", "(Work)", "05"),
    ]
    assert [given for _, given, _ in items(made.asked(_PATH, [eva], language="de"))] == ["Eva (Büro)", "Eva (Mobil)"]


def test_no_number_stands_there_twice_and_it_is_told_for_whom() -> None:
    asked = made.asked(_PATH, [made.contact(1, "01", "02"), made.contact(2, "02", "03"), made.contact(3, "01")])

    assert [number for _, _, number in items(asked)] == ["01", "02", "03"]
    assert [(told.contacts, told.example) for told in asked.left_out.all] == [(2, "Muster 00002, Eva")]


@pytest.mark.parametrize("name", ["ü" * 21, "😀" * 11, "x" * 10_000, "ä" * 19 + "😀", "&" * 41])
def test_names_are_cut_between_characters(name: str) -> None:
    eva = made.contact(1, Line(Kind.WORK, "01"), Line(Kind.MOBILE, "02"), family=name, given=name)

    for family, given_name, _ in items(made.asked(_PATH, [eva])):
        kept = given_name[: given_name.rindex(" (")]
        assert name.startswith(family)
        assert name.startswith(kept)
        assert len(family.encode()) > 36
        assert len(given_name.encode()) > 36


@pytest.mark.parametrize(("chosen", "most"), [(0, 100), (20, 20), (50, 50), (200, 200), (1000, 200)])
def test_the_file_is_no_larger_than_the_phone_takes(chosen: int, most: int) -> None:
    asked = made.asked(_PATH, _MANY, max_bytes=chosen * 1024)

    body = poly.directory(asked).body

    assert most * 1024 - 100 < len(body) <= most * 1024
    kept = len(ElementTree.fromstring(body)[0])
    assert [(told.contacts, told.reason) for told in asked.left_out.all] == [
        (5000 - kept, f"only {most * 1024} bytes fit")
    ]


@examples(25)
@given(contacts=made.CONTACTS)
def test_what_was_written_is_what_a_phone_reads(contacts: list[Contact]) -> None:
    numbers = dict.fromkeys(line.number for one in contacts for line in one.lines if len(line.number) <= 40)

    assert [number for _, _, number in items(made.asked(_PATH, contacts))] == list(numbers)


def test_what_a_phone_sends_back_is_dropped_where_it_is_read() -> None:
    assert FORMATS["poly"].dropped == set(FORMATS["poly"].answers) == {_PATH}

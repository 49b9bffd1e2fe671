"""Thomson and Technicolor: lists with pages, and without."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given

from radicale_shared.entries import Kind
from radicale_shared.phones.asking import Asked
from radicale_shared.phones.contacts import Contact, Line
from radicale_shared.phones.formats import thomson
from tests.conftest import examples
from tests.phones import made
from tests.phones.elements import DOCUMENTS, checked


def page(asked: Asked) -> Element:
    return checked(thomson.book(asked).body, *DOCUMENTS["thomson"]["thomson.xml"])


def entries(root: Element) -> list[tuple[str, str]]:
    return [(one.findtext("Name") or "", one.findtext("Telephone") or "") for one in root.iter("DirectoryEntry")]


def links(root: Element) -> dict[str, str]:
    return {item.findtext("Name") or "": item.findtext("URL") or "" for item in root.iter("MenuItem")}


@pytest.mark.parametrize("size", [0, 1, 29])
def test_what_fits_on_one_page_has_no_way_on(size: int) -> None:
    root = page(made.asked("thomson.xml", [made.contact(at) for at in range(size)]))

    assert root.tag == "ThomsonPhoneBook"
    assert len(entries(root)) == size


@pytest.mark.parametrize("size", [30, 58, 59, 200])
def test_who_goes_on_sees_everyone_once_and_comes_back(size: int) -> None:
    people = [made.contact(at) for at in range(size)]
    asked = made.asked("thomson.xml", people, {"search": "e"})
    found: list[str] = []
    while True:
        root = page(asked)
        assert root.tag == "PhoneBook"
        found += [number for _, number in entries(root)]
        if "Next" not in links(root):
            break
        asked = replace(asked, parameters=dict(parse_qsl(urlsplit(links(root)["Next"]).query)))
    assert found == [one.lines[0].number for one in people]

    while "Back" in links(page(asked)):
        asked = replace(asked, parameters=dict(parse_qsl(urlsplit(links(page(asked))["Back"]).query)))
    assert [number for _, number in entries(page(asked))] == found[:29]


def to_dial(asked: Asked) -> list[tuple[str, str]]:
    root = checked(thomson.first(asked).body, *DOCUMENTS["thomson"]["thomson/first.xml"])
    return entries(root)


@pytest.mark.parametrize("size", [0, 1, 8, 9, 50])
def test_the_older_ones_get_the_first_eight_to_dial(size: int) -> None:
    asked = made.asked("thomson/first.xml", [made.contact(at, f"0302312{at:02}") for at in range(size)])

    assert [number for _, number in to_dial(asked)] == [f"Dial:0302312{at:02}" for at in range(min(size, 8))]
    assert [(told.contacts, told.reason) for told in asked.left_out.all] == [(size - 8, "only 8 entries fit")][
        : size > 8
    ]


def test_the_older_ones_see_what_each_number_is_for() -> None:
    eva = made.contact(1, Line(Kind.WORK, "01"), Line(Kind.MOBILE, "02"))

    assert to_dial(made.asked("thomson/first.xml", [eva, made.company("Papier Muster", 2)], {"q": "ev"})) == [
        ("Muster 00001, Eva (Work)", "Dial:01"),
        ("Muster 00001, Eva (Mobile)", "Dial:02"),
    ]
    many = made.contact(1, *(str(at) for at in range(20)))
    assert len(to_dial(made.asked("thomson/first.xml", [many]))) == 8


@pytest.mark.parametrize("name", ["q", "search", "NAME", "name", "term"])
def test_what_is_searched_may_have_any_of_the_names_that_phones_use(name: str) -> None:
    people = [made.contact(1), made.company("Papier Muster", 2)]

    assert [told for told, _ in entries(page(made.asked("thomson.xml", people, {name: "pap"})))] == ["Papier Muster"]


@examples(25)
@given(contacts=made.CONTACTS)
def test_what_was_written_is_what_a_phone_reads(contacts: list[Contact]) -> None:
    numbers = [line.number for one in contacts for line in one.lines if len(line.number) <= 40]

    assert [number for _, number in entries(page(made.asked("thomson.xml", contacts)))] == numbers[:29]

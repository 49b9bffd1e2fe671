"""Snom's directory files, its minibrowser and its DECT bases."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit
from xml.etree.ElementTree import Element as Node

import pytest
from hypothesis import given

from radicale_shared.entries import Kind
from radicale_shared.phones.contacts import Contact, Line
from radicale_shared.phones.formats import snom
from tests.conftest import examples
from tests.phones import made
from tests.phones.elements import DOCUMENTS, checked

EVA = made.contact(
    1,
    Line(Kind.WORK, "+493023125001"),
    Line(Kind.MOBILE, "+4917105001"),
    Line(Kind.WORK, "12"),
    Line(Kind.FAX, "13"),
    title="Head of Sales",
    email="eva@example.com",
)


def answer(path: str, *contacts: Contact, **parameters: str | int) -> Node:
    """The root of an answer."""
    document = snom.FORMAT.answers[path](made.asked(path, contacts, parameters))
    return checked(document.body, *DOCUMENTS["snom"][path])


@examples(25)
@given(contacts=made.CONTACTS)
def test_what_was_written_is_what_a_phone_reads(contacts: list[Contact]) -> None:
    told = []
    for contact in contacts:
        numbers = [line.number for line in contact.lines if len(line.number) <= 40]
        given_name, family = made.shown(contact.given), made.shown(contact.family)
        if not given_name and not family:
            family = made.shown(contact.name) or contact.lines[0].number
        if numbers:
            told.append((given_name, family, made.shown(contact.org), numbers))

    assert [
        (
            one.findtext("first_name"),
            one.findtext("last_name"),
            one.findtext("organization") or "",
            [number.get("no") for number in one.iter("number")],
        )
        for one in answer("snom.xml", *contacts)
    ] == told


def test_a_directory_replaces_all_that_the_phone_has() -> None:
    root = answer("snom.xml", EVA)

    assert root.attrib == {"e": "2", "version": "2.0", "complete": "true"}
    assert [(one.get("no"), one.get("type")) for one in root.iter("number")] == [
        ("+493023125001", "business"),
        ("+4917105001", "mobile"),
        ("12", "business"),
        ("13", "fixed"),
    ]
    assert [child.tag for child in root[0]] == ["first_name", "last_name", "title", "organization", "email", "numbers"]


def test_old_firmware_gets_an_item_for_each_number_which_names_the_first() -> None:
    root = answer("snom-v1.xml", EVA, made.contact(2))

    assert [
        (one.get("index"), one.findtext("first_name"), one.findtext("last_name"), one.findtext("number"))
        for one in root
    ] == [
        ("0", "Eva", "Muster 00001", "+493023125001"),
        ("1", "Member_Alias", "+493023125001", "+4917105001"),
        ("2", "Member_Alias", "+493023125001", "12"),
        ("3", "Member_Alias", "+493023125001", "13"),
        ("4", "Eva", "Muster 00002", "+493023125000002"),
    ]


def test_a_base_gets_three_numbers_an_entry_empty_where_there_is_none() -> None:
    root = answer("snom/m-series.xml", EVA)

    assert [[child.tag for child in entry] for entry in root] == [["Name", "Telephone", "Office", "Mobile"]] * 2
    assert [[child.text or "" for child in entry] for entry in root] == [
        ["Muster 00001, Eva", "13", "+493023125001", "+4917105001"],
        ["Muster 00001, Eva", "", "12", ""],
    ]


@pytest.mark.parametrize("path", ["snom/m-series.xml", "snom/m100.xml"])
def test_a_base_is_not_sent_what_it_would_discard(path: str) -> None:
    contacts = [
        made.contact(1, "1" * 21, name="ü" * 30, family="ü" * 30),
        made.contact(2, "1" * 22),
        made.contact(3, "*31#1", "2"),
    ]
    asked = made.asked(path, contacts)
    root = checked(snom.FORMAT.answers[path](asked).body, *DOCUMENTS["snom"][path])

    numbers = [node.text for node in root.iter() if node.tag in {"Office", "DIR_ENTRY_NUMBER_WORK"}]
    assert numbers == ["1" * 21, "2"]
    assert {(one.reason, one.contacts) for one in asked.left_out.all} == {
        ("a number of theirs has more than 21 digits", 1),
        ("a number of theirs has a sign that the phone doesn't take, one of *#", 1),
    }


@pytest.mark.parametrize(
    ("path", "entry", "most"), [("snom/m-series.xml", "DirectoryEntry", 3000), ("snom/m100.xml", "DIR_ENTRY", 1000)]
)
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_a_base_gets_no_more_than_it_keeps(path: str, entry: str, most: int, more: int) -> None:
    asked = made.asked(path, [made.contact(at) for at in range(most + more)])
    root = checked(snom.FORMAT.answers[path](asked).body, *DOCUMENTS["snom"][path])

    assert len(list(root.iter(entry))) == min(most + more, most)
    assert [(one.reason, one.contacts) for one in asked.left_out.all] == (
        [(f"only {most} entries fit", 1)] if more > 0 else []
    )


def test_the_search_leads_to_the_list_and_its_pages() -> None:
    url = (answer("snom/search").findtext("Url") or "").replace("__X__", "muster")
    contacts = [made.contact(at) for at in range(25)]
    assert url.startswith(made.URL + "snom/list?")
    root = answer("snom/list", *contacts, **dict(parse_qsl(urlsplit(url).query)))
    keys = {one.findtext("Name"): one.findtext("URL") or "" for one in root.iter("SoftKeyItem")}

    assert len(list(root.iter("MenuItem"))) == 20
    assert list(keys) == ["F4"]
    second = answer("snom/list", *contacts, **dict(parse_qsl(urlsplit(keys["F4"]).query)))
    assert [item.get("name") for item in second.iter("MenuItem")] == [f"Muster {at:05}, Eva" for at in range(20, 25)]
    assert [one.findtext("Name") for one in second.iter("SoftKeyItem")] == ["F2"]


@pytest.mark.parametrize("number", ["+493023125001", "*31#0301", "##"])
def test_a_number_is_dialled_as_it_is(number: str) -> None:
    url = answer("snom/list", made.contact(1, number)).findtext("MenuItem/URL") or ""

    assert url.count("#") == 1
    assert unquote(url).removeprefix("snom://mb_nop#numberdial=") == number


def test_nobody_found_is_said() -> None:
    root = answer("snom/list", made.contact(1), term="nobody")

    assert root.tag == "SnomIPPhoneText"
    assert root.findtext("Text") == "Nothing found"


def test_a_long_number_in_the_place_of_a_name_is_as_long_as_a_name() -> None:
    nobody = made.contact(1, "0" * 30, "030", name="\x07")
    root = checked(snom.base(made.asked("snom/m-series.xml", [nobody])).body, *DOCUMENTS["snom"]["snom/m-series.xml"])

    assert root.findtext("DirectoryEntry/Name") == "0" * 23

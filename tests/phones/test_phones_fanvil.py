"""Fanvil's phone book and search."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit
from xml.etree.ElementTree import Element as Node

import pytest
from hypothesis import given

from radicale_shared.entries import Kind
from radicale_shared.phones.contacts import Contact, Line
from radicale_shared.phones.formats import fanvil
from tests.conftest import examples
from tests.phones import made
from tests.phones.elements import DOCUMENTS, checked


def answer(path: str, *contacts: Contact, **parameters: str | int) -> Node:
    """The root of an answer."""
    document = fanvil.FORMAT.answers[path](made.asked(path, contacts, parameters))
    return checked(document.body, *DOCUMENTS["fanvil"][path])


@examples(25)
@given(contacts=made.CONTACTS)
def test_what_was_written_is_what_a_phone_reads(contacts: list[Contact]) -> None:
    told = [
        (made.shown(contact.name) or contact.lines[0].number, made.shown(contact.group), line.number)
        for contact in contacts
        for line in contact.lines
        if len(line.number) <= 40
    ]
    read = [
        (entry.findtext("Name"), entry.findtext("Group"), number)
        for entry in answer("fanvil.xml", *contacts).iter("DirectoryEntry")
        for place in ("Telephone", "Mobile", "Other")
        if (number := entry.findtext(place))
    ]

    assert sorted(read, key=str) == sorted(told, key=str)


def test_each_kind_stands_once_in_an_entry() -> None:
    eva = made.contact(
        1, Line(Kind.WORK, "1"), Line(Kind.MOBILE, "2"), Line(Kind.HOME, "3"), Line(Kind.FAX, "4"), name="Muster, Eva"
    )

    assert [[child.text or "" for child in entry] for entry in answer("fanvil.xml", eva).iter("DirectoryEntry")] == [
        ["Muster, Eva", "1", "2", "3", "0", "Leads"],
        ["Muster, Eva", "", "", "4", "0", "Leads"],
    ]


@pytest.mark.parametrize(("count", "told"), [(1, [1]), (15, [15]), (16, [16]), (17, [16, 1]), (40, [16, 16, 8])])
def test_a_page_has_sixteen_items_and_leads_on_and_back(count: int, told: list[int]) -> None:
    contacts = [made.contact(at) for at in range(count)]
    root = answer("fanvil/list", *contacts)
    pages = [root]
    while following := keys(root).get("Next"):
        root = answer("fanvil/list", *contacts, **dict(parse_qsl(urlsplit(following).query)))
        pages.append(root)

    assert [len(list(page.iter("MenuItem"))) for page in pages] == told
    assert [item.findtext("URI") for page in pages for item in page.iter("MenuItem")] == [
        contact.lines[0].number for contact in contacts
    ]
    assert ["Back" in keys(page) for page in pages] == [False] + [True] * (len(told) - 1)


def keys(root: Node) -> dict[str, str]:
    """{label: URI} of soft keys"""
    return {key.findtext("Name") or "": key.findtext("URI") or "" for key in root.iter("SoftKey")}


def test_the_search_leads_to_the_list() -> None:
    field = answer("fanvil/search")
    url, parameter = field.findtext("URL") or "", field.findtext("InputField/Parameter") or ""
    contacts = [made.contact(1), made.contact(2, "12", name="Okafor, Jan")]

    assert url == made.URL + "fanvil/list"
    root = answer("fanvil/list", *contacts, **{parameter: "oka"})
    assert [(one.findtext("Prompt"), one.findtext("URI")) for one in root.iter("MenuItem")] == [("Okafor, Jan", "12")]


def test_nobody_found_is_said_and_cannot_be_dialled() -> None:
    root = answer("fanvil/list", made.contact(1), q="nobody")

    assert [(one.findtext("Prompt"), one.findtext("URI")) for one in root.iter("MenuItem")] == [("Nothing found", "")]
    assert keys(root) == {"Exit": "SoftKey:Exit"}

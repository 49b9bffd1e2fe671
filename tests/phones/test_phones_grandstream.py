"""Grandstream's phone books."""

from __future__ import annotations

from xml.etree.ElementTree import Element as Node

import pytest
from hypothesis import given

from radicale_shared.entries import Kind
from radicale_shared.phones.contacts import Contact, Line
from radicale_shared.phones.formats import grandstream
from tests.conftest import examples
from tests.phones import made
from tests.phones.elements import DOCUMENTS, checked

EVA = made.contact(
    1,
    Line(Kind.WORK, "1"),
    Line(Kind.MOBILE, "2"),
    Line(Kind.HOME, "3"),
    Line(Kind.FAX, "4"),
    Line(Kind.OTHER, "5"),
    Line(Kind.MOBILE, "6"),
)


def book(path: str, *contacts: Contact) -> Node:
    """The root of a phone book."""
    document = grandstream.FORMAT.answers[path](made.asked(path, contacts))
    return checked(document.body, *DOCUMENTS["grandstream"][path])


def numbers(root: Node) -> list[dict[str | None, str | None]]:
    """{type: number} of each contact"""
    return [
        {phone.get("type"): phone.findtext("phonenumber") for phone in contact.iter("Phone")}
        for contact in root.iter("Contact")
    ]


@examples(25)
@given(contacts=made.CONTACTS)
def test_what_was_written_is_what_a_phone_reads(contacts: list[Contact]) -> None:
    told = {}
    for at, contact in enumerate(contacts):
        given_name, family = made.shown(contact.given), made.shown(contact.family)
        if not given_name and not family:
            family = made.shown(contact.name) or contact.lines[0].number
        for line in contact.lines:
            if len(line.number) <= 40:
                told[at, line.number] = (given_name, family)

    read = [
        ((one.findtext("FirstName") or "", one.findtext("LastName") or ""), phone.text)
        for one in book("grandstream/phonebook.xml", *contacts).iter("Contact")
        for phone in one.iter("phonenumber")
    ]
    assert sorted(read, key=str) == sorted(((names, number) for (_, number), names in told.items()), key=str)


@pytest.mark.parametrize("file", ["phonebook.xml", "gs_phonebook.xml"])
def test_each_family_has_its_own_names_for_numbers(file: str) -> None:
    assert numbers(book(f"grandstream/{file}", EVA)) == [
        {"Work": "1", "Mobile": "2", "Home": "3", "Fax": "4", "Other": "5"},
        {"Mobile": "6"},
    ]
    assert numbers(book(f"grandstream/grp/{file}", EVA)) == [
        {"Work": "1", "Cell": "2", "Home": "3"},
        {"Work": "4", "Cell": "6"},
        {"Work": "5"},
    ]
    assert numbers(book(f"grandstream/dect/{file}", EVA))[0] == {"Work": "1", "Mobile": "2", "Home": "3"}
    assert numbers(book(f"grandstream/old/{file}", EVA)) == [{None: number} for number in "123456"]


def test_a_contact_is_in_the_group_of_its_book() -> None:
    contacts = [made.contact(1, group="Partners"), made.contact(2, group="Leads & more"), made.contact(3, group="")]
    root = book("grandstream/phonebook.xml", *contacts)
    groups = {group.findtext("id"): group.findtext("name") for group in root.iter("pbgroup")}

    assert [groups[one.findtext("Group")] for one in root.iter("Contact")] == ["Partners", "Leads & more", "1"]


def test_accounts_begin_with_none_and_in_old_firmware_with_one() -> None:
    assert book("grandstream/phonebook.xml", EVA).findtext("Contact/Phone/accountindex") == "0"
    assert book("grandstream/old/phonebook.xml", EVA).findtext("Contact/Phone/accountindex") == "1"


@pytest.mark.parametrize("count", [1999, 2000, 2001])
def test_a_phone_gets_no_more_than_it_keeps(count: int) -> None:
    path = "grandstream/phonebook.xml"
    asked = made.asked(path, [made.contact(at) for at in range(count)])
    root = checked(grandstream.FORMAT.answers[path](asked).body, *DOCUMENTS["grandstream"][path])

    assert len(list(root.iter("Contact"))) == min(count, 2000)
    assert [(one.reason, one.contacts, one.example) for one in asked.left_out.all] == (
        [("only 2000 entries fit", 1, "Muster 02000, Eva")] if count > 2000 else []
    )


@pytest.mark.parametrize("eva_first", [True, False])
def test_all_entries_of_a_contact_are_in_the_book_or_none(eva_first: bool) -> None:
    others = [made.contact(at) for at in range(1999)]
    asked = made.asked("grandstream/phonebook.xml", [EVA, *others] if eva_first else [*others, EVA])
    root = checked(
        grandstream.FORMAT.answers["grandstream/phonebook.xml"](asked).body,
        *DOCUMENTS["grandstream"]["grandstream/phonebook.xml"],
    )

    # Eva takes two.
    assert len(list(root.iter("Contact"))) == (2000 if eva_first else 1999)
    assert [one.contacts for one in asked.left_out.all] == [1]


def test_the_phone_is_told_the_folder_without_its_scheme() -> None:
    told = grandstream.FORMAT.setup(made.for_setup(make="grandstream"))

    assert "phonebook.download.mode = HTTPS\n" in told
    assert "phonebook.download.server = contacts.example.org/p/rs-secret/grandstream\n" in told

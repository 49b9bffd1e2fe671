"""Cisco's menu, input and directory."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit
from xml.etree.ElementTree import Element as Node

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.entries import Kind
from radicale_shared.phones.asking import Document
from radicale_shared.phones.contacts import Contact, Line
from radicale_shared.phones.formats import cisco
from tests.conftest import examples
from tests.phones import made
from tests.phones.elements import DOCUMENTS, checked


def listed(contacts: list[Contact], **parameters: str | int) -> tuple[Node, Document]:
    """(the root, the answer) of one page"""
    document = cisco.directory(made.asked("cisco/list", contacts, parameters))
    return checked(document.body, *DOCUMENTS["cisco"]["cisco/list"]), document


def entries(root: Node) -> list[tuple[str, str]]:
    """[(name, number)]"""
    return [(one.findtext("Name") or "", one.findtext("Telephone") or "") for one in root.iter("DirectoryEntry")]


def key(root: Node, name: str) -> str | None:
    """The URL of a soft key."""
    return next((one.findtext("URL") for one in root.iter("SoftKeyItem") if one.findtext("Name") == name), None)


def parameters_of(url: str) -> dict[str, str]:
    """Of the URL of another page."""
    assert url.startswith(made.URL + "cisco/list")
    return dict(parse_qsl(urlsplit(url).query))


_DIRECTORIES = st.lists(st.integers(1, 40), max_size=70).map(
    lambda counts: [
        made.contact(at, *(Line(Kind.WORK, f"{at:03}{line:03}") for line in range(count)))
        for at, count in enumerate(counts)
    ]
)


@examples(40)
@given(contacts=_DIRECTORIES)
def test_the_pages_have_each_number_once_and_lead_back(contacts: list[Contact]) -> None:
    everything = [line.number for contact in contacts for line in contact.lines]
    root, document = listed(contacts)
    seen = [number for _, number in entries(root)]
    while (following := key(root, "Next")) is not None:
        assert ("Refresh", f"0; url={following}") in document.headers
        assert len(entries(root)) == 32
        root, document = listed(contacts, **parameters_of(following))
        seen += [number for _, number in entries(root)]
    assert seen == everything
    assert "Refresh" not in dict(document.headers)

    first = seen[-len(entries(root))] if seen else ""
    while (previous := key(root, "Back")) is not None:
        root, _ = listed(contacts, **parameters_of(previous))
        numbers = [number for _, number in entries(root)]
        # No number between two pages is skipped.
        assert everything.index(numbers[0]) < everything.index(first) <= everything.index(numbers[0]) + 32
        first = numbers[0]
    assert first == (everything[0] if everything else "")


@pytest.mark.parametrize(("count", "told"), [(0, [0]), (1, [1]), (31, [31]), (32, [32]), (33, [32, 1]), (64, [32, 32])])
def test_a_page_has_thirty_two_entries(count: int, told: list[int]) -> None:
    contacts = [made.contact(at) for at in range(count)]
    root, _ = listed(contacts)
    counts = [len(entries(root))]
    while (following := key(root, "Next")) is not None:
        root, _ = listed(contacts, **parameters_of(following))
        counts.append(len(entries(root)))

    assert counts == told


def test_a_contact_with_several_numbers_says_what_each_is_for() -> None:
    eva = made.contact(1, Line(Kind.WORK, "1"), Line(Kind.WORK, "2"), Line(Kind.MOBILE, "3"), name="Muster, Eva")
    long = made.contact(2, Line(Kind.WORK, "4"), Line(Kind.MOBILE, "5"), name="ü" * 100)

    assert entries(listed([eva, long])[0]) == [
        ("Muster, Eva (Work 1)", "1"),
        ("Muster, Eva (Work 2)", "2"),
        ("Muster, Eva (Mobile)", "3"),
        ("ü" * 28 + " (Work)", "4"),
        ("ü" * 27 + " (Mobile)", "5"),
    ]


def test_a_search_goes_on_to_its_next_page() -> None:
    contacts = [made.contact(at) for at in range(40)] + [made.contact(40, name="Okafor, Jan")]
    root, _ = listed(contacts, q="muster")
    following = parameters_of(key(root, "Next") or "")

    assert following == {"q": "muster", "offset": "32"}
    assert len(entries(listed(contacts, **following)[0])) == 8


def test_a_page_behind_the_end_leads_back() -> None:
    contacts = [made.contact(at) for at in range(3)]
    root, _ = listed(contacts, offset=500_000, line=7)

    assert entries(root) == []
    assert key(root, "Next") is None
    assert key(root, "Back") is not None


def test_keys_of_our_own_take_none_of_the_phone_away() -> None:
    root, _ = listed([made.contact(1)])

    assert [(one.findtext("URL"), one.findtext("Position")) for one in root.iter("SoftKeyItem")] == [
        ("SoftKey:Dial", "1"),
        ("SoftKey:EditDial", "2"),
        ("SoftKey:Exit", "3"),
    ]


def test_every_answer_is_parsed_and_kept_by_no_phone() -> None:
    for path, answer in cisco.FORMAT.answers.items():
        document = answer(made.asked(path, [made.contact(1)]))

        assert document.content_type.startswith("text/xml")
        assert dict(document.headers)["Expires"] == "Mon, 01 Jan 1990 00:00:00 GMT"


def test_the_menu_leads_to_the_search_and_the_search_to_the_list() -> None:
    root = checked(cisco.menu(made.asked("cisco")).body, *DOCUMENTS["cisco"]["cisco"])
    urls = [item.findtext("URL") or "" for item in root.iter("MenuItem")]
    field = checked(cisco.search(made.asked("cisco/search")).body, *DOCUMENTS["cisco"]["cisco/search"])
    contacts = [made.contact(1), made.contact(2, name="Okafor, Jan")]

    assert {url.removeprefix(made.URL) for url in urls} <= set(cisco.FORMAT.answers)
    assert (field.findtext("URL") or "").removeprefix(made.URL) == "cisco/list"
    parameter = field.findtext("InputItem/QueryStringParam") or ""
    assert [name for name, _ in entries(listed(contacts, **{parameter: "oka"})[0])] == ["Okafor, Jan"]

"""Gigaset: the protocol of its online directory, and its central phone book."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.entries import Kind
from radicale_shared.phones.asking import Asked
from radicale_shared.phones.contacts import Contact, Line
from radicale_shared.phones.formats import gigaset
from tests.conftest import examples
from tests.phones import made
from tests.phones.elements import DOCUMENTS, checked

_LETTERS = ("Ahrens", "Bertram", "Claussen", "Muster", "Olafsen", "Zeller")
_PEOPLE = [
    made.contact(
        at, f"+4930231250{at:05}", name=f"{_LETTERS[at // 5]} {at:02}, Eva", family=f"{_LETTERS[at // 5]} {at:02}"
    )
    for at in range(30)
]


_PLACES = ("office1", "office2", "mobile1", "mobile2", "home1", "home2")


def listed(asked: Asked) -> Element:
    root = checked(gigaset.directory(asked).body, *DOCUMENTS["gigaset"]["gigaset"])
    assert root.tag == "list"
    return root


def asked_for(contacts: list[Contact] = _PEOPLE, **parameters: Any) -> Asked:
    return made.asked("gigaset", contacts, {"command": "get_list", "type": "pb", **parameters})


def ids(root: Element) -> list[str]:
    return [entry.attrib["id"] for entry in root]


@pytest.mark.parametrize(
    ("parameters", "number"),
    [
        ({}, "2"),
        ({"command": "add_entry", "type": "pb"}, "1"),
        ({"command": "get_list"}, "4"),
        ({"command": "get_list", "type": "<&>"}, "4"),
    ],
)
def test_what_isnt_a_list_of_pages_is_an_error(parameters: dict[str, str], number: str) -> None:
    answer = gigaset.directory(made.asked("gigaset", _PEOPLE, parameters))

    assert checked(answer.body, *DOCUMENTS["gigaset"]["gigaset"]).findtext("errorid") == number
    assert answer.status == 200


@pytest.mark.parametrize("kind", ["pb", "pr", "yp"])
def test_all_kinds_of_pages_show_the_same_and_are_named_as_asked(kind: str) -> None:
    root = listed(asked_for(type=kind, first=1, count=30))

    assert root.attrib["type"] == kind
    assert ids(root) == [one.key for one in _PEOPLE]


def test_a_number_that_nobody_has_is_answered_as_the_protocol_has_it() -> None:
    answer = gigaset.directory(asked_for(hm="0305555", ln="*", fn="*", mb="*"))

    assert answer.body.endswith(b'<list response="get_list" type="pb" notfound="hm" total="0"/>\n')


@pytest.mark.parametrize("field", ["hm", "mb", "of"])
def test_a_number_is_looked_up_in_whichever_field_it_is_sought(field: str) -> None:
    every = dict.fromkeys(("ln", "fn", "ct", "st", "hm", "nr", "mb", "fx", "sip", "zc", "em", "in", "bp"), "*")

    root = listed(asked_for(**{**every, field: "00007", "reqsrc": "auto", "first": 1, "count": 1}))

    assert ids(root) == ["7"]
    assert root.attrib["total"] == "1"


def test_the_beginning_of_a_number_finds_all_who_have_it() -> None:
    root = listed(asked_for(hm="+49302312500000*", first=3, count=4))

    assert ids(root) == ["2", "3", "4", "5"]
    assert root.attrib["total"] == "10"


@pytest.mark.parametrize("field", ["ct", "st", "zc", "nr", "em"])
def test_what_isnt_searched_finds_nobody_rather_than_everybody(field: str) -> None:
    root = listed(asked_for(**{field: "Berlin"}))

    assert root.attrib["notfound"] == field
    assert ids(root) == []


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({"first": 1, "count": 4}, range(4)),
        ({"first": 5, "count": 4}, range(4, 8)),
        ({"first": 28, "count": 10}, range(27, 30)),
        ({"first": 1000, "count": 4}, range(26, 30)),
        ({"first": 3, "last": 6, "count": 10}, range(2, 6)),
        ({"last": 8, "count": 4}, range(4, 8)),
        ({"last": 2, "count": 4}, range(2)),
        ({"last": -1, "count": 4}, range(26, 30)),
        ({"set_first": "c*", "count": 3}, range(10, 13)),
        ({"set_first": "N*", "count": 3}, range(20, 23)),
        ({"set_first": "zz*", "count": 3}, range(27, 30)),
        ({}, range(10)),
        ({"count": 0}, range(10)),
        ({"count": "much"}, range(10)),
    ],
)
def test_a_part_of_the_list_is_where_it_is_asked_for(window: dict[str, Any], expected: range) -> None:
    root = listed(asked_for(**window))

    assert ids(root) == [str(at) for at in expected]
    assert (root.attrib["first"], root.attrib["last"]) == (str(expected.start + 1), str(expected.stop))
    assert root.attrib["total"] == "30"


_POSITIONS = st.one_of(st.none(), st.integers(-2, 40), st.just(999_999), st.sampled_from(["", "x", "1" * 40]))


@examples(30)
@given(
    size=st.integers(0, 30),
    window=st.fixed_dictionaries({"first": _POSITIONS, "last": _POSITIONS, "count": _POSITIONS, "limit": _POSITIONS}),
    letters=st.sampled_from(["", "*", "b", "m*", "zz*"]),
    name=st.sampled_from(["", "*", "e*", "eva", "nobody*"]),
)
def test_whatever_is_asked_for_the_answer_says_truly_which_part_it_is(
    size: int, window: dict[str, Any], letters: str, name: str
) -> None:
    told = {key: value for key, value in window.items() if value is not None}

    root = listed(asked_for(_PEOPLE[:size], **told, set_first=letters, ln=name))

    expected = [] if name == "nobody*" else _PEOPLE[:size]
    assert root.attrib["total"] == str(len(expected))
    if expected:
        first, last = int(root.attrib["first"]), int(root.attrib["last"])
        assert ids(root) == [one.key for one in expected[first - 1 : last]] != []


@pytest.mark.parametrize("name", ["", "eva*"])
def test_who_goes_on_from_the_last_one_sees_everyone_once(name: str) -> None:
    people = [made.contact(at) for at in range(1, 1101)]
    seen: list[str] = []
    while True:
        root = listed(asked_for(people, first=len(seen) + 1, count=100, fn=name))
        seen += ids(root)
        if root.attrib["last"] == root.attrib["total"]:
            break
        assert int(root.attrib["total"]) > len(seen)

    assert seen == [one.key for one in people]


def test_an_entry_is_read_by_its_own_number() -> None:
    assert ids(listed(asked_for(id="7"))) == ["7"]
    assert listed(asked_for(id="707")).attrib["notfound"] == "id"
    assert len(ids(listed(asked_for(id="*", count=5)))) == 5


def test_a_request_gets_its_own_number_back() -> None:
    assert listed(asked_for(reqid="9B0E3")).attrib["reqid"] == "9B0E3"
    assert listed(asked_for(reqid='"><&' + "x" * 9999, ln="nobody")).attrib["reqid"] == '"><&' + "x" * 28


@pytest.mark.parametrize("limit", [1024, 1500, 2048, 20_000])
def test_an_answer_is_no_longer_than_the_phone_can_take(limit: int) -> None:
    people = [made.contact(at, name="&" * 300, family="&" * 300, given='"' * 300) for at in range(1, 60)]

    answer = gigaset.directory(asked_for(people, first=1, count=50, limit=limit))

    root = checked(answer.body, *DOCUMENTS["gigaset"]["gigaset"])
    assert len(answer.body) <= limit
    assert 1 <= len(root) == int(root.attrib["last"]) < 50


def test_numbers_stand_where_their_kind_belongs_and_no_one_is_lost_for_it() -> None:
    eva = made.contact(1, *(Line(kind, f"01{at}") for at, kind in enumerate((Kind.WORK, Kind.MOBILE, Kind.OTHER))))
    works = made.contact(2, "021", "022", "023", "024")

    first, second = listed(asked_for([eva, works]))

    assert {part.tag: part.text for part in first} == {
        "ln": "Muster 00001", "fn": "Eva", "hm": "012", "mb": "011", "of": "010"
    }  # fmt: skip
    assert {part.text for part in second} >= {"021", "022", "023"}


def test_the_book_has_its_document_type_and_places_for_six_numbers_an_entry() -> None:
    lines = [Line(kind, f"{at}") for at, kind in enumerate([*Kind, Kind.WORK, Kind.WORK])]
    asked = made.asked("gigaset/book.xml", [made.contact(1, *lines), made.company("Muster GmbH", 2)])

    body = gigaset.book(asked).body

    assert body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE LocalDirectory>\n<list>\n<entry ')
    first, second, firm = ElementTree.fromstring(body)
    numbers = {name: value for name, value in first.attrib.items() if name[-1].isdigit()}
    assert (numbers["office1"], numbers["office2"], numbers["mobile1"], numbers["home1"]) == ("0", "6", "1", "2")
    assert set(numbers.values()) == {"0", "6", "1", "2", "3", "4"}
    assert {name: value for name, value in second.attrib.items() if value} == {
        "surname": "Muster 00001", "name": "Eva", "office1": "7", "home1": "5"
    }  # fmt: skip
    assert (firm.attrib["surname"], firm.attrib["name"]) == ("Muster GmbH", "")
    assert asked.left_out.all == ()


@pytest.mark.parametrize("size", [0, 1, 1999, 2000, 2001])
def test_the_book_ends_after_two_thousand_entries(size: int) -> None:
    asked = made.asked("gigaset/book.xml", [made.contact(at) for at in range(size)])

    root = checked(gigaset.book(asked).body, *DOCUMENTS["gigaset"]["gigaset/book.xml"], most_bytes=2_000_000)

    assert len(root) == min(size, 2000)
    assert sum(told.contacts for told in asked.left_out.all) == max(size - 2000, 0)


@examples(30)
@given(contacts=made.CONTACTS)
def test_what_was_written_into_the_book_is_what_is_read(contacts: list[Contact]) -> None:
    root = checked(
        gigaset.book(made.asked("gigaset/book.xml", contacts)).body, *DOCUMENTS["gigaset"]["gigaset/book.xml"]
    )
    found = [
        (entry.attrib["surname"], entry.attrib["name"], sorted(filter(None, map(entry.get, _PLACES)), key=str))
        for entry in root
    ]

    told = [(one, [line.number for line in one.lines if len(line.number) <= 40]) for one in contacts]
    assert sorted(number for _, _, numbers in found for number in numbers) == sorted(
        number for _, numbers in told for number in numbers
    )
    assert [names for *names, _ in found] == [
        list(made_names(one, 128)) for one, numbers in told for _ in range(0, len(numbers), 6)
    ]


def made_names(contact: Contact, most: int) -> tuple[str, str]:
    """How a base shows both parts of a name; all of it as the surname where it has no parts."""
    family, given = made.shown(contact.family, most), made.shown(contact.given, most)
    return (family, given) if family or given else (made.shown(contact.name, most) or contact.lines[0].number, "")


@examples(30)
@given(contacts=made.CONTACTS.filter(bool))
def test_what_was_written_into_a_list_is_what_is_read(contacts: list[Contact]) -> None:
    root = listed(asked_for(contacts, first=1, count=100))

    assert ids(root) == [one.key for one in contacts]
    for entry, contact in zip(root, contacts, strict=True):
        assert (entry.findtext("ln", ""), entry.findtext("fn", "")) == made_names(contact, 64)
        numbers = [line.number for line in contact.lines if len(line.number) <= 40]
        written = {part.text for part in entry if part.tag in {"hm", "mb", "of"}}
        assert written <= set(numbers)
        assert len(written) == min(len(numbers), 3)


@pytest.mark.parametrize("by_basic", [False, True])
def test_the_lines_for_the_bases_are_elements_of_their_provisioning(by_basic: bool) -> None:
    lines = gigaset.setup(made.for_setup(make="gigaset", by_basic=by_basic))

    parsed = [ElementTree.fromstring(line) for line in lines.splitlines() if line.startswith("<")]
    passwords = [item.attrib["value"] for item in parsed if item.get("ID", "").endswith("aucPassword[0]")]
    assert passwords == (['"rs-pass&word"'] if by_basic else [])

"""Panasonic: the network phone book."""

from __future__ import annotations

import pytest
from hypothesis import given

from radicale_shared.entries import Kind
from radicale_shared.phones.asking import Asked
from radicale_shared.phones.contacts import Contact, Line
from radicale_shared.phones.formats import panasonic
from tests.conftest import examples
from tests.phones import made
from tests.phones.elements import DOCUMENTS, checked

_SPACE = "{http://panasonic/sip_phone}"
_PEOPLE = [made.contact(at, f"0302312{at:03}") for at in range(50)]


def people(asked: Asked) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """[(id, name, [(type, number)])] of an answer"""
    root = checked(panasonic.book(asked).body, *DOCUMENTS["panasonic"]["panasonic.xml"])
    return [
        (
            one.attrib["id"],
            one.findtext(f"{_SPACE}Name") or "",
            [(number.attrib["type"], number.text or "") for number in one.iter(f"{_SPACE}PhoneNum")],
        )
        for one in root.iter(f"{_SPACE}Personnel")
    ]


@pytest.mark.parametrize("size", [0, 1, 19, 20, 21])
def test_an_answer_has_twenty_people_numbered_from_one(size: int) -> None:
    found = people(made.asked("panasonic.xml", _PEOPLE[:size]))

    assert [at for at, _, _ in found] == [str(at) for at in range(1, min(size, 20) + 1)]


@pytest.mark.parametrize(
    "parameters", [{"offset": 20}, {"page": 2}, {"page": 2, "q": "eva"}, {"offset": 20, "name": "E"}]
)
def test_the_next_people_are_numbered_from_one_again(parameters: dict[str, object]) -> None:
    found = people(made.asked("panasonic.xml", _PEOPLE, parameters))

    assert [number for _, _, [(_, number)] in found] == [f"0302312{at:03}" for at in range(20, 40)]
    assert found[0][0] == "1"


@pytest.mark.parametrize(
    ("region", "dialled"), [("DE", "00493023125001"), ("US", "011493023125001"), ("", "00493023125001")]
)
def test_a_plus_is_written_as_it_is_dialled_in_the_phones_region(region: str, dialled: str) -> None:
    asked = made.asked("panasonic.xml", [made.contact(1, "+493023125001")], region=region)

    assert people(asked) == [("1", "Muster 00001, Eva", [("company", dialled)])]


def test_a_number_that_needs_a_plus_is_left_out_and_told() -> None:
    eva = made.contact(1, "+493023125001", "017")
    asked = made.asked("panasonic.xml", [eva, made.contact(2, "+493023125002")], region="BR")

    assert people(asked) == [("1", "Muster 00001, Eva", [("ext", "017")])]
    assert [(told.contacts, told.example) for told in asked.left_out.all] == [(2, "Muster 00001, Eva")]


def test_each_kind_of_number_has_a_type_that_the_phone_knows() -> None:
    eva = made.contact(1, *(Line(kind, f"030231250{at}") for at, kind in enumerate(Kind)), Line(Kind.WORK, "17"))

    assert [kind for kind, _ in people(made.asked("panasonic.xml", [eva]))[0][2]] == [
        "company", "mobile", "home", "company", "company", "company", "ext"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Müller & Söhne", "Müller + Söhne"),
        ("O'Hara, <Eva>", "OHara, Eva"),
        ('"Muster"', "Muster"),
        ("x" * 25, "x" * 24),
        ("ü" * 24 + "!", "ü" * 24),
        ("<>", "0302312"),
        ("a" * 23 + " b", "a" * 23),
    ],
)
def test_names_have_nothing_that_the_phone_doesnt_take(name: str, shown: str) -> None:
    contact = made.contact(1, "0302312", name=name, family="", given="")

    assert [told for _, told, _ in people(made.asked("panasonic.xml", [contact]))] == [shown]


@examples(25)
@given(contacts=made.CONTACTS)
def test_what_was_written_is_what_a_phone_reads(contacts: list[Contact]) -> None:
    found = people(made.asked("panasonic.xml", contacts, region="DE"))

    told = [[line.number for line in one.lines if len(line.number) <= 32] for one in contacts]
    as_dialled = [[f"00{one[1:]}" if one.startswith("+") else one for one in numbers] for numbers in told]
    fitting = [[one for one in numbers if len(one) <= 32] for numbers in as_dialled]
    assert [[number for _, number in numbers] for _, _, numbers in found] == [one for one in fitting if one]


def test_a_long_number_in_the_place_of_a_name_is_as_long_as_a_name() -> None:
    nobody = made.contact(1, "0" * 30, name="<>")

    assert people(made.asked("panasonic.xml", [nobody])) == [("1", "0" * 24, [("company", "0" * 30)])]

"""Texts for the index and the name that is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.vcard import Card, build_line, display_name, escape, fold, search_fields


def card(*lines: str) -> Card:
    return Card.parse("\r\n".join(["BEGIN:VCARD", *lines, "END:VCARD", ""]).encode())


def test_the_index_holds_all_values_folded_and_unescaped():
    fields = search_fields(
        card(
            "UID:Ada-1",
            r"FN:Ada \"Straße\" Lovelace",
            r"N:Lovelace;Ada;Byron\, Lady;;",
            "item1.EMAIL;TYPE=work:ADA@Example.org",
            "EMAIL:ada@example.net",
            "ADR:;;Am Teich 4;Žďár;;591 01;",
            r"NOTE:one\, two\nthree",
        )
    )

    assert list(fields) == ["fn", "n", "nickname", "org", "title", "email", "tel", "adr", "note", "categories", "uid"]
    assert fields["fn"] == r"ada \"strasse\" lovelace"
    assert fields["n"] == "lovelace ada byron, lady"
    assert fields["email"] == "ada@example.org\nada@example.net"
    assert fields["adr"] == "am teich 4 z\u030cd\u030ca\u0301r 591 01"  # accents behind their letters
    assert fields["note"] == "one, two\nthree"
    assert (fields["uid"], fields["tel"]) == ("ada-1", "")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=500), st.data())
def test_whatever_a_note_contains_is_found_folded_in_the_index(text, choose):
    start = choose.draw(st.integers(0, len(text)))
    part = text[start : choose.draw(st.integers(start, len(text)))]
    fields = search_fields(card("UID:1").append(build_line("NOTE", escape(text))))

    assert fold(part) in fields["note"]


def test_a_field_of_the_index_has_at_most_ten_thousand_characters():
    fields = search_fields(card(*["NOTE:" + "ß" * 9_000] * 3, "PHOTO:" + "x" * 100))

    assert len(fields["note"]) == 10_000
    assert "x" not in "".join(fields.values())


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (["UID:u", "TEL:1", "FN:Ada Lovelace", "N:L;A"], "Ada Lovelace"),
        (["UID:u", r"FN:Ada\n  Lovelace "], "Ada Lovelace"),
        (["UID:u", "FN: ", "N:Stevenson;John;Philip;Dr.;Jr.", "ORG:x"], "Dr. John Philip Stevenson Jr."),
        (["UID:u", "N:Stevenson"], "Stevenson"),
        (["UID:u", "N:;;;;", r"ORG:Example\, Ltd.;;Sales", "NICKNAME:x"], "Example, Ltd., Sales"),
        (["UID:u", "NICKNAME:Al,Bob", "EMAIL:a@example.org"], "Al,Bob"),
        (["UID:u", "EMAIL:a@example.org", "TEL:1"], "a@example.org"),
        (["UID:u", "TEL:1"], "1"),
        (["UID:u"], "u"),
        ([], ""),
    ],
)
def test_the_first_thing_that_names_a_card_is_shown(lines, name):
    assert display_name(card(*lines)) == name

"""What counts as the same in two cards, and what as a difference."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.errors import NotAVCardError
from radicale_shared.vcard import Card, ContentLine, build_line, distance, escape, fold_line, meaning
from radicale_shared.vcard.meaning import units


def card(*lines: str, version: str = "3.0") -> Card:
    return Card.parse("\r\n".join(["BEGIN:VCARD", f"VERSION:{version}", "UID:1", *lines, "END:VCARD", ""]).encode())


SAME = [
    (["FN:Ada Lovelace"], ["FN:Ada Love\r\n lace"]),
    (["FN:Ada", "TEL:1"], ["", "TEL:1", "FN:Ada"]),
    (["EMAIL;TYPE=home:a@example.org"], ["Email;type=Home:a@example.org"]),
    (["TEL;TYPE=cell,pref:1"], ["TEL;type=PREF;type=CELL:1"]),
    (["TEL;TYPE=cell,pref:1"], ['TEL;TYPE="pref,cell":1']),
    (["TEL;CELL;PREF:1"], ["TEL;TYPE=cell,pref:1"]),
    (["TEL;TYPE=CELL,VOICE:1"], ["TEL;TYPE=CELL;VALUE=text:1"]),
    (["EMAIL;TYPE=INTERNET,HOME:a@example.org"], ["EMAIL;TYPE=HOME:a@example.org"]),
    (["N;SORT-AS=a,b:A;B"], ['N;sort-as="a,b":A;B']),
    (["NOTE;X-LOOK=one:x"], ['NOTE;X-LOOK="one":x']),
    ([r"NOTE:one\, two\; three\Nfour"], [r"NOTE:one, two; three\nfour"]),
    ([r"URL:http\://example.org"], ["URL;VALUE=uri:http://example.org"]),
    (["ORG:Mill, Wheel;Grinding"], [r"ORG:Mill\, Wheel;Grinding;"]),
    (["N:Lovelace;Ada"], ["N:Lovelace;Ada;;;"]),
    (["ADR:;;Mill Lane 1;Ely"], ["ADR:;;Mill Lane 1;Ely;;;"]),
    (["CATEGORIES:Work,Family"], ["CATEGORIES:Family, Work"]),
    (["item1.TEL:1", "item1.X-ABLabel:Mill"], ["ITEM3.X-ABLABEL:Mill", "ITEM3.TEL:1"]),
    (["home.TEL:1", "home.EMAIL:a@example.org"], ["TEL:1", "EMAIL:a@example.org"]),
    (["NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:B=C3=A4r"], ["NOTE:Bär"]),
    (["NOTE;QUOTED-PRINTABLE:one=\r\n two"], ["NOTE:one two"]),
    (["PHOTO;ENCODING=BASE64;TYPE=jpeg:QUJD\r\n RA=="], ["PHOTO;TYPE=JPEG;ENCODING=b:QUJDRA=="]),
    (["BDAY;VALUE=date:1815-12-10"], ["BDAY:18151210"]),
    (["BDAY:--12-10"], ["BDAY:--1210"]),
    (["REV:1", "PRODID:a"], ["REV:2"]),
    (["X-ABShowAs:COMPANY"], ["X-ABSHOWAS:company"]),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_another_spelling_means_the_same(one, other):
    assert meaning(card(*one)) == meaning(card(*other))
    assert distance(card(*one), card(*other)) == 0


DIFFERENT = [
    (["TEL:1"], ["TEL:2"]),
    (["TEL:1"], []),
    (["TEL:1"], ["TEL:1", "TEL:1"]),
    (["TEL:1"], ["EMAIL:1"]),
    (["TEL;TYPE=home:1"], ["TEL;TYPE=work:1"]),
    (["TEL;TYPE=fax:1"], ["TEL;TYPE=fax,voice:1"]),
    (["FN:Ada"], ["FN:ada"]),
    (["NOTE:a\\nb"], ["NOTE:a b"]),
    ([r"N:Love\;lace;Ada"], ["N:Love;lace;Ada"]),
    ([r"CATEGORIES:a\,b"], ["CATEGORIES:a,b"]),
    (["NICKNAME:a,b"], ["NICKNAME:b,a"]),
    (["N:;Ada"], ["N:Ada"]),
    (["item1.TEL:1", "item1.X-ABLabel:Mill"], ["item1.TEL:1", "item1.X-ABLabel:Lake"]),
    (["item1.TEL:1", "item1.X-ABLabel:Mill"], ["TEL:1", "X-ABLabel:Mill"]),
    (
        ["a.TEL:1", "a.X-ABLabel:Mill", "b.TEL:2", "b.X-ABLabel:Lake"],
        ["a.TEL:1", "a.X-ABLabel:Lake", "b.TEL:2", "b.X-ABLabel:Mill"],
    ),
    (["PHOTO;X-ABCROP-RECTANGLE=1&2;ENCODING=b:QUJD"], ["PHOTO;X-ABCROP-RECTANGLE=1&3;ENCODING=b:QUJD"]),
    (["PHOTO;VALUE=uri:https://example.org/a.png"], ["PHOTO:https://example.org/a.png"]),
    (["BDAY:1815-12-10"], ["BDAY:1815-12-11"]),
    (["BDAY;VALUE=text:18151210"], ["BDAY:18151210"]),
    (["BDAY;X-APPLE-OMIT-YEAR=1604:1604-12-10"], ["BDAY:1604-12-10"]),
    (["no colon"], ["no  colon"]),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_people_could_see_is_a_difference(one, other):
    assert meaning(card(*one)) != meaning(card(*other))
    assert distance(card(*one), card(*other)) > 0


def test_a_picture_by_address_needs_no_value_type_in_4_0_only():
    typed, plain = "PHOTO;VALUE=uri:https://example.org/a.png", "PHOTO:https://example.org/a.png"

    assert meaning(card(typed, version="4.0")) == meaning(card(plain, version="4.0"))
    assert meaning(card(typed)) != meaning(card(plain))


def test_a_property_and_its_labels_are_one_unit_and_a_group_without_labels_is_none():
    found = units(card("item1.EMAIL:a@example.org", "home.TEL:1", "item1.X-ABLabel:Mill", "home.ADR:;;Lane", "", "odd"))

    assert [(unit.name, unit.positions) for unit in found] == [
        ("VERSION", (0,)),
        ("UID", (1,)),
        ("EMAIL", (2, 4)),
        ("TEL", (3,)),
        ("ADR", (5,)),
        ("", (7,)),
    ]
    assert found[2].text == "item1.EMAIL:a@example.org\nitem1.X-ABLabel:Mill"


def test_what_a_card_has_once_is_never_hidden_in_the_unit_of_another_property():
    found = units(card("a.TEL:1", "a.X-ABLabel:Mill", "a.BDAY:18151210", "a.NOTE:x", "b.NOTE:y", "b.X-ABLabel:z"))

    assert [(unit.name, len(unit.lines)) for unit in found[2:]] == [("TEL", 2), ("BDAY", 1), ("NOTE", 1), ("NOTE", 2)]


def test_the_distance_counts_what_was_changed_added_and_removed_once_each():
    one = card("TEL:1", "TEL:2", "EMAIL:a@example.org", "NOTE:x", "REV:1")
    other = card("TEL:2", "TEL:3", "URL:https://example.org", "NOTE:x", "REV:2", version="4.0")

    assert distance(one, other) == distance(other, one) == 3


NAMES = st.sampled_from(["FN", "NOTE", "N", "ORG", "TEL", "EMAIL", "CATEGORIES", "NICKNAME", "X-THING", "ADR"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=90)
TYPES = st.lists(st.sampled_from(["home", "work", "cell", "fax", "pref"]), unique=True, max_size=3)
PROPERTIES = st.lists(st.tuples(NAMES, TYPES, TEXTS, st.sampled_from(["", "", "Mill", "Lake"])), max_size=8)


@given(PROPERTIES, st.randoms(use_true_random=False))
def test_a_card_written_anew_by_another_program_means_the_same(properties, chance: random.Random):
    lines, respelled = [], []
    for number, (name, types, text, label) in enumerate(properties):
        group = f"item{number}" if label else ""
        lines.append([build_line(name, escape(text), [("TYPE", types)] if types else [], group)])
        other = f"Item{100 - number}." if label else ""
        shuffled = chance.sample(types, len(types))
        params = "".join(f";type={one.upper()}" for one in shuffled)
        if shuffled and chance.random() < 0.5:
            params = f';Type="{",".join(shuffled)}"'
        respelled.append([ContentLine(fold_line(f"{other}{name.lower()}{params}:{escape(text)}".encode(), b"\n"))])
        if label:
            lines[-1].append(build_line("X-ABLabel", label, group=group))
            respelled[-1].insert(0, build_line("X-ABLABEL", label, group=other.rstrip(".")))
    chance.shuffle(respelled)
    one, other = (
        Card.parse(b"BEGIN:VCARD\r\n" + b"".join(line.raw for unit in written for line in unit) + b"END:VCARD\r\n")
        for written in (lines, respelled)
    )

    assert meaning(one) == meaning(other)
    assert hash(meaning(one)) == hash(meaning(other))


PIECES = st.sampled_from(
    ["a.TEL:1", "A.X-ABLABEL:x", ".TEL:1", "TEL;TYPE=:", "N:;;", 'TEL;TYPE="a:1', "odd", "", " ", "a.BDAY:1",
     "NOTE;ENCODING=b:=", "CATEGORIES:,,", "NOTE;QUOTED-PRINTABLE:=", "a.b.c:d", "AGENT:", ":", ";:", "PHOTO:", "\\"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12))
def test_every_line_but_blank_ones_is_in_exactly_one_unit(pieces):
    try:
        odd = card(*pieces)
    except NotAVCardError:
        return
    positions = [position for unit in units(odd) for position in unit.positions]

    assert sorted(positions) == [at for at, line in enumerate(odd.lines) if line.raw.strip()]
    assert distance(odd, odd) == 0

"""What a client drops that it doesn't know is no edit: after the write-back only what somebody changed differs."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.vcard import (
    Card,
    ContentLine,
    Merged,
    build_line,
    check,
    convert,
    fold_line,
    merge,
    returned,
    unfold,
)
from radicale_shared.vcard.meaning import units
from tests.vcard.examples import OTHER, body, card, cards, stored_cards

# What is changed, and to what.
EDITS = {
    "TEL": "+49 30 5550 9999",
    "EMAIL": "new@x.example",
    "ADR": ";;new street;x;;;",
    "NOTE": "new note",
    "TITLE": "new title",
    "ORG": "new;org",
    "FN": "New Name",
    "N": "Name;New;;;",
}
KEEPING, NO_PARAMETERS, NO_PROPERTIES, NEITHER = (False, False), (True, False), (False, True), (True, True)
CLIENTS = st.tuples(st.booleans(), st.booleans(), st.booleans())


def is_unknown(name: str) -> bool:
    return name.startswith(("X-VCARD3-", "X-VCARD4-"))


def through(shown: Card, *, parameters: bool, properties: bool = False, rewrites: bool = False) -> Card:
    """``shown`` as a client sends it back that drops our parameters, our properties, keeps no line as it was."""
    lines = []
    for line in shown.lines:
        if properties and is_unknown(line.name):
            continue
        if parameters and any(is_unknown(key) for key, _ in line.params):
            kept = [one for one in line.params if not is_unknown(one[0])]
            lines.append(build_line(line.name, line.value, kept, line.group, shown.eol))
        else:
            lines.append(line)
    if rewrites:
        lines = [rewritten(line, shown.eol) for line in sorted(lines, key=lambda line: (line.group, line.name))]
    return Card(shown.head, tuple(lines), shown.tail)


def rewritten(line: ContentLine, eol: bytes) -> ContentLine:
    """The line in other folds, its name in small letters; as it was if it is none, or a nested card."""
    header, colon, rest = unfold(line.raw).partition(b":")
    name, semicolon, params = header.partition(b";")
    if not line.name or line.name == "AGENT" or not colon:
        return line
    return ContentLine(fold_line(name.lower() + semicolon + params + colon + rest, eol))


def edited(sent: Card, line: ContentLine) -> Card:
    return sent.replace_line(line, build_line(line.name, EDITS[line.name], line.params, line.group))


def written_back(stored: Card, sent: Card) -> Merged:
    """What is stored when ``sent`` comes from a client that was shown ``stored`` in the version of ``sent``."""
    shown = convert(stored, sent.version)
    return merge(
        convert(shown, stored.version, marked=False).serialise(),
        stored.serialise(),
        convert(returned(shown, Card.parse(sent.serialise())), stored.version, marked=False).serialise(),
    )


def differences(stored: Card, after: bytes) -> list[str]:
    """The names of the properties whose lines are not the same bytes, each once for a line gone and for one new."""
    before, now = Counter(stored.lines), Counter(check(after).lines)
    return sorted(line.name for line in ((before - now) + (now - before)).elements())


both = pytest.mark.parametrize("version", OTHER)


@both
@given(data=st.data())
def test_what_was_shown_is_returned_byte_for_byte(version, data):
    shown = convert(data.draw(cards(version)), OTHER[version])
    assert returned(shown, shown).serialise() == shown.serialise()


@both
@given(data=st.data(), client=CLIENTS)
def test_what_a_client_drops_that_it_does_not_know_is_put_back(version, data, client):
    parameters, properties, rewrites = client
    shown = convert(data.draw(cards(version)), OTHER[version])
    sent = through(shown, parameters=parameters, properties=properties, rewrites=rewrites)

    back = returned(shown, sent)

    assert Counter(unit.said for unit in units(back)) == Counter(unit.said for unit in units(shown))
    if not properties:
        assert [line.name for line in back.lines] == [line.name for line in sent.lines]


@both
@given(data=st.data(), client=CLIENTS)
def test_a_card_that_nobody_changed_keeps_every_byte(version, data, client):
    parameters, properties, rewrites = client
    stored = data.draw(cards(version))
    shown = convert(stored, OTHER[version])

    merged = written_back(stored, through(shown, parameters=parameters, properties=properties, rewrites=rewrites))

    assert (merged.data, merged.conflicts) == (stored.serialise(), ())


@both
@given(data=st.data(), client=CLIENTS)
def test_the_property_that_was_changed_is_the_only_one_that_differs(version, data, client):
    parameters, properties, rewrites = client
    stored = data.draw(cards(version))
    shown = convert(stored, OTHER[version])
    sent = through(shown, parameters=parameters, properties=properties, rewrites=rewrites)
    line = data.draw(st.sampled_from([line for line in sent.lines if line.name in EDITS]))

    merged = written_back(stored, edited(sent, line))

    assert merged.conflicts == ()
    assert set(differences(stored, merged.data)) == {line.name}
    assert len(differences(stored, merged.data)) <= 2
    assert EDITS[line.name] in [one.value for one in Card.parse(merged.data).all(line.name)]


@pytest.mark.parametrize("data", stored_cards())
@pytest.mark.parametrize("rewrites", [False, True], ids=["keeping lines", "rewriting all"])
@pytest.mark.parametrize(("parameters", "properties"), [NO_PARAMETERS, NO_PROPERTIES, NEITHER])
def test_a_card_of_a_client_differs_only_where_it_was_changed(data, parameters, properties, rewrites):
    stored = Card.parse(data).with_whole_characters()
    stored = check((stored if stored.uid else stored.append(build_line("UID", "u1"))).serialise())
    shown = convert(stored, OTHER[stored.version])
    sent = through(shown, parameters=parameters, properties=properties, rewrites=rewrites)

    assert written_back(stored, sent).data == stored.serialise()
    for name in EDITS:
        if line := sent.first(name):
            merged = written_back(stored, edited(sent, line))
            assert set(differences(stored, merged.data)) == {name}
            assert len(differences(stored, merged.data)) <= 2


def test_an_edited_line_keeps_what_was_said_of_its_place_and_not_of_its_value():
    stored = card(
        "4.0", "TEL;VALUE=uri;PREF=50;PID=1.1;TYPE=work:tel:+49-30-1;ext=5", "BDAY;CALSCALE=x-julian:19000101"
    )
    sent = through(convert(stored, "3.0"), parameters=True)
    for name, value in (("TEL", "+49 30 2"), ("BDAY", "1900-01-14")):
        sent = sent.replace_value(sent.first(name), value)

    after = Card.parse(written_back(stored, sent).data)

    assert sorted(body(after)) == ["BDAY:19000114", "TEL;TYPE=work;PREF=50;PID=1.1:+49 30 2"]


def test_no_line_is_stored_with_a_mark_of_how_the_other_version_wrote_it():
    stored = card("4.0", "EMAIL;TYPE=home:ada@x.example")
    shown = convert(stored, "3.0")
    new = "EMAIL;TYPE=INTERNET,HOME,PREF:new@x.example\r\nX-ANNIVERSARY:2001-02-03\r\nBDAY:15. April\r\n"
    sent = Card.parse(shown.serialise().replace(b"EMAIL;TYPE=home:ada@x.example\r\n", new.encode()))

    after = written_back(stored, sent).data

    assert sorted(body(Card.parse(after))) == [
        "ANNIVERSARY:20010203",
        "BDAY;VALUE=text:15. April",
        "EMAIL;TYPE=HOME;PREF=1:new@x.example",
    ]


@pytest.mark.parametrize(
    ("version", "line", "expected"),
    [
        ("3.0", "CLASS:PRIVATE", "X-VCARD3-CLASS:PRIVATE"),
        ("3.0", "ADR;TYPE=home,parcel:;;a;;;;", "ADR;TYPE=home;X-VCARD3-TYPE=parcel:;;a;;;;"),
        ("4.0", "GENDER:F", "X-VCARD4-GENDER:F"),
        ("4.0", "TEL;PREF=7:1", "TEL;X-VCARD4-PREF=7:1"),
        ("4.0", "GEO:geo:1.5,-2;u=35", 'GEO;X-VCARD4-VALUE="geo:1.5,-2;u=35":1.5;-2'),
        (
            "4.0",
            "TEL;VALUE=uri:tel:7042;phone-context=x.example",
            'TEL;X-VCARD4-WAS="TEL;VALUE=uri";X-VCARD4-VALUE="tel:7042;phone-context=x.example":7042',
        ),
        (
            "4.0",
            "PHOTO:data:image/svg+xml;charset=utf-8;base64,AAAA",
            'PHOTO;ENCODING=b;TYPE=SVG+XML;X-VCARD4-DATA="data:image/svg+xml;charset=utf-8;base64":AAAA',
        ),
    ],
)
def test_without_marks_what_the_version_has_no_place_for_is_carried_as_ever(version, line, expected):
    assert body(convert(card(version, line), OTHER[version], marked=False)) == [expected]


@both
@given(data=st.data())
def test_marks_that_are_there_count_in_a_conversion_that_makes_none(version, data):
    stored = data.draw(cards(version))
    shown = convert(stored, OTHER[version])

    assert convert(shown, version, marked=False).serialise() == convert(shown, version).serialise()


def test_names_that_are_made_without_marks_carry_none():
    for version in OTHER:
        made = convert(card(version, "EMAIL:ada@x.example", name=False), OTHER[version], marked=False)
        assert b"X-VCARD" not in made.serialise()
        assert made.text("FN") == "ada@x.example"


def test_a_card_that_had_no_name_gets_none_from_a_client_that_drops_the_mark():
    stored = card("3.0", "FN:Night shift", name=False)
    sent = through(convert(stored, "4.0"), parameters=True)

    after = Card.parse(written_back(stored, sent.replace_value(sent.first("FN"), "Day shift")).data)

    assert (after.text("FN"), after.first("N")) == ("Day shift", None)


@both
@given(data=st.data(), client=CLIENTS)
def test_whatever_else_a_client_does_n_is_not_lost_by_leaving_it_out(version, data, client):
    parameters, properties, rewrites = client
    stored = data.draw(cards(version))
    sent = through(convert(stored, OTHER[version]), parameters=parameters, properties=properties, rewrites=rewrites)

    without = Card(sent.head, tuple(line for line in sent.lines if line.name != "N"), sent.tail)

    assert written_back(stored, without) == Merged(stored.serialise(), ())


@both
@pytest.mark.parametrize("drops", [KEEPING, NEITHER])
def test_a_name_that_a_client_left_out_is_kept_if_the_one_that_is_shown_still_says_the_same(version, drops):
    stored = card(version, "FN:Ada Lovelace", "item1.N;SORT-AS=Ada:Lovelace;Ada;Byron;;", "TEL:1", name=False)
    sent = through(convert(stored, OTHER[version]), parameters=drops[0], properties=drops[1])
    without = sent.remove(sent.first("N"))

    left_out = written_back(stored, without)
    edit = written_back(stored, edited(without, without.first("TEL")))

    assert left_out == Merged(stored.serialise(), ())
    assert differences(stored, edit.data) == ["TEL", "TEL"]


def test_alternatives_of_a_name_that_was_left_out_are_kept_with_it():
    stored = card("4.0", "FN:Ada", "N;ALTID=1:Lovelace;Ada;;;", "N;ALTID=1;LANGUAGE=jp:X;Y;;;", name=False)
    sent = convert(stored, "3.0")

    assert written_back(stored, sent.remove(sent.first("N"))).data == stored.serialise()


def test_a_name_that_was_left_out_is_made_of_the_one_that_is_shown_if_that_was_changed():
    stored = card("3.0")
    sent = convert(stored, "4.0")
    renamed = edited(sent.remove(sent.first("N")), sent.first("FN"))

    after = Card.parse(written_back(stored, renamed).data)

    assert (after.text("FN"), after.texts("N")) == ("New Name", ["New Name;;;;"])


@pytest.mark.parametrize("drops", [KEEPING, NO_PARAMETERS, NO_PROPERTIES, NEITHER])
def test_alternatives_go_with_what_was_deleted_and_stay_with_what_was_edited(drops):
    stored = card("4.0", "TITLE;ALTID=1;LANGUAGE=en:Boss", "TITLE;ALTID=1;LANGUAGE=fr:Patron", "TITLE:Miller")
    sent = through(convert(stored, "3.0"), parameters=drops[0], properties=drops[1])
    boss = next(line for line in sent.all("TITLE") if line.value == "Boss")

    edit = Card.parse(written_back(stored, sent.replace_value(boss, "Chief")).data)
    removal = Card.parse(written_back(stored, sent.remove(boss)).data)

    assert sorted(edit.first("TITLE").params) == [("ALTID", ("1",)), ("LANGUAGE", ("en",))]
    assert edit.texts("TITLE") == ["Chief", "Patron", "Miller"]
    assert body(removal) == ["TITLE:Miller"]


@pytest.mark.parametrize("drops", [KEEPING, NEITHER])
def test_labels_of_addresses_go_with_the_last_address(drops):
    lines = ["ADR;TYPE=home:;;a;;;;", "ADR;TYPE=home:;;b;;;;", "LABEL;TYPE=home:a"]
    stored = card("3.0", *lines)
    sent = through(convert(stored, "4.0"), parameters=drops[0], properties=drops[1])
    one_less = sent.remove(sent.first("ADR"))

    assert body(Card.parse(written_back(stored, one_less).data)) == lines[1:]
    assert body(Card.parse(written_back(stored, one_less.remove(one_less.first("ADR"))).data)) == []


def test_a_property_comes_back_to_the_label_that_the_client_left_and_in_no_strange_group():
    shown = card(
        "4.0",
        "ANNIVERSARY:20140812",
        "item1.X-VCARD3-X-ABDATE:2015-01-01",
        "item1.X-ABLabel:_$!<Anniversary>!$_",
        "a.X-VCARD3-CLASS:x",
        "a.TEL:1",
    )
    left = Card.parse(through(shown, parameters=True, properties=True).serialise().replace(b"item1.", b"ITEM7."))
    taken = Card.parse(left.serialise().replace(b"ITEM7.X-ABLabel:_$!<Anniversary>!$_", b"item1.X-FOO:y"))
    renamed = Card.parse(left.serialise().replace(b"a.TEL", b"b.TEL"))

    assert body(returned(shown, left))[-3:] == [
        "ITEM7.X-VCARD3-X-ABDATE:2015-01-01",
        "ITEM7.X-ABLabel:_$!<Anniversary>!$_",
        "a.X-VCARD3-CLASS:x",
    ]
    assert body(returned(shown, taken))[-3:-1] == [
        "item2.X-VCARD3-X-ABDATE:2015-01-01",
        "item2.X-ABLabel:_$!<Anniversary>!$_",
    ]
    assert "b.X-VCARD3-CLASS:x" in body(returned(shown, renamed))


def test_of_equal_lines_each_has_a_mark_of_its_own_again():
    stored = card("4.0", "TEL;PREF=50:1", "TEL;PREF=60:1", "TEL:1")
    shown = convert(stored, "3.0")
    sent = through(shown, parameters=True)

    assert written_back(stored, sent).data == stored.serialise()
    assert len(Card.parse(written_back(stored, sent.remove(sent.first("TEL"))).data).all("TEL")) == 2


def test_of_equal_lines_the_ones_whose_marks_came_back_stay():
    stored = card("4.0", "TEL;PREF=50:1", "TEL;PREF=60:1")
    shown = convert(stored, "3.0")

    sent = shown.remove(shown.first("TEL"))

    assert body(returned(shown, sent)) == ["TEL;X-VCARD4-PREF=60:1"]
    assert body(Card.parse(written_back(stored, sent).data)) == ["TEL;PREF=60:1"]


def test_a_birthday_without_year_has_none_after_a_client_dropped_apples_parameter():
    stored = card("4.0", "BDAY:--0320")
    sent = Card.parse(convert(stored, "3.0").serialise().replace(b";X-APPLE-OMIT-YEAR=1604", b""))

    assert sent.first("BDAY").raw == b"BDAY:1604-03-20\r\n"
    assert written_back(stored, sent).data == stored.serialise()


@pytest.mark.parametrize(
    "line",
    ["NOTE;ENCODING=QUOTED-PRINTABLE:x=", "NOTE;ENCODING=QUOTED-PRINTABLE;X-A=1:x="],
)
def test_a_line_that_would_take_the_next_one_along_is_left_at_the_end(line):
    shown = card("3.0", "X-VCARD4-GENDER:F", "TEL;X-VCARD4-PREF=2:1", line)
    sent = through(shown, parameters=True, properties=True)
    back = check(returned(shown, sent).serialise())

    assert back.text("X-VCARD4-GENDER") == "F"
    assert len(back.all("NOTE")) == len(back.all("TEL")) == 1


def test_thousands_of_lines_that_lost_their_marks_are_matched():
    lines = [f"g{number}.TEL;X-VCARD4-PREF={number}:{number % 7}" for number in range(5000)]
    lines += [f"h{number}.X-VCARD4-RELATED;X-VCARD4-ALTID={number}:a" for number in range(5000)]
    lines += [f"h{number}.X-ABLabel:b" for number in range(5000)]
    lines += [f"X-VCARD4-LANG:{number}" for number in range(5000)]
    shown = card("3.0", *lines)
    sent = through(shown, parameters=True, properties=True, rewrites=True)

    back = returned(shown, sent)

    assert Counter(unit.said for unit in units(back)) == Counter(unit.said for unit in units(shown))

"""Cards as their readers see them: which lines a view hides, and what becomes of those in merges."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.errors import NotAllowedHereError
from radicale_shared.vcard import Card, check, convert, meaning, merge, merge_hidden, visible
from radicale_shared.vcard.fields import ALWAYS_SHOWN, OTHER, PROPERTIES, common, covers, parsed
from radicale_shared.vcard.meaning import SINGLE, units
from radicale_shared.vcard.visible import hidden_positions
from tests.conftest import examples
from tests.vcard.examples import body, card, stored_cards

BREAKS = ["\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]


def raw(*lines: str, version: str = "3.0", eol: str = "\r\n") -> Card:
    """A card that need not be fit to be stored: control characters are in some that were imported long ago."""
    content = ["BEGIN:VCARD", f"VERSION:{version}", "UID:u1", "FN:Ada", "N:Ada;;;;", *lines, "END:VCARD", ""]
    return Card.parse(eol.join(content).encode())


def left(some: Card, *hidden: str) -> list[str]:
    return body(visible(some, {parsed(field) for field in hidden}))


# --- what is hidden


@pytest.mark.parametrize("field", [*PROPERTIES, OTHER])
def test_a_hidden_field_takes_all_lines_of_its_properties_and_no_others(field):
    names = sorted({name for some in PROPERTIES.values() for name in some} | {"X-THING", "SOURCE"})
    names = [name for name in names if name not in {"AGENT", "X-ABADR"}]
    hidden = PROPERTIES.get(field, {"X-THING", "SOURCE"})

    assert left(raw(*(f"{name}:1" for name in names)), field) == [f"{name}:1" for name in names if name not in hidden]


@pytest.mark.parametrize("name", ["X-GTALK", "X-YAHOO-ID", "X-messaging/aim-All", "item1.X-Messaging/xmpp"])
def test_messengers_have_names_of_many_programs(name):
    assert left(raw(f"{name}:ada"), "impp") == []
    assert left(raw(f"{name}:ada"), "tel") == [f"{name}:ada"]


def test_names_and_uid_are_always_seen():
    lines = [f"{name}:1" for name in sorted(ALWAYS_SHOWN - {"BEGIN", "END", "VERSION", "UID", "FN", "N"})]

    assert left(raw(*lines), *PROPERTIES, OTHER) == lines
    for name in ("fn", "n", "uid", "kind", "member"):
        with pytest.raises(NotAllowedHereError):
            parsed(name)


def test_a_view_without_hidden_fields_is_the_very_card():
    whole = raw("TEL:1", "opaque", "X-VCARD4-LANG:de")

    assert visible(whole, frozenset()) is whole
    assert visible(raw("EMAIL:a@b.example"), {"tel"}) == raw("EMAIL:a@b.example")


@pytest.mark.parametrize(
    ("line", "is_hidden"),
    [
        ("TEL;TYPE=home:1", True),
        ("tel;type=HOME,voice:1", True),
        ('TEL;TYPE="voice,home":1', True),
        ("TEL;TYPE=voice;TYPE=home:1", True),
        ("TEL;HOME;VOICE:1", True),
        ("item1.TEL;TYPE=home:1", True),
        ("TEL;TYPE=private:1", True),
        ('TEL;TYPE="voice home":1', True),
        ('TEL;TYPE="pref;home":1', True),
        ("TEL;TYPE=HOME^n:1", True),
        ("TEL;TYPE=x-home:1", False),
        ("TEL;TYPE=ho\r\n me:1", True),
        ("TE\r\n L;TYPE=home:1", True),
        (" \ufeffTEL;TYPE=home:1".strip(" "), True),
        ('TEL;TYPE="home:1', True),  # where the quote ends is read in several ways
        ('TEL;X="work:1', True),
        ("a.b.TEL;TYPE=home:1", True),
        ("TEL;X-VCARD3-TYPE=x:1", True),
        ("TEL;TYPE=work:1", False),
        ("TEL:1", False),
        ("TEL;X-NOTE=home:1", False),
        ("EMAIL;TYPE=home:1", False),
    ],
)
def test_a_type_hides_the_lines_that_have_it_however_it_is_written(line, is_hidden):
    assert (left(raw(line), "tel:home") == []) is is_hidden


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("_$!<Home>!$_", "home"),
        ("_$!<HomeFAX>!$_", "fax"),
        ("_$!<HomeFAX>!$_", "home"),
        ("Mobile", "cell"),
        ("iPhone", "cell"),
        ("Work", "work"),
        ("private", "home"),
    ],
)
def test_a_label_is_a_type(label, kind):
    labelled = raw("item1.TEL:1", f"ITEM1.X-ABLabel:{label}", "item2.TEL:2", "item2.X-ABLabel:Other")

    assert left(labelled, f"tel:{kind}") == ["item2.TEL:2", "item2.X-ABLabel:Other"]


def test_a_line_that_two_grants_hide_has_the_types_of_both():
    some = raw("TEL;TYPE=cell,home:1", "TEL;TYPE=cell:2", "TEL;TYPE=home:3")

    assert body(visible(some, common({"tel:cell"}, {"tel:home"}))) == ["TEL;TYPE=cell:2", "TEL;TYPE=home:3"]


def test_what_may_belong_to_a_hidden_address_goes_with_it():
    some = raw(
        *("ADR;TYPE=home:;;a", "ADR;TYPE=work:;;b", "LABEL:a", "LABEL;TYPE=home:a", "LABEL;TYPE=work:b", "GEO:1;2"),
        *("item1.ADR;TYPE=home:;;c", "item1.X-ABADR:de", "item2.ADR;TYPE=work:;;d", "item2.X-ABADR:de"),
    )

    assert left(some, "adr:home") == [
        *("ADR;TYPE=work:;;b", "LABEL;TYPE=work:b", "item2.ADR;TYPE=work:;;d", "item2.X-ABADR:de")
    ]
    assert left(some, "adr") == []


def test_a_hidden_property_takes_the_extensions_of_its_group_along_in_any_case():
    some = raw(
        *("Item1.TEL:1", "iTEM1.X-ABLabel:Lake", "item1.X-Thing:2", "item1.EMAIL:a@b.example"),
        *("item2.EMAIL:c@d.example", "item2.X-ABLabel:Mill"),
    )

    assert left(some, "tel") == ["item1.EMAIL:a@b.example", "item2.EMAIL:c@d.example", "item2.X-ABLabel:Mill"]


def test_a_label_goes_with_what_it_names_and_isn_t_a_field_of_its_own():
    some = raw("item1.TEL:1", "item1.X-ABLabel:Lake", "item2.X-ABLabel:Nothing", "X-ABLabel:Nothing")

    assert left(some, "other") == ["item1.TEL:1", "item1.X-ABLabel:Lake"]
    assert left(some, "note") == ["item1.TEL:1", "item1.X-ABLabel:Lake"]
    assert left(some, "tel") == []


@pytest.mark.parametrize(
    "line",
    [
        "no colon",
        ";x:no name",
        "X-VCARD4-LANG:de",
        "X-VCARD3-CLASS:PUBLIC",
        "EMAIL;X-VCARD4-VALUE=secret:a@b.example",
        "EMAIL;X-VCARD\r\n 4-PREF=2:a@b.example",
        "XML:<tel/>",
        "a.b.XML:<tel/>",
        "AGENT:BEGIN:VCARD\\nTEL:1\\nEND:VCARD",
        "AGENT:\r\nBEGIN:VCARD\r\nTEL:1\r\nEND:VCARD",
        "X-ANDROID-CUSTOM:vnd.android.cursor.item/relation;Ada;1;;;;",
        "X-FCENCODED-582D46432D52656C617465644E616D65733A53706F757365:Ada",
    ],
)
def test_what_may_hold_anything_is_hidden_as_soon_as_anything_is(line):
    assert left(raw(line, "EMAIL:c@d.example"), "tel") == ["EMAIL:c@d.example"]


@pytest.mark.parametrize("between", BREAKS)
def test_no_line_break_of_any_program_smuggles_a_hidden_line_past_a_view(between):
    whole = raw(f"EMAIL:a@b.example{between}NOTE:secret", f"TEL;X-A=b{between}g.note;x=y:secret:1", "URL:x")

    assert b"secret" not in visible(whole, {"note"}).serialise()
    assert left(whole, "note")[-1] == "URL:x"
    assert b"secret" in visible(whole, {"bday"}).serialise()


@pytest.mark.parametrize("between", BREAKS)
def test_no_line_break_of_any_program_ends_a_hidden_value(between):
    whole = raw(f"NOTE:one{between}EMAIL:secret", "URL:x")

    assert b"secret" not in visible(whole, {"note"}).serialise()
    assert left(whole, "note") == ["URL:x"]


@pytest.mark.parametrize("between", BREAKS[1:])
def test_of_a_name_that_goes_on_with_a_hidden_line_the_name_is_left(between):
    whole = raw(f"SORT-STRING:Ada{between}{between}NOTE:secret", f"X-PHONETIC-LAST-NAME:Ada{between}Mill")
    seen = visible(whole, {"note"})

    assert seen.text("SORT-STRING") == "Ada" + between
    assert seen.text("X-PHONETIC-LAST-NAME") == f"Ada{between}Mill"


def test_a_line_behind_thousands_of_odd_line_breaks_is_hidden_as_soon_as_anything_is():
    whole = raw("EMAIL:a@b.example", "URL:" + "\u2028x" * 20_000, "SORT-STRING:Ada\u2028b", "TITLE:a\u2028b", "ROLE:c")

    assert left(whole, "note") == ["EMAIL:a@b.example", "SORT-STRING:Ada", "ROLE:c"]


def test_lines_take_one_another_along_by_groups_and_by_line_breaks_that_not_all_programs_know():
    lines = ["NOTE:1", "item1.EMAIL:a@b.example\r\nitem1.X-ABLabel:Lake", "item2.URL:x\r\nitem2.X-ABLabel:Mill"]
    whole = raw("\r".join(lines), "TITLE:2")

    assert left(whole, "note") == ["TITLE:2"]


@pytest.mark.parametrize("eol", ["\r\n", "\n", "\r"])
def test_a_fold_is_no_line_break(eol):
    whole = raw(f"NOTE:one{eol} Tel: 1{eol}\tTEL:2", eol=eol)

    assert visible(whole, {"tel"}) is whole


def test_a_soft_break_hides_no_line_from_who_reads_no_quoted_printable():
    encoded = raw("EMAIL;ENCODING=QUOTED-PRINTABLE:a=\r\nTEL:1", "URL:x")
    note = raw("NOTE;ENCODING=QUOTED-PRINTABLE:a=\r\nTEL:1", "URL:x")

    assert left(encoded, "tel") == left(note, "note") == ["URL:x"]


def test_a_card_whose_lines_all_end_with_cr_is_read_by_its_lines():
    assert [line.name for line in visible(raw("NOTE:1", "TEL:2", eol="\r"), {"note"}).lines][-1] == "TEL"


@pytest.mark.parametrize("data", stored_cards("2.1", "3.0", "4.0"))
def test_of_real_cards_nothing_hidden_is_left_and_all_else_stays_as_it_is_written(data):
    whole = Card.parse(data)
    for hidden in ({"tel"}, {"note", "photo"}, {"tel:home", "adr:work", "other"}, {*PROPERTIES, OTHER}):
        seen = visible(whole, hidden)
        read = Card.parse(seen.serialise())

        assert read == seen == visible(seen, hidden)
        assert (read.uid, read.version, read.texts("FN"), read.texts("N")) == (
            (whole.uid, whole.version, whole.texts("FN"), whole.texts("N"))
        )
        assert list(seen.lines) == [
            line for at, line in enumerate(whole.lines) if at not in hidden_positions(whole, hidden)
        ]
        for name in {one for field in hidden for one in PROPERTIES.get(field, ())} - ALWAYS_SHOWN:
            assert not read.all(name)


FIELDS = st.sampled_from(["tel", "tel:home", "tel:cell", "note", "adr", "adr:home", "bday", "email:work", "other"])
NAMES = ["TEL", "NOTE", "ADR", "LABEL", "BDAY", "EMAIL", "X-THING", "URL", "X-ABLabel", "NICKNAME", ""]
LINES = st.tuples(
    st.sampled_from(["", "", "item1.", "ITEM1.", "item2.", "b."]),
    st.sampled_from(NAMES),
    st.sampled_from(["", ";TYPE=home", ";TYPE=work,cell", ";HOME", ";X-VCARD4-PREF=2", ';X="']),
    st.sampled_from(["1", "22", "Mill", "", "a\u2028NOTE:b", "_$!<Home>!$_", "x\x85y"]),
    st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r"]),
).map(lambda parts: "{}{}{}:{}{}".format(*parts) if parts[1] else f"opaque {parts[3]}{parts[4]}")
CARDS = st.lists(LINES, max_size=8).map(
    lambda lines: (
        f"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u1\r\nFN:Ada\r\nN:Ada;;;;\r\n{''.join(lines)}END:VCARD\r\n".encode()
    )
)


@given(CARDS, st.frozensets(FIELDS, min_size=1, max_size=4), FIELDS)
def test_a_view_hides_the_more_the_more_fields_are_hidden_and_the_same_when_asked_again(data, hidden, more):
    whole = Card.parse(data)
    seen = visible(whole, hidden)

    assert Card.parse(seen.serialise()) == seen == visible(seen, hidden)
    assert hidden_positions(whole, hidden) <= hidden_positions(whole, hidden | {more})
    assert covers(hidden | {more}, hidden)
    if covers(hidden, {more}):
        assert visible(whole, hidden | {more}) == seen


# --- merges


def merged_through(base: Card, ours: Card, theirs: Card, *hidden: str) -> Card:
    fields = {parsed(field) for field in hidden}
    shown = visible(base, fields).serialise()
    return check(merge_hidden(shown, ours.serialise(), theirs.serialise(), fields).data)


def test_a_client_that_sends_back_what_it_sees_changes_no_byte():
    stored = card("3.0", "NOTE:secret", "item1.TEL:1", "item1.X-ABLabel:Lake", "URL:x")

    assert merged_through(stored, stored, visible(stored, {"note", "tel"}), "note", "tel") == stored


def test_an_edit_through_a_view_keeps_hidden_lines_where_they_are():
    stored = card("3.0", "NOTE:secret", "EMAIL:a@b.example", "item1.TEL:1", "item1.X-ABLabel:Lake", "URL:x")
    sent = card("3.0", "EMAIL:c@d.example", "URL:x", "TITLE:Countess")

    assert body(merged_through(stored, stored, sent, "note", "tel")) == [
        *("NOTE:secret", "EMAIL:c@d.example", "item1.TEL:1", "item1.X-ABLabel:Lake", "URL:x", "TITLE:Countess")
    ]


def test_what_is_sent_of_a_hidden_field_is_added_even_if_it_is_there():
    stored = card("3.0", "NOTE:secret", "URL:x")

    for guess in ("secret", "wrong"):
        sent = card("3.0", f"NOTE:{guess}", "URL:x")
        assert body(merged_through(stored, stored, sent, "note")) == ["NOTE:secret", f"NOTE:{guess}", "URL:x"]


def test_of_what_a_card_has_once_the_hidden_one_stays_and_the_sent_one_is_named():
    stored, without = card("3.0", "BDAY:1815-12-10"), card("3.0")
    sent = card("3.0", "BDAY:1900-01-01", "BDAY:1900-01-02")
    merged = merge_hidden(without.serialise(), stored.serialise(), sent.serialise(), {"bday"})

    assert merged.data == stored.serialise()
    assert [(one.kept, one.lost) for one in merged.conflicts] == [
        *(("BDAY:1815-12-10", "BDAY:1900-01-01"), ("BDAY:1815-12-10", "BDAY:1900-01-02"))
    ]
    assert body(merged_through(without, without, sent, "bday")) == ["BDAY:1900-01-01"]


def test_a_hidden_field_that_is_sent_empty_says_nothing():
    stored = card("3.0", "NOTE:secret")

    assert (
        merged_through(stored, stored, card("3.0", "NOTE:", "TITLE:", "item1.X-ABLabel:x"), "note", "title") == stored
    )


def test_a_group_of_the_sender_never_becomes_one_with_a_hidden_group_of_that_name():
    stored = card("3.0", "item1.TEL:1", "item1.X-ABLabel:Lake")
    sent = card("3.0", "item1.EMAIL:a@b.example", "item1.X-ABLabel:Mill", "ITEM1.URL:x")
    merged = merged_through(stored, stored, sent, "tel")

    assert body(merged)[:2] == ["item1.TEL:1", "item1.X-ABLabel:Lake"]
    assert meaning(visible(merged, {"tel"})) == meaning(sent)


def test_an_edit_of_a_line_whose_group_has_a_hidden_one_keeps_both():
    stored = card("3.0", "item1.EMAIL:a@b.example", "item1.X-Thing:secret")
    sent = card("3.0", "item1.EMAIL:c@d.example", "item1.X-ABLabel:Mill")
    merged = merged_through(stored, stored, sent, "other")

    assert "item1.X-Thing:secret" in body(merged)
    assert meaning(visible(merged, {"other"})) == meaning(sent)


ONCE = ["BDAY", "NOTE", "TITLE"]
MANY = ["TEL", "EMAIL", "ADR", "X-THING"]
MODELS = st.lists(
    st.tuples(
        st.sampled_from(ONCE + MANY),
        st.sampled_from(["", ";TYPE=home", ";TYPE=work"]),
        st.sampled_from(["1", "22", "Mill", "Mill Lane"]),
        st.sampled_from(["", "", "Lake", "_$!<Home>!$_"]),
    ),
    max_size=7,
).map(lambda some: list({one[0] if one[0] in ONCE else index: one for index, one in enumerate(some)}.values()))
HIDDEN = st.frozensets(FIELDS, min_size=1, max_size=3)


def written(model, chance: random.Random) -> Card:
    lines = []
    for number, (name, params, value, label) in enumerate(model):
        group = f"item{chance.choice([number, number + 1])}." if label else ""
        if any(line.startswith(group) for line in lines if group):
            group = f"g{number}."
        lines.append(f"{group}{name}{params}:{value}")
        if label:
            lines.append(f"{group}X-ABLabel:{label}")
    return card("3.0", *lines)


@examples(300)
@given(MODELS, MODELS, MODELS, HIDDEN, st.sampled_from(["3.0", "4.0"]), st.randoms(use_true_random=False))
def test_edits_through_views_never_lose_a_hidden_line_nor_a_visible_edit(base, ours, theirs, hidden, version, chance):
    before, stored, sent = (written(one, chance) for one in (base, ours, theirs))
    before, stored, sent = (check(convert(one, version).serialise()) for one in (before, stored, sent))
    merged = Card.parse(
        merge_hidden(visible(before, hidden).serialise(), stored.serialise(), sent.serialise(), hidden).data
    )

    kept = [stored.lines[at] for at in sorted(hidden_positions(stored, hidden))]
    found = [line for line in merged.lines if line in kept]
    assert [line for line in found if found.count(line) <= kept.count(line)] == [
        line for line in kept if found.count(line) <= kept.count(line)
    ]
    assert all(found.count(line) >= kept.count(line) for line in kept)
    seen = visible(merged, hidden)
    plain = merge(*(visible(one, hidden).serialise() for one in (before, stored, sent))).data
    assert meaning(seen) == meaning(visible(Card.parse(plain), hidden))
    names = [unit.name for unit in units(merged)]
    assert all(names.count(name) <= 1 or names.count(name) <= _most(name, stored, sent) for name in SINGLE)


def _most(name: str, *cards: Card) -> int:
    return max(len(one.all(name)) for one in cards)

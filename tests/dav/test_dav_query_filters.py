"""Filters of an addressbook-query on one card: what each condition means, and that the index never loses a card."""

import sys
import unicodedata
import xml.etree.ElementTree as ET
from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import search, vcard
from radicale_shared.dav import filters
from radicale_shared.dav.collations import COLLATIONS
from tests.conftest import examples

CARDDAV = "urn:ietf:params:xml:ns:carddav"
ADA = vcard.Card.parse(
    "\r\n".join(
        [
            "BEGIN:VCARD",
            "VERSION:3.0",
            "UID:ada-1",
            "FN:Ada Lovelace",
            r"N:Lovelace;Ada;Byron,Augusta;Lady\; Countess;",
            r"ORG:Analytical Engines\, Ltd.;Sales",
            "NICKNAME:Countess,Enchantress",
            "CATEGORIES:FRIEND,PERSON",
            "item1.EMAIL;TYPE=INTERNET,HOME:ada@example.org",
            "item1.X-ABLabel:Mill",
            "EMAIL;TYPE=WORK:ada@example.com",
            "TEL;TYPE=HOME;TYPE=VOICE:+49 30 1",
            "TEL;TYPE=WORK:+44 20 2",
            "TEL;VALUE=uri:tel:+33-1-5;ext=7",
            r"NOTE:C:\\temp\nsecond line\, end",
            "ADR;X-LABEL=\"Am Teich^nPrag, ^'Hof^'\":;;Am Teich 4;Žďár;;591 01;",
            "TITLE:",
            "END:VCARD",
            "",
        ]
    ).encode()
)


def filter_element(*prop_filters, test="anyof"):
    return ET.fromstring(
        f'<C:addressbook-query xmlns:C="{CARDDAV}"><C:filter test="{test}">{"".join(prop_filters)}</C:filter>'
        "</C:addressbook-query>"
    )


def prop(name, *conditions, test="anyof"):
    return f'<C:prop-filter name="{name}" test="{test}">{"".join(conditions)}</C:prop-filter>'


def text(sought, kind="contains", collation="i;unicode-casemap", negate="no"):
    escaped = sought.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    how = f'match-type="{kind}" collation="{collation}" negate-condition="{negate}"'
    return f"<C:text-match {how}>{escaped}</C:text-match>"


def no(sought, kind="contains"):
    return text(sought, kind, negate="yes")


def param(name, *conditions):
    return f'<C:param-filter name="{name}">{"".join(conditions)}</C:param-filter>'


NOT_DEFINED = "<C:is-not-defined/>"


def matches(*prop_filters, test="anyof", card=ADA):
    return filters.parse(filter_element(*prop_filters, test=test)).matches(card)


# -- section 10.5.1: prop-filter ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prop_filter", "expected"),
    [
        (prop("EMAIL"), True),
        (prop("email"), True),
        (prop("TITLE"), True),  # it is there, without a value
        (prop("ROLE"), False),
        (prop("ROLE", NOT_DEFINED), True),
        (prop("EMAIL", NOT_DEFINED), False),
        (prop("ROLE", text("")), False),
        (prop("ROLE", no("x")), False),  # not to match, it must be there
        (prop("item1.EMAIL"), True),
        (prop("ITEM1.email"), True),
        (prop("item2.EMAIL"), False),
        (prop("item2.EMAIL", NOT_DEFINED), True),
        (prop("item1.EMAIL", text(".org")), True),
        (prop("item1.EMAIL", text(".com")), False),
        (prop("EMAIL", text(".org")), True),
        (prop("BEGIN"), False),
    ],
)
def test_a_property_is_found_by_its_name_and_group(prop_filter, expected):
    assert matches(prop_filter) is expected


@pytest.mark.parametrize(
    ("conditions", "any_of", "all_of"),
    [
        ([text("ada"), text("nobody")], True, False),
        ([text("ada"), text("example")], True, True),
        # .org and .com are two EMAILs, and no one is both.
        ([text(".org"), text(".com")], True, False),
        ([text(".org"), param("TYPE", text("HOME", "equals"))], True, True),
        ([text(".com"), param("TYPE", text("HOME", "equals"))], True, False),
        ([text("nobody"), param("TYPE", text("FAX"))], False, False),
    ],
)
def test_conditions_are_asked_of_one_property_of_the_card(conditions, any_of, all_of):
    assert matches(prop("EMAIL", *conditions)) is any_of
    assert matches(prop("EMAIL", *conditions, test="allof")) is all_of


def test_prop_filters_are_joined_by_the_filters_own_test():
    found, missing = prop("FN", text("ada")), prop("FN", text("bob"))

    assert matches(found, missing)
    assert not matches(found, missing, test="allof")
    assert matches(found, prop("ROLE", NOT_DEFINED), test="allof")
    assert matches()
    assert matches(test="allof")


# -- section 10.5.4: text-match ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sought", "kinds"),
    [
        ("ada lovelace", {"contains", "equals", "starts-with", "ends-with"}),
        ("ada", {"contains", "starts-with"}),
        ("lovelace", {"contains", "ends-with"}),
        ("a l", {"contains"}),
        ("", {"contains", "starts-with", "ends-with"}),
        ("ada lovelace jr.", set()),
        (" ada", set()),
    ],
)
def test_the_match_type_says_where_the_text_is_looked_for(sought, kinds):
    all_kinds = ["contains", "equals", "starts-with", "ends-with"]
    assert {kind for kind in all_kinds if matches(prop("FN", text(sought, kind)))} == kinds
    assert {kind for kind in all_kinds if matches(prop("FN", no(sought, kind)))} == set(all_kinds) - kinds


@pytest.mark.parametrize(
    ("prop_filter", "expected"),
    [
        (prop("EMAIL", no(".com")), True),  # one of two doesn't contain it
        (prop("EMAIL", no("example")), False),
        (prop("EMAIL", no(".com"), no(".org")), True),
        (prop("EMAIL", no(".com"), no(".org"), test="allof"), False),
        (prop("CATEGORIES", no("PERSON", "equals")), False),  # it is one of its categories
        (prop("CATEGORIES", no("COMPANY", "equals")), True),
        (prop("TEL", param("TYPE", no("HOME", "equals"))), True),
        (prop("EMAIL", param("TYPE", no("HOME", "equals")), text(".org"), test="allof"), False),
        (prop("NICKNAME", param("TYPE", no("HOME"))), False),  # not to match, it must be there
    ],
)
def test_a_negated_condition_is_met_by_one_property_that_does_not_match(prop_filter, expected):
    assert matches(prop_filter) is expected


@pytest.mark.parametrize(
    ("name", "sought", "kind"),
    [
        ("N", "Lovelace", "equals"),
        ("N", "ada", "equals"),
        ("N", "Augusta", "equals"),
        ("N", "Byron,Augusta", "equals"),
        ("N", "Lady; Countess", "equals"),
        ("N", "Lovelace;Ada", "starts-with"),
        ("N", "lovelace;ada;byron,augusta;lady; countess;", "equals"),
        ("ORG", "Analytical Engines, Ltd.", "equals"),
        ("ORG", "sales", "equals"),
        ("NICKNAME", "Enchantress", "equals"),
        ("NICKNAME", "Countess,Enchantress", "equals"),
        ("CATEGORIES", "person", "equals"),
        ("TEL", "+33-1-5", "equals"),
        ("TEL", "+33", "starts-with"),
        ("TEL", "tel:+33-1-5;ext=7", "equals"),
        ("NOTE", "C:\\temp\nsecond line, end", "equals"),
        ("NOTE", "line, end", "ends-with"),
        ("ADR", "žďár", "equals"),
        ("TITLE", "", "equals"),
        ("VERSION", "3.0", "equals"),
        ("UID", "ADA-1", "equals"),
        ("X-ABLABEL", "mill", "equals"),
    ],
)
def test_a_property_is_compared_by_its_value_as_people_read_it_and_by_its_parts(name, sought, kind):
    assert matches(prop(name, text(sought, kind)))


@pytest.mark.parametrize(
    ("name", "sought"),
    [("N", ""), ("NOTE", "second line"), ("FN", "Ada"), ("TEL", "7"), ("ORG", "Ltd."), ("NOTE", r"C:\\temp")],
)
def test_nothing_else_equals_a_property(name, sought):
    assert not matches(prop(name, text(sought, "equals")))


@pytest.mark.parametrize(("parts", "found"), [(10_000, True), (10_001, False)])
def test_a_value_of_more_parts_than_anybody_has_is_compared_as_a_whole_only(parts, found):
    value = "ab;" * parts + "last"
    card = vcard.Card.parse(f"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u\r\nN:{value}\r\nEND:VCARD\r\n".encode())

    assert matches(prop("N", text("last", "equals")), card=card) is found
    assert matches(prop("N", text("last")), card=card)


# -- section 10.5.2: param-filter --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prop_filter", "expected"),
    [
        (prop("TEL", param("TYPE")), True),
        (prop("TEL", param("type", text("home", "equals"))), True),
        (prop("TEL", param("TYPE", text("VOICE", "equals"))), True),
        (prop("EMAIL", param("TYPE", text("home", "equals"))), True),
        (prop("TEL", param("TYPE", text("fax"))), False),
        (prop("TEL", param("TYPE", NOT_DEFINED)), True),
        (prop("EMAIL", param("TYPE", NOT_DEFINED)), False),
        (prop("FN", param("TYPE", NOT_DEFINED)), True),
        (prop("FN", param("TYPE")), False),
        (prop("TEL", param("VALUE", text("uri", "equals")), text("+33"), test="allof"), True),
        (prop("ADR", param("X-LABEL", text('teich\nprag, "hof"', "ends-with"))), True),
    ],
)
def test_a_parameter_is_found_by_its_name_and_values(prop_filter, expected):
    assert matches(prop_filter) is expected


# -- section 8.3: collations -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "sought", "collations"),
    [
        ("Ada", "Ada", {"i;octet", "i;ascii-casemap", "i;unicode-casemap"}),
        ("Ada", "aDA", {"i;ascii-casemap", "i;unicode-casemap"}),
        ("ÄDA", "äda", {"i;unicode-casemap"}),
        ("Äda", "ÄDA", {"i;ascii-casemap", "i;unicode-casemap"}),
        ("a\u0308", "ä", {"i;unicode-casemap"}),
        ("ΟΔΟΣ", "οδος", {"i;unicode-casemap"}),
        ("Ⅳ", "iv", {"i;unicode-casemap"}),
        ("ﬁ", "fi", set()),  # RFC 5051 decomposes what was put into titlecase, and does not do that again
        ("ＡＢ", "ab", {"i;unicode-casemap"}),
        ("ı", "I", {"i;unicode-casemap"}),
        ("ß", "ss", set()),
        ("\u01c4", "D\u017e", set()),
        ("\u01c4", "\u01c6", {"i;unicode-casemap"}),
    ],
)
def test_texts_are_equal_by_some_collations(written, sought, collations):
    card = vcard.Card.parse(b"BEGIN:VCARD\r\n" + vcard.build_line("X-A", written).raw + b"END:VCARD\r\n")

    found = {name for name in COLLATIONS if matches(prop("X-A", text(sought, "equals", name)), card=card)}
    assert found == collations


def test_the_example_of_rfc_5051_is_mapped_as_it_says():
    assert vcard.casemap("\u01c4") == "\u0044\u007a\u030c"


def all_characters():
    return [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]


def test_every_character_is_folded_to_the_same_whatever_its_case_and_composition():
    """On this rests that the index loses nothing: what a collation takes for equal is equal in it."""
    for one in all_characters():
        if one == "\x00":
            continue
        folded = vcard.fold(one)
        assert folded
        assert folded == vcard.fold(one.casefold()) == vcard.fold(one.lower()) == vcard.casemap(one).casefold()
        assert (not folded.strip()) == (not one.strip())


@given(st.text(), st.text(), st.text())
def test_folding_and_casemapping_go_character_by_character(before, inside, after):
    for made in (vcard.fold, *COLLATIONS.values()):
        assert made(before + inside + after) == made(before) + made(inside) + made(after)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_casemapping_decomposes_as_unicode_does_but_for_the_order_of_accents(written):
    titled = "".join(one.title() if len(one.title()) == 1 else one for one in written)
    assert sorted(vcard.casemap(written)) == sorted(unicodedata.normalize("NFKD", titled))


# -- the index ---------------------------------------------------------------------------------------------------------

NASTY = "aAäÄßẞſsSſIiİıσςΣﬁfiǆǅǄ\u0308\u030c\u0345ͅK각가\u1100Ａ１½Ⅳªº,;\\: \u00a0\u3000\t%_'\"x0+"
OTHERS = st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\ufffe\uffff")
PIECES = st.text(st.one_of(st.sampled_from(NASTY), OTHERS), max_size=8)
NAMES = ("FN", "N", "NICKNAME", "ORG", "TITLE", "EMAIL", "TEL", "ADR", "NOTE", "CATEGORIES", "UID", "X-OTHER")
KINDS = ("contains", "equals", "starts-with", "ends-with")


@st.composite
def lines(draw):
    """A content line of any searched property: well escaped or not, perhaps folded, with parameters or marks."""
    name = draw(st.sampled_from(NAMES[:-2]))
    value = draw(PIECES)
    params = []
    ways = ["escaped", "raw", "typed", "structured", "tel", "carried", "quoted-printable", "valued", "alternative"]
    match draw(st.sampled_from(ways)):
        case "escaped":
            value = vcard.escape(value)
        case "typed":
            params = [("TYPE", [draw(st.sampled_from(["home", "PREF", "internet", "x400"]))]), ("PREF", ["2"])]
        case "alternative":
            params = [("ALTID", [draw(st.sampled_from("12"))]), ("LANGUAGE", ["de"])]
        case "structured":
            value = ";".join([vcard.escape(value), draw(PIECES), ",".join([vcard.escape(value), draw(PIECES)])])
        case "tel":
            name, params = "TEL", [("VALUE", ["uri"])]
            value = f"tel:{value.replace(';', '')};ext={draw(st.sampled_from(['1', 'ä', '%41']))}"
        case "carried":
            name = draw(st.sampled_from(["X-VCARD3-", "X-VCARD4-"])) + name
        case "quoted-printable":
            params = [("ENCODING", ["QUOTED-PRINTABLE"])]
            value = "".join(f"={byte:02X}" for byte in value.encode()) + draw(
                st.sampled_from(["", "=01b", "=0A", "=00"])
            )
        case "valued":
            mark = draw(st.sampled_from(["X-VCARD3-VALUE", "X-VCARD4-VALUE"]))
            params = [(mark, [draw(PIECES).replace("\t", " ")])]
    line = vcard.build_line(name, "".join(value.splitlines()), params)
    at = draw(st.one_of(st.none(), st.integers(1, 30)))
    folded = at is not None and at < len(line.raw) - 2 and name.isascii() and line.raw[:at].isascii()
    return vcard.Card.parse(
        b"BEGIN:VCARD\r\n" + (line.raw[:at] + b"\r\n " + line.raw[at:] if folded else line.raw) + b"END:VCARD\r\n"
    ).lines[0]


@st.composite
def any_cards(draw):
    version = draw(st.sampled_from(["3.0", "4.0"]))
    uid = vcard.build_line("UID", vcard.escape(draw(PIECES)))
    named = [vcard.build_line(name, draw(PIECES)) for name in draw(st.sampled_from([(), ("FN",), ("N",), ("FN", "N")]))]
    body = [uid, *named, *draw(st.lists(lines(), max_size=5))]
    data = f"BEGIN:VCARD\r\nVERSION:{version}\r\n".encode() + b"".join(one.raw for one in body) + b"END:VCARD\r\n"
    return vcard.Card.parse(data)


@st.composite
def sought_in(draw, card):
    """(name, text): a part of one of a card's properties in either version, perhaps written otherwise."""
    read = [line for one in (card, other_version(card)) for line in one.lines if line.name in NAMES]
    line = draw(st.sampled_from(read))
    whole = draw(st.sampled_from(list(filters.texts_of(line))))
    start = draw(st.integers(0, len(whole)))
    part = whole[start : start + draw(st.integers(1, 6))]
    change = draw(
        st.sampled_from([str, str.upper, str.lower, str.title, str.casefold, *map(normalised, ("NFC", "NFD", "NFKD"))])
    )
    return line.name, "".join(one for one in change(part) if one >= " " or one == "\t")


def normalised(form):
    return lambda text: unicodedata.normalize(form, text)


def other_version(card):
    return vcard.convert(card, "4.0" if card.version == "3.0" else "3.0")


@st.composite
def prop_filters(draw, card):
    """A prop-filter that asks for what is in the card, more often than not."""
    name, part = draw(sought_in(card))
    conditions = []
    for _ in range(draw(st.integers(0, 2))):
        kind = draw(st.sampled_from(["contains", "contains", *KINDS]))
        collation = draw(st.sampled_from(["i;unicode-casemap", *COLLATIONS]))
        negate = draw(st.sampled_from(["no", "no", "no", "yes"]))
        conditions.append(text(draw(st.one_of(st.just(part), PIECES)), kind, collation, negate))
    if draw(st.integers(0, 4)) == 0:
        conditions.append(param("TYPE", *draw(st.sampled_from([[], [NOT_DEFINED], [text("a")]]))))
    if not conditions and draw(st.booleans()):
        conditions = [NOT_DEFINED]
    return prop(name, *conditions, test=draw(st.sampled_from(["anyof", "allof"])))


def may_hold(condition, fields):
    """What the database is asked, asked of the fields themselves."""
    match condition:
        case search.Contains(field, sought):
            return vcard.needle(field, sought) in fields[field] or len(fields[field]) >= vcard.MAX_FIELD_LENGTH
        case search.AllOf(parts):
            return all(may_hold(part, fields) for part in parts)
        case search.AnyOf(parts):
            return any(may_hold(part, fields) for part in parts)
    raise AssertionError(condition)


def assert_found(wanted, card):
    held = may_hold(wanted.narrowed(), vcard.search_fields(card))
    assert held or not wanted.matches(card)
    if vcard.is_alike(card):
        assert held or not wanted.matches(other_version(card))


@pytest.mark.parametrize("name", NAMES[:-1])
@pytest.mark.parametrize("value", [r"aß;\u00c4b,c; ;x\;y\,z\n;", "ﬁＡ½;각ǆ\u0308;İı", r"tel:+1%2C;ext=4;\\;  ; a"])
def test_every_part_of_a_value_is_among_those_the_index_gives(name, value):
    card = vcard.Card.parse(
        b"BEGIN:VCARD\r\nVERSION:4.0\r\n"
        + vcard.build_line(name, value, [("VALUE", ["uri"])] if name == "TEL" else []).raw
        + b"END:VCARD\r\n"
    )
    whole = card.text(name)
    for start, end in combinations(range(len(whole) + 1), 2):
        part = whole[start:end].replace("\n", "&#10;")
        for collation in COLLATIONS:
            wanted = filters.parse(filter_element(prop(name, text(part, collation=collation).replace("&amp;#", "&#"))))
            assert wanted.matches(card)
            assert_found(wanted, card)


@examples(300)
@given(card=any_cards(), data=st.data())
def test_a_card_that_contains_a_text_is_among_those_the_index_gives(card, data):
    name, part = data.draw(sought_in(card))

    for collation in COLLATIONS:
        assert_found(filters.parse(filter_element(prop(name, text(part, collation=collation)))), card)


@examples(200)
@given(card=any_cards(), data=st.data())
def test_a_card_that_matches_is_among_those_the_index_gives(card, data):
    some = data.draw(st.lists(prop_filters(card), max_size=3))
    wanted = filters.parse(filter_element(*some, test=data.draw(st.sampled_from(["anyof", "allof"]))))

    assert_found(wanted, card)


@examples(100)
@given(any_cards())
def test_a_card_is_alike_in_both_versions_if_and_only_if_its_searched_texts_are(card):
    assert vcard.is_alike(card) == (vcard.search_fields(other_version(card)) == vcard.search_fields(card))


def test_an_ordinary_card_is_alike_in_both_versions_and_odd_ones_are_not():
    ordinary = b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:1\r\nFN:Ada\r\nN:Ada;;;;\r\nTEL;TYPE=CELL:+49\r\nEND:VCARD\r\n"
    assert vcard.is_alike(vcard.Card.parse(ordinary))
    assert vcard.is_alike(vcard.Card.parse(ordinary.replace(b"3.0", b"4.0")))
    assert not vcard.is_alike(vcard.Card.parse(ordinary.replace(b"N:Ada;;;;\r\n", b"").replace(b"3.0", b"4.0")))
    assert not vcard.is_alike(vcard.Card.parse(ordinary.replace(b"3.0", b"2.1")))


def test_only_what_the_index_can_tell_narrows():
    held, other = prop("FN", text("a")), prop("NOTE", text("b"))
    fn, note = search.Contains("fn", "a"), search.Contains("note", "b")
    unknown = [
        prop("FN"),
        prop("FN", NOT_DEFINED),
        prop("FN", no("a")),
        prop("X-OTHER", text("a")),
        prop("TEL", param("TYPE")),
        prop("TEL", text("1"), param("TYPE")),
    ]

    def narrowed(*some, test="anyof"):
        return filters.parse(filter_element(*some, test=test)).narrowed()

    assert narrowed(held, other) == search.AnyOf((search.AnyOf((fn,)), search.AnyOf((note,))))
    assert narrowed(held, test="allof") == search.AllOf((search.AnyOf((fn,)),))
    assert narrowed() == search.EVERY
    for one in unknown:
        assert narrowed(one) == narrowed(one, held) == narrowed(one, test="allof") == search.EVERY
        assert narrowed(one, held, test="allof") == narrowed(held, test="allof")
    both = prop("TEL", text("1"), param("TYPE"), test="allof")
    assert narrowed(both) == search.AnyOf((search.AllOf((search.Contains("tel", "1"),)),))


@pytest.mark.parametrize(("first", "second"), list(product(["anyof", "allof"], repeat=2)))
def test_a_filter_decides_the_same_whatever_the_order_of_its_parts(first, second):
    one, two = prop("EMAIL", text(".org"), no(".com"), test=second), prop("ROLE", NOT_DEFINED)

    assert matches(one, two, test=first) == matches(two, one, test=first)

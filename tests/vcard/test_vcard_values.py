"""Escapes, separators, parameters' carets and folded texts (RFC 6350, section 3.4; RFC 6868)."""

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.vcard import components, escape, fold, items, unescape
from radicale_shared.vcard.values import caret_decode, caret_encode, decode, percent_decoded, quoted_printable


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r"one\, two\; three\\four", r"one, two; three\four"),
        (r"first\nsecond\Nthird", "first\nsecond\nthird"),
        (r"http\://www.example.org", "http://www.example.org"),
        (r"C:\temp\x", r"C:\temp\x"),
        (r"\\n", r"\n"),
        ("ends in \\", "ends in \\"),
        ("plain, unescaped; note", "plain, unescaped; note"),
    ],
)
def test_unescape_reads_what_real_cards_write(written, read):
    assert unescape(written) == read


@given(st.text(st.sampled_from("%=4aF1 _\tzä.\r\n")))
def test_percents_are_read_as_python_reads_them(text):
    assert percent_decoded(text) == unquote_to_bytes(text)


@given(st.text(st.sampled_from("\\nN,;:x\n")))
def test_of_two_backslashes_the_first_is_the_one_that_escapes(text):
    read, rest = "", text
    while rest:
        escaped = rest[0] == "\\" and rest[1:2] in set("\\,;:nN") - {""}
        read += rest[1].replace("n", "\n").replace("N", "\n") if escaped else rest[0]
        rest = rest[2:] if escaped else rest[1:]

    assert unescape(text) == read


@given(st.text(st.characters(exclude_characters="\r")))
def test_unescape_gives_back_what_was_escaped(text):
    assert unescape(escape(text)) == text


@given(st.text())
def test_an_escaped_text_is_one_line_and_one_component_and_one_item(text):
    written = escape(text)

    assert "\n" not in written
    assert "\r" not in written
    assert components(written) == [written]
    assert items(written) == [written]


@pytest.mark.parametrize("text", ["a\r\nb", "a\rb", "a\nb"])
def test_every_kind_of_line_break_is_escaped_to_the_only_one(text):
    assert escape(text) == r"a\nb"


@given(st.lists(st.text(st.characters(exclude_characters="\r")), min_size=1))
def test_components_and_items_split_at_unescaped_separators_only(texts):
    written = [escape(text) for text in texts]

    assert [unescape(part) for part in components(";".join(written))] == texts
    assert [unescape(part) for part in items(",".join(written))] == texts


def test_a_component_can_hold_a_list():
    additional = components(r"Stevenson;John;Philip,Paul\, Jr.;Dr.;")[2]

    assert [unescape(item) for item in items(additional)] == ["Philip", "Paul, Jr."]


@given(st.text(st.characters(exclude_characters="\r")))
def test_caret_decoding_gives_back_what_was_encoded(text):
    written = caret_encode(text)

    assert caret_decode(written) == text
    assert '"' not in written
    assert "\n" not in written


def test_an_unknown_caret_stays():
    assert caret_decode("a^xb^") == "a^xb^"


@given(st.text(), st.text(), st.text())
def test_a_folded_text_contains_every_folded_part_of_it(before, part, after):
    assert fold(part) in fold(before + part + after)


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        ("Bär".encode(), "ISO-8859-1", "Bär"),  # UTF-8 comes before what is declared
        (b"B\xe4r", "iso-8859-1", "Bär"),
        (b"B\xe4r", "", "B\ufffdr"),
        (b"B\xe4r", "punycode", "B\ufffdr"),
        (b"B\xe4r", "cp999", "B\ufffdr"),
    ],
)
def test_text_that_is_no_utf8_is_read_by_a_known_charset_or_marked(data, charset, text):
    assert decode(data, charset) == text


def test_quoted_printable_is_decoded_with_its_charset():
    assert quoted_printable("Gr=FC=DFe=0D=0Aaus =\u00e4", "iso-8859-1").startswith("Grüße\naus ")

"""Content lines: cutting, folding, reading and building one (RFC 6350, section 3.2 and 3.3)."""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from radicale_shared.vcard import ContentLine, build_line, content_lines, fold_line, unfold

LINE_ENDS = st.sampled_from([b"\r\n", b"\n", b"\r"])
TOKENS = st.text("ABCXYZ-019", min_size=1)
ONE_LINE = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))
PARAM_VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('\n\t":;,^'))
HOSTILE = st.lists(
    st.sampled_from(
        [b"A", b"\xc3", b'"', b":", b";", b"=", b",", b".", b" ", b"\t", b"\r", b"\n", b"\r\n", b"^", b"\\"]
    )
    | st.sampled_from(
        [b"BEGIN:VCARD", b"END:VCARD", b"AGENT:", b"\r\n ", b"ENCODING=", b"QUOTED-PRINTABLE", b"CHARSET="]
    )
).map(b"".join)


@given(HOSTILE | st.binary())
def test_lines_joined_are_the_bytes_they_were_cut_from(data):
    lines = list(content_lines(data))

    assert b"".join(line.raw for line in lines) == data
    for line in lines:  # whatever a line holds, reading it never fails
        assert isinstance(line.text, str)
        assert isinstance(line.params, tuple)


@pytest.mark.parametrize("eol", [b"\r\n", b"\n", b"\r"])
def test_every_kind_of_line_end_and_fold_is_understood(eol):
    data = eol.join([b"FN:Ada", b" ", b"\tLove", b" lace", b"NOTE:x", b""])

    assert [(line.name, line.value) for line in content_lines(data)] == [("FN", "AdaLovelace"), ("NOTE", "x")]


@given(ONE_LINE, LINE_ENDS)
@example("é" * 200, b"\r\n")
@example("🌻" * 200, b"\n")
def test_unfold_gives_back_what_was_folded(text, eol):
    assert unfold(fold_line(text.encode(), eol)) == text.encode()


@given(ONE_LINE)
@example("a" + "é" * 200)
@example("ab" + "🌻" * 200)
def test_no_folded_line_is_longer_than_75_octets_or_cuts_a_character(text):
    for line in fold_line(text.encode()).split(b"\r\n"):
        assert len(line) <= 75
        line.decode()


def test_a_fold_that_cuts_a_character_is_read():
    assert ContentLine(b"FN:J\xc3\r\n \xb6rg\r\n").value == "Jörg"


def test_group_name_parameters_and_value_are_read_from_the_line():
    line = ContentLine(b"item1.Tel;type=CELL;type=pref,Home;x-a=b:+49 30 1\r\n")

    assert (line.group, line.name, line.value) == ("item1", "TEL", "+49 30 1")
    assert line.params == (("TYPE", ("CELL",)), ("TYPE", ("pref", "Home")), ("X-A", ("b",)))
    assert line.param("type") == ("CELL", "pref", "Home")
    assert line.param("none") == ()


@pytest.mark.parametrize(
    ("raw", "params", "value"),
    [
        (b"TEL;CELL;VOICE:1", (("TYPE", ("CELL",)), ("TYPE", ("VOICE",))), "1"),
        (b'X;A="b:c;d,e":1', (("A", ("b:c;d,e",)),), "1"),
        (b'X;A="b",c,"d,e":1', (("A", ("b", "c", "d,e")),), "1"),
        (b'X;A="^^b^nc^\'d^x":1', (("A", ('^b\nc"d^x',)),), "1"),
        (b'X;A="never closed:1', (("A", ('"never closed',)),), "1"),
        (b"X;A=:1", (("A", ("",)),), "1"),
        (b"X;;:1", (), "1"),
        (b'X;A="b\r\n :c":1', (("A", ("b:c",)),), "1"),
        (b'X;A="b:\r\n c":1', (("A", ("b:c",)),), "1"),
        (b"X;A\r\n =b:1", (("A", ("b",)),), "1"),
        (b"X;A=a==;B=b:c:d", (("A", ("a==",)), ("B", ("b",))), "c:d"),
    ],
)
def test_parameters_are_read_as_clients_write_them(raw, params, value):
    line = ContentLine(raw)

    assert (line.name, line.params, line.value) == ("X" if raw[:1] == b"X" else "TEL", params, value)


def test_a_quoted_type_counts_as_several_values():
    assert ContentLine(b'TEL;TYPE="voice,home":1').param("TYPE") == ("voice", "home")


@pytest.mark.parametrize("raw", [b"FN\r\n", b"\r\n", b"no colon; here\r\n", b":nameless\r\n"])
def test_a_line_that_is_no_content_line_is_opaque(raw):
    line = ContentLine(raw)

    assert (line.name, line.group, line.params) == ("", "", ())
    assert line.value == raw.strip().decode()


def test_a_quoted_printable_line_takes_its_soft_breaks_along():
    lines = list(content_lines(b"NOTE;ENCODING=QUOTED-PRINTABLE:a=C3=\r\n=A4=\r\n b\r\nFN:x=\r\nTEL:1\r\n"))

    assert [(line.name, line.text) for line in lines] == [("NOTE", "aä b"), ("FN", "x="), ("TEL", "1")]


@pytest.mark.parametrize("mark", [b"BEGIN:VCARD\r\n", b"end:vcard\r\n"])
def test_a_soft_break_never_takes_the_begin_or_end_of_a_card(mark):
    lines = list(content_lines(b"NOTE;QUOTED-PRINTABLE:a=\r\n" + mark))

    assert [line.raw for line in lines] == [b"NOTE;QUOTED-PRINTABLE:a=\r\n", mark]


@given(
    name=TOKENS,
    value=ONE_LINE,
    params=st.lists(st.tuples(TOKENS, st.lists(PARAM_VALUES, min_size=1, max_size=3))),
    group=st.just("") | TOKENS,
    eol=LINE_ENDS,
)
def test_a_built_line_reads_back_as_what_it_was_built_from(name, value, params, group, eol):
    line = build_line(name, value, params, group, eol)

    assert (line.name, line.group, line.value) == (name, group, value)
    assert line.params == tuple((key, tuple(values)) for key, values in params)
    assert line.raw.endswith(eol)
    assert [found.raw for found in content_lines(line.raw)] == [line.raw]


@given(st.text("ab= ", max_size=200))
def test_a_built_quoted_printable_line_is_never_folded_into_a_soft_break(value):
    assume(not value.endswith("="))
    line = build_line("NOTE", value, [("ENCODING", ["QUOTED-PRINTABLE"])])

    assert line.value == value


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: build_line("NOTE", "a\nb"),
        lambda: build_line("NOTE", "a\rEND:VCARD"),
        lambda: build_line("NO TE", "a"),
        lambda: build_line("", "a"),
        lambda: build_line("a.b", "a"),
        lambda: build_line("NOTE", "a", group="x:y"),
        lambda: build_line("NOTE", "a", [("X=", ["b"])]),
        lambda: build_line("NOTE", "a", [("X", ["b\x00"])]),
        lambda: build_line("NOTE", "a", [("X", ["b\r"])]),
        lambda: build_line("NOTE", "\ud800"),
        lambda: build_line("NOTE", "a=", [("ENCODING", ["QUOTED-PRINTABLE"])]),
    ],
)
def test_what_no_line_can_hold_is_not_built(wrong):
    with pytest.raises(ValueError, match=r"\w"):
        wrong()


def test_lines_cannot_be_changed_and_are_equal_by_their_bytes():
    line = ContentLine(b"FN:Ada\r\n")

    with pytest.raises(AttributeError):
        line.name = "N"
    assert line == ContentLine(b"FN:Ada\r\n")
    assert hash(line) == hash(ContentLine(b"FN:Ada\r\n"))
    assert line != ContentLine(b"FN:Ada\n")


def test_what_is_printed_of_a_line_or_a_card_is_not_its_content(ada):
    assert "Lovelace" not in repr(ada) + repr(ada.lines)

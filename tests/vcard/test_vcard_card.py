"""Whole cards: read and written without loss, edited one line at a time; files of many cards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.errors import NotAVCardError
from radicale_shared.vcard import Card, ContentLine, build_line, escape, split_cards

LINE_ENDS = st.sampled_from([b"\r\n", b"\n", b"\r"])
PIECES = st.sampled_from(
    [b"FN:x", b"TEL;CELL:1", b"NOTE;QUOTED-PRINTABLE:a=", b"NOTE:", b" folded", b"\tfolded", b"", b" ", b"opaque", b"=",
     b"AGENT:", b"AGENT:BEGIN:VCARD", b"BEGIN:VCARD", b"END:VCARD", b"begin : vcard", b"item1.X;A=\"b", b"\xef\xbb\xbf",
     b"BEGIN:VLIST", b"UID:1", b"\xff\x00"]
)  # fmt: skip
FILES = st.lists(st.tuples(PIECES, LINE_ENDS | st.just(b"")).map(b"".join), max_size=30).map(b"".join)
BODIES = st.lists(st.tuples(PIECES, LINE_ENDS).map(b"".join), max_size=15).map(b"".join)
CARDS = st.tuples(
    st.sampled_from([b"", b"\xef\xbb\xbf", b"\r\n\n"]),
    st.sampled_from([b"BEGIN:VCARD\r\n", b"BEGIN:VCARD\n", b"begin:vcard\r"]),
    BODIES,
    st.sampled_from([b"END:VCARD", b"end:vcard\r\n", b"END:VCARD\n\r\n \n"]),
).map(b"".join)


def parsed(data: bytes) -> Card | None:
    try:
        return Card.parse(data)
    except NotAVCardError:
        return None


@given(CARDS | FILES | st.binary())
def test_what_is_read_is_written_back_byte_for_byte(data):
    card = parsed(data)

    assert card is None or card.serialise() == data


def test_every_card_of_the_corpus_is_written_back_byte_for_byte(corpus_file):
    cards = list(split_cards(corpus_file))

    assert cards
    assert all(Card.parse(card).serialise() == card for card in cards)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf\r\n\r\n", "empty"),
        (b"<html>", "doesn't begin"),
        (b"FN:x\r\nBEGIN:VCARD\r\nEND:VCARD\r\n", "doesn't begin"),
        (b"BEGIN:VLIST\r\nEND:VLIST\r\n", "doesn't begin"),
        (b"BEGIN:VCARD\r\nFN:x\r\n", "no END"),
        (b"BEGIN:VCARD\r\nFN:x\r\nEND:VC", "no END"),
        (b"BEGIN:VCARD\r\nBEGIN:VCARD\r\nEND:VCARD\r\n", "before the first one has ended"),
        (b"BEGIN:VCARD\r\nEND:VCARD\r\nBEGIN:VCARD\r\nEND:VCARD\r\n", "more than one vCard"),
        (b"BEGIN:VCARD\r\nEND:VCARD\r\nEND:VCARD\r\n", "after the vCard's END"),
        (b"BEGIN:VCARD\r\nAGENT:\r\nBEGIN:VCARD\r\nEND:VCARD\r\n", "no END"),
    ],
)
def test_what_is_not_exactly_one_card_is_refused_with_a_reason(data, reason):
    with pytest.raises(NotAVCardError, match=reason):
        Card.parse(data)


def test_blank_lines_and_a_byte_order_mark_around_a_card_are_kept():
    data = b"\xef\xbb\xbf\r\nBEGIN:VCARD\r\nFN:x\r\nEND:VCARD\r\n \r\n\r\n"

    assert Card.parse(data).text("fn") == "x"
    assert Card.parse(data).serialise() == data


def test_properties_are_found_whatever_their_case_and_group(ada):
    assert (ada.version, ada.uid) == ("3.0", "ada-1")
    assert ada.texts("tel") == ["+49 30 1", "+49 30 2"]
    assert ada.first("x-ablabel").group == "item1"
    assert [line.value for line in ada.all("Tel")] == ["+49 30 1", "+49 30 2"]
    assert ada.first("NOTE") is None
    assert ada.text("NOTE") == ""
    assert ada.texts("NOTE") == []


def test_a_nested_card_is_part_of_its_agent_line(corpus):
    card = Card.parse(corpus("agent-2.1"))

    assert card.uid == "chef-1"
    assert card.texts("FN") == ["Carla Chef"]
    assert "FN:Arne Assistent" in card.first("AGENT").value


@pytest.mark.parametrize(
    "opening", [b"AGENT:\r\nBEGIN:VCARD\r\n", b"AGENT:BEGIN:VCARD\r\n", b"a.agent;x=y: \nbegin:vcard\n"]
)
def test_nested_cards_nest_to_any_depth(opening):
    deep = b"BEGIN:VCARD\r\n" + opening * 3000 + b"UID:inner\r\n" + b"END:VCARD\r\n" * 3001

    card = Card.parse(deep)

    assert len(card.lines) == 1
    assert card.uid == ""
    assert card.serialise() == deep
    assert list(split_cards(deep)) == [deep]


@given(CARDS, st.data())
def test_editing_one_line_leaves_the_bytes_of_all_others(data, choose):
    card = parsed(data)
    if card is None or not card.lines:
        return
    at = choose.draw(st.integers(0, len(card.lines) - 1))
    line = card.lines[at]
    before = card.head + b"".join(other.raw for other in card.lines[:at])
    after = b"".join(other.raw for other in card.lines[at + 1 :]) + card.tail

    assert card.remove(line).serialise() == before + after
    replaced = card.replace_line(line, b"X-NEW:1").serialise()
    assert replaced == before + b"X-NEW:1" + card.eol + after
    assert card.serialise() == data


@given(CARDS, st.text(st.characters(exclude_categories=["Cs"])))
def test_a_line_put_into_a_card_is_found_in_it_when_it_is_read_again(data, text):
    card = parsed(data)
    if card is None:
        return

    again = Card.parse(card.append(build_line("X-NEW", escape(text), eol=card.eol)).serialise())

    assert again.first("X-NEW").value == escape(text)
    assert len(again.lines) == len(card.lines) + 1


def test_replacing_a_value_keeps_group_name_and_parameters_as_written(ada):
    edited = ada.replace_value(ada.first("TEL"), "+49 30 3")

    assert b"\r\nitem1.TEL;type=CELL;type=pref:+49 30 3\r\n" in edited.serialise()
    assert ada.texts("TEL") == ["+49 30 1", "+49 30 2"]


def test_of_two_equal_lines_the_one_that_is_meant_is_edited():
    card = Card.parse(b"BEGIN:VCARD\nTEL:1\nFN:x\nTEL:1\nEND:VCARD\n")

    edited = card.remove(card.all("TEL")[1])

    assert edited.serialise() == b"BEGIN:VCARD\nTEL:1\nFN:x\nEND:VCARD\n"


def test_new_lines_use_the_line_ending_of_the_card(corpus):
    card = Card.parse(corpus("arabic-lf-only"))

    edited = card.append(build_line("NOTE", "x" * 200)).append(b"TITLE:y\r\n")
    edited = edited.replace_value(edited.first("FN"), "z" * 100)

    assert b"\r" not in edited.serialise()
    assert (edited.text("NOTE"), edited.texts("NOTE")[1], edited.text("TITLE")) == (card.text("NOTE"), "x" * 200, "y")


def test_a_line_is_never_appended_behind_an_open_soft_break():
    card = Card.parse(b"BEGIN:VCARD\nNOTE;QUOTED-PRINTABLE:a=\nEND:VCARD\n").append(b"UID:1\n")

    assert Card.parse(card.serialise()).uid == "1"


@pytest.mark.parametrize(
    "raw",
    [b"", b"\r\n", b" FN:x", b"FN:x\r\nTEL:1", b"END:VCARD", b"BEGIN:VCARD\r\n", b"FN:x\nEND:VCARD\nBEGIN:VCARD",
     b"NOTE;QUOTED-PRINTABLE:a="],
)  # fmt: skip
def test_what_is_not_one_line_is_not_put_into_a_card(ada, raw):
    with pytest.raises(ValueError, match="not one line"):
        ada.append(raw)
    with pytest.raises(ValueError, match="not one line"):
        ada.replace_line(ada.first("FN"), ContentLine(raw))


def test_a_line_of_another_card_or_a_value_with_a_line_break_is_not_edited(ada):
    with pytest.raises(ValueError, match="not in this card"):
        ada.remove(ContentLine(b"FN:Somebody\r\n"))
    with pytest.raises(ValueError, match="line break"):
        ada.replace_value(ada.first("FN"), "Ada\nEND:VCARD")
    with pytest.raises(ValueError, match="without a name"):
        Card.parse(b"BEGIN:VCARD\nFN\nEND:VCARD").replace_value(ContentLine(b"FN\n"), "x")


def test_folds_that_cut_characters_can_be_mended_without_changing_what_is_said(corpus):
    card = Card.parse(corpus("japanese-cut-folds"))

    mended = card.with_whole_characters()

    mended.serialise().decode()
    assert [line.value for line in mended.lines] == [line.value for line in card.lines]
    assert mended.first("UID") is card.first("UID")


@given(FILES | CARDS)
def test_splitting_a_file_drops_nothing_but_blank_lines_and_byte_order_marks(data):
    pieces = b"".join(split_cards(data))

    assert b"".join(pieces.replace(b"\xef\xbb\xbf", b"").split()) == b"".join(
        data.replace(b"\xef\xbb\xbf", b"").split()
    )


@given(st.lists(CARDS.filter(parsed)))
def test_a_file_of_cards_is_split_into_these_cards(cards):
    found = list(split_cards(b"\r\n".join(cards)))

    assert [Card.parse(card).lines for card in found] == [Card.parse(card).lines for card in cards]


def test_a_file_with_mixed_line_ends_and_a_byte_order_mark_is_split(corpus):
    cards = [Card.parse(card) for card in split_cards(corpus("many-cards-mixed-line-ends"))]

    assert [card.text("FN") for card in cards] == ["Erste Karte", "Zweite Karte", "Dritte Karte", "Vierte Karte"]


def test_junk_and_unfinished_cards_are_given_as_pieces_of_their_own():
    good = b"BEGIN:VCARD\nFN:good\nEND:VCARD\n"

    pieces = list(
        split_cards(b"\njunk\n\nmore\n\n" + good + b"BEGIN:VCARD\nFN:lost its end\n" + good + b"BEGIN:VCARD\nFN:cut")
    )

    assert pieces == [b"junk\n\nmore\n", good, b"BEGIN:VCARD\nFN:lost its end\n", good, b"BEGIN:VCARD\nFN:cut"]
    assert [parsed(piece) is not None for piece in pieces] == [False, True, False, True, False]


def test_quoted_printable_cards_of_2_1_are_read(corpus):
    first, second = (Card.parse(card) for card in split_cards(corpus("quoted-printable-2.1")))

    assert first.text("FN") == "Jürgen Müller"
    assert first.text("ADR") == ";;Grüner Weg 1;Nürnberg;;90000;Deutschland"
    assert first.text("NOTE") == "Grüße\n aus Franken"
    assert second.text("FN") == "Björn Bär"
    assert second.first("PHOTO").param("TYPE") == ("JPEG",)


@pytest.mark.parametrize(
    "body",
    [
        b"NOTE:" + b"x" * 2_000_000,
        b"NOTE:" + b"\n x" * 700_000,
        b"a\n" * 100_000,
        b"\r" * 200_000,
        b'X;Y="' * 400_000,
        b"X;" + b'"' * 1_999_999,
        b"A;" * 1_000_000,
        b"N:" + b"\\;" * 1_000_000,
        b"N;QUOTED-PRINTABLE:a=\n" + b"a=\n" * 200_000,
        b"N;" + b";ENCODING=" * 200_000 + b":x",
        b"AGENT:\n" * 50_000,
    ],
    ids=["line", "folds", "lines", "blanks", "quotes", "open", "bare", "escapes", "soft", "params", "agents"],
)
def test_huge_and_hostile_cards_are_read(body):
    data = b"BEGIN:VCARD\n" + body + b"\nEND:VCARD\n"
    card = Card.parse(data)

    assert card.serialise() == data
    assert all(isinstance(line.text, str) and isinstance(line.params, tuple) for line in card.lines)

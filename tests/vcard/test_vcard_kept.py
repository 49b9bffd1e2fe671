"""Properties that a program never sends are put back into what it sent, where they belong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.vcard import Card, kept, meaning, names_of
from radicale_shared.vcard.meaning import LABELS
from tests.conftest import card

ODD = frozenset({"NICKNAME", "X-ODD", "X-ABLABEL", "X-ABADR", "RELATED", "GEO"})


def put_back(shown, sent, names=ODD):
    """The lines of the result, unfolded, without the frame that all cards here have."""
    whole = kept(Card.parse(card("a", "A", *shown)), Card.parse(card("a", "A", *sent)), names)
    frame = Card.parse(card("a", "A")).lines
    return [line.raw.decode().strip() for line in whole.lines if line not in frame]


@pytest.mark.parametrize(
    ("shown", "sent", "whole"),
    [
        (["NICKNAME:n", "TEL:1"], ["TEL:2"], ["TEL:2", "NICKNAME:n"]),
        (["NICKNAME:n", "NICKNAME:m"], [], ["NICKNAME:n", "NICKNAME:m"]),
        (["NICKNAME:n"], ["NICKNAME:m"], ["NICKNAME:m"]),  # it knows the property
        (["NICKNAME:n", "NICKNAME:m"], ["NICKNAME:m"], ["NICKNAME:m"]),
        (["NICKNAME:n"], ["NICKNAME:"], ["NICKNAME:", "NICKNAME:n"]),  # an empty field of a form says nothing
        (["TEL:1", "EMAIL:2"], [], []),
        (["X-ODD:1", "X-OTHER:2"], [], ["X-ODD:1"]),
        (["X-ODD:"], [], []),
    ],
)
def test_what_is_missing_as_a_whole_is_put_back_as_it_was_shown(shown, sent, whole):
    assert put_back(shown, sent) == whole


@pytest.mark.parametrize(
    ("shown", "sent", "whole"),
    [
        # with its label
        (
            ["item1.X-ODD:1", "item1.X-ABLabel:l", "TEL:2"],
            ["TEL:2"],
            ["TEL:2", "item1.X-ODD:1", "item1.X-ABLabel:l"],
        ),
        # not into a group that is something else now
        (
            ["item1.X-ODD:1", "item1.X-ABLabel:l"],
            ["item1.EMAIL:e", "item1.X-ABLabel:m"],
            ["item1.EMAIL:e", "item1.X-ABLabel:m", "item2.X-ODD:1", "item2.X-ABLabel:l"],
        ),
        # to where the rest of its group is now
        (["item1.TEL:2", "item1.X-ODD:1"], ["item7.TEL:2"], ["item7.TEL:2", "item7.X-ODD:1"]),
        (["item1.TEL:2", "item1.X-ODD:1"], ["TEL:2"], ["item1.TEL:2", "item1.X-ODD:1"]),
        # a label goes to the line that it named
        (["item1.TEL:2", "item1.X-ABLabel:l"], ["TEL:2"], ["item1.TEL:2", "item1.X-ABLabel:l"]),
        (["item1.TEL:2", "item1.X-ABLabel:l"], ["item3.TEL:2"], ["item3.TEL:2", "item3.X-ABLabel:l"]),
        (["item1.TEL:2", "item1.X-ABLabel:l"], ["TEL:3"], ["item1.TEL:3", "item1.X-ABLabel:l"]),
        (
            ["item1.TEL:2", "item1.X-ABLabel:l", "TEL:4"],
            ["TEL:4", "TEL:2"],
            ["TEL:4", "item1.TEL:2", "item1.X-ABLabel:l"],
        ),
        # and is gone with it
        (["item1.TEL:2", "item1.X-ABLabel:l"], [], []),
        (["item1.TEL:2", "item1.X-ABLabel:l"], ["EMAIL:e"], ["EMAIL:e"]),
    ],
)  # fmt: skip
def test_groups_and_labels_follow(shown, sent, whole):
    assert put_back(shown, sent) == whole


def test_a_program_that_knows_labels_can_delete_one():
    assert put_back(["item1.TEL:2", "item1.X-ABLabel:l"], ["TEL:2"], frozenset({"X-ODD"})) == ["TEL:2"]


def test_where_nothing_is_missing_it_is_the_same_object():
    sent = Card.parse(card("a", "A", "NICKNAME:n"))
    assert kept(Card.parse(card("a", "B", "NICKNAME:m", "TEL:1")), sent, ODD) is sent


LINES = st.lists(
    st.tuples(
        st.sampled_from(["", "item1.", "item2.", "G."]),
        st.sampled_from(["TEL", "EMAIL", "NICKNAME", "X-ODD", "X-ABLabel", "X-ABADR", "NOTE", "URL"]),
        st.sampled_from(["1", "2", "a b", "", ";;"]),
    ),
    max_size=8,
).map(lambda some: [f"{group}{name}:{value}" for group, name, value in some])


@given(shown=LINES, sent=LINES)
def test_what_was_sent_stays_and_what_was_missing_is_back(shown, sent):
    before, given_ = Card.parse(card("a", "A", *shown)), Card.parse(card("a", "A", *sent))
    whole = kept(before, given_, ODD)
    again = Card.parse(whole.serialise())

    said = [(line.name, line.value) for line in again.lines]
    assert [(line.name, line.value) for line in given_.lines] == said[: len(given_.lines)]
    missing = (names_of(before) & ODD) - names_of(given_)
    back = [one for one in said[len(given_.lines) :] if one[0] not in LABELS]
    assert back == [
        (line.name, line.value) for line in before.lines if line.name in missing - LABELS and line.value.strip(" ;,")
    ]
    assert {name for name, _ in said[len(given_.lines) :]} <= missing | LABELS
    if not missing:
        assert meaning(again) == meaning(given_)


@given(shown=LINES)
def test_a_card_without_any_of_them_has_all_of_them_again(shown):
    before = Card.parse(card("a", "A", *shown))
    left = [line.raw.decode().strip() for line in before.lines if line.name not in ODD]
    whole = kept(before, Card.parse("\r\n".join(["BEGIN:VCARD", *left, "END:VCARD", ""]).encode()), ODD)

    assert names_of(whole) - LABELS == names_of(before) - LABELS


def test_as_many_groups_as_a_card_can_have_are_put_back_in_linear_time():
    many = 10_000
    shown = Card.parse(card("a", "A", *(f"g{at}.{name}:{at}" for at in range(many) for name in ("TEL", "X-ODD"))))
    sent = Card.parse(card("a", "A", *(f"TEL:{at}" for at in range(many))))

    whole = Card.parse(kept(shown, sent, ODD).serialise())

    assert meaning(whole) == meaning(shown)


def test_as_many_properties_as_a_card_can_have_are_put_back_in_linear_time():
    names = [f"X-ODD-{at}" for at in range(20_000)]
    shown = Card.parse(card("a", "A", *(f"item1.{name}:1" for name in names)))

    whole = kept(shown, Card.parse(card("a", "A")), frozenset(names))

    assert whole.serialise() == shown.serialise()

"""What differs between two states of a card, as people are told of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.vcard import Card, convert, differences, meaning, take_back
from radicale_shared.vcard.differences import LONGEST_TOLD, Kind
from tests.conftest import examples
from tests.vcard.examples import card
from tests.vcard.test_vcard_merge_laws import MODELS, THREE, written


def told(before, after):
    return [(one.change.value, one.name, one.before, one.after) for one in differences(before, after)]


def three(*lines):
    return card("3.0", *lines)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (["TEL:+49 30 1"], ["TEL:+49 30 2"], [("changed", "TEL", "+49 30 1", "+49 30 2")]),
        (["TEL;TYPE=work:1"], ["TEL;TYPE=home:1"], [("changed", "TEL", "1 (work)", "1 (home)")]),
        (["NOTE:a"], [], [("removed", "NOTE", "a", "")]),
        ([], ["NOTE:a\\nb"], [("added", "NOTE", "", "a b")]),
        (["BDAY:19800102"], ["BDAY:--0103"], [("changed", "BDAY", "1980-01-02", "--01-03")]),
        (["ADR:;;Mill 1;Berlin;;10115;DE"], [], [("removed", "ADR", "Mill 1, Berlin, 10115, DE", "")]),
        (["CATEGORIES:a,b"], ["CATEGORIES:b,c"], [("changed", "CATEGORIES", "a, b", "b, c")]),
        (
            ["item1.TEL:1", "item1.X-ABLabel:_$!<HomePage>!$_"],
            ["item7.TEL:1", "item7.X-ABLabel:Mill"],
            [("changed", "TEL", "1 [HomePage]", "1 [Mill]")],
        ),
        (
            ["X-ODD;LANGUAGE=de:1"],
            ["X-ODD;LANGUAGE=en:1"],
            [("changed", "X-ODD", "1 (language de)", "1 (language en)")],
        ),
        (["no content line"], [], [("removed", "", "no content line", "")]),
    ],
)
def test_a_change_is_told_as_people_read_it(before, after, expected):
    assert told(three(*before), three(*after)) == expected


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["TEL:1", "TEL:2"], ["TEL:2", "TEL:1"]),
        (["NOTE:one long note"], ["note:one lo\r\n ng note"]),
        (["TEL;TYPE=HOME,VOICE:1"], ["TEL;type=voice;type=home:1"]),
        (["item1.TEL:1", "item1.X-ABLabel:Mill"], ["item1.X-ABLabel:Mill", "item1.TEL:1"]),
        (["item1.TEL:1", "item1.X-ABLabel:Mill"], ["g9.TEL:1", "g9.X-ABLabel:Mill"]),
        (["REV:2020-01-01T00:00:00Z", "PRODID:a"], ["REV:2021-01-01T00:00:00Z", "PRODID:b"]),
        (["BDAY:1980-01-02"], ["BDAY:19800102"]),
    ],
)
def test_how_a_card_is_written_is_no_difference(before, after):
    assert told(three(*before), three(*after)) == []


def test_a_picture_is_told_by_what_it_is_and_how_large():
    small, other = "A" * 16000, "B" * 16000
    in_3, in_4 = f"PHOTO;ENCODING=b;TYPE=JPEG:{small}", f"PHOTO:data:image/jpeg;base64,{small}"

    assert told(three(), three(in_3)) == [("added", "PHOTO", "", "photo, JPEG, 12 kB")]
    assert told(card("4.0"), card("4.0", in_4)) == [("added", "PHOTO", "", "photo, JPEG, 12 kB")]
    ((_, _, one, another),) = told(three(in_3), three(f"PHOTO;ENCODING=b;TYPE=JPEG:{other}"))
    assert (one, another) == ("photo, JPEG, 12 kB", "another photo, JPEG, 12 kB")
    assert told(three("PHOTO;VALUE=uri:https://x.example/a.jpg"), three())[0][2] == "https://x.example/a.jpg"
    assert "kB" in told(three(f"KEY;ENCODING=b:{small}"), three())[0][2]


def test_nothing_told_is_long_and_what_differs_far_behind_still_differs():
    long = "x" * 100_000
    ((_, _, before, after),) = told(three(f"NOTE:{long}a"), three(f"NOTE:{long}b"))

    assert len(before) <= LONGEST_TOLD
    assert before != after


def test_a_card_that_was_made_or_deleted_differs_in_all_it_said():
    whole = three("NOTE:a")
    made, gone = differences(None, whole), differences(whole, None)

    assert {one.change for one in made} == {Kind.ADDED}
    assert [(one.name, one.after) for one in made] == [(one.name, one.before) for one in gone]
    assert {one.name for one in made} == {"UID", "FN", "N", "NOTE"}
    assert differences(None, None) == ()


def test_a_change_of_version_alone_is_no_difference(corpus):
    for name, version in (("android-3", "4.0"), ("outlook-3", "4.0"), ("android-4", "3.0"), ("thunderbird-4", "3.0")):
        one = Card.parse(corpus(name))
        assert differences(one, convert(one, version)) == ()
        assert differences(convert(one, version), one) == ()


def test_cards_without_end_are_compared_in_linear_time():
    many = 8_000
    one = three(*(f"TEL:{number}" for number in range(many)))
    other = three(*(f"TEL:{number + many}" for number in range(many)))

    assert len(differences(one, other)) == many
    in_one_group = three(*(f"item1.X-A{number}:1" for number in range(many)))
    assert len(differences(in_one_group, three())) > 0


@examples(40)
@given(MODELS, st.randoms(use_true_random=False))
def test_a_card_written_anew_by_any_program_differs_in_nothing(model, chance):
    one, other = Card.parse(written(model, chance)), Card.parse(written(model, chance))

    assert differences(one, one) == differences(one, other) == ()


@examples(40)
@given(THREE)
def test_cards_differ_in_something_exactly_if_they_do_not_say_the_same(cards):
    one, other, _ = map(Card.parse, cards)

    assert (differences(one, other) == ()) == (meaning(one) == meaning(other))


@examples(40)
@given(THREE)
def test_the_way_back_tells_as_many_of_each_property_the_other_way_round(cards):
    one, other, _ = map(Card.parse, cards)
    mirrored = {"added": "removed", "removed": "added", "changed": "changed"}

    there = sorted((one.change.value, one.name) for one in differences(one, other))
    back = sorted((mirrored[one.change.value], one.name) for one in differences(other, one))
    assert there == back


@examples(40)
@given(THREE)
def test_each_difference_tells_two_texts_apart(cards):
    for one in differences(*map(Card.parse, cards[:2])):
        assert (one.before != one.after) or one.change is not Kind.CHANGED


# -- taking back -------------------------------------------------------------------------------------------------------


@examples(40)
@given(THREE)
def test_a_change_that_nobody_built_on_is_taken_back_whole(cards):
    before, after, _ = cards

    taken = take_back(after, after, before)
    assert meaning(Card.parse(taken.data)) == meaning(Card.parse(before))
    assert taken.conflicts == ()


@examples(40)
@given(THREE)
def test_what_others_did_elsewhere_stays_and_what_they_did_to_the_same_is_named(cards):
    before, after, now = cards
    taken = take_back(after, now, before)
    undone = {one.name for one in differences(Card.parse(after), Card.parse(before))}
    later = {one.name for one in differences(Card.parse(after), Card.parse(now))}
    result = Card.parse(taken.data)

    changed = {one.name for one in differences(Card.parse(now), result)}
    assert changed <= undone
    assert {one.name for one in taken.conflicts} <= undone & later
    single = {"N", "BDAY", "X-PHONETIC-FIRST-NAME"}
    still = {one.name for one in differences(Card.parse(now), Card.parse(before))}
    assert {one.name for one in taken.conflicts} & single == undone & later & still & single


@examples(40)
@given(THREE, st.sets(st.sampled_from(["TEL", "NOTE", "N", "CATEGORIES"])))
def test_properties_that_are_not_meant_keep_every_byte(cards, names):
    before, after, now = cards
    taken = take_back(after, now, before, only_names=names)

    others = [line.raw for line in Card.parse(now).lines if line.name not in names | {"X-ABLABEL"}]
    assert others == [line.raw for line in Card.parse(taken.data).lines if line.name not in names | {"X-ABLABEL"}]
    assert {one.name for one in taken.conflicts} <= names

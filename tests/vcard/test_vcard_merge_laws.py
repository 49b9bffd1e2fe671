"""Merging by law: what holds for any three cards, as clients write them and as nobody should."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.errors import NotAVCardError
from radicale_shared.vcard import Card, check, items, meaning, merge, unescape
from radicale_shared.vcard.meaning import LISTS, SHOWN_ONCE, SINGLE, UNSEEN, units
from tests.vcard.examples import stored_cards


def card(*lines: str, eol: str = "\r\n") -> bytes:
    return eol.join(["BEGIN:VCARD", "VERSION:3.0", "UID:ada-1", *lines, "END:VCARD", ""]).encode()


# --- laws, over cards as clients write them

ONCE = ["N", "BDAY", "FN", "NOTE", "X-PHONETIC-FIRST-NAME"]
MANY = ["TEL", "EMAIL", "X-THING"]
VALUES = st.sampled_from(["1", "22", "+49 30 1234", "+49 30 1235", "Mill", "Mill Lane", "ä" * 60])
PARAMS = st.sampled_from(["", ";TYPE=home", ";TYPE=work,pref", ";X-A=b"])
LABELS = st.sampled_from(["", "", "", "Mill", "Lake"])
Model = tuple[str, str, str, str]  # name, params, value, label

SINGLES = st.dictionaries(st.sampled_from(ONCE), st.tuples(PARAMS, VALUES)).map(
    lambda chosen: [(name, params, value, "") for name, (params, value) in chosen.items()]
)
REPEATED = st.lists(st.tuples(st.sampled_from(MANY), PARAMS, VALUES, LABELS), max_size=6)
ITEMS = st.lists(st.sampled_from(["a", "b", "c", "d", r"e\,f"]), min_size=1, max_size=4, unique=True).map(",".join)
LISTED = st.lists(st.tuples(st.sampled_from(sorted(LISTS)), PARAMS, ITEMS, st.just("")), max_size=3)
MODELS = st.tuples(SINGLES, REPEATED, LISTED).map(lambda parts: [one for part in parts for one in part])


def written(model: list[Model], chance: random.Random) -> bytes:
    """A card as some program writes it: its own order, case, groups, folds and line ends."""
    eol, prefix = chance.choice(["\r\n", "\n"]), chance.choice(["item", "ITEM", "g"])
    lines = []
    for number, (name, params, value, label) in enumerate(chance.sample(model, len(model))):
        written_name = chance.choice([name, name.lower()])
        split = eol + " " if chance.random() < 0.2 else ""
        group = f"{prefix}{number}." if label or chance.random() < 0.1 else ""
        lines.append(f"{group}{written_name}{params}:{split}{value}")
        if label:
            lines.insert(chance.randint(0, len(lines)), f"{group}X-ABLabel:{label}")
    return card(*lines, eol=eol)


@st.composite
def three_cards(draw) -> tuple[bytes, bytes, bytes]:
    """A base and two edits of it, each written by its own program."""
    base = draw(MODELS)
    chance = draw(st.randoms(use_true_random=False))

    def edited() -> list[Model]:
        kept = [one for one in base if chance.random() < 0.7]
        changed = draw(MODELS)
        names = {one[0] for one in kept}
        return kept + [one for one in changed if one[0] not in names or (one[0] not in ONCE and chance.random() < 0.5)]

    models = base, *(draw(st.sampled_from([base, edited()])) for _ in range(2))
    return tuple(written(model, chance) for model in models)


THREE = three_cards()


def said(data: bytes) -> Counter:
    return Counter(unit.said for unit in units(Card.parse(data)) if unit.name not in LISTS)


def texts_of(data: bytes, name: str) -> set[tuple]:
    """The items of CATEGORIES or NICKNAME, with the parameters they stand under."""
    return {
        (unit.said[0].params, unescape(item).strip())
        for unit in units(Card.parse(data))
        if unit.name == name
        for item in items(unit.lines[0].decoded)
    }


@given(THREE)
def test_an_unchanged_card_sent_back_changes_no_byte(three):
    base, ours, _ = three

    assert merge(base, ours, base).data == ours
    assert merge(base, ours, ours).data == ours
    assert merge(base, ours, base).conflicts == merge(base, ours, ours).conflicts == ()


@given(THREE, st.randoms(use_true_random=False))
def test_a_change_of_an_unchanged_card_means_what_was_sent(three, chance):
    base, other, theirs = three

    assert meaning(Card.parse(merge(base, base, theirs).data)) == meaning(Card.parse(theirs))
    assert meaning(Card.parse(merge(other, other, theirs).data)) == meaning(Card.parse(theirs))
    assert merge(base, base, theirs).conflicts == ()


@given(THREE)
def test_nothing_that_either_side_wrote_is_lost_without_being_named(three):
    base, ours, theirs = three
    merged = merge(base, ours, theirs)
    named = "\n".join(f"{conflict.kept}\n{conflict.lost}" for conflict in merged.conflicts).split("\n")

    found = said(merged.data)
    for side in (ours, theirs):
        for unit in units(Card.parse(side)):
            if unit.name not in LISTS and unit.said not in said(base):
                assert unit.said in found or all(line in named for line in unit.text.split("\n"))
    for name in LISTS:
        before, here, there = (texts_of(data, name) for data in three)
        assert texts_of(merged.data, name) == (here & there) | (here - before) | (there - before)


@given(THREE)
def test_what_one_side_deleted_and_the_other_left_alone_is_gone(three):
    base, ours, theirs = three
    found = said(merge(base, ours, theirs).data)

    for one in said(base):
        counts = [said(data)[one] for data in three]
        if 0 in counts[1:] and counts[0] in counts[1:]:
            assert one not in found


@given(THREE)
def test_no_side_has_fewer_lines_of_a_single_property_than_the_merged_card(three):
    merged = Card.parse(merge(*three).data)

    for name in ONCE:
        assert len(merged.all(name)) <= 1


@given(THREE)
def test_what_theirs_did_not_touch_keeps_its_bytes_and_its_order(three):
    base, ours, theirs = three
    merged = merge(base, ours, theirs).data
    untouched = {one for one, times in said(base).items() if said(ours)[one] == said(theirs)[one] == times}

    def kept(data: bytes) -> list[bytes]:
        lines = sorted(
            (position, line.raw)
            for unit in units(Card.parse(data))
            if unit.said in untouched
            for position, line in zip(unit.positions, unit.lines, strict=True)
        )
        return [raw for _, raw in lines]

    assert kept(merged) == kept(ours)
    assert Card.parse(merged).head == Card.parse(ours).head
    assert all(line.raw.endswith(Card.parse(ours).eol) for line in Card.parse(merged).lines)


@given(MODELS, REPEATED, REPEATED, st.randoms(use_true_random=False))
def test_edits_of_different_units_commute_and_make_no_conflict(base, here, there, chance):
    base = list(dict.fromkeys(one for one in base if one[0] not in LISTS))
    # Values of their own: what one side adds, the other didn't have or delete.
    here = [(name, params, f"here {at}", label) for at, (name, params, _, label) in enumerate(here)]
    there = [(name, params, f"there {at}", label) for at, (name, params, _, label) in enumerate(there)]
    touched_by = [chance.choice(["nobody", "ours", "theirs"]) for _ in base]
    left = {side: [one for one, by in zip(base, touched_by, strict=True) if by != side] for side in ("ours", "theirs")}
    both = [one for one, by in zip(base, touched_by, strict=True) if by == "nobody"]
    sides = written(base, chance), written(left["ours"] + here, chance), written(left["theirs"] + there, chance)

    one, other = merge(*sides), merge(sides[0], sides[2], sides[1])

    expected = meaning(Card.parse(written(both + here + there, chance)))
    assert meaning(Card.parse(one.data)) == meaning(Card.parse(other.data))
    assert one.conflicts == other.conflicts == ()
    assert meaning(Card.parse(one.data)) == expected


# --- laws, over cards that nobody should write

PIECES = st.sampled_from(
    ["a.TEL:1", "A.X-ABLABEL:x", ".TEL:1", "b.X-ABLABEL:y", "TEL;TYPE=:", "N:;;", "N:a", 'TEL;TYPE="a:1', "odd", "",
     " ", "a.BDAY:1", "b.BDAY:2", "a.NOTE:1", "b.N:x", "NOTE;ENCODING=b:=", "CATEGORIES:,,", "categories:a,b,",
     "CATEGORIES:b\\", "a.NICKNAME:c", "NICKNAME;QUOTED-PRINTABLE:=41", "CATEGORIES;X=\"QUOTED-PRINTABLE:a",
     "NOTE;QUOTED-PRINTABLE:=", "a.b.c:d", "AGENT:", ":", ";:", "PHOTO:", "\\", "REV:1", "rev:2",
     "AGENT:BEGIN:VCARD\r\nEND:VCARD", "a.ADR:1", "b.ADR:1", "a.X-ABUID:5", "FN:a\r\n b",
     "a\r\n b.TEL:3", "a.\r\n X-ABLabel:z"]
)  # fmt: skip
ODD = st.tuples(st.lists(PIECES, max_size=10), st.sampled_from(["\r\n", "\n", "\r"])).map(
    lambda drawn: card(*drawn[0], eol=drawn[1])
)


@given(ODD, ODD, ODD)
def test_odd_cards_merge_to_a_card_that_may_be_stored(base, ours, theirs):
    try:
        for side in (base, ours, theirs):
            check(side)
    except NotAVCardError:
        return
    merged = merge(base, ours, theirs)

    result = check(merged.data)
    for name in SINGLE | SHOWN_ONCE:
        counts = [len(Card.parse(side).all(name)) for side in (base, ours, theirs)]
        if name in SINGLE or max(counts) == 1:
            assert len(result.all(name)) <= max(counts[1:])
    assert merge(base, ours, base).data == ours
    assert merge(base, ours, base).conflicts == ()


@pytest.mark.parametrize("data", stored_cards())
def test_each_line_of_a_card_of_a_client_can_be_taken_out_and_put_back(data):
    whole = Card.parse(data)
    for line in whole.lines:
        if line.name in UNSEEN | {"UID", ""}:
            continue
        without = whole.remove(line).serialise()

        assert meaning(Card.parse(merge(data, data, without).data)) == meaning(Card.parse(without))
        assert meaning(Card.parse(merge(without, without, data).data)) == meaning(whole)
        assert merge(data, without, data).data == without

"""Merging by example: what clients send, and what is stored then."""

import pytest

from radicale_shared.vcard import Card, Conflict, check, merge


def card(*lines: str, eol: str = "\r\n") -> bytes:
    return eol.join(["BEGIN:VCARD", "VERSION:3.0", "UID:ada-1", *lines, "END:VCARD", ""]).encode()


def body(data: bytes) -> list[str]:
    """The lines of a merged card between UID and END."""
    return [line.raw.decode().rstrip("\r\n") for line in check(data).lines if line.name not in ("VERSION", "UID")]


def test_one_number_changed_in_a_card_that_was_written_anew_changes_one_line():
    ours = card(
        "N:Lovelace;Ada;;;", "FN:Ada Lovelace", "TEL;TYPE=CELL,VOICE:+49 30 1", "tel;type=home:+49 30 2", "X-A:b"
    )
    theirs = card(
        "FN:Ada Lovelace",
        "N:Lovelace;Ada",
        "X-A:b",
        "TEL;TYPE=home:+49 30 2",
        "TEL;TYPE=cell:+49 30 99",
        "PRODID:-//Birds//EN",
        eol="\n",
    )

    merged = merge(ours, ours, theirs)

    assert body(merged.data) == [
        "N:Lovelace;Ada;;;",
        "FN:Ada Lovelace",
        "TEL;TYPE=cell:+49 30 99",
        "tel;type=home:+49 30 2",
        "X-A:b",
        "PRODID:-//Birds//EN",
    ]
    assert merged.conflicts == ()


def test_what_both_sides_added_stays_and_what_both_added_alike_is_there_once():
    base = card("TEL:1", "NOTE:x")
    ours = card("TEL:1", "TEL:2", "TEL;TYPE=home:3", "NOTE:x")
    theirs = card("TEL:1", "NOTE:x", "tel;type=HOME:3", "TEL:4")

    assert body(merge(base, ours, theirs).data) == ["TEL:1", "TEL:2", "TEL;TYPE=home:3", "TEL:4", "NOTE:x"]


def test_a_changed_label_takes_its_place_and_keeps_the_address_and_its_group():
    ours = card("item1.EMAIL;type=pref:a@example.org", "item1.X-ABLabel:Mill", "item2.URL:u", "item2.X-ABLabel:Shop")
    theirs = card("item7.EMAIL;TYPE=PREF:a@example.org", "item7.X-ABLABEL:Lake", "item1.URL:u", "item1.X-ABLABEL:Shop")

    assert body(merge(ours, ours, theirs).data) == [
        "item1.EMAIL;type=pref:a@example.org",
        "item1.X-ABLABEL:Lake",
        "item2.URL:u",
        "item2.X-ABLabel:Shop",
    ]


def test_an_added_label_gets_a_free_group_and_a_removed_one_leaves_its_address():
    base = card("TEL:1", "item1.URL:u", "item1.X-ABLabel:Shop")
    theirs = card("item1.TEL:1", "item1.X-ABLabel:Mill", "URL:u")

    assert body(merge(base, base, theirs).data) == ["item2.TEL:1", "item2.X-ABLabel:Mill", "URL:u"]


def test_a_label_for_one_of_a_group_is_no_label_for_the_others():
    base = card("home.TEL:1", "home.ADR:;;Lane")
    theirs = card("home.TEL:1", "home.X-ABLabel:Mill", "ADR:;;Lane")

    assert body(merge(base, base, theirs).data) == ["item1.TEL:1", "item1.X-ABLabel:Mill", "home.ADR:;;Lane"]


def test_a_group_whose_name_is_folded_can_be_renamed():
    base = card("item1.TEL:1", "item1.X-ABLabel:Mill")
    theirs = card("a.TEL:1", "a.X-ABLabel:Mill", "ite\r\n m1.URL:u", "item1.X-ABLabel:Shop")

    assert body(merge(base, base, theirs).data)[2:] == ["item2.URL:u", "item2.X-ABLabel:Shop"]


def test_two_additions_in_the_same_group_are_not_mixed():
    base = card("FN:Ada")
    ours = card("FN:Ada", "item1.TEL:1", "item1.X-ABLabel:Mill")
    theirs = card("FN:Ada", "item1.TEL:2", "item1.X-ABLabel:Lake")

    assert body(merge(base, ours, theirs).data) == [
        "FN:Ada",
        "item1.TEL:1",
        "item1.X-ABLabel:Mill",
        "item2.TEL:2",
        "item2.X-ABLabel:Lake",
    ]


def test_a_long_line_that_changes_its_group_is_folded_anew():
    base = card("a.X-THING:1", "a.X-ABLabel:x")
    address = "URL:https://example.org/" + "path/" * 9 + "1234"
    theirs = card("q.X-THING:1", "q.X-ABLabel:x", f"a.{address}", "a.X-ABLabel:y")

    merged = merge(base, base, theirs).data

    assert max(map(len, theirs.split(b"\r\n"))) == max(map(len, merged.split(b"\r\n"))) == 75
    assert b"item1." + address.encode() in merged.replace(b"\r\n ", b"")


def test_categories_and_nicknames_are_merged_item_by_item_when_both_changed_them():
    base = card("CATEGORIES:Work,Family,Mill", "NICKNAME;TYPE=work:Countess")
    ours = card("categories;X-A=b:Work,Family,Mill", "CATEGORIES:Chess\\, Go", "NICKNAME;TYPE=work:Countess,Ada")
    theirs = card("CATEGORIES:Family,Work,Lake", "NICKNAME;TYPE=WORK:Enchantress,Countess", "NICKNAME:A")

    merged = merge(base, ours, theirs)

    assert body(merged.data) == [
        "categories;X-A=b:Work,Family,Mill",
        "CATEGORIES:Chess\\, Go,Lake",
        "NICKNAME;TYPE=work:Countess,Ada,Enchantress",
        "NICKNAME:A",
    ]
    assert merged.conflicts == ()


def test_an_item_that_one_side_took_out_is_gone_and_so_is_a_line_without_items():
    base = card("CATEGORIES:a,b", "NICKNAME:x")
    ours = card("CATEGORIES:a,b,c", "NICKNAME:x,x")
    theirs = card("CATEGORIES:b", "NICKNAME;TYPE=home:y")

    assert body(merge(base, ours, theirs).data) == ["CATEGORIES:b,c", "NICKNAME;TYPE=home:y"]


def test_a_nickname_with_a_label_is_replaced_as_a_whole():
    base = card("NICKNAME:x")
    labelled = card("g1.NICKNAME:x", "g1.X-ABLABEL:at school")

    assert body(merge(base, base, labelled).data) == ["g1.NICKNAME:x", "g1.X-ABLABEL:at school"]
    assert body(merge(base, card("NICKNAME:x,y"), labelled).data) == body(labelled)
    assert merge(base, card("NICKNAME:x,y"), labelled).conflicts[0].lost == "NICKNAME:x,y"


def test_items_in_quoted_printable_are_replaced_as_a_whole():
    base, ours = card("NICKNAME:x"), card("NICKNAME:x,y")
    theirs = card("NICKNAME;ENCODING=QUOTED-PRINTABLE:x,z=3D")

    merged = merge(base, ours, theirs)

    assert body(merged.data) == body(theirs)
    assert merged.conflicts[0].lost == "NICKNAME:x,y"


def test_two_birthdays_never_meet_the_incoming_one_wins_and_the_other_is_named():
    base = card("BDAY:1815-12-10", "FN:Ada")

    merged = merge(base, card("BDAY:1815-12-11", "FN:Ada"), card("FN:Ada", "bday:18151212"))

    assert body(merged.data) == ["bday:18151212", "FN:Ada"]
    assert merged.conflicts == (Conflict("BDAY", "bday:18151212", "BDAY:1815-12-11"),)


def test_a_note_counts_as_single_as_long_as_nobody_has_two():
    base = card("TEL:1")

    once = merge(base, card("TEL:1", "NOTE:ours"), card("TEL:1", "NOTE:theirs"))
    twice = merge(base, card("TEL:1", "NOTE:ours"), card("TEL:1", "NOTE:theirs", "NOTE:more"))

    assert body(once.data) == ["TEL:1", "NOTE:theirs"]
    assert once.conflicts == (Conflict("NOTE", "NOTE:theirs", "NOTE:ours"),)
    assert body(twice.data) == ["TEL:1", "NOTE:ours", "NOTE:theirs", "NOTE:more"]
    assert twice.conflicts == ()


@pytest.mark.parametrize("name", ["BDAY", "NOTE", "TEL", "X-THING"])
def test_an_edit_stays_against_a_deletion_and_is_named(name):
    base, edited, without = card(f"{name}:1", "FN:A"), card(f"{name}:2", "FN:A"), card("FN:A")

    here, there = merge(base, edited, without), merge(base, without, edited)

    assert body(here.data) == [f"{name}:2", "FN:A"]
    assert sorted(body(there.data)) == sorted([f"{name}:2", "FN:A"])
    assert here.conflicts == there.conflicts == (Conflict(name, f"{name}:2", ""),)


@pytest.mark.parametrize("name", ["NOTE", "TEL"])
def test_a_form_field_that_was_emptied_or_never_filled_in_takes_nothing_from_the_other_side(name):
    base, edited, emptied = card(f"{name}:1"), card(f"{name}:2"), card(f"{name}:")

    assert body(merge(base, base, emptied).data) == [f"{name}:"]
    assert merge(base, edited, emptied).conflicts == (Conflict(name, f"{name}:2", f"{name}:"),)
    assert body(merge(base, edited, emptied).data) == [f"{name}:2"]
    assert merge(card(), card("NOTE:2"), card("NOTE:")) == merge(card(), card("NOTE:2"), card())


def test_what_both_deleted_is_gone_and_silent():
    merged = merge(card("TEL:1", "BDAY:18151210", "FN:A"), card("FN:A"), card("FN:A"))

    assert (body(merged.data), merged.conflicts) == (["FN:A"], ())


def test_two_edits_of_one_number_are_a_conflict_and_of_two_numbers_none():
    base = card("TEL;TYPE=home:+49 30 1000", "TEL;TYPE=work:+49 89 2000")
    ours = card("TEL;TYPE=home:+49 30 1111", "TEL;TYPE=work:+49 89 2000")

    same = merge(base, ours, card("TEL;TYPE=work:+49 89 2000", "TEL;TYPE=home:+49 30 1222"))
    other = merge(base, ours, card("TEL;TYPE=work:+49 89 2222", "TEL;TYPE=home:+49 30 1000"))

    assert body(same.data) == ["TEL;TYPE=home:+49 30 1222", "TEL;TYPE=work:+49 89 2000"]
    assert same.conflicts == (Conflict("TEL", "TEL;TYPE=home:+49 30 1222", "TEL;TYPE=home:+49 30 1111"),)
    assert body(other.data) == ["TEL;TYPE=home:+49 30 1111", "TEL;TYPE=work:+49 89 2222"]
    assert other.conflicts == ()


def test_a_deleted_and_an_edited_number_are_told_apart_by_similarity():
    base = card("TEL:+49 30 1000", "TEL:+49 89 2000", "TEL:+49 40 3000")
    ours = card("TEL:+49 30 1111", "TEL:+49 89 2000", "TEL:+49 40 3333")

    merged = merge(base, ours, card("TEL:+49 89 2999", "TEL:+49 40 3000"))

    assert body(merged.data) == ["TEL:+49 30 1111", "TEL:+49 89 2999", "TEL:+49 40 3333"]
    assert merged.conflicts == (Conflict("TEL", "TEL:+49 30 1111", ""),)


def test_a_number_of_another_type_is_still_the_same_number():
    base = card("TEL;TYPE=home:+49 30 1000", "TEL;TYPE=work:+49 30 1001")
    ours = card("TEL;TYPE=home:+49 30 1000", "TEL;TYPE=work:+49 30 1009")

    merged = merge(base, ours, card("TEL;TYPE=work:+49 30 1000"))

    assert body(merged.data) == ["TEL;TYPE=work:+49 30 1000", "TEL;TYPE=work:+49 30 1009"]
    assert merged.conflicts == (Conflict("TEL", "TEL;TYPE=work:+49 30 1009", ""),)


def test_what_theirs_left_as_in_the_base_stays_as_ours_spells_it():
    base = card("ADR:;;Mill Lane 1, Ely;;;;", "TEL;X-OLD=1:1", "TEL:2", "BDAY;VALUE=text:1815")
    ours = card("ADR:;;Mill Lane 1\\, Ely;;;;", "TEL:1", "TEL;X-EXT=5:2", "BDAY:1815")
    theirs = card("ADR:;;Mill Lane 1, Ely;;;;", "TEL;X-OLD=1:1", "TEL:3", "BDAY;VALUE=text:1815")

    assert body(merge(base, ours, theirs).data) == ["ADR:;;Mill Lane 1\\, Ely;;;;", "TEL:1", "TEL:3", "BDAY:1815"]


def test_version_and_uid_are_ours_and_the_revision_is_theirs_without_a_word():
    base = b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:1\r\nREV:1\r\nPRODID:a\r\nEND:VCARD\r\n"
    ours = b"\xef\xbb\xbfbegin:vcard\nversion:3.0\nuid: 1\nREV:2\nPRODID:b\n\nEND:VCARD\n\n"
    theirs = b"BEGIN:VCARD\r\nVERSION:4.0\r\nUID:urn:uuid:1\r\nREV:3\r\nPRODID:c\r\nEND:VCARD\r\n"

    merged = merge(base, ours, theirs)

    assert merged.data == b"\xef\xbb\xbfbegin:vcard\nversion:3.0\nuid: 1\nREV:3\nPRODID:c\n\nEND:VCARD\n\n"
    assert merged.conflicts == ()


def test_lines_that_are_identical_are_counted():
    base, ours, theirs = card(*["TEL:1"] * 3), card(*["TEL:1"] * 2), card(*["TEL:1"] * 4)

    assert body(merge(base, base, ours).data) == ["TEL:1"] * 2
    assert body(merge(base, theirs, ours).data) == ["TEL:1"] * 3
    assert body(merge(base, ours, ours).data) == ["TEL:1"] * 2
    assert body(merge(base, theirs, theirs).data) == ["TEL:1"] * 4


def test_a_nested_card_an_opaque_line_and_a_soft_break_at_the_end_survive():
    agent = ("AGENT:", "BEGIN:VCARD", "FN:Ben", "END:VCARD")
    ours = card("odd line", *agent, "NOTE;QUOTED-PRINTABLE:a=")
    theirs = card("odd line", "TEL;QUOTED-PRINTABLE:1=", eol="\n")

    merged = merge(card(), ours, theirs)
    again = merge(card("TEL:2"), card("TEL:2"), card(*agent, "odd line", "NOTE:x", "TEL:2"))

    assert check(merged.data).texts("NOTE") == ["a"]
    assert check(merged.data).texts("TEL") == ["1"]
    assert "FN:Ben" in check(again.data).first("AGENT").value
    assert body(again.data)[-2:] == ["odd line", "NOTE:x"]


def test_thousands_of_items_below_thousands_of_parameters_are_merged():
    params = "".join(f";X-{number}=1" for number in range(20_000))
    words = ",".join(f"word{number}" for number in range(5_000))
    base = f"CATEGORIES{params}:{words}"

    merged = merge(card(base), card(base + ",here"), card(base.replace("word7,", "") + ",there"))

    assert Card.parse(merged.data).text("CATEGORIES") == words.replace("word7,", "") + ",here,there"


def test_of_more_items_than_anybody_has_one_side_is_taken_and_the_other_named():
    words = ",".join(f"word{number}" for number in range(30_000))
    base, ours, theirs = (card(f"CATEGORIES:{words}{end}") for end in ("", ",here", ",there"))

    merged = merge(base, ours, theirs)

    assert merged.data == theirs
    assert merged.conflicts[0].lost.endswith(",here")


def test_ten_thousand_numbers_changed_on_both_sides_are_each_merged_once():
    base = card(*(f"TEL:{number}" for number in range(10_000)))
    ours = card(*(f"TEL:1{number:05}" for number in range(10_000)))
    theirs = card(*(f"TEL:2{number:05}" for number in range(10_000)))

    merged = merge(base, ours, theirs)

    assert merged.data == theirs
    assert len(merged.conflicts) == 10_000

"""Writes without If-Match, as Thunderbird sends them: what others changed meanwhile stays."""

import pytest

from radicale_shared import history
from tests.conftest import card
from tests.dav.conftest import Client

BOOK = "/ada/sales~leads/"
URL = f"{BOOK}a.vcf"
BENS = "/ben/sales~leads/a.vcf"

FIRST = card("a", "Anna Adler", "TEL;TYPE=CELL:+49 170 1", "TITLE:Clerk", "NOTE:first", "REV:20260101T000000Z")


def changed(data, *pairs, rev="20260202T000000Z"):
    for old, new in (*pairs, ("20260101T000000Z", rev)):
        assert old.encode() in data
        data = data.replace(old.encode(), new.encode())
    return data


@pytest.fixture
def thunderbird(application, organisation):
    return Client(application, "ada", user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Thunderbird/128.5.0")


@pytest.fixture
def _known(ben):
    ben.put(BENS, FIRST)


@pytest.mark.usefixtures("_known")
def test_a_blind_write_over_the_present_state_is_stored_as_it_was_sent(thunderbird):
    sent = changed(FIRST, ("NOTE:first", "NOTE:second"))
    answer = thunderbird.put(URL, sent)
    assert (answer.status, thunderbird.get(URL).body) == (204, sent)
    assert answer.etag == thunderbird.get(URL).etag


@pytest.mark.usefixtures("_known")
def test_a_blind_write_from_an_earlier_state_keeps_what_was_changed_since(thunderbird, ben):
    ben.put(BENS, changed(FIRST, ("+49 170 1", "+49 170 2")), If_Match=ben.get(BENS).etag)

    answer = thunderbird.put(URL, changed(FIRST, ("NOTE:first", "NOTE:of Thunderbird"), rev="20260303T000000Z"))

    assert answer.status == 204
    assert "ETag" not in answer.headers
    expected = changed(FIRST, ("+49 170 1", "+49 170 2"), ("NOTE:first", "NOTE:of Thunderbird"), rev="20260303T000000Z")
    assert ben.get(BENS).body == expected


@pytest.mark.usefixtures("_known")
def test_several_changes_behind_a_blind_write_are_all_kept(thunderbird, ben):
    for number in range(2, 8):
        now = ben.get(BENS)
        ben.put(BENS, now.body.replace(b"END:", f"TEL;TYPE=WORK:+49 30 {number}\r\nEND:".encode()), If_Match=now.etag)
    thunderbird.put(URL, changed(FIRST, ("TITLE:Clerk", "TITLE:Head")))
    stored = ben.get(BENS).body
    assert stored.count(b"TEL;TYPE=WORK") == 6
    assert b"TITLE:Head" in stored


@pytest.mark.usefixtures("_known")
def test_in_a_conflict_the_incoming_value_stays_and_the_other_is_marked_in_the_history(thunderbird, ben, organisation):
    bens = changed(FIRST, ("TITLE:Clerk", "TITLE:Head of Sales"), ("+49 170 1", "+49 170 2"))
    ben.put(BENS, bens, If_Match=ben.get(BENS).etag)
    thunderbird.put(URL, changed(FIRST, ("TITLE:Clerk", "TITLE:Senior Clerk"), ("NOTE:first", "NOTE:second")))

    stored = ben.get(BENS).body
    assert (b"TITLE:Senior Clerk" in stored, stored.count(b"TITLE")) == (True, 1)
    assert b"+49 170 2" in stored
    with organisation.db.snapshot() as session:
        newest = next(iter(history.entries(session, limit=1)))
    assert [(one.name, one.kept, one.lost) for one in newest.overwritten] == [
        ("TITLE", "TITLE:Senior Clerk", "TITLE:Head of Sales")
    ]


@pytest.mark.usefixtures("_known")
def test_of_a_long_line_that_was_overwritten_the_history_notes_the_beginning(thunderbird, ben, organisation):
    long = f"TITLE:{'Head ' * 1000}"
    ben.put(BENS, changed(FIRST, ("TITLE:Clerk", long), ("+49 170 1", "+49 170 2")), If_Match=ben.get(BENS).etag)
    thunderbird.put(URL, changed(FIRST, ("TITLE:Clerk", "TITLE:Senior Clerk"), ("NOTE:first", "NOTE:second")))

    with organisation.db.snapshot() as session:
        (noted,) = next(iter(history.entries(session, limit=1))).overwritten
    assert noted.lost == long[:999] + "…"


@pytest.mark.usefixtures("_known")
def test_a_blind_write_that_takes_a_change_back_is_no_copy_of_the_state_before(thunderbird):
    thunderbird.put(URL, changed(FIRST, ("NOTE:first", "NOTE:second")))
    back = changed(FIRST, rev="20260404T000000Z")
    assert thunderbird.put(URL, back).etag
    assert thunderbird.get(URL).body == back


@pytest.mark.usefixtures("_known")
def test_a_card_that_was_made_anew_has_nothing_to_do_with_the_one_before(thunderbird, ben, organisation):
    organisation.grant("sales/leads", "user:ben", "curator")
    organisation.remove("ben", "sales~leads", "a.vcf")
    ben.put(BENS, card("a", "Another", "NOTE:of another"))
    sent = changed(FIRST, ("NOTE:first", "NOTE:second"))
    thunderbird.put(URL, sent)
    assert thunderbird.get(URL).body == sent


@pytest.mark.usefixtures("_known")
def test_a_write_with_if_match_any_is_as_blind(thunderbird, ben):
    ben.put(BENS, changed(FIRST, ("+49 170 1", "+49 170 2")), If_Match=ben.get(BENS).etag)
    thunderbird.put(URL, changed(FIRST, ("NOTE:first", "NOTE:second")), If_Match="*")
    assert b"+49 170 2" in ben.get(BENS).body


@pytest.mark.usefixtures("_known")
def test_a_blind_write_in_another_version_changes_what_it_changed(thunderbird, ben):
    ben.put(BENS, changed(FIRST, ("+49 170 1", "+49 170 2")), If_Match=ben.get(BENS).etag)
    four = thunderbird.get(URL, Accept="text/vcard;version=4.0").body
    assert b"VERSION:4.0" in four
    thunderbird.put(URL, four.replace(b"NOTE:first", b"NOTE:second").replace(b"+49 170 2", b"+49 170 1"))
    # Its base was the first state: there the number is what it sent.
    stored = ben.get(BENS).body
    assert b"NOTE:second" in stored
    assert b"VERSION:3.0" in stored


@pytest.mark.usefixtures("_known")
def test_a_card_written_over_and_over_blindly_ends_as_the_last_one_has_it(thunderbird):
    data = FIRST
    for number in range(30):
        data = data.replace(b"NOTE:", f"NOTE:{number}-".encode())
        assert thunderbird.put(URL, data).status == 204
    assert thunderbird.get(URL).body == data

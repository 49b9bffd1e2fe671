"""Cards: bytes, ETags, UIDs, conditions, and what a write costs."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import access, cards, entry_keys, reading, search
from radicale_shared.access import VERBS, Role, View
from radicale_shared.errors import (
    NeedPrivilegeError,
    NotAllowedHereError,
    NotAVCardError,
    NotFoundError,
    PreconditionFailedError,
    TooLargeError,
    UidConflictError,
    UnsupportedVersionError,
)
from radicale_shared.etags import Conditions, etag_of, shown_etag
from tests.conftest import BY, card, examples

# -- bytes and ETags ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        card("a"),
        card("a").replace(b"\r\n", b"\n"),
        card("a").replace(b"\r\n", b"\r"),
        b"\xef\xbb\xbf" + card("a"),
        b"\r\n\r\n" + card("a") + b"\r\n \r\n",
        card("a").rstrip(),
        card("a", "A", "NOTE:folded", "  here", "\tand there"),
        card("a", "A", "no content line at all", "NOTE:\u2028 \x85 é 😀"),
        card("a", version="4.0"),
    ],
    ids=["CRLF", "LF", "CR", "BOM", "blank lines", "no last line end", "folds", "odd lines", "4.0"],
)
def test_a_card_is_kept_as_the_exact_bytes_that_were_sent(desk, data):
    written = desk.put("a.vcf", data)

    stored = desk.get("a.vcf")
    assert (stored.data, stored.size, stored.etag) == (data, len(data), written.etag)
    assert desk.state() == {"a.vcf": data}


def test_an_etag_names_the_bytes_and_is_keyed_by_the_databases_secret(desk):
    first, again, other = (desk.put(href, card(href)) for href in ("a", "b", "c"))
    same_bytes_at_two_times = [desk.put("a", card("a", "Two")), desk.put("a", card("a"))][-1]

    assert len({first.etag, again.etag, other.etag}) == 3
    assert same_bytes_at_two_times.etag == first.etag == etag_of(desk.db.secret, card("a"))
    assert etag_of(b"x" * 32, card("a")) != first.etag


def test_every_byte_of_a_card_counts_in_its_etag(desk):
    data = card("a")
    etags = {etag_of(desk.db.secret, data[:at] + b"?" + data[at + 1 :]) for at in range(len(data))}

    assert len(etags) == len(data)


def test_a_view_and_refused_writes_give_an_etag_of_their_own():
    full, hiding = View(), View(frozenset({"NOTE"}))
    seen = [shown_etag("e", full, 0), shown_etag("e", full, 1), shown_etag("e", full, 2), shown_etag("e", hiding, 0)]

    assert seen[0] == "e"
    assert len(set(seen)) == 4
    assert View(frozenset({"NOTE", "TEL"})).id == View(frozenset({"TEL", "NOTE"})).id != hiding.id != full.id


def test_the_same_bytes_again_change_nothing_at_all(desk):
    desk.put("a", card("a"))
    revision, token, history = desk.revision, desk.token, desk.changes()

    written = desk.put("a", card("a"))

    assert (written.created, written.revision) == (False, 0)
    assert (desk.revision, desk.token, desk.changes()) == (revision, token, history)


# -- UIDs --------------------------------------------------------------------------------------------------------------


def test_a_uid_is_in_one_live_card_of_a_book_only(desk):
    desk.put("a", card("same"))

    with pytest.raises(UidConflictError) as refused:
        desk.put("b", card("same"))

    assert (refused.value.uid, refused.value.href) == ("same", "a")
    assert desk.state() == {"a": card("same")}


def test_a_card_keeps_its_uid_for_life(desk):
    desk.put("a", card("one"))

    with pytest.raises(UidConflictError) as refused:
        desk.put("a", card("two"))

    assert refused.value.href == "a"


def test_the_uid_of_a_deleted_card_is_free_at_any_href(desk):
    desk.put("a", card("one"))
    desk.remove("a")

    desk.put("b", card("one"))

    assert desk.state() == {"b": card("one")}
    with pytest.raises(UidConflictError):
        desk.put("a", card("one"))


def test_a_deleted_cards_href_may_come_back_with_another_uid(desk):
    desk.put("a", card("one"))
    desk.remove("a")

    assert desk.put("a", card("two")).created
    assert desk.put("b", card("one")).created
    assert desk.state() == {"a": card("two"), "b": card("one")}


def test_the_same_uid_may_be_in_two_books(new_desk):
    first, second = new_desk(), new_desk()

    first.put("a", card("same"))
    second.put("a", card("same"))

    assert first.state() == second.state()


def test_uids_compare_exactly(desk):
    for number, uid in enumerate(("uid", "UID", "urn:uuid:uid", "uïd", "ui\u0308d")):
        assert desk.put(str(number), card(uid, "x")).created


def test_a_uid_as_long_as_is_allowed_is_stored_on_every_database(desk):
    # Hardly to be compressed, as PostgreSQL does with what is to fit into a page of an index.
    uid = "".join(map(chr, random.Random(1).choices(range(0x4E00, 0x9FFF), k=333)))
    assert desk.put("a", card(uid, "x")).created

    for longer in (uid + "xx", uid * 3):
        with pytest.raises(NotAVCardError):
            desk.put("b", card(longer, "x"))


# -- refusals ----------------------------------------------------------------------------------------------------------

REFUSED = {
    "no card": (b"hello", NotAVCardError),
    "nothing": (b"", NotAVCardError),
    "two cards": (card("a") + card("b"), NotAVCardError),
    "cut off": (card("a")[:-15], NotAVCardError),
    "no UID": (card("a").replace(b"UID:a\r\n", b""), NotAVCardError),
    "two UIDs": (card("a", "A", "UID:b"), NotAVCardError),
    "2.1": (card("a", version="2.1"), UnsupportedVersionError),
    "no version": (card("a").replace(b"VERSION:3.0\r\n", b""), UnsupportedVersionError),
    "NUL": (card("a\x00b"), NotAVCardError),
    "latin-1": (card("a", "Jörg").decode().encode("latin-1"), NotAVCardError),
    "too large": (card("a", "A", "NOTE:" + "x" * 2000), TooLargeError),
}


@pytest.mark.parametrize(("data", "error"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_card_leaves_the_book_as_it_was(desk, data, error):
    desk.put("a.vcf", card("a"))
    token = desk.token

    with pytest.raises(error):
        desk.put("b.vcf", data, max_size=1000)

    assert desk.token == token
    assert desk.state() == {"a.vcf": card("a")}


@pytest.mark.parametrize(
    "href", ["", ".", "..", "a/b", "a\x00b", "a\nb", "a\x7f", "a\x85", "\ufffe", "x" * 1001, "é" * 501]
)
def test_what_is_no_url_segment_is_no_href(desk, href):
    with pytest.raises(NotAllowedHereError):
        desk.put(href, card("a"))


@pytest.mark.parametrize(
    "href", ["a.vcf", "urn:uuid:1.vcf", "a,b.vcf", "it's.vcf", "a b", "%2F", "😀", "x" * 1000, "-", "~"]
)
def test_every_legal_url_segment_is_an_href(desk, href):
    desk.put(href, card("a"))

    assert list(desk.state()) == [href]


def test_hrefs_compare_exactly(desk):
    for number, href in enumerate(("a", "A", "á", "a\u0301", "a ")):
        assert desk.put(href, card(str(number))).created


def test_a_card_that_is_not_there_can_not_be_deleted(desk):
    desk.put("a", card("a"))
    desk.remove("a")
    token = desk.token

    for href in ("a", "never"):
        with pytest.raises(NotFoundError):
            desk.remove(href)

    assert desk.token == token


def test_each_role_writes_what_its_verbs_say(desk):
    desk.put("old", card("old"))
    seen = {}
    for role in Role:
        limited = access.Access(None, desk.access.book, VERBS[role])
        seen[role] = [
            allowed(desk.put, f"{role}", card(role), access=limited),
            allowed(desk.put, "old", card("old", f"By {role}"), access=limited),
            allowed(desk.remove, "old", access=limited) and bool(desk.put("old", card("old"))),
        ]

    assert seen == {
        Role.VIEWER: [False, False, False],
        Role.CONTRIBUTOR: [True, False, False],
        Role.EDITOR: [True, True, False],
        Role.CURATOR: [True, True, True],
        Role.MANAGER: [True, True, True],
        Role.OWNER: [True, True, True],
    }


def allowed(deed, *arguments, **more):
    try:
        deed(*arguments, **more)
    except NeedPrivilegeError:
        return False
    return True


def test_a_refused_write_gives_its_revision_back_in_a_longer_transaction_too(desk):
    found = desk.access
    with desk.db.write(desk.book_id) as session:
        for number in range(6):
            data = card(str(number)) if number % 2 else b"no card" if number % 4 else card("0", version="2.1")
            try:
                cards.put(session, found, str(number), cards.check(data), secret=desk.db.secret, by=BY)
            except NotAVCardError:
                continue
            with pytest.raises(UidConflictError):
                cards.put(session, found, "other", cards.check(data), secret=desk.db.secret, by=BY)

    assert [revision for revision, *_ in desk.changes()] == [2, 3, 4]
    assert desk.revision == 4


# -- conditions --------------------------------------------------------------------------------------------------------

CURRENT, STALE, ANY = "current", "0" * 32, "*"


@pytest.mark.parametrize(
    ("there", "if_match", "none_match", "passes"),
    [
        (True, None, None, True),
        (True, (CURRENT,), None, True),
        (True, (STALE, CURRENT), None, True),
        (True, (STALE,), None, False),
        (True, (), None, False),
        (True, (ANY,), None, True),
        (True, None, (ANY,), False),
        (True, None, (CURRENT,), False),
        (True, None, (STALE,), True),
        (True, (CURRENT,), (STALE,), True),
        (False, None, None, True),
        (False, (STALE,), None, False),
        (False, (ANY,), None, False),
        (False, None, (ANY,), True),
        (False, None, (STALE,), True),
    ],
)
def test_conditions_hold_as_rfc_9110_says(desk, there, if_match, none_match, passes):
    etag = desk.put("a", card("a")).etag
    if not there:
        desk.remove("a")
    token = desk.token

    def named(tags):
        return tags and tuple(etag if tag == CURRENT else tag for tag in tags)

    conditions = Conditions(named(if_match), named(none_match))
    if passes:
        assert desk.put("a", card("a", "New"), conditions=conditions).revision
        return
    with pytest.raises(PreconditionFailedError) as refused:
        desk.put("a", card("a", "New"), conditions=conditions)
    assert refused.value.href == "a"
    assert desk.token == token


def test_a_deletion_has_conditions_too(desk):
    etag = desk.put("a", card("a")).etag
    with pytest.raises(PreconditionFailedError):
        desk.remove("a", conditions=Conditions((STALE,)))

    desk.remove("a", conditions=Conditions((etag,)))

    assert desk.state() == {}


def test_if_match_takes_the_stored_etag_and_the_one_this_client_saw(desk):
    etag = desk.put("a", card("a")).etag

    desk.put("a", card("a", "Two"), conditions=Conditions((shown_etag(etag, View(), 3),), refused=3))
    desk.put("a", card("a", "Three"), conditions=Conditions((desk.get("a").etag,), refused=3))
    with pytest.raises(PreconditionFailedError):
        desk.put("a", card("a"), conditions=Conditions((shown_etag(desk.get("a").etag, View(), 4),), refused=3))
    with pytest.raises(PreconditionFailedError):
        desk.put("a", card("a"), conditions=Conditions((shown_etag(etag, View(), 3),), refused=3))


# -- reading and searching ---------------------------------------------------------------------------------------------


def test_many_cards_are_read_in_one_statement(desk, statements):
    for number in range(20):
        desk.put(str(number), card(str(number)))
    whole = desk.access
    statements.clear()

    found = {one.href for one in reading.get_many(desk.db.read, whole, [*map(str, range(20)), "never"])}

    assert found == set(map(str, range(20)))
    assert len(statements) == 1


def test_a_write_costs_eight_statements_with_up_to_three_for_its_entry_and_the_same_again_three(desk, statements):
    found = desk.access
    assert desk.db.secret
    counts = {}
    for what, deed in {
        "new": lambda: desk.put("a", card("a"), access=found),
        "renamed": lambda: desk.put("a", card("a", "Two"), access=found),
        "same": lambda: desk.put("a", card("a", "Two"), access=found),
        "changed": lambda: desk.put("a", card("a", "Two", "BDAY:2000-01-01"), access=found),
        "deleted": lambda: desk.remove("a", access=found),
    }.items():
        statements.clear()
        deed()
        counts[what] = len(statements)

    # An entry costs its row and its keys, where it changes; what a deletion costs more is the guard's.
    assert counts == {"new": 10, "renamed": 11, "same": 3, "changed": 8, "deleted": 11}


NAMES = st.lists(
    st.sampled_from(["Ada", "ADÁ", "Łukasz", "Straße", "100%", "under_score", "back\\slash", "İ"]), min_size=1
)


@examples(10)
@given(names=NAMES, needle=st.text(alphabet="adáÁlŁß%_\\ısİ", min_size=1, max_size=3))
def test_candidates_hold_every_card_whose_name_contains_the_needle(new_desk, names, needle):
    desk = new_desk()
    for number, name in enumerate(names):
        desk.put(str(number), card(str(number), name.replace("\\", "\\\\")))

    with desk.db.read() as session:
        rows = search.candidates(session, [desk.book_id], search.Contains("fn", needle))

    found = [row.href for row in rows]
    folded = cards.vcard.fold(needle)
    holding = {str(number) for number, name in enumerate(names) if folded in cards.vcard.fold(name)}
    # Directories find names by their plain texts too.
    forgiving = {str(number) for number, name in enumerate(names) if folded in entry_keys.plain(name)}
    assert holding <= set(found) <= holding | forgiving


def test_a_deleted_card_is_no_longer_found(desk):
    desk.put("a", card("a", "Ada"))
    desk.remove("a")

    with desk.db.read() as session:
        assert search.candidates(session, [desk.book_id], search.Contains("fn", "ada")) == []
        assert not reading.has_uid(session, desk.book_id, "a")

"""Books through views that hide fields: what is read, written and told there, straight on the core."""

from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import bodies, cards, history, integrity, reading, sync, transfers, write_back
from radicale_shared.access import FULL_VIEW, VERBS, Role, View
from radicale_shared.errors import NeedPrivilegeError, TooLargeError
from radicale_shared.etags import NO_CONDITIONS, Conditions, shown_etag
from radicale_shared.transfers import Place
from radicale_shared.vcard import Card, visible
from radicale_shared.vcard.visible import hidden_positions
from radicale_shared.write_back import MergeNeededError, Merging
from tests.conftest import BY, card, examples

SECRET = card("a", "Ada", "NOTE:secret", "TEL;TYPE=home:1", "EMAIL:a@b.example")
SEEN = card("a", "Ada", "EMAIL:a@b.example")


class Reader:
    """Somebody with a view of a desk's book, who writes as clients do."""

    def __init__(self, desk, *hidden, role=Role.CURATOR):
        self.desk = desk
        self.view = View(frozenset(hidden or ("note", "tel:home")))
        self.verbs = VERBS[role]

    @property
    def access(self):
        return replace(self.desk.access, view=self.view, verbs=self.verbs)

    def get(self, href):
        found = self.access
        with self.desk.db.read() as session:
            return reading.get(session, found, href)

    def etag(self, href):
        return shown_etag(self.get(href).etag, self.view, 0)

    def put(self, href, data, if_match=None, max_size=None):
        db, found, card_ = self.desk.db, self.access, cards.check(data, max_size)
        conditions = Conditions((if_match,)) if if_match else NO_CONDITIONS
        more = {"secret": db.secret, "by": BY, "conditions": conditions}
        try:
            with db.write(found.book.id) as session:
                return cards.put(session, found, href, card_, merging=Merging(), **more)
        except MergeNeededError as needed:
            with db.read() as session:
                check = partial(cards.check, max_size=max_size)
                merging = write_back.worked_out(session, needed, card_, check)
            with db.write(found.book.id) as session:
                return cards.put(session, found, href, card_, merging=merging, **more)

    def transfer(self, href, target, to, *, moving):
        db, here, there = self.desk.db, self.access, target.access
        with db.write(here.book.id, there.book.id) as session:
            return transfers.transfer(
                session, Place(here, href), Place(there, to), moving=moving, secret=db.secret, by=BY
            )


@pytest.fixture
def reader(desk):
    return Reader(desk)


# -- reading -----------------------------------------------------------------------------------------------------------


def test_every_read_gives_the_bytes_and_the_size_that_the_reader_sees(desk, reader):
    desk.put("a.vcf", SECRET)
    with desk.db.snapshot() as session:
        found = [
            reading.get(session, reader.access, "a.vcf"),
            *reading.get_many(desk.db.read, reader.access, ["a.vcf"]),
            *reading.every(session, reader.access),
        ]

    assert [(one.data, one.size) for one in found] == [(SEEN, len(SEEN))] * 3
    assert {one.etag for one in found} == {desk.get("a.vcf").etag}


def test_a_listing_tells_no_sizes_where_fields_are_hidden(desk, reader):
    desk.put("a.vcf", SECRET)
    found = [list(reading.pages_with_details(desk.db.read, one)) for one in (desk.access, reader.access)]

    ([[whole]], [[part]]) = found
    href, etag, size, modified_at = whole
    assert part == (href, etag, None, modified_at)
    assert size == len(SECRET)


def test_a_full_view_is_read_as_the_stored_bytes_by_one_statement(desk, statements):
    desk.put("a.vcf", SECRET)
    whole = desk.access
    statements.clear()

    with desk.db.read() as session:
        assert reading.get(session, whole, "a.vcf").data == SECRET
    assert len(statements) == 1
    assert reading.as_seen(SECRET, FULL_VIEW) is SECRET


# -- writing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [True, False])
def test_an_edit_through_a_view_keeps_what_is_hidden(desk, reader, named):
    desk.put("a.vcf", SECRET)
    sent = SEEN.replace(b"EMAIL:a@b.example", b"EMAIL:c@d.example")
    written = reader.put("a.vcf", sent, reader.etag("a.vcf") if named else None)

    assert desk.get("a.vcf").data == SECRET.replace(b"EMAIL:a@b.example", b"EMAIL:c@d.example")
    assert reader.get("a.vcf").data == sent
    assert (written.created, written.exact, written.revision) == (False, True, desk.revision)


def test_who_sends_what_they_see_changes_nothing(desk, reader):
    desk.put("a.vcf", SECRET)
    before = desk.revision, desk.get("a.vcf")

    assert reader.put("a.vcf", SEEN) == cards.Written(False, before[1].etag, 0, exact=True)
    assert (desk.revision, desk.get("a.vcf")) == before


def test_the_stored_bytes_themselves_are_a_change_like_any_other(desk, reader):
    desk.put("a.vcf", SECRET)
    written = reader.put("a.vcf", SECRET)

    assert written.revision == desk.revision
    assert desk.get("a.vcf").data.count(b"NOTE:secret") == 2


def test_a_write_that_comes_to_nothing_is_a_change_with_an_etag_of_its_own(desk):
    reader = Reader(desk, "bday")
    stored = card("a", "Ada", "BDAY:1815-12-10")
    first = desk.put("a.vcf", stored)
    for guess in ("1815-12-10", "1900-01-01"):
        before = desk.get("a.vcf").etag
        sent = card("a", "Ada", f"BDAY:{guess}")
        written = reader.put("a.vcf", sent)
        found = desk.get("a.vcf")

        assert (found.data, written.exact, written.revision) == (stored, False, desk.revision)
        assert found.etag == written.etag != before
    assert desk.put("a.vcf", stored, merging=Merging()).revision == 0
    assert desk.put("a.vcf", card("a", "Else"), merging=None).etag != first.etag
    assert list(integrity.problems(desk.db)) == []


def test_the_history_has_what_was_received_and_what_had_to_give_way(desk):
    reader = Reader(desk, "bday")
    desk.put("a.vcf", card("a", "Ada", "BDAY:1815-12-10"))
    sent = card("a", "Ada", "BDAY:1900-01-01")
    reader.put("a.vcf", sent)
    with desk.db.snapshot() as session:
        newest = next(history.entries(session, book_id=desk.book_id))
        received = bodies.read(session, newest.received_id)

    assert received == sent
    assert [(one.kept, one.lost) for one in newest.overwritten] == [("BDAY:1815-12-10", "BDAY:1900-01-01")]


def test_a_new_card_is_stored_as_it_was_sent(desk, reader):
    reader.put("a.vcf", SECRET)

    assert desk.get("a.vcf").data == SECRET
    assert reader.get("a.vcf").data == SEEN


def test_a_blind_write_is_compared_with_what_its_sender_has_seen(desk, reader):
    desk.put("a.vcf", card("a", "Ada", "NOTE:secret", "TITLE:Countess", "URL:x"))
    desk.put("a.vcf", card("a", "Ada", "NOTE:other", "TITLE:Lady", "URL:x"))
    reader.put("a.vcf", card("a", "Ada", "TITLE:Countess", "URL:y"))

    assert desk.get("a.vcf").data == card("a", "Ada", "NOTE:other", "TITLE:Lady", "URL:y")


def test_an_edit_in_the_other_version_keeps_what_is_hidden(desk, reader):
    desk.put("a.vcf", SECRET)
    reader.put("a.vcf", card("a", "Ada", "EMAIL:c@d.example", "NOTE:mine", version="4.0"), reader.etag("a.vcf"))

    assert desk.get("a.vcf").data == card(
        "a", "Ada", "NOTE:secret", "NOTE:mine", "TEL;TYPE=home:1", "EMAIL:c@d.example"
    )


def test_a_card_is_not_replaced_by_who_sees_a_part_of_it(desk, reader):
    desk.put("a.vcf", SECRET)
    with pytest.raises(NeedPrivilegeError) as refused:
        desk.put("a.vcf", SEEN, access=reader.access)

    assert refused.value.verb == "manage"
    assert desk.get("a.vcf").data == SECRET


def test_a_card_that_grows_too_large_tells_no_size_but_that_of_what_was_sent(desk, reader):
    desk.put("a.vcf", card("a", "Ada", f"NOTE:{'x' * 900}"))
    sent = card("a", "Ada", f"TITLE:{'y' * 300}")
    with pytest.raises(TooLargeError) as refused:
        reader.put("a.vcf", sent, max_size=1000)

    assert (refused.value.size, refused.value.limit) == (len(sent), 1000)


# -- copying and moving ------------------------------------------------------------------------------------------------


def test_of_a_card_that_one_sees_a_part_of_that_part_is_copied(new_desk):
    here, there = new_desk(), new_desk()
    here.put("a.vcf", SECRET)
    Reader(here).transfer("a.vcf", there, "b.vcf", moving=False)

    assert there.get("b.vcf").data == SEEN
    assert here.get("a.vcf").data == SECRET


def test_a_card_is_not_moved_to_where_its_hidden_fields_would_be_seen(new_desk):
    here, there = new_desk(), new_desk()
    here.put("a.vcf", SECRET)
    for target in (there, Reader(there, "note"), Reader(there, "note", "tel:home+cell")):
        with pytest.raises(NeedPrivilegeError) as refused:
            Reader(here).transfer("a.vcf", target, "b.vcf", moving=True)
        assert refused.value.verb == "manage"
    assert (here.state(), there.state()) == ({"a.vcf": SECRET}, {})


def test_a_card_is_moved_whole_to_where_no_more_of_it_is_seen(new_desk):
    here, there = new_desk(), new_desk()
    here.put("a.vcf", SECRET)
    Reader(here).transfer("a.vcf", Reader(there, "note", "tel", "bday"), "b.vcf", moving=True)

    assert (here.state(), there.state()) == ({}, {"b.vcf": SECRET})


@pytest.mark.parametrize("moving", [True, False])
def test_a_card_of_which_one_sees_a_part_is_not_replaced_by_a_copy(new_desk, moving):
    here, there = new_desk(), new_desk()
    for desk in (here, there):
        desk.put("a.vcf", SECRET)
    with pytest.raises(NeedPrivilegeError):
        Reader(here).transfer("a.vcf", Reader(there), "a.vcf", moving=moving)

    assert here.state() == there.state() == {"a.vcf": SECRET}


# -- by property -------------------------------------------------------------------------------------------------------

PROPERTIES = st.lists(
    st.tuples(
        st.sampled_from(["NOTE", "BDAY", "TEL", "EMAIL", "TITLE", "item1.TEL", "item1.X-ABLabel", "X-THING"]),
        st.sampled_from(["", ";TYPE=home", ";TYPE=work"]),
        st.sampled_from(["1", "22", "_$!<Home>!$_", "Mill"]),
    ).map(lambda parts: "{}{}:{}".format(*parts)),
    max_size=6,
    unique_by=lambda line: "BDAY" if line.startswith("BDAY") else line,
)
HIDDEN = st.frozensets(
    st.sampled_from(["note", "bday", "tel", "tel:home", "email:work", "title", "other"]), min_size=1, max_size=3
)
# (version, whether it names the state that it saw, lines)
WRITES = st.lists(st.tuples(st.sampled_from(["3.0", "4.0"]), st.booleans(), PROPERTIES), min_size=1, max_size=4)


@examples(100)
@given(PROPERTIES, HIDDEN, WRITES)
def test_no_write_through_a_view_loses_or_shows_a_hidden_line(new_desk, lines, hidden, writes):
    desk = new_desk()
    reader = Reader(desk, *hidden)
    desk.put("a", card("a", "Ada", *lines))
    for version, named, sent in writes:
        before = Card.parse(desk.get("a").data)
        kept = [before.lines[at] for at in sorted(hidden_positions(before, hidden))]
        written = reader.put("a", card("a", "Ada", *sent, version=version), reader.etag("a") if named else None)
        now, seen = Card.parse(desk.get("a").data), reader.get("a").data

        assert all(now.lines.count(line) >= kept.count(line) for line in kept)
        assert seen == visible(now, hidden).serialise()
        assert not hidden_positions(Card.parse(seen), hidden)
        if written.exact:
            assert written.revision == 0 or seen == card("a", "Ada", *sent, version=version)
    assert list(integrity.problems(desk.db)) == []


@examples(20)
@given(st.sampled_from(["NOTE", "BDAY", "TEL;TYPE=home"]), st.lists(st.integers(0, 3), min_size=2, max_size=4))
def test_no_answer_tells_whether_a_guess_is_right_or_anything_is_hidden(new_desk, name, guesses):
    told = []
    for hidden in ([f"{name}:0"], [f"{name}:some other value"], []):
        desk = new_desk()
        reader = Reader(desk, "note", "bday", "tel:home")
        desk.put("a", card("a", "Ada", *hidden, "URL:x"))
        etags = [desk.get("a").etag]
        seen = []
        for guess in guesses:
            token = sync.token(reader.access, desk.db.secret)
            written = reader.put("a", card("a", "Ada", *([f"{name}:{guess}"] if guess < 3 else []), "URL:x"))
            etags.append(desk.get("a").etag)
            news, _ = desk.since(token, reader.access)
            seen.append((written.created, written.exact, written.revision, list(news), reader.get("a").data))
        told.append((seen, [etags.index(one) for one in etags]))

    assert told[0] == told[1] == told[2]


def test_another_view_s_token_is_told_every_card_that_is_there(desk, reader):
    desk.put("a.vcf", SECRET)
    desk.put("b.vcf", card("b"))
    token = sync.token(reader.access, desk.db.secret)
    assert desk.since(token, reader.access)[0] == {}

    other = replace(reader.access, view=View(frozenset({"note"})))
    news, new = desk.since(token, other)

    assert set(news) == {"a.vcf", "b.vcf"}
    assert desk.since(new, other)[0] == {}
    assert set(desk.since(new, desk.access)[0]) == {"a.vcf", "b.vcf"}

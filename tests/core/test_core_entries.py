"""An entry says what its card says, is found by all that names it, and is never older than the card."""

from __future__ import annotations

import threading
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, text, update

from radicale_shared import (
    books,
    cards,
    entries,
    entry_keys,
    entry_refresh,
    entry_rows,
    integrity,
    numbers,
    phone_books,
    retention,
    vcard,
)
from radicale_shared.access import View
from radicale_shared.entries import Kind, Number
from radicale_shared.models import Book, Card, DatabaseState, Entry, EntryKey, now, table
from tests.conftest import BY, card, examples


def of(*lines, region="DE", name="Muster;Eva;;;", **more):
    data = card("u", "Eva Muster", *lines, **more).replace(b"N:Eva Muster;;;;", f"N:{name}".encode())
    return entries.of_card(vcard.Card.parse(data), region=region)


def stored(desk):
    """{href: entry} and all keys, as the tables have them."""
    with desk.db.read() as session:
        query = select(Card.href, Card.id, Card.book_id, Entry.data).join(Entry, Entry.card_id == Card.id)
        query = query.where(Entry.book_id == desk.book_id)
        found = {href: entries.read(*row) for href, *row in session.execute(query)}
        keys = session.execute(
            select(EntryKey.book_id, EntryKey.key, EntryKey.card_id).where(EntryKey.book_id == desk.book_id)
        ).all()
    return found, {tuple(row) for row in keys}


def problems(desk):
    return [(one.href, one.what) for one in integrity.problems(desk.db)]


def set_region(desk, region):
    with desk.db.write() as session:
        session.execute(update(DatabaseState).values(region=region))


# -- what a card says --------------------------------------------------------------------------------------------------


def test_an_entry_has_names_numbers_and_addresses_as_people_read_them():
    entry = of(
        "ORG:Muster\\, Söhne;Einkauf;Büro",
        "TITLE:Leiterin",
        "EMAIL;TYPE=work:eva@example.com",
        "EMAIL;TYPE=home,pref:eva@example.org",
        "TEL;TYPE=work,voice:030 23125-101",
        "ADR;TYPE=home:;;Weg 1;Bonn;;53111;Deutschland",
        "NOTE:zwei\\nZeilen",
        "CATEGORIES:Kunden,A\\,B",
        name="Muster;Eva;Anna;Dr.;MA",
    )
    assert (entry.name, entry.family, entry.given, entry.additional, entry.prefix, entry.suffix) == (
        *("Eva Muster", "Muster", "Eva", "Anna", "Dr.", "MA"),
    )
    assert (entry.org, entry.units, entry.title) == ("Muster, Söhne", ("Einkauf", "Büro"), "Leiterin")
    assert entry.emails == ("eva@example.org", "eva@example.com")
    assert entry.numbers == (Number(Kind.WORK, "030 23125-101", "+493023125101", "493023125101", ""),)
    assert entry.addresses[0] == (Kind.HOME, "Weg 1", "Bonn", "", "53111", "Deutschland")
    assert (entry.note, entry.categories) == ("zwei Zeilen", ("Kunden", "A,B"))


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("TEL:1234567", Kind.OTHER),
        ("TEL;TYPE=WORK:1234567", Kind.WORK),
        ("TEL;TYPE=company:1234567", Kind.WORK),
        ("TEL;WORK;CELL:1234567", Kind.MOBILE),
        ("TEL;type=iPhone:1234567", Kind.MOBILE),
        ("TEL;TYPE=home:1234567", Kind.HOME),
        ("TEL;TYPE=home,fax:1234567", Kind.FAX),
        ("TEL;TYPE=pager:1234567", Kind.PAGER),
        ("item1.TEL:1234567\r\nitem1.X-ABLabel:_$!<Mobile>!$_", Kind.MOBILE),
        ("item1.TEL:1234567\r\nitem1.X-ABLabel:_$!<HomeFAX>!$_", Kind.FAX),
    ],
)
def test_the_kind_of_a_number_is_what_its_types_and_labels_say(line, kind):
    assert [number.kind for number in of(line).numbers] == [kind]


def test_a_number_stands_once_however_often_it_is_written():
    entry = of("TEL;TYPE=work:+49 30 23125 101", "TEL;TYPE=home:030/23125101", "TEL;TYPE=cell:+49 30 23125 101")
    assert [(one.kind, one.written) for one in entry.numbers] == [(Kind.WORK, "+49 30 23125 101")]


def test_what_has_no_digits_is_no_number():
    assert of("TEL:ask the office", "TEL:").numbers == ()


def test_groups_and_cards_without_a_name_have_no_entry():
    assert of("X-ADDRESSBOOKSERVER-KIND:group") is None
    assert of("KIND:group", version="4.0") is None
    nobody = b"BEGIN:VCARD\r\nVERSION:3.0\r\nEND:VCARD\r\n"
    assert entries.of_card(vcard.Card.parse(nobody)) is None


def test_a_card_without_fn_is_called_by_what_it_has():
    company = b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u\r\nFN:\r\nN:;;;;\r\nORG:Muster GmbH\r\nEND:VCARD\r\n"
    entry = entries.of_card(vcard.Card.parse(company))
    assert entry.name == entry.org == "Muster GmbH"


ANY_CARD = st.lists(
    st.sampled_from(["TEL", "TEL;TYPE=home", "EMAIL", "ORG", "N", "NICKNAME", "NOTE", "ADR", "URL", "CATEGORIES"]),
    max_size=8,
)


@given(
    names=ANY_CARD, values=st.lists(st.text(max_size=30), min_size=8, max_size=8), region=st.sampled_from(["", "DE"])
)
def test_whatever_a_card_says_its_entry_is_read_as_it_was_written(names, values, region):
    lines = [f"{name}:{vcard.escape(value)}" for name, value in zip(names, values, strict=False)]
    lines = ["".join(char for char in line if char >= " ") for line in lines]
    entry = of(*lines, region=region)
    assert entries.read(0, 0, entries.written(entry)) == entry
    for key in entry_keys.keys_of(entry):
        assert len(key) <= entry_keys.MOST
        assert "\x00" not in key


def test_endless_texts_are_cut_and_endless_numbers_too():
    entry = of(
        "NOTE:" + "x" * 100_000, "TITLE:" + "y" * 100_000, *(f"TEL:+49 30 2312{number:04}" for number in range(100))
    )
    assert len(entries.written(entry)) < 20_000
    assert len(entry.numbers) == 50


def test_many_numbers_with_many_labels_in_one_group_take_memory_by_their_bytes():
    lines = [f"item1.TEL;TYPE=work:+49 30 2312{number:04}" for number in range(2000)]
    labels = [f"item1.X-ABLabel:Etikett {number}" for number in range(2000)]
    data = card("u", "Eva", *lines, *labels, "item1.X-ABLabel:_$!<HomeFAX>!$_")

    tracemalloc.start()
    entry = entries.described(vcard.Card.parse(data))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert {one.kind for one in entry.numbers} == {Kind.FAX}
    assert peak < 40 * len(data)


@pytest.mark.parametrize("line", ["N:", "ORG:", "CATEGORIES:", "ADR:"])
def test_of_endless_lists_only_the_beginning_is_taken_apart(line):
    data = card("u", "Eva", line + r"a\;b;a\,b," * 200_000)

    parsed = vcard.Card.parse(data)
    assert [one.decoded for one in parsed.lines]

    tracemalloc.start()
    assert entries.described(parsed).name == "Eva"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 8 * len(data)


def test_long_texts_are_not_remembered():
    tracemalloc.start()
    for number in range(100):
        entry_keys.plain("ä" * 10_000 + str(number))
        numbers.normalise("1" * 10_000 + str(number), "DE")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1_000_000


# -- keys --------------------------------------------------------------------------------------------------------------


def test_an_entry_is_found_by_its_words_without_case_and_diacritics_and_by_the_keys_of_a_telephone():
    keys = entry_keys.keys_of(
        of("ORG:Größe & Co.", "EMAIL:L@Example.com", "TEL:030 23125101", name="Müßig-Øre;Łukasz;;;")
    )
    assert {"wmussig-ore", "wmussig", "wore", "wlukasz", "wgrosse", "wl@example.com"} <= keys
    assert {"t687744", "t585279", "t673"} <= keys
    assert {"d493023125101", "s101521320394"} <= keys
    assert {"fmussig-ore lukasz", "glukasz mussig-ore"} <= keys


@pytest.mark.parametrize(
    ("word", "plain"),
    [
        ("Straße", "strasse"),
        ("ÉLODIE", "elodie"),
        ("Ødegård", "odegard"),
        ("Łódź", "lodz"),
        ("Þór", "thor"),
        ("ΣΊΣΥΦΟΣ", "σισυφοσ"),
    ],
)
def test_plain_texts_are_what_people_type_who_have_other_keys(word, plain):
    assert entry_keys.plain(word) == plain


@given(st.text(max_size=40))
def test_what_is_plain_stays_so(text):
    assert entry_keys.plain(entry_keys.plain(text)) == entry_keys.plain(text)


@given(st.text(max_size=40))
def test_the_beginning_of_a_text_is_the_beginning_of_its_first_word(text):
    plain = entry_keys.plain(text)
    first = next(entry_keys.words(text), "")
    assert plain.startswith(first)
    assert bool(first) == bool(plain)


# -- rows --------------------------------------------------------------------------------------------------------------

DEEDS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["Ada", "Äda Wu", "Bo", None]),
        st.sampled_from(["TEL:030 23125101", "TEL:+33 1 99 00 11 22", "NOTE:x", "KIND:group"]),
    ),
    max_size=12,
)


@examples(20)
@given(deeds=DEEDS)
def test_after_any_writes_and_deletions_entries_and_keys_are_those_of_the_cards(new_desk, deeds):
    desk = new_desk()
    set_region(desk, "DE")
    for href, name, line in deeds:
        if name is not None:
            desk.put(href, card(f"u-{href}", name, line))
        elif desk.get(href):
            desk.remove(href)

    found, keys = stored(desk)
    live = desk.state()
    expected = {}
    for href, data in live.items():
        there = found.get(href)
        made = entries.of_card(vcard.Card.parse(data), region="DE")
        if made is not None:
            expected[href] = replace(made, card_id=there.card_id, book_id=desk.book_id)
    assert found == expected
    assert keys == {(desk.book_id, key, one.card_id) for one in found.values() for key in entry_keys.keys_of(one)}


def test_a_reader_gets_entries_without_what_is_hidden_from_them(desk):
    desk.put("a", card("a", "Eva", "TEL;TYPE=home:030 111111", "TEL;TYPE=work:030 222222", "NOTE:secret"))
    found, _ = stored(desk)
    whole = desk.access
    partly = replace(whole, view=View(frozenset({"tel:home", "note"})))
    with desk.db.read() as session:
        ids = [found["a"].card_id]
        (all_of_it,) = entry_rows.seen(session, {desk.book_id: whole}, ids)
        (part,) = entry_rows.seen(session, {desk.book_id: partly}, ids)
        assert entry_rows.seen(session, {}, ids) == []
        assert entry_rows.seen(session, {desk.book_id + 1: whole}, ids) == []
    assert all_of_it == found["a"]
    assert [one.written for one in part.numbers] == ["030 222222"]
    assert (part.note, part.name, part.card_id, part.book_id) == ("", "Eva", found["a"].card_id, desk.book_id)


@pytest.mark.parametrize("hidden", [frozenset(), frozenset({"note"})])
def test_a_card_that_is_hidden_from_phones_is_left_out_there_and_shown_elsewhere(desk, hidden):
    for name in "abc":
        desk.put(name, card(name, name))
    with desk.db.write() as session:
        session.execute(update(Card).where(Card.href == "b").values(hidden_from_phones=True))
    reader = replace(desk.access, view=View(hidden))
    of_people = [[one.name for one in page] for page in entry_rows.pages(desk.db.read, reader)]
    of_phones = [[one.name for one in page] for page in entry_rows.pages(desk.db.read, reader, on_phones=True)]
    assert (of_people, of_phones) == ([["a", "b", "c"]], [["a", "c"]])


def test_all_entries_of_a_large_book_are_read_once(desk):
    with desk.db.write(desk.book_id) as session:
        found = desk.access
        for number in range(401):
            checked = cards.check(card(f"u{number}", f"P{number}"))
            cards.put(session, found, f"{number}", checked, secret=desk.db.secret, by=BY)
    names = [one.name for page in entry_rows.pages(desk.db.read, desk.access) for one in page]
    assert sorted(names) == sorted(f"P{number}" for number in range(401))


# -- making them anew --------------------------------------------------------------------------------------------------


def test_a_new_book_is_not_stale_and_gets_its_entries_with_its_cards(desk):
    desk.put("a", card("a", "Ada"))
    with desk.db.read() as session:
        assert entry_refresh.stale(session) == []
    assert entry_refresh.refresh(desk.db) == 0


def test_after_a_change_of_region_every_entry_is_made_anew(desk):
    desk.put("a", card("a", "Ada", "TEL:030 23125101"))
    desk.put("b", card("b", "Bo", "TEL:+33 1 99 00 11 22"))
    set_region(desk, "DE")

    done = []
    assert entry_refresh.refresh(desk.db, told=done.append) == 1

    found, keys = stored(desk)
    assert found["a"].numbers[0].e164 == "+493023125101"
    assert (desk.book_id, "d493023125101", found["a"].card_id) in keys
    assert not any(key == "d03023125101" for _, key, _ in keys)
    assert sum(done) == 2
    assert problems(desk) == []
    assert entry_refresh.refresh(desk.db) == 0


def test_the_region_of_a_book_goes_before_that_of_the_server(desk):
    set_region(desk, "DE")
    with desk.db.write() as session:
        session.execute(update(Book).where(Book.id == desk.book_id).values(region="FR"))
    desk.put("a", card("a", "Ada", "TEL:01 99 00 11 22"))
    found, _ = stored(desk)
    assert found["a"].numbers[0].e164 == "+33199001122"
    assert desk.access.book.region == "FR"


def test_a_newer_library_makes_entries_anew(desk, monkeypatch):
    desk.put("a", card("a", "Ada"))
    monkeypatch.setattr(numbers, "RULES", "10.0.0")
    with desk.db.read() as session:
        assert entry_refresh.stale(session) == [desk.book_id]
    assert entry_refresh.refresh(desk.db) == 1
    with desk.db.read() as session:
        assert entry_refresh.stale(session) == []


def test_a_card_that_is_written_while_entries_are_made_anew_keeps_its_newer_entry(desk, monkeypatch):
    desk.put("a", card("a", "Ada", "TEL:030 23125101"))
    desk.put("b", card("b", "Bo", "TEL:030 23125102"))
    set_region(desk, "DE")
    read = entry_refresh._REFRESHED.rows

    def rows(session, **values):
        found = read(session, **values)
        desk.put("a", card("a", "Adele", "TEL:030 23125103"))
        desk.remove("b")
        return found

    monkeypatch.setattr(entry_refresh._REFRESHED, "rows", rows)
    assert entry_refresh.refresh(desk.db) == 1
    found, _ = stored(desk)
    assert {href: (one.name, one.numbers[0].e164) for href, one in found.items()} == {"a": ("Adele", "+493023125103")}
    assert problems(desk) == []


def test_a_region_that_changes_meanwhile_leaves_the_book_stale(desk, monkeypatch):
    desk.put("a", card("a", "Ada", "TEL:030 23125101"))
    set_region(desk, "DE")
    read = entry_refresh._REFRESHED.rows

    def rows(session, **values):
        found = read(session, **values)
        set_region(desk, "FR")
        return found

    monkeypatch.setattr(entry_refresh._REFRESHED, "rows", rows)
    assert entry_refresh.refresh(desk.db) == 0
    monkeypatch.undo()
    with desk.db.read() as session:
        assert entry_refresh.stale(session) == [desk.book_id]


@pytest.mark.parametrize("is_own", [True, False])
def test_a_region_that_comes_back_leaves_no_entry_of_the_one_between(desk, is_own):
    def say(region):
        with desk.db.write() as session:
            phone_books.set_region(session, region, by=BY, book=desk.access.book if is_own else None)

    say("DE")
    entry_refresh.refresh(desk.db)
    say("FR")
    desk.put("a", card("a", "Ada", "TEL:030 23125101"))
    say("DE")

    assert entry_refresh.refresh(desk.db) == 1
    assert stored(desk)[0]["a"].numbers[0].e164 == "+493023125101"
    assert problems(desk) == []


def test_a_region_that_comes_back_while_entries_are_made_leaves_the_book_stale(desk, monkeypatch):
    def say(region):
        with desk.db.write() as session:
            phone_books.set_region(session, region, by=BY)

    say("DE")
    read = entry_refresh._SIZES.rows

    def rows(session, **values):
        found = read(session, **values)
        say("FR")
        desk.put("a", card("a", "Ada", "TEL:030 23125101"))
        say("DE")
        return found

    monkeypatch.setattr(entry_refresh._SIZES, "rows", rows)
    assert entry_refresh.refresh(desk.db) == 0
    monkeypatch.undo()
    assert entry_refresh.refresh(desk.db) == 1
    assert stored(desk)[0]["a"].numbers[0].e164 == "+493023125101"


def test_a_writer_who_waited_for_a_change_of_region_writes_by_the_new_one(desk):
    """PostgreSQL shows who waited for a row that row as it is now, and others as they were before."""
    desk.put("a", card("a", "Ada"))

    def put():
        desk.put("b", card("b", "Bo", "TEL:030 23125101"))

    writer = threading.Thread(target=put)
    with desk.db.write() as session:
        phone_books.set_region(session, "DE", by=BY)
        writer.start()
        writer.join(0.3)
    writer.join()
    assert stored(desk)[0]["b"].numbers[0].e164 == "+493023125101"


class Killed(Exception):
    pass


@pytest.mark.parametrize("slice_", range(5))
def test_whoever_is_killed_while_entries_are_made_anew_leaves_the_book_stale(desk, monkeypatch, slice_):
    desk.put("a", card("a", "Ada", "TEL:+49 30 23125101"))
    left = iter(range(slice_))

    def pause():
        if next(left, None) is None:
            raise Killed

    monkeypatch.setattr(entry_refresh.slices, "pause", pause)
    with pytest.raises(Killed):
        entry_refresh.refresh(desk.db, damaged=True)
    monkeypatch.undo()

    assert entry_refresh.refresh(desk.db) == 1
    assert stored(desk)[0]["a"].name == "Ada"
    assert problems(desk) == []


def test_two_who_make_entries_from_nothing_leave_none_out_where_one_of_them_is_killed(desk, monkeypatch):
    desk.put("a", card("a", "Ada"))

    def rows(_session, **_values):
        monkeypatch.undo()
        entry_refresh._empty(desk.db, desk.book_id)
        return []  # the first has been there already

    monkeypatch.setattr(entry_refresh._SIZES, "rows", rows)
    assert entry_refresh.refresh(desk.db, damaged=True) == 0
    assert entry_refresh.refresh(desk.db) == 1
    assert list(stored(desk)[0]) == ["a"]
    assert problems(desk) == []


def test_who_comes_to_a_book_that_another_one_left_half_removed_begins_from_nothing(desk, monkeypatch):
    desk.put("a", card("a", "Ada", "TEL:+49 30 23125101"))
    set_region(desk, "DE")
    stale = entry_refresh.stale

    def pause():
        raise Killed

    def found_before(session):
        found = stale(session)
        with monkeypatch.context() as patched:
            patched.setattr(entry_refresh.slices, "pause", pause)
            with pytest.raises(Killed):
                entry_refresh._empty(desk.db, desk.book_id)
        return found

    monkeypatch.setattr(entry_refresh, "stale", found_before)
    assert entry_refresh.refresh(desk.db) == 1
    assert problems(desk) == []


@pytest.mark.parametrize("slice_", range(4))
def test_who_writes_while_entries_are_removed_leaves_no_key_that_is_too_much(desk, monkeypatch, slice_):
    desk.put("a", card("a", "Ada"))
    names = iter([None] * slice_ + ["Berta", "Cäsar", None, "Dora"])

    def pause():
        if name := next(names, None):
            desk.put("a", card("a", name))

    monkeypatch.setattr(entry_refresh.slices, "pause", pause)
    assert entry_refresh.refresh(desk.db, damaged=True) == 1
    assert problems(desk) == []


def test_large_cards_are_read_a_few_at_a_time(desk, monkeypatch):
    monkeypatch.setattr(entry_refresh.slices, "_MOST_AHEAD", 1000)
    for name in "abcdef":
        desk.put(name, card(name, name, "NOTE:" + name * 600))
    read, sizes = entry_refresh._REFRESHED.rows, []

    def rows(session, **values):
        sizes.append(len(values["cards"]))
        return read(session, **values)

    monkeypatch.setattr(entry_refresh._REFRESHED, "rows", rows)
    set_region(desk, "DE")
    assert entry_refresh.refresh(desk.db) == 1
    assert sizes == [2, 2, 2]


# -- damage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (delete(table(Entry)), "what directories tell of the card is not what it says"),
        (update(table(Entry)).values(data=text("replace(data, 'Ada', 'Eva')")), "is not what it says"),
        (delete(table(EntryKey)).where(table(EntryKey).c.key == "wada"), "are found by"),
        (update(table(Entry)).values(data="[]"), "is not what it says"),
        (update(table(Card)).values(deleted=True), "the card is deleted and still in directories"),
    ],
)
def test_damaged_entries_are_found_by_a_check(desk, damage, told):
    desk.put("a", card("a", "Ada"))
    assert problems(desk) == []
    with desk.db.write(desk.book_id) as session:
        session.execute(damage)
    assert any(told in what for _, what in problems(desk))


def test_damaged_entries_are_made_anew_from_the_cards(desk):
    desk.put("a", card("a", "Ada", "TEL:+49 30 23125101"))
    before = stored(desk)
    with desk.db.write(desk.book_id) as session:
        session.execute(delete(table(EntryKey)).where(table(EntryKey).c.key == "wada"))
        session.execute(update(table(Entry)).values(data=text("replace(data, 'Ada', 'Eva')")))
    assert entry_refresh.refresh(desk.db, damaged=True) == 1
    assert stored(desk) == before
    assert problems(desk) == []


def test_a_card_that_comes_back_replaces_what_was_left_of_it_in_directories(desk):
    desk.put("a", card("a", "Ada"))
    with desk.db.write(desk.book_id) as session:
        left = session.execute(select(table(Entry))).one()
    desk.remove("a")
    with desk.db.write(desk.book_id) as session:
        session.execute(insert(table(Entry)).values(left._asdict()))
    desk.put("a", card("a", "Eva"))
    assert stored(desk)[0]["a"].name == "Eva"


def test_a_purged_book_leaves_no_entry_and_no_key(desk):
    for name in "abc":
        desk.put(name, card(name, name))
    with desk.db.write() as session:
        books.trash(session, desk.access.book, by=BY)
    with desk.db.write() as session:
        session.execute(update(Book).where(Book.id == desk.book_id).values(deleted_at=now().replace(year=2020)))
    retention.prune(desk.db, 730, 90)
    assert stored(desk) == ({}, set())

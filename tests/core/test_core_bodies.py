"""The exact bytes of states: whatever is stored comes back, and a photo is stored once."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, update

from radicale_shared import bodies, books, history, integrity, reading
from radicale_shared.models import Body, Card, LargeValue, table
from tests.conftest import BY, card, examples


def photo(letter, size=20_000, end="\r\n"):
    """A PHOTO line of some 20 kB, folded as most programs do it."""
    text = "PHOTO;ENCODING=b;TYPE=JPEG:" + letter * size
    return f"{end} ".join(text[start : start + 74] for start in range(0, len(text), 74))


def rows(db, model, *conditions):
    with db.read() as session:
        return session.scalars(select(func.count()).select_from(model).where(*conditions)).one()


def large(db):
    return rows(db, LargeValue)


# Lines of all lengths, with all line ends, folded and cut anywhere.
PIECES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"\n", b"\r\n", b"\r", b"\n ", b"\r\n\t", b"\n\n", b"\r\n \r\n "]),
    st.builds(lambda byte, size: bytes([byte]) * size, st.integers(0, 255), st.integers(900, 1200)),
)
DATA = st.lists(PIECES, max_size=12).map(b"".join)


@examples(60)
@given(some=st.lists(DATA, min_size=1, max_size=4))
@example(some=[b"x" * 1024, b"x" * 1023, b"", b"\n" * 3000])
@example(some=[b"a\r\n" + b"x" * 1022 + b"\r\n" + b"y" * 2000, b"x" * 2000 + b"\n" + b"y" * 2000 + b"\n"])
def test_all_bytes_come_back_as_they_were(new_desk, some):
    desk = new_desk()
    with desk.db.write(desk.book_id) as session:
        ids = [bodies.store(session, desk.book_id, data) for data in some]
    with desk.db.read() as session:
        assert [bodies.read(session, one) for one in ids] == some
        kept = {(data, part) for data, _, part in session.execute(select(*bodies.columns).select_from(_all(desk)))}
    for data, part in kept:
        assert max(len(data), len(part or b"")) <= max(map(len, some))
        # What is left in a state has no longer line than what was taken out.
        assert not part or len(part) >= bodies.LEAST_LARGE


def _all(desk):
    pointer = select(Body.id.label("of")).where(Body.book_id == desk.book_id).subquery()
    return bodies.beside(pointer, pointer.c.of)


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_a_photo_is_stored_once_whatever_else_of_its_cards_changes(desk, end):
    def with_photo(uid, name, letter="A"):
        return card(uid, name, photo(letter)).replace(b"\r\n", end.encode())

    for number in range(5):
        desk.put("a", with_photo("a", f"Name {number}"))
    desk.put("b", with_photo("b", "Somebody else with the same photo"))
    assert large(desk.db) == 1
    assert rows(desk.db, Body, func.length(Body.data) < 300) == 6

    desk.put("a", with_photo("a", "Name 4", "B"))
    assert large(desk.db) == 2
    assert desk.get("a").data == with_photo("a", "Name 4", "B")
    assert list(integrity.problems(desk.db)) == []


def test_a_photo_is_stored_once_a_book_and_goes_with_it(new_desk):
    one, two = new_desk(), new_desk()
    for desk in (one, two):
        desk.put("a", card("a", "A", photo("A")))
    assert large(one.db) == 2

    with one.db.write() as session:
        books.trash(session, one.access.book, by=BY)
        books.purge(session, books.find_trashed(session, one.address), by=BY)
    assert large(one.db) == 1
    assert two.get("a").data == card("a", "A", photo("A"))


def test_two_lines_of_one_digest_are_two_lines(desk):
    data = card("a", "A", photo("A"))
    desk.put("a", data)
    with desk.db.write(desk.book_id) as session:
        # As if somebody had found another line with this digest, and stored it first.
        session.execute(update(table(LargeValue)).values(data=b"PHOTO:another one\r\n"))
    desk.put("b", card("b", "B", photo("A")))

    assert desk.get("b").data == card("b", "B", photo("A"))
    assert large(desk.db) == 1


def test_a_state_that_was_stored_whole_before_is_read_as_one_in_two_parts(desk):
    data = card("a", "A", photo("A"))
    desk.put("a", card("a"))
    with desk.db.write(desk.book_id) as session:
        old = session.execute(
            insert(table(Body)).values(book_id=desk.book_id, data=data).returning(table(Body).c.id)
        ).scalar_one()
        session.execute(update(table(Card)).values(body_id=old))
    assert desk.get("a").data == data
    assert desk.state() == {"a": data}

    desk.put("a", card("a", "New", photo("A")))
    assert desk.state() == {"a": card("a", "New", photo("A"))}
    assert large(desk.db) == 1


def test_all_who_read_cards_get_both_parts(desk):
    first, second, third = (card("a", name, photo(letter)) for name, letter in (("One", "A"), ("Two", "A"), ("X", "B")))
    huge = card("b", "Huge", photo("H", 50_000))
    desk.put("a", first)
    desk.put("a", second)
    desk.put("a", third)
    desk.put("b", huge)

    assert desk.get("a").data == third
    assert [one.data for one in reading.get_many(desk.db.read, desk.access, ["a", "b", "c"])] == [third, huge]
    assert desk.state() == {"a": third, "b": huge}
    with desk.db.read() as session:
        assert [history.state_after(session, desk.book_id, "a", at) for at in (2, 3, 4, 5)] == [
            first,
            second,
            third,
            third,
        ]
    with desk.db.snapshot() as session:
        found = list(history.entries(session, book_id=desk.book_id))
    assert [entry.name for entry in found] == ["Huge", "X", "Two", "One", ""]


def test_a_name_that_is_the_longest_line_is_told_in_the_history(desk):
    name = "Anna " + "Maria " * 400
    desk.put("a", card("a", "A", photo("A", 900)).replace(b"FN:A\r\n", f"FN:{name.strip()}\r\n".encode()))
    with desk.db.snapshot() as session:
        (entry,) = history.entries(session, book_id=desk.book_id, href="a")
    assert len(entry.name) > 500
    assert name.startswith(entry.name)


def test_what_lost_a_part_is_no_card_and_is_told_by_the_check(desk):
    desk.put("a", card("a", "A", photo("A")))
    desk.put("b", card("b"))
    with desk.db.write(desk.book_id) as session:
        session.execute(delete(table(LargeValue)))

    assert desk.get("a") is None
    assert [one.href for one in reading.get_many(desk.db.read, desk.access, ["a", "b"])] == ["b"]
    assert desk.state().keys() == {"b"}
    assert [(one.href, one.what) for one in integrity.problems(desk.db)] == [
        ("a", "the card's bytes are missing"),
        ("a", "history: the bytes after revision 2 are missing"),
    ]


def test_a_long_line_costs_one_statement_more_to_store_and_none_to_read(desk, statements):
    def cost(work):
        statements.clear()
        work()
        return len(statements)

    desk.put("a", card("a", "One"))
    desk.put("b", card("b", "One", photo("A")))
    plain = cost(lambda: desk.put("a", card("a", "Two")))
    known, new = (
        cost(lambda name=name, letter=letter: desk.put("b", card("b", name, photo(letter))))
        for name, letter in (("Two", "A"), ("Six", "B"))
    )
    # What is new is looked for too, and the bytes of a state are a row of their own, as ever.
    assert (known - plain, new - plain) == (1, 2)

    assert cost(lambda: desk.get("a")) == cost(lambda: desk.get("b"))
    assert cost(lambda: list(reading.get_many(desk.db.read, desk.access, ["a", "b"]))) == cost(
        lambda: list(reading.get_many(desk.db.read, desk.access, ["a"]))
    )


@examples(20)
@example(deeds=[("a", "A", 2, False), ("b", "B", 0, False), ("a", "A", 2, False)])
@given(
    deeds=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from(["", "A", "B"]), st.integers(0, 2), st.booleans()), max_size=10
    )
)
def test_every_state_has_its_own_photo(new_desk, deeds):
    desk = new_desk()
    told = {}
    for href, letter, number, deleted in deeds:
        if deleted and desk.get(href):
            desk.remove(href)
            told[desk.revision] = (href, None)
        else:
            data = card(href, f"Name {number}", *([photo(letter, 1500)] if letter else []))
            if revision := desk.put(href, data).revision:  # the same bytes once more are no state
                told[revision] = (href, data)
    with desk.db.read() as session:
        for revision, (href, data) in told.items():
            assert history.state_after(session, desk.book_id, href, revision) == data
    letters = {line for _, data in told.values() if data for line in data.split(b"\r\n") if line.startswith(b"PHOTO")}
    assert rows(desk.db, LargeValue, LargeValue.book_id == desk.book_id) == len(letters)

"""The index of searched texts: it finds all that contain a text, whatever was done, and costs little."""

from __future__ import annotations

import logging
from contextlib import closing, contextmanager, suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.engine import make_url

from radicale_shared import books, cards, integrity, people, search, search_index, vcard
from radicale_shared.database import Database
from radicale_shared.errors import NotFoundError
from radicale_shared.models import CardSearch, table
from radicale_shared.search import AllOf, AnyOf, Contains
from tests.conftest import BY, card, drop_postgresql_database, examples, new_postgresql_database
from tests.core.conftest import Desk

ODD = [
    '"',
    '"""',
    "*",
    "a*b",
    '"a"b"',
    "' OR 1",
    "a AND b",
    "NEAR(a b)",
    "^abc",
    "-ab",
    "fn:abc",
    "%_%",
    "\\\\\\",
    "   ",
]
ODD += ["\x00\x00\x00", "a\x00b", "\U0001f600\U0001f600\U0001f600", "a\U0001f468‍\U0001f469b", "e\u0301e\u0301"]
ODD += [
    "\u0301\u0301\u0301",
    "\ufffd\ufffd\ufffd",
    "ﬁﬁ",
    "田中太郎",
    "각각",
    "İıß",
    "\u202eabc",
    "x" * 500,
    "?,?:a",
    ":text0",
]


def found(desk, condition, version="", also=()):
    with desk.db.read() as session:
        rows = search.candidates(session, [desk.book_id, *(one.book_id for one in also)], condition, version)
    return [row.href for row in rows]


def escaped(value):
    return value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def holds(condition, fields):
    """The condition, read as its docstring has it."""
    match condition:
        case Contains(field, sought):
            return vcard.needle(field, sought) in fields[field]
        case AllOf(parts):
            return all(holds(part, fields) for part in parts)
        case AnyOf(parts):
            return any(holds(part, fields) for part in parts)


def whole(db):
    """Whether the index has what the cards have, and nothing else."""
    if db.engine.dialect.name == "sqlite":
        with db.write() as session:
            session.execute(text("INSERT INTO card_texts (card_texts) VALUES ('integrity-check')"))
    return [problem.what for problem in integrity.problems(db)] == []


# -- whatever is done --------------------------------------------------------------------------------------------------

TEXTS = st.text(st.sampled_from("abcABß é\u0301@.;,\"'*%_\\😀田"), max_size=12)
FIELDS = st.sampled_from(["fn", "nickname", "org", "email", "tel", "note", "uid"])
HREFS = st.sampled_from(["a", "b", "c", "d"])
CARDS = st.dictionaries(st.sampled_from(["NICKNAME", "ORG", "EMAIL", "TEL", "NOTE"]), TEXTS, max_size=4)
ACTS = st.one_of(
    st.tuples(st.just("put"), HREFS, TEXTS, CARDS),
    st.tuples(st.just("remove"), HREFS),
    st.tuples(st.just("restore"), HREFS, st.integers(1, 8)),
    st.tuples(st.just("purge")),
)
CONTAINS = st.builds(Contains, FIELDS, TEXTS)
CONDITIONS = st.recursive(
    CONTAINS,
    lambda parts: (
        st.builds(AllOf, st.lists(parts, max_size=3).map(tuple))
        | st.builds(AnyOf, st.lists(parts, max_size=3).map(tuple))
    ),
    max_leaves=5,
)


def done(desk, act, new_desk):
    """The desk after one act, which may come to nothing."""
    match act:
        case ("put", href, name, more):
            lines = [f"{property_}:{escaped(value)}" for property_, value in more.items()]
            desk.put(href, card(href, escaped(name) or "-", *lines))
        case ("remove", href):
            if desk.get(href):
                desk.remove(href)
        case ("restore", href, revision):
            with suppress(NotFoundError):
                desk.restore(href, revision)
        case ("purge",):
            with desk.db.write(desk.book_id) as session:
                book = books.find(session, desk.address)
                books.trash(session, book, by=BY)
                books.purge(session, books.find_trashed(session, desk.address), by=BY)
            return new_desk()
    return desk


@given(st.lists(ACTS, max_size=10), st.lists(CONDITIONS, max_size=6))
@examples(25)
def test_whatever_was_done_the_index_finds_what_contains_a_text_and_nothing_else(new_desk, acts, conditions):
    other, desk = new_desk(), new_desk()
    other.put("other", card("other", "aaa", "NOTE:abc", "EMAIL:abc@abc"))
    for act in acts:
        desk = done(desk, act, new_desk)

    assert whole(desk.db)
    held = {href: vcard.search_fields(vcard.Card.parse(data)) for href, data in desk.state().items()}
    texts = [(field, text_[:7]) for fields in held.values() for field, text_ in fields.items() if text_]
    for condition in [*conditions, *(Contains(*one) for one in texts)]:
        assert sorted(found(desk, condition)) == sorted(
            href for href, fields in held.items() if holds(condition, fields)
        )


@pytest.mark.parametrize("sought", ODD)
@pytest.mark.parametrize("field", ["fn", "email", "tel"])
def test_any_text_may_be_sought(desk, field, sought):
    name = escaped(sought.replace("\x00", " "))
    desk.put("it", card("it", f"x{name}y", f"EMAIL:x{name}y", f"TEL:x{name}y"))
    desk.put("other", card("other", "Other", "EMAIL:other", "TEL:other"))

    assert found(desk, Contains(field, sought)) == ["it"]
    assert found(desk, Contains(field, f"q{sought}q")) == []


def test_all_fields_of_a_card_are_found_by_each_of_their_trigrams(desk):
    lines = ["NICKNAME:nickel", "ORG:orange", "TITLE:tiger", "EMAIL:email@example.com", "TEL:+49 30 1234567"]
    desk.put("it", card("unique", "Fname", *lines, "ADR:;;address;;;;", "NOTE:notable", "CATEGORIES:catalogue"))
    desk.put("other", card("another"))
    fields = vcard.search_fields(vcard.Card.parse(desk.get("it").data))

    assert set(fields) == set(search_index.FIELDS)
    for field, whole_text in fields.items():
        for start in range(len(whole_text) - 2):
            for end in range(start + 3, len(whole_text) + 1):
                assert found(desk, Contains(field, whole_text[start:end])) == ["it"], whole_text[start:end]


def test_a_text_is_found_in_the_books_that_are_searched_only(new_desk):
    desks = [new_desk() for _ in range(4)]
    for number, desk in enumerate(desks):
        desk.put(f"{number}", card("ada", "Ada Lovelace"))

    assert found(desks[0], Contains("fn", "lovelace"), also=[desks[3]]) == ["0", "3"]
    assert found(desks[1], Contains("fn", "lovelace"), also=desks[2:3]) == ["1", "2"]


@pytest.mark.parametrize(("number", "hrefs"), [(100, ["a"]), (101, ["a", "b"])])
def test_of_more_texts_than_a_statement_can_have_every_card_is_a_candidate(desk, number, hrefs):
    desk.put("a", card("a", "Number 7"))
    desk.put("b", card("b", "Bob"))

    assert found(desk, AnyOf(tuple(Contains("fn", f"number {one}") for one in range(number)))) == hrefs


def test_no_book_is_no_candidate(desk):
    desk.put("a", card("a"))
    with desk.db.read() as session:
        assert search.candidates(session, [], Contains("fn", "ada")) == []
        assert search.candidates(session, [], search.EVERY) == []


# -- what it costs -----------------------------------------------------------------------------------------------------


def fill(desk, numbers):
    found_access = desk.access
    with desk.db.write(desk.book_id) as session:
        for number in numbers:
            data = card(f"u{number}", f"Person {number:05}", f"EMAIL:p{number:05}@example.com", f"NOTE:of {number}")
            cards.put(session, found_access, f"{number}", cards.check(data), secret=desk.db.secret, by=BY)


@pytest.fixture
def sqlite(db):
    if db.engine.dialect.name != "sqlite":
        pytest.skip("of SQLite's index")
    return db


@contextmanager
def steps(db):
    """Counts what SQLite does meanwhile, in hundreds of instructions of its machine."""
    counted = []
    with db.read() as session:
        driver = session.connection().connection.driver_connection
        driver.set_progress_handler(lambda: counted.append(1) and None, 100)
        try:
            yield session, counted
        finally:
            driver.set_progress_handler(None, 0)


@pytest.mark.parametrize(
    "condition",
    [
        Contains("fn", "son 00042"),
        Contains("email", "p00042@example.com"),
        AllOf((Contains("email", "example.com"), Contains("fn", "00042"))),
        AnyOf((Contains("fn", "00042"), Contains("email", "00042"), Contains("nickname", "00042"))),
    ],
)
def test_a_search_for_few_does_as_much_among_many_cards_as_among_few(sqlite, desk, condition):
    done_ = []
    for numbers in (range(200), range(200, 2000)):
        fill(desk, numbers)
        with steps(sqlite) as (session, counted):
            assert [row.href for row in search.candidates(session, [desk.book_id], condition)] == ["42"]
        done_.append(len(counted))

    assert done_[1] <= 2 * done_[0] + 5


def test_a_search_of_a_small_book_does_not_look_at_a_large_one_s_cards(sqlite, new_desk):
    small, large = new_desk(), new_desk()
    fill(small, range(3))
    done_ = []
    for numbers in (range(1), range(1, 2000)):
        fill(large, numbers)
        with steps(sqlite) as (session, counted):
            rows = search.candidates(session, [small.book_id], Contains("fn", "person"))
        assert [row.href for row in rows] == ["0", "1", "2"]
        done_.append(len(counted))

    assert done_[1] <= 2 * done_[0] + 5


def test_an_edit_of_what_is_not_searched_writes_nothing_to_the_index(sqlite, desk):
    desk.put("a", card("a", "Ada", "TEL:123456", "REV:20260101T000000Z"))
    before = contents(sqlite)
    desk.put("a", card("a", "Ada", "TEL:123456", "REV:20260102T000000Z"))
    assert contents(sqlite) == before

    desk.put("a", card("a", "Ada", "TEL:1234567", "REV:20260102T000000Z"))
    assert contents(sqlite) != before


def contents(db):
    with db.read() as session:
        return session.execute(text("SELECT id, block FROM card_texts_data ORDER BY id")).all()


def test_a_purged_book_leaves_nothing_in_the_index(sqlite, desk, new_desk):
    fill(desk, range(20))
    new = done(desk, ("purge",), new_desk)

    assert whole(sqlite)
    with new.db.read() as session:
        session.execute(text("CREATE VIRTUAL TABLE temp.terms USING fts5vocab(main, card_texts, row)"))
        assert session.execute(text("SELECT count(*) FROM temp.terms")).scalar() == 0
        session.execute(text("DROP TABLE temp.terms"))


# -- when it is damaged or missing -------------------------------------------------------------------------------------


def test_a_text_that_the_index_does_not_know_is_a_problem_that_an_upgrade_mends(sqlite, desk, new_desk):
    desk.put("a", card("a", "Ada", "NOTE:some words"))
    other = new_desk()
    other.put("b", card("b", "Ada"))
    with sqlite.write() as session:
        session.execute(text("INSERT INTO card_texts (card_texts) VALUES ('delete-all')"))

    (problem,) = integrity.problems(sqlite)
    assert "searches miss cards; radicale-shared db upgrade makes it anew" in problem.what
    assert found(desk, Contains("note", "words")) == []

    sqlite.upgrade()
    assert list(integrity.problems(sqlite)) == []
    assert whole(sqlite)
    assert found(desk, Contains("note", "words")) == ["a"]
    assert found(other, Contains("fn", "ada")) == ["b"]
    desk.remove("a")
    assert whole(sqlite)


def test_searched_fields_of_another_book_are_a_problem(desk):
    desk.put("a", card("a", "Ada"))
    with desk.db.write() as session:
        session.execute(table(CardSearch).update().values(book_id=CardSearch.book_id + 1))

    whats = [problem.what for problem in integrity.problems(desk.db)]
    assert "the card's searched fields are another book's" in whats


@pytest.fixture
def humble(postgresql_admin):
    """(a PostgreSQL database whose user may make tables and no extension, the same as its superuser)."""
    url = new_postgresql_database(postgresql_admin)
    admin = Database(url, pool_size=1, write_wait=timedelta(seconds=10), threads=2)
    role = make_url(url).database
    with admin.engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'humble'"))
        connection.execute(text(f"GRANT ALL ON SCHEMA public TO {role}"))
    humble_url = make_url(url).set(username=role, password="humble").render_as_string(hide_password=False)
    with closing(Database(humble_url, pool_size=2, write_wait=timedelta(seconds=10), threads=4)) as db:
        yield db, admin
    with admin.engine.begin() as connection:
        connection.execute(text(f"DROP OWNED BY {role}"))
        connection.execute(text(f"DROP ROLE {role}"))
    admin.close()
    drop_postgresql_database(postgresql_admin, url)


def test_without_its_extension_postgresql_is_upgraded_and_searched_all_the_same(humble, caplog):
    db, admin = humble
    with caplog.at_level(logging.WARNING):
        db.upgrade()
    db.check_schema()

    assert "CREATE EXTENSION pg_trgm" in caplog.text
    assert [problem.what for problem in integrity.problems(db)] == [search_index.MISSING]
    desk = new_book(db)
    desk.put("a", card("a", "Ada Lovelace"))
    assert found(desk, Contains("fn", "lovelace")) == ["a"]

    with admin.engine.begin() as connection:
        connection.execute(text("CREATE EXTENSION pg_trgm"))
    db.upgrade()
    assert whole(db)
    assert found(desk, Contains("fn", "lovelace")) == ["a"]


def new_book(db):
    with db.write() as session:
        owner = people.add_user(session, "desk-owner")
        book = books.add(session, owner, "book", by=BY)
    return Desk(db, book.address, book.id)


def test_postgresql_can_find_a_text_by_its_index(desk):
    if desk.db.engine.dialect.name != "postgresql":
        pytest.skip("of PostgreSQL's index")
    fill(desk, range(3000))
    with desk.db.write() as session:
        # What waits to be sorted in makes the index dear; how much that is depends on the tests before.
        session.execute(text("SELECT gin_clean_pending_list('ix_card_search_trigrams')"))
        # So does what is thought to be in the tables: of a book with no cards any way is as good.
        session.execute(text("ANALYZE cards, card_search"))
        for other_way in ("seqscan", "indexscan"):  # they are as quick for so few
            session.execute(text(f"SET LOCAL enable_{other_way} = off"))
        shape = search._matching("fn", is_sqlite=False, is_narrowed=False, is_limited=False)
        values = {"text0": "'%son 00042%'", "version": "'3.0'"}
        written = shape.text(session).replace("(__[POSTCOMPILE_books])", f"({desk.book_id})")
        for name, value in values.items():
            written = written.replace(f"%({name})s", value)
        plan = "\n".join(session.execute(text(f"EXPLAIN {written.replace('%%', '%')}")).scalars())

    assert "ix_card_search_trigrams" in plan


@pytest.mark.parametrize(
    ("data", "more_in"),
    [
        (card("a", "Ada"), ""),
        (card("a", "Ada", version="4.0"), ""),
        (card("a", "Ada", "NOTE:" + "x" * vcard.MAX_FIELD_LENGTH), "*"),
        (card("a", "Ada", version="4.0").replace(b"N:Ada;;;;\r\n", b""), "3.0"),
        (card("a", "Ada").replace(b"3.0", b"2.1"), "*"),
    ],
)
def test_it_is_noted_in_which_version_a_card_has_other_texts(data, more_in):
    found_card = vcard.Card.parse(data)

    assert search_index.more_in(found_card, vcard.search_fields(found_card)) == more_in


def test_a_field_that_is_not_searched_gets_into_no_statement(desk):
    with desk.db.read() as session, pytest.raises(KeyError):
        search.candidates(session, [desk.book_id], Contains("fn, 'x') > 0 OR instr('x'", "text"))

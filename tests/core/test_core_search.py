"""Which cards a search may be about: conditions asked of the index, on both databases."""

from importlib import import_module

import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from radicale_shared import search, search_index, vcard
from radicale_shared.models import CardSearch, table
from radicale_shared.search import AllOf, AnyOf, Contains
from tests.conftest import card

migration = import_module("radicale_shared.migrations.versions.v0002_versions_and_properties")

ADA, MAX = Contains("fn", "ada"), Contains("note", "max")


@pytest.fixture
def held(desk):
    """Three cards: an Ada, a note of Max, and both in one."""
    desk.put("ada", card("ada", "Ada"))
    desk.put("max", card("max", "Bob", "NOTE:Max"))
    desk.put("both", card("both", "Ada too", "NOTE:max"))
    return desk


def found(desk, condition, version=""):
    with desk.db.read() as session:
        return [row.href for row in search.candidates(session, [desk.book_id], condition, version)]


@pytest.mark.parametrize(
    ("condition", "hrefs"),
    [
        (ADA, ["ada", "both"]),
        (AllOf((ADA, MAX)), ["both"]),
        (AnyOf((ADA, MAX)), ["ada", "max", "both"]),
        (AnyOf((AllOf((ADA, MAX)), Contains("fn", "bob"))), ["max", "both"]),
        (AllOf((AnyOf((ADA, MAX)), Contains("uid", "MAX"))), ["max"]),
        (AllOf(()), ["ada", "max", "both"]),
        (search.EVERY, ["ada", "max", "both"]),
        (AnyOf(()), []),
        (Contains("fn", ""), ["ada", "max", "both"]),
        (Contains("n", ";"), ["ada", "max", "both"]),
        (Contains("fn", "%"), []),
        (Contains("fn", "x" * 100_000), []),
    ],
)
def test_a_condition_is_asked_in_one_statement_and_found_oldest_first(held, statements, condition, hrefs):
    statements.clear()
    assert found(held, condition) == hrefs
    assert len(statements) == 1


def test_a_deleted_card_is_no_candidate(held):
    held.remove("ada")

    assert found(held, ADA) == ["both"]
    assert found(held, search.EVERY) == ["max", "both"]


def test_several_books_are_searched_at_once(new_desk, statements):
    first, second, third = (new_desk() for _ in range(3))
    for desk in (first, second, third):
        desk.put("a", card("a", "Ada"))

    statements.clear()
    with first.db.read() as session:
        rows = search.candidates(session, [first.book_id, third.book_id], ADA)
    assert [(row.book_id, row.href) for row in rows] == [(first.book_id, "a"), (third.book_id, "a")]
    assert len(statements) == 1
    assert {row.etag for row in rows} == {first.get("a").etag}


def test_a_card_whose_other_version_says_more_is_a_candidate_for_that_version_whatever_is_sought(desk):
    without_n = b"BEGIN:VCARD\r\nVERSION:4.0\r\nUID:odd\r\nFN:Ada\r\nEND:VCARD\r\n"
    desk.put("odd", without_n)
    desk.put("even", card("even", "Bob", version="4.0"))
    nobody = Contains("n", "nobody")

    assert [found(desk, nobody, version) for version in ("", "4.0", "3.0")] == [[], [], ["odd"]]
    desk.put("odd", without_n.replace(b"FN:Ada", b"FN:Ada\r\nN:Ada;;;;"))
    assert found(desk, nobody, "3.0") == []


def test_a_field_that_was_cut_is_a_candidate_whatever_is_sought(desk):
    desk.put("long", card("long", "Long", "NOTE:" + "x" * vcard.MAX_FIELD_LENGTH))
    desk.put("short", card("short", "Short", "NOTE:" + "x" * (vcard.MAX_FIELD_LENGTH - 1)))

    assert found(desk, Contains("note", "y")) == ["long"]


# -- the index of a database that was filled before --------------------------------------------------------------------


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_folding_what_was_folded_by_case_is_folding_the_text_itself(text):
    assert migration._folded(text.replace("\x00", " ").casefold()) == vcard.fold(text)[: vcard.MAX_FIELD_LENGTH]


def test_an_upgrade_folds_the_index_anew(desk, monkeypatch):
    monkeypatch.setattr(migration, "_ROWS", 2)
    names = ["Ada", "Žďár", "ﬁ Straße", "Ω", "각"]
    for number, name in enumerate(names):
        desk.put(str(number), card(f"Ü-{number}", name, "NOTE:" + "ö" * vcard.MAX_FIELD_LENGTH))
    index = table(CardSearch)
    with desk.db.write(desk.book_id) as session:
        expected = session.execute(select(index).order_by(index.c.card_id)).all()
        for row, name in zip(expected, names, strict=True):
            old = {"fn": name.casefold(), "n": f"{name} ".casefold(), "note": "ö" * vcard.MAX_FIELD_LENGTH, "uid": ""}
            session.execute(update(index).where(index.c.card_id == row.card_id).values(old))

        with Operations.context(MigrationContext.configure(session.connection())):
            migration._fold_index()

        found = session.execute(select(index).order_by(index.c.card_id)).all()
    assert [row.fn for row in found] == [vcard.fold(name) for name in names]
    for field in set(search_index.FIELDS) - {"n"}:
        # Without what entries are found by: that is made anew by ``entry_refresh.refresh``.
        without = [getattr(row, field).partition("\n")[0] for row in expected]
        assert [getattr(row, field) for row in found] == without

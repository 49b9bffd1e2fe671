"""What an import of many cards costs, counted in rows and statements, never in time."""

from __future__ import annotations

import pytest

from radicale_shared import card_rows
from radicale_shared.changes import Actor
from radicale_shared.exchange import vcards

BY = Actor(None, "tests", device="tests")


def small(number: int) -> bytes:
    return f"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u{number}\r\nFN:U\r\nEND:VCARD\r\n".encode()


def test_a_card_costs_the_same_few_statements_however_many_there_are(organisation, statements, tmp_path):
    path = tmp_path / "a.vcf"

    def cost(first: int, count: int) -> float:
        path.write_bytes(b"".join(small(number) for number in range(first, first + count)))
        statements.clear()
        report = vcards.import_files(organisation.db, "sales/leads", [path], by=BY, max_size=10_000)
        assert report.added == count
        return len(statements) / count

    # Two of them are its entry in directories, and what finds it.
    assert cost(0, 100) <= 10.1
    assert cost(100, 400) <= 10.1


@pytest.mark.parametrize("statement", [card_rows._BEFORE, card_rows._BEFORE_WITH_OUTLINE])
def test_the_search_for_a_card_by_name_or_uid_reads_no_other_cards(organisation, statement):
    if organisation.db.engine.dialect.name != "sqlite":
        return  # PostgreSQL's planner decides by statistics, which a small table doesn't have
    with organisation.db.read() as session:
        query = statement.text(session)
        asked = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", ("",) * query.count("?"))
        plan = " ".join(map(str, asked))

    assert "uq_cards_book_id_uid" in plan
    assert "ix_cards_book_id_revision" not in plan

"""An index of the searched texts that serves "contains"; and of each card its book and which texts are not all told.

PostgreSQL's index needs an extension that may not be there, so it is made by each upgrade anew where it is missing
(``search_index.build``).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# Their places are parts of the keys in the index.
_FIELDS = ("fn", "n", "nickname", "org", "title", "email", "tel", "adr", "note", "categories", "uid")
_LONGEST_FIELD = 10_000


def _key(row: str, place: int | str) -> str:
    """The key of one text in the index: its book, its card, and the place of its field."""
    return f"({row}.book_id << 39) + ({row}.card_id << 4) + {place}"


def _follow() -> None:
    """Let the index follow the table: whoever writes or deletes a row, also by a cascade, keeps them equal."""
    into = "INSERT INTO card_texts (rowid, text)"
    out_of = "INSERT INTO card_texts (card_texts, rowid, text)"
    fields = list(enumerate(_FIELDS))
    added = [f"{into} SELECT {_key('new', place)}, new.{field} WHERE new.{field} <> '';" for place, field in fields]
    removed = [
        f"{out_of} SELECT 'delete', {_key('old', place)}, old.{field} WHERE old.{field} <> '';"
        for place, field in fields
    ]
    changed = [
        f"{out_of} SELECT 'delete', {_key('old', place)}, old.{field} WHERE old.{field} NOT IN ('', new.{field});"
        f"{into} SELECT {_key('new', place)}, new.{field} WHERE new.{field} NOT IN ('', old.{field});"
        for place, field in fields
    ]
    for what, statements in (("insert", added), ("delete", removed), ("update", changed)):
        op.execute(
            f"CREATE TRIGGER card_search_{what} AFTER {what.upper()} ON card_search BEGIN {' '.join(statements)} END"
        )


def _fill() -> None:
    """Index what is there, book by book: an index that is written in the order of its keys is made of few pieces."""
    connection = op.get_bind()
    text = f"CASE place {' '.join(f'WHEN {place} THEN {field}' for place, field in enumerate(_FIELDS))} END"
    places = ", ".join(f"({place})" for place in range(len(_FIELDS)))
    fill = sa.text(
        f"WITH places (place) AS (VALUES {places}) "  # noqa: S608  # our own names
        f"INSERT INTO card_texts (rowid, text) SELECT {_key('card_search', 'place')}, {text} "
        f"FROM card_search CROSS JOIN places WHERE book_id = :book AND {text} <> '' ORDER BY card_id, place"
    )
    for book_id in connection.execute(sa.text("SELECT id FROM books ORDER BY id")).scalars().all():
        connection.execute(fill, {"book": book_id})


def upgrade() -> None:
    with op.batch_alter_table("card_search") as batch:
        batch.add_column(sa.Column("book_id", _ID, comment="The card's."))
        batch.add_column(
            sa.Column(
                "more_in",
                sa.String(3),
                nullable=False,
                server_default="",
                comment="In which vCard version the card has other texts; '*': one was cut; empty: in none.",
            )
        )
    cut = " OR ".join(f"length({field}) >= {_LONGEST_FIELD}" for field in _FIELDS)
    op.execute(
        "UPDATE card_search SET"  # noqa: S608  # our own names
        " book_id = (SELECT book_id FROM cards WHERE cards.id = card_search.card_id),"
        f" more_in = CASE WHEN {cut} THEN '*' WHEN alike THEN '' ELSE"
        " (SELECT CASE version WHEN '3.0' THEN '4.0' WHEN '4.0' THEN '3.0' ELSE '*' END"
        " FROM cards WHERE cards.id = card_search.card_id) END"
    )
    with op.batch_alter_table("card_search") as batch:
        batch.alter_column("book_id", existing_type=_ID, existing_comment="The card's.", nullable=False)
        batch.drop_column("alike")
    op.create_index("ix_card_search_book_id", "card_search", ["book_id"])
    told = sa.text("more_in <> ''")
    op.create_index(
        "ix_card_search_book_id_more_in",
        "card_search",
        ["book_id", "more_in"],
        sqlite_where=told,
        postgresql_where=told,
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE card_texts USING fts5"
            "(text, content='', detail=none, columnsize=0, tokenize='trigram case_sensitive 1')"
        )
        _fill()
        _follow()


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only; restore the backup you made before the upgrade.")

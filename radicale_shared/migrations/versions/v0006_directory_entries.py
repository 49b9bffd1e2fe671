"""What desk phones, callers' names and the LDAP view are served from: entries of cards, and what finds them.

The entries of the cards that are there are made afterwards, book by book (``entry_refresh``): reading every card takes
a while, and the server may run meanwhile.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _column(name: str, kind: Any, *, comment: str | None = None, default: Any = None) -> sa.Column[Any]:
    """A column that always has a value."""
    return sa.Column(name, kind, nullable=False, comment=comment, server_default=default)


def _points_at(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=f"fk_{table}_{column}_{target}", ondelete="CASCADE")


def _add_columns() -> None:
    op.add_column(
        "database_state",
        _column(
            "region",
            sa.String(2),
            comment="Of numbers without a country code: ISO 3166, e.g. DE; or empty.",
            default="",
        ),
    )
    op.add_column(
        "books",
        _column(
            "region",
            sa.String(2),
            comment="As in database_state, which says it for a book where this is empty.",
            default="",
        ),
    )
    op.add_column(
        "books",
        _column(
            "entries_of",
            sa.Text(),
            comment="The rules by which all of its entries were made; empty: none are.",
            default="",
        ),
    )
    for table in ("books", "cards"):
        op.add_column(table, _column("hidden_from_phones", sa.Boolean(), default=sa.false()))


def upgrade() -> None:
    _add_columns()
    op.create_table(
        "entries",
        sa.Column("card_id", _ID, primary_key=True),
        _column("book_id", _ID, comment="The card's."),
        _column("data", sa.Text(), comment="JSON; see entries."),
        _points_at("entries", "card_id", "cards"),
    )
    op.create_index("ix_entries_book_id", "entries", ["book_id"])
    op.create_table(
        "entry_keys",
        sa.Column("book_id", _ID, primary_key=True),
        sa.Column("key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), primary_key=True),
        sa.Column("card_id", _ID, primary_key=True),
        _points_at("entry_keys", "book_id", "books"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "phone_profiles",
        sa.Column("device_id", _ID, primary_key=True),
        _column("make", sa.String(32), comment="The name of a format."),
        _column("sign_in", sa.String(5), comment="url, basic or both: where its password is taken from."),
        _column("networks", sa.Text(), comment="Those it may ask from, one a line; empty: all."),
        _column("fields", sa.Text(), comment="What it shows beside names, one a line."),
        _column("name_order", sa.String(8), comment="family, given or written."),
        _column("dial", sa.String(8), comment="e164, 00 or national."),
        _column("region", sa.String(2), comment="Where it stands; empty: where the server does."),
        _column("outside_prefix", sa.String(8), comment="What is dialled before an outside number."),
        _column("trunk", sa.String(20), comment="E.164: what its own extensions stand behind."),
        _column("max_entries", sa.Integer()),
        _column("max_bytes", sa.Integer()),
        _column("language", sa.String(8)),
        _points_at("phone_profiles", "device_id", "devices"),
    )


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only; restore the backup you made before the upgrade.")

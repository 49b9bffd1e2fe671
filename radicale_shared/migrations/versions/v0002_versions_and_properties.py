"""What versions, merges, quotas, the merged book, dead properties and searches by collation need."""

from __future__ import annotations

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_FIELDS = ("fn", "n", "nickname", "org", "title", "email", "tel", "adr", "note", "categories")
_LONGEST_FIELD = 10_000
_ROWS = 500
_CARDS = sa.table("cards", sa.column("id"), sa.column("uid"))
_SEARCH = sa.table("card_search", sa.column("card_id"), sa.column("uid"), *(sa.column(name) for name in _FIELDS))


def _folded(text: str) -> str:
    """A text folded anew, as the index has it from now on: composed characters taken apart."""
    if text.isascii():
        return text.lower()
    titles = ((one, one.title()) for one in text)
    parts = (unicodedata.normalize("NFKD", title if len(title) == 1 else one) for one, title in titles)
    return "".join(parts).casefold()[:_LONGEST_FIELD]


def _fold_index() -> None:
    """Fold all searched fields anew. What they hold is folded by case only; folding that is folding the text itself."""
    connection = op.get_bind()
    some = (
        sa.select(_SEARCH.c.card_id.label("id"), _CARDS.c.uid, *(_SEARCH.c[name] for name in _FIELDS))
        .join(_CARDS, _CARDS.c.id == _SEARCH.c.card_id)
        .order_by(_SEARCH.c.card_id)
        .limit(_ROWS)
    )
    names = ("uid", *_FIELDS)
    change = (
        sa.update(_SEARCH)
        .where(_SEARCH.c.card_id == sa.bindparam("card"))
        .values({name: sa.bindparam(f"new_{name}") for name in names})
    )
    rows = connection.execute(some).all()
    while rows:
        found = [{"card": row.id, **{f"new_{name}": _folded(getattr(row, name)) for name in names}} for row in rows]
        connection.execute(change, found)
        rows = connection.execute(some.where(_SEARCH.c.card_id > rows[-1].id)).all()


def upgrade() -> None:
    op.add_column(
        "books",
        sa.Column("card_count", sa.BigInteger(), nullable=False, server_default="0", comment="Live cards."),
    )
    op.add_column(
        "books",
        sa.Column("card_bytes", sa.BigInteger(), nullable=False, server_default="0", comment="Of its live cards."),
    )
    op.add_column(
        "cards",
        sa.Column(
            "created_revision",
            sa.BigInteger(),
            nullable=False,
            server_default="0",
            comment="The book's, when this href was first used; 0: before this was noted.",
        ),
    )
    op.add_column(
        "changes",
        sa.Column("received_id", sa.BigInteger(), comment="In bodies: what was sent, where something else was stored."),
    )
    op.add_column(
        "changes",
        sa.Column("conflicts", sa.Text(), comment="JSON array of {name, kept, lost}: what the sender overwrote."),
    )
    op.create_table(
        "client_versions",
        sa.Column("principal_id", _ID, nullable=False),
        sa.Column("client", sa.String(200), nullable=False),
        sa.Column("version", sa.String(3), nullable=False, comment="vCard version it wrote last."),
        sa.PrimaryKeyConstraint("principal_id", "client", name="pk_client_versions"),
        sa.ForeignKeyConstraint(
            ["principal_id"],
            ["principals.id"],
            name="fk_client_versions_principal_id_principals",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "dead_properties",
        sa.Column("id", _ID, nullable=False),
        sa.Column("principal_id", _ID, comment="Of this user's home."),
        sa.Column("book_id", _ID, comment="Of this book."),
        sa.Column("card_id", _ID, comment="Of this card."),
        sa.Column("name", sa.Text(), nullable=False, comment="{namespace}local"),
        sa.Column("xml", sa.Text(), nullable=False, comment="The whole element."),
        sa.PrimaryKeyConstraint("id", name="pk_dead_properties"),
        sa.CheckConstraint(
            "(principal_id IS NOT NULL AND book_id IS NULL AND card_id IS NULL)"
            " OR (principal_id IS NULL AND book_id IS NOT NULL AND card_id IS NULL)"
            " OR (principal_id IS NULL AND book_id IS NULL AND card_id IS NOT NULL)",
            name=op.f("ck_dead_properties_one_subject"),
        ),
        *(
            sa.ForeignKeyConstraint(
                [f"{subject}_id"],
                [f"{subject}s.id"],
                name=f"fk_dead_properties_{subject}_id_{subject}s",
                ondelete="CASCADE",
            )
            for subject in ("principal", "book", "card")
        ),
        *(
            sa.UniqueConstraint(f"{subject}_id", "name", name=f"uq_dead_properties_{subject}_id_name")
            for subject in ("principal", "book", "card")
        ),
    )
    op.add_column("card_search", sa.Column("uid", sa.Text(), nullable=False, server_default=""))
    op.add_column(
        "card_search",
        sa.Column(
            "alike",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="Whether its other vCard version has the same texts in these.",
        ),
    )
    _fold_index()
    op.execute(
        "UPDATE books SET"
        " card_count = (SELECT count(*) FROM cards WHERE cards.book_id = books.id AND NOT cards.deleted),"
        " card_bytes = coalesce("
        "(SELECT sum(cards.size) FROM cards WHERE cards.book_id = books.id AND NOT cards.deleted), 0)"
    )


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only; restore the backup you made before the upgrade.")

"""The first tables, and the one row of database_state."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def _unique_where(name: str, table: str, columns: list[str], condition: str) -> None:
    op.create_index(
        name, table, columns, unique=True, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition)
    )


def upgrade() -> None:
    state = op.create_table(
        "database_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False, comment="Key of the ETags' hash; 32 random bytes."),
        sa.Column(
            "rights_generation",
            sa.BigInteger(),
            nullable=False,
            comment="Counts changes of grants, groups and books' owners; part of every cache's key.",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_database_state"),
        sa.CheckConstraint("id = 1", name=op.f("ck_database_state_one_row")),
    )
    op.create_table(
        "principals",
        sa.Column("id", _ID, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("slug", sa.String(200), nullable=False, comment="Name in URLs; never changes."),
        sa.Column("login", sa.String(320), comment="As typed; users only, none once removed."),
        sa.Column("login_folded", sa.String(640), comment="NFC, casefolded."),
        sa.Column("name", sa.String(500), nullable=False, comment="For people."),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("password", sa.String(300), comment="argon2id, PHC string format."),
        sa.Column("auth_version", sa.BigInteger(), nullable=False, comment="Counts changes of password and state."),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_principals"),
        sa.UniqueConstraint("slug", name="uq_principals_slug"),
        sa.UniqueConstraint("login_folded", name="uq_principals_login_folded"),
        sa.CheckConstraint("kind IN ('user', 'group')", name=op.f("ck_principals_kind")),
        sa.CheckConstraint("state IN ('active', 'disabled', 'removed')", name=op.f("ck_principals_state")),
    )
    op.create_table(
        "memberships",
        sa.Column("group_id", _ID, nullable=False),
        sa.Column("member_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint("group_id", "member_id", name="pk_memberships"),
        sa.ForeignKeyConstraint(
            ["group_id"], ["principals.id"], name="fk_memberships_group_id_principals", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["member_id"], ["principals.id"], name="fk_memberships_member_id_principals", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_memberships_member_id", "memberships", ["member_id"])
    op.create_table(
        "books",
        sa.Column("id", _ID, nullable=False),
        sa.Column("uuid", sa.String(32), nullable=False, comment="Names the book in sync tokens."),
        sa.Column("home_id", _ID, nullable=False, comment="Owner at creation: gives the address."),
        sa.Column("owner_id", _ID, nullable=False),
        sa.Column("slug", sa.String(200), nullable=False),
        sa.Column(
            "mount", sa.String(401), nullable=False, comment="home's slug ~ slug: its name in other people's homes."
        ),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("color", sa.String(32), nullable=False),
        sa.Column(
            "epoch", sa.String(16), nullable=False, comment="Random, new after every restore; part of sync tokens."
        ),
        sa.Column(
            "revision", sa.BigInteger(), nullable=False, comment="Raised by every write; updating it is the write lock."
        ),
        sa.Column(
            "floor", sa.BigInteger(), nullable=False, comment="Tokens below start over: hrefs up to here were blanked."
        ),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("deleted_at", _TIME, comment="In the trash since."),
        sa.PrimaryKeyConstraint("id", name="pk_books"),
        sa.UniqueConstraint("uuid", name="uq_books_uuid"),
        sa.ForeignKeyConstraint(["home_id"], ["principals.id"], name="fk_books_home_id_principals"),
        sa.ForeignKeyConstraint(["owner_id"], ["principals.id"], name="fk_books_owner_id_principals"),
    )
    op.create_index("ix_books_owner_id", "books", ["owner_id"])
    _unique_where("uq_books_home_id_slug", "books", ["home_id", "slug"], "deleted_at IS NULL")
    _unique_where("uq_books_mount", "books", ["mount"], "deleted_at IS NULL")
    op.create_table(
        "default_books",
        sa.Column("principal_id", _ID, nullable=False),
        sa.Column("book_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint("principal_id", name="pk_default_books"),
        sa.ForeignKeyConstraint(
            ["principal_id"], ["principals.id"], name="fk_default_books_principal_id_principals", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["book_id"], ["books.id"], name="fk_default_books_book_id_books", ondelete="CASCADE"),
    )
    op.create_table(
        "bodies",
        sa.Column("id", _ID, nullable=False),
        sa.Column("book_id", _ID, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bodies"),
        sa.ForeignKeyConstraint(["book_id"], ["books.id"], name="fk_bodies_book_id_books", ondelete="CASCADE"),
    )
    op.create_index("ix_bodies_book_id", "bodies", ["book_id"])
    op.create_table(
        "cards",
        sa.Column("id", _ID, nullable=False),
        sa.Column("book_id", _ID, nullable=False),
        sa.Column("href", sa.Text(), nullable=False, comment="Name inside the book, as the client chose it, decoded."),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False, comment="The book's, at this card's last change."),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("etag", sa.String(32), nullable=False, comment="Keyed hash of the stored bytes."),
        sa.Column("size", sa.Integer(), nullable=False, comment="Bytes."),
        sa.Column("version", sa.String(3), nullable=False, comment="vCard version of the stored bytes."),
        sa.Column("body_id", sa.BigInteger(), comment="In bodies; none once deleted."),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("modified_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cards"),
        sa.UniqueConstraint("book_id", "href", name="uq_cards_book_id_href"),
        sa.ForeignKeyConstraint(["book_id"], ["books.id"], name="fk_cards_book_id_books", ondelete="CASCADE"),
    )
    op.create_index("ix_cards_book_id_revision", "cards", ["book_id", "revision"])
    op.create_index(
        "uq_cards_book_id_uid",
        "cards",
        ["book_id", "uid"],
        unique=True,
        sqlite_where=sa.text("deleted = 0"),
        postgresql_where=sa.text("NOT deleted"),
    )
    op.create_table(
        "card_search",
        sa.Column("card_id", _ID, nullable=False),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("fn", "n", "nickname", "org", "title", "email", "tel", "adr", "note", "categories")
        ),
        sa.PrimaryKeyConstraint("card_id", name="pk_card_search"),
        sa.ForeignKeyConstraint(["card_id"], ["cards.id"], name="fk_card_search_card_id_cards", ondelete="CASCADE"),
    )
    op.create_table(
        "grants",
        sa.Column("id", _ID, nullable=False),
        sa.Column("book_id", _ID, nullable=False),
        sa.Column("audience", sa.String(9), nullable=False, comment="principal, everyone (signed in) or domain."),
        sa.Column("principal_id", _ID),
        sa.Column("domain", sa.String(255), nullable=False, comment="Empty but for the audience 'domain'."),
        sa.Column("role", sa.String(11), nullable=False),
        sa.Column("until_at", _TIME, comment="Ends then."),
        sa.Column("hidden_fields", sa.Text(), comment="JSON array; a grant with any gives nothing yet."),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_grants"),
        sa.UniqueConstraint("book_id", "principal_id", name="uq_grants_book_id_principal_id"),
        sa.ForeignKeyConstraint(["book_id"], ["books.id"], name="fk_grants_book_id_books", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["principal_id"], ["principals.id"], name="fk_grants_principal_id_principals", ondelete="CASCADE"
        ),
        sa.CheckConstraint(
            "(principal_id IS NOT NULL) = (audience = 'principal') AND (domain <> '') = (audience = 'domain')",
            name=op.f("ck_grants_audience"),
        ),
        sa.CheckConstraint(
            "role IN ('viewer', 'contributor', 'editor', 'curator', 'manager', 'owner')", name=op.f("ck_grants_role")
        ),
    )
    _unique_where(
        "uq_grants_book_id_audience_domain", "grants", ["book_id", "audience", "domain"], "principal_id IS NULL"
    )
    op.create_index("ix_grants_principal_id_book_id", "grants", ["principal_id", "book_id"])
    op.create_index("ix_grants_audience_domain", "grants", ["audience", "domain"])
    op.create_table(
        "acts",
        sa.Column("id", _ID, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("book_id", _ID),
        sa.Column("actor_id", _ID),
        sa.Column("actor", sa.String(320), nullable=False, comment="Who, as text of that day."),
        sa.Column("device", sa.String(200), nullable=False, comment="Which client, as far as it can be told."),
        sa.Column("user_agent", sa.String(500), nullable=False),
        sa.Column("address", sa.String(45), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why, or what else the deed was about."),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_acts"),
        sa.ForeignKeyConstraint(["book_id"], ["books.id"], name="fk_acts_book_id_books", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["actor_id"], ["principals.id"], name="fk_acts_actor_id_principals"),
    )
    op.create_index("ix_acts_book_id", "acts", ["book_id"])
    op.create_table(
        "changes",
        sa.Column("id", _ID, nullable=False),
        sa.Column("act_id", _ID, nullable=False),
        sa.Column("book_id", _ID, nullable=False),
        sa.Column("card_id", _ID, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("before_id", sa.BigInteger(), comment="In bodies; none: the card was not there."),
        sa.Column("after_id", sa.BigInteger(), comment="In bodies; none: the card was deleted."),
        sa.PrimaryKeyConstraint("id", name="pk_changes"),
        sa.UniqueConstraint("book_id", "revision", name="uq_changes_book_id_revision"),
        sa.ForeignKeyConstraint(["act_id"], ["acts.id"], name="fk_changes_act_id_acts"),
        sa.ForeignKeyConstraint(["book_id"], ["books.id"], name="fk_changes_book_id_books", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["card_id"], ["cards.id"], name="fk_changes_card_id_cards", ondelete="CASCADE"),
    )
    op.create_index("ix_changes_act_id", "changes", ["act_id"])
    op.create_index("ix_changes_card_id", "changes", ["card_id"])
    op.create_table(
        "refusals",
        sa.Column("id", _ID, nullable=False),
        sa.Column("principal_id", _ID, nullable=False),
        sa.Column("client", sa.String(200), nullable=False),
        sa.Column("book_id", _ID, nullable=False),
        sa.Column("href", sa.Text(), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False, comment="Counts this person's refusals in this book."),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_refusals"),
        sa.UniqueConstraint(
            "principal_id", "client", "book_id", "href", name="uq_refusals_principal_id_client_book_id_href"
        ),
        sa.ForeignKeyConstraint(
            ["principal_id"], ["principals.id"], name="fk_refusals_principal_id_principals", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["book_id"], ["books.id"], name="fk_refusals_book_id_books", ondelete="CASCADE"),
    )
    op.create_index("ix_refusals_book_id", "refusals", ["book_id"])
    op.bulk_insert(state, [{"id": 1, "secret": secrets.token_bytes(32), "rights_generation": 1}])


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only; restore the backup you made before the upgrade.")

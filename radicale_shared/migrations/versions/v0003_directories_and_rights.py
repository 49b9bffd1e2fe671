"""What directories, device passwords, views, and rights beyond a plain grant need."""

from __future__ import annotations

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_PRINCIPALS = sa.table("principals", sa.column("id"), sa.column("login"), sa.column("domain"), sa.column("kind"))


def _fill_domains() -> None:
    """What stands behind the ``@`` of a login, folded as logins are."""
    connection = op.get_bind()
    found = connection.execute(
        sa.select(_PRINCIPALS.c.id, _PRINCIPALS.c.login).where(
            _PRINCIPALS.c.kind == "user", _PRINCIPALS.c.login.contains("@")
        )
    ).all()
    for principal_id, login in found:
        domain = login.strip().rpartition("@")[2]
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", domain).casefold())
        if len(folded) <= 255:
            connection.execute(sa.update(_PRINCIPALS).where(_PRINCIPALS.c.id == principal_id).values(domain=folded))


def _points_at(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=f"fk_{table}_{column}_{target}", ondelete="CASCADE")


def upgrade() -> None:
    # Columns and indexes only: a table that others point at is never made anew on SQLite.
    op.add_column(
        "principals",
        sa.Column(
            "domain",
            sa.String(255),
            nullable=False,
            server_default="",
            comment="Folded; of grants to a domain. A user's own, empty without.",
        ),
    )
    op.add_column(
        "principals",
        sa.Column(
            "directory",
            sa.String(64),
            nullable=False,
            server_default="",
            comment="Name of the directory it comes from; empty: made here.",
        ),
    )
    for column in (
        sa.Column("directory_key", sa.Text(), comment="What it is told by there, whatever it is called."),
        sa.Column("directory_login", sa.String(640), comment="Its login there, folded."),
        sa.Column("dn", sa.Text(), comment="Its name in the directory when it was read last."),
        sa.Column(
            "disabled_by",
            sa.String(13),
            nullable=False,
            server_default="",
            comment="Of a disabled one: 'administrator' or 'directory'.",
        ),
        sa.Column("seen_at", sa.DateTime(timezone=True), comment="Signed in last, within an hour."),
        sa.Column("groups_at", sa.DateTime(timezone=True), comment="Its groups were read then."),
    ):
        op.add_column("principals", column)
    op.create_index("ix_principals_directory", "principals", ["directory"])
    for name in ("directory_key", "directory_login"):
        op.create_index(f"uq_principals_directory_{name}", "principals", ["directory", name], unique=True)
    op.execute("UPDATE principals SET disabled_by = 'administrator' WHERE state = 'disabled'")
    _fill_domains()

    if op.get_bind().dialect.name == "postgresql":  # SQLite keeps no comments
        op.alter_column(
            "grants",
            "hidden_fields",
            comment="JSON array of fields, see vcard.fields.",
            existing_comment="JSON array; a grant with any gives nothing yet.",
        )
        op.alter_column(
            "database_state",
            "rights_generation",
            comment="Counts changes of people, groups and grants; updating it is their lock.",
            existing_comment="Counts changes of grants, groups and books' owners; part of every cache's key.",
        )

    op.create_table(
        "group_owners",
        sa.Column("group_id", _ID, nullable=False),
        sa.Column("owner_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint("group_id", "owner_id", name="pk_group_owners"),
        _points_at("group_owners", "group_id", "principals"),
        _points_at("group_owners", "owner_id", "principals"),
    )
    op.create_index("ix_group_owners_owner_id", "group_owners", ["owner_id"])

    op.add_column(
        "books",
        sa.Column(
            "mirrored_from",
            sa.String(64),
            nullable=False,
            server_default="",
            comment="Name of the directory whose people it shows; nobody else writes it.",
        ),
    )
    op.add_column(
        "books",
        sa.Column(
            "search_only",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="Too large for devices: searched, and not listed.",
        ),
    )

    op.create_table(
        "devices",
        sa.Column("id", _ID, nullable=False),
        sa.Column("principal_id", _ID, nullable=False),
        sa.Column("label", sa.String(200), nullable=False, comment="What its owner calls it."),
        sa.Column("key_id", sa.String(32), nullable=False, comment="The part of the password that finds it."),
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="Keyed hash of the whole password."),
        sa.Column("read_only", sa.Boolean(), nullable=False),
        sa.Column("phones_only", sa.Boolean(), nullable=False, comment="Serves desk phones alone, not CardDAV."),
        sa.Column("all_books", sa.Boolean(), nullable=False, comment="Else those in device_books."),
        sa.Column("merged", sa.Boolean(), comment="Whether it gets the merged book; none: by its User-Agent."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), comment="Within an hour."),
        sa.Column("last_address", sa.String(45), nullable=False),
        sa.Column("last_user_agent", sa.String(500), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_devices"),
        _points_at("devices", "principal_id", "principals"),
        sa.UniqueConstraint("key_id", name="uq_devices_key_id"),
        sa.UniqueConstraint("principal_id", "label", name="uq_devices_principal_id_label"),
    )
    op.create_table(
        "device_books",
        sa.Column("device_id", _ID, nullable=False),
        sa.Column("book_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint("device_id", "book_id", name="pk_device_books"),
        _points_at("device_books", "device_id", "devices"),
        _points_at("device_books", "book_id", "books"),
    )
    op.create_index("ix_device_books_book_id", "device_books", ["book_id"])

    op.create_table(
        "sign_ins",
        sa.Column("id", _ID, nullable=False),
        sa.Column("directory", sa.String(64), nullable=False),
        sa.Column("login", sa.String(640), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("directory_key", sa.Text(), comment="Whose password it was tried for, once known."),
        sa.Column("verdict", sa.String(7), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sign_ins"),
        sa.CheckConstraint("verdict IN ('pending', 'right', 'wrong')", name=op.f("ck_sign_ins_verdict")),
        sa.UniqueConstraint("directory", "login", "digest", name="uq_sign_ins_directory_login_digest"),
    )
    op.create_index("ix_sign_ins_at", "sign_ins", ["at"])
    op.create_index("ix_sign_ins_directory_directory_key", "sign_ins", ["directory", "directory_key"])

    op.create_table(
        "leases",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("holder", sa.String(100), nullable=False),
        sa.Column("until_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.create_table(
        "directory_states",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("followed_at", sa.DateTime(timezone=True), comment="Groups and people were read then."),
        sa.Column("mirrored_at", sa.DateTime(timezone=True), comment="The mirrored book was brought up then."),
        sa.Column(
            "mirrored_to", sa.Text(), nullable=False, server_default="", comment="The directory's own time of that."
        ),
        sa.Column("failing_since", sa.DateTime(timezone=True)),
        sa.Column("failure", sa.Text(), nullable=False, server_default="", comment="Why it can't be read, for people."),
        sa.Column(
            "guard",
            sa.Text(),
            nullable=False,
            server_default="",
            comment="What was not believed, until an administrator accepts it; empty: nothing.",
        ),
        sa.PrimaryKeyConstraint("name", name="pk_directory_states"),
    )
    op.create_table(
        "mirrored_entries",
        sa.Column("book_id", _ID, nullable=False),
        sa.Column("directory_key", sa.String(512), nullable=False),
        sa.Column("href", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(32), nullable=False, comment="Of the mapped values, and of how they are mapped."),
        sa.PrimaryKeyConstraint("book_id", "directory_key", name="pk_mirrored_entries"),
        sa.UniqueConstraint("book_id", "href", name="uq_mirrored_entries_book_id_href"),
        _points_at("mirrored_entries", "book_id", "books"),
    )


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only; restore the backup you made before the upgrade.")

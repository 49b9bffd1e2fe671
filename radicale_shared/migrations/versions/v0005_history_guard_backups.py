"""What undoing, the guard, retention and backups need; long lines of cards once for all states that have them.

States that were stored before keep all of their bytes in one place: they are as they are until they are pruned.
"""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)
_AT_A_TIME = 50
_FOLD = re.compile(rb"\r?\n[ \t]")
_UID = re.compile(rb"(?im)^(?:[^:;\r\n]+\.)?UID(?:;[^:\r\n]*)?:([^\r\n]*)")
_ESCAPED = re.compile(r"\\(.)")


def _column(name: str, kind: Any, *, comment: str | None = None, default: str | None = None) -> sa.Column[Any]:
    """A column that always has a value."""
    return sa.Column(name, kind, nullable=False, comment=comment, server_default=default)


def _key() -> sa.Column[Any]:
    return sa.Column("id", _ID, primary_key=True)


def _points_at(table: str, column: str, target: str, *, cascade: bool = True) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column],
        [f"{target}.id"],
        name=f"fk_{table}_{column}_{target}",
        ondelete="CASCADE" if cascade else None,
    )


def _add_columns() -> None:
    op.add_column(
        "database_state",
        _column(
            "moved_to",
            sa.Text(),
            comment="Where everything was moved to; what is here is read-only then.",
            default="",
        ),
    )
    op.add_column("database_state", sa.Column("pruned_at", _TIME, comment="What is too old was removed then."))
    op.add_column(
        "books",
        sa.Column("history_days", sa.Integer(), comment="How long its history is kept; none: as the settings say."),
    )
    op.add_column(
        "books",
        sa.Column("trash_days", sa.Integer(), comment="How long it stays in the trash; none: as the settings say."),
    )
    op.add_column(
        "books",
        sa.Column("purged_at", _TIME, comment="It is being erased since then, piece by piece; nobody brings it back."),
    )
    op.add_column(
        "books",
        sa.Column("forgotten_at", _TIME, comment="The youngest deed whose change of a card was removed for its age."),
    )
    op.add_column(
        "bodies",
        sa.Column("large_id", sa.BigInteger(), comment="In large_values: a part that stands there."),
    )
    op.add_column(
        "bodies",
        sa.Column("large_at", sa.Integer(), comment="Where in data that part belongs, in bytes."),
    )
    is_split = sa.text("large_id IS NOT NULL")
    op.create_index("ix_bodies_large_id", "bodies", ["large_id"], sqlite_where=is_split, postgresql_where=is_split)
    op.create_index("ix_acts_at", "acts", ["at"])


def _add_tables() -> None:
    op.create_table(
        "large_values",
        _key(),
        _column("book_id", _ID),
        _column("digest", sa.LargeBinary(), comment="BLAKE2b of the bytes, 16 bytes of it."),
        _column("data", sa.LargeBinary()),
        _points_at("large_values", "book_id", "books"),
        sa.UniqueConstraint("book_id", "digest", name="uq_large_values_book_id_digest"),
    )
    op.create_table(
        "given_up_uids",
        _key(),
        _column("book_id", _ID),
        _column("uid", sa.Text()),
        _column("revision", sa.BigInteger(), comment="The book's, when the card with this UID was deleted."),
        _points_at("given_up_uids", "book_id", "books"),
    )
    op.create_index("ix_given_up_uids_book_id_revision", "given_up_uids", ["book_id", "revision"])
    op.create_table(
        "undos",
        sa.Column("act_id", _ID, primary_key=True),
        _column("spec", sa.Text(), comment="JSON: which changes it takes back."),
        _column("upto_card_id", sa.BigInteger(), comment="Cards up to here are done."),
        _column("finished", sa.Boolean()),
        _points_at("undos", "act_id", "acts"),
    )
    _add_guard()
    op.create_table(
        "backups",
        _key(),
        _column("file", sa.Text(), comment="Where it was, absolute."),
        _column("digest", sa.String(64), comment="SHA-256 of the file, which names it."),
        _column("size", sa.BigInteger(), comment="Bytes."),
        _column("of_at", _TIME, comment="The moment that it shows."),
        sa.Column("verified_at", _TIME),
        _column("problem", sa.Text(), comment="What verifying found; empty: nothing."),
        sa.UniqueConstraint("digest", name="uq_backups_digest"),
    )


def _add_guard() -> None:
    op.create_table(
        "destructions",
        _key(),
        _column("book_id", _ID),
        _column("source", sa.Text(), comment="Who by which device, as the guard tells them apart."),
        sa.Column("person", sa.Text(), comment="Who, if only a User-Agent says by which device."),
        _column("revision", sa.BigInteger(), comment="The book's: names the change."),
        _column("deleted", sa.Boolean(), comment="Else it was emptied, and is still one of the book's cards."),
        _column("at", _TIME),
        _points_at("destructions", "book_id", "books"),
    )
    op.create_index("ix_destructions_book_id_at", "destructions", ["book_id", "at"])
    op.create_table(
        "blocks",
        _key(),
        _column("book_id", _ID),
        _column("source", sa.Text(), comment="As in destructions; or their person, for all such devices."),
        sa.Column("principal_id", _ID),
        _column("actor", sa.String(320), comment="Who, as text of that day."),
        _column("device", sa.String(200)),
        _column("address", sa.String(45)),
        _column("user_agent", sa.String(500)),
        _column("first_revision", sa.BigInteger(), comment="The book's, of the first change that counted."),
        _column("destroyed", sa.Integer(), comment="Cards that were deleted or emptied before it stepped in."),
        _column("of_cards", sa.Integer(), comment="Cards that the book had before."),
        _column("began_at", _TIME, comment="Of the first change that counted."),
        _column("at", _TIME),
        _column("until_at", _TIME, comment="Ends by itself then."),
        sa.Column("released_at", _TIME),
        _column("released_by", sa.String(320), default=""),
        sa.Column("reverted_act_id", sa.BigInteger(), comment="The act that brought the cards back."),
        _points_at("blocks", "book_id", "books"),
        _points_at("blocks", "principal_id", "principals", cascade=False),
    )
    op.create_index("ix_blocks_book_id_source", "blocks", ["book_id", "source"])
    op.create_table(
        "guard_rules",
        _key(),
        _column("book_id", _ID),
        _column("role", sa.String(11), comment="Empty: all that have no rule of their own."),
        sa.Column("cards", sa.Integer(), comment="None: the guard is off."),
        sa.Column("percent", sa.Integer()),
        _points_at("guard_rules", "book_id", "books"),
        sa.UniqueConstraint("book_id", "role", name="uq_guard_rules_book_id_role"),
    )
    op.create_table(
        "clean_ups",
        sa.Column("book_id", _ID, primary_key=True),
        sa.Column("principal_id", _ID, primary_key=True),
        _column("until_at", _TIME),
        _column("said_by", sa.String(320)),
        _points_at("clean_ups", "book_id", "books"),
        _points_at("clean_ups", "principal_id", "principals"),
    )
    op.create_index("ix_clean_ups_principal_id", "clean_ups", ["principal_id"])
    op.create_table(
        "client_properties",
        sa.Column("client", sa.String(200), primary_key=True, comment="As ``changes.client_of`` names it."),
        sa.Column("name", sa.String(100), primary_key=True),
    )
    op.create_table(
        "notices",
        _key(),
        _column("channel", sa.String(7), comment="mail or webhook."),
        _column("recipient", sa.Text(), comment="An e-mail address; empty for the webhook."),
        _column("content", sa.Text(), comment="JSON: subject, text, facts."),
        _column("made_at", _TIME),
        sa.Column("next_at", _TIME, comment="Tried then; none: given up."),
        _column("tries", sa.Integer()),
        _column("failure", sa.Text(), comment="Why it could not be sent last."),
    )
    op.create_index("ix_notices_next_at", "notices", ["next_at"])


def _note_given_up_uids() -> None:
    """Those that only the history told until now."""
    connection = op.get_bind()
    found = connection.execute(
        sa.text(
            "SELECT changes.book_id, changes.revision, bodies.data, cards.uid FROM changes"
            " JOIN cards ON cards.id = changes.card_id JOIN bodies ON bodies.id = changes.before_id"
            " WHERE changes.after_id IS NULL AND cards.revision > changes.revision ORDER BY changes.id"
        ),
        # Cards may have 10 MB each: they are read as they are looked at.
        execution_options={"yield_per": _AT_A_TIME},
    )
    given_up = sa.table("given_up_uids", sa.column("book_id"), sa.column("uid"), sa.column("revision"))
    for part in found.partitions():
        told = []
        for row in part:
            line = _UID.search(_FOLD.sub(b"", row.data))
            uid = _ESCAPED.sub(r"\1", line.group(1).decode("utf-8", "replace").strip()) if line else ""
            if uid and uid != row.uid:
                told.append({"book_id": row.book_id, "uid": uid, "revision": row.revision})
        if told:
            connection.execute(sa.insert(given_up), told)


def upgrade() -> None:
    _add_columns()
    _add_tables()
    _note_given_up_uids()


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only; restore the backup you made before the upgrade.")

"""Runs the migrations on the connection that ``Database.upgrade`` hands over."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

from radicale_shared import search_index
from radicale_shared.models import Base
from radicale_shared.schemas import VERSION_TABLE

# One lock for all upgrades of a cluster's database; any number that nobody else uses.
ADVISORY_LOCK = 5232_0001


def run() -> None:
    connection = context.config.attributes["connection"]
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET lock_timeout = '30s'"))
        connection.execute(text("SET statement_timeout = '1h'"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
        render_as_batch=True,
        compare_type=True,
    )
    context.run_migrations()
    if context.get_context().get_current_revision() == context.get_head_revision():
        search_index.build(connection)


run()

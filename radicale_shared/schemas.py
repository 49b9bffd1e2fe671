"""Schemas: which one a database has, and whether it is this program's. They are named by the migrations' numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, String, column, inspect, select, table

from . import models
from .errors import SchemaError

if TYPE_CHECKING:
    from alembic.config import Config

VERSION_TABLE = "radicale_shared_version"
_VERSION = select(column("version_num", String)).select_from(table(VERSION_TABLE))
_MIGRATIONS = Path(__file__).parent / "migrations" / "versions"
_STATE = models.DatabaseState.__tablename__
_MOVED_TO = select(models.DatabaseState.moved_to)


def alembic_config() -> Config:
    """Where Alembic finds the migrations."""
    # Alembic, its templates and what colours them are nine megabytes: no server process is to have them.
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "radicale_shared:migrations")
    return config


def _revisions() -> list[str]:
    """The revisions of this program's schema, oldest first: the numbers in its migrations' names."""
    return sorted(path.name[1:5] for path in _MIGRATIONS.glob("v[0-9][0-9][0-9][0-9]_*.py"))


def knows(schema: str) -> bool:
    """Whether this program has a schema of this name, its present one or one of before."""
    return schema in _revisions()


def present() -> str:
    """The name of this program's schema. Raises SchemaError if this installation has lost its migrations."""
    revisions = _revisions()
    if not revisions:
        raise SchemaError("This installation has lost its migrations; install radicale-shared again.")
    return revisions[-1]


def require_utf8(connection: Connection) -> None:
    """Raise SchemaError for a PostgreSQL database that can't hold all names."""
    if connection.dialect.name == "postgresql":
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
        if encoding != "UTF8":
            raise SchemaError(
                f"The database's encoding is {encoding}, which can't hold all names. Make it anew: "
                "createdb --encoding UTF8 --template template0 NAME"
            )


def refuse_newer(found: str) -> None:
    """Raise SchemaError for a schema that this program doesn't know."""
    if found not in _revisions():
        raise SchemaError(f"The database has schema {found}, which is newer than this program. Install the newer one.")


def refuse_moved(connection: Connection, schema: str) -> None:
    """Raise SchemaError for a database that is read-only: making its tables anew would make it writable again."""
    if schema == present() or not any(one["name"] == "moved_to" for one in inspect(connection).get_columns(_STATE)):
        return
    if moved_to := connection.execute(_MOVED_TO).scalar():
        raise SchemaError(f"Everything was moved to {moved_to}, and this database is read-only: upgrade that one.")


def of(connection: Connection) -> str | None:
    """The name of the schema that a database has; None for none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(_VERSION).scalar()
    return found

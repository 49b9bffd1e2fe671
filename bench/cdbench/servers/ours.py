"""radicale-shared itself, on SQLite and on PostgreSQL."""

import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from .. import vcards
from . import postgresql
from .base import HOST, LEFT_TO_PUT, PASSWORD, USER, Server, script
from .postgresql import Cluster

POSTGRESQL_VARIABLE = "RADICALE_SHARED_TEST_POSTGRESQL"
BOOK = "bench"
MOST_GUARDED = 1_000_000


class Ours(Server):
    """radicale-shared on SQLite. Filled by its own ``import``, the last LEFT_TO_PUT contacts by PUT.

    workers: of ``serve``; 2 by default here, as there
    """

    label = "ours"
    book = f"/{USER}/{BOOK}/"
    watches_memory = True

    def __init__(self, folder: Path, workers: int = 2) -> None:
        super().__init__(folder)
        self.workers = workers
        self._filled = 0

    @classmethod
    def missing(cls) -> str | None:
        return None if script("radicale-shared").exists() else f"{script('radicale-shared')} is not installed"

    @property
    def config(self) -> Path:
        return self.folder / "config.ini"

    def database_url(self) -> str:
        return f"sqlite:///{self.folder.resolve() / 'bench.db'}"

    def set_up(self) -> None:
        self.config.write_text(
            dedent(f"""\
                [storage]
                type = radicale_shared.storage_plugin
                database_url = {self.database_url()}
                [auth]
                type = radicale_shared.auth_plugin
                [rights]
                type = radicale_shared.auth_plugin
                [logging]
                level = warning
            """),
            encoding="utf-8",
        )
        self.config.chmod(0o600)
        self.command_line("db", "upgrade")
        self.command_line("user", "add", USER, "--name", "Alice", "--password-stdin", given=PASSWORD + "\n")
        self.command_line("book", "add", f"{USER}/{BOOK}")
        # It goes on counting, so that a DELETE costs what it does, and never steps in.
        self.command_line("guard", "set", f"{USER}/{BOOK}", "--cards", str(MOST_GUARDED))

    def fill(self, n: int) -> None:
        if n - LEFT_TO_PUT > self._filled:
            cards = self.folder / "cards.vcf"
            with cards.open("wb") as file:
                file.writelines(vcards.contact(index) for index in range(self._filled, n - LEFT_TO_PUT))
            self.command_line("import", f"{USER}/{BOOK}", str(cards))
            cards.unlink()
        self._filled = max(n, self._filled)  # the rest is loaded by PUT as soon as it serves

    def command(self, port: int) -> list[str]:
        serve = ["serve", "--host", HOST, "--port", str(port), "--workers", str(self.workers)]
        return [str(script("radicale-shared")), "--config", str(self.config), *serve]

    def command_line(self, *command: str, given: str = "") -> None:
        """Run one of its own commands, with its configuration."""
        self.run(str(script("radicale-shared")), "--config", str(self.config), *command, given=given)


class OursOnPostgresql(Ours):
    """radicale-shared on PostgreSQL: a throw-away server of its own, whose CPU time and memory count.

    Where POSTGRESQL_VARIABLE names a server, it gets a database of its own there instead.

    database_pids: the first process of that server, so that its CPU time counts
    """

    label = "ours-pg"

    def __init__(self, folder: Path, workers: int = 2, database_pids: Sequence[int] = ()) -> None:
        super().__init__(folder, workers)
        self.database_pids = tuple(database_pids)
        self.database = f"radicale_shared_bench_{uuid.uuid4().hex[:8]}"
        self._cluster = None if os.environ.get(POSTGRESQL_VARIABLE) else Cluster(self.label, folder)

    @classmethod
    def missing(cls) -> str | None:
        return super().missing() or (None if os.environ.get(POSTGRESQL_VARIABLE) else postgresql.missing())

    @property
    def administration_url(self) -> str:
        return self._cluster.url if self._cluster else os.environ[POSTGRESQL_VARIABLE]

    def database_url(self) -> str:
        return make_url(self.administration_url).set(database=self.database).render_as_string(hide_password=False)

    def set_up(self) -> None:
        if self._cluster:
            self._cluster.start()
        self._administer("CREATE DATABASE {}", self.database)
        super().set_up()

    def fill(self, n: int) -> None:
        """Fill the book, and do at once what autovacuum would do within minutes."""
        super().fill(n)
        with self._connected(self.database) as connection:
            connection.execute("VACUUM (ANALYZE)")

    def tear_down(self) -> None:
        if self._cluster:
            self._cluster.stop()
        else:
            self._administer("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.database)
        super().tear_down()

    def further_pids(self) -> tuple[int, ...]:
        return self._cluster.pids if self._cluster else self.database_pids

    def _administer(self, statement: str, name: str) -> None:
        with self._connected() as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(name)))

    def _connected(self, database: str | None = None) -> "psycopg.Connection[tuple[object, ...]]":
        url = make_url(self.administration_url).set(drivername="postgresql")
        url = url.set(database=database) if database else url
        return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)

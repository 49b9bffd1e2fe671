"""The servers of a side-by-side run: set up in a folder of their own, started on a free port, stopped again.

Each is started the way its own documentation says, as one process tree whose CPU time and memory are measured. What a
server stores stays in its folder between starts; the folder is the caller's to remove.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from . import vcards
from .client import Client, Target

HOST = "127.0.0.1"
USER = "alice"
PASSWORD = "bench-secret"
POSTGRESQL_VARIABLE = "RADICALE_SHARED_TEST_POSTGRESQL"
START_SECONDS = 60.0
STOP_SECONDS = 15.0


class ServerFailedError(Exception):
    """A server could not be set up or did not come up.

    label: the server's; reason: what happened; log: the end of what it had printed
    """

    def __init__(self, label: str, reason: str, log: str = "") -> None:
        super().__init__(f"{label}: {reason}" + (f"\n{log}" if log else ""))
        self.label = label
        self.reason = reason
        self.log = log


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers: its book and the roots of its process tree, databases included."""

    target: Target
    pids: tuple[int, ...]


class Server(ABC):
    """A server to be measured. Its state is its folder and, while it runs, its process.

    bulk: takes a whole book by one PUT on the collection
    """

    label: str
    book: str
    bulk = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def missing(cls) -> str | None:
        """Return why this server cannot be started here, None if it can."""
        return None

    @abstractmethod
    def set_up(self) -> None:
        """Write the configuration and make the user; called once, before the first start."""

    @abstractmethod
    def command(self, port: int) -> list[str]:
        """Return the command line that serves on ``port`` of the loopback interface."""

    def fill(self, n: int) -> None:  # noqa: B027 - most are filled over HTTP
        """Put the first ``n`` contacts into the book by the server's own means; called while it is stopped."""

    def tear_down(self) -> None:  # noqa: B027 - most leave nothing but their folder
        """Undo what ``set_up`` did outside the folder."""

    def further_pids(self) -> tuple[int, ...]:
        """Return the processes that work for this server but are not its children."""
        return ()

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @contextmanager
    def running(self) -> Iterator[Running]:
        """Serve until the block is left.

        Raises ServerFailedError if the server ends or does not answer within START_SECONDS.
        """
        port = free_port()
        with self.log.open("ab") as log:
            # A session of its own: whatever it starts can be ended with it, and nothing else.
            self._process = subprocess.Popen(
                self.command(port),
                cwd=self.folder,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_until_it_answers(self._process, port)
            target = Target(f"http://{HOST}:{port}{self.book}", USER, PASSWORD, timeout=600)
            yield Running(target, (self._process.pid, *self.further_pids()))
        finally:
            stop(self._process)

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes], port: int) -> None:
        client = Client(Target(f"http://{HOST}:{port}/", timeout=5))
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise ServerFailedError(self.label, f"ended with status {process.returncode}", self._log_end())
            try:
                client.request("OPTIONS", "/")
            except (OSError, EOFError, ValueError):
                time.sleep(0.1)
            else:
                return
            finally:
                client.close()
        raise ServerFailedError(self.label, f"no answer within {START_SECONDS:.0f} s", self._log_end())

    def _log_end(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-3000:]

    def run(self, *command: str, given: str = "", cwd: Path | None = None) -> None:
        """Run a command of the set-up to its end. Raises ServerFailedError if it fails.

        given: its standard input
        cwd: where it runs, by default in the server's folder
        """
        done = subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            cwd=cwd or self.folder,
            env=clean_environment(),
            check=False,
        )
        if done.returncode:
            reason = f"{' '.join(command)} ended with status {done.returncode}"
            raise ServerFailedError(self.label, reason, (done.stdout + done.stderr)[-3000:])


class Ours(Server):
    """radicale-shared on SQLite.

    workers: of ``serve``; 1 by default here, because the peers have one process too
    """

    label = "ours"
    book = f"/{USER}/bench/"

    def __init__(self, folder: Path, workers: int = 1) -> None:
        super().__init__(folder)
        self.workers = workers

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
        radicale_shared = (str(script("radicale-shared")), "--config", str(self.config))
        self.run(*radicale_shared, "db", "upgrade")
        self.run(*radicale_shared, "user", "add", USER, "--name", "Alice", "--password-stdin", given=PASSWORD + "\n")

    def command(self, port: int) -> list[str]:
        serve = ["serve", "--host", HOST, "--port", str(port), "--workers", str(self.workers)]
        return [str(script("radicale-shared")), "--config", str(self.config), *serve]


class OursOnPostgresql(Ours):
    """radicale-shared on a database of its own in the PostgreSQL server of POSTGRESQL_VARIABLE.

    database_pids: the PostgreSQL server's first process, so that its CPU time counts
    """

    label = "ours-pg"

    def __init__(self, folder: Path, workers: int = 1, database_pids: Sequence[int] = ()) -> None:
        super().__init__(folder, workers)
        self.database_pids = tuple(database_pids)
        self.database = f"radicale_shared_bench_{uuid.uuid4().hex[:8]}"

    @classmethod
    def missing(cls) -> str | None:
        return super().missing() or (None if os.environ.get(POSTGRESQL_VARIABLE) else f"{POSTGRESQL_VARIABLE} unset")

    def database_url(self) -> str:
        url = make_url(os.environ[POSTGRESQL_VARIABLE]).set(database=self.database)
        return url.render_as_string(hide_password=False)

    def set_up(self) -> None:
        self._administer("CREATE DATABASE {}")
        super().set_up()

    def tear_down(self) -> None:
        self._administer("DROP DATABASE IF EXISTS {} WITH (FORCE)")

    def further_pids(self) -> tuple[int, ...]:
        return self.database_pids

    def _administer(self, statement: str) -> None:
        url = make_url(os.environ[POSTGRESQL_VARIABLE]).set(drivername="postgresql")
        with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(self.database)))


class Radicale(Server):
    """Stock Radicale: its built-in server, htpasswd, owner_only, multifilesystem with its fsync on, as by default."""

    label = "radicale"
    book = f"/{USER}/bench/"
    bulk = True

    def set_up(self) -> None:
        passwords = self.folder / "htpasswd"
        passwords.write_text(f"{USER}:{PASSWORD}\n", encoding="utf-8")
        (self.folder / "config.ini").write_text(
            dedent(f"""\
                [auth]
                type = htpasswd
                htpasswd_filename = {passwords}
                htpasswd_encryption = plain
                delay = 0
                [rights]
                type = owner_only
                [storage]
                type = multifilesystem
                filesystem_folder = {self.folder / "collections"}
                [logging]
                level = warning
            """),
            encoding="utf-8",
        )

    def command(self, port: int) -> list[str]:
        options = ["--config", str(self.folder / "config.ini"), "--server-hosts", f"{HOST}:{port}"]
        return [sys.executable, "-m", "radicale", *options]


class Xandikos(Server):
    """Xandikos without authentication, which it refuses over plain HTTP; so its figures contain none.

    A PUT costs it too much to load a book that way: contacts are added to the book's git repository in one commit.
    """

    label = "xandikos"
    book = f"/{USER}/contacts/addressbook/"

    @classmethod
    def missing(cls) -> str | None:
        return None if script("xandikos").exists() else f"{script('xandikos')} is not installed (extra: bench)"

    @property
    def repository(self) -> Path:
        return self.folder / "data" / USER / "contacts" / "addressbook"

    def set_up(self) -> None:
        with self.running():  # --defaults makes the book
            pass

    def fill(self, n: int) -> None:
        missing = [index for index in range(n) if not (self.repository / f"{vcards.uid(index)}.vcf").exists()]
        if not missing:
            return
        for index in missing:
            (self.repository / f"{vcards.uid(index)}.vcf").write_bytes(vcards.contact(index))
        # dulwich is what Xandikos itself uses and brings along; Git need not be there.
        self.run(str(script("dulwich")), "add", ".", cwd=self.repository)
        self.run(str(script("dulwich")), "commit", "--message", "fill", cwd=self.repository)

    def command(self, port: int) -> list[str]:
        data = ["-d", str(self.folder / "data"), "--state-dir", str(self.folder / "state"), "--defaults"]
        listen = ["--current-user-principal", f"/{USER}/", "-l", HOST, "-p", str(port)]
        return [str(script("xandikos")), "serve", *data, *listen]


SERVERS: dict[str, type[Server]] = {each.label: each for each in (Ours, OursOnPostgresql, Radicale, Xandikos)}


def script(name: str) -> Path:
    """Return where the console script ``name`` of this Python environment is."""
    return Path(sys.executable).with_name(name)


def free_port() -> int:
    """Return a port of the loopback interface that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def clean_environment() -> dict[str, str]:
    """Return the environment for servers: nothing that configures one behind this module's back, a name for commits."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("RADICALE", "XANDIKOS", "PYTHON"))
    }
    names = dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "bench")
    return inherited | names | dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "bench@localhost")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the process by SIGTERM, and its whole session by SIGKILL if it takes longer than STOP_SECONDS."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

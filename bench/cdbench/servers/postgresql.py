"""A throw-away PostgreSQL server: its default settings, a cluster of its own, a socket in its own folder."""

import shutil
import signal
import subprocess
import time
from pathlib import Path

import psycopg

from .base import (
    START_SECONDS,
    ServerFailedError,
    as_user,
    clean_environment,
    folder_of,
    no_such_account,
    other_user,
    stop,
)

ACCOUNT = "postgres"
PLACES = ("/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin")


def programs() -> Path | None:
    """Return the folder with ``initdb`` and ``postgres``, of the newest version there is; None without PostgreSQL."""
    found = [path for place in PLACES for path in Path("/").glob(f"{place[1:]}/initdb")]
    if on_path := shutil.which("initdb"):
        found.append(Path(on_path).resolve())
    return max(found, key=_version).parent if found else None


def _version(initdb: Path) -> int:
    return max((int(part) for part in initdb.parts if part.isdigit()), default=0)


def missing() -> str | None:
    """Return why no PostgreSQL can be started here, None if one can."""
    if programs() is None:
        return "no PostgreSQL server found (Debian: postgresql)"
    return no_such_account(ACCOUNT)


class Cluster:
    """A PostgreSQL server that runs from ``start`` to ``stop``; nothing of it is left then.

    Settings are PostgreSQL's own (fsync and synchronous_commit are on), the locale is C.UTF-8.
    """

    def __init__(self, label: str, folder: Path) -> None:
        self.label = label
        self.folder = folder_of(ACCOUNT, folder)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The superuser's URL, for SQLAlchemy."""
        return f"postgresql+psycopg://{ACCOUNT}@/postgres?host={self.folder}"

    @property
    def pids(self) -> tuple[int, ...]:
        """The first process, whose children do the work."""
        return (self._process.pid,) if self._process else ()

    def start(self) -> None:
        """Make the cluster and start it. Raises ServerFailedError if it does not come up."""
        folder = programs()
        if folder is None:
            raise ServerFailedError(self.label, "no PostgreSQL server found")
        data, log = self.folder / "data", self.folder / "postgresql.log"
        initdb = [str(folder / "initdb"), "-D", str(data), "-U", ACCOUNT, "-A", "trust", "-E", "UTF8"]
        with log.open("ab") as output:
            made = subprocess.run(
                [*initdb, "--locale=C.UTF-8"],
                cwd=self.folder,
                env=clean_environment(),
                stdout=output,
                stderr=output,
                check=False,
                **as_user(ACCOUNT),
            )
            if made.returncode:
                raise ServerFailedError(self.label, f"initdb ended with status {made.returncode}", log.read_text())
            socket = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self.folder}"]
            self._process = subprocess.Popen(
                [str(folder / "postgres"), "-D", str(data), *socket],
                cwd=self.folder,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                **as_user(ACCOUNT),
            )
        self._wait_until_it_answers(self._process, log)

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes], log: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                psycopg.connect(host=str(self.folder), user=ACCOUNT, dbname="postgres").close()
            except psycopg.OperationalError:
                time.sleep(0.1)
            else:
                return
        raise ServerFailedError(self.label, "PostgreSQL did not come up", log.read_text()[-3000:])

    def stop(self) -> None:
        """Stop it without waiting for its clients (SIGINT, "fast shutdown"), and remove what is not the caller's."""
        if self._process is not None:
            stop(self._process, signal.SIGINT)
            self._process = None
        if other_user(ACCOUNT):
            shutil.rmtree(self.folder, ignore_errors=True)

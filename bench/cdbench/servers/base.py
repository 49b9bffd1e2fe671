"""What all servers of a side-by-side run have in common: a folder, a port, a start and an end.

Each is started the way its own documentation says, as one process tree whose CPU time and memory are measured. What a
server stores stays in its folder between starts.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from ..client import Client, Target

HOST = "127.0.0.1"
USER = "alice"
PASSWORD = "bench-secret"
START_SECONDS = 60.0
STOP_SECONDS = 15.0
LEFT_TO_PUT = 1000
"""How many contacts of a size a server that fills its book by its own means leaves to be loaded by PUT."""


class UserChange(TypedDict, total=False):
    """Arguments of ``subprocess`` that change the user of a command."""

    user: str
    group: int
    extra_groups: list[int]


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
    """A server that answers: its book, and the roots of its process tree: its own first, then its database's."""

    target: Target
    pids: tuple[int, ...]


class Server(ABC):
    """A server to be measured. Its state is its folder and, while it runs, its process.

    folder: where its state is; the caller's to remove. Where ``account`` needs another one, ``tear_down`` removes that
    bulk: takes a whole book by one PUT on the collection
    watches_memory: has a goal for what an initial sync takes of it
    by_default: is among the servers of a run that names none
    account: the user it runs as where this process is root, because it refuses to be that
    """

    label: str
    book: str
    bulk = False
    watches_memory = False
    by_default = True
    account: str | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder_of(self.account, folder)
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

    def tear_down(self) -> None:
        """Undo what was done outside the caller's folder; called while it is stopped."""
        if other_user(self.account):
            shutil.rmtree(self.folder, ignore_errors=True)

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
                **as_user(self.account),
            )
        try:
            self._wait_until_it_answers(self._process, port)
            target = Target(f"http://{HOST}:{port}{self.book}", USER, PASSWORD, timeout=600, quickack=True)
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

    def run(self, *command: str, given: str = "", cwd: Path | None = None) -> str:
        """Run a command of the set-up to its end and return what it printed. Raises ServerFailedError if it fails.

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
            **as_user(self.account),
        )
        if done.returncode:
            reason = f"{' '.join(command)} ended with status {done.returncode}"
            raise ServerFailedError(self.label, reason, (done.stdout + done.stderr)[-3000:])
        return done.stdout


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


def other_user(account: str | None) -> bool:
    """Whether a server of ``account`` cannot run as the user that this process has: only root is refused."""
    return account is not None and os.geteuid() == 0


def as_user(account: str | None) -> UserChange:
    """Return what makes ``subprocess`` run a command as ``account`` where this process is root."""
    if account is None or not other_user(account):
        return {}
    return {"user": account, "group": pwd.getpwnam(account).pw_gid, "extra_groups": []}


def folder_of(account: str | None, folder: Path) -> Path:
    """Return ``folder``, or a new one that belongs to ``account`` if another user runs there.

    A new one, because the folders above ``folder`` may be closed to others.
    """
    if account is None or not other_user(account):
        return folder
    own = tempfile.mkdtemp(prefix=f"carddav-bench-{account}-")
    shutil.chown(own, account)
    return Path(own)


def no_such_account(account: str) -> str | None:
    """Return why nothing can run as ``account`` here, None if it can or need not."""
    if other_user(account):
        try:
            pwd.getpwnam(account)
        except KeyError:
            return f"running as root, and there is no user {account}"
    return None


def stop(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
    """End the process by a signal, and its whole session by SIGKILL if it takes longer than STOP_SECONDS."""
    process.send_signal(how)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

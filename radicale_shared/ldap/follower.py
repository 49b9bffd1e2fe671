"""The threads of a worker process that follow the directories: a round every ``poll_seconds``, in one process of all.

Which process that is, is a lease in the database, one for each directory: a directory that hangs holds up nobody else's
rounds. A leader that dies is followed when its lease has run out. Nothing that happens in a round ends a thread.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta

from .. import directories, leases, sign_ins
from ..database import Database
from ..errors import BusyError, DirectoryUnavailableError, SharedBooksError
from ..models import now
from . import mirror
from .find import Directory
from .follow import follow
from .present import Memory
from .sign_in import pending_for

# How often a leader looks at all groups and all people, and not only at those that matter now.
EVERYTHING_EVERY = timedelta(hours=1)
# How soon a mirror that failed is tried again.
_MIRROR_AGAIN = timedelta(minutes=10)
_SHORTEST_LEASE = 15.0
_LOOKS_EVERY = 5.0  # seconds
_log = logging.getLogger(__name__)


def lease_name(directory: str) -> str:
    """The lease of whoever follows a directory."""
    return f"follow {directory}"


def lease_life(directory: Directory) -> timedelta:
    """How long a leader that died is waited for."""
    return timedelta(seconds=max(_SHORTEST_LEASE, 1.5 * directory.settings.poll_seconds))


class Follower:
    """Follows all directories of a process, a thread for each; ``stop`` ends it and gives its leases back."""

    def __init__(self, db: Database, followed: Sequence[Directory]) -> None:
        self._stopping = threading.Event()
        self._threads = [_Following(db, one, self._stopping) for one in followed]

    def start(self) -> None:
        for one in self._threads:
            one.start()

    def stop(self, timeout: float = 2.0) -> None:
        """End the threads; one that waits for a directory is left to end by itself, with the process at the latest."""
        self._stopping.set()
        until = time.monotonic() + timeout
        for one in self._threads:
            one.join(max(0.0, until - time.monotonic()))


class _Following(threading.Thread):
    """The rounds of one directory in one process."""

    def __init__(self, db: Database, directory: Directory, stopping: threading.Event) -> None:
        super().__init__(name=f"follow {directory.settings.name}", daemon=True)
        self._db = db
        self._directory = directory
        self._stopping = stopping
        self._lease = lease_name(directory.settings.name)
        self._holder = f"{socket.gethostname()[:60]} {os.getpid()} {secrets.token_hex(8)}"
        self._leads = False
        self._memory = Memory()
        self._everything_at: float | None = None
        self._mirroring: threading.Thread | None = None
        self._mirror_from = 0.0

    def run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            try:
                self._turn()
            except BusyError as error:
                _log.info("Directory %s: this round is left out: %s", self._directory.settings.name, error)
            except SharedBooksError as error:
                _log.error("Directory %s can't be followed: %s", self._directory.settings.name, error)
            except Exception:  # noqa: BLE001  # whatever it is, the next round is due
                _log.exception("Directory %s can't be followed.", self._directory.settings.name)
            pause = float(self._directory.settings.poll_seconds)
            if not self._leads:
                # Who may have to follow a leader that died looks often: together with its lease's end within a minute.
                pause = min(pause, _LOOKS_EVERY)
        self._give_up()

    def _turn(self) -> None:
        if not self._lead():
            self._memory, self._everything_at = Memory(), None
            return
        last, name = self._everything_at, self._directory.settings.name
        everything = last is None or time.monotonic() - last >= EVERYTHING_EVERY.total_seconds()
        try:
            with self._leading():
                follow(self._directory, self._db, everything=everything, memory=self._memory, goes_on=self._lead)
        except DirectoryUnavailableError as error:
            with self._db.write() as session:
                is_news = directories.failed(session, name, error.reason)
            if is_news:
                _log.error("Directory %s can't be read; all stays as it is known: %s", name, error.reason)
            return
        if everything:
            self._everything_at = time.monotonic()
            settings = self._directory.settings
            right_for = timedelta(hours=settings.offline_hours)
            window = timedelta(minutes=settings.wrong_passwords_minutes)
            with self._db.write() as session:
                sign_ins.prune(session, name, right_for, window=window, pending_for=pending_for(self._directory))
        self._mirror()

    def _lead(self) -> bool:
        """Whether this process follows the directory, and goes on to."""
        if self._stopping.is_set():
            return False
        if not self._leads:
            with self._db.read() as session:  # to ask costs nobody a turn to write
                if leases.holder(session, self._lease, life=lease_life(self._directory)):
                    return False
        with self._db.write() as session:
            self._leads = leases.take(session, self._lease, self._holder, lease_life(self._directory))
        return self._leads

    @contextmanager
    def _leading(self) -> Iterator[None]:
        """Put off the end of the lease meanwhile.

        To read a large directory may take longer than a lease lasts. Two processes would take it from one another
        before either had written anything, for ever.
        """
        over = threading.Event()
        often = lease_life(self._directory).total_seconds() / 3

        def lead() -> None:
            while not over.wait(often):
                with suppress(SharedBooksError):  # the next time is early enough
                    if not self._lead():
                        return

        keeper = threading.Thread(target=lead, name=f"lease of {self._directory.settings.name}", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            over.set()
            keeper.join()

    def _mirror(self) -> None:
        """Bring the mirrored book up where it is due, beside the rounds: it may take minutes."""
        if time.monotonic() < self._mirror_from or (self._mirroring is not None and self._mirroring.is_alive()):
            return
        with self._db.read() as session:
            state = directories.state(session, self._directory.settings.name)
        if mirror.due(state, self._directory.settings, now()):
            self._mirror_from = time.monotonic() + _MIRROR_AGAIN.total_seconds()
            name = f"mirror {self._directory.settings.name}"
            self._mirroring = threading.Thread(target=self._run_mirror, name=name, daemon=True)
            self._mirroring.start()

    def _run_mirror(self) -> None:
        try:
            mirror.run(self._directory, self._db)
        except DirectoryUnavailableError:
            pass  # the next round says so
        except SharedBooksError as error:
            _log.error("Directory %s can't be mirrored: %s", self._directory.settings.name, error)
        except Exception:  # noqa: BLE001  # as in ``run``
            _log.exception("Directory %s can't be mirrored.", self._directory.settings.name)

    def _give_up(self) -> None:
        if not self._leads:
            return
        try:
            with self._db.write() as session:
                leases.release(session, self._lease, self._holder)
        except SharedBooksError as error:
            _log.info("The lease %r was not given back: %s", self._lease, error)

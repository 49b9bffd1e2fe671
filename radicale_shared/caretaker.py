"""What ``serve`` looks after beside its requests: that notices are sent, that what is too old is removed each day, and
that directories tell of each card what today's program makes of it.

A thread in each worker process, of which the holder of a lease works. It holds no place in the lane, and no lock while
it waits for anything. Sending has tries of its own (``notices``), removing is asked of the database (``pruned_at``):
what is done by two at once, by a leader whose lease ran out, is done once.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from . import entry_refresh, leases, notices, retention, telling
from .database import Database
from .errors import BusyError, SharedBooksError
from .models import now
from .settings_file import FileSettings

LEASE = "caretaker"
LEASE_LIFE = timedelta(seconds=60)
PRUNED_EVERY = timedelta(days=1)
# Notices that were given up are kept for so long, for who asks why nobody was told.
GIVEN_UP_FOR = timedelta(days=30)
_LOOKS_EVERY = 10.0  # seconds
# How soon removing is tried again where it failed, and how often entries are looked at.
_AGAIN = timedelta(hours=1)

_FAILURES = {
    "_prune": "What is too old was not removed",
    "_refresh": "What directories tell of cards was not made anew",
}

_log = logging.getLogger(__name__)


class Caretaker(threading.Thread):
    """The rounds of one process; ``stop`` ends them and gives the lease back.

    every: seconds between two rounds
    """

    def __init__(self, db: Database, settings: FileSettings, *, every: float = _LOOKS_EVERY) -> None:
        super().__init__(name="caretaker", daemon=True)
        self._db = db
        self._settings = settings
        self._every = every
        self._stopping = threading.Event()
        self._holder = f"{socket.gethostname()[:60]} {os.getpid()} {secrets.token_hex(8)}"
        self._leads = False
        self._leads_until = 0.0
        self._problem = ""
        self._working: threading.Thread | None = None
        self._not_before: dict[str, float] = {}

    def run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            pause = self._every
            try:
                if self._lead():
                    telling.send_due(self._db, self._settings.notify, goes_on=self._lead)
                    self._work()
                self._problem = ""
            except BusyError as error:
                _log.info("A round is left out: %s", error)
            except SharedBooksError as error:
                if str(error) != self._problem:  # a database that is away stays so for many rounds
                    _log.error("Notices can't be sent: %s", error)
                self._problem = str(error)
            except Exception:  # noqa: BLE001  # whatever it is, the next round is due
                _log.exception("Notices can't be sent.")
        self._give_up()

    def stop(self, timeout: float = 2.0) -> None:
        """End the thread; one that waits for a mail server is left to end by itself, with the process at the latest."""
        self._stopping.set()
        self.join(timeout)

    def _lead(self) -> bool:
        """Whether this process does it, and goes on to."""
        if self._stopping.is_set():
            return False
        if self._leads and time.monotonic() < self._leads_until:
            return True  # each time that the lease is put off is a write to the database
        if not self._leads:
            with self._db.read() as session:  # to ask costs nobody a turn to write
                if leases.holder(session, LEASE, life=LEASE_LIFE):
                    return False
        with self._db.write() as session:
            self._leads = leases.take(session, LEASE, self._holder, LEASE_LIFE)
        self._leads_until = time.monotonic() + LEASE_LIFE.total_seconds() / 3
        return self._leads

    def _work(self) -> None:
        """Begin what is due of the long work: beside the rounds, as it may take minutes."""
        if self._working is not None and self._working.is_alive():
            return
        due = [task for task, is_due in ((self._prune, self._is_old()), (self._refresh, True)) if is_due]
        due = [task for task in due if self._not_before.get(task.__name__, 0.0) <= time.monotonic()]
        if due:
            self._not_before.update({task.__name__: time.monotonic() + _AGAIN.total_seconds() for task in due})
            self._working = threading.Thread(target=self._run_work, args=(due,), name="caretaker's work", daemon=True)
            self._working.start()

    def _run_work(self, due: Sequence[Callable[[], None]]) -> None:
        for task in due:
            try:
                task()
            except SharedBooksError as error:
                _log.error("%s: %s", _FAILURES[task.__name__], error)
            except Exception:  # noqa: BLE001  # as in ``run``
                _log.exception("%s.", _FAILURES[task.__name__])

    def _is_old(self) -> bool:
        """Whether what is too old was not removed for a day."""
        with self._db.read() as session:
            last = retention.pruned_at(session)
        return last is None or last <= now() - PRUNED_EVERY

    def _prune(self) -> None:
        kept = self._settings.history
        retention.prune(self._db, kept.keep_days, kept.trash_days)
        with self._db.write() as session:
            notices.forget_given_up(session, now() - GIVEN_UP_FOR)

    def _refresh(self) -> None:
        if count := entry_refresh.refresh(self._db):
            _log.info("Entries of %d books were made anew.", count)

    def _give_up(self) -> None:
        if not self._leads:
            return
        try:
            with self._db.write() as session:
                leases.release(session, LEASE, self._holder)
        except SharedBooksError as error:
            _log.info("The lease %r was not given back: %s", LEASE, error)

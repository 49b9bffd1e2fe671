"""What ``serve`` looks after beside its requests: that notices are sent, and that what is too old is removed each day.

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
from datetime import timedelta

from . import leases, notices, retention, telling
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
# How soon removing is tried again where it failed.
_PRUNE_AGAIN = timedelta(hours=1)

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
        self._pruning: threading.Thread | None = None
        self._prune_from = 0.0

    def run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            pause = self._every
            try:
                if self._lead():
                    telling.send_due(self._db, self._settings.notify, goes_on=self._lead)
                    self._prune()
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

    def _prune(self) -> None:
        """Begin to remove what is too old, if that is due: beside the rounds, as it may take minutes."""
        if time.monotonic() < self._prune_from or (self._pruning is not None and self._pruning.is_alive()):
            return
        with self._db.read() as session:
            last = retention.pruned_at(session)
        if last is None or last <= now() - PRUNED_EVERY:
            self._prune_from = time.monotonic() + _PRUNE_AGAIN.total_seconds()
            self._pruning = threading.Thread(target=self._run_prune, name="prune", daemon=True)
            self._pruning.start()

    def _run_prune(self) -> None:
        kept = self._settings.history
        try:
            retention.prune(self._db, kept.keep_days, kept.trash_days)
            with self._db.write() as session:
                notices.forget_given_up(session, now() - GIVEN_UP_FOR)
        except SharedBooksError as error:
            _log.error("What is too old was not removed: %s", error)
        except Exception:  # noqa: BLE001  # as in ``run``
            _log.exception("What is too old was not removed.")

    def _give_up(self) -> None:
        if not self._leads:
            return
        try:
            with self._db.write() as session:
                leases.release(session, LEASE, self._holder)
        except SharedBooksError as error:
            _log.info("The lease %r was not given back: %s", LEASE, error)

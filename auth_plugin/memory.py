"""What a process remembers of the sign-ins to one database.

Radicale makes its plugins more than once; they share it.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

from radicale_shared.attempts import Attempts
from radicale_shared.models import now
from radicale_shared.passwords import VerifiedPasswords, WrongPasswords
from radicale_shared.settings import Settings

# An app with an old password polls every few minutes: each time is one verification saved.
WRONG_FOR = timedelta(minutes=10)
# Whom nobody knew may be known in a moment: nothing tells when an administrator has made them.
UNKNOWN_FOR = timedelta(minutes=1)
SELDOM = timedelta(hours=1)
_MOST_NOTED = 20_000


class Seen:
    """Whose sign-in is written down already, for an hour."""

    def __init__(self) -> None:
        self._until: OrderedDict[int, float] = OrderedDict()
        self._guard = threading.Lock()

    def is_due(self, principal_id: int, written_at: datetime | None) -> bool:
        """Whether a person's sign-in is to be written down now; only one who asks is told so.

        written_at: when it was last, by the database
        """
        age = now() - written_at if written_at else SELDOM
        with self._guard:
            if self._until.get(principal_id, 0.0) > time.monotonic():
                return False
            self._until[principal_id] = time.monotonic() + (SELDOM - age if age < SELDOM else SELDOM).total_seconds()
            self._until.move_to_end(principal_id)
            while len(self._until) > _MOST_NOTED:
                self._until.popitem(last=False)
        return age >= SELDOM

    def forget(self, principal_id: int) -> None:
        """Note that it could not be written down."""
        with self._guard:
            self._until.pop(principal_id, None)


class Memory:
    """The memory of one database, as long and as wide as ``settings`` says."""

    def __init__(self, settings: Settings) -> None:
        self.verified = VerifiedPasswords(settings.password_cache)
        self.wrong = WrongPasswords()
        self.attempts = Attempts(settings.attempts_per_address, settings.attempts_per_account)
        self.seen = Seen()


_memories: dict[tuple[str, timedelta, int, int], Memory] = {}
_guard = threading.Lock()


def memory_of(settings: Settings) -> Memory:
    """This process' Memory of the database of ``settings``."""
    key = (
        settings.database_url,
        settings.password_cache,
        settings.attempts_per_address,
        settings.attempts_per_account,
    )
    with _guard:
        if key not in _memories:
            _memories[key] = Memory(settings)
        return _memories[key]


def in_background(work: Callable[[], None]) -> None:
    """Do something that no request shall wait for, nor fail by."""
    threading.Thread(target=work, name="sign-ins", daemon=True).start()

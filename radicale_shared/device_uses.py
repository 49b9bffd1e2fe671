"""When devices were used, from where and by what; and that their owners are still about.

It is written down behind the requests' backs: no request waits for it, or fails by it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, update

from . import directories
from .database import Database
from .devices import Device
from .errors import SharedBooksError
from .models import Device as DeviceTable
from .models import now, table

_log = logging.getLogger(__name__)

# How often, for each device and address.
SELDOM = timedelta(hours=1)
_MOST_NOTED = 20_000

_devices = table(DeviceTable)
_USED = (
    update(_devices)
    .where(_devices.c.id == bindparam("device"))
    .values(last_used_at=bindparam("at"), last_address=bindparam("address"), last_user_agent=bindparam("user_agent"))
)


@dataclass(frozen=True, slots=True)
class _Use:
    device: Device
    address: str
    user_agent: str
    at: datetime


class Uses:
    """One thread writes what is waiting, at most once an hour for each device and address; and ends when nothing is."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._guard = threading.Lock()
        self._noted: OrderedDict[tuple[int, str], float] = OrderedDict()
        self._waiting: dict[int, _Use] = {}
        self._writer: threading.Thread | None = None

    def note(self, device: Device, address: str, user_agent: str) -> None:
        """Remember that a device signs in at this moment. address: where from"""
        at = now()
        last = device.last_used_at
        if last is not None and at - last < SELDOM and device.last_address == address[:45]:
            return
        with self._guard:
            if self._noted.get((device.id, address), 0.0) > time.monotonic():
                return
            self._noted[device.id, address] = time.monotonic() + SELDOM.total_seconds()
            self._noted.move_to_end((device.id, address))
            while len(self._noted) > _MOST_NOTED:
                self._noted.popitem(last=False)
            self._waiting[device.id] = _Use(device, address, user_agent, at)
            # Not alive: of a process that this one was forked from.
            if self._writer is None or not self._writer.is_alive():
                self._start()

    def _start(self) -> None:
        self._writer = threading.Thread(target=self._write_all, name="uses of devices", daemon=True)
        try:
            self._writer.start()
        except RuntimeError as error:  # the system has no thread left
            _log.warning("That a device was used is not written down: %s", error)

    def _write_all(self) -> None:
        while True:
            with self._guard:
                if not self._waiting:
                    self._writer = None
                    return
                _, use = self._waiting.popitem()
            try:
                self._write(use)
            except SharedBooksError as error:
                _log.warning("That the device %r was used is not written down: %s", use.device.label, error)
                with self._guard:
                    self._noted.pop((use.device.id, use.address), None)

    def _write(self, use: _Use) -> None:
        with self.db.write() as session:
            # The person first, as in all that changes devices: two that wait for one another never cross.
            directories.seen(session, use.device.principal_id, use.at)
            session.execute(
                _USED,
                {
                    "device": use.device.id,
                    "at": use.at,
                    "address": use.address[:45],
                    "user_agent": use.user_agent.replace("\x00", "")[:500],  # PostgreSQL has no NUL
                },
            )


_uses: dict[str, Uses] = {}
_uses_guard = threading.Lock()


def uses(db: Database) -> Uses:
    """This process' Uses of a database."""
    with _uses_guard:
        found = _uses.get(db.url)
        if found is None or found.db is not db:
            found = _uses[db.url] = Uses(db)
        return found

"""A person's own devices: each with a password that is shown once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import devices
from ..access import Access
from ..books import Book
from ..devices import Device
from ..errors import NotFoundError
from .asking import Asking, Reply


def list_(asking: Asking) -> Reply:
    """All devices of who asks."""
    asking.require_own_password()
    with asking.db.read() as session:
        found = devices.of_user(session, asking.person(session).id)
        readable = asking.books(session)
    return Reply(200, {"devices": [_told(one, readable) for one in found]})


def add(asking: Asking) -> Reply:
    """Make a device; the reply has its password, which nobody will ever see again."""
    asking.require_own_password()
    asking.require_keys("label", "books", "read_only", "phones_only", "merged")
    label, merged = asking.text("label"), asking.choice("merged")
    read_only, phones_only = asking.flag("read_only"), asking.flag("phones_only")
    wanted = None if asking.sent.get("books") is None else asking.texts("books")
    with asking.db.write() as session:
        person, readable = asking.person(session), asking.books(session)
        only = None if wanted is None else [_named(readable, name) for name in wanted]
        device, password = devices.add(
            session,
            person,
            label,
            secret=asking.db.secret,
            by=asking.actor(person),
            only=only,
            read_only=read_only,
            phones_only=phones_only,
            merged=merged,
        )
    return Reply(201, {**_told(device, readable), "password": password})


def _named(readable: Iterable[Access], name: str) -> Book:
    """The book of this name. Raises NotFoundError."""
    for one in readable:
        if one.name == name:
            return one.book
    raise NotFoundError("book", name)


def revoke(asking: Asking, label: str) -> Reply:
    """Take a device's password away, from the next request on."""
    asking.require_own_password()
    with asking.db.write() as session:
        person = asking.person(session)
        devices.revoke(session, person, label, by=asking.actor(person))
    return Reply(204)


def _told(device: Device, readable: Iterable[Access]) -> dict[str, Any]:
    books = device.scope.books
    return {
        "label": device.label,
        "books": None if books is None else [one.name for one in readable if one.book.id in books],
        "read_only": device.scope.read_only,
        "phones_only": device.phones_only,
        "merged": device.merged,
        "created_at": device.created_at,
        "last_used_at": device.last_used_at,
        "last_address": device.last_address,
        "last_user_agent": device.last_user_agent,
    }

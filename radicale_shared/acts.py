"""Which deeds are meant: by whom, with which device, when; and what somebody typed for a person or a device.

Names in acts are text of their day. Who asks names people as they are called today, so both are looked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from . import people
from .models import Act, Card, Change, Principal
from .vcard import fold

_LONGEST_TYPED = 320


@dataclass(frozen=True, slots=True)
class Which:
    """Deeds of which all of this is true; what is empty or None is true of every deed.

    person: a login or slug of today, or what the actor was called that day
    devices: exactly as they were noted (``Actor.device``), any of these; ``known_devices`` finds what somebody may mean
    since, until: the moment of the deed, both included
    """

    acts: frozenset[int] = frozenset()
    person: str = ""
    devices: tuple[str, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """What is true of the rows of ``acts`` that are meant."""
        found: list[ColumnElement[bool]] = []
        if self.acts:
            found.append(Act.id.in_(sorted(self.acts)))
        if self.person:
            found.append(or_(Act.actor == self.person, Act.actor_id.in_(_called(self.person))))
        if self.devices is not None:
            found.append(Act.device.in_(self.devices))
        if self.since is not None:
            found.append(Act.at >= self.since)
        if self.until is not None:
            found.append(Act.at <= self.until)
        return found


ANY = Which()
# Of acts joined with changes: a move between two books is one act, with a change in each.
book_of_line = func.coalesce(Change.book_id, Act.book_id)


def _called(person: str) -> Select[int]:
    """The ids of the users that are called so today."""
    typed = person[:_LONGEST_TYPED]
    return select(Principal.id).where(or_(Principal.slug == typed, Principal.login_folded == people.folded(typed)))


@dataclass(frozen=True, slots=True)
class Device:
    """A device as deeds name it, and the people, as they were called, who did something with one of this name."""

    name: str
    people: tuple[str, ...]


def known_devices(session: Session, typed: str, which: Which, book_id: int | None = None) -> list[Device]:
    """The devices of these deeds that ``typed`` may stand for: the one of exactly this name, else all that contain it.

    Case doesn't count, nor does a version: ``DAVx5/4.3`` is every DAVx5 (``changes.client_of``).

    which: its devices are not looked at
    """
    query: Select[*tuple[Any, ...]] = select(Act.device, Act.actor).where(*which.conditions()).distinct()
    if book_id is not None:
        query = query.where(of_book(book_id))
    wanted = fold(typed.strip())
    plain = "".join(char for char in wanted if not char.isdigit()).strip()
    named: dict[str, list[str]] = {}
    for device, actor in session.execute(query.order_by(Act.device, Act.actor)):
        known = fold(device)
        # Of a User-Agent the digits were taken away.
        if wanted in known or (plain and "/" in known and plain in known):
            named.setdefault(device, []).append(actor)
    found = [Device(name, tuple(actors)) for name, actors in named.items()]
    return [one for one in found if fold(one.name) == wanted] or found


def with_devices(session: Session, which: Which, typed: str, book_id: int | None = None) -> Which:
    """``which``, of the devices that ``typed`` may stand for; of any where nothing is typed."""
    if not typed:
        return which
    return replace(which, devices=tuple(one.name for one in known_devices(session, typed, which, book_id)))


def of_book(book_id: int) -> ColumnElement[bool]:
    """True of the acts on a book or on cards of it: a card that was moved there belongs to an act on the other book."""
    here = select(Act.id).where(Act.book_id == book_id)
    return Act.id.in_(here.union(select(Change.act_id).where(Change.book_id == book_id)))


def of_card(book_id: int, href: str) -> ColumnElement[bool]:
    """True of the changes of a card."""
    card_id = select(Card.id).where(Card.book_id == book_id, Card.href == href).scalar_subquery()
    return Change.card_id == card_id

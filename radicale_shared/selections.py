"""Which changes somebody wants to take back, in words of one kind for the command line, the API and the database."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from .acts import Which, known_devices, of_card
from .errors import NotAllowedHereError, NotFoundError, WrongValueError
from .models import Act, Change

_MOST_TOLD = 10


@dataclass(frozen=True, slots=True)
class Selection:
    """Which changes are to be taken back: those of which all of this is true. What is empty or None is true of any.

    book_id, href: of this book; of this card of it
    revisions: of the book
    acts, person, device: as in ``acts.Which``
    since, until: the moment of the deed, both included
    as_of: everything after this moment, whoever did it
    properties: in upper case: take back only what was done to these, and never that a card was made or deleted
    typed: how times were typed that count from now; names the selection in their place
    """

    book_id: int | None = None
    href: str = ""
    revisions: frozenset[int] = frozenset()
    acts: frozenset[int] = frozenset()
    person: str = ""
    device: str = ""
    since: datetime | None = None
    until: datetime | None = None
    as_of: datetime | None = None
    properties: frozenset[str] = frozenset()
    typed: str = ""

    @property
    def which(self) -> Which:
        """The deeds."""
        devices = (self.device,) if self.device else None
        return Which(self.acts, self.person, devices, self.since, self.until)

    def conditions(self) -> list[ColumnElement[bool]]:
        """What is true of the rows of ``changes``, joined with ``acts``, that are meant."""
        found = self.which.conditions()
        if self.as_of is not None:
            found.append(Act.at > self.as_of)
        if self.book_id is not None:
            found.append(Change.book_id == self.book_id)
            if self.href:
                found.append(of_card(self.book_id, self.href))
        if self.revisions:
            found.append(Change.revision.in_(sorted(self.revisions)))
        return found

    def facts(self) -> dict[str, Any]:
        """As JSON keeps it; ``of`` makes it a Selection again."""
        told: dict[str, Any] = {}
        for key, value in asdict(self).items():
            if isinstance(value, datetime):
                told[key] = value.isoformat()
            elif value:
                told[key] = sorted(value) if isinstance(value, frozenset) else value
        return told

    @classmethod
    def of(cls, told: dict[str, Any]) -> Selection:
        """The Selection of its ``facts``; other keys are left out."""
        values = {one.name: told[one.name] for one in fields(cls) if one.name in told}
        for key in ("since", "until", "as_of"):
            if key in values:
                values[key] = datetime.fromisoformat(values[key])
        for key in ("revisions", "acts", "properties"):
            if key in values:
                values[key] = frozenset(values[key])
        return cls(**values)

    def require_some(self) -> None:
        """Raise WrongValueError if everything there is would be taken back, or a card without its book."""
        if self == Selection(book_id=self.book_id, properties=self.properties, typed=self.typed):
            raise WrongValueError("Say what is to be taken back: acts, a device, a person, a card, or a time.")
        if (self.href or self.revisions) and self.book_id is None:
            raise WrongValueError("A card is named with its book.")

    def is_named_as(self, other: Selection) -> bool:
        """Whether both were asked for in the same words, though these mean other times by now."""
        one, another = (replace(each, since=None, until=None, as_of=None) for each in (self, other))
        return bool(self.typed) and one == another


def one_device(session: Session, selection: Selection, typed: str) -> str:
    """The name of the one device that ``typed`` means, of those that did something of the selection.

    Raises NotFoundError for none. What several devices have in common, or several people's of one name, is no device:
    NotAllowedHereError.
    """
    known = known_devices(session, typed, selection.which, selection.book_id)
    if not known:
        raise NotFoundError("device", typed, "None of this name did anything then.")
    if len(known) > 1:
        names = ", ".join(repr(one.name) for one in known[:_MOST_TOLD])
        raise NotAllowedHereError(f"{typed!r} may be several devices: {names}. Name one of them.")
    if len(known[0].people) > 1:
        people = ", ".join(known[0].people[:_MOST_TOLD])
        raise NotAllowedHereError(f"Several people have a device {known[0].name!r}: {people}. Name one of them too.")
    return known[0].name


def described(selection: Selection) -> str:
    """A selection in words, for people."""
    words = []
    if selection.acts:
        listed = [str(one) for one in sorted(selection.acts)[:_MOST_TOLD]]
        more = ", …" if len(selection.acts) > _MOST_TOLD else ""
        words.append(f"act{'s' if len(listed) > 1 else ''} {', '.join(listed)}{more}")
    if selection.revisions:
        words.append(f"{len(selection.revisions)} changes")
    if selection.person:
        words.append(f"by {selection.person}")
    if selection.device:
        words.append(f"with {selection.device}")
    for word, moment in (("after", selection.as_of), ("since", selection.since), ("until", selection.until)):
        if moment is not None:
            words.append(f"{word} {moment:%Y-%m-%d %H:%M:%S} UTC")
    if selection.href:
        words.append(f"of {selection.href}")
    if selection.properties:
        words.append(f"only {', '.join(sorted(selection.properties))}")
    return " ".join(words) or "everything"

"""What a phone shows of a person: a name, and numbers as this phone dials them."""

from __future__ import annotations

from dataclasses import dataclass

from ..entries import Kind


@dataclass(frozen=True, slots=True)
class Line:
    """A number of a contact.

    number: as this phone dials it: digits, ``*``, ``#``, and a leading ``+`` where its profile says so; never empty
    """

    kind: Kind
    number: str


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact of a directory for one phone.

    key: names it in URLs; ``[0-9]+``
    name: on one line in the order that the profile wants, e.g. ``Muster, Eva``; never empty
    family, given: empty where only a name is known, as of a company
    lines: one at least, the one to be called first at the front; no number twice
    group: the name of its book
    """

    key: str
    name: str
    family: str
    given: str
    org: str
    title: str
    email: str
    lines: tuple[Line, ...]
    group: str

    def of(self, *kinds: Kind) -> list[str]:
        """Its numbers of some kinds, in the order of ``lines``."""
        return [line.number for line in self.lines if line.kind in kinds]

"""What a phone asks for, and what it is answered: what all formats have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote, urlencode

from ..phone_profiles import Profile
from .contacts import Contact

XML = "text/xml; charset=utf-8"
_LARGEST = 1_000_000


class LeftOut(NamedTuple):
    """How many contacts a phone doesn't get, and why. example: the name of the first"""

    reason: str
    contacts: int
    example: str


class LeftOuts:
    """Collects who is left out of one answer, and why."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, reason: str, name: str, contacts: int = 1) -> None:
        """Note that a contact is left out. reason: a sentence's end, e.g. ``"it has no number"``"""
        count, example = self._found.get(reason, (0, name))
        self._found[reason] = count + contacts, example

    @property
    def all(self) -> tuple[LeftOut, ...]:
        """The most frequent reason first."""
        found = [LeftOut(reason, count, example) for reason, (count, example) in self._found.items()]
        return tuple(sorted(found, key=lambda one: (-one.contacts, one.reason)))


class Found(NamedTuple):
    """Some contacts of a search, in the order of their names. has_more: whether others come after them"""

    contacts: Sequence[Contact]
    has_more: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a phone, after its sign-in.

    What an answer with ``everyone`` is made of stands here alone, so that it can be kept for the next one who asks.

    path: behind its own part of the URL, e.g. ``yealink.xml`` or ``cisco/list``
    parameters: of the URL, and of the form that it POSTs; the first of each name
    headers: by their names in small letters
    url: what stands before ``path``, absolute, with a slash at its end
    everyone: all contacts of this phone, in the order of their names, no more than the profile allows
    search: those of whom a word of name or organisation begins with each word of a text, or a number has its digits;
        text, offset, limit. An empty text finds everyone
    called: who is called by a number, the likeliest first
    contact: the one of a key; None for none
    left_out: takes who doesn't get into the answer
    """

    path: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    url: str
    profile: Profile
    everyone: Callable[[], Sequence[Contact]]
    search: Callable[[str, int, int], Found]
    called: Callable[[str], Sequence[Contact]]
    contact: Callable[[str], Contact | None]
    left_out: LeftOuts = field(default_factory=LeftOuts)

    def to(self, path: str, **parameters: str | int) -> str:
        """The absolute URL of another answer for this phone; not escaped for XML."""
        told = urlencode({name: value for name, value in parameters.items() if value != ""})
        return f"{self.url}{quote(path)}" + (f"?{told}" if told else "")

    def text(self, *names: str) -> str:
        """The first parameter of these names that is there, without blanks around it; empty for none."""
        return next((found.strip() for name in names if (found := self.parameters.get(name)) is not None), "")

    def number(self, name: str, default: int = 0) -> int:
        """A parameter as a number from 0 to a million; ``default`` where it is none."""
        told = self.parameters.get(name, "").strip()
        return min(int(told), _LARGEST) if told.isascii() and told.isdigit() and len(told) < 10 else default


@dataclass(frozen=True, slots=True)
class Document:
    """An answer to a phone."""

    body: bytes
    content_type: str = XML
    headers: tuple[tuple[str, str], ...] = ()
    status: int = 200


@dataclass(frozen=True, slots=True)
class Setup:
    """What the lines for a phone's own configuration are made of.

    url: as in ``Asked``; with the phone's password in it, where it signs in by that
    login, password: for Basic; both empty where the URL has the password
    """

    url: str
    login: str
    password: str
    profile: Profile


@dataclass(frozen=True, slots=True)
class Format:
    """One make of phones.

    name: on the command line, e.g. ``yealink``
    title: the make and which of its phones
    answers: {path: who answers it}; a path that ends with ``/`` is for all below it, and a ``*`` in one stands for what
        makes no difference to its answer, as a MAC does: ``poly/*-directory.xml``
    preview: (path, parameters) of the answer that ``phone preview`` shows
    setup: the lines for the phone's configuration
    most_entries, most_bytes: of one file, by the vendor; 0 where nothing is known
    source: the vendor's document, or the reference, that the answers were checked against
    dropped: those of ``answers`` that its phones PUT their own copy to, which is accepted and dropped
    """

    name: str
    title: str
    answers: Mapping[str, Callable[[Asked], Document]]
    preview: tuple[str, Mapping[str, str]]
    setup: Callable[[Setup], str]
    most_entries: int
    most_bytes: int
    source: str
    dropped: frozenset[str] = frozenset()

"""Lists on a phone's screen: a page of numbers, each with the name beside it, and where the next page begins.

A page ends after so many numbers, not contacts: a contact with several numbers may stand on two pages. Where a page
begins is told in the URL by ``offset``, how many contacts are before it, and ``line``, how many numbers of its first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from . import files, xml
from .asking import Asked, Document
from .contacts import Contact, Line
from .words import words


class Place(NamedTuple):
    """Where a page begins."""

    offset: int
    line: int

    @property
    def parameters(self) -> dict[str, str | int]:
        """For ``Asked.to``."""
        return {"offset": self.offset or "", "line": self.line or ""}


class Entry(NamedTuple):
    """One line of a list. name: with what the number is for behind it where the contact has several"""

    name: str
    number: str


class Page(NamedTuple):
    """next, previous: None where there is none"""

    entries: Sequence[Entry]
    next: Place | None
    previous: Place | None


def screen(root: str, children: Iterable[str], headers: Iterable[tuple[str, str]] = ()) -> Document:
    """What a phone shows now: an element with others in it, each on a line of its own."""
    body = xml.DECLARATION + xml.parent(root, ["\n", *(f"{child}\n" for child in children)]) + "\n"
    return Document(body.encode(), headers=tuple(headers))


def page(
    asked: Asked,
    text: str,
    most: int,
    lines_of: Callable[[Contact], Sequence[Line]],
    most_name_bytes: int = files.MOST_NAME_BYTES,
) -> Page:
    """The page that is asked for of those who are found by ``text``.

    most: entries of a page
    lines_of: the numbers of a contact that this phone takes
    """
    offset, line = asked.number("offset"), asked.number("line")
    before = min(offset, most)
    found = asked.search(text, offset - before, before + most)
    lines = [lines_of(contact) for contact in found.contacts]
    entries: list[Entry] = []
    place = Place(before, line)
    while place.offset < len(lines) and len(entries) < most:
        if place.line < len(lines[place.offset]):
            entries.append(
                _entry(asked, found.contacts[place.offset], lines[place.offset], place.line, most_name_bytes)
            )
            place = Place(place.offset, place.line + 1)
        else:
            place = Place(place.offset + 1, 0)
    if place.offset < len(lines) and place.line >= len(lines[place.offset]):
        place = Place(place.offset + 1, 0)
    start = offset - before
    following = Place(start + place.offset, place.line)
    more = following != Place(offset, line) and (found.has_more or any(lines[place.offset :]))
    return Page(
        entries,
        following if more else None,
        _previous(lines, Place(before, line), start, most) if offset or line else None,
    )


def _previous(lines: Sequence[Sequence[Line]], place: Place, start: int, most: int) -> Place:
    """Where the page begins that ends before ``place``; the first one where it would not be full."""
    contact = min(place.offset, len(lines))
    here = min(place.line, len(lines[contact])) if contact < len(lines) else 0
    missing = most - here
    while missing > 0 and contact > 0:
        contact -= 1
        missing -= len(lines[contact])
    if missing > 0:
        return Place(start, 0)
    return Place(start + contact, -missing)


def _entry(asked: Asked, contact: Contact, lines: Sequence[Line], index: int, most_bytes: int) -> Entry:
    line = lines[index]
    if len(lines) == 1:
        return Entry(files.name(contact, most_bytes), line.number)
    kind = words(asked.profile.language).kinds[line.kind]
    same = [other for other in lines if other.kind is line.kind]
    told = f" ({kind} {same.index(line) + 1})" if len(same) > 1 else f" ({kind})"
    return Entry(files.name(contact, most_bytes - len(told.encode())) + told, line.number)

"""Whole phone books in one file: as many contacts as the phone takes, and who is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ..entries import Kind
from . import xml
from .asking import Asked, Document
from .contacts import Contact, Line

# Nothing that anybody can dial is longer: a number has 15 digits at most (E.164, section 6.2.1), before it are the
# prefixes of a telephone system.
MOST_DIGITS = 40
# No screen of a phone shows more; what a card has more would only fill its memory.
MOST_NAME_BYTES = 128


class Written(NamedTuple):
    """The entries of one contact as they stand in a file."""

    contact: Contact
    entries: Sequence[str]


def fitting(
    asked: Asked,
    contacts: Iterable[Contact],
    write: Callable[[Contact], Sequence[str]],
    *,
    around: int = 0,
    most_entries: int = 0,
    most_bytes: int = 0,
) -> list[Written]:
    """The first contacts, as many as fit; all entries of a contact, or none. Notes who is left out.

    write: a contact's entries; none for one that is left out, which it notes itself
    around: bytes of what stands before and after the entries
    most_entries, most_bytes: of this kind of file; 0: no limit but that of the profile
    """
    entries_left = _least(most_entries, asked.profile.max_entries)
    bytes_left = _least(most_bytes, asked.profile.max_bytes)
    bytes_left = None if bytes_left is None else bytes_left - around
    written: list[Written] = []
    reason = ""
    for contact in contacts:
        if not reason:
            entries = write(contact)
            if not entries:
                continue
            if entries_left is not None and len(entries) > entries_left:
                reason = f"only {_least(most_entries, asked.profile.max_entries)} entries fit"
            elif bytes_left is not None and (size := sum(len(entry.encode()) for entry in entries)) > bytes_left:
                reason = f"only {_least(most_bytes, asked.profile.max_bytes)} bytes fit"
            else:
                written.append(Written(contact, entries))
                entries_left = None if entries_left is None else entries_left - len(entries)
                bytes_left = None if bytes_left is None else bytes_left - size
        if reason:
            asked.left_out.add(reason, contact.name)
    return written


def document(
    asked: Asked,
    contacts: Iterable[Contact],
    write: Callable[[Contact], Sequence[str]],
    before: str,
    after: str,
    *,
    most_entries: int = 0,
    most_bytes: int = 0,
) -> Document:
    """The file with the entries of the first contacts, as many as fit, between two texts; else as ``fitting``."""
    around = len(before.encode()) + len(after.encode())
    written = fitting(asked, contacts, write, around=around, most_entries=most_entries, most_bytes=most_bytes)
    return Document("".join([before, *(entry for one in written for entry in one.entries), after]).encode())


def _least(*limits: int) -> int | None:
    """The tightest of some limits, of which 0 is none."""
    return min((limit for limit in limits if limit), default=None)


def dialled(asked: Asked, contact: Contact, most_digits: int = MOST_DIGITS, without: str = "") -> list[Line]:
    """The numbers of a contact that the phone takes; notes those that it doesn't.

    without: the characters of ``+*#`` that it doesn't know
    """
    lines, reasons = [], set()
    for line in contact.lines:
        if len(line.number) > most_digits:
            reasons.add(f"a number of theirs has more than {most_digits} digits")
        elif any(sign in line.number for sign in without):
            reasons.add(f"a number of theirs has a sign that the phone doesn't take, one of {without}")
        else:
            lines.append(line)
    for reason in sorted(reasons):
        asked.left_out.add(reason, contact.name)
    return lines


def name(contact: Contact, most_bytes: int = MOST_NAME_BYTES) -> str:
    """The name of a contact on one line, not escaped yet; its first number where nothing of the name can be shown."""
    return xml.plain(contact.name, most_bytes) or contact.lines[0].number[:most_bytes]


def family_and_given(contact: Contact, most_bytes: int = MOST_NAME_BYTES) -> tuple[str, str]:
    """Both parts of the name; all of it as the family name where it has no parts."""
    family, given = xml.plain(contact.family, most_bytes), xml.plain(contact.given, most_bytes)
    return (family, given) if family or given else (name(contact, most_bytes), "")


def one_of_each(lines: Sequence[Line], kinds: Sequence[Sequence[Kind]]) -> list[list[str]]:
    """Numbers for entries that have one place for each kind: as many entries as it takes, empty where there is none.

    kinds: those that each place is for; every kind in one of them. The last place is for all others
    """
    of_place = {kind: place for place, here in enumerate(kinds) for kind in here}
    entries: list[list[str]] = []
    for line in lines:
        place = of_place.get(line.kind, len(kinds) - 1)
        entry = next((entry for entry in entries if not entry[place]), None)
        if entry is None:
            entries.append(entry := [""] * len(kinds))
        entry[place] = line.number
    return entries

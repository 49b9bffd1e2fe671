"""Poly (Polycom) SoundPoint, SoundStation, VVX, CX: the contact directory that a phone loads when it starts.

Elements and their sizes are those of *Administrator's Guide, SoundPoint IP/SoundStation IP*, SIP 3.1, section *Local
Contact Directory File Format*, and of the *VVX Expansion Module Administrator's Guide Addendum*, UC Software 4.1.6, p.
21: one number an entry, which no other entry may have; names of 40 bytes. How large the file may be depends on the
phone's memory.

A phone sends its own copy back after somebody edits it, unless ``dir.local.readonly`` is set; that is dropped.
"""

from __future__ import annotations

from .. import files, xml
from ..asking import Asked, Document, Format, Setup
from ..contacts import Contact, Line
from ..setups import with_login
from ..words import words

_MOST_BYTES = 200 * 1024
_USUAL_BYTES = 100 * 1024  # what a phone with 8 MB of flash memory takes; most have it, and few more
_MOST_NAME_BYTES = 40
_HEAD = f"{xml.DECLARATION}<directory><item_list>\n"
_FOOT = "</item_list></directory>\n"
_PATH = "poly/*-directory.xml"


def directory(asked: Asked) -> Document:
    """The directory, the same for each phone with this password."""
    known: set[str] = set()
    return files.document(
        asked,
        asked.everyone(),
        lambda contact: _items(asked, contact, known),
        _HEAD,
        _FOOT,
        most_bytes=_MOST_BYTES if asked.profile.max_bytes else _USUAL_BYTES,
    )


def _items(asked: Asked, contact: Contact, known: set[str]) -> list[str]:
    """An item for each number that nobody before had."""
    lines = files.dialled(asked, contact)
    new = [line for line in lines if line.number not in known]
    if len(new) < len(lines):
        asked.left_out.add("a number of theirs stands beside another name already", contact.name)
    known.update(line.number for line in new)
    return [_item(asked, contact, line, is_only=len(new) == 1) for line in new]


def _item(asked: Asked, contact: Contact, line: Line, *, is_only: bool) -> str:
    kind = "" if is_only else f"({words(asked.profile.language).kinds[line.kind]})"
    family, given = files.family_and_given(contact, _MOST_NAME_BYTES)
    given = xml.plain(given, _MOST_NAME_BYTES - len(f" {kind}".encode()))
    parts = [xml.element("ln", family), xml.element("fn", f"{given} {kind}"), xml.element("ct", line.number)]
    return f"{xml.parent('item', parts)}\n"


def setup(told: Setup) -> str:
    """For the phone's provisioning files."""
    return (
        "<!-- In the master configuration file (000000000000.cfg, or one phone's own), attribute of APPLICATION: -->\n"
        f'CONTACTS_DIRECTORY="{xml.escaped(with_login(told, "poly"))}"\n'
        "<!-- The phone adds its own file name, as in 0004f2000000-directory.xml. -->\n"
        "<!-- In a configuration file, so that nobody edits what the next start brings back: -->\n"
        '<directory dir.local.readonly="1"/>\n'
        "<!-- For all contacts rather than as many as fit: feature.corporateDirectory with LDAP. -->\n"
    )


FORMAT = Format(
    name="poly",
    title="Poly (Polycom) SoundPoint IP, SoundStation IP, VVX",
    answers={_PATH: directory},
    preview=("poly/000000000000-directory.xml", {}),
    setup=setup,
    most_entries=0,
    most_bytes=_MOST_BYTES,
    source="Polycom Administrator's Guide SIP 3.1, Local Contact Directory File Format; VVX addendum 4.1.6, p. 21",
    dropped=frozenset({_PATH}),
)

"""What a card of the mirrored book says of an entry: work data, as a vCard 3.0 that the same entry always gives.

3.0, as every program reads it and Apple's nothing else; whoever asks for 4.0 gets it converted. A card has no REV,
which would change where nothing else does. What 3.0 has no word for, a room, is marked as the conversion marks it, so
that 4.0 has its KIND (RFC 6350, section 6.1.4).

Anybody may have written into a directory. A value that is no text, is too long or isn't what its property needs is
left out and told; control characters are taken out. So every card made here may be stored (``cards.check``).
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from types import MappingProxyType

from .. import vcard
from ..directory_settings import DirectorySettings
from .entries import Entry

# Part of every digest: a number to raise when what is made of an entry changes here, so that all cards are made anew.
_EDITION = 1
_NAMESPACE = uuid.UUID("1e0f6c3e-7a3b-5b8e-9a55-2b1d0f6f2c11")
MOST_PHOTO_BYTES = 8192
_MOST_BYTES = 4000  # of a value; it is a name, a number or an address
_MOST_VALUES = 10
_JPEG = b"\xff\xd8\xff"
_BREAK = re.compile("\r\n|[\r\n\x0b\x0c\x85\u2028\u2029]")
_UNWANTED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_URL = re.compile(r"https?://[^\s\\]+(?: .*)?", re.IGNORECASE)

NO_NAME = "An entry without a name and e-mail address is no card."
NO_TEXT = "A value was left out, as it is no UTF-8 text."
TOO_LONG = f"A value was left out, as it has more than {_MOST_BYTES} bytes."
TOO_MANY = f"Values beyond the first {_MOST_VALUES} of a property were left out."
NO_EMAIL = "A value was left out, as it is no e-mail address."
NO_URL = "A value was left out, as it is no http or https address."
NO_PHOTO = f"A photo was left out, as it is no JPEG of at most {MOST_PHOTO_BYTES} bytes."

_PEOPLE: Mapping[str, tuple[str, ...]] = {
    "FN": ("displayName", "cn"),
    "N-family": ("sn",),
    "N-given": ("givenName",),
    "ORG": ("o",),
    "ORG-unit": ("ou",),
    "TITLE": ("title",),
    "EMAIL": ("mail",),
    "TEL-work": ("telephoneNumber",),
    "TEL-fax": ("facsimileTelephoneNumber",),
    "ADR-street": ("street",),
    "ADR-city": ("l",),
    "ADR-region": ("st",),
    "ADR-code": ("postalCode",),
    "ADR-country": ("co",),
    "URL": ("labeledURI",),
    "PHOTO": ("jpegPhoto",),
}
# What is in doubt a private number (mobile) or is one (homePhone) is mirrored only where somebody says so.
DEFAULTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "ad": {
        **_PEOPLE,
        "FN": ("displayName", "name", "cn"),
        "ORG": ("company",),
        "ORG-unit": ("department",),
        "ADR-street": ("streetAddress",),
        "ADR-country": ("co", "c"),
        "URL": ("wWWHomePage",),
        "PHOTO": ("thumbnailPhoto",),
    }
}
_TELEPHONES: Mapping[str, tuple[str, ...]] = {
    "TEL-work": ("WORK", "VOICE"),
    "TEL-cell": ("CELL", "VOICE"),
    "TEL-home": ("HOME", "VOICE"),
    "TEL-fax": ("WORK", "FAX"),
    "TEL-pager": ("WORK", "PAGER"),
}


@dataclass(frozen=True, slots=True)
class CardMap:
    """Which attributes of a directory's entries become what.

    directory: its name
    attributes_of: {one of ``directory_settings.MIRROR_FIELDS``: attributes}
    attributes: all of them, sorted, each once
    fingerprint: what tells this map from every other one
    """

    directory: str
    attributes_of: Mapping[str, tuple[str, ...]]
    attributes: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Made:
    """The card of an entry, None where it can't be one; and what was left out of it, in sentences."""

    data: bytes | None
    left_out: frozenset[str]


def card_map(settings: DirectorySettings) -> CardMap:
    """The map of a directory: the defaults of its kind, its own fields in their place; an empty one is no field."""
    mirror = settings.mirror
    chosen = {**DEFAULTS.get(settings.kind, _PEOPLE), **mirror.map}
    if not mirror.photos:
        chosen.pop("PHOTO", None)
    attributes_of = {field: names for field, names in chosen.items() if names}
    attributes = {name.lower(): name for names in attributes_of.values() for name in names}
    told = [f"{field}={','.join(names)}" for field, names in sorted(attributes_of.items())]
    fingerprint = blake2b("\n".join([str(_EDITION), settings.name, *told]).encode(), digest_size=16).hexdigest()
    return CardMap(settings.name, MappingProxyType(attributes_of), tuple(sorted(attributes.values())), fingerprint)


def uid_of(directory: str, key: str) -> str:
    """The UID of an entry's card: the same for ever, also of one that comes back."""
    return str(uuid.uuid5(_NAMESPACE, f"{directory}\n{key}"))


def href_of(directory: str, key: str) -> str:
    """The name of an entry's card in its book."""
    return f"{uid_of(directory, key)}.vcf"


def digest(entry: Entry, kind: str, mapped: CardMap) -> str:
    """30 hexadecimal digits of all that a card is made of; in which order a directory gives values doesn't count."""
    found = blake2b(f"{mapped.fingerprint}\n{kind}\n".encode(), digest_size=15)
    for name in mapped.attributes:
        values = sorted(entry.attributes.get(name.lower(), ()))
        found.update(f"{name} {len(values)}\n".encode())
        for value in values:
            found.update(f"{len(value)}\n".encode())
            found.update(value)
    return found.hexdigest()


def card(entry: Entry, key: str, kind: str, mapped: CardMap) -> Made:
    """The vCard of an entry.

    key: what stays of the entry whatever it is called
    kind: ``"individual"``, ``"org"`` or ``"location"``
    """
    values = _Values(entry, mapped)
    family, given = values.one("N-family"), values.one("N-given")
    emails = values.many("EMAIL", _is_email, NO_EMAIL)
    name = values.one("FN") or " ".join(filter(None, (given, family))) or next(iter(emails), "")
    if not name:
        return Made(None, frozenset({NO_NAME}))
    if not family and not given:
        family = name  # a card of 3.0 has an N (RFC 2426, section 3.1.2)
    rest = [values.one(field) for field in ("N-additional", "N-prefix", "N-suffix")]
    lines = [
        _line("VERSION", "3.0"),
        _line("UID", uid_of(mapped.directory, key)),
        *_texts("FN", [name]),
        _line("N", _structured([family, given, *rest])),
    ]
    if kind == "org":
        lines.append(_line("X-ABShowAs", "COMPANY"))
    elif kind != "individual":
        lines.append(_line("X-VCARD4-KIND", kind))
    organisation, unit = values.one("ORG"), values.one("ORG-unit")
    if kind == "org":
        organisation = organisation or name  # what Apple's programs show of such a card
    if organisation or unit:
        lines.append(_line("ORG", _structured([organisation, unit] if unit else [organisation])))
    for field in ("TITLE", "ROLE", "NICKNAME"):
        lines += _texts(field, [values.one(field)])
    lines += _texts("EMAIL", emails, ("INTERNET", "WORK"))
    for field, types in _TELEPHONES.items():
        lines += _texts("TEL", values.many(field), types)
    street = values.one("ADR-street", several_lines=True)
    address = [values.one(f"ADR-{part}") for part in ("city", "region", "code", "country")]
    box = values.one("ADR-box")
    if street or box or any(address):
        lines.append(_line("ADR", _structured([box, "", street, *address]), ("WORK",)))
    for url in values.many("URL", _is_url, NO_URL):
        lines.append(_line("URL", url.partition(" ")[0]))  # what follows is a label (RFC 2079)
    lines += _texts("NOTE", [values.one("NOTE", several_lines=True)])
    lines += values.photo()
    return Made(b"".join([b"BEGIN:VCARD\r\n", *lines, b"END:VCARD\r\n"]), frozenset(values.left_out))


class _Values:
    """The values of one entry as text, and what had to be left out."""

    def __init__(self, entry: Entry, mapped: CardMap) -> None:
        self._entry = entry
        self._attributes_of = mapped.attributes_of
        self.left_out: set[str] = set()

    def one(self, field: str, *, several_lines: bool = False) -> str:
        """The first value of the first attribute that has one; empty if none has."""
        for values in self._of(field):
            for value in values:
                if text := self._text(value, several_lines=several_lines):
                    return text
        return ""

    def many(self, field: str, fits: Callable[[str], bool] = bool, otherwise: str = "") -> list[str]:
        """All values of all attributes, each once."""
        found: dict[str, None] = {}
        for value in (value for values in self._of(field) for value in values):
            if len(found) == _MOST_VALUES:
                self.left_out.add(TOO_MANY)
                break
            if not (text := self._text(value)):
                continue
            if fits(text):
                found[text] = None
            else:
                self.left_out.add(otherwise)
        return list(found)

    def photo(self) -> list[bytes]:
        """The PHOTO line of the first value that can be one."""
        for value in (value for values in self._of("PHOTO") for value in values):
            if value.startswith(_JPEG) and len(value) <= MOST_PHOTO_BYTES:
                data = base64.b64encode(value).decode()
                return [vcard.build_line("PHOTO", data, [("ENCODING", ["b"]), ("TYPE", ["JPEG"])]).raw]
            self.left_out.add(NO_PHOTO)
        return []

    def _of(self, field: str) -> Iterable[tuple[bytes, ...]]:
        for name in self._attributes_of.get(field, ()):
            yield self._entry.attributes.get(name.lower(), ())

    def _text(self, value: bytes, *, several_lines: bool = False) -> str:
        """``value`` as text of one line, or of several; empty if it can't be one."""
        if len(value) > _MOST_BYTES:
            self.left_out.add(TOO_LONG)
            return ""
        try:
            text = value.decode()
        except UnicodeDecodeError:
            self.left_out.add(NO_TEXT)
            return ""
        lines = [" ".join(_UNWANTED.sub(" ", line).split()) for line in _BREAK.split(text)]
        return ("\n" if several_lines else " ").join(filter(None, lines))


def _is_email(text: str) -> bool:
    return bool(_EMAIL.fullmatch(text))


def _is_url(text: str) -> bool:
    return bool(_URL.fullmatch(text))


def _structured(parts: Iterable[str]) -> str:
    return ";".join(map(vcard.escape, parts))


def _texts(name: str, texts: Iterable[str], types: tuple[str, ...] = ()) -> list[bytes]:
    return [_line(name, vcard.escape(text), types) for text in texts if text]


def _line(name: str, value: str, types: tuple[str, ...] = ()) -> bytes:
    return vcard.build_line(name, value, [("TYPE", types)] if types else ()).raw

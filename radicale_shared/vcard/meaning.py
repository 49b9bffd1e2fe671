"""What a card says, apart from how it is written: units that compare equal if people can't see a difference.

A unit is a line, or the lines of a group of which one is an X- property: ``item1.EMAIL`` with its ``item1.X-ABLabel``.
Units never share lines. Of no meaning are folds, the order of lines, the case of names and parameter names, the order
and case of TYPE, quotes, groups' names, quoted-printable, CHARSET, parameters that say a default, needless
backslashes, empty components at an end, and the dashes of dates.

Where in doubt two spellings are equal if no client shows them differently: a re-serialised card must not look like one
whose every line was edited.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from radicale_shared.vcard.card import Card
from radicale_shared.vcard.lines import ContentLine, unfold
from radicale_shared.vcard.values import decode, items, unescape

# Properties that a card has once: cardinality 1 and *1 of RFC 6350 (section 6), RFC 6474 and RFC 9554, what RFC 2426
# has no plural for, and clients' own fields that exist once in their forms.
SINGLE = frozenset(
    [
        "VERSION",
        "UID",
        "N",
        "BDAY",
        "ANNIVERSARY",
        "GENDER",
        "KIND",
        "REV",
        "PRODID",
        "BIRTHPLACE",
        "DEATHPLACE",
        "DEATHDATE",
        "CREATED",
        "LANGUAGE",
        "CLASS",
        "NAME",
        "PROFILE",
        "SORT-STRING",
        "X-ABSHOWAS",
        "X-ABUID",
        "X-ADDRESSBOOKSERVER-KIND",
        "X-ADDRESSING-GRAMMAR",
        "X-IMAGEHASH",
        "X-IMAGETYPE",
        "X-MAIDENNAME",
        "X-PHONETIC-FIRST-NAME",
        "X-PHONETIC-MIDDLE-NAME",
        "X-PHONETIC-LAST-NAME",
        "X-PHONETIC-ORG",
        "X-ANNIVERSARY",
        "X-ASSISTANT",
        "X-GENDER",
        "X-MANAGER",
        "X-SPOUSE",
        "X-EVOLUTION-ANNIVERSARY",
        "X-EVOLUTION-ASSISTANT",
        "X-EVOLUTION-FILE-AS",
        "X-EVOLUTION-MANAGER",
        "X-EVOLUTION-SPOUSE",
    ]
)
# Properties that may repeat and that nearly every client shows once.
SHOWN_ONCE = frozenset(["FN", "NOTE", "TITLE", "ROLE", "ORG", "PHOTO", "LOGO", "SOUND", "MAILER", "TZ", "GEO"])
LISTS = frozenset({"CATEGORIES", "NICKNAME"})
UNSEEN = frozenset({"VERSION", "REV", "PRODID"})  # written by programs at every save, shown to nobody

LABELS = frozenset({"X-ABLABEL", "X-ABADR"})
_COUNTED = SINGLE | SHOWN_ONCE | LISTS
_STANDS_ALONE = UNSEEN | {"UID"}

_STRUCTURED = frozenset({"N", "ADR"})  # components that are lists (RFC 6350, section 6.2.2 and 6.3.1)
_COMPONENTS = frozenset({"ORG", "GENDER", "CLIENTPIDMAP", "X-ANDROID-CUSTOM"})
_WORDS = frozenset({"KIND", "X-ABSHOWAS", "X-ADDRESSBOOKSERVER-KIND"})
DATES = frozenset({"BDAY", "ANNIVERSARY", "DEATHDATE", "X-ANNIVERSARY", "X-ABDATE", "X-EVOLUTION-ANNIVERSARY"})
URIS = frozenset(["URL", "IMPP", "SOURCE", "FBURL", "CALURI", "CALADRURI", "MEMBER", "RELATED", "GEO"])
MEDIA = frozenset({"PHOTO", "LOGO", "SOUND", "KEY"})

_WORD_PARAMS = frozenset({"VALUE", "LANGUAGE", "PREF", "MEDIATYPE", "CALSCALE"})
BASE64 = frozenset({"b", "base64"})
_NOT_VOICE = frozenset({"fax", "pager", "modem", "bbs", "video", "text", "textphone", "msg"})
_DATE = re.compile(r"(\d{4}|--)-?(\d\d)-?(\d\d)", re.ASCII)

MOST_ITEMS = 10_000  # of a list; a longer one is read as one text, in which order counts
# Between the parts of a value that was read, where no card has these characters.
_BETWEEN = {";": "\x1f", ",": "\x1e"}
_ANY_BETWEEN = "".join(_BETWEEN.values())

SaidParams = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, order=True)
class Said:
    """What one line says.

    name: of the property, in upper case; empty for an opaque line
    params: (NAME, value) in alphabetical order, several values in one text
    value: as people read it, empty if it holds nothing; one text, as the parts of an endless value would be millions
    """

    name: str
    params: SaidParams
    value: str


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """Lines that people see as one thing: a property with its labels.

    name: of the property, the labels' name only where there is nothing else
    group: as written; empty if there is none
    positions: of the lines among the card's lines, ascending
    lines, parts: the lines at ``positions``, and what each says
    said: ``parts`` in alphabetical order, so that equal units have equal ones
    """

    name: str
    group: str
    positions: tuple[int, ...]
    lines: tuple[ContentLine, ...]
    parts: tuple[Said, ...]
    said: tuple[Said, ...]

    @property
    def values(self) -> tuple[str, ...]:
        """The values of the property itself, without those of labels."""
        return tuple(part.value for part in self.said if part.name == self.name)

    @property
    def params(self) -> tuple[SaidParams, ...]:
        """The parameters of the property itself, line by line."""
        return tuple(part.params for part in self.said if part.name == self.name)

    @property
    def labels(self) -> tuple[Said, ...]:
        """What the other lines of the group say."""
        return tuple(part for part in self.said if part.name != self.name)

    @property
    def is_empty(self) -> bool:
        """Whether the property has no value, as in ``NOTE:`` and ``N:;;;;``; forms write so what isn't filled in."""
        return not any(self.values)

    @property
    def text(self) -> str:
        """The lines as written, unfolded, with a line break between."""
        return "\n".join(decode(unfold(line.raw)) for line in self.lines)


def meaning(card: Card) -> frozenset[tuple[tuple[Said, ...], int]]:
    """What ``card`` says, to be compared and hashed: each unit with how often it is there; VERSION, REV, PRODID not."""
    return frozenset(_seen(card).items())


def distance(one: Card, other: Card) -> int:
    """How many units differ between two cards; a changed one counts once. VERSION, REV, PRODID and order don't count.

    0 if both say the same. A blind write has no known base: the version of the card with the smallest distance to it is
    the likeliest.
    """
    ones, others = _seen(one), _seen(other)
    missing, added = _by_property(ones - others), _by_property(others - ones)
    return sum(max(missing[name], added[name]) for name in missing.keys() | added.keys())


def units(card: Card, known: dict[bytes, Said] | None = None) -> list[Unit]:
    """The units of ``card`` in the order of their first lines. Blank lines are in none.

    known: what lines say, by their bytes, read and added to: cards of one version that share a photo read it once
    """
    known = {} if known is None else known
    uri_media = card.version == "4.0"
    groups: dict[str, list[int]] = {}
    found: list[list[int]] = []
    for position, line in enumerate(card.lines):
        if not line.raw.strip():
            continue
        if line.raw not in known:
            known[line.raw] = _said(line, uri_media=uri_media)
        if line.group:
            groups.setdefault(line.group.lower(), []).append(position)
        else:
            found.append([position])
    for positions in groups.values():
        found.extend(_bound(positions, [card.lines[position].name for position in positions]))
    found.sort()
    return [_unit(card, positions, known) for positions in found]


def _seen(card: Card) -> Counter[tuple[Said, ...]]:
    return Counter(unit.said for unit in units(card) if unit.name not in UNSEEN)


def _by_property(counted: Counter[tuple[Said, ...]]) -> Counter[str]:
    names: Counter[str] = Counter()
    for said, times in counted.items():
        names[_name_of(part.name for part in said)] += times
    return names


def _unit(card: Card, positions: list[int], known: dict[bytes, Said]) -> Unit:
    lines = tuple(card.lines[position] for position in positions)
    parts = tuple(known[line.raw] for line in lines)
    name = _name_of(part.name for part in parts)
    return Unit(name, lines[0].group, tuple(positions), lines, parts, tuple(sorted(parts)))


def _name_of(names: Iterable[str]) -> str:
    """The property that the others are about: no X- one where there is another, a label last."""
    return min(names, key=lambda name: (name in LABELS, name.startswith("X-"), name))


def _bound(positions: list[int], names: list[str]) -> list[list[int]]:
    """The lines of one group as units.

    Without X- properties a group binds nothing that people see. What a card has once is part of no other property's
    unit, so that it can be counted; it takes the X- lines along if there is nothing else that they could be about.
    """
    extensions = [name.startswith("X-") for name in names if name not in _COUNTED]
    if not any(extensions):
        return [[position] for position in positions]
    once = [position for position, name in zip(positions, names, strict=True) if name in _COUNTED]
    rest = [position for position, name in zip(positions, names, strict=True) if name not in _COUNTED]
    if len(once) == 1 and all(extensions) and not _STANDS_ALONE.intersection(names):
        return [positions]
    return [[position] for position in once] + [rest]


def _said(line: ContentLine, *, uri_media: bool) -> Said:
    params = _params(line, uri_media=uri_media)
    return Said(line.name, params, _value(line, base64=("ENCODING", "b") in params))


def _value(line: ContentLine, *, base64: bool) -> str:
    name = line.name
    if base64:
        return line.value.replace(" ", "").replace("\t", "")
    if name in LISTS:
        if line.decoded.count(",") >= MOST_ITEMS:
            return _parted(line.decoded, ",")
        texts = [text for item in items(line.decoded) if (text := unescape(item).strip())]
        return _BETWEEN[","].join(sorted(set(texts)) if name == "CATEGORIES" else texts)
    if name in _STRUCTURED:
        return _parted(line.decoded, ";,")
    if name in _COMPONENTS:
        return _parted(line.decoded, ";")
    text = line.text
    if name in _WORDS:
        text = text.lower()
    elif name in DATES:
        text = without_dashes(text)
    return text if text.strip() else ""


def without_dashes(date: str) -> str:
    """``date`` as 19960415 or --0415; as it is if it is no date."""
    found = _DATE.fullmatch(date.strip())
    return "".join(found.groups()) if found else date


def _parted(value: str, separators: str) -> str:
    """``value`` unescaped, the separators of its parts told from escaped ones; without empty parts at the end."""
    pieces = value.split("\\\\")
    for separator in separators:
        between = _BETWEEN[separator]
        pieces = [piece.replace(separator, between).replace(f"\\{between}", f"\\{separator}") for piece in pieces]
    return unescape("\\\\".join(pieces)).rstrip(_ANY_BETWEEN)


def _params(line: ContentLine, *, uri_media: bool) -> SaidParams:
    read: dict[str, list[str]] = {}
    for key, some in line.params:
        read.setdefault(key, []).extend(some)
    read.pop("CHARSET", None)
    kept = []
    for key, values in read.items():
        if key == "TYPE":
            text = ",".join(sorted(_types(line)))
        elif key == "ENCODING":
            text = "b" if BASE64.intersection(value.lower() for value in values) else ""
        elif key == "LABEL":
            text = unescape(",".join(values))  # a line break is ^n, or \n as in RFC 6350, section 6.3.1
        else:
            # SORT-AS="a,b" and SORT-AS=a,b are one list in two spellings.
            text = ",".join(values).lower() if key in _WORD_PARAMS else ",".join(values)
        if text and not (key == "VALUE" and text in default_values(line.name, uri_media=uri_media)):
            kept.append((key, text))
    return tuple(sorted(kept))


def _types(line: ContentLine) -> set[str]:
    """The TYPEs in lower case without the property's default (RFC 2426, section 3.3.1 and 3.3.2)."""
    types = {value.strip().lower() for value in line.param("TYPE")} - {"", "quoted-printable"}
    if line.name == "EMAIL":
        types.discard("internet")
    elif line.name == "TEL" and not types & _NOT_VOICE:
        types.discard("voice")
    return types


def default_values(name: str, *, uri_media: bool) -> tuple[str, ...]:
    """The VALUEs, in lower case, that say no more than the property's name does.

    uri_media: whether pictures and the like are URIs by default, as in 4.0
    """
    if name in DATES:
        return ("date", "date-time", "date-and-or-time")
    if name in URIS:
        return ("uri", "url")
    if name in MEDIA:
        return ("uri",) if uri_media else ("binary",)
    return ("text",)

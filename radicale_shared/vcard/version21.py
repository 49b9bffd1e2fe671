"""Cards of vCard 2.1 (versit Consortium, 1996) as 3.0 (RFC 2426), for imports. There is no way back.

What 2.1 has that 3.0 hasn't: quoted-printable and CHARSET line by line, parameters without names, base64 that ends with
a blank line, whole cards inside of AGENT, no escapes but that of the semicolon. Programs that write 2.1 escape in
all the ways of 3.0 too, so escapes are read as 3.0 has them.
"""

from __future__ import annotations

import re

from radicale_shared.errors import NotAVCardError
from radicale_shared.vcard.card import Card
from radicale_shared.vcard.convert_lines import Line, clean, read, written
from radicale_shared.vcard.lines import ContentLine, unfold
from radicale_shared.vcard.meaning import BASE64, MEDIA, URIS
from radicale_shared.vcard.search import display_name
from radicale_shared.vcard.values import components, decode, escape, items, quoted_printable, unescape

EOL = b"\r\n"
MOST_NESTED = 3  # each card inside another one doubles the backslashes of what is inside of it
# What programs wrote that named no CHARSET and meant none of their own: Western Windows.
UNNAMED_CHARSET = "windows-1252"

_STRUCTURED = frozenset({"N", "ADR", "ORG"})
_LISTS = frozenset({"NICKNAME", "CATEGORIES"})
_AS_THEY_ARE = frozenset({"TZ", "BDAY", "REV", "UID"}) | URIS | MEDIA
_VALUES = {"URL": "uri", "CONTENT-ID": "uri", "CID": "uri"}
_ENCODINGS = BASE64 | {"quoted-printable", "7bit", "8bit"}
_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/=\s]+")
_NESTED = re.compile(r"BEGIN[ \t]*:[ \t]*VCARD", re.IGNORECASE)


def upgrade(data: bytes) -> bytes:
    """The 2.1 card ``data`` as 3.0: UTF-8, CRLF, with FN and N; without UID if it has none.

    What is in no CHARSET that it names is read as UTF-8, else as Windows-1252. Blank lines are left out.

    Raises NotAVCardError if ``data`` is not exactly one card with its END, if its VERSION is not 2.1, or if more than
    three cards are nested in each other.
    """
    return _upgraded(data, 1)


def _upgraded(data: bytes, depth: int) -> bytes:
    if depth > MOST_NESTED:
        raise NotAVCardError(f"The vCard has more than {MOST_NESTED} cards nested in each other.")
    card = Card.parse(data)
    if depth == 1 and card.version != "2.1":
        raise NotAVCardError("The vCard is not of version 2.1.")
    lines = [_line(line, depth) for line in _joined(card)]
    begin = Card(b"BEGIN:VCARD" + EOL, tuple(lines), b"END:VCARD" + EOL)
    if begin.first("N") is None:
        name = display_name(begin)
        lines.insert(0, ContentLine(_bytes(Line("", "N", (), f"{escape(name)};;;;"))))
    if begin.first("FN") is None:
        lines.insert(0, ContentLine(_bytes(Line("", "FN", (), escape(display_name(begin))))))
    lines.insert(0, ContentLine(b"VERSION:3.0" + EOL))
    return Card(begin.head, tuple(lines), begin.tail).serialise()


def _joined(card: Card) -> list[ContentLine]:
    """The lines that say something; base64 that goes on without being folded is one line with its beginning."""
    joined: list[ContentLine] = []
    parts: list[bytes] = []
    for line in card.lines:
        if parts and not line.name and line.raw.strip() and _BASE64_LINE.fullmatch(line.raw):
            parts.append(b"".join(line.raw.split()))
            continue
        if parts:
            joined.append(ContentLine(b"".join(parts)))
            parts = []
        if not line.raw.strip() or line.name == "VERSION":
            continue
        if _is_base64(line):
            parts = [unfold(line.raw).rstrip()]
        else:
            joined.append(line)
    if parts:
        joined.append(ContentLine(b"".join(parts)))
    return joined


def _is_base64(line: ContentLine) -> bool:
    return any(one.lower() in BASE64 for key in ("ENCODING", "TYPE") for one in line.param(key))


def _line(line: ContentLine, depth: int) -> ContentLine:
    charset = next(iter(line.param("CHARSET")), UNNAMED_CHARSET)
    encoded = any(one.upper() == "QUOTED-PRINTABLE" for key in ("ENCODING", "TYPE") for one in line.param(key))
    nested = line.name == "AGENT" and _NESTED.match(line.value.lstrip())
    if not line.name:
        return _as_text(line, charset)
    if nested:
        inner = _upgraded(_nested_bytes(line), depth + 1)
        return ContentLine(_bytes(Line(line.group, "AGENT", (), escape(inner.decode()))))
    if not encoded:
        # As a fold may cut a character of any charset, bytes become text once the line is whole.
        line = ContentLine(decode(unfold(line.raw), charset).encode())
    source = read(line)
    value = quoted_printable(line.value, charset) if encoded else source.value
    if _is_base64(line):
        value = "".join(value.split())
    made = Line(source.group, source.name, _params(source), clean(_value(source.name, value)))
    raw = written(made, line, EOL)
    return ContentLine(raw) if raw is not None else _as_text(line, charset)


def _as_text(line: ContentLine, charset: str) -> ContentLine:
    """A line that can't be read as one, for people to see; without what would take the next line along."""
    return ContentLine(clean(decode(unfold(line.raw), charset)).rstrip("=").encode() + EOL)


def _nested_bytes(line: ContentLine) -> bytes:
    """The nested card's own bytes: from its BEGIN on."""
    found = re.search(rb"BEGIN[ \t]*:[ \t]*VCARD", line.raw, re.IGNORECASE)
    return line.raw[found.start() :] if found else line.raw


def _params(line: Line) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The parameters with names; all types in one TYPE, base64 as ``ENCODING=b`` (RFC 2426, section 2.4.1)."""
    types: list[str] = []
    others: list[tuple[str, tuple[str, ...]]] = []
    base64 = False
    for key, values in line.params:
        low = [one.lower() for one in values]
        if key == "ENCODING" or (key == "TYPE" and low and low[0] in _ENCODINGS):
            base64 = base64 or bool(BASE64.intersection(low))
        elif key == "TYPE" and values and values[0].upper() in _VALUES:
            others.append(("VALUE", (_VALUES[values[0].upper()],)))
        elif key == "TYPE":
            types += [one for one in values if one and one.upper() != "INLINE"]
        elif key == "VALUE":
            others += [(key, (_VALUES.get(one.upper(), one),)) for one in values if one.upper() != "INLINE"]
        else:
            others.append((key, values))
    if base64:
        others.insert(0, ("ENCODING", ("b",)))
    return (("TYPE", tuple(types)), *others) if types else tuple(others)


def _value(name: str, value: str) -> str:
    if name in _STRUCTURED:
        return ";".join(escape(unescape(part)) for part in components(value))
    if name in _LISTS:
        return ",".join(escape(unescape(item)) for item in items(value))
    if name in _AS_THEY_ARE or name.startswith("X-"):
        return value
    return escape(unescape(value))


def _bytes(line: Line) -> bytes:
    raw = written(line, ContentLine(f"{line.name}:".encode()), EOL)
    if raw is None:
        raise NotAVCardError("The vCard has a line that can't be converted.")
    return raw

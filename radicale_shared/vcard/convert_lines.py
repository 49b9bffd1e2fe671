"""One line on its way between vCard 3.0 and 4.0: its parameters, and the marks from which the way back restores it.

Each line is converted by itself. Behind every rule stands one check: the result is converted back at once, and if that
isn't what it was made of, marks are put on it, as parameters:

    X-VCARD4-WAS     in 3.0: name and parameters that the line had in 4.0
    X-VCARD4-VALUE   in 3.0: the value that it had in 4.0
    X-VCARD3-WAS, X-VCARD3-VALUE   in 4.0, likewise

On the way back marks count only if the line they describe gives the line that carries them. So a line that a client
has edited is converted as it now stands, and one that it left alone comes back exactly.

A conversion without marks writes them for one kind of line only: a ``tel:`` or ``geo:`` URI with parameters, of which
3.0's number or place shows nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from radicale_shared.vcard.convert_dates import moment
from radicale_shared.vcard.lines import ContentLine, Params, fold_line
from radicale_shared.vcard.meaning import BASE64, DATES, MEDIA, URIS, default_values, without_dashes
from radicale_shared.vcard.values import caret_encode

# 4.0's own parameters (RFC 6350, section 5; RFC 6715). In 3.0 they are kept under this prefix.
NEW_PARAMS = frozenset({"ALTID", "CALSCALE", "GEO", "INDEX", "LABEL", "LEVEL", "MEDIATYPE", "PID", "SORT-AS", "TZ"})
OLD_PARAMS = frozenset({"CONTEXT", "ENCODING"})  # RFC 2426, section 4; gone in 4.0
# RFC 2426, section 3.2.1 and 3.3.2; gone in 4.0.
OLD_TYPES = {
    "ADR": frozenset({"dom", "intl", "postal", "parcel"}),
    "EMAIL": frozenset({"x400"}),
}

FROM_3, FROM_4 = "X-VCARD3-", "X-VCARD4-"
APPLE_LABEL = "X-ABLABEL"  # stands for the label of a group in a WAS mark

# What no conversion may add to a card, whatever the names and marks in it say.
_MOST_MARKED = 4000  # characters of a picture: only data: URIs without base64 don't come back by themselves
# Names that Apple's programs write with small letters.
_SPELLINGS = {APPLE_LABEL: "X-ABLabel", "X-ABSHOWAS": "X-ABShowAs"}
_HOLD_URIS = URIS | MEDIA
_HAVE_URI_PARAMS = frozenset({"TEL", "GEO"})  # RFC 3966, section 3; RFC 5870, section 3.4
_NEVER_MADE = frozenset({"", "BEGIN", "END", "VERSION", "UID"})
_NAME = re.compile(rb"[^:;\r\n]+")
_NOT_IN_CARDS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_LINE_BREAK = re.compile(r"\r\n|\n|\r")
_NEEDS_QUOTES = re.compile(r"[:;,]|^\s|\s$")
_ESCAPED_IN_URI = re.compile(r"\\([\\:,;])")
_ENCODINGS = frozenset({"TYPE", "ENCODING"})
_TRANSPARENT = frozenset({"QUOTED-PRINTABLE", "7BIT", "8BIT"})


@dataclass(frozen=True, slots=True)
class Line:
    """A content line taken apart.

    name: in upper case
    label: text of the X-ABLabel in the line's group, where that says what the line is; else empty
    """

    group: str
    name: str
    params: Params
    value: str
    label: str = ""

    def first(self, key: str) -> str:
        """The first value of the parameter ``key`` in lower case; empty if there is none."""
        return next((values[0].lower() for name, values in self.params if name == key and values), "")

    def types(self) -> list[str]:
        """The values of TYPE in lower case."""
        return [one.lower() for name, values in self.params if name == "TYPE" for one in values]

    def without(self, *keys: str) -> Line:
        """The line without the parameters ``keys``."""
        if not any(name in keys for name, _ in self.params):
            return self
        return replace(self, params=tuple(one for one in self.params if one[0] not in keys))

    def with_param(self, key: str, *values: str) -> Line:
        """The line with one more parameter, at the end."""
        return replace(self, params=(*self.params, (key, values)))


Rule = Callable[[Line], Line]


def read(line: ContentLine, label: str = "") -> Line:
    """``line`` taken apart; quoted-printable, CHARSET and other encodings of text are read and gone from it."""
    params: list[tuple[str, tuple[str, ...]]] = []
    encoded = False
    for key, values in line.params:
        parts = tuple(part for value in values for part in value.split(",")) if key == "TYPE" else values
        plain = tuple(one for one in parts if one.upper() not in _TRANSPARENT) if key in _ENCODINGS else parts
        encoded = encoded or len(plain) < len(parts)
        if key != "CHARSET" and (plain or not parts):
            params.append((key, plain))
    value = clean(line.decoded) if encoded else line.value
    return Line(line.group, line.name, tuple(params), value, label)


def written(line: Line, like: ContentLine, eol: bytes) -> bytes | None:
    """The bytes of ``line``, folded; None if they would not be read as that line again.

    like: the line it was made of, whose name is spelt as there if it is the same
    """
    name = _SPELLINGS.get(line.name, line.name)
    name = f"{line.group}.{name}" if line.group else name
    found = _NAME.match(like.raw)
    if found and found[0].upper() == name.upper().encode():
        name = found[0].decode()
    head = name + _params(line.params)
    # Broken quotes, or what looks like an encoding inside of a parameter, could make another line of it.
    probe = ContentLine(f"{head}:=3D".encode())
    if line.name != like.name and (line.name in _NEVER_MADE or line.value.strip().upper() == "BEGIN:VCARD"):
        return None
    if any('"' in key for key, _ in line.params) or (probe.name, probe.decoded) != (line.name, "=3D"):
        return None
    return fold_line(f"{head}:{one_line(line.value)}".encode(), eol)


def clean(text: str) -> str:
    """``text`` on one line, without the characters that ``check`` refuses: an encoding can hide both."""
    return _NOT_IN_CARDS.sub("", one_line(text))


def one_line(text: str) -> str:
    """``text`` with its line breaks escaped."""
    return _LINE_BREAK.sub(r"\\n", text) if "\n" in text or "\r" in text else text


def header(line: Line) -> str:
    """Name and parameters as text, for a WAS mark; the label counts as one of them."""
    return line.name + _params((*line.params, (APPLE_LABEL, (line.label,))) if line.label else line.params)


def general_to_4(line: Line) -> Line:
    """The parameters as 4.0 writes them: PREF, no types that are gone, and what X-VCARD4- parameters hold."""
    gone = OLD_TYPES.get(line.name, frozenset())
    waiting = preferred = "pref" in line.types()
    params: list[tuple[str, tuple[str, ...]]] = []
    for key, values in line.params:
        bare = key.removeprefix(FROM_4)
        if key == "TYPE":
            # INTERNET is what 4.0's EMAIL always is.
            dropped = gone | {"pref", "internet"} if line.name == "EMAIL" else gone | {"pref"}
            kept = tuple(one for one in values if one.lower() not in dropped)
            if kept or not values:
                params.append((key, kept))
            if lost := tuple(one for one in values if one.lower() in gone):
                params.append((f"{FROM_3}TYPE", lost))
            if waiting and any(one.lower() == "pref" for one in values):
                params.append(("PREF", ("1",)))
                waiting = False  # written twice, it is one preference
        elif key in OLD_PARAMS:
            params.append((FROM_3 + key, values))
        elif key == f"{FROM_4}PREF":
            if not preferred:
                params.append(("PREF", values))
        elif bare != key and bare in NEW_PARAMS:
            params.append((bare, values))
        else:
            params.append((key, values))
    return replace(line, params=tuple(params))


def general_to_3(line: Line) -> Line:
    """The parameters as 3.0 writes them: TYPE=PREF, what X-VCARD3- parameters hold, 4.0's own with a prefix."""
    params: list[tuple[str, tuple[str, ...]]] = []
    for key, values in line.params:
        bare = key.removeprefix(FROM_3)
        if key == "PREF":
            params.append(("TYPE", ("PREF",)) if values == ("1",) else (f"{FROM_4}PREF", values))
        elif key in NEW_PARAMS:
            params.append((FROM_4 + key, values))
        elif bare != key and (bare == "TYPE" or bare in OLD_PARAMS):
            params.append((bare, values))
        else:
            params.append((key, values))
    return replace(line, params=tuple(params))


def translate(line: Line, forward: Rule, backward: Rule, mark: str, found: str, *, marked: bool) -> Line:
    """``line`` in the other version, with marks where the way back would miss it by itself.

    mark, found: prefixes of the marks to make, and of those that ``line`` may have
    marked: whether to make them; those that are there count in any case
    """
    bare, original = _read_marks(line, forward, backward, found)
    if original is not None:
        return original
    result = forward(bare)
    if result.name.startswith(mark) or bare.name.startswith(found):
        return result  # such a name is itself what the way back needs
    if not marked and not (mark == FROM_4 and bare.name in _HAVE_URI_PARAMS and ";" in bare.value):
        return result
    again = backward(result)
    old = mark == FROM_3
    if (again.name, again.label, _said_params(again, old=old)) != (bare.name, bare.label, _said_params(bare, old=old)):
        result = result.with_param(f"{mark}WAS", header(bare))
    small = bare.name not in MEDIA or len(bare.value) <= _MOST_MARKED
    if small and _said_value(again) != _said_value(bare):
        result = result.with_param(f"{mark}VALUE", bare.value)
    return result


def _read_marks(line: Line, forward: Rule, backward: Rule, found: str) -> tuple[Line, Line | None]:
    """(``line`` without the marks of its former version, what they say it was if that still holds)."""
    keys = f"{found}WAS", f"{found}VALUE"
    marks = {key: values[0] for key, values in line.params if key in keys and values}
    if not marks:
        return line, None
    bare = line.without(*keys)
    original = forward(bare)
    if keys[0] in marks:
        was = read(ContentLine(f"{marks[keys[0]]}:".encode()))
        label = next((values[0] for key, values in was.params if key == APPLE_LABEL and values), "")
        original = replace(was.without(APPLE_LABEL), group=line.group, value=original.value, label=label)
    if keys[1] in marks:
        original = replace(original, value=marks[keys[1]])
    shown = backward(original)
    old = found == FROM_4
    holds = (shown.name, shown.label, _said_params(shown, old=old), _said_value(shown)) == (
        (bare.name, bare.label, _said_params(bare, old=old), _said_value(bare))
    )
    return bare, original if holds else None


def _said_params(line: Line, *, old: bool) -> list[tuple[str, tuple[str, ...]]]:
    """The parameters of a 3.0 (``old``) or 4.0 line, apart from order, the case of TYPE, and what says a default."""
    types = sorted(set(line.types()) - {"internet"})
    params = [("TYPE", tuple(types))] if types else []
    for key, values in line.params:
        if key == "VALUE" and values and values[0].lower() in default_values(line.name, uri_media=not old):
            continue
        if key == "ENCODING":
            params.append((key, ("b",) if values and values[0].lower() in BASE64 else values))
        elif key != "TYPE":
            params.append((key, values))
    return sorted(params)


def _said_value(line: Line) -> str:
    if line.name in DATES:
        return without_dashes(line.value)
    if line.name == "REV" and (when := moment(line.value)):
        return when.basic()
    return plain_uri(line.value) if line.name in _HOLD_URIS else line.value


def plain_uri(value: str) -> str:
    r"""``value`` with ``\:``, ``\,`` and ``\;`` read; no URI has a backslash (RFC 3986), many programs write them."""
    if "\\" not in value:
        return value
    return _ESCAPED_IN_URI.sub(lambda found: found[0] if found[1] == "\\" else found[1], value)


def _params(params: Params) -> str:
    return "".join(f";{key}=" + ",".join(map(_param, values)) for key, values in params)


def _param(value: str) -> str:
    text = caret_encode(value)
    return f'"{text}"' if _NEEDS_QUOTES.search(value) else text

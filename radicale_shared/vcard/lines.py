"""Content lines of vCards: cutting, folding, reading one, writing one (RFC 6350, section 3.2 and 3.3).

A line keeps the exact bytes it was written in; everything else is read from them, and the costly parts only when
asked for. Lines are cut and unfolded as bytes, because a fold may cut a UTF-8 character.

Taken beside what RFC 6350 writes: LF and CR as line ends, lower-case names, the bare parameters and quoted-printable
soft breaks of 2.1, quotes that are never closed, and lines that are no content lines at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from radicale_shared.vcard.values import caret_decode, caret_encode, decode, quoted_printable, unescape

LINE_OCTETS = 75  # RFC 6350, section 3.2: lines SHOULD be folded to this, line break not counted

# Every pattern is made of pieces that can't match the same bytes in two ways, or is possessive: a hostile card of any
# shape is read in linear time.
_LINE_END = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?![ \t])")
_ANY_LINE_END = re.compile(rb"\r\n|\n|\r")
_FOLD = re.compile(rb"(?:\r\n|\n|\r)[ \t]")
_SOFT_BREAK_OR_FOLD = re.compile(rb"=(?:\r\n|\n|\r)|(?:\r\n|\n|\r)[ \t]")
_HEADER = re.compile(rb'([^:;\r\n"]++)((?:;(?:[^":\r\n]++|"[^"\r\n]*+")*+)?+):')
_LENIENT_HEADER = re.compile(rb"([^:;\r\n]++)((?:;[^:\r\n]*+)?+):")
_QUOTED_PRINTABLE = re.compile(rb";[ \t]*(?:ENCODING[ \t]*=[ \t]*)?\"?QUOTED-PRINTABLE\"?[ \t]*(?:;|$)", re.IGNORECASE)
_SOFT_END = (b"=\r\n", b"=\n", b"=\r", b"=")
_PARAMETER = re.compile(r'(?:[^";]++|"[^"]*+"|")++')
_PARAMETER_VALUE = re.compile(r'((?:[^",]++|"[^"]*+"|")*+)(,|$)')

_TOKEN = re.compile(r"[!#-+\--9<-~]+")  # visible ASCII without " , : ;
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

Params = tuple[tuple[str, tuple[str, ...]], ...]


class ContentLine:
    """One logical line of a card, with its folds and its line end; a nested card belongs to its AGENT line.

    A line without name or colon is *opaque*: its name is empty and its value is the whole line. Lines are immutable
    and equal if their bytes are.
    """

    __slots__ = ("_group", "_name", "_params", "_raw", "_value")

    _params: Params | None
    _value: str | None

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._params = None
        self._value = None
        found = _HEADER.match(raw)
        written = found[1] if found else _take_apart(raw)[0]
        if b"." in written:
            group, _, written = written.partition(b".")
            self._group = decode(group.strip())
        else:
            self._group = ""
        self._name = decode(written.strip().upper())

    @property
    def raw(self) -> bytes:
        """The exact bytes, folds and line end included."""
        return self._raw

    @property
    def group(self) -> str:
        """What stands before the dot (``item1`` of ``item1.EMAIL``), as written; empty if there is none."""
        return self._group

    @property
    def name(self) -> str:
        """The property's name in upper case, without group; empty for an opaque line."""
        return self._name

    @property
    def params(self) -> Params:
        """(NAME, values) in the order they are written; quotes removed, RFC 6868 decoded.

        A bare parameter of 2.1 (``TEL;CELL:``) is a TYPE. The same name may come more than once.
        """
        if self._params is None:
            self._params = _read_params(decode(_take_apart(self._raw)[1]))
        return self._params

    @property
    def most_parameters(self) -> int:
        """At least as many as ``params`` has names and values, counted without reading them."""
        found = _HEADER.match(self._raw)
        params = found[2] if found else _take_apart(self._raw)[1]
        return params.count(b";") + params.count(b",")

    @property
    def value(self) -> str:
        """The unfolded value, still escaped and still encoded (base64, quoted-printable)."""
        if self._value is None:
            self._value = decode(_take_apart(self._raw)[2], self._charset())
        return self._value

    @property
    def decoded(self) -> str:
        """The value, still escaped, with quoted-printable decoded if the line says so: what ``components`` cuts."""
        return quoted_printable(self.value, self._charset()) if _is_quoted_printable(self._raw) else self.value

    @property
    def text(self) -> str:
        """The value as people read it: decoded and unescaped."""
        return unescape(self.decoded)

    def param(self, name: str) -> tuple[str, ...]:
        """All values of the parameter ``name`` (any case), of all its occurrences.

        ``TYPE="voice,home"`` counts as two values, as in the examples of RFC 6350 (section 6.4.1).
        """
        name = name.upper()
        values = [value for key, values in self.params if key == name for value in values]
        if name == "TYPE":
            values = [part for value in values for part in value.split(",")]
        return tuple(values)

    def _charset(self) -> str:
        return next(iter(self.param("CHARSET")), "")

    def __eq__(self, other: object) -> bool:
        return self._raw == other._raw if isinstance(other, ContentLine) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._raw)

    def __repr__(self) -> str:
        # Without the value: lines end up in logs and tracebacks, people's data should not.
        return f"<ContentLine {self._name or '(opaque)'}, {len(self._raw)} bytes>"


def content_lines(data: bytes) -> Iterator[ContentLine]:
    """The lines of ``data``; their ``raw`` joined is ``data`` again. BEGIN and END are lines like others.

    A quoted-printable line that ends in ``=`` takes the next one with it (2.1), unless that is BEGIN:VCARD or
    END:VCARD: a soft break at the very end of a card is a phone's mistake and must not eat the card's end.
    """
    pending: list[bytes] = []
    for raw in _logical_lines(data):
        if pending:
            following = ContentLine(raw)
            if not is_mark(following, "END") and not is_mark(following, "BEGIN"):
                pending.append(raw)
                if not raw.endswith(_SOFT_END):
                    yield ContentLine(b"".join(pending))
                    pending = []
                continue
            yield ContentLine(b"".join(pending))
            pending = []
        if ends_softly(raw):
            pending = [raw]
        else:
            yield ContentLine(raw)
    if pending:
        yield ContentLine(b"".join(pending))


def is_mark(line: ContentLine, name: str) -> bool:
    """Whether ``line`` is a card's BEGIN:VCARD or END:VCARD (``name``); blanks around the words are taken (2.1)."""
    return line.name == name and line.value.strip().upper() == "VCARD"


def is_well_formed(line: ContentLine) -> bool:
    """Whether the quotes in a line's parameters are closed, so that every program reads the same parameters."""
    return _HEADER.match(line.raw) is not None or _HEADER.match(unfold(line.raw)) is not None


def unfold(raw: bytes) -> bytes:
    """``raw`` without its folds and its line end."""
    text = raw[: len(raw) - len(line_end(raw))]
    return _FOLD.sub(b"", text)


def fold_line(text: bytes, eol: bytes = b"\r\n") -> bytes:
    """``text`` folded to 75 octets a line and ended with ``eol``; no UTF-8 character is cut.

    text: one unfolded content line without line breaks
    """
    if len(text) <= LINE_OCTETS:
        return text + eol
    pieces = []
    start, room = 0, LINE_OCTETS
    while len(text) - start > room:
        end = start + room
        # At most three bytes of a character lie before a cut; more are no UTF-8 and are cut anywhere.
        for _ in range(3):
            if text[end] & 0xC0 != 0x80:
                break
            end -= 1
        pieces.append(text[start:end])
        start, room = end, LINE_OCTETS - 1
    pieces.append(text[start:])
    return (eol + b" ").join(pieces) + eol


def line_end(raw: bytes) -> bytes:
    """The line break at the end of ``raw``; empty if there is none."""
    if raw.endswith(b"\r\n"):
        return b"\r\n"
    return raw[-1:] if raw.endswith((b"\n", b"\r")) else b""


def with_line_ends(raw: bytes, eol: bytes) -> bytes:
    """``raw`` with every line break in it, folds too, written as ``eol``; one is added at the end if missing."""
    return _ANY_LINE_END.sub(eol, raw if line_end(raw) else raw + eol)


def ends_softly(raw: bytes) -> bool:
    """Whether ``raw`` is a quoted-printable line with a soft break at its end, which takes the next line along."""
    return raw.endswith(_SOFT_END) and _is_quoted_printable(raw)


def build_line(
    name: str,
    value: str,
    params: Iterable[tuple[str, Iterable[str]]] = (),
    group: str = "",
    eol: bytes = b"\r\n",
) -> ContentLine:
    """A new line, folded; reading it gives the same name, params, group and value.

    name, group: as they shall be written; visible ASCII without ``" , : ;``
    value: raw, so already escaped; it can't hold a line break
    params: (name, values); written with RFC 6868 and quotes where needed

    Raises ValueError for what no line can hold: line breaks in the value, control characters in parameters, a name
    that isn't one.
    """
    _refuse_unless(_TOKEN.fullmatch(name) and (group or "." not in name), "This is no name of a property.")
    _refuse_unless(not group or (_TOKEN.fullmatch(group) and "." not in group), "This is no name of a group.")
    header = f"{group}.{name}" if group else name
    for key, values in params:
        _refuse_unless(_TOKEN.fullmatch(key) and "=" not in key, "This is no name of a parameter.")
        header += f";{key}=" + ",".join(_write_param(one) for one in values)
    return ContentLine(_written(header.encode(), value, eol))


def rebuild_line(line: ContentLine, value: str, eol: bytes) -> ContentLine:
    """``line`` with another raw ``value``: group, name and parameters stay as they are written.

    The parameters stay true only if ``value`` is in the encoding they name.

    Raises ValueError for an opaque line and for a line break in ``value``.
    """
    _refuse_unless(line.name, "A line without a name has no value to replace.")
    name, params, _ = _take_apart(line.raw)
    return ContentLine(_written(name + params, value, eol))


def _logical_lines(data: bytes) -> Iterator[bytes]:
    start = 0
    for found in _LINE_END.finditer(data):
        end = found.end()
        yield data[start:end]
        start = end
    if start < len(data):
        yield data[start:]


def _take_apart(raw: bytes) -> tuple[bytes, bytes, bytes]:
    """(group and name, parameters from their semicolon on, value) as written, unfolded; opaque: only a value."""
    text = unfold(raw)
    found = _HEADER.match(text) or _LENIENT_HEADER.match(text)
    if not found:
        return b"", b"", text
    if b"=" in text and _QUOTED_PRINTABLE.search(found[2]):
        # Of a soft break nothing remains; a blank after it is the text's own, not a fold's.
        text = _SOFT_BREAK_OR_FOLD.sub(b"", raw[: len(raw) - len(line_end(raw))])
        found = _HEADER.match(text) or _LENIENT_HEADER.match(text) or found
    return found[1], found[2], text[found.end() :]


def _is_quoted_printable(raw: bytes) -> bool:
    found = _HEADER.match(raw)
    params = found[2] if found else _take_apart(raw)[1]
    return params != b"" and _QUOTED_PRINTABLE.search(params) is not None


def _read_params(written: str) -> Params:
    if not written:
        return ()
    pieces = written.split(";") if '"' not in written else _PARAMETER.findall(written)
    params = []
    for piece in pieces:
        name, equals, values = piece.partition("=")
        if equals:
            params.append((name.strip().upper(), _read_values(values)))
        elif piece.strip():
            params.append(("TYPE", (caret_decode(piece.strip()),)))
    return tuple(params)


def _read_values(written: str) -> tuple[str, ...]:
    if '"' not in written:
        return tuple(caret_decode(value.strip()) for value in written.split(","))
    values = []
    for found in _PARAMETER_VALUE.finditer(written):
        value = found[1].strip()
        if len(value) >= 2 and value[0] == value[-1] == '"':
            value = value[1:-1]
        values.append(caret_decode(value))
        if not found[2]:
            break
    return tuple(values)


def _write_param(value: str) -> str:
    _refuse_unless(not _CONTROL.search(value.replace("\n", "")), "A parameter can't hold control characters.")
    written = caret_encode(value)
    return f'"{written}"' if value != value.strip() or re.search("[:;,]", value) else written


def _written(header: bytes, value: str, eol: bytes) -> bytes:
    _refuse_unless("\n" not in value and "\r" not in value, "A line can't hold a line break; escape it first.")
    text = header + b":" + value.encode()
    if _is_quoted_printable(text):
        # A fold after "=" would read as a soft break, and so would "=" at the end.
        _refuse_unless(not value.endswith("="), "A quoted-printable value can't end in a soft break.")
        return text + eol
    return fold_line(text, eol)


def _refuse_unless(fits: object, reason: str) -> None:
    if not fits:
        raise ValueError(reason)

"""Texts inside content lines: escapes of values, separators, RFC 6868 in parameters, quoted-printable of 2.1, percents
of URIs.

Everything here takes and gives text. Nothing raises on odd input: what has no meaning stays as it is written.
"""

from __future__ import annotations

import binascii
import re
import unicodedata

_NO_OCTET = re.compile(r"%(?![0-9A-F]{2})", re.IGNORECASE)
_CARET = re.compile(r"\^([n^'])")
_CARET_READ = {"n": "\n", "^": "^", "'": '"'}
_CARET_WRITTEN = {"\n": "^n", "^": "^^", '"': "^'"}
_SEPARATORS = {separator: re.compile(rf"\\.|{separator}", re.DOTALL) for separator in ",;"}

# CHARSET names a codec of the sender's choosing; only these are handed to Python, whose codecs also hold slow ones
# (punycode) and some that are no character sets at all.
_CHARSET = re.compile(
    r"us-ascii|iso-?8859-\d{1,2}|latin-?1|windows-125\d|cp\d{3,4}|koi8-[ru]|mac-?roman"
    r"|shift[_-]?jis|euc-?(jp|kr)|iso-2022-jp|gb2312|gbk|gb18030|big5|utf-?8|utf-?16",
    re.IGNORECASE,
)


def unescape(value: str) -> str:
    r"""``value`` as people read it (RFC 6350, section 3.4).

    ``\n`` and ``\N`` are line breaks; of ``\\``, ``\,``, ``\;`` and ``\:`` the second character remains.
    ``\:`` is in no vCard standard but in many cards (``http\://``). A backslash before anything else is an ordinary
    character: people write ``C:\temp`` without escaping it.
    """
    if "\\" not in value:
        return value
    # Not by a pattern: of millions of escapes it would make as many texts.
    parts = value.split("\\\\")
    for written, meant in (("\\n", "\n"), ("\\N", "\n"), ("\\,", ","), ("\\;", ";"), ("\\:", ":")):
        parts = [part.replace(written, meant) for part in parts]
    return "\\".join(parts)


def escape(text: str) -> str:
    r"""``text`` as the value of a text property (RFC 6350, section 3.4); ``unescape`` gives it back.

    Every kind of line break becomes ``\n``, the only one a vCard has.
    """
    text = text.replace("\\", "\\\\").replace(",", "\\,").replace(";", "\\;")
    return text.replace("\r\n", "\\n").replace("\n", "\\n").replace("\r", "\\n")


def components(value: str) -> list[str]:
    """The parts of a structured value (N, ADR, ORG) between unescaped semicolons, each still escaped.

    Still escaped, so that ``items`` can take a component apart; ``unescape`` each before showing it.
    """
    return _split(value, ";")


def items(value: str) -> list[str]:
    """The parts of a list (NICKNAME, CATEGORIES, a component) between unescaped commas, each still escaped."""
    return _split(value, ",")


def _split(value: str, separator: str) -> list[str]:
    if "\\" not in value:
        return value.split(separator)
    parts = []
    start = 0
    for found in _SEPARATORS[separator].finditer(value):
        if found[0] == separator:
            parts.append(value[start : found.start()])
            start = found.end()
    parts.append(value[start:])
    return parts


class _Casemap(dict[int, str]):
    """What ``casemap`` makes of each character, as ``str.translate`` asks for it."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        # RFC 5051 reads UnicodeData.txt, whose titlecase is one character; where Python has more, it has none.
        title = character.title()
        self[code] = unicodedata.normalize("NFKD", title if len(title) == 1 else character)
        return self[code]


_CASEMAP = _Casemap()


def casemap(text: str) -> str:
    """``text`` as the collation i;unicode-casemap compares it: titlecase, then decomposed (RFC 5051, section 2).

    Character by character and never reordered, so whatever contains another text contains it casemapped.
    """
    return text.upper() if text.isascii() else text.translate(_CASEMAP)


def fold(text: str) -> str:
    """``text`` without regard to case and to how its characters are composed, for search.

    It works character by character, and texts that are one to ``casemap``, to ``str.casefold`` or to ``str.lower`` are
    one to it. So whatever contains another text by one of these also contains it folded: a search over folded texts
    finds at least what an exact comparison would.
    """
    return casemap(text.replace("\x00", " ")).casefold()


def caret_decode(text: str) -> str:
    """A parameter's value as people read it (RFC 6868, section 3.2); an unknown ``^x`` stays."""
    return _CARET.sub(lambda found: _CARET_READ[found[1]], text) if "^" in text else text


def caret_encode(text: str) -> str:
    """``text`` with RFC 6868's ``^n``, ``^^`` and ``^'``, so that it fits between double quotes."""
    return re.sub(r'[\n^"]', lambda found: _CARET_WRITTEN[found[0]], text)


def is_utf8(data: bytes) -> bool:
    """Whether ``data`` is valid UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def decode(data: bytes, charset: str = "") -> str:
    """``data`` as text: UTF-8 if it is that, else the declared ``charset``, else with U+FFFD where it can't be read.

    UTF-8 before the declaration: a byte sequence is rarely UTF-8 by accident, a CHARSET often survives a conversion.
    """
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    if _CHARSET.fullmatch(charset):
        try:
            return data.decode(charset, "replace")
        except LookupError:
            pass
    return data.decode("utf-8", "replace")


def quoted_printable(value: str, charset: str = "") -> str:
    r"""``value`` with its ``=C3=A4`` decoded (RFC 2045, section 6.7), as 2.1 writes texts; line breaks are ``\n``."""
    return decode(binascii.a2b_qp(value.encode("utf-8", "replace")), charset).replace("\r\n", "\n")


def percent_decoded(text: str) -> bytes:
    """``text`` with its ``%41`` read (RFC 3986, section 2.1); a ``%`` before anything else stays.

    By way of quoted-printable: urllib's own function makes two texts of each octet, and here are millions.
    """
    quoted = _NO_OCTET.sub("=25", text.replace("=", "=3D")).replace("%", "=")
    return binascii.a2b_qp(quoted.encode())

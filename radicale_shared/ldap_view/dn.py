"""Distinguished names (RFC 4514): read, compared, and written.

Of what they can say, this tree has the plain part: each RDN has one attribute, and the value is text. A name that says
more is read, and names nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from . import schema

LONGEST = 4096  # characters

Rdn = tuple[str, str]
# An RDN of several attributes, or one with a value in hexadecimal digits: it is a name, but none of this tree.
ANOTHER: Rdn = ("", "")

_PAIR = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*)\s*=")
_TEXT = re.compile(r'(?:[^\\",+;<>\0]|\\[ "#+,;<=>\\]|(?:\\[0-9A-Fa-f]{2})+)*')
_QUOTED = re.compile(r'\s*"((?:[^\\"\0]|\\.)*)"\s*', re.DOTALL)
_HEX = re.compile(r"\s*#(?:[0-9A-Fa-f]{2})+\s*")
_ESCAPED = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\(.)", re.DOTALL)
_SPECIAL = re.compile(r'[\\",+;<>=]')


def parsed(text: str) -> tuple[Rdn, ...]:
    """The RDNs of a DN, its own first, then what it lies in: (name of the attribute, value folded).

    Raises ValueError for what is no DN.
    """
    if len(text) > LONGEST:
        raise ValueError("a DN of too many characters")
    if not text.strip():
        return ()
    found: list[Rdn] = []
    at, is_joined = 0, False
    while True:
        pair = _PAIR.match(text, at)
        if pair is None:
            raise ValueError("a part of a DN without an attribute")
        value, at = _value(text, pair.end())
        rdn = ANOTHER if value is None else (_name(pair[1]), folded(value))
        if is_joined:
            found[-1] = ANOTHER
        else:
            found.append(rdn)
        if at == len(text):
            return tuple(found)
        if text[at] not in ",;+":
            raise ValueError("a DN with a mark that has to be escaped")
        is_joined = text[at] == "+"
        at += 1


def folded(value: str) -> str:
    """A value as it is compared: without regard to case, and to how many blanks there are."""
    return " ".join(value.casefold().split())


def written(*rdns: Rdn) -> str:
    """A DN of (attribute, value), its own RDN first."""
    return ",".join(f"{name}={escaped(value)}" for name, value in rdns)


def escaped(value: str) -> str:
    """A value as it stands in a DN (section 2.4)."""
    text = _SPECIAL.sub(lambda found: f"\\{found[0]}", value).replace("\0", "\\00")
    if text[:1] in {" ", "#"}:
        text = f"\\{text}"
    return f"{text[:-1]}\\ " if len(text) > 1 and text.endswith(" ") and text[-2] != "\\" else text


def below(name: Sequence[Rdn], suffix: Sequence[Rdn]) -> tuple[Rdn, ...] | None:
    """What a name says before a suffix; None if it doesn't end with that."""
    rest = len(name) - len(suffix)
    return tuple(name[:rest]) if rest >= 0 and tuple(name[rest:]) == tuple(suffix) else None


def _name(written: str) -> str:
    """The one name of an attribute that has several; one that isn't known, in small letters."""
    known = schema.attribute(written)
    return known.name if known else written.lower()


def _value(text: str, at: int) -> tuple[str | None, int]:
    """(a value, where it ends); None for one in hexadecimal digits."""
    if found := _HEX.match(text, at):
        return None, found.end()
    if found := _QUOTED.match(text, at):  # LDAPv2, which old phones speak (RFC 4514, section 2.4)
        return _unescaped(found[1]), found.end()
    found = _TEXT.match(text, at)
    told = found[0] if found else ""
    end = at + len(told)
    told = told.lstrip(" ")
    stripped = told.rstrip(" ")
    if stripped.endswith("\\") and len(stripped) < len(told):
        stripped += " "  # an escaped blank at the end
    return _unescaped(stripped), end


def _unescaped(text: str) -> str:
    def plain(found: re.Match[str]) -> str:
        if found[2] is not None:
            return found[2]
        try:
            return bytes.fromhex(found[1].replace("\\", "")).decode()
        except UnicodeDecodeError as error:
            raise ValueError("a DN with a value that is not UTF-8") from error

    return _ESCAPED.sub(plain, text) if "\\" in text else text

"""Filters of searches (RFC 4511, section 4.5.1.7), read from BER into a tree.

What an attribute is, and which entries match, is decided elsewhere: here a filter is only what was sent. What can match
nothing whoever looks, as an extensible match, is ``Undefined``, which a negation leaves undefined.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import ber
from .ber import Element
from .results import Code, ResultError

MOST_TERMS = 64
DEEPEST = 16
MOST_PIECES = 32


@dataclass(frozen=True, slots=True)
class And:
    """All are true; without terms it is true (RFC 4526)."""

    terms: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One is true; without terms it is false (RFC 4526)."""

    terms: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The term is false; of an undefined one it is undefined."""

    term: Filter


@dataclass(frozen=True, slots=True)
class Equality:
    """``attribute``, here and below: as it was sent, in small letters, a name or an OID; without options."""

    attribute: str
    value: str


@dataclass(frozen=True, slots=True)
class Substrings:
    """Pieces in this order. initial, final: empty for none; one of the three is there. No piece of ``any`` is empty."""

    attribute: str
    initial: str
    any: tuple[str, ...]
    final: str


@dataclass(frozen=True, slots=True)
class Present:
    """It has a value."""

    attribute: str


@dataclass(frozen=True, slots=True)
class GreaterOrEqual:
    """A value is not before this one."""

    attribute: str
    value: str


@dataclass(frozen=True, slots=True)
class LessOrEqual:
    """A value is not behind this one."""

    attribute: str
    value: str


@dataclass(frozen=True, slots=True)
class Approx:
    """A value is much like this one."""

    attribute: str
    value: str


@dataclass(frozen=True, slots=True)
class Undefined:
    """Neither true nor false of any entry: an extensible match, an attribute with options, a value that is no text."""


Filter = And | Or | Not | Equality | Substrings | Present | GreaterOrEqual | LessOrEqual | Approx | Undefined

_AND, _OR, _NOT, _EQUALITY, _SUBSTRINGS = 0xA0, 0xA1, 0xA2, 0xA3, 0xA4
_GREATER_OR_EQUAL, _LESS_OR_EQUAL, _PRESENT, _APPROX, _EXTENSIBLE = 0xA5, 0xA6, 0x87, 0xA8, 0xA9
_INITIAL, _ANY, _FINAL = 0x80, 0x81, 0x82
_COMPARED: dict[int, Callable[[str, str], Filter]] = {
    _EQUALITY: Equality,
    _GREATER_OR_EQUAL: GreaterOrEqual,
    _LESS_OR_EQUAL: LessOrEqual,
    _APPROX: Approx,
}
_SIGNS = {Equality: "=", GreaterOrEqual: ">=", LessOrEqual: "<=", Approx: "~="}
_LONGEST_SHOWN = 30


class _Terms:
    """How many terms a filter had so far; those that only hold others are as few as their depth allows."""

    def __init__(self) -> None:
        self._found = 0

    def one_more(self) -> None:
        self._found += 1
        if self._found > MOST_TERMS:
            raise ResultError(Code.ADMIN_LIMIT_EXCEEDED, f"A filter may have {MOST_TERMS} terms.")


def read(element: Element) -> Filter:
    """The filter of a search request.

    Raises BerError if it is none, ResultError (adminLimitExceeded) where it is deeper or has more terms than may be.
    """
    return _read(element, 1, _Terms())


def _read(element: Element, depth: int, terms: _Terms) -> Filter:
    if depth > DEEPEST:
        raise ResultError(Code.ADMIN_LIMIT_EXCEEDED, f"A filter may be {DEEPEST} levels deep.")
    tag, content = element
    if tag in {_AND, _OR} and content:
        found = tuple(_read(one, depth + 1, terms) for one in ber.children(content))
        return And(found) if tag == _AND else Or(found)
    if tag == _NOT:
        return Not(_read(ber.only(content), depth + 1, terms))
    terms.one_more()
    if tag in {_AND, _OR}:
        return And(()) if tag == _AND else Or(())
    if tag in _COMPARED:
        attribute, value = (ber.octets(one) for one in ber.exactly(content, 2))
        return _compared(_COMPARED[tag], attribute, value)
    if tag == _PRESENT:
        name = _name(content)
        return Present(name) if name else Undefined()
    if tag == _SUBSTRINGS:
        return _substrings(content)
    if tag == _EXTENSIBLE:
        ber.children(content, most=4)
        return Undefined()
    raise ber.BerError(f"tag {tag:#x} is no filter")


def equality(attribute: bytes, value: bytes) -> Filter:
    """The filter for entries that have a value."""
    return _compared(Equality, attribute, value)


def _compared(make: Callable[[str, str], Filter], attribute: bytes, value: bytes) -> Filter:
    name, text = _name(attribute), _text(value)
    return Undefined() if not name or text is None else make(name, text)


def _substrings(content: bytes) -> Filter:
    """A filter of pieces; empty ones say nothing, and those that say nothing at all match nobody."""
    named, sequence = ber.exactly(content, 2)
    name = _name(ber.octets(named))
    pieces = ber.children(ber.sequence(sequence), most=MOST_PIECES)
    initial, final, between = "", "", []
    for place, (tag, piece) in enumerate(pieces):
        text = _text(piece)
        if text is None:
            return Undefined()
        if tag == _INITIAL and place == 0:
            initial = text
        elif tag == _FINAL and place == len(pieces) - 1:
            final = text
        elif tag != _ANY:
            raise ber.BerError("a filter's pieces are in no order")
        elif text:
            between.append(text)
    if not name or not (initial or final or between):
        return Undefined()
    return Substrings(name, initial, tuple(between), final)


def _name(description: bytes) -> str:
    """An attribute description (RFC 4512, section 2.5) in small letters; empty for one with options, or none at all."""
    if not description.isascii() or not description.replace(b"-", b"").replace(b".", b"").isalnum():
        return ""
    return description.decode("ascii").lower()


def _text(value: bytes) -> str | None:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return None


def shape(of: Filter) -> str:
    """A filter without its values, as the log has it: ``(|(cn=?*)(sn=?*))``."""
    match of:
        case And(terms):
            return f"(&{''.join(map(shape, terms))})"
        case Or(terms):
            return f"(|{''.join(map(shape, terms))})"
        case Not(term):
            return f"(!{shape(term)})"
        case Present(attribute):
            return f"({attribute[:_LONGEST_SHOWN]}=*)"
        case Substrings(attribute, initial, between, final):
            pieces = ["?" if initial else "", *("?" for _ in between), "?" if final else ""]
            return f"({attribute[:_LONGEST_SHOWN]}={'*'.join(pieces)})"
        case Undefined():
            return "(?)"
    return f"({of.attribute[:_LONGEST_SHOWN]}{_SIGNS[type(of)]}?)"

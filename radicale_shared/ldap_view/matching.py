"""Whether an entry matches a filter, and what finds those that may.

What can't be compared is undefined, which is neither true nor false (RFC 4511, section 4.5.1.7): nobody is found by an
attribute that isn't known, nor by its negation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .. import entry_search, numbers
from ..card_keys import card_of
from ..entry_keys import MOST, SUFFIX, plain
from ..entry_search import EVERY, NOBODY, AllOf, AnyOf, Narrowing
from ..entry_sources import HasKey, HasText, IsCard
from ..numbers import digits_of
from . import dn, schema
from .attributes import CLASSES, ENTRY_DN, KEPT, Kept, Reader, Rule, rule_of
from .filters import (
    And,
    Approx,
    Equality,
    Filter,
    GreaterOrEqual,
    LessOrEqual,
    Not,
    Or,
    Present,
    Substrings,
    Undefined,
)

# Digits at the end of a number, which are never those of a prefix: of a number as long as that, and of a shorter one.
_ENOUGH = 7
_FEW = 5
_LONG_NUMBER = 9
_LONGEST_EXTENSION = 6

# The values of an attribute, by its name.
Values = Callable[[str], Sequence[str]]
# True, False, or None for what is undefined.
Test = Callable[[Values], bool | None]


def test_of(wanted: Filter) -> Test:
    """Whether something with attributes matches a filter: worked out once, for all that it is asked of."""
    match wanted:
        case And(terms):
            return _all_of([test_of(one) for one in terms])
        case Or(terms):
            return _any_of([test_of(one) for one in terms])
        case Not(term):
            return _not(test_of(term))
        case Undefined():
            return _undefined
    attribute = schema.attribute(wanted.attribute)
    if attribute is None:
        return _undefined
    if isinstance(wanted, Present):
        return _of_any(attribute.name, lambda _: True)
    one_is = _compared(rule_of(attribute), wanted)
    return _undefined if one_is is None else _of_any(attribute.name, one_is)


def _all_of(tests: Sequence[Test]) -> Test:
    def test(values: Values) -> bool | None:
        is_undefined = False
        for one in tests:
            found = one(values)
            if found is False:
                return False
            is_undefined = is_undefined or found is None
        return None if is_undefined else True

    return test


def _any_of(tests: Sequence[Test]) -> Test:
    def test(values: Values) -> bool | None:
        is_undefined = False
        for one in tests:
            found = one(values)
            if found:
                return True
            is_undefined = is_undefined or found is None
        return None if is_undefined else False

    return test


def _not(test: Test) -> Test:
    def negated(values: Values) -> bool | None:
        found = test(values)
        return None if found is None else not found

    return negated


def _undefined(_: Values) -> bool | None:
    return None


def _of_any(name: str, is_one: Callable[[str], bool]) -> Test:
    return lambda values: any(map(is_one, values(name)))


Compared = Equality | Approx | Substrings | GreaterOrEqual | LessOrEqual


def _compared(rule: Rule, wanted: Compared) -> Callable[[str], bool] | None:
    """Whether a value is what is wanted; None: there is no way to tell."""
    match rule:
        case Rule.CLASS:
            return _class_is(wanted)
        case Rule.NAME:
            return _name_is(wanted)
        case Rule.NUMBER:
            return _number_is(wanted)
        case Rule.EXACT:
            return _text_is(wanted, " ".join, str)
        case _:
            return _text_is(wanted, " ".join, plain)


def _class_is(wanted: Compared) -> Callable[[str], bool] | None:
    if not isinstance(wanted, Equality) or (known := schema.object_class(wanted.value.strip())) is None:
        return None
    return lambda value: value == known.name


def _name_is(wanted: Compared) -> Callable[[str], bool] | None:
    if not isinstance(wanted, Equality):
        return None
    try:
        sought = dn.parsed(wanted.value)
    except ValueError:
        return None
    return lambda value: dn.parsed(value) == sought


def _number_is(wanted: Compared) -> Callable[[str], bool] | None:
    """Numbers are compared by their digits; what has none of them is no number, and nobody's."""
    if isinstance(wanted, Equality | Approx):
        digits = digits_of(wanted.value)
        return (lambda value: digits_of(value) == digits) if digits else _never
    if isinstance(wanted, Substrings):
        pieces = [digits_of(one) for one in (wanted.initial, *wanted.any, wanted.final)]
        return _has_pieces(pieces, digits_of) if any(pieces) else _never
    return None


def _text_is(
    wanted: Compared, joined: Callable[[Iterable[str]], str], form: Callable[[str], str]
) -> Callable[[str], bool] | None:
    if isinstance(wanted, Substrings):
        pieces = [_piece(one, form) for one in (wanted.initial, *wanted.any, wanted.final)]
        # Nothing is left of marks that stand for no letter: they are not a search for everybody.
        return _has_pieces(pieces, lambda value: form(joined(value.split()))) if any(pieces) else _never
    sought = form(joined(wanted.value.split()))
    match wanted:
        case GreaterOrEqual():
            return lambda value: form(joined(value.split())) >= sought
        case LessOrEqual():
            return lambda value: form(joined(value.split())) <= sought
        case _:
            return lambda value: form(joined(value.split())) == sought


def _piece(written: str, form: Callable[[str], str]) -> str:
    """A piece as it is compared; a blank at its end counts (RFC 4518, section 2.6.1)."""
    if not written or not (found := form(" ".join(written.split()))):
        return ""
    return f"{' ' if written[0].isspace() else ''}{found}{' ' if written[-1].isspace() else ''}"


def _has_pieces(pieces: Sequence[str], form: Callable[[str], str]) -> Callable[[str], bool]:
    """Whether a value has pieces in their order. pieces: the first at its beginning, the last at its end"""
    initial, *middle, final = pieces

    def has(value: str) -> bool:
        text = form(value)
        if not text.startswith(initial) or not text.endswith(final):
            return False
        at, end = len(initial), len(text) - len(final)
        for one in middle:
            at = text.find(one, at, end)
            if at < 0:
                return False
            at += len(one)
        return at <= end

    return has


def _never(_: str) -> bool:
    return False


# -- what narrows ------------------------------------------------------------------------------------------------------


def narrowing_of(wanted: Filter, readers: Sequence[Reader]) -> Narrowing:
    """What is true of every entry that matches. readers: all for whom attributes are made in this search"""
    prefixes = tuple(sorted({prefix for one in readers for prefix in _prefixes(one)}))
    trunks = tuple(sorted({one.profile.trunk[1:] for one in readers if one.profile and one.profile.trunk}))
    return _narrowing(wanted, _Readers(readers[0].secret, prefixes, trunks)) if readers else NOBODY


@dataclass(frozen=True, slots=True)
class _Readers:
    """secret: of the database. prefixes: what may stand before a number and is none of its digits

    trunks: digits that are left out before extensions
    """

    secret: bytes
    prefixes: tuple[str, ...]
    trunks: tuple[str, ...]


def _prefixes(reader: Reader) -> frozenset[str]:
    """Prefixes that have other digits than zeros: of other countries, of this one, and of an outside line."""
    outside = reader.profile.outside_prefix if reader.profile else ""
    found = {numbers.international_prefix(reader.region), numbers.national_prefix(reader.region), ""}
    return frozenset(prefix for one in found if (prefix := outside + one).strip("0"))


def _narrowing(wanted: Filter, of: _Readers) -> Narrowing:
    match wanted:
        case And(terms):
            return AllOf(tuple(_narrowing(one, of) for one in terms))
        case Or(terms):
            return AnyOf(tuple(_narrowing(one, of) for one in terms))
        case Not(_):
            return EVERY
        case Undefined():
            return NOBODY
    attribute = schema.attribute(wanted.attribute)
    kept = KEPT.get(attribute.name) if attribute else None
    if attribute is None or (kept is None and attribute.name != ENTRY_DN):
        return NOBODY
    if kept is None or isinstance(wanted, Present | GreaterOrEqual | LessOrEqual):
        return EVERY
    rule = rule_of(attribute)
    if rule is Rule.NUMBER:
        return _of_number(wanted, of)
    if attribute.name == "uid":
        return _of_card(wanted, of.secret)
    if rule is Rule.CLASS:
        test = _compared(rule, wanted)
        return EVERY if test is not None and any(map(test, CLASSES)) else NOBODY
    return _of_text(wanted, kept)


def _of_card(wanted: Equality | Approx | Substrings, secret: bytes) -> Narrowing:
    if isinstance(wanted, Substrings):
        return EVERY
    card_id = card_of(wanted.value.strip(), secret)
    return NOBODY if card_id is None else IsCard(card_id)


def _of_text(wanted: Equality | Approx | Substrings, kept: Kept) -> Narrowing:
    if isinstance(wanted, Substrings):
        beginning, pieces = wanted.initial, (wanted.initial, *wanted.any, wanted.final)
    else:
        beginning, pieces = wanted.value, (wanted.value,)
    found: list[Narrowing] = []
    if kept.has_words and beginning:
        found.append(entry_search.begins(beginning))
    if kept.fields:
        found += [entry_search.has_text(kept.fields, one) for one in pieces if one]
    return AllOf(tuple(found))


def _of_number(wanted: Equality | Approx | Substrings, of: _Readers) -> Narrowing:
    """A number stands in the index in one form, and is looked for in any: what counts is its middle, and its end."""
    if not isinstance(wanted, Substrings):
        return _equal_number(digits_of(wanted.value), of)
    pieces = [digits_of(one) for one in (wanted.initial, *wanted.any, wanted.final)]
    if not any(pieces):
        return NOBODY
    found = [_has_digits(one, of) for one in pieces if one]
    if final := pieces[-1]:
        found.append(_ends_with(final))
    return AllOf(tuple(found))


def _equal_number(digits: str, of: _Readers) -> Narrowing:
    if not digits:
        return NOBODY
    ends = _ends_with(digits)
    if not of.trunks or len(digits) > _LONGEST_EXTENSION:
        return ends
    return AnyOf((ends, _has_digits(digits, of)))


def _ends_with(digits: str) -> Narrowing:
    end = digits.lstrip("0") or digits
    end = end[-(_ENOUGH if len(digits) >= _LONG_NUMBER else _FEW) :]
    return HasKey((SUFFIX + end[::-1])[:MOST])


def _has_digits(digits: str, of: _Readers) -> Narrowing:
    """What contains some digits, or what is left of them behind a prefix."""
    found: list[Narrowing] = []
    for one in _without_prefixes(digits, of.prefixes):
        if not one:
            return EVERY
        found.append(HasText(frozenset({"tel"}), one))
    return AnyOf(tuple(found))


def _without_prefixes(digits: str, prefixes: tuple[str, ...]) -> frozenset[str]:
    """Digits without the zeros at their front, and without what may be a prefix, or the end of one."""
    ends = {prefix[start:] for prefix in prefixes for start in range(len(prefix))}
    left = {digits, *(digits[len(end) :] for end in ends if digits.startswith(end))}
    return frozenset(one.lstrip("0") for one in left)

"""Telephone numbers: what is written on a card as E.164, and as a phone dials it.

What is written is kept as it is; this tells what it means. The metadata of countries is that of the library
phonenumbers, without its names of places and carriers.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, ValidationResult

if TYPE_CHECKING:
    from .entries import Number

# By which rules numbers are understood; what was worked out by others is worked out anew (``entries``).
RULES = phonenumbers.__version__

_MOST_WRITTEN = 250  # characters; longer ones are no numbers, and cost time
_SHORTEST_NATIONAL = 5  # digits; fewer are an extension here, unless a country code stands before them
_SERVICE = re.compile(r"[*#]")
_NO_DIGIT = re.compile(r"[^0-9*#]+")
REGIONS: frozenset[str] = frozenset(phonenumbers.SUPPORTED_REGIONS)


class Normalised(NamedTuple):
    """What a written number means.

    e164: ``+4930123456``; empty for what has no meaning outside: extensions, services, what is no number
    digits: those of ``e164``, else those that are written, with ``*`` and ``#``
    extension: behind the number, as in ``+49 30 123456 ext. 12``; not in ``e164``
    """

    e164: str
    digits: str
    extension: str


def normalise(written: str, region: str = "") -> Normalised:
    """What ``written`` means in a region.

    region: ISO 3166, in capitals; empty: only what has a country code has an E.164 form

    Short numbers, services (``*21``, ``**610``) and extensions are left alone: the library takes many of them for
    numbers of the region.
    """
    if len(written) > _MOST_WRITTEN:
        return Normalised("", digits_of(written)[:_MOST_WRITTEN], "")
    return _normalised(written, region)


@lru_cache(maxsize=4096)
def _normalised(written: str, region: str) -> Normalised:
    text = written.strip()
    if text[:4].lower() == "tel:":
        text = text[4:]
    found = parsed(text, region)
    if found is None:
        return Normalised("", digits_of(text), "")
    e164 = phonenumbers.format_number(found, PhoneNumberFormat.E164)
    return Normalised(e164, e164[1:], found.extension or "")


def parsed(text: str, region: str) -> PhoneNumber | None:
    """The library's number of a text; None for what has no E.164 form.

    region: as in ``normalise``
    """
    if _SERVICE.search(text):
        return None
    try:
        found = phonenumbers.parse(text, region or None)
    except NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(found) != ValidationResult.IS_POSSIBLE:
        return None
    is_international = text.lstrip().startswith(("+", "\N{FULLWIDTH PLUS SIGN}"))
    if not is_international and len(str(found.national_number)) < _SHORTEST_NATIONAL:
        return None
    if not is_international and phonenumbers.is_possible_short_number_for_region(found, region):
        return None
    return found


def digits_of(text: str) -> str:
    """The digits of a text in any script as ``0`` to ``9``, with its ``*`` and ``#``."""
    if not text.isascii():
        text = "".join(str(unicodedata.digit(char, char)) for char in text)
    return _NO_DIGIT.sub("", text)


# -- as they are dialled -----------------------------------------------------------------------------------------------

_SHORTEST_OUTSIDE = 7  # digits; with fewer, what has no E.164 form is an extension or a short number
_LONGEST_EXTENSION = 6  # digits
_ANOTHER_COUNTRY = "+12125550100"
_YET_ANOTHER = "+4930123456"


class Dial(StrEnum):
    """How a number of another place is dialled."""

    E164 = "e164"  # +4930123456
    INTERNATIONAL = "00"  # 004930123456, or what stands for + in the phone's region
    NATIONAL = "national"  # 030123456; of other countries 00...


def dialled(number: Number, *, dial: Dial, region: str, outside_prefix: str = "", trunk: str = "") -> str:
    """What a phone dials for a number: digits, ``*``, ``#``, and a leading ``+`` where one has to stand for a prefix.

    dial: of numbers that are not internal
    region: where the phone stands; empty: nobody knows, and national numbers have no form but the international one
    outside_prefix: of an outside line; before all but internal and short numbers, and never before a ``+``
    trunk: in E.164; numbers behind it are the phone's own extensions

    Extensions, short numbers (``110``) and services (``*21``) are dialled as they are written.
    """
    if internal := extension_behind(trunk, number, outside_prefix):
        return internal
    if number.e164:
        outside = in_form(number.e164, dial, region)
    else:
        outside = digits_of(number.written)
        if outside and number.written.lstrip().startswith("+"):
            outside = f"+{outside}"
        if len(outside) < _SHORTEST_OUTSIDE or _SERVICE.search(outside):
            return outside
    return outside if outside.startswith("+") else outside_prefix + outside


def extension_behind(trunk: str, number: Number, outside_prefix: str = "") -> str:
    """The extension that a number is behind a trunk; empty for none.

    What begins with the prefix of an outside line is none: dialled, it would leave the house.
    """
    if not trunk or not number.e164.startswith(trunk):
        return ""
    behind = number.e164[len(trunk) :]
    if number.extension and behind in {"", "0"}:
        behind = digits_of(number.extension)  # "+49 30 1234-0 ext. 17"
    if not behind or len(behind) > _LONGEST_EXTENSION or (outside_prefix and behind.startswith(outside_prefix)):
        return ""
    return behind


@lru_cache(maxsize=8192)
def in_form(e164: str, dial: Dial, region: str) -> str:
    """A number as it is dialled in a region; with a ``+`` where that has several prefixes for other countries."""
    if dial is Dial.E164:
        return e164
    if dial is Dial.NATIONAL and region:
        try:
            found = phonenumbers.parse(e164)
        except NumberParseException:
            found = None
        if found is not None:
            written = phonenumbers.format_out_of_country_calling_number(found, region)
            return e164 if written.startswith("+") else digits_of(written)
    prefix = international_prefix(region)
    return prefix + e164[1:] if prefix else e164


@lru_cache(maxsize=512)
def international_prefix(region: str) -> str:
    """What is dialled for ``+`` in a region; empty where that is another one for each carrier."""
    if not region:
        return "00"
    is_near = phonenumbers.country_code_for_region(region) == phonenumbers.parse(_ANOTHER_COUNTRY).country_code
    abroad = phonenumbers.parse(_YET_ANOTHER if is_near else _ANOTHER_COUNTRY)
    written = phonenumbers.format_out_of_country_calling_number(abroad, region)
    if written.startswith("+"):
        return ""
    return digits_of(written).removesuffix(f"{abroad.country_code}{abroad.national_number}")


@lru_cache(maxsize=512)
def national_prefix(region: str) -> str:
    """What is dialled before numbers of another place in a region; empty for nothing, and for no region."""
    return phonenumbers.ndd_prefix_for_region(region, True) or "" if region else ""


def forms(number: Number, region: str) -> tuple[str, ...]:
    """All ways to write a number that who looks for it may use: E.164, national, with the international prefix."""
    if number.e164:
        found = (number.e164, *(in_form(number.e164, dial, region) for dial in (Dial.NATIONAL, Dial.INTERNATIONAL)))
    else:
        digits = digits_of(number.written)
        found = (f"+{digits}" if number.written.lstrip().startswith("+") else digits,)
    return tuple(one for one in dict.fromkeys(found) if one)

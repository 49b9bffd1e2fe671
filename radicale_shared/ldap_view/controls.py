"""Controls of searches: results in pages (RFC 2696), and sorted (RFC 2891).

A page's cookie says behind which entry the next one begins. Nothing of it is kept here: whoever comes back may come to
another process. It is signed with the database's secret, together with who asks and for what.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

from . import ber, messages
from .ber import BerError
from .messages import Control
from .requests import Identity, SearchRequest, SortKey
from .results import Code, ResultError

PAGED = "1.2.840.113556.1.4.319"
SORT = "1.2.840.113556.1.4.473"
SUPPORTED = (PAGED, SORT)

_SORT_RESULT = "1.2.840.113556.1.4.474"
_MOST_SORT_KEYS = 8
_REVERSE = 0x81
_COUNT_OCTETS, _SIGNATURE_OCTETS = 4, 16


@dataclass(frozen=True, slots=True)
class Page:
    """size: entries; 0: no more pages are wanted. cookie: of the page before; empty for the first"""

    size: int
    cookie: bytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the controls of a search ask for. must_sort: not to sort it is to refuse it"""

    page: Page | None = None
    sort: tuple[SortKey, ...] = ()
    must_sort: bool = False


def of_search(controls: Iterable[Control]) -> Wanted:
    """What they ask for. Raises ResultError for one that can't be done and has to be, or that is broken."""
    page: Page | None = None
    sort: tuple[SortKey, ...] = ()
    must_sort, seen = False, set()
    for one in controls:
        if one.oid not in SUPPORTED:
            _refuse_critical(one)
            continue
        if one.oid in seen:
            raise ResultError(Code.PROTOCOL_ERROR, "A control was sent twice.")
        seen.add(one.oid)
        try:
            if one.oid == PAGED:
                page = _page(one.value or b"")
            else:
                sort, must_sort = _sort_keys(one.value or b""), one.critical
        except BerError as error:
            raise ResultError(Code.PROTOCOL_ERROR, f"A control is broken: {error}.") from error
    return Wanted(page, sort, must_sort)


def refuse_critical(controls: Iterable[Control]) -> None:
    """Raise ResultError where a control has to be done with an operation that knows none."""
    for one in controls:
        _refuse_critical(one)


def _refuse_critical(control: Control) -> None:
    if control.critical:
        raise ResultError(Code.UNAVAILABLE_CRITICAL_EXTENSION, "A control that is critical is not known here.")


def _page(value: bytes) -> Page:
    size, cookie = ber.exactly(ber.sequence(ber.only(value)), 2)
    wanted = ber.number(size)
    if wanted < 0:
        raise BerError("a page of less than nothing")
    return Page(wanted, ber.octets(cookie))


def _sort_keys(value: bytes) -> tuple[SortKey, ...]:
    found = []
    for one in ber.children(ber.sequence(ber.only(value)), most=_MOST_SORT_KEYS):
        parts = ber.children(ber.sequence(one), most=3)
        if not parts:
            raise BerError("a key without an attribute")
        reverse = any(part.tag == _REVERSE and part.content not in {b"", b"\0"} for part in parts[1:])
        found.append(SortKey(ber.text(parts[0]).lower(), reverse))
    if not found:
        raise BerError("no key to sort by")
    return tuple(found)


# -- answers -----------------------------------------------------------------------------------------------------------


def paged(cookie: bytes) -> bytes:
    """What comes with a page. cookie: for the next one; empty with the last"""
    return messages.control(
        PAGED, ber.written(ber.SEQUENCE, ber.written_number(0), ber.written(ber.OCTET_STRING, cookie))
    )


def sorted_by(code: Code) -> bytes:
    """What comes with results that were to be sorted: whether they are."""
    return messages.control(_SORT_RESULT, ber.written(ber.SEQUENCE, ber.written_number(code, ber.ENUMERATED)))


# -- cookies -----------------------------------------------------------------------------------------------------------


def cookie(secret: bytes, identity: Identity, asked: SearchRequest, wanted: Wanted, count: int, after: bytes) -> bytes:
    """The cookie of the next page.

    secret: the database's
    count: entries of all pages so far
    after: the position of the last of them
    """
    told = count.to_bytes(_COUNT_OCTETS, "big") + after
    return _signature(secret, identity, asked, wanted, told) + told


def opened(secret: bytes, identity: Identity, asked: SearchRequest, wanted: Wanted) -> tuple[int, bytes]:
    """(entries of all pages before, position of the last of them) of the cookie of a search.

    Raises ResultError for one that was made for somebody or something else.
    """
    sent = wanted.page.cookie if wanted.page else b""
    if not sent:
        return 0, b""
    signature, told = sent[:_SIGNATURE_OCTETS], sent[_SIGNATURE_OCTETS:]
    if len(told) < _COUNT_OCTETS or not hmac.compare_digest(
        signature, _signature(secret, identity, asked, wanted, told)
    ):
        raise ResultError(Code.UNWILLING_TO_PERFORM, "This cookie is not for this search; begin with the first page.")
    return int.from_bytes(told[:_COUNT_OCTETS], "big"), told[_COUNT_OCTETS:]


def _signature(secret: bytes, identity: Identity, asked: SearchRequest, wanted: Wanted, told: bytes) -> bytes:
    device = identity.device.id if identity.device else 0
    what = (identity.slug, device, asked.base, int(asked.scope), asked.size_limit, asked.filter, wanted.sort)
    signed = blake2b(key=secret, digest_size=_SIGNATURE_OCTETS, person=b"ldap page")
    signed.update(repr(what).encode("utf-8", "replace"))
    signed.update(b"\0" + told)
    return signed.digest()

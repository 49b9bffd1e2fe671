"""What a client asks for, as the search core gets it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from ..devices import Device
from .filters import Filter


class Scope(IntEnum):
    """How far below its base a search looks (RFC 4511, section 4.5.1.2)."""

    BASE = 0
    ONE = 1
    SUB = 2


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is signed in on a connection, as the database has it at the beginning of this search.

    device: whose password it was; None for the person's own
    """

    slug: str
    device: Device | None = None


class SortKey(NamedTuple):
    """attribute: as it was sent, in small letters; a name or an OID."""

    attribute: str
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search (RFC 4511, section 4.5.1).

    base: a DN as it was sent; never the empty one, nor that of the subschema
    size_limit, time_limit: entries and seconds, as the client wants; 0: no limit of its own
    attributes: as they were sent, with ``*``, ``+`` and ``1.1``; none: all that users see
    """

    base: str
    scope: Scope
    size_limit: int
    time_limit: int
    types_only: bool
    filter: Filter
    attributes: tuple[str, ...] = ()


class Found(NamedTuple):
    """An entry that a search has found.

    attributes: all that this reader sees of it: {name of an AttributeType of ``schema``: values, one at least}.
        Operational ones are among them
    position: after which entry a next page goes on; made of nothing but what this reader sees, 500 bytes at most
    """

    dn: str
    attributes: Mapping[str, Sequence[str]]
    position: bytes


@dataclass(frozen=True, slots=True)
class Search:
    """A search as the search core does it.

    suffix: the DN that everything lies below, of the settings, e.g. ``dc=contacts``
    most: so many entries are taken at most; a hint for how many to read at a time
    after: the position of the last entry of the page before; empty for the first page
    sort: the keys of a server-side sort (RFC 2891), the first one decides first; empty: any order
    check: to be called every few milliseconds; raises ResultError (timeLimitExceeded) or AbandonedError
    """

    request: SearchRequest
    suffix: str
    most: int
    after: bytes
    sort: tuple[SortKey, ...]
    check: Callable[[], None]

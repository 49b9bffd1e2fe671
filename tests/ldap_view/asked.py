"""Searches as the LDAP view does them, without a server; filters are written as in RFC 4515."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ldap3.operation.search import compile_filter, parse_filter
from pyasn1.codec.ber import encoder

from radicale_shared.database import Database
from radicale_shared.devices import Device
from radicale_shared.ldap_view import ber, filters
from radicale_shared.ldap_view.requests import Found, Identity, Scope, Search, SearchRequest, SortKey
from radicale_shared.ldap_view.search import answer

SUFFIX = "dc=contacts"


def parsed(text: str) -> filters.Filter:
    """The tree of a filter, by the way over BER that clients send it."""
    built = compile_filter(parse_filter(text, None, False, False, None, False).elements[0])
    return filters.read(ber.only(encoder.encode(built)))


def searched(
    db: Database,
    slug: str,
    filter_: str | filters.Filter,
    *,
    base: str = SUFFIX,
    scope: Scope = Scope.SUB,
    device: Device | None = None,
    most: int = 1000,
    after: bytes = b"",
    sort: tuple[SortKey, ...] = (),
    check: Callable[[], None] = lambda: None,
) -> list[Found]:
    """What a search finds, at most ``most``."""
    tree = parsed(filter_) if isinstance(filter_, str) else filter_
    request = SearchRequest(base, scope, 0, 0, False, tree)
    found = answer(db, Identity(slug, device), Search(request, SUFFIX, most, after, sort, check))
    return [one for one, _ in zip(found, range(most), strict=False)]


def names(db: Database, slug: str, filter_: str | filters.Filter, **more: Any) -> list[str]:
    """The same as DNs."""
    return [one.dn for one in searched(db, slug, filter_, **more)]

"""Search filters from values that people typed or other servers sent (RFC 4515)."""

from __future__ import annotations

from collections.abc import Iterable

_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@._-")


def escaped(value: str | bytes) -> str:
    """``value`` as it may stand in a filter: whatever isn't a plain letter, digit or one of ``@._-`` by its octets.

    RFC 4515, section 3, asks for that with ``*``, ``(``, ``)``, ``\\`` and NUL only; any octet may be written so.
    """
    octets = value.encode() if isinstance(value, str) else value
    return "".join(chr(octet) if octet in _SAFE else f"\\{octet:02x}" for octet in octets)


def equal(attribute: str, value: str | bytes) -> str:
    """``(attribute=value)``, the value escaped."""
    return f"({attribute}={escaped(value)})"


def every(*filters: str) -> str:
    """All of the filters."""
    return f"(&{''.join(filters)})" if len(filters) > 1 else filters[0]


def some(filters: Iterable[str]) -> str:
    """At least one of the filters; of none: a filter that nothing matches (RFC 4526, section 2)."""
    known = tuple(dict.fromkeys(filters))
    if len(known) == 1:
        return known[0]
    return f"(|{''.join(known)})" if known else "(!(objectClass=*))"

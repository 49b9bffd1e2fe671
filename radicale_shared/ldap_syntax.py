"""What is a filter and what the name of an attribute, so that a mistake is found when the configuration is read."""

from __future__ import annotations

import re

_DEEPEST = 20

# The description of an attribute (RFC 4512, section 2.5).
_NAMED = r"(?:[A-Za-z][A-Za-z0-9-]*|[0-2](?:\.[0-9]+)+)(?:;[A-Za-z0-9-]+)*"
_RULE = r":(?!(?i:dn):=)[A-Za-z0-9.-]+"
_ITEM = re.compile(
    rf"\((?:{_NAMED}(?:(?::(?i:dn))?(?:{_RULE})?:|[~<>])?=|(?::(?i:dn))?{_RULE}:=)(?:[^()\\\0]|\\[0-9A-Fa-f]{{2}})*\)"
)


def is_attribute(name: str) -> bool:
    """Whether ``name`` names an attribute, with or without options."""
    return re.fullmatch(_NAMED, name) is not None


def is_filter(text: str) -> bool:
    """Whether ``text`` is a filter (RFC 4515, section 3), nested no deeper than anybody needs."""
    return _end(text, 0, 1) == len(text)


def _end(text: str, start: int, depth: int) -> int:
    """Where the filter that begins at ``start`` ends; -1 if none does, or it is nested too deeply."""
    if depth > _DEEPEST or text[start : start + 1] != "(":
        return -1
    if text[start + 1 : start + 2] not in {"&", "|", "!"}:
        item = _ITEM.match(text, start)
        return item.end() if item else -1
    end, count = start + 2, 0
    while text[end : end + 1] == "(":
        end, count = _end(text, end, depth + 1), count + 1
        if end < 0:
            return -1
    alone = text[start + 1] == "!"
    return end + 1 if text[end : end + 1] == ")" and count > 0 and (count == 1 or not alone) else -1

"""What a client would rather have: the Prefer header (RFC 7240), as WebDAV uses it (RFC 8144), and the older Brief.

``return=minimal`` leaves out what a client would skip anyway, ``return=representation`` brings the card that a write
left behind, ``depth-noroot`` leaves out the resource that was asked. All else is ignored, as it should be (RFC 7240,
section 2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MINIMAL = "return=minimal"
REPRESENTATION = "return=representation"
NO_ROOT = "depth-noroot"

# Answers to these depend on the two headers, so Vary names them.
METHODS = frozenset({"PROPFIND", "REPORT", "PROPPATCH", "MKCOL", "PUT", "POST", "DELETE", "COPY", "MOVE"})
HEADERS = "Prefer, Brief"

# Possessive throughout: whatever is sent is read once.
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_PREFERENCE = re.compile(rf'\s*+([^\s,;="]++)\s*+(?:=\s*+({_QUOTED}|[^\s,;"]*+))?+[^,"]*+(?:{_QUOTED}[^,"]*+)*+(?:,|$)')
_MOST = 1000  # characters of the header that are read


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a request prefers.

    asked: tokens of Prefer that are known here, as the constants above
    brief: whether an older client asks for the same as MINIMAL (RFC 8144, appendix A)
    """

    asked: frozenset[str] = frozenset()
    brief: bool = False

    @property
    def minimal(self) -> bool:
        return self.brief or MINIMAL in self.asked

    @property
    def representation(self) -> bool:
        return REPRESENTATION in self.asked

    @property
    def no_root(self) -> bool:
        return NO_ROOT in self.asked

    def applied(self, *kept: str) -> tuple[tuple[str, str], ...]:
        """The header Preference-Applied (RFC 7240, section 3) for those of ``kept`` that were asked for."""
        told = ", ".join(one for one in kept if one in self.asked)
        return (("Preference-Applied", told),) if told else ()


def parsed(prefer: str | None, brief: str | None) -> Preferences:
    """The preferences of these two headers. Brief counts only without Prefer (RFC 8144, appendix A)."""
    if prefer is None:
        return Preferences(brief=(brief or "").strip().lower() == "t")
    values: dict[str, str] = {}
    for name, value in _preferences(prefer[:_MOST]):
        values.setdefault(name, value)  # the first of several counts (RFC 7240, section 2)
    asked = {f"return={values['return']}"} if "return" in values else set()
    if NO_ROOT in values:
        asked.add(NO_ROOT)
    return Preferences(frozenset(asked & {MINIMAL, REPRESENTATION, NO_ROOT}))


def _preferences(header: str) -> list[tuple[str, str]]:
    """(name, value) of each element of the list, in small letters; parameters and broken elements are passed over."""
    found, position = [], 0
    while position < len(header):
        match = _PREFERENCE.match(header, position)
        if match:
            found.append((match[1].lower(), _unquoted(match[2] or "").lower()))
            position = match.end()
        else:
            position = header.find(",", position) + 1 or len(header)
    return found


def _unquoted(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if word.startswith('"') else word

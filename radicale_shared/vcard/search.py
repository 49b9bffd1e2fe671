"""What of a card is searched and shown: folded texts for an index, and the name people know it by."""

from __future__ import annotations

from radicale_shared.vcard.card import Card
from radicale_shared.vcard.lines import ContentLine
from radicale_shared.vcard.values import components, fold, unescape

MAX_FIELD_LENGTH = 10_000  # characters; keeps a pasted book in a NOTE out of the index

SEARCHED = ("fn", "n", "nickname", "org", "title", "email", "tel", "adr", "note", "categories", "uid")
_STRUCTURED = frozenset({"n", "org", "adr"})
_ENOUGH = 4 * MAX_FIELD_LENGTH  # characters of a value, of which the index holds the beginning
LONGEST_NAME = 1000  # characters of a name that is shown
_LONGEST_NEEDLE = 200  # characters; what contains a text contains its beginning, and databases limit patterns


def search_fields(card: Card) -> dict[str, str]:
    """The folded texts of ``card`` for an index, by field of ``SEARCHED``; empty where the card has nothing.

    All values of the property, one a line; the components of N, ORG and ADR with a space between. ``fold`` keeps
    everything that contains a text exactly among what contains it folded, up to 10,000 characters a field: what lies
    behind is not found. ``needle`` is what to look for.
    """
    values: dict[str, list[str]] = {field: [] for field in SEARCHED}
    for line in card.lines:
        field = line.name.lower()
        if field in values:
            values[field].append(fold(_flat(line, structured=field in _STRUCTURED)[:MAX_FIELD_LENGTH]))
    return {field: "\n".join(found)[:MAX_FIELD_LENGTH] for field, found in values.items()}


def needle(field: str, text: str) -> str:
    """What the index holds in ``field`` of every card with a value there that contains ``text``; empty: anything.

    Compared by ``casemap``, without regard to case, or exactly, of values as people read them; those of N, ORG and ADR
    with their components parted by semicolons.
    """
    folded = fold(text[:_LONGEST_NEEDLE])
    if field in _STRUCTURED:
        # The index has a space where the value has a semicolon, and leaves out components that are blank.
        folded = max((part for part in folded.split(";") if part.strip()), key=len, default="")
    return folded[:_LONGEST_NEEDLE]


def display_name(card: Card) -> str:
    """The name to show for ``card``, on one line: FN, else N put together, ORG, NICKNAME, EMAIL, TEL or UID.

    At most 1000 characters. Empty only if the card has none of them, or all begin with thousands of blanks.
    """
    for name in ("FN", "N", "ORG", "NICKNAME", "EMAIL", "TEL", "UID"):
        line = card.first(name)
        if line and (shown := " ".join(_shown(line).split())[:LONGEST_NAME].strip()):
            return shown
    return ""


def _shown(line: ContentLine) -> str:
    """The value on its way to be a name."""
    value = line.decoded[:_ENOUGH]
    if line.name == "N":
        return _composed_name(value)
    return ", ".join(_filled(value)) if line.name == "ORG" else unescape(value)


def _composed_name(value: str) -> str:
    """N in the order it is spoken in: prefix, given, additional, family, suffix (RFC 6350, section 6.2.2)."""
    parts = [unescape(part) for part in components(value)][:5]
    family, given, additional, prefix, suffix = parts + [""] * (5 - len(parts))
    return " ".join((prefix, given, additional, family, suffix))


def _filled(value: str) -> list[str]:
    parts = (unescape(part) for part in components(value))
    return [part for part in parts if part.strip()]


def _flat(line: ContentLine, *, structured: bool) -> str:
    """The text of a line for the index; of an endless value only as much as the index holds."""
    value = line.decoded
    start = _read(value[:_ENOUGH], structured=structured)
    # Escapes and blank components may leave less of the beginning than the index holds.
    return start if len(value) <= _ENOUGH or len(start) >= MAX_FIELD_LENGTH else _read(value, structured=structured)


def _read(value: str, *, structured: bool) -> str:
    return " ".join(_filled(value)) if structured else unescape(value)

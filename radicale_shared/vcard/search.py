"""What of a card is searched and shown: folded texts for an index, and the name people know it by."""

from __future__ import annotations

from radicale_shared.vcard.card import Card
from radicale_shared.vcard.lines import ContentLine
from radicale_shared.vcard.values import components, fold, unescape

MAX_FIELD_LENGTH = 10_000  # characters; keeps a pasted book in a NOTE out of the index

SEARCHED = ("fn", "n", "nickname", "org", "title", "email", "tel", "adr", "note", "categories", "uid")
_STRUCTURED = frozenset({"n", "org", "adr"})


def search_fields(card: Card) -> dict[str, str]:
    """The folded texts of ``card`` for an index, by field of ``SEARCHED``; empty where the card has nothing.

    All values of the property, one a line; the components of N, ORG and ADR with a space between. ``fold`` keeps
    everything that contains a text exactly among what contains it folded, up to 10,000 characters a field: what lies
    behind is not found.
    """
    values: dict[str, list[str]] = {field: [] for field in SEARCHED}
    for line in card.lines:
        field = line.name.lower()
        if field in values:
            values[field].append(fold(_flat(line, structured=field in _STRUCTURED)[:MAX_FIELD_LENGTH]))
    return {field: "\n".join(found)[:MAX_FIELD_LENGTH] for field, found in values.items()}


def display_name(card: Card) -> str:
    """The name to show for ``card``, on one line: FN, else N put together, ORG, NICKNAME, EMAIL, TEL or UID.

    Empty only if the card has none of them.
    """
    candidates = (
        card.text("FN"),
        _composed_name(card.first("N")),
        ", ".join(_parts(card.first("ORG"))),
        card.text("NICKNAME"),
        card.text("EMAIL"),
        card.text("TEL"),
        card.uid,
    )
    return next((name for name in (" ".join(candidate.split()) for candidate in candidates) if name), "")


def _composed_name(line: ContentLine | None) -> str:
    """N in the order it is spoken in: prefix, given, additional, family, suffix (RFC 6350, section 6.2.2)."""
    if line is None:
        return ""
    parts = [unescape(part) for part in components(line.decoded)][:5]
    family, given, additional, prefix, suffix = parts + [""] * (5 - len(parts))
    return " ".join((prefix, given, additional, family, suffix))


def _parts(line: ContentLine | None) -> list[str]:
    """The components that hold anything, as people read them."""
    parts = [unescape(part) for part in components(line.decoded)] if line else []
    return [part for part in parts if part.strip()]


def _flat(line: ContentLine, *, structured: bool) -> str:
    return " ".join(_parts(line)) if structured else line.text

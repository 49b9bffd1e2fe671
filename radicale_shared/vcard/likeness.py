"""Whether a card's two versions are found by the same searches."""

from __future__ import annotations

import re
from dataclasses import replace

from radicale_shared.vcard.card import Card
from radicale_shared.vcard.checking import VERSIONS
from radicale_shared.vcard.convert import convert
from radicale_shared.vcard.convert_lines import FROM_3, FROM_4
from radicale_shared.vcard.lines import ContentLine
from radicale_shared.vcard.search import SEARCHED, search_fields

_READ = frozenset(field.upper() for field in SEARCHED) | {"VERSION"}
_CARRIED = (FROM_3, FROM_4)
# Names and parameters for which a conversion makes other texts of values; folds and quotes can hide them.
_TELLING = re.compile(rb"X-VCARD|ALTID|ENCODING|CHARSET|QUOTED-PRINTABLE|[\r\n\"]", re.IGNORECASE)


def is_alike(card: Card) -> bool:
    """Whether ``card`` has the same searched texts (``search_fields``) in the other version.

    Mostly it has; not a card without FN or N, which gets one made, or with a ``tel:`` URI. A card of any version but
    3.0 and 4.0 has no other one, and is like nothing.
    """
    if card.version not in VERSIONS:
        return False
    # Lines of other names don't become searched ones: pictures need not be converted for this.
    lines = tuple(line for line in card.lines if line.name in _READ or line.name.startswith(_CARRIED))
    names = [line.name for line in lines]
    if names.count("FN") == names.count("N") == 1 and not any(_may_change(line) for line in lines):
        return True
    part = replace(card, lines=lines)
    return search_fields(convert(part, "4.0" if card.version == "3.0" else "3.0")) == search_fields(part)


def _may_change(line: ContentLine) -> bool:
    """Whether a conversion may give another text to a line. Converting costs more than all else that a PUT computes."""
    if _TELLING.search(line.raw, 0, max(line.raw.find(b":"), 0)):
        return True
    return line.name == "TEL" and line.value[:4].lower() == "tel:"

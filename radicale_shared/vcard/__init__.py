"""The vCard engine: cards as lines that keep their exact bytes, any version, nothing lost.

    split_cards     a file of many cards, cut
    Card            one card: read, edit, serialise
    ContentLine     one line of it; build_line makes a new one
    check           what a card must be to be stored
    search_fields   folded texts for an index; display_name, the name to show
    values          escape, unescape, components, items, fold

A card that is read and written again is the same bytes, and an edit changes the lines it names and no others. So
whatever a client meant by a line that isn't known here reaches the next client as it was sent.
"""

from radicale_shared.vcard.card import Card, split_cards
from radicale_shared.vcard.checking import check
from radicale_shared.vcard.lines import ContentLine, build_line, content_lines, fold_line, unfold
from radicale_shared.vcard.search import MAX_FIELD_LENGTH, display_name, search_fields
from radicale_shared.vcard.values import components, escape, fold, items, unescape

__all__ = [
    "MAX_FIELD_LENGTH",
    "Card",
    "ContentLine",
    "build_line",
    "check",
    "components",
    "content_lines",
    "display_name",
    "escape",
    "fold",
    "fold_line",
    "items",
    "search_fields",
    "split_cards",
    "unescape",
    "unfold",
]

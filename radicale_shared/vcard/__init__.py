"""The vCard engine: cards as lines that keep their exact bytes, any version, nothing lost.

    split_cards     a file of many cards, cut
    Card            one card: read, edit, serialise
    ContentLine     one line of it; build_line makes a new one
    check           what a card must be to be stored; require_few_lines, what to ask before anything is read
    convert         a card of 3.0 as 4.0, and back; upgrade, one of 2.1 as 3.0
    returned        what a client sent, with what the conversion wrote and the client dropped; kept, with what a client
                    never writes; names_of, the properties that a card has
    outline         the same by a look at the raw lines, and how much people keep in a card; is_emptied, by a write
    meaning         what a card says, however it is written; distance, in how much two differ
    merge           what one side changed, applied to what the other made of the card; merge_hidden, where that side
                    doesn't see all of it; take_back, a change taken back without overwriting later ones
    differences     what differs between two states of a card, for people
    visible         a card without the fields that a reader may not see; types, what a line says it is, with labels
    search_fields   folded texts for an index; needle, what to look for in it; is_alike, whether both versions have
                    the same ones; display_name, the name to show
    values          escape, unescape, components, items, fold, casemap

A card that is read and written again is the same bytes, and an edit changes the lines it names and no others. So
whatever a client meant by a line that isn't known here reaches the next client as it was sent.
"""

from radicale_shared.vcard.card import Card, split_cards
from radicale_shared.vcard.checking import check, require_few_lines
from radicale_shared.vcard.convert import convert
from radicale_shared.vcard.differences import Difference, differences
from radicale_shared.vcard.kept import kept, names_of
from radicale_shared.vcard.likeness import is_alike
from radicale_shared.vcard.lines import ContentLine, build_line, content_lines, fold_line, unfold
from radicale_shared.vcard.meaning import distance, meaning
from radicale_shared.vcard.merge import Conflict, Merged, merge, merge_hidden, take_back
from radicale_shared.vcard.outline import Outline, is_emptied, outline
from radicale_shared.vcard.returned import returned
from radicale_shared.vcard.search import MAX_FIELD_LENGTH, display_name, needle, search_fields
from radicale_shared.vcard.values import casemap, components, escape, fold, items, unescape
from radicale_shared.vcard.version21 import upgrade
from radicale_shared.vcard.visible import Types, labels, types, visible

__all__ = [
    "MAX_FIELD_LENGTH",
    "Card",
    "Conflict",
    "ContentLine",
    "Difference",
    "Merged",
    "Outline",
    "Types",
    "build_line",
    "casemap",
    "check",
    "components",
    "content_lines",
    "convert",
    "differences",
    "display_name",
    "distance",
    "escape",
    "fold",
    "fold_line",
    "is_alike",
    "is_emptied",
    "items",
    "kept",
    "labels",
    "meaning",
    "merge",
    "merge_hidden",
    "names_of",
    "needle",
    "outline",
    "require_few_lines",
    "returned",
    "search_fields",
    "split_cards",
    "take_back",
    "types",
    "unescape",
    "unfold",
    "upgrade",
    "visible",
]

"""Directory gateways: books too large for devices, which are searched and never listed.

RFC 6352 knows no such thing; this is draft-daboo-carddav-directory-gateway-02, which Apple's clients speak: CARDDAV:
directory-gateway on the principal names them (section 3), CARDDAV:directory in the resourcetype tells them from other
books (section 4.1). Whatever would enumerate one is not answered (section 6): no Depth 1, no sync, no search without a
text to search for. Of what is found at most MOST_FOUND cards are given, and the client is told that there is more.
"""

from __future__ import annotations

from collections.abc import Set

from .. import vcard
from ..search import EVERY, AllOf, AnyOf, Condition, Contains
from ..vcard import fields
from . import xml
from .filters import Filter, PropFilter, TextMatch
from .http import Request
from .properties import live
from .resources import Home, Resource, book_url

MOST_FOUND = 200
# Cards that may match by the index, and are read to find those that do.
MOST_READ = 2000
SHORTEST_TEXT = 2


def sought(wanted: Filter, hidden: Set[str]) -> Condition | None:
    """What a card that matches must hold by the index; None for a search that would list the book.

    Only properties in the index are searched, and none of which the user sees but a part: how many cards may match
    would tell what is hidden. Where any of several conditions is enough, those on other properties find nothing.

    hidden: fields (``vcard.fields``) that the user doesn't see
    """
    unseen = {fields.split(one)[0] for one in hidden}
    parts = [(one, EVERY if fields.field_of(one.name) in unseen else one.narrowed()) for one in wanted.prop_filters]
    if wanted.every:
        condition: Condition = AllOf(tuple(part for _, part in parts))
    else:
        condition = AnyOf(tuple(part for one, part in parts if part != EVERY or not _is_for_texts(one)))
    return condition if _is_narrow(condition) else None


def _is_for_texts(wanted: PropFilter) -> bool:
    """Whether a prop-filter looks for texts and nothing else."""
    texts = [one for one in wanted.conditions if isinstance(one, TextMatch) and not one.negated]
    return wanted.defined and len(texts) == len(wanted.conditions) > 0


def _is_narrow(condition: Condition) -> bool:
    """Whether a search has a text that tells cards from one another."""
    match condition:
        case Contains(field, text):
            return len(vcard.needle(field, text).strip()) >= SHORTEST_TEXT
        case AllOf(parts):
            return any(map(_is_narrow, parts))
        case AnyOf(parts):
            return bool(parts) and all(map(_is_narrow, parts))


@live(xml.carddav("directory-gateway"))
def directory_gateway(request: Request, resource: Resource) -> str | None:
    """Section 3: the gateways that this user may search; not there where there are none."""
    if not isinstance(resource, Home) or not resource.gateways:
        return None
    return "".join(xml.href(book_url(request, access)) for access in resource.gateways)

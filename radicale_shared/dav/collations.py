"""Collations: how the texts of a search are compared (RFC 6352, section 8.3; RFC 4790; RFC 5051).

A collation is a function that makes of a text what is compared; two texts are equal if it makes the same of both, and
one contains the other if what is made of it does. All work character by character.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .. import vcard
from . import xml
from .http import ForbiddenError, Request
from .properties import live
from .resources import BookResource, MergedBook, Resource

Collation = Callable[[str], str]

_UPPER = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}


def ascii_casemap(text: str) -> str:
    """i;ascii-casemap: the letters of ASCII without regard to case (RFC 4790, section 9.2)."""
    return text.upper() if text.isascii() else text.translate(_UPPER)


def octet(text: str) -> str:
    """i;octet: as it is (RFC 4790, section 9.3); characters are the same where their octets in UTF-8 are."""
    return text


COLLATIONS: Mapping[str, Collation] = {
    "i;ascii-casemap": ascii_casemap,
    "i;octet": octet,
    "i;unicode-casemap": vcard.casemap,
}
# Without a name, and by the name that RFC 4790, section 3.1 gives to the protocol's own choice.
_DEFAULT_NAMES = frozenset({"", "default"})


def collation(name: str) -> Collation:
    """The collation that a request names; i;unicode-casemap for none and for ``default`` (section 8.3).

    Raises ForbiddenError (CARDDAV:supported-collation) for one that isn't supported; wildcards are none.
    """
    name = name.strip().lower()
    found = vcard.casemap if name in _DEFAULT_NAMES else COLLATIONS.get(name)
    if found is None:
        raise ForbiddenError("<C:supported-collation/>", f"The collations are {', '.join(COLLATIONS)}.")
    return found


@live(xml.carddav("supported-collation-set"))
def supported_collation_set(_request: Request, resource: Resource) -> str | None:
    """RFC 6352, section 8.3.1."""
    if isinstance(resource, BookResource | MergedBook):
        return "".join(f"<C:supported-collation>{name}</C:supported-collation>" for name in COLLATIONS)
    return None

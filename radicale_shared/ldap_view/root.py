"""What can be read without signing in: the root DSE (RFC 4512, section 5.1) and the subschema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .. import __version__
from . import schema
from .controls import SUPPORTED
from .filters import And, Equality, Filter, Not, Or, Present
from .messages import START_TLS, WHO_AM_I
from .requests import Scope, SearchRequest

# (&) and (|) without terms (RFC 4526); attributes asked for by "+" (RFC 3673).
_FEATURES = ("1.3.6.1.4.1.4203.1.5.3", "1.3.6.1.4.1.4203.1.5.1")
_VERSIONS = ("2", "3")


def entry_of(request: SearchRequest, suffix: str, *, has_tls: bool) -> tuple[str, Mapping[str, Sequence[str]]] | None:
    """(DN, attributes) of the one of the two that a search is for; None for neither.

    suffix: the DN that everything else lies below
    """
    if request.scope is not Scope.BASE:
        return None
    base = "".join(request.base.split()).lower()
    if not base:
        extensions = (START_TLS, WHO_AM_I) if has_tls else (WHO_AM_I,)
        return "", {
            "objectClass": ["top"],
            "namingContexts": [suffix],
            "subschemaSubentry": [schema.SUBSCHEMA],
            "supportedControl": SUPPORTED,
            "supportedExtension": extensions,
            "supportedFeatures": _FEATURES,
            "supportedLDAPVersion": _VERSIONS,
            "vendorName": ["radicale-shared"],
            "vendorVersion": [__version__],
        }
    return (schema.SUBSCHEMA, schema.subschema()) if base == schema.SUBSCHEMA.lower() else None


def matches(attributes: Mapping[str, Sequence[str]], wanted: Filter) -> bool | None:
    """Whether one of the two entries matches; None: undefined (RFC 4511, section 4.5.1.7)."""
    # Not by ``matching``: strangers ask this, and on the event loop. Values are compared as they are, and none of what
    # is sent is remembered, as the plain forms of texts are.
    match wanted:
        case And(terms):
            return _least(matches(attributes, one) for one in terms)
        case Or(terms):
            return _negated(_least(_negated(matches(attributes, one)) for one in terms))
        case Not(term):
            return _negated(matches(attributes, term))
        case Present(name) if known := schema.attribute(name):
            return bool(attributes.get(known.name))
        case Equality(name, value) if known := schema.attribute(name):
            return value.lower() in {one.lower() for one in attributes.get(known.name, ())}
    return None


def _negated(found: bool | None) -> bool | None:
    return None if found is None else not found


def _least(found: Iterable[bool | None]) -> bool | None:
    """False before undefined before true."""
    all_of = list(found)
    if False in all_of:
        return False
    return None if None in all_of else True

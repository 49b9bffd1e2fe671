"""A book as LDIF (RFC 2849), for an LDAP server that somebody else runs, as OpenLDAP's.

The entries have the names and values of the LDAP view, less what a server with the classes of RFC 2798 alone refuses:
attributes of other classes, numbers that are no PrintableString (services as ``*21``), addresses that are not ASCII,
and values that are equal to another one by the attribute's own rule. There is no line of a version, as slapadd takes
it for an attribute.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Sequence

from .. import entry_rows
from ..access import Access
from ..entries import Entry
from ..reading import Read
from . import attributes, dn, schema
from .attributes import Reader
from .dn import Rdn
from .schema import Syntax

CLASSES = ("top", "person", "organizationalPerson", "inetOrgPerson")

_LINE = 76  # characters (note 2 of section "Notes on LDIF Syntax")
_SAFE = re.compile(r"(?![ :<])[\x01-\x09\x0b\x0c\x0e-\x7f]*(?<! )")
_PRINTABLE = re.compile(r"[A-Za-z0-9'()+,\-./:=? ]+")
_KNOWN = frozenset(name for one in schema.OBJECT_CLASSES if one.name in CLASSES for name in (*one.must, *one.may)) - {
    "objectClass"
}


def require_suffix(suffix: str) -> Rdn:
    """The RDN of what everything is to lie below. Raises ValueError for what is no such DN."""
    try:
        rdns = dn.parsed(suffix)
    except ValueError:
        rdns = ()
    if not rdns or dn.ANOTHER in rdns:
        raise ValueError(f"{suffix!r} is no DN that entries can lie below, as dc=example,dc=org is")
    return rdns[0]


def written(reading: Read, access: Access, suffix: str, *, secret: bytes) -> Iterator[bytes]:
    """A book as its reader sees it: the suffix, the unit of the book, and its entries.

    reading: opens a reading session, e.g. ``Database.read``
    secret: the database's
    suffix: the DN that everything is to lie below; see ``require_suffix``
    """
    top = require_suffix(suffix)
    unit = f"{dn.written(('ou', access.book.mount))},{suffix}"
    yield _record(suffix, _of_suffix(*top))
    yield _record(unit, [("objectClass", ["top", "organizationalUnit"]), ("ou", [access.book.mount])])
    reader = Reader(secret, access.book.region)
    for page in entry_rows.pages(reading, access):
        for entry in page:
            yield _record(f"uid={reader.uid(entry.card_id)},{unit}", _of_entry(entry, reader))


def _of_suffix(name: str, value: str) -> list[tuple[str, Sequence[str]]]:
    if name == "dc":
        return [("objectClass", ["top", "organization", "dcObject"]), ("dc", [value]), ("o", [value])]
    kind = "organizationalUnit" if name == "ou" else "organization"
    return [("objectClass", ["top", kind]), (name, [value])]


def _of_entry(entry: Entry, reader: Reader) -> Iterator[tuple[str, Sequence[str]]]:
    yield "objectClass", CLASSES
    for name, values in attributes.Attributes(entry, "", reader).items():
        if name in _KNOWN and (taken := _taken(name, values)):
            yield name, taken


def _taken(name: str, values: Iterable[str]) -> list[str]:
    """The values that another server takes, too."""
    kind = schema.attribute(name)
    found: dict[str, str] = {}
    for value in values:
        if kind is not None and kind.syntax is Syntax.PHONE and not _PRINTABLE.fullmatch(value):
            continue
        if kind is not None and kind.syntax is Syntax.IA5 and not value.isascii():
            continue
        is_exact = kind is not None and kind.syntax is Syntax.EXACT
        found.setdefault(value if is_exact else dn.folded(value), value)
    taken = list(found.values())
    return taken[:1] if kind is not None and kind.single else taken


def _record(name: str, told: Iterable[tuple[str, Sequence[str]]]) -> bytes:
    lines = [_line("dn", name), *(_line(key, value) for key, values in told for value in values)]
    return ("\n".join(lines) + "\n\n").encode()


def _line(name: str, value: str) -> str:
    """``name: value``, in base64 where the value isn't safe as it is, folded."""
    if _SAFE.fullmatch(value):
        line = f"{name}: {value}"
    else:
        line = f"{name}:: {base64.b64encode(value.encode('utf-8', 'replace')).decode()}"
    rest = range(_LINE, len(line), _LINE - 1)
    return "\n".join([line[:_LINE], *(f" {line[at : at + _LINE - 1]}" for at in rest)])

"""What of the tree a person or a phone finds: the suffix, below it a unit for each book, and in that its entries.

Rights are asked at the beginning of every search. A book that may not be read is answered like one that doesn't exist,
and so is a card that is hidden from who asks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .. import access, entry_rows, entry_search, phone_books, phone_profiles
from ..access import Access
from ..card_keys import card_of, key_of
from ..database import Database
from ..entries import Entry
from ..entry_keys import plain
from ..entry_search import Hit
from ..entry_sources import Place
from ..numbers import digits_of
from . import attributes, dn, matching, schema
from .attributes import Reader, Rule
from .dn import Rdn
from .filters import Filter
from .requests import Found, Identity, Scope, Search, SortKey
from .results import CannotSortError, Code, ResultError

MOST_SORTED = 5000  # entries; to sort more takes too long
_LONGEST_RDN = 180  # bytes
_OF_BOOK, _OF_ENTRY, _OF_SORTED = b"b", b"e", b"s"
_BEHIND_UNITS = 1 << 62


@dataclass(frozen=True, slots=True)
class _Tree:
    """What one reader may see.

    accesses: {id of a book: what they may do with it}
    readers: {id of a book: for whom its attributes are made}
    """

    db: Database
    suffix: str
    accesses: Mapping[int, Access]
    readers: Mapping[int, Reader]
    is_phone: bool

    def name_of_book(self, book_id: int) -> str:
        return f"{dn.written(('ou', self.accesses[book_id].book.mount))},{self.suffix}"

    def name_of_entry(self, entry: Entry) -> str:
        return f"uid={self.readers[entry.book_id].uid(entry.card_id)},{self.name_of_book(entry.book_id)}"

    def shown(self, entry: Entry) -> Entry:
        return self.readers[entry.book_id].shown(entry)


@dataclass(frozen=True, slots=True)
class _Unit:
    """An entry of the tree that is nobody's: the suffix, or a book. number: its place among them"""

    number: int
    dn: str
    attributes: Mapping[str, Sequence[str]]

    def values(self, name: str) -> Sequence[str]:
        """The values of an attribute; none where it hasn't any."""
        return self.attributes.get(name, ())


def answer(db: Database, identity: Identity, search: Search) -> Iterator[Found]:
    """What a search finds, piece by piece; between two of them nothing is held.

    Raises ResultError, also behind what it gave; CannotSortError before that.
    """
    tree = _tree(db, identity, search.suffix)
    units, books, entry = _looked_at(tree, search)
    test = matching.test_of(search.request.filter)
    found_units = [one for one in units if test(one.values)]
    if entry is not None:
        if not search.after and _matching(tree, search.request.filter)(entry):
            yield _found(tree, entry, _OF_ENTRY)
    elif search.sort:
        yield from _sorted(tree, search, found_units, books)
    else:
        after = _number_of(search.after, db.secret)
        for unit in found_units:
            if after is None or unit.number > after:
                yield Found(unit.dn, unit.attributes, _OF_BOOK + key_of(unit.number, db.secret).encode())
        for hit in _hits(tree, search, books, _place(search.after, db.secret)):
            yield _found(tree, hit.entry, _OF_ENTRY + _written(hit.place, db.secret))


def _tree(db: Database, identity: Identity, suffix: str) -> _Tree:
    device = identity.device
    with db.read() as session:
        readable = phone_books.readable(session, device) if device else access.all_readable(session, identity.slug)
        is_phone = device is not None and device.phones_only
        profile = phone_profiles.of_device(session, device) if device and is_phone else None
    if is_phone:
        readable = readable if profile is not None else []
    return _Tree(
        db,
        suffix,
        {one.book.id: one for one in readable},
        {one.book.id: Reader(db.secret, profile.region if profile else one.book.region, profile) for one in readable},
        is_phone,
    )


# -- the tree ----------------------------------------------------------------------------------------------------------


def _looked_at(tree: _Tree, search: Search) -> tuple[Sequence[_Unit], Mapping[int, Access], Entry | None]:
    """(the units, the books of which the entries) a search looks at; or the one entry that it is about.

    Raises ResultError where its base isn't there.
    """
    request = search.request
    try:
        rest = dn.below(dn.parsed(request.base), dn.parsed(search.suffix))
    except ValueError as error:
        raise ResultError(Code.INVALID_DN_SYNTAX, "The base is no DN.") from error
    if rest is None:
        raise ResultError(Code.NO_SUCH_OBJECT)
    is_whole, is_below = request.scope is Scope.SUB, request.scope is Scope.ONE
    nothing: Mapping[int, Access] = {}
    if not rest:
        units = [] if is_below else [_suffix(tree)]
        if is_whole or is_below:
            units += [_unit(tree, book_id) for book_id in sorted(tree.accesses)]
        return units, tree.accesses if is_whole else nothing, None
    book_id = _book_of(tree, rest[-1])
    if book_id is None:
        raise ResultError(Code.NO_SUCH_OBJECT, matched=tree.suffix)
    its = {book_id: tree.accesses[book_id]}
    if len(rest) == 1:
        units = [] if is_below else [_unit(tree, book_id)]
        return units, its if is_whole or is_below else nothing, None
    entry = _entry_of(tree, its, rest[0]) if len(rest) == 2 else None
    if entry is None:
        raise ResultError(Code.NO_SUCH_OBJECT, matched=tree.name_of_book(book_id))
    return [], nothing, None if is_below else entry


def _book_of(tree: _Tree, rdn: Rdn) -> int | None:
    names = {("ou", dn.folded(one.book.mount)): book_id for book_id, one in tree.accesses.items()}
    return names.get(rdn)


def _entry_of(tree: _Tree, of: Mapping[int, Access], rdn: Rdn) -> Entry | None:
    """The entry of a book that a name is of; None if its reader sees none."""
    name, value = rdn
    card_id = card_of(value, tree.db.secret) if name == "uid" else None
    if card_id is None:
        return None
    with tree.db.read() as session:
        found = entry_rows.seen(session, of, [card_id], on_phones=tree.is_phone)
    return tree.shown(found[0]) if found else None


def _suffix(tree: _Tree) -> _Unit:
    """The entry at the top. It is what its RDN says it is."""
    name, _, value = tree.suffix.partition(",")[0].partition("=")
    kind = {"dc": ("organization", "dcObject"), "ou": ("organizationalUnit",)}.get(
        name.strip().lower(), ("organization",)
    )
    told: dict[str, Sequence[str]] = {"objectClass": ("top", *kind)}
    if attribute := schema.attribute(name.strip()):
        told[attribute.name] = (value.strip(),)
    if "organization" in kind:
        told.setdefault("o", (value.strip(),))
    return _Unit(0, tree.suffix, {**told, **_operational(tree.suffix, kind[0])})


def _unit(tree: _Tree, book_id: int) -> _Unit:
    book, name = tree.accesses[book_id].book, tree.name_of_book(book_id)
    told = {"objectClass": ("top", "organizationalUnit"), "ou": (book.mount,), "description": (book.name,)}
    return _Unit(
        book_id,
        name,
        {**{key: value for key, value in told.items() if value[0]}, **_operational(name, "organizationalUnit")},
    )


def _operational(name: str, kind: str) -> dict[str, Sequence[str]]:
    return {
        "structuralObjectClass": (kind,),
        "subschemaSubentry": (schema.SUBSCHEMA,),
        "hasSubordinates": ("TRUE",),
        "entryDN": (name,),
    }


# -- entries -----------------------------------------------------------------------------------------------------------


def _hits(tree: _Tree, search: Search, books: Mapping[int, Access], after: Place | None) -> Iterator[Hit]:
    if not books:
        return iter(())
    return entry_search.find(
        tree.db.read,
        books,
        matching.narrowing_of(search.request.filter, [tree.readers[book_id] for book_id in books]),
        _matching(tree, search.request.filter),
        after=after,
        most=search.most,
        on_phones=tree.is_phone,
        shown=tree.shown if tree.is_phone else None,
        check=search.check,
    )


def _matching(tree: _Tree, wanted: Filter) -> Callable[[Entry], bool]:
    test = matching.test_of(wanted)

    def matches(entry: Entry) -> bool:
        def values(name: str) -> Sequence[str]:
            if name == attributes.ENTRY_DN:
                return [tree.name_of_entry(entry)]
            return attributes.values_of(entry, name, tree.readers[entry.book_id])

        return test(values) is True

    return matches


def _found(tree: _Tree, entry: Entry, position: bytes) -> Found:
    name = tree.name_of_entry(entry)
    return Found(name, attributes.Attributes(entry, name, tree.readers[entry.book_id]), position)


# -- sorting -----------------------------------------------------------------------------------------------------------


def _sorted(tree: _Tree, search: Search, units: Sequence[_Unit], books: Mapping[int, Access]) -> Iterator[Found]:
    """All that is found in the order of the sort keys (RFC 2891): without an attribute behind all that have it."""
    keys = [_SortKey.of(one) for one in search.sort]
    found: list[Found] = [Found(one.dn, one.attributes, b"") for one in units]
    for hit in _hits(tree, search, books, None):
        if len(found) >= MOST_SORTED:
            raise CannotSortError
        found.append(_found(tree, hit.entry, b""))
    for key in reversed(keys):
        key.sort(found, search.check)
    begin = 0
    if search.after.startswith(_OF_SORTED):
        number, _, last = search.after[1:].partition(b" ")
        # Behind the entry that was the last; where that is gone, behind as many as there were.
        places = (at for at, one in enumerate(found, 1) if one.dn.partition(",")[0].encode() == last)
        begin = next(places, int(number))
    for at, one in enumerate(found[begin:], begin + 1):
        rdn = one.dn.partition(",")[0].encode()[:_LONGEST_RDN]
        yield one._replace(position=_OF_SORTED + b"%d " % at + rdn)


@dataclass(frozen=True, slots=True)
class _SortKey:
    name: str
    rule: Rule
    reverse: bool

    @classmethod
    def of(cls, wanted: SortKey) -> _SortKey:
        attribute = schema.attribute(wanted.attribute)
        if attribute is None or (rule := attributes.rule_of(attribute)) in {Rule.CLASS, Rule.NAME}:
            raise CannotSortError
        return cls(attribute.name, rule, wanted.reverse)

    def sort(self, found: list[Found], check: Callable[[], None]) -> None:
        form = digits_of if self.rule is Rule.NUMBER else plain
        missing: list[Found] = []
        having: list[Found] = []
        for one in found:
            check()  # the forms of numbers are worked out here
            (having if one.attributes.get(self.name) else missing).append(one)
        having.sort(key=lambda one: min(map(form, one.attributes[self.name])), reverse=self.reverse)
        found[:] = [*missing, *having] if self.reverse else [*having, *missing]


# -- positions ---------------------------------------------------------------------------------------------------------


def _number_of(after: bytes, secret: bytes) -> int | None:
    """After which unit a page begins; None: before all of them."""
    if after.startswith(_OF_BOOK):
        return card_of(after[1:].decode(), secret)
    return _BEHIND_UNITS if after else None


def _place(after: bytes, secret: bytes) -> Place | None:
    if not after.startswith(_OF_ENTRY):
        return None
    source, key, book, card, searched = json.loads(after[1:])
    return Place(source, key, card_of(book, secret) or 0, card_of(card, secret) or 0, searched)


def _written(place: Place, secret: bytes) -> bytes:
    """A place in few bytes. Its key is whole: behind a part of it the same entries would come again for ever."""
    names = (key_of(place.book_id, secret), key_of(place.card_id, secret))
    told = [place.source, place.key, *names, place.searched]
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()

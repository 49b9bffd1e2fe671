"""Which cards can match a search at all: conditions on the searched fields, asked of the database in one statement.

The searched fields hold every value folded, up to a length (``vcard.search_fields``). They narrow a search and never
decide it: what is found is a superset, and the cards' bytes tell which of them match. ``search_index`` finds most texts
without a look at every card; it can't find those of less than three characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import NamedTuple

from sqlalchemy import bindparam, text
from sqlalchemy.orm import Session

from . import search_index, vcard
from .models import CardSearch, table
from .search_index import BOOK_SHIFT, CARD_MASK, CARD_SHIFT, EVERY_VERSION, PLACE_MASK, SHORTEST
from .statements import Statement


@dataclass(frozen=True, slots=True)
class Contains:
    """Some value of ``field`` (one of ``search_index.FIELDS``) contains ``text``, exactly or by any collation."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class AllOf:
    """All ``parts`` hold; without parts every card matches."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of ``parts`` holds; without parts no card matches."""

    parts: tuple[Condition, ...]


Condition = Contains | AllOf | AnyOf

EVERY = AllOf(())

# In one search; for more all cards are candidates. A statement with 100 takes some 100 kB for as long as it is kept.
_MOST_TEXTS = 100
_MOST_STATEMENTS = 64

# From fields of which many cards have the same, to those that tell cards from one another.
_TELLING = ("categories", "title", "org", "adr", "note", "nickname", "email", "n", "fn", "tel", "uid")


_columns = table(CardSearch).c


class Candidate(NamedTuple):
    """A card that may match; ``etag`` is the stored one."""

    book_id: int
    href: str
    etag: str


# The parts of a condition's shape, which its statement depends on: the name of a field; else all of, or any of others.
_Shape = str | tuple[bool, tuple["_Shape", ...]]
_EVERY: _Shape = (True, ())
_Needles = frozenset[tuple[str, str]]


def candidates(
    session: Session, book_ids: Sequence[int], condition: Condition, version: str = "", *, limit: int | None = None
) -> list[Candidate]:
    """The live cards in some books for which ``condition`` may hold, the oldest first.

    version: the vCard version in which the cards are going to be looked at; empty: in the one they are stored in
    limit: at most so many; None: all
    """
    if not book_ids:
        return []
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    sought: list[str] = []
    shape = _shape(condition, sought)
    values: dict[str, object] = {"books": book_ids}
    if limit is not None:
        values["limit"] = limit
    if shape == _EVERY or len(sought) > _MOST_TEXTS:
        return _read(_every(is_limited=limit is not None), session, values)
    values["version"] = version or EVERY_VERSION
    values.update((f"text{place}", one if is_sqlite else _pattern(one)) for place, one in enumerate(sought))
    needles = _narrowing(condition) if is_sqlite else None
    if needles:
        values["expression"] = search_index.expression(needles)
        values["lowest"], values["highest"] = search_index.keys_of(book_ids)
        values["places"] = search_index.places_of([field for field, _ in needles])
    statement = _matching(shape, is_sqlite=is_sqlite, is_narrowed=bool(needles), is_limited=limit is not None)
    return _read(statement, session, values)


def _read(statement: Statement, session: Session, values: dict[str, object]) -> list[Candidate]:
    return [Candidate(*row) for row in statement.rows(session, **values)]


def _shape(condition: Condition, sought: list[str]) -> _Shape:
    """The shape of a condition, whose needles are added to ``sought`` in its order."""
    match condition:
        case Contains(field, written):
            needle = vcard.needle(field, written)
            if not needle:
                return _EVERY
            sought.append(needle)
            return field
        case AllOf(parts):
            shapes = tuple(_shape(part, sought) for part in parts)
            return True, tuple(shape for shape in shapes if shape != _EVERY)
        case AnyOf(parts):
            return False, tuple(_shape(part, sought) for part in parts)


def _narrowing(condition: Condition) -> _Needles | None:
    """Needles of which a card that matches contains one, each long enough for the index; None: it may have none."""
    match condition:
        case Contains(field, written):
            needle = vcard.needle(field, written)
            return frozenset({(field, needle)}) if len(needle) >= SHORTEST else None
        case AllOf(parts):
            found = [needles for part in parts if (needles := _narrowing(part))]
            return max(found, key=_telling, default=None)
        case AnyOf(parts):
            each = [_narrowing(part) for part in parts]
            return frozenset().union(*(one for one in each if one)) if all(each) else None


def _telling(needles: _Needles) -> tuple[int, int]:
    """The more, the fewer cards are likely to have one of ``needles``: by their fields, then by their lengths."""
    return min((_TELLING.index(field), len(needle)) for field, needle in needles)


def _pattern(needle: str) -> str:
    for special in "\\%_":
        needle = needle.replace(special, f"\\{special}")
    return f"%{needle}%"


# A card has other texts in another version, or such as were cut: what is sought may be among them.
_UNTOLD = f"more_in <> '' AND more_in IN ('{EVERY_VERSION}', :version)"
_INDEXED = (
    f"SELECT (rowid >> {CARD_SHIFT}) & {CARD_MASK} AS card_id FROM card_texts"  # noqa: S608  # our own numbers
    " WHERE card_texts MATCH :expression AND rowid BETWEEN :lowest AND :highest"
    f" AND (rowid >> {BOOK_SHIFT}) IN :books AND (:places >> (rowid & {PLACE_MASK})) & 1"
    f" UNION SELECT card_id FROM card_search WHERE book_id IN :books AND {_UNTOLD}"
)


@lru_cache(maxsize=2)
def _every(*, is_limited: bool) -> Statement:
    query = "SELECT book_id, href, etag FROM cards WHERE book_id IN :books AND NOT deleted ORDER BY id"
    return _statement(query, is_limited=is_limited)


@lru_cache(maxsize=_MOST_STATEMENTS)
def _matching(shape: _Shape, *, is_sqlite: bool, is_narrowed: bool, is_limited: bool) -> Statement:
    """The statement for conditions of one shape: made once, as they come again with other texts.

    SQLite is told in which order to go, by CROSS JOIN: it can't know how few keys its index finds. PostgreSQL can.
    """
    test = "instr(search.{}, :text{}) > 0" if is_sqlite else "search.{} LIKE :text{}"
    places = count()

    def holds(part: _Shape) -> str:
        if isinstance(part, str):
            return test.format(_columns[part].name, next(places))  # no name but a column's gets into a statement
        every, parts = part
        return f"({(' AND ' if every else ' OR ').join(map(holds, parts))})" if parts else str(every).upper()

    search = f"({_INDEXED}) AS found CROSS JOIN card_search AS search ON search.card_id = found.card_id"
    query = (
        "SELECT cards.book_id, cards.href, cards.etag"  # noqa: S608  # our own names
        f" FROM {search if is_narrowed else 'card_search AS search'}"
        f" {'CROSS JOIN' if is_sqlite else 'JOIN'} cards ON cards.id = search.card_id"
        f" WHERE search.book_id IN :books AND NOT cards.deleted AND ({holds(shape)} OR {_UNTOLD}) ORDER BY cards.id"
    )
    return _statement(query, is_limited=is_limited)


def _statement(query: str, *, is_limited: bool) -> Statement:
    limited = f"{query} LIMIT :limit" if is_limited else query
    return Statement(text(limited).bindparams(bindparam("books", expanding=True)))

"""Which cards can match a search at all: conditions on the searched fields, asked of the database in one statement.

The index holds every value of a searched field folded, up to a length (``vcard.search_fields``). It narrows a search
and never decides it: what is found is a superset, and the cards' bytes tell which of them match.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, false, func, or_, select, true
from sqlalchemy.orm import Session

from . import vcard
from .models import AnyRow, CardSearch, table
from .models import Card as CardTable


@dataclass(frozen=True, slots=True)
class Contains:
    """Some value of ``field`` (one of ``cards.SEARCHED``) contains ``text``, exactly or by any collation."""

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

_cards = table(CardTable).c
_search = table(CardSearch).c


def candidates(
    session: Session, book_ids: Sequence[int], condition: Condition, version: str = "", *, limit: int | None = None
) -> Sequence[AnyRow]:
    """(book_id, href, etag) of the live cards in some books for which ``condition`` may hold, the oldest first.

    version: the vCard version in which the cards are going to be looked at; empty: in the one they are stored in
    limit: at most so many; None: all
    """
    query = (
        select(_cards.book_id, _cards.href, _cards.etag)
        .where(_cards.book_id.in_(book_ids), ~_cards.deleted)
        .order_by(_cards.id)
        .limit(limit)
    )
    if condition != EVERY:
        may_hold = _may_hold(condition)
        if version:
            may_hold = or_(may_hold, and_(_cards.version != version, ~_search.alike))
        query = query.join(table(CardSearch), _search.card_id == _cards.id).where(may_hold)
    return session.execute(query).all()


def _may_hold(condition: Condition) -> ColumnElement[bool]:
    match condition:
        case Contains(field, text):
            needle = vcard.needle(field, text)
            if not needle:
                return true()
            column: ColumnElement[str] = _search[field]
            # A field as long as the index keeps was cut: what is searched may stand behind.
            cut = func.length(column) >= vcard.MAX_FIELD_LENGTH
            return or_(column.contains(needle, autoescape=True), cut)
        case AllOf(parts):
            return and_(true(), *(_may_hold(part) for part in parts))
        case AnyOf(parts):
            return or_(false(), *(_may_hold(part) for part in parts))

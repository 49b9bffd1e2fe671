"""The rows of a card, as a writer finds them and leaves them. Whether it may write is for ``cards`` to say.

All of it is done under the book's lock: nobody is in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import LargeBinary, and_, bindparam, func, insert, or_, select, update
from sqlalchemy import delete as delete_from
from sqlalchemy.orm import Session

from . import bodies, search_index, vcard
from .models import Body, Card, CardSearch, DeadProperty, Entry, GivenUpUid, LargeValue, table
from .statements import Statement
from .vcard import Outline

_HEAD_OF_LARGE = 1000


class Before(NamedTuple):
    """A card's row as a writer finds it.

    entry: the text of its entry; None: it has none
    data, beside: for its outline, where that was asked for
    """

    id: int
    href: str
    uid: str
    deleted: bool
    revision: int
    etag: str
    size: int
    version: str
    body_id: int
    has_properties: bool
    entry: str | None
    data: bytes | None = None
    beside: bytes | None = None

    @property
    def outline(self) -> Outline:
        """Which properties it has."""
        return vcard.outline(self.data or b"", self.beside or b"")


class State(NamedTuple):
    """What a write makes of a card's row."""

    uid: str
    revision: int
    etag: str
    size: int
    version: str
    body_id: int
    modified_at: datetime


_columns = table(Card).c
_is_meant = and_(
    _columns.book_id == bindparam("book"),
    or_(
        _columns.href == bindparam("href"),
        and_(_columns.uid == bindparam("uid"), ~_columns.deleted),
    ),
)
_before_columns = (
    _columns.id,
    _columns.href,
    _columns.uid,
    _columns.deleted,
    _columns.revision,
    _columns.etag,
    _columns.size,
    _columns.version,
    _columns.body_id,
    select(DeadProperty.id).where(DeadProperty.card_id == _columns.id).exists().label("has_properties"),
    select(Entry.data).where(Entry.card_id == _columns.id).scalar_subquery().label("entry"),
)
_BEFORE = Statement(select(*_before_columns).where(_is_meant))
# With what an outline is made of: of a long line that stands elsewhere, its head.
_BEFORE_WITH_OUTLINE = Statement(
    select(
        *_before_columns,
        table(Body).c.data,
        func.substr(table(LargeValue).c.data, 1, _HEAD_OF_LARGE, type_=LargeBinary),
    )
    .select_from(bodies.beside(table(Card), _columns.body_id, isouter=True))
    .where(_is_meant)
)
_NEW_CARD = Statement(
    insert(table(Card)).returning(_columns.id),
    *("book_id", "href", "created_revision", "created_at", "deleted", *State._fields),
)
_NEW_STATE = Statement(update(table(Card)).where(_columns.id == bindparam("card")), "deleted", *State._fields)
_DELETED = Statement(
    update(table(Card)).where(_columns.id == bindparam("card")).values(deleted=True, body_id=None),
    *("revision", "modified_at"),
)
_search = table(CardSearch)
_NEW_SEARCH = Statement(insert(_search).inline(), "card_id", "book_id", "more_in", *search_index.FIELDS)
_SEARCH = Statement(update(_search).where(_search.c.card_id == bindparam("card")), "more_in", *search_index.FIELDS)
_NO_SEARCH = Statement(delete_from(_search).where(_search.c.card_id == bindparam("card")))
_GIVEN_UP = Statement(insert(table(GivenUpUid)).inline(), "book_id", "uid", "revision")


def find(
    session: Session, book_id: int, href: str, uid: str | None = None, *, with_outline: bool = False
) -> tuple[Before | None, str | None]:
    """(the row of ``href``, live or deleted; the href of another live card with this UID)."""
    before, in_the_way = None, None
    query = _BEFORE_WITH_OUTLINE if with_outline else _BEFORE
    for row in (Before(*one) for one in query.rows(session, book=book_id, href=href, uid=uid)):
        if row.href == href:
            before = row
        else:
            in_the_way = row.href
    return before, in_the_way


def store(
    session: Session,
    book_id: int,
    href: str,
    before: Before | None,
    state: State,
    *,
    more_in: str,
    search: Mapping[str, str],
) -> int:
    """Give a card a new state, a new one or one that was there or deleted, and return its id.

    more_in, search: as in ``entry_rows.Searched``
    """
    values = state._asdict()
    if before is None:
        card_id: int = _NEW_CARD.value(
            session,
            book_id=book_id,
            href=href,
            created_revision=state.revision,
            created_at=state.modified_at,
            deleted=False,
            **values,
        )
    else:
        card_id = before.id
        if before.uid != state.uid:
            # The row has told sync so far that the card with this UID is gone.
            _GIVEN_UP.run(session, book_id=book_id, uid=before.uid, revision=before.revision)
        _NEW_STATE.run(session, card=card_id, deleted=False, **values)
    if before is not None and not before.deleted:
        _SEARCH.run(session, card=card_id, more_in=more_in, **search)
    else:
        _NEW_SEARCH.run(session, card_id=card_id, book_id=book_id, more_in=more_in, **search)
    return card_id


def delete(session: Session, before: Before, revision: int, at: datetime) -> None:
    """Make a tombstone of a live card's row: its href and UID stay, for who syncs."""
    _DELETED.run(session, card=before.id, revision=revision, modified_at=at)
    _NO_SEARCH.run(session, card=before.id)

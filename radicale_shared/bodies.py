"""The exact bytes of a card's states: how they are kept, and the one place that puts them together again.

Most states of a card differ by a line of text from the one before, and most of a card's bytes are a photo. So a state's
longest line, if it is a long one, is kept once for all states in the book that have it (``LargeValue``), and ``bodies``
has the rest and where that line belongs. What is read is byte for byte what was stored.

Writers hold the book's lock, and so does who removes what nobody needs any more (``retention``): no long line is
removed while somebody is about to point at it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from sqlalchemy import FromClause, bindparam, delete, exists, func, insert, select
from sqlalchemy.orm import Session

from .models import Body, LargeValue, table
from .statements import Statement

# Shorter lines cost less in each state than a row of their own and its keys do.
LEAST_LARGE = 1024
_DIGEST_BYTES = 16
_AT_A_TIME = 200

# A logical line ends where the next one doesn't begin with a blank (RFC 6350, section 3.2).
_LINE_END = re.compile(rb"\n(?![ \t])")

_body, _large = table(Body), table(LargeValue)
# What ``whole`` puts together, of a row of ``beside``.
columns = (_body.c.data, _body.c.large_at, _large.c.data.label("large"))

_ONE = Statement(
    select(*columns)
    .select_from(_body.join(_large, _large.c.id == _body.c.large_id, isouter=True))
    .where(_body.c.id == bindparam("body"))
)
_NEW = Statement(insert(_body).returning(_body.c.id), "book_id", "data", "large_id", "large_at")
_SAME = Statement(
    select(_large.c.id, (_large.c.data == bindparam("data")).label("is_same")).where(
        _large.c.book_id == bindparam("book_id"), _large.c.digest == bindparam("digest")
    )
)
_NEW_LARGE = Statement(insert(_large).returning(_large.c.id), "book_id", "digest", "data")


class _Split(NamedTuple):
    """A state in two parts: ``large`` belongs into ``data`` at ``at``."""

    data: bytes
    at: int | None
    large: bytes


def store(session: Session, book_id: int, data: bytes) -> int:
    """Keep the bytes of a state, and return the id they have in ``bodies``. The book's lock must be held."""
    split = _split(data)
    large_id = None if split.at is None else _stored_large(session, book_id, split.large)
    if large_id is None:
        split = _Split(data, None, b"")
    body_id: int = _NEW.value(session, book_id=book_id, data=split.data, large_id=large_id, large_at=split.at)
    return body_id


def read(session: Session, body_id: int) -> bytes | None:
    """The bytes with this id; None if they aren't there any more."""
    row = _ONE.row(session, body=body_id)
    return whole(*row) if row else None


def beside(source: FromClause, body_id: Any, *, isouter: bool = False) -> FromClause:
    """``source`` with ``columns`` beside: what to select from.

    body_id: the column of ``source`` that points at bodies
    isouter: keep also the rows for which there are no bytes
    """
    joined = source.join(_body, _body.c.id == body_id, isouter=isouter)
    return joined.join(_large, _large.c.id == _body.c.large_id, isouter=True)


def whole(data: bytes | None, large_at: int | None, large: bytes | None) -> bytes | None:
    """The bytes of a state, from its ``columns``; None if they, or a part of them, are missing."""
    if data is None or large_at is None:
        return data
    return None if large is None else b"".join((data[:large_at], large, data[large_at:]))


class Forgotten(NamedTuple):
    """How much was removed, or would be: states, long lines that were theirs alone, bytes of both."""

    states: int
    large: int
    bytes: int


def forget(session: Session, body_ids: Collection[int]) -> Forgotten:
    """Remove states for good, with the long lines that no other state has. The book's lock must be held."""
    removed = delete(_body).where(_body.c.id.in_(sorted(body_ids)))
    states = session.execute(removed.returning(_body.c.large_id, func.length(_body.c.data))).all() if body_ids else ()
    large_ids = sorted({large_id for large_id, _ in states if large_id is not None})
    removed = delete(_large).where(_large.c.id.in_(large_ids), ~exists().where(_body.c.large_id == _large.c.id))
    large = session.scalars(removed.returning(func.length(_large.c.data))).all() if large_ids else ()
    return Forgotten(len(states), len(large), sum(size for _, size in states) + sum(large))


def sizes(session: Session, body_ids: Collection[int]) -> Sequence[tuple[int | None, int]]:
    """(id of its long line, bytes without it) of each of some states."""
    query = select(_body.c.large_id, func.length(_body.c.data)).where(_body.c.id.in_(sorted(body_ids)))
    return [(large_id, size) for large_id, size in session.execute(query)]


def large_of_these_alone(session: Session, states: Mapping[int, int]) -> Forgotten:
    """The long lines that would go with some states. states: {id of a long line: how many of these have it}"""
    number = size = 0
    ids = sorted(states)
    for start in range(0, len(ids), _AT_A_TIME):
        query = (
            select(_large.c.id, func.length(_large.c.data), func.count())
            .join_from(_large, _body, _body.c.large_id == _large.c.id)
            .where(_large.c.id.in_(ids[start : start + _AT_A_TIME]))
            .group_by(_large.c.id)
        )
        gone = [length for large_id, length, count in session.execute(query) if count == states[large_id]]
        number, size = number + len(gone), size + sum(gone)
    return Forgotten(0, number, size)


def of_book(session: Session, book_id: int) -> Forgotten:
    """All that is kept of a book's cards."""
    states, large = (
        session.execute(
            select(func.count(), func.coalesce(func.sum(func.length(one.c.data)), 0)).where(one.c.book_id == book_id)
        ).one()
        for one in (_body, _large)
    )
    return Forgotten(states[0], large[0], int(states[1]) + int(large[1]))


def _stored_large(session: Session, book_id: int, data: bytes) -> int | None:
    """The id of a long line; None if another line has its digest.

    The bytes decide whether it is there already, and not the digest alone: who could make two lines of one digest would
    put theirs into the cards of others.
    """
    values = {"book_id": book_id, "digest": blake2b(data, digest_size=_DIGEST_BYTES).digest(), "data": data}
    found = _SAME.row(session, **values)
    if found is None:
        new_id: int = _NEW_LARGE.value(session, **values)
        return new_id
    large_id, is_same = found
    return large_id if is_same else None


def _split(data: bytes) -> _Split:
    """``data`` without its longest line, with its folds and its line end, if that is a long one."""
    start = at = size = 0
    if len(data) >= LEAST_LARGE:
        for found in _LINE_END.finditer(data):
            end = found.end()
            if end - start > size:
                at, size = start, end - start
            start = end
        if len(data) - start > size:
            at, size = start, len(data) - start
    if size < LEAST_LARGE:
        return _Split(data, None, b"")
    return _Split(data[:at] + data[at + size :], at, data[at : at + size])

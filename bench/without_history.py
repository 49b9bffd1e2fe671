#!/usr/bin/env python3
"""radicale-shared as it would be without a history: a PUT replaces the card's bytes in place, and that is all.

    without_history.py [--config FILE] serve ...

What the history costs is the difference to ``radicale-shared`` itself: the servers ``ours-bare`` and ``ours-pg-bare``
of run.py. A switch of the benchmark: nothing of this is in the product, and what it writes isn't whole (``db check``).
"""

import threading
from typing import Any

from sqlalchemy import bindparam, insert, update
from sqlalchemy.orm import Session

from radicale_shared import bodies, card_rows, changes
from radicale_shared.cli import main
from radicale_shared.models import Body, table
from radicale_shared.statements import Statement

_BODY = table(Body)
_NEW = Statement(insert(_BODY).returning(_BODY.c.id), "book_id", "data")
_IN_PLACE = Statement(update(_BODY).where(_BODY.c.id == bindparam("body")), "data")


class _Replaced(threading.local):
    """The body of the card that this thread writes over; None for a new card."""

    body_id: int | None = None


_replaced = _Replaced()
_find = card_rows.find


def find(*args: Any, **more: Any) -> Any:
    """As ``card_rows.find``, and remember whose bytes are to be replaced."""
    found = _find(*args, **more)
    _replaced.body_id = found[0].body_id if found[0] else None
    return found


def store(session: Session, book_id: int, data: bytes) -> int:
    """As ``bodies.store``, but whole, and over the bytes that were there."""
    if _replaced.body_id is None:
        new_id: int = _NEW.value(session, book_id=book_id, data=data)
        return new_id
    _IN_PLACE.run(session, body=_replaced.body_id, data=data)
    return _replaced.body_id


def patch() -> None:
    """Take the history out of the product, in this process and those it forks."""
    card_rows.find = find
    bodies.store = store
    changes.begin = lambda *_args, **_more: 0
    changes.record = lambda *_args, **_more: None


if __name__ == "__main__":
    patch()
    main()

"""Sync tokens, and what changed in a book since one (RFC 6578). Reads cards, never the history.

A token names a book (uuid), its epoch, its revision, the reader's view and the serial of the client's refused writes.
It never expires. ``getctag`` is the same string. Tokens of several books at once are ``homes``'.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import NamedTuple

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from . import books, refusals
from .access import Access
from .errors import UnknownSyncTokenError
from .models import Book, Card, table
from .refusals import Refused
from .statements import Statement

# A URI with ':' and '/': Evolution takes a token without one for a ctag.
PREFIX = "radicale-shared:/sync/"

_log = logging.getLogger(__name__)

# On the table, not the mapped class: over thousands of rows the ORM would cost more than the query.
_columns = table(Card).c
_of_book = select(_columns.href, _columns.etag, _columns.deleted, _columns.revision, _columns.id).where(
    _columns.book_id == bindparam("book")
)
_since = _of_book.where(_columns.revision > bindparam("since")).order_by(_columns.revision)
_OF_BOOK = Statement(_of_book)
_LIVE = Statement(_of_book.where(~_columns.deleted))
_FIRST_LIVE = Statement(_of_book.where(~_columns.deleted).order_by(_columns.revision).limit(bindparam("most")))
_SINCE = Statement(_since)
_FIRST_SINCE = Statement(_since.limit(bindparam("most")))
_NAMED = Statement(_of_book.where(~_columns.deleted, _columns.href.in_(bindparam("hrefs", expanding=True))))


class Touched(NamedTuple):
    """A card as sync tells of it, with the stored ETag and the revision of its last change."""

    href: str
    etag: str
    deleted: bool
    revision: int
    id: int


@dataclass(frozen=True, slots=True)
class Token:
    """What a sync token says. It is signed: whoever could make one up could pretend that a book was rolled back."""

    book_uuid: str
    epoch: str
    revision: int
    view: str
    refused: int

    def text(self, secret: bytes) -> str:
        """The token as clients keep it; secret: the database's."""
        content = f"{self.book_uuid}/{self.epoch}/{self.revision}/{self.view}/{self.refused}"
        return f"{PREFIX}{content}/{signature(content, secret)}"


@dataclass(frozen=True, slots=True)
class Changes:
    """What a client has to be told since its token, and the token it has then.

    rows: each href once. Deleted cards are rows too: they are answered with 404, which is how
        RFC 6578, section 3.5.2 announces a removal
    missing: hrefs of refused new cards, which exist on the client only
    token: with it the client asks for what comes after
    complete: False where a limit cut the answer, so that the client has to ask again at once (section 3.6)
    """

    rows: Sequence[Touched]
    missing: Sequence[str]
    token: str
    complete: bool = True


def token(access: Access, secret: bytes) -> str:
    """The token of this moment: what was read with ``access`` is all in it, what comes later is not."""
    return _now(access).text(secret)


def _now(access: Access) -> Token:
    book = access.book
    return Token(book.uuid, book.epoch, book.revision, access.view.id, access.refused)


def parse(text: str, secret: bytes) -> Token:
    """Raises UnknownSyncTokenError if ``text`` isn't one of our tokens."""
    content, _, signed = text.removeprefix(PREFIX).rpartition("/")
    parts = content.split("/")
    if not text.startswith(PREFIX) or len(parts) != 5 or not is_signed(content, signed, secret):
        raise UnknownSyncTokenError(text, "it was not made here")
    uuid, epoch, revision, view, refused = parts
    return Token(uuid, epoch, int(revision), view, int(refused))


def is_signed(content: str, signed: str, secret: bytes) -> bool:
    """Whether ``signed`` is the signature of ``content``."""
    return hmac.compare_digest(signed.encode("utf-8", "surrogatepass"), signature(content, secret).encode())


def signature(content: str, secret: bytes) -> str:
    """What makes a token ours; secret: the database's."""
    return blake2b(
        content.encode("utf-8", "surrogatepass"), key=secret, digest_size=8, person=b"sync-token"
    ).hexdigest()


def changed_since(
    session: Session, access: Access, old: str, refused: Refused, *, secret: bytes, limit: int | None = None
) -> Changes:
    """What changed since the token ``old``; an empty one gets live members only (RFC 6578, section 3.4).

    The new token's revision was read before the rows, so nothing can fall between. With a limit, rows come in the order
    of their revisions, so that the token of a part names how far it goes.

    refused: the client's refusals in the book; ``refusals.NOTHING`` where ``access.refused`` is 0
    limit: how many hrefs to tell at most, 1 or more

    Raises UnknownSyncTokenError if the client must start over.
    """
    book = access.book
    present = _now(access)
    if not old:
        rows = _rows(session, _LIVE, _FIRST_LIVE, limit, book=book.id)
        return _cut(rows, limit, present, secret) or Changes(rows, (), present.text(secret))
    known = parse(old, secret)
    require_known(access, known, old)
    if known == present:
        return Changes((), (), old)
    # A serial above ours was counted for another program of this person: all of ours are new to this one.
    serial = known.refused if known.refused <= access.refused else 0
    if serial < refused.folded:
        # Refused new cards among them are on the client only, and nobody knows their names any more.
        raise UnknownSyncTokenError(old, "more of this client's writes were refused than are remembered one by one")
    if known.view == access.view.id:
        rows = _rows(session, _SINCE, _FIRST_SINCE, limit, book=book.id, since=known.revision)
    else:
        # Another view shows every card otherwise.
        touched = _rows(session, _SINCE, _FIRST_SINCE, None, book=book.id, since=known.revision)
        every = _rows(session, _LIVE, _FIRST_LIVE, None, book=book.id)
        rows = sorted([*every, *(row for row in touched if row.deleted)], key=lambda row: row.revision)
    if part := _cut(rows, limit, replace(present, refused=serial), secret):
        return part
    reported = {row.href for row in rows}
    again = [href for href in refused.since(serial) if href not in reported]
    new = present
    complete = True
    if limit is not None and len(rows) + len(again) > limit:
        again = again[: limit - len(rows)]
        new = replace(present, refused=refused.serials[again[-1]] if again else serial)
        complete = False
    missing: list[str] = []
    if again:
        live = [Touched._make(row) for row in _NAMED.rows(session, book=book.id, hrefs=again)]
        rows += live
        found = {row.href for row in live}
        missing = [href for href in again if href not in found]
    return Changes(rows, missing, new.text(secret), complete)


def touched(session: Session, access: Access, since: int, most: int) -> list[Touched]:
    """The first ``most`` cards that changed after the revision ``since``, in the order of their last changes."""
    rows = _FIRST_SINCE.rows(session, book=access.book.id, since=since, most=most)
    return [Touched._make(row) for row in rows]


def everything(session: Session, access: Access, secret: bytes) -> Changes:
    """All cards that are there and all that ever were: what makes a client equal that can't start over."""
    rows = [Touched._make(row) for row in _OF_BOOK.rows(session, book=access.book.id)]
    return Changes(rows, (), token(access, secret))


def require_known(access: Access, known: Token, old: str) -> None:
    """Raise UnknownSyncTokenError unless a token is of this book in its present epoch."""
    book = access.book
    if known.book_uuid != book.uuid or known.epoch != book.epoch:
        raise UnknownSyncTokenError(old, "it is another book's, or from before a restored backup")
    if known.revision < book.floor:
        raise UnknownSyncTokenError(old, "deleted cards of that time were blanked")
    if known.revision > book.revision:
        raise UnknownSyncTokenError(old, f"the book is at revision {book.revision}: it was rolled back")


def _rows(session: Session, every: Statement, first: Statement, limit: int | None, **values: int) -> list[Touched]:
    """The rows of a query; with a limit one more than it, by which ``_cut`` knows that there are more."""
    found = every.rows(session, **values) if limit is None else first.rows(session, most=limit + 1, **values)
    return [Touched._make(row) for row in found]


def _cut(rows: list[Touched], limit: int | None, present: Token, secret: bytes) -> Changes | None:
    """The first ``limit`` of more rows than that, with the token that goes on behind them; else None."""
    if limit is None or len(rows) <= limit:
        return None
    kept = rows[:limit]
    return Changes(kept, (), replace(present, revision=kept[-1].revision).text(secret), complete=False)


def is_rollback(access: Access, old: str, secret: bytes) -> bool:
    """Whether a token proves that the book's database was put back to an older state without a new epoch."""
    try:
        known = parse(old, secret)
    except UnknownSyncTokenError:
        return False
    book = access.book
    return known.book_uuid == book.uuid and known.epoch == book.epoch and known.revision > book.revision


def rotate(session: Session, access: Access) -> None:
    """Give the book a new epoch unless another process just did: its old tokens are of a history that is gone."""
    columns = table(Book).c
    session.execute(
        update(table(Book))
        .where(columns.id == access.book.id, columns.epoch == access.book.epoch)
        .values(epoch=books.new_epoch_value())
    )
    _log.warning(
        "Book %s was rolled back without a new epoch; its clients start over.",
        access.book.address,
    )


def refused_writes(session: Session, access: Access, client: str) -> Refused:
    """The client's refusals in the book; no query where it has none."""
    if not access.refused or access.principal_id is None:
        return refusals.NOTHING
    return refusals.of(session, access.principal_id, client, access.book.id)

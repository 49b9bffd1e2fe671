"""Sync tokens, and what changed in a book since one (RFC 6578). Reads cards, never the history.

A token names a book (uuid), its epoch, its revision, the reader's view and the serial of the client's refused writes.
It never expires. ``getctag`` is the same string.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from . import books, refusals
from .access import Access
from .errors import UnknownSyncTokenError
from .models import AnyRow, Book, Card, table
from .refusals import Refused

# A URI with ':' and '/': Evolution takes a token without one for a ctag.
PREFIX = "radicale-shared:/sync/"

_log = logging.getLogger(__name__)

# On the table, not the mapped class: over thousands of rows the ORM would cost more than the query.
_columns = table(Card).c
_OF_BOOK = select(_columns.href, _columns.etag, _columns.deleted).where(_columns.book_id == bindparam("book"))
_LIVE = _OF_BOOK.where(~_columns.deleted)
_SINCE = _OF_BOOK.where(_columns.revision > bindparam("since")).order_by(_columns.revision)
_NAMED = _LIVE.where(_columns.href.in_(bindparam("hrefs", expanding=True)))


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
        return f"{PREFIX}{content}/{_signature(content, secret)}"


def token(access: Access, secret: bytes) -> str:
    """The token of this moment: what was read with ``access`` is all in it, what comes later is not."""
    book = access.book
    return Token(book.uuid, book.epoch, book.revision, access.view.id, access.refused).text(secret)


def parse(text: str, secret: bytes) -> Token:
    """Raises UnknownSyncTokenError if ``text`` isn't one of our tokens."""
    content, _, signature = text.removeprefix(PREFIX).rpartition("/")
    parts = content.split("/")
    if (
        not text.startswith(PREFIX)
        or len(parts) != 5
        or not hmac.compare_digest(signature.encode(), _signature(content, secret).encode())
    ):
        raise UnknownSyncTokenError(text, "it was not made here")
    uuid, epoch, revision, view, refused = parts
    return Token(uuid, epoch, int(revision), view, int(refused))


def _signature(content: str, secret: bytes) -> str:
    return blake2b(
        content.encode("utf-8", "surrogatepass"), key=secret, digest_size=8, person=b"sync-token"
    ).hexdigest()


def changed_since(
    session: Session, access: Access, old: str, refused: Refused, *, secret: bytes
) -> tuple[Sequence[AnyRow], Sequence[str]]:
    """((href, etag, deleted) rows, hrefs of refused new cards) since the token ``old``, each href once.

    The new token is ``token(access, secret)``: its revision was read before the rows, so nothing can fall between.
    An empty token gets live members only (RFC 6578, section 3.4). Deleted cards are rows too: they are answered with
    404, which is how section 3.5.2 announces a removal; so are the refused new cards, which exist on the client only.

    refused: the client's refusals in the book; ``refusals.NOTHING`` where ``access.refused`` is 0

    Raises UnknownSyncTokenError if the client must start over.
    """
    book = access.book
    if not old:
        return session.execute(_LIVE, {"book": book.id}).all(), ()
    known = parse(old, secret)
    if known.book_uuid != book.uuid or known.epoch != book.epoch:
        raise UnknownSyncTokenError(old, "it is another book's, or from before a restored backup")
    if known.revision < book.floor:
        raise UnknownSyncTokenError(old, "deleted cards of that time were blanked")
    if known.revision > book.revision:
        raise UnknownSyncTokenError(old, f"the book is at revision {book.revision}: it was rolled back")
    if known.revision == book.revision and known.refused == access.refused and known.view == access.view.id:
        return (), ()
    # A serial above ours was counted for another program of this person: all of ours are new to this one.
    serial = known.refused if known.refused <= access.refused else 0
    if serial < refused.folded:
        # Refused new cards among them are on the client only, and nobody knows their names any more.
        raise UnknownSyncTokenError(old, "more of this client's writes were refused than are remembered one by one")
    rows = list(session.execute(_SINCE, {"book": book.id, "since": known.revision}))
    # Another view shows every card otherwise.
    if known.view != access.view.id:
        removed = [row for row in rows if row.deleted]
        rows = [*session.execute(_LIVE, {"book": book.id}), *removed]
    reported = {row.href for row in rows}
    again = [href for href in refused.since(serial) if href not in reported]
    missing: list[str] = []
    if again:
        live = list(session.execute(_NAMED, {"book": book.id, "hrefs": again}))
        rows += live
        found = {row.href for row in live}
        missing = [href for href in again if href not in found]
    return rows, missing


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

"""Writes that were refused, remembered for the client that tried, until its next sync has taken them back.

A client that was refused an edit or a deletion goes on showing it: DAVx5, Thunderbird and KDE fetch a card again only
if its ETag is new to them, and DAVx5 drops a card locally even when its DELETE fails. So each refusal raises a serial
that counts in this client's sync token and ctag, the next sync reports the href, and the ETag that this client sees for
the card has that serial in it.

A client is a principal and the kind of program it uses (``changes.client_of``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.orm import Session

from . import books
from .models import Refusal, now, table
from .statements import Statement

# Per client and book. What goes beyond is folded into one row that makes the client start over.
MOST_KEPT = 500
# Per person and book: whoever invents clients, which costs no more than a User-Agent, pushes out their own. What a
# client that is pushed out has not synced yet is not taken back on it.
MOST_CLIENTS = 60  # the 50 devices that one may have, and some programs beside them
_EVERYTHING = ""

_MINE = (
    Refusal.principal_id == bindparam("principal"),
    Refusal.client == bindparam("client"),
    Refusal.book_id == bindparam("book"),
)
_LIST = Statement(select(Refusal.href, Refusal.serial).where(*_MINE))


@dataclass(frozen=True, slots=True)
class Refused:
    """A client's refusals in one book.

    serials: {href: serial of the latest}; part of the ETags this client sees
    folded: the serial up to which older refusals were dropped; a token below it starts over
    """

    serials: Mapping[str, int]
    folded: int

    def mark(self, href: str) -> int:
        """What the ETag of a card counts for this client: the serial of its latest refusal, a number it never had yet.

        After a fold every card counts as refused, as the one that was is no longer known by its name.
        """
        return max(self.folded, self.serials.get(href, 0))

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return bool(self.serials or self.folded)

    def since(self, serial: int) -> list[str]:
        """The hrefs that were refused after ``serial``, in that order."""
        return sorted((href for href, one in self.serials.items() if one > serial), key=self.serials.__getitem__)


NOTHING = Refused({}, 0)


def of(session: Session, principal_id: int, client: str, book_id: int) -> Refused:
    """What was refused to a client in a book."""
    rows = _LIST.rows(session, principal=principal_id, client=client, book=book_id)
    serials: dict[str, int] = {str(href): int(serial) for href, serial in rows}
    folded = serials.pop(_EVERYTHING, 0)
    return Refused(serials, folded)


def remember(session: Session, principal_id: int, client: str, book_id: int, href: str) -> None:
    """Add one refused write; the list stays short by folding its oldest entries into one."""
    books.lock(session, book_id)  # the serials of two refusals at once must differ
    columns = table(Refusal).c
    mine = (columns.principal_id == principal_id, columns.client == client, columns.book_id == book_id)
    # Counted over all clients of the person: the list of one that is dropped whole never begins at 1 again.
    anybodys = (columns.principal_id == principal_id, columns.book_id == book_id)
    serial = (session.scalar(select(func.max(columns.serial)).where(*anybodys)) or 0) + 1
    done = session.execute(update(table(Refusal)).where(*mine, columns.href == href).values(serial=serial, at=now()))
    if not done.rowcount:  # type: ignore[attr-defined]  # an UPDATE's result is a CursorResult
        session.execute(
            insert(table(Refusal)).values(
                principal_id=principal_id, client=client, book_id=book_id, href=href, serial=serial, at=now()
            )
        )
    _drop_oldest_clients(session, principal_id, book_id)
    kept = sorted(of(session, principal_id, client, book_id).serials.values())
    if len(kept) <= MOST_KEPT:
        return
    dropped = kept[MOST_KEPT // 10 - 1]
    session.execute(delete(table(Refusal)).where(*mine, columns.serial <= dropped))
    session.execute(
        insert(table(Refusal)).values(
            principal_id=principal_id,
            client=client,
            book_id=book_id,
            href=_EVERYTHING,
            serial=dropped,
            at=now(),
        )
    )


def _drop_oldest_clients(session: Session, principal_id: int, book_id: int) -> None:
    columns = table(Refusal).c
    mine = (columns.principal_id == principal_id, columns.book_id == book_id)
    clients = session.scalars(
        select(columns.client).where(*mine).group_by(columns.client).order_by(func.max(columns.serial).desc())
    ).all()
    for client in clients[MOST_CLIENTS:]:
        session.execute(delete(table(Refusal)).where(*mine, columns.client == client))

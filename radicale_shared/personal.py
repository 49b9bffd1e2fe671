"""Personal books: those of one user that no grant shares. Nobody but their owner reads them, administrators neither.

Administrators import, delete, hand over and purge them, see how many cards they have and when they were changed; what
the cards say they see only where the configuration lets them, and then each look is a deed in the book's history. Who
gives themselves a grant instead has left that deed there.
"""

from __future__ import annotations

from sqlalchemy import bindparam, exists, select
from sqlalchemy.orm import Session

from . import changes
from .access import LASTS
from .books import Book
from .changes import Actor
from .errors import NotAllowedHereError
from .models import Book as BookTable
from .models import Grant, Principal, now

_PERSONAL = (
    select(BookTable.id)
    .join(Principal, Principal.id == BookTable.owner_id)
    .where(
        Principal.kind == "user",
        BookTable.mirrored_from == "",
        ~exists().where(Grant.book_id == BookTable.id, LASTS),
    )
)
_LOGIN = select(Principal.login).where(Principal.id == bindparam("owner"))
_ONE = _PERSONAL.where(BookTable.id == bindparam("book"))


def is_personal(session: Session, book: Book) -> bool:
    """Whether a user owns the book, and no grant that has not ended lets others in."""
    return session.execute(_ONE, {"book": book.id, "now": now()}).first() is not None


def all_ids(session: Session) -> frozenset[int]:
    """The ids of all personal books, those in the trash too."""
    return frozenset(session.scalars(_PERSONAL, {"now": now()}))


def read_by_administrator(session: Session, book: Book, what: str, *, allowed: bool, by: Actor) -> None:
    """Write down that an administrator reads the cards of a personal book; nothing for any other book.

    To be committed before the first card is given.

    what: what is done to read, e.g. ``"export"``
    allowed: what the configuration says

    Raises NotAllowedHereError where administrators may not.
    """
    if not is_personal(session, book):
        return
    if not allowed:
        raise NotAllowedHereError(
            f"{book.address!r} is a personal book: only {session.scalar(_LOGIN, {'owner': book.owner_id})} reads it. "
            "See administrators_read_personal_books in the configuration."
        )
    changes.begin(session, "administrator-read", by, book_id=book.id, reason=what)

"""What of the books desk phones get: books and cards that are hidden from them, and where numbers are at home.

What is hidden from phones is hidden from devices that are for phones, whatever they ask by; people see it, on all of
their other devices. It is told by rows here and by nothing in the vCard, which other people keep copies of.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select, true, update
from sqlalchemy.orm import Session

from . import access, books, changes
from .access import Access
from .books import Book
from .changes import Actor
from .devices import Device
from .errors import NotFoundError
from .models import Book as BookTable
from .models import Card as CardTable
from .models import DatabaseState, table
from .phone_profiles import checked_region
from .statements import Statement

_books = table(BookTable)
_cards = table(CardTable)
_state = table(DatabaseState)

_of_source = select(CardTable.hidden_from_phones).where(CardTable.id == bindparam("source")).scalar_subquery()
_CARRY = Statement(
    update(_cards)
    .where(_cards.c.id == bindparam("target"), _cards.c.hidden_from_phones.is_distinct_from(_of_source))
    .values(hidden_from_phones=_of_source)
)
_RESTORE = Statement(
    update(_cards)
    .where(_cards.c.book_id == bindparam("book"), _cards.c.href == bindparam("href"))
    .values(hidden_from_phones=true())
)
_REGION = Statement(select(DatabaseState.region))


def readable(session: Session, device: Device) -> list[Access]:
    """What a device may show at this moment: what its owner may read, within its scope; a phone no hidden books.

    One SELECT. Books that are only searched are among them.
    """
    found = access.all_readable(session, device.slug, scope=device.scope)
    return [one for one in found if not (device.phones_only and one.book.hidden_from_phones)]


def kept_back(session: Session, device: Device) -> list[tuple[Book, int | None]]:
    """What is hidden from a phone of the books that it may show: the number of cards, or None for all of a book."""
    found = []
    for one in access.all_readable(session, device.slug, scope=device.scope):
        cards = None if one.book.hidden_from_phones else len(hidden_cards(session, one.book.id))
        if cards != 0:
            found.append((one.book, cards))
    return found


def hide(session: Session, book: Book, *, hidden: bool, by: Actor) -> bool:
    """Hide a book from phones, or show it on them again; False where it is so already.

    The session must be one of ``Database.write`` with the book's id. Raises NotFoundError if the book is gone.
    """
    return _marked(session, book, None, hidden=hidden, by=by)


def hide_card(session: Session, book: Book, href: str, *, hidden: bool, by: Actor) -> bool:
    """Hide a live card from phones, or show it on them again; False where it is so already.

    The session must be one of ``Database.write`` with the book's id. Raises NotFoundError.
    """
    return _marked(session, book, href, hidden=hidden, by=by)


def _marked(session: Session, book: Book, href: str | None, *, hidden: bool, by: Actor) -> bool:
    # The revision names the state of a book to all that keep answers of it.
    if not books.next_revision(session, book.id):
        raise NotFoundError("book", book.address)
    if href is None:
        which = update(_books).where(_books.c.id == book.id, _books.c.hidden_from_phones.is_not(hidden))
    else:
        of = (_cards.c.book_id == book.id, _cards.c.href == href, ~_cards.c.deleted)
        if session.scalar(select(_cards.c.id).where(*of)) is None:
            raise NotFoundError("card", href, f"See: radicale-shared export {book.address}")
        which = update(_cards).where(*of, _cards.c.hidden_from_phones.is_not(hidden))
    marked = session.execute(which.values(hidden_from_phones=hidden))
    if not marked.rowcount:  # type: ignore[attr-defined]  # an UPDATE's result is a CursorResult
        books.next_revision(session, book.id, by=-1)
        return False
    kind = "hide-from-phones" if hidden else "show-on-phones"
    changes.begin(session, kind, by, book_id=book.id, reason=href or "")
    return True


def hidden_cards(session: Session, book_id: int) -> list[str]:
    """The hrefs of the live cards of a book that are hidden from phones."""
    query = select(CardTable.href).where(CardTable.book_id == book_id, ~CardTable.deleted, CardTable.hidden_from_phones)
    return list(session.scalars(query.order_by(CardTable.href)))


def carry(session: Session, source_id: int, target_id: int) -> None:
    """Hide a card from phones, or show it on them, as another one of which it is the copy."""
    _CARRY.run(session, source=source_id, target=target_id)


def restore(session: Session, book_id: int, href: str) -> None:
    """Hide a card that is written anew, as it was hidden when it was saved."""
    _RESTORE.run(session, book=book_id, href=href)


def restore_book(session: Session, saved: Session, old: Book, new: Book, *, by: Actor) -> None:
    """Hide a book that is made anew, and give it a region, as it had them when it was saved.

    saved: a session of what was saved
    """
    if old.hidden_from_phones:
        hide(session, new, hidden=True, by=by)
    if told := regions(saved).get(old.id):
        set_region(session, told, by=by, book=new)


# -- regions -----------------------------------------------------------------------------------------------------------


def region(session: Session) -> str:
    """Where numbers without a country code are at home, if nothing nearer says so; empty: nowhere."""
    found: str = _REGION.value(session)
    return found


def regions(session: Session) -> dict[int, str]:
    """{book id: its own region} of the books that have one."""
    query = select(BookTable.id, BookTable.region).where(BookTable.region != "")
    return {row.id: row.region for row in session.execute(query)}


def set_region(session: Session, written: str, *, by: Actor, book: Book | None = None) -> Sequence[int]:
    """Say where the numbers of one book, or of all that say nothing themselves, are at home; empty: as the server.

    Returns the ids of the books whose numbers mean something else now: their entries have to be made anew
    (``entry_refresh.refresh``). Raises WrongValueError for what is no country.
    """
    told = checked_region(written)
    if book is not None:
        which = update(_books).where(_books.c.id == book.id, _books.c.region != told).values(region=told)
        changed = list(session.scalars(which.returning(_books.c.id)))
    else:
        which = update(_state).where(_state.c.region != told).values(region=told)
        is_new = session.scalar(which.returning(_state.c.id)) is not None
        changed = sorted(session.scalars(select(BookTable.id).where(BookTable.region == ""))) if is_new else []
        if is_new:
            changes.begin(session, "set-region", by, book_id=None, reason=told or "none")
    for book_id in changed:
        # Also where the region of before comes back: who wrote meanwhile wrote by the other one.
        books.outdate_entries(session, book_id)
    if book is not None and changed:
        changes.begin(session, "set-region", by, book_id=book.id, reason=told or "as the server")
    return changed

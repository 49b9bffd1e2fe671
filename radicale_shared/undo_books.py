"""What an undo has to do with books: on which ones it works, and taking back that one was made or deleted."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from . import books, history, undo_plan
from .books import Book
from .changes import Actor
from .database import Database
from .errors import NotAllowedHereError, NotFoundError
from .models import Act, Change
from .selections import Selection, described
from .undo_plan import Step, What

# What takes a deed back that changed no card.
_COMMANDS = {
    "change-book": "book rename",
    "set-properties": "book rename",
    "give-book": "book give",
    "undelete-book": "book delete",
    "grant": "grant remove",
    "change-grant": "grant change",
    "remove-grant": "grant add",
    "guard-rule": "guard set",
    "retention": "book retention",
    "restore-book": "restore",
}


class Deed(NamedTuple):
    """An act that made or deleted a book."""

    act_id: int
    kind: str
    book: Book


def present(session: Session, book_id: int | None) -> Book | None:
    """The book with this id; None for one that was erased, of which something may still be there."""
    try:
        return None if book_id is None else books.by_id(session, book_id)
    except NotFoundError:
        return None


def chosen(
    session: Session, selection: Selection, upto: int, skipped: list[tuple[str, str]], *, required: bool
) -> list[Book]:
    """The books to work on; the others go to ``skipped``. Raises as ``undo.run``."""
    found = [
        book for one in undo_plan.book_ids(session, selection, upto) if (book := present(session, one)) is not None
    ]
    named = present(session, selection.book_id)
    for book in found or ([named] if named else []):
        begins = history.kept_from(session, book.id) if selection.as_of is not None else None
        if selection.as_of is not None and begins is not None and selection.as_of < begins:
            hint = f"The history of {book.address} is kept since {begins:%Y-%m-%d %H:%M} UTC only."
            raise NotFoundError("state", f"as of {selection.as_of:%Y-%m-%d %H:%M} UTC", hint)
    if not found and required:
        raise NotFoundError("change", described(selection), "See: radicale-shared history show")
    left_out = [(book, why) for book in found if (why := refused(book))]
    if len(left_out) == len(found) and found and required:
        raise NotAllowedHereError(f"{left_out[0][0].address!r} {left_out[0][1]}")
    skipped += [(book.address, why) for book, why in left_out]
    return [book for book in found if not refused(book)]


def refused(book: Book) -> str:
    """Why nothing can be taken back in a book, as the end of a sentence; empty where it can."""
    if book.deleted_at is not None:
        return "is in the trash; bring it back first: radicale-shared book undelete"
    if book.mirrored_from:
        return f"shows the people of the directory {book.mirrored_from!r}, which alone writes it."
    return ""


def deeds(session: Session, selection: Selection) -> list[Deed]:
    """The selected deeds that made or deleted a book; where acts are named, and in no one book.

    Raises NotFoundError for an act that isn't there, NotAllowedHereError for one that changed no card, and is neither.
    """
    if not selection.acts or selection.book_id is not None:
        return []
    has_changes = select(Change.id).where(Change.act_id == Act.id).exists().label("has_changes")
    query = select(Act.id, Act.kind, Act.book_id, has_changes).where(Act.id.in_(sorted(selection.acts)))
    rows = {row.id: row for row in session.execute(query)}
    if missing := sorted(selection.acts - rows.keys()):
        raise NotFoundError("act", str(missing[0]), "See: radicale-shared history show")
    found = []
    for act_id, row in sorted(rows.items(), reverse=True):
        book = present(session, row.book_id)
        if row.kind in {"create-book", "delete-book"} and book is not None:
            found.append(Deed(act_id, row.kind, book))
        elif not row.has_changes:
            command = _COMMANDS.get(row.kind)
            how = f"Take it back with: radicale-shared {command}" if command else "It can't be taken back."
            raise NotAllowedHereError(f"The act {act_id} ({row.kind}) changed no card. {how}")
    return found


def step(session: Session, deed: Deed) -> Step:
    """What becomes of the book of a deed."""
    act_id, kind, book = deed
    what, why = What.NOTHING, ""
    deleted = book.deleted_at is not None
    if kind == "delete-book" and deleted:
        later = select(Act.id).where(Act.book_id == book.id, Act.kind == kind, Act.id > act_id)
        what = What.RESTORED
        if session.scalar(later.limit(1)) is not None:
            what, why = What.CONFLICT, "it was deleted once more since"
    elif kind == "create-book" and not deleted:
        what = What.DELETED
        if book.card_count:
            what, why = What.CONFLICT, f"it has {book.card_count} cards by now"
    return Step(book.id, book.address, "", book.name, what, why)


def take_back(db: Database, deed: Deed, *, by: Actor) -> Step:
    """Take a deed back, and return what came of it. Raises as ``undo.run``."""
    with db.write(deed.book.id) as session:
        book = books.by_id(session, deed.book.id)
        done = step(session, deed._replace(book=book))
        if done.what is What.RESTORED:
            books.undelete(session, book, by=by)
        elif done.what is What.DELETED:
            books.trash(session, book, by=by)
    return done

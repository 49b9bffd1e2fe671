"""Books that show the people of a directory: which card shows which entry, and writing what has changed there.

Such a book has one writer, the mirror of its directory (``ldap.mirror``); ``access`` gives nobody else a right to add,
edit or delete there. A card is written where the digest of what it is made of has changed, so that entries that stay as
they are cost nothing, and no device is told of anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from . import books, cards, changes, grants, people, slices
from .access import VERBS, Access, Role
from .books import Book
from .cards import Checked
from .changes import Actor
from .database import Database
from .errors import NotAllowedHereError, NotFoundError
from .models import Act, MirroredEntry, table
from .models import Book as BookTable

_entries = table(MirroredEntry).c
_DIGESTS = select(_entries.directory_key, _entries.digest).where(_entries.book_id == bindparam("book"))
_SOME = _DIGESTS.where(_entries.directory_key.in_(bindparam("keys", expanding=True)))
_FORGET = delete(table(MirroredEntry)).where(
    _entries.book_id == bindparam("book"), _entries.directory_key.in_(bindparam("keys", expanding=True))
)
_NOTE = insert(table(MirroredEntry))
_NO_ACT = delete(table(Act)).where(table(Act).c.id == bindparam("act"))


@dataclass(frozen=True, slots=True)
class Shown:
    """What the book shall show of an entry.

    key: what stays of the entry whatever it is called
    digest: of what the card is made of; empty for an entry that is gone
    card: None: there shall be none
    """

    key: str
    href: str
    digest: str
    card: Checked | None


@dataclass(slots=True)
class Written:
    """How many cards were written, in what is committed."""

    new: int = 0
    changed: int = 0
    removed: int = 0

    @property
    def any(self) -> bool:
        """Whether there was a change."""
        return bool(self.new or self.changed or self.removed)


def by(directory: str) -> Actor:
    """Who writes a mirrored book, as the history tells it."""
    return Actor(None, f"directory {directory}", device="directory")


def find(session: Session, address: str, directory: str) -> Book | None:
    """The mirrored book of a directory; None if it is still to be made.

    Raises NotAllowedHereError for another book at this address.
    """
    try:
        book = books.find(session, address)
    except NotFoundError:
        return None
    if book.mirrored_from != directory:
        raise NotAllowedHereError(
            f"{address!r} is no book of the directory {directory!r}. Name another one in [directory.mirror] book."
        )
    return book


def make(
    session: Session, address: str, directory: str, *, name: str, readers: Sequence[str], search_only: bool
) -> Book:
    """Make the mirrored book of a directory, with its owner, a group, if that is missing.

    readers: principals that get to see it, as ``grants.give`` takes them

    Raises NotFoundError for a reader that isn't there, NotAllowedHereError, AlreadyExistsError.
    """
    owner_slug, slug = books.split_address(address)
    try:
        owner = people.group(session, owner_slug)
    except NotFoundError:
        owner = people.add_group(session, owner_slug)
    if owner.slug != owner_slug:
        raise NotAllowedHereError(f"{owner_slug!r} in {address!r} can't be the slug of a group that owns the book.")
    book = books.add(session, owner, slug, by=by(directory), name=name)
    values = {"mirrored_from": directory, "search_only": search_only}
    session.execute(update(table(BookTable)).where(table(BookTable).c.id == book.id).values(**values))
    for reader in readers:
        grants.give(session, book, reader, Role.VIEWER, by=by(directory))
    return books.find(session, address)


def set_search_only(session: Session, book: Book, *, search_only: bool) -> None:
    """Let a book be searched and never listed, or listed again."""
    people.rights_changed(session)
    columns = table(BookTable).c
    session.execute(update(table(BookTable)).where(columns.id == book.id).values(search_only=search_only))
    reason = "searched only" if search_only else "listed"
    changes.begin(session, "change-book", by(book.mirrored_from), book_id=book.id, reason=reason)


def digests(session: Session, book_id: int) -> dict[str, str]:
    """{key of an entry: digest of what its card was made of}, of all that the book shows."""
    return {row.directory_key: row.digest for row in session.execute(_DIGESTS, {"book": book_id})}


def write(db: Database, book: Book, wanted: Iterable[Shown], *, written: Written) -> None:
    """Bring the cards of some entries up, as one act, slice by slice.

    Two that write at once do no harm: each looks under the book's lock at what is there.

    written: is told what is committed, so it is right after an interruption too

    Raises NotFoundError if the book is gone; else what the database raises.
    """
    access = Access(None, book, VERBS[Role.OWNER], name=book.mount)
    act_id: int | None = None
    for ahead in slices.read_ahead(wanted, lambda one: len(one.card.data) if one.card else 0):
        while ahead:
            with db.write(book.id) as session:
                if not books.lock(session, book.id):
                    raise NotFoundError("book", book.address)
                there = {"book": book.id, "keys": [one.key for one in ahead]}
                known = {row.directory_key: row.digest for row in session.execute(_SOME, there)}
                slice_act = act_id or changes.begin(session, "mirror", by(book.mirrored_from), book_id=book.id)
                done, noted = Written(), []
                for one in slices.taken(ahead):
                    if known.get(one.key, "") != one.digest:
                        _show(session, db, access, one, slice_act, done)
                        noted.append(one)
                _note(session, book.id, noted)
                if not done.any and act_id is None:
                    session.execute(_NO_ACT, {"act": slice_act})  # an act that did nothing leaves no trace
                    slice_act = 0
            act_id = slice_act or None
            written.new += done.new
            written.changed += done.changed
            written.removed += done.removed
            slices.pause()


def _show(session: Session, db: Database, access: Access, one: Shown, act_id: int, done: Written) -> None:
    actor = by(access.book.mirrored_from)
    if one.card is None:
        try:
            cards.remove(session, access, one.href, by=actor, act_id=act_id, policy=None)
        except NotFoundError:
            return
        done.removed += 1
        return
    found = cards.put(session, access, one.href, one.card, secret=db.secret, by=actor, act_id=act_id, policy=None)
    if found.revision:
        done.new += found.created
        done.changed += not found.created


def _note(session: Session, book_id: int, noted: Sequence[Shown]) -> None:
    if noted:
        session.execute(_FORGET, {"book": book_id, "keys": [one.key for one in noted]})
    rows = [
        {"book_id": book_id, "directory_key": one.key, "href": one.href, "digest": one.digest}
        for one in noted
        if one.digest
    ]
    if rows:
        session.execute(_NOTE, rows)

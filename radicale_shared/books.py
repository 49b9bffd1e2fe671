"""Address books: their addresses, owners, names, the trash, and the revision that every write takes.

A book's address is the slug of its *home* (the principal that owned it at creation) and its own slug; both never
change, whoever owns the book later. On the command line that is ``home/slug``; in URLs ``/home/slug/`` for the home's
user, and ``/someone/home~slug/`` for everybody else who may read it.
"""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, case, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from . import changes, entry_keys, people, texts
from .changes import Actor
from .errors import AlreadyExistsError, NotAllowedHereError, NotFoundError, WrongValueError
from .models import Book as BookTable
from .models import DatabaseState, DefaultBook, Principal, now, table
from .statements import Statement

PERSONAL_SLUG = "contacts"
PERSONAL_NAME = "Contacts"

_Home = aliased(Principal)
_Owner = aliased(Principal)
_SLUG = re.compile(r"[a-z0-9._@-]{1,200}")


@dataclass(frozen=True, slots=True)
class Book:
    """A book as it was when it was read.

    mount: ``home~slug``; see the module
    epoch: hexadecimal; part of sync tokens, new after every restore
    floor: tokens of lower revisions start over
    card_count, card_bytes: of its live cards
    mirrored_from: name of the directory whose people it shows, and which alone writes it; empty for others
    search_only: whether it is searched and never listed
    region: where numbers without a country code are from, its own or the server's: ISO 3166; empty: nobody said it
    entries_of: by which rules its entries were made (``entry_keys.rules``); anything else: not all are
    hidden_from_phones: whether desk phones don't show it
    """

    id: int
    uuid: str
    home_id: int
    home: str
    owner_id: int
    owner: str
    slug: str
    mount: str
    name: str
    description: str
    color: str
    epoch: str
    revision: int
    floor: int
    created_at: datetime
    deleted_at: datetime | None
    card_count: int
    card_bytes: int
    mirrored_from: str
    search_only: bool
    region: str
    entries_of: str
    hidden_from_phones: bool

    @property
    def address(self) -> str:
        """Its name on the command line, ``home/slug``."""
        return f"{self.home}/{self.slug}"


def columns() -> tuple[Any, ...]:
    """What a query selects to make a Book of a row; ``joined`` adds the tables it needs."""
    return (
        BookTable.id,
        BookTable.uuid,
        BookTable.home_id,
        _Home.slug.label("home"),
        BookTable.owner_id,
        _Owner.slug.label("owner"),
        BookTable.slug,
        BookTable.mount,
        BookTable.name,
        BookTable.description,
        BookTable.color,
        BookTable.epoch,
        BookTable.revision,
        BookTable.floor,
        BookTable.created_at,
        BookTable.deleted_at,
        BookTable.card_count,
        BookTable.card_bytes,
        BookTable.mirrored_from,
        BookTable.search_only,
        region_column(),
        BookTable.entries_of,
        BookTable.hidden_from_phones,
    )


def region_column() -> Any:
    """The region of a book in a query: its own, else the server's."""
    of_server = select(DatabaseState.region).where(DatabaseState.id == 1).scalar_subquery()
    return case((BookTable.region != "", BookTable.region), else_=of_server).label("region")


def joined(query: Select[Any]) -> Select[Any]:
    """``query`` with the home and the owner of each book joined."""
    return query.join(_Home, _Home.id == BookTable.home_id).join(_Owner, _Owner.id == BookTable.owner_id)


_BOOKS = joined(select(*columns()).select_from(BookTable).where(BookTable.purged_at.is_(None)))
_LIVE = _BOOKS.where(
    _Home.slug == bindparam("home"), BookTable.slug == bindparam("slug"), BookTable.deleted_at.is_(None)
)
_TRASHED = _BOOKS.where(
    _Home.slug == bindparam("home"), BookTable.slug == bindparam("slug"), BookTable.deleted_at.is_not(None)
).order_by(BookTable.deleted_at.desc(), BookTable.id.desc())

_NEXT = Statement(
    update(table(BookTable))
    .where(table(BookTable).c.id == bindparam("book"), table(BookTable).c.deleted_at.is_(None))
    .values(revision=table(BookTable).c.revision + bindparam("by"))
    .returning(table(BookTable).c.revision)
)
_TAKEN = Statement(
    update(table(BookTable))
    .where(table(BookTable).c.id == bindparam("book"), table(BookTable).c.deleted_at.is_(None))
    .values(revision=table(BookTable).c.revision + 1)
    .returning(table(BookTable).c.revision, region_column(), table(BookTable).c.entries_of)
)
_ENTRIES_BY = Statement(
    select(region_column(), BookTable.entries_of).where(
        BookTable.id == bindparam("book"), BookTable.deleted_at.is_(None)
    )
)
_GROWN = Statement(
    update(table(BookTable))
    .where(table(BookTable).c.id == bindparam("book"))
    .values(
        card_count=table(BookTable).c.card_count + bindparam("cards"),
        card_bytes=table(BookTable).c.card_bytes + bindparam("bytes"),
    )
    .returning(table(BookTable).c.card_bytes)
)


def is_slug(text: str) -> bool:
    """Whether ``text`` can be a book's own part of its address."""
    return bool(_SLUG.fullmatch(text)) and not text.startswith(".") and text not in people.RESERVED_SLUGS


def split_address(address: str) -> tuple[str, str]:
    """(home, slug) of ``home/slug``. Raises NotFoundError if it hasn't this form."""
    home, slash, slug = address.strip().strip("/").partition("/")
    if not slash or not home or not slug or "/" in slug:
        raise NotFoundError("book", address, "Books are named OWNER/SLUG; see: radicale-shared book list")
    return home, slug


def address_of(mount: str) -> str:
    """``home/slug`` of ``home~slug``."""
    return mount.replace("~", "/", 1)


def find(session: Session, address: str) -> Book:
    """The live book at ``home/slug``. Raises NotFoundError."""
    home, slug = split_address(address)
    row = session.execute(_LIVE, {"home": home, "slug": slug}).one_or_none()
    if row is None:
        raise NotFoundError("book", address, "See: radicale-shared book list")
    return Book(*row)


def find_trashed(session: Session, address: str) -> Book:
    """The book of this address that was deleted last. Raises NotFoundError."""
    home, slug = split_address(address)
    row = session.execute(_TRASHED, {"home": home, "slug": slug}).first()
    if row is None:
        raise NotFoundError("book", address, "It is not in the trash; see: radicale-shared book list --trash")
    return Book(*row)


def by_id(session: Session, book_id: int) -> Book:
    """The book with this id, live or in the trash. Raises NotFoundError if it was purged."""
    row = session.execute(_BOOKS.where(BookTable.id == book_id)).one_or_none()
    if row is None:
        raise NotFoundError("book", f"number {book_id}")
    return Book(*row)


def all_books(session: Session, *, trash: bool = False) -> list[Book]:
    """All live books, or all in the trash, by address."""
    condition = BookTable.deleted_at.is_not(None) if trash else BookTable.deleted_at.is_(None)
    return [Book(*row) for row in session.execute(_BOOKS.where(condition).order_by(_Home.slug, BookTable.slug))]


def owned_by(session: Session, principal_id: int) -> list[Book]:
    """The live books that a principal owns."""
    query = _BOOKS.where(BookTable.owner_id == principal_id, BookTable.deleted_at.is_(None))
    return [Book(*row) for row in session.execute(query.order_by(BookTable.id))]


def add(
    session: Session,
    owner: people.Person | people.Group,
    slug: str,
    *,
    by: Actor,
    name: str = "",
    description: str = "",
    color: str = "",
) -> Book:
    """Make an empty book of ``owner``.

    slug: ``[a-z0-9._@-]+``, not reserved; its name in URLs for ever

    Raises AlreadyExistsError, NotAllowedHereError for a slug or text that can't be one, NotFoundError if the owner was
    removed meanwhile.
    """
    if not is_slug(slug):
        raise WrongValueError(
            f"{slug!r} can't be a book's name in URLs: use a-z, 0-9, '.', '_', '@', '-'; "
            f"not {', '.join(sorted(people.RESERVED_SLUGS))}, nor a leading '.'."
        )
    # No change of rights: nobody had any here, so a person's MKCOL waits for no change of others'.
    people.lock(session, owner.id)
    if session.execute(_LIVE, {"home": owner.slug, "slug": slug}).first():
        raise AlreadyExistsError("book", f"{owner.slug}/{slug}")
    book_id: int = session.execute(
        insert(table(BookTable))
        .values(
            uuid=uuid.uuid4().hex,
            home_id=owner.id,
            owner_id=owner.id,
            slug=slug,
            mount=f"{owner.slug}~{slug}",
            name=texts.checked(name or slug, 500, what="name"),
            description=texts.checked(description, 10_000, what="description", one_line=False),
            color=texts.checked(color, 32, what="colour"),
            epoch=new_epoch_value(),
            revision=1,
            floor=0,
            created_at=now(),
            entries_of=entry_keys.rules(
                session.scalar(select(DatabaseState.region).where(DatabaseState.id == 1)) or ""
            ),
        )
        .returning(table(BookTable).c.id)
    ).scalar_one()
    changes.begin(session, "create-book", by, book_id=book_id, reason=f"{owner.slug}/{slug}")
    return find(session, f"{owner.slug}/{slug}")


def add_personal(session: Session, person: people.Person, *, by: Actor) -> Book:
    """Make a user's own first book and let their home list it first."""
    book = add(session, person, PERSONAL_SLUG, by=by, name=PERSONAL_NAME)
    set_default(session, person.id, book)
    return book


def set_properties(
    session: Session,
    book: Book,
    *,
    by: Actor,
    name: str | None = None,
    description: str | None = None,
    color: str | None = None,
) -> None:
    """Change what people see of a book; None leaves a property. Its address never changes."""
    values: dict[str, Any] = {}
    if name is not None:
        values["name"] = texts.checked(name or book.slug, 500, what="name")
    if description is not None:
        values["description"] = texts.checked(description, 10_000, what="description", one_line=False)
    if color is not None:
        values["color"] = texts.checked(color, 32, what="colour")
    if values:
        _alter(session, book, **values)
        reason = ", ".join(f"{key} {value!r}" for key, value in values.items())
        changes.begin(session, "change-book", by, book_id=book.id, reason=reason)


def give(session: Session, book: Book, owner: people.Person | people.Group, *, by: Actor) -> None:
    """Make ``owner`` the book's owner; address and mount stay, the former owner keeps only what grants give.

    Raises NotFoundError if the owner was removed meanwhile.
    """
    people.rights_changed(session)
    people.lock(session, owner.id)
    _alter(session, book, owner_id=owner.id)
    changes.begin(session, "give-book", by, book_id=book.id, reason=f"{book.owner} -> {owner.slug}")


def set_default(session: Session, principal_id: int, book: Book) -> None:
    """Let a user's home list this book first."""
    defaults = table(DefaultBook)
    session.execute(delete(defaults).where(defaults.c.principal_id == principal_id))
    session.execute(insert(defaults).values(principal_id=principal_id, book_id=book.id))


def trash(session: Session, book: Book, *, by: Actor) -> None:
    """Move a book into the trash: nobody sees it, nothing of it is lost, and its address becomes free.

    Raises NotFoundError if it is there already.
    """
    # Taking a revision makes a writer that is under way either finish before, or find no book.
    if not next_revision(session, book.id):
        raise NotFoundError("book", book.address)
    _alter(session, book, deleted_at=now())
    changes.begin(session, "delete-book", by, book_id=book.id, reason=book.address)


def undelete(session: Session, book: Book, *, by: Actor) -> None:
    """Bring a book back out of the trash, at its old address.

    A book whose owner was removed meanwhile is nobody's until it is given away.

    Raises AlreadyExistsError if another book has that address now, NotFoundError if it was purged meanwhile.
    """
    people.rights_changed(session)
    if session.execute(_LIVE, {"home": book.home, "slug": book.slug}).first():
        raise AlreadyExistsError("book", book.address, "Delete that one first to undelete this one.")
    # What is being erased may be half gone.
    back = update(table(BookTable)).where(table(BookTable).c.id == book.id, table(BookTable).c.purged_at.is_(None))
    if session.execute(back.values(deleted_at=None).returning(table(BookTable).c.id)).one_or_none() is None:
        raise NotFoundError("book", book.address, "It was erased.")
    changes.begin(session, "undelete-book", by, book_id=book.id, reason=book.address)


def purge(session: Session, book: Book, *, by: Actor) -> None:
    """Erase a book of the trash for good, with its cards and their history; only a note of it stays.

    Raises NotAllowedHereError if it isn't in the trash.
    """
    if book.deleted_at is None:
        raise NotAllowedHereError(f"{book.address!r} is not in the trash; delete it first.")
    changes.begin(session, "purge-book", by, book_id=None, reason=f"{book.address}, {book.name}")
    session.execute(delete(table(BookTable)).where(table(BookTable).c.id == book.id))


def next_revision(session: Session, book_id: int, by: int = 1) -> int:
    """Take the book's next ``by`` revisions and return the last of them; 0 if the book is gone.

    by: -1 gives the last revision back, within the transaction that took it

    This is the write lock of a book (``lock`` takes it alone): no other transaction gets a revision before this one has
    ended, so no change can be committed behind a token that was already given out. An UPDATE of a column that is in no
    key, and never SELECT ... FOR UPDATE: that would make inserts that refer to the book wait.
    """
    return _NEXT.value(session, book=book_id, by=by) or 0


class Taken(NamedTuple):
    """What a writer takes with a book's lock: its next revision, 0 if the book is gone, and its region."""

    revision: int
    region: str


def take(session: Session, book_id: int) -> Taken:
    """``next_revision``, with the region of the book at this moment."""
    row = _TAKEN.row(session, book=book_id)
    if row is None:
        return Taken(0, "")
    revision, region, made_by = row
    if made_by != entry_keys.rules(region):
        # Who has waited for the lock knows the book's row as it is now, and the server's as it was before.
        region, _ = entries_by(session, book_id) or ("", "")
    return Taken(revision, region)


def entries_by(session: Session, book_id: int) -> tuple[str, str] | None:
    """(the region, what it says of its entries) of a live book; None if it is gone."""
    row = _ENTRIES_BY.row(session, book=book_id)
    return (row[0], row[1]) if row else None


def entries_made(session: Session, book_id: int, made_by: str) -> None:
    """Note by which rules all entries of a book were made, or that they are ``entry_keys.unfinished``."""
    session.execute(update(BookTable).where(BookTable.id == book_id).values(entries_of=made_by))


def outdate_entries(session: Session, book_id: int) -> None:
    """Note that the entries of a book have to be made anew, and hold its lock until the transaction has ended."""
    said = BookTable.entries_of
    as_they_are = or_(said == "", said.startswith(entry_keys.OF_THIS_EDITION))
    anew = case(
        (as_they_are, entry_keys.unfinished(from_nothing=False)), else_=entry_keys.unfinished(from_nothing=True)
    )
    session.execute(update(BookTable).where(BookTable.id == book_id).values(entries_of=anew))


def lock(session: Session, book_id: int) -> bool:
    """Let nobody else write to a book until the transaction has ended; False if the book is gone."""
    return bool(next_revision(session, book_id, by=0))


def grown(session: Session, book_id: int, cards: int, size: int) -> int:
    """Count what a write added to a book or took away; returns how many bytes its live cards have now.

    cards: 1 for a new card, -1 for a deletion, else 0
    size: bytes more than before, or fewer
    """
    found: int = _GROWN.value(session, book=book_id, cards=cards, bytes=size)
    return found


def bytes_of_owner(session: Session, owner_id: int) -> int:
    """How many bytes the live cards of all live books of an owner have."""
    query = select(func.sum(BookTable.card_bytes)).where(BookTable.owner_id == owner_id, BookTable.deleted_at.is_(None))
    return int(session.scalar(query) or 0)


def new_epoch_value() -> str:
    """16 random hexadecimal digits."""
    return secrets.token_hex(8)


def new_epoch(session: Session, book_id: int | None = None) -> int:
    """Give one book or all a new epoch: every client of it starts over at its next sync. Returns how many books."""
    query = select(BookTable.id)
    ids: Sequence[int] = [book_id] if book_id is not None else session.scalars(query).all()
    for one in ids:
        session.execute(update(table(BookTable)).where(table(BookTable).c.id == one).values(epoch=new_epoch_value()))
    return len(ids)


def _alter(session: Session, book: Book, **values: Any) -> None:
    session.execute(update(table(BookTable)).where(table(BookTable).c.id == book.id).values(**values))

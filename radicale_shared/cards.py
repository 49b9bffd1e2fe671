"""Cards: reading, writing and deleting them; each write records its Change in the same transaction.

The bytes a client sent are kept exactly. A writer first takes the book's next revision, which is the book's lock, then
looks at the card, so that an ETag is compared and replaced without anybody in between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from sqlalchemy import and_, bindparam, delete, insert, or_, select, update
from sqlalchemy.orm import Session

from . import books, changes, dead_properties, vcard, write_back
from .access import Access, Verb, View
from .books import Book
from .changes import Actor
from .errors import (
    NotAllowedHereError,
    NotFoundError,
    OverQuotaError,
    PreconditionFailedError,
    SharedBooksError,
    UidConflictError,
)
from .models import AnyRow, Body, CardSearch, DeadProperty, now, table
from .models import Card as CardTable
from .write_back import Merging

# Cards of one IN list: databases limit the variables of a statement.
BATCH = 500
# Bytes of the cards that are read together, unless a single one has more.
BATCH_BYTES = 4 * 1024 * 1024
MOST_HREF_BYTES = 1000
_MARKS = 50
SEARCHED = ("fn", "n", "nickname", "org", "title", "email", "tel", "adr", "note", "categories", "uid")

_ILLEGAL_HREF = re.compile("[/\x00-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Stored:
    """A live card: ``etag`` is the stored one (see ``shown_etag``), ``data`` the exact bytes."""

    href: str
    etag: str
    size: int
    version: str
    modified_at: datetime
    data: bytes


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did. ``revision`` is 0 where nothing changed, as the card had these very bytes already.

    exact: whether the stored bytes are the ones that were sent
    """

    created: bool
    etag: str
    revision: int
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Conditions:
    """If-Match and If-None-Match of a write (RFC 9110, section 13.1), ETags without quotes.

    if_match: None without the header; ``("*",)`` for any existing card
    none_match: None without the header; ``("*",)``: only where there is no card
    refused: what the ETag of this client counts (``Refused.mark``)
    """

    if_match: tuple[str, ...] | None = None
    none_match: tuple[str, ...] | None = None
    refused: int = 0


NO_CONDITIONS = Conditions()


@dataclass(frozen=True, slots=True)
class Limits:
    """How many bytes the cards of a book, and those of all books of an owner may have; 0: any."""

    book: int = 0
    owner: int = 0


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Checked:
    """A card that may be stored, and what is stored beside its bytes. Made before a write lock is taken.

    search: {one of SEARCHED: folded text}
    alike: whether the other vCard version has the same ones
    """

    data: bytes
    uid: str
    version: str
    search: dict[str, str]
    alike: bool


_STORED = select(
    CardTable.href, CardTable.etag, CardTable.size, CardTable.version, CardTable.modified_at, Body.data
).join(Body, Body.id == CardTable.body_id)
_ONE = _STORED.where(CardTable.book_id == bindparam("book"), CardTable.href == bindparam("href"), ~CardTable.deleted)
_SOME = _STORED.where(
    CardTable.book_id == bindparam("book"),
    CardTable.href.in_(bindparam("hrefs", expanding=True)),
    ~CardTable.deleted,
).order_by(CardTable.id)
_EVERY = _STORED.where(CardTable.book_id == bindparam("book"), ~CardTable.deleted).order_by(CardTable.id)
# On the table, not the mapped class: over thousands of rows the ORM would cost more than the query.
_columns = table(CardTable).c
_LISTING = select(_columns.href, _columns.etag).where(_columns.book_id == bindparam("book"), ~_columns.deleted)
_SIZES = (
    select(_columns.href, _columns.size)
    .where(
        _columns.book_id == bindparam("book"), _columns.href.in_(bindparam("hrefs", expanding=True)), ~_columns.deleted
    )
    .order_by(_columns.id)
)
_DETAILS = _LISTING.add_columns(_columns.size, _columns.modified_at)
_BEFORE = select(
    CardTable.id,
    CardTable.href,
    CardTable.uid,
    CardTable.deleted,
    CardTable.etag,
    CardTable.size,
    CardTable.version,
    CardTable.body_id,
    select(DeadProperty.id).where(DeadProperty.card_id == CardTable.id).exists().label("has_properties"),
).where(
    CardTable.book_id == bindparam("book"),
    or_(
        CardTable.href == bindparam("href"),
        and_(CardTable.uid == bindparam("uid"), ~CardTable.deleted),
    ),
)
_HAS_UID = select(CardTable.id).where(
    CardTable.book_id == bindparam("book"), CardTable.uid == bindparam("uid"), ~CardTable.deleted
)
_LAST_CHANGE = (
    select(CardTable.modified_at)
    .where(CardTable.book_id == bindparam("book"))
    .order_by(CardTable.revision.desc())
    .limit(1)
)
_NEW_BODY = insert(table(Body)).returning(table(Body).c.id)
_NEW_CARD = insert(table(CardTable)).returning(table(CardTable).c.id)
_NEW_STATE = update(table(CardTable)).where(table(CardTable).c.id == bindparam("card"))
_NEW_SEARCH = insert(table(CardSearch))
_SEARCH = update(table(CardSearch)).where(table(CardSearch).c.card_id == bindparam("card"))
_NO_SEARCH = delete(table(CardSearch)).where(table(CardSearch).c.card_id == bindparam("card"))


def etag_of(secret: bytes, data: bytes) -> str:
    """The stored ETag: 32 hexadecimal digits, a keyed hash, so that nobody can tell a content by its ETag."""
    return blake2b(data, key=secret, digest_size=16).hexdigest()


def shown_etag(etag: str, view: View, refused: int) -> str:
    """The ETag that a reader sees, without quotes: the stored one, but for a hiding view or refused writes of theirs.

    refused: ``Refused.mark`` of the card for this client
    """
    if not refused and not view.hidden:
        return etag
    return blake2b(f"{etag}/{view.id}/{refused}".encode(), digest_size=16).hexdigest()


def named_by(etag: str, view: View, refused: int) -> set[str]:
    """The ETags by which a client may name the stored one: as it is stored, as it is shown, and as it was shown before.

    What was shown before the latest refusal names the same bytes: another device of the kind may hold it.

    refused: ``Refused.mark`` of the card for this client
    """
    marks = range(max(0, refused - _MARKS), refused + 1)
    return {etag, *(shown_etag(etag, view, mark) for mark in marks)}


def check(data: bytes, max_size: int | None = None) -> Checked:
    """Parse a card that is to be stored: the long part of a ``put``, to be done outside of its transaction.

    max_size: bytes a card may have

    Raises NotAVCardError.
    """
    return _checked(data, vcard.check(data, max_size))


def check_stored(data: bytes) -> Checked:
    """The same for bytes that were stored once: whatever is refused today, they may be stored again."""
    return _checked(data, vcard.Card.parse(data))


def _checked(data: bytes, card: vcard.Card) -> Checked:
    fields = vcard.search_fields(card)
    return Checked(data, card.uid, card.version, {field: fields[field] for field in SEARCHED}, vcard.is_alike(card))


def check_href(href: str) -> None:
    """Raise NotAllowedHereError unless ``href`` can be one URL segment."""
    if href in {"", ".", ".."} or _ILLEGAL_HREF.search(href):
        raise NotAllowedHereError("A card's name is one URL segment, without '/' and control characters.")
    if len(href.encode()) > MOST_HREF_BYTES:
        raise NotAllowedHereError(f"A card's name has at most {MOST_HREF_BYTES} bytes.")


def get(session: Session, book_id: int, href: str) -> Stored | None:
    """The live card at ``href``."""
    row = session.execute(_ONE, {"book": book_id, "href": href}).one_or_none()
    return Stored(*row) if row else None


def get_many(session: Session, book_id: int, hrefs: Sequence[str]) -> Iterator[Stored]:
    """The live ones of at most BATCH hrefs, oldest first."""
    if len(hrefs) > BATCH:
        raise ValueError(f"at most {BATCH} hrefs at a time")
    for row in session.execute(_SOME, {"book": book_id, "hrefs": list(hrefs)}):
        yield Stored(*row)


def batches(session: Session, book_id: int, hrefs: Sequence[str]) -> list[list[str]]:
    """The live ones of at most BATCH hrefs, cut so that no piece has more than BATCH_BYTES (but a single card may)."""
    if len(hrefs) > BATCH:
        raise ValueError(f"at most {BATCH} hrefs at a time")
    pieces: list[list[str]] = [[]]
    room = BATCH_BYTES
    for href, size in session.execute(_SIZES, {"book": book_id, "hrefs": list(hrefs)}):
        if size > room and pieces[-1]:
            pieces.append([])
            room = BATCH_BYTES
        pieces[-1].append(href)
        room -= size
    return pieces


def every(session: Session, book_id: int) -> Iterator[Stored]:
    """All live cards with their bytes, oldest first, read as they are asked for: by a ``Database.snapshot``."""
    for row in session.execute(_EVERY, {"book": book_id}, execution_options={"yield_per": 20}):
        yield Stored(*row)


def listing(session: Session, book_id: int) -> Sequence[AnyRow]:
    """(href, etag) of all live cards, in no order."""
    return session.execute(_LISTING, {"book": book_id}).all()


def listing_with_details(session: Session, book_id: int) -> Sequence[AnyRow]:
    """(href, etag, size, modified_at) of all live cards, in no order."""
    return session.execute(_DETAILS, {"book": book_id}).all()


def last_change(session: Session, book_id: int) -> datetime | None:
    """When a card of the book was written or deleted last; None if it never had one."""
    return session.scalar(_LAST_CHANGE, {"book": book_id})


def has_uid(session: Session, book_id: int, uid: str) -> bool:
    """Whether a live card of the book has this UID."""
    return session.execute(_HAS_UID, {"book": book_id, "uid": uid}).first() is not None


def held(session: Session, access: Access, href: str, conditions: Conditions = NO_CONDITIONS) -> int:
    """The id of a live card, which nobody changes from now on: the book's lock is taken, and none of its revisions.

    Raises NotFoundError, PreconditionFailedError.
    """
    if not books.next_revision(session, access.book.id, by=0):
        raise NotFoundError("book", access.book.address)
    before, _ = _before(session, access.book.id, href, None)
    if before is None or before.deleted:
        raise NotFoundError("card", href)
    _check_conditions(access.view, href, before, conditions)
    card_id: int = before.id
    return card_id


def put(
    session: Session,
    access: Access,
    href: str,
    card: Checked,
    *,
    secret: bytes,
    by: Actor,
    act_id: int | None = None,
    kind: str = "put",
    reason: str = "",
    conditions: Conditions = NO_CONDITIONS,
    limits: Limits = NO_LIMITS,
    merging: Merging | None = None,
) -> Written:
    """Store a new card, or new bytes of one. The session must be one of ``Database.write``.

    act_id: the act it belongs to; without, it is an act of its own, of ``kind``
    merging: for a client with a copy of its own, of another version or of a state that is gone perhaps: what it changed
        is applied to the stored card; without, the bytes are stored exactly as they are

    Raises MergeNeededError, after which to try again with what ``write_back.worked_out`` gives; NeedPrivilegeError,
    UidConflictError, PreconditionFailedError, OverQuotaError, NotAllowedHereError for an href that can't be one,
    NotFoundError if the book is gone. Nothing was written then: the transaction may go on.
    """
    check_href(href)
    sent = card
    conflicts: Sequence[vcard.Conflict] = ()
    with _next_revision(session, access) as revision:
        before, in_the_way = _before(session, access.book.id, href, card.uid)
        live = before if before is not None and not before.deleted else None
        access.require(Verb.EDIT if live else Verb.ADD, href)
        _check_conditions(access.view, href, live, conditions)
        if in_the_way is not None:
            raise UidConflictError(card.uid, in_the_way)
        if live and live.uid != card.uid:
            raise UidConflictError(card.uid, href)
        if live and merging and live.etag != etag_of(secret, sent.data):
            seen = conditions.if_match is not None and "*" not in conditions.if_match
            stored = write_back.Live(live.id, live.body_id, live.etag, live.version)
            if merged := merging.over(stored, sent.version, seen=seen):
                card, conflicts = merged, merging.conflicts
        etag = etag_of(secret, card.data)
        if not live or live.etag != etag:
            _grow(session, access.book, 0 if live else 1, len(card.data) - (live.size if live else 0), limits)
    exact = card is sent
    if live and live.etag == etag:
        # Nothing to write: the book keeps its revision, so that no client is told of a change.
        books.next_revision(session, access.book.id, by=-1)
        return Written(False, etag, 0, exact)

    body_id = _new_body(session, access.book.id, card.data)
    state = {
        "uid": card.uid,
        "revision": revision,
        "deleted": False,
        "etag": etag,
        "size": len(card.data),
        "version": card.version,
        "body_id": body_id,
        "modified_at": now(),
    }
    if before is None:
        new = {
            "book_id": access.book.id,
            "href": href,
            "created_revision": revision,
            "created_at": state["modified_at"],
            **state,
        }
        card_id: int = session.execute(_NEW_CARD, new).scalar_one()
    else:
        card_id = before.id
        session.execute(_NEW_STATE, {"card": card_id, **state})
    if live:
        session.execute(_SEARCH, {"card": card_id, "alike": card.alike, **card.search})
    else:
        session.execute(_NEW_SEARCH, {"card_id": card_id, "alike": card.alike, **card.search})
    if act_id is None:
        act_id = changes.begin(session, kind, by, book_id=access.book.id, reason=reason)
    changes.record(
        session,
        act_id,
        book_id=access.book.id,
        card_id=card_id,
        revision=revision,
        before_id=live.body_id if live else None,
        after_id=body_id,
        received_id=None if exact else _new_body(session, access.book.id, sent.data),
        conflicts=conflicts,
    )
    return Written(live is None, etag, revision, exact)


def remove(
    session: Session,
    access: Access,
    href: str,
    *,
    by: Actor,
    act_id: int | None = None,
    kind: str = "delete",
    reason: str = "",
    conditions: Conditions = NO_CONDITIONS,
) -> int:
    """Delete a card and return the book's new revision; its bytes stay in the history, its href as a tombstone.

    Raises NotFoundError, NeedPrivilegeError, PreconditionFailedError; nothing was written then.
    """
    with _next_revision(session, access) as revision:
        before, _ = _before(session, access.book.id, href, None)
        if before is None or before.deleted:
            raise NotFoundError("card", href)
        access.require(Verb.DELETE, href)
        _check_conditions(access.view, href, before, conditions)
    session.execute(
        _NEW_STATE,
        {"card": before.id, "revision": revision, "deleted": True, "body_id": None, "modified_at": now()},
    )
    session.execute(_NO_SEARCH, {"card": before.id})
    if before.has_properties:
        dead_properties.forget(session, dead_properties.Subject(dead_properties.Kind.CARD, before.id, access.book.id))
    books.grown(session, access.book.id, -1, -before.size)
    if act_id is None:
        act_id = changes.begin(session, kind, by, book_id=access.book.id, reason=reason)
    changes.record(
        session,
        act_id,
        book_id=access.book.id,
        card_id=before.id,
        revision=revision,
        before_id=before.body_id,
        after_id=None,
    )
    return revision


def restore(session: Session, access: Access, href: str, revision: int, *, secret: bytes, by: Actor) -> Written:
    """Bring a card back to how it was after ``revision``, as a new change; also a deleted card, also into deletion.

    Raises NotFoundError if it has no state then, or is to be deleted and isn't there; else as ``put``.
    """
    data = changes.state_after(session, access.book.id, href, revision)
    reason = f"to revision {revision}"
    if data is None:
        return Written(False, "", remove(session, access, href, by=by, kind="restore", reason=reason))
    return put(session, access, href, check_stored(data), secret=secret, by=by, kind="restore", reason=reason)


def _new_body(session: Session, book_id: int, data: bytes) -> int:
    body_id: int = session.execute(_NEW_BODY, {"book_id": book_id, "data": data}).scalar_one()
    return body_id


def _grow(session: Session, book: Book, cards: int, size: int, limits: Limits) -> None:
    """Count a write into its book. Raises OverQuotaError, with nothing counted, where it goes beyond the limits."""
    if not cards and not size:
        return
    of_book = books.grown(session, book.id, cards, size)
    over = ""
    if size > 0 and limits.book and of_book > limits.book:
        over = "book"
    elif size > 0 and limits.owner and books.bytes_of_owner(session, book.owner_id) > limits.owner:
        over = "owner"
    if over:
        books.grown(session, book.id, -cards, -size)
        raise OverQuotaError(over, limits.book if over == "book" else limits.owner)


@contextmanager
def _next_revision(session: Session, access: Access) -> Iterator[int]:
    """The book's next revision, and with it its lock; given back if what is checked under it refuses the write."""
    revision = books.next_revision(session, access.book.id)
    if not revision:
        raise NotFoundError("book", access.book.address)
    try:
        yield revision
    except SharedBooksError:
        books.next_revision(session, access.book.id, by=-1)
        raise


def _before(session: Session, book_id: int, href: str, uid: str | None) -> tuple[AnyRow | None, str | None]:
    """(the row of ``href``, live or deleted; the href of another live card with this UID)."""
    before, in_the_way = None, None
    for row in session.execute(_BEFORE, {"book": book_id, "href": href, "uid": uid}):
        if row.href == href:
            before = row
        else:
            in_the_way = row.href
    return before, in_the_way


def _check_conditions(view: View, href: str, before: AnyRow | None, conditions: Conditions) -> None:
    etags = {"*", *named_by(before.etag, view, conditions.refused)} if before is not None else set()
    if conditions.if_match is not None and not etags.intersection(conditions.if_match):
        raise PreconditionFailedError(href)
    if conditions.none_match is not None and etags.intersection(conditions.none_match):
        raise PreconditionFailedError(href)

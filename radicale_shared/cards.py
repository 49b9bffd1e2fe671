"""Cards: writing and deleting them; each write records its Change in the same transaction. ``reading`` reads them.

The bytes a client sent are kept exactly. A writer first takes the book's next revision, which is the book's lock, then
looks at the card, so that an ETag is compared and replaced without anybody in between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.orm import Session

from . import (
    bodies,
    books,
    card_rows,
    changes,
    client_properties,
    dead_properties,
    entries,
    entry_rows,
    guard,
    history,
    search_index,
    vcard,
    write_back,
)
from .access import Access, Verb
from .books import Book, Taken
from .card_rows import Before, State
from .changes import Actor
from .entries import Entry
from .entry_rows import Searched
from .errors import (
    NeedPrivilegeError,
    NotAllowedHereError,
    NotFoundError,
    OverQuotaError,
    SharedBooksError,
    UidConflictError,
)
from .etags import NO_CONDITIONS, Conditions, etag_of, names_bytes
from .guard import Policy
from .models import now
from .vcard import Outline
from .write_back import Merging

MOST_HREF_BYTES = 1000

_ILLEGAL_HREF = re.compile("[/\x00-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did. ``revision`` is 0 where nothing changed, as the card had these very bytes already.

    exact: whether the stored bytes are the ones that were sent; whether those are that the writer sees, if it is a part
        of a card that was there
    """

    created: bool
    etag: str
    revision: int
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """How many bytes the cards of a book, and those of all books of an owner may have; 0: any."""

    book: int = 0
    owner: int = 0


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Checked:
    """A card that may be stored, and what is stored beside its bytes. Made before a write lock is taken.

    search: {one of search_index.FIELDS: folded text}
    more_in: the vCard version in which the card has other ones (``search_index.more_in``)
    outline: which properties it has
    entry: what directories tell of it, without what its numbers mean in the book; None: nothing
    """

    data: bytes
    uid: str
    version: str
    search: dict[str, str]
    more_in: str
    outline: Outline
    entry: Entry | None


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
    more_in = search_index.more_in(card, fields)
    return Checked(data, card.uid, card.version, fields, more_in, vcard.outline(data), entries.described(card))


def check_href(href: str) -> None:
    """Raise NotAllowedHereError unless ``href`` can be one URL segment."""
    if href in {"", ".", ".."} or _ILLEGAL_HREF.search(href):
        raise NotAllowedHereError("A card's name is one URL segment, without '/' and control characters.")
    if len(href.encode()) > MOST_HREF_BYTES:
        raise NotAllowedHereError(f"A card's name has at most {MOST_HREF_BYTES} bytes.")


def held(session: Session, access: Access, href: str, conditions: Conditions = NO_CONDITIONS) -> int:
    """The id of a live card, which nobody changes from now on: the book's lock is taken, and none of its revisions.

    Raises NotFoundError, PreconditionFailedError.
    """
    if not books.lock(session, access.book.id):
        raise NotFoundError("book", access.book.address)
    before, _ = card_rows.find(session, access.book.id, href)
    if before is None or before.deleted:
        raise NotFoundError("card", href)
    conditions.require(access.view, href, before.etag)
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
    policy: Policy | None = guard.DEFAULT,
) -> Written:
    """Store a new card, or new bytes of one. The session must be one of ``Database.write``.

    act_id: the act it belongs to; without, it is an act of its own, of ``kind``
    merging: for a client with a copy of its own, of another version, of a part of the card or of a state that is gone
        perhaps: what it changed is applied to the stored card; without, the bytes are stored exactly as they are, and
        only by who sees all of the card that is there
    policy: of the guard, for a write that empties the card; None: who writes isn't guarded

    Raises MergeNeededError, after which to try again with what ``write_back.worked_out`` gives; NeedPrivilegeError,
    GuardedError, of which ``blocks.record`` has to know, UidConflictError, PreconditionFailedError, OverQuotaError,
    NotAllowedHereError for an href that can't be one, NotFoundError if the book is gone. Nothing was written then: the
    transaction may go on.
    """
    check_href(href)
    sent = card
    with _next_revision(session, access) as (revision, region):
        before, in_the_way = card_rows.find(session, access.book.id, href, card.uid, with_outline=True)
        live = before if before is not None and not before.deleted else None
        access.require(Verb.EDIT if live else Verb.ADD, href)
        conditions.require(access.view, href, live.etag if live else None)
        if in_the_way is not None:
            raise UidConflictError(card.uid, in_the_way)
        if live and live.uid != card.uid:
            raise UidConflictError(card.uid, href)
        had = live.outline if live else Outline()
        merged = _merged(session, access, live, had, sent, merging, conditions, secret, by) if live else None
        card = merged.card if merged and merged.card else sent
        etag = etag_of(secret, card.data)
        same = live is not None and names_bytes(secret, live.etag, card.data, live.revision)
        unchanged = merged.unchanged if merged and access.view.hidden else same
        counts = (
            not same
            and vcard.is_emptied(had.values, card.outline.values)
            and guard.require(session, access, Verb.EDIT, href, by=by, policy=policy, deletes=False)
        )
        if not unchanged:
            _grow(session, access.book, 0 if live else 1, len(card.data) - (live.size if live else 0), limits)
    exact = merged.exact if merged else card is sent
    if live and unchanged:
        # Nothing to write: the book keeps its revision, so that no client is told of a change.
        books.next_revision(session, access.book.id, by=-1)
        return Written(False, live.etag, 0, exact)

    if same:
        # The writer sees a part of the card, and must not see by its ETag that their write came to nothing. Nor would a
        # program that holds this ETag fetch the card again, and take back what it sent.
        etag = etag_of(secret, card.data, revision)
    body_id = live.body_id if live and same else bodies.store(session, access.book.id, card.data)
    state = State(card.uid, revision, etag, len(card.data), card.version, body_id, now())
    entry = entries.numbered(card.entry, region) if card.entry else None
    search, more_in = Searched.of(card.search, card.more_in, entry)
    card_id = card_rows.store(session, access.book.id, href, before, state, more_in=more_in, search=search)
    entry_rows.store(session, before.entry if before else None, card_id, access.book.id, entry)
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
        received_id=None if card is sent else bodies.store(session, access.book.id, sent.data),
        conflicts=merged.conflicts if merged else (),
    )
    if counts:
        guard.counted(session, access, revision, by=by, deleted=False)
    if merging is not None:
        client_properties.learned(session, changes.client_of(by.user_agent), sent.outline.names)
    return Written(live is None, etag, revision, exact)


def _merged(
    session: Session,
    access: Access,
    live: Before,
    had: Outline,
    sent: Checked,
    merging: Merging | None,
    conditions: Conditions,
    secret: bytes,
    by: Actor,
) -> Merging | None:
    """What to store over a live card; None for the sent bytes. Raises NeedPrivilegeError, MergeNeededError."""
    if merging is None:
        if access.view.hidden:
            raise NeedPrivilegeError(Verb.MANAGE, live.href)
        return None
    if names_bytes(secret, live.etag, sent.data, live.revision) and not access.view.hidden:
        return None
    seen = conditions.if_match is not None and "*" not in conditions.if_match
    client = changes.client_of(by.user_agent)
    # In all other cases it is worked out anyway.
    is_plain = seen and sent.version == live.version and not access.view.hidden
    keeps = is_plain and bool(client_properties.unmeant(session, client, had.names - sent.outline.names))
    stored = write_back.Live(live.id, live.body_id, live.etag, live.version, access.view.hidden)
    return merging.over(stored, sent.version, seen=seen, keeps=keeps, client=client)


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
    policy: Policy | None = guard.DEFAULT,
) -> int:
    """Delete a card and return the book's new revision; its bytes stay in the history, its href as a tombstone.

    policy: of the guard; None: who deletes isn't guarded

    Raises NotFoundError, NeedPrivilegeError, PreconditionFailedError, and GuardedError, of which ``blocks.record`` has
    to know; nothing was written then.
    """
    with _next_revision(session, access) as (revision, _):
        before, _ = card_rows.find(session, access.book.id, href)
        if before is None or before.deleted:
            raise NotFoundError("card", href)
        access.require(Verb.DELETE, href)
        conditions.require(access.view, href, before.etag)
        counts = guard.require(session, access, Verb.DELETE, href, by=by, policy=policy, deletes=True)
    card_rows.delete(session, before, revision, now())
    entry_rows.store(session, before.entry, before.id, access.book.id, None)
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
    if counts:
        guard.counted(session, access, revision, by=by, deleted=True)
    return revision


def restore(session: Session, access: Access, href: str, revision: int, *, secret: bytes, by: Actor) -> Written:
    """Bring a card back to how it was after ``revision``, as a new change; also a deleted card, also into deletion.

    Raises NotFoundError if it has no state then, or is to be deleted and isn't there; else as ``put``.
    """
    data = history.state_after(session, access.book.id, href, revision)
    reason = f"to revision {revision}"
    if data is None:
        return Written(False, "", remove(session, access, href, by=by, kind="restore", reason=reason, policy=None))
    card = check_stored(data)
    return put(session, access, href, card, secret=secret, by=by, kind="restore", reason=reason, policy=None)


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
def _next_revision(session: Session, access: Access) -> Iterator[Taken]:
    """The book's next revision, and with it its lock; given back if what is checked under it refuses the write."""
    taken = books.take(session, access.book.id)
    if not taken.revision:
        raise NotFoundError("book", access.book.address)
    try:
        yield taken
    except SharedBooksError:
        books.next_revision(session, access.book.id, by=-1)
        raise

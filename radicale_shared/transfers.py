"""Copying and moving cards, inside a book and between two: one act, whose changes name both ends.

A move is atomic: the card is in one place or the other, for every reader and after every failure. Its history stays
with the address it had; the reason of the act says where it came from and went to.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from . import access as rights
from . import books, cards, changes, dead_properties, guard, phone_books, reading
from .access import Access, Verb
from .cards import NO_LIMITS, Limits, Written
from .changes import Actor
from .dead_properties import Kind, Subject
from .errors import NeedPrivilegeError, NotAllowedHereError, NotFoundError, PreconditionFailedError
from .etags import NO_CONDITIONS, Conditions
from .guard import Policy
from .vcard import fields


@dataclass(frozen=True, slots=True)
class Place:
    """The address of a card; there need not be one."""

    access: Access
    href: str

    @property
    def address(self) -> str:
        """Its name for people, ``home/slug/href``."""
        return f"{self.access.book.address}/{self.href}"

    @property
    def key(self) -> tuple[int, str]:
        """What two equal places have in common."""
        return self.access.book.id, self.href


def transfer(
    session: Session,
    source: Place,
    target: Place,
    *,
    moving: bool,
    secret: bytes,
    by: Actor,
    overwrite: bool = True,
    conditions: Conditions = NO_CONDITIONS,
    limits: Limits = NO_LIMITS,
    policy: Policy | None = guard.DEFAULT,
) -> Written:
    """Copy or move a card with its exact bytes and dead properties (RFC 4918, sections 9.8 and 9.9).

    What is hidden from phones stays hidden from them.

    Of a card that one sees a part of, that part is copied; it is moved as a whole, and only to where one sees no more.

    The session must be one of ``Database.write`` with the ids of both books.

    overwrite: whether a card at the target may be replaced, by one with the same UID
    conditions: on the source
    policy: of the guard, for which a card that is moved to another book is one that is deleted

    Raises NotFoundError where there is no card or book, NotAllowedHereError for a card onto itself or an href that
    can't be one, PreconditionFailedError if the conditions don't hold or a card is in the way, NeedPrivilegeError,
    GuardedError, UidConflictError, OverQuotaError, TooManyPropertiesError. The transaction is to be rolled back then.
    """
    if source.key == target.key:
        raise NotAllowedHereError("A card can't be copied or moved onto itself.")
    cards.check_href(target.href)
    lock(session, source.access, target.access)
    if moving:
        source.access.require(Verb.DELETE, source.href)
        if not may_leave(source.access, target.access):
            raise NeedPrivilegeError(Verb.MANAGE, source.href)
    source_id = cards.held(session, source.access, source.href, conditions)
    reader = rights.administrator(source.access.book) if moving else source.access
    stored = reading.get(session, reader, source.href)
    if stored is None:
        raise NotFoundError("card", source.href)
    if not overwrite and reading.is_there(session, *target.key):
        raise PreconditionFailedError(target.href)
    properties = dead_properties.of(session, Subject(Kind.CARD, source_id, source.access.book.id))
    kind = "move" if moving else "copy"
    reason = f"from {source.address} to {target.address}"
    act_id = None
    if moving:
        act_id = changes.begin(session, kind, by, book_id=source.access.book.id, reason=reason)
        leaves = source.access.book.id != target.access.book.id
        cards.remove(session, source.access, source.href, by=by, act_id=act_id, policy=policy if leaves else None)
    written = cards.put(
        session,
        target.access,
        target.href,
        cards.check_stored(stored.data),
        secret=secret,
        by=by,
        act_id=act_id,
        kind=kind,
        reason=reason,
        limits=limits,
        policy=policy,
    )
    target_id = cards.held(session, target.access, target.href)
    dead_properties.replace(session, Subject(Kind.CARD, target_id, target.access.book.id), properties)
    phone_books.carry(session, source_id, target_id)
    return written


def may_leave(source: Access, target: Access) -> bool:
    """Whether a card may be moved from one book to another: not to where its hidden fields would be seen."""
    return fields.covers(target.view.hidden, source.view.hidden)


def lock(session: Session, *places: Access) -> None:
    """Take the locks of some books, in one order: two that need the same never wait for one another.

    Raises NotFoundError for a book that is gone.
    """
    for book in sorted({access.book.id: access.book for access in places}.values(), key=lambda book: book.id):
        if not books.lock(session, book.id):
            raise NotFoundError("book", book.address)

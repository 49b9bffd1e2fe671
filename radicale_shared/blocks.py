"""What the guard has stopped: written down once, told to who manages the book, released or taken back by them.

A write that goes too far is refused, and so leaves nothing; that its source is stopped is written down afterwards, in a
transaction of its own (``record``), which asks under the book's lock whether another process was quicker. Until then
the source gets no further either: it is refused by what it destroyed already.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from . import books, changes, notices, reasons, undo
from .access import Verb
from .books import Book
from .changes import Actor
from .database import Database
from .errors import GuardedError, NotAllowedHereError, NotFoundError, SharedBooksError
from .guard import Trip, is_of, person_of
from .models import AnyRow, Destruction, Principal, now, table
from .models import Block as BlockTable
from .models import Book as BookTable
from .selections import Selection
from .undo import Opens, Outcome
from .undo_plan import Step

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Block:
    """That a source was stopped in a book.

    book: its address
    destroyed, of_cards: how many cards it deleted or emptied before, and how many the book had
    began_at: when it destroyed the first of them
    released_by: who ended it early; empty: nobody did
    reverted_act_id: of the undo that brought the cards back; None: nobody did
    """

    id: int
    book_id: int
    book: str
    source: str
    first_revision: int
    actor: str
    device: str
    address: str
    user_agent: str
    destroyed: int
    of_cards: int
    began_at: datetime
    at: datetime
    until_at: datetime
    released_at: datetime | None
    released_by: str
    reverted_act_id: int | None

    @property
    def who(self) -> str:
        """The source, for people."""
        device = self.device
        if device == changes.client_of(self.user_agent):  # and no label, by which people know it
            device = changes.device_of(self.actor, device, self.user_agent)
        return f"{self.actor} ({device})" if device else self.actor

    @property
    def stands(self) -> bool:
        """Whether its source is stopped at this moment."""
        return self.released_at is None and self.until_at > now()


_blocks, _destructions = table(BlockTable), table(Destruction)
_home = table(Principal).alias("home")
_books = table(BookTable)
_BLOCKS = (
    select(_blocks, _books.c.slug.label("slug"), _home.c.slug.label("home"))
    .join_from(_blocks, _books, _books.c.id == _blocks.c.book_id)
    .join(_home, _home.c.id == _books.c.home_id)
    .order_by(_blocks.c.id.desc())
)


def record(db: Database, error: GuardedError) -> None:
    """Write down what a refusal of the guard is about, once: the source is stopped, and who is to know is told.

    To be called for every GuardedError, after its transaction has ended. Where it can't be done now the refusal stands
    all the same, and the next one is written down.
    """
    if isinstance(error.trip, Trip):
        try:
            _record(db, error.trip)
        except SharedBooksError as problem:
            _log.warning("That the guard stopped %r was not written down: %s", error.trip.by.name, problem)


def _record(db: Database, trip: Trip) -> None:
    with db.read() as session:
        try:
            book = books.by_id(session, trip.book_id)
        except NotFoundError:
            return
        addresses = _managers(session, book) if trip.policy.channels.mail and trip.policy.channels.managers else []
    with db.write(trip.book_id) as session:
        if not books.lock(session, trip.book_id):
            return
        made = _made(session, trip)
        if made is None:
            return
        block = find(session, made)
        reason = (
            f"{block.destroyed} of {block.of_cards} cards in {_minutes(block)}; stopped until {_at(block.until_at)}"
        )
        changes.begin(session, "guard", trip.by, book_id=block.book_id, reason=reason)
        subject, text = _told(block, book)
        notices.add(session, trip.policy.channels, subject, text, facts(block), addresses)
    _log.warning("Block %d: %s", block.id, " ".join(subject.split()))


def _made(session: Session, trip: Trip) -> int | None:
    """The id of a new block; None where the source is stopped already, or was released meanwhile."""
    at = now()
    columns = _blocks.c
    is_together = trip.source == person_of(trip.by)
    sources = [one for one in (trip.source, person_of(trip.by)) if one]
    mine = columns.principal_id == trip.by.principal_id if is_together else columns.source.in_(sources)
    blocks = session.execute(
        select(
            columns.source,
            func.coalesce(columns.released_at, columns.until_at, type_=columns.until_at.type).label("end"),
        ).where(columns.book_id == trip.book_id, mine)
    ).all()
    if any(one.source in sources and one.end > at for one in blocks):
        return None
    since = max([trip.since, *(one.end for one in blocks if one.end <= at)])
    counted = session.execute(
        select(
            func.count().label("number"),
            func.min(_destructions.c.revision).label("first"),
            func.min(_destructions.c.at, type_=_destructions.c.at.type).label("began"),
        ).where(_destructions.c.book_id == trip.book_id, is_of(trip.source), _destructions.c.at > since)
    ).one()
    if counted.number < trip.most:
        return None
    made = session.execute(
        insert(_blocks)
        .returning(columns.id)
        .values(
            book_id=trip.book_id,
            source=trip.source,
            principal_id=trip.by.principal_id,
            actor=trip.by.name[:320],
            device=trip.device[:200],
            address=trip.by.address[:45],
            user_agent=trip.by.user_agent[:500],
            first_revision=counted.first or 0,
            destroyed=counted.number,
            of_cards=trip.of_cards,
            began_at=counted.began or at,
            at=at,
            until_at=at + timedelta(hours=trip.policy.release_hours),
        )
    )
    return int(made.scalar_one())


def _managers(session: Session, book: Book) -> list[str]:
    """The e-mail addresses of those who manage a book."""
    people = reasons.who(session, book).people or ()
    slugs = [one.slug for one in people if Verb.MANAGE in one.verbs]
    columns = table(Principal).c
    found: list[str] = []
    for start in range(0, len(slugs), 500):
        query = select(columns.email).where(columns.slug.in_(slugs[start : start + 500]), columns.email != "")
        found += session.scalars(query.order_by(columns.id)).all()
    return found


def _told(block: Block, book: Book) -> tuple[str, str]:
    """(subject, text) of the notice, for people."""
    subject = f"{block.who} was stopped in {block.book}: {block.destroyed} cards were destroyed"
    lines = [
        f"A device deleted or emptied {block.destroyed} of {block.of_cards} cards of the address book {book.name!r}"
        f" ({block.book}) within {_minutes(block)}, and was stopped.",
        "",
        f"Person:  {block.actor}",
        f"Device:  {block.device}",
        f"Program: {block.user_agent or 'unknown'}",
        f"Address: {block.address or 'unknown'}",
        f"From:    {_at(block.began_at)}",
        f"To:      {_at(block.at)}",
        f"Block:   {block.id}",
        "",
        f"Until {_at(block.until_at)} it deletes and empties no more cards of this book. All else works as before: it"
        " syncs, and gets the card back whose deletion was refused.",
        "",
        "Those who manage the book can bring back what it destroyed, or let it go on: by the API, or the administrator"
        " by:",
        "",
        f"    radicale-shared guard revert {block.id}",
        f"    radicale-shared guard release {block.id}",
    ]
    return subject, "\n".join(lines)


def _minutes(block: Block) -> str:
    minutes = max(1, round((block.at - block.began_at).total_seconds() / 60))
    return f"{minutes} minute{'' if minutes == 1 else 's'}"


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def facts(block: Block) -> dict[str, Any]:
    """A block for programs; JSON has words for all of it."""
    return {
        "block": block.id,
        "book": block.book,
        "person": block.actor,
        "device": block.device,
        "address": block.address,
        "user_agent": block.user_agent,
        "destroyed": block.destroyed,
        "of_cards": block.of_cards,
        "began_at": block.began_at.isoformat(),
        "at": block.at.isoformat(),
        "until_at": block.until_at.isoformat(),
        "stands": block.stands,
        "released_at": block.released_at.isoformat() if block.released_at else None,
        "released_by": block.released_by or None,
        "reverted_act": block.reverted_act_id,
    }


# -- looking, releasing, taking back -----------------------------------------------------------------------------------


def standing(session: Session, book_ids: Sequence[int] | None = None) -> list[Block]:
    """The blocks that stand, newest first: of all books, or of some."""
    columns = _blocks.c
    return _found(session, book_ids, columns.released_at.is_(None), columns.until_at > now())


def all_blocks(session: Session, book_ids: Sequence[int] | None = None) -> list[Block]:
    """The same with those that ended, as long as they are kept."""
    return _found(session, book_ids)


def _found(session: Session, book_ids: Sequence[int] | None, *conditions: Any) -> list[Block]:
    query = _BLOCKS.where(*conditions)
    if book_ids is not None:
        query = query.where(_blocks.c.book_id.in_(list(book_ids)))
    return [_block(row) for row in session.execute(query)]


def find(session: Session, block_id: int) -> Block:
    """One block. Raises NotFoundError."""
    row = session.execute(_BLOCKS.where(_blocks.c.id == block_id)).one_or_none()
    if row is None:
        raise NotFoundError("block", str(block_id), "See: radicale-shared guard list --all")
    return _block(row)


def _block(row: AnyRow) -> Block:
    return Block(
        id=row.id,
        book_id=row.book_id,
        book=f"{row.home}/{row.slug}",
        source=row.source,
        first_revision=row.first_revision,
        actor=row.actor,
        device=row.device,
        address=row.address,
        user_agent=row.user_agent,
        destroyed=row.destroyed,
        of_cards=row.of_cards,
        began_at=row.began_at,
        at=row.at,
        until_at=row.until_at,
        released_at=row.released_at,
        released_by=row.released_by,
        reverted_act_id=row.reverted_act_id,
    )


def release(session: Session, block_id: int, *, by: Actor) -> Block:
    """Let a stopped source go on; it begins at nothing. Raises NotFoundError, NotAllowedHereError if it has ended."""
    block = find(session, block_id)
    if not books.lock(session, block.book_id):
        raise NotFoundError("book", block.book)
    done = session.execute(
        update(_blocks)
        .where(_blocks.c.id == block_id, _blocks.c.released_at.is_(None), _blocks.c.until_at > now())
        .values(released_at=now(), released_by=by.name[:320])
    )
    if not done.rowcount:  # type: ignore[attr-defined]  # an UPDATE's result is a CursorResult
        raise NotAllowedHereError(f"Block {block_id} has ended.")
    reason = f"block {block_id} of {block.who}"
    changes.begin(session, "guard-release", by, book_id=block.book_id, reason=reason)
    return find(session, block_id)


def selection(session: Session, block: Block) -> Selection:
    """What reverting a block takes back: what its source destroyed before it was stopped.

    Raises NotAllowedHereError where there is nothing.
    """
    columns = _destructions.c
    query = select(columns.revision).where(
        columns.book_id == block.book_id,
        is_of(block.source),
        columns.revision >= block.first_revision,
        columns.at <= block.at,
    )
    found = frozenset(session.scalars(query))
    if not found:
        raise NotAllowedHereError(f"Before block {block.id} nothing was destroyed, or it isn't known any more.")
    return Selection(book_id=block.book_id, revisions=found)


def revert(
    db: Database,
    block: Block,
    *,
    by: Actor,
    opened: Opens = undo.as_administrator,
    seen: Callable[[Step], None] | None = None,
) -> Outcome:
    """Bring back what a source destroyed before it was stopped, without undoing what others did since: an undo.

    opened, seen: as ``undo.run`` takes them

    Raises as that, and NotAllowedHereError where nothing is to be brought back.
    """
    with db.read() as session:
        selected = selection(session, block)
    reason = f"block {block.id}: what {block.who} deleted or emptied"
    outcome = undo.run(db, selected, by=by, reason=reason, opened=opened, seen=seen)
    if outcome.acts:
        with db.write(block.book_id) as session:
            session.execute(update(_blocks).where(_blocks.c.id == block.id).values(reverted_act_id=outcome.acts[0]))
    return outcome

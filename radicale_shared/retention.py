"""How long what was is kept: the history of books, and books in the trash; and removing what is older.

Nothing that clients sync by is removed: ``sync`` and ``homes`` read cards and never the history. Of a book's history
the oldest revisions go, up to the first that is young enough. So what stays has no gaps, and the state of each card
after each revision of it can be told (``history.state_after``).

The states of a card follow one another: a change begins with the bytes that the one before it ended with. So of the
changes that go, all bytes go with them, but those that the last of them ended with: with these the next change begins,
or they are the card's present ones.

All is done in short transactions, each of which leaves a database that is whole, and the next run goes on where one was
stopped. A book that was in the trash for long enough is marked first, so that nobody brings back a half of it.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from sqlalchemy import ColumnElement, bindparam, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from . import bodies, books, changes, entry_rows, slices
from .bodies import Forgotten
from .changes import Actor
from .database import Database
from .errors import NotAllowedHereError
from .models import Act, AnyRow, Block, Card, Change, CleanUp, DatabaseState, Destruction, Undo, now, table
from .models import Book as BookTable

BY = Actor(None, "retention", device="retention")
# The guard's own notes: of what it counted, unless it stopped somebody for it, and of whom it stopped.
_COUNTED_FOR = timedelta(days=1)
_BLOCKS_FOR = timedelta(days=90)
_AT_ONCE = 20
# Who prunes each day never pauses for so long. A clock that jumped ahead looks like it, and would remove everything.
_LONGEST_PAUSE = timedelta(days=30)
_FOREVER = datetime.max.replace(tzinfo=UTC)
_NEVER = datetime.min.replace(tzinfo=UTC)

_logger = logging.getLogger(__name__)

_books, _cards, _changes, _acts = table(BookTable).c, table(Card).c, table(Change).c, table(Act).c
_ALL = select(
    *(_books.id, _books.mount, _books.name, _books.history_days, _books.trash_days),
    *(_books.deleted_at, _books.purged_at),
).order_by(_books.id)
_TERMS = select(_books.history_days, _books.trash_days).where(_books.id == bindparam("book"))
# The lock of a book, also of one in the trash, which ``books.lock`` doesn't take.
_LOCKED = update(table(BookTable)).values(revision=_books.revision).returning(_books.id)
_FORGOTTEN = (
    update(table(BookTable))
    .where(_books.id == bindparam("book"))
    .where(
        or_(_books.forgotten_at.is_(None), _books.forgotten_at < bindparam("youngest", type_=_books.forgotten_at.type))
    )
    .values(forgotten_at=bindparam("youngest", type_=_books.forgotten_at.type))
)
_OLDEST = (
    select(
        *(_changes.id, _changes.card_id, _changes.revision, _changes.act_id, _acts.at),
        *(_changes.before_id, _changes.after_id, _changes.received_id),
    )
    .join_from(table(Change), table(Act), _acts.id == _changes.act_id)
    .where(_changes.book_id == bindparam("book"), _changes.revision > bindparam("after"))
    .order_by(_changes.revision)
    .limit(bindparam("most"))
)
_CARDS = (
    select(_cards.id, _cards.body_id, _cards.deleted, _cards.size)
    .where(_cards.book_id == bindparam("book"))
    .order_by(_cards.revision)
    .limit(bindparam("most"))
)
_has_changes = exists().where(_changes.act_id == _acts.id)
# It is gone on with by its act.
_is_unfinished = exists().where(Undo.act_id == _acts.id, ~Undo.finished)
_BARE_ACTS = (
    select(_acts.id, _acts.at)
    .where(_acts.at < bindparam("until"), ~_has_changes, ~_is_unfinished)
    .where(
        _acts.at >= bindparam("from_at"),
        or_(_acts.at > bindparam("from_at"), _acts.id > bindparam("from_id")),
    )
    .order_by(_acts.at, _acts.id)
    .limit(bindparam("most"))
)


@dataclass(frozen=True, slots=True)
class Terms:
    """How many days a book's history is kept, and the book itself in the trash; None: as the settings say."""

    history_days: int | None = None
    trash_days: int | None = None


@dataclass(slots=True)
class Pruned:
    """What was removed, or would be.

    changes: what deeds did to cards
    deeds: deeds that did nothing to cards, such as grants; those of the changes are not among them
    states: of cards
    large: long lines that belonged to these states alone
    bytes: of both
    books: addresses of the books in the trash
    """

    changes: int = 0
    deeds: int = 0
    states: int = 0
    large: int = 0
    bytes: int = 0
    books: list[str] = field(default_factory=list)


def terms_of(session: Session, book_id: int) -> Terms:
    """What a book says of itself."""
    return Terms(*session.execute(_TERMS, {"book": book_id}).one())


def set_terms(session: Session, book: books.Book, terms: Terms, *, by: Actor) -> None:
    """Let a book be kept by these terms from now on; it's a deed of its history."""
    session.execute(
        update(table(BookTable))
        .where(_books.id == book.id)
        .values(history_days=terms.history_days, trash_days=terms.trash_days)
    )
    said = (("history", terms.history_days), ("trash", terms.trash_days))
    told = [f"{what} {'default' if days is None else f'{days} days'}" for what, days in said]
    changes.begin(session, "retention", by, book_id=book.id, reason=", ".join(told))


def pruned_at(session: Session) -> datetime | None:
    """When everything that was too old had been removed last; None for never."""
    return session.scalars(select(DatabaseState.pruned_at)).one()


def prune(
    db: Database,
    keep_days: int,
    trash_days: int,
    *,
    at: datetime | None = None,
    dry_run: bool = False,
    clock_is_right: bool = False,
) -> Pruned:
    """Remove the history that is older than its book's terms say, and books that were in the trash for longer.

    keep_days, trash_days: for books without terms of their own, and for deeds on no book
    at: the present, if it is to be another
    dry_run: only count
    clock_is_right: also if the last run was very long ago by this machine's clock

    Raises NotAllowedHereError where it was, and nobody says so: nothing was removed then. BusyError where there is no
    turn to write: what was removed until then stays removed, the rest is for the next run.
    """
    at = at or now()
    run = _Run(db, dry_run=dry_run)
    with db.read() as session:
        last = pruned_at(session)
        if last is not None and at - last > _LONGEST_PAUSE and not clock_is_right and not dry_run:
            raise NotAllowedHereError(
                f"By this machine's clock it is {at:%Y-%m-%d}, and nothing was removed since {last:%Y-%m-%d}. A clock "
                "that is wrong would remove what is still to be kept. If it is right: "
                "radicale-shared history prune --clock-is-right"
            )
        found = session.execute(_ALL).all()
    for book in found:
        if book.deleted_at is not None:
            until = _before(at, book.trash_days or trash_days)
            if (book.purged_at is not None or book.deleted_at < until) and run.erase(book, until):
                continue
        until = _before(at, book.history_days or keep_days)
        run.remove_history(book.id, until)
        if book.history_days is not None:
            run.remove_bare_acts(until, _acts.book_id == book.id)
    own_terms = select(_books.id).where(_books.history_days.is_not(None))
    run.remove_bare_acts(_before(at, keep_days), or_(_acts.book_id.is_(None), _acts.book_id.not_in(own_terms)))
    pruned = run.done()
    if not dry_run:
        with db.write() as session:
            _remove_notes_of_the_guard(session, at)
            session.execute(update(table(DatabaseState)).values(pruned_at=at))
        _logger.info(
            "%d changes, %d deeds and %d books were old enough and are removed, with %d bytes of cards",
            *(pruned.changes, pruned.deeds, len(pruned.books), pruned.bytes),
        )
    return pruned


def _before(at: datetime, days: int) -> datetime:
    try:
        return at - timedelta(days=days)
    except OverflowError:
        return _NEVER


class _Run:
    """What one run removes, slice by slice, and how much that is."""

    def __init__(self, db: Database, *, dry_run: bool) -> None:
        self._db = db
        self._dry_run = dry_run
        self._pruned = Pruned()
        # Of a dry run: how many states that would go have a long line, by its id.
        self._with_large: Counter[int] = Counter()

    def done(self) -> Pruned:
        """What was removed, or would be."""
        if self._with_large:
            with self._db.read() as session:
                self._count(bodies.large_of_these_alone(session, self._with_large))
        return self._pruned

    def erase(self, book: AnyRow, until: datetime) -> bool:
        """Erase a book that has been in the trash since before ``until``; False if it isn't there any more.

        From the first step on it is nobody's: it can't come back without what is gone of it already.
        """
        address = books.address_of(book.mount)
        if self._dry_run:
            self._count_book(book.id)
        else:
            with self._db.write(book.id) as session:
                is_due = or_(_books.deleted_at < until, _books.purged_at.is_not(None))
                marked = update(table(BookTable)).where(_books.id == book.id, _books.deleted_at.is_not(None), is_due)
                purged_at = func.coalesce(_books.purged_at, now())
                if session.execute(marked.values(purged_at=purged_at).returning(_books.id)).one_or_none() is None:
                    return False
            self.remove_history(book.id, _FOREVER)
            while self._slice_of_cards(book.id):
                slices.pause()
            with self._db.write(book.id) as session:
                erased = delete(table(BookTable)).where(_books.id == book.id).returning(_books.id)
                if session.execute(erased).one_or_none() is None:
                    return True  # by another run
                changes.begin(session, "purge-book", BY, book_id=None, reason=f"{address}, {book.name}")
        self._pruned.books.append(address)
        return True

    def remove_history(self, book_id: int, until: datetime) -> None:
        """Remove a book's oldest revisions, up to the first of a deed that isn't older than ``until``."""
        upto = 0
        while True:
            after = upto
            with self._db.read() as session:
                rows = _older(session, book_id, until, after)
            if not rows:
                return
            upto = rows[-1].revision
            if self._dry_run:
                self._pruned.changes += len(rows)
                with self._db.read() as session:
                    self._count_states(session, _bytes_of(session, rows))
                continue
            with self._db.write(book_id) as session:
                session.execute(_LOCKED.where(_books.id == book_id))
                # Another run may have removed them meanwhile.
                rows = [row for row in _older(session, book_id, until, after) if row.revision <= upto]
                for some in slices.taken(_portions(rows)):
                    self._remove(session, book_id, some)
                    upto = some[-1].revision
            slices.pause()

    def _remove(self, session: Session, book_id: int, oldest: Sequence[AnyRow]) -> None:
        unneeded = _bytes_of(session, oldest)
        session.execute(_FORGOTTEN, {"book": book_id, "youngest": max(row.at for row in oldest)})
        session.execute(delete(table(Change)).where(_changes.id.in_([row.id for row in oldest])))
        self._count(bodies.forget(session, unneeded))
        _remove_bare_acts(session, {row.act_id for row in oldest})
        self._pruned.changes += len(oldest)

    def remove_bare_acts(self, until: datetime, which: ColumnElement[bool]) -> None:
        """Remove the older deeds that did nothing to cards, or whose changes are gone; not those that go on."""
        from_at, from_id = _NEVER, 0
        query = _BARE_ACTS.where(which)
        while True:
            values = {"until": until, "from_at": from_at, "from_id": from_id, "most": slices.MOST_CARDS}
            with self._db.read() as session:
                rows = session.execute(query, values).all()
            if not rows:
                return
            from_id, from_at = rows[-1]
            self._pruned.deeds += len(rows)
            if not self._dry_run:
                with self._db.write() as session:
                    _remove_bare_acts(session, {row.id for row in rows})
                slices.pause()

    def _slice_of_cards(self, book_id: int) -> bool:
        """Erase some cards of a book that has no history any more; whether there were any."""
        with self._db.write(book_id) as session:
            session.execute(_LOCKED.where(_books.id == book_id))
            rows = session.execute(_CARDS, {"book": book_id, "most": slices.MOST_CARDS}).all()
            for some in slices.taken(_portions(rows)):
                live = [row for row in some if not row.deleted]
                self._count(bodies.forget(session, {row.body_id for row in live}))
                entry_rows.forget(session, book_id, [row.id for row in some])
                session.execute(delete(table(Card)).where(_cards.id.in_([row.id for row in some])))
                books.grown(session, book_id, -len(live), -sum(row.size for row in live))
        return bool(rows)

    def _count(self, forgotten: Forgotten) -> None:
        self._pruned.states += forgotten.states
        self._pruned.large += forgotten.large
        self._pruned.bytes += forgotten.bytes

    def _count_states(self, session: Session, body_ids: set[int]) -> None:
        sizes = bodies.sizes(session, body_ids)
        self._count(Forgotten(len(sizes), 0, sum(size for _, size in sizes)))
        self._with_large.update(large_id for large_id, _ in sizes if large_id is not None)

    def _count_book(self, book_id: int) -> None:
        with self._db.read() as session:
            self._count(bodies.of_book(session, book_id))
            query = select(func.count()).select_from(table(Change)).where(_changes.book_id == book_id)
            self._pruned.changes += session.scalars(query).one()


def _portions(rows: Sequence[AnyRow]) -> deque[Sequence[AnyRow]]:
    """Rows in parts that are quickly removed, whatever their bytes are: between two of them a slice may end."""
    return deque(rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE))


def _older(session: Session, book_id: int, until: datetime, after: int) -> list[AnyRow]:
    """A slice of a book's changes after a revision, up to the first whose deed isn't older than ``until``."""
    rows = session.execute(_OLDEST, {"book": book_id, "after": after, "most": slices.MOST_CARDS}).all()
    return list(takewhile(lambda row: row.at < until, rows))


def _bytes_of(session: Session, oldest: Sequence[AnyRow]) -> set[int]:
    """The bodies that go with the oldest changes of a book, which are given in their order.

    Not those that the last change of each card ended with; and, whatever the history says, not a card's present one.
    """
    last = {row.card_id: row.after_id for row in oldest}
    found = {body_id for row in oldest for body_id in (row.before_id, row.after_id, row.received_id)}
    present = session.scalars(select(_cards.body_id).where(_cards.id.in_(list(last)))).all()
    return found - set(last.values()) - set(present) - {None}


def _remove_bare_acts(session: Session, act_ids: set[int]) -> None:
    session.execute(delete(table(Act)).where(_acts.id.in_(sorted(act_ids)), ~_has_changes, ~_is_unfinished))


def _remove_notes_of_the_guard(session: Session, at: datetime) -> None:
    """What the guard noted and needs no more. What it counted before a block is what reverting it brings back."""
    block, destruction = table(Block).c, table(Destruction).c
    ended_at = func.coalesce(block.released_at, block.until_at)
    session.execute(delete(table(Block)).where(ended_at < at - _BLOCKS_FOR))
    led_to_a_block = exists().where(
        block.book_id == destruction.book_id,
        or_(block.source == destruction.source, block.source == destruction.person),
        *(block.first_revision <= destruction.revision, block.at >= destruction.at),
    )
    session.execute(delete(table(Destruction)).where(destruction.at < at - _COUNTED_FOR, ~led_to_a_block))
    session.execute(delete(table(CleanUp)).where(table(CleanUp).c.until_at < at))

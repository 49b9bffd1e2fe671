"""Undo: taking back acts, what a device or a person did, a card, a property, or everything since a moment.

An undo is an act like any other: it syncs natively, is in the history, and can be taken back. It goes over its cards in
transactions so short that others hardly notice, and notes in ``undos`` how far it has come; asked for again in the same
words after a crash, it goes on there. What is to be done with a card is worked out before the book's lock is taken
(``undo_plan``), for the state the card has at that moment; if that has changed by then, once more.

The guard counts nothing of it, and no quota stops it: what comes back was within it once, and else a book that others
filled meanwhile could not be healed.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from . import access, books, cards, changes, lanes, slices, undo_books, undo_plan
from .access import Access
from .books import Book
from .changes import Actor
from .database import Database
from .errors import NotAllowedHereError, NotFoundError
from .models import Act, Undo, now, table
from .selections import Selection, described
from .undo_plan import KIND, Planned, Step, What

# How long a time that counts from now, as in "the last two hours", names an undo that was interrupted.
_SAME_WORDS = timedelta(days=1)
# A card that others change again and again is at last planned under the book's lock.
_MOST_TRIES = 3
_ALL = 2**63 - 1

_undos = table(Undo)


@dataclass(slots=True)
class Outcome:
    """What an undo did; right after an interruption too.

    acts: of each book in which something was written, its undo, in the order of the books
    resumed: those of them that an earlier run had begun
    counts: of the steps; conflicts: cards of which something was not taken back
    skipped: (address, why) of books that were left out
    """

    acts: list[int] = field(default_factory=list)
    resumed: list[int] = field(default_factory=list)
    counts: Counter[What] = field(default_factory=Counter)
    conflicts: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def count(self, step: Step) -> None:
        """Note what was done."""
        self.counts[step.what] += 1
        self.conflicts += bool(step.why or step.conflicts)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An undo that was interrupted; asking for it again in the same words finishes it."""

    act_id: int
    at: datetime
    actor: str
    book: str
    reason: str


Opens = Callable[[Session, Book], Access]


def as_administrator(_session: Session, book: Book) -> Access:
    """Everything, as the administrator may."""
    return access.administrator(book)


def plan(session: Session, selection: Selection, *, outcome: Outcome | None = None) -> Iterator[Step]:
    """What ``run`` would do at this moment, step by step.

    session: of ``Database.snapshot``: the cards are read as they are asked for
    outcome: is told what would be done, the books that would be left out, and the undos that would be gone on with

    Raises as ``run``.
    """
    told = outcome or Outcome()
    upto, deeds, some = _meant(session, selection, told.skipped)
    for deed in deeds:
        step = undo_books.step(session, deed)
        told.count(step)
        yield step
    for book in some:
        begun = _begun(session, selection, book.id)
        if begun:
            told.resumed.append(begun.act_id)
        its = begun or _Begun(0, selection, upto, 0)
        for step in undo_plan.every(session, its.selection, book.id, book.address, its.upto, after=its.after):
            told.count(step)
            yield step


def run(
    db: Database,
    selection: Selection,
    *,
    by: Actor,
    reason: str = "",
    opened: Opens = as_administrator,
    seen: Callable[[Step], None] | None = None,
) -> Outcome:
    """Take back the selected changes, in each book as one act, as far as others' later work allows.

    reason: for people; without, ``described``
    opened: what ``by`` may do with a book, asked anew in each slice's transaction; raises where they may not
    seen: is told each step that is committed, with its differences

    Raises WrongValueError for a selection of everything, NotFoundError where nothing is selected, NotAllowedHereError
    for what can't be taken back so (a mirrored book, one in the trash, a deed that changed no card), and what
    ``opened`` and the database raise: what was committed stays then.
    """
    outcome = Outcome()
    with db.read() as session:
        upto, deeds, some = _meant(session, selection, outcome.skipped)
    for deed in deeds:
        step = undo_books.take_back(db, deed, by=by)
        outcome.count(step)
        if seen is not None:
            seen(step)
    for book in some:
        _Run(db, selection, book, by, reason or described(selection), opened, seen, outcome).go(upto)
    return outcome


def _meant(
    session: Session, selection: Selection, skipped: list[tuple[str, str]]
) -> tuple[int, list[undo_books.Deed], list[Book]]:
    """(the newest change that counts; deeds that made or deleted a book; books with cards to work on)."""
    selection.require_some()
    upto = undo_plan.last_change(session)
    deeds = undo_books.deeds(session, selection)
    return upto, deeds, undo_books.chosen(session, selection, upto, skipped, required=not deeds)


def finish(db: Database, act_id: int, *, by: Actor, seen: Callable[[Step], None] | None = None) -> Outcome:
    """Go on with an undo that was interrupted, whatever its words were. Raises NotFoundError for any other act."""
    with db.read() as session:
        query = select(Undo.spec, Act.book_id).join(Act, Act.id == Undo.act_id)
        row = session.execute(query.where(Undo.act_id == act_id, ~Undo.finished)).one_or_none()
        if row is None:
            raise NotFoundError("unfinished undo", str(act_id), "See: radicale-shared history undo --list-unfinished")
        book = books.by_id(session, row.book_id)
    if refused := undo_books.refused(book):
        raise NotAllowedHereError(f"{book.address!r} {refused}")
    outcome = Outcome()
    _Run(db, Selection.of(json.loads(row.spec)), book, by, "", as_administrator, seen, outcome, act_id).go(0)
    return outcome


def unfinished(session: Session) -> list[Unfinished]:
    """The undos that were interrupted, or are under way, oldest first."""
    query = (
        select(Act.id, Act.at, Act.actor, Act.book_id, Act.reason)
        .join(Undo, Undo.act_id == Act.id)
        .where(~Undo.finished)
        .order_by(Act.id)
    )
    return [
        Unfinished(row.id, row.at, row.actor, book.address, row.reason)
        for row in session.execute(query).all()
        if (book := undo_books.present(session, row.book_id)) is not None
    ]


class _Begun(NamedTuple):
    """An undo that was interrupted. upto: the newest change that it counts; after: cards up to here are done."""

    act_id: int
    selection: Selection
    upto: int
    after: int


def _begun(session: Session, selection: Selection, book_id: int, act_id: int = 0) -> _Begun | None:
    """The interrupted undo of a book that was asked for in the same words, or with an act, that one."""
    query = (
        select(Undo.act_id, Undo.spec, Undo.upto_card_id, Act.at)
        .join(Act, Act.id == Undo.act_id)
        .where(~Undo.finished, Act.book_id == book_id)
        .order_by(Act.id.desc())
    )
    for row in session.execute(query.where(Undo.act_id == act_id) if act_id else query).all():
        told = json.loads(row.spec)
        begun = Selection.of(told)
        if begun == selection or (row.at > now() - _SAME_WORDS and begun.is_named_as(selection)):
            return _Begun(row.act_id, begun, told["upto"], row.upto_card_id)
    return None


@dataclass
class _Run:
    """One undo in one book."""

    db: Database
    selection: Selection
    book: Book
    by: Actor
    reason: str
    opened: Opens
    seen: Callable[[Step], None] | None
    outcome: Outcome
    act_id: int = 0
    upto: int = 0
    after: int = 0
    _tries: int = 0
    # Done before their turn, as another card needed their UID.
    _early: dict[int, Step] = field(default_factory=dict)

    def go(self, upto: int) -> None:
        """All slices. Raises as ``run``."""
        self.upto = upto
        with self.db.read() as session:
            if begun := _begun(session, self.selection, self.book.id, self.act_id):
                self.act_id, self.selection, self.upto, self.after = begun
            ids = undo_plan.card_ids(session, self.selection, self.book.id, self.upto, after=self.after)
        if self.act_id:
            self.outcome.acts.append(self.act_id)
            self.outcome.resumed.append(self.act_id)
        for ahead in slices.read_ahead(self._planned(ids), lambda one: one.size):
            while ahead:
                self._slice(ahead)
                with lanes.left():
                    slices.pause()
        if self.act_id:
            with self.db.write(self.book.id) as session:
                session.execute(update(_undos).where(_undos.c.act_id == self.act_id).values(finished=True))

    def _planned(self, ids: list[int]) -> Iterator[Planned]:
        """What to do with each card; no connection is kept while others work on it."""
        for start in range(0, len(ids), undo_plan.AT_A_TIME):
            with self.db.read() as session:
                some = undo_plan.found(session, self.selection, ids[start : start + undo_plan.AT_A_TIME], self.upto)
            for one in some:
                lanes.give_way()
                with self.db.read() as session:
                    step = self._plan(session, one)
                yield step

    def _plan(self, session: Session, one: undo_plan.Found) -> Planned:
        told = self.seen is not None
        return undo_plan.planned(session, self.selection, one, self.book.id, self.book.address, self.upto, told=told)

    def _still(self, session: Session, one: Planned) -> Planned:
        return undo_plan.still(session, self.selection, one, self.upto, told=self.seen is not None)

    def _slice(self, ahead: deque[Planned]) -> None:
        """One transaction. It ends before a card that is no longer as it was found, which is planned anew then."""
        done: list[Step] = []
        stale: Planned | None = None
        with self.db.write(self.book.id) as session:
            allowed = self.opened(session, books.by_id(session, self.book.id))
            if not books.lock(session, self.book.id):
                raise NotFoundError("book", self.book.address)
            after = self._done(session)
            present = undo_plan.revisions(session, [one.found.card_id for one in ahead])
            act_id = self.act_id
            for one in slices.taken(ahead):
                card_id = one.found.card_id
                if card_id <= after:
                    continue  # done by another process, that was asked for the same
                if (early := self._early.pop(card_id, None)) is not None:
                    done.append(early)
                    after = card_id
                    continue
                is_stale = present.get(card_id) != one.found.revision
                if is_stale and self._tries < _MOST_TRIES:
                    stale = one
                    break
                settled = self._still(session, self._again(session, one) if is_stale else one)
                if settled.writes:
                    act_id = act_id or self._begin(session)
                    if settled.first is not None:
                        self._write(session, allowed, settled.first, act_id)
                        self._early[settled.first.found.card_id] = settled.first.step
                    self._write(session, allowed, settled, act_id)
                done.append(settled.step)
                after = card_id
            if act_id and done:
                session.execute(update(_undos).where(_undos.c.act_id == act_id).values(upto_card_id=after))
        if act_id and not self.act_id:
            self.act_id = act_id
            self.outcome.acts.append(act_id)
        for step in done:
            self.outcome.count(step)
            if self.seen is not None:
                self.seen(step)
        self._tries = self._tries + 1 if stale else 0
        if stale:
            with self.db.read() as session:
                ahead.appendleft(self._again(session, stale))

    def _done(self, session: Session) -> int:
        """Up to which card the act is done, by whatever process."""
        if not self.act_id:
            return 0
        row = session.execute(select(Undo.upto_card_id, Undo.finished).where(Undo.act_id == self.act_id)).one()
        return _ALL if row.finished else row.upto_card_id

    def _begin(self, session: Session) -> int:
        act_id = changes.begin(session, KIND, self.by, book_id=self.book.id, reason=self.reason)
        # An undo that is taken back before it came to its end has come to it.
        session.execute(update(_undos).where(_undos.c.act_id.in_(self.selection.acts)).values(finished=True))
        spec = json.dumps({**self.selection.facts(), "upto": self.upto})
        session.execute(insert(_undos).values(act_id=act_id, spec=spec, upto_card_id=0, finished=False))
        return act_id

    def _write(self, session: Session, allowed: Access, one: Planned, act_id: int) -> None:
        href, card = one.found.href, one.card
        if card is None or one.renamed:
            cards.remove(session, allowed, href, by=self.by, act_id=act_id, kind=KIND, policy=None)
        if card is not None:
            secret = self.db.secret
            cards.put(session, allowed, href, card, secret=secret, by=self.by, act_id=act_id, kind=KIND, policy=None)

    def _again(self, session: Session, one: Planned) -> Planned:
        """What to do with a card as it is now."""
        (fresh,) = undo_plan.found(session, self.selection, [one.found.card_id], self.upto)
        return self._plan(session, fresh)

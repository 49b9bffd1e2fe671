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

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from . import access, books, cards, changes, lanes, slices, undo_plan
from .access import Access
from .books import Book
from .changes import Actor
from .database import Database
from .errors import NotAllowedHereError, NotFoundError, WrongValueError
from .models import Act, Change, Undo, now, table
from .selections import Selection, described, one_device
from .undo_plan import Planned, Step, What

__all__ = [
    "Opened",
    "Outcome",
    "Selection",
    "Step",
    "Unfinished",
    "What",
    "described",
    "finish",
    "one_device",
    "plan",
    "run",
    "unfinished",
]

KIND = "undo"
# How long a time that counts from now, as in "the last two hours", names an undo that was interrupted.
_SAME_WORDS = timedelta(days=1)
# A card that others change again and again is at last planned under the book's lock.
_MOST_TRIES = 3
_ALL = 2**63 - 1

_undos = table(Undo)
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


Opened = Callable[[Session, Book], Access]


def _as_administrator(_session: Session, book: Book) -> Access:
    return access.administrator(book)


def plan(session: Session, selection: Selection, *, skipped: list[tuple[str, str]] | None = None) -> Iterator[Step]:
    """What ``run`` would do at this moment, step by step.

    session: of ``Database.snapshot``: the cards are read as they are asked for
    skipped: is told the books that would be left out

    Raises as ``run``.
    """
    upto = undo_plan.last_change(session)
    deeds = _deeds_on_books(session, selection)
    some = _books(session, selection, upto, skipped if skipped is not None else [], required=not deeds)
    for act_id, kind, book in deeds:
        yield _of_book(session, act_id, kind, book)
    for book in some:
        yield from undo_plan.every(session, selection, book.id, book.address, upto)


def run(
    db: Database,
    selection: Selection,
    *,
    by: Actor,
    reason: str = "",
    opened: Opened = _as_administrator,
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
        upto = undo_plan.last_change(session)
        deeds = _deeds_on_books(session, selection)
        some = _books(session, selection, upto, outcome.skipped, required=not deeds)
    for act_id, kind, book in deeds:
        with db.write(book.id) as session:
            step = _of_book(session, act_id, kind, books.by_id(session, book.id))
            if step.what is What.RESTORED:
                books.undelete(session, books.by_id(session, book.id), by=by)
            elif step.what is What.DELETED:
                books.trash(session, books.by_id(session, book.id), by=by)
        outcome.count(step)
        if seen is not None:
            seen(step)
    for book in some:
        _Run(db, selection, book, by, reason or described(selection), opened, seen, outcome).go(upto)
    return outcome


def finish(
    db: Database,
    act_id: int,
    *,
    by: Actor,
    opened: Opened = _as_administrator,
    seen: Callable[[Step], None] | None = None,
) -> Outcome:
    """Go on with an undo that was interrupted, whatever its words were. Raises NotFoundError for any other act."""
    with db.read() as session:
        query = select(Undo.spec, Act.book_id).join(Act, Act.id == Undo.act_id)
        row = session.execute(query.where(Undo.act_id == act_id, ~Undo.finished)).one_or_none()
        if row is None:
            raise NotFoundError("unfinished undo", str(act_id), "See: radicale-shared history undo --list-unfinished")
        book = books.by_id(session, row.book_id)
    if refused := _refused(book):
        raise NotAllowedHereError(f"{book.address!r} {refused}")
    outcome = Outcome()
    _Run(db, Selection.of(json.loads(row.spec)), book, by, "", opened, seen, outcome).go(0)
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
        if (book := _book(session, row.book_id)) is not None
    ]


def _book(session: Session, book_id: int | None) -> Book | None:
    """The book with this id; None for one that was erased, of which something may still be there."""
    try:
        return None if book_id is None else books.by_id(session, book_id)
    except NotFoundError:
        return None


def _books(
    session: Session, selection: Selection, upto: int, skipped: list[tuple[str, str]], *, required: bool
) -> list[Book]:
    """The books to work on; the others go to ``skipped``. Raises as ``run``."""
    found = [book for one in undo_plan.book_ids(session, selection, upto) if (book := _book(session, one)) is not None]
    if not found and required:
        raise NotFoundError("change", described(selection), "See: radicale-shared history show")
    for book in found:
        begins = changes.kept_from(session, book.id) if selection.as_of is not None else None
        if selection.as_of is not None and begins is not None and selection.as_of < begins:
            hint = f"The history of {book.address} is kept since {begins:%Y-%m-%d %H:%M} UTC only."
            raise NotFoundError("state", f"as of {selection.as_of:%Y-%m-%d %H:%M} UTC", hint)
    left_out = [(book, why) for book in found if (why := _refused(book))]
    if len(left_out) == len(found) and found and required:
        raise NotAllowedHereError(f"{left_out[0][0].address!r} {left_out[0][1]}")
    skipped += [(book.address, why) for book, why in left_out]
    return [book for book in found if not _refused(book)]


def _refused(book: Book) -> str:
    if book.deleted_at is not None:
        return "is in the trash; bring it back first: radicale-shared book undelete"
    if book.mirrored_from:
        return f"shows the people of the directory {book.mirrored_from!r}, which alone writes it."
    return ""


def _deeds_on_books(session: Session, selection: Selection) -> list[tuple[int, str, Book]]:
    """(act, kind, book) of the selected deeds that made or deleted a book; where acts are named, and in no one book.

    Raises NotFoundError for an act that isn't there, NotAllowedHereError for one that changed no card, and is neither.
    """
    if selection == Selection(book_id=selection.book_id, properties=selection.properties, typed=selection.typed):
        raise WrongValueError("Say what is to be taken back: acts, a device, a person, a card, or a time.")
    if (selection.href or selection.revisions) and selection.book_id is None:
        raise WrongValueError("A card is named with its book.")
    if not selection.acts or selection.book_id is not None:
        return []
    has_changes = select(Change.id).where(Change.act_id == Act.id).exists().label("has_changes")
    query = select(Act.id, Act.kind, Act.book_id, has_changes).where(Act.id.in_(sorted(selection.acts)))
    rows = {row.id: row for row in session.execute(query)}
    if missing := sorted(selection.acts - rows.keys()):
        raise NotFoundError("act", str(missing[0]), "See: radicale-shared history show")
    found = []
    for act_id, row in sorted(rows.items(), reverse=True):
        book = _book(session, row.book_id)
        if row.kind in {"create-book", "delete-book"} and book is not None:
            found.append((act_id, row.kind, book))
        elif not row.has_changes:
            command = _COMMANDS.get(row.kind)
            how = f"Take it back with: radicale-shared {command}" if command else "It can't be taken back."
            raise NotAllowedHereError(f"The act {act_id} ({row.kind}) changed no card. {how}")
    return found


def _of_book(session: Session, act_id: int, kind: str, book: Book) -> Step:
    """What becomes of a book that was made or deleted by an act."""
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


@dataclass
class _Run:
    """One undo in one book."""

    db: Database
    selection: Selection
    book: Book
    by: Actor
    reason: str
    opened: Opened
    seen: Callable[[Step], None] | None
    outcome: Outcome
    act_id: int = 0
    upto: int = 0
    after: int = 0
    _tries: int = 0

    def go(self, upto: int) -> None:
        """All slices. Raises as ``run``."""
        self.upto = upto
        with self.db.read() as session:
            self._resume(session)
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

    def _resume(self, session: Session) -> None:
        """Go on with the act of an earlier run that was asked for in the same words."""
        query = (
            select(Undo.act_id, Undo.spec, Undo.upto_card_id, Act.at)
            .join(Act, Act.id == Undo.act_id)
            .where(~Undo.finished, Act.book_id == self.book.id)
            .order_by(Act.id.desc())
        )
        for act_id, spec, upto_card_id, at in session.execute(query).all():
            told = json.loads(spec)
            begun = Selection.of(told)
            if begun == self.selection or (at > now() - _SAME_WORDS and begun.is_named_as(self.selection)):
                self.act_id, self.selection, self.upto, self.after = act_id, begun, told["upto"], upto_card_id
                return

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
        return undo_plan.planned(session, self.selection, one, self.book.id, self.book.address, told=told)

    def _slice(self, ahead: deque[Planned]) -> None:
        """One transaction. It ends before a card that is no longer as it was found, which is planned anew then."""
        done: list[Step] = []
        stale: Planned | None = None
        with self.db.write(self.book.id) as session:
            allowed = self.opened(session, books.by_id(session, self.book.id))
            if not books.next_revision(session, self.book.id, by=0):
                raise NotFoundError("book", self.book.address)
            after = self._done(session)
            present = undo_plan.revisions(session, [one.found.card_id for one in ahead])
            act_id = self.act_id
            for one in slices.taken(ahead):
                card_id = one.found.card_id
                if card_id <= after:
                    continue  # done by another process, that was asked for the same
                is_stale = present.get(card_id) != one.found.revision
                if is_stale and self._tries < _MOST_TRIES:
                    stale = one
                    break
                settled = undo_plan.still(session, self._again(session, one) if is_stale else one)
                if settled.writes:
                    act_id = act_id or self._begin(session)
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

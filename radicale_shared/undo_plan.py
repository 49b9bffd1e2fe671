"""What an undo would do, card by card: decided from the history and the present state, and written by ``undo``.

Of each card every unbroken run of changes that are to be taken back is, newest first, one step back: from what the last
of them made to what was before the first. Nobody's later work is overwritten by it. That a card exists is a value like
any other:

    nobody changed it since             the very bytes of before, or no card
    others changed it since             their work stays; taken back is what they didn't touch (``vcard.take_back``)
    made, and changed by others since   it stays, told as a conflict
    edited, and deleted by others       it stays deleted, told as a conflict
    deleted, and made anew by others    theirs stays, told as a conflict; also if they deleted it once more

What comes back needs its UID. Where another card has it that this same undo takes away, that one goes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, case, func, select
from sqlalchemy.orm import Session

from . import bodies, cards, vcard
from .cards import Checked
from .models import Act, Change
from .models import Card as CardTable
from .selections import Selection
from .statements import Statement
from .vcard import Card, Conflict, Difference

KIND = "undo"
AT_A_TIME = 200
_ANOTHER = "another card is there"


class What(StrEnum):
    """What an undo does to a card."""

    RESTORED = "restored"
    CHANGED = "changed"
    DELETED = "deleted"
    NOTHING = "nothing"
    CONFLICT = "conflict"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of one card, or with an empty href of the book itself.

    book: its address; name: the card's display name, or the book's
    why: a sentence's end for people, where the card stays as it is or something of it had to
    differences: from what is there to what will be
    conflicts: properties of which later work stays: ``kept`` is there, ``lost`` was not brought back; long ones are cut
    """

    book_id: int
    book: str
    href: str
    name: str
    what: What
    why: str = ""
    differences: tuple[Difference, ...] = ()
    conflicts: tuple[Conflict, ...] = ()


class Run(NamedTuple):
    """An unbroken run of a card's changes that are to be taken back.

    before_id, after_id: the bytes before its first change, and after its last
    remade: whether somebody else has made or deleted the card since, other than by an undo
    """

    before_id: int | None
    after_id: int | None
    remade: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A card as a planner finds it, and the runs of changes that are to be taken back, newest first."""

    card_id: int
    href: str
    uid: str
    deleted: bool
    revision: int
    body_id: int | None
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """What to write for a card that is still as it was found.

    card: what it shall be; None: not there
    renamed: the card that is there has another UID
    first: what to write before: of the card that has its UID
    """

    found: Found
    step: Step
    card: Checked | None = None
    renamed: bool = False
    first: Planned | None = None

    @property
    def writes(self) -> bool:
        """Whether anything is to be written."""
        return self.step.what in {What.RESTORED, What.CHANGED, What.DELETED}

    @property
    def size(self) -> int:
        """Bytes, of which only so many are held at a time."""
        return len(self.card.data) if self.card else 0


_LAST = select(func.max(Change.id))
_UID_HELD_BY = Statement(
    select(CardTable.id, CardTable.href).where(
        CardTable.book_id == bindparam("book"),
        CardTable.uid == bindparam("uid"),
        ~CardTable.deleted,
        CardTable.id != bindparam("card"),
    )
)


def last_change(session: Session) -> int:
    """The id of the newest change of all; 0 without any."""
    return session.scalar(_LAST) or 0


def book_ids(session: Session, selection: Selection, upto: int) -> list[int]:
    """The books in which something is to be taken back."""
    query = select(Change.book_id).join(Act, Act.id == Change.act_id).where(*selection.conditions(), Change.id <= upto)
    return sorted(session.scalars(query.distinct()))


def card_ids(session: Session, selection: Selection, book_id: int, upto: int, *, after: int = 0) -> list[int]:
    """The cards of a book of which something is to be taken back, in the order in which that is done.

    upto: the newest change that counts, so that an undo never meets its own; after: cards up to here are done
    """
    query = (
        select(Change.card_id)
        .join(Act, Act.id == Change.act_id)
        .where(*selection.conditions(), Change.book_id == book_id, Change.id <= upto, Change.card_id > after)
    )
    return sorted(session.scalars(query.distinct()))


def found(session: Session, selection: Selection, some: Sequence[int], upto: int) -> list[Found]:
    """Some cards, AT_A_TIME at most, in the order of their ids."""
    conditions = selection.conditions()
    if selection.properties:
        conditions += [Change.before_id.is_not(None), Change.after_id.is_not(None)]
    meant = case((and_(*conditions, Change.id <= upto), 1), else_=0).label("meant")
    changes = (
        select(Change.card_id, Change.before_id, Change.after_id, Act.kind, meant)
        .join(Act, Act.id == Change.act_id)
        .where(Change.card_id.in_(some))
        .order_by(Change.card_id, Change.revision)
    )
    runs: dict[int, list[Run]] = {}
    is_open = 0  # the card whose last change was one of a run
    for card_id, before_id, after_id, kind, is_meant in session.execute(changes):
        if is_meant and is_open == card_id:
            runs[card_id][-1] = runs[card_id][-1]._replace(after_id=after_id)
        elif is_meant:
            runs.setdefault(card_id, []).append(Run(before_id, after_id))
        elif kind != KIND and (before_id is None or after_id is None):
            runs[card_id] = [one._replace(remade=True) for one in runs.get(card_id, ())]
        is_open = card_id if is_meant else 0
    rows = select(CardTable.id, CardTable.href, CardTable.uid, CardTable.deleted, CardTable.revision, CardTable.body_id)
    return [
        Found(*row, runs=tuple(reversed(runs.get(row.id, ()))))
        for row in session.execute(rows.where(CardTable.id.in_(some)).order_by(CardTable.id))
    ]


def planned(
    session: Session, selection: Selection, one: Found, book_id: int, book: str, upto: int, *, told: bool
) -> Planned:
    """What to do with one card.

    upto: as in ``card_ids``
    told: work out the differences too, which only people need
    """
    return still(session, selection, _by_itself(session, selection, one, book_id, book, told=told), upto, told=told)


def _by_itself(session: Session, selection: Selection, one: Found, book_id: int, book: str, *, told: bool) -> Planned:
    """What to do with one card, whatever UIDs are in use."""
    now = bodies.read(session, one.body_id) if one.body_id is not None and not one.deleted else None
    result = _Result(session, one, now)
    for run in one.runs:
        if selection.properties:
            result.take_back_properties(run, selection.properties)
        else:
            result.take_back(run)
    if result.lost:
        return Planned(one, Step(book_id, book, one.href, _name(now), What.IMPOSSIBLE, result.lost))
    what = _what(now, result.data)
    card = cards.check_stored(result.data) if result.data is not None and what is not What.NOTHING else None
    renamed = card is not None and now is not None and one.uid != card.uid
    if what is What.NOTHING and (result.why or result.conflicts):
        what = What.CONFLICT
    differs: tuple[Difference, ...] = ()
    if told and what in {What.RESTORED, What.CHANGED, What.DELETED}:
        differs = vcard.differences(_parsed(now), _parsed(result.data))
    name = _name(result.data if result.data is not None else now)
    step = Step(book_id, book, one.href, name, what, result.why, differs, tuple(result.conflicts))
    return Planned(one, step, card, renamed)


def still(session: Session, selection: Selection, one: Planned, upto: int, *, told: bool) -> Planned:
    """``one``, unless another card of the book has its UID at this moment, and keeps it."""
    holder = _holder(session, one)
    if holder is None:
        return replace(one, first=None)
    card_id, href = holder
    (other,) = found(session, selection, [card_id], upto)
    if other.runs:
        first = _by_itself(session, selection, other, one.step.book_id, one.step.book, told=told)
        if first.step.what is What.DELETED or (first.renamed and _holder(session, first) is None):
            return replace(one, first=first)
    step = replace(one.step, what=What.CONFLICT, why=f"its UID is in use by {href}", differences=())
    return Planned(one.found, step)


def _holder(session: Session, one: Planned) -> Sequence[Any] | None:
    """(id, href) of the other card that has the UID which a card is to get."""
    if one.card is None or (one.step.what is What.CHANGED and not one.renamed):
        return None
    return _UID_HELD_BY.row(session, book=one.step.book_id, uid=one.card.uid, card=one.found.card_id)


def _what(now: bytes | None, then: bytes | None) -> What:
    if now == then:
        return What.NOTHING
    if then is None:
        return What.DELETED
    return What.RESTORED if now is None else What.CHANGED


def _parsed(data: bytes | None) -> Card | None:
    return None if data is None else Card.parse(data)


def _name(data: bytes | None) -> str:
    return "" if data is None else vcard.display_name(Card.parse(data))


class _Result:
    """A card on its way back, run by run.

    why: why the card, or something of it, stays as it is
    lost: why nothing can be said of it at all
    """

    def __init__(self, session: Session, one: Found, now: bytes | None) -> None:
        self._session = session
        self._present = one.body_id, now
        self.data = now
        self.why = ""
        self.lost = ""
        self.conflicts: list[Conflict] = []
        if now is None and not one.deleted:
            self.lost = "its bytes are missing"

    def take_back(self, run: Run) -> None:
        """One run, whole."""
        if self.lost or run.before_id == run.after_id:
            return
        before, after = self._bytes(run.before_id), self._bytes(run.after_id)
        if self.lost or self.data == before:
            return
        if self.data == after and not (run.remade and None in (before, after)):
            self.data = before
        elif before is None or after is None:
            self._take_back_existence(before, after, remade=run.remade)
        elif _alike(before, after):
            pass  # a program wrote it anew, which nobody sees
        elif self.data is None:
            self.why = "it was deleted since"
        elif _one_uid(before, after, self.data):
            self._merge(self.data, before, after, None)
        elif _alike(self.data, after):
            self.data = before
        elif not _alike(self.data, before):
            self.why = _ANOTHER

    def _take_back_existence(self, before: bytes | None, after: bytes | None, *, remade: bool) -> None:
        """That a card was made, or that it was deleted; others made or deleted it since, or changed what is there."""
        if self.data is None:
            if after is None:
                self.why = "it was deleted since"
        elif after is None:
            if before is not None and not _alike(self.data, before):
                self.why = _ANOTHER
        elif remade:
            self.why = _ANOTHER
        elif _alike(self.data, after):
            self.data = None
        else:
            self.why = "it was changed since it was made"

    def take_back_properties(self, run: Run, names: frozenset[str]) -> None:
        """What one run did to some properties."""
        if self.lost or run.before_id == run.after_id:
            return
        before, after = self._bytes(run.before_id), self._bytes(run.after_id)
        if before is None or after is None:
            return
        if _alike(before, after):
            return
        if self.data is None:
            self.why = "it was deleted since"
        elif not _one_uid(before, after, self.data):
            self.why = _ANOTHER
        else:
            self._merge(self.data, before, after, names)

    def _merge(self, now: bytes, before: bytes, after: bytes, names: frozenset[str] | None) -> None:
        merged = vcard.take_back(after, now, before, only_names=names)
        self.data = merged.data
        self.conflicts += (one.short() for one in merged.conflicts)

    def _bytes(self, body_id: int | None) -> bytes | None:
        """The bytes of a state; ``lost`` is set where they are gone."""
        if body_id is None:
            return None
        if body_id == self._present[0]:
            return self._present[1]
        # Not kept: a card may have 10 MB, and as many states as it likes.
        data = bodies.read(self._session, body_id)
        if data is None:
            self.lost = "its earlier state is kept no longer"
        return data


def _one_uid(*states: bytes) -> bool:
    return len({Card.parse(one).uid for one in states}) == 1


def _alike(one: bytes, other: bytes) -> bool:
    """Whether two states say the same."""
    return not vcard.differences(Card.parse(one), Card.parse(other))


def revisions(session: Session, some: Sequence[int]) -> dict[int, int]:
    """The book's revision at the last change of each of some cards, by their ids."""
    rows = session.execute(select(CardTable.id, CardTable.revision).where(CardTable.id.in_(some)))
    return {row.id: row.revision for row in rows}


def every(
    session: Session, selection: Selection, book_id: int, book: str, upto: int, *, after: int = 0
) -> Iterator[Step]:
    """The steps of one book, in order; read as they are asked for, by a ``Database.snapshot``."""
    ids = card_ids(session, selection, book_id, upto, after=after)
    for start in range(0, len(ids), AT_A_TIME):
        for one in found(session, selection, ids[start : start + AT_A_TIME], upto):
            yield planned(session, selection, one, book_id, book, upto, told=True).step

"""What an undo would do, card by card: decided from the history and the present state, and written by ``undo``.

Of each card every unbroken run of changes that are to be taken back is, newest first, one step back: from what the last
of them made to what was before the first. Nobody's later work is overwritten by it. That a card exists is a value like
any other:

    nobody changed it since             the very bytes of before, or no card
    others changed it since             their work stays; taken back is what they didn't touch (``vcard.take_back``)
    made, and changed by others since   it stays, told as a conflict
    edited, and deleted by others       it stays deleted, told as a conflict
    deleted, and made anew by others    theirs stays, told as a conflict
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sqlalchemy import and_, bindparam, case, func, select
from sqlalchemy.orm import Session

from . import bodies, cards, vcard
from .cards import Checked
from .models import Act, Change
from .models import Card as CardTable
from .selections import Selection
from .statements import Statement
from .vcard import Card, Conflict, Difference

AT_A_TIME = 200
_LONGEST_TOLD = 1000  # characters of a conflict's lines, one of which may be a photo
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


@dataclass(frozen=True, slots=True)
class Found:
    """A card as a planner finds it, and the runs of changes that are to be taken back, newest first."""

    card_id: int
    href: str
    uid: str
    deleted: bool
    revision: int
    body_id: int | None
    runs: tuple[tuple[int | None, int | None], ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """What to write for a card that is still as it was found.

    card: what it shall be; None: not there
    renamed: the card that is there has another UID
    """

    found: Found
    step: Step
    card: Checked | None = None
    renamed: bool = False

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
    select(CardTable.href).where(
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
    meant = case((and_(*conditions), 1), else_=0).label("meant")
    changes = (
        select(Change.card_id, Change.before_id, Change.after_id, meant)
        .join(Act, Act.id == Change.act_id)
        .where(Change.card_id.in_(some), Change.id <= upto)
        .order_by(Change.card_id, Change.revision)
    )
    runs: dict[int, list[tuple[int | None, int | None]]] = {}
    is_open = 0  # the card whose last change was one of a run
    for card_id, before_id, after_id, is_meant in session.execute(changes):
        if is_meant and is_open == card_id:
            runs[card_id][-1] = runs[card_id][-1][0], after_id
        elif is_meant:
            runs.setdefault(card_id, []).append((before_id, after_id))
        is_open = card_id if is_meant else 0
    rows = select(CardTable.id, CardTable.href, CardTable.uid, CardTable.deleted, CardTable.revision, CardTable.body_id)
    return [
        Found(*row, runs=tuple(reversed(runs.get(row.id, ()))))
        for row in session.execute(rows.where(CardTable.id.in_(some)).order_by(CardTable.id))
    ]


def planned(session: Session, selection: Selection, one: Found, book_id: int, book: str, *, told: bool) -> Planned:
    """What to do with one card.

    told: work out the differences too, which only people need
    """
    now = bodies.read(session, one.body_id) if one.body_id is not None and not one.deleted else None
    result = _Result(session, one, now)
    for before_id, after_id in one.runs:
        if selection.properties:
            result.take_back_properties(before_id, after_id, selection.properties)
        else:
            result.take_back(before_id, after_id)
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
    return still(session, Planned(one, step, card, renamed))


def still(session: Session, one: Planned) -> Planned:
    """``one``, unless another card of the book has its UID at this moment."""
    if one.card is None or (one.step.what is What.CHANGED and not one.renamed):
        return one
    holder = _UID_HELD_BY.value(session, book=one.step.book_id, uid=one.card.uid, card=one.found.card_id)
    if holder is None:
        return one
    return Planned(
        one.found, replace(one.step, what=What.CONFLICT, why=f"its UID is in use by {holder}", differences=())
    )


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
        self._known: dict[int, bytes] = {}
        self.data = now
        self.why = ""
        self.lost = ""
        self.conflicts: list[Conflict] = []
        if now is not None and one.body_id is not None:
            self._known[one.body_id] = now
        elif not one.deleted:
            self.lost = "its bytes are missing"

    def take_back(self, before_id: int | None, after_id: int | None) -> None:
        """One run, whole."""
        if self.lost or before_id == after_id:
            return
        before, after = self._bytes(before_id), self._bytes(after_id)
        if self.lost or self.data == before:
            return
        if self.data == after:
            self.data = before
        elif before is None or after is None:
            self._take_back_existence(before, after)
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

    def _take_back_existence(self, before: bytes | None, after: bytes | None) -> None:
        """That a card was made, or that it was deleted; what is there is neither of both states."""
        if self.data is None:
            return  # made, and deleted since
        if after is None:
            if before is not None and not _alike(self.data, before):
                self.why = _ANOTHER
        elif _alike(self.data, after):
            self.data = None
        else:
            self.why = "it was changed since it was made"

    def take_back_properties(self, before_id: int | None, after_id: int | None, names: frozenset[str]) -> None:
        """What one run did to some properties."""
        if self.lost or before_id == after_id:
            return
        before, after = self._bytes(before_id), self._bytes(after_id)
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
        self.conflicts += (Conflict(one.name, _cut(one.kept), _cut(one.lost)) for one in merged.conflicts)

    def _bytes(self, body_id: int | None) -> bytes | None:
        """The bytes of a state; ``lost`` is set where they are gone."""
        if body_id is None:
            return None
        if body_id not in self._known:
            data = bodies.read(self._session, body_id)
            if data is None:
                self.lost = "its earlier state is kept no longer"
                return None
            self._known[body_id] = data
        return self._known[body_id]


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST_TOLD else line[: _LONGEST_TOLD - 1] + "…"


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
            yield planned(session, selection, one, book_id, book, told=True).step

"""What to store when a client sends back a card: what it changed, applied to the card as it is stored now.

A client edits what it was shown. That may be another vCard version than the stored one, or a state that others have
changed since, if it names none (a blind write: no If-Match). To store its bytes then would undo what it never saw. So
the difference between what it was shown and what it sent is applied to the stored card, property by property.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from . import vcard
from .errors import BusyError, SharedBooksError
from .models import Body, Change
from .vcard import Card

if TYPE_CHECKING:
    from .cards import Checked  # which imports this module

# How far back a blind write's base is looked for: states of the card, and bytes of them together.
MOST_STATES = 20
MOST_BYTES = 2 * 1024 * 1024

_DATA = select(Body.data).where(Body.id == bindparam("body"))
_EARLIER = (
    select(Change.after_id, Change.before_id, func.length(Body.data).label("size"))
    .join(Body, Body.id == Change.after_id)
    .where(Change.card_id == bindparam("card"))
    .order_by(Change.revision.desc())
    .limit(MOST_STATES)
)


@dataclass(frozen=True, slots=True)
class Live:
    """The stored card that is written over."""

    card_id: int
    body_id: int
    etag: str
    version: str


@dataclass(frozen=True, slots=True)
class Merging:
    """That a write is a client's, and what is to be stored of it over the state with this ETag; see ``worked_out``.

    etag: empty as long as nothing was worked out
    card: None where the sent bytes themselves are to be stored
    conflicts: what of that state the sender overwrites though it had never seen it
    """

    etag: str = ""
    card: Checked | None = None
    conflicts: Sequence[vcard.Conflict] = ()

    def over(self, live: Live, version: str, *, seen: bool) -> Checked | None:
        """What to store over ``live``. Raises MergeNeededError where that has to be worked out before."""
        if seen and version == live.version:
            return None
        if self.etag != live.etag:
            raise MergeNeededError(live, seen=seen)
        return self.card


class MergeNeededError(SharedBooksError):
    """A write can't be done before it was worked out what to store over the present state of the card.

    That takes up to seconds for the largest cards, and is no work to be done while others wait for the book's lock. So
    the write is given up, the merge worked out, and the write tried again.

    seen: the client named this state (If-Match)
    """

    def __init__(self, live: Live, *, seen: bool) -> None:
        super().__init__("what to store over the present state of the card has to be worked out first")
        self.live = live
        self.seen = seen


def worked_out(session: Session, needed: MergeNeededError, sent: bytes, version: str) -> vcard.Merged | None:
    """The stored card with what the client changed; None where the sent bytes themselves are to be stored.

    That is so if they are of the stored version and what the client changed is the present state. Its base is this
    state if it named it, else the recent one from which the sent card differs least, the newest of several.

    sent, version: the card as it was sent, and its vCard version

    Raises BusyError if the state that was to be written over is gone.
    """
    live = needed.live
    ours: bytes | None = session.scalars(_DATA, {"body": live.body_id}).one_or_none()
    if ours is None:
        raise BusyError
    theirs = Card.parse(sent)
    base, shown = ours, vcard.convert(Card.parse(ours), version)
    if not needed.seen:
        base, shown = _likeliest(session, live, (ours, shown), theirs, version)
    if base is ours and version == live.version:
        return None
    # Both sides go the same way through the conversion, so that what it can't keep is no difference; and nothing is
    # stored that only says how a line looked in the other version.
    return vcard.merge(
        vcard.convert(shown, live.version, marked=False).serialise(),
        ours,
        vcard.convert(vcard.returned(shown, theirs), live.version, marked=False).serialise(),
    )


def _likeliest(
    session: Session, live: Live, ours: tuple[bytes, Card], theirs: Card, version: str
) -> tuple[bytes, Card]:
    """The recent state of a card that ``theirs`` was most likely made from; ``ours``, the present one, on a tie.

    Not an earlier state that says the very same as ``theirs``: who sends a card has changed something, so that is
    somebody who takes a change back.

    ours: the bytes of the present state, and that state as it was shown; what is returned likewise
    """
    best, least = ours, _distance(ours[1], theirs)
    for data in _earlier(session, live, len(ours[0])):
        if least == 0:
            break
        shown = vcard.convert(Card.parse(data), version)
        far = _distance(shown, theirs)
        if 0 < far < least:
            best, least = (data, shown), far
    return best


def _distance(shown: Card, theirs: Card) -> int:
    """In how much ``theirs`` differs from a state as it was shown; what programs don't show is no difference."""
    return vcard.distance(shown, vcard.returned(shown, theirs))


def _earlier(session: Session, live: Live, size: int) -> Iterator[bytes]:
    """The states before the present one, newest first; none of before the card was deleted and made anew."""
    for body_id, before_id, length in session.execute(_EARLIER, {"card": live.card_id}).all():
        size += length
        if size > MOST_BYTES:
            return
        if body_id != live.body_id:
            yield session.scalars(_DATA, {"body": body_id}).one()
        if before_id is None:
            return

"""What to store when a client sends back a card: what it changed, applied to the card as it is stored now.

A client edits what it was shown. That may be another vCard version than the stored one, a part of it, through a view
that hides fields, or a state that others have changed since, if it names none (a blind write: no If-Match). To store
its bytes then would undo what it never saw. So the difference between what it was shown and what it sent is applied to
the stored card, property by property.

Nor does a program mean to delete what it never writes of any card (``client_properties``): that is put back first, and
the answer tells the program to fetch what was stored.

Through a view that hides fields every write counts as a change, unless exactly what the reader sees was sent: whether
the stored bytes are others now would tell what is hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from . import bodies, client_properties, vcard
from .errors import BusyError, SharedBooksError, TooLargeError
from .models import Body, Change, LargeValue, table
from .statements import Statement
from .vcard import Card

if TYPE_CHECKING:
    from .cards import Checked  # which imports this module

# How far back a blind write's base is looked for: states of the card, and bytes of them together.
MOST_STATES = 20
MOST_BYTES = 2 * 1024 * 1024

_changes = table(Change).c
_bodies = table(Body).c
_large = table(LargeValue).c
_states = (
    select(
        *(_changes.after_id, _changes.before_id, _changes.revision),
        func.sum(func.length(_bodies.data) + func.coalesce(func.length(_large.data), 0))
        .over(order_by=_changes.revision.desc())
        .label("upto"),
    )
    .select_from(bodies.beside(table(Change), _changes.after_id))
    .where(_changes.card_id == bindparam("card"))
    .order_by(_changes.revision.desc())
    .limit(MOST_STATES)
    .subquery("states")
)
_EARLIER = Statement(
    select(_states.c.after_id, _states.c.before_id, *bodies.columns)
    .select_from(bodies.beside(_states, _states.c.after_id))
    .where(_states.c.upto <= bindparam("room"))
    .order_by(_states.c.revision.desc())
)


@dataclass(frozen=True, slots=True)
class Live:
    """The stored card that is written over, and the fields of it that the writer doesn't see."""

    card_id: int
    body_id: int
    etag: str
    version: str
    hidden: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Merging:
    """That a write is a client's, and what is to be stored of it over the state with this ETag; see ``worked_out``.

    etag: empty as long as nothing was worked out
    card: None where the sent bytes themselves are to be stored
    conflicts: what of that state the sender overwrites though it had never seen it
    exact: whether the sender will see what it sent
    unchanged: the sender sent what it sees: nothing is to be stored
    """

    etag: str = ""
    card: Checked | None = None
    conflicts: Sequence[vcard.Conflict] = ()
    exact: bool = False
    unchanged: bool = False

    def over(self, live: Live, version: str, *, seen: bool, keeps: bool = False, client: str = "") -> Merging | None:
        """What to store over ``live``; None for the sent bytes themselves.

        keeps: whether properties are missing in what was sent that this kind of program (``client``) never sends

        Raises MergeNeededError where that has to be worked out before.
        """
        if seen and version == live.version and not live.hidden and not keeps:
            return None
        if self.etag != live.etag:
            raise MergeNeededError(live, seen=seen, client=client)
        return self if self.card or self.unchanged else None


class MergeNeededError(SharedBooksError):
    """A write can't be done before it was worked out what to store over the present state of the card.

    That takes up to seconds for the largest cards, and is no work to be done while others wait for the book's lock. So
    the write is given up, the merge worked out, and the write tried again.

    seen: the client named this state (If-Match)
    client: which kind of program it is (``changes.client_of``)
    """

    def __init__(self, live: Live, *, seen: bool, client: str = "") -> None:
        super().__init__("what to store over the present state of the card has to be worked out first")
        self.live = live
        self.seen = seen
        self.client = client


def worked_out(session: Session, needed: MergeNeededError, sent: Checked, check: Callable[[bytes], Checked]) -> Merging:
    """What to store: the stored card with what the client changed, or the sent bytes themselves.

    The latter if they are of the stored version, nothing is hidden, what the client changed is the present state, and
    nothing is missing that it never sends.
    Its base is this state if it named it, else the recent one from which the sent card differs least, the newest of
    several.

    check: makes of the merged bytes what can be stored

    Raises BusyError if the state that was to be written over is gone, and what ``check`` raises.
    """
    live = needed.live
    ours = bodies.read(session, live.body_id)
    if ours is None:
        raise BusyError
    theirs = Card.parse(sent.data)
    present = _shown(ours, live, sent.version)
    if live.hidden and present.serialise() == sent.data:
        return Merging(live.etag, exact=sent.version == live.version, unchanged=True)
    sender = _Sender(session, needed.client, theirs)
    base = present if needed.seen else _likeliest(session, live, present, len(ours), sender)
    whole = sender.whole(base)
    if base is present and sent.version == live.version and not live.hidden and whole is theirs:
        return Merging(live.etag)
    # Both sides go the same way through the conversion, so that what it can't keep is no difference; and nothing is
    # stored that only says how a line looked in the other version.
    merged = vcard.merge_hidden(
        vcard.convert(base, live.version, marked=False).serialise(),
        ours,
        vcard.convert(vcard.returned(base, whole), live.version, marked=False).serialise(),
        live.hidden,
    )
    try:
        checked = check(merged.data)
    except TooLargeError as error:
        # How large the whole card is, is nothing for who sees a part of it.
        raise TooLargeError(len(sent.data) if live.hidden else error.size, error.limit) from error
    exact = live.hidden != frozenset() and _shown(merged.data, live, live.version).serialise() == sent.data
    return Merging(live.etag, checked, merged.conflicts, exact)


def _shown(data: bytes, live: Live, version: str) -> Card:
    """A state of the card as its writer is shown it, in the version they write."""
    return vcard.convert(vcard.visible(Card.parse(data), live.hidden), version)


@dataclass(frozen=True, slots=True)
class _Sender:
    """Who sent a card: the kind of program, and what it sent."""

    session: Session
    client: str
    card: Card

    def whole(self, shown: Card) -> Card:
        """What was sent, with what this program never sends as it was in ``shown``; the same object if that is all."""
        missing = vcard.names_of(shown) - vcard.names_of(self.card)
        unmeant = client_properties.unmeant(self.session, self.client, missing)
        return vcard.kept(shown, self.card, unmeant) if unmeant else self.card

    def distance(self, shown: Card) -> int:
        """In how much it differs from a state as it was shown; what programs don't show or know is no difference."""
        return vcard.distance(shown, vcard.returned(shown, self.whole(shown)))


def _likeliest(session: Session, live: Live, present: Card, size: int, sender: _Sender) -> Card:
    """The recent state of a card, as it was shown, that what was sent was most likely made from; else ``present``.

    Not an earlier state that says the very same as what was sent: who sends a card has changed something, so that is
    somebody who takes a change back.

    present: the present state, likewise; size: of its stored bytes
    """
    best, least = present, sender.distance(present)
    for data in _earlier(session, live, size):
        if least == 0:
            break
        shown = _shown(data, live, sender.card.version)
        far = sender.distance(shown)
        if 0 < far < least:
            best, least = shown, far
    return best


def _earlier(session: Session, live: Live, size: int) -> Iterator[bytes]:
    """The states before the present one, newest first; none of before the card was deleted and made anew."""
    for body_id, before_id, *parts in _EARLIER.rows(session, card=live.card_id, room=MOST_BYTES - size):
        data = bodies.whole(*parts)
        if body_id != live.body_id and data is not None:
            yield data
        if before_id is None:
            return

"""The history as it is read: what was done, what a card said after each revision, and what an act changed of it.

It is written by ``changes``. Who may look at it is decided in ``access``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import LargeBinary, Select, bindparam, func, select
from sqlalchemy.orm import Session

from . import acts, bodies, books, vcard
from .acts import ANY, Which
from .errors import NotFoundError
from .models import Act, Body, Book, Card, Change, table

# In place of a deed that is older than what is kept of the history.
FORGOTTEN = "long ago"
# Cards may have 10 MB each, nearly all of it a photo that stands behind the name.
_HEAD = 32 * 1024
_NAMED_AT_A_TIME = 100

_with_bytes = bodies.beside(table(Card).join(table(Change), Change.card_id == Card.id), Change.after_id, isouter=True)
_AFTER = (
    select(Change.after_id, *bodies.columns)
    .select_from(_with_bytes)
    .where(Card.book_id == bindparam("book_id"), Card.href == bindparam("href"))
    .where(Change.revision <= bindparam("revision"))
    .order_by(Change.revision.desc())
    .limit(1)
)
_NEXT = (
    select(Change.before_id, Change.revision)
    .where(Change.card_id == bindparam("card_id"), Change.revision > bindparam("revision"))
    .order_by(Change.revision)
    .limit(1)
)
_CARD = select(Card.id, Card.revision, Card.body_id).where(
    Card.book_id == bindparam("book_id"), Card.href == bindparam("href")
)
_KEPT_FROM = (
    select(Change.revision, Act.at)
    .join(Act, Act.id == Change.act_id)
    .where(Change.book_id == bindparam("book_id"))
    .order_by(Change.revision)
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the history. ``revision``, ``href`` and ``name`` are empty for a deed on the book itself.

    act_id: of the deed, of which there may be many lines
    name: the card's display name after the deed; before it, where the card was deleted; empty where it isn't told
    received_id: of the bytes that were sent, where what was stored is the stored card with what they changed
    overwritten: values of the stored card that the sender overwrote without having seen them; long ones are cut
    """

    act_id: int
    at: datetime
    kind: str
    book_id: int | None
    book: str
    href: str
    revision: int | None
    actor: str
    device: str
    user_agent: str
    address: str
    reason: str
    before_id: int | None
    after_id: int | None
    name: str = ""
    received_id: int | None = None
    overwritten: tuple[vcard.Conflict, ...] = ()

    @property
    def change(self) -> str | None:
        """What became of the card: ``added``, ``changed`` or ``deleted``; None for a deed on the book itself."""
        if self.revision is None:
            return None
        return "added" if self.before_id is None else "deleted" if self.after_id is None else "changed"


def entries(
    session: Session,
    *,
    book_id: int | None = None,
    href: str | None = None,
    which: Which = ANY,
    limit: int | None = None,
    find: str = "",
    unread: Set[int] = frozenset(),
) -> Iterator[Entry]:
    """The newest deeds first: of all books, of one book, or of one card.

    session: of ``Database.snapshot``: the rows are read as they are asked for
    book_id: this book only
    href: this card of the book only; deeds on the book itself are left out then
    which: only these
    find: only cards whose display name before or after the deed contains this, without regard to case
    unread: ids of books of whose cards nothing is told: no name, no values, and ``find`` finds none
    """
    query: Select[*tuple[Any, ...]] = (
        select(
            Act.id.label("act_id"),
            Act.at,
            Act.kind,
            Book.mount,
            Card.href,
            Change.revision,
            Act.actor,
            Act.device,
            Act.user_agent,
            Act.address,
            Act.reason,
            Change.before_id,
            Change.after_id,
            Change.received_id,
            Change.conflicts,
            acts.book_of_line.label("book_id"),
        )
        .select_from(Act)
        .join(Change, Change.act_id == Act.id, isouter=True)
        .join(Card, Card.id == Change.card_id, isouter=True)
        .join(Book, Book.id == acts.book_of_line, isouter=True)
        .where(*which.conditions())
        .order_by(Act.id.desc(), Change.revision.desc())
    )
    if book_id is not None and href is not None:
        query = query.where(acts.of_card(book_id, href))
    elif book_id is not None:
        query = query.where(acts.of_book(book_id), acts.book_of_line == book_id)
    needle = vcard.fold(find)
    if needle:
        query = query.where(Change.id.is_not(None))
    elif limit is not None:
        query = query.limit(limit)
    return islice(_named(session, query, needle, unread), limit)


def _named(session: Session, query: Select[*tuple[Any, ...]], needle: str, unread: Set[int]) -> Iterator[Entry]:
    rows = session.execute(query, execution_options={"yield_per": _NAMED_AT_A_TIME})
    for part in rows.partitions():
        read = [row for row in part if row.book_id not in unread]
        shown = {row.after_id or row.before_id for row in read} - {None}
        names = _names(session, shown | {row.before_id for row in read} - {None} if needle else shown)
        for row in part:
            name = names.get(row.after_id or row.before_id, "")
            if needle and needle not in vcard.fold(name) and needle not in vcard.fold(names.get(row.before_id, "")):
                continue
            yield Entry(
                act_id=row.act_id,
                at=row.at,
                kind=row.kind,
                book_id=row.book_id,
                book=books.address_of(row.mount or ""),
                href=row.href or "",
                revision=row.revision,
                actor=row.actor,
                device=row.device,
                user_agent=row.user_agent,
                address=row.address,
                reason=row.reason,
                before_id=row.before_id,
                after_id=row.after_id,
                name=name,
                received_id=row.received_id,
                overwritten=()
                if row.book_id in unread
                else tuple(vcard.Conflict(**one) for one in json.loads(row.conflicts or "[]")),
            )


def _names(session: Session, body_ids: set[int]) -> dict[int, str]:
    """The display names in some bodies, of which the head is read, and the rest only where that has no name."""
    heads = select(Body.id, func.substr(Body.data, 1, _HEAD, type_=LargeBinary), Body.large_at.is_not(None))
    names = {}
    rows = session.execute(heads.where(Body.id.in_(sorted(body_ids)))).all() if body_ids else ()
    for body_id, data, has_more in rows:
        # The last line of a head may be cut: it is left out.
        card = _lines(data[: data.rfind(b"\n") + 1] if len(data) == _HEAD else data)
        if (has_more or len(data) == _HEAD) and not card.text("FN").strip():
            card = _lines(bodies.read(session, body_id) or data)
        names[body_id] = vcard.display_name(card)
    return names


def _lines(data: bytes) -> vcard.Card:
    return vcard.Card(b"", tuple(vcard.content_lines(data)), b"")


def differences(session: Session, entry: Entry, room: int | None = None) -> tuple[vcard.Difference, ...] | None:
    """What an entry changed of its card, for people; None where the bytes are kept no longer.

    room: how many bytes both states may have together, else None too
    """
    states: list[vcard.Card | None] = []
    for body_id in (entry.before_id, entry.after_id):
        data = None if body_id is None else bodies.read(session, body_id)
        if data is None and body_id is not None:
            return None
        if room is not None and data is not None:
            room -= len(data)
            if room < 0:
                return None
        states.append(None if data is None else vcard.Card.parse(data))
    return vcard.differences(*states)


def last_reason(session: Session, kind: str) -> str | None:
    """The remark of the newest deed of a kind; None if there never was one."""
    return session.scalar(select(Act.reason).where(Act.kind == kind).order_by(Act.id.desc()).limit(1))


def state_after(session: Session, book_id: int, href: str, revision: int) -> bytes | None:
    """The bytes of a card as they were after ``revision``; None where it was deleted then.

    Raises NotFoundError if there was no such card then, or its state of then isn't kept any more (``retention``).
    """
    wanted = f"{href} after revision {revision}"
    row = session.execute(_AFTER, {"book_id": book_id, "href": href, "revision": revision}).one_or_none()
    if row is None:
        body_id = _unchanged_since(session, book_id, href, revision, wanted)
        data = bodies.read(session, body_id) if body_id else None
    else:
        body_id, data = row.after_id, bodies.whole(row.data, row.large_at, row.large)
    if body_id and data is None:
        raise NotFoundError("state", wanted, "Its bytes are missing. See: radicale-shared db check")
    return data


def _unchanged_since(session: Session, book_id: int, href: str, revision: int, wanted: str) -> int | None:
    """The body of a card that was changed last before what is kept of the history began; None: it was deleted by then.

    Raises NotFoundError.
    """
    card = session.execute(_CARD, {"book_id": book_id, "href": href}).one_or_none()
    if card is None:
        raise NotFoundError("card", href, "See: radicale-shared history show BOOK")
    # What is kept of a book's history are its last revisions: none is missing in between.
    first = session.execute(_KEPT_FROM, {"book_id": book_id}).one_or_none()
    if card.revision > revision:
        later = session.execute(_NEXT, {"card_id": card.id, "revision": revision}).one_or_none()
        if later is None or first is None or first.revision > revision + 1:
            kept = f"since {first.at:%Y-%m-%d %H:%M} UTC" if first else "of no change so far"
            hint = f"The book's history is kept {kept}; see: radicale-shared book retention"
            raise NotFoundError("state", wanted, hint)
        if later.before_id is None:
            hint = f"The card was made by revision {later.revision}: that is its oldest state."
            raise NotFoundError("state", wanted, hint)
        before_id: int = later.before_id
        return before_id
    body_id: int | None = card.body_id
    return body_id


def kept_from(session: Session, book_id: int) -> datetime | None:
    """The moment from which on all that was done to a book's cards is kept; None where nothing was removed."""
    return session.scalar(select(Book.forgotten_at).where(Book.id == book_id))


def last_kinds(session: Session, book_id: int) -> dict[str, str]:
    """href -> the kind of the deed that touched it last, of every href a book ever had; FORGOTTEN if it isn't kept."""
    query = (
        select(Card.href, func.coalesce(Act.kind, FORGOTTEN).label("kind"))
        .join(Change, (Change.card_id == Card.id) & (Change.revision == Card.revision), isouter=True)
        .join(Act, Act.id == Change.act_id, isouter=True)
        .where(Card.book_id == book_id)
    )
    return {row.href: row.kind for row in session.execute(query)}

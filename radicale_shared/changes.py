"""The history of address books: acts (one deed) and changes (what it did to one card).

Every write to a book raises its revision by one and leaves one Change with that revision, in the same transaction. What
a client gets from the last revision on is ``sync``'s, which never reads the history; who may look at it is decided in
``access``.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import LargeBinary, Select, bindparam, func, insert, or_, select
from sqlalchemy.orm import Session

from . import vcard
from .errors import NotFoundError
from .models import Act, Body, Book, Card, Change, now, table
from .statements import Statement


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does a deed, by which device.

    principal_id: None where no user stands behind it (the command line)
    name: the login, or the command line's operating system user
    device: which client, as far as it can be told; see ``client_of``
    """

    principal_id: int | None
    name: str
    device: str = ""
    user_agent: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Overwritten:
    """A property on which a merged write went against what was stored: the line that stayed, and the one that is gone.

    Either may be empty: one side had deleted what the other had changed. A long one is cut, and ends with "…".
    """

    name: str
    kept: str
    lost: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the history. ``revision``, ``href`` and ``name`` are empty for a deed on the book itself.

    name: the card's display name after the deed; before it, where the card was deleted; empty where it isn't told
    received_id: of the bytes that were sent, where what was stored is the stored card with what they changed
    overwritten: values of the stored card that the sender overwrote without having seen them
    """

    at: datetime
    kind: str
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
    overwritten: tuple[Overwritten, ...] = ()


# Cards may have 10 MB each, nearly all of it a photo that stands behind the name.
_HEAD = 32 * 1024
_NAMED_AT_A_TIME = 100
# How much of what a write overwrote is noted beside its change, for people to read: characters of a line, and lines.
# All of it is in the bytes before, after and received.
_LONGEST_NOTED = 1000
_MOST_NOTED = 100
# A move between two books is one act, with a change in each.
_book_of_line = func.coalesce(Change.book_id, Act.book_id)
_ACT = Statement(
    insert(table(Act)).returning(table(Act).c.id),
    *("kind", "book_id", "actor_id", "actor", "device", "user_agent", "address", "reason", "at"),
)
_CHANGE = Statement(
    insert(table(Change)).inline(),
    *("act_id", "book_id", "card_id", "revision", "before_id", "after_id", "received_id", "conflicts"),
)


def command_line() -> Actor:
    """The administrator who typed a command."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return Actor(None, f"{user} (command line)", device="command line")


def client_of(user_agent: str) -> str:
    """What tells one kind of client from another: its User-Agent without digits, so that an update keeps it.

    Two devices of one person with the same software count as one.
    """
    return " ".join("".join(char for char in user_agent if not char.isdigit()).split())[:200] or "unknown client"


def begin(session: Session, kind: str, by: Actor, *, book_id: int | None, reason: str = "") -> int:
    """Write down an act and return its id; its changes follow by ``record``."""
    act_id: int = _ACT.value(
        session,
        kind=kind,
        book_id=book_id,
        actor_id=by.principal_id,
        actor=by.name[:320],
        device=by.device[:200],
        user_agent=by.user_agent[:500],
        address=by.address[:45],
        reason=reason,
        at=now(),
    )
    return act_id


def record(
    session: Session,
    act_id: int,
    *,
    book_id: int,
    card_id: int,
    revision: int,
    before_id: int | None,
    after_id: int | None,
    received_id: int | None = None,
    conflicts: Sequence[vcard.Conflict] = (),
) -> None:
    """Write down what an act did to one card; the bytes before and after are rows of ``bodies``.

    received_id: the bytes that were sent, where others were stored
    conflicts: what of the stored card the sent one overwrote, though its sender had never seen it
    """
    lost = [
        {"name": _noted(one.name), "kept": _noted(one.kept), "lost": _noted(one.lost)}
        for one in conflicts[:_MOST_NOTED]
    ]
    _CHANGE.run(
        session,
        act_id=act_id,
        book_id=book_id,
        card_id=card_id,
        revision=revision,
        before_id=before_id,
        after_id=after_id,
        received_id=received_id,
        conflicts=json.dumps(lost, ensure_ascii=False) if lost else None,
    )


def _noted(text: str) -> str:
    return text if len(text) <= _LONGEST_NOTED else text[: _LONGEST_NOTED - 1] + "…"


def history(
    session: Session,
    *,
    book_id: int | None = None,
    href: str | None = None,
    limit: int | None = None,
    find: str = "",
    unread: Set[int] = frozenset(),
) -> Iterator[Entry]:
    """The newest deeds first: of all books, of one book, or of one card.

    session: of ``Database.snapshot``: the rows are read as they are asked for
    book_id: this book only
    href: this card of the book only; deeds on the book itself are left out then
    find: only cards whose display name before or after the deed contains this, without regard to case
    unread: ids of books of whose cards nothing is told: no name, no values, and ``find`` finds none
    """
    query: Select[*tuple[Any, ...]] = (
        select(
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
            _book_of_line.label("book_id"),
        )
        .select_from(Act)
        .join(Change, Change.act_id == Act.id, isouter=True)
        .join(Card, Card.id == Change.card_id, isouter=True)
        .join(Book, Book.id == _book_of_line, isouter=True)
        .order_by(Act.id.desc(), Change.revision.desc())
    )
    if book_id is not None:
        moved_here = select(Change.act_id).where(Change.book_id == book_id)
        query = query.where(or_(Act.book_id == book_id, Act.id.in_(moved_here)), _book_of_line == book_id)
    if href is not None:
        query = query.where(Card.href == href)
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
                at=row.at,
                kind=row.kind,
                book=(row.mount or "").replace("~", "/", 1),
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
                else tuple(Overwritten(**one) for one in json.loads(row.conflicts or "[]")),
            )


def _names(session: Session, body_ids: set[int]) -> dict[int, str]:
    """The display names in some bodies, of which the head is read, and the rest only where that has no name."""
    heads = select(Body.id, func.substr(Body.data, 1, _HEAD, type_=LargeBinary)).where(Body.id.in_(sorted(body_ids)))
    names = {}
    for body_id, data in session.execute(heads).all() if body_ids else ():
        # The last line of a head may be cut: it is left out.
        card = _lines(data[: data.rfind(b"\n") + 1] if len(data) == _HEAD else data)
        if len(data) == _HEAD and not card.text("FN").strip():
            card = _lines(session.scalars(select(Body.data).where(Body.id == body_id)).one())
        names[body_id] = vcard.display_name(card)
    return names


def _lines(data: bytes) -> vcard.Card:
    return vcard.Card(b"", tuple(vcard.content_lines(data)), b"")


def received(session: Session, received_id: int) -> bytes:
    """The bytes of an entry's ``received_id``."""
    data: bytes = session.scalars(select(Body.data).where(Body.id == received_id)).one()
    return data


def last_reason(session: Session, kind: str) -> str | None:
    """The remark of the newest deed of a kind; None if there never was one."""
    return session.scalar(select(Act.reason).where(Act.kind == kind).order_by(Act.id.desc()).limit(1))


_AFTER = (
    select(Card.id.label("card_id"), Change.revision, Change.after_id, Body.data)
    .join(Change, Change.card_id == Card.id)
    .join(Body, Body.id == Change.after_id, isouter=True)
    .where(Card.book_id == bindparam("book_id"), Card.href == bindparam("href"))
    .where(Change.revision <= bindparam("revision"))
    .order_by(Change.revision.desc())
    .limit(1)
)


def state_after(session: Session, book_id: int, href: str, revision: int) -> bytes | None:
    """The bytes of a card as they were after ``revision``; None where it was deleted then.

    Raises NotFoundError if the card has no history up to that revision.
    """
    row = session.execute(_AFTER, {"book_id": book_id, "href": href, "revision": revision}).one_or_none()
    if row is None:
        raise NotFoundError("state", f"{href} after revision {revision}", "See: radicale-shared history show")
    data: bytes | None = row.data
    return data


_GIVEN_UP = (
    select(Change.before_id)
    .join(Card, Card.id == Change.card_id)
    .where(Change.book_id == bindparam("book_id"), Change.revision > bindparam("revision"))
    .where(Change.after_id.is_(None), Card.revision > Change.revision)
)


def uids_given_up(session: Session, book_id: int, revision: int) -> list[str]:
    """The UIDs of cards that were deleted after ``revision``, and whose names were used again since.

    Of all other deleted cards the rows in ``cards`` still have them.
    """
    found = []
    for body_id in session.scalars(_GIVEN_UP, {"book_id": book_id, "revision": revision}).all():
        data = session.scalars(select(Body.data).where(Body.id == body_id)).one_or_none()
        if data is not None:
            found.append(vcard.Card.parse(data).uid)
    return found


def last_kinds(session: Session, book_id: int) -> dict[str, str]:
    """href -> the kind of the deed that touched it last, of every href a book ever had."""
    query = (
        select(Card.href, Act.kind)
        .join(Change, (Change.card_id == Card.id) & (Change.revision == Card.revision))
        .join(Act, Act.id == Change.act_id)
        .where(Card.book_id == book_id)
    )
    return {row.href: row.kind for row in session.execute(query)}


def deeds(session: Session, book_id: int) -> Sequence[str]:
    """The kinds of all acts on a book, oldest first."""
    return session.scalars(select(Act.kind).where(Act.book_id == book_id).order_by(Act.id)).all()

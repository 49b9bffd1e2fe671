"""Sync over all books of a home at once: which books came, went or changed, and the merged book (RFC 6578).

A token here names every book the user could read when it was made, with its epoch, revision, view and serial of
refused writes, as a book's own token does (``sync``). So it never expires, and nothing is kept for it; its length grows
with the number of books. The ``secret`` of all functions here is ``key`` of the user.

The merged book shows all cards of all books as one collection. Where two cards have one UID, which no address book may
(RFC 6352, section 5.1), the card of the first book is shown, in an order that never changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from sqlalchemy import bindparam, func, or_, select
from sqlalchemy.orm import Session

from . import reading, sync
from .access import Access
from .errors import UnknownSyncTokenError
from .models import AnyRow, GivenUpUid, table
from .models import Book as BookTable
from .models import Card as CardTable
from .refusals import Refused

# URIs with ':' and '/', as those of books.
HOME = "radicale-shared:/home/"
MERGED = "radicale-shared:/merged/"

_cards = table(CardTable).c
# What a client that lost access to a book may hold of it: the cards that were there then, and no later ones.
_HELD = select(_cards.href, _cards.uid).where(
    _cards.book_id == bindparam("book"),
    _cards.created_revision <= bindparam("revision"),
    or_(~_cards.deleted, _cards.revision > bindparam("revision")),
)
_CHANGED = select(_cards.book_id, _cards.href, _cards.uid, _cards.etag, _cards.deleted).where(
    _cards.book_id == bindparam("book"), _cards.revision > bindparam("since")
)
_OF_BOOK = select(_cards.book_id, _cards.href, _cards.uid, _cards.etag, _cards.deleted).where(
    _cards.book_id == bindparam("book")
)
_SAME_UID = select(_cards.book_id, _cards.href, _cards.uid, _cards.etag).where(
    _cards.book_id.in_(bindparam("books", expanding=True)),
    _cards.uid.in_(bindparam("uids", expanding=True)),
    ~_cards.deleted,
)
_TWICE = (
    select(_cards.uid)
    .where(_cards.book_id.in_(bindparam("books", expanding=True)), ~_cards.deleted)
    .group_by(_cards.uid)
    .having(func.count() > 1)
)
_GIVEN_UP = select(GivenUpUid.uid).where(
    GivenUpUid.book_id == bindparam("book"), GivenUpUid.revision > bindparam("since")
)
_BOOK = select(BookTable.id, BookTable.home_id, BookTable.slug, BookTable.mount, BookTable.epoch).where(
    BookTable.uuid == bindparam("uuid"), BookTable.purged_at.is_(None)
)


@dataclass(frozen=True, slots=True)
class State:
    """One book as a client of it last saw it. ``look``: a digest of what a listing of the home tells of the book."""

    epoch: str
    revision: int
    view: str
    refused: int
    look: str


@dataclass(frozen=True, slots=True)
class HomeChanges:
    """What changed among the books of a home. ``gone``: their names in it."""

    changed: Sequence[Access]
    gone: Sequence[str]
    token: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A card of the merged book: which book it is in, its href there, its stored ETag."""

    book_id: int
    href: str
    etag: str


@dataclass(frozen=True, slots=True)
class MergedChanges:
    """What changed in the merged book.

    shown: cards that are there, new or changed
    gone: (uuid of a book, href) of what isn't there, or no longer
    aliases: plain hrefs of changed cards of own books, and of refused new ones: the client that made one may hold it by
        that name, which is none here
    """

    shown: Sequence[Shown]
    gone: Sequence[tuple[str, str]]
    aliases: Sequence[str]
    token: str


def key(secret: bytes, slug: str) -> bytes:
    """The secret that the tokens of one user's home are signed with: those of others tell names of their books.

    secret: the database's
    """
    return blake2b(slug.encode(), key=secret, digest_size=32, person=b"home").digest()


def token(kind: str, books: Iterable[Access], secret: bytes) -> str:
    """The token of this moment, of HOME or MERGED. books: all that the user may read"""
    parts = []
    for access in sorted(books, key=lambda one: one.book.id):
        state = _state(access, kind)
        parts.append(f"{access.book.uuid}.{state.epoch}.{state.revision}.{state.view}.{state.refused}.{state.look}")
    content = ",".join(parts)
    return f"{kind}{content}/{sync.signature(kind + content, secret)}"


def parse(kind: str, text: str, secret: bytes) -> dict[str, State]:
    """{uuid of a book: its state} in a token. Raises UnknownSyncTokenError unless it is one of ours, of this kind."""
    content, _, signed = text.removeprefix(kind).rpartition("/")
    if not text.startswith(kind) or not sync.is_signed(kind + content, signed, secret):
        raise UnknownSyncTokenError(text, "it was not made here")
    found = {}
    for part in content.split(",") if content else ():
        uuid, epoch, revision, view, refused, look = part.split(".")
        found[uuid] = State(epoch, int(revision), view, int(refused), look)
    return found


def books_changed(
    session: Session, principal_id: int, books: Sequence[Access], old: str, *, secret: bytes
) -> HomeChanges:
    """Which books of a home came, went or changed since the token ``old``, in their contents or in how they look.

    Raises UnknownSyncTokenError if the client must start over.
    """
    new = token(HOME, books, secret)
    if not old:
        return HomeChanges(books, (), new)
    known = parse(HOME, old, secret)
    changed = [access for access in books if known.get(access.book.uuid) != _state(access, HOME)]
    gone = []
    for uuid in known.keys() - {access.book.uuid for access in books}:
        row = _book(session, uuid, old)
        gone.append(row.slug if row.home_id == principal_id else row.mount)
    # A new book may have the name of one that was deleted.
    names = {access.name for access in books}
    return HomeChanges(changed, [name for name in gone if name not in names], new)


def rolled_back(kind: str, books: Iterable[Access], old: str, secret: bytes) -> list[Access]:
    """The books that a token proves to have been put back to an older state without a new epoch."""
    try:
        known = parse(kind, old, secret) if old else {}
    except UnknownSyncTokenError:
        return []
    seen = ((access, known.get(access.book.uuid)) for access in books)
    return [one for one, was in seen if was and was.epoch == one.book.epoch and was.revision > one.book.revision]


def hidden(session: Session, books: Sequence[Access]) -> set[tuple[int, str]]:
    """(id of a book, href) of the cards that the merged book doesn't show: a book before has one with the same UID.

    books: in the merged book's order
    """
    order = {access.book.id: at for at, access in enumerate(books)}
    twice = list(session.scalars(_TWICE, {"books": list(order)})) if len(order) > 1 else []
    losers: set[tuple[int, str]] = set()
    for group in _by_uid(session, order, twice).values():
        first = min(group, key=lambda row: order[row.book_id])
        losers.update((row.book_id, row.href) for row in group if row is not first)
    return losers


def card_with_uid(session: Session, book_ids: Sequence[int], uid: str) -> tuple[int, str] | None:
    """(id of the book, href) of a live card with this UID in the first of some books that has one."""
    rows = session.execute(_SAME_UID, {"books": list(book_ids), "uids": [uid]}).all()
    # The database gives them in any order, and who asks twice is to be told of the same card.
    row = min(rows, key=lambda row: book_ids.index(row.book_id), default=None)
    return (row.book_id, row.href) if row else None


def merged_changed(
    session: Session, books: Sequence[Access], refused: Mapping[int, Refused], old: str, *, secret: bytes
) -> MergedChanges:
    """What changed in the merged book since the token ``old``; an empty one gets the cards that are there.

    books: all that the user may read, in the merged book's order; the token's revisions were read with them
    refused: {id of a book: what was refused there to this client}

    Raises UnknownSyncTokenError if the client must start over.
    """
    new = token(MERGED, books, secret)
    if old == new:
        return MergedChanges((), (), (), new)
    known = parse(MERGED, old, secret) if old else {}
    order = {access.book.id: at for at, access in enumerate(books)}
    uuids = {access.book.id: access.book.uuid for access in books}
    rows: dict[tuple[int, str], AnyRow] = {}
    missing: list[tuple[str, str]] = []
    aliases: list[str] = []
    uids: list[str] = []
    for access in books:
        before = known.get(access.book.uuid)
        touched, absent = _touched(session, access, before, refused.get(access.book.id), old)
        rows.update({(row.book_id, row.href): row for row in touched})
        missing += [(access.book.uuid, href) for href in absent]
        if before is not None:
            if before.revision < access.book.revision:
                uids += _given_up(session, access.book.id, before.revision)
            aliases += absent
            if access.is_home:
                aliases += [row.href for row in touched]
    uids += [row.uid for row in rows.values()]
    for uuid in known.keys() - set(uuids.values()):
        row = _book(session, uuid, old)
        if row.epoch != known[uuid].epoch:
            raise UnknownSyncTokenError(old, "a book that this client had was restored from a backup meanwhile")
        lost = {"book": row.id, "revision": known[uuid].revision}
        for held in session.execute(_HELD, lost):
            missing.append((uuid, held.href))
            uids.append(held.uid)
        uids += _given_up(session, row.id, known[uuid].revision)
    if old:
        # Who shows a UID may change with every card that comes or goes: all cards of these UIDs are told anew.
        groups = list(_by_uid(session, order, uids).values())
        live = {(row.book_id, row.href): row for group in groups for row in group}
        missing += [(uuids[key[0]], key[1]) for key, row in rows.items() if key not in live]
        winners = [min(group, key=lambda row: order[row.book_id]) for group in groups]
        shown = {(row.book_id, row.href) for row in winners}
        missing += [(uuids[key[0]], key[1]) for key in live if key not in shown]
    else:
        losers = hidden(session, books)
        winners = [row for key, row in rows.items() if key not in losers]
    return MergedChanges([Shown(row.book_id, row.href, row.etag) for row in winners], missing, aliases, new)


def _touched(
    session: Session, access: Access, before: State | None, refused: Refused | None, old: str
) -> tuple[list[AnyRow], list[str]]:
    """(rows of one book that the client must be told of, hrefs of refused new cards)."""
    of_book = {"book": access.book.id}
    if before is None:
        return [row for row in session.execute(_OF_BOOK, of_book) if not row.deleted], []
    sync.require_known(
        access,
        sync.Token(access.book.uuid, before.epoch, before.revision, before.view, before.refused),
        old,
    )
    rows = list(session.execute(_CHANGED, {**of_book, "since": before.revision}))
    if before.view != access.view.id:
        removed = [row for row in rows if row.deleted]
        rows = [*(row for row in session.execute(_OF_BOOK, of_book) if not row.deleted), *removed]
    missing: list[str] = []
    if refused is not None and before.refused != access.refused:
        serial = before.refused if before.refused <= access.refused else 0
        if serial < refused.folded:
            raise UnknownSyncTokenError(old, "more of this client's writes were refused than are remembered one by one")
        reported = {row.href for row in rows}
        again = [href for href in refused.since(serial) if href not in reported]
        for start in range(0, len(again), reading.BATCH):
            some = again[start : start + reading.BATCH]
            found = [row for row in session.execute(_OF_BOOK.where(_cards.href.in_(some)), of_book) if not row.deleted]
            rows += found
            missing += set(some) - {row.href for row in found}
    return rows, missing


def _by_uid(session: Session, order: Mapping[int, int], uids: Sequence[str]) -> dict[str, list[AnyRow]]:
    """The live cards of these UIDs in some books, by UID."""
    groups: dict[str, list[AnyRow]] = {}
    distinct = list(dict.fromkeys(uids))
    for start in range(0, len(distinct), reading.BATCH):
        some = {"books": list(order), "uids": distinct[start : start + reading.BATCH]}
        for row in session.execute(_SAME_UID, some):
            groups.setdefault(row.uid, []).append(row)
    return groups


def _given_up(session: Session, book_id: int, revision: int) -> Sequence[str]:
    """The UIDs of cards that were deleted after ``revision``, and whose names were used again since.

    Of all other deleted cards the rows in ``cards`` still have them.
    """
    return session.scalars(_GIVEN_UP, {"book": book_id, "since": revision}).all()


def _book(session: Session, uuid: str, old: str) -> AnyRow:
    """A book that the user could read when the token was made, wherever it is now."""
    row = session.execute(_BOOK, {"uuid": uuid}).one_or_none()
    if row is None:
        raise UnknownSyncTokenError(old, "a book that this client had was purged meanwhile")
    return row


def _state(access: Access, kind: str) -> State:
    book = access.book
    return State(book.epoch, book.revision, access.view.id, access.refused, _look(access) if kind == HOME else "")


def _look(access: Access) -> str:
    """A digest of what a listing of the home tells of a book, beside its contents."""
    book = access.book
    told = (book.name, book.description, book.color, book.owner, *sorted(access.verbs))
    return blake2b("\n".join(told).encode(), digest_size=4).hexdigest()

"""Bringing one book or one card of a backup back, as anybody would write it.

It is a change of today, which reaches the devices by the ordinary sync, and can itself be undone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from . import access, bodies, books, cards, changes, grants, people, phone_books, retention, slices
from .access import Access
from .backups import Opened
from .books import Book
from .cards import Checked
from .changes import Actor
from .database import Database
from .errors import NotAllowedHereError, NotFoundError, UidConflictError, UserError
from .models import Card, Principal


@dataclass(slots=True)
class Part:
    """What restoring a book or a card did, or would do.

    made: whether the book was made anew
    refused: {href: why it was not brought back}
    """

    book: str
    made: bool
    added: int = 0
    changed: int = 0
    deleted: int = 0
    unchanged: int = 0
    refused: dict[str, str] = field(default_factory=dict)


_WRITTEN = frozenset({"added", "changed", "deleted"})


class _State(NamedTuple):
    """A live card, here or in a backup. body_id: in the ``bodies`` of its database"""

    uid: str
    etag: str
    body_id: int


def part(
    db: Database,
    backup: Opened,
    address: str,
    *,
    by: Actor,
    href: str | None = None,
    as_: str | None = None,
    dry_run: bool = False,
) -> Part:
    """Make a book, or one card of it, as it is in the backup: other cards of the book are deleted, or left alone.

    A book that is gone is made anew, with the grants of those who are still there. What others do meanwhile to cards
    that are not in the backup stays; a run that was cut short is finished by another one.

    address: ``home/slug``, as in the backup
    href: this card only
    as_: ``home/slug`` of a new book that the cards are put into; nobody has a grant of it

    Raises NotFoundError if the book or card isn't in the backup, NotAllowedHereError for a book that a directory writes
    or that is in the trash, AlreadyExistsError if there is a book ``as_``.
    """
    with backup.db.snapshot() as session:
        old = _book_in(session, backup, address)
        then = _states(session, old.id, href)
        if href is not None and href not in then:
            raise NotFoundError("card", href, f"It isn't in {old.address} of that backup.")
        found = _target(db, as_ or old.address, is_new=as_ is not None)
        if found is None and href is not None:
            raise NotFoundError("book", as_ or old.address, "Restore the book first.")
        result = Part(as_ or old.address, found is None)
        today: dict[str, _State] = {}
        if found is not None:
            with db.read() as reading:
                today = _states(reading, found.id, href)
        same_secret = db.secret == backup.db.secret
        away = [name for name, state in today.items() if name not in then or then[name].uid != state.uid]
        put = [
            name
            for name, state in then.items()
            if name in away or name not in today or not same_secret or today[name].etag != state.etag
        ]
        result.unchanged = len(then) - len(put)
        if dry_run:
            new = sum(1 for name in put if name not in today)
            result.added, result.changed = new, len(put) - new
            result.deleted = sum(1 for name in away if name not in then)
            return result
        if found is None:
            found = _made(db, session, old, as_ or old.address, by)
        hidden = frozenset(phone_books.hidden_cards(session, old.id))
        work = _work(session, away, [(name, then[name].body_id) for name in put], hidden)
        _write(db, found, work, result, set(away) & set(then), by, f"{backup.file}, {old.address}")
    return result


def _book_in(session: Session, backup: Opened, address: str) -> Book:
    for find in (books.find, books.find_trashed):
        with suppress(NotFoundError):
            return find(session, address)
    raise NotFoundError("book", address, f"It isn't in the backup {str(backup.file)!r}; see: restore FILE --dry-run")


def _states(session: Session, book_id: int, href: str | None) -> dict[str, _State]:
    query = select(Card.href, Card.uid, Card.etag, Card.body_id).where(Card.book_id == book_id, ~Card.deleted)
    if href is not None:
        query = query.where(Card.href == href)
    return {row.href: _State(row.uid, row.etag, row.body_id or 0) for row in session.execute(query.order_by(Card.id))}


def _target(db: Database, address: str, *, is_new: bool) -> Book | None:
    """The live book to write to; None if it is to be made."""
    with db.read() as session:
        try:
            found = books.find(session, address)
        except NotFoundError:
            with suppress(NotFoundError):
                books.find_trashed(session, address)
                if not is_new:
                    hint = f"It is in the trash; first: radicale-shared book undelete {address}. Or --as another one."
                    raise NotAllowedHereError(f"{address!r} can't be written: {hint}") from None
            return None
    if is_new:
        raise NotAllowedHereError(f"There is a book {address!r} already; --as is for a new one.")
    if found.mirrored_from:
        raise NotAllowedHereError(
            f"{address!r} shows the people of the directory {found.mirrored_from!r}, which alone writes it."
        )
    return found


def _made(db: Database, backup: Session, old: Book, address: str, by: Actor) -> Book:
    """A new book like one of a backup, with its retention, and its grants as far as those who have them are there.

    Under another address without grants: of the book that is there some may have been taken away since.
    """
    home, slug = books.split_address(address)
    lines = grants.of_book(backup, old) if address == old.address else []
    terms = retention.terms_of(backup, old.id)
    slugs = {row.id: row.slug for row in backup.execute(select(Principal.id, Principal.slug))}
    with db.write() as session:
        owner = _principal(session, home)
        if owner is None:
            raise NotFoundError("user or group", home, "Bring the book back as another one: --as OWNER/SLUG")
        new = books.add(session, owner, slug, by=by, name=old.name, description=old.description, color=old.color)
        if terms != retention.Terms():
            retention.set_terms(session, new, terms, by=by)
        phone_books.restore_book(session, backup, old, new, by=by)
        if home == old.home and old.owner != home and (other := _principal(session, old.owner)):
            books.give(session, new, other, by=by)
        for line in lines:
            principal = line.principal
            if line.principal_id is not None:
                found = _principal(session, slugs[line.principal_id])
                if found is None:
                    continue
                principal = f"group:{found.slug}" if isinstance(found, people.Group) else f"user:{found.login}"
            if not line.ended:
                given = line.terms
                with suppress(UserError):
                    grants.give(session, new, principal, given.role, by=by, until=given.until_at, hide=given.hidden)
        return books.find(session, address)


def _principal(session: Session, slug: str) -> people.Person | people.Group | None:
    """Who has this slug today: it is never given to anybody else."""
    if person := people.by_slug(session, slug):
        return person
    return next((group for group in people.groups(session) if group.slug == slug), None)


class _Job(NamedTuple):
    """One write: ``card`` to ``href``, or its deletion. hidden: from phones, where there is no such card today"""

    href: str
    card: Checked | None
    hidden: bool = False


def _work(backup: Session, away: list[str], put: list[tuple[str, int]], hidden: frozenset[str]) -> Iterator[_Job]:
    """Deletions first: a card may have moved to another name since, and a UID is there once."""
    for href in away:
        yield _Job(href, None)
    for href, body_id in put:
        data = bodies.read(backup, body_id)
        if data is None:
            raise UserError(f"The backup has no bytes of {href!r}; see: radicale-shared verify")
        yield _Job(href, cards.check_stored(data), href in hidden)


def _write(
    db: Database, book: Book, work: Iterator[_Job], result: Part, again: set[str], by: Actor, reason: str
) -> None:
    """Do everything of ``work`` as one act, slice by slice.

    again: names that are deleted only to be put anew
    """
    act_id: int | None = None
    for ahead in slices.read_ahead(work, lambda one: len(one.card.data) if one.card else 0):
        while ahead:
            done: list[tuple[str, str]] = []
            with db.write(book.id) as session:
                current = access.administrator(_current(session, book))
                slice_act = act_id or changes.begin(session, "restore-book", by, book_id=book.id, reason=reason)
                for job in slices.taken(ahead):
                    what = _done(session, db, current, job, slice_act, by, result.refused)
                    done.append((job.href, what))
                wrote = any(what in _WRITTEN for _, what in done)
                if not wrote:
                    session.rollback()  # an act that did nothing leaves no trace
            if wrote:
                act_id = slice_act
            _count(result, done, again)
            slices.pause()


def _count(result: Part, done: list[tuple[str, str]], again: set[str]) -> None:
    for href, what in done:
        match what:
            case "added" if href not in again:
                result.added += 1
            case "added" | "changed":
                result.changed += 1
            case "deleted" if href not in again:
                result.deleted += 1
            case "unchanged":
                result.unchanged += 1


def _current(session: Session, book: Book) -> Book:
    found = books.by_id(session, book.id)
    if found.deleted_at is not None:
        raise NotFoundError("book", book.address, "It was deleted meanwhile.")
    return found


def _done(
    session: Session, db: Database, current: Access, job: _Job, act_id: int, by: Actor, refused: dict[str, str]
) -> str:
    """What came of a job; somebody may have been quicker."""
    try:
        if job.card is None:
            cards.remove(session, current, job.href, by=by, act_id=act_id, policy=None)
            return "deleted"
        written = cards.put(session, current, job.href, job.card, secret=db.secret, by=by, act_id=act_id, policy=None)
    except NotFoundError:
        return "gone"
    except UidConflictError as error:
        refused[job.href] = str(error)
        return "refused"
    if not written.revision:
        return "unchanged"
    if written.created and job.hidden:
        phone_books.restore(session, current.book.id, job.href)
    return "added" if written.created else "changed"

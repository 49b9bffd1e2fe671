"""Radicale's store over the core: finding collections, the lock that is a transaction, remembering refused writes.

A lock for reading holds nothing: each read is short and sees what is committed at its moment. A lock for writing is one
transaction, begun at once and holding the book's own lock, so that Radicale compares If-Match and stores the card with
nobody in between. It is committed when the lock ends if something was written, and leaves no trace otherwise.

Radicale tells ``discover`` no user; the lock just before it does. Without a lock there is the root and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from radicale import config, pathutils, storage, types
from radicale import item as radicale_item
from radicale.log import logger
from sqlalchemy.orm import Session

from radicale_shared import (
    access,
    blocks,
    books,
    cards,
    devices,
    guard,
    integrity,
    people,
    policies,
    refusals,
    sent_bytes,
    sync,
    transfers,
)
from radicale_shared import settings as shared_settings
from radicale_shared.access import Access, Verb
from radicale_shared.cards import Limits
from radicale_shared.changes import Actor
from radicale_shared.errors import (
    GuardedError,
    NeedPrivilegeError,
    NotAllowedHereError,
    SharedBooksError,
    TooLargeError,
)
from radicale_shared.transfers import Place

from .answers import answer
from .collections import Book, Folder, Home, Kept, properties
from .items import CardItem

ChildContext = Callable[[str, str | None], AbstractContextManager[None]]


@dataclass(slots=True)
class _Held:
    """A lock that is held. ``session`` and ``by``: of a write; ``found``: whether a card was found under it.

    deletes: whether it is a DELETE's
    guarded: that the guard refused the write
    """

    user: str
    session: Session | None = None
    by: Actor | None = None
    deletes: bool = False
    found: bool = False
    written: bool = False
    refused: bool = False
    guarded: GuardedError | None = None

    @property
    def commits(self) -> bool:
        return self.written and not self.refused


_held: ContextVar[_Held | None] = ContextVar("radicale_shared_lock", default=None)


class Storage(storage.BaseStorage):
    """Address books in the database. Made several times a process; the engine is the process'."""

    # Which names Radicale lets through to us: all that can be a URL segment.
    _supports_unicode = True
    _supports_trailing_whitespace = True
    _supports_problematic_chars = True

    def __init__(self, configuration: config.Configuration) -> None:
        super().__init__(configuration)
        self.settings = shared_settings.from_configuration(configuration)
        self.limits = Limits(self.settings.max_book_bytes, self.settings.max_user_bytes)
        self.policy = policies.guard(self.settings.file)
        self.database = self.settings.connect()
        self.database.check_schema()
        self.secret = self.database.secret  # read now, not while a write holds the last connection
        self.database.close()  # a server may fork from here: no connection is to be shared
        if configuration.get("auth", "type") != shared_settings.AUTH_PLUGIN:
            logger.warning(
                "[auth] type is not %r: cards are kept as Radicale rewrites them, which damages some.",
                shared_settings.AUTH_PLUGIN,
            )

    # -- what Radicale calls -------------------------------------------------------------------------------------------

    def discover(
        self,
        path: str,
        depth: str = "0",
        child_context_manager: ChildContext | None = None,
        user_groups: set[str] | frozenset[str] = frozenset(),
    ) -> Iterator[types.CollectionOrItem]:
        """The collection or card at ``path`` as the lock's user has it, then its children.

        Lazy: every request of Radicale's asks for the home with its children and looks at the first.
        """
        del user_groups  # grants to groups are the core's
        held = _held.get()
        user = held.user if held else ""
        child = child_context_manager or _no_context
        parts = [part for part in pathutils.strip_path(path).split("/") if part]
        if parts and (not user or parts[0] != user):
            return
        if len(parts) < 2:
            yield from self._folders(user, parts, depth, child)
            return
        client = _client()
        with self.reading() as session:
            scope = sent_bytes.scope()
            found = access.find(session, user, parts[1], client=client, scope=scope) if len(parts) < 4 else None
        if found is None or found.book.search_only:
            return  # Radicale's core can't refuse to list one
        book = Book(self, user, found, client)
        if len(parts) == 3:
            item = book.get(parts[2], is_compared=held is not None and held.session is not None)
            if item is not None:
                if held:
                    held.found = True
                yield Kept() if held and held.deletes and self._is_kept(held, book, item) else item
            return
        yield book
        if depth != "0":
            for item in book.get_all():
                with child(book.path, item.href):
                    yield item

    def move(self, item: radicale_item.Item, to_collection: storage.BaseCollection, to_href: str) -> None:
        """Move a card with its exact bytes; nothing happens unless both ends allow it."""
        source = item.collection
        if not isinstance(source, Book) or not isinstance(to_collection, Book) or not item.href:
            raise answer(NotAllowedHereError("Cards can be moved between address books only."))
        with self.writing() as (session, by):
            transfers.transfer(
                session,
                Place(source.access, item.href),
                Place(to_collection.access, to_href),
                moving=True,
                secret=self.secret,
                by=by,
                limits=self.limits,
                policy=self.policy,
            )

    def create_collection(
        self,
        href: str,
        items: Iterable[radicale_item.Item] | None = None,
        props: Mapping[str, str] | None = None,
    ) -> tuple[storage.BaseCollection, dict[str, radicale_item.Item], list[str]]:
        """Make an empty address book in the user's own home.

        People are made by the administrator, never by signing in; a whole book is never replaced by a PUT.
        """
        parts = pathutils.strip_path(href).split("/")
        with self.writing() as (session, by):
            if sent_bytes.scope() != access.WHOLE:
                raise NeedPrivilegeError(Verb.ADD)
            held = _held.get()
            person = people.by_slug(session, held.user) if held else None
            if person is None or len(parts) != 2 or parts[0] != person.slug or items is not None:
                raise NotAllowedHereError("Address books are made empty, in one's own home.")
            # What else clients set beside these they expect to be answered with 201; it is not kept.
            name, description, color, _ = properties(props or {})
            books.add(session, person, parts[1], by=by, name=name, description=description, color=color)
            found = access.find(session, person.slug, parts[1], client=_client())
        if found is None:
            raise RuntimeError("A book that was just made is gone.")
        return Book(self, parts[0], found, _client()), {}, []

    @contextmanager
    def acquire_lock(self, mode: str, user: str = "", *args: Any, **kwargs: Any) -> Iterator[None]:
        """See the module. ``path``, ``to_path``: whose books to lock; ``actor``: the person, if ``user`` isn't.

        Raises BusyError or UnavailableError, also when the write is committed at the end: 500, and nothing was changed.
        """
        del args
        if mode != "w":
            with _holding(_Held(user)):
                yield
            return
        path = kwargs.get("path") or ""
        targets = [one for one in (self._target(user, path), self._target(user, kwargs.get("to_path") or "")) if one]
        deletes = kwargs.get("request") == "DELETE"
        held: _Held | None = None
        try:
            with self.database.write(*(one.book.id for one in targets)) as session:
                for book_id in sorted({one.book.id for one in targets}):
                    books.lock(session, book_id)
                held = _Held(user, session, _actor(session, kwargs.get("actor") or user), deletes)
                with _holding(held):
                    yield
                if not held.commits:
                    session.rollback()
        except ValueError:
            # By rights that aren't ours Radicale goes on to delete what it found (``Kept``), and answers 500.
            if held is not None and held.guarded:
                self._refused(held, targets, path)
            raise
        is_refused_put = kwargs.get("request") == "PUT" or (deletes and held.found)
        if (is_refused_put or held.guarded) and not held.commits:
            self._refused(held, targets, path)

    def verify(self) -> bool:
        """Whether the schema is right and everything is whole that ``integrity`` looks at; what isn't is logged."""
        try:
            self.database.check_schema()
            found = list(integrity.problems(self.database))
        except SharedBooksError as error:
            logger.error("%s", error)
            return False
        for problem in found:
            logger.error("%s %s: %s", problem.book, problem.href, problem.what)
        return not found

    # -- what our collections call -------------------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """The write's transaction where one is under way, else a short read."""
        held = _held.get()
        if held and held.session:
            yield held.session
            return
        with self.database.read() as session:
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """The same for long results."""
        held = _held.get()
        if held and held.session:
            yield held.session
            return
        with self.database.snapshot() as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[tuple[Session, Actor]]:
        """The lock's transaction and who writes; a core error becomes Radicale's and undoes the whole transaction."""
        held = _held.get()
        if held is None or held.session is None or held.by is None:
            raise RuntimeError("Writing needs the lock for writing.")
        try:
            yield held.session, held.by
        except SharedBooksError as error:
            held.refused = True
            held.guarded = error if isinstance(error, GuardedError) else None
            raise answer(error) from error
        held.written = True

    def sent_bytes(self, item: radicale_item.Item) -> bytes:
        """What the client sent for ``item``; Radicale's writing of it only where nobody copied the body.

        Raises TooLargeError if the body was too long to be kept.
        """
        request = sent_bytes.current()
        if request and request.method == "PUT" and request.body:
            if request.body.is_too_long:
                raise TooLargeError(request.body.length, self.settings.max_body_size)
            data = request.body.take()
            if data and len(data) == request.announced:
                return data
        text: str = item.serialize()
        return text.encode()

    @property
    def names_state(self) -> bool:
        """Whether the request names the state of the card that it is for, by its ETag."""
        request = sent_bytes.current()
        return request is not None and request.names_state

    def rotate(self, found: Access) -> None:
        """Give a book that was rolled back a new epoch."""
        with self.database.write(found.book.id) as session:
            sync.rotate(session, found)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _folders(
        self, user: str, parts: list[str], depth: str, child: ChildContext
    ) -> Iterator[types.CollectionOrItem]:
        if not parts:
            yield Folder()
            if depth == "0":
                return
        with self.reading() as session:
            person = people.by_slug(session, user) if user else None
        if person is None:
            return
        home = Home(person)
        if not parts:
            with child(home.path, None):
                yield home
            return
        yield home
        if depth == "0":
            return
        client = _client()
        with self.reading() as session:
            readable = access.all_readable(session, user, client=client, scope=sent_bytes.scope())
        for found in readable:
            if found.book.search_only:
                continue
            book = Book(self, user, found, client)
            with child(book.path, None):
                yield book

    def _target(self, user: str, path: str) -> Access | None:
        """The book that ``path`` is or lies in, if ``user`` may read it."""
        parts = pathutils.strip_path(path).split("/") if path else []
        if len(parts) < 2 or parts[0] != user:
            return None
        with self.database.read() as session:
            return access.find(session, user, parts[1], scope=sent_bytes.scope())

    def _is_kept(self, held: _Held, book: Book, item: CardItem) -> bool:
        """Whether the guard refuses a DELETE of a card, which Radicale would find right otherwise."""
        request = sent_bytes.current()
        named = request is None or not request.names_state or item.etag == request.if_match
        if held.session is None or held.by is None or not named or Verb.DELETE not in book.access.verbs:
            return False
        try:
            guard.require(
                held.session,
                book.access,
                Verb.DELETE,
                item.href or "",
                by=held.by,
                policy=self.policy,
                deletes=True,
            )
        except GuardedError as error:
            held.refused, held.guarded = True, error
            return True
        return False

    def _refused(self, held: _Held, targets: Sequence[Access], path: str) -> None:
        """Note all that is to be noted of a refused write, after its transaction."""
        if held.guarded:
            blocks.record(self.database, held.guarded)
        if targets:
            self._remember_refused(targets[0], path)

    def _remember_refused(self, found: Access, path: str) -> None:
        """Note that the client's write of a card came to nothing, so that its next sync takes it back.

        In a transaction of its own, after the one that failed. If it can't be noted the refusal stands all the same.
        """
        parts = pathutils.strip_path(path).split("/")
        if len(parts) != 3 or found.principal_id is None:
            return
        try:
            cards.check_href(parts[2])
            with self.database.write(found.book.id) as session:
                refusals.remember(session, found.principal_id, _client(), found.book.id, parts[2])
        except SharedBooksError as error:
            logger.warning("A refused write of %r was not remembered: %s", found.login, error)


@contextmanager
def _holding(held: _Held) -> Iterator[None]:
    token = _held.set(held)
    try:
        yield
    finally:
        _held.reset(token)


def _no_context(path: str, href: str | None) -> AbstractContextManager[None]:
    del path, href
    return nullcontext()


def _client() -> str:
    return devices.client_of(sent_bytes.device(), sent_bytes.sender().user_agent)


def _actor(session: Session, slug: str) -> Actor:
    """Who writes: the person of ``slug`` with what is known of the request."""
    person = people.by_slug(session, slug) if slug else None
    device, sender = sent_bytes.device(), sent_bytes.sender()
    return Actor(
        person.id if person else None,
        person.login if person else slug,
        device=device.label if device else _client(),
        user_agent=sender.user_agent,
        address=sender.address,
    )

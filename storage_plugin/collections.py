"""Radicale's collections: the root, a person's home, and a book.

A collection carries a snapshot of what it is (``Access``): PROPFIND renders its answer after the lock is released
(radicale 3.9, app/propfind.py), so what reads here opens a short read of its own where no write is under way.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET  # the elements were parsed by Radicale, with defusedxml
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, overload

from radicale import item as radicale_item
from radicale import storage
from sqlalchemy.orm import Session

from radicale_shared import books, cards, reading, search, sync, write_back
from radicale_shared.access import Access, Verb
from radicale_shared.cards import Checked, Written
from radicale_shared.changes import Actor
from radicale_shared.errors import NeedPrivilegeError, NotAllowedHereError, UnknownSyncTokenError
from radicale_shared.etags import NO_CONDITIONS, Conditions, etag_of, shown_etag
from radicale_shared.people import Person
from radicale_shared.reading import Stored
from radicale_shared.refusals import Refused
from radicale_shared.write_back import MergeNeededError, Merging

from . import filters as narrow
from .answers import answer
from .items import CardItem, http_date, quoted

if TYPE_CHECKING:
    from .storage import Storage

TAG = "VADDRESSBOOK"
NAME = "D:displayname"
DESCRIPTION = "CR:addressbook-description"
COLOR = "{http://inf-it.com/ns/ab/}addressbook-color"  # a namespace for which Radicale has no prefix

Found = tuple[str, radicale_item.Item | None]


class Folder(storage.BaseCollection):
    """A collection without cards: the root, or a home. Nothing of it can be changed."""

    @property
    def path(self) -> str:
        return ""

    @property
    def owner(self) -> str:
        return self.path

    @property
    def tag(self) -> str:
        return ""

    @property
    def etag(self) -> str:
        return quoted(self.path)

    @property
    def last_modified(self) -> str:
        raise NotImplementedError

    @overload
    def get_meta(self, key: None = None) -> Mapping[str, str]: ...

    @overload
    def get_meta(self, key: str) -> str | None: ...

    def get_meta(self, key: str | None = None) -> Mapping[str, str] | str | None:
        return self._meta() if key is None else self._meta().get(key)

    def get_all(self) -> Iterable[radicale_item.Item]:
        return ()

    def get_multi(self, hrefs: Iterable[str]) -> Iterable[Found]:
        return [(href, None) for href in hrefs]

    def get_filtered(self, filters: Iterable[ET.Element]) -> Iterable[tuple[radicale_item.Item, bool]]:
        del filters
        return ()

    def has_uid(self, uid: str) -> bool:
        del uid
        return False

    def sync(self, old_token: str = "") -> tuple[str, Iterable[str]]:  # noqa: ARG002
        raise ValueError("Only address books are synchronised.")

    def upload(self, href: str, item: radicale_item.Item) -> tuple[radicale_item.Item, radicale_item.Item | None]:
        del href, item
        raise answer(NotAllowedHereError("Cards are kept in address books only."))

    def delete(self, href: str | None = None) -> None:  # noqa: ARG002
        raise answer(NotAllowedHereError("A home can't be deleted."))

    def set_meta(self, props: Mapping[str, str]) -> None:  # noqa: ARG002
        raise answer(NotAllowedHereError("A home has no properties that can be set."))

    def _meta(self) -> Mapping[str, str]:
        return {}


class Kept(Folder):
    """What a DELETE finds in the place of a card that the guard keeps.

    Radicale's DELETE catches nothing that a storage raises, and answers 500. A collection it refuses with 403 here, as
    our rights know none at a card's address.
    """

    def delete(self, href: str | None = None) -> None:  # noqa: ARG002
        raise answer(NotAllowedHereError("The guard keeps this card."))


class Home(Folder):
    """A person's home, which is their principal too."""

    def __init__(self, person: Person) -> None:
        self._person = person

    @property
    def path(self) -> str:
        return self._person.slug

    def _meta(self) -> Mapping[str, str]:
        return {NAME: self._person.name}


class Book(storage.BaseCollection):
    """An address book as one person has it in their home: their own, or a mounted one."""

    def __init__(self, storage_: Storage, user: str, access: Access, client: str) -> None:
        self._storage = storage_
        self._path = f"{user}/{access.name}"
        self._client = client
        self.access = access

    @property
    def path(self) -> str:
        return self._path

    @property
    def owner(self) -> str:
        """The reader, if the book is theirs; else nobody: another's principal could not be looked at."""
        mine = self.access.book.owner_id == self.access.principal_id
        return self.path.split("/", maxsplit=1)[0] if mine else ""

    @property
    def is_principal(self) -> bool:
        return False

    @property
    def tag(self) -> str:
        return TAG

    @property
    def etag(self) -> str:
        """Also its getctag: the sync token of the moment the collection was found."""
        return quoted(sync.token(self.access, self._storage.secret))

    @property
    def last_modified(self) -> str:
        with self._storage.reading() as session:
            return http_date(reading.last_change(session, self.access.book.id) or self.access.book.created_at)

    @overload
    def get_meta(self, key: None = None) -> Mapping[str, str]: ...

    @overload
    def get_meta(self, key: str) -> str | None: ...

    def get_meta(self, key: str | None = None) -> Mapping[str, str] | str | None:
        book = self.access.book
        meta = {"tag": TAG, NAME: book.name, DESCRIPTION: book.description, COLOR: book.color}
        kept = {one: text for one, text in meta.items() if text}
        return kept if key is None else kept.get(key)

    def set_meta(self, props: Mapping[str, str]) -> None:
        """Set name, description and colour.

        A wish for anything else is refused as a whole: Radicale answers 200 for each property it was asked for, and an
        answer for what isn't kept would be false.
        """
        with self._storage.writing() as (session, by):
            self.access.require(Verb.OWN)
            name, description, color, rest = properties(props)
            if rest:
                raise NotAllowedHereError(f"An address book keeps no {', '.join(rest)}.")
            book = self.access.book
            books.set_properties(
                session,
                book,
                by=by,
                name=name if name != book.name else None,
                description=description if description != book.description else None,
                color=color if color != book.color else None,
            )

    def sync(self, old_token: str = "") -> tuple[str, Iterable[str]]:
        """(token, hrefs that changed since); of an empty token the hrefs are read only if they are asked for.

        Raises ValueError if the client must start over.
        """
        token = sync.token(self.access, self._storage.secret)
        if not old_token:
            return token, self._all_hrefs()
        try:
            with self._storage.reading() as session:
                told = sync.changed_since(session, self.access, old_token, self._refused, secret=self._storage.secret)
        except UnknownSyncTokenError as error:
            if sync.is_rollback(self.access, old_token, self._storage.secret):
                self._storage.rotate(self.access)
            raise answer(error) from error
        return told.token, [*(row.href for row in told.rows), *told.missing]

    def get_multi(self, hrefs: Iterable[str]) -> Iterator[Found]:
        names = list(dict.fromkeys(hrefs))
        for start in range(0, len(names), reading.BATCH):
            batch = names[start : start + reading.BATCH]
            legal = [href for href in batch if _is_legal(href)]
            found = {one.href: one for one in reading.get_many(self._storage.reading, self.access, legal)}
            for href in batch:
                stored = found.get(href)
                yield href, self.item(stored) if stored else None

    def get_all(self) -> Iterator[CardItem]:
        with self._storage.snapshot() as session:
            found = list(reading.every(session, self.access))
        return (self.item(stored) for stored in found)

    def get_filtered(self, filters: Iterable[ET.Element]) -> Iterator[tuple[CardItem, bool]]:
        """The cards that may match; whether they do is left to Radicale."""
        condition = narrow.narrowing(filters)
        if condition == search.EVERY:
            yield from ((item, False) for item in self.get_all())
            return
        with self._storage.reading() as session:
            rows = search.candidates(session, [self.access.book.id], condition)
        for _, item in self.get_multi([row.href for row in rows]):
            if isinstance(item, CardItem):
                yield item, False

    def has_uid(self, uid: str) -> bool:
        with self._storage.reading() as session:
            return reading.has_uid(session, self.access.book.id, uid.strip())

    def get(self, href: str, *, is_compared: bool = False) -> CardItem | None:
        """The live card at ``href``; ``is_compared``: its ETag is going to be, with If-Match."""
        if not _is_legal(href):
            return None
        with self._storage.reading() as session:
            stored = reading.get(session, self.access, href)
        return self.item(stored, is_compared=is_compared) if stored else None

    def upload(self, href: str, item: radicale_item.Item) -> tuple[CardItem, CardItem | None]:
        before = self.get(href)
        with self._storage.writing() as (session, by):
            card = cards.check(self._storage.sent_bytes(item), self._storage.settings.max_card_size)
            written = self._put(session, href, card, by=by)
            stored = reading.get(session, self.access, href)
        if stored is None:
            raise RuntimeError("A card that was just written is gone.")
        if stored.data != card.data:
            # Radicale answers with an ETag in any case: by this one the client finds at its next sync that it holds
            # something else.
            etag = etag_of(self._storage.secret, card.data, written.revision)
            return self.item(stored._replace(etag=etag)), before
        return self.item(stored), before

    def _put(self, session: Session, href: str, card: Checked, *, by: Actor) -> Written:
        """``cards.put`` in this book; what a reader changed who sees a part of the card is applied to all of it.

        The same of a program that never sends some of its properties (``client_properties``).

        Under the lock for writing nobody else changes the card, so it is worked out once.
        """
        put = partial(
            cards.put,
            session,
            self.access,
            href,
            card,
            secret=self._storage.secret,
            by=by,
            limits=self._storage.limits,
            policy=self._storage.policy,
        )
        hides = bool(self.access.view.hidden)
        live = reading.get(session, self.access, href) if self._storage.names_state or not hides else None
        if live is not None and live.version != card.version and not hides:
            return put()  # Radicale gives every client the stored version: so this is what it was shown
        # Radicale has compared the state that the client names: it is the present one. Who sees all of a card and names
        # none is taken to have edited the present one too.
        conditions = Conditions((live.etag,)) if live else NO_CONDITIONS
        try:
            return put(conditions=conditions, merging=Merging())
        except MergeNeededError as needed:
            check = partial(cards.check, max_size=self._storage.settings.max_card_size)
            merging = write_back.worked_out(session, needed, card, check)
            return put(conditions=conditions, merging=merging)

    def delete(self, href: str | None = None) -> None:
        """Delete a card; without ``href`` move the book into the trash, which only its owner can, and only at home."""
        with self._storage.writing() as (session, by):
            if href is not None:
                cards.remove(session, self.access, href, by=by, policy=self._storage.policy)
                return
            self.access.require(Verb.OWN)
            if not self.access.is_home:
                raise NeedPrivilegeError(Verb.OWN)
            books.trash(session, self.access.book, by=by)

    def serialize(self, vcf_to_ics: bool = False, ShareActions: Mapping[str, str] | None = None) -> str:
        """All cards as one file; a card that ends without a line break gets one, so that the next begins a line."""
        if vcf_to_ics:
            text: str = super().serialize(vcf_to_ics, dict(ShareActions or {}))
            return text
        texts = (item.serialize() for item in self.get_all())
        return "".join(text if text.endswith(("\n", "\r")) else text + "\r\n" for text in texts)

    def item(self, stored: Stored, *, is_compared: bool = False) -> CardItem:
        """A stored card with the ETag that this reader's client sees."""
        refused = self._refused.mark(stored.href)
        return CardItem(self, stored, shown_etag(stored.etag, self.access.view, refused), is_compared=is_compared)

    @cached_property
    def _refused(self) -> Refused:
        with self._storage.reading() as session:
            return sync.refused_writes(session, self.access, self._client)

    def _all_hrefs(self) -> Iterator[str]:
        # Read as a whole before the first is given: whoever goes through them has reads of their own to make.
        with self._storage.reading() as session:
            told = sync.changed_since(session, self.access, "", self._refused, secret=self._storage.secret)
        yield from (row.href for row in told.rows)


def properties(props: Mapping[str, str]) -> tuple[str, str, str, list[str]]:
    """(name, description, colour, names of what a book doesn't keep) of Radicale's properties of a collection.

    Raises NotAllowedHereError for another kind of collection.
    """
    rest = dict(props)
    if rest.pop("tag", "") != TAG:
        raise NotAllowedHereError("Only address books are kept here.")
    return rest.pop(NAME, ""), rest.pop(DESCRIPTION, ""), rest.pop(COLOR, ""), sorted(rest)


def _is_legal(href: str) -> bool:
    try:
        cards.check_href(href)
    except NotAllowedHereError:
        return False
    return True

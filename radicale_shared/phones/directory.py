"""The contacts of some books as one phone shows them: its fields, its order of names, its way of dialling.

Whatever is looked for is decided on what the phone shows: what it doesn't show finds nobody. Books that are searched
and never listed are not among everyone's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice

from sqlalchemy.orm import Session

from .. import callers, entry_lists, entry_rows, entry_search, lanes, numbers
from ..access import Access
from ..callers import Caller
from ..card_keys import card_of, key_of
from ..database import Database
from ..entries import Entry, Kind, Number
from ..entry_keys import FAMILY_FIRST, GIVEN_FIRST, plain
from ..phone_profiles import NameOrder, Profile
from .asking import Found, LeftOuts
from .contacts import Contact, Line
from .xml import plain as on_one_line

_LONGEST_SOUGHT = 100
_AT_ONCE = 250
MANY = 1000


class Contacts(list[Contact]):
    """Contacts of which answers are made: whoever goes over many lets other requests run in between."""

    def __iter__(self) -> Iterator[Contact]:
        for start in range(0, len(self), _AT_ONCE):
            if start:
                lanes.queue_again()
            yield from self[start : start + _AT_ONCE]


class Directory:
    """What one phone can show.

    accesses: of the books that its owner may read and that it may show
    left_out: takes who isn't among the contacts
    is_counted: whether it is wanted how many are too many; a phone that doesn't get them doesn't wait for that
    before_many: is called once, before more than MANY contacts are made
    """

    def __init__(
        self,
        db: Database,
        profile: Profile,
        accesses: Iterable[Access],
        left_out: LeftOuts,
        *,
        is_counted: bool = False,
        before_many: Callable[[], object] = lambda: None,
    ) -> None:
        self._db = db
        self._profile = profile
        self._searched = {access.book.id: access for access in accesses}
        self._listed = {book_id: one for book_id, one in self._searched.items() if not one.book.search_only}
        self._kinds = frozenset(kind for kind in Kind if f"tel:{kind}" in profile.fields)
        self._left_out = left_out
        self._is_counted = is_counted
        self._before_many = before_many
        self._has_many = False
        self._order = FAMILY_FIRST if profile.name_order is NameOrder.FAMILY else GIVEN_FIRST
        self.was_listed = False

    def everyone(self) -> Contacts:
        """As ``Asked.everyone``."""
        self.was_listed = True
        self._begin(self._profile.max_entries)
        for access in self._searched.values():
            if access.book.search_only and access.book.card_count:
                reason = f"the book {_group(access)} is searched, and never listed"
                self._left_out.add(reason, _group(access), access.book.card_count)
        most = self._profile.max_entries
        contacts = self._contacts(chain.from_iterable(self._in_order()))
        found = Contacts(islice(contacts, most))
        if self._is_counted:
            for contact in contacts:
                self._left_out.add(f"the phone gets {most} entries, and others come before", contact.name)
        return found

    def search(self, text: str, offset: int, limit: int) -> Found:
        """As ``Asked.search``."""
        sought = plain(text[:_LONGEST_SOUGHT])
        enough = min(offset + limit + 1, self._profile.max_entries)
        if not sought:
            self.was_listed = True
            self._begin(enough)
            contacts = list(islice(self._contacts(chain.from_iterable(self._in_order())), enough))
        elif (digits := numbers.digits_of(sought)) and not any(map(str.isalpha, sought)):
            contacts = self._by_digits(digits, enough)
        else:
            contacts = self._by_words(sought, enough)
        contacts = contacts[:enough]
        return Found(contacts[offset : offset + limit], len(contacts) > offset + limit)

    def called(self, number: str) -> list[Contact]:
        """As ``Asked.called``; a company stands there for itself, where it isn't known who of it is calling."""
        found = self.caller(number)
        if found.entry is not None:
            contact = self._contact(found.entry)
            return [contact] if contact else []
        name = on_one_line(found.org)
        line = Line(Kind.WORK, self._profile.dialled(Number(Kind.WORK, found.number, found.number)) or found.number)
        key = key_of(0, self._db.secret)
        return [Contact(key, name, "", "", name, "", "", (line,), "")] if name else []

    def caller(self, number: str, region: str = "") -> Caller:
        """Who has this number, and how that is known. region: instead of the phone's"""
        profile = self._profile
        with self._db.read() as session:
            found = callers.called(
                session,
                self._searched,
                number,
                fields=profile.fields,
                region=region or profile.region,
                outside_prefix=profile.outside_prefix,
                trunk=profile.trunk,
            )
        return found if found.entry is None else replace(found, entry=self._profile.shown(found.entry))

    def contact(self, key: str) -> Contact | None:
        """As ``Asked.contact``."""
        card_id = card_of(key, self._db.secret)
        if card_id is None:
            return None
        with self._db.read() as session:
            found = entry_rows.seen(session, self._searched, [card_id], on_phones=True)
        return self._contact(found[0]) if found else None

    # -- entries -------------------------------------------------------------------------------------------------------

    def _begin(self, contacts: int) -> None:
        """Wait for a turn, where many contacts are going to be made."""
        if contacts > MANY and not self._has_many:
            self._has_many = True
            self._before_many()

    def _in_order(self) -> Iterator[list[Entry]]:
        return entry_lists.in_order(self._db.read, self._listed, self._order, on_phones=True)

    def _by_words(self, sought: str, enough: int) -> list[Contact]:
        """Those of whom a word of name or organisation begins with each word of ``sought``."""

        def search(session: Session, most: int) -> list[Entry]:
            return entry_search.by_words(
                session,
                self._searched,
                sought,
                limit=most,
                family_first=self._order == FAMILY_FIRST,
                shown=self._profile.shown,
            )

        return self._enough(search, enough)

    def _by_digits(self, digits: str, enough: int) -> list[Contact]:
        """Those whose name is typed by these digits on a telephone's keys, or whose number has them."""

        def by_name(session: Session, most: int) -> list[Entry]:
            return entry_search.by_t9(
                session,
                self._searched,
                digits,
                limit=most,
                family_first=self._order == FAMILY_FIRST,
                shown=self._profile.shown,
            )

        def by_number(session: Session, most: int) -> list[Entry]:
            return entry_search.by_number(session, self._searched, digits, limit=most, shown=self._profile.shown)

        found = {contact.key: contact for search in (by_name, by_number) for contact in self._enough(search, enough)}
        return list(found.values())

    def _enough(self, search: Callable[[Session, int], list[Entry]], enough: int) -> list[Contact]:
        """The contacts of what a search finds: it is asked for more while too many of its entries have no number."""
        most = enough
        while True:
            with self._db.read() as session:
                found = search(session, most)
            made = [(entry, self._contact(entry)) for entry in found]
            contacts = [contact for _, contact in made if contact is not None]
            if len(contacts) >= enough or len(found) < most:
                for entry, contact in made:
                    if contact is None:
                        self._note(entry)
                return contacts
            most *= 2
            lanes.give_way()

    # -- contacts ------------------------------------------------------------------------------------------------------

    def _contacts(self, found: Iterable[Entry]) -> Iterator[Contact]:
        for entry in found:
            if (contact := self._contact(entry)) is not None:
                yield contact
            else:
                self._note(entry)

    def _note(self, entry: Entry) -> None:
        self._left_out.add("it has no number that the phone shows", self._name(entry))

    def _contact(self, entry: Entry) -> Contact | None:
        """An entry as this phone shows it; None without a number that it can dial."""
        entry = self._profile.shown(entry)
        lines: dict[str, Line] = {}
        for number in entry.numbers:
            if dialled := self._profile.dialled(number):
                lines.setdefault(dialled, Line(number.kind, dialled))
        if not lines:
            return None
        name = self._name(entry)
        return Contact(
            key=key_of(entry.card_id, self._db.secret),
            name=name or next(iter(lines)),
            family=on_one_line(entry.family),
            given=on_one_line(entry.given),
            org=on_one_line(entry.org),
            title=on_one_line(entry.title),
            email=on_one_line(entry.emails[0]) if entry.emails else "",
            lines=tuple(lines.values()),
            group=_group(self._searched[entry.book_id]),
        )

    def _name(self, entry: Entry) -> str:
        """A name on one line, in the order that the profile wants; one is made up where the card has none."""
        family, given = on_one_line(entry.family), on_one_line(entry.given)
        if family and given and self._profile.name_order is NameOrder.FAMILY:
            return f"{family}, {given}"
        if family and given and self._profile.name_order is NameOrder.GIVEN:
            return f"{given} {family}"
        others = (on_one_line(one) for one in (entry.name, entry.org, *entry.emails[:1]))
        return next(filter(None, others), "")


def _group(access: Access) -> str:
    return on_one_line(access.book.name) or access.book.slug

"""The directory's people as a read-only book: who is in it, what has changed, and who is gone.

A run asks two things. First for the keys of all entries, which is cheap and tells who is gone; then for the entries
that have changed since the last run, by the directory's own clock (modifyTimestamp, whenChanged), some minutes of
overlap included. Once a day, and whenever the configuration has changed or an entry turns up that no change announced
(it was moved here, or may be read only now), all entries are read. Not by syncrepl or DirSync: the one needs a
connection that stays open, the other the right to replicate the domain, passwords included, which no address book
should have.

Entries are read as a stream, and written where the digest of what they show is another one (``mirrored``). A run that
breaks off leaves what it has written, and the next one goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b

from .. import cards, directories, mirrored
from ..books import Book
from ..database import Database
from ..directory_settings import DirectorySettings
from ..mirrored import Shown, Written
from ..models import now
from . import entries, filters, mapping
from .entries import Entry, NoKeyError
from .find import Directory

_OVERLAP = timedelta(minutes=10)
_READ_ALL = timedelta(hours=24)
_LONGEST_KEY = 512
_LEFT_OUT = "-"  # before the digest of an entry that has no card
NO_KEY = "An entry without a key is no card."
SAME_KEY = "Of two entries with one key the second is no card."

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Report:
    """What a run did, or with ``dry_run`` would do.

    book: address of the book; empty where the directory has no mirror
    left_out: entries that are no card
    reasons: {sentence on what was left out: how often}; of those entries that were read
    read_all: whether all entries were read, not just those that changed
    guard: why nothing was changed; empty where that is no loss of too many
    """

    book: str = ""
    new: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    left_out: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    read_all: bool = False
    guard: str = ""

    def remark(self, reason: str) -> None:
        """Count something that was left out."""
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


@dataclass(frozen=True, slots=True)
class _Point:
    """How far the last run came: the directory's time then, and at the last full reading; of which configuration."""

    time: str = ""
    full: str = ""
    configuration: str = ""

    @classmethod
    def parse(cls, text: str) -> _Point:
        parts = text.split()
        return cls(*parts) if len(parts) == 3 else cls()

    def __str__(self) -> str:
        return f"{self.time} {self.full} {self.configuration}"


@dataclass(frozen=True, slots=True)
class _Search:
    """One kind of entries. ``checks_state``: whether those that may not sign in are left out.

    That is so of people. Rooms and shared mailboxes are disabled accounts by nature.
    """

    filter: str
    kind: str
    checks_state: bool


def due(state: directories.State, settings: DirectorySettings, at: datetime) -> bool:
    """Whether the book of a directory is to be brought up at a moment."""
    if not settings.mirror.book:
        return False
    return state.mirrored_at is None or at - state.mirrored_at >= timedelta(minutes=settings.mirror.every_minutes)


def run(directory: Directory, db: Database, *, accept: bool = False, dry_run: bool = False) -> Report:
    """Bring the mirrored book of a directory up; two runs at once do no harm.

    accept: take what the directory has at this moment, however many people are gone
    dry_run: only tell what would be written

    Raises DirectoryUnavailableError; NotAllowedHereError or NotFoundError for a book or readers that can't be.
    """
    settings = directory.settings
    if not settings.mirror.book:
        return Report()
    return _Run(directory, db).done(accept=accept, dry_run=dry_run)


class _Run:
    """One run; it holds the keys and digests of all entries, and never the entries themselves."""

    def __init__(self, directory: Directory, db: Database) -> None:
        self.directory = directory
        self.db = db
        self.settings = directory.settings
        self.map = mapping.card_map(self.settings)
        self.searches = _searches(self.settings)
        self.bases = self.settings.mirror.base or self.settings.people_base
        self.report = Report(book=self.settings.mirror.book)
        self.known: Mapping[str, str] = {}
        self.seen: set[str] = set()
        self.left_out: set[str] = set()
        self.emptied: list[Shown] = []  # entries that had a card and can be none any more

    def done(self, *, accept: bool, dry_run: bool) -> Report:
        settings, report = self.settings, self.report
        with self.db.read() as session:
            book = mirrored.find(session, settings.mirror.book, settings.name)
            self.known = mirrored.digests(session, book.id) if book else {}
            state = directories.state(session, settings.name)
        began, at = self.directory.now(), now()
        present = self._present(at)
        if not accept:
            report.guard = self._lost(sum(key not in present for key in self.known))
        if report.guard:
            if not dry_run:
                self._note_guard(state.mirrored_to)
            return report
        point = self._point(state.mirrored_to, began)
        shown = self._shown(present, point, at, accept=accept)
        if dry_run:
            self._count(shown)
        else:
            book = self._prepared(book, len(present))
            written = Written()
            try:
                mirrored.write(self.db, book, shown, written=written)
            finally:
                report.new, report.changed, report.removed = written.new, written.changed, written.removed
            if report.guard or state.guard(directories.MIRROR):
                self._note_guard(state.mirrored_to)
            if not report.guard:
                full = began if report.read_all else point.full
                with self.db.write() as session:
                    directories.mirrored(session, settings.name, str(_Point(began, full, self._configuration())))
        report.left_out = len(self.left_out) + sum(
            digest.startswith(_LEFT_OUT)
            for key, digest in self.known.items()
            if key in present and key not in self.seen
        )
        report.unchanged = len(present) - report.left_out - report.new - report.changed
        self._warn()
        return report

    def _lost(self, gone: int) -> str:
        """Why it is not believed that so many cards shall go; empty where it is."""
        what = f"people in the address book {self.settings.mirror.book}"
        return directories.lost(what, len(self.known), gone, of_all=True)

    def _note_guard(self, reached: str) -> None:
        """Note what is not believed, or that all is; and that the book was compared now, for the schedule."""
        name, guard = self.settings.name, self.report.guard
        with self.db.write() as session:
            directories.set_guard(session, name, directories.MIRROR, guard)
            if guard:
                directories.mirrored(session, name, reached)
        if guard:
            _log.error(
                "Directory %s: %s No card was removed. Look at the directory; if it is right: "
                "radicale-shared directory sync --directory %s --accept",
                *(name, guard, name),
            )

    def _prepared(self, book: Book | None, people: int) -> Book:
        """The book, made where it is missing, and listed or only searched as the settings say.

        "auto" is decided when the book is made: programs that hold it should not lose it because somebody was hired.
        """
        mirror = self.settings.mirror
        searched = mirror.list == "search" or (mirror.list == "auto" and people > mirror.full_up_to)
        if book is None:
            with self.db.write() as session:
                return mirrored.make(
                    session,
                    mirror.book,
                    self.settings.name,
                    name=mirror.name,
                    readers=mirror.readers,
                    search_only=searched,
                )
        if searched != book.search_only and mirror.list != "auto":
            with self.db.write() as session:
                mirrored.set_search_only(session, book, search_only=searched)
        elif searched and not book.search_only:
            _log.warning(
                "directory %r: the book %s has grown to %d people, and is still listed in full: "
                'set list = "search" or list = "full" in [directory.mirror]',
                *(self.settings.name, mirror.book, people),
            )
        return book

    def _present(self, at: datetime) -> set[str]:
        """The keys of all entries that have a place in the book."""
        found: set[str] = set()
        for search in self.searches:
            for entry in self.directory.search(self.bases, search.filter, self._attributes()):
                if (key := self._key(entry)) and self._has_place(entry, search, at):
                    found.add(key)
        return found

    def _shown(self, present: set[str], point: _Point, at: datetime, *, accept: bool) -> Iterator[Shown]:
        """What is to be written, as the entries come in: the changed ones, then those that are gone.

        An entry whose attributes can't be read any more is gone too, and it may be so of all: these are counted first.
        """
        since = "" if accept else _overlapping(point.time)
        if since:
            yield from self._read(at, since)
        if not since or present - self.known.keys() - self.seen:
            self.report.read_all = True
            yield from self._read(at, "")
        gone = self.known.keys() - present - self.seen
        if not accept:
            self.report.guard = self._lost(len(gone) + len(self.emptied))
        if self.report.guard:
            return
        for one in self.emptied:
            self.left_out.add(one.key)
            yield one
        for key in gone:
            yield Shown(key, mapping.href_of(self.settings.name, key), "", None)

    def _read(self, at: datetime, since: str) -> Iterator[Shown]:
        read: set[str] = set()
        attributes = self._attributes(*self.map.attributes)
        for search in self.searches:
            for entry in self.directory.search(self.bases, search.filter, attributes, changed_since=since):
                key = self._key(entry)
                if not key:
                    self.report.remark(NO_KEY)
                elif key in read:
                    self.report.remark(SAME_KEY)
                elif key not in self.seen and self._has_place(entry, search, at):
                    read.add(key)
                    if shown := self._changed(entry, key, search.kind):
                        yield shown
        self.seen |= read

    def _changed(self, entry: Entry, key: str, kind: str) -> Shown | None:
        """What an entry's card shall be; None if it is that already."""
        digest, before = mapping.digest(entry, kind, self.map), self.known.get(key, "")
        if before == digest:
            return None
        made = mapping.card(entry, key, kind, self.map)
        for reason in made.left_out:
            self.report.remark(reason)
        href = mapping.href_of(self.settings.name, key)
        if made.data:
            return Shown(key, href, digest, cards.check(made.data))
        without = Shown(key, href, _LEFT_OUT + digest, None)
        if before and not before.startswith(_LEFT_OUT):
            self.emptied.append(without)
            return None
        self.left_out.add(key)
        return without if before != without.digest else None

    def _count(self, shown: Iterator[Shown]) -> None:
        for one in shown:
            had = self.known.get(one.key, _LEFT_OUT).startswith(_LEFT_OUT)
            self.report.new += bool(one.card and had)
            self.report.changed += bool(one.card and not had)
            self.report.removed += bool(not one.card and not had)

    def _key(self, entry: Entry) -> str:
        try:
            return _kept(entries.key(entry, self.settings.key_attribute))
        except NoKeyError:
            return ""

    def _has_place(self, entry: Entry, search: _Search, at: datetime) -> bool:
        return not search.checks_state or not entries.inactive_because(self.settings, entry, at)

    def _attributes(self, *further: str) -> tuple[str, ...]:
        of_state = (self.settings.key_attribute, self.settings.login_attribute, *self.settings.state_attributes)
        return tuple(dict.fromkeys(name for name in (*of_state, *further) if name))

    def _point(self, reached: str, began: str) -> _Point:
        """Where the last run got to, if the entries that changed since then are enough to read."""
        point = _Point.parse(reached)
        full, this = entries.generalized_time(point.full), entries.generalized_time(began)
        if point.configuration != self._configuration() or not full or not this or this - full >= _READ_ALL:
            return _Point()
        return point

    def _configuration(self) -> str:
        """What tells this configuration from every other one."""
        told = [self.map.fingerprint, repr(self.searches), *self.bases, self.settings.key_attribute]
        return blake2b("\n".join(told).encode(), digest_size=16).hexdigest()

    def _warn(self) -> None:
        if self.report.reasons:
            told = " ".join(f"{reason} ({count})" for reason, count in sorted(self.report.reasons.items()))
            _log.warning("directory %r, book %s: %s", self.settings.name, self.settings.mirror.book, told)


def _searches(settings: DirectorySettings) -> tuple[_Search, ...]:
    """What to look for: each kind without the entries of those before it, then people."""
    found: list[_Search] = []
    others: list[str] = []
    for one in settings.mirror.kinds:
        found.append(_Search(filters.every(one.filter, *others), one.kind, checks_state=False))
        others.append(f"(!{one.filter})")
    of_people = [settings.people_filter, *([settings.mirror.filter] if settings.mirror.filter else [])]
    return (*found, _Search(filters.every(*of_people, *others), "individual", checks_state=True))


def _overlapping(time: str) -> str:
    """Some minutes before a time of the directory, written like it; empty for none."""
    parsed = entries.generalized_time(time)
    if parsed is None:
        return ""
    return (parsed - _OVERLAP).strftime("%Y%m%d%H%M%S") + (".0Z" if "." in time else "Z")


def _kept(key: str) -> str:
    """A key as it is kept: itself, or a hash of one that can't stand in the table."""
    return key if len(key) <= _LONGEST_KEY and "\x00" not in key else blake2b(key.encode()).hexdigest()

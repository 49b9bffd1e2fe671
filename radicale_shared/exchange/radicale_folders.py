"""The address books that a stock Radicale left on disk (its storage ``multifilesystem``), brought along.

    collection-root/USER/BOOK/.Radicale.props    JSON: tag, name, description, colour
    collection-root/USER/BOOK/HREF               one card a file

URLs stay: ``/USER/BOOK/HREF`` is the same address here, as far as the names are legal here. The files' bytes are kept;
only vCard 2.1 is converted, to 3.0. What Radicale itself damaged before it stored a card (it re-wrote each through
vobject) is gone: marks of that are listed where there are any, but a value that was cut at a comma leaves none.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from radicale_shared import access, books, history, people, reading, texts
from radicale_shared.access import Access
from radicale_shared.changes import Actor
from radicale_shared.database import Database
from radicale_shared.errors import NotAllowedHereError, NotFoundError, SharedBooksError, UidConflictError
from radicale_shared.exchange import slices
from radicale_shared.exchange.report import Outcome, Remark, Report, name_in, shown
from radicale_shared.exchange.slices import Incoming, Job
from radicale_shared.exchange.vcards import prepared
from radicale_shared.vcard import Card

KIND = "import-radicale"
ROOT = "collection-root"
PROPERTIES = ".Radicale.props"
NAME = "D:displayname"
DESCRIPTION = "CR:addressbook-description"
COLOR = "{http://inf-it.com/ns/ab/}addressbook-color"
GROUPS = "GROUPS"  # Radicale's default for [group] group_collections_folder

_MOST_PROPERTIES = 1_000_000  # bytes
_PICTURES = frozenset({"PHOTO", "LOGO", "SOUND", "KEY"})
_CUT_DATA_URI = re.compile(r"data:[^,]*\\;base64\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A folder that was not imported, and why."""

    folder: str
    why: str


@dataclass(frozen=True, slots=True)
class Loss:
    """A card that shows the marks of damage done before the import."""

    book: str
    href: str
    name: str
    what: str


@dataclass(slots=True)
class ImportedBook:
    """What came of one folder. ``made``: the book was not there before; ``moved``: its URL is another one now."""

    folder: str
    address: str
    name: str
    made: bool
    moved: bool
    report: Report = field(default_factory=Report)


@dataclass(slots=True)
class Migration:
    """What came of it all."""

    users_made: list[str] = field(default_factory=list)
    books: list[ImportedBook] = field(default_factory=list)
    calendars: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Folder:
    """An address book on disk."""

    path: Path
    shown: str
    login: str
    properties: dict[str, str]

    def property(self, key: str, most: int) -> str:
        """A text that a book may have, whatever was in the file."""
        return texts.ILLEGAL.sub("", unicodedata.normalize("NFC", self.properties.get(key, ""))).strip()[:most]


def size_of(folder: str) -> int:
    """How many bytes an import will read, for a progress bar."""
    return sum(file.stat().st_size for book in _address_books(_root(folder), Migration()) for file in _items(book.path))


def import_folder(
    db: Database,
    folder: str,
    *,
    by: Actor,
    max_size: int,
    dry_run: bool = False,
    migration: Migration | None = None,
    progress: Callable[[int], None] = lambda _bytes: None,
) -> Migration:
    """Import every user's address books below ``folder``, each as one act, and report.

    Users and books that are missing are made; a book that is there already keeps its name, description and colour, and
    its cards that were changed or deleted here since the last import stay as they are.

    folder: Radicale's filesystem_folder, or the collection-root in it

    Raises NotFoundError if there is no such folder, or no user's collection in it.
    """
    migration = migration if migration is not None else Migration()
    found = list(_address_books(_root(folder), migration))
    if not found and not migration.calendars and not migration.skipped:
        raise NotFoundError("Radicale collection below", shown(folder), f"Name the folder that holds {ROOT!r}.")
    taken: dict[str, set[str]] = {}
    seen: dict[str, str] = {}
    # Folders whose name is a legal slug keep it, whatever the others would like to be called.
    for one in sorted(found, key=lambda book: (book.login, not books.is_slug(book.path.name), book.path.name)):
        first = seen.setdefault(people.folded(one.login), one.login)
        if first != one.login:
            why = f"Radicale knew {shown(first)!r} and {shown(one.login)!r}; here they would be the same user."
            migration.skipped.append(Skipped(one.shown, why))
            continue
        slug = _free_slug(one.path.name, taken.setdefault(one.login, set()))
        try:
            _import_book(db, one, slug, migration, by, max_size, progress, dry_run=dry_run)
        except (NotAllowedHereError, NotFoundError) as error:
            migration.skipped.append(Skipped(one.shown, str(error)))
    return migration


def _import_book(
    db: Database,
    folder: _Folder,
    slug: str,
    migration: Migration,
    by: Actor,
    max_size: int,
    progress: Callable[[int], None],
    *,
    dry_run: bool,
) -> None:
    with db.write() as session:
        is_new_user = not _has_user(session, folder.login)
        opened, made = _open(session, folder, slug, by)
        known = {} if made else history.last_kinds(session, opened.book.id)
        if dry_run:
            session.rollback()
    # A dry run's second book of a new user must not announce the user again.
    if is_new_user and folder.login not in migration.users_made:
        migration.users_made.append(folder.login)
    moved = opened.book.home != folder.login or slug != folder.path.name
    result = ImportedBook(folder.shown, opened.book.address, opened.book.name, made, moved)
    migration.books.append(result)
    job = Job(
        db,
        by,
        KIND,
        folder.shown,
        lambda session: _open(session, folder, slug, by)[0],
        opened.book.id if not dry_run else 0,
        dry_run,
        max_size,
    )
    incoming = _incoming(folder, job, result, migration.losses, progress)
    slices.write(job, incoming, _Store(job, known, result.report), result.report)


def _open(session: Session, folder: _Folder, slug: str, by: Actor) -> tuple[Access, bool]:
    """(the book of the folder, whether it was made just now), with its user."""
    try:
        person, is_new = people.user(session, folder.login), False
    except NotFoundError:
        person, is_new = people.add_user(session, folder.login), True
    try:
        return access.administrator(books.find(session, f"{person.slug}/{slug}")), False
    except NotFoundError:
        pass
    book = books.add(
        session,
        person,
        slug,
        by=by,
        name=folder.property(NAME, 500) or shown(folder.path.name)[:500],
        description=folder.property(DESCRIPTION, 10_000),
        color=folder.property(COLOR, 32),
    )
    if is_new:
        books.set_default(session, person.id, book)
    return access.administrator(book), True


def _has_user(session: Session, login: str) -> bool:
    try:
        people.user(session, login)
    except NotFoundError:
        return False
    return True


class _Store:
    """Puts a card at the name it had, unless somebody changed it here since it was imported.

    known: href -> kind of the deed that touched it last, as the book was before
    """

    def __init__(self, job: Job, known: dict[str, str], report: Report) -> None:
        self._job = job
        self._known = known
        self._report = report
        self._uids_taken_back: dict[str, str] = {}

    def __call__(self, session: Session, book: Access, act_id: int, one: Incoming) -> Outcome | Remark:
        last = self._known.get(one.href)
        if last is not None and last != KIND:
            stored = reading.get(session, book, one.href)
            if stored is not None and stored.data == one.content.data:
                return Outcome.UNCHANGED
            what = f"It was touched here since ({last}) and stays as it is."
            self._report.kept.append(Remark(one.file, one.card, name_in(one.content.data), what))
            return Outcome.KEPT
        try:
            if self._job.dry_run and self._uids_taken_back.setdefault(one.content.uid, one.href) != one.href:
                raise UidConflictError(one.content.uid, self._uids_taken_back[one.content.uid])
            return slices.put(session, book, act_id, self._job, one.href, one.content)
        except SharedBooksError as error:
            if not isinstance(error, (UidConflictError, NotAllowedHereError)):
                raise
            return Remark(one.file, one.card, name_in(one.content.data), str(error))


def _incoming(
    folder: _Folder, job: Job, result: ImportedBook, losses: list[Loss], progress: Callable[[int], None]
) -> Iterator[Incoming]:
    report = result.report
    for file in _items(folder.path):
        name = shown(file.name)
        try:
            data = file.read_bytes()
        except OSError as error:
            report.refused.append(Remark(name, 0, "", f"The file can't be read: {error.strerror or error}."))
            continue
        report.files += 1
        one = prepared(name, 1, data, report, max_size=job.max_size, href=file.name)
        if one is not None:
            losses += [Loss(result.address, name, name_in(data), what) for what in marks_of_damage(one.content.data)]
            yield one
        progress(len(data))


def marks_of_damage(data: bytes) -> list[str]:
    r"""What can be told of the damage that Radicale did to a card through vobject before it stored it.

    A data URI loses its content and keeps ``\;base64``; semicolons of other URIs gain a backslash. Values cut at a
    comma (URL, NICKNAME, NOTE, FN) and labels written in capitals can't be told from the client's own.
    """
    found = []
    for line in Card.parse(data).lines:
        if line.name in _PICTURES and _CUT_DATA_URI.fullmatch(line.value):
            found.append(f"{line.name} has lost its content")
        elif line.name in {"IMPP", "URL", "TEL"} and r"\;" in line.value and _is_uri(line.value):
            found.append(f"{line.name} has backslashes that don't belong into a URI")
        elif line.name == "URL" and r"\\:" in line.value:
            found.append("URL has backslashes that don't belong into a URI")
    return found


def _is_uri(value: str) -> bool:
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", value) is not None


def _root(folder: str) -> Path:
    path = Path(folder)
    if not path.is_dir():
        raise NotFoundError("folder", shown(folder))
    return path / ROOT if (path / ROOT).is_dir() else path


def _address_books(root: Path, migration: Migration) -> Iterator[_Folder]:
    """The address books of all users; calendars and what is no user's book are noted in ``migration``."""
    for home in _folders(root):
        if (home / PROPERTIES).exists() and _tag(home) == "VADDRESSBOOK":
            why = "It lies in nobody's folder. Make a book for it, then: radicale-shared import BOOK FILE..."
            migration.skipped.append(Skipped(shown(home.name), why))
        for collection in _folders(home):
            name = f"{shown(home.name)}/{shown(collection.name)}"
            if not _is_text(home.name):
                why = "The folder's name is not UTF-8, so it can't be a login. Rename it, then import again."
                migration.skipped.append(Skipped(name, why))
                continue
            try:
                properties = _read_properties(collection)
            except (OSError, ValueError) as error:
                migration.skipped.append(Skipped(name, f"Its {PROPERTIES} can't be read: {error}"))
                continue
            tag = properties.get("tag", "")
            if tag in {"VCALENDAR", "VSUBSCRIBED"}:
                migration.calendars.append(name)
            elif tag == "VADDRESSBOOK" and home.name == GROUPS:
                why = "It is a group's book. Make it with its group, then: radicale-shared import BOOK FILE..."
                migration.skipped.append(Skipped(name, why))
            elif tag == "VADDRESSBOOK":
                yield _Folder(collection, name, home.name, properties)
            elif any(_items(collection)) or any(_folders(collection)):
                migration.skipped.append(Skipped(name, "It has no tag: Radicale did not serve it as an address book."))


def _is_text(name: str) -> bool:
    return os.fsencode(name) == shown(name).encode()


def _tag(collection: Path) -> str:
    try:
        return _read_properties(collection).get("tag", "")
    except (OSError, ValueError):
        return ""


def _read_properties(collection: Path) -> dict[str, str]:
    """The texts of the properties; none where the file is missing. Raises ValueError, OSError."""
    try:
        with (collection / PROPERTIES).open("rb") as file:
            content = json.loads(file.read(_MOST_PROPERTIES).decode())
    except FileNotFoundError:
        return {}
    if not isinstance(content, dict):
        raise ValueError("it holds no JSON object")
    return {key: value for key, value in content.items() if isinstance(value, str)}


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in _children(folder) if path.is_dir())


def _items(folder: Path) -> list[Path]:
    return sorted(path for path in _children(folder) if path.is_file())


def _children(folder: Path) -> Iterator[Path]:
    """What Radicale takes for its own: no hidden files (its cache is one), no backups that end in ``~``."""
    return (path for path in folder.iterdir() if not path.name.startswith(".") and not path.name.endswith("~"))


def _free_slug(name: str, taken: set[str]) -> str:
    """``name`` if it is a legal slug of a book, else a legal one made of it; not one of ``taken``, which it joins."""
    wish = name
    if not books.is_slug(name):
        plain = "".join(
            char for char in unicodedata.normalize("NFKD", shown(name)).casefold() if not unicodedata.combining(char)
        )
        wish = re.sub(r"[^a-z0-9._@-]+", "-", plain).strip(".-")[:150]
        if not books.is_slug(wish):
            wish = f"book-{wish}".rstrip("-")
    slug, suffix = wish, 1
    while slug in taken:
        suffix += 1
        slug = f"{wish}-{suffix}"
    taken.add(slug)
    return slug

"""What all commands share: the settings, the checked database, and how names on the command line are understood."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from radicale_shared import access, books, changes, people, personal, settings
from radicale_shared.books import Book
from radicale_shared.database import Database
from radicale_shared.errors import NotAllowedHereError, NotFoundError, UserError
from radicale_shared.people import Group, Person
from radicale_shared.settings import Settings

USER_PREFIX = "user:"
MOST_PASSWORD_BYTES = 20_000


class Context:
    """What ``--config`` leads to; read when a command first asks, so that ``--help`` needs no database."""

    def __init__(self, config: str | None) -> None:
        self.config = config

    @cached_property
    def settings(self) -> Settings:
        return settings.from_configuration(settings.load_configuration(self.config))

    @cached_property
    def unchecked(self) -> Database:
        """The database, whatever its schema."""
        found = self.settings
        return found.connect()

    @cached_property
    def db(self) -> Database:
        """The database. Raises SchemaError unless its schema is this program's."""
        if self.settings.embedded and self.unchecked.is_empty():
            raise NotFoundError(
                "database", self.settings.database_url, "Create it: radicale-shared db upgrade (or give --config FILE)"
            )
        self.unchecked.check_schema()
        return self.unchecked

    def remedy(self, message: str) -> str:
        """Which database it is, without its password, and what to do where the driver's message doesn't tell."""
        found = self.unchecked.engine.url
        if found.get_backend_name() != "sqlite":
            remedy = " Its tables must belong to the user in database_url." if "permission denied" in message else ""
            return f" It is {found.render_as_string()}.{remedy}"
        file = Path(str(found.database))
        if str(file) in message:
            return ""
        remedy = ""
        if "unable to open" in message and not file.parent.is_dir():
            remedy = f" There is no folder {str(file.parent)!r}: make it, or let 'radicale-shared db upgrade' do it."
        elif "unable to open" in message or "readonly" in message:
            remedy = " The file and its folder must be writable: run the command as the user they belong to."
        return f" It is {str(file)!r}.{remedy}"

    def db_or_new(self, *, any_empty: bool = False) -> Database:
        """The database; created where it is empty and the embedded one.

        any_empty: create it in any empty database
        """
        if (any_empty or self.settings.embedded) and self.unchecked.is_empty():
            self.unchecked.upgrade()
        return self.db


def json_option(command: Any) -> Any:
    """Adds ``--json``; the command's help names the keys."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(command)


def dry_run_option(command: Any) -> Any:
    """Adds ``--dry-run``."""
    return click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")(command)


def owner(session: Session, name: str) -> Person | Group:
    """Who ``name`` is: ``group:NAME``, ``user:LOGIN``, a slug, a login, else a group's name. Raises NotFoundError."""
    if name.startswith(people.GROUP_PREFIX):
        return people.group(session, name)
    if name.startswith(USER_PREFIX):
        return person(session, name)
    found: Person | Group | None = people.by_slug(session, name)
    if found is None:
        found = next((group for group in people.groups(session) if group.slug == name), None)
    if found is not None:
        return found
    for look in (people.user, people.group):
        try:
            return look(session, name)
        except NotFoundError:
            continue
    raise NotFoundError("user or group", name, "See: radicale-shared user list, radicale-shared group list")


def split_card(what: str) -> tuple[str, str | None]:
    """(book, href) of ``BOOK[/HREF]``; the href may be missing. BOOK is written as ``book_address`` reads it."""
    parts = what.split("/")
    # Of URLs the home may stand before a mounted book: /ada/sales~leads/1f0c.vcf
    at = 1 if "~" in parts[0] else 2
    return "/".join(parts[:at]), "/".join(parts[at:]) or None


def person(session: Session, name: str) -> Person:
    """The user with the login ``name``, which may be written ``user:LOGIN`` as in grants. Raises NotFoundError."""
    return people.user(session, login_of(name))


def login_of(name: str) -> str:
    """``name`` without the ``user:`` that grants need."""
    return name.removeprefix(USER_PREFIX)


def principal(session: Session, name: str) -> str:
    """``name``, if it says whom it means: ``user:LOGIN``, ``group:NAME``, ``domain:NAME``, ``everyone``.

    Raises NotFoundError for a bare name, with what may have been meant.
    """
    if ":" in name or name == access.EVERYONE:
        return name
    meant = []
    with suppress(NotFoundError):
        meant.append(people.GROUP_PREFIX + people.group(session, name).slug)
    with suppress(NotFoundError):
        meant.append(USER_PREFIX + people.user(session, name).login)
    hint = f"Did you mean {' or '.join(meant)}?" if meant else "Write user:LOGIN, group:NAME, domain:NAME or everyone."
    raise NotFoundError("principal", name, hint)


def book_address(given: str) -> str:
    """``OWNER/SLUG`` of a book that may be written as in URLs too: ``OWNER~SLUG``, ``USER/OWNER~SLUG``."""
    last = given.strip().strip("/").rpartition("/")[2]
    return books.address_of(last) if "~" in last else given


def live_book(session: Session, given: str) -> Book:
    """The book meant. Raises NotFoundError, which tells where it is in the trash."""
    found = any_book(session, given)
    if found.deleted_at is not None:
        hint = f"It is in the trash; bring it back: radicale-shared book undelete {found.address}"
        raise NotFoundError("book", given, hint)
    return found


def any_book(session: Session, given: str) -> Book:
    """The live book meant, else the one of the trash that had its address last. Raises NotFoundError."""
    address = book_address(given)
    try:
        return books.find(session, address)
    except NotFoundError as error:
        try:
            return books.find_trashed(session, address)
        except NotFoundError:
            raise error from None


def require_written_here(book: Book) -> None:
    """Raise NotAllowedHereError for a book that a directory alone writes."""
    if book.mirrored_from:
        raise NotAllowedHereError(
            f"{book.address!r} shows the people of the directory {book.mirrored_from!r}, which alone writes it."
        )


def read_cards(context: Context, book: Book, what: str) -> None:
    """Let a command read the cards of a book; that of a personal book becomes a deed in its history first.

    Raises NotAllowedHereError for a personal book, where the configuration doesn't let administrators read these.
    """
    allowed = context.settings.administrators_read_personal_books
    with context.db.read() as session:
        if not personal.is_personal(session, book):
            return
    with context.db.write(book.id) as session:
        personal.read_by_administrator(session, book, what, allowed=allowed, by=changes.command_line())


def password_from_stdin(*, is_new: bool = True) -> str:
    """The password on standard input, without one line break at its end; a person at a terminal is asked, unseen.

    is_new: it is to be set, so a person is asked for it twice

    Raises UserError if it isn't UTF-8, NotAllowedHereError if it is empty.
    """
    if sys.stdin.isatty():
        typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=is_new, err=True)
        return typed
    try:
        given = sys.stdin.buffer.read(MOST_PASSWORD_BYTES).decode()
    except UnicodeDecodeError as error:
        raise UserError("The password on standard input is not UTF-8.") from error
    given = given[:-1] if given.endswith("\n") else given
    given = given[:-1] if given.endswith("\r") else given
    if not given:
        raise NotAllowedHereError("There is no password on standard input.")
    return given


def may_ask() -> bool:
    """Whether a person is there to confirm."""
    return sys.stdin.isatty()

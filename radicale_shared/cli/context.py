"""What all commands share: the settings, the checked database, and how names on the command line are understood."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import Any

import click
from sqlalchemy.orm import Session

from radicale_shared import people, settings
from radicale_shared.books import Book, find, find_trashed
from radicale_shared.database import Database
from radicale_shared.errors import NotAllowedHereError, NotFoundError, UserError
from radicale_shared.people import Group, Person
from radicale_shared.settings import Settings

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
    """Who ``name`` is: a slug, ``group:NAME``, a login, else a group's display name. Raises NotFoundError."""
    if name.startswith(people.GROUP_PREFIX):
        return people.group(session, name)
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


def any_book(session: Session, address: str) -> Book:
    """The live book at ``owner/slug``, else the one of the trash. Raises NotFoundError."""
    try:
        return find(session, address)
    except NotFoundError:
        try:
            return find_trashed(session, address)
        except NotFoundError:
            pass
        raise


def password_from_stdin() -> str:
    """The password on standard input, without one line break at its end; a person at a terminal is asked, unseen.

    Raises UserError if it isn't UTF-8, NotAllowedHereError if it is empty.
    """
    if sys.stdin.isatty():
        typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
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

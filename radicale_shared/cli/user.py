"""``user``: the people who sign in."""

from __future__ import annotations

import shlex
from typing import Any

import click
from sqlalchemy.orm import Session

from radicale_shared import access, books, changes, people
from radicale_shared.cli.context import Context, dry_run_option, json_option, login_of, owner, password_from_stdin
from radicale_shared.cli.output import print_facts, print_rows, tell
from radicale_shared.errors import NotAllowedHereError
from radicale_shared.people import Person
from radicale_shared.reasons import role_of

_NEXT_STEP = "Nobody can sign in as {0} yet. Next: radicale-shared user password {1} --password-stdin"
# Logins have no colon: what grants call user:LOGIN can only be LOGIN.
_login_argument = click.argument("login", callback=lambda _context, _option, given: login_of(given))
_password_option = click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the password from standard input; one line break at its end is dropped.",
)


@click.group()
def user() -> None:
    """Make, show and remove the people who sign in."""


@user.command()
@click.argument("login")
@click.option("--name", default="", help="Name for people. Without: the login.")
@click.option("--email", default="", help="Mail address.")
@_password_option
@json_option
@click.pass_obj
def add(context: Context, login: str, name: str, email: str, password_stdin: bool, as_json: bool) -> None:
    """Make the user LOGIN, with a first book of their own.

    JSON: login, slug, name, email, state, has_password, directory, disabled_by (of a disabled one administrator or
    directory, else null), created_at, book.
    """
    password = password_from_stdin() if password_stdin else None
    with context.db.write() as session:
        person = people.add_user(session, login, name=name, email=email, password=password)
        book = books.add_personal(session, person, by=changes.command_line())
    tell(
        {**_facts(person), "book": book.address},
        f"User {person.login} is made, with the book {book.address}.",
        "" if person.has_password else _NEXT_STEP.format(person.login, shlex.quote(person.login)),
        as_json=as_json,
    )


@user.command("list")
@json_option
@click.pass_obj
def list_(context: Context, as_json: bool) -> None:
    """List all users.

    JSON: a list of the keys of 'user add' but book.
    """
    with context.db.read() as session:
        rows = [_facts(person) for person in people.users(session)]
    columns = {"login": "Login"}
    if any(row["slug"] != row["login"] for row in rows):
        columns["slug"] = "Slug"  # what addresses are made of
    columns |= {"name": "Name", "email": "E-mail", "state": "State", "has_password": "Password"}
    if any(row["disabled_by"] for row in rows):
        columns["disabled_by"] = "Disabled by"
    if any(row["directory"] for row in rows):
        columns["directory"] = "Directory"
    print_rows(rows, columns, as_json=as_json, empty="There is no user. Make one: radicale-shared user add LOGIN")


@user.command()
@_login_argument
@json_option
@click.pass_obj
def show(context: Context, login: str, as_json: bool) -> None:
    """Show the user LOGIN, their groups and every book they may read.

    JSON: the keys of 'user add' but book, groups, books (a list of book, role, url).
    """
    with context.db.read() as session:
        person = people.user(session, login)
        facts = _facts(person)
        facts["groups"] = [group.slug for group in people.groups_of(session, person.id)]
        facts["books"] = _readable(session, person)
    if not as_json:
        facts["books"] = [f"{one['book']} ({one['role']})" for one in facts["books"]]
    print_facts(facts, as_json=as_json)


@user.command()
@_login_argument
@click.argument("new")
@json_option
@click.pass_obj
def rename(context: Context, login: str, new: str, as_json: bool) -> None:
    """Let the user LOGIN sign in as NEW from now on; books, addresses and grants stay.

    JSON: as 'user add', without book.
    """
    with context.db.write() as session:
        person = people.rename_user(session, login, new)
    tell(
        _facts(person),
        f"The user signs in as {person.login} now; their address stays /{person.slug}/.",
        as_json=as_json,
    )


@user.command()
@_login_argument
@json_option
@click.pass_obj
def disable(context: Context, login: str, as_json: bool) -> None:
    """Don't let the user LOGIN sign in any more; books, groups and grants stay. Undo: user enable.

    JSON: as 'user add', without book.
    """
    _set_enabled(context, login, enabled=False, as_json=as_json)


@user.command()
@_login_argument
@json_option
@click.pass_obj
def enable(context: Context, login: str, as_json: bool) -> None:
    """Let the user LOGIN sign in again.

    JSON: as 'user add', without book.
    """
    _set_enabled(context, login, enabled=True, as_json=as_json)


@user.command()
@_login_argument
@click.option("--books-to", metavar="OWNER", help="Who gets the books this user owns: a user, or a group.")
@dry_run_option
@json_option
@click.pass_obj
def remove(context: Context, login: str, books_to: str | None, dry_run: bool, as_json: bool) -> None:
    """Remove the user LOGIN for good: login, password, memberships and grants. The history keeps the name.

    Refused while they own books, unless --books-to says who gets them, and while their directory has them: they would
    come back as somebody new. For a time only: user disable.
    JSON: login, given (a list of books), books_to, dry_run.
    """
    by = changes.command_line()
    with context.db.write() as session:
        person = people.user(session, login)
        given = []
        if books_to is not None:
            heir = owner(session, books_to)
            if heir.id == person.id:
                raise click.BadParameter("The books can't go to the user who is removed.", param_hint="--books-to")
            for book in books.owned_by(session, person.id):
                books.give(session, book, heir, by=by)
                given.append(book.address)
        elif owned := [book.address for book in books.owned_by(session, person.id)]:
            raise NotAllowedHereError(
                f"{person.login!r} owns {', '.join(owned)}. Say who gets them: radicale-shared user remove "
                f"{shlex.quote(person.login)} --books-to OWNER"
            )
        people.remove_user(session, login)
        if dry_run:
            session.rollback()
    would = "would be" if dry_run else "is"
    tell(
        {"login": person.login, "given": given, "books_to": books_to, "dry_run": dry_run},
        f"User {person.login} {would} removed.",
        f"To {books_to}: {', '.join(given)}." if given else "",
        as_json=as_json,
    )


@user.command()
@_login_argument
@click.option(
    "--password-stdin",
    is_flag=True,
    required=True,
    help="Read the password from standard input; one line break at its end is dropped.",
)
@json_option
@click.pass_obj
def password(context: Context, login: str, password_stdin: bool, as_json: bool) -> None:  # noqa: ARG001
    """Set the password of the user LOGIN; the old one stops working at once.

    JSON: as 'user add', without book.
    """
    new = password_from_stdin()
    with context.db.write() as session:
        people.set_password(session, login, new)
        person = people.user(session, login)
    tell(_facts(person), f"The password of {person.login} is set.", as_json=as_json)


def _set_enabled(context: Context, login: str, *, enabled: bool, as_json: bool) -> None:
    with context.db.write() as session:
        people.set_enabled(session, login, enabled=enabled)
        person = people.user(session, login)
    sentence = f"{person.login} may {'sign in again' if enabled else 'no longer sign in'}."
    tell(_facts(person), sentence, as_json=as_json)


def _facts(person: Person) -> dict[str, Any]:
    return {
        "login": person.login,
        "slug": person.slug,
        "name": person.name,
        "email": person.email,
        "state": person.state,
        "has_password": person.has_password,
        "directory": person.directory,
        "disabled_by": person.disabled_by or None,
        "created_at": person.created_at,
    }


def _readable(session: Session, person: Person) -> list[dict[str, Any]]:
    return [
        {"book": one.book.address, "role": role_of(one.verbs), "url": f"/{person.slug}/{one.name}/"}
        for one in access.all_readable(session, person.slug)
    ]

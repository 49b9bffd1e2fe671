"""``book``: address books, their owners and the trash."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import click

from radicale_shared import access, books, changes, grants, group_owners, personal, retention
from radicale_shared.books import Book
from radicale_shared.cli.context import (
    Context,
    any_book,
    book_address,
    dry_run_option,
    json_option,
    live_book,
    may_ask,
    owner,
    person,
)
from radicale_shared.cli.output import print_facts, print_rows, tell
from radicale_shared.errors import NotAllowedHereError
from radicale_shared.people import Group
from radicale_shared.reasons import role_of
from radicale_shared.retention import Terms
from radicale_shared.settings import Settings

_COLUMNS = {"book": "Book", "name": "Name", "owner": "Owner", "cards": "Cards"}


DEFAULT = "default"
_TERMS = ("history_days", "trash_days")
_MOST_DAYS = 1_000_000


class _Days(click.ParamType[int]):
    """A number of days; 0 for the word DEFAULT."""

    name = "days"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """0 for what the settings say."""
        if value == DEFAULT:
            return 0
        days: int = click.IntRange(1, _MOST_DAYS).convert(value, param, ctx)
        return days


@click.group()
def book() -> None:
    """Make address books, hand them over, delete them. BOOK is OWNER/SLUG."""


@book.command()
@click.argument("address", metavar="OWNER/SLUG")
@click.option("--name", default="", help="Name for people. Without: the slug.")
@click.option("--as", "as_", metavar="USER", help="In the name of USER, who owns the group OWNER.")
@json_option
@click.pass_obj
def add(context: Context, address: str, name: str, as_: str | None, as_json: bool) -> None:
    """Make an empty book. OWNER is a user or a group; SLUG is its name in URLs for ever.

    JSON: book, name, description, color, owner, mount, cards, revision, created_at, deleted_at, mirrored_from (a
    directory, whose people it shows and which alone writes it; else null), search_only (it is searched, never listed).
    """
    whose, slash, slug = book_address(address).partition("/")
    if not slash or not whose or not slug or "/" in slug:
        raise click.BadParameter("Write OWNER/SLUG, e.g. sales/leads.", param_hint="OWNER/SLUG")
    with context.db.write() as session:
        found = owner(session, whose)
        by = changes.command_line()
        if as_ is None:
            made = books.add(session, found, slug, by=by, name=name)
        elif not isinstance(found, Group):
            raise NotAllowedHereError(f"{whose!r} is no group: without --as the book is theirs.")
        else:
            maker = person(session, as_)
            by = replace(by, principal_id=maker.id, name=f"{maker.login} ({by.name})")
            made = group_owners.add_book(session, maker, found, slug, by=by, name=name)
        facts = _facts(made)
    hint = ""
    if isinstance(found, Group):
        next_command = f"radicale-shared grant add {made.address} group:{found.slug} editor"
        hint = f"{'Nobody' if as_ is None else 'Nobody else'} can read it before a grant. Next: {next_command}"
    tell(facts, f"Book {made.address} is made.", hint, as_json=as_json)


@book.command("list")
@click.option("--user", "login", metavar="NAME", help="Only what this user may read, and as what.")
@click.option("--trash", is_flag=True, help="The deleted books.")
@json_option
@click.pass_obj
def list_(context: Context, login: str | None, trash: bool, as_json: bool) -> None:
    """List all books.

    JSON: a list of the keys of 'book add'; with --user also role and url.
    """
    if login is not None and trash:
        raise click.UsageError("--user and --trash don't go together.")
    columns = dict(_COLUMNS)
    with context.db.read() as session:
        if login is not None:
            whose = person(session, login)
            rows = [
                {**_facts(one.book), "role": role_of(one.verbs), "url": f"/{whose.slug}/{one.name}/"}
                for one in access.all_readable(session, whose.slug)
            ]
            columns |= {"role": "Role", "url": "URL"}
        else:
            rows = [_facts(one) for one in books.all_books(session, trash=trash)]
            if trash:
                columns["deleted_at"] = "Deleted"
    if any(row["mirrored_from"] for row in rows):
        columns |= {"mirrored_from": "Directory", "search_only": "Searched only"}
    print_rows(rows, columns, as_json=as_json, empty="The trash is empty." if trash else "There is no book.")


@book.command()
@click.argument("address", metavar="BOOK")
@json_option
@click.pass_obj
def show(context: Context, address: str, as_json: bool) -> None:
    """Show BOOK, also one in the trash, and who has grants on it. What the cards of a personal one say, its owner sees.

    JSON: the keys of 'book add', history_days and trash_days (how long its history is kept, and it in the trash),
    personal (only its owner reads it) and grants (a list of principal, role).
    """
    with context.db.read() as session:
        found = any_book(session, address)
        facts = _facts(found)
        terms = _kept(retention.terms_of(session, found.id), context.settings)
        facts |= {key: terms[key] for key in ("history_days", "trash_days")}
        facts["personal"] = personal.is_personal(session, found)
        given = [one for one in grants.of_book(session, found) if not one.ended]
    if as_json:
        facts["grants"] = [{"principal": one.principal, "role": one.terms.role} for one in given]
    else:
        facts["grants"] = [f"{one.principal} ({one.terms.role})" for one in given]
    print_facts(facts, as_json=as_json)
    if found.deleted_at is not None and not as_json:
        click.echo(f"It is in the trash; bring it back: radicale-shared book undelete {found.address}")


@book.command()
@click.argument("address", metavar="BOOK")
@click.argument("name", metavar="TEXT")
@json_option
@click.pass_obj
def rename(context: Context, address: str, name: str, as_json: bool) -> None:
    """Show BOOK to people as TEXT; its address stays.

    JSON: the keys of 'book add'.
    """
    with context.db.write() as session:
        books.set_properties(session, live_book(session, address), by=changes.command_line(), name=name)
        facts = _facts(live_book(session, address))
    tell(facts, f"Book {facts['book']} is called {facts['name']!r} now.", as_json=as_json)


@book.command("retention")
@click.argument("address", metavar="BOOK")
@click.option("--history-days", type=_Days(), metavar="N|default", help="Of each earlier state of a card.")
@click.option("--trash-days", type=_Days(), metavar="N|default", help="Of BOOK itself, once it is deleted.")
@json_option
@click.pass_obj
def retention_(context: Context, address: str, history_days: int | None, trash_days: int | None, as_json: bool) -> None:
    """Say how many days the history of BOOK is kept, and BOOK itself in the trash; without an option, show it.

    What is older is removed by 'history prune' and, once a day, by 'serve'; it can't be brought back. 'default' is what
    [history] of the settings file says. JSON: book, history_days, trash_days, own (which of them BOOK says itself).
    """
    with context.db.read() as session:
        found = any_book(session, address)
        terms = retention.terms_of(session, found.id)
    said = {"history_days": history_days, "trash_days": trash_days}
    new = replace(terms, **{key: days or None for key, days in said.items() if days is not None})
    if new != terms:
        with context.db.write(found.id) as session:
            retention.set_terms(session, found, new, by=changes.command_line())
    facts = {"book": found.address, **_kept(new, context.settings)}
    kept = {key: f"{facts[key]} days{'' if key in facts['own'] else ' (default)'}" for key in _TERMS}
    its, itself = kept.values()
    tell(facts, f"{found.address}: its history is kept for {its}, itself in the trash for {itself}.", as_json=as_json)


@book.command()
@click.argument("address", metavar="BOOK")
@click.argument("to", metavar="OWNER")
@json_option
@click.pass_obj
def give(context: Context, address: str, to: str, as_json: bool) -> None:
    """Make OWNER, a user or a group, the owner of BOOK; address and URLs stay, other grants too.

    The former owner keeps only what grants give. JSON: the keys of 'book add'.
    """
    with context.db.write() as session:
        found, heir = live_book(session, address), owner(session, to)
        books.give(session, found, heir, by=changes.command_line())
        facts = _facts(live_book(session, address))
    hint = ""
    if isinstance(heir, Group):
        hint = f"Only grants let a group's members in. See: radicale-shared grant list {facts['book']}"
    tell(facts, f"Book {facts['book']} belongs to {facts['owner']} now.", hint, as_json=as_json)


@book.command()
@click.argument("login", metavar="USER")
@click.argument("address", metavar="BOOK")
@json_option
@click.pass_obj
def default(context: Context, login: str, address: str, as_json: bool) -> None:
    """List BOOK, one of the home of USER, first there: programs that know only one book take it.

    Contacts on a Mac puts new cards into it. JSON: user, book.
    """
    with context.db.write() as session:
        whose, found = person(session, login), live_book(session, address)
        listed = access.all_readable(session, whose.slug)
        readable = next((one for one in listed if one.book.id == found.id), None)
        if readable is None:
            raise NotAllowedHereError(
                f"{whose.login} can't read {found.address}. "
                f"See: radicale-shared grant explain {shlex.quote(whose.login)} {found.address}"
            )
        if not readable.is_home:
            raise NotAllowedHereError(
                f"{found.address} is shared with {whose.login}: shared books stand behind those of the own home. "
                f"Choose a book of {whose.slug}/."
            )
        books.set_default(session, whose.id, found)
    facts = {"user": whose.login, "book": found.address}
    tell(facts, f"{found.address} comes first for {whose.login}.", as_json=as_json)


@book.command()
@click.argument("address", metavar="BOOK")
@dry_run_option
@json_option
@click.pass_obj
def delete(context: Context, address: str, dry_run: bool, as_json: bool) -> None:
    """Move BOOK into the trash: nobody sees it any more, nothing is lost. Undo: book undelete.

    JSON: the keys of 'book add', and dry_run.
    """
    with context.db.read() as session:
        book_id = live_book(session, address).id
    with context.db.write(book_id) as session:
        found = live_book(session, address)
        facts = _facts(found)
        books.trash(session, found, by=changes.command_line())
        if dry_run:
            session.rollback()
    sentence = f"{'would be' if dry_run else 'is'} in the trash."
    tell(
        {**facts, "dry_run": dry_run},
        f"Book {found.address} with {facts['cards']} cards {sentence}",
        "" if dry_run else f"Undo: radicale-shared book undelete {found.address}",
        as_json=as_json,
    )


@book.command()
@click.argument("address", metavar="BOOK")
@json_option
@click.pass_obj
def undelete(context: Context, address: str, as_json: bool) -> None:
    """Bring BOOK back out of the trash; if several had this address, the one deleted last.

    JSON: the keys of 'book add'.
    """
    with context.db.write() as session:
        books.undelete(session, books.find_trashed(session, book_address(address)), by=changes.command_line())
        facts = _facts(live_book(session, address))
    tell(facts, f"Book {facts['book']} is back, with {facts['cards']} cards.", as_json=as_json)


@book.command()
@click.argument("address", metavar="BOOK")
@click.option("--yes", is_flag=True, help="Don't ask. Needed where nobody can be asked.")
@dry_run_option
@json_option
@click.pass_obj
def purge(context: Context, address: str, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Erase BOOK of the trash with its cards and their history. This can't be undone.

    If several had this address, the one deleted last. JSON: the keys of 'book add', and dry_run.
    """
    with context.db.read() as session:
        found = books.find_trashed(session, book_address(address))
        facts = _facts(found)
    if not dry_run and not yes:
        if not may_ask():
            raise NotAllowedHereError(f"Erasing {found.address!r} can't be undone; say --yes to do it.")
        question = f"Erase {found.address} ({facts['name']}, {facts['cards']} cards) and its history for ever?"
        click.confirm(question, abort=True, err=True)
    with context.db.write(found.id) as session:
        again = books.find_trashed(session, book_address(address))
        if again.id != found.id:
            raise NotAllowedHereError(f"{found.address!r} was changed meanwhile; look again and repeat.")
        books.purge(session, again, by=changes.command_line())
        if dry_run:
            session.rollback()
    sentence = f"{'would be' if dry_run else 'is'} erased, with its history."
    tell({**facts, "dry_run": dry_run}, f"Book {found.address} with {facts['cards']} cards {sentence}", as_json=as_json)


def _kept(terms: Terms, settings: Settings) -> dict[str, Any]:
    """How long is kept what: as a book says itself, else as the settings do."""
    default = settings.file.history
    return {
        "history_days": terms.history_days or default.keep_days,
        "trash_days": terms.trash_days or default.trash_days,
        "own": [key for key in _TERMS if getattr(terms, key) is not None],
    }


def _facts(found: Book) -> dict[str, Any]:
    return {
        "book": found.address,
        "name": found.name,
        "description": found.description,
        "color": found.color,
        "owner": found.owner,
        "mount": found.mount,
        "cards": found.card_count,
        "revision": found.revision,
        "created_at": found.created_at,
        "deleted_at": found.deleted_at,
        "mirrored_from": found.mirrored_from or None,
        "search_only": found.search_only,
    }

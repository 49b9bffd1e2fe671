"""``import``, ``export`` and ``import-radicale``: cards in and out."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from radicale_shared import changes, policies
from radicale_shared.access import administrator
from radicale_shared.books import Book
from radicale_shared.cli.context import (
    Context,
    dry_run_option,
    json_option,
    live_book,
    read_cards,
    require_written_here,
)
from radicale_shared.cli.output import print_json, print_table, progress, safe, tell
from radicale_shared.errors import GuardedError, SharedBooksError, UserError
from radicale_shared.exchange import radicale_folders, slices, vcards
from radicale_shared.exchange.radicale_folders import Migration
from radicale_shared.exchange.report import Remark, Report
from radicale_shared.ldap_view import ldif

_format_option = click.option(
    "--format", "format_", type=click.Choice(["vcard"]), default="vcard", show_default=True, help="Of the files."
)


@click.command("import")
@click.argument("address", metavar="BOOK")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@_format_option
@click.option("--allow-emptying", is_flag=True, help="Also where it empties more cards than the guard lets through.")
@dry_run_option
@json_option
@click.pass_context
def import_(
    ctx: click.Context,
    address: str,
    paths: tuple[str, ...],
    format_: str,  # noqa: ARG001  # one format so far; click has checked it
    allow_emptying: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Import vCards into BOOK: files with any number of cards, folders with .vcf and .vcard files at any depth.

    PATH - is standard input. Cards keep their bytes; those of vCard 2.1 are converted to 3.0. A card whose UID is in
    BOOK already is updated in place; what was there before stays in the history. A card without UID gets one made of
    its bytes, so that importing it again changes nothing. Broken cards, and a second card of one UID, are refused and
    listed, the rest goes in.

    An import that takes most of what is in them from more cards than the guard of BOOK lets through is stopped, as
    files that lack columns do it: see 'guard'.

    JSON: book, dry_run, files, added, updated, unchanged, refused and mended (lists of file, card, name, what). Exit
    status: 0 all is in, 1 some were refused, or no such book or file, 2 wrong usage.
    """
    context: Context = ctx.obj
    db, report = context.db, Report()
    try:
        with db.read() as session:
            book = live_book(session, address)
        require_written_here(book)
        address = book.address
        files = vcards.find_files(paths)
        with progress("Importing", sum(file.stat().st_size for file in files)) as advance:
            vcards.import_files(
                db,
                address,
                files,
                by=changes.command_line(),
                max_size=context.settings.max_card_size,
                dry_run=dry_run,
                report=report,
                progress=advance,
                policy=None if allow_emptying else policies.guard(context.settings.file),
            )
    except GuardedError as error:
        raise UserError(
            f"The import was stopped: its cards have much less in them than those in {address}. {report.written} cards"
            f" are in; bring back what they were: radicale-shared history undo. {error} Look at the files; if they are"
            " right, import them with --allow-emptying."
        ) from error
    except (SharedBooksError, KeyboardInterrupt) as error:
        raise _interrupted(error, report.written, dry_run=dry_run) from error
    except OSError as error:
        raise UserError(f"{error.filename!r} can't be read: {error.strerror}.") from error
    if as_json:
        facts = asdict(report)
        del facts["kept"]
        print_json({"book": address, "dry_run": dry_run, **facts})
    else:
        click.echo(f"{'Would be imported' if dry_run else 'Imported'} into {address}:")
        print_table(("Files", "Added", "Updated", "Unchanged", "Refused"), [_counts(report)])
        _print_mended("", report.mended)
        _print_remarks("Refused", report.refused)
    if report.refused:
        ctx.exit(1)


@click.command()
@click.argument("address", metavar="BOOK")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["vcard", "ldif"]),
    default="vcard",
    show_default=True,
    help="ldif: for an LDAP server of your own.",
)
@click.option("--base", metavar="DN", help="Of LDIF: what everything lies below. Without: that of [ldap_server].")
@click.option("-o", "--output", metavar="FILE", help="Write to FILE, all or nothing, readable by you alone.")
@json_option
@click.pass_obj
def export(context: Context, address: str, format_: str, base: str | None, output: str | None, as_json: bool) -> None:
    """Write all cards of BOOK, with the exact bytes they are stored with, to standard output or FILE.

    As LDIF they are the entries of the LDAP view, less what OpenLDAP with the schemas cosine and inetorgperson refuses;
    slapadd and ldapadd -c load them.

    Refused for a personal book, one of a user that no grant shares, unless administrators_read_personal_books lets you;
    then it becomes a deed in the book's history. JSON, with -o only: book, cards, file.
    """
    if as_json and output is None:
        raise click.UsageError("--json needs -o FILE: without it the cards themselves are written to standard output.")
    if base is not None and format_ != "ldif":
        raise click.UsageError("--base is for --format ldif.")
    db = context.db
    with db.read() as session:
        book = live_book(session, address)
    read_cards(context, book, "export")
    with db.snapshot() as session:
        book = live_book(session, address)
        count = book.card_count
        content = _as_ldif(context, session, book, base) if format_ == "ldif" else vcards.export(session, book)
        if output is None:
            sys.stdout.buffer.writelines(content)
            sys.stdout.buffer.flush()
            return
        try:
            _write_atomically(Path(output), content)
        except OSError as error:
            raise UserError(f"{output!r} can't be written: {error.strerror or error}.") from error
    facts = {"book": book.address, "cards": count, "file": output}
    tell(facts, f"{count} cards of {book.address} are in {output}.", as_json=as_json)


def _as_ldif(context: Context, session: Session, book: Book, base: str | None) -> Iterable[bytes]:
    """Raises UserError if ``base`` is no DN that entries can lie below."""
    suffix = base if base is not None else context.settings.file.ldap_server.base
    try:
        ldif.require_suffix(suffix)
    except ValueError as error:
        raise UserError(f"{error}.") from error
    secret = context.db.secret
    return ldif.written(lambda: nullcontext(session), administrator(book), suffix, secret=secret)


@click.command("import-radicale")
@click.argument("folder")
@dry_run_option
@json_option
@click.pass_context
def import_radicale(ctx: click.Context, folder: str, dry_run: bool, as_json: bool) -> None:
    """Bring the address books of a stock Radicale along: FOLDER is its filesystem_folder. Stop that Radicale first.

    Users and books that are missing are made, under the same URLs; names, descriptions, colours and the exact bytes of
    the cards are kept (those of vCard 2.1 are converted to 3.0). New users have no password. Calendars stay where they
    are. What Radicale itself damaged earlier is listed as far as it leaves marks: values that it cut at a comma leave
    none. Again: what was changed here since stays, the rest is brought up to date.

    JSON: dry_run, users_made, books (a list of folder, book, name, made, moved, and the counts and lists of 'import'),
    kept (as refused), calendars, skipped (a list of folder, why), losses (a list of book, href, name, what). Exit
    status: 0 all is in, 1 some was refused or skipped, 2 wrong usage.
    """
    context: Context = ctx.obj
    db, migration = context.db, Migration()
    try:
        with progress("Importing", radicale_folders.size_of(folder)) as advance:
            radicale_folders.import_folder(
                db,
                folder,
                by=changes.command_line(),
                max_size=context.settings.max_card_size,
                dry_run=dry_run,
                migration=migration,
                progress=advance,
            )
    except (SharedBooksError, KeyboardInterrupt) as error:
        written = sum(book.report.written for book in migration.books)
        raise _interrupted(error, written, dry_run=dry_run) from error
    except OSError as error:
        raise UserError(f"{folder!r} can't be read: {error}") from error
    if as_json:
        print_json(_as_json(migration, dry_run=dry_run))
    else:
        _print_migration(migration, dry_run=dry_run)
    if migration.skipped or any(book.report.refused for book in migration.books):
        ctx.exit(1)


def _interrupted(error: BaseException, written: int, *, dry_run: bool) -> BaseException:
    """What to say of an import that did not come to its end."""
    if not written or dry_run:
        return error
    why = "It was interrupted." if isinstance(error, KeyboardInterrupt) else str(error)
    return UserError(f"{why} {written} cards are in and stay in; the same command again goes on from there.")


def _write_atomically(path: Path, content: Iterable[bytes]) -> None:
    """``path`` has all of ``content``, durably, or is as it was; mode 0600."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _counts(report: Report) -> tuple[int, ...]:
    return (report.files, report.added, report.updated, report.unchanged, len(report.refused))


def _print_remarks(title: str, remarks: Sequence[Remark]) -> None:
    if remarks:
        click.echo(f"\n{title}:")
        print_table(
            ("File", "Card", "Name", "What"), [(one.file, one.card or "", one.name, one.what) for one in remarks]
        )


def _print_mended(where: str, remarks: Sequence[Remark]) -> None:
    """One line for all cards that had no UID, and one for those of 2.1: some programs write nothing else."""
    others = [one for one in remarks if one.what not in {slices.GIVEN_UID, vcards.CONVERTED}]
    if given := sum(one.what == slices.GIVEN_UID for one in remarks):
        did = "1 card had no UID and was given one" if given == 1 else f"{given} cards had no UID and were given one"
        click.echo("\n" + safe(f"{where}{did} (--json lists them)."))
    if converted := sum(one.what == vcards.CONVERTED for one in remarks):
        did = "1 card was" if converted == 1 else f"{converted} cards were"
        click.echo("\n" + safe(f"{where}{did} of vCard 2.1, converted to 3.0 (--json lists them)."))
    _print_remarks(f"{where}altered to be stored" if where else "Altered to be stored", others)


def _as_json(migration: Migration, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "users_made": migration.users_made,
        "books": [
            {
                "folder": book.folder,
                "book": book.address,
                "name": book.name,
                "made": book.made,
                "moved": book.moved,
                **asdict(book.report),
            }
            for book in migration.books
        ],
        "calendars": migration.calendars,
        "skipped": [asdict(one) for one in migration.skipped],
        "losses": [asdict(one) for one in migration.losses],
    }


def _print_migration(migration: Migration, *, dry_run: bool) -> None:
    click.echo("Would be imported:" if dry_run else "Imported:")
    headings = ("Book", "Cards", "Added", "Updated", "Unchanged", "Kept", "Refused")
    rows = [
        (
            f"{book.address} (new)" if book.made else book.address,
            *_counts(book.report)[:4],
            len(book.report.kept),
            len(book.report.refused),
        )
        for book in migration.books
    ]
    if rows:
        print_table(headings, rows)
    else:
        click.echo("No address book.")
    for book in migration.books:
        if book.moved:
            click.echo("\n" + safe(f"{book.folder} is {book.address} here: its URL changes, tell the clients."))
        _print_mended(f"{book.address}: ", book.report.mended)
        _print_remarks(f"{book.address}: changed here since, kept", book.report.kept)
        _print_remarks(f"{book.address}: refused", book.report.refused)
    if migration.losses:
        click.echo("\nDamaged by Radicale before the import, mend by hand:")
        print_table(
            ("Book", "Card", "Name", "What"), [(one.book, one.href, one.name, one.what) for one in migration.losses]
        )
    if migration.calendars:
        click.echo("\n" + safe(f"Calendars, not imported: {', '.join(migration.calendars)}"))
    if migration.skipped:
        click.echo("\nNot imported:")
        print_table(("Folder", "Why"), [(one.folder, one.why) for one in migration.skipped])
    if migration.users_made:
        click.echo("\n" + safe(f"{'Would be made' if dry_run else 'Made'}: {', '.join(migration.users_made)}"))
        click.echo("They have no password. Next, for each: radicale-shared user password LOGIN --password-stdin")

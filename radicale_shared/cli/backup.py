"""``backup``, ``verify`` and ``restore``: one file that has everything, the proof that it is good, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from radicale_shared import backup_notes, backups, changes, entry_refresh, restoring, restoring_parts, schemas
from radicale_shared.backups import Made, Opened
from radicale_shared.cli.context import (
    Context,
    any_book,
    book_address,
    dry_run_option,
    json_option,
    may_ask,
    read_cards,
)
from radicale_shared.cli.output import counted, print_json, print_table, progress, tell
from radicale_shared.errors import DamagedBackupError, NotFoundError, SharedBooksError

_PATH = click.Path(path_type=Path)
_identity_option = click.option(
    "--identity", metavar="FILE", type=_PATH, help="Secret key of age. Without: [backup] age_identity_file."
)


@click.command()
@click.argument("target", metavar="FILE|FOLDER", type=click.Path())
@json_option
@click.pass_obj
def backup(context: Context, target: str, as_json: bool) -> None:
    """Back everything up into FILE, or into a new file of FOLDER, while the server runs.

    Every write that was answered before is in it, and nobody waits for it. With age_recipients in the settings file it
    is encrypted. Of FOLDER those backups are removed that have expired. A backup that was cut short leaves no file of
    that name. An SQLite database may have the schema of an older version.

    JSON: file, made_at, expires_at, encrypted, size, sha256, books, cards, removed (files). Exit status: 0 made, 1 not
    made, or FILE is there already.
    """
    db, found = context.unchecked, context.settings.file.backup
    if db.schema == schemas.present():
        context.db.check_schema()
    if target.endswith("/") and not Path(target).is_dir():
        raise NotFoundError("folder", target)
    is_copied_by_row = db.engine.dialect.name != "sqlite"
    with progress("Backing up", restoring.size(db) if is_copied_by_row else 0) as advance:
        made = backups.make(
            db,
            Path(target),
            keep=timedelta(days=found.keep_days),
            recipients=found.age_recipients,
            told=lambda _table, rows: advance(rows),
        )
    try:
        backup_notes.made(db, made)
        backup_notes.forget(db, made.removed)
    except SharedBooksError as error:
        click.echo(f"The backup is made, but not noted in the database: {error}", err=True)
    live = [book for book in made.manifest.holdings.books if not book.is_deleted]
    facts = {
        "file": str(made.file),
        "made_at": made.manifest.made_at,
        "expires_at": made.manifest.expires_at,
        "encrypted": bool(found.age_recipients),
        "size": made.written.size,
        "sha256": made.written.digest,
        "books": len(live),
        "cards": made.manifest.cards,
        "removed": [str(file) for file in made.removed],
    }
    sentence = (
        f"{made.file}: {counted(made.manifest.cards, 'card')} of {counted(len(live), 'book')}, "
        f"{_size(made.written.size)}; to be kept until {made.manifest.expires_at:%Y-%m-%d}."
    )
    gone = f"{len(made.removed)} expired backup{' was' if len(made.removed) == 1 else 's were'} removed."
    tell(facts, sentence, gone if made.removed else "", as_json=as_json)


@click.command()
@click.argument("source", metavar="FILE|FOLDER", type=_PATH)
@_identity_option
@json_option
@click.pass_context
def verify(ctx: click.Context, source: Path, identity: Path | None, as_json: bool) -> None:
    """Prove that the backup FILE, or the newest one of FOLDER, can be restored, by restoring it aside.

    Its digest, every card with its ETag, its history and the search index are looked at, and compared with what it says
    of itself; some cards are read as a phone would get them. Nothing is changed, but that the result is noted in the
    database, where that can be reached: 'doctor' tells of it.

    JSON: file, made_at, expires_at, expired, books, cards, problems (a list). Exit status: 0 good, 1 not.
    """
    context: Context = ctx.obj
    file = backups.newest(source) if source.is_dir() else source
    try:
        with backups.opened(file, identity or _identity(context), expired_too=True) as opened:
            found = backups.problems(opened)
            with _told_if_not_noted():
                backup_notes.verified(context.db, opened, found)
    except DamagedBackupError as error:
        with _told_if_not_noted():
            backup_notes.damaged(context.db, file, error.reason)
        raise
    manifest = opened.manifest
    books = sum(1 for book in manifest.holdings.books if not book.is_deleted)
    facts = {
        "file": str(opened.file),
        "made_at": manifest.made_at,
        "expires_at": manifest.expires_at,
        "expired": opened.is_expired,
        "books": books,
        "cards": manifest.cards,
        "problems": found,
    }
    good = (
        f"{opened.file} is good: {counted(manifest.cards, 'card')} of {counted(books, 'book')}, "
        f"as of {manifest.made_at:%Y-%m-%d %H:%M} UTC."
    )
    late = f"It expired on {manifest.expires_at:%Y-%m-%d}, and should be removed."
    tell(
        facts,
        *((f"{opened.file} can't be relied on:", *found) if found else (good,)),
        late if opened.is_expired else "",
        as_json=as_json,
    )
    if found:
        ctx.exit(1)


@click.command()
@click.argument("file", metavar="FILE", type=_PATH)
@click.option("--book", metavar="BOOK", help="Only this book, OWNER/SLUG: as a change of today.")
@click.option("--as", "as_", metavar="NEW", help="Put the book's cards into a new one, OWNER/SLUG.")
@click.option("--card", metavar="HREF", help="Only this card of --book.")
@click.option("--replace", is_flag=True, help="Replace what the database holds; it is backed up beside FILE first.")
@click.option("--expired", is_flag=True, help="Also from an expired backup, which may have what was erased since.")
@_identity_option
@dry_run_option
@json_option
@click.pass_obj
def restore(
    context: Context,
    file: Path,
    book: str | None,
    as_: str | None,
    card: str | None,
    replace: bool,
    expired: bool,
    identity: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Bring back what is in the backup FILE: everything, one book, or one card.

    Everything goes into an empty database, or with --replace in the place of what there is, in one transaction; servers
    may run meanwhile. All clients start over at their next sync, and passwords are those of the backup.
    With --book, the book becomes as it was, cards that came since are deleted, and one that is gone is made anew; that
    is one deed in its history, reaches devices by the ordinary sync, and can be undone. --dry-run says what there is in
    the backup, and what would change.

    JSON for everything: file, made_at, expires_at, product, schema, database, dry_run, books (a list of book,
    cards_then, cards_now, same), deeds_since, last_deed_at, restored, safety (file of the backup that was made before),
    restart (whether servers that run must be restarted). JSON with --book: file, book, made, added, changed, deleted,
    unchanged, refused (href and reason), dry_run. Exit status: 0 done, 1 refused, or not everything came back.
    """
    if (card or as_) and not book:
        raise click.UsageError("--card and --as need --book.")
    if card and as_:
        raise click.UsageError("--card and --as don't go together.")
    if book and replace:
        raise click.UsageError("--replace is for everything, and not with --book.")
    if not book and not dry_run:
        _make_tables(context)
    with backups.opened(file, identity or _identity(context), expired_too=expired) as opened:
        if book:
            _restore_book(context, opened, book, card, as_, dry_run=dry_run, as_json=as_json)
        else:
            _restore_everything(context, opened, replace=replace, dry_run=dry_run, as_json=as_json)


@contextmanager
def _told_if_not_noted() -> Iterator[None]:
    """A backup can be verified where its database can't be reached, or is another one."""
    try:
        yield
    except SharedBooksError as error:
        click.echo(f"The result is not noted in the database: {error}", err=True)


def _restore_everything(context: Context, opened: Opened, *, replace: bool, dry_run: bool, as_json: bool) -> None:
    found = restoring.preview(None if dry_run and context.unchecked.is_empty() else context.db, opened)
    safety: list[Made] = []
    restart = False
    if not dry_run:
        if replace and not restoring.is_unused(context.db):
            _confirm(opened)
        with progress("Restoring", sum(opened.manifest.holdings.rows.values())) as advance:
            done = restoring.everything(
                context.db,
                opened,
                by=changes.command_line(),
                replace=replace,
                first=lambda: safety.append(_safety(context, opened)),
                told=lambda _table, rows: advance(rows),
            )
        for made in safety:
            backup_notes.made(context.db, made)
        restart = done.has_new_secret
        with progress("Entries", sum(one.then or 0 for one in found.books)) as advance:
            entry_refresh.refresh(context.db, told=advance)  # those of an older program's backup
    manifest = opened.manifest
    facts: dict[str, Any] = {
        "file": str(opened.file),
        "made_at": manifest.made_at,
        "expires_at": manifest.expires_at,
        "product": manifest.product,
        "schema": manifest.schema,
        "database": manifest.database,
        "dry_run": dry_run,
        "books": [
            {"book": one.address, "cards_then": one.then, "cards_now": one.now, "same": one.is_same}
            for one in found.books
        ],
        "deeds_since": found.deeds_since,
        "last_deed_at": found.last_deed_at,
        "restored": not dry_run,
        "safety": str(safety[0].file) if safety else None,
        "restart": restart,
    }
    if as_json:
        print_json(facts)
        return
    of = f"{opened.file}, of {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC ({manifest.database}, schema {manifest.schema})"
    if dry_run:
        click.echo(of)
        print_table(
            ("Book", "Cards then", "Cards now", ""),
            [
                (one.address, _or_none(one.then), _or_none(one.now), "same" if one.is_same else "")
                for one in found.books
            ],
        )
        if found.deeds_since:
            last = f"{found.last_deed_at:%Y-%m-%d %H:%M} UTC"
            click.echo(f"{counted(found.deeds_since, 'deed')} since then would be lost, the last of {last}.")
        return
    tell(
        facts,
        f"Restored from {of}: all clients start over at their next sync.",
        f"What was there before is in {safety[0].file}." if safety else "",
        "The backup is of another database: restart every server now." if restart else "",
        as_json=False,
    )


def _restore_book(
    context: Context, opened: Opened, book: str, card: str | None, as_: str | None, *, dry_run: bool, as_json: bool
) -> None:
    address, new = book_address(book), book_address(as_) if as_ else None
    if new and not dry_run and new.partition("/")[0] != address.partition("/")[0]:
        with suppress(NotFoundError), context.db.read() as session:
            read_cards(context, any_book(session, address), f"restore as {new}")
    done = restoring_parts.part(
        context.db, opened, address, by=changes.command_line(), href=card, as_=new, dry_run=dry_run
    )
    facts = {
        "file": str(opened.file),
        "book": done.book,
        "made": done.made,
        "added": done.added,
        "changed": done.changed,
        "deleted": done.deleted,
        "unchanged": done.unchanged,
        "refused": [{"href": href, "reason": reason} for href, reason in done.refused.items()],
        "dry_run": dry_run,
    }
    would = "would be " if dry_run else ""
    tell(
        facts,
        f"{done.book}{f' {would}made anew' if done.made else ''}: {counted(done.added, 'card')} {would}added, "
        f"{done.changed} {would}changed, {done.deleted} {would}deleted, {done.unchanged} are as they were.",
        *(f"{href}: {reason}" for href, reason in done.refused.items()),
        as_json=as_json,
    )
    if done.refused:
        click.get_current_context().exit(1)


def _make_tables(context: Context) -> None:
    if context.unchecked.is_empty():
        context.unchecked.upgrade()


def _safety(context: Context, opened: Opened) -> Made:
    """Back up what is there, beside the backup that will take its place."""
    found = context.settings.file.backup
    return backups.make_beside(
        context.db, opened.file, keep=timedelta(days=found.keep_days), recipients=found.age_recipients
    )


def _confirm(opened: Opened) -> None:
    if may_ask():
        click.confirm(
            f"Replace everything by what was there on {opened.manifest.made_at:%Y-%m-%d %H:%M} UTC?",
            abort=True,
            err=True,
        )


def _identity(context: Context) -> Path | None:
    named = context.settings.file.backup.age_identity_file
    return Path(named) if named else None


def _or_none(number: int | None) -> int | str:
    return "-" if number is None else number


def _size(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"

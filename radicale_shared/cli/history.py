"""``history``: who changed what, and bringing it back."""

from __future__ import annotations

from typing import Any

import click

from radicale_shared import access, books, cards, changes
from radicale_shared.changes import Entry
from radicale_shared.cli.context import Context, any_book, json_option
from radicale_shared.cli.output import print_rows, tell
from radicale_shared.errors import NotFoundError


@click.group()
def history() -> None:
    """See who changed what and when, and bring it back."""


@history.command()
@click.argument("what", metavar="[BOOK[/HREF]]", required=False)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many, newest first.")
@json_option
@click.pass_obj
def show(context: Context, what: str | None, limit: int, as_json: bool) -> None:
    """Show the newest deeds: of all books, of BOOK (also in the trash), or of the card HREF of it.

    JSON: a list of at, book, href, revision, kind, change (added, changed, deleted; null for a deed on the book
    itself), actor, device, user_agent, address, reason.
    """
    with context.db.snapshot() as session:
        book_id, href = None, None
        if what is not None:
            parts = what.split("/", 2)
            book_id = any_book(session, "/".join(parts[:2])).id
            href = parts[2] if len(parts) == 3 and parts[2] else None
        rows = [_facts(entry) for entry in changes.history(session, book_id=book_id, href=href, limit=limit)]
    if href is not None and not rows:
        raise NotFoundError("card", href, "See: radicale-shared history show BOOK")
    columns = {
        "at": "When",
        "book": "Book",
        "href": "Card",
        "revision": "Revision",
        "kind": "Deed",
        "change": "Change",
        "actor": "Who",
        "device": "Device",
        "reason": "Remark",
    }
    print_rows(rows, columns, as_json=as_json, empty="Nothing has happened yet.")


@history.command()
@click.argument("address", metavar="BOOK")
@click.argument("href", metavar="CARD")
@click.option("--revision", type=click.IntRange(min=1), required=True, help="As printed by 'history show'.")
@click.option("--dry-run", is_flag=True, help="Print the card instead of writing it.")
@json_option
@click.pass_obj
def restore(context: Context, address: str, href: str, revision: int, dry_run: bool, as_json: bool) -> None:
    """Bring CARD of BOOK back to how it was after REVISION; a deleted card too, also into its deletion.

    The restored state is a new change in your name: it reaches every device by the ordinary sync and can itself be
    undone. JSON: book, href, restored_to, revision (null where nothing had to be written), deleted, card (with
    --dry-run only), dry_run. Exit status: 0 written, 1 no such book, card or revision, 2 wrong usage.
    """
    db = context.db
    with db.read() as session:
        book = books.find(session, address)
        if revision > book.revision:
            raise NotFoundError("revision", str(revision), f"{book.address} is at revision {book.revision}.")
        state = changes.state_after(session, book.id, href, revision)
    facts: dict[str, Any] = {
        "book": book.address,
        "href": href,
        "restored_to": revision,
        "revision": None,
        "deleted": state is None,
        "dry_run": dry_run,
    }
    if dry_run:
        facts["card"] = state.decode() if state is not None else None
        if as_json:
            tell(facts, as_json=True)
        elif state is None:
            click.echo(f"{href} was deleted after revision {revision}: it would be deleted.")
        else:
            click.echo(state, nl=not state.endswith((b"\n", b"\r")))
        return
    with db.write(book.id) as session:
        current = access.administrator(books.find(session, address))
        written = cards.restore(session, current, href, revision, secret=db.secret, by=changes.command_line())
    facts["revision"] = written.revision or None
    done = "deleted again" if state is None else "back"
    sentence = f"{href} of {book.address} is {done} as after revision {revision}; that is revision {written.revision}."
    if not written.revision:
        sentence = f"{href} of {book.address} is as after revision {revision} already."
    tell(facts, sentence, as_json=as_json)


def _facts(entry: Entry) -> dict[str, Any]:
    change = None
    if entry.revision is not None:
        change = "added" if entry.before_id is None else "deleted" if entry.after_id is None else "changed"
    return {
        "at": entry.at,
        "book": entry.book,
        "href": entry.href,
        "revision": entry.revision,
        "kind": entry.kind,
        "change": change,
        "actor": entry.actor,
        "device": entry.device,
        "user_agent": entry.user_agent,
        "address": entry.address,
        "reason": entry.reason,
    }

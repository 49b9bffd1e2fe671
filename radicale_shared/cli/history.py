"""``history``: who changed what, and bringing it back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain
from typing import Any

import click

from radicale_shared import access, cards, changes, personal
from radicale_shared.changes import Entry
from radicale_shared.cli.context import (
    Context,
    any_book,
    json_option,
    live_book,
    read_cards,
    require_written_here,
    split_card,
)
from radicale_shared.cli.output import print_json_list, print_wrapped, tell
from radicale_shared.errors import NotFoundError

_DEED_WIDTH = 18
_LONGEST = 200  # characters of an overwritten line that is shown whole
_COMMENT = re.compile(r"\([^()]*\)")
_COMMON = frozenset({"Mozilla", "Gecko", "AppleWebKit"})


@click.group()
def history() -> None:
    """See who changed what and when, and bring it back."""


@history.command()
@click.argument("what", metavar="[BOOK[/HREF]]", required=False)
@click.option("--find", metavar="TEXT", default="", help="Only cards with TEXT in their name, whatever its case.")
@click.option(
    "--limit", metavar="N", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="How many."
)
@json_option
@click.pass_obj
def show(context: Context, what: str | None, find: str, limit: int, as_json: bool) -> None:
    """Show the newest deeds: of all books, of BOOK (also in the trash), or of the card HREF of it.

    A card's name is that after the deed, or the last one of a deleted card; --find looks at those before and after.
    Nothing is told of the cards of personal books (those of one user that no grant shares), unless one is named and
    administrators_read_personal_books lets you; that look becomes a deed itself.

    JSON: a list of at, book, href, name, revision, kind, change (added, changed, deleted; null for a deed on the book
    itself), merged (what was stored is not what was sent, but the stored card with what the sender changed),
    overwritten (name, kept, lost: what that went against), actor, device, user_agent, address, reason.
    """
    book_id, href = None, None
    read: set[int] = set()
    if what is not None:
        address, href = split_card(what)
        with context.db.read() as session:
            book = any_book(session, address)
        book_id = book.id
        if find or context.settings.administrators_read_personal_books:
            read_cards(context, book, "history show")
        if context.settings.administrators_read_personal_books:
            read.add(book_id)
    with context.db.snapshot() as session:
        unread = personal.all_ids(session) - read
        entries = changes.history(session, book_id=book_id, href=href, limit=limit, find=find, unread=unread)
        first = next(entries, None)
        if first is None and href is not None and not find:
            raise NotFoundError("card", href, "See: radicale-shared history show BOOK")
        found = chain([first] if first is not None else (), entries)
        if as_json:
            print_json_list(_facts(entry) for entry in found)
        elif first is None:
            click.echo("No deed on a card of that name." if find else "Nothing has happened yet.")
        else:
            _print_deeds(found, with_book=what is None, with_href=href is None)
        if book_id in unread and not as_json:
            click.echo("It is a personal book: of its cards no names and values are told.", err=True)


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
    undone. --dry-run is refused for a card of a personal book. JSON: book, href, restored_to, revision (null where
    nothing had to be written), deleted, card (with --dry-run only), dry_run. Exit status: 0 written, 1 no such book,
    card or revision, 2 wrong usage.
    """
    db = context.db
    if dry_run:
        with db.read() as session:
            book = live_book(session, address)
        read_cards(context, book, "history restore")
    with db.snapshot() as session:
        book = live_book(session, address)
        if not dry_run:
            require_written_here(book)
        if revision > book.revision:
            raise NotFoundError("revision", str(revision), f"{book.address} is at revision {book.revision}.")
        *_, first = [None, *changes.history(session, book_id=book.id, href=href)]
        if first is None:
            raise NotFoundError("card", href, f"See: radicale-shared history show {book.address}")
        if first.revision is not None and revision < first.revision:
            hint = f"The card was made by revision {first.revision}: that is its oldest state."
            raise NotFoundError("state", f"{href} after revision {revision}", hint)
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
        current = access.administrator(live_book(session, address))
        written = cards.restore(session, current, href, revision, secret=db.secret, by=changes.command_line())
    facts["revision"] = written.revision or None
    done = "deleted again" if state is None else "back"
    sentence = f"{href} of {book.address} is {done} as after revision {revision}; that is revision {written.revision}."
    if not written.revision:
        sentence = f"{href} of {book.address} is as after revision {revision} already."
    tell(facts, sentence, as_json=as_json)


def _print_deeds(entries: Iterable[Entry], *, with_book: bool, with_href: bool) -> None:
    """Two lines a deed: when, revision, deed and name; then where, who and by what. Only photos are cut."""
    click.echo(f"{'When (UTC)':<16}  {'Rev':>5}  {'Deed':<{_DEED_WIDTH}}  Name")
    for entry in entries:
        revision = "" if entry.revision is None else str(entry.revision)
        print_wrapped([f"{entry.at:%Y-%m-%d %H:%M}  {revision:>5}  {_deed(entry):<{_DEED_WIDTH}}", entry.name])
        where = entry.href if with_href else ""
        if with_book and entry.book:
            where = f"{entry.book}/{where}" if where else entry.book
        print_wrapped([where, f"by {entry.actor}", _device(entry), entry.reason], indent=4)
        for one in entry.overwritten:
            print_wrapped(_told(_short(one.lost), _short(one.kept)), indent=4)


def _deed(entry: Entry) -> str:
    """E.g. ``put (new)``; a kind that says it itself stands alone."""
    change = _change(entry)
    if change is None or change.startswith(entry.kind):
        return entry.kind
    if entry.received_id is not None:
        return f"{entry.kind} (merged)"
    return f"{entry.kind} ({'new' if change == 'added' else change})"


def _told(lost: str, kept: str) -> list[str]:
    """What became of a property that both sides had changed. Either line is empty where one side had deleted it."""
    if not lost:
        return [f"kept {kept}, which was deleted"]
    return [f"overwrote {lost}", f"by {kept}"] if kept else [f"deleted {lost}, which was changed"]


def _short(line: str) -> str:
    return line if len(line) <= _LONGEST else f"{line[:40]}…"


def _device(entry: Entry) -> str:
    """The programs that the User-Agent names, e.g. ``DAVx5/4.3.14 Android/14``; empty where the actor says it already.

    A device that has a password of its own is told by its label first. Comments, and the words that browsers have in
    common, tell nothing (RFC 9110, section 10.1.5). Without a User-Agent it is the client, without what is left of its
    version (``curl/..``).
    """
    words = _COMMENT.sub(" ", entry.user_agent).split()
    plain = " ".join(word for word in words if word.partition("/")[0] not in _COMMON)
    if not plain:
        plain = " ".join(filter(None, (word.partition("/")[0].strip(".;,") for word in entry.device.split())))
    if entry.user_agent and entry.device != changes.client_of(entry.user_agent):
        return f"{entry.device} ({plain})" if plain else entry.device
    return "" if plain and plain in entry.actor else plain


def _change(entry: Entry) -> str | None:
    if entry.revision is None:
        return None
    return "added" if entry.before_id is None else "deleted" if entry.after_id is None else "changed"


def _facts(entry: Entry) -> dict[str, Any]:
    return {
        "at": entry.at,
        "book": entry.book,
        "href": entry.href,
        "name": entry.name,
        "revision": entry.revision,
        "kind": entry.kind,
        "change": _change(entry),
        "merged": entry.received_id is not None,
        "overwritten": [{"name": one.name, "kept": one.kept, "lost": one.lost} for one in entry.overwritten],
        "actor": entry.actor,
        "device": entry.device,
        "user_agent": entry.user_agent,
        "address": entry.address,
        "reason": entry.reason,
    }

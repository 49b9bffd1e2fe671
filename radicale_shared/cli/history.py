"""``history``: who changed what, and bringing it back."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import asdict
from datetime import timedelta
from itertools import chain
from typing import Any

import click
from sqlalchemy.orm import Session

from radicale_shared import access, acts, cards, changes, personal, summaries
from radicale_shared import history as core
from radicale_shared.acts import Which
from radicale_shared.books import Book
from radicale_shared.cli import moments
from radicale_shared.cli.context import (
    Context,
    any_book,
    json_option,
    live_book,
    login_of,
    read_cards,
    require_written_here,
    split_card,
)
from radicale_shared.cli.deeds import (
    Told,
    facts,
    print_deeds,
)
from radicale_shared.cli.diff import diff
from radicale_shared.cli.output import print_json, print_json_list, print_wrapped, tell
from radicale_shared.cli.prune import prune
from radicale_shared.cli.undo import undo
from radicale_shared.errors import NotFoundError, WrongValueError
from radicale_shared.history import Entry

_A_MINUTE = timedelta(minutes=1)
_NOTHING_FOUND = "No deed on a card of that name."


@click.group()
def history() -> None:
    """See who changed what and when, and bring it back."""


history.add_command(diff)
history.add_command(prune)
history.add_command(undo)


def _which_options(command: Any) -> Any:
    """Adds what narrows down which deeds are meant."""
    for option in reversed(
        (
            click.option("--person", metavar="LOGIN", default="", help="Only what this person did."),
            click.option(
                "--device", metavar="TEXT", default="", help="Only what was done by devices with TEXT in their name."
            ),
            click.option(
                "--since", metavar="T", default="", help="Only deeds since T: 2h, 3d (ago), or a date or time."
            ),
            click.option("--until", metavar="T", default="", help="Only deeds until T."),
        )
    ):
        command = option(command)
    return command


@history.command()
@click.argument("what", metavar="[BOOK[/HREF]]", required=False)
@_which_options
@click.option("--act", metavar="N", type=click.IntRange(min=1), help="Only the deed with this number.")
@click.option("--find", metavar="TEXT", default="", help="Only cards with TEXT in their name, whatever its case.")
@click.option(
    "--diff", is_flag=True, help="Tell what each deed changed, as is told of changes of a single card without."
)
@click.option(
    "--limit", metavar="N", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="How many."
)
@json_option
@click.pass_obj
def show(
    context: Context,
    what: str | None,
    person: str,
    device: str,
    since: str,
    until: str,
    act: int | None,
    find: str,
    diff: bool,
    limit: int,
    as_json: bool,
) -> None:
    """Show the newest deeds: of all books, of BOOK (also in the trash), or of the card HREF of it.

    A card's name is that after the deed, or the last one of a deleted card; --find looks at those before and after.
    What a deed changed is told property by property; how a program orders, folds or spells a card is no change.
    Nothing is told of the cards of personal books (those of one user that no grant shares), unless one is named and
    administrators_read_personal_books lets you; that look becomes a deed itself.

    JSON: a list of act (the deed's number), at, book, href, name, revision, kind, change (added, changed, deleted; null
    for a deed on the book itself), merged (what was stored is not what was sent, but the stored card with what the
    sender changed), overwritten (name, kept, lost: what that went against), actor, device, user_agent, address, reason,
    differences (change, name, before, after; null where they weren't asked for, or are kept no longer).
    """
    book, href = _meant(context, what)
    read: set[int] = set()
    if book is not None:
        if find or context.settings.administrators_read_personal_books:
            read_cards(context, book, "history show")
        if context.settings.administrators_read_personal_books:
            read.add(book.id)
    book_id = book.id if book else None
    with context.db.snapshot() as session:
        unread = personal.all_ids(session) - read
        which = acts.with_devices(session, _narrowed(person, since, until, act), device, book_id)
        entries = core.entries(session, book_id=book_id, href=href, which=which, limit=limit, find=find, unread=unread)
        first = next(entries, None)
        narrowed = bool(person or device or since or until or act or find)
        if first is None and href is not None and not narrowed:
            raise NotFoundError("card", href, "See: radicale-shared history show BOOK")
        found = chain([first] if first is not None else (), entries)
        wanted = "all" if diff or (as_json and href is not None) else "changed" if href is not None else ""
        told = _with_differences(session, found, unread, wanted=wanted)
        if as_json:
            print_json_list(facts(*one) for one in told)
        elif first is None:
            click.echo(_NOTHING_FOUND if find else "No such deed." if narrowed else "Nothing has happened yet.")
        else:
            print_deeds(told, with_book=what is None, with_href=href is None)
        if book_id in unread and not as_json:
            click.echo("It is a personal book: of its cards no names and values are told.", err=True)


@history.command()
@click.argument("what", metavar="[BOOK]", required=False)
@_which_options
@json_option
@click.pass_obj
def summary(
    context: Context, what: str | None, person: str, device: str, since: str, until: str, as_json: bool
) -> None:
    """Tell in short what happened: a line for what each person did with each device, with no pause of ten minutes.

    Of all books or of BOOK; of the last 24 hours, unless --since says else. Times are UTC. What a line tells can be
    taken back by 'history undo' with its device, its person and its times.

    JSON: a list of first_at, last_at, book, actor, device, user_agent, added, changed, deleted (cards), others (how
    many deeds of each kind changed no card), acts (the deeds' numbers).
    """
    book, href = _meant(context, what)
    if href is not None:
        raise WrongValueError("A summary is of a book; of one card: radicale-shared history show BOOK/HREF")
    book_id = book.id if book else None
    with context.db.snapshot() as session:
        which = acts.with_devices(session, _narrowed(person, since or "24h", until, None), device, book_id)
        lines = summaries.lines(session, book_id=book_id, which=which)
    if as_json:
        print_json([asdict(line) for line in lines])
        return
    if not lines:
        click.echo("Nothing has happened.")
    day = ""
    for line in lines:
        if day != f"{line.last_at:%Y-%m-%d}":
            day = f"{line.last_at:%Y-%m-%d}"
            click.echo(day)
        done = {"new": line.added, "changed": line.changed, "deleted": line.deleted, **line.others}
        who = changes.device_of(line.actor, line.device, line.user_agent)
        times = f"{line.first_at:%H:%M}" + (
            f"-{line.last_at:%H:%M}" if line.last_at - line.first_at >= _A_MINUTE else ""
        )
        counts = ", ".join(f"{count} {kind}" for kind, count in done.items() if count)
        where = line.book if book is None else ""
        print_wrapped([f"  {times:<11}", f"{line.actor}{f' ({who})' if who else ''}", where, counts])


def _meant(context: Context, what: str | None) -> tuple[Book | None, str | None]:
    """(book, href) of what is named, if anything is."""
    if what is None:
        return None, None
    address, href = split_card(what)
    with context.db.read() as session:
        return any_book(session, address), href


def _narrowed(person: str, since: str, until: str, act: int | None) -> Which:
    return Which(
        acts=frozenset({act} if act else ()),
        person=login_of(person),
        since=moments.past(since) if since else None,
        until=moments.past(until, until=True) if until else None,
    )


def _with_differences(session: Session, entries: Iterator[Entry], unread: Set[int], *, wanted: str) -> Iterator[Told]:
    """wanted: ``all``, ``changed`` (not all that a card said which was made or deleted), or nothing"""
    for entry in entries:
        tells = wanted == "all" or (wanted == "changed" and entry.change == "changed")
        tells = tells and entry.revision is not None and entry.book_id not in unread
        yield entry, core.differences(session, entry) if tells else None


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
        try:
            state = core.state_after(session, book.id, href, revision)
        except NotFoundError as error:
            if error.kind == "card":
                raise NotFoundError("card", href, f"See: radicale-shared history show {book.address}") from error
            raise
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

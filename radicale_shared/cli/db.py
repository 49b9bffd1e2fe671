"""``db``: create and upgrade the database, check it, and start clients over."""

from __future__ import annotations

import click

from radicale_shared import books, changes, database, entry_refresh, integrity, moving, restoring, settings
from radicale_shared.cli.context import Context, json_option, live_book, may_ask
from radicale_shared.cli.output import counted, print_rows, progress, tell


@click.group()
def db() -> None:
    """Create, upgrade and check the database."""


@db.command()
@click.option(
    "--entries",
    "damaged",
    is_flag=True,
    help="Make the entries of all cards in directories anew; 'db check' says when.",
)
@json_option
@click.pass_obj
def upgrade(context: Context, damaged: bool, as_json: bool) -> None:
    """Create the tables, or bring them to what this program needs. Make a backup first.

    Then what desk phones and the LDAP view are told of each card is brought up to date; the server may run meanwhile.

    JSON: before (null in an empty database), after, books (how many got new entries).
    """
    before, after = context.unchecked.upgrade()
    with context.db.read() as session:
        cards = sum(book.card_count for book in books.all_books(session))
    with progress("Entries", cards) as advance:
        count = entry_refresh.refresh(context.db, told=advance, damaged=damaged)
    if before == after:
        sentence = f"The database has the schema {after} already."
    elif before is None:
        sentence = f"The database is created, with schema {after}."
    else:
        sentence = f"The database is upgraded from schema {before} to {after}."
    made = f"Entries of {counted(count, 'book')} were made anew." if count else ""
    tell({"before": before, "after": after, "books": count}, sentence, *filter(None, [made]), as_json=as_json)


@db.command()
@json_option
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> None:
    """Look for damage: schema, tables, and that every card, its history and the search index are complete.

    Changes nothing.

    JSON: a list of book, href, problem. Exit status: 0 nothing wrong, 1 something is.
    """
    context: Context = ctx.obj
    found = [
        {"book": problem.book, "href": problem.href, "problem": problem.what}
        for problem in integrity.problems(context.db)
    ]
    columns = {"book": "Book", "href": "Card", "problem": "Problem"}
    print_rows(found, columns, as_json=as_json, empty="Nothing is wrong.")
    if found:
        ctx.exit(1)


@db.command("new-epoch")
@click.argument("book", required=False)
@json_option
@click.pass_obj
def new_epoch(context: Context, book: str | None, as_json: bool) -> None:
    """Let all clients of BOOK, or of all books, start over at their next sync.

    Needed after the database was put back to an older state by other means than this program's. Nothing is lost;
    clients load their books again. JSON: books (how many).
    """
    with context.db.write() as session:
        count = books.new_epoch(session, live_book(session, book).id if book else None)
    tell(
        {"books": count},
        f"Clients of {counted(count, 'book')} start over at their next sync.",
        as_json=as_json,
    )


@db.command()
@click.argument("target", metavar="URL|FILE")
@json_option
@click.pass_obj
def move(context: Context, target: str, as_json: bool) -> None:
    """Move everything to an empty database: URL, or the one whose URL stands in FILE. SQLite or PostgreSQL, either way.

    Clients notice nothing: addresses, tokens and passwords stay what they are. Meanwhile writers wait; afterwards the
    old database is read-only, and servers that run on it answer 503 to every write, until they are started with the new
    one in their configuration. If it is cut short, the same command does what is left. A password belongs into FILE,
    which not everybody may read.

    JSON: moved_to, books, cards, rows.
    """
    source = context.unchecked
    into = database.connect(settings.database_url_of(target))
    source.check_tables()
    with progress("Moving", 0 if source.moved_to else restoring.size(source)) as advance:
        moved = moving.move(source, into, told=lambda _table, rows: advance(rows))
    live = [one for one in moved.holdings.books if not one.is_deleted]
    cards = sum(one.cards for one in live)
    facts = {"moved_to": moved.to, "books": len(live), "cards": cards, "rows": sum(moved.holdings.rows.values())}
    tell(
        facts,
        f"Now in {moved.to}: {counted(cards, 'card')} of {counted(len(live), 'book')}. The old database is read-only.",
        "Now name the new one in [storage] database_url or database_url_file, and restart every server.",
        as_json=as_json,
    )


@db.command()
@json_option
@click.pass_obj
def reopen(context: Context, as_json: bool) -> None:
    """Use a database again from which everything was moved, or to which a move was not finished.

    Only where the other one is lost, or not wanted: what was written there is not here, so all clients start over at
    their next sync. Never write to both.

    JSON: books (how many).
    """
    if may_ask():
        click.confirm("What was written to the other database is not in this one. Use it again?", abort=True, err=True)
    count = moving.reopen(context.unchecked, by=changes.command_line())
    tell(
        {"books": count},
        f"The database is open again; clients of {counted(count, 'book')} start over at their next sync.",
        as_json=as_json,
    )

"""``phone hide`` and its like: what of the books desk phones get, and where numbers are at home."""

from __future__ import annotations

import click

from radicale_shared import books, changes, entry_refresh, phone_books
from radicale_shared.cli.context import Context, any_book, json_option, live_book, split_card
from radicale_shared.cli.output import counted, print_json, print_rows, print_table, progress, tell


def _set(context: Context, what: str, *, is_hidden: bool, as_json: bool) -> None:
    address, href = split_card(what)
    with context.db.read() as session:
        found = live_book(session, address)
    with context.db.write(found.id) as session:
        by = changes.command_line()
        if href is None:
            changed = phone_books.hide(session, found, hidden=is_hidden, by=by)
        else:
            changed = phone_books.hide_card(session, found, href, hidden=is_hidden, by=by)
    name = found.address if href is None else f"{found.address}/{href}"
    how = "hidden from phones" if is_hidden else "shown on phones"
    tell(
        {"book": found.address, "href": href, "hidden": is_hidden, "changed": changed},
        f"{name!r} is {how} {'from now on' if changed else 'already'}.",
        as_json=as_json,
    )


@click.command()
@click.argument("what", metavar="BOOK[/HREF]")
@json_option
@click.pass_obj
def hide(context: Context, what: str, as_json: bool) -> None:
    """Hide a book, or one card of it, from all phones: from their next request on, in lists, searches and calls.

    People see it on their other devices as before. What a phone has copied stays on it until it asks again. Undo:
    phone unhide. JSON: book, href (null: all of it), hidden, changed (false: it was so already).
    """
    _set(context, what, is_hidden=True, as_json=as_json)


@click.command()
@click.argument("what", metavar="BOOK[/HREF]")
@json_option
@click.pass_obj
def unhide(context: Context, what: str, as_json: bool) -> None:
    """Show a book, or one card of it, on phones again.

    A card of a hidden book is seen when both are shown. JSON: as 'phone hide'.
    """
    _set(context, what, is_hidden=False, as_json=as_json)


@click.command()
@click.argument("address", metavar="[BOOK]", required=False, default="")
@json_option
@click.pass_obj
def hidden(context: Context, address: str, as_json: bool) -> None:
    """List what is hidden from phones: books, or BOOK and its cards.

    JSON: a list of book, href (null: all of it).
    """
    with context.db.read() as session:
        some = [any_book(session, address)] if address else books.all_books(session)
        rows: list[dict[str, str | None]] = [
            {"book": one.address, "href": None} for one in some if one.hidden_from_phones
        ]
        for one in some:
            rows += [{"book": one.address, "href": href} for href in phone_books.hidden_cards(session, one.id)]
    print_rows(rows, {"book": "Book", "href": "Card"}, as_json=as_json, empty="Nothing is hidden from phones.")


@click.command()
@click.argument("code", metavar="[CC]", required=False)
@click.option("--book", "address", metavar="BOOK", help="Of this book alone; CC empty: as the server again.")
@json_option
@click.pass_obj
def region(context: Context, code: str | None, address: str | None, as_json: bool) -> None:
    """Say where numbers without a country code are at home, or show it: two letters as in DE, FR, US.

    All numbers are understood anew then, which takes some seconds for each 10,000 cards; phones and searches go on
    meanwhile, by what was known. JSON: region (empty: none), books (of those with their own), remade (books).
    """
    remade = 0
    with context.db.read() as session:
        found = live_book(session, address) if address else None
    if code is not None:
        with context.db.write(*([found.id] if found else [])) as session:
            ids = phone_books.set_region(session, code, by=changes.command_line(), book=found)
        # Also where nothing has changed now: whoever did it before may have been interrupted.
        with context.db.read() as session:
            cards = sum(one.card_count for one in books.all_books(session) if one.id in ids)
        with progress("Understanding numbers", cards) as advance:
            remade = entry_refresh.refresh(context.db, told=advance)
    with context.db.read() as session:
        of_server = phone_books.region(session)
        own = phone_books.regions(session)
        of_books = {one.address: own[one.id] for one in books.all_books(session) if one.id in own}
    if as_json:
        print_json({"region": of_server, "books": of_books, "remade": remade})
        return
    where = of_server or "nowhere"
    if found:
        of_books.setdefault(found.address, f"{where}, as the server")
    rows = [("the server", where), *of_books.items()]
    print_table(("Numbers of", "are at home in"), rows)
    if code is not None:
        click.echo(f"The numbers of {counted(remade, 'book')} were understood anew.")
    elif not of_server:
        click.echo("Numbers without a country code are found only as they are written. Say e.g.: phone region DE")

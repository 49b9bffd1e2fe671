"""``device``: passwords of single devices."""

from __future__ import annotations

from typing import Any

import click

from radicale_shared import books, changes, devices
from radicale_shared.cli.context import Context, json_option, live_book, login_of, person
from radicale_shared.cli.output import print_rows, tell
from radicale_shared.devices import Device

_HOW = "Enter it on the device with the login {0}. It is shown this once; capitals and dashes don't matter."
_login_argument = click.argument("login", metavar="USER", callback=lambda _context, _option, given: login_of(given))
_COLUMNS = {
    "label": "Device",
    "books": "Books",
    "read_only": "Read-only",
    "phones_only": "Desk phone",
    "merged": "Merged",
    "last_used_at": "Last used",
    "last_address": "From",
    "last_user_agent": "By",
}


@click.group()
def device() -> None:
    """Give each device a password of its own: it opens the address books alone, and is revoked alone."""


@device.command()
@_login_argument
@click.argument("label")
@click.option("--book", "chosen", metavar="BOOK", multiple=True, help="Only this book. Again: another one too.")
@click.option("--read-only", is_flag=True, help="It may read and nothing else.")
@click.option("--phones-only", is_flag=True, help="It serves a desk phone; contacts apps can't sign in by it.")
@click.option(
    "--merged/--separate",
    default=None,
    help="Whether it gets all books as one. Without: decided by its program (merged_book_clients).",
)
@json_option
@click.pass_obj
def add(
    context: Context,
    login: str,
    label: str,
    chosen: tuple[str, ...],
    read_only: bool,
    phones_only: bool,
    merged: bool | None,
    as_json: bool,
) -> None:
    """Make a password for the device LABEL of USER, and print it. Nobody can see it again.

    Refused: a book that USER can't read, and more than 50 devices.
    JSON: as 'device list', and password.
    """
    secret = context.db.secret
    with context.db.write() as session:
        whose = person(session, login)
        only = [live_book(session, address) for address in chosen] if chosen else None
        made, password = devices.add(
            session,
            whose,
            label,
            secret=secret,
            by=changes.command_line(),
            only=only,
            read_only=read_only,
            phones_only=phones_only,
            merged=merged,
        )
        facts = _facts(made, {book.id: book.address for book in books.all_books(session)})
    tell({**facts, "password": password}, password, _HOW.format(made.login), as_json=as_json)


@device.command("list")
@_login_argument
@json_option
@click.pass_obj
def list_(context: Context, login: str, as_json: bool) -> None:
    """List the devices of USER that have a password of their own.

    When it was used, from where and by what is noted once an hour. JSON: a list of label, books (null: all), read_only,
    phones_only, merged (null: by its program), created_at, last_used_at, last_address, last_user_agent.
    """
    with context.db.read() as session:
        found = devices.of_user(session, person(session, login).id)
        addresses = {book.id: book.address for book in books.all_books(session)}
    rows = [_facts(one, addresses) for one in found]
    if not as_json:
        for row in rows:
            row["books"] = "all" if row["books"] is None else row["books"]
            row["merged"] = "by program" if row["merged"] is None else row["merged"]
    empty = f"{login} has no device. Make one: radicale-shared device add USER LABEL"
    print_rows(rows, _COLUMNS, as_json=as_json, empty=empty)


@device.command()
@_login_argument
@click.argument("label")
@json_option
@click.pass_obj
def revoke(context: Context, login: str, label: str, as_json: bool) -> None:
    """End the password of the device LABEL of USER: it is out with its next request. What it has stays on it.

    JSON: as 'device list', of this one.
    """
    with context.db.write() as session:
        gone = devices.revoke(session, person(session, login), label, by=changes.command_line())
        facts = _facts(gone, {book.id: book.address for book in books.all_books(session)})
    tell(facts, f"The device {gone.label!r} of {gone.login} can't sign in any more.", as_json=as_json)


def _facts(found: Device, addresses: dict[int, str]) -> dict[str, Any]:
    """addresses: {id: address} of all live books"""
    some = found.scope.books
    return {
        "label": found.label,
        "books": None if some is None else sorted(addresses[one] for one in some if one in addresses),
        "read_only": found.scope.read_only,
        "phones_only": found.phones_only,
        "merged": found.merged,
        "created_at": found.created_at,
        "last_used_at": found.last_used_at,
        "last_address": found.last_address,
        "last_user_agent": found.last_user_agent,
    }

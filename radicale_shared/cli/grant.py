"""``grant``: who may do what with which book, and why."""

from __future__ import annotations

from typing import Any

import click

from radicale_shared import access, changes
from radicale_shared.access import VERBS, Role
from radicale_shared.cli.context import Context, json_option, live_book
from radicale_shared.cli.context import person as person_of
from radicale_shared.cli.context import principal as principal_of
from radicale_shared.cli.output import print_json, print_rows, role_of, tell
from radicale_shared.errors import NotAllowedHereError

_ROLES = click.Choice([role.value for role in Role])


@click.group()
def grant() -> None:
    """Say who may do what. PRINCIPAL is user:NAME, group:NAME or everyone (who is signed in).

    \b
    ROLE       may
    viewer       read
    contributor  read, add
    editor       read, add, edit
    curator      read, add, edit, delete, export
    manager      all that, and manage grants
    owner        all that, and rename, hand over and delete the book
    """


def _limits(command: Any) -> Any:
    until = click.option("--until", metavar="DATE", help="Not enforced yet: refused.")
    hide = click.option("--hide", metavar="FIELD", multiple=True, help="Not enforced yet: refused.")
    return until(hide(command))


@grant.command()
@click.argument("address", metavar="BOOK")
@click.argument("principal")
@click.argument("role", type=_ROLES)
@_limits
@json_option
@click.pass_obj
def add(
    context: Context,
    address: str,
    principal: str,
    role: str,
    until: str | None,
    hide: tuple[str, ...],
    as_json: bool,
) -> None:
    """Give PRINCIPAL the ROLE on BOOK; it counts from the next request on.

    JSON: book, principal, role.
    """
    _refuse_unenforced(principal, until, hide)
    with context.db.write() as session:
        book = live_book(session, address)
        access.give(session, book, principal_of(session, principal), Role(role), by=changes.command_line())
    facts = {"book": book.address, "principal": principal, "role": role}
    verbs = ", ".join(verb for verb in access.Verb if verb in VERBS[Role(role)])
    tell(facts, f"{principal} is {role} of {book.address}: {verbs}.", as_json=as_json)


@grant.command()
@click.argument("address", metavar="BOOK")
@click.argument("principal")
@click.argument("role", type=_ROLES)
@_limits
@json_option
@click.pass_obj
def change(
    context: Context,
    address: str,
    principal: str,
    role: str,
    until: str | None,
    hide: tuple[str, ...],
    as_json: bool,
) -> None:
    """Give PRINCIPAL, who has a grant on BOOK, another ROLE.

    JSON: book, principal, role.
    """
    _refuse_unenforced(principal, until, hide)
    with context.db.write() as session:
        book = live_book(session, address)
        access.change(session, book, principal_of(session, principal), Role(role), by=changes.command_line())
    facts = {"book": book.address, "principal": principal, "role": role}
    tell(facts, f"{principal} is {role} of {book.address} now.", as_json=as_json)


@grant.command()
@click.argument("address", metavar="BOOK")
@click.argument("principal")
@json_option
@click.pass_obj
def remove(context: Context, address: str, principal: str, as_json: bool) -> None:
    """Take the grant of PRINCIPAL on BOOK away, from the next request on.

    Copies that are on a phone already stay there. JSON: book, principal.
    """
    with context.db.write() as session:
        book = live_book(session, address)
        access.take(session, book, principal_of(session, principal), by=changes.command_line())
    facts = {"book": book.address, "principal": principal}
    tell(facts, f"The grant of {principal} on {book.address} is gone.", as_json=as_json)


@grant.command("list")
@click.argument("address", metavar="BOOK")
@json_option
@click.pass_obj
def list_(context: Context, address: str, as_json: bool) -> None:
    """List the grants on BOOK. Its owner needs none.

    JSON: a list of principal, role, created_at.
    """
    with context.db.read() as session:
        book = live_book(session, address)
        rows = [
            {"principal": one.principal, "role": one.role, "created_at": one.created_at}
            for one in access.grants(session, book)
        ]
    columns = {"principal": "Principal", "role": "Role", "created_at": "Since"}
    print_rows(
        rows, columns, as_json=as_json, empty=f"Nobody but the owner, {book.owner}, has rights on {book.address}."
    )


@grant.command()
@click.argument("login", metavar="USER")
@click.argument("address", metavar="BOOK")
@json_option
@click.pass_obj
def explain(context: Context, login: str, address: str, as_json: bool) -> None:
    """Say what USER may do with BOOK, and which grants and groups give it.

    JSON: user, state, book, role, verbs, reasons (a list of role, principal, path). Exit status 0, also where nothing
    is allowed.
    """
    with context.db.read() as session:
        person, book = person_of(session, login), live_book(session, address)
        verbs, reasons = access.explain(session, person, book)
    ordered = [verb.value for verb in access.Verb if verb in verbs]
    if as_json:
        print_json(
            {
                "user": person.login,
                "state": person.state,
                "book": book.address,
                "role": role_of(verbs),
                "verbs": ordered,
                "reasons": [
                    {"role": reason.role, "principal": reason.principal, "path": reason.path} for reason in reasons
                ],
            }
        )
        return
    if person.state != "active":
        click.echo(f"{person.login} is {person.state} and may do nothing.")
    elif not verbs:
        click.echo(f"{person.login} may do nothing with {book.address}: no grant reaches them.")
    else:
        click.echo(f"{person.login} may do with {book.address}: {', '.join(ordered)}.")
    for reason in reasons:
        click.echo(f"  {reason}")


def _refuse_unenforced(principal: str, until: str | None, hide: tuple[str, ...]) -> None:
    """A limit that would not hold must not look as if it did."""
    if until is not None:
        raise NotAllowedHereError("An end date (--until) is not enforced yet; no grant was made or changed.")
    if hide:
        raise NotAllowedHereError("Hidden fields (--hide) are not enforced yet; no grant was made or changed.")
    if principal.startswith("domain:"):
        raise NotAllowedHereError("A grant to a domain is not enforced yet; no grant was made or changed.")

"""``grant``: who may do what with which book, and why."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import click

from radicale_shared import access, changes, grants, reading, reasons
from radicale_shared.access import Role, Verb
from radicale_shared.books import Book
from radicale_shared.cli.context import Context, json_option, live_book, split_card
from radicale_shared.cli.context import person as person_of
from radicale_shared.cli.context import principal as principal_of
from radicale_shared.cli.moments import NEVER, last_day, moment, moment_or_never
from radicale_shared.cli.output import print_json, print_rows, print_table, safe, tell
from radicale_shared.errors import NotFoundError
from radicale_shared.grants import DOMAIN_PREFIX, GrantLine, Terms
from radicale_shared.principals import Findable
from radicale_shared.reasons import Explanation, Reason, Seers, role_of

_ROLES = click.Choice([role.value for role in Role])
_VERBS = click.Choice([verb.value for verb in Verb])


@click.group()
def grant() -> None:
    """Say who may do what. PRINCIPAL is user:NAME, group:NAME, domain:NAME or everyone (who is signed in).

    \b
    ROLE       may
    viewer       read
    contributor  read, add
    editor       read, add, edit
    curator      read, add, edit, delete, export
    manager      all that, and manage grants
    owner        all that, and rename, hand over and delete the book

    Several grants unite: what any of them lets do may be done, and hidden is what all of them hide. FIELD is tel,
    email, adr, note, bday and so on, or one kind of them: tel:home.
    """


@grant.command()
@click.argument("address", metavar="BOOK")
@click.argument("principal")
@click.argument("role", type=_ROLES)
@click.option("--until", metavar="DATE", type=moment, help="Last day of the grant, or the moment it ends.")
@click.option("--hide", metavar="FIELD", multiple=True, help="Don't show this field. Again: another one.")
@json_option
@click.pass_obj
def add(
    context: Context,
    address: str,
    principal: str,
    role: str,
    until: datetime | None,
    hide: tuple[str, ...],
    as_json: bool,
) -> None:
    """Give PRINCIPAL the ROLE on BOOK; it counts from the next request on.

    JSON: book, principal, role, until (null: no end), hide (a list), ended, created_at.
    """
    with context.db.write() as session:
        book = live_book(session, address)
        whom = principal_of(session, principal)
        line = grants.give(session, book, whom, Role(role), by=changes.command_line(), until=until, hide=hide)
        hint = _domain_hint(session, line)
    verbs = ", ".join(verb for verb in Verb if verb in access.given(Role(role), book))
    sentence = f"{_told(line, book)}: {verbs}."
    tell({"book": book.address, **_facts(line)}, sentence, hint, as_json=as_json)


@grant.command()
@click.argument("address", metavar="BOOK")
@click.argument("principal")
@click.argument("role", type=_ROLES, required=False)
@click.option("--until", metavar="DATE", type=moment_or_never, help="Another end, or 'never' for none.")
@click.option("--hide", metavar="FIELD", multiple=True, help="Hide this field and no other. Again: another one too.")
@click.option("--show-all", is_flag=True, help="Hide nothing any more.")
@json_option
@click.pass_obj
def change(
    context: Context,
    address: str,
    principal: str,
    role: str | None,
    until: datetime | str | None,
    hide: tuple[str, ...],
    show_all: bool,
    as_json: bool,
) -> None:
    """Change the grant that PRINCIPAL has on BOOK: its ROLE, its end, what it hides. What isn't named stays.

    JSON: the keys of 'grant add'.
    """
    if hide and show_all:
        raise click.UsageError("--hide and --show-all don't go together.")
    if role is None and until is None and not hide and not show_all:
        raise click.UsageError("Name what to change: ROLE, --until, --hide or --show-all.")
    with context.db.write() as session:
        book = live_book(session, address)
        line = grants.change(
            session,
            book,
            principal_of(session, principal),
            Role(role) if role else None,
            by=changes.command_line(),
            until=until if isinstance(until, datetime) else None,
            endless=until == NEVER,
            hide=hide if hide or show_all else None,
        )
    over = "It has ended, and gives nothing." if line.ended else ""
    sentence = f"Changed: {_told(line, book)}."
    tell({"book": book.address, **_facts(line)}, sentence, over, as_json=as_json)


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
        grants.take(session, book, principal_of(session, principal), by=changes.command_line())
    facts = {"book": book.address, "principal": principal}
    tell(facts, f"The grant of {principal} on {book.address} is gone.", as_json=as_json)


@grant.command("list")
@click.argument("address", metavar="BOOK")
@json_option
@click.pass_obj
def list_(context: Context, address: str, as_json: bool) -> None:
    """List the grants on BOOK, those that have ended too. Its owner needs none.

    JSON: a list of the keys of 'grant add' but book.
    """
    with context.db.read() as session:
        book = live_book(session, address)
        lines = grants.of_book(session, book)
    rows = [_facts(one) for one in lines]
    if not as_json:
        for row, line in zip(rows, lines, strict=True):
            row["until"] = last_day(line.terms.until_at)
    columns = {"principal": "Principal", "role": "Role", "until": "Until", "hide": "Hidden", "created_at": "Since"}
    print_rows(
        rows, columns, as_json=as_json, empty=f"Nobody but the owner, {book.owner}, has rights on {book.address}."
    )


@grant.command()
@click.argument("login", metavar="USER")
@click.argument("address", metavar="BOOK")
@click.argument("verb", type=_VERBS, required=False)
@json_option
@click.pass_obj
def explain(context: Context, login: str, address: str, verb: str | None, as_json: bool) -> None:
    """Say what USER may do with BOOK, and why; and why not: what has ended, what is hidden, and who could give more.

    With VERB: whether they may do that, by what, and if not who could let them.

    JSON: user, state, book, mirrored_from (a directory, whose people it shows and which alone writes it; else null),
    role, verbs, hidden, reasons and ended (lists of role, until, hide, principal, path), deciders (who gives rights,
    by name); with VERB also verb and allowed. Reasons of a disabled user would count if they were enabled. Exit status
    0, also where nothing is allowed.
    """
    with context.db.read() as session:
        person, book = person_of(session, login), live_book(session, address)
        told = reasons.explain(session, person, book)
    if as_json:
        facts = {
            "user": person.login,
            "state": person.state,
            "book": book.address,
            "mirrored_from": book.mirrored_from or None,
            "role": role_of(told.verbs),
            "verbs": _ordered(told.verbs),
            "hidden": sorted(told.view.hidden),
            "reasons": [_reason(one) for one in told.reasons],
            "ended": [_reason(one) for one in told.ended],
            "deciders": list(told.deciders),
        }
        print_json(facts if verb is None else {**facts, "verb": verb, "allowed": verb in told.verbs})
        return
    if person.state != "active":
        click.echo(safe(f"{person.login} is {person.state} and may do nothing."))
    elif verb is not None:
        click.echo(safe(f"{person.login} may {'' if verb in told.verbs else 'not '}{verb} {book.address}."))
    elif not told.verbs:
        click.echo(safe(f"{person.login} may do nothing with {book.address}: no grant reaches them."))
    else:
        click.echo(safe(f"{person.login} may do with {book.address}: {', '.join(_ordered(told.verbs))}."))
    _print_why(told, None if verb is None else Verb(verb))
    if book.mirrored_from:
        click.echo(safe(f"It shows the people of the directory {book.mirrored_from}, which alone writes it."))
    if told.view.hidden and verb in {None, Verb.READ}:
        click.echo(safe(f"They don't see: {', '.join(sorted(told.view.hidden))}. Hidden is what all grants hide."))
    missing = set(Verb) - told.verbs if verb is None else {Verb(verb)} - told.verbs
    if missing:
        click.echo(safe(f"Who can give more: {', '.join(told.deciders) or 'an administrator'}."))


@grant.command()
@click.argument("what", metavar="BOOK[/HREF]")
@click.option("--as", "as_", metavar="USER", help="Tell only what this user may learn.")
@json_option
@click.pass_obj
def who(context: Context, what: str, as_: str | None, as_json: bool) -> None:
    """Say who can see BOOK, or the card HREF of it: which principals, which people, by which way, and without what.

    People whom only a grant to everyone or to a domain reaches are counted, not listed. Readers learn the principals
    they may know of (find_people), managers also which people.

    JSON: book, href (null without), principals (a list of principal, name, role, until, hide, is_owner, people: how
    many, of everyone and domains), people (null where the user may not learn them; a list of login, name, role, verbs,
    hidden, reasons as in 'grant explain').
    """
    address, href = split_card(what)
    with context.db.read() as session:
        book = live_book(session, address)
        asker = None
        if as_ is not None:
            asker = access.to_book(session, person_of(session, as_).slug, book.id)
            if asker is None:
                raise NotFoundError("book", address, f"Not for {as_}: they can't read it.")
        if href is not None and not reading.is_there(session, book.id, href):
            raise NotFoundError("card", href, "See: radicale-shared history show BOOK")
        told = reasons.who(session, book, asker=asker, findable=Findable(context.settings.find_people))
    if as_json:
        print_json({"book": book.address, "href": href, **_seers(told)})
    else:
        _print_seers(told)


# -- for people --------------------------------------------------------------------------------------------------------


def _print_why(told: Explanation, verb: Verb | None) -> None:
    def gives(one: Reason) -> bool:
        return verb is None or verb in access.VERBS[one.terms.role]

    for reason in filter(gives, told.reasons):
        click.echo(safe(f"  {reason}{_limits(reason.terms)}"))
    for reason in filter(gives, told.ended):
        click.echo(safe(f"  ended: {reason}{_limits(reason.terms)}"))


def _print_seers(told: Seers) -> None:
    rows = [
        (
            one.principal if one.people is None else f"{one.principal} ({one.people} people)",
            one.name,
            "owner" if one.is_owner else one.terms.role,
            last_day(one.terms.until_at),
            ", ".join(sorted(one.terms.hidden)),
        )
        for one in told.principals
    ]
    if not rows:
        click.echo("Nobody that may be told of.")
        return
    print_table(("Principal", "Name", "Role", "Until", "Hidden"), rows)
    if told.people:
        click.echo()
        people = [
            (
                one.login,
                one.name,
                role_of(one.verbs) or ", ".join(_ordered(one.verbs)),
                ", ".join(sorted(one.view.hidden)),
                "; ".join(str(reason) for reason in one.reasons),
            )
            for one in told.people
        ]
        print_table(("User", "Name", "Role", "Hidden", "Why"), people)


def _told(line: GrantLine, book: Book) -> str:
    return f"{line.principal} is {line.terms.role} of {book.address}{_limits(line.terms)}"


def _limits(terms: Terms) -> str:
    until = f", until {last_day(terms.until_at)}" if terms.until_at else ""
    return f"{until}, without {', '.join(sorted(terms.hidden))}" if terms.hidden else until


def _domain_hint(session: Any, line: GrantLine) -> str:
    domain = line.principal.removeprefix(DOMAIN_PREFIX)
    if domain == line.principal:
        return ""
    if reached := grants.people_of_domain(session, domain):
        return f"It reaches {reached} people today."
    return f"Nobody is of {domain} yet: people of a directory are, once they have signed in."


# -- for programs ------------------------------------------------------------------------------------------------------


def _facts(line: GrantLine) -> dict[str, Any]:
    return {"principal": line.principal, **_terms(line.terms), "ended": line.ended, "created_at": line.created_at}


def _terms(terms: Terms) -> dict[str, Any]:
    return {"role": terms.role, "until": terms.until_at, "hide": sorted(terms.hidden)}


def _reason(one: Reason) -> dict[str, Any]:
    return {**_terms(one.terms), "principal": one.principal, "path": one.path}


def _seers(told: Seers) -> dict[str, Any]:
    people = [
        {
            "login": one.login,
            "name": one.name,
            "role": role_of(one.verbs),
            "verbs": _ordered(one.verbs),
            "hidden": sorted(one.view.hidden),
            "reasons": [_reason(reason) for reason in one.reasons],
        }
        for one in told.people or ()
    ]
    return {
        "principals": [
            {
                "principal": one.principal,
                "name": one.name,
                **_terms(one.terms),
                "is_owner": one.is_owner,
                "people": one.people,
            }
            for one in told.principals
        ],
        "people": None if told.people is None else people,
    }


def _ordered(verbs: Iterable[Verb]) -> list[str]:
    return [verb.value for verb in Verb if verb in set(verbs)]

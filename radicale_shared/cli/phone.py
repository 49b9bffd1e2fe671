"""``phone``: desk phones, what they show, the lines for their configuration, and what they would get."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import click

from radicale_shared import books, changes, devices, people, phone_books, phone_profiles
from radicale_shared.cli.context import (
    Context,
    json_option,
    live_book,
    login_of,
    password_from_stdin,
    person,
    read_cards,
)
from radicale_shared.cli.output import counted, print_facts, print_json, print_rows, print_wrapped, safe, tell
from radicale_shared.cli.phone_books import hidden, hide, region, unhide
from radicale_shared.cli.phone_told import facts_of, facts_of_answer, print_setup, tell_who_is_left_out, told_of
from radicale_shared.errors import NotAllowedHereError, NotFoundError
from radicale_shared.numbers import Dial
from radicale_shared.phone_profiles import LANGUAGES, Choices, NameOrder, Profile, SignIn
from radicale_shared.phones import lookup as lookups
from radicale_shared.phones.answering import preview as previewed
from radicale_shared.phones.formats import FORMATS

_NOT_SHOWN = "Nobody can see the password again; with --password-stdin the lines have it in its place."
_COLUMNS = {
    "label": "Phone",
    "user": "Owner",
    "make": "Make",
    "books": "Books",
    "last_used_at": "Last used",
    "last_address": "From",
    "last_user_agent": "By",
}
_SEARCHES = ("q", "term", "ln")  # what makes call the text that is looked for

_login_argument = click.argument("login", metavar="USER", callback=lambda _context, _option, given: login_of(given))
_label_argument = click.argument("label")


def _choice_options(command: Any) -> Any:
    """Adds the options for what can be chosen for a phone."""
    options = (
        click.option("--field", "fields", metavar="FIELD", multiple=True, help="Shown beside names. Again: another."),
        click.option(
            "--order", "name_order", type=click.Choice([one.value for one in NameOrder]), help="How names are written."
        ),
        click.option(
            "--dial", type=click.Choice([one.value for one in Dial]), help="How numbers of other places are dialled."
        ),
        click.option("--region", metavar="CC", help="Where the phone stands: DE, FR ... Empty: as the server."),
        click.option("--outside-prefix", metavar="DIGITS", help="Dialled before each outside number."),
        click.option("--trunk", metavar="NUMBER", help="What its own extensions stand behind, as in +493023125."),
        click.option("--network", "networks", metavar="N", multiple=True, help="May ask from here. Again: another."),
        click.option(
            "--sign-in", type=click.Choice([one.value for one in SignIn]), help="Where the phone sends its password."
        ),
        click.option("--max-entries", type=int, metavar="N", help="Of one file; never more than the make takes."),
        click.option("--max-bytes", type=int, metavar="N", help="Of one file. 0: what the make takes."),
        click.option("--language", type=click.Choice(LANGUAGES), help="Of the texts on the phone."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _chosen(before: Choices, told: Mapping[str, Any]) -> Choices:
    """The choices, with what the options say; an empty one of those that may be given again means none."""
    given = {name: value for name, value in told.items() if value is not None and value != ()}
    return replace(before, **{name: _MADE[name](value) if name in _MADE else value for name, value in given.items()})


_MADE: Mapping[str, Callable[[Any], Any]] = {
    "fields": lambda several: frozenset(filter(None, several)),
    "networks": lambda several: tuple(filter(None, several)),
    "name_order": NameOrder,
    "dial": Dial,
    "sign_in": SignIn,
}


_make_option = click.option("--make", type=click.Choice(list(FORMATS)), help="See: radicale-shared phone makes")


@click.group()
def phone() -> None:
    """Let desk phones show the books, find people, and say who is calling."""


phone.add_command(hide)
phone.add_command(unhide)
phone.add_command(hidden)
phone.add_command(region)


@phone.command()
@_login_argument
@_label_argument
@click.option("--make", type=click.Choice(list(FORMATS)), required=True, help="See: radicale-shared phone makes")
@click.option("--book", "only", metavar="BOOK", multiple=True, help="Only this book. Again: another one too.")
@_choice_options
@json_option
@click.pass_obj
def add(
    context: Context, /, login: str, label: str, make: str, only: tuple[str, ...], as_json: bool, **told: Any
) -> None:
    """Make a password for the phone LABEL of USER, and print it with the lines for the phone's configuration.

    It shows what USER sees, of the named books or of all, less what is hidden from phones. One password may serve many
    phones that are set up alike. Nobody can see it again. JSON: as 'phone show', and password.
    """
    choices = _chosen(Choices(make=make), told)
    secret = context.db.secret
    with context.db.write() as session:
        chosen = [live_book(session, address) for address in only] if only else None
        profile, password = phone_profiles.add(
            session,
            person(session, login),
            label,
            choices,
            secret=secret,
            by=changes.command_line(),
            only=chosen,
        )
    facts = {**facts_of(context, profile, password), "password": password}
    how = f"The password of the phone {profile.device.label!r} of {profile.device.login}. It is shown this once."
    tell(facts, password, how, as_json=as_json)
    if not as_json:
        print_setup(facts)


@phone.command("list")
@click.argument("login", metavar="[USER]", required=False, default="")
@json_option
@click.pass_obj
def list_(context: Context, login: str, as_json: bool) -> None:
    """List the phones of USER, or of everybody.

    When one was used, from where and by what is noted once an hour. JSON: a list, each as 'phone show' without url and
    setup.
    """
    with context.db.read() as session:
        whose = person(session, login) if login else None
        found = phone_profiles.of_user(session, whose.id) if whose else phone_profiles.every(session)
        addresses = {book.id: book.address for book in books.all_books(session)}
    rows = [told_of(one, addresses) for one in found]
    if not as_json:
        for row in rows:
            row["books"] = "all" if row["books"] is None else row["books"]
    empty = "There is no phone. Make one: radicale-shared phone add USER LABEL --make MAKE"
    print_rows(rows, _COLUMNS, as_json=as_json, empty=empty)


@phone.command()
@_login_argument
@_label_argument
@click.option("--password-stdin", is_flag=True, help="Take the phone's password from standard input for the lines.")
@json_option
@click.pass_obj
def show(context: Context, login: str, label: str, password_stdin: bool, as_json: bool) -> None:
    """Show what was chosen for the phone LABEL of USER, and the lines for its configuration.

    JSON: label, user, make, books (null: all), sign_in, networks, fields, order, dial, region (where it stands, or else
    the server), own_region, outside_prefix, trunk, max_entries, max_bytes, language, created_at, last_used_at,
    last_address, last_user_agent, url (what stands before all paths), setup (the lines).
    """
    password = password_from_stdin(is_new=False) if password_stdin else ""
    with context.db.read() as session:
        profile = phone_profiles.find(session, person(session, login), label)
        if password:
            device = devices.sign_in(session, profile.device.login, password, secret=context.db.secret)
            if device is None or device.id != profile.device.id:
                raise NotAllowedHereError(f"This is not the password of the phone {profile.device.label!r}.")
    facts = facts_of(context, profile, password)
    if as_json:
        print_json(facts)
        return
    lines = {key: value for key, value in facts.items() if key not in {"setup", "url"}}
    print_facts({**lines, "books": "all" if facts["books"] is None else facts["books"]}, as_json=False)
    print_setup(facts)
    if not password:
        click.echo(_NOT_SHOWN)


@phone.command()
@_login_argument
@_label_argument
@_make_option
@_choice_options
@json_option
@click.pass_obj
def change(context: Context, /, login: str, label: str, as_json: bool, **told: Any) -> None:
    """Choose otherwise for the phone LABEL of USER, from its next request on. Its password and its books stay.

    What isn't given stays as it is; an empty --network, --region, --outside-prefix or --trunk takes away what was
    there. JSON: as 'phone show'.
    """
    with context.db.write() as session:
        whose = person(session, login)
        before = phone_profiles.find(session, whose, label).choices
        profile = phone_profiles.change(session, whose, label, _chosen(before, told), by=changes.command_line())
    facts = facts_of(context, profile, "")
    name = f"The phone {profile.device.label!r} of {profile.device.login}"
    sentences = [f"{name} is served so from now on."]
    if (profile.make, profile.sign_in) != (before.make, before.sign_in):
        again = shlex.join(("radicale-shared", "phone", "show", profile.device.login, profile.device.label))
        sentences.append(f"Its configuration has other lines now; see: {again}")
    tell(facts, *sentences, as_json=as_json)


@phone.command()
@_login_argument
@_label_argument
@click.option("--query", metavar="TEXT", help="As somebody types it on the phone.")
@click.option("--path", metavar="P", help="Another answer of this make; see 'phone makes'.")
@click.option("--parameter", "more", metavar="NAME=VALUE", multiple=True, help="Of the URL. Again: another one.")
@json_option
@click.pass_obj
def preview(
    context: Context, login: str, label: str, query: str | None, path: str | None, more: tuple[str, ...], as_json: bool
) -> None:
    """Print exactly what the phone LABEL of USER would get, and on standard error who is left out, and why.

    Of a personal book that is a deed in its history. JSON: path, status, content_type, headers, bytes, body (as text),
    left_out (a list of reason, contacts, example), hidden (what of its books is hidden from phones: a list of book,
    cards (how many; null: all)).
    """
    profile = _opened(context, login, label, "phone preview")
    made = FORMATS[profile.make]
    parameters = {} if path else dict(made.preview[1])
    if query is not None:
        parameters.update(dict.fromkeys(_SEARCHES, query))
    for one in more:
        name, equals, value = one.partition("=")
        if not equals:
            raise click.UsageError(f"Write --parameter {name}=VALUE.")
        parameters[name] = value
    asked = path or made.preview[0]
    try:
        document, left_out = previewed(context.db, context.settings, profile, asked, parameters)
    except NotFoundError:
        raise NotFoundError("answer", asked, f"Of {profile.make} there are {', '.join(made.answers)}.") from None
    with context.db.read() as session:
        hidden_ones = [(book.address, cards) for book, cards in phone_books.kept_back(session, profile.device)]
    if as_json:
        print_json({"path": asked, **facts_of_answer(document, left_out, hidden_ones)})
        return
    click.echo(document.body, nl=False)
    tell_who_is_left_out(document, left_out, hidden_ones)


@phone.command()
@_login_argument
@_label_argument
@click.argument("number")
@click.option("--format", "form", type=click.Choice(["text", "json", "xml", "gigaset"]), help="Of the answer.")
@json_option
@click.pass_obj
def lookup(context: Context, login: str, label: str, number: str, form: str | None, as_json: bool) -> None:
    """Print whose NUMBER it is that calls the phone LABEL of USER; nothing if nobody's.

    Of a personal book that is a deed in its history. JSON: as a telephone exchange gets it.
    """
    profile = _opened(context, login, label, "phone lookup")
    parameters = {"number": number, "format": "json" if as_json else form or "text"}
    document, _ = previewed(context.db, context.settings, profile, lookups.PATH, parameters)
    told = document.body.decode()
    if told:
        click.echo(safe(told) if parameters["format"] == "text" else told)
    else:
        click.echo("Nobody whom this phone shows has this number.", err=True)


@phone.command()
@_login_argument
@_label_argument
@json_option
@click.pass_obj
def revoke(context: Context, login: str, label: str, as_json: bool) -> None:
    """End the password of the phone LABEL of USER: it is out with its next request. What it has stays on it.

    JSON: as 'phone list', of this one.
    """
    with context.db.write() as session:
        gone = phone_profiles.revoke(session, person(session, login), label, by=changes.command_line())
        addresses = {book.id: book.address for book in books.all_books(session)}
    told = f"The phone {gone.device.label!r} of {gone.device.login} gets nothing any more."
    tell(told_of(gone, addresses), told, as_json=as_json)


@phone.command()
@json_option
def makes(as_json: bool) -> None:
    """List the makes of phones, with the limits that are known of them.

    JSON: a list of make, title, max_entries and max_bytes of one file or page (0: nothing is known), answers (their
    paths), source (by which document the answers were checked).
    """
    rows = [
        {
            "make": one.name,
            "title": one.title,
            "max_entries": one.most_entries,
            "max_bytes": one.most_bytes,
            "answers": list(one.answers),
            "source": one.source,
        }
        for one in FORMATS.values()
    ]
    if as_json:
        print_json(rows)
        return
    for one in FORMATS.values():
        limits = [
            counted(most, what) for most, what in ((one.most_entries, "contact"), (one.most_bytes, "byte")) if most
        ]
        print_wrapped([one.name, one.title, ", ".join(limits)])
        print_wrapped(one.answers, indent=4)


def _opened(context: Context, login: str, label: str, what: str) -> Profile:
    """A phone whose answers are to be shown here; that the personal books among them are read is written down first."""
    with context.db.read() as session:
        profile = phone_profiles.find(session, person(session, login), label)
        if profile.make not in FORMATS:
            raise NotFoundError("make", profile.make, "See: radicale-shared phone makes")
        if people.by_slug(session, profile.device.slug) is None:
            raise NotAllowedHereError(f"{profile.device.login!r} is disabled: no phone of theirs gets anything.")
        shown = [one.book for one in phone_books.readable(session, profile.device) if one.book.card_count]
    for book in shown:
        try:
            read_cards(context, book, what)
        except NotAllowedHereError as error:
            raise NotAllowedHereError(
                f"{error} A phone of some books alone (phone add --book) shows no other."
            ) from None
    return profile

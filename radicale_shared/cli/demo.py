"""``demo``: fill an empty database with a small organisation to try things with."""

from __future__ import annotations

import click

from radicale_shared import changes
from radicale_shared import demo as organisation
from radicale_shared.cli.context import Context, json_option
from radicale_shared.cli.output import print_json, print_table

URL = "http://127.0.0.1:5232"


@click.command()
@json_option
@click.pass_obj
def demo(context: Context, as_json: bool) -> None:
    """Make a demo organisation: users, groups, books and cards. Its passwords are public; never put it on a network.

    Refused in a database that has other users. Again: nothing is changed, the logins are printed.
    JSON: url, made, users (a list of login, password, name, books).
    """
    made = organisation.set_up(context.db_or_new(any_empty=True), changes.command_line())
    if as_json:
        users = [
            {"login": one.login, "password": one.password, "name": one.name, "books": one.books} for one in made.logins
        ]
        print_json({"url": URL, "made": made.made, "users": users})
        return
    print_table(
        ("Login", "Password", "Name", "Books"),
        [(one.login, one.password, one.name, one.books) for one in made.logins],
    )
    click.echo(f"\nThese passwords are public: for trying out only. Serve it: radicale-shared serve, then {URL}")

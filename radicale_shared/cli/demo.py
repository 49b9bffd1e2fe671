"""``demo``: fill an empty database with a small organisation to try things with."""

from __future__ import annotations

from dataclasses import asdict

import click

from radicale_shared import changes
from radicale_shared import demo as organisation
from radicale_shared.cli.context import Context, json_option
from radicale_shared.cli.output import print_json, print_table


@click.command()
@json_option
@click.pass_obj
def demo(context: Context, as_json: bool) -> None:
    """Make a demo organisation: users, groups, books and cards. Its passwords are public; never put it on a network.

    Refused in a database that has other users or groups. Again, in its own: nothing is changed, also no password; the
    logins are printed. JSON: url, made, users (a list of login, password, name, state, books). The password is null
    where it was changed; the URL is that of 'serve' without options.
    """
    made = organisation.set_up(context.db_or_new(any_empty=True), changes.command_line())
    if as_json:
        print_json({"url": _url(context), "made": made.made, "users": [asdict(one) for one in made.logins]})
        return
    print_table(
        ("Login", "Password", "Name", "Books"),
        [
            (
                one.login if one.state == "active" else f"{one.login} ({one.state})",
                one.password or "(changed)",
                one.name,
                one.books,
            )
            for one in made.logins
        ],
    )
    click.echo("\nThese passwords are public: for trying out only.")
    click.echo("Next: radicale-shared serve; it tells its address.")


def _url(context: Context) -> str:
    host, port = (context.settings.hosts or (("127.0.0.1", 5232),))[0]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

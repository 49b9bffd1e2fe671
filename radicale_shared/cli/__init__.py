"""The command line ``radicale-shared``: a contract that others script; one module a group of commands.

Text is for people, ``--json`` for programs. Exit status: 0 done, 1 refused or not found, 2 wrong usage.
A command never migrates the database: only ``db upgrade`` does, and ``serve`` and ``demo`` create an empty one.
"""

from __future__ import annotations

from typing import Any

import click

from radicale_shared import __version__
from radicale_shared.cli import book, db, demo, exchange, grant, group, history, serve, user
from radicale_shared.cli.context import Context
from radicale_shared.errors import SharedBooksError

__all__ = ["main"]


class _Commands(click.Group):
    """All errors of this product end a command with one line and exit status 1, never with a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SharedBooksError as error:
            raise click.ClickException(" ".join(str(error).split())) from error

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # in the order of a day, not of the alphabet
        return list(self.commands)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--config",
    metavar="FILE",
    help="Radicale's configuration file. Without it: RADICALE_CONFIG, then an embedded default under ./var.",
)
@click.version_option(__version__, prog_name="radicale-shared")
@click.pass_context
def main(ctx: click.Context, config: str | None) -> None:
    """Shared address books for organisations, served over CardDAV.

    Books are named OWNER/SLUG, e.g. sales/leads. Exit status of every command: 0 done, 1 refused or not found, 2 wrong
    usage.
    """
    ctx.obj = Context(config)


for _command in (
    serve.serve,
    demo.demo,
    db.db,
    user.user,
    group.group,
    book.book,
    grant.grant,
    exchange.import_,
    exchange.export,
    exchange.import_radicale,
    history.history,
):
    main.add_command(_command)

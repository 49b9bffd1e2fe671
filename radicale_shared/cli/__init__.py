"""The command line ``radicale-shared``: a contract that others script; one module a group of commands.

Text is for people, ``--json`` for programs. Exit status: 0 done, 1 refused or not found, 2 wrong usage.
A command never migrates the database: only ``db upgrade`` does, and ``serve`` and ``demo`` create an empty one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from importlib import import_module
from typing import Any, cast

import click

from radicale_shared import __version__
from radicale_shared.cli.context import Context
from radicale_shared.errors import SharedBooksError, UnavailableError

__all__ = ["main"]

# Where each command is, in the order of a day and not of the alphabet.
_COMMANDS: Mapping[str, str] = {
    "serve": "serve.serve",
    "demo": "demo.demo",
    "ldap": "ldap.ldap",
    "db": "db.db",
    "user": "user.user",
    "group": "group.group",
    "book": "book.book",
    "grant": "grant.grant",
    "device": "device.device",
    "phone": "phone.phone",
    "directory": "directory.directory",
    "import": "exchange.import_",
    "export": "exchange.export",
    "import-radicale": "exchange.import_radicale",
    "history": "history.history",
    "guard": "guard.guard",
    "backup": "backup.backup",
    "verify": "backup.verify",
    "restore": "backup.restore",
    "doctor": "doctor.doctor",
}


class _OnCall(Mapping[str, click.Command]):
    """The commands by their names, each imported when it is asked for.

    The workers of ``serve`` are forked from its process: they would have all commands in their memory, and what these
    print tables with.
    """

    def __getitem__(self, name: str) -> click.Command:
        module, _, variable = _COMMANDS[name].partition(".")
        return cast(click.Command, getattr(import_module(f"{__name__}.{module}"), variable))

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMANDS)

    def __len__(self) -> int:
        return len(_COMMANDS)


class _Commands(click.Group):
    """All errors that can be foreseen end a command with one line, never with a traceback.

    What this product, the database or the system refuses: exit status 1. An argument that is no text: 2.
    """

    def main(self, *args: Any, **extra: Any) -> Any:
        try:
            return super().main(*args, **extra)
        except OSError as error:
            # Standard output that can't be written, as on a full disk; also that of --help.
            _give_up_output()
            click.echo(f"Error: {_sentence_of(error)}", err=True)
            sys.exit(1)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for arg in args:
            try:
                arg.encode()
            except UnicodeEncodeError:
                raise click.UsageError(f"The argument {arg!a} is not UTF-8.", ctx) from None
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SharedBooksError as error:
            message = str(error)
            if isinstance(error, UnavailableError) and isinstance(ctx.obj, Context):
                message = f"{message.strip().rstrip('.')}.{ctx.obj.remedy(message)}"
            raise click.ClickException(" ".join(message.split())) from error
        except UnicodeEncodeError as error:
            raise click.ClickException(
                f"The text has characters that the encoding {error.encoding!r} doesn't have. "
                "A PostgreSQL database needs the encoding UTF8, a terminal a UTF-8 locale (LANG=C.UTF-8)."
            ) from error
        except Exception as error:
            # By its module: who the database's library is, is nobody's business up here.
            if type(error).__module__ != "sqlalchemy.exc":
                raise
            said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0].rstrip(".")
            raise click.ClickException(
                f"The database refused: {said}. Its tables must belong to the user in database_url, its encoding be "
                "UTF8, and its schema be that of 'radicale-shared db upgrade'."
            ) from error

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # in the order of a day, not of the alphabet
        return list(self.commands)


@click.group(
    cls=_Commands,
    commands=cast(MutableMapping[str, click.Command], _OnCall()),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
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


def _sentence_of(error: OSError) -> str:
    if error.filename:
        return f"{str(error.filename)!r}: {error.strerror}."
    return f"The output can't be written: {error.strerror or error}."


def _give_up_output() -> None:
    """Let what is still buffered go nowhere: Python would try once more at its end, and fail with noise."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

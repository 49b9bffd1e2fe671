"""``doctor``: whether all is well, and what to do where it isn't."""

from __future__ import annotations

from datetime import timedelta

import click

from radicale_shared import health
from radicale_shared.cli.context import Context, json_option
from radicale_shared.cli.output import print_json, safe
from radicale_shared.health import State

_SIGNS = {State.OK: "ok  ", State.WARN: "warn", State.BAD: "BAD "}


@click.command()
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Say whether all is well: database, entries, backups, undos, guard, notices, directories, retention, disk.

    One line a check, and below it what to do where something is wrong. Changes nothing.

    JSON: a list of check, state (ok, warn, bad), told, remedy. Exit status: 0 nothing is bad, 1 something is.
    """
    context: Context = ctx.obj
    settings = context.settings
    found = list(
        health.findings(
            context.unchecked,
            backup_age=timedelta(hours=settings.file.backup.warn_hours),
            directories=[one.name for one in settings.file.directories],
        )
    )
    if as_json:
        print_json([{"check": one.check, "state": one.state, "told": one.told, "remedy": one.remedy} for one in found])
    else:
        width = max(len(one.check) for one in found)
        for one in found:
            click.echo(safe(f"{_SIGNS[one.state]}  {one.check:<{width}}  {one.told}"))
            if one.remedy and one.state != State.OK:
                click.echo(safe(f"      {'':<{width}}  {one.remedy}"))
    if any(one.state == State.BAD for one in found):
        ctx.exit(1)

"""``serve``: run the server."""

from __future__ import annotations

import click

from radicale_shared import server
from radicale_shared.cli.context import Context


@click.command()
@click.option("--host", metavar="H", help="Address to listen on. Without: that of [server] hosts.")
@click.option("--port", metavar="P", type=click.IntRange(1, 65535), help="Port. Without: that of [server] hosts.")
@click.option(
    "--workers", metavar="N", type=click.IntRange(min=1), help=f"How many processes serve. Without: {server.WORKERS}."
)
@click.pass_obj
def serve(context: Context, host: str | None, port: int | None, workers: int | None) -> None:
    """Serve the address books until stopped.

    The embedded database under ./var is created where it is missing; any other must be there: see 'db upgrade'.
    """
    server.serve(context.config, host, port, workers)

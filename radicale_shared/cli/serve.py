"""``serve``: run the server."""

from __future__ import annotations

import click

from radicale_shared import server
from radicale_shared.cli.context import Context


@click.command()
@click.option("--host", help="Address to listen on. Without: [server] hosts.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on. Without: [server] hosts.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes. Without: chosen by the machine.")
@click.pass_obj
def serve(context: Context, host: str | None, port: int | None, workers: int | None) -> None:
    """Serve the address books until stopped.

    The embedded database under ./var is created where it is missing; any other has to be there: see 'db upgrade'.
    """
    context.db_or_new().close()
    server.serve(context.config, host, port, workers)

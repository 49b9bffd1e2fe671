"""``ldap``: run the LDAP view alone."""

from __future__ import annotations

import click

from radicale_shared import server
from radicale_shared.cli.context import Context

_PORT = click.IntRange(0, 65535)


@click.command()
@click.option("--host", metavar="H", help="Address to listen on. Without: that of [ldap_server].")
@click.option("--port", metavar="P", type=_PORT, help="Port without TLS from the beginning; 0: none.")
@click.option("--tls-port", metavar="P", type=_PORT, help="Port with TLS from the beginning; 0: none.")
@click.pass_obj
def ldap(context: Context, host: str | None, port: int | None, tls_port: int | None) -> None:
    """Answer LDAP from the address books until stopped; nothing can be written by it.

    'serve' does so too where [ldap_server] of the settings has a port: this is for another machine, or a plain
    Radicale. The ports are those of [ldap_server], unless they are given here. People sign in with their own passwords
    or those of their devices.
    """
    server.serve_ldap(context.config, host, port, tls_port)

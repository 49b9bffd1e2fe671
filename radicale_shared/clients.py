"""Which vCard version each client writes: what it is given where it asks for none.

A client is a principal and the kind of program it uses (``changes.client_of``). ``access.find`` reads the version with
the rights, in ``Access.wrote``.
"""

from __future__ import annotations

from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from .access import Access
from .models import ClientVersion, table

# Per person; whoever invents clients, which costs no more than a User-Agent, is given the default again.
MOST_CLIENTS = 100

# Both databases know this form; two of a person's programs may write at the same moment.
_WROTE = text(
    "INSERT INTO client_versions (principal_id, client, version) VALUES (:principal, :client, :version)"
    " ON CONFLICT (principal_id, client) DO UPDATE SET version = excluded.version"
)


def wrote(session: Session, access: Access, client: str, version: str) -> None:
    """Note that a client wrote a card of ``version``; nothing to do where that is known."""
    if access.principal_id is None or access.wrote == version:
        return
    columns = table(ClientVersion).c
    mine = columns.principal_id == access.principal_id
    if not access.wrote and (session.scalar(select(func.count()).where(mine)) or 0) >= MOST_CLIENTS:
        session.execute(delete(table(ClientVersion)).where(mine))
    session.execute(_WROTE, {"principal": access.principal_id, "client": client, "version": version})

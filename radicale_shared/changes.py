"""Writing down what is done: acts (one deed) and changes (what it did to one card).

Every write to a book raises its revision by one and leaves one Change with that revision, in the same transaction. What
a client gets from the last revision on is ``sync``'s, which never reads the history; people read it by ``history``.
"""

from __future__ import annotations

import getpass
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import insert
from sqlalchemy.orm import Session

from . import vcard
from .models import Act, Change, now, table
from .statements import Statement


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does a deed, by which device.

    principal_id: None where no user stands behind it (the command line)
    name: the login, or the command line's operating system user
    device: which client, as far as it can be told; see ``client_of``
    """

    principal_id: int | None
    name: str
    device: str = ""
    user_agent: str = ""
    address: str = ""


# How many lines that a write overwrote are noted beside its change, for people to read. All of it is in the bytes
# before, after and received.
_MOST_NOTED = 100
_COMMENT = re.compile(r"\([^()]*\)")
_COMMON = frozenset({"Mozilla", "Gecko", "AppleWebKit"})
_ACT = Statement(
    insert(table(Act)).returning(table(Act).c.id),
    *("kind", "book_id", "actor_id", "actor", "device", "user_agent", "address", "reason", "at"),
)
_CHANGE = Statement(
    insert(table(Change)).inline(),
    *("act_id", "book_id", "card_id", "revision", "before_id", "after_id", "received_id", "conflicts"),
)


def command_line() -> Actor:
    """The administrator who typed a command."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return Actor(None, f"{user} (command line)", device="command line")


def client_of(user_agent: str) -> str:
    """What tells one kind of client from another: its User-Agent without digits, so that an update keeps it.

    Two devices of one person with the same software count as one.
    """
    return " ".join("".join(char for char in user_agent if not char.isdigit()).split())[:200] or "unknown client"


def device_of(actor: str, device: str, user_agent: str) -> str:
    """The programs that the User-Agent names, e.g. ``DAVx5/4.3.14 Android/14``; empty where the actor says it already.

    A device that has a password of its own is told by its label first. Comments, and the words that browsers have in
    common, tell nothing (RFC 9110, section 10.1.5). Without a User-Agent it is the client, without what is left of its
    version (``curl/..``).
    """
    words = _COMMENT.sub(" ", user_agent).split()
    plain = " ".join(word for word in words if word.partition("/")[0] not in _COMMON)
    if not plain:
        plain = " ".join(filter(None, (word.partition("/")[0].strip(".;,") for word in device.split())))
    if user_agent and device != client_of(user_agent):
        return f"{device} ({plain})" if plain else device
    return "" if plain and plain in actor else plain


def begin(session: Session, kind: str, by: Actor, *, book_id: int | None, reason: str = "") -> int:
    """Write down an act and return its id; its changes follow by ``record``."""
    act_id: int = _ACT.value(
        session,
        kind=kind,
        book_id=book_id,
        actor_id=by.principal_id,
        actor=by.name[:320],
        device=by.device[:200],
        user_agent=by.user_agent[:500],
        address=by.address[:45],
        reason=reason,
        at=now(),
    )
    return act_id


def record(
    session: Session,
    act_id: int,
    *,
    book_id: int,
    card_id: int,
    revision: int,
    before_id: int | None,
    after_id: int | None,
    received_id: int | None = None,
    conflicts: Sequence[vcard.Conflict] = (),
) -> None:
    """Write down what an act did to one card; the bytes before and after are rows of ``bodies``.

    received_id: the bytes that were sent, where others were stored
    conflicts: what of the stored card the sent one overwrote, though its sender had never seen it
    """
    lost = [asdict(one.short()) for one in conflicts[:_MOST_NOTED]]
    _CHANGE.run(
        session,
        act_id=act_id,
        book_id=book_id,
        card_id=card_id,
        revision=revision,
        before_id=before_id,
        after_id=after_id,
        received_id=received_id,
        conflicts=json.dumps(lost, ensure_ascii=False) if lost else None,
    )

"""What somebody is to be told outside of here: a row for each who is told, until it is sent or was tried long enough.

A notice is written in the transaction of what it tells of, so that none is lost and none is of what never was. Sending
is ``telling``'s, by whoever ``claim``s a notice: its next try is put off first, so that two who send at once, or one
who dies meanwhile, tell nobody twice but for what a crash between sending and ``sent`` makes unavoidable.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.orm import Session

from .models import Notice as NoticeTable
from .models import now, table

MAIL = "mail"
WEBHOOK = "webhook"
TRIED_FOR = timedelta(days=3)
# How long who claimed a notice has for sending it, before another one tries.
_CLAIMED_FOR = timedelta(minutes=5)
_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=2)
_MOST_FAILURE = 500
# Of one event: whoever gives a thousand people the role of a manager doesn't make a thousand mails.
MOST_RECIPIENTS = 50


@dataclass(frozen=True, slots=True)
class Channels:
    """By which ways notices go, and to whom.

    mail: whether mail can be sent at all
    mail_to: who is told of everything
    managers: whether those who manage a book are told of it
    webhook: whether there is one
    """

    mail: bool = False
    mail_to: tuple[str, ...] = ()
    managers: bool = True
    webhook: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice for one recipient.

    recipient: an e-mail address; empty for the webhook
    subject, text: for people
    facts: for programs
    """

    id: int
    channel: str
    recipient: str
    subject: str
    text: str
    facts: Mapping[str, Any]
    made_at: datetime
    tries: int


@dataclass(frozen=True, slots=True)
class Failing:
    """A notice that could not be sent so far, or ever. ``next_at``: None: it was given up."""

    channel: str
    recipient: str
    made_at: datetime
    next_at: datetime | None
    tries: int
    failure: str


_columns = table(NoticeTable).c
_DUE = (
    select(_columns.id)
    .where(_columns.next_at <= bindparam("at"))
    .order_by(_columns.next_at, _columns.id)
    .limit(bindparam("most"))
)


def add(
    session: Session,
    channels: Channels,
    subject: str,
    text: str,
    facts: Mapping[str, Any],
    addresses: Iterable[str] = (),
) -> int:
    """Write notices down for all who are to be told, and return how many.

    facts: what JSON has words for
    addresses: of those who are told of this besides ``channels.mail_to``
    """
    content = json.dumps({"subject": subject, "text": text, "facts": dict(facts)}, ensure_ascii=False)
    recipients = [(WEBHOOK, "")] if channels.webhook else []
    if channels.mail:
        told = {one.casefold(): one for one in reversed([*channels.mail_to, *addresses]) if one}
        recipients += [(MAIL, one) for one in list(reversed(told.values()))[:MOST_RECIPIENTS]]
    at = now()
    rows = [
        {
            "channel": channel,
            "recipient": recipient,
            "content": content,
            "made_at": at,
            "next_at": at,
            "tries": 0,
            "failure": "",
        }
        for channel, recipient in recipients
    ]
    if rows:
        session.execute(insert(table(NoticeTable)), rows)
    return len(rows)


def claim(session: Session, *, at: datetime | None = None) -> Notice | None:
    """The notice that is due longest, which nobody else sends for some minutes now; None: nothing is due."""
    at = at or now()
    for notice_id in session.scalars(_DUE, {"at": at, "most": 10}).all():
        mine = update(table(NoticeTable)).where(_columns.id == notice_id, _columns.next_at <= at)
        claimed = session.execute(mine.values(next_at=at + _CLAIMED_FOR, tries=_columns.tries + 1))
        if claimed.rowcount:  # type: ignore[attr-defined]  # an UPDATE's result is a CursorResult
            row = session.execute(select(table(NoticeTable)).where(_columns.id == notice_id)).one()
            content = json.loads(row.content)
            return Notice(
                row.id,
                row.channel,
                row.recipient,
                content["subject"],
                content["text"],
                content["facts"],
                row.made_at,
                row.tries,
            )
    return None


def is_due(session: Session) -> bool:
    """Whether there is something to send."""
    return session.scalars(_DUE, {"at": now(), "most": 1}).first() is not None


def sent(session: Session, notice: Notice) -> None:
    """Forget a notice that reached its recipient."""
    session.execute(delete(table(NoticeTable)).where(_columns.id == notice.id))


def failed(session: Session, notice: Notice, failure: str, *, for_good: bool = False) -> bool:
    """Note why a notice could not be sent, and when it is tried again; False where it is given up.

    failure: a sentence for administrators, without a password
    for_good: to try again is in vain
    """
    at = now()
    pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(notice.tries - 1, 20))
    gives_up = for_good or at + pause > notice.made_at + TRIED_FOR
    session.execute(
        update(table(NoticeTable))
        .where(_columns.id == notice.id)
        .values(next_at=None if gives_up else at + pause, failure=failure[:_MOST_FAILURE])
    )
    return not gives_up


def failing(session: Session) -> list[Failing]:
    """The notices that were tried in vain, the oldest first; those that were given up among them."""
    query = (
        select(
            _columns.channel, _columns.recipient, _columns.made_at, _columns.next_at, _columns.tries, _columns.failure
        )
        .where(_columns.failure != "")
        .order_by(_columns.id)
    )
    return [Failing(*row) for row in session.execute(query)]


def waiting(session: Session) -> int:
    """How many notices are to be sent, now or later."""
    return session.scalar(select(func.count()).where(_columns.next_at.is_not(None))) or 0


def forget_given_up(session: Session, before: datetime) -> None:
    """Forget what was given up, and made before a moment."""
    session.execute(delete(table(NoticeTable)).where(_columns.next_at.is_(None), _columns.made_at < before))

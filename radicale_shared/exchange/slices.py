"""The cards of an import as one act, slice by slice (``radicale_shared.slices``).

A slice that was committed stays, whatever happens to the next one; a dry run takes back each slice after doing all of
its work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from radicale_shared import blocks, cards, changes, guard, slices
from radicale_shared.access import Access
from radicale_shared.cards import Checked
from radicale_shared.changes import Actor
from radicale_shared.database import Database
from radicale_shared.errors import GuardedError, NotAVCardError
from radicale_shared.exchange.report import Outcome, Remark, Report, name_in
from radicale_shared.guard import Policy
from radicale_shared.vcard import Card, build_line

_MOST_REASON = 2000
GIVEN_UID = "it had no UID and was given one"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A card that may be stored, and where it comes from: the ``card``-th of ``file``.

    href: its name inside the book; empty if it is to be made from the UID
    mended: what was altered so that it may be stored
    """

    file: str
    card: int
    content: Checked
    href: str = ""
    mended: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One import into one book.

    open: finds the book anew in each slice's transaction, or makes it
    book_id: whose writers' queue to join; 0 for a book that is not there yet
    policy: of the guard; None: cards may be emptied, however many
    """

    db: Database
    by: Actor
    kind: str
    reason: str
    open: Callable[[Session], Access]
    book_id: int
    dry_run: bool
    max_size: int
    policy: Policy | None = guard.DEFAULT


_WRITTEN = frozenset({Outcome.ADDED, Outcome.UPDATED})
Store = Callable[[Session, Access, int, Incoming], Outcome | Remark]


def write(job: Job, incoming: Iterable[Incoming], store: Store, report: Report) -> None:
    """Store everything of ``incoming``, slice by slice; ``report`` counts what is committed.

    store: (session, access, act id, card) -> what came of it; a Remark says why it was refused

    Raises what the database raises: committed slices stay, and importing again goes on where it stopped. Likewise
    GuardedError, where the import would empty more cards than the guard lets through.
    """
    act_id: int | None = None
    stopped: GuardedError | None = None
    for ahead in slices.read_ahead(incoming, lambda one: len(one.content.data)):
        while ahead:
            outcomes: list[Outcome | Remark] = []
            mended: list[Remark] = []
            with job.db.write(job.book_id) as session:
                access = job.open(session)
                slice_act = act_id or changes.begin(
                    session, job.kind, job.by, book_id=access.book.id, reason=job.reason[:_MOST_REASON]
                )
                for one in slices.taken(ahead):
                    try:
                        outcomes.append(store(session, access, slice_act, one))
                    except GuardedError as error:
                        stopped = error  # what was done before is within the limit, and stays
                        break
                    if one.mended and outcomes[-1] in _WRITTEN:
                        name = name_in(one.content.data)
                        mended += [Remark(one.file, one.card, name, what) for what in one.mended]
                wrote = any(outcome in _WRITTEN for outcome in outcomes)
                if job.dry_run or not wrote:
                    # An act that did nothing leaves no trace.
                    session.rollback()
            if wrote and not job.dry_run:
                act_id = slice_act
            report.mended += mended
            for outcome in outcomes:
                if isinstance(outcome, Remark):
                    report.refused.append(outcome)
                else:
                    report.count(outcome)
            if stopped is not None:
                if not job.dry_run:
                    blocks.record(job.db, stopped)
                raise stopped
            slices.pause()


def put(session: Session, access: Access, act_id: int, job: Job, href: str, card: Checked) -> Outcome:
    """Store one card at ``href``; raises as ``cards.put``."""
    written = cards.put(session, access, href, card, secret=job.db.secret, by=job.by, act_id=act_id, policy=job.policy)
    if not written.revision:
        return Outcome.UNCHANGED
    return Outcome.ADDED if written.created else Outcome.UPDATED


def prepared(
    file: str, card: int, data: bytes, uid_for: Callable[[bytes], str], report: Report, *, max_size: int, href: str = ""
) -> Incoming | None:
    """``data`` as a card that may be stored; None if it was refused, which ``report`` then tells.

    Bytes stay as they are but for two things without which a card can't be stored, both told once it is: lines whose
    folds cut a UTF-8 character are folded anew, and a card without UID gets one.

    uid_for: the UID for the bytes of a card that has none
    """
    try:
        if len(data) <= max_size:  # else check refuses it, unread
            data, done = _mended(data, uid_for)
        else:
            done = []
        found = cards.check(data, max_size)
    except NotAVCardError as error:
        report.refused.append(Remark(file, card, name_in(data), error.reason))
        return None
    return Incoming(file, card, found, href, tuple(done))


def _mended(data: bytes, uid_for: Callable[[bytes], str]) -> tuple[bytes, list[str]]:
    done = []
    card = whole = Card.parse(data)
    try:
        data.decode()
    except UnicodeDecodeError:
        whole = card.with_whole_characters()
        if whole.serialise() != data:
            done.append("lines whose folds cut a character were folded anew")
    if not whole.uid and len(whole.all("UID")) <= 1:
        value = uid_for(data)
        if whole.version == "4.0":
            value = f"urn:uuid:{value}"
        empty = whole.first("UID")
        try:
            if empty is not None:
                whole = whole.replace_value(empty, value)
            else:
                whole = whole.append(build_line("UID", value, eol=whole.eol))
        except ValueError as error:
            raise NotAVCardError("The vCard has no UID, and none can be added to it.") from error
        done.append(GIVEN_UID)
    return whole.serialise(), done

"""The sync-collection report and the sync-token property (RFC 6578); getctag is the same string.

Refused writes are remembered here for the client that made them, and reported at its next sync.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy.orm import Session

from .. import cards, refusals
from .. import sync as core
from ..access import Access
from ..cards import Stored, shown_etag
from ..errors import NotAllowedHereError, NotAVCardError, RefusedError, UnknownSyncTokenError
from ..models import AnyRow
from ..refusals import Refused
from . import properties, xml
from .http import XML_TYPE, Answer, BadRequestError, InsufficientStorageError, Request, encoded, number
from .properties import Wanted, live
from .resources import BookResource, CardResource, Resource, book_url, card_url


def sync_collection(request: Request, root: ET.Element, access: Access) -> Answer:
    """RFC 6578, section 3.2. Depth is not looked at: clients send 0, 1 or nothing, and there is only one level."""
    level = (root.findtext(xml.dav("sync-level")) or "1").strip()
    if level not in {"1", "infinite"}:
        raise BadRequestError("DAV:sync-level is 1 or infinite.")
    old = (root.findtext(xml.dav("sync-token")) or "").strip()
    asked = properties.wanted_of_report(root)
    limit = _limit(root)
    secret = request.db.secret
    new = core.token(access, secret)
    rows: Sequence[AnyRow] = ()
    missing: Sequence[str] = ()
    known = refusals.NOTHING
    if old != new:
        if core.is_rollback(access, old, secret):
            with request.db.write(access.book.id) as session:
                core.rotate(session, access)
            raise UnknownSyncTokenError(old, f"the book is at revision {access.book.revision}: it was rolled back")
        with request.db.read() as session:
            known = refused(session, request, access)
            rows, missing = core.changed_since(session, access, old, known, secret=secret)
    if limit is not None and len(rows) + len(missing) > limit:
        raise InsufficientStorageError("<number-of-matches-within-limits/>", "There are more changes than this limit.")
    token = f"<sync-token>{xml.escape(new)}</sync-token>"
    responses = _responses(request, access, rows, missing, known, asked)
    body: Iterable[bytes] = xml.multistatus(responses, token)
    return Answer(207, (("Content-Type", XML_TYPE),), body if asked.needs_data or asked.needs_details else list(body))


def _limit(root: ET.Element) -> int | None:
    text = root.findtext(f"{xml.dav('limit')}/{xml.dav('nresults')}")
    if text is None:
        return None
    limit = number(text.strip())
    if limit is None:
        raise BadRequestError("DAV:nresults is a number.")
    return limit


def _responses(
    request: Request,
    access: Access,
    rows: Sequence[AnyRow],
    missing: Sequence[str],
    known: Refused,
    asked: Wanted,
) -> Iterator[str]:
    base = book_url(request, access)
    live_hrefs = []
    for href, etag, deleted in rows:
        if deleted:
            yield xml.not_found(base + encoded(href))
        elif asked.needs_data or asked.needs_details:
            live_hrefs.append(href)
        else:
            resource = CardResource(base + encoded(href), access, href, shown_etag(etag, access.view, known.mark(href)))
            yield xml.response(resource.url, properties.propstat(request, resource, asked))
    for href in missing:
        yield xml.not_found(base + encoded(href))
    for resource in with_data(request, access, live_hrefs, known):
        yield xml.response(resource.url, properties.propstat(request, resource, asked))


def with_data(request: Request, access: Access, hrefs: Sequence[str], known: Refused) -> Iterator[CardResource]:
    """The live ones of these cards with their bytes, a batch at a time: bounded memory, no connection kept between."""
    for stored in stored_cards(request, access, hrefs):
        yield CardResource(
            card_url(request, access, stored.href),
            access,
            stored.href,
            shown_etag(stored.etag, access.view, known.mark(stored.href)),
            stored.size,
            stored.modified_at,
            stored.data,
        )


def stored_cards(request: Request, access: Access, hrefs: Sequence[str]) -> Iterator[Stored]:
    """The live ones of these cards, read a few at a time while they are asked for."""
    for start in range(0, len(hrefs), cards.BATCH):
        with request.db.read() as session:
            pieces = cards.batches(session, access.book.id, hrefs[start : start + cards.BATCH])
        for piece in pieces:
            with request.db.read() as session:
                found = list(cards.get_many(session, access.book.id, piece)) if piece else []
            yield from found


def refused(session: Session, request: Request, access: Access) -> Refused:
    """What was refused to this client in a book; no query where nothing was."""
    return core.refused_writes(session, access, request.client)


@contextmanager
def refusals_remembered(request: Request, access: Access, href: str) -> Iterator[None]:
    """Remember a write that is refused inside the block, so that this client's next sync takes it back.

    Failed conditions too: the ETag that the client named may be one of an older refusal, and the card as it was.
    """
    try:
        yield
    except (RefusedError, NotAVCardError, NotAllowedHereError):
        try:
            cards.check_href(href)
        except NotAllowedHereError:
            pass
        else:
            if access.principal_id is not None:
                with request.db.write(access.book.id) as session:
                    refusals.remember(session, access.principal_id, request.client, access.book.id, href)
        raise


@live(xml.dav("sync-token"))
def sync_token(request: Request, resource: Resource) -> str | None:
    """RFC 6578, section 4."""
    return xml.escape(core.token(resource.access, request.db.secret)) if isinstance(resource, BookResource) else None


@live(f"{{{xml.CALENDARSERVER}}}getctag")
def getctag(request: Request, resource: Resource) -> str | None:
    """CalendarServer's; without it macOS asks for no cards, and KDE polls by it alone."""
    return xml.escape(core.token(resource.access, request.db.secret)) if isinstance(resource, BookResource) else None

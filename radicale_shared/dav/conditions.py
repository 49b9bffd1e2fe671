"""Conditions of GET and HEAD, of a method on a whole book, and all dates in conditions (RFC 9110, section 13).

The ETags that a write of a card names are compared inside its transaction, by ``cards``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from sqlalchemy.orm import Session

from .. import books, reading
from ..access import Access, Verb
from ..errors import PreconditionFailedError
from .http import Request, etags

_LONGEST_DATE = 100


def require(request: Request, etag: str = "", modified_at: datetime | None = None) -> None:
    """Raise PreconditionFailedError unless the conditions of a request hold, in the order of section 13.2.2.

    etag: the resource's, without quotes; empty for one that has none, which no ETag names
    modified_at: when it changed last, if that is known
    """
    known = _known(etag)
    match = etags(request.header("If-Match"))
    if match is not None:
        is_met = not known.isdisjoint(match)
    else:
        is_met = _is_unchanged_since(modified_at, request.header("If-Unmodified-Since")) is not False
    if is_met and not _is_read(request):
        is_met = known.isdisjoint(etags(request.header("If-None-Match"), weak=True) or ())
    if not is_met:
        raise PreconditionFailedError(request.segments[-1] if request.segments else "/")


def is_unchanged(request: Request, etag: str = "", modified_at: datetime | None = None) -> bool:
    """Whether a GET or HEAD is answered with 304, as the client has what it asks for; see ``require``.

    Dates are whole seconds: a second change within one goes unseen. So they count only where no ETag is named.

    Raises PreconditionFailedError.
    """
    require(request, etag, modified_at)
    none_match = etags(request.header("If-None-Match"), weak=True)
    if none_match is not None:
        return not _known(etag).isdisjoint(none_match)
    return _is_unchanged_since(modified_at, request.header("If-Modified-Since")) is True


def require_unchanged_since(session: Session, request: Request, access: Access, href: str, verb: Verb) -> None:
    """Raise PreconditionFailedError if a card that is to be written changed after If-Unmodified-Since (section 13.1.4).

    The session must be the write's: the book's lock is taken, so that nobody comes between. Costs nothing without the
    header.

    verb: the right that the write needs; without it, that is what the client is told, whatever the date
    """
    header = request.header("If-Unmodified-Since")
    if http_date(header) is None or request.header("If-Match") is not None:
        return
    books.lock(session, access.book.id)
    stored = reading.get(session, access, href)
    if stored is not None:
        access.require(verb, href)
        if not _is_unchanged_since(stored.modified_at, header):
            raise PreconditionFailedError(href)


def _is_read(request: Request) -> bool:
    return request.method in {"GET", "HEAD"}


def _known(etag: str) -> set[str]:
    return {"*", etag} if etag else {"*"}


def _is_unchanged_since(modified_at: datetime | None, header: str | None) -> bool | None:
    """Whether nothing changed after the date of a header; None where there is no date to compare."""
    since = http_date(header)
    if since is None or modified_at is None:
        return None
    return modified_at.replace(microsecond=0) <= since


def http_date(text: str | None) -> datetime | None:
    """The moment of a date in any of the three forms of RFC 9110, section 5.6.7; None for anything else."""
    if not text or len(text) > _LONGEST_DATE:
        return None
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)

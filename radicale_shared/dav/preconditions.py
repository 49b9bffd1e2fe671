"""The one table from the core's errors to answers, each with its precondition element (RFC 4918, section 16)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from .. import reasons
from ..access import Verb
from ..errors import (
    AlreadyExistsError,
    BusyError,
    DirectoryUnavailableError,
    GuardedError,
    NeedPrivilegeError,
    NotAllowedHereError,
    NotAVCardError,
    NotFoundError,
    OverQuotaError,
    PreconditionFailedError,
    RefusedError,
    SharedBooksError,
    TooLargeError,
    TooManyAttemptsError,
    TooManyPropertiesError,
    UidConflictError,
    UnavailableError,
    UnknownSyncTokenError,
    UnsupportedVersionError,
)
from ..principals import Findable
from . import xml
from .http import XML_TYPE, Answer, Headers, HTTPError, Request
from .resources import BookResource

# The core's refusals of a write; what else goes wrong with one is no reason to pretend to Thunderbird that it was done.
_REFUSALS = (RefusedError, NotAVCardError, NotAllowedHereError)

_log = logging.getLogger(__name__)

# The privilege whose lack a client is told (RFC 3744, section 3 and appendix B), and on what: the card or its book.
_PRIVILEGES: dict[str, tuple[str, bool]] = {
    Verb.READ: ("read", True),
    Verb.ADD: ("bind", False),
    Verb.EDIT: ("write-content", True),
    Verb.DELETE: ("unbind", False),
    Verb.EXPORT: ("read", False),
    Verb.MANAGE: ("write-acl", False),
    Verb.OWN: ("write-properties", False),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What a client is told about an error: ``condition`` is XML, ``description`` for people."""

    status: int
    condition: str = ""
    description: str = ""
    headers: Headers = ()


def answer(error: SharedBooksError, request: Request, book_of: Callable[[Request], BookResource | None]) -> Answer:
    """What a client is told about an error of the core or of this package.

    book_of: finds the book it is about, for the answers that name it
    """
    told = _problem(error, request, book_of)
    if request.method == "PUT" and request.is_thunderbird and isinstance(error, _REFUSALS):
        return _refused_in_multistatus(request, told)
    body = xml.error_body(told.condition, told.description)
    return Answer(told.status, (("Content-Type", XML_TYPE), *told.headers), body)


def _refused_in_multistatus(request: Request, told: Problem) -> Answer:
    """A refused PUT as 207 with the refusal inside, which Thunderbird needs.

    It repeats a write that had waited for the network before each sync, and gives the sync up at any answer of 400 or
    more: the whole book would never be synced again. A 207 it counts as done, asks for the card, and is healed.
    """
    inside = xml.refused(request.url(*request.segments), told.status, told.condition, told.description)
    return Answer(207, (("Content-Type", XML_TYPE), *told.headers), list(xml.multistatus([inside])))


def _problem(error: SharedBooksError, request: Request, book_of: Callable[[Request], BookResource | None]) -> Problem:
    match error:
        case HTTPError():
            return Problem(error.status, error.condition, error.description, error.headers)
        case GuardedError():
            return need_privileges(request, book_of(request), error.verb, error.href, error.told)
        case NeedPrivilegeError():
            return need_privileges(request, book_of(request), error.verb, error.href)
        case UidConflictError():
            url = _url(request, book_of(request), error.href)
            return Problem(409, f"<C:no-uid-conflict>{xml.href(url)}</C:no-uid-conflict>", "This UID is in use here.")
        case UnsupportedVersionError():
            return Problem(403, "<C:supported-address-data/>", str(error))
        case TooLargeError():
            return Problem(403, "<C:max-resource-size/>", str(error))
        case NotAVCardError():
            return Problem(403, "<C:valid-address-data/>", str(error))
        case PreconditionFailedError():
            return Problem(412, "", str(error))
        case OverQuotaError() | TooManyPropertiesError():
            return Problem(507, "<quota-not-exceeded/>", str(error))
        case UnknownSyncTokenError():
            # Thunderbird never syncs a book again after a 403 here, but starts over on 400; all others want the 403.
            return Problem(400 if request.is_thunderbird else 403, "<valid-sync-token/>")
        case NotFoundError():
            return Problem(404, "", "There is nothing at this address.")
        case AlreadyExistsError():
            return Problem(409, "", str(error))
        case NotAllowedHereError():
            return Problem(403, "", str(error))
        case BusyError():
            return Problem(503, "", str(error), (("Retry-After", str(error.retry_after)),))
        case DirectoryUnavailableError():
            told = "The organisation's directory can't be asked just now; try again later."
            return Problem(503, "", told, (("Retry-After", str(error.retry_after)),))
        case TooManyAttemptsError():  # RFC 6585, section 4
            return Problem(429, "", str(error), (("Retry-After", str(error.retry_after)),))
        case UnavailableError():
            _log.error("%s", error)
            return Problem(503, "", "The database can't be reached; try again later.", (("Retry-After", "30"),))
    raise error


def need_privileges(request: Request, book: BookResource | None, verb: str, href: str, words: str = "") -> Problem:
    """403 with DAV:need-privileges (RFC 3744, section 7.1.1): the one answer to a denied write.

    DAVx5 passes over such a write; any other 403 would stop its sync for good.

    words: why, for people; without, they are told what they may do, and whom they may ask
    """
    privilege, on_card = _PRIVILEGES[verb]
    url = _url(request, book, href if on_card else "")
    if book is not None and not words:
        with request.reading() as session:
            words = reasons.refusal(session, book.access, Verb(verb), findable=Findable(request.settings.find_people))
    return Problem(
        403,
        f"<need-privileges><resource>{xml.href(url)}<privilege><{privilege}/></privilege></resource></need-privileges>",
        words,
    )


def _url(request: Request, book: BookResource | None, href: str) -> str:
    if book is None:
        return request.url(*request.segments)
    return book.card_url(href) if href else book.url

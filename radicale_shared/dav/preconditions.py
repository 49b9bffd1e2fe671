"""The one table from the core's errors to answers, each with its precondition element (RFC 4918, section 16)."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..access import Access, Verb
from ..errors import (
    AlreadyExistsError,
    BusyError,
    NeedPrivilegeError,
    NotAllowedHereError,
    NotAVCardError,
    NotFoundError,
    PreconditionFailedError,
    SharedBooksError,
    TooLargeError,
    UidConflictError,
    UnavailableError,
    UnknownSyncTokenError,
    UnsupportedVersionError,
)
from . import xml
from .http import XML_TYPE, Answer, HTTPError, Request

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


def answer(error: SharedBooksError, request: Request, book_of: Callable[[Request], Access | None]) -> Answer:
    """What a client is told about an error of the core or of this package.

    book_of: finds the book it is about, for the answers that name it
    """
    match error:
        case HTTPError():
            return _xml(error.status, error.condition, error.description, *error.headers)
        case NeedPrivilegeError():
            return need_privileges(request, book_of(request), error.verb, error.href)
        case UidConflictError():
            url = _url(request, book_of(request), error.href)
            return _xml(409, f"<C:no-uid-conflict>{xml.href(url)}</C:no-uid-conflict>", "This UID is in use here.")
        case UnsupportedVersionError():
            return _xml(403, "<C:supported-address-data/>", str(error))
        case TooLargeError():
            return _xml(403, "<C:max-resource-size/>", str(error))
        case NotAVCardError():
            return _xml(403, "<C:valid-address-data/>", str(error))
        case PreconditionFailedError():
            return _xml(412, "", str(error))
        case UnknownSyncTokenError():
            # Thunderbird never syncs a book again after a 403 here, but starts over on 400; all others want the 403.
            return _xml(400 if "Thunderbird" in request.user_agent else 403, "<valid-sync-token/>")
        case NotFoundError():
            return _xml(404, "", "There is nothing at this address.")
        case AlreadyExistsError():
            return _xml(409, "", str(error))
        case NotAllowedHereError():
            return _xml(403, "", str(error))
        case BusyError():
            return _xml(503, "", str(error), ("Retry-After", str(error.retry_after)))
        case UnavailableError():
            _log.error("%s", error)
            return _xml(503, "", "The database can't be reached; try again later.", ("Retry-After", "30"))
    raise error


def need_privileges(request: Request, access: Access | None, verb: str, href: str) -> Answer:
    """403 with DAV:need-privileges (RFC 3744, section 7.1.1): the one answer to a denied write.

    DAVx5 passes over such a write; any other 403 would stop its sync for good.
    """
    privilege, on_card = _PRIVILEGES[verb]
    url = _url(request, access, href if on_card else "")
    return _xml(
        403,
        f"<need-privileges><resource>{xml.href(url)}<privilege><{privilege}/></privilege></resource></need-privileges>",
    )


def _url(request: Request, access: Access | None, href: str) -> str:
    if access is None:
        return request.url(*request.segments)
    return (
        request.url(request.user, access.name, href)
        if href
        else request.url(request.user, access.name, collection=True)
    )


def _xml(status: int, condition: str, description: str = "", *headers: tuple[str, str]) -> Answer:
    return Answer(status, (("Content-Type", XML_TYPE), *headers), xml.error_body(condition, description))

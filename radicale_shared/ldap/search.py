"""Searches on an open connection: whole answers, page by page, or an error (RFC 4511, section 4.5; RFC 2696).

An answer that was cut by a limit, or refers to another server for a part, is none: whoever is missing in it might be
taken for gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..directory_settings import DirectorySettings
from ..errors import DirectoryUnavailableError
from . import messages
from .entries import Entry
from .line import Line, LineError
from .messages import Found, NotLdapError, Reference, Result, ResultCode, Scope

PAGE = 500
_PAGE_WITH_PHOTOS = 50
_PHOTOS = frozenset({"jpegphoto", "thumbnailphoto", "photo"})
_RANGE = re.compile(r"(.+);range=(\d+)-(\d+|\*)")
_CUT = {
    ResultCode.TIME_LIMIT_EXCEEDED: "the directory's time limit",
    ResultCode.SIZE_LIMIT_EXCEEDED: "the directory's size limit",
    ResultCode.ADMIN_LIMIT_EXCEEDED: "a limit for the reader",
}


def pages(
    line: Line,
    settings: DirectorySettings,
    base: str,
    filter: str,
    attributes: Sequence[str],
    *,
    scope: Scope = Scope.SUBTREE,
    most: int = 0,
) -> Iterator[list[Entry]]:
    """The entries that match, a list for each page.

    most: how many to ask for, the rest may be cut off; 0: all or an error. Nothing below a base that isn't there is an
    error too, but for the search of a single entry

    Raises LineError and DirectoryUnavailableError.
    """
    size = min(most or PAGE, _PAGE_WITH_PHOTOS if _PHOTOS & {name.lower() for name in attributes} else PAGE)
    cookie = b""
    while True:
        controls = [messages.page(size, cookie)] if scope is Scope.SUBTREE and not most else []
        if settings.kind == "ad":
            controls.append((messages.DOMAIN_SCOPE, False, None))
        result, found = _answer(line, settings, base, filter, attributes, scope, most, controls)
        _check(line, settings, base, result, scope, most)
        yield [_whole(line, settings, entry) for entry in found]
        try:
            cookie = result.cookie
        except NotLdapError as error:
            raise LineError(f"{line.server.url}: {error}") from error
        if not cookie:
            return


def _answer(
    line: Line,
    settings: DirectorySettings,
    base: str,
    filter: str,
    attributes: Sequence[str],
    scope: Scope,
    most: int,
    controls: Sequence[messages.Control],
) -> tuple[Result, list[Entry]]:
    """One request's result and entries."""

    def write(message_id: int) -> bytes:
        seconds = settings.answer_timeout_seconds
        return messages.search(
            message_id, base, filter, attributes, scope=scope, most=most, seconds=seconds, controls=controls
        )

    found = []
    result = Result(ResultCode.SUCCESS, "")
    for answer in line.exchange(write):
        if isinstance(answer, Found):
            found.append(Entry(answer.dn, answer.attributes))
        elif isinstance(answer, Reference):
            elsewhere = ", ".join(answer.urls)[:200]
            reason = f"the answer was cut: a part is elsewhere ({elsewhere!r}); name a base without it"
            raise DirectoryUnavailableError(settings.name, reason)
        else:
            result = answer
    return result, found


def _check(line: Line, settings: DirectorySettings, base: str, result: Result, scope: Scope, most: int) -> None:
    """Raise unless the answer is whole."""
    code = result.code
    if code == ResultCode.SUCCESS or (code == ResultCode.SIZE_LIMIT_EXCEEDED and most):
        return
    if code == ResultCode.NO_SUCH_OBJECT and scope is Scope.BASE:
        return
    if code in {ResultCode.BUSY, ResultCode.UNAVAILABLE}:
        raise LineError(f"{line.server.url} is busy ({result.said})")
    if code in _CUT:
        reason = f"the answer was cut by {_CUT[ResultCode(code)]}"
    elif code == ResultCode.REFERRAL:
        reason = f"the answer was cut: {base!r} is elsewhere"
    elif code == ResultCode.NO_SUCH_OBJECT:
        reason = f"there is no {base!r}, or the reader may not see it"
    else:
        reason = f"a search below {base!r} failed ({result.said})"
    raise DirectoryUnavailableError(settings.name, reason)


def _whole(line: Line, settings: DirectorySettings, entry: Entry) -> Entry:
    """``entry`` with all values of attributes that came in part (MS-ADTS, section 3.1.1.3.1.3.3)."""
    if not any(";range=" in name for name in entry.attributes):
        return entry
    attributes = {name: values for name, values in entry.attributes.items() if ";range=" not in name}
    for name, values in entry.attributes.items():
        if found := _RANGE.fullmatch(name):
            attributes[found[1]] = tuple(_rest(line, settings, entry.dn, found[1], found[3], values))
    return Entry(entry.dn, attributes)


def _rest(
    line: Line, settings: DirectorySettings, dn: str, name: str, last: str, values: Sequence[bytes]
) -> Iterator[bytes]:
    """``values``, and those behind number ``last``."""
    yield from values
    while last != "*":
        wanted = f"{name};range={int(last) + 1}-*"
        result, found = _answer(line, settings, dn, "(objectClass=*)", [wanted], Scope.BASE, 0, [])
        _check(line, settings, dn, result, Scope.BASE, 0)
        parts = [
            (part[3], more)
            for entry in found
            for key, more in entry.attributes.items()
            if (part := _RANGE.fullmatch(key)) and part[1] == name and int(part[2]) == int(last) + 1
        ]
        if not parts or not parts[0][1]:
            raise DirectoryUnavailableError(settings.name, f"{name} of {dn!r} changed while it was read")
        last = parts[0][0]
        yield from parts[0][1]

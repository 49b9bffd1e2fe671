"""The WSGI application of the phones: who asks and for what, and with which headers they are answered.

Phones are old, small and never told what went wrong: they send what their firmware sends, and show what they get. So
what they send is forgiven where that does no harm (HTTP/1.0, forms, odd headers), and errors are a line of text for
those who look for one. No answer and no line of the log has the password that stands in their URLs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from .. import lanes, sent_bytes
from ..database import Database
from ..errors import (
    BusyError,
    DirectoryUnavailableError,
    NotFoundError,
    SharedBooksError,
    TooManyAttemptsError,
    TooManyLookupsError,
    UnavailableError,
)
from ..settings import Settings
from . import lookup, paths
from .answering import Answers, route_of
from .cache import Kept
from .formats import FORMATS
from .signing_in import ElsewhereError, NotSignedInError, SigningIn, UnknownPhoneError

_log = logging.getLogger(__name__)

_TEXT = "text/plain; charset=utf-8"
_FORM = "application/x-www-form-urlencoded"
_LARGEST_FORM = 16 * 1024
_MOST_FIELDS = 64
_LONGEST_VALUE = 1000
_LARGEST_DROPPED = 1024 * 1024
_PIECE = 64 * 1024
# Phones that keep answers need not ask anew within this time; others ask as often as they are set up to.
_FRESH_SECONDS = 60
_LEAST_PACKED = 1024

Headers = list[tuple[str, str]]


class BadFormError(SharedBooksError):
    """A form that is no form, or too large a body. status: 400 or 413"""

    def __init__(self, status: int) -> None:
        super().__init__("The form can't be read.")
        self.status = status


class BadMethodError(SharedBooksError):
    """A method that an address has not. methods: those that it has"""

    def __init__(self, methods: str) -> None:
        super().__init__("This address has no such method.")
        self.methods = methods


class Phones:
    """The WSGI application of all paths below ``/p/``.

    sign_in: the slug of who signs in by HTTP Basic, of an environ; empty for nobody
    """

    def __init__(self, db: Database, settings: Settings, sign_in: Callable[[dict[str, Any]], str]) -> None:
        self._settings = settings
        self._signing_in = SigningIn(db, settings, sign_in)
        self.answers = Answers(db, settings)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method = str(environ.get("REQUEST_METHOD", "")).upper()
        try:
            status, headers, body = self._reply(environ, method)
        except Exception:  # noqa: BLE001  # nothing may get past this
            _log.exception("%s %r failed", method, paths.masked(environ, self._settings))
            status, headers, body = _told(500, "Something went wrong here. It was logged.")
        if status >= HTTPStatus.BAD_REQUEST:
            sent_bytes.drain(environ)
            if paths.split(environ, self._settings)[1] == lookup.PATH:
                # Exchanges show the body of any answer as the caller's name.
                body = b""
        headers.append(("X-Content-Type-Options", "nosniff"))
        if status != HTTPStatus.NOT_MODIFIED:
            headers.append(("Content-Length", str(len(body))))
        start_response(f"{int(status)} {HTTPStatus(status).phrase}", headers)
        return [b"" if method == "HEAD" else body]

    def _reply(self, environ: dict[str, Any], method: str) -> tuple[int, Headers, bytes]:
        """The reply to a request; every error of the core is one by the table in ``_refused``."""
        try:
            return self._done(environ, method)
        except SharedBooksError as error:
            return _refused(error, self._settings)

    def _done(self, environ: dict[str, Any], method: str) -> tuple[int, Headers, bytes]:
        password, path = paths.split(environ, self._settings)
        profile, books = self._signing_in.phone(environ, password)
        _require(method, profile.make, path)
        if method == "PUT":
            _drop(environ)
            return 200, [("Content-Type", _TEXT)], b""
        parameters = _parameters(environ, method)
        url = paths.url_below(paths.base_of(environ, self._settings), password)
        kept = self.answers.answer(profile, books, path, parameters, _headers(environ), url)
        return _answered(kept, environ)


def _require(method: str, make: str, path: str) -> None:
    """Raise BadMethodError for a method that nobody answers: phones read, and Poly's send their directory back."""
    made = FORMATS.get(make)
    takes_put = made is not None and route_of(made, path) in made.dropped
    if method not in {"GET", "HEAD", "POST", *(("PUT",) if takes_put else ())}:
        raise BadMethodError("GET, HEAD, POST, PUT" if takes_put else "GET, HEAD, POST")


def _answered(kept: Kept, environ: Mapping[str, Any]) -> tuple[int, Headers, bytes]:
    """The answer as the phone takes it: packed, or not at all where it has it already."""
    document = kept.document
    is_packed = len(document.body) >= _LEAST_PACKED and _takes_gzip(str(environ.get("HTTP_ACCEPT_ENCODING", "")))
    headers = [*document.headers, ("Vary", "Accept-Encoding, Authorization")]
    names = {name.lower() for name, _ in document.headers}
    if "cache-control" not in names:
        fresh = "no-cache" if "expires" in names or not kept.is_listed else f"max-age={_FRESH_SECONDS}"
        headers.append(("Cache-Control", f"private, {fresh}"))
    if document.status == HTTPStatus.OK:
        headers.append(("ETag", f'"{kept.tag}-gzip"' if is_packed else f'"{kept.tag}"'))
        if _has(str(environ.get("HTTP_IF_NONE_MATCH", "")), kept.tag):
            return 304, headers, b""
    headers.append(("Content-Type", document.content_type))
    if is_packed:
        headers.append(("Content-Encoding", "gzip"))
    return document.status, headers, kept.packed if is_packed else document.body


def _has(if_none_match: str, tag: str) -> bool:
    """Whether a phone names the answer's bytes, packed or not, among those that it has (RFC 9110, section 13.1.2)."""
    named = (one.strip().removeprefix("W/").strip('"') for one in if_none_match.split(","))
    return any(one in {"*", tag, f"{tag}-gzip"} for one in named)


def _takes_gzip(accept_encoding: str) -> bool:
    for part in accept_encoding.lower().split(","):
        coding, _, parameters = part.partition(";")
        if coding.strip() == "gzip":
            return parameters.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def _headers(environ: Mapping[str, Any]) -> dict[str, str]:
    """{name in small letters: value} of what a phone tells of itself; nothing of how it signs in."""
    return {
        name[5:].lower().replace("_", "-"): str(value)[:_LONGEST_VALUE]
        for name, value in environ.items()
        if name.startswith("HTTP_") and name not in {"HTTP_AUTHORIZATION", "HTTP_COOKIE"}
    }


def _parameters(environ: dict[str, Any], method: str) -> dict[str, str]:
    """The parameters of the URL and of a form, the first of each name. Raises BadFormError."""
    written = [str(environ.get("QUERY_STRING", ""))]
    if method == "POST" and str(environ.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower() == _FORM:
        length = sent_bytes.announced(environ)
        if length > _LARGEST_FORM:
            raise BadFormError(413)
        with lanes.left(), suppress(OSError):
            written.append(environ["wsgi.input"].read(length).decode("latin-1"))
    elif method == "POST":
        sent_bytes.drain(environ)
    found: dict[str, str] = {}
    for text in written:
        for name, value in _fields(text):
            found.setdefault(name, value.replace("\x00", "")[:_LONGEST_VALUE])
    return found


def _fields(written: str) -> list[tuple[str, str]]:
    """The fields of a form in UTF-8, or as phones wrote it before. Raises BadFormError."""
    for encoding in ("utf-8", "latin-1"):
        try:
            # What isn't percent-encoded is bytes, too.
            raw = written.encode("latin-1", "replace").decode(encoding)
            return parse_qsl(
                raw, keep_blank_values=True, encoding=encoding, errors="strict", max_num_fields=_MOST_FIELDS
            )
        except UnicodeDecodeError:
            continue
        except ValueError as error:
            raise BadFormError(400) from error
    raise BadFormError(400)


def _drop(environ: dict[str, Any]) -> None:
    """Read what a phone sends and forget it. Raises BadFormError for too much."""
    left = sent_bytes.announced(environ)
    if left > _LARGEST_DROPPED:
        raise BadFormError(413)
    with lanes.left(), suppress(OSError):
        while left > 0 and (piece := environ["wsgi.input"].read(min(_PIECE, left))):
            left -= len(piece)


def _told(status: int, text: str, *headers: tuple[str, str]) -> tuple[int, Headers, bytes]:
    """An answer for people; phones show none of it, or all."""
    return status, [("Content-Type", _TEXT), ("Cache-Control", "no-store"), *headers], f"{text}\n".encode()


def _refused(error: SharedBooksError, settings: Settings) -> tuple[int, Headers, bytes]:
    """The one table from errors to the phones' answers."""
    match error:
        case NotSignedInError():
            realm = settings.realm.replace("\\", "").replace('"', "'")
            challenge = ("WWW-Authenticate", f'Basic realm="{realm}", charset="UTF-8"')
            return _told(401, "Sign in with your login and the password of a phone.", challenge)
        case UnknownPhoneError():
            return _told(404, "There is nothing here.")
        case NotFoundError():
            return _told(404, "No phone of this make asks for this address.")
        case ElsewhereError():
            return _told(403, "This phone may not ask from here.")
        case BadMethodError():
            return _told(405, str(error), ("Allow", error.methods))
        case BadFormError():
            return _told(error.status, str(error))
        case TooManyLookupsError() | TooManyAttemptsError() | BusyError():
            status = 503 if isinstance(error, BusyError) else 429
            return _told(status, str(error), ("Retry-After", str(error.retry_after)))
        case DirectoryUnavailableError():
            return _told(503, "Try again later.", ("Retry-After", str(error.retry_after)))
        case UnavailableError():
            _log.error("%s", error)
            return _told(503, "The database can't be reached; try again later.", ("Retry-After", "30"))
    raise error

"""Requests and answers of this server, and the conditional headers (RFC 9110, section 13)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from isal import isal_zlib
from sqlalchemy.orm import Session

from .. import devices, lanes, policies
from ..access import WHOLE, Scope
from ..cards import Limits
from ..changes import Actor
from ..database import Database
from ..devices import Device
from ..errors import SharedBooksError
from ..etags import Conditions
from ..guard import Policy
from ..proxies import client_address
from ..settings import Settings
from . import prefer
from .prefer import Preferences

Headers = Sequence[tuple[str, str]]
Body = bytes | Iterable[bytes]

WELL_KNOWN = (".well-known", "carddav")
XML_TYPE = "application/xml; charset=utf-8"
VCARD_TYPE = "text/vcard; charset=utf-8"

_XML_HEADER = ("Content-Type", XML_TYPE)
# Nothing may be kept by a shared cache, and a private one must ask again: rights can change at any time.
_CACHE_CONTROL = ("Cache-Control", "private, no-cache")
# (by preferences, is XML) -> what an answer varies by (RFC 9110, section 12.5.5).
_VARY = {
    (False, False): ("Vary", "Accept, Authorization"),
    (False, True): ("Vary", "Accept, Authorization, Accept-Encoding"),
    (True, False): ("Vary", f"Accept, Authorization, {prefer.HEADERS}"),
    (True, True): ("Vary", f"Accept, Authorization, {prefer.HEADERS}, Accept-Encoding"),
}
# What fits into one packet anyway.
_LEAST_COMPRESSED = 1400
_MOST_XML = 16 * 1024 * 1024
_MOST_DROPPED = 64 * 1024 * 1024
_PIECE = 65536
_SAFE_IN_HREF = "@:~!$()"
_PLAIN_IN_HREF = re.compile(r"[A-Za-z0-9._~@:-]+", re.ASCII)
_ETAG = re.compile(r'\s*(?:(?P<any>\*)|(?P<weak>W/)?"(?P<tag>[^"]*)")\s*(?:,|$)')
_CONTROL = re.compile("[\x00-\x1f\x7f]")


class HTTPError(SharedBooksError):
    """An answer other than success, with a DAV:error body. ``condition`` is XML, ``description`` for people."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(self, condition: str = "", description: str = "", headers: Headers = ()) -> None:
        super().__init__(description or condition)
        self.condition = condition
        self.description = description
        self.headers = headers


class BadRequestError(HTTPError):
    """The request can't be understood."""

    status = HTTPStatus.BAD_REQUEST

    def __init__(self, description: str) -> None:
        super().__init__("", description)


class ForbiddenError(HTTPError):
    """A precondition doesn't hold, and trying again won't help."""

    status = HTTPStatus.FORBIDDEN


class NotFoundHereError(HTTPError):
    """There is nothing, or nothing that this user may know of. The same bytes in both cases."""

    status = HTTPStatus.NOT_FOUND


class NotAcceptableError(HTTPError):
    """The resource can't be given in any form that the client takes."""

    status = HTTPStatus.NOT_ACCEPTABLE


class ConflictError(HTTPError):
    """The request conflicts with the state of the resource."""

    status = HTTPStatus.CONFLICT


class TooMuchError(HTTPError):
    """The request body is larger than any may be."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class MethodNotAllowedError(HTTPError):
    """The resource is there and hasn't this method; ``Allow`` lists those it has."""

    status = HTTPStatus.METHOD_NOT_ALLOWED

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__("", "This resource has no such method.", (("Allow", ", ".join(allowed)),))


class InsufficientStorageError(HTTPError):
    """More than the client wants at a time, and no way to cut it (RFC 6578, section 3.7)."""

    status = HTTPStatus.INSUFFICIENT_STORAGE


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back. A ``body`` that is no list of pieces, nor bytes, is sent as it is made, in chunks."""

    status: int
    headers: Headers = ()
    body: Body = b""


@dataclass
class Request:
    """One request, after sign-in.

    prefix: what stands before all paths behind a reverse proxy, e.g. ``"/contacts"``
    segments: the path's decoded segments, the prefix taken off
    user: the slug of who is signed in
    device: the device whose password it was; None for the person's own
    """

    environ: Mapping[str, Any]
    db: Database
    settings: Settings
    prefix: str
    segments: tuple[str, ...]
    user: str
    device: Device | None = None
    remembered: dict[str, Any] = field(default_factory=dict)
    has_read_body: bool = False
    _session: Session | None = None

    @property
    def method(self) -> str:
        return str(self.environ["REQUEST_METHOD"]).upper()

    def header(self, name: str) -> str | None:
        """A request header, None if it wasn't sent."""
        key = name.upper().replace("-", "_")
        if key not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            key = f"HTTP_{key}"
        value = self.environ.get(key)
        return None if value is None else str(value)

    @cached_property
    def user_agent(self) -> str:
        return self.header("User-Agent") or ""

    @cached_property
    def client(self) -> str:
        """Which program or device of this user asks; see ``devices.client_of``."""
        return devices.client_of(self.device, self.user_agent)

    @property
    def scope(self) -> Scope:
        """What of the user's rights this request has: all, unless it is a device's."""
        return self.device.scope if self.device else WHOLE

    @property
    def is_thunderbird(self) -> bool:
        """Whether this is Thunderbird, which recovers from some refusals by other answers than all others."""
        return "Thunderbird" in self.user_agent

    @cached_property
    def shows_one_book(self) -> bool:
        """Whether this client shows one address book only, so that it gets the merged one."""
        if self.device is not None and self.device.merged is not None:
            return self.device.merged
        return any(part in self.user_agent for part in self.settings.merged_book_clients)

    @cached_property
    def preferences(self) -> Preferences:
        """What the client would rather have; see ``prefer``."""
        return prefer.parsed(self.header("Prefer"), self.header("Brief"))

    @property
    def limits(self) -> Limits:
        """How much a book and an owner may hold."""
        return Limits(self.settings.max_book_bytes, self.settings.max_user_bytes)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """The read of this request that is under way, else a short one: never two connections at a time."""
        if self._session is not None:
            yield self._session
            return
        with self.db.read() as session:
            self._session = session
            try:
                yield session
            finally:
                self._session = None

    @property
    def policy(self) -> Policy:
        """When the guard steps in."""
        return policies.guard(self.settings.file)

    def actor(self, principal_id: int | None, login: str) -> Actor:
        """Who does what this request asks for, for the history."""
        return Actor(
            principal_id,
            login or self.user,
            self.device.label if self.device else self.client,
            self.user_agent,
            client_address(self.environ, self.settings.trusted_proxies),
        )

    def conditions(self, refused: int) -> Conditions:
        """If-Match and If-None-Match; ``refused``: what this client's ETag of the card counts."""
        match, none_match = self.header("If-Match"), self.header("If-None-Match")
        return Conditions(etags(match), etags(none_match, weak=True), refused)

    def url(self, *segments: str, collection: bool = False) -> str:
        """The percent-encoded path of a resource, with the prefix; collections end with a slash."""
        path = "".join(f"/{encoded(segment)}" for segment in segments)
        return f"{self.prefix}{path}/" if collection or not path else f"{self.prefix}{path}"

    def read_body(self, limit: int) -> bytes | None:
        """The request body; None if it is longer than ``limit`` bytes (0: no limit).

        Of a body that is too long the rest is read and dropped, within reason: an answer before the body has ended is a
        broken connection to some proxies, which then tell the client of an error of theirs.

        Raises BadRequestError if the client stopped in the middle, or the length isn't a number.
        """
        self.has_read_body = True
        length_header = self.header("Content-Length")
        length: int | None = None
        if length_header:
            length = number(length_header)
            if length is None:
                raise BadRequestError("Content-Length is not a number.")
        with lanes.left():
            return _read(self.environ["wsgi.input"], length, limit)

    def read_xml_body(self) -> bytes:
        """The body of a request that carries XML. Raises TooMuchError, BadRequestError."""
        body = self.read_body(min(self.settings.max_body_size or _MOST_XML, _MOST_XML))
        if body is None:
            raise TooMuchError("", f"The XML body is larger than {_MOST_XML} bytes.")
        return body


def _read(stream: Any, length: int | None, limit: int) -> bytes | None:
    """See ``Request.read_body``. length: as it was announced, if it was"""
    if limit and length is not None and length > limit:
        _drop(stream, length)
        return None
    pieces: list[bytes] = []
    size = 0
    while length is None or size < length:
        piece = stream.read(_PIECE if length is None else min(_PIECE, length - size))
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
        if limit and size > limit:
            _drop(stream, _MOST_DROPPED)
            return None
    if length is not None and size < length:
        raise BadRequestError("The request body ended before its Content-Length.")
    return b"".join(pieces)


def http_date(moment: datetime | None) -> str:
    """A moment as headers and getlastmodified write it (RFC 9110, section 5.6.7); empty for None."""
    return format_datetime(moment, usegmt=True) if moment else ""


def number(text: str) -> int | None:
    """The whole number that ``text`` is in plain digits, up to 18 of them; else None."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _drop(stream: Any, length: int) -> None:
    """Read up to ``length`` bytes and forget them."""
    left = min(length, _MOST_DROPPED)
    while left > 0 and (piece := stream.read(min(_PIECE, left))):
        left -= len(piece)


def encoded(segment: str) -> str:
    """A path segment, percent-encoded."""
    return segment if _PLAIN_IN_HREF.fullmatch(segment) else quote(segment, safe=_SAFE_IN_HREF)


def is_plain_segment(segment: str) -> bool:
    """Whether a segment of a URL's path stands for itself: nothing in it is, or has to be, percent-encoded."""
    return _PLAIN_IN_HREF.fullmatch(segment) is not None and segment not in {".", ".."}


def split_path(path_info: str, prefix: str) -> tuple[str, ...]:
    """The decoded segments of WSGI's PATH_INFO without ``prefix``; an ending slash makes no difference.

    Raises BadRequestError for what is not UTF-8, has control characters, or tries to climb.
    """
    try:
        path = path_info.encode("latin-1").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError) as error:
        raise BadRequestError("The path is not UTF-8.") from error
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        path = path[len(prefix) :]
    if _CONTROL.search(path):
        raise BadRequestError("The path has control characters.")
    segments = path.removeprefix("/").removesuffix("/").split("/")
    if segments == [""]:
        return ()
    if any(segment in {"", ".", ".."} for segment in segments):
        raise BadRequestError("The path has empty or relative segments.")
    return tuple(segments)


def etags(header: str | None, *, weak: bool = False) -> tuple[str, ...] | None:
    """The ETags of a conditional header, without quotes; ``("*",)`` for any; None without the header.

    weak: whether weak ones count, as in If-None-Match (RFC 9110, section 13.1.2). In If-Match they are dropped: they
        never match a strong one (section 8.8.3.2), and ours are all strong.

    Some clients leave the quotes out; what they send is taken as one ETag.
    """
    if header is None:
        return None
    found, position = [], 0
    while position < len(header) and (match := _ETAG.match(header, position)):
        position = match.end()
        if match["any"]:
            found.append("*")
        elif weak or not match["weak"]:
            found.append(match["tag"])
    if position == 0 and header.strip():
        found.append(header.strip())
    return tuple(found)


def finish(answer: Answer, *, method: str, accept_encoding: str, extra: Mapping[str, str]) -> tuple[int, Headers, Body]:
    """(status, headers, body) to send: lengths added, XML compressed where the client takes it, HEAD emptied.

    extra: headers that the configuration sets on every answer
    """
    is_xml = _XML_HEADER in answer.headers
    by_preference = method in prefer.METHODS and answer.status != HTTPStatus.UNAUTHORIZED
    headers = [_CACHE_CONTROL, _VARY[by_preference, is_xml], *answer.headers]
    body = b"".join(answer.body) if isinstance(answer.body, list) else answer.body
    is_short = isinstance(body, bytes) and len(body) < _LEAST_COMPRESSED
    if is_xml and not is_short and _takes_gzip(accept_encoding):
        headers.append(("Content-Encoding", "gzip"))
        body = b"".join(_gzipped([body])) if isinstance(body, bytes) else _gzipped(body)
    if isinstance(body, bytes) and answer.status not in {204, 304}:
        headers.append(("Content-Length", str(len(body))))
    headers += extra.items()
    return answer.status, headers, b"" if method == "HEAD" else body


def _takes_gzip(accept_encoding: str) -> bool:
    for part in accept_encoding.lower().split(","):
        coding, _, parameters = part.partition(";")
        if coding.strip() == "gzip":
            return parameters.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def _gzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    # Of what compresses gzip this costs least by far, and its level 1 makes less of a listing than zlib's 6 does.
    packer = isal_zlib.compressobj(level=1, wbits=31)
    for piece in pieces:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()

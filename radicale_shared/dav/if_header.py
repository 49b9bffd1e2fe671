"""The If header (RFC 4918, section 10.4): conditions on the states of any resources, joined by and, or and not.

A state is an ETag, or a sync token of a collection (RFC 6578, section 5). There are no locks here, so a lock token
names no state that anything has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from html import unescape

from sqlalchemy.orm import Session

from .. import reading, transfers
from ..access import Access
from ..errors import PreconditionFailedError
from ..etags import named_by
from . import sync
from .addresses import BadGatewayError, segments_of
from .http import BadRequestError, NotFoundHereError, Request
from .resources import collection, is_home, located

# Each resource that is named is looked up; no client names more than two.
MOST_RESOURCES = 20
MOST_CONDITIONS = 1000

_PART = re.compile(
    r'\s*(?:(?P<open>\()|(?P<close>\))|(?P<negation>not)(?=[\s<\[])|<(?P<url>[^<>"\s]+)>|\[(?P<weak>W/)?"(?P<etag>[^"]*)"\])',
    re.IGNORECASE,
)
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Condition:
    """That a resource has the state ``named``, an ETag without quotes or a token; ``negated``: that it hasn't."""

    named: str
    is_etag: bool
    negated: bool


@dataclass(slots=True)
class StateList:
    """Conditions that hold together; ``tag``: the URL of the resource they are about, None for the request's own."""

    tag: str | None
    conditions: list[Condition] = field(default_factory=list)


def require(session: Session, request: Request, *locked: Access, href: str = "") -> None:
    """Raise PreconditionFailedError unless the If header holds; without one there is nothing to do.

    It is decided under the locks of the books that are to be written, so nobody comes between it and the write.

    session: of ``Database.write``
    href: the card that is to be written

    Raises BadRequestError for what is no If header.
    """
    header = request.header("If")
    if header is None:
        return
    lists = parse(header)
    if len({one.tag for one in lists}) > MOST_RESOURCES:
        raise BadRequestError(f"The If header names more than {MOST_RESOURCES} resources.")
    transfers.lock(session, *locked)
    states: dict[str | None, frozenset[tuple[bool, str]]] = {}
    for one in lists:
        if one.tag not in states:
            states[one.tag] = _states(session, request, one.tag)
        if all(((two.is_etag, two.named) in states[one.tag]) != two.negated for two in one.conditions):
            return
    raise PreconditionFailedError(href or "/".join(request.segments))


def parse(header: str) -> list[StateList]:
    """The lists of an If header, of which one has to hold. Raises BadRequestError unless it is by the grammar."""
    lists: list[StateList] = []
    tag: str | None = None
    inside: StateList | None = None
    is_tag_used, negated, position, count = True, False, 0, 0
    header = header.rstrip()
    while position < len(header):
        part = _PART.match(header, position)
        if part is None:
            raise _malformed()
        position = part.end()
        kind = part.lastgroup
        if inside is None:
            if kind == "url" and is_tag_used and (not lists or tag is not None):
                tag, is_tag_used = _resource_tag(part["url"]), False
            elif kind == "open":
                inside, is_tag_used = StateList(tag), True
            else:
                raise _malformed()
        elif kind == "negation" and not negated:
            negated = True
        elif kind == "etag" or (kind == "url" and _ABSOLUTE.match(part["url"])):
            # Ours are strong ETags, which a weak one never equals (RFC 9110, section 8.8.3.2).
            named = part["url"] if kind == "url" else f"{part['weak'] or ''}{part['etag']}"
            inside.conditions.append(Condition(named, kind == "etag", negated))
            negated, count = False, count + 1
        elif kind == "close" and inside.conditions and not negated and count <= MOST_CONDITIONS:
            lists.append(inside)
            inside = None
        else:
            raise _malformed()
    if inside is not None or not is_tag_used or not lists:
        raise _malformed()
    return lists


def _resource_tag(url: str) -> str:
    if not _ABSOLUTE.match(url) and (not url.startswith("/") or url.startswith("//")):
        raise _malformed()
    return url


def _malformed() -> BadRequestError:
    return BadRequestError("The If header is not by the grammar of RFC 4918, section 10.4.2.")


def _states(session: Session, request: Request, tag: str | None) -> frozenset[tuple[bool, str]]:
    """(is it an ETag, what names it) of every state that a resource has now; none where there is nothing to see."""
    try:
        there = request if tag is None else replace(request, segments=segments_of(request, tag))
        if len(there.segments) < 2 and not is_home(there):
            return frozenset()
        found = collection(session, there)
        if found is not None:
            token = sync.sync_token(there, found)
            return frozenset() if token is None else frozenset({(False, unescape(token))})
        book, href = located(session, there)
    except (NotFoundHereError, BadGatewayError, BadRequestError):
        return frozenset()
    stored = reading.get(session, book.access, href)
    if stored is None:
        return frozenset()
    refused = sync.refused(session, request, book.access).mark(href)
    return frozenset((True, one) for one in named_by(stored.etag, book.access.view, refused))

"""The addressbook-query report: which cards of a book match a filter (RFC 6352, section 8.6).

The index says which cards may match (``search``), their bytes say which do. A card that is given in another version
than it is stored in, or without hidden fields, is compared as it is given, so that a client finds what it sees, and
can't find out by searching what it doesn't see.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from .. import homes, search
from ..refusals import Refused
from . import address_data, filters, gateway, properties, sync, xml
from .address_data import Form
from .filters import Filter
from .http import XML_TYPE, Answer, Request
from .properties import Wanted
from .resources import BookResource, MergedBook, members
from .rows import Writer

# What is found of a book: (href, stored ETag).
_Found = Sequence[tuple[str, str]]


def addressbook_query(request: Request, root: ET.Element, resource: BookResource | MergedBook) -> Answer:
    """Section 8.6: the cards of a book that match.

    Depth is not looked at: with 0 a book itself would be searched, which is no card, so that clients that send 0 or
    nothing mean the cards as well. There is no limit but the client's own (section 8.6.1), and that of books which are
    searched only (``gateway``); where it cuts, the answer says so by a 507 for the request's URL (section 8.6.2).
    """
    wanted = filters.parse(root)
    limit = xml.limit_of(root, xml.CARDDAV)
    asked = properties.wanted_of_report(root)
    books = members(resource)
    form = address_data.asked_for(root, books[0].access if books else None)
    found: dict[int, list[tuple[str, str]]] = {book.access.book.id: [] for book in books}
    sought, most = wanted.narrowed(), None
    if isinstance(resource, BookResource) and resource.access.book.search_only:
        narrow = gateway.sought(wanted, resource.access.view.hidden)
        if narrow is None:
            return _multistatus([xml.truncated(resource.url)])
        sought, most = narrow, gateway.MOST_READ
        limit = gateway.MOST_FOUND if limit is None else min(limit, gateway.MOST_FOUND)
    with request.db.read() as session:
        hidden = homes.hidden(session, [book.access for book in books])
        known = {book.access.book.id: sync.refused(session, request, book.access) for book in books}
        rows = search.candidates(session, list(found), sought, form.version, limit=most)
        for book_id, href, etag in rows:
            if (book_id, href) not in hidden:
                found[book_id].append((href, etag))
    matching = _matching(request, books, found, wanted, asked, form, known)
    return _multistatus(_responses(resource, matching, limit, cut=len(rows) == most))


def _multistatus(responses: Iterable[xml.Piece]) -> Answer:
    return Answer(207, (("Content-Type", XML_TYPE),), xml.multistatus(responses))


def _responses(
    resource: BookResource | MergedBook, matching: Iterator[xml.Piece], limit: int | None, *, cut: bool
) -> Iterator[xml.Piece]:
    """cut: whether there may be more that match than those of ``matching``"""
    yield from islice(matching, limit)
    if cut or (limit is not None and next(matching, None) is not None):
        yield xml.truncated(resource.url)


def _matching(
    request: Request,
    books: Iterable[BookResource],
    found: Mapping[int, _Found],
    wanted: Filter,
    asked: Wanted,
    form: Form,
    known: Mapping[int, Refused],
) -> Iterator[xml.Piece]:
    """The cards that match, in the order of the books; read a few at a time, as they are asked for."""
    for book in books:
        writer = Writer(request, book, asked, known[book.access.book.id], form)
        may_match = found[book.access.book.id]
        if not wanted.prop_filters:
            yield from writer.live(may_match)
            continue
        for stored in writer.stored([href for href, _ in may_match]):
            card = form.read(stored.data, stored.version)
            if wanted.matches(card):
                yield writer.read(stored, data=form.given(card) if asked.needs_data else b"")

"""PUT, addressbook-multiget and the properties of address books (RFC 6352)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy.orm import Session

from .. import cards, clients, reading, vcard, write_back
from ..access import Verb
from ..cards import Checked, Written
from ..errors import BusyError, NotAVCardError, PreconditionFailedError, TooLargeError
from ..etags import shown_etag
from ..reading import Stored
from ..write_back import MergeNeededError, Merging
from . import address_data, conditions, content, if_header, properties, sync, xml
from .http import (
    XML_TYPE,
    Answer,
    BadRequestError,
    MethodNotAllowedError,
    Request,
)
from .properties import live
from .resources import (
    BookResource,
    Home,
    MergedBook,
    Resource,
    collection,
    located,
    members,
    named,
    require_free_uid,
    require_own,
)
from .rows import Writer, card_resource
from .webdav import methods

# How often others may change a card while it is worked out what to store over it.
_MOST_MERGES = 10
# What a card has beside its image, in bytes; of real cards nearly all have less.
_BESIDE_THE_IMAGE = 4096
_CHARSETS = {"", "utf-8", "utf8", "us-ascii"}


@dataclass(frozen=True, slots=True)
class Received:
    """A card as it came in a request's body. ``whole``: whether it can be stored as the very bytes that were sent."""

    card: Checked
    whole: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What storing a card did.

    counted: what this client's ETag of the card counts (``Refused.mark``)
    stored: the card as it is now, read in the same transaction, for a client that wants it back; else None
    """

    book: BookResource
    href: str
    written: Written
    counted: int
    version: str
    stored: Stored | None


def put(request: Request) -> Answer:
    """RFC 6352, section 6.3.2: store a card; a refusal is remembered for the client.

    Sent bytes that are stored exactly are answered with their strong ETag (RFC 9110, section 8.8). Where what the
    client changed was applied to the stored card, and this user sees anything else than what was sent, there is none,
    so that the client fetches it.
    """
    with request.reading() as session:
        resource = collection(session, request)
        if resource is not None:
            raise MethodNotAllowedError([one for one in methods(resource) if one != "PUT"])
        book, href = located(session, request)
    if request.header("Content-Range") is not None:
        raise BadRequestError("A card is sent whole, without Content-Range.")  # RFC 9110, section 14.5
    try:
        with sync.refusals_remembered(request, book.access, href):
            card = received(request)
            outcome = _stored(request, book, href, card)
    except PreconditionFailedError as error:
        return content.as_it_is(request, error)
    return answered(request, outcome, card)


def received(request: Request) -> Received:
    """The card in a request's body. Raises NotAVCardError."""
    limit = request.settings.max_card_size
    data = request.read_body(limit)
    if data is None:
        raise TooLargeError(int(request.header("Content-Length") or limit + 1), limit)
    _check_type(request.header("Content-Type") or "")
    whole = _whole_characters(data)
    return Received(cards.check(whole, limit), whole is data)


def _stored(request: Request, book: BookResource, href: str, card: Received) -> Outcome:
    merging = Merging()
    check = partial(cards.check, max_size=request.settings.max_card_size)
    for _ in range(_MOST_MERGES):
        try:
            with request.db.write(book.access.book.id) as session:
                return store(session, request, book, href, card, merging)
        except MergeNeededError as needed:
            with request.db.read() as session:
                merging = write_back.worked_out(session, needed, card.card, check)
    raise BusyError


def store(
    session: Session,
    request: Request,
    book: BookResource,
    href: str,
    card: Received,
    merging: Merging | None = None,
) -> Outcome:
    """Store a card in a book by the conditions of the request. The session must be one of ``Database.write``.

    merging: as ``cards.put`` takes it
    """
    access = book.access
    counted = sync.refused(session, request, access).mark(href)
    require_own(book, request.segments[-1])
    if_header.require(session, request, access, href=href)
    conditions.require_unchanged_since(session, request, access, href, Verb.EDIT)
    if book.prefix and not reading.is_there(session, access.book.id, href):
        require_free_uid(session, request, {access.book.id}, card.card.uid)
    written = cards.put(
        session,
        access,
        href,
        card.card,
        secret=request.db.secret,
        by=request.actor(access.principal_id, access.login),
        conditions=request.conditions(counted),
        limits=request.limits,
        merging=merging,
        policy=request.policy,
    )
    clients.wrote(session, access, request.client, card.card.version)
    stored = reading.get(session, access, href) if request.preferences.representation else None
    return Outcome(book, href, written, counted, card.card.version, stored)


def answered(request: Request, outcome: Outcome, card: Received) -> Answer:
    """201 or 204; with the stored card for whoever prefers that (RFC 8144, section 3.1), which makes it 201 or 200."""
    written, url = outcome.written, outcome.book.card_url(outcome.href)
    # A new card's name is not the one that was asked for: of a POST, and in the merged book.
    location = (("Location", url),) if url != request.url(*request.segments) else ()
    if outcome.stored is not None:
        found = card_resource(outcome.book, outcome.stored, outcome.counted)
        body = content.representation(request, found, 201 if written.created else 200, version=outcome.version)
        if body is not None:
            return replace(body, headers=(*body.headers, *location))
    etag = f'"{shown_etag(written.etag, outcome.book.access.view, outcome.counted)}"'
    told = (("ETag", etag),) if _is_as_sent(outcome, card) else ()
    return Answer(201 if written.created else 204, told + location)


def _is_as_sent(outcome: Outcome, card: Received) -> bool:
    """Whether a GET gives this user the very bytes that were sent."""
    sent, view = card.card.data, outcome.book.access.view
    whole = card.whole and outcome.written.exact
    return whole and (not outcome.written.created or reading.as_seen(sent, view) == sent)


def _check_type(content_type: str) -> None:
    """Raise NotAVCardError for another charset than UTF-8: the bytes are kept and given out as UTF-8.

    The media type itself isn't looked at: clients send all sorts, and what counts is that the body is a vCard.
    """
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip("\"'").lower() not in _CHARSETS:
            raise NotAVCardError("Send the card in UTF-8.")


def _whole_characters(data: bytes) -> bytes:
    """``data`` itself, but for a card whose folding cut characters in two: the same card, folded anew.

    Old clients fold by bytes; such bytes are no UTF-8 until unfolded, and could not stand in an XML answer.
    """
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        vcard.require_few_lines(data)
        return vcard.Card.parse(data).with_whole_characters().serialise()
    return data


def multiget(request: Request, root: ET.Element, resource: BookResource | MergedBook) -> Answer:
    """RFC 6352, section 8.7, in any size: Thunderbird asks for a whole book in one request."""
    books = members(resource)
    form = address_data.asked_for(root, books[0].access if books else None)
    asked = properties.wanted_of_report(root)
    with request.db.read() as session:
        writers = {
            book.access.book.id: Writer(request, book, asked, sync.refused(session, request, book.access), form)
            for book in books
        }
    hrefs = dict.fromkeys((element.text or "").strip() for element in root.findall(xml.dav("href")))
    body = xml.multistatus(_fetched(request, resource, list(hrefs), writers))
    return Answer(207, (("Content-Type", XML_TYPE),), body)


def _fetched(
    request: Request,
    resource: BookResource | MergedBook,
    urls: Sequence[str],
    writers: Mapping[int, Writer],
) -> Iterator[xml.Piece]:
    """The responses, in no order. A card that is named by several spellings of its URL is given by the first of them.

    Else a request of some megabytes could ask for the largest card a hundred thousand times.
    """
    told: set[tuple[int, str]] = set()
    for start in range(0, len(urls), reading.BATCH):
        # The href is given back as it was sent: clients compare it with what they hold.
        waiting: dict[tuple[int, str], str] = {}
        for url in urls[start : start + reading.BATCH]:
            place = named(request, resource, url)
            key = (place[0].access.book.id, place[1]) if place else None
            if key is None:
                yield xml.not_found(url)
            elif key not in told:
                told.add(key)
                waiting[key] = url
        for book in members(resource):
            book_id = book.access.book.id
            hrefs = [href for of, href in waiting if of == book_id]
            writer = writers[book_id]
            for stored in writer.stored(hrefs):
                yield writer.read(stored, waiting.pop((book_id, stored.href)))
        yield from map(xml.not_found, waiting.values())


# -- properties --------------------------------------------------------------------------------------------------------


@live(xml.carddav("addressbook-home-set"))
def addressbook_home_set(_request: Request, resource: Resource) -> str | None:
    """Section 7.1.1: one href. Apple takes only the first of several, and loses the user's own books by it."""
    return xml.href(resource.url) if isinstance(resource, Home) else None


@live(xml.carddav("addressbook-description"))
def addressbook_description(_request: Request, resource: Resource) -> str | None:
    """Section 6.2.1."""
    if isinstance(resource, BookResource) and resource.access.book.description:
        return xml.escape(resource.access.book.description)
    return None


@live(f"{{{xml.INFIT}}}addressbook-color")
def addressbook_color(_request: Request, resource: Resource) -> str | None:
    """InfCloud's, the one Radicale's own page uses."""
    if isinstance(resource, BookResource) and resource.access.book.color:
        return xml.escape(resource.access.book.color)
    return None


@live(xml.carddav("max-resource-size"))
def max_resource_size(request: Request, resource: Resource) -> str | None:
    """Section 6.2.3, in bytes."""
    return str(request.settings.max_card_size) if isinstance(resource, BookResource | MergedBook) else None


@live(xml.carddav("max-image-size"))
def max_image_size(request: Request, resource: Resource) -> str | None:
    """CalendarServer's, which Apple's clients ask for: the bytes of the largest image that fits into such a card."""
    if not isinstance(resource, BookResource | MergedBook):
        return None
    # In base64, folded into lines of 75 characters, of which the first is the space of the fold.
    room = max(0, request.settings.max_card_size - _BESIDE_THE_IMAGE)
    return str(room * 74 // 77 // 4 * 3)

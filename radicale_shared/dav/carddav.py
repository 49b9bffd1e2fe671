"""PUT, addressbook-multiget and the properties of address books (RFC 6352)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes, urlsplit

from .. import cards, vcard
from ..access import Access
from ..cards import shown_etag
from ..errors import NotAllowedHereError, NotAVCardError, TooLargeError
from ..refusals import Refused
from . import properties, sync, xml
from .http import (
    XML_TYPE,
    Answer,
    BadRequestError,
    MethodNotAllowedError,
    Request,
    split_path,
)
from .properties import Wanted, live
from .resources import BookResource, CardResource, Home, Resource, collection, require_book
from .webdav import methods

_CHARSETS = {"", "utf-8", "utf8", "us-ascii"}


def put(request: Request) -> Answer:
    """RFC 6352, section 6.3.2: store a card. The sent bytes are kept exactly and answered with their strong ETag."""
    with request.db.read() as session:
        resource = collection(session, request)
        if resource is not None:
            raise MethodNotAllowedError([one for one in methods(resource) if one != "PUT"])
        access = require_book(session, request)
    if request.header("Content-Range") is not None:
        raise BadRequestError("A card is sent whole, without Content-Range.")  # RFC 9110, section 14.5
    href = request.segments[2]
    limit = request.settings.max_card_size
    with sync.refusals_remembered(request, access, href):
        data = request.read_body(limit)
        if data is None:
            raise TooLargeError(int(request.header("Content-Length") or limit + 1), limit)
        _check_type(request.header("Content-Type") or "")
        sent, data = data, _whole_characters(data)
        checked = cards.check(data, limit)
        with request.db.write(access.book.id) as session:
            counted = sync.refused(session, request, access).mark(href)
            written = cards.put(
                session,
                access,
                href,
                checked,
                secret=request.db.secret,
                by=request.actor(access.principal_id, access.login),
                conditions=request.conditions(counted),
            )
    # A strong ETag says that the stored bytes are the sent ones (RFC 9110, section 8.8).
    shown = shown_etag(written.etag, access.view, counted)
    headers = (("ETag", f'"{shown}"'),) if sent is data else ()
    return Answer(201 if written.created else 204, headers)


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
        return vcard.Card.parse(data).with_whole_characters().serialise()
    return data


def multiget(request: Request, root: ET.Element, access: Access) -> Answer:
    """RFC 6352, section 8.7, in any size: Thunderbird asks for a whole book in one request."""
    with request.db.read() as session:
        known = sync.refused(session, request, access)
    hrefs = [(element.text or "").strip() for element in root.findall(xml.dav("href"))]
    asked = properties.wanted_of_report(root)
    body = xml.multistatus(_fetched(request, access, hrefs, asked, known))
    return Answer(207, (("Content-Type", XML_TYPE),), body)


def _fetched(request: Request, access: Access, urls: list[str], asked: Wanted, known: Refused) -> Iterator[str]:
    for start in range(0, len(urls), cards.BATCH):
        named = {url: _href(request, access, url) for url in urls[start : start + cards.BATCH]}
        wanted = list({href for href in named.values() if href})
        found = {one.href: one for one in sync.with_data(request, access, wanted, known)}
        for url, href in named.items():
            resource = found.get(href) if href else None
            # The href is given back as it was sent: clients compare it with what they hold.
            if resource is None:
                yield xml.not_found(url)
            else:
                yield xml.response(url, properties.propstat(request, resource, asked))


def _href(request: Request, access: Access, url: str) -> str | None:
    """The name inside the book that a DAV:href stands for; None if it is no card of this book."""
    try:
        path = unquote_to_bytes(urlsplit(url).path).decode("latin-1")
        segments = split_path(path, request.prefix)
        if len(segments) != 3 or segments[:2] != (request.user, access.name):
            return None
        cards.check_href(segments[2])
    except (BadRequestError, NotAllowedHereError, ValueError):
        return None
    return segments[2]


# -- properties --------------------------------------------------------------------------------------------------------


@live(xml.carddav("address-data"))
def address_data(_request: Request, resource: Resource) -> str | None:
    """Section 10.4: the stored bytes, whatever version was asked for; reports only."""
    if isinstance(resource, CardResource) and resource.data is not None:
        return xml.escape(resource.data.decode("utf-8"))
    return None


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


@live(xml.carddav("supported-address-data"))
def supported_address_data(_request: Request, resource: Resource) -> str | None:
    """Section 6.2.2. Only 3.0 is announced as long as cards aren't converted; 4.0 is taken and kept."""
    if isinstance(resource, BookResource):
        return '<C:address-data-type content-type="text/vcard" version="3.0"/>'
    return None


@live(xml.carddav("max-resource-size"))
def max_resource_size(request: Request, resource: Resource) -> str | None:
    """Section 6.2.3, in bytes."""
    return str(request.settings.max_card_size) if isinstance(resource, BookResource) else None

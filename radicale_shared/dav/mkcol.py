"""Extended MKCOL (RFC 5689): a new address book in the own home. Other collections, calendars too, are refused."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from .. import books, dead_properties
from ..access import WHOLE, Verb
from ..dead_properties import Kind, Subject
from ..errors import NeedPrivilegeError
from . import dead, if_header, prefer, properties, proppatch, webdav, xml
from .http import Answer, BadRequestError, ConflictError, ForbiddenError, MethodNotAllowedError, Request
from .resources import book_of, is_home, is_root, require_person

_ALREADY_THERE = ("OPTIONS", "PROPFIND", "REPORT")


def mkcol(request: Request) -> Answer:
    """RFC 5689, section 3."""
    root = xml.parse(request.read_xml_body())
    if is_root(request) or is_home(request):
        raise MethodNotAllowedError(_ALREADY_THERE)
    if len(request.segments) != 2 or request.segments[0] != request.user:
        # The same for a home that isn't there and for one that is somebody else's (RFC 4918, section 9.3.1).
        raise ConflictError("", "Address books can be made in your own home only.")
    if request.scope != WHOLE:
        # Asked before anything is looked at: the device may not know whether there is a book of this name.
        raise NeedPrivilegeError(Verb.ADD)
    with request.reading() as session:
        person = require_person(session, request)
        if there := book_of(session, request):
            raise MethodNotAllowedError(webdav.methods(there))
        # What it sets of the server's own properties is passed over: clients send such extras and expect 201.
        judged = proppatch.judge(session, request, _address_book(root), None)
    with request.db.write() as session:
        if_header.require(session, request)
        by = request.actor(person.id, person.login)
        book = books.add(session, person, request.segments[1], by=by, **judged.values)
        dead_properties.alter(session, Subject(Kind.BOOK, book.id, book.id), judged.kept)
    return Answer(201, request.preferences.applied(prefer.MINIMAL))  # always without a body: RFC 8144, section 2.3


def _address_book(root: ET.Element | None) -> ET.Element:
    """The body of a MKCOL. Raises ForbiddenError unless it is to make an address book."""
    if root is not None and root.tag != xml.dav("mkcol"):
        raise BadRequestError("The body of a MKCOL is a DAV:mkcol.")
    types = {child.tag for one in root.iter(xml.dav("resourcetype")) for child in one} if root is not None else set()
    if root is None or types != {xml.dav("collection"), xml.carddav("addressbook")}:
        raise ForbiddenError("<valid-resourcetype/>", "Only address books can be made here.")
    properties.checked(one.name for one in dead.wishes(root))
    return root

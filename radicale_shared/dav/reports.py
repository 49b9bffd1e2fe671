"""REPORT (RFC 3253, section 3.6): which reports there are, and the refusal of all others."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping

from ..access import Access
from . import carddav, sync, xml
from .http import Answer, BadRequestError, ForbiddenError, Request
from .properties import live
from .resources import BookResource, Resource, collection, require_book

REPORTS: Mapping[xml.Name, Callable[[Request, ET.Element, Access], Answer]] = {
    xml.carddav("addressbook-multiget"): carddav.multiget,
    xml.dav("sync-collection"): sync.sync_collection,
}


def report(request: Request) -> Answer:
    """Answer a report on a book; an unknown one, or one on anything else, is refused (section 3.6)."""
    root = xml.parse(request.read_xml_body())
    with request.db.read() as session:
        resource = collection(session, request)
        if resource is None:
            require_book(session, request)
    if root is None:
        raise BadRequestError("A REPORT has a body that names the report.")
    if not isinstance(resource, BookResource) or root.tag not in REPORTS:
        raise ForbiddenError("<supported-report/>", "This resource has no such report.")
    return REPORTS[root.tag](request, root, resource.access)


@live(xml.dav("supported-report-set"))
def supported_report_set(_request: Request, resource: Resource) -> str:
    """Section 3.1.5."""
    if not isinstance(resource, BookResource):
        return ""
    return "".join(f"<supported-report><report>{xml.element(name)}</report></supported-report>" for name in REPORTS)

"""REPORT (RFC 3253, section 3.6): which reports there are, and the refusal of all others."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from . import carddav, dead, expand, prefer, principal_reports, properties, query, sync, webdav, xml
from .http import Answer, BadRequestError, ForbiddenError, Request
from .properties import live
from .resources import BookResource, Home, MergedBook, Resource, Root, collection, located


@dataclass(frozen=True, slots=True)
class Report:
    """What answers a report, and the resources it may be asked on.

    lists: whether it tells all of a book, so that there is none of a book that is only searched
    """

    answer: Callable[[Request, ET.Element, Any], Answer]
    on: tuple[type, ...]
    lists: bool = False

    def is_of(self, resource: Resource) -> bool:
        """Whether a resource has this report."""
        if self.lists and isinstance(resource, BookResource) and resource.access.book.search_only:
            return False
        return isinstance(resource, self.on)


_BOOKS = (BookResource, MergedBook)
_PRINCIPALS = (Root, Home)

REPORTS: Mapping[xml.Name, Report] = {
    xml.carddav("addressbook-multiget"): Report(carddav.multiget, _BOOKS),
    xml.carddav("addressbook-query"): Report(query.addressbook_query, _BOOKS),
    xml.dav("sync-collection"): Report(sync.sync_collection, (*_BOOKS, Home), lists=True),
    xml.dav("expand-property"): Report(expand.expand_property, (object,)),
    xml.dav("acl-principal-prop-set"): Report(principal_reports.acl_principal_prop_set, (BookResource,)),
    xml.dav("principal-match"): Report(principal_reports.principal_match, _PRINCIPALS),
    xml.dav("principal-property-search"): Report(principal_reports.principal_property_search, _PRINCIPALS),
    xml.dav("principal-search-property-set"): Report(principal_reports.principal_search_property_set, _PRINCIPALS),
}


def report(request: Request) -> Answer:
    """Answer a report; an unknown one, or one that this resource hasn't, is refused (section 3.6)."""
    root = xml.parse(request.read_xml_body())
    with request.db.read() as session:
        resource: Resource | None = collection(session, request)
        if resource is None:
            resource = webdav.card(session, request, *located(session, request))
    if root is None:
        raise BadRequestError("A REPORT has a body that names the report.")
    known = REPORTS.get(root.tag)
    if known is None or not known.is_of(resource):
        raise ForbiddenError("<supported-report/>", "This resource has no such report.")
    dead.remember(request, resource, properties.wanted_of_report(root).dead)
    answer = known.answer(request, root, resource)
    return replace(answer, headers=(*answer.headers, *request.preferences.applied(prefer.MINIMAL)))


@live(xml.dav("supported-report-set"))
def supported_report_set(_request: Request, resource: Resource) -> str:
    """Section 3.1.5."""
    return "".join(
        f"<supported-report><report>{xml.element(name)}</report></supported-report>"
        for name, one in REPORTS.items()
        if one.is_of(resource)
    )

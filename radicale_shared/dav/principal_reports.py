"""The reports about principals (RFC 3744, section 9); all of them are answered by what this user may know of others."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ..people import folded
from ..principals import Known
from . import acl, properties, xml
from .filters import COMPARISONS
from .http import XML_TYPE, Answer, BadRequestError, Request
from .principals import EMAIL_ADDRESS_SET, directory, url_of
from .properties import Wanted
from .resources import BookResource, Home, OtherPrincipal, Resource, Root, book_url, home

# A person looks at a handful; whoever gets more narrows the search.
MOST_FOUND = 200
MOST_SEARCHES = 20

# The properties that can be searched: what a client may call them, and their text.
_SEARCHED: Mapping[xml.Name, tuple[str, Callable[[Known], str]]] = {
    xml.dav("displayname"): ("Name", lambda known: known.name),
    EMAIL_ADDRESS_SET: ("E-mail address", lambda known: known.email),
}


def principal_property_search(request: Request, root: ET.Element, resource: Root | Home) -> Answer:
    """RFC 3744, section 9.4: the principals below this collection, or below the root, that match.

    All that is asked for must match, with CalendarServer's ``test="anyof"`` one of it; letters' case doesn't count.
    More than MOST_FOUND, or than a DAV:limit or CalendarServer's, are cut, and said to be.
    """
    require_depth_0(request)
    searches = [_search(one) for one in root.findall(xml.dav("property-search"))]
    if not 1 <= len(searches) <= MOST_SEARCHES:
        raise BadRequestError(f"A search has 1 to {MOST_SEARCHES} DAV:property-search elements.")
    combined = {"anyof": any, "allof": all}.get(root.get("test", "allof"))
    if combined is None:
        raise BadRequestError("The test of a search is anyof or allof.")
    wanted = xml.limit_of(root, xml.DAV, xml.CALENDARSERVER)
    limit = MOST_FOUND if wanted is None else min(wanted, MOST_FOUND)
    is_everywhere = isinstance(resource, Root) or root.find(xml.dav("apply-to-principal-collection-set")) is not None
    asked = properties.wanted_of_report(root)
    found = [
        known
        for known in directory(request).known.values()
        if (is_everywhere or known.slug == request.user) and combined(search(known) for search in searches)
    ]
    after = xml.truncated(resource.url) if len(found) > limit else ""
    return _answer(request, of_known(request, found[:limit]), asked, after)


def _search(element: ET.Element) -> Callable[[Known], bool]:
    """Whether a principal matches one DAV:property-search: all properties that it names have the text."""
    names = properties.checked(one.tag for prop in element.findall(xml.dav("prop")) for one in prop)
    match = element.find(xml.dav("match"))
    if not names or match is None:
        raise BadRequestError("A DAV:property-search has a DAV:prop with properties, and a DAV:match.")
    part = folded(match.text or "")
    matches = COMPARISONS.get(match.get("match-type", "contains"))
    if matches is None:
        raise BadRequestError(f"The match-type of a DAV:match is one of: {', '.join(COMPARISONS)}.")

    def search(known: Known) -> bool:
        for name in names:
            _, text_of = _SEARCHED.get(name, ("", None))
            text = folded(text_of(known)) if text_of else ""
            # Nothing matches a property that isn't there, the empty text included.
            if not text or not matches(text, part):
                return False
        return True

    return search


def principal_search_property_set(request: Request, _root: ET.Element, _resource: Root | Home) -> Answer:
    """RFC 3744, section 9.5: what principals can be searched by."""
    require_depth_0(request)
    content = "".join(
        f"<principal-search-property><prop>{xml.element(name)}</prop>"
        f'<description xml:lang="en">{xml.escape(description)}</description></principal-search-property>'
        for name, (description, _) in _SEARCHED.items()
    )
    body = xml.document("principal-search-property-set", content)
    return Answer(200, (("Content-Type", XML_TYPE),), body)


def principal_match(request: Request, root: ET.Element, resource: Root | Home) -> Answer:
    """RFC 3744, section 9.3: what is this user, or one of their groups; or names one of them in a property.

    Cards are not among the answers: each has its book's owner.
    """
    require_depth_0(request)
    named = [one.tag for prop in root.findall(xml.dav("principal-property")) for one in prop]
    is_self = root.find(xml.dav("self")) is not None
    if is_self + len(named) != 1:
        raise BadRequestError(
            "A DAV:principal-match has either DAV:self or a DAV:principal-property with one property."
        )
    asked = properties.wanted_of_report(root)
    known = directory(request)
    mine = [one for one in known.known.values() if one.id in known.mine]
    if is_self:
        return _answer(request, of_known(request, [one for one in mine if _is_below(request, resource, one)]), asked)
    principals = of_known(request, [one for one in known.known.values() if _is_below(request, resource, one)])
    books = [
        BookResource(book_url(request, access), access)
        for one in principals
        if isinstance(one, Home)
        for access in one.books
    ]
    urls = [xml.href(url_of(request, one)) for one in mine]
    found = [one for one in [*principals, *books] if _names_one(request, one, named[0], urls)]
    return _answer(request, found, asked)


def _is_below(request: Request, resource: Root | Home, known: Known) -> bool:
    return isinstance(resource, Root) or known.slug == request.user


def _names_one(request: Request, resource: Resource, name: xml.Name, urls: Sequence[str]) -> bool:
    known = properties.PROPERTIES.get(name)
    content = properties.value(request, resource, known) if known else None
    return content is not None and any(url in content for url in urls)


def acl_principal_prop_set(request: Request, root: ET.Element, resource: BookResource) -> Answer:
    """RFC 3744, section 9.2: the principals in a book's DAV:acl. Raises ForbiddenError for who may not see that."""
    require_depth_0(request)
    acl.require_read_acl(resource)
    known = directory(request)
    owner = known.known.get(resource.access.book.owner)
    named = [owner, *(one for one, _role in known.grants.get(resource.access.book.id, ()))]
    found = dict.fromkeys(one for one in named if one is not None)
    return _answer(request, of_known(request, found), properties.wanted_of_report(root))


def require_depth_0(request: Request) -> None:
    """Raise BadRequestError for another Depth than 0, which is also what is meant without one."""
    if (request.header("Depth") or "0").strip() != "0":
        raise BadRequestError("This report is asked with Depth 0.")


def of_known(request: Request, found: Iterable[Known]) -> list[Home | OtherPrincipal]:
    """The resources that principals are for this user."""
    resources: list[Home | OtherPrincipal] = []
    for known in found:
        if known.slug == request.user:
            with request.reading() as session:
                resources.append(home(session, request))
        else:
            resources.append(OtherPrincipal(url_of(request, known), known))
    return resources


def _answer(request: Request, found: Sequence[Resource], asked: Wanted, after: str = "") -> Answer:
    def responses() -> Iterator[str]:
        yield from properties.described(request, found, asked)
        if after:
            yield after

    return Answer(207, (("Content-Type", XML_TYPE),), xml.multistatus(responses()))

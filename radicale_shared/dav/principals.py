"""People and groups as principals (RFC 3744, section 4), as far as this user may know of them."""

from __future__ import annotations

from collections.abc import Iterable

from .. import principals as core
from ..principals import Directory, Findable, Known
from . import xml
from .http import Request
from .properties import live
from .resources import Home, OtherPrincipal, Resource

EMAIL_ADDRESS_SET = f"{{{xml.CALENDARSERVER}}}email-address-set"


def directory(request: Request) -> Directory:
    """What this user may know of people, groups and grants; read once a request."""
    if "directory" not in request.remembered:
        findable = Findable(request.settings.find_people)
        with request.reading() as session:
            request.remembered["directory"] = core.directory(session, request.user, findable, scope=request.scope)
    found: Directory = request.remembered["directory"]
    return found


def url_of(request: Request, known: Known) -> str:
    """The percent-encoded path of a principal."""
    return request.url(known.slug, collection=True)


def _id(resource: Home | OtherPrincipal) -> int:
    return resource.person.id if isinstance(resource, Home) else resource.known.id


def _hrefs(request: Request, found: Iterable[Known]) -> str:
    return "".join(xml.href(url_of(request, one)) for one in found)


@live(xml.dav("principal-URL"))
def principal_url(_request: Request, resource: Resource) -> str | None:
    """RFC 3744, section 4.2."""
    return xml.href(resource.url) if isinstance(resource, Home | OtherPrincipal) else None


@live(xml.dav("alternate-URI-set"))
def alternate_uri_set(_request: Request, resource: Resource) -> str | None:
    """RFC 3744, section 4.1: there are none."""
    return "" if isinstance(resource, Home | OtherPrincipal) else None


@live(xml.dav("group-member-set"))
def group_member_set(request: Request, resource: Resource) -> str | None:
    """RFC 3744, section 4.3: the direct members that this user may know of; of a person none."""
    if not isinstance(resource, Home | OtherPrincipal):
        return None
    return _hrefs(request, directory(request).members.get(_id(resource), ()))


@live(xml.dav("group-membership"))
def group_membership(request: Request, resource: Resource) -> str | None:
    """RFC 3744, section 4.4: the groups it is in directly. DAVx5 asks each for a home; groups have none."""
    if not isinstance(resource, Home | OtherPrincipal):
        return None
    return _hrefs(request, directory(request).groups.get(_id(resource), ()))


@live(EMAIL_ADDRESS_SET)
def email_address_set(_request: Request, resource: Resource) -> str | None:
    """CalendarServer's; Apple's clients find people by it."""
    match resource:
        case Home():
            email = resource.person.email
        case OtherPrincipal():
            email = resource.known.email
        case _:
            email = ""
    return f"<CS:email-address>{xml.escape(email)}</CS:email-address>" if email else None

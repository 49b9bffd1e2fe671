"""Privileges and principals as far as clients need them to share (RFC 3744; current-user-principal: RFC 5397)."""

from __future__ import annotations

from ..access import Access, Verb
from . import xml
from .http import Request
from .properties import live
from .resources import BookResource, CardResource, Home, OtherPrincipal, Resource, Root


@live(xml.dav("current-user-principal"))
def current_user_principal(request: Request, _resource: Resource) -> str:
    """RFC 5397, section 3."""
    return xml.href(request.url(request.user, collection=True))


@live(xml.dav("principal-URL"))
def principal_url(_request: Request, resource: Resource) -> str | None:
    """RFC 3744, section 4.2."""
    return xml.href(resource.url) if isinstance(resource, Home | OtherPrincipal) else None


@live(xml.dav("principal-collection-set"))
def principal_collection_set(request: Request, _resource: Resource) -> str:
    """RFC 3744, section 5.8: principals lie right below the root."""
    return xml.href(request.url())


@live(xml.dav("owner"))
def owner(request: Request, resource: Resource) -> str | None:
    """RFC 3744, section 5.1."""
    match resource:
        case BookResource() | CardResource():
            return xml.href(request.url(resource.access.book.owner, collection=True))
        case Home():
            return xml.href(resource.url)
    return None


@live(xml.dav("current-user-privilege-set"))
def current_user_privilege_set(_request: Request, resource: Resource) -> str | None:
    """RFC 3744, section 5.4. DAVx5, Evolution and Thunderbird decide by it whether a book is read-only."""
    match resource:
        case BookResource() | CardResource():
            names = privileges(resource.access)
        case Home():
            names = ["read", "bind", "unbind", "read-current-user-privilege-set"]
        case Root() | OtherPrincipal():
            names = ["read", "read-current-user-privilege-set"]
    return "".join(f"<privilege><{name}/></privilege>" for name in names)


def privileges(access: Access) -> list[str]:
    """The WebDAV privileges of an access; ``write`` only where all that clients take it for may be done."""
    verbs = access.verbs
    names = ["read", "read-current-user-privilege-set"]
    if {Verb.ADD, Verb.EDIT, Verb.DELETE} <= verbs:
        names.append("write")
    for verb, found in (
        (Verb.EDIT, ("write-content",)),
        (Verb.ADD, ("bind",)),
        (Verb.DELETE, ("unbind",)),
        (Verb.OWN, ("write-properties",)),
        (Verb.MANAGE, ("read-acl", "write-acl")),
    ):
        if verb in verbs:
            names += found
    return names

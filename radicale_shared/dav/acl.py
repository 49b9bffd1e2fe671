"""Privileges, and who has them (RFC 3744; current-user-principal: RFC 5397); here they are only read."""

from __future__ import annotations

from uuid import UUID

from ..access import Access, Role, Verb, given
from . import xml
from .http import ForbiddenError, Request
from .principals import directory
from .properties import live
from .resources import BookResource, CardResource, Home, MergedBook, OtherPrincipal, Resource, Root

# What the merged book hasn't, as it is nobody's to manage: each of its books is.
_OF_ONE_BOOK = frozenset({"all", "write-properties", "read-acl", "write-acl"})

# What a privilege is called for people, and what it consists of (RFC 3744, sections 3 and 5.3).
_TREE: dict[str, tuple[str, tuple[str, ...]]] = {
    "all": (
        "Everything",
        ("read", "write", "read-acl", "write-acl", "read-current-user-privilege-set"),
    ),
    "read": ("Read the cards", ()),
    "write": ("Add, change and delete cards", ("write-content", "write-properties", "bind", "unbind")),
    "write-content": ("Change cards", ()),
    "write-properties": ("Change names and other properties", ()),
    "bind": ("Add cards", ()),
    "unbind": ("Delete cards", ()),
    "read-acl": ("See who has access", ()),
    "write-acl": ("Decide who has access", ()),
    "read-current-user-privilege-set": ("See one's own privileges", ()),
}


@live(xml.dav("current-user-principal"))
def current_user_principal(request: Request, _resource: Resource) -> str:
    """RFC 5397, section 3."""
    return xml.href(request.url(request.user, collection=True))


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
        case Home() | MergedBook():
            return xml.href(request.url(request.user, collection=True))
    return None


@live(xml.dav("resource-id"))
def resource_id(_request: Request, resource: Resource) -> str | None:
    """RFC 5842, section 3.1: the same for everybody a book is mounted at."""
    return xml.href(UUID(resource.access.book.uuid).urn) if isinstance(resource, BookResource) else None


# -- privileges --------------------------------------------------------------------------------------------------------


@live(xml.dav("supported-privilege-set"))
def supported_privilege_set(_request: Request, _resource: Resource) -> str:
    """RFC 3744, section 5.3."""
    return _SUPPORTED


def _supported(name: str) -> str:
    description, parts = _TREE[name]
    return (
        f"<supported-privilege>{_privilege(name)}"
        f'<description xml:lang="en">{xml.escape(description)}</description>'
        f"{''.join(_supported(part) for part in parts)}</supported-privilege>"
    )


def _privilege(name: str) -> str:
    return f"<privilege><{name}/></privilege>"


_SUPPORTED = _supported("all")


@live(xml.dav("current-user-privilege-set"))
def current_user_privilege_set(_request: Request, resource: Resource) -> str | None:
    """RFC 3744, section 5.4. DAVx5, Evolution and Thunderbird decide by it whether a book is read-only."""
    match resource:
        case BookResource():
            names = privileges(resource.access)
        case CardResource():
            names = privileges(resource.access)
            if Verb.EDIT in resource.access.verbs and "write-properties" not in names:
                names.append("write-properties")
        case MergedBook():
            # A Mac looks here only for whether it may write at all; each card's own book decides.
            own = privileges(resource.first.access) if resource.first else ["read"]
            names = [name for name in own if name not in _OF_ONE_BOOK]
        case Home():
            # With "write": iOS passes by the shared books of a home that it takes for read-only.
            names = ["read", "read-current-user-privilege-set", "write", *_TREE["write"][1]]
        case Root() | OtherPrincipal():
            names = ["read", "read-current-user-privilege-set"]
    return "".join(_privilege(name) for name in names)


def privileges(access: Access) -> list[str]:
    """The WebDAV privileges of an access; ``write`` only where all that clients take it for may be done.

    That is less than RFC 3744, section 3.12 puts into it: the name of the book, which is its owner's to change.
    """
    return _of_verbs(access.verbs)


def _of_verbs(verbs: frozenset[Verb]) -> list[str]:
    names = ["read", "read-current-user-privilege-set"]
    if Verb.OWN in verbs:
        names.insert(0, "all")
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


# -- access control lists ----------------------------------------------------------------------------------------------


@live(xml.dav("acl"))
def acl(request: Request, resource: Resource) -> str | None:
    """RFC 3744, section 5.5: the owner and the grants in force, for those who manage the book.

    A group that owns the book is no entry: its members, for whom it would speak, get nothing by that.

    A grant to a principal that this user may not know of (``find_people``) is left out, and one to a domain: that is no
    principal (RFC 3744, section 2).

    Raises ForbiddenError.
    """
    if not isinstance(resource, BookResource):
        return None
    require_read_acl(resource)
    book = resource.access.book
    known_here = directory(request)
    owner_of_book = known_here.known.get(book.owner)
    entries = []
    if owner_of_book is None or owner_of_book.kind == "user":
        entries.append(_entry(xml.href(request.url(book.owner, collection=True)), ["all"], "<protected/>"))
    for known, role in known_here.grants.get(book.id, ()):
        who = xml.href(request.url(known.slug, collection=True)) if known else "<authenticated/>"
        entries.append(_entry(who, ["all"] if role == Role.OWNER else _of_verbs(given(role, book))))
    return "".join(entries)


def require_read_acl(book: BookResource) -> None:
    """Raise ForbiddenError (need-privileges, RFC 3744, section 7.1.1) unless the user may see who has access."""
    if Verb.MANAGE not in book.access.verbs:
        raise ForbiddenError(
            f"<need-privileges><resource>{xml.href(book.url)}{_privilege('read-acl')}</resource></need-privileges>",
            "Only managers of an address book see who has access to it.",
        )


def _entry(who: str, names: list[str], more: str = "") -> str:
    granted = "".join(_privilege(name) for name in names)
    return f"<ace><principal>{who}</principal><grant>{granted}</grant>{more}</ace>"


@live(xml.dav("acl-restrictions"))
def acl_restrictions(_request: Request, resource: Resource) -> str | None:
    """RFC 3744, section 5.6: grants only give, and name whom they are for."""
    return "<grant-only/><no-invert/>" if isinstance(resource, BookResource) else None


@live(xml.dav("inherited-acl-set"))
def inherited_acl_set(_request: Request, resource: Resource) -> str | None:
    """RFC 3744, section 5.7: nothing is inherited."""
    return "" if isinstance(resource, BookResource) else None

"""Books as their readers and managers see them: rights, grants, and the reasons for both.

A book is named as in its reader's home, ``contacts`` or ``sales~leads``; one that may not be read is not there. Readers
learn what they may do and why; managers also what others may, and they give and take rights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from .. import access, grants, group_owners, people, principals, reading, reasons
from ..access import Access, Role, Verb, View
from ..errors import NotFoundError
from ..grants import GrantLine, Terms
from ..people import GROUP_PREFIX, Group, Person
from ..reasons import Reason
from .asking import Asking, Reply, UnreadableError


def list_(asking: Asking) -> Reply:
    """All books of who asks, in the order of their home."""
    with asking.db.read() as session:
        found = asking.books(session)
        owners = grants.owners(session, (one.book for one in found))
    return Reply(200, {"books": [_book(one, owners) for one in found]})


def show(asking: Asking, name: str) -> Reply:
    """One book."""
    with asking.db.read() as session:
        found = asking.book(session, name)
        owners = grants.owners(session, [found.book])
    return Reply(200, _book(found, owners))


def add(asking: Asking) -> Reply:
    """Make an empty book of a group that who asks runs."""
    asking.require_own_password()
    asking.require_keys("owner", "slug", "name")
    owner, slug, name = asking.text("owner"), asking.text("slug"), asking.text("name", "")
    if not owner.startswith(GROUP_PREFIX):
        raise UnreadableError("'owner' must be a group that you run, as in group:NAME.")
    with asking.db.write() as session:
        person = asking.person(session)
        group = _run_by(session, person, owner)
        made = group_owners.add_book(session, person, group, slug, by=asking.actor(person), name=name)
        found = asking.book(session, made.mount)
        owners = grants.owners(session, [found.book])
    return Reply(201, _book(found, owners))


def _run_by(session: Session, person: Person, name: str) -> Group:
    """The group of this name or slug among those that a person runs. Others are not there for them: NotFoundError."""
    plain = name.removeprefix(GROUP_PREFIX)
    groups = group_owners.run_by(session, person.slug)
    found = [one for one in groups if one.slug == plain] or [one for one in groups if one.name == plain]
    if len(found) != 1:
        raise NotFoundError("single group" if found else "group", name)
    return found[0]


def list_grants(asking: Asking, name: str) -> Reply:
    """The grants on a book, ended ones too; for its managers."""
    with asking.db.read() as session:
        found = asking.book(session, name)
        found.require(Verb.MANAGE)
        lines = grants.of_book(session, found.book)
    return Reply(200, {"grants": [_grant(one) for one in lines]})


def put_grant(asking: Asking, name: str, principal: str) -> Reply:
    """Give a principal a role on a book, or change the grant it has there: it is what the body says, all of it."""
    asking.require_own_password()
    asking.require_keys("role", "until", "hide")
    try:
        role = Role(asking.text("role"))
    except ValueError as error:
        raise UnreadableError(f"'role' must be one of {', '.join(Role)}.") from error
    until, hide = asking.moment("until"), asking.texts("hide")
    with asking.db.write() as session:
        person, found = asking.person(session), asking.book(session, name)
        by = asking.actor(person)
        status = 200
        try:
            line = grants.change(
                session, found.book, principal, role, by=by, until=until, endless=until is None, hide=hide, as_=found
            )
        except NotFoundError:
            # No such grant, or nobody of that name: that is told only to who could give what the body says.
            line = grants.give(session, found.book, principal, role, by=by, until=until, hide=hide, as_=found)
            status = 201
        left = _left(session, found)
    return Reply(status, {**_grant(line), "left": left})


def remove_grant(asking: Asking, name: str, principal: str) -> Reply:
    """Take a principal's grant on a book away, from the next request on."""
    asking.require_own_password()
    with asking.db.write() as session:
        person, found = asking.person(session), asking.book(session, name)
        try:
            grants.take(session, found.book, principal, by=asking.actor(person), as_=found)
        except NotFoundError as error:
            if error.kind == "book":
                raise
            raise NotFoundError("grant", principal) from error  # whether there is such a person is not told
        left = _left(session, found)
    return Reply(200, {"left": left})


def _left(session: Session, found: Access) -> list[str]:
    """What who asks may do with a book after they changed its grants: who takes their own away is told so."""
    left = access.to_book(session, found.slug, found.book.id)
    return _verbs(left.verbs) if left else []


def explain(asking: Asking, name: str) -> Reply:
    """What a person may do with a book, and which grants and groups give it: oneself, or for managers anybody.

    Of another person no more is told than that there is none, unless who asks may know of them.
    """
    login = asking.argument("user")
    with asking.db.read() as session:
        person, found = asking.person(session), asking.book(session, name)
        is_other = bool(login) and people.folded(login) != people.folded(person.login)
        if is_other:
            found.require(Verb.MANAGE)
            person = people.user(session, login)
            if not _may_know(asking, session, found, person):
                raise NotFoundError("user", login)
        told = reasons.explain(session, person, found.book, asker=found, findable=asking.findable)
    # A device may do less than its owner.
    verbs = told.verbs if is_other else told.verbs & found.verbs
    return Reply(
        200,
        {
            "user": person.login,
            "state": person.state,
            "mirrored_from": found.book.mirrored_from or None,
            "role": reasons.role_of(verbs),
            "verbs": _verbs(verbs),
            "hidden": _hidden(told.view),
            "reasons": [_reason(one) for one in told.reasons],
            "ended": [_reason(one) for one in told.ended],
            "deciders": list(told.deciders),
        },
    )


def _may_know(asking: Asking, session: Session, found: Access, person: Person) -> bool:
    """Whether who manages a book may know of a person: by ``find_people``, or as a grant on the book names them."""
    if principals.find(session, asking.slug, asking.findable, person.slug, scope=asking.scope) is not None:
        return True
    return any(line.principal_id == person.id for line in grants.of_book(session, found.book))


def who(asking: Asking, name: str) -> Reply:
    """Who can see a book, or one card of it: principals for readers, for managers also which people these are."""
    href = asking.argument("card")
    with asking.db.read() as session:
        found = asking.book(session, name)
        if href and not reading.is_there(session, found.book.id, href):
            raise NotFoundError("card", href)
        seers = reasons.who(session, found.book, asker=found, findable=asking.findable)
    named = [
        {
            "principal": one.principal,
            "name": one.name,
            **_terms(one.terms),
            "is_owner": one.is_owner,
            "people": one.people,
        }
        for one in seers.principals
    ]
    seeing = None
    if seers.people is not None:
        seeing = [
            {
                "login": one.login,
                "name": one.name,
                "role": reasons.role_of(one.verbs),
                "verbs": _verbs(one.verbs),
                "hidden": _hidden(one.view),
                "reasons": [_reason(reason) for reason in one.reasons],
            }
            for one in seers.people
        ]
    return Reply(200, {"principals": named, "people": seeing})


def _book(found: Access, owners: Mapping[int, str]) -> dict[str, Any]:
    """owners: as of ``grants.owners``"""
    book = found.book
    return {
        "name": found.name,
        "title": book.name,
        "description": book.description,
        "owner": owners[book.owner_id],
        "cards": book.card_count,
        "verbs": _verbs(found.verbs),
        "hidden": _hidden(found.view),
        "default": found.default,
        "mirrored_from": book.mirrored_from or None,
        "search_only": book.search_only,
    }


def _grant(line: GrantLine) -> dict[str, Any]:
    return {"principal": line.principal, **_terms(line.terms), "ended": line.ended, "created_at": line.created_at}


def _terms(terms: Terms) -> dict[str, Any]:
    return {"role": terms.role, "until": terms.until_at, "hide": sorted(terms.hidden)}


def _reason(reason: Reason) -> dict[str, Any]:
    return {"principal": reason.principal, "path": list(reason.path), **_terms(reason.terms)}


def _verbs(verbs: frozenset[Verb]) -> list[str]:
    """In the order of the roles, weakest first."""
    return [verb.value for verb in access.Verb if verb in verbs]


def _hidden(view: View) -> list[str]:
    return sorted(view.hidden)

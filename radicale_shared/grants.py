"""Grants: who is given which role on which book, until when and without which fields; and who may decide that.

What grants give is worked out in ``access``, by its one query; what people are told of them is ``reasons``'. Whoever
manages a book gives and takes its grants without an administrator; the rules of that are here, for every surface:

- only an owner gives, changes or takes a grant of the role owner;
- nobody gives more than they have, nor for longer, nor what is hidden from themselves.

The administrator on the command line is bound by none of them.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.orm import Session

from . import access, changes, people, texts
from .access import DOMAIN, EVERYONE, LASTS, VERBS, Access, Role, Verb
from .books import Book
from .changes import Actor
from .errors import AlreadyExistsError, NotAllowedHereError, NotFoundError, WrongValueError
from .models import AnyRow, Grant, Principal, now, table
from .people import GROUP_PREFIX
from .vcard import fields

DOMAIN_PREFIX = "domain:"
# On one book, the ended ones too: each request to it joins them all.
MOST_GRANTS = 2000

_FOR_EVER = datetime(9999, 12, 31, tzinfo=UTC)
_LONGEST_DOMAIN = 255
_IN_FORCE = (
    select(Grant.book_id, Grant.principal_id, Grant.role)
    .where(
        Grant.book_id.in_(bindparam("books", expanding=True)),
        Grant.audience.in_(("principal", EVERYONE)),
        LASTS,
    )
    .order_by(Grant.id)
)
_HOW_MANY = select(func.count()).where(Grant.book_id == bindparam("book"))
_OWNERS = select(Principal.id, Principal.kind, Principal.slug, Principal.login).where(
    Principal.id.in_(bindparam("ids", expanding=True))
)
_OF_BOOK = (
    select(
        Grant.id,
        Grant.audience,
        Grant.principal_id,
        Grant.domain,
        Grant.role,
        Grant.until_at,
        Grant.hidden_fields,
        Grant.created_at,
        Principal.kind,
        Principal.slug,
        Principal.login,
    )
    .join(Principal, Principal.id == Grant.principal_id, isouter=True)
    .where(Grant.book_id == bindparam("book"))
    .order_by(Grant.id)
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a grant gives: a role, until when (None: for ever), and without which fields (``vcard.fields``)."""

    role: Role
    until_at: datetime | None = None
    hidden: frozenset[str] = frozenset()

    def __str__(self) -> str:
        until = f" until {self.until_at:%Y-%m-%d %H:%M} UTC" if self.until_at else ""
        return f"{self.role}{until}{' without ' + ', '.join(sorted(self.hidden)) if self.hidden else ''}"

    def lasts(self, at: datetime) -> bool:
        """Whether they have not ended at a moment."""
        return self.until_at is None or self.until_at > at

    def is_within(self, other: Terms) -> bool:
        """Whether they give nothing that the other terms don't give."""
        ends = other.until_at is None or (self.until_at is not None and self.until_at <= other.until_at)
        return VERBS[self.role] <= VERBS[other.role] and ends and fields.covers(self.hidden, other.hidden)


@dataclass(frozen=True, slots=True)
class GrantLine:
    """A grant as people read it: ``principal`` is ``user:LOGIN``, ``group:SLUG``, ``domain:NAME`` or ``everyone``.

    principal_id: None for a domain and for everyone
    """

    id: int
    principal: str
    principal_id: int | None
    terms: Terms
    created_at: datetime

    @property
    def ended(self) -> bool:
        """Whether it gives nothing any more."""
        return not self.terms.lasts(now())


def give(
    session: Session,
    book: Book,
    principal: str,
    role: Role,
    *,
    by: Actor,
    until: datetime | None = None,
    hide: Iterable[str] = (),
    as_: Access | None = None,
) -> GrantLine:
    """Grant a role on a book to ``user:LOGIN``, ``group:NAME``, ``domain:NAME`` or ``everyone`` who is signed in.

    until: when it ends; None for never
    hide: the fields that it doesn't show
    as_: the access of the person who gives it; None for an administrator

    Raises NotFoundError, AlreadyExistsError if the principal has a grant there, NotAllowedHereError for what can't be
    or is more than the person may give, NeedPrivilegeError unless the person manages the book.
    """
    people.rights_changed(session)
    terms = Terms(role, _future(until), _hidden(hide))
    if as_ is not None:
        _require_no_more(session, terms, _managing(session, book, as_))
    values = _subject(session, principal)
    if session.execute(_same_subject(select(Grant.id), book, values)).first():
        command = f"radicale-shared grant change {book.address} {shlex.quote(principal)} {role}"
        raise AlreadyExistsError("grant", principal, f"Change it instead: {command}")
    if (session.scalar(_HOW_MANY, {"book": book.id}) or 0) >= MOST_GRANTS:
        raise NotAllowedHereError(
            f"This address book has {MOST_GRANTS:,} grants, the most there may be: give to a group, or take some away."
        )
    session.execute(insert(table(Grant)).values(book_id=book.id, created_at=now(), **values, **_columns(terms)))
    changes.begin(session, "grant", by, book_id=book.id, reason=f"{terms} to {principal}")
    return _grant(session, book, values, principal)


def change(
    session: Session,
    book: Book,
    principal: str,
    role: Role | None = None,
    *,
    by: Actor,
    until: datetime | None = None,
    endless: bool = False,
    hide: Iterable[str] | None = None,
    as_: Access | None = None,
) -> GrantLine:
    """Give a principal's grant another role, end or set of hidden fields; what isn't named stays.

    until: when it ends; endless: it never does
    hide: all the fields that it hides from now on; empty for none
    as_: as in ``give``

    Raises NotFoundError, NotAllowedHereError, NeedPrivilegeError.
    """
    people.rights_changed(session)
    managing = _managing(session, book, as_) if as_ is not None else None
    found = _grant(session, book, _subject(session, principal), principal)
    terms = Terms(
        role or found.terms.role,
        None if endless else (_future(until) or found.terms.until_at),
        found.terms.hidden if hide is None else _hidden(hide),
    )
    if managing is not None:
        _require_own(managing, found.terms.role)
        if not terms.is_within(found.terms):
            _require_no_more(session, terms, managing)
    session.execute(update(table(Grant)).where(table(Grant).c.id == found.id).values(**_columns(terms)))
    changes.begin(session, "change-grant", by, book_id=book.id, reason=f"{terms} to {principal}")
    return _grant(session, book, _subject(session, principal), principal)


def take(session: Session, book: Book, principal: str, *, by: Actor, as_: Access | None = None) -> None:
    """Remove a principal's grant. Raises NotFoundError; NeedPrivilegeError unless the person ``as_`` may do that."""
    people.rights_changed(session)
    managing = _managing(session, book, as_) if as_ is not None else None
    found = _grant(session, book, _subject(session, principal), principal)
    if managing is not None:
        _require_own(managing, found.terms.role)
    session.execute(delete(table(Grant)).where(table(Grant).c.id == found.id))
    changes.begin(session, "remove-grant", by, book_id=book.id, reason=f"of {principal}")


def of_book(session: Session, book: Book) -> list[GrantLine]:
    """All grants on a book, in the order they were made, the ended ones too."""
    return [_line(row) for row in session.execute(_OF_BOOK, {"book": book.id})]


def owners(session: Session, books: Iterable[Book]) -> dict[int, str]:
    """Who owns some books, as grants name them: ``{Book.owner_id: "user:LOGIN" or "group:SLUG"}``."""
    rows = session.execute(_OWNERS, {"ids": sorted({book.owner_id for book in books})})
    return {row.id: written(row) for row in rows}


@dataclass(frozen=True, slots=True)
class GrantInForce:
    """A grant that gives something at this moment; ``principal_id`` is None for everyone who is signed in."""

    book_id: int
    principal_id: int | None
    role: Role


def in_force(session: Session, book_ids: Iterable[int]) -> list[GrantInForce]:
    """The grants on some books that have not ended, in the order they were made.

    Those to a domain are left out: it is no principal that one could name, find or look at.
    """
    rows = session.execute(_IN_FORCE, {"books": list(book_ids), "now": now()})
    return [GrantInForce(book_id, principal_id, Role(role)) for book_id, principal_id, role in rows]


def people_of_domain(session: Session, domain: str) -> int:
    """How many active people a grant to this domain (folded) reaches."""
    query = select(func.count()).where(
        Principal.kind == "user", Principal.state == "active", Principal.domain == people.folded(domain)
    )
    return session.scalar(query) or 0


# -- who may decide ----------------------------------------------------------------------------------------------------


def _managing(session: Session, book: Book, as_: Access) -> Access:
    """What the person may do with the book now, under the lock of all grants.

    as_: what they had when they asked, which a device may have narrowed

    Raises NeedPrivilegeError unless they manage it, NotFoundError if they can't even read it.
    """
    found = access.to_book(session, as_.slug, book.id)
    if found is None:
        raise NotFoundError("book", as_.name)
    managing = replace(found, verbs=found.verbs & as_.verbs)
    managing.require(Verb.MANAGE)
    return managing


def _require_own(managing: Access, role: Role) -> None:
    """Raise NeedPrivilegeError where the grant is an owner's and the person is none."""
    if role == Role.OWNER:
        managing.require(Verb.OWN)


def _require_no_more(session: Session, terms: Terms, managing: Access) -> None:
    """Raise NotAllowedHereError where the terms give more than the person has, at any moment until they end.

    Grants only end, so what the person has at the last of these moments, they have at all of them.
    """
    wanted = access.given(terms.role, managing.book)
    if not wanted <= managing.verbs:
        raise NotAllowedHereError(f"You can't give the role {terms.role}: it is more than you have on this book.")
    last = terms.until_at - timedelta(microseconds=1) if terms.until_at else _FOR_EVER
    later = access.to_book(session, managing.slug, managing.book.id, at=last)
    if later is None or not wanted <= later.verbs:
        raise NotAllowedHereError("You can't give a right for longer than you have it yourself; name an earlier end.")
    if not fields.covers(terms.hidden, later.view.hidden):
        hidden = ", ".join(sorted(later.view.hidden))
        raise NotAllowedHereError(f"You can't show to others what you don't see yourself; hide at least: {hidden}.")


# -- what grants are made of -------------------------------------------------------------------------------------------


def _future(until: datetime | None) -> datetime | None:
    if until is not None and until <= now():
        raise WrongValueError(f"A grant can't end at {until:%Y-%m-%d %H:%M %Z}: that is over.")
    return until


def _hidden(hide: Iterable[str]) -> frozenset[str]:
    return fields.reduced(fields.split(fields.parsed(one)) for one in hide)


def _columns(terms: Terms) -> dict[str, Any]:
    hidden = json.dumps(sorted(terms.hidden)) if terms.hidden else None
    return {"role": terms.role, "until_at": terms.until_at, "hidden_fields": hidden}


def _subject(session: Session, principal: str) -> dict[str, Any]:
    """The columns that say whom a grant is for."""
    if principal == EVERYONE:
        return {"audience": EVERYONE, "principal_id": None, "domain": ""}
    kind, colon, name = principal.partition(":")
    if colon and kind == "user":
        return {"audience": "principal", "principal_id": people.user(session, name).id, "domain": ""}
    if colon and kind == "group":
        return {"audience": "principal", "principal_id": people.group(session, name).id, "domain": ""}
    if colon and kind == DOMAIN:
        domain = people.folded(texts.checked(name, _LONGEST_DOMAIN, what="domain"))
        if not domain or "@" in domain or len(domain) > _LONGEST_DOMAIN or len(domain.split()) > 1:
            raise WrongValueError(f"{name!r} can't be a domain; write it as in domain:example.org.")
        return {"audience": DOMAIN, "principal_id": None, "domain": domain}
    raise NotFoundError("principal", principal, "Write user:LOGIN, group:NAME, domain:NAME or everyone.")


def _same_subject(query: Any, book: Book, subject: Mapping[str, Any]) -> Any:
    return query.where(
        Grant.book_id == book.id,
        Grant.audience == subject["audience"],
        Grant.domain == subject["domain"],
        Grant.principal_id == subject["principal_id"]
        if subject["principal_id"] is not None
        else Grant.principal_id.is_(None),
    )


def _grant(session: Session, book: Book, subject: Mapping[str, Any], principal: str) -> GrantLine:
    row = session.execute(_same_subject(_OF_BOOK, book, subject), {"book": book.id}).one_or_none()
    if row is None:
        raise NotFoundError("grant", principal, f"See: radicale-shared grant list {book.address}")
    return _line(row)


def written(row: AnyRow) -> str:
    """A user or group as grants name it: ``user:LOGIN`` or ``group:SLUG``."""
    return f"{GROUP_PREFIX}{row.slug}" if row.kind == "group" else f"user:{row.login or row.slug}"


def _line(row: AnyRow) -> GrantLine:
    if row.audience == EVERYONE:
        principal = EVERYONE
    elif row.audience == DOMAIN:
        principal = f"{DOMAIN_PREFIX}{row.domain}"
    else:
        principal = written(row)
    terms = Terms(Role(row.role), row.until_at, access.hidden_by(row.hidden_fields))
    return GrantLine(row.id, principal, row.principal_id, terms, row.created_at)

"""Devices: clients with a password of their own, which reaches no further than its owner wants.

A device password is ``rs-`` and eight groups of four letters and digits, without those that look like others. The first
six tell which device it is, the rest is random. So one SELECT finds it, with the person and the books, and a keyed hash
of it is enough: nobody can guess 128 bits. Nothing of it is remembered, so a revoked device is out with the first
request that begins after the commit, in every process.

What of the person's rights a device has is ``access.Scope``. ``device_uses`` writes down when it was used;
``phone_profiles`` has how one that serves desk phones shows the books.
"""

from __future__ import annotations

import hmac
import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import Select, and_, bindparam, delete, func, insert, select
from sqlalchemy.orm import Session

from . import access, changes, people, texts
from .access import Scope
from .books import Book
from .changes import Actor
from .errors import AlreadyExistsError, NotAllowedHereError, NotFoundError, WrongValueError
from .models import ClientVersion, DeviceBook, Principal, Refusal, now, table
from .models import Device as DeviceTable
from .people import Person
from .statements import Rows, Statement

MOST_DEVICES = 50

_PREFIX = "rs"
# No 0, 1, i, l, o. 31 symbols, so that 26 of them have more than 128 bits.
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_KEY_LENGTH = 6
_SECRET_LENGTH = 26
_GROUP = 4
_FORM = re.compile(f"{_PREFIX}([{ALPHABET}]{{{_KEY_LENGTH + _SECRET_LENGTH}}})")
# Spaces and dashes aside; what is longer is no device password that was typed in.
_LONGEST_TYPED = 200
_SHORTEST_TYPED = len(_PREFIX) + _KEY_LENGTH + _SECRET_LENGTH


@dataclass(frozen=True, slots=True)
class Device:
    """A device, and whose it is.

    label: what its owner calls it
    scope: what of its owner's rights it has
    phones_only: whether it serves desk phones alone, and not CardDAV
    merged: whether it gets all books as one; None: decided by its User-Agent
    last_used_at: within an hour; from ``last_address``, by ``last_user_agent``
    """

    id: int
    principal_id: int
    slug: str
    login: str
    label: str
    scope: Scope
    phones_only: bool
    merged: bool | None
    created_at: datetime
    last_used_at: datetime | None
    last_address: str
    last_user_agent: str

    @property
    def client(self) -> str:
        """What its refused writes and its vCard version are kept by; see ``client_of``."""
        return f"device {self.id}"


_COLUMNS = (
    DeviceTable.id,
    DeviceTable.principal_id,
    Principal.slug,
    func.coalesce(Principal.login, "").label("login"),
    DeviceTable.label,
    DeviceTable.read_only,
    DeviceTable.all_books,
    DeviceTable.phones_only,
    DeviceTable.merged,
    DeviceTable.created_at,
    DeviceTable.last_used_at,
    DeviceTable.last_address,
    DeviceTable.last_user_agent,
    DeviceBook.book_id,
)


def _joined(query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """One row for each book of a device that may not use all, else one."""
    return (
        query.select_from(DeviceTable)
        .join(Principal, and_(Principal.id == DeviceTable.principal_id, Principal.state != "removed"))
        .join(DeviceBook, and_(DeviceBook.device_id == DeviceTable.id, ~DeviceTable.all_books), isouter=True)
    )


def selected(*more: Any) -> Select[*tuple[Any, ...]]:
    """What a query selects to make Devices of its rows (``of_rows``), and ``more`` columns behind that."""
    return _joined(select(*_COLUMNS, *more))


def with_password(*more: Any) -> Select[*tuple[Any, ...]]:
    """``selected`` for ``found_by_password``: the device of an active person whose password begins with ``key``."""
    of_active = (DeviceTable.key_id == bindparam("key"), Principal.kind == "user", Principal.state == "active")
    return selected(DeviceTable.digest, *more).where(*of_active)


_SIGN_IN = Statement(
    with_password(Principal.login_folded, Principal.directory_login, Principal.domain, Principal.email)
)
_OF_USER = Statement(selected().where(DeviceTable.principal_id == bindparam("principal")))
_STANDING = Statement(
    selected().where(DeviceTable.id == bindparam("device"), Principal.kind == "user", Principal.state == "active")
)
_devices = table(DeviceTable)


# -- passwords ---------------------------------------------------------------------------------------------------------


def new_password() -> str:
    """A device password that nobody has."""
    plain = "".join(secrets.choice(ALPHABET) for _ in range(_KEY_LENGTH + _SECRET_LENGTH))
    return "-".join([_PREFIX, *(plain[start : start + _GROUP] for start in range(0, len(plain), _GROUP))])


def parse(typed: str) -> str | None:
    """The letters and digits of a device password behind its ``rs-``; None for what hasn't the form of one.

    typed: as somebody typed it on a phone: capitals, spaces and any dashes or none don't matter
    """
    if not _SHORTEST_TYPED <= len(typed) <= _LONGEST_TYPED:
        return None
    found = _FORM.fullmatch("".join(char for char in typed.lower() if not _is_passed_over(char)))
    return found[1] if found else None


def _is_passed_over(char: str) -> bool:
    # Keyboards that correct what is typed make a dash of two hyphens; Cf is what copying from a web page brings along.
    return char.isspace() or char == "\N{MINUS SIGN}" or unicodedata.category(char) in {"Pd", "Cf"}


def _digest(plain: str, secret: bytes) -> bytes:
    return blake2b(plain.encode(), key=secret, digest_size=32, person=b"device password").digest()


def sign_in(session: Session, login: str, password: str, *, secret: bytes) -> Device | None:
    """The device with this password, if ``login`` is its owner's, who is active; one SELECT.

    login: as for the owner's own password: the login, that of the directory, with its domain or not, the mail address
    secret: the database's
    """
    if "\x00" in login:
        return None
    found = found_by_password(session, _SIGN_IN, password, secret=secret)
    if found is None:
        return None
    device, names = found
    return device if {people.folded(login), _bare(login)} & _logins(*names) else None


def found_by_password(
    session: Session, query: Statement, password: str, *, secret: bytes
) -> tuple[Device, Sequence[Any]] | None:
    """The device with this password, and the other columns of its rows; one SELECT.

    query: of ``with_password``
    secret: the database's
    """
    plain = parse(password)
    if plain is None:
        return None
    rows = query.rows(session, key=plain[:_KEY_LENGTH])
    digest, *more = rows[0][len(_COLUMNS) :] if rows else (bytes(32),)
    # As much work for a device that isn't there.
    if not hmac.compare_digest(_digest(plain, secret), digest) or not rows:
        return None
    return _device(rows), more


def standing(session: Session, device: Device) -> Device | None:
    """A device that signed in, as it is now; None where it was revoked, or its owner is disabled. One SELECT."""
    rows = _STANDING.rows(session, device=device.id)
    found = _device(rows) if rows else None
    # SQLite may give the number to another device.
    same = found is not None and (found.created_at, found.slug) == (device.created_at, device.slug)
    return found if same else None


def _bare(login: str) -> str:
    r"""``login`` without the ``DOMAIN\`` before it, folded: which domain it is, the password tells."""
    return people.folded(login.rpartition("\\")[2])


def _logins(login: str | None, directory_login: str | None, domain: str, email: str) -> set[str]:
    names = {name for name in (login, directory_login) if name}
    domains = {f"{name}@{domain}" for name in names if domain}
    return {*names, *domains, *({people.folded(email)} if email else ())}


def client_of(device: Device | None, user_agent: str) -> str:
    """What tells one client of a person from another: the device, else its kind of program.

    By the device two phones with the same app are told apart.
    """
    return device.client if device else changes.client_of(user_agent)


# -- keeping them ------------------------------------------------------------------------------------------------------


def add(
    session: Session,
    person: Person,
    label: str,
    *,
    secret: bytes,
    by: Actor,
    only: Sequence[Book] | None = None,
    read_only: bool = False,
    phones_only: bool = False,
    merged: bool | None = None,
) -> tuple[Device, str]:
    """Give a person's device a password of its own; returns it, which is not to be had again, with the device.

    label: what to call it; the person has no other of that name
    secret: the database's
    only: the books it may use; None for all that its owner may, also later ones
    read_only: whether it may read and nothing else

    Raises AlreadyExistsError, NotAllowedHereError for a label that can't be one, a person who can't sign in, a book
    that the person can't read, or more than MOST_DEVICES.
    """
    label = texts.checked(label, 200, what="label")
    if not label:
        raise WrongValueError("A device needs a label, by which its owner knows it.")
    people.lock(session, person.id)
    if people.by_slug(session, person.slug) is None:
        raise NotAllowedHereError(f"{person.login!r} is disabled: no device of theirs could sign in.")
    known = of_user(session, person.id)
    if any(_same(one.label, label) for one in known):
        raise AlreadyExistsError("device", label, "Revoke that one first, or choose another label.")
    if len(known) >= MOST_DEVICES:
        raise NotAllowedHereError(f"{person.login!r} has {MOST_DEVICES} devices, which is the most; revoke one first.")
    if only is not None:
        _require_readable(session, person, only)
    password = new_password()
    while _is_taken(session, password):
        password = new_password()
    plain = parse(password) or ""
    device_id: int = session.execute(
        insert(_devices)
        .values(
            principal_id=person.id,
            label=label,
            key_id=plain[:_KEY_LENGTH],
            digest=_digest(plain, secret),
            read_only=read_only,
            phones_only=phones_only,
            all_books=only is None,
            merged=merged,
            created_at=now(),
            last_address="",
            last_user_agent="",
        )
        .returning(_devices.c.id)
    ).scalar_one()
    if only is not None:
        rows = [{"device_id": device_id, "book_id": one} for one in sorted({book.id for book in only})]
        session.execute(insert(table(DeviceBook)), rows)
    changes.begin(session, "add-device", by, book_id=None, reason=f"{person.login}: {label}")
    return _labelled(session, person, label), password


def of_user(session: Session, principal_id: int) -> list[Device]:
    """A person's devices, by label."""
    return [device for device, _ in of_rows(_OF_USER.rows(session, principal=principal_id))]


def of_rows(rows: Rows) -> list[tuple[Device, Sequence[Any]]]:
    """The devices of the rows of ``selected``, by owner and label, each with the other columns of its rows."""
    by_id: dict[int, Rows] = {}
    for row in rows:
        by_id.setdefault(row[0], []).append(row)
    found = [(_device(one), one[0][len(_COLUMNS) :]) for one in by_id.values()]
    return sorted(found, key=lambda one: (one[0].slug, people.folded(one[0].label), one[0].id))


def revoke(session: Session, person: Person, label: str, *, by: Actor) -> Device:
    """End a device's password: no request that begins after the commit signs in by it. Raises NotFoundError."""
    people.lock(session, person.id)
    found = _labelled(session, person, label)
    # SQLite may give the number to the person's next device.
    for kept in (table(Refusal), table(ClientVersion)):
        session.execute(delete(kept).where(kept.c.principal_id == person.id, kept.c.client == found.client))
    session.execute(delete(_devices).where(_devices.c.id == found.id))
    changes.begin(session, "revoke-device", by, book_id=None, reason=f"{person.login}: {found.label}")
    return found


def _labelled(session: Session, person: Person, label: str) -> Device:
    for device in of_user(session, person.id):
        if _same(device.label, label):
            return device
    raise NotFoundError("device", label, f"See: radicale-shared device list {person.login}")


def _same(label: str, other: str) -> bool:
    return people.folded(label) == people.folded(other)


def _require_readable(session: Session, person: Person, only: Sequence[Book]) -> None:
    """Raise NotAllowedHereError unless the person may read these books: there would be nothing for the device."""
    if not only:
        raise WrongValueError("A device that may use no book is of no use.")
    readable = {one.book.id for one in access.all_readable(session, person.slug)}
    if missing := [book.address for book in only if book.id not in readable]:
        raise NotAllowedHereError(f"{person.login!r} can't read {', '.join(missing)}, and so no device of theirs can.")


def _is_taken(session: Session, password: str) -> bool:
    key = (parse(password) or "")[:_KEY_LENGTH]
    return session.scalar(select(DeviceTable.id).where(DeviceTable.key_id == key)) is not None


def _device(rows: Rows) -> Device:
    """A device of its rows, of which there is one for each book."""
    (of, principal, slug, login, label, read_only, all_books, phones_only, merged, *used) = rows[0][: len(_COLUMNS) - 1]
    books = (row[len(_COLUMNS) - 1] for row in rows)
    some = None if all_books else frozenset(book for book in books if book is not None)
    return Device(of, principal, slug, login, label, Scope(some, read_only), phones_only, merged, *used)

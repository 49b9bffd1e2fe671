"""How a device that serves desk phones shows the books: its profile, beside its password and scope (``devices``).

One password serves one phone, or all phones of a site that are set up alike. It reads and nothing else, and signs in to
what is for phones alone: a phone's configuration lies in files that many can read. What a phone sees of the books is
what its owner sees, within the device's scope, less what is hidden from phones (``phone_books``).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from . import changes, devices, numbers, people
from .books import Book
from .changes import Actor
from .devices import Device
from .entries import Entry, Number
from .errors import NotFoundError, WrongValueError
from .models import DatabaseState, PhoneProfile, table
from .models import Device as DeviceTable
from .numbers import REGIONS, Dial, digits_of
from .people import Person
from .statements import Statement

# What can be shown of a contact beside its name. What a phone doesn't show, it can't be searched by either.
FIELDS = (
    *("org", "title", "email", "note", "adr"),
    *("tel:work", "tel:mobile", "tel:home", "tel:fax", "tel:pager", "tel:other"),
)
DEFAULT_FIELDS = frozenset({"org", "tel:work", "tel:mobile", "tel:home", "tel:other"})
LANGUAGES = ("en", "de")
DEFAULT_ENTRIES = 10_000  # of one file; a make that takes fewer has a limit of its own
MOST_ENTRIES = 200_000
MOST_BYTES = 256 * 1024 * 1024
MOST_NETWORKS = 32

_MAKE = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_OUTSIDE_PREFIX = re.compile(r"[0-9*#]{0,8}")
_TRUNK = re.compile(r"\+[1-9][0-9]{4,13}")
_WRITTEN_TRUNK = re.compile(r"\+[0-9 ()./-]{1,40}")


class NameOrder(StrEnum):
    """How a name is written."""

    FAMILY = "family"  # Muster, Eva
    GIVEN = "given"  # Eva Muster
    WRITTEN = "written"  # as the card's FN


class SignIn(StrEnum):
    """Where a phone's password is taken from."""

    URL = "url"
    BASIC = "basic"
    BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What is chosen for one phone, or for all phones with one password.

    make: the name of a format
    networks: from which it may ask, e.g. ``10.20.0.0/16``; none: from all
    fields: what it shows beside names: some of FIELDS
    region: where it stands, ISO 3166; empty: as the server
    outside_prefix: dialled before every number but internal ones
    trunk: in E.164; what its own extensions stand behind: numbers that begin with it are dialled without it
    max_entries, max_bytes: of one file, within what its make takes; no bytes: as many as it takes
    language: of the texts on the phone, ``en`` or ``de``
    """

    make: str
    sign_in: SignIn = SignIn.URL
    networks: tuple[str, ...] = ()
    fields: frozenset[str] = DEFAULT_FIELDS
    name_order: NameOrder = NameOrder.FAMILY
    dial: Dial = Dial.E164
    region: str = ""
    outside_prefix: str = ""
    trunk: str = ""
    max_entries: int = DEFAULT_ENTRIES
    max_bytes: int = 0
    language: str = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile(Choices):
    """What one phone, or all phones with one password, get.

    region: where it stands, or else the server; empty only where neither is known
    own_region: where only the phone was told to stand
    """

    device: Device
    own_region: str

    @property
    def choices(self) -> Choices:
        """What was chosen, to be changed (``change``)."""
        told = {one.name: getattr(self, one.name) for one in fields(Choices)}
        return Choices(**{**told, "region": self.own_region})

    def shown(self, entry: Entry) -> Entry:
        """What of an entry the phone shows; it is searched by nothing else."""
        fields = self.fields
        return replace(
            entry,
            nickname="",
            org=entry.org if "org" in fields else "",
            units=entry.units if "org" in fields else (),
            title=entry.title if "title" in fields else "",
            role="",
            emails=entry.emails if "email" in fields else (),
            numbers=tuple([number for number in entry.numbers if f"tel:{number.kind}" in fields]),
            addresses=entry.addresses if "adr" in fields else (),
            urls=(),
            note=entry.note if "note" in fields else "",
            categories=(),
        )

    def dialled(self, number: Number) -> str:
        """What the phone dials for a number; empty for what it can't dial."""
        return numbers.dialled(
            number,
            dial=self.dial,
            region=self.region,
            outside_prefix=self.outside_prefix,
            trunk=self.trunk,
        )

    def may_ask_from(self, address: str) -> bool:
        """Whether a client of this IP address is in one of its networks."""
        if not self.networks:
            return True
        try:
            asks = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(asks, ipaddress.IPv6Address) and asks.ipv4_mapped:
            asks = asks.ipv4_mapped
        return any(asks in ipaddress.ip_network(one) for one in self.networks)


_profiles = table(PhoneProfile)
_of_server = select(DatabaseState.region).scalar_subquery()
_COLUMNS = (
    *(PhoneProfile.make, PhoneProfile.sign_in, PhoneProfile.networks, PhoneProfile.fields, PhoneProfile.name_order),
    *(PhoneProfile.dial, PhoneProfile.region, PhoneProfile.outside_prefix, PhoneProfile.trunk),
    *(PhoneProfile.max_entries, PhoneProfile.max_bytes, PhoneProfile.language, _of_server.label("of_server")),
)
_SIGN_IN = Statement(
    devices.with_password(*_COLUMNS)
    .join(PhoneProfile, PhoneProfile.device_id == DeviceTable.id)
    .where(DeviceTable.phones_only, PhoneProfile.sign_in != SignIn.BASIC.value)
)
_ALL = devices.selected(*_COLUMNS).join(PhoneProfile, PhoneProfile.device_id == DeviceTable.id)
_EVERY = Statement(_ALL)
_OF_USER = Statement(_ALL.where(DeviceTable.principal_id == bindparam("principal")))
_OF_DEVICE = Statement(select(*_COLUMNS).select_from(PhoneProfile).where(PhoneProfile.device_id == bindparam("device")))


# -- who asks ----------------------------------------------------------------------------------------------------------


def by_token(session: Session, token: str, *, secret: bytes) -> Profile | None:
    """The profile of a device by its password alone, as it stands in a URL; one SELECT.

    None for all other passwords alike: of no device, of one that isn't for phones or wants Basic, of one whose owner
    is disabled. From where it is asked is not looked at (``may_ask_from``).

    token: with dashes or without
    secret: the database's
    """
    found = devices.found_by_password(session, _SIGN_IN, token, secret=secret)
    return _profile(*found) if found else None


def of_device(session: Session, device: Device) -> Profile | None:
    """The profile of a device that has signed in otherwise; None unless it has one. One SELECT."""
    row = _OF_DEVICE.row(session, device=device.id)
    return _profile(device, row) if row and device.phones_only else None


# -- keeping them ------------------------------------------------------------------------------------------------------


def add(
    session: Session,
    person: Person,
    label: str,
    choices: Choices,
    *,
    secret: bytes,
    by: Actor,
    only: Sequence[Book] | None = None,
) -> tuple[Profile, str]:
    """Give a phone of a person a password and a profile; returns it with the password, which is not to be had again.

    label, secret, only: as in ``devices.add``

    Raises WrongValueError for a choice that can't be, and what ``devices.add`` raises.
    """
    choices = _checked(session, choices)
    device, password = devices.add(
        session, person, label, secret=secret, by=by, only=only, read_only=True, phones_only=True
    )
    session.execute(insert(_profiles).values(device_id=device.id, **_kept(choices)))
    changes.begin(session, "set-phone", by, book_id=None, reason=f"{person.login}: {device.label}, {choices.make}")
    return find(session, person, label), password


def change(session: Session, person: Person, label: str, choices: Choices, *, by: Actor) -> Profile:
    """Choose otherwise for a phone; its password and its books stay. Raises NotFoundError, WrongValueError."""
    people.lock(session, person.id)
    device = find(session, person, label).device
    choices = _checked(session, choices)
    session.execute(update(_profiles).where(_profiles.c.device_id == device.id).values(**_kept(choices)))
    changes.begin(session, "set-phone", by, book_id=None, reason=f"{person.login}: {device.label}, {choices.make}")
    return find(session, person, label)


def revoke(session: Session, person: Person, label: str, *, by: Actor) -> Profile:
    """End a phone's password, from the next request on. Raises NotFoundError; also for a device that is no phone."""
    gone = find(session, person, label)
    devices.revoke(session, person, gone.device.label, by=by)
    return gone


def find(session: Session, person: Person, label: str) -> Profile:
    """A person's phone by its label. Raises NotFoundError."""
    for one in of_user(session, person.id):
        if people.folded(one.device.label) == people.folded(label):
            return one
    raise NotFoundError("phone", label, f"See: radicale-shared phone list {person.login}")


def of_user(session: Session, principal_id: int) -> list[Profile]:
    """A person's phones, by label."""
    return [_profile(*one) for one in devices.of_rows(_OF_USER.rows(session, principal=principal_id))]


def every(session: Session) -> list[Profile]:
    """Everybody's phones, by owner and label."""
    return [_profile(*one) for one in devices.of_rows(_EVERY.rows(session))]


def _profile(device: Device, row: Sequence[Any]) -> Profile:
    """A profile of the values of _COLUMNS."""
    make, sign_in, networks, shown, name_order, dial, region, outside, trunk, entries, size, language, server = row
    return Profile(
        device=device,
        own_region=region,
        make=make,
        sign_in=SignIn(sign_in),
        networks=tuple(networks.split()),
        fields=frozenset(shown.split()),
        name_order=NameOrder(name_order),
        dial=Dial(dial),
        region=region or server,
        outside_prefix=outside,
        trunk=trunk,
        max_entries=entries,
        max_bytes=size,
        language=language,
    )


def _kept(choices: Choices) -> dict[str, Any]:
    """The columns of a profile's row."""
    return {
        **{one.name: getattr(choices, one.name) for one in fields(choices)},
        "networks": "\n".join(choices.networks),
        "fields": "\n".join(sorted(choices.fields)),
    }


# -- what can be chosen ------------------------------------------------------------------------------------------------


def _checked(session: Session, choices: Choices) -> Choices:
    """Choices as they are kept. Raises WrongValueError."""
    if not _MAKE.fullmatch(choices.make):
        raise WrongValueError(f"{choices.make!r} can't be the name of a make.")
    if unknown := sorted(choices.fields - set(FIELDS)):
        raise WrongValueError(f"There is no field {unknown[0]!r} of phones; use {', '.join(FIELDS)}.")
    if not any(field.startswith("tel:") for field in choices.fields):
        raise WrongValueError("A phone that shows no numbers is of no use: choose one field of tel: at least.")
    if choices.language not in LANGUAGES:
        raise WrongValueError(f"The language is one of {', '.join(LANGUAGES)}.")
    if not 1 <= choices.max_entries <= MOST_ENTRIES:
        raise WrongValueError(f"The entries of a file are a number from 1 to {MOST_ENTRIES}.")
    if choices.max_bytes and not 1000 <= choices.max_bytes <= MOST_BYTES:
        raise WrongValueError(
            f"The bytes of a file are a number from 1000 to {MOST_BYTES}, or 0 for as many as the make takes."
        )
    region = checked_region(choices.region)
    outside = "".join(choices.outside_prefix.split())
    if not _OUTSIDE_PREFIX.fullmatch(outside):
        raise WrongValueError("What is dialled for an outside line is at most 8 of 0-9, * and #.")
    if outside and choices.dial is Dial.E164:
        raise WrongValueError("A number with a + takes nothing before it: dial 00 or national with an outside line.")
    if choices.dial is Dial.NATIONAL and not (region or session.scalar(select(_of_server))):
        raise WrongValueError("National numbers need a region: say where the phone stands, or where the server does.")
    return Choices(
        **{
            **{one.name: getattr(choices, one.name) for one in fields(Choices)},
            "networks": _checked_networks(choices.networks),
            "region": region,
            "outside_prefix": outside,
            "trunk": _checked_trunk(choices.trunk),
        }
    )


def checked_region(written: str) -> str:
    """A country's two letters in capitals, or nothing. Raises WrongValueError."""
    region = written.strip().upper()
    if region and region not in REGIONS:
        raise WrongValueError(f"{written!r} is no country: use two letters of ISO 3166, e.g. DE, FR, US.")
    return region


def _checked_networks(written: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for one in written:
        try:
            found[str(ipaddress.ip_network(one.strip(), strict=False))] = None
        except ValueError as error:
            raise WrongValueError(f"{one!r} is no network: write an address, or one as in 10.20.0.0/16.") from error
    if len(found) > MOST_NETWORKS:
        raise WrongValueError(f"A phone has {MOST_NETWORKS} networks at most.")
    return tuple(found)


def _checked_trunk(written: str) -> str:
    trunk = written.strip()
    if not trunk:
        return ""
    plain = "+" + digits_of(trunk)
    if not _WRITTEN_TRUNK.fullmatch(trunk) or not _TRUNK.fullmatch(plain):
        raise WrongValueError("The trunk is what all own numbers begin with, with + and country code: e.g. +493023125.")
    return plain

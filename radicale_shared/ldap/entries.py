"""What an entry says: of a person whether they may sign in, of a group who is in it; what keys and DNs compare by."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..directory_settings import DirectorySettings
from ..people import folded

# Values of these are octets, and shown as identifiers are written (MS-DTYP, section 2.3.4.2: little endian).
BINARY_KEYS = frozenset({"objectguid"})
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FILETIME_BEGIN = datetime(1601, 1, 1, tzinfo=UTC)
_NEVER = {0, 0x7FFFFFFFFFFFFFFF}  # accountExpires (MS-ADA1, section 2.2)
_ACCOUNT_DISABLED = 0x2  # userAccountControl (MS-ADTS, section 2.2.16)
_LOCKED_FOR_EVER = "000001010000Z"  # draft-behera-ldap-password-policy-10, section 5.3.3: by an administrator


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a directory; ``attributes`` by their names in small letters."""

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]]

    def text(self, name: str) -> str:
        """The first value of an attribute, empty without one."""
        return next(iter(self.texts(name)), "")

    def texts(self, name: str) -> tuple[str, ...]:
        """The values of an attribute; what is no UTF-8 in them is replaced."""
        return tuple(value.decode("utf-8", "replace") for value in self.attributes.get(name.lower(), ()))


@dataclass(frozen=True, slots=True)
class PersonEntry:
    """A person of a directory.

    key: what stays when they are renamed or moved
    domain: theirs by the principal name, else the directory's first; empty if it has none
    active: whether nothing says that they may not sign in
    inactive_because: why they may not, a few words for administrators; empty for active people
    tells_state: whether it would say so; else whom a sign-in showed as disabled is so until one shows otherwise
    password_changed: changes with the password, where the directory tells it
    """

    key: str
    dn: str
    login: str
    name: str
    email: str
    domain: str
    active: bool
    inactive_because: str
    tells_state: bool
    password_changed: str
    entry: Entry


@dataclass(frozen=True, slots=True)
class GroupEntry:
    """A group of a directory; members as ``folded_dn`` writes them, logins as ``folded`` does."""

    key: str
    dn: str
    name: str
    members: frozenset[str]
    member_logins: frozenset[str]


class NoKeyError(Exception):
    """An entry lacks what it is known by; the message says what."""


def folded_dn(dn: str) -> str:
    """What distinguished names compare by: without regard to case, spaces, and how a character is escaped (RFC 4514).

    The parts of a name of several attributes (``cn=A+uid=B``) are sorted. What is no DN is only casefolded.
    """
    parts: list[str] = []
    for relative in _split(dn, ",;"):
        pairs = []
        for pair in _split(relative, "+"):
            name, is_pair, value = pair.partition("=")
            if not is_pair:
                return folded(dn)
            pairs.append(f"{name.strip().casefold()}={_folded_value(value)}")
        parts.append("+".join(sorted(pairs)))
    return ",".join(parts)


def person(settings: DirectorySettings, entry: Entry, now: datetime) -> PersonEntry:
    """What ``entry`` says of a person at a moment. Raises NoKeyError."""
    because = inactive_because(settings, entry, now)
    login = entry.text(settings.login_attribute).strip()
    return PersonEntry(
        key=key(entry, settings.key_attribute),
        dn=entry.dn,
        login=login,
        name=entry.text(settings.name_attribute).strip() or login,
        email=entry.text(settings.mail_attribute).strip(),
        domain=_domain(settings, entry),
        active=not because,
        inactive_because=because,
        tells_state=bool(because) or _tells_state(settings, entry),
        password_changed=entry.text(settings.password_changed_attribute),
        entry=entry,
    )


def group(settings: DirectorySettings, entry: Entry) -> GroupEntry:
    """What ``entry`` says of a group. Raises NoKeyError."""
    return GroupEntry(
        key=key(entry, settings.group_key_attribute),
        dn=entry.dn,
        name=entry.text(settings.group_name_attribute).strip() or entry.dn,
        members=_dns(value for name in settings.member_attributes for value in entry.texts(name)),
        member_logins=frozenset(folded(login) for login in entry.texts(settings.member_login_attribute)),
    )


def key(entry: Entry, attribute: str) -> str:
    """What an entry is known by: its value of ``attribute``, without one its folded DN. Raises NoKeyError."""
    if not attribute:
        return folded_dn(entry.dn)
    values = entry.attributes.get(attribute.lower(), ())
    if not values or not values[0]:
        raise NoKeyError(f"{entry.dn!r} has no {attribute}, or the reader may not see it")
    if attribute.lower() in BINARY_KEYS:
        if len(values[0]) != 16:
            raise NoKeyError(f"the {attribute} of {entry.dn!r} is not one")
        return str(uuid.UUID(bytes_le=values[0]))
    text = values[0].decode("utf-8", "replace").strip()
    return text.lower() if _UUID.fullmatch(text.lower()) else text


def searched(known: str, attribute: str) -> str | bytes:
    """The value by which an entry with this key is searched."""
    if attribute.lower() in BINARY_KEYS and _UUID.fullmatch(known):
        return uuid.UUID(known).bytes_le
    return known


def inactive_because(settings: DirectorySettings, entry: Entry, now: datetime) -> str:
    """Why the person of an entry may not sign in at a moment, by the state_attributes; empty if nothing says so."""
    if not entry.text(settings.login_attribute).strip():
        return f"no {settings.login_attribute}"
    said = {name: text for name in settings.state_attributes if (text := entry.text(name).strip())}
    control, expires, shadow = (
        _number(said.get(name, "")) for name in ("userAccountControl", "accountExpires", "shadowExpire")
    )
    if control is not None and control & _ACCOUNT_DISABLED:
        return "disabled (userAccountControl)"
    if expires is not None and expires not in _NEVER and _after(_FILETIME_BEGIN, expires / 10_000_000) <= now:
        return "expired (accountExpires)"
    if said.get("nsAccountLock", "").lower() == "true":
        return "locked by an administrator (nsAccountLock)"
    if said.get("pwdAccountLockedTime") == _LOCKED_FOR_EVER:
        return "locked by an administrator (pwdAccountLockedTime)"
    if shadow is not None and shadow >= 0 and _after(datetime(1970, 1, 1, tzinfo=UTC), shadow * 86400) <= now:
        return "expired (shadowExpire)"
    if (until := generalized_time(said.get("krbPrincipalExpiration", ""))) and until <= now:
        return "expired (krbPrincipalExpiration)"
    return ""


def _tells_state(settings: DirectorySettings, entry: Entry) -> bool:
    """Whether what is read of an entry would say that somebody is disabled.

    On Active Directory everybody has a userAccountControl: without one it is the reader who may not see it. The others
    are there only while they say so.
    """
    control = "userAccountControl"
    if control in settings.state_attributes:
        return _number(entry.text(control).strip()) is not None
    return bool(settings.state_attributes)


def generalized_time(text: str) -> datetime | None:
    """A moment as directories write it, ``20260131235959Z`` (RFC 4517, section 3.3.13); None for anything else."""
    found = re.fullmatch(r"(\d{14})(?:[.,]\d+)?Z", text.strip())
    try:
        return datetime.strptime(found[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC) if found else None
    except ValueError:
        return None


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?[0-9]{1,20}", text) else None


def _after(begin: datetime, seconds: float) -> datetime:
    try:
        return begin + timedelta(seconds=seconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def _domain(settings: DirectorySettings, entry: Entry) -> str:
    suffix = folded(entry.text(settings.principal_name_attribute).rpartition("@")[2])
    known = [domain for domain in settings.domains if folded(domain) == suffix]
    return next(iter([*known, *settings.domains]), "")


def _dns(values: Iterable[str]) -> frozenset[str]:
    """Folded DNs; Name and Optional UID (RFC 4517, section 3.3.21), uniqueMember's syntax, without the UID."""
    return frozenset(folded_dn(re.sub(r"#'[01]*'B$", "", value)) for value in values)


def _split(text: str, separators: str) -> list[str]:
    """``text`` cut at those separators that are neither escaped nor in quotes (RFC 2253, section 4, has quotes)."""
    parts, begin, at, is_quoted = [], 0, 0, False
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == '"':
            is_quoted = not is_quoted
        elif text[at] in separators and not is_quoted:
            parts.append(text[begin:at])
            begin = at + 1
        at += 1
    return [*parts, text[begin:]]


def _folded_value(value: str) -> str:
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    octets = bytearray()
    at = 0
    while at < len(value):
        if value[at] == "\\" and re.fullmatch(r"[0-9A-Fa-f]{2}", value[at + 1 : at + 3]):
            octets.append(int(value[at + 1 : at + 3], 16))
            at += 3
            continue
        at += value[at] == "\\"  # the next one stands for itself; a space at the very end was stripped above
        octets += value[at : at + 1].encode("utf-8", "surrogatepass")
        at += 1
    plain = " ".join(folded(octets.decode("utf-8", "replace")).split())
    # Written one way, so that two names are equal as texts exactly if their values are.
    return re.sub(r'[,;+"\\<>=#]', lambda found: f"\\{found[0]}", plain)


def escaped_in_dn(value: str) -> str:
    """``value`` as it may stand in a DN (RFC 4514, section 2.4)."""
    written = re.sub(r'[,;+"\\<>=#]', lambda found: f"\\{found[0]}", value).replace("\0", "\\00")
    if written.startswith(" "):
        written = f"\\{written}"
    return f"{written[:-1]}\\ " if written.endswith(" ") and not written.endswith("\\ ") else written

"""The organisation's directories in the settings file: typed, frozen and checked.

``settings_file`` is the only caller.
"""

from __future__ import annotations

import dataclasses
import os
import re
import ssl
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from . import ldap_syntax, tables
from .errors import ConfigurationError

_NAME = re.compile(r"[a-z0-9-]{1,64}")

# What of a card can be mapped: the property, and behind the dash which part or type of it. ``ldap.mapping`` says how.
MIRROR_FIELDS = (
    *("FN", "N-family", "N-given", "N-additional", "N-prefix", "N-suffix", "NICKNAME"),
    *("ORG", "ORG-unit", "TITLE", "ROLE", "EMAIL", "TEL-work", "TEL-cell", "TEL-home", "TEL-fax", "TEL-pager"),
    *("ADR-box", "ADR-street", "ADR-city", "ADR-region", "ADR-code", "ADR-country", "URL", "NOTE", "PHOTO"),
)
MIRROR_KINDS = ("individual", "org", "location")


@dataclass(frozen=True, slots=True)
class MirrorKind:
    """Further entries, which a filter selects: ``"org"`` (shared mailboxes), ``"location"`` (rooms), ``"individual"``.

    Whether they are disabled isn't looked at: mailboxes and rooms are disabled accounts by nature.
    """

    filter: str = ""
    kind: str = "individual"


@dataclass(frozen=True, slots=True)
class MirrorSettings:
    """How a directory's people become a read-only book; what it means is ``ldap.mirror``'s.

    book: OWNER/SLUG, its address; empty: nothing is mirrored. The owner is a group, made where it is missing
    name: the book's name; empty: its slug
    readers: principals as the command line names them, e.g. ``"everyone"``; granted when the book is made
    base: where the entries are; empty: people_base
    filter: beside the directory's people_filter, who is in it
    list: ``"full"`` lists all cards, ``"search"`` is searched only, ``"auto"`` lists up to ``full_up_to``
    photos: whether photos are mirrored; JPEG of at most 8 kB
    map: {one of MIRROR_FIELDS: attributes}, in the place of the defaults; no attributes: no such property
    kinds: what else is in it
    """

    book: str = ""
    name: str = ""
    readers: tuple[str, ...] = ()
    base: tuple[str, ...] = ()
    filter: str = ""
    list: str = "auto"
    full_up_to: int = 5000
    photos: bool = False
    map: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    kinds: tuple[MirrorKind, ...] = ()
    every_minutes: int = 60


@dataclass(frozen=True, slots=True)
class DirectorySettings:
    """One directory: where it is, who may read it, and what stands where in it.

    Defaults are those of kind ``"custom"``, the least common ground; PRESETS has what the other kinds have elsewhere.

    name: people and groups are kept by it, so it is for ever
    servers: URLs, tried in order, the one that worked last first
    server_name: the name in the certificate where it isn't the one in the URL
    bind_dn, bind_password: who reads; both empty: anonymous
    domains: names that people may put before or behind their login; the first is theirs in grants to a domain
    login_aliases: attributes whose value may be typed instead of the login
    key_attribute: what stays when somebody is renamed or moved; empty: the DN
    principal_name_attribute: login with its domain, ``ada@example.org``
    state_attributes: which of those that tell of disabled and expired people count, see ``entries.inactive_because``
    bind_as: empty: the DN that was found; else a pattern with ``{login}``
    dn_attribute: where an entry's own DN can be searched
    nested_depth: levels of groups in groups, 1: none
    """

    name: str = ""
    kind: str = "custom"
    servers: tuple[str, ...] = ()
    start_tls: bool = True
    allow_plaintext: bool = False
    ca_file: str = ""
    server_name: str = ""
    connect_timeout_seconds: int = 5
    answer_timeout_seconds: int = 10
    bind_dn: str = ""
    bind_password: str = field(default="", repr=False)
    bind_password_file: str = ""
    domains: tuple[str, ...] = ()
    people_base: tuple[str, ...] = ()
    people_filter: str = "(objectClass=person)"
    login_attribute: str = "uid"
    login_aliases: tuple[str, ...] = ("mail",)
    key_attribute: str = ""
    name_attribute: str = "cn"
    mail_attribute: str = "mail"
    principal_name_attribute: str = ""
    state_attributes: tuple[str, ...] = ()
    password_changed_attribute: str = ""
    bind_as: str = ""
    group_base: tuple[str, ...] = ()
    group_filter: str = "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))"
    group_name_attribute: str = "cn"
    group_key_attribute: str = ""
    member_attributes: tuple[str, ...] = ("member", "uniqueMember")
    member_login_attribute: str = "memberUid"
    member_of_attribute: str = ""
    dn_attribute: str = ""
    nested_depth: int = 10
    poll_seconds: int = 30
    offline_hours: int = 12
    recheck_minutes: int = 15
    wrong_passwords: int = 3
    wrong_passwords_minutes: int = 30
    mirror: MirrorSettings = MirrorSettings()

    @property
    def longest_answer(self) -> timedelta:
        """How long it may take until the directory has said what it thinks of a password.

        By ``ldap.connection``: a search and a bind, each of which may wait for a connection, use one that hangs, and
        try one server after another, with StartTLS and the reader's bind. Groups come later: it is right then.
        """
        seconds = 0
        for requests in (len(self.people_base), 1):
            seconds += self.connect_timeout_seconds + (1 + requests) * self.answer_timeout_seconds
            seconds += len(self.servers) * (self.connect_timeout_seconds + (2 + requests) * self.answer_timeout_seconds)
        return timedelta(seconds=seconds)


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "openldap": {
        "people_filter": "(objectClass=inetOrgPerson)",
        "key_attribute": "entryUUID",
        "group_key_attribute": "entryUUID",
        "state_attributes": ("pwdAccountLockedTime",),
        "password_changed_attribute": "pwdChangedTime",
        "member_of_attribute": "memberOf",
        "dn_attribute": "entryDN",
    },
    "ad": {
        # Computers are users too: objectCategory tells them apart.
        "people_filter": "(&(objectCategory=person)(objectClass=user))",
        "login_attribute": "sAMAccountName",
        "login_aliases": ("userPrincipalName", "mail"),
        "key_attribute": "objectGUID",
        "name_attribute": "displayName",
        "principal_name_attribute": "userPrincipalName",
        "state_attributes": ("userAccountControl", "accountExpires"),
        "password_changed_attribute": "pwdLastSet",
        # Windows' own groups (BUILTIN) are about machines.
        "group_filter": "(&(objectClass=group)(!(groupType:1.2.840.113556.1.4.803:=1)))",
        "group_key_attribute": "objectGUID",
        "member_attributes": ("member",),
        "member_login_attribute": "",
        "dn_attribute": "distinguishedName",
    },
    "389": {
        "people_filter": "(objectClass=inetOrgPerson)",
        "key_attribute": "nsUniqueId",
        "group_key_attribute": "nsUniqueId",
        "state_attributes": ("nsAccountLock",),
        "password_changed_attribute": "pwdUpdateTime",
        "member_of_attribute": "memberOf",
        "dn_attribute": "entrydn",
    },
    "freeipa": {
        "people_filter": "(objectClass=inetOrgPerson)",
        "key_attribute": "ipaUniqueID",
        "group_filter": "(objectClass=ipaUserGroup)",
        "group_key_attribute": "ipaUniqueID",
        "state_attributes": ("nsAccountLock", "krbPrincipalExpiration"),
        "password_changed_attribute": "krbLastPwdChange",
        "member_attributes": ("member",),
        "member_login_attribute": "",
        "member_of_attribute": "memberOf",
        "dn_attribute": "entrydn",
    },
    "custom": {},
}

# What can be read of a person's state, and disables them; the rules are ``entries.inactive_because``'s.
STATES = (
    "userAccountControl",
    "accountExpires",
    "nsAccountLock",
    "pwdAccountLockedTime",
    "shadowExpire",
    "krbPrincipalExpiration",
)

# So many are remembered of a login (``sign_ins.MOST_REMEMBERED``), and can be counted.
_MOST_WRONG_PASSWORDS = 20
_FILTERS = ("people_filter", "group_filter")
_ATTRIBUTES = (
    *("login_attribute", "key_attribute", "name_attribute", "mail_attribute", "principal_name_attribute"),
    *("password_changed_attribute", "group_name_attribute", "group_key_attribute"),
    *("member_login_attribute", "member_of_attribute", "dn_attribute"),
)
_ATTRIBUTE_LISTS = ("login_aliases", "member_attributes", "state_attributes")
_NEEDED = ("people_base", "people_filter", "login_attribute", "name_attribute", "group_filter", "group_name_attribute")


def read(path: str, listed: Any) -> tuple[DirectorySettings, ...]:
    """The directories that a settings file describes, in its order.

    path: of the file, for messages
    listed: what stands under ``directory`` in it

    Raises ConfigurationError.
    """
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise ConfigurationError(f"{path}: a directory is a table of its own: [[directory]], with two brackets.")
    found = tuple(_directory(path, number, table) for number, table in enumerate(listed, 1))
    if any(one.bind_password and not one.bind_password_file for one in found) and os.stat(path).st_mode & stat.S_IROTH:
        raise ConfigurationError(f"{path} has a bind_password and is readable by everyone; chmod o= it.")
    _refuse_twins(path, found)
    return found


def _directory(path: str, number: int, table: dict[str, Any]) -> DirectorySettings:
    name = table.get("name")
    where = f"{path}: [[directory]] {name!r}" if isinstance(name, str) and name else f"{path}: [[directory]] {number}"
    kind = table.get("kind", "custom")
    if not isinstance(kind, str) or kind not in PRESETS:
        raise ConfigurationError(f"{where}: kind must be one of {', '.join(PRESETS)}; it is {kind!r}.")
    settings = tables.read(where, DirectorySettings, table, PRESETS[kind])
    settings = _with_password(where, settings)
    _check(where, settings)
    _check_servers(where, settings)
    _check_mirror(f"{where} [directory.mirror]", settings.mirror)
    return settings


def _with_password(where: str, settings: DirectorySettings) -> DirectorySettings:
    """``settings`` with the password of the file that bind_password_file names."""
    password = tables.secret(where, "bind_password", settings.bind_password, settings.bind_password_file)
    if settings.bind_dn and not password:
        # A directory takes a name without a password for an anonymous bind (RFC 4513, section 5.1.2).
        raise ConfigurationError(f"{where}: bind_dn needs bind_password_file, and a password that isn't empty.")
    if password and not settings.bind_dn:
        raise ConfigurationError(f"{where} has a password, and no bind_dn that it is for.")
    return dataclasses.replace(settings, bind_password=password)


def _check(where: str, settings: DirectorySettings) -> None:
    if not _NAME.fullmatch(settings.name):
        raise ConfigurationError(f"{where}: name must be 1 to 64 small letters, digits and '-'; it is for ever.")
    for key in _NEEDED:
        if not getattr(settings, key):
            raise ConfigurationError(f"{where}: {key} is missing.")
    for key in _FILTERS:
        _check_filter(f"{where}: {key}", getattr(settings, key))
    for key in _ATTRIBUTES:
        _check_attributes(f"{where}: {key}", [one] if (one := getattr(settings, key)) else [])
    for key in _ATTRIBUTE_LISTS:
        _check_attributes(f"{where}: {key}", getattr(settings, key))
    if odd := [one for one in settings.state_attributes if one not in STATES]:
        raise ConfigurationError(f"{where}: state_attributes has {odd[0]!r}; what is understood: {', '.join(STATES)}.")
    if settings.bind_as and (
        settings.bind_as.count("{login}") != 1 or re.search(r"[{}]", settings.bind_as.replace("{login}", ""))
    ):
        raise ConfigurationError(f"{where}: bind_as must have {{login}} once and no other braces.")
    if settings.wrong_passwords > _MOST_WRONG_PASSWORDS:
        raise ConfigurationError(f"{where}: wrong_passwords must be {_MOST_WRONG_PASSWORDS} or less.")
    if settings.member_of_attribute and not settings.dn_attribute:
        raise ConfigurationError(f"{where}: member_of_attribute needs dn_attribute.")
    for domain in settings.domains:
        if not re.fullmatch(r"[^\s@\\/]{1,255}", domain):
            raise ConfigurationError(f"{where}: domains has {domain!r}, which is no domain.")


def _check_servers(where: str, settings: DirectorySettings) -> None:
    if not settings.servers:
        raise ConfigurationError(f"{where}: servers is missing.")
    for url in settings.servers:
        try:
            parts = urlsplit(url)
            port, host = parts.port, parts.hostname
        except ValueError as error:
            raise ConfigurationError(f"{where}: servers has {url!r}: {error}") from error
        if parts.scheme not in {"ldap", "ldaps"} or not host or port == 0 or parts.path not in {"", "/"}:
            raise ConfigurationError(f"{where}: servers has {url!r}; expected is ldaps://HOST or ldap://HOST:PORT.")
        if parts.scheme == "ldap" and not settings.start_tls and not settings.allow_plaintext:
            raise ConfigurationError(
                f"{where}: {url} without start_tls would send passwords readable by everyone on the way. "
                "Use ldaps:// or start_tls = true; allow_plaintext = true if it must be so."
            )
    if settings.ca_file:
        try:
            ssl.create_default_context(cafile=settings.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"{where}: ca_file {settings.ca_file!r} holds no certificates: {error}") from error


def _check_mirror(where: str, mirror: MirrorSettings) -> None:
    if mirror == MirrorSettings():
        return
    if not re.fullmatch(r"[a-z0-9_@-][a-z0-9._@-]{0,199}/[a-z0-9_@-][a-z0-9._@-]{0,199}", mirror.book):
        raise ConfigurationError(f"{where}: book must be OWNER/SLUG, e.g. company/people; it is {mirror.book!r}.")
    if mirror.list not in {"auto", "full", "search"}:
        raise ConfigurationError(f"{where}: list must be auto, full or search; it is {mirror.list!r}.")
    if mirror.filter:
        _check_filter(f"{where}: filter", mirror.filter)
    for reader in mirror.readers:
        if not re.fullmatch(r"everyone|(?:user|group|domain):.+", reader):
            raise ConfigurationError(
                f"{where}: readers has {reader!r}; write user:LOGIN, group:NAME, domain:NAME or everyone."
            )
    for one in mirror.kinds:
        _check_filter(f"{where}: kinds", one.filter)
        if one.kind not in MIRROR_KINDS:
            raise ConfigurationError(f"{where}: a kind is {', '.join(MIRROR_KINDS)}; it is {one.kind!r}.")
    for name, attributes in mirror.map.items():
        if name not in MIRROR_FIELDS:
            raise ConfigurationError(f"{where}: map has {name!r}; what can be mapped: {', '.join(MIRROR_FIELDS)}.")
        _check_attributes(f"{where}: map.{name}", attributes)


def _refuse_twins(path: str, found: Sequence[DirectorySettings]) -> None:
    names: set[str] = set()
    domains: dict[str, str] = {}
    for settings in found:
        if settings.name in names:
            raise ConfigurationError(f"{path}: two directories have the name {settings.name!r}.")
        names.add(settings.name)
        for domain in settings.domains:
            if domains.setdefault(domain.casefold(), settings.name) != settings.name:
                raise ConfigurationError(
                    f"{path}: the domain {domain!r} is {domains[domain.casefold()]!r}'s and {settings.name!r}'s; "
                    "a login in it must name one directory."
                )


def _check_attributes(where: str, names: Sequence[str]) -> None:
    if odd := [name for name in names if not ldap_syntax.is_attribute(name)]:
        raise ConfigurationError(f"{where} has {odd[0]!r}, which is no name of an attribute.")


def _check_filter(where: str, text: str) -> None:
    if not ldap_syntax.is_filter(text):
        raise ConfigurationError(f"{where} is no LDAP filter: {text!r}")

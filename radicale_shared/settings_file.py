"""The TOML file beside Radicale's configuration: what doesn't fit into sections of single lines, typed and frozen.

``[storage] settings_file`` names it; ``settings`` is the only caller. Everything that is unknown or wrong is refused
with the file, the table and the key. config/settings.toml is the sample, docs/configuration.md explains the same keys;
a test holds both to the classes here.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from . import directory_settings, tables
from .directory_settings import DirectorySettings
from .errors import ConfigurationError

ROLES = ("viewer", "contributor", "editor", "curator", "manager", "owner")
# Without what has to be escaped in one (RFC 4514, section 2.4).
_PLAIN_RDN = r"[A-Za-z][A-Za-z0-9-]*=[\w.-]+( [\w.-]+)*"
_PLAIN_DN = re.compile(f"{_PLAIN_RDN}(,{_PLAIN_RDN})*")
_ADDRESS = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+")
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_PERCENT = 100
_LONGEST_MINUTES = 24 * 60  # what was destroyed earlier isn't known any more
_LONGEST_HOURS = 365 * 24
_HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class GuardRole:
    """How much the guard lets through for people of one role; what isn't told is as for all others."""

    enabled: bool = True
    cards: int = 0
    percent: int = 0


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """When a device's deletions are stopped (``guard``): what is true for every book that has no rule of its own.

    cards, percent: so many cards of a book may be deleted or emptied, or this part of it if that is more
    minutes: in this time
    release_hours: after so long the guard lets the device delete again
    role: {role: what is otherwise for it}
    """

    enabled: bool = True
    cards: int = 10
    percent: int = 5
    minutes: int = 10
    release_hours: int = 24
    role: Mapping[str, GuardRole] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """Who is told, and how, when the guard stops a device.

    smtp_host: empty: no mail
    smtp_security: ``"starttls"``, ``"tls"`` or ``"none"``
    mail_from: the sender's address
    mail_to: who is told of everything
    managers: whether those who manage a book are told of it, at the addresses of their accounts
    webhook_url: gets a POST of JSON; empty: none
    webhook_secret: key of the signature in its header
    """

    smtp_host: str = ""
    smtp_port: int = 587
    smtp_security: str = "starttls"
    smtp_user: str = ""
    smtp_password: str = field(default="", repr=False)
    smtp_password_file: str = ""
    mail_from: str = ""
    mail_to: tuple[str, ...] = ()
    managers: bool = True
    webhook_url: str = ""
    webhook_secret: str = field(default="", repr=False)
    webhook_secret_file: str = ""
    timeout_seconds: int = 10


@dataclass(frozen=True, slots=True)
class HistorySettings:
    """How long what was is kept, in books that say nothing else.

    keep_days: every earlier state of a card
    trash_days: deleted books
    """

    keep_days: int = 730
    trash_days: int = 90


@dataclass(frozen=True, slots=True)
class BackupSettings:
    """How backups are made.

    keep_days: how long one may be kept: it says so itself, and is removed from its folder then
    age_recipients: public keys it is encrypted for (``age1...``); none: it isn't encrypted
    age_identity_file: the private key, which verifying and restoring need
    warn_hours: how old the last verified one may be before ``doctor`` complains
    """

    keep_days: int = 30
    age_recipients: tuple[str, ...] = ()
    age_identity_file: str = ""
    warn_hours: int = 36


@dataclass(frozen=True, slots=True)
class PhonesSettings:
    """How desk phones are served.

    url: where they reach this server, e.g. ``https://contacts.example.org``: for the lines of their configuration
    cache_megabytes: of answers that each worker process keeps
    lookups_per_minute: callers' names that one device may ask for
    """

    url: str = ""
    cache_megabytes: int = 32
    lookups_per_minute: int = 120


@dataclass(frozen=True, slots=True)
class LdapServerSettings:
    """The LDAP view of the books.

    host, port, tls_port: where it listens, without and with TLS from the beginning; 0: it doesn't
    certificate, key: PEM files, for StartTLS and TLS
    base: DN that everything is below
    size_limit: entries of one search at most
    connections: at a time, of each process
    searches_per_minute: of one person or device
    plaintext_networks: which may bind without TLS, beside this machine
    """

    host: str = "127.0.0.1"
    port: int = 0
    tls_port: int = 0
    certificate: str = ""
    key: str = ""
    base: str = "dc=contacts"
    size_limit: int = 500
    time_limit_seconds: int = 10
    idle_seconds: int = 600
    connections: int = 512
    searches_per_minute: int = 600
    plaintext_networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileSettings:
    """Everything that the file says; without a file, the defaults."""

    directories: tuple[DirectorySettings, ...] = ()
    guard: GuardSettings = GuardSettings()
    notify: NotifySettings = NotifySettings()
    history: HistorySettings = HistorySettings()
    backup: BackupSettings = BackupSettings()
    phones: PhonesSettings = PhonesSettings()
    ldap_server: LdapServerSettings = LdapServerSettings()


_TABLES: Mapping[str, type[Any]] = {
    "guard": GuardSettings,
    "notify": NotifySettings,
    "history": HistorySettings,
    "backup": BackupSettings,
    "phones": PhonesSettings,
    "ldap_server": LdapServerSettings,
}


def load(path: str) -> FileSettings:
    """What the file says.

    path: absolute, or relative to the working folder

    Raises ConfigurationError.
    """
    try:
        mode = os.stat(path).st_mode
        told = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:  # also what TOML and UTF-8 refuse
        raise ConfigurationError(f"[storage] settings_file {path!r} can't be read: {error}") from error
    directories = directory_settings.read(path, told.pop("directory", []))
    found = FileSettings(directories)
    for name, table in told.items():
        if name not in _TABLES:
            known = ", ".join(f"[{one}]" for one in _TABLES)
            raise ConfigurationError(f"{path}: there is no table or key {name!r}; known are [[directory]], {known}.")
        if not isinstance(table, dict):
            raise ConfigurationError(f"{path}: {name} is a table: [{name}].")
        read: Any = tables.read(f"{path}: [{name}]", _TABLES[name], table, {})
        found = dataclasses.replace(found, **{name: read})
    _check_guard(f"{path}: [guard]", found.guard)
    notify = _checked_notify(f"{path}: [notify]", found.notify)
    if mode & stat.S_IROTH and (found.notify.smtp_password or found.notify.webhook_secret):
        raise ConfigurationError(f"{path} has a secret and is readable by everyone; chmod o= it.")
    _check_backup(f"{path}: [backup]", found.backup)
    _check_phones(f"{path}: [phones]", found.phones)
    _check_ldap_server(f"{path}: [ldap_server]", found.ldap_server)
    return dataclasses.replace(found, notify=notify)


def _check_guard(where: str, guard: GuardSettings) -> None:
    for role in guard.role:
        if role not in ROLES:
            raise ConfigurationError(f"{where}: role has {role!r}; a role is {', '.join(ROLES)}.")
    for percent in (guard.percent, *(one.percent for one in guard.role.values())):
        if percent > _PERCENT:
            raise ConfigurationError(f"{where}: percent must be {_PERCENT} or less; it is {percent}.")
    if guard.minutes > _LONGEST_MINUTES:
        raise ConfigurationError(f"{where}: minutes must be {_LONGEST_MINUTES} or less; it is {guard.minutes}.")
    if guard.release_hours > _LONGEST_HOURS:
        raise ConfigurationError(
            f"{where}: release_hours must be {_LONGEST_HOURS} or less; it is {guard.release_hours}."
        )


def _checked_notify(where: str, notify: NotifySettings) -> NotifySettings:
    """``notify`` with the secrets of the files it names."""
    if notify.smtp_security not in {"starttls", "tls", "none"}:
        raise ConfigurationError(
            f"{where}: smtp_security must be starttls, tls or none; it is {notify.smtp_security!r}."
        )
    for address in (*notify.mail_to, *filter(None, [notify.mail_from])):
        if not _ADDRESS.fullmatch(address):
            raise ConfigurationError(f"{where}: {address!r} is no mail address.")
    if notify.smtp_host and not notify.mail_from:
        raise ConfigurationError(f"{where}: smtp_host needs mail_from.")
    if notify.mail_to and not notify.smtp_host:
        raise ConfigurationError(f"{where}: mail_to needs smtp_host.")
    if notify.smtp_user and notify.smtp_security == "none" and notify.smtp_host not in _THIS_MACHINE:
        raise ConfigurationError(f"{where}: a password goes unencrypted to this machine only; use starttls or tls.")
    if notify.webhook_url:
        _check_webhook(where, notify.webhook_url)
    password = tables.secret(where, "smtp_password", notify.smtp_password, notify.smtp_password_file)
    key = tables.secret(where, "webhook_secret", notify.webhook_secret, notify.webhook_secret_file)
    return dataclasses.replace(notify, smtp_password=password, webhook_secret=key)


def _check_webhook(where: str, url: str) -> None:
    """What is wrong is told without the URL, which often is a secret itself."""
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise ConfigurationError(f"{where}: webhook_url has a character that can't be in a URL.")
    try:
        found = urlsplit(url)
        host, _ = found.hostname, found.port
    except ValueError as error:
        raise ConfigurationError(f"{where}: webhook_url names no host and port.") from error
    if found.scheme not in {"http", "https"}:
        raise ConfigurationError(f"{where}: webhook_url must begin with https:// or http://.")
    if not host:
        raise ConfigurationError(f"{where}: webhook_url names no host.")


def _check_backup(where: str, backup: BackupSettings) -> None:
    for recipient in backup.age_recipients:
        if not re.fullmatch(r"age1[0-9a-z]{10,}", recipient):
            raise ConfigurationError(f"{where}: age_recipients has {recipient!r}, which is no public key of age.")


def _check_phones(where: str, phones: PhonesSettings) -> None:
    if phones.url and not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", phones.url):
        raise ConfigurationError(f"{where}: url must be as in https://contacts.example.org; it is {phones.url!r}.")


def _check_ldap_server(where: str, server: LdapServerSettings) -> None:
    for name in ("port", "tls_port"):
        if getattr(server, name) > _HIGHEST_PORT:
            raise ConfigurationError(f"{where}: {name} must be {_HIGHEST_PORT} or less.")
    if server.tls_port and not server.certificate:
        raise ConfigurationError(f"{where}: tls_port needs a certificate.")
    if server.port and server.port == server.tls_port:
        raise ConfigurationError(f"{where}: port and tls_port are the same.")
    if not _PLAIN_DN.fullmatch(server.base):
        raise ConfigurationError(f"{where}: base must be a DN as in dc=contacts; it is {server.base!r}.")
    for network in server.plaintext_networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise ConfigurationError(f"{where}: plaintext_networks has {network!r}, which is no network.") from error

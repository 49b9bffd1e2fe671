"""The configuration, typed and frozen: this module is the only reader of it.

The file is Radicale's own INI. Options of this product stand in its sections ``[storage]`` and ``[auth]``; Radicale
refuses sections it doesn't know; what doesn't fit there is ``settings_file``'s. ``STORAGE_OPTIONS`` and
``AUTH_OPTIONS`` are the one source of names, defaults and explanations: config/radicale-shared.ini and
docs/configuration.md are held to them by a test.
"""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from radicale import config

from . import database, settings_file
from .database import Database
from .errors import ConfigurationError
from .settings_file import FileSettings

STORAGE_PLUGIN = "radicale_shared.storage_plugin"
AUTH_PLUGIN = "radicale_shared.auth_plugin"
EMBEDDED_FOLDER = "var"
EMBEDDED_FILE = "radicale-shared.db"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _whole(value: Any) -> int:
    number = int(value)
    if number < 1:
        raise ValueError("must be 1 or more")
    return number


def _bytes(value: Any) -> int:
    number = int(value)
    if number < 0:
        raise ValueError("must be 0 or more")
    return number


def _words(value: Any) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return value
    return tuple(part.strip() for part in str(value).split(",") if part.strip())


def _networks(value: Any) -> tuple[Network, ...]:
    if isinstance(value, tuple):
        return value
    return tuple(ipaddress.ip_network(part.strip(), strict=False) for part in str(value).split(",") if part.strip())


def _findable(value: Any) -> str:
    word = str(value).strip().lower()
    if word not in {"shared", "everyone", "nobody"}:
        raise ValueError("must be shared, everyone or nobody")
    return word


# Radicale's message for a value that is wrong: "Invalid NAME value for option ..."
_whole.__name__ = "whole number"
_bytes.__name__ = "number of bytes"
_words.__name__ = "list of words"
_networks.__name__ = "list of networks"
_findable.__name__ = "shared, everyone or nobody"

STORAGE_OPTIONS: Mapping[str, dict[str, Any]] = {
    "database_url": {
        "value": "",
        "help": "SQLAlchemy URL of the database: sqlite:////ABSOLUTE/PATH.db or postgresql+psycopg://USER@HOST/NAME",
        "type": str,
    },
    "database_url_file": {
        "value": "",
        "help": "file that holds the database URL (keeps its password out of the configuration)",
        "type": config.filepath,
    },
    "write_wait_seconds": {
        "value": "10",
        "help": "how long a write waits for other writes before the client is told to come back (503, Retry-After)",
        "type": _whole,
    },
    "pool_size": {
        "value": "10",
        "help": "database connections of one worker process",
        "type": _whole,
    },
    "threads": {
        "value": "192",
        "help": "requests that one worker process serves at a time; at most half of them may be waiting writes",
        "type": _whole,
    },
    "max_book_bytes": {
        "value": "0",
        "help": "bytes that the cards of one book may have together; a write beyond is refused (507); 0: no limit",
        "type": _bytes,
    },
    "max_user_bytes": {
        "value": "0",
        "help": "bytes that the cards of all books of one owner may have together; 0: no limit",
        "type": _bytes,
    },
    "merged_book_clients": {
        "value": "AddressBookCore, macOS/, Mac OS X/, Mac_OS_X/",
        "help": "parts of the User-Agent of programs that show one book only: they get all books merged into one; "
        "empty: nobody",
        "type": _words,
    },
    "administrators_read_personal_books": {
        "value": "False",
        "help": "whether the command line shows the cards of books that one user owns and no grant shares",
        "type": bool,
    },
    "settings_file": {
        "value": "",
        "help": "TOML file with what doesn't fit here: directories (LDAP, AD), guard, notices, history, backups",
        "type": config.filepath,
    },
}

AUTH_OPTIONS: Mapping[str, dict[str, Any]] = {
    "password_cache_seconds": {
        "value": "300",
        "help": "how long a verified password is remembered in memory (a change of password or rights ends it at once)",
        "type": _whole,
    },
    "attempts_per_address": {
        "value": "20",
        "help": "different wrong passwords in 5 minutes from one address (IPv6: /64); above, guessing is slowed down",
        "type": _whole,
    },
    "attempts_per_account": {
        "value": "10",
        "help": "different wrong passwords for one login in 15 minutes; above, guessing is slowed down",
        "type": _whole,
    },
    "trusted_proxies": {
        "value": "",
        "help": "networks of reverse proxies whose X-Forwarded-For and X-Script-Name are believed, e.g. 127.0.0.1, ::1",
        "type": _networks,
    },
    "device_passwords_only": {
        "value": "False",
        "help": "whether CardDAV clients sign in by device passwords alone, and never by a person's own password",
        "type": bool,
    },
    "find_people": {
        "value": "shared",
        "help": "which people and groups a user may find: those of the books they share (shared), everyone, or nobody",
        "type": _findable,
    },
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the configuration says, checked.

    database_url: SQLAlchemy URL
    embedded: whether nobody configured a database: SQLite under ./var, created by ``serve`` where it is missing
    max_card_size, max_body_size: bytes; 0 of the second means no limit
    max_book_bytes, max_user_bytes: what the cards of a book, and of all books of an owner, may have; 0 means no limit
    merged_book_clients: parts of the User-Agent of clients that get the merged book
    administrators_read_personal_books: whether the command line shows the cards of personal books; see ``personal``
    device_passwords_only: whether CardDAV clients sign in by device passwords alone
    find_people: ``"shared"``, ``"everyone"`` or ``"nobody"``; see ``principals.Findable``
    file: what the TOML file says
    hosts: (address, port) to listen on, in Radicale's order
    certificate, key: files for direct TLS, both empty without
    script_name: prefix of all URLs behind a proxy, without a slash at the end
    """

    database_url: str
    embedded: bool
    write_wait: timedelta
    pool_size: int
    threads: int
    password_cache: timedelta
    attempts_per_address: int
    attempts_per_account: int
    trusted_proxies: tuple[Network, ...]
    max_card_size: int
    max_body_size: int
    max_book_bytes: int
    max_user_bytes: int
    merged_book_clients: tuple[str, ...]
    administrators_read_personal_books: bool
    device_passwords_only: bool
    find_people: str
    file: FileSettings
    realm: str
    script_name: str
    hosts: tuple[tuple[str, int], ...]
    certificate: str
    key: str

    def connect(self) -> Database:
        """This process' Database of these settings; nothing is opened yet. Raises ConfigurationError."""
        return database.connect(
            self.database_url, pool_size=self.pool_size, write_wait=self.write_wait, threads=self.threads
        )


def load_configuration(path: str | None = None) -> config.Configuration:
    """The configuration of ``path``, else of RADICALE_CONFIG, else the embedded default under ./var.

    path: one INI file; RADICALE_CONFIG may name several, as Radicale reads it

    Raises ConfigurationError if a file is missing or can't be read, or a name or value in it is wrong.
    """
    try:
        if path:
            return config.load([(os.path.abspath(path), False)])
        if os.environ.get("RADICALE_CONFIG"):
            return config.load(config.parse_compound_paths(os.environ["RADICALE_CONFIG"]))
        configuration = config.load()
        configuration.update(
            {
                "storage": {"type": STORAGE_PLUGIN, "database_url": _embedded_url()},
                "auth": {"type": AUTH_PLUGIN},
                "rights": {"type": AUTH_PLUGIN},
                "logging": {"level": "warning"},
                "server": {"hosts": "127.0.0.1:5232"},
            },
            "embedded default",
        )
        return configuration
    except (RuntimeError, ValueError, OSError) as error:
        raise ConfigurationError(f"The configuration can't be used: {error}") from error


def from_configuration(configuration: config.Configuration) -> Settings:
    """The settings of a Radicale configuration.

    Raises ConfigurationError if an option of this product is unknown or wrong, or no database is named.
    """
    try:
        typed = configuration.copy({"storage": STORAGE_OPTIONS, "auth": AUTH_OPTIONS, "rights": {}})
    except (RuntimeError, ValueError) as error:
        raise ConfigurationError(f"The configuration can't be used: {error}") from error
    if typed.get("sharing", "type") != "none":
        # Its shares run as the book's owner, past all grants.
        raise ConfigurationError("[sharing] type must be none: grants are what shares books here.")
    url = _database_url(typed)
    return Settings(
        database_url=url,
        embedded=url == _embedded_url(),
        write_wait=timedelta(seconds=typed.get("storage", "write_wait_seconds")),
        pool_size=typed.get("storage", "pool_size"),
        threads=typed.get("storage", "threads"),
        password_cache=timedelta(seconds=typed.get("auth", "password_cache_seconds")),
        attempts_per_address=typed.get("auth", "attempts_per_address"),
        attempts_per_account=typed.get("auth", "attempts_per_account"),
        trusted_proxies=typed.get("auth", "trusted_proxies"),
        max_card_size=typed.get("server", "max_resource_size"),
        max_body_size=typed.get("server", "max_content_length"),
        max_book_bytes=typed.get("storage", "max_book_bytes"),
        max_user_bytes=typed.get("storage", "max_user_bytes"),
        merged_book_clients=typed.get("storage", "merged_book_clients"),
        administrators_read_personal_books=typed.get("storage", "administrators_read_personal_books"),
        device_passwords_only=typed.get("auth", "device_passwords_only"),
        find_people=typed.get("auth", "find_people"),
        file=settings_file.load(named) if (named := typed.get("storage", "settings_file")) else FileSettings(),
        realm=typed.get("auth", "realm"),
        script_name=typed.get("server", "script_name").rstrip("/"),
        hosts=tuple(typed.get("server", "hosts")),
        certificate=typed.get("server", "certificate") if typed.get("server", "ssl") else "",
        key=typed.get("server", "key") if typed.get("server", "ssl") else "",
    )


def require_own_plugins(configuration: config.Configuration) -> None:
    """Raise ConfigurationError unless storage and rights are this product's: ``serve`` decides by them alone."""
    for section, plugin in (("storage", STORAGE_PLUGIN), ("rights", AUTH_PLUGIN)):
        if configuration.get(section, "type") != plugin:
            raise ConfigurationError(
                f"[{section}] type is {configuration.get(section, 'type')!r}; 'radicale-shared serve' needs {plugin!r}."
            )


def _embedded_url() -> str:
    return f"sqlite:///{Path(EMBEDDED_FOLDER, EMBEDDED_FILE).absolute()}"


def _database_url(typed: config.Configuration) -> str:
    url: str = typed.get("storage", "database_url")
    file: str = typed.get("storage", "database_url_file")
    if url and file:
        raise ConfigurationError("[storage] has both database_url and database_url_file; keep one of them.")
    if file:
        url = _secret_in(file, f"[storage] database_url_file {file!r}")
    if not url:
        raise ConfigurationError(
            "[storage] names no database; set database_url, e.g. sqlite:////var/lib/radicale-shared/books.db"
        )
    return _checked_url(url, "[storage] database_url")


def database_url_of(given: str) -> str:
    """The URL of a database that was named on the command line: itself, or the file it stands in.

    Raises ConfigurationError.
    """
    if "://" in given:
        return _checked_url(given, "The database")
    file = f"The file {given!r}, which is to name a database,"
    return _checked_url(_secret_in(given, file), f"The database in {given!r}")


def _secret_in(file: str, what: str) -> str:
    """What stands in a file that not everybody may read. what: names it at the beginning of an error"""
    try:
        mode = os.stat(file).st_mode
        found = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{what} can't be read: {getattr(error, 'strerror', None) or error}") from error
    if mode & stat.S_IROTH:
        raise ConfigurationError(f"{what} is readable by everyone; chmod o= it.")
    return found


def _checked_url(url: str, what: str) -> str:
    driver, _, path = url.partition("://")
    if driver.partition("+")[0] == "sqlite" and not path.startswith("//"):
        raise ConfigurationError(
            f"{what} {url!r} must name an absolute path, with four slashes: sqlite:////var/lib/radicale-shared/books.db"
        )
    if url.startswith(("postgresql://", "postgres://")):
        url = "postgresql+psycopg://" + url.partition("://")[2]
    return url

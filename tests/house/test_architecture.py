"""Imports point one way, as docs/architecture.md draws it: entry points, surfaces and adapters, core, ground."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGE = "radicale_shared"
FOLDERS = {
    "radicale_shared": PACKAGE,
    "storage_plugin": f"{PACKAGE}.storage_plugin",
    "auth_plugin": f"{PACKAGE}.auth_plugin",
}

GROUND = {
    "texts",
    "errors",
    "models",
    "lanes",
    "statements",
    "schemas",
    "engines",
    "database",
    "migrations",
    "search_index",
    "vcard",
}
CORE = {
    *("accounts", "acts", "attempts", "selections", "summaries", "undo", "undo_books", "undo_plan"),
    *("access", "books", "cards", "changes", "clients", "dead_properties", "devices", "directories", "duplicates"),
    *("device_uses", "grants", "group_owners", "homes", "integrity", "leases", "mirrored", "sign_ins", "slices"),
    *("bodies", "card_rows", "etags", "history", "personal", "reading", "reasons", "retention"),
    *("backup_files", "backup_notes", "backups", "copying", "encryption", "health", "moving", "restoring"),
    "restoring_parts",
    *("blocks", "client_properties", "guard", "guard_rules", "notices"),
    *("callers", "card_keys", "entries", "entry_keys", "entry_lists", "entry_search", "entry_sources", "numbers"),
    *("entry_refresh", "entry_rows", "phone_books", "phone_profiles", "rates"),
    *("passwords", "people", "principals", "privacy", "refusals", "search", "sync", "transfers", "write_back"),
}
BELOW = GROUND | CORE
SURFACE = BELOW | {"settings", "settings_file", "directory_settings", "policies", "proxies", "sent_bytes"}

# Room (a module or package right under radicale_shared) -> the rooms it may import, beside itself. A room that isn't
# named here has no place in the house yet: give it one on purpose.
MAY_IMPORT: Mapping[str, set[str]] = {
    "": set(),
    "errors": set(),
    "models": set(),
    "texts": {"errors"},
    "vcard": {"errors"},
    "lanes": set(),
    "allocators": set(),
    "connections": {"errors", "lanes"},
    "statements": {"connections"},
    "schemas": {"errors", "models"},
    "engines": {"errors"},
    "database": {"errors", "models", "connections", "engines", "lanes", "schemas", "statements"},
    "search_index": {"models", "vcard"},
    "migrations": {"models", "schemas", "search_index"},
    "ldap_syntax": set(),
    "tables": {"errors"},
    "directory_settings": {"errors", "ldap_syntax", "tables"},
    "settings_file": {"errors", "directory_settings", "tables"},
    "settings": {"errors", "database", "settings_file"},
    **dict.fromkeys(CORE, BELOW - {"migrations"}),
    # Whole tables, from one driver to the other.
    **dict.fromkeys(("backups", "copying", "moving", "restoring"), BELOW - {"migrations"} | {"connections"}),
    "policies": {"guard", "notices", "settings_file"},
    "telling": {"database", "errors", "notices", "settings_file"},
    "caretaker": SURFACE | {"telling"},
    "proxies": {"settings"},
    "sent_bytes": {"access", "devices", "proxies", "settings"},
    "dav": SURFACE,
    "phones": SURFACE,
    "web": SURFACE,
    "ldap_view": SURFACE,
    "ldap": SURFACE,
    "exchange": BELOW,
    "storage_plugin": SURFACE,
    "auth_plugin": SURFACE | {"ldap"},
    "demo": BELOW | {"exchange"},
    "server": SURFACE | {"allocators", "caretaker", "dav", "phones", "web", "ldap", "ldap_view"},
    "cli": SURFACE | {"", "caretaker", "telling", "demo", "exchange", "server", "ldap", "ldap_view", "phones"},
}

# Foreign package -> the rooms that may import it; whatever isn't named here may be imported everywhere.
ONLY_IN: Mapping[str, set[str]] = {
    "radicale": {"settings", "dav", "server", "storage_plugin", "auth_plugin"},
    "sqlalchemy": {
        "models",
        "connections",
        "statements",
        "schemas",
        "engines",
        "database",
        "migrations",
        "search_index",
        *CORE,
    },
    "alembic": {"database", "schemas", "migrations"},
    "psycopg": set(),
    "sqlite3": set(),
    "ldap3": {"ldap"},
    "passlib": {"passwords"},
    "argon2": {"passwords"},
    "granian": {"server"},
    "click": {"cli"},
    "rich": {"cli"},
    "http": {"dav", "web", "phones", "storage_plugin", "auth_plugin", "telling"},
    "wsgiref": {"dav"},
    "defusedxml": {"dav"},
    # Answers, and backups: both are packed while somebody waits, and zlib takes several times as long.
    "isal": {"dav", "phones", "backup_files"},
    "smtplib": {"telling"},
    "vobject": {"storage_plugin"},
    "werkzeug": {"web"},
    "phonenumbers": {"numbers"},
    "asyncio": {"ldap_view"},
}

# A surface names the session's type in its signatures, and sends no SQL by it.
TYPES_FOR_ALL = {("sqlalchemy.orm", "Session")}


def imports(source: str, module: str, *, is_package: bool) -> Iterator[tuple[int, str, str]]:
    """(line, module, name) of every import, also inside functions; ``name`` is empty for ``import module``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".") if is_package else module.split(".")[:-1]
                parents = package[: len(package) - (node.level - 1)]
                base = ".".join([*parents, *([base] if base else [])])
            for alias in node.names:
                yield node.lineno, base, alias.name


def room_of(module: str) -> str:
    """The first part of a module's name below the package; empty for the package itself."""
    return module.removeprefix(PACKAGE).lstrip(".").partition(".")[0]


def violations(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """What a module's imports break of the rules above."""
    room = room_of(module)
    if room not in MAY_IMPORT:
        return [f"{module}: the room {room!r} has no place in the house"]
    found = []
    for line, imported, name in imports(source, module, is_package=is_package):
        top = imported.partition(".")[0]
        if top == PACKAGE:
            target = room_of(imported)
            if imported == PACKAGE:
                target = name if name in MAY_IMPORT else ""  # a room, or a name of the package itself
            if target not in {room, *MAY_IMPORT[room]} and not (target == "" and name == "__version__"):
                found.append(f"{module}:{line} imports the room {target or PACKAGE!r}")
        elif top in {"storage_plugin", "auth_plugin"}:
            found.append(f"{module}:{line} imports {top} by its second identity")
        elif top in ONLY_IN and room not in ONLY_IN[top] and (imported, name) not in TYPES_FOR_ALL:
            found.append(f"{module}:{line} imports {imported}")
    return found


def modules() -> Iterator[tuple[str, Path]]:
    """(name, file) of every module of the product."""
    for folder, package in FOLDERS.items():
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            parts = path.relative_to(REPOSITORY / folder).with_suffix("").parts
            yield ".".join([package, *(part for part in parts if part != "__init__")]), path


MODULES = dict(modules())


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_room_may(module):
    path = MODULES[module]
    assert violations(path.read_text("utf-8"), module, is_package=path.name == "__init__.py") == []


@pytest.mark.parametrize("room", sorted(GROUND | CORE))
def test_the_core_knows_no_radicale_no_http_and_no_surface(room):
    assert not MAY_IMPORT.get(room, set()) & {"dav", "web", "phones", "ldap", "exchange", "cli", "server", "settings"}
    assert not any(room in ONLY_IN[package] for package in ("radicale", "http", "wsgiref", "granian", "click", "rich"))


def test_surfaces_and_adapters_never_import_one_another():
    outer = {"dav", "phones", "web", "exchange", "storage_plugin", "auth_plugin"}
    assert [
        (room, MAY_IMPORT[room] & (outer - {room})) for room in sorted(outer) if MAY_IMPORT[room] & (outer - {room})
    ] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("radicale_shared.cards", "from radicale import item"),
        ("radicale_shared.cards", "def late():\n    import radicale.item"),
        ("radicale_shared.books", "from .dav import xml"),
        ("radicale_shared.books", "from . import dav"),
        ("radicale_shared.books", "from radicale_shared import server"),
        ("radicale_shared.access", "from http import HTTPStatus"),
        ("radicale_shared.people", "from . import settings"),
        ("radicale_shared.vcard.card", "from ..models import Card"),
        ("radicale_shared.dav.sync", "from sqlalchemy import select"),
        ("radicale_shared.dav.sync", "from sqlalchemy.orm import aliased"),
        ("radicale_shared.dav.sync", "from ..storage_plugin import storage"),
        ("radicale_shared.dav.sync", "from ..exchange import vcards"),
        ("radicale_shared.storage_plugin.storage", "from radicale_shared.auth_plugin import Auth"),
        ("radicale_shared.storage_plugin.storage", "from ..dav.xml import escape"),
        ("radicale_shared.auth_plugin.auth", "import storage_plugin"),
        ("radicale_shared.auth_plugin.auth", "import ldap3"),
        ("radicale_shared.cli.db", "from radicale_shared.dav import application"),
        ("radicale_shared.newroom", "import re"),
    ],
)  # fmt: skip
def test_a_planted_violation_is_found(module, source):
    assert len(violations(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "radicale_shared.cards",
            "from sqlalchemy import select\nfrom . import books, vcard\nfrom .access import Access",
        ),
        (
            "radicale_shared.dav.sync",
            "from sqlalchemy.orm import Session\nfrom .. import sync as core\nfrom . import xml",
        ),
        ("radicale_shared.settings", "from radicale import config\nfrom .errors import ConfigurationError"),
        ("radicale_shared.cli.db", "from radicale_shared import __version__, books, integrity"),
        ("radicale_shared.migrations.env", "from radicale_shared.models import Base"),
    ],
)
def test_what_the_rooms_may_import_is_no_violation(module, source):
    assert violations(source, module) == []


def test_every_module_is_looked_at():
    found = set(MODULES)
    assert {"radicale_shared", "radicale_shared.cards", "radicale_shared.dav.application"} <= found
    assert {name.split(".")[1] for name in found if "." in name} >= GROUND | {"storage_plugin", "auth_plugin", "cli"}

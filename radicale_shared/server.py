"""Puts the parts together as one WSGI application and runs it with granian, several worker processes.

``application`` is what a worker loads; it finds the configuration by RADICALE_CONFIG or the embedded default, so that
any WSGI server can run ``radicale_shared.server:application`` too.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from radicale import log

from . import database, settings
from .dav.application import Application
from .errors import ConfigurationError

TARGET = "radicale_shared.server:application"
WORKERS = 2
_WAITING_CONNECTIONS = 1024


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The WSGI application of this process, made at its first request."""
    return _application()(environ, start_response)


_made: list[Application] = []


def _application() -> Application:
    if not _made:
        configuration = settings.load_configuration()
        log.setup()
        log.set_level(configuration.get("logging", "level"), configuration.get("logging", "backtrace_on_debug"), "")
        _made.append(Application(configuration))
    return _made[0]


def serve(configuration_path: str | None, host: str | None, port: int | None, workers: int | None) -> None:
    """Serve until stopped by a signal.

    configuration_path: as given on the command line; None for RADICALE_CONFIG or the embedded default
    host, port: instead of the configuration's first address
    workers: processes; WORKERS without

    An empty embedded database gets its tables; any other must have the current schema.
    Raises ConfigurationError, SchemaError.
    """
    if configuration_path:
        os.environ["RADICALE_CONFIG"] = os.path.abspath(configuration_path)
    configuration = settings.load_configuration()
    settings.require_own_plugins(configuration)
    found = settings.from_configuration(configuration)
    db = database.connect(found.database_url)
    if found.embedded and db.is_empty():
        db.upgrade()
    db.check_schema()
    db.close()
    address, first_port = found.hosts[0] if found.hosts else ("127.0.0.1", 5232)
    if len(found.hosts) > 1 and host is None:
        raise ConfigurationError(
            "[server] hosts names several addresses; radicale-shared serves one. Keep one of them."
        )
    certificate, key = _tls(found)
    Granian(
        TARGET,
        address=host or address,
        port=port or first_port,
        interface=Interfaces.WSGI,
        workers=workers or WORKERS,
        blocking_threads=found.threads,
        backlog=_WAITING_CONNECTIONS,
        http1_settings=HTTP1Settings(keep_alive=True),
        ssl_cert=certificate,
        ssl_key=key,
        respawn_failed_workers=True,
        log_level=_granian_level(configuration.get("logging", "level")),
        workers_kill_timeout=10,
    ).serve()


def _tls(found: settings.Settings) -> tuple[Path | None, Path | None]:
    if not found.certificate:
        return None, None
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(found.certificate, found.key or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"[server] certificate and key can't be used: {error}") from error
    return Path(found.certificate), Path(found.key or found.certificate)


def _granian_level(level: str) -> Any:
    return {
        "debug": LogLevels.debug,
        "info": LogLevels.info,
        "warning": LogLevels.warning,
        "error": LogLevels.error,
        "critical": LogLevels.critical,
    }.get(level, LogLevels.info)

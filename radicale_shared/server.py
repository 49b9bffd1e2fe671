"""Puts the parts together as one WSGI application and runs it with granian, several worker processes.

``make_application`` finds the configuration by RADICALE_CONFIG or the embedded default, so that any WSGI server that
takes a factory can run ``radicale_shared.server:make_application`` too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import os
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from multiprocessing.util import Finalize
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radicale import config, log

from . import __version__, allocators, lanes, ldap, sent_bytes, settings, settings_file
from .caretaker import Caretaker
from .dav.application import Application
from .errors import ConfigurationError, SharedBooksError
from .phones import is_phones
from .web import is_api

if TYPE_CHECKING:
    from .phones.application import Phones
    from .web.application import Api

TARGET = "radicale_shared.server:make_worker"
WORKERS = 2
_WAITING_CONNECTIONS = 2048
_SMALL_BODY = 65536
# Requests that run at a time where the database is another process, and answers while they wait. Measured with 1, 2, 3
# and 4: 1,200, 1,600, 2,100 and 2,000 mixed requests a second.
_BESIDE_A_DATABASE = 3
# Connections that a worker holds open: clients keep theirs, and half-sent requests take one until they time out (30 s).
_OPEN_CONNECTIONS = 4096


WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def make_application() -> WSGIApplication:
    """The WSGI application of this process; raises ConfigurationError, SchemaError."""
    configuration = settings.load_configuration()
    _set_up_logging(configuration)
    return compose(configuration)


def compose(configuration: config.Configuration) -> WSGIApplication:
    """All surfaces as one WSGI application; raises ConfigurationError, SchemaError."""
    found = settings.from_configuration(configuration)
    dav = Application(configuration)

    @cache
    def api() -> Api:
        # Most workers are never asked for it, and what it is made with takes three megabytes.
        from .web.application import Api

        return Api(found.connect(), found, dav.sign_in)

    @cache
    def phones() -> Phones:
        from .phones.application import Phones

        return Phones(found.connect(), found, dav.sign_in)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if is_phones(environ, found):
            return phones()(environ, start_response)
        return (api() if is_api(environ, found) else dav)(environ, start_response)

    return queued(application)


def queued(application: WSGIApplication) -> WSGIApplication:
    """The same application, of which one request runs at a time (``lanes``)."""

    def run(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        sent = with_body(environ)
        with lanes.entered():
            body = application(sent, start_response)
        return body if isinstance(body, list) else _pieces(body)

    return run


def with_body(environ: dict[str, Any]) -> dict[str, Any]:
    """The environ with a small body already read, so that a request that runs doesn't wait for it."""
    length = sent_bytes.announced(environ)
    if not 0 < length <= _SMALL_BODY:
        return environ
    pieces, left = [], length
    with contextlib.suppress(OSError):  # who reads the body finds that it ended too soon
        while left and (piece := environ["wsgi.input"].read(left)):
            pieces.append(piece)
            left -= len(piece)
    return {**environ, "wsgi.input": io.BytesIO(b"".join(pieces))}


def _pieces(body: Iterable[bytes]) -> Iterator[bytes]:
    """A streamed answer: each piece is made as part of those that run, and sent as none of them."""
    made = iter(body)
    while True:
        with lanes.entered():
            piece = next(made, None)
        if piece is None:
            return
        yield piece


def make_worker() -> WSGIApplication:
    """The application of one of our own worker processes.

    A terminal's Ctrl-C goes to all processes; the parent alone shall act on it, and end the workers in good order. One
    that is still starting serves nobody, and ends at once.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    # Until granian sets a handler of the worker's own this is the parent's, copied by the fork, which would do nothing:
    # the parent would wait for ten seconds, and kill the worker.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    application = make_application()
    found = settings.from_configuration(settings.load_configuration())
    if not found.database_url.startswith("sqlite"):
        lanes.widen(_BESIDE_A_DATABASE)
    _follow_directories(found)
    _take_care(found)
    _answer_ldap(found)
    return application


def _follow_directories(found: settings.Settings) -> None:
    """Start the threads that follow the directories, if there are any; at this process' end another one's take over."""
    if found.file.directories:
        from .ldap.follower import Follower

        follower = Follower(found.connect(), ldap.directories(found))
        follower.start()
        # What atexit knows isn't called in a process that multiprocessing forked.
        Finalize(None, follower.stop, exitpriority=1)


def _take_care(found: settings.Settings) -> None:
    """Start the thread that sends notices and removes what is too old."""
    caretaker = Caretaker(found.connect(), found.file)
    caretaker.start()
    Finalize(None, caretaker.stop, exitpriority=1)


def _answer_ldap(found: settings.Settings) -> None:
    """Start the thread that answers LDAP, where the settings have a port for it; all workers share the port."""
    view = found.file.ldap_server
    if not (view.port or view.tls_port):
        return
    from .ldap_view.server import Server

    try:
        server = Server(found.connect(), view, Application(settings.load_configuration()).sign_in)
        server.start()
    except ConfigurationError as error:  # what it was at the start is another's now: HTTP is served nevertheless
        logging.getLogger(__name__).error("There is no LDAP here: %s", error)
        return
    Finalize(None, server.stop, exitpriority=1)


def serve_ldap(configuration_path: str | None, host: str | None, port: int | None, tls_port: int | None) -> None:
    """Serve the LDAP view alone, in this process, until stopped by a signal.

    configuration_path: as given on the command line; None for RADICALE_CONFIG or the embedded default
    host, port, tls_port: instead of the settings'; 0 is no port

    Raises ConfigurationError, SchemaError; SharedBooksError where it ends otherwise.
    """
    allocators.set_up()
    from .ldap_view.server import Server

    if configuration_path:
        os.environ["RADICALE_CONFIG"] = os.path.abspath(configuration_path)
    configuration = settings.load_configuration()
    settings.require_own_plugins(configuration)
    found = settings.from_configuration(configuration)
    told = found.file.ldap_server
    view = dataclasses.replace(
        told,
        host=host or told.host,
        port=told.port if port is None else port,
        tls_port=told.tls_port if tls_port is None else tls_port,
    )
    if not (view.port or view.tls_port):
        raise ConfigurationError("There is no port for LDAP: give --port or --tls-port, or set one in [ldap_server].")
    if view.tls_port and not view.certificate:
        raise ConfigurationError("TLS needs a certificate: set certificate and key in [ldap_server].")
    if not found.database_url.startswith("sqlite"):
        lanes.widen(_BESIDE_A_DATABASE)
    _allow_open_files()
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # in all threads that begin now
    sign_in = Application(configuration).sign_in
    _set_up_logging(configuration)
    server = Server(found.connect(), view, sign_in)
    server.start()
    print(f"radicale-shared {__version__} serves LDAP on {', '.join(_ldap_urls(view))}", file=sys.stderr)
    while server.is_alive:
        if signal.sigtimedwait(ends, 1.0) is not None:
            server.stop()
            return
    raise SharedBooksError("The LDAP server has ended by itself; its log says why.")


def _ldap_urls(view: settings_file.LdapServerSettings) -> list[str]:
    ports = (("ldap", view.port), ("ldaps", view.tls_port))
    host = f"[{view.host}]" if ":" in view.host else view.host
    return [f"{scheme}://{host}:{port}/{view.base}" for scheme, port in ports if port]


def serve(configuration_path: str | None, host: str | None, port: int | None, workers: int | None) -> None:
    """Serve until stopped by a signal.

    configuration_path: as given on the command line; None for RADICALE_CONFIG or the embedded default
    host, port: instead of the configuration's first address
    workers: processes; WORKERS without

    An empty embedded database gets its tables; any other must have the current schema.
    Raises ConfigurationError, SchemaError.
    """
    allocators.set_up()
    from granian import Granian
    from granian.constants import Interfaces
    from granian.http import HTTP1Settings

    if configuration_path:
        os.environ["RADICALE_CONFIG"] = os.path.abspath(configuration_path)
    configuration = settings.load_configuration()
    settings.require_own_plugins(configuration)
    found = settings.from_configuration(configuration)
    db = found.connect()
    if found.embedded and db.is_empty():
        db.upgrade()
    db.check_schema()
    db.close()
    configured, configured_port = found.hosts[0] if found.hosts else ("127.0.0.1", 5232)
    if len(found.hosts) > 1 and host is None:
        raise ConfigurationError(
            "[server] hosts names several addresses; radicale-shared serves one. Keep one of them."
        )
    port = port or configured_port
    address = _address(host or configured, port)
    certificate, key = _tls(found)
    _require_ldap_ports(found)
    _allow_open_files()
    _set_up_logging(configuration)
    scheme = "https" if certificate else "http"
    print(
        f"radicale-shared {__version__} serves {scheme}://{host or configured}:{port}{found.script_name}/",
        file=sys.stderr,
    )
    for url in _ldap_urls(found.file.ldap_server):
        print(f"and {url}", file=sys.stderr)
    server = Granian(
        TARGET,
        address=address,
        port=port,
        interface=Interfaces.WSGI,
        factory=True,
        workers=workers or WORKERS,
        blocking_threads=found.threads,
        backlog=_WAITING_CONNECTIONS,
        backpressure=_OPEN_CONNECTIONS,
        http1_settings=HTTP1Settings(keep_alive=True),
        ssl_cert=certificate,
        ssl_key=key,
        respawn_failed_workers=True,
        log_level=_granian_level(configuration.get("logging", "level")),
        workers_kill_timeout=10,
    )
    allocators.give_back()
    server.serve()


def _address(host: str, port: int) -> str:
    """The IP address to listen on, IPv4 where a name has both: granian takes no names, and Radicale's default is one.

    Raises ConfigurationError if it can't be listened on.
    """
    try:
        found = sorted(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), key=lambda one: one[0])
        family, _, _, _, address = found[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise ConfigurationError(
            f"Can't listen on {host} port {port}: {error.strerror}. Choose another: serve --host H --port P"
        ) from error
    return str(address[0])


def _require_ldap_ports(found: settings.Settings) -> None:
    """Raise ConfigurationError where LDAP is to be answered and can't be: workers find out too late to tell anybody."""
    view = found.file.ldap_server
    if view.port or view.tls_port:
        from .ldap_view.server import require_free, tls_context

        tls_context(view)
        require_free(view)


def _allow_open_files() -> None:
    """Raise the soft limit of open files, by tradition 1024, to the hard one: each connection is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems lie about the hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _set_up_logging(configuration: config.Configuration) -> None:
    """Radicale's handler and level for Radicale's messages and ours, without what it says about them itself."""
    logging.disable(logging.CRITICAL)
    log.setup()
    log.set_level(configuration.get("logging", "level"), configuration.get("logging", "backtrace_on_debug"), "")
    logging.disable(logging.NOTSET)
    logging.getLogger("radicale_shared").setLevel(log.logger.level)
    # Most of the threads only wait for their turn to write; granian advises against so many.
    logging.getLogger("_granian").addFilter(lambda record: "Python threads" not in str(record.msg))


def _tls(found: settings.Settings) -> tuple[Path | None, Path | None]:
    if not found.certificate:
        return None, None
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(found.certificate, found.key or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"[server] certificate and key can't be used: {error}") from error
    return Path(found.certificate), Path(found.key or found.certificate)


def _granian_level(level: str) -> Any:
    from granian.log import LogLevels

    return {
        "debug": LogLevels.debug,
        "info": LogLevels.info,
        "warning": LogLevels.warning,
        "error": LogLevels.error,
        "critical": LogLevels.critical,
    }.get(level, LogLevels.info)

"""The dispatcher: Radicale's Application with its own ``__call__``.

It keeps Radicale's configuration, auth plugin and logging; hooks are not called. Radicale's own request handling is not
used: it redirects well-known before the sign-in, sleeps on refused writes, refuses legal names and can't stream.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from radicale import config
from radicale.app import Application as RadicaleApplication
from radicale.auth import AuthContext

from .. import settings
from ..devices import Device
from ..errors import SharedBooksError
from ..proxies import client_address, prefix_of
from ..sent_bytes import DISPATCHER, drain, signed_in
from . import (
    acl,
    add_member,
    address_data,
    carddav,
    collations,
    content,
    copy_move,
    gateway,
    mkcol,
    preconditions,
    principals,
    proppatch,
    quota,
    reports,
    sync,
    webdav,
    xml,
)
from .http import XML_TYPE, Answer, ForbiddenError, MethodNotAllowedError, Request, finish, split_path
from .resources import BookResource, book_of

_log = logging.getLogger(__name__)

# Importing a module registers its properties.
PROPERTY_MODULES = (
    *(acl, add_member, address_data, carddav, collations, gateway, principals, quota, reports, sync, webdav),
)

METHODS: Mapping[str, Callable[[Request], Answer]] = {
    "OPTIONS": webdav.options,
    "PROPFIND": webdav.propfind,
    "PROPPATCH": proppatch.proppatch,
    "GET": content.get,
    "HEAD": content.get,
    "PUT": carddav.put,
    "POST": add_member.post,
    "DELETE": content.delete,
    "COPY": copy_move.copy,
    "MOVE": copy_move.move,
    "MKCOL": mkcol.mkcol,
    "REPORT": reports.report,
}


class Application(RadicaleApplication):
    """The WSGI application of ``radicale-shared serve``."""

    def __init__(self, configuration: config.Configuration) -> None:
        settings.require_own_plugins(configuration)
        super().__init__(configuration)
        self._settings = settings.from_configuration(configuration)
        self._db = self._settings.connect()
        self._db.check_schema()

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method = str(environ.get("REQUEST_METHOD", "")).upper()
        try:
            answer = self._answer(environ, method)
        except Exception:  # noqa: BLE001  # nothing may get past this
            # The last resort: the client gets no stack trace, the log does.
            _log.exception("%s %r failed", method, environ.get("PATH_INFO", ""))
            answer = _problem(500, "Something went wrong here. It was logged; nothing was changed.")
        status, headers, body = finish(
            answer,
            method=method,
            accept_encoding=str(environ.get("HTTP_ACCEPT_ENCODING", "")),
            extra=self._extra_headers,
        )
        start_response(f"{int(status)} {HTTPStatus(status).phrase}", list(headers))
        if isinstance(body, bytes):
            return [body]
        return _logged(body, method, environ)

    def _answer(self, sent: Mapping[str, Any], method: str) -> Answer:
        """The answer to a request; every error of the core is one by the table in ``preconditions``."""
        environ = {**sent, DISPATCHER: True}
        request = Request(environ, self._db, self._settings, prefix_of(environ, self._settings), (), "")
        try:
            answer = self._done(request, environ, method)
        except SharedBooksError as error:
            answer = preconditions.answer(error, request, self._book)
        if answer.status >= 400 and not request.has_read_body:
            drain(environ)
        return answer

    def _done(self, request: Request, environ: dict[str, Any], method: str) -> Answer:
        request.segments = split_path(str(environ.get("PATH_INFO", "")), request.prefix)
        user = self.sign_in(environ)
        if not user:
            return self._challenge()
        request.user = user
        request.device = _device_of(user)
        if method not in METHODS:
            raise MethodNotAllowedError(sorted(METHODS))
        return METHODS[method](request)

    def _book(self, request: Request) -> BookResource | None:
        """The book an error is about, for the hrefs in its answer."""
        if not request.user:
            return None
        try:
            with self._db.read() as session:
                return book_of(session, request)
        except SharedBooksError:
            return None

    def sign_in(self, environ: dict[str, Any]) -> str:
        """The slug of the user whom the auth plugin lets in; empty for nobody. What it can't tell, it raises."""
        external = self._auth.get_external_login(environ)
        login, password = external or _basic(str(environ.get("HTTP_AUTHORIZATION", "")))
        if not login:
            return ""
        context = AuthContext()  # type: ignore[no-untyped-call]  # Radicale's
        context.remote_addr = client_address(environ, self._settings.trusted_proxies)
        user, _how, _groups = self._auth.login(login, password or "", context)
        if not user and self.configuration.get("auth", "type") != settings.AUTH_PLUGIN:  # ours says why
            _log.warning("Failed login from %s: %r", context.remote_addr, login)
        return str(user)

    def _challenge(self) -> Answer:
        """401 with a realm that never varies: Apple keeps a password by it."""
        realm = self._settings.realm.replace("\\", "").replace('"', "'")
        answer = _problem(401, "Sign in with your login and password.")
        return Answer(
            401, (*answer.headers, ("WWW-Authenticate", f'Basic realm="{realm}", charset="UTF-8"')), answer.body
        )


def _device_of(user: str) -> Device | None:
    """The device that signed in; None for the user's own password. Raises ForbiddenError for one of a desk phone.

    403 and not 401: there is no other password to ask for, and a program that is asked anew asks its user for ever.
    """
    known = signed_in()
    device = known.device if known and known.slug == user else None
    if device is not None and device.phones_only:
        _log.warning("The device %r of %r serves desk phones only, and was refused here.", device.label, user)
        raise ForbiddenError("", "This password is for desk phones only.")
    return device


def _basic(authorization: str) -> tuple[str, str]:
    """(login, password) of HTTP Basic (RFC 7617), two empty ones for anything else."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        raw = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return "", ""
    try:
        pair = raw.decode("utf-8")
    except UnicodeDecodeError:
        pair = raw.decode("latin-1")  # what browsers and clients older than RFC 7617 send
    login, colon, password = pair.partition(":")
    return (login, password) if colon else ("", "")


def _problem(status: int, description: str) -> Answer:
    return Answer(status, (("Content-Type", XML_TYPE),), xml.error_body("", description))


def _logged(body: Iterable[bytes], method: str, environ: Mapping[str, Any]) -> Iterable[bytes]:
    """The pieces of a streamed answer. An error in the middle can only cut the answer short, which clients notice."""
    try:
        yield from body
    except Exception as error:
        _log.error("%s %r was cut short: %s", method, environ.get("PATH_INFO", ""), error, exc_info=True)
        raise

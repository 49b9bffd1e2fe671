"""The API's WSGI application: who asks, which route, and what an error is answered by.

Bodies are JSON objects (RFC 8259), times are ISO 8601 with their zone. An error is ``{"error": sentence}``. Requests
that change something are those that no form of another site can send: PUT, DELETE, and POST of ``application/json``.
No answer has headers that would let pages of other sites send these (CORS).
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import BaseConverter, Map, Rule
from werkzeug.wrappers import Request, Response

from .. import sent_bytes
from ..access import Verb
from ..database import Database
from ..errors import (
    AlreadyExistsError,
    BusyError,
    DirectoryUnavailableError,
    NeedPrivilegeError,
    NotAllowedHereError,
    NotFoundError,
    SharedBooksError,
    TooManyAttemptsError,
    UnavailableError,
    WrongValueError,
)
from ..proxies import path_of, prefix_of
from ..settings import Settings
from . import books, devices, guard, history, people, phones
from .asking import Asking, DeviceNotEnoughError, Reply, UnreadableError
from .paths import ROOT

ROUTES: Mapping[tuple[str, str], Callable[..., Reply]] = {
    ("GET", ""): people.me,
    ("GET", "groups"): people.list_groups,
    ("GET", "books"): books.list_,
    ("POST", "books"): books.add,
    ("GET", "books/<name>"): books.show,
    ("GET", "books/<name>/grants"): books.list_grants,
    ("PUT", "books/<name>/grants/<rest:principal>"): books.put_grant,
    ("DELETE", "books/<name>/grants/<rest:principal>"): books.remove_grant,
    ("GET", "books/<name>/explain"): books.explain,
    ("GET", "books/<name>/who"): books.who,
    ("GET", "books/<name>/history"): history.show,
    ("POST", "books/<name>/undo"): history.take_back,
    ("GET", "books/<name>/guard"): guard.show,
    ("PUT", "books/<name>/guard"): guard.put,
    ("POST", "books/<name>/clean-up"): guard.clean_up,
    ("GET", "books/<name>/phones"): phones.show,
    ("PUT", "books/<name>/phones"): phones.put,
    ("GET", "blocks"): guard.list_,
    ("POST", "blocks/<block>/release"): guard.release,
    ("POST", "blocks/<block>/revert"): guard.revert,
    ("GET", "devices"): devices.list_,
    ("POST", "devices"): devices.add,
    ("DELETE", "devices/<rest:label>"): devices.revoke,
}

_CONTROL = re.compile("[\x00-\x1f\x7f]")
# What of these is told beyond "There is no ...". The core's own hints name commands of the administrator.
_HINTS: Mapping[str, str] = {
    "principal": " Write user:LOGIN, group:NAME, domain:NAME or everyone.",
    "single group": " Several have this name; write the one you mean as lists do.",
}
_NEEDED: Mapping[str, str] = {
    Verb.MANAGE: "Only those who manage this book can do this; explain tells who they are.",
    Verb.OWN: "Only owners of this book can do this; explain tells who decides.",
}

_log = logging.getLogger(__name__)


class _Rest(BaseConverter):
    """All that is left of the path: logins and labels may have slashes."""

    regex = ".+"
    part_isolating = False


_MAP = Map(
    [Rule(ROOT + path, methods=[method], endpoint=endpoint) for (method, path), endpoint in ROUTES.items()],
    converters={"rest": _Rest},
    strict_slashes=False,
    merge_slashes=False,
)


class Api:
    """The WSGI application of all paths below ``/api/``.

    sign_in: the slug of who may ask, of an environ; empty for nobody. It notes the device (``sent_bytes.signed_in``).
    """

    def __init__(self, db: Database, settings: Settings, sign_in: Callable[[dict[str, Any]], str]) -> None:
        self._db = db
        self._settings = settings
        self._sign_in = sign_in

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            reply = self._reply({**environ, sent_bytes.DISPATCHER: True, sent_bytes.PERSON: True})
        except Exception:  # noqa: BLE001  # nothing may get past this: the client gets no stack trace, the log does
            _log.exception("%s %r failed", environ.get("REQUEST_METHOD"), environ.get("PATH_INFO"))
            reply = Reply(500, {"error": "Something went wrong here. It was logged; nothing was changed."})
        body = b"" if reply.value is None else json.dumps(reply.value, ensure_ascii=False, default=_plain).encode()
        response = Response(body, reply.status, reply.headers, mimetype="application/json")
        # Nothing of it may be kept, or be taken for a page: it says who may see whom.
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response(environ, start_response)

    def _reply(self, environ: dict[str, Any]) -> Reply:
        """The reply to a request; every error of the core is one by the table in ``_refused``."""
        try:
            return self._done(environ)
        except SharedBooksError as error:
            return _refused(error)
        except NotFound:
            return Reply(404, {"error": f"There is nothing at this address; see {ROOT}."})
        except MethodNotAllowed as error:
            told = {"Allow": ", ".join(sorted(error.valid_methods or ()))}
            return Reply(405, {"error": "This address has no such method."}, told)

    def _done(self, environ: dict[str, Any]) -> Reply:
        slug = self._sign_in(environ)
        if not slug:
            realm = self._settings.realm.replace("\\", "").replace('"', "'")
            challenge = {"WWW-Authenticate": f'Basic realm="{realm}", charset="UTF-8"'}
            return Reply(401, {"error": "Sign in with your login and password."}, challenge)
        device = sent_bytes.device()
        if device is not None and device.phones_only:
            raise DeviceNotEnoughError("This password is for desk phones only.")
        prefix = prefix_of(environ, self._settings)
        path = path_of(environ, prefix)
        if "\ufffd" in path or _CONTROL.search(path):
            raise UnreadableError("The path is not UTF-8, or has control characters.")
        request = Request(environ)
        endpoint, values = _MAP.bind("", script_name="").match(path, request.method)
        asking = Asking(request, self._db, self._settings, prefix + ROOT, slug, device)
        reply: Reply = endpoint(asking, **values)
        return reply


def _refused(error: SharedBooksError) -> Reply:
    """The one table from the core's errors to the API's answers."""
    match error:
        case NotFoundError():
            return Reply(404, {"error": f"There is no {error.kind} {error.name!r}.{_HINTS.get(error.kind, '')}"})
        case UnreadableError():
            return Reply(error.status, {"error": str(error)})
        case NeedPrivilegeError():
            return Reply(403, {"error": _NEEDED.get(error.verb, str(error))})
        case WrongValueError():
            return Reply(400, {"error": str(error)})
        case NotAllowedHereError() | DeviceNotEnoughError():
            return Reply(403, {"error": str(error)})
        case AlreadyExistsError():
            return Reply(409, {"error": f"There is a {error.kind} {error.name!r} already."})
        case TooManyAttemptsError():
            return Reply(429, {"error": str(error)}, {"Retry-After": str(error.retry_after)})
        case BusyError():
            return Reply(503, {"error": str(error)}, {"Retry-After": str(error.retry_after)})
        case DirectoryUnavailableError():
            told = "Your password can't be checked at the moment; try again later."
            return Reply(503, {"error": told}, {"Retry-After": str(error.retry_after)})
        case UnavailableError():
            _log.error("%s", error)
            return Reply(503, {"error": "The database can't be reached; try again later."}, {"Retry-After": "30"})
    raise error


def _plain(value: Any) -> str:
    """What JSON has no word for: times."""
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in an answer")

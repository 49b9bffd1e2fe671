"""Who signs in: ``radicale.auth`` over the core's people.

The user that Radicale goes on with is the principal's slug, which is what stands in paths; the login may be another.
Groups are evaluated in the core, so none are handed to Radicale.
"""

from __future__ import annotations

import threading
from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any, cast

from radicale import auth, config, types

from radicale_shared import people, sent_bytes, settings
from radicale_shared.passwords import VerifiedPasswords

_verified: dict[tuple[str, timedelta], VerifiedPasswords] = {}
_verified_lock = threading.Lock()


def verified_passwords(url: str, life: timedelta) -> VerifiedPasswords:
    """This process' memory of verified passwords of one database; Radicale makes its plugins more than once."""
    with _verified_lock:
        return _verified.setdefault((url, life), VerifiedPasswords(life))


class Auth(auth.BaseAuth):
    """Login and password against the database; also the first to see each request, see ``sent_bytes``."""

    def __init__(self, configuration: config.Configuration) -> None:
        super().__init__(configuration)
        self._settings = settings.from_configuration(configuration)
        self._verified = verified_passwords(self._settings.database_url, self._settings.password_cache)
        self._database = self._settings.connect()

    def get_external_login(self, environ: types.WSGIEnviron) -> tuple[()]:
        """No login from elsewhere. Called before the body is read: here the copy of the client's bytes begins."""
        sent_bytes.begin(
            cast(MutableMapping[str, Any], environ),
            limit=self._settings.max_body_size,
            trusted_proxies=self._settings.trusted_proxies,
        )
        return ()

    def _login_ext_with_groups(self, login: str, password: str, context: auth.AuthContext) -> tuple[str, set[str]]:
        del context  # where a request comes from decides nothing yet
        with self._database.read() as session:
            slug = people.sign_in(session, login, password, self._verified)
        return slug or "", set()

    def _sleep_for_constant_exec_time(self, time_ns_begin: int) -> None:
        # Wrong and unknown logins cost the same argon2 work already, and a thread that sleeps serves nobody.
        del time_ns_begin

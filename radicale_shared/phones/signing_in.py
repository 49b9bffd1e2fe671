"""Which phone asks: by the password in its URL, or by HTTP Basic.

Who guesses is told nothing: a password of nobody, a revoked one and one of somebody who is disabled cost the same and
are answered the same. They aren't counted, as those of other devices aren't: nobody guesses 128 bits, each costs one
SELECT, and a box of revoked phones would keep the people of its office from signing in, who have the same address.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from .. import device_uses, phone_books, phone_profiles, sent_bytes
from ..access import Access
from ..database import Database
from ..errors import SharedBooksError
from ..phone_profiles import Profile, SignIn
from ..proxies import client_address
from ..settings import Settings
from . import paths

_log = logging.getLogger(__name__)


class NotSignedInError(SharedBooksError):
    """Nobody signed in by HTTP Basic, or no phone that may."""


class UnknownPhoneError(SharedBooksError):
    """No phone has the password in the URL."""


class ElsewhereError(SharedBooksError):
    """The phone may not ask from where it is."""


class SigningIn:
    """Lets phones in.

    sign_in: the slug of who signs in by the headers of an environ, as for ``web.application.Api``
    """

    def __init__(self, db: Database, settings: Settings, sign_in: Callable[[dict[str, Any]], str]) -> None:
        self._db = db
        self._settings = settings
        self._sign_in = sign_in
        self._uses = device_uses.uses(db)

    def phone(self, environ: dict[str, Any], password: str) -> tuple[Profile, list[Access]]:
        """The phone that asks, with the books that it shows at this moment.

        password: as it stands in the URL; ``-``: by HTTP Basic

        Raises NotSignedInError, UnknownPhoneError, ElsewhereError, and what a sign-in by HTTP Basic raises.
        """
        address = client_address(environ, self._settings.trusted_proxies)
        if password == paths.BY_BASIC:
            profile, books = self._by_basic(environ)
        else:
            profile, books = self._by_url(password, address)
            self._uses.note(profile.device, address, str(environ.get("HTTP_USER_AGENT", "")))
        if not profile.may_ask_from(address):
            _log.warning(
                "The phone %r of %r asks from %s, which is in none of its networks.",
                *(profile.device.label, profile.device.slug, address or "nowhere"),
            )
            raise ElsewhereError
        return profile, books

    def _by_url(self, password: str, address: str) -> tuple[Profile, list[Access]]:
        secret = self._db.secret  # read first: not on a second connection
        with self._db.read() as session:
            profile = phone_profiles.by_token(session, password, secret=secret)
            books = phone_books.readable(session, profile.device) if profile else []
        if profile is None:
            _log.warning("Failed login from %s: %r (%s)", address or "nowhere", paths.ROOT, "phone-password")
            raise UnknownPhoneError
        return profile, books

    def _by_basic(self, environ: dict[str, Any]) -> tuple[Profile, list[Access]]:
        slug = self._sign_in({**environ, sent_bytes.DISPATCHER: True})
        device = sent_bytes.device()
        if not slug or device is None or device.slug != slug:
            raise NotSignedInError
        with self._db.read() as session:
            profile = phone_profiles.of_device(session, device)
            books = phone_books.readable(session, profile.device) if profile else []
        if profile is None or profile.sign_in is SignIn.URL:
            raise NotSignedInError
        return profile, books

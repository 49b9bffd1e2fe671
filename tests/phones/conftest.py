"""Phones in process: their requests go by WSGI through the application that ``serve`` runs.

``phone_of("yealink")`` is a phone of Ada's in the demo organisation; ``phone_of`` of the fixture ``office`` is one in
the small organisation of all tests.
"""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from radicale import config
from sqlalchemy import select

from radicale_shared import books, demo, models, people, phone_profiles, server, settings
from radicale_shared.card_keys import key_of
from radicale_shared.database import Database
from radicale_shared.devices import Device
from radicale_shared.phone_profiles import Choices, Profile
from tests.conftest import BY, Organisation, schemas_looked_at_once
from tests.dav.conftest import write_configuration

Application = Callable[..., Iterable[bytes]]

_PLAIN = {"CONTENT_TYPE", "CONTENT_LENGTH", "PATH_INFO", "SERVER_PROTOCOL"}


@dataclass
class Told:
    """What a phone was answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def etag(self) -> str:
        return self.headers["ETag"]


@dataclass
class Phone:
    """One phone: its password, and what its firmware sends with each request."""

    application: Application
    db: Database
    profile: Profile
    password: str
    environ: dict[str, Any] = field(default_factory=dict)
    basic: bool = False

    @property
    def url(self) -> str:
        """What stands before all paths."""
        return f"http://localhost/p/{'-' if self.basic else self.password}/"

    def get(self, path: str, /, **parameters: str) -> Told:
        return self.request("GET", path, parameters)

    def request(
        self,
        method: str,
        path: str,
        parameters: dict[str, str] | None = None,
        *,
        body: bytes = b"",
        query: str | None = None,
        **headers: str | None,
    ) -> Told:
        """query: as it stands in the URL, instead of ``parameters``; headers: If_None_Match="..."; None: without it"""
        password = "-" if self.basic else self.password
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": f"/p/{password}/{path}".encode("utf-8", "surrogatepass").decode("latin-1"),
            "QUERY_STRING": urlencode(parameters or {}) if query is None else query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "localhost",
            "HTTP_USER_AGENT": "phone/1",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "CONTENT_LENGTH": str(len(body)),
            **self.environ,
        }
        if self.basic:
            pair = f"{self.profile.device.login}:{self.password}".encode()
            environ["HTTP_AUTHORIZATION"] = "Basic " + base64.b64encode(pair).decode()
        for name, value in headers.items():
            key = name.upper()
            key = key if key in _PLAIN else f"HTTP_{key}"
            if value is None:
                environ.pop(key, None)
            else:
                environ[key] = value
        seen: list[tuple[str, list[tuple[str, str]]]] = []
        answer = b"".join(self.application(environ, lambda status, found: seen.append((status, found))))
        status, found = seen[0]
        return Told(int(status.split()[0]), dict(found), answer)

    def golden(self, path: str, /, **parameters: str) -> bytes:
        """The body of an answer, with contacts' numbers as in a new database, and without the URL's password."""
        told = self.get(path, **parameters)
        assert told.status == 200, told
        body = told.body.replace(quote(self.password).encode(), b"PASSWORD")
        cards = models.table(models.Card)
        with self.db.read() as session:
            ids = session.scalars(select(cards.c.id).order_by(cards.c.id)).all()
        for number, card_id in enumerate(ids, 1):
            body = body.replace(key_of(card_id, self.db.secret).encode(), str(number).encode())
        return body

    def used(self) -> Device:
        """The device, once it is written down that it was used: that goes on behind a request's back."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with self.db.read() as session:
                person = people.user(session, self.profile.device.login)
                device = phone_profiles.find(session, person, self.profile.device.label).device
            if device.last_used_at is not None:
                return device
            time.sleep(0.005)
        raise AssertionError("nobody wrote down that the phone was used")

    def at(self, address: str) -> Phone:
        """The same phone at another address."""
        return replace(self, environ={**self.environ, "REMOTE_ADDR": address})


@pytest.fixture
def configured(database_url: str, tmp_path: Path) -> Callable[..., config.Configuration]:
    """Gives a configuration; options by their section, and what is in the settings file: ``file="[phones]\\n..."``."""

    def load(file: str = "", **sections: dict[str, str]) -> config.Configuration:
        configuration = settings.load_configuration(str(write_configuration(tmp_path, database_url)))
        if file:
            named = tmp_path / "settings.toml"
            named.write_text(file)
            sections.setdefault("storage", {})["settings_file"] = str(named)
        configuration.update(sections, "test")
        return configuration

    return load


@pytest.fixture
def own_settings(configured: Callable[..., config.Configuration]) -> settings.Settings:
    """The settings that ``application`` has."""
    return settings.from_configuration(configured())


@pytest.fixture
def serving(configured: Callable[..., config.Configuration]) -> Callable[..., Application]:
    """Gives what ``serve`` runs; options as for ``configured``."""

    def serve(file: str = "", **sections: dict[str, str]) -> Application:
        with schemas_looked_at_once():
            return server.compose(configured(file, **sections))

    return serve


@pytest.fixture
def application(serving: Callable[..., Application], db: Database) -> Application:
    return serving()


def add_phone(
    application: Application,
    db: Database,
    make: str,
    *,
    login: str = "ada",
    label: str = "",
    only: list[str] | None = None,
    **choices: Any,
) -> Phone:
    """A new phone. choices: of ``phone_profiles.Choices``; only: addresses of the books that it may use"""
    with db.write() as session:
        person = people.user(session, login)
        known = len(phone_profiles.of_user(session, person.id))
        profile, password = phone_profiles.add(
            session,
            person,
            label or f"{make} {known}",
            Choices(make=make, **choices),
            secret=db.secret,
            by=BY,
            only=[books.find(session, one) for one in only] if only else None,
        )
    return Phone(application, db, profile, password)


@pytest.fixture
def phone_of(application: Application, db: Database) -> Callable[..., Phone]:
    """Makes a phone in the demo organisation; as ``add_phone``: ``phone_of("snom", region="DE")``."""
    demo.set_up(db, BY)

    def make(make: str, **options: Any) -> Phone:
        return add_phone(application, db, make, **options)

    return make


@pytest.fixture
def office(application: Application, db: Database, organisation: Organisation) -> Callable[..., Phone]:
    """Makes a phone in the small organisation of all tests; as ``add_phone``."""

    def make(make: str = "yealink", **options: Any) -> Phone:
        return add_phone(application, db, make, **options)

    return make

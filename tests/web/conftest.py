"""The JSON API in process, spoken to by WSGI through the application that ``serve`` runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from radicale import config

from radicale_shared import books, devices, people, server, settings
from radicale_shared.database import Database
from tests.conftest import BY, Organisation, schemas_looked_at_once
from tests.dav.conftest import Client, write_configuration

Application = Callable[..., Iterable[bytes]]


@dataclass
class Told:
    """An answer: its status, its headers, and what its JSON says."""

    status: int
    headers: dict[str, str]
    body: bytes

    def __getitem__(self, key: str) -> Any:
        return json.loads(self.body)[key]

    @property
    def value(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """What people are told of an error, which is all there is in its answer."""
        (key,) = self.value
        assert key == "error"
        return str(self.value["error"])


@dataclass
class Tool(Client):
    """One person's tool: a DAV client too."""

    def ask(
        self,
        method: str,
        path: str | bytes,
        value: Any = None,
        *,
        body: bytes | None = None,
        arguments: dict[str, str] | None = None,
        **headers: str | None,
    ) -> Told:
        """path: below /api/, or an absolute one; value: sent as JSON, instead of the ``body``"""
        root = b"" if path[:1] in {"/", b"/"} else b"/api/"
        data = body or b""
        if value is not None:
            data = json.dumps(value).encode()
        if value is not None or body is not None:
            headers.setdefault("Content_Type", "application/json")
        asking = replace(self, environ={"QUERY_STRING": urlencode(arguments or {}), **self.environ})
        answer = asking.request(method, root + (path.encode() if isinstance(path, str) else path), data, **headers)
        return Told(answer.status, answer.headers, answer.body)

    def read(self, path: str | bytes, **arguments: str) -> Told:
        return self.ask("GET", path, arguments=arguments)

    def give(self, book: str, principal: str, role: str, **more: Any) -> Told:
        return self.ask("PUT", f"books/{book}/grants/{principal}", {"role": role, **more})

    def take(self, book: str, principal: str) -> Told:
        return self.ask("DELETE", f"books/{book}/grants/{principal}")


@pytest.fixture
def configured(database_url: str, tmp_path: Path) -> Callable[..., config.Configuration]:
    """Gives a configuration; options by their section: ``configured(auth={"find_people": "nobody"})``."""

    def load(**sections: dict[str, str]) -> config.Configuration:
        configuration = settings.load_configuration(str(write_configuration(tmp_path, database_url)))
        configuration.update(sections, "test")
        return configuration

    return load


@pytest.fixture
def serving(configured: Callable[..., config.Configuration]) -> Callable[..., Application]:
    """Gives what ``serve`` runs; options as for ``configured``."""

    def serve(**sections: dict[str, str]) -> Application:
        with schemas_looked_at_once():
            return server.compose(configured(**sections))

    return serve


@pytest.fixture
def application(serving: Callable[..., Application], organisation: Organisation) -> Application:
    return serving()


@pytest.fixture
def ada(application: Application) -> Tool:
    return Tool(application, "ada")


@pytest.fixture
def ben(application: Application) -> Tool:
    return Tool(application, "ben")


@pytest.fixture
def carla(application: Application) -> Tool:
    return Tool(application, "carla")


@pytest.fixture
def ben_manages(organisation: Organisation, ben: Tool) -> Tool:
    """Ben, who is a manager of sales/leads by a grant of his own, beside his group's."""
    organisation.grant("sales/leads", "user:ben", "manager")
    return ben


@pytest.fixture
def device_of(application: Application, db: Database) -> Callable[..., Tool]:
    """Makes a device of somebody, and gives its program."""

    def make(login: str = "ada", label: str = "phone", only: list[str] | None = None, **more: Any) -> Tool:
        with db.write() as session:
            found = [books.find(session, one) for one in only] if only else None
            person = people.user(session, login)
            _, password = devices.add(session, person, label, secret=db.secret, by=BY, only=found, **more)
        return Tool(application, login, password)

    return make

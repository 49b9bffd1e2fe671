"""A plain Radicale in process, spoken to by WSGI: with its own store, or with our plugins."""

from __future__ import annotations

import base64
import io
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest
from radicale import config
from radicale.app import Application

from tests.conftest import schemas_looked_at_once

NAMESPACES = {
    "D": "DAV:",
    "C": "urn:ietf:params:xml:ns:carddav",
    "CS": "http://calendarserver.org/ns/",
    "I": "http://inf-it.com/ns/ab/",
    "CAL": "urn:ietf:params:xml:ns:caldav",
}
XMLNS = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
QUIET = {"logging": {"level": "critical"}, "server": {"delay_on_error": "0"}}
PEOPLE = ("ada", "ben", "carla")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def etag(self) -> str:
        return self.headers["ETag"]

    @property
    def xml(self) -> ET.Element:
        return ET.fromstring(self.body)

    @property
    def token(self) -> str:
        return self.xml.findtext("D:sync-token", "", NAMESPACES)

    @property
    def responses(self) -> dict[str, ET.Element]:
        found = self.xml.findall("D:response", NAMESPACES)
        return {one.findtext("D:href", "", NAMESPACES): one for one in found}

    @property
    def hrefs(self) -> list[str]:
        return sorted(self.responses)

    @property
    def missing(self) -> list[str]:
        """The hrefs that are answered with 404 as a whole."""
        return sorted(href for href, one in self.responses.items() if "404" in one.findtext("D:status", "", NAMESPACES))

    def text(self, href: str, name: str) -> str | None:
        """A property out of the 200 propstat, ``name`` with prefix; None if it isn't there."""
        for propstat in self.responses[href].findall("D:propstat", NAMESPACES):
            if "200" in propstat.findtext("D:status", "", NAMESPACES):
                found = propstat.find(f"D:prop/{name}", NAMESPACES)
                return None if found is None else "".join(found.itertext())
        return None

    def has_data(self, data: bytes) -> bool:
        """Whether exactly these bytes stand in the body as XML text (a parser would make CRLF one LF)."""
        return b">" + escape(data.decode()).encode() + b"<" in self.body


@dataclass
class Client:
    """One person's program. Its password is the login twice."""

    application: Callable[..., Iterable[bytes]]
    login: str = ""
    password: str = ""
    user_agent: str = "Tester/1.0"
    environ: dict[str, Any] = field(default_factory=dict)

    def request(self, method: str, path: str, body: bytes | str = b"", **headers: str) -> Answer:
        data = body.encode() if isinstance(body, str) else body
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_USER_AGENT": self.user_agent,
            "CONTENT_LENGTH": str(len(data)),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(data),
            "wsgi.errors": io.StringIO(),
        }
        if self.login:
            pair = f"{self.login}:{self.password or self.login * 2}"
            environ["HTTP_AUTHORIZATION"] = "Basic " + base64.b64encode(pair.encode()).decode()
        environ.update({f"HTTP_{name.upper()}": value for name, value in headers.items()})
        environ.update(self.environ)
        started: list[tuple[str, list[tuple[str, str]]]] = []
        parts = self.application(environ, lambda status, sent: started.append((status, sent)))
        status, sent = started[0]
        return Answer(int(status.split()[0]), dict(sent), b"".join(parts))

    def put(self, path: str, data: bytes, **headers: str) -> Answer:
        return self.request("PUT", path, data, **headers)

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def delete(self, path: str, **headers: str) -> Answer:
        return self.request("DELETE", path, **headers)

    def propfind(self, path: str, *names: str, depth: str = "0") -> Answer:
        props = "".join(f"<{name}/>" for name in names)
        asked = f"<D:prop>{props}</D:prop>" if names else "<D:allprop/>"
        return self.request("PROPFIND", path, f"<D:propfind {XMLNS}>{asked}</D:propfind>", depth=depth)

    def proppatch(self, path: str, **texts: str) -> Answer:
        """Set properties named ``prefix__name``."""
        named = {name.replace("__", ":").replace("_", "-"): text for name, text in texts.items()}
        props = "".join(f"<{name}>{text}</{name}>" for name, text in named.items())
        body = f"<D:propertyupdate {XMLNS}><D:set><D:prop>{props}</D:prop></D:set></D:propertyupdate>"
        return self.request("PROPPATCH", path, body)

    def mkcol(self, path: str, kind: str = "<C:addressbook/>", more: str = "", method: str = "MKCOL") -> Answer:
        types = f"<D:resourcetype><D:collection/>{kind}</D:resourcetype>"
        body = f"<D:mkcol {XMLNS}><D:set><D:prop>{types}{more}</D:prop></D:set></D:mkcol>"
        return self.request(method, path, body)

    def multiget(self, path: str, *hrefs: str) -> Answer:
        listed = "".join(f"<D:href>{escape(quote(href))}</D:href>" for href in hrefs)
        props = "<D:prop><D:getetag/><C:address-data/></D:prop>"
        return self.request("REPORT", path, f"<C:addressbook-multiget {XMLNS}>{props}{listed}</C:addressbook-multiget>")

    def query(self, path: str, filters: str, test: str = "anyof") -> Answer:
        body = f'<D:prop><D:getetag/></D:prop><C:filter test="{test}">{filters}</C:filter>'
        return self.request("REPORT", path, f"<C:addressbook-query {XMLNS}>{body}</C:addressbook-query>")

    def sync(self, path: str, token: str = "") -> Answer:
        body = f"<D:sync-token>{token}</D:sync-token><D:sync-level>1</D:sync-level><D:prop><D:getetag/></D:prop>"
        return self.request("REPORT", path, f"<D:sync-collection {XMLNS}>{body}</D:sync-collection>")

    def move(self, path: str, to: str, **headers: str) -> Answer:
        return self.request("MOVE", path, destination=quote(to), **headers)


def match(name: str, text: str, **attributes: str) -> str:
    """A prop-filter with one text-match."""
    given = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in attributes.items())
    return f'<C:prop-filter name="{name}"><C:text-match{given}>{escape(text)}</C:text-match></C:prop-filter>'


def ours(database_url: str, **more: dict[str, str]) -> config.Configuration:
    """The configuration of a plain Radicale with our two plugins."""
    configuration = config.load()
    configuration.update(
        {
            **QUIET,
            "storage": {"type": "radicale_shared.storage_plugin", "database_url": database_url},
            "auth": {"type": "radicale_shared.auth_plugin", "delay": "0"},
            "rights": {"type": "radicale_shared.auth_plugin"},
        },
        "test",
    )
    configuration.update(more, "test")
    return configuration


def stock(folder: Path) -> config.Configuration:
    """The configuration of a Radicale with its own store, and the same people."""
    people = folder / "people"
    people.write_text("".join(f"{login}:{login * 2}\n" for login in PEOPLE))
    htpasswd = {"type": "htpasswd", "htpasswd_filename": str(people), "htpasswd_encryption": "plain"}
    configuration = config.load()
    configuration.update(
        {
            **QUIET,
            "storage": {"type": "multifilesystem", "filesystem_folder": str(folder / "collections")},
            "auth": {**htpasswd, "delay": "0"},
            "rights": {"type": "owner_only"},
        },
        "test",
    )
    return configuration


@pytest.fixture
def radicale(organisation, database_url) -> Application:
    """A plain Radicale with our plugins over the organisation's database."""
    with schemas_looked_at_once():
        return Application(ours(database_url))


@pytest.fixture
def stock_radicale(tmp_path) -> Application:
    """A Radicale with its own store; everyone has the book ``contacts``."""
    application = Application(stock(tmp_path))
    for login in PEOPLE:
        assert Client(application, login).mkcol(f"/{login}/contacts/").status == 201
    return application


@pytest.fixture
def ada(radicale) -> Client:
    return Client(radicale, "ada")


@pytest.fixture
def ben(radicale) -> Client:
    return Client(radicale, "ben")


@pytest.fixture
def carla(radicale) -> Client:
    return Client(radicale, "carla")


@pytest.fixture
def tools() -> Any:
    """What tests build requests and configurations of."""

    class Tools:
        client = Client
        prop_match = staticmethod(match)
        configuration = staticmethod(ours)
        application = Application

    return Tools


@pytest.fixture
def a_card() -> Callable[..., bytes]:
    """A small vCard: uid, name, more lines."""

    def build(uid: str, name: str = "", *lines: str, version: str = "3.0") -> bytes:
        name = name or uid.capitalize()
        content = ["BEGIN:VCARD", f"VERSION:{version}", f"UID:{uid}", f"FN:{name}", f"N:{name};;;;", *lines]
        return "\r\n".join([*content, "END:VCARD", ""]).encode()

    return build

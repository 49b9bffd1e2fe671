"""The server in process, spoken to by WSGI, as one of the organisation's people."""

from __future__ import annotations

import base64
import io
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from radicale_shared import settings
from radicale_shared.dav.application import Application
from tests.conftest import schemas_looked_at_once

DAV = "{DAV:}"
CARDDAV = "{urn:ietf:params:xml:ns:carddav}"
XMLNS = 'xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:carddav" xmlns:CS="http://calendarserver.org/ns/"'


@dataclass
class Response:
    """An answer; ``xml`` parses its body, ``responses`` reads a multistatus."""

    status: int
    headers: dict[str, str]
    body: bytes

    @cached_property
    def xml(self) -> ET.Element:
        return ET.fromstring(self.body)

    @property
    def etag(self) -> str:
        return self.headers["ETag"]

    @property
    def token(self) -> str:
        return self.xml.findtext(f"{DAV}sync-token") or ""

    @property
    def conditions(self) -> list[str]:
        """The names of the precondition elements of a DAV:error, without namespaces."""
        assert self.xml.tag == f"{DAV}error", self.body
        return [child.tag.rpartition("}")[2] for child in self.xml if not child.tag.endswith("responsedescription")]

    @cached_property
    def responses(self) -> dict[str, ET.Element]:
        """{href: DAV:response} of a multistatus, in order."""
        return {one.findtext(f"{DAV}href") or "": one for one in self.xml.findall(f"{DAV}response")}

    @property
    def hrefs(self) -> list[str]:
        return list(self.responses)

    def status_of(self, href: str) -> str:
        """The status line of a DAV:response without propstat."""
        return self.responses[href].findtext(f"{DAV}status") or ""

    def prop(self, href: str, name: str) -> ET.Element | None:
        """A property of a resource, out of the 200 propstat."""
        for propstat in self.responses[href].findall(f"{DAV}propstat"):
            if propstat.findtext(f"{DAV}status") == "HTTP/1.1 200 OK":
                return propstat.find(f"{DAV}prop/{name}")
        return None

    def text(self, href: str, name: str) -> str:
        found = self.prop(href, name)
        assert found is not None, f"{name} is not among the found properties of {href}"
        return found.text or ""


@dataclass
class Client:
    """One person's program: login, password, User-Agent."""

    application: Callable[..., Iterable[bytes]]
    login: str = ""
    password: str = ""
    user_agent: str = "tests/1"
    environ: dict[str, Any] = field(default_factory=dict)

    def request(self, method: str, path: str | bytes, body: bytes | str = b"", **headers: str | None) -> Response:
        """``path`` is decoded, or the very bytes of a path; headers: If_Match="...", None leaves one out."""
        data = body.encode() if isinstance(body, str) else body
        raw_path = path if isinstance(path, bytes) else path.encode()
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": raw_path.decode("latin-1"),
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_USER_AGENT": self.user_agent,
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(data),
            "wsgi.errors": io.StringIO(),
            "CONTENT_LENGTH": str(len(data)),
            **self.environ,
        }
        if self.login:
            pair = f"{self.login}:{self.password or self.login * 2}".encode()
            environ["HTTP_AUTHORIZATION"] = "Basic " + base64.b64encode(pair).decode()
        for name, value in headers.items():
            key = name.upper()
            key = key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"
            if value is None:
                environ.pop(key, None)
            else:
                environ[key] = value
        seen: list[tuple[str, list[tuple[str, str]]]] = []
        pieces = self.application(environ, lambda status, found: seen.append((status, found)))
        answer = b"".join(pieces)
        status, found = seen[0]
        return Response(int(status.split()[0]), dict(found), answer)

    def put(self, path: str, body: bytes, **headers: str | None) -> Response:
        return self.request("PUT", path, body, Content_Type="text/vcard; charset=utf-8", **headers)

    def get(self, path: str, **headers: str) -> Response:
        return self.request("GET", path, **headers)

    def delete(self, path: str, **headers: str) -> Response:
        return self.request("DELETE", path, **headers)

    def propfind(self, path: str, *names: str, depth: str = "0") -> Response:
        """Names with a prefix of XMLNS, e.g. ``C:max-resource-size``; none asks for allprop."""
        props = "".join(f"<{name}/>" for name in names)
        body = f"<propfind {XMLNS}><prop>{props}</prop></propfind>" if names else ""
        return self.request("PROPFIND", path, body, Depth=depth)

    def sync(self, path: str, token: str = "", *, data: bool = False, extra: str = "") -> Response:
        wanted = "<getetag/><C:address-data/>" if data else "<getetag/>"
        body = (
            f"<sync-collection {XMLNS}><sync-token>{token}</sync-token><sync-level>1</sync-level>{extra}"
            f"<prop>{wanted}</prop></sync-collection>"
        )
        return self.request("REPORT", path, body)

    def multiget(self, path: str, *hrefs: str) -> Response:
        listed = "".join(f"<href>{href}</href>" for href in hrefs)
        body = (
            f"<C:addressbook-multiget {XMLNS}><prop><getetag/><C:address-data/></prop>{listed}</C:addressbook-multiget>"
        )
        return self.request("REPORT", path, body)

    def mkcol(self, path: str, name: str = "", kind: str = "<C:addressbook/>") -> Response:
        body = (
            f"<mkcol {XMLNS}><set><prop><resourcetype><collection/>{kind}</resourcetype>"
            f"<displayname>{name}</displayname></prop></set></mkcol>"
        )
        return self.request("MKCOL", path, body)


def write_configuration(folder: Path, database_url: str, *sections: str) -> Path:
    """A configuration file for a database; ``sections`` are lines to append."""
    lines = [
        "[storage]",
        "type = radicale_shared.storage_plugin",
        f"database_url = {database_url}",
        "[auth]",
        "type = radicale_shared.auth_plugin",
        "trusted_proxies = 10.0.0.0/8",
        "[rights]",
        "type = radicale_shared.auth_plugin",
        "[logging]",
        "level = warning",
        *sections,
    ]
    path = folder / "radicale-shared.ini"
    path.write_text("\n".join(lines) + "\n")
    return path


def serving(database_url: str, folder: Path) -> Application:
    """The server over a database; its configuration is written into ``folder``."""
    with schemas_looked_at_once():
        return Application(settings.load_configuration(str(write_configuration(folder, database_url))))


@pytest.fixture
def application(database_url: str, tmp_path: Path) -> Application:
    return serving(database_url, tmp_path)


@pytest.fixture
def ada(application: Application, organisation: object) -> Client:
    return Client(application, "ada")


@pytest.fixture
def ben(application: Application, organisation: object) -> Client:
    return Client(application, "ben")


@pytest.fixture
def carla(application: Application, organisation: object) -> Client:
    return Client(application, "carla")


def etags_of(client: Client, book: str) -> dict[str, str]:
    """{href: ETag} of a book, as a listing tells it to this client."""
    listed = client.propfind(book, "getetag", depth="1")
    return {href: listed.text(href, f"{DAV}getetag") for href in listed.hrefs if href != book}


def token_of(client: Client, book: str) -> str:
    """A book's sync token, as PROPFIND tells it."""
    return client.propfind(book, "sync-token").text(book, f"{DAV}sync-token")


def href_of(*segments: str) -> str:
    return "".join("/" + quote(segment, safe="@:~!$()") for segment in segments)

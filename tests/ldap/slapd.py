"""A real slapd as an ordinary process: a folder and free ports of its own, filled from LDIF."""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ldap3

from radicale_shared.directory_settings import PRESETS, DirectorySettings
from tests.ldap.certificates import Certificate

SCHEMAS = Path("/etc/ldap/schema")
MODULES = Path("/usr/lib/ldap")
ADMINISTRATOR_PASSWORD = "administrator-secret"
READER_PASSWORD = "reader-secret"


def missing() -> str:
    """Why slapd can't be run here; empty where it can."""
    if not _program():
        return "slapd is not installed (Debian: apt-get install slapd)"
    return "" if (SCHEMAS / "inetorgperson.schema").exists() else f"slapd's schemas are not in {SCHEMAS}"


def _program() -> str | None:
    return shutil.which("slapd", path="/usr/sbin:/usr/lib/openldap:/usr/libexec:/usr/bin:/usr/local/libexec")


def entry(dn: str, **attributes: str | bytes | Iterable[str]) -> str:
    """An entry as LDIF (RFC 2849); a name's ``_`` stands for a dash."""
    lines = [_line("dn", dn)]
    for name, values in attributes.items():
        for value in [values] if isinstance(values, str | bytes) else values:
            lines.append(_line(name.replace("_", "-"), value))
    return "\n".join([*lines, "", ""])


def _line(name: str, value: str | bytes) -> str:
    if isinstance(value, str) and re.fullmatch(r"(?![ :<])[\x20-\x7e]*(?<! )", value):
        return f"{name}: {value}"
    octets = value.encode() if isinstance(value, str) else value
    return f"{name}:: {base64.b64encode(octets).decode()}"


class Slapd:
    """A slapd with one database.

    ldif: entries below ``suffix``, which itself and ``cn=reader`` are made
    more: lines for the database's part of slapd.conf; before: lines for its general part
    """

    def __init__(
        self,
        folder: Path,
        ldif: str,
        *,
        suffix: str = "dc=example,dc=org",
        certificate: Certificate | None = None,
        more: Iterable[str] = (),
        before: Iterable[str] = (),
    ) -> None:
        self.folder = folder
        self.suffix = suffix
        self._process: subprocess.Popen[bytes] | None = None
        self._administrator: ldap3.Connection | None = None
        (folder / "data").mkdir(parents=True)
        # Debian confines /usr/sbin/slapd to its own folders by AppArmor, which goes by the program's path.
        self._program = folder / "slapd"
        shutil.copy(_program() or "", self._program)
        self._configuration = folder / "slapd.conf"
        self._configuration.write_text(self._configured(certificate, more, before), "utf-8")
        self.port, self.tls_port = _free_port(), _free_port()
        name = suffix.partition(",")[0].partition("=")[2]
        base = entry(suffix, objectClass=["organization", "dcObject"], o=name, dc=name)
        reader = entry(
            self.reader, objectClass=["person", "simpleSecurityObject"], sn="reader", userPassword=READER_PASSWORD
        )
        self.load(base + reader + ldif)
        self.start()

    @property
    def reader(self) -> str:
        return f"cn=reader,{self.suffix}"

    @property
    def administrator(self) -> str:
        return f"cn=administrator,{self.suffix}"

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://127.0.0.1:{self.tls_port}"

    def settings(self, **changes: Any) -> DirectorySettings:
        """Settings that fit; without TLS, unless ``changes`` have it."""
        kind = changes.pop("kind", "openldap")
        fitting: Mapping[str, Any] = {
            "name": "main",
            "kind": kind,
            "servers": (self.url,),
            "start_tls": False,
            "allow_plaintext": True,
            "bind_dn": self.reader,
            "bind_password": READER_PASSWORD,
            "domains": ("example.org", "EXAMPLE"),
            "people_base": (f"ou=people,{self.suffix}",),
            "group_base": (f"ou=groups,{self.suffix}",),
            "connect_timeout_seconds": 5,
            "answer_timeout_seconds": 10,
        }
        return DirectorySettings(**{**PRESETS[kind], **fitting, **changes})

    # -- the process

    def load(self, ldif: str) -> None:
        """Add entries while it isn't running; operational attributes may be among theirs."""
        arguments = [self._program, "-T", "add", "-q", "-f", self._configuration]
        done = subprocess.run(arguments, input=ldif.encode(), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()

    def start(self) -> None:
        urls = f"{self.url}/ {self.tls_url}/" if self._has_tls else f"{self.url}/"
        arguments = [self._program, "-d", "0", "-f", self._configuration, "-h", urls]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log)
        _wait_for(self.port, self._process)

    def stop(self, *, how: signal.Signals = signal.SIGTERM) -> None:
        if self._administrator is not None:
            self._administrator.unbind()
            self._administrator = None
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def kill(self) -> None:
        self.stop(how=signal.SIGKILL)

    def freeze(self) -> None:
        """Let it hang: its sockets take connections and requests, and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    # -- what the administrator changes

    def add(self, dn: str, **attributes: str | bytes | list[str]) -> None:
        self._done(self._connected().add(dn, attributes=attributes))

    def set(self, dn: str, **attributes: str | list[str]) -> None:
        """Give attributes these values; none: take the attribute away."""
        changes = {
            name: [(ldap3.MODIFY_REPLACE, [values] if isinstance(values, str) else values)]
            for name, values in attributes.items()
        }
        self._done(self._connected().modify(dn, changes))

    def rename(self, dn: str, name: str, *, below: str | None = None) -> None:
        self._done(self._connected().modify_dn(dn, name, delete_old_dn=True, new_superior=below))

    def remove(self, dn: str) -> None:
        self._done(self._connected().delete(dn))

    def _connected(self) -> ldap3.Connection:
        if self._administrator is None:
            server = ldap3.Server("127.0.0.1", port=self.port, get_info=ldap3.NONE)
            self._administrator = ldap3.Connection(
                server, self.administrator, ADMINISTRATOR_PASSWORD, auto_bind=True, check_names=False
            )
        return self._administrator

    def _done(self, is_done: bool) -> None:
        assert is_done, self._connected().result

    # -- slapd.conf

    def _configured(self, certificate: Certificate | None, more: Iterable[str], before: Iterable[str]) -> str:
        self._has_tls = certificate is not None
        secured = (
            [f"TLSCertificateFile {certificate.certificate}", f"TLSCertificateKeyFile {certificate.key}"]
            if certificate
            else []
        )
        lines = [
            *(f"include {SCHEMAS / name}.schema" for name in ("core", "cosine", "inetorgperson", "nis", "dyngroup")),
            *([f"modulepath {MODULES}"] if MODULES.is_dir() else []),
            *(f"moduleload {name}" for name in ("back_mdb", "memberof", "ppolicy")),
            f"pidfile {self.folder / 'pid'}",
            *secured,
            *before,
            "database mdb",
            f"suffix {self.suffix}",
            f"rootdn {self.administrator}",
            f"rootpw {ADMINISTRATOR_PASSWORD}",
            f"directory {self.folder / 'data'}",
            *more,
            # One answer has at most 500 entries, all pages of a search as many as there are.
            f'limits dn.exact="{self.reader}" size.soft=500 size.hard=500 size.prtotal=unlimited',
            "maxsize 268435456",
            "dbnosync",
            "index objectClass,entryUUID,uid,mail,member,uniqueMember,memberUid eq",
            # memberOf in a file for slapadd is operational: the overlay's schema knows it.
            "overlay memberof",
            f'access to attrs=userPassword by dn.exact="{self.administrator}" manage by anonymous auth by * none',
            f'access to * by dn.exact="{self.reader}" read by anonymous auth by * none',
            "",
        ]
        return "\n".join(lines)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(500):
        assert process.poll() is None, f"slapd ended with {process.returncode}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("slapd doesn't listen")

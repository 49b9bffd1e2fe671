"""Cyrus IMAP's CardDAV server, set up as its documentation says: a master process, one httpd a connection."""

import imaplib
import os
import pwd
import re
import shutil
from pathlib import Path
from textwrap import dedent

from .. import vcards
from ..client import Client
from .base import HOST, LEFT_TO_PUT, PASSWORD, USER, Server, ServerFailedError, free_port, no_such_account, other_user

LIBRARY = Path("/usr/lib/cyrus/bin")
MASTER = Path("/usr/sbin/cyrmaster")
PASSWORDS = Path("/usr/sbin/saslpasswd2")
NEEDED = {MASTER: "cyrus-imapd", LIBRARY / "imapd": "cyrus-imapd", LIBRARY / "httpd": "cyrus-caldav"} | {
    PASSWORDS: "sasl2-bin"
}
ADMINISTRATOR = "cyradm"
MAILBOX = f"user/{USER}"
BOOK = f"{MAILBOX}/#addressbooks/bench"
FOLDERS = tuple(f"conf/{name}" for name in ("db", "lock", "log", "msg", "proc", "quota", "socket", "user"))


class Cyrus(Server):
    """Cyrus IMAP of Debian, without compression; passwords in a sasldb of its own.

    A PUT takes it 4 ms and more: most contacts become messages of the book's mailbox as files, which Cyrus's own
    ``reconstruct`` takes in; the last LEFT_TO_PUT come by PUT.
    """

    label = "cyrus"
    book = f"/dav/addressbooks/user/{USER}/bench/"
    account = "cyrus"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._imap_port: int | None = None
        self._filled = 0

    @classmethod
    def missing(cls) -> str | None:
        packages = sorted({package for program, package in NEEDED.items() if not program.exists()})
        if packages:
            return f"not installed (Debian: {' '.join(packages)})"
        return no_such_account(cls.account or "")

    @property
    def config(self) -> Path:
        return self.folder / "imapd.conf"

    def set_up(self) -> None:
        self.run("mkdir", "-p", "spool", *FOLDERS)
        own_user = "" if other_user(self.account) else f"cyrus_user: {pwd.getpwuid(os.geteuid()).pw_name}\n"
        settings = dedent(f"""\
            configdirectory: {self.folder}/conf
            defaultpartition: default
            partition-default: {self.folder}/spool
            servername: localhost
            admins: {ADMINISTRATOR}
            sasl_pwcheck_method: auxprop
            sasl_auxprop_plugin: sasldb
            sasl_sasldb_path: {self.folder}/sasldb2
            sasl_mech_list: PLAIN
            allowplaintext: yes
            unixhierarchysep: yes
            virtdomains: off
            httpmodules: carddav
            httpallowcompress: no
        """)
        self.config.write_text(settings + own_user, encoding="utf-8")
        for name in (USER, ADMINISTRATOR):
            options = ("-p", "-c", "-f", f"{self.folder}/sasldb2", "-u", "localhost")
            self.run(str(PASSWORDS), *options, name, given=PASSWORD)
        self._imap_port = free_port()
        with self.running() as running:
            with imaplib.IMAP4(HOST, self._imap_port) as administration:
                administration.login(ADMINISTRATOR, PASSWORD)
                answer, reason = administration.create(MAILBOX)
            if answer != "OK":
                raise ServerFailedError(self.label, f"no mailbox {MAILBOX}: {reason!r}")
            client = Client(running.target)
            made = client.request("MKCOL", self.book)
            client.close()
            if made.status != 201:
                raise ServerFailedError(self.label, f"MKCOL {self.book} was answered with {made.status}")
        self._imap_port = None

    def command(self, port: int) -> list[str]:
        """Return the command line; what is served on which port stands in a file, which is written here."""
        imapd = f'imap cmd="{LIBRARY}/imapd -C {self.config}" listen="{HOST}:{self._imap_port}" prefork=0'
        services = [f'http cmd="{LIBRARY}/httpd -C {self.config}" listen="{HOST}:{port}" prefork=0 maxchild=100']
        services += [imapd] if self._imap_port else []
        file = self.folder / "cyrus.conf"
        file.write_text("\n".join(["START {", "}", "SERVICES {", *services, "}", "EVENTS {", "}", ""]))
        return [str(MASTER), "-C", str(self.config), "-M", str(file), "-p", f"{self.folder}/master.pid", "-D"]

    def fill(self, n: int) -> None:
        if n - LEFT_TO_PUT > self._filled:
            folder = Path(self.run(str(LIBRARY / "mbpath"), "-C", str(self.config), BOOK).strip())
            # A file's name is the message's UID, and UIDs only grow; files of replaced cards are still there.
            uids = (int(file.name[:-1]) for file in folder.iterdir() if re.fullmatch(r"\d+\.", file.name))
            first = max(uids, default=0) + 1
            for uid, index in enumerate(range(self._filled, n - LEFT_TO_PUT), start=first):
                file = folder / f"{uid}."
                file.write_bytes(message(index))
                if self.account and other_user(self.account):
                    shutil.chown(file, self.account)
            self.run(str(LIBRARY / "reconstruct"), "-C", str(self.config), BOOK)
        self._filled = max(n, self._filled)


def message(index: int) -> bytes:
    """Return contact ``index`` as the message that Cyrus itself makes of a PUT."""
    name, card = vcards.uid(index), vcards.contact(index)
    head = (
        f"User-Agent: carddav-bench\r\nFrom: <{USER}@localhost>\r\nSubject: {name}\r\n"
        f"Date: Sun, 22 Nov 2026 09:21:28 +0000\r\nMessage-ID: <{name}@localhost>\r\n"
        "Content-Type: text/vcard; version=3.0; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
        f'Content-Disposition: attachment;\r\n\tfilename="{name}.vcf"\r\nContent-Length: {len(card)}\r\n'
        "MIME-Version: 1.0\r\n\r\n"
    )
    return head.encode() + card

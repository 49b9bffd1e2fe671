"""Real receivers of notices: a mail server that speaks SMTP, and a webhook."""

from __future__ import annotations

import base64
import email
import http.server
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, cast

from tests.ldap.certificates import Certificate


@dataclass
class MailServer:
    """A mail server on a port of its own.

    certificate: offers STARTTLS, or with ``from_start`` speaks TLS at once
    user, password: who must sign in; empty: nobody
    answers: {command, e.g. ``"RCPT"``: the reply instead of the good one}
    hangs: accepts connections and says nothing; drips: says its greeting a byte at a time, for ever
    """

    certificate: Certificate | None = None
    from_start: bool = False
    user: str = ""
    password: str = ""
    answers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False
    drips: bool = False
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    was_encrypted: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._stopping = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._stopping.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # else who waits in accept would take one more
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError):
            self._talk(connection)
        connection.close()

    def _context(self) -> ssl.SSLContext:
        assert self.certificate is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate.certificate, self.certificate.key)
        return context

    def _talk(self, connection: socket.socket) -> None:
        if self.hangs:
            self._stopping.wait(30)
            return
        while self.drips and not self._stopping.is_set():
            connection.sendall(b"2")
            time.sleep(0.05)
        encrypted = self.from_start
        if encrypted:
            connection = self._context().wrap_socket(connection, server_side=True)
        lines = connection.makefile("rb")

        def say(text: str) -> None:
            connection.sendall(text.encode() + b"\r\n")

        say("220 mail.test")
        while line := lines.readline():
            said = line.decode().strip()
            verb = said.partition(" ")[0].upper()
            if verb in self.answers:
                say(self.answers[verb])
            elif verb == "EHLO":
                offers = ["STARTTLS"] if self.certificate and not encrypted else []
                offers += ["AUTH PLAIN"] if self.user else []
                say("250-mail.test")
                for offer in offers:
                    say(f"250-{offer}")
                say("250 8BITMIME")
            elif verb == "STARTTLS":
                say("220 go on")
                connection = self._context().wrap_socket(connection, server_side=True)
                lines, encrypted = connection.makefile("rb"), True
            elif verb == "AUTH":
                _, user, password = base64.b64decode(said.split()[-1]).decode().split("\0")
                say("235 welcome" if (user, password) == (self.user, self.password) else "535 wrong password")
            elif verb == "RCPT":
                self.recipients.append(said.partition(":")[2].strip("<>"))
                say("250 ok")
            elif verb == "DATA":
                say("354 go on")
                body = b""
                while (piece := lines.readline()) not in {b".\r\n", b""}:
                    body += piece.removeprefix(b".") if piece.startswith(b"..") else piece
                self.mails.append(cast(EmailMessage, email.message_from_bytes(body, policy=SMTP)))
                self.was_encrypted.append(encrypted)
                say("250 taken")
            elif verb == "QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")


@dataclass
class Webhook:
    """An HTTP server on a port of its own. answers: the statuses of its answers, one after another, then 200."""

    answers: list[int] = field(default_factory=list)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    before: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.before()
                hook.requests.append((dict(self.headers), body))
                hook.paths.append(self.path)
                status = hook.answers.pop(0) if hook.answers else 200
                self.send_response(status)
                if status in {301, 302, 307}:
                    self.send_header("Location", f"{hook.url}elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

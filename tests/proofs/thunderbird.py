"""Drives a real Thunderbird without a display, by Marionette, through the same code that its dialogs run.

Marionette is Mozilla's remote control: JSON over a socket, each message with its length before it. Scripts run with all
privileges inside Thunderbird.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("thunderbird")
_START_SECONDS = 120
_SCRIPT_SECONDS = 90

# A profile that asks nothing, reports nothing and fetches nothing by itself.
_PREFERENCES: dict[str, bool | int | str] = {
    "marionette.port": 0,
    "app.donation.eoy.version.viewed": 999,
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.safebrowsing.update.enabled": False,
    "datareporting.healthreport.uploadEnabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.systemAddon.update.enabled": False,
    "extensions.update.enabled": False,
    "mail.inappnotifications.enabled": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "mail.spotlight.firstRunDone": True,
    "mailnews.start_page.enabled": False,
    "mailnews.start_page_override.mstone": "ignore",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "toolkit.telemetry.server": "data:,",
}

# What the scripts below can use. ``sending`` runs an action, waits for the requests that Thunderbird makes of it in the
# background, and gives back the first of the errors that it only logs.
_TOOLS = """
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const { CardDAVDirectory } = ChromeUtils.importESModule("resource:///modules/CardDAVDirectory.sys.mjs");
const { CardDAVUtils } = ChromeUtils.importESModule("resource:///modules/CardDAVUtils.sys.mjs");
const { VCardUtils } = ChromeUtils.importESModule("resource:///modules/VCardUtils.sys.mjs");

function carddavBooks() {
  return MailServices.ab.directories
    .filter(one => one.dirType == Ci.nsIAbManager.CARDDAV_DIRECTORY_TYPE)
    .map(one => CardDAVDirectory.forFile(one.fileName));
}

function bookNamed(name) {
  const found = carddavBooks().filter(one => one.dirName == name);
  if (found.length != 1) {
    throw new Error(`Thunderbird has ${found.length} books called ${name}`);
  }
  return found[0];
}

async function sending(book, action) {
  const sent = [];
  for (const name of ["_sendCardToServer", "_deleteCardFromServer"]) {
    book[name] = function (...rest) {
      const promise = CardDAVDirectory.prototype[name].apply(this, rest);
      sent.push(promise);
      return promise;
    };
  }
  try {
    await action();
    const ended = await Promise.allSettled(sent);
    return ended.filter(one => one.status == "rejected").map(one => one.reason.message)[0] ?? "";
  } catch (error) {
    return error.message;
  } finally {
    delete book._sendCardToServer;
    delete book._deleteCardFromServer;
  }
}
"""

_RECORD = """
window.sentRequests = [];
window.requestRecorder = {
  observe(channel) {
    channel.QueryInterface(Ci.nsIHttpChannel);
    const headers = {};
    channel.visitRequestHeaders({ visitHeader: (name, value) => { headers[name.toLowerCase()] = value; } });
    window.sentRequests.push([channel.requestMethod, channel.URI.pathQueryRef, channel.responseStatus, headers]);
  },
};
Services.obs.addObserver(window.requestRecorder, "http-on-examine-response");
"""

_ADD_ACCOUNT = """
const [url, login, password] = given;
const found = await CardDAVUtils.detectAddressBooks(login, password, url, false);
for (const one of found) {
  await new Promise((resolve, reject) => {
    const book = one.create();
    book.fetchAllFromServer = function () {
      delete book.fetchAllFromServer;
      const done = book.fetchAllFromServer();
      done.then(resolve, reject);
      return done;
    };
  });
}
return found.map(one => one.name);
"""

_EDIT = """
const [name, uid, field, value] = given;
const book = bookNamed(name);
const page = await window.toAddressBook();
while (!page.detailsPane?.vCardEdit) {
  await new Promise(resolve => page.setTimeout(resolve, 20));
}
return sending(book, async () => {
  page.detailsPane.displayCards([book.getCard(uid)]);
  page.detailsPane.editCurrent();
  const input = page.document.querySelector(`vcard-edit ${field}`);
  if (!input) {
    throw new Error(`the editor shows no ${field}`);
  }
  input.value = value;
  input.dispatchEvent(new page.Event("input", { bubbles: true }));
  await page.detailsPane.saveCurrentContact();
});
"""

# Fields of the editor, by selectors.
NOTE = "vcard-note textarea"
TELEPHONE = 'vcard-tel input[type="tel"]'


class ThunderbirdError(Exception):
    """Thunderbird didn't start, or a script failed in it; the message has what it said."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that was answered, as it left Thunderbird; names of headers are in lower case."""

    method: str
    path: str
    status: int
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Shown:
    """A card as Thunderbird shows it; ``text`` is its own copy of the vCard."""

    uid: str
    name: str
    first_name: str
    last_name: str
    photo: str
    text: str


class Thunderbird:
    """One person's Thunderbird with a new profile in ``folder``.

    Books are named by their names on the server. What changes something returns the error that Thunderbird keeps to
    itself, or "".
    """

    def __init__(self, folder: Path) -> None:
        self._profile = folder / "profile"
        self._log = folder / "thunderbird.log"
        self._folder = folder
        self._messages = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    # -- address books -------------------------------------------------------------------------------------------------

    def add_account(self, url: str, login: str, password: str) -> list[str]:
        """The names of the books that were found at ``url``, added and loaded: what the dialog does."""
        names: list[str] = self.run(_ADD_ACCOUNT, url, login, password)
        return names

    def read_only(self) -> dict[str, bool]:
        """{name of a CardDAV book: whether Thunderbird refuses changes to it by itself}"""
        pairs: list[tuple[str, bool]] = self.run("return carddavBooks().map(one => [one.dirName, one.readOnly]);")
        return dict(pairs)

    def cards(self, book: str) -> dict[str, Shown]:
        """{UID: card}"""
        rows = self.run(
            """return bookNamed(given[0]).childCards.map(one =>
                 [one.UID, one.displayName, one.firstName, one.lastName, one.photoURL, one.getProperty("_vCard", "")]);
            """,
            book,
        )
        found = [Shown(*row) for row in rows]
        assert len({one.uid for one in found}) == len(found), "Thunderbird shows a card twice"
        return {one.uid: one for one in found}

    def create(self, book: str, text: str) -> str:
        """Add a card as the editor, imports and collected addresses do."""
        script = """const book = bookNamed(given[0]);
                    return sending(book, () => book.addCard(VCardUtils.vCardToAbCard(given[1])));"""
        return str(self.run(script, book, text))

    def edit(self, book: str, uid: str, field: str, value: str) -> str:
        """Open a card in the address book's editor, type ``value`` into ``field`` and save."""
        return str(self.run(_EDIT, book, uid, field, value))

    def delete(self, book: str, uid: str) -> str:
        script = """const book = bookNamed(given[0]);
                    return sending(book, () => book.deleteCards([book.getCard(given[1])]));"""
        return str(self.run(script, book, uid))

    def sync(self, book: str) -> str:
        """What "Synchronize" in the menu of a book does, and the timer every 30 minutes."""
        script = """const book = bookNamed(given[0]);
                    return book.syncWithServer().then(() => "", error => error.message);"""
        return str(self.run(script, book))

    def token(self, book: str) -> str:
        return str(self.run("return bookNamed(given[0])._syncToken;", book))

    def set_token(self, book: str, token: str) -> None:
        self.run("bookNamed(given[0])._syncToken = given[1];", book, token)

    def sent(self) -> list[Sent]:
        """All requests that were answered since the last call."""
        rows = self.run("const rows = window.sentRequests; window.sentRequests = []; return rows;")
        return [Sent(*row) for row in rows]

    # -- the process ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Come back when Thunderbird takes commands; raises ThunderbirdError with the end of its log."""
        assert PROGRAM is not None
        self._profile.mkdir(parents=True)
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in _PREFERENCES.items()]
        (self._profile / "user.js").write_text("\n".join(lines))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DBUS_", "MOZ_", "XDG_"))}
        options = ["--headless", "--no-remote", "--marionette", "--remote-allow-system-access"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [PROGRAM, *options, "--profile", self._profile],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**kept, "HOME": str(self._folder), "MOZ_CRASHREPORTER_DISABLE": "1"},
            )
        self._connect()
        timeouts = {"script": _SCRIPT_SECONDS * 1000}
        self._command("WebDriver:NewSession", {"capabilities": {"alwaysMatch": {"timeouts": timeouts}}})
        self._command("Marionette:SetContext", {"value": "chrome"})
        self.run(_RECORD)

    def stop(self) -> None:
        """Kill all its processes: nothing of the profile is needed any more."""
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _connect(self) -> None:
        port = self._profile / "MarionetteActivePort"
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            if port.exists() and (text := port.read_text()):
                self._socket = socket.create_connection(("127.0.0.1", int(text)), timeout=_SCRIPT_SECONDS + 30)
                self._received()  # its greeting
                return
            time.sleep(0.05)
        raise ThunderbirdError(f"Thunderbird did not start:\n{self._end_of_log()}")

    def _end_of_log(self) -> str:
        """Without what GTK says where there is no display."""
        lines = self._log.read_text(errors="replace").splitlines()
        return "\n".join([line for line in lines if line and "gtk_" not in line][-30:])

    # -- Marionette ----------------------------------------------------------------------------------------------------

    def run(self, script: str, *given: object) -> Any:
        """What the body of an async function returns; it finds the arguments in ``given``."""
        body = f"const given = Array.from(arguments);\nreturn (async () => {{ {_TOOLS}\n{script} }})();"
        return self._command("WebDriver:ExecuteScript", {"script": body, "args": list(given)})["value"]

    def _command(self, name: str, parameters: dict[str, object]) -> Any:
        self._messages += 1
        message = json.dumps([0, self._messages, name, parameters]).encode()
        assert self._socket is not None
        try:
            self._socket.sendall(b"%d:%s" % (len(message), message))
            _, _, error, result = self._received()
        except (OSError, ValueError) as failure:
            raise ThunderbirdError(f"{name}: {failure}\n{self._end_of_log()}") from failure
        if error:
            raise ThunderbirdError(f"{error['error']}: {error['message']}\n{error['stacktrace']}\n{self._end_of_log()}")
        return result

    def _received(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            length += self._exactly(1)
        return json.loads(self._exactly(int(length[:-1])))

    def _exactly(self, size: int) -> bytes:
        assert self._socket is not None
        received = b""
        while len(received) < size:
            piece = self._socket.recv(size - len(received))
            if not piece:
                raise ConnectionResetError("Thunderbird closed the connection")
            received += piece
        return received

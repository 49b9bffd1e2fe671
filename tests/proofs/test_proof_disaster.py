"""A phone gone mad: it deletes two fifths of a book that eight programs sync, while their people go on working.

Without the guard one undo brings everything back and keeps what the others did; with it the phone is stopped before a
twentieth of the book is gone. Nobody is left stuck: every program becomes equal to the server by its ordinary sync.
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from radicale_shared import access, books, cards, changes, database, grants, people, reading
from radicale_shared.access import Role
from radicale_shared.database import Database
from radicale_shared.vcard import Card
from tests.clients.life import assert_equal
from tests.clients.programs import Program
from tests.clients.test_client_davx5 import DAVx5
from tests.clients.test_client_evolution import Evolution
from tests.clients.test_client_ios import IOS
from tests.clients.test_client_kde import Kontact
from tests.clients.test_client_macos import MacOS
from tests.clients.test_client_outlook_synchronizer import CalDavSynchronizer
from tests.clients.test_client_thunderbird import Thunderbird
from tests.conftest import BY, card
from tests.proofs.conftest import COMMAND, RunningServer, nightly

ADDRESS = "sales/leads"
CARDS = nightly(300, 5000)
DOOMED = CARDS * 2 // 5
EDITS = nightly(5, 40)  # of each colleague
COLLEAGUES: dict[str, type[Program]] = {
    "ben": IOS,
    "carla": Thunderbird,
    "dora": Evolution,
    "emil": Kontact,
    "fay": MacOS,
    "gus": CalDavSynchronizer,
    "hana": DAVx5,
}


# Names of headers as the programs look them up; on the way they have no case (RFC 9110, section 5.1).
_NAMES = {"etag": "ETag", "dav": "DAV"}


class OverHTTP:
    """A server's URL, as what the programs of ``tests.clients`` talk to in the place of the application in process.

    acknowledged: (UID, TITLE) of each card that was sent and taken, in order
    deleted: how many DELETEs were answered by 204; refused: by 403
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.asking = requests.Session()
        self.asking.headers.clear()
        self.acknowledged: list[tuple[str, str]] = []
        self.deleted = 0
        self.refused = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]) -> Any:
        headers = {
            key.removeprefix("HTTP_").replace("_", "-"): value
            for key, value in environ.items()
            if key.startswith("HTTP_") or (key == "CONTENT_TYPE" and value)
        }
        method, data = environ["REQUEST_METHOD"], environ["wsgi.input"].read()
        path = quote(environ["PATH_INFO"].encode("latin-1"))
        answer = self.asking.request(
            method, self.url + path, headers=headers, data=data, timeout=120, allow_redirects=False
        )
        if method == "PUT" and answer.status_code in (201, 204):
            sent = Card.parse(data)
            self.acknowledged.append((sent.uid, sent.text("TITLE")))
        self.deleted += method == "DELETE" and answer.status_code == 204
        self.refused += method == "DELETE" and answer.status_code == 403
        told = [(_NAMES.get(name.lower(), name.title()), value) for name, value in answer.headers.items()]
        start_response(f"{answer.status_code} {answer.reason}", told)
        return [answer.content]


@dataclass
class Colleague:
    """Somebody who goes on working: edits a property of cards that nobody else edits, and syncs now and then."""

    program: Program
    uids: list[str]

    def work(self) -> None:
        for number, uid in enumerate(self.uids[:EDITS]):
            if any(url.endswith(f"{uid}.vcf") for url in self.program.held):
                self.program.edit(uid, "TITLE", f"{self.program.http.login} {number}")
            if number % 4 == 3:
                self.program.sync()


def share(number: int) -> list[str]:
    """The UIDs of the cards that one colleague works with, in no order: some the phone deletes, before or after."""
    uids = [f"{at:05}" for at in range(number, CARDS, len(COLLEAGUES))]
    random.Random(number).shuffle(uids)
    return uids


@dataclass
class Scene:
    """The server, its database, and the programs; all are in step when a test begins."""

    server: RunningServer
    db: Database
    mad: DAVx5
    colleagues: list[Colleague]
    before: dict[str, bytes]

    @property
    def programs(self) -> list[Program]:
        return [self.mad, *(one.program for one in self.colleagues)]

    @property
    def kept(self) -> dict[str, str]:
        """{UID: the TITLE that the server took last}"""
        told = [one.program.http.application.acknowledged for one in self.colleagues]
        return dict(pair for each in told for pair in each)

    def stored(self) -> dict[str, bytes]:
        with self.db.snapshot() as session:
            found = reading.every(session, access.administrator(books.find(session, ADDRESS)))
            return {Card.parse(one.data).uid: one.data for one in found}

    def command(self, *words: str) -> Any:
        done = subprocess.run(
            [COMMAND, "--config", self.server.configuration, *words, "--json"],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    def rampage(self) -> set[str]:
        """The mad phone deletes two fifths, and all others work at the same time. Returns the UIDs."""
        doomed = sorted(self.mad.held)[:DOOMED]
        uids = {Card.parse(self.mad.held[url].data).uid for url in doomed}
        self.mad.deleted = {url: self.mad.held.pop(url).etag for url in doomed}
        with ThreadPoolExecutor(len(self.programs)) as pool:
            for done in [pool.submit(self.mad.sync), *(pool.submit(one.work) for one in self.colleagues)]:
                done.result()
        return uids

    def assert_converging(self) -> None:
        """Every program ends with what the server has: by one sync, or two where the first one still sends changes."""
        for _ in range(2):
            for program in self.programs:
                program.sync()
        stored = self.stored()
        for program in self.programs:
            assert_equal(program, stored)


@pytest.fixture
def scene(database_url: str, running: Callable[..., RunningServer], tmp_path: Path) -> Callable[..., Scene]:
    """``scene(guard=False)``: a book of Sales, and eight people who may do everything with its cards."""

    def make(*, guard: bool) -> Scene:
        db = database.connect(database_url)
        with db.write() as session:
            sales = people.add_group(session, "sales")
            book = books.add(session, sales, "leads", by=BY, name="Leads")
            for login in ("ada", *COLLEAGUES):
                people.add_user(session, login, password=login * 2)
                grants.give(session, book, f"user:{login}", Role.CURATOR, by=BY)
        for start in range(0, CARDS, 200):
            with db.write(book.id) as session:
                whole = access.administrator(book)
                act = changes.begin(session, "import", BY, book_id=book.id)
                for number in range(start, min(start + 200, CARDS)):
                    uid = f"{number:05}"
                    data = card(uid, f"Customer {number}", f"TEL:+49 30 {number}", f"NOTE:Note {number}")
                    put = cards.check(data)
                    cards.put(session, whole, f"{uid}.vcf", put, secret=db.secret, by=BY, act_id=act)
        settings = tmp_path / "settings.toml"
        settings.write_text(f"[guard]\nenabled = {str(guard).lower()}\n", "utf-8")
        server = running(workers=2, options=f"settings_file = {settings}")
        mad = DAVx5(OverHTTP(server.url), "ada")
        colleagues = [
            Colleague(
                kind(OverHTTP(server.url), login),
                share(number),
            )
            for number, (login, kind) in enumerate(COLLEAGUES.items())
        ]
        made = Scene(server, db, mad, colleagues, {})
        for program in made.programs:
            program.batch = 500
            program.set_up()
            program.sync()
        made.before = made.stored()
        return made

    return make


def test_one_undo_brings_back_what_a_mad_phone_deleted_and_keeps_what_the_others_did(scene):
    there = scene(guard=False)
    doomed = there.rampage()
    assert there.mad.http.application.deleted > DOOMED * 0.8
    kept = there.kept

    told = there.command("history", "undo", "--book", ADDRESS, "--person", "ada", "--since", "1h")

    stored = there.stored()
    assert stored.keys() == there.before.keys()
    assert len(kept) > EDITS
    for uid, title in kept.items():
        assert Card.parse(stored[uid]).text("TITLE") == title
    untouched = doomed - kept.keys()
    assert len(untouched) > len(doomed) / 2
    for uid in untouched:
        assert stored[uid] == there.before[uid]
    assert told["act"]
    there.assert_converging()


def test_the_guard_stops_a_mad_phone_before_a_twentieth_is_gone_and_the_phone_gets_its_cards_back(scene):
    there = scene(guard=True)
    there.rampage()
    assert there.mad.http.application.deleted
    assert len(there.stored()) > CARDS * 0.95
    assert there.mad.http.application.refused > DOOMED / 2

    # What was refused is on the phone again by its own next sync.
    there.mad.sync()
    assert there.mad.shown().keys() == there.stored().keys()
    there.assert_converging()
    (block,) = there.command("guard", "list")
    there.command("guard", "revert", str(block["block"]))

    stored = there.stored()
    assert stored.keys() == there.before.keys()
    for uid, title in there.kept.items():
        assert Card.parse(stored[uid]).text("TITLE") == title
    there.assert_converging()
    # Only what destroys is refused: the person goes on working with the very same phone.
    there.mad.edit("00000", "TITLE", "still at work")
    there.mad.sync()
    assert Card.parse(there.stored()["00000"]).text("TITLE") == "still at work"

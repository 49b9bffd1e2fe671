"""A backup of a server in use: nobody waits for it, nobody fails, and every write that was answered before is in it."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from radicale_shared import access, backups, books, cards, reading
from tests.conftest import BY, Organisation, card
from tests.proofs.conftest import COMMAND, RunningServer, nightly

LEADS = "sales/leads"
URL = "/ada/sales~leads/"
EVERYTHING = (
    '<sync-collection xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:carddav"><sync-token/><sync-level>1</sync-level>'
    "<prop><C:address-data/></prop></sync-collection>"
)
WRITERS = 4
# Seconds of writing before and after the backup.
BESIDE = nightly(1, 20)


@dataclass
class Writer:
    """Writes a card of its own again and again.

    answered: {href: [the bytes of each answered write]}
    took: [(when it began, seconds)]
    """

    url: str
    number: int
    answered: dict[str, list[bytes]] = field(default_factory=dict)
    took: list[tuple[float, float]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        session = requests.Session()
        session.auth = ("ada", "adaada")
        turn = 0
        while not stop.is_set():
            turn += 1
            href = f"w{self.number}-{turn % 20}.vcf"
            data = card(f"w{self.number}-{turn % 20}", f"Turn {turn}", "NOTE:" + "x" * 300)
            began = time.monotonic()
            answer = session.put(f"{self.url}{href}", data, headers={"Content-Type": "text/vcard"}, timeout=60)
            self.took.append((began, time.monotonic() - began))
            if answer.status_code not in {201, 204}:
                self.wrong.append(f"{href}: {answer.status_code} {answer.text[:200]}")
            self.answered.setdefault(href, []).append(data)


def lines(number: int) -> tuple[str, ...]:
    return (f"TEL:+49 30 {number}", f"EMAIL:p{number}@example.org")


def fill(organisation: Organisation, number: int) -> None:
    db = organisation.db
    with db.read() as session:
        of = access.administrator(books.find(session, LEADS))
    for start in range(0, number, 500):
        with db.write(of.book.id) as session:
            for one in range(start, min(number, start + 500)):
                content = cards.check(
                    card(f"c{one}", f"Person {one}", f"TEL:+49 30 {one}", f"EMAIL:p{one}@example.org")
                )
                cards.put(session, of, f"c{one}.vcf", content, secret=db.secret, by=BY)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("work", "backups"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "work"))
    return tmp_path / "backups"


def test_a_backup_under_continuous_writes_is_whole_and_has_every_write_answered_before_it(
    organisation: Organisation, running: Callable[..., RunningServer], folder: Path, capsys: pytest.CaptureFixture[str]
):
    number = nightly(3000, 100_000)
    fill(organisation, number)
    server = running(workers=2)
    writers = [Writer(f"{server.url}{URL}", one) for one in range(WRITERS)]
    stop = threading.Event()
    threads = [threading.Thread(target=one.run, args=(stop,)) for one in writers]
    for thread in threads:
        thread.start()
    time.sleep(BESIDE)

    before = {href: len(written) for one in writers for href, written in dict(one.answered).items()}
    began = time.monotonic()
    made = told(server, "backup", str(folder))
    ended = time.monotonic()
    after = {href: len(written) for one in writers for href, written in dict(one.answered).items()}
    time.sleep(BESIDE)
    stop.set()
    for thread in threads:
        thread.join()
    server.stop()

    assert [one.wrong for one in writers if one.wrong] == []
    written = {href: every for one in writers for href, every in one.answered.items()}
    with backups.opened(Path(made["file"])) as opened, opened.db.snapshot() as session:
        of = access.administrator(books.find(session, LEADS))
        there = {one.href: one.data for one in reading.every(session, of)}
    assert sum(1 for href in there if href.startswith("c")) == number
    for href, count in before.items():
        # The state of the last answered write, or a later one that was answered by the end or under way then.
        later = written[href][count - 1 : after[href] + 2]
        assert there[href] in later, href
    verified_at = time.monotonic()
    assert told(server, "verify", str(folder))["problems"] == []

    usual = [seconds for one in writers for at, seconds in one.took if at + seconds < began or at > ended]
    meanwhile = [seconds for one in writers for at, seconds in one.took if at < ended and at + seconds > began]
    with capsys.disabled():
        print(
            f"\n{organisation.db.engine.dialect.name}, {number} cards: backup {ended - began:.1f} s, "
            f"{made['size'] / 1e6:.1f} MB, verify {time.monotonic() - verified_at:.1f} s; "
            f"writes (p50/p99) usually {_quantiles(usual)}, meanwhile {_quantiles(meanwhile)}"
        )


def _quantiles(seconds: list[float]) -> str:
    found = sorted(seconds)
    if not found:
        return "none"
    half, most = (found[int(len(found) * share)] * 1000 for share in (0.5, 0.99))
    return f"{half:.1f}/{most:.1f} ms of {len(found)}"


def told(server: RunningServer, *arguments: str) -> Any:
    done = subprocess.run(
        [COMMAND, "--config", server.configuration, *arguments, "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_everything_is_replaced_under_running_servers_and_nothing_is_mixed(
    organisation: Organisation, running: Callable[..., RunningServer], folder: Path
):
    """Whoever reads while a backup is restored sees all of what was there, or all of what is in the backup."""
    fill(organisation, 150)
    server = running(workers=2)
    told(server, "backup", str(folder / "a.backup"))
    for one in range(150):
        organisation.put("ada", "sales~leads", f"c{one}.vcf", card(f"c{one}", "Later", *lines(one)))
    states: list[set[bool]] = []
    stop = threading.Event()

    def read() -> None:
        session = requests.Session()
        session.auth = ("ada", "adaada")
        while not stop.is_set():
            answer = session.request("REPORT", f"{server.url}{URL}", data=EVERYTHING, timeout=60)
            if answer.status_code == 207:
                states.append({"FN:Later" in card for card in answer.text.split("BEGIN:VCARD")[1:]})

    reader = threading.Thread(target=read)
    reader.start()
    try:
        time.sleep(0.3)
        done = told(server, "restore", str(folder / "a.backup"), "--replace")
        time.sleep(0.3)
    finally:
        stop.set()
        reader.join()
    assert done["restart"] is False
    assert [one for one in states if len(one) != 1] == []
    assert states[0] == {True}
    assert states[-1] == {False}
    session = requests.Session()
    session.auth = ("ada", "adaada")
    assert session.put(f"{server.url}{URL}new.vcf", card("new"), timeout=30).status_code == 201
    assert told(server, "db", "check") == []

"""An answered write survives ``kill -9`` of the whole server, and a client that watched converges.

Four writers put, change and delete cards until the server is killed under them, again and again.
"""

from __future__ import annotations

import random
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import pytest
import requests
from sqlalchemy import func, select

from radicale_shared import models
from radicale_shared.database import Database

DAV = "{DAV:}"
WRITERS = 4
CARDS = 12  # of each writer
SYNC = (
    '<sync-collection xmlns="DAV:"><sync-token>{}</sync-token><sync-level>1</sync-level>'
    "<prop><getetag/></prop></sync-collection>"
)


def _card(uid: str, text: str) -> bytes:
    note = (text + " ") * random.Random(text).randrange(1, 200)
    return f"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nFN:{text}\r\nNOTE:{note}\r\nEND:VCARD\r\n".encode()


@dataclass
class Writer:
    """Writes to its own cards and remembers what was answered, and what was under way when the server died.

    known: {href: the bytes of the last answered write; None for an answered deletion}
    unsure: {href: the bytes, or None, that were sent and not answered}
    """

    url: str
    number: int
    known: dict[str, bytes | None] = field(default_factory=dict)
    unsure: dict[str, bytes | None] = field(default_factory=dict)
    answered: int = 0
    wrong: list[str] = field(default_factory=list)

    def run(self, stop: threading.Event, dice: random.Random) -> None:
        session = requests.Session()
        session.auth = ("ada", "adaada")
        while not stop.is_set():
            href = f"w{self.number}-{dice.randrange(CARDS)}.vcf"
            delete = self.known.get(href) is not None and dice.random() < 0.2
            data = None if delete else _card(href, f"{self.number} {dice.randrange(10**9)}")
            self.unsure[href] = data
            try:
                if data is None:
                    answer = session.delete(self.url + href, timeout=30)
                else:
                    answer = session.put(self.url + href, data, timeout=30)
            except requests.RequestException:
                return
            if answer.status_code not in {201, 204}:
                self.wrong.append(f"{'DELETE' if delete else 'PUT'} {href}: {answer.status_code} {answer.text[:200]}")
                return
            self.known[href] = self.unsure.pop(href)
            self.answered += 1

    def settle(self, stored: dict[str, bytes]) -> list[str]:
        """What is lost or torn; what was unsure becomes what is stored."""
        losses = []
        for href in set(self.known) | set(self.unsure):
            found = stored.get(href)
            if found not in {self.known.get(href), self.unsure.get(href, self.known.get(href))}:
                losses.append(f"{href}: {'gone' if found is None else 'other bytes than any that were sent last'}")
            self.known[href] = found
        self.unsure.clear()
        return losses


@dataclass
class Watcher:
    """A client that keeps a copy by sync tokens alone."""

    url: str
    token: str = ""
    etags: dict[str, str] = field(default_factory=dict)

    def sync(self) -> None:
        answer = requests.request("REPORT", self.url, data=SYNC.format(self.token), auth=("ada", "adaada"), timeout=30)
        assert answer.status_code == 207, answer.text
        root = ET.fromstring(answer.content)
        for response in root.findall(f"{DAV}response"):
            href = unquote((response.findtext(f"{DAV}href") or "").rpartition("/")[2])
            if response.find(f"{DAV}propstat") is None:
                self.etags.pop(href, None)
            else:
                self.etags[href] = response.findtext(f"{DAV}propstat/{DAV}prop/{DAV}getetag") or ""
        self.token = root.findtext(f"{DAV}sync-token") or ""


def _stored(db: Database, address: str) -> dict[str, bytes]:
    card, body, large = models.Card, models.Body, models.LargeValue
    query = (
        select(card.href, body.data, body.large_at, large.data.label("large"))
        .join(body, body.id == card.body_id)
        .join(large, large.id == body.large_id, isouter=True)
        .join(models.Book, models.Book.id == card.book_id)
        .where(models.Book.slug == address, ~card.deleted)
    )
    with db.read() as session:
        rows = session.execute(query).all()
    # A long line stands in a row of its own, and belongs where it was cut out.
    return {
        row.href: row.data if row.large is None else row.data[: row.large_at] + row.large + row.data[row.large_at :]
        for row in rows
    }


def _assert_consistent(db: Database) -> None:
    """Every live card has its body and the last word of the history; no body lacks its long line, no book is behind."""
    card, change, book, body, large = models.Card, models.Change, models.Book, models.Body, models.LargeValue
    with db.read() as session:
        torn = session.scalar(
            select(func.count())
            .select_from(body)
            .join(large, large.id == body.large_id, isouter=True)
            .where(body.large_id.is_not(None), large.id.is_(None))
        )
        headless = session.scalar(
            select(func.count())
            .select_from(card)
            .join(body, body.id == card.body_id, isouter=True)
            .where(~card.deleted, body.id.is_(None))
        )
        last = select(func.max(change.revision)).where(change.card_id == card.id).scalar_subquery()
        unrecorded = session.scalar(select(func.count()).select_from(card).where(card.revision != last))
        ahead = session.scalar(
            select(func.count())
            .select_from(card)
            .join(book, book.id == card.book_id)
            .where(card.revision > book.revision)
        )
    assert (headless, torn, unrecorded, ahead) == (0, 0, 0, 0)


@pytest.mark.usefixtures("organisation")
def test_no_answered_write_is_lost_or_torn_by_kill_9(
    db: Database,
    running: Callable[..., object],
    rounds_of_kill: int,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("[guard]\nenabled = false\n", "utf-8")  # Ada deletes more than anybody may unannounced
    server = running(workers=2, options=f"settings_file = {settings}")
    url = f"{server.url}/ada/contacts/"
    writers = [Writer(url, number) for number in range(WRITERS)]
    watcher = Watcher(url)
    dice = random.Random(5232)
    for round_number in range(rounds_of_kill):
        if round_number:
            server.start()
        watcher.sync()
        stop = threading.Event()
        threads = [threading.Thread(target=writer.run, args=(stop, random.Random(dice.random()))) for writer in writers]
        for thread in threads:
            thread.start()
        time.sleep(dice.uniform(0.05, 0.8))
        server.kill()
        stop.set()
        for thread in threads:
            thread.join()
        stored = _stored(db, "contacts")
        losses = [loss for writer in writers for loss in writer.settle(stored)]
        assert losses == []
        assert [wrong for writer in writers for wrong in writer.wrong] == []
    _assert_consistent(db)
    server.start()
    watcher.sync()
    fresh = Watcher(url)
    fresh.sync()
    assert watcher.etags == fresh.etags
    assert set(fresh.etags) == set(_stored(db, "contacts"))
    answered = sum(writer.answered for writer in writers)
    assert answered > rounds_of_kill
    record_property("answered_writes", answered)
    print(f"{rounds_of_kill} rounds of kill -9, {answered} answered writes, 0 lost, 0 torn")

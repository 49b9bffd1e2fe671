"""An undo that is killed in the middle (``kill -9``) is finished by the same command, as one act, each card once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from radicale_shared import access, books, cards, changes, database, integrity, people, reading, undo
from radicale_shared.changes import Actor
from radicale_shared.models import Change
from tests.conftest import BY, card
from tests.proofs.conftest import COMMAND, nightly

CARDS = nightly(1000, 10_000)
KILLS = nightly(2, 6)
PHONE = Actor(None, "ada", device="phone")


@pytest.fixture
def configured(database_url: str, tmp_path: Path) -> Path:
    path = tmp_path / "config.ini"
    path.write_text(
        f"[storage]\ntype = radicale_shared.storage_plugin\ndatabase_url = {database_url}\n"
        "[auth]\ntype = radicale_shared.auth_plugin\n[rights]\ntype = radicale_shared.auth_plugin\n"
    )
    return path


def deleted_book(db: database.Database) -> tuple[books.Book, dict[str, bytes]]:
    """A book of which a phone has deleted every card, and the cards."""
    with db.write() as session:
        book = books.add(session, people.add_group(session, "sales"), "leads", by=BY)
    whole = {f"{number:05}.vcf": card(f"{number:05}", f"Customer {number}", "NOTE:x") for number in range(CARDS)}
    hrefs = sorted(whole)
    for by, work in ((BY, cards.put), (PHONE, cards.remove)):
        for start in range(0, CARDS, 500):
            with db.write(book.id) as session:
                act_id = changes.begin(session, "test", by, book_id=book.id)
                found = access.administrator(book)
                for href in hrefs[start : start + 500]:
                    if work is cards.put:
                        content = cards.check(whole[href])
                        cards.put(session, found, href, content, secret=db.secret, by=by, act_id=act_id)
                    else:
                        cards.remove(session, found, href, by=by, act_id=act_id, policy=None)
    return book, whole


def count(db: database.Database, book: books.Book) -> int:
    with db.read() as session:
        return books.by_id(session, book.id).card_count


def test_an_undo_that_is_killed_goes_on_as_the_same_act_and_does_each_card_once(database_url, configured):
    db = database.connect(database_url)
    book, whole = deleted_book(db)
    words = [COMMAND, "--config", configured, "history", "undo", "--book", "sales/leads", "--person", "ada"]
    words += ["--since", "1h", "--json"]
    acts = set()
    for _ in range(KILLS):
        before = count(db, book)
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        deadline = time.monotonic() + 120
        while count(db, book) == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        with db.read() as session:
            acts |= {one.act_id for one in undo.unfinished(session)}
        assert count(db, book) > before, "nothing was committed before it was killed"
    assert len(acts) == 1
    assert count(db, book) < CARDS, "it was killed too late to prove anything"

    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)

    assert told["resumed"] == told["acts"] == list(acts)
    with db.snapshot() as session:
        found = reading.every(session, access.administrator(books.find(session, "sales/leads")))
        assert {one.href: one.data for one in found} == whole
        assert session.scalar(select(func.count()).where(Change.act_id == told["act"])) == CARDS
        assert undo.unfinished(session) == []
    assert list(integrity.problems(db)) == []

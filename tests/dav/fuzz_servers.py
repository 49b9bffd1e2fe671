"""The servers that the fuzzed stories are told to: on two databases with the same rows, put back before each story."""

from __future__ import annotations

import gzip
import os
import random
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import BigInteger, insert, select, text

from radicale_shared import books, grants, models, people
from radicale_shared.access import Role
from radicale_shared.database import Database
from tests.conftest import BY, card, organise
from tests.dav.conftest import Client, Response
from tests.dav.fuzz import Story, Wish, filled

# What a wish means by a mark before any answer gave it a value.
NOTHING_YET = {"etag": b"none", "token": b"", "href": b"/ada/contacts/kept.vcf"}


def prepare(db: Database) -> None:
    """The organisation, with books of others that Ada may write, only read, or not see, and one in the trash."""
    organisation = organise(db)
    with db.write() as session:
        for login, slug in (("ada", "old"), ("ben", "friends"), ("carla", "club")):
            books.add(session, people.user(session, login), slug, by=BY)
        grants.give(session, books.find(session, "ben/friends"), "user:ada", Role.VIEWER, by=BY)
        grants.give(session, books.find(session, "carla/club"), "everyone", Role.CURATOR, by=BY)
    for login, name in (("ada", "contacts"), ("ada", "sales~leads"), ("ben", "friends"), ("carla", "club")):
        for uid in ("kept", "a"):
            organisation.put(login, name, f"{uid}.vcf", card(uid, "", f"EMAIL:{uid}@example.com", "TEL:+49 30 1"))
    organisation.put("ada", "old", "old.vcf", card("old"))
    organisation.put("carla", "contacts", "secret.vcf", card("secret"))
    with db.write() as session:
        books.trash(session, books.find(session, "ada/old"), by=BY)


Rows = dict[str, list[dict[str, Any]]]


def rows_of(db: Database) -> Rows:
    """Everything in the database, by table, in an order in which it can be put back."""
    with db.read() as session:
        tables = models.Base.metadata.sorted_tables
        return {one.name: [dict(row) for row in session.execute(select(one)).mappings()] for one in tables}


def fill(db: Database, rows: Rows) -> None:
    """Make ``rows`` everything there is in the database, and keep a copy of them in it."""
    tables = models.Base.metadata.sorted_tables
    with db.write() as session:
        for one in reversed(tables):
            session.execute(text(f"DELETE FROM {one.name}"))
        for one in tables:
            if rows[one.name]:
                session.execute(insert(one), rows[one.name])
            session.execute(text(f"CREATE TABLE kept_{one.name} AS SELECT * FROM {one.name}"))


def putting_back(db: Database, rows: Rows) -> list[str]:
    """The statements that bring back what was kept. The next ids are those after the highest, as in SQLite."""
    tables = models.Base.metadata.sorted_tables
    steps = [f"DELETE FROM {one.name}" for one in reversed(tables)]
    steps += [f"INSERT INTO {one.name} SELECT * FROM kept_{one.name}" for one in tables if rows[one.name]]
    if db.engine.dialect.name == "postgresql":
        counted = [one.name for one in tables if "id" in one.c and isinstance(one.c.id.type, BigInteger)]
        nexts = {name: max((row["id"] for row in rows[name]), default=0) + 1 for name in counted}
        steps += [f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), {nexts[name]}, false)" for name in nexts]
        return ["; ".join(steps)]  # at once, it is another process
    return steps


@contextmanager
def same_dice(seed: int) -> Iterator[None]:
    """Everything that is drawn at random inside, uuids and epochs and names, is drawn from ``seed``."""
    dice = random.Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "urandom", dice.randbytes)
        patch.setattr(random, "_urandom", dice.randbytes)  # what ``secrets`` reads
        yield


class Server:
    """One server of the pair, and what its answers said so far in a story."""

    def __init__(self, db: Database, client: Client, rows: Rows) -> None:
        self.db = db
        self.client = client
        self.written = True
        self._putting_back = putting_back(db, rows)
        self.heard: dict[str, bytes] = {}

    def tell(self, story: Story, **marks: bytes) -> list[Response]:
        """The answers to a story, from the first day's rows on."""
        if self.written:
            with self.db.write() as session:
                for one in self._putting_back:
                    session.connection().exec_driver_sql(one)
        self.written = False
        self.client.user_agent = story.user_agent
        self.heard = {"slug": b"contacts", "book": story.book.encode(), **marks}
        return self.tell_on(story.wishes)

    def tell_on(self, wishes: Iterable[Wish]) -> list[Response]:
        """The answers to more of a story."""
        return [self._ask(wish, number) for number, wish in enumerate(wishes)]

    def _ask(self, wish: Wish, seed: int) -> Response:
        first = {f"first-{name}": value for name, value in NOTHING_YET.items()}
        marks = {**NOTHING_YET, **first, **self.heard, "me": wish.login.encode()}
        home, _, slug = marks["book"].partition(b"~")
        if home == marks["me"] and slug:  # the owner's own name for it
            marks["book"] = slug
        headers = {name: _in(value, marks) for name, value in wish.headers}
        self.client.login = wish.login
        with same_dice(seed):
            answer = self.client.request(wish.method, filled(wish.path, marks), filled(wish.body, marks), **headers)
        if answer.headers.get("Content-Encoding") == "gzip":
            assert int(answer.headers.get("Content-Length", len(answer.body))) == len(answer.body) or not answer.body
            answer.headers.pop("Content-Length", None)
            answer.body = gzip.decompress(answer.body) if answer.body else b""
        self._remember(answer)
        return answer

    def _remember(self, answer: Response) -> None:
        """Take ETag, token and address out of an answer, for the wishes to come; the highest, as orders may differ."""
        said = {
            "etag": re.findall(rb'<getetag>"([^"<]+)"', answer.body),
            "token": re.findall(rb"<sync-token>([^<]+)<", answer.body),
            "href": re.findall(rb"<href>(/[^<]*[^/<])</href>", answer.body),
        }
        if "ETag" in answer.headers:
            said["etag"] = [answer.etag.strip('"').encode()]
        if "Location" in answer.headers:
            said["href"] = [answer.headers["Location"].encode("latin-1")]
        for name, found in said.items():
            if found:
                self.heard[name] = max(found)
                self.heard.setdefault(f"first-{name}", max(found))


def _in(value: str | None, marks: dict[str, bytes]) -> str | None:
    return None if value is None else filled(value.encode("latin-1"), marks).decode("latin-1")

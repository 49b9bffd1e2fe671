"""A month of an organisation's normal work, in which the guard never steps in and nothing is refused.

Fifty people edit, add and delete, tidy up a little, move to new phones, rename categories, and clean up with notice.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from radicale_shared import access, blocks, books, cards, changes, guard, guard_rules, people, reading, undo
from radicale_shared.access import Role
from radicale_shared.models import CleanUp, Destruction, now, table
from radicale_shared.selections import Selection
from radicale_shared.vcard import Card, build_line
from tests.conftest import BY, PROFILE, card
from tests.dav.conftest import CARDDAV, DAV, XMLNS, Client

NIGHTLY = PROFILE == "nightly"
PEOPLE = 50 if NIGHTLY else 8
DAYS = 22 if NIGHTLY else 4
CARDS = 500
CLEANED_UP = 200
SLOT = timedelta(minutes=10)  # the guard's window: what happens in two of them is not counted together
PROGRAMS = (
    "DAVx5/4.4.1-ose (dav4jvm; okhttp/4.12.0) Android/14",
    "iOS/17.5 (21F79) dataaccessd/1.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.4.0",
    "CalDavSynchronizer/4.4.1",
)


@dataclass
class Team:
    """A book that many work in, over HTTP; nothing is ever refused."""

    application: object
    organisation: object
    book: books.Book
    dice: random.Random
    made: int = 0

    @property
    def db(self):
        return self.organisation.db

    def client(self, number: int, program: int | None = None) -> Client:
        return Client(self.application, f"person{number}", user_agent=PROGRAMS[(program or number) % len(PROGRAMS)])

    def url(self, client: Client, href: str = "") -> str:
        return f"/{client.login}/sales~many/{href}"

    def listing(self, client: Client) -> dict[str, str]:
        """{URL: ETag}"""
        book = self.url(client)
        answer = client.propfind(book, "getetag", depth="1")
        return {url: answer.text(url, f"{DAV}getetag") for url in answer.hrefs if url != book}

    def fetch(self, client: Client, urls: list[str], version: str = "3.0") -> dict[str, tuple[str, bytes]]:
        """{URL: (ETag, card)}"""
        found = {}
        for start in range(0, len(urls), 100):
            listed = "".join(f"<href>{url}</href>" for url in urls[start : start + 100])
            asked = f'<prop><getetag/><C:address-data version="{version}"/></prop>{listed}'
            report = f"<C:addressbook-multiget {XMLNS}>{asked}</C:addressbook-multiget>"
            answer = client.request("REPORT", self.url(client), report)
            for url in answer.hrefs:
                found[url] = (answer.text(url, f"{DAV}getetag"), answer.text(url, f"{CARDDAV}address-data").encode())
        return found

    def put(self, client: Client, url: str, data: bytes, etag: str = "") -> None:
        answer = client.put(url, data, **({"If_Match": etag} if etag else {}))
        assert answer.status in (201, 204), answer.body

    def delete(self, client: Client, url: str) -> None:
        answer = client.delete(url)
        assert answer.status == 204, answer.body

    def later(self, by: timedelta) -> None:
        """Let time pass: what was counted, and said, happened so much longer ago."""
        with self.db.write() as session:
            for one in (table(Destruction).c.at, table(CleanUp).c.until_at):
                key = list(one.table.primary_key)
                for row in session.execute(select(*key, one.label("moment"))).all():
                    where = [column == getattr(row, column.name) for column in key]
                    session.execute(update(one.table).where(*where).values({one.name: row.moment - by}))

    # -- what people do ------------------------------------------------------------------------------------------------

    def work(self, number: int) -> None:
        """What somebody does in ten minutes: an edit or two, a new card, now and then a deletion or some tidying up."""
        client = self.client(number, self.dice.randrange(len(PROGRAMS)))
        urls = sorted(self.listing(client))
        for url in self.dice.sample(urls, self.dice.randrange(3)):
            etag, data = self.fetch(client, [url])[url]
            name = self.dice.choice(["TITLE", "NOTE", "TEL", "EMAIL"])
            self.put(client, url, edited(data, name, f"by {number}"), etag)
        if self.dice.random() < 0.5:
            self.made += 1
            uid = f"new-{self.made}"
            self.put(client, self.url(client, f"{uid}.vcf"), card(uid, "", "TEL:1", "EMAIL:a@example.org"))
        if self.dice.random() < 0.08:
            # As many as a device may delete without saying so before, in a small book too.
            for url in self.dice.sample(urls, self.dice.randint(1, guard.Rule().cards)):
                self.delete(client, url)

    def rename_category(self, number: int) -> None:
        """Every card's category, one after another, by Thunderbird, which names no state that it edits."""
        client = self.client(number, 2)
        for url, (_, data) in self.fetch(client, list(self.listing(client))).items():
            found = Card.parse(data)
            line = found.first("CATEGORIES")
            if line is not None:
                self.put(client, url, found.replace_value(line, f"Renamed by {number}").serialise())

    def move_to_a_new_phone(self, number: int) -> None:
        """A new phone fetches all cards as 4.0 and writes each one back as it is."""
        client = self.client(number, 0)
        for url, (etag, data) in self.fetch(client, list(self.listing(client)), "4.0").items():
            self.put(client, url, data, etag)

    def clean_up(self, number: int) -> None:
        """A curator says so, and deletes very many."""
        client = self.client(number)
        with self.db.write(self.book.id) as session:
            person = people.by_slug(session, client.login)
            until = now() + timedelta(hours=2)
            guard_rules.announce(session, self.book, person.id, client.login, until, by=BY)
        for url in sorted(self.listing(client))[:CLEANED_UP]:
            self.delete(client, url)

    def take_back(self, number: int) -> None:
        """The clean-up was a mistake, and the administrator takes it back."""
        since = now() - timedelta(minutes=30)
        undo.run(self.db, Selection(book_id=self.book.id, person=f"person{number}", since=since), by=BY)


def edited(data: bytes, name: str, value: str) -> bytes:
    found = Card.parse(data)
    line = found.first(name)
    if line is None:
        return found.append(build_line(name, value)).serialise()
    return found.replace_value(line, value).serialise()


@pytest.fixture
def team(application, organisation):
    db = organisation.db
    with db.write() as session:
        people.add_group(session, "everybody")
        for number in range(PEOPLE):
            people.add_user(session, f"person{number}", password=f"person{number}" * 2)
            people.add_member(session, "everybody", f"person{number}")
        book = books.add(session, people.group(session, "sales"), "many", by=BY)
    organisation.grant(book.address, "group:everybody", Role.CURATOR)
    with db.write(book.id) as session:
        whole = access.administrator(book)
        act = changes.begin(session, "import", BY, book_id=book.id)
        for number in range(CARDS):
            lines = ("TEL:+49 30 1", "EMAIL;TYPE=HOME:a@example.org", "X-ODD:kept", "CATEGORIES:Customers")
            data = cards.check(card(f"c{number}", f"Customer {number}", *lines))
            cards.put(session, whole, f"c{number:03}.vcf", data, secret=db.secret, by=BY, act_id=act)
    return Team(application, organisation, book, random.Random(2026))


def test_a_month_of_normal_work_never_trips_the_guard(team):
    def destroyed():
        with team.db.read() as session:
            return session.scalar(select(func.count()).select_from(Destruction))

    for day in range(DAYS):
        for number in range(PEOPLE):
            team.work(number)
            if number % 5 == 0:
                team.later(SLOT)
        number = day % PEOPLE
        match day % 4:
            case 0:
                team.rename_category(number)
            case 1:
                before = destroyed()
                team.move_to_a_new_phone(number)
                assert destroyed() == before
            case 2:
                team.clean_up(number)
                team.take_back(number)
        team.later(timedelta(hours=24))

    with team.db.snapshot() as session:
        assert blocks.all_blocks(session) == []
        kept = {one.href: one.data for one in reading.every(session, access.administrator(team.book))}
    assert len(kept) > CLEANED_UP
    assert all(b"X-ODD:kept" in data for href, data in kept.items() if href.startswith("c"))


def test_the_same_clean_up_without_notice_is_stopped(team):
    client = team.client(0)

    answers = [client.delete(url).status for url in sorted(team.listing(client))[:CLEANED_UP]]

    most = guard.Rule().most(CARDS)
    assert answers == [204] * most + [403] * (CLEANED_UP - most)
    assert most < CARDS * 0.05
    with team.db.read() as session:
        assert len(blocks.standing(session)) == 1

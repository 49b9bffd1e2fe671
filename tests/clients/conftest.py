"""An office with shared books for the clients of this folder to live in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from radicale_shared import access, books, grants, people, reading
from radicale_shared.access import Role
from radicale_shared.models import Book, Change, table
from radicale_shared.models import Card as CardTable
from radicale_shared.vcard import Card
from tests.conftest import BY, Organisation, card
from tests.dav.conftest import serving

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
RICH_3 = (
    "EMAIL;TYPE=INTERNET,HOME:bjoern@example.org",
    "item1.TEL;TYPE=HOME,VOICE:030 1",
    "item1.X-ABLabel:Ferien",
    "TEL;TYPE=CELL:+49 170 1",
    "ADR;TYPE=HOME:;;Street 1;Town;;12345;Germany",
    "ORG:Example;Sales;North",
    "BDAY:1985-04-12",
    "CATEGORIES:Customers,North\\, far",
    f"PHOTO;ENCODING=b;TYPE=PNG:{PIXEL}",
    "NOTE:before",
    "X-SOCIALPROFILE;type=twitter:https://example.org/u",
    "X-ODD;X-P=1:a,b;c\\,d\\;e\\nf",
    "PRODID:-//Somebody//Else//EN",
)
RICH_4 = (
    "EMAIL;TYPE=home:zofie@example.org",
    'TEL;VALUE=uri;TYPE="voice,home":tel:+49-30-123',
    "ADR;TYPE=home:;;Street 1;Town;;12345;Germany",
    "BDAY:--0412",
    "ANNIVERSARY:20100401",
    "GENDER:F",
    "CATEGORIES:Customers,North\\, far",
    f"PHOTO:data:image/png;base64,{PIXEL}",
    "NOTE:before",
    "RELATED;TYPE=spouse:urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    "PRODID:-//Somebody//Else//EN",
)


@dataclass
class Office:
    """Ada's own book and the book of Sales, which she may do everything with but what a test takes away.

    Carla is somebody else who works in the same book; she isn't one of Sales.
    """

    organisation: Organisation

    def put(self, href: str, data: bytes) -> None:
        self.organisation.put("carla", "sales~leads", href, data)

    def remove(self, href: str) -> None:
        self.organisation.remove("carla", "sales~leads", href)

    def stored(self, *addresses: str) -> dict[str, bytes]:
        """{UID: stored bytes} of the cards in some books."""
        found = {}
        with self.organisation.db.snapshot() as session:
            for address in addresses or ("sales/leads",):
                for one in reading.every(session, access.administrator(books.find(session, address))):
                    found[Card.parse(one.data).uid] = one.data
        return found

    def conflicts(self) -> str:
        """What was overwritten by writers who hadn't seen it, as the history has it."""
        with self.organisation.db.read() as session:
            return "\n".join(session.scalars(select(Change.conflicts).where(Change.conflicts.is_not(None))))

    def give(self, role: str) -> None:
        """Let Sales do less, or more, with its book."""
        with self.organisation.db.write() as session:
            grants.change(session, books.find(session, "sales/leads"), "group:sales", Role(role), by=BY)

    def dismiss(self) -> None:
        """Take Ada out of Sales: the book is none of hers any more."""
        with self.organisation.db.write() as session:
            people.remove_member(session, "sales", "ada")

    def welcome(self) -> None:
        with self.organisation.db.write() as session:
            people.add_member(session, "sales", "ada")

    def new_epoch(self) -> None:
        """What ``db new-epoch`` does after a restored backup."""
        with self.organisation.db.write() as session:
            books.new_epoch(session)

    def backup(self) -> Backup:
        """The book of Sales as it is now."""
        book, card_table = table(Book), table(CardTable)
        with self.organisation.db.read() as session:
            of_book = session.execute(select(book).where(book.c.slug == "leads")).one()
            rows = session.execute(select(card_table).where(card_table.c.book_id == of_book.id)).all()
        return Backup(dict(of_book._mapping), [dict(row._mapping) for row in rows])

    def roll_back(self, backup: Backup) -> None:
        """Put the book back to a backup, as who restores one and forgets ``db new-epoch``."""
        book, card_table, change = table(Book), table(CardTable), table(Change)
        of_book = card_table.c.book_id == backup.book["id"]
        with self.organisation.db.write() as session:
            session.execute(
                delete(change).where(change.c.book_id == backup.book["id"], change.c.revision > backup.book["revision"])
            )
            session.execute(
                delete(card_table).where(of_book, card_table.c.id.not_in([one["id"] for one in backup.cards]))
            )
            for one in backup.cards:
                session.execute(update(card_table).where(card_table.c.id == one["id"]).values(one))
            session.execute(update(book).where(book.c.id == backup.book["id"]).values(backup.book))


@dataclass(frozen=True, slots=True)
class Backup:
    """The rows of one book and its cards."""

    book: Mapping[str, Any]
    cards: list[dict[str, Any]]


@pytest.fixture
def application(database_url, tmp_path):
    return serving(database_url, tmp_path)


@pytest.fixture
def office(organisation):
    found = Office(organisation)
    found.give("curator")
    organisation.grant("sales/leads", "user:carla", "curator")
    organisation.put("ada", "contacts", "own.vcf", card("own"))
    found.put("three.vcf", card("three", "Björn", *RICH_3))
    found.put("four.vcf", card("four", "Žofie", *RICH_4, version="4.0"))
    found.put("Grüße; 100%, it's.vcf", card("odd"))
    return found

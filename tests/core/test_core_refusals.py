"""The list of refused writes: per client, counted, and short."""

import threading
from contextlib import closing
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import books, etags, people, refusals, sync
from radicale_shared.access import FULL_VIEW
from radicale_shared.database import Database
from tests.conftest import BY, card, examples

PHONE, TABLET = "phone", "tablet"


@pytest.fixture
def book(organisation):
    return organisation.book("ada/contacts")


@pytest.fixture
def refuse(db, book):
    def do(*hrefs, client=PHONE, login="ada"):
        for href in hrefs:
            with db.write(book.id) as session:
                refusals.remember(session, people.user(session, login).id, client, book.id, href)

    return do


@pytest.fixture
def kept(db, book):
    def do(client=PHONE, login="ada"):
        with db.read() as session:
            return refusals.of(session, people.user(session, login).id, client, book.id)

    return do


def test_nothing_refused_is_nothing(kept):
    assert kept() == refusals.NOTHING


def test_a_refusal_raises_the_serial_of_its_card(refuse, kept):
    refuse("a", "b", "a")

    assert kept() == refusals.Refused({"a": 3, "b": 2}, 0)
    assert sorted(kept().since(0)) == ["a", "b"]
    assert kept().since(2) == ["a"]
    assert kept().since(3) == []


def test_clients_and_people_do_not_share_their_refusals(refuse, kept):
    refuse("a")
    refuse("b", client=TABLET)
    refuse("c", login="ben")

    assert [list(kept(*who).serials) for who in ((PHONE, "ada"), (TABLET, "ada"), (PHONE, "ben"), ("x", "ada"))] == [
        ["a"],
        ["b"],
        ["c"],
        [],
    ]


def test_the_serial_counts_in_the_clients_access_and_token_alone(organisation, refuse):
    secret = organisation.db.secret
    before = sync.token(organisation.access("ada", "contacts", TABLET), secret)
    refuse("a", "b")

    assert organisation.access("ada", "contacts", PHONE).refused == 2
    assert sync.token(organisation.access("ada", "contacts", TABLET), secret) == before
    assert sync.token(organisation.access("ada", "contacts", PHONE), secret) != before


def test_a_refusal_leaves_the_books_revision_so_that_nobody_elses_sync_sees_it(organisation, book, refuse):
    refuse("a")

    assert organisation.book("ada/contacts").revision == book.revision


def test_no_query_is_made_for_a_client_without_refusals(organisation, statements):
    found = organisation.access("ada", "contacts", PHONE)
    statements.clear()

    with organisation.db.read() as session:
        assert sync.refused_writes(session, found, PHONE) is refusals.NOTHING
    assert len(statements) == 0


def test_two_refusals_at_once_in_two_processes_have_serials_of_their_own(organisation, book, refuse, kept):
    db = organisation.db
    with db.read() as session:
        ada = people.user(session, "ada").id

    def elsewhere():
        other = Database(db.url, pool_size=1, write_wait=timedelta(seconds=30), threads=8)
        with closing(other), other.write(book.id) as session:
            refusals.remember(session, ada, PHONE, book.id, "b")

    second = threading.Thread(target=elsewhere)
    with db.write(book.id) as session:
        refusals.remember(session, ada, PHONE, book.id, "a")
        second.start()
        second.join(0.3)
    second.join()

    assert kept().serials == {"a": 1, "b": 2}


def test_the_list_stays_short_by_forgetting_its_oldest_together(refuse, kept, monkeypatch):
    monkeypatch.setattr(refusals, "MOST_KEPT", 40)
    refuse(*map(str, range(41)))

    found = kept()

    assert set(found.serials) == {str(number) for number in range(4, 41)}
    assert found.folded == 4
    assert len(found.serials) <= refusals.MOST_KEPT


def test_the_list_stays_short_for_ever_and_the_serial_never_falls(organisation, refuse, kept, monkeypatch):
    monkeypatch.setattr(refusals, "MOST_KEPT", 20)
    serials = []
    for round_ in range(4):
        refuse(*(f"{round_}-{number}" for number in range(21)))
        serials.append(organisation.access("ada", "contacts", PHONE).refused)
        assert len(kept().serials) <= 20

    assert serials == [21, 42, 63, 84]


REFUSED = st.lists(st.integers(0, 30).map(str), max_size=60)


@examples(10)
@given(batches=st.lists(REFUSED, min_size=1, max_size=3))
def test_after_each_refusal_the_client_sees_an_etag_that_it_never_saw_for_this_card(
    organisation, refuse, kept, monkeypatch, batches
):
    """Also after the list was cut, as clients fetch a card again only if its ETag is new to them."""
    monkeypatch.setattr(refusals, "MOST_KEPT", 20)
    hrefs = list(map(str, range(31)))
    client = f"client {batches!r}"[:200]
    seen = {href: {etags.shown_etag("e", FULL_VIEW, kept(client).mark(href))} for href in hrefs}
    for batch in batches:
        refuse(*batch, client=client)
        now = {href: etags.shown_etag("e", FULL_VIEW, kept(client).mark(href)) for href in hrefs}
        for href in set(batch):
            assert now[href] not in seen[href]
        for href in hrefs:
            seen[href].add(now[href])


def test_a_purged_book_takes_its_refusals_along(organisation, book, refuse, kept):
    refuse("a")
    organisation.put("ada", "contacts", "a", card("a"))
    with organisation.db.write() as session:
        books.trash(session, book, by=BY)
        books.purge(session, books.find_trashed(session, "ada/contacts"), by=BY)

    assert kept() == refusals.NOTHING

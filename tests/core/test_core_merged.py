"""The merged book and the home: whatever happens, a client that applies the answers equals the server."""

import itertools
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from radicale_shared import access, books, cards, grants, homes, people, reading, refusals, retention
from radicale_shared.access import Role
from radicale_shared.errors import UnknownSyncTokenError
from radicale_shared.models import Book, now, table
from tests.conftest import BY, card, examples

_names = itertools.count(1)
CLIENT = "macOS"


class Desk:
    """Ada, with two books of her own and two of Ben's that she may be let in to."""

    def __init__(self, db):
        self.db = db
        number = next(_names)
        self.login = f"ada{number}"
        with db.write() as session:
            self.ada = people.add_user(session, self.login)
            ben = people.add_user(session, f"ben{number}")
            self.books = [
                books.add(session, owner, slug, by=BY)
                for owner, slug in ((self.ada, "one"), (self.ada, "two"), (ben, "three"), (ben, "four"))
            ]

    @property
    def secret(self):
        return homes.key(self.db.secret, self.login)

    def readable(self):
        with self.db.read() as session:
            found = access.all_readable(session, self.login, client=CLIENT)
        return sorted(found, key=lambda one: (not one.is_home, one.book.id))

    def put(self, at, href, uid, name):
        book = self.books[at]
        with self.db.write(book.id) as session:
            found = access.administrator(books.find(session, book.address))
            # A card of this name with another UID is another contact: a client deletes the one and makes the other.
            stored = reading.get(session, found, href)
            if stored and cards.check_stored(stored.data).uid != uid:
                cards.remove(session, found, href, by=BY)
                stored = None
            if not reading.has_uid(session, book.id, uid) or stored:
                data = cards.check(card(uid, name))
                cards.put(session, found, href, data, secret=self.db.secret, by=BY)

    def remove(self, at, href):
        book = self.books[at]
        with self.db.write(book.id) as session:
            if reading.is_there(session, book.id, href):
                cards.remove(session, access.administrator(books.find(session, book.address)), href, by=BY)

    def let_in(self, at, *, wanted):
        book = self.books[at]
        with self.db.write() as session:
            has = bool(grants.of_book(session, book))
            if wanted and not has:
                grants.give(session, book, f"user:{self.login}", Role.VIEWER, by=BY)
            elif has and not wanted:
                grants.take(session, book, f"user:{self.login}", by=BY)

    def forget(self):
        """Remove all of the history: no sync may need it."""
        retention.prune(self.db, 1, 1000, at=now() + timedelta(days=2))

    def refuse(self, at, href):
        found = [one for one in self.readable() if one.book.id == self.books[at].id]
        for one in found:
            with self.db.write(one.book.id) as session:
                refusals.remember(session, self.ada.id, CLIENT, one.book.id, href)

    def shown(self):
        """{(uuid, href): stored ETag}: what the merged book shows, worked out the slow way."""
        found, seen = {}, set()
        for one in self.readable():
            with self.db.snapshot() as session:
                for stored in list(reading.every(session, one)):
                    uid = cards.check_stored(stored.data).uid
                    if uid not in seen:
                        found[one.book.uuid, stored.href] = stored.etag
                    seen.add(uid)
        return found

    def since(self, token):
        readable = self.readable()
        uuids = {one.book.id: one.book.uuid for one in readable}
        with self.db.read() as session:
            refused = {
                one.book.id: refusals.of(session, self.ada.id, CLIENT, one.book.id) for one in readable if one.refused
            }
            told = homes.merged_changed(session, readable, refused, token, secret=self.secret)
        shown = {(uuids[one.book_id], one.href): one.etag for one in told.shown}
        assert len(shown) == len(told.shown)
        assert not shown.keys() & set(told.gone)
        return shown, told


@pytest.fixture
def new_merged(db):
    return lambda: Desk(db)


BOOKS = st.integers(0, 3)
HREFS = st.sampled_from(["a", "b", "c"])
UIDS = st.sampled_from(["u", "v", "w"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), BOOKS, HREFS, UIDS, st.integers(0, 2)),
        st.tuples(st.just("remove"), BOOKS, HREFS),
        st.tuples(st.just("let in"), st.integers(2, 3), st.booleans()),
        st.tuples(st.just("refuse"), BOOKS, HREFS),
        st.tuples(st.just("forget")),
        st.tuples(st.just("sync"), st.integers(0, 20)),
    ),
    max_size=25,
)


@examples(20)
@given(steps=STEPS)
def test_a_client_of_the_merged_book_equals_the_server_from_any_earlier_token(new_merged, steps):
    desk = new_merged()
    clients = [({}, "")]

    def synced(known, token):
        shown, told = desk.since(token)
        known = {key: etag for key, etag in known.items() if key not in told.gone} | shown
        assert known == desk.shown()
        return known, told.token

    for step in steps:
        match step:
            case ("put", at, href, uid, name):
                desk.put(at, href, uid, f"Version {name}")
            case ("remove", at, href):
                desk.remove(at, href)
            case ("let in", at, wanted):
                desk.let_in(at, wanted=wanted)
            case ("refuse", at, href):
                desk.refuse(at, href)
            case ("forget",):
                desk.forget()
            case ("sync", number):
                clients.append(synced(*clients[number % len(clients)]))
    desk.forget()
    for client in clients:
        synced(*client)


@examples(20)
@given(steps=STEPS)
def test_the_listing_of_the_merged_book_is_what_a_first_sync_tells(new_merged, steps):
    desk = new_merged()
    for step in steps:
        match step:
            case ("put", at, href, uid, name):
                desk.put(at, href, uid, f"Version {name}")
            case ("let in", at, wanted):
                desk.let_in(at, wanted=wanted)
    readable = desk.readable()
    with desk.db.read() as session:
        hidden = homes.hidden(session, readable)
    listed = {
        (one.book.uuid, href)
        for one in readable
        for page in reading.pages(desk.db.read, one)
        for href, *_ in page
        if (one.book.id, href) not in hidden
    }
    assert listed == desk.shown().keys()


def test_a_card_whose_book_is_taken_away_is_gone_and_comes_back_with_it(new_merged):
    desk = new_merged()
    desk.let_in(2, wanted=True)
    desk.put(2, "a", "u", "Ben's")
    key = (desk.books[2].uuid, "a")
    shown, told = desk.since("")
    assert list(shown) == [key]

    desk.let_in(2, wanted=False)
    desk.put(2, "b", "v", "Of a time when Ada was out")
    shown, told = desk.since(told.token)
    assert (shown, list(told.gone)) == ({}, [key])  # and not a word of the new one

    desk.let_in(2, wanted=True)
    shown, _ = desk.since(told.token)
    assert shown.keys() == {key, (desk.books[2].uuid, "b")}


def test_of_two_cards_with_one_uid_the_second_shows_once_the_first_is_gone(new_merged):
    desk = new_merged()
    desk.put(0, "a", "u", "First")
    desk.put(1, "z", "u", "Second")
    first, second = (desk.books[0].uuid, "a"), (desk.books[1].uuid, "z")
    shown, told = desk.since("")
    assert list(shown) == [first]

    desk.remove(0, "a")
    shown, told = desk.since(told.token)
    assert (list(shown), list(told.gone)) == ([second], [first])

    desk.put(0, "a", "u", "Again")
    shown, told = desk.since(told.token)
    assert (list(shown), list(told.gone)) == ([first], [second])


def test_who_loses_access_hears_no_name_of_a_card_that_was_gone_before(new_merged):
    desk = new_merged()
    desk.put(2, "secret", "u", "Of a time before Ada")
    desk.remove(2, "secret")
    desk.let_in(2, wanted=True)
    desk.put(2, "a", "v", "Ben's")
    _, told = desk.since("")
    desk.remove(2, "a")

    desk.let_in(2, wanted=False)
    _, told = desk.since(told.token)
    assert list(told.gone) == [(desk.books[2].uuid, "a")]


def test_a_hidden_card_shows_once_the_name_of_the_one_before_is_used_for_another_contact(new_merged):
    desk = new_merged()
    desk.put(0, "a", "u", "First")
    desk.put(1, "z", "u", "Second")
    first, second = (desk.books[0].uuid, "a"), (desk.books[1].uuid, "z")
    _, told = desk.since("")

    desk.put(0, "a", "v", "Somebody else")
    desk.forget()
    shown, _ = desk.since(told.token)
    assert shown.keys() == {first, second}

    desk.remove(0, "a")
    shown, told = desk.since(told.token)
    assert (list(shown), list(told.gone)) == ([second], [first])


@pytest.mark.parametrize("later", ["removed", "another contact"])
def test_a_hidden_card_shows_once_the_book_before_is_taken_away_whatever_became_of_its_card(new_merged, later):
    desk = new_merged()
    for at in (2, 3):
        desk.let_in(at, wanted=True)
    desk.put(2, "a", "u", "First")
    desk.put(3, "z", "u", "Second")
    first, second = (desk.books[2].uuid, "a"), (desk.books[3].uuid, "z")
    shown, told = desk.since("")
    assert list(shown) == [first]

    if later == "removed":
        desk.remove(2, "a")
    else:
        desk.put(2, "a", "v", "Somebody else")
    desk.forget()
    desk.let_in(2, wanted=False)
    shown, told = desk.since(told.token)
    assert (list(shown), list(told.gone)) == ([second], [first])


def test_nothing_new_in_the_merged_book_costs_no_statement(new_merged, statements):
    desk = new_merged()
    desk.put(0, "a", "u", "First")
    readable = desk.readable()
    token = homes.token(homes.MERGED, readable, desk.secret)
    statements.clear()
    with desk.db.read() as session:
        told = homes.merged_changed(session, readable, {}, token, secret=desk.secret)
    assert (told.shown, told.gone, told.token, len(statements)) == ((), (), token, 0)


def test_a_book_that_was_purged_or_restored_meanwhile_makes_the_client_start_over(new_merged):
    desk = new_merged()
    desk.let_in(2, wanted=True)
    desk.let_in(3, wanted=True)
    _, told = desk.since("")
    with desk.db.write() as session:
        books.trash(session, desk.books[2], by=BY)
    desk.since(told.token)  # a book in the trash only takes its cards along
    with desk.db.write() as session:
        # It is being erased: some of its cards may be gone already, and can't be told any more.
        session.execute(update(table(Book)).where(Book.id == desk.books[2].id).values(purged_at=now()))
    with pytest.raises(UnknownSyncTokenError):
        desk.since(told.token)
    with desk.db.write() as session:
        session.execute(update(table(Book)).where(Book.id == desk.books[2].id).values(purged_at=None))
        books.purge(session, books.find_trashed(session, desk.books[2].address), by=BY)
    with pytest.raises(UnknownSyncTokenError):
        desk.since(told.token)

    _, told = desk.since("")
    with desk.db.write() as session:
        books.new_epoch(session, desk.books[3].id)
    with pytest.raises(UnknownSyncTokenError):
        desk.since(told.token)


@pytest.mark.parametrize("kind", [homes.HOME, homes.MERGED])
def test_a_token_proves_that_a_book_was_rolled_back(new_merged, kind):
    desk = new_merged()
    before = desk.readable()
    desk.put(0, "a", "u", "Later")
    later = homes.token(kind, desk.readable(), desk.secret)
    assert [one.book.id for one in homes.rolled_back(kind, before, later, desk.secret)] == [desk.books[0].id]
    assert homes.rolled_back(kind, desk.readable(), later, desk.secret) == []
    assert homes.rolled_back(kind, before, later + "x", desk.secret) == []


@pytest.mark.parametrize("kind", [homes.HOME, homes.MERGED])
def test_a_token_that_was_not_made_here_is_refused(new_merged, kind):
    desk = new_merged()
    good = homes.token(kind, desk.readable(), desk.secret)
    assert homes.parse(kind, good, desk.secret).keys() == {one.uuid for one in desk.books[:2]}
    other = homes.MERGED if kind == homes.HOME else homes.HOME
    others = homes.token(kind, desk.readable(), homes.key(desk.db.secret, "ben"))
    for bad in (
        "",
        "x",
        kind,
        others,
        good[:-1],
        good.replace("1", "2"),
        good + "\udc80",
        other + good.removeprefix(kind),
    ):
        with pytest.raises(UnknownSyncTokenError):
            homes.parse(kind, bad, desk.secret)


# -- the home ----------------------------------------------------------------------------------------------------------


@examples(20)
@given(steps=STEPS)
def test_a_client_of_the_home_knows_every_book_and_its_revision_from_any_earlier_token(new_merged, steps):
    desk = new_merged()
    clients = [({}, "")]

    def synced(known, token):
        readable = desk.readable()
        with desk.db.read() as session:
            told = homes.books_changed(session, desk.ada.id, readable, token, secret=desk.secret)
        known = {name: seen for name, seen in known.items() if name not in told.gone}
        known |= {one.name: (one.book.revision, one.refused) for one in told.changed}
        assert known == {one.name: (one.book.revision, one.refused) for one in readable}
        return known, told.token

    for step in steps:
        match step:
            case ("put", at, href, uid, name):
                desk.put(at, href, uid, f"Version {name}")
            case ("remove", at, href):
                desk.remove(at, href)
            case ("let in", at, wanted):
                desk.let_in(at, wanted=wanted)
            case ("refuse", at, href):
                desk.refuse(at, href)
            case ("sync", number):
                clients.append(synced(*clients[number % len(clients)]))
    for client in clients:
        synced(*client)


def test_a_book_with_a_new_name_or_new_rights_is_a_changed_one(new_merged):
    desk = new_merged()

    def told(token):
        with desk.db.read() as session:
            return homes.books_changed(session, desk.ada.id, desk.readable(), token, secret=desk.secret)

    desk.let_in(2, wanted=True)
    before = told("")
    assert told(before.token).changed == []
    with desk.db.write() as session:
        books.set_properties(session, desk.books[0], by=BY, name="Other")
    after = told(before.token)
    assert [one.book.slug for one in after.changed] == ["one"]
    with desk.db.write() as session:
        grants.change(session, desk.books[2], f"user:{desk.login}", Role.EDITOR, by=BY)
    assert [one.book.slug for one in told(after.token).changed] == ["three"]


@pytest.mark.parametrize("order", [*itertools.permutations((0, 1, 2))])
def test_of_several_cards_with_a_uid_the_one_in_the_first_of_the_books_is_named(db, order):
    desk = Desk(db)
    for at in (2, 0, 1):
        desk.put(at, f"{at}.vcf", "u", "Ada")
    ids = [desk.books[at].id for at in order]

    with db.read() as session:
        assert homes.card_with_uid(session, ids, "u") == (ids[0], f"{order[0]}.vcf")
        assert homes.card_with_uid(session, ids, "v") is None

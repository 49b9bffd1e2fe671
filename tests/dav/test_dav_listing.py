"""Listings and reports: written from rows and kept, and the same as if each card were described by itself."""

import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from radicale_shared import books, grants, reading
from radicale_shared.access import Role
from radicale_shared.dav import listing, rows
from radicale_shared.dav.properties import PROPERTIES
from tests.conftest import BY, card, examples
from tests.dav.conftest import DAV, XMLNS, Client, etags_of, token_of

BOOK = "/ada/sales~leads/"
ONLY_PART = "/carla/sales~leads/"
NAMES = ["a.vcf", "50% & more.vcf", "urn:uuid:1", "Zoë.vcf", "e.vcf"]


def prop(name):
    """A property of a request by its name as ElementTree writes it."""
    namespace, _, local = name[1:].rpartition("}")
    return f'<X:{local} xmlns:X="{namespace}"/>'


@pytest.fixture
def filled(organisation):
    """Some cards in the group's book, of which Carla sees a part."""
    for number, href in enumerate(NAMES):
        organisation.put("ada", "sales~leads", href, card(f"u{number}", f"<N&{number}>", "NOTE:x]]>\r\n y", "TEL:1"))
    with organisation.db.write() as session:
        leads = books.find(session, "sales/leads")
        grants.give(session, leads, "user:carla", Role.VIEWER, by=BY, hide=["note"])
    return organisation


def answers(client, book, names, token):
    """What five kinds of requests are answered that name these properties."""
    props = f"<prop>{''.join(map(prop, names))}</prop>"
    sync = "<sync-token>{}</sync-token><sync-level>1</sync-level>"
    hrefs = "".join(f"<href>{href}</href>" for href in client.propfind(book, "getetag", depth="1").hrefs[1:])
    bodies = [
        f"<sync-collection {XMLNS}>{sync.format('')}{props}</sync-collection>",
        f"<sync-collection {XMLNS}>{sync.format(token)}{props}</sync-collection>",
        f"<C:addressbook-multiget {XMLNS}>{props}{hrefs}</C:addressbook-multiget>",
        f"<C:addressbook-query {XMLNS}>{props}<C:filter><C:prop-filter name='FN'/></C:filter></C:addressbook-query>",
        f"<C:addressbook-query {XMLNS}>{props}<C:filter/></C:addressbook-query>",
    ]
    found = [client.request("PROPFIND", book, f"<propfind {XMLNS}>{props}</propfind>", Depth="1")]
    found += [client.request("REPORT", book, body) for body in bodies]
    assert [one.status for one in found] == [207] * 6
    return [sorted(one.body.replace(b"</response>", b"<response>").split(b"<response>")) for one in found]


DATA = "{urn:ietf:params:xml:ns:carddav}address-data"


@example(["{DAV:}getetag", DATA], ("ada", BOOK))
@example([DATA, "{DAV:}getetag"], ("carla", ONLY_PART))
@example([DATA], ("ada", BOOK))
@example(["{DAV:}getetag", "{DAV:}getlastmodified", "{DAV:}getcontentlength"], ("carla", ONLY_PART))
@examples(30)
@given(
    names=st.lists(
        st.sampled_from([*PROPERTIES, "{DAV:}unheard-of", "{urn:x}kept"]), min_size=1, max_size=4, unique=True
    ),
    who=st.sampled_from([("ada", BOOK), ("ben", "/ben/sales~leads/"), ("carla", ONLY_PART)]),
)
def test_every_answer_is_what_it_is_where_each_card_is_described_by_itself(filled, application, names, who):
    login, book = who
    client = Client(application, login)
    token = token_of(client, book)
    filled.put("ada", "sales~leads", "a.vcf", card("u0", "Changed"))

    written = answers(client, book, names, token)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows._Text, "of", classmethod(lambda cls, text: None))
        described = answers(client, book, names, token)

    assert written == described


@examples(30)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["put", "delete", "list"]), st.sampled_from(NAMES), st.integers(0, 3)), max_size=30
    )
)
def test_a_listing_that_is_kept_says_what_one_that_is_made_anew_says(organisation, application, steps):
    ada = Client(application, "ada")
    carla = Client(application, "carla")
    if carla.propfind(ONLY_PART, "getetag").status != 207:
        with organisation.db.write() as session:
            leads = books.find(session, "sales/leads")
            grants.give(session, leads, "user:carla", Role.VIEWER, by=BY, hide=["note"])
            grants.change(session, leads, "group:sales", Role.CURATOR, by=BY)
    for what, href, number in [*steps, ("list", "", 0)]:
        there = ada.get(BOOK + href).status == 200
        if what == "put":
            organisation.put("ada", "sales~leads", href, card(f"u-{href}", f"Name {number}"))
        elif what == "delete" and there:
            organisation.remove("ada", "sales~leads", href)
        elif what == "list":
            for client, book in ((ada, BOOK), (carla, ONLY_PART)):
                kept = etags_of(client, book)
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(listing, "_LISTINGS", listing._Listings())
                    assert kept == etags_of(client, book)
                told = client.sync(book)
                assert kept == {one: told.text(one, f"{DAV}getetag") for one in told.hrefs}


def test_a_listing_of_a_book_in_which_nothing_changed_reads_no_card(filled, ada, statements):
    costs = []
    for change in (False, False, True):
        if change:
            filled.put("ada", "sales~leads", "a.vcf", card("u0", "Changed"))
        statements.clear()
        ada.propfind(BOOK, "getetag", depth="1")
        costs.append(len(statements))

    assert costs == [3, 2, 3]  # who, and what they may do; the cards, or those that changed


def test_who_had_writes_refused_has_an_etag_of_their_own_in_a_listing(filled, application):
    carla, phone = Client(application, "carla"), Client(application, "carla", user_agent="phone")
    before = etags_of(carla, ONLY_PART)
    assert phone.put(f"{ONLY_PART}a.vcf", card("u0", "Mine")).status == 403

    with_refusal = etags_of(phone, ONLY_PART)

    assert etags_of(carla, ONLY_PART) == before
    assert {href for href in before if before[href] != with_refusal[href]} == {f"{ONLY_PART}a.vcf"}


def test_a_book_whose_address_is_used_again_is_listed_as_the_new_one(organisation, ada):
    assert ada.mkcol("/ada/club/").status == 201
    ada.put("/ada/club/a.vcf", card("a"))
    assert len(ada.propfind("/ada/club/", "getetag", depth="1").hrefs) == 2
    ada.delete("/ada/club/")
    ada.mkcol("/ada/club/")

    assert ada.propfind("/ada/club/", "getetag", depth="1").hrefs == ["/ada/club/"]


@pytest.mark.parametrize("size", [0, 50, 300])
def test_a_book_with_more_bytes_than_are_kept_is_listed_whole(filled, ada, monkeypatch, size):
    for number in range(20):
        filled.put("ada", "sales~leads", f"{number}.vcf", card(f"n{number}"))
    monkeypatch.setattr(listing, "_LISTINGS", listing._Listings())
    monkeypatch.setattr(listing, "_MOST_BYTES", size)
    monkeypatch.setattr(reading, "PAGE", 4)

    for _ in range(2):
        hrefs = ada.propfind(BOOK, "getetag", depth="1").hrefs
        assert len(hrefs) == len(set(hrefs)) == 1 + 20 + len(NAMES)
    assert not listing._LISTINGS._kept


def test_listings_of_small_books_are_not_kept_without_an_end(organisation, application, ada, monkeypatch):
    monkeypatch.setattr(listing, "_LISTINGS", listing._Listings())
    monkeypatch.setattr(listing, "_MOST_BYTES", 2000)
    for number in range(10):
        assert ada.mkcol(f"/ada/empty-{number}/").status == 201
        ada.propfind(f"/ada/empty-{number}/", "getetag", depth="1")

    assert len(listing._LISTINGS._kept) < 10
    assert sum(one.size for one in listing._LISTINGS._kept.values()) == listing._LISTINGS._size <= 2000


@pytest.mark.parametrize("kept", [True, False])
def test_sending_a_listing_takes_the_same_memory_for_any_number_of_cards(organisation, ada, monkeypatch, kept):
    monkeypatch.setattr(listing, "_SHORT", 100)
    monkeypatch.setattr(listing, "_MOST_CARDS", 100_000 if kept else 10)
    monkeypatch.setattr(rows, "_PIECE", 20_000)
    monkeypatch.setattr(reading, "PAGE", 100)
    peaks = []
    for number in range(2000):
        organisation.put("ada", "contacts", f"{number:04}.vcf", card(str(number)))
        if number in {1000, 1999}:
            ada.propfind("/ada/contacts/", "getetag", depth="1")
            tracemalloc.start()
            sent = read_and_forget(ada, "/ada/contacts/")
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert sent > 150 * number

    assert peaks[1] < peaks[0] * 1.2


def read_and_forget(client, path):
    """The length of a listing, of which no piece is kept."""
    length = 0
    application = client.application

    class Counting:
        def __call__(self, environ, start_response):
            nonlocal length
            for piece in application(environ, start_response):
                length += len(piece)
            return []

    Client(Counting(), client.login).propfind(path, "getetag", depth="1")
    return length


def test_a_multiget_makes_no_object_of_a_card_s_lines(filled, ada, monkeypatch):
    hrefs = ada.propfind(BOOK, "getetag", depth="1").hrefs[1:]
    described = []
    describe = rows.Writer._described
    monkeypatch.setattr(rows.Writer, "_described", lambda *what: described.append(1) or describe(*what))

    answer = ada.multiget(BOOK, *hrefs)

    assert len(answer.responses) == len(NAMES)
    assert answer.text(BOOK + "a.vcf", f"{DAV}getetag")
    assert len(described) == 2  # what a card looks like that was read, and one that wasn't

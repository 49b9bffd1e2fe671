"""sync-collection: what a client is told, when it must start over, and what it costs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from radicale_shared import books
from radicale_shared.models import Book, table
from tests.conftest import BY, card, examples
from tests.dav.conftest import CARDDAV, DAV, XMLNS, etags_of, token_of

BOOK = "/ada/sales~leads/"


def url(name):
    return f"{BOOK}{name}.vcf"


def applied(known, answer):
    """What a client has after an answer."""
    for href in answer.hrefs:
        if answer.status_of(href).startswith("HTTP/1.1 404"):
            known.pop(href, None)
        else:
            known[href] = answer.text(href, f"{DAV}getetag")
    return known


def test_a_first_sync_lists_every_card_and_gives_a_token(ada):
    etags = {url(name): ada.put(url(name), card(name)).etag for name in "abc"}

    answer = ada.sync(BOOK)

    assert answer.status == 207
    assert applied({}, answer) == etags
    assert answer.token == token_of(ada, BOOK)
    assert ":" in answer.token
    assert "/" in answer.token


def test_an_empty_book_has_a_token_too(ada):
    answer = ada.sync(BOOK)

    assert (answer.hrefs, bool(answer.token)) == ([], True)


def test_bens_change_is_in_adas_next_sync(ada, ben):
    token = ada.sync(BOOK).token
    etag = ben.put("/ben/sales~leads/a.vcf", card("a")).etag

    assert applied({}, ada.sync(BOOK, token)) == {url("a"): etag}


def test_a_card_changed_twice_is_reported_once(ada):
    ada.put(url("a"), card("a"))
    token = ada.sync(BOOK).token
    ada.put(url("a"), card("a", "Two"))
    ada.put(url("a"), card("a", "Three"))

    assert ada.sync(BOOK, token).hrefs == [url("a")]


def test_a_removed_card_is_404_and_one_made_anew_is_there(ada, organisation):
    organisation.grant("sales/leads", "user:ada", "owner")
    for name in "ab":
        ada.put(url(name), card(name))
    token = ada.sync(BOOK).token
    for name in "ab":
        ada.delete(url(name))
    etag = ada.put(url("b"), card("c")).etag

    answer = ada.sync(BOOK, token)

    assert answer.status_of(url("a")) == "HTTP/1.1 404 Not Found"
    assert answer.text(url("b"), f"{DAV}getetag") == etag
    assert sorted(answer.hrefs) == [url("a"), url("b")]


def test_a_sync_that_finds_nothing_new_costs_two_statements_in_a_book_of_any_size(ada, organisation, statements):
    costs = []
    for number in (1, 40):
        for one in range(number):
            organisation.put("ada", "sales~leads", f"{one}.vcf", card(str(one)))
        token = ada.sync(BOOK).token
        statements.clear()

        answer = ada.sync(BOOK, token)

        costs.append(len(statements))
        assert (answer.hrefs, answer.token) == ([], token)
    assert costs == [2, 2]


def test_a_sync_of_ten_changes_costs_one_statement_more(ada, organisation, statements):
    token = ada.sync(BOOK).token
    for one in range(10):
        organisation.put("ada", "sales~leads", f"{one}.vcf", card(str(one)))
    statements.clear()

    assert len(ada.sync(BOOK, token).hrefs) == 10
    assert len(statements) == 3


def test_the_cards_themselves_come_with_the_sync_that_asks_for_them(ada):
    for name in "ab":
        ada.put(url(name), card(name))

    answer = ada.sync(BOOK, data=True)

    for name in "ab":
        assert answer.text(url(name), f"{CARDDAV}address-data").encode() == card(name)


def test_any_property_can_be_asked_for(ada):
    ada.put(url("a"), card("a"))
    body = (
        f"<sync-collection {XMLNS}><sync-token/><sync-level>1</sync-level>"
        "<prop><getetag/><getcontentlength/><nonsense/></prop></sync-collection>"
    )

    answer = ada.request("REPORT", BOOK, body)

    assert answer.text(url("a"), f"{DAV}getcontentlength") == str(len(card("a")))
    assert answer.prop(url("a"), f"{DAV}nonsense") is None


@pytest.mark.parametrize("depth", [None, "0", "1", "infinity"])
def test_the_depth_header_does_not_matter_as_clients_send_all_of_them(ada, depth):
    ada.put(url("a"), card("a"))
    body = f"<sync-collection {XMLNS}><sync-token/><sync-level>1</sync-level><prop><getetag/></prop></sync-collection>"

    assert ada.request("REPORT", BOOK, body, Depth=depth).hrefs == [url("a")]


# -- starting over -----------------------------------------------------------------------------------------------------


def rolled_back(organisation):
    with organisation.db.write() as session:
        session.execute(update(table(Book)).values(revision=1))


def restored(organisation):
    with organisation.db.write() as session:
        books.new_epoch(session)


@pytest.mark.parametrize("what", [rolled_back, restored])
@pytest.mark.parametrize(
    ("user_agent", "status"),
    [
        ("Thunderbird/128.0", 400),
        ("Mozilla/5.0 (X11) Gecko/20100101 Thunderbird/115", 400),
        ("DAVx5/4.4", 403),
        ("", 403),
    ],
)
def test_a_token_from_before_a_restore_starts_the_client_over_with_the_answer_it_recovers_from(
    ada, organisation, what, user_agent, status
):
    ada.user_agent = user_agent
    ada.put(url("a"), card("a"))
    token = ada.sync(BOOK).token
    what(organisation)

    answer = ada.sync(BOOK, token)

    assert (answer.status, answer.conditions) == (status, ["valid-sync-token"])
    fresh = ada.sync(BOOK)
    assert fresh.hrefs == [url("a")]
    assert ada.sync(BOOK, fresh.token).hrefs == []
    assert ada.sync(BOOK, token).status == status


@pytest.mark.parametrize(
    "token", ["nonsense", "http://radicale.org/ns/sync/abc", "radicale-shared:/sync/", "&#x10ffff;", "x" * 100_000]
)
def test_a_token_that_was_not_made_here_is_403(ada, token):
    answer = ada.sync(BOOK, token)

    assert (answer.status, answer.conditions) == (403, ["valid-sync-token"])


def test_another_books_token_is_403(ada):
    assert ada.sync(BOOK, token_of(ada, "/ada/contacts/")).conditions == ["valid-sync-token"]


def test_two_people_may_use_one_anothers_token_of_a_book(ada, ben):
    token = ada.sync(BOOK).token
    ada.put(url("a"), card("a"))

    assert ben.sync("/ben/sales~leads/", token).hrefs == ["/ben/sales~leads/a.vcf"]


# -- limits and mistakes -----------------------------------------------------------------------------------------------


def limited(number):
    return f"<limit><nresults>{number}</nresults></limit>"


def test_more_changes_than_the_clients_limit_come_in_parts_and_507_says_that_there_are_more(ada):
    for name in "abc":
        ada.put(url(name), card(name))

    assert ada.sync(BOOK, extra=limited(3)).hrefs == [url("a"), url("b"), url("c")]
    first = ada.sync(BOOK, extra=limited(2))
    assert first.hrefs == [url("a"), url("b"), BOOK]
    assert first.status_of(BOOK) == "HTTP/1.1 507 Insufficient Storage"
    assert first.responses[BOOK].find(f"{DAV}error/{DAV}number-of-matches-within-limits") is not None
    rest = ada.sync(BOOK, first.token, extra=limited(2))
    assert rest.hrefs == [url("c")]
    assert rest.token == token_of(ada, BOOK)


def test_a_limit_in_which_nothing_can_be_told_is_507_as_a_whole(ada):
    answer = ada.sync(BOOK, extra=limited(0))
    assert (answer.status, answer.conditions) == (507, ["number-of-matches-within-limits"])


def test_an_empty_prop_is_answered_with_hrefs_that_are_there(ada):
    ada.put(url("a"), card("a"))
    body = f"<sync-collection {XMLNS}><sync-token/><sync-level>1</sync-level><prop/></sync-collection>"
    answer = ada.request("REPORT", BOOK, body)
    assert answer.hrefs == [url("a")]
    assert answer.responses[url("a")].findtext(f"{DAV}propstat/{DAV}status") == "HTTP/1.1 200 OK"


@pytest.mark.parametrize("number", ["", "x", "-1", "1.5", "²", "9" * 5000])
def test_a_limit_that_is_no_number_is_400(ada, number):
    assert ada.sync(BOOK, extra=limited(number)).status == 400


@pytest.mark.parametrize("level", ["0", "x"])
def test_an_unknown_level_is_400(ada, level):
    body = f"<sync-collection {XMLNS}><sync-token/><sync-level>{level}</sync-level><prop/></sync-collection>"

    assert ada.request("REPORT", BOOK, body).status == 400


@pytest.mark.parametrize("path", ["/", "/sales/"])
def test_only_a_book_and_the_home_can_be_synced(ada, path):
    answer = ada.sync(path)

    assert (answer.status, answer.conditions) == (403, ["supported-report"])


def test_a_new_name_of_the_book_is_no_change_of_its_cards(ada, organisation):
    token = ada.sync(BOOK).token
    with organisation.db.write() as session:
        books.set_properties(session, books.find(session, "sales/leads"), by=BY, name="Other")

    assert ada.sync(BOOK, token).hrefs == []


# -- by property -------------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ada", "ben"]),
        st.sampled_from(["put", "delete", "sync"]),
        st.sampled_from("abc"),
        st.integers(0, 2),
    ),
    max_size=15,
)


@examples(8)
@given(steps=STEPS)
def test_two_people_who_write_and_sync_in_any_order_end_with_the_same_book(ada, ben, organisation, steps):
    if organisation.access("ada", "sales~leads").verbs != organisation.access("ada", "contacts").verbs:
        organisation.grant("sales/leads", "user:ada", "owner")
        organisation.grant("sales/leads", "user:ben", "owner")
    people = {"ada": (ada, {}, [""]), "ben": (ben, {}, [""])}

    def sync(login):
        client, known, token = people[login]
        answer = client.sync(f"/{login}/sales~leads/", token[0])
        applied(known, answer)
        token[0] = answer.token

    for login, verb, name, version in steps:
        client, path = people[login][0], f"/{login}/sales~leads/{name}.vcf"
        if verb == "put":
            client.put(path, card(name, f"{login} {version}"))
        elif verb == "delete":
            client.delete(path)
        else:
            sync(login)

    for login in people:
        sync(login)
        assert people[login][1] == etags_of(people[login][0], f"/{login}/sales~leads/")

"""Directory gateways: books that are searched and never listed (draft-daboo-carddav-directory-gateway-02)."""

import pytest

from radicale_shared import cards, grants, mirrored
from radicale_shared.access import Role
from radicale_shared.dav import gateway
from radicale_shared.mirrored import Shown, Written
from tests.conftest import BY, card
from tests.dav.conftest import CARDDAV, DAV, Client, token_of
from tests.dav.test_dav_query import NOT_DEFINED, is_cut, param, prop, query, text

COMPANY = "/ada/company~people/"
MAC = "macOS/14.4.1 (23E224) AddressBookCore/2668.400.13"
PEOPLE = {"lovelace": "Ada Lovelace", "byron": "Ada Byron", "hopper": "Grace Hopper", "dijkstra": "Edsger Dijkstra"}


def show(db, book, people):
    made = (
        Shown(uid, f"{uid}.vcf", "1", cards.check(card(uid, name, f"EMAIL:{uid}@example.org")))
        for uid, name in people.items()
    )
    mirrored.write(db, book, made, written=Written())


@pytest.fixture
def company(organisation):
    """The people of a company, which Sales may search: a book of the directory "main"."""
    db = organisation.db
    with db.write() as session:
        book = mirrored.make(
            session, "company/people", "main", name="Company", readers=["group:sales"], search_only=True
        )
    show(db, book, PEOPLE)
    return book


pytestmark = pytest.mark.usefixtures("company")


def found(answer):
    assert answer.status == 207, answer.body
    return sorted(href.removeprefix(COMPANY).removesuffix(".vcf") for href in answer.hrefs if href != COMPANY)


def named(sought):
    return prop("FN", text(sought))


# -- where it is told of -----------------------------------------------------------------------------------------------


def test_the_principal_names_the_gateways_that_its_user_may_search(ada, carla):
    told = ada.propfind("/ada/", "C:directory-gateway").prop("/ada/", f"{CARDDAV}directory-gateway")
    assert [one.text for one in told] == [COMPANY]
    assert carla.propfind("/carla/", "C:directory-gateway").prop("/carla/", f"{CARDDAV}directory-gateway") is None
    assert carla.propfind("/carla/company~people/").status == 404


def test_a_mac_is_told_of_the_gateway_and_does_not_have_its_cards_in_the_merged_book(application, organisation):
    organisation.put("ada", "contacts", "mine.vcf", card("mine"))
    mac = Client(application, "ada", user_agent=MAC)
    told = mac.propfind("/ada/", "C:directory-gateway").prop("/ada/", f"{CARDDAV}directory-gateway")
    assert [one.text for one in told] == [COMPANY]
    assert [href.partition("-")[2] for href in mac.propfind("/ada/all/", "getetag", depth="1").hrefs[1:]] == [
        "mine.vcf"
    ]
    assert len(mac.sync("/ada/all/").hrefs) == 1


def test_a_gateway_is_told_from_other_books_by_its_type(ada):
    told = ada.propfind(COMPANY, "resourcetype", "displayname")
    types = told.prop(COMPANY, f"{DAV}resourcetype")
    assert [one.tag for one in types] == [f"{DAV}collection", f"{CARDDAV}addressbook", f"{CARDDAV}directory"]
    assert told.text(COMPANY, f"{DAV}displayname") == "Company"


def test_the_home_neither_lists_nor_syncs_a_gateway(ada, organisation, company):
    listed = ada.propfind("/ada/", "displayname", depth="1").hrefs
    assert COMPANY not in listed
    assert "/ada/sales~leads/" in listed
    token = token_of(ada, "/ada/")
    show(organisation.db, company, {"new": "Somebody New"})
    assert ada.sync("/ada/", token).hrefs == []


def test_a_book_that_becomes_a_gateway_is_gone_for_the_sync_of_the_home(ada, organisation, company):
    with organisation.db.write() as session:
        mirrored.set_search_only(session, company, search_only=False)
    token = token_of(ada, "/ada/")
    assert COMPANY in ada.propfind("/ada/", "displayname", depth="1").hrefs
    assert len(ada.sync(COMPANY).hrefs) == len(PEOPLE)

    with organisation.db.write() as session:
        mirrored.set_search_only(session, company, search_only=True)
    answer = ada.sync("/ada/", token)
    assert answer.status_of(COMPANY) == "HTTP/1.1 404 Not Found"


# -- what would list it ------------------------------------------------------------------------------------------------


def test_a_gateway_lists_no_card_and_has_no_sync(ada):
    assert ada.propfind(COMPANY, "getetag", depth="1").hrefs == [COMPANY]
    refused = ada.sync(COMPANY)
    assert (refused.status, refused.conditions) == (403, ["supported-report"])
    told = ada.propfind(COMPANY, "sync-token", "CS:getctag", "supported-report-set")
    assert told.prop(COMPANY, f"{DAV}sync-token") is None
    assert told.prop(COMPANY, "{http://calendarserver.org/ns/}getctag") is None
    reports = {one.tag for one in told.prop(COMPANY, f"{DAV}supported-report-set").iter()}
    assert f"{DAV}sync-collection" not in reports
    assert f"{CARDDAV}addressbook-query" in reports
    assert ada.get(COMPANY).status == 403


@pytest.mark.parametrize(
    ("filters", "test"),
    [
        ([], ""),
        ([prop("FN")], ""),
        ([named("a")], ""),
        ([named(" a ")], ""),
        ([named("")], ""),
        ([prop("FN", text("zz", negate_condition="yes"))], ""),
        ([prop("NICKNAME", NOT_DEFINED)], ""),
        ([prop("EMAIL", param("TYPE", text("work")))], ""),
        ([prop("VERSION", text("3.0"))], ""),
        ([named("Ada"), named("a")], "anyof"),
        ([named("Ada"), prop("EMAIL")], "anyof"),
        ([prop("FN"), prop("EMAIL")], "allof"),
    ],
)
def test_a_search_without_a_text_of_two_characters_finds_nothing_and_says_there_is_more(ada, filters, test):
    answer = query(ada, *filters, path=COMPANY, test=test)
    assert answer.hrefs == [COMPANY]
    assert is_cut(answer, COMPANY)


# -- searching ---------------------------------------------------------------------------------------------------------


def test_a_text_finds_its_people_and_nobody_else(ada):
    answer = query(ada, named("ada"), path=COMPANY)
    assert found(answer) == ["byron", "lovelace"]
    assert not is_cut(answer, COMPANY)


def test_one_of_many_fields_is_enough_also_where_the_index_lacks_some(ada):
    """As Apple's programs ask: one text in all the fields they know."""
    fields = ("FN", "N", "NICKNAME", "ORG", "EMAIL", "TEL", "URL", "X-PHONETIC-FIRST-NAME")
    answer = query(ada, *(prop(field, text("hopper")) for field in fields), path=COMPANY, test="anyof")
    assert found(answer) == ["hopper"]


def test_all_conditions_are_met_also_those_that_the_index_lacks(ada):
    both = [named("ada"), prop("EMAIL", text("byron@"))]
    assert found(query(ada, *both, path=COMPANY, test="allof")) == ["byron"]
    assert found(query(ada, named("ada"), prop("URL", text("zz")), path=COMPANY, test="allof")) == []
    assert found(query(ada, named("ada"), prop("NICKNAME", NOT_DEFINED), path=COMPANY, test="allof")) == [
        "byron",
        "lovelace",
    ]


def test_more_than_the_most_are_cut_and_it_is_said(ada, organisation, company, monkeypatch):
    show(organisation.db, company, {f"many{number}": f"Many {number}" for number in range(6)})
    monkeypatch.setattr(gateway, "MOST_FOUND", 5)
    cut = query(ada, named("many"), path=COMPANY)
    assert len(found(cut)) == 5
    assert is_cut(cut, COMPANY)
    whole = query(ada, prop("UID", text("many1")), path=COMPANY)
    assert found(whole) == ["many1"]
    assert not is_cut(whole, COMPANY)


def test_the_limit_of_the_client_counts_where_it_is_lower(ada):
    answer = query(ada, named("ada"), path=COMPANY, limit="1")
    assert len(found(answer)) == 1
    assert is_cut(answer, COMPANY)


def test_no_more_cards_are_read_than_the_most_that_may_match(ada, organisation, company, monkeypatch):
    show(organisation.db, company, {f"many{number}": f"Many {number}" for number in range(6)})
    monkeypatch.setattr(gateway, "MOST_READ", 3)
    answer = query(ada, named("many"), prop("EMAIL", text("many5@")), path=COMPANY, test="allof")
    assert found(answer) == ["many5"], "the index tells them apart"
    answer = query(ada, named("many"), prop("EMAIL", text("many"), test="allof"), path=COMPANY, test="allof")
    assert len(found(answer)) == 3
    assert is_cut(answer, COMPANY)


def test_what_somebody_does_not_see_is_not_searched_for_them(ada, ben, organisation, company):
    """Neither what is found nor what was looked at tells of a hidden address."""
    db = organisation.db
    with db.write() as session:
        grants.take(session, company, "group:sales", by=BY)
        grants.give(session, company, "user:ada", Role.VIEWER, by=BY, hide=["email"])
        grants.give(session, company, "user:ben", Role.VIEWER, by=BY)
    address = prop("EMAIL", text("hopper@"))
    assert query(ben, address, path="/ben/company~people/").hrefs == ["/ben/company~people/hopper.vcf"]
    for sought in ("hopper@", "nobody@"):
        answer = query(ada, prop("EMAIL", text(sought)), path=COMPANY)
        assert (answer.hrefs, is_cut(answer, COMPANY)) == ([COMPANY], True)
        assert query(ada, named("zz"), prop("EMAIL", text(sought)), path=COMPANY, test="anyof").hrefs == []
    assert found(query(ada, named("grace"), address, path=COMPANY, test="anyof")) == ["hopper"]


def test_what_was_found_can_be_fetched_by_multiget_and_get(ada):
    hrefs = query(ada, named("hopper"), path=COMPANY).hrefs
    fetched = ada.multiget(COMPANY, *hrefs)
    assert "FN:Grace Hopper" in fetched.text(hrefs[0], f"{CARDDAV}address-data")
    assert b"FN:Grace Hopper" in ada.get(hrefs[0]).body
    assert ada.propfind(hrefs[0], "getetag").text(hrefs[0], f"{DAV}getetag") == ada.get(hrefs[0]).etag


def test_a_gateway_can_not_be_written_whoever_asks(ada, organisation):
    organisation.grant("company/people", "user:ada", "owner")
    assert ada.put(f"{COMPANY}new.vcf", card("new")).status == 403
    assert ada.put(f"{COMPANY}hopper.vcf", card("hopper", "Else")).status == 403
    assert ada.delete(f"{COMPANY}hopper.vcf").status == 403
    assert ada.get(COMPANY).status == 200, "an owner may export it"

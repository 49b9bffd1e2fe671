"""The merged book: all books as one, for clients that show one only."""

import pytest

from radicale_shared import books, grants, people
from radicale_shared.access import Role
from tests.conftest import BY, card
from tests.dav.conftest import CARDDAV, DAV, XMLNS, Client, token_of

ALL = "/ada/all/"
MAC = "macOS/14.4.1 (23E224) AddressBookCore/2668.400.13"


@pytest.fixture
def mac(application, organisation):
    return Client(application, "ada", user_agent=MAC)


@pytest.fixture
def uuids(organisation):
    """{name in Ada's home: uuid}."""
    return {name: organisation.access("ada", name).book.uuid for name in ("contacts", "sales~leads")}


def url(uuid, href):
    return f"{ALL}{uuid}-{href}"


@pytest.fixture
def filled(organisation, uuids):
    organisation.put("ada", "contacts", "mine.vcf", card("mine"))
    organisation.put("ben", "sales~leads", "lead.vcf", card("lead"))
    return url(uuids["contacts"], "mine.vcf"), url(uuids["sales~leads"], "lead.vcf")


def test_the_home_of_a_mac_lists_the_merged_book_alone_and_that_of_others_never(mac, ada, organisation):
    assert mac.propfind("/ada/", "resourcetype", depth="1").hrefs == ["/ada/", ALL]
    assert ALL not in ada.propfind("/ada/", "resourcetype", depth="1").hrefs
    assert ada.propfind(ALL, "displayname").status == 404
    assert Client(ada.application, "ada", user_agent="iOS/17.5 (21F79) dataaccessd/1.0").propfind(ALL).status == 404


@pytest.mark.parametrize(
    "user_agent",
    [MAC, "Mac OS X/10.15.7 (19H2) AddressBookCore/2452.2", "Mac_OS_X/10.9.5 (13F1911) AddressBook/1579"],
)
def test_macs_of_any_age_are_known(application, organisation, user_agent):
    assert Client(application, "ada", user_agent=user_agent).propfind(ALL, "displayname").status == 207


def test_it_tells_what_a_mac_asks_for(mac):
    found = mac.propfind(
        ALL, "displayname", "resourcetype", "sync-token", "CS:getctag", "current-user-privilege-set", "owner"
    )
    assert found.prop(ALL, f"{DAV}resourcetype").find(f"{CARDDAV}addressbook") is not None
    assert found.text(ALL, f"{DAV}sync-token") == found.text(ALL, "{http://calendarserver.org/ns/}getctag")
    assert found.prop(ALL, f"{DAV}owner").findtext(f"{DAV}href") == "/ada/"
    privileges = {one[0].tag.removeprefix(DAV) for one in found.prop(ALL, f"{DAV}current-user-privilege-set")}
    assert {"read", "write", "bind", "unbind"} <= privileges


def test_its_cards_are_those_of_all_books_the_own_ones_first(mac, filled):
    assert mac.propfind(ALL, "getetag", depth="1").hrefs == [ALL, *filled]
    got = mac.multiget(ALL, *filled, url("0" * 32, "x.vcf"))
    assert [got.text(href, f"{CARDDAV}address-data").encode() for href in filled] == [card("mine"), card("lead")]
    assert got.status_of(url("0" * 32, "x.vcf")) == "HTTP/1.1 404 Not Found"
    assert mac.get(filled[1]).body == card("lead")
    assert mac.get(url("0" * 32, "lead.vcf")).status == 404


def test_a_query_finds_cards_in_all_of_them(mac, filled):
    body = (
        f"<C:addressbook-query {XMLNS}><prop><getetag/></prop><C:filter>"
        '<C:prop-filter name="FN"><C:text-match>e</C:text-match></C:prop-filter></C:filter></C:addressbook-query>'
    )
    assert mac.request("REPORT", ALL, body, Depth="1").hrefs == list(filled)


def test_an_edit_goes_to_the_book_it_belongs_to(mac, ben, filled):
    answer = mac.put(filled[1], card("lead", "Lead Two"), If_Match=mac.get(filled[1]).etag)
    assert answer.status == 204
    assert answer.etag == mac.get(filled[1]).etag
    assert ben.get("/ben/sales~leads/lead.vcf").body == card("lead", "Lead Two")


def test_a_new_card_goes_to_the_default_book_and_is_told_where_it_is(mac, ada, uuids):
    token = mac.sync(ALL).token
    answer = mac.put(f"{ALL}NEW.vcf", card("new"), If_None_Match="*")
    assert (answer.status, answer.headers["Location"]) == (201, url(uuids["contacts"], "NEW.vcf"))
    assert ada.get("/ada/contacts/NEW.vcf").body == card("new")
    assert mac.get(f"{ALL}NEW.vcf").etag == answer.etag  # by the name it chose, too, until it has synced
    told = mac.sync(ALL, token)
    # What it knows the card by is gone, and there is the same card by its name here.
    assert told.status_of(f"{ALL}NEW.vcf") == "HTTP/1.1 404 Not Found"
    assert told.text(url(uuids["contacts"], "NEW.vcf"), f"{DAV}getetag") == answer.etag
    assert mac.sync(ALL, told.token).hrefs == []


def test_a_new_card_goes_to_the_book_that_was_chosen_as_default(mac, ada, organisation):
    assert ada.mkcol("/ada/second/", "Second").status == 201
    with organisation.db.write() as session:
        second = books.find(session, "ada/second")
        books.set_default(session, organisation.access("ada", "second").principal_id, second)
    mac.put(f"{ALL}NEW.vcf", card("new"))
    assert ada.get("/ada/second/NEW.vcf").status == 200


def test_a_uid_is_used_once_in_it(mac, filled):
    answer = mac.put(f"{ALL}other.vcf", card("lead"), If_None_Match="*")
    assert (answer.status, answer.conditions) == (409, ["no-uid-conflict"])
    assert answer.xml.findtext(f"{CARDDAV}no-uid-conflict/{DAV}href") == filled[1]


def test_a_new_card_by_post_whose_uid_is_in_use_is_told_where(mac, filled):
    refused = mac.request("POST", ALL, card("mine"), Content_Type="text/vcard")
    assert (refused.status, refused.conditions) == (409, ["no-uid-conflict"])
    assert refused.xml.findtext(f"{CARDDAV}no-uid-conflict/{DAV}href") == filled[0]


def test_a_card_that_is_called_as_one_of_another_book_is_shown_there_takes_nothing_away(mac, ada, filled):
    token = token_of(mac, ALL)
    theirs = filled[1].removeprefix(ALL)
    assert ada.put(f"/ada/contacts/{theirs}", card("trick")).status == 201
    told = mac.sync(ALL, token)
    assert len(told.hrefs) == 1
    assert filled[1] not in told.hrefs


def test_of_two_cards_with_one_uid_the_own_one_is_shown(mac, filled, organisation, uuids):
    organisation.put("ada", "contacts", "copy.vcf", card("lead", "My Lead"))
    listed = [filled[0], url(uuids["contacts"], "copy.vcf")]
    assert sorted(mac.propfind(ALL, "getetag", depth="1").hrefs[1:]) == sorted(listed)
    assert sorted(mac.sync(ALL).hrefs) == sorted(listed)


def test_a_deletion_goes_to_the_book_it_belongs_to(mac, ada, filled):
    assert mac.delete(filled[0]).status == 204
    assert ada.get("/ada/contacts/mine.vcf").status == 404


def test_what_a_mac_may_not_do_is_refused_by_name_and_taken_back(mac, filled, organisation):
    told = mac.sync(ALL)
    answer = mac.delete(filled[1])
    assert (answer.status, answer.conditions) == (403, ["need-privileges"])
    again = mac.sync(ALL, told.token)
    assert again.hrefs == [filled[1]]
    assert again.text(filled[1], f"{DAV}getetag") != told.text(filled[1], f"{DAV}getetag")


def test_its_ctag_changes_with_every_book_and_with_none_it_stays(mac, organisation, filled):
    before = token_of(mac, ALL)
    assert token_of(mac, ALL) == before
    organisation.put("ben", "sales~leads", "two.vcf", card("two"))
    assert token_of(mac, ALL) != before
    organisation.put("carla", "contacts", "hers.vcf", card("hers"))
    after = token_of(mac, ALL)
    assert mac.sync(ALL, after).token == after


def test_a_sync_gives_the_cards_themselves_where_they_are_asked_for(mac, filled):
    answer = mac.sync(ALL, data=True)
    assert [answer.text(href, f"{CARDDAV}address-data").encode() for href in filled] == [card("mine"), card("lead")]


def test_access_that_is_taken_away_takes_the_cards_along(mac, organisation, filled):
    token = mac.sync(ALL).token
    with organisation.db.write() as session:
        people.remove_member(session, "sales", "ada")
    gone = mac.sync(ALL, token)
    assert gone.hrefs == [filled[1]]
    assert gone.status_of(filled[1]) == "HTTP/1.1 404 Not Found"
    assert mac.get(filled[1]).status == 404


def test_a_limit_is_kept_by_refusing_the_whole(mac, filled):
    answer = mac.sync(ALL, extra="<limit><nresults>1</nresults></limit>")
    assert (answer.status, answer.conditions) == (507, ["number-of-matches-within-limits"])


def test_a_token_of_another_book_is_no_token_of_it(mac, filled):
    foreign = token_of(mac, "/ada/contacts/")
    answer = mac.sync(ALL, foreign)
    assert (answer.status, answer.conditions) == (403, ["valid-sync-token"])


def test_nobody_can_write_to_the_collection_itself_or_delete_it(mac):
    assert mac.put(ALL, card("x")).status == 405
    assert mac.delete(ALL).status == 405
    assert mac.get(ALL).status == 405
    assert mac.mkcol(ALL).status in (403, 405)


def test_without_an_own_book_new_cards_are_refused_by_name(application, organisation):
    carla = Client(application, "carla", user_agent=MAC)
    with organisation.db.write() as session:
        books.trash(session, books.find(session, "carla/contacts"), by=BY)
        grants.give(session, books.find(session, "sales/leads"), "user:carla", Role.EDITOR, by=BY)
    assert carla.put("/carla/all/new.vcf", card("new")).status in (403, 404)
    found = carla.propfind("/carla/all/", "current-user-privilege-set")
    told = {one[0].tag.removeprefix(DAV) for one in found.prop("/carla/all/", f"{DAV}current-user-privilege-set")}
    assert "bind" not in told


# -- the home's own sync -----------------------------------------------------------------------------------------------


def test_a_sync_of_the_home_tells_which_books_came_changed_and_went(ada, organisation):
    first = ada.sync("/ada/")
    assert first.hrefs == ["/ada/contacts/", "/ada/sales~leads/"]
    assert ada.sync("/ada/", first.token).hrefs == []
    assert token_of(ada, "/ada/") == first.token

    organisation.put("ben", "sales~leads", "lead.vcf", card("lead"))
    ada.mkcol("/ada/new/", "New")
    second = ada.sync("/ada/", first.token)
    assert sorted(second.hrefs) == ["/ada/new/", "/ada/sales~leads/"]

    ada.delete("/ada/new/")
    third = ada.sync("/ada/", second.token)
    assert third.hrefs == ["/ada/new/"]
    assert third.status_of("/ada/new/") == "HTTP/1.1 404 Not Found"


def test_a_sync_of_the_home_gives_the_properties_that_are_asked_for(ada):
    body = (
        f"<sync-collection {XMLNS}><sync-token/><sync-level>1</sync-level>"
        "<prop><displayname/><CS:getctag/></prop></sync-collection>"
    )
    answer = ada.request("REPORT", "/ada/", body)
    assert answer.text("/ada/sales~leads/", f"{DAV}displayname") == "Leads"
    assert answer.text("/ada/contacts/", "{http://calendarserver.org/ns/}getctag") == token_of(ada, "/ada/contacts/")


def test_a_sync_of_the_home_into_all_depths_is_refused_by_name(ada):
    body = f"<sync-collection {XMLNS}><sync-token/><sync-level>infinite</sync-level><prop/></sync-collection>"
    answer = ada.request("REPORT", "/ada/", body)
    assert (answer.status, answer.conditions) == (403, ["sync-traversal-supported"])


def test_a_sync_of_a_macs_home_tells_of_the_merged_book_only(mac, organisation):
    first = mac.sync("/ada/")
    assert first.hrefs == [ALL]
    assert mac.sync("/ada/", first.token).hrefs == []
    organisation.put("ben", "sales~leads", "lead.vcf", card("lead"))
    assert mac.sync("/ada/", first.token).hrefs == [ALL]


# -- what both kinds of clients of one person see ----------------------------------------------------------------------


def test_the_own_card_that_a_mac_chose_is_named_to_a_phone_by_the_address_it_has_there_and_back(mac, ada, filled):
    def me(client):
        found = client.propfind("/ada/", "CS:me-card").prop("/ada/", "{http://calendarserver.org/ns/}me-card")
        return found.findtext(f"{DAV}href")

    def choose(client, href):
        wish = f"<set><prop><CS:me-card><href>{href}</href></CS:me-card></prop></set>"
        body = f"<propertyupdate {XMLNS}>{wish}</propertyupdate>"
        assert client.request("PROPPATCH", "/ada/", body).status == 207

    choose(mac, filled[0])
    assert (me(mac), me(ada)) == (filled[0], "/ada/contacts/mine.vcf")
    choose(ada, "/ada/sales~leads/lead.vcf")
    assert (me(mac), me(ada)) == (filled[1], "/ada/sales~leads/lead.vcf")


def test_it_tells_of_no_privilege_that_is_one_books_own(mac):
    found = mac.propfind(ALL, "current-user-privilege-set").prop(ALL, f"{DAV}current-user-privilege-set")
    told = {one[0].tag.removeprefix(DAV) for one in found}
    assert not told & {"all", "write-properties", "read-acl", "write-acl"}


def test_nothing_is_moved_or_copied_to_a_new_name_where_there_is_no_own_book(application, organisation):
    carla = Client(application, "carla", user_agent=MAC)
    organisation.grant("sales/leads", "user:carla", "curator")
    organisation.put("ben", "sales~leads", "lead.vcf", card("lead"))
    with organisation.db.write() as session:
        books.trash(session, books.find(session, "carla/contacts"), by=BY)
    lead = carla.propfind("/carla/all/", "getetag", depth="1").hrefs[1]
    answer = carla.request("MOVE", lead, Destination="http://localhost/carla/all/new.vcf")
    assert (answer.status, answer.conditions) == (403, ["need-privileges"])

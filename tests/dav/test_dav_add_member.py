"""POST of a card, whose name the server chooses (RFC 5995)."""

import re

import pytest

from tests.conftest import card
from tests.dav.conftest import CARDDAV, DAV, Client, token_of

BOOK = "/ada/contacts/"
LEADS = "/ada/sales~leads/"
MAC = "macOS/14.4 AddressBookCore/2498.4.1"


def post(client, path, body, content_type="text/vcard; charset=utf-8", **headers):
    return client.request("POST", path, body, Content_Type=content_type, **headers)


@pytest.mark.parametrize("path", [BOOK, BOOK[:-1]])
def test_a_posted_card_is_stored_as_sent_under_a_name_after_its_uid(ada, path):
    answer = post(ada, path, card("a"))

    assert (answer.status, answer.headers["Location"]) == (201, f"{BOOK}a.vcf")
    got = ada.get(f"{BOOK}a.vcf")
    assert (got.body, got.etag) == (card("a"), answer.etag)


def test_a_urn_gives_its_uuid_as_a_name(ada):
    answer = post(ada, BOOK, card("urn:uuid:4fbe8971-0bc3-424c-9c26-36c3e1eff6b1", "A"))

    assert answer.headers["Location"] == f"{BOOK}4fbe8971-0bc3-424c-9c26-36c3e1eff6b1.vcf"


@pytest.mark.parametrize("uid", ["a b", "../../x", ".", "..", "ö", "a/b", "a%2Fb", "x" * 201, "a~b", "-"])
def test_a_uid_that_is_no_safe_name_gets_a_random_one(ada, uid):
    answer = post(ada, BOOK, card(uid, "A"))

    assert answer.status == 201
    assert re.fullmatch(rf"{BOOK}[0-9a-f-]{{36}}\.vcf", answer.headers["Location"])
    assert ada.get(answer.headers["Location"]).body == card(uid, "A")


def test_a_name_that_another_card_has_is_not_taken(ada):
    ada.put(f"{BOOK}a.vcf", card("other"))

    answer = post(ada, BOOK, card("a"))

    assert answer.status == 201
    assert answer.headers["Location"] != f"{BOOK}a.vcf"
    assert ada.get(f"{BOOK}a.vcf").body == card("other")


def test_the_name_of_a_deleted_card_is_free(ada):
    ada.put(f"{BOOK}a.vcf", card("a"))
    ada.delete(f"{BOOK}a.vcf")

    assert post(ada, BOOK, card("a")).headers["Location"] == f"{BOOK}a.vcf"


@pytest.mark.parametrize("name", ["a.vcf", "other.vcf"])
def test_a_uid_in_use_is_a_conflict_that_names_the_card_and_changes_nothing(ada, name):
    ada.put(BOOK + name, card("a"))

    answer = post(ada, BOOK, card("a", "Two"))

    assert (answer.status, answer.conditions) == (409, ["no-uid-conflict"])
    assert answer.xml.findtext(f"{CARDDAV}no-uid-conflict/{DAV}href") == BOOK + name
    assert ada.propfind(BOOK, "getetag", depth="1").hrefs == [BOOK, BOOK + name]
    assert ada.get(BOOK + name).body == card("a")


def test_a_refused_post_leaves_nothing_to_take_back(ada):
    ada.put(f"{BOOK}a.vcf", card("a"))
    token = token_of(ada, BOOK)

    for body in (card("a", "Two"), b"no card", card("b", version="2.1")):
        assert post(ada, BOOK, body).status in {403, 409}

    assert token_of(ada, BOOK) == token


@pytest.mark.parametrize("kind", ["text/vcard", "TEXT/VCARD;charset=UTF-8", "text/x-vcard", "text/directory", None])
def test_a_card_is_posted_as_a_card(ada, kind):
    assert post(ada, BOOK, card("a"), kind).status == 201


@pytest.mark.parametrize(
    "kind", ["application/xml", "text/plain", "multipart/form-data; boundary=x", "text/calendar", "text/vcard2", "x"]
)
def test_what_is_said_to_be_something_else_is_refused(ada, kind):
    answer = post(ada, BOOK, card("a"), kind)

    assert (answer.status, answer.conditions) == (403, ["supported-address-data"])


@pytest.mark.parametrize(
    ("body", "condition"),
    [(b"", "valid-address-data"), (b"x", "valid-address-data"), (card("a", version="2.1"), "supported-address-data")],
)
def test_what_a_put_is_refused_for_a_post_is_too(ada, body, condition):
    answer = post(ada, BOOK, body)

    assert (answer.status, answer.conditions) == (403, [condition])


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"If_None_Match": "*"}, 201), ({"If_None_Match": "x"}, 201), ({"If_Match": "*"}, 412), ({"If_Match": "x"}, 412)],
)
def test_conditions_are_those_of_a_new_card(ada, headers, status):
    assert post(ada, BOOK, card("a"), **headers).status == status


def test_a_hint_for_the_name_is_not_taken(ada):
    assert post(ada, BOOK, card("a"), Slug="../b").headers["Location"] == f"{BOOK}a.vcf"


def test_the_stored_card_comes_back_if_that_is_preferred(ada):
    answer = post(ada, BOOK, card("a"), Prefer="return=representation")

    assert (answer.status, answer.body) == (201, card("a"))
    assert answer.headers["Location"] == answer.headers["Content-Location"] == f"{BOOK}a.vcf"


# -- rights (RFC 5995, section 5) --------------------------------------------------------------------------------------


def add_member(client, path):
    found = client.propfind(path, "add-member").prop(path, f"{DAV}add-member")
    return None if found is None else found.findtext(f"{DAV}href")


@pytest.mark.parametrize(("role", "may"), [("viewer", False), ("contributor", True), ("editor", True)])
def test_who_may_add_is_told_where_and_nobody_else_is(carla, organisation, role, may):
    organisation.grant("sales/leads", "user:carla", role)
    book = "/carla/sales~leads/"

    assert add_member(carla, book) == (book if may else None)
    assert ("POST" in carla.request("OPTIONS", book).headers["Allow"].split(", ")) == may
    answer = post(carla, book, card("a"))
    assert answer.status == (201 if may else 403)
    if not may:
        assert answer.conditions == ["need-privileges"]
        assert answer.xml.find(f".//{DAV}privilege/{DAV}bind") is not None
        assert answer.xml.findtext(f".//{DAV}resource/{DAV}href") == book


def test_the_property_is_not_part_of_allprop(ada):
    assert ada.propfind(BOOK).prop(BOOK, f"{DAV}add-member") is None
    assert add_member(ada, BOOK) == BOOK


@pytest.mark.parametrize("path", ["/", "/.well-known/carddav", "/ada/", "/sales/", f"{BOOK}a.vcf", f"{BOOK}none.vcf"])
def test_elsewhere_there_is_no_post(ada, path):
    ada.put(f"{BOOK}a.vcf", card("a"))

    answer = post(ada, path, card("b"))

    assert answer.status == 405
    assert "POST" not in answer.headers["Allow"]
    assert "PROPFIND" in answer.headers["Allow"]


@pytest.mark.parametrize("path", ["/carla/sales~leads/", "/ada/contacts/", "/carla/none/", "/sales/leads/", "/ada/"])
def test_a_book_one_may_not_read_is_not_there(carla, path):
    assert (post(carla, path, card("a")).status, post(carla, path, b"").status) == (404, 404)


# -- the merged book ---------------------------------------------------------------------------------------------------


def test_a_card_posted_to_the_merged_book_goes_to_the_default_one(ada, application):
    mac = Client(application, "ada", user_agent=MAC)

    answer = post(mac, "/ada/all/", card("a"))

    assert (answer.status, add_member(mac, "/ada/all/")) == (201, "/ada/all/")
    assert answer.headers["Location"].startswith("/ada/all/")
    assert mac.get(answer.headers["Location"]).etag == answer.etag
    assert ada.get(f"{BOOK}a.vcf").body == card("a")
    assert ada.get("/ada/all/").status == 404


def test_a_uid_of_another_book_is_a_conflict_in_the_merged_one(ada, application):
    ada.put(f"{LEADS}a.vcf", card("a"))
    mac = Client(application, "ada", user_agent=MAC)

    answer = post(mac, "/ada/all/", card("a"))

    assert (answer.status, answer.conditions) == (409, ["no-uid-conflict"])
    assert mac.get(answer.xml.findtext(f"{CARDDAV}no-uid-conflict/{DAV}href")).body == card("a")


def test_a_post_costs_as_many_statements_whatever_the_books_size(ada, organisation, statements):
    counts = []
    for number in range(3):
        for extra in range(20):
            organisation.put("ada", "contacts", f"{number}-{extra}.vcf", card(f"{number}-{extra}"))
        statements.clear()
        assert post(ada, BOOK, card(f"new{number}")).status == 201
        counts.append(len(statements))
    assert counts[1] == counts[2]
    assert counts[2] <= 16

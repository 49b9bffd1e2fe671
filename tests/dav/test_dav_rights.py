"""Who may do what over HTTP; and that a book one may not read is a book that does not exist."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import books, people
from tests.conftest import card, examples
from tests.dav.conftest import XMLNS, Client

# (who, book, verb) -> status. Ada and Ben are in Sales, whose editors' book is "leads"; Carla is in no group.
VERBS = ["read", "list", "sync", "fetch", "add", "edit", "delete", "export", "rename", "delete book"]
TABLE = {
    ("ada", "/ada/contacts/"): [200, 207, 207, 207, 201, 204, 204, 200, 207, 204],
    ("ada", "/ada/sales~leads/"): [200, 207, 207, 207, 201, 204, 403, 403, 403, 403],
    ("ben", "/ben/sales~leads/"): [200, 207, 207, 207, 201, 204, 403, 403, 403, 403],
    ("carla", "/carla/sales~leads/"): [404] * 10,
    ("carla", "/sales/leads/"): [404] * 10,
    ("carla", "/ada/contacts/"): [404] * 10,
    ("ben", "/ben/ada~contacts/"): [404] * 10,
    ("ada", "/ben/sales~leads/"): [404] * 10,
    ("ada", "/ada/ada~contacts/"): [404] * 10,
    ("ada", "/ada/leads/"): [404] * 10,
}
BY_ROLE = {
    "viewer": [200, 207, 207, 207, 403, 403, 403, 403, 403, 403],
    "contributor": [200, 207, 207, 207, 201, 403, 403, 403, 403, 403],
    "editor": [200, 207, 207, 207, 201, 204, 403, 403, 403, 403],
    "curator": [200, 207, 207, 207, 201, 204, 204, 200, 403, 403],
    "manager": [200, 207, 207, 207, 201, 204, 204, 200, 403, 403],
    "owner": [200, 207, 207, 207, 201, 204, 204, 200, 207, 403],
}


def asked(client, book):
    """The answers to every verb, in the table's order."""
    rename = f"<propertyupdate {XMLNS}><set><prop><displayname>New</displayname></prop></set></propertyupdate>"
    old = f"{book}old.vcf"
    return [
        client.get(old),
        client.propfind(book, "getetag", depth="1"),
        client.sync(book),
        client.multiget(book, old),
        client.put(f"{book}new.vcf", card("new")),
        client.put(old, card("old", "Two")),
        client.delete(old),
        client.get(book),
        client.request("PROPPATCH", book, rename),
        client.delete(book),
    ]


@pytest.fixture
def filled(organisation):
    """A card "old" in Ada's own book and in the one of Sales."""
    for name in ("contacts", "sales~leads"):
        organisation.put("ada", name, "old.vcf", card("old"))
    return organisation


@pytest.mark.parametrize(("who", "book"), TABLE, ids=[f"{who}{book}" for who, book in TABLE])
def test_the_organisations_rights_over_http_are_these(application, filled, who, book):
    answers = asked(Client(application, who), book)

    assert dict(zip(VERBS, [one.status for one in answers], strict=True)) == dict(
        zip(VERBS, TABLE[who, book], strict=True)
    )


@pytest.mark.parametrize("role", BY_ROLE)
def test_every_role_may_do_over_http_what_it_says(application, filled, role):
    filled.grant("sales/leads", "user:carla", role)

    answers = asked(Client(application, "carla"), "/carla/sales~leads/")

    assert [one.status for one in answers] == BY_ROLE[role]
    assert {tuple(one.conditions) for one in answers if one.status == 403} <= {("need-privileges",)}


def test_a_change_of_rights_counts_at_the_very_next_request(application, filled):
    carla = Client(application, "carla")
    assert carla.get("/carla/sales~leads/old.vcf").status == 404

    filled.grant("sales/leads", "user:carla", "viewer")
    assert carla.get("/carla/sales~leads/old.vcf").status == 200


def test_a_mounted_book_is_never_deleted_by_a_client_not_even_by_its_owner(application, filled):
    filled.grant("sales/leads", "user:carla", "owner")

    answer = Client(application, "carla").delete("/carla/sales~leads/")

    assert (answer.status, answer.conditions) == (403, ["need-privileges"])
    assert filled.book("sales/leads").deleted_at is None


def test_an_own_book_goes_to_the_trash(application, filled):
    assert Client(application, "ada").delete("/ada/contacts/").status == 204

    assert Client(application, "ada").propfind("/ada/", "resourcetype", depth="1").hrefs == [
        "/ada/",
        "/ada/sales~leads/",
    ]
    with filled.db.read() as session:
        assert books.find_trashed(session, "ada/contacts").deleted_at


def test_who_signed_in_by_another_login_works_in_the_home_of_the_slug(application, organisation):
    with organisation.db.write() as session:
        people.rename_user(session, "ada", "countess")

    countess = Client(application, "countess", "adaada")
    assert countess.put("/ada/contacts/a.vcf", card("a")).status == 201
    assert countess.get("/countess/contacts/a.vcf").status == 404


# -- what one may not read does not exist ------------------------------------------------------------------------------

METHODS = [
    "OPTIONS",
    "GET",
    "HEAD",
    "PUT",
    "DELETE",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "REPORT",
    "POST",
    "MOVE",
    "LOCK",
]
PATHS = ["", "/", "/old.vcf", "/new.vcf", "/old.vcf/", "/a/b", "/old.vcf/x", "/%2e%2e", "/..", "//", "/\x00", "/😀"]
_MULTIGET = f"<C:addressbook-multiget {XMLNS}><prop><getetag/></prop><href>HREF/old.vcf</href></C:addressbook-multiget>"
_MKCOL = f"<mkcol {XMLNS}><set><prop><resourcetype><collection/><C:addressbook/></resourcetype></prop></set></mkcol>"
BODIES = [
    b"",
    card("old"),
    card("new"),
    card("x", version="2.1"),
    b"no card",
    b"<",
    f"<propfind {XMLNS}><allprop/></propfind>".encode(),
    f"<propfind {XMLNS}><prop><getetag/><acl/></prop></propfind>".encode(),
    f"<sync-collection {XMLNS}><sync-token/><sync-level>1</sync-level><prop/></sync-collection>".encode(),
    f"<sync-collection {XMLNS}><sync-token>TOKEN</sync-token><prop/></sync-collection>".encode(),
    _MULTIGET.encode(),
    f"<C:addressbook-query {XMLNS}><prop/></C:addressbook-query>".encode(),
    _MKCOL.encode(),
    f"<propertyupdate {XMLNS}><set><prop><displayname>x</displayname></prop></set></propertyupdate>".encode(),
    b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
]
HEADERS = {
    "Depth": ["0", "1", "infinity", "x"],
    "If_Match": ["*", "ETAG", '"x"'],
    "If_None_Match": ["*", "ETAG"],
    "Content_Type": ["text/vcard", "text/vcard; charset=latin-1", "application/xml"],
    "Content_Length": ["5", "999999", "x", "999999999"],
    "Content_Range": ["bytes 0-1/2"],
    "Accept_Encoding": ["gzip"],
    "Destination": ["/carla/contacts/x.vcf"],
    "User_Agent": ["Thunderbird/128"],
    "Overwrite": ["F"],
}
requests = st.fixed_dictionaries(
    {
        "method": st.sampled_from(METHODS),
        "below": st.sampled_from(PATHS),
        "body": st.sampled_from(BODIES),
        "headers": st.lists(
            st.sampled_from([(name, value) for name, values in HEADERS.items() for value in values]), max_size=3
        ).map(dict),
    }
)


@pytest.fixture
def secrets_of(application, filled):
    """A token and an ETag of the hidden book, as somebody else may have told them."""
    ada = Client(application, "ada")
    return ada.sync("/ada/sales~leads/").token, ada.get("/ada/sales~leads/old.vcf").etag


@examples(60)
@given(wish=requests)
@pytest.mark.parametrize(
    ("hidden", "absent"),
    [
        ("/carla/sales~leads", "/carla/sales~nopes"),
        ("/sales/leads", "/sales/nopes"),
        ("/ada/sales~leads", "/eve/sales~leads"),
        ("/ada/contacts", "/ada/contents"),
        ("/carla/ada~contacts", "/carla/eve~contacts"),
    ],
)
def test_no_request_tells_a_book_one_may_not_read_from_one_that_is_not_there(
    application, secrets_of, hidden, absent, wish
):
    carla = Client(application, "carla")
    token, etag = secrets_of

    def answer(book):
        body = wish["body"].replace(b"TOKEN", token.encode()).replace(b"HREF", book.encode())
        headers = {name: value.replace("ETAG", etag) for name, value in wish["headers"].items()}
        found = carla.request(wish["method"], book + wish["below"], body, **headers)
        return (
            found.status,
            list(found.headers.items()),
            found.body.replace(book.encode(), b"BOOK").replace(book.rpartition("/")[2].encode(), b"NAME"),
        )

    assert answer(hidden) == answer(absent)


def test_a_principal_one_has_nothing_to_do_with_is_as_one_that_is_not_there(application, filled):
    carla = Client(application, "carla")
    for method in METHODS:
        answers = [carla.request(method, path) for path in ("/ada/", "/sales/", "/eve/")]
        assert len({repr(answer) for answer in answers}) == 1, method


def test_an_uid_in_an_unreadable_book_is_no_conflict(application, filled):
    assert Client(application, "carla").put("/carla/contacts/x.vcf", card("old")).status == 201


def test_a_refused_write_says_in_words_what_one_may_do_and_whom_to_ask(carla, organisation):
    organisation.grant("sales/leads", "user:carla", "contributor")
    organisation.grant("sales/leads", "user:ben", "manager")
    organisation.put("ada", "sales~leads", "a.vcf", card("a"))

    refused = carla.put("/carla/sales~leads/a.vcf", card("a", "Other"))

    assert refused.status == 403
    assert b"You may read and add here, not edit. Ask Ben." in refused.body

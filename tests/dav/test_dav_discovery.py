"""How a client finds its books: root, well-known, principal, home; and the sign-in before all of it."""

import base64

import pytest

from radicale_shared import people
from tests.conftest import card
from tests.dav.conftest import CARDDAV, DAV, XMLNS, Client

ENTRANCES = ["/", "/.well-known/carddav", "/ada/"]


METHODS = [
    *("OPTIONS", "PROPFIND", "GET", "PUT", "POST", "DELETE", "REPORT", "MKCOL", "PROPPATCH", "COPY", "MOVE"),
    *("LOCK", "ACL", "NONSENSE", ""),
]
ANYWHERE = [*ENTRANCES, "/ada", "/.well-known/carddav/", "/ada/contacts/", "/ada/contacts", "/nobody/", "/x/y/z/a"]
# What each client asks first (clients' names are in docs/protocol.md), whatever it was given.
TYPED = ["/", "/.well-known/carddav", "/.well-known/carddav/", "/ada/", "/ada", "/ada/contacts/", "/ada/contacts"]
MAC = "macOS/14.4 AddressBookCore/2498.4.1"
IPHONE = "iOS/17.4 (21E219) dataaccessd/1.0"


def test_without_a_login_everything_is_401_in_place_with_one_constant_realm(application, organisation):
    answers = [Client(application).request(method, path) for method in METHODS for path in ANYWHERE]

    assert {answer.status for answer in answers} == {401}
    assert {answer.headers["WWW-Authenticate"].partition("=")[0] for answer in answers} == {"Basic realm"}
    assert len({repr(answer) for answer in answers}) == 1


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic YWRh",
        "Bearer YWRhOmFkYWFkYQ==",
        "Basic YWRhOmFkYWFkYQ",
        "basic  x y",
        "Digest username=ada",
        "Basic " + base64.b64encode(b"ada:wrong").decode(),
        "Basic " + base64.b64encode(b":adaada").decode(),
        "Basic " + base64.b64encode(b"ada:").decode(),
        "Basic " + base64.b64encode(b"ada:adaada\x00").decode(),
        "Basic " + base64.b64encode(b"a\x00da:adaada").decode(),
        "Basic " + base64.b64encode(b"ada:\xff\xfe").decode(),
        "Basic " + base64.b64encode(b"ada:" + b"x" * 20_000).decode(),
        "Basic " + base64.b64encode(b"x" * 20_000 + b":y").decode(),
        "\xff\xfe",
    ],
)
def test_a_bad_authorization_is_401(application, organisation, authorization):
    answer = Client(application).request("PROPFIND", "/", Authorization=authorization)

    assert answer.status == 401


@pytest.mark.parametrize("login", ["ada", "Ada", "ADA", " ada "])
def test_the_login_may_be_written_with_capitals_as_ios_does(application, organisation, login):
    found = Client(application, login, "adaada").propfind("/", "current-user-principal")

    assert found.prop("/", f"{DAV}current-user-principal").findtext(f"{DAV}href") == "/ada/"


def test_a_password_may_come_in_utf_8_or_in_latin_1(application, organisation):
    with organisation.db.write() as session:
        people.set_password(session, "ada", "pässword")
    for encoding in ("utf-8", "latin-1"):
        pair = base64.b64encode("ada:pässword".encode(encoding)).decode()
        assert Client(application).request("OPTIONS", "/", Authorization=f"Basic {pair}").status == 200


@pytest.mark.parametrize("path", ENTRANCES)
def test_every_entrance_leads_to_the_principal_in_place(ada, path):
    found = ada.propfind(path, "current-user-principal", "resourcetype", "principal-collection-set")

    assert found.status == 207
    assert found.hrefs == [path]
    assert found.prop(path, f"{DAV}current-user-principal").findtext(f"{DAV}href") == "/ada/"
    assert found.prop(path, f"{DAV}principal-collection-set").findtext(f"{DAV}href") == "/"


@pytest.mark.parametrize("path", ENTRANCES)
def test_options_announces_address_books_and_the_methods_there_are(ada, path):
    answer = ada.request("OPTIONS", path)

    assert (answer.status, answer.body) == (200, b"")
    classes = [one.strip() for one in answer.headers["DAV"].split(",")]
    assert {"1", "3", "access-control", "addressbook", "extended-mkcol"} <= set(classes)
    assert "2" not in classes
    assert {"OPTIONS", "PROPFIND", "REPORT"} <= set(answer.headers["Allow"].split(", "))


def test_options_is_true_for_this_user(ada, carla, organisation):
    organisation.grant("sales/leads", "user:carla", "viewer")

    def allowed(client, path):
        return set(client.request("OPTIONS", path).headers["Allow"].split(", "))

    assert {"PUT", "DELETE", "PROPPATCH", "GET"} <= allowed(ada, "/ada/contacts/")
    assert "PUT" in allowed(ada, "/ada/sales~leads/")
    assert not {"PUT", "DELETE", "POST", "PROPPATCH"} & allowed(carla, "/carla/sales~leads/")
    assert not {"PUT", "DELETE", "POST"} & allowed(carla, "/carla/sales~leads/a.vcf")


def test_the_home_set_is_one_href_the_own_home(ada):
    found = ada.propfind("/ada/", "C:addressbook-home-set")

    assert [one.text for one in found.prop("/ada/", f"{CARDDAV}addressbook-home-set")] == ["/ada/"]


def test_the_home_lists_the_own_books_first_and_then_the_shared_ones(ada, carla):
    assert ada.propfind("/ada/", "resourcetype", depth="1").hrefs == ["/ada/", "/ada/contacts/", "/ada/sales~leads/"]
    assert carla.propfind("/carla/", "resourcetype", depth="1").hrefs == ["/carla/", "/carla/contacts/"]


def test_only_books_are_address_books(ada):
    found = ada.propfind("/ada/", "resourcetype", depth="1")

    kinds = {
        href: {one.tag.rpartition("}")[2] for one in found.prop(href, f"{DAV}resourcetype")} for href in found.hrefs
    }
    assert kinds == {
        "/ada/": {"collection", "principal"},
        "/ada/contacts/": {"collection", "addressbook"},
        "/ada/sales~leads/": {"collection", "addressbook"},
    }


def test_the_root_shows_the_own_principal_and_nobody_elses(ada):
    assert ada.propfind("/", "resourcetype", depth="1").hrefs == ["/", "/ada/"]


def test_the_owner_of_a_shared_book_is_a_principal_with_a_name_and_no_home(ada):
    found = ada.propfind("/sales/", "displayname", "resourcetype", "C:addressbook-home-set", "principal-URL")

    assert found.text("/sales/", f"{DAV}displayname") == "Sales"
    assert [one.tag for one in found.prop("/sales/", f"{DAV}resourcetype")] == [f"{DAV}principal"]
    assert found.prop("/sales/", f"{CARDDAV}addressbook-home-set") is None
    assert ada.propfind("/sales/", "resourcetype", depth="1").hrefs == ["/sales/"]


@pytest.mark.parametrize(
    "path", ["/sales/", "/ben/", "/nobody/", "/sales/leads/", "/ada/sales~leads/", "/carla/leads/"]
)
def test_people_groups_and_books_one_has_nothing_to_do_with_are_not_there(carla, path):
    assert carla.propfind(path, "displayname").status == 404


def test_a_browser_gets_a_sentence_at_the_entrances(ada):
    for path in ENTRANCES:
        answer = ada.get(path)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")


def test_a_disabled_or_changed_account_is_out_at_its_next_request(ada, organisation):
    assert ada.get("/").status == 200
    with organisation.db.write() as session:
        people.set_enabled(session, "ada", enabled=False)
    assert ada.get("/").status == 401


# -- what was typed (RFC 6764, section 6) ------------------------------------------------------------------------------


def in_place(answer, path):
    """The one href of an answer that is a 207 for this very address, without a redirect."""
    assert (answer.status, "Location" in answer.headers) == (207, False), answer.body
    (href,) = answer.hrefs
    assert href.rstrip("/") == path.rstrip("/")
    return href


@pytest.mark.parametrize("path", TYPED)
def test_whatever_address_is_typed_leads_to_the_principal_and_its_home(ada, path):
    found = ada.propfind(path, "current-user-principal", "C:addressbook-home-set", "resourcetype", "displayname")
    href = in_place(found, path)

    principal = found.prop(href, f"{DAV}current-user-principal").findtext(f"{DAV}href")
    home = ada.propfind(principal, "C:addressbook-home-set")
    assert [one.text for one in home.prop(principal, f"{CARDDAV}addressbook-home-set")] == ["/ada/"]
    books = ada.propfind("/ada/", "resourcetype", depth="1")
    assert [
        href for href in books.hrefs if books.prop(href, f"{DAV}resourcetype").find(f"{CARDDAV}addressbook") is not None
    ] == [
        "/ada/contacts/",
        "/ada/sales~leads/",
    ]


@pytest.mark.parametrize("path", TYPED)
def test_whatever_address_is_typed_announces_address_books(ada, path):
    answer = ada.request("OPTIONS", path)

    assert (answer.status, "Location" in answer.headers) == (200, False)
    assert "addressbook" in answer.headers["DAV"].split(", ")


@pytest.mark.parametrize("path", TYPED)
def test_whatever_address_is_typed_asks_for_the_password_in_place_and_takes_it_there(application, organisation, path):
    asked = Client(application).request("PROPFIND", path)
    wrong = Client(application, "ada", "wrong").request("PROPFIND", path)

    for answer in (asked, wrong):
        assert (answer.status, "Location" in answer.headers) == (401, False)
        assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert Client(application, "ada").request("PROPFIND", path, Depth="0").status == 207


@pytest.mark.parametrize(("path", "slashed"), [("/ada", "/ada/"), ("/ada/contacts", "/ada/contacts/")])
@pytest.mark.parametrize("depth", ["0", "1"])
def test_a_missing_slash_makes_no_difference(ada, path, slashed, depth):
    names = ("resourcetype", "displayname", "sync-token", "CS:getctag", "current-user-privilege-set")

    assert ada.propfind(path, *names, depth=depth).body == ada.propfind(slashed, *names, depth=depth).body


def test_reports_are_refused_at_the_entrances_as_what_these_have_not_and_answered_on_books(ada):
    query = f"<C:addressbook-multiget {XMLNS}><prop><getetag/></prop></C:addressbook-multiget>"

    for path in ENTRANCES:
        answer = ada.request("REPORT", path, query)
        assert (answer.status, answer.conditions) == (403, ["supported-report"])
    for path in ("/ada/contacts/", "/ada/contacts"):
        assert ada.request("REPORT", path, query).status == 207


def with_prefix(application, **environ):
    return Client(application, "ada", environ={"REMOTE_ADDR": "10.0.0.1", **environ})


@pytest.mark.parametrize("path", TYPED)
@pytest.mark.parametrize("kept", [True, False])
def test_behind_a_prefix_every_address_leads_to_the_same_place(application, organisation, path, kept):
    # Proxies differ in whether they pass the prefix on.
    client = with_prefix(application, HTTP_X_SCRIPT_NAME="/dav")
    asked = f"/dav{path}" if kept and not path.startswith("/.well-known") else path

    found = client.propfind(asked, "current-user-principal")

    assert found.status == 207
    (href,) = found.hrefs
    assert href.startswith("/.well-known/" if path.startswith("/.well-known") else "/dav/")
    assert found.prop(href, f"{DAV}current-user-principal").findtext(f"{DAV}href") == "/dav/ada/"
    home = client.propfind("/ada/", "C:addressbook-home-set", depth="1")
    assert home.hrefs == ["/dav/ada/", "/dav/ada/contacts/", "/dav/ada/sales~leads/"]
    assert home.prop("/dav/ada/", f"{CARDDAV}addressbook-home-set").findtext(f"{DAV}href") == "/dav/ada/"


def test_a_card_is_stored_and_met_under_the_prefix(application, organisation):
    client = with_prefix(application, HTTP_X_SCRIPT_NAME="/dav")

    assert client.put("/dav/ada/contacts/a.vcf", card("a")).status == 201
    posted = client.request("POST", "/dav/ada/contacts/", card("b"))
    assert posted.headers["Location"] == "/dav/ada/contacts/b.vcf"
    assert sorted(client.sync("/dav/ada/contacts").hrefs) == ["/dav/ada/contacts/a.vcf", "/dav/ada/contacts/b.vcf"]
    fetched = client.multiget("/dav/ada/contacts/", "/dav/ada/contacts/a.vcf")
    assert fetched.text("/dav/ada/contacts/a.vcf", f"{CARDDAV}address-data").encode() == card("a")


# -- each client's first requests (docs/protocol.md) -------------------------------------------------------------------


@pytest.mark.parametrize("user_agent", [IPHONE, MAC])
@pytest.mark.parametrize("typed", ["/", "/ada/", "/ada/contacts/", "/ada/contacts"])
def test_apple_finds_the_principal_by_options_and_propfind_and_then_the_books(
    application, organisation, user_agent, typed
):
    apple = Client(application, "ada", user_agent=user_agent)
    for path in ("/.well-known/carddav", typed):
        found = apple.propfind(path, "current-user-principal", "principal-URL", "resourcetype")
        in_place(found, path)
    principal = "/ada/"
    assert "addressbook" in apple.request("OPTIONS", principal).headers["DAV"]
    found = apple.propfind(
        principal, "principal-collection-set", "supported-report-set", "displayname", "C:addressbook-home-set"
    )
    assert found.prop(principal, f"{CARDDAV}addressbook-home-set").findtext(f"{DAV}href") == "/ada/"

    names = (
        "add-member",
        "current-user-privilege-set",
        "displayname",
        "C:max-image-size",
        "C:max-resource-size",
        "owner",
        "quota-available-bytes",
        "quota-used-bytes",
        "resourcetype",
        "supported-report-set",
        "sync-token",
    )
    home = apple.propfind("/ada/", *names, depth="1")
    books = home.hrefs[1:]
    assert books == (["/ada/all/"] if user_agent == MAC else ["/ada/contacts/", "/ada/sales~leads/"])
    for href in books:
        assert home.prop(href, f"{DAV}resourcetype").find(f"{CARDDAV}addressbook") is not None
        assert home.text(href, f"{CARDDAV}max-image-size").isdigit()
        assert home.text(href, f"{DAV}quota-used-bytes") == "0"
        assert home.prop(href, f"{DAV}add-member").findtext(f"{DAV}href") == href
        assert apple.propfind(href, "CS:getctag", "sync-token").text(href, "{http://calendarserver.org/ns/}getctag")


@pytest.mark.parametrize("typed", ["/", "/.well-known/carddav", "/ada/", "/ada/contacts/", "/ada/contacts"])
def test_davx5_finds_the_home_from_any_address_and_evolution_and_thunderbird_the_book(ada, typed):
    found = ada.propfind(
        typed,
        "resourcetype",
        "displayname",
        "current-user-principal",
        "C:addressbook-home-set",
        "C:addressbook-description",
    )
    href = in_place(found, typed)
    assert "addressbook" in ada.request("OPTIONS", typed).headers["DAV"]
    is_book = found.prop(href, f"{DAV}resourcetype").find(f"{CARDDAV}addressbook") is not None

    assert is_book == ("contacts" in typed)
    # Thunderbird skips a response whose first status is another.
    assert found.responses[href].find(f"{DAV}propstat/{DAV}status").text == "HTTP/1.1 200 OK"
    if is_book:
        told = ada.propfind(
            typed, "CS:getctag", "sync-token", "supported-report-set", "C:max-resource-size", "C:supported-address-data"
        )
        assert ":" in told.text(href, f"{DAV}sync-token")
        assert told.prop(href, f"{CARDDAV}supported-address-data") is not None


@pytest.mark.parametrize("typed", ["/ada/contacts/", "/ada/contacts"])
def test_roundcube_and_a_desk_phone_are_given_a_book_and_stay_with_it(ada, typed):
    ada.put("/ada/contacts/a.vcf", card("a"))
    names = (
        "resourcetype",
        "sync-token",
        "supported-report-set",
        "add-member",
        "displayname",
        "CS:getctag",
        "C:supported-address-data",
        "C:addressbook-description",
        "C:max-resource-size",
    )
    props = "".join(f"<{name}/>" for name in names)
    found = ada.request(
        "PROPFIND", typed, f"<propfind {XMLNS}><prop>{props}</prop></propfind>", Depth="0", Prefer="return=minimal"
    )

    assert found.prop("/ada/contacts/", f"{DAV}add-member").findtext(f"{DAV}href") == "/ada/contacts/"
    assert ada.sync(typed).hrefs == ["/ada/contacts/a.vcf"]
    assert ada.multiget(typed, "/ada/contacts/a.vcf").text("/ada/contacts/a.vcf", f"{DAV}getetag")
    assert ada.propfind(typed, "getetag", depth="1").hrefs == ["/ada/contacts/", "/ada/contacts/a.vcf"]

"""How a client finds its books: root, well-known, principal, home; and the sign-in before all of it."""

import base64

import pytest

from radicale_shared import people
from tests.dav.conftest import CARDDAV, DAV, Client

ENTRANCES = ["/", "/.well-known/carddav", "/ada/"]


METHODS = ["OPTIONS", "PROPFIND", "GET", "PUT", "DELETE", "REPORT", "MKCOL", "NONSENSE"]
ANYWHERE = [*ENTRANCES, "/ada", "/.well-known/carddav/", "/ada/contacts/", "/nobody/", "/x/y/z/a"]


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

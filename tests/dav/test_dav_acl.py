"""What privileges there are, who has them, and who is told so (RFC 3744, section 5)."""

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import update

from radicale_shared.models import Grant, now, table
from tests.conftest import card
from tests.dav.conftest import DAV, XMLNS, Client

LEADS = "/ada/sales~leads/"


def statuses(found, href):
    """{name: status line} of the properties of a resource."""
    return {
        prop.tag: one.findtext(f"{DAV}status")
        for one in found.responses[href].findall(f"{DAV}propstat")
        for prop in one.find(f"{DAV}prop")
    }


def entries(found, href):
    """{who: privileges} of a DAV:acl; who: an href, or the name of the element that stands for somebody."""
    told = {}
    for one in found.prop(href, f"{DAV}acl"):
        who = one.find(f"{DAV}principal")[0]
        privileges = {privilege[0].tag.removeprefix(DAV) for privilege in one.find(f"{DAV}grant")}
        told[who.text or who.tag.removeprefix(DAV)] = privileges
    return told


def privileges_of(found, href):
    return {one[0].tag.removeprefix(DAV) for one in found.prop(href, f"{DAV}current-user-privilege-set")}


# -- DAV:acl -----------------------------------------------------------------------------------------------------------

READ = {"read", "read-current-user-privilege-set"}


def test_a_manager_is_told_of_the_owner_and_of_each_grant(ada, carla, organisation):
    organisation.grant("ada/contacts", "user:carla", "manager")
    organisation.grant("ada/contacts", "group:sales", "contributor")
    organisation.grant("ada/contacts", "everyone", "viewer")
    expected = {
        "/ada/": {"all"},
        "/carla/": READ | {"write", "write-content", "bind", "unbind", "read-acl", "write-acl"},
        "/sales/": READ | {"bind"},
        "authenticated": READ,
    }

    assert entries(ada.propfind("/ada/contacts/", "acl"), "/ada/contacts/") == expected
    assert entries(carla.propfind("/carla/ada~contacts/", "acl"), "/carla/ada~contacts/") == expected


def test_a_group_that_owns_a_book_is_no_entry_as_its_members_get_nothing_by_that(ada, organisation):
    organisation.grant("sales/leads", "user:ada", "manager")

    told = entries(ada.propfind("/ada/sales~leads/", "acl"), "/ada/sales~leads/")

    assert "all" not in told["/sales/"]  # what it has is by its grant: editor
    assert told.keys() == {"/sales/", "/ada/"}


def test_the_owners_entry_is_protected_and_nothing_is_inverted_or_denied(ada, organisation):
    organisation.grant("ada/contacts", "user:carla", "owner")

    told = list(ada.propfind("/ada/contacts/", "acl").prop("/ada/contacts/", f"{DAV}acl"))

    assert [(one.tag, one.find(f"{DAV}protected") is not None) for one in told] == [
        (f"{DAV}ace", True),
        (f"{DAV}ace", False),
    ]
    assert [[part.tag for part in one] for one in told] == [
        [f"{DAV}principal", f"{DAV}grant", f"{DAV}protected"],
        [f"{DAV}principal", f"{DAV}grant"],
    ]


@pytest.mark.parametrize("role", ["viewer", "contributor", "editor", "curator"])
def test_who_does_not_manage_a_book_is_told_which_privilege_is_missing_for_its_acl(carla, organisation, role):
    organisation.grant("sales/leads", "user:carla", role)
    href = "/carla/sales~leads/"

    found = carla.propfind(href, "acl", "displayname", "no-such-one")

    assert [one.findtext(f"{DAV}status") for one in found.responses[href].findall(f"{DAV}propstat")] == [
        "HTTP/1.1 200 OK",
        "HTTP/1.1 404 Not Found",
        "HTTP/1.1 403 Forbidden",
    ]
    assert statuses(found, href)[f"{DAV}acl"] == "HTTP/1.1 403 Forbidden"
    needed = found.responses[href].find(f"{DAV}propstat/{DAV}error/{DAV}need-privileges/{DAV}resource")
    assert [needed.findtext(f"{DAV}href"), needed.find(f"{DAV}privilege")[0].tag] == [href, f"{DAV}read-acl"]


@pytest.mark.parametrize(
    "values",
    [
        {"until_at": now() - timedelta(days=1)},
        {"audience": "domain", "domain": "example.org", "principal_id": None},
    ],
)
def test_a_grant_that_has_ended_or_is_a_domains_is_no_entry(ada, organisation, values):
    organisation.grant("ada/contacts", "user:carla", "viewer")
    with organisation.db.write() as session:
        session.execute(update(table(Grant)).values(**values))

    assert entries(ada.propfind("/ada/contacts/", "acl"), "/ada/contacts/") == {"/ada/": {"all"}}


def test_a_home_of_many_books_is_told_of_all_their_acls_in_the_same_few_statements(ada, organisation, statements):
    organisation.grant("ada/contacts", "user:carla", "viewer")
    costs = []
    for more in (1, 12):
        for number in range(more):
            assert ada.mkcol(f"/ada/book{more}-{number}/", "More").status == 201
        statements.clear()
        found = ada.propfind("/ada/", "acl", depth="1")
        costs.append(len(statements))

    assert len(found.hrefs) == 1 + 2 + 13
    assert costs[0] == costs[1] <= 8


def test_acl_is_of_books_and_is_not_among_allprop(ada):
    ada.put("/ada/contacts/a.vcf", card("a"))

    for path in ("/", "/ada/", "/sales/", "/ada/contacts/a.vcf"):
        assert statuses(ada.propfind(path, "acl"), path) == {f"{DAV}acl": "HTTP/1.1 404 Not Found"}
    assert f"{DAV}acl" not in statuses(ada.propfind("/ada/contacts/"), "/ada/contacts/")


def test_propname_names_the_acl_also_for_who_may_not_see_it(ada):
    found = ada.request("PROPFIND", LEADS, f"<propfind {XMLNS}><propname/></propfind>")

    assert statuses(found, LEADS)[f"{DAV}acl"] == "HTTP/1.1 200 OK"
    assert list(found.prop(LEADS, f"{DAV}acl")) == []


def test_what_restricts_an_acl_and_that_nothing_is_inherited_is_told(ada):
    found = ada.propfind("/ada/contacts/", "acl-restrictions", "inherited-acl-set")

    restrictions = found.prop("/ada/contacts/", f"{DAV}acl-restrictions")
    assert [one.tag for one in restrictions] == [f"{DAV}grant-only", f"{DAV}no-invert"]
    assert list(found.prop("/ada/contacts/", f"{DAV}inherited-acl-set")) == []


@pytest.mark.parametrize("path", ["/", "/ada/", "/ada/contacts/", LEADS, "/none/"])
def test_acl_is_no_method_and_is_not_announced(ada, path):
    assert ada.request("ACL", path, f"<acl {XMLNS}/>").status == 405
    assert "ACL" not in ada.request("OPTIONS", path).headers.get("Allow", "").split(", ")


def test_a_book_has_no_group(ada):
    assert statuses(ada.propfind(LEADS, "group"), LEADS) == {f"{DAV}group": "HTTP/1.1 404 Not Found"}


# -- privileges --------------------------------------------------------------------------------------------------------


def tree(element):
    """{privilege: those it consists of} of a DAV:supported-privilege."""
    name = element.find(f"{DAV}privilege")[0].tag.removeprefix(DAV)
    return name, dict(tree(one) for one in element.findall(f"{DAV}supported-privilege"))


def test_the_supported_privileges_are_a_tree_with_words_for_people(ada):
    for path in ("/", "/ada/", "/ada/contacts/", "/sales/"):
        told = ada.propfind(path, "supported-privilege-set").prop(path, f"{DAV}supported-privilege-set")
        assert [tree(one) for one in told] == [
            (
                "all",
                {
                    "read": {},
                    "write": {"write-content": {}, "write-properties": {}, "bind": {}, "unbind": {}},
                    "read-acl": {},
                    "write-acl": {},
                    "read-current-user-privilege-set": {},
                },
            )
        ]
        assert all(one.text for one in told.iter(f"{DAV}description"))


def test_the_own_home_is_writable(ada):
    write = {"write", "write-content", "write-properties", "bind", "unbind"}

    assert privileges_of(ada.propfind("/ada/", "current-user-privilege-set"), "/ada/") == READ | write


@pytest.mark.parametrize("path", ["/", "/sales/"])
def test_the_root_and_other_principals_can_only_be_read(ada, path):
    assert privileges_of(ada.propfind(path, "current-user-privilege-set"), path) == READ


def test_every_privilege_that_anybody_has_is_a_supported_one(ada, carla, organisation):
    organisation.grant("sales/leads", "user:carla", "manager")
    ada.put("/ada/contacts/a.vcf", card("a"))
    names = {
        one[0].tag
        for one in ada.propfind("/", "supported-privilege-set").prop("/", f"{DAV}supported-privilege-set").iter()
        if one.tag == f"{DAV}privilege"
    }

    for client, path in ((ada, "/ada/"), (ada, "/ada/contacts/"), (carla, "/carla/")):
        found = client.propfind(path, "current-user-privilege-set", depth="1")
        for href in found.hrefs:
            assert {f"{DAV}{one}" for one in privileges_of(found, href)} <= names


# -- RFC 5842 ----------------------------------------------------------------------------------------------------------


def test_a_book_has_one_id_wherever_it_is_mounted(ada, ben):
    ids = {
        client.propfind(path, "resource-id").prop(path, f"{DAV}resource-id").findtext(f"{DAV}href")
        for client, path in ((ada, LEADS), (ben, "/ben/sales~leads/"))
    }

    assert [uuid.UUID(one).urn for one in ids] == list(ids)
    assert statuses(ada.propfind("/ada/", "resource-id"), "/ada/")[f"{DAV}resource-id"] == "HTTP/1.1 404 Not Found"


# -- acl-principal-prop-set --------------------------------------------------------------------------------------------

PRINCIPALS = f"<acl-principal-prop-set {XMLNS}><prop><displayname/></prop></acl-principal-prop-set>"


def test_a_manager_is_told_of_the_principals_in_the_acl_each_once(ada, organisation):
    organisation.grant("ada/contacts", "user:carla", "manager")
    organisation.grant("ada/contacts", "group:sales", "contributor")
    organisation.grant("ada/contacts", "everyone", "viewer")
    organisation.grant("ada/contacts", "user:ada", "viewer")

    found = ada.request("REPORT", "/ada/contacts/", PRINCIPALS)

    assert found.status == 207
    assert {href: found.text(href, f"{DAV}displayname") for href in found.hrefs} == {
        "/ada/": "Ada",
        "/carla/": "Carla",
        "/sales/": "Sales",
    }
    assert len(found.xml.findall(f"{DAV}response")) == 3


def test_who_does_not_manage_a_book_gets_no_principals_of_its_acl(ada):
    answer = ada.request("REPORT", LEADS, PRINCIPALS)

    assert (answer.status, answer.conditions) == (403, ["need-privileges"])
    assert answer.xml.find(f".//{DAV}privilege")[0].tag == f"{DAV}read-acl"


@pytest.mark.parametrize("path", ["/", "/ada/", "/sales/", "/ada/contacts/a.vcf"])
def test_the_principals_of_an_acl_are_asked_on_books_only(ada, path):
    ada.put("/ada/contacts/a.vcf", card("a"))

    answer = ada.request("REPORT", path, PRINCIPALS)

    assert (answer.status, answer.conditions) == (403, ["supported-report"])


def test_the_merged_book_has_no_acl(application, organisation):
    mac = Client(application, "ada", user_agent="macOS/14 AddressBookCore/1")

    found = mac.propfind("/ada/all/", "acl", "acl-restrictions", "current-user-privilege-set", "resource-id")

    assert {name for name, status in statuses(found, "/ada/all/").items() if "404" in status} == {
        f"{DAV}acl",
        f"{DAV}acl-restrictions",
        f"{DAV}resource-id",
    }
    assert mac.request("REPORT", "/ada/all/", PRINCIPALS).conditions == ["supported-report"]

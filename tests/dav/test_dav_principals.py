"""People and groups as principals, and the reports that find them (RFC 3744, sections 4 and 9; RFC 3253, 3.8)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import people, principals, settings
from radicale_shared.dav import expand, principal_reports
from radicale_shared.dav.application import Application
from radicale_shared.dav.properties import PROPERTIES
from radicale_shared.principals import Findable
from tests.conftest import card, examples
from tests.core.organisations import make, plans
from tests.dav.conftest import CARDDAV, DAV, XMLNS, Client, write_configuration

CS = "{http://calendarserver.org/ns/}"


@pytest.fixture
def serving_to(database_url, tmp_path):
    """{who may be found: the server with this configuration}."""
    applications = {}
    for findable in Findable:
        path = write_configuration(tmp_path, database_url)
        text = path.read_text("utf-8").replace("[auth]\n", f"[auth]\nfind_people = {findable}\n")
        path.write_text(text, "utf-8")
        applications[findable] = Application(settings.load_configuration(str(path)))
    return applications


def hrefs_of(found, href, name):
    """The hrefs in a property."""
    return [one.text for one in found.prop(href, f"{DAV}{name}").iter(f"{DAV}href")]


def search(client, *searches, path="/", test="", prop="<displayname/>", extra="<apply-to-principal-collection-set/>"):
    """searches: (property, text), or (property, text, match-type)."""
    parts = ""
    for name, text, *kinds in searches:
        attributes = "".join(f' match-type="{kind}"' for kind in kinds)
        parts += f"<property-search><prop><{name}/></prop><match{attributes}>{text}</match></property-search>"
    attribute = f' test="{test}"' if test else ""
    return client.request(
        "REPORT",
        path,
        f"<principal-property-search {XMLNS}{attribute}>{parts}<prop>{prop}</prop>{extra}</principal-property-search>",
    )


def match(client, what, path="/", prop="<displayname/>"):
    return client.request("REPORT", path, f"<principal-match {XMLNS}>{what}<prop>{prop}</prop></principal-match>")


def expanded(client, path, inside, **headers):
    return client.request("REPORT", path, f"<expand-property {XMLNS}>{inside}</expand-property>", **headers)


# -- principals --------------------------------------------------------------------------------------------------------


def test_the_own_principal_tells_its_groups_and_has_no_members(ada):
    found = ada.propfind("/ada/", "group-membership", "group-member-set", "principal-URL", "alternate-URI-set")

    assert hrefs_of(found, "/ada/", "group-membership") == ["/sales/"]
    assert hrefs_of(found, "/ada/", "group-member-set") == []
    assert hrefs_of(found, "/ada/", "principal-URL") == ["/ada/"]
    assert list(found.prop("/ada/", f"{DAV}alternate-URI-set")) == []


def test_a_group_is_a_principal_with_a_name_and_without_a_home(ada):
    found = ada.propfind(
        "/sales/", "resourcetype", "displayname", "group-membership", "principal-URL", "C:addressbook-home-set"
    )

    assert [one.tag for one in found.prop("/sales/", f"{DAV}resourcetype")] == [f"{DAV}principal"]
    assert found.text("/sales/", f"{DAV}displayname") == "Sales"
    assert hrefs_of(found, "/sales/", "group-membership") == []
    assert hrefs_of(found, "/sales/", "principal-URL") == ["/sales/"]
    assert found.prop("/sales/", f"{CARDDAV}addressbook-home-set") is None


def test_the_members_of_a_group_are_told_to_who_manages_a_book_it_has_access_to(ada, carla, organisation):
    organisation.grant("sales/leads", "user:carla", "manager")

    assert hrefs_of(carla.propfind("/sales/", "group-member-set"), "/sales/", "group-member-set") == ["/ada/", "/ben/"]
    assert hrefs_of(ada.propfind("/sales/", "group-member-set"), "/sales/", "group-member-set") == ["/ada/"]


def test_the_groups_of_a_group_are_told_and_each_is_a_principal(ada, organisation):
    with organisation.db.write() as session:
        people.add_group(session, "Europe")
        people.add_member(session, "europe", "group:sales")

    assert hrefs_of(ada.propfind("/sales/", "group-membership"), "/sales/", "group-membership") == ["/europe/"]
    assert ada.propfind("/europe/", "displayname").text("/europe/", f"{DAV}displayname") == "Europe"


def test_an_email_address_is_told_of_oneself_and_of_whom_one_may_know(ada, carla, organisation):
    with organisation.db.write() as session:
        people.add_user(session, "dora", name="Dora", email="dora&co@example.org", password="doradora")
    organisation.grant("ada/contacts", "user:dora", "viewer")

    for client in (ada, Client(ada.application, "dora")):
        found = client.propfind("/dora/", "CS:email-address-set")
        told = found.prop("/dora/", f"{CS}email-address-set")
        assert [(one.tag, one.text) for one in told] == [(f"{CS}email-address", "dora&co@example.org")]
    assert carla.propfind("/dora/", "CS:email-address-set").status == 404
    assert ada.propfind("/ada/", "CS:email-address-set").prop("/ada/", f"{CS}email-address-set") is None


def test_only_principals_have_the_properties_of_principals(ada):
    ada.put("/ada/contacts/a.vcf", card("a"))
    names = ("group-membership", "group-member-set", "principal-URL", "alternate-URI-set", "CS:email-address-set")

    for path in ("/", "/ada/contacts/", "/ada/contacts/a.vcf"):
        assert len(ada.propfind(path, *names).responses[path].findall(f"{DAV}propstat")[1].find(f"{DAV}prop")) == 5


@pytest.mark.parametrize(
    ("findable", "known"),
    [("shared", ["ada", "sales"]), ("everyone", ["ada", "ben", "carla", "sales"]), ("nobody", ["ada", "sales"])],
)
def test_the_configuration_says_who_may_be_found(serving_to, organisation, findable, known):
    client = Client(serving_to[findable], "ada")

    assert search(client, ("displayname", "")).hrefs == [f"/{slug}/" for slug in known]
    assert [slug for slug in ("ada", "ben", "carla", "sales") if client.propfind(f"/{slug}/").status == 207] == known


@pytest.mark.parametrize(
    "method", ["OPTIONS", "GET", "HEAD", "PUT", "DELETE", "PROPFIND", "PROPPATCH", "MKCOL", "REPORT"]
)
@pytest.mark.parametrize("findable", ["shared", "nobody"])
def test_who_may_not_be_known_of_is_answered_as_who_is_not_there(serving_to, organisation, method, findable):
    client = Client(serving_to[findable], "carla")

    for body in ("", f"<expand-property {XMLNS}/>", f"<propfind {XMLNS}><allprop/></propfind>"):
        answers = [client.request(method, path, body) for path in ("/ada/", "/sales/", "/nobody-at-all/")]
        assert len({repr(answer) for answer in answers}) == 1


# -- principal-property-search -----------------------------------------------------------------------------------------


@pytest.fixture
def shared(organisation):
    """Carla manages the book of Sales; so she may know of everybody. Émile has an e-mail address."""
    organisation.grant("sales/leads", "user:carla", "manager")
    with organisation.db.write() as session:
        people.add_user(session, "emile", name="Émile ÅNGSTRÖM", email="Emile@Example.org", password="emileemile")
    organisation.grant("sales/leads", "user:emile", "viewer")
    return organisation


@pytest.mark.parametrize(
    ("searches", "test", "found"),
    [
        ([("displayname", "AD")], "", ["/ada/"]),
        ([("displayname", "a")], "", ["/ada/", "/carla/", "/sales/"]),
        ([("displayname", "émile ång")], "", ["/emile/"]),
        ([("displayname", "E\u0301MILE")], "", ["/emile/"]),
        ([("CS:email-address-set", "EXAMPLE")], "", ["/emile/"]),
        ([("CS:email-address-set", "")], "", ["/emile/"]),
        ([("displayname", "a"), ("displayname", "l")], "", ["/carla/", "/sales/"]),
        ([("displayname", "ada"), ("CS:email-address-set", "example")], "", []),
        ([("displayname", "ada"), ("CS:email-address-set", "example")], "allof", []),
        ([("displayname", "ada"), ("CS:email-address-set", "example")], "anyof", ["/ada/", "/emile/"]),
        ([("displayname", "a", "starts-with")], "", ["/ada/"]),
        ([("displayname", "a", "ends-with")], "", ["/ada/", "/carla/"]),
        ([("displayname", "sales", "equals")], "", ["/sales/"]),
        ([("displayname", "sale", "equals")], "", []),
        ([("getetag", "a")], "", []),
        ([("getetag", "")], "", []),
        ([("getetag", "a"), ("displayname", "ben")], "anyof", ["/ben/"]),
        ([("displayname", "%")], "", []),
        ([("displayname", "_")], "", []),
    ],
)
def test_a_search_finds_by_parts_of_names_and_addresses_without_regard_to_case(carla, shared, searches, test, found):
    answer = search(carla, *searches, test=test)

    assert answer.status == 207
    assert sorted(answer.hrefs) == sorted(found)


def test_several_properties_in_one_search_must_all_match(carla, shared):
    body = (
        f"<principal-property-search {XMLNS}><property-search><prop><displayname/><CS:email-address-set/></prop>"
        "<match>emil</match></property-search><prop><displayname/></prop></principal-property-search>"
    )

    assert carla.request("REPORT", "/", body).hrefs == []
    assert carla.request("REPORT", "/", body.replace("emil", "e")).hrefs == ["/emile/"]


def test_a_search_gives_the_properties_that_are_asked_for(carla, shared):
    found = search(carla, ("displayname", "ada"), ("displayname", "a"), prop="<displayname/><principal-URL/><getetag/>")

    assert found.text("/ada/", f"{DAV}displayname") == "Ada"
    assert hrefs_of(found, "/ada/", "principal-URL") == ["/ada/"]
    assert found.prop("/ada/", f"{DAV}getetag") is None


def test_the_own_principal_is_found_with_its_home(carla, shared):
    found = search(carla, ("displayname", "carla"), prop="<C:addressbook-home-set/>")

    assert found.prop("/carla/", f"{CARDDAV}addressbook-home-set").findtext(f"{DAV}href") == "/carla/"


def test_a_search_below_the_home_finds_oneself_and_where_principals_lie_everybody(carla, shared):
    assert search(carla, ("displayname", ""), path="/carla/", extra="").hrefs == ["/carla/"]
    assert len(search(carla, ("displayname", ""), path="/carla/").hrefs) == 5
    assert len(search(carla, ("displayname", ""), extra="").hrefs) == 5


@pytest.mark.parametrize(
    "limit", ["<limit><nresults>2</nresults></limit>", "<CS:limit><CS:nresults>2</CS:nresults></CS:limit>"]
)
def test_a_search_with_a_limit_gives_so_many_and_says_that_there_are_more(carla, shared, limit):
    found = search(carla, ("displayname", ""), extra=limit)

    assert len(found.hrefs) == 3
    assert found.status_of("/") == "HTTP/1.1 507 Insufficient Storage"
    assert search(carla, ("displayname", "ada"), extra=limit).hrefs == ["/ada/"]


def test_a_search_never_gives_more_than_its_own_limit(serving_to, organisation):
    with organisation.db.write() as session:
        for number in range(principal_reports.MOST_FOUND):
            people.add_group(session, f"Group {number}")

    found = search(Client(serving_to["everyone"], "ada"), ("displayname", ""), path="/.well-known/carddav")

    assert len(found.hrefs) == principal_reports.MOST_FOUND + 1
    assert found.status_of("/.well-known/carddav") == "HTTP/1.1 507 Insufficient Storage"


SEARCH = "<property-search><prop><displayname/></prop><match>a</match></property-search>"


@pytest.mark.parametrize(
    "inside",
    [
        "",
        "<prop/>",
        "<property-search/>",
        "<property-search><prop><displayname/></prop></property-search>",
        "<property-search><match>a</match></property-search>",
        "<property-search><prop/><match>a</match></property-search>",
        '<property-search><prop><displayname/></prop><match match-type="regexp">a</match></property-search>',
        SEARCH * (principal_reports.MOST_SEARCHES + 1),
        f"{SEARCH}<limit><nresults>-1</nresults></limit>",
        f"{SEARCH}<limit><nresults>many</nresults></limit>",
    ],
)
def test_a_search_that_asks_for_nothing_clear_is_a_bad_request(ada, inside):
    answer = ada.request("REPORT", "/", f"<principal-property-search {XMLNS}>{inside}</principal-property-search>")

    assert answer.status == 400


@pytest.mark.parametrize(
    "report",
    [
        f"<principal-property-search {XMLNS}>{SEARCH}</principal-property-search>",
        f"<principal-search-property-set {XMLNS}/>",
        f"<principal-match {XMLNS}><self/></principal-match>",
        f"<expand-property {XMLNS}/>",
    ],
)
@pytest.mark.parametrize(
    ("depth", "status"), [(None, {200, 207}), ("0", {200, 207}), ("1", {400}), ("infinity", {400})]
)
def test_the_reports_about_principals_are_asked_with_depth_0(ada, report, depth, status):
    assert ada.request("REPORT", "/", report, Depth=depth).status in status


def test_what_can_be_searched_is_told_in_words(ada):
    answer = ada.request("REPORT", "/", f"<principal-search-property-set {XMLNS}/>")

    assert (answer.status, answer.xml.tag) == (200, f"{DAV}principal-search-property-set")
    assert {(one.find(f"{DAV}prop")[0].tag, bool(one.findtext(f"{DAV}description"))) for one in answer.xml} == {
        (f"{DAV}displayname", True),
        (f"{CS}email-address-set", True),
    }


@pytest.mark.parametrize(
    "name", ["principal-property-search", "principal-search-property-set", "principal-match", "nonsense"]
)
@pytest.mark.parametrize("path", ["/ada/contacts/", "/sales/", "/ada/contacts/a.vcf"])
def test_a_report_is_refused_where_it_is_not_supported(ada, name, path):
    ada.put("/ada/contacts/a.vcf", card("a"))

    answer = ada.request("REPORT", path, f"<{name} {XMLNS}><self/>{SEARCH}</{name}>")

    assert (answer.status, answer.conditions) == (403, ["supported-report"])


@pytest.mark.parametrize(
    ("path", "count"), [("/", 4), ("/ada/", 5), ("/sales/", 1), ("/ada/contacts/", 4), ("/ada/contacts/a.vcf", 1)]
)
def test_every_report_that_is_told_is_answered(ada, path, count):
    ada.put("/ada/contacts/a.vcf", card("a"))
    told = ada.propfind(path, "supported-report-set").prop(path, f"{DAV}supported-report-set")
    names = [one[0].tag for one in told.iter(f"{DAV}report")]

    assert len(names) >= count
    for name in names:
        namespace, _, local = name[1:].partition("}")
        body = f'<R:{local} xmlns:R="{namespace}" {XMLNS}><self/>{SEARCH}<sync-token/></R:{local}>'
        answer = ada.request("REPORT", path, body)
        assert answer.status != 403 or answer.conditions != ["supported-report"]


# -- principal-match ---------------------------------------------------------------------------------------------------


def test_oneself_is_matched_with_all_groups(ada, organisation):
    with organisation.db.write() as session:
        people.add_group(session, "Europe")
        people.add_member(session, "europe", "group:sales")

    assert match(ada, "<self/>").hrefs == ["/ada/", "/europe/", "/sales/"]
    assert match(ada, "<self/>", "/ada/").hrefs == ["/ada/"]


def test_the_books_that_one_owns_oneself_or_by_a_group_are_matched_by_their_owner(ada, carla, organisation):
    organisation.grant("ada/contacts", "user:carla", "viewer")

    assert match(ada, "<principal-property><owner/></principal-property>").hrefs == [
        "/ada/",
        "/ada/contacts/",
        "/ada/sales~leads/",
    ]
    assert match(carla, "<principal-property><owner/></principal-property>").hrefs == ["/carla/", "/carla/contacts/"]


def test_principals_are_matched_by_a_property_that_names_oneself(ada):
    found = match(ada, "<principal-property><group-member-set/></principal-property>")

    assert found.hrefs == ["/sales/"]
    assert found.text("/sales/", f"{DAV}displayname") == "Sales"
    assert match(ada, "<principal-property><getetag/></principal-property>").hrefs == []
    assert match(ada, '<principal-property><x xmlns="urn:x"/></principal-property>').hrefs == []


def test_the_acl_of_a_book_matches_only_for_its_managers(carla, organisation):
    organisation.grant("sales/leads", "user:carla", "manager")
    acl = "<principal-property><acl/></principal-property>"
    assert match(carla, acl).hrefs == ["/carla/contacts/", "/carla/sales~leads/"]

    assert match(Client(carla.application, "ada"), acl).hrefs == ["/ada/contacts/"]


@pytest.mark.parametrize(
    "inside",
    [
        "",
        "<self/><principal-property><owner/></principal-property>",
        "<principal-property/>",
        "<principal-property><owner/><acl/></principal-property>",
    ],
)
def test_a_match_of_nothing_or_of_two_things_is_a_bad_request(ada, inside):
    assert match(ada, inside).status == 400


def test_who_signed_in_elsewhere_and_is_no_user_here_finds_nobody(database_url, tmp_path, organisation):
    path = write_configuration(tmp_path, database_url)
    ours = "type = radicale_shared.auth_plugin\ntrusted_proxies = 10.0.0.0/8"
    path.write_text(path.read_text("utf-8").replace(ours, "type = http_x_remote_user", 1), "utf-8")
    application = Application(settings.load_configuration(str(path)))
    stranger = Client(application, environ={"HTTP_X_REMOTE_USER": "stranger"})

    assert search(stranger, ("displayname", "")).hrefs == []
    assert match(stranger, "<self/>").hrefs == []
    assert match(stranger, "<principal-property><owner/></principal-property>").hrefs == []
    found = expanded(stranger, "/", prop("current-user-principal", NAME))
    assert inner(found, "current-user-principal")["/stranger/"].findtext(f"{DAV}status") == "HTTP/1.1 404 Not Found"


# -- expand-property ---------------------------------------------------------------------------------------------------

NAME = '<property name="displayname"/>'


def prop(name, inside="", namespace="DAV:"):
    return f'<property name="{name}" namespace="{namespace}">{inside}</property>'


def inner(found, *names):
    """The DAV:response elements inside a property, by href."""
    return {
        one.findtext(f"{DAV}href"): one for one in found.xml.iterfind(f"{DAV}response/.//{DAV}{names[0]}/{DAV}response")
    }


def test_the_groups_of_the_own_principal_are_described_in_one_answer(ada):
    found = expanded(ada, "/ada/", prop("displayname") + prop("group-membership", NAME))

    assert found.hrefs == ["/ada/"]
    assert found.text("/ada/", f"{DAV}displayname") == "Ada"
    groups = inner(found, "group-membership")
    assert {href: one.findtext(f".//{DAV}displayname") for href, one in groups.items()} == {"/sales/": "Sales"}


def test_what_is_not_expanded_stays_an_href(ada):
    found = expanded(ada, "/ada/contacts/", prop("owner") + prop("resource-id", NAME))

    assert hrefs_of(found, "/ada/contacts/", "owner") == ["/ada/"]
    assert hrefs_of(found, "/ada/contacts/", "resource-id")[0].startswith("urn:uuid:")


@pytest.mark.parametrize(
    "path", ["/", "/ada/", "/sales/", "/ada/contacts/", "/ada/sales~leads/", "/ada/contacts/a.vcf"]
)
def test_every_resource_answers_expand_property(ada, path):
    ada.put("/ada/contacts/a.vcf", card("a"))

    found = expanded(ada, path, prop("current-user-principal", NAME + prop("no-such-one")))

    described = inner(found, "current-user-principal")["/ada/"]
    assert found.hrefs[0] == path
    assert described.findtext(f".//{DAV}displayname") == "Ada"
    assert described.findtext(f"{DAV}propstat/{DAV}status") == "HTTP/1.1 200 OK"


def test_a_card_that_is_not_there_has_no_report(ada):
    assert expanded(ada, "/ada/contacts/none.vcf", NAME).status == 404


def test_an_expansion_goes_three_deep_and_no_deeper(ada):
    two = prop("group-membership", prop("group-member-set", NAME))
    found = expanded(ada, "/ada/", two)
    assert found.xml.findtext(f".//{DAV}group-member-set//{DAV}displayname") == "Ada"

    answer = expanded(ada, "/ada/", prop("current-user-principal", two))
    assert (answer.status, answer.conditions) == (403, ["number-of-matches-within-limits"])


def test_an_expansion_that_grows_too_far_is_refused(serving_to, organisation):
    many = [f"group{number}" for number in range(33)]
    with organisation.db.write() as session:
        for name in many:
            people.add_group(session, name)
        for group in many:
            for other in many:
                if other != group:
                    people.add_member(session, group, f"group:{other}")
    everyone = Client(serving_to["everyone"], "ada")
    one_deep, two_deep = prop("group-member-set", NAME), prop("group-member-set", prop("group-membership", NAME))

    assert len(inner(expanded(everyone, "/group0/", one_deep), "group-member-set")) == 32
    answer = expanded(everyone, "/group0/", two_deep)
    assert expand.MOST_EXPANDED < 32 + 32 * 32
    assert (answer.status, answer.conditions) == (403, ["number-of-matches-within-limits"])


@pytest.mark.parametrize(
    "inside",
    [
        "<property/>",
        prop(""),
        prop("a b"),
        prop("a&lt;b"),
        prop("1a"),
        prop("a:b"),
        prop("x", namespace="http://www.w3.org/2000/xmlns/"),
        prop("x" * 600),
        "".join(prop(f"x{number}") for number in range(201)),
        prop("owner", "".join(prop(f"x{number}") for number in range(201))),
    ],
)
def test_what_can_be_no_name_of_a_property_is_a_bad_request(ada, inside):
    assert expanded(ada, "/ada/", inside).status == 400


@pytest.mark.parametrize(
    ("name", "namespace", "told"),
    [
        ("x", "", "x"),
        ("x", "urn:a&amp;b&lt;", "{urn:a&b<}x"),
        ("é-1.b", "urn:x", "{urn:x}é-1.b"),
        ("lang", "http://www.w3.org/XML/1998/namespace", "{http://www.w3.org/XML/1998/namespace}lang"),
    ],
)
def test_unknown_properties_of_any_namespace_are_named_as_not_there(ada, name, namespace, told):
    found = expanded(ada, "/ada/", prop(name, namespace=namespace))

    assert [one.tag for one in found.responses["/ada/"].findall(f"{DAV}propstat")[1].find(f"{DAV}prop")] == [told]


def test_behind_a_proxy_hrefs_are_expanded_by_their_prefix(ada):
    ada.environ = {"HTTP_X_SCRIPT_NAME": "/contacts/", "REMOTE_ADDR": "10.0.0.1"}

    found = expanded(
        ada, "/contacts/ada/contacts/", prop("owner", NAME) + prop("principal-collection-set", prop("acl"))
    )

    assert inner(found, "owner")["/contacts/ada/"].findtext(f".//{DAV}displayname") == "Ada"
    assert list(inner(found, "principal-collection-set")) == ["/contacts/"]


def test_an_expansion_costs_the_same_few_statements_for_any_number_of_principals(carla, organisation, statements):
    organisation.grant("sales/leads", "user:carla", "manager")
    costs = []
    for number in (1, 20):
        with organisation.db.write() as session:
            for one in range(number):
                people.add_user(session, f"user{number}-{one}")
                people.add_member(session, "sales", f"user{number}-{one}")
        statements.clear()
        found = expanded(carla, "/sales/", prop("group-member-set", NAME + prop("group-membership", NAME)))
        costs.append(len(statements))

    assert len(inner(found, "group-member-set")) == 2 + 21
    assert costs[0] == costs[1]


# -- nobody is told of whom they may not know --------------------------------------------------------------------------

_ALL = "".join(f'<X:{name.rpartition("}")[2]} xmlns:X="{name[1:].partition("}")[0]}"/>' for name in sorted(PROPERTIES))


def searching(name, inside):
    """A search that finds all that have the property."""
    return (
        f"<principal-property-search {XMLNS}><property-search><prop><{name}/></prop><match/></property-search>{inside}"
        "</principal-property-search>"
    )


def questions(slugs, book_count):
    """(path, method, body) of all that could tell of somebody; the first of ``slugs`` asks."""
    everything = f"<prop>{_ALL}</prop>"
    propfind = f"<propfind {XMLNS}>{everything}</propfind>"
    email = prop("email-address-set", namespace=CS[1:-1])
    deep = prop("group-membership", prop("group-member-set", NAME + email))
    wide = prop("group-member-set", prop("group-membership", NAME + email))
    for path in ["/", *(f"/{slug}/" for slug in slugs)]:
        yield "PROPFIND", path, propfind
        yield "REPORT", path, f"<expand-property {XMLNS}>{deep}{wide}</expand-property>"
        for name in ("displayname", "CS:email-address-set"):
            yield "REPORT", path, searching(name, everything)
            yield "REPORT", path, searching(name, f"{everything}<apply-to-principal-collection-set/>")
        yield "REPORT", path, f"<principal-match {XMLNS}><self/>{everything}</principal-match>"
        for name in ("owner", "acl", "group-member-set", "group-membership"):
            named = f"<principal-property><{name}/></principal-property>"
            yield "REPORT", path, f"<principal-match {XMLNS}>{named}{everything}</principal-match>"
    of_book = "".join(prop(name, NAME + email) for name in ("owner", "acl", "current-user-principal"))
    for owner in slugs:
        for number in range(book_count):
            path = f"/{owner}/b{number}/" if owner == slugs[0] else f"/{slugs[0]}/{owner}~b{number}/"
            yield "PROPFIND", path, propfind
            yield "REPORT", path, f"<expand-property {XMLNS}>{of_book}</expand-property>"
            yield "REPORT", path, f"<acl-principal-prop-set {XMLNS}>{everything}</acl-principal-prop-set>"


@examples(25)
@given(plan=plans(), findable=st.sampled_from(Findable))
def test_no_report_or_property_ever_tells_of_somebody_the_user_may_not_know(serving_to, db, plan, findable):
    made = make(db, plan)
    user = min(set(range(plan.users)) - plan.disabled)
    client = Client(serving_to[findable], made.slugs[user])
    visible = {made.slugs[one] for one in plan.visible(user, findable)}
    told = set()
    slugs = [made.slugs[user], *(slug for slug in made.slugs if slug != made.slugs[user])]
    for method, path, body in questions(slugs, len(plan.books)):
        answer = client.request(method, path, body, Depth="0")
        text = answer.body.decode()
        # What was asked for comes back in the answer's own href; everything else is told.
        told |= set(re.findall(rf"{made.prefix}-[ug]\d", text.replace(f"<href>{path}</href>", "")))
        if path.strip("/") in made.slugs and path.strip("/") not in visible:
            absent = client.request(method, f"/{made.prefix}-x/", body, Depth="0")
            assert repr(answer) == repr(absent)

    assert told == visible
    with db.read() as session:
        known = principals.directory(session, made.slugs[user], findable).known
    assert {slug for slug in known if slug in made.slugs} == visible

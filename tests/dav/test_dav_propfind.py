"""PROPFIND: what it says, in which order, and what it costs."""

import xml.etree.ElementTree as ET

import pytest

from radicale_shared import books, people
from radicale_shared.dav.properties import PROPERTIES
from tests.conftest import BY, card
from tests.dav.conftest import CARDDAV, DAV, XMLNS

CS = "{http://calendarserver.org/ns/}"


def propstats(response):
    """[(status, names)] in order."""
    return [
        (one.findtext(f"{DAV}status"), [prop.tag for prop in one.find(f"{DAV}prop")])
        for one in response.findall(f"{DAV}propstat")
    ]


# -- cost --------------------------------------------------------------------------------------------------------------


def test_a_listing_costs_the_same_few_statements_for_any_number_of_cards(ada, organisation, statements):
    costs = []
    for number in (1, 30):
        for one in range(number):
            organisation.put("ada", "contacts", f"{one}.vcf", card(str(one)))
        statements.clear()
        listed = ada.propfind("/ada/contacts/", "getetag", "resourcetype", "getcontenttype", depth="1")
        costs.append(len(statements))
        assert len(listed.hrefs) == number + 1

    assert costs == [3, 3]


def test_a_home_costs_the_same_few_statements_for_any_number_of_books(ada, organisation, statements):
    statements.clear()
    ada.propfind("/ada/", "displayname", "sync-token", depth="1")
    before = len(statements)
    with organisation.db.write() as session:
        for number in range(10):
            books.add(session, people.user(session, "ada"), f"book{number}", by=BY)
    statements.clear()

    listed = ada.propfind("/ada/", "displayname", "sync-token", "CS:getctag", "current-user-privilege-set", depth="1")

    assert len(listed.hrefs) == 13
    assert len(statements) == before == 3


# -- answers -----------------------------------------------------------------------------------------------------------


def test_the_200_propstat_comes_first_with_the_status_line_that_thunderbird_reads(ada):
    found = ada.propfind("/ada/", "no-such-one", "displayname", "X-unknown", "getetag", depth="1")

    for response in found.responses.values():
        assert propstats(response) == [
            ("HTTP/1.1 200 OK", [f"{DAV}displayname"]),
            ("HTTP/1.1 404 Not Found", [f"{DAV}no-such-one", f"{DAV}X-unknown", f"{DAV}getetag"]),
        ]


def test_the_200_propstat_is_there_even_if_nothing_was_found(ada):
    found = ada.propfind("/ada/contacts/", "no-such-one")

    assert propstats(found.responses["/ada/contacts/"])[0] == ("HTTP/1.1 200 OK", [])


ODD_NAMES = [
    '<x xmlns="http://example.org/"/>',
    '<x xmlns=""/>',
    '<a:x xmlns:a="DAV:"/>',
    '<x xmlns="a&amp;b&lt;c&quot;d&apos;e"/>',
    '<x xmlns=" spaces &#9; and&#10;breaks "/>',
    '<ns0:ä.ö-ü xmlns:ns0="http://example.org/😀"/>',
    "<xml:lang/>",
    '<a:b xmlns:a="http://www.w3.org/1999/xhtml"/>',
    '<_ xmlns="x"/>',
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_unknown_properties_of_any_namespace_come_back_by_the_very_same_name(ada, name):
    body = f'<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:"><D:prop>{name}</D:prop></D:propfind>'
    asked = ET.fromstring(body)[0][0].tag

    found = ada.request("PROPFIND", "/ada/contacts/", body)

    assert found.status == 207
    assert propstats(found.responses["/ada/contacts/"])[1] == ("HTTP/1.1 404 Not Found", [asked])


def test_the_same_property_asked_twice_is_told_once(ada):
    found = ada.propfind("/ada/contacts/", "displayname", "displayname")

    assert propstats(found.responses["/ada/contacts/"]) == [("HTTP/1.1 200 OK", [f"{DAV}displayname"])]


@pytest.mark.parametrize("body", ["", f"<propfind {XMLNS}><allprop/></propfind>"])
def test_allprop_and_no_body_give_the_cheap_properties_and_no_404s(ada, body):
    ada.put("/ada/contacts/a.vcf", card("a"))

    found = ada.request("PROPFIND", "/ada/contacts/", body, Depth="1")

    of_book, of_card = (propstats(one) for one in found.responses.values())
    assert [status for status, _ in of_book + of_card] == ["HTTP/1.1 200 OK"] * 2
    assert {f"{DAV}displayname", f"{DAV}resourcetype", f"{DAV}creationdate"} <= set(of_book[0][1])
    assert {f"{DAV}getetag", f"{DAV}getcontenttype", f"{DAV}getcontentlength", f"{DAV}getlastmodified"} <= set(
        of_card[0][1]
    )
    assert f"{CARDDAV}address-data" not in of_card[0][1]


def test_allprop_includes_what_is_named_besides(ada):
    body = f"<propfind {XMLNS}><allprop/><include><sync-token/><nonsense/></include></propfind>"

    found = ada.request("PROPFIND", "/ada/contacts/", body)

    assert found.text("/ada/contacts/", f"{DAV}sync-token").startswith("radicale-shared:/sync/")


def test_propname_gives_names_without_values(ada):
    found = ada.request("PROPFIND", "/ada/contacts/", f"<propfind {XMLNS}><propname/></propfind>")

    (status, names), *rest = propstats(found.responses["/ada/contacts/"])
    assert (status, rest) == ("HTTP/1.1 200 OK", [])
    assert set(names) < set(PROPERTIES)
    assert all(
        not len(one) and not one.text for one in found.responses["/ada/contacts/"].find(f"{DAV}propstat/{DAV}prop")
    )


@pytest.mark.parametrize("depth", [None, "0", " 0 "])
def test_no_depth_is_depth_0(ada, depth):
    ada.put("/ada/contacts/a.vcf", card("a"))

    assert ada.request("PROPFIND", "/ada/contacts/", "", Depth=depth).hrefs == ["/ada/contacts/"]


def test_a_book_without_its_slash_is_the_book_by_its_proper_address(ada):
    assert ada.propfind("/ada/contacts", "displayname").hrefs == ["/ada/contacts/"]


def test_a_card_tells_its_own_properties(ada):
    data = card("a", "Jörg")
    etag = ada.put("/ada/contacts/a.vcf", data).etag

    found = ada.propfind("/ada/contacts/a.vcf", "getetag", "getcontentlength", "resourcetype", "owner", depth="1")

    href = "/ada/contacts/a.vcf"
    assert found.hrefs == [href]
    assert found.text(href, f"{DAV}getetag") == etag
    assert found.text(href, f"{DAV}getcontentlength") == str(len(data))
    assert list(found.prop(href, f"{DAV}resourcetype")) == []
    assert found.prop(href, f"{DAV}owner").findtext(f"{DAV}href") == "/ada/"


def test_a_card_that_is_not_there_is_404(ada):
    ada.put("/ada/contacts/a.vcf", card("a"))
    ada.delete("/ada/contacts/a.vcf")

    for name in ("a.vcf", "never.vcf"):
        assert ada.propfind(f"/ada/contacts/{name}", "getetag").status == 404


def test_a_book_tells_what_clients_decide_by(ada):
    names = (
        "displayname",
        "sync-token",
        "CS:getctag",
        "C:max-resource-size",
        "C:supported-address-data",
        "supported-report-set",
    )
    found = ada.propfind("/ada/sales~leads/", *names, "owner")

    href = "/ada/sales~leads/"
    assert found.text(href, f"{DAV}displayname") == "Leads"
    assert found.text(href, f"{DAV}sync-token") == found.text(href, f"{CS}getctag")
    assert int(found.text(href, f"{CARDDAV}max-resource-size")) > 1_000_000
    assert [one.attrib for one in found.prop(href, f"{CARDDAV}supported-address-data")] == [
        {"content-type": "text/vcard", "version": "3.0"},
        {"content-type": "text/vcard", "version": "4.0"},
    ]
    reports = {one.tag for one in found.prop(href, f"{DAV}supported-report-set").iterfind(f".//{DAV}report/*")}
    assert {f"{CARDDAV}addressbook-multiget", f"{DAV}sync-collection"} <= reports
    assert found.prop(href, f"{DAV}owner").findtext(f"{DAV}href") == "/sales/"


@pytest.mark.parametrize(
    ("role", "privileges"),
    [
        ("viewer", set()),
        ("contributor", {"bind"}),
        ("editor", {"bind", "write-content"}),
        ("curator", {"bind", "write-content", "unbind", "write"}),
        ("manager", {"bind", "write-content", "unbind", "write", "read-acl", "write-acl"}),
        ("owner", {"all", "bind", "write-content", "unbind", "write", "read-acl", "write-acl", "write-properties"}),
    ],
)
def test_privileges_are_what_may_really_be_done_and_write_only_all_of_it(carla, organisation, role, privileges):
    organisation.grant("sales/leads", "user:carla", role)
    carla.put("/carla/sales~leads/a.vcf", card("a"))

    found = carla.propfind("/carla/sales~leads/", "current-user-privilege-set", depth="1")

    for href in found.hrefs:
        told = found.prop(href, f"{DAV}current-user-privilege-set")
        # Who may change a card may set properties of it; those of the book are its owner's.
        of_card = {"write-properties"} if href.endswith(".vcf") and "write-content" in privileges else set()
        assert {one[0].tag.removeprefix(DAV) for one in told} == privileges | of_card | {
            "read",
            "read-current-user-privilege-set",
        }


def test_names_with_markup_are_written_as_text(ada, organisation):
    name = "A & B <c> \"d\" 'e' ]]> 😀"
    with organisation.db.write() as session:
        book = books.find(session, "ada/contacts")
        books.set_properties(session, book, by=BY, name=name, description=name, color="#<>")

    found = ada.propfind("/ada/contacts/", "displayname", "C:addressbook-description")

    assert found.text("/ada/contacts/", f"{DAV}displayname") == name
    assert found.text("/ada/contacts/", f"{CARDDAV}addressbook-description") == name


def test_depth_infinity_is_refused_with_its_precondition(ada):
    answer = ada.propfind("/ada/", "displayname", depth="infinity")

    assert (answer.status, answer.conditions) == (403, ["propfind-finite-depth"])


def test_behind_a_proxy_every_address_has_the_prefix(ada):
    ada.environ = {"HTTP_X_SCRIPT_NAME": "/contacts/", "REMOTE_ADDR": "10.0.0.1"}
    ada.put("/contacts/ada/contacts/a b.vcf", card("a"))

    listed = ada.propfind("/contacts/ada/contacts/", "owner", depth="1")
    home = ada.propfind("/contacts/", "current-user-principal")

    assert listed.hrefs == ["/contacts/ada/contacts/", "/contacts/ada/contacts/a%20b.vcf"]
    assert home.prop("/contacts/", f"{DAV}current-user-principal").findtext(f"{DAV}href") == "/contacts/ada/"
    fetched = ada.multiget("/contacts/ada/contacts/", "/contacts/ada/contacts/a%20b.vcf")
    assert fetched.text("/contacts/ada/contacts/a%20b.vcf", f"{CARDDAV}address-data").startswith("BEGIN")

"""What of a card is given in reports, and in which version (RFC 6352, section 10.4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import vcard
from radicale_shared.dav.address_data import Form
from tests.conftest import card
from tests.dav.conftest import CARDDAV, XMLNS, Client

BOOK = "/ada/contacts/"
URL = f"{BOOK}a.vcf"
LINES = (
    "item1.EMAIL;TYPE=INTERNET,HOME:ada@example.org",
    "item1.X-ABLabel:Mill",
    "item2.ADR:;;Am Teich 4;Zdar;;591 01;",
    "item2.X-ABADR:cz",
    "item2.TITLE:Countess",
    "EMAIL;TYPE=WORK:ada@example.com",
    "PHOTO;ENCODING=b;TYPE=JPEG:" + "QUJD" * 30,
    'NOTE;X-A="b:c":one\\, two & <three>',
)


def props(*names, novalue=()):
    parts = [f'<C:prop name="{name}"/>' for name in names] + [
        f'<C:prop name="{one}" novalue="yes"/>' for one in novalue
    ]
    return "".join(parts)


def by_multiget(client, inside, attributes, path):
    return client.request(
        "REPORT",
        path,
        f"<C:addressbook-multiget {XMLNS}><prop><C:address-data{attributes}>{inside}</C:address-data></prop>"
        f"<href>{URL if path == BOOK else path + 'a.vcf'}</href></C:addressbook-multiget>",
    )


def by_query(client, inside, attributes, path):
    return client.request(
        "REPORT",
        path,
        f"<C:addressbook-query {XMLNS}><prop><C:address-data{attributes}>{inside}</C:address-data></prop>"
        '<C:filter><C:prop-filter name="FN"/></C:filter></C:addressbook-query>',
        Depth="1",
    )


def by_listing(client, inside, attributes, path):
    return client.request(
        "REPORT",
        path,
        f"<C:addressbook-query {XMLNS}><prop><C:address-data{attributes}>{inside}</C:address-data></prop>"
        "<C:filter/></C:addressbook-query>",
        Depth="1",
    )


def by_sync(client, inside, attributes, path):
    return client.request(
        "REPORT",
        path,
        f"<sync-collection {XMLNS}><sync-token/><sync-level>1</sync-level>"
        f"<prop><C:address-data{attributes}>{inside}</C:address-data></prop></sync-collection>",
    )


REPORTS = [by_multiget, by_query, by_listing, by_sync]


@pytest.fixture(params=REPORTS, ids=lambda report: report.__name__)
def report(request):
    """Each report that gives cards: its answer, or the lines of the one card in it."""
    return request.param


def given_lines(answer):
    (href,) = answer.hrefs
    data = answer.text(href, f"{CARDDAV}address-data")
    lines = [vcard.unfold(line.raw).decode() for line in vcard.Card.parse(data.encode()).lines]
    assert data.startswith("BEGIN:VCARD\r\n")
    assert data.endswith("END:VCARD\r\n")
    return lines


@pytest.fixture
def stored(ada):
    assert ada.put(URL, card("a", "Ada", *LINES)).status == 201


def asked(client, report, inside="", attributes="", path=BOOK):
    return given_lines(report(client, inside, attributes, path))


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("inside", ["", "<C:allprop/>", f"<C:allprop/>{props('FN')}"])
def test_a_card_is_given_whole_unless_properties_are_named(ada, report, inside):
    assert asked(ada, report, inside) == [
        *("VERSION:3.0", "UID:a", "FN:Ada", "N:Ada;;;;"),
        *LINES,
    ]


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("inside", "lines"),
    [
        (props("UID", "FN"), ["VERSION:3.0", "UID:a", "FN:Ada"]),
        (props("fn"), ["VERSION:3.0", "FN:Ada"]),
        (props("VERSION"), ["VERSION:3.0"]),
        (props("X-NOBODY"), ["VERSION:3.0"]),
        (props("BEGIN", "END"), ["VERSION:3.0"]),
        (props("NOTE"), ["VERSION:3.0", LINES[7]]),
        (props("EMAIL"), ["VERSION:3.0", LINES[0], LINES[1], LINES[5]]),  # the label with what it is the label of
        (props("item1.email"), ["VERSION:3.0", LINES[0], LINES[1]]),
        (props("item9.EMAIL"), ["VERSION:3.0"]),
        (props("ADR"), ["VERSION:3.0", LINES[2], LINES[3]]),
        (props("TITLE"), ["VERSION:3.0", LINES[3], LINES[4]]),
        (props("X-ABLabel"), ["VERSION:3.0", LINES[1]]),
        (props(novalue=["PHOTO", "NOTE"]), ["VERSION:3.0", "PHOTO;ENCODING=b;TYPE=JPEG:", 'NOTE;X-A="b:c":']),
        (props(novalue=["EMAIL"]), ["VERSION:3.0", "item1.EMAIL;TYPE=INTERNET,HOME:", "EMAIL;TYPE=WORK:"]),
        (props("item1.EMAIL", novalue=["EMAIL"]), ["VERSION:3.0", LINES[0], LINES[1], "EMAIL;TYPE=WORK:"]),
        (props("FN", novalue=["FN"]), ["VERSION:3.0", "FN:Ada"]),
    ],
)
def test_the_properties_that_are_named_are_given_and_version(ada, report, inside, lines):
    assert asked(ada, report, inside) == lines


def test_properties_are_named_in_the_version_that_is_given(ada, report):
    data = card("a", "Ada", "KIND:group", "TEL;VALUE=uri:tel:+49-30-1", version="4.0")
    assert ada.put(URL, data).status == 201
    names = props("KIND", "X-ADDRESSBOOKSERVER-KIND", "TEL")

    old, new = (asked(ada, report, names, f' version="{version}"') for version in ("3.0", "4.0"))

    assert [old[0], new[0]] == ["VERSION:3.0", "VERSION:4.0"]
    assert [line.partition(":")[0].partition(";")[0] for line in old[1:]] == ["X-ADDRESSBOOKSERVER-KIND", "TEL"]
    assert new[1:] == ["KIND:group", "TEL;VALUE=uri:tel:+49-30-1"]


def test_the_merged_book_gives_parts_of_cards_too(application, ada, stored):
    mac = Client(application, "ada", user_agent="macOS/14.4.1 (23E224) AddressBookCore/2668.400.13")

    for one in (by_query, by_listing, by_sync):
        assert asked(mac, one, props("FN"), path="/ada/all/") == ["VERSION:3.0", "FN:Ada"]


@pytest.mark.parametrize(
    ("attributes", "status"),
    [
        ("", 207),
        (' content-type="text/vcard"', 207),
        (' content-type="text/vcard; charset=utf-8" version="4.0"', 207),
        (' content-type="TEXT/X-VCARD"', 207),
        (' version="2.1"', 403),
        (' content-type="text/calendar"', 403),
    ],
)
@pytest.mark.usefixtures("stored")
def test_only_vcards_of_3_and_4_are_given(ada, report, attributes, status):
    answer = report(ada, "", attributes, BOOK)

    assert answer.status == status
    assert status == 207 or answer.conditions == ["supported-address-data"]


@pytest.mark.parametrize("inside", ["<C:prop/>", '<C:prop name=""/>', '<C:prop name="item1."/>', props(*["FN"] * 201)])
def test_a_part_has_a_name_and_there_are_some_hundred_at_most(ada, report, inside):
    assert report(ada, inside, "", BOOK).status == 400


@given(
    st.lists(st.sampled_from(["TEL:1", "a.TEL:2", "A.X-ABLabel:x", "NOTE;QUOTED-PRINTABLE:=41=", "broken", "AGENT:"]))
)
def test_any_part_of_any_card_is_a_card(lines):
    data = card("a", "Ada", *lines)

    for values in ((True, True, True), (False, False, False), (True, False, True)):
        form = Form("3.0", dict(zip((("", "TEL"), ("", "NOTE"), ("", "AGENT")), values, strict=True)))
        part = vcard.Card.parse(form.of(data, "3.0"))
        assert {line.name for line in part.lines} <= {"VERSION", "TEL", "X-ABLABEL", "NOTE", "AGENT"}
        assert len(part.all("TEL")) == len(vcard.Card.parse(data).all("TEL"))

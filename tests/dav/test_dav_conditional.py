"""GET, HEAD and conditions (RFC 9110, sections 8.8, 12.5, 13 and 14)."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.dav import conditions
from tests.conftest import card
from tests.dav.conftest import CARDDAV, DAV, Client, token_of

BOOK = "/ada/contacts/"
URL = "/ada/contacts/a.vcf"
CURRENT, OTHER = "current", '"0123456789abcdef"'
LONG_AGO = "Sun, 06 Nov 1994 08:49:37 GMT"
FAR_AHEAD = "Fri, 06 Nov 2093 08:49:37 GMT"


# -- dates (section 5.6.7) ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [LONG_AGO, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"])
def test_a_date_has_one_of_three_forms(text):
    assert conditions.http_date(text) == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [None, "", "yesterday", "0", "Sun, 06 Nov 1994", "Sun, 99 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 99999 08:49:37 GMT",
     "Sun, 06 Nov 1994 08:49:37 +9999999999", "Sun, 06 Nov 1994 08:49:37 GMT" + " " * 100, "1994-11-06T08:49:37Z"],
)  # fmt: skip
def test_what_is_no_date_is_none(text):
    assert conditions.http_date(text) is None


@given(text=st.text(st.characters(max_codepoint=255)))
def test_no_text_whatever_breaks_the_reading_of_dates(text):
    found = conditions.http_date(text)
    assert found is None or found.tzinfo is not None


@given(seconds=st.floats(0, 250_000_000_000))
def test_every_date_that_is_sent_reads_back(seconds):
    moment = datetime.fromtimestamp(seconds, UTC)
    assert conditions.http_date(format_datetime(moment, usegmt=True)) == moment.replace(microsecond=0)


# -- conditions of a read (section 13.2.2) -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If_Match": CURRENT}, 200),
        ({"If_Match": "*"}, 200),
        ({"If_Match": f"{OTHER}, {CURRENT}"}, 200),
        ({"If_Match": OTHER}, 412),
        ({"If_Match": f"W/{CURRENT}"}, 412),
        ({"If_Match": ""}, 412),
        ({"If_Match": CURRENT, "If_None_Match": CURRENT}, 304),
        ({"If_Match": OTHER, "If_None_Match": CURRENT}, 412),
        ({"If_Match": CURRENT, "If_Unmodified_Since": LONG_AGO}, 200),
        ({"If_Unmodified_Since": LONG_AGO}, 412),
        ({"If_Unmodified_Since": FAR_AHEAD}, 200),
        ({"If_Unmodified_Since": "soon"}, 200),
        ({"If_Unmodified_Since": LONG_AGO, "If_None_Match": CURRENT}, 412),
        ({"If_None_Match": CURRENT}, 304),
        ({"If_None_Match": f"W/{CURRENT}"}, 304),
        ({"If_None_Match": f'{OTHER}, "x", W/{CURRENT}'}, 304),
        ({"If_None_Match": "*"}, 304),
        ({"If_None_Match": OTHER}, 200),
        ({"If_None_Match": OTHER, "If_Modified_Since": FAR_AHEAD}, 200),
        ({"If_None_Match": CURRENT, "If_Modified_Since": LONG_AGO}, 304),
        ({"If_Modified_Since": LONG_AGO}, 200),
        ({"If_Modified_Since": FAR_AHEAD}, 304),
        ({"If_Modified_Since": "soon"}, 200),
    ],
)
def test_conditions_of_a_read_are_taken_in_the_order_of_rfc_9110(ada, method, headers, status):
    etag = ada.put(URL, card("a")).etag
    headers = {name: value.replace(CURRENT, etag) for name, value in headers.items()}
    before = token_of(ada, BOOK)

    answer = ada.request(method, URL, **headers)

    assert answer.status == status
    assert answer.body == (card("a") if (method, status) == ("GET", 200) else answer.body)
    if status == 304:
        assert (answer.body, answer.etag) == (b"", etag)
        assert "Content-Type" not in answer.headers
        assert "Content-Length" not in answer.headers
    # A read that fails is no refused write.
    assert token_of(ada, BOOK) == before


def test_the_date_of_the_last_change_itself_is_unchanged_since(ada):
    ada.put(URL, card("a"))
    changed = ada.get(URL).headers["Last-Modified"]
    before = format_datetime(parsedate_to_datetime(changed) - timedelta(seconds=1), usegmt=True)

    assert ada.get(URL, If_Modified_Since=changed).status == 304
    assert ada.get(URL, If_Modified_Since=before).status == 200
    assert ada.get(URL, If_Unmodified_Since=changed).status == 200
    assert ada.get(URL, If_Unmodified_Since=before).status == 412


@pytest.mark.parametrize("headers", [{"If_Match": "*"}, {"If_Match": OTHER}, {"If_None_Match": "*"}])
@pytest.mark.parametrize("path", [f"{BOOK}none.vcf", "/carla/contacts/a.vcf", "/none/"])
def test_what_is_not_there_is_404_under_any_condition(ada, path, headers):
    assert ada.get(path, **headers).status == 404


def test_what_has_no_etag_meets_no_named_one(ada):
    for path in ("/", "/ada/", BOOK):
        assert ada.get(path, If_Match=OTHER).status == 412
        assert ada.get(path, If_Match="*").status == 200
        assert ada.get(path, If_None_Match="*").status == 304
        assert ada.get(path, If_None_Match=OTHER).status == 200
        assert ada.get(path, If_Modified_Since=FAR_AHEAD).status == 200


def test_a_condition_does_not_turn_a_refusal_into_something_else(ada):
    leads = "/ada/sales~leads/"

    assert ada.get(leads, If_None_Match="*").status == 403
    assert ada.get(leads, If_Match=OTHER).status == 403


# -- dates in conditions of a write (section 13.1.4) -------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize(
    ("headers", "is_done"),
    [
        ({"If_Unmodified_Since": LONG_AGO}, False),
        ({"If_Unmodified_Since": FAR_AHEAD}, True),
        ({"If_Unmodified_Since": "soon"}, True),
        ({"If_Unmodified_Since": LONG_AGO, "If_Match": "*"}, True),
        ({"If_Modified_Since": FAR_AHEAD}, True),
    ],
)
def test_a_write_can_name_a_date_after_which_nothing_may_have_changed(ada, method, headers, is_done):
    ada.put(URL, card("a"))

    answer = ada.request(method, URL, card("a", "Two") if method == "PUT" else b"", **headers)

    assert answer.status == (204 if is_done else 412)
    assert (ada.get(URL).body == card("a")) == (not is_done)


def test_a_card_that_is_not_there_has_no_date(ada):
    assert ada.put(URL, card("a"), If_Unmodified_Since=LONG_AGO).status == 201
    assert ada.delete(f"{BOOK}none.vcf", If_Unmodified_Since=LONG_AGO).status == 404


def test_who_may_not_write_is_told_that_whatever_the_date(ada, carla, organisation):
    ada.put("/ada/sales~leads/a.vcf", card("a"))
    organisation.grant("sales/leads", "user:carla", "contributor")

    for method in ("PUT", "DELETE"):
        answer = carla.request(method, "/carla/sales~leads/a.vcf", card("a", "Two"), If_Unmodified_Since=LONG_AGO)
        assert (answer.status, answer.conditions) == (403, ["need-privileges"])


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"If_Match": OTHER}, 412), ({"If_None_Match": "*"}, 412), ({"If_Match": "*"}, 204), ({}, 204)],
)
def test_a_whole_book_goes_only_if_its_conditions_hold(ada, headers, status):
    ada.mkcol("/ada/more/")

    assert ada.delete("/ada/more/", **headers).status == status
    assert ada.propfind("/ada/more/", "displayname").status == (207 if status == 412 else 404)


# -- HEAD, Range, versions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", [None, "*/*", *(f"text/vcard;version={one}" for one in ("3.0", "4.0", "2.1"))])
@pytest.mark.parametrize("path", [URL, BOOK, "/", "/ada/", "/ada/sales~leads/", f"{BOOK}none.vcf", "/ada/all/"])
def test_head_has_the_headers_of_get_to_the_length_and_no_body(ada, path, accept):
    ada.put(URL, card("a", "Jörg", "NOTE:ö"))

    got, head = ada.request("GET", path, Accept=accept), ada.request("HEAD", path, Accept=accept)

    assert (head.status, head.headers, head.body) == (got.status, got.headers, b"")
    if "Content-Length" in got.headers:
        assert got.headers["Content-Length"] == str(len(got.body))


def test_a_converted_card_keeps_the_etag_of_the_stored_one_and_has_a_length_of_its_own(ada):
    etag = ada.put(URL, card("a")).etag

    stored, converted = ada.get(URL), ada.get(URL, Accept="text/vcard; version=4.0")

    assert b"VERSION:4.0" in converted.body
    assert stored.etag == converted.etag == etag
    assert converted.headers["Content-Length"] == str(len(converted.body))
    assert "Accept" in converted.headers["Vary"].split(", ")
    assert ada.get(URL, Accept="text/vcard; version=4.0", If_None_Match=etag).status == 304
    assert ada.put(URL, card("a", "Two"), If_Match=converted.etag).status == 204


def test_an_unacceptable_version_is_406_under_any_condition(ada):
    etag = ada.put(URL, card("a")).etag

    answer = ada.get(URL, Accept="text/vcard; version=2.1", If_None_Match=etag)

    assert (answer.status, answer.conditions) == (406, ["supported-address-data-conversion"])


@pytest.mark.parametrize("range_", ["bytes=0-3", "bytes=-5", "bytes=100000-", "bytes=0-1,3-4", "cards=1-2", "x"])
def test_ranges_are_not_served_and_not_promised(ada, range_):
    etag = ada.put(URL, card("a")).etag

    answer = ada.get(URL, Range=range_, If_Range=etag)

    assert (answer.status, answer.body) == (200, card("a"))
    assert "Content-Range" not in answer.headers
    assert answer.headers.get("Accept-Ranges", "none") == "none"


def test_the_etag_is_the_same_in_header_property_and_report(ada):
    etag = ada.put(URL, card("a")).etag

    assert ada.get(URL).etag == etag
    assert ada.request("HEAD", URL).etag == etag
    assert ada.propfind(URL, "getetag").text(URL, f"{DAV}getetag") == etag
    assert ada.multiget(BOOK, URL).text(URL, f"{DAV}getetag") == etag
    assert ada.sync(BOOK).text(URL, f"{DAV}getetag") == etag


def test_the_date_is_the_same_in_header_and_property(ada):
    ada.put(URL, card("a"))

    assert (
        ada.propfind(URL, "getlastmodified").text(URL, f"{DAV}getlastmodified") == ada.get(URL).headers["Last-Modified"]
    )


def test_a_card_of_the_merged_book_is_read_by_the_same_rules(ada, application):
    ada.put(URL, card("a"))
    mac = Client(application, "ada", user_agent="macOS/14.4 AddressBookCore/2498.4.1")
    url = mac.propfind("/ada/all/", "getetag", depth="1").hrefs[1]
    etag = mac.get(url).etag

    assert mac.get(url, If_None_Match=etag).status == 304
    assert mac.get(url, If_Match=OTHER).status == 412
    assert b"VERSION:4.0" in mac.get(url, Accept="text/vcard;version=4.0").body
    assert mac.request("HEAD", url).headers == mac.get(url).headers
    assert mac.multiget("/ada/all/", url).text(url, f"{CARDDAV}address-data").encode() == card("a")

"""What a client would rather have: short answers, the stored card at once (RFC 7240, RFC 8144)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.dav import prefer
from tests.conftest import card
from tests.dav.conftest import CARDDAV, DAV, XMLNS, Client, token_of

BOOK = "/ada/contacts/"
URL = "/ada/contacts/a.vcf"
MINIMAL = {"Prefer": "return=minimal"}
REPRESENTATION = {"Prefer": "return=representation"}
MAC = "macOS/14.4 AddressBookCore/2498.4.1"
SOME = f"<propfind {XMLNS}><prop><displayname/><CS:nothing/></prop></propfind>"
NONE = f"<propfind {XMLNS}><prop><CS:nothing/></prop></propfind>"


def statuses(answer, href):
    """The status lines of the propstats of a response."""
    return [one.findtext(f"{DAV}status") for one in answer.responses[href].findall(f"{DAV}propstat")]


# -- the header (RFC 7240, section 2) ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "asked"),
    [
        ("return=minimal", {prefer.MINIMAL}),
        (" Return = MINIMAL ", {prefer.MINIMAL}),
        ('return="minimal"', {prefer.MINIMAL}),
        (r'return="min\imal"', {prefer.MINIMAL}),
        ("return=representation, return=minimal", {prefer.REPRESENTATION}),
        ("return=nothing, return=minimal", set()),
        ("return", set()),
        ('return=""', set()),
        ("wait=10, depth-noroot;a=b, return=minimal; foo=\"x,y\"", {prefer.MINIMAL, prefer.NO_ROOT}),
        ("foo=\"return=minimal, depth-noroot\"", set()),
        ("respond-async,,, ,depth-noroot", {prefer.NO_ROOT}),
        ("=x, ;y, \"z\", return=minimal", {prefer.MINIMAL}),
        ("returns=minimal", set()),
        ("", set()),
    ],
)  # fmt: skip
def test_the_first_of_each_preference_counts_and_unknown_ones_are_ignored(header, asked):
    assert prefer.parsed(header, None).asked == asked


@given(header=st.text(st.characters(max_codepoint=255)))
def test_no_header_whatever_breaks_the_parser(header):
    assert prefer.parsed(header, header).asked <= {prefer.MINIMAL, prefer.REPRESENTATION, prefer.NO_ROOT}


_token = st.text("abcxyz-", min_size=1)


@given(
    others=st.lists(st.tuples(_token, st.text(st.characters(codec="ascii", categories=["L", "N", "P"])))),
    place=st.integers(0, 20),
)
def test_a_preference_is_found_among_any_others(others, place):
    parts = [
        f'x{name}="{value.replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34))}"' for name, value in others
    ]
    parts.insert(place, "return=minimal")
    header = ", ".join(parts)
    assert prefer.parsed(header[: prefer._MOST], None).minimal == (header.index("return=minimal") <= prefer._MOST - 14)


@pytest.mark.parametrize(
    ("headers", "is_minimal", "applied"),
    [
        ({"Brief": "t"}, True, None),
        ({"Brief": "f"}, False, None),
        ({"Brief": "t", "Prefer": "return=minimal"}, True, "return=minimal"),
        ({"Brief": "t", "Prefer": "wait=1"}, False, None),
    ],
)
def test_brief_says_the_same_where_there_is_no_prefer(ada, headers, is_minimal, applied):
    answer = ada.request("PROPFIND", BOOK, SOME, **headers)

    assert (len(statuses(answer, BOOK)) == 1) == is_minimal
    assert answer.headers.get("Preference-Applied") == applied


# -- minimal (RFC 8144, section 2) -------------------------------------------------------------------------------------


def test_a_minimal_propfind_leaves_out_what_is_not_there(ada):
    whole, answer = ada.request("PROPFIND", BOOK, SOME), ada.request("PROPFIND", BOOK, SOME, **MINIMAL)

    assert statuses(whole, BOOK) == ["HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found"]
    assert statuses(answer, BOOK) == ["HTTP/1.1 200 OK"]
    assert answer.text(BOOK, f"{DAV}displayname") == whole.text(BOOK, f"{DAV}displayname")
    assert answer.headers["Preference-Applied"] == "return=minimal"
    assert "Preference-Applied" not in whole.headers


def test_where_nothing_is_found_an_empty_propstat_with_200_stays(ada):
    answer = ada.request("PROPFIND", BOOK, NONE, **MINIMAL)

    assert statuses(answer, BOOK) == ["HTTP/1.1 200 OK"]
    assert list(answer.responses[BOOK].find(f"{DAV}propstat/{DAV}prop")) == []


@pytest.mark.parametrize("report", ["sync-collection", "addressbook-multiget"])
def test_a_minimal_report_leaves_out_what_is_not_there_and_keeps_what_is_gone(ada, report):
    ada.put(URL, card("a"))
    token = token_of(ada, BOOK)
    ada.put(f"{BOOK}b.vcf", card("b"))
    ada.delete(URL)
    if report == "sync-collection":
        body = f"<sync-collection {XMLNS}><sync-token>{token}</sync-token><sync-level>1</sync-level>"
    else:
        body = f"<C:addressbook-multiget {XMLNS}><href>{URL}</href><href>{BOOK}b.vcf</href>"
    body += f"<prop><getetag/><CS:nothing/></prop></{'C:' if report[0] == 'a' else ''}{report}>"

    answer = ada.request("REPORT", BOOK, body, **MINIMAL)

    assert (answer.status, answer.headers["Preference-Applied"]) == (207, "return=minimal")
    assert statuses(answer, f"{BOOK}b.vcf") == ["HTTP/1.1 200 OK"]
    assert answer.status_of(URL) == "HTTP/1.1 404 Not Found"


def patch_of(prop):
    return f"<propertyupdate {XMLNS}><set><prop>{prop}</prop></set></propertyupdate>"


def test_a_minimal_proppatch_that_succeeds_is_answered_with_nothing(ada):
    answer = ada.request("PROPPATCH", BOOK, patch_of("<displayname>New</displayname>"), **MINIMAL)

    assert (answer.status, answer.body, answer.headers["Preference-Applied"]) == (200, b"", "return=minimal")
    assert ada.propfind(BOOK, "displayname").text(BOOK, f"{DAV}displayname") == "New"


def test_a_minimal_proppatch_that_fails_still_says_why(ada):
    answer = ada.request("PROPPATCH", BOOK, patch_of("<displayname>New</displayname><getetag>x</getetag>"), **MINIMAL)

    assert (answer.status, "Preference-Applied" in answer.headers) == (207, False)
    assert len(statuses(answer, BOOK)) == 2


def test_a_minimal_mkcol_that_succeeds_is_answered_with_nothing(ada):
    body = f"<mkcol {XMLNS}><set><prop><resourcetype><collection/><C:addressbook/></resourcetype></prop></set></mkcol>"

    answer = ada.request("MKCOL", "/ada/more/", body, **MINIMAL)

    assert (answer.status, answer.body, answer.headers["Preference-Applied"]) == (201, b"", "return=minimal")


# -- representation (RFC 8144, section 3) ------------------------------------------------------------------------------


def test_a_put_brings_the_stored_card_back_if_that_is_preferred(ada):
    first = ada.put(URL, card("a"), **REPRESENTATION)
    second = ada.put(URL, card("a", "Two"), **REPRESENTATION)
    again = ada.put(URL, card("a", "Two"), **REPRESENTATION)

    assert [(one.status, one.body) for one in (first, second, again)] == [
        (201, card("a")),
        (200, card("a", "Two")),
        (200, card("a", "Two")),
    ]
    got = ada.get(URL)
    for name in ("ETag", "Content-Type", "Content-Length", "Last-Modified"):
        assert second.headers[name] == got.headers[name]
    assert second.headers["Content-Location"] == URL
    assert second.headers["Preference-Applied"] == "return=representation"


def test_what_was_stored_instead_of_what_was_sent_comes_with_its_etag(ada):
    data = card("a", "A", "NOTE:x").replace(b"NOTE:x", "NOTE:J\u00f6rg".encode().replace(b"\xc3\xb6", b"\xc3\r\n \xb6"))

    answer = ada.put(URL, data, **REPRESENTATION)

    assert answer.body != data
    assert (answer.body, answer.etag) == (ada.get(URL).body, ada.get(URL).etag)


def test_the_card_comes_back_in_the_version_that_was_sent_or_is_accepted(ada):
    ada.put(URL, card("a", version="4.0"))

    sent = ada.put(URL, card("a", "Two"), **REPRESENTATION)
    accepted = ada.put(URL, card("a", "Three"), Accept="text/vcard;version=4.0", **REPRESENTATION)
    none = ada.put(URL, card("a", "Four"), Accept="text/vcard;version=2.1", **REPRESENTATION)

    assert b"VERSION:3.0" in sent.body
    assert b"FN:Two" in sent.body
    assert b"VERSION:4.0" in accepted.body
    assert b"FN:Three" in accepted.body
    assert (none.status, none.body, "Preference-Applied" in none.headers) == (204, b"", False)
    assert b"FN:Four" in ada.get(URL).body


def test_a_put_without_the_preference_has_no_body(ada):
    for headers in ({}, MINIMAL, {"Prefer": "wait=1"}):
        answer = ada.put(URL, card("a"), **headers)
        assert (answer.status in {201, 204}, answer.body) == (True, b"")
        assert "Content-Location" not in answer.headers


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_failed_condition_brings_the_card_as_it_is_if_that_is_preferred(ada, method):
    etag = ada.put(URL, card("a")).etag
    ada.put(URL, card("a", "Newer"), If_Match=etag)

    answer = ada.request(method, URL, card("a", "Mine"), If_Match=etag, **REPRESENTATION)

    assert (answer.status, answer.body) == (412, card("a", "Newer"))
    assert answer.headers["Content-Location"] == URL
    assert answer.headers["Preference-Applied"] == "return=representation"
    assert answer.etag == ada.get(URL).etag
    assert ada.put(URL, card("a", "Mine"), If_Match=answer.etag).status == 204


def test_a_failed_condition_without_a_card_or_the_preference_is_an_error_as_ever(ada):
    missing = ada.put(URL, card("a"), If_Match='"x"', **REPRESENTATION)
    ada.put(URL, card("a"))
    plain = ada.put(URL, card("a"), If_Match='"x"')

    for answer in (missing, plain):
        assert answer.status == 412
        assert answer.xml.tag == f"{DAV}error"


def test_a_card_of_a_book_one_may_not_read_is_not_shown_by_a_failed_condition(ada, carla, organisation):
    ada.put("/ada/sales~leads/a.vcf", card("a"))

    hidden = carla.put("/carla/sales~leads/a.vcf", card("a"), If_None_Match="*", **REPRESENTATION)

    assert hidden.status == 404
    assert b"VCARD" not in hidden.body


def test_a_card_of_the_merged_book_comes_back_with_the_url_it_has_there(ada, application):
    ada.put(URL, card("a"))
    mac = Client(application, "ada", user_agent=MAC)
    url = next(href for href in mac.propfind("/ada/all/", "getetag", depth="1").hrefs if href.endswith("a.vcf"))

    stored = mac.put(url, card("a", "Two"), **REPRESENTATION)
    new = mac.put("/ada/all/b.vcf", card("b"), **REPRESENTATION)

    assert (stored.status, stored.headers["Content-Location"]) == (200, url)
    assert new.status == 201
    assert new.headers["Content-Location"] == new.headers["Location"]
    assert mac.get(new.headers["Location"]).body == new.body == card("b")


# -- depth-noroot (RFC 8144, section 4) --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/ada/", BOOK, "/ada/sales~leads/"])
def test_the_resource_that_was_asked_is_left_out_if_that_is_preferred(ada, path):
    ada.put(URL, card("a"))
    whole = ada.request("PROPFIND", path, SOME, Depth="1").hrefs

    answer = ada.request("PROPFIND", path, SOME, Depth="1", Prefer="depth-noroot, return=minimal")

    assert answer.hrefs == whole[1:]
    assert answer.headers["Preference-Applied"] == "return=minimal, depth-noroot"


def test_with_depth_0_it_is_no_preference_and_a_missing_resource_is_still_missing(ada):
    answer = ada.request("PROPFIND", BOOK, SOME, Depth="0", Prefer="depth-noroot")

    assert answer.hrefs == [BOOK]
    assert "Preference-Applied" not in answer.headers
    assert ada.request("PROPFIND", "/ada/none/", SOME, Depth="1", Prefer="depth-noroot").status == 404


# -- caches ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", sorted(prefer.METHODS))
def test_every_answer_that_a_preference_may_change_says_so(ada, method):
    assert {"Accept", "Authorization", "Prefer", "Brief"} <= set(ada.request(method, BOOK).headers["Vary"].split(", "))


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_an_answer_that_no_preference_changes_does_not_vary_by_it(ada, method):
    ada.put(URL, card("a"))

    plain, preferring = ada.request(method, URL), ada.request(method, URL, **MINIMAL)

    assert plain == preferring
    assert plain.headers["Vary"] == "Accept, Authorization"


def test_address_data_is_whole_in_a_minimal_report(ada):
    ada.put(URL, card("a"))
    body = f"<C:addressbook-multiget {XMLNS}><prop><C:address-data/></prop><href>{URL}</href></C:addressbook-multiget>"

    assert ada.request("REPORT", BOOK, body, **MINIMAL).text(URL, f"{CARDDAV}address-data").encode() == card("a")

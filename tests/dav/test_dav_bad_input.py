"""Bad input of every kind: a clear 4xx with the right precondition, the book unchanged, never a 500.

Made-up input is ``test_dav_fuzz``'s.
"""

import base64
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.dav import xml
from tests.conftest import card, examples
from tests.dav.conftest import XMLNS, Client, token_of
from tests.dav.fuzz_http import rubbish

BOOK = "/ada/contacts/"
URL = f"{BOOK}a.vcf"
MEGABYTE = 1024 * 1024


@pytest.fixture
def unchanged(ada, caplog):
    """The book is as it was, and nothing went wrong inside."""
    ada.put(f"{BOOK}kept.vcf", card("kept"))
    before = token_of(ada, BOOK), ada.get(BOOK).body
    yield
    assert (token_of(Client(ada.application, "ada", user_agent="another"), BOOK), ada.get(BOOK).body) == before
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def assert_clear(answer, status, *conditions):
    assert (answer.status, answer.conditions) == (status, list(conditions)), answer.body
    assert answer.headers["Content-Type"] == "application/xml; charset=utf-8"
    assert b"Traceback" not in answer.body
    assert b".py" not in answer.body


# -- PUT ---------------------------------------------------------------------------------------------------------------

BAD_CARDS = {
    "nothing": (b"", "valid-address-data"),
    "blanks": (b"\r\n \r\n", "valid-address-data"),
    "text": (b"hello", "valid-address-data"),
    "html": (b"<html></html>", "valid-address-data"),
    "no END": (card("a").replace(b"END:VCARD\r\n", b""), "valid-address-data"),
    "truncated": (card("a")[:40], "valid-address-data"),
    "no BEGIN": (card("a").replace(b"BEGIN:VCARD\r\n", b""), "valid-address-data"),
    "two cards": (card("a") + card("b"), "valid-address-data"),
    "a card in a card": (card("a", "A", "BEGIN:VCARD", "END:VCARD"), "valid-address-data"),
    "END twice": (card("a") + b"END:VCARD\r\n", "valid-address-data"),
    "no UID": (card("a").replace(b"UID:a\r\n", b""), "valid-address-data"),
    "empty UID": (card(""), "valid-address-data"),
    "two UIDs": (card("a", "A", "UID:b"), "valid-address-data"),
    "endless UID": (card("a" * 100_000), "valid-address-data"),
    "NUL": (card("a", "A", "NOTE:x\x00y"), "valid-address-data"),
    "NULs": (b"\x00" * 1000, "valid-address-data"),
    "escape character": (card("a", "A", "NOTE:\x1b[31m"), "valid-address-data"),
    "not for XML": (card("a", "A", "NOTE:\ufffe"), "valid-address-data"),
    "latin-1": (card("a", "J\u00f6rg").decode().encode("latin-1"), "valid-address-data"),
    "UTF-16": (card("a").decode().encode("utf-16"), "valid-address-data"),
    "UTF-32": (card("a").decode().encode("utf-32"), "valid-address-data"),
    "a surrogate": (card("a").replace(b"FN:A", b"FN:\xed\xa0\x80"), "valid-address-data"),
    "overlong UTF-8": (card("a").replace(b"FN:A", b"FN:\xc0\xaf"), "valid-address-data"),
    "half a character": (card("a").replace(b"FN:A\r\n", b"FN:\xc3\r\n"), "valid-address-data"),
    "gzip": (b"\x1f\x8b\x08" + b"\x00" * 100, "valid-address-data"),
    "calendar": (
        b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:a\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        "valid-address-data",
    ),
    "2.1": (card("a", version="2.1"), "supported-address-data"),
    "5.0": (card("a", version="5.0"), "supported-address-data"),
    "no version": (card("a").replace(b"VERSION:3.0\r\n", b""), "supported-address-data"),
    "odd version": (card("a", version="\u0661 <&>" * 50), "supported-address-data"),
    "20 MB": (card("a", "A", "NOTE:" + "x" * (20 * MEGABYTE)), "max-resource-size"),
    "20 MB of lines": (card("a", "A", *["TEL:1"] * (3 * MEGABYTE)), "max-resource-size"),
}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(("data", "condition"), BAD_CARDS.values(), ids=BAD_CARDS.keys())
def test_what_is_no_card_is_refused_and_named(ada, data, condition):
    assert_clear(ada.put(URL, data), 403, condition)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("charset", ["latin-1", "utf-16", '"iso-8859-1"', "nonsense", "utf-8; charset=latin-1"])
def test_another_charset_than_utf_8_is_refused(ada, charset):
    answer = ada.request("PUT", URL, card("a"), Content_Type=f"text/vcard; charset={charset}")

    assert_clear(answer, 403, "valid-address-data")


@pytest.mark.usefixtures("unchanged")
def test_a_uid_in_use_is_409(ada):
    assert_clear(ada.put(URL, card("kept")), 409, "no-uid-conflict")
    assert_clear(ada.put(f"{BOOK}kept.vcf", card("other")), 409, "no-uid-conflict")


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", ["/", "/ada/", BOOK, "/ada/contacts", "/.well-known/carddav", "/ada/sales~leads/"])
def test_put_on_a_collection_is_405(ada, path):
    answer = ada.put(path, card("a"))

    assert_clear(answer, 405)
    assert "PUT" not in answer.headers["Allow"].split(", ")


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", ["/ada/none/a.vcf", "/ben/contacts/a.vcf", "/x/y/z", f"{URL}/b.vcf", "/a/b/c/d/e/f"])
def test_put_where_no_book_is_is_404(ada, path):
    assert_clear(ada.put(path, card("a")), 404)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("value", ["bytes 0-10/100", "", "nonsense"])
def test_a_part_of_a_card_is_400(ada, value):
    assert_clear(ada.put(URL, card("a"), Content_Range=value), 400)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("length", ["1000", "999999999999", "x", "-1", "1.5", "²", "9" * 5000, "+5", " 5"])
def test_a_body_that_is_not_as_long_as_it_says_is_refused(ada, length):
    answer = ada.put(URL, card("a"), Content_Length=length)

    assert answer.status in (400, 403)
    assert answer.status == 400 or answer.conditions == ["max-resource-size"]


@pytest.mark.usefixtures("unchanged")
def test_a_shorter_length_cuts_the_card_which_is_refused(ada):
    assert_clear(ada.put(URL, card("a"), Content_Length="10"), 403, "valid-address-data")
    assert_clear(ada.put(URL, card("a"), Content_Length="0"), 403, "valid-address-data")


def test_a_body_in_chunks_without_a_length_is_read_to_its_end(ada):
    for length in (None, ""):
        assert ada.put(URL, card("a", f"A {length}"), Content_Length=length).status in (201, 204)
        assert ada.get(URL).body == card("a", f"A {length}")


@pytest.mark.usefixtures("unchanged")
def test_a_body_in_chunks_that_is_too_large_is_refused(ada):
    assert_clear(
        ada.put(URL, card("a", "A", "NOTE:" + "x" * (20 * MEGABYTE)), Content_Length=None), 403, "max-resource-size"
    )


@pytest.mark.usefixtures("unchanged")
def test_a_connection_that_breaks_in_the_body_changes_nothing(ada):
    class Broken:
        def read(self, size=-1):
            return b""

    ada.environ = {"wsgi.input": Broken()}
    assert_clear(ada.put(URL, card("a")), 400)
    ada.environ = {}


# -- paths -------------------------------------------------------------------------------------------------------------

BAD_PATHS = {
    "dots": b"/ada/contacts/../contacts/kept.vcf",
    "dots at the end": b"/ada/contacts/..",
    "one dot": b"/ada/./contacts/kept.vcf",
    "double slash": b"/ada//contacts/kept.vcf",
    "double slash in front": b"//ada/contacts/kept.vcf",
    "double slash behind": b"/ada/contacts//",
    "NUL": b"/ada/contacts/kept.vcf\x00",
    "control": b"/ada/contacts/a\x1fb",
    "line break": b"/ada/contacts/a\r\nX-Injected: 1",
    "DEL": b"/ada/contacts/\x7f",
    "not UTF-8": b"/ada/contacts/\xff\xfe",
    "overlong slash": b"/ada/contacts/\xc0\xaf",
    "overlong dots": b"/ada/contacts/\xc0\xae\xc0\xae",
    "a surrogate": b"/ada/contacts/\xed\xa0\x80",
    "C1 control": "/ada/contacts/\x85".encode(),
    "not for XML": "/ada/contacts/\ufffe".encode(),
    "endless": b"/ada/contacts/" + b"x" * 100_000,
    "deep": b"/ada/contacts" + b"/x" * 10_000,
}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", BAD_PATHS.values(), ids=BAD_PATHS.keys())
def test_path_tricks_are_refused_by_every_method(ada, path):
    for method in ("GET", "PUT", "DELETE", "PROPFIND", "PROPPATCH", "MKCOL", "REPORT", "OPTIONS"):
        body = card("a") if method == "PUT" else b""
        answer = ada.request(method, path, body)
        if method == "OPTIONS" and answer.status == 200:
            continue  # of a card that could be
        assert 400 <= answer.status < 500, method
        assert "X-Injected" not in answer.headers


@pytest.mark.usefixtures("unchanged")
def test_an_encoded_trick_is_just_a_name_once_decoded(ada):
    # What a server hands over is decoded once; "%2e%2e" that is still there is four characters of a name.
    assert ada.get(f"{BOOK}%2e%2e").status == 404
    assert ada.get(f"{BOOK}%2fkept.vcf").status == 404
    assert ada.get(f"{BOOK}kept.vcf%00").status == 404


# -- methods, reports, headers -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "method", ["PATCH", "TRACE", "CONNECT", "LOCK", "SEARCH", "MKCALENDAR", "ACL", "X", "", "G\u00ebT"]
)
def test_an_unknown_method_is_405_and_told_what_there_is(ada, method):
    for path in (URL, BOOK, "/", "/none/"):
        answer = ada.request(method, path, card("a"))
        assert_clear(answer, 405)
        assert "GET" in answer.headers["Allow"]


REPORTS = [
    f'<c:calendar-query xmlns:c="urn:ietf:params:xml:ns:caldav" {XMLNS}/>',
    f'<c:calendar-multiget xmlns:c="urn:ietf:params:xml:ns:caldav" {XMLNS}/>',
    f"<version-tree {XMLNS}/>",
    f"<propfind {XMLNS}><allprop/></propfind>",
    "<nonsense/>",
    '<sync-collection xmlns="urn:other"/>',
]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("body", REPORTS)
def test_an_unknown_report_is_refused_and_named(ada, body):
    assert_clear(ada.request("REPORT", BOOK, body), 403, "supported-report")


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("depth", ["x", "2", "-1", "0,1", "1,noroot", "\xff", "0" * 10_000])
def test_a_bad_depth_is_400(ada, depth):
    assert_clear(ada.request("PROPFIND", BOOK, "", Depth=depth), 400)


ODD_HEADERS = ["", "x" * 100_000, ",,,,", '"', '"' * 1001, "W/", 'W/"', "\xff\xfe", '"a" "b"', "*, *", "bytes=0-1"]


@pytest.mark.parametrize(
    "name", ["If_Match", "If_None_Match", "User_Agent", "X_Forwarded_For", "Accept", "Range", "Prefer"]
)
def test_an_odd_or_huge_header_never_breaks_a_request(ada, name):
    for value in ODD_HEADERS:
        assert ada.put(URL, card("a"), **{name: value}).status in (201, 204, 412), value
        assert ada.get(URL, **{name: value}).status in (200, 304, 404), value
        assert ada.request("PROPFIND", BOOK, Depth="1", **{name: value}).status == 207, value


# -- XML ---------------------------------------------------------------------------------------------------------------

ENTITIES = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol"}">' for n in range(10))
BOMBS = {
    "billion laughs": f"<!DOCTYPE x [{ENTITIES}]><propfind {XMLNS}><prop>&l9;</prop></propfind>",
    "quadratic": f'<!DOCTYPE x [<!ENTITY a "{"a" * 100_000}">]><propfind {XMLNS}>{"&a;" * 1000}</propfind>',
    "external entity": f'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><propfind {XMLNS}>&a;</propfind>',
    "external DTD": f'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><propfind {XMLNS}/>',
    "parameter entity": '<!DOCTYPE x [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]><x/>',
    "DTD alone": f"<!DOCTYPE propfind><propfind {XMLNS}><allprop/></propfind>",
}
BAD_XML = {
    "text": "hello",
    "open": f"<propfind {XMLNS}>",
    "crossed": "<a><b></a></b>",
    "two roots": "<a/><b/>",
    "unbound prefix": "<D:propfind/>",
    "NUL": "<a>\x00</a>",
    "control": "<a>\x01</a>",
    "bad reference": "<a>&#0;</a>",
    "unknown entity": "<a>&nbsp;</a>",
    "binary": b"\x00\x01\x02\xff",
    "not UTF-8": b"<a>\xff</a>",
    "unknown encoding": '<?xml version="1.0" encoding="nonsense"?><a/>',
    "odd encoding": '<?xml version="1.0" encoding="shift_jis"?><a/>',
    "cut UTF-16": "<a/>".encode("utf-16")[:-1],
    "deep": "<a>" * 10_000 + "</a>" * 10_000,
    "wide": "<a>" + "<b/>" * 600_000 + "</a>",
    "another root": '<x xmlns="DAV:"/>',
}
XML_METHODS = ["PROPFIND", "PROPPATCH", "REPORT", "MKCOL"]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("body", BOMBS.values(), ids=BOMBS.keys())
def test_document_types_and_entities_are_refused_unread(ada, body):
    for method in XML_METHODS:
        answer = ada.request(method, "/ada/new/" if method == "MKCOL" else BOOK, body)
        assert_clear(answer, 403, "no-external-entities")


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("body", BAD_XML.values(), ids=BAD_XML.keys())
def test_what_is_no_xml_or_too_much_of_it_is_a_clear_4xx(ada, monkeypatch, body):
    monkeypatch.setattr(xml, "MOST_ELEMENTS", 50_000)
    for method in XML_METHODS:
        answer = ada.request(method, "/ada/new/" if method == "MKCOL" else BOOK, body)
        assert answer.status == 400 or (answer.status, answer.conditions) == (403, ["supported-report"]), (
            method,
            answer.body,
        )
        assert b"Traceback" not in answer.body


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("length", ["17000000", None])
def test_an_xml_body_above_16_mb_is_413(ada, length):
    body = b"<a>" + b"x" * 17_000_000 + b"</a>"

    for method in XML_METHODS:
        assert_clear(ada.request(method, "/ada/new/" if method == "MKCOL" else BOOK, body, Content_Length=length), 413)


def test_xml_in_utf_16_is_xml(ada):
    body = f'<?xml version="1.0" encoding="utf-16"?><propfind {XMLNS}><prop><displayname/></prop></propfind>'

    assert ada.request("PROPFIND", BOOK, body.encode("utf-16")).hrefs == [BOOK]


# -- signing in --------------------------------------------------------------------------------------------------------


@examples(80)
@given(authorization=rubbish | st.binary(max_size=30).map(lambda pair: "Basic " + base64.b64encode(pair).decode()))
def test_no_authorization_whatever_is_a_500(application, organisation, authorization):
    answer = Client(application).request("PROPFIND", "/", Authorization=authorization)

    assert answer.status == 401

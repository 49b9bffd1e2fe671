"""Storing and fetching cards: the very bytes, ETags, odd names, conditions."""

import os
import random
from pathlib import Path

import pytest

from radicale_shared import books, guard_rules
from radicale_shared.vcard import Card, build_line, split_cards
from tests.conftest import BY, card
from tests.dav.conftest import CARDDAV, DAV, href_of, token_of

BOOK = "/ada/contacts/"
URL = "/ada/contacts/a.vcf"
REPOSITORY = Path(__file__).parent.parent.parent
OWN = REPOSITORY / "tests" / "corpus"
REAL = Path(os.environ.get("RADICALE_SHARED_CARDS") or REPOSITORY / ".." / "shared" / "vcards")

ODD_NAMES = {
    "urn": "urn:uuid:1.vcf",
    "comma": "a,b.vcf",
    "apostrophe": "it's.vcf",
    "spaces": " two  spaces .vcf",
    "emoji": "😀.vcf",
    "200 characters": "x" * 196 + ".vcf",
    "200 emoji": "😀" * 200,
    "percent": "100%25.vcf",
    "plus": "a+b.vcf",
    "question mark": "what?.vcf",
    "hash": "#1.vcf",
    "markup": '<&">.vcf',
    "semicolon": "a;b=c.vcf",
    "decomposed": "a\u0301.vcf",
    "no ending": "card",
    "tilde": "~a~",
    "backslash": "a\\b",
    "brackets": "[a](b){c}",
    "dots": "...",
}


# -- bytes -------------------------------------------------------------------------------------------------------------


def cards_of(folder):
    """Every single card of vCard 3.0 and 4.0 below a folder, with a UID added where there is none."""
    for path in sorted(folder.rglob("*.vcf")):
        for piece in split_cards(path.read_bytes()):
            found = Card.parse(piece) if piece.lstrip()[:5].upper() == b"BEGIN" else None
            if found and found.version in ("3.0", "4.0"):
                yield (found if found.uid else found.append(build_line("UID", "added"))).serialise()


@pytest.mark.parametrize("folder", [OWN, REAL], ids=["own", "real"])
def test_every_card_comes_back_byte_for_byte_from_get_and_from_multiget(ada, organisation, folder):
    bodies = list(cards_of(folder))
    if not bodies:
        pytest.skip(f"no cards below {folder}; name a folder of cards in RADICALE_SHARED_CARDS")
    with organisation.db.write() as session:
        book = books.find(session, "ada/contacts")
        guard_rules.set_rule(session, book, "", cards=None, percent=None, off=True, by=BY)
    for data in bodies:
        answer = ada.put(URL, data)
        # A card whose folds cut characters is no UTF-8: it is folded anew, which a missing ETag says.
        whole = Card.parse(data).with_whole_characters().serialise()

        assert (answer.status, "ETag" in answer.headers) == (201, whole == data), answer.body
        assert ada.get(URL).body == whole
        assert ada.multiget(BOOK, URL).text(URL, f"{CARDDAV}address-data").encode() == whole
        ada.delete(URL)


@pytest.mark.parametrize(
    "data",
    [
        card("a").replace(b"\r\n", b"\n"),
        card("a").replace(b"\r\n", b"\r"),
        card("a", "A", "NOTE:1\r\n  2\n\t3", "X:4\r 5"),
        b"\xef\xbb\xbf\r\n" + card("a") + b"\r\n\r\n",
        card("a", "A", "NOTE:\t\x7f\x85\u2028\ufffd😀 ]]> &amp; <x> \r"),
        card("a").rstrip(),
        card("a", "A", "no line at all", ":", ";:", "X-A;B=C:", version="4.0"),
        card("a", "A", "PHOTO;ENCODING=b:" + "QUJD" * 50_000),
    ],
    ids=["LF", "CR", "mixed", "BOM", "odd characters", "no last end", "odd lines", "large"],
)
def test_odd_bytes_come_back_as_they_were_sent(ada, data):
    etag = ada.put(URL, data).etag

    fetched, synced = ada.multiget(BOOK, URL), ada.sync(BOOK, data=True)
    answer = ada.get(URL)
    assert (answer.status, answer.body, answer.etag) == (200, data, etag)
    assert answer.headers["Content-Type"] == "text/vcard; charset=utf-8"
    assert answer.headers["Content-Length"] == str(len(data))
    for found in (fetched, synced):
        assert found.text(URL, f"{CARDDAV}address-data").encode() == data
        assert found.text(URL, f"{DAV}getetag") == etag


def test_a_card_whose_folds_cut_characters_is_folded_anew_and_answered_without_an_etag(ada):
    data = card("a", "A", "NOTE:x").replace(b"NOTE:x", "NOTE:J\u00f6rg".encode().replace(b"\xc3\xb6", b"\xc3\r\n \xb6"))

    answer = ada.put(URL, data)

    assert (answer.status, "ETag" in answer.headers) == (201, False)
    assert Card.parse(ada.get(URL).body).text("NOTE") == "Jörg"
    assert ada.multiget(BOOK, URL).text(URL, f"{CARDDAV}address-data")


def test_head_is_get_without_the_body(ada):
    ada.put(URL, card("a"))

    head, got = ada.request("HEAD", URL), ada.get(URL)

    assert (head.status, head.body, head.headers) == (200, b"", got.headers)


def test_the_content_type_that_a_client_writes_does_not_matter(ada):
    for number, kind in enumerate(
        ("text/x-vcard", "text/plain", "application/octet-stream", "text/vcard;charset=UTF8", "x", None)
    ):
        assert ada.request("PUT", f"{BOOK}{number}", card(str(number)), Content_Type=kind).status == 201


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES.keys())
def test_every_legal_name_works_in_every_request(ada, name):
    path, href = BOOK + name, href_of("ada", "contacts", name)
    token = token_of(ada, BOOK)

    assert ada.put(path, card("a")).status == 201
    assert ada.get(path).body == card("a")
    assert ada.propfind(path, "getetag").hrefs == [href]
    assert ada.propfind(BOOK, "getetag", depth="1").hrefs == [BOOK, href]
    assert ada.sync(BOOK, token).hrefs == [href]
    assert ada.multiget(BOOK, href).text(href, f"{CARDDAV}address-data").encode() == card("a")
    assert ada.put(path, card("a", "Two")).status == 204
    assert ada.delete(path).status == 204
    assert ada.sync(BOOK, token).status_of(href) == "HTTP/1.1 404 Not Found"


@pytest.mark.parametrize(
    "href", [URL, "/ada/contacts/%61.vcf", "http://localhost/ada/contacts/a.vcf", "/ada/contacts/a.vcf?x#y"]
)
def test_multiget_understands_an_href_however_it_is_written_and_gives_it_back_as_written(ada, href):
    ada.put(URL, card("a"))

    assert ada.multiget(BOOK, href).text(href, f"{CARDDAV}address-data").encode() == card("a")


@pytest.mark.parametrize(
    "href",
    [
        "",
        "/",
        "x",
        BOOK,
        "/ada/contacts/none.vcf",
        "/ben/contacts/a.vcf",
        "/ada/contacts/../contacts/a.vcf",
        "//[x",
        "/%ff",
        "/ada/contacts/a%00",
    ],
)
def test_multiget_answers_404_for_what_is_no_card_of_this_book(ada, href):
    ada.put(URL, card("a"))

    found = ada.multiget(BOOK, href, URL)

    assert sorted(found.hrefs) == sorted([href, URL])
    assert found.status_of(href) == "HTTP/1.1 404 Not Found"


def test_a_multiget_of_a_whole_large_book_is_answered_in_one_go(ada, organisation):
    hrefs = []
    for number in range(600):
        organisation.put("ada", "contacts", f"{number}.vcf", card(str(number)))
        hrefs.append(f"{BOOK}{number}.vcf")
    random.Random(1).shuffle(hrefs)

    found = ada.multiget(BOOK, *hrefs, hrefs[0])

    assert len(found.xml.findall(f"{DAV}response")) == len(hrefs)  # each once, whatever was asked twice
    assert set(found.hrefs) == set(hrefs)
    assert found.text(f"{BOOK}599.vcf", f"{CARDDAV}address-data").encode() == card("599")


def test_a_card_is_given_once_however_many_spellings_of_its_url_are_asked_for(ada):
    ada.put(URL, card("a"))

    found = ada.multiget(BOOK, f"{BOOK}%61.vcf", URL, f"{BOOK}a%2Evcf")

    assert found.hrefs == [f"{BOOK}%61.vcf"]


# -- ETags and conditions ----------------------------------------------------------------------------------------------


def test_a_put_costs_at_most_ten_statements_sign_in_included_and_three_for_its_entry(ada, statements):
    first = card("first", "", "BDAY:1970-01-01")
    ada.put("/ada/contacts/first.vcf", first)  # notes which version this client writes, and which properties
    costs = []
    etag = None
    for data in (card("a"), card("a", "Two"), card("a", "Two"), card("a", "Two", "BDAY:1970-01-01")):
        statements.clear()
        answer = ada.put(URL, data, If_Match=etag)
        assert answer.status in (201, 204)
        costs.append(len(statements))
        etag = answer.etag

    assert costs[2] < costs[3] <= 10
    assert max(costs) <= 13


def test_get_put_propfind_multiget_and_sync_agree_on_the_etag(ada):
    etag = ada.put(URL, card("a")).etag

    assert etag[0] == etag[-1] == '"'
    assert ada.get(URL).etag == etag
    for found in (
        ada.propfind(URL, "getetag"),
        ada.propfind(BOOK, "getetag", depth="1"),
        ada.multiget(BOOK, URL),
        ada.sync(BOOK),
    ):
        assert found.text(URL, f"{DAV}getetag") == etag


def test_the_same_bytes_again_keep_etag_and_token(ada):
    etag = ada.put(URL, card("a")).etag
    token = token_of(ada, BOOK)

    again = ada.put(URL, card("a"))

    assert (again.status, again.etag, token_of(ada, BOOK)) == (204, etag, token)


CURRENT, STALE = "current", '"0123456789abcdef"'


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"If_None_Match": CURRENT}, 304),
        ("HEAD", {"If_None_Match": CURRENT}, 304),
        ("GET", {"If_None_Match": f"{STALE}, W/{CURRENT}"}, 304),
        ("GET", {"If_None_Match": f"{STALE} , {CURRENT}"}, 304),
        ("GET", {"If_None_Match": "*"}, 304),
        ("GET", {"If_None_Match": STALE}, 200),
        ("GET", {"If_None_Match": ""}, 200),
        ("PUT", {"If_Match": CURRENT}, 204),
        ("PUT", {"If_Match": f"{STALE},{CURRENT}"}, 204),
        ("PUT", {"If_Match": "*"}, 204),
        ("PUT", {"If_Match": STALE}, 412),
        ("PUT", {"If_Match": f"W/{CURRENT}"}, 412),
        ("PUT", {"If_Match": "unquoted"}, 412),
        ("PUT", {"If_None_Match": "*"}, 412),
        ("PUT", {"If_None_Match": CURRENT}, 412),
        ("PUT", {"If_None_Match": f"W/{CURRENT}"}, 412),
        ("PUT", {"If_None_Match": STALE}, 204),
        ("DELETE", {"If_Match": STALE}, 412),
        ("DELETE", {"If_Match": CURRENT}, 204),
        ("DELETE", {}, 204),
    ],
)
def test_conditions_are_compared_as_rfc_9110_says(ada, method, headers, status):
    etag = ada.put(URL, card("a")).etag
    headers = {name: value.replace(CURRENT, etag) for name, value in headers.items()}
    before = token_of(ada, BOOK)

    answer = ada.request(method, URL, card("a", "Two") if method == "PUT" else b"", **headers)

    assert answer.status == status
    # A failed condition is a refused write, which this client's token counts; the book is as it was.
    assert (token_of(ada, BOOK) == before) == (status in {200, 304})
    assert (ada.get(URL).body == card("a")) == (status != 204)
    if status == 304:
        assert (answer.body, answer.etag) == (b"", etag)


def test_an_etag_without_quotes_is_understood(ada):
    etag = ada.put(URL, card("a")).etag

    assert ada.put(URL, card("a", "Two"), If_Match=etag.strip('"')).status == 204


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"If_None_Match": "*"}, 201), ({"If_Match": "*"}, 412), ({"If_Match": STALE}, 412), ({}, 201)],
)
def test_conditions_of_a_new_card(ada, headers, status):
    assert ada.put(URL, card("a"), **headers).status == status
    assert ada.get(URL).status == (200 if status == 201 else 404)


def test_ones_delete_and_put_of_a_card_that_is_not_there_any_more(ada):
    etag = ada.put(URL, card("a")).etag
    ada.delete(URL)

    assert [ada.delete(URL).status, ada.get(URL).status, ada.put(URL, card("a"), If_Match=etag).status] == [
        404,
        404,
        412,
    ]
    assert ada.put(URL, card("b")).status == 201


# -- caches, export ----------------------------------------------------------------------------------------------------


def test_no_shared_cache_keeps_anything_and_a_private_one_asks_again(ada):
    ada.put(URL, card("a"))
    for answer in (ada.get(URL), ada.get("/"), ada.propfind(BOOK, "getetag"), ada.get("/none/"), ada.delete(URL)):
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert answer.headers["Vary"].startswith("Accept, Authorization")


def test_a_book_is_exported_as_one_file_of_its_cards_exact_bytes(ada):
    bodies = [card("a"), card("b").rstrip(), card("c").replace(b"\r\n", b"\n")]
    for data, name in zip(bodies, "abc", strict=True):
        ada.put(f"{BOOK}{name}.vcf", data)

    answer = ada.get(BOOK)

    assert answer.status == 200
    assert "attachment" in answer.headers["Content-Disposition"]
    assert sorted(piece.rstrip() for piece in split_cards(answer.body)) == sorted(data.rstrip() for data in bodies)


def test_whoever_may_not_export_gets_no_export(ada):
    answer = ada.get("/ada/sales~leads/")

    assert (answer.status, answer.conditions) == (403, ["need-privileges"])


def test_an_uid_in_use_names_the_card_that_has_it(ada):
    ada.put(URL, card("a"))

    for path in (f"{BOOK}b.vcf", URL):
        answer = ada.put(path, card("a" if path != URL else "b"))
        assert (answer.status, answer.conditions) == (409, ["no-uid-conflict"])
        assert answer.xml.findtext(f"{CARDDAV}no-uid-conflict/{DAV}href") == URL

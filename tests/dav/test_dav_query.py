"""addressbook-query over HTTP: what is found, how much of it is told, what is refused, and what it costs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import vcard
from tests.conftest import card, examples
from tests.dav.conftest import CARDDAV, DAV, XMLNS, Client, etags_of

BOOK = "/ada/contacts/"
MAC = "macOS/14.4.1 (23E224) AddressBookCore/2668.400.13"


def url(name):
    return f"{BOOK}{name}.vcf"


def put(client, name, *lines, full_name="", version="3.0"):
    assert client.put(url(name), card(name, full_name, *lines, version=version)).status == 201


def prop(name, *conditions, test=""):
    attribute = f' test="{test}"' if test else ""
    return f'<C:prop-filter name="{name}"{attribute}>{"".join(conditions)}</C:prop-filter>'


def text(sought, **attributes):
    written = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f"<C:text-match{written}>{sought}</C:text-match>"


def param(name, *conditions):
    return f'<C:param-filter name="{name}">{"".join(conditions)}</C:param-filter>'


NOT_DEFINED = "<C:is-not-defined/>"


def query(client, *prop_filters, path=BOOK, test="", limit="", props="<getetag/>", depth="1"):
    attribute = f' test="{test}"' if test else ""
    limited = f"<C:limit><C:nresults>{limit}</C:nresults></C:limit>" if limit else ""
    body = (
        f"<C:addressbook-query {XMLNS}><prop>{props}</prop><C:filter{attribute}>{''.join(prop_filters)}</C:filter>"
        f"{limited}</C:addressbook-query>"
    )
    return client.request("REPORT", path, body, Depth=depth)


def names(answer):
    assert answer.status == 207, answer.body
    return sorted(href.removeprefix(BOOK).removesuffix(".vcf") for href in answer.hrefs)


def is_cut(answer, path=BOOK):
    return path in answer.hrefs and answer.status_of(path).startswith("HTTP/1.1 507")


# -- what is found -----------------------------------------------------------------------------------------------------


def test_a_card_is_found_by_its_name_with_its_etag_and_data(ada):
    etag = ada.put(url("a"), card("a", "Ada Lovelace")).etag
    put(ada, "b", full_name="Bob")

    answer = query(ada, prop("FN", text("lovelace")), props="<getetag/><C:address-data/><displayname/>")

    assert answer.hrefs == [url("a")]
    assert answer.text(url("a"), f"{DAV}getetag") == etag
    assert answer.text(url("a"), f"{CARDDAV}address-data").encode() == card("a", "Ada Lovelace")
    assert answer.responses[url("a")].findall(f"{DAV}propstat")[1].findtext(f"{DAV}status") == "HTTP/1.1 404 Not Found"


@pytest.mark.parametrize("depth", ["1", "0", "infinity", None])
def test_the_cards_of_a_book_are_searched_whatever_depth_is_sent(ada, depth):
    put(ada, "a")

    assert names(query(ada, prop("FN"), depth=depth)) == ["a"]


@pytest.mark.parametrize("props", ["<getetag/>", "<getetag/><getcontentlength/>", "<C:address-data/>"])
def test_an_empty_filter_finds_every_card(ada, props):
    for name in "abc":
        put(ada, name)

    answer = query(ada, props=props)

    assert names(answer) == ["a", "b", "c"]
    if "getetag" in props:
        assert {href: answer.text(href, f"{DAV}getetag") for href in answer.hrefs} == etags_of(ada, BOOK)


def test_an_empty_book_answers_an_empty_multistatus(ada):
    assert names(query(ada, prop("FN", text("x")))) == []


def test_a_deleted_card_is_not_found(ada):
    put(ada, "a", full_name="Ada")
    ada.delete(url("a"))

    assert names(query(ada, prop("FN", text("Ada")))) == []


def test_a_card_is_found_by_what_it_says_now(ada):
    put(ada, "a", full_name="Before")
    ada.put(url("a"), card("a", "After"))

    assert names(query(ada, prop("FN", text("before")))) == []
    assert names(query(ada, prop("FN", text("after")))) == ["a"]


def test_any_of_the_prop_filters_is_enough_unless_all_are_asked_for(ada):
    put(ada, "a", "EMAIL:x@example.org", full_name="Daboo")
    put(ada, "b", "EMAIL:daboo@example.org", full_name="Oliver")
    put(ada, "c", "EMAIL:daboo@example.net", full_name="Daboo")
    put(ada, "d", full_name="Nobody")
    both = prop("FN", text("daboo")), prop("EMAIL", text("daboo"))

    assert names(query(ada, *both)) == ["a", "b", "c"]
    assert names(query(ada, *both, test="anyof")) == ["a", "b", "c"]
    assert names(query(ada, *both, test="allof")) == ["c"]


def test_a_property_that_nobody_knows_is_searched_like_any_other(ada):
    put(ada, "a", "X-OWN-THING:needle")
    put(ada, "b")

    assert names(query(ada, prop("x-own-thing", text("NEEDLE")))) == ["a"]
    assert names(query(ada, prop("X-OWN-THING", NOT_DEFINED))) == ["b"]


def test_what_stands_behind_the_end_of_the_index_is_found(ada):
    put(ada, "a", "NOTE:" + "x" * (vcard.MAX_FIELD_LENGTH + 10) + " needle")
    put(ada, "b", "NOTE:x")

    assert names(query(ada, prop("NOTE", text("needle")))) == ["a"]


def test_a_needle_of_any_length_is_answered(ada):
    long = "100%_" * 20_000
    put(ada, "a", f"NOTE:{long}")
    put(ada, "b", f"NOTE:{long[:-1]}")

    assert names(query(ada, prop("NOTE", text(long)))) == ["a"]


@pytest.mark.parametrize("sought", ["100%", "under_score", "back\\slash", "a'b", "%"])
def test_signs_that_mean_something_to_a_database_mean_themselves(ada, sought):
    put(ada, "a", f"NOTE:{vcard.escape(sought)}")
    put(ada, "b", "NOTE:100 underXscore backslash ab")

    assert names(query(ada, prop("NOTE", text(sought)))) == ["a"]


def test_a_card_is_compared_in_the_version_it_is_given_in(ada):
    """A group of 4.0 is one of Apple's in 3.0, and a tel: URI is a plain number there."""
    put(ada, "a", "KIND:group", "TEL;VALUE=uri:tel:+49-30-1;ext=5", version="4.0")
    as_3, as_4 = '<C:address-data version="3.0"/>', '<C:address-data version="4.0"/>'

    for props, found, missing in (
        (as_3, "X-ADDRESSBOOKSERVER-KIND", "KIND"),
        (as_4, "KIND", "X-ADDRESSBOOKSERVER-KIND"),
    ):
        assert names(query(ada, prop(found, text("group")), props=props)) == ["a"]
        assert names(query(ada, prop(missing), props=props)) == []
    assert names(query(ada, prop("TEL", text("+49-30-1 ext. 5")), props=as_3)) == ["a"]
    assert names(query(ada, prop("TEL", text("+49-30-1 ext. 5")), props=as_4)) == []
    assert "VERSION:3.0" in query(ada, prop("KIND"), prop("TEL"), props=as_3).text(url("a"), f"{CARDDAV}address-data")


def test_a_name_that_is_made_for_the_other_version_is_found(ada):
    data = b"BEGIN:VCARD\r\nVERSION:4.0\r\nUID:a\r\nFN:Ada Lovelace\r\nEND:VCARD\r\n"
    assert ada.put(url("a"), data).status == 201

    assert names(query(ada, prop("N", text("lovelace")), props='<C:address-data version="3.0"/>')) == ["a"]
    assert names(query(ada, prop("N", text("lovelace")), props='<C:address-data version="4.0"/>')) == []


def test_somebody_elses_book_is_searched_by_whoever_may_read_it(ben, carla, organisation):
    organisation.put("ada", "sales~leads", "a.vcf", card("a", "Ada"))

    assert query(ben, prop("FN", text("ada")), path="/ben/sales~leads/").hrefs == ["/ben/sales~leads/a.vcf"]
    assert query(carla, prop("FN", text("ada")), path="/carla/sales~leads/").status == 404


def test_the_merged_book_is_searched_without_the_cards_it_does_not_show(application, organisation):
    organisation.put("ada", "contacts", "own.vcf", card("same", "Ada"))
    organisation.put("ada", "sales~leads", "twin.vcf", card("same", "Ada"))
    organisation.put("ada", "sales~leads", "other.vcf", card("other", "Ada too"))
    mac = Client(application, "ada", user_agent=MAC)

    listed = mac.propfind("/ada/all/", "getetag", depth="1").hrefs
    found = query(mac, prop("FN", text("ada")), path="/ada/all/")

    assert sorted(found.hrefs) == sorted(set(listed) - {"/ada/all/"})
    assert len(found.hrefs) == 2
    assert is_cut(query(mac, prop("FN"), path="/ada/all/", limit="1"), "/ada/all/")


# -- how much is told --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prop_filters", [(), (prop("FN"),), (prop("FN", text("c")),)])
def test_a_limit_cuts_the_answer_and_says_so(ada, prop_filters):
    for name in ("c1", "c2", "c3"):
        put(ada, name)

    cut = query(ada, *prop_filters, limit="2")
    assert is_cut(cut)
    assert len(cut.hrefs) == 3
    assert cut.responses[BOOK].find(f"{DAV}error/{DAV}number-of-matches-within-limits") is not None
    for enough in ("3", "4"):
        assert names(query(ada, *prop_filters, limit=enough)) == ["c1", "c2", "c3"]


def test_a_limit_of_nothing_tells_only_whether_there_is_something(ada):
    put(ada, "a", full_name="Ada")

    assert query(ada, prop("FN", text("ada")), limit="0").hrefs == [BOOK]
    assert query(ada, prop("FN", text("nobody")), limit="0").hrefs == []


@pytest.mark.parametrize("limit", ["-1", "two", "1.5", "9" * 30, "²"])
def test_a_limit_is_a_number(ada, limit):
    assert query(ada, limit=limit).status == 400


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "default", "i;unicode-casemap", "i;ascii-casemap", "i;octet", "I;OCTET"])
def test_the_collations_of_the_rfc_are_supported(ada, name):
    put(ada, "a", full_name="Ada")

    assert names(query(ada, prop("FN", text("Ada", collation=name)))) == ["a"]


@pytest.mark.parametrize("name", ["i;basic", "i;*", "*", "de"])
def test_another_collation_is_refused(ada, name):
    for condition in (prop("FN", text("a", collation=name)), prop("TEL", param("TYPE", text("a", collation=name)))):
        answer = query(ada, condition)
        assert (answer.status, answer.conditions) == (403, ["supported-collation"])


def test_a_book_tells_its_collations(ada):
    found = ada.propfind(BOOK, "C:supported-collation-set").prop(BOOK, f"{CARDDAV}supported-collation-set")

    assert [one.text for one in found] == ["i;ascii-casemap", "i;octet", "i;unicode-casemap"]
    assert ada.propfind(BOOK).prop(BOOK, f"{CARDDAV}supported-collation-set") is None


@pytest.mark.parametrize(
    ("prop_filter", "named"),
    [
        (prop("X&amp;Y", "<C:time-range/>"), ("prop-filter", "X&Y")),
        (prop("FN", '<text-match xmlns="urn:ietf:params:xml:ns:caldav">a</text-match>'), ("prop-filter", "FN")),
        (prop("FN", text("<C:b/>")), ("prop-filter", "FN")),
        (prop("TEL", param("TYPE", "<C:other/>")), ("param-filter", "TYPE")),
        (prop("TEL", param("TYPE", text("<C:b/>"))), ("param-filter", "TYPE")),
        ("<C:comp-filter/>", None),
    ],
)
def test_a_condition_that_is_not_known_is_refused_by_its_name(ada, prop_filter, named):
    answer = query(ada, prop_filter)

    assert (answer.status, answer.conditions) == (403, ["supported-filter"])
    told = [(one.tag.removeprefix(CARDDAV), one.get("name")) for one in answer.xml.find(f"{CARDDAV}supported-filter")]
    assert told == ([named] if named else [])


@pytest.mark.parametrize(
    "filter_",
    [
        "",
        "<C:filter/><C:filter/>",
        '<C:filter test="some"/>',
        "<C:filter><C:prop-filter/></C:filter>",
        '<C:filter><C:prop-filter name=" "/></C:filter>',
        f'<C:filter><C:prop-filter name="{"x" * 501}"/></C:filter>',
        '<C:filter><C:prop-filter name="item1."/></C:filter>',
        f"<C:filter>{prop('FN', test='both')}</C:filter>",
        f"<C:filter>{prop('FN', NOT_DEFINED, text('a'))}</C:filter>",
        f"<C:filter>{prop('FN', NOT_DEFINED, NOT_DEFINED)}</C:filter>",
        f"<C:filter>{prop('FN', text('a', match_type='like'))}</C:filter>",
        f"<C:filter>{prop('FN', text('a', negate_condition='maybe'))}</C:filter>",
        f"<C:filter>{prop('TEL', param(''))}</C:filter>",
        f"<C:filter>{prop('TEL', param('TYPE', text('a'), text('b')))}</C:filter>",
        f"<C:filter>{prop('TEL', param('TYPE', NOT_DEFINED, text('b')))}</C:filter>",
    ],
)
def test_a_filter_that_is_none_is_a_bad_request(ada, filter_):
    body = f"<C:addressbook-query {XMLNS}><prop><getetag/></prop>{filter_}</C:addressbook-query>"

    assert ada.request("REPORT", BOOK, body, Depth="1").status == 400


def test_a_filter_has_a_bound(ada):
    put(ada, "a", full_name="needle")
    many = [prop("NOTE", text(str(number))) for number in range(99)]

    assert names(query(ada, *many, prop("FN", text("needle")))) == ["a"]
    for refused in ([*many, *many], [prop("FN", *[text("a")] * 5000)], [prop("TEL", *[param("TYPE")] * 300)]):
        answer = query(ada, *refused)
        assert (answer.status, answer.conditions) == (403, ["supported-filter"])


def test_cards_in_another_form_than_they_are_kept_in_are_refused(ada):
    for attribute in ('version="2.1"', 'content-type="text/html"', 'content-type="application/vcard+json"'):
        answer = query(ada, props=f"<C:address-data {attribute}/>")
        assert (answer.status, answer.conditions) == (403, ["supported-address-data"])


def test_only_books_have_this_report(ada):
    put(ada, "a")
    for path in ("/", "/ada/", url("a")):
        answer = query(ada, path=path)
        assert (answer.status, answer.conditions) == (403, ["supported-report"])
        supported = ada.propfind(path, "supported-report-set").prop(path, f"{DAV}supported-report-set")
        assert supported.find(f"{DAV}supported-report/{DAV}report/{CARDDAV}addressbook-query") is None
    supported = ada.propfind(BOOK, "supported-report-set").prop(BOOK, f"{DAV}supported-report-set")
    assert supported.find(f"{DAV}supported-report/{DAV}report/{CARDDAV}addressbook-query") is not None


# -- what it costs -----------------------------------------------------------------------------------------------------


def test_a_query_costs_the_same_statements_for_any_number_of_cards_and_conditions(ada, statements):
    conditions = [prop("FN", text("needle")), prop("EMAIL", text("needle")), prop("NOTE", text("needle"))]
    counts = []
    for number in range(12):
        put(ada, str(number), full_name=f"needle {number}")
        if number in {0, 11}:
            statements.clear()
            assert len(query(ada, *conditions[: 1 if number == 0 else 3]).hrefs) == number + 1
            counts.append(len(statements))

    # Who, the book, the candidates, their bytes.
    assert counts == [4, 4]


def test_only_cards_that_may_match_are_read(ada, statements):
    for name in ("ada", "bob", "eve"):
        put(ada, name)

    statements.clear()
    assert names(query(ada, prop("FN", text("nobody")))) == []
    assert not any("bodies" in one for one in statements.texts)


def test_a_listing_by_query_reads_no_bytes(ada, statements):
    put(ada, "a")

    statements.clear()
    assert names(query(ada)) == ["a"]
    assert not any("bodies" in one for one in statements.texts)


# -- the index never decides -------------------------------------------------------------------------------------------

TEXTS = st.one_of(
    st.sampled_from(
        ["Ada", "ADÁ", "Straße", "ﬁne", "ｆｕｌｌ", "Ⅳ", "İstanbul", "ΟΔΟΣ", "ǆ", "각", "a;b", "a,b", "", " "]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\r\ufffe\uffff", exclude_categories=["Cc"]), max_size=6),
)


@examples(12)
@given(texts=st.lists(TEXTS, min_size=1, max_size=5), data=st.data())
def test_what_contains_a_text_is_found_whatever_it_is(ada, organisation, texts, data):
    sought = data.draw(st.one_of(st.sampled_from(texts).map(lambda text: text[:3]), TEXTS))
    name = data.draw(st.sampled_from(["NOTE", "N", "ORG", "NICKNAME", "CATEGORIES", "TITLE", "TEL", "EMAIL"]))
    collation, made = data.draw(
        st.sampled_from([("i;octet", str), ("i;unicode-casemap", vcard.casemap), ("i;ascii-casemap", ascii_upper)])
    )
    written = {str(number): text for number, text in enumerate(texts)}
    for number, one in written.items():
        ada.put(url(number), card(number, "x", vcard.build_line(name, vcard.escape(one)).raw.decode().rstrip("\r\n")))

    escaped = sought.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    found = names(query(ada, prop(name, text(escaped, collation=collation))))

    held = {number for number, one in written.items() if made(sought) in made(one)}
    # N is in every card already, as the name of all of them.
    held |= set(written) if name == "N" and made(sought) in made("x;;;;") else set()
    assert set(found) & set(written) == held
    for number in written:  # not by Ada, whom the guard would stop in the end
        organisation.remove("ada", "contacts", f"{number}.vcf")


def ascii_upper(text):
    return "".join(one.upper() if one.isascii() else one for one in text)

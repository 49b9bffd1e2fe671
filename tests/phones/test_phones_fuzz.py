"""Whatever a phone sends, it is answered, and never by an error of ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.phones.formats import FORMATS
from tests.conftest import card, examples

PATHS = sorted({route.replace("*", "x") for made in FORMATS.values() for route in made.answers} | {"lookup", "", "x"})
PARAMETERS = [
    *("q", "offset", "term", "value", "number", "format", "region", "command", "type", "ln", "fn", "hm", "mb", "first"),
    *("last", "count", "limit", "reqid", "set_first", "id", "prid", "lang", "mac", "page", "ct", "reqsrc"),
]
odd = st.text(max_size=30)
values = st.one_of(
    odd,
    st.integers(-(10**12), 10**12).map(str),
    st.sampled_from(
        ["", "*", "#SEARCH", "get_list", "pb", "json", "xml", "gigaset", "+49 30 1", "a*", "-1", "\x00", "9" * 50]
    ),
)
queries = st.one_of(
    st.dictionaries(st.sampled_from(PARAMETERS), values, max_size=5),
    st.dictionaries(odd, odd, max_size=3),
)
raw = st.binary(max_size=60).map(lambda data: data.decode("latin-1"))
HEADERS = [
    *("Accept", "Accept_Encoding", "If_None_Match", "If_Modified_Since", "User_Agent", "Host", "Cookie", "Range"),
    *("Content_Type", "Content_Length", "X_Forwarded_For", "X_Forwarded_Proto", "X_Script_Name", "Authorization"),
    *("X_CiscoIPPhoneModelName", "Expect", "Transfer_Encoding", "Accept_Language"),
]
headers = st.dictionaries(
    st.sampled_from(HEADERS), st.one_of(raw, st.sampled_from(["*", "gzip", "0", "-1", "1e9"])), max_size=4
)
methods = st.sampled_from(["GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "x"])
ANSWERS = {200, 304, 400, 404, 405, 413, 429}


@pytest.fixture
def phones(office, organisation):
    """One of each make, and somebody to be found."""
    organisation.put("ada", "contacts", "x.vcf", card("x", "Eva <Muster> & \N{PILE OF POO}", "TEL:+49 30 23125 11"))
    return {make: office(make, region="DE") for make in FORMATS}


@given(st.sampled_from(sorted(FORMATS)), st.one_of(st.sampled_from(PATHS), odd), methods, queries, headers)
@examples(300)
def test_whatever_is_asked_is_answered(phones, make, path, method, query, sent):
    told = phones[make].request(method, path, query, **sent)

    assert told.status in ANSWERS, told
    assert told.status == 304 or method == "HEAD" or int(told.headers["Content-Length"]) == len(told.body)


@given(st.sampled_from(sorted(FORMATS)), st.sampled_from(PATHS), raw, st.binary(max_size=100), st.booleans())
@examples(200)
def test_whatever_bytes_stand_in_an_url_or_a_form_are_answered(phones, make, path, query, body, is_form):
    kind = "application/x-www-form-urlencoded" if is_form else "text/xml"
    told = phones[make].request("POST", path, query=query, body=body, Content_Type=kind)

    assert told.status in ANSWERS, told


@given(raw, raw)
@examples(200)
def test_whatever_stands_for_a_password_and_behind_it_is_no_phones(phones, password, path):
    phone = phones["yealink"]
    told = phone.request("GET", "", PATH_INFO=f"/p/{password}/{path}")

    assert told.status in {401, 404, 429}, told
    assert phone.password not in told.text


@given(queries, headers)
@examples(100)
def test_one_who_is_found_is_found_whatever_else_is_sent(phones, query, sent):
    """What others sent before makes no difference to an answer: it is the one that a new phone gets."""
    phone = phones["yealink"]
    query = {name: value for name, value in query.items() if name != "q"}
    sent = {name: value for name, value in sent.items() if name not in {"If_None_Match", "Accept_Encoding"}}
    if len(query) < 60:
        assert phone.request("GET", "yealink.xml", query, **sent).body == phone.get("yealink.xml").body

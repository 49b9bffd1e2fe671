"""Messages: requests as ldap3 writes them are read, answers are read by ldap3, and what is too much is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.protocol.rfc4511 import LDAPMessage
from ldap3.utils.conv import escape_filter_chars
from pyasn1.codec.ber import decoder

from radicale_shared.ldap_view import ber, controls, filters, messages, operations, schema
from radicale_shared.ldap_view.ber import BerError
from radicale_shared.ldap_view.controls import Page, Wanted
from radicale_shared.ldap_view.filters import (
    And,
    Approx,
    Equality,
    GreaterOrEqual,
    LessOrEqual,
    Not,
    Or,
    Present,
    Substrings,
    Undefined,
)
from radicale_shared.ldap_view.messages import Operation
from radicale_shared.ldap_view.requests import Identity, Scope, SortKey
from radicale_shared.ldap_view.results import Code, ResultError
from tests.conftest import examples
from tests.ldap_view.conftest import bind, search


def read_filter(text: str) -> filters.Filter:
    return messages.search(messages.read(search(1, text)).content).filter


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(cn=Eva)", Equality("cn", "Eva")),
        ("(CN=*)", Present("cn")),
        ("(cn=a*)", Substrings("cn", "a", (), "")),
        ("(cn=*a*b*)", Substrings("cn", "", ("a", "b"), "")),
        ("(cn=a*b*c)", Substrings("cn", "a", ("b",), "c")),
        ("(sn>=m)", GreaterOrEqual("sn", "m")),
        ("(sn<=m)", LessOrEqual("sn", "m")),
        ("(sn~=maier)", Approx("sn", "maier")),
        ("(2.5.4.3=x)", Equality("2.5.4.3", "x")),
        ("(cn:caseExactMatch:=x)", Undefined()),
        ("(cn;lang-de=x)", Undefined()),
        ("(cn=\\ff)", Undefined()),
        ("(!(cn=x))", Not(Equality("cn", "x"))),
        (
            "(&(mail=*)(|(mail=m*)(cn=m*)))",
            And((Present("mail"), Or((Substrings("mail", "m", (), ""), Substrings("cn", "m", (), ""))))),
        ),
    ],
)
def test_filters_are_read_as_they_were_written(text, expected):
    assert read_filter(text) == expected


def test_empty_pieces_say_nothing():
    empty = ber.written(ber.SEQUENCE, ber.written(0x80), ber.written(0x81), ber.written(0x82))
    assert filters.read(ber.Element(0xA4, ber.written_text("cn") + empty)) == Undefined()


def test_filters_without_terms_are_true_and_false():
    assert filters.read(ber.Element(0xA0, b"")) == And(())
    assert filters.read(ber.Element(0xA1, b"")) == Or(())


def deep(levels: int) -> bytes:
    """A filter of so many levels."""
    made = ber.written(0x87, b"cn")
    for _ in range(levels - 1):
        made = ber.written(0xA2, made)
    return made


def test_a_filter_may_have_so_many_levels_and_terms_and_no_more():
    assert filters.read(ber.only(deep(16)))
    for too_much in (deep(17), ber.written(0xA1, ber.written(0x87, b"cn") * 65), ber.written(0xA0, b"\xa0\x00" * 65)):
        with pytest.raises(ResultError) as refused:
            filters.read(ber.only(too_much))
        assert refused.value.code is Code.ADMIN_LIMIT_EXCEEDED
    assert filters.read(ber.only(ber.written(0xA1, ber.written(0x87, b"cn") * 64)))


def test_what_thunderbird_asks_with_five_words_is_not_too_much():
    attributes = ("cn", "sn", "givenName", "mail", "displayName", "o", "ou", "title", "mobile", "homePhone", "l", "st")
    words = ["".join(f"({one}=*{word}*)" for one in attributes) for word in ("a", "b", "c", "d", "e")]
    assert read_filter("(&(objectClass=*)" + "".join(f"(|{word})" for word in words) + ")")


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
NAMES = st.sampled_from(["cn", "sn", "mail", "telephonenumber"])
LEAVES = st.one_of(
    st.builds(Equality, NAMES, WORDS),
    st.builds(GreaterOrEqual, NAMES, WORDS),
    st.builds(LessOrEqual, NAMES, WORDS),
    st.builds(Approx, NAMES, WORDS),
    st.builds(Present, NAMES),
    st.builds(Substrings, NAMES, st.just("a") | WORDS, st.lists(WORDS, max_size=3).map(tuple), st.just("") | WORDS),
)
FILTERS = st.recursive(
    LEAVES,
    lambda terms: st.one_of(
        st.builds(Not, terms),
        st.builds(And, st.lists(terms, min_size=1, max_size=3).map(tuple)),
        st.builds(Or, st.lists(terms, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=12,
)


def written(of: filters.Filter) -> str:
    """A filter as RFC 4515 has it."""
    match of:
        case And(terms):
            return f"(&{''.join(map(written, terms))})"
        case Or(terms):
            return f"(|{''.join(map(written, terms))})"
        case Not(term):
            return f"(!{written(term)})"
        case Present(attribute):
            return f"({attribute}=*)"
        case Substrings(attribute, initial, between, final):
            return f"({attribute}={'*'.join(map(escaped, (initial, *between, final)))})"
        case Undefined():
            raise AssertionError
    sign = {Equality: "=", GreaterOrEqual: ">=", LessOrEqual: "<=", Approx: "~="}[type(of)]
    return f"({of.attribute}{sign}{escaped(of.value)})"


def escaped(value: str) -> str:
    """All that means something in a filter, and what ldap3 would strip."""
    told = escape_filter_chars(value)
    return (
        "".join(f"\\{octet:02x}" for octet in value.encode()) if told.strip() != value or not value.isalnum() else told
    )


@examples(200)
@given(FILTERS)
def test_every_filter_that_ldap3_writes_is_read_as_what_it_is(wanted):
    assert read_filter(written(wanted)) == wanted


def test_a_shape_shows_no_value():
    shown = filters.shape(read_filter("(&(sn=secret*)(|(cn=*sec*ret*)(!(mail>=secret)))(telephoneNumber=*))"))
    assert shown == "(&(sn=?*)(|(cn=*?*?*)(!(mail>=?)))(telephonenumber=*))"


# -- requests and answers ----------------------------------------------------------------------------------------------


def test_a_bind_is_read():
    found = messages.read(bind(7, "uid=eva", "pass word"))
    assert (found.id, found.operation) == (7, Operation.BIND)
    assert messages.bind(found.content) == messages.BindRequest(3, "uid=eva", b"pass word")


def test_a_search_is_read():
    found = messages.search(messages.read(search(2, "(cn=x)", "ou=a", "LEVEL", ("cn", "+"), 5)).content)
    assert (found.base, found.scope, found.size_limit, found.attributes) == ("ou=a", Scope.ONE, 5, ("cn", "+"))


@pytest.mark.parametrize(
    "data",
    [
        b"\x30\x00",
        b"\x30\x05\x02\x01\x00\x42\x00",  # number 0 is the server's
        b"\x30\x05\x02\x01\x01\x7f\x00",
        b"\x30\x05\x02\x01\x01\x65\x00",  # an answer
        b"\x31\x05\x02\x01\x01\x42\x00",
    ],
)
def test_what_nobody_can_answer_is_no_message(data):
    with pytest.raises(BerError):
        messages.read(data)


def test_the_length_of_a_message_is_refused_as_soon_as_it_can_be_told():
    assert messages.length(b"") is None
    assert messages.length(b"\x30\x82\x01") is None
    assert messages.length(b"\x30\x82\x01\x00") == 260
    with pytest.raises(BerError):
        messages.length(b"\x30\x84\x7f\xff\xff\xff")
    with pytest.raises(BerError):
        messages.length(b"GET / HTTP/1.1\r\n")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@examples(100)
@given(
    st.integers(1, 2**31 - 1),
    TEXTS,
    st.lists(st.tuples(st.sampled_from(["cn", "sn", "mail"]), st.lists(TEXTS, min_size=1, max_size=4)), max_size=5),
)
def test_others_read_the_entries_that_are_written(number, dn, attributes):
    told, rest = decoder.decode(messages.entry(number, dn, attributes, types_only=False), asn1Spec=LDAPMessage())
    found = told["protocolOp"]["searchResEntry"]
    assert (rest, int(told["messageID"]), bytes(found["object"]).decode()) == (b"", number, dn)
    shown = [(str(one["type"]), [bytes(value).decode() for value in one["vals"]]) for one in found["attributes"]]
    assert [name for name, _ in shown] == [name for name, _ in attributes]
    assert [sorted(values) for _, values in shown] == [sorted(values) for _, values in attributes]


@examples(100)
@given(st.integers(1, 2**31 - 1), st.sampled_from(Code), TEXTS, TEXTS)
def test_others_read_the_results_that_are_written(number, code, text, matched):
    data = messages.result(number, 0x65, code, text, matched=matched, controls=[controls.paged(b"cookie")])
    told, rest = decoder.decode(data, asn1Spec=LDAPMessage())
    found = told["protocolOp"]["searchResDone"]
    assert (rest, int(found["resultCode"])) == (b"", code)
    assert bytes(found["diagnosticMessage"]).decode() == text
    assert bytes(found["matchedDN"]).decode() == matched
    assert str(told["controls"][0]["controlType"]) == controls.PAGED


# -- paging ------------------------------------------------------------------------------------------------------------

SECRET = b"x" * 32
ASKED = messages.search(messages.read(search(2, "(cn=x)")).content)


@examples(50)
@given(st.integers(0, 2**32 - 1), st.binary(max_size=180))
def test_a_cookie_is_opened_by_who_got_it_for_the_same_search(count, position):
    made = controls.cookie(SECRET, Identity("eva"), ASKED, Wanted(), count, position)
    assert controls.opened(SECRET, Identity("eva"), ASKED, Wanted(Page(5, made))) == (count, position)


OTHER = messages.search(messages.read(search(2, "(cn=y)")).content)


@pytest.mark.parametrize(
    ("secret", "who", "asked", "sort"),
    [
        (b"y" * 32, "eva", ASKED, ()),
        (SECRET, "ben", ASKED, ()),
        (SECRET, "eva", OTHER, ()),
        (SECRET, "eva", ASKED, (SortKey("cn"),)),
    ],
)
def test_a_cookie_is_opened_for_nobody_and_nothing_else(secret, who, asked, sort):
    made = controls.cookie(SECRET, Identity("eva"), ASKED, Wanted(), 1, b"here")
    with pytest.raises(ResultError) as refused:
        controls.opened(secret, Identity(who), asked, Wanted(Page(5, made), sort))
    assert refused.value.code is Code.UNWILLING_TO_PERFORM


@given(st.binary(min_size=1, max_size=60))
def test_a_cookie_that_was_made_up_is_refused(cookie):
    with pytest.raises(ResultError):
        controls.opened(SECRET, Identity("eva"), ASKED, Wanted(Page(5, cookie)))


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "login"),
    [
        ("eva", "eva"),
        ("eva@firma.example", "eva@firma.example"),
        ("uid=eva,ou=people,dc=contacts", "eva"),
        ("UID = eva , dc=contacts", "eva"),
        ("cn=eva", "eva"),
        ("mail=eva@firma.example,dc=contacts", "eva@firma.example"),
        (r"uid=eva\2cmuster,dc=contacts", "eva,muster"),
        (r"uid=eva\,muster,dc=contacts", "eva,muster"),
        ("uid=,dc=contacts", ""),
        (r"FIRMA\eva", r"FIRMA\eva"),
        ("", ""),
    ],
)
def test_a_name_is_a_login_or_a_dn_that_begins_with_one(name, login):
    assert operations.login_of(name) == login


def test_an_attribute_is_shown_by_the_name_that_was_asked_for():
    chosen = schema.selection(("surname", "GN", "nothing", "surname"))
    assert list(chosen.of({"sn": ["Muster"], "givenName": ["Eva"], "cn": ["Eva Muster"]})) == [
        ("surname", ["Muster"]),
        ("GN", ["Eva"]),
    ]


def test_no_two_attributes_have_a_name_or_an_oid_in_common():
    keys = [key.lower() for one in schema.ATTRIBUTE_TYPES for key in (one.oid, *one.names)]
    assert len(keys) == len(set(keys))


def test_classes_have_attributes_that_are_known():
    named = {name for one in schema.OBJECT_CLASSES for name in (*one.must, *one.may)}
    assert [name for name in named if schema.attribute(name) is None] == []

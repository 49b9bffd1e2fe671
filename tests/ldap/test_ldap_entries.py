"""Entries without a server: names that compare, states that count, filters that mean one thing, odd messages."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ldap3.operation.search import compile_filter, parse_filter
from ldap3.utils.dn import parse_dn

from radicale_shared.directory_settings import PRESETS, DirectorySettings
from radicale_shared.ldap import Entry, entries, filters, folded_dn, messages
from radicale_shared.ldap.messages import Found, NotLdapError, Reference, Result, Scope

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ALL_STATES = DirectorySettings(
    state_attributes=(
        *("userAccountControl", "accountExpires", "nsAccountLock", "pwdAccountLockedTime"),
        *("shadowExpire", "krbPrincipalExpiration"),
    )
)
# A text that is one value of an entry.
VALUES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)


# -- distinguished names


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("uid=ada,dc=example", "uid=ada,dc=example"),
        ("UID=Ada , DC = Example", "uid=ada,dc=example"),
        ("uid=ada;dc=example", "uid=ada,dc=example"),
        ("cn=Lu\\, Eva,dc=example", "cn=lu\\, eva,dc=example"),
        ("cn=Lu\\2C Eva,dc=example", "cn=lu\\, eva,dc=example"),
        ('cn="Lu, Eva",dc=example', "cn=lu\\, eva,dc=example"),
        ("cn=\\C3\\A9t\\c3\\a9", "cn=été"),
        ("cn=e\\CC\\81te", "cn=éte"),
        ("cn=a  b", "cn=a b"),
        ("cn=b+uid=A", "cn=b+uid=a"),
        ("uid=A+cn=b", "cn=b+uid=a"),
        ("cn=trailing\\ ", "cn=trailing"),
        ("cn=\\#1", "cn=\\#1"),
        ("", ""),
        ("No DN", "no dn"),
    ],
)
def test_a_distinguished_name_folds_to(written, folded):
    assert folded_dn(written) == folded


@given(st.lists(st.tuples(st.sampled_from(["cn", "OU", "dc"]), VALUES), min_size=1, max_size=4))
def test_a_folded_name_folds_to_itself_however_its_values_were_escaped(parts):
    escaped = ",".join(f"{name}={entries.escaped_in_dn(value)}" for name, value in parts)
    octets = (f"{name}=" + "".join(f"\\{octet:02x}" for octet in value.encode()) for name, value in parts)
    assert folded_dn(escaped) == folded_dn(" , ".join(octets)) == folded_dn(folded_dn(escaped))


@given(VALUES.filter(lambda value: value.strip() == value and value.isprintable()))
@example(' ,+"\\<>;=#'.strip())
@example("#1")
def test_an_escaped_value_is_read_as_itself_by_another_reader_of_names(value):
    ((_, written, _),) = parse_dn(f"cn={entries.escaped_in_dn(value)}")
    unescaped = bytearray()
    at = 0
    while at < len(written):
        at += written[at] == "\\"
        unescaped += written[at].encode()
        at += 1
    assert unescaped.decode() == value


# -- keys and states


def test_a_guid_is_written_as_windows_writes_it_and_searched_by_its_octets():
    octets = bytes.fromhex("fa8e77f99a4e484dae35513928015280")
    key = entries.key(Entry("cn=x", {"objectguid": (octets,)}), "objectGUID")
    assert key == "f9778efa-4e9a-4d48-ae35-513928015280"
    assert entries.searched(key, "objectGUID") == octets


@pytest.mark.parametrize("values", [(), (b"",), (b"short",)])
def test_a_guid_that_is_none_is_no_key(values):
    with pytest.raises(entries.NoKeyError):
        entries.key(Entry("cn=x", {"objectguid": values}), "objectGUID")


@pytest.mark.parametrize(
    ("name", "value", "because"),
    [
        ("userAccountControl", "512", ""),
        ("userAccountControl", "514", "disabled (userAccountControl)"),
        ("userAccountControl", "66050", "disabled (userAccountControl)"),
        ("userAccountControl", "-2147483646", "disabled (userAccountControl)"),
        ("userAccountControl", "none", ""),
        ("accountExpires", "0", ""),
        ("accountExpires", "9223372036854775807", ""),
        ("accountExpires", "9223372036854775806", ""),
        ("accountExpires", "131000000000000000", "expired (accountExpires)"),
        ("accountExpires", "139000000000000000", ""),
        ("nsAccountLock", "TRUE", "locked by an administrator (nsAccountLock)"),
        ("nsAccountLock", "false", ""),
        ("pwdAccountLockedTime", "000001010000Z", "locked by an administrator (pwdAccountLockedTime)"),
        ("pwdAccountLockedTime", "20260101000000Z", ""),  # by wrong passwords, which ends by itself
        ("shadowExpire", "-1", ""),
        ("shadowExpire", "1", "expired (shadowExpire)"),
        ("shadowExpire", "20455", "expired (shadowExpire)"),
        ("shadowExpire", "20456", ""),
        ("shadowExpire", "9" * 20, ""),
        ("krbPrincipalExpiration", "20260102030404Z", "expired (krbPrincipalExpiration)"),
        ("krbPrincipalExpiration", "20260102030406Z", ""),
        ("krbPrincipalExpiration", "20269999999999Z", ""),
    ],
)
def test_a_state_disables(name, value, because):
    entry = Entry("uid=ada", {"uid": (b"ada",), name.lower(): (value.encode(),)})
    assert entries.inactive_because(ALL_STATES, entry, NOW) == because
    assert entries.inactive_because(DirectorySettings(), entry, NOW) == ""


@pytest.mark.parametrize(
    ("principal", "domain"),
    [("ada@two.example", "two.example"), ("ada@TWO.example", "two.example"), ("ada@elsewhere", "one.example")],
)
def test_the_domain_is_the_principal_name_s_where_the_directory_has_it(principal, domain):
    settings = DirectorySettings(**{**PRESETS["ad"], "key_attribute": "", "domains": ("one.example", "two.example")})
    entry = Entry("cn=ada", {"samaccountname": (b"ada",), "userprincipalname": (principal.encode(),)})
    assert entries.person(settings, entry, NOW).domain == domain


def test_a_unique_member_may_have_an_identifier_behind_the_name():
    entry = Entry("cn=x", {"uniquemember": (b"uid=ada,dc=example#'0101'B", b"uid=ben,dc=example")})
    assert entries.group(DirectorySettings(), entry).members == {"uid=ada,dc=example", "uid=ben,dc=example"}


def test_values_that_are_no_text_are_shown_with_replacements():
    assert Entry("", {"cn": (b"\xff\xfe",)}).text("CN") == "\ufffd\ufffd"


# -- filters


@given(st.text(max_size=30) | st.binary(max_size=30))
@example("*)(uid=*")
@example(" \\ ")
@example("\\2a")
def test_an_escaped_value_is_one_value_and_the_same(value):
    try:
        octets = value.encode() if isinstance(value, str) else value
    except UnicodeEncodeError:
        return
    compiled = compile_filter(parse_filter(filters.equal("uid", value), None, False, False, None, False).elements[0])
    assert compiled.getName() == "equalityMatch"
    assert bytes(compiled["equalityMatch"]["assertionValue"]) == octets


def test_filters_are_put_together():
    uid, cn = filters.equal("uid", "a"), filters.equal("cn", "b")
    assert filters.every(uid) == filters.some([uid, uid]) == "(uid=a)"
    assert filters.every(uid, cn) == "(&(uid=a)(cn=b))"
    assert filters.some([uid, cn]) == "(|(uid=a)(cn=b))"
    assert filters.some([]) == "(!(objectClass=*))"


# -- messages

SEARCH = messages.search(7, "dc=x", "(uid=ada)", ["uid"], scope=Scope.SUBTREE, most=0, seconds=5)


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda octets: b"0" + bytes([len(octets)]) + octets))
@example(SEARCH)
@example(b"0\x03\x02\x01\x07")
@example(b"0\x84\x00\x00\x00\x00")
def test_octets_are_a_message_or_none_and_nothing_else_happens(octets):
    try:
        size = messages.length(octets)
        if size is not None and size <= len(octets):
            _, said = messages.decoded(octets[:size])
            assert said is None or isinstance(said, Found | Reference | Result)
            if isinstance(said, Result):
                assert isinstance(said.cookie, bytes)
                assert said.policy_error is None or said.policy_error >= 0
    except NotLdapError:
        pass


@given(st.integers(0, len(SEARCH)))
def test_the_length_of_a_message_is_known_from_its_beginning(part):
    assert messages.length(SEARCH[:part]) == (len(SEARCH) if part >= 2 else None)


def test_a_message_larger_than_any_is_refused_before_it_is_read():
    with pytest.raises(NotLdapError):
        messages.length(b"0\x84" + (messages.LARGEST + 1).to_bytes(4, "big"))

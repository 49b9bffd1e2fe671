"""The settings file: what it says, what its kinds bring along, and that mistakes are named with file, table and key."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ldap3.core.exceptions import LDAPExceptionError
from ldap3.operation.search import compile_filter, parse_filter

from radicale_shared import ldap, settings_file, sign_ins
from radicale_shared.directory_settings import PRESETS, STATES, DirectorySettings
from radicale_shared.errors import ConfigurationError
from radicale_shared.ldap import Directory
from radicale_shared.ldap.sign_in import pending_for
from radicale_shared.ldap_syntax import is_filter
from radicale_shared.settings_file import FileSettings

SMALL = """
[[directory]]
name = "main"
kind = "openldap"
servers = ["ldaps://ldap.example.org"]
people_base = ["dc=example"]
"""


@pytest.fixture
def load(tmp_path):
    """The directories of a file with this text."""

    def loaded(text, mode=0o600):
        path = tmp_path / "settings.toml"
        path.write_text(text, "utf-8")
        path.chmod(mode)
        return settings_file.load(str(path)).directories

    return loaded


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "password"
    path.write_text("hush hush\n", "utf-8")
    path.chmod(0o600)
    return path


def test_a_small_file_is_enough(load):
    (found,) = load(SMALL)
    assert (found.name, found.servers, found.people_base) == ("main", ("ldaps://ldap.example.org",), ("dc=example",))
    assert (found.login_attribute, found.key_attribute, found.start_tls) == ("uid", "entryUUID", True)
    assert load("") == ()


@pytest.mark.parametrize("kind", PRESETS)
def test_a_kind_brings_attributes_and_filters_which_the_file_may_change(load, kind):
    text = SMALL.replace('"openldap"', f'"{kind}"')
    (preset,), (changed,) = load(text), load(text + 'login_attribute = "cn"\nstate_attributes = []\n')
    assert all(getattr(preset, key) == value for key, value in PRESETS[kind].items())
    assert changed == replace(preset, login_attribute="cn", state_attributes=())


def test_the_password_is_read_from_its_file_and_never_shown(load, secret):
    (found,) = load(SMALL + f'bind_dn = "cn=reader"\nbind_password_file = "{secret}"\n')
    assert found.bind_password == "hush hush"
    assert "hush" not in repr(found)


@pytest.mark.parametrize("mode", [0o644, 0o604])
def test_a_secret_that_everybody_may_read_is_refused(load, secret, mode):
    secret.chmod(mode)
    with pytest.raises(ConfigurationError, match=r"'main': bind_password_file .* is readable by everyone") as caught:
        load(SMALL + f'bind_dn = "cn=reader"\nbind_password_file = "{secret}"\n')
    assert "hush" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="readable by everyone"):
        load(SMALL + 'bind_dn = "cn=reader"\nbind_password = "hush"\n', mode)
    assert load(SMALL, mode)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("nmae = 1", "settings.toml: [[directory]] 'main': there is no key 'nmae'"),
        ('servers = "ldap://x"', "'main': servers must be a list"),
        ("login_attribute = 1", "'main': login_attribute must be a text in quotes."),
        ('bind_dn = "x"\nbind_password = 12345', "'main': bind_password must be a text in quotes."),
        ("start_tls = 1", "'main': start_tls must be true or false"),
        ('poll_seconds = "30"', "'main': poll_seconds must be a whole number"),
        ("poll_seconds = true", "'main': poll_seconds must be a whole number"),
        ("poll_seconds = 0", "'main': poll_seconds must be 1 or more"),
        ("poll_seconds = 1000001", "'main': poll_seconds must be 1000000 or less"),
        ("wrong_passwords = 21", "'main': wrong_passwords must be 20 or less"),
        ("servers = []", "'main': servers is missing"),
        ("people_base = []", "'main': people_base is missing"),
        ('servers = ["http://x"]', "expected is ldaps://HOST"),
        ('servers = ["ldap://x:port"]', "'main': servers has 'ldap://x:port'"),
        ('servers = ["ldap://"]', "expected is ldaps://HOST"),
        ('servers = ["ldap://x/dc=example"]', "expected is ldaps://HOST"),
        ('servers = ["ldap://x"]\nstart_tls = false', "'main': ldap://x without start_tls"),
        ('ca_file = "/nowhere/ca.pem"', "'main': ca_file '/nowhere/ca.pem' holds no certificates"),
        ('ca_file = "/dev/null"', "'main': ca_file '/dev/null' holds no certificates"),
        ('bind_dn = "cn=reader"', "'main': bind_dn needs bind_password_file"),
        ('bind_password = "x"', "'main' has a password, and no bind_dn"),
        ('bind_dn = "cn=x"\nbind_password_file = "/nowhere"', "bind_password_file '/nowhere' can't be read"),
        ('bind_dn = "x"\nbind_password = "x"\nbind_password_file = "/x"', "has both bind_password and"),
        ('people_filter = "(uid=*"', "'main': people_filter is no LDAP filter: '(uid=*'"),
        ('group_filter = "objectClass=*"', "'main': group_filter is no LDAP filter"),
        ('login_attribute = "u i d"', "'main': login_attribute has 'u i d', which is no name of an attribute"),
        ('login_aliases = ["mail)"]', "'main': login_aliases has 'mail)'"),
        ('login_attribute = ""', "'main': login_attribute is missing"),
        ('state_attributes = ["locked"]', "'main': state_attributes has 'locked'; what is understood"),
        ('bind_as = "uid={user}"', "'main': bind_as must have {login} once"),
        ('bind_as = "x"', "'main': bind_as must have {login} once"),
        ('domains = ["a b"]', "'main': domains has 'a b'"),
        ('dn_attribute = ""', "'main': member_of_attribute needs dn_attribute"),
        ('kind = "nis"', "'main': kind must be one of openldap, ad"),
        ('name = "Main Street"', "name must be 1 to 64 small letters"),
        ('[directory.mirror]\nbook = "a/b"\nlist = "all"', "'main' [directory.mirror]: list must be"),
        ("[directory.mirror]\nmpa = {}", "'main': mirror: there is no key 'mpa'"),
    ],
    ids=ascii,
)  # fmt: skip
def test_a_mistake_is_named(load, more, said):
    changed = {line.partition(" = ")[0] for line in more.splitlines()}
    kept = [line for line in SMALL.splitlines() if line.partition(" = ")[0] not in changed]
    with pytest.raises(ConfigurationError) as caught:
        load("\n".join([*kept, more]))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[directories]", "there is no table or key 'directories'"),
        ('[directory]\nname = "main"', "a directory is a table of its own"),
        ("name = ", "can't be read"),
        ("\xff", "can't be read"),
        (SMALL + SMALL, "two directories have the name 'main'"),
        (
            SMALL + 'domains = ["Example.org"]\n' + SMALL.replace("main", "two") + 'domains = ["example.ORG"]\n',
            "the domain 'example.ORG' is 'main''s and 'two''s",
        ),
    ],
    ids=["table", "one bracket", "toml", "text", "name", "domain"],
)  # fmt: skip
def test_a_file_that_is_wrong_as_a_whole_is_refused(load, text, said):
    with pytest.raises(ConfigurationError) as caught:
        load(text)
    assert said in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"settings_file .* can't be read"):
        settings_file.load(str(tmp_path / "none.toml"))


def test_plain_text_needs_to_be_allowed(load):
    (found,) = load(SMALL.replace("ldaps", "ldap") + "start_tls = false\nallow_plaintext = true\n")
    assert not found.start_tls


def test_there_is_one_set_of_directories_for_the_same_settings(load):
    first, second = (SimpleNamespace(file=FileSettings(load(SMALL))) for _ in range(2))
    other = SimpleNamespace(file=FileSettings(load(SMALL + "poll_seconds = 31\n")))
    assert ldap.directories(first) is ldap.directories(second)
    assert ldap.directories(other) is not ldap.directories(first)
    assert [one.settings for one in ldap.directories(first)] == list(first.file.directories)


def test_every_state_is_one_that_is_read():
    known = {name for preset in PRESETS.values() for name in preset.get("state_attributes", ())}
    assert known <= set(STATES)


# -- filters

_ITEMS = st.sampled_from(
    [
        *("(uid=*)", "(uid=a*b*c)", "(cn=\\2a)", "(a;x-b>=1)", "(a<=1)", "(a~=x y)", "(1.2.3=é)", "(uid=)"),
        *("(userAccountControl:1.2.840.113556.1.4.803:=2)", "(cn:dn:=x)", "(:caseExactMatch:=x)", "(:dn:2.4.6:=x)"),
    ]
)
_FILTERS = st.recursive(
    _ITEMS,
    lambda inner: (
        st.tuples(st.sampled_from("&|"), st.lists(inner, min_size=1, max_size=3)).map(
            lambda pair: f"({pair[0]}{''.join(pair[1])})"
        )
        | inner.map(lambda one: f"(!{one})")
    ),
    max_leaves=10,
)


@given(_FILTERS)
def test_a_filter_is_taken_and_can_be_sent(text):
    assert is_filter(text)
    assert compile_filter(parse_filter(text, None, False, False, None, False).elements[0])


@given(st.text("()&|!=*\\ab:", max_size=12).map(lambda text: f"({text})"))
@example("(uid=a)(uid=b)")
@example("(!(a=b)(c=d))")
@example("(&)")
@example("(=x)")
@example("(a=\\2)")
def test_what_is_taken_for_a_filter_can_be_sent(text):
    if is_filter(text):
        try:
            assert compile_filter(parse_filter(text, None, False, False, None, False).elements[0])
        except LDAPExceptionError as error:
            raise AssertionError(text) from error


@pytest.mark.parametrize("text", ["", "()", "(&)", "(a)", "(=x)", "(a=b", "a=b", "(a=b)x", "(!(a=b)(c=d))", "(a=(b))"])
def test_what_is_no_filter_is_refused(text):
    assert not is_filter(text)


def test_a_filter_nested_deeper_than_any_is_refused():
    assert not is_filter("(!" * 5000 + "(a=b)" + ")" * 5000)


def test_the_defaults_are_valid(load):
    for kind, preset in PRESETS.items():
        assert load(SMALL.replace("openldap", kind))[0] == DirectorySettings(
            **{**preset, "name": "main", "kind": kind},
            servers=("ldaps://ldap.example.org",),
            people_base=("dc=example",),
        )
    assert tomllib.loads(SMALL)


def test_a_password_is_asked_for_until_every_time_out_is_over():
    one = DirectorySettings(servers=("ldap://a",), people_base=("a",))
    slow = replace(one, answer_timeout_seconds=60)
    assert one.longest_answer >= timedelta(seconds=2 * (5 + 10) + 2 * (5 + 10))
    for longer in (slow, replace(one, servers=("ldap://a", "ldap://b")), replace(one, people_base=("a", "b"))):
        assert longer.longest_answer > one.longest_answer
    assert pending_for(Directory(slow)) == slow.longest_answer
    assert (
        pending_for(Directory(replace(one, connect_timeout_seconds=1, answer_timeout_seconds=1)))
        == sign_ins.PENDING_FOR
    )

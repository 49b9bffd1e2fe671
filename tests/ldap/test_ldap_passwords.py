"""What a real slapd with a password policy says to passwords, and what other servers' answers mean."""

from __future__ import annotations

import pytest

from radicale_shared.ldap import Verdict, messages, verdicts
from radicale_shared.ldap.messages import Result
from tests.ldap import people
from tests.ldap.slapd import entry

SUFFIX = "dc=example,dc=org"
POLICY = f"cn=policy,{SUFFIX}"


@pytest.fixture
def strict(new_slapd, directory):
    """A slapd that locks after three wrong passwords, with people in every state."""
    ldif = people.company()
    ldif += entry(
        POLICY,
        objectClass=["device", "pwdPolicy"],
        pwdAttribute="userPassword",
        pwdMaxFailure="3",
        pwdLockout="TRUE",
        pwdMaxAge="86400",
        pwdMustChange="TRUE",
    )
    old = {"pwdChangedTime": "20200101000000Z"}
    ldif += people.person("olga", "Olga Old", SUFFIX, **old)
    ldif += entry(
        f"cn=lenient,{SUFFIX}",
        objectClass=["device", "pwdPolicy"],
        pwdAttribute="userPassword",
        pwdMaxAge="86400",
        pwdGraceAuthnLimit="3",
    )
    ldif += people.person("gina", "Gina Grace", SUFFIX, pwdPolicySubentry=f"cn=lenient,{SUFFIX}", **old)
    ldif += people.person("rita", "Rita Reset", SUFFIX, pwdReset="TRUE")
    ldif += people.person("none", "Without a Password", SUFFIX, userPassword=[])
    server = new_slapd(ldif, more=["overlay ppolicy", f"ppolicy_default {POLICY}", "ppolicy_use_lockout"])
    return directory(server.settings())


@pytest.mark.parametrize(
    ("login", "password", "verdict"),
    [
        ("ada", "ada-secret", Verdict.RIGHT),
        ("zoë", "zoë-secret", Verdict.RIGHT),
        ("ada", "Ada-secret", Verdict.WRONG),
        ("ada", " ", Verdict.WRONG),
        ("ada", "\0", Verdict.WRONG),
        ("ada", "ada-secret\0", Verdict.WRONG),
        ("ada", "x" * 100_000, Verdict.WRONG),
        ("ada", "\u00ad", Verdict.WRONG),
        ("carla", "carla-secret", Verdict.LOCKED),
        ("olga", "olga-secret", Verdict.PASSWORD_EXPIRED),
        ("gina", "gina-secret", Verdict.RIGHT),
        ("rita", "rita-secret", Verdict.PASSWORD_EXPIRED),
        ("none", "none-secret", Verdict.WRONG),
    ],
    ids=ascii,
)  # fmt: skip
def test_a_password_is(strict, login, password, verdict):
    (person,) = strict.find(login)
    assert strict.check(person, password) is verdict


def test_an_account_that_wrong_passwords_locked_is_told(strict):
    (ben,) = strict.find("ben")
    assert [strict.check(ben, "no") for _ in range(3)] == [Verdict.WRONG] * 3
    assert strict.check(ben, "ben-secret") is Verdict.LOCKED


def test_nobody_s_password_costs_the_same_request_and_locks_nobody(company, directory):
    asked = directory(company.settings())
    asked.check_nobody("first")
    before = asked.operations
    asked.check_nobody("ada-secret")
    assert asked.operations == before + 1


@pytest.mark.parametrize(
    ("pattern", "verdict"),
    [("uid={login},ou=people,dc=example,dc=org", Verdict.RIGHT), ("uid={login},ou=elsewhere,dc=org", Verdict.WRONG)],
)
def test_a_pattern_may_name_whom_to_bind_as(company, directory, pattern, verdict):
    asked = directory(company.settings(bind_as=pattern))
    for login in ("ada", "o'brien"):
        (person,) = asked.find(login)
        assert asked.check(person, f"{login}-secret") is verdict


def test_a_pattern_takes_the_entry_s_login_and_not_the_alias_that_was_typed(new_slapd, directory):
    ldif = people.company() + people.person("augusta", "Augusta", SUFFIX, mail="ben@example.org")
    server = new_slapd(ldif)
    server.remove(f"uid=ben,ou=people,{SUFFIX}")
    server.add(f"uid=ben@example.org,ou=people,{SUFFIX}", objectClass="account", uid="ben@example.org")
    asked = directory(server.settings(bind_as="uid={login},ou=people,dc=example,dc=org"))
    (augusta,) = asked.find("ben@example.org")
    assert asked.check(augusta, "augusta-secret") is Verdict.RIGHT


# What servers answer that can't be run here; texts as their documentation and sources have them.
AD = "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data {}, v3839"


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        ("525", Verdict.WRONG),
        ("52e", Verdict.WRONG),
        ("530", Verdict.NOT_NOW),
        ("531", Verdict.NOT_NOW),
        ("532", Verdict.PASSWORD_EXPIRED),
        ("533", Verdict.DISABLED),
        ("701", Verdict.DISABLED),
        ("773", Verdict.PASSWORD_EXPIRED),
        ("775", Verdict.LOCKED),
        ("999", Verdict.WRONG),
    ],
)
def test_active_directory_s_number_means(data, verdict):
    assert verdicts.of(Result(49, AD.format(data))) is verdict


@pytest.mark.parametrize(
    ("code", "text", "verdict"),
    [
        (53, "Account inactivated. Contact system administrator.", Verdict.DISABLED),
        (19, "Exceed password retry limit. Please try later.", Verdict.LOCKED),
        (49, "password expired!", Verdict.WRONG),
        (32, "", Verdict.WRONG),
        (34, "invalid DN", Verdict.WRONG),
        (48, "", Verdict.WRONG),
        (8, "", None),
        (53, "unauthenticated bind (DN with no password) disallowed", None),
        (80, "internal error", None),
    ],
)
def test_a_result_means(code, text, verdict):
    assert verdicts.of(Result(code, text)) is verdict


@pytest.mark.parametrize(
    ("code", "value", "verdict"),
    [
        (49, "3003810100", Verdict.PASSWORD_EXPIRED),
        (49, "3003810101", Verdict.LOCKED),
        (49, "3003810103", Verdict.WRONG),
        (49, "3000", Verdict.WRONG),
        (0, "3003810102", Verdict.PASSWORD_EXPIRED),  # to be changed after a reset, and good for nothing else
        (0, "3008a003810102810100", Verdict.RIGHT),  # expired, with two grace logins left
        (0, "3005a003800105", Verdict.RIGHT),  # a warning: it expires in 5 seconds
        (0, "3000", Verdict.RIGHT),
    ],
)
def test_the_password_policy_s_control_means(code, value, verdict):
    assert verdicts.of(Result(code, "", {messages.POLICY: bytes.fromhex(value)})) is verdict

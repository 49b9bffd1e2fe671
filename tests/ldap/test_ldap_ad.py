"""Active Directory, by a Samba domain controller: people, all their groups, passwords and what it says to them."""

from __future__ import annotations

import uuid

import ldap3
import pytest

from radicale_shared.errors import DirectoryUnavailableError
from radicale_shared.ldap import Verdict, folded_dn
from tests.ldap.samba import ADMINISTRATOR, PASSWORD, SUFFIX


@pytest.fixture
def asked(domain, directory):
    return directory(domain.settings())


@pytest.fixture
def new_person(domain):
    """Makes a person with a login of their own; returns the login and the DN."""

    def make(name=""):
        login = uuid.uuid4().hex[:16]
        dn = f"CN={name or login},CN=Users,{SUFFIX}"
        with domain.administrator() as connection:
            values = {"sAMAccountName": login, "userPrincipalName": f"{login}@example.org", "displayName": "Somebody"}
            connection.add(dn, ["user"], {**values, "unicodePwd": f'"{PASSWORD}"'.encode("utf-16-le")})
            connection.modify(dn, {"userAccountControl": [(ldap3.MODIFY_REPLACE, ["512"])]})
        return login, dn

    return make


def names_of(asked, keys):
    return {group.name for group in asked.groups(keys).values()}


# -- people


@pytest.mark.parametrize(("login", "domain_typed"), [("ada", ""), ("ADA", "EXAMPLE"), ("Ada", "example.org")])
def test_a_login_is_found_with_and_without_a_domain_in_any_case(asked, login, domain_typed):
    (ada,) = asked.find(login, domain_typed)
    assert (ada.login, ada.name, ada.email, ada.domain) == ("ada", "Ada Lovelace", "ada@example.org", "example.org")
    assert ada.active


def test_a_principal_name_that_is_not_the_login_is_found(domain, asked, new_person):
    login, dn = new_person()
    other = uuid.uuid4().hex
    with domain.administrator() as connection:
        connection.modify(dn, {"userPrincipalName": [(ldap3.MODIFY_REPLACE, [f"{other}@example.org"])]})
    assert [person.login for person in asked.find(other)] == [login]
    assert [person.login for person in asked.find(other, "example.org")] == [login]


@pytest.mark.parametrize("typed", ["*", "a*", "(", "a\\da", "\0", "dc$*", "ada)(cn=*"], ids=ascii)
def test_an_odd_login_finds_nobody(asked, typed):
    assert asked.find(typed) == []


def test_computers_are_no_people(asked):
    assert asked.find("DC$") == []


def test_a_person_keeps_the_key_when_everything_else_changes(domain, asked, new_person):
    login, dn = new_person()
    (before,) = asked.find(login)
    new = uuid.uuid4().hex[:16]
    with domain.administrator() as connection:
        names = {"sAMAccountName": new, "userPrincipalName": f"{new}@example.org"}
        connection.modify(dn, {name: [(ldap3.MODIFY_REPLACE, [value])] for name, value in names.items()})
        connection.modify_dn(dn, f"CN={new}", new_superior=SUFFIX)
    after = asked.person(before.key)
    assert (after.login, folded_dn(after.dn)) == (new, folded_dn(f"CN={new},{SUFFIX}"))
    assert str(uuid.UUID(after.key)) == after.key
    assert asked.find(login) == []


def test_who_is_removed_is_gone(domain, asked, new_person):
    login, dn = new_person()
    (before,) = asked.find(login)
    with domain.administrator() as connection:
        connection.delete(dn)
    assert (asked.person(before.key), asked.find(login)) == (None, [])


@pytest.mark.parametrize(
    ("login", "because"),
    [("ada", ""), ("dora", "disabled (userAccountControl)"), ("eva", "expired (accountExpires)"), ("max", "")],
)
def test_disabled_and_expired_people_are_told(asked, login, because):
    (person,) = asked.find(login)
    assert (person.active, person.inactive_because) == (not because, because)


def test_a_new_password_is_noticed(domain, asked, new_person):
    login, dn = new_person()
    (before,) = asked.find(login)
    with domain.administrator() as connection:
        new = '"Another-1"'.encode("utf-16-le")
        connection.modify(dn, {"unicodePwd": [(ldap3.MODIFY_REPLACE, [new])]})
    (after,) = asked.find(login)
    assert before.password_changed != after.password_changed
    assert [asked.check(after, password) for password in ("Another-1", "Another-2")] == [Verdict.RIGHT, Verdict.WRONG]


# -- passwords


@pytest.mark.parametrize(
    ("login", "verdict"),
    [
        ("ada", Verdict.RIGHT),
        ("dora", Verdict.DISABLED),
        ("eva", Verdict.DISABLED),
        ("max", Verdict.PASSWORD_EXPIRED),
    ],
)
def test_a_right_password_of_an_account_in_this_state_is(asked, login, verdict):
    (person,) = asked.find(login)
    assert asked.check(person, PASSWORD) is verdict


@pytest.mark.parametrize("bind_as", ["", "{login}@example.org", "EXAMPLE\\{login}"])
def test_a_password_is_checked_by_dn_principal_name_or_old_name(domain, directory, new_person, bind_as):
    asked = directory(domain.settings(bind_as=bind_as))
    login, _ = new_person()
    (person,) = asked.find(login)
    assert (asked.check(person, PASSWORD), asked.check(person, "wrong")) == (Verdict.RIGHT, Verdict.WRONG)


def test_too_many_wrong_passwords_lock(asked, new_person):
    login, _ = new_person()
    (person,) = asked.find(login)
    assert [asked.check(person, f"wrong {number}") for number in range(5)] == [Verdict.WRONG] * 5
    assert asked.check(person, PASSWORD) is Verdict.LOCKED


def test_a_password_over_a_plain_connection_is_refused_with_the_reason(domain, directory):
    asked = directory(domain.settings(servers=(domain.plain.url,), start_tls=False, allow_plaintext=True))
    with pytest.raises(DirectoryUnavailableError, match="over TLS only, use ldaps:// or start_tls"):
        asked.find("ada")


def test_start_tls_serves_as_well(domain, directory):
    asked = directory(domain.settings(servers=(domain.plain.url,)))
    (ada,) = asked.find("ada")
    assert asked.check(ada, PASSWORD) is Verdict.RIGHT


@pytest.mark.parametrize("reader", ["Administrator@example.org", "EXAMPLE\\Administrator", ADMINISTRATOR])
def test_the_reader_may_be_named_in_each_way(domain, directory, reader):
    assert directory(domain.settings(bind_dn=reader)).find("ada")


# -- groups


def test_all_groups_of_a_person_are_told_nested_ones_and_the_primary_one(asked):
    (ada,), (ben,) = asked.find("ada"), asked.find("ben")
    assert names_of(asked, asked.groups_of(ada)) == {"Inner", "Middle", "Outer", "Domain Users"}
    assert names_of(asked, asked.groups_of(ben)) == {"Inner", "Middle", "Outer", "Domain Users"}  # by the cycle


def test_the_groups_of_a_person_cost_two_round_trips(asked):
    (ada,) = asked.find("ada")
    before = asked.operations
    asked.groups_of(ada)
    assert asked.operations == before + 2


def test_direct_members_of_groups_are_told(asked):
    by_name = {group.name: group for group in asked.all_groups()}
    users = folded_dn(f"CN=Users,{SUFFIX}")
    assert by_name["Inner"].members == {f"cn=ada,{users}", f"cn=outer,{users}"}
    assert by_name["Outer"].members == {f"cn=middle,{users}", f"cn=ben,{users}"}
    assert "Administrators" not in by_name  # Windows' own, of which there are many


def test_who_is_gone_has_no_groups(domain, asked, new_person):
    login, dn = new_person()
    (person,) = asked.find(login)
    with domain.administrator() as connection:
        connection.delete(dn)
    assert asked.groups_of(person) == set()


def test_a_person_with_commas_and_brackets_in_the_name_has_groups_and_a_password(asked, new_person):
    login, _ = new_person(name=f"Bitdiddle\\, Eva (Lu) \\+ é {uuid.uuid4().hex}")
    (eva,) = asked.find(login)
    assert names_of(asked, asked.groups_of(eva)) == {"Domain Users"}
    assert asked.check(eva, PASSWORD) is Verdict.RIGHT


def test_values_that_come_in_parts_are_put_together(asked):
    (whole,) = asked.search([SUFFIX], "(cn=Outer)", ["member"])
    (parts,) = asked.search([SUFFIX], "(cn=Outer)", ["member;range=0-0"])
    assert len(whole.texts("member")) == 2
    assert set(parts.texts("member")) == set(whole.texts("member"))


# -- searches


def test_references_to_other_parts_of_the_forest_are_not_asked_for(asked):
    assert len(list(asked.search([SUFFIX], "(objectCategory=person)", ["cn"]))) >= 7


def test_what_changed_since_is_told_by_the_directory_s_clock(domain, asked, new_person):
    login, dn = new_person()
    then = asked.now()
    assert list(asked.search([SUFFIX], f"(sAMAccountName={login})", ["cn"], changed_since="20990101000000.0Z")) == []
    with domain.administrator() as connection:
        connection.modify(dn, {"description": [(ldap3.MODIFY_REPLACE, ["new"])]})
    assert list(asked.search([SUFFIX], f"(sAMAccountName={login})", ["cn"], changed_since=then))

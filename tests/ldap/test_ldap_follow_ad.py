"""Following Active Directory, by a Samba domain controller: tokens, primary groups, disabled accounts, renames."""

from __future__ import annotations

import uuid

import ldap3
import pytest

from radicale_shared.ldap.check import check
from radicale_shared.ldap.sign_in import place
from tests.ldap.followed import Followed
from tests.ldap.samba import SUFFIX

USERS = f"CN=Users,{SUFFIX}"


@pytest.fixture
def followed(db, directory, domain):
    """Follows the domain."""
    return Followed(db, directory(domain.settings()))


class Changing:
    """What an administrator of the domain does; people and groups have names of their own in each test."""

    def __init__(self, domain):
        self.domain = domain

    def person(self):
        """(login, DN) of a new one."""
        login = f"u{uuid.uuid4().hex[:12]}"
        dn = f"CN={login},{USERS}"
        with self.domain.administrator() as connection:
            values = {"sAMAccountName": login, "unicodePwd": '"Secret-1"'.encode("utf-16-le")}
            connection.add(dn, ["user"], values)
            connection.modify(dn, {"userAccountControl": [(ldap3.MODIFY_REPLACE, ["512"])]})
        return login, dn

    def group(self, *members):
        """(slug, DN) of a new one."""
        name = f"g{uuid.uuid4().hex[:12]}"
        dn = f"CN={name},{USERS}"
        with self.domain.administrator() as connection:
            connection.add(dn, ["group"], {"sAMAccountName": name, **({"member": list(members)} if members else {})})
        return name, dn

    def members(self, dn, *members):
        with self.domain.administrator() as connection:
            connection.modify(dn, {"member": [(ldap3.MODIFY_REPLACE, list(members))]})

    def set(self, dn, **values):
        with self.domain.administrator() as connection:
            connection.modify(dn, {name: [(ldap3.MODIFY_REPLACE, [value])] for name, value in values.items()})

    def token_of(self, dn):
        with self.domain.administrator() as connection:
            connection.search(dn, "(objectClass=*)", search_scope=ldap3.BASE, attributes=["primaryGroupToken"])
            return str(connection.entries[0]["primaryGroupToken"].value)


@pytest.fixture
def changing(domain):
    return Changing(domain)


def test_a_person_has_all_groups_of_the_token_and_a_round_leaves_them(followed, changing):
    login, dn = changing.person()
    inner, inner_dn = changing.group(dn)
    outer, _ = changing.group(inner_dn)
    followed.everything()
    followed.sign_in(login)
    assert {inner, outer, "domain-users"} <= set(followed.groups_of(login))
    followed.grant(outer)
    assert followed.may_read(login) == ["shared"]
    for look in (followed.round, followed.everything, followed.round):
        report = look()
        assert (report.left, report.guard) == (0, "")
    assert {inner, outer, "domain-users"} <= set(followed.groups_of(login))


def test_whoever_leaves_an_inner_group_loses_the_outer_one_in_the_next_round(followed, changing):
    login, dn = changing.person()
    other, other_dn = changing.person()
    _, inner_dn = changing.group(dn, other_dn)
    outer, _ = changing.group(inner_dn)
    followed.everything()
    followed.sign_in(login, other)
    followed.grant(outer)
    followed.round()
    changing.members(inner_dn, other_dn)
    followed.round()
    assert (followed.may_read(login), followed.may_read(other)) == ([], ["shared"])
    changing.members(inner_dn, dn, other_dn)
    followed.round()
    assert followed.may_read(login) == ["shared"]


def test_whoever_is_moved_while_they_are_asked_for_loses_no_group(followed, changing, domain):
    login, dn = changing.person()
    group, _ = changing.group(dn)
    followed.everything()
    followed.sign_in(login)
    (before,) = followed.directory.find(login)
    with domain.administrator() as connection:
        connection.modify_dn(dn, f"CN={login}", new_superior=SUFFIX)
    (after,) = followed.directory.find(login)
    assert after.dn != before.dn
    assert followed.directory.groups_of(before) == followed.directory.groups_of(after) != set()
    followed.round()
    assert group in followed.groups_of(login)


def test_the_primary_group_counts(followed, changing):
    login, dn = changing.person()
    group, group_dn = changing.group(dn)
    followed.everything()
    changing.set(dn, primaryGroupID=changing.token_of(group_dn))  # now no member says so any more
    followed.sign_in(login)
    followed.grant(group)
    followed.round()
    followed.everything()
    assert followed.may_read(login) == ["shared"]


def test_disabled_and_expired_accounts_are_out_and_come_back(followed, changing):
    disabled, disabled_dn = changing.person()
    expired, expired_dn = changing.person()
    followed.sign_in(disabled, expired)
    changing.set(disabled_dn, userAccountControl="514")
    changing.set(expired_dn, accountExpires="116444736000000000")
    assert followed.round().disabled == 2
    assert {followed.person(login).state for login in (disabled, expired)} == {"disabled"}
    changing.set(disabled_dn, userAccountControl="512")
    changing.set(expired_dn, accountExpires="0")
    assert followed.round().enabled == 2


def test_a_renamed_person_and_a_renamed_group_are_the_same(followed, changing, domain):
    login, dn = changing.person()
    group, group_dn = changing.group(dn)
    followed.everything()
    followed.sign_in(login)
    followed.grant(group)
    new = f"n{uuid.uuid4().hex[:12]}"
    changing.set(dn, sAMAccountName=new)
    with domain.administrator() as connection:
        connection.modify_dn(dn, f"CN={new}", new_superior=SUFFIX)
        connection.modify_dn(group_dn, f"CN=Renamed {group}")
    report = followed.round()
    assert (report.changed, report.guard) == (2, "")
    assert followed.person(new).slug == login
    assert followed.may_read(login) == ["shared"]


def test_a_person_who_was_deleted_is_out(followed, changing, domain):
    login, dn = changing.person()
    other, _ = changing.person()
    followed.sign_in(login, other)
    with domain.administrator() as connection:
        connection.delete(dn)
    assert followed.round().disabled == 1
    assert (followed.person(login).state, followed.person(other).state) == ("disabled", "active")


def test_a_new_password_in_the_directory_ends_what_was_remembered_of_the_old_one(followed, changing):
    login, dn = changing.person()
    followed.sign_in(login)
    followed.round()
    before = followed.version(login)
    followed.round()
    assert followed.version(login) == before
    changing.set(dn, unicodePwd='"Secret-2"'.encode("utf-16-le"))
    followed.round()
    assert followed.version(login) == before + 1


def test_a_check_shows_the_groups_of_the_token_as_a_tree(followed, changing):
    login, dn = changing.person()
    inner, inner_dn = changing.group(dn)
    outer, _ = changing.group(inner_dn)
    followed.everything()
    found = check(followed.directory, followed.db, place([followed.directory], f"EXAMPLE\\{login}"), "Secret-1")
    assert [step for step in found.steps if not step.is_well] == []
    tree = [(line.level, line.name) for line in found.groups]
    assert tree[tree.index((1, inner)) + 1] == (2, outer)
    assert (1, "Domain Users") in tree
    assert (found.login, found.slug, found.books) == (login, login, [])


def test_a_check_tells_that_an_account_is_disabled_and_a_password_wrong(followed, changing):
    login, dn = changing.person()
    followed.everything()
    changing.set(dn, userAccountControl="514")
    found = check(followed.directory, followed.db, place([followed.directory], login), "wrong")
    wrong = {step.what: step.said for step in found.steps if not step.is_well}
    assert wrong["active"] == "no: disabled (userAccountControl)"
    assert wrong["password"] in {"wrong", "disabled"}

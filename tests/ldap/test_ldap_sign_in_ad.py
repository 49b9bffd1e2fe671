"""Signing in at an Active Directory: its accounts are never locked from here, and what it says of them is believed."""

from __future__ import annotations

import uuid
from datetime import timedelta

import ldap3
import pytest

from radicale_shared.errors import AccountAtRiskError
from radicale_shared.ldap import Verdict
from radicale_shared.ldap.sign_in import Refusal
from tests.ldap.door import Door
from tests.ldap.samba import PASSWORD, SUFFIX


@pytest.fixture
def new_login(domain):
    """Makes a person; returns the login."""

    def make():
        login = uuid.uuid4().hex[:16]
        dn = f"CN={login},CN=Users,{SUFFIX}"
        with domain.administrator() as connection:
            values = {"sAMAccountName": login, "userPrincipalName": f"{login}@example.org", "displayName": "Somebody"}
            connection.add(dn, ["user"], {**values, "unicodePwd": f'"{PASSWORD}"'.encode("utf-16-le")})
            connection.modify(dn, {"userAccountControl": [(ldap3.MODIFY_REPLACE, ["512"])]})
        return login

    return make


@pytest.fixture
def door(db, directory, domain):
    return Door(db, directory(domain.settings()))


def test_every_way_to_write_a_login_is_the_same_person(door, new_login):
    login = new_login()
    typed = (login, login.upper(), f"{login}@example.org", f"EXAMPLE\\{login}", f"example.org\\{login}")
    assert {door.slug(one, PASSWORD) for one in typed} == {login}


def test_guesses_never_lock_the_account(door, new_login):
    login = new_login()
    assert door.slug(login, PASSWORD) == login
    answers = []
    for number in range(50):
        try:
            answers.append(door.slug(login, f"guess {number}"))
        except AccountAtRiskError:
            answers.append("at risk")
    assert answers == [Refusal.WRONG] * 3 + ["at risk"] * 47
    assert door.slug(login, PASSWORD) == login
    door.later(timedelta(minutes=16))
    assert door.slug(login, PASSWORD) == login
    (entry,) = door.directories[0].find(login)
    assert door.directories[0].check(entry, PASSWORD) is Verdict.RIGHT


def test_a_locked_account_is_no_wrong_password_and_who_signed_in_goes_on(door, new_login):
    login = new_login()
    assert door.slug(login, PASSWORD) == login
    door.later(timedelta(minutes=16))
    (entry,) = door.directories[0].find(login)
    for number in range(5):
        door.directories[0].check(entry, f"elsewhere {number}")

    assert door.slug(login, PASSWORD) == login
    with pytest.raises(AccountAtRiskError):
        door.sign_in(login, "another")
    assert door.remembered(login) == ["right"]


@pytest.mark.parametrize(
    ("login", "refusal"), [("dora", Refusal.DISABLED), ("eva", Refusal.DISABLED), ("max", Refusal.EXPIRED)]
)
def test_who_may_not_sign_in_with_a_right_password_does_not(door, login, refusal):
    assert door.slug(login, PASSWORD) is refusal
    assert door.remembered(login) == []


def test_whoever_is_disabled_is_out_at_the_next_question(door, domain, new_login):
    login = new_login()
    assert door.slug(login, PASSWORD) == login
    with domain.administrator() as connection:
        dn = f"CN={login},CN=Users,{SUFFIX}"
        connection.modify(dn, {"userAccountControl": [(ldap3.MODIFY_REPLACE, ["514"])]})
    door.later(timedelta(minutes=16))

    assert door.slug(login, PASSWORD) is Refusal.DISABLED
    assert (door.person(login).state, door.person(login).disabled_by) == ("disabled", "directory")

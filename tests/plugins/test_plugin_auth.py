"""Signing in: logins, slugs, and a memory of passwords that ends with them."""

import pytest
from radicale_shared.auth_plugin import Auth

from radicale_shared import passwords, people

BOOK = "/ada/contacts/"


@pytest.fixture
def verified(monkeypatch):
    """The passwords that were verified the costly way."""
    seen = []
    real = passwords.matches

    def counted(password, stored):
        seen.append(password)
        return real(password, stored)

    monkeypatch.setattr(passwords, "matches", counted)
    return seen


def test_a_login_may_be_written_in_any_case_and_leads_to_the_slug(ada, tools):
    client = tools.client(ada.application, "ADA", "adaada")

    assert client.propfind("/", "D:current-user-principal").text("/", "D:current-user-principal") == "/ada/"


def test_a_new_login_keeps_the_old_address(ada, db, tools):
    with db.write() as session:
        people.rename_user(session, "ada", "Ada.King@example.org")
    client = tools.client(ada.application, "ada.king@example.org", "adaada")

    assert client.propfind(BOOK, "D:displayname").status == 207
    assert ada.propfind(BOOK, "D:displayname").status == 401


def test_a_password_is_verified_once_and_then_remembered(organisation, db, tools, verified):
    ada = tools.client(tools.application(tools.configuration(db.url)), "ada")

    assert [ada.propfind(BOOK, "D:getetag").status for _ in range(3)] == [207] * 3
    assert verified == ["adaada"]


def test_wrong_and_unknown_passwords_are_refused_every_time_and_verified_once(ada, tools, verified):
    for login, password in (("ada", "wrong"), ("nobody", "adaada"), ("ada", "ADAADA"), ("sales", "salessales")):
        client = tools.client(ada.application, login, password)
        assert [client.propfind(BOOK, "D:getetag").status for _ in range(2)] == [401, 401]
    assert len(verified) == 4


def test_a_new_password_ends_the_old_one_at_once(ada, db, tools):
    assert ada.propfind(BOOK, "D:getetag").status == 207
    with db.write() as session:
        people.set_password(session, "ada", "new password")

    assert ada.propfind(BOOK, "D:getetag").status == 401
    assert tools.client(ada.application, "ada", "new password").propfind(BOOK, "D:getetag").status == 207


def test_a_disabled_user_is_out_with_the_next_request_and_back_with_the_one_after(ada, db):
    assert ada.propfind(BOOK, "D:getetag").status == 207
    with db.write() as session:
        people.set_enabled(session, "ada", enabled=False)
    assert ada.propfind(BOOK, "D:getetag").status == 401
    with db.write() as session:
        people.set_enabled(session, "ada", enabled=True)
    assert ada.propfind(BOOK, "D:getetag").status == 207


def test_all_plugins_of_a_process_share_one_memory_of_passwords(organisation, db, tools):
    first, second = Auth(tools.configuration(db.url)), Auth(tools.configuration(db.url))

    assert first._memory is second._memory


def test_radicale_is_told_no_groups(organisation, db, tools):
    login = Auth(tools.configuration(db.url))._login_ext_with_groups

    assert login("ada", "adaada", None) == ("ada", set())
    assert login("ada", "wrong", None) == ("", set())

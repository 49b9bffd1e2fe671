"""Signing in over HTTP: directories, the order of things, guessing, and the lines in the log."""

from __future__ import annotations

import configparser
import logging
import re
import time
from base64 import b64encode
from datetime import timedelta
from pathlib import Path

import pytest
from radicale_shared.auth_plugin import Auth, memory
from sqlalchemy import select, update

from radicale_shared import books, devices, passwords, people, sign_ins
from radicale_shared.changes import Actor
from radicale_shared.dav.application import Application as Served
from radicale_shared.errors import BusyError
from radicale_shared.models import Principal, SignIn, now
from tests.conftest import BY
from tests.ldap.conftest import _has_slapd, new_slapd, relay  # noqa: F401  # fixtures
from tests.ldap.people import branch as people_of_the_branch
from tests.ldap.slapd import READER_PASSWORD

BOOK = "/ada/contacts/"
PRINCIPAL = "D:current-user-principal"


@pytest.fixture(params=["serve", "plain Radicale"])
def made_with(request, tools):
    """Makes the application of a configuration: our server's, or Radicale's own with our plugins."""
    return Served if request.param == "serve" else tools.application


@pytest.fixture
def log(caplog):
    """The messages of failed sign-ins."""
    caplog.set_level(logging.INFO)

    def messages():
        return [one.getMessage() for one in caplog.records if one.getMessage().startswith("Failed login from")]

    return messages


@pytest.fixture
def verifications(monkeypatch):
    """The passwords that cost an argon2id."""
    seen = []
    for name in ("matches", "digest"):
        real = getattr(passwords, name)

        def counted(password, *args, real=real, **more):
            seen.append(password)
            return real(password, *args, **more)

        monkeypatch.setattr(passwords, name, counted)
    return seen


@pytest.fixture
def company(tmp_path, new_slapd, relay):  # noqa: F811
    """(the options of a configuration with a directory, the relay before it, its slapd)"""
    server = new_slapd()
    between = relay(server.port)
    path = tmp_path / "settings.toml"
    path.write_text(
        f"""
        [[directory]]
        name = "main"
        kind = "openldap"
        servers = ["{between.url}"]
        start_tls = false
        allow_plaintext = true
        bind_dn = "{server.reader}"
        bind_password = "{READER_PASSWORD}"
        domains = ["example.org"]
        people_base = ["ou=people,dc=example,dc=org"]
        group_base = ["ou=groups,dc=example,dc=org"]
        connect_timeout_seconds = 1
        answer_timeout_seconds = 1
        """
    )
    path.chmod(0o600)
    return {"settings_file": str(path)}, between, server


@pytest.fixture
def served(db, tools, company, made_with):
    """Makes somebody's client: ``served("zoe", "password")``; ``served.between`` is the relay before the directory."""

    class Door:
        options, between, server = company
        application = made_with(
            tools.configuration(
                db.url,
                storage={"type": "radicale_shared.storage_plugin", "database_url": db.url, **options},
                logging={"level": "info"},
            )
        )

        def __call__(self, login, password, **more):
            return tools.client(self.application, login, password, **more)

        def status(self, login, password, **more):
            return self(login, password, **more).propfind("/", PRINCIPAL).status

        def is_served(self):
            return made_with is Served

    return Door()


def add(db, login, password="secret"):
    with db.write() as session:
        return people.add_user(session, login, password=password)


def titles(client, slug):
    answer = client.propfind(f"/{slug}/", "D:displayname", depth="1")
    return sorted(href for href in answer.hrefs if href != f"/{slug}/")


# -- people of a directory ---------------------------------------------------------------------------------------------


def test_a_person_of_a_directory_signs_in_and_has_a_book_of_their_own(served):
    client = served("zoë", "zoë-secret")
    assert client.propfind("/", PRINCIPAL).text("/", PRINCIPAL) == "/zoe/"
    assert titles(client, "zoe") == ["/zoe/contacts/"]
    assert (
        client.put(
            "/zoe/contacts/x.vcf", b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:x\r\nFN:X\r\nN:X;;;;\r\nEND:VCARD\r\n"
        ).status
        == 201
    )


def test_a_signed_in_device_costs_no_more_than_a_local_user_s_and_asks_no_directory(served, db, statements):
    client = served("ben", "ben-secret")
    client.propfind("/ben/contacts/", "D:displayname")
    before = served.between.requests
    local = add(db, "local")
    mine = served("local", "secret")
    mine.propfind("/local/", "D:displayname")

    def cost(one, path):
        statements.clear()
        assert one.propfind(path, "D:displayname").status == 207
        return len(statements)

    assert 0 < cost(client, "/ben/") == cost(mine, f"/{local.slug}/")
    assert served.between.requests == before


def test_the_directory_is_asked_twice_for_a_sign_in(served, db):
    assert served.status("ben", "ben-secret") == 207
    assert served.status("zoë", "zoë-secret") == 207
    with db.write() as session:
        session.execute(update(SignIn).values(at=now() - timedelta(hours=1)))
        session.execute(update(Principal).values(auth_version=Principal.auth_version + 1))
    before = served.between.requests
    assert served.status("ben", "ben-secret") == 207
    assert served.between.requests == before + 2


def test_five_hundred_polls_with_an_old_password_reach_the_directory_once(served, verifications):
    served.status("ben", "ben-secret")
    served.status("ben", "open the second connection")
    before = served.between.requests
    del verifications[:]
    assert {served.status("ben", "old") for _ in range(500)} == {401}
    assert served.between.requests - before == 2  # one search, one bind
    assert verifications == ["old"]


def test_a_local_user_never_reaches_a_directory_whatever_the_password(served, db):
    add(db, "ada")
    add(db, "ben")
    with db.write() as session:
        people.set_enabled(session, "ben", enabled=False)
    assert served.status("ada", "secret") == 207
    for login in ("ada", "ADA", "ben"):
        assert served.status(login, f"{login.lower()}-secret") == 401
    assert served.between.requests == 0


def test_what_cannot_be_checked_is_no_wrong_password_and_who_signed_in_goes_on(served, db):
    assert served.status("ben", "ben-secret") == 207
    add(db, "local")
    served.between.refuse()
    with db.write() as session:  # the memory of the process ends, that of the database doesn't
        session.execute(update(SignIn).values(at=now() - timedelta(hours=1)))
        session.execute(update(Principal).values(auth_version=Principal.auth_version + 1))

    for login, password in (("ben", "wrong"), ("zoë", "zoë-secret"), ("nobody", "x")):
        answer = served(login, password).propfind("/", PRINCIPAL)
        assert answer.status == (503 if served.is_served() else 500)
        assert not served.is_served() or int(answer.headers["Retry-After"]) > 0
        assert "WWW-Authenticate" not in answer.headers
    assert served.status("ben", "ben-secret") == 207
    assert served.status("local", "secret") == 207
    assert served.status("local", "wrong") == 401

    served.between.accept()
    assert served.status("zoë", "zoë-secret") == 207
    assert served.status("nobody", "x") == 401


def test_guesses_at_an_account_are_lines_for_fail2ban_and_a_directory_that_is_down_is_none(served, log):
    for number in range(5):
        assert served.status("ben", f"guess {number}") == (401 if number < 3 else 503 if served.is_served() else 500)
    at_risk = "Failed login from 127.0.0.1: 'ben' (account-at-risk)"
    assert log()[3:] == [at_risk] * 2
    assert filter_of_fail2ban().search(PREFIXES[0] + at_risk)["host"] == "127.0.0.1"
    served.between.refuse()
    assert served.status("zoë", "zoë-secret") == (503 if served.is_served() else 500)
    assert len(log()) == 5


def test_a_device_password_needs_no_directory(served, db, statements):
    assert served.status("ben", "ben-secret") == 207
    with db.write() as session:
        ben = people.user(session, "ben")
        _, password = devices.add(session, ben, "phone", secret=db.secret, by=BY)
    served.between.refuse()
    before = served.between.opened
    assert served.status("ben", password) == 207
    assert served.status("ben", devices.new_password()) == 401
    assert served.between.opened == before


@pytest.mark.parametrize("password", ["", "\x00", "ben-secret\x00", "x" * 5000])
def test_what_nobody_can_have_as_a_password_reaches_no_directory(served, password, monkeypatch):
    client = served("ben", "x")
    monkeypatch.setattr(client, "password", password)
    client.environ["HTTP_AUTHORIZATION"] = basic("ben", password)
    assert client.propfind("/", PRINCIPAL).status == 401
    assert served.between.requests == 0


def test_a_login_that_would_take_seconds_to_compare_is_refused_unread(served, log, monkeypatch):
    folded = []
    real = people.folded
    monkeypatch.setattr(people, "folded", lambda login: folded.append(len(login)) or real(login))
    long = "a" + "\u0315\u0300" * 2000  # marks that have to be sorted: the work grows with their square
    for login in (long, f"{long}@example.org", f"ada@{long}", f"{long}\\ada"):
        assert served.status(login, "ada-secret") == 401
    assert max(folded, default=0) <= people.LONGEST_TYPED
    assert all(line.endswith("(no-login)") and len(line) < 10_000 for line in log())
    assert served.between.requests == 0


def basic(login, password):
    return "Basic " + b64encode(f"{login}:{password}".encode()).decode()


def test_an_unknown_login_costs_what_a_wrong_password_does(served, verifications):
    served.status("ben", "first")  # opens the connections
    costs = []
    for login in ("ben", "nobody"):
        before = served.between.requests, len(verifications)
        assert served.status(login, "wrong") == 401
        costs.append((served.between.requests - before[0], len(verifications) - before[1]))
    assert costs == [(2, 1), (2, 1)]


def test_a_directory_that_is_gone_from_the_configuration_lets_nobody_in(served, db, tools):
    assert served.status("ben", "ben-secret") == 207
    client = tools.client(Served(tools.configuration(db.url)), "ben", "ben-secret")
    assert client.propfind("/", PRINCIPAL).status == 401


def test_a_password_that_was_wrong_in_one_directory_may_be_right_in_another(served, new_slapd, tools, db):  # noqa: F811
    path = Path(served.options["settings_file"])
    branch = new_slapd(people_of_the_branch(), suffix="dc=branch,dc=example")
    one = path.read_text().replace('"main"', '"branch"').replace("dc=example,dc=org", "dc=branch,dc=example")
    one = one.replace(served.between.url, branch.url).replace('"example.org"', '"branch.example"')
    path.write_text(path.read_text() + one)
    both = Served(tools.configuration(db.url, storage=tools_storage(db, path)))

    def status(login):
        return tools.client(both, login, "branch-secret").propfind("/", PRINCIPAL).status

    # Nobody of them has ever signed in.
    assert [status(f"ada@{domain}") for domain in ("example.org", "branch.example", "example.org")] == [401, 207, 401]


def tools_storage(db, path):
    return {"type": "radicale_shared.storage_plugin", "database_url": db.url, "settings_file": str(path)}


# -- the first sign-in -------------------------------------------------------------------------------------------------


def test_a_local_user_s_first_sign_in_makes_their_book_once_in_a_life(db, tools):
    add(db, "dora")
    client = tools.client(Served(tools.configuration(db.url)), "dora", "secret")
    assert titles(client, "dora") == ["/dora/contacts/"]
    with db.write() as session:
        books.trash(session, books.find(session, "dora/contacts"), by=Actor(None, "test"))
    assert titles(client, "dora") == []
    with db.write() as session:
        session.execute(update(Principal).values(seen_at=now() - timedelta(days=1)))
    again = tools.client(Served(tools.configuration(db.url, auth=auth(password_cache_seconds="1"))), "dora", "secret")
    assert titles(again, "dora") == []


def test_a_device_s_first_sign_in_makes_it_too(db, tools):
    dora = add(db, "dora")
    with db.write() as session:
        _, password = devices.add(session, dora, "phone", secret=db.secret, by=BY)
    assert titles(tools.client(Served(tools.configuration(db.url)), "dora", password), "dora") == ["/dora/contacts/"]


def test_a_sign_in_is_written_down_once_an_hour(db, tools):
    add(db, "dora")

    def seen_at():
        with db.read() as session:
            return session.scalar(select(Principal.seen_at))

    def sign_in():
        memory._memories.clear()  # as in another process
        assert (
            tools.client(Served(tools.configuration(db.url)), "dora", "secret").propfind("/", PRINCIPAL).status == 207
        )

    sign_in()
    first = seen_at()
    sign_in()
    assert seen_at() == first
    long_ago = now() - timedelta(hours=2)
    with db.write() as session:
        session.execute(update(Principal).values(seen_at=long_ago))
    sign_in()
    # Behind the request's back: it waits for no other writer.
    until = time.monotonic() + 30
    while seen_at() == long_ago and time.monotonic() < until:
        time.sleep(0.01)
    assert seen_at() > first


def test_a_sign_in_that_cannot_be_written_down_succeeds(db, tools, monkeypatch, caplog):
    add(db, "dora")

    def fail(*_args, **_more):
        raise BusyError

    monkeypatch.setattr(sign_ins, "seen", fail)
    client = tools.client(Served(tools.configuration(db.url)), "dora", "secret")
    assert client.propfind("/", PRINCIPAL).status == 207
    assert "not written down" in caplog.text


# -- guessing ----------------------------------------------------------------------------------------------------------


def auth(**options):
    return {"type": "radicale_shared.auth_plugin", "delay": "0", **options}


@pytest.fixture
def guarded(organisation, db, tools, monkeypatch):
    """Makes clients of a server that allows 5 wrong passwords; no second passes, nothing was right before."""
    monkeypatch.setattr("radicale_shared.auth_plugin.auth.RIGHT_BEFORE", passwords.RightBefore())
    limits = {"attempts_per_address": "5", "attempts_per_account": "5", "trusted_proxies": "127.0.0.1"}
    configuration = tools.configuration(db.url, auth=auth(**limits))
    application = Served(configuration)
    # The one that is let through each second just was.
    attempts = Auth(configuration)._memory.attempts
    monkeypatch.setattr(attempts, "_passed_at", dict.fromkeys((True, False), float("inf")))

    def make(login, password="", address="192.0.2.1"):
        return tools.client(application, login, password, environ={"HTTP_X_FORWARDED_FOR": address})

    return make


def guess(guarded, number, login="ada", address="192.0.2.1"):
    return [guarded(login, f"guess {one}", address).propfind("/", PRINCIPAL).status for one in range(number)]


def test_too_many_different_wrong_passwords_are_looked_at_no_longer(guarded, verifications):
    assert guess(guarded, 8) == [401] * 5 + [429] * 3
    assert len(verifications) == 5
    answer = guarded("ada", "guess 99").propfind("/", PRINCIPAL)
    assert 0 < int(answer.headers["Retry-After"]) <= 60


def test_a_device_that_worked_goes_on_while_others_guess_from_its_address_at_its_account(guarded):
    assert guarded("ada").propfind(BOOK, "D:getetag").status == 207
    guess(guarded, 8)
    assert [guarded("ada").propfind(BOOK, "D:getetag").status for _ in range(5)] == [207] * 5
    # One that never worked waits, right or not: nobody can tell it from a guess.
    assert guarded("ben").propfind("/", PRINCIPAL).status == 429
    assert guarded("ben", address="198.51.100.1").propfind("/", PRINCIPAL).status == 207


def test_a_device_that_worked_goes_on_after_the_memory_of_its_password_has_ended(guarded, db):
    assert guarded("ada").propfind(BOOK, "D:getetag").status == 207
    guess(guarded, 8)
    with db.write() as session:
        people.set_enabled(session, "ada", enabled=False)
        people.set_enabled(session, "ada", enabled=True)
    assert guarded("ada").propfind(BOOK, "D:getetag").status == 207


def test_a_device_password_is_never_slowed_down(guarded, db):
    with db.write() as session:
        _, password = devices.add(session, people.user(session, "ben"), "phone", secret=db.secret, by=BY)
    guess(guarded, 8)
    assert guarded("ben", password).propfind("/", PRINCIPAL).status == 207


def test_an_old_password_counts_once_however_often_it_comes(guarded, verifications):
    assert {guarded("ada", "old").propfind("/", PRINCIPAL).status for _ in range(50)} == {401}
    assert verifications == ["old"]
    assert guarded("ben").propfind("/", PRINCIPAL).status == 207


def test_an_account_is_guarded_against_guesses_from_many_addresses(guarded):
    found = [guarded("ada", f"guess {one}", f"198.51.100.{one}").propfind("/", PRINCIPAL).status for one in range(8)]
    assert found == [401] * 5 + [429] * 3
    assert guarded("ben", address="198.51.100.1").propfind("/", PRINCIPAL).status == 207


def test_an_address_that_a_client_makes_up_is_not_believed(guarded, tools):
    application = guarded("ada").application
    found = []
    for one in range(8):
        environ = {"REMOTE_ADDR": "203.0.113.5", "HTTP_X_FORWARDED_FOR": f"198.51.100.{one}"}
        client = tools.client(application, f"user {one}", f"guess {one}", environ=environ)
        found.append(client.propfind("/", PRINCIPAL).status)
    assert found == [401] * 5 + [429] * 3


def test_a_plain_radicale_answers_with_an_error_and_no_401(organisation, db, tools, monkeypatch):
    configuration = tools.configuration(db.url, auth=auth(attempts_per_address="3"))
    application = tools.application(configuration)
    monkeypatch.setattr(Auth(configuration)._memory.attempts, "_passed_at", dict.fromkeys((True, False), float("inf")))
    found = [tools.client(application, "ada", f"guess {one}").propfind("/", PRINCIPAL).status for one in range(5)]
    assert found == [401] * 3 + [500] * 2


# -- the log -----------------------------------------------------------------------------------------------------------


def filter_of_fail2ban():
    """The sample's regular expression, with fail2ban's <HOST> as it reads addresses."""
    parser = configparser.RawConfigParser()
    parser.read_string((Path(__file__).parents[2] / "config" / "fail2ban.conf").read_text("utf-8"))
    return re.compile(parser["Definition"]["failregex"].replace("<HOST>", r"(?P<host>[0-9A-Fa-f:.]+)"))


def test_a_failed_sign_in_is_one_line_with_its_reason_and_no_password(organisation, db, tools, log, caplog):
    application = Served(tools.configuration(db.url, logging={"level": "debug"}))

    def status(login, password):
        return tools.client(application, login, password).propfind("/", PRINCIPAL).status

    with db.write() as session:
        people.set_enabled(session, "carla", enabled=False)
    lost = devices.new_password()
    for login, password in (
        ("ada", "hush-1"),
        ("ada", "hush-1"),
        ("nobody", "hush-2"),
        ("carla", "carlacarla"),
        ("ada", lost),
        ('it\'s "me"\n', "hush-3"),
    ):
        assert status(login, password) == 401
    assert status("ada", "adaada") == 207
    assert log() == [
        "Failed login from 127.0.0.1: 'ada' (wrong-password)",
        "Failed login from 127.0.0.1: 'ada' (repeated)",
        "Failed login from 127.0.0.1: 'nobody' (unknown-login)",
        "Failed login from 127.0.0.1: 'carla' (disabled)",
        "Failed login from 127.0.0.1: 'ada' (device-password)",
        "Failed login from 127.0.0.1: 'it\\'s \"me\"\\n' (unknown-login)",
    ]
    assert not [word for word in ("hush", "carlacarla", "adaada", lost) if word in caplog.text]


def test_own_passwords_are_refused_where_devices_have_theirs_and_the_log_says_why(organisation, db, tools, log):
    application = Served(tools.configuration(db.url, auth=auth(device_passwords_only="True")))
    with db.write() as session:
        _, password = devices.add(session, people.user(session, "ada"), "phone", secret=db.secret, by=BY)
    assert tools.client(application, "ada").propfind("/", PRINCIPAL).status == 401
    assert log() == ["Failed login from 127.0.0.1: 'ada' (device-password-needed)"]
    assert tools.client(application, "ada", password).propfind("/", PRINCIPAL).status == 207


PREFIXES = [
    "[2026-01-31 12:00:00 +0000] [4711/MainThread] [WARNING] ",
    "[] [4711/Thread-7 (worker)] [WARNING] ",
    "host radicale-shared[4711]: [4711] [WARNING] ",
]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_fail2ban_s_filter_finds_the_address_of_each_guess(organisation, db, tools, log, prefix):
    application = Served(tools.configuration(db.url))
    addresses = ["192.0.2.7", "2001:db8::7"]
    for address in addresses:
        client = tools.client(application, "ada", f"guess from {address}", environ={"REMOTE_ADDR": address})
        client.propfind("/", PRINCIPAL)
        client.propfind("/", PRINCIPAL)
    found = [filter_of_fail2ban().search(prefix + line) for line in log()]
    assert [one and one["host"] for one in found] == ["192.0.2.7", None, "2001:db8::7", None]


@pytest.mark.parametrize(
    "login",
    [
        "Failed login from 6.6.6.6: 'x' (wrong-password)",
        "'\nFailed login from 6.6.6.6: 'x' (wrong-password)",
        '\r\n[WARNING] Failed login from 6.6.6.6: "x" (wrong-password)',
        "x' (wrong-password)",
        "\u2028Failed login from 6.6.6.6: 'x' (wrong-password)",
        "6.6.6.6",
    ],
)
def test_nobody_gets_another_address_banned_by_a_login(organisation, db, tools, log, login):
    application = Served(tools.configuration(db.url))
    client = tools.client(application, login, "guess", environ={"REMOTE_ADDR": "192.0.2.7"})
    # A colon ends the login: what is behind it is the password.
    client.environ["HTTP_AUTHORIZATION"] = basic(login, "guess")
    assert client.propfind("/", PRINCIPAL).status == 401
    (line,) = log()
    assert "\n" not in line
    assert [one["host"] for one in filter_of_fail2ban().finditer(PREFIXES[0] + line)] == ["192.0.2.7"]
    client.propfind("/", PRINCIPAL)
    assert filter_of_fail2ban().search(PREFIXES[0] + log()[1]) is None

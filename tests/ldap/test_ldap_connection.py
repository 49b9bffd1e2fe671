"""Connections to a real slapd that is down, hangs, dies and comes back: what is asked again, and what is given up."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from radicale_shared.errors import DirectoryUnavailableError
from radicale_shared.ldap import Verdict, connection
from tests.ldap import people
from tests.ldap.slapd import READER_PASSWORD, entry

QUICK = {"connect_timeout_seconds": 1, "answer_timeout_seconds": 1}


@pytest.fixture
def before(company, relay):
    """A relay before the company's slapd."""
    return relay(company.port)


@pytest.fixture
def asked(company, before, directory):
    """The company behind the relay, with short time-outs."""
    return directory(company.settings(servers=(before.url,), **QUICK))


def logins(found):
    return [person.login for person in found]


def chain(error):
    """What an error and those that led to it say."""
    return [f"{error!r} {error}", *(chain(error.__context__) if error.__context__ else [])]


# -- what it costs


def test_nothing_is_opened_before_the_first_use(company, before, directory):
    directory(company.settings(servers=(before.url,)))
    assert before.opened == 0


def test_a_connection_is_kept_open(asked, before):
    for _ in range(3):
        assert logins(asked.find("ada")) == ["ada"]
    assert (before.opened, before.requests, asked.operations) == (1, 4, 4)


def test_a_warm_login_costs_two_round_trips(asked, before):
    (ada,) = asked.find("ada")
    asked.check(ada, "ada-secret")
    before.requests = 0
    (ben,) = asked.find("ben")
    assert asked.check(ben, "ben-secret") is Verdict.RIGHT
    assert before.requests == 2


def test_many_threads_share_four_connections_of_a_kind(asked, before):
    (ada,) = asked.find("ada")
    with ThreadPoolExecutor(64) as pool:
        found = list(pool.map(asked.find, ["ada", "ben"] * 100))
        verdicts = list(pool.map(lambda number: asked.check(ada, "ada-secret" if number % 2 else "no"), range(200)))
    assert [logins(one) for one in found] == [["ada"], ["ben"]] * 100
    assert verdicts == [Verdict.WRONG, Verdict.RIGHT] * 100
    assert before.opened <= 2 * connection.MOST


def test_a_connection_that_lies_idle_for_long_is_not_used_again(asked, before, monkeypatch):
    asked.find("ada")
    monkeypatch.setattr(connection, "IDLE_SECONDS", 0.0)
    assert logins(asked.find("ada")) == ["ada"]
    assert before.opened == 2


def test_after_close_the_next_use_opens_anew(asked, before):
    asked.find("ada")
    asked.close()
    assert logins(asked.find("ada")) == ["ada"]
    assert before.opened == 2


def test_nothing_is_read_as_a_person_who_signed_in(asked):
    (ada,) = asked.find("ada")
    for _ in range(10):
        asked.check(ada, "ada-secret")
    assert logins(asked.find("ben")) == ["ben"]  # Ada may read nothing


# -- down, hanging, dying, back


def test_a_server_that_is_down_is_unavailable_and_used_at_once_when_it_is_back(asked, before):
    before.refuse()
    with pytest.raises(DirectoryUnavailableError, match="can't be reached") as caught:
        asked.find("ada")
    assert (caught.value.directory, caught.value.retry_after) == ("main", 30)
    before.accept()
    assert logins(asked.find("ada")) == ["ada"]


def test_a_server_that_is_killed_and_started_again_is_not_noticed(new_slapd, directory):
    server = new_slapd()
    asked = directory(server.settings(**QUICK))
    (ada,) = asked.find("ada")
    asked.check(ada, "ada-secret")
    server.kill()
    server.start()
    assert logins(asked.find("ada")) == ["ada"]
    assert asked.check(ada, "ada-secret") is Verdict.RIGHT


def test_a_connection_that_was_dropped_is_opened_anew(asked, before):
    (ada,) = asked.find("ada")
    asked.check(ada, "ada-secret")
    before.drop()
    assert logins(asked.find("ada")) == ["ada"]
    assert asked.check(ada, "ada-secret") is Verdict.RIGHT


def test_a_server_that_hangs_is_unavailable_and_used_again_when_it_answers(new_slapd, directory):
    server = new_slapd()
    asked = directory(server.settings(**QUICK))
    asked.find("ada")
    server.freeze()
    with pytest.raises(DirectoryUnavailableError, match="doesn't answer"):
        asked.find("ada")
    server.thaw()
    assert logins(asked.find("ada")) == ["ada"]


@pytest.mark.parametrize("ask", ["find", "check", "stream"])
def test_a_server_that_takes_connections_and_never_answers_is_unavailable(company, asked, before, ask):
    (ada,) = asked.find("ada")
    before.hang()
    before.drop()
    calls = {
        "find": lambda: asked.find("ada"),
        "check": lambda: asked.check(ada, "ada-secret"),
        "stream": lambda: list(asked.all_groups()),
    }
    with pytest.raises(DirectoryUnavailableError, match="doesn't answer"):
        calls[ask]()


def test_a_handshake_that_hangs_is_unavailable(company, before, directory, authority):
    before.hang()
    asked = directory(company.settings(servers=(before.tls_url,), ca_file=str(authority.file), **QUICK))
    with pytest.raises(DirectoryUnavailableError, match="handshake"):
        asked.find("ada")


def test_octets_that_trickle_don_t_stretch_the_time_for_an_answer(asked, before):
    asked.find("ada")
    before.trickle()
    with pytest.raises(DirectoryUnavailableError, match="doesn't answer"):
        asked.find("ada")


def test_while_all_servers_fail_one_thread_tries_and_the_others_are_told(asked, before):
    before.hang()
    with pytest.raises(DirectoryUnavailableError):
        asked.find("ada")
    before.opened = 0
    refused = []

    def ask():
        with pytest.raises(DirectoryUnavailableError) as caught:
            asked.find("ada")
        refused.append(caught.value)

    threads = [threading.Thread(target=ask) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 24
    assert before.opened < 8


def test_a_name_that_has_no_address_is_unavailable(company, directory):
    asked = directory(company.settings(servers=("ldap://nowhere.invalid",)))
    with pytest.raises(DirectoryUnavailableError, match="can't be found"):
        asked.find("ada")


def test_each_address_of_a_name_is_tried(company, directory):
    asked = directory(company.settings(servers=(f"ldap://localhost:{company.port}",)))  # it listens on 127.0.0.1 alone
    assert logins(asked.find("ada")) == ["ada"]


# -- failing over


def test_the_next_server_is_asked_when_one_is_down(company, relay, directory):
    first, second = relay(company.port), relay(company.port)
    first.refuse()
    asked = directory(company.settings(servers=(first.url, second.url)))
    assert logins(asked.find("ada")) == ["ada"]
    assert second.opened == 1


def test_the_next_server_is_asked_when_one_hangs(company, relay, directory):
    first, second = relay(company.port), relay(company.port)
    asked = directory(company.settings(servers=(first.url, second.url), **QUICK))
    asked.find("ada")
    first.hang()
    assert logins(asked.find("ben")) == ["ben"]
    assert (first.opened, second.opened) == (1, 1)


def test_a_server_that_failed_is_left_alone_for_a_while(company, relay, directory):
    first, second = relay(company.port), relay(company.port)
    first.refuse()
    asked = directory(company.settings(servers=(first.url, second.url)))
    (ada,) = asked.find("ada")
    first.accept()
    asked.check(ada, "ada-secret")
    assert (first.opened, second.opened) == (0, 2)


def test_the_server_that_worked_last_is_asked_first(company, relay, directory, monkeypatch):
    monkeypatch.setattr(connection, "LEFT_ALONE_SECONDS", 0.0)
    first, second = relay(company.port), relay(company.port)
    first.refuse()
    asked = directory(company.settings(servers=(first.url, second.url)))
    asked.find("ada")
    first.accept()
    asked.close()
    asked.find("ada")
    assert (first.opened, second.opened) == (0, 2)


def test_a_server_that_failed_is_asked_when_the_others_fail_too(company, relay, directory):
    first, second = relay(company.port), relay(company.port)
    first.refuse()
    asked = directory(company.settings(servers=(first.url, second.url)))
    asked.find("ada")
    first.accept()
    second.refuse()
    assert logins(asked.find("ada")) == ["ada"]


# -- answers that aren't whole


@pytest.mark.parametrize("octets", [0, 1, 40, 400])
def test_an_answer_that_is_cut_off_is_no_answer(company, asked, before, octets):
    asked.find("ada")
    before.cut(octets)
    with pytest.raises(DirectoryUnavailableError):
        asked.groups([group.key for group in asked.all_groups()])


def test_a_stream_that_breaks_off_is_no_answer(large, relay, directory):
    before = relay(large.port)
    asked = directory(large.settings(servers=(before.url,)))
    streamed = asked.search(asked.settings.people_base, asked.settings.people_filter, ["uid"])
    assert next(streamed).text("uid")
    before.drop()
    with pytest.raises(DirectoryUnavailableError, match="hung up"):
        list(streamed)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00" * 50,
        b"0\x84\xff\xff\xff\xff" + b"a" * 50,
        b"0\x80" + b"0\x80" * 500,
        b"0\x05\x02\x01\x63\x42\x00",
        b"0\x0c\x02\x01\x63a\x07\n\x01\x00\x04\x00\x04\x00",  # a bind's success for another message
    ],
    ids=["http", "zeros", "huge", "endless", "request", "other message"],
)
def test_what_is_no_answer_of_ldap_is_unavailable(asked, before, answer):
    before.say(answer)
    with pytest.raises(DirectoryUnavailableError):
        asked.find("ada")
    before.accept()
    assert logins(asked.find("ada")) == ["ada"]


def test_an_answer_that_the_server_s_limit_cuts_is_no_answer(new_slapd, directory):
    server = new_slapd(more=['limits dn.exact="cn=reader,dc=example,dc=org" size=2'])
    asked = directory(server.settings())
    assert logins(asked.find("ada")) == ["ada"]
    with pytest.raises(DirectoryUnavailableError, match="size limit"):
        list(asked.all_groups())


def test_a_part_that_is_elsewhere_makes_an_answer_none(new_slapd, directory):
    elsewhere = entry(
        "ou=elsewhere,ou=people,dc=example,dc=org",
        objectClass=["referral", "extensibleObject"],
        ou="elsewhere",
        ref="ldap://elsewhere.example.org/ou=people,dc=example,dc=org",
    )
    asked = directory(new_slapd(people.company() + elsewhere).settings())
    with pytest.raises(DirectoryUnavailableError, match=r"elsewhere \('ldap://elsewhere"):
        asked.find("ada")


def test_a_base_that_is_not_there_is_unavailable_rather_than_empty(company, directory):
    asked = directory(company.settings(people_base=("ou=nowhere,dc=example,dc=org",)))
    with pytest.raises(DirectoryUnavailableError, match="there is no 'ou=nowhere"):
        asked.find("ada")


def test_an_entry_without_the_key_is_unavailable_rather_than_left_out(company, directory):
    asked = directory(company.settings(key_attribute="employeeNumber"))
    with pytest.raises(DirectoryUnavailableError, match="has no employeeNumber"):
        asked.find("ada")


# -- the reader, and secrets


def test_a_reader_that_is_refused_is_not_tried_again_at_once(company, before, directory):
    asked = directory(company.settings(servers=(before.url,), bind_password="wrong-reader-secret"))
    for _ in range(5):
        with pytest.raises(DirectoryUnavailableError, match=r"doesn't let cn=reader,dc=example,dc=org in"):
            asked.find("ada")
    assert before.requests == 1


def test_a_reader_that_was_refused_is_tried_again_later(new_slapd, directory, monkeypatch):
    monkeypatch.setattr(connection, "REFUSED_SECONDS", 0.0)
    server = new_slapd()
    asked = directory(server.settings(bind_password="new-reader-secret"))
    with pytest.raises(DirectoryUnavailableError, match="result 49"):
        asked.find("ada")
    server.set(server.reader, userPassword="new-reader-secret")
    assert logins(asked.find("ada")) == ["ada"]


def test_without_a_reader_a_directory_is_read_anonymously(new_slapd, directory):
    server = new_slapd(more=["access to * by * read"])
    asked = directory(server.settings(bind_dn="", bind_password=""))
    assert logins(asked.find("ada")) == ["ada"]


def test_no_password_is_in_a_log_line_or_an_error(company, before, directory, caplog):
    caplog.set_level(0)
    said = []
    settings = company.settings(servers=(before.url,), **QUICK)
    asked = directory(settings)
    (ada,) = asked.find("ada")
    for password in ("ada-secret", "wrong-person-secret"):
        asked.check(ada, password)
    refused = directory(company.settings(bind_password="wrong-reader-secret"))
    for fail in (before.hang, before.refuse):
        fail()
        for ask in (lambda: asked.find("ada"), lambda: asked.check(ada, "ada-secret"), lambda: refused.find("ada")):
            with pytest.raises(DirectoryUnavailableError) as caught:
                ask()
            said += chain(caught.value)
    everything = "".join([*said, caplog.text, repr(settings), repr(refused.settings)])
    assert "doesn't let" in everything
    assert not any(secret in everything for secret in ("-secret", READER_PASSWORD))


def test_a_password_that_the_directory_may_have_seen_is_not_sent_twice(asked, before):
    (ada,) = asked.find("ada")
    asked.check(ada, "ada-secret")
    before.requests = 0
    before.cut(3)
    with pytest.raises(DirectoryUnavailableError):
        asked.check(ada, "wrong")
    assert before.requests == 1


def test_an_empty_password_is_never_sent(asked, before):
    (ada,) = asked.find("ada")
    before.requests = 0
    with pytest.raises(ValueError, match="empty"):
        asked.check(ada, "")
    asked.check_nobody("")
    assert before.requests == 0

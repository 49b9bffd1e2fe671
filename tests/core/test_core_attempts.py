"""Counting wrong passwords, and the memories that keep a device out of that."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import attempts, passwords
from radicale_shared.attempts import Attempts, network_of
from radicale_shared.errors import TooManyAttemptsError
from radicale_shared.passwords import RightBefore, WrongPasswords, pair
from tests.conftest import examples


@pytest.fixture
def clock(monkeypatch):
    """Moves the clock of ``attempts``: ``clock(60)`` is a minute later."""
    at = [1000.0]
    monkeypatch.setattr(attempts.time, "monotonic", lambda: at[0])
    monkeypatch.setattr(attempts.time, "sleep", lambda _seconds: None)

    def later(seconds):
        at[0] += seconds

    return later


def fail(counted, number, address="192.0.2.1", account="ada"):
    for one in range(number):
        counted.failed(address, account, f"wrong {one}")


def is_admitted(counted, address="192.0.2.1", account="ada"):
    try:
        counted.admit(address, account)
    except TooManyAttemptsError:
        return False
    return True


# -- counting ----------------------------------------------------------------------------------------------------------


def test_below_the_limit_everything_is_looked_at(clock):
    counted = Attempts(20, 10)
    fail(counted, 9)
    assert all(is_admitted(counted) for _ in range(100))


@pytest.mark.parametrize(("address", "account"), [("192.0.2.1", "other"), ("198.51.100.9", "ada")])
def test_above_the_limit_of_address_or_account_one_a_second_is_looked_at(clock, address, account):
    counted = Attempts(10, 10)
    fail(counted, 10)
    assert [is_admitted(counted, address, account) for _ in range(5)] == [True] + [False] * 4
    clock(0.9)
    assert not is_admitted(counted, address, account)
    clock(0.2)
    assert [is_admitted(counted, address, account) for _ in range(2)] == [True, False]


def test_who_guesses_does_not_use_up_the_turns_of_an_address_that_sent_nothing_wrong(clock):
    counted = Attempts(10, 10)
    for number in range(10):
        counted.failed(f"192.0.2.{number}", "ada", f"guess {number}")
    for _ in range(3):
        clock(1)
        assert [is_admitted(counted, f"192.0.2.{number}") for number in range(10)] == [True] + [False] * 9
        assert [is_admitted(counted, "203.0.113.1") for _ in range(2)] == [True, False]
    counted.failed("203.0.113.1", "ada", "old")
    clock(1)
    assert [is_admitted(counted, one) for one in ("203.0.113.1", "192.0.2.1")] == [True, False]
    clock(301)  # what it sent is long ago, what the account was sent isn't
    assert [is_admitted(counted, one) for one in ("192.0.2.1", "203.0.113.1")] == [True, False]


def test_other_addresses_and_accounts_are_not_slowed_down(clock):
    counted = Attempts(10, 10)
    fail(counted, 10)
    assert all(is_admitted(counted, "198.51.100.9", "ben") for _ in range(5))


def test_the_same_wrong_password_again_counts_once(clock):
    counted = Attempts(3, 3)
    for _ in range(50):
        fail(counted, 2)
    assert all(is_admitted(counted) for _ in range(5))


def test_one_password_for_many_accounts_counts_for_the_address(clock):
    counted = Attempts(5, 10)
    for number in range(5):
        counted.failed("192.0.2.1", f"user {number}", "summer")
    assert [is_admitted(counted, account="else") for _ in range(3)] == [True, False, False]
    assert all(is_admitted(counted, "198.51.100.9", f"user {number}") for number in range(5))


def test_what_is_long_ago_no_longer_counts(clock):
    counted = Attempts(5, 100)
    fail(counted, 5)
    assert [is_admitted(counted) for _ in range(2)] == [True, False]
    clock(301)
    assert all(is_admitted(counted) for _ in range(5))


def test_who_is_refused_is_told_when_to_come_back(clock):
    counted = Attempts(5, 100)
    fail(counted, 5)
    counted.admit("192.0.2.1", "ada")
    clock(270)
    counted._passed_at[True] += 270
    with pytest.raises(TooManyAttemptsError) as error:
        counted.admit("192.0.2.1", "ada")
    assert error.value.retry_after == 30


def test_what_is_counted_is_bounded(clock, monkeypatch):
    monkeypatch.setattr(attempts, "_MOST_COUNTED", 50)
    counted = Attempts(5, 5)
    for number in range(500):
        counted.failed(f"192.0.2.{number % 256}", "x" * 1000 + str(number), f"wrong {number}")
    for counts in (counted._addresses, counted._accounts):
        assert len(counts._seen) <= 50
        assert all(len(pairs) <= 5 and len(subject) < 50 for subject, pairs in counts._seen.items())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("2001:db8::1", "2001:db8::ffff:1"),
        ("2001:db8:0:0:1::", "2001:0db8::9"),
        ("fe80::1%eth0", "fe80::2"),
        ("not an address", ""),
        ("evil'; --", "nobody knows"),
    ],
)
def test_addresses_of_one_network_are_counted_together(one, other):
    assert network_of(one) == network_of(other)


@pytest.mark.parametrize(
    ("one", "other"), [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8:0:1::1"), ("192.0.2.1", "")]
)
def test_addresses_of_different_networks_are_not(one, other):
    assert network_of(one) != network_of(other)


def test_few_refusals_are_held_up_at_a_time(clock, monkeypatch):
    held = []
    counted = Attempts(5, 5)
    fail(counted, 5)
    counted.admit("192.0.2.1", "ada")

    def sleep(seconds):
        held.append(seconds)
        if len(held) < 50:
            assert not is_admitted(counted)  # the next one comes while this one waits

    monkeypatch.setattr(attempts.time, "sleep", sleep)
    assert not is_admitted(counted)
    assert held == [attempts.HELD_SECONDS] * attempts.MOST_HELD


# -- memories ----------------------------------------------------------------------------------------------------------


@examples(100)
@given(one=st.lists(st.text(max_size=5), max_size=4), other=st.lists(st.text(max_size=5), max_size=4))
def test_different_words_have_different_hashes(one, other):
    assert (pair(b"key", *one) == pair(b"key", *other)) == (one == other)


def test_a_right_pair_is_known_and_forgotten():
    right = RightBefore()
    assert not right.knows("db", "ada", "secret")
    right.remember("db", "ada", "secret")
    assert right.knows("db", "ada", "secret")
    for words in (
        ("db", "ada", "Secret"),
        ("db", "ben", "secret"),
        ("other", "ada", "secret"),
        ("db", "adas", "ecret"),
    ):
        assert not right.knows(*words)
    right.forget("db", "ada", "secret")
    assert not right.knows("db", "ada", "secret")


def test_thousands_of_right_pairs_are_known_together():
    right = RightBefore()
    for number in range(20_000):
        right.remember("db", f"user {number}", "secret")
    known = sum(right.knows("db", f"user {number}", "secret") for number in range(20_000))
    assert known > 19_900


def test_more_right_pairs_than_there_is_room_for_take_no_more_memory(monkeypatch):
    monkeypatch.setattr(RightBefore, "_SETS", 2)
    right = RightBefore()
    for number in range(1000):
        right.remember("db", str(number), "secret")
        assert right.knows("db", str(number), "secret")
    assert sum(right.knows("db", str(number), "secret") for number in range(1000)) <= 16
    assert len(right._table) == 16 * 16


def test_a_right_pair_of_one_worker_is_known_to_the_others():
    right = RightBefore()
    child = os.fork()
    if not child:
        right.remember("db", "ada", "secret")
        os._exit(0)
    os.waitpid(child, 0)
    assert right.knows("db", "ada", "secret")


def test_wrong_passwords_are_known_for_a_while_and_few_at_a_time(monkeypatch):
    monkeypatch.setattr(passwords, "_MOST_REMEMBERED", 10)
    wrong = WrongPasswords()
    for number in range(50):
        wrong.remember("ada", f"wrong {number}", timedelta(minutes=10))
    assert wrong.knows("ada", "wrong 49")
    assert not wrong.knows("ada", "wrong 1")
    assert not wrong.knows("ben", "wrong 49")
    assert len(wrong._until) == 10
    wrong.remember("ada", "wrong", timedelta(0))
    assert not wrong.knows("ada", "wrong")


# -- digests -----------------------------------------------------------------------------------------------------------


def test_a_digest_is_the_same_for_the_same_and_another_for_anything_else():
    same = {"secret": b"k" * 32, "directory": "main", "login": "ada"}
    found = passwords.digest("secret", **same)
    assert found == passwords.digest("secret", **same)
    others = [
        passwords.digest("Secret", **same),
        passwords.digest("secret", **{**same, "secret": b"l" * 32}),
        passwords.digest("secret", **{**same, "directory": "other"}),
        passwords.digest("secret", **{**same, "login": "ben"}),
    ]
    assert len({found, *others}) == 5


def test_a_digest_costs_as_much_as_a_stored_password(monkeypatch):
    monkeypatch.setattr(
        passwords, "_ARGON2", passwords.argon2.using(type="ID", memory_cost=19456, time_cost=2, parallelism=1)
    )
    asked = {}
    monkeypatch.setattr(passwords, "hash_secret_raw", lambda *_args, **more: asked.update(more) or b"")
    passwords.digest("secret", secret=b"k" * 32, directory="main", login="ada")
    assert (asked["memory_cost"], asked["time_cost"], asked["parallelism"]) == (19456, 2, 1)
    assert passwords.hashed("x").startswith("$argon2id$v=19$m=19456,t=2,p=1$")

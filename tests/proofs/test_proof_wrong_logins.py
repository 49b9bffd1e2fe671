"""Guessing at a real server with two workers: devices that work go on, and directories are asked once."""

from __future__ import annotations

import configparser
import re
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import PROFILE
from tests.ldap.conftest import _has_slapd, new_slapd  # noqa: F401  # fixtures
from tests.ldap.relay import Relay
from tests.ldap.slapd import READER_PASSWORD

REPOSITORY = Path(__file__).parents[2]
POLL = '<propfind xmlns="DAV:"><prop><sync-token/></prop></propfind>'
GUESSES = 10_000 if PROFILE == "nightly" else 500
GUESSERS = 4


def poll(session: requests.Session, url: str) -> tuple[int, float]:
    """(status, seconds) of a device's poll for news."""
    time.sleep(0.01)
    began = time.perf_counter()
    answer = session.request("PROPFIND", f"{url}/ada/contacts/", data=POLL, headers={"Depth": "0"}, timeout=60)
    return answer.status_code, time.perf_counter() - began


def guessed(url: str, number: int, found: Counter[int]) -> None:
    """Send a part of the guesses over one connection: at the device's account, at others, at nobody's."""
    logins = ("ada", "ben", "carla", "nobody")
    with requests.Session() as session:
        for one in range(number, GUESSES, GUESSERS):
            auth = (logins[one % 4], f"guess {one}")
            found[session.get(f"{url}/", auth=auth, timeout=60).status_code] += 1


def slowest_of_twenty(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_device_goes_on_while_somebody_guesses_from_its_address(
    organisation: object, running: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    server = running(workers=2)
    device = requests.Session()
    device.auth = ("ada", "adaada")
    calm = [poll(device, server.url) for _ in range(200)]
    found: list[Counter[int]] = [Counter() for _ in range(GUESSERS)]
    guessers = [threading.Thread(target=guessed, args=(server.url, one, found[one])) for one in range(GUESSERS)]
    began = time.monotonic()
    for guesser in guessers:
        guesser.start()
    attacked = []
    while any(guesser.is_alive() for guesser in guessers):
        attacked.append(poll(device, server.url))
        # Now and then it connects anew, maybe to the worker that never saw it.
        if len(attacked) % 20 == 0:
            device.close()
    for guesser in guessers:
        guesser.join()

    assert {status for status, _ in calm + attacked} == {207}
    answers = sum(found, Counter[int]())
    assert set(answers) == {401, 429}
    assert answers.total() == GUESSES
    # Twenty for the address in each worker, and one a second.
    assert answers[401] <= 2 * (20 + time.monotonic() - began + 1)
    before, during = (slowest_of_twenty([seconds for _, seconds in one]) * 1000 for one in (calm, attacked))
    with capsys.disabled():
        print(
            f"\n{GUESSES} guesses, {dict(answers)}; {len(attacked)} polls meanwhile; "
            f"p95 {before:.1f} ms calm, {during:.1f} ms under attack ({during / before:.2f})"
        )

    lines = [line for line in server.log.read_text().splitlines() if "Failed login from" in line]
    parser = configparser.RawConfigParser()
    parser.read_string((REPOSITORY / "config" / "fail2ban.conf").read_text("utf-8"))
    address = re.compile(parser["Definition"]["failregex"].replace("<HOST>", r"(?P<host>[0-9A-Fa-f:.]+)"))
    assert len(lines) == GUESSES
    assert {match["host"] if (match := address.search(line)) else line for line in lines} == {"127.0.0.1"}


class CountingRelay(Relay):
    """Counts the passwords of one person: binds by their name (RFC 4511, section 4.2)."""

    binds = 0

    def _count(self, waiting: bytearray, part: bytes) -> None:
        self.binds += len(re.findall(rb"\x60.{1,3}\x02\x01\x03\x04.{1,2}uid=ben,", part, re.DOTALL))
        super()._count(waiting, part)


@pytest.fixture
def company(
    new_slapd: Callable[..., Any],  # noqa: F811
    tmp_path: Path,
) -> Iterator[tuple[str, CountingRelay]]:
    """(the option that names the settings of a directory, the relay before it)"""
    slapd = new_slapd()
    between = CountingRelay(slapd.port)
    path = tmp_path / "settings.toml"
    path.write_text(
        "[[directory]]\n"
        f'name = "main"\nkind = "openldap"\nservers = ["{between.url}"]\nstart_tls = false\nallow_plaintext = true\n'
        f'bind_dn = "{slapd.reader}"\nbind_password = "{READER_PASSWORD}"\ndomains = ["example.org"]\n'
        'people_base = ["ou=people,dc=example,dc=org"]\ngroup_base = ["ou=groups,dc=example,dc=org"]\n'
        "connect_timeout_seconds = 2\nanswer_timeout_seconds = 2\npoll_seconds = 3600\n"
    )
    path.chmod(0o600)
    yield f"settings_file = {path}", between
    between.stop()


def at_once(url: str, login: str, password: str, times: int) -> Counter[int]:
    """The answers to one login and password, from eight connections at a time."""
    found: Counter[int] = Counter()

    def some(number: int) -> None:
        with requests.Session() as session:
            for _ in range(number, times, 8):
                answer = session.request("PROPFIND", f"{url}/", data=POLL, auth=(login, password), timeout=60)
                found[answer.status_code] += 1
                assert answer.status_code != 503 or int(answer.headers["Retry-After"]) > 0

    threads = [threading.Thread(target=some, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_five_hundred_polls_with_an_old_password_reach_the_directory_once_from_two_workers(
    database_url: str, company: tuple[str, CountingRelay], running: Callable[..., Any]
) -> None:
    option, between = company
    server = running(workers=2, options=option)
    assert at_once(server.url, "ben", "ben-secret", 40) == {207: 40}
    binds = between.binds
    assert at_once(server.url, "ben", "old", 500) == {401: 500}
    assert between.binds - binds == 1


def test_fifty_guesses_reach_the_directory_three_times_from_two_workers_and_the_device_goes_on(
    database_url: str, company: tuple[str, CountingRelay], running: Callable[..., Any]
) -> None:
    option, between = company
    server = running(workers=2, options=option)
    assert at_once(server.url, "ben", "ben-secret", 40) == {207: 40}
    binds = between.binds
    found: Counter[int] = Counter()
    for number in range(50):
        found += at_once(server.url, "ben", f"guess {number}", 1)
    assert found[401] == 3
    assert found.total() == 50
    assert set(found) <= {401, 429, 503}
    assert between.binds - binds == 3
    assert at_once(server.url, "ben", "ben-secret", 40) == {207: 40}


def test_who_signed_in_goes_on_while_the_directory_hangs_and_all_is_well_when_it_is_back(
    database_url: str, company: tuple[str, CountingRelay], running: Callable[..., Any]
) -> None:
    option, between = company
    server = running(workers=2, options=option)
    assert at_once(server.url, "ben", "ben-secret", 40) == {207: 40}
    between.drop()
    between.hang()
    assert at_once(server.url, "ada", "ada-secret", 100) == {503: 100}
    assert at_once(server.url, "ben", "ben-secret", 40) == {207: 40}
    between.drop()
    between.accept()
    deadline = time.monotonic() + 60
    while set(answers := at_once(server.url, "ada", "ada-secret", 8)) != {207}:
        assert set(answers) <= {207, 503}
        assert time.monotonic() < deadline
        time.sleep(0.5)

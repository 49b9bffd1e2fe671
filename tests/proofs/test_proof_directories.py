"""Following directories by a real server: revocation within the promised time, in all workers, whoever leads."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from radicale_shared import books, database, directories, grants, leases, people
from radicale_shared.access import Role
from radicale_shared.ldap.follower import lease_name
from tests.conftest import BY
from tests.ldap import slapd
from tests.ldap.people import company
from tests.ldap.slapd import Slapd

PEOPLE = "ou=people,dc=example,dc=org"
GROUPS = "ou=groups,dc=example,dc=org"
POLL_SECONDS = 1
# What a removal may take at most: a round begins every second, and takes far less than the rest.
SOON = 15.0
BODY = '<propfind xmlns="DAV:"><prop><displayname/></prop></propfind>'


@pytest.fixture
def company_directory(tmp_path: Path) -> Iterator[Slapd]:
    if reason := slapd.missing():
        pytest.skip(reason)
    made = Slapd(tmp_path / "slapd", company())
    yield made
    made.stop()


@pytest.fixture
def server(database_url: str, running: Callable[..., Any], company_directory: Slapd, tmp_path: Path) -> Any:
    """Two workers that follow the company; the group "unix" (Ada, Ben) reads the book of "Owner"."""
    file = tmp_path / "settings.toml"
    password_file = tmp_path / "password"
    password_file.write_text(slapd.READER_PASSWORD)
    password_file.chmod(0o600)
    file.write_text(
        f'[[directory]]\nname = "main"\nkind = "openldap"\nservers = ["{company_directory.url}"]\nstart_tls = false\n'
        f'allow_plaintext = true\nbind_dn = "{company_directory.reader}"\nbind_password_file = "{password_file}"\n'
        f'domains = ["example.org"]\npeople_base = ["{PEOPLE}"]\ngroup_base = ["{GROUPS}"]\n'
        f"poll_seconds = {POLL_SECONDS}\n"
    )
    started = running(workers=2, options=f"settings_file = {file}")
    _until(lambda: _group_is_known(database_url))
    with database.connect(database_url).write() as session:
        made = books.add(session, people.add_group(session, "Owner"), "shared", by=BY)
        grants.give(session, made, "group:unix", Role.VIEWER, by=BY)
    return started


def _group_is_known(url: str) -> bool:
    with database.connect(url).read() as session:
        return any(one.slug == "unix" for one in people.groups(session))


def _until(happened: Callable[[], bool], seconds: float = SOON) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def _statuses(server: Any, login: str) -> set[int]:
    """What a book that ``login`` reads by a group answers, in all workers: a connection each."""
    url = f"{server.url}/{login}/owner~shared/"
    auth = (login, f"{login}-secret")
    return {requests.request("PROPFIND", url, data=BODY, auth=auth, timeout=20).status_code for _ in range(12)}


def test_who_is_gone_or_disabled_or_out_of_a_group_is_out_in_all_workers(
    server: Any, company_directory: Slapd, database_url: str
) -> None:
    assert (_statuses(server, "ada"), _statuses(server, "ben")) == ({207}, {207})
    company_directory.set(f"cn=unix,{GROUPS}", memberUid=["ben"])
    _until(lambda: _statuses(server, "ada") == {404})
    assert _statuses(server, "ben") == {207}

    company_directory.set(f"uid=ben,{PEOPLE}", pwdAccountLockedTime="000001010000Z")
    _until(lambda: _state_of(database_url, "ben") == "disabled")
    assert _statuses(server, "ben") == {401}  # every request that begins after the commit

    company_directory.remove(f"uid=ada,{PEOPLE}")
    _until(lambda: _state_of(database_url, "ada") == "disabled")
    assert _statuses(server, "ada") == {401}


def _state_of(url: str, slug: str) -> str:
    with database.connect(url).read() as session:
        return next(one.state for one in people.users(session) if one.slug == slug)


def test_a_directory_that_is_away_takes_nobody_s_books(
    server: Any, company_directory: Slapd, database_url: str
) -> None:
    assert _statuses(server, "ada") == {207}
    company_directory.kill()

    def is_failing() -> bool:
        with database.connect(database_url).read() as session:
            return directories.state(session, "main").failing_since is not None

    _until(is_failing)
    assert _statuses(server, "ada") == {207}
    company_directory.start()
    _until(lambda: not is_failing())
    said = server.log.read_text()
    assert said.count("can't be read; all stays as it is known") == 1
    assert said.count("can be read again") == 1


def test_when_the_leader_is_killed_the_other_worker_leads_and_the_last_one_gives_way(
    server: Any, company_directory: Slapd, database_url: str
) -> None:
    def leader() -> str:
        with database.connect(database_url).read() as session:
            return leases.holder(session, lease_name("main"), life=timedelta(minutes=1))

    assert _statuses(server, "ada") == {207}
    _until(lambda: leader() != "")
    first = leader()
    os.kill(int(first.split()[1]), signal.SIGKILL)
    _until(lambda: leader() not in {"", first}, 40)  # the lease has to run out first
    company_directory.set(f"cn=unix,{GROUPS}", memberUid=["ben"])
    _until(lambda: _statuses(server, "ada") == {404})
    server.stop()
    assert leader() == ""

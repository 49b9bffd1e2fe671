"""Real directories: slapd with a small company, one of its branches, or whatever a test loads; relays before them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from radicale_shared.directory_settings import DirectorySettings
from radicale_shared.ldap import Directory
from tests.ldap import certificates, people, samba, slapd
from tests.ldap.certificates import Authority
from tests.ldap.relay import Relay
from tests.ldap.samba import Samba
from tests.ldap.slapd import Slapd


@pytest.fixture(scope="session")
def _has_slapd() -> None:
    if reason := slapd.missing():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The private CA of the tests' servers."""
    if reason := certificates.missing():
        pytest.skip(reason)
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def company(_has_slapd: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """The company of ``people``; nobody changes it."""
    made = Slapd(tmp_path_factory.mktemp("company") / "slapd", people.company())
    yield made
    made.stop()


@pytest.fixture(scope="session")
def branch(_has_slapd: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """The branch of ``people``; nobody changes it."""
    made = Slapd(tmp_path_factory.mktemp("branch") / "slapd", people.branch(), suffix="dc=branch,dc=example")
    yield made
    made.stop()


@pytest.fixture(scope="session")
def large(_has_slapd: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """10,000 people in 2,000 groups; nobody changes it."""
    made = Slapd(tmp_path_factory.mktemp("large") / "slapd", people.large())
    yield made
    made.stop()


@pytest.fixture
def new_slapd(_has_slapd: None, tmp_path: Path) -> Iterator[Callable[..., Slapd]]:
    """Makes a slapd for one test: ``new_slapd(ldif, suffix=..., certificate=...)``; without LDIF the company's."""
    made: list[Slapd] = []

    def make(ldif: str | None = None, **options: Any) -> Slapd:
        made.append(Slapd(tmp_path / f"slapd{len(made)}", people.company() if ldif is None else ldif, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def relay() -> Iterator[Callable[..., Relay]]:
    """Makes a relay before a port or a socket's file."""
    made: list[Relay] = []

    def make(target: int | Path) -> Relay:
        made.append(Relay(target))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def directory() -> Iterator[Callable[..., Directory]]:
    """Makes a Directory of settings, and closes it after the test."""
    made: list[Directory] = []

    def make(settings: DirectorySettings, **options: Any) -> Directory:
        made.append(Directory(settings, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Samba]:
    """An Active Directory domain, shared by the processes of a test run; tests make their own people to change."""
    if reason := samba.missing() or certificates.missing():
        pytest.skip(reason)
    folder = tmp_path_factory.getbasetemp()
    # Each worker of pytest-xdist has a folder in one that is common to all.
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    with samba.shared(folder / "samba") as made:
        yield made

"""The systemd unit: what it promises, and what systemd itself says of it where that is installed."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from radicale_shared.cli import main

REPOSITORY = Path(__file__).parents[2]
UNIT = REPOSITORY / "systemd" / "radicale-shared.service"
# What a timer starts again and again: {service: when}.
JOBS = {
    REPOSITORY / "systemd" / f"radicale-shared-{name}.service": when
    for name, when in (("directory", "hourly"), ("history", "02:30"), ("backup", "01:30"), ("verify", "03:30"))
}
TIMERS = {unit.with_suffix(".timer"): when for unit, when in JOBS.items()}
# The LDAP view alone: confined as the server is.
LDAP = REPOSITORY / "systemd" / "radicale-shared-ldap.service"
# Of 10; what is left is the network, which a server needs.
MOST_EXPOSURE = 1.5


def values(name: str, unit: Path = UNIT) -> list[str]:
    """The values of a setting, in order."""
    return re.findall(rf"^{name}=(.*)$", unit.read_text("utf-8"), flags=re.MULTILINE)


def test_it_starts_a_command_that_exists():
    (line,) = values("ExecStart")
    words = shlex.split(line)[1:]
    with main.make_context("radicale-shared", words, resilient_parsing=True) as context:
        assert context.params["config"] == "/etc/radicale-shared/radicale-shared.ini"
    command = main.commands["serve"]
    options = {name for one in command.params if isinstance(one, click.Option) for name in one.opts}
    assert {word for word in words[words.index("serve") :] if word.startswith("--")} <= options


def test_a_database_elsewhere_may_come_later():
    assert values("Requires") == []
    assert "network-online.target" in " ".join(values("After"))
    assert (values("Restart"), values("StartLimitIntervalSec")) == (["on-failure"], ["0"])


def test_the_secret_comes_by_a_credential_at_the_path_that_the_sample_names():
    (credential,) = values("LoadCredential")
    name, _, source = credential.partition(":")
    sample = (REPOSITORY / "config" / "radicale-shared.ini").read_text("utf-8")
    assert f"database_url_file = /run/credentials/{UNIT.name}/{name}\n" in sample
    assert source == "/etc/radicale-shared/database_url"


def test_without_the_secret_the_database_is_the_sample_s():
    (default,) = values("SetCredential")
    sample = (REPOSITORY / "config" / "radicale-shared.ini").read_text("utf-8")
    assert f"database_url = {default.removeprefix('database_url:')}\n" in sample


def test_it_may_write_to_its_own_folder_only():
    assert values("ProtectSystem") == ["strict"]
    assert values("StateDirectory") == ["radicale-shared"]
    assert (values("CapabilityBoundingSet"), values("NoNewPrivileges")) == ([""], ["yes"])
    assert values("ReadWritePaths") == []


@pytest.mark.parametrize("job", [*JOBS, LDAP], ids=lambda path: path.name)
def test_a_job_starts_a_command_that_exists(job):
    (line,) = values("ExecStart", job)
    command: click.Command = main
    words = shlex.split(line)[1:]
    while words and isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    assert not isinstance(command, click.Group)
    assert [word for word in words if not word.startswith("/var/lib/radicale-shared/")] == []
    (environment,) = values("Environment", job)
    first, optional = environment.removeprefix("RADICALE_CONFIG=").split(":")
    assert (first, optional[0]) == ("/etc/radicale-shared/radicale-shared.ini", "?")


@pytest.mark.parametrize("job", [*JOBS, LDAP], ids=lambda path: path.name)
def test_a_job_is_as_confined_as_the_server(job):
    same = ("User", "Group", "UMask", "LoadCredential", "SetCredential", "StateDirectory", "StateDirectoryMode")
    names = {*same, *(found for found in re.findall(r"^(\w+)=", UNIT.read_text("utf-8"), flags=re.MULTILINE))}
    others = {"Description", "Documentation", "StartLimitIntervalSec", "Type", "ExecStart", "ExecReload", "Restart"}
    others |= {"RestartSec", "TimeoutStopSec", "WantedBy", "StateDirectory"}
    (folders,) = values("StateDirectory", job)
    assert {folder.partition("/")[0] for folder in folders.split()} == {"radicale-shared"}
    assert {name: values(name, job) for name in names - others} == {name: values(name) for name in names - others}


def test_the_ldap_view_starts_again_as_the_server_does():
    for name in ("Restart", "RestartSec", "TimeoutStopSec", "StartLimitIntervalSec", "WantedBy"):
        assert values(name, LDAP) == values(name)


@pytest.mark.parametrize("timer", TIMERS, ids=lambda path: path.name)
def test_a_timer_starts_its_job_again_and_again(timer):
    assert values("OnCalendar", timer) == [TIMERS[timer]]
    assert values("WantedBy", timer) == ["timers.target"]
    assert values("WantedBy", timer.with_suffix(".service")) == []


@pytest.fixture
def systemd_analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is not installed (Debian: apt-get install systemd)")
    return found


@pytest.mark.parametrize("path", [UNIT, LDAP, *JOBS, *TIMERS], ids=lambda path: path.name)
def test_systemd_finds_no_mistake_in_it(path, systemd_analyze, tmp_path):
    for one in (UNIT, LDAP, *JOBS, *TIMERS):
        # The program need not be installed here; everything else stays as it is.
        text = re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", one.read_text("utf-8"))
        (tmp_path / one.name).write_text(text, "utf-8")
    unit = tmp_path / path.name
    done = subprocess.run([systemd_analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if path.stem in line]) == (0, [])


@pytest.mark.parametrize("path", [UNIT, LDAP, *JOBS], ids=lambda path: path.name)
def test_systemd_counts_little_exposure(path, systemd_analyze):
    done = subprocess.run(
        [systemd_analyze, "security", "--offline=yes", "--no-pager", path], capture_output=True, text=True, check=False
    )
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    if found is None:
        pytest.skip(f"systemd-analyze can't judge units offline here: {done.stderr.strip()[:200]}")
    assert float(found[1]) <= MOST_EXPOSURE

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
# Of 10; what is left is the network, which a server needs.
MOST_EXPOSURE = 1.5


def values(name: str) -> list[str]:
    """The values of a setting, in order."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text("utf-8"), flags=re.MULTILINE)


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


@pytest.fixture
def systemd_analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is not installed (Debian: apt-get install systemd)")
    return found


def test_systemd_finds_no_mistake_in_it(systemd_analyze, tmp_path):
    unit = tmp_path / UNIT.name
    # The program need not be installed here; everything else stays as it is.
    unit.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text("utf-8")), "utf-8")
    done = subprocess.run([systemd_analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if UNIT.name in line]) == (0, [])


def test_systemd_counts_little_exposure(systemd_analyze):
    done = subprocess.run(
        [systemd_analyze, "security", "--offline=yes", "--no-pager", UNIT], capture_output=True, text=True, check=False
    )
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    if found is None:
        pytest.skip(f"systemd-analyze can't judge units offline here: {done.stderr.strip()[:200]}")
    assert float(found[1]) <= MOST_EXPOSURE

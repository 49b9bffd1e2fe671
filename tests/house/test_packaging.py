"""What is shipped: the wheel has the product's tracked files and works without the source, the sdist has the rest."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
FOLDERS = {
    "radicale_shared": "radicale_shared",
    "storage_plugin": "radicale_shared/storage_plugin",
    "auth_plugin": "radicale_shared/auth_plugin",
}
# Needed by git alone.
NOT_SHIPPED = {".gitignore", ".gitattributes"}


@dataclass(frozen=True)
class Shipped:
    """A build from a copy of the source.

    source: the copy, tracked files only
    files: their names
    """

    source: Path
    files: frozenset[str]
    wheel: Path
    sdist: Path


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command's outcome; nothing of the environment leads it back to the source."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "RADICALE"))}
    return subprocess.run(list(command), cwd=cwd, env=inherited, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=REPOSITORY)
    if listed.returncode:
        pytest.skip("what is tracked is known in a git checkout only")
    files = frozenset(name for name in listed.stdout.splitlines() if (REPOSITORY / name).is_file())
    source = tmp_path_factory.mktemp("source")
    for name in files:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, source / name)
    target = tmp_path_factory.mktemp("dist")
    # Without isolation nothing is downloaded, but the build needs a setuptools that knows this pyproject.toml.
    here = int(importlib.metadata.version("setuptools").partition(".")[0]) >= 77
    isolation = ("--no-isolation",) if here else ()
    # Both from the source: first the sdist, then the wheel from the unpacked sdist.
    done = run(sys.executable, "-m", "build", *isolation, "--outdir", target, source, cwd=target)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (wheel,), (sdist,) = target.glob("*.whl"), target.glob("*.tar.gz")
    return Shipped(source, files, wheel, sdist)


@pytest.fixture(scope="session")
def installed(shipped: Shipped, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a new environment with the wheel; its dependencies are lent from this one."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, symlinks=True)
    bin_folder = folder / "bin"
    pip = (sys.executable, "-m", "pip", "--python", bin_folder / "python", "--disable-pip-version-check")
    done = run(*pip, "install", "--quiet", "--no-index", "--no-deps", shipped.wheel, cwd=folder)
    assert done.returncode == 0, done.stderr
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    # Comes after the environment's own packages, and its .pth files (an editable install) are not read.
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    return bin_folder


def test_the_wheel_has_the_tracked_files_of_the_three_packages_and_nothing_else(shipped):
    expected = set()
    for name in shipped.files:
        folder, _, rest = name.partition("/")
        if folder in FOLDERS:
            expected.add(f"{FOLDERS[folder]}/{rest}")
    with zipfile.ZipFile(shipped.wheel) as wheel:
        found = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert found == expected


def test_the_wheel_names_licence_command_and_description(shipped):
    with zipfile.ZipFile(shipped.wheel) as wheel:
        parts = {name.partition(".dist-info/")[2]: name for name in wheel.namelist() if ".dist-info/" in name}
        metadata = wheel.read(parts["METADATA"]).decode()
        assert "License-Expression: GPL-3.0-or-later" in metadata
        assert "radicale-shared = radicale_shared.cli:main" in wheel.read(parts["entry_points.txt"]).decode()
        assert wheel.read(parts["licenses/LICENSE"]) == (shipped.source / "LICENSE").read_bytes()
    assert (shipped.source / "README.md").read_text("utf-8").strip() in metadata


def test_the_sdist_has_every_tracked_file(shipped):
    with tarfile.open(shipped.sdist) as sdist:
        found = {member.name.partition("/")[2] for member in sdist.getmembers() if member.isfile()}
    missing = {name for name in shipped.files - found if Path(name).name not in NOT_SHIPPED}
    assert missing == set()
    assert {"config/radicale-shared.ini", "systemd/radicale-shared.service", "tests/conftest.py", "LICENSE"} <= found


def test_the_wheel_works_far_from_its_source(installed, tmp_path):
    modules = ("radicale_shared.server", "radicale_shared.storage_plugin", "radicale_shared.auth_plugin")
    code = f"import {', '.join(modules)}; print(radicale_shared.storage_plugin.__file__)"
    done = run(installed / "python", "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(installed.parent)


def test_the_wheel_brings_its_migrations(installed, tmp_path):
    done = run(installed / "radicale-shared", "db", "upgrade", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert run(installed / "radicale-shared", "db", "check", cwd=tmp_path).stdout == "Nothing is wrong.\n"


@pytest.mark.parametrize("name", ["storage_plugin", "auth_plugin"])
def test_a_plugin_has_no_second_identity(shipped, name):
    done = run(sys.executable, "-c", f"import {name}", cwd=shipped.source)
    assert done.returncode == 1
    assert f"ImportError: this package is imported as radicale_shared.{name}" in done.stderr

"""The command line as a person or a script uses it: arguments in, exit status and text out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from radicale_shared.cli import main
from radicale_shared.database import Database


@dataclass
class CommandLine:
    """Runs commands with a configuration file."""

    config: Path

    def run(self, *arguments: str, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(main, ["--config", str(self.config), *arguments], input=stdin)

    def done(self, *arguments: str, stdin: str | bytes | None = None) -> str:
        result = self.run(*arguments, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *arguments: str, stdin: str | bytes | None = None) -> Any:
        return json.loads(self.done(*arguments, "--json", stdin=stdin))

    def refused(self, *arguments: str, stdin: str | bytes | None = None) -> str:
        """What is said where a command ends with 1: one line, and no traceback."""
        result = self.run(*arguments, stdin=stdin)
        assert result.exit_code == 1, result.output
        assert isinstance(result.exception, SystemExit)
        assert result.stderr.startswith("Error: ")
        assert result.stderr.count("\n") == 1
        return result.stderr

    def misused(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 2, result.output
        return result.stderr


@pytest.fixture
def configuration(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a configuration file for a database."""

    def write(url: str) -> Path:
        path = tmp_path / "config.ini"
        path.write_text(
            f"[storage]\ntype = radicale_shared.storage_plugin\ndatabase_url = {url}\n"
            "[auth]\ntype = radicale_shared.auth_plugin\n[rights]\ntype = radicale_shared.auth_plugin\n"
        )
        return path

    return write


@pytest.fixture
def cli(configuration: Callable[[str], Path], db: Database) -> CommandLine:
    """The command line over ``db``."""
    return CommandLine(configuration(db.url))


@pytest.fixture
def write_vcf(tmp_path: Path) -> Callable[..., str]:
    """Writes small cards into a file and returns its path."""

    def write(name: str, *uids: str, note: str = "") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(_card(uid, note) for uid in uids))
        return str(path)

    return write


def _card(uid: str, note: str) -> bytes:
    lines = ["BEGIN:VCARD", "VERSION:3.0", f"UID:{uid}", f"FN:{uid.capitalize()}", f"N:{uid};;;;", f"NOTE:{note}"]
    return "\r\n".join([*lines, "END:VCARD", ""]).encode()

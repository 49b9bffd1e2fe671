"""A private certificate authority with the certificates that servers have, good and bad ones; made by openssl."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """A server's certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """A private CA below ``folder``; ``file`` is its certificate."""

    def __init__(self, folder: Path, name: str = "Private CA") -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "ca.pem"
        self._key = folder / "ca.key"
        self._run("req", "-x509", *self._new_key(self._key), "-out", self.file, "-subj", f"/CN={name}", "-days", "30")

    def issue(self, name: str, *names: str, days: int = 30) -> Certificate:
        """A certificate for names (``DNS:...``, ``IP:...``); of less than 0 days: one that has expired."""
        key, request, file = (self.folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={','.join(names)}\n", "utf-8")
        self._run("req", *self._new_key(key), "-out", request, "-subj", f"/CN={name}")
        signing = ("-CA", self.file, "-CAkey", self._key, "-CAcreateserial", "-extfile", extensions)
        self._run("x509", "-req", "-in", request, "-out", file, *signing, "-days", str(days))
        return Certificate(file, key)

    @staticmethod
    def _new_key(path: Path) -> tuple[str | Path, ...]:
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path)

    @staticmethod
    def _run(*arguments: str | Path) -> None:
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def missing() -> str:
    """Why no certificates can be made here; empty where they can."""
    return "" if shutil.which("openssl") else "openssl is not installed"

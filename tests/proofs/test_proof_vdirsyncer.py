"""A foreign client: vdirsyncer syncs two people through the real server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

BEN = (
    b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:ben-1\r\nFN:Bj\xc3\xb6rn\r\nNICKNAME:Al,Bob\r\nX-ODD;X-P=1:a,b\r\nEND:VCARD\r\n"
)


class Vdirsyncer:
    """One person's vdirsyncer: local folders in step with the collections of the server."""

    def __init__(self, folder: Path, url: str, login: str) -> None:
        self.folder = folder / login
        self.books: dict[str, Path] = {}
        self._config = self.folder / "config"
        self._url, self._login = url, login

    def take(self, *names: str) -> None:
        """Configure the books to sync by their names in the home, and discover them."""
        pairs = ", ".join(f'["{name}", "{name}", "{name}"]' for name in names)
        self.books = {name: self.folder / "local" / name for name in names}
        for book in self.books.values():
            book.mkdir(parents=True)
        self._config.write_text(
            f"""\
[general]
status_path = "{self.folder}/status/"
[pair books]
a = "local"
b = "server"
collections = [{pairs}]
conflict_resolution = "b wins"
[storage local]
type = "filesystem"
path = "{self.folder}/local/"
fileext = ".vcf"
[storage server]
type = "carddav"
url = "{self._url}"
username = "{self._login}"
password = "{self._login * 2}"
"""
        )
        self._run("discover")

    def sync(self) -> None:
        self._run("sync")

    def cards(self, name: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.books[name].glob("*.vcf")}

    def _run(self, command: str) -> None:
        done = subprocess.run(
            [Path(sys.executable).with_name("vdirsyncer"), "-c", self._config, command],
            capture_output=True,
            text=True,
            env={**os.environ, "HOME": str(self.folder)},
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.usefixtures("organisation")
def test_two_people_share_a_book_through_vdirsyncer(running: Callable[..., object], tmp_path: Path) -> None:
    url = f"{running().url}/"
    ada, ben = Vdirsyncer(tmp_path, url, "ada"), Vdirsyncer(tmp_path, url, "ben")
    for person in (ada, ben):
        person.folder.mkdir()
        person.take("contacts", "sales~leads")

    (ben.books["sales~leads"] / "ben-1.vcf").write_bytes(BEN)
    (ada.books["contacts"] / "own.vcf").write_bytes(BEN.replace(b"ben-1", b"own"))
    ben.sync()
    ada.sync()
    assert [*ada.cards("sales~leads").values()] == [BEN]

    name = next(iter(ada.cards("sales~leads")))
    (ada.books["sales~leads"] / name).write_bytes(BEN.replace(b"FN:Bj", b"FN:Dr. Bj"))
    ada.sync()
    ben.sync()
    assert [*ben.cards("sales~leads").values()] == [BEN.replace(b"FN:Bj", b"FN:Dr. Bj")]
    assert ben.cards("contacts") == {}

"""Xandikos, set up as its documentation says."""

from pathlib import Path

from .. import vcards
from .base import HOST, USER, Server, script


class Xandikos(Server):
    """Xandikos without authentication, which it refuses over plain HTTP; so its figures contain none.

    A PUT costs it too much to load a book that way: contacts are added to the book's git repository in one commit.
    """

    label = "xandikos"
    book = f"/{USER}/contacts/addressbook/"

    @classmethod
    def missing(cls) -> str | None:
        return None if script("xandikos").exists() else f"{script('xandikos')} is not installed (extra: bench)"

    @property
    def repository(self) -> Path:
        return self.folder / "data" / USER / "contacts" / "addressbook"

    def set_up(self) -> None:
        with self.running():  # --defaults makes the book
            pass

    def fill(self, n: int) -> None:
        missing = [index for index in range(n) if not (self.repository / f"{vcards.uid(index)}.vcf").exists()]
        if not missing:
            return
        for index in missing:
            (self.repository / f"{vcards.uid(index)}.vcf").write_bytes(vcards.contact(index))
        # dulwich is what Xandikos itself uses and brings along; Git need not be there.
        self.run(str(script("dulwich")), "add", ".", cwd=self.repository)
        self.run(str(script("dulwich")), "commit", "--message", "fill", cwd=self.repository)

    def command(self, port: int) -> list[str]:
        data = ["-d", str(self.folder / "data"), "--state-dir", str(self.folder / "state"), "--defaults"]
        listen = ["--current-user-principal", f"/{USER}/", "-l", HOST, "-p", str(port)]
        return [str(script("xandikos")), "serve", *data, *listen]

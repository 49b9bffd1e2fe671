"""Stock Radicale, set up as its documentation says."""

import sys
from textwrap import dedent

from .base import HOST, PASSWORD, USER, Server


class Radicale(Server):
    """Stock Radicale: its built-in server, htpasswd, owner_only, multifilesystem with its fsync on, as by default."""

    label = "radicale"
    book = f"/{USER}/bench/"
    bulk = True

    def set_up(self) -> None:
        passwords = self.folder / "htpasswd"
        passwords.write_text(f"{USER}:{PASSWORD}\n", encoding="utf-8")
        (self.folder / "config.ini").write_text(
            dedent(f"""\
                [auth]
                type = htpasswd
                htpasswd_filename = {passwords}
                htpasswd_encryption = plain
                delay = 0
                [rights]
                type = owner_only
                [storage]
                type = multifilesystem
                filesystem_folder = {self.folder / "collections"}
                [logging]
                level = warning
            """),
            encoding="utf-8",
        )

    def command(self, port: int) -> list[str]:
        options = ["--config", str(self.folder / "config.ini"), "--server-hosts", f"{HOST}:{port}"]
        return [sys.executable, "-m", "radicale", *options]

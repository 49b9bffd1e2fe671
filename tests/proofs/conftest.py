"""A real server: ``radicale-shared serve`` in processes of its own, asked over HTTP."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

COMMAND = Path(sys.executable).with_name("radicale-shared")


def nightly(short: int, full: int) -> int:
    """How often to do a thing: ``full`` under the nightly profile."""
    return full if os.environ.get("RADICALE_SHARED_TEST_PROFILE") == "nightly" else short


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class RunningServer:
    """A started server. ``kill`` is SIGKILL for all its processes at once, ``stop`` the orderly end."""

    configuration: Path
    port: int
    workers: int
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    COMMAND,
                    "--config",
                    self.configuration,
                    "serve",
                    "--port",
                    str(self.port),
                    "--workers",
                    str(self.workers),
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, **self.environment},
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                if requests.get(self.url, timeout=5).status_code == 401:
                    return
            except requests.RequestException:
                time.sleep(0.05)
        raise AssertionError(f"the server did not start:\n{self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._wait_for_port()

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()

    def _wait_for_port(self) -> None:
        """Workers of a killed parent may hold the port for a moment."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", self.port))
                except OSError:
                    time.sleep(0.02)
                else:
                    return


@pytest.fixture
def rounds_of_kill(database_url: str) -> int:
    """How often to kill the server: 500 times on SQLite and 100 on PostgreSQL under the nightly profile."""
    return nightly(6, 500) if database_url.startswith("sqlite") else nightly(3, 100)


@pytest.fixture
def running(database_url: str, tmp_path: Path) -> Iterator[Callable[..., RunningServer]]:
    """Starts servers over the test's database: ``running(workers=4)``."""
    started: list[RunningServer] = []

    def start(*, workers: int = 2, options: str = "") -> RunningServer:
        path = tmp_path / f"server-{len(started)}.ini"
        path.write_text(
            f"[storage]\ntype = radicale_shared.storage_plugin\ndatabase_url = {database_url}\n{options}\n"
            "[auth]\ntype = radicale_shared.auth_plugin\n[rights]\ntype = radicale_shared.auth_plugin\n"
            "[logging]\nlevel = warning\n"
        )
        server = RunningServer(path, free_port(), workers, tmp_path / f"server-{len(started)}.log")
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()

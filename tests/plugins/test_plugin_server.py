"""A real ``python -m radicale`` with nothing but a configuration, on a free port of this machine."""

import os
import socket
import subprocess
import sys
import time

import pytest
import requests

BOOK = "/ada/contacts/"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def server(organisation, db, tmp_path):
    """The base URL of a running server."""
    port = free_port()
    configuration = tmp_path / "radicale.ini"
    url_file = tmp_path / "database_url"
    url_file.write_text(db.url + "\n")
    url_file.chmod(0o600)
    configuration.write_text(
        f"[server]\nhosts = 127.0.0.1:{port}\n"
        f"[storage]\ntype = radicale_shared.storage_plugin\ndatabase_url_file = {url_file}\n"
        "[auth]\ntype = radicale_shared.auth_plugin\ndelay = 0\n"
        "[rights]\ntype = radicale_shared.auth_plugin\n"
        "[logging]\nlevel = warning\n"
    )
    command = [sys.executable, "-m", "radicale", "--config", str(configuration)]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=output, stderr=output, env={**os.environ, "RADICALE_CONFIG": ""}
        )
    try:
        for _ in range(200):
            if process.poll() is not None:
                pytest.fail(f"the server ended: {log.read_text()}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_a_plain_radicale_serves_our_books(server, a_card):
    ada, ben, carla = (requests.Session() for _ in range(3))
    for session, login in ((ada, "ada"), (ben, "ben"), (carla, "carla")):
        session.auth = (login, login * 2)
    data = a_card("x", "Ada", "NICKNAME:one,two", "URL:https://example.org/a,b")
    leads = "sales~leads/x%20y.vcf"

    assert requests.get(f"{server}{BOOK}", timeout=10).status_code == 401
    assert requests.get(f"{server}{BOOK}", auth=("ada", "wrong"), timeout=10).status_code == 401
    put = ada.put(f"{server}/ada/{leads}", data=data, timeout=10)
    assert put.status_code == 201
    got = ben.get(f"{server}/ben/{leads}", timeout=10)
    assert (got.status_code, got.content, got.headers["ETag"]) == (200, data, put.headers["ETag"])
    assert carla.get(f"{server}/carla/{leads}", timeout=10).status_code == 403
    assert ben.delete(f"{server}/ben/{leads}", timeout=10).status_code == 403
    edit = ben.put(f"{server}/ben/{leads}", data=data + b"\r\n", headers={"If-Match": got.headers["ETag"]}, timeout=10)
    assert edit.status_code == 204
    assert ada.get(f"{server}/ada/{leads}", timeout=10).content == data + b"\r\n"
    listed = ada.request("PROPFIND", f"{server}/ada/", headers={"Depth": "1"}, timeout=10)
    assert listed.status_code == 207
    assert "/ada/sales~leads/" in listed.text


def test_the_command_line_of_radicale_verifies_the_store(organisation, db, tmp_path):
    configuration = tmp_path / "radicale.ini"
    configuration.write_text(f"[storage]\ntype = radicale_shared.storage_plugin\ndatabase_url = {db.url}\n")
    command = [sys.executable, "-m", "radicale", "--config", str(configuration), "--verify-storage"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()

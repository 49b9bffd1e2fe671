"""The API of a real ``radicale-shared serve``, two processes, as it is asked with curl."""

import socket

import pytest
import requests

from radicale_shared.web.asking import MOST_BYTES
from tests.dav.conftest import write_configuration
from tests.proofs.conftest import RunningServer, free_port


@pytest.fixture
def url(database_url, organisation, tmp_path):
    """The address of a server's API."""
    configuration = write_configuration(tmp_path, database_url)
    server = RunningServer(configuration, free_port(), 2, tmp_path / "server.log")
    server.start()
    yield f"{server.url.rstrip('/')}/api/"
    server.stop()


def raw(url, *lines, is_whole=True):
    """The status of the answer to a request that is sent byte for byte; None where there is none.

    is_whole: else the client goes away after it
    """
    port = int(url.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall("\r\n".join([*lines, "Host: x", "Connection: close", "", ""]).encode())
        if not is_whole:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return int(answer.split()[1]) if answer else None


def test_a_manager_and_a_reader_work_with_curl(url, organisation):
    organisation.grant("sales/leads", "user:ben", "manager")
    ben, carla = requests.Session(), requests.Session()
    ben.auth, carla.auth = ("ben", "benben"), ("carla", "carlacarla")
    grant = f"{url}books/sales~leads/grants/user%3Acarla"

    assert requests.get(url, timeout=20).status_code == 401
    assert ben.get(url, timeout=20).json()["links"]["books"] == "/api/books"
    for _ in range(4):  # both processes
        assert carla.get(f"{url}books/sales~leads", timeout=20).status_code == 404
        given = ben.put(grant, json={"role": "viewer", "hide": ["note"]}, timeout=20)
        assert (given.status_code, given.headers["Cache-Control"]) == (201, "no-store")
        assert carla.get(f"{url}books/sales~leads", timeout=20).json()["hidden"] == ["note"]
        assert carla.put(grant, json={"role": "owner"}, timeout=20).status_code == 403
        assert ben.delete(grant, timeout=20).json()["left"][-1] == "manage"
    head = ben.head(f"{url}books", timeout=20)
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["Content-Length"]) == len(ben.get(f"{url}books", timeout=20).content)
    assert ben.options(grant, timeout=20).headers["Allow"] == "DELETE, PUT"


def test_bodies_and_addresses_of_all_kinds_are_answered(url):
    ada = requests.Session()
    ada.auth = ("ada", "adaada")
    json = {"Content-Type": "application/json"}

    def sent(body):
        answer = ada.post(f"{url}devices", data=body, headers=json, timeout=20)
        return answer.status_code

    assert sent(iter([b'{"label": ', b'"in chunks / B\\u00fcro"}'])) == 201
    assert sent(b" " * (MOST_BYTES + 1)) == 413
    assert sent(b" " * 1024 * 1024) == 413
    assert sent(iter([b" " * 65536] * 32)) == 413
    assert sent(b"[" * 60_000) == 400
    assert ada.delete(f"{url}devices/in%20chunks%20%2F%20B%C3%BCro", timeout=20).status_code == 204
    assert ada.get(f"{url}books/%00/who", timeout=20).status_code == 400
    assert ada.get(f"{url}books/%ff/who", timeout=20).status_code == 400
    signed_in = "Authorization: Basic YWRhOmFkYWFkYQ=="
    assert raw(url, "GET /api/books/../devices HTTP/1.1", signed_in) == 404
    assert raw(url, "GET /api/books HTTP/1.1", signed_in) == 200
    lines = ("POST /api/devices HTTP/1.1", signed_in, "Content-Type: application/json", "Content-Length: 99")
    assert raw(url, *lines, is_whole=False) in {None, 400}
    assert ada.get(f"{url}devices", timeout=20).json() == {"devices": []}

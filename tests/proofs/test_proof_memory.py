"""What a server process has in its memory, and gives back."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.conftest import card

# What a worker has no use for until it is asked for the API or for a directory; migrations are never its business.
BIG = {"alembic", "mako", "pygments", "ldap3", "pyasn1", "werkzeug", "rich"}

# As a worker comes to be: forked from the process of the command, then asked.
WORKER = """
import io, json, sys
from radicale_shared.cli import main

assert main.commands["serve"]
from radicale_shared import server

application = server.make_application()
loaded = [name.partition(".")[0] for name in sys.modules]
statuses = []

def ask(method, path, body=b""):
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": "", "CONTENT_LENGTH": str(len(body)),
               "wsgi.input": io.BytesIO(body), "HTTP_AUTHORIZATION": sys.argv[1], "REMOTE_ADDR": "127.0.0.1"}
    list(application(environ, lambda status, headers: statuses.append(int(status[:3]))))

for method, path, body in json.loads(sys.argv[2]):
    ask(method, path, body.encode())
print(json.dumps([statuses, loaded, [name.partition(".")[0] for name in sys.modules]]))
"""
ADA = "Basic " + base64.b64encode(b"ada:adaada").decode()
POLL = '<propfind xmlns="DAV:"><prop><sync-token/></prop></propfind>'
MULTIGET = (
    '<C:addressbook-multiget xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:carddav"><prop><getetag/><C:address-data/>'
    "</prop><href>/ada/contacts/a.vcf</href></C:addressbook-multiget>"
)


@pytest.fixture
def modules(database_url, organisation, tmp_path):
    """Makes the application in a process of its own: (statuses, modules when made, modules when asked)."""
    path = tmp_path / "server.ini"
    path.write_text(
        f"[storage]\ntype = radicale_shared.storage_plugin\ndatabase_url = {database_url}\n"
        "[auth]\ntype = radicale_shared.auth_plugin\n[rights]\ntype = radicale_shared.auth_plugin\n"
    )

    def asked(*requests):
        done = subprocess.run(
            [sys.executable, "-c", WORKER, ADA, json.dumps(requests)],
            env={**os.environ, "RADICALE_CONFIG": str(path)},
            cwd=tmp_path,  # what is installed is meant, not the sources
            capture_output=True,
            text=True,
            check=True,
        )
        statuses, made, after = json.loads(done.stdout)
        return statuses, set(made), set(after)

    return asked


def test_a_worker_that_serves_cards_has_loaded_nothing_big_that_it_does_not_use(modules):
    statuses, _, after = modules(
        ("PUT", "/ada/contacts/a.vcf", card("a").decode()),
        ("PROPFIND", "/ada/contacts/", POLL),
        ("REPORT", "/ada/contacts/", MULTIGET),
        ("DELETE", "/ada/contacts/a.vcf", ""),
    )

    assert statuses == [201, 207, 207, 204]
    assert after & BIG == set()


def test_what_answers_the_api_is_loaded_when_it_is_asked(modules):
    statuses, made, after = modules(("GET", "/api/", ""))

    assert statuses == [200]
    assert "werkzeug" in after - made


def anonymous(process):
    """Megabytes of memory that are no file's."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) / 1024


def workers(server):
    """The processes that a server has forked."""
    tasks = Path(f"/proc/{server.process.pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells what memory is whose")
def test_a_worker_gives_back_the_memory_that_passwords_take(running, organisation):
    server = running(workers=1)
    (worker,) = workers(server)

    def sign_in(password):
        # Of a login that nobody has: the people of the tests have hashes that cost little.
        return requests.request("PROPFIND", f"{server.url}/", auth=("nobody", password), timeout=30).status_code

    before = anonymous(worker)
    statuses = [sign_in(f"wrong {number}") for number in range(5)]

    assert set(statuses) <= {401, 429}
    assert statuses[0] == 401
    # Each takes 19 MB; what is opened for a first request is little.
    assert anonymous(worker) - before < 10

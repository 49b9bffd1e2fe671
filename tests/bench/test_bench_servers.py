"""Setting up, filling, starting and stopping the servers of a side-by-side run."""

import configparser
import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from cdbench import procstat, servers, vcards
from cdbench.client import Client
from cdbench.harness import Effort
from cdbench.servers import Cyrus, Ours, OursBare, OursOnPostgresql, Radicale, Server, Xandikos
from cdbench.servers import cyrus as cyrus_module
from cdbench.servers import ours as ours_module
from cdbench.workloads import WORKLOADS, Bench


def test_ours_is_set_up_by_its_own_commands_and_the_password_is_on_no_command_line(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(Ours, "run", lambda self, *command, given="", cwd=None: commands.append((command[3:], given)))
    server = Ours(tmp_path, workers=2)

    server.set_up()

    assert commands == [
        (("db", "upgrade"), ""),
        (("user", "add", "alice", "--name", "Alice", "--password-stdin"), servers.PASSWORD + "\n"),
        (("book", "add", "alice/bench"), ""),
        (("guard", "set", "alice/bench", "--cards", "1000000"), ""),
    ]
    assert server.command(5232)[3:] == ["serve", "--host", "127.0.0.1", "--port", "5232", "--workers", "2"]
    config = configparser.RawConfigParser()
    config.read(tmp_path / "config.ini")
    assert config["storage"]["database_url"] == f"sqlite:///{tmp_path}/bench.db"
    assert {section: config[section]["type"] for section in ("storage", "auth", "rights")} == {
        "storage": "radicale_shared.storage_plugin",
        "auth": "radicale_shared.auth_plugin",
        "rights": "radicale_shared.auth_plugin",
    }


def test_on_postgresql_ours_gets_a_database_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv(servers.POSTGRESQL_VARIABLE, "postgresql+psycopg://bench:p%40ss@db:5433/postgres")
    one, other = OursOnPostgresql(tmp_path, database_pids=[7]), OursOnPostgresql(tmp_path)

    assert OursOnPostgresql.missing() is None
    assert one.database != other.database
    assert one.database_url() == f"postgresql+psycopg://bench:p%40ss@db:5433/{one.database}"
    assert one.further_pids() == (7,)


def test_a_server_is_gone_when_its_block_is_left_and_keeps_its_book(tmp_path):
    server = Radicale(tmp_path)
    server.set_up()
    for _ in range(2):
        with server.running() as running:
            bench = Bench(running.target, 3, Effort(), running.pids)
            bench.ensure_collection()
            loaded = bench.load(sequential=3)

    assert loaded is None
    assert procstat.tree(running.pids) == {}
    with pytest.raises(ConnectionRefusedError):
        Client(running.target).request("OPTIONS", "/")


def test_a_xandikos_filled_while_it_is_stopped_serves_the_contacts(tmp_path):
    if reason := Xandikos.missing():
        pytest.skip(reason)
    server = Xandikos(tmp_path)
    server.set_up()
    server.fill(3)
    server.fill(5)

    with server.running() as running:
        assert Bench(running.target, 5, Effort(), running.pids).present() == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("kind", [Ours, OursOnPostgresql, Cyrus])
def test_most_of_a_book_is_filled_at_once_and_the_rest_and_later_sizes_by_put(kind, tmp_path, monkeypatch):
    """Nothing is lost or twice, although the benchmark changed and deleted contacts between two sizes."""
    monkeypatch.delenv(servers.POSTGRESQL_VARIABLE, raising=False)
    for module in (ours_module, cyrus_module):
        monkeypatch.setattr(module, "LEFT_TO_PUT", 10)
    server = started(kind, tmp_path)
    try:
        for n in (40, 90):
            server.fill(n)
            with server.running() as running:
                bench = Bench(running.target, n, Effort(repeats=0.02, seconds=0.2), running.pids)
                bench.ensure_collection()
                filled = bench.present()
                loaded = bench.load(sequential=5)
                held = bench.present()
                results = {letter: bench.run(workload(letter)) for letter in ("c", "e", "h", "i", "j")}

            assert len(filled) >= n - 10
            assert loaded is not None
            assert held == set(range(n))
            for letter, result in results.items():
                assert (result.failed, result.unsupported, result.notes) == (None, None, None), letter
                assert (result.server_cpu_ms or 0) > 0, letter
    finally:
        server.tear_down()
    assert procstat.tree(running.pids) == {}
    assert server.folder == tmp_path or not server.folder.exists()


def test_without_a_history_a_put_replaces_what_was_there(tmp_path):
    server = started(OursBare, tmp_path)
    with server.running() as running:
        client = Client(running.target)
        for number in range(3):
            card = vcards.contact(1, number)
            answer = client.request("PUT", f"{running.target.path}a.vcf", card, Content_Type="text/vcard")
            assert answer.status in {201, 204}
            assert client.request("GET", f"{running.target.path}a.vcf").body == card
    with closing(sqlite3.connect(tmp_path / "bench.db")) as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM {of}").fetchone()[0]
            for of in ("acts WHERE kind = 'put'", "changes", "bodies")
        ]
    assert counts == [0, 0, 1]


def test_an_edit_of_a_card_with_a_photo_lets_the_database_grow_by_little(bench_folder):
    command = [sys.executable, bench_folder / "growth.py", "--servers", "ours", "--edits", "40", "--cards", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = json.loads(done.stdout)["bytes an edit"]["ours"]
    # Of so few edits the pages that are begun are a good part.
    assert 0 < told["all"] < 4000
    assert done.returncode == (told["all"] > 1200)


def test_the_processes_of_a_throw_away_postgresql_count_and_end_with_it(tmp_path, monkeypatch):
    monkeypatch.delenv(servers.POSTGRESQL_VARIABLE, raising=False)
    server = started(OursOnPostgresql, tmp_path)
    assert isinstance(server, OursOnPostgresql)
    try:
        pids = server.further_pids()
        names = {(procstat.Path(f"/proc/{pid}/comm")).read_text().strip() for pid in procstat.tree(pids)}
    finally:
        server.tear_down()

    assert names == {"postgres"}
    assert procstat.tree(pids) == {}


def test_an_initial_sync_shows_what_memory_it_takes(tmp_path):
    server = started(Ours, tmp_path)
    server.fill(50)
    with server.running() as running:
        bench = Bench(running.target, 50, Effort(), running.pids)
        bench.load(sequential=50)
        result = bench.run(workload("n"))

    assert (result.memory_mb or 0) > 1
    assert result.memory_more_mb is not None


def workload(letter: str):
    return next(each for each in WORKLOADS if each.letter == letter)


def started(kind: type[Server], folder) -> Server:
    if reason := kind.missing():
        pytest.skip(f"{kind.label}: {reason}")
    server = kind(folder)
    server.set_up()
    return server

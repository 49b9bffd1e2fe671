"""Setting up, filling, starting and stopping the servers of a side-by-side run."""

import configparser

import pytest
from cdbench import procstat, servers
from cdbench.client import Client
from cdbench.servers import Ours, OursOnPostgresql, Radicale, Xandikos
from cdbench.workloads import Bench, Effort


def test_ours_is_set_up_by_its_own_commands_and_the_password_is_on_no_command_line(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(Ours, "run", lambda self, *command, given="", cwd=None: commands.append((command[3:], given)))
    server = Ours(tmp_path, workers=2)

    server.set_up()

    assert commands == [
        (("db", "upgrade"), ""),
        (("user", "add", "alice", "--name", "Alice", "--password-stdin"), servers.PASSWORD + "\n"),
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

"""The side-by-side runner: whose turn it is, and a whole run against a stock Radicale."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import run as runner
from cdbench import results
from cdbench.harness import Effort
from cdbench.servers import Radicale, Server, ServerFailedError
from cdbench.workloads import SOON_AFTER_A_START, WORKLOADS


def test_servers_take_turns_round_by_round():
    assert list(runner.turns(2, ["ours", "radicale", "xandikos"])) == [
        (1, "ours"),
        (1, "radicale"),
        (1, "xandikos"),
        (2, "ours"),
        (2, "radicale"),
        (2, "xandikos"),
    ]


def test_what_the_command_line_says_takes_the_place_of_the_plans_own():
    quick = runner.plan_of(runner.arguments(["--quick"]))
    chosen = runner.plan_of(runner.arguments(["--quick", "--sizes", "5,50", "--workloads", "k,b", "--cap", "9"]))

    assert quick == runner.QUICK
    assert (chosen.sizes, chosen.effort.cap, chosen.rounds) == ((5, 50), 9, quick.rounds)
    assert [workload.letter for workload in chosen.workloads] == ["b", "k"]
    assert runner.plan_of(runner.arguments([])) == runner.Plan()


@pytest.mark.parametrize("wrong", [["--servers", "ours,nginx"], ["--workloads", "b,z"], ["--sizes", "ten"]])
def test_unknown_servers_workloads_and_sizes_are_wrong_usage(wrong):
    with pytest.raises(SystemExit) as exit_:
        runner.arguments(wrong)

    assert exit_.value.code == 2


def test_a_server_that_ends_at_once_is_reported_with_what_it_had_printed(tmp_path):
    class Broken(Radicale):
        label = "broken"

        def command(self, port: int) -> list[str]:
            return ["sh", "-c", "echo no such option >&2; exit 3"]

    server = Broken(tmp_path)
    server.set_up()

    with pytest.raises(ServerFailedError, match="status 3") as failure, server.running():
        pass
    assert "no such option" in failure.value.log


def test_a_slow_workload_is_not_measured_again_in_later_rounds(tmp_path):
    get, poll = (workload for workload in WORKLOADS if workload.letter in ("h", "k"))
    plan = runner.Plan(sizes=(5,), rounds=2, workloads=(get, poll), effort=Effort(0.01, 5), patience=0)

    measuring = measured(plan, tmp_path)

    rounds = [run for run in measuring.documents["radicale"].runs if run.round]
    assert [sorted(run.results) for run in rounds] == [["h", "k"], []]


def test_a_workload_that_was_too_slow_is_not_tried_with_more_contacts_and_says_why(tmp_path):
    get, poll = (workload for workload in WORKLOADS if workload.letter in ("h", "k"))
    plan = runner.Plan(sizes=(5, 6), rounds=2, workloads=(get, poll), effort=Effort(0.01, 5), patience=0)

    measuring = measured(plan, tmp_path)

    larger = [run for run in measuring.documents["radicale"].runs if run.n == 6 and run.round]
    assert [sorted(run.results) for run in larger] == [["h", "k"], []]
    assert larger[0].results["h"].skipped == "took 0 s with 5 contacts"
    assert "| (h) GET one contact | too slow |" in (tmp_path / "out.md").read_text()


def test_a_server_that_fails_does_not_end_the_others_measuring(tmp_path):
    class Broken(Radicale):
        label = "broken"

        def fill(self, n: int) -> None:
            raise ServerFailedError(self.label, "no room")

    servers = []
    for kind in (Broken, Radicale):
        (tmp_path / kind.label).mkdir()
        servers.append(kind(tmp_path / kind.label))
        servers[-1].set_up()
    poll = next(workload for workload in WORKLOADS if workload.letter == "k")
    plan = runner.Plan(sizes=(5,), rounds=1, workloads=(poll,), effort=Effort(0.01, 5))
    measuring = runner.Measuring(plan, servers, tmp_path / "out")

    measuring.run()

    assert list(measuring.failed) == ["broken"]
    assert [run.n for run in measuring.documents["radicale"].runs if "k" in run.results] == [5]


def test_a_run_that_is_stopped_keeps_what_it_had_measured_and_stops_its_servers(bench_folder, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, bench_folder / "run.py", "--servers", "radicale", "--sizes", "5", "--out", out]
    process = subprocess.Popen([*command, "--rounds", "500", "--workloads", "h"], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (tmp_path / "out.json").exists() or "median_ms" not in (tmp_path / "out.json").read_text():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started = {pid for pid in runner.procstat.tree([process.pid]) if pid != process.pid}

    process.send_signal(signal.SIGTERM)

    assert process.wait(60) == 143
    assert started
    assert not [pid for pid in started if os.path.exists(f"/proc/{pid}")]
    assert json.loads((tmp_path / "out.json").read_text())["documents"][0]["runs"]
    assert "| (h) GET one contact |" in (tmp_path / "out.md").read_text()


def test_a_stock_radicale_is_driven_through_every_workload(tmp_path):
    plan = runner.Plan(sizes=(20,), rounds=1, effort=Effort(repeats=0.01, cap=2, load_cap=20, seconds=0.3))

    measuring = measured(plan, tmp_path)

    document = measuring.documents["radicale"]
    loaded, run = document.runs
    assert loaded.results["a"].bulk == 20
    assert set(run.results) == {workload.letter for workload in WORKLOADS} - SOON_AFTER_A_START
    for letter, result in run.results.items():
        assert (result.failed, result.unsupported) == (None, None), letter
        assert (result.server_cpu_ms or 0) > 0, letter
        assert not result.notes or letter in "lm", (letter, result.notes)
    assert run.rss_mb
    assert 0 < (run.anonymous_worker_mb or 0) <= (run.anonymous_mb or 0) <= run.rss_mb
    assert results.load([tmp_path / "out.json"]) == [document]
    text = (tmp_path / "out.md").read_text()
    assert text.startswith("# CardDAV servers side by side")
    assert "| (h) GET one contact |" in text


def measured(plan: "runner.Plan", folder) -> "runner.Measuring":
    (folder / "server").mkdir()
    server: Server = Radicale(folder / "server")
    server.set_up()
    measuring = runner.Measuring(plan, [server], folder / "out")
    measuring.run()
    return measuring

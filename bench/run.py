#!/usr/bin/env python3
"""Measure CardDAV servers side by side on this machine.

    run.py --servers ours,radicale,xandikos --sizes 1000,10000 --rounds 3 --out bench/results/NAME

Every server is set up in a temporary folder and filled once per size; then all of them stay up and take turns, a whole
round of workloads each (ours, radicale, xandikos, ours, ...), so that whatever else the machine does hits all alike.
Writes NAME.json (all results), NAME.md (medians over the rounds, goals, ratios, growth) and NAME.png (server CPU per
request). The first two are kept up to date: what is measured stays when a run is stopped, and a server that fails ends
only its own part.
Exit status: 0 measured, 1 a server failed or none could be started, 2 wrong usage, 143 stopped by SIGTERM.
"""

import argparse
import importlib
import itertools
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from carddav_bench import letters, numbers
from cdbench import goals, procstat, results, table
from cdbench.asking import Refused
from cdbench.harness import Effort
from cdbench.results import Document, Result, Run
from cdbench.servers import SERVERS, Ours, OursOnPostgresql, Running, Server, ServerFailedError
from cdbench.workloads import SOON_AFTER_A_START, WORKLOADS, Bench, Workload

BASE = "ours"
DEFAULT_EFFORT = Effort(repeats=1.0, cap=4, load_cap=300, seconds=4)
DEFAULT_OUT = Path(__file__).parent / "results" / "latest"
BASELINE = Path(__file__).parent / "baseline"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and for how long.

    patience: caps after which a workload is not measured again: neither in later rounds of the size nor at larger ones
    """

    sizes: tuple[int, ...] = (1000, 10000)
    rounds: int = 3
    workloads: tuple[Workload, ...] = WORKLOADS
    effort: Effort = DEFAULT_EFFORT
    patience: float = 8.0


QUICK = Plan(sizes=(100, 1000), rounds=1, effort=Effort(repeats=0.3, cap=1, load_cap=60, seconds=1.5))


class TooSlow(NamedTuple):
    """A workload that was longer than the plan's patience: with how many contacts, and how long."""

    n: int
    seconds: float


@dataclass(slots=True)
class Measuring:
    """The measuring of several servers: their documents, and where they are kept."""

    plan: Plan
    servers: Sequence[Server]
    out: Path
    documents: dict[str, Document] = field(default_factory=dict)
    too_slow: dict[tuple[str, str], TooSlow] = field(default_factory=dict)
    failed: dict[str, ServerFailedError] = field(default_factory=dict)

    def run(self) -> None:
        """Measure everything planned. A server that does not come up or cannot be filled stands in ``failed``."""
        for n in self.plan.sizes:
            with ExitStack() as stack:
                benches = {}
                for server in self._sound():
                    with self.on_its_own(server):
                        server.fill(n)
                        bench = self._open(stack.enter_context(server.running()), server, n)
                        self._load(bench, server)
                        benches[server.label] = bench
                for number, label in turns(self.plan.rounds, list(benches)):
                    self._round(benches[label], label, number)
            for server in self._sound():
                with self.on_its_own(server):
                    self._after_a_start(server, n)
            self.save_tables()

    def _sound(self) -> list[Server]:
        return [server for server in self.servers if server.label not in self.failed]

    @contextmanager
    def on_its_own(self, server: Server) -> Iterator[None]:
        """Keep the failure of one server from ending the whole run."""
        try:
            yield
        except ServerFailedError as error:
            print(error, file=sys.stderr, flush=True)
            self.failed[server.label] = error

    def _open(self, running: Running, server: Server, n: int) -> Bench:
        self.documents.setdefault(server.label, Document(server.label, running.target.url))
        return Bench(running.target, n, self.plan.effort, running.pids)

    def _after_a_start(self, server: Server, n: int) -> None:
        """Measure what says something only of a server that has just been started."""
        wanted = [each for each in self.plan.workloads if each.letter in SOON_AFTER_A_START]
        if wanted and server.watches_memory:
            with server.running() as running:
                bench = self._open(running, server, n)
                run = self._begin(bench, server.label, 0)
                for workload in wanted:
                    self._record(run, server.label, workload.letter, bench.run(workload))

    def _load(self, bench: Bench, server: Server) -> None:
        try:
            bench.ensure_collection()
            loaded = bench.load_bulk() if server.bulk else bench.load(sequential=min(500, bench.n))
        except Refused as refusal:
            answer = refusal.body[:1000].decode("utf-8", "replace")
            raise ServerFailedError(server.label, f"loading was refused with {refusal.status}", answer) from refusal
        except (OSError, EOFError, ValueError) as error:
            raise ServerFailedError(server.label, f"loading failed: {type(error).__name__}: {error}") from error
        if loaded is not None:
            run = self._begin(bench, server.label, 0)
            self._record(run, server.label, "a", loaded)
        held = len(bench.present())
        if held != bench.n:
            raise ServerFailedError(server.label, f"holds {held} contacts of {bench.n} after loading")

    def _round(self, bench: Bench, label: str, number: int) -> None:
        run = self._begin(bench, label, number)
        with suppress(Refused, OSError, EOFError, ValueError):  # if it is down, every workload will say so
            bench.present()  # removes what an interrupted workload left
        for workload in self.plan.workloads:
            if workload.letter in SOON_AFTER_A_START:
                continue
            if slow := self.too_slow.get((label, workload.letter)):
                if slow.n < bench.n and number == 1:
                    reason = f"took {slow.seconds:.0f} s with {slow.n} contacts"
                    self._record(run, label, workload.letter, Result(skipped=reason))
                continue
            began = time.monotonic()
            self._record(run, label, workload.letter, bench.run(workload))
            seconds = time.monotonic() - began
            if seconds > self.plan.patience * self.plan.effort.cap:
                self.too_slow[label, workload.letter] = TooSlow(bench.n, seconds)
        run.rss_mb, run.pss_mb = procstat.memory_mb(bench.pids)
        run.anonymous_mb = round(sum(procstat.anonymous_mb(bench.pids).values()), 1)
        run.anonymous_worker_mb = max(procstat.anonymous_mb(bench.pids[:1]).values(), default=None)
        run.load_after = list(os.getloadavg())
        self.save()

    def _begin(self, bench: Bench, label: str, number: int) -> Run:
        run = Run(
            bench.n,
            round=number,
            when=time.strftime("%F %T"),
            cpu_source=bench.cpu_source,
            load_before=list(os.getloadavg()),
        )
        self.documents[label].runs.append(run)
        return run

    def _record(self, run: Run, label: str, letter: str, result: Result) -> None:
        run.results[letter] = result
        cell = table.cell("a0" if result.bulk_per_s is not None else letter, [result])
        print(f"N={run.n} round {run.round} {label:<9} ({letter}) {cell}", file=sys.stderr, flush=True)
        self.save()

    def save(self) -> None:
        results.save(self.out.with_name(self.out.name + ".json"), self.to_json())

    def save_tables(self) -> str:
        """Write the tables of what is measured so far, and return them."""
        text = tables(list(self.documents.values()), self.to_json())
        self.out.with_name(self.out.name + ".md").write_text(text, encoding="utf-8")
        return text

    def to_json(self) -> dict[str, Any]:
        effort = self.plan.effort
        return {
            "when": time.strftime("%F %T"),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
            "python": platform.python_version(),
            "rounds": self.plan.rounds,
            "repeats": effort.repeats,
            "cap": effort.cap,
            "seconds": effort.seconds,
            "documents": [results.to_json(document) for document in self.documents.values()],
        }


def turns(rounds: int, labels: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Return (round, label) in the order of measuring: every label once, then every label again."""
    return itertools.product(range(1, rounds + 1), labels)


def tables(documents: Sequence[Document], facts: dict[str, Any]) -> str:
    """Return all tables of a run: the goals, the figures, ratios and growth."""
    sources = {run.cpu_source for document in documents for run in document.runs if run.cpu_source}
    head = (
        f"{facts['when']}, {facts['machine']}, Python {facts['python']}; medians over {facts['rounds']} round(s); "
        f"CPU from: {', '.join(sorted(sources))}."
    )
    baseline = results.load(sorted(BASELINE.glob("*.json")))
    parts = [goals.verdicts(documents, baseline), table.comparison(documents, BASE)]
    return "\n\n".join(["# CardDAV servers side by side", head, *filter(None, parts)])


def draw(documents: Sequence[Document], out: Path) -> None:
    """Write the picture beside ``out``, if there is matplotlib."""
    try:
        plot = importlib.import_module("cdbench.plot")
    except ImportError as error:
        print(f"no picture: {error} (extra: bench)", file=sys.stderr)
    else:
        plot.draw(documents, out.with_name(out.name + ".png"))


def arguments(written: Sequence[str] | None = None) -> argparse.Namespace:
    plan = Plan()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    usual = ",".join(label for label, kind in SERVERS.items() if kind.by_default)
    parser.add_argument("--servers", type=servers_named, default=usual, help=", ".join(SERVERS))
    parser.add_argument("--sizes", type=numbers, help=f"contacts, ascending (default {plan.sizes})")
    parser.add_argument("--rounds", type=int, help=f"turns of each server at each size (default {plan.rounds})")
    parser.add_argument("--workloads", type=letters, help="letters, e.g. b,c,d,e,f,g1,g2,i (default all)")
    parser.add_argument("--repeats", type=float, help="multiply the repeat counts")
    parser.add_argument("--cap", type=float, help=f"seconds a workload may take (default {plan.effort.cap})")
    parser.add_argument("--load-cap", type=float, help="seconds a load may take")
    parser.add_argument("--seconds", type=float, help="length of the concurrent workloads")
    parser.add_argument(
        "--patience",
        type=float,
        default=plan.patience,
        help="a workload that took longer than this many caps is not measured in later rounds, nor at larger sizes",
    )
    parser.add_argument("--quick", action="store_true", help="100 and 1,000 contacts, one round: about three minutes")
    parser.add_argument("--workers", type=int, default=2, help="worker processes of ours (default 2)")
    parser.add_argument("--pg-pid", type=numbers, default=[], help="first process of a PostgreSQL server of your own")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="results go to OUT.json, OUT.md and OUT.png")
    return parser.parse_args(written)


def servers_named(written: str) -> list[type[Server]]:
    """Return the servers of a comma-separated list of labels; for argparse."""
    names = written.split(",")
    if unknown := [name for name in names if name not in SERVERS]:
        raise argparse.ArgumentTypeError(f"no such server: {', '.join(unknown)} (there are {', '.join(SERVERS)})")
    return [SERVERS[name] for name in names]


def plan_of(given: argparse.Namespace) -> Plan:
    """Return the plan the command line asks for: the default or the quick one, with what is given in its place."""
    plan = QUICK if given.quick else Plan()
    effort = plan.effort
    wanted = tuple(each for each in WORKLOADS if given.workloads is None or each.letter in given.workloads)
    return Plan(
        sizes=tuple(given.sizes or plan.sizes),
        rounds=given.rounds or plan.rounds,
        workloads=wanted,
        effort=Effort(
            repeats=given.repeats or effort.repeats,
            cap=given.cap or effort.cap,
            load_cap=given.load_cap or effort.load_cap,
            seconds=given.seconds or effort.seconds,
        ),
        patience=given.patience,
    )


def made(kind: type[Server], folder: Path, given: argparse.Namespace) -> Server:
    """Return a server of this kind with a folder of its own."""
    folder.mkdir()
    if issubclass(kind, OursOnPostgresql):
        return kind(folder, given.workers, given.pg_pid)
    if issubclass(kind, Ours):
        return kind(folder, given.workers)
    return kind(folder)


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    given = arguments()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    kinds = []
    for kind in given.servers:
        if reason := kind.missing():
            print(f"{kind.label} is left out: {reason}", file=sys.stderr)
        else:
            kinds.append(kind)
    if not kinds:
        return 1
    with tempfile.TemporaryDirectory(prefix="carddav-bench-") as folder, ExitStack() as stack:
        servers = [made(kind, Path(folder) / kind.label, given) for kind in kinds]
        measuring = Measuring(plan_of(given), servers, given.out)
        for server in servers:
            stack.callback(server.tear_down)
            with measuring.on_its_own(server):
                server.set_up()
        try:
            measuring.run()
        finally:
            print(measuring.save_tables())
            draw(list(measuring.documents.values()), given.out)
    return 1 if measuring.failed else 0


if __name__ == "__main__":
    sys.exit(main())

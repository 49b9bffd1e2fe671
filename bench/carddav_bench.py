#!/usr/bin/env python3
"""Measure one CardDAV server over HTTP.

    carddav_bench.py --url http://127.0.0.1:5232/alice/book/ --user alice --password secret \\
        --label radicale --sizes 1000,10000 --pid 1234 --out radicale.json

The collection is created when it is missing and filled up to each size in turn; contacts that are there already are
kept, so a second run repeats the measurements without loading again. Cards of an earlier benchmark beyond the size are
deleted, other cards never. Every answer is checked (members, hits, cards): a wrong one shows as a note.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from cdbench import procstat, results, table
from cdbench.client import Target
from cdbench.harness import Effort
from cdbench.results import Document, Result, Run
from cdbench.workloads import WORKLOADS, Bench


def numbers(written: str) -> list[int]:
    """Return the numbers of a comma-separated list."""
    return [int(each) for each in written.split(",") if each]


def letters(written: str) -> list[str]:
    """Return the workload letters of a comma-separated list; for argparse."""
    wanted = written.split(",")
    known = {workload.letter for workload in WORKLOADS}
    if unknown := set(wanted) - known:
        raise argparse.ArgumentTypeError(f"no such workload: {', '.join(sorted(unknown))}")
    return wanted


def arguments(written: Sequence[str] | None = None) -> argparse.Namespace:
    effort = Effort()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--url", required=True, help="the address book collection")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--header", action="append", default=[], help="extra request header line")
    parser.add_argument("--label", required=True)
    parser.add_argument("--sizes", type=numbers, default=[10000], help="contacts, ascending, e.g. 1000,10000,50000")
    parser.add_argument(
        "--sequential", type=int, default=500, help="of each load, PUT this many one after another (default 500)"
    )
    parser.add_argument("--workloads", type=letters, help="letters, e.g. b,c,d,e,f,g1,g2,i (default all)")
    parser.add_argument("--repeats", type=float, default=effort.repeats, help="multiply the repeat counts")
    parser.add_argument("--cap", type=float, default=effort.cap, help="seconds a workload may take")
    parser.add_argument("--load-cap", type=float, default=effort.load_cap, help="seconds a load may take")
    parser.add_argument("--seconds", type=float, default=effort.seconds, help="length of the concurrent workloads")
    parser.add_argument("--pid", type=numbers, default=[], help="server process ids, comma separated (CPU, memory)")
    parser.add_argument(
        "--quickack",
        action="store_true",
        help="acknowledge every segment at once: hides a server's Nagle stalls (40 ms)",
    )
    parser.add_argument(
        "--bulk", action="store_true", help="load with one PUT of all contacts on the collection (Radicale's import)"
    )
    parser.add_argument("--load-clients", type=int, default=8, help="connections loading the rest")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    return parser.parse_args(written)


def main() -> int:
    given = arguments()
    target = Target(given.url, given.user, given.password, 600, tuple(given.header), given.quickack)
    effort = Effort(given.repeats, given.cap, given.load_cap, given.seconds)
    document = Document(given.label, given.url)
    wanted = [workload for workload in WORKLOADS if given.workloads is None or workload.letter in given.workloads]

    def record(run: Run, letter: str, result: Result) -> None:
        run.results[letter] = result
        print(run.n, letter, json.dumps(results.filled(result), ensure_ascii=False), file=sys.stderr, flush=True)
        if given.out:
            results.save(given.out, results.to_json(document))

    for n in given.sizes:
        bench = Bench(target, n, effort, given.pid)
        run = Run(n, when=time.strftime("%F %T"), cpu_source=bench.cpu_source, load_before=list(os.getloadavg()))
        document.runs.append(run)
        bench.ensure_collection()
        loaded = bench.load_bulk() if given.bulk else bench.load(given.sequential, given.load_clients)
        if loaded is not None:
            record(run, "a", loaded)
        for workload in wanted:
            record(run, workload.letter, bench.run(workload))
        if given.pid:
            run.rss_mb, run.pss_mb = procstat.memory_mb(given.pid)
        run.load_after = list(os.getloadavg())
        if given.out:
            results.save(given.out, results.to_json(document))
    print(table.render([document]))
    return 0


if __name__ == "__main__":
    sys.exit(main())

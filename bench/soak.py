#!/usr/bin/env python3
"""Mixed load at a share of what this server can do, for long: does its memory stay flat, does every request succeed?

    soak.py [--server ours|ours-pg] [--workers 2] [--cards 2000] [--minutes 30] [--share 0.8]

Eight clients send what (m) of the benchmark sends (45% GET, 25% poll, 15% sync, 5% multiget of 20, 8% update, 1%
create, 1% delete): first as fast as they can, which gives the capacity, then paced to its share. Every few seconds the
server's resident memory and the anonymous memory of each of its processes is taken; the database's is not, because
PostgreSQL's shared memory fills up to its configured size.
Printed: requests, errors, p50/p95/p99 by kind, and the resident memory's median in the last third of the time divided
by that in the second. Exit status: 0 all limits kept, 1 one was broken, 2 wrong usage.
"""

import argparse
import itertools
import json
import math
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cdbench import procstat
from cdbench.asking import DONE, Request
from cdbench.client import Client, Response
from cdbench.harness import Effort
from cdbench.servers import SERVERS, Ours, Running, ServerFailedError
from cdbench.workloads import Bench

CLIENTS = 8
MOST_GROWTH = 1.05
LATE_SECONDS = 0.1
"""A request that leaves later than this after its time counts as late: the load was not what it should have been."""
PRECISION = 1.02
"""Neighbouring buckets of a distribution differ by this factor: percentiles are right within 2 %."""
KEPT_ERRORS = 5


class Distribution:
    """How long requests took, in logarithmic buckets: half an hour of requests needs no memory to speak of."""

    def __init__(self) -> None:
        self.count = 0
        self.longest = 0.0
        self._buckets: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        self.count += 1
        self.longest = max(self.longest, seconds)
        self._buckets[math.ceil(math.log(max(seconds, 1e-6), PRECISION))] += 1

    def percentile_ms(self, share: float) -> float:
        """Return the milliseconds that ``share`` of the requests did not exceed."""
        wanted, seen = math.ceil(share * self.count), 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return round(min(PRECISION**bucket, self.longest) * 1e3, 2)
        return 0.0

    def line(self) -> dict[str, float]:
        shares = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
        found = {name: self.percentile_ms(share) for name, share in shares.items()}
        return {"requests": self.count, **found, "longest_ms": round(self.longest * 1e3, 1)}


@dataclass
class Seen:
    """What the clients saw; written by all of them under ``lock``."""

    kinds: dict[str, Distribution] = field(default_factory=dict)
    errors: int = 0
    first_errors: list[str] = field(default_factory=list)
    late: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def requests(self) -> int:
        return sum(each.count for each in self.kinds.values())

    def note(self, kind: str, seconds: float, error: str | None, *, late: bool) -> None:
        with self.lock:
            self.kinds.setdefault(kind, Distribution()).add(seconds)
            self.late += late
            if error is not None:
                self.errors += 1
                if len(self.first_errors) < KEPT_ERRORS:
                    self.first_errors.append(f"{kind}: {error}")


class Sample(NamedTuple):
    """Memory of the server's own processes at a moment; anonymous by process id."""

    seconds: float
    rss_mb: float
    anonymous_mb: Mapping[int, float]


def load(bench: Bench, seconds: float, rate: float | None, seen: Seen) -> float:
    """Let all clients work for ``seconds`` and return how many requests a second they got answered.

    rate: requests a second of all clients together; None for as fast as they can
    """
    token = bench.current_token()
    fresh = itertools.count(bench.n + 1000)
    began = time.monotonic()
    threads = [
        threading.Thread(target=_client, args=(bench, number, began + seconds, rate, token, fresh, seen))
        for number in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen.requests / (time.monotonic() - began)


def _client(
    bench: Bench, number: int, until: float, rate: float | None, token: str | None, fresh: Iterator[int], seen: Seen
) -> None:
    client, dice = Client(bench.target), random.Random(number)
    pause = CLIENTS / rate if rate else 0.0
    due = time.monotonic() + pause * number / CLIENTS
    own: list[int] = []
    while (now := time.monotonic()) < until:
        if rate and due > now:
            time.sleep(min(due, until) - now)
            continue
        late = rate is not None and now - due > LATE_SECONDS
        due += pause
        request = bench.mixed_request(dice, token, fresh, own)
        seconds, answer, error = _sent(client, request)
        seen.note(request.kind, seconds, error, late=late)
        if request.kind == "sync" and answer is not None and error is None:
            token = answer.token() or token
    for index in own:
        client.request("DELETE", bench.href(index))
    client.close()


def _sent(client: Client, request: Request) -> tuple[float, Response | None, str | None]:
    """Return (seconds, the answer if there was one, what was wrong with it)."""
    began = time.perf_counter()
    try:
        answer = client.request(request.method, request.path, request.body, **request.headers)
    except (OSError, EOFError, ValueError) as error:
        client.close()
        return time.perf_counter() - began, None, f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - began
    wrong = None if answer.status in DONE else f"{answer.status} {answer.body[:200]!r}"
    return seconds, answer, wrong


class Sampling(threading.Thread):
    """Takes a Sample every few seconds until ``stop``."""

    def __init__(self, pids: Sequence[int], every_seconds: float) -> None:
        super().__init__(daemon=True)
        self.samples: list[Sample] = []
        self._pids = tuple(pids)
        self._every = every_seconds
        self._over = threading.Event()

    def run(self) -> None:
        began = time.monotonic()
        while not self._over.wait(self._every):
            rss, _ = procstat.memory_mb(self._pids)
            self.samples.append(Sample(time.monotonic() - began, rss, procstat.anonymous_mb(self._pids)))

    def stop(self) -> list[Sample]:
        self._over.set()
        self.join()
        return self.samples


def growth(samples: Sequence[Sample]) -> float | None:
    """Return the median resident memory of the last third of the samples divided by that of the second third."""
    third = len(samples) // 3
    if not third:
        return None
    second, last = samples[third : 2 * third], samples[2 * third :]
    return statistics.median(each.rss_mb for each in last) / statistics.median(each.rss_mb for each in second)


def soak(running: Running, *, cards: int, seconds: float, calibration: float, share: float) -> dict[str, object]:
    """Load ``cards`` contacts into the running server, find its capacity, and keep it at work; return what was seen."""
    bench = Bench(running.target, cards, Effort(), running.pids)
    bench.ensure_collection()
    bench.load(sequential=0)
    capacity = load(bench, calibration, None, calibrated := Seen())
    own = running.pids[:1]
    processes = set(procstat.tree(own))
    sampling = Sampling(own, max(0.2, min(5.0, seconds / 60)))
    sampling.start()
    seen = Seen()
    rate = load(bench, seconds, capacity * share, seen)
    samples = sampling.stop()
    gone = processes - set(procstat.tree(own))
    grown = growth(samples)
    return {
        "capacity_per_s": round(capacity, 1),
        "asked_per_s": round(capacity * share, 1),
        "got_per_s": round(rate, 1),
        "seconds": round(seconds),
        "requests": seen.requests,
        "late": seen.late,
        "errors": seen.errors + calibrated.errors,
        "first_errors": seen.first_errors + calibrated.first_errors,
        "processes_gone": len(gone),
        "rss_growth": round(grown, 4) if grown else None,
        "samples": len(samples),
        "rss_mb": _span([each.rss_mb for each in samples]),
        "anonymous_mb": {str(pid): _span([each.anonymous_mb.get(pid, 0.0) for each in samples]) for pid in processes},
        "kinds": {kind: each.line() for kind, each in sorted(seen.kinds.items())},
    }


def _span(values: Sequence[float]) -> dict[str, float]:
    return {"first": values[0], "last": values[-1], "highest": max(values)} if values else {}


def broken(found: Mapping[str, object], most_growth: float) -> list[str]:
    """Return the limits that were not kept, as sentences."""
    limits = []
    if found["errors"]:
        limits.append(f"{found['errors']} requests failed: {found['first_errors']}")
    if found["processes_gone"]:
        limits.append(f"{found['processes_gone']} of the server's processes ended")
    grown = found["rss_growth"]
    if not isinstance(grown, float):
        limits.append("the time was too short to see whether memory grows")
    elif grown > most_growth:
        limits.append(f"resident memory grew to {grown} times as much, {most_growth} is the most")
    return limits


def arguments(written: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=("ours", "ours-pg"), default="ours")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cards", type=int, default=2000)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--calibration", type=float, default=20, help="seconds in which the capacity is found")
    parser.add_argument("--share", type=float, default=0.8, help="of the capacity")
    parser.add_argument("--most-growth", type=float, default=MOST_GROWTH, help=f"of memory (default {MOST_GROWTH})")
    return parser.parse_args(written)


def main() -> int:
    given = arguments()
    kind = SERVERS[given.server]
    if (missing := kind.missing()) or not issubclass(kind, Ours):
        print(f"{given.server} is left out: {missing}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="carddav-soak-") as folder:
        server = kind(Path(folder), given.workers)
        try:
            server.set_up()
            server.fill(given.cards)
            with server.running() as running:
                found = soak(
                    running,
                    cards=given.cards,
                    seconds=given.minutes * 60,
                    calibration=given.calibration,
                    share=given.share,
                )
        except ServerFailedError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            server.tear_down()
    print(json.dumps(found | {"load_after": list(os.getloadavg())}, indent=1))
    limits = broken(found, given.most_growth)
    for limit in limits:
        print(limit, file=sys.stderr)
    return 1 if limits else 0


if __name__ == "__main__":
    sys.exit(main())

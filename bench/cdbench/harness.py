"""One address book on one server: timing requests, one after another or of many clients at once.

Only the request and reading its answer are timed. Answers are checked afterwards (number of members, hits, cards);
counting a listing of 10,000 costs the client 10 ms.
"""

import itertools
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from . import procstat, vcards
from .asking import PROPFIND_POLL, VCARD_TYPE, XML_TYPE, Refused, check, sync_body
from .client import Client, Response, Target
from .results import Result

FAST_SECONDS = 1.0
"""A workload is repeated beyond its plain count while all its requests together took less than this."""
FAST_FACTOR = 6
"""... and at most this many times the plain count."""
SETTLE_SECONDS = 0.002
"""What a server gets to finish up after an answer before its CPU time is read between two requests."""
SILENCE_SECONDS = 60.0
"""How long a concurrent client waits for an answer. Radicale's accept queue of 5 leaves some of 32 waiting for ever."""
IDLE_LOOK_SECONDS = 0.2
IDLE_SHARE = 0.1
"""A server is idle when it uses less than this share of one processor."""
IDLE_WAIT_SECONDS = 60.0
KEPT_NOTES = 4


class Timed(NamedTuple):
    """One request of a concurrent client."""

    kind: str
    seconds: float


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest of ``values`` that ``share`` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def ms(seconds: float) -> float:
    """Return milliseconds as results have them."""
    return round(seconds * 1e3, 4)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured.

    repeats: factor on the repeat counts of the single-client workloads
    cap: seconds a single-client workload may take, preparations included
    load_cap: seconds the concurrent part of a load may take
    seconds: length of the concurrent workloads
    """

    repeats: float = 1.0
    cap: float = 60
    load_cap: float = 1800
    seconds: float = 15


class Harness:
    """One address book with ``n`` contacts of ``vcards``, the connection to it and what is known of it."""

    def __init__(self, target: Target, n: int, effort: Effort, pids: Sequence[int] = ()) -> None:
        self.target = target
        self.path = target.path
        self.n = n
        self.effort = effort
        self.pids = tuple(pids)
        self.cpu_source = procstat.cpu_source()
        self.client = Client(target)
        self.rng = random.Random(n)
        # Beyond those of any earlier run and size: an update must change the card. Nobody updates 1,000 a second.
        self.revisions = itertools.count(time.time_ns() // 1_000_000)

    def href(self, index: int) -> str:
        return f"{self.path}{vcards.uid(index)}.vcf"

    def put(self, index: int, revision: int = 0, client: Client | None = None, **headers: str) -> Response:
        card = vcards.contact(index, revision)
        return check((client or self.client).request("PUT", self.href(index), card, Content_Type=VCARD_TYPE, **headers))

    def propfind(self, body: bytes, *, depth: str, client: Client | None = None) -> Response:
        return self._xml("PROPFIND", body, depth, client)

    def report(self, body: bytes, *, depth: str = "0", client: Client | None = None) -> Response:
        return self._xml("REPORT", body, depth, client)

    def _xml(self, method: str, body: bytes, depth: str, client: Client | None) -> Response:
        answer = (client or self.client).request(method, self.path, body, Content_Type=XML_TYPE, Depth=depth)
        return check(answer, 207)

    def current_token(self) -> str | None:
        """Return the book's sync token, by the dear REPORT where the property is missing."""
        token = self.propfind(PROPFIND_POLL, depth="0").token()
        return token or self.report(sync_body("")).token()

    def cpu(self) -> float:
        return procstat.cpu_seconds(self.pids, self.cpu_source) if self.pids else 0.0

    def cpu_ms(self, since: float, requests: int) -> float | None:
        """Return the server's CPU milliseconds per request since ``cpu()`` was ``since``, None if it is not known."""
        return ms((self.cpu() - since) / requests) if self.pids else None

    def timed(
        self,
        repeats: float,
        once: Callable[[int], Response],
        *,
        prepare: Callable[[int], None] | None = None,
        verify: Callable[[int, Response], str | None] | None = None,
        fixed: bool = False,
        warm_up: bool = False,
    ) -> Result:
        """Time ``once(k)`` for k = 0, 1, ... and say what came of it.

        repeats: the plain count, multiplied by the effort's factor; a fast workload gets up to FAST_FACTOR times as
            many, a slow one ends when the effort's cap is reached
        prepare: called before each ``once``; neither its time nor its CPU counts
        verify: gets the answer after the clock was stopped, returns a note if it is wrong
        fixed: exactly ``repeats``, whatever the effort's factor
        warm_up: send ``once(0)`` once before, outside every figure but ``first_ms``: what a server builds at the first
            request after a start or a load is not what a request costs
        """
        first_seconds = self._seconds_of_first(once) if warm_up else None
        wanted = round(repeats) if fixed else max(1, round(repeats * self.effort.repeats))
        at_most = wanted if fixed else wanted * FAST_FACTOR
        times: list[float] = []
        sizes: list[int] = []
        notes: set[str] = set()
        cpu = 0.0
        capped = False
        began = time.monotonic()
        cpu_began = self.cpu()
        while len(times) < wanted or (len(times) < at_most and sum(times) < FAST_SECONDS):
            if times and time.monotonic() - began > self.effort.cap:
                capped = len(times) < wanted
                break
            k = len(times)
            if prepare is not None:
                prepare(k)
                cpu_began = self._settled_cpu()
            started = time.perf_counter()
            response = once(k)
            times.append(time.perf_counter() - started)
            if prepare is not None:
                cpu += self._settled_cpu() - cpu_began
            sizes.append(len(response.body))
            if verify is not None and (note := verify(k, response)):
                notes.add(note)
        if prepare is None:
            cpu = self.cpu() - cpu_began
        return Result(
            repeats=len(times),
            first_ms=ms(first_seconds) if first_seconds is not None else None,
            median_ms=ms(statistics.median(times)),
            p95_ms=ms(percentile(times, 0.95)),
            min_ms=ms(min(times)),
            bytes=int(statistics.median(sizes)),
            server_cpu_ms=ms(cpu / len(times)) if self.pids else None,
            capped=capped or None,
            notes=sorted(notes)[:KEPT_NOTES] or None,
        )

    @staticmethod
    def _seconds_of_first(once: Callable[[int], Response]) -> float:
        started = time.perf_counter()
        once(0)
        return time.perf_counter() - started

    def _settled_cpu(self) -> float:
        if not self.pids:
            return 0.0
        time.sleep(SETTLE_SECONDS)
        return self.cpu()

    def concurrently(
        self, clients: int, worker: Callable[[Client, random.Random, float, list[Timed]], None], seconds: float
    ) -> Result:
        """Let ``worker(client, rng, deadline, done)`` run once per client, all from the same moment on.

        worker: appends to ``done`` what it got answered until ``deadline``

        The rate counts until the last client is done, so stragglers lower it: that is the server's accept queue and
        part of what a client sees. A client that waits longer than SILENCE_SECONDS stops and is noted.
        """
        target = replace(self.target, timeout=min(self.target.timeout, SILENCE_SECONDS))
        barrier = threading.Barrier(clients + 1)
        done: list[Timed] = []
        errors: list[str] = []

        def body(number: int) -> None:
            client = Client(target)
            barrier.wait()
            try:
                worker(client, random.Random(number), time.monotonic() + seconds, done)
            except Exception as error:  # noqa: BLE001 - one client's end is a note, not the end of the measurement
                errors.append(f"{type(error).__name__}: {error}")
            finally:
                client.close()

        threads = [threading.Thread(target=body, args=(number,), daemon=True) for number in range(clients)]
        for thread in threads:
            thread.start()
        cpu_began = self.cpu()
        own_began = time.process_time()
        barrier.wait()
        started = time.perf_counter()
        for thread in threads:
            thread.join()
        wall = time.perf_counter() - started
        own_seconds = time.process_time() - own_began
        cpu_ms = self.cpu_ms(cpu_began, len(done)) if done else None
        self.wait_until_idle()
        if not done:
            raise Refused("no answer", "; ".join(errors[:3]).encode())
        times = [each.seconds for each in done]
        return Result(
            clients=clients,
            requests=len(done),
            seconds=round(wall, 2),
            per_s=round(len(done) / wall, 1),
            median_ms=ms(statistics.median(times)),
            p95_ms=ms(percentile(times, 0.95)),
            client_cpu_share=round(own_seconds / wall, 2),
            kinds=_by_kind(done),
            server_cpu_ms=cpu_ms,
            notes=[f"{len(errors)} client(s) stopped: {errors[0]}"] if errors else None,
        )

    def wait_until_idle(self) -> None:
        """Wait until the server has worked off what clients that gave up had asked, IDLE_WAIT_SECONDS at most."""
        deadline = time.monotonic() + IDLE_WAIT_SECONDS
        while self.pids and time.monotonic() < deadline:
            before = self.cpu()
            time.sleep(IDLE_LOOK_SECONDS)
            if self.cpu() - before < IDLE_SHARE * IDLE_LOOK_SECONDS:
                return


def _by_kind(done: Iterable[Timed]) -> dict[str, dict[str, float]] | None:
    """Return requests, median and p95 of each kind of request, None if there is but one kind."""
    by_kind: dict[str, list[float]] = {}
    for kind, seconds in done:
        by_kind.setdefault(kind, []).append(seconds)
    if len(by_kind) < 2:
        return None
    return {
        kind: {
            "requests": len(times),
            "median_ms": ms(statistics.median(times)),
            "p95_ms": ms(percentile(times, 0.95)),
        }
        for kind, times in sorted(by_kind.items())
    }

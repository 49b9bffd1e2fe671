"""Filling a book over HTTP: workload (a)."""

import random
import statistics
import threading
import time
from collections.abc import Sequence
from http import HTTPStatus

from . import vcards
from .asking import MKCOL, PROPFIND_ETAGS, PROPFIND_POLL, VCARD_TYPE, XML_TYPE, Refused, check
from .client import Client, name_of
from .harness import Harness, Timed, ms, percentile
from .results import Result

ATTEMPTS = 20
"""How often a refused PUT is tried again while loading: Xandikos answers concurrent writes with 423."""


class Loading(Harness):
    """A book that can be filled."""

    def ensure_collection(self) -> None:
        """Make the address book if it is missing (extended MKCOL, RFC 5689)."""
        seen = self.client.request("PROPFIND", self.path, PROPFIND_POLL, Content_Type=XML_TYPE, Depth="0")
        if seen.status == HTTPStatus.NOT_FOUND:
            check(self.client.request("MKCOL", self.path, MKCOL, Content_Type=XML_TYPE))
        else:
            check(seen, 207)

    def present(self) -> set[int]:
        """Return which of our contacts the book holds, and delete what an interrupted workload had left in it.

        Only cards of the benchmark are deleted.
        """
        found = set()
        for href in self.propfind(PROPFIND_ETAGS, depth="1").etags():
            index = vcards.index_of(name_of(href))
            if index is not None and index >= self.n:
                self.client.request("DELETE", self.href(index))
            elif index is not None:
                found.add(index)
        return found

    def load_bulk(self) -> Result | None:
        """Fill the book by one PUT of all contacts onto the collection; None if it was full.

        Not CardDAV: Radicale takes it as an import and replaces the whole book.
        """
        if len(self.present()) == self.n:
            return None
        body = b"".join(vcards.contact(index) for index in range(self.n))
        cpu_began = self.cpu()
        started = time.perf_counter()
        check(self.client.request("PUT", self.path, body, Content_Type=VCARD_TYPE))
        wall = time.perf_counter() - started
        return Result(
            bulk=self.n,
            bulk_s=round(wall, 1),
            bulk_per_s=round(self.n / wall, 1),
            server_cpu_ms=self.cpu_ms(cpu_began, self.n),
        )

    def load(self, sequential: int, clients: int = 8) -> Result | None:
        """Fill the book by PUT: ``sequential`` contacts on one connection, the rest on several; None if it was full."""
        missing = sorted(set(range(self.n)) - self.present())
        if not missing:
            return None
        first, rest = missing[:sequential], missing[sequential:]
        times: list[float] = []
        capped = False
        cpu_began = self.cpu()
        began = time.perf_counter()
        for k, index in enumerate(first):
            card = vcards.contact(index)
            href = self.href(index)
            started = time.perf_counter()
            check(self.client.request("PUT", href, card, Content_Type=VCARD_TYPE, If_None_Match="*"))
            times.append(time.perf_counter() - started)
            if time.perf_counter() - began > self.effort.cap:
                rest = first[k + 1 :] + rest
                capped = bool(rest)
                break
        result = Result(already_there=self.n - len(missing), sequential=len(times), capped=capped or None)
        if times:
            result.sequential_per_s = round(len(times) / sum(times), 1)
            result.median_ms = ms(statistics.median(times))
            result.p95_ms = ms(percentile(times, 0.95))
            result.server_cpu_ms = self.cpu_ms(cpu_began, len(times))
        if rest:
            self._load_rest(rest, clients, result)
        return result

    def _load_rest(self, rest: Sequence[int], clients: int, result: Result) -> None:
        jobs = iter(rest)
        lock = threading.Lock()
        refusals: list[int | str] = []

        def next_job() -> int | None:
            with lock:
                return next(jobs, None)

        def put_stubbornly(index: int, client: Client) -> None:
            for _ in range(ATTEMPTS - 1):
                try:
                    self.put(index, client=client)
                except Refused as refusal:
                    refusals.append(refusal.status)
                else:
                    return
            self.put(index, client=client)

        def worker(client: Client, _: random.Random, deadline: float, done: list[Timed]) -> None:
            while time.monotonic() < deadline and (index := next_job()) is not None:
                started = time.perf_counter()
                put_stubbornly(index, client)
                done.append(Timed("put", time.perf_counter() - started))

        part = self.concurrently(clients, worker, self.effort.load_cap)
        stored = part.requests or 0
        notes = part.notes or []
        if refusals:
            statuses = ", ".join(sorted({str(status) for status in refusals}))
            notes.append(f"{len(refusals)} refusals, tried again: {statuses}")
        if stored < len(rest):
            result.capped = True
            notes.append(f"loaded {stored} of {len(rest)}")
        result.rest = stored
        result.rest_clients = clients
        result.rest_per_s = part.per_s
        result.rest_p95_ms = part.p95_ms
        result.notes = notes or None

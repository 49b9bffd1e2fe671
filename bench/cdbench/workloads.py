"""The workloads: what an address book app does all day, one result each.

A wrong answer is a note in the result, a refusal is a result.
"""

import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from . import procstat, vcards
from .asking import (
    DONE,
    PROPFIND_ETAGS,
    PROPFIND_POLL,
    VCARD_TYPE,
    XML_TYPE,
    Refused,
    Request,
    check,
    expect_members,
    multiget_body,
    query_body,
    sync_body,
)
from .client import Client, Response, name_of
from .harness import Timed
from .loading import Loading
from .results import Result

WARM_SECONDS = 2.0
"""How long a server works before its memory is looked at."""


class Workload(NamedTuple):
    """A workload by letter. ``method`` is the one of Bench."""

    letter: str
    name: str
    method: str


WORKLOADS = (
    Workload("b", "PROPFIND Depth:1 getetag", "propfind_etags"),
    Workload("b2", "PROPFIND Depth:1 getetag, unchanged", "propfind_unchanged"),
    Workload("c", "sync-collection, empty token, unchanged", "sync_initial"),
    Workload("d", "sync-collection, nothing changed", "sync_unchanged"),
    Workload("e", "sync-collection, 10 changes", "sync_changed"),
    Workload("f", "addressbook-multiget, 100 each", "multiget"),
    Workload("g1", "addressbook-query FN contains", "query_fn"),
    Workload("g2", "addressbook-query EMAIL contains", "query_email"),
    Workload("h", "GET one contact", "get"),
    Workload("i", "PUT update with If-Match", "put_if_match"),
    Workload("j", "DELETE one contact", "delete"),
    Workload("k", "PROPFIND Depth:0 ctag, sync-token", "poll"),
    Workload("l", "32 clients polling (k)+(d)", "polling32"),
    Workload("m", "8 clients, 90% reads 10% writes", "mixed8"),
    Workload("n", "memory of an initial sync", "sync_memory"),
)
CONCURRENT = frozenset({"l", "m"})
SOON_AFTER_A_START = frozenset({"n"})
"""Measured once per size: says something of a server only soon after its start."""


class Bench(Loading):
    """One address book with ``n`` contacts of ``vcards``, and everything that is measured of it."""

    def run(self, workload: Workload) -> Result:
        """Return the workload's result; a refusal and a broken connection are results too."""
        method: Callable[[], Result] = getattr(self, workload.method)
        try:
            return method()
        except Refused as refusal:
            return Result(unsupported=refusal.status, answer=refusal.body[:300].decode("utf-8", "replace"))
        except (OSError, EOFError, ValueError, KeyError) as error:
            self.client.close()
            return Result(failed=f"{type(error).__name__}: {error}")

    # -- (b) to (e): learning what changed ---------------------------------------------------------

    def propfind_etags(self) -> Result:
        """The listing after a change: a card is updated before each."""

        def prepare(_: int) -> None:
            self.put(self.rng.randrange(self.n), next(self.revisions))

        return self._propfind_etags(prepare)

    def propfind_unchanged(self) -> Result:
        """The listing that was asked for a moment ago."""
        return self._propfind_etags(None)

    def _propfind_etags(self, prepare: Callable[[int], None] | None) -> Result:
        return self.timed(
            7,
            lambda _: self.propfind(PROPFIND_ETAGS, depth="1"),
            prepare=prepare,
            verify=lambda _, response: expect_members(response, (self.n, self.n + 1)),
            warm_up=True,
        )

    def sync_initial(self) -> Result:
        def verify(_: int, response: Response) -> str | None:
            return expect_members(response, (self.n, self.n + 1)) or (None if response.token() else "no token")

        body = sync_body("")
        return self.timed(7, lambda _: self.report(body), verify=verify, warm_up=True)

    def sync_unchanged(self) -> Result:
        token = self.current_token()

        def verify(_: int, response: Response) -> str | None:
            nonlocal token
            token = response.token() or token
            return expect_members(response, (0, 1))

        return self.timed(50, lambda _: self.report(sync_body(token)), verify=verify)

    def sync_changed(self) -> Result:
        """8 updates, 1 creation and 1 removal since the token: 10 members to report."""
        newest = self.n + 1
        self.put(newest)
        token = self.current_token()

        def prepare(_: int) -> None:
            nonlocal newest
            for index in self.rng.sample(range(self.n), min(8, self.n)):
                self.put(index, next(self.revisions))
            check(self.client.request("DELETE", self.href(newest)))
            newest += 1
            self.put(newest)

        def verify(_: int, response: Response) -> str | None:
            nonlocal token
            token = response.token()
            return expect_members(response, (10, 11))

        try:
            return self.timed(10, lambda _: self.report(sync_body(token)), prepare=prepare, verify=verify)
        finally:
            self.client.request("DELETE", self.href(newest))

    # -- (f), (g): downloading and searching -------------------------------------------------------

    def multiget(self) -> Result:
        listed = self.propfind(PROPFIND_ETAGS, depth="1").etags()
        hrefs = [href for href in listed if name_of(href).endswith(".vcf")]
        batches = [hrefs[start : start + 100] for start in range(0, len(hrefs), 100)]
        bodies = [multiget_body(batch) for batch in batches]
        passes = max(1, min(3, 3000 // self.n))

        def verify(k: int, response: Response) -> str | None:
            cards, wanted = response.body.count(b"END:VCARD"), len(batches[k % len(batches)])
            return None if cards == wanted else f"{cards} cards, expected {wanted}"

        result = self.timed(
            passes * len(batches), lambda k: self.report(bodies[k % len(bodies)]), verify=verify, fixed=True
        )
        if result.median_ms:
            result.contacts_per_s = round(len(batches[0]) * 1e3 / result.median_ms, 1)
        return result

    def query_fn(self) -> Result:
        sought = [vcards.searchable(index)[0] for index in range(self.n)]
        return self._query("FN", sought, [sought[index][1:].lower() for index in self._some("FN")])

    def query_email(self) -> Result:
        sought = [vcards.searchable(index)[1] for index in range(self.n)]
        return self._query("EMAIL", sought, [sought[index][1:-6] for index in self._some("EMAIL")])

    def _some(self, prop: str) -> list[int]:
        """Return seven contacts to look for, the same for every server and round."""
        return random.Random(f"{prop} {self.n}").sample(range(self.n), min(7, self.n))

    def _query(self, prop: str, sought: Sequence[str], needles: Sequence[str]) -> Result:
        folded = [value.casefold() for value in sought]
        hits = [sum(needle.casefold() in value for value in folded) for needle in needles]
        bodies = [query_body(prop, needle) for needle in needles]
        result = self.timed(
            len(needles),
            # Depth 0 would search the collection itself instead of its members (RFC 6352, section 8.6).
            lambda k: self.report(bodies[k % len(bodies)], depth="1"),
            verify=lambda k, response: expect_members(response, (hits[k % len(hits)],)),
            warm_up=True,
        )
        result.hits = hits
        return result

    # -- (h) to (k): single requests ---------------------------------------------------------------

    def get(self) -> Result:
        hrefs = [self.href(self.rng.randrange(self.n)) for _ in range(200)]
        return self.timed(200, lambda k: check(self.client.request("GET", hrefs[k % len(hrefs)]), 200))

    def put_if_match(self) -> Result:
        index, card, etag = 0, b"", ""

        def prepare(_: int) -> None:
            nonlocal index, card, etag
            index = self.rng.randrange(self.n)
            card = vcards.contact(index, next(self.revisions))
            etag = check(self.client.request("GET", self.href(index)), 200).headers[b"etag"].decode()

        def once(_: int) -> Response:
            answer = self.client.request("PUT", self.href(index), card, Content_Type=VCARD_TYPE, If_Match=etag)
            return check(answer)

        return self.timed(100, once, prepare=prepare)

    def delete(self) -> Result:
        def prepare(k: int) -> None:
            self.put(self.n + k)

        return self.timed(30, lambda k: check(self.client.request("DELETE", self.href(self.n + k))), prepare=prepare)

    def poll(self) -> Result:
        def verify(_: int, response: Response) -> str | None:
            return None if response.token() or b"getctag" in response.body else "neither ctag nor token"

        return self.timed(100, lambda _: self.propfind(PROPFIND_POLL, depth="0"), verify=verify)

    # -- (l), (m): concurrent clients --------------------------------------------------------------

    def polling32(self) -> Result:
        first_token = self.current_token()

        def worker(client: Client, _: random.Random, deadline: float, done: list[Timed]) -> None:
            token = first_token
            while time.monotonic() < deadline:
                started = time.perf_counter()
                self.propfind(PROPFIND_POLL, depth="0", client=client)
                polled = time.perf_counter()
                answer = self.report(sync_body(token), client=client)
                done += [Timed("poll", polled - started), Timed("sync", time.perf_counter() - polled)]
                token = answer.token() or token

        return self.concurrently(32, worker, self.effort.seconds)

    def mixed8(self) -> Result:
        """45% GET, 25% poll, 15% sync, 5% multiget of 20, 8% update, 1% create, 1% delete."""
        first_token = self.current_token()
        fresh = itertools.count(self.n + 1000)

        def worker(client: Client, rng: random.Random, deadline: float, done: list[Timed]) -> None:
            token = first_token
            own: list[int] = []
            try:
                while time.monotonic() < deadline:
                    request = self.mixed_request(rng, token, fresh, own)
                    started = time.perf_counter()
                    answer = client.request(request.method, request.path, request.body, **request.headers)
                    seconds = time.perf_counter() - started
                    refused = answer.status not in DONE
                    kind = f"refused {request.kind} {answer.status}" if refused else request.kind
                    done.append(Timed(kind, seconds))
                    if request.kind == "sync" and not refused:
                        token = answer.token() or token
            finally:
                for index in own:
                    client.request("DELETE", self.href(index))

        return self.concurrently(8, worker, self.effort.seconds)

    def mixed_request(self, rng: random.Random, token: str | None, fresh: Iterator[int], own: list[int]) -> Request:
        """Return the next request of a mixed client.

        own: the contacts this client has made and not yet deleted; kept up to date here
        """
        dice = rng.randrange(100)
        index = rng.randrange(self.n)
        as_xml = {"Content_Type": XML_TYPE, "Depth": "0"}
        as_card = {"Content_Type": VCARD_TYPE}
        if dice < 45:
            return Request("get", "GET", self.href(index))
        if dice < 70:
            return Request("poll", "PROPFIND", self.path, PROPFIND_POLL, as_xml)
        if dice < 85:
            return Request("sync", "REPORT", self.path, sync_body(token), as_xml)
        if dice < 90:
            body = multiget_body(self.href(rng.randrange(self.n)) for _ in range(20))
            return Request("multiget20", "REPORT", self.path, body, as_xml)
        if dice < 98 or (dice == 99 and not own):
            card = vcards.contact(index, next(self.revisions))
            return Request("update", "PUT", self.href(index), card, as_card)
        if dice == 98:
            own.append(next(fresh))
            return Request("create", "PUT", self.href(own[-1]), vcards.contact(own[-1]), as_card)
        return Request("delete", "DELETE", self.href(own.pop()))

    # -- (n): memory -------------------------------------------------------------------------------

    def sync_memory(self) -> Result:
        """Anonymous memory of a server that has worked, and how much more an initial sync takes.

        The highest of its processes counts, its database's left out, while a sync runs: one in plain text, one
        compressed, because a server may keep more of one in memory than of the other. Only of worth soon after a start:
        what a process once had, it often keeps.
        """
        if not self.pids:
            return Result(unsupported="no process ids")
        quick = Bench(self.target, self.n, replace(self.effort, seconds=WARM_SECONDS), self.pids)
        quick.mixed8()
        before = procstat.anonymous_mb(self.pids[:1])
        with procstat.Peaks(self.pids[:1]) as peaks:
            for headers in ((), ("Accept-Encoding: gzip",)):
                client = Client(replace(self.target, extra_headers=(*self.target.extra_headers, *headers)))
                self._xml("REPORT", sync_body(""), "0", client)
                client.close()
        return Result(
            memory_mb=max(before.values(), default=None),
            memory_more_mb=round(max(0.0, *(peaks.mb[pid] - before.get(pid, 0.0) for pid in peaks.mb)), 1),
        )

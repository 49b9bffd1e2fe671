"""The workloads: what an address book app does all day, one result each.

Only the request and reading its answer are timed. Answers are checked afterwards (number of members, hits, cards);
counting a listing of 10,000 costs the client 10 ms. A wrong answer is a note in the result, a refusal is a result.
"""

import html
import itertools
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple

from . import procstat, vcards
from .client import Client, Response, Target, name_of
from .results import Result

NAMESPACES = 'xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:carddav" xmlns:CS="http://calendarserver.org/ns/"'
XML = '<?xml version="1.0" encoding="utf-8"?>\n'
XML_TYPE = "application/xml; charset=utf-8"
VCARD_TYPE = "text/vcard; charset=utf-8"
PROPFIND_ETAGS = f"{XML}<D:propfind {NAMESPACES}><D:prop><D:getetag/></D:prop></D:propfind>".encode()
PROPFIND_POLL = f"{XML}<D:propfind {NAMESPACES}><D:prop><CS:getctag/><D:sync-token/></D:prop></D:propfind>".encode()
MKCOL = (
    f"{XML}<D:mkcol {NAMESPACES}><D:set><D:prop><D:resourcetype><D:collection/><C:addressbook/></D:resourcetype>"
    "<D:displayname>bench</D:displayname></D:prop></D:set></D:mkcol>"
).encode()

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
ATTEMPTS = 20
"""How often a refused PUT is tried again while loading: Xandikos answers concurrent writes with 423."""
KEPT_NOTES = 4
DONE = (200, 201, 204, 207)


class Refused(Exception):
    """The server answered a workload's request with an error.

    status: of the answer, or a word where there was none
    """

    def __init__(self, status: int | str, body: bytes = b"") -> None:
        super().__init__(status)
        self.status = status
        self.body = body


class Timed(NamedTuple):
    """One request of a concurrent client."""

    kind: str
    seconds: float


class Request(NamedTuple):
    """What a concurrent client asks next, made before its clock starts."""

    kind: str
    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = MappingProxyType({})


class Workload(NamedTuple):
    """A workload by letter. ``method`` is the one of Bench."""

    letter: str
    name: str
    method: str


WORKLOADS = (
    Workload("b", "PROPFIND Depth:1 getetag", "propfind_etags"),
    Workload("c", "sync-collection, empty token", "sync_initial"),
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
)
CONCURRENT = frozenset({"l", "m"})


def sync_body(token: str | None) -> bytes:
    """Return the sync-collection REPORT for ``token``; None or ``""`` asks for everything (RFC 6578, section 3.4)."""
    written = html.escape(token or "", quote=False)
    return (
        f"{XML}<D:sync-collection {NAMESPACES}><D:sync-token>{written}</D:sync-token><D:sync-level>1</D:sync-level>"
        "<D:prop><D:getetag/></D:prop></D:sync-collection>"
    ).encode()


def multiget_body(hrefs: Iterable[str]) -> bytes:
    """Return the addressbook-multiget REPORT of ``hrefs``, percent-encoded as the server wrote them."""
    written = "".join(f"<D:href>{html.escape(href, quote=False)}</D:href>" for href in hrefs)
    return (
        f"{XML}<C:addressbook-multiget {NAMESPACES}><D:prop><D:getetag/><C:address-data/></D:prop>{written}"
        "</C:addressbook-multiget>"
    ).encode()


def query_body(prop: str, needle: str) -> bytes:
    """Return the addressbook-query REPORT for the cards with ``needle`` in a value of ``prop``."""
    return (
        f"{XML}<C:addressbook-query {NAMESPACES}><D:prop><D:getetag/><C:address-data/></D:prop><C:filter>"
        f'<C:prop-filter name="{prop}"><C:text-match collation="i;unicode-casemap" match-type="contains">'
        f"{html.escape(needle, quote=False)}</C:text-match></C:prop-filter></C:filter></C:addressbook-query>"
    ).encode()


def check(response: Response, *wanted: int) -> Response:
    """Return ``response`` if its status is one of ``wanted`` (by default: any that says done); else raise Refused."""
    if response.status not in (wanted or DONE):
        raise Refused(response.status, response.body)
    return response


def expect_members(response: Response, counts: Sequence[int]) -> str | None:
    """Return a note unless the multistatus has one of ``counts`` members; the first is the one to be expected."""
    got = response.count()
    return None if got in counts else f"{got} responses, expected {counts[0]}"


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest of ``values`` that ``share`` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _ms(seconds: float) -> float:
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


class Bench:
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
        # Beyond those of any earlier run: an update must change the card.
        self.revisions = itertools.count(int(time.time()))

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

    # -- helpers -----------------------------------------------------------------------------------

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
        return _ms((self.cpu() - since) / requests) if self.pids else None

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
            first_ms=_ms(first_seconds) if first_seconds is not None else None,
            median_ms=_ms(statistics.median(times)),
            p95_ms=_ms(percentile(times, 0.95)),
            min_ms=_ms(min(times)),
            bytes=int(statistics.median(sizes)),
            server_cpu_ms=_ms(cpu / len(times)) if self.pids else None,
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
            median_ms=_ms(statistics.median(times)),
            p95_ms=_ms(percentile(times, 0.95)),
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

    # -- (a) loading -------------------------------------------------------------------------------

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
            result.median_ms = _ms(statistics.median(times))
            result.p95_ms = _ms(percentile(times, 0.95))
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

    # -- (b) to (e): learning what changed ---------------------------------------------------------

    def propfind_etags(self) -> Result:
        return self.timed(
            7,
            lambda _: self.propfind(PROPFIND_ETAGS, depth="1"),
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
                    request = self._mixed_request(rng, token, fresh, own)
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

    def _mixed_request(self, rng: random.Random, token: str | None, fresh: Iterator[int], own: list[int]) -> Request:
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
            "median_ms": _ms(statistics.median(times)),
            "p95_ms": _ms(percentile(times, 0.95)),
        }
        for kind, times in sorted(by_kind.items())
    }

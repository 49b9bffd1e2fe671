#!/usr/bin/env python3
"""Many writers on one book of this server, while others poll it.

    storm.py [--server ours|ours-pg] [--workers 4] [--writers 32] [--pollers 4] [--seconds 30]

First the pollers alone (calm), then pollers and writers (storm). Printed: the writes, how many failed, the longest
wait, and the polls' p95 in both. A 503 with Retry-After counts as "told to come back"; the writer obeys it and its wait
includes the pause.
"""

import argparse
import itertools
import json
import random
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from cdbench import vcards
from cdbench.asking import MKCOL, PROPFIND_POLL, VCARD_TYPE, XML_TYPE
from cdbench.client import Client, Target
from cdbench.harness import percentile
from cdbench.servers import SERVERS, Ours

CARDS = 1000


@dataclass
class Tally:
    """What a crowd of clients saw; seconds."""

    waits: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    told_to_come_back: int = 0

    @property
    def p95_ms(self) -> float:
        return percentile([wait * 1000 for wait in self.waits] or [0.0], 0.95)

    def line(self) -> dict[str, object]:
        milliseconds = [wait * 1000 for wait in self.waits] or [0.0]
        return {
            "requests": len(self.waits),
            "failures": len(self.failures),
            "first_failures": self.failures[:3],
            "told_to_come_back": self.told_to_come_back,
            "median_ms": round(percentile(milliseconds, 0.5), 2),
            "p95_ms": round(self.p95_ms, 2),
            "longest_ms": round(max(milliseconds), 1),
        }


def write(target: Target, path: str, until: float, tally: Tally, revisions: "itertools.count[int]") -> None:
    """PUT random cards, one after another."""
    client, dice = Client(target), random.Random()
    while time.monotonic() < until:
        number = dice.randrange(CARDS)
        card = vcards.contact(number, next(revisions))
        began = time.monotonic()
        while True:
            try:
                answer = client.request("PUT", f"{path}{vcards.uid(number)}.vcf", card, Content_Type=VCARD_TYPE)
            except (OSError, EOFError) as error:
                tally.failures.append(repr(error))
                break
            if answer.status == 503 and time.monotonic() - began < 60:
                tally.told_to_come_back += 1
                time.sleep(float(answer.headers.get(b"retry-after", b"1")))
                continue
            if answer.status not in {201, 204}:
                tally.failures.append(f"{answer.status} {answer.body[:200]!r}")
            break
        tally.waits.append(time.monotonic() - began)
    client.close()


def poll(target: Target, path: str, until: float, tally: Tally) -> None:
    """Ask for ctag and token, 20 times a second."""
    client = Client(target)
    while time.monotonic() < until:
        began = time.monotonic()
        try:
            answer = client.request("PROPFIND", path, PROPFIND_POLL, Content_Type=XML_TYPE, Depth="0")
            if answer.status != 207:
                tally.failures.append(str(answer.status))
        except (OSError, EOFError) as error:
            tally.failures.append(repr(error))
        tally.waits.append(time.monotonic() - began)
        time.sleep(0.05)
    client.close()


def crowd(target: Target, path: str, *, writers: int, pollers: int, seconds: float) -> tuple[Tally, Tally]:
    """(writes, polls) of so many clients at once."""
    written, polled = Tally(), Tally()
    revisions = itertools.count(int(time.time()))
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=write, args=(target, path, until, written, revisions)) for _ in range(writers)]
    threads += [threading.Thread(target=poll, args=(target, path, until, polled)) for _ in range(pollers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return written, polled


def storm(server: Ours, *, writers: int, pollers: int, seconds: float) -> dict[str, object]:
    """Set the server up, fill a book, and measure calm and storm."""
    server.set_up()
    try:
        with server.running() as running:
            target = running.target
            path = server.book
            client = Client(target)
            client.request("MKCOL", path, MKCOL, Content_Type=XML_TYPE)
            for number in range(CARDS):
                client.request(
                    "PUT", f"{path}{vcards.uid(number)}.vcf", vcards.contact(number), Content_Type=VCARD_TYPE
                )
            client.close()
            _, calm = crowd(target, path, writers=0, pollers=pollers, seconds=min(10, seconds))
            written, polled = crowd(target, path, writers=writers, pollers=pollers, seconds=seconds)
    finally:
        server.tear_down()
    ratio = polled.p95_ms / max(calm.p95_ms, 0.01)
    return {
        "writes": written.line(),
        "writes_per_second": round(len(written.waits) / seconds, 1),
        "calm_polls": calm.line(),
        "storm_polls": polled.line(),
        "poll_p95_ratio": round(ratio, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=("ours", "ours-pg"), default="ours")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--writers", type=int, default=32)
    parser.add_argument("--pollers", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30)
    chosen = parser.parse_args()
    kind = SERVERS[chosen.server]
    if (missing := kind.missing()) or not issubclass(kind, Ours):
        parser.error(str(missing))
    with tempfile.TemporaryDirectory() as folder:
        server = kind(Path(folder), chosen.workers)
        found = storm(server, writers=chosen.writers, pollers=chosen.pollers, seconds=chosen.seconds)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

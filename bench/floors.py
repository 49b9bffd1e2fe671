#!/usr/bin/env python3
"""What nobody can go below on this machine: the floors under the figures of the benchmark.

    floors.py [--cards 10000] [--folder /tmp]

rows: (href, ETag) of a book's cards, straight from SQLite by Python's driver
request: a bare answer of granian, the HTTP server of ours, without any work behind it
fsync: 20 kB written and made durable, which is what a PUT leaves in SQLite's log
argon2: one verification of a password, for comparison; it is remembered afterwards
"""

import argparse
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cdbench import procstat, vcards
from cdbench.client import Client, Target
from cdbench.servers.base import HOST, clean_environment, free_port
from passlib.hash import argon2

BARE = """
import sys
from granian import Granian

def answer(environ, start_response):
    start_response("207 Multi-Status", [("Content-Type", "application/xml"), ("Content-Length", "2")])
    return [b"ok"]

if __name__ == "__main__":
    Granian("bare:answer", address="127.0.0.1", port=int(sys.argv[1]), interface="wsgi", log_enabled=False).serve()
"""


def cpu_ms(work: Callable[[], object], repeats: int) -> float:
    """Return the median of this process' CPU milliseconds, user and system, for one ``work()``."""
    found = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        found.append((time.process_time() - began) * 1e3)
    return statistics.median(found)


def rows(folder: Path, cards: int) -> float:
    """Return the CPU milliseconds of reading a listing's rows."""
    database = sqlite3.connect(folder / "rows.db")
    database.execute("CREATE TABLE cards (id INTEGER PRIMARY KEY, book INTEGER, href TEXT, etag TEXT)")
    database.executemany(
        "INSERT INTO cards (book, href, etag) VALUES (1, ?, ?)",
        ((f"{vcards.uid(index)}.vcf", f"{index:032x}") for index in range(cards)),
    )
    database.execute("CREATE INDEX listing ON cards (book, href, etag)")
    database.commit()
    return cpu_ms(lambda: database.execute("SELECT href, etag FROM cards WHERE book = 1").fetchall(), 9)


def request(folder: Path, repeats: int = 2000) -> float:
    """Return the server's CPU milliseconds of a bare answer."""
    (folder / "bare.py").write_text(BARE, encoding="utf-8")
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "bare.py", str(port)], cwd=folder, env=clean_environment(), stderr=subprocess.DEVNULL
    ) as server:
        client = Client(Target(f"http://{HOST}:{port}/", "alice", "secret"))
        try:
            for _ in range(100):
                try:
                    client.request("PROPFIND", "/", b"<propfind/>")
                    break
                except OSError:
                    time.sleep(0.1)
            source = procstat.cpu_source()
            began = procstat.cpu_seconds([server.pid], source)
            for _ in range(repeats):
                client.request("PROPFIND", "/", b"<propfind/>")
            return (procstat.cpu_seconds([server.pid], source) - began) / repeats * 1e3
        finally:
            client.close()
            server.terminate()


def fsync(folder: Path, repeats: int = 200) -> tuple[float, float]:
    """Return (median, 95th percentile) of the milliseconds, by the clock, that 20 kB take to become durable."""
    waits, data = [], os.urandom(20_000)
    with (folder / "log").open("wb", buffering=0) as log:
        for _ in range(repeats):
            log.write(data)
            began = time.perf_counter()
            os.fdatasync(log.fileno())
            waits.append((time.perf_counter() - began) * 1e3)
    return statistics.median(waits), sorted(waits)[int(repeats * 0.95)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cards", type=int, default=10_000, help="of the listing (default 10000)")
    parser.add_argument("--folder", type=Path, help="on the disk that is asked about (default: the temporary folder)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        print(f"rows     {rows(folder, given.cards):8.2f} ms CPU for {given.cards} cards")
        print(f"request  {request(folder):8.3f} ms CPU")
        print("fsync    {:8.2f} ms, p95 {:.2f} ms, of 20 kB, by the clock".format(*fsync(folder)))
        stored = argon2.hash("secret")
        print(f"argon2   {cpu_ms(lambda: argon2.verify('secret', stored), 5):8.1f} ms CPU")


if __name__ == "__main__":
    main()

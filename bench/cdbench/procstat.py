"""CPU time and memory of a server's process tree, read from Linux.

CPU time is taken from each process's CPU-time clock (clock_getcpuclockid(3)): the scheduler's own sum in nanoseconds,
the first field of /proc/PID/schedstat, but with the threads that have ended, which schedstat forgets. Radicale's
built-in server does all its work in one thread a request, so that matters. Where the clock cannot be read, the ticks
of /proc/PID/stat (10 ms) serve. Children that ended and were waited for are only known in ticks.
"""

import os
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
_CPUCLOCK_SCHED = 2  # linux/posix-timers.h: CPUCLOCK_PROF 0, CPUCLOCK_VIRT 1, CPUCLOCK_SCHED 2


class CpuSource(StrEnum):
    """Where CPU times come from, as results name it."""

    CLOCK = "process clock, ns"
    TICKS = "/proc/PID/stat, ticks"


@dataclass(frozen=True, slots=True)
class Process:
    """One line of the process table.

    own: user and system time of the process, in ticks
    reaped: the same of its children that ended and were waited for
    """

    pid: int
    parent: int
    own: int
    reaped: int


def read(pid: int) -> Process:
    """Return the process as /proc/PID/stat has it (proc(5), fields 4 and 14 to 17).

    Raises OSError if there is no such process.
    """
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    user, system, reaped_user, reaped_system = map(int, fields[11:15])
    return Process(pid, int(fields[1]), user + system, reaped_user + reaped_system)


def tree(roots: Iterable[int]) -> dict[int, Process]:
    """Return the living processes among ``roots`` and all their descendants, by process id."""
    table: dict[int, Process] = {}
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            process = read(int(name))
        except (OSError, ValueError):  # ended meanwhile
            continue
        table[process.pid] = process
        children.setdefault(process.parent, []).append(process.pid)
    found: dict[int, Process] = {}
    wanted = [pid for pid in roots if pid in table]
    while wanted:
        pid = wanted.pop()
        if pid not in found:
            found[pid] = table[pid]
            wanted += children.get(pid, [])
    return found


def clock_seconds(pid: int) -> float:
    """Return the CPU seconds of the process by its CPU-time clock.

    Raises OSError if there is no such process or no such clock.
    """
    return time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED) / 1e9  # MAKE_PROCESS_CPUCLOCK of the kernel


def cpu_source() -> CpuSource:
    """Return what ``cpu_seconds`` can use on this machine."""
    try:
        clock_seconds(os.getpid())
    except OSError:
        return CpuSource.TICKS
    return CpuSource.CLOCK


def cpu_seconds(roots: Iterable[int], source: CpuSource) -> float:
    """Return the CPU seconds spent so far by the tree, children that ended included."""
    seconds = 0.0
    for process in tree(roots).values():
        own = process.own * TICK_SECONDS
        if source is CpuSource.CLOCK:
            with suppress(OSError):  # ended meanwhile: its last ticks are all there is
                own = clock_seconds(process.pid)
        seconds += own + process.reaped * TICK_SECONDS
    return seconds


def memory_mb(roots: Iterable[int]) -> tuple[float, float]:
    """Return (RSS, PSS) in MB summed over the tree; PSS counts a shared page once."""
    maps = [_memory_map(pid) for pid in tree(roots)]
    return round(sum(each.get("Rss", 0) for each in maps), 1), round(sum(each.get("Pss", 0) for each in maps), 1)


def anonymous_mb(roots: Iterable[int]) -> dict[int, float]:
    """Return the anonymous memory in MB of each process of the tree: its own heap and stacks, without mapped files.

    A database file that a process has mapped counts in its RSS, although the kernel may take those pages at any time.
    """
    maps = {pid: _memory_map(pid) for pid in tree(roots)}
    return {pid: round(each["Anonymous"], 1) for pid, each in maps.items() if "Anonymous" in each}


def _memory_map(pid: int) -> dict[str, float]:
    """Return MB by name of /proc/PID/smaps_rollup; nothing of a process that ended or that we may not look into."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return {}
    return {name.rstrip(":"): int(value) / 1024 for name, value, *_ in map(str.split, lines)}


class Peaks:
    """The most anonymous memory each process of a tree had within the block, looked at every few milliseconds."""

    def __init__(self, roots: Iterable[int], every_seconds: float = 0.01) -> None:
        self.mb: dict[int, float] = {}
        self._roots = tuple(roots)
        self._every = every_seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    def _look_on(self) -> None:
        while not self._over.wait(self._every):
            self._look()

    def _look(self) -> None:
        for pid, mb in anonymous_mb(self._roots).items():
            self.mb[pid] = max(mb, self.mb.get(pid, 0.0))

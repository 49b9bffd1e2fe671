"""CPU time and memory of process trees, on this process and children of it."""

import os
import subprocess
import sys
import threading
import time

import pytest
from cdbench import procstat
from cdbench.procstat import CpuSource

BURN = "import time\nwhile time.process_time() < 0.3: pass\n"


def test_the_tree_of_this_process_holds_it_and_its_children():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        found = procstat.tree([os.getpid()])
    finally:
        child.communicate(b"\n")

    assert {os.getpid(), child.pid} <= set(found)
    assert found[child.pid].parent == os.getpid()
    assert os.getppid() not in found


def test_a_process_that_is_gone_has_no_tree():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()

    assert procstat.tree([child.pid]) == {}
    assert procstat.cpu_seconds([child.pid], procstat.cpu_source()) == 0


@pytest.mark.parametrize("source", list(CpuSource))
def test_children_that_ended_still_count(source):
    if source is CpuSource.CLOCK and procstat.cpu_source() is not CpuSource.CLOCK:
        pytest.skip("this kernel tells no process its CPU-time clock")
    before = procstat.cpu_seconds([os.getpid()], source)

    subprocess.run([sys.executable, "-c", BURN], check=True)

    assert procstat.cpu_seconds([os.getpid()], source) - before > 0.25


def test_the_clock_counts_threads_that_have_ended_as_the_process_itself_does():
    """schedstat would not: it forgets them, and Radicale makes one for every request."""
    if procstat.cpu_source() is not CpuSource.CLOCK:
        pytest.skip("this kernel tells no process its CPU-time clock")

    def burn() -> None:
        until = time.thread_time() + 0.1
        while time.thread_time() < until:
            pass

    before = procstat.clock_seconds(os.getpid())
    thread = threading.Thread(target=burn)
    thread.start()
    thread.join()
    lower, between, upper = time.process_time(), procstat.clock_seconds(os.getpid()), time.process_time()

    assert between - before >= 0.1
    assert lower <= between <= upper


def test_memory_is_counted_and_shared_pages_once():
    rss, pss = procstat.memory_mb([os.getpid()])

    assert 0 < pss <= rss


def test_anonymous_memory_is_what_a_process_has_made_itself_and_not_the_files_it_maps(tmp_path):
    file = tmp_path / "database"
    file.write_bytes(b"x" * 40_000_000)
    code = """if True:
        import mmap, sys
        with open(sys.argv[1], "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        read = sum(mapped[at] for at in range(0, len(mapped), 4096))
        own = bytearray(10_000_000)
        print(flush=True)
        input()
    """
    child = subprocess.Popen([sys.executable, "-c", code, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        anonymous, (rss, _) = procstat.anonymous_mb([child.pid]), procstat.memory_mb([child.pid])
    finally:
        child.communicate(b"\n")

    assert list(anonymous) == [child.pid]
    assert 9.5 < anonymous[child.pid] < 35
    assert rss > anonymous[child.pid] + 38


def test_the_peak_of_a_block_is_seen_after_it_has_gone_down_again():
    code = "import time\nx = bytearray(60_000_000)\ntime.sleep(0.5)\ndel x\nprint(flush=True)\ninput()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        with procstat.Peaks([child.pid]) as peaks:
            child.stdout.readline()
        after = procstat.anonymous_mb([child.pid])[child.pid]
    finally:
        child.communicate(b"\n")

    assert peaks.mb[child.pid] > after + 50

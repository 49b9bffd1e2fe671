"""The lane: one request runs at a time, who waits steps aside, and nobody is ever left behind."""

import random
import subprocess
import sys
import threading
import time
from contextlib import nullcontext

import pytest

from radicale_shared import lanes

THREADS = 12


def together(work):
    """Run ``work(number)`` in several threads to their end; what it raised is raised."""
    errors = []

    def run(number):
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001  # told to the test
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert errors == []


def test_one_request_runs_at_a_time_and_all_come_to_their_end():
    inside, most = 0, 0

    def work(number):
        nonlocal inside, most
        dice = random.Random(number)
        for _ in range(40):
            with lanes.entered():
                inside += 1
                most = max(most, inside)
                assert inside == 1
                inside -= 1
                with lanes.left():
                    time.sleep(dice.random() / 2000)
                    with lanes.left():  # a wait in a wait
                        pass
                inside += 1
                assert inside == 1
                inside -= 1

    together(work)

    assert most == 1
    with lanes.entered():  # the place is free again
        pass


def test_who_waits_for_something_else_lets_another_run():
    order = []
    is_waiting, may_go_on = threading.Event(), threading.Event()

    def waits():
        with lanes.entered():
            with lanes.left():
                is_waiting.set()
                may_go_on.wait(30)
            order.append("came back")

    thread = threading.Thread(target=waits)
    thread.start()
    assert is_waiting.wait(30)
    with lanes.entered():
        order.append("ran meanwhile")
        may_go_on.set()
        thread.join(0.05)
        assert thread.is_alive()
    thread.join(30)

    assert order == ["ran meanwhile", "came back"]


def test_who_comes_back_goes_before_who_has_not_begun():
    order = []
    is_away, may_return = threading.Event(), threading.Event()

    def comes_back():
        with lanes.entered():
            with lanes.left():
                is_away.set()
                may_return.wait(30)
            order.append("came back")

    def begins():
        with lanes.entered():
            order.append("began")

    returning, beginning = threading.Thread(target=comes_back), threading.Thread(target=begins)
    returning.start()
    assert is_away.wait(30)
    with lanes.entered():
        beginning.start()
        beginning.join(0.05)
        may_return.set()
        while not lanes._returning:
            time.sleep(0.001)
    for thread in (returning, beginning):
        thread.join(30)

    assert order[0] == "came back"


def test_long_work_lets_others_run_in_the_middle():
    has_run, is_waiting = threading.Event(), threading.Event()

    def runs():
        is_waiting.set()
        with lanes.entered():
            has_run.set()

    with lanes.entered():
        thread = threading.Thread(target=runs)
        thread.start()
        assert is_waiting.wait(30)
        for _ in range(1000):
            lanes.give_way()
        assert has_run.is_set()
    thread.join(30)
    lanes.give_way()  # nothing happens where nobody has entered


WIDENED = """
import threading
from radicale_shared import lanes

lanes.widen(3)
inside = threading.Barrier(3)

def run():
    with lanes.entered():
        inside.wait(20)  # breaks unless three are inside at a time
        print("ran")

threads = [threading.Thread(target=run) for _ in range(6)]
for thread in threads:
    thread.start()
"""


def test_a_wider_lane_lets_as_many_run_at_a_time(tmp_path):
    done = subprocess.run([sys.executable, "-c", WIDENED], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.count("ran") == 6


def test_a_thread_that_never_entered_is_not_held_up():
    with lanes.entered():
        done = threading.Thread(target=lambda: lanes.left().__enter__())
        done.start()
        done.join(30)
        assert not done.is_alive()


@pytest.mark.parametrize("block", ["entered", "left"])
def test_an_error_in_a_block_frees_its_place(block):
    def fail():
        with lanes.entered(), lanes.left() if block == "left" else nullcontext():
            raise ZeroDivisionError

    def run(_):
        with lanes.entered():
            pass

    with pytest.raises(ZeroDivisionError):
        fail()
    together(run)


def wrote(db):
    with db.write():
        pass


def test_who_has_written_and_waits_for_its_place_holds_up_no_writer(db):
    writes, may_end = threading.Event(), threading.Event()

    def write():
        with lanes.entered(), db.write():
            writes.set()
            beginning.start()
            time.sleep(0.05)

    def run():
        with lanes.entered():
            may_end.wait(30)

    writing, beginning = threading.Thread(target=write), threading.Thread(target=run)
    writing.start()
    assert writes.wait(30)
    another = threading.Thread(target=lambda: wrote(db), daemon=True)
    another.start()
    another.join(5)
    is_held_up = another.is_alive()
    may_end.set()
    for thread in (writing, beginning, another):
        thread.join(30)
    assert not is_held_up


def test_long_work_of_several_goes_on_in_turns_and_lets_those_in_who_have_not_begun():
    turns, done = [], threading.Event()

    def long(number):
        with lanes.entered():
            while not done.is_set():
                turns.append(number)
                time.sleep(0.002)
                lanes.queue_again()

    threads = [threading.Thread(target=long, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            with lanes.entered():
                pass
        while len(turns) < 30:
            time.sleep(0.001)
    finally:
        done.set()
        for thread in threads:
            thread.join(60)
    assert {turns[-12:].count(number) for number in range(3)} <= {3, 4, 5}


def test_long_work_goes_on_beside_one_who_begins_again_and_again():
    done, begun = threading.Event(), []

    def short():
        while not done.is_set():
            with lanes.entered():
                begun.append(1)
                time.sleep(0.0005)  # lets other threads run, as each statement does

    thread = threading.Thread(target=short)
    try:
        with lanes.entered():
            thread.start()
            while not lanes._newcomers.waiting:
                time.sleep(0.001)
            for _ in range(100):
                lanes.queue_again()
            meanwhile = len(begun)
    finally:
        done.set()
        thread.join(60)

    # Without its own place in the line the one who works long would wait until there are no others.
    assert 0 < meanwhile < 100 * 20

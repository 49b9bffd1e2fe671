"""How many whole lists are made at a time."""

import threading
import time

from radicale_shared import lanes
from radicale_shared.phones.turns import Turns


def test_no_more_than_so_many_have_their_turn_and_all_get_it():
    turns, inside, most = Turns(2), [], []

    def make():
        with lanes.entered(), turns.one():
            inside.append(1)
            most.append(len(inside))
            with lanes.left():
                time.sleep(0.005)
            inside.pop()

    threads = [threading.Thread(target=make) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)

    assert len(most) == 8
    assert max(most) == 2

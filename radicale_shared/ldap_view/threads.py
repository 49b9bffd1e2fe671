"""Threads that work for an event loop; at the process' end nobody waits for them."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """So many threads, started with the first work; who asks for much takes up no more than half of them.

    most_waiting: how much work may wait for one of them
    """

    def __init__(self, name: str, count: int, most_waiting: int) -> None:
        self._name = name
        self._count = count
        self._most_waiting = most_waiting
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._started = 0
        # Whose work is with the threads, how much of it, and what of theirs isn't; the event loop's alone.
        self._theirs: Counter[str] = Counter()
        self._lines: dict[str, deque[Callable[[], None]]] = {}

    @property
    def is_full(self) -> bool:
        """Whether no more work is taken."""
        return self._work.qsize() >= self._most_waiting

    async def run(self, work: Callable[[], T], of: str) -> T:
        """What ``work`` returns or raises, done in a thread; from the event loop alone. of: who asks for it"""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def tell(set_: Callable[[Any], None], value: Any) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(self._is_done, of, lambda: None if done.done() else set_(value))

        def do() -> None:
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001  # it is who waits that it concerns
                tell(done.set_exception, error)
            else:
                tell(done.set_result, result)

        if self._started < self._count:
            self._started += 1
            threading.Thread(target=self._serve, name=self._name, daemon=True).start()
        if self._theirs[of] < max(1, self._count // 2):
            self._theirs[of] += 1
            self._work.put(do)
        else:
            self._lines.setdefault(of, deque()).append(do)
        return await done

    def _is_done(self, of: str, tell: Callable[[], None]) -> None:
        """Something is: what they asked for next, if anything, is with the threads instead."""
        if line := self._lines.get(of):
            self._work.put(line.popleft())
            if not line:
                del self._lines[of]
        else:
            self._theirs[of] -= 1
            if not self._theirs[of]:
                del self._theirs[of]
        tell()

    def stop(self) -> None:
        """End the threads, each with what it is doing."""
        for _ in range(self._started):
            self._work.put(None)

    def _serve(self) -> None:
        while (do := self._work.get()) is not None:
            do()

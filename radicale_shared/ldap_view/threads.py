"""Threads that work for an event loop; at the process' end nobody waits for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """So many threads, started with the first work.

    most_waiting: how much work may wait for one of them
    """

    def __init__(self, name: str, count: int, most_waiting: int) -> None:
        self._name = name
        self._count = count
        self._most_waiting = most_waiting
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._started = 0

    @property
    def is_full(self) -> bool:
        """Whether no more work is taken."""
        return self._work.qsize() >= self._most_waiting

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` returns or raises, done in a thread; from the event loop alone."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def tell(set_: Callable[[Any], None], value: Any) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(lambda: None if done.done() else set_(value))

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
        self._work.put(do)
        return await done

    def stop(self) -> None:
        """End the threads, each with what it is doing."""
        for _ in range(self._started):
            self._work.put(None)

    def _serve(self) -> None:
        while (do := self._work.get()) is not None:
            do()

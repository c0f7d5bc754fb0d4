"""One function over many items in worker processes: in order, with bounded memory."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from typing import TypeVar

__all__ = ["ordered_map"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], processes: int, ahead: int = 2
) -> Generator[Result, None, None]:
    """Yield ``function(item)`` of every item, in their order.

    Args:
        function: a function that can be pickled; it uses neither torch nor HDF5 handles of the parent.
        items: the items.
        processes: worker processes; 0 calls the function in this process.
        ahead: items under way per worker; it bounds the results that wait in memory.
    """
    if processes == 0:
        yield from map(function, items)
        return
    # Fork, because a workflow engine's script has no importable main module that a spawned worker could load.
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(processes, context, initializer=_enter_worker, initargs=(os.getpid(),))
    try:
        source = iter(items)
        waiting: deque[Future[Result]] = deque(
            pool.submit(function, item) for item in islice(source, processes * ahead)
        )
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(source, 1))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)


def _enter_worker(parent: int) -> None:
    """Leave interrupts to the parent, and end with it even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)

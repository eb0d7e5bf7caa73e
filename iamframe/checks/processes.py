"""A pool of processes. If a process dies, only the call that it ran fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from typing import Any


class Processes(Executor):
    """An executor with a pool of its own for each process.

    In `concurrent.futures.ProcessPoolExecutor`, all waiting calls fail when one process dies. Its processes also run
    the user's script again. The processes of loky do not, and they take functions of a notebook.
    """

    def __init__(self, workers: int) -> None:
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="iamframe-processes")
        self._own = threading.local()
        self._pools: list[Any] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function in one of the processes."""
        return self._threads.submit(self._call, fn, *args, **kwargs)

    def _call(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        from loky.process_executor import ProcessPoolExecutor

        pool = getattr(self._own, "pool", None)
        if pool is None:
            pool = self._own.pool = ProcessPoolExecutor(1, timeout=None)
            self._pools.append(pool)
        try:
            return pool.submit(fn, *args, **kwargs).result()
        except BrokenExecutor:
            self._own.pool = None
            raise

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes. Without `wait`, stop also those that still run a call."""
        for pool in self._pools:
            if not wait:
                pool.shutdown(wait=False, kill_workers=True)
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
        for pool in self._pools:
            pool.shutdown(wait=wait)

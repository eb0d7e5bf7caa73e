"""Show progress in a terminal or notebook, without names or other texts from AWS."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Progress = Callable[[str, int, int], None]


@contextmanager
def progress_bars(progress: bool | Progress | None) -> Iterator[Progress]:
    if callable(progress):
        yield progress
        return
    if progress is False or (progress is None and not _is_watched()):
        yield silent
        return
    from tqdm.auto import tqdm

    bars: dict[str, Any] = {}
    lock = threading.Lock()

    def show(stage: str, done: int, total: int) -> None:
        with lock:
            # In a notebook, tqdm renders the text as HTML. A stage is always a word of iamframe's own.
            bar = bars.get(stage) or bars.setdefault(stage, tqdm(desc=stage, unit="", total=total, leave=False))
            bar.total = total
            bar.update(max(done - bar.n, 0))

    try:
        yield show
    finally:
        for bar in bars.values():
            bar.close()


def silent(stage: str, done: int, total: int) -> None:
    """Show nothing."""


def _is_watched() -> bool:
    # A notebook's kernel has loaded IPython, and its standard error is not a terminal.
    kernel = "ipykernel" in sys.modules and getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return bool(kernel) or sys.stderr.isatty()

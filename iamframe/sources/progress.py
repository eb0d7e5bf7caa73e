"""How far a load is, on standard error: to a terminal or a notebook only, and never with text that AWS sent."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Progress = Callable[[str, int, int], None]


@contextmanager
def shown(progress: bool | Progress | None) -> Iterator[Progress]:
    """Give a function to call with a stage, how much of it is done, and how much there is so far.

    A function given is called as it is; True and False mean always and never, None where somebody can see it.
    """
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
            # A stage is a word of iamframe's own: in a notebook, tqdm takes it for HTML.
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
    # The kernel of a notebook has IPython loaded and a standard error that is no terminal.
    kernel = "ipykernel" in sys.modules and getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return bool(kernel) or sys.stderr.isatty()

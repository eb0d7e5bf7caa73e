"""Search and join text columns with Arrow, faster than the pandas methods `isin` and `merge`.

pandas 3 stores text as Arrow arrays, so converting a text column copies no data.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

Bools = npt.NDArray[np.bool_]
# Row numbers. The number -1 means that there is no row.
Positions = npt.NDArray[np.int64]
# A text column of pandas, or an Arrow array. pyarrow has no type annotations for them.
Texts: TypeAlias = Any
# For fewer rows, starting threads takes longer than they save.
_MANY_ROWS = 250_000
_MUCH_MEMORY = 100_000_000


@contextmanager
def memory_of_system() -> Iterator[None]:
    # The system's pool is faster: Arrow's own pool calls the operating system for each large array.
    pool, system = pa.default_memory_pool(), pa.system_memory_pool()
    pa.set_memory_pool(system)
    try:
        yield
    finally:
        pa.set_memory_pool(pool)
        if system.bytes_allocated() > _MUCH_MEMORY and sys.platform == "linux":
            # glibc keeps up to a quarter of what was freed, and Arrow's `release_unused` does not return it.
            if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
                trim(0)


def on_two_cores(rows: int, *calls: Callable[[], Any]) -> list[Any]:
    if rows < _MANY_ROWS:
        return [call() for call in calls]
    # Arrow releases Python's lock, so that two threads use two cores.
    with ThreadPoolExecutor(2) as threads:
        return [each.result() for each in [threads.submit(call) for call in calls]]


def as_arrow(values: Texts) -> pa.Array:
    """Missing values become null."""
    array = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values, from_pandas=True)
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    return array.cast(pa.string())


def is_in(values: Texts, among: Texts) -> Bools:
    """Return whether each of `values` is in `among`: False for a missing value."""
    if not len(among):
        return np.zeros(len(values), dtype=bool)
    return np.asarray(pc.is_in(as_arrow(values), value_set=as_arrow(among).drop_null()))


def index_in(values: Texts, among: Texts) -> Positions:
    """Return the position of each value in `among`, or -1 if the value is missing or not found."""
    wanted, places = as_arrow(values), as_arrow(among)
    candidates = None
    if 8 * len(wanted) < len(places):
        # Searching the few values for each place is ten times as fast as the other way round.
        candidates = np.flatnonzero(is_in(places, wanted))
        places = places.take(pa.array(candidates))
    where = np.asarray(pc.index_in(wanted, value_set=places, skip_nulls=True).cast(pa.int64()).fill_null(-1))
    return where if candidates is None else np.where(where < 0, -1, np.append(candidates, -1)[where])


def lookup(values: Texts, where: Positions) -> pa.Array:
    # A missing value stands for the position -1.
    return as_arrow(values).take(pa.array(where, mask=where < 0))


def lookup_flag(flags: pd.Series | Bools, where: Positions, otherwise: bool) -> Bools:
    # The flag `otherwise` stands for the position -1.
    if not len(flags):
        return np.full(len(where), otherwise)
    return np.where(where < 0, otherwise, np.asarray(flags, dtype=bool)[where])


def joined_key(*parts: Texts) -> pa.Array:
    """Return one key per row of `parts`. Rows with equal parts have equal keys; two missing parts count as equal."""
    return pc.binary_join_element_wise(*map(as_arrow, parts), "\x1f", null_handling="replace", null_replacement="\x1e")


def are_among(rows: Texts, others: Texts) -> Bools:
    numbers, known = np.asarray(rows), np.asarray(others)
    found = np.zeros(max(numbers.max(initial=-1), known.max(initial=-1)) + 2, dtype=bool)
    found[known] = True
    # The last element is for -1.
    found[-1] = False
    among: Bools = found[numbers]
    return among


def matches(rows: Texts, others: Texts) -> tuple[Positions, Positions]:
    """Look up each value of `rows` in `others`, and return both positions of every match, in the order of `rows`."""
    numbers, places = np.asarray(rows), np.asarray(others)
    order, starts = np.argsort(places, kind="stable"), _group_bounds(places, numbers.max(initial=-1) + 1)
    # The last element is for -1, which means no row.
    counts = np.append(np.diff(starts), 0)[numbers]
    found = np.flatnonzero(counts)
    at = np.repeat(found, counts[found])
    each = np.arange(len(at))
    nth = each - np.maximum.accumulate(np.where(np.diff(at, prepend=-1) > 0, each, 0))
    return at, order[starts[numbers[at]] + nth]


def _group_bounds(groups: Positions, size: int) -> Positions:
    return np.cumsum(np.bincount(groups + 1, minlength=size + 1))


def join_by_group(group: Texts, parts: pa.Array, size: int, separator: str) -> pa.Array:
    """Join the texts of each group. The array `group` contains the group number of each text."""
    groups = np.asarray(group)
    order = np.argsort(groups, kind="stable")
    offsets = _group_bounds(groups, size)
    # Texts with the number -1 come first, and are left out.
    own = order[offsets[0] : offsets[-1]]
    lists = pa.ListArray.from_arrays(pa.array(offsets - offsets[0], pa.int32()), parts.take(pa.array(own)))
    # A group without texts gives a missing value, not an empty text.
    return pc.if_else(pa.array(np.diff(offsets) > 0), pc.binary_join(lists, separator), pa.scalar(None, pa.string()))


def shell_quoted(values: pa.Array) -> pa.Array:
    # These characters need no quotes in a POSIX shell.
    plain = pc.match_substring_regex(values, r"^[A-Za-z0-9@%+=:,./_-]+$")
    if pc.all(plain).as_py():
        return values
    return pc.if_else(plain, values, concat("'", pc.replace_substring(values, "'", "'\"'\"'"), "'"))


def concat(*parts: Any) -> pa.Array:
    # Arrow's default: a missing text makes the whole result missing.
    return pc.binary_join_element_wise(*parts, "")

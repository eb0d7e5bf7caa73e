"""Keys of frames, by the million: membership, position, merging.

Plain `isin` and `merge` take 20 times as long on text.

Text columns of pandas 3 are Arrow arrays inside, so that nothing is copied on the way in.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

Bools = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]
# A text column of pandas, or an Arrow array; pyarrow has no types of its own to name here.
Texts: TypeAlias = Any


def texts(values: Texts) -> pa.Array:
    """Return text values as one Arrow array of type string, missing ones as null."""
    array = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values, from_pandas=True)
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    return array.cast(pa.string())


def is_in(values: Texts, among: Texts) -> Bools:
    """Return, per value, whether it is among the others; a missing value is not."""
    if not len(among):
        return np.zeros(len(values), dtype=bool)
    return np.asarray(pc.is_in(texts(values), value_set=texts(among).drop_null()))


def position(values: Texts, among: Texts) -> Positions:
    """Return, per value, where it first stands among the others, -1 where it does not; a missing value does not."""
    where = pc.index_in(texts(values), value_set=texts(among), skip_nulls=True)
    return np.asarray(where.cast(pa.int64()).fill_null(-1))


def take(values: Texts, where: Positions) -> pa.Array:
    """Return the values at the positions, missing where a position is -1."""
    return texts(values).take(pa.array(where, mask=where < 0))


def take_flag(flags: pd.Series | Bools, where: Positions, otherwise: bool) -> Bools:
    """Return the flags at the positions, and the other one where a position is -1."""
    if not len(flags):
        return np.full(len(where), otherwise)
    return np.where(where < 0, otherwise, np.asarray(flags, dtype=bool)[where])


def joined_key(*parts: Texts) -> pa.Array:
    """Return keys of several columns as one text each."""
    return pc.binary_join_element_wise(*map(texts, parts), "\x1f", null_handling="replace", null_replacement="\x1e")


def joined_by_group(group: Positions, parts: pa.Array, size: int, separator: str) -> pa.Array:
    """Return, per group 0 … size - 1, its parts in the order given, as one text; `group` must be sorted."""
    offsets = np.searchsorted(group, np.arange(size + 1))
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), parts), separator)


def shell_quoted(values: pa.Array) -> pa.Array:
    """Return texts as words of a POSIX shell, each one word whatever it holds."""
    plain = pc.match_substring_regex(values, r"^[A-Za-z0-9@%+=:,./_-]+$")
    return pc.if_else(plain, values, concat("'", pc.replace_substring(values, "'", "'\"'\"'"), "'"))


def concat(*parts: Any) -> pa.Array:
    """Return the element-wise concatenation of arrays and constants; missing where one is missing."""
    return pc.binary_join_element_wise(*parts, "")


class Contradiction(NamedTuple):
    """Two sources that say different things of one cell."""

    key: str
    column: str
    said: tuple[object, object]
    origins: tuple[str, str]


def merged(
    table: pa.Table, key: str, flags: tuple[str, ...] = (), latest: dict[str, tuple[str, ...]] | None = None
) -> tuple[pa.Table, list[Contradiction]]:
    """Return one row per key, in the order in which keys first come, and what the rows of one key contradict.

    A missing value is an unknown one: a known value beats it, and two known ones that differ leave the cell missing.
    Of `flags`, one true is enough. `latest` names columns of which the greatest value counts, each with the columns
    that go with it. The column `origin` tells whose row it is and does not come back.
    """
    latest = latest or {}
    encoded = table[key].combine_chunks().dictionary_encode()
    size = len(encoded.dictionary)
    if size == table.num_rows:
        return table.drop_columns("origin"), []
    code = np.asarray(encoded.indices)
    origins = table["origin"].combine_chunks()
    together = {name for names in latest.values() for name in names}
    columns: dict[str, pa.Array] = {}
    clashes: list[Contradiction] = []
    for name in table.column_names:
        column = table[name].combine_chunks()
        if name == key:
            columns[name] = encoded.dictionary
        elif name in flags:
            columns[name] = pa.array(np.bincount(code, np.asarray(column), minlength=size) > 0)
        elif name != "origin" and name not in together:
            rows = np.flatnonzero(np.asarray(column.is_valid()))
            if name in latest:
                rows = rows[np.asarray(pc.sort_indices(column.take(rows), sort_keys=[("", "descending")]))]
            first = np.full(size, -1)
            first[code[rows][::-1]] = rows[::-1]
            if name not in latest:
                values = np.asarray(column.dictionary_encode().indices.fill_null(-1))
                differing = rows[values[rows] != values[first[code[rows]]]]
                clashes += _contradictions(table[key], column, origins, name, first[code[differing]], differing)
                first[code[differing]] = -1
            for name_too in (name, *latest.get(name, ())):
                values_too = table[name_too].combine_chunks()
                columns[name_too] = values_too.take(pa.array(first, mask=first < 0))
    names = [name for name in table.column_names if name != "origin"]
    return pa.table([columns[name] for name in names], names=names), clashes


def _contradictions(
    keys: pa.ChunkedArray, values: pa.Array, origins: pa.Array, name: str, first: Positions, other: Positions
) -> list[Contradiction]:
    seen: dict[str, Contradiction] = {}
    for one, two in zip(first.tolist(), other.tolist(), strict=True):
        key = keys[one].as_py()
        if key not in seen:
            said = (values[one].as_py(), values[two].as_py())
            seen[key] = Contradiction(key, name, said, (origins[one].as_py(), origins[two].as_py()))
    return list(seen.values())

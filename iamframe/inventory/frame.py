"""Describe DataFrames: their columns, types and keys.

Each column has an Arrow type and a pandas type. Without the pandas type, Arrow would turn integers into floats and
Booleans into objects in columns with missing values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sized
from dataclasses import dataclass, replace
from functools import cached_property
from inspect import cleandoc
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa

from iamframe.errors import SchemaError

TEXT = pa.string()
COUNT = pa.int64()
FLAG = pa.bool_()
TIME = pa.timestamp("us", tz="UTC")
DATE = pa.timestamp("us")
# For text that has few values in very many rows.
CATEGORY = pa.dictionary(pa.int32(), pa.string())
SHARE = pa.float64()
_PANDAS = {
    TEXT: "str",
    COUNT: "Int64",
    FLAG: "bool",
    TIME: "datetime64[us, UTC]",
    DATE: "datetime64[us]",
    CATEGORY: "category",
    SHARE: "float64",
}


_Documented = TypeVar("_Documented", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: pa.DataType
    meaning: str
    nullable: bool = False

    @property
    def dtype(self) -> str:
        return _PANDAS[self.type]

    @property
    def description(self) -> str:
        return f"{self.meaning}; may be missing" if self.nullable else self.meaning

    def array(self, values: Any, size: int) -> pa.Array:
        if values is None:
            return pa.nulls(size, self.type)
        if isinstance(values, (pa.Array, pa.ChunkedArray)):
            return values.cast(self.type)
        if isinstance(values, str) or not isinstance(values, Sized):
            return pa.repeat(pa.scalar(values, self.type), size)
        return pa.array(values, self.type, from_pandas=True)


@dataclass(frozen=True)
class Frame:
    name: str
    row: str
    key: tuple[str, ...]
    columns: tuple[Column, ...] = ()

    def with_columns(self, *columns: Column) -> Frame:
        return replace(self, columns=columns)

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def description(self) -> str:
        # The format of numpydoc.
        columns = "\n".join(f"{c.name} : {c.dtype}\n    {c.description}" for c in self.columns)
        head = f"`{self.name}`: one row per {self.row}"
        return f"{head}\n{'-' * len(head)}\n{columns}"

    @cached_property
    def arrow(self) -> pa.Schema:
        return pa.schema(
            pa.field(c.name, c.type, nullable=c.nullable, metadata={"meaning": c.meaning}) for c in self.columns
        )

    def empty(self) -> pd.DataFrame:
        return self.from_arrow(self.arrow.empty_table())

    def checked(self, table: pa.Table) -> pa.Table:
        missing = [name for name in self.names if name not in table.column_names]
        if missing:
            raise SchemaError(f"frame {self.name} lacks the columns {', '.join(missing)}")
        for column in self.columns:
            # Arrow does not enforce nullable=False everywhere.
            if not column.nullable and table[column.name].null_count:
                raise SchemaError(f"frame {self.name}: {column.name} has missing values")
        return table.select(self.names).cast(self.arrow)

    def from_arrow(self, table: pa.Table) -> pd.DataFrame:
        frame: pd.DataFrame = self.checked(table).to_pandas(
            types_mapper={COUNT: pd.Int64Dtype()}.get, split_blocks=True, ignore_metadata=True
        )
        return frame

    def to_arrow(self, frame: pd.DataFrame) -> pa.Table:
        arrays = {}
        for name in self.names:
            try:
                # The array shares the DataFrame's memory where possible. Text keeps pandas' type `large_string`: an
                # array of type `string` holds at most 2 GB.
                arrays[name] = pa.array(frame[name], from_pandas=True)
            except (KeyError, pa.ArrowException) as error:
                raise SchemaError(f"frame {self.name} does not match the schema: column {name}: {error}") from error
        return pa.table(arrays)

    def conform(self, columns: Mapping[str, Any] | pd.DataFrame) -> pd.DataFrame:
        if isinstance(columns, pd.DataFrame):
            size = len(columns)
        else:
            sized = (v for v in columns.values() if isinstance(v, Sized) and not isinstance(v, str))
            size = max(map(len, sized), default=0)
        arrays = []
        for column in self.columns:
            try:
                arrays.append(column.array(columns.get(column.name), size))
            except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
                raise SchemaError(f"frame {self.name}: {column.name} cannot hold such values: {error}") from error
        return self.from_arrow(pa.table(arrays, names=self.names))


def shows(*frames: Frame) -> Callable[[_Documented], _Documented]:
    def document(thing: _Documented) -> _Documented:
        if thing.__doc__:
            thing.__doc__ = "\n\n".join((cleandoc(thing.__doc__), *(frame.description for frame in frames)))
        return thing

    return document


def _constructor(type: pa.DataType) -> Callable[[str, str], Column]:
    return lambda name, meaning: Column(name.removesuffix("?"), type, meaning, nullable=name.endswith("?"))


# Constructors of columns by type. A name that ends in `?` means that values may be missing.
text, count, flag, time, date, category, share = map(_constructor, (TEXT, COUNT, FLAG, TIME, DATE, CATEGORY, SHARE))

ACCOUNT_ID = text("account_id", "12-digit account id; `unknown` if no ARN or file shows it")
MAKER = (
    text("maker?", "service or tool that created the resource, inferred from names, paths and tags"),
    text(
        "maker_basis?",
        "pair (role and profile match the tool), tag (the profile has a tag of the tool), guess (only one matches, or "
        "users choose such names)",
    ),
)

"""Describe DataFrames: their columns, types and keys.

Each column has an Arrow type and a pandas type. Without a pandas type, Arrow converts whole numbers with missing values
to floats.
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
    """The description of a column."""

    name: str
    type: pa.DataType
    meaning: str
    nullable: bool = False

    @property
    def dtype(self) -> str:
        """The name of the column's pandas type."""
        return _PANDAS[self.type]

    @property
    def description(self) -> str:
        """The column's meaning, and whether values may be missing."""
        return f"{self.meaning}; may be missing" if self.nullable else self.meaning

    def array(self, values: Any, size: int) -> pa.Array:
        """Convert values to an Arrow array. A single value fills all rows, and None makes all values missing."""
        if values is None:
            return pa.nulls(size, self.type)
        if isinstance(values, (pa.Array, pa.ChunkedArray)):
            return values.cast(self.type)
        if isinstance(values, str) or not isinstance(values, Sized):
            return pa.repeat(pa.scalar(values, self.type), size)
        return pa.array(values, self.type, from_pandas=True)


@dataclass(frozen=True)
class Frame:
    """The description of a DataFrame: the meaning of its rows and columns."""

    name: str
    row: str
    key: tuple[str, ...]
    columns: tuple[Column, ...] = ()

    def with_columns(self, *columns: Column) -> Frame:
        """Return a copy of this description with new columns."""
        return replace(self, columns=columns)

    @property
    def names(self) -> list[str]:
        """The column names, in order."""
        return [column.name for column in self.columns]

    @property
    def description(self) -> str:
        """The meanings of a row and of each column, in numpydoc format."""
        columns = "\n".join(f"{c.name} : {c.dtype}\n    {c.description}" for c in self.columns)
        head = f"`{self.name}`: one row per {self.row}"
        return f"{head}\n{'-' * len(head)}\n{columns}"

    @cached_property
    def arrow(self) -> pa.Schema:
        """The Arrow schema, with the meaning of each column as metadata."""
        return pa.schema(
            pa.field(c.name, c.type, nullable=c.nullable, metadata={"meaning": c.meaning}) for c in self.columns
        )

    def empty(self) -> pd.DataFrame:
        """Return an empty DataFrame with the described columns and types."""
        return self.from_arrow(self.arrow.empty_table())

    def checked(self, table: pa.Table) -> pa.Table:
        """Return an Arrow table with exactly the described columns and types.

        Raise SchemaError if the table lacks a column or a required value.
        """
        missing = [name for name in self.names if name not in table.column_names]
        if missing:
            raise SchemaError(f"frame {self.name} lacks the columns {', '.join(missing)}")
        for column in self.columns:
            # Arrow does not enforce nullable=False everywhere.
            if not column.nullable and table[column.name].null_count:
                raise SchemaError(f"frame {self.name}: {column.name} has missing values")
        return table.select(self.names).cast(self.arrow)

    def from_arrow(self, table: pa.Table) -> pd.DataFrame:
        """Convert an Arrow table to a DataFrame. Raise SchemaError if the table lacks a column or a required value."""
        frame: pd.DataFrame = self.checked(table).to_pandas(
            types_mapper={COUNT: pd.Int64Dtype()}.get, split_blocks=True, ignore_metadata=True
        )
        return frame

    def to_arrow(self, frame: pd.DataFrame) -> pa.Table:
        """Convert a DataFrame to an Arrow table. The table shares the DataFrame's memory where possible.

        Text has Arrow's type `large_string`, as in pandas. An array of type `string` holds at most 2 GB.
        """
        arrays = {}
        for name in self.names:
            try:
                arrays[name] = pa.array(frame[name], from_pandas=True)
            except (KeyError, pa.ArrowException) as error:
                raise SchemaError(f"frame {self.name} does not match the schema: column {name}: {error}") from error
        return pa.table(arrays)

    def conform(self, columns: Mapping[str, Any] | pd.DataFrame) -> pd.DataFrame:
        """Convert columns to a DataFrame with the described columns, types and order.

        If a column is not given, its values are missing. Raise SchemaError if a required value is missing. Raise
        SchemaError if a value cannot be converted.
        """
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
    """Add descriptions of frames to the docstring of a function or class."""

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
        "pair (role and profile match the tool), tag (the profile has a tag of the tool), guess (only one matches)",
    ),
)

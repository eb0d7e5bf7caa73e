"""Frames as tables of SQL, by DuckDB: read them, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from iamframe.errors import SqlError, missing_extra
from iamframe.inventory.schema import FRAMES

if TYPE_CHECKING:
    import duckdb

# A query reaches no file and no network; a lock keeps it from changing that.
_SHUT: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "enable_external_access": False,
    # A table that does not exist is not looked for among the variables of whoever calls.
    "python_enable_replacements": False,
    # What does not fit into memory is an error, rather than a file beside the notebook.
    "temp_directory": "",
}
_INTEGERS = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32())
_PANDAS = dict.fromkeys(_INTEGERS, pd.Int64Dtype()) | {pa.uint64(): pd.UInt64Dtype()}
# What Arrow and pandas raise on what DuckDB knows and they do not, such as an interval of months and days.
_UNHELD = (pa.ArrowException, ArithmeticError, LookupError, NotImplementedError, TypeError, ValueError)


def select(frames: Mapping[str, pd.DataFrame], query: str) -> pd.DataFrame:
    """Return what one SELECT finds in frames, which are tables of their name, also as `inventory.NAME`.

    Text is `str`, whole numbers are `Int64`, times `datetime64[us, UTC]`, as in the frames.

    Raises
    ------
    SqlError
        If the query is not one SELECT, or DuckDB refuses it.
    MissingExtraError
        If DuckDB is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        raise missing_extra("duckdb", "sql") from error
    with duckdb.connect(":memory:", config=_SHUT) as database:
        database.execute("SET timezone = 'UTC'; CREATE SCHEMA inventory")
        for name, frame in FRAMES.items():
            database.register(name, frame.to_arrow(frames[name]))
            database.execute(f'CREATE VIEW inventory."{name}" AS FROM main."{name}"')
        database.execute("SET lock_configuration = true")
        try:
            statements = database.extract_statements(query)
            if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
                raise SqlError("a query is one SELECT, which reads the frames and writes nothing; ask that alone")
            return _frame(database.sql(statements[0]).to_arrow_table())
        except duckdb.Error as error:
            raise SqlError(_sentence(error)) from error
        except _UNHELD as error:
            said = " ".join(str(error).split())[:300]
            raise SqlError(
                f"the answer has a column of a type that no DataFrame holds ({said}); cast it, as by column::VARCHAR"
            ) from error


def _frame(table: pa.Table) -> pd.DataFrame:
    for at, field in enumerate(table.schema):
        # A sum of whole numbers is wider than they are, and would come as objects.
        if pa.types.is_decimal(field.type) and field.type.scale == 0:
            try:
                table = table.set_column(at, field.name, table.column(at).cast(pa.int64()))
            except pa.ArrowInvalid:
                continue
    nullable = {pa.bool_(): pd.BooleanDtype()} if _lacks_flags(table) else {}
    frame: pd.DataFrame = table.to_pandas(types_mapper=(_PANDAS | nullable).get)
    return frame


def _lacks_flags(table: pa.Table) -> bool:
    return any(column.type == pa.bool_() and column.null_count for column in table.columns)


def _sentence(error: duckdb.Error) -> str:
    """Return what DuckDB says as one sentence, without the picture of where in the query."""
    said = str(error).partition("\n\nLINE ")[0]
    bare = 'at or near "references"' in said.lower()
    hint = ' (REFERENCES is a word of SQL: write "references" or inventory.references)' if bare else ""
    return f"the query cannot be answered: {' '.join(said.split())}{hint}"

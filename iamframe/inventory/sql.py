"""Query frames with DuckDB, and return SQL statements that create Amazon Athena tables for a snapshot."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from iamframe.errors import SqlError, StoreError, optional, require
from iamframe.inventory.frame import COUNT, FLAG, TEXT, TIME, Frame
from iamframe.inventory.schema import FRAMES

if TYPE_CHECKING:
    import duckdb

# A query cannot read files or the network, and cannot change that: the configuration is locked.
_SHUT: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "enable_external_access": False,
    # DuckDB does not search the caller's variables for a table that does not exist.
    "python_enable_replacements": False,
    # A query that needs more memory is an error, and writes no file beside the notebook.
    "temp_directory": "",
}
_INTEGERS = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32())
_PANDAS = dict.fromkeys(_INTEGERS, pd.Int64Dtype()) | {pa.uint64(): pd.UInt64Dtype()}
# The errors of Arrow and pandas for columns that a DataFrame cannot hold, such as intervals of months and days.
_UNHELD = (pa.ArrowException, ArithmeticError, LookupError, NotImplementedError, TypeError, ValueError)


def select(frames: Mapping[str, pd.DataFrame], query: str) -> pd.DataFrame:
    duckdb = optional("duckdb", "sql")
    with duckdb.connect(":memory:", config=_SHUT) as database:
        database.execute("SET timezone = 'UTC'; CREATE SCHEMA inventory")
        for name, frame in FRAMES.items():
            database.register(name, frame.to_arrow(frames[name]))
            database.execute(f'CREATE VIEW inventory."{name}" AS FROM main."{name}"')
        database.execute("SET lock_configuration = true")
        try:
            statements = database.extract_statements(query)
            if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
                raise SqlError("a query must be a single SELECT on the frames")
            return _frame(database.sql(statements[0]).to_arrow_table())
        except duckdb.Error as error:
            raise SqlError(_sentence(error)) from error
        except _UNHELD as error:
            reason = " ".join(str(error).split())[:300]
            raise SqlError(
                f"the result has a column of a type that a DataFrame cannot hold ({reason}); cast it, "
                "for example column::VARCHAR"
            ) from error


def _frame(table: pa.Table) -> pd.DataFrame:
    for at, field in enumerate(table.schema):
        # DuckDB's sum of whole numbers is a wide decimal, which pandas would hold as objects.
        if pa.types.is_decimal(field.type) and field.type.scale == 0:
            with suppress(pa.ArrowInvalid):
                table = table.set_column(at, field.name, table.column(at).cast(pa.int64()))
    # The types are those of the frames.
    has_missing_flags = any(column.type == pa.bool_() and column.null_count for column in table.columns)
    flags = {pa.bool_(): pd.BooleanDtype()} if has_missing_flags else {}
    frame: pd.DataFrame = table.to_pandas(types_mapper=(_PANDAS | flags).get)
    return frame


def _sentence(error: duckdb.Error) -> str:
    text = str(error).partition("\n\nLINE ")[0]
    bare = 'at or near "references"' in text.lower()
    hint = ' (REFERENCES is a word of SQL: write "references" or inventory.references)' if bare else ""
    return f"the query cannot be answered: {' '.join(text.split())}{hint}"


# The statements are in Hive's dialect: names are in backticks, and a backslash escapes a quotation mark.
_TYPES = {TEXT: "string", COUNT: "bigint", FLAG: "boolean", TIME: "timestamp"}
# Athena accepts no other scheme, such as `s3a://`.
_LOCATION = re.compile(r"s3://[A-Za-z0-9][A-Za-z0-9._-]+(/.*)?")


def athena_statements(location: str) -> list[str]:
    """Return SQL statements that create Amazon Athena tables for a snapshot.

    The snapshot must be in S3, and each frame gets one table. Create a database in Athena first. Then run the returned
    statements in the database yourself, one by one, in list order. This function makes no request to AWS.

    Parameters
    ----------
    location
        The snapshot's folder in S3, as `s3://BUCKET/FOLDER`.

    Returns
    -------
    list of str
        Two statements per frame: CREATE EXTERNAL TABLE and MSCK REPAIR TABLE. MSCK REPAIR TABLE registers the folders
        of the accounts as partitions. If you replace the snapshot at `location` by a snapshot of other accounts, drop
        the tables, and run all statements again, because MSCK REPAIR TABLE does not remove partitions.

    Raises
    ------
    StoreError
        If `location` is not a folder in S3.

    Examples
    --------
    >>> from iamframe import athena_statements
    >>> athena_statements("s3://BUCKET/FOLDER")[1]
    'MSCK REPAIR TABLE `accounts`'
    """
    require("athena_statements", location, str, instead="the snapshot's folder, s3://BUCKET/FOLDER")
    if not _LOCATION.fullmatch(location) or not location.isprintable():
        raise StoreError(f"{location}: is not a folder in S3; give the snapshot's folder, s3://BUCKET/FOLDER")
    place = location.rstrip("/")
    return [
        statement
        for frame in FRAMES.values()
        for statement in (_create_table(frame, f"{place}/{frame.name}/"), f"MSCK REPAIR TABLE `{frame.name}`")
    ]


def _create_table(frame: Frame, location: str) -> str:
    columns = ",\n".join(f"  `{c.name}` {_TYPES[c.type]} COMMENT {_comment(c.meaning)}" for c in frame.columns)
    return (
        f"CREATE EXTERNAL TABLE `{frame.name}` (\n{columns}\n)\n"
        f"COMMENT {_comment(f'one row per {frame.row}')}\n"
        "PARTITIONED BY (`account` string COMMENT 'folder: an account id or a hash, so filter by account_id')\n"
        "STORED AS PARQUET\n"
        f"LOCATION {_quoted(location)}\n"
        # Glue's jobs read only tables that have this property.
        "TBLPROPERTIES ('classification' = 'parquet')"
    )


def _comment(meaning: str) -> str:
    # Some clients divide statements at each semicolon.
    return _quoted(meaning.replace(";", ","))


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

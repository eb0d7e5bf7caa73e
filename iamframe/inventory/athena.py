"""SQL statements that create Amazon Athena tables for a snapshot in S3.

They are in Hive's dialect: names are in backticks, and a backslash escapes a quote in a text.
"""

from __future__ import annotations

import re

from iamframe.errors import StoreError
from iamframe.inventory.frame import COUNT, FLAG, TEXT, TIME, Frame
from iamframe.inventory.schema import FRAMES

_TYPES = {TEXT: "string", COUNT: "bigint", FLAG: "boolean", TIME: "timestamp"}
# Athena accepts no other scheme, such as `s3a://`.
_LOCATION = re.compile(r"s3://[A-Za-z0-9][A-Za-z0-9._-]+(/.*)?")


def athena_statements(location: str) -> list[str]:
    """Return the SQL statements that create Amazon Athena tables for a snapshot in S3, one table per frame.

    Each table has the name of its frame. Create a database for the tables. Then run the statements in it one by one, in
    this order. No request is made to AWS.

    Parameters
    ----------
    location
        The folder of the snapshot in S3: `s3://BUCKET/PREFIX`.

    Returns
    -------
    list of str
        Two statements per frame: CREATE EXTERNAL TABLE and MSCK REPAIR TABLE. The second one registers the folders of
        the accounts as partitions. Run it again when the folder has new accounts.

    Raises
    ------
    StoreError
        If `location` is not a folder in S3.

    Examples
    --------
    >>> from iamframe import athena_statements
    >>> athena_statements("s3://BUCKET/PREFIX")[1]
    'MSCK REPAIR TABLE `accounts`'
    """
    if not _LOCATION.fullmatch(location) or not location.isprintable():
        raise StoreError(f"{location}: is not a folder in S3; give the snapshot's folder, s3://BUCKET/PREFIX")
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
        "PARTITIONED BY (`account` string COMMENT 'account id, for queries that read one account only')\n"
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

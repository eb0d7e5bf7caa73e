"""What rules share: findings, and the next command to type."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory.arrow import as_arrow, concat, shell_quoted
from iamframe.knowledge.operations import NO_VALUE


def found(rows: pd.DataFrame, resource: str, related: str | None, detail: object, **more: object) -> pd.DataFrame:
    """Return findings on rows of a frame.

    Named are the column of the resource, that of the related one, what to say, and what else to set.
    """
    columns: dict[str, Any] = {
        "resource_arn": rows[resource],
        "related_arn": rows[related] if related else pa.nulls(len(rows), pa.string()),
        "detail": detail,
        **more,
    }
    # Values stand by position; one frame of all is made faster than a column after the other is added.
    values = {
        name: pd.array(as_arrow(given), dtype="str")
        if isinstance(given, (pa.Array, pa.ChunkedArray))
        else given.array
        if isinstance(given, pd.Series)
        else given
        for name, given in columns.items()
    }
    return pd.DataFrame(values, index=pd.RangeIndex(len(rows)))


def command(verb: str, *options: object) -> pa.Array:
    """Return AWS CLI commands: a verb, then names and values of options, each one shell word `--option=value`.

    Missing where the AWS CLI would take a value for the place of a file, and read that.
    """
    parts: list[object] = [f"aws {verb}"]
    for option, value in zip(options[::2], options[1::2], strict=True):
        words = as_arrow(value)
        safe = pc.if_else(pc.match_substring_regex(words, NO_VALUE.pattern), pa.scalar(None, pa.string()), words)
        parts += [f" --{option}=", shell_quoted(safe)]
    return concat(*parts)


def json_text(array: pa.Array) -> pa.Array:
    """Return texts as JSON strings: the AWS CLI's shorthand has no safe way to write a comma or a quote."""
    escaped = pc.replace_substring(pc.replace_substring(array, "\\", "\\\\"), '"', '\\"')
    for character, escape in (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        escaped = pc.replace_substring(escaped, character, escape)
    return concat('"', escaped, '"')


def filters(name: str, values: object) -> pa.Array:
    """Return filters as the AWS CLI takes them: its shorthand, or JSON where that would break the value."""
    value = as_arrow(values)
    plain = pc.match_substring_regex(value, r"^[A-Za-z0-9:/_.-]+$")
    as_json = concat(f'[{{"Name":"{name}","Values":[', json_text(value), "]}]")
    return pc.if_else(plain, concat(f"Name={name},Values=", value), as_json)

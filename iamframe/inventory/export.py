"""CSV for people: what a spreadsheet opens without running any of it, and what reads back as it was.

Every cell is quoted, lines end in CR LF, and the file begins with a byte order mark, so that a lone CR in a
description stays inside its cell and letters survive. A cell that a spreadsheet would take for a formula gets an
apostrophe before it; whoever reads the file back takes one apostrophe off (OWASP, "CSV Injection").
"""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory.columns import concat, texts

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
# A text that begins with apostrophes before a trigger is guarded too, so that taking one off is always right.
_TRIGGERS = r"^'*[=+\-@\t\r\n|%＝＋－＠]"


def guarded(values: pd.Series) -> pd.Series:
    """Return text values with an apostrophe before each that a spreadsheet would take for a formula."""
    array = texts(values)
    trigger = pc.fill_null(pc.match_substring_regex(array, _TRIGGERS), False)
    if not pc.any(trigger).as_py():
        return values
    return pd.Series(pa.array(pc.if_else(trigger, concat("'", array), array)).to_pandas(), dtype="str").set_axis(
        values.index
    )


def unguarded(text: str) -> str:
    """Return what a cell held before it was guarded."""
    rest = text.lstrip("'")
    return text[1:] if text.startswith("'") and rest[:1] and rest[:1] in "=+-@\t\r\n|%＝＋－＠" else text


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame for people: guarded, quoted, UTF-8 with a byte order mark.

    Times are in ISO form, flags True and False, missing values empty.
    """
    names = guarded(pd.Series(frame.columns, dtype="str"))
    columns = [guarded(frame[name]) if frame[name].dtype == "str" else frame[name] for name in frame.columns]
    pd.concat(columns, axis=1, keys=names).to_csv(
        path,
        index=False,
        quoting=csv.QUOTE_ALL,
        lineterminator="\r\n",
        encoding="utf-8-sig",
        date_format=TIME_FORMAT,
    )

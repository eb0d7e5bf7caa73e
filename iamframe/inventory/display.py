"""Show DataFrames as tables in text, Markdown or HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory.arrow import concat
from iamframe.messages.text import escape_controls, pluralize, spell_out

# JupyterLab renders text between two `$`, as in the command `'$Latest' '$Default'`, as a formula, except in elements of
# these classes.
NO_MATH = "mathjax_ignore tex2jax_ignore"

_MARKUP = re.compile(r"([\\|`*_\[\]<>#&!~$])")


def as_text(values: pd.Series, *, iso: bool = True) -> pa.Array:
    if values.dtype.kind != "M":
        # Converting a column that is already text would take four times as long.
        return pa.array(values if values.dtype == "str" else values.astype("str"), from_pandas=True)
    # Casting a time with a zone to a time without a zone gives UTC.
    moments = pa.array(values).cast(pa.timestamp(values.dt.unit))
    # `strftime` takes ten times as long as this.
    text = pc.floor_temporal(moments, unit="second").cast(pa.timestamp("s")).cast(pa.string())
    if iso:
        return concat(pc.replace_substring(text, " ", "T"), "Z")
    return concat(text, " UTC") if values.dt.tz else text


def cell_rows(frame: pd.DataFrame, *, iso: bool = True) -> list[tuple[Any, ...]]:
    columns = [column.infer_objects() for _, column in frame.items()]
    arrays = [pa.array(c, from_pandas=True) if c.dtype.kind in "iuf" else as_text(c, iso=iso) for c in columns]
    return list(zip(*(array.to_pylist() for array in arrays), strict=True))


def _text(value: object) -> str:
    return "" if value is None else f"{value:,g}" if isinstance(value, float) else str(value)


def text_rows(rows: Iterable[Sequence[object]]) -> list[list[str]]:
    return [[escape_controls(_text(cell)) for cell in row] for row in rows]


def text_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    texts = text_rows([head, *rows])
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in texts)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    texts = [[_MARKUP.sub(r"\\\1", cell) for cell in row] for row in text_rows(rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *texts])


def html_table(head: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    title = f"<caption style='text-align:left'>{escape(caption)}</caption>" if caption else ""
    top = "".join(f"<th scope='col' style='text-align:left'>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(_html_cells(row, len(head)))}</tr>" for row in rows)
    return f"<table class='{NO_MATH}'>{title}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def html_frame(frame: pd.DataFrame, total: int | None = None, where: str = "") -> str:
    more = len(frame) if total is None else total
    rest = html_line(f"and {pluralize(more - len(frame), 'more row')}, in {where}") if more > len(frame) else ""
    return html_table(list(map(str, frame.columns)), cell_rows(frame)) + rest


def html_line(text: str) -> str:
    return f"<p class='{NO_MATH}' style='margin:.3em 0'>{escape(text)}</p>"


def _html_cells(row: Sequence[object], size: int) -> Iterable[str]:
    for at, value in enumerate(row, 1):
        # The last cell of a short row spans the remaining columns.
        wide = f" colspan='{size - at + 1}'" if at == len(row) < size else ""
        if isinstance(value, int):
            yield f"<td style='text-align:right'{wide}>{value:,}</td>"
        else:
            # Text in a right-to-left script must not reverse its neighbours.
            style = "text-align:left;white-space:pre-wrap;unicode-bidi:isolate"
            yield f"<td style='{style}'{wide}>{escape(_text(value))}</td>"


NO_ROWS = "none in the collected data"


@dataclass(frozen=True, repr=False)
class Table:
    """A DataFrame for display: HTML in notebooks, plain text elsewhere."""

    frame: pd.DataFrame
    rows: int

    def __repr__(self) -> str:
        head, rows = self._cells()
        if not len(self.frame):
            return NO_ROWS
        return "\n".join([text_table(head, rows), *self._more()])

    def _repr_html_(self) -> str:
        head, rows = self._cells()
        body = html_table(head, rows if len(self.frame) else [(NO_ROWS,)])
        return "".join([body, *map(html_line, self._more())])

    def _more(self) -> list[str]:
        more = len(self.frame) - self.rows
        return [f"and {pluralize(more, 'more row')}"] if more > 0 else []

    def _cells(self) -> tuple[list[str], list[list[object]]]:
        frame, index = self.frame.head(self.rows), self.frame.index
        head = [_heading(name) for name in frame.columns]
        # Row numbers are left out, but not row names.
        if any(name is not None for name in index.names) or not pd.api.types.is_integer_dtype(index):
            if len(frame):
                frame = pd.concat([frame.index.to_frame(index=False), frame.reset_index(drop=True)], axis=1)
            head = [*(spell_out(str(name or "")) for name in index.names), *head]
        rows = [
            [_spelled(v, name) if isinstance(v, str) else v for v, name in zip(row, frame, strict=True)]
            for row in cell_rows(frame, iso=False)
        ]
        return head, rows


def table(frame: pd.DataFrame | pd.Series, rows: int = 100) -> Table:
    """Return a `Table` that shows a DataFrame in a form that is easy to read.

    Text is left-aligned. If a text contains deceptive characters, an escaped copy follows the text. Deceptive
    characters are unusual spaces, invisible letters and look-alikes of Latin letters. Times are in UTC. A missing value
    is an empty cell. A DataFrame without rows is shown as `none in the collected data`. An unnamed index of integers is
    not shown.

    Parameters
    ----------
    frame
        Any DataFrame or Series. A Series is shown as one column.
    rows
        The largest number of rows to show. A line below the table says how many rows are left out.

    Returns
    -------
    Table
        A table for display: HTML in notebooks, plain text elsewhere.
    """
    return Table(frame.to_frame() if isinstance(frame, pd.Series) else frame, rows)


def _spelled(text: str, name: object) -> str:
    # A `detail` may already spell out its look-alike letters.
    codes = ((letter, spell_out(letter)) for letter in set(text) - {" "}) if name == "detail" else ()
    is_told = name == "detail" and all(code[len(letter) + 2 : -1] in text for letter, code in codes if code != letter)
    return text if is_told else spell_out(text)


def _heading(name: object) -> str:
    return spell_out(" ".join(filter(None, map(str, name if isinstance(name, tuple) else [name]))))

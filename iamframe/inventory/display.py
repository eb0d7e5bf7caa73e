"""A frame as a notebook shows it: small tables of HTML and of text, in which all text is text.

JupyterLab sets what stands between two `$` as a formula, `'$Latest' '$Default'` of a command among it, but for what is
of the class `mathjax_ignore`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from iamframe.knowledge.names import shown
from iamframe.messages.text import counted, printable

# JupyterLab takes what stands between dollars in a cell's HTML for mathematics, but not in elements of these classes.
NO_MATH = "mathjax_ignore tex2jax_ignore"


def html_table(head: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """Return a table of HTML: cells as text, numbers on the right, None empty; the last cell of a short row is wide."""
    said = f"<caption style='text-align:left'>{escape(caption)}</caption>" if caption else ""
    top = "".join(f"<th scope='col' style='text-align:left'>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(_html_cells(row, len(head)))}</tr>" for row in rows)
    return f"<table class='{NO_MATH}'>{said}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def html_line(text: str) -> str:
    """Return a text as a paragraph of HTML."""
    return f"<p class='{NO_MATH}' style='margin:.3em 0'>{escape(text)}</p>"


def _html_cells(row: Sequence[object], size: int) -> Iterable[str]:
    for at, value in enumerate(row, 1):
        wide = f" colspan='{size - at + 1}'" if at == len(row) < size else ""
        if isinstance(value, int):
            yield f"<td style='text-align:right'{wide}>{value:,}</td>"
        else:
            text = "" if value is None else escape(str(value))
            # Text of another script must not turn round what stands beside it.
            yield f"<td style='text-align:left;white-space:pre-wrap;unicode-bidi:isolate'{wide}>{text}</td>"


NO_ROWS = "none in what was read"


@dataclass(frozen=True, repr=False)
class Table:
    """What `table` makes of a frame: the last line of a cell shows it, `print` prints it."""

    frame: pd.DataFrame
    rows: int

    def __repr__(self) -> str:
        """Return it as plain text, the rows that are too many left out."""
        head, rows = self._told()
        if not rows:
            return NO_ROWS
        every: list[list[object]] = [[*head], *rows]
        told = [["" if one is None else printable(str(one)) for one in row] for row in every]
        widths = [max(map(len, column)) for column in zip(*told, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in told]
        return "\n".join([*lines, *self._more()])

    def _repr_html_(self) -> str:
        """Return it as a table of HTML."""
        head, rows = self._told()
        body = html_table(head, rows or [(NO_ROWS,)])
        return "".join([body, *map(html_line, self._more())])

    def _more(self) -> list[str]:
        more = len(self.frame) - self.rows
        return [f"and {counted(more, 'more row')}"] if more > 0 else []

    def _told(self) -> tuple[list[str], list[list[object]]]:
        """Return the head, and what stands in the cells."""
        frame = self.frame.head(self.rows)
        # The number of a row says nothing; what a row is called does.
        named = any(name is not None for name in frame.index.names) or not pd.api.types.is_integer_dtype(frame.index)
        if named and len(frame):
            frame = pd.concat([frame.index.to_frame(index=False), frame.reset_index(drop=True)], axis=1)
        head = [_said(name) for name in frame.columns]
        if named:
            head[: self.frame.index.nlevels] = [shown(str(name or "")) for name in self.frame.index.names]
        columns = [
            # iamframe's own sentences have spelled out already what they quote.
            [_cell(value, str if name == "detail" else shown) for value in frame.iloc[:, at].astype(object)]
            for at, name in enumerate(frame.columns)
        ]
        return head, [list(row) for row in zip(*columns, strict=True)]


def table(frame: pd.DataFrame | pd.Series, rows: int = 100) -> Table:
    """Return a frame as a table to read, in place of the one that pandas shows.

    Text stands to the left and is shown as text, whatever it holds, with the letters of a look-alike spelled out; times
    are in UTC; a missing value is an empty cell, and a frame without rows says `none in what was read`, which means
    that there is none only where its check is complete. Row numbers are left out, row names are not.

    Parameters
    ----------
    frame
        Any frame, or a series, which is a frame of one column. It is not changed, and not copied.
    rows
        How many rows to show; how many more there are is said below them.

    Returns
    -------
    Table
        What the last line of a notebook's cell shows; plain text where it is printed.
    """
    return Table(frame.to_frame() if isinstance(frame, pd.Series) else frame, rows)


def _said(name: object) -> str:
    parts = [str(part) for part in name] if isinstance(name, tuple) else [str(name)]
    return shown(" ".join(filter(None, parts)))


def _cell(value: Any, spelled: Callable[[str], str]) -> object:
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return f"{value.tz_convert('UTC') if value.tzinfo else value:%Y-%m-%d %H:%M:%S}{' UTC' if value.tzinfo else ''}"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return f"{value:,g}"
    return value if isinstance(value, int) else spelled(str(value))

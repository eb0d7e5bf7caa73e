"""A frame in a notebook: small tables of HTML and of text, which show all text literally."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from iamframe.messages.text import escape_controls, pluralize, spell_out

# JupyterLab renders text between two `$`, as in the command `'$Latest' '$Default'`, as a formula, except in elements of
# these classes.
NO_MATH = "mathjax_ignore tex2jax_ignore"


def html_table(head: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """Return a table of HTML: numbers are right-aligned, None is empty, the last cell of a short row fills it."""
    title = f"<caption style='text-align:left'>{escape(caption)}</caption>" if caption else ""
    top = "".join(f"<th scope='col' style='text-align:left'>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(_html_cells(row, len(head)))}</tr>" for row in rows)
    return f"<table class='{NO_MATH}'>{title}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


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
            # Text in a right-to-left script must not reverse its neighbours.
            yield f"<td style='text-align:left;white-space:pre-wrap;unicode-bidi:isolate'{wide}>{text}</td>"


NO_ROWS = "none in what was read"


@dataclass(frozen=True, repr=False)
class Table:
    """A frame to read: the last line of a notebook's cell shows it, `print` prints it."""

    frame: pd.DataFrame
    rows: int

    def __repr__(self) -> str:
        """Return the table as plain text."""
        head, rows = self._cells()
        if not rows:
            return NO_ROWS
        every: list[list[object]] = [[*head], *rows]
        texts = [["" if cell is None else escape_controls(str(cell)) for cell in row] for row in every]
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in texts]
        return "\n".join([*lines, *self._more()])

    def _repr_html_(self) -> str:
        """Return the table as HTML."""
        head, rows = self._cells()
        body = html_table(head, rows or [(NO_ROWS,)])
        return "".join([body, *map(html_line, self._more())])

    def _more(self) -> list[str]:
        more = len(self.frame) - self.rows
        return [f"and {pluralize(more, 'more row')}"] if more > 0 else []

    def _cells(self) -> tuple[list[str], list[list[object]]]:
        """Return the head, and the cells of each row."""
        frame, index = self.frame.head(self.rows), self.frame.index
        head = [_heading(name) for name in frame.columns]
        # Row numbers are left out, row names are not.
        if any(name is not None for name in index.names) or not pd.api.types.is_integer_dtype(index):
            if len(frame):
                frame = pd.concat([frame.index.to_frame(index=False), frame.reset_index(drop=True)], axis=1)
            head = [*(spell_out(str(name or "")) for name in index.names), *head]
        columns = [
            # A `detail` already spells out the letters of the names that it quotes.
            [_cell(value, str if name == "detail" else spell_out) for value in frame.iloc[:, at].astype(object)]
            for at, name in enumerate(frame.columns)
        ]
        return head, [list(row) for row in zip(*columns, strict=True)]


def table(frame: pd.DataFrame | pd.Series, rows: int = 100) -> Table:
    """Return a frame as a table to read, in place of the one that pandas shows.

    Text is left-aligned and shown literally, with look-alike letters spelled out; times are in UTC; a missing value is
    an empty cell. A frame without rows says `none in what was read`: there is nothing to find only if its check is
    complete. Row numbers are left out, row names are not.

    Parameters
    ----------
    frame
        Any frame, or a series, which is shown as a frame of one column. It is not changed, and not copied.
    rows
        The number of rows to show; a line below tells how many more there are.

    Returns
    -------
    Table
        An object that a notebook's cell shows, and that prints as plain text.
    """
    return Table(frame.to_frame() if isinstance(frame, pd.Series) else frame, rows)


def _heading(name: object) -> str:
    parts = [str(part) for part in name] if isinstance(name, tuple) else [str(name)]
    return spell_out(" ".join(filter(None, parts)))


def _cell(value: Any, spelled: Callable[[str], str]) -> object:
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return f"{value.tz_convert('UTC'):%Y-%m-%d %H:%M:%S} UTC" if value.tzinfo else f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return f"{value:,g}"
    return value if isinstance(value, int) else spelled(str(value))

"""What a notebook's cell shows of an object: small tables of HTML, in which all text is text.

JupyterLab sets what stands between two `$` as a formula, `'$Latest' '$Default'` of a command among it, but for what is
of the class `mathjax_ignore`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

# JupyterLab takes what stands between dollars in a cell's HTML for mathematics, but not in elements of these classes.
NO_MATH = "mathjax_ignore tex2jax_ignore"


def table(head: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """Return a table of HTML: cells as text, numbers on the right, None empty; the last cell of a short row is wide."""
    said = f"<caption style='text-align:left'>{escape(caption)}</caption>" if caption else ""
    top = "".join(f"<th scope='col' style='text-align:left'>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(_cells(row, len(head)))}</tr>" for row in rows)
    return f"<table class='{NO_MATH}'>{said}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def line(text: str) -> str:
    """Return a text as a paragraph of HTML."""
    return f"<p class='{NO_MATH}' style='margin:.3em 0'>{escape(text)}</p>"


def _cells(row: Sequence[object], size: int) -> Iterable[str]:
    for at, value in enumerate(row, 1):
        wide = f" colspan='{size - at + 1}'" if at == len(row) < size else ""
        if isinstance(value, int):
            yield f"<td style='text-align:right'{wide}>{value:,}</td>"
        else:
            text = "" if value is None else escape(str(value))
            # Text of another script must not turn round what stands beside it.
            yield f"<td style='text-align:left;white-space:pre-wrap;unicode-bidi:isolate'{wide}>{text}</td>"

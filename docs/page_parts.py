"""Markdown of the generated pages: cells, tables, pages."""

from __future__ import annotations

import re


def escape(text: object) -> str:
    """Return a sentence that may hold code in backticks, for a cell of a table."""
    parts = str(text).split("`")
    return "`".join(
        part.replace("|", "\\|") if at % 2 else re.sub(r"([|*_<\[\]$])", r"\\\1", part) for at, part in enumerate(parts)
    )


def code(value: object) -> str:
    """Return a value as code in a cell; nothing for an empty one."""
    text = str(value).replace("|", "\\|")
    return f"`` {text} ``" if "`" in text else f"`{text}`" if text else ""


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def toctree(names: list[str]) -> str:
    """Return the hidden list of the pages below a page."""
    return "\n".join(["```{toctree}", ":hidden:", ":maxdepth: 1", "", *names, "```"])


def page(*parts: str) -> str:
    """Return a page of the parts that are not empty."""
    return "\n\n".join(part for part in parts if part) + "\n"


def directive(text: str) -> str:
    """Return reStructuredText inside Markdown."""
    return f"```{{eval-rst}}\n{text}\n```"

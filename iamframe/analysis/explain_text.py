"""Show an explanation as text or HTML: first the fields that belong to no pair, then one part per pair."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterator
from html import escape
from itertools import groupby
from operator import itemgetter
from typing import Any

import pandas as pd

from iamframe.analysis.explain_pair import SECTIONS, bare_name
from iamframe.inventory import display
from iamframe.messages.text import escape_controls, pluralize

_SHOWN = 10
_BESIDE = 56
_ARNS = ["account_id", "profile_arn", "role_arn"]
_CELLS = ["section", "field", "profile", "role", "note"]
Cells = tuple[Any, ...]
# This section is long, and the same for most resources, so a page shows it on demand.
_FOLDED = "where tags show"
_SIDE_BY_SIDE = ("identity", "link", "tags", _FOLDED)


def _parts(frame: pd.DataFrame) -> Iterator[tuple[str, bool, list[Cells]]]:
    """Yield each part: its heading, whether it has both a profile and a role, and its rows."""
    before: list[Cells] = []
    pairs: dict[Cells, list[Cells]] = defaultdict(list)
    for of, cells in zip(display.cell_rows(frame[_ARNS]), display.cell_rows(frame[_CELLS]), strict=True):
        if any(of[1:]) and cells[0] in SECTIONS:
            pairs[of].append(cells)
        else:
            lone = of[0] and cells[-1] and not any(of[1:])
            before.append((*cells[:-1], f"account {of[0]}: {cells[-1]}") if lone else cells)
    if before:
        yield "", False, before
    for (_, profile, role), mine in list(pairs.items())[:_SHOWN]:
        named = {"instance profile": profile, "role": role}
        heading = " with ".join(f"{kind} {bare_name(arn)}" for kind, arn in named.items() if arn)
        yield heading, bool(profile and role), mine
    if (more := len(pairs) - _SHOWN) > 0:
        yield f"and {pluralize(more, 'more pair')}; to_frame() has all of them", False, []


def html_parts(frame: pd.DataFrame) -> Iterator[str]:
    """Yield an explanation as HTML: a table per part."""
    for heading, _, rows in _parts(frame):
        if not rows:
            yield display.html_line(heading)
            continue
        if heading:
            yield f"<h4 class='{display.NO_MATH}'>{escape(heading)}</h4>"
        for is_folded, part in groupby(rows, key=lambda cells: cells[0] == _FOLDED):
            lines, last = [], None
            for section, field, *sides, note in part:
                lines.append((section if section != last else None, field, *(sides if any(sides) else ()), note))
                last = section
            table = display.html_table(("", "", "instance profile", "role", "note"), lines)
            yield f"<details><summary>{_FOLDED}</summary>{table}</details>" if is_folded else table


def text_lines(frame: pd.DataFrame) -> Iterator[str]:
    """Yield an explanation as lines of text."""
    for at, (heading, has_both, rows) in enumerate(_parts(frame)):
        if at:
            yield ""
        if heading:
            yield f"== {escape_controls(heading)} ==" if rows else heading
        for section, fields in groupby(display.text_rows(rows), key=itemgetter(0)):
            yield from ("", *_section_lines(section, list(fields), has_both and section in _SIDE_BY_SIDE))


def _section_lines(section: str, rows: list[list[str]], two: bool) -> Iterator[str]:
    yield section + ("   (instance profile | role)" if two else "")
    width = min(max(len(row[1]) for row in rows), 36)
    beside = max((len(row[2]) for row in rows if len(row[2]) <= _BESIDE), default=0)
    for _, field, profile, role, note in rows:
        said = " | ".join(filter(None, (profile, role)))
        if two and said:
            said = f"{profile or '-':<{beside}} | {role or '-'}"
        words = [said, f"({note})" if said and note else note]
        line = f"  {field:<{width}}  {' '.join(filter(None, words))}".rstrip()
        # A command stays on one line, so that it can be copied.
        indent = " " * (width + 4)
        wrapped = textwrap.wrap(line, 118, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        yield from [line] if section == "next" else wrapped

"""An explanation as text and as HTML."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from iamframe.inventory import display
from iamframe.inventory.arrow import joined_key
from iamframe.knowledge.arn import name_of
from iamframe.messages.text import escape_controls, pluralize

SHOWN = 10
_BESIDE = 44


def cell_text(value: Any) -> str | None:
    """Return a value as text; None where it is missing."""
    return None if value is None or pd.isna(value) else str(value)


def _parted(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Return the rows that are of no pair, and those of each pair."""
    of_pair = (frame["section"].isin(OF_A_PAIR) & (frame["role_arn"].notna() | frame["profile_arn"].notna())).to_numpy()
    rows = frame[of_pair]
    codes = np.asarray(
        joined_key(rows["account_id"], rows["role_arn"], rows["profile_arn"]).dictionary_encode().indices
    )
    return frame[~of_pair], [rows[codes == code] for code in range(int(codes.max(initial=-1)) + 1)]


def _more(pairs: list[pd.DataFrame]) -> str:
    return f"and {pluralize(len(pairs) - SHOWN, 'more pair')}; to_frame() has all of them" if len(pairs) > SHOWN else ""


def text_lines(frame: pd.DataFrame) -> Iterator[str]:
    """Yield an explanation as lines: what is of no pair, then pair by pair."""
    before, pairs = _parted(frame)
    yield from _section_lines(before)
    for number, rows in enumerate(pairs[:SHOWN]):
        if number or len(before):
            yield ""
        yield f"== {escape_controls(_heading(rows))} =="
        yield from _section_lines(rows)
    if more := _more(pairs):
        yield from ("", more)


def html_tables(frame: pd.DataFrame) -> Iterator[str]:
    """Yield an explanation as HTML, in the same order."""
    before, pairs = _parted(frame)
    if len(before):
        heads = {"section": "", "field": "", "account_id": "account"} | {n: n for n in ("role", "profile", "note")}
        # What names it is no profile, though it stands where that is named.
        naming = before["section"].eq("named by") & before["profile"].notna()
        note = before["note"].mask(naming, before["profile"] + ", " + before["note"].fillna(""))
        other = before.assign(note=note, profile=before["profile"].mask(naming))
        other = other[[name for name in heads if other[name].notna().any()]]
        other["section"] = other["section"].mask(other["section"].eq(other["section"].shift()))
        yield display.html_table([heads[name] for name in other.columns], display.cell_rows(other))
    for rows in pairs[:SHOWN]:
        yield f"<h4 class='{display.NO_MATH}'>{escape(_heading(rows))}</h4>"
        told, last = [], None
        for section, field, *sides, note in display.cell_rows(rows[["section", "field", "role", "profile", "note"]]):
            told.append((section if section != last else None, field, *(sides if any(sides) else ()), note))
            last = section
        yield display.html_table(("", "", "role", "instance profile", "note"), told)
    if more := _more(pairs):
        yield display.html_line(more)


_OF_A_LINE = ["field", "role", "profile", "note", "role_arn", "profile_arn", "account_id"]
_SIDE_BY_SIDE = ("identity", "link", "tags", "where tags show")
OF_A_PAIR = (
    "identity",
    "link",
    "tags",
    "trust",
    "used by",
    "history",
    "findings",
    "not checked",
    "where tags show",
    "deleting",
    "next",
)


def _heading(rows: pd.DataFrame) -> str:
    role, profile = (cell_text(rows[name].iloc[0]) for name in ("role_arn", "profile_arn"))
    named = [
        f"{kind} {name_of(arn.removeprefix('name:'))}"
        for kind, arn in (("instance profile", profile), ("role", role))
        if arn
    ]
    return " with ".join(named)


def _section_lines(rows: pd.DataFrame) -> Iterator[str]:
    for section in dict.fromkeys(rows["section"]):
        mine = rows[rows["section"] == section]
        yield ""
        two = section in _SIDE_BY_SIDE and mine["role_arn"].notna().any() and mine["profile_arn"].notna().any()
        yield section + ("   (role | instance profile)" if two else "")
        width = min(max(len(field) for field in map(escape_controls, mine["field"])), 36)
        beside = max(
            (len(side) for side in map(escape_controls, mine["role"].dropna()) if len(side) <= _BESIDE), default=0
        )
        for field, *both, told, role_arn, profile_arn, account in display.cell_rows(mine[_OF_A_LINE]):
            sides = ["-" if side is None else escape_controls(side) for side in both]
            if two and sides != ["-", "-"]:
                said = f"{sides[0]:<{beside}} | {sides[1]}"
            else:
                said = next((side for side in sides if side != "-"), "")
            note = escape_controls(told or "")
            if note and role_arn is profile_arn is None and account:
                note = f"account {escape_controls(account)}: {note}"
            note = f"({note})" if said and note else note
            line = f"  {escape_controls(field):<{width}}  {' '.join(filter(None, (said, note)))}".rstrip()
            # A command is to be copied, and stays one line.
            yield from (
                [line]
                if section == "next"
                else textwrap.wrap(
                    line, 118, subsequent_indent=" " * (width + 4), break_long_words=False, break_on_hyphens=False
                )
            )

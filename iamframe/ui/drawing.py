"""Building blocks of plots: stacked bars, tables and text. Bars and cells of unknown data have the hatching `////`."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from iamframe.errors import optional, require
from iamframe.inventory.completeness import completeness
from iamframe.inventory.inventory import Inventory
from iamframe.messages.text import pluralize

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EDGE, BLUE, GREY = "#333333", "#4477aa", "#666666"
# The colours of the page's heat map, for zero and for each quarter, each with a contrasting text colour.
HEAT = (
    ("#ffffff", "#10151b"),
    ("#dbe9f6", "#10151b"),
    ("#a9cbe8", "#10151b"),
    ("#2f6fb3", "#ffffff"),
    ("#0b3c70", "#ffffff"),
)
# No plot relies on colour alone.
_OUTLINE: dict[str, Any] = {"edgecolor": EDGE, "linewidth": 0.8}
PLAIN: dict[str, Any] = {"facecolor": BLUE}
LIGHT: dict[str, Any] = {"facecolor": "#bbccee"}
DOTTED: dict[str, Any] = {"facecolor": "#ddcc77", "hatch": ".."}
CROSSED: dict[str, Any] = {"facecolor": "#ee99aa", "hatch": "xx"}
UNKNOWN: dict[str, Any] = {"facecolor": "white", "hatch": "////"}
# Cells with a text need no texture, except that unknown cells are hatched here, too.
NO: dict[str, Any] = {"facecolor": "#f3c9d1"}
DEPENDS: dict[str, Any] = {"facecolor": "#f3e9bf"}
UNKNOWN_CELL: dict[str, Any] = {"facecolor": "white", "hatch": "////", "edgecolor": "#bbbbbb"}
UNKNOWN_TOO: dict[str, Any] = {"facecolor": "#cccccc", "hatch": "////"}
# Fonts for letters that matplotlib's own font lacks, by their names on Linux, macOS and Windows.
FONTS = (
    "DejaVu Sans", "Noto Sans CJK JP", "Noto Sans JP", "IPAexGothic", "IPAGothic", "Hiragino Sans",
    "Yu Gothic", "Microsoft YaHei", "WenQuanYi Zen Hei", "Apple SD Gothic Neo", "Malgun Gothic", "Arial Unicode MS",
    "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari", "Noto Sans Thai", "Segoe UI",
)  # fmt: skip


def first_true(parts: Mapping[str, Any], size: int) -> Any:
    *masks, _ = (np.broadcast_to(np.asarray(mask, dtype=bool), size) for mask in parts.values())
    *names, otherwise = parts
    return np.select(masks, names, otherwise)


def count_parts(
    parts: Mapping[str, tuple[Any, dict[str, Any]]], row: pd.Series, rows: Iterable[str]
) -> tuple[dict[str, dict[str, Any]], pd.DataFrame]:
    part = first_true({name: mask for name, (mask, _) in parts.items()}, len(row))
    counts = row.to_frame("row").assign(part=part).value_counts().unstack()
    counts = counts.reindex(index=list(rows), columns=list(parts)).fillna(0).astype(int)
    return {name: look for name, (_, look) in parts.items()}, counts


@dataclass(frozen=True)
class Bars:
    things: str
    looks: Mapping[str, dict[str, Any]]
    counts: pd.DataFrame  # one row per bar, one column per part
    unit: str = ""

    def draw(self, ax: Axes | None, inventory: Inventory, lists: Sequence[str], *sentences: str) -> Axes:
        ax = new_axes(ax, self.counts.index, rows=len(self.counts))
        draw_title(ax, *sentences, not_all_read(inventory, *lists))
        counts = self.counts.loc[:, self.counts.sum() > 0]
        if counts.empty:
            return draw_none(ax, self.things, inventory, *lists)
        self._stack(ax, counts)
        ax.set_yticks(np.arange(len(counts)), [*map(str, counts.index)], fontsize=9, **as_letters())
        ax.set(xlim=(0, 1.12 * counts.sum(axis=1).max()), ylim=(len(counts) - 0.4, -0.6))
        ticker = _loaded("matplotlib.ticker")
        ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        ax.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
        ax.set_xlabel(self.unit or self.things, **as_letters())
        ax.spines[["top", "right"]].set_visible(False)
        # The padding is in units of letters, so that the legend is below the axis of a picture of any height.
        ax.legend(loc="upper left", bbox_to_anchor=(0, 0), borderaxespad=4.2, ncols=2, frameon=False, fontsize=9)
        return ax

    def _stack(self, ax: Axes, counts: pd.DataFrame) -> None:
        totals, rows = counts.sum(axis=1).to_numpy(), np.arange(len(counts))
        digits = counts.astype(str).map(len).to_numpy()
        is_wide = counts.to_numpy() >= (0.02 + 0.02 * digits) * totals.max()
        left: Any = np.zeros(len(counts))
        for part, (name, count) in enumerate(counts.items()):
            values: Any = count.to_numpy()
            ax.barh(rows, values, left=left, height=0.7, label=name, **_OUTLINE, **self.looks[str(name)])
            for bar in np.flatnonzero(is_wide[:, part] & (values < totals)):
                _in_a_box(ax, left[bar] + values[bar] / 2, bar, f"{values[bar]:,}")
            left = left + values
        for row, total in enumerate(totals):
            # Numbers that do not fit into their part are beside the bar.
            thin = counts.iloc[row][(counts.iloc[row] > 0) & ~is_wide[row]]
            small = [f"{name}: {value:,}" if value < total else str(name) for name, value in thin.items()]
            text = f"{total:,}" + (f" ({', '.join(small)})" if small else "")
            ax.annotate(text, (total, row), (4, 0), textcoords="offset points", va="center", fontsize=9, **as_letters())


# Sentences


def more_not_shown(count: int, noun: str) -> str:
    return f"{count:,} more {noun}{'s' * (count > 1)} not shown" if count > 0 else ""


def not_all_read(inventory: Inventory, *frames: str) -> str:
    lists = completeness(inventory)
    counts = {frame: int((~lists[f"{frame}_whole"]).sum()) for frame in frames}
    parts = [f"not all {frame} of {pluralize(count, 'account')}" for frame, count in counts.items() if count]
    return f"{' and '.join(parts)} were collected" if parts else ""


def draw_none(ax: Axes, things: str, inventory: Inventory, *frames: str) -> Axes:
    whole = len(inventory.accounts) and not not_all_read(inventory, *frames)
    text = f"no {things}" if whole else f"no {things} in the collected data"
    ax.text(0.5, 0.5, textwrap.fill(text, 50), ha="center", transform=ax.transAxes)
    ax.set(xticks=[], yticks=[])
    return ax


def draw_title(ax: Axes, *sentences: str) -> None:
    lines = [line for sentence in sentences for line in textwrap.wrap(sentence[:1].upper() + sentence[1:], 84)]
    ax.set_title("\n".join(lines), loc="left", fontsize=10.5, **as_letters())


# Drawing


_loaded = partial(optional, extra="notebooks")


def new_axes(ax: Axes | None, labels: Iterable[str], rows: float, across: float = 6.2) -> Axes:
    if ax is not None:
        require("ax=…", ax, _loaded("matplotlib.axes").Axes, instead="axes of Matplotlib")
        return ax
    width = across + 0.08 * max(map(_width, labels), default=0)
    new: Axes = _loaded("matplotlib.pyplot").subplots(figsize=(width, 2 + 0.34 * max(rows, 2)), layout="constrained")[1]
    return new


def draw_percentages(
    ax: Axes, percents: Sequence[Sequence[int] | None], rows: Sequence[str], columns: Sequence[str]
) -> None:
    for row, of_row in enumerate(percents):
        for column in range(len(columns)):
            if of_row is None:
                draw_cell(ax, column, row, "unknown", UNKNOWN_CELL)
            else:
                paper, ink = HEAT[(of_row[column] + 24) // 25]
                look = {"facecolor": paper, "edgecolor": "#cccccc"}
                draw_cell(ax, column, row, f"{of_row[column]}", look, ink)
    label_cells(ax, rows, columns, rotation=40, ha="left")


def draw_cell(ax: Axes, column: int, row: int, text: str, look: dict[str, Any], ink: str = "black") -> None:
    ax.add_patch(_loaded("matplotlib.patches").Rectangle((column, row), 1, 1, **(_OUTLINE | look)))
    if "hatch" in look:
        _in_a_box(ax, column + 0.5, row + 0.5, text)
    else:
        where: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 9, "color": ink}
        ax.text(column + 0.5, row + 0.5, text, **where, **as_letters())


def label_cells(ax: Axes, rows: Sequence[str], columns: Sequence[str], **turned: Any) -> None:
    ax.set_yticks(np.arange(len(rows)) + 0.5, rows, fontsize=9, **as_letters())
    ax.set_xticks(np.arange(len(columns)) + 0.5, columns, fontsize=9, **turned, **as_letters())
    ax.set(xlim=(0, len(columns)), ylim=(len(rows), 0))
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.tick_params(axis="x", rotation=turned.get("rotation", 0))


def _in_a_box(ax: Axes, x: Any, y: Any, text: str, ink: str = "black") -> None:
    # Hatching or lines may be behind the text.
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    ax.text(x, y, text, color=ink, ha="center", va="center", fontsize=8, bbox=paper, **as_letters())


def draw_section(ax: Axes, row: float, name: str, *, is_strong: bool) -> None:
    ax.hlines(row - 0.5, 0, 1, color="#888888" if is_strong else "#cccccc", linewidth=0.8)
    if name:
        _in_a_box(ax, 0.5, row - 0.5, name, GREY)


# Letters


def account_labels(inventory: Inventory) -> dict[str, str]:
    columns = inventory.accounts[["account_id", "account_name"]].itertuples(index=False, name=None)
    return {
        account: shortened(account, 16) if pd.isna(name) else f"{shortened(name, 24)} ({shortened(account, 16)})"
        for account, name in columns
    }


def as_letters() -> dict[str, Any]:
    # Names and keys are drawn as text, never as formulas.
    return {"family": [*_fonts()], "parse_math": False, "usetex": False}


def _fonts() -> dict[str, Any]:
    fonts, installed = _loaded("matplotlib.font_manager"), {}
    for family in dict.fromkeys([*_loaded("matplotlib").rcParams["font.family"], *FONTS]):
        # matplotlib would parse a family given as plain text as a fontconfig pattern.
        with suppress(ValueError):
            found = fonts.findfont(fonts.FontProperties(family=[family]), fallback_to_default=False)
            installed[family] = fonts.get_font(found)
    return installed


def shortened(text: Any, limit: int = 36) -> str:
    if pd.isna(text):
        return "(name not collected)"
    fonts = [] if str(text).isascii() else list(_fonts().values())
    # Letters that cannot be drawn become code points.
    # In Japanese names, the ideographic space is a usual letter, but Python calls it unprintable.
    spelled = [
        c
        if (c.isascii() and c.isprintable())
        or ((c.isprintable() or c == "\u3000") and any(font.get_char_index(ord(c)) for font in fonts))
        else f"\\u{ord(c):04x}"
        if ord(c) < 0x10000
        else f"\\U{ord(c):08x}"
        for c in str(text)
    ]
    ends = np.cumsum([_width(letters) for letters in spelled])
    if not len(ends) or ends[-1] <= limit:
        return "".join(spelled)
    head = int(np.searchsorted(ends, limit * 2 // 3, side="right"))
    tail = int(np.searchsorted(ends, ends[-1] - limit // 3, side="left")) + 1
    return "".join([*spelled[:head], "…", *spelled[tail:]])


def _width(text: str) -> int:
    # Chinese and Japanese letters are twice as wide as Latin letters.
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)

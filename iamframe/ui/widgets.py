"""The explorer for notebooks: widgets that call `iamframe.exploring`, without logic of their own.

Text from AWS is never interpreted as HTML or as mathematics. For names and tags from AWS, this module never uses
`ipywidgets.Label`, which shows text between dollar signs as a formula.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd

from iamframe.checks import Result, run_checks
from iamframe.checks.registry import STATUSES
from iamframe.checks.result import incomplete_reasons
from iamframe.checks.tag_policy import PolicySource
from iamframe.errors import IamframeError, optional, require
from iamframe.inventory import display
from iamframe.inventory.inventory import Inventory
from iamframe.messages.text import SEVERITIES, pluralize, spell_out
from iamframe.ui import exploring
from iamframe.ui.exploring import Filter

# The rows of one page of the table: as many as a browser draws at once, or as a sorting table holds.
PLAIN_ROWS, SORTED_ROWS = 100, 500
_COLUMNS = {"severity": "severity", "check": "check", "account_id": "account"}
_COLUMNS |= {"resource_name": "name", "maker": "created by", "detail": "found"}
_REASONS = 5
# Values for "no row", "no key" and "any value". With None, a list would show no selected option.
_NO_ROW, _NO_KEY, _ANY = -1, "", ("yes", None)

# A widget has a margin within its grid's cell.
_WITHIN = "calc(100% - 4px)"
# Long names without a space are broken, so that the column of the finding stays visible.
_STYLE = (
    "<style>.iamframe-findings table { width: 100% !important; table-layout: auto; }"
    ".iamframe-findings td:is(:nth-child(5), :nth-child(7)) { overflow-wrap: anywhere; }"
    ".iamframe-findings td:nth-child(5) { min-width: 9em; }"
    ".iamframe-findings td:nth-child(7) { min-width: 13em; }"
    ".iamframe-card td:nth-child(n+3) { overflow-wrap: anywhere; }</style>"
)

# Options of itables, which must be passed at each update. There are no captions and column filters, because both would
# interpret text as markup. The search of itables is left out, because it would search only one page. Every row of the
# page is sent, whatever its size.
_SORTING: dict[str, Any] = {
    "maxBytes": 0,
    "select": "single",
    "showIndex": False,
    "allow_html": False,
    "layout": {"topStart": None, "topEnd": None, "bottomStart": None, "bottomEnd": "paging"},
    "pageLength": 12,
    "order": [],
    "classes": "display compact",
    "style": "table-layout:auto;width:100%",
}


def explore(
    source: Inventory | Result,
    policy: PolicySource = None,
    folder: str | os.PathLike[str] = "iamframe-export",
) -> Explorer:
    """Return widgets that filter, count, show and export findings in a notebook.

    Parameters
    ----------
    source
        An inventory, or a result of `run_checks`. For an inventory, the checks run first.
    policy
        An iamframe policy file, as for `run_checks`. It is used only if `source` is an inventory.
    folder
        The folder into which the explorer writes exports. In the explorer, the user can choose another folder for
        exports.

    Returns
    -------
    Explorer
        Later notebook cells can use the explorer's attributes `filter` and `findings`. The attribute `findings`
        contains the findings that match the current filter. The explorer makes no requests to AWS. The functions of
        `iamframe.exploring` need no widgets.

    Raises
    ------
    MissingExtraError
        If ipywidgets is not installed.
    PolicyError
        If a policy file cannot be read, or is not valid.
    """
    require("explore", source, Inventory, Result, instead="what `iamframe.load` or `iamframe.run_checks` gives")
    return Explorer(source if isinstance(source, Result) else run_checks(source, policy=policy), folder)


class Filters:
    def __init__(self, result: Result) -> None:
        self.result = result
        self._kit = kit = optional("ipywidgets", "notebooks")
        # While code sets the widgets, changes do not start a new search.
        self._held = False
        accounts = result.inventory.accounts
        names = zip(accounts["account_id"], accounts["account_name"].fillna(""), strict=True)
        makers = sorted(result.findings["maker"].dropna().unique())
        self.accounts = self._several([(f"{one} {name}".strip(), one) for one, name in names])
        self.checks, self.severities, self.makers = (
            self._several([(name, name) for name in values])
            for values in (result.checks, SEVERITIES, (exploring.NO_MAKER, *makers))
        )
        self.path = kit.Combobox(
            placeholder="/service-role/, team/a, or / alone",
            options=exploring.paths(result, result.findings),
            ensure_option=False,
            continuous_update=False,
        )
        keys = [(spell_out(key), key) for key in exploring.tag_keys(result, result.findings)]
        self.tag_key = kit.Dropdown(options=[("any", _NO_KEY), *keys])
        self.tag_value = kit.Dropdown(options=[("any", _ANY)])
        self.text = kit.Text(placeholder="name, ARN, words …")
        self.clear = kit.Button(description="Clear all filters", icon="times")
        self.group_by = kit.Dropdown(options=[("nothing", _NO_KEY), *keys])
        self.count_label = kit.Label(layout={"flex": "0 0 auto"})

    @property
    def wanted(self) -> Filter:
        tagged, value = self.tag_value.value
        accounts, checks, severities, makers = (one.value for one in self._lists)
        key = self.tag_key.value or None
        return Filter(accounts, checks, severities, makers, self.path.value, key, value, tagged, self.text.value)

    @property
    def _lists(self) -> tuple[Any, ...]:
        return (self.accounts, self.checks, self.severities, self.makers)

    def _several(self, options: list[tuple[str, str]]) -> Any:
        return self._kit.SelectMultiple(options=options, rows=min(max(len(options), 2), 6), layout={"width": _WITHIN})

    @contextmanager
    def _hold(self) -> Iterator[None]:
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def _empty(self) -> None:
        with self._hold():
            for one in self._lists:
                one.value = ()
            self.path.value = self.text.value = ""
            self.tag_key.value = _NO_KEY
        self._fill_tag_values()

    def _fill_tag_values(self) -> None:
        key = self.tag_key.value
        # A pair of tag state and tag value per option, because a tag value may be a text such as "any".
        options: list[tuple[str, tuple[str, str | None]]] = [("any", _ANY)]
        if key != _NO_KEY:
            options += [("not tagged with it", ("no", None)), ("unknown: tags not collected", ("unknown", None))]
            values = exploring.tag_values(self.result, self.result.findings, key)
            options += [(spell_out(value) or "(empty)", ("yes", value)) for value in values]
        with self._hold():
            self.tag_value.options = options

    def _filters_laid_out(self) -> list[Any]:
        kit, named = self._kit, self._named
        several = {
            "Severity": self.severities,
            "Check": self.checks,
            "Account": self.accounts,
            "Created by": self.makers,
        }
        single = {"Search": self.text, "Path": self.path, "Tag key": self.tag_key, "Tag value": self.tag_value}
        hint = kit.Label("Hold Ctrl or ⌘ to choose several. No choice means all.")
        return [
            self._grid(*(named(word, one) for word, one in several.items())),
            self._grid(*(named(word, one) for word, one in single.items())),
            kit.HBox([self.count_label, self.clear, hint], layout={"flex_flow": "row wrap", "grid_gap": "0 12px"}),
        ]

    def _named(self, words: str, widget: Any) -> Any:
        # A screen reader reads the title.
        widget.tooltip = words
        return self._kit.VBox([self._kit.Label(words), widget], layout={"overflow": "hidden"})

    def _grid(self, *children: Any) -> Any:
        # The grid has as many columns as fit: a notebook may be only half a screen wide.
        columns = "repeat(auto-fit, minmax(12em, 1fr))"
        layout = {
            "grid_template_columns": columns,
            "grid_gap": "2px 12px",
            "width": "100%",
            "align_items": "flex-start",
        }
        return self._kit.GridBox(list(children), layout=layout)


class Explorer(Filters):
    """Widgets that filter, count, show and export findings in a notebook."""

    def __init__(self, result: Result, folder: str | os.PathLike[str] = "iamframe-export") -> None:
        super().__init__(result)
        self.filter = Filter()
        self.findings = result.findings
        self._start = 0
        kit = self._kit
        # Content wider than the cell is scrolled, not cut.
        shown = [kit.Output(layout={"max_width": "100%", "overflow": "auto"}) for _ in range(6)]
        self.unseen, self.undecided, self.counted, self.grouped, self.card, self.exported = shown
        self.previous = kit.Button(description="Previous page", icon="chevron-left")
        self.next = kit.Button(description="Next page", icon="chevron-right")
        self.rows_label = kit.Label()
        self.table = _sorting_table() or kit.Output()
        self.row = kit.Dropdown(options=[("choose a finding", _NO_ROW)])
        self.folder = kit.Text(value=os.fspath(folder))
        self.export = kit.Button(description="Export these findings", icon="download", button_style="primary")
        self.mask = kit.Checkbox(value=False, description="Mask ids", indent=False)
        self._listen()
        self.box = self._laid_out()
        self._filter()

    def __repr__(self) -> str:
        return f"Explorer({len(self.findings):,} of {pluralize(len(self.result.findings), 'finding')})"

    def _repr_mimebundle_(self, **how: Any) -> Any:
        bundle = self.box._repr_mimebundle_(**how)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        data["text/plain"] = repr(self)
        return bundle

    @property
    def _sorts(self) -> bool:
        return bool(self.table.has_trait("selected_rows"))

    @property
    def _size(self) -> int:
        return SORTED_ROWS if self._sorts else PLAIN_ROWS

    def _listen(self) -> None:
        for one in (*self._lists, self.path, self.tag_key, self.tag_value, self.text):
            one.observe(self._changed, "value")
        self.group_by.observe(lambda _: self._group(), "value")
        self.row.observe(lambda _: self._choose(), "value")
        if self._sorts:
            self.table.observe(self._pick, "selected_rows")
        self.previous.on_click(lambda _: self._page(self._start - self._size))
        self.next.on_click(lambda _: self._page(self._start + self._size))
        self.clear.on_click(lambda _: self._clear())
        self.export.on_click(lambda _: self._export())

    def _laid_out(self) -> Any:
        kit = self._kit
        for one in (self.path, self.tag_key, self.tag_value, self.text, self.group_by, self.row, self.folder):
            one.layout.width = _WITHIN
        for one in (self.clear, self.export, self.mask):
            one.layout.width = "14em"
        scrolled = {} if self._sorts else {"max_height": "30em", "overflow": "auto", "border": "1px solid #ccc"}
        rows = kit.VBox([kit.HTML(_STYLE), self.table], layout={"overflow": "auto"} | scrolled)
        rows.add_class("iamframe-findings")
        details, folder = self._named("Details of", self.row), self._named("Export folder", self.folder)
        turning = kit.HBox([self.previous, self.next, self.rows_label])
        # The card is beside the rows if both fit, else below them.
        self.card.add_class("iamframe-card")
        left = kit.VBox([rows, turning], layout={"flex": "5 1 64em", "min_width": "0"})
        right = kit.VBox([details, self.card], layout={"flex": "2 1 20em", "min_width": "0"})
        parts = [
            *self._filters_laid_out(),
            kit.Box([left, right], layout={"flex_flow": "row wrap", "grid_gap": "12px", "align_items": "flex-start"}),
            self.undecided,
            self.unseen,
            self.counted,
            self._grid(self._named("Group by tag", self.group_by), folder, kit.VBox([self.mask, self.export])),
            self.exported,
            self.grouped,
        ]
        return kit.VBox(parts, layout={"width": "100%"})

    # Actions

    def _changed(self, change: Any) -> None:
        if self._held:
            return
        if change["owner"] is self.tag_key:
            self._fill_tag_values()
        self._filter()

    def _filter(self) -> None:
        self.filter = self.wanted
        chosen = exploring.Selection(self.result, self.filter)
        self.findings = chosen.findings
        _show(self.undecided, _lines([exploring.undecided_text(len(chosen.undecided))]))
        _show(self.unseen, _unseen(incomplete_reasons(chosen.not_complete), len(chosen.undecided)))
        _show(self.counted, _counted(chosen))
        self._group()
        self._page(0)
        # This is set last, so that all other widgets are up to date when it changes.
        self.count_label.value = f"{len(self.findings):,} of {pluralize(len(self.result.findings), 'finding')}"

    def _clear(self) -> None:
        self._empty()
        self._filter()

    def _group(self) -> None:
        key = self.group_by.value
        rows = None if key == _NO_KEY else exploring.grouped(self.result, self.findings, key)
        _show(self.grouped, "" if rows is None else _by_tag(rows, spell_out(key)))

    def _page(self, start: int) -> None:
        self._start, total = start, len(self.findings)
        rows = self.findings.iloc[start : start + self._size]
        end = start + len(rows)
        self.previous.disabled, self.next.disabled = start == 0, end >= total
        for turn in (self.previous, self.next):
            turn.layout.display = None if total > self._size else "none"
        self.rows_label.value = f"rows {start + 1:,} to {end:,} of {total:,}" if total else "no row"
        numbers = range(start + 1, end + 1)
        frame = _displayed(rows).assign(row=list(numbers)).reset_index(drop=True)[["row", *_COLUMNS.values()]]
        names = [
            (" · ".join(filter(None, (f"{number:,}", check, name))), label)
            for number, check, name, label in zip(
                numbers, rows["check"], rows["resource_name"].fillna(""), rows.index.tolist(), strict=True
            )
        ]
        chosen = self.row.value
        with self._hold():
            if self._sorts:
                self.table.update(frame, selected_rows=[], **_SORTING)
            else:
                _show(self.table, display.html_table(list(frame.columns), display.cell_rows(frame)))
            self.row.options = [("choose a finding", _NO_ROW), *names]
            self.row.value = chosen if chosen in rows.index else _NO_ROW
        self._choose()

    def _pick(self, change: Any) -> None:
        if not self._held and change["new"]:
            self.row.index = change["new"][0] + 1

    def _choose(self) -> None:
        if self._held:
            return
        is_chosen = self.row.value != _NO_ROW
        if is_chosen and self._sorts:
            with self._hold():
                self.table.selected_rows = [self.row.index - 1]
        _show(self.card, exploring.card(self.result, self.row.value)._repr_html_() if is_chosen else "")

    def _export(self) -> None:
        try:
            page = exploring.export(self.result, self.filter, self.folder.value, mask=self.mask.value)
        except IamframeError as error:
            said = str(error)
        else:
            said = f"{pluralize(len(self.findings), 'finding')} in {page} and {page.with_name('findings.csv')}"
        _show(self.exported, _lines([said]))


# Output


def _unseen(reasons: list[tuple[str, str, str]], undecided: int) -> str:
    if not reasons:
        said = ", but more findings may match." if undecided else ": no finding means that there is none."
        return _lines([f"All these checks had complete data in these accounts{said}"])
    words = "Some of these checks are incomplete: no finding does not mean that there is none."
    more = len(reasons) - _REASONS
    rest = [f"and {pluralize(more, 'more reason')}, in .result.coverage"] if more > 0 else []
    table = display.html_table(("incomplete checks", "accounts", "why"), reasons[:_REASONS])
    return _folded(f"{words} Why?", table + _lines(rest))


def _folded(words: str, html: str) -> str:
    return f"<details><summary style='margin:.3em 0'>{words}</summary>{html}</details>"


def _counted(chosen: exploring.Selection) -> str:
    rows = chosen.count(chosen.findings)
    quiet = (rows["findings"] == 0) & (rows["complete"] > 0) & (rows["partial"] + rows["unknown"] == 0)
    quiet &= ~rows["check"].isin(chosen.undecided["check"])
    head = ("check", "findings", *SEVERITIES, *(f"accounts {status}" for status in STATUSES))
    total = ["all", *(int(rows[name].sum()) for name in ("findings", *SEVERITIES))]
    body = [*display.cell_rows(rows[~quiet]), [*total, None, None, None]]
    none = ", ".join(rows["check"][quiet])
    rest = _lines([f"No findings, and complete in every account: {none}"] if none else [])
    return _folded("Findings by check and severity", display.html_table(head, body) + rest)


def _by_tag(rows: pd.DataFrame, key: str) -> str:
    words = {"no": "(not tagged with it)", "unknown": "(tags not collected)"}
    states = zip(rows["tag_value"], rows["tagged"], strict=True)
    named = [words.get(tagged) or (spell_out(value) or "(empty)") for value, tagged in states]
    body = display.cell_rows(rows[["findings", *SEVERITIES]].assign(name=named)[["name", "findings", *SEVERITIES]])
    caption = f"Findings by the tag {key}; a finding with two values counts for both"
    return display.html_table((key, "findings", *SEVERITIES), body, caption=caption)


def _sorting_table() -> Any:
    try:
        from itables.widget import ITable
    except ImportError:
        return None
    return ITable(pd.DataFrame(columns=["row", *_COLUMNS.values()]), **_SORTING)


def _displayed(findings: pd.DataFrame) -> pd.DataFrame:
    marks = pd.Series("", index=findings.index).mask(findings["expected"], " (expected)")
    marks = marks.mask(findings["accepted"].notna(), " (accepted)")
    severity = findings["severity"] + marks
    return findings.assign(severity=severity)[list(_COLUMNS)].rename(columns=_COLUMNS).fillna("").astype(object)


def _lines(texts: Iterable[str]) -> str:
    return "".join(display.html_line(text) for text in texts if text)


def _show(output: Any, html: str) -> None:
    """Show HTML. The caller must escape all text in the HTML."""
    # Setting `outputs` prints nothing in the running cell.
    data = {"text/html": html, "text/plain": ""}
    output.outputs = ({"output_type": "display_data", "data": data, "metadata": {}},) if html else ()

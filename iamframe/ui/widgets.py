"""The explorer of a notebook: widgets over the plain functions of `iamframe.exploring`, and no logic of their own.

Text from AWS reaches no widget that interprets it: options of lists are text, tables are escaped HTML in which nothing
is taken for mathematics, and labels, which take dollars for mathematics, hold words of iamframe's own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pandas as pd

from iamframe.checks import Result, run_checks
from iamframe.checks.registry import STATUSES
from iamframe.checks.result import said_not_complete
from iamframe.checks.tag_policy import PolicySource
from iamframe.errors import IamframeError, missing_extra, require
from iamframe.inventory import display
from iamframe.inventory.inventory import Inventory
from iamframe.messages.text import SEVERITIES, pluralize, spell_out
from iamframe.ui import exploring
from iamframe.ui.exploring import Filter

# Rows of one page of the table: as many as a browser draws at once, or as a sorting table can hold at once.
PLAIN_ROWS, SORTED_ROWS = 100, 500
_COLUMNS = {
    "severity": "severity",
    "check": "check",
    "account_id": "account",
    "resource_name": "name",
    "maker": "maker",
    "detail": "found",
}
_REASONS = 5
# What no row, no key and no state of a value is; None would leave a list without a mark.
_NO_ROW, _NO_KEY, _ANY = -1, "", ("yes", None)


def explore(
    source: Inventory | Result,
    policy: PolicySource = None,
    folder: str | os.PathLike[str] = "iamframe-export",
) -> Explorer:
    """Return an explorer of the findings, which a notebook's cell shows: filters, counts, a table, a card, an export.

    Parameters
    ----------
    source
        What was read, or a result of `run_checks`, which is shown as it is.
    policy
        A tag policy file, as for `run_checks`; for an inventory.
    folder
        Where `Export` writes to, unless another folder is named there.

    Returns
    -------
    Explorer
        Its `filter` and `findings` are what is shown, for the cells that follow. No request is made to AWS. All that it
        shows is also there without widgets, in `iamframe.exploring`.

    Raises
    ------
    MissingExtraError
        If ipywidgets is not installed.
    PolicyError
        If the policy file cannot be understood.
    """
    require("explore", source, Inventory, Result, instead="what `iamframe.load` or `iamframe.run_checks` gives")
    return Explorer(source if isinstance(source, Result) else run_checks(source, policy=policy), folder)


class Explorer:
    """Findings to be filtered, counted, looked at one by one, and exported, in a notebook's cell."""

    def __init__(self, result: Result, folder: str | os.PathLike[str] = "iamframe-export") -> None:
        try:
            import ipywidgets
        except ImportError as error:
            raise missing_extra("ipywidgets", "notebooks") from error
        self.result = result
        self.filter = Filter()
        self.findings = result.findings
        self._start = 0
        self._held = False
        self._kit: Any = ipywidgets
        self._build(os.fspath(folder))
        self._keys()
        self._filter()

    def __repr__(self) -> str:
        """Return how many findings are shown, in one line."""
        return f"Explorer({len(self.findings):,} of {pluralize(len(self.result.findings), 'finding')})"

    def _repr_mimebundle_(self, **how: Any) -> Any:
        """Return what a notebook shows: the widgets, and a line of text where there are none."""
        bundle = self.box._repr_mimebundle_(**how)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        data["text/plain"] = repr(self)
        return bundle

    # What is there

    def _build(self, folder: str) -> None:
        self._build_filters()
        self._build_findings()
        self._build_export(folder)
        self._listen()
        self.box = self._laid_out()

    def _build_filters(self) -> None:
        kit, findings = self._kit, self.result.findings
        accounts = self.result.inventory.accounts
        names = accounts["account_name"].fillna("")
        self.accounts = self._several(
            [(f"{one} {name}".strip(), one) for one, name in zip(accounts["account_id"], names, strict=True)],
        )
        self.checks = self._several([(name, name) for name in self.result.checks])
        self.severities = self._several([(name, name) for name in SEVERITIES])
        makers = sorted(findings["maker"].dropna().unique())
        self.makers = self._several([(name, name) for name in (exploring.NO_MAKER, *makers)])
        self.path = kit.Combobox(
            placeholder="/service-role/, team/a, or / for the bare one",
            options=exploring.paths(self.result, findings),
            ensure_option=False,
            continuous_update=False,
        )
        self.tag_key = kit.Dropdown(options=[("any", _NO_KEY)])
        self.tag_value = kit.Dropdown(options=[("any value", _ANY)])
        self.text = kit.Text(placeholder="words that all stand in the row")
        self.clear = kit.Button(description="Clear all filters", icon="times")
        self.said = kit.Label()

    def _several(self, options: list[tuple[str, str]]) -> Any:
        return self._kit.SelectMultiple(options=options, rows=min(max(len(options), 2), 6), layout={"width": _WITHIN})

    def _build_findings(self) -> None:
        kit = self._kit
        self.group_by = kit.Dropdown(options=[("nothing", _NO_KEY)])
        self.unseen, self.undecided, self.counted, self.grouped, self.card = (kit.Output() for _ in range(5))
        self.previous = kit.Button(description="Previous page", icon="chevron-left")
        self.next = kit.Button(description="Next page", icon="chevron-right")
        self.rows_said = kit.Label()
        self.table = _sorting_table() or kit.Output()
        self.row = kit.Dropdown(options=[("choose a row", _NO_ROW)])

    def _build_export(self, folder: str) -> None:
        kit = self._kit
        self.folder = kit.Text(value=folder)
        self.export = kit.Button(description="Export these findings", icon="download", button_style="primary")
        self.mask = kit.Checkbox(value=False, description="with pseudonyms for ids", indent=False)
        self.exported = kit.Output()

    @property
    def _lists(self) -> tuple[Any, ...]:
        return (self.accounts, self.checks, self.severities, self.makers)

    def _listen(self) -> None:
        for one in (*self._lists, self.path, self.tag_key, self.tag_value, self.text):
            one.observe(self._changed, "value")
        self.group_by.observe(lambda _: self._group(), "value")
        self.row.observe(lambda _: self._choose(), "value")
        self.previous.on_click(lambda _: self._turn(-1))
        self.next.on_click(lambda _: self._turn(1))
        self.clear.on_click(lambda _: self._clear())
        self.export.on_click(lambda _: self._export())
        if self._sorts:
            self.table.observe(self._pick, "selected_rows")

    def _laid_out(self) -> Any:
        kit = self._kit
        for one in (self.path, self.tag_key, self.tag_value, self.text, self.group_by, self.row, self.folder):
            one.layout.width = _WITHIN
        for one in (self.clear, self.export, self.mask):
            one.layout.width = "14em"
        scrolled = {} if self._sorts else {"max_height": "30em", "overflow": "auto", "border": "1px solid #ccc"}
        rows = kit.VBox([kit.HTML(_STYLE), self.table], layout=scrolled)
        rows.add_class("iamframe-findings")
        return kit.VBox(
            [
                *self._filters_laid_out(),
                self.undecided,
                self.unseen,
                kit.Box([self.counted, self.grouped], layout={"flex_flow": "row wrap", "align_items": "flex-start"}),
                kit.HBox([self.previous, self.next, self.rows_said]),
                rows,
                self._grid(
                    "8fr 3fr 3fr",
                    self._named("Card of", self.row),
                    self._named("Export into the folder", self.folder),
                    kit.VBox([self.mask, self.export]),
                    align="flex-end",
                ),
                self.exported,
                self.card,
            ],
            layout={"width": "100%"},
        )

    def _filters_laid_out(self) -> list[Any]:
        kit, named = self._kit, self._named
        words = ("Accounts (none marked: all)", "Checks", "Severities", "Makers")
        return [
            self._grid("4fr 4fr 2fr 4fr", *(named(word, one) for word, one in zip(words, self._lists, strict=True))),
            self._grid(
                "4fr 4fr 3fr 3fr",
                named("Text", self.text),
                named("Path of a side", self.path),
                named("Tag of a side", self.tag_key),
                named("Its value", self.tag_value),
            ),
            self._grid(
                "4fr 10fr",
                named("Who owns what: group by the tag", self.group_by),
                kit.VBox([kit.Label("Shown"), kit.HBox([self.said, self.clear])]),
            ),
        ]

    def _named(self, words: str, widget: Any) -> Any:
        # A screen reader reads the title.
        widget.tooltip = words
        return self._kit.VBox([self._kit.Label(words), widget], layout={"overflow": "hidden"})

    def _grid(self, columns: str, *children: Any, align: str = "flex-start") -> Any:
        kit = self._kit
        layout = kit.Layout(grid_template_columns=columns, grid_gap="2px 12px", width="100%", align_items=align)
        return kit.GridBox(list(children), layout=layout)

    @property
    def _sorts(self) -> bool:
        return bool(self.table.has_trait("selected_rows"))

    # What is done

    def _changed(self, change: Any) -> None:
        if self._held:
            return
        if change["owner"] is self.tag_key:
            self._values()
        self._filter()

    def _keys(self) -> None:
        keys = [(spell_out(key), key) for key in exploring.tag_keys(self.result, self.result.findings)]
        self.tag_key.options = [("any", _NO_KEY), *keys]
        self.group_by.options = [("nothing", _NO_KEY), *keys]

    def _values(self) -> None:
        """Offer the values of the tag that was chosen; each is told from the words beside it by what it stands for."""
        key = self.tag_key.value
        options: list[tuple[str, tuple[str, str | None]]] = [("any value", _ANY)]
        if key != _NO_KEY:
            options += [("not tagged with it", ("no", None)), ("not known: tags not read", ("unknown", None))]
            values = exploring.tag_values(self.result, self.result.findings, key)
            options += [(spell_out(value) or "(empty)", ("yes", value)) for value in values]
        self._held = True
        self.tag_value.options = options
        self._held = False

    def _filter(self) -> None:
        tagged, value = self.tag_value.value
        self.filter = Filter(
            self.accounts.value,
            self.checks.value,
            self.severities.value,
            self.makers.value,
            self.path.value,
            self.tag_key.value or None,
            value,
            tagged,
            self.text.value,
        )
        self.findings, undecided = exploring.judged(self.result, self.filter)
        _show(self.undecided, _lines([exploring.said_undecided(len(undecided))]))
        self._say_unseen()
        rows = exploring.counts(self.result, self.findings, self.filter)
        # What is neither found nor left open needs no row.
        quiet = (rows["findings"] == 0) & (rows["complete"] > 0) & (rows["partial"] + rows["unknown"] == 0)
        quiet &= ~rows["check"].isin(undecided["check"])
        head = ("check", "findings", *SEVERITIES, *(f"accounts {status}" for status in STATUSES))
        total = ["all", *(int(rows[name].sum()) for name in ("findings", *SEVERITIES))]
        body = [*display.cell_rows(rows[~quiet]), [*total, None, None, None]]
        none = ", ".join(rows["check"][quiet])
        _show(
            self.counted,
            display.html_table(head, body, caption="Findings by check and severity")
            + _lines([f"None with this filter, and complete in every account: {none}"] if none else []),
        )
        self._group()
        self._start = 0
        self._page()
        # Last, so that whoever reads it finds all the rest as it says.
        self.said.value = f"{len(self.findings):,} of {pluralize(len(self.result.findings), 'finding')}"

    def _say_unseen(self) -> None:
        told = said_not_complete(exploring.not_complete(self.result, self.filter))
        if not told:
            words = "Every check saw all that it needs of these accounts: no finding means that there is none."
            _show(self.unseen, _lines([words]))
            return
        words = "Not all could be seen: of these checks and accounts, no finding does not mean that there is none."
        more = (
            [f"and {pluralize(len(told) - _REASONS, 'more reason')}, in .result.coverage"]
            if len(told) > _REASONS
            else []
        )
        table = display.html_table(("not complete", "accounts", "why"), told[:_REASONS])
        _show(self.unseen, _lines([words]) + table + _lines(more))

    def _group(self) -> None:
        key = self.group_by.value
        if key == _NO_KEY:
            _show(self.grouped, "")
            return
        rows = exploring.grouped(self.result, self.findings, key)
        words = {"no": "(not tagged with it)", "unknown": "(tags not read)"}
        named = [
            words.get(tagged) or (spell_out(value) or "(empty)")
            for value, tagged in zip(rows["tag_value"], rows["tagged"], strict=True)
        ]
        body = display.cell_rows(rows[["findings", *SEVERITIES]].assign(name=named)[["name", "findings", *SEVERITIES]])
        caption = f"Findings by the tag {spell_out(key)}; one whose sides carry two values counts twice"
        _show(self.grouped, display.html_table((spell_out(key), "findings", *SEVERITIES), body, caption=caption))

    def _turn(self, by: int) -> None:
        self._start += by * self._size
        self._page()

    @property
    def _size(self) -> int:
        return SORTED_ROWS if self._sorts else PLAIN_ROWS

    def _page(self) -> None:
        """Show one page of the findings that are left, and offer them for the card."""
        start, total = self._start, len(self.findings)
        rows = self.findings.iloc[start : start + self._size]
        self.previous.disabled, self.next.disabled = start == 0, start + len(rows) >= total
        for turn in (self.previous, self.next):
            turn.layout.display = None if total > self._size else "none"
        self.rows_said.value = f"rows {start + 1:,} to {start + len(rows):,} of {total:,}" if total else "no row"
        numbers = range(start + 1, start + len(rows) + 1)
        frame = _displayed(rows).assign(row=list(numbers)).reset_index(drop=True)[["row", *_COLUMNS.values()]]
        chosen = self.row.value
        self._held = True
        if self._sorts:
            self.table.update(frame, selected_rows=[], **_SORTING)
        else:
            _show(self.table, display.html_table(list(frame.columns), display.cell_rows(frame)))
        labels = zip(numbers, rows["check"], rows["resource_name"].fillna(""), strict=True)
        names = [" · ".join(filter(None, (f"{number:,}", check, name))) for number, check, name in labels]
        self.row.options = [("choose a row", _NO_ROW), *zip(names, rows.index.tolist(), strict=True)]
        self.row.value = chosen if chosen in rows.index else _NO_ROW
        self._held = False
        self._choose()

    def _pick(self, change: Any) -> None:
        """Choose the row that was marked in the table."""
        if not self._held and change["new"]:
            self.row.index = change["new"][0] + 1

    def _choose(self) -> None:
        if self._held:
            return
        if self.row.value == _NO_ROW:
            _show(self.card, "")
            return
        if self._sorts:
            self._held = True
            self.table.selected_rows = [self.row.index - 1]
            self._held = False
        _show(self.card, exploring.card(self.result, self.row.value)._repr_html_())

    def _clear(self) -> None:
        self._held = True
        for one in self._lists:
            one.value = ()
        self.path.value = self.text.value = ""
        self.tag_key.value = _NO_KEY
        self._held = False
        self._values()
        self._filter()

    def _export(self) -> None:
        try:
            page = exploring.export(self.result, self.filter, self.folder.value, mask=self.mask.value)
        except IamframeError as error:
            said = str(error)
        else:
            said = f"{pluralize(len(self.findings), 'finding')} in {page} and {page.with_name('findings.csv')}"
        _show(self.exported, _lines([said]))


# A widget has a margin within its grid's cell.
_WITHIN = "calc(100% - 4px)"
# Names without a space are as long as AWS lets them be: they break, so that what was found is not pushed out of sight.
_STYLE = (
    "<style>.iamframe-findings table { width: 100% !important; table-layout: auto; }"
    ".iamframe-findings td:is(:nth-child(5), :nth-child(7)) { overflow-wrap: anywhere; }"
    ".iamframe-findings td:nth-child(5) { min-width: 12em; }"
    ".iamframe-findings td:nth-child(7) { min-width: 16em; }</style>"
)

# What itables is told each time, since it forgets. No caption and no column filters: they would take text for markup.
# Its own search is left out: it would look through one page alone. Every row of the page is sent, whatever it holds.
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


def _sorting_table() -> Any:
    """Return itables' widget, in which rows can be sorted and marked, or None where it is not installed."""
    try:
        from itables.widget import ITable
    except ImportError:
        return None
    return ITable(pd.DataFrame(columns=["row", *_COLUMNS.values()]), **_SORTING)


def _displayed(findings: pd.DataFrame) -> pd.DataFrame:
    """Return findings as a table shows them: few columns, all text, what nobody has to act on marked."""
    marks = pd.Series("", index=findings.index).mask(findings["expected"], " (expected)")
    marks = marks.mask(findings["accepted"].notna(), " (accepted)")
    severity = findings["severity"] + marks
    return findings.assign(severity=severity)[list(_COLUMNS)].rename(columns=_COLUMNS).fillna("").astype(object)


def _lines(texts: Iterable[str]) -> str:
    return "".join(display.html_line(text) for text in texts if text)


def _show(output: Any, html: str) -> None:
    """Put escaped HTML, or nothing, where it can be seen; the cell that asked for it prints nothing."""
    data = {"text/html": html, "text/plain": ""}
    output.outputs = ({"output_type": "display_data", "data": data, "metadata": {}},) if html else ()

"""The explorer: each click shows what the plain functions give; in a real JupyterLab, offline, text stays text."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from builders import ACCOUNT, dump, identity, load, nested_role, profile, profile_list, role_detail, write
from conftest import needed
from labs import environment, serving
from pages import HOSTILE, hostile_documents
from playwright.sync_api import Browser, Locator, Page, expect

import iamframe
from iamframe.errors import MissingExtraError, PolicyError
from iamframe.inventory.export import unguarded
from iamframe.ui import exploring, widgets
from iamframe.ui.exploring import Filter
from iamframe.ui.widgets import Explorer

WEB = nested_role("web-role", "/team/a/")
DOCUMENTS = {
    "identity.json": identity(),
    "aliases.json": {"AccountAliases": ["shop"]},
    "dump.json": dump(role_detail("web-role", [profile("web")], {"Owner": "ops"}, path="/team/a/")),
    "left.json": {"InstanceProfile": profile("left", path="/cloud9/") | {"Tags": []}},
    "profiles.json": profile_list(
        profile("web", WEB), profile("left", path="/cloud9/"), profile("half", nested_role("half-role"))
    ),
}
with_itables = pytest.mark.skipif(not find_spec("anywidget"), reason="pip install 'iamframe[notebooks]'")


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which itables' widget cannot be loaded."""
    monkeypatch.setitem(sys.modules, "itables.widget", None)


@pytest.fixture(params=[pytest.param("plain", id="plain"), pytest.param("itables", marks=with_itables)])
def explorer(request: pytest.FixtureRequest, tmp_path: Path) -> Explorer:
    needed(find_spec("ipywidgets"), "ipywidgets", "pip install 'iamframe[notebooks]'")
    if request.param == "plain":
        request.getfixturevalue("plain")
    one = iamframe.explore(load(tmp_path / "account", DOCUMENTS), folder=tmp_path / "out")
    assert one.table.has_trait("selected_rows") is (request.param == "itables")
    return one


class Cells(HTMLParser):
    """The rows of cells in some HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def html(output: Any) -> str:
    return "".join(one["data"]["text/html"] for one in output.outputs)


def shown(explorer: Explorer) -> list[tuple[str, str]]:
    """Check and name of the rows in the table."""
    if explorer.table.has_trait("selected_rows"):
        return list(explorer.table.df[["check", "name"]].itertuples(index=False, name=None))
    return [(row[2], row[4]) for row in Cells(html(explorer.table)).rows[1:]]


EMPTY, UNTAGGED = ("empty_profiles", "left"), ("untagged_profiles", "left")
HALF, WEB_NAMES, WEB_PATHS = ("name_mismatches", "half"), ("name_mismatches", "web"), ("path_mismatches", "web")


def test_all_findings_are_there_at_first(explorer: Explorer) -> None:
    assert shown(explorer) == [EMPTY, UNTAGGED, HALF, WEB_NAMES, WEB_PATHS]
    assert repr(explorer) == "Explorer(5 of 5 findings)"
    assert explorer.said.value == "5 of 5 findings"
    assert explorer.rows_said.value == "rows 1 to 5 of 5"
    assert explorer.accounts.options == ((f"{ACCOUNT} shop", ACCOUNT),)


@pytest.mark.parametrize(
    ("widget", "value", "left"),
    [
        ("checks", ("path_mismatches", "empty_profiles"), [EMPTY, WEB_PATHS]),
        ("severities", ("medium",), [EMPTY, UNTAGGED]),
        ("accounts", (ACCOUNT,), [EMPTY, UNTAGGED, HALF, WEB_NAMES, WEB_PATHS]),
        ("makers", (exploring.NO_MAKER,), [EMPTY, UNTAGGED, HALF, WEB_NAMES, WEB_PATHS]),
        ("path", "/cloud9/", [EMPTY, UNTAGGED]),
        ("tag_key", "Owner", [WEB_NAMES, WEB_PATHS]),
        ("text", "half", [HALF]),
    ],
)
def test_each_filter_leaves_what_it_says_and_is_cleared(
    explorer: Explorer, widget: str, value: object, left: list[tuple[str, str]]
) -> None:
    getattr(explorer, widget).value = value
    assert shown(explorer) == left
    pd.testing.assert_frame_equal(explorer.findings, exploring.filtered(explorer.result, explorer.filter))
    explorer.clear.click()
    assert len(shown(explorer)) == 5
    assert explorer.filter == Filter()


def test_the_values_of_a_tag_are_offered_with_those_that_lack_it_and_those_not_read(explorer: Explorer) -> None:
    explorer.tag_key.value = "Owner"
    assert [label for label, _ in explorer.tag_value.options] == [
        "any value",
        "not tagged with it",
        "not known: tags not read",
        "ops",
    ]
    for index, left in ((1, [EMPTY, UNTAGGED]), (2, [HALF]), (3, [WEB_NAMES, WEB_PATHS])):
        explorer.tag_value.index = index
        assert shown(explorer) == left
    assert Cells(html(explorer.undecided)).rows == []
    assert "1 finding more is of resources whose path or tags were not read" in html(explorer.undecided)
    explorer.tag_key.value = ""
    assert explorer.tag_value.options == (("any value", ("yes", None)),)
    assert len(shown(explorer)) == 5


def test_counts_follow_and_tell_how_many_accounts_were_seen(explorer: Explorer) -> None:
    explorer.checks.value = ("untagged_profiles", "name_mismatches")
    assert Cells(html(explorer.counted)).rows[1:] == [
        ["untagged_profiles", "1", "0", "1", "0", "0", "0", "1", "0"],
        ["name_mismatches", "2", "0", "0", "2", "0", "1", "0", "0"],
        ["all", "3", "0", "1", "2", "0", "", "", ""],
    ]


def test_a_check_that_found_nothing_and_saw_all_takes_no_row(explorer: Explorer) -> None:
    explorer.checks.value = ("untagged_roles", "untagged_profiles", "name_mismatches")
    explorer.text.value = "nothing like it"
    rows = Cells(html(explorer.counted)).rows[1:]
    # Tags of one profile and of one role were not read.
    assert [row[0] for row in rows] == ["untagged_profiles", "untagged_roles", "all"]
    said = "None with this filter, and complete in every account: name_mismatches"
    assert said in html(explorer.counted)
    explorer.text.value = ""
    explorer.tag_key.value = "Owner"
    # Whether half is tagged is not known, so that the filter could not judge.
    assert "name_mismatches" in [row[0] for row in Cells(html(explorer.counted)).rows]


def test_what_could_not_be_seen_is_said_even_where_nothing_is_left(explorer: Explorer) -> None:
    explorer.checks.value = ("untagged_profiles",)
    explorer.text.value = "nothing like it"
    assert shown(explorer) == []
    assert explorer.rows_said.value == "no row"
    assert (explorer.previous.layout.display, explorer.next.layout.display) == ("none", "none")
    assert "no finding does not mean that there is none" in html(explorer.unseen)
    assert Cells(html(explorer.unseen)).rows[1][:2] == ["untagged_profiles (partial)", ACCOUNT]
    explorer.checks.value = ("name_mismatches",)
    assert "no finding means that there is none" in html(explorer.unseen)


def test_who_owns_what_is_counted_for_what_is_left(explorer: Explorer) -> None:
    explorer.group_by.value = "Owner"
    assert [row[:2] for row in Cells(html(explorer.grouped)).rows[1:]] == [
        ["ops", "2"],
        ["(not tagged with it)", "2"],
        ["(tags not read)", "1"],
    ]
    explorer.checks.value = ("path_mismatches",)
    assert [row[:2] for row in Cells(html(explorer.grouped)).rows[1:]] == [["ops", "1"]]


def test_a_row_that_is_chosen_shows_its_card_until_it_is_filtered_away(explorer: Explorer) -> None:
    assert [label for label, _ in explorer.row.options[:2]] == ["choose a row", "1 · empty_profiles · left"]
    explorer.row.index = 5
    assert html(explorer.card) == exploring.card(explorer.result, 4)._repr_html_()
    assert "/team/a/" in html(explorer.card)
    explorer.checks.value = ("path_mismatches",)
    assert explorer.row.label == "1 · path_mismatches · web"
    assert html(explorer.card)
    explorer.checks.value = ("empty_profiles",)
    assert explorer.row.index == 0
    assert html(explorer.card) == ""


@with_itables
def test_a_row_that_is_marked_in_the_table_shows_its_card_and_the_other_way_round(tmp_path: Path) -> None:
    explorer = iamframe.explore(load(tmp_path, DOCUMENTS))
    explorer.table.selected_rows = [2]
    assert explorer.row.label == "3 · name_mismatches · half"
    assert "half-role" in html(explorer.card)
    explorer.row.index = 1
    assert explorer.table.selected_rows == [0]


def test_pages_are_turned_and_a_filter_begins_at_the_first(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widgets, "PLAIN_ROWS", 2)
    monkeypatch.setattr(widgets, "SORTED_ROWS", 2)
    explorer.clear.click()
    assert shown(explorer) == [EMPTY, UNTAGGED]
    assert (explorer.previous.disabled, explorer.next.disabled) == (True, False)
    assert explorer.next.layout.display is None
    explorer.next.click()
    explorer.next.click()
    assert shown(explorer) == [WEB_PATHS]
    assert explorer.rows_said.value == "rows 5 to 5 of 5"
    assert (explorer.previous.disabled, explorer.next.disabled) == (False, True)
    assert explorer.row.options[1][0] == "5 · path_mismatches · web"
    explorer.previous.click()
    assert shown(explorer) == [HALF, WEB_NAMES]
    explorer.severities.value = ("medium", "low")
    assert shown(explorer) == [EMPTY, UNTAGGED]


def exported(folder: Path) -> list[tuple[str, str]]:
    with (folder / "findings.csv").open(encoding="utf-8-sig", newline="") as file:
        return [(unguarded(row["check"]), unguarded(row["resource_name"])) for row in csv.DictReader(file)]


def test_what_is_exported_is_what_is_left(explorer: Explorer, tmp_path: Path) -> None:
    explorer.tag_key.value = "Owner"
    explorer.export.click()
    assert exported(tmp_path / "out") == [WEB_NAMES, WEB_PATHS]
    page = tmp_path / "out" / "findings.html"
    assert f"2 findings in {page}" in html(explorer.exported)


def test_an_export_is_masked_where_it_is_wished(explorer: Explorer, tmp_path: Path) -> None:
    explorer.export.click()
    assert ACCOUNT in (tmp_path / "out" / "findings.csv").read_text("utf-8")
    explorer.mask.value = True
    explorer.export.click()
    assert len(exported(tmp_path / "out")) == 5
    assert ACCOUNT not in "".join(file.read_text("utf-8") for file in (tmp_path / "out").iterdir())


def test_an_export_that_fails_says_why_where_it_was_asked_for(explorer: Explorer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    explorer.folder.value = str(tmp_path / "file")
    explorer.export.click()
    assert "cannot be written to" in html(explorer.exported)


def test_a_result_is_shown_as_it_is_and_an_inventory_is_checked_with_a_policy(tmp_path: Path) -> None:
    inventory = load(tmp_path, DOCUMENTS)
    result = iamframe.run_checks(inventory, only=["empty_profiles"])
    assert iamframe.explore(result).checks.options == (("empty_profiles", "empty_profiles"),)
    with pytest.raises(PolicyError):
        iamframe.explore(inventory, policy=tmp_path / "none.toml")


def test_a_result_without_findings_is_shown_too(explorer: Explorer) -> None:
    nothing = iamframe.explore(replace(explorer.result, findings=explorer.result.findings.head(0)))
    assert (nothing.said.value, nothing.rows_said.value) == ("0 of 0 findings", "no row")


def test_without_ipywidgets_a_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(MissingExtraError, match=r"ipywidgets is not installed: pip install 'iamframe\[notebooks\]'"):
        iamframe.explore(load(tmp_path, DOCUMENTS))


def test_a_terminal_shows_a_line_instead_of_widgets(explorer: Explorer) -> None:
    assert explorer._repr_mimebundle_()["text/plain"] == "Explorer(5 of 5 findings)"


# In JupyterLab


def notebook(folder: Path, *sources: str) -> None:
    cells = [
        {"cell_type": "code", "id": str(n), "metadata": {}, "source": text, "outputs": [], "execution_count": None}
        for n, text in enumerate(sources)
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    document = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (folder / "explorer.ipynb").write_text(json.dumps(document), "utf-8")


def test_a_cell_that_explores_prints_nothing(tmp_path: Path) -> None:
    notebook(
        tmp_path,
        "import iamframe\nexplorer = iamframe.explore(iamframe.load_sample())\nexplorer",
        "explorer.text.value = 'cloud9'\nexplorer.row.index = 1\nexplorer.export.click()",
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env"]
    done = subprocess.run(
        [*command, "explorer.ipynb"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "iamframe-export" / "findings.html").exists()


RUN = """async () => {
  const app = window.jupyterapp, panel = app.shell.currentWidget;
  await panel.context.ready;
  await panel.sessionContext.ready;
  await app.commands.execute("notebook:run-all-cells");
  return panel.content.widgets.flatMap((cell) => cell.model.outputs ? cell.model.outputs.toJSON() : []);
}"""
PLAINLY = "import sys\nsys.modules['itables.widget'] = None\n"


Lab = tuple[str, Path]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The address of a JupyterLab, and the folder that it serves."""
    folder = tmp_path_factory.mktemp("jupyter")
    root = folder / "lab"
    root.mkdir()
    with serving(root, folder) as address:
        yield address, root


@contextmanager
def opened(browser: Browser, lab: Lab, folder: Path, *sources: str) -> Iterator[Page]:
    """A notebook in JupyterLab, its cells run, with no network but this machine; what asks for more fails the test.

    What it writes is beneath the folder.
    """
    address, root = lab
    (folder / "lab").mkdir()
    notebook(folder / "lab", *sources)
    (root / folder.name).symlink_to(folder / "lab")
    said: list[str] = []
    context = browser.new_context(viewport={"width": 1400, "height": 1600})
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.route(lambda url: not url.startswith(address), lambda route: (said.append(route.request.url), route.abort()))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    try:
        page.goto(f"{address}/lab/tree/{folder.name}/explorer.ipynb?reset")
        page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.content?.widgets?.length > 0", timeout=60_000
        )
        outputs = page.evaluate(RUN)
        assert [one for one in outputs if one["output_type"] in ("error", "stream")] == []
        expect(page.get_by_role("button", name="Export these findings")).to_be_visible(timeout=20_000)
        yield page
        assert [one for one in said if not one.startswith(address)] == []
    finally:
        # Its kernel would wait for the end of the server.
        page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        context.close()


def field(page: Page, name: str) -> Locator:
    return page.locator(f"[title='{name}']:is(select, input)")


kinds = pytest.mark.parametrize(
    "first", [pytest.param(PLAINLY, id="plain"), pytest.param("", id="itables", marks=with_itables)]
)


@kinds
def test_the_explorer_is_clicked_through_and_exports_exactly_what_it_shows(
    browser: Browser, lab: Lab, tmp_path: Path, first: str
) -> None:
    source = f"{first}import iamframe\niamframe.explore(iamframe.load('sample'))"
    with opened(browser, lab, tmp_path, source) as page:
        expect(page.get_by_text("126 of 126 findings")).to_be_visible()
        field(page, "Checks").select_option(["empty_profiles"])
        expect(page.get_by_text("6 of 126 findings")).to_be_visible()
        field(page, "Text").fill("123456789012")
        expect(page.get_by_text("4 of 126 findings")).to_be_visible()
        field(page, "Who owns what: group by the tag").select_option("Owner")
        expect(page.get_by_text("Findings by the tag Owner")).to_be_visible()
        if first:
            field(page, "Card of").select_option("3 · empty_profiles · sap-poc")
        else:
            page.locator("table.dataTable tbody tr").nth(2).click()
        expect(page.get_by_role("heading", name="instance profile sap-poc")).to_be_visible()
        names = page.locator(
            "table:has(th:text-is('found')) tbody tr" if first else "table.dataTable tbody tr"
        ).evaluate_all("rows => rows.map(row => [row.cells[2].innerText, row.cells[4].innerText])")
        page.get_by_role("button", name="Export these findings").click()
        expect(page.get_by_text("4 findings in iamframe-export")).to_be_visible()
    assert names == [["empty_profiles", name] for name in ("intranet-old", "packer-2017", "sap-poc", "scan-station")]
    assert exported(tmp_path / "lab" / "iamframe-export") == [tuple(row) for row in names]
    text = (tmp_path / "lab" / "iamframe-export" / "findings.html").read_text("utf-8")
    assert text.count("<tr class=finding>") == 4


HAS_CELL = "text => Array.from(document.querySelectorAll('td'), (cell) => cell.textContent).includes(text)"


@kinds
def test_hostile_text_in_any_field_stays_text_in_the_explorer(
    browser: Browser, lab: Lab, tmp_path: Path, first: str
) -> None:
    source = tmp_path / "accounts"
    for number, text in enumerate(HOSTILE.values()):
        documents = hostile_documents(text)
        # One account has one alias.
        del documents["list-account-aliases.json"]
        write(source / str(number), documents)
    other = {"identity.json": identity("000000000002"), "aliases.json": {"AccountAliases": [HOSTILE["image"]]}}
    write(source / "named", other)
    held = iamframe.run_checks(iamframe.load_files(source)).findings
    all_there = f"{len(held):,} of {len(held):,} findings"
    checks = ["name_mismatches", "stale_references"]
    told = held[held["check"].isin(checks)]
    assert set(told["check"].value_counts()) == {len(HOSTILE)}
    cell = f"{first}import iamframe\nexplorer = iamframe.explore(iamframe.load({str(source)!r}))\nexplorer"
    key = HOSTILE["image"]
    with opened(browser, lab, tmp_path, cell) as page:
        expect(page.get_by_text(all_there)).to_be_visible()
        assert page.get_by_text(f"000000000002 {key}").count() == 1
        field(page, "Tag of a side").select_option(key)
        field(page, "Its value").select_option(f"{key}-value")
        field(page, "Who owns what: group by the tag").select_option(key)
        page.wait_for_function(HAS_CELL, arg=f"{key}-value")
        field(page, "Path of a side").fill(f"/{HOSTILE['script']}/")
        page.get_by_role("button", name="Clear all filters").click()
        expect(page.get_by_text(all_there)).to_be_visible()
        field(page, "Checks").select_option(checks)
        expect(page.get_by_text(f"{len(told)} of {len(held):,} findings")).to_be_visible()
        for at, arn in enumerate(told["resource_arn"], 1):
            field(page, "Card of").select_option(index=at)
            page.wait_for_function(HAS_CELL, arg=arn)
        page.get_by_role("button", name="Export these findings").click()
        expect(page.get_by_text(f"{len(told)} findings in iamframe-export")).to_be_visible()
        assert page.evaluate("window.pwned") is None
        assert page.locator("mjx-container, img[src=x], svg[onload], [onmouseover], [onerror]").count() == 0
        assert page.locator(".jp-OutputArea a:not(.paginate_button)").count() == 0
    assert sorted(exported(tmp_path / "lab" / "iamframe-export")) == sorted(
        told[["check", "resource_name"]].itertuples(index=False, name=None)
    )

"""In a real JupyterLab, offline: notebooks and explorer show what they say, and what others wrote stays text."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from builders import dump, identity, nested_role, profile, profile_list, role_detail, write
from labs import Lab, lab_page
from pages import HOSTILE, exported, hostile_documents
from playwright.sync_api import Browser, Locator, Page, expect
from shells import execute
from test_notebooks import CLEAN_UP, NOTEBOOKS, PRACTICE, ROOT, code_cells, each_of_a_source, shown_by

import iamframe


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Lab]:
    """A JupyterLab that serves a copy of the notebooks."""
    folder = tmp_path_factory.mktemp("lab")
    root = folder / "notebooks"
    shutil.copytree(ROOT / "notebooks", root, ignore=shutil.ignore_patterns("iamframe-report", ".*"))
    with lab_page(browser, root, folder) as opened:
        yield opened


def run_all(lab: Lab) -> list[list[dict[str, Any]]]:
    """Run all cells of the notebook that is open; return what each shows, none of which is an error or a warning."""
    outputs = lab.run_all()
    flat = [output for cell in outputs for output in cell]
    assert [output for output in flat if output["output_type"] == "error" or output.get("name") == "stderr"] == []
    return outputs


# The notebooks


NAME_SOURCE = """(source) => {
  const panel = window.jupyterapp.shell.currentWidget;
  const cell = panel.content.widgets.find((cell) => cell.model.type === "code").model.sharedModel;
  cell.setSource(cell.getSource().replace('SOURCE = "sample"', `SOURCE = ${JSON.stringify(source)}`));
  panel.content.model.sharedModel.addCell({cell_type: "markdown", source: "$typeset$"});
}"""

MARKUP = "<img/src=x/onerror=window.pwned=1>"
FORMULA = r"$\href{javascript:window.pwned=1}{x}$"
TRUST = {"Statement": {"Effect": "Allow", "Principal": {"Service": MARKUP}, "Action": "sts:AssumeRole"}}
PROFILES = [
    profile(name, path=f"/{path}/") for name, path in (("web-a", MARKUP), ("web-b", FORMULA), ("left", FORMULA))
]
FILES = {
    "dump.json": dump(
        role_detail("web", PROFILES[:2], {MARKUP: FORMULA, FORMULA: MARKUP}, path=f"/{MARKUP}/", policy=TRUST),
        role_detail("lone", [], {"Owner": MARKUP}, path=f"/{FORMULA}/"),
    ),
    "list-instance-profiles.json": profile_list(
        *(one | {"Roles": [nested_role("web", f"/{MARKUP}/", policy=TRUST)]} for one in PROFILES[:2]), PROFILES[2]
    ),
    "instance-profile-tags/web-a.json": {"Tags": [{"Key": "Owner", "Value": FORMULA}]},
    "denied.csv": f"operation,subject,error_code\nListInstanceProfileTags,web-b,{MARKUP}{FORMULA}\n",
}


# The others run in it from start to end below; `test_notebooks.py` holds what they show against what is stored.
@pytest.mark.parametrize("notebook", [NOTEBOOKS[0], PRACTICE, CLEAN_UP], ids=lambda path: path.stem)
def test_a_notebook_runs_from_start_to_end_and_shows_what_is_stored_in_it(notebook: Path, lab: Lab) -> None:
    with lab.opened(notebook.name) as page:
        both = [*zip(code_cells(notebook), run_all(lab), strict=True)]
        assert [bool(outputs) for _, outputs in both] == [bool(cell["outputs"]) for cell, _ in both]
        assert [cell for cell, outputs in both if shown_by(cell) != shown_by(cell | {"outputs": outputs})] == []
        pictures = sum("iamframe.plots." in "".join(cell["source"]) for cell in code_cells(notebook))
        assert page.locator(".jp-RenderedImage img").count() == pictures
        assert page.locator(".jp-OutputArea mjx-container").count() == 0


@each_of_a_source
def test_names_and_tags_of_others_are_text_in_a_notebook(notebook: Path, lab: Lab, tmp_path: Path) -> None:
    with lab.opened(notebook.name) as page:
        page.evaluate(NAME_SOURCE, str(write(tmp_path / "hostile", FILES)))
        outputs = run_all(lab)
        assert len(outputs) == len(code_cells(notebook))
        assert "Inventory(1 account, 2 roles, 3 profiles" in "".join(str(output) for cell in outputs for output in cell)
        # JupyterLab has typeset all formulas when it has typeset that of the last cell, which is one.
        expect(page.locator(".jp-MarkdownOutput mjx-container").last).to_be_attached(timeout=20_000)
        assert page.evaluate("() => window.pwned") is None
        assert page.locator(".jp-OutputArea :is(mjx-container, img:not(.jp-RenderedImage img), script)").count() == 0


# The explorer


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
    execute(tmp_path / "explorer.ipynb", tmp_path / "done.ipynb", {}, tmp_path)
    cells = json.loads((tmp_path / "done.ipynb").read_text("utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert len(outputs) == 1
    assert outputs[0]["output_type"] == "display_data"
    assert (tmp_path / "iamframe-export" / "findings.html").exists()


PLAINLY = "sys.modules['itables.widget'] = None\n"


@contextmanager
def exploring(lab: Lab, source: str) -> Iterator[Page]:
    """A notebook of one cell, run, that shows the explorer."""
    shutil.rmtree(lab.root / "iamframe-export", ignore_errors=True)
    notebook(lab.root, f"import sys\nsys.modules.pop('itables.widget', None)\n{source}")
    with lab.opened("explorer.ipynb") as page:
        (outputs,) = run_all(lab)
        assert [one for one in outputs if one["output_type"] == "stream"] == []
        expect(page.get_by_role("button", name="Export these findings")).to_be_visible(timeout=20_000)
        yield page


def field(page: Page, name: str) -> Locator:
    return page.locator(f"[title='{name}']:is(select, input)")


with_itables = pytest.mark.skipif(not find_spec("anywidget"), reason="pip install 'iamframe[notebooks]'")
kinds = pytest.mark.parametrize(
    "first", [pytest.param(PLAINLY, id="plain"), pytest.param("", id="itables", marks=with_itables)]
)


@kinds
def test_the_explorer_cuts_no_column_is_clicked_through_and_exports_exactly_what_it_shows(lab: Lab, first: str) -> None:
    with exploring(lab, f"{first}import iamframe\niamframe.explore(iamframe.load('sample'))") as page:
        # Beside the file browser.
        expect(page.get_by_text("the account has 40 instance profiles (80% of its quota of 50)")).to_be_visible()
        right = "found => [found, found.closest('.iamframe-findings')].map((box) => box.getBoundingClientRect().right)"
        column, table = page.locator(".iamframe-findings th", has_text="found").last.evaluate(right)
        assert column <= table
        expect(page.get_by_text("107 of 107 findings")).to_be_visible()
        field(page, "Check").select_option(["empty_profiles"])
        expect(page.get_by_text("6 of 107 findings")).to_be_visible()
        field(page, "Search").fill("123456789012")
        expect(page.get_by_text("4 of 107 findings")).to_be_visible()
        field(page, "Group by tag").select_option("Owner")
        expect(page.get_by_text("Findings by the tag Owner")).to_be_visible()
        if first:
            field(page, "Details of").select_option("3 · empty_profiles · sap-poc")
        else:
            page.locator("table.dataTable tbody tr").nth(2).click()
        expect(page.get_by_role("heading", name="instance profile sap-poc")).to_be_visible()
        names = page.locator(
            "table:has(th:text-is('found')) tbody tr" if first else "table.dataTable tbody tr"
        ).evaluate_all("rows => rows.map(row => [row.cells[2].innerText, row.cells[4].innerText])")
        page.get_by_role("button", name="Export these findings").click()
        expect(page.get_by_text("4 findings in iamframe-export")).to_be_visible()
    assert names == [["empty_profiles", name] for name in ("intranet-old", "packer-2017", "sap-poc", "scan-station")]
    assert exported(lab.root / "iamframe-export") == [tuple(row) for row in names]
    text = (lab.root / "iamframe-export" / "findings.html").read_text("utf-8")
    assert text.count("<tr class=finding>") == 4


HAS_CELL = "text => Array.from(document.querySelectorAll('td'), (cell) => cell.textContent).includes(text)"


@kinds
def test_hostile_text_in_any_field_stays_text_in_the_explorer(lab: Lab, tmp_path: Path, first: str) -> None:
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
    with exploring(lab, cell) as page:
        expect(page.get_by_text(all_there)).to_be_visible()
        assert page.get_by_text(f"000000000002 {key}").count() == 1
        field(page, "Tag key").select_option(key)
        field(page, "Tag value").select_option(f"{key}-value")
        field(page, "Group by tag").select_option(key)
        page.wait_for_function(HAS_CELL, arg=f"{key}-value")
        field(page, "Path").fill(f"/{HOSTILE['script']}/")
        page.get_by_role("button", name="Clear all filters").click()
        expect(page.get_by_text(all_there)).to_be_visible()
        field(page, "Check").select_option(checks)
        expect(page.get_by_text(f"{len(told)} of {len(held):,} findings")).to_be_visible()
        for at, arn in enumerate(told["resource_arn"], 1):
            field(page, "Details of").select_option(index=at)
            page.wait_for_function(HAS_CELL, arg=arn)
        page.get_by_role("button", name="Export these findings").click()
        expect(page.get_by_text(f"{len(told)} findings in iamframe-export")).to_be_visible()
        assert page.evaluate("window.pwned") is None
        assert page.locator("mjx-container, img[src=x], svg[onload], [onmouseover], [onerror]").count() == 0
        assert page.locator(".jp-OutputArea a:not(.paginate_button)").count() == 0
    assert sorted(exported(lab.root / "iamframe-export")) == sorted(
        told[["check", "resource_name"]].itertuples(index=False, name=None)
    )

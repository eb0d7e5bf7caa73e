"""The notebooks in a real JupyterLab: they run from start to end, and what others wrote stays text."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import dump, nested_role, profile, profile_list, role_detail, write
from labs import serving
from playwright.sync_api import expect
from test_notebooks import NOTEBOOKS, PRACTICE, ROOT, code_cells, each_of_a_source


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[Any]:
    """A page of a JupyterLab that serves a copy of the notebooks."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=shutil.ignore_patterns("iamframe-report", ".*"))
    with serving(folder / "notebooks", folder) as address:
        page = browser.new_page()
        page.goto(f"{address}/lab?reset")
        page.wait_for_function("() => window.jupyterapp", timeout=60_000)
        yield page
        page.close()


OPEN = """async (name) => {
  const app = window.jupyterapp;
  await app.restored;
  const panel = await app.commands.execute("docmanager:open", {path: name});
  await panel.context.ready;
  await panel.sessionContext.ready;
}"""
# Its kernel goes with it, rather than wait for the end of the server.
CLOSE = """async () => {
  const panel = window.jupyterapp.shell.currentWidget;
  await panel.sessionContext.shutdown();
  panel.dispose();
}"""
RUN_ALL = """async () => {
  const app = window.jupyterapp, panel = app.shell.currentWidget;
  await app.commands.execute("notebook:clear-all-cell-outputs");
  await app.commands.execute("notebook:run-all-cells");
  return panel.content.widgets.filter((cell) => cell.model.type === "code").map((cell) => cell.model.outputs.toJSON());
}"""
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
HOSTILE = {
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


@pytest.fixture
def opened(notebook: Path, lab: Any) -> Iterator[Any]:
    """The page of that JupyterLab, with a notebook open in it."""
    lab.evaluate(OPEN, notebook.name)
    yield lab
    lab.evaluate(CLOSE)


def run_all(page: Any, notebook: Path) -> list[list[dict[str, Any]]]:
    """Run all cells of the notebook that is open; return what each shows: no error, no warning, and a picture."""
    outputs: list[list[dict[str, Any]]] = page.evaluate(RUN_ALL)
    assert len(outputs) == len(code_cells(notebook))
    flat = [output for cell in outputs for output in cell]
    assert [output for output in flat if output["output_type"] == "error" or output.get("name") == "stderr"] == []
    assert page.locator(".jp-RenderedImage img").count() >= 1
    return outputs


# The others run from start to end in the kernels of nbval, which holds what they show against what is stored.
@pytest.mark.parametrize("notebook", [NOTEBOOKS[0], PRACTICE], ids=lambda path: path.stem)
def test_a_notebook_runs_from_start_to_end_in_jupyterlab(notebook: Path, opened: Any) -> None:
    assert all(run_all(opened, notebook)[2:])
    assert opened.locator(".jp-OutputArea mjx-container").count() == 0


@each_of_a_source
def test_names_and_tags_of_others_are_text_in_jupyterlab(notebook: Path, opened: Any, tmp_path: Path) -> None:
    opened.evaluate(NAME_SOURCE, str(write(tmp_path / "hostile", HOSTILE)))
    all_of_it_is_text(opened, run_all(opened, notebook))


def all_of_it_is_text(page: Any, outputs: list[list[dict[str, Any]]]) -> None:
    shown = "".join(str(output) for cell in outputs for output in cell)
    assert "Inventory(1 account, 2 roles, 3 profiles" in shown
    # JupyterLab has typeset all formulas when it has typeset that of the last cell, which is one.
    expect(page.locator(".jp-MarkdownOutput mjx-container").last).to_be_attached(timeout=20_000)
    assert page.evaluate("() => window.pwned") is None
    assert page.locator(".jp-OutputArea :is(mjx-container, img:not(.jp-RenderedImage img), script)").count() == 0

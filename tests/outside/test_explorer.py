"""The explorer in a real JupyterLab, offline: it shows and exports what it says, and text stays text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from builders import identity, write
from labs import serving
from pages import HOSTILE, exported, hostile_documents
from playwright.sync_api import Browser, Locator, Page, expect
from shells import execute

import iamframe


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


with_itables = pytest.mark.skipif(not find_spec("anywidget"), reason="pip install 'iamframe[notebooks]'")
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

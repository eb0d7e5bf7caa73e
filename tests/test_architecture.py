"""The way of the data is one way: a module imports only from what lies before it, and nothing heavy unasked."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import iamframe
from iamframe import schema

PACKAGE = Path(iamframe.__file__).parent

# From left to right: each imports only from those before it.
MODULES = [
    "version",
    "errors",
    "progress",
    "words",
    "cells",
    "schema",
    "sources",
    "sources.records",
    "sources.references",
    "sources.config",
    "sources.terraform",
    "sources.steampipe",
    "sources.archives",
    "sources.cloudtrail",
    "sources.runs",
    "sources.files",
    "sources.sample",
    "sources.reads",
    "sources.pacing",
    "sources.journal",
    "sources.plan",
    "sources.connecting",
    "sources.asking",
    "sources.aws",
    "sources.fleet",
    "trust",
    "keys",
    "linking",
    "names",
    "showing",
    "rows",
    "missing",
    "events",
    "store",
    "query",
    "inventory",
    "live",
    "loading",
    "lives",
    "collecting",
    "knowledge",
    "knowledge.makers",
    "knowledge.surfaces",
    "probing",
    "views",
    "blindspots",
    "checks.policy",
    "checks.registry",
    "checks.needs",
    "checks.orphans",
    "checks.names",
    "checks.tags",
    "checks.trust",
    "checks",
    "owners",
    "explanation",
    "changes",
    "report.tables",
    "report.masking",
    "report.workbook",
    "report.pictures",
    "report.wording",
    "report.template",
    "report.page",
    "report.filtered",
    "report",
    "exploring",
    "widgets",
    "planning.ages",
    "planning.look",
    "planning.resources",
    "planning.script",
    "planning.deleting",
    "planning.tagging",
    "planning",
    "plots",
    "notebooks",
    "practice.models",
    "practice.calls",
    "practice.backends",
    "practice.checks",
    "practice.pages",
    "practice.shapes",
    "practice.iam",
    "practice.sts",
    "practice.organization",
    "practice.ec2",
    "practice.tagging",
    "practice.faults",
    "practice.server",
    "practice.filling",
    "practice.account",
    "practice",
    "practice.__main__",
    "cli",
    "",
]


def path_of(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split(".")) if module else PACKAGE
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes, those inside functions too, but for what only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from (inner for other in node.orelse for inner in (other, *statements(other)))
        else:
            yield node
            yield from statements(node)


def imported(source: str) -> set[str]:
    """The modules of iamframe that a source text imports, by their names in it."""
    found = set()
    for node in statements(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            members = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [m if m.removeprefix("iamframe.") in MODULES else str(node.module) for m in members]
        else:
            continue
        found |= {name.removeprefix("iamframe").removeprefix(".") for name in names if name.split(".")[0] == "iamframe"}
    return found


def loaded_by(statement: str, folder: Path) -> set[str]:
    """The top-level modules that a fresh interpreter has tried to load after a statement, whether there or not."""
    spy = (
        "import sys\n"
        "class Spy:\n"
        "    asked = set()\n"
        "    def find_spec(self, name, *_):\n"
        "        self.asked.add(name.split('.')[0])\n"
        "sys.meta_path.insert(0, Spy())\n"
        f"{statement}\n"
        "print(*sorted(Spy.asked))\n"
    )
    done = subprocess.run([sys.executable, "-c", spy], cwd=folder, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_what_a_source_imports_is_told_from_what_it_only_names_for_types() -> None:
    source = """
from typing import TYPE_CHECKING
import iamframe.errors
from iamframe import schema
from iamframe.checks import needs, run_checks
if TYPE_CHECKING:
    from iamframe.cli import main
else:
    from iamframe.trust import read_trust
def late():
    from iamframe.loading import load_files
    import pandas, iamframe
"""
    assert imported(source) == {"errors", "schema", "checks.needs", "checks", "trust", "loading", ""}


def test_every_module_of_the_package_has_its_place() -> None:
    files = {file.relative_to(PACKAGE).with_suffix("") for file in PACKAGE.rglob("*.py")}
    names = {".".join(part for part in file.parts if part != "__init__") for file in files}
    assert names == set(MODULES)
    assert len(MODULES) == len(set(MODULES))


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_modules_before_it(module: str) -> None:
    before = MODULES[: MODULES.index(module)]
    assert imported(path_of(module).read_text("utf-8")) - set(before) == set()


def test_importing_iamframe_loads_neither_pandas_nor_the_page_nor_the_command_line(tmp_path: Path) -> None:
    asked = loaded_by("import iamframe", tmp_path)
    assert "iamframe" in asked
    assert not asked & {"pandas", "numpy", "pyarrow", "msgspec", "jinja2", "typer", "click"}


def test_asking_for_the_version_or_a_wrong_name_loads_nothing_heavy(tmp_path: Path) -> None:
    statement = "import iamframe; assert iamframe.__version__; assert not hasattr(iamframe, 'nonsense'); dir(iamframe)"
    assert not loaded_by(statement, tmp_path) & {"pandas", "numpy", "pyarrow", "msgspec", "jinja2", "typer", "click"}


def test_from_files_to_report_nothing_of_notebooks_plots_or_aws_is_even_asked_for(tmp_path: Path) -> None:
    statement = "import iamframe; iamframe.write_report(iamframe.run_checks(iamframe.load_sample()), 'out')"
    asked = loaded_by(statement, tmp_path)
    assert {"pandas", "jinja2"} <= asked
    assert not asked & {
        "duckdb",
        "matplotlib",
        "IPython",
        "ipywidgets",
        "itables",
        "boto3",
        "botocore",
        "typer",
        "click",
        "xlsxwriter",
    }
    assert (tmp_path / "out" / "report.html").exists()


def test_checks_need_no_page(tmp_path: Path) -> None:
    asked = loaded_by("import iamframe; iamframe.run_checks(iamframe.load_sample())", tmp_path)
    assert "pandas" in asked
    assert "jinja2" not in asked


@pytest.mark.parametrize("name", iamframe.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    assert getattr(iamframe, name) is not None
    assert name in dir(iamframe)
    assert name.startswith("__") or name == "CHECKS" or getattr(iamframe, name).__doc__


@pytest.mark.parametrize(
    ("name", "frames"),
    [
        ("Changes", [schema.CHANGES, schema.CHANGED_FINDINGS, schema.NOT_COMPARED]),
        ("Inventory", list(schema.FRAMES.values())),
        ("Plan", [schema.STEPS, schema.NOT_PLANNED]),
        ("Result", [schema.FINDINGS, schema.COVERAGE]),
        ("blind_spot_counts", [schema.BLIND_SPOT_COUNTS]),
        ("blind_spots", [schema.BLIND_SPOTS]),
        ("events_of", [schema.EVENTS]),
        ("findings_by_owner", [schema.FINDINGS_BY_OWNER]),
        ("history", [schema.LIVES]),
        ("pairs", [schema.PAIRS]),
        ("probe_surfaces", [schema.PROBES]),
        ("surfaces", [schema.SURFACES]),
        ("tag_coverage", [schema.TAG_COVERAGE]),
    ],
)
def test_whoever_hovers_over_a_name_is_told_the_columns_of_what_it_gives(name: str, frames: list[schema.Frame]) -> None:
    told = inspect.getdoc(getattr(iamframe, name)) or ""
    for frame in frames:
        assert f"`{frame.name}`: one row per {frame.row}\n" in told
        assert [c.name for c in frame.columns if f"\n{c.name} : {c.dtype}\n" not in told] == []

"""Eight rooms, one direction: a module imports only from its own room or one before it, and nothing heavy unasked."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from rooms import ROOMS, imports, modules, room_of

import iamframe
from iamframe import CHECKS, schema
from iamframe.knowledge.operations import OPERATIONS
from iamframe.practice import PracticeAccount

# The only modules that may load these.
GATES = {
    "boto3": {"sources.client", "sources.members", "sources.sessions"},
    "botocore": {"sources.client", "sources.members", "sources.refusals", "sources.sessions"},
    "duckdb": {"inventory.sql"},
    "distributed": {"ui.loading"},
    "jinja2": {"report.page", "sources.scripts"},
    "matplotlib": {"ui.drawing"},
    "xlsxwriter": {"report.excel"},
    "ipywidgets": {"ui.widgets"},
    "itables": {"ui.widgets"},
    "click": {"ui.cli", "ui.loading", "ui.options", "ui.output"},
}
# What asks the face for an analysis of itself, such as `result.plan()`.
ASKS_THE_FACE = {"inventory.inventory", "checks.result"}


def bodies(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Each function, and how many lines its body has without the docstring."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            yield node.name, (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@functools.cache
def texts(tree: ast.AST) -> frozenset[str]:
    """The texts in a source that are no docstrings."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    documented = [node.body[0] for node in ast.walk(tree) if isinstance(node, kinds) and ast.get_docstring(node)]
    docstrings = {id(one.value) for one in documented if isinstance(one, ast.Expr)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings]
    return frozenset(node.value for node in constants if isinstance(node.value, str))


@functools.cache
def parsed(source: str) -> ast.Module:
    """A source, parsed once for all tests, which only read it."""
    return ast.parse(source)


@functools.cache
def house() -> dict[str, ast.Module]:
    """Each module of the rooms, parsed; the practice account is no room."""
    return {module: parsed(source) for module, source in modules().items() if not module.startswith("practice")}


def test_no_module_and_no_function_is_longer_than_a_person_takes_in() -> None:
    assert [module for module, source in modules().items() if source.count("\n") > 500] == []
    long = [(module, name, size) for module, tree in house().items() for name, size in bodies(tree) if size > 40]
    assert long == []
    classes = [
        f"{module}.{node.name}"
        for module, tree in house().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and _lines(node) > 200
    ]
    assert classes == []


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or 0) - node.lineno


def test_the_name_of_a_check_is_written_in_the_room_of_checks_alone() -> None:
    wrong = {m: names for m, tree in house().items() if room_of(m) != "checks" and (names := texts(tree) & set(CHECKS))}
    assert wrong == {}


def test_the_name_of_an_operation_is_written_in_its_table_and_where_it_is_asked() -> None:
    operations = {read.operation for read in OPERATIONS}
    allowed = {module for module in house() if room_of(module) == "sources"} | {"knowledge.operations"}
    wrong = {m: names for m, tree in house().items() if m not in allowed and (names := texts(tree) & operations)}
    assert wrong == {}


def test_a_public_name_is_defined_once() -> None:
    found = defaultdict(set)
    for module, tree in house().items():
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found[node.name].add(module)
            elif isinstance(node, ast.Assign):
                for name in ast.walk(ast.Tuple(node.targets)):
                    if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                        found[name.id].add(module)
    twice = {name: places for name, places in found.items() if len(places) > 1 and not name.startswith("_")}
    assert twice == {}


def test_a_module_imports_only_from_its_own_room_or_one_before_it() -> None:
    order = list(ROOMS)
    backwards = [
        f"{module} -> {other}"
        for module, others in imports().items()
        for other in others
        if order.index(room_of(other)) > order.index(room_of(module))
    ]
    assert backwards == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports for types alone count."""
    left = {module: set(others) for module, others in imports().items()}
    while free := {module for module, others in left.items() if not others & left.keys() - {module}}:
        left = {module: others for module, others in left.items() if module not in free}
    assert left == {}


def test_the_practice_account_stands_apart() -> None:
    for module, source in modules().items():
        names = {alias for alias in _imported(source) if alias.split(".")[0] == "iamframe"}
        if module.startswith("practice"):
            assert {name for name in names if not name.startswith("iamframe.practice")} <= {"iamframe.errors"}, module
        else:
            assert not {name for name in names if name.startswith("iamframe.practice")}, module


@functools.cache
def _imported(source: str) -> frozenset[str]:
    """The modules that a source imports wherever it does, but for what only a type checker sees."""
    found = set()
    waiting: list[ast.AST] = [parsed(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found.add(str(node.module))
    return frozenset(found)


@pytest.mark.parametrize("library", sorted(GATES))
def test_a_library_comes_in_by_its_gates_alone(library: str) -> None:
    loading = {
        module
        for module, source in modules().items()
        if not module.startswith("practice") and any(name.split(".")[0] == library for name in _imported(source))
    }
    assert loading <= GATES[library]


@pytest.mark.parametrize("room", ["knowledge", "sources"])
def test_pandas_begins_where_records_become_frames(room: str) -> None:
    for module, source in modules().items():
        assert room_of(module) != room or not any(name.split(".")[0] == "pandas" for name in _imported(source)), module


def test_only_methods_of_an_inventory_and_a_result_ask_the_face() -> None:
    asking = {
        module
        for module, source in modules().items()
        if not module.startswith("practice") and "iamframe" in _imported(source) and module != ""
    }
    assert asking <= ASKS_THE_FACE | {"ui.cli", "ui.widgets"}


def test_a_public_name_is_what_it_was_after_every_module_is_loaded() -> None:
    """A module `compare` does not take the place of the function `compare`."""
    before = {name: getattr(iamframe, name) for name in iamframe.__all__}
    for module in modules():
        if not module.endswith("__main__"):
            importlib.import_module(f"iamframe.{module}".rstrip("."))
    assert {name: getattr(iamframe, name) for name in iamframe.__all__} == before
    assert all(callable(before[name]) for name in ("compare", "explain", "history", "load", "plan"))


def test_names_that_people_type_lead_to_the_modules_of_the_rooms() -> None:
    for name, module in (("plots", "ui.plots"), ("exploring", "ui.exploring"), ("schema", "inventory.schema")):
        moved = importlib.import_module(f"iamframe.{module}")
        assert importlib.import_module(f"iamframe.{name}") is moved is getattr(iamframe, name)
    assert iamframe.inventory.Inventory is iamframe.Inventory


def loaded_by(folder: Path, *statements: str) -> list[set[str]]:
    """The top-level modules that a fresh interpreter has tried to load after each statement, whether there or not."""
    spy = (
        "import sys\n"
        "class Spy:\n"
        "    asked = set()\n"
        "    def find_spec(self, name, *_):\n"
        "        self.asked.add(name.split('.')[0])\n"
        "sys.meta_path.insert(0, Spy())\n"
    )
    shown = (f"{statement}\nprint('asked', *sorted(Spy.asked))\n" for statement in statements)
    code = spy + "".join(shown)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return [set(line.split()[1:]) for line in done.stdout.splitlines() if line.startswith("asked ")]


def test_importing_iamframe_and_asking_for_its_version_or_a_wrong_name_loads_nothing_heavy(tmp_path: Path) -> None:
    then = "assert iamframe.__version__; assert not hasattr(iamframe, 'nonsense'); dir(iamframe)"
    imported, asked_for = loaded_by(tmp_path, "import iamframe", then)
    for asked in (imported, asked_for):
        assert "iamframe" in asked
        assert not asked & {"pandas", "numpy", "pyarrow", "msgspec", "jinja2", "typer", "click"}


def test_from_files_to_report_nothing_of_notebooks_plots_or_aws_is_even_asked_for_and_checks_need_no_page(
    tmp_path: Path,
) -> None:
    checks = "import iamframe; result = iamframe.run_checks(iamframe.load_sample())"
    checked, written = loaded_by(tmp_path, checks, "iamframe.write_report(result, 'out')")
    assert "pandas" in checked
    assert "jinja2" not in checked
    assert "jinja2" in written
    assert not written & {
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


def test_the_command_line_starts_without_reading_what_is_known(tmp_path: Path) -> None:
    statement = (
        "from click.testing import CliRunner; from iamframe.ui.cli import app; CliRunner().invoke(app, ['--help'])"
    )
    (asked,) = loaded_by(tmp_path, statement)
    assert "click" in asked
    assert not asked & {"tomllib", "msgspec", "pandas", "boto3"}


@pytest.mark.parametrize("name", iamframe.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    assert getattr(iamframe, name) is not None
    assert name in dir(iamframe)
    assert name.startswith("__") or name == "CHECKS" or getattr(iamframe, name).__doc__


def test_every_method_property_and_function_that_users_reach_has_a_docstring() -> None:
    public = [getattr(iamframe, name) for name in iamframe.__all__]
    users = [thing for thing in public if inspect.isclass(thing)] + [PracticeAccount]
    modules = [iamframe.plots, iamframe.exploring]
    bare = [
        f"{owner.__name__}.{name}"
        for owner in (*users, *modules)
        for name, member in vars(owner).items()
        if not name.startswith("_")
        and (inspect.isfunction(member) or isinstance(member, (property, classmethod, functools.cached_property)))
        and (inspect.isclass(owner) or member.__module__ == owner.__name__)
        and not inspect.getdoc(member)
    ]
    assert bare == []


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

"""The documentation covers each public name, frame, check and command, and its links lead somewhere."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import reference_pages

import iamframe
from iamframe import schema
from iamframe.checks.tag_policy import Policy
from iamframe.inventory.frame import Frame
from iamframe.ui import cli

ROOT = Path(__file__).parents[2]
WRITTEN = [
    file
    for file in sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    if not f"{file.relative_to(ROOT)}".startswith(tuple(f"docs/{path}" for path in reference_pages.GENERATED))
]
NOTEBOOKS = {f"notebooks/{file.name}" for file in (ROOT / "notebooks").glob("*.ipynb")}

pages = reference_pages.pages


@pytest.mark.parametrize("name", [name for name in iamframe.__all__ if name != "__version__"])
def test_a_public_name_has_a_page(name: str) -> None:
    page = pages()[f"reference/api/{reference_pages.page_of(name)}.md"]
    assert page.startswith(f"# iamframe.{name}\n")
    assert f":: iamframe.{name}" in page or name in {"CHECKS", "errors", "schema"}


@pytest.mark.parametrize(
    "frame", [one for one in vars(schema).values() if isinstance(one, Frame)], ids=lambda f: f.name
)
def test_a_frame_has_a_page_with_each_column(frame: Frame) -> None:
    page = pages()[f"reference/frames/{frame.name}.md"]
    assert f"One row per {frame.row}." in page
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == frame.names


@pytest.mark.parametrize("name", iamframe.CHECKS)
def test_a_check_has_a_page_with_why_needs_remediation_options_and_an_example(name: str) -> None:
    page, check = pages()[f"reference/checks/{name}.md"], iamframe.CHECKS[name]
    for text in (f"# {name}\n", check.title, check.severity, check.why, check.remediation):
        assert text in page
    assert all(f"\n- {need.name}" in page for need in check.needs)
    assert all(f"- `{option}`: " in page for option in check.options)
    assert f"| `check` | `{name}` |" in page


def test_the_page_of_a_check_says_which_options_the_policy_sets() -> None:
    set_by_policy = {field.name for field in fields(Policy)} | {"demanded"}
    lines = [
        line
        for name, check in iamframe.CHECKS.items()
        for option in set_by_policy.intersection(check.options)
        for line in re.findall(rf"^- `{option}`: .*", pages()[f"reference/checks/{name}.md"], re.MULTILINE)
    ]
    assert len(lines) >= 2
    assert [line for line in lines if "[policy file](../policy-file.md)" not in line] == []


@pytest.mark.parametrize("name", cli.app.commands)
def test_a_command_is_on_the_page_of_the_command_line(name: str) -> None:
    (attribute,) = re.findall(
        rf"\.\. click:: iamframe\.ui\.cli:(\w+)\n   :prog: iamframe {name}\n", pages()["reference/commands.md"] + "\n"
    )
    assert getattr(cli, attribute) is cli.app.commands[name]


def test_each_error_is_on_the_page_of_errors() -> None:
    named = re.findall(r"autoexception:: iamframe\.errors\.(\w+)", pages()["reference/errors.md"])
    errors = vars(iamframe.errors).values()
    assert set(named) == {one.__name__ for one in errors if isinstance(one, type) and issubclass(one, Exception)}


@pytest.mark.parametrize("file", WRITTEN, ids=lambda file: str(file.relative_to(ROOT)))
def test_each_link_leads_to_a_file_of_the_clone_which_has_no_generated_pages(file: Path) -> None:
    text = file.read_text("utf-8")
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    generated = {(ROOT / "docs" / path).resolve() for path in pages().keys() | NOTEBOOKS}
    for link in [*links, *re.findall(r"^```\{include\} (\S+)", text, re.MULTILINE)]:
        target = (file.parent / link).resolve()
        assert target.exists(), link
        assert target not in generated, link


@pytest.mark.parametrize("file", WRITTEN[1:], ids=lambda file: str(file.relative_to(ROOT)))
def test_in_the_built_site_a_link_to_a_source_leads_to_the_page_made_from_the_source(file: Path) -> None:
    built = reference_pages.linked(file.read_text("utf-8"), file.parent)
    assert re.findall(r"\]\([^)\s]*(?:\.\./(?:iamframe|notebooks)/|README)[^)\s]*\)", built) == []
    assert set(re.findall(r"\]\(/([^)#\s]+)\)", built)) <= pages().keys() | NOTEBOOKS


def test_a_link_to_a_source_leads_to_the_page_that_the_link_names_or_else_to_the_overview() -> None:
    text = "[`gaps`](../iamframe/inventory/schema.py), [all](../iamframe/inventory/schema.py), [a](../data/a.toml)"
    assert reference_pages.linked(text, ROOT / "docs") == (
        "[`gaps`](/reference/frames/gaps.md), [all](/reference/frames/index.md), [a](../data/a.toml)"
    )


def test_git_ignores_what_is_generated() -> None:
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert {f"docs/{path}" for path in reference_pages.GENERATED} <= set(ignored)
    assert all(path.startswith(reference_pages.GENERATED) for path in pages())


def test_no_two_pages_are_one_file_where_names_have_no_case() -> None:
    assert len({path.lower() for path in pages()}) == len(pages())


def test_each_page_can_be_reached() -> None:
    docs = ROOT / "docs"
    texts = {path: text for path, text in pages().items() if path.endswith("index.md")}
    texts |= {str(file.relative_to(docs)): file.read_text("utf-8") for file in WRITTEN if docs in file.parents}
    listed = {"index.md"}
    for path, text in texts.items():
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", text, re.DOTALL):
            names = [line for line in tree.splitlines() if line and not line.startswith(":")]
            listed |= {(Path(path).parent / f"{name}.md").as_posix() for name in names}
    assert set(texts) | set(pages()) == listed - {"notebooks/*.md"}

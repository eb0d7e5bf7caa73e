"""The README and the guides are correct: their generated parts, their commands, their code, their links."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import docs
import iamframe
from iamframe.knowledge.operations import OPERATIONS

ROOT = Path(__file__).parents[2]
README, GUIDES, REFERENCE = ROOT / "README.md", ROOT / "docs" / "guides", ROOT / "docs" / "reference"


def block(file: Path, language: str, begin: str = "") -> str:
    """The first block of code in a file that begins with a text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", file.read_text("utf-8"), re.DOTALL)
    return next(code for code in blocks if code.startswith(begin))


@pytest.mark.parametrize("file", docs.FILES, ids=lambda file: file.stem)
def test_the_generated_parts_are_current(file: Path) -> None:
    text = file.read_text("utf-8")
    assert docs.written(text) == text, "run python tests/docs.py"


def test_the_readme_is_a_page() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 150


def test_each_check_stands_in_the_table_with_its_severity() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (high|medium|low) \| .+ \|$", README.read_text("utf-8"), re.MULTILINE)
    assert rows == [(check.name, check.severity) for check in iamframe.CHECKS.values()]


@pytest.mark.parametrize("file", [README, GUIDES / "python.md"], ids=lambda file: file.stem)
def test_the_ten_lines_of_python_run(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(block(file, "python", "import iamframe\n\ninventory").replace("dumps/", str(ROOT / "data" / "sample")), {})
    printed = capsys.readouterr().out
    assert "staging-web" in printed
    assert (tmp_path / "my-report" / "report.html").exists()
    assert file != README or printed == block(README, "text")


@pytest.mark.parametrize("file", [README, GUIDES / "own-checks.md"], ids=lambda file: file.stem)
def test_the_check_of_your_own_runs(file: Path, tmp_path: Path) -> None:
    house = tmp_path / "house.py"
    house.write_text(block(file, "python", "import iamframe\n\n\n@iamframe.check"), "utf-8")
    result = iamframe.run_checks(iamframe.load_sample(), only=["short_names"], checks=house)
    assert set(result.coverage["status"]) == {"complete"}


def test_the_two_commands_stand_there_as_ci_runs_them() -> None:
    text = README.read_text("utf-8")
    assert "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/iamframe report" in text
    assert "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest" in text


@pytest.mark.skipif(os.name == "nt", reason="the shell block of the guide is for a POSIX shell")
@pytest.mark.parametrize(("file", "begin"), [(GUIDES / "files.md", "aws sts"), (ROOT / "docs/recipes.md", "#!/bin/sh")])
def test_the_commands_of_a_guide_are_valid_shell(file: Path, begin: str, tmp_path: Path) -> None:
    script = tmp_path / "script.sh"
    script.write_text(block(file, "sh", begin), "utf-8")
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0


def test_the_policy_allows_just_what_a_live_load_asks_for_by_default() -> None:
    (statement,) = json.loads(block(REFERENCE / "permissions.md", "json"))["Statement"]
    when = ("plan", "references", "all", "owners", "organization")
    by_default = {read.action for read in OPERATIONS if read.when in when} - {"sts:GetCallerIdentity"}
    assert statement == {"Effect": "Allow", "Action": sorted(by_default), "Resource": "*"}


def test_each_read_stands_in_the_permissions() -> None:
    text = (REFERENCE / "permissions.md").read_text("utf-8")
    for read in OPERATIONS:
        assert f'"{read.action}"' in text or f"`{read.action}`" in text


def test_each_notebook_stands_in_the_readme_with_its_question() -> None:
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        (question,) = re.findall(rf"\]\(notebooks/{notebook.name}\): (.*\?)$", README.read_text("utf-8"), re.MULTILINE)
        assert question.split(",")[0].split()[0] in {"What", "Which"}

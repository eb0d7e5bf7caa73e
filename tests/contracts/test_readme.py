"""The README says what is so: its generated tables, its commands, its ten lines of Python."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import docs
import pytest

from iamframe.knowledge.operations import OPERATIONS

README = Path(__file__).parents[2] / "README.md"
TEXT = README.read_text(encoding="utf-8")


def test_the_tables_of_checks_and_frames_are_current() -> None:
    assert docs.written(TEXT) == TEXT, "run python tests/docs.py"


def test_each_check_stands_in_the_table_with_its_severity() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (high|medium|low) \| .+ \|$", TEXT, re.MULTILINE)
    assert ("empty_profiles", "medium") in rows


def test_the_ten_lines_of_python_run(tmp_path: Path) -> None:
    code = re.search(r"## Ten lines of Python\n\n```python\n(.*?)```", TEXT, re.DOTALL)
    assert code is not None
    lines = code[1].replace("dumps/", str(README.parent / "data" / "sample"))
    run = subprocess.run([sys.executable, "-c", lines], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "staging-web" in run.stdout
    assert (tmp_path / "my-report" / "report.html").exists()


def test_the_two_commands_stand_there_as_ci_runs_them() -> None:
    assert "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/iamframe report" in TEXT
    assert "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest" in TEXT


@pytest.mark.skipif(os.name == "nt", reason="the shell block of the README is for a POSIX shell")
def test_the_commands_that_make_a_dump_are_valid_shell(tmp_path: Path) -> None:
    block = re.search(r"```sh\n(aws sts.*?)```", TEXT, re.DOTALL)
    assert block is not None
    script = tmp_path / "dump.sh"
    script.write_text(block[1])
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0


def test_the_policy_allows_just_what_a_live_load_asks_for_by_default() -> None:
    policy = json.loads(re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)[0])
    (statement,) = policy["Statement"]
    when = ("plan", "references", "all")
    by_default = {read.action for read in OPERATIONS if read.when in when} - {"sts:GetCallerIdentity"}
    assert statement == {"Effect": "Allow", "Action": sorted(by_default), "Resource": "*"}


def test_each_read_stands_in_the_readme() -> None:
    for read in OPERATIONS:
        assert read.action in TEXT


def test_each_notebook_stands_in_the_readme_with_its_question() -> None:
    for notebook in sorted((README.parent / "notebooks").glob("*.ipynb")):
        (question,) = re.findall(rf"\]\(notebooks/{notebook.name}\) \| (.*\?) \|", TEXT)
        assert question.split(",")[0].split()[0] in {"What", "Which"}

"""`iamframe notebooks DIR`: the notebooks for whoever installed the package, and nothing of theirs written over."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from commands import run
from test_notebooks import NOTEBOOKS, ROOT

POLICY = "tag-policy.toml"
NAMES = [*(path.name for path in NOTEBOOKS), POLICY]


def test_all_notebooks_are_copied_and_the_next_command_is_said(tmp_path: Path) -> None:
    done = run(tmp_path, "notebooks", "my notebooks")
    assert sorted(path.name for path in (tmp_path / "my notebooks").iterdir()) == NAMES
    copied, following = done.stdout.splitlines()
    assert copied == f"Copied: {', '.join(NAMES)}"
    assert following.endswith("jupyter lab 'my notebooks'")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_there_is_left_as_it_is_and_told_and_force_alone_writes_over_it(tmp_path: Path) -> None:
    mine = tmp_path / "work" / "00_tour.ipynb"
    mine.parent.mkdir()
    mine.write_text("mine")
    (tmp_path / "work" / "01_orphaned_profiles.ipynb").symlink_to(tmp_path / "elsewhere")
    done = run(tmp_path, "notebooks", "work")
    assert mine.read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()
    assert (
        done.stdout.splitlines()[1]
        == "Not copied, because these files exist: 00_tour.ipynb, 01_orphaned_profiles.ipynb; --force overwrites them"
    )
    assert done.stdout.splitlines()[0] == f"Copied: {', '.join(NAMES[2:])}"

    done = run(tmp_path, "notebooks", "work", "--force")
    assert done.stdout.splitlines()[0] == f"Copied: {', '.join(NAMES)}"
    assert "Left" not in done.stdout
    assert json.loads(mine.read_text("utf-8"))["cells"]
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_cannot_be_written_to_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    done = run(tmp_path, "notebooks", "file")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("iamframe: file: the notebooks cannot be copied there (")
    assert done.stderr.endswith("; choose a folder that can be written to\n")
    assert (tmp_path / "file").read_text() == "mine"


def test_no_folder_is_not_the_folder_that_one_is_in(tmp_path: Path) -> None:
    assert run(tmp_path, "notebooks", "").returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_they_are_found_in_an_installed_package_too(tmp_path: Path) -> None:
    """A copy of the package as the wheel lays it out, which CI builds besides."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    shutil.copytree(ROOT / "iamframe", tmp_path / "lib" / "iamframe")
    for there, inside in wheel["force-include"].items():
        copy = shutil.copytree if (ROOT / there).is_dir() else shutil.copy
        copy(ROOT / there, tmp_path / "lib" / inside)
    code = "import iamframe.ui.notebooks as n; print(n.__file__); print(*[f.name for f in n.copy_notebooks('work')[0]])"
    env = os.environ | {"PYTHONPATH": str(tmp_path / "lib")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    file, names = done.stdout.splitlines()
    assert Path(file).is_relative_to(tmp_path)
    assert names.split() == NAMES

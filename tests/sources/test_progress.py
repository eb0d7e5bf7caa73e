"""How far a load is: shown where somebody watches, told to a function, and never with text that AWS sent."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from accounts import add, load

from iamframe.practice import PracticeAccount
from iamframe.sources.progress import progress_bars

COMMAND = [sys.executable, "-m", "iamframe.ui.cli", "check", "aws", "--only", "empty_profiles"]


def test_a_function_is_told_each_stage_to_its_end(account: PracticeAccount) -> None:
    for name in ("a", "b", "c"):
        add(account, name)
    told: list[tuple[str, int, int]] = []
    load(account, references=True, regions=["us-east-1"], progress=lambda *step: told.append(step))
    last = {stage: (done, total) for stage, done, total in told}
    assert last["profiles"] == (3, 3)
    assert last["references"][0] == last["references"][1] > 0
    assert [done for stage, done, _ in told if stage == "profiles"] == [1, 2, 3]


def test_nothing_is_shown_where_nobody_watches(account: PracticeAccount) -> None:
    add(account, "web")
    done = subprocess.run(COMMAND, env=os.environ | account.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "profiles:" not in done.stderr
    assert "\r" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are of POSIX systems")
def test_a_terminal_is_shown_the_stages(account: PracticeAccount) -> None:
    import pty
    import termios

    for number in range(30):
        add(account, f"p{number}")
    account.latency = 0.05
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    process = subprocess.Popen(COMMAND, env=os.environ | account.environment(), stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    seen = b""
    while True:
        try:
            block = os.read(ours, 4096)
        except OSError:
            break
        if not block:
            break
        seen += block
    process.communicate()
    os.close(ours)
    assert process.returncode == 0
    assert b"profiles" in seen
    assert b"/30" in seen


def test_bars_are_named_after_stages_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars(progress=True) as show:
        show("profiles", 1, 2)
        show("profiles", 2, 2)
    assert "profiles" in capsys.readouterr().err


def test_false_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars(progress=False) as show:
        show("profiles", 1, 2)
    assert capsys.readouterr().err == ""

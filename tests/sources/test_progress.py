"""How far a load is: shown where somebody watches, told to a function, and never with text that AWS sent."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import commands
import pytest
from accounts import add, load

from iamframe.practice import PracticeAccount
from iamframe.sources.progress import progress_bars

COMMAND = ["check", "aws", "--only", "empty_profiles"]


def test_a_function_is_told_each_stage_to_its_end(account: PracticeAccount) -> None:
    for name in ("a", "b", "c"):
        add(account, name)
    told: list[tuple[str, int, int]] = []
    load(account, references=True, regions=["us-east-1"], progress=lambda *step: told.append(step))
    last = {stage: (done, total) for stage, done, total in told}
    assert last["profiles"] == (3, 3)
    assert last["references"][0] == last["references"][1] > 0
    assert [done for stage, done, _ in told if stage == "profiles"] == [1, 2, 3]


def test_nothing_is_shown_where_nobody_watches(account: PracticeAccount, tmp_path: Path) -> None:
    add(account, "web")
    done = commands.run(tmp_path, *COMMAND, environment=os.environ | account.environment())
    assert done.returncode == 0
    assert "profiles:" not in done.stderr
    assert "\r" not in done.stderr


def test_each_request_is_logged_where_that_is_wished_with_its_wait_and_refusal_and_no_secret(
    account: PracticeAccount, tmp_path: Path
) -> None:
    add(account, "web")
    account.deny("iam:GetInstanceProfile")
    wish = ["check", "aws", "--only", "untagged_profiles", "--references", "none", "--rate", "50", "-q"]
    role = ["--assume-role", f"arn:aws:iam::{account.account_id}:role/none", "--external-id", "s3cret-external"]
    environment = os.environ | account.environment()
    said = [
        commands.run(tmp_path, *wish, *more, environment=environment).stderr for more in ([], ["-v"], ["-v", *role])
    ]
    assert said[0] == ""
    lines = said[1].splitlines()
    waited = [
        line
        for line in lines
        if re.fullmatch(r"ListInstanceProfiles in \S+: sending the request after a wait of \d\.\d\d s", line)
    ]
    assert len(waited) == 1
    assert "GetInstanceProfile in us-east-1: refused with AccessDenied" in lines
    assert "AssumeRole in us-east-1: refused with AccessDenied\n" in said[2]
    assert not re.search("s3cret|web|practice", said[1] + said[2].split("iamframe: ")[0])


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are of POSIX systems")
@pytest.mark.parametrize("more", [[], ["-q"]])
def test_a_terminal_is_shown_the_stages_unless_it_is_to_be_quiet(account: PracticeAccount, more: list[str]) -> None:
    import pty
    import termios

    for number in range(30):
        add(account, f"p{number}")
    account.latency = 0.05
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    process = subprocess.Popen(
        [sys.executable, "-m", "iamframe.ui.cli", *COMMAND, *more],
        env=os.environ | account.environment(),
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
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
    assert (b"profiles" in seen, b"/30" in seen, seen == b"") == ((False, False, True) if more else (True, True, False))


def test_bars_are_named_after_stages_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars(progress=True) as show:
        show("profiles", 1, 2)
        show("profiles", 2, 2)
    assert "profiles" in capsys.readouterr().err


def test_false_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars(progress=False) as show:
        show("profiles", 1, 2)
    assert capsys.readouterr().err == ""

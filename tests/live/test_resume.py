"""A snapshot of a live account: killed at any moment, the same command completes it and asks for nothing twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import commands
import pytest
from accounts import found, load, same

import iamframe
from iamframe.errors import ExpiredError, StoreError
from iamframe.practice import PracticeAccount
from iamframe.sources.journal import Entry, Journal

# Three kills in the tests; IAMFRAME_KILLS=20 with IAMFRAME_KILL_SIZE=500 is the whole run.
KILLS = int(os.environ.get("IAMFRAME_KILLS", "3"))
SIZE = int(os.environ.get("IAMFRAME_KILL_SIZE", "60"))


@pytest.fixture
def account() -> Iterator[PracticeAccount]:
    with PracticeAccount(regions=("us-east-1",)) as opened:
        yield opened


def command(account: PracticeAccount, out: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "iamframe.ui.cli", "snapshot", "aws", "--out", str(out), *more],
        env=os.environ | account.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(account: PracticeAccount, out: Path, *more: str, account_id: str | None = None) -> tuple[int, str, str]:
    environment = os.environ | account.environment(account_id)
    done = commands.run(Path.cwd(), "snapshot", "aws", "--out", str(out), *more, environment=environment)
    return done.returncode, done.stdout, done.stderr


def test_a_snapshot_is_the_account_and_leaves_nothing_unfinished(account: PracticeAccount, tmp_path: Path) -> None:
    account.fill(roles=8, profiles=8)
    code, said, complained = run(account, tmp_path / "snap")
    assert (code, complained) == (0, "")
    assert said == f"1 account, 8 roles, 8 instance profiles.\nSnapshot: {tmp_path / 'snap'}\n"
    same(iamframe.open_snapshot(tmp_path / "snap"), load(account, references=True))
    assert not (tmp_path / "snap" / "unfinished").exists()


def test_killed_at_any_moment_it_is_completed_with_fewer_requests(account: PracticeAccount, tmp_path: Path) -> None:
    account.fill(roles=SIZE, profiles=SIZE)
    account.latency = 0.02
    account.forget()
    assert run(account, tmp_path / "whole")[0] == 0
    scratch = len(account.requests)
    whole = iamframe.open_snapshot(tmp_path / "whole")
    kills = random.Random(7)
    for number in range(KILLS):
        out = tmp_path / f"killed-{number}"
        account.forget()
        process = command(account, out)
        moment = kills.randrange(1, scratch)
        while len(account.requests) < moment:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        answered = len(account.requests)
        account.forget()
        code, _, complained = run(account, out)
        assert code == 0, complained
        again = len(account.requests)
        # What was in flight when it was killed is asked again: a request per worker at most, and who asks.
        assert again <= scratch - answered + 16 + 1
        assert again < scratch or moment <= 17
        same(iamframe.open_snapshot(out), whole)


def test_an_unfinished_snapshot_says_so_when_it_is_opened(account: PracticeAccount, tmp_path: Path) -> None:
    account.fill(roles=8, profiles=8)
    account.expire(after=9)
    code, _, complained = run(account, tmp_path / "snap")
    assert code == 2
    assert complained.startswith("iamframe: aws: the credentials expired after ")
    assert complained.endswith("are kept; renew them and run the same command again, which goes on from there\n")
    for opened in (iamframe.open_snapshot, iamframe.load):
        with pytest.raises(StoreError, match="is an unfinished snapshot; run the `iamframe snapshot` that began it"):
            opened(tmp_path / "snap")
    account.expire(None)
    assert run(account, tmp_path / "snap")[0] == 0
    assert len(iamframe.open_snapshot(tmp_path / "snap").profiles) == 8


def test_what_fails_before_anything_is_read_leaves_nothing_behind(account: PracticeAccount, tmp_path: Path) -> None:
    account.expire(after=0)
    assert run(account, tmp_path / "snap")[0] == 2
    assert not (tmp_path / "snap").exists()


def test_credentials_of_another_account_do_not_go_on_from_its_answers(account: PracticeAccount, tmp_path: Path) -> None:
    account.fill(roles=8, profiles=8)
    other = account.add_member("other")
    account.fill(roles=2, profiles=2, account_id=other)
    account.expire(after=9)
    assert run(account, tmp_path / "snap")[0] == 2
    account.expire(None)
    assert run(account, tmp_path / "snap", account_id=other)[0] == 0
    inventory = iamframe.open_snapshot(tmp_path / "snap")
    assert set(inventory.profiles["account_id"]) == {other}
    assert len(inventory.profiles) == 2


def test_another_command_does_not_go_on_from_it(account: PracticeAccount, tmp_path: Path) -> None:
    account.fill(roles=8, profiles=8)
    account.expire(after=9)
    session = account.session(region_name="us-east-1")
    with pytest.raises(ExpiredError):
        iamframe.load_account(session, progress=False, journal=tmp_path / "account.jsonl")
    # A load that was refused at once keeps nothing that another command could mix up.
    account.expire(after=9)
    assert run(account, tmp_path / "snap")[0] == 2
    account.expire(None)
    code, _, complained = run(account, tmp_path / "snap", "--references", "none")
    assert code == 2
    assert "holds an unfinished snapshot of other sources or options; finish it with the same command" in complained


def test_what_was_denied_is_asked_again_when_it_goes_on(account: PracticeAccount, tmp_path: Path) -> None:
    account.fill(roles=8, profiles=8)
    account.deny("ListInstanceProfiles")
    session = account.session(region_name="us-east-1")
    journal = tmp_path / "account.jsonl"
    first = iamframe.load_account(session, references=False, progress=False, journal=journal)
    account.allow()
    second = iamframe.load_account(session, references=False, progress=False, journal=journal)
    assert found(first, "empty_profiles") == set()
    same(second, load(account))


def test_an_old_snapshot_stays_whole_until_the_new_one_is(account: PracticeAccount, tmp_path: Path) -> None:
    account.fill(roles=8, profiles=8)
    assert run(account, tmp_path / "snap")[0] == 0
    account.session().client("iam").create_instance_profile(InstanceProfileName="new")
    account.expire(after=5)
    assert run(account, tmp_path / "snap")[0] == 2
    assert len(iamframe.open_snapshot(tmp_path / "snap").profiles) == 8
    account.expire(None)
    assert run(account, tmp_path / "snap")[0] == 0
    assert len(iamframe.open_snapshot(tmp_path / "snap").profiles) == 9


def test_a_folder_of_other_things_is_refused_before_anything_is_asked(account: PracticeAccount, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    account.forget()
    code, _, complained = run(account, tmp_path)
    assert (code, account.requests) == (2, [])
    assert "is not empty and holds no snapshot, and is left as it is; name another folder" in complained


@pytest.mark.parametrize("left", [b"", b'{"options":{"acc'])
def test_a_note_of_the_command_that_was_cut_short_is_written_anew(
    account: PracticeAccount, tmp_path: Path, left: bytes
) -> None:
    account.fill(roles=8, profiles=8)
    account.expire(after=9)
    assert run(account, tmp_path / "snap")[0] == 2
    account.expire(None)
    (tmp_path / "snap" / "unfinished" / "asked.json").write_bytes(left)
    assert run(account, tmp_path / "snap") == (
        0,
        f"1 account, 8 roles, 8 instance profiles.\nSnapshot: {tmp_path / 'snap'}\n",
        "",
    )


LIMITED = """
import os, resource, sys
from iamframe.ui.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.argv = ["iamframe", *sys.argv[2:]]
main()
"""


def limited(account: PracticeAccount, size: int, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-B", "-c", LIMITED, str(size), *arguments],
        env=os.environ | account.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def test_on_a_full_disk_what_was_read_is_kept_and_one_sentence_says_so(
    account: PracticeAccount, tmp_path: Path
) -> None:
    pytest.importorskip("resource", reason="files have no limit on this system")
    account.fill(roles=SIZE, profiles=SIZE)
    account.forget()
    assert run(account, tmp_path / "whole")[0] == 0
    scratch = len(account.requests)
    code, complained = limited(account, 0, "snapshot", "aws", "--out", str(tmp_path / "none"))
    assert (code, complained.count("\n")) == (2, 1)
    assert not (tmp_path / "none").exists()
    file = tmp_path / "snap" / "unfinished" / "account.jsonl"
    account.forget()
    code, complained = limited(account, 100_000, "snapshot", "aws", "--out", str(tmp_path / "snap"))
    assert (code, complained.count("\n")) == (2, 1), complained
    assert "account.jsonl: cannot be written (" in complained
    assert file.read_bytes().endswith(b"}\n")
    kept = file.read_bytes().count(b"\n")
    assert kept > 10
    account.forget()
    assert run(account, tmp_path / "snap")[0] == 0
    assert len(account.requests) <= scratch - kept + 1
    same(iamframe.open_snapshot(tmp_path / "snap"), iamframe.open_snapshot(tmp_path / "whole"))


def test_a_fleet_on_a_full_disk_gives_up_no_account(
    account: PracticeAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = account.add_member("a"), account.add_member("b")
    for name, value in account.environment().items():
        monkeypatch.setenv(name, value)
    put = Journal.put

    def full(journal: Journal, entry: Entry) -> None:
        if second in str(journal._path):
            raise StoreError("cannot be written")
        put(journal, entry)

    call: dict[str, Any] = {"role_name": "OrganizationAccountAccessRole", "references": False, "progress": False}
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "put", full)
        with pytest.raises(StoreError, match="cannot be written"):
            iamframe.take_snapshot(tmp_path / "snap", "aws", accounts=[first, second], **call)
    inventory = iamframe.take_snapshot(tmp_path / "snap", "aws", accounts=[first, second], **call)
    assert set(inventory.roles["account_id"]) == {first, second}


KILLED = """
import os, pathlib, sys
from iamframe.ui.cli import main
rename = pathlib.Path.rename
def killed(self, target):
    moved = rename(self, target)
    if str(target).endswith("iamframe-old"):
        os.kill(os.getpid(), 9)
    return moved
pathlib.Path.rename = killed
sys.argv = ["iamframe", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize("over", [False, True])
def test_killed_between_the_two_renames_of_the_save_it_goes_on(
    account: PracticeAccount, tmp_path: Path, over: bool
) -> None:
    account.fill(roles=8, profiles=8)
    out = tmp_path / "deep" / "snap"
    if over:
        assert run(account, out)[0] == 0
        account.session().client("iam").create_instance_profile(InstanceProfileName="new")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, "snapshot", "aws", "--out", str(out)],
        env=os.environ | account.environment(),
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    if over:
        assert len(iamframe.open_snapshot(out).profiles) == 8
    else:
        with pytest.raises(StoreError, match=r"/snap: is an unfinished snapshot; run the `iamframe snapshot`"):
            iamframe.open_snapshot(out)
    account.forget()
    assert run(account, out)[0] == 0
    # Only who asks is asked again.
    assert len(account.requests) == 1
    assert len(iamframe.open_snapshot(out).profiles) == 8 + over
    assert [entry.name for entry in out.parent.iterdir()] == ["snap"]
    assert not (out / "unfinished").exists()

"""Processes that are killed, interrupted or run out of disk: what is on the disk stays whole, and goes on."""

from __future__ import annotations

import atexit
import functools
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from accounts import same, snapshot
from builders import of_accounts
from test_fleet import load as load_fleet
from test_fleet import members
from test_snapshot import assert_same

import iamframe
from iamframe import Inventory, open_snapshot
from iamframe.errors import StoreError
from iamframe.practice import PracticeAccount

# Three kills in the tests; IAMFRAME_KILLS=20 with IAMFRAME_KILL_SIZE=500 is the whole run.
KILLS = int(os.environ.get("IAMFRAME_KILLS", "3"))
SIZE = int(os.environ.get("IAMFRAME_KILL_SIZE", "60"))

# It has loaded iamframe and forks a process for each line, which need not load it before it is killed.
RESIDENT = """
import json, os, sys
import boto3, builders, iamframe.inventory.fleet, iamframe.inventory.load, iamframe.ui.cli
for line in sys.stdin:
    code, sys.argv, environment = json.loads(line)
    if not (pid := os.fork()):
        os.environ.update(environment)
        exec(code, {})
        sys.exit()
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@functools.cache
def resident() -> Any:
    path = os.pathsep.join(str(Path(file).parents[1]) for file in (__file__, iamframe.__file__))
    process = subprocess.Popen(
        [sys.executable, "-c", RESIDENT],
        env=os.environ | {"PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.communicate)
    return process


class Process:
    """A process that runs this code with these arguments; there is one at a time."""

    def __init__(self, code: str, *arguments: object, account: PracticeAccount | None = None) -> None:
        environment = account.environment() if account else {}
        line = json.dumps([code, ["iamframe", *map(str, arguments)], environment])
        print(line, file=resident().stdin, flush=True)
        self.pid = int(resident().stdout.readline())

    def wait(self) -> int:
        return int(resident().stdout.readline())

    def kill(self) -> None:
        # It may have ended by itself.
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.wait()


MAIN = "import sys\nfrom iamframe.ui.cli import main\nsys.stdout = sys.stderr\nmain()\n"


def test_killed_at_any_moment_it_is_completed_with_fewer_requests(account: PracticeAccount, tmp_path: Path) -> None:
    account.fill(roles=SIZE, profiles=SIZE)
    account.latency = 0.02
    account.forget()
    assert snapshot(account, tmp_path / "whole")[0] == 0
    scratch = len(account.requests)
    whole = iamframe.open_snapshot(tmp_path / "whole")
    kills = random.Random(7)
    for number in range(KILLS):
        out = tmp_path / f"killed-{number}"
        account.forget()
        process = Process(MAIN, "snapshot", "aws", "--out", out, account=account)
        moment = kills.randrange(1, scratch)
        while len(account.requests) < moment:
            time.sleep(0.001)
        process.kill()
        answered = len(account.requests)
        account.forget()
        code, _, complained = snapshot(account, out)
        assert code == 0, complained
        again = len(account.requests)
        # What was in flight when it was killed is asked again: a request per worker at most; and who asks, and for a
        # policy of an organization, since errors are not kept.
        assert again <= scratch - answered + 16 + 2
        assert again < scratch or moment <= 17
        same(iamframe.open_snapshot(out), whole)


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
    assert snapshot(account, tmp_path / "whole")[0] == 0
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
    assert snapshot(account, tmp_path / "snap")[0] == 0
    assert len(account.requests) <= scratch - kept + 1
    same(iamframe.open_snapshot(tmp_path / "snap"), iamframe.open_snapshot(tmp_path / "whole"))


KILLED = f"""
import os, pathlib
rename = pathlib.Path.rename
def killed(self, target):
    moved = rename(self, target)
    if str(target).endswith("iamframe-old"):
        os.kill(os.getpid(), 9)
    return moved
pathlib.Path.rename = killed
{MAIN}
"""


@pytest.mark.parametrize("over", [False, True])
def test_killed_between_the_two_renames_of_the_save_it_goes_on(
    account: PracticeAccount, tmp_path: Path, over: bool
) -> None:
    account.fill(roles=8, profiles=8)
    out = tmp_path / "deep" / "snap"
    if over:
        assert snapshot(account, out)[0] == 0
        account.session().client("iam").create_instance_profile(InstanceProfileName="new")
    assert Process(KILLED, "snapshot", "aws", "--out", out, account=account).wait() == -signal.SIGKILL
    assert not out.exists()
    if over:
        assert len(iamframe.open_snapshot(out).profiles) == 8
    else:
        with pytest.raises(StoreError, match=r"/snap: is an unfinished snapshot; run the same `iamframe snapshot`"):
            iamframe.open_snapshot(out)
    account.forget()
    assert snapshot(account, out)[0] == 0
    # Only who asks is asked again.
    assert [request.action for request in account.requests] == ["GetCallerIdentity"]
    assert len(iamframe.open_snapshot(out).profiles) == 8 + over
    assert [entry.name for entry in out.parent.iterdir()] == ["snap"]
    assert not (out / "unfinished").exists()


FLEET = """
import os, pathlib, sys
import iamframe
rename, moves = pathlib.Path.rename, []
def killed(self, target):
    moved = rename(self, target)
    moves.append(target)
    if len(moves) == int(sys.argv[2]):
        os.kill(os.getpid(), 9)
    return moved
pathlib.Path.rename = killed
role = "OrganizationAccountAccessRole"
iamframe.load_fleet(sys.argv[3:], role_name=role, references=False, progress=False, out=sys.argv[1])
"""


def test_a_fleet_that_is_killed_at_any_moment_goes_on_with_the_accounts_that_are_missing(
    organization: PracticeAccount, tmp_path: Path
) -> None:
    ids = members(organization, 12)
    organization.latency = 0.02
    organization.forget()
    whole = load_fleet(ids, out=tmp_path / "whole")
    scratch = len(organization.requests)
    kills = random.Random(os.environ.get("IAMFRAME_SEED"))
    for number in range(KILLS):
        out = tmp_path / f"killed-{number}"
        organization.forget()
        process = Process(FLEET, out, 0, *ids, account=organization)
        moment = kills.randrange(1, scratch)
        while len(organization.requests) < moment:
            time.sleep(0.001)
        process.kill()
        assert not (out / "manifest.json").exists()
        complete = {file.stem for file in out.rglob("[0-9]*.json")}
        organization.forget()
        same(load_fleet(ids, out=out), whole)
        again = {one.account_id for one in organization.requests if one.action == "GetAccountSummary"}
        assert not again & complete
        same(iamframe.open_snapshot(out), whole)


def test_a_fleet_that_is_killed_between_the_renames_of_its_end_asks_for_no_account_again(
    organization: PracticeAccount, tmp_path: Path
) -> None:
    ids = members(organization, 2)
    whole = load_fleet(ids)
    for over, rename in itertools.product([False, True], [1, 2, 3]):
        out = tmp_path / f"over {over}, rename {rename}" / "snap"
        if over:
            of_accounts("a").save(out)
        assert Process(FLEET, out, rename, *ids, account=organization).wait() == -signal.SIGKILL, out
        if over and rename < 3:
            assert_same(of_accounts("a"), open_snapshot(out))
        elif rename < 3:
            with pytest.raises(StoreError, match=r"/snap: is an unfinished snapshot; run the same `iamframe snapshot`"):
                open_snapshot(out)
        if rename < 3:
            organization.forget()
            load_fleet(ids, out=out)
            # The credentials are fetched once, and no account is read.
            assert {one.action for one in organization.requests} == {"GetCallerIdentity"}, out
            assert [entry.name for entry in out.parent.iterdir()] == ["snap"]
        same(open_snapshot(out), whole)


SAVER = """
import sys
from builders import of_accounts
inventories = {name: of_accounts(*(f"{name}{n}" for n in range(4))) for name in "ab"}
inventories["a"].save(sys.argv[1])
print("ready", flush=True)
while True:
    for name in "ba":
        inventories[name].save(sys.argv[1])
"""


@contextmanager
def saving(out: Path) -> Iterator[None]:
    """A process saves two inventories over one another until it is killed."""
    process = Process(SAVER, out)
    assert resident().stdout.readline() == "ready\n"
    try:
        yield
    finally:
        process.kill()


@functools.cache
def saved(name: str) -> Inventory:
    """One of the two that the saver saves."""
    return of_accounts(*(f"{name}{n}" for n in range(4)))


def whose(inventory: Inventory) -> str:
    """Which of the two that the saver saves this is; each frame is of that one alone."""
    (name,) = {account[0] for frame in inventory.frames.values() for account in frame["account_id"]}
    assert_same(saved(name), inventory)
    return str(name)


@pytest.mark.skipif(os.name == "nt", reason="there is no kill -9")
def test_after_a_kill_at_any_moment_the_old_or_the_new_snapshot_opens(tmp_path: Path) -> None:
    moments = random.Random(os.environ.get("IAMFRAME_SEED"))
    for _ in range(5):
        with saving(tmp_path / "snapshot"):
            time.sleep(moments.uniform(0, 0.4))
        assert whose(open_snapshot(tmp_path / "snapshot")) in "ab"
    of_accounts("z").save(tmp_path / "snapshot")
    assert_same(of_accounts("z"), open_snapshot(tmp_path / "snapshot"))


def test_who_opens_a_snapshot_while_it_is_replaced_gets_the_old_or_the_new_one(tmp_path: Path) -> None:
    with saving(tmp_path / "snapshot"):
        seen = {whose(open_snapshot(tmp_path / "snapshot")) for _ in range(40)}
    assert seen == {"a", "b"}


def test_an_interrupt_ends_the_command_at_once_though_requests_stand_in_line(account: PracticeAccount) -> None:
    account.fill(roles=40, profiles=40)
    account.forget()
    process = subprocess.Popen(
        [sys.executable, "-m", "iamframe.ui.cli", "check", "aws", "--references", "none", "--rate", "1"],
        env=os.environ | account.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # Sixteen stand in line then, of which the last is to be sent in as many seconds.
    while not account.counts()["GetInstanceProfile"]:
        time.sleep(0.05)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, complained = process.communicate(timeout=60)
    assert process.returncode == 130
    assert complained.strip() == ""
    assert time.monotonic() - began < 14

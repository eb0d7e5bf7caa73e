"""Many accounts in processes and on Dask: loads and checks are those of one process, though a worker is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import accounts
import commands
import pytest
from pandas.testing import assert_frame_equal
from test_fleet import ROLE, load, members

import iamframe
from iamframe import Result
from iamframe.practice import PracticeAccount

# Ten accounts in the tests; IAMFRAME_FLEET=200 is the whole run.
SIZE = int(os.environ.get("IAMFRAME_FLEET", "10"))
PROFILES = int(os.environ.get("IAMFRAME_FLEET_PROFILES", "4"))

SECOND = "123456789012"
# The process that checks the second account is killed: the first time, or each time.
DIES = """
import os
import pathlib
import signal

import iamframe

@iamframe.check(severity="low", detail="has a name")
def dies(profiles):
    '''Profiles with a name.'''
    mark = pathlib.Path({mark!r})
    if "123456789012" in set(profiles["account_id"]) and not mark.exists():
        {touch}
        os.kill(os.getpid(), signal.SIGKILL)
    return profiles.rename(columns={{"profile_arn": "resource_arn"}})
"""


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards") / "snapshot"
    iamframe.load_sample().save(folder)
    return folder


def house(folder: Path, *, each_time: bool = False) -> Path:
    file = folder / "house.py"
    file.write_text(DIES.format(mark=str(folder / "killed"), touch="pass" if each_time else "mark.touch()"), "utf-8")
    return file


def same(parts: Result, whole: Result) -> None:
    assert_frame_equal(parts.findings, whole.findings)
    assert_frame_equal(parts.coverage, whole.coverage)
    assert len(parts["dies"]) == 109


def test_a_process_that_is_killed_half_way_changes_nothing(snapshot: Path, tmp_path: Path) -> None:
    check = house(tmp_path)
    parts = iamframe.check_snapshot(snapshot, tmp_path / "out", checks=check, shard_size=1, workers=2)
    assert (tmp_path / "killed").exists()
    # The marker keeps the check from killing this process.
    same(parts, iamframe.run_checks(iamframe.open_snapshot(snapshot), checks=check))


def test_an_account_that_kills_each_process_costs_itself_alone(snapshot: Path, tmp_path: Path) -> None:
    check = house(tmp_path, each_time=True)
    parts = iamframe.check_snapshot(snapshot, tmp_path / "out", checks=check, shard_size=1, workers=2)
    unknown = parts.coverage[parts.coverage["account_id"] == SECOND]
    assert set(unknown["status"]) == {"unknown"}
    assert unknown["reason"].str.startswith("the account could not be checked: the process that checked it ended").all()
    assert set(parts.findings["account_id"]) == {"111122223333", "444455556666"}


def test_a_script_needs_no_guard_and_its_own_functions_are_checks(snapshot: Path, tmp_path: Path) -> None:
    """A process that ran the script again would print a second result, without findings."""
    text = house(tmp_path).read_text("utf-8").replace("os.kill(os.getpid(), signal.SIGKILL)", "pass")
    text += f"\nprint(iamframe.check_snapshot({str(snapshot)!r}, 'out', only=['dies'], checks=dies, shard_size=1))\n"
    (tmp_path / "script.py").write_text(text, "utf-8")
    expected = "Result(109 findings: 109 low; the check had complete data)\n"
    for out, command, given in (
        ("out", [tmp_path / "script.py"], ""),
        ("other", ["-"], text.replace("'out'", "'other'")),
    ):
        run = subprocess.run(
            [sys.executable, *command], input=given, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (run.stdout, run.returncode) == (expected, 0), run.stderr
        assert (tmp_path / out / "checked.json").exists()


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed", reason="the extra fleet is not installed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_dask_loads_the_same_frames_as_threads(organization: PracticeAccount, dask: Any, tmp_path: Path) -> None:
    ids = members(organization, SIZE, PROFILES)
    broken = {"account_id": ids[-1], "role_name": "missing"}
    # Three that fail, each in its way: no such role, no such account, a profile that is not there.
    given = [*ids[:-2], broken, "999999999999", {"account_id": ids[-2], "profile": "nope"}]
    threads, environment = load(given), organization.environment()
    dask.run(lambda: os.environ.update(environment))
    loaded = load(given, executor=dask.get_executor(pure=False))
    saved = load(given, executor=dask.get_executor(pure=False), out=tmp_path / "snap")
    accounts.same(threads, loaded)
    accounts.same(threads, saved)
    assert len(threads.profiles) == (SIZE - 2) * PROFILES
    assert len(threads.gaps[threads.gaps["operation"] == "AssumeRole"]) == 3


def test_dask_finds_the_same_although_a_worker_is_killed_half_way(snapshot: Path, dask: Any, tmp_path: Path) -> None:
    check, executor = house(tmp_path), dask.get_executor(pure=False)
    parts = iamframe.check_snapshot(snapshot, tmp_path / "out", checks=check, shard_size=1, executor=executor)
    assert (tmp_path / "killed").exists()
    same(parts, iamframe.run_checks(iamframe.open_snapshot(snapshot), checks=check))
    address = dask.scheduler.address
    run = commands.run(tmp_path, "report", str(snapshot), "--dask", address, "--checks", str(check))
    assert run.returncode == 0, run.stderr
    assert "Collected: 3 accounts, 148 roles, 109 instance profiles." in run.stdout
    assert (tmp_path / "iamframe-report" / "checks" / "dies.csv").read_text("utf-8").count("\n") == 110


def test_the_command_line_with_processes_writes_the_report_of_one_process(snapshot: Path, tmp_path: Path) -> None:
    one = commands.run(tmp_path, "report", str(snapshot), "--out", "one")
    options = ["--out", "two", "--workers", "2", "--results", "results"]
    two = commands.process(tmp_path, "report", str(snapshot), *options)
    assert (one.returncode, two.returncode) == (0, 0), one.stderr + two.stderr
    assert one.stdout.replace("one/", "") == two.stdout.replace("two/", "")
    assert (tmp_path / "results" / "checked.json").exists()
    files = sorted(file.relative_to(tmp_path / "one") for file in (tmp_path / "one").rglob("*.csv"))
    assert len(files) > 30
    for file in files:
        # Shards give facts account by account.
        rows = [sorted((tmp_path / name / file).read_text("utf-8").split("\r\n")) for name in ("one", "two")]
        assert rows[0] == rows[1], file


def test_threads_processes_and_one_at_a_time_give_the_same_frames(
    organization: PracticeAccount, tmp_path: Path
) -> None:
    ids = members(organization, 4)
    one = iamframe.load_fleet(ids, role_name=ROLE, references=False, progress=False, executor=ThreadPoolExecutor(1))
    accounts.same(one, load(ids))
    with ProcessPoolExecutor(2) as processes:
        accounts.same(one, load(ids, executor=processes))
        accounts.same(one, load(ids, executor=processes, out=tmp_path / "snap"))

"""Many accounts on executors that start processes: the same frames as on threads."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from accounts import same
from test_fleet import ROLE, load, members

import iamframe
from iamframe.practice import PracticeAccount

# Ten accounts in the tests; IAMFRAME_FLEET=200 is the whole run.
SIZE = int(os.environ.get("IAMFRAME_FLEET", "10"))


PROFILES = int(os.environ.get("IAMFRAME_FLEET_PROFILES", "4"))


def test_threads_processes_and_one_at_a_time_give_the_same_frames(
    organization: PracticeAccount, tmp_path: Path
) -> None:
    ids = members(organization, 4)
    one = iamframe.load_fleet(ids, role_name=ROLE, references=False, progress=False, executor=ThreadPoolExecutor(1))
    same(one, load(ids))
    with ProcessPoolExecutor(2) as processes:
        same(one, load(ids, executor=processes))
        same(one, load(ids, executor=processes, out=tmp_path / "snap"))


def test_dask_gives_the_same_frames_as_threads(organization: PracticeAccount, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="the extra fleet is not installed")
    ids = members(organization, SIZE, PROFILES)
    broken = {"account_id": ids[-1], "role_name": "missing"}
    # Three that fail, each in its way: no such role, no such account, a profile that is not there.
    accounts = [*ids[:-2], broken, "999999999999", {"account_id": ids[-2], "profile": "nope"}]
    threads = load(accounts)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        dask = load(accounts, executor=client.get_executor(pure=False))
        saved = load(accounts, executor=client.get_executor(pure=False), out=tmp_path / "snap")
    same(threads, dask)
    same(threads, saved)
    assert len(threads.profiles) == (SIZE - 2) * PROFILES
    assert len(threads.gaps[threads.gaps["operation"] == "AssumeRole"]) == 3

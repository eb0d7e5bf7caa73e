"""Measure live loads against an account on this machine that answers as AWS does, each beside what it is compared with.

    python benchmarks/live.py [--size 500] [--rounds 5] [--fleet 200] [--kills 20]

The account (`iamframe.practice`) answers each request after 20 ms at the earliest, which is what a request to IAM takes
nearby. The floor is what a careful script would do by hand: the account dump, one listing, the tags of each profile by
sixteen threads, and four DataFrames; it is a process of its own, as iamframe is, and both take turns.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

import iamframe
from iamframe.practice import PracticeAccount

FLOOR = """
from concurrent.futures import ThreadPoolExecutor
import boto3
from botocore.config import Config
iam = boto3.client("iam", config=Config(max_pool_connections=18, retries={"mode": "standard", "max_attempts": 10}))
def pages(operation, key, **more):
    for page in iam.get_paginator(operation).paginate(PaginationConfig={"PageSize": 1000}, **more):
        yield from page[key]
with ThreadPoolExecutor(16) as pool:
    dump = pool.submit(lambda: list(pages("get_account_authorization_details", "RoleDetailList", Filter=["Role"])))
    profiles = list(pages("list_instance_profiles", "InstanceProfiles"))
    ask = lambda p: iam.list_instance_profile_tags(InstanceProfileName=p["InstanceProfileName"])["Tags"]
    tags = list(pool.map(ask, profiles))
    roles = dump.result()
import pandas as pd
role = pd.DataFrame([{"role": r["RoleName"], "path": r["Path"]} for r in roles])
profile = pd.DataFrame([{"profile": p["InstanceProfileName"], "path": p["Path"]} for p in profiles])
pairs = [(p["InstanceProfileName"], r["RoleName"]) for p in profiles for r in p["Roles"]]
link = pd.DataFrame(pairs, columns=["profile", "role"])
tag = pd.DataFrame(
    [{"name": r["RoleName"], **t} for r in roles for t in r["Tags"]]
    + [{"name": p["InstanceProfileName"], **t} for p, ts in zip(profiles, tags) for t in ts])
assert len(profile.merge(link, how="left").merge(role, on="role", how="left")) == len(profile)
"""
OURS = """
import boto3, iamframe
inventory = iamframe.load_account(boto3.Session(), regions=["us-east-1"], **{options})
result = iamframe.run_checks(inventory)
"""


def timed(account: PracticeAccount, code: str) -> tuple[float, int, int, float]:
    """Return the seconds of a process, its requests, those throttled, and the seconds from first to last request."""
    account.forget()
    start, seen, arrivals = time.perf_counter(), 0, [0.0]
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ | account.environment())
    while process.poll() is None:
        if seen != (seen := len(account.requests)):
            arrivals.append(time.perf_counter())
        time.sleep(0.005)
    seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(process.returncode)
    refused = sum(request.error_code == "Throttling" for request in account.requests)
    return seconds, len(account.requests), refused, arrivals[-1] - arrivals[1]


def ours(**options: object) -> str:
    return OURS.format(options={"references": False, **options})


def medians(
    account: PracticeAccount, rounds: int, codes: Sequence[str], pause: float = 0
) -> list[tuple[float, int, int, float]]:
    """Return, for each side, the median seconds and the largest numbers of requests, as in `timed`.

    The sides take turns. The first round does not count. `pause` is in seconds, before each run.
    """

    def run(code: str) -> tuple[float, int, int, float]:
        time.sleep(pause)
        return timed(account, code)

    runs = [[run(code) for code in codes] for _ in range(rounds + 1)][1:]
    return [
        (
            statistics.median(run[side][0] for run in runs),
            *(max(run[side][k] for run in runs) for k in (1, 2)),
            statistics.median(run[side][3] for run in runs),
        )
        for side in range(len(codes))
    ]


def one_account(size: int, rounds: int) -> None:
    with PracticeAccount(regions=("us-east-1",)) as account:
        account.fill(roles=size, profiles=size)
        account.latency = 0.02
        floor, plain, references = medians(account, rounds, [FLOOR, ours(), ours(references=True)])
        (index,) = medians(account, 1, [ours(tag_index=True)])
    what = f"{size} roles and {size} profiles, 20 ms per request"
    row(
        what,
        f"{plain[0]:.2f} s, {plain[1]} requests",
        f"{plain[0] / floor[0]:.2f} x the time of the script ({floor[0]:.2f} s)",
    )
    row("the same account, with references of one region", f"{references[0]:.2f} s, {references[1]} requests", "")
    row(
        "the same account, with the tag index; half of the profiles have tags",
        f"{index[0]:.2f} s, {index[1]} requests",
        "",
    )


def throttled(size: int, rounds: int) -> None:
    with PracticeAccount(regions=("us-east-1",)) as account:
        account.fill(roles=size, profiles=size)
        account.latency = 0.02
        account.throttle(25, 50)
        # The least that is possible counts on 50 requests at once. After two seconds, the account allows them again.
        (free,) = medians(account, rounds, [ours()], pause=2)
        (capped,) = medians(account, 1, [ours(rate=15)], pause=2)
    least = (size + 4 - 50) / 25
    what = f"{size} roles and {size} profiles; IAM allows 50 requests at once, then 25 per second"
    row(
        what,
        f"{free[0]:.2f} s, {free[2]} requests refused",
        f"{free[0] / least:.2f} x the shortest possible time ({least:.1f} s)",
    )
    what = "the same load, counted from the first to the last request"
    row(what, f"{free[3]:.2f} s", f"{free[3] / least:.2f} x the shortest possible time")
    row("the same load, with `rate=15`", f"{capped[0]:.2f} s, {capped[2]} requests refused", "")


def killed(size: int, kills: int) -> None:
    moments = random.Random(11)
    with PracticeAccount(regions=("us-east-1",)) as account, tempfile.TemporaryDirectory() as folder:
        account.fill(roles=size, profiles=size)
        account.latency = 0.02
        account.forget()
        snapshot(account, Path(folder) / "whole").wait()
        scratch = len(account.requests)
        whole = iamframe.open_snapshot(Path(folder) / "whole")
        shares = []
        for number in range(kills):
            out = Path(folder) / str(number)
            account.forget()
            process = snapshot(account, out)
            moment = moments.randrange(1, scratch)
            while len(account.requests) < moment:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            process.wait()
            account.forget()
            assert snapshot(account, out).wait() == 0
            assert len(account.requests) <= scratch - moment + 17
            shares.append(len(account.requests) / scratch)
            again = iamframe.open_snapshot(out)
            for name in ("roles", "profiles", "links", "tags", "references", "gaps"):
                pd.testing.assert_frame_equal(again.frames[name], whole.frames[name])
    row(
        f"{size} roles and {size} profiles; {kills} loads killed (`kill -9`) at random moments, then resumed",
        f"{kills} times the same frames as without interruption",
        f"the second run sends {statistics.mean(shares):.0%} of the {scratch} requests on average",
    )


def snapshot(account: PracticeAccount, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "iamframe.ui.cli", "snapshot", "aws", "--out", str(out), "--references", "none"]
    return subprocess.Popen(command, env=os.environ | account.environment(), stdout=subprocess.DEVNULL)


def fleet(accounts: int, profiles: int) -> None:
    import distributed

    with PracticeAccount(regions=("us-east-1",)) as account:
        os.environ.update(account.environment())
        ids = [account.add_member(f"team-{number}") for number in range(accounts)]
        for one in ids:
            account.fill(roles=profiles, profiles=profiles, account_id=one)
        # Three that fail, each in its way: no such role, no such account, a profile that is not there.
        broken = [
            {"account_id": ids[0], "role_name": "missing"},
            "999999999999",
            {"account_id": ids[1], "profile": "nope"},
        ]
        asked = [*broken, *ids[2:]]
        options = {"role_name": "OrganizationAccountAccessRole", "references": False, "progress": False}
        start = time.perf_counter()
        threads = iamframe.load_fleet(asked, **options)
        by_threads = time.perf_counter() - start
        with (
            distributed.LocalCluster(n_workers=2, threads_per_worker=4, dashboard_address=":0") as cluster,
            distributed.Client(cluster) as client,
        ):
            start = time.perf_counter()
            dask = iamframe.load_fleet(asked, executor=client.get_executor(pure=False), **options)
            by_dask = time.perf_counter() - start
    for name in ("roles", "profiles", "links", "tags", "gaps"):
        pd.testing.assert_frame_equal(threads.frames[name], dask.frames[name])
    assert len(threads.profiles) == (accounts - 2) * profiles
    assert len(threads.gaps[threads.gaps["operation"] == "AssumeRole"]) == 3
    row(
        f"{accounts} accounts with {profiles} roles and {profiles} profiles each; three accounts fail",
        f"{by_threads:.0f} s with threads, {by_dask:.0f} s with a Dask LocalCluster of two processes",
        "both give the same frames; only the three accounts have no rows",
    )


def row(what: str, measured: str, ratio: str) -> None:
    print(f"| {what} | {measured} | {ratio} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--fleet", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    args = parser.parse_args()
    print("| work | measured | ratio |\n| --- | --- | --- |")
    one_account(args.size, args.rounds)
    throttled(args.size // 5, args.rounds)
    if args.kills:
        killed(args.size, args.kills)
    if args.fleet:
        fleet(args.fleet, 50)


if __name__ == "__main__":
    main()

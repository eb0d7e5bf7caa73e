"""Measure the report of a snapshot of many accounts, checked in shards by several processes.

    python benchmarks/shards.py [--roles 500000] [--accounts 1000] [--workers 2] [--rounds 3] [--dask] [--equal]
                                [--against "COMMAND {snapshot}"]

To show the growth, a snapshot with twice as many accounts and roles is measured, too. Each run is the command line in a
process of its own. The peak is that of its largest process.

`--dask` also measures a LocalCluster of `--workers` processes. Its peak does not include the workers. `--equal`
compares findings, facts and coverage with those of one process, also on Dask with a worker killed half-way. `--against`
also measures another command. All sides take turns.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import iamframe

# The worker on Dask is killed after so many seconds, which is about half-way.
KILLED_AFTER = 4.0
HERE = pathlib.Path(__file__).parent
MAKE = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
from make_inventory import make_inventory
make_inventory(int(sys.argv[1]), int(sys.argv[2])).save(sys.argv[3])
"""


def measured(command: list[str]) -> tuple[float, float]:
    """Run a command. Return its seconds, and the peak memory of its largest process in MB."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # The usage of a process that has ended includes that of its own children.
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{shlex.join(command)} exited with {child.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def report(snapshot: str, out: str, *how: str) -> list[str]:
    command = str(pathlib.Path(sys.executable).with_name("iamframe"))
    return [command, "report", snapshot, "--out", out, *how]


def compare(snapshot: str, results: str, workers: int) -> None:
    """Stop unless the shards give what one process gives, in processes, and on Dask with a worker killed half-way."""
    from distributed import Client, LocalCluster

    whole = iamframe.run_checks(iamframe.open_snapshot(snapshot))
    same(iamframe.check_snapshot(snapshot, f"{results}/processes", workers=workers), whole)
    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as cluster:
        first = next(iter(cluster.workers.values()))
        killer = threading.Timer(KILLED_AFTER, lambda: os.kill(first.pid, signal.SIGKILL))
        with Client(cluster) as client:
            killer.start()
            start = time.perf_counter()
            parts = iamframe.check_snapshot(snapshot, f"{results}/dask", executor=client.get_executor(pure=False))
            seconds = time.perf_counter() - start
    assert seconds > KILLED_AFTER, "the checks were over before the worker was killed; take more roles"
    same(parts, whole)
    print(f"\n{len(whole.findings):,} findings, their facts and the coverage are those of one process, row by row, in")
    print(f"processes, and on Dask with a worker killed (`kill -9`) after {KILLED_AFTER} of {seconds:.1f} s.")


def same(parts: iamframe.Result, whole: iamframe.Result) -> None:
    from pandas.testing import assert_frame_equal

    assert_frame_equal(parts.findings, whole.findings)
    assert_frame_equal(parts.coverage, whole.coverage)
    for name in whole.checks:
        facts = [one[name].sort_values("finding_id", kind="stable", ignore_index=True) for one in (parts, whole)]
        assert_frame_equal(*facts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--roles", type=int, default=500_000)
    parser.add_argument("--accounts", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dask", action="store_true")
    parser.add_argument("--equal", action="store_true")
    parser.add_argument("--against")
    args = parser.parse_args()
    how = ["--workers", str(args.workers)]
    with tempfile.TemporaryDirectory() as folder:
        snapshots = {}
        for times in (1, 2):
            snapshots[times] = f"{folder}/{times}"
            numbers = (str(times * args.roles), str(times * args.accounts))
            subprocess.run([sys.executable, "-c", MAKE, *numbers, snapshots[times]], check=True)
        sides = {f"{args.workers} processes": lambda: measured(report(snapshots[1], f"{folder}/out", *how))}
        sides["twice as many"] = lambda: measured(report(snapshots[2], f"{folder}/out", *how))
        sides["one process"] = lambda: measured(report(snapshots[1], f"{folder}/out"))
        if args.against:
            against = shlex.split(args.against.format(snapshot=snapshots[1]))
            sides["the other command"] = lambda: measured(against)
        if args.dask:
            sides["Dask"] = lambda: on_dask(snapshots[1], f"{folder}/out", args.workers)
        runs = [{name: side() for name, side in sides.items()} for _ in range(args.rounds)]
        rows = [(name, *(statistics.median(run[name][k] for run in runs) for k in (0, 1))) for name in sides]
        print(f"{args.roles:,} roles in {args.accounts:,} accounts, from the snapshot to the written report")
        print("| how | seconds | peak MB of a process |\n| --- | --- | --- |")
        for name, seconds, peak in rows:
            print(f"| {name} | {seconds:.1f} | {peak:.0f} |")
        (_, first, peak), (_, second, second_peak) = rows[:2]
        print(
            f"\nTwice as many accounts take {second / first:.2f} x the time and {second_peak / peak:.2f} x the memory."
        )
        for name, seconds, _ in rows[2:]:
            print(f"{name}: the processes take {first / seconds:.2f} x its time.")
        if args.equal:
            compare(snapshots[1], f"{folder}/results", args.workers)


def on_dask(snapshot: str, out: str, workers: int) -> tuple[float, float]:
    """Return the seconds on a LocalCluster, without its start, and the peak of the process that writes the report."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as cluster:
        return measured(report(snapshot, out, "--dask", cluster.scheduler_address))


if __name__ == "__main__":
    main()

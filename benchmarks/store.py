"""Measure a snapshot: saving it, opening it, and all checks on what was opened.

    python benchmarks/store.py [--roles 1000000] [--accounts 1] [--rounds 3]

As many profiles as roles and four times as many tags, and a tenth of all that first, for the ratio. Each step is a
process of its own, and medians count. The peak is all that a process held: of the checks, the opened frames and the
findings too.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import tempfile

from run import HERE, TIMED, once

SAVE = (
    TIMED
    + f"""
sys.path.insert(0, {str(HERE)!r})
from make_inventory import make_inventory
inventory = make_inventory(int(sys.argv[2]), int(sys.argv[3]))
start = time.perf_counter()
inventory.save(path)
seconds = time.perf_counter() - start
"""
)
OPEN = (
    TIMED
    + """
import iamframe
start = time.perf_counter()
inventory = iamframe.open_snapshot(path)
seconds = time.perf_counter() - start
"""
)
CHECKS = (
    TIMED
    + """
import iamframe
start = time.perf_counter()
result = iamframe.run_checks(iamframe.open_snapshot(path))
seconds = time.perf_counter() - start
"""
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--roles", type=int, default=1_000_000)
    parser.add_argument("--accounts", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for roles in (args.roles // 10, args.roles):
            place = f"{folder}/{roles}"
            saves = [once(SAVE, place, str(roles), str(args.accounts)) for _ in range(args.rounds)]
            size = sum(file.stat().st_size for file in pathlib.Path(place).rglob("*.parquet")) / 1e6
            steps = {f"save ({size:.0f} MB)": saves}
            for name, code in (("open", OPEN), ("open and all checks", CHECKS)):
                steps[name] = [once(code, place) for _ in range(args.rounds)]
            for name, runs in steps.items():
                seconds, peak = (statistics.median(run[k] for run in runs) for k in (0, 1))
                rows.append((f"{roles:,}", name, seconds, peak))
    print("| roles | step | seconds | peak MB |\n| --- | --- | --- | --- |")
    for roles, name, seconds, peak in rows:
        print(f"| {roles} | {name} | {seconds:.2f} | {peak:.0f} |")
    print(f"\nTen times the rows take {rows[-1][2] / rows[2][2]:.1f} times the time of open and all checks.")


if __name__ == "__main__":
    main()

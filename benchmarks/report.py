"""Measure a report that is written part by part: seconds and peak memory, for several numbers of accounts.

    python benchmarks/report.py [--accounts 1000 2000 4000] [--roles 20] [--part 1000]

Each number of accounts is measured in a process of its own. A part is made and checked when the report reads it. The
seconds include this. So the peak is that of one part, and of the data that the report keeps.
"""

from __future__ import annotations

import argparse
import tempfile

from run import HERE, TIMED, once

REPORT = (
    TIMED
    + f"""
sys.path.insert(0, {str(HERE)!r})
import dataclasses
import iamframe
from make_inventory import make_inventory
from iamframe.checks.result import Result
accounts, roles, size = map(int, sys.argv[2:])

class Parts(Result):
    def parts(self, *, neighbours=False):
        for first in range(1, accounts + 1, size):
            yield iamframe.run_checks(make_inventory(size * roles, size, first))

one = iamframe.run_checks(make_inventory(1))
result = Parts(**{{field.name: getattr(one, field.name) for field in dataclasses.fields(Result)}})
start = time.perf_counter()
iamframe.write_report(result, path)
seconds = time.perf_counter() - start
"""
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accounts", type=int, nargs="+", default=[1_000, 2_000, 4_000])
    parser.add_argument("--roles", type=int, default=20, help="roles of each account")
    parser.add_argument("--part", type=int, default=1_000, help="accounts in a part")
    args = parser.parse_args()
    print("| accounts | roles | seconds | peak MB |\n| --- | --- | --- | --- |")
    for accounts in args.accounts:
        with tempfile.TemporaryDirectory() as folder:
            seconds, peak = once(REPORT, folder, str(accounts), str(args.roles), str(args.part))[:2]
        print(f"| {accounts:,} | {accounts * args.roles:,} | {seconds:.1f} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    main()

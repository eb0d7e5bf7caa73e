"""Measure iamframe in this environment, as ratios of two sides in one run, and print the table of docs/numbers.md.

    python benchmarks/run.py [--roles 100000] [--rounds 5]

Each measurement is a process of its own; the two sides of a ratio take turns, and the median counts. Compile both sides
first (`python -m compileall` of the environment), or every import is compiled anew and counts as time.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
from functools import partial

HERE = pathlib.Path(__file__).parent

# Each prints seconds and, in MB, what the process held at its peak.
TAIL = "\nimport resource; print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
TIMED = "import sys, time, gc; path = sys.argv[1]\n"
BARE = (
    TIMED
    + """
import msgspec
from iamframe.sources.records import RoleDetail
class Dump(msgspec.Struct):
    RoleDetailList: list[RoleDetail]
start = time.perf_counter()
with open(path, "rb") as file:
    data = file.read()
gc.disable()
dump = msgspec.json.decode(data, type=Dump)
seconds = time.perf_counter() - start
"""
)
FRAMES = (
    TIMED
    + """
import pandas
from iamframe.inventory.load import load_files
start = time.perf_counter()
inventory = load_files(path)
seconds = time.perf_counter() - start
"""
)
NORMALIZE = (
    TIMED
    + """
import json, pandas
start = time.perf_counter()
with open(path) as file:
    frame = pandas.json_normalize(json.load(file)["RoleDetailList"])
seconds = time.perf_counter() - start
"""
)
CHECKS = (
    TIMED
    + f"""
sys.path.insert(0, {str(HERE)!r})
from make_inventory import make_inventory
import iamframe
inventory = make_inventory(int(path))
start = time.perf_counter()
result = iamframe.run_checks(inventory)
seconds = time.perf_counter() - start
"""
)
EXPLAIN = (
    TIMED
    + f"""
sys.path.insert(0, {str(HERE)!r})
from make_inventory import make_inventory
import iamframe
inventory = make_inventory(int(path))
start = time.perf_counter()
told = str(iamframe.explain(inventory, inventory.roles["role_name"].iloc[-1]))
seconds = time.perf_counter() - start
"""
)
FOLDERS = (
    TIMED
    + """
import json, pathlib, tempfile
import pandas
from iamframe.inventory.load import load_files
with tempfile.TemporaryDirectory() as place:
    for number in range(1, int(path) + 1):
        account = f"{number:012d}"
        folder = pathlib.Path(place, account)
        folder.mkdir()
        when, arn = "2024-05-01T09:00:00Z", f"arn:aws:iam::{account}"
        role = {"Path": "/", "RoleName": "web", "RoleId": "AROAWEB", "Arn": f"{arn}:role/web", "CreateDate": when}
        allowed = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        role["AssumeRolePolicyDocument"] = {"Statement": [allowed]}
        profile = {"Path": "/", "InstanceProfileName": "web", "InstanceProfileId": "AIPAWEB", "CreateDate": when}
        profile |= {"Arn": f"{arn}:instance-profile/web", "Roles": [role]}
        caller = {"UserId": "AIDA", "Account": account, "Arn": f"{arn}:user/audit"}
        (folder / "identity.json").write_text(json.dumps(caller))
        (folder / "profiles.json").write_text(json.dumps({"InstanceProfiles": [profile]}))
        (folder / "roles.json").write_text(json.dumps({"Roles": [role]}))
    start = time.perf_counter()
    inventory = load_files(place)
    seconds = time.perf_counter() - start
assert len(inventory.accounts) == int(path)
"""
)
CSV = (
    TIMED
    + f"""
sys.path.insert(0, {str(HERE)!r})
import csv, pathlib, tempfile
from make_inventory import make_inventory
from iamframe.inventory.export import write_csv
roles = make_inventory(int(path)).roles
with tempfile.TemporaryDirectory() as place:
    file = pathlib.Path(place, "roles.csv")
    start = time.perf_counter()
    {{}}
    seconds = time.perf_counter() - start
"""
)
OURS = "write_csv(roles, file)"
PANDAS = "roles.to_csv(file, index=False, quoting=csv.QUOTE_ALL, date_format='%Y-%m-%dT%H:%M:%SZ')"
IMPORT = "import time\nstart = time.perf_counter()\nimport {}\nseconds = time.perf_counter() - start\n"


def once(code: str, *args: str) -> tuple[float, float]:
    run = subprocess.run([sys.executable, "-c", code + TAIL, *args], capture_output=True, text=True, check=True)
    seconds, peak = run.stdout.split()
    return float(seconds), float(peak)


WHOLE = """
import subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
seconds = time.perf_counter() - start
"""


def whole(*command: str) -> tuple[float, float]:
    return once(WHOLE, *command)


def medians(rounds: int, *sides: object) -> list[tuple[float, float]]:
    """Return seconds and MB of each side, the sides taking turns after one round that does not count."""
    runs = [[side() for side in sides] for _ in range(rounds + 1)][1:]  # type: ignore[operator]
    return [tuple(statistics.median(run[i][k] for run in runs) for k in (0, 1)) for i in range(len(sides))]  # type: ignore[misc]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--roles", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, options in (("", []), ("; every trust policy differs", ["--distinct-trust"])):
            dump = f"{folder}/dump.json"
            profiles = str(args.roles // 2)
            subprocess.run(
                [
                    sys.executable,
                    str(HERE / "make_dump.py"),
                    dump,
                    "--roles",
                    str(args.roles),
                    "--profiles",
                    profiles,
                    *options,
                ],
                check=True,
            )
            size = pathlib.Path(dump).stat().st_size / 1e6
            bare, frames, normalize = medians(
                args.rounds, *(partial(once, code, dump) for code in (BARE, FRAMES, NORMALIZE))
            )
            what = f"load an account dump of {args.roles:,} roles ({size:.0f} MB{name}) into frames"
            rows += [
                (
                    what,
                    f"{frames[0]:.2f} s, {frames[1]:.0f} MB",
                    f"{frames[0] / bare[0]:.1f} x the time of msgspec alone ({bare[0]:.2f} s)",
                )
            ]
            faster, memory = normalize[0] / frames[0], frames[1] / normalize[1]
            rows += [
                (
                    "the same load",
                    "",
                    f"{faster:.1f} x the speed and {memory:.2f} x the memory of `json.load` and `json_normalize`",
                )
            ]
        (small,), (large,) = (medians(3, lambda n=n: once(CHECKS, str(n))) for n in (args.roles // 10, args.roles))
        rows += [
            (
                f"all checks on {args.roles:,} roles, {args.roles:,} profiles, about {4 * args.roles:,} tags",
                f"{large[0]:.2f} s",
                f"{large[0] / small[0]:.1f} x the time for a tenth of these rows",
            )
        ]
        few, many = medians(3, *(lambda n=n: once(FOLDERS, str(n)) for n in (250, 2000)))
        rows += [
            (
                "load 2,000 accounts, one folder each, into frames",
                f"{many[0]:.2f} s",
                f"{many[0] / few[0]:.1f} x the time for 250 accounts",
            )
        ]
        ((explained, _),) = medians(3, lambda: once(EXPLAIN, str(args.roles)))
        rows += [(f"explain one of {args.roles:,} roles (`explain`)", f"{explained:.2f} s", "")]
        pandas, ours = medians(3, *(lambda n=n: once(CSV.format(n), str(args.roles * 10)) for n in (PANDAS, OURS)))
        ratio = f"{pandas[0] / ours[0]:.1f} x the speed of `to_csv`, which does not guard against formulas"
        rows += [(f"write a CSV file of {args.roles * 10:,} roles", f"{ours[0]:.2f} s, {ours[1]:.0f} MB", ratio)]
        pandas, ours = medians(
            args.rounds, lambda: once(IMPORT.format("pandas")), lambda: once(IMPORT.format("iamframe"))
        )
        rows += [("`import iamframe`", f"{ours[0]:.3f} s", f"{ours[0] / pandas[0]:.2f} x the time of `import pandas`")]
        command = str(pathlib.Path(sys.executable).with_name("iamframe"))
        pandas, report = medians(
            args.rounds * 2,
            lambda: whole(sys.executable, "-c", "import pandas"),
            lambda: whole(command, "report", "--out", f"{folder}/report"),
        )
        rows += [
            (
                "`iamframe report` on the sample, with the start of Python",
                f"{report[0]:.2f} s",
                f'{report[0] / pandas[0]:.2f} x the time of `python -c "import pandas"`',
            )
        ]
    print("| work | measured | ratio |\n| --- | --- | --- |")
    print("\n".join(f"| {a} | {b} | {c} |" for a, b, c in rows))
    print(json.dumps({"python": sys.version.split()[0]}), file=sys.stderr)


if __name__ == "__main__":
    main()

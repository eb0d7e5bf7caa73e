"""Measure what a click in the explorer takes in Python, at so many findings: medians, without a browser.

    python benchmarks/explorer.py [--findings 5000] [--rounds 7]

Each click is what the widgets do for it, until they are told what to show.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from make_inventory import make_inventory

import iamframe


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--findings", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    size = given.findings
    while len((result := iamframe.run_checks(make_inventory(size))).findings) > given.findings * 1.05:
        size = int(size * given.findings / len(result.findings))
    start = time.perf_counter()
    explorer = iamframe.explore(result)
    print(f"{len(result.findings):,} findings of {size:,} roles; opened in {time.perf_counter() - start:.3f} s")

    def choose(widget: object, value: object) -> Callable[[], None]:
        return lambda: setattr(widget, "value", value)

    nothing: tuple[str, ...] = ()
    rows = [value for _, value in explorer.row.options[1:]]
    clicks = {
        "check": (choose(explorer.checks, ("tag_differences",)), choose(explorer.checks, nothing)),
        "severity": (choose(explorer.severities, ("low",)), choose(explorer.severities, nothing)),
        "text": (choose(explorer.text, "app-0000001 holds"), choose(explorer.text, "")),
        "path": (choose(explorer.path, "team"), choose(explorer.path, "")),
        "tag": (choose(explorer.tag_key, "Owner"), choose(explorer.tag_key, "")),
        "group by a tag": (choose(explorer.group_by, "Owner"), choose(explorer.group_by, "")),
        "next page": (explorer.next.click, explorer.previous.click),
        "card": (choose(explorer.row, rows[len(rows) // 2]), choose(explorer.row, -1)),
    }
    for name, (click, back) in clicks.items():
        seconds = []
        for _ in range(given.rounds):
            start = time.perf_counter()
            click()
            seconds.append(time.perf_counter() - start)
            back()
        print(f"{name}: {statistics.median(seconds):.3f} s")


if __name__ == "__main__":
    main()

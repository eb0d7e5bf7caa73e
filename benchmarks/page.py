"""Measure the page of many findings in Chromium: its size, and how soon it opens, filters and sorts.

    python benchmarks/page.py [--findings 10000] [--rounds 5]

Medians. Opened is when the first screen is drawn; filtered and sorted is when the browser has drawn again what was
asked for. What is sorted is the table with the most rows.
"""

from __future__ import annotations

import argparse
import pathlib
import shutil
import statistics
import tempfile
import time

from make_inventory import make_inventory
from playwright.sync_api import Page, sync_playwright

import iamframe

DRAWN = "new Promise(done => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"
FILTER = f"""async (text) => {{
    const field = document.getElementById("find"), said = document.getElementById("said");
    field.focus();
    const start = performance.now();
    const told = new Promise(done => new MutationObserver(done).observe(said, {{ childList: true }}));
    field.value = text;
    field.dispatchEvent(new Event("input"));
    await told;
    return await {DRAWN} - start;
}}"""
SORT = f"""async (column) => {{
    const tables = Array.from(document.querySelectorAll("table.cards"));
    const longest = tables.reduce((a, b) => (a.rows.length < b.rows.length ? b : a));
    const heads = Array.from(longest.tHead.rows[0].cells), head = heads.find(cell => cell.textContent === column);
    longest.scrollIntoView();
    await {DRAWN};
    const start = performance.now();
    head.firstElementChild.click();
    return await {DRAWN} - start;
}}"""


def measured(page: Page, file: pathlib.Path) -> dict[str, float]:
    """Return seconds by what was done."""
    seconds = {}
    start = time.perf_counter()
    page.goto(file.as_uri())
    page.evaluate(DRAWN)
    seconds["opens"] = time.perf_counter() - start
    for name, text in (
        ("filters: few hits", "app-00000012"),
        ("filters: most are hits", "app"),
        ("filter emptied", ""),
    ):
        seconds[name] = page.evaluate(FILTER, text) / 1000
    for column in ("Name", "Found", "Owner"):
        seconds[f"sorts by {column}"] = page.evaluate(SORT, column) / 1000
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--findings", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    result = iamframe.run_checks(make_inventory(args.findings))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        start = time.perf_counter()
        file = iamframe.write_report(result, folder)
        written = time.perf_counter() - start
        print(
            f"{len(result.findings):,} findings: {file.stat().st_size / 1e6:.2f} MB, report written in {written:.2f} s"
        )
        chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for width, height in ((1280, 800), (390, 844)):
            rounds = []
            for _ in range(args.rounds):
                context = browser.new_context(offline=True, viewport={"width": width, "height": height})
                rounds.append(measured(context.new_page(), file))
                context.close()
            print(f"\n| at {width} pixels | seconds |\n| --- | --- |")
            for name in rounds[0]:
                print(f"| {name} | {statistics.median(one[name] for one in rounds):.2f} |")
        browser.close()


if __name__ == "__main__":
    main()

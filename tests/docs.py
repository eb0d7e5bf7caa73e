"""Write the generated parts of the README: the tables of checks and frames, the policy, the rooms, the page.

python tests/docs.py              write the tables
python tests/docs.py --check      exit 1 if they are not current
python tests/docs.py --picture    write the picture too (needs Playwright and a Chromium)
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

from rooms import picture

from iamframe import load_sample, run_checks, write_report
from iamframe.checks import CHECKS
from iamframe.inventory.schema import (
    BLIND_SPOT_COUNTS,
    BLIND_SPOTS,
    CHANGED_FINDINGS,
    CHANGES,
    COVERAGE,
    EXPLANATION,
    FINDINGS,
    FRAMES,
    NOT_COMPARED,
    NOT_PLANNED,
    PROBES,
    STEPS,
    SURFACES,
    VIEWS,
    Frame,
)
from iamframe.knowledge.operations import When, actions, policy

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def checks_table() -> str:
    """One row per check, in the order in which they are registered."""
    rows = [f"| `{c.name}` | {c.severity} | {c.title} |" for c in CHECKS.values()]
    return "\n".join(["| check | severity | finds |", "| --- | --- | --- |", *rows])


def frames_text() -> str:
    """A table per frame and view, each folded away under its name."""
    views = (view for name, view in VIEWS.items() if name != "lists")
    answers = (FINDINGS, COVERAGE, EXPLANATION, CHANGES, CHANGED_FINDINGS, NOT_COMPARED, STEPS, NOT_PLANNED)
    of_surfaces = (SURFACES, BLIND_SPOTS, BLIND_SPOT_COUNTS, PROBES)
    return "\n\n".join(map(_frame, [*FRAMES.values(), *views, *answers, *of_surfaces]))


def policy_text() -> str:
    """The least policy of a load with its defaults, and what options need besides."""
    more: tuple[tuple[str, tuple[When, ...]], ...] = (
        ("where one of these is denied, and for `--role-details`", ("fallback",)),
        ("`--tag-index`", ("index",)),
        ("`--accounts org`, `--assume-role`", ("fleet",)),
        ("`iamframe.history` and `iamframe.events_of` of a live account", ("history",)),
    )
    rows = [f"| {what} | {', '.join(f'`{action}`' for action in actions(*when))} |" for what, when in more]
    return "\n".join(
        [
            "```json",
            json.dumps(policy("plan", "references", "all"), indent=2),
            "```",
            "",
            "| asked besides | actions |",
            "| --- | --- |",
            *rows,
        ]
    )


def _frame(frame: Frame) -> str:
    rows = []
    for c in frame.columns:
        key = " (key)" if c.name in frame.key else ""
        rows.append(f"| `{c.name}`{key} | {c.dtype} | {c.said} |")
    head = ["| column | type | meaning |", "| --- | --- | --- |"]
    return "\n".join(
        [
            f"<details><summary><code>{frame.name}</code>: one row per {frame.row}</summary>",
            "",
            *head,
            *rows,
            "",
            "</details>",
        ]
    )


def written(readme: str) -> str:
    """Return the README with its generated parts made anew."""
    parts = (
        ("checks", checks_table()),
        ("frames", frames_text()),
        ("policy", policy_text()),
        ("rooms", f"```\n{picture()}\n```"),
    )
    for name, text in parts:
        readme = re.sub(
            f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", lambda m, t=text: f"{m[1]}{t}\n{m[2]}", readme, flags=re.DOTALL
        )
    return readme


def draw(target: Path) -> None:
    """Write the picture of the sample's page as a reader first sees it."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page_file = write_report(run_checks(load_sample()), folder)
        chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
        page = browser.new_page(viewport={"width": 1100, "height": 900})
        page.goto(page_file.as_uri())
        target.parent.mkdir(exist_ok=True)
        page.screenshot(path=target)
        browser.close()


def main() -> int:
    current = README.read_text(encoding="utf-8")
    new = written(current)
    if "--check" in sys.argv:
        return int(new != current)
    README.write_text(new, encoding="utf-8", newline="\n")
    if "--picture" in sys.argv:
        draw(ROOT / ".github" / "report.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())

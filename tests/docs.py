"""Write the generated parts of README.md and of the pages in docs/.

python tests/docs.py              write them
python tests/docs.py --check      exit 1 if they are not current
python tests/docs.py --picture    write the picture of the report too (needs Playwright and a Chromium)

`docs/reference_pages.py` makes the pages that are generated as a whole, when the documentation is built.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

import rooms

from iamframe import load_sample, run_checks, write_report
from iamframe.checks import CHECKS
from iamframe.knowledge.operations import ROLE_LIST, actions, policy_of

ROOT = Path(__file__).parent.parent
# The files with generated parts. Such a part begins below `<!-- NAME -->` and ends at the next empty line.
FILES = tuple(ROOT / name for name in ("README.md", "docs/architecture.md", "docs/reference/permissions.md"))
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


def printed_text() -> str:
    """What the Python example prints."""
    (code,) = re.findall(r"## Use from Python\n\n```python\n(.*?)```", FILES[0].read_text("utf-8"), re.DOTALL)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), io.StringIO() as out:
        with contextlib.redirect_stdout(out):
            exec(code, {})
        return f"```text\n{out.getvalue()}```"


def policy_text() -> str:
    """The least policy of a load with its defaults."""
    policy = policy_of(actions("plan", "references", "all", "owners", "organization"))
    return f"```json\n{json.dumps(policy, indent=2)}\n```"


def more_actions() -> str:
    """What fallbacks and options need in addition."""
    more = {
        "if AWS denies an action of the policy": actions("fallback"),
        "`--role-details`": [f"iam:{ROLE_LIST}"],
        "`--tag-index`, `iamframe.probe_surfaces`": actions("index"),
        "`--accounts org`, `--assume-role`": actions("fleet"),
        "`iamframe.history` and `iamframe.events_of` on a live account": actions("history"),
    }
    rows = [f"| {case} | {', '.join(f'`{action}`' for action in needed)} |" for case, needed in more.items()]
    return "\n".join(["| additional case | actions |", "| --- | --- |", *rows])


def written(text: str) -> str:
    """Return the text of a file with its generated parts made again."""
    parts = {
        "printed": printed_text,
        "checks": checks_table,
        "policy": policy_text,
        "more actions": more_actions,
        "rooms": lambda: f"```text\n{rooms.picture()}\n```",
        "modules": lambda: f"```text\n{rooms.contents()}\n```",
    }
    for name, made in parts.items():
        begin = f"<!-- {name} -->\n"
        if begin in text:
            before, old = text.split(begin)
            text = "".join((before, begin, made(), "\n\n", old.split("\n\n", 1)[1]))
    return text


def draw(target: Path) -> None:
    """Write the picture of the sample's page as a reader first sees it."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page_file = write_report(run_checks(load_sample()), folder)
        chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(page_file.as_uri())
        target.parent.mkdir(exist_ok=True)
        page.screenshot(path=target)
        browser.close()


def main() -> int:
    current = {file: file.read_text("utf-8") for file in FILES}
    new = {file: written(text) for file, text in current.items()}
    if "--check" in sys.argv:
        return int(new != current)
    for file, text in new.items():
        file.write_text(text, encoding="utf-8", newline="\n")
    if "--picture" in sys.argv:
        draw(ROOT / ".github" / "report.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())

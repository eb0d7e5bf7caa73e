"""What several test files share: a real browser, and order after the notebooks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

BEFORE = pytest.StashKey[set[Path]]()
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def needed(found: object, what: str, how: str) -> None:
    """Go on if a part was found; without it the test is skipped, and fails in CI, which has every part."""
    if not found:
        reason = f"{what} is not on this machine: {how}"
        if os.environ.get("IAMFRAME_CI"):
            pytest.fail(reason)
        pytest.skip(reason)


REPORTS = Path(__file__).parent.parent / "iamframe-report"


def reports_of_notebooks() -> set[Path]:
    """The folders that the notebooks as they stand write their reports into, those that are there."""
    return {
        REPORTS / name for name in ("tour", "orphaned", "untagged", "names", "practice") if (REPORTS / name).is_dir()
    }


def pytest_configure(config: pytest.Config) -> None:
    config.stash[BEFORE] = reports_of_notebooks()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take away the reports that the notebooks wrote in the run, and none that was there before."""
    for folder in reports_of_notebooks() - config.stash[BEFORE]:
        shutil.rmtree(folder)
    if REPORTS.is_dir() and not any(REPORTS.iterdir()):
        REPORTS.rmdir()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The Chromium of this machine."""
    found = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    needed(found, "a browser", f"put one of {', '.join(CHROMIUMS)} on the PATH")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=list(QUIET))
        yield chromium
        chromium.close()

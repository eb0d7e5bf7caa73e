"""Which findings the page shows where there are too many."""

from __future__ import annotations

import pytest

from iamframe.report.rows import allotted


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ({"high": (5, 2), "low": (3, 0)}, {"high": (5, 2), "low": (3, 0)}),
        # The most severe first, 300 of each at least, and what needs no action last.
        ({"high": (9_000, 9_000), "low": (9_000, 0)}, {"high": (700, 0), "low": (300, 0)}),
        ({"high": (100, 9_000), "low": (0, 9_000)}, {"high": (100, 600), "low": (0, 300)}),
        (
            {"high": (400, 400), "medium": (400, 400), "low": (0, 0)},
            {"high": (400, 200), "medium": (400, 0), "low": (0, 0)},
        ),
    ],
)
def test_a_page_that_is_too_long_shows_the_most_severe_findings_first_and_some_of_each_check(
    counts: dict[str, tuple[int, int]], shown: dict[str, tuple[int, int]]
) -> None:
    assert allotted(counts, 1_000) == shown

"""Which findings the page shows where there are too many, and why a check is incomplete."""

from __future__ import annotations

import pandas as pd
import pytest
from builders import sample_result

from iamframe.report.rows import FindingRows, allotted, reasons_of, sections_of
from iamframe.report.translate import Translator


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


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_each_reason_for_incomplete_checks_is_said_once_with_all_checks_and_accounts(lang: str) -> None:
    result = sample_result()
    listed = FindingRows.of(result, lang)
    reasons = reasons_of(listed, lang)
    (tags,) = [group for group in reasons if any("ListInstanceProfileTags" in one for one in group[1])]
    assert [name for name, _ in tags[0]] == [
        "owner_gone", "untagged_profiles", "missing_required_tags", "tag_key_variants"
    ]  # fmt: skip
    assert len(tags[1]) == 1
    sections = {one.name: one for one in sections_of(listed, Translator(lang), reasons)}
    required = sections["missing_required_tags"]
    assert [(status, len(said), len(accounts)) for status, said, accounts in required.coverage] == [
        ("unknown", 1, 3), ("unknown", 1, 1), ("unknown", 1, 1)
    ]  # fmt: skip
    assert required.worst == 3
    assert sections["empty_profiles"].worst == 0


def test_a_reason_shows_the_file_of_a_source_without_its_folder() -> None:
    facts = ['{"detail":"/home/me/roles.json is cut off"}', "{}"]
    frame = pd.DataFrame({"message": ["coverage.gap", ""], "facts": facts})
    assert Translator("en", ["/home/me/roles.json"]).sentences(frame) == [("roles.json is cut off",), ()]

"""Which findings the page shows where there are too many, and why a check is incomplete."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from builders import dump, load, nested_role, profile, profile_list, role_detail, sample_result, tag_list

import iamframe
from iamframe.report.page import render_page
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
    reasons = reasons_of(listed)
    (tags,) = [group for group in reasons if any("ListInstanceProfileTags" in one for one in group[1])]
    assert [*tags[0]] == [
        "owner_gone", "untagged_profiles", "missing_required_tags", "tag_key_variants"
    ]  # fmt: skip
    assert len(tags[1]) == 1
    sections = {one.name: one for one in sections_of(listed, Translator(lang))}
    required = sections["missing_required_tags"]
    # The status is that of the account, so all of its reasons stand together.
    assert [(status, len(said), len(accounts)) for status, said, accounts in required.coverage] == [
        ("unknown", 1, 2), ("unknown", 3, 1)
    ]  # fmt: skip
    assert required.incomplete == {"unknown": 3}
    assert sections["empty_profiles"].incomplete == {}


def test_the_table_of_checks_counts_the_accounts_of_each_incomplete_status() -> None:
    result = iamframe.run_checks(iamframe.load_sample(), only="path_mismatches")
    coverage = result.coverage.assign(status=["complete", "partial", "unknown"])
    page = render_page(replace(result, coverage=coverage))
    text = re.sub(r"<[^>]*>", "", page.replace("<br>", " "))
    assert "unknown in 1 of 3 accounts, partial in 1 of 3 accounts" in text
    assert "(too little data to decide) in 1 of 3 accounts, partial (some data" in " ".join(text.split())


def test_a_reason_shows_the_file_of_a_source_without_its_folder() -> None:
    facts = ['{"detail":"/home/me/roles.json is cut off"}', "{}"]
    frame = pd.DataFrame({"message": ["coverage.gap", ""], "facts": facts})
    assert Translator("en", ["/home/me/roles.json"]).sentences(frame) == [("roles.json is cut off",), ()]


def test_a_page_speaks_of_a_plan_where_a_plan_acts_and_not_where_roles_are_tagged(tmp_path: Path) -> None:
    linked = profile("web", nested_role("web"))
    documents = {
        "dump.json": dump(role_detail("web", [linked])),
        "p.json": profile_list(linked, profile("left")),
        "instance-profile-tags/web.json": {"Tags": tag_list({"Owner": "a"})},
    }
    inventory = load(tmp_path, documents)
    of_role = iamframe.run_checks(inventory, "untagged_roles")
    assert of_role.findings["next_step_changes"].tolist() == [True]
    assert "iamframe plan" not in render_page(of_role)
    assert render_page(iamframe.run_checks(inventory, "empty_profiles")).count("iamframe plan SOURCE") == 2


def test_a_page_without_collected_tags_does_not_say_that_no_tag_has_a_key(tmp_path: Path) -> None:
    bare = iamframe.run_checks(load(tmp_path, {"p.json": profile_list(profile("left"))}))
    page = render_page(bare)
    assert "The collected data has no tags." in page
    assert "has the key" not in page

"""What a notebook's cell shows: counts, what was not read before them, and text from AWS as text."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from builders import ACCOUNT, dump, identity, load, nested_role, profile, profile_list, role_detail, tag_list

import iamframe
from iamframe.inventory import display, schema
from iamframe.inventory.inventory import Inventory

HOSTILE = "/<script>alert(1)</script>/"
PAYLOADS = ('<img src=x onerror="alert(1)">', "</td></table><b>", "&lt;i&gt;", "'\"", "\u202eright")


class Tags(HTMLParser):
    """The elements of some HTML, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_all_text_of_a_table_is_text() -> None:
    told = Tags(display.html_table(PAYLOADS, [PAYLOADS], caption=PAYLOADS[0]) + display.html_line(PAYLOADS[1]))
    assert told.elements == {"table", "caption", "thead", "tbody", "tr", "th", "td", "p"}
    assert told.attributes == {"class", "style", "scope"}
    assert {*PAYLOADS} <= set(told.texts)


def test_numbers_are_grouped_missing_cells_are_empty_and_a_short_row_fills_its_table() -> None:
    html = display.html_table(("a", "b", "c"), [(1234, None, "x"), ("y", "z")])
    assert re.findall(r"<td[^>]*>([^<]*)</td>", html) == ["1,234", "", "x", "y", "z"]
    assert re.findall(r"colspan='(\d)'", html) == ["2"]


@pytest.fixture
def hostile(tmp_path: Path) -> Inventory:
    return load(
        tmp_path,
        {
            "identity.json": identity(),
            "aliases.json": {"AccountAliases": ["x"]},
            "profiles.json": profile_list(profile("web", nested_role("web", HOSTILE), HOSTILE)),
            "dump.json": dump(role_detail("web", [profile("web", path=HOSTILE)], {"Owner": PAYLOADS[0]}, path=HOSTILE)),
            "instance-profile-tags/web.json": {"Tags": tag_list({PAYLOADS[0]: PAYLOADS[1]})},
            "denied.csv": f"operation,subject,error_code\nGetRole,{HOSTILE},AccessDenied\n",
        },
    )


def test_nothing_from_aws_is_markup_in_a_cell(hostile: Inventory) -> None:
    result = iamframe.run_checks(hostile)
    before = replace(hostile, tags=hostile.tags.assign(tag_value="x"))
    plan = iamframe.plan(result)
    shown = (
        hostile,
        result,
        iamframe.explain(hostile, "web"),
        iamframe.explain(hostile, HOSTILE),
        iamframe.compare(before, hostile),
        replace(plan, not_planned=plan.not_planned.assign(reason=HOSTILE)),
    )
    told = [Tags(one._repr_html_()) for one in shown]
    elements = {"table", "thead", "tbody", "tr", "th", "td", "p", "h4", "details", "summary"}
    assert set().union(*(one.elements for one in told)) == elements
    assert set().union(*(one.attributes for one in told)) == {"class", "style", "scope", "colspan"}
    for one, text in ((2, HOSTILE), (4, PAYLOADS[0]), (4, PAYLOADS[1]), (5, HOSTILE)):
        assert any(text in said for said in told[one].texts)


def test_changes_and_a_plan_show_how_much_they_hold_then_their_first_rows() -> None:
    sample = iamframe.load_sample()
    fewer = iamframe.compare(sample, replace(sample, tags=sample.tags.iloc[30:].reset_index(drop=True)))
    for one, frame, where in (
        (fewer, fewer.to_frame(), ".to_frame()"),
        (plan := iamframe.plan(iamframe.run_checks(sample)), plan.not_planned, ".not_planned"),
    ):
        texts = Tags(one._repr_html_()).texts
        assert repr(one) == f"{type(one).__name__}({texts[0].removesuffix('.')})"
        assert f"and {len(frame) - 20} more rows, in {where}" in texts
    assert "findings of the check quota_pressure" in Tags(fewer._repr_html_()).texts
    nothing = iamframe.compare(sample, sample)
    assert "retagged" in Tags(nothing._repr_html_()).texts
    assert ".to_frame()" not in nothing._repr_html_()


def test_an_inventory_shows_what_was_not_read_before_its_counts() -> None:
    html = iamframe.load_sample()._repr_html_()
    texts = Tags(html).texts
    assert texts[0] == "13 gaps (12 denied, 1 not in file): `.gaps` shows which data is missing or contradictory"
    at = texts.index("roles")
    assert texts[at : at + 3] == ["roles", "role", "148"]
    assert "example-legacy" in texts


def test_an_inventory_without_gaps_says_so() -> None:
    inventory = replace(iamframe.load_sample(), gaps=schema.GAPS.empty())
    assert Tags(inventory._repr_html_()).texts[0] == "Nothing that was asked for was left unread: there are no gaps."


def test_a_result_shows_what_could_not_be_checked_before_its_findings() -> None:
    html = iamframe.run_checks(iamframe.load_sample(), only=["empty_profiles", "quota_pressure"])._repr_html_()
    texts = Tags(html).texts
    assert texts[0] == "7 findings; 1 of 2 checks had complete data."
    assert texts.index(
        "the quotas were not collected (GetAccountSummary was denied); "
        "someone with more permissions can run `aws iam get-account-summary`"
    ) < (texts.index("Instance profiles that hold no role"))


def test_an_explanation_shows_the_same_fields_as_its_frame(hostile: Inventory) -> None:
    told = iamframe.explain(hostile, "web")
    texts = set(Tags(told._repr_html_()).texts)
    frame = told.to_frame()
    # Fields with equal values share a line. Below the heading "warning", it begins with "do not".
    shared = {field for text in texts for field in re.split(r", | or | \(|\)$", text)}
    against = [text.removeprefix("do not ") for text in texts if text.startswith("do not ")]
    refused = {field for text in against for field in text.split(", and do not ")}
    assert set(frame["field"]) <= texts | shared | refused
    for column in ("profile", "role", "note"):
        # A reason against a command stands below the heading "warning".
        assert set(frame[column].dropna().str.removeprefix("warning: ")) <= texts
    assert f"arn:aws:iam::{ACCOUNT}:role{HOSTILE}web" in texts


def test_what_names_a_profile_that_is_gone_is_not_filed_as_a_profile() -> None:
    html = iamframe.explain(iamframe.load_sample(), "retired-app")._repr_html_()
    rows = [re.findall(r"<t[dh][^>]*>([^<]*)<", row) for row in re.findall(r"<tr>(.*?)</tr>", html)]
    named = [
        "referenced by",
        "launch-template lt-0abcdef000000000c in account 111122223333",
        "in ap-northeast-1, uses the profile retired-app",
    ]
    assert named in rows

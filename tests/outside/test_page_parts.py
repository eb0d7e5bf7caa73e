"""Parts of the page in a real browser: what changed, owners, what is masked, and the page in Japanese."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import openpyxl
import pytest
from axe_playwright_python.sync_playwright import Axe
from builders import (
    ACCOUNT,
    dump,
    identity,
    load,
    nested_role,
    profile,
    profile_list,
    role_detail,
    sample_result,
    write,
)
from click.testing import CliRunner
from pages import HOSTILE, as_value, complaints, opened, table
from playwright.sync_api import Browser, expect
from test_compare import whole
from test_mask import COMMENT, column, organisation, report
from test_owners import result_of

import iamframe
from iamframe.ui.cli import app

# What changed


def test_on_the_page_what_changed_is_text_whatever_it_holds(browser: Browser, tmp_path: Path) -> None:
    tags = {f"web-{n:02}": text for n, text in enumerate(HOSTILE.values())}
    old, new = (
        whole(tmp_path / when, [role_detail(name, tags={"k": value or text}) for name, text in tags.items()], [])
        for when, value in (("old", "v"), ("new", None))
    )
    changes = iamframe.compare(old, new)
    page = iamframe.write_report(changes.new, tmp_path / "out", changes=changes)
    with opened(browser, page) as it:
        rows = (
            it.page.get_by_role("group", name="Table: What changed", exact=True)
            .locator("tbody tr")
            .evaluate_all("rows => rows.map(row => Array.from(row.cells, cell => cell.textContent))")
        )
        assert [[*row[:4], row[5]] for row in rows] == [
            ["retagged", ACCOUNT, "role", name, f"tag 'k' is now '{as_value(text)}' (before: 'v')"]
            for name, text in tags.items()
        ]
        assert (it.page.evaluate("window.pwned"), it.requests, it.said) == (None, [page.as_uri()], [])


def test_axe_finds_nothing_to_complain_about_in_what_changed(browser: Browser, tmp_path: Path) -> None:
    old = whole(tmp_path / "old", [role_detail("web", tags={"Owner": "ops"})], [])
    tags = {"web": {"Owner": "=1+1"}, "db": {"a": "b"}}
    new = whole(tmp_path / "new", [role_detail(name, tags=held) for name, held in tags.items()], [])
    changes = iamframe.compare(old, new)
    page = iamframe.write_report(changes.new, tmp_path / "out", changes=changes)
    cut = "one => one.parentElement.scrollWidth - one.parentElement.clientWidth"
    with opened(browser, page) as it:
        assert it.page.locator(".changes").evaluate(cut) == 0
        assert complaints(it.page) == []
        # The screen is narrow now.
        assert it.page.locator(".changes").evaluate(cut) == 0


def test_on_the_page_no_change_is_no_all_clear_where_something_was_not_compared(
    browser: Browser, tmp_path: Path
) -> None:
    page = {"d.json": dump(IsTruncated=True), "id.json": identity(), "p.json": profile_list()}
    old, new = load(tmp_path / "old", page), whole(tmp_path / "new", [role_detail("web", tags={"a": "b"})], [])
    changes = iamframe.compare(old, new)
    with opened(browser, iamframe.write_report(changes.new, tmp_path / "out", changes=changes)) as it:
        expect(it.page.get_by_text("No changes in the data that could be compared.")).to_be_visible()
        cells = it.page.get_by_role("group", name="Table: What could not be compared", exact=True).locator("td")
        expect(cells.nth(2)).to_have_text(
            "the list is incomplete in OLD, so 1 resource found only in NEW may have existed before"
        )


def test_the_page_shows_how_the_account_differs_from_terraform_as_text(browser: Browser, tmp_path: Path) -> None:
    account = whole(tmp_path / "account", [role_detail("web", tags={"k": HOSTILE["script"]})], [])
    attributes = {"name": "web", "arn": f"arn:aws:iam::{ACCOUNT}:role/web", "path": "/", "tags_all": {}}
    resource = {"mode": "managed", "type": "aws_iam_role", "name": "web", "instances": [{"attributes": attributes}]}
    state = {"version": 4, "terraform_version": "1.9.0", "resources": [resource]}
    drift = iamframe.drift(account, write(tmp_path / "states", {"s.tfstate": state}))
    page = iamframe.write_report(iamframe.run_checks(account), tmp_path / "out", drift=drift)
    with opened(browser, page) as it:
        name = "Table: Comparison with Terraform"
        cells = it.page.get_by_role("group", name=name, exact=True).locator("tbody td").all_text_contents()
        detail = f"tag 'k' is '{HOSTILE['script']}'; in the Terraform state, it is missing"
        assert cells == ["tag differs", ACCOUNT, "role", "web", "aws_iam_role.web", detail]
        assert complaints(it.page) == []
        assert (it.page.evaluate("window.pwned"), it.requests, it.said) == (None, [page.as_uri()], [])


# Owners


def test_the_page_shows_each_owner_with_its_findings_by_severity(browser: Browser, tmp_path: Path) -> None:
    found = result_of(tmp_path / "in", profile("a"), profile("b"), profile("c"), a={"owner": "<b>web"}, b={"Team": "x"})
    with opened(browser, iamframe.write_report(found, tmp_path / "out")) as it:
        assert table(it.page, "By owner") == [
            ["<b>web", "0", "1", "0", "1", "0"],
            ["no owner tag", "0", "1", "0", "1", "0"],
            ["owner unknown (tags not collected)", "0", "1", "0", "1", "0"],
        ]
        caption = it.page.get_by_role("region", name="By owner").locator("caption").inner_text()
        assert caption.startswith("The owner is the value of the resource's owner tag. A profile without this tag")
    with (tmp_path / "out" / "owners.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["owner"] for row in csv.DictReader(file)] == ["<b>web", "", ""]


def test_a_key_that_no_tag_has_is_said_with_how_to_name_another(browser: Browser, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", "sample", "--owner-tag", "Nobody", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (
        "no collected tag has the key 'Nobody', so no owner is known; give another key with --owner-tag\n"
        in done.stderr
    )
    with opened(browser, tmp_path / "report.html") as it:
        said = it.page.locator("#owners + p").inner_text()
        assert said == "No collected tag has the key 'Nobody'. Choose another key with --owner-tag."
        assert [row[0] for row in table(it.page, "By owner")] == [
            "no owner tag",
            "owner unknown (tags not collected)",
            "no owner (finding about an account or a tag key)",
        ]


def test_a_key_that_looks_like_the_owners_is_spelled_out_on_the_page(browser: Browser, tmp_path: Path) -> None:
    page = iamframe.write_report(sample_result(), tmp_path)
    with opened(browser, page) as it:
        caption = it.page.get_by_role("region", name="By owner").locator("caption").inner_text()
    assert "These spellings of the tag key also count: owner, \u039fwner [\\u039fwner]. Look-alike" in caption


# What is masked


def test_a_masked_page_says_so_and_shows_every_finding(browser: Browser, tmp_path: Path) -> None:
    out = report(tmp_path, organisation(), xlsx=False)
    with opened(browser, out / "report.html") as it:
        assert "Names, tags, descriptions and EC2 ids of resources are kept and can still identify you" in it.text()
        assert it.said == []
        assert len(it.opened_rows()) == len(column(out / "findings.csv", "check"))


def test_a_command_with_a_pseudonym_in_it_is_a_comment_in_every_file_and_another_one_is_as_it_was(
    tmp_path: Path, browser: Browser
) -> None:
    role = role_detail("web", [profile("web", nested_role("web"))], {"mail": "alice@example.com"})
    documents = {
        "dump.json": dump(role),
        "p.json": profile_list(profile("left"), profile("web", nested_role("web"))),
        "instance-profile-tags/web.json": {"Tags": []},
    }
    out, plain = report(tmp_path, documents), report(tmp_path, documents, out="plain", mask=False)
    steps, before = (column(folder / "findings.csv", "next_step") for folder in (out, plain))
    (changed,) = {step for step in steps if "email-" in step}
    assert re.fullmatch(
        COMMENT + r"""aws iam tag-instance-profile --instance-profile-name=web --tags='\[\{"Key":"mail","Value":"""
        r""""email-[a-z2-7]{10}"\}\]'""",
        changed,
    )
    assert "aws iam delete-instance-profile --instance-profile-name=left" in steps
    assert [step for step in steps if step != changed] == [step for step in before if "alice@" not in step]
    book = openpyxl.load_workbook(out / "report.xlsx")
    assert changed in [cell for row in book["untagged_profiles"].iter_rows(values_only=True) for cell in row]
    with opened(browser, out / "report.html") as it:
        first = it.page.locator(".begin code").all_text_contents()
        rows = [row.get("Next step", "") for row in it.opened_rows()]
    assert {one for one in rows if "email-" in one} == {changed}
    # A command that changes something is left to a plan there.
    assert set(first) == {"iamframe plan SOURCE"}


# In Japanese


@pytest.fixture(scope="module")
def japanese(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the sample in Japanese, to be looked at alone."""
    return iamframe.write_report(sample_result(), tmp_path_factory.mktemp("japanese"), lang="ja")


def test_the_filter_the_sorting_and_the_copy_button_speak_japanese(browser: Browser, japanese: Path) -> None:
    with opened(browser, japanese) as it:
        field = it.page.get_by_label("検出結果の絞り込み")
        field.fill("legacy-ftp タグ")
        expect(it.page.get_by_role("status")).to_have_text(
            "1 件が該当 (このページの検出結果 107 件中)、うち要対応 1 件"
        )
        assert it.page.locator("#hits-untagged_profiles").inner_text() == "該当 1 / "
        field.fill("")
        severity = it.page.locator(".index th").nth(1)
        severity.click()
        first = it.page.locator(".index tbody tr td:nth-child(2)").first
        expect(first).to_have_text("高")
        severity.click()
        expect(first).to_have_text("低")
        it.opened_rows()
        button = it.page.locator("tr.opened button").first
        button.evaluate("button => button.click()")
        expect(button).to_have_text(re.compile("コピーしました|選択しました"))
        expect(button).to_have_text("コピー")
        assert it.said == []


def test_axe_finds_nothing_to_complain_about_in_japanese(browser: Browser, japanese: Path) -> None:
    with opened(browser, japanese) as it:
        for width in (1280, 390):
            it.page.set_viewport_size({"width": width, "height": 800})
            assert Axe().run(it.page).response["violations"] == []
            assert it.page.evaluate("document.documentElement.scrollWidth") == width

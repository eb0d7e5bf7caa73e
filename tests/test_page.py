"""The page in a real browser, offline: hostile text stays text, the filter filters, every row is printed."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from builders import (
    ACCOUNT,
    dump,
    identity,
    load,
    nested_role,
    profile,
    profile_list,
    role_detail,
    tag_list,
    trust,
    write,
)
from playwright.sync_api import Browser, Page, expect

import iamframe

HOSTILE = {
    "script": "<script>window.pwned=1</script>",
    "image": '"><img src=x onerror=window.pwned=1>',
    "attribute": "' onmouseover='window.pwned=1' autofocus onfocus='window.pwned=1",
    "template": "{{7*7}}{% raw %}${7*7}",
    "end of style": "</style><script>window.pwned=1</script>",
    "end of comment": "--><svg onload=window.pwned=1>",
    "link": "javascript:window.pwned=1",
    "entity": "&lt;b&gt;&amp;#x3c;",
    "right to left": "\u202egnorw\u2066\u200fx\u2069",
    "line separator": "a\u2028b\u2029c",
    "dollars": "$x$ \\(x\\) $(touch x) `y`",
    "quotes": "'--\"; DROP",
    "invisible": "a\u3164b\u00a0c\ufeffd",
}


@dataclass
class Opened:
    """A page, and what it did that it must not do."""

    page: Page
    requests: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def cells(self) -> set[str]:
        return set(self.page.eval_on_selector_all("td", "cells => cells.map(cell => cell.textContent)"))

    def text(self) -> str:
        return str(self.page.evaluate("document.body.textContent"))

    def rows_shown(self) -> list[str]:
        names = "rows => rows.filter(row => row.checkVisibility()).map(row => row.cells[2].textContent)"
        return list(self.page.eval_on_selector_all("tr.finding", names))


@contextmanager
def opened(browser: Browser, file: Path) -> Iterator[Opened]:
    """Open a page from disk, with no network."""
    context = browser.new_context(offline=True)
    context.set_default_timeout(5_000)
    it = Opened(context.new_page())
    it.page.on("request", lambda request: it.requests.append(request.url))
    it.page.on("console", lambda message: it.said.append(message.text))
    it.page.on("pageerror", lambda error: it.said.append(str(error)))
    it.page.on("dialog", lambda dialog: it.said.append(dialog.message))
    it.page.on("dialog", lambda dialog: dialog.dismiss())
    it.page.goto(file.as_uri())
    yield it
    context.close()


def report(source: iamframe.Inventory, out: Path, policy: Path | None = None) -> Path:
    return iamframe.write_report(iamframe.run_checks(source, policy=policy), out)


def empties(folder: Path, *names: str) -> iamframe.Inventory:
    """An account of empty profiles: each is one finding."""
    return load(folder, {"profiles.json": profile_list(*map(profile, names))})


# Hostile text


def hostile_documents(text: str) -> dict[str, Any]:
    """One account in which every field that reaches the page holds the text."""
    path, opener = f"/{text}/", trust(f"{text}.example")
    linked = profile(f"{text}-profile", nested_role(f"{text}-role", path), f"{path}x/")
    shut = profile(f"{text}-shut", nested_role(f"{text}-shut", path, policy=opener), path)
    role_tags = {text: f"{text}-value", f"{text}-only": ""}
    refused = io.StringIO(newline="")
    csv.writer(refused).writerows([["operation", "subject", "error_code"], ["ListRoleTags", text, f"{text}-code"]])
    return {
        "get-caller-identity.json": identity(),
        "list-account-aliases.json": {"AccountAliases": [text]},
        "get-account-authorization-details.json": dump(
            role_detail(f"{text}-role", [linked], role_tags, path=path, Description=text),
            role_detail(f"{text}-shut", [shut], path=path, policy=opener),
        ),
        "list-instance-profiles.json": profile_list(linked, shut, profile(f"{text}-empty", None, path)),
        "get-instance-profile.json": {"InstanceProfile": linked | {"Tags": tag_list({text: "other"})}},
        "eu-west-1/describe-instances.json": {
            "Reservations": [
                {
                    "OwnerId": ACCOUNT,
                    "Instances": [
                        {
                            "InstanceId": f"i-{text}",
                            "IamInstanceProfile": {"Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/{text}-gone"},
                            "Tags": tag_list({"Name": f"{text}-instance"}),
                        }
                    ],
                }
            ]
        },
        "other/get-caller-identity.json": identity(f"{text}-account"),
        "denied.csv": refused.getvalue(),
        "broken.json": json.dumps({f"{text}-key": 1}),
    }


def hostile_policy(text: str) -> str:
    said = json.dumps(text)
    return f"""
        [required_tags]
        {json.dumps(text + "-wanted")} = "*"
        {said} = [{json.dumps(text + "-allowed")}]
        [[makers]]
        name = {json.dumps(text + "-maker")}
        role = "*-role"
        profile = "*-profile"
        names_differ = true
        [[accepted]]
        check = "empty_profiles"
        reason = {json.dumps(text + "-reason")}
    """


@pytest.mark.skipif(os.name == "nt", reason="Windows takes no such folder names")
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_in_any_field_is_shown_as_text_and_nothing_of_it_runs(
    browser: Browser, tmp_path: Path, text: str
) -> None:
    source = tmp_path / f"{text}-folder"
    inventory = load(source, hostile_documents(text))
    policy = write(source, {"policy.toml": hostile_policy(text)}) / "policy.toml"
    arn = f"arn:aws:iam::{ACCOUNT}:instance-profile/{text}/"
    with opened(browser, report(inventory, tmp_path / "out", policy)) as it:
        cells, whole = it.cells(), it.text()
        for shown in (
            f"{text}-profile",
            f"{arn}x/{text}-profile",
            f"arn:aws:iam::{ACCOUNT}:role/{text}/{text}-role",
            f"{text}-maker",
            f"profile {text}-profile holds role {text}-role",
            f"beyond /, the profile's path has {text}/x and the role's {text}",
            f"{text} is {text}-value on the role and other on the profile; {text}-only is missing on the profile",
            f"{text}-wanted is missing; {text} is {text}-value, not one of {text}-allowed",
            f"role {text}-shut trusts {text}.example, not EC2",
            f"{text}-empty",
            f"{text}-instance",
            f"names the profile arn:aws:iam::{ACCOUNT}:instance-profile/{text}-gone, which does not exist",
            text,
            f"AWS answered {text}-code to ListRoleTags of {text}, for whoever made the files",
            f"{source}/broken.json",
        ):
            assert shown in cells
        assert f"accepted: {text}-reason" in whole
        assert f"{text}-account" in whole
        assert f"Made by iamframe 0.1.0 from {source}, with the policy file {policy}." in whole
        it.page.hover("tr.finding >> nth=0")
        it.page.keyboard.press("Tab")
        assert it.page.evaluate("typeof window.pwned") == "undefined"
        assert it.page.locator("img, svg, iframe, object, embed, form, base").count() == 0
        assert it.page.eval_on_selector_all("a", "links => links.filter(a => a.getAttribute('href')[0] != '#')") == []
        assert it.said == []
        assert it.requests == [(tmp_path / "out" / "report.html").as_uri()]


@pytest.mark.parametrize("text", ["portal", 'a "quoted" alias', "基盤チーム", "<b>"])
def test_the_alias_of_an_account_is_shown_as_it_is(browser: Browser, tmp_path: Path, text: str) -> None:
    source = write(tmp_path / "in", {"id.json": identity(), "p.json": profile_list(profile("a"))})
    (source / "aliases.json").write_text(json.dumps({"AccountAliases": [text]}), encoding="ascii")
    with opened(browser, report(iamframe.load_files(source), tmp_path / "out")) as it:
        assert f"{ACCOUNT} ({text}): the files do not say when AWS was asked" in it.text()


def test_the_page_runs_nothing_but_its_own_script_even_if_something_were_not_escaped(
    browser: Browser, tmp_path: Path
) -> None:
    page = report(empties(tmp_path / "in", "a", "b"), tmp_path / "out")
    hole = (
        '<script>window.pwned=1</script><img src="data:," onerror="window.pwned=1"><b style="color:red" id="hole">a</b>'
    )
    page.write_text(page.read_text("utf-8").replace("<main>", f"<main>{hole}"), "utf-8")
    with opened(browser, page) as it:
        assert it.page.locator("#hole").count() == 1
        assert it.page.evaluate("typeof window.pwned") == "undefined"
        assert it.page.evaluate("getComputedStyle(document.getElementById('hole')).color") != "rgb(255, 0, 0)"
        assert it.requests == [page.as_uri()]


def test_the_policy_of_the_page_names_the_hashes_of_its_own_style_and_script_and_nothing_else(
    browser: Browser, tmp_path: Path
) -> None:
    with opened(browser, report(empties(tmp_path / "in", "a"), tmp_path / "out")) as it:
        inline = it.page.eval_on_selector_all("style, script", "all => all.map(e => [e.localName, e.textContent])")
        policy = it.page.get_attribute("meta[http-equiv='Content-Security-Policy']", "content")
    hashes = {name: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for name, text in sorted(inline)}
    assert [name for name, _ in sorted(inline)] == ["script", "style"]
    assert dict(part.strip().split(" ", 1) for part in str(policy).split(";")) == {
        "default-src": "'none'",
        "style-src": f"'sha256-{hashes['style']}'",
        "script-src": f"'sha256-{hashes['script']}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


# The filter


@pytest.mark.parametrize(
    ("wanted", "shown", "said"),
    [
        ("alpha", ["alpha"], "1 of 3 findings match"),
        ("ALPHA", ["alpha"], "1 of 3 findings match"),
        ("instance-profile/ a", ["alpha", "beta", "gamma"], "3 of 3 findings match"),
        ("holds beta", ["beta"], "1 of 3 findings match"),
        ("nothing-like-it", [], "0 of 3 findings match"),
        ("<b>", [], "0 of 3 findings match"),
    ],
)
def test_the_filter_shows_the_rows_that_hold_every_word_and_tells_how_many(
    browser: Browser, tmp_path: Path, wanted: str, shown: list[str], said: str
) -> None:
    with opened(browser, report(empties(tmp_path / "in", "alpha", "beta", "gamma"), tmp_path / "out")) as it:
        assert it.rows_shown() == ["alpha", "beta", "gamma"]
        it.page.get_by_label("Show findings with").fill(wanted)
        expect(it.page.get_by_role("status")).to_have_text(said)
        assert it.rows_shown() == shown
        assert it.said == []


def test_an_emptied_filter_shows_all_rows_again_and_says_nothing(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, report(empties(tmp_path / "in", "alpha", "beta"), tmp_path / "out")) as it:
        it.page.get_by_label("Show findings with").fill("alpha")
        expect(it.page.get_by_role("status")).to_have_text("1 of 2 findings match")
        it.page.get_by_label("Show findings with").fill("")
        expect(it.page.get_by_role("status")).to_have_text("")
        assert it.rows_shown() == ["alpha", "beta"]


def test_the_copy_button_of_a_next_step_says_that_it_did_its_work(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, report(empties(tmp_path / "in", "alpha"), tmp_path / "out")) as it:
        for place in ("What to do first", "Instance profiles that hold no role"):
            button = it.page.get_by_role("region", name=place).locator("button.copy")
            button.first.click()
            expect(button.first).to_have_text(re.compile("Copied|Selected"))


# Print


def test_print_shows_every_row_whether_on_screen_or_not(browser: Browser, tmp_path: Path) -> None:
    names = [f"p{number:03}" for number in range(250)]
    with opened(browser, report(empties(tmp_path / "in", *names), tmp_path / "out")) as it:
        it.page.emulate_media(media="print")
        assert it.rows_shown() == names
        assert not it.page.get_by_label("Show findings with").is_visible()


def test_print_shows_every_row_while_a_filter_is_active(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, report(empties(tmp_path / "in", "alpha", "beta"), tmp_path / "out")) as it:
        it.page.get_by_label("Show findings with").fill("alpha")
        expect(it.page.get_by_role("status")).to_have_text("1 of 2 findings match")
        it.page.emulate_media(media="print")
        assert it.rows_shown() == ["alpha", "beta"]


# What it says


def test_a_table_above_20000_rows_is_cut_and_says_where_all_rows_are(browser: Browser, tmp_path: Path) -> None:
    inventory = empties(tmp_path / "in", *(f"p{number}" for number in range(20_001)))
    page = report(inventory, tmp_path / "out")
    with opened(browser, page) as it:
        assert it.page.get_by_text("20,000 of 20,001 rows, all in findings.csv", exact=True).is_visible()
        assert it.page.locator("tr.finding").count() == 20_000
        assert it.page.locator("#empty_profiles ~ p").first.inner_text() == (
            "medium complete empty_profiles: 20,001 findings."
        )
    assert (page.parent / "findings.csv").read_bytes().count(b"\r\n") == 20_002


def test_the_page_of_the_sample_says_in_its_first_line_that_it_is_fiction(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, report(iamframe.load_sample(), tmp_path)) as it:
        first = it.page.inner_text("body").splitlines()[0]
        assert first == "This is the fictional sample. No account in this report exists."
        assert it.said == []
        assert it.requests == [(tmp_path / "report.html").as_uri()]


@pytest.mark.parametrize("folder", ["dumps", "sample"])
def test_the_page_of_files_never_says_that_it_is_fiction(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    write(tmp_path / folder, {"profiles.json": profile_list(profile("mine"))})
    monkeypatch.chdir(tmp_path)
    with opened(browser, report(iamframe.load_files(folder), tmp_path / "out")) as it:
        assert it.rows_shown() == ["mine"]
        assert "fiction" not in it.text()


def test_a_check_that_is_not_complete_is_named_with_the_file_that_would_settle_it(
    browser: Browser, tmp_path: Path
) -> None:
    held = {"InstanceProfileName": "web", "InstanceProfileId": "AIPAWEB", "Path": "/", "Roles": []}
    held["Arn"] = f"arn:aws:iam::{ACCOUNT}:instance-profile/web"
    source = load(tmp_path / "in", {"dump.json": dump(role_detail("web", [held]))})
    with opened(browser, report(source, tmp_path / "out")) as it:
        unseen = it.page.get_by_role("region", name="What could not be seen")
        line = unseen.get_by_role("listitem").filter(has_text="Instance profiles that hold no role")
        assert line.count() == 1
        assert "unknown" in line.inner_text()
        assert "aws iam list-instance-profiles" in line.inner_text()
        line.get_by_role("link").click()
        section = it.page.locator("section[aria-labelledby=empty_profiles]")
        assert "None was found in what was read; see above for what was not." in section.inner_text()
        assert "There is none." not in section.inner_text()


def test_a_complete_check_without_findings_says_that_there_is_none(browser: Browser, tmp_path: Path) -> None:
    source = load(tmp_path / "in", {"p.json": profile_list(profile("web", nested_role("web")))})
    with opened(browser, report(source, tmp_path / "out")) as it:
        section = it.page.locator("section[aria-labelledby=empty_profiles]")
        assert section.locator("table").count() == 0
        assert "There is none." in section.inner_text()


def test_what_could_not_be_read_is_a_table_of_its_own(browser: Browser, tmp_path: Path) -> None:
    source = load(tmp_path / "in", {"p.json": profile_list(profile("web")), "x.json": "{"})
    with opened(browser, report(source, tmp_path / "out")) as it:
        gaps = it.page.locator("section[aria-labelledby=gaps]")
        row = gaps.get_by_role("row").filter(has_text="x.json")
        assert "unreadable" in row.inner_text()
        assert "is not JSON" in row.inner_text()


def test_an_accepted_finding_stays_with_its_reason_and_is_not_counted_at_the_top(
    browser: Browser, tmp_path: Path
) -> None:
    accepted = '[[accepted]]\ncheck = "empty_profiles"\nresource_arn = "*/beta"\nreason = "kept for the audit"\n'
    write(tmp_path, {"policy.toml": accepted})
    source = empties(tmp_path / "in", "alpha", "beta")
    with opened(browser, report(source, tmp_path / "out", tmp_path / "policy.toml")) as it:
        assert it.page.locator("tr.finding").filter(has_text="beta").locator("td").first.inner_text() == (
            "medium accepted: kept for the audit"
        )
        counts = [it.page.locator(f".numbers .{name}").inner_text() for name in ("high", "medium", "low", "info")]
        assert [re.split(r"\s+", count) for count in counts] == [
            ["0", "high"], ["1", "medium"], ["0", "low"], ["0", "info"],
        ]  # fmt: skip


def test_the_page_has_a_language_a_title_one_heading_and_tables_that_say_what_their_columns_are(
    browser: Browser, tmp_path: Path
) -> None:
    with opened(browser, report(iamframe.load_sample(), tmp_path)) as it:
        assert it.page.get_attribute("html", "lang") == "en"
        assert it.page.evaluate("document.compatMode") == "CSS1Compat"
        assert it.page.title() == "IAM roles and instance profiles: findings"
        assert [h.inner_text() for h in it.page.locator("h1").all()] == ["IAM roles and instance profiles"]
        tables = it.page.locator("table").count()
        assert tables >= 16
        assert it.page.locator("table > caption").count() == tables
        assert it.page.locator("table > thead > tr").count() == tables
        assert it.page.locator("th").count() == it.page.locator("thead th[scope=col]").count() > tables
        ids = it.page.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
        assert len(ids) == len(set(ids))
        targets = it.page.eval_on_selector_all("a", "all => all.map(a => a.getAttribute('href').slice(1))")
        assert set(targets) <= set(ids)
        labels = it.page.eval_on_selector_all(
            "[aria-labelledby]", "all => all.map(e => e.ariaLabelledByElements.length)"
        )
        assert set(labels) == {1}


def test_every_finding_of_the_sample_is_a_row_of_the_page(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, report(iamframe.load_sample(), tmp_path)) as it:
        assert it.page.locator("tr.finding").count() >= 43
        assert "owner is missing on the profile" in it.cells()
        assert "基盤チーム" not in it.cells()

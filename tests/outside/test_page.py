"""The page in a real browser, offline: hostile text stays text, the filter filters, every row is printed."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

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
    sample_result,
    tag_list,
    write,
)
from pages import HOSTILE, as_value, complaints, hostile_documents, hostile_policy, opened, table
from playwright.sync_api import Browser, Page, expect

import iamframe
from iamframe.report.numbers import widths


def report(source: iamframe.Inventory | iamframe.Result, out: Path, policy: Path | None = None, **head: str) -> Path:
    result = source if isinstance(source, iamframe.Result) else iamframe.run_checks(source, policy=policy)
    return iamframe.write_report(result, out, **head)


def wanted(page: Page, text: str) -> None:
    """Fill the filter and wait until it has done its work."""
    page.get_by_label("Filter findings").fill(text)
    expect(page.get_by_role("status")).to_have_text(re.compile("findings on this page match" if text else "^$"))


def empties(folder: Path, *names: str) -> iamframe.Inventory:
    """An account of empty profiles: each is one finding."""
    return load(folder, {"profiles.json": profile_list(*map(profile, names))})


def two_checks(folder: Path) -> iamframe.Inventory:
    """Two empty profiles, and one whose name differs from its role's."""
    return load(
        folder, {"p.json": profile_list(profile("alpha"), profile("beta"), profile("web", nested_role("portal")))}
    )


class Pages:
    """Pages that several tests look at, each written once and left as it is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: dict[tuple[str, ...], Path] = {}

    def _of(self, what: tuple[str, ...], make: Callable[[Path], iamframe.Inventory | iamframe.Result]) -> Path:
        if what not in self.made:
            place = self.folder / str(len(self.made))
            self.made[what] = report(make(place / "in"), place / "out")
        return self.made[what]

    def sample(self) -> Path:
        return self._of(("the sample",), lambda _: sample_result())

    def little(self) -> Path:
        documents = {"p.json": profile_list(profile("a", nested_role("b")))}
        return self._of(("hardly anything",), lambda folder: load(folder, documents))

    def two_checks(self) -> Path:
        return self._of(("two checks",), two_checks)

    def empties(self, *names: str) -> Path:
        return self._of(("empties", *names), lambda folder: empties(folder, *names))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    return Pages(tmp_path_factory.mktemp("pages"))


# Hostile text


@pytest.mark.skipif(os.name == "nt", reason="Windows takes no such folder names")
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_in_any_field_title_or_author_is_shown_as_text_and_nothing_of_it_runs(
    browser: Browser, tmp_path: Path, text: str
) -> None:
    source = tmp_path / f"{text}-folder"
    inventory = load(source, hostile_documents(text))
    policy = write(source, {"policy.toml": hostile_policy(text)}) / "policy.toml"
    arn = f"arn:aws:iam::{ACCOUNT}:instance-profile/{text}/"
    page = report(inventory, tmp_path / "out", policy, title=f"{text} title", author=f"{text} author")
    with opened(browser, page) as it:
        details = [value for row in it.opened_rows() for value in row.values()]
        cells, whole = it.cells().union(details), it.text()
        for shown in (
            f"{text}-profile",
            f"{arn}x/{text}-profile",
            f"arn:aws:iam::{ACCOUNT}:role/{text}/{text}-role",
            f"/{text}/x/",
            f"{text}-maker",
            f"holds the role {text}-role",
            f"the profile has the path /{text}/x/, but its role has the path /{text}/",
            (
                f"tag '{text}' is '{as_value(text, '-value')}' on the role and 'other' on the profile; "
                f"tag '{text}-only' is missing on the profile"
            ),
            (
                f"tag '{text}-wanted' is missing; "
                f"tag '{text}' is '{as_value(text, '-value')}', but the policy file allows only {text}-allowed"
            ),
            f"the profile's role {text}-shut trusts {text}.example, not EC2",
            f"instance '{text}-instance'",
            f"uses the profile arn:aws:iam::{ACCOUNT}:instance-profile/{text}-gone, which does not exist",
            f"ListRoleTags for {text} failed with {text}-code when the files were collected",
            f"{source.name}/broken.json",
        ):
            assert shown in cells
        assert f"{text}-empty accepted: {text}-reason" in cells
        assert f"{text}-account" in whole
        assert f" by iamframe {iamframe.__version__}. Source: {source.name}. Policy file: policy.toml." in whole
        assert str(tmp_path) not in page.read_text("utf-8")
        it.page.hover("tr.finding >> nth=0")
        it.page.keyboard.press("Tab")
        assert it.page.evaluate("typeof window.pwned") == "undefined"
        assert it.page.locator("img, svg, iframe, object, embed, form, base").count() == 0
        links = it.page.eval_on_selector_all("a", "links => links.map(a => a.getAttribute('href'))")
        console = "https://console.aws.amazon.com/iam/home#/roles/details/"
        assert {link[: len(console)] for link in links if link[0] != "#"} == {console}
        assert it.page.text_content("h1") == f"{text} title"
        assert it.page.text_content("title") == f"{text} title"
        assert it.page.get_attribute("meta[name=author]", "content") == f"{text} author"
        assert f"By {text} author. Report of 20" in whole
        # What stands at the head of each printed page.
        printed = re.search(r'@page\{@top-left\{content:"((?:\\[0-9a-f]+ )+)"', it.page.text_content("style") or "")
        assert printed is not None
        assert "".join(chr(int(code, 16)) for code in printed[1].replace("\\", "").split()) == f"{text} title"
        assert it.said == []
        assert it.requests == [page.as_uri()]


def test_a_page_without_a_title_and_an_author_has_its_own_and_names_nobody(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, report(empties(tmp_path / "in", "a"), tmp_path / "out", title="", author="")) as it:
        assert it.page.title() == "IAM roles and instance profiles: findings"
        assert it.page.locator("meta[name=author]").count() == 0
        assert "By " not in it.page.inner_text("header")


def test_what_cannot_be_encoded_in_a_title_is_no_reason_to_fail(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, report(empties(tmp_path / "in", "a"), tmp_path / "out", title="caf\udce9 \x00")) as it:
        assert it.page.inner_text("h1").startswith("caf")
        assert it.said == []


def test_the_alias_of_an_account_is_shown_as_it_is(browser: Browser, tmp_path: Path) -> None:
    aliases = {"1" * 12: "portal", "2" * 12: 'a "quoted" alias', "3" * 12: "基盤チーム", "4" * 12: "<b>"}
    for account, text in aliases.items():
        source = write(tmp_path / "in" / account, {"id.json": identity(account)})
        (source / "aliases.json").write_text(json.dumps({"AccountAliases": [text]}), encoding="ascii")
    with opened(browser, report(iamframe.load_files(tmp_path / "in"), tmp_path / "out")) as it:
        assert [row[0] for row in table(it.page, "Scope")] == [f"{one} ({text})" for one, text in aliases.items()]


def test_the_page_runs_nothing_but_its_own_script_even_if_something_were_not_escaped(
    browser: Browser, tmp_path: Path
) -> None:
    page = report(empties(tmp_path / "in", "a", "b"), tmp_path / "out")
    hole = (
        '<script>window.pwned=1</script><img src="data:," onerror="window.pwned=1"><b style="color:red" id="hole">a</b>'
    )
    page.write_text(page.read_text("utf-8").replace("<main ", f"{hole}<main "), "utf-8")
    with opened(browser, page) as it:
        assert it.page.locator("#hole").count() == 1
        assert it.page.evaluate("typeof window.pwned") == "undefined"
        assert it.page.evaluate("getComputedStyle(document.getElementById('hole')).color") != "rgb(255, 0, 0)"
        assert it.requests == [page.as_uri()]


def test_the_policy_of_the_page_names_the_hashes_of_its_own_style_and_script_and_nothing_else(
    browser: Browser, pages: Pages
) -> None:
    with opened(browser, pages.empties("a")) as it:
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


def test_the_filter_shows_the_rows_that_hold_every_word_and_tells_how_many(browser: Browser, pages: Pages) -> None:
    with opened(browser, pages.empties("alpha", "beta", "gamma")) as it:
        assert it.rows_shown() == ["alpha", "beta", "gamma"]
        for words, shown in {
            "alpha": ["alpha"],
            "<b>": [],
            "ALPHA": ["alpha"],
            "instance-profile/ a": ["alpha", "beta", "gamma"],
            "empty beta": ["beta"],
            "nothing-like-it": [],
        }.items():
            it.page.get_by_label("Filter findings").fill(words)
            said = f"{len(shown)} of 3 findings on this page match, {len(shown)} of them to fix"
            expect(it.page.get_by_role("status")).to_have_text(said)
            assert it.rows_shown() == shown, words
        assert it.said == []


def test_the_filter_finds_the_rows_of_a_check_by_its_name(browser: Browser, tmp_path: Path) -> None:
    source = load(tmp_path / "in", {"p.json": profile_list(profile("left"), profile("portal", nested_role("web")))})
    with opened(browser, report(source, tmp_path / "out")) as it:
        it.page.get_by_label("Filter findings").fill("empty_profiles")
        expect(it.page.get_by_role("status")).to_have_text("1 of 2 findings on this page match, 1 of them to fix")
        assert it.rows_shown() == ["left"]


def test_an_emptied_filter_shows_all_rows_again_and_says_nothing(browser: Browser, pages: Pages) -> None:
    with opened(browser, pages.empties("alpha", "beta")) as it:
        it.page.get_by_label("Filter findings").fill("alpha")
        expect(it.page.get_by_role("status")).to_have_text("1 of 2 findings on this page match, 1 of them to fix")
        it.page.get_by_label("Filter findings").fill("")
        expect(it.page.get_by_role("status")).to_have_text("")
        assert it.rows_shown() == ["alpha", "beta"]


def test_a_filter_leaves_only_sections_with_a_hit_and_the_index_says_how_many_each_has(
    browser: Browser, pages: Pages
) -> None:
    with opened(browser, pages.two_checks()) as it:
        sections = it.page.locator("section.check")
        assert sections.count() == len(iamframe.CHECKS)
        wanted(it.page, "beta")
        shown = sections.evaluate_all("all => all.filter(s => s.checkVisibility()).map(s => s.querySelector('h2').id)")
        assert shown == ["empty_profiles"]
        counts = {row[0]: row[3] for row in table(it.page, "Findings per check")}
        assert counts["Instance profiles that hold no role"] == "1 of 2"
        assert counts["Profile and role names differ"] == "0 of 1"
        it.page.locator("h1").click()
        it.page.keyboard.press("Escape")
        expect(it.page.get_by_role("status")).to_have_text("")
        assert it.page.get_by_label("Filter findings").input_value() == ""
        assert sections.evaluate_all("all => all.filter(s => s.checkVisibility()).length") == len(iamframe.CHECKS)
        assert {row[0]: row[3] for row in table(it.page, "Findings per check")}["Profile and role names differ"] == "1"


@pytest.mark.parametrize("width", [1280, 390])
def test_a_filter_jumps_to_the_first_hit_below_its_own_bar_and_back_when_it_is_emptied(
    browser: Browser, pages: Pages, width: int
) -> None:
    with opened(browser, pages.two_checks(), width) as it:
        it.page.get_by_label("Filter findings").focus()
        it.page.wait_for_timeout(50)
        before = it.page.evaluate("scrollY")
        wanted(it.page, "portal")
        bar, hit = it.page.locator(".find").bounding_box(), it.page.locator("#name_mismatches").bounding_box()
        assert bar is not None
        assert hit is not None
        # On a narrow screen the bar would take too much of it, and is left behind.
        assert abs(bar["y"]) < 1 or (width == 390 and bar["y"] + bar["height"] < 0)
        assert bar["y"] + bar["height"] <= hit["y"] < 400
        wanted(it.page, "")
        assert it.page.evaluate("scrollY") == before


def test_a_filter_marks_what_it_found_whatever_its_case_and_nothing_else(browser: Browser, pages: Pages) -> None:
    marked = "() => Array.from(CSS.highlights.get('hit') ?? [], range => range.toString())"
    with opened(browser, pages.empties("Alpha", "beta")) as it:
        wanted(it.page, "alpha")
        assert it.page.evaluate(marked) == ["Alpha"]
        wanted(it.page, "")
        wanted(it.page, "more")
        assert it.page.evaluate(marked) == []
        assert it.rows_shown() == []


@pytest.mark.parametrize("width", [1280, 390])
def test_no_heading_that_the_index_leads_to_hides_behind_the_bar(browser: Browser, pages: Pages, width: int) -> None:
    with opened(browser, pages.sample(), width) as it:
        links = it.page.locator("nav a")
        assert links.count() == len(iamframe.CHECKS) + 5
        it.page.emulate_media(reduced_motion="reduce")
        places = "name => ['.find', '#' + name].map(one => document.querySelector(one).getBoundingClientRect())"
        for link in links.all():
            name = link.evaluate("link => (link.click(), link.hash.slice(1))")
            bar, heading = it.page.evaluate(places, name)
            # Owners stand above the bar.
            above = name == "owners" and heading["bottom"] <= bar["top"]
            assert above or bar["bottom"] <= heading["top"] < 800 - heading["height"], name


# Sorting


def test_a_click_on_the_head_of_a_column_sorts_its_table_and_a_second_one_turns_it_round(
    browser: Browser, tmp_path: Path
) -> None:
    source = empties(tmp_path / "in", "p10", "p2", "P1", "p0")
    with opened(browser, report(source, tmp_path / "out")) as it:
        head = it.page.locator("section[aria-labelledby=empty_profiles] th").filter(has_text="Name")
        assert head.get_attribute("aria-sort") is None
        head.get_by_role("button").click()
        assert it.rows_shown() == ["p0", "P1", "p2", "p10"]
        assert head.get_attribute("aria-sort") == "ascending"
        head.get_by_role("button").click()
        assert it.rows_shown() == ["p10", "p2", "P1", "p0"]
        assert head.get_attribute("aria-sort") == "descending"
        assert it.said == []


def test_a_table_is_sorted_by_keyboard_too_and_one_column_at_a_time(browser: Browser, pages: Pages) -> None:
    with opened(browser, pages.empties("b", "a")) as it:
        section = it.page.locator("section[aria-labelledby=empty_profiles]")
        name = section.get_by_role("button", name="Name")
        name.focus()
        it.page.keyboard.press("Enter")
        it.page.keyboard.press("Enter")
        assert it.rows_shown() == ["b", "a"]
        it.page.keyboard.press("Tab")
        it.page.keyboard.press("Space")
        assert it.rows_shown() == ["a", "b"]
        sorted_by = section.locator("th[aria-sort]")
        assert [(head.inner_text(), head.get_attribute("aria-sort")) for head in sorted_by.all()] == [
            ("Path", "ascending")
        ]


def test_equal_rows_keep_their_order_and_what_is_missing_comes_last_both_ways(browser: Browser, tmp_path: Path) -> None:
    guessed = '[[makers]]\nname = "house"\nrole = "*"\nprofile = "m-*"\nis_guess = true\n'
    policy = write(tmp_path, {"policy.toml": guessed}) / "policy.toml"
    made = [profile(name, nested_role(role)) for name, role in (("b", "x"), ("m-a", "y"), ("a", "z"), ("m-b", "w"))]
    source = load(tmp_path / "in", {"p.json": profile_list(*made)})
    with opened(browser, report(source, tmp_path / "out", policy)) as it:
        maker = it.page.locator("section[aria-labelledby=name_mismatches]").get_by_role("button", name="Created by")
        for _ in ("up", "down"):
            maker.click()
            assert it.rows_shown() == ["m-a", "m-b", "a", "b"]


def test_severities_are_sorted_as_such(browser: Browser, pages: Pages) -> None:
    with opened(browser, pages.sample()) as it:
        severity = it.page.get_by_role("group", name="Table: Findings per check").get_by_role("button", name="Severity")
        for order in (["high", "medium", "low"], ["low", "medium", "high"]):
            severity.click()
            assert list(dict.fromkeys(row[1] for row in table(it.page, "Findings per check"))) == order


def test_numbers_are_sorted_as_numbers(browser: Browser, tmp_path: Path) -> None:
    made = [profile(f"p{number}") for number in range(1_000)] + [profile("web", nested_role("portal"))]
    made += [profile(f"same{number}", nested_role(f"other{number}")) for number in range(9)]
    with opened(browser, report(load(tmp_path / "in", {"p.json": profile_list(*made)}), tmp_path / "out")) as it:
        button = it.page.get_by_role("group", name="Table: Findings per check").get_by_role("button", name="To fix")
        button.click()
        button.click()
        assert [row[3] for row in table(it.page, "Findings per check")][:3] == ["1,000", "10", "0"]


def test_a_long_table_is_sorted_across_its_bodies_and_stays_filtered(browser: Browser, pages: Pages) -> None:
    names = [f"p{number}" for number in range(250)]
    with opened(browser, pages.empties(*names)) as it:
        wanted(it.page, "profile/p24")
        it.page.locator("section[aria-labelledby=empty_profiles]").get_by_role("button", name="Name").dblclick()
        assert it.rows_shown() == [*(f"p{number}" for number in range(249, 239, -1)), "p24"]
        wanted(it.page, "")
        assert it.rows_shown() == names[::-1]
        sizes = "bodies => bodies.map(body => body.rows.length)"
        assert it.page.locator("section[aria-labelledby=empty_profiles] tbody").evaluate_all(sizes) == [100, 100, 50]


def test_the_copy_button_of_a_next_step_says_that_it_did_its_work(browser: Browser, pages: Pages) -> None:
    with opened(browser, pages.empties("alpha")) as it:
        it.opened_rows()
        button = it.page.get_by_role("region", name="Instance profiles that hold no role").locator("button.copy")
        button.first.click()
        expect(button.first).to_have_text(re.compile("Copied|Selected"))


# Print


def test_print_shows_every_row_whether_on_screen_or_not(browser: Browser, pages: Pages) -> None:
    names = [f"p{number:03}" for number in range(250)]
    with opened(browser, pages.empties(*names)) as it:
        it.page.emulate_media(media="print")
        assert it.rows_shown() == names
        assert not it.page.get_by_label("Filter findings").is_visible()


def test_print_shows_every_row_while_a_filter_is_active(browser: Browser, pages: Pages) -> None:
    with opened(browser, pages.empties("alpha", "beta")) as it:
        it.page.get_by_label("Filter findings").fill("alpha")
        expect(it.page.get_by_role("status")).to_have_text("1 of 2 findings on this page match, 1 of them to fix")
        it.page.emulate_media(media="print")
        assert it.rows_shown() == ["alpha", "beta"]


@pytest.mark.parametrize("media", ["screen", "print"])
def test_rows_off_screen_are_not_laid_out_but_printed(browser: Browser, pages: Pages, media: str) -> None:
    names = [f"p{number:03}" for number in range(250)]
    with opened(browser, pages.empties(*names)) as it:
        it.page.emulate_media(media="print" if media == "print" else "screen")
        bodies = it.page.locator("section[aria-labelledby=empty_profiles] tbody")
        assert bodies.evaluate_all("all => all.map(b => b.rows.length)") == [100, 100, 50]
        place = "[aria-labelledby=empty_profiles] tbody"
        drawn = "b.rows[0].checkVisibility({ contentVisibilityAuto: true })"
        all_so = f"wanted => [...document.querySelectorAll('{place}')].every(b => {drawn} === wanted)"
        it.page.wait_for_function(all_so, arg=media == "print")
        display = it.page.eval_on_selector("#empty_profiles ~ .scroll thead", "head => getComputedStyle(head).display")
        assert display == ("table-header-group" if media == "print" else "block")


def test_the_head_that_print_repeats_on_each_page_is_text_and_no_button(browser: Browser, pages: Pages) -> None:
    with opened(browser, pages.empties("a")) as it:
        it.page.emulate_media(media="print")
        display = it.page.locator("th button").evaluate_all("all => all.map(b => getComputedStyle(b).display)")
        assert set(display) == {"contents"}


def test_a_page_of_10000_findings_takes_at_most_3_5_megabytes(tmp_path: Path) -> None:
    names = [f"app-{number:06}" for number in range(5_000)]
    made = [profile(f"{name}-profile", nested_role(f"{name}-role", "/team/"), "/team/") for name in names]
    source = load(tmp_path / "in", {"p.json": profile_list(*made, *map(profile, names))})
    result = iamframe.run_checks(source)
    assert len(result.findings) == 10_000
    assert iamframe.write_report(result, tmp_path / "out").stat().st_size < 3_500_000


# Small screens, dark ones, and people who do not see


@pytest.mark.parametrize("source", ["sample", "hardly anything"])
def test_axe_finds_nothing_to_complain_about(browser: Browser, pages: Pages, source: str) -> None:
    with opened(browser, pages.sample() if source == "sample" else pages.little()) as it:
        assert complaints(it.page, "light", "dark") == []


def test_on_a_narrow_screen_each_finding_is_a_card_that_says_what_is_what_and_nothing_is_cut_off(
    browser: Browser, pages: Pages
) -> None:
    with opened(browser, pages.two_checks(), 390) as it:
        cells = it.page.locator("section[aria-labelledby=name_mismatches] tr.finding td")
        labels = "cells => cells.map(c => [getComputedStyle(c, '::before').content, c.innerText])"
        assert [(label.strip('"'), text) for label, text in cells.evaluate_all(labels)] == [
            ("Name", "web"),
            ("Path", "/"),
            ("Found", "holds the role portal"),
            ("How the names differ", "different words"),
            ("none", "More"),
        ]
        boxes = "cells => cells.map(c => c.getBoundingClientRect()).filter(b => b.width).map(b => [b.left, b.right])"
        assert all(0 <= left < right <= 390 for left, right in cells.evaluate_all(boxes))
        assert it.page.evaluate("document.documentElement.scrollWidth") == 390


def test_on_a_narrow_screen_a_label_of_two_lines_stays_in_its_cell(browser: Browser, pages: Pages) -> None:
    with opened(browser, pages.sample(), 390) as it:
        cells = it.page.locator(".cards tbody td")
        assert (
            cells.evaluate_all("cells => cells.filter((cell) => cell.scrollHeight > cell.clientHeight + 1).length") == 0
        )


def test_no_table_is_cut_at_the_right_of_a_narrow_screen(browser: Browser, pages: Pages) -> None:
    with opened(browser, pages.sample(), 390) as it:
        it.opened_rows()
        scrolls = it.page.locator(".scroll").evaluate_all("all => all.map(s => s.scrollWidth - s.clientWidth)")
        assert len(scrolls) > 15
        assert set(scrolls) == {0}
        labels = "cells => cells.map(cell => getComputedStyle(cell, '::before').content + cell.innerText)"
        row = it.page.get_by_role("group", name="Table: Are profiles used?").locator("tbody tr").first
        assert row.locator(".number").evaluate_all(labels)[:2] == ['"Profiles: "40', '"in use: "30']


def test_a_table_that_is_wider_than_the_screen_says_so_until_its_end_is_reached(
    browser: Browser, tmp_path: Path
) -> None:
    tags = {f"department:{number}:{'x' * 30}": "" for number in range(8)}
    source = load(tmp_path / "in", {"d.json": dump(role_detail("web", tags=tags))})
    with opened(browser, report(source, tmp_path / "out"), 800) as it:
        said = "frame => getComputedStyle(frame, '::before').content.includes('scroll for more')"
        wide = it.page.get_by_role("group", name="Table: Tag coverage")
        expect(wide).to_have_class("scroll more")
        assert wide.evaluate(said) is True
        wide.evaluate("scroll => scroll.scrollTo(scroll.scrollWidth, 0)")
        expect(wide).to_have_class("scroll")
        assert wide.evaluate(said) is False
        narrow = it.page.get_by_role("group", name="Table: How names of profiles and roles differ")
        assert narrow.count() == 0 or narrow.get_attribute("class") == "scroll"


@pytest.mark.parametrize("width", [390, 1280])
def test_the_arrow_of_a_head_stands_on_the_line_of_its_last_word(browser: Browser, pages: Pages, width: int) -> None:
    with opened(browser, pages.sample(), width) as it:
        heads = it.page.locator(".picture th button").evaluate_all(
            "all => all.map(b => [b.textContent, b.offsetHeight / parseFloat(getComputedStyle(b).lineHeight), "
            "getComputedStyle(b, '::after').content])"
        )
        of_one_word = [head for head in heads if re.fullmatch(r"\w+", head[0])]
        assert len(of_one_word) > 10
        assert [head for head in of_one_word if head[1] >= 2] == []
        assert all(content.startswith('"\u00a0') for _, _, content in heads)


# Pictures


def test_bars_are_as_long_as_the_numbers_beside_them(browser: Browser, tmp_path: Path) -> None:
    made = [profile(name) for name in "abcd"] + [profile("web", nested_role("portal"))]
    with opened(browser, report(load(tmp_path / "in", {"p.json": profile_list(*made)}), tmp_path / "out")) as it:
        lengths = it.page.locator(".index tbody tr").evaluate_all(
            "rows => rows.map(r => [r.cells[3].innerText, r.querySelector('.bar.solid')?.offsetWidth ?? 0])"
        )
        of = dict(lengths)
        # One list of profiles tells of tags, uses and roles too little: a zero would say that there is nothing.
        assert sorted(of) == ["0", "1", "4", "unknown"]
        assert (of["0"], of["unknown"]) == (0, 0)
        assert abs(of["4"] - 4 * of["1"]) <= 4


def test_the_number_of_findings_of_an_incomplete_check_has_a_plus_and_sorts_as_a_number(
    browser: Browser, pages: Pages
) -> None:
    with opened(browser, pages.sample()) as it:
        rows = table(it.page, "Findings per check")
        numbers = {row[0]: (row[2].partition(" ")[0], row[3]) for row in rows}
        assert numbers["Instance profiles that hold no role"] == ("complete", "6")
        assert numbers["Profiles not used by anything we scanned"] == ("unknown", "12+")
        assert numbers["Roles and profiles missing required tags"] == ("unknown", "unknown")
        head = it.page.locator(".index th").nth(3).locator("button")
        head.click()
        head.click()
        shown = it.page.locator(".index tbody tr td:nth-child(4)").all_inner_texts()
        *numbered, last = shown
        assert numbered == sorted(numbered, key=lambda one: -int(one.rstrip("+")))
        assert (numbered[0], last) == ("12+", "unknown")


def test_the_pictures_of_names_profiles_and_tags_say_in_numbers_what_they_show(
    browser: Browser, tmp_path: Path
) -> None:
    web, portal = nested_role("web"), nested_role("portal")
    untold = {key: value for key, value in profile("untold").items() if key != "Roles"}
    made = [profile("web", web), profile("shop", portal), profile("left"), untold]
    documents = {
        "id.json": identity(),
        "dump.json": dump(
            role_detail("web", made[:1], {"Owner": "ops"}),
            role_detail("portal", made[1:2], {"Owner": "ops", "Team": "x"}),
        ),
        "p.json": profile_list(*made),
        "instance-profile-tags/web.json": {"Tags": tag_list({"Owner": "ops"})},
        "instance-profile-tags/shop.json": {"Tags": []},
    }
    with opened(browser, report(load(tmp_path / "in", documents), tmp_path / "out")) as it:
        assert table(it.page, "How names of profiles and roles differ") == [
            ["the same name", "", "1", "0"],
            ["the same name except for case", "", "0", "0"],
            ["the same name except for a word at the beginning or end", "", "0", "0"],
            ["the same name except for a generated suffix", "", "0", "0"],
            ["different names", "", "1", "0"],
        ]
        assert table(it.page, "Are profiles used?") == [[ACCOUNT, "", "4", "0", "0", "1", "2", "1"]]
        assert table(it.page, "Tag coverage") == [
            [ACCOUNT, "profiles", "2 of 4", "50 % 1", "0 % 0"],
            [ACCOUNT, "roles", "2 of 2", "100 % 2", "50 % 1"],
        ]


def test_a_share_is_rounded_and_0_and_100_percent_are_none_and_all(browser: Browser, tmp_path: Path) -> None:
    keys = [{"All": "", "Most": "", "One": ""}, *[{"All": "", "Most": ""}] * 4, {"All": ""}]
    of_six = [role_detail(f"r{number}", tags=tags) for number, tags in enumerate(keys)]
    few = [
        role_detail(f"f{number}", tags={"All": ""} if number else {}, account="000000000002") for number in range(300)
    ]
    documents = {"six.json": dump(*of_six), "few.json": dump(*few)}
    with opened(browser, report(load(tmp_path / "in", documents), tmp_path / "out")) as it:
        rows = {row[0]: row[3:] for row in table(it.page, "Tag coverage")}
        assert rows[ACCOUNT] == ["100 % 6", "83 % 5", "17 % 1"]
        assert rows["000000000002"][0] == "99 % 299"


@pytest.mark.parametrize(
    ("counts", "of", "drawn"),
    [
        ([1], 6, [17]),
        ([6, 4, 17], 27, [22, 15, 63]),
        ([1, 1, 998], 1000, [1, 1, 98]),
        ([1, 0], 1000, [1, 0]),
        ([1, 1], 200, [1, 1]),
        ([0, 0], 0, [0, 0]),
    ],
)
def test_bars_of_one_row_fill_it_and_none_of_something_is_nothing(counts: list[int], of: int, drawn: list[int]) -> None:
    assert widths(counts, of) == drawn


def test_where_tags_can_be_seen_and_changed_is_told_with_how_many_are_missed(browser: Browser, tmp_path: Path) -> None:
    tagged, bare = profile("web"), profile("bare")
    files = {
        "dump.json": dump(role_detail("web", [tagged], {"Owner": "ops"})),
        "profiles.json": profile_list(tagged, bare),
        "get-instance-profile.json": {"InstanceProfile": tagged | {"Tags": []}},
    }
    with opened(browser, report(load(tmp_path / "in", files), tmp_path / "out")) as it:
        rows = {tuple(row[:2]): row[2:] for row in table(it.page, "Where tags can be seen and changed")}
        assert len(rows) == 22
        assert rows["IAM console", "profiles"] == ["no", "no", "no"]
        by_stack = "yes, but only if CloudFormation manages the role"
        assert rows["CloudFormation", "roles"] == [by_stack, by_stack, "unknown"]
        configured = "yes, but only for resources that Terraform manages"
        asked = "yes, but only with requests to us-east-1"
        either = (
            "yes, but only if Terraform manages the profile (for other profiles, use the Resource Groups Tagging API)"
        )
        assert rows["Terraform", "profiles"] == [configured, either, asked]
        group = it.page.get_by_role("group", name="Table: Where tags can be seen and changed")
        said = group.locator("caption").inner_text()
        assert said.startswith(
            '"No" means that the tool in the row cannot do what the heading of the column says. The data has 1 role '
            "(1 tagged, 0 untagged) and 2"
        )
        without = "without service-linked roles and roles of IAM Identity Center."
        assert f"2 profiles (0 tagged, 1 untagged, 1 unknown), {without}" in said
        unknown = group.locator("td.unknown")
        assert unknown.count() == 8
        assert set(unknown.all_inner_texts()) == {"unknown"}


def test_what_nobody_read_is_hatched_in_the_pictures_and_never_a_nought(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, report(load(tmp_path / "in", {"r.json": {"Roles": [nested_role("web")]}}), tmp_path)) as it:
        (purpose,) = table(it.page, "Are profiles used?")
        assert purpose[2:6] == ["0 or more", "0", "0", "not listed"]
        assert table(it.page, "Tag coverage") == [[ACCOUNT, "roles", "0 of 1"]]
        assert "No links were collected." in it.text()
        hatched = it.page.locator("td.unknown")
        paint = hatched.evaluate_all("all => all.map(cell => getComputedStyle(cell).backgroundImage)")
        assert len(paint) > 10
        assert all(image.startswith("repeating-linear-gradient") for image in paint)


def test_no_link_that_its_maker_means_so_is_shown_as_one_that_somebody_named(browser: Browser, tmp_path: Path) -> None:
    makers = '[[makers]]\nname = "house"\nrole = "*-role"\nprofile = "*-profile"\nnames_differ = true\n'
    policy = write(tmp_path, {"policy.toml": makers}) / "policy.toml"
    made = [profile("a-profile", nested_role("a-role")), profile("b", nested_role("b-x"))]
    with opened(
        browser, report(load(tmp_path / "in", {"p.json": profile_list(*made)}), tmp_path / "out", policy)
    ) as it:
        rows = {row[0]: row[2:] for row in table(it.page, "How names of profiles and roles differ")}
        assert rows["the same name except for a word at the beginning or end"] == ["2", "1"]


def test_a_picture_of_more_than_100_accounts_is_cut_and_says_so(browser: Browser, tmp_path: Path) -> None:
    documents = {f"{n}/p.json": profile_list(profile("a", account=f"{n:012}")) for n in range(1, 102)}
    with opened(browser, report(load(tmp_path / "in", documents), tmp_path / "out")) as it:
        assert len(table(it.page, "Are profiles used?")) == 100
        assert "100 of 101 rows. Each row is one account." in it.text()
        assert len(table(it.page, "Scope")) == 10
        assert "The first 10 of 101." in it.page.inner_text("section[aria-labelledby=looked]")


# What it says


def test_the_first_screen_says_what_needs_attention_what_was_not_checked_and_where_to_start(
    browser: Browser, pages: Pages
) -> None:
    with opened(browser, pages.sample()) as it:
        places = ("region", "Findings"), ("region", "Incomplete"), ("region", "Scope"), ("region", "Start here")
        for role, name in places:
            box = it.page.get_by_role(role, name=name, exact=True).locator("li, h2, td").first.bounding_box()  # type: ignore[arg-type]
            assert box is not None
            assert box["y"] + box["height"] < 600, name
        first = it.page.get_by_role("region", name="Start here").locator("li")
        assert first.count() == 5
        # A command that changes something is left to a plan.
        commands = first.locator(".begin:has(.soft) code").all_inner_texts()
        assert len(commands) == 5
        assert all(one.startswith("aws ") or one == "iamframe plan SOURCE" for one in commands)
        assert [one for one in commands if "delete" in one] == []


def test_resources_that_need_attention_are_counted_once_and_alike_everywhere(browser: Browser, tmp_path: Path) -> None:
    shared = profile("a/b", nested_role("portal"), "/x/")
    documents = {
        "p.json": profile_list(shared, profile("left"), profile("web", nested_role("web"))),
        "d.json": dump(role_detail("portal", [shared], {"Owner": "ops"}), role_detail("web", tags={"Owner": "ops"})),
        "instance-profile-tags/web.json": {"Tags": []},
    }
    page = report(load(tmp_path / "in", documents), tmp_path / "out")
    counted = json.loads((page.parent / "summary.json").read_text("utf-8"))["attention"]
    with opened(browser, page) as it:
        strip = [item.split() for item in it.page.locator(".strip li").all_inner_texts()]
        assert {words[1]: int(words[0]) for words in strip if len(words) == 2} == {
            name: counted[name] for name in ("high", "medium", "low")
        }
        assert strip[0] == [str(counted["resources"]), "resources", "need", "attention"]
        (account,) = table(it.page, "Scope")
        assert sum(map(int, account[1:4])) == counted["resources"]


def test_one_thing_is_not_spoken_of_as_several(browser: Browser, tmp_path: Path) -> None:
    source = load(tmp_path / "in", {"p.json": profile_list(profile("web", nested_role("portal")))})
    with opened(browser, report(source, tmp_path / "out")) as it:
        assert it.page.get_by_role("region", name="Scope").locator("p").inner_text() == (
            "Collected from 1 account: 1 role, 1 instance profile, 1 link between them, 0 tags, and 0 profile "
            "references. Not all roles and profile references were collected. "
            "The files do not say when they were collected."
        )
        assert "1 finding to fix" in it.page.inner_text("section[aria-labelledby=name_mismatches]")


def test_a_reason_why_several_checks_did_not_see_all_is_given_once_with_all_of_them(
    browser: Browser, pages: Pages
) -> None:
    with opened(browser, pages.sample()) as it:
        unseen = it.page.get_by_role("region", name="Incomplete")
        unseen.locator("summary").click()
        reason = "the loaded files cover only ap-northeast-1 and eu-west-1"
        line = unseen.locator("details > ul > li").filter(has_text=reason)
        assert line.count() == 1
        assert [link.get_attribute("href") for link in line.get_by_role("link").all()] == [
            "#stale_references", "#unreferenced_profiles", "#names_refused",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("only", "said"),
    [
        (["empty_profiles"], "All checks that ran are complete, but not everything was collected."),
        (["empty_profiles", "quota_pressure"], "1 of 2 checks is incomplete, so there may be more findings."),
    ],
)
def test_the_page_says_how_many_checks_are_complete(
    browser: Browser, tmp_path: Path, only: list[str], said: str
) -> None:
    result = iamframe.run_checks(empties(tmp_path / "in", "left"), only=only)
    with opened(browser, iamframe.write_report(result, tmp_path / "out")) as it:
        assert said in it.page.get_by_role("region", name="Incomplete").inner_text()


def test_a_time_that_nobody_said_is_unknown(browser: Browser, pages: Pages) -> None:
    with opened(browser, pages.empties("left")) as it:
        assert (
            it.page.get_by_role("region", name="Scope")
            .inner_text()
            .count("The files do not say when they were collected.")
            == 1
        )


def test_noughts_are_no_all_clear_where_a_check_did_not_see_all(browser: Browser, tmp_path: Path) -> None:
    source = load(tmp_path / "in", {"p.json": profile_list(profile("web", nested_role("web")))})
    with opened(browser, report(source, tmp_path / "out")) as it:
        found = it.page.get_by_role("region", name="Incomplete", exact=True).inner_text()
        assert "checks are incomplete, so there may be more findings." in found
        first = it.page.get_by_role("region", name="Start here").inner_text()
        assert (
            "No finding to fix in the data that was collected. Collect what is missing, then run iamframe again."
            in first
        )


def test_a_page_has_10000_rows_at_most_and_says_where_it_was_cut(browser: Browser, tmp_path: Path) -> None:
    made = [profile(f"p{number}") for number in range(10_001)] + [profile("web", nested_role("portal"))]
    page = report(load(tmp_path / "in", {"p.json": profile_list(*made)}), tmp_path / "out")
    with opened(browser, page) as it:
        # The others are of what was not collected.
        assert it.page.locator("tr.finding").count() == 9_992
        assert it.page.locator(".gaps tbody tr").count() == 8
        assert (
            "This page shows 9,992 of 10,002 findings: up to 300 of each check, and more of the most severe checks."
            in it.text()
        )
        section = it.page.locator("section[aria-labelledby=empty_profiles]").inner_text()
        assert "10,001 findings to fix" in section
        assert "9,991 of 10,001 rows (all rows: findings.csv)" in section
    assert (page.parent / "findings.csv").read_bytes().count(b"\r\n") == 10_003


def test_the_page_of_the_sample_says_in_its_first_line_that_it_is_fiction(browser: Browser, pages: Pages) -> None:
    with opened(browser, pages.sample()) as it:
        first = it.page.inner_text("body").splitlines()[0]
        assert first == "This is the fictional sample. All accounts and quotas in this report are made up."
        assert it.said == []
        assert it.requests == [pages.sample().as_uri()]


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
        unseen = it.page.get_by_role("region", name="Incomplete")
        unseen.locator("summary").click()
        line = unseen.locator("details > ul > li").filter(has_text="Instance profiles that hold no role")
        assert line.count() == 1
        assert "aws iam list-instance-profiles" in line.inner_text()
        line.get_by_role("link", name="Instance profiles that hold no role").click()
        section = it.page.locator("section[aria-labelledby=empty_profiles]")
        # The status is that of the check, and may have several reasons.
        assert "Status: unknown (too little data to decide)" in section.inner_text()
        assert 'This check was not possible, for the reasons under "Incomplete".' in section.inner_text()
        assert "None." not in section.inner_text()


def test_a_complete_check_without_findings_says_that_there_is_none(browser: Browser, tmp_path: Path) -> None:
    source = load(tmp_path / "in", {"p.json": profile_list(profile("web", nested_role("web")))})
    with opened(browser, report(source, tmp_path / "out")) as it:
        section = it.page.locator("section[aria-labelledby=empty_profiles]")
        assert section.locator("table").count() == 0
        assert "None." in section.inner_text()


def test_what_could_not_be_read_is_a_table_of_its_own(browser: Browser, tmp_path: Path) -> None:
    source = load(tmp_path / "in", {"p.json": profile_list(profile("web")), "x.json": "{"})
    with opened(browser, report(source, tmp_path / "out")) as it:
        gaps = it.page.locator("section[aria-labelledby=gaps]")
        gaps.locator("summary").click()
        row = gaps.get_by_role("row").filter(has_text="x.json")
        assert "unreadable" in row.inner_text()
        assert "is not JSON" in row.inner_text()


def test_an_accepted_finding_is_folded_with_its_reason_and_needs_no_attention(browser: Browser, tmp_path: Path) -> None:
    accepted = '[[accepted]]\ncheck = "empty_profiles"\nresource_arn = "*/beta"\nreason = "kept for the audit"\n'
    write(tmp_path, {"policy.toml": accepted})
    source = empties(tmp_path / "in", "alpha", "beta")
    with opened(browser, report(source, tmp_path / "out", tmp_path / "policy.toml")) as it:
        assert it.rows_shown() == ["alpha"]
        it.page.get_by_text("1 finding expected or accepted: no action needed").last.click()
        assert it.rows_shown() == ["alpha", "beta"]
        beta = it.page.locator("tr.finding").filter(has_text="beta")
        assert beta.locator("td").first.inner_text() == "beta accepted: kept for the audit"
        assert it.page.locator(".strip li").all_inner_texts()[0] == "1 resource needs attention"
        assert "1 finding accepted" in it.page.locator(".strip").inner_text()


def test_the_page_has_a_language_a_title_one_heading_and_tables_that_say_what_their_columns_are(
    browser: Browser, pages: Pages
) -> None:
    with opened(browser, pages.sample()) as it:
        assert it.page.get_attribute("html", "lang") == "en"
        assert it.page.evaluate("document.compatMode") == "CSS1Compat"
        assert it.page.title() == "IAM roles and instance profiles: findings"
        assert [h.inner_text() for h in it.page.locator("h1").all()] == ["IAM roles and instance profiles"]
        tables = it.page.locator("table").count()
        assert tables >= 16
        # A table of findings has the name of its frame, the others a caption as well.
        assert (
            it.page.locator("table:not(.findings) > caption").count() == it.page.locator("table:not(.findings)").count()
        )
        assert it.page.locator("[role=group][aria-label] > table").count() == tables
        assert it.page.locator("table > thead > tr").count() == tables
        assert it.page.locator("th").count() == it.page.locator("thead th[scope=col]").count() > tables
        assert it.page.locator("tbody tr:not([role=row]), tbody td:not([role=cell])").count() == 0
        ids = it.page.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
        assert len(ids) == len(set(ids))
        targets = it.page.eval_on_selector_all("a", "all => all.map(a => a.getAttribute('href'))")
        assert {target[1:] for target in targets if target[0] == "#"} <= set(ids)
        labels = it.page.eval_on_selector_all(
            "[aria-labelledby]", "all => all.map(e => e.ariaLabelledByElements.length)"
        )
        assert set(labels) == {1}


def test_every_finding_of_the_sample_is_a_row_with_its_arns_and_its_next_step(browser: Browser, pages: Pages) -> None:
    findings = sample_result().findings.fillna("")
    columns = {"check": "check", "name": "resource_name", "ARN": "resource_arn", "Related to": "related_arn"}
    columns["Next step"] = "next_step"
    # What is neither a role nor a profile is named with its type.
    types = {
        "instance": "instance ",
        "launch-template": "launch template ",
        "account": "account ",
        "tag key": "tag key ",
    }
    typed = findings["resource_type"].map(types) + "'" + findings["resource_name"] + "'"
    findings["resource_name"] = typed.fillna(findings["resource_name"])
    stored = sorted(map(tuple, findings[list(columns.values())].to_numpy().tolist()))
    with opened(browser, pages.sample()) as it:
        shown = sorted(tuple(row.get(name, "").strip() for name in columns) for row in it.opened_rows())
    assert shown == stored


# What a reader does with it


def both_sides(folder: Path) -> iamframe.Inventory:
    """Profiles without tags whose roles have some: of nobody, of AWS Image Builder, and one to keep as it is."""
    names = {"web": "/", "EC2InstanceProfileForImageBuilder": "/", "batch": "/x/"}
    made = {name: profile(name, nested_role(name), path) for name, path in names.items()}
    documents = {
        "d.json": dump(*(role_detail(name, [one], {"Owner": "ops"}) for name, one in made.items())),
        "p.json": profile_list(*made.values(), profile("left")),
    }
    tags = {f"instance-profile-tags/{name}.json": {"Tags": []} for name in (*names, "left")}
    return load(folder, documents | tags)


def test_the_entry_that_the_page_shows_accepts_the_finding_once_somebody_says_why(
    browser: Browser, tmp_path: Path
) -> None:
    source = both_sides(tmp_path / "in")
    findings = iamframe.run_checks(source).findings
    with opened(browser, report(source, tmp_path / "out")) as it:
        entries = [row["Accept this finding"] for row in it.opened_rows() if "Accept this finding" in row]
    assert len(entries) == (~findings["expected"]).sum() > 4
    policy = tmp_path / "policy.toml"
    policy.write_text("\n".join(entries), "utf-8")
    with pytest.raises(iamframe.errors.PolicyError, match="reason"):
        iamframe.run_checks(source, policy=policy)
    policy.write_text("\n".join(entries).replace('reason = ""', 'reason = "agreed"'), "utf-8")
    accepted = iamframe.run_checks(source, policy=policy)
    assert set(accepted.findings["accepted"][~accepted.findings["expected"]]) == {"agreed"}
    assert accepted.attention.sum() == 0


def test_a_command_that_changes_something_is_marked_and_copied_with_a_line_that_stops_in_another_account(
    browser: Browser, tmp_path: Path
) -> None:
    with opened(browser, report(both_sides(tmp_path / "in"), tmp_path / "out")) as it:
        it.page.evaluate("navigator.clipboard.writeText = text => { window.copied = text; return Promise.resolve(); }")
        it.opened_rows()
        said = {}
        for section in ("empty_profiles", "ec2_roles_without_profile", "untagged_profiles"):
            for step in it.page.locator(f"section[aria-labelledby={section}] .of-step").all():
                step.locator("button.copy").click()
                said[it.page.evaluate("window.copied")] = step.inner_text()
    changing = {text: shown for text, shown in said.items() if "changes AWS" in shown}
    guard = f'test "$(aws sts get-caller-identity --query Account --output text)" = {ACCOUNT} &&\n'
    assert f"{guard}aws iam delete-instance-profile --instance-profile-name=left" in changing
    assert all(text.startswith(guard) for text in changing)
    assert [text for text in said if text not in changing and "sts get-caller" in text] == []
    (managed,) = (shown for text, shown in changing.items() if "ImageBuilder" in text)
    assert "Created by EC2 Image Builder. If it still manages this resource, make changes there." in managed
    assert sum("still manages this resource" in shown for shown in said.values()) == 1


def test_a_role_has_a_link_to_the_console_a_profile_none_and_a_masked_page_none_at_all(
    browser: Browser, tmp_path: Path
) -> None:
    source = load(tmp_path / "in", {"d.json": dump(role_detail("a+b@c"), role_detail("web", tags={"k": "v"}))})
    result = iamframe.run_checks(source)
    for mask, links in ((False, ["https://console.aws.amazon.com/iam/home#/roles/details/a%2Bb%40c"]), (True, [])):
        with opened(browser, iamframe.write_report(result, tmp_path / str(mask), mask=mask)) as it:
            it.opened_rows()
            found = it.page.locator("#untagged_roles ~ .scroll a[href]").evaluate_all("all => all.map(a => a.href)")
            assert found == links
            assert ("Accept this finding" in it.page.inner_text("main")) is not mask


def test_what_all_findings_of_a_group_have_in_common_stands_once(browser: Browser, pages: Pages) -> None:
    with opened(browser, pages.empties("alpha", "beta", "gamma")) as it:
        section = it.page.locator("section[aria-labelledby=empty_profiles]")
        assert section.inner_text().count("holds no role") == 1
        assert section.locator(".common").inner_text() == "In all rows: holds no role"
    with opened(browser, pages.empties("a", "b")) as it:
        assert it.page.locator("section[aria-labelledby=empty_profiles]").inner_text().count("holds no role") == 2


def test_a_choice_shows_as_many_findings_as_the_csv_file_has(browser: Browser, pages: Pages) -> None:
    findings = sample_result().findings.rename(columns={"account_id": "account"})
    with opened(browser, pages.sample()) as it:
        for by in ("severity", "account", "owner", "check"):
            field = it.page.locator(f"select[data-by={by}]")
            values = field.locator("option").evaluate_all("all => all.map(option => option.value)")[1:]
            counts = {}
            for value in values:
                field.select_option(value)
                said = str(it.page.get_by_role("status").inner_text())
                counts[value.split("=", 1)[-1]] = int(said.split(maxsplit=1)[0])
            it.page.keyboard.press("Escape")
            expect(it.page.get_by_role("status")).to_have_text("")
            shown = {name: count for name, count in counts.items() if name in set(findings[by])}
            assert shown == findings[by].value_counts().to_dict(), by
            assert sum(counts.values()) == len(findings), by


def test_an_owner_has_the_same_number_in_the_table_by_the_filter_and_in_the_csv_file(
    browser: Browser, pages: Pages
) -> None:
    findings = sample_result().findings
    to_fix = findings[~findings["expected"]]
    with opened(browser, pages.sample()) as it:
        for row in table(it.page, "By owner"):
            it.page.get_by_role("group", name="Table: By owner").get_by_role("button", name=row[0], exact=True).click()
            said = it.page.get_by_role("status").inner_text().split()
            assert (said[8], int(said[0]) - int(said[8])) == (row[4], int(row[5]))
            counts = it.page.locator("section.check:visible > p:first-of-type > .hits").all_inner_texts()
            assert sum(int(count.split()[0]) for count in counts if count) == int(row[4])
            if row[0] in set(to_fix["owner"]):
                assert int(row[4]) == (to_fix["owner"] == row[0]).sum()


def test_findings_that_need_no_action_are_folded_opened_by_a_search_for_them_and_not_printed(
    browser: Browser, pages: Pages
) -> None:
    with opened(browser, pages.sample()) as it:
        cloud9 = it.page.locator("#path_mismatches ~ details.folded tr.finding").filter(
            has_text="AWSCloud9SSMInstanceProfile"
        )
        assert not cloud9.is_visible()
        wanted(it.page, "path_mismatches AWSCloud9SSMInstanceProfile")
        assert cloud9.is_visible()
        wanted(it.page, "")
        assert not cloud9.is_visible()
        it.page.emulate_media(media="print")
        assert not cloud9.is_visible()


def test_absolute_folder_names_never_reach_the_page(browser: Browser, tmp_path: Path) -> None:
    source = write(tmp_path / "in", {"p.json": profile_list(profile("web")), "x.json": "{"})
    older, result = iamframe.load_files(source), iamframe.run_checks(iamframe.load_files(source))
    page = iamframe.write_report(result, tmp_path / "out", changes=iamframe.compare(older, result))
    with opened(browser, page) as it:
        assert "Source: in." in it.page.inner_text("header")
        assert "in/x.json" in it.text()
        assert str(tmp_path) not in it.text()

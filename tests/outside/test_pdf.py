"""The page as a PDF, as Chromium prints it: every row, heads on each page, nothing cut off."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from builders import dump, load, nested_role, profile, profile_list, role_detail, sample_result
from pages import opened
from playwright.sync_api import Browser
from pypdf import PdfReader

import iamframe


def printed(browser: Browser, file: Path) -> list[str]:
    """The text of each printed page, without the white space that lines are broken with."""
    with opened(browser, file) as it:
        pdf = it.page.pdf(prefer_css_page_size=True)
    return ["".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(pdf)).pages]


def long_names(folder: Path) -> iamframe.Inventory:
    """Profiles and roles with the longest names that IAM allows, each pair with a name of its own."""
    pairs = [(f"p{n:03}-" + "x" * 123, f"r{n:03}-" + "y" * 59) for n in range(70)]
    profiles = [profile(name, nested_role(role)) for name, role in pairs]
    roles = [role_detail(role, [one], {"Owner": "web"}) for (_, role), one in zip(pairs, profiles, strict=True)]
    return load(folder, {"profiles.json": profile_list(*profiles), "roles.json": dump(*roles)})


@pytest.mark.parametrize(
    ("lang", "head", "found"), [("en", "NamePathFound", "holdstheroler"), ("ja", "名前パス検出内容", "ロールr")]
)
def test_a_pdf_has_every_row_whole_and_the_head_of_the_table_on_each_of_its_pages(
    browser: Browser, tmp_path: Path, lang: str, head: str, found: str
) -> None:
    result = iamframe.run_checks(long_names(tmp_path / "in"))
    pages = printed(browser, iamframe.write_report(result, tmp_path / "out", lang=lang))
    text = "".join(pages)
    mismatches = result.findings[result.findings["check"] == "name_mismatches"]
    assert len(mismatches) == 70
    for column in ("resource_name", "related_name"):
        assert [value for value in mismatches[column] if value not in text] == []
    rows = [page for page in pages if found in page]
    assert len(rows) > 5
    assert [page for page in rows if head not in page] == []


def test_no_table_is_wider_than_the_paper(browser: Browser, tmp_path: Path) -> None:
    file = iamframe.write_report(sample_result(), tmp_path, lang="ja")
    # A4 across, without its margins: 273 mm of 96 dots per inch.
    with opened(browser, file, 1032, 700) as it:
        it.page.emulate_media(media="print")
        assert it.page.evaluate("document.documentElement.scrollWidth") == 1032
        ends = it.page.eval_on_selector_all(
            "td, th", "cells => Math.max(...cells.map(c => c.getBoundingClientRect().right))"
        )
        assert 900 < ends <= 1032


def test_a_pdf_of_the_sample_holds_each_section_once_and_numbers_its_pages(browser: Browser, tmp_path: Path) -> None:
    result = sample_result()
    pages = printed(browser, iamframe.write_report(result, tmp_path, title="For Example Corp."))
    assert [page for page in pages if "ForExampleCorp." not in page] == []
    assert [number for number, page in enumerate(pages, 1) if f"{number}/{len(pages)}" not in page] == []
    text = "".join(pages)
    assert len(pages) <= 12
    for name in set(result.findings["resource_name"][~result.findings["expected"]]):
        assert "".join(name.split()) in text
    assert "Filterfindings" not in text
    assert "Copy" not in text.replace("CopyTags", "").replace("Copytherole'stags", "")

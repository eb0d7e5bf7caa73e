"""The explorer: each click shows what the plain functions give."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from builders import ACCOUNT, dump, identity, load, nested_role, profile, profile_list, role_detail
from conftest import needed
from pages import exported

import iamframe
from iamframe.errors import MissingExtraError, PolicyError
from iamframe.ui import exploring, widgets
from iamframe.ui.exploring import Filter
from iamframe.ui.widgets import Explorer

WEB = nested_role("web-role", "/team/a/")
DOCUMENTS = {
    "identity.json": identity(),
    "aliases.json": {"AccountAliases": ["shop"]},
    "dump.json": dump(role_detail("web-role", [profile("web")], {"Owner": "ops"}, path="/team/a/")),
    "left.json": {"InstanceProfile": profile("left", path="/cloud9/") | {"Tags": []}},
    "profiles.json": profile_list(
        profile("web", WEB), profile("left", path="/cloud9/"), profile("half", nested_role("half-role"))
    ),
}
with_itables = pytest.mark.skipif(not find_spec("anywidget"), reason="pip install 'iamframe[notebooks]'")


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which itables' widget cannot be loaded."""
    monkeypatch.setitem(sys.modules, "itables.widget", None)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> iamframe.Result:
    return iamframe.run_checks(load(tmp_path_factory.mktemp("account"), DOCUMENTS))


@pytest.fixture(params=[pytest.param("plain", id="plain"), pytest.param("itables", marks=with_itables)])
def explorer(request: pytest.FixtureRequest, result: iamframe.Result, tmp_path: Path) -> Explorer:
    needed(find_spec("ipywidgets"), "ipywidgets", "pip install 'iamframe[notebooks]'")
    if request.param == "plain":
        request.getfixturevalue("plain")
    one = iamframe.explore(result, folder=tmp_path / "out")
    assert one.table.has_trait("selected_rows") is (request.param == "itables")
    return one


class Cells(HTMLParser):
    """The rows of cells in some HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def html(output: Any) -> str:
    return "".join(one["data"]["text/html"] for one in output.outputs)


def shown(explorer: Explorer) -> list[tuple[str, str]]:
    """Check and name of the rows in the table."""
    if explorer.table.has_trait("selected_rows"):
        return list(explorer.table.df[["check", "name"]].itertuples(index=False, name=None))
    return [(row[2], row[4]) for row in Cells(html(explorer.table)).rows[1:]]


EMPTY, UNTAGGED = ("empty_profiles", "left"), ("untagged_profiles", "left")
HALF, WEB_NAMES, WEB_PATHS = ("name_mismatches", "half"), ("name_mismatches", "web"), ("path_mismatches", "web")


def test_all_findings_are_there_at_first(explorer: Explorer) -> None:
    assert shown(explorer) == [EMPTY, UNTAGGED, HALF, WEB_NAMES, WEB_PATHS]
    assert repr(explorer) == "Explorer(5 of 5 findings)"
    assert explorer.count_label.value == "5 of 5 findings"
    assert explorer.rows_label.value == "rows 1 to 5 of 5"
    assert explorer.accounts.options == ((f"{ACCOUNT} shop", ACCOUNT),)


@pytest.mark.parametrize(
    ("widget", "value", "left"),
    [
        ("checks", ("path_mismatches", "empty_profiles"), [EMPTY, WEB_PATHS]),
        ("severities", ("medium",), [EMPTY, UNTAGGED]),
        ("accounts", (ACCOUNT,), [EMPTY, UNTAGGED, HALF, WEB_NAMES, WEB_PATHS]),
        ("makers", (exploring.NO_MAKER,), [EMPTY, UNTAGGED, HALF, WEB_NAMES, WEB_PATHS]),
        ("path", "/cloud9/", [EMPTY, UNTAGGED]),
        ("tag_key", "Owner", [WEB_NAMES, WEB_PATHS]),
        ("text", "half", [HALF]),
    ],
)
def test_each_filter_leaves_what_it_says_and_is_cleared(
    explorer: Explorer, widget: str, value: object, left: list[tuple[str, str]]
) -> None:
    getattr(explorer, widget).value = value
    assert shown(explorer) == left
    pd.testing.assert_frame_equal(explorer.findings, exploring.filtered(explorer.result, explorer.filter))
    explorer.clear.click()
    assert len(shown(explorer)) == 5
    assert explorer.filter == Filter()


def test_the_values_of_a_tag_are_offered_with_those_that_lack_it_and_those_not_read(explorer: Explorer) -> None:
    explorer.tag_key.value = "Owner"
    assert [label for label, _ in explorer.tag_value.options] == [
        "any",
        "not tagged with it",
        "unknown: tags not collected",
        "ops",
    ]
    for index, left in ((1, [EMPTY, UNTAGGED]), (2, [HALF]), (3, [WEB_NAMES, WEB_PATHS])):
        explorer.tag_value.index = index
        assert shown(explorer) == left
    assert Cells(html(explorer.undecided)).rows == []
    assert "1 more finding may match: the path or tags of the resource were not collected" in html(explorer.undecided)
    explorer.tag_key.value = ""
    assert explorer.tag_value.options == (("any", ("yes", None)),)
    assert len(shown(explorer)) == 5


def test_counts_follow_and_tell_how_many_accounts_were_seen(explorer: Explorer) -> None:
    explorer.checks.value = ("untagged_profiles", "name_mismatches")
    assert Cells(html(explorer.counted)).rows[1:] == [
        ["untagged_profiles", "1", "0", "1", "0", "0", "0", "1", "0"],
        ["name_mismatches", "2", "0", "0", "2", "0", "1", "0", "0"],
        ["all", "3", "0", "1", "2", "0", "", "", ""],
    ]


def test_a_check_that_found_nothing_and_saw_all_takes_no_row(explorer: Explorer) -> None:
    explorer.checks.value = ("untagged_roles", "untagged_profiles", "name_mismatches")
    explorer.text.value = "nothing like it"
    rows = Cells(html(explorer.counted)).rows[1:]
    # Tags of one profile and of one role were not read.
    assert [row[0] for row in rows] == ["untagged_profiles", "untagged_roles", "all"]
    said = "No findings, and complete in every account: name_mismatches"
    assert said in html(explorer.counted)
    explorer.text.value = ""
    explorer.tag_key.value = "Owner"
    # Whether half is tagged is not known, so that the filter could not judge.
    assert "name_mismatches" in [row[0] for row in Cells(html(explorer.counted)).rows]


def test_what_could_not_be_seen_is_said_even_where_nothing_is_left(explorer: Explorer) -> None:
    explorer.checks.value = ("untagged_profiles",)
    explorer.text.value = "nothing like it"
    assert shown(explorer) == []
    assert explorer.rows_label.value == "no row"
    assert (explorer.previous.layout.display, explorer.next.layout.display) == ("none", "none")
    assert "no finding does not mean that there is none" in html(explorer.unseen)
    assert Cells(html(explorer.unseen)).rows[1][:2] == ["untagged_profiles (partial)", ACCOUNT]
    explorer.checks.value = ("name_mismatches",)
    assert "no finding means that there is none" in html(explorer.unseen)
    explorer.text.value = ""
    explorer.tag_key.value = "Owner"
    assert "complete data in these accounts, but more findings may match" in html(explorer.unseen)


def test_who_owns_what_is_counted_for_what_is_left(explorer: Explorer) -> None:
    explorer.group_by.value = "Owner"
    assert [row[:2] for row in Cells(html(explorer.grouped)).rows[1:]] == [
        ["ops", "2"],
        ["(not tagged with it)", "2"],
        ["(tags not collected)", "1"],
    ]
    explorer.checks.value = ("path_mismatches",)
    assert [row[:2] for row in Cells(html(explorer.grouped)).rows[1:]] == [["ops", "1"]]


def test_a_row_that_is_chosen_shows_its_card_until_it_is_filtered_away(explorer: Explorer) -> None:
    assert [label for label, _ in explorer.row.options[:2]] == ["choose a finding", "1 · empty_profiles · left"]
    explorer.row.index = 5
    assert html(explorer.card) == exploring.card(explorer.result, 4)._repr_html_()
    assert "/team/a/" in html(explorer.card)
    explorer.checks.value = ("path_mismatches",)
    assert explorer.row.label == "1 · path_mismatches · web"
    assert html(explorer.card)
    explorer.checks.value = ("empty_profiles",)
    assert explorer.row.index == 0
    assert html(explorer.card) == ""


@with_itables
def test_a_row_that_is_marked_in_the_table_shows_its_card_and_the_other_way_round(tmp_path: Path) -> None:
    explorer = iamframe.explore(load(tmp_path, DOCUMENTS))
    explorer.table.selected_rows = [2]
    assert explorer.row.label == "3 · name_mismatches · half"
    assert "half-role" in html(explorer.card)
    explorer.row.index = 1
    assert explorer.table.selected_rows == [0]


def test_pages_are_turned_and_a_filter_begins_at_the_first(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widgets, "PLAIN_ROWS", 2)
    monkeypatch.setattr(widgets, "SORTED_ROWS", 2)
    explorer.clear.click()
    assert shown(explorer) == [EMPTY, UNTAGGED]
    assert (explorer.previous.disabled, explorer.next.disabled) == (True, False)
    assert explorer.next.layout.display is None
    explorer.next.click()
    explorer.next.click()
    assert shown(explorer) == [WEB_PATHS]
    assert explorer.rows_label.value == "rows 5 to 5 of 5"
    assert (explorer.previous.disabled, explorer.next.disabled) == (False, True)
    assert explorer.row.options[1][0] == "5 · path_mismatches · web"
    explorer.previous.click()
    assert shown(explorer) == [HALF, WEB_NAMES]
    explorer.severities.value = ("medium", "low")
    assert shown(explorer) == [EMPTY, UNTAGGED]


def test_an_error_while_the_rows_change_leaves_an_explorer_that_reacts(explorer: Explorer) -> None:
    def fail(_: object) -> None:
        raise ArithmeticError

    explorer.row.observe(fail, "options")
    with pytest.raises(ArithmeticError):
        explorer.text.value = "half"
    explorer.row.unobserve(fail, "options")
    explorer.text.value = "left"
    assert (shown(explorer), explorer.count_label.value) == ([EMPTY, UNTAGGED], "2 of 5 findings")


def test_what_is_exported_is_what_is_left(explorer: Explorer, tmp_path: Path) -> None:
    explorer.tag_key.value = "Owner"
    explorer.export.click()
    assert exported(tmp_path / "out") == [WEB_NAMES, WEB_PATHS]
    page = tmp_path / "out" / "findings.html"
    assert f"2 findings in {page}" in html(explorer.exported)


def test_an_export_is_masked_where_it_is_wished(explorer: Explorer, tmp_path: Path) -> None:
    explorer.export.click()
    assert ACCOUNT in (tmp_path / "out" / "findings.csv").read_text("utf-8")
    explorer.mask.value = True
    explorer.export.click()
    assert len(exported(tmp_path / "out")) == 5
    assert ACCOUNT not in "".join(file.read_text("utf-8") for file in (tmp_path / "out").iterdir())


def test_an_export_that_fails_says_why_where_it_was_asked_for(explorer: Explorer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    explorer.folder.value = str(tmp_path / "file")
    explorer.export.click()
    assert "is a file, not a folder" in html(explorer.exported)


def test_a_result_is_shown_as_it_is_and_an_inventory_is_checked_with_a_policy(tmp_path: Path) -> None:
    inventory = load(tmp_path, DOCUMENTS)
    result = iamframe.run_checks(inventory, only=["empty_profiles"])
    assert iamframe.explore(result).checks.options == (("empty_profiles", "empty_profiles"),)
    with pytest.raises(PolicyError):
        iamframe.explore(inventory, policy=tmp_path / "none.toml")


def test_a_result_without_findings_is_shown_too(explorer: Explorer) -> None:
    nothing = iamframe.explore(explorer.result.only([]))
    assert (nothing.count_label.value, nothing.rows_label.value) == ("0 of 0 findings", "no row")


def test_without_ipywidgets_a_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(MissingExtraError, match=r'ipywidgets is not installed; run pip install "\.\[notebooks\]"'):
        iamframe.explore(load(tmp_path, DOCUMENTS))


def test_a_terminal_shows_a_line_instead_of_widgets(explorer: Explorer) -> None:
    assert explorer._repr_mimebundle_()["text/plain"] == "Explorer(5 of 5 findings)"

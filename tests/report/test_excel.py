"""The workbook: nothing in it runs, every value comes back, and what a sheet lacks is said on the first one."""

from __future__ import annotations

import csv
import errno
import sys
from functools import cache
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
from builders import dump, load, nested_role, profile, profile_list, role_detail, sample_result, write
from commands import run
from openpyxl.utils.escape import unescape
from pages import HOSTILE
from test_write import GUARDED, UNTOUCHED

import iamframe
from iamframe.errors import MissingExtraError, ReportError
from iamframe.inventory import schema
from iamframe.report import excel as workbook
from iamframe.ui.cli import _run

DANGEROUS = [
    *(text for text, _ in GUARDED),
    *UNTOUCHED,
    *HOSTILE.values(),
    '=HYPERLINK("http://a.example","x")',
    "http://a.example/x",
    "mailto:a@b.example",
    "internal:'roles'!A1",
    "1e5",
    "0x1F",
    "TRUE",
    "2024-05-01",
    "_x0041_",
    "a\x00b\x07c\x1b[31md\x7f",
    "tab\there",
    "￾￿",
    "😀" * 10,
    "{=1+1}",
    "",
]


def written(result: iamframe.Result, folder: Path, **options: Any) -> Path:
    return iamframe.write_report(result, folder, xlsx=True, **options).parent / "report.xlsx"


@cache
def book(file: Path) -> Any:
    return openpyxl.load_workbook(file)


def read(file: Path, sheet: str) -> list[list[Any]]:
    """The cells of a sheet, texts as Excel shows them."""
    rows = book(file)[sheet].iter_rows(values_only=True)
    return [[unescape(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]


def columns(file: Path, sheet: str) -> dict[str, list[Any]]:
    head, *rows = read(file, sheet)
    return dict(zip(head, map(list, zip(*rows, strict=True)), strict=True)) if rows else {name: [] for name in head}


def overview(file: Path) -> dict[str, dict[str, Any]]:
    rows = read(file, "overview")
    top = next(number for number, row in enumerate(rows) if row[0] == "sheet")
    return {row[0]: dict(zip(rows[top], row, strict=True)) for row in rows[top + 1 :]}


def dangerous(folder: Path) -> iamframe.Result:
    """A role per text, which is its description and the value of its tag."""
    tagged = [role_detail(f"r{n:03}", tags={"k": text}) for n, text in enumerate(DANGEROUS)]
    listed = [nested_role(f"r{n:03}", Description=text) for n, text in enumerate(DANGEROUS)]
    return iamframe.run_checks(load(folder, {"dump.json": dump(*tagged), "roles.json": {"Roles": listed}}))


def sheets(file: Path) -> list[str]:
    return book(file).sheetnames


# Nothing runs


def test_every_text_is_a_text_cell_and_comes_back_as_it_was(tmp_path: Path) -> None:
    file = written(dangerous(tmp_path / "in"), tmp_path / "out")
    sheet = book(file)["roles"]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "inlineStr", "n", "b"}
    assert not [cell for row in sheet.iter_rows() for cell in row if cell.hyperlink or cell.data_type == "f"]
    assert columns(file, "roles")["description"] == DANGEROUS
    assert columns(file, "tags")["tag_value"] == DANGEROUS
    # A cell of this format stays text when somebody edits it.
    assert {cell.number_format for cell in sheet["A"][1:]} == {"@"}


# What is in it


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> iamframe.Result:
    roles = {"Roles": [nested_role("web", MaxSessionDuration=3600, Description="d")]}
    listed = profile_list(profile("left"), profile("portal", nested_role("web")))
    return iamframe.run_checks(load(tmp_path_factory.mktemp("in"), {"profiles.json": listed, "roles.json": roles}))


@pytest.fixture(scope="module")
def file(small: iamframe.Result, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workbook of that account, to be read alone."""
    return written(small, tmp_path_factory.mktemp("out"))


def test_a_workbook_has_an_overview_a_sheet_per_check_coverage_owners_and_frames_that_were_read(file: Path) -> None:
    assert book(file).sheetnames == [
        "overview", *iamframe.CHECKS, "coverage", "owners",
        *(name for name in schema.FRAMES if name not in ("events", "resource_owners", "tag_policies")),
    ]  # fmt: skip


def test_each_sheet_has_the_rows_of_its_csv(tmp_path: Path) -> None:
    file = written(sample_result(), tmp_path)
    for name in ("coverage", "owners", *(name for name in schema.FRAMES if name != "events")):
        with (tmp_path / f"{name}.csv").open(encoding="utf-8-sig", newline="") as stream:
            wanted = list(csv.reader(stream))
        got = [["" if cell is None else str(cell) for cell in row] for row in read(file, name)]
        assert got == wanted, name
    found = sum(len(read(file, name)) - 1 for name in iamframe.CHECKS)
    assert found == len(pd.read_csv(tmp_path / "findings.csv"))


def test_ids_keep_their_zeros_counts_are_numbers_flags_are_flags_and_times_are_utc(file: Path) -> None:
    roles = columns(file, "roles")
    assert roles["account_id"] == ["000000000001"]
    assert roles["max_session_seconds"] == [3600]
    assert roles["tags_known"] == ["False"]
    assert roles["created_at"] == ["2024-05-01T09:00:00Z"]
    assert roles["last_used_at"] == [None]
    frame = pd.read_excel(file, sheet_name="profiles", dtype={"account_id": str})
    assert frame["account_id"].tolist() == ["000000000001"] * 2


def test_a_sheet_has_its_head_in_sight_and_a_filter(file: Path) -> None:
    sheet = book(file)["profiles"]
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:H3"
    assert 20 < sheet.column_dimensions["B"].width < 61


def test_the_overview_tells_none_from_none_that_could_be_seen(file: Path) -> None:
    told = overview(file)
    assert told["empty_profiles"]["rows"] == 1
    assert told["empty_profiles"]["complete in accounts"] == 1
    assert told["empty_profiles"]["note"] is None
    assert told["path_mismatches"]["note"] == "none"
    assert told["untagged_roles"]["unknown in accounts"] == 1
    assert told["untagged_roles"]["note"] == "not checked; see coverage"
    assert told["tags"]["note"] == "no rows; see gaps for what was not collected"


def test_a_sheet_without_findings_has_its_head_alone_and_says_beside_it_whether_there_is_none(file: Path) -> None:
    sheets = book(file)
    for name, said in (("path_mismatches", "none"), ("untagged_roles", "not checked; see coverage")):
        assert sheets[name].max_row == 1
        assert sheets[name]["A1"].value == "finding_id"
        assert sheets[name]["A1"].comment.text == said
    assert sheets["empty_profiles"]["A1"].comment is None


def test_the_overview_of_nothing_says_that_nothing_is_known(tmp_path: Path) -> None:
    nothing = iamframe.Inventory(**{name: frame.empty() for name, frame in schema.FRAMES.items()})
    told = overview(written(iamframe.run_checks(nothing), tmp_path))
    notes = {told[name]["note"] for name in iamframe.CHECKS}
    assert notes == {"unknown: no account could be identified in the data"}


def test_rows_and_characters_beyond_what_excel_takes_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MAX_SHEET_ROWS", 3)
    roles = [nested_role(name, Description=text) for name, text in (("a", "😀" * 20_000), ("b", "x"))]
    listed = profile_list(*(profile(f"p{n}") for n in range(4)))
    result = iamframe.run_checks(load(tmp_path / "in", {"roles.json": {"Roles": roles}, "p.json": listed}))
    file = written(result, tmp_path / "out")
    told = overview(file)
    assert told["roles"]["note"] == "1 cell cut at 32,767 characters; whole in roles.csv"
    assert columns(file, "roles")["description"] == ["😀" * 16_383, "x"]
    assert told["profiles"]["note"] == "the first 2 of 4 rows; all are in profiles.csv"
    assert told["empty_profiles"]["note"].endswith("the first 2 of 4 rows; all are in findings.csv")
    assert told["profiles"]["rows"] == 4
    assert columns(file, "profiles")["profile_name"] == ["p0", "p1"]


def test_names_of_sheets_are_such_as_excel_takes() -> None:
    names = ["overview", "coverage", "owners", *iamframe.CHECKS, *schema.FRAMES]
    assert len({name.lower() for name in names}) == len(names)
    assert max(map(len, names)) <= 31


def test_checks_of_ones_own_get_sheets_whatever_their_names(tmp_path: Path) -> None:
    same = "begins_with_the_same_31_letters"
    names = ["overview", "roles", "History", f"{same}_as_one", f"{same}_as_the_other"]
    rule = '@iamframe.check(severity="low", detail="{{role_name}}")\ndef {}(roles):\n'
    rule += (
        '    """Any role."""\n    return roles.assign(resource_arn=roles["role_arn"])[["resource_arn", "role_name"]]\n'
    )
    write(tmp_path, {"own.py": "import iamframe\n\n" + "\n\n".join(map(rule.format, names))})
    inventory = load(tmp_path / "in", {"dump.json": dump(role_detail("r"))})
    file = written(iamframe.run_checks(inventory, names, checks=tmp_path / "own.py"), tmp_path / "out")
    made = ["overview_2", "roles_2", "History_2", same, f"{same[:29]}_2"]
    assert sheets(file)[:7] == ["overview", *made, "coverage"]
    assert [columns(file, name)["check"] for name in made] == [[name] for name in names]


def test_two_workbooks_of_one_result_are_the_same_bytes(small: iamframe.Result, file: Path, tmp_path: Path) -> None:
    assert written(small, tmp_path).read_bytes() == file.read_bytes()


# Asked for, or not


def test_without_xlsxwriter_a_report_is_refused_with_what_brings_it_and_nothing_is_written(
    small: iamframe.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(MissingExtraError, match=r'^xlsxwriter is not installed; run pip install "\.\[excel\]"'):
        iamframe.write_report(small, tmp_path / "out", xlsx=True)
    assert not (tmp_path / "out").exists()
    iamframe.write_report(small, tmp_path / "out")
    assert not (tmp_path / "out" / "report.xlsx").exists()


def test_without_xlsxwriter_the_command_is_refused_before_a_source_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    done = run(tmp_path, "report", "no-such-source", "--xlsx")
    said = 'iamframe: xlsxwriter is not installed; run pip install ".[excel]" in the clone of iamframe\n'
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("masked", [False, True])
def test_a_report_without_a_workbook_takes_an_older_one_away(
    small: iamframe.Result, tmp_path: Path, masked: bool
) -> None:
    old = written(small, tmp_path / "out", mask=not masked)
    assert old.exists()
    iamframe.write_report(small, tmp_path / "out", mask=masked)
    assert not old.exists()


def test_a_report_that_fails_leaves_an_older_workbook(
    small: iamframe.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = written(small, tmp_path / "out")
    was = {file.name: file.read_bytes() for file in old.parent.rglob("*.*")}
    replaced = Path.replace

    def held(self: Path, target: Path) -> Path:
        if self == old:
            raise PermissionError(errno.EACCES, "The process cannot access the file")
        return replaced(self, target)

    # As on Windows, where a workbook that is open in Excel cannot be taken away.
    monkeypatch.setattr(Path, "replace", held)
    with pytest.raises(ReportError, match=r"^[^\n]+could not be written \([^\n]+\); the files there are unchanged$"):
        iamframe.write_report(small, tmp_path / "out", title="another")
    assert {file.name: file.read_bytes() for file in old.parent.rglob("*.*")} == was
    monkeypatch.undo()
    (old.parent / "summary.json").unlink()
    (old.parent / "summary.json").mkdir()
    with pytest.raises(ReportError, match=r"is a folder there|could not be written"):
        iamframe.write_report(small, tmp_path / "out", title="another")
    assert old.read_bytes() == was["report.xlsx"]


def test_the_command_line_writes_a_workbook_that_says_that_the_sample_is_fiction(tmp_path: Path) -> None:
    assert _run(["report", "--xlsx", "--out", str(tmp_path / "out"), "--title", "=1+1"]) == 0
    first, second, *_ = read(tmp_path / "out" / "report.xlsx", "overview")
    assert first[0] == "This is the fictional sample. No account in this workbook exists."
    assert second[0] == "=1+1"

"""The files of a report: their names, CSV that spreadsheets do not run, the summary, and reports that fail."""

from __future__ import annotations

import csv
import errno
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from builders import load, nested_role, profile, profile_list, role_detail, sample_result, trust, write
from hypothesis import given
from hypothesis import strategies as st

import iamframe
from iamframe.errors import ReportError
from iamframe.inventory.export import unguarded, write_csv
from iamframe.report.numbers import numbers_of
from iamframe.ui.options import reports

FILES = [
    "accounts.csv",
    "calls.csv",
    "checks",
    "coverage.csv",
    "findings.csv",
    "gaps.csv",
    "links.csv",
    "owners.csv",
    "profiles.csv",
    "quota_use.csv",
    "references.csv",
    "report.html",
    "roles.csv",
    "summary.json",
    "tags.csv",
]
# Of the sample, which has these frames.
OPTIONAL = ("resource_owners.csv", "tag_policies.csv")

# What AWS lets into names, tags and descriptions, and what stands in the cell of it.
GUARDED = [
    ("=1+1", "'=1+1"),
    ("+1+1", "'+1+1"),
    ("-1+1", "'-1+1"),
    ("@SUM(A1)", "'@SUM(A1)"),
    ("=cmd|'/c calc'!A0", "'=cmd|'/c calc'!A0"),
    ("＝1+1", "'＝1+1"),
    ("＋1+1", "'＋1+1"),
    ("－1+1", "'－1+1"),
    ("＠SUM(A1)", "'＠SUM(A1)"),
    ("｜1", "'｜1"),
    ("％1", "'％1"),
    ("\t=1+1", "\t'=1+1"),
    ("\r=1+1", "\r'=1+1"),
    ("\n=1+1", "\n'=1+1"),
    # LibreOffice drops a NUL; with another separator, a cell begins behind a line break, a tab, a semicolon.
    ("\x00=1+1", "\x00'=1+1"),
    ("\x1b\x9b@SUM(A1)", "\x1b\x9b'@SUM(A1)"),
    ("safe\r=1+1", "safe\r'=1+1"),
    ("safe\n=1+1", "safe\n'=1+1"),
    ("safe\n\x00'=1+1\n-x", "safe\n\x00''=1+1\n'-x"),
    (";=1+1;+1", ";'=1+1;'+1"),
    ("a;\t@SUM", "a;\t'@SUM"),
    # A spreadsheet can drop spaces, also those of other scripts.
    (" =1+1", "' =1+1"),
    ("\u00a0\u3000@SUM(A1)", "'\u00a0\u3000@SUM(A1)"),
    ("\t =1+1; -1", "\t' =1+1;' -1"),
    ("' ' =1+1", "'' ' =1+1"),
    ("'=1+1", "''=1+1"),
    ("''@SUM", "'''@SUM"),
]
UNTOUCHED = [
    "a=1+1",
    "a,=1+1",
    "\tsafe\nis safe\x00",
    "a\n'b;c",
    "'quoted'",
    "'",
    "012345678901",
    'says "no", twice',
    "基盤チーム",
    "a,b;c\td",
    " safe =1",
]


def small(folder: Path) -> iamframe.Inventory:
    """Two profiles: one that is empty, one whose name differs from its role's."""
    return load(folder, {"profiles.json": profile_list(profile("left"), profile("web", nested_role("portal")))})


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def column_of(path: Path, name: str) -> list[str]:
    head, *rows = rows_of(path)
    return [row[head.index(name)] for row in rows]


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def texts(values: list[str | None]) -> pd.DataFrame:
    return pd.DataFrame({"said": pd.Series(values, dtype="str")})


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a report on the two profiles, in a folder that was not there."""
    folder = tmp_path_factory.mktemp("small")
    page = iamframe.write_report(iamframe.run_checks(small(folder / "in")), folder / "new" / "out")
    assert page == folder / "new" / "out" / "report.html"
    return page


# The files


def test_a_change_to_the_frame_of_findings_changes_no_report(tmp_path: Path) -> None:
    result = iamframe.run_checks(iamframe.load_sample())
    findings = result.findings
    before = findings["severity"].tolist()
    findings["severity"] = "low"
    result.write(tmp_path)
    assert pd.read_csv(tmp_path / "findings.csv")["severity"].tolist() == before


def test_a_report_is_one_page_a_table_per_frame_and_a_summary(page: Path) -> None:
    assert sorted(file.name for file in page.parent.iterdir()) == FILES


def test_a_report_replaces_its_own_files_and_leaves_all_others_alone(tmp_path: Path) -> None:
    out = write(
        tmp_path / "out", {"notes.txt": "mine", "summary.json": "{}", "findings.csv": "old", ".git/config": "mine too"}
    )
    iamframe.write_report(iamframe.run_checks(small(tmp_path / "in")), out)
    assert (out / "notes.txt").read_text() == "mine"
    assert (out / ".git" / "config").read_text() == "mine too"
    assert column_of(out / "findings.csv", "check") == ["empty_profiles", "name_mismatches"]
    assert sorted(file.name for file in out.iterdir()) == sorted([*FILES, "notes.txt", ".git"])


def test_a_folder_with_an_accounts_csv_and_no_report_is_refused_before_any_load(tmp_path: Path) -> None:
    out = write(tmp_path / "out", {"accounts.csv": "account_id\n111122223333\n"})
    for refused in (lambda: iamframe.write_report(sample_result(), out), lambda: reports(str(out))):
        with pytest.raises(ReportError, match=r"has no report, but a file accounts\.csv, which"):
            refused()
    assert [(file.name, file.read_text()) for file in out.iterdir()] == [("accounts.csv", "account_id\n111122223333\n")]


def test_two_reports_of_one_result_are_the_same_bytes(tmp_path: Path) -> None:
    result = iamframe.run_checks(small(tmp_path / "in"))
    for name in ("one", "two"):
        iamframe.write_report(result, tmp_path / name)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


# CSV


def test_csv_is_utf8_with_a_byte_order_mark_crlf_and_every_cell_quoted(tmp_path: Path) -> None:
    frame = pd.DataFrame({"name": ["本番", None], "count": pd.array([3, None], dtype="Int64"), "known": [True, False]})
    write_csv(frame.astype({"name": "str"}), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == (
        b'\xef\xbb\xbf"name","count","known"\r\n"\xe6\x9c\xac\xe7\x95\xaa","3","True"\r\n"","","False"\r\n'
    )


def test_csv_is_byte_for_byte_what_pandas_with_every_cell_quoted_wrote(tmp_path: Path) -> None:
    times = ["2024-05-01T09:00:05.999999Z", None, "1969-12-31T23:59:59.5Z"]
    frame = pd.DataFrame(
        {
            'a "b",c': pd.Series(['says "no"', None, "a,b\r\nc\rd\n"], dtype="str"),
            "=text": pd.Series(["=1+1", "", '"'], dtype="str"),
            "\u057f": pd.Series(["é本😀", "\x1b[31m\x00\x85\u2028", " \t x "], dtype="str"),
            "few": pd.Series(["x", None, "x"], dtype="category"),
            "count": pd.array([-1, None, 12345678901234567], dtype="Int64"),
            "share": [0.5, float("nan"), -1e16],
            "flag": [True, False, True],
            "at": pd.to_datetime(pd.Series(times), format="ISO8601").astype("datetime64[us, UTC]"),
            "in ns": pd.to_datetime(pd.Series(times), format="ISO8601").astype("datetime64[ns, UTC]"),
            "day": pd.to_datetime(pd.Series(["2024-05-01", None, "1969-12-31"])).astype("datetime64[us]"),
        }
    )
    write_csv(frame, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == (
        b'\xef\xbb\xbf"a ""b"",c","\'=text","\xd5\xbf","few","count","share","flag","at","in ns","day"\r\n'
        b'"says ""no""","\'=1+1","\xc3\xa9\xe6\x9c\xac\xf0\x9f\x98\x80","x","-1","0.5","True",'
        b'"2024-05-01T09:00:05Z","2024-05-01T09:00:05Z","2024-05-01T00:00:00Z"\r\n'
        b'"","","\x1b[31m\x00\xc2\x85\xe2\x80\xa8","","","","False","","",""\r\n'
        b'"a,b\r\nc\rd\n",""""," \t x ","x","12345678901234567","-1e+16","True",'
        b'"1969-12-31T23:59:59Z","1969-12-31T23:59:59Z","1969-12-31T00:00:00Z"\r\n'
    )


@pytest.mark.parametrize(("text", "cell"), GUARDED)
def test_a_cell_that_a_spreadsheet_would_run_gets_one_apostrophe(tmp_path: Path, text: str, cell: str) -> None:
    write_csv(texts([text, "plain"]), tmp_path / "t.csv")
    assert rows_of(tmp_path / "t.csv") == [["said"], [cell], ["plain"]]
    assert unguarded(cell) == text


@pytest.mark.parametrize("text", UNTOUCHED)
def test_a_cell_that_no_spreadsheet_would_run_stays_as_it_is(tmp_path: Path, text: str) -> None:
    write_csv(texts([text]), tmp_path / "t.csv")
    assert rows_of(tmp_path / "t.csv") == [["said"], [text]]
    assert unguarded(text) == text


@given(values=st.lists(st.none() | st.text() | st.text("'=+-@\t\r\n|%＝\",x \u3000", max_size=6), min_size=1))
def test_any_text_survives_csv_and_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, values: list[str | None]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    write_csv(texts(values), path)
    head, *rows = rows_of(path)
    assert head == ["said"]
    assert [unguarded(cell) for (cell,) in rows] == ["" if value is None else value for value in values]
    begins_a_formula = re.compile("(^|[\x00-\x1f\x7f-\x9f;]) *[=+@|%＝＋－＠｜％-]")
    assert not [cell for (cell,) in rows if begins_a_formula.search(cell)]


def test_a_column_name_that_a_spreadsheet_would_run_is_guarded_too(tmp_path: Path) -> None:
    write_csv(pd.DataFrame({"=1+1": ["a"], "plain": ["b"]}), tmp_path / "t.csv")
    assert rows_of(tmp_path / "t.csv") == [["'=1+1", "plain"], ["a", "b"]]


def test_guarding_a_frame_that_is_a_part_of_another_keeps_each_cell_in_its_row(tmp_path: Path) -> None:
    frame = pd.DataFrame({"said": ["a", "=b", "c"], "number": [1, 2, 3]})
    write_csv(frame[frame["number"] > 1], tmp_path / "t.csv")
    assert rows_of(tmp_path / "t.csv") == [["said", "number"], ["'=b", "2"], ["c", "3"]]


def test_a_report_guards_what_names_and_tags_hold(tmp_path: Path) -> None:
    dump = {"RoleDetailList": [role_detail("=1+1", tags={"+key": "@value"})]}
    out = iamframe.write_report(
        iamframe.run_checks(load(tmp_path / "in", {"dump.json": dump})), tmp_path / "out"
    ).parent
    assert column_of(out / "roles.csv", "role_name") == ["'=1+1"]
    assert column_of(out / "tags.csv", "tag_key") == ["'+key"]
    assert column_of(out / "tags.csv", "tag_value") == ["'@value"]


def test_a_description_with_a_lone_carriage_return_stays_in_one_guarded_cell(tmp_path: Path) -> None:
    listed = {"Roles": [nested_role("a", Description="-1+1\r=2+2"), nested_role("b", Description="safe\r=1+1")]}
    out = iamframe.write_report(iamframe.run_checks(load(tmp_path / "in", {"roles.json": listed})), tmp_path / "out")
    assert column_of(out.parent / "roles.csv", "description") == ["'-1+1\r'=2+2", "safe\r'=1+1"]


def test_csv_writes_times_in_iso_form_flags_as_words_ids_with_their_zeros_and_missing_as_empty(page: Path) -> None:
    profiles = page.parent / "profiles.csv"
    assert column_of(profiles, "account_id") == ["000000000001", "000000000001"]
    assert column_of(profiles, "created_at") == ["2024-05-01T09:00:05Z", "2024-05-01T09:00:05Z"]
    assert column_of(profiles, "role_known") == ["True", "True"]
    assert column_of(profiles, "tags_known") == ["False", "False"]
    assert column_of(page.parent / "roles.csv", "description") == [""]
    assert column_of(page.parent / "findings.csv", "expected") == ["False", "False"]
    assert column_of(page.parent / "findings.csv", "accepted") == ["", ""]


def test_a_frame_without_rows_is_its_header(page: Path) -> None:
    assert rows_of(page.parent / "tags.csv") == [
        ["account_id", "resource_arn", "resource_type", "tag_key", "tag_value", "is_aws_reserved", "tag_source"]
    ]


# The summary


def test_the_summary_tells_rows_findings_and_coverage_in_numbers(tmp_path: Path) -> None:
    source = tmp_path / "in"
    result = iamframe.run_checks(small(source), only=["empty_profiles", "name_mismatches", "ec2_roles_without_profile"])
    iamframe.write_report(result, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8")) == {
        "format_version": 1,
        "version": "0.2.0",
        "sources": [str(source)],
        "captured_at": None,
        "accounts": ["000000000001"],
        "rows": {
            "accounts": 1, "roles": 1, "profiles": 2, "links": 1, "tags": 0, "references": 0, "gaps": 8, "calls": 1,
        },
        "attention": {"high": 0, "medium": 1, "low": 1, "info": 0, "resources": 2},
        "findings": {
            "empty_profiles": {"high": 0, "medium": 1, "low": 0, "info": 0},
            "ec2_roles_without_profile": {"high": 0, "medium": 0, "low": 0, "info": 0},
            "name_mismatches": {"high": 0, "medium": 0, "low": 1, "info": 0},
        },
        "coverage": {
            "empty_profiles": {"complete": 1, "partial": 0, "unknown": 0},
            "ec2_roles_without_profile": {"complete": 0, "partial": 0, "unknown": 1},
            "name_mismatches": {"complete": 1, "partial": 0, "unknown": 0},
        },
        "checks_not_run": [
            "unreferenced_profiles", "owner_gone", "stale_references", "roles_in_many_profiles", "quota_pressure",
            "path_mismatches", "crossed_names", "names_refused", "untagged_profiles", "untagged_roles",
            "tag_differences", "missing_required_tags", "tag_key_variants", "profiles_without_ec2_trust",
            "deleted_trust_principals",
        ],
        "masked": False,
    }  # fmt: skip


def test_the_guide_lists_each_key_of_the_summary(tmp_path: Path) -> None:
    sample, older = iamframe.load_sample(), iamframe.load("sample:earlier")
    changes = iamframe.compare(older, sample)
    drift = iamframe.drift(sample, "sample:terraform")
    iamframe.write_report(iamframe.run_checks(sample), tmp_path, changes=changes, drift=drift)
    guide = Path(__file__).parents[2] / "docs" / "guides" / "hand-over.md"
    _, _, section = guide.read_text("utf-8").partition("## Read the totals in a program")
    listed = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert sorted(listed) == sorted(json.loads((tmp_path / "summary.json").read_text("utf-8")))


def test_the_page_says_how_many_resources_needed_attention_before(tmp_path: Path) -> None:
    sample, older = iamframe.run_checks(iamframe.load_sample()), iamframe.load("sample:earlier")
    iamframe.write_report(sample, tmp_path, changes=iamframe.compare(older, sample))
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Resources that needed attention before (sample:earlier): 47 (3 high, 36 medium, 8 low). <a" in page


def test_the_summary_counts_findings_that_a_maker_means_so_as_info(tmp_path: Path) -> None:
    role = nested_role("AWSCloud9SSMAccessRole", "/service-role/", policy=trust("ec2.amazonaws.com"))
    cloud9 = profile("AWSCloud9SSMInstanceProfile", role, "/cloud9/")
    result = iamframe.run_checks(load(tmp_path, {"p.json": profile_list(cloud9)}), only=["name_mismatches"])
    assert numbers_of(result).summary["findings"] == {"name_mismatches": {"high": 0, "medium": 0, "low": 0, "info": 1}}


def test_the_summary_tells_the_latest_time_that_a_source_says(tmp_path: Path) -> None:
    items: list[dict[str, Any]] = [
        {
            "resourceType": "AWS::IAM::Role",
            "configurationItemStatus": "OK",
            "configurationItemCaptureTime": f"2024-05-0{day}T09:00:00.000Z",
            "accountId": "000000000001",
            "configuration": {"arn": f"arn:aws:iam::000000000001:role/r{day}", "roleName": f"r{day}", "path": "/"},
        }
        for day in (2, 1)
    ]
    inventory = load(tmp_path, {"config.json": {"configurationItems": items}})
    assert numbers_of(iamframe.run_checks(inventory)).summary["captured_at"] == "2024-05-02T09:00:00+00:00"


# Reports that fail


def test_a_report_that_cannot_be_written_whole_leaves_the_old_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iamframe.write_report(sample_result(), tmp_path / "out")
    old = contents(tmp_path / "out")

    def full(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("iamframe.report.write.render_page", full)
    with pytest.raises(ReportError, match=r"^[^\n]+: could not be written \(No space left on device\)[^\n]+$"):
        iamframe.write_report(iamframe.run_checks(small(tmp_path / "in")), tmp_path / "out")
    assert contents(tmp_path / "out") == old
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == sorted([*FILES, *OPTIONAL])


def test_a_report_that_fails_where_files_are_moved_into_place_leaves_the_old_one_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    iamframe.write_report(sample_result(), out)
    (out / "summary.json").unlink()
    (out / "summary.json").mkdir()
    old = contents(out)
    with pytest.raises(ReportError, match=r"^[^\n]+$"):
        iamframe.write_report(iamframe.run_checks(small(tmp_path / "in")), out)
    assert contents(out) == old
    assert sorted(file.name for file in out.iterdir()) == sorted([*FILES, *OPTIONAL])


@pytest.mark.parametrize(
    ("out", "why"), [("file", "is a file, not a folder"), ("file/below", r"cannot be written to \([^\n]+\)")]
)
def test_a_report_into_a_file_is_refused_in_one_sentence_and_leaves_the_file(
    tmp_path: Path, out: str, why: str
) -> None:
    write(tmp_path, {"file": "mine"})
    with pytest.raises(ReportError, match=rf"^[^\n]+{out}: {why}; choose another folder with --out$"):
        iamframe.write_report(iamframe.run_checks(small(tmp_path / "in")), tmp_path / out)
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "in"]

"""The command line as a user runs it: what it prints where, and its exit status."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import ACCOUNT, dump, nested_role, profile, profile_list, role_detail, tag_list, write
from click import Context
from commands import process, run

from iamframe import athena_statements, compare, findings_by_owner, load_sample, run_checks
from iamframe.checks.findings import Found
from iamframe.ui import output
from iamframe.ui.cli import _run, app

SAMPLE_LINE = re.compile(
    r"Collected: 3 accounts, 148 roles, 109 instance profiles\. 49 resources need attention "
    r"\(most severe finding of each: 6 high, 34 medium, 9 low\)\. "
    r"107 findings, including 47 expected by design\. \d+ of \d+ checks had complete data\."
)


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence of a refusal, which is all that it prints."""
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("\n")
    assert done.stderr.startswith("iamframe: ")
    return done.stderr


def empty_profile(folder: Path, name: str = "left") -> Path:
    return write(folder, {"profiles.json": profile_list(profile(name))})


# Reports


def test_report_without_arguments_reports_the_sample_and_says_first_that_it_is_fiction(tmp_path: Path) -> None:
    done = process(tmp_path, "report")
    first, second, third = done.stdout.splitlines()
    assert first.startswith("This report is about the fictional sample.")
    assert SAMPLE_LINE.fullmatch(second)
    assert third == f"Report: {Path('iamframe-report', 'report.html')}"
    page = (tmp_path / "iamframe-report" / "report.html").read_text("utf-8")
    assert len(page) > 10_000
    assert "did not run" not in page
    incomplete = (
        "unreferenced_profiles, owner_gone, stale_references, names_refused, missing_required_tags, quota_pressure, "
        "untagged_profiles, untagged_roles, tag_differences, tag_key_variants"
    )
    assert done.stderr == f"incomplete checks: {incomplete}; the report says which data is missing\n"
    assert done.returncode == 0


def test_report_of_ones_own_files_goes_where_out_says_and_never_speaks_of_fiction(tmp_path: Path) -> None:
    empty_profile(tmp_path / "dumps")
    done = run(tmp_path, "report", "dumps", "--out", "new/place")
    first, second = done.stdout.splitlines()
    assert first.startswith(
        "Collected: 1 account, 0 roles, 1 instance profile. "
        "1 resource needs attention (most severe finding of each: 1 medium). 1 finding. "
    )
    assert second == f"Report: {Path('new', 'place', 'report.html')}"
    assert json.loads((tmp_path / "new/place/summary.json").read_text("utf-8"))["sources"] == ["dumps"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["dumps", "new"]


@pytest.mark.parametrize(
    ("only", "said"),
    [
        ("empty_profiles", "The check had complete data."),
        ("untagged_profiles", "The check is partial or unknown in 1 of 1 account."),
        ("empty_profiles path_mismatches", "All 2 checks had complete data."),
        ("empty_profiles untagged_profiles", "1 of 2 checks had complete data."),
        ("quota_pressure untagged_profiles", "None of 2 checks had complete data."),
    ],
)
def test_check_says_how_many_checks_are_complete(tmp_path: Path, only: str, said: str) -> None:
    empty_profile(tmp_path / "dumps")
    done = run(tmp_path, "check", "dumps", *(f"--only={name}" for name in only.split()))
    assert done.stderr.splitlines()[0].endswith(f". {said}")


@pytest.mark.parametrize("sources", [[], ["sample"], ["./sample"]])
def test_what_report_says_of_fiction_is_true_even_beside_a_folder_named_sample(
    tmp_path: Path, sources: list[str]
) -> None:
    empty_profile(tmp_path / "sample", "mine")
    done = run(tmp_path, "report", *sources, "--out", "out")
    is_mine = "mine" in (tmp_path / "out" / "profiles.csv").read_text("utf-8-sig")
    assert ("fiction" in done.stdout, done.returncode) == (not is_mine, 0)
    assert ("your own account" in done.stdout) == (not sources)
    assert ("fictional sample" in (tmp_path / "out" / "report.html").read_text("utf-8")) is not is_mine


def test_report_puts_title_and_author_at_the_head_of_the_page(tmp_path: Path) -> None:
    run(tmp_path, "report", "--title", "Review <1>", "--author", "A & B", "--out", "out")
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "<h1>Review &lt;1&gt;</h1>" in page
    assert "By A &amp; B. Report of 20" in page


def test_report_of_two_sources_shows_both(tmp_path: Path) -> None:
    empty_profile(tmp_path / "one", "first")
    write(tmp_path / "two", {"p.json": profile_list(profile("second", account="000000000002"))})
    run(tmp_path, "report", "one", "two", "--out", "out")
    summary = json.loads((tmp_path / "out/summary.json").read_text("utf-8"))
    assert summary["sources"] == ["one", "two"]
    assert summary["accounts"] == ["000000000001", "000000000002"]
    assert summary["rows"]["profiles"] == 2


# Findings


def test_check_prints_a_line_per_finding_and_on_standard_error_what_could_not_be_seen(tmp_path: Path) -> None:
    done = run(tmp_path, "check", "sample")
    assert len(done.stdout.splitlines()) >= 100
    assert done.stdout.splitlines()[6] == (
        "medium  deleted_trust_principals    111122223333  role              partner-access: "
        "trusts a deleted principal: AROAEXAMPLEDELETED01"
    )
    counts, *unseen = done.stderr.splitlines()
    assert SAMPLE_LINE.fullmatch(counts)
    tagless = "missing_required_tags (unknown), tag_key_variants (partial) in 123456789012:"
    heads = [at for at, line in enumerate(unseen) if not line.startswith("    ")]
    assert [unseen[at] for at in heads] == [
        "unreferenced_profiles (partial), stale_references (partial), names_refused (partial) in 111122223333:",
        "owner_gone (unknown) in 111122223333:",
        "missing_required_tags (unknown) in 111122223333, 123456789012, 444455556666:",
        "unreferenced_profiles (unknown), stale_references (partial), names_refused (unknown) in 123456789012:",
        f"owner_gone (partial), untagged_profiles (partial), {tagless}",
        "quota_pressure (unknown) in 123456789012:",
        f"untagged_roles (partial), {tagless}",
        "tag_differences (partial) in 123456789012:",
        "unreferenced_profiles (partial), stale_references (partial), names_refused (partial) in 444455556666:",
        "owner_gone (partial) in 444455556666:",
    ]
    assert all(unseen[at + 1].startswith("    ") for at in heads)
    assert done.returncode == 0


def test_a_filtered_list_is_followed_by_the_incomplete_checks_of_all_accounts_which_says_so(tmp_path: Path) -> None:
    whole = run(tmp_path, "check", "sample").stderr.splitlines()[1:]
    for options, used in {
        ("--owner", "data"): "--owner",
        ("--owner", "data", "--severity", "high"): "--severity, --owner",
    }.items():
        said = run(tmp_path, "check", "sample", *options).stderr.splitlines()
        assert said[-len(whole) - 1 :] == [f"all incomplete checks, not limited by {used}:", *whole]
    only = ("check", "sample", "--only", "empty_profiles", "--severity", "high")
    assert "incomplete checks" not in run(tmp_path, *only).stderr
    assert "incomplete checks" not in run(tmp_path, "check", "sample", "--hide-expected").stderr


def test_what_the_findings_of_a_check_have_in_common_is_said_in_each_line_and_in_each_row_of_a_file(
    tmp_path: Path,
) -> None:
    scope = "the loaded files cover only ap-northeast-1 and eu-west-1, so other regions are unknown"
    usual = "the role has the AWS managed policy AmazonSSMManagedInstanceCore"
    only = ("check", "sample", "--only", "unreferenced_profiles")
    lines = run(tmp_path, *only).stdout.splitlines()
    assert len([line for line in lines if line.endswith(f": no reference found ({scope}); {usual}")]) == 4
    form = r"(medium|info) +unreferenced_profiles +\d{12}  instance-profile  \S+: \S"
    assert [line for line in lines if not re.match(form, line)] == []
    assert run(tmp_path, *only, "--format", "csv").stdout.count(scope) == 8
    assert run(tmp_path, *only, "--format", "json").stdout.count(scope) == 8


def test_a_line_on_standard_error_is_as_wide_as_the_terminal_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    with Context(app):
        output.remark(["quotas (unknown) in 000000000001:", "    the quotas were not collected; load them again"])
    assert terminal.getvalue().splitlines() == [
        "quotas (unknown) in 000000000001:",
        "    the quotas were not collected; load",
        "    them again",
    ]


def test_a_finding_about_an_account_does_not_count_as_one_with_unknown_tags(tmp_path: Path) -> None:
    result = run_checks(load_sample())
    findings = result.findings
    about_account = findings[findings["resource_type"] == "account"]
    assert (len(about_account), about_account["owner_known"].all()) == (1, True)
    done = run(tmp_path, "check", "sample", "--owner", "data")
    # The table of owners, from which the page is made, counts the same one finding with unknown tags.
    table = findings_by_owner(result)
    assert table.loc[table["state"] == "unread", "findings"].tolist() == [1]
    said = "the owner of 1 finding is not certain, because tags were not collected: retired (stale_references)"
    assert said in done.stderr.splitlines()


@pytest.mark.parametrize(
    ("key", "owner", "said"), [("Team", "data", ""), ("Nobody", "", "no collected tag has the key 'Nobody'")]
)
def test_check_shows_the_owners_by_the_tag_that_is_asked_for(tmp_path: Path, key: str, owner: str, said: str) -> None:
    tags = {"Tags": [{"Key": "Owner", "Value": "ops"}, {"Key": "Team", "Value": "data"}]}
    write(tmp_path, {"p.json": {"InstanceProfile": profile("left", **tags)}})
    done = run(tmp_path, "check", "p.json", "--only", "empty_profiles", "--owner-tag", key, "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    assert (row["owner"], said in done.stderr, "no collected tag" in done.stderr) == (owner, True, bool(said))


def test_only_runs_the_checks_that_it_names(tmp_path: Path) -> None:
    done = run(tmp_path, "check", "sample", "--only", "empty_profiles", "--only", "crossed_names", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["check"], row["resource_name"]) for row in rows] == [
        ("crossed_names", "blue"),
        ("empty_profiles", "old-batch"),
        ("empty_profiles", "staging-web"),
        ("empty_profiles", "intranet-old"),
        ("empty_profiles", "packer-2017"),
        ("empty_profiles", "sap-poc"),
        ("empty_profiles", "scan-station"),
    ]


def test_a_report_with_only_some_checks_says_how_many_did_not_run(tmp_path: Path) -> None:
    assert run(tmp_path, "report", "sample", "--only", "crossed_names").returncode == 0
    folder = tmp_path / "iamframe-report"
    rows = list(csv.DictReader(io.StringIO((folder / "findings.csv").read_text("utf-8-sig"))))
    assert [(row["check"], row["resource_name"]) for row in rows] == [("crossed_names", "blue")]
    said = "17 checks did not run, so their findings are not in this report."
    assert said in (folder / "report.html").read_text("utf-8")


def test_json_holds_each_finding_with_null_for_what_is_missing_and_nothing_else(tmp_path: Path) -> None:
    done = run(tmp_path, "check", "sample", "--only", "empty_profiles", "--format", "json")
    assert json.loads(done.stdout)[1] == {
        "finding_id": "482d74197fa8558b",
        "check": "empty_profiles",
        "severity": "medium",
        "certainty": "certain",
        "account_id": "111122223333",
        "account_name": "example-shop",
        "owner": None,
        "owner_known": True,
        "resource_type": "instance-profile",
        "resource_name": "staging-web",
        "resource_arn": "arn:aws:iam::111122223333:instance-profile/staging-web",
        "related_name": None,
        "related_arn": None,
        "relation": None,
        "maker": None,
        "maker_basis": None,
        "expected": False,
        "accepted": None,
        "detail": "holds no role",
        "next_step": "aws iam delete-instance-profile --instance-profile-name=staging-web",
        "next_step_changes": True,
    }
    assert len(json.loads(done.stdout)) == 6


def test_csv_is_quoted_guarded_and_nothing_else(tmp_path: Path) -> None:
    empty_profile(tmp_path / "in", "=1+1")
    done = run(tmp_path, "check", "in", "--only", "empty_profiles", "--format", "csv")
    assert done.stdout == (
        '"finding_id","check","severity","certainty","account_id","account_name","owner","owner_known","resource_type",'
        '"resource_name","resource_arn","related_name","related_arn","relation","maker","maker_basis","expected",'
        '"accepted","detail","next_step","next_step_changes"\n'
        f'"bcf9b79217dda7a9","empty_profiles","medium","certain","{ACCOUNT}","","","False","instance-profile","\'=1+1",'
        f'"arn:aws:iam::{ACCOUNT}:instance-profile/=1+1","","","","","","False","","holds no role",'
        '"aws iam delete-instance-profile --instance-profile-name==1+1","True"\n'
    )


# What a terminal would obey: C0 and C1 controls, and what ends a line or turns the direction of writing.
OBEYED = "\x1b[31m\x1b]0;x\x07\x9b31m\x7f\u2028\u2029\u202e\u2066\x85\r\n"


@pytest.mark.parametrize("form", ["csv", "json"])
def test_what_is_piped_is_the_text_as_it_is_stored(tmp_path: Path, form: str) -> None:
    empty_profile(tmp_path / "in", f"a{OBEYED}b")
    done = run(tmp_path, "check", "in", "--only", "empty_profiles", "--format", form)
    (row,) = json.loads(done.stdout) if form == "json" else csv.DictReader(io.StringIO(done.stdout, newline=""))
    assert row["resource_name"] == f"a{OBEYED}b"
    assert row["next_step"] == f"aws iam delete-instance-profile --instance-profile-name='a{OBEYED}b'"


@pytest.mark.parametrize("command", ["check", "diff"])
def test_json_holds_nothing_that_a_terminal_obeys(tmp_path: Path, command: str) -> None:
    empty_profile(tmp_path / "in", f"a{OBEYED}b é本")
    empty_profile(tmp_path / "old")
    done = run(tmp_path, command, *(["old", "in"] if command == "diff" else ["in"]), "--format", "json")
    assert "b é本" in done.stdout
    assert not [letter for letter in done.stdout if letter in OBEYED.replace("\n", "") and not letter.isprintable()]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudoterminals of this kind")
def test_csv_on_a_terminal_holds_nothing_that_it_obeys(tmp_path: Path) -> None:
    empty_profile(tmp_path / "in", f"a{OBEYED}b")
    screen, terminal = os.openpty()
    command = ["check", "in", "--only", "empty_profiles", "--format", "csv"]
    subprocess.run([sys.executable, "-m", "iamframe.ui.cli", *command], cwd=tmp_path, stdout=terminal, check=True)
    shown = os.read(screen, 65_536).decode()
    assert r'"a\x1b[31m\x1b]0;x\x07\x9b31m\x7f\u2028\u2029\u202e\u2066\x85\r' in shown
    assert all(letter.isprintable() for letter in shown.replace("\r\n", ""))


def test_markdown_is_a_table_in_which_names_are_no_markup(tmp_path: Path) -> None:
    empty_profile(tmp_path / "in", "a|b<script>`c`[d](e)*f*\n# g")
    done = run(tmp_path, "check", "in", "--only", "empty_profiles", "--format", "markdown")
    name = r"a\|b\<script\>\`c\`\[d\](e)\*f\*\\n\# g"
    assert done.stdout.splitlines() == [
        "| severity | check | account | type | name | found |",
        "| --- | --- | --- | --- | --- | --- |",
        rf"| medium | empty\_profiles | {ACCOUNT} | instance-profile | {name} | holds no role |",
    ]


@pytest.mark.parametrize(
    ("form", "printed"),
    [
        ("table", ""),
        ("json", "[]\n"),
        ("markdown", "| severity | check | account | type | name | found |\n| --- | --- | --- | --- | --- | --- |\n"),
    ],
)
def test_no_findings_are_an_empty_table_of_the_format(tmp_path: Path, form: str, printed: str) -> None:
    write(tmp_path, {"p.json": profile_list(profile("web", nested_role("web")))})
    done = run(tmp_path, "check", "p.json", "--format", form)
    assert json.loads(done.stdout) == [] if form == "json" else done.stdout == printed
    assert done.returncode == 0


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_control_characters_of_names_never_reach_a_terminal(tmp_path: Path, form: str) -> None:
    hostile = "\x1b]0;pwned\x07\x9b31m\u202e\r\n"
    write(tmp_path / "in", {"p.json": profile_list(profile(f"a{hostile}b", account=f"1{hostile}2"))})
    done = run(tmp_path, "check", "in", "--format", form)
    printed = done.stdout + done.stderr
    assert "x1b" in done.stdout
    assert "x1b" in done.stderr
    assert not [c for c in printed if c != "\n" and not c.isprintable()]
    assert len([line for line in done.stdout.splitlines() if "x1b" in line]) == 1


def test_a_refusal_prints_no_control_characters_either(tmp_path: Path) -> None:
    assert "\\x1b[31mred" in refusal(process(tmp_path, "check", "\x1b[31mred\nFake: line"))


@pytest.mark.parametrize(
    ("run", "form"), [(process, "table"), *((run, form) for form in ("table", "csv", "json", "markdown"))]
)
def test_letters_that_the_output_cannot_hold_are_no_reason_to_fail(tmp_path: Path, run: Any, form: str) -> None:
    done = run(tmp_path, "check", "sample", "--only", "tag_key_variants", "--format", form, encoding="cp1252")
    assert "Traceback" not in done.stderr
    assert done.returncode == 0
    assert "CostCenter (79 resources), cost" in done.stdout.replace("\\", "")


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_reader_that_stops_early_still_gets_the_incomplete_checks(tmp_path: Path, form: str) -> None:
    command = [sys.executable, "-m", "iamframe.ui.cli", "check", "sample", "--format", form]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read().decode()
    assert "the quotas were not collected (GetAccountSummary was denied)" in said
    assert ("8 of 18 checks had complete data" in said) == (form == "table")
    assert process.returncode == 0
    assert not re.search("Traceback|BrokenPipe", said)


def test_the_summary_counts_only_what_belongs_to_the_owners_that_are_asked_for(tmp_path: Path) -> None:
    profiles = {"p.json": profile_list(*map(profile, ("a", "b", "c", "d")))}
    owners = {"a": "ops", "b": "it", "c": "it"}
    tags = {f"instance-profile-tags/{name}.json": {"Tags": tag_list({"Owner": of})} for name, of in owners.items()}
    write(tmp_path, profiles | tags)
    for asked, said in {
        (): "4 resources need attention (most severe finding of each: 4 medium). 4 findings.",
        ("ops",): "1 resource owned by 'ops' needs attention (most severe finding of each: 1 medium). 1 finding.",
        ("ops", "it"): (
            "3 resources owned by 'ops', 'it' need attention (most severe finding of each: 3 medium). 3 findings."
        ),
        ("nobody",): "0 resources owned by 'nobody' need attention. 0 findings.",
    }.items():
        options = [word for owner in asked for word in ("--owner", owner)]
        done = run(tmp_path, "check", ".", "--only", "empty_profiles", *options)
        assert done.stderr.startswith(f"Collected: 1 account, 0 roles, 4 instance profiles. {said} "), done.stderr


@pytest.mark.parametrize(
    ("asked", "said", "is_sure"),
    [
        ("data", "", True),
        # The role of this owner is a resource without a finding.
        ("quiet", "no finding has the owner 'quiet'; this owner has 1 resource", True),
        ("Data", "the closest owners are 'DATA', 'data'", False),
        ("DATABASE", "the closest owners are 'database', 'DATA'", False),
        ("opps", "the closest owner is 'ops'", False),
        ("x", "the owners are 'DATA', 'data', 'database', 'it', 'ops', 'quiet'", False),
    ],
)
def test_an_owner_without_findings_differs_from_an_owner_that_does_not_exist(
    tmp_path: Path, asked: str, said: str, is_sure: bool
) -> None:
    owned = ["ops", "data", "DATA", "database", "it"]
    profiles = [profile(f"p{at}", Tags=tag_list({"Owner": owner})) for at, owner in enumerate(owned)]
    files = {f"{at}.json": {"InstanceProfile": one} for at, one in enumerate(profiles)}
    write(tmp_path, files | {"roles.json": dump(role_detail("r", tags={"Owner": "quiet"}))})
    check = ("check", ".", "--only", "empty_profiles", "--owner", asked)
    loud, quiet = run(tmp_path, *check).stderr, run(tmp_path, *check, "-q").stderr
    if is_sure:
        assert ((said in loud.splitlines()) == bool(said), "has the owner" in quiet) == (True, False)
    else:
        said = f"o resource with collected tags has the owner {asked!r}; {said}"
        assert (f"n{said}" in loud.splitlines(), f"N{said}." in quiet.splitlines()) == (True, True)


def test_of_many_owners_three_are_named(tmp_path: Path) -> None:
    owned = [f"team-{letter}" for letter in "abcdefghijk"]
    files = {f"{name}.json": {"InstanceProfile": profile(name, Tags=tag_list({"Owner": name}))} for name in owned}
    write(tmp_path, files)
    said = run(tmp_path, "check", ".", "--only", "empty_profiles", "--owner", "zz").stderr
    assert "some of the 11 owners are 'team-a', 'team-b', 'team-c'" in said


@pytest.mark.parametrize(
    ("arguments", "names", "left"),
    [
        ([], ["api", "web", "api", "web", "AWSCloud9SSMInstanceProfile"], ""),
        (
            ["--severity", "info", "--severity", "high"],
            ["AWSCloud9SSMInstanceProfile"],
            "4 findings not printed, because",
        ),
        (["--hide-expected"], ["api", "web", "api", "web"], "2 findings not printed, because of --hide-expected\n"),
        (
            ["--owner", "ops", "--owner", "it", "--severity", "low"],
            ["api"],
            "4 findings not printed, because of --severity, --owner\n",
        ),
        (["--severity", "info", "--hide-expected", "-q"], [], ""),
    ],
)
def test_what_is_not_printed_is_counted_and_counts_for_the_exit_status(
    tmp_path: Path, arguments: list[str], names: list[str], left: str
) -> None:
    pairs = {"AWSCloud9SSMInstanceProfile": "AWSCloud9SSMAccessRole", "web": "web-role", "api": "api-role"}
    roles = {name: nested_role(role, "/service-role/" if "9" in role else "/") for name, role in pairs.items()}
    owned = {"instance-profile-tags/api.json": {"Tags": tag_list({"Owner": "ops"})}}
    write(
        tmp_path, owned | {"p.json": profile_list(*[profile(name, role, "/cloud9/") for name, role in roles.items()])}
    )
    check = ("check", ".", "--only", "name_mismatches", "--only", "path_mismatches", "--fail-on", "low", *arguments)
    for form in ("csv", "json"):
        done = run(tmp_path, *check, "--format", form)
        rows = json.loads(done.stdout) if form == "json" else [*csv.DictReader(io.StringIO(done.stdout))]
        assert (sorted({row["resource_name"] for row in rows}), done.returncode) == (sorted({*names}), 1)
        assert (left in done.stderr, "not printed" in done.stderr) == (True, bool(left)), done.stderr


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        # An empty result is no all clear, however quiet it is.
        ("-q check in --strict", 3, "6 of 18 checks had complete data.\n"),
        ("plan in -q", 0, ""),
        (
            "diff --quiet in in",
            0,
            "No change in the compared data. Some of the data could not be compared.\n",
        ),
        ("report in --out out -q", 0, ""),
    ],
)
def test_who_wishes_it_quiet_gets_results_and_errors_and_whether_all_was_checked(
    tmp_path: Path, command: str, status: int, said: str
) -> None:
    empty_profile(tmp_path / "in")
    (tmp_path / "in" / "list-roles.json").touch()
    done = run(tmp_path, *command.split())
    assert (done.stderr, bool(done.stdout), done.returncode) == (said, "diff" not in command, status)
    assert refusal(run(tmp_path, *command.replace("in", "nowhere").split()))


def test_quiet_still_says_that_the_owner_of_a_finding_or_a_difference_from_terraform_is_unknown(tmp_path: Path) -> None:
    empty_profile(tmp_path / "in")
    done = run(tmp_path, "check", "in", "--only", "empty_profiles", "--owner", "team-a", "-q")
    said = (
        "The owner of 1 finding is not certain, because tags were not collected: left (empty_profiles).\n"
        "No resource with collected tags has the owner 'team-a'.\n"
    )
    assert (done.stdout, done.stderr) == ("", said)
    done = run(tmp_path, "drift", "sample:terraform", "--against", "in", "-q")
    assert done.stderr.startswith("Some of the data could not be compared. ")


# Exit status


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--fail-on", "high"], 1),
        (["--fail-on", "info"], 1),
        (["--only", "empty_profiles", "--fail-on", "high"], 0),
        (["--only", "empty_profiles", "--fail-on", "medium"], 1),
        (["--only", "empty_profiles", "--fail-on", "low"], 1),
        (["--only", "empty_profiles", "--strict"], 0),
        (["--only", "untagged_profiles", "--strict"], 3),
        (["--only", "untagged_profiles", "--strict", "--fail-on", "medium"], 1),
        (["--strict"], 3),
        (["--only", "missing_required_tags", "--strict"], 3),
        (["--only", "untagged_profiles"], 0),
    ],
)
def test_the_exit_status_tells_of_findings_and_of_what_was_not_seen(
    tmp_path: Path, arguments: list[str], status: int
) -> None:
    assert run(tmp_path, "check", "sample", *arguments).returncode == status


def test_strict_holds_for_report_too_which_is_written_all_the_same(tmp_path: Path) -> None:
    assert run(tmp_path, "report", "--strict", "--only", "quota_pressure").returncode == 3
    assert (tmp_path / "iamframe-report" / "report.html").exists()


def test_findings_that_are_accepted_do_not_fail(tmp_path: Path) -> None:
    empty_profile(tmp_path / "in")
    accepted = '[[accepted]]\ncheck = "empty_profiles"\nreason = "kept for the audit"\n'
    expired = accepted + "expires = 2020-01-01\n"
    write(tmp_path, {"accepted.toml": accepted, "expired.toml": expired})
    arguments = ("check", "in", "--only", "empty_profiles", "--fail-on", "info", "--policy")
    assert run(tmp_path, *arguments, "accepted.toml").returncode == 0
    assert run(tmp_path, *arguments, "expired.toml").returncode == 1


def test_findings_that_their_maker_means_so_do_not_fail(tmp_path: Path) -> None:
    role = nested_role("AWSCloud9SSMAccessRole", "/service-role/")
    write(tmp_path, {"p.json": profile_list(profile("AWSCloud9SSMInstanceProfile", role, "/cloud9/"))})
    done = run(tmp_path, "check", "p.json", "--only", "name_mismatches", "--fail-on", "info")
    assert done.stdout == (
        f"info    name_mismatches             {ACCOUNT}  instance-profile  AWSCloud9SSMInstanceProfile: "
        "holds the role AWSCloud9SSMAccessRole (expected, because AWS Cloud9 created it)\n"
    )
    assert done.returncode == 0


# Snapshots


def account_files(folder: Path, account: str) -> Path:
    return write(folder, {"profiles.json": profile_list(profile("left", account=account))})


def test_snapshots_that_were_taken_one_by_one_are_one_report(tmp_path: Path) -> None:
    for account in ("111122223333", "444455556666"):
        account_files(tmp_path / account, account)
        assert run(tmp_path, "snapshot", account, "--out", f"snapshots/{account}").returncode == 0
    snapshots = [f"snapshots/{one.name}" for one in sorted((tmp_path / "snapshots").iterdir())]
    done = process(tmp_path, "report", *snapshots, "--out", "report")
    assert done.returncode == 0
    assert re.fullmatch(r"incomplete checks: .*; the report says which data is missing\n", done.stderr)
    assert done.stdout.startswith(
        "Collected: 2 accounts, 0 roles, 2 instance profiles. "
        "2 resources need attention (most severe finding of each: 2 medium). "
    )
    summary = json.loads((tmp_path / "report" / "summary.json").read_text("utf-8"))
    assert summary["sources"] == ["111122223333", "444455556666"]
    # All commands that take several sources take them.
    assert "2 resources need attention" in run(tmp_path, "check", *snapshots).stderr
    said = " ".join(run(tmp_path, "explain", "gone", *snapshots).stdout.split())
    assert "2 instance profiles and 0 roles in 2 accounts" in said
    assert run(tmp_path, "plan", *snapshots).returncode == 0


def test_two_snapshots_of_one_account_are_refused_with_what_to_do(tmp_path: Path) -> None:
    account_files(tmp_path / "files", "111122223333")
    for day in ("monday", "tuesday"):
        run(tmp_path, "snapshot", "files", "--out", f"snapshots/{day}")
    assert refusal(run(tmp_path, "check", "snapshots/monday", "snapshots/tuesday")) == (
        "iamframe: the account 111122223333 is in snapshots/monday and in snapshots/tuesday; give "
        "only one of these snapshots, or compare them with `iamframe diff OLD NEW`\n"
    )
    assert run(tmp_path, "diff", "snapshots/monday", "snapshots/tuesday").returncode == 0
    assert "files: is not a snapshot" in refusal(run(tmp_path, "check", "snapshots/monday", "files"))


def test_the_tables_of_a_snapshot_in_s3_are_printed_without_a_source_or_a_request(tmp_path: Path) -> None:
    done = run(tmp_path, "snapshot", "--athena", "s3://bucket/prefix")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ";\n\n".join(athena_statements("s3://bucket/prefix/")) + ";\n"
    assert done.stdout.startswith("CREATE EXTERNAL TABLE `accounts` (\n  `account_id` string COMMENT '12-digit")
    assert done.stdout.endswith(";\n\nMSCK REPAIR TABLE `events`;\n")
    assert list(tmp_path.iterdir()) == []


# Refusals


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check"], "Missing argument"),
        (["snapshot"], "give a SOURCE and --out DIR, or only --athena LOCATION; see `iamframe snapshot --help`"),
        (["snapshot", "in"], "give a SOURCE and --out DIR, or only --athena LOCATION"),
        (["snapshot", "--out", "new"], "give a SOURCE and --out DIR, or only --athena LOCATION"),
        (["snapshot", "in", "--athena", "s3://bucket"], "give a SOURCE and --out DIR, or only --athena LOCATION"),
        (["snapshot", "--out", "new", "--athena", "s3://bucket"], "give a SOURCE and --out DIR, or only --athena"),
        (["snapshot", "in", "--out", "new", "--athena", "s3://bucket"], "give a SOURCE and --out DIR, or only"),
        (["snapshot", "--rate", "2", "--athena", "s3://bucket"], "give a SOURCE and --out DIR, or only --athena"),
        (["snapshot", "--athena", ""], "is not a folder in S3; give the snapshot's folder, s3://BUCKET/FOLDER"),
        (["snapshot", "--athena", "in"], "in: is not a folder in S3; give the snapshot's folder, s3://BUCKET/FOLDER"),
        (["check", "nowhere"], "nowhere: there is no such file or folder; check the path"),
        (["report", "nowhere"], "nowhere: there is no such file or folder; check the path"),
        (["check", "in", "nowhere"], "nowhere: there is no such file or folder"),
        (
            ["check", "in", "sample"],
            "'sample' is iamframe's fictional organization, and cannot be combined with other sources; write ./sample",
        ),
        (["check", "in", "sample:earlier"], "write ./sample:earlier for a folder of that name"),
        (["check", "void"], "has no file that iamframe reads"),
        (["check", "notes.txt"], "is not JSON"),
        (["check", "in", "--only", "empty"], "there is no check 'empty'; the checks are empty_profiles, "),
        (["check", "in", "--nope"], "--nope"),
        (["check", "in", "--format", "xml"], "'xml' is not one of 'table', 'csv', 'json', 'markdown'"),
        (["check", "in", "--fail-on", "urgent"], "'urgent' is not one of 'high', 'medium', 'low', 'info'"),
        (["nope"], "nope"),
        (["check", "in", "--policy", "nowhere.toml"], "nowhere.toml: cannot be read (No such file or directory)"),
        (["check", "in", "--policy", "void"], "void: cannot be read (Is a directory)"),
        (
            ["report", "in", "--out", "notes.txt"],
            "notes.txt: is a file, not a folder; choose another folder with --out",
        ),
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_is_one_sentence_and_exit_status_2(tmp_path: Path, arguments: list[str], said: str) -> None:
    empty_profile(tmp_path / "in")
    write(tmp_path, {"notes.txt": "mine"})
    (tmp_path / "void").mkdir()
    assert said in refusal(run(tmp_path, *arguments))
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "policy",
    [
        "[required_tags",
        b"\xff",
        "[surprise]",
        "[required_tags]\nOwner = 1",
        '[required_tags]\nOwner = {pattern = "("}',
        '[required_tags]\nOwner = {on = ["user"]}',
        "[required_tags]\nOwner = {on = 1}",
        "[required_tags]\nOwner = {values = [1]}",
        '[[accepted]]\ncheck = "empty_profiles"',
        '[[accepted]]\ncheck = "empty_profiles"\nreason = "x"\nexpires = "soon"',
        '[[makers]]\nprofile = "x"',
        '[[name_pairs]]\nrole = 1\nprofile = "x"',
    ],
)
def test_a_policy_that_cannot_be_understood_is_one_sentence_that_names_the_file(
    tmp_path: Path, policy: str | bytes
) -> None:
    write(tmp_path / "in", {"p.json": profile_list(profile("a", Tags=[{"Key": "Owner", "Value": "ops"}]))})
    write(tmp_path / "in", {"a.json": {"InstanceProfile": profile("a", Tags=[{"Key": "Owner", "Value": "ops"}])}})
    write(tmp_path, {"tags.toml": policy})
    said = refusal(run(tmp_path, "check", "in", "--policy", "tags.toml"))
    assert said.startswith("iamframe: tags.toml: ")
    assert "__init__" not in said


def test_an_entry_that_accepts_no_finding_is_said(tmp_path: Path) -> None:
    entries = ["check = 'empty_profiles'", "check = 'empty_profiles'\nfinding_id = 'mistyped'"]
    text = "\n".join(f"[[accepted]]\n{entry}\nreason = 'audit {n}'" for n, entry in enumerate(entries))
    write(tmp_path, {"tags.toml": text})
    done = run(tmp_path, "check", "sample", "--only", "empty_profiles", "--policy", "tags.toml")
    said = "the entry for empty_profiles with the reason 'audit 1' matches no finding"
    assert [line for line in done.stderr.splitlines() if "matches no finding" in line] == [
        f"tags.toml: {said}; correct or remove this entry"
    ]


@pytest.mark.parametrize("command", [["check"], ["report", "--out", "out"], ["report", "--out", "out", "--mask"]])
def test_an_entry_is_said_to_match_no_finding_only_if_none_is_like_it_whatever_the_other_entries_are(
    tmp_path: Path, command: list[str]
) -> None:
    empty_profile(tmp_path / "in")
    arn = f"arn:aws:iam::{ACCOUNT}:instance-profile/"
    entry = "[[accepted]]\ncheck = 'empty_profiles'\nresource_arn = '{}'\nreason = '{}'\n"
    # All entries but the last are about the only empty profile, which the first one accepts.
    entries = [("*", "all"), (f"{arn}*", "narrow"), (f"{arn}*", "same"), (f"{arn}mistyped", "same")]
    write(tmp_path, {"tags.toml": "".join(entry.format(*one) for one in entries)})
    done = run(tmp_path, *command, "in", "--only", "empty_profiles", "--policy", "tags.toml")
    said = "tags.toml: the entry for empty_profiles with the reason 'same' matches no finding; "
    assert [line for line in done.stderr.splitlines() if "no finding" in line] == [
        f"{said}correct or remove this entry"
    ]


def test_an_entry_of_a_check_that_could_not_look_is_not_said_to_match_no_finding(tmp_path: Path) -> None:
    empty_profile(tmp_path / "in")
    entry = "[[accepted]]\ncheck = '{}'\nresource_arn = 'arn:aws:iam::{}:*'\nreason = '{}'\n"
    checks = ["untagged_profiles", "deleted_trust_principals", "empty_profiles", "path_mismatches"]
    accounts = [ACCOUNT, ACCOUNT, "999999999999", ACCOUNT]
    write(tmp_path, {"tags.toml": "".join(map(entry.format, checks, accounts, checks))})
    done = run(tmp_path, "check", "in", "--policy", "tags.toml")
    assert [line.split("'")[1] for line in done.stderr.splitlines() if "no finding;" in line] == ["path_mismatches"]


@pytest.mark.parametrize(
    "command",
    [["check", "in"], ["report", "in", "--out", "out"], ["plan", "in"], ["diff", "in", "in"]],
    ids=lambda command: command[0],
)
def test_an_acceptance_that_has_expired_is_said_and_one_that_holds_is_not(tmp_path: Path, command: list[str]) -> None:
    empty_profile(tmp_path / "in")
    entry = "[[accepted]]\ncheck = 'empty_profiles'\nreason = '{}'\nexpires = {}\n"
    write(tmp_path, {"tags.toml": entry.format("audit", "2020-01-31") + entry.format("kept", "2999-01-01")})
    done = run(tmp_path, *command, "--policy", "tags.toml")
    said = "tags.toml: the last day of the entry for empty_profiles with the reason 'audit' was 2020-01-31; "
    said += "change the date or remove the entry"
    assert done.stderr.splitlines().count(said) == 1
    assert "2999" not in done.stderr


def test_a_single_text_as_the_values_of_a_required_tag_is_never_taken_for_its_letters(tmp_path: Path) -> None:
    write(tmp_path / "in", {"a.json": {"InstanceProfile": profile("a", Tags=[{"Key": "Owner", "Value": "o"}])}})
    write(tmp_path, {"tags.toml": '[required_tags]\nOwner = {values = "ops"}'})
    done = run(tmp_path, "check", "in", "--only", "missing_required_tags", "--policy", "tags.toml")
    assert "tag 'Owner' is o, but the policy file allows only ops" in done.stdout or done.returncode == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes any bytes as a name")
@pytest.mark.parametrize("command", [["check"], ["report", "--out", "out"]])
def test_a_folder_whose_name_is_no_text_is_read_or_refused_in_one_sentence(tmp_path: Path, command: list[str]) -> None:
    name = os.fsdecode(b"caf\xe9")
    empty_profile(tmp_path / name)
    done = run(tmp_path, *command, name)
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 2)
    assert done.stdout or len(done.stderr.splitlines()) == 1


def test_the_line_of_a_settled_finding_says_whether_the_finding_is_expected_or_accepted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = run_checks(load_sample(), ["untagged_profiles"])
    one = result.found["untagged_profiles"]
    opened, expected = (one.findings.assign(expected=is_so, accepted=None) for is_so in (False, True))
    for now, said in (
        (expected, "; in OLD, the finding was not expected"),
        (opened.assign(accepted="agreed"), "; in OLD, the policy file did not accept the finding"),
    ):
        old, new = (replace(result, found={"untagged_profiles": Found.of(of, one.facts)}) for of in (opened, now))
        with Context(app).scope():
            output.emit_changes(compare(old, new), "table")
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == len(now)
        assert all(line.startswith("settled finding") and line.endswith(said) for line in lines)


# Terraform


def test_drift_prints_a_line_per_difference_and_on_standard_error_what_is_unknown(tmp_path: Path) -> None:
    done = run(tmp_path, "drift", "sample:terraform", "--against", "sample")
    lines = done.stdout.splitlines()
    assert lines[1:3] == [
        (
            "other role    111122223333  instance-profile  blue: holds the role green; in the Terraform state, it "
            'holds the role blue (module.service["blue"].aws_iam_instance_profile.this in '
            "sample:terraform/shop.tfstate)"
        ),
        (
            "gone          111122223333  instance-profile  fax-gateway: does not exist in the account "
            '(aws_iam_instance_profile.batch["fax-gateway"] in sample:terraform/shop.tfstate)'
        ),
    ]
    unmanaged = "unmanaged     111122223333  instance-profile  bastion: no given Terraform state manages this resource"
    assert unmanaged in lines
    assert [line.split()[0] for line in lines[-12:]] == ["tag", *["unmanaged"] * 10, "and"]
    assert lines[-1] == "and 111 more unmanaged resources; --format csv lists all"
    assert done.stderr.splitlines() == [
        (
            "1 profile lost its role, 1 profile holds another role, 2 resources exist only in Terraform states, "
            "1 resource was recreated, 1 path differs, 4 tags differ or are missing on one side, 121 resources are "
            "managed by none of the given Terraform states. Some of the data could not be compared. "
            "1 account not compared, because the given Terraform states have no roles or instance profiles there."
        ),
        "not compared: 444455556666 (the given Terraform states have no roles or instance profiles there)",
        (
            "incomplete comparison in 123456789012: instance profile erp, role erp (tags not compared, because they "
            "were not collected)"
        ),
    ]


@pytest.mark.parametrize("form", ["csv", "json", "markdown"])
def test_drift_prints_each_kind_that_is_asked_for_and_what_is_unknown(tmp_path: Path, form: str) -> None:
    done = run(tmp_path, "drift", "sample:terraform", "--against", "sample", "--only", "gone", "--format", form)
    rows = json.loads(done.stdout) if form == "json" else list(csv.DictReader(io.StringIO(done.stdout)))
    kinds = (
        [row["kind"] for row in rows] if form != "markdown" else re.findall(r"^\| (gone|unknown) ", done.stdout, re.M)
    )
    assert kinds == ["gone", "gone", "unknown", "unknown"]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("", 0),
        ("--fail-on-drift", 1),
        ("--fail-on-drift --only gone", 1),
        ("--fail-on-drift --only unmanaged --against=files", 0),
        ("--strict", 3),
        ("--strict --fail-on-drift", 1),
    ],
)
def test_drift_exits_1_on_a_difference_and_3_on_what_is_unknown_only_if_asked(
    tmp_path: Path, arguments: str, status: int
) -> None:
    write(tmp_path, {"files/p.json": profile_list(profile("web", account="000000000009"))})
    done = run(tmp_path, "drift", "sample:terraform", "--against", "sample", *arguments.split())
    assert (done.returncode, done.stdout.count("\n") > 0) == (status, "files" not in arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("files --against sample", "files: holds no Terraform state; give a state file (version 4)"),
        ("nowhere --against sample", "nowhere: there is no such file or folder"),
        ("sample:terraform", "Missing option '--against'"),
        ("--against sample", "Missing argument 'STATE...'"),
        ("sample:terraform --against sample --only unknown", "'unknown' is not one of 'role_lost', "),
    ],
)
def test_drift_refuses_what_is_no_state_in_one_sentence(tmp_path: Path, arguments: str, said: str) -> None:
    empty_profile(tmp_path / "files")
    assert said in refusal(run(tmp_path, "drift", *arguments.split()))


def test_a_report_with_a_state_has_its_differences_and_the_next_one_without_has_none(tmp_path: Path) -> None:
    done = run(tmp_path, "report", "sample", "--terraform", "sample:terraform", "--out", "out")
    assert "Terraform: 1 profile lost its role, " in done.stdout
    assert (tmp_path / "out" / "drift.csv").read_text("utf-8-sig").count("\n") == 134
    assert json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))["drift"] == {
        "gone": 2,
        "other_role": 1,
        "path": 1,
        "recreated": 1,
        "role_lost": 1,
        "tags": 4,
        "unknown": 2,
        "unmanaged": 121,
    }
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "differences from Terraform</a> (131)" in page
    run(tmp_path, "report", "sample", "--out", "out")
    assert not (tmp_path / "out" / "drift.csv").exists()
    assert "drift" not in json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))


# Help


def test_version_prints_the_version(tmp_path: Path) -> None:
    done = run(tmp_path, "--version")
    assert (done.stdout, done.stderr, done.returncode) == ("iamframe 0.2.0\n", "", 0)


NAMED = {
    "": {"report", "check", "--version"},
    "check": {"SOURCE...", "--only", "--format", "--fail-on", "--policy", "--strict"},
    "drift": {"STATE...", "--against", "--only", "--format", "--fail-on-drift", "--strict"},
    "report": {"--terraform", "--out", "--title", "--author", "--policy", "--strict"},
}


@pytest.mark.parametrize("command", ["", *app.commands])
def test_help_names_each_option_fits_a_narrow_terminal_and_no_sentence_of_it_is_cut(
    tmp_path: Path, command: str
) -> None:
    said = run(tmp_path, *command.split(), "--help").stdout
    assert max(map(len, said.splitlines())) <= 72
    assert "..." not in re.sub(r"\[?(SOURCE|STATE|ARGS)\]?\.\.\.", "", said)
    assert {"--quiet", "--verbose", *NAMED.get(command, ())} <= set(said.split())


@pytest.mark.parametrize(
    ("shell", "words", "offered"),
    [
        ("zsh", "check sa", "file sa sample"),
        ("zsh", "check sample aws:", "file aws: aws:audit aws:dev"),
        ("zsh", "diff sample aws:d", "file aws:d aws:dev"),
        ("fish", "report --compare aws:a", "file aws:a aws:audit"),
        # Bash parts words at colons, and puts in what follows the last one.
        ("bash", "check aws :", "audit dev"),
        ("bash", "check aws : d", "dev"),
        ("bash", "check sample --only empty_", "empty_profiles"),
        ("bash", "plan --only crossed", "crossed_names"),
        ("bash", "check sample --severity m", "medium"),
    ],
)
def test_the_tab_key_offers_sources_profiles_and_checks(tmp_path: Path, shell: str, words: str, offered: str) -> None:
    write(tmp_path, {"config": "[profile audit]\nregion = x\n[profile dev]\n[sso-session no]\n"})
    line = f"iamframe {words}"
    environment = {
        "_IAMFRAME_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": line,
        # Fish gives the word itself, the others its number.
        "COMP_CWORD": line.rsplit(maxsplit=1)[-1] if shell == "fish" else str(len(line.split()) - 1),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }
    said = [*filter(None, re.split("[\n\t,]", run(tmp_path, environment=environment).stdout))]
    assert " ".join(one for one in said if one not in ("plain", "_") and "." not in one) == offered


def test_without_a_command_it_shows_how_it_is_used_in_lines_that_can_be_read(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert "\\n" not in done.stdout + done.stderr
    assert len((done.stdout + done.stderr).splitlines()) > 5


def test_an_empty_list_of_nobody_is_refused_since_it_says_nothing_of_any_account(tmp_path: Path) -> None:
    write(tmp_path, {"p.json": {"InstanceProfiles": []}})
    done = run(tmp_path, "check", "p.json")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "iamframe: p.json: does not show which account it is from; put the files of each account into a separate folder"
    )


def test_a_file_that_could_not_be_read_is_told_on_standard_error(tmp_path: Path) -> None:
    empty_profile(tmp_path / "dumps")
    write(tmp_path / "dumps", {"list-roles.json": ""})
    done = run(tmp_path, "check", "dumps", "--only", "empty_profiles")
    assert done.returncode == 0
    assert "\ndumps/list-roles.json: is empty" in done.stderr


def test_an_accepted_finding_is_marked_so_and_does_not_count(tmp_path: Path) -> None:
    empty_profile(tmp_path / "dumps")
    write(tmp_path, {"t.toml": '[[accepted]]\ncheck = "empty_profiles"\nreason = "kept for the audit"\n'})
    done = run(tmp_path, "check", "dumps", "--only", "empty_profiles", "--policy", "t.toml")
    assert "holds no role (accepted, reason: kept for the audit)" in done.stdout
    assert "0 resources need attention. 1 finding, including 1 accepted." in done.stderr


def test_what_goes_into_a_file_is_utf_8_whatever_the_terminal_is(tmp_path: Path) -> None:
    write(tmp_path, {"profiles.json": profile_list(profile("é"))})
    check = ("check", "profiles.json", "--only", "empty_profiles", "--format")
    # The streams are of another encoding, and what is read is UTF-8.
    one = subprocess.run(
        [sys.executable, "-m", "iamframe.ui.cli", *check, "table"],
        cwd=tmp_path,
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "cp1252"},
        check=True,
    )
    assert "é" in one.stdout.decode("utf-8")
    for form in ("csv", "json", "markdown", "table"):
        done = run(tmp_path, *check, form, encoding="cp1252")
        assert done.returncode == 0
        assert "é" in done.stdout.encode("cp1252").decode("utf-8")


NOWHERE = "iamframe: standard output: cannot be written (No space left on device); send it elsewhere, or make room\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no file of this system is always full")
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "sample"],
        ["check", "sample", "--format", "csv"],
        ["check", "sample", "--format", "json"],
        ["--help"],
        [],
    ],
)
def test_standard_output_that_takes_nothing_is_one_sentence(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert _run(arguments) == 2
        # What is left is written to nowhere, so that Python's end does not fail.
        full.flush()
    assert capsys.readouterr().err == NOWHERE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no file of this system is always full")
@pytest.mark.parametrize("arguments", [["check", "sample"], ["--help"]])
def test_a_process_whose_standard_output_takes_nothing_says_so_and_ends_with_2(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "iamframe.ui.cli", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (2, NOWHERE)


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell closes the streams")
@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-"])
def test_a_stream_that_the_shell_closed_does_not_change_the_exit_status(closed: str) -> None:
    command = f'exec "$0" -m iamframe.ui.cli check sample {closed}'
    done = subprocess.run(["sh", "-c", command, sys.executable], capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stdout + done.stderr) == (0, False)


def test_a_rate_that_is_no_number_is_refused(tmp_path: Path) -> None:
    said = refusal(run(tmp_path, "snapshot", "aws", "--rate", "nan", "--out", "snap"))
    assert said == "iamframe: rate=nan: is not a number of requests per second; give one above 0, or none\n"
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_is_asked_for_some_findings_says_where_they_are_filtered(tmp_path: Path) -> None:
    run(tmp_path, "report", "sample", "--out", "out")
    for arguments in (["--owner", "ops"], ["--owner=ops"], ["--severity", "high"]):
        done = run(tmp_path, "report", "sample", *arguments)
        option = arguments[0].partition("=")[0]
        hint = f"filter the findings on the report's page, or use {option} with `iamframe check`"
        said = f"iamframe: No such option '{option}'; {hint}\n"
        assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
        # The advice is true: the page has these two filters, and the command has these two options.
        assert f'<select data-by="{option[2:]}">' in (tmp_path / "out" / "report.html").read_text("utf-8")
        assert run(tmp_path, "check", "sample", *arguments).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["", "sample"], "'NAME_OR_ARN': must not be empty; give a name, an ARN or an id"),
        ([" ", "sample"], "'NAME_OR_ARN': must not be empty; give a name, an ARN or an id"),
        (["-rf", "sample"], "No such option '-r'; if a name begins with a dash, write -- before it"),
        (["web", "sample", "--formt", "csv"], "No such option '--formt'"),
    ],
)
def test_explain_of_no_name_is_a_usage_error(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = run(tmp_path, "explain", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert said in line
    assert ("begins with a dash" in line) == (arguments[0] == "-rf")

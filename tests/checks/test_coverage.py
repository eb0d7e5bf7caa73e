"""Coverage as facts: a status, the id of a message and its values; code and catalogue name the same messages."""

from __future__ import annotations

import ast
import inspect
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from builders import (
    ACCOUNT,
    dump,
    empty_account,
    identity,
    load,
    nested_role,
    profile,
    profile_list,
    role_detail,
    sample_result,
)

from iamframe.analysis import changed_findings, compare, matching
from iamframe.checks import CHECKS, coverage, evidence, registry, run_checks
from iamframe.checks.catalog import list_checks
from iamframe.checks.evidence import Need
from iamframe.inventory import completeness
from iamframe.messages import render
from iamframe.messages.render import text_of

SUMMARY = {"SummaryMap": {"Roles": 700, "InstanceProfiles": 900, "RolesQuota": 1000, "InstanceProfilesQuota": 1000}}
LIST_PROFILES = {
    "message": "coverage.advice.ListInstanceProfiles",
    "command": "aws iam list-instance-profiles",
    "reason": None,
}
DUMP = {
    "message": "coverage.advice.GetAccountAuthorizationDetails",
    "command": "aws iam get-account-authorization-details --filter Role",
    "reason": None,
}


def covered(folder: Path, documents: dict[str, Any], check: str) -> tuple[str, str, Any]:
    """Status, message and facts of one check in the one account."""
    (row,) = run_checks(load(folder, documents), only=[check]).coverage.to_dict("records")
    return row["status"], row["message"], json.loads(row["facts"])


def denied(operation: str, code: str) -> dict[str, Any]:
    return {"id.json": identity(), "denied.csv": f"operation,subject,error_code\n{operation},,{code}\n"}


def test_of_a_list_that_broke_off_it_is_said_how_much_was_read_and_to_export_it_again(tmp_path: Path) -> None:
    cut = profile_list(profile("a"), NextToken="x")
    documents = {"id.json": identity(), "s.json": SUMMARY, "p.json": cut}
    status, message, facts = covered(tmp_path, documents, "empty_profiles")
    assert (status, message) == ("partial", "coverage.profiles.some")
    assert facts == {"refusal": None, "advice": {"message": "coverage.profiles.export"}, "read": 1, "expected": 900}


def test_without_the_accounts_own_count_there_may_be_more(tmp_path: Path) -> None:
    documents = {"d.json": dump(role_detail("a"), NextToken="x")}
    status, message, facts = covered(tmp_path, documents, "untagged_roles")
    assert (status, message, facts["read"]) == ("partial", "coverage.roles.or_more", 1)
    assert facts["advice"] == {"message": "coverage.roles.export"}


@pytest.mark.parametrize(
    ("check", "before_the_first", "after_one"),
    [
        ("ec2_roles_without_profile", dump(NextToken="x"), dump(role_detail("a"), NextToken="x")),
        ("empty_profiles", profile_list(NextToken="x"), profile_list(profile("a"), NextToken="x")),
    ],
)
def test_a_list_that_broke_off_before_its_first_item_is_unknown(
    tmp_path: Path, check: str, before_the_first: dict[str, Any], after_one: dict[str, Any]
) -> None:
    documents = {"id.json": identity(), "list.json": before_the_first}
    status, message, facts = covered(tmp_path, documents, check)
    side = "profiles" if check == "empty_profiles" else "roles"
    assert (status, message) == ("unknown", f"coverage.{side}.not_seen")
    assert facts["advice"] == {"message": f"coverage.{side}.export"}
    assert covered(tmp_path, documents | {"list.json": after_one}, check)[0] == "partial"


def test_a_list_without_an_item_is_partial_where_another_file_shows_an_item(tmp_path: Path) -> None:
    documents = {"d.json": dump(NextToken="x"), "p.json": profile_list(profile("web", nested_role("web")))}
    assert covered(tmp_path, documents, "crossed_names")[0] == "partial"


def test_a_list_that_nobody_read_is_unknown_and_its_command_settles_it(tmp_path: Path) -> None:
    documents = {"p.json": {"InstanceProfile": profile("web", nested_role("web"))}}
    assert covered(tmp_path, documents, "empty_profiles") == (
        "unknown",
        "coverage.profiles.not_seen",
        {"refusal": None, "advice": LIST_PROFILES},
    )


def test_rows_that_are_not_known_are_counted(tmp_path: Path) -> None:
    closed = {key: value for key, value in profile("p").items() if key != "Roles"}
    documents = {"p.json": profile_list(closed, profile("q"))}
    status, message, facts = covered(tmp_path, documents, "empty_profiles")
    assert (status, message, facts["missing"], facts["total"]) == ("partial", "coverage.profiles.not_held", 1, 2)


@pytest.mark.parametrize(
    ("code", "reason", "advice"),
    [
        ("AccessDenied", "denied", "coverage.advice.ListInstanceProfileTags"),
        ("Throttling", "throttled", "coverage.advice.ListInstanceProfileTags"),
        ("ExpiredToken", "expired", "coverage.renew"),
    ],
)
def test_what_settles_missing_tags_goes_by_how_aws_refused_them(
    tmp_path: Path, code: str, reason: str, advice: str
) -> None:
    untagged = {key: value for key, value in profile("p").items() if key != "Tags"}
    documents = denied("ListInstanceProfileTags", code) | {"p.json": profile_list(untagged)}
    status, message, facts = covered(tmp_path, documents, "untagged_profiles")
    assert (status, message) == ("unknown", "coverage.profiles.tags")
    assert (facts["refusal"]["operation"], facts["refusal"]["reason"]) == ("ListInstanceProfileTags", reason)
    assert facts["advice"]["message"] == advice


def test_several_reasons_are_one_message_of_messages(tmp_path: Path) -> None:
    untagged = {key: value for key, value in nested_role("web").items() if key != "Tags"}
    documents = {"p.json": profile_list(profile("web", untagged))}
    status, message, facts = covered(tmp_path, documents, "missing_required_tags")
    assert (status, message) == ("unknown", "list.reasons")
    assert [one["message"] for one in facts["messages"]] == [
        "coverage.policy.missing",
        "coverage.profiles.tags",
        "coverage.roles.tags",
    ]
    assert facts["messages"][2] == {
        "message": "coverage.roles.tags",
        "missing": 1,
        "total": 1,
        "refusal": None,
        "advice": DUMP,
    }


def test_roles_that_are_all_read_and_none_need_no_profiles() -> None:
    coverage = run_checks(empty_account(), only=["ec2_roles_without_profile"]).coverage
    assert coverage[["status", "reason"]].to_dict("records") == [{"status": "complete", "reason": ""}]


def core_files() -> dict[str, Any]:
    """The files of one profile, and of its use in two regions."""
    core = {
        "i.json": {"Reservations": []},
        "v.json": {"LaunchTemplateVersions": []},
        "c.json": {"LaunchConfigurations": []},
        "g.json": {"AutoScalingGroups": []},
    }
    documents = {
        f"{ACCOUNT}/{region}/{name}": one for name, one in core.items() for region in ("eu-west-1", "us-east-1")
    }
    return documents | {f"{ACCOUNT}/p.json": profile_list(profile("web", nested_role("web")))}


@pytest.mark.parametrize(
    ("lacking", "commands"),
    [
        ("us-east-1/i.json", ["`aws ec2 describe-instances --region=us-east-1`"]),
        ("/c.json", ["`aws autoscaling describe-launch-configurations --region=REGION`"]),
        ("eu-west-1/", None),
        ("/c.json /g.json us-east-1/i.json", None),
    ],
)
def test_the_reason_on_references_of_files_ends_with_the_commands_that_collect_them(
    tmp_path: Path, lacking: str, commands: list[str] | None
) -> None:
    documents = {name: one for name, one in core_files().items() if not any(part in name for part in lacking.split())}
    for check in ("unreferenced_profiles", "stale_references"):
        *_, advice = covered(tmp_path, documents, check)[2]["messages"]
        added = {"message": "coverage.references.add", "commands": commands}
        assert advice == (added if commands else {"message": "coverage.references.script"})


def test_references_of_files_are_partial_with_their_regions_as_values(tmp_path: Path) -> None:
    inventory = load(tmp_path, core_files())
    (row,) = completeness.completeness(inventory).to_dict("records")
    assert (row["references_status"], row["references_message"]) == ("partial", "coverage.references.files")
    assert json.loads(row["references_facts"]) == {"regions": ["eu-west-1", "us-east-1"]}
    result = run_checks(inventory, only="unreferenced_profiles")
    first, _ = json.loads(result.coverage["facts"][0])["messages"]
    assert first == {"message": "coverage.references.files", "regions": ["eu-west-1", "us-east-1"]}
    (detail,) = result.findings_in("ja")["detail"]
    assert "ファイルから読み取りました (eu-west-1とus-east-1)" in detail


def test_the_reason_is_the_message_in_english_and_empty_where_all_is_complete() -> None:
    frame = sample_result().coverage
    message, facts = (pa.array(frame[name], pa.string()) for name in ("message", "facts"))
    assert frame["reason"].tolist() == render.render(message, facts).to_pylist()
    assert ((frame["message"] == "") == (frame["status"] == "complete")).all()
    assert set(frame["facts"][frame["status"] == "complete"]) == {"{}"}


def test_each_need_has_a_name_of_words_which_the_list_of_checks_shows() -> None:
    needs = [one for one in vars(coverage).values() if isinstance(one, Need)]
    assert len(needs) == 19
    assert {name: one.name for name, one in vars(coverage).items() if isinstance(one, Need)} == {
        name: name.replace("_", " ") for name, one in vars(coverage).items() if isinstance(one, Need)
    }
    shown = list_checks().set_index("check")["needs"]
    assert shown["unreferenced_profiles"] == "all profiles, references"
    assert set(needs) >= {need for one in CHECKS.values() for need in one.needs}


def constants(*modules: Any) -> set[str]:
    """The texts of modules, those of f-strings in their parts."""
    trees = [ast.parse(inspect.getsource(module)) for module in modules]
    nodes = (node for tree in trees for node in ast.walk(tree))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_each_message_that_the_code_names_is_there_and_none_is_left_over() -> None:
    named = constants(coverage, evidence, registry, completeness, compare, matching, changed_findings)
    whole = {text for text in named if re.fullmatch(r"(?:coverage|not_compared)\.[a-z_.]*[a-z]", text)}
    whole |= {f"coverage.{text}" for text in named if re.fullmatch(r"(?:profiles|roles|links)\.[a-z_]+", text)}
    assert len(whole) > 20
    assert all(map(text_of, whole))
    ids = {one for one in render._catalogue("en") if one.startswith(("coverage.", "not_compared."))}
    rest = {
        one for one in ids - whole if not one.startswith(("coverage.advice.", "coverage.complete.", "coverage.no_"))
    }
    ends = {one.rpartition(".")[2] for one in rest}
    assert {end for end in ends if not any(end in re.findall(r"\w+", text) for text in named)} == set()

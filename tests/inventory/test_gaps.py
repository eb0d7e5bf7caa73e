"""What gaps, coverage and next steps say: commands that a shell takes as they are, plurals, one gap for one thing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from builders import ACCOUNT, dump, identity, load, nested_role, profile, profile_list, role_detail, tag_list
from terraform import plan, plan_resource, state_of_profile, tf_profile

from iamframe.checks import run_checks
from iamframe.inventory import schema
from iamframe.inventory.gaps import with_details
from iamframe.inventory.inventory import Inventory

DENIED = "operation,subject,error_code\n"


def details(inventory: Inventory, operation: str) -> list[str]:
    return inventory.gaps.loc[inventory.gaps["operation"] == operation, "detail"].tolist()


def reason(inventory: Inventory, check: str) -> str:
    """Why a check is not complete."""
    return str(run_checks(inventory, only=check).coverage["reason"].item())


# Commands


@pytest.mark.parametrize(
    ("role", "option"),
    [
        ("web", "--role-name=web"),
        ("x; touch PWNED #", "--role-name='x; touch PWNED #'"),
        ("it's", """--role-name='it'"'"'s'"""),
    ],
)
def test_a_command_in_a_gap_is_quoted_for_a_shell(tmp_path: Path, role: str, option: str) -> None:
    (detail,) = details(load(tmp_path, {"s.tfstate": state_of_profile("p", role)}), "GetRole")
    assert f"`aws iam get-role {option}`" in detail


def test_a_command_that_would_tell_what_a_profile_holds_is_quoted(tmp_path: Path) -> None:
    lists = {
        name: profile_list(profile("a$b", *held)) for name, held in (("a.json", []), ("b.json", [nested_role("r")]))
    }
    (detail,) = details(load(tmp_path, lists), "GetInstanceProfile")
    assert "`aws iam get-instance-profile --instance-profile-name='a$b'`" in detail


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("x", "aws autoscaling describe-launch-configurations --launch-configuration-names=x --region=eu-west-1"),
        ("file:///home/me/.aws/credentials", None),
        ("fileb://x", None),
        ("http://169.254.169.254/", None),
    ],
)
def test_what_the_cli_would_take_for_a_file_makes_no_next_step(tmp_path: Path, name: str, step: str | None) -> None:
    configuration = {"LaunchConfigurationName": name, "IamInstanceProfile": "gone"}
    documents = {
        "profiles.json": profile_list(profile("web", nested_role("web"))),
        "eu-west-1/x.json": {"LaunchConfigurations": [configuration]},
    }
    findings = run_checks(load(tmp_path, documents), only="stale_references").findings
    assert findings["next_step"].fillna("none").tolist() == [step or "none"]


# Ids that whoever shared the files has masked

NEW, OLD = "AIPA22222222222222NEW", "AIPA22222222222222OLD"


def instance(number: int, id: str) -> dict[str, Any]:
    named = {"Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/web", "Id": id}
    return {"InstanceId": f"i-{number}", "State": {"Name": "running"}, "IamInstanceProfile": named}


@pytest.mark.parametrize(
    ("now", "then", "stale"),
    [
        (NEW, OLD, ["i-1"]),
        ("XXXXXXXX", OLD, []),
        (NEW, "****", []),
        ("AIPAXXXXXXXX", OLD, []),
        ("AIPAXXXXXXXXXXXXXXXXX", OLD, []),
        (NEW, "AIPAXXXXXXXXXXXXXXXXX", []),
        ("XXXXXXXX", "********", []),
        (NEW, NEW, []),
    ],
)
def test_a_masked_id_tells_of_no_profile_made_anew(tmp_path: Path, now: str, then: str, stale: list[str]) -> None:
    held = profile("web", nested_role("web")) | {"InstanceProfileId": now}
    reservation = {"OwnerId": ACCOUNT, "Instances": [instance(1, then)]}
    documents = {"profiles.json": profile_list(held), "eu-west-1/i.json": {"Reservations": [reservation]}}
    findings = run_checks(load(tmp_path, documents), only="stale_references").findings
    assert findings["resource_name"].tolist() == stale


# One gap for one thing

LISTED = {"list.json": profile_list(profile("web", nested_role("web")), profile("payroll"), profile("old"))}


@pytest.mark.parametrize(
    ("read", "denied", "expected"),
    [
        (["web", "old"], ["payroll"], ["payroll"]),
        (["web"], ["payroll"], ["*", "payroll"]),
        (["web"], [], ["*"]),
        ([], ["payroll", "web", "old"], ["old", "payroll", "web"]),
    ],
)
def test_tags_that_were_refused_are_one_gap_each(
    tmp_path: Path, read: list[str], denied: list[str], expected: list[str]
) -> None:
    tags = {f"instance-profile-tags/{name}.json": {"Tags": tag_list({"owner": "ops"})} for name in read}
    rows = "".join(f"ListInstanceProfileTags,{name},AccessDenied\n" for name in denied)
    inventory = load(tmp_path, LISTED | tags | {"denied.csv": DENIED + rows, "id.json": identity()})
    gaps = inventory.gaps[inventory.gaps["operation"] == "ListInstanceProfileTags"]
    assert gaps["subject"].tolist() == expected
    if "*" in expected:
        more = 3 - len(read) - len(denied)
        assert (
            f"the tags of {more} of 3 instance profiles are not in the files"
            in details(inventory, "ListInstanceProfileTags")[0]
        )


LISTS = {"id.json": identity(), "list.json": profile_list(profile("a"), profile("b"))}
TWICE = f"{DENIED}iam get-instance-profile,{{0}},NoSuchEntity\niam list-instance-profile-tags,{{0}},NoSuchEntity\n"


@pytest.mark.parametrize(
    ("gone", "counted", "state"),
    [("b", 4, "truncated"), ("b", 3, "truncated"), ("c", 4, "truncated"), ("c", 3, "complete")],
)
def test_a_deleted_profile_counts_once_and_only_if_the_list_lacks_it(
    tmp_path: Path, gone: str, counted: int, state: str
) -> None:
    summary = {"summary.json": {"SummaryMap": {"InstanceProfiles": counted}}}
    inventory = load(tmp_path, LISTS | summary | {"denied.csv": TWICE.format(gone)})
    assert inventory.calls.set_index("operation")["state"]["ListInstanceProfiles"] == state


def test_roles_with_unreadable_policies_count_among_those_without_tags(tmp_path: Path) -> None:
    roles = {"Roles": [nested_role("a", policy="garbage"), nested_role("b")]}
    (said,) = details(load(tmp_path, {"list-roles.json": roles}), "ListRoleTags")
    assert "the tags of 2 of 2 roles are not in the files" in said


def test_a_profile_with_contradictory_roles_counts_among_those_without_tags(tmp_path: Path) -> None:
    lists = {name: profile_list(profile("p", *held)) for name, held in (("a.json", []), ("b.json", [nested_role("r")]))}
    (said,) = details(load(tmp_path, lists), "ListInstanceProfileTags")
    assert "the tags of 1 of 1 instance profile are not in the files" in said


def test_coverage_does_not_advise_what_was_denied(tmp_path: Path) -> None:
    tags = {f"instance-profile-tags/{name}.json": {"Tags": []} for name in ("web", "old")}
    denied = {"denied.csv": f"{DENIED}ListInstanceProfileTags,payroll,AccessDenied\n"}
    said = reason(load(tmp_path, LISTED | tags | denied | {"id.json": identity()}), "untagged_profiles")
    assert said == (
        "the tags of 1 of 3 profiles were not collected (ListInstanceProfileTags was denied); for each such profile, "
        "someone with more permissions can run `aws iam list-instance-profile-tags --instance-profile-name=NAME`"
    )


# Which half is missing


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        ({"Roles": 1, "RolesQuota": 10}, "the quota or number of instance profiles was not collected"),
        (
            {"InstanceProfiles": 1, "InstanceProfilesQuota": 10, "Roles": 1},
            "the quota or number of roles was not collected",
        ),
        ({"Users": 1}, "the quotas were not collected"),
    ],
)
def test_quota_pressure_names_the_half_that_is_missing(tmp_path: Path, summary: dict[str, int], said: str) -> None:
    inventory = load(tmp_path, {"id.json": identity(), "summary.json": {"SummaryMap": summary}})
    assert reason(inventory, "quota_pressure") == f"{said}; run `aws iam get-account-summary`"


def test_numbers_that_differ_between_two_summaries_are_unknown_and_no_list_is_shorter_than_either(
    tmp_path: Path,
) -> None:
    counted = {"Roles": 1, "RolesQuota": 1000, "InstanceProfiles": 2, "InstanceProfilesQuota": 1000}
    summaries = {"a.json": {"SummaryMap": counted}, "b.json": {"SummaryMap": counted | {"Roles": 950}}}
    inventory = load(tmp_path, summaries | {"roles.json": ROLES})
    assert inventory.accounts["roles_expected"].isna().tolist() == [True]
    assert inventory.accounts["profiles_expected"].tolist() == [2]
    (said,) = details(inventory, "roles_expected")
    assert f"'1' in GetAccountSummary in {tmp_path}/a.json but '950' in GetAccountSummary in {tmp_path}/b.json" in said
    assert "1 role was collected, but GetAccountSummary counts 950" in " ".join(details(inventory, "ListRoles"))
    result = run_checks(inventory, only="quota_pressure")
    assert result.findings.empty
    assert result.coverage["status"].tolist() == ["partial"]
    assert "different numbers in different files" in result.coverage["reason"].item()


def test_quotas_that_were_denied_are_said_to_be(tmp_path: Path) -> None:
    denied = {"denied.csv": f"{DENIED}GetAccountSummary,,AccessDenied\n"}
    said = reason(load(tmp_path, {"id.json": identity(), **denied}), "quota_pressure")
    assert said == (
        "the quotas were not collected (GetAccountSummary was denied); "
        "someone with more permissions can run `aws iam get-account-summary`"
    )


def test_a_resource_that_only_a_plan_shows_does_not_count_as_listed(tmp_path: Path) -> None:
    """AWS counts two profiles, and lists one; the other may be in a page that was lost."""
    documents = {
        "list.json": profile_list(profile("web")),
        "summary.json": {"SummaryMap": {"InstanceProfiles": 2}},
        "id.json": identity(),
        "plan.json": plan(plan_resource("aws_iam_instance_profile.new", tf_profile("new", arn=None))),
    }
    inventory = load(tmp_path, documents)
    assert len(inventory.profiles) == 2
    assert "1 instance profile was collected, but GetAccountSummary counts 2" in " ".join(inventory.gaps["detail"])


# Plurals


def test_one_is_not_said_in_the_plural(tmp_path: Path) -> None:
    documents = {
        "list.json": profile_list(profile("web")),
        "roles.json": {"Roles": [nested_role("web")]},
        "summary.json": {"SummaryMap": {"InstanceProfiles": 2, "Roles": 2}},
        "id.json": identity(),
    }
    said = " ".join(load(tmp_path, documents).gaps["detail"])
    assert "1 instance profile was collected, but GetAccountSummary counts 2" in said
    assert "1 role was collected, but GetAccountSummary counts 2" in said
    assert "the tags of 1 of 1 instance profile are not in the files" in said
    assert "the tags of 1 of 1 role are not in the files" in said


def test_one_role_whose_profiles_nobody_shows_is_one_role(tmp_path: Path) -> None:
    said = details(load(tmp_path, {"roles.json": {"Roles": [nested_role("web")]}}), "ListInstanceProfilesForRole")
    assert said[0].startswith("the profiles that hold the 1 role are not in the files")
    two = {"roles.json": {"Roles": [nested_role("web"), nested_role("batch")]}}
    assert "the 2 roles are" in details(load(tmp_path, two), "ListInstanceProfilesForRole")[0]


def test_a_list_of_one_that_lacks_one_is_said_as_one(tmp_path: Path) -> None:
    documents = {"a.json": profile_list(profile("web")), "b.json": dump(role_detail("old", [profile("old")]))}
    said = details(load(tmp_path, documents), "ListInstanceProfiles")
    assert "has 1 resource, but all files together have 2" in " ".join(said)


# Lists that broke off


def reasons(inventory: Inventory, status: str = "partial") -> dict[str, str]:
    """The reasons of the checks that rest on lists, by check."""
    coverage = run_checks(inventory).coverage
    names = ["empty_profiles", "untagged_profiles", "roles_in_many_profiles", "ec2_roles_without_profile"]
    mine = coverage[coverage["check"].isin(names) & (coverage["status"] == status)]
    return dict(zip(mine["check"], mine["reason"], strict=True))


CUT = profile_list(profile("web", nested_role("web")), NextToken="more")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"s.json": {"SummaryMap": {"InstanceProfiles": 900}}}, "1 of 900 profiles"),
        ({}, "1 profile was collected, and there may be more"),
    ],
)
def test_a_list_that_broke_off_says_how_much_of_it_was_read_and_not_the_command_that_it_came_from(
    tmp_path: Path, more: dict[str, Any], said: str
) -> None:
    inventory = load(tmp_path, {"identity.json": identity(), "p.json": CUT} | more)
    found = reasons(inventory)
    assert "empty_profiles" in found
    assert said in found["empty_profiles"]
    for reason in found.values():
        assert "aws iam list-instance-profiles" not in reason
    assert "--max-items" in found["empty_profiles"]


def test_an_account_dump_that_broke_off_says_how_many_roles_were_read(tmp_path: Path) -> None:
    cut = dump(role_detail("web"), IsTruncated=True, Marker="more")
    summary = {"SummaryMap": {"Roles": 40, "InstanceProfiles": 0}}
    documents = {"identity.json": identity(), "d.json": cut, "s.json": summary, "p.json": profile_list()}
    reason = reasons(load(tmp_path, documents))["ec2_roles_without_profile"]
    assert "1 of 40 roles" in reason
    assert "aws iam get-account-authorization-details" not in reason


def test_a_list_that_was_not_read_still_names_the_command_that_gives_it(tmp_path: Path) -> None:
    documents = {"identity.json": identity(), "d.json": dump(role_detail("web", [profile("web")]))}
    assert "aws iam list-instance-profiles" in reasons(load(tmp_path, documents), "unknown")["empty_profiles"]


# Messages and facts

WEB, ONE = f"arn:aws:iam::{ACCOUNT}:role/web", f"arn:aws:iam::{ACCOUNT}:instance-profile/one"
HOLDS_WEB = "`aws iam get-instance-profile --instance-profile-name=one`"
ROLES = {"Roles": [nested_role("web")]}
PINNING = {
    "AutoScalingGroups": [
        {
            "AutoScalingGroupName": "g",
            "AutoScalingGroupARN": f"arn:aws:autoscaling:eu-west-1:{ACCOUNT}:autoScalingGroup:x:autoScalingGroupName/g",
            "LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "3"},
        }
    ]
}


def origin(operation: str, file: str) -> dict[str, str]:
    return {"message": "gaps.origin", "operation": operation, "file": file}


def described(tags: dict[str, str]) -> dict[str, Any]:
    return {"InstanceProfile": profile("one", Tags=tag_list(tags))}


KINDS: dict[str, tuple[dict[str, Any], str, str, dict[str, Any]]] = {
    "denied before": (
        {"p.json": profile_list(profile("one")), "denied.csv": f"{DENIED}ListInstanceProfileTags,one,AccessDenied\n"},
        "one",
        "gaps.refused_earlier",
        {"code": "AccessDenied", "operation": "ListInstanceProfileTags", "subject": "one", "region": None},
    ),
    "no JSON": (
        {"r.json": ROLES, "x.json": "hello"},
        "{in}/x.json",
        "gaps.unreadable",
        {
            "file": "{in}/x.json",
            "what": {"message": "gaps.file.not_json", "why": "invalid character at byte position 0, counted from 0"},
        },
    ),
    "no list": (
        {"r.json": ROLES, "x.json": {"Roles": None}},
        "{in}/x.json",
        "gaps.unreadable",
        {
            "file": "{in}/x.json",
            "what": {"message": "gaps.file.no_list", "place": "$.Roles", "kind": "null"},
        },
    ),
    "other formats": (
        {"r.json": ROLES, "x.json": [], "y.json": ["a"]},
        "{in}/x.json",
        "gaps.foreign",
        {
            "files": ["{in}/x.json", "{in}/y.json"],
            "count": 2,
            "what": {"message": "gaps.file.empty_list", "place": None},
        },
    ),
    "a value of another kind": (
        {"r.json": ROLES, "x.json": {"Role": {"Arn": 1}}},
        "{in}/x.json $.Role",
        "gaps.unreadable",
        {
            "file": "{in}/x.json",
            "what": {"message": "gaps.file.value", "at": "$.Role.Arn", "why": "expected `str`, got `int`"},
        },
    ),
    "cut short": (
        {"r.json": ROLES | {"NextToken": "more"}},
        "{in}/r.json",
        "gaps.answer.truncated",
        {"file": "{in}/r.json"},
    ),
    "no time": (
        {"r.json": {"Roles": [nested_role("web", CreateDate="noon")]}},
        WEB,
        "gaps.answer.no_time",
        {"column": "created_at", "arn": WEB, "text": "'noon'"},
    ),
    "no policy": (
        {"r.json": {"Roles": [nested_role("web", policy="nonsense")]}},
        WEB,
        "gaps.answer.no_policy",
        {"arn": WEB},
    ),
    "not in the files": (
        {"r.json": ROLES, "p.json": profile_list(profile("one"), profile("two"))},
        "* of ListInstanceProfileTags",
        "gaps.tags_not_in_files",
        {
            "what": {"message": "gaps.absent.tags", "kind": "instance-profile", "n": 2, "total": 2},
            "command": "`aws iam list-instance-profile-tags --instance-profile-name=NAME`",
        },
    ),
    "role tags that are not in the files": (
        {"r.json": ROLES},
        "* of ListRoleTags",
        "gaps.not_in_files",
        {
            "what": {"message": "gaps.absent.tags", "kind": "role", "n": 1, "total": 1},
            "command": "`aws iam get-account-authorization-details --filter Role`",
        },
    ),
    "not in the files of a region": (
        {"r.json": ROLES},
        "* of DescribeInstances",
        "gaps.not_in_files",
        {
            "what": {"message": "gaps.absent.instances"},
            "command": {"message": "gaps.each_region", "command": "`aws ec2 describe-instances`"},
        },
    ),
    "a version": (
        {"r.json": ROLES, "g.json": PINNING},
        "lt-1:3",
        "gaps.absent.version",
        {
            "template": "lt-1",
            "version": "3",
            "command": "`aws ec2 describe-launch-template-versions --launch-template-id=lt-1 --versions=3`",
        },
    ),
    "two values": (
        {
            name: {"Roles": [nested_role("web", MaxSessionDuration=3600 * n)]}
            for n, name in ((1, "a.json"), (2, "b.json"))
        },
        WEB,
        "gaps.contradicted.cell",
        {
            "column": "max_session_seconds",
            "arn": WEB,
            "one": "3600",
            "origin": origin("ListRoles", "{in}/a.json"),
            "other": "7200",
            "other_origin": origin("ListRoles", "{in}/b.json"),
        },
    ),
    "two sets of tags": (
        {"a.json": described({"b": "2", "a": "1"}), "b.json": described({})},
        f"{ONE} of tags",
        "gaps.contradicted.tags",
        {
            "arn": ONE,
            "one": ["a=1", "b=2"],
            "origin": origin("GetInstanceProfile", "{in}/a.json"),
            "other": {"message": "list.none"},
            "other_origin": origin("GetInstanceProfile", "{in}/b.json"),
        },
    ),
    "held and not": (
        {"a.json": profile_list(profile("one")), "b.json": profile_list(profile("one", nested_role("web")))},
        f"{ONE} of GetInstanceProfile",
        "gaps.contradicted.holds",
        {
            "one": {"message": "gaps.contradicted.no_role"},
            "origin": origin("ListInstanceProfiles", "{in}/a.json"),
            "other": [WEB],
            "other_origin": origin("ListInstanceProfiles", "{in}/b.json"),
            "arn": ONE,
            "command": HOLDS_WEB,
        },
    ),
    "fewer than counted": (
        {
            "id.json": identity(),
            "p.json": profile_list(profile("one")),
            "s.json": {"SummaryMap": {"InstanceProfiles": 9}},
        },
        "* of ListInstanceProfiles",
        "gaps.contradicted.count",
        {"kind": "instance-profile", "count": 1, "expected": 9},
    ),
    "fewer than all files show": (
        {"a.json": profile_list(profile("one")), "b.json": {"InstanceProfile": profile("two")}},
        "ListInstanceProfiles in {in}/a.json",
        "gaps.contradicted.total",
        {"origin": origin("ListInstanceProfiles", "{in}/a.json"), "listed": 1, "total": 2, "live": False},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_gap_is_a_message_with_its_facts_as_json(tmp_path: Path, kind: str) -> None:
    documents, subject, message, facts = KINDS[kind]
    gaps = load(tmp_path, documents).gaps
    assert (gaps["message"].str.startswith("gaps.")).all()
    assert all(isinstance(json.loads(facts), dict) for facts in gaps["facts"])
    assert (gaps["detail"].str.len() > 20).all()
    subject, _, operation = subject.replace("{in}", str(tmp_path)).partition(" of ")
    gaps = gaps[(gaps["subject"] == subject) & gaps["operation"].str.endswith(operation) & (gaps["message"] == message)]
    (told,) = gaps["facts"]
    assert json.loads(told) == json.loads(json.dumps(facts).replace("{in}", str(tmp_path)))


def test_details_are_rendered_in_another_language_and_one_without_a_message_keeps_its_own(tmp_path: Path) -> None:
    gaps = load(tmp_path, {"r.json": {"Roles": [nested_role("web", policy="nonsense")]}}).gaps
    gaps = gaps[gaps["operation"] == "GetRole"]
    old = gaps.assign(message="", facts="{}", detail="as it was said")
    japanese = f"{WEB} の信頼ポリシーはポリシードキュメントではないため、何を信頼しているか不明です"
    assert with_details(pd.concat([gaps, old]), "ja")["detail"].tolist() == [japanese, "as it was said"]
    assert with_details(schema.GAPS.empty(), "ja").dtypes.equals(schema.GAPS.empty().dtypes)

"""Profiles and roles that have lost their other half, what names them, and accounts that run full."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from builders import ACCOUNT, dump, identity, load, nested_role, profile, profile_list, role_detail, trust
from checking import HOSTILE, covered, found, rows
from shapes import id_of
from terraform import state_of_profile

from iamframe import run_checks

OTHER = "000000000002"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/"
PROFILE_ARN = f"arn:aws:iam::{ACCOUNT}:instance-profile/"


def linked(name: str, role: str | None = None, **more: Any) -> dict[str, Any]:
    return profile(name, nested_role(role or name), **({"InstanceProfileId": id_of(name)} | more))


def options(step: str) -> list[str]:
    """The words of a command that a shell would hand over, after the program, the service and the verb."""
    return shlex.split(step)[3:]


# Empty profiles


def test_a_profile_without_a_role_is_empty(tmp_path: Path) -> None:
    documents = {"p.json": profile_list(profile("old", path="/team/"), linked("web"))}
    (row,) = rows(tmp_path, documents, "empty_profiles")
    assert (row["resource_arn"], row["related_arn"]) == (f"{PROFILE_ARN}team/old", None)
    assert (row["resource_name"], row["resource_type"], row["account_id"]) == ("old", "instance-profile", ACCOUNT)
    assert (row["severity"], row["certainty"], row["expected"], row["accepted"]) == ("medium", "certain", False, None)
    assert (row["detail"], row["relation"], row["maker"]) == ("holds no role", None, None)
    assert row["next_step"] == "aws iam delete-instance-profile --instance-profile-name=old"


def test_deleting_an_empty_profile_that_an_instance_uses_is_not_suggested(tmp_path: Path) -> None:
    instance = {"InstanceId": "i-1", "State": {"Name": "running"}, "IamInstanceProfile": {"Arn": f"{PROFILE_ARN}busy"}}
    reservations = {"Reservations": [{"OwnerId": ACCOUNT, "Instances": [instance]}]}
    documents = {"p.json": profile_list(profile("busy"), profile("old")), "eu-west-1/i.json": reservations}
    steps = {row["resource_name"]: row for row in rows(tmp_path, documents, "empty_profiles")}
    assert steps["busy"]["next_step"] == "aws iam get-instance-profile --instance-profile-name=busy"
    assert steps["old"]["next_step"] == "aws iam delete-instance-profile --instance-profile-name=old"
    assert {name: row["next_step_changes"] for name, row in steps.items()} == {"busy": False, "old": True}


def test_deleting_an_empty_profile_that_a_template_names_with_another_path_is_not_suggested(tmp_path: Path) -> None:
    documents = core(
        versions=[template("", LaunchTemplateData={"IamInstanceProfile": {"Arn": f"{PROFILE_ARN}busy"}})]
    ) | profiles(profile("busy", path="/team/"))
    (row,) = rows(tmp_path, documents, "empty_profiles")
    assert row["next_step"] == "aws iam get-instance-profile --instance-profile-name=busy"


def test_deleting_a_profile_that_may_still_get_its_role_is_not_suggested(tmp_path: Path) -> None:
    now = pd.Timestamp.now("UTC")
    ages = {"old": now - pd.Timedelta(hours=25), "new": now - pd.Timedelta(hours=23)}
    made = [profile(name, CreateDate=created.isoformat()) for name, created in ages.items()]
    timeless = {key: value for key, value in profile("timeless").items() if key != "CreateDate"}
    found = {
        row["resource_name"]: row for row in rows(tmp_path, {"p.json": profile_list(*made, timeless)}, "empty_profiles")
    }
    assert {name: row["next_step_changes"] for name, row in found.items()} == {
        "old": True,
        "new": False,
        "timeless": False,
    }
    assert found["new"]["next_step"] == "aws iam get-instance-profile --instance-profile-name=new"
    assert "(the profile was less than a day old when the data was collected)" in found["new"]["detail"]
    assert found["timeless"]["detail"] == "holds no role"


def test_an_empty_profile_tells_who_made_it(tmp_path: Path) -> None:
    name = "eks-08c968da-2d88-0096-4c82-1ee57490a6af"
    (row,) = rows(tmp_path, {"p.json": profile_list(profile(name))}, "empty_profiles")
    assert (row["maker"], row["severity"]) == ("EKS managed node groups", "medium")


def test_a_profile_whose_role_was_not_read_is_not_called_empty(tmp_path: Path) -> None:
    bare = {key: value for key, value in profile("web").items() if key != "Roles"}
    documents = {"p.json": profile_list(bare)}
    assert found(tmp_path, documents, "empty_profiles") == []
    status, reason = covered(tmp_path, documents, "empty_profiles")
    assert status == "unknown"
    assert reason.startswith("the role is unknown for 1 of 1 profile")


def test_a_profile_that_holds_a_role_which_no_source_shows_is_not_empty(tmp_path: Path) -> None:
    assert found(tmp_path, {"s.tfstate": state_of_profile()}, "empty_profiles") == []


@pytest.mark.parametrize(
    ("documents", "status", "says"),
    [
        ({"p.json": profile_list(linked("web"))}, "complete", ""),
        (
            {"d.json": dump(role_detail("web", [profile("web")]))},
            "unknown",
            "to list all profiles, including empty ones, run `aws iam list-instance-profiles`",
        ),
        (
            {"p.json": profile_list(linked("web"), NextToken="x")},
            "partial",
            "1 profile was collected, and there may be",
        ),
        (
            {"p.json": {"InstanceProfile": linked("web")}},
            "unknown",
            "profiles without a role were not collected",
        ),
    ],
)
def test_only_a_whole_profile_list_shows_that_none_is_empty(
    tmp_path: Path, documents: dict[str, Any], status: str, says: str
) -> None:
    assert found(tmp_path, documents, "empty_profiles") == []
    said = covered(tmp_path, documents, "empty_profiles")
    assert said[0] == status
    assert says in said[1]
    assert bool(said[1]) == (status != "complete")


def test_a_refusal_is_told_as_the_reason(tmp_path: Path) -> None:
    documents = {
        f"{ACCOUNT}/d.json": dump(role_detail("web", [profile("web")])),
        f"{ACCOUNT}/denied.csv": "operation,subject,error_code\nListInstanceProfiles,,AccessDenied\n",
    }
    assert "(ListInstanceProfiles was denied)" in covered(tmp_path, documents, "empty_profiles")[1]


def test_the_next_step_hands_over_a_hostile_name_as_one_word(tmp_path: Path) -> None:
    empty = rows(tmp_path, {"p.json": profile_list(*map(profile, HOSTILE))}, "empty_profiles")
    steps = {row["resource_name"]: shlex.split(row["next_step"]) for row in empty}
    delete = ["aws", "iam", "delete-instance-profile"]
    assert steps == {name: [*delete, f"--instance-profile-name={name}"] for name in HOSTILE}


# What refers to profiles


def instance(
    name: str = "web", profile_id: str | None = None, state: str = "running", id: str = "i-1"
) -> dict[str, Any]:
    return {
        "InstanceId": id,
        "State": {"Name": state},
        "Placement": {"AvailabilityZone": "eu-west-1a"},
        "IamInstanceProfile": {"Arn": PROFILE_ARN + name, "Id": profile_id or id_of(name)},
    }


def template(named: str, version: int = 1, id: str = "lt-1", **more: Any) -> dict[str, Any]:
    data = {"IamInstanceProfile": {"Name": named}}
    return {"LaunchTemplateId": id, "VersionNumber": version, "LaunchTemplateData": data} | more


def core(
    instances: list[dict[str, Any]] | None = None,
    versions: list[dict[str, Any]] | None = None,
    configurations: list[dict[str, Any]] | None = None,
    groups: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """The four core answers of one region, and its account."""
    return {
        f"{ACCOUNT}/eu-west-1/i.json": {"Reservations": [{"OwnerId": ACCOUNT, "Instances": instances or []}]},
        f"{ACCOUNT}/eu-west-1/v.json": {"LaunchTemplateVersions": versions or []},
        f"{ACCOUNT}/eu-west-1/c.json": {"LaunchConfigurations": configurations or []},
        f"{ACCOUNT}/eu-west-1/g.json": {"AutoScalingGroups": groups or []},
    }


def profiles(*listed: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {f"{ACCOUNT}/p.json": profile_list(*listed, **more)}


def test_a_profile_that_nothing_names_is_unreferenced_maybe(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, core([instance("web")]) | profiles(linked("web"), linked("old")), "unreferenced_profiles")
    assert (row["resource_arn"], row["related_arn"]) == (f"{PROFILE_ARN}old", f"{ROLE_ARN}old")
    assert (row["severity"], row["certainty"]) == ("medium", "maybe")
    assert "only eu-west-1, so other regions are unknown" in row["detail"]
    assert options(row["next_step"]) == [f"--filters=Name=iam-instance-profile.arn,Values={PROFILE_ARN}old"]


@pytest.mark.parametrize(
    "documents",
    [
        core([instance("web")]),
        core([instance("web", state="stopped")]),
        core(versions=[template("web")]),
        core(versions=[template("WEB")]),
        core(configurations=[{"LaunchConfigurationName": "c", "IamInstanceProfile": "web"}]),
        core(configurations=[{"LaunchConfigurationName": "c", "IamInstanceProfile": PROFILE_ARN + "web"}]),
    ],
)
def test_a_profile_that_something_names_is_not_unreferenced(tmp_path: Path, documents: dict[str, Any]) -> None:
    assert found(tmp_path, documents | profiles(linked("web")), "unreferenced_profiles") == []


def test_a_terminated_instance_names_no_profile(tmp_path: Path) -> None:
    documents = core([instance("web", state="terminated")]) | profiles(linked("web"))
    assert found(tmp_path, documents, "unreferenced_profiles") == [f"{PROFILE_ARN}web"]


def test_an_empty_profile_counts_once_as_empty(tmp_path: Path) -> None:
    assert found(tmp_path, core() | profiles(profile("old")), "unreferenced_profiles") == []


@pytest.mark.parametrize("unread", ["i", "v", "c", "g"])
def test_without_one_core_consumer_no_profile_is_called_unreferenced(tmp_path: Path, unread: str) -> None:
    documents = core() | profiles(linked("old"))
    del documents[f"{ACCOUNT}/eu-west-1/{unread}.json"]
    assert found(tmp_path, documents, "unreferenced_profiles") == []
    status, reason = covered(tmp_path, documents, "unreferenced_profiles")
    assert status == "unknown"
    assert re.match(
        r"references to profiles may be missing, because data of these operations is missing or incomplete: "
        r"Describe\w+ \(in all regions\)",
        reason,
    )


def test_references_of_another_account_do_not_speak_for_this_one(tmp_path: Path) -> None:
    documents = core() | profiles(linked("old"))
    documents |= {f"{OTHER}/p.json": profile_list(profile("x", nested_role("x", account=OTHER), account=OTHER))}
    assert found(tmp_path, documents, "unreferenced_profiles") == [f"{PROFILE_ARN}old"]


def test_unreferenced_profiles_are_partial_from_files(tmp_path: Path) -> None:
    status, reason = covered(tmp_path, core() | profiles(linked("old")), "unreferenced_profiles")
    assert status == "partial"
    assert reason.startswith("the loaded files cover only eu-west-1, so")


def test_the_filter_does_not_break_a_name_at_its_comma(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, core() | profiles(linked("a,b")), "unreferenced_profiles")
    (word,) = options(row["next_step"])
    # The CLI's shorthand takes a bare comma for the end of the value.
    assert not word.endswith(f"Values={PROFILE_ARN}a,b")
    assert f"{PROFILE_ARN}a,b" in word


def test_the_filter_hands_over_a_hostile_arn_in_one_word(tmp_path: Path) -> None:
    unused = rows(tmp_path, core() | profiles(*map(linked, HOSTILE)), "unreferenced_profiles")
    assert [len(options(row["next_step"])) for row in unused] == [1] * len(HOSTILE)


def test_an_instance_of_a_profile_that_was_made_anew_is_stale(tmp_path: Path) -> None:
    documents = core([instance("web", id_of("before"), id="i-9")]) | profiles(linked("web"))
    (row,) = rows(tmp_path, documents, "stale_references")
    assert row["resource_arn"] == f"arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/i-9"
    assert (row["related_arn"], row["account_id"]) == (f"{PROFILE_ARN}web", ACCOUNT)
    assert (row["resource_type"], row["resource_name"], row["severity"]) == ("instance", "i-9", "high")
    current = f"a new profile named 'web' has the id {id_of('web')}"
    assert row["detail"] == f"still uses the deleted profile {id_of('before')}; {current}"
    assert options(row["next_step"]) == ["--filters=Name=instance-id,Values=i-9", "--region=eu-west-1"]


def test_an_instance_with_the_id_of_today_is_not_stale(tmp_path: Path) -> None:
    documents = core([instance("web"), instance("api")]) | profiles(linked("web"), linked("api"))
    assert found(tmp_path, documents, "stale_references") == []


def test_each_stale_instance_is_told_with_its_own_ids(tmp_path: Path) -> None:
    instances = [
        instance("web", id_of("old1"), id="i-1"),
        instance("api", id="i-2"),
        instance("gone", id="i-3"),
        instance("api", id_of("old2"), id="i-4"),
    ]
    documents = core(instances) | profiles(linked("web"), linked("api"))
    details = {row["resource_name"]: row["detail"] for row in rows(tmp_path, documents, "stale_references")}

    def anew(name: str, before: str) -> str:
        current = f"a new profile named '{name}' has the id {id_of(name)}"
        return f"still uses the deleted profile {id_of(before)}; {current}"

    assert details == {
        "i-1": anew("web", "old1"),
        "i-3": f"uses the profile {PROFILE_ARN}gone, which does not exist",
        "i-4": anew("api", "old2"),
    }


@pytest.mark.parametrize(
    ("documents", "kind", "name"),
    [
        (core(versions=[template("gone", LaunchTemplateName="app")]), "launch-template", "app"),
        (core(configurations=[{"LaunchConfigurationName": "c", "IamInstanceProfile": "gone"}]),
         "launch-configuration", "c"),
    ],
)  # fmt: skip
def test_what_names_a_profile_that_is_gone_is_stale(
    tmp_path: Path, documents: dict[str, Any], kind: str, name: str
) -> None:
    (row,) = rows(tmp_path, documents | profiles(linked("web")), "stale_references")
    assert (row["resource_type"], row["resource_name"], row["related_arn"]) == (kind, name, None)
    assert row["detail"] == "uses the profile gone, which does not exist"


@pytest.mark.parametrize(
    ("listed", "status"), [({}, "unknown"), (profiles(linked("web"), NextToken="x"), "partial")], ids=["none", "a part"]
)
def test_without_a_whole_profile_list_no_profile_is_called_gone(
    tmp_path: Path, listed: dict[str, Any], status: str
) -> None:
    documents = core([instance("gone")], [template("gone")]) | listed
    assert found(tmp_path, documents, "stale_references") == []
    told = covered(tmp_path, documents, "stale_references")
    assert told[0] == status
    assert "`aws iam list-instance-profiles`" in told[1]


def test_stale_references_are_unknown_when_nothing_that_names_profiles_was_read(tmp_path: Path) -> None:
    status, reason = covered(tmp_path, profiles(linked("web")), "stale_references")
    assert status == "unknown"
    assert "describe-instances" in reason


def test_an_association_is_stale_unless_its_instance_speaks_for_itself(tmp_path: Path) -> None:
    association = {
        "AssociationId": "iip-assoc-1",
        "InstanceId": "i-1",
        "State": "associated",
        "IamInstanceProfile": {"Arn": f"{PROFILE_ARN}web", "Id": id_of("before")},
    }
    alone = {f"{ACCOUNT}/eu-west-1/a.json": {"IamInstanceProfileAssociations": [association]}}
    (row,) = rows(tmp_path / "alone", alone | profiles(linked("web")), "stale_references")
    assert (row["resource_type"], row["resource_name"]) == ("association", "i-1")
    assert options(row["next_step"]) == ["--filters=Name=instance-id,Values=i-1", "--region=eu-west-1"]
    both = core([instance("web", id_of("before"))]) | alone | profiles(linked("web"))
    (row,) = rows(tmp_path / "both", both, "stale_references")
    assert row["resource_type"] == "instance"


def test_a_template_that_names_two_profiles_which_are_gone_tells_both(tmp_path: Path) -> None:
    documents = core(versions=[template("gone-a", 1), template("gone-b", 2)]) | profiles(linked("web"))
    details = " ".join(row["detail"] for row in rows(tmp_path, documents, "stale_references"))
    assert "gone-a" in details
    assert "gone-b" in details


def test_the_next_step_of_a_template_shows_the_version_that_is_stale_even_if_it_is_an_old_one(tmp_path: Path) -> None:
    versions = [template("gone", 1), template("web", 2, DefaultVersion=True)]
    (row,) = rows(tmp_path, core(versions=versions) | profiles(linked("web")), "stale_references")
    # Without `--versions`, the CLI prints all versions.
    assert options(row["next_step"]) == ["--launch-template-id=lt-1", "--region=eu-west-1"]


def test_a_template_whose_profile_has_an_empty_name_names_none(tmp_path: Path) -> None:
    documents = core(versions=[template("")]) | profiles(linked("web"))
    assert found(tmp_path, documents, "stale_references") == []


def test_the_next_step_of_a_configuration_hands_over_a_hostile_name_as_one_word(tmp_path: Path) -> None:
    hostile = {"LaunchConfigurationName": "-x '$(rm -rf)\"", "IamInstanceProfile": "gone"}
    (row,) = rows(tmp_path, core(configurations=[hostile]) | profiles(linked("web")), "stale_references")
    assert options(row["next_step"]) == ["--launch-configuration-names=-x '$(rm -rf)\"", "--region=eu-west-1"]


# What an orphan may do

AWS_POLICY = "arn:aws:iam::aws:policy/"
# Each role: what is attached to it, how many inline policies it has, and the power that this gives; None is unknown.
POLICIES: dict[str, tuple[tuple[str, ...] | None, int | None, str | None]] = {
    "admin": ((f"{AWS_POLICY}AdministratorAccess", f"{AWS_POLICY}ReadOnlyAccess"), 1, "administrator"),
    "bare": ((), 0, None),
    "china": (("arn:aws-cn:iam::aws:policy/AdministratorAccess",), 0, "administrator"),
    "iam": ((f"{AWS_POLICY}IAMFullAccess",), 0, "iam_administrator"),
    # A customer's policy, and another one of AWS, that only look like it.
    "look": (
        (f"arn:aws:iam::{ACCOUNT}:policy/AdministratorAccess", f"{AWS_POLICY}job-function/ViewOnlyAccess"),
        2,
        None,
    ),
    "power": ((f"{AWS_POLICY}PowerUserAccess",), 0, "power_user"),
    "unread": (None, None, None),
}
FIRST = ["admin", "china", "iam", "power"]


def with_policies(*, held: bool) -> dict[str, Any]:
    """Roles with these policies, in profiles of their names or in none; the dump does not show the last one."""
    read = {name: (arns, inline or 0) for name, (arns, inline, _) in POLICIES.items() if arns is not None}
    roles = [
        role_detail(n, [profile(n, InstanceProfileId=id_of(n))] if held else [], attached=arns, inline=i)
        for n, (arns, i) in read.items()
    ]
    documents = core() | {f"{ACCOUNT}/d.json": dump(*roles)}
    return documents | (profiles(*map(linked, POLICIES)) if held else {})


@pytest.mark.parametrize("check", ["unreferenced_profiles", "ec2_roles_without_profile"])
def test_what_an_orphan_s_role_may_do_is_a_fact_and_an_administrator_comes_first(tmp_path: Path, check: str) -> None:
    held = check == "unreferenced_profiles"
    result = run_checks(load(tmp_path, with_policies(held=held)), only=[check])
    facts = result[check].set_index("resource_name")
    expected = {name: one for name, one in POLICIES.items() if held or one[0] is not None}
    assert facts["attached_policies"].map(lambda text: None if pd.isna(text) else tuple(text.split())).to_dict() == {
        name: arns for name, (arns, _, _) in expected.items()
    }
    assert facts["inline_policy_count"].dropna().to_dict() == {
        n: i for n, (_, i, _) in expected.items() if i is not None
    }
    assert facts["power"].dropna().to_dict() == {name: power for name, (_, _, power) in expected.items() if power}
    order = FIRST + [name for name in expected if name not in FIRST]
    assert result.findings["resource_name"].tolist() == order
    assert facts.index[:4].tolist() == FIRST
    said = result.findings.set_index("resource_name")["detail"].str.partition("; ")[2]
    assert said["admin"] == (
        "the role has the AWS managed policies AdministratorAccess and ReadOnlyAccess and 1 inline policy; "
        "AdministratorAccess allows everything"
    )
    assert said["china"].endswith("AdministratorAccess; AdministratorAccess allows everything")
    assert said["iam"].endswith("; IAMFullAccess allows the role to give itself any permission")
    assert said["power"].endswith("; PowerUserAccess allows everything outside IAM, Organizations and account settings")
    assert said["look"].endswith(
        "the role has the AWS managed policy ViewOnlyAccess, the customer managed policy AdministratorAccess "
        "and 2 inline policies"
    )
    assert said["bare"] == "the role has no policies"
    assert not held or said["unread"] == "the role's policies were not collected"


def test_a_role_of_unknown_policies_is_never_one_without(tmp_path: Path) -> None:
    """The keys are not in the dump, an attached policy has no ARN, or only one of the two lists is there."""
    for number, change in enumerate(
        ({}, {"AttachedManagedPolicies": [{"PolicyName": "x"}], "RolePolicyList": []}, {"AttachedManagedPolicies": []})
    ):
        detail = role_detail("blue")
        del detail["AttachedManagedPolicies"], detail["RolePolicyList"]
        (row,) = rows(tmp_path / str(number), {"d.json": dump(detail | change)}, "ec2_roles_without_profile")
        assert row["detail"].endswith("the role's policies were not collected")


# Roles without a profile


def test_a_role_that_trusts_ec2_and_is_in_no_profile_is_found(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, {"d.json": dump(role_detail("blue", path="/team/"))}, "ec2_roles_without_profile")
    assert (row["resource_arn"], row["resource_type"], row["related_arn"]) == (f"{ROLE_ARN}team/blue", "role", None)
    assert (row["severity"], row["detail"]) == (
        "low",
        "trusts EC2 and is in no instance profile; the role has no policies",
    )
    assert row["next_step"] == "aws iam list-instance-profiles-for-role --role-name=blue"


@pytest.mark.parametrize(
    "documents",
    [
        {"d.json": dump(role_detail("web", [profile("web")]))},
        {"d.json": dump(role_detail("etl", policy=trust("lambda.amazonaws.com")))},
        {"r.json": {"Roles": [nested_role("blue")]}},
        {"d.json": dump(role_detail("blue")), "p.json": profile_list(linked("x", "blue"))},
    ],
)
def test_a_role_in_a_profile_or_without_ec2s_trust_or_of_unknown_profiles_is_not(
    tmp_path: Path, documents: dict[str, Any]
) -> None:
    assert found(tmp_path, documents, "ec2_roles_without_profile") == []


@pytest.mark.parametrize(
    ("documents", "status", "says"),
    [
        ({"d.json": dump(role_detail("blue"))}, "complete", ""),
        ({"r.json": {"Roles": [nested_role("blue")]}}, "unknown", "the profiles of 1 of 1 role are unknown"),
        ({"d.json": dump(role_detail("blue"), IsTruncated=True)}, "partial", "1 role was collected"),
        (
            {"d.json": dump(role_detail("blue", policy="<JSON>"))},
            "unknown",
            "trust policies are unknown for 1 of 1 role",
        ),
        (
            {"p.json": profile_list(linked("web"))},
            "unknown",
            "roles without a profile were not collected",
        ),
    ],
)
def test_roles_without_a_profile_need_roles_their_profiles_and_their_trust(
    tmp_path: Path, documents: dict[str, Any], status: str, says: str
) -> None:
    said = covered(tmp_path, documents, "ec2_roles_without_profile")
    assert said[0] == status
    assert says in said[1]
    assert bool(said[1]) == (status != "complete")


# Roles in many profiles


def test_a_role_in_two_profiles_is_found_once(tmp_path: Path) -> None:
    documents = {"p.json": profile_list(linked("b", "shared"), linked("a", "shared"), linked("web"))}
    (row,) = rows(tmp_path, documents, "roles_in_many_profiles")
    assert (row["resource_arn"], row["resource_name"], row["resource_type"]) == (f"{ROLE_ARN}shared", "shared", "role")
    assert (row["severity"], row["detail"]) == ("low", "is in 2 profiles: a, b")
    assert row["next_step"] == "aws iam list-instance-profiles-for-role --role-name=shared"


def test_roles_in_one_profile_each_are_not(tmp_path: Path) -> None:
    documents = {"p.json": profile_list(linked("a"), linked("b"), profile("empty"))}
    assert found(tmp_path, documents, "roles_in_many_profiles") == []
    assert covered(tmp_path, documents, "roles_in_many_profiles") == ("complete", "")


def test_roles_of_one_name_in_two_accounts_are_two_roles(tmp_path: Path) -> None:
    documents = {f"{account}/s.tfstate": state_of_profile(account=account) for account in (ACCOUNT, OTHER)}
    assert found(tmp_path, documents, "roles_in_many_profiles") == []


def test_links_are_partial_while_not_all_were_read(tmp_path: Path) -> None:
    status, reason = covered(tmp_path, {"s.tfstate": state_of_profile()}, "roles_in_many_profiles")
    assert status == "partial"
    assert "`aws iam list-instance-profiles`" in reason
    assert covered(tmp_path / "r", {"r.json": {"Roles": [nested_role("a")]}}, "roles_in_many_profiles")[0] == "unknown"


# Quotas


def summary(**counts: int) -> dict[str, Any]:
    """An account summary, and whose it is."""
    return {f"{ACCOUNT}/i.json": identity(), f"{ACCOUNT}/s.json": {"SummaryMap": counts}}


def test_an_account_at_80_percent_of_its_profiles_is_full(tmp_path: Path) -> None:
    documents = summary(Roles=799, RolesQuota=1000, InstanceProfiles=800, InstanceProfilesQuota=1000)
    (row,) = rows(tmp_path, documents, "quota_pressure")
    assert (row["resource_arn"], row["resource_type"]) == (f"arn:aws:iam::{ACCOUNT}:root", "account")
    assert (row["severity"], row["detail"]) == (
        "high",
        "the account has 800 instance profiles (80% of its quota of 1,000)",
    )
    assert row["next_step"] == "aws iam get-account-summary"


def test_one_row_tells_both_quotas(tmp_path: Path) -> None:
    documents = summary(Roles=10, RolesQuota=10, InstanceProfiles=9, InstanceProfilesQuota=10)
    (row,) = rows(tmp_path, documents, "quota_pressure")
    assert row["detail"] == (
        "the account has 10 roles (100% of its quota of 10); "
        "the account has 9 instance profiles (90% of its quota of 10)"
    )


def test_an_account_that_is_not_full_yet_is_not_said_to_be_at_100_percent(tmp_path: Path) -> None:
    documents = summary(Roles=999, RolesQuota=1000, InstanceProfiles=0, InstanceProfilesQuota=1000)
    (row,) = rows(tmp_path, documents, "quota_pressure")
    assert row["detail"] == "the account has 999 roles (99% of its quota of 1,000)"


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        ({"Roles": 79, "RolesQuota": 100, "InstanceProfiles": 0, "InstanceProfilesQuota": 100}, "complete"),
        ({"Roles": 79, "RolesQuota": 100}, "partial"),
        ({"Roles": 100}, "unknown"),
        ({"RolesQuota": 0, "Roles": 5, "InstanceProfiles": 1, "InstanceProfilesQuota": 0}, "complete"),
    ],
)
def test_an_account_below_or_of_unknown_quotas_is_not_full(tmp_path: Path, counts: dict[str, int], status: str) -> None:
    documents = summary(**counts)
    assert found(tmp_path, documents, "quota_pressure") == []
    said = covered(tmp_path, documents, "quota_pressure")
    assert said[0] == status
    assert ("`aws iam get-account-summary`" in said[1]) == (status != "complete")

"""Whose a file is: the account of each row, and that nothing is guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from builders import (
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
    zipped,
)
from terraform import state_of_profile

from iamframe.inventory.inventory import Inventory
from iamframe.inventory.load import load_files

ONE, TWO = "000000000001", "000000000002"
SUMMARY = {"SummaryMap": {"RolesQuota": 1000}}
TAGS = {"Tags": tag_list({"owner": "ops"})}
BOTH = profile_list(profile("web", account=ONE), profile("web", account=TWO))
VERSIONS = {
    "LaunchTemplateVersions": [
        {
            "LaunchTemplateId": "lt-1",
            "VersionNumber": 1,
            "DefaultVersion": True,
            "LaunchTemplateData": {"IamInstanceProfile": {"Name": "web"}},
        }
    ]
}


def quotas(inventory: Inventory) -> dict[str, int]:
    """Return the role quota of each account that has one."""
    known = inventory.accounts.dropna(subset="role_quota")
    return dict(zip(known["account_id"], known["role_quota"], strict=True))


def tagged(inventory: Inventory) -> list[tuple[str, str]]:
    """Return account and ARN of each tag."""
    return list(zip(inventory.tags["account_id"], inventory.tags["resource_arn"], strict=True))


def gaps_of(inventory: Inventory, reason: str) -> list[tuple[str, str, str]]:
    """Return account, operation and subject of the gaps of one reason."""
    gaps = inventory.gaps[inventory.gaps["reason"] == reason]
    return list(zip(gaps["account_id"], gaps["operation"], gaps["subject"], strict=True))


# The ARN says it


@pytest.mark.parametrize("account", ["123456789012", "XXXXXXXXXXXX", "1234", "000000000001", "<account>"])
def test_the_account_is_the_fifth_field_of_the_arn_as_text(tmp_path: Path, account: str) -> None:
    inventory = load(
        tmp_path, {"dump.json": dump(role_detail("web", [profile("p", account=account)], account=account))}
    )
    assert list(inventory.roles["account_id"]) == [account]
    assert list(inventory.profiles["account_id"]) == [account]
    assert list(inventory.links["account_id"]) == [account]
    assert list(inventory.accounts["account_id"]) == [account]


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_the_partition_is_the_second_field_of_the_arn(tmp_path: Path, partition: str) -> None:
    role = nested_role("web") | {"Arn": f"arn:{partition}:iam::{ONE}:role/web"}
    assert list(load(tmp_path, {"roles.json": {"Roles": [role]}}).accounts["partition"]) == [partition]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/a:b/", "web"),
        ("/a:b:c:d:e:f/", "web"),
        ("/arn:aws:iam::9:role/", "web"),
        ("/!\"#$%&'()*+,-.:;<=>?@[]^_`{|}~/", "w"),
    ],
)
def test_a_path_may_hold_a_colon(tmp_path: Path, path: str, name: str) -> None:
    role = {"Arn": f"arn:aws:iam::{ONE}:role{path}{name}"}
    roles = load(tmp_path, {"roles.json": {"Roles": [role]}}).roles
    assert roles[["account_id", "role_path", "role_name"]].values.tolist() == [[ONE, path, name]]


def test_the_arn_counts_and_not_the_folder(tmp_path: Path) -> None:
    inventory = load(tmp_path, {f"{TWO}/roles.json": {"Roles": [nested_role("web", account=ONE)]}})
    assert list(inventory.roles["account_id"]) == [ONE]


@pytest.mark.parametrize("arn", ["role/web", "arn:aws:iam", "arn:aws:iam:::role/web", "web"])
def test_a_row_without_an_account_is_of_the_account_unknown(tmp_path: Path, arn: str) -> None:
    roles = load(tmp_path, {"roles.json": {"Roles": [{"Arn": arn, "RoleName": "web"}]}}).roles
    assert roles[["role_arn", "account_id", "role_name"]].values.tolist() == [[arn, "unknown", "web"]]


def test_the_account_is_unknown_in_every_frame_and_never_missing(tmp_path: Path) -> None:
    held = {"address": "aws_iam_instance_profile.p", "mode": "managed", "type": "aws_iam_instance_profile"}
    values = {"name": "p", "path": "/", "role": "web", "tags_all": {"owner": "ops"}}
    plan = {"format_version": "1.2", "planned_values": {"root_module": {"resources": [held | {"values": values}]}}}
    inventory = load(tmp_path, {"plan.json": plan, "versions.json": VERSIONS})
    accounts = {name: set(frame["account_id"]) for name, frame in inventory.frames.items() if len(frame)}
    names = ["accounts", "profiles", "links", "tags", "references", "gaps", "calls"]
    assert accounts == {name: {"unknown"} for name in names}


def test_a_row_without_an_account_is_of_the_folders_account(tmp_path: Path) -> None:
    inventory = load(tmp_path, {f"{ONE}/roles.json": {"Roles": [{"Arn": "role/web", "RoleName": "web"}]}})
    assert list(inventory.roles["account_id"]) == [ONE]


# The folder says it


@pytest.mark.parametrize(
    "caller",
    [
        identity(ONE),
        {"status_code": 200, "data": identity(ONE)},
        {"UserId": "AIDAEXAMPLE", "Account": ONE},
        identity(ONE) | profile_list(profile("web", Description="x" * 5_000, account=ONE)),
    ],
    ids=["alone", "wrapped by a recorder", "without its ARN", "merged with a long answer"],
)
def test_a_summary_belongs_to_the_caller_in_the_same_folder(tmp_path: Path, caller: dict[str, Any]) -> None:
    inventory = load(tmp_path, {"caller.json": caller, "summary.json": SUMMARY})
    assert quotas(inventory) == {ONE: 1000}
    assert gaps_of(inventory, "unreadable") == []


@pytest.mark.parametrize("names", [("a.json", "b.json"), ("b.json", "a.json")])
def test_the_caller_counts_whichever_file_is_read_first(tmp_path: Path, names: tuple[str, str]) -> None:
    inventory = load(tmp_path, {names[0]: identity(ONE), names[1]: SUMMARY})
    assert quotas(inventory) == {ONE: 1000}


@pytest.mark.parametrize("place", ["", "us-east-1/"])
def test_one_caller_beside_answers_of_another_account_leaves_a_file_that_shows_no_account_to_neither(
    tmp_path: Path, place: str
) -> None:
    documents = {
        "identity.json": identity(ONE),
        "roles.json": {"Roles": [nested_role("web", account=ONE)]},
        "other-roles.json": {"Roles": [nested_role("web", account=TWO)]},
        f"{place}summary.json": SUMMARY,
        f"{place}other-profiles.json": profile_list(),
    }
    inventory = load(tmp_path, documents)
    assert quotas(inventory) == {}
    assert "ListInstanceProfiles" not in set(inventory.calls["operation"])
    unplaced = [("unknown", "GetAccountSummary"), ("unknown", "ListInstanceProfiles")]
    assert sorted(gap[:2] for gap in gaps_of(inventory, "unreadable")) == unplaced


def test_the_caller_in_the_folder_counts_before_its_12_digits(tmp_path: Path) -> None:
    inventory = load(tmp_path, {f"{TWO}/identity.json": identity(ONE), f"{TWO}/summary.json": SUMMARY})
    assert quotas(inventory) == {ONE: 1000}


def test_the_caller_counts_beside_a_terraform_state_of_another_account(tmp_path: Path) -> None:
    role = {"arn": f"arn:aws:iam::{TWO}:role/web", "name": "web"}
    resource = {"mode": "managed", "type": "aws_iam_role", "name": "web", "instances": [{"attributes": role}]}
    state = {"version": 4, "lineage": "a", "resources": [resource]}
    documents = {"identity.json": identity(ONE), "terraform.tfstate": state, "summary.json": SUMMARY}
    assert quotas(load(tmp_path, documents)) == {ONE: 1000}


@pytest.mark.parametrize("shown", ["identity.json", "roles.json"])
def test_a_folder_beneath_that_of_an_account_is_another_accounts_unless_it_is_a_regions_or_a_services(
    tmp_path: Path, shown: str
) -> None:
    document = identity(ONE) if shown == "identity.json" else {"Roles": [nested_role("web", account=ONE)]}
    inventory = load(tmp_path, {f"a/{shown}": document, "a/dev/profiles.json": profile_list(), "a/iam/s.json": SUMMARY})
    assert quotas(inventory) == {ONE: 1000}
    assert "ListInstanceProfiles" not in set(inventory.calls["operation"])
    assert [gap[:2] for gap in gaps_of(inventory, "unreadable")] == [("unknown", "ListInstanceProfiles")]


@pytest.mark.parametrize("folder", ["for-role", "list-instance-profiles-for-role", "get-role", "eu-west-1/ec2"])
def test_a_folder_of_one_commands_output_as_the_collect_script_makes_it_is_of_the_account_above(
    tmp_path: Path, folder: str
) -> None:
    documents = {"identity.json": identity(ONE), f"{folder}/for-role-web.json": profile_list()}
    inventory = load(tmp_path, documents)
    assert gaps_of(inventory, "unreadable") == []
    assert "ListInstanceProfilesForRole" in set(inventory.calls["operation"])


def test_the_caller_of_a_folder_above_does_not_count_before_the_12_digits_of_the_file(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"identity.json": identity(ONE), f"{TWO}/summary.json": SUMMARY})
    assert quotas(inventory) == {TWO: 1000}


def test_each_caller_counts_in_its_own_folder(tmp_path: Path) -> None:
    documents = {
        "a/identity.json": identity(ONE),
        "a/summary.json": SUMMARY,
        "b/identity.json": identity(TWO),
        "b/summary.json": {"SummaryMap": {"RolesQuota": 5000}},
    }
    assert quotas(load(tmp_path, documents)) == {ONE: 1000, TWO: 5000}


@pytest.mark.parametrize("place", ["", "us-east-1/"])
def test_two_callers_in_one_folder_leave_a_file_that_shows_no_account_to_neither(tmp_path: Path, place: str) -> None:
    documents = {
        "dev-caller.json": identity(TWO),
        "dev-summary.json": {"SummaryMap": {"Roles": 990, "RolesQuota": 1000}},
        "prod-caller.json": identity(ONE),
        "prod-roles.json": {"Roles": [nested_role("web", account=ONE)]},
        f"{place}dev-profiles.json": profile_list(),
    }
    inventory = load(tmp_path, documents)
    assert quotas(inventory) == {}
    assert "ListInstanceProfiles" not in set(inventory.calls["operation"])
    unplaced = [("unknown", "GetAccountSummary"), ("unknown", "ListInstanceProfiles")]
    assert sorted(gap[:2] for gap in gaps_of(inventory, "unreadable")) == unplaced


def test_a_summary_belongs_to_the_folder_of_12_digits(tmp_path: Path) -> None:
    assert quotas(load(tmp_path, {f"{ONE}/summary.json": SUMMARY})) == {ONE: 1000}


def test_a_folder_of_12_digits_counts_beside_answers_of_its_account(tmp_path: Path) -> None:
    roles = {"Roles": [nested_role("web", account=TWO), nested_role("web", account=ONE)]}
    assert quotas(load(tmp_path, {f"{ONE}/roles.json": roles, f"{ONE}/summary.json": SUMMARY})) == {ONE: 1000}


@pytest.mark.parametrize(
    ("place", "owner"), [("202406011200", ONE), (f"{ONE}/202406011200", ONE), (f"{TWO}/202406011200", ONE)]
)
def test_a_folder_whose_12_digits_are_a_time_is_no_account(tmp_path: Path, place: str, owner: str) -> None:
    documents = {f"{place}/iam/roles.json": {"Roles": [nested_role("web", account=ONE)]}, f"{place}/s.json": SUMMARY}
    inventory = load(tmp_path, documents)
    assert quotas(inventory) == {owner: 1000}
    assert inventory.accounts["account_id"].tolist() == [owner]


def test_a_folder_of_12_digits_inside_an_archive_counts(tmp_path: Path) -> None:
    archive = zipped({f"export/{ONE}/summary.json": json.dumps(SUMMARY).encode()})
    assert quotas(load(tmp_path, {"export.zip": archive})) == {ONE: 1000}


@pytest.mark.parametrize("folder", ["00000000001", "0000000000001", "account-000000000001", "٠٠٠٠٠٠٠٠٠٠٠١"])
def test_a_folder_of_other_than_12_digits_says_nothing(tmp_path: Path, folder: str) -> None:
    documents = {f"{folder}/summary.json": SUMMARY, "a/roles.json": {"Roles": [nested_role("a", account=ONE)]}}
    documents["b/roles.json"] = {"Roles": [nested_role("b", account=TWO)]}
    assert quotas(load(tmp_path, documents)) == {}


@pytest.mark.parametrize(
    "shown",
    [
        {"Roles": [nested_role("web", account="1234")]},
        dump(role_detail("web", account="1234")),
        profile_list(profile("web", account="1234")),
        {"Role": nested_role("web", account="1234")},
        {"InstanceProfile": profile("web", account="1234")},
    ],
)
def test_a_summary_belongs_to_the_one_account_that_the_folders_arns_carry(
    tmp_path: Path, shown: dict[str, Any]
) -> None:
    assert quotas(load(tmp_path, {"z.json": shown, "summary.json": SUMMARY})) == {"1234": 1000}


@pytest.mark.parametrize("kind", ["instance-profile", "role"])
def test_tags_in_a_folder_of_their_own_find_their_account(tmp_path: Path, kind: str) -> None:
    documents = {}
    for folder, account in (("a", ONE), ("b", TWO)):
        documents[f"{folder}/profiles.json"] = profile_list(
            profile("web", nested_role("web", account=account), account=account)
        )
    documents[f"b/{kind}-tags/web.json"] = TAGS
    assert tagged(load(tmp_path, documents)) == [(TWO, f"arn:aws:iam::{TWO}:{kind}/web")]


def test_tags_of_two_accounts_stay_apart(tmp_path: Path) -> None:
    documents = {}
    for account in (ONE, TWO):
        documents[f"{account}/profiles.json"] = profile_list(profile("web", account=account))
        documents[f"{account}/instance-profile-tags/web.json"] = {"Tags": tag_list({"in": account})}
    tags = load(tmp_path, documents).tags
    assert dict(zip(tags["resource_arn"], tags["tag_value"], strict=True)) == {
        f"arn:aws:iam::{ONE}:instance-profile/web": ONE,
        f"arn:aws:iam::{TWO}:instance-profile/web": TWO,
    }


# Nothing is guessed


def test_tags_beside_several_accounts_are_a_gap_and_nobodys(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"profiles.json": BOTH, "instance-profile-tags/web.json": TAGS})
    assert tagged(inventory) == []
    assert list(inventory.profiles["tags_known"]) == [False, False]
    label = str(tmp_path / "instance-profile-tags" / "web.json")
    assert ("unknown", "ListInstanceProfileTags", label) in gaps_of(inventory, "unreadable")


def test_tags_beside_several_accounts_are_nobodys_even_where_one_alone_has_that_name(tmp_path: Path) -> None:
    both = profile_list(profile("web", account=ONE), profile("batch", account=TWO))
    inventory = load(tmp_path, {"profiles.json": both, "instance-profile-tags/web.json": TAGS})
    assert tagged(inventory) == []


def test_a_summary_beside_several_accounts_is_a_gap_and_nobodys(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"profiles.json": BOTH, "summary.json": SUMMARY})
    assert quotas(inventory) == {}
    assert ("unknown", "GetAccountSummary", str(tmp_path / "summary.json")) in gaps_of(inventory, "unreadable")


def test_an_empty_list_that_nobody_owns_makes_no_account_whole(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"profiles.json": BOTH, "groups.json": {"AutoScalingGroups": []}})
    calls = inventory.calls[inventory.calls["operation"] == "DescribeAutoScalingGroups"]
    assert set(calls["account_id"]) <= {"unknown"}
    assert ("unknown", "DescribeAutoScalingGroups", str(tmp_path / "groups.json")) in gaps_of(inventory, "unreadable")


def test_templates_beside_several_accounts_are_of_the_account_unknown_and_a_gap(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"profiles.json": BOTH, "versions.json": VERSIONS})
    assert list(inventory.references["account_id"]) == ["unknown"]
    assert list(inventory.references["profile_arn"].isna()) == [True]
    label = str(tmp_path / "versions.json")
    assert ("unknown", "DescribeLaunchTemplateVersions", label) in gaps_of(inventory, "unreadable")


@pytest.mark.parametrize(
    ("folder", "account"), [("prod", "unknown"), ("us-east-1", ONE), ("ec2", ONE), ("dev", ONE), ("dev/us-east-1", ONE)]
)
def test_a_folder_beside_that_of_an_account_is_another_accounts_unless_it_is_a_regions_or_a_services(
    tmp_path: Path, folder: str, account: str
) -> None:
    """A template that does not say whose it is."""
    documents = {"dev/profiles.json": profile_list(profile("web", account=ONE)), f"{folder}/versions.json": VERSIONS}
    assert load(tmp_path, documents).references["account_id"].tolist() == [account]


# Names


def test_a_profile_name_is_never_resolved_across_accounts(tmp_path: Path) -> None:
    documents = {f"{ONE}/versions.json": VERSIONS, f"{TWO}/profiles.json": profile_list(profile("web", account=TWO))}
    references = load(tmp_path, documents).references
    assert references["account_id"].tolist() == [ONE]
    assert references["profile_arn"].isna().tolist() == [True]


def test_a_role_name_is_never_resolved_across_accounts(tmp_path: Path) -> None:
    documents = {"x.tfstate": state_of_profile(account=ONE), "roles.json": {"Roles": [nested_role("web", account=TWO)]}}
    assert list(load(tmp_path, documents).links["role_arn"]) == ["name:web"]


def test_tags_are_never_resolved_across_accounts(tmp_path: Path) -> None:
    documents = {
        f"{ONE}/instance-profile-tags/web.json": TAGS,
        f"{TWO}/profiles.json": profile_list(profile("web", account=TWO)),
    }
    inventory = load(tmp_path, documents)
    assert tagged(inventory) == []
    assert (ONE, "ListInstanceProfileTags", "web") in gaps_of(inventory, "not_in_file")


@pytest.mark.parametrize("folder", ["role-tags", "instance-profile-tags"])
def test_tags_of_a_role_and_of_a_profile_of_one_name_stay_apart(tmp_path: Path, folder: str) -> None:
    documents = {"p.json": profile_list(profile("web", nested_role("web"))), f"{folder}/web.json": TAGS}
    kind = folder.removesuffix("-tags")
    assert tagged(load(tmp_path, documents)) == [(ONE, f"arn:aws:iam::{ONE}:{kind}/web")]


def test_names_are_resolved_without_case_and_whatever_the_path(tmp_path: Path) -> None:
    documents = {
        "profiles.json": profile_list(profile("WEB", path="/app/")),
        "versions.json": json.dumps(VERSIONS).replace('"web"', '"wEb"'),
        "instance-profile-tags/wEb.json": TAGS,
    }
    inventory = load(tmp_path, documents)
    arn = f"arn:aws:iam::{ONE}:instance-profile/app/WEB"
    assert list(inventory.references["profile_arn"]) == [arn]
    assert tagged(inventory) == [(ONE, arn)]


@pytest.mark.parametrize("other", [ONE, TWO])
def test_an_instance_is_of_the_account_of_the_profile_that_it_names(tmp_path: Path, other: str) -> None:
    arn = f"arn:aws:iam::{other}:instance-profile/web"
    instance = {"InstanceId": "i-1", "IamInstanceProfile": {"Arn": arn}}
    documents = {f"{other}/instances.json": {"Reservations": [{"OwnerId": other, "Instances": [instance]}]}}
    references = load(tmp_path, {"profiles.json": BOTH} | documents).references
    assert references[["account_id", "profile_arn"]].values.tolist() == [[other, arn]]


def test_files_that_are_named_one_by_one_find_their_account_like_a_folder(tmp_path: Path) -> None:
    write(tmp_path, {"summary.json": SUMMARY, "roles.json": {"Roles": [nested_role("web")]}})
    inventory = load_files(tmp_path / "summary.json", tmp_path / "roles.json")
    assert quotas(inventory) == {ONE: 1000}
    assert list(inventory.accounts["source"]) == [f"{tmp_path}/roles.json {tmp_path}/summary.json"]


def test_trust_in_another_accounts_principal_does_not_change_whose_role_it_is(tmp_path: Path) -> None:
    policy = trust("ec2.amazonaws.com")
    policy["Statement"][0]["Principal"] = {"AWS": f"arn:aws:iam::{TWO}:root"}
    inventory = load(tmp_path, {"roles.json": {"Roles": [nested_role("web", policy=policy)]}, "summary.json": SUMMARY})
    assert quotas(inventory) == {ONE: 1000}
    assert pd.unique(inventory.roles["account_id"]).tolist() == [ONE]

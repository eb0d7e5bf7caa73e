"""The scope of references: a core consumer that was not read in a region that was asked for makes them unknown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import ACCOUNT, identity, load, nested_role, profile, profile_list

from iamframe.checks import run_checks
from iamframe.inventory.completeness import completeness
from iamframe.inventory.inventory import Inventory
from iamframe.sources.consumers import Pin, Profile, Template, TemplateData, TemplateUse, Version, template_references
from iamframe.sources.records import Reference

OTHER = "000000000002"
HELD = {"list-instance-profiles.json": profile_list(profile("web", nested_role("web"))), "id.json": identity()}
NAMES = {
    "describe-instances.json": {"Reservations": []},
    "describe-launch-template-versions.json": {"LaunchTemplateVersions": []},
    "describe-launch-configurations.json": {"LaunchConfigurations": []},
    "describe-auto-scaling-groups.json": {"AutoScalingGroups": []},
}


def region(name: str, **instead: Any) -> dict[str, Any]:
    """All core consumers of one region, none of which names a profile; some may be given instead, or left out."""
    files = {kind.replace("-", "_"): kind for kind in NAMES}
    given = {files[f"{kind}.json"]: content for kind, content in instead.items()}
    return {f"{name}/{file}": content for file, content in (NAMES | given).items() if content is not None}


def status(inventory: Inventory, account: str = ACCOUNT) -> tuple[str, str]:
    """How far the references of an account were read, and why not all."""
    row = completeness(inventory).set_index("account_id").loc[account]
    return row["references_status"], row["references_reason"]


def test_all_core_consumers_of_one_region_are_a_part(tmp_path: Path) -> None:
    inventory = load(tmp_path, HELD | region("eu-west-1"))
    assert status(inventory)[0] == "partial"
    assert list(run_checks(inventory, only="unreferenced_profiles").findings["resource_name"]) == ["web"]


def versions(*found: tuple[int, bool, str], template: str = "lt-1", name: str | None = None) -> dict[str, Any]:
    """Versions of a launch template: number, whether it is the default, and the profile that it names."""
    rows = [
        {
            "LaunchTemplateId": template,
            "LaunchTemplateName": name or "n",
            "VersionNumber": number,
            "DefaultVersion": default,
            "LaunchTemplateData": {"IamInstanceProfile": {("Arn" if ":" in held else "Name"): held}},
        }
        for number, default, held in found
    ]
    return {"LaunchTemplateVersions": rows}


# Versions of launch templates that are neither newest nor default


@pytest.mark.parametrize(
    ("read", "latest", "lacking"),
    [
        ([(1, True, "web")], 1, []),
        ([(1, True, "web"), (2, False, "web")], 2, []),
        ([(1, True, "web"), (3, False, "web")], 3, ["lt-1"]),
        ([(1, True, "web"), (3, False, "web")], None, ["lt-1"]),
        ([(2, True, "web")], None, ["lt-1"]),
        ([(1, True, "web")], 2, ["lt-1"]),
        ([(1, True, "web"), (2, False, "web"), (3, False, "web")], 3, []),
    ],
)
def test_versions_that_are_not_in_the_files_are_told(
    tmp_path: Path, read: list[tuple[int, bool, str]], latest: int | None, lacking: list[str]
) -> None:
    regional = region("eu-west-1", describe_launch_template_versions=versions(*read))
    inventory = load(tmp_path, HELD | regional | (listing(latest) if latest else {}))
    gaps = inventory.gaps[inventory.gaps["operation"] == "DescribeLaunchTemplateVersions"]
    assert list(gaps["subject"]) == lacking
    assert set(gaps["reason"]) <= {"not_in_file"}
    said, reason = status(inventory)
    assert said == "partial"
    assert ("lt-1" in reason) == bool(lacking)


@pytest.mark.parametrize(("name", "lacking"), [("lt-1", []), ("versions-lt-1", []), ("version-lt-1-2", ["lt-1"])])
def test_a_file_named_after_a_template_holds_all_its_versions(tmp_path: Path, name: str, lacking: list[str]) -> None:
    """One was deleted: no other file would show more."""
    regional = region("eu-west-1", describe_launch_template_versions=versions((1, True, "x"), (4, False, "y")))
    of_template = {f"eu-west-1/{name}.json": versions((1, True, "x"), (2, False, "web"), (4, False, "y"))}
    inventory = load(tmp_path, HELD | regional | of_template)
    gaps = inventory.gaps[inventory.gaps["operation"] == "DescribeLaunchTemplateVersions"]
    assert list(gaps["subject"]) == lacking
    assert "web" in set(inventory.references["profile_name"])


# Whose templates were read

WEB = f"arn:aws:iam::{ACCOUNT}:instance-profile/web"


@pytest.mark.parametrize("theirs", [f"{OTHER}/eu-west-1/x.json", f"{OTHER}/x.json"])
def test_templates_that_another_account_owns_are_not_those_of_the_account_that_they_name(
    tmp_path: Path, theirs: str
) -> None:
    mine = {f"{ACCOUNT}/{name}": content for name, content in (HELD | region("eu-west-1")).items()}
    del mine[f"{ACCOUNT}/eu-west-1/describe-launch-template-versions.json"]
    inventory = load(tmp_path, mine | {theirs: versions((1, True, WEB))})
    said, reason = status(inventory)
    assert said == "unknown"
    assert "missing or incomplete: DescribeLaunchTemplateVersions (in all regions)" in reason
    read = inventory.calls[inventory.calls["operation"] == "DescribeLaunchTemplateVersions"]
    assert list(read["account_id"]) == [OTHER]
    # What they name is known all the same.
    assert list(inventory.references["profile_arn"]) == [WEB]


def test_templates_that_name_another_account_alone_are_nobodys(tmp_path: Path) -> None:
    mine = {f"a/{name}": content for name, content in (HELD | region("eu-west-1")).items() if "id" not in name}
    del mine["a/eu-west-1/describe-launch-template-versions.json"]
    gone = f"arn:aws:iam::{OTHER}:instance-profile/web"
    inventory = load(tmp_path, mine | {"a/eu-west-1/versions.json": versions((1, True, gone))})
    assert status(inventory)[0] == "unknown"
    assert "DescribeLaunchTemplateVersions" not in set(
        inventory.calls["operation"][inventory.calls["account_id"] == OTHER]
    )


# Files that do not say of which region they are


@pytest.mark.parametrize(("regions", "expected"), [(["eu-west-1"], "partial"), (["eu-west-1", "us-east-1"], "unknown")])
def test_a_file_without_a_region_stands_for_the_one_region_that_is_named(
    tmp_path: Path, regions: list[str], expected: str
) -> None:
    flat = {name: content for name, content in NAMES.items() if name != "describe-instances.json"}
    instances = {f"{name}/describe-instances.json": {"Reservations": []} for name in regions}
    assert status(load(tmp_path, HELD | flat | instances))[0] == expected


# Files of which nothing could be read

ALL_EMPTY = {f"us-east-1/{name}": "" for name in NAMES}


@pytest.mark.parametrize(
    "broken",
    [
        ALL_EMPTY,
        region("us-east-1", describe_instances=""),
        region("us-east-1", describe_instances="An error occurred"),
        region("us-east-1", describe_instances="") | {"describe-instances.json": {"Reservations": []}},
        {"DescribeInstances-us-east-1.json": ""},
        {"us-east-1_describe_instances.json": "[]"},
    ],
)
def test_a_file_named_after_a_consumer_that_cannot_be_read_leaves_references_unknown(
    tmp_path: Path, broken: dict[str, Any]
) -> None:
    inventory = load(tmp_path, HELD | region("eu-west-1") | broken)
    assert status(inventory)[0] == "unknown"
    gap = inventory.gaps[(inventory.gaps["operation"] == "DescribeInstances")].iloc[0]
    assert (gap["account_id"], gap["region"], gap["reason"]) == (ACCOUNT, "us-east-1", "unreadable")
    coverage = run_checks(inventory, only="unreferenced_profiles").coverage.set_index("account_id")
    assert coverage.loc[ACCOUNT, "status"] == "unknown"


def test_a_file_that_cannot_be_read_and_may_be_of_any_account_leaves_the_references_of_each_unknown(
    tmp_path: Path,
) -> None:
    def of(account: str) -> dict[str, Any]:
        files = {"id.json": identity(account), "a.json": profile_list(profile("web", account=account))}
        return {f"{account}/{name}": document for name, document in (files | region("eu-west-1")).items()}

    whole = of(ACCOUNT) | of(OTHER)
    assert {status(load(tmp_path / "whole", whole), account)[0] for account in (ACCOUNT, OTHER)} == {"partial"}
    broken = load(tmp_path / "broken", whole | {"describe-instances.json": ""})
    for account in (ACCOUNT, OTHER):
        kind, reason = status(broken, account)
        assert kind == "unknown"
        assert "describe-instances.json: is empty" in reason
    assert broken.gaps["account_id"].isin(broken.accounts["account_id"]).all()


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("list-instance-profiles.json", "ListInstanceProfiles"),
        ("list-roles.json", "ListRoles"),
        ("get-account-authorization-details.json", "GetAccountAuthorizationDetails"),
        ("list-instance-profiles-for-role-web.json", "ListInstanceProfilesForRole"),
        ("notes.json", "file"),
    ],
)
def test_an_empty_file_is_a_gap_of_the_operation_that_it_is_named_after(
    tmp_path: Path, name: str, operation: str
) -> None:
    gaps = load(tmp_path, {"id.json": identity(), name: ""}).gaps
    (gap,) = gaps[gaps["reason"] == "unreadable"].to_dict("records")
    assert gap["operation"] == operation
    assert "is empty" in gap["detail"]


# The latest version of a template


def group(version: str) -> dict[str, Any]:
    arn = f"arn:aws:autoscaling:eu-west-1:{ACCOUNT}:autoScalingGroup:u:autoScalingGroupName/g"
    pin = {"LaunchTemplateId": "lt-1", "LaunchTemplateName": "n", "Version": version}
    row = {"AutoScalingGroupName": "g", "AutoScalingGroupARN": arn, "LaunchTemplate": pin}
    return {"AutoScalingGroups": [row]}


def listing(latest: int) -> dict[str, Any]:
    row = {
        "LaunchTemplateId": "lt-1",
        "LaunchTemplateName": "n",
        "DefaultVersionNumber": 1,
        "LatestVersionNumber": latest,
    }
    return {"eu-west-1/describe-launch-templates.json": {"LaunchTemplates": [row]}}


@pytest.mark.parametrize(
    ("read", "beside", "expected"),
    [
        ([(1, True, "old")], {}, "unknown"),
        ([(1, True, "old")], listing(latest=1), "partial"),
        ([(1, True, "old")], listing(latest=2), "unknown"),
        ([(1, True, "old"), (2, False, "new")], {}, "partial"),
        ([(1, True, "old"), (2, False, "new")], listing(latest=2), "partial"),
        ([(1, False, "old"), (2, True, "new")], {}, "unknown"),
        ([(2, False, "new")], {}, "unknown"),
    ],
)
def test_the_latest_version_is_known_where_one_above_the_default_was_read_or_the_templates_say_it(
    tmp_path: Path, read: list[tuple[int, bool, str]], beside: dict[str, Any], expected: str
) -> None:
    regional = region(
        "eu-west-1", describe_launch_template_versions=versions(*read), describe_auto_scaling_groups=group("$Latest")
    )
    inventory = load(tmp_path, HELD | regional | beside)
    said, reason = status(inventory)
    assert said == expected
    if expected == "unknown":
        assert "launch template lt-1, version $Latest, is not in the files" in reason
        assert "`aws ec2 describe-launch-template-versions --launch-template-id=lt-1 --versions='$Latest'`" in reason


def test_a_gap_of_a_snapshot_from_before_messages_is_told_by_its_detail(tmp_path: Path) -> None:
    regional = region(
        "eu-west-1",
        describe_launch_template_versions=versions((1, True, "old")),
        describe_auto_scaling_groups=group("$Latest"),
    )
    inventory = load(tmp_path, HELD | regional)
    old = replace(inventory, gaps=inventory.gaps.assign(message="", facts="{}"))
    assert "version $Latest, is not in the files" in status(old)[1]
    assert status(old) == status(inventory)


@pytest.mark.parametrize(
    ("template", "option"),
    [
        ({"LaunchTemplateName": "a b; rm"}, "--launch-template-name='a b; rm'"),
        ({"LaunchTemplateName": "file:///etc/passwd"}, "--launch-template-name=VALUE"),
    ],
)
def test_the_command_of_a_gap_is_quoted_for_a_shell(tmp_path: Path, template: dict[str, str], option: str) -> None:
    groups = group("3")
    groups["AutoScalingGroups"][0]["LaunchTemplate"] = template | {"Version": "3"}
    inventory = load(tmp_path, HELD | region("eu-west-1", describe_auto_scaling_groups=groups))
    assert f"`aws ec2 describe-launch-template-versions {option} --versions=3`" in status(inventory)[1]


# What was refused

HEAD = ("operation", "subject", "error_code")
DENIED = ("DescribeInstances", "us-east-1", "UnauthorizedOperation")


@pytest.mark.parametrize("name", ["denied.csv", "Denied.csv"])
@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_refusals_are_read_as_spreadsheets_save_them(tmp_path: Path, name: str, between: str) -> None:
    text = "".join(between.join(row) + "\r\n" for row in (HEAD, DENIED))
    inventory = load(tmp_path, HELD | region("eu-west-1") | {name: text})
    assert status(inventory)[0] == "unknown"
    assert "DescribeInstances in us-east-1 failed with UnauthorizedOperation" in status(inventory)[1]


def test_a_refusal_in_a_regions_folder_is_of_that_region(tmp_path: Path) -> None:
    inventory = load(
        tmp_path, HELD | {"us-east-1/denied.csv": "operation,subject,error_code\nDescribeInstances,,AccessDenied\n"}
    )
    assert list(inventory.gaps["region"][inventory.gaps["reason"] == "denied"]) == ["us-east-1"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("eusc-de-east-1", "eusc-de-east-1"),
        ("eusc-de-east-1a", "eusc-de-east-1"),
        ("us-gov-west-1", "us-gov-west-1"),
        ("x-eu-west-1.json", "eu-west-1"),
    ],
)
def test_a_folder_may_be_of_the_sovereign_cloud(tmp_path: Path, text: str, found: str) -> None:
    instances = {f"{text}/describe-instances.json": {"Reservations": []}, f"{text}/id.json": identity()}
    inventory = load(tmp_path, HELD | instances)
    assert list(inventory.calls["region"][inventory.calls["operation"] == "DescribeInstances"]) == [found]


@pytest.mark.parametrize(("templates", "unread"), [(None, []), ([], ["lt-1:$Latest"])])
def test_a_live_load_asks_for_the_latest_version_by_that_name(
    templates: list[Template] | None, unread: list[str]
) -> None:
    pin = TemplateUse(Reference("auto-scaling-group", "g", ""), [Pin("lt-1", "n", "$Latest")])
    data = TemplateData(Profile(name="web"))
    read = [Version("lt-1", 1, "n", default_version=True, launch_template_data=data)]
    mentions, missing = template_references([pin], read, [], templates)
    assert missing == unread
    assert [mention.named for mention in mentions] == ([] if unread else ["web"])

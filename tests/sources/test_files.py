"""What each source shape makes known, and what it leaves unknown."""

from __future__ import annotations

import gzip
import json
import os
import warnings
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import botocore.session
import pandas as pd
import pytest
from builders import (
    ACCOUNT,
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
from showing import only_row, reasons, shown, wholeness, without
from terraform import managed, plan, plan_resource, state, state_of, state_of_profile, tf_profile, tf_role

from iamframe.checks import CHECKS, run_checks
from iamframe.errors import SourceError
from iamframe.inventory.completeness import completeness
from iamframe.inventory.load import load_files
from iamframe.knowledge.operations import OPERATIONS
from iamframe.knowledge.owners import known_owners
from iamframe.sources import shapes
from iamframe.sources.consumers import CONSUMERS

WEB = "arn:aws:iam::000000000001:role/web"
WEB_PROFILE = "arn:aws:iam::000000000001:instance-profile/web"
OPS = {"owner": "ops"}
OWNER = tag_list(OPS)
LINK = [(WEB_PROFILE, WEB)]
TRUST_TEXT = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},'
    '"Action":"sts:AssumeRole"}]}'
)


def listed(*roles: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the output of list-roles."""
    return {"Roles": list(roles)} | more


def used(day: str, **more: str) -> dict[str, Any]:
    """Return the last use of a role, at ten o'clock."""
    return {"RoleLastUsed": {"LastUsedDate": f"{day}T10:00:00+00:00"} | more}


# What is shown, by the source: a sentence, the files, and what they show

Case = tuple[str, dict[str, Any], dict[str, Any]]

ANSWERS: list[Case] = [
    # get-account-authorization-details
    (
        "an account dump lists all roles, but only the profiles that hold one",
        {"dump.json": dump(role_detail("web", [profile("web")]), role_detail("batch"))},
        {"whole": (True, False), "links": LINK, "profiles.role_known": [True]},
    ),
    (
        "an account dump with empty lists says that a role has no profile and no tags, and was not used",
        {"dump.json": dump(role_detail("web"))},
        {"gaps.ListInstanceProfilesForRole": [], "roles.tags_known": [True], "tags": {}}
        | {"roles.last_used_known": [True], "roles.last_used_at": [None]},
    ),
    (
        "an account dump without a role's profile list leaves its profiles unknown",
        {"dump.json": dump(without(role_detail("web"), "InstanceProfileList"), role_detail("batch"))},
        {"gaps.ListInstanceProfilesForRole": [(WEB, "not_in_file")]},
    ),
    (
        "an account dump without the tags key leaves role tags unknown",
        {"dump.json": dump(without(role_detail("web"), "Tags"))},
        {"roles.tags_known": [False]},
    ),
    (
        "an account dump never proves profile tags",
        {"dump.json": dump(role_detail("web", [profile("web", Tags=OWNER)]))},
        {"profiles.tags_known": [False], "tags": {}},
    ),
    (
        "an account dump shows last use and boundary",
        {
            "dump.json": dump(
                role_detail("web")
                | used("2024-06-01", Region="eu-west-1")
                | {"PermissionsBoundary": {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": "arn:b"}}
            )
        },
        {"roles.last_used_known": [True], "roles.last_used_at": [pd.Timestamp("2024-06-01T10:00:00Z")]}
        | {"roles.last_used_region": ["eu-west-1"], "roles.permissions_boundary_arn": ["arn:b"]},
    ),
    (
        "an account dump never proves description and session length",
        {"dump.json": dump(role_detail("web", Description="front", MaxSessionDuration=7200))},
        {"roles.description": [None], "roles.max_session_seconds": [None]},
    ),
    (
        "an account dump of users alone is not a whole empty list of roles",
        {"dump.json": dump(UserDetailList=[{"UserName": "ann", "Arn": "arn:aws:iam::000000000001:user/ann"}])},
        {"whole": (False, False)},
    ),
    (
        "a key that begins with aws: is reserved",
        {"dump.json": dump(role_detail("web", tags={"aws:cloudformation:stack-name": "s", "awsome": "x"}))},
        {"tags.tag_key": ["aws:cloudformation:stack-name", "awsome"], "tags.is_aws_reserved": [True, False]},
    ),
    # list-roles
    (
        "list-roles is the whole list of roles, and shows description and session length",
        {"roles.json": listed(nested_role("web", Description="front", MaxSessionDuration=7200))},
        {"whole": (True, False), "roles.description": ["front"], "roles.max_session_seconds": [7200]},
    ),
    (
        "list-roles shows names, paths, ids and creation",
        {"roles.json": listed(nested_role("web", path="/app/front/"))},
        {"roles.role_arn": ["arn:aws:iam::000000000001:role/app/front/web"], "roles.role_name": ["web"]}
        | {"roles.role_path": ["/app/front/"], "roles.role_id": ["AROAWEB"]}
        | {"roles.created_at": [pd.Timestamp("2024-05-01T09:00:00Z")]},
    ),
    (
        "list-roles never proves links or last use",
        {"roles.json": listed(nested_role("web", InstanceProfileList=[profile("web")], **used("2024-06-01")))},
        {"roles.last_used_known": [False], "roles.last_used_at": [None], "profiles.profile_arn": []}
        | {"gaps.ListInstanceProfilesForRole": [("*", "not_in_file")]},
    ),
    # get-role
    (
        "get-role shows the tags of that role, and is no whole list",
        {"role.json": {"Role": nested_role("web", RoleLastUsed={}, Tags=OWNER)}},
        {"roles.tags_known": [True], "tags": {WEB: OPS}, "whole": (False, False)},
    ),
    (
        "get-role without tags says that there are none where it shows the last use",
        {"role.json": {"Role": nested_role("web", RoleLastUsed={})}},
        {"roles.tags_known": [True], "roles.last_used_known": [True], "tags": {}},
    ),
    (
        "get-role without tags and without last use says nothing of tags",
        {"role.json": {"Role": nested_role("web")}},
        {"roles.tags_known": [False], "roles.last_used_known": [False], "tags": {}},
    ),
    (
        "get-role never proves links",
        {"role.json": {"Role": nested_role("web", RoleLastUsed={}, InstanceProfileList=[profile("web")])}},
        {"profiles.profile_arn": [], "gaps.ListInstanceProfilesForRole": [("*", "not_in_file")]},
    ),
    # list-instance-profiles
    (
        "list-instance-profiles is the whole list of profiles, and not of roles",
        {"profiles.json": profile_list(profile("web", nested_role("web")))},
        {"whole": (False, True)},
    ),
    (
        "an empty list of instance profiles is whole where it is known whose it is",
        {"000000000001/profiles.json": profile_list()},
        {"whole": (False, True)},
    ),
    (
        "list-instance-profiles shows each profile's link or emptiness",
        {"profiles.json": profile_list(profile("web", nested_role("web")), profile("old"))},
        {"links": LINK, "profiles.profile_name": ["old", "web"], "profiles.role_known": [True, True]},
    ),
    (
        "list-instance-profiles shows identity and trust of the role inside, and neither its tags nor its description",
        {"profiles.json": profile_list(profile("web", nested_role("web", Tags=OWNER, Description="front")))},
        {"roles.role_arn": [WEB], "roles.role_id": ["AROAWEB"], "roles.trusts_ec2": ["yes"]}
        | {"roles.tags_known": [False], "roles.description": [None]},
    ),
    (
        "a profile without the roles key is not taken for empty",
        {"profiles.json": profile_list(without(profile("old"), "Roles"))},
        {"profiles.role_known": [False]},
    ),
    # get-instance-profile
    (
        "get-instance-profile shows link and tags, and is no whole list",
        {"profile.json": {"InstanceProfile": profile("web", nested_role("web"), Tags=OWNER)}},
        {"profiles.role_known": [True], "profiles.tags_known": [True], "tags": {WEB_PROFILE: OPS}}
        | {"links": LINK, "whole": (False, False)},
    ),
    (
        "get-instance-profile with empty tags knows that there are none",
        {"profile.json": {"InstanceProfile": profile("web", Tags=[])}},
        {"profiles.tags_known": [True], "tags": {}},
    ),
    (
        "get-instance-profile without the tags key knows nothing of tags",
        {"profile.json": {"InstanceProfile": profile("web")}},
        {"profiles.tags_known": [False], "tags": {}},
    ),
    # Roles and profiles without a key around them, as `--query` prints them
    (
        "a list of profiles without a key shows links and emptiness, and is no whole list",
        {"profiles.json": [profile("old"), profile("web", nested_role("web"))]},
        {"links": LINK, "profiles.profile_name": ["old", "web"], "profiles.role_known": [True, True]}
        | {"whole": (False, False)},
    ),
    (
        "a list of roles without a key is no whole list, and knows neither tags nor links",
        {"roles.json": [nested_role("app"), nested_role("web", RoleLastUsed={})]},
        {"roles.role_name": ["app", "web"], "roles.tags_known": [False] * 2, "roles.last_used_known": [False] * 2}
        | {"gaps.ListInstanceProfilesForRole": [("*", "not_in_file")], "whole": (False, False)},
    ),
    (
        "an empty profile without a key is a profile, and no list of roles",
        {"000000000001/profile.json": profile("web")},
        {"profiles.profile_arn": [WEB_PROFILE], "whole": (False, False)},
    ),
    (
        "a profile with a role and without a key is a profile, and no list of roles",
        {"000000000001/profile.json": profile("web", nested_role("web"))},
        {"profiles.profile_arn": [WEB_PROFILE], "whole": (False, False)},
    ),
    (
        "a role of an account dump without a key says that it has no tags",
        {"roles.json": [role_detail("web", tags={})]},
        {"roles.tags_known": [True], "whole": (False, False)},
    ),
    # Tag listings
    (
        "a tag listing belongs to the profile that its file is named after",
        {"p.json": profile_list(profile("web", nested_role("web"))), "instance-profile-tags/web.json": {"Tags": OWNER}},
        {"tags": {WEB_PROFILE: OPS}, "tags.resource_type": ["instance-profile"]}
        | {"tags.tag_source": ["ListInstanceProfileTags"]},
    ),
    (
        "a tag listing belongs to the role that its file is named after",
        {"p.json": profile_list(profile("web", nested_role("web"))), "role-tags/web.json": {"Tags": OWNER}},
        {"tags": {WEB: OPS}, "tags.resource_type": ["role"], "tags.tag_source": ["ListRoleTags"]},
    ),
    (
        "an empty tag listing says that there are none",
        {
            "profiles.json": profile_list(profile("web", nested_role("web")), profile("old")),
            "instance-profile-tags/old.json": {"Tags": []},
        },
        {"profiles.profile_name": ["old", "web"], "profiles.tags_known": [True, False], "roles.tags_known": [False]},
    ),
    (
        "a tag listing of a resource that no file shows is a gap",
        {"profiles.json": profile_list(profile("web")), "instance-profile-tags/gone.json": {"Tags": []}},
        {"gaps.ListInstanceProfileTags": [("*", "not_in_file"), ("gone", "not_in_file")]},
    ),
    # The account itself
    (
        "get-account-summary shows quotas and counts",
        {
            "dump.json": dump(role_detail("web")),
            "summary.json": {
                "SummaryMap": {"Roles": 1, "RolesQuota": 1000, "InstanceProfiles": 4, "InstanceProfilesQuota": 1500}
                | {"Users": 3}
            },
        },
        {"accounts.role_quota": [1000], "accounts.profile_quota": [1500]}
        | {"accounts.roles_expected": [1], "accounts.profiles_expected": [4]},
    ),
    (
        "get-caller-identity shows who asked",
        {"identity.json": identity()},
        {"accounts.account_id": ["000000000001"], "accounts.partition": ["aws"]}
        | {"accounts.caller_arn": ["arn:aws:iam::000000000001:user/audit"]},
    ),
]


def test_an_account_dump_shows_role_tags_where_the_key_is_there(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"dump.json": dump(role_detail("web", tags=OPS))})
    assert only_row(inventory.roles)["tags_known"] is True
    assert only_row(inventory.tags) == {
        "account_id": "000000000001",
        "resource_arn": WEB,
        "resource_type": "role",
        "tag_key": "owner",
        "tag_value": "ops",
        "is_aws_reserved": False,
        "tag_source": "GetAccountAuthorizationDetails",
    }


def test_an_empty_output_of_list_roles_is_not_a_whole_list_because_each_account_has_roles(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"000000000001/roles.json": listed(), "000000000001/id.json": identity()})
    assert wholeness(inventory) == (False, False)
    assert ("roles.json", "truncated") in [(Path(where).name, why) for where, why in reasons(inventory, "ListRoles")]


@pytest.mark.parametrize(
    ("document", "whole"),
    [
        (listed(nested_role("web")), (True, False)),
        # People merge answers into one document.
        (listed(nested_role("web")) | profile_list(profile("web")) | {"Users": [], "IsTruncated": False}, (True, True)),
        # `list-instance-profiles --query 'InstanceProfiles[].{Name:InstanceProfileName,Roles:Roles}'`
        ([{"Name": "web", "Roles": [nested_role("web")]}], (False, False)),
        # `get-account-authorization-details --query 'RoleDetailList[].{Name:RoleName,InstanceProfiles:…List}'`
        ([{"Name": "web", "InstanceProfiles": [profile("web", nested_role("web"))]}], (False, False)),
    ],
    ids=["answer", "merged", "roles of profiles", "profiles of roles"],
)
def test_a_list_beside_keys_that_only_a_query_writes_is_no_whole_list(
    tmp_path: Path, document: Any, whole: tuple[bool, bool]
) -> None:
    inventory = load(tmp_path, {"answer.json": json.dumps(document).encode(), "id.json": identity()})
    assert wholeness(inventory) == whole


def test_each_key_of_a_listing_that_iamframe_reads_is_known_as_one_of_aws() -> None:
    """Otherwise, the listing would be taken for the result of a query, which may have left out items."""
    service_of = botocore.session.get_session().get_service_model
    reads = {(one.service, one.operation) for one in (*OPERATIONS, *CONSUMERS, *known_owners())}
    # These answers are no lists.
    reads -= {("sts", "AssumeRole"), ("bedrock-agentcore-control", "GetCapacityProvider")}
    answers = [service_of(service).operation_model(operation).output_shape.members for service, operation in reads]
    assert set().union(*answers) - shapes._response_keys() == set()


def test_an_item_that_cannot_be_read_is_missing_even_if_an_older_list_is_whole(tmp_path: Path) -> None:
    old, new = profile_list(profile("web")), profile_list(profile("web"), profile("db", Arn=None))
    assert wholeness(load(tmp_path / "old", {"old.json": old}))[1]
    assert not wholeness(load(tmp_path / "both", {"old.json": old, "new.json": new}))[1]


def test_two_links_of_one_name_to_different_files_are_two_files(tmp_path: Path) -> None:
    write(tmp_path / "store", {"0a1": profile_list(profile("web")), "0b2": profile_list(profile("db"))})
    for folder, target in (("a", "0a1"), ("b", "0b2"), ("c", "0b2")):
        (tmp_path / "in" / folder).mkdir(parents=True)
        (tmp_path / "in" / folder / "list-instance-profiles.json").symlink_to(tmp_path / "store" / target)
    inventory = load_files(tmp_path / "in")
    assert inventory.profiles["profile_name"].tolist() == ["db", "web"]
    # The two links to one file are read once.
    assert inventory.calls["rows"].tolist() == [2]


@pytest.mark.parametrize("first", [0, 1])
def test_a_file_that_is_named_is_read_whatever_its_name_and_wherever_it_stands(tmp_path: Path, first: int) -> None:
    write(tmp_path, {"roles.json": listed(nested_role("web")), "profiles.txt": profile_list(profile("web"))})
    sources = [tmp_path, tmp_path / "profiles.txt"]
    assert len(load_files(sources[first], sources[1 - first]).profiles) == 1


@pytest.mark.parametrize("tags", [[], OWNER], ids=["none", "some"])
@pytest.mark.parametrize("name", ["list-roles", "list-instance-profiles", "list-instance-profiles-for-role"])
def test_a_tags_key_in_a_list_is_never_trusted(tmp_path: Path, name: str, tags: list[dict[str, str]]) -> None:
    role = nested_role("web", Tags=tags)
    answer = listed(role) if name == "list-roles" else profile_list(profile("web", role, Tags=tags))
    inventory = load(tmp_path, {f"{name}.json": answer})
    known = [*inventory.roles["tags_known"], *inventory.profiles["tags_known"]]
    assert known == [False] * (1 if name == "list-roles" else 2)
    assert len(inventory.tags) == 0


@pytest.mark.parametrize(
    "name",
    [
        "list-instance-profiles-for-role-web.json",
        "list_instance_profiles_for_role_web.json",
        "ListInstanceProfilesForRole-web.json",
        "list-instance-profiles-for-role/web.json",
        "profiles_for_role/web.json.gz",
    ],
)
def test_list_instance_profiles_for_role_is_told_by_its_name_and_is_no_whole_list(tmp_path: Path, name: str) -> None:
    answer = json.dumps(profile_list(profile("web", nested_role("web")))).encode()
    inventory = load(tmp_path, {name: gzip.compress(answer) if name.endswith(".gz") else answer})
    assert (shown(inventory, "links"), wholeness(inventory)) == (LINK, (False, False))
    # The answer shows the profiles of one role, and so a part of the account's profiles.
    assert dict(zip(inventory.calls["operation"], inventory.calls["state"], strict=True)) == {
        "ListInstanceProfilesForRole": "partial"
    }


@pytest.mark.parametrize(
    ("item", "frame"),
    [(profile("web", nested_role("web")), "profiles"), (nested_role("web"), "roles")],
    ids=["profile", "role"],
)
def test_an_object_without_a_key_shows_its_tags_and_an_empty_list_of_tags_proves_nothing(
    tmp_path: Path, item: dict[str, Any], frame: str
) -> None:
    tags = {"some": {"Tags": OWNER}, "empty": {"Tags": []}, "null": {"Tags": None}, "absent": {}}
    rows = {name: load(tmp_path / name, {"item.json": item | more}).frames[frame] for name, more in tags.items()}
    known = {name: only_row(row)["tags_known"] for name, row in rows.items()}
    assert known == {"some": True, "empty": False, "null": False, "absent": False}


def test_an_item_beside_roles_and_profiles_that_is_neither_is_a_gap(tmp_path: Path) -> None:
    repeated = '{"RoleName": "b", "Arn": "arn:aws:iam::000000000001:role/b", "Path": "/", "Path": "/x/"}'
    items = [json.dumps(nested_role("web")), json.dumps(profile("web")), '{"Volume": 1}', repeated, "7"]
    inventory = load(tmp_path, {"mixed.json": f"[{', '.join(items)}]"})
    assert inventory.roles["role_name"].tolist() == inventory.profiles["profile_name"].tolist() == ["web"]
    places = inventory.gaps["detail"].str.extract(r"(\$\[\d\])", expand=False)
    assert places.dropna().tolist() == ["$[2]", "$[3]", "$[4]"]


@pytest.mark.parametrize("rest", ["", json.dumps({"Tags": tag_list({"team": "web"}), "IsTruncated": False})])
def test_a_tag_listing_that_is_cut_short_is_not_taken_nor_is_its_rest(tmp_path: Path, rest: str) -> None:
    page = json.dumps({"Tags": OWNER, "IsTruncated": True, "Marker": "m"})
    documents = {"profiles.json": profile_list(profile("web")), "instance-profile-tags/web.json": page + rest}
    inventory = load(tmp_path, documents)
    assert only_row(inventory.profiles)["tags_known"] is False
    assert ("web", "truncated") in reasons(inventory, "ListInstanceProfileTags")


def test_a_tag_listing_outside_its_folder_is_a_gap(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"profiles.json": profile_list(profile("web")), "web.json": {"Tags": OWNER}})
    assert only_row(inventory.profiles)["tags_known"] is False
    assert reasons(inventory, "file") == [(str(tmp_path / "web.json"), "unreadable")]


# References


def instances(named: dict[str, str] | None, state: str = "running") -> dict[str, Any]:
    """Return the output of describe-instances, of one instance."""
    instance = {"InstanceId": "i-1", "State": {"Name": state}, "Placement": {"AvailabilityZone": "eu-west-1b"}}
    instance |= {"Tags": tag_list({"Name": "front"})} | ({"IamInstanceProfile": named} if named else {})
    return {"Reservations": [{"OwnerId": ACCOUNT, "Instances": [instance]}]}


def associations(*states: str) -> dict[str, Any]:
    """Return the output of describe-iam-instance-profile-associations."""
    one = {"InstanceId": "i-1", "IamInstanceProfile": {"Arn": WEB_PROFILE}}
    return {"IamInstanceProfileAssociations": [one | {"AssociationId": f"iip-assoc-{s}", "State": s} for s in states]}


def version(number: int, name: str | None, template: str = "lt-1", **more: Any) -> dict[str, Any]:
    """Return one version of a launch template, as describe-launch-template-versions prints it."""
    data = {"IamInstanceProfile": {"Name": name}} if name else {}
    row = {"LaunchTemplateId": template, "LaunchTemplateName": "front", "VersionNumber": number}
    return row | {"DefaultVersion": False, "LaunchTemplateData": data} | more


def versions(*rows: dict[str, Any]) -> dict[str, Any]:
    """Return the output of describe-launch-template-versions."""
    return {"LaunchTemplateVersions": list(rows)}


def configurations(region: str, named: str) -> dict[str, Any]:
    """Return the output of describe-launch-configurations: one with a profile, and one without."""
    arn = f"arn:aws:autoscaling:{region}:{ACCOUNT}:launchConfiguration:1:launchConfigurationName/old"
    row = {"LaunchConfigurationName": "old", "LaunchConfigurationARN": arn, "IamInstanceProfile": named}
    return {"LaunchConfigurations": [row, {"LaunchConfigurationName": "bare"}]}


def group(region: str = "eu-west-1", **more: Any) -> dict[str, Any]:
    """Return the output of describe-auto-scaling-groups, of one group."""
    arn = f"arn:aws:autoscaling:{region}:{ACCOUNT}:autoScalingGroup:1:autoScalingGroupName/front"
    return {"AutoScalingGroups": [{"AutoScalingGroupName": "front", "AutoScalingGroupARN": arn} | more]}


def pin(version: str) -> dict[str, str]:
    """Return a group's mention of one version of a launch template."""
    return {"LaunchTemplateId": "lt-1", "Version": version}


def mixed(*overrides: str, **more: Any) -> dict[str, Any]:
    """Return a group's mention of versions in its overrides."""
    pins = [{"LaunchTemplateSpecification": pin(version)} for version in overrides]
    return {"MixedInstancesPolicy": {"LaunchTemplate": {"Overrides": pins} | more}}


PROFILES = {"profiles.json": profile_list(profile("web"))}
DEFAULT_2 = version(2, "web", DefaultVersion=True)
PINNED = {"auto-scaling-group.consumer_id": ["front"], "auto-scaling-group.profile_arn": [WEB_PROFILE]} | {
    "auto-scaling-group.consumer_version": ["1"],
    "auto-scaling-group.region": ["eu-west-1"],
    "auto-scaling-group.account_id": [ACCOUNT],
}
TWO_VERSIONS = {
    "profiles.json": profile_list(profile("web"), profile("new")),
    "versions.json": versions(version(1, "web"), version(2, "new", DefaultVersion=True)),
}
THREE_VERSIONS = {
    "profiles.json": profile_list(profile("one"), profile("two"), profile("ten")),
    "versions.json": versions(version(1, "one"), version(2, "two", DefaultVersion=True), version(10, "ten")),
}
TWO_REGIONS = {f"{region}/c.json": configurations(region, f"web-{region}") for region in ("eu-west-1", "us-east-1")}
REFERENCES: list[Case] = [
    (
        "a reference to a profile that nobody shows keeps its name and no arn",
        PROFILES | {"i.json": instances({"Arn": WEB_PROFILE + "-gone"})},
        {"instance.profile_arn": [None], "instance.profile_name": ["web-gone"]},
    ),
    (
        "a stopped instance refers to its profile",
        {"i.json": instances({"Arn": WEB_PROFILE}, "stopped")},
        {"references.consumer_id": ["i-1"]},
    ),
    (
        "a terminated instance is no reference",
        PROFILES | {"i.json": instances({"Arn": WEB_PROFILE}, "terminated")},
        {"references.consumer_id": []},
    ),
    (
        "an instance that names no profile is no reference",
        PROFILES | {"i.json": instances(None)},
        {"references.consumer_id": []},
    ),
    (
        "an association refers to its profile until it is disassociated",
        {"eu-west-1/associations.json": associations("associated", "disassociated")},
        {"references.consumer_type": ["association"], "references.consumer_id": ["iip-assoc-associated"]}
        | {"references.account_id": [ACCOUNT], "references.region": ["eu-west-1"]}
        | {"references.consumer_name": ["i-1"], "references.consumer_state": ["associated"]},
    ),
    (
        "versions of a launch template that name the same profile are one reference",
        PROFILES | {"eu-west-1/versions.json": versions(version(10, "web"), DEFAULT_2, version(3, None))},
        {"references.consumer_type": ["launch-template"], "references.consumer_id": ["lt-1"]}
        | {"references.consumer_name": ["front"], "references.profile_arn": [WEB_PROFILE]}
        | {"references.consumer_version": ["2 10"]}
        | {"references.consumer_arn": ["arn:aws:ec2:eu-west-1:000000000001:launch-template/lt-1"]},
    ),
    (
        "a launch configuration refers to its profile in the region of its arn",
        PROFILES | {"configurations.json": configurations("eu-west-1", "web")},
        {"references.consumer_type": ["launch-configuration"], "references.consumer_id": ["old"]}
        | {"references.region": ["eu-west-1"], "references.named": ["web"], "references.profile_arn": [WEB_PROFILE]}
        | {
            "references.consumer_arn": [
                "arn:aws:autoscaling:eu-west-1:000000000001:launchConfiguration:1:launchConfigurationName/old"
            ]
        },
    ),
    *(
        (
            f"the versions that a group pins stand in one order and once: {' '.join(pinned)}",
            {"versions.json": versions(DEFAULT_2, version(10, "web")), "groups.json": group(**mixed(*pinned))},
            {"auto-scaling-group.consumer_version": ["2 10 $Latest"]},
        )
        for pinned in (("10", "2", "$Latest", "2"), ("$Latest", "2", "2", "10"))
    ),
    (
        "a group refers to the profile of the version that it pins",
        TWO_VERSIONS | {"groups.json": group(LaunchTemplate=pin("1"))},
        PINNED,
    ),
    (
        "a group refers to the profile of the version that its policy of mixed instances pins",
        TWO_VERSIONS
        | {"g.json": group(MixedInstancesPolicy={"LaunchTemplate": {"LaunchTemplateSpecification": pin("1")}})},
        PINNED,
    ),
    (
        "a group refers to the profile of the version that an override pins",
        TWO_VERSIONS | {"groups.json": group(**mixed("1"))},
        PINNED,
    ),
    (
        "a group that pins $Default refers to the default version",
        THREE_VERSIONS | {"groups.json": group(LaunchTemplate=pin("$Default"))},
        {"auto-scaling-group.profile_name": ["two"]},
    ),
    (
        "a group that pins $Latest refers to the latest version",
        THREE_VERSIONS | {"groups.json": group(LaunchTemplate=pin("$Latest"))},
        {"auto-scaling-group.profile_name": ["ten"]},
    ),
    (
        "a group refers to the profile of its launch configuration, whose listing has no arn",
        PROFILES
        | {"c.json": {"LaunchConfigurations": [{"LaunchConfigurationName": "old", "IamInstanceProfile": "web"}]}}
        | {"g.json": group(LaunchConfigurationName="old")},
        {"auto-scaling-group.profile_arn": [WEB_PROFILE], "auto-scaling-group.consumer_version": [None]},
    ),
    *(
        (
            f"a group of {region} refers to the launch configuration of its own region",
            TWO_REGIONS | {f"{region}/g.json": group(region, LaunchConfigurationName="old")},
            {"auto-scaling-group.profile_name": names},
        )
        for region, names in (("eu-west-1", ["web-eu-west-1"]), ("us-east-1", ["web-us-east-1"]), ("ap-south-1", []))
    ),
]  # fmt: skip


def test_describe_instances_shows_which_profile_an_instance_uses(tmp_path: Path) -> None:
    documents = PROFILES | {"instances.json": instances({"Arn": WEB_PROFILE, "Id": "AIPAWEB"})}
    assert only_row(load(tmp_path, documents).references) == {
        "account_id": "000000000001",
        "region": "eu-west-1",
        "consumer_type": "instance",
        "consumer_id": "i-1",
        "named": WEB_PROFILE,
        "profile_arn": WEB_PROFILE,
        "profile_name": "web",
        "profile_id": "AIPAWEB",
        "consumer_arn": "arn:aws:ec2:eu-west-1:000000000001:instance/i-1",
        "consumer_name": "front",
        "consumer_version": None,
        "consumer_state": "running",
    }


def test_a_launch_template_is_a_gap_until_its_default_version_is_read(tmp_path: Path) -> None:
    template = {"LaunchTemplateId": "lt-1", "DefaultVersionNumber": 1, "LatestVersionNumber": 1}
    documents = PROFILES | {"templates.json": {"LaunchTemplates": [template]}}
    assert ("lt-1:$Default", "not_in_file") in reasons(load(tmp_path, documents), "DescribeLaunchTemplateVersions")
    inventory = load(tmp_path, documents | {"versions.json": versions(version(1, "web", DefaultVersion=True))})
    assert reasons(inventory, "DescribeLaunchTemplateVersions") == []


def test_a_version_that_a_group_pins_and_nobody_read_is_a_gap(tmp_path: Path) -> None:
    inventory = load(tmp_path, PROFILES | {"v.json": versions(DEFAULT_2), "g.json": group(LaunchTemplate=pin("1"))})
    # The version that the group starts from, and that the files do not hold all versions.
    gaps = reasons(inventory, "DescribeLaunchTemplateVersions")
    assert gaps == [("lt-1", "not_in_file"), ("lt-1:1", "not_in_file")]
    assert only_row(completeness(inventory))["references_status"] == "unknown"


def test_latest_is_unread_where_the_templates_own_listing_says_that_there_is_a_later_version(tmp_path: Path) -> None:
    listing = {"LaunchTemplates": [{"LaunchTemplateId": "lt-1", "LatestVersionNumber": 9}]}
    documents = {"t.json": listing, "v.json": versions(DEFAULT_2), "g.json": group(LaunchTemplate=pin("$Latest"))}
    inventory = load(tmp_path, PROFILES | documents)
    assert ("lt-1:$Latest", "not_in_file") in reasons(inventory, "DescribeLaunchTemplateVersions")


BY_NAME = {"LaunchTemplateSpecification": {"LaunchTemplateName": "app", "Version": "$Default"}}
FLEETS = {"Fleets": [{"FleetId": "fleet-1", "LaunchTemplateConfigs": [BY_NAME]}]}
ONE, TWO = (
    versions(version(1, name, template, LaunchTemplateName="app", DefaultVersion=True))
    for template, name in (("lt-1", "web"), ("lt-2", "other"))
)


@pytest.mark.parametrize("other", ["ap-south-1", "us-west-2"])
def test_a_template_name_means_the_template_of_the_region_of_what_names_it(tmp_path: Path, other: str) -> None:
    documents = {"us-east-1/versions.json": ONE, "us-east-1/fleets.json": FLEETS, f"{other}/versions.json": TWO}
    references = load(tmp_path, {f"{ACCOUNT}/{name}": document for name, document in documents.items()}).references
    found = references[references["consumer_type"] == "fleet"]
    assert found[["region", "profile_name"]].values.tolist() == [["us-east-1", "web"]]


def test_a_template_name_of_two_templates_means_neither_where_no_file_shows_its_region(tmp_path: Path) -> None:
    documents = {"us.json": ONE, "eu.json": TWO, "fleets.json": FLEETS}
    inventory = load(tmp_path, {f"{ACCOUNT}/{name}": document for name, document in documents.items()})
    assert set(inventory.references["consumer_type"]) == {"launch-template"}
    assert reasons(inventory, "DescribeLaunchTemplateVersions") == [("app:$Default", "not_in_file")]


# AWS Config


def config_role(name: str = "web", **more: Any) -> dict[str, Any]:
    """Return the configuration that AWS Config records of a role, its trust policy percent-encoded."""
    return {
        "path": "/",
        "roleName": name,
        "roleId": f"AROA{name.upper()}",
        "arn": f"arn:aws:iam::{ACCOUNT}:role/{name}",
        "createDate": "2024-05-01T09:00:00.000Z",
        "assumeRolePolicyDocument": quote(json.dumps(trust("ec2.amazonaws.com"))),
        "instanceProfileList": [],
        "tags": [],
    } | more


def item(configuration: Any, captured: Any = "2024-06-01T00:00:00.000Z", **more: Any) -> dict[str, Any]:
    """Return an AWS Config item of a role."""
    return {
        "configurationItemStatus": "OK",
        "configurationItemCaptureTime": captured,
        "resourceType": "AWS::IAM::Role",
        "awsAccountId": ACCOUNT,
        "accountId": ACCOUNT,
        "ARN": WEB,
        "arn": WEB,
        "resourceId": "AROAWEB",
        "configuration": configuration,
    } | more


def deleted(captured: str, **more: Any) -> dict[str, Any]:
    """Return an AWS Config item of a role that was deleted."""
    return item(None, captured, **({"configurationItemStatus": "ResourceDeleted"} | more))


def of_age(age: str, captured: Any) -> list[dict[str, Any]]:
    """Return an item of a role whose tag says how old the capture is."""
    return [item(config_role(tags=[{"key": "age", "value": age}]), captured)]


CONFIG_SHAPES = {
    "API": lambda configuration: {"configurationItems": [item(json.dumps(configuration))]},
    "API batch": lambda configuration: {"baseConfigurationItems": [item(json.dumps(configuration))]},
    "S3 snapshot": lambda configuration: {"fileVersion": "1.0", "configurationItems": [item(configuration)]},
    "single item": item,
    "list of items": lambda configuration: [item(configuration)],
}
BATCH = item(config_role("batch"), ARN="b", arn=WEB.replace("web", "batch"))
RECORDED = config_role(
    tags=[{"key": "owner", "value": "ops"}],
    instanceProfileList=[
        {"arn": WEB_PROFILE, "instanceProfileName": "web", "path": "/", "instanceProfileId": "AIPAWEB"}
    ],
)
OF_CLOUDFORMATION = {"Arn": WEB_PROFILE, "InstanceProfileName": "web", "Path": "/", "Roles": ["web"]}
CONFIG: list[Case] = [
    *(
        (
            f"Config shows the role with its links, tags and trust: {name}",
            {"config.json": shape(RECORDED)},
            {"roles.role_arn": [WEB], "roles.role_name": ["web"], "roles.role_id": ["AROAWEB"]}
            | {"roles.trust_policy": [TRUST_TEXT], "roles.trusts_ec2": ["yes"], "tags": {WEB: OPS}, "links": LINK}
            | {"roles.created_at": [pd.Timestamp("2024-05-01T09:00:00Z")]},
        )
        for name, shape in CONFIG_SHAPES.items()
    ),
    (
        "Config that records empty tags says that there are none, and when it looked; it is never the whole account",
        {"config.json": [item(config_role(tags=[]))]},
        {"roles.tags_known": [True], "accounts.captured_at": [pd.Timestamp("2024-06-01T00:00:00Z")]}
        | {"whole": (False, False)},
    ),
    (
        "Config that records no tags leaves them unknown",
        {"config.json": [item(without(config_role(), "tags"), tags={})]},
        {"roles.tags_known": [False]},
    ),
    *(
        (
            f"the latest capture counts across files, whatever form its time has: {new}, {old}",
            {"a.json": of_age("new", new), "b.json": of_age("old", old)},
            {"tags": {WEB: {"age": "new"}}, "reasons": ["not_in_file"]},
        )
        for new, old in (
            ("2024-07-01T00:00:00.000Z", "2024-06-01T00:00:00.000Z"),
            ("2024-06-30T22:30:00Z", "2024-07-01T00:00:00.000+02:00"),
            ("2024-07-01T00:00:00.5Z", "2024-07-01T00:00:00Z"),
            (1719792000.5, 1719792000),
            (1719792000, "2024-06-30T23:59:59Z"),
        )
    ),
    (
        "a capture time in seconds says when Config looked",
        {"config.json": [item(config_role(), 1719792000)]},
        {"accounts.captured_at": [pd.Timestamp("2024-07-01T00:00:00Z")]},
    ),
    *(
        (
            f"a role that Config saw deleted is dropped: {status}",
            {"a.json": [BATCH], "b.json": [item(config_role())]}
            | {"c.json": [deleted("2024-07-01T00:00:00.000Z", configurationItemStatus=status)]},
            {"roles.role_name": ["batch"], "reasons": ["not_in_file"]},
        )
        for status in ("ResourceDeleted", "ResourceDeletedNotRecorded")
    ),
    (
        "a role that was made anew after its deletion is kept",
        {"a.json": [item(config_role(), "2024-07-02T00:00:00.000Z")], "b.json": [deleted("2024-07-01T00:00:00.000Z")]},
        {"roles.role_name": ["web"]},
    ),
    (
        "a deletion that another region records late does not delete the role that was made anew",
        {
            "us-east-1.json": [
                deleted("2024-07-01T00:00:00.000Z", resourceId="AROAOLD"),
                item(config_role(), "2024-07-01T00:00:20.000Z"),
            ],
            "eu-west-1.json": [deleted("2024-07-01T00:00:30.000Z", resourceId="AROAOLD")],
        },
        {"roles.role_name": ["web"]},
    ),
    (
        "Config shows an instance profile in the case that CloudFormation gives it",
        {
            "config.json": [
                item(without(config_role(), "instanceProfileList")),
                item(OF_CLOUDFORMATION, resourceType="AWS::IAM::InstanceProfile", ARN=WEB_PROFILE, arn=WEB_PROFILE),
            ]
        },
        {"links": LINK},
    ),
]


def test_snapshots_of_config_in_s3_are_told_apart_by_their_spelling_of_the_arn(tmp_path: Path) -> None:
    """AWS Config names a profile by its name in `resourceId`, and S3 has `ARN` and `awsAccountId`."""
    accounts = ["000000000001", "000000000002"]
    files = {}
    for account in accounts:
        arn = f"arn:aws:iam::{account}:instance-profile/web"
        held = {"Path": "/", "InstanceProfileName": "web", "Arn": arn, "Roles": []}
        more = {"resourceType": "AWS::IAM::InstanceProfile", "resourceId": "web", "ARN": arn, "awsAccountId": account}
        recorded = without(item(held, **more), "arn", "accountId")
        files[f"{account}.json"] = {"fileVersion": "1.0", "configurationItems": [recorded]}
    assert load(tmp_path, files).profiles["account_id"].tolist() == accounts


def test_a_deletion_in_s3_deletes_the_role_of_an_answer_of_the_api(tmp_path: Path) -> None:
    api = without(item(json.dumps(config_role())), "ARN", "awsAccountId")
    gone = without(deleted("2024-07-01T00:00:00.000Z"), "arn", "accountId")
    other = item(config_role("batch"), arn=WEB.replace("web", "batch"))
    items = {"api.json": {"configurationItems": [api, other]}, "s3.json": {"configurationItems": [gone]}}
    assert load(tmp_path, items).roles["role_name"].tolist() == ["batch"]


# Terraform


NEW = {"name": "web", "path": "/"}
IN_MODULE = "module.a.module.b.aws_iam_role.web"
NEW_ROLE = plan_resource("aws_iam_role.web", NEW)
FRONT = {"description": "front", "max_session_duration": 7200, "permissions_boundary": "arn:aws:iam::aws:policy/B"}
TERRAFORM: list[Case] = [
    (
        "a Terraform state shows what it manages, and is never the whole account",
        {"x.tfstate": state_of(tf_role(**FRONT))},
        {"roles.role_arn": [WEB], "roles.role_name": ["web"], "roles.role_id": ["AROAWEB"], "whole": (False, False)}
        | {"roles.description": ["front"], "roles.max_session_seconds": [7200], "roles.trust_policy": [TRUST_TEXT]}
        | {"roles.permissions_boundary_arn": ["arn:aws:iam::aws:policy/B"], "roles.last_used_known": [False]},
    ),
    (
        "a Terraform data source is not taken",
        {"x.tfstate": state(managed("aws_iam_role", tf_role("theirs"), "data"), managed("aws_iam_role", tf_role()))},
        {"roles.role_name": ["web"]},
    ),
    (
        "a deposed instance is not taken",
        {
            "x.tfstate": state(
                managed("aws_iam_role", tf_role("old"), deposed="0a1b2c3d"), managed("aws_iam_role", tf_role())
            )
        },
        {"roles.role_name": ["web"]},
    ),
    *(
        (
            f"Terraform tags are tags_all, or else tags: {attributes}",
            {"x.tfstate": state_of(tf_role(**attributes))},
            {"roles.tags_known": [known], "tags": {WEB: tags} if tags else {}},
        )
        for attributes, known, tags in (
            ({"tags": {"a": "1"}, "tags_all": {"a": "1", "team": "ops"}}, True, {"a": "1", "team": "ops"}),
            ({"tags": {"a": "1"}}, True, {"a": "1"}),
            ({"tags": None, "tags_all": {}}, True, {}),
            ({"tags": {"a": "1"}, "tags_all": {}}, True, {}),
            ({}, False, {}),
        )
    ),
    (
        "a role that Terraform names is resolved within its account",
        {
            "x.tfstate": state(
                managed("aws_iam_role", tf_role()), managed("aws_iam_instance_profile", tf_profile(role="WEB"))
            )
        },
        {"links": LINK, "gaps.GetRole": []},
    ),
    (
        "a role that only Terraform names keeps a link to its name and a gap",
        {"x.tfstate": state_of_profile()},
        {"links": [(WEB_PROFILE, "name:web")], "profiles.role_known": [True]}
        | {"gaps.GetRole": [("name:web", "not_in_file")]},
    ),
    *(
        (
            f"a Terraform profile with the role {role!r} is empty",
            {"x.tfstate": state_of_profile(role=role)},
            {"profiles.role_known": [True], "links": []},
        )
        for role in (None, "")
    ),
    (
        "a Terraform profile without a role attribute is not taken for empty",
        {"x.tfstate": state(managed("aws_iam_instance_profile", without(tf_profile(), "role")))},
        {"profiles.role_known": [False]},
    ),
    (
        "a resource that a plan will make is keyed by its address",
        {"plan.json": plan(plan_resource(IN_MODULE, NEW | {"tags_all": {}}))},
        {"roles.role_arn": [f"address:{IN_MODULE}"], "roles.account_id": ["unknown"], "roles.role_name": ["web"]}
        | {"roles.tags_known": [True]},
    ),
    (
        "a resource that has an arn in a plan keeps it",
        {"plan.json": plan(plan_resource("aws_iam_role.web", tf_role()))},
        {"roles.role_arn": [WEB]},
    ),
    *(
        (
            f"tags are known only where a plan calls none of them unknown: {attributes}, {unknown}",
            {
                "plan.json": plan(
                    plan_resource("aws_iam_role.web", NEW | attributes), unknown={"aws_iam_role.web": unknown}
                )
            },
            {"roles.tags_known": [bool(tags)], "tags": tags},
        )
        for attributes, unknown, tags in (
            ({}, {"arn": True, "tags_all": True}, {}),
            ({}, {"arn": True, "tags": True}, {}),
            ({"tags_all": OPS}, {"tags_all": {"stamp": True}}, {}),
            ({"tags_all": OPS}, {"tags_all": {}}, {"address:aws_iam_role.web": OPS}),
        )
    ),
    (
        "a role that a plan calls unknown leaves the profile neither empty nor linked",
        {
            "plan.json": plan(
                plan_resource("aws_iam_instance_profile.web", NEW),
                unknown={"aws_iam_instance_profile.web": {"role": True}},
            )
        },
        {"profiles.role_known": [False], "links": []},
    ),
    (
        "a trust policy that a plan calls unknown stays unknown",
        {"plan.json": plan(NEW_ROLE, unknown={"aws_iam_role.web": {"assume_role_policy": True}})},
        {"roles.trusts_ec2": ["unknown"]},
    ),
    (
        "roles of one plan are resolved by name",
        {"plan.json": plan(NEW_ROLE, plan_resource("aws_iam_instance_profile.web", NEW | {"role": "web"}))},
        {"links": [("address:aws_iam_instance_profile.web", "address:aws_iam_role.web")]},
    ),
    (
        "a shown state manages what its values hold",
        {
            "state.json": {
                "format_version": "1.0",
                "values": {"root_module": {"resources": [plan_resource("aws_iam_role.web", tf_role())]}},
            }
        },
        {"roles.role_arn": [WEB]},
    ),
]


@pytest.mark.parametrize("version", [3, 5])
def test_a_terraform_state_of_another_version_is_a_gap(tmp_path: Path, version: int) -> None:
    documents = {"x.tfstate": state() | {"version": version}, "dump.json": dump(role_detail("web"))}
    assert reasons(load(tmp_path, documents), "file") == [(str(tmp_path / "x.tfstate"), "unreadable")]


# Steampipe


def row(name: str = "web", **more: Any) -> dict[str, Any]:
    """Return one row of Steampipe's aws_iam_role."""
    return {
        "arn": f"arn:aws:iam::{ACCOUNT}:role/{name}",
        "name": name,
        "path": "/",
        "role_id": f"AROA{name.upper()}",
        "create_date": "2024-05-01T09:00:00Z",
        "assume_role_policy": trust("ec2.amazonaws.com"),
        "instance_profile_arns": None,
        "tags": None,
        "role_last_used_date": None,
    } | more


FULL_ROW = row(instance_profile_arns=[WEB_PROFILE], tags=OPS)
STEAMPIPE: list[Case] = [
    *(
        (
            f"Steampipe rows show roles and links, and never the whole account: {type(rows).__name__}",
            {"rows.json": rows},
            {"roles.trust_policy": [TRUST_TEXT], "tags": {WEB: OPS}, "links": LINK}
            | {"profiles.tags_known": [False], "whole": (False, False)},
        )
        for rows in ([FULL_ROW], {"rows": [FULL_ROW], "columns": []})
    ),
    *(
        (
            f"null tags mean none where a row carries what only GetRole gives: {column}",
            {"rows.json": [row(), row("batch", **{column: value})]},
            {"roles.role_name": ["batch", "web"], "roles.tags_known": [True, True]}
            | {"tags": {WEB.replace("web", "batch"): OPS} if column.startswith("tags") else {}},
        )
        for column, value in {
            "role_last_used_date": "2024-06-01T00:00:00Z",
            "role_last_used_region": "eu-west-1",
            "permissions_boundary_arn": "arn:aws:iam::aws:policy/B",
            "tags": OPS,
            "tags_src": OWNER,
        }.items()
    ),
    (
        "null tags stay unknown where no row carries what only GetRole gives",
        {"rows.json": [row(max_session_duration=3600, description="front"), row("batch")]},
        {"roles.tags_known": [False, False], "roles.last_used_known": [False, False]},
    ),
    (
        "tags that the query did not ask for stay unknown",
        {"rows.json": [without(row(role_last_used_date="2024-06-01T00:00:00Z"), "tags")]},
        {"roles.tags_known": [False]},
    ),
    (
        "null links mean none where another row shows some",
        {"rows.json": [row(), row("batch", instance_profile_arns=[WEB_PROFILE])]},
        {"gaps.ListInstanceProfilesForRole": []},
    ),
    (
        "null links stay unknown where no row shows any",
        {"rows.json": [row(), row("batch")]},
        {"gaps.ListInstanceProfilesForRole": [("*", "not_in_file")]},
    ),
    (
        # Steampipe can query several accounts at once, and ignore that one of them refuses a call.
        "null tags and links of an account stay unknown where only another account's rows show some",
        {
            "rows.json": [
                row("batch", tags=OPS, instance_profile_arns=[WEB_PROFILE]),
                row(),
                row("app", arn="arn:aws:iam::000000000002:role/app"),
            ]
        },
        {"roles.role_name": ["batch", "web", "app"], "roles.tags_known": [True, True, False]}
        | {"roles.last_used_known": [True, True, False]}
        | {"gaps.ListInstanceProfilesForRole": [("*", "not_in_file")]},
    ),
]


def test_a_steampipe_row_of_another_table_is_no_role(tmp_path: Path) -> None:
    """Most tables of Steampipe have the columns `arn` and `name`."""
    bucket = {"arn": "arn:aws:s3:::bucket", "name": "bucket"}
    files = {"s3.json": {"rows": [bucket]}, "both.json": {"rows": [{"arn": WEB, "name": "web"}, bucket]}}
    inventory = load(tmp_path, files)
    assert inventory.roles["role_arn"].tolist() == [WEB]
    said = inventory.gaps["detail"][inventory.gaps["reason"] == "unreadable"]
    assert said.str.contains("has rows of a table other than aws_iam_role and aws_iam_instance_profile").sum() == 2


def test_steampipe_profile_rows_show_profiles_and_what_they_hold(tmp_path: Path) -> None:
    held = {"arn": WEB_PROFILE, "instance_profile_name": "web", "instance_profile_id": "AIPAWEB", "path": "/"}
    broken = {"arn": WEB_PROFILE + "-2", "instance_profile_name": "web-2", "roles": ["web"]}
    inventory = load(tmp_path, {"rows.json": [held | {"roles": [nested_role("web")], "tags": OPS}, broken]})
    assert (shown(inventory, "links"), shown(inventory, "tags")) == (LINK, {WEB_PROFILE: OPS})
    assert reasons(inventory, "file") == [(f"{tmp_path / 'rows.json'} $[1]", "unreadable")]


SHOWN = ANSWERS + REFERENCES + CONFIG + TERRAFORM + STEAMPIPE


@pytest.mark.parametrize(("documents", "expected"), [case[1:] for case in SHOWN], ids=[case[0] for case in SHOWN])
def test_files_show_what_they_prove_and_nothing_else(
    tmp_path: Path, documents: dict[str, Any], expected: dict[str, Any]
) -> None:
    inventory = load(tmp_path, documents)
    assert {name: shown(inventory, name) for name in expected} == expected


# denied.csv


@pytest.mark.parametrize(
    ("line", "operation", "subject", "reason"),
    [
        ("iam:ListInstanceProfileTags,web,AccessDenied", "ListInstanceProfileTags", "web", "denied"),
        ("list-role-tags,web,AccessDeniedException", "ListRoleTags", "web", "denied"),
        ("aws iam list-role-tags,web,Throttling", "ListRoleTags", "web", "throttled"),
        ("DescribeInstances,eu-west-1,UnauthorizedOperation", "DescribeInstances", "eu-west-1", "denied"),
        (
            "batch:DescribeComputeEnvironments,eu-west-1,AccessDenied",
            "DescribeComputeEnvironments",
            "eu-west-1",
            "denied",
        ),
        ("eks:ListClusters,eu-west-1,AccessDenied", "eks:ListClusters", "eu-west-1", "denied"),
        ("aws emr list-clusters,eu-west-1,AccessDenied", "elasticmapreduce:ListClusters", "eu-west-1", "denied"),
        ("cloudformation:ListStacks,eu-west-1,AccessDenied", "cloudformation:ListStacks", "eu-west-1", "denied"),
        ("GetRole,web,NoSuchEntity", "GetRole", "web", "vanished"),
        ("GetRole,web,ExpiredToken", "GetRole", "web", "expired"),
    ],
)
def test_denied_csv_says_what_was_refused(tmp_path: Path, line: str, operation: str, subject: str, reason: str) -> None:
    documents = {
        "000000000001/dump.json": dump(role_detail("web")),
        "000000000001/denied.csv": f"operation,subject,error_code\n{line}\n",
    }
    gaps = load(tmp_path, documents).gaps
    found = gaps[(gaps["operation"] == operation) & (gaps["subject"] == subject)]
    assert list(zip(found["account_id"], found["reason"], strict=True)) == [("000000000001", reason)]


def test_a_refusal_without_the_line_of_column_names_is_a_gap(tmp_path: Path) -> None:
    documents = {"dump.json": dump(role_detail("web")), "denied.csv": "DescribeInstances,eu-west-1,AccessDenied\n"}
    gaps = load(tmp_path, documents).gaps
    (detail,) = gaps["detail"][gaps["reason"] == "unreadable"]
    assert detail.endswith("denied.csv: needs the columns operation, subject, error_code")


def test_an_account_of_which_all_was_refused_is_there_and_every_check_of_it_is_unknown(tmp_path: Path) -> None:
    documents = {
        "000000000001/profiles.json": profile_list(profile("web")),
        "000000000002/denied.csv": "operation,subject,error_code\nListRoles,,AccessDenied\n",
    }
    inventory = load(tmp_path, documents)
    assert list(inventory.accounts["account_id"]) == ["000000000001", "000000000002"]
    coverage = run_checks(inventory, ["empty_profiles", "untagged_roles"]).coverage
    refused = coverage[coverage["account_id"] == "000000000002"]
    assert list(refused["status"]) == ["unknown", "unknown"]


def test_where_all_was_refused_and_nothing_says_to_whom_each_check_is_unknown_of_an_unknown_account(
    tmp_path: Path,
) -> None:
    inventory = load(tmp_path, {"denied.csv": "operation,subject,error_code\nListInstanceProfiles,,AccessDenied\n"})
    assert inventory.accounts["account_id"].tolist() == ["unknown"]
    coverage = run_checks(inventory).coverage
    assert list(zip(coverage["account_id"], coverage["check"], strict=True)) == [("unknown", name) for name in CHECKS]
    assert set(coverage["status"]) == {"unknown"}


@pytest.mark.parametrize("packed", [False, True])
def test_denied_csv_is_read_where_it_is_packed_by_gzip(tmp_path: Path, packed: bool) -> None:
    text = gzip.compress(b"operation,subject,error_code\nGetRole,web,AccessDenied\n")
    name, content = ("x.zip", zipped({"denied.csv.gz": text})) if packed else ("denied.csv.gz", text)
    gaps = load(tmp_path, {"dump.json": dump(role_detail("web")), name: content}).gaps
    assert list(gaps[gaps["reason"] == "denied"]["subject"]) == ["web"]


def test_a_denied_describe_is_of_the_region_that_its_subject_names(tmp_path: Path) -> None:
    text = "operation,subject,error_code\nDescribeInstances,eu-west-1,UnauthorizedOperation\n"
    gaps = load(tmp_path, {"dump.json": dump(role_detail("web")), "denied.csv": text}).gaps
    assert list(gaps[gaps["reason"] == "denied"]["region"]) == ["eu-west-1"]


# How files are written


def test_answers_that_a_recorder_wrapped_are_read(tmp_path: Path) -> None:
    created = {
        "__class__": "datetime",
        "year": 2024,
        "month": 5,
        "day": 1,
        "hour": 9,
        "minute": 0,
        "second": 5,
        "microsecond": 7,
    }
    data = listed(nested_role("web") | {"CreateDate": created}, IsTruncated=False, ResponseMetadata={})
    inventory = load(tmp_path, {"iam.ListRoles_1.json": {"status_code": 200, "data": data}})
    assert only_row(inventory.roles)["created_at"] == pd.Timestamp("2024-05-01T09:00:05.000007Z")
    assert wholeness(inventory) == (True, False)


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        ("2024-05-01T11:00:00+02:00", "2024-05-01T09:00:00Z"),
        ("2024-05-01T09:00:00Z", "2024-05-01T09:00:00Z"),
        ("2024-05-01T09:00:00.123Z", "2024-05-01T09:00:00.123Z"),
        ("2024-05-01T09:00:00", "2024-05-01T09:00:00Z"),
        (1714554000, "2024-05-01T09:00:00Z"),
        (1714554000.5, "2024-05-01T09:00:00.5Z"),
    ],
)
def test_times_are_utc_however_they_are_written(tmp_path: Path, created: str | float, expected: str) -> None:
    roles = load(tmp_path, {"roles.json": listed(nested_role("web") | {"CreateDate": created}, nested_role("x"))}).roles
    assert roles.set_index("role_name")["created_at"]["web"] == pd.Timestamp(expected)


@pytest.mark.parametrize("between", ["", "\n", "\n\n  "])
def test_documents_that_were_appended_to_one_file_are_all_read(tmp_path: Path, between: str) -> None:
    text = between.join(json.dumps({"Role": nested_role(name)}) for name in ("a", "b", "c")) + "\n"
    assert list(load(tmp_path, {"roles.json": text}).roles["role_name"]) == ["a", "b", "c"]


def test_pretty_printed_documents_that_were_appended_to_one_file_are_all_read(tmp_path: Path) -> None:
    text = "\n".join(json.dumps(d, indent=4) for d in (dump(role_detail("web")), profile_list(profile("old"))))
    inventory = load(tmp_path, {"all.json": text})
    assert wholeness(inventory) == (True, True)


@pytest.mark.parametrize("suffix", ["jsonl", "ndjson", "json"])
def test_json_lines_are_all_read(tmp_path: Path, suffix: str) -> None:
    text = "".join(json.dumps(item(config_role(n), arn=f"arn:aws:iam::1:role/{n}")) + "\r\n" for n in ("a", "b"))
    assert list(load(tmp_path, {f"items.{suffix}": text}).roles["role_name"]) == ["a", "b"]


LIST = json.dumps(listed(nested_role("web", Description="Größe 角色")), ensure_ascii=False)
UTF8 = LIST.encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("roles.json", UTF8),
        ("roles.json", b"\xef\xbb\xbf" + UTF8),
        ("roles.json", LIST.encode("utf-16")),
        ("roles.json", b"\xff\xfe" + LIST.encode("utf-16-le")),
        ("roles.json", b"\xfe\xff" + LIST.encode("utf-16-be")),
        ("roles.json.gz", gzip.compress(UTF8)),
        ("roles.json", gzip.compress(UTF8)),
        ("roles.json.gz", UTF8),
        ("dump.zip", zipped({"roles.json": gzip.compress(UTF8)})),
        ("roles.json.gz", gzip.compress(UTF8[:50]) + gzip.compress(UTF8[50:])),
        ("dump.zip", zipped({"a/roles.json": UTF8, "a/readme.txt": b"hello"})),
        ("dump.zip", zipped({"roles.json.gz": gzip.compress(UTF8)})),
        ("DUMP.ZIP", zipped({"ROLES.JSON": b"\xef\xbb\xbf" + UTF8})),
    ],
)
def test_a_list_is_read_however_it_is_encoded_and_packed(tmp_path: Path, name: str, content: bytes) -> None:
    inventory = load(tmp_path, {name: content})
    assert only_row(inventory.roles)["description"] == "Größe 角色"
    assert wholeness(inventory) == (True, False)


@pytest.mark.skipif(os.name == "nt", reason="file names are text there")
def test_two_files_whose_names_are_no_text_are_both_read(tmp_path: Path) -> None:
    for byte, role in ((b"\xfe", "a"), (b"\xff", "b")):
        (tmp_path / os.fsdecode(byte + b".json")).write_text(json.dumps({"Role": nested_role(role)}))
    assert list(load_files(tmp_path).roles["role_name"]) == ["a", "b"]


@pytest.mark.parametrize("name", ["prod.state", "terraform.tfstate.backup", "roles.txt", "roles.json.gz.1"])
@pytest.mark.parametrize("is_zipped", [False, True])
def test_json_with_another_ending_in_a_folder_or_archive_is_named_as_not_read(
    tmp_path: Path, name: str, is_zipped: bool
) -> None:
    text = json.dumps([nested_role("a")], indent=2).encode()
    other = {name: gzip.compress(text) if ".gz" in name else text, "README.txt": b"[a] {x}"}
    documents: dict[str, Any] = {"all.zip": zipped(other)} if is_zipped else other
    inventory = load(tmp_path, {"dump.json": dump(role_detail("web"))} | documents)
    assert inventory.roles["role_name"].tolist() == ["web"]
    (gap,) = inventory.gaps[inventory.gaps["reason"] == "unreadable"].to_dict("records")
    assert name in gap["subject"]
    assert "rename the file to NAME.json, or to NAME.json.gz if the file is packed with gzip" in gap["detail"]


@pytest.mark.parametrize("is_zipped", [False, True])
def test_older_states_beside_a_state_and_gzip_files_that_are_no_json_are_skipped(
    tmp_path: Path, is_zipped: bool
) -> None:
    text = json.dumps(state_of(tf_role("web"))).encode()
    older = {f"a/terraform.tfstate{end}": text for end in ("", ".backup", ".1699999999.backup")}
    documents = older | {"logs.tar.gz": gzip.compress(b"logs/\0"), "flow.log.gz": gzip.compress(b"2 eni-1 ACCEPT")}
    inventory = load(tmp_path, {"all.zip": zipped(documents)} if is_zipped else documents)
    assert inventory.roles["role_name"].tolist() == ["web"]
    assert inventory.gaps[inventory.gaps["reason"] == "unreadable"].empty


REPOSITORY: dict[str, Any] = {
    "package-lock.json": {"name": "x", "version": "1", "packages": {}},
    "env/prod.tfvars.json": {"region": "eu-west-1", "clusters": [{"name": "a"}]},
    "modules/main.tf.json": {"resource": {"aws_iam_role": {}}},
    "modules/containers.json": [{"name": "web", "image": "x"}, {"name": "db", "image": "y"}],
    "schema.json": {"format_version": "1.0", "provider_schemas": {}},
    "a.ipynb": {"cells": [{"outputs": [{"values": []}]}], "nbformat": 4},
    "policies/web.json.tpl": '{\n"Statement": [{"Effect": "Allow", "Resource": ${jsonencode(arns)}}]}',
}


@pytest.mark.parametrize("is_zipped", [False, True])
def test_files_of_a_repository_that_are_no_exports_share_one_gap(tmp_path: Path, is_zipped: bool) -> None:
    documents = REPOSITORY | {"terraform.tfstate": state_of(tf_role("web"))}
    if is_zipped:
        texts = {name: one if isinstance(one, str) else json.dumps(one) for name, one in documents.items()}
        documents = {"all.zip": zipped({name: text.encode() for name, text in texts.items()})}
    inventory = load(tmp_path, documents)
    assert inventory.roles["role_name"].tolist() == ["web"]
    (said,) = inventory.gaps[inventory.gaps["reason"] == "unreadable"]["detail"]
    assert "no data was taken from these 5 files" in said


@pytest.mark.parametrize(
    "unread",
    [
        {"list-roles.json": [{"Name": "web"}]},
        {"x.json": [{"Role": nested_role("db")}, {"Name": "web"}]},
        {"roles.json.1": '{"Roles": [{"Arn": '},
        {"policy.json": '{"Statement": ${x}}'},
        {"old.tfstate": {"version": 3, "terraform_version": "0.11.14", "serial": 1, "lineage": "l", "modules": []}},
        {"opentofu.tfstate": {"serial": 1, "lineage": "l", "encrypted_data": "x", "encryption_version": "v0"}},
    ],
)
def test_what_may_be_an_export_and_cannot_be_read_has_a_gap_of_its_own(tmp_path: Path, unread: dict[str, Any]) -> None:
    inventory = load(tmp_path, {"good.json": {"Role": nested_role("web")}, "package.json": {"name": "x"}} | unread)
    found = inventory.gaps[inventory.gaps["reason"] == "unreadable"]
    assert sorted(found["message"]) == ["gaps.foreign", "gaps.unreadable"]


def test_a_file_is_read_whatever_its_suffix_where_it_is_named_itself(tmp_path: Path) -> None:
    folder = write(tmp_path, {"roles.txt": UTF8})
    assert len(load_files(folder / "roles.txt").roles) == 1


def test_a_terraform_state_without_roles_is_one_gap_if_it_shows_no_account(tmp_path: Path) -> None:
    gaps = load(tmp_path, {"terraform.tfstate": state()}).gaps
    assert gaps["operation"][gaps["reason"] == "unreadable"].tolist() == ["terraform:state"]


def test_hidden_folders_are_passed_over(tmp_path: Path) -> None:
    documents = {"roles.json": UTF8, ".terraform/terraform.tfstate": state_of(tf_role("x"))}
    assert list(load(tmp_path, documents).roles["role_name"]) == ["web"]


def test_hidden_folders_of_an_archive_are_passed_over_and_so_is_that_of_the_finder_of_macos(tmp_path: Path) -> None:
    members = {
        "export/eu-west-1/describe-instances.json": b'{"Reservations": []}',
        "export/list-roles.json": UTF8,
        "export/role-tags/.x.json": b'{"Tags": []}',
        "export/.terraform/terraform.tfstate": b'{"version": 3, "serial": 1, "backend": {}}',
        "__MACOSX/export/._list-roles.json": b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ",
        "__MACOSX/export/eu-west-1/._describe-instances.json": b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ",
    }
    inventory = load(tmp_path, {"export.zip": zipped(members)})
    assert list(inventory.roles["role_name"]) == ["web"]
    assert (".x", "not_in_file") in reasons(inventory, "ListRoleTags"), "a role's name may begin with a dot"
    assert list(inventory.gaps["reason"]).count("unreadable") == 0


POLICY = trust("ec2.amazonaws.com")


@pytest.mark.parametrize(
    "document",
    [
        POLICY,
        json.dumps(POLICY),
        json.dumps(POLICY, indent=4),
        quote(json.dumps(POLICY)),
        quote(json.dumps(POLICY, indent=2), safe=""),
    ],
)
def test_a_trust_policy_is_the_same_text_however_it_is_written(tmp_path: Path, document: dict[str, Any] | str) -> None:
    row = only_row(load(tmp_path, {"roles.json": listed(nested_role("web", policy=document))}).roles)
    assert row["trust_policy"] == TRUST_TEXT
    assert (row["trusts_ec2"], row["trusted_services"]) == ("yes", "ec2.amazonaws.com")


@pytest.mark.parametrize("encode", [str, quote, lambda text: quote(text, safe="+")])
def test_a_plus_and_a_percent_sign_in_a_trust_policy_survive(tmp_path: Path, encode: Any) -> None:
    policy = {"Version": "2012-10-17", "Statement": [{"Sid": "a+b", "Condition": {"StringEquals": {"k": "50%25 é"}}}]}
    text = encode(json.dumps(policy, ensure_ascii=False))
    row = only_row(load(tmp_path, {"roles.json": listed(nested_role("web", policy=text))}).roles)
    assert row["trust_policy"] == (
        '{"Version":"2012-10-17","Statement":[{"Sid":"a+b","Condition":{"StringEquals":{"k":"50%25 é"}}}]}'
    )


def test_a_trust_policy_is_the_same_text_with_and_without_escapes(tmp_path: Path) -> None:
    policy = {"Statement": [{"Sid": "é", "Effect": "Allow"}]}
    roles = listed(
        nested_role("a", policy=json.dumps(policy, ensure_ascii=True)),
        nested_role("b", policy=json.dumps(policy, ensure_ascii=False)),
    )
    texts = load(tmp_path, {"roles.json": roles}).roles["trust_policy"]
    assert list(texts) == [
        '{"Statement":[{"Sid":"é","Effect":"Allow"}]}',
        '{"Statement":[{"Sid":"é","Effect":"Allow"}]}',
    ]


# What takes wholeness away


@pytest.mark.parametrize(
    "mark", [{"NextToken": "eyJ"}, {"IsTruncated": True}, {"IsTruncated": True, "Marker": "AAE"}, {"Marker": "AAE"}]
)
@pytest.mark.parametrize(
    ("document", "operation"),
    [
        (listed(nested_role("web")), "ListRoles"),
        (dump(role_detail("web")), "GetAccountAuthorizationDetails"),
        (profile_list(profile("web", nested_role("web"))), "ListInstanceProfiles"),
    ],
)
def test_a_list_that_says_that_there_is_more_is_not_whole(
    tmp_path: Path, document: dict[str, Any], operation: str, mark: dict[str, Any]
) -> None:
    inventory = load(tmp_path, {"list.json": document | mark})
    assert wholeness(inventory) == (False, False)
    assert (str(tmp_path / "list.json"), "truncated") in reasons(inventory, operation)


@pytest.mark.parametrize(
    "mark", [{"IsTruncated": False}, {"NextToken": None}, {"NextToken": ""}, {"IsTruncated": False, "Marker": None}]
)
def test_a_list_that_says_that_there_is_no_more_is_whole(tmp_path: Path, mark: dict[str, Any]) -> None:
    assert wholeness(load(tmp_path, {"list.json": listed(nested_role("web"), **mark)})) == (True, False)


def test_a_page_that_is_not_the_last_takes_wholeness_from_the_last_one_too(tmp_path: Path) -> None:
    documents = {"1.json": listed(nested_role("a"), IsTruncated=True, Marker="m"), "2.json": listed(nested_role("b"))}
    inventory = load(tmp_path, documents)
    assert len(inventory.roles) == 2
    assert wholeness(inventory) == (False, False)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"Roles": 2, "InstanceProfiles": 1}, (False, True)),
        ({"Roles": 1, "InstanceProfiles": 2}, (True, False)),
        ({"Roles": 1, "InstanceProfiles": 1}, (True, True)),
        ({"Roles": 0, "InstanceProfiles": 0}, (True, True)),
        ({"Users": 3}, (True, True)),
    ],
)
def test_a_count_above_the_rows_takes_wholeness_away(
    tmp_path: Path, counts: dict[str, int], expected: tuple[bool, bool]
) -> None:
    documents = {
        "dump.json": dump(role_detail("web", [profile("web")])),
        "profiles.json": profile_list(profile("web", nested_role("web"))),
        "summary.json": {"SummaryMap": counts},
    }
    assert wholeness(load(tmp_path, documents)) == expected


def test_a_list_of_several_accounts_is_the_whole_list_of_none(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"roles.json": listed(nested_role("a"), nested_role("b", account="000000000002"))})
    assert list(completeness(inventory)["roles_whole"]) == [False, False]


@pytest.mark.parametrize("other", ["profiles.json", "../profiles.json"])
def test_files_of_one_name_in_an_archive_are_all_read(other: str, tmp_path: Path) -> None:
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        warnings.simplefilter("ignore")  # zipfile warns of the name that stands there twice
        archive.writestr("profiles.json", json.dumps(profile_list(profile("one"))))
        archive.writestr(other, json.dumps(profile_list(profile("two", account="000000000002"))))
    assert load_files(tmp_path / "x.zip").profiles["profile_name"].tolist() == ["one", "two"]


# Dumps that were made with a filter

POLICY = {"PolicyName": "p", "Arn": "arn:aws:iam::000000000001:policy/p"}
ANN = {"UserName": "ann", "Arn": "arn:aws:iam::000000000001:user/ann"}


@pytest.mark.parametrize("more", [{}, {"Policies": [POLICY]}, {"UserDetailList": [ANN]}, {"GroupDetailList": [{}]}])
def test_a_dump_without_roles_says_nothing_of_roles(tmp_path: Path, more: dict[str, Any]) -> None:
    inventory = load(tmp_path, {"id.json": identity(), "dump.json": dump(**more)})
    assert wholeness(inventory) == (False, False)
    operation = "GetAccountAuthorizationDetails"
    (gap,) = inventory.gaps[inventory.gaps["operation"] == operation].to_dict("records")
    assert (gap["account_id"], gap["reason"]) == (ACCOUNT, "truncated")
    assert "lists no roles, although every account has some" in gap["detail"]


def test_a_dump_without_roles_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="lists no roles, although every account has some"):
        load(tmp_path, {"dump.json": dump()})


@pytest.mark.parametrize("names", [("a.json", "b.json"), ("b.json", "a.json")])
@pytest.mark.parametrize("other", [dump(UserDetailList=[ANN]), dump(role_detail("web"), IsTruncated=True)])
def test_a_whole_list_stays_whole_beside_a_part_of_it(
    tmp_path: Path, names: tuple[str, str], other: dict[str, Any]
) -> None:
    whole = dump(role_detail("web"), role_detail("batch"))
    inventory = load(tmp_path, {names[0]: whole, names[1]: other})
    assert wholeness(inventory) == (True, False)
    assert "truncated" not in set(inventory.gaps["reason"])


@pytest.mark.parametrize(
    "others",
    [
        [dump(role_detail("web"), IsTruncated=True), dump(role_detail("batch"), IsTruncated=True)],
        # The first and the last page: the last one does not say that it is a page.
        [dump(role_detail("web"), IsTruncated=True), dump(role_detail("batch"))],
        # The first page of a long dump may hold users alone.
        [dump(UserDetailList=[ANN], IsTruncated=True), dump(role_detail("batch"))],
        # GetAccountSummary counts more.
        [dump(role_detail("web"), IsTruncated=True), dump(role_detail("web")), {"SummaryMap": {"Roles": 2}}],
    ],
)
def test_a_list_that_may_be_a_page_is_not_whole(tmp_path: Path, others: list[dict[str, Any]]) -> None:
    inventory = load(tmp_path, {f"{number}.json": document for number, document in enumerate(others)})
    assert wholeness(inventory) == (False, False)


# Several answers in one document


@pytest.mark.parametrize("form", [None, 1])
def test_answers_merged_into_one_document_are_all_read(tmp_path: Path, form: int | None) -> None:
    merged = listed(nested_role("web")) | profile_list(profile("web", nested_role("web")), profile("old"))
    inventory = load(tmp_path, {"all.json": json.dumps(merged | identity(), indent=form)})
    assert wholeness(inventory) == (True, True)
    assert list(inventory.profiles["profile_name"]) == ["old", "web"]


def test_of_answers_in_one_document_one_that_cannot_be_read_does_not_hide_the_other(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"all.json": {"Roles": None} | profile_list(profile("old"))})
    assert list(inventory.profiles["profile_name"]) == ["old"]
    assert "$.Roles contains null instead of a list" in " ".join(inventory.gaps["detail"])


@pytest.mark.parametrize("key", ["Roles", "RoleDetailList"])
def test_an_empty_arn_is_no_arn(tmp_path: Path, key: str) -> None:
    documents = {
        "roles.json": {key: [nested_role("web"), nested_role("a") | {"Arn": ""}, nested_role("b") | {"Arn": ""}]}
    }
    inventory = load(tmp_path, documents)
    assert list(inventory.roles["role_name"]) == ["web"]
    assert sum("Arn: expected `str` of length >= 1" in detail for detail in inventory.gaps["detail"]) == 2
    assert wholeness(inventory) == (False, False)

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

from iamframe.checks import CHECKS, run_checks
from iamframe.errors import SourceError
from iamframe.inventory.completeness import completeness
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.load import load_files

WEB = "arn:aws:iam::000000000001:role/web"
WEB_PROFILE = "arn:aws:iam::000000000001:instance-profile/web"
TRUST_TEXT = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},'
    '"Action":"sts:AssumeRole"}]}'
)


def only_row(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the one row of a frame, missing values as None."""
    (row,) = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return row


def tags_of(inventory: Inventory, arn: str) -> dict[str, str]:
    """Return the tags of one resource."""
    mine = inventory.tags[inventory.tags["resource_arn"] == arn]
    return dict(zip(mine["tag_key"], mine["tag_value"], strict=True))


def links_of(inventory: Inventory) -> list[tuple[str, str]]:
    """Return the links, profile first."""
    return list(zip(inventory.links["profile_arn"], inventory.links["role_arn"], strict=True))


def wholeness(inventory: Inventory) -> tuple[bool, bool]:
    """Return whether the roles and the profiles of the one account were read whole."""
    row = only_row(completeness(inventory))
    return row["roles_whole"], row["profiles_whole"]


def reasons(inventory: Inventory, operation: str) -> list[tuple[str, str]]:
    """Return subject and reason of the gaps of one operation."""
    gaps = inventory.gaps[inventory.gaps["operation"] == operation]
    return list(zip(gaps["subject"], gaps["reason"], strict=True))


def listed(*roles: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the output of list-roles."""
    return {"Roles": list(roles)} | more


# get-account-authorization-details


def test_an_account_dump_lists_all_roles_but_only_the_profiles_that_hold_one(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"dump.json": dump(role_detail("web", [profile("web")]), role_detail("batch"))})
    assert wholeness(inventory) == (True, False)
    assert links_of(inventory) == [(WEB_PROFILE, WEB)]
    assert only_row(inventory.profiles)["role_known"] is True


def test_an_account_dump_with_empty_lists_says_that_a_role_has_no_profile_and_no_tags(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"dump.json": dump(role_detail("web"))})
    assert reasons(inventory, "ListInstanceProfilesForRole") == []
    assert only_row(inventory.roles)["tags_known"] is True
    assert tags_of(inventory, WEB) == {}


def test_an_account_dump_without_a_roles_profile_list_leaves_its_profiles_unknown(tmp_path: Path) -> None:
    role = {key: value for key, value in role_detail("web").items() if key != "InstanceProfileList"}
    inventory = load(tmp_path, {"dump.json": dump(role, role_detail("batch"))})
    assert reasons(inventory, "ListInstanceProfilesForRole") == [(WEB, "not_in_file")]


def test_an_account_dump_shows_role_tags_where_the_key_is_there(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"dump.json": dump(role_detail("web", tags={"owner": "ops"}))})
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


def test_an_account_dump_without_the_tags_key_leaves_role_tags_unknown(tmp_path: Path) -> None:
    role = {key: value for key, value in role_detail("web").items() if key != "Tags"}
    assert only_row(load(tmp_path, {"dump.json": dump(role)}).roles)["tags_known"] is False


def test_an_account_dump_never_proves_profile_tags(tmp_path: Path) -> None:
    held = profile("web", Tags=tag_list({"owner": "ops"}))
    inventory = load(tmp_path, {"dump.json": dump(role_detail("web", [held]))})
    assert only_row(inventory.profiles)["tags_known"] is False
    assert tags_of(inventory, WEB_PROFILE) == {}


def test_an_account_dump_shows_last_use_and_boundary(tmp_path: Path) -> None:
    role = role_detail("web") | {
        "RoleLastUsed": {"LastUsedDate": "2024-06-01T10:00:00+00:00", "Region": "eu-west-1"},
        "PermissionsBoundary": {
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": "arn:aws:iam::aws:policy/B",
        },
    }
    row = only_row(load(tmp_path, {"dump.json": dump(role)}).roles)
    assert row["last_used_known"] is True
    assert row["last_used_at"] == pd.Timestamp("2024-06-01T10:00:00Z")
    assert row["last_used_region"] == "eu-west-1"
    assert row["permissions_boundary_arn"] == "arn:aws:iam::aws:policy/B"


def test_an_account_dump_with_empty_last_use_says_that_the_role_was_not_used(tmp_path: Path) -> None:
    row = only_row(load(tmp_path, {"dump.json": dump(role_detail("web"))}).roles)
    assert (row["last_used_known"], row["last_used_at"]) == (True, None)


def test_an_account_dump_never_proves_description_and_session_length(tmp_path: Path) -> None:
    role = role_detail("web", Description="front", MaxSessionDuration=7200)
    row = only_row(load(tmp_path, {"dump.json": dump(role)}).roles)
    assert (row["description"], row["max_session_seconds"]) == (None, None)


def test_an_account_dump_of_users_alone_is_not_a_whole_empty_list_of_roles(tmp_path: Path) -> None:
    user = {"UserName": "ann", "Arn": "arn:aws:iam::000000000001:user/ann"}
    inventory = load(tmp_path, {"dump.json": dump(UserDetailList=[user])})
    assert wholeness(inventory) == (False, False)


# list-roles


def test_list_roles_is_the_whole_list_of_roles_and_shows_description_and_session_length(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"roles.json": listed(nested_role("web", Description="front", MaxSessionDuration=7200))})
    assert wholeness(inventory) == (True, False)
    row = only_row(inventory.roles)
    assert (row["description"], row["max_session_seconds"]) == ("front", 7200)


def test_an_empty_output_of_list_roles_is_not_a_whole_list_because_each_account_has_roles(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"000000000001/roles.json": listed(), "000000000001/id.json": identity()})
    assert wholeness(inventory) == (False, False)
    assert ("roles.json", "truncated") in [(Path(where).name, why) for where, why in reasons(inventory, "ListRoles")]


def test_list_roles_shows_names_paths_ids_and_creation(tmp_path: Path) -> None:
    row = only_row(load(tmp_path, {"roles.json": listed(nested_role("web", path="/app/front/"))}).roles)
    assert row["role_arn"] == "arn:aws:iam::000000000001:role/app/front/web"
    assert (row["role_name"], row["role_path"], row["role_id"]) == ("web", "/app/front/", "AROAWEB")
    assert row["created_at"] == pd.Timestamp("2024-05-01T09:00:00Z")


@pytest.mark.parametrize("tags", [[], tag_list({"owner": "ops"})])
def test_a_tags_key_in_list_roles_is_never_trusted(tmp_path: Path, tags: list[dict[str, str]]) -> None:
    inventory = load(tmp_path, {"roles.json": listed(nested_role("web", Tags=tags))})
    assert only_row(inventory.roles)["tags_known"] is False
    assert len(inventory.tags) == 0


def test_list_roles_never_proves_links_or_last_use(tmp_path: Path) -> None:
    role = nested_role(
        "web", RoleLastUsed={"LastUsedDate": "2024-06-01T10:00:00Z"}, InstanceProfileList=[profile("web")]
    )
    inventory = load(tmp_path, {"roles.json": listed(role)})
    assert only_row(inventory.roles)["last_used_known"] is False
    assert only_row(inventory.roles)["last_used_at"] is None
    assert len(inventory.profiles) == 0
    assert reasons(inventory, "ListInstanceProfilesForRole") == [("*", "not_in_file")]


# get-role


def test_get_role_shows_the_tags_of_that_role_and_is_no_whole_list(tmp_path: Path) -> None:
    role = nested_role("web", RoleLastUsed={}, Tags=tag_list({"owner": "ops"}))
    inventory = load(tmp_path, {"role.json": {"Role": role}})
    assert only_row(inventory.roles)["tags_known"] is True
    assert tags_of(inventory, WEB) == {"owner": "ops"}
    assert wholeness(inventory) == (False, False)


@pytest.mark.parametrize(("used", "known"), [({"RoleLastUsed": {}}, True), ({}, False)])
def test_get_role_without_tags_says_that_there_are_none_only_where_it_shows_the_last_use(
    tmp_path: Path, used: dict[str, Any], known: bool
) -> None:
    inventory = load(tmp_path, {"role.json": {"Role": nested_role("web", **used)}})
    row = only_row(inventory.roles)
    assert (row["tags_known"], row["last_used_known"]) == (known, known)
    assert tags_of(inventory, WEB) == {}


def test_get_role_never_proves_links(tmp_path: Path) -> None:
    role = nested_role("web", RoleLastUsed={}, InstanceProfileList=[profile("web")])
    inventory = load(tmp_path, {"role.json": {"Role": role}})
    assert len(inventory.profiles) == 0
    assert reasons(inventory, "ListInstanceProfilesForRole") == [("*", "not_in_file")]


# list-instance-profiles


def test_list_instance_profiles_is_the_whole_list_of_profiles_and_not_of_roles(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"profiles.json": profile_list(profile("web", nested_role("web")))})
    assert wholeness(inventory) == (False, True)


def test_an_empty_list_of_instance_profiles_is_whole_where_it_is_known_whose_it_is(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"000000000001/profiles.json": profile_list()})
    assert wholeness(inventory) == (False, True)


def test_list_instance_profiles_shows_each_profiles_link_or_emptiness(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"profiles.json": profile_list(profile("web", nested_role("web")), profile("old"))})
    assert links_of(inventory) == [(WEB_PROFILE, WEB)]
    assert inventory.profiles.set_index("profile_name")["role_known"].to_dict() == {"old": True, "web": True}


def test_list_instance_profiles_shows_identity_and_trust_of_the_role_inside(tmp_path: Path) -> None:
    held = nested_role("web", Tags=tag_list({"owner": "ops"}), Description="front")
    row = only_row(load(tmp_path, {"profiles.json": profile_list(profile("web", held))}).roles)
    assert (row["role_arn"], row["role_id"], row["trusts_ec2"]) == (WEB, "AROAWEB", "yes")
    assert (row["tags_known"], row["description"]) == (False, None)


def test_a_profile_without_the_roles_key_is_not_taken_for_empty(tmp_path: Path) -> None:
    old = {key: value for key, value in profile("old").items() if key != "Roles"}
    inventory = load(tmp_path, {"profiles.json": profile_list(old)})
    assert only_row(inventory.profiles)["role_known"] is False


@pytest.mark.parametrize("tags", [[], tag_list({"owner": "ops"})])
def test_a_tags_key_in_list_instance_profiles_is_never_trusted(tmp_path: Path, tags: list[dict[str, str]]) -> None:
    inventory = load(tmp_path, {"profiles.json": profile_list(profile("web", nested_role("web"), Tags=tags))})
    assert only_row(inventory.profiles)["tags_known"] is False
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
    assert links_of(inventory) == [(WEB_PROFILE, WEB)]
    assert wholeness(inventory) == (False, False)


def test_a_tags_key_in_list_instance_profiles_for_role_is_never_trusted(tmp_path: Path) -> None:
    held = profile("web", nested_role("web"), Tags=tag_list({"owner": "ops"}))
    inventory = load(tmp_path, {"list-instance-profiles-for-role.json": profile_list(held)})
    assert only_row(inventory.profiles)["tags_known"] is False


# get-instance-profile


def test_get_instance_profile_shows_link_and_tags_and_is_no_whole_list(tmp_path: Path) -> None:
    got = profile("web", nested_role("web"), Tags=tag_list({"owner": "ops"}))
    inventory = load(tmp_path, {"profile.json": {"InstanceProfile": got}})
    row = only_row(inventory.profiles)
    assert (row["role_known"], row["tags_known"]) == (True, True)
    assert tags_of(inventory, WEB_PROFILE) == {"owner": "ops"}
    assert links_of(inventory) == [(WEB_PROFILE, WEB)]
    assert wholeness(inventory) == (False, False)


@pytest.mark.parametrize(("tags", "known"), [({"Tags": []}, True), ({}, False)])
def test_get_instance_profile_knows_that_there_are_no_tags_only_by_the_tags_key(
    tmp_path: Path, tags: dict[str, Any], known: bool
) -> None:
    inventory = load(tmp_path, {"profile.json": {"InstanceProfile": profile("web", **tags)}})
    assert only_row(inventory.profiles)["tags_known"] is known
    assert len(inventory.tags) == 0


# Roles and profiles without a key around them, as `--query` prints them


def test_a_list_of_profiles_without_a_key_shows_links_and_emptiness_and_is_no_whole_list(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"profiles.json": [profile("old"), profile("web", nested_role("web"))]})
    assert links_of(inventory) == [(WEB_PROFILE, WEB)]
    assert inventory.profiles.set_index("profile_name")["role_known"].to_dict() == {"old": True, "web": True}
    assert wholeness(inventory) == (False, False)


def test_a_list_of_roles_without_a_key_is_no_whole_list_and_knows_neither_tags_nor_links(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"roles.json": [nested_role("app"), nested_role("web", RoleLastUsed={})]})
    assert inventory.roles["role_name"].tolist() == ["app", "web"]
    assert not inventory.roles[["tags_known", "last_used_known"]].any(axis=None)
    assert reasons(inventory, "ListInstanceProfilesForRole") == [("*", "not_in_file")]
    assert wholeness(inventory) == (False, False)


@pytest.mark.parametrize("held", [None, nested_role("web")], ids=["empty", "with-a-role"])
def test_a_profile_without_a_key_is_a_profile_and_no_list_of_roles(tmp_path: Path, held: dict[str, Any] | None) -> None:
    inventory = load(tmp_path, {"000000000001/profile.json": profile("web", held)})
    assert inventory.profiles["profile_arn"].tolist() == [WEB_PROFILE]
    assert wholeness(inventory) == (False, False)


@pytest.mark.parametrize(
    ("item", "frame"),
    [(profile("web", nested_role("web")), "profiles"), (nested_role("web"), "roles")],
    ids=["profile", "role"],
)
def test_an_object_without_a_key_shows_its_tags_and_an_empty_list_of_tags_proves_nothing(
    tmp_path: Path, item: dict[str, Any], frame: str
) -> None:
    tags = {"some": {"Tags": tag_list({"owner": "ops"})}, "empty": {"Tags": []}, "null": {"Tags": None}, "absent": {}}
    rows = {name: load(tmp_path / name, {"item.json": item | more}).frames[frame] for name, more in tags.items()}
    known = {name: only_row(row)["tags_known"] for name, row in rows.items()}
    assert known == {"some": True, "empty": False, "null": False, "absent": False}


def test_a_role_of_an_account_dump_without_a_key_says_that_it_has_no_tags(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"roles.json": [role_detail("web", tags={})]})
    assert only_row(inventory.roles)["tags_known"] is True
    assert wholeness(inventory) == (False, False)


def test_an_item_beside_roles_and_profiles_that_is_neither_is_a_gap(tmp_path: Path) -> None:
    repeated = '{"RoleName": "b", "Arn": "arn:aws:iam::000000000001:role/b", "Path": "/", "Path": "/x/"}'
    items = [json.dumps(nested_role("web")), json.dumps(profile("web")), '{"Volume": 1}', repeated, "7"]
    (tmp_path / "mixed.json").write_text(f"[{', '.join(items)}]", "utf-8")
    inventory = load_files(tmp_path)
    assert inventory.roles["role_name"].tolist() == ["web"]
    assert inventory.profiles["profile_name"].tolist() == ["web"]
    places = inventory.gaps["detail"].str.extract(r"(\$\[\d\])", expand=False)
    assert places.dropna().tolist() == ["$[2]", "$[3]", "$[4]"]


# Tag listings


@pytest.mark.parametrize(
    ("folder", "arn", "kind", "source"),
    [
        ("instance-profile-tags", WEB_PROFILE, "instance-profile", "ListInstanceProfileTags"),
        ("role-tags", WEB, "role", "ListRoleTags"),
    ],
)
def test_a_tag_listing_belongs_to_the_resource_that_its_file_is_named_after(
    tmp_path: Path, folder: str, arn: str, kind: str, source: str
) -> None:
    documents = {
        "profiles.json": profile_list(profile("web", nested_role("web"))),
        f"{folder}/web.json": {"Tags": tag_list({"owner": "ops"})},
    }
    row = only_row(load(tmp_path, documents).tags)
    assert (row["resource_arn"], row["resource_type"], row["tag_source"]) == (arn, kind, source)
    assert (row["tag_key"], row["tag_value"]) == ("owner", "ops")


def test_an_empty_tag_listing_says_that_there_are_none(tmp_path: Path) -> None:
    documents = {
        "profiles.json": profile_list(profile("web", nested_role("web")), profile("old")),
        "instance-profile-tags/old.json": {"Tags": []},
    }
    inventory = load(tmp_path, documents)
    assert inventory.profiles.set_index("profile_name")["tags_known"].to_dict() == {"old": True, "web": False}
    assert only_row(inventory.roles)["tags_known"] is False


@pytest.mark.parametrize("rest", ["", json.dumps({"Tags": tag_list({"team": "web"}), "IsTruncated": False})])
def test_a_tag_listing_that_is_cut_short_is_not_taken_nor_is_its_rest(tmp_path: Path, rest: str) -> None:
    page = {"Tags": tag_list({"owner": "ops"}), "IsTruncated": True, "Marker": "m"}
    documents = {
        "profiles.json": profile_list(profile("web")),
        "instance-profile-tags/web.json": json.dumps(page) + rest,
    }
    inventory = load(tmp_path, documents)
    assert only_row(inventory.profiles)["tags_known"] is False
    assert ("web", "truncated") in reasons(inventory, "ListInstanceProfileTags")


def test_a_tag_listing_outside_its_folder_is_a_gap(tmp_path: Path) -> None:
    documents = {"profiles.json": profile_list(profile("web")), "web.json": {"Tags": tag_list({"owner": "ops"})}}
    inventory = load(tmp_path, documents)
    assert only_row(inventory.profiles)["tags_known"] is False
    assert reasons(inventory, "file") == [(str(tmp_path / "web.json"), "unreadable")]


def test_a_tag_listing_of_a_resource_that_no_file_shows_is_a_gap(tmp_path: Path) -> None:
    documents = {"profiles.json": profile_list(profile("web")), "instance-profile-tags/gone.json": {"Tags": []}}
    assert ("gone", "not_in_file") in reasons(load(tmp_path, documents), "ListInstanceProfileTags")


def test_a_key_that_begins_with_aws_is_reserved(tmp_path: Path) -> None:
    tags = {"aws:cloudformation:stack-name": "s", "awsome": "x"}
    inventory = load(tmp_path, {"dump.json": dump(role_detail("web", tags=tags))})
    assert inventory.tags.set_index("tag_key")["is_aws_reserved"].to_dict() == {
        "aws:cloudformation:stack-name": True,
        "awsome": False,
    }


# The account itself


def test_get_account_summary_shows_quotas_and_counts(tmp_path: Path) -> None:
    summary = {"Roles": 1, "RolesQuota": 1000, "InstanceProfiles": 4, "InstanceProfilesQuota": 1500, "Users": 3}
    documents = {"dump.json": dump(role_detail("web")), "summary.json": {"SummaryMap": summary}}
    row = only_row(load(tmp_path, documents).accounts)
    assert (row["role_quota"], row["profile_quota"]) == (1000, 1500)
    assert (row["roles_expected"], row["profiles_expected"]) == (1, 4)


def test_get_caller_identity_shows_who_asked(tmp_path: Path) -> None:
    row = only_row(load(tmp_path, {"identity.json": identity()}).accounts)
    assert row["account_id"] == "000000000001"
    assert row["caller_arn"] == "arn:aws:iam::000000000001:user/audit"
    assert row["partition"] == "aws"


# References


def instances(named: dict[str, str] | None, state: str = "running", **more: Any) -> dict[str, Any]:
    """Return the output of describe-instances, of one instance."""
    instance = {
        "InstanceId": "i-1",
        "State": {"Name": state},
        "Placement": {"AvailabilityZone": "eu-west-1b"},
        "Tags": tag_list({"Name": "front"}),
    } | ({"IamInstanceProfile": named} if named else {})
    return {"Reservations": [{"OwnerId": ACCOUNT, "Instances": [instance | more]}]}


def test_describe_instances_shows_which_profile_an_instance_uses(tmp_path: Path) -> None:
    documents = {
        "profiles.json": profile_list(profile("web")),
        "instances.json": instances({"Arn": WEB_PROFILE, "Id": "AIPAWEB"}),
    }
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


def test_a_reference_to_a_profile_that_nobody_shows_keeps_its_name_and_no_arn(tmp_path: Path) -> None:
    documents = {"profiles.json": profile_list(profile("web")), "i.json": instances({"Arn": WEB_PROFILE + "-gone"})}
    row = only_row(load(tmp_path, documents).references)
    assert (row["profile_arn"], row["profile_name"]) == (None, "web-gone")


def test_a_stopped_instance_refers_to_its_profile(tmp_path: Path) -> None:
    assert len(load(tmp_path, {"i.json": instances({"Arn": WEB_PROFILE}, "stopped")}).references) == 1


@pytest.mark.parametrize(("named", "state"), [({"Arn": WEB_PROFILE}, "terminated"), (None, "running")])
def test_an_instance_that_is_terminated_or_names_no_profile_is_no_reference(
    tmp_path: Path, named: dict[str, str] | None, state: str
) -> None:
    documents = {"profiles.json": profile_list(profile("web")), "i.json": instances(named, state)}
    assert len(load(tmp_path, documents).references) == 0


def test_an_association_refers_to_its_profile_until_it_is_disassociated(tmp_path: Path) -> None:
    associations = [
        {
            "AssociationId": f"iip-assoc-{state}",
            "InstanceId": "i-1",
            "IamInstanceProfile": {"Arn": WEB_PROFILE},
            "State": state,
        }
        for state in ("associated", "disassociated")
    ]
    documents = {"eu-west-1/associations.json": {"IamInstanceProfileAssociations": associations}}
    row = only_row(load(tmp_path, documents).references)
    assert (row["consumer_type"], row["consumer_id"]) == ("association", "iip-assoc-associated")
    assert (row["account_id"], row["region"]) == ("000000000001", "eu-west-1")
    assert (row["consumer_name"], row["consumer_state"]) == ("i-1", "associated")


def version(number: int, name: str | None, template: str = "lt-1", **more: Any) -> dict[str, Any]:
    """Return one version of a launch template, as describe-launch-template-versions prints it."""
    data = {"IamInstanceProfile": {"Name": name}} if name else {}
    row = {"LaunchTemplateId": template, "LaunchTemplateName": "front", "VersionNumber": number}
    return row | {"DefaultVersion": False, "LaunchTemplateData": data} | more


def test_launch_template_versions_that_name_the_same_profile_are_one_reference(tmp_path: Path) -> None:
    versions = [version(10, "web"), version(2, "web", DefaultVersion=True), version(3, None)]
    documents = {
        "profiles.json": profile_list(profile("web")),
        "eu-west-1/versions.json": {"LaunchTemplateVersions": versions},
    }
    row = only_row(load(tmp_path, documents).references)
    assert (row["consumer_type"], row["consumer_id"], row["consumer_name"]) == ("launch-template", "lt-1", "front")
    assert (row["profile_arn"], row["consumer_version"]) == (WEB_PROFILE, "2 10")
    assert row["consumer_arn"] == "arn:aws:ec2:eu-west-1:000000000001:launch-template/lt-1"


def test_a_launch_template_is_a_gap_until_its_default_version_is_read(tmp_path: Path) -> None:
    template = {"LaunchTemplateId": "lt-1", "DefaultVersionNumber": 1, "LatestVersionNumber": 1}
    documents = {"profiles.json": profile_list(profile("web")), "templates.json": {"LaunchTemplates": [template]}}
    assert ("lt-1:$Default", "not_in_file") in reasons(load(tmp_path, documents), "DescribeLaunchTemplateVersions")
    versions = {"LaunchTemplateVersions": [version(1, "web", DefaultVersion=True)]}
    inventory = load(tmp_path, documents | {"versions.json": versions})
    assert reasons(inventory, "DescribeLaunchTemplateVersions") == []


def test_a_launch_configuration_refers_to_its_profile_in_the_region_of_its_arn(tmp_path: Path) -> None:
    arn = "arn:aws:autoscaling:eu-west-1:000000000001:launchConfiguration:1:launchConfigurationName/old"
    configuration = {"LaunchConfigurationName": "old", "LaunchConfigurationARN": arn, "IamInstanceProfile": "web"}
    documents = {
        "profiles.json": profile_list(profile("web")),
        "configurations.json": {"LaunchConfigurations": [configuration, {"LaunchConfigurationName": "bare"}]},
    }
    row = only_row(load(tmp_path, documents).references)
    assert (row["consumer_type"], row["consumer_id"], row["consumer_arn"]) == ("launch-configuration", "old", arn)
    assert (row["region"], row["named"], row["profile_arn"]) == ("eu-west-1", "web", WEB_PROFILE)


def group(**more: Any) -> dict[str, Any]:
    """Return the output of describe-auto-scaling-groups, of one group."""
    arn = "arn:aws:autoscaling:eu-west-1:000000000001:autoScalingGroup:1:autoScalingGroupName/front"
    return {"AutoScalingGroups": [{"AutoScalingGroupName": "front", "AutoScalingGroupARN": arn} | more]}


def pin(version: str) -> dict[str, str]:
    """Return a group's mention of one version of a launch template."""
    return {"LaunchTemplateId": "lt-1", "Version": version}


@pytest.mark.parametrize("pinned", [["10", "2", "$Latest", "2"], ["$Latest", "2", "2", "10"]])
def test_the_versions_that_a_group_pins_stand_in_one_order_and_once(tmp_path: Path, pinned: list[str]) -> None:
    overrides = [{"LaunchTemplateSpecification": pin(number)} for number in pinned]
    documents = {
        "versions.json": {"LaunchTemplateVersions": [version(2, "web", DefaultVersion=True), version(10, "web")]},
        "groups.json": group(MixedInstancesPolicy={"LaunchTemplate": {"Overrides": overrides}}),
    }
    references = load(tmp_path, documents).references
    row = only_row(references[references["consumer_type"] == "auto-scaling-group"])
    assert row["consumer_version"] == "2 10 $Latest"


@pytest.mark.parametrize(
    "through",
    [
        {"LaunchTemplate": pin("1")},
        {"MixedInstancesPolicy": {"LaunchTemplate": {"LaunchTemplateSpecification": pin("1")}}},
        {"MixedInstancesPolicy": {"LaunchTemplate": {"Overrides": [{"LaunchTemplateSpecification": pin("1")}]}}},
    ],
)
def test_a_group_refers_to_the_profile_of_the_version_that_it_pins(tmp_path: Path, through: dict[str, Any]) -> None:
    documents = {
        "profiles.json": profile_list(profile("web"), profile("new")),
        "versions.json": {"LaunchTemplateVersions": [version(1, "web"), version(2, "new", DefaultVersion=True)]},
        "groups.json": group(**through),
    }
    references = load(tmp_path, documents).references
    row = only_row(references[references["consumer_type"] == "auto-scaling-group"])
    assert (row["consumer_id"], row["profile_arn"], row["consumer_version"]) == ("front", WEB_PROFILE, "1")
    assert (row["account_id"], row["region"]) == ("000000000001", "eu-west-1")


@pytest.mark.parametrize(("label", "name"), [("$Default", "two"), ("$Latest", "ten")])
def test_a_group_that_pins_a_label_refers_to_the_version_that_it_means(tmp_path: Path, label: str, name: str) -> None:
    versions = [version(1, "one"), version(2, "two", DefaultVersion=True), version(10, "ten")]
    documents = {
        "profiles.json": profile_list(profile("one"), profile("two"), profile("ten")),
        "versions.json": {"LaunchTemplateVersions": versions},
        "groups.json": group(LaunchTemplate=pin(label)),
    }
    references = load(tmp_path, documents).references
    assert only_row(references[references["consumer_type"] == "auto-scaling-group"])["profile_name"] == name


def test_a_group_refers_to_the_profile_of_its_launch_configuration(tmp_path: Path) -> None:
    documents = {
        "profiles.json": profile_list(profile("web")),
        "c.json": {"LaunchConfigurations": [{"LaunchConfigurationName": "old", "IamInstanceProfile": "web"}]},
        "g.json": group(LaunchConfigurationName="old"),
    }
    references = load(tmp_path, documents).references
    row = only_row(references[references["consumer_type"] == "auto-scaling-group"])
    assert (row["profile_arn"], row["consumer_version"]) == (WEB_PROFILE, None)


def test_a_version_that_a_group_pins_and_nobody_read_is_a_gap(tmp_path: Path) -> None:
    documents = {
        "profiles.json": profile_list(profile("web")),
        "v.json": {"LaunchTemplateVersions": [version(2, "web", DefaultVersion=True)]},
        "g.json": group(LaunchTemplate=pin("1")),
    }
    inventory = load(tmp_path, documents)
    # The version that the group starts from, and that the files do not hold all versions.
    gaps = reasons(inventory, "DescribeLaunchTemplateVersions")
    assert gaps == [("lt-1", "not_in_file"), ("lt-1:1", "not_in_file")]
    assert only_row(completeness(inventory))["references_status"] == "unknown"


def test_latest_is_unread_where_the_templates_own_listing_says_that_there_is_a_later_version(tmp_path: Path) -> None:
    documents = {
        "profiles.json": profile_list(profile("web")),
        "t.json": {"LaunchTemplates": [{"LaunchTemplateId": "lt-1", "LatestVersionNumber": 9}]},
        "v.json": {"LaunchTemplateVersions": [version(2, "web", DefaultVersion=True)]},
        "g.json": group(LaunchTemplate=pin("$Latest")),
    }
    assert ("lt-1:$Latest", "not_in_file") in reasons(load(tmp_path, documents), "DescribeLaunchTemplateVersions")


@pytest.mark.parametrize(
    ("region", "names"), [("eu-west-1", ["web-eu-west-1"]), ("us-east-1", ["web-us-east-1"]), ("ap-south-1", [])]
)
def test_a_group_refers_to_the_launch_configuration_of_its_own_region(
    tmp_path: Path, region: str, names: list[str]
) -> None:
    def configurations(where: str) -> dict[str, Any]:
        arn = f"arn:aws:autoscaling:{where}:{ACCOUNT}:launchConfiguration:1:launchConfigurationName/old"
        row = {"LaunchConfigurationName": "old", "LaunchConfigurationARN": arn, "IamInstanceProfile": f"web-{where}"}
        return {"LaunchConfigurations": [row]}

    arn = f"arn:aws:autoscaling:{region}:{ACCOUNT}:autoScalingGroup:1:autoScalingGroupName/front"
    documents = {
        "eu-west-1/c.json": configurations("eu-west-1"),
        "us-east-1/c.json": configurations("us-east-1"),
        f"{region}/g.json": group(LaunchConfigurationName="old", AutoScalingGroupARN=arn),
    }
    references = load(tmp_path, documents).references
    found = references[references["consumer_type"] == "auto-scaling-group"]
    assert list(found["profile_name"]) == names


@pytest.mark.parametrize("other", ["ap-south-1", "us-west-2"])
def test_a_template_name_means_the_template_of_the_region_of_what_names_it(tmp_path: Path, other: str) -> None:
    def versions(template: str, named: str) -> dict[str, Any]:
        data = {"IamInstanceProfile": {"Name": named}}
        more = {"LaunchTemplateName": "app", "DefaultVersion": True, "LaunchTemplateData": data}
        return {"LaunchTemplateVersions": [{"LaunchTemplateId": template, "VersionNumber": 1} | more]}

    config = {"LaunchTemplateSpecification": {"LaunchTemplateName": "app", "Version": "$Default"}}
    documents = {
        "us-east-1/versions.json": versions("lt-1", "web"),
        "us-east-1/fleets.json": {"Fleets": [{"FleetId": "fleet-1", "LaunchTemplateConfigs": [config]}]},
        f"{other}/versions.json": versions("lt-2", "other"),
    }
    references = load(tmp_path, {f"{ACCOUNT}/{name}": document for name, document in documents.items()}).references
    found = references[references["consumer_type"] == "fleet"]
    assert found[["region", "profile_name"]].values.tolist() == [["us-east-1", "web"]]


def test_a_template_name_of_two_templates_means_neither_where_no_file_shows_its_region(tmp_path: Path) -> None:
    more = {"LaunchTemplateName": "app", "VersionNumber": 1, "DefaultVersion": True}
    versions = [
        {"LaunchTemplateId": template, "LaunchTemplateData": {"IamInstanceProfile": {"Name": name}}} | more
        for template, name in (("lt-1", "web"), ("lt-2", "other"))
    ]
    config = {"LaunchTemplateSpecification": {"LaunchTemplateName": "app", "Version": "$Default"}}
    documents = {
        "us.json": {"LaunchTemplateVersions": versions[:1]},
        "eu.json": {"LaunchTemplateVersions": versions[1:]},
        "fleets.json": {"Fleets": [{"FleetId": "fleet-1", "LaunchTemplateConfigs": [config]}]},
    }
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


def item(configuration: Any, captured: str = "2024-06-01T00:00:00.000Z", **more: Any) -> dict[str, Any]:
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


CONFIG_SHAPES = {
    "API": lambda configuration: {"configurationItems": [item(json.dumps(configuration))]},
    "API batch": lambda configuration: {"baseConfigurationItems": [item(json.dumps(configuration))]},
    "S3 snapshot": lambda configuration: {"fileVersion": "1.0", "configurationItems": [item(configuration)]},
    "single item": item,
    "list of items": lambda configuration: [item(configuration)],
}


@pytest.mark.parametrize("shape", CONFIG_SHAPES)
def test_each_shape_of_config_shows_the_role_with_its_links_tags_and_trust(tmp_path: Path, shape: str) -> None:
    held = [{"arn": WEB_PROFILE, "instanceProfileName": "web", "path": "/", "instanceProfileId": "AIPAWEB"}]
    configuration = config_role(tags=[{"key": "owner", "value": "ops"}], instanceProfileList=held)
    inventory = load(tmp_path, {"config.json": CONFIG_SHAPES[shape](configuration)})
    row = only_row(inventory.roles)
    assert (row["role_arn"], row["role_name"], row["role_id"]) == (WEB, "web", "AROAWEB")
    assert (row["trust_policy"], row["trusts_ec2"]) == (TRUST_TEXT, "yes")
    assert row["created_at"] == pd.Timestamp("2024-05-01T09:00:00Z")
    assert tags_of(inventory, WEB) == {"owner": "ops"}
    assert links_of(inventory) == [(WEB_PROFILE, WEB)]


def test_snapshots_of_config_in_s3_are_told_apart_by_their_spelling_of_the_arn(tmp_path: Path) -> None:
    """AWS Config names a profile by its name in `resourceId`, and S3 has `ARN` and `awsAccountId`."""
    accounts = ["000000000001", "000000000002"]
    files = {}
    for account in accounts:
        arn = f"arn:aws:iam::{account}:instance-profile/web"
        held = {"Path": "/", "InstanceProfileName": "web", "Arn": arn, "Roles": []}
        more = {"resourceType": "AWS::IAM::InstanceProfile", "resourceId": "web", "ARN": arn, "awsAccountId": account}
        recorded = {key: value for key, value in item(held, **more).items() if key not in ("arn", "accountId")}
        files[f"{account}.json"] = {"fileVersion": "1.0", "configurationItems": [recorded]}
    assert load(tmp_path, files).profiles["account_id"].tolist() == accounts


def test_a_deletion_in_s3_deletes_the_role_of_an_answer_of_the_api(tmp_path: Path) -> None:
    api = item(json.dumps(config_role()), arn=WEB, accountId=ACCOUNT)
    gone = item(None, "2024-07-01T00:00:00.000Z", configurationItemStatus="ResourceDeleted")
    del api["ARN"], api["awsAccountId"], gone["arn"], gone["accountId"]
    other = item(config_role("batch"), arn=WEB.replace("web", "batch"))
    items = {"api.json": {"configurationItems": [api, other]}, "s3.json": {"configurationItems": [gone]}}
    assert load(tmp_path, items).roles["role_name"].tolist() == ["batch"]


def test_config_that_records_empty_tags_says_that_there_are_none_and_when_it_looked(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"config.json": [item(config_role(tags=[]))]})
    assert only_row(inventory.roles)["tags_known"] is True
    assert only_row(inventory.accounts)["captured_at"] == pd.Timestamp("2024-06-01T00:00:00Z")
    assert wholeness(inventory) == (False, False), "Config never shows the whole account"


def test_config_that_records_no_tags_leaves_them_unknown(tmp_path: Path) -> None:
    configuration = {key: value for key, value in config_role().items() if key != "tags"}
    inventory = load(tmp_path, {"config.json": [item(configuration, tags={})]})
    assert only_row(inventory.roles)["tags_known"] is False


def test_the_latest_capture_of_a_role_counts_across_files(tmp_path: Path) -> None:
    documents = {
        "a.json": [item(config_role(tags=[{"key": "age", "value": "new"}]), "2024-07-01T00:00:00.000Z")],
        "b.json": [item(config_role(tags=[{"key": "age", "value": "old"}]), "2024-06-01T00:00:00.000Z")],
    }
    inventory = load(tmp_path, documents)
    assert tags_of(inventory, WEB) == {"age": "new"}
    assert list(inventory.gaps["reason"]).count("contradicted") == 0


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ("2024-06-30T22:30:00Z", "2024-07-01T00:00:00.000+02:00"),
        ("2024-07-01T00:00:00.5Z", "2024-07-01T00:00:00Z"),
        (1719792000.5, 1719792000),
        (1719792000, "2024-06-30T23:59:59Z"),
    ],
)
def test_the_latest_capture_counts_whatever_form_its_time_has(
    tmp_path: Path, new: str | float, old: str | float
) -> None:
    documents = {
        "a.json": [item(config_role(tags=[{"key": "age", "value": "new"}]), new)],
        "b.json": [item(config_role(tags=[{"key": "age", "value": "old"}]), old)],
    }
    assert tags_of(load(tmp_path, documents), WEB) == {"age": "new"}


def test_a_capture_time_in_seconds_says_when_config_looked(tmp_path: Path) -> None:
    row = only_row(load(tmp_path, {"config.json": [item(config_role(), 1719792000)]}).accounts)
    assert row["captured_at"] == pd.Timestamp("2024-07-01T00:00:00Z")


@pytest.mark.parametrize("status", ["ResourceDeleted", "ResourceDeletedNotRecorded"])
def test_a_role_that_config_saw_deleted_is_dropped(tmp_path: Path, status: str) -> None:
    documents = {
        "a.json": [item(config_role("batch"), ARN="b", arn=WEB.replace("web", "batch"))],
        "b.json": [item(config_role())],
        "c.json": [item(None, "2024-07-01T00:00:00.000Z", configurationItemStatus=status)],
    }
    inventory = load(tmp_path, documents)
    assert list(inventory.roles["role_name"]) == ["batch"]
    assert list(inventory.gaps["reason"]).count("unreadable") == 0


def test_a_role_that_was_made_anew_after_its_deletion_is_kept(tmp_path: Path) -> None:
    documents = {
        "a.json": [item(config_role(), "2024-07-02T00:00:00.000Z")],
        "b.json": [item(None, "2024-07-01T00:00:00.000Z", configurationItemStatus="ResourceDeleted")],
    }
    assert list(load(tmp_path, documents).roles["role_name"]) == ["web"]


def test_a_deletion_that_another_region_records_late_does_not_delete_the_role_that_was_made_anew(
    tmp_path: Path,
) -> None:
    gone = {"configurationItemStatus": "ResourceDeleted", "resourceId": "AROAOLD"}
    documents = {
        "us-east-1.json": [
            item(None, "2024-07-01T00:00:00.000Z", **gone),
            item(config_role(), "2024-07-01T00:00:20.000Z"),
        ],
        "eu-west-1.json": [item(None, "2024-07-01T00:00:30.000Z", **gone)],
    }
    assert list(load(tmp_path, documents).roles["role_name"]) == ["web"]


def test_config_shows_an_instance_profile_in_the_case_that_cloudformation_gives_it(tmp_path: Path) -> None:
    configuration = {"Arn": WEB_PROFILE, "InstanceProfileName": "web", "Path": "/", "Roles": ["web"]}
    recorded = item(configuration, resourceType="AWS::IAM::InstanceProfile", ARN=WEB_PROFILE, arn=WEB_PROFILE)
    role = {key: value for key, value in config_role().items() if key != "instanceProfileList"}
    inventory = load(tmp_path, {"config.json": [item(role), recorded]})
    assert links_of(inventory) == [(WEB_PROFILE, WEB)]


# Terraform


def state(*resources: dict[str, Any]) -> dict[str, Any]:
    """Return a Terraform state file, version 4."""
    return {"version": 4, "terraform_version": "1.9.0", "serial": 1, "lineage": "l", "resources": list(resources)}


def managed(kind: str, attributes: dict[str, Any], mode: str = "managed", **more: Any) -> dict[str, Any]:
    """Return one resource of a state file."""
    instances = [{"schema_version": 0, "attributes": attributes} | more]
    return {"mode": mode, "type": kind, "name": "this", "provider": "p", "instances": instances}


def tf_role(name: str = "web", **more: Any) -> dict[str, Any]:
    """Return the attributes of an aws_iam_role."""
    arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    policy = json.dumps(trust("ec2.amazonaws.com"))
    return {"arn": arn, "name": name, "path": "/", "unique_id": "AROAWEB", "assume_role_policy": policy} | more


def tf_profile(name: str = "web", role: str | None = "web", **more: Any) -> dict[str, Any]:
    """Return the attributes of an aws_iam_instance_profile."""
    arn = f"arn:aws:iam::{ACCOUNT}:instance-profile/{name}"
    return {"arn": arn, "name": name, "path": "/", "unique_id": "AIPAWEB", "role": role} | more


def test_a_terraform_state_shows_what_it_manages_and_is_never_the_whole_account(tmp_path: Path) -> None:
    attributes = tf_role(
        description="front", max_session_duration=7200, permissions_boundary="arn:aws:iam::aws:policy/B"
    )
    inventory = load(tmp_path, {"x.tfstate": state(managed("aws_iam_role", attributes))})
    row = only_row(inventory.roles)
    assert (row["role_arn"], row["role_name"], row["role_id"]) == (WEB, "web", "AROAWEB")
    assert (row["description"], row["max_session_seconds"]) == ("front", 7200)
    assert row["permissions_boundary_arn"] == "arn:aws:iam::aws:policy/B"
    assert (row["trust_policy"], row["last_used_known"]) == (TRUST_TEXT, False)
    assert wholeness(inventory) == (False, False)


def test_a_terraform_data_source_is_not_taken(tmp_path: Path) -> None:
    documents = {
        "x.tfstate": state(managed("aws_iam_role", tf_role("theirs"), "data"), managed("aws_iam_role", tf_role()))
    }
    assert list(load(tmp_path, documents).roles["role_name"]) == ["web"]


def test_a_deposed_instance_is_not_taken(tmp_path: Path) -> None:
    deposed = managed("aws_iam_role", tf_role("old"), deposed="0a1b2c3d")
    assert list(
        load(tmp_path, {"x.tfstate": state(deposed, managed("aws_iam_role", tf_role()))}).roles["role_name"]
    ) == ["web"]


@pytest.mark.parametrize(
    ("attributes", "known", "tags"),
    [
        ({"tags": {"a": "1"}, "tags_all": {"a": "1", "team": "ops"}}, True, {"a": "1", "team": "ops"}),
        ({"tags": {"a": "1"}}, True, {"a": "1"}),
        ({"tags": None, "tags_all": {}}, True, {}),
        ({"tags": {"a": "1"}, "tags_all": {}}, True, {}),
        ({}, False, {}),
    ],
)
def test_terraform_tags_are_tags_all_or_else_tags(
    tmp_path: Path, attributes: dict[str, Any], known: bool, tags: dict[str, str]
) -> None:
    inventory = load(tmp_path, {"x.tfstate": state(managed("aws_iam_role", tf_role(**attributes)))})
    assert only_row(inventory.roles)["tags_known"] is known
    assert tags_of(inventory, WEB) == tags


def test_a_role_that_terraform_names_is_resolved_within_its_account(tmp_path: Path) -> None:
    documents = {
        "x.tfstate": state(
            managed("aws_iam_role", tf_role()), managed("aws_iam_instance_profile", tf_profile(role="WEB"))
        )
    }
    inventory = load(tmp_path, documents)
    assert links_of(inventory) == [(WEB_PROFILE, WEB)]
    assert reasons(inventory, "GetRole") == []


def test_a_role_that_only_terraform_names_keeps_a_link_to_its_name_and_a_gap(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"x.tfstate": state(managed("aws_iam_instance_profile", tf_profile()))})
    assert links_of(inventory) == [(WEB_PROFILE, "name:web")]
    assert only_row(inventory.profiles)["role_known"] is True
    assert reasons(inventory, "GetRole") == [("name:web", "not_in_file")]


@pytest.mark.parametrize("role", [None, ""])
def test_a_terraform_profile_with_a_null_role_is_empty(tmp_path: Path, role: str | None) -> None:
    inventory = load(tmp_path, {"x.tfstate": state(managed("aws_iam_instance_profile", tf_profile(role=role)))})
    assert only_row(inventory.profiles)["role_known"] is True
    assert links_of(inventory) == []


def test_a_terraform_profile_without_a_role_attribute_is_not_taken_for_empty(tmp_path: Path) -> None:
    attributes = {key: value for key, value in tf_profile().items() if key != "role"}
    inventory = load(tmp_path, {"x.tfstate": state(managed("aws_iam_instance_profile", attributes))})
    assert only_row(inventory.profiles)["role_known"] is False


@pytest.mark.parametrize("version", [3, 5])
def test_a_terraform_state_of_another_version_is_a_gap(tmp_path: Path, version: int) -> None:
    documents = {"x.tfstate": state() | {"version": version}, "dump.json": dump(role_detail("web"))}
    assert reasons(load(tmp_path, documents), "file") == [(str(tmp_path / "x.tfstate"), "unreadable")]


def plan_resource(address: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return one resource of `terraform show -json`."""
    kind, name = address.split(".")[-2:]
    return {"address": address, "mode": "managed", "type": kind, "name": name, "values": values}


def plan(*resources: dict[str, Any], unknown: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what `terraform show -json` prints of a plan, its resources in a module of a module."""
    module: dict[str, Any] = {"address": "module.a.module.b", "resources": list(resources)}
    changes = [{"address": address, "change": {"after_unknown": after}} for address, after in (unknown or {}).items()]
    root = {"child_modules": [{"address": "module.a", "child_modules": [module]}]}
    return {"format_version": "1.2", "planned_values": {"root_module": root}, "resource_changes": changes}


def test_a_resource_that_a_plan_will_make_is_keyed_by_its_address(tmp_path: Path) -> None:
    address = "module.a.module.b.aws_iam_role.web"
    inventory = load(
        tmp_path, {"plan.json": plan(plan_resource(address, {"name": "web", "path": "/", "tags_all": {}}))}
    )
    row = only_row(inventory.roles)
    assert row["role_arn"] == "address:module.a.module.b.aws_iam_role.web"
    assert (row["account_id"], row["role_name"], row["tags_known"]) == ("unknown", "web", True)


def test_a_resource_that_has_an_arn_in_a_plan_keeps_it(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"plan.json": plan(plan_resource("aws_iam_role.web", tf_role()))})
    assert only_row(inventory.roles)["role_arn"] == "arn:aws:iam::000000000001:role/web"


@pytest.mark.parametrize(
    ("attributes", "unknown", "tags"),
    [
        ({}, {"arn": True, "tags_all": True}, None),
        ({}, {"arn": True, "tags": True}, None),
        ({"tags_all": {"owner": "ops"}}, {"tags_all": {"stamp": True}}, None),
        ({"tags_all": {"owner": "ops"}}, {"tags_all": {}}, {"owner": "ops"}),
    ],
    ids=["all", "its own", "one value", "none"],
)
def test_tags_are_known_only_where_a_plan_calls_none_of_them_unknown(
    tmp_path: Path, attributes: dict[str, Any], unknown: dict[str, Any], tags: dict[str, str] | None
) -> None:
    resource = plan_resource("aws_iam_role.web", {"name": "web", "path": "/"} | attributes)
    inventory = load(tmp_path, {"plan.json": plan(resource, unknown={"aws_iam_role.web": unknown})})
    assert only_row(inventory.roles)["tags_known"] is (tags is not None)
    assert tags_of(inventory, "address:aws_iam_role.web") == (tags or {})


def test_a_role_that_a_plan_calls_unknown_leaves_the_profile_neither_empty_nor_linked(tmp_path: Path) -> None:
    resource = plan_resource("aws_iam_instance_profile.web", {"name": "web", "path": "/"})
    unknown = {"aws_iam_instance_profile.web": {"role": True}}
    inventory = load(tmp_path, {"plan.json": plan(resource, unknown=unknown)})
    assert only_row(inventory.profiles)["role_known"] is False
    assert links_of(inventory) == []


def test_a_trust_policy_that_a_plan_calls_unknown_stays_unknown(tmp_path: Path) -> None:
    resource = plan_resource("aws_iam_role.web", {"name": "web", "path": "/"})
    inventory = load(
        tmp_path, {"plan.json": plan(resource, unknown={"aws_iam_role.web": {"assume_role_policy": True}})}
    )
    assert only_row(inventory.roles)["trusts_ec2"] == "unknown"


def test_roles_of_one_plan_are_resolved_by_name(tmp_path: Path) -> None:
    inventory = load(
        tmp_path,
        {
            "plan.json": plan(
                plan_resource("aws_iam_role.web", {"name": "web", "path": "/"}),
                plan_resource("aws_iam_instance_profile.web", {"name": "web", "path": "/", "role": "web"}),
            )
        },
    )
    assert links_of(inventory) == [("address:aws_iam_instance_profile.web", "address:aws_iam_role.web")]


def test_a_shown_state_manages_what_its_values_hold(tmp_path: Path) -> None:
    shown = {
        "format_version": "1.0",
        "values": {"root_module": {"resources": [plan_resource("aws_iam_role.web", tf_role())]}},
    }
    assert list(load(tmp_path, {"state.json": shown}).roles["role_arn"]) == [WEB]


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


@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"rows": rows, "columns": []}])
def test_steampipe_rows_show_roles_and_links_and_never_the_whole_account(tmp_path: Path, wrap: Any) -> None:
    inventory = load(tmp_path, {"rows.json": wrap([row(instance_profile_arns=[WEB_PROFILE], tags={"owner": "ops"})])})
    assert only_row(inventory.roles)["trust_policy"] == TRUST_TEXT
    assert tags_of(inventory, WEB) == {"owner": "ops"}
    assert links_of(inventory) == [(WEB_PROFILE, WEB)]
    assert only_row(inventory.profiles)["tags_known"] is False
    assert wholeness(inventory) == (False, False)


@pytest.mark.parametrize(
    "shown",
    [
        {"role_last_used_date": "2024-06-01T00:00:00Z"},
        {"role_last_used_region": "eu-west-1"},
        {"permissions_boundary_arn": "arn:aws:iam::aws:policy/B"},
        {"tags": {"owner": "ops"}},
        {"tags_src": [{"Key": "owner", "Value": "ops"}]},
    ],
)
def test_null_tags_mean_none_where_a_row_carries_what_only_get_role_gives(
    tmp_path: Path, shown: dict[str, Any]
) -> None:
    inventory = load(tmp_path, {"rows.json": [row(), row("batch", **shown)]})
    assert inventory.roles.set_index("role_name")["tags_known"].to_dict() == {"batch": True, "web": True}
    assert tags_of(inventory, WEB) == {}


def test_null_tags_stay_unknown_where_no_row_carries_what_only_get_role_gives(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"rows.json": [row(max_session_duration=3600, description="front"), row("batch")]})
    assert list(inventory.roles["tags_known"]) == [False, False]
    assert list(inventory.roles["last_used_known"]) == [False, False]


def test_tags_that_the_query_did_not_ask_for_stay_unknown(tmp_path: Path) -> None:
    asked = {key: value for key, value in row(role_last_used_date="2024-06-01T00:00:00Z").items() if key != "tags"}
    assert only_row(load(tmp_path, {"rows.json": [asked]}).roles)["tags_known"] is False


def test_null_links_mean_none_where_another_row_shows_some(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"rows.json": [row(), row("batch", instance_profile_arns=[WEB_PROFILE])]})
    assert reasons(inventory, "ListInstanceProfilesForRole") == []


def test_null_links_stay_unknown_where_no_row_shows_any(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"rows.json": [row(), row("batch")]})
    assert reasons(inventory, "ListInstanceProfilesForRole") == [("*", "not_in_file")]


def test_null_tags_and_links_of_an_account_stay_unknown_where_only_another_accounts_rows_show_some(
    tmp_path: Path,
) -> None:
    """Steampipe can query several accounts at once, and ignore that one of them refuses a call."""
    shown = row("batch", tags={"owner": "ops"}, instance_profile_arns=[WEB_PROFILE])
    refused = row("app", arn="arn:aws:iam::000000000002:role/app")
    inventory = load(tmp_path, {"rows.json": [shown, row(), refused]})
    known = inventory.roles.set_index("role_name")
    assert known["tags_known"].to_dict() == {"app": False, "batch": True, "web": True}
    assert known["last_used_known"].to_dict() == {"app": False, "batch": True, "web": True}
    assert reasons(inventory, "ListInstanceProfilesForRole") == [("*", "not_in_file")]


def test_a_steampipe_row_of_another_table_is_no_role(tmp_path: Path) -> None:
    """Most tables of Steampipe have the columns `arn` and `name`."""
    bucket = {"arn": "arn:aws:s3:::bucket", "name": "bucket"}
    files = {"s3.json": {"rows": [bucket]}, "both.json": {"rows": [{"arn": WEB, "name": "web"}, bucket]}}
    inventory = load(tmp_path, files)
    assert inventory.roles["role_arn"].tolist() == [WEB]
    said = inventory.gaps["detail"][inventory.gaps["reason"] == "unreadable"]
    assert said.str.contains("has rows of a table other than aws_iam_role and aws_iam_instance_profile").sum() == 2


def test_steampipe_profile_rows_show_profiles_and_what_they_hold(tmp_path: Path) -> None:
    held = {
        "arn": WEB_PROFILE,
        "instance_profile_name": "web",
        "instance_profile_id": "AIPAWEB",
        "path": "/",
        "roles": [nested_role("web")],
        "tags": {"owner": "ops"},
    }
    broken = {"arn": WEB_PROFILE + "-2", "instance_profile_name": "web-2", "roles": ["web"]}
    inventory = load(tmp_path, {"rows.json": [held, broken]})
    assert links_of(inventory) == [(WEB_PROFILE, WEB)]
    assert tags_of(inventory, WEB_PROFILE) == {"owner": "ops"}
    assert reasons(inventory, "file") == [(f"{tmp_path / 'rows.json'} $[1]", "unreadable")]


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
    assert "rename the file to NAME.json, or give the file itself as a source" in gap["detail"]


def test_a_file_is_read_whatever_its_suffix_where_it_is_named_itself(tmp_path: Path) -> None:
    folder = write(tmp_path, {"roles.txt": UTF8})
    assert len(load_files(folder / "roles.txt").roles) == 1


def test_a_terraform_state_without_roles_is_one_gap_if_it_shows_no_account(tmp_path: Path) -> None:
    gaps = load(tmp_path, {"terraform.tfstate": state()}).gaps
    assert gaps["operation"][gaps["reason"] == "unreadable"].tolist() == ["terraform:state"]


def test_hidden_folders_are_passed_over(tmp_path: Path) -> None:
    documents = {"roles.json": UTF8, ".terraform/terraform.tfstate": state(managed("aws_iam_role", tf_role("x")))}
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

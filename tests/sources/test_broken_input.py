"""Broken, hostile and oversized input: one sentence that says what is wrong, or the readable part and a gap."""

from __future__ import annotations

import copy
import gzip
import io
import json
import os
import struct
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openpyxl
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
    write,
    zipped,
)
from commands import process, run
from showing import without
from terraform import managed, plan, plan_resource, state, tf_role

import iamframe
from iamframe.checks import run_checks
from iamframe.checks.tag_policy import read_policy
from iamframe.errors import SourceError
from iamframe.inventory.completeness import completeness
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.load import load_files
from iamframe.report.write import write_report
from iamframe.sources import archives
from iamframe.ui.cli import _run

WEB = f"arn:aws:iam::{ACCOUNT}:role/web"
WEB_PROFILE = f"arn:aws:iam::{ACCOUNT}:instance-profile/web"
GOOD = {"good.json": {"Role": nested_role("good", RoleLastUsed={})}}
BOMB_CAP = 10_000


def nested(depth: int) -> str:
    """Return an object in an object, so many levels deep."""
    return '{"a":' * depth + "1" + "}" * depth


def unreadable(inventory: Inventory) -> list[str]:
    "Return the details of what could not be read."
    return list(inventory.gaps[inventory.gaps["reason"] == "unreadable"]["detail"])


ROLES = json.dumps({"Roles": [nested_role("web")]}).encode()
ARCHIVE = zipped({"roles.json": ROLES})
# The first byte of the member's data: a block type that deflate does not know.
DAMAGED = ARCHIVE[:40] + b"\xff" * 30 + ARCHIVE[70:]


def with_method(method: int) -> bytes:
    """Return an archive whose member claims to be packed by another method."""
    data = bytearray(ARCHIVE)
    struct.pack_into("<H", data, 8, method)
    struct.pack_into("<H", data, data.index(b"PK\x01\x02") + 10, method)
    return bytes(data)


def claiming(size: int) -> bytes:
    """Return an archive whose member claims to be longer than the archive."""
    data = bytearray(with_method(0))
    for header in (14, data.index(b"PK\x01\x02") + 16):
        struct.pack_into("<II", data, header + 4, size, size)
    return bytes(data)


def damaged_lzma() -> bytes:
    """Return an archive packed by LZMA, its data damaged."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("roles.json", ROLES)
    data = bytearray(buffer.getvalue())
    data[50:80] = b"\xff" * 30
    return bytes(data)


def nameless() -> bytes:
    """Return an archive, one member of which has no name."""
    return zipped({"": b"{}", "roles.json": ROLES})


def encrypted() -> bytes:
    """Return an archive whose member claims to be encrypted."""
    data = bytearray(ARCHIVE)
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


BROKEN_PLAN = json.dumps(
    {
        "format_version": "1.2",
        "planned_values": {},
        "resource_changes": [{"address": "a", "change": {"after_unknown": [1]}}],
    }
)
UNREADABLE_FILES: dict[str, tuple[str, str | bytes]] = {
    "an empty file": ("x.json", ""),
    "white space": ("x.json", " \r\n\t "),
    "a byte order mark alone": ("x.json", b"\xef\xbb\xbf"),
    "a UTF-16 byte order mark alone": ("x.json", b"\xff\xfe"),
    "half a UTF-16 character": ("x.json", b"\xff\xfe{\x00}"),
    "prose": ("x.json", "An error occurred (AccessDenied) when calling the ListRoles operation"),
    "YAML": ("x.json", "Roles:\n- Arn: x\n"),
    "a table": ("x.json", "-----\n|ListRoles|\n"),
    "half a file": ("x.json", json.dumps(dump(role_detail("web")))[:200]),
    "a number": ("x.json", "5"),
    "a string": ("x.json", '"Roles"'),
    "null": ("x.json", "null"),
    "true": ("x.json", "true"),
    "an empty object": ("x.json", "{}"),
    "an empty list": ("x.json", "[]"),
    "a list of numbers": ("x.json", "[1, 2, 3]"),
    "a list of strings": ("x.json", '["a", "b"]'),
    "a list of lists": ("x.json", "[[], [[]]]"),
    "a list of empty objects": ("x.json", "[{}]"),
    "unknown keys": ("x.json", '{"Buckets": []}'),
    "NaN": ("x.json", '{"Roles": NaN}'),
    "a key that comes twice": ("x.json", '{"Roles": [], "Roles": []}'),
    "a list that is a number": ("x.json", '{"Roles": 5}'),
    "a list that is an object": ("x.json", '{"RoleDetailList": {}}'),
    "a list that is null": ("x.json", '{"InstanceProfiles": null}'),
    "Steampipe rows of numbers": ("x.json", '{"rows": [1]}'),
    "Steampipe rows without ARN": ("x.json", '{"rows": [{"name": "web"}]}'),
    "a wrapped number": ("x.json", '{"status_code": 200, "data": 5}'),
    "30 levels": ("x.json", nested(30)),
    "100,000 levels": ("x.json", nested(100_000)),
    "100,000 lists": ("x.json", "[" * 100_000 + "]" * 100_000),
    "100,000 lists, open": ("x.json", "[" * 100_000),
    "100,000 levels in a list": ("x.json", "[" + nested(100_000) + "]"),
    "100,000 levels in a role": (
        "x.json",
        '{"Roles": [{"Arn": "a", "AssumeRolePolicyDocument": ' + nested(100_000) + "}]}",
    ),
    "100,000 levels of a wrapper": ("x.json", '{"status_code": 200, "data": ' * 100_000 + "5" + "}" * 100_000),
    "binary": ("x.json", bytes(range(256)) * 4),
    "a JPEG": ("x.json", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"),
    "text that is not UTF-8": ("x.json", '{"Größe": 1}'.encode("latin-1")),
    "a list of text that is not UTF-8": ("x.json", '[{"Größe": 1}]'.encode("latin-1")),
    "a plan whose unknown is a list": ("x.json", BROKEN_PLAN),
    "denied.csv without its columns": ("denied.csv", "a,b\n1,2\n"),
    "denied.csv that is binary": ("denied.csv", b"operation\xff\xfe\x00"),
    "gzip that is text": ("x.json.gz", "hello"),
    "half a gzip whose name does not say so": ("x.json", gzip.compress(ROLES)[:-20]),
    "an empty gzip": ("x.json.gz", ""),
    "half a gzip": ("x.json.gz", gzip.compress(ROLES)[:-20]),
    "a gzip with a wrong sum": ("x.json.gz", gzip.compress(ROLES)[:-8] + b"\0" * 8),
    "a zip that is text": ("x.zip", "hello"),
    "an empty file as a zip": ("x.zip", ""),
    "half a zip": ("x.zip", ARCHIVE[:-30]),
    "a zip with damaged data": ("x.zip", DAMAGED),
    "a zip by an unknown method": ("x.zip", with_method(99)),
    "a zip that says LZMA": ("x.zip", with_method(14)),
    "a zip that says BZIP2": ("x.zip", with_method(12)),
    "a zip that says stored": ("x.zip", with_method(0)),
    "a zip with a member longer than the archive": ("x.zip", claiming(1_000_000)),
    "a zip with damaged LZMA data": ("x.zip", damaged_lzma()),
    "a zip that says encrypted": ("x.zip", encrypted()),
    "a link in a zip": ("x.zip", zipped({"roles.json": b"/etc/passwd"}, links=("roles.json",))),
    "a damaged gzip in a zip": ("x.zip", zipped({"roles.json.gz": b"hello"})),
}


@pytest.mark.parametrize("kind", UNREADABLE_FILES)
def test_a_file_that_cannot_be_read_at_all_is_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    name, content = UNREADABLE_FILES[kind]
    write(tmp_path, {name: content})
    with pytest.raises(SourceError) as caught:
        load_files(tmp_path / name)
    sentence = str(caught.value)
    assert sentence.startswith(str(tmp_path / name))
    assert "\n" not in sentence
    assert len(sentence) < 500


@pytest.mark.parametrize("kind", UNREADABLE_FILES)
def test_a_file_that_cannot_be_read_beside_one_that_can_is_one_gap(tmp_path: Path, kind: str) -> None:
    name, content = UNREADABLE_FILES[kind]
    inventory = load(tmp_path, GOOD | {name: content})
    assert list(inventory.roles["role_name"]) == ["good"]
    assert len(unreadable(inventory)) == 1
    assert name in unreadable(inventory)[0]


def test_of_a_list_of_documents_each_unreadable_one_is_a_gap(tmp_path: Path) -> None:
    documents = [{"Role": nested_role("web")}, {"Buckets": []}, 5, {"Role": nested_role("batch")}]
    inventory = load(tmp_path, {"x.json": documents})
    assert list(inventory.roles["role_name"]) == ["batch", "web"]
    assert all(f"[{index}]" in " ".join(unreadable(inventory)) for index in (1, 2))


def test_of_several_broken_records_each_is_a_gap(tmp_path: Path) -> None:
    roles = [{"Arn": 5}, nested_role("web"), {"RoleName": "x"}, nested_role("batch") | {"Path": 5}]
    inventory = load(tmp_path, {"x.json": {"Roles": roles}})
    assert list(inventory.roles["role_name"]) == ["web"]
    details = " ".join(unreadable(inventory))
    assert [f"$.Roles[{index}]" in details for index in range(4)] == [True, False, True, True]


def test_of_several_broken_items_of_config_each_is_named_by_its_own_place(tmp_path: Path) -> None:
    items = [5, config_item(5) | {"arn": "a"}, config_item(RECORDED)]
    details = " ".join(unreadable(load(tmp_path, {"x.json": {"configurationItems": items}})))
    assert "$.configurationItems[0]" in details
    assert "$.configurationItems[1].configuration" in details


@pytest.mark.parametrize("rest", ["{", "oops", '{"Role": 5}', "5", '{"a": NaN}', "[" * 100_000, '{"Buckets": []}'])
def test_of_documents_in_one_file_those_before_the_broken_one_are_kept(tmp_path: Path, rest: str) -> None:
    inventory = load(tmp_path, {"x.json": json.dumps({"Role": nested_role("web")}) + "\n" + rest})
    assert list(inventory.roles["role_name"]) == ["web"]
    assert len(unreadable(inventory)) == 1


def test_keys_of_an_unknown_shape_that_differ_only_in_their_ends_are_shown_once(tmp_path: Path) -> None:
    recorded = {f"{'long/' * 20}{number}": {} for number in range(9)} | {"other": {}}
    with pytest.raises(SourceError) as refused:
        load(tmp_path, {"recorded.json": recorded})
    assert f"(keys: '{'long/' * 8}…', 'other')" in str(refused.value)


def test_documents_after_one_of_an_unknown_shape_are_kept(tmp_path: Path) -> None:
    lines = [{"Buckets": []}, {"Role": nested_role("web")}]
    inventory = load(tmp_path, {"x.jsonl": "\n".join(map(json.dumps, lines))})
    assert list(inventory.roles["role_name"]) == ["web"]
    assert len(unreadable(inventory)) == 1


# Records


@pytest.mark.parametrize(
    "document",
    [
        {"Roles": [without(nested_role("web"), "Arn"), nested_role("batch")]},
        dump(without(role_detail("web"), "Arn"), role_detail("batch")),
        profile_list(without(profile("web"), "Arn"), profile("batch", nested_role("batch"))),
        profile_list(profile("web", without(nested_role("web"), "Arn")), profile("batch", nested_role("batch"))),
    ],
)
def test_a_record_without_arn_is_a_gap_and_the_list_is_not_whole(tmp_path: Path, document: dict[str, Any]) -> None:
    inventory = load(tmp_path, {"x.json": document})
    assert list(inventory.roles["role_name"]) == ["batch"]
    assert completeness(inventory)[["roles_whole", "profiles_whole"]].values.tolist() == [[False, False]]
    (detail,) = unreadable(inventory)
    assert "[0]" in detail
    assert "Arn" in detail


@pytest.mark.parametrize(
    "arn", ["web", "arn", "arn:aws:iam::", ":::::", "arn:aws:iam::000000000001", "arn:aws:iam::1:role", "/", "😀"]
)
def test_a_broken_arn_is_kept_as_it_is(tmp_path: Path, arn: str) -> None:
    documents = {"x.json": {"Roles": [nested_role("web") | {"Arn": arn}, nested_role("batch")]}}
    inventory = load(tmp_path, documents)
    assert inventory.roles.set_index("role_arn")["role_name"][arn] == "web"


# What is listed under a key, and the fields that a record of it has with a value of a wrong type.
WRONG_FIELDS: dict[str, list[tuple[str, object]]] = {
    "RoleDetailList": [
        ("Arn", 5),
        ("Arn", None),
        ("RoleName", 5),
        ("RoleName", ["web"]),
        ("Path", {}),
        ("RoleId", 5),
        ("CreateDate", []),
        ("CreateDate", True),
        ("CreateDate", {"year": "x"}),
        ("PermissionsBoundary", "arn:aws:iam::aws:policy/B"),
        ("PermissionsBoundary", {"PermissionsBoundaryArn": 5}),
        ("RoleLastUsed", "never"),
        ("RoleLastUsed", {"LastUsedDate": []}),
        ("RoleLastUsed", {"Region": 5}),
        ("Tags", "owner=ops"),
        ("Tags", {"owner": "ops"}),
        ("Tags", [5]),
        ("Tags", [{"Key": 5, "Value": "ops"}]),
        ("Tags", [{"Key": "owner", "Value": 5}]),
        ("Tags", [{"Value": "ops"}]),
        ("InstanceProfileList", 5),
        ("InstanceProfileList", ["web"]),
        ("InstanceProfileList", [{"InstanceProfileName": "web"}]),
    ],
    "Roles": [("Description", 5), ("MaxSessionDuration", "1h"), ("MaxSessionDuration", 1.5)],
    "InstanceProfiles": [
        ("Arn", 5),
        ("InstanceProfileName", 5),
        ("Path", ["/"]),
        ("InstanceProfileId", {}),
        ("CreateDate", True),
        ("Roles", "web"),
        ("Roles", ["web"]),
        ("Roles", None),
        ("Roles", [{"Arn": 5}]),
        ("Roles", [{"RoleName": "web"}]),
    ],
}
MAKE = {"RoleDetailList": role_detail, "Roles": nested_role, "InstanceProfiles": profile}


@pytest.mark.parametrize(
    ("key", "field", "value"), [(key, *wrong) for key, fields in WRONG_FIELDS.items() for wrong in fields]
)
def test_a_listed_record_with_a_field_of_a_wrong_type_is_a_gap_and_the_list_is_not_whole(
    tmp_path: Path, key: str, field: str, value: object
) -> None:
    inventory = load(tmp_path, {"x.json": {key: [MAKE[key]("batch"), MAKE[key]("web") | {field: value}]}})
    kind, name = ("profiles", "profile_name") if key == "InstanceProfiles" else ("roles", "role_name")
    assert list(inventory.frames[kind][name]) == ["batch"]
    assert completeness(inventory)[f"{kind}_whole"].tolist() == [False]
    (detail,) = unreadable(inventory)
    assert f"$.{key}[1].{field}" in detail
    assert "\n" not in detail


@pytest.mark.parametrize(
    "policy", [5, True, [], {}, [1], "nonsense", "%", "%ff", '"', "{", "", {"Statement": 5}, json.loads(nested(30))]
)
def test_a_role_whose_trust_policy_is_no_policy_is_kept_and_its_trust_unknown(tmp_path: Path, policy: object) -> None:
    inventory = load(tmp_path, {"x.json": {"Roles": [nested_role("web") | {"AssumeRolePolicyDocument": policy}]}})
    assert inventory.roles[["role_name", "trusts_ec2"]].values.tolist() == [["web", "unknown"]]
    assert inventory.roles["trust_policy"].isna().tolist() == [True]
    (detail,) = unreadable(inventory)
    assert WEB in detail


@pytest.mark.parametrize("tags", ["x", {}, None, [5], [{"Key": 5}], [{"Value": "x"}], [{"Key": "a", "Value": []}]])
@pytest.mark.parametrize("name", ["instance-profile-tags/web.json", "role-tags/web.json"])
def test_tags_of_a_wrong_type_are_a_gap_and_stay_unknown(tmp_path: Path, name: str, tags: object) -> None:
    documents = {"p.json": profile_list(profile("web", nested_role("web"))), name: {"Tags": tags}}
    inventory = load(tmp_path, documents)
    assert [*inventory.profiles["tags_known"], *inventory.roles["tags_known"]] == [False, False]
    (detail,) = unreadable(inventory)
    assert name in detail


def test_of_a_tag_listing_with_one_broken_tag_none_is_taken(tmp_path: Path) -> None:
    tags = [*tag_list({"owner": "ops"}), {"Key": 5}]
    inventory = load(
        tmp_path, {"p.json": profile_list(profile("web")), "instance-profile-tags/web.json": {"Tags": tags}}
    )
    assert len(inventory.tags) == 0
    assert inventory.profiles["tags_known"].tolist() == [False]


@pytest.mark.parametrize("got", [{"Role": 5}, {"InstanceProfile": []}, {"Role": {"Arn": WEB, "Tags": 5}}])
def test_a_single_record_of_a_wrong_type_is_a_gap(tmp_path: Path, got: dict[str, Any]) -> None:
    inventory = load(tmp_path, GOOD | {"x.json": got})
    assert list(inventory.roles["role_name"]) == ["good"]
    (detail,) = unreadable(inventory)
    assert "x.json" in detail


@pytest.mark.parametrize(
    "created", ["nonsense", "2024-13-01T00:00:00Z", "99999-01-01T00:00:00Z", 1e300, -1e300, 10**30]
)
def test_a_time_that_is_no_time_is_left_unknown_with_a_gap(tmp_path: Path, created: str | float) -> None:
    inventory = load(tmp_path, {"x.json": {"Roles": [nested_role("web") | {"CreateDate": created}]}})
    assert inventory.roles["created_at"].isna().tolist() == [True]
    (detail,) = unreadable(inventory)
    assert "created_at" in detail


@pytest.mark.parametrize("number", [2**63, 10**30, -(10**30)])
def test_a_number_beyond_64_bits_is_a_gap_or_left_unknown(tmp_path: Path, number: int) -> None:
    inventory = load(tmp_path, GOOD | {"x.json": {"Roles": [nested_role("web", MaxSessionDuration=number)]}})
    assert "good" in list(inventory.roles["role_name"])
    assert len(unreadable(inventory)) == 1


@pytest.mark.parametrize(
    "counts", [5, [], {"Roles": "x"}, {"Roles": 1.5}, {"Roles": 10**30}, {"RolesQuota": -(10**30)}]
)
def test_a_summary_of_a_wrong_type_is_a_gap(tmp_path: Path, counts: object) -> None:
    inventory = load(tmp_path, GOOD | {"x.json": {"SummaryMap": counts}})
    assert inventory.accounts["role_quota"].isna().tolist() == [True]
    assert len(unreadable(inventory)) == 1


# Every node of every shape, replaced by what does not belong there


def config_item(configuration: object) -> dict[str, Any]:
    """Return an AWS Config item of a role."""
    return {
        "resourceType": "AWS::IAM::Role",
        "configurationItemStatus": "OK",
        "configurationItemCaptureTime": "2024-06-01T00:00:00Z",
        "arn": WEB,
        "resourceId": "AROAWEB",
        "accountId": ACCOUNT,
        "tags": {"owner": "ops"},
        "configuration": configuration,
    }


RECORDED = {
    "arn": WEB,
    "roleName": "web",
    "path": "/",
    "createDate": "2024-05-01T09:00:00Z",
    "assumeRolePolicyDocument": "%7B%22Statement%22%3A%5B%5D%7D",
    "permissionsBoundary": {"permissionsBoundaryArn": "b"},
    "roleLastUsed": {"lastUsedDate": "2024-05-01T09:00:00Z", "region": "eu-west-1"},
    "instanceProfileList": [{"arn": WEB_PROFILE, "instanceProfileName": "web"}],
    "tags": [{"key": "owner", "value": "ops"}],
}
HELD = {
    "Arn": WEB_PROFILE,
    "Path": "/",
    "Roles": ["web", {"Arn": WEB, "RoleName": "web"}],
    "Tags": tag_list({"a": "b"}),
}
FULL_ROLE = role_detail("web", [profile("web")], {"owner": "ops"}) | {
    "RoleLastUsed": {"LastUsedDate": "2024-05-01T09:00:00Z", "Region": "eu-west-1"},
    "PermissionsBoundary": {"PermissionsBoundaryArn": "b"},
    "Description": "d",
    "MaxSessionDuration": 3600,
}
TF_ROLE = tf_role(create_date="2024-05-01T09:00:00Z", tags={"a": "b"}, tags_all={"a": None}) | {
    "assume_role_policy": '{"Statement":[]}',
    "description": "d",
    "max_session_duration": 3600,
}
TF_PROFILE = {"arn": WEB_PROFILE, "name": "web", "path": "/", "role": "web", "roles": ["web"], "tags_all": {"a": "b"}}
PIN = {"LaunchTemplateId": "lt-1", "LaunchTemplateName": "front", "Version": "1"}
SHAPES: dict[str, Any] = {
    "dump": dump(FULL_ROLE, IsTruncated=False),
    "roles": {"Roles": [FULL_ROLE], "NextToken": None},
    "role": {"Role": FULL_ROLE},
    "profiles": profile_list(profile("web", FULL_ROLE)),
    "profile": {"InstanceProfile": profile("web", FULL_ROLE, Tags=tag_list({"a": "b"}))},
    "summary": {"SummaryMap": {"Roles": 1, "RolesQuota": 1000}},
    "identity": identity(),
    "aliases": {"AccountAliases": ["house"]},
    "wrapped": {"status_code": 200, "data": {"Role": FULL_ROLE | {"CreateDate": {"year": 2024, "month": 5, "day": 1}}}},
    "instances": {
        "Reservations": [
            {
                "OwnerId": ACCOUNT,
                "Instances": [
                    {
                        "InstanceId": "i-1",
                        "State": {"Name": "running"},
                        "Placement": {"AvailabilityZone": "eu-west-1b"},
                        "IamInstanceProfile": {"Arn": WEB_PROFILE, "Id": "AIPAWEB"},
                        "Tags": tag_list({"Name": "front"}),
                    }
                ],
            }
        ]
    },
    "associations": {
        "IamInstanceProfileAssociations": [
            {"AssociationId": "a", "InstanceId": "i", "State": "associated", "IamInstanceProfile": {"Arn": WEB_PROFILE}}
        ]
    },
    "templates": {
        "LaunchTemplates": [{"LaunchTemplateId": "lt-1", "LaunchTemplateName": "n", "LatestVersionNumber": 1}]
    },
    "versions": {
        "LaunchTemplateVersions": [
            {
                "LaunchTemplateId": "lt-1",
                "LaunchTemplateName": "front",
                "VersionNumber": 1,
                "DefaultVersion": True,
                "LaunchTemplateData": {"IamInstanceProfile": {"Name": "web"}},
            }
        ]
    },
    "configurations": {
        "LaunchConfigurations": [
            {
                "LaunchConfigurationName": "c",
                "LaunchConfigurationARN": "arn:aws:x:eu-west-1:1:c",
                "IamInstanceProfile": "w",
            }
        ]
    },
    "groups": {
        "AutoScalingGroups": [
            {
                "AutoScalingGroupName": "g",
                "AutoScalingGroupARN": "arn:aws:autoscaling:eu-west-1:000000000001:g",
                "LaunchConfigurationName": "c",
                "LaunchTemplate": PIN,
                "MixedInstancesPolicy": {
                    "LaunchTemplate": {
                        "LaunchTemplateSpecification": PIN,
                        "Overrides": [{"LaunchTemplateSpecification": PIN}],
                    }
                },
                "Status": "x",
            }
        ]
    },
    "config of the API": {"configurationItems": [config_item(json.dumps(RECORDED))]},
    "config snapshot": {"configurationItems": [config_item(RECORDED)]},
    "config item": config_item(RECORDED),
    "config profile": [config_item(HELD) | {"resourceType": "AWS::IAM::InstanceProfile", "arn": WEB_PROFILE}],
    "Terraform state": state(
        managed("aws_iam_role", TF_ROLE, index_key=0) | {"module": "module.a"},
        managed("aws_iam_instance_profile", TF_PROFILE, index_key=0) | {"module": "module.a"},
    ),
    "Terraform plan": plan(
        plan_resource("aws_iam_role.web", TF_ROLE),
        plan_resource("aws_iam_instance_profile.web", TF_PROFILE),
        unknown={"aws_iam_role.web": {"tags_all": {"a": True}}},
    ),
    "Steampipe roles": {
        "rows": [
            {
                "arn": WEB,
                "name": "web",
                "role_id": "A",
                "create_date": "2024-05-01T09:00:00Z",
                "max_session_duration": 3600,
                "role_last_used_date": "2024-05-01T09:00:00Z",
                "assume_role_policy_std": {"Statement": []},
                "instance_profile_arns": [WEB_PROFILE],
                "tags": {"a": "b"},
                "tags_src": tag_list({"a": "b"}),
            }
        ]
    },
    "Steampipe profiles": [
        {
            "arn": WEB_PROFILE,
            "instance_profile_name": "web",
            "path": "/",
            "roles": [nested_role("web")],
            "tags": {"a": "b"},
        }
    ],
}
JUNK: list[object] = [None, True, 5, -1, 1.5, 1e300, 10**30, "", "x", "\x00", "a/b:c"]
JUNK += [[], [[]], [5], [None], ["x"], {}, {"": {}}, {"x": 5}]


def spoilt(document: Any) -> Iterator[tuple[tuple[Any, ...], list[str]]]:
    """Yield each place of a document, and the document with that place left out or replaced by each piece of junk."""

    def places(node: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        yield path
        children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, child in children:
            yield from places(child, (*path, key))

    for path in list(places(document, ()))[1:]:
        changed = copy.deepcopy(document)
        parent = changed
        for key in path[:-1]:
            parent = parent[key]
        texts = []
        for value in JUNK:
            parent[path[-1]] = value
            texts.append(json.dumps(changed))
        del parent[path[-1]]
        yield path, [*texts, json.dumps(changed)]


def lost(folder: Path, texts: list[str]) -> str | None:
    """Load documents beside a good file; return what went wrong."""
    write(folder, {"x.zip": zipped({f"{i}.json": text.encode() for i, text in enumerate(texts)})})
    try:
        return None if "good" in list(load_files(folder).roles["role_name"]) else "lost"
    except Exception as error:  # noqa: BLE001 - which one it is, is what the test tells
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("shape", SHAPES)
def test_whatever_stands_in_a_field_nothing_else_is_lost_and_nothing_is_raised(tmp_path: Path, shape: str) -> None:
    write(tmp_path, GOOD)
    spoils = dict(spoilt(SHAPES[shape]))
    assert spoils
    if lost(tmp_path, [text for texts in spoils.values() for text in texts]):
        # Together they tell only that something went wrong.
        assert {path: problem for path, texts in spoils.items() if (problem := lost(tmp_path, texts))} == {}
        pytest.fail("only all of them together are lost")


# Size


def write_long(file: Any, document: dict[str, Any]) -> None:
    """Write a document with 200 megabytes in the place of its `@`."""
    before, after = json.dumps(document).encode().split(b"@")
    for part in (before, *[b"x" * 1_000_000] * 200, after):
        file.write(part)


def test_a_string_of_200_megabytes_in_a_field_is_read(tmp_path: Path) -> None:
    with (tmp_path / "x.json").open("wb") as file:
        write_long(file, {"Roles": [nested_role("web", Description="@")]})
    inventory = load_files(tmp_path)
    assert inventory.roles["description"].str.len().tolist() == [200_000_000]


def test_200_megabytes_in_a_field_that_is_not_asked_for_are_passed_over(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "x.json.gz", "wb", compresslevel=1) as file:
        write_long(file, dump(role_detail("web"), Policies=["@"]))
    assert list(load_files(tmp_path).roles["role_name"]) == ["web"]


def spaces(count: int) -> bytes:
    """Return JSON of so many bytes, most of them spaces."""
    return b'{"Roles": [' + b" " * count + b"]}"


@pytest.fixture
def _small_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iamframe.sources.archives.MAX_UNPACKED", BOMB_CAP)


@pytest.mark.usefixtures("_small_cap")
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.json.gz", gzip.compress(spaces(BOMB_CAP), mtime=0)),
        ("x.zip", zipped({"x.json": spaces(BOMB_CAP)})),
        ("x.zip", zipped({"x.json.gz": gzip.compress(spaces(BOMB_CAP))})),
    ],
)
def test_an_archive_that_unpacks_to_more_than_the_cap_is_a_gap(tmp_path: Path, name: str, content: bytes) -> None:
    inventory = load(tmp_path, GOOD | {name: content})
    (detail,) = unreadable(inventory)
    assert name in detail
    assert "unpacks to more than" in detail


@pytest.mark.usefixtures("_small_cap")
def test_the_members_of_an_archive_count_together_against_the_cap(tmp_path: Path) -> None:
    role = json.dumps({"Role": nested_role("web")}).encode()
    inventory = load(tmp_path, {"x.zip": zipped({"a.json": role, "b.json": spaces(BOMB_CAP - 100), "c.json": role})})
    assert list(inventory.roles["role_name"]) == ["web"]
    assert "b.json: unpacks to more than" in unreadable(inventory)[0]


@pytest.mark.usefixtures("_small_cap")
def test_the_gzips_in_an_archive_count_together_against_the_cap(tmp_path: Path) -> None:
    packed = gzip.compress(spaces(BOMB_CAP - 1_000))
    inventory = load(tmp_path, GOOD | {"x.zip": zipped({f"{i}.json.gz": packed for i in range(9)})})
    assert any("unpacks to more than" in detail for detail in unreadable(inventory))


@pytest.mark.usefixtures("_small_cap")
def test_an_archive_within_the_cap_is_read(tmp_path: Path) -> None:
    assert len(load(tmp_path, {"x.json.gz": gzip.compress(ROLES), "y.zip": ARCHIVE}).roles) == 1


def test_a_gzip_bomb_of_more_than_a_gibibyte_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert archives._Budget().left == 1 << 30
    # As if nearly all of it had been unpacked before.
    monkeypatch.setattr(archives._Budget, "__init__", lambda self: setattr(self, "left", 1 << 24))
    member = gzip.compress(b" " * (1 << 22))
    write(tmp_path, {"x.json.gz": member * 5})
    with pytest.raises(SourceError, match=r"x\.json\.gz: unpacks to more than 1 GiB"):
        load_files(tmp_path)


# Folders, links, names


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"/nowhere: there is no such file or folder"):
        load_files(tmp_path / "nowhere")


def test_a_current_folder_that_was_deleted_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(SourceError, match=r"^\.: there is no such file or folder"):
        load_files(".")


def test_no_path_is_refused() -> None:
    with pytest.raises(SourceError, match="no file given"):
        load_files()


@pytest.mark.parametrize("names", [[], ["readme.txt"], ["sub/picture.png"], [".hidden.json"]])
def test_a_folder_without_a_readable_file_is_refused(tmp_path: Path, names: list[str]) -> None:
    folder = write(tmp_path / "folder", dict.fromkeys(names, "text"))
    folder.mkdir(exist_ok=True)
    with pytest.raises(SourceError, match=r"/folder: has no file that iamframe reads"):
        load_files(folder)


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.json")
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        load_files(tmp_path / "x.json")


@pytest.mark.parametrize("name", ["with\nnewline.json", "with\x1b[31mcolour.json", "ümlaut.json"])
def test_a_file_of_a_strange_name_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    write(tmp_path, {name: "{}"})
    with pytest.raises(SourceError) as caught:
        load_files(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_path_that_is_no_path_is_refused() -> None:
    with pytest.raises(SourceError):
        load_files("a\x00b")


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(SourceError):
        load_files("x" * 10_000)


@pytest.mark.parametrize("target", ["gone.json", "x.json"])
def test_a_link_that_leads_nowhere_is_no_crash(tmp_path: Path, target: str) -> None:
    write(tmp_path, GOOD)
    (tmp_path / "x.json").symlink_to(target)
    assert list(load_files(tmp_path).roles["role_name"]) == ["good"]


@pytest.mark.parametrize("target", ["gone.json", "x.json"])
def test_a_link_that_leads_nowhere_is_refused_where_it_is_named(tmp_path: Path, target: str) -> None:
    (tmp_path / "x.json").symlink_to(target)
    with pytest.raises(SourceError, match=r"x\.json"):
        load_files(tmp_path / "x.json")


def test_a_member_without_a_name_does_not_keep_an_archive_from_being_read(tmp_path: Path) -> None:
    assert list(load(tmp_path, {"x.zip": nameless()}).roles["role_name"]) == ["web"]


def test_an_archive_without_a_readable_member_is_refused_by_its_name(tmp_path: Path) -> None:
    write(tmp_path, {"x.zip": zipped({"readme.txt": b"hello"})})
    with pytest.raises(SourceError, match=r"/x\.zip: has no file that iamframe reads"):
        load_files(tmp_path / "x.zip")


def test_a_link_in_an_archive_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path, {"secret.json": {"Role": nested_role("secret")}})
    target = str(tmp_path / "secret.json").encode()
    write(tmp_path, {"x/x.zip": zipped({"a.json": target, "b.json": ROLES}, links=("a.json",))})
    inventory = load_files(tmp_path / "x")
    assert list(inventory.roles["role_name"]) == ["web"]
    (detail,) = unreadable(inventory)
    assert "a.json: is a link inside an archive" in detail


# The command line


CLI_KINDS = ["an empty file", "half a file", "a list of numbers", "100,000 levels", "100,000 lists", "binary"]
CLI_KINDS += ["half a zip", "a link in a zip"]


@pytest.mark.parametrize("kind", CLI_KINDS)
def test_the_command_line_refuses_broken_input_in_one_line(tmp_path: Path, kind: str) -> None:
    name, content = UNREADABLE_FILES[kind]
    write(tmp_path, {name: content})
    # What is nested deeply meets the stack of a process of its own, too.
    done = (process if kind in ("100,000 levels", "binary") else run)(tmp_path, "report", name, "--out", "out")
    assert done.returncode == 2
    assert done.stderr.startswith(f"iamframe: {name}")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


@pytest.mark.parametrize(
    ("command", "source"),
    [
        ("report", "nowhere"),
        ("check", "nowhere"),
        ("report", ""),
        ("report", "a\nb"),
        ("report", "x" * 10_000),
        ("report", "\x1b[31mred"),
        ("report", "."),
        ("check", "aws"),
    ],
)
def test_the_command_line_refuses_a_source_that_is_none_in_one_line(tmp_path: Path, command: str, source: str) -> None:
    done = run(tmp_path, command, source)
    assert done.returncode == 2
    assert done.stderr.startswith("iamframe: ")
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def escaping(name: str) -> dict[str, bytes | dict[str, Any]]:
    """Return files that use one name wherever a name may stand."""
    role = nested_role("web", account=name) | {"RoleName": name, "Path": f"/{name}/"}
    listing = dump(role_detail("web", [profile("web", account=name)], account=name) | role)
    tags = json.dumps({"Tags": []}).encode()
    members = {name + ".json": json.dumps(listing).encode(), name + "/role-tags/" + name + ".json": tags}
    return {"dump.json": listing, "identity.json": identity(name), "x.zip": zipped(members)}


def everything(folder: Path, but: Path) -> dict[str, int]:
    """Return size by path of all that lies in a folder, but for one subfolder."""
    return {str(p): p.stat().st_size for p in folder.rglob("*") if p != but and but not in p.parents}


ESCAPING = ("../../x", "/../../x", "..", "../../../../../../tmp/iamframe-escaped", "/tmp/iamframe-escaped", "..\\x")


def test_no_name_in_the_data_is_taken_for_a_path(tmp_path: Path) -> None:
    work = tmp_path / "a" / "b"
    for number, name in enumerate(ESCAPING):
        write(work / str(number), escaping(name))
    before = everything(tmp_path, work / "out")
    done = run(work, "report", ".", "--out", "out")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert everything(tmp_path, work / "out") == before
    assert not Path("/tmp/iamframe-escaped").exists()
    assert not Path("/tmp/iamframe-escaped.json").exists()
    assert all(path.is_file() for path in (work / "out").iterdir() if path.name != "checks")


@pytest.mark.parametrize(
    "make", [lambda path: path.write_text("keep"), lambda path: (path.mkdir(), (path / "k").touch())]
)
def test_a_report_that_fails_leaves_what_was_there(tmp_path: Path, make: Callable[[Path], object]) -> None:
    write(tmp_path, {"x.json": "["})
    make(tmp_path / "out")
    before = everything(tmp_path, tmp_path / "none")
    assert run(tmp_path, "report", "x.json", "--out", "out").returncode == 2
    assert everything(tmp_path, tmp_path / "none") == before


# A key that comes twice within an item

TWICE = {
    "a role's tags": ("RoleDetailList", '"Tags": [{"Key": "a", "Value": "1"}], "Tags": []'),
    "what a profile holds": ("InstanceProfiles", '"Roles": [], "Roles": [{"Arn": "x"}]'),
    "within a tag": ("RoleDetailList", '"Tags": [{"Key": "a", "Key": "b"}]'),
    "within a trust policy": ("Roles", '"AssumeRolePolicyDocument": {"Statement": [], "Statement": []}'),
}


@pytest.mark.parametrize("case", TWICE)
def test_an_item_with_a_key_twice_is_unreadable_and_the_others_are_read(tmp_path: Path, case: str) -> None:
    key, text = TWICE[case]
    arn = f"arn:aws:iam::{ACCOUNT}:{'instance-profile' if key == 'InstanceProfiles' else 'role'}"
    document = f'{{"{key}": [{{"Arn": "{arn}/web", {text}}}, {{"Arn": "{arn}/good"}}]}}'
    inventory = load(tmp_path, {"x.json": document})
    assert [*inventory.roles["role_arn"], *inventory.profiles["profile_arn"]] == [f"{arn}/good"]
    (detail,) = unreadable(inventory)
    assert f"$.{key}[0]: has the key '" in detail
    assert "twice, so one value would be lost" in detail
    assert inventory.calls["state"].tolist() == ["partial"]
    assert "--max-items" not in " ".join([*inventory.gaps["detail"], *run_checks(inventory).coverage["reason"]])


def test_the_one_item_of_a_document_with_a_key_twice_is_unreadable(tmp_path: Path) -> None:
    one = json.dumps({"Role": nested_role("web", RoleLastUsed={})}).replace(
        '"RoleLastUsed"', '"Tags": [], "Tags": [], "RoleLastUsed"'
    )
    inventory = load(tmp_path, {"one.json": one} | GOOD)
    assert list(inventory.roles["role_name"]) == ["good"]
    (detail,) = unreadable(inventory)
    assert "$.Role" in detail
    assert "has the key 'Tags' twice" in detail


# Nothing that could be read

NOTHING = {
    "an AWS Config item": {"resourceType": "AWS::IAM::Role", "arn": WEB, "awsAccountId": ACCOUNT, "configuration": "{"},
    "a list of AWS Config items": {"configurationItems": [{"resourceType": "AWS::IAM::Role", "configuration": "{"}]},
    "a reservation": {"Reservations": [{"Instances": None}]},
}


@pytest.mark.parametrize("case", NOTHING)
def test_a_file_of_which_nothing_can_be_read_is_refused(tmp_path: Path, case: str) -> None:
    with pytest.raises(SourceError):
        load(tmp_path, {"x.json": NOTHING[case]})


@pytest.mark.parametrize("document", [{"Reservations": []}, {"LaunchConfigurations": []}])
def test_an_answer_that_lists_nothing_is_read(tmp_path: Path, document: dict[str, Any]) -> None:
    assert len(load(tmp_path, {f"{ACCOUNT}/x.json": document}).calls) == 1


# Archives in archives, and what iamframe itself wrote


def test_an_archive_inside_an_archive_is_a_gap(tmp_path: Path) -> None:
    (tmp_path / "all.zip").write_bytes(zipped({"roles.json": ROLES, "more/inner.zip": ARCHIVE}))
    inventory = load_files(tmp_path / "all.zip")
    (detail,) = unreadable(inventory)
    assert "more/inner.zip: is an archive inside an archive" in detail


@pytest.mark.parametrize("made", ["report", "snapshot"])
def test_a_report_or_a_snapshot_beneath_a_source_is_passed_over(tmp_path: Path, made: str) -> None:
    source = write(tmp_path / "source", {"roles.json": ROLES})
    before = load_files(source)
    if made == "report":
        write_report(run_checks(before), source / "deep" / "out")
    else:
        before.save(source / "deep" / "out")
    write(source, {"deep/profiles.json": profile_list(profile("old"))})
    inventory = load_files(source)
    assert list(inventory.profiles["profile_name"]) == ["old"]
    assert unreadable(inventory) == []


def test_a_report_is_refused_as_a_source(tmp_path: Path) -> None:
    write(tmp_path, {"in/roles.json": ROLES})
    write_report(run_checks(load_files(tmp_path / "in")), tmp_path / "old")
    said = "iamframe: old: is a report of iamframe, not a source; give the source that the report is about\n"
    for arguments in (["check", "old"], ["report", "in", "old"], ["diff", "old", "in"]):
        done = run(tmp_path, *arguments)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
    assert not (tmp_path / "iamframe-report").exists()


def test_the_folder_of_a_source_can_also_hold_its_report(tmp_path: Path) -> None:
    source = write(tmp_path, {"in/roles.json": ROLES}) / "in"
    write_report(run_checks(load_files(source)), source)
    assert list(load_files(source).roles["role_name"]) == ["web"]


def test_a_manifest_of_something_else_passes_nothing_over(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"deep/manifest.json": '{"name": "x"}', "deep/roles.json": ROLES})
    assert list(inventory.roles["role_name"]) == ["web"]


@pytest.mark.parametrize("arguments", [["report", ""], ["check", ""], ["report", "sample", "--out", ""]])
def test_an_empty_name_is_no_folder(tmp_path: Path, arguments: list[str]) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert "empty" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_arn_without_an_account_in_the_folders_of_two_accounts_is_of_neither(tmp_path: Path) -> None:
    bare = profile("web") | {"Arn": "arn:aws:iam:::instance-profile/web"}
    role = role_detail("app") | {"Arn": "arn:aws:iam:::role/app"}
    for account in ("111122223333", "444455556666"):
        write(tmp_path / account, {"profiles.json": profile_list(bare), "dump.json": dump(role)})
    inventory = load_files(tmp_path)
    assert inventory.profiles["account_id"].tolist() == inventory.roles["account_id"].tolist() == ["unknown"]


def test_a_file_that_fails_while_it_is_read_is_a_gap_and_the_rest_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def seek(self, *_: int) -> int:
            return 10_000

        def read(self, _: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

    write(tmp_path, {"dump.json": dump(role_detail("app")), "profiles.json": profile_list(profile("web"))})
    opened = Path.open

    def failing(self: Path, *arguments: object, **options: object) -> object:
        return Failing() if self.name == "profiles.json" else opened(self, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", failing)
    inventory = load_files(tmp_path)
    assert inventory.roles["role_name"].tolist() == ["app"]
    (detail,) = inventory.gaps["detail"][inventory.gaps["reason"] == "unreadable"]
    assert "profiles.json" in detail
    assert "Input/output error" in detail


@pytest.mark.skipif(os.name == "nt", reason="there are no such permissions")
def test_a_file_in_a_folder_that_may_be_listed_and_not_entered_is_a_gap() -> None:
    is_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, {"dump.json": dump(role_detail("app")), "closed/profiles.json": profile_list(profile("web"))})
        folder.chmod(0o755)
        (folder / "closed").chmod(0o744 if is_root else 0o444)
        if is_root:
            os.seteuid(65534)
        try:
            inventory = load_files(folder)
        finally:
            if is_root:
                os.seteuid(0)
            (folder / "closed").chmod(0o755)
    assert inventory.roles["role_name"].tolist() == ["app"]
    (detail,) = inventory.gaps["detail"][inventory.gaps["reason"] == "unreadable"]
    assert "closed/profiles.json" in detail


@pytest.mark.skipif(os.name == "nt", reason="there are no such files")
@pytest.mark.parametrize("kind", ["pipe", "device", "nested"])
def test_a_manifest_that_is_no_file_or_nested_deeply_is_passed_over(tmp_path: Path, kind: str) -> None:
    write(tmp_path, {"dump.json": dump(role_detail("app")), "sub/dump.json": dump(role_detail("job"))})
    for folder in (tmp_path, tmp_path / "sub"):
        if kind == "pipe":
            os.mkfifo(folder / "manifest.json")
        elif kind == "device":
            (folder / "manifest.json").symlink_to("/dev/zero")
        else:
            (folder / "manifest.json").write_text("[" * 200_000)
    assert iamframe.load(tmp_path).roles["role_name"].tolist() == ["app", "job"]


# What a user names that is no file, or cannot be a name


@pytest.mark.skipif(os.name == "nt", reason="there is no such device")
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "sample", "--policy", "/dev/zero"],
        ["check", "aws", "--accounts", "/dev/zero"],
        ["report", "sample", "--mask", "--mask-key", "/dev/zero"],
        ["report", "sample", "--out", "x" * 300],
        ["snapshot", "sample", "--out", "x" * 300],
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)
def test_a_device_or_a_name_too_long_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _run(arguments) == 2
    told = capfd.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert told.err.startswith("iamframe: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="there are no such pipes")
def test_a_policy_may_come_from_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "policy"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=('[required_tags]\nOwner = "*"\n',))
    writer.start()
    assert [tag.key for tag in read_policy(pipe).required] == ["Owner"]
    writer.join()


def test_a_title_with_what_no_file_takes_is_written_without_it(tmp_path: Path) -> None:
    result = run_checks(load(tmp_path, GOOD))
    page = write_report(result, tmp_path / "out", title="web \udcff team", xlsx=True).read_text("utf-8")
    assert "<title>web ? team</title>" in page
    (workbook,) = (tmp_path / "out").glob("*.xlsx")
    assert openpyxl.load_workbook(workbook).properties.title == "web ? team"


def test_a_profile_of_whose_name_two_files_disagree_is_explained(tmp_path: Path) -> None:
    one, other = profile("web"), profile("web") | {"InstanceProfileName": "Web2"}
    inventory = load(tmp_path, {"a.json": profile_list(one), "b.json": {"InstanceProfile": other | {"Tags": []}}})
    assert inventory.profiles["profile_name"].isna().all()
    assert iamframe.explain(inventory, WEB_PROFILE).found

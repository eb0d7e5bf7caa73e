"""The practice account answers as AWS does, and fails as it is told to."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("moto.server")

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.parsers import ResponseParserError

from iamframe.errors import MissingExtraError
from iamframe.practice import PracticeAccount, Request, refusal_of
from iamframe.practice import backends as practice_backends

EC2 = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)
POLICY = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}})
ONCE = Config(retries={"total_max_attempts": 1})
BARE_ROLE = {"Path", "RoleName", "RoleId", "Arn", "CreateDate", "AssumeRolePolicyDocument"}
BARE_PROFILE = {"InstanceProfileName", "InstanceProfileId", "Path", "Arn", "CreateDate", "Roles"}
TAGS = [{"Key": "Team", "Value": "search"}]


@pytest.fixture
def account() -> Iterator[PracticeAccount]:
    with PracticeAccount() as opened:
        yield opened


@pytest.fixture
def iam(account: PracticeAccount) -> Any:
    return account.session().client("iam", config=ONCE)


@pytest.fixture
def ec2(account: PracticeAccount) -> Any:
    return account.session().client("ec2", config=ONCE)


@contextlib.contextmanager
def refused(code: str, words: str = "", status: int | None = None) -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    answer = caught.value.response
    assert answer["Error"]["Code"] == code
    assert words in answer["Error"]["Message"]
    assert status in (None, answer["ResponseMetadata"]["HTTPStatusCode"])


def make_role(iam: Any, name: str, **more: Any) -> Any:
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=EC2, **more)["Role"]


def make_profile(iam: Any, name: str, role: str | None = None, **more: Any) -> Any:
    profile = iam.create_instance_profile(InstanceProfileName=name, **more)["InstanceProfile"]
    if role:
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)
    return profile


def pages(call: Any, key: str, **arguments: Any) -> list[list[Any]]:
    found, answer = [], {"IsTruncated": True}
    while answer["IsTruncated"]:
        marker = {"Marker": answer["Marker"]} if "Marker" in answer else {}
        answer = call(**arguments, **marker)
        found.append(answer[key])
    return found


# What listings show.


def test_listings_of_profiles_never_show_tags_and_of_the_role_six_things(iam: Any) -> None:
    make_role(iam, "web", Description="d", Tags=TAGS, MaxSessionDuration=7200)
    make_profile(iam, "web", "web", Tags=TAGS)
    for listed in (iam.list_instance_profiles(), iam.list_instance_profiles_for_role(RoleName="web")):
        (profile,) = listed["InstanceProfiles"]
        assert profile.keys() == BARE_PROFILE
        assert profile["Roles"][0].keys() == BARE_ROLE
        assert profile["Roles"][0]["AssumeRolePolicyDocument"] == json.loads(EC2)
    assert iam.get_instance_profile(InstanceProfileName="web")["InstanceProfile"].keys() == BARE_PROFILE | {"Tags"}


def test_listings_of_roles_show_description_and_session_but_neither_tags_nor_boundary_nor_use(iam: Any) -> None:
    boundary = "arn:aws:iam::aws:policy/PowerUserAccess"
    make_role(iam, "web", Description="d", Tags=TAGS, PermissionsBoundary=boundary)
    make_role(iam, "bare")
    bare, web = iam.list_roles()["Roles"]
    assert bare.keys() == BARE_ROLE | {"MaxSessionDuration"}
    assert web.keys() == BARE_ROLE | {"MaxSessionDuration", "Description"}
    got = iam.get_role(RoleName="web")["Role"]
    assert got.keys() == web.keys() | {"Tags", "RoleLastUsed", "PermissionsBoundary"}
    assert iam.get_role(RoleName="bare")["Role"].keys() == bare.keys() | {"RoleLastUsed"}


def test_tags_are_told_for_an_untagged_profile_and_missing_for_an_untagged_role(iam: Any) -> None:
    assert "Tags" not in make_role(iam, "web")
    assert "Tags" not in make_profile(iam, "web")
    assert make_role(iam, "tagged", Tags=TAGS)["Tags"] == TAGS
    assert make_profile(iam, "tagged", Tags=TAGS)["Tags"] == TAGS
    assert "Tags" not in iam.get_role(RoleName="web")["Role"]
    assert iam.get_role(RoleName="web")["Role"]["RoleLastUsed"] == {}
    assert iam.get_instance_profile(InstanceProfileName="web")["InstanceProfile"]["Tags"] == []
    assert iam.list_instance_profile_tags(InstanceProfileName="tagged")["Tags"] == TAGS
    assert iam.list_role_tags(RoleName="web")["Tags"] == []


def test_account_details_show_role_tags_and_profiles_but_no_description_and_no_empty_profile(iam: Any) -> None:
    make_role(iam, "web", Description="d", Tags=TAGS)
    make_role(iam, "idle")
    make_profile(iam, "web-a", "web", Tags=TAGS)
    make_profile(iam, "web-b", "web")
    make_profile(iam, "empty", Tags=TAGS)
    idle, web = iam.get_account_authorization_details(Filter=["Role"])["RoleDetailList"]
    detail = {"InstanceProfileList", "RolePolicyList", "AttachedManagedPolicies", "Tags", "RoleLastUsed"}
    assert web.keys() == idle.keys() == BARE_ROLE | detail
    assert (idle["Tags"], idle["RoleLastUsed"], idle["InstanceProfileList"]) == ([], {}, [])
    assert web["Tags"] == TAGS
    assert [profile["InstanceProfileName"] for profile in web["InstanceProfileList"]] == ["web-a", "web-b"]
    assert all(profile.keys() == BARE_PROFILE for profile in web["InstanceProfileList"])
    assert "empty" not in json.dumps(iam.get_account_authorization_details(), default=str)


def test_on_the_wire_there_is_nothing_that_a_client_would_drop_unseen(iam: Any) -> None:
    # botocore leaves out what its model does not name: other clients see it.
    make_role(iam, "web", Description="secret words", Tags=TAGS, MaxSessionDuration=7200)
    make_profile(iam, "web", "web", Tags=TAGS)
    bodies: dict[str, str] = {}

    def keep(http_response: Any, model: Any, **_: Any) -> None:
        bodies[model.name] = http_response.text

    iam.meta.events.register("after-call.iam", keep)
    iam.get_account_authorization_details(Filter=["Role"])
    iam.list_instance_profiles()
    assert "<Key>Team</Key>" in bodies["GetAccountAuthorizationDetails"]
    assert bodies["GetAccountAuthorizationDetails"].count("<Tags>") == 1
    assert "Tags" not in bodies["ListInstanceProfiles"]
    for body in bodies.values():
        assert "InstanceProfileName" in body
        assert "secret words" not in body
        assert "MaxSessionDuration" not in body


# Pages.


def test_every_list_is_cut_into_pages_of_a_hundred_and_joined_without_loss(iam: Any, account: PracticeAccount) -> None:
    truth = account.fill(roles=230, profiles=230)
    for call, key, name, names in (
        (iam.list_roles, "Roles", "RoleName", truth["roles"]),
        (iam.list_instance_profiles, "InstanceProfiles", "InstanceProfileName", truth["profiles"]),
        (iam.get_account_authorization_details, "RoleDetailList", "RoleName", truth["roles"]),
    ):
        found = pages(call, key)
        assert [len(page) for page in found] == [100, 100, 30]
        assert [item[name] for page in found for item in page] == sorted(names)
        assert [len(page) for page in pages(call, key, MaxItems=1000)] == [230]


def test_tags_policies_and_profiles_of_a_role_come_in_pages_too(iam: Any) -> None:
    keys = [f"k{number:02d}" for number in range(7)]
    tags = [{"Key": key, "Value": ""} for key in reversed(keys)]
    make_role(iam, "web", Tags=tags)
    make_profile(iam, "web", Tags=tags)
    for number in range(3):
        make_profile(iam, f"p{number}", "web")
        iam.put_role_policy(RoleName="web", PolicyName=f"i{number}", PolicyDocument=POLICY)
    for call, named in (
        (iam.list_role_tags, {"RoleName": "web"}),
        (iam.list_instance_profile_tags, {"InstanceProfileName": "web"}),
    ):
        found = pages(call, "Tags", MaxItems=3, **named)
        assert [[tag["Key"] for tag in page] for page in found] == [keys[:3], keys[3:6], keys[6:]]
    held = pages(iam.list_instance_profiles_for_role, "InstanceProfiles", RoleName="web", MaxItems=2)
    assert [[item["InstanceProfileName"] for item in page] for page in held] == [["p0", "p1"], ["p2"]]
    assert pages(iam.list_role_policies, "PolicyNames", RoleName="web", MaxItems=2) == [["i0", "i1"], ["i2"]]


def test_what_comes_and_goes_between_two_pages_hides_nothing_else(iam: Any) -> None:
    for name in ("b", "d", "f", "h"):
        make_profile(iam, name)
    first = iam.list_instance_profiles(MaxItems=2)
    make_profile(iam, "a")
    iam.delete_instance_profile(InstanceProfileName="d")
    second = iam.list_instance_profiles(MaxItems=2, Marker=first["Marker"])
    assert [profile["InstanceProfileName"] for profile in second["InstanceProfiles"]] == ["f", "h"]


def test_a_marker_that_is_not_of_this_list_and_a_size_out_of_bounds_are_refused(
    iam: Any, account: PracticeAccount
) -> None:
    account.fill(roles=2, profiles=2)
    other = iam.list_roles(MaxItems=1)["Marker"]
    for marker in ("nonsense", "2", other, "bnVsbA=="):
        with refused("ValidationError", "Invalid Marker", 400):
            iam.list_instance_profiles(Marker=marker)
    client = account.session().client("iam", config=Config(parameter_validation=False))
    for size, words in ((0, "greater than or equal to 1"), (1001, "less than or equal to 1000")):
        with refused("ValidationError", words, 400):
            client.list_roles(MaxItems=size)


def test_a_path_prefix_filters_and_one_that_fits_nothing_is_no_error(iam: Any) -> None:
    make_profile(iam, "a", Path="/team/search/")
    make_profile(iam, "b", Path="/team/")
    make_role(iam, "c", Path="/team/search/")
    listed = iam.list_instance_profiles(PathPrefix="/team/search")["InstanceProfiles"]
    assert [profile["Arn"] for profile in listed] == ["arn:aws:iam::123456789012:instance-profile/team/search/a"]
    assert [role["RoleName"] for role in iam.list_roles(PathPrefix="/team/")["Roles"]] == ["c"]
    assert iam.list_roles(PathPrefix="/none/")["Roles"] == []
    with refused("ValidationError"):
        iam.list_roles(PathPrefix="team")


# What may be written.


def test_ids_say_what_they_are_of_and_are_new_for_what_is_made_again(iam: Any) -> None:
    role, profile = make_role(iam, "web"), make_profile(iam, "web")
    assert role["RoleId"][:4] == "AROA"
    assert profile["InstanceProfileId"][:4] == "AIPA"
    assert len(role["RoleId"]) == len(profile["InstanceProfileId"]) == 21
    iam.delete_instance_profile(InstanceProfileName="web")
    assert make_profile(iam, "web")["InstanceProfileId"] != profile["InstanceProfileId"]


def test_a_name_is_taken_in_any_case_and_under_any_path(iam: Any) -> None:
    make_role(iam, "Web", Path="/a/")
    make_profile(iam, "Web", Path="/a/")
    with refused("EntityAlreadyExists", "Role with name wEB already exists.", 409):
        make_role(iam, "wEB", Path="/b/")
    with refused("EntityAlreadyExists", "Instance Profile wEB already exists.", 409):
        make_profile(iam, "wEB", Path="/b/")


@pytest.mark.parametrize("name", ["a b", "a/b", "a:b", "ä", "*"])
def test_names_of_other_letters_are_refused(iam: Any, name: str) -> None:
    with refused("ValidationError", "The specified value for roleName is invalid", 400):
        make_role(iam, name)
    with refused("ValidationError", "The specified value for instanceProfileName is invalid", 400):
        make_profile(iam, name)


def test_names_and_paths_have_their_longest(iam: Any) -> None:
    assert make_role(iam, "r" * 64)["RoleName"] == "r" * 64
    assert make_profile(iam, "p" * 128, Path=f"/{'a' * 510}/")["Path"] == f"/{'a' * 510}/"
    with refused("ValidationError", "'roleName' failed to satisfy constraint: Member must have length less than"):
        make_role(iam, "r" * 65)
    with refused("ValidationError", "less than or equal to 128"):
        make_profile(iam, "p" * 129)
    for path in ("a/", "/a", "/ä/", "/a b/", f"/{'a' * 511}/"):
        with refused("ValidationError", "path"):
            make_profile(iam, "path", Path=path)


def test_of_role_tags_the_new_spelling_stays_and_profiles_keep_both(iam: Any) -> None:
    make_role(iam, "web", Tags=[{"Key": "somekey", "Value": "old"}])
    make_profile(iam, "web", Tags=[{"Key": "somekey", "Value": "old"}])
    iam.tag_role(RoleName="web", Tags=[{"Key": "Somekey", "Value": "new"}])
    iam.tag_instance_profile(InstanceProfileName="web", Tags=[{"Key": "Somekey", "Value": "new"}])
    assert iam.list_role_tags(RoleName="web")["Tags"] == [{"Key": "Somekey", "Value": "new"}]
    assert iam.list_instance_profile_tags(InstanceProfileName="web")["Tags"] == [
        {"Key": "Somekey", "Value": "new"},
        {"Key": "somekey", "Value": "old"},
    ]
    iam.untag_role(RoleName="web", TagKeys=["SOMEKEY"])
    iam.untag_instance_profile(InstanceProfileName="web", TagKeys=["SOMEKEY", "somekey"])
    assert iam.list_role_tags(RoleName="web")["Tags"] == []
    assert [tag["Key"] for tag in iam.list_instance_profile_tags(InstanceProfileName="web")["Tags"]] == ["Somekey"]


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([{"Key": f"k{number}", "Value": ""} for number in range(51)], "ValidationError"),
        ([{"Key": "k" * 129, "Value": ""}], "ValidationError"),
        ([{"Key": "k", "Value": "v" * 257}], "ValidationError"),
        ([{"Key": "", "Value": "v"}], "ValidationError"),
        ([{"Key": "k\N{PILCROW SIGN}", "Value": ""}], "ValidationError"),
        ([{"Key": "aws:team", "Value": ""}], "InvalidInput"),
        ([{"Key": "AWS:team", "Value": ""}], "InvalidInput"),
        ([{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}], "InvalidInput"),
    ],
)
def test_tags_that_aws_refuses_are_refused_and_nothing_is_written(
    account: PracticeAccount, tags: list[dict[str, str]], code: str
) -> None:
    iam = account.session().client("iam", config=Config(parameter_validation=False))
    make_role(iam, "web")
    make_profile(iam, "web")
    with refused(code, status=400):
        make_profile(iam, "new", Tags=tags)
    with refused(code, status=400):
        make_role(iam, "new", Tags=tags)
    with refused(code, status=400):
        iam.tag_role(RoleName="web", Tags=tags)
    with refused(code, status=400):
        iam.tag_instance_profile(InstanceProfileName="web", Tags=tags)
    assert [role["RoleName"] for role in iam.list_roles()["Roles"]] == ["web"]
    assert iam.list_instance_profile_tags(InstanceProfileName="web")["Tags"] == []


def test_letters_of_all_scripts_and_empty_values_are_fine_in_tags(iam: Any) -> None:
    tags = [{"Key": "größe 大", "Value": ""}, {"Key": "k" * 128, "Value": "v" * 256}]
    assert make_profile(iam, "web", Tags=tags)["Tags"] == sorted(tags, key=lambda tag: tag["Key"])
    many = [{"Key": f"k{number}", "Value": ""} for number in range(48)]
    iam.tag_instance_profile(InstanceProfileName="web", Tags=many)
    with refused("LimitExceeded", "50", 409):
        iam.tag_instance_profile(InstanceProfileName="web", Tags=[{"Key": "one more", "Value": ""}])


def test_of_profile_keys_that_differ_in_case_both_may_be_given_at_once_of_role_keys_not(iam: Any) -> None:
    both = [{"Key": "Costcenter", "Value": "1"}, {"Key": "costcenter", "Value": "2"}]
    assert len(make_profile(iam, "web", Tags=both)["Tags"]) == 2
    with refused("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive."):
        make_role(iam, "web", Tags=both)


def test_what_hangs_together_cannot_be_deleted_and_a_profile_takes_one_role(iam: Any) -> None:
    make_role(iam, "web")
    make_role(iam, "other")
    make_profile(iam, "web", "web")
    words = "Cannot delete entity, must remove roles from instance profile first."
    with refused("DeleteConflict", words, 409):
        iam.delete_role(RoleName="web")
    with refused("DeleteConflict", words, 409):
        iam.delete_instance_profile(InstanceProfileName="web")
    with refused("LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1", 409):
        iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="other")
    iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="web")
    with refused("NoSuchEntity", "Role web in Instance Profile web cannot be found.", 404):
        iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="web")
    iam.delete_role(RoleName="web")
    iam.delete_instance_profile(InstanceProfileName="web")
    assert iam.list_instance_profiles()["InstanceProfiles"] == []


def test_what_is_not_there_is_named(iam: Any) -> None:
    role, profile = "The role with name no cannot be found.", "Instance Profile no cannot be found."
    for call in (iam.get_role, iam.list_role_tags, iam.list_instance_profiles_for_role, iam.delete_role):
        with refused("NoSuchEntity", role, 404):
            call(RoleName="no")
    for call in (iam.get_instance_profile, iam.list_instance_profile_tags, iam.delete_instance_profile):
        with refused("NoSuchEntity", profile, 404):
            call(InstanceProfileName="no")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "This policy contains invalid Json"),
        (EC2.replace("sts:AssumeRole", "s3:GetObject"), "AssumeRole policy may only specify STS AssumeRole actions."),
        (EC2.replace('"Principal"', '"NotPrincipal"'), "Has prohibited field NotPrincipal"),
        (EC2.replace('"Effect"', '"Resource": "*", "Effect"'), "Has prohibited field Resource"),
        ("[]", "Syntax errors in policy."),
    ],
)
def test_a_trust_policy_that_is_none_is_refused(iam: Any, document: str, words: str) -> None:
    with refused("MalformedPolicyDocument", words, 400):
        iam.create_role(RoleName="web", AssumeRolePolicyDocument=document)


def test_the_summary_counts_and_names_the_quotas_which_hold(iam: Any, account: PracticeAccount) -> None:
    account.fill(roles=1000, profiles=7)
    summary = iam.get_account_summary()["SummaryMap"]
    assert (summary["Roles"], summary["RolesQuota"]) == (1000, 1000)
    assert (summary["InstanceProfiles"], summary["InstanceProfilesQuota"]) == (7, 1000)
    with refused("LimitExceeded", "RolesPerAccount: 1000", 409):
        make_role(iam, "one-more")
    iam.create_account_alias(AccountAlias="fiction")
    assert iam.list_account_aliases()["AccountAliases"] == ["fiction"]


def test_a_service_linked_role_is_made_as_others_and_only_once(iam: Any) -> None:
    made = iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")["Role"]
    assert made.keys() == BARE_ROLE
    assert made["Path"] == "/aws-service-role/autoscaling.amazonaws.com/"
    with refused("InvalidInput", "has been taken in this account", 400):
        iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")


# The tagging API.


def tagging(account: PracticeAccount, region: str) -> Any:
    return account.session(region).client("resourcegroupstaggingapi", config=ONCE)


def test_the_tagging_api_knows_profiles_that_were_ever_tagged_and_only_at_home(
    iam: Any, account: PracticeAccount
) -> None:
    make_role(iam, "web", Tags=TAGS)
    arns = [make_profile(iam, name, Tags=TAGS)["Arn"] for name in ("one", "two")]
    make_profile(iam, "never")
    iam.untag_instance_profile(InstanceProfileName="two", TagKeys=["Team"])
    home = tagging(account, "us-east-1").get_resources()
    assert home["ResourceTagMappingList"] == [
        {"ResourceARN": arns[0], "Tags": TAGS},
        {"ResourceARN": arns[1], "Tags": []},
    ]
    assert home["PaginationToken"] == ""
    assert tagging(account, "eu-west-1").get_resources()["ResourceTagMappingList"] == []
    roles = tagging(account, "us-east-1").get_resources(ResourceTypeFilters=["iam:role"])
    assert roles["ResourceTagMappingList"] == []
    iam.delete_instance_profile(InstanceProfileName="one")
    make_profile(iam, "one")
    assert len(tagging(account, "us-east-1").get_resources()["ResourceTagMappingList"]) == 1


def test_the_tagging_api_gives_pages_of_a_hundred_and_takes_filters(account: PracticeAccount) -> None:
    truth = account.fill(roles=300, profiles=300)
    client = tagging(account, "us-east-1")
    tagged = {name for name, profile in truth["profiles"].items() if profile["tags"]}
    kind = {"ResourceTypeFilters": ["iam:instance-profile"]}
    found = list(client.get_paginator("get_resources").paginate(**kind))
    assert [len(page["ResourceTagMappingList"]) for page in found] == [100, 50]
    arns = [item["ResourceARN"] for page in found for item in page["ResourceTagMappingList"]]
    assert {arn.rpartition("/")[2] for arn in arns} == tagged
    only = client.get_resources(**kind, TagFilters=[{"Key": "Team", "Values": ["search"]}])["ResourceTagMappingList"]
    assert only
    assert all({"Key": "Team", "Value": "search"} in item["Tags"] for item in only)
    with refused("InvalidParameterException"):
        client.get_resources(ResourcesPerPage=101)
    with refused("InvalidParameterException"):
        client.get_resources(ResourceARNList=arns[:1], **kind)
    assert len(client.get_resources(ResourceARNList=arns[:2])["ResourceTagMappingList"]) == 2
    with refused("PaginationTokenExpiredException"):
        client.get_resources(PaginationToken="nonsense")


def test_the_tagging_api_writes_tags_of_both_kinds_at_home_and_says_what_failed(
    iam: Any, account: PracticeAccount
) -> None:
    arns = [make_role(iam, "web", Path="/a/")["Arn"], make_profile(iam, "web", Path="/b/")["Arn"]]
    gone = "arn:aws:iam::123456789012:role/gone"
    client = tagging(account, "us-east-1")
    failed = client.tag_resources(ResourceARNList=[*arns, gone], Tags={"Team": "search"})["FailedResourcesMap"]
    assert failed.keys() == {gone}
    assert failed[gone]["StatusCode"] == 404
    assert iam.list_role_tags(RoleName="web")["Tags"] == TAGS
    assert iam.list_instance_profile_tags(InstanceProfileName="web")["Tags"] == TAGS
    elsewhere = tagging(account, "eu-west-1").tag_resources(ResourceARNList=arns, Tags={"a": "b"})
    assert elsewhere["FailedResourcesMap"].keys() == set(arns)
    assert client.untag_resources(ResourceARNList=arns, TagKeys=["Team"])["FailedResourcesMap"] == {}
    assert iam.list_role_tags(RoleName="web")["Tags"] == []
    assert iam.list_instance_profile_tags(InstanceProfileName="web")["Tags"] == []


# STS and the organisation.


def test_one_is_told_who_one_is(account: PracticeAccount) -> None:
    member = account.add_member("build")
    told = account.session().client("sts").get_caller_identity()
    assert (told["Account"], told["Arn"]) == ("123456789012", "arn:aws:iam::123456789012:user/practice")
    told = account.session(account_id=member).client("sts").get_caller_identity()
    assert (told["Account"], told["Arn"]) == (member, f"arn:aws:iam::{member}:user/practice")


def assumed(account: PracticeAccount, arn: str, **more: Any) -> dict[str, str]:
    answer = account.session().client("sts").assume_role(RoleArn=arn, RoleSessionName="audit", **more)
    credentials = answer["Credentials"]
    return {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        "aws_session_token": credentials["SessionToken"],
    }


def test_the_role_in_a_member_may_be_assumed_and_shows_what_the_member_holds(account: PracticeAccount) -> None:
    member = account.add_member("build")
    assert member == "000000000001"
    account.fill(roles=3, profiles=3, account_id=member)
    session, arn = account.session(), f"arn:aws:iam::{member}:role/OrganizationAccountAccessRole"
    keys = assumed(account, arn, ExternalId="not asked for")
    told = session.client("sts", **keys).get_caller_identity()
    assert told["Arn"] == f"arn:aws:sts::{member}:assumed-role/OrganizationAccountAccessRole/audit"
    assert told["UserId"].startswith("AROA")
    assert told["UserId"].endswith(":audit")
    roles = session.client("iam", **keys).list_roles()["Roles"]
    assert len(roles) == 4
    assert {role["Arn"].split(":")[4] for role in roles} == {member}
    assert session.client("iam").list_roles()["Roles"] == []
    assert account.requests[-2].account_id == member


def test_a_role_that_is_missing_or_does_not_trust_one_cannot_be_assumed(iam: Any, account: PracticeAccount) -> None:
    trust = {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}
    locked = trust | {"Condition": {"StringEquals": {"sts:ExternalId": "secret"}}}
    make_role(iam, "web")
    role = iam.create_role(RoleName="locked", AssumeRolePolicyDocument=json.dumps({"Statement": locked}))["Role"]
    stem = "arn:aws:iam::123456789012:role"
    for arn in (f"{stem}/missing", f"{stem}/web", role["Arn"], "arn:aws:iam::999999999999:role/any"):
        user = "User: arn:aws:iam::123456789012:user/practice"
        words = f"{user} is not authorized to perform: sts:AssumeRole on resource: {arn}"
        with refused("AccessDenied", words, 403):
            assumed(account, arn)
    with refused("AccessDenied"):
        assumed(account, role["Arn"], ExternalId="wrong")
    assert assumed(account, role["Arn"], ExternalId="secret")
    for member in (account.add_member("bare", role_name=None), account.add_member("gone", status="SUSPENDED")):
        with refused("AccessDenied"):
            assumed(account, f"arn:aws:iam::{member}:role/OrganizationAccountAccessRole")


def test_the_manager_lists_all_accounts_in_pages_and_members_may_not(account: PracticeAccount) -> None:
    client = account.session().client("organizations")
    with refused("AWSOrganizationsNotInUseException"):
        client.list_accounts()
    ids = [account.add_member(f"m{number}", status="SUSPENDED" if number == 3 else "ACTIVE") for number in range(45)]
    assert (ids[0], ids[-1]) == ("000000000001", "000000000045")
    found = list(client.get_paginator("list_accounts").paginate())
    assert [len(page["Accounts"]) for page in found] == [20, 20, 6]
    listed = {one["Id"]: one for page in found for one in page["Accounts"]}
    assert listed.keys() == {*ids, "123456789012"}
    assert {identity for identity, one in listed.items() if one["Status"] != "ACTIVE"} == {ids[3]}
    assert listed[ids[7]]["Name"] == "m7"
    assert client.describe_organization()["Organization"]["MasterAccountId"] == "123456789012"
    with refused("InvalidInputException"):
        client.list_accounts(NextToken="nonsense")
    with refused("InvalidInputException"):
        client.list_accounts(MaxResults=21)
    with refused("AccessDeniedException", "You don't have permissions to access this resource."):
        account.session(account_id=ids[0]).client("organizations").list_accounts()


def test_an_account_of_an_organization_shows_its_tag_policy_and_members_only_their_own(
    account: PracticeAccount,
) -> None:
    client, tagging = (account.session().client(name) for name in ("organizations", "resourcegroupstaggingapi"))
    with refused("AWSOrganizationsNotInUseException"):
        client.describe_effective_policy(PolicyType="TAG_POLICY")
    member = account.add_member("m")
    with refused("EffectivePolicyNotFoundException"):
        client.describe_effective_policy(PolicyType="TAG_POLICY")
    policy = {
        "tags": {
            "b": {"tag_key": "B", "report_required_tag_for": ["iam:ALL_SUPPORTED", "ec2:instance"]},
            "a": {"report_required_tag_for": ["iam:role"], "enforced_for": ["s3:bucket"]},
        }
    }
    account.set_tag_policy(policy)
    for target in ({}, {"TargetId": account.account_id}):
        shown = client.describe_effective_policy(PolicyType="TAG_POLICY", **target)["EffectivePolicy"]
        assert (json.loads(shown["PolicyContent"]), shown["TargetId"]) == (policy, account.account_id)
    pages = tagging.get_paginator("list_required_tags").paginate(PaginationConfig={"PageSize": 2})
    assert [{one["ResourceType"]: one["ReportingTagKeys"] for one in page["RequiredTags"]} for page in pages] == [
        {"ec2:instance": ["B"], "iam:instance-profile": ["B"]},
        {"iam:role": ["B", "a"]},
    ]
    for code, wanted in (
        ("EffectivePolicyNotFoundException", {"PolicyType": "BACKUP_POLICY"}),
        ("TargetNotFoundException", {"PolicyType": "TAG_POLICY", "TargetId": "999999999999"}),
    ):
        with refused(code):
            client.describe_effective_policy(**wanted)
    of_member = account.session(account_id=member).client("organizations")
    with refused("AccessDeniedException"):
        of_member.describe_effective_policy(PolicyType="TAG_POLICY", TargetId=account.account_id)
    account.set_tag_policy(None)
    assert tagging.list_required_tags()["RequiredTags"] == []


# EC2 and Auto Scaling.


def run(ec2: Any, **more: Any) -> list[dict[str, Any]]:
    count = more.pop("count", 1)
    started: list[dict[str, Any]] = ec2.run_instances(ImageId="ami-12345678", MinCount=count, MaxCount=count, **more)[
        "Instances"
    ]
    return started


def described(ec2: Any, **more: Any) -> list[dict[str, Any]]:
    found = ec2.describe_instances(**more)["Reservations"]
    return [instance for reservation in found for instance in reservation["Instances"]]


def test_an_instance_shows_the_id_of_the_profile_it_was_started_with_even_when_that_is_made_again(
    iam: Any, ec2: Any
) -> None:
    make_role(iam, "web")
    old = make_profile(iam, "web", "web")
    by_name = run(ec2, IamInstanceProfile={"Name": "web"}, count=3)
    by_arn = run(ec2, IamInstanceProfile={"Arn": old["Arn"]})
    wanted = {"Arn": old["Arn"], "Id": old["InstanceProfileId"]}
    assert [instance["IamInstanceProfile"] for instance in by_name + by_arn] == [wanted] * 4
    iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="web")
    iam.delete_instance_profile(InstanceProfileName="web")
    new = make_profile(iam, "web", "web")
    (later,) = run(ec2, IamInstanceProfile={"Name": "web"})
    assert later["IamInstanceProfile"]["Id"] == new["InstanceProfileId"]
    ids = [instance["IamInstanceProfile"]["Id"] for instance in described(ec2, IncludeManagedResources=True)]
    assert sorted(ids) == sorted([old["InstanceProfileId"]] * 4 + [new["InstanceProfileId"]])
    associations = ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
    assert sorted(one["IamInstanceProfile"]["Id"] for one in associations) == sorted(ids)
    assert {one["State"] for one in associations} == {"associated"}


def test_no_instance_starts_with_a_profile_that_is_empty_or_not_there(iam: Any, ec2: Any) -> None:
    empty = make_profile(iam, "empty")
    for named in ({"Name": "empty"}, {"Arn": empty["Arn"]}):
        words = 'IAM Instance Profile "arn:aws:iam::123456789012:instance-profile/empty" has no associated IAM Roles'
        with refused("InvalidParameterValue", words, 400):
            run(ec2, IamInstanceProfile=named)
    missing = "Value (gone) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
    with refused("InvalidParameterValue", missing, 400):
        run(ec2, IamInstanceProfile={"Name": "gone"})
    (instance,) = run(ec2)
    assert "IamInstanceProfile" not in instance
    with refused("InvalidParameterValue"):
        ec2.associate_iam_instance_profile(InstanceId=instance["InstanceId"], IamInstanceProfile={"Name": "gone"})
    assert len(described(ec2)) == 1


def trust(*services: str, **more: Any) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": list(services)}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": statement | more})


def test_the_keys_that_an_instance_reads_are_those_of_its_role(iam: Any, ec2: Any, account: PracticeAccount) -> None:
    make_role(iam, "web")
    make_profile(iam, "web", "web")
    (instance,) = run(ec2, IamInstanceProfile={"Name": "web"})
    given = account.instance_credentials(instance["InstanceId"])
    assert given.keys() == {*("Code", "LastUpdated", "Type", "AccessKeyId", "SecretAccessKey", "Token", "Expiration")}
    assert given["Code"] == "Success"
    sts = account.session().client(
        "sts",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["Token"],
    )
    assert sts.get_caller_identity()["Arn"] == (f"arn:aws:sts::123456789012:assumed-role/web/{instance['InstanceId']}")


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (trust("eks.amazonaws.com"), "AssumeRoleUnauthorizedAccess"),
        (trust("cloud9.amazonaws.com", "ec2.amazonaws.com"), "Success"),
        (trust("ec2.amazonaws.com.cn"), "Success"),
        (
            trust("ec2.amazonaws.com", Condition={"StringEquals": {"sts:ExternalId": "x"}}),
            "AssumeRoleUnauthorizedAccess",
        ),
        (trust("ec2.amazonaws.com", Effect="Deny"), "AssumeRoleUnauthorizedAccess"),
        (trust("ec2.amazonaws.com", Principal={"AWS": "123456789012"}), "AssumeRoleUnauthorizedAccess"),
        (trust("ec2.amazonaws.com", Principal="*"), "AssumeRoleUnauthorizedAccess"),
    ],
)
def test_a_role_that_does_not_trust_ec2_gives_its_instance_no_keys_and_says_so(
    iam: Any, ec2: Any, account: PracticeAccount, document: str, code: str
) -> None:
    iam.create_role(RoleName="web", AssumeRolePolicyDocument=document)
    make_profile(iam, "web", "web")
    (instance,) = run(ec2, IamInstanceProfile={"Name": "web"})
    given = account.instance_credentials(instance["InstanceId"])
    assert given["Code"] == code
    if code != "Success":
        assert given["Message"].startswith("EC2 cannot assume the role web.  Please see documentation at https://")
        assert "AccessKeyId" not in given


def test_an_instance_without_a_profile_that_holds_a_role_has_no_credentials_to_read(
    iam: Any, ec2: Any, account: PracticeAccount
) -> None:
    (bare,) = run(ec2)
    make_role(iam, "web")
    make_profile(iam, "web", "web")
    (emptied,) = run(ec2, IamInstanceProfile={"Name": "web"})
    assert account.instance_credentials(emptied["InstanceId"])["Code"] == "Success"
    with pytest.raises(LookupError, match=f"{bare['InstanceId']} in us-east-1 has no instance profile with a role"):
        account.instance_credentials(bare["InstanceId"])
    iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="web")
    with pytest.raises(LookupError):
        account.instance_credentials(emptied["InstanceId"])
    # One made again under the same name is another.
    iam.delete_instance_profile(InstanceProfileName="web")
    make_profile(iam, "web", "web")
    with pytest.raises(LookupError):
        account.instance_credentials(emptied["InstanceId"])


def test_the_words_of_a_refusal_are_given_and_what_is_not_refused_is_said(account: PracticeAccount) -> None:
    iam = account.session().client("iam")
    assert refusal_of(iam.get_role, RoleName="web") == (
        "An error occurred (NoSuchEntity) when calling the GetRole operation: The role with name web cannot be found."
    )
    with pytest.raises(AssertionError, match="list_roles was not refused"):
        refusal_of(iam.list_roles)


def test_a_profile_can_be_given_later_replaced_and_taken_away(iam: Any, ec2: Any) -> None:
    make_role(iam, "web")
    one, two = (make_profile(iam, name, "web") for name in ("one", "two"))
    (instance,) = run(ec2)
    given = ec2.associate_iam_instance_profile(InstanceId=instance["InstanceId"], IamInstanceProfile={"Name": "one"})[
        "IamInstanceProfileAssociation"
    ]
    assert given["IamInstanceProfile"]["Id"] == one["InstanceProfileId"]
    assert described(ec2)[0]["IamInstanceProfile"]["Id"] == one["InstanceProfileId"]
    ec2.replace_iam_instance_profile_association(
        AssociationId=given["AssociationId"], IamInstanceProfile={"Name": "two"}
    )
    assert described(ec2)[0]["IamInstanceProfile"] == {"Arn": two["Arn"], "Id": two["InstanceProfileId"]}
    (left,) = ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
    ec2.disassociate_iam_instance_profile(AssociationId=left["AssociationId"])
    assert "IamInstanceProfile" not in described(ec2)[0]


def test_instances_and_associations_are_found_by_profile_and_come_in_pages(iam: Any, ec2: Any) -> None:
    make_role(iam, "web")
    one, two = (make_profile(iam, name, "web") for name in ("one", "two"))
    for _ in range(6):
        run(ec2, IamInstanceProfile={"Name": "one"})
    run(ec2, IamInstanceProfile={"Name": "two"})
    for name, value in (("arn", two["Arn"]), ("id", two["InstanceProfileId"])):
        found = described(ec2, Filters=[{"Name": f"iam-instance-profile.{name}", "Values": [value]}])
        assert [instance["IamInstanceProfile"]["Arn"] for instance in found] == [two["Arn"]]
    gone = one["Arn"].replace("one", "gone")
    assert described(ec2, Filters=[{"Name": "iam-instance-profile.arn", "Values": [gone]}]) == []
    paginator = ec2.get_paginator("describe_iam_instance_profile_associations")
    found = list(paginator.paginate(PaginationConfig={"PageSize": 5}))
    assert [len(page["IamInstanceProfileAssociations"]) for page in found] == [5, 2]
    with refused("InvalidParameterValue", "pagination token"):
        ec2.describe_instances(NextToken="nonsense")
    reservations = list(ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5}))
    assert [len(page["Reservations"]) for page in reservations] == [5, 2]


def test_the_newest_versions_of_all_launch_templates_come_in_pages(ec2: Any) -> None:
    for number in range(20):
        ec2.create_launch_template(
            LaunchTemplateName=f"t{number:02d}", LaunchTemplateData={"IamInstanceProfile": {"Name": "old"}}
        )
        ec2.create_launch_template_version(
            LaunchTemplateName=f"t{number:02d}", LaunchTemplateData={"IamInstanceProfile": {"Name": f"p{number}"}}
        )
    paginator = ec2.get_paginator("describe_launch_template_versions")
    for versions, names in (("$Latest", [f"p{number}" for number in range(20)]), ("$Default", ["old"] * 20)):
        found = list(paginator.paginate(Versions=[versions], PaginationConfig={"PageSize": 8}))
        assert [len(page["LaunchTemplateVersions"]) for page in found] == [8, 8, 4]
        data = [one["LaunchTemplateData"] for page in found for one in page["LaunchTemplateVersions"]]
        assert [one["IamInstanceProfile"]["Name"] for one in data] == names
    assert len(ec2.describe_launch_template_versions(Versions=["$Latest", "$Default"])["LaunchTemplateVersions"]) == 40
    assert len(ec2.describe_launch_templates()["LaunchTemplates"]) == 20
    one = ec2.describe_launch_template_versions(LaunchTemplateName="t03")["LaunchTemplateVersions"]
    assert sorted(version["VersionNumber"] for version in one) == [1, 2]


def test_an_instance_of_a_launch_template_has_the_profile_of_the_template(iam: Any, ec2: Any) -> None:
    make_role(iam, "web")
    profile = make_profile(iam, "web", "web")
    for name in ("web", "gone"):
        ec2.create_launch_template(
            LaunchTemplateName=name,
            LaunchTemplateData={"ImageId": "ami-12345678", "IamInstanceProfile": {"Name": name}},
        )
    started = ec2.run_instances(MinCount=1, MaxCount=1, LaunchTemplate={"LaunchTemplateName": "web"})["Instances"]
    assert started[0]["IamInstanceProfile"]["Id"] == profile["InstanceProfileId"]
    assert described(ec2)[0]["IamInstanceProfile"]["Id"] == profile["InstanceProfileId"]
    with refused("InvalidParameterValue", "gone"):
        ec2.run_instances(MinCount=1, MaxCount=1, LaunchTemplate={"LaunchTemplateName": "gone"})


def test_spot_requests_and_fleets_can_be_asked_for(ec2: Any) -> None:
    assert ec2.describe_spot_instance_requests()["SpotInstanceRequests"] == []
    assert ec2.describe_spot_fleet_requests()["SpotFleetRequestConfigs"] == []
    assert ec2.describe_fleets()["Fleets"] == []


def test_spot_requests_and_fleets_keep_the_profile_they_name(iam: Any, ec2: Any) -> None:
    make_role(iam, "web")
    arn = make_profile(iam, "web", "web")["Arn"]
    specification = {"ImageId": "ami-12345678", "InstanceType": "t3.micro"}
    for named in ({"Name": "web"}, {"Arn": arn}):
        ec2.request_spot_instances(LaunchSpecification=specification | {"IamInstanceProfile": named})
    ec2.request_spot_instances(LaunchSpecification=specification)
    found = ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
    assert [one["LaunchSpecification"].get("IamInstanceProfile") for one in found] == [
        {"Name": "web"},
        {"Arn": arn},
        None,
    ]
    fleet = {"IamFleetRole": arn, "TargetCapacity": 1}
    specifications = [specification | {"IamInstanceProfile": {"Name": "web"}}]
    ec2.request_spot_fleet(SpotFleetRequestConfig=fleet | {"LaunchSpecifications": specifications})
    (config,) = ec2.describe_spot_fleet_requests()["SpotFleetRequestConfigs"]
    assert config["SpotFleetRequestConfig"]["LaunchSpecifications"][0]["IamInstanceProfile"] == {"Arn": arn}


@pytest.mark.parametrize("by", ["template", "configuration"])
def test_the_instances_of_a_group_have_the_profile_it_starts_them_with(
    iam: Any, ec2: Any, account: PracticeAccount, by: str
) -> None:
    make_role(iam, "web")
    profile = make_profile(iam, "web", "web")
    scaling = account.session().client("autoscaling")
    data = {"ImageId": "ami-12345678", "InstanceType": "t3.micro"}
    if by == "template":
        ec2.create_launch_template(
            LaunchTemplateName="web", LaunchTemplateData=data | {"IamInstanceProfile": {"Arn": profile["Arn"]}}
        )
        source: dict[str, Any] = {"LaunchTemplate": {"LaunchTemplateName": "web", "Version": "$Latest"}}
    else:
        scaling.create_launch_configuration(LaunchConfigurationName="web", IamInstanceProfile="web", **data)
        source = {"LaunchConfigurationName": "web"}
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="web", MinSize=2, MaxSize=2, AvailabilityZones=["us-east-1a"], **source
    )
    ids = [instance["IamInstanceProfile"]["Id"] for instance in described(ec2)]
    assert ids == [profile["InstanceProfileId"]] * 2


def test_launch_configurations_and_groups_keep_the_profile_they_name(account: PracticeAccount) -> None:
    scaling = account.session().client("autoscaling")
    scaling.create_launch_configuration(
        LaunchConfigurationName="web", ImageId="ami-12345678", InstanceType="t3.micro", IamInstanceProfile="web"
    )
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="web",
        LaunchConfigurationName="web",
        MinSize=0,
        MaxSize=1,
        DesiredCapacity=0,
        AvailabilityZones=["us-east-1a"],
    )
    assert scaling.describe_launch_configurations()["LaunchConfigurations"][0]["IamInstanceProfile"] == "web"
    assert scaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["LaunchConfigurationName"] == "web"
    account.deny("autoscaling:Describe*")
    with refused("AccessDenied", "autoscaling:DescribeAutoScalingGroups", 403):
        scaling.describe_auto_scaling_groups()


def test_regions_are_those_that_are_enabled(ec2: Any, account: PracticeAccount) -> None:
    account.disable_region("ap-east-1")
    listed = ec2.describe_regions()["Regions"]
    assert [(one["RegionName"], one["OptInStatus"]) for one in listed] == [
        ("eu-west-1", "opt-in-not-required"),
        ("us-east-1", "opt-in-not-required"),
    ]
    every = {one["RegionName"]: one["OptInStatus"] for one in ec2.describe_regions(AllRegions=True)["Regions"]}
    assert every["ap-east-1"] == "not-opted-in"
    states = [{"Name": "opt-in-status", "Values": ["not-opted-in"]}]
    assert [one["RegionName"] for one in ec2.describe_regions(AllRegions=True, Filters=states)["Regions"]] == [
        "ap-east-1"
    ]
    with refused("InvalidParameterValue"):
        ec2.describe_regions(RegionNames=["xx-none-1"])
    listed = account.session().client("account").list_regions(MaxResults=2)
    assert [one["RegionName"] for one in listed["Regions"]] == ["ap-east-1", "eu-west-1"]
    assert listed["Regions"][0]["RegionOptStatus"] == "DISABLED"
    rest = account.session().client("account").list_regions(NextToken=listed["NextToken"])["Regions"]
    assert [one["RegionOptStatus"] for one in rest] == ["ENABLED_BY_DEFAULT"]


def test_a_region_that_is_off_refuses_all_but_what_is_global(account: PracticeAccount) -> None:
    account.disable_region("eu-west-1")
    session = account.session("eu-west-1")
    with refused("AuthFailure", "AWS was not able to validate the provided access credentials", 401):
        session.client("ec2").describe_instances()
    with refused("InvalidClientTokenId", status=403):
        session.client("autoscaling").describe_auto_scaling_groups()
    with refused("UnrecognizedClientException"):
        session.client("resourcegroupstaggingapi").get_resources()
    assert session.client("iam").list_roles()["Roles"] == []
    assert account.session("us-west-2").client("ec2").describe_instances()["Reservations"] == []


# What is remembered.


def test_every_request_is_remembered_and_writes_are_counted(iam: Any, account: PracticeAccount) -> None:
    iam.list_roles()
    make_role(iam, "web")
    iam.tag_role(RoleName="web", Tags=TAGS)
    with refused("NoSuchEntity"):
        iam.get_role(RoleName="no")
    account.session("eu-west-1").client("sts").get_caller_identity()
    with refused("AccessDenied"):
        assumed(account, "arn:aws:iam::123456789012:role/no")
    first, *_, missed, who, _ = account.requests
    assert isinstance(first, Request)
    assert (first.service, first.action, first.region) == ("iam", "ListRoles", "us-east-1")
    assert (first.status, first.account_id, first.error_code) == (200, "123456789012", None)
    assert (missed.status, missed.error_code) == (404, "NoSuchEntity")
    assert (who.service, who.region) == ("sts", "eu-west-1")
    assert account.counts()["GetRole"] == 1
    assert sum(account.counts().values()) == len(account.requests) == 6
    assert account.writes() == 2
    account.forget()
    assert account.requests == []
    assert account.writes() == 0


def test_requests_of_rest_services_are_known_by_their_action(account: PracticeAccount) -> None:
    session = account.session()
    session.client("eks").list_clusters()
    session.client("batch").describe_compute_environments()
    with refused("ResourceNotFoundException"):
        session.client("eks").describe_nodegroup(clusterName="a", nodegroupName="b")
    assert [request.action for request in account.requests] == [
        "ListClusters",
        "DescribeComputeEnvironments",
        "DescribeNodegroup",
    ]
    assert account.writes() == 0


def test_a_request_takes_as_long_as_it_is_to_take(iam: Any, account: PracticeAccount) -> None:
    iam.list_roles()
    account.latency = 0.1
    began = time.monotonic()
    iam.list_roles()
    assert time.monotonic() - began >= 0.1
    assert account.requests[-1].seconds < 0.1


# What goes wrong.


def test_what_comes_too_fast_is_throttled_until_that_is_taken_off(iam: Any, ec2: Any, account: PracticeAccount) -> None:
    account.throttle(0.001, 3)
    for _ in range(3):
        iam.list_roles()
    with refused("Throttling", "Rate exceeded", 400):
        iam.list_roles()
    assert account.session().client("sts").get_caller_identity()
    account.throttle(0.001, 1, service="ec2")
    ec2.describe_regions()
    with refused("RequestLimitExceeded", "Request limit exceeded.", 503):
        ec2.describe_regions()
    account.throttle(0, 0)
    account.throttle(0, 0, service="ec2")
    assert iam.list_roles()["Roles"] == []
    assert ec2.describe_regions()["Regions"]
    assert [request.error_code for request in account.requests].count("Throttling") == 1


def test_a_bucket_fills_again_at_its_rate(iam: Any, account: PracticeAccount) -> None:
    account.throttle(1, 1)
    iam.list_roles()
    with refused("Throttling"):
        iam.list_roles()
    time.sleep(1.1)
    assert iam.list_roles()["Roles"] == []


def test_a_denial_names_the_one_the_action_and_the_resource_in_the_words_of_iam(
    iam: Any, account: PracticeAccount
) -> None:
    make_role(iam, "web")
    make_profile(iam, "web")
    account.deny("iam:*")
    user = "User: arn:aws:iam::123456789012:user/practice is not authorized to perform: "
    for call, action, resource in (
        (lambda: iam.get_role(RoleName="web"), "iam:GetRole", "role web"),
        (lambda: iam.get_instance_profile(InstanceProfileName="web"), "iam:GetInstanceProfile", "instance profile web"),
        (iam.list_roles, "iam:ListRoles", "arn:aws:iam::123456789012:role/"),
        (iam.list_instance_profiles, "iam:ListInstanceProfiles", "arn:aws:iam::123456789012:instance-profile/"),
        (iam.get_account_authorization_details, "iam:GetAccountAuthorizationDetails", "*"),
    ):
        words = f"{user}{action} on resource: {resource} because no identity-based policy allows the {action} action"
        with refused("AccessDenied", words, 403):
            call()
    account.allow()
    assert iam.get_role(RoleName="web")["Role"]["RoleName"] == "web"


def test_a_denial_may_hold_for_some_resources_only(iam: Any, account: PracticeAccount) -> None:
    for name in ("open", "closed-a", "closed-b"):
        make_profile(iam, name)
    account.deny("ListInstanceProfileTags", resource="closed-*")
    account.deny("GetInstanceProfile", resource="arn:aws:iam::123456789012:instance-profile/closed-a")
    assert iam.list_instance_profile_tags(InstanceProfileName="open")["Tags"] == []
    for name in ("closed-a", "closed-b"):
        with refused("AccessDenied", f"instance profile {name}"):
            iam.list_instance_profile_tags(InstanceProfileName=name)
    with refused("AccessDenied"):
        iam.get_instance_profile(InstanceProfileName="closed-a")
    assert iam.get_instance_profile(InstanceProfileName="closed-b")


def test_a_denial_may_hold_in_one_account_only(account: PracticeAccount) -> None:
    members = [account.add_member("a"), account.add_member("b")]
    account.deny("iam:List*", account_id=members[0])
    with refused("AccessDenied"):
        account.session(account_id=members[0]).client("iam").list_roles()
    assert account.session(account_id=members[1]).client("iam").list_roles()["Roles"]


def test_each_service_denies_in_its_own_words(ec2: Any, account: PracticeAccount) -> None:
    account.add_member("m")
    for action in ("ec2:DescribeInstances", "tag:GetResources", "sts:AssumeRole", "organizations:*", "account:*"):
        account.deny(action)
    with refused("UnauthorizedOperation", "You are not authorized to perform this operation.", 403):
        ec2.describe_instances()
    with refused("AccessDeniedException", "tag:GetResources", 400):
        tagging(account, "us-east-1").get_resources()
    with refused("AccessDenied", "sts:AssumeRole", 403):
        assumed(account, "arn:aws:iam::000000000001:role/OrganizationAccountAccessRole")
    with refused("AccessDeniedException", status=400):
        account.session().client("organizations").list_accounts()
    with refused("AccessDeniedException", status=403):
        account.session().client("account").list_regions()
    assert ec2.describe_regions()["Regions"]


def test_credentials_expire_after_so_many_requests_and_may_be_good_again(
    iam: Any, ec2: Any, account: PracticeAccount
) -> None:
    account.expire(after=2)
    iam.list_roles()
    iam.list_roles()
    for _ in range(2):
        with refused("ExpiredToken", "The security token included in the request is expired", 403):
            iam.list_roles()
    with refused("ExpiredToken", status=403):
        account.session().client("sts").get_caller_identity()
    with refused("RequestExpired"):
        ec2.describe_regions()
    with refused("ExpiredTokenException"):
        tagging(account, "us-east-1").get_resources()
    account.expire(None)
    assert iam.list_roles()["Roles"] == []


def test_what_is_not_known_here_is_refused_and_breaks_nothing(iam: Any) -> None:
    with refused("InvalidAction", "moto does not know iam:GenerateServiceLastAccessedDetails", 501):
        iam.generate_service_last_accessed_details(Arn="arn:aws:iam::123456789012:role/web")
    assert iam.list_roles()["Roles"] == []


def test_unknown_credentials_and_unsigned_requests_are_refused(account: PracticeAccount) -> None:
    stranger = {"aws_access_key_id": "AKIASTRANGER", "aws_secret_access_key": "x"}
    with refused("InvalidClientTokenId", "The security token included in the request is invalid.", 403):
        account.session().client("iam", **stranger).list_roles()
    with refused("AuthFailure", status=401):
        account.session().client("ec2", **stranger).describe_regions()
    with socket.create_connection(("127.0.0.1", int(account.endpoint.rpartition(":")[2]))) as raw:
        raw.sendall(b"GET /?Action=ListRoles HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b" 403 " in raw.recv(65536).splitlines()[0]


def test_broken_answers_reach_the_client_as_such_and_so_many_times(iam: Any, account: PracticeAccount) -> None:
    make_profile(iam, "web")
    account.fault("reset", "GetInstanceProfile")
    with pytest.raises(HTTPClientError, match=r"[Cc]onnection"):
        iam.get_instance_profile(InstanceProfileName="web")
    account.fault("truncated", "GetInstanceProfile", times=2)
    for _ in range(2):
        assert iam.list_roles()["Roles"] == []
        with pytest.raises(ResponseParserError):
            iam.get_instance_profile(InstanceProfileName="web")
    account.fault("short")
    with pytest.raises(ResponseParserError):
        iam.list_roles()
    account.fault("500", "List*")
    with refused("ServiceFailure", status=500):
        iam.list_roles()
    assert iam.get_instance_profile(InstanceProfileName="web")
    assert iam.list_roles()["Roles"] == []
    assert [request.status for request in account.requests if request.action == "GetInstanceProfile"] == [
        0,
        200,
        200,
        200,
    ]
    with pytest.raises(ValueError, match="reset, truncated, short, 500"):
        account.fault("melted")


def test_a_reset_is_one_to_the_socket_too_and_not_an_end(account: PracticeAccount) -> None:
    account.fault("reset")
    with socket.create_connection(("127.0.0.1", int(account.endpoint.rpartition(":")[2]))) as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            raw.recv(65536)


def test_a_request_that_was_not_sent_to_its_end_is_none(account: PracticeAccount) -> None:
    with socket.create_connection(("127.0.0.1", int(account.endpoint.rpartition(":")[2]))) as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\nAction=List")
        raw.shutdown(socket.SHUT_WR)
        assert raw.recv(65536) == b""
    assert account.requests == []


def test_a_client_that_tries_again_gets_over_what_goes_wrong_once(account: PracticeAccount) -> None:
    iam = account.session().client("iam", config=Config(retries={"mode": "standard", "total_max_attempts": 3}))
    account.fault("reset", "ListRoles")
    account.fault("500", "ListRoles")
    assert iam.list_roles()["Roles"] == []
    assert [request.status for request in account.requests] == [0, 500, 200]


# How it is opened and reached.


def test_accounts_one_after_the_other_start_empty_and_there_is_one_at_a_time() -> None:
    for _ in range(2):
        with PracticeAccount() as account:
            iam = account.session().client("iam")
            assert iam.list_roles()["Roles"] == []
            assert account.session().client("ec2").describe_launch_templates()["LaunchTemplates"] == []
            account.fill(roles=3, profiles=3)
            account.session().client("ec2").create_launch_template(LaunchTemplateName="t", LaunchTemplateData={})
            with pytest.raises(RuntimeError, match="close it first"), PracticeAccount():
                pass
            assert len(iam.list_roles()["Roles"]) == 3


def test_what_moto_held_before_is_not_in_it_and_what_it_held_is_gone_after() -> None:
    from moto.iam.models import iam_backends

    def hold(name: str) -> None:
        iam_backends["123456789012"]["aws"].create_instance_profile(name, "/", [])

    hold("before")
    with PracticeAccount() as account:
        iam = account.session().client("iam")
        assert iam.list_instance_profiles()["InstanceProfiles"] == []
        make_profile(iam, "within")
    assert list(iam_backends["123456789012"]["aws"].instance_profiles) == []


def test_it_ends_for_good_and_leaves_no_thread_behind() -> None:
    with PracticeAccount() as account:
        endpoint = account.endpoint
        client = account.session().client("iam")
        client.list_roles()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(endpoint.rpartition(":")[2])), timeout=1)
    deadline = time.monotonic() + 5
    while any("practice" in thread.name or "process_request" in thread.name for thread in threading.enumerate()):
        assert time.monotonic() < deadline, threading.enumerate()
        time.sleep(0.01)


def test_it_is_bound_to_this_machine_alone(account: PracticeAccount) -> None:
    assert account.endpoint.startswith("http://127.0.0.1:")
    assert account._server.socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("partition", "home", "other"),
    [("aws-cn", "cn-north-1", "us-east-1"), ("aws-us-gov", "us-gov-west-1", "cn-north-1")],
)
def test_other_partitions_have_their_own_arns_homes_and_credentials(partition: str, home: str, other: str) -> None:
    with PracticeAccount(partition=partition) as account:
        iam = account.session().client("iam")
        make_role(iam, "web")
        profile = make_profile(iam, "web", "web", Tags=TAGS)
        assert profile["Arn"] == f"arn:{partition}:iam::123456789012:instance-profile/web"
        ec2 = account.session().client("ec2")
        assert home in [one["RegionName"] for one in ec2.describe_regions()["Regions"]]
        assert run(ec2, IamInstanceProfile={"Name": "web"})[0]["IamInstanceProfile"]["Arn"] == profile["Arn"]
        assert len(tagging(account, home).get_resources()["ResourceTagMappingList"]) == 1
        arn = account.session().client("sts").get_caller_identity()["Arn"]
        assert arn == f"arn:{partition}:iam::123456789012:user/practice"
        member = account.add_member("m")
        assert assumed(account, f"arn:{partition}:iam::{member}:role/OrganizationAccountAccessRole")
        with refused("InvalidClientTokenId"):
            account.session(other).client("iam").list_roles()
        with refused("AuthFailure"):
            account.session(other).client("ec2").describe_regions()
    with pytest.raises(ValueError, match="aws-moon is not a partition"):
        PracticeAccount(partition="aws-moon")


def test_nothing_of_the_machine_leads_a_session_elsewhere(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_IAM": "http://127.0.0.1:9",
        "AWS_PROFILE": "not-there",
        "AWS_ACCESS_KEY_ID": "AKIASTRANGER",
        "AWS_DEFAULT_REGION": "xx-none-1",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    session = account.session()
    assert session.client("iam", config=ONCE).list_roles()["Roles"] == []
    assert list(session.resource("iam").roles.all()) == []
    assert session.region_name == "us-east-1"
    assert account.counts() == {"ListRoles": 2}


def test_any_program_reaches_it_with_the_variables(account: PracticeAccount) -> None:
    truth = account.fill(roles=120, profiles=120)
    code = "import boto3; print(len(list(boto3.resource('iam').instance_profiles.all())))"
    clean = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT", "PYTHONPATH") if name in os.environ}
    variables = clean | account.environment()
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(truth["profiles"]) == 120
    assert account.counts() == {"ListInstanceProfiles": 2}
    aws = shutil.which("aws", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if aws:
        command = [aws, "iam", "get-account-authorization-details", "--filter", "Role", "--output", "json"]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
        assert len(json.loads(done.stdout)["RoleDetailList"]) == 120


def test_without_moto_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moto.server", None)
    with pytest.raises(MissingExtraError, match=r'moto is not installed; run pip install "\.\[practice\]"'):
        PracticeAccount().open()
    monkeypatch.undo()
    with PracticeAccount() as account:
        assert account.endpoint


def test_importing_it_loads_neither_moto_nor_boto3() -> None:
    code = (
        "import iamframe.practice, sys; print([m for m in ('moto', 'boto3', 'botocore', 'flask') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_as_a_program_it_prints_the_variables_and_serves_until_it_is_interrupted() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "iamframe.practice"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as served:
        assert served.stdout is not None
        lines = []
        for line in served.stdout:
            lines.append(line)
            if line.startswith("export NO_PROXY"):
                break
        variables = dict(line.removeprefix("export ").strip().replace("'", "").split("=", 1) for line in lines)
        client = boto3.Session().client(
            "iam",
            endpoint_url=variables["AWS_ENDPOINT_URL"],
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            region_name=variables["AWS_DEFAULT_REGION"],
            config=Config(proxies={}),
        )
        assert len(client.list_roles()["Roles"]) == 40
        served.send_signal(2)
        assert served.wait(timeout=10) == 0
        assert served.stderr is not None
        assert served.stderr.read() == ""


def test_as_a_program_it_says_in_one_sentence_that_a_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "iamframe.practice", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"port {port} of 127.0.0.1 cannot be served on" in done.stderr
    assert "Traceback" not in done.stderr


# Filling, and many at once.


def test_a_filling_is_the_same_every_time_and_what_it_says_it_is() -> None:
    truths = []
    for _ in range(2):
        with PracticeAccount() as account:
            truths.append(account.fill())
            iam = account.session().client("iam")
            roles = iam.get_account_authorization_details(Filter=["Role"], MaxItems=1000)["RoleDetailList"]
            profiles = iam.list_instance_profiles(MaxItems=1000)["InstanceProfiles"]
    truth = truths[0]
    assert truth == truths[1]
    assert (len(truth["roles"]), len(truth["profiles"])) == (500, 500)
    assert {
        role["RoleName"]: {
            "path": role["Path"],
            "tags": {tag["Key"]: tag["Value"] for tag in role["Tags"]},
            "trusts": role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"],
        }
        for role in roles
    } == truth["roles"]
    held = {one["InstanceProfileName"]: [role["RoleName"] for role in one["Roles"]] for one in profiles}
    assert held == {name: [one["role"]] if one["role"] else [] for name, one in truth["profiles"].items()}
    assert {one["InstanceProfileName"]: one["Path"] for one in profiles} == {
        name: one["path"] for name, one in truth["profiles"].items()
    }


def test_a_filling_has_a_bit_of_everything(account: PracticeAccount) -> None:
    truth = account.fill()
    roles, profiles = truth["roles"], truth["profiles"]
    assert sum(role["trusts"] == "eks.amazonaws.com" for role in roles.values()) == 50
    assert sum(bool(role["tags"]) for role in roles.values()) == 250
    assert sum(bool(profile["tags"]) for profile in profiles.values()) == 250
    assert profiles["AWSCloud9SSMInstanceProfile"]["role"] == "AWSCloud9SSMAccessRole"
    assert profiles["AWSCloud9SSMInstanceProfile"]["path"] == "/cloud9/"
    assert roles["AWSCloud9SSMAccessRole"]["path"] == "/service-role/"
    assert sum(profile["role"] is None for profile in profiles.values()) == 50
    assert sum(profile["role"] == name for name, profile in profiles.items()) > 200
    assert sum(profile["role"] not in (name, None) for name, profile in profiles.items()) > 100
    assert (
        account.fill(roles=0, profiles=2, account_id=account.add_member("m"))["profiles"]["empty-0000"]["role"] is None
    )


def test_writes_of_many_threads_are_all_there_while_others_read(account: PracticeAccount) -> None:
    iam = account.session().client("iam", config=Config(max_pool_connections=16))

    def write(number: int) -> None:
        make_role(iam, f"r{number:03d}", Tags=TAGS)
        make_profile(iam, f"p{number:03d}", f"r{number:03d}")
        iam.tag_instance_profile(InstanceProfileName=f"p{number:03d}", Tags=TAGS)

    def read(_: int) -> int:
        iam.list_instance_profiles(MaxItems=1000)
        return len(iam.get_account_authorization_details(Filter=["Role"])["RoleDetailList"])

    with ThreadPoolExecutor(16) as pool:
        written, seen = pool.map(write, range(32)), pool.map(read, range(32))
        list(written)
        assert all(0 <= count <= 32 for count in seen)
    assert len(iam.list_roles(MaxItems=1000)["Roles"]) == 32
    profiles = iam.list_instance_profiles(MaxItems=1000)["InstanceProfiles"]
    assert [one["Roles"][0]["RoleName"] for one in profiles] == [f"r{number:03d}" for number in range(32)]
    assert account.writes() == 128
    assert all(request.error_code is None for request in account.requests)


def test_reading_a_full_account_is_quick(account: PracticeAccount) -> None:
    truth = account.fill()
    iam = account.session().client("iam")
    for name in list(truth["profiles"])[:100]:
        iam.get_instance_profile(InstanceProfileName=name)
    iam.list_instance_profiles(MaxItems=1000)
    iam.get_account_authorization_details(Filter=["Role"], MaxItems=1000)
    took: dict[str, list[float]] = {}
    for request in account.requests:
        took.setdefault(request.action, []).append(request.seconds)
    # Three times what the load tests need, for machines that do something else meanwhile.
    assert sorted(took["GetInstanceProfile"])[50] < 0.003
    assert took["ListInstanceProfiles"][0] < 0.15
    assert took["GetAccountAuthorizationDetails"][0] < 0.3


def test_no_lock_is_held_by_an_account_that_could_not_be_opened(account: PracticeAccount) -> None:
    port = int(account.endpoint.rpartition(":")[2])
    account.close()
    with socket.create_server(("127.0.0.1", port)), pytest.raises(OSError, match="in use"):
        PracticeAccount(port=port).open()
    assert not practice_backends._in_use.locked()
    account.open()


# What must not be answered with less than there is.


def test_an_environment_has_an_id_and_the_settings_that_were_chosen(account: PracticeAccount) -> None:
    client = account.session().client("elasticbeanstalk")
    client.create_application(ApplicationName="shop")
    setting = {"Namespace": "aws:autoscaling:launchconfiguration", "OptionName": "IamInstanceProfile", "Value": "web"}
    for name, chosen in (("prod", [setting]), ("test", [])):
        made = client.create_environment(
            ApplicationName="shop", EnvironmentName=name, SolutionStackName="Linux", OptionSettings=chosen
        )
        assert made["EnvironmentId"].startswith("e-")
        described = client.describe_configuration_settings(ApplicationName="shop", EnvironmentName=name)
        assert described["ConfigurationSettings"][0]["OptionSettings"] == chosen
        ids = [one["EnvironmentId"] for one in client.describe_environments()["Environments"]]
        assert made["EnvironmentId"] in ids


def test_policies_of_the_same_name_are_on_their_pages_and_none_is_lost_between_two(iam: Any) -> None:
    make_role(iam, "web")
    own = iam.create_policy(PolicyName="ReadOnlyAccess", PolicyDocument=POLICY)["Policy"]["Arn"]
    arns = ["arn:aws:iam::aws:policy/ReadOnlyAccess", own]
    for arn in arns:
        iam.attach_role_policy(RoleName="web", PolicyArn=arn)
    attached = pages(iam.list_attached_role_policies, "AttachedPolicies", RoleName="web", MaxItems=1)
    assert [len(page) for page in attached] == [1, 1]
    assert {policy["PolicyArn"] for page in attached for policy in page} == set(arns)
    kinds = ["LocalManagedPolicy", "AWSManagedPolicy"]
    details = pages(iam.get_account_authorization_details, "Policies", Filter=kinds, MaxItems=1)
    assert set(arns) <= {policy["Arn"] for page in details for policy in page}


def test_a_launch_template_deleted_between_two_pages_hides_no_other(ec2: Any) -> None:
    for name in ("aaa", "bbb", "ccc", "ddd"):
        ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"ImageId": "ami-12345678"})
    first = ec2.describe_launch_templates(MaxResults=2)
    ec2.delete_launch_template(LaunchTemplateName="aaa")
    second = ec2.describe_launch_templates(MaxResults=2, NextToken=first["NextToken"])
    assert [one["LaunchTemplateName"] for one in second["LaunchTemplates"]] == ["ccc", "ddd"]


def test_closing_twice_is_the_same_as_closing_once() -> None:
    account = PracticeAccount()
    account.close()
    account.open()
    account.close()
    account.close()
    with account:
        assert account.session().client("iam").list_roles()["Roles"] == []


def test_a_port_that_is_none_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="70000 is not a port"):
        PracticeAccount(port=70000)
    done = subprocess.run(
        [sys.executable, "-m", "iamframe.practice", "--port", "70000"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    with PracticeAccount():
        pass


def test_a_suspended_account_accepts_no_request(account: PracticeAccount) -> None:
    member = account.add_member("old", status="SUSPENDED")
    with refused("InvalidClientTokenId"):
        account.session(account_id=member).client("iam").list_roles()


def test_a_denial_by_arn_meets_a_role_and_a_profile_with_a_path(iam: Any, account: PracticeAccount) -> None:
    for name in ("closed", "open"):
        arns = make_role(iam, name, Path="/team/")["Arn"], make_profile(iam, name, Path="/team/")["Arn"]
    for arn in arns:
        account.deny("iam:Get*", resource=arn.replace("open", "closed"))
    with refused("AccessDenied", "role closed"):
        iam.get_role(RoleName="closed")
    with refused("AccessDenied", "instance profile closed"):
        iam.get_instance_profile(InstanceProfileName="closed")
    assert iam.get_role(RoleName="open")
    assert iam.get_instance_profile(InstanceProfileName="open")


def test_an_account_that_is_full_is_not_filled_again(iam: Any, account: PracticeAccount) -> None:
    account.fill(roles=3, profiles=3)
    with pytest.raises(ValueError, match="already contains"):
        account.fill(roles=3, profiles=3)
    assert len(iam.list_roles()["Roles"]) == 3
    account.fill(roles=3, profiles=3, account_id=account.add_member("other"))


def test_a_fleet_that_moto_cannot_show_is_an_error_and_not_an_empty_list(ec2: Any, account: PracticeAccount) -> None:
    account._backends.ec2(account.account_id, "us-east-1").fleets["fleet-1"] = None
    with refused("InternalFailure"):
        ec2.describe_fleets(FleetIds=["fleet-1"])


def test_capacity_providers_are_listed_without_their_names(account: PracticeAccount) -> None:
    ecs = account.session().client("ecs")
    assert ecs.describe_capacity_providers()["capacityProviders"] == []
    group = "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:1:autoScalingGroupName/g"
    ecs.create_capacity_provider(name="spot", autoScalingGroupProvider={"autoScalingGroupArn": group})
    assert [one["name"] for one in ecs.describe_capacity_providers()["capacityProviders"]] == ["spot"]


def test_the_tagging_api_lists_resources_of_all_services_unless_a_type_is_asked_for(
    iam: Any, ec2: Any, account: PracticeAccount
) -> None:
    profile = make_profile(iam, "web", Tags=TAGS)["Arn"]
    given = [{"ResourceType": "instance", "Tags": TAGS}]
    ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, TagSpecifications=given)
    client = tagging(account, "us-east-1")
    for types in ({}, {"ResourceTypeFilters": ["iam", "ec2"]}):
        first = client.get_resources(ResourcesPerPage=1, **types)
        rest = client.get_resources(PaginationToken=first["PaginationToken"], **types)
        arns = [one["ResourceARN"] for page in (first, rest) for one in page["ResourceTagMappingList"]]
        assert profile in arns
        assert [arn for arn in arns if ":instance/" in arn]
    (only,) = client.get_resources(ResourceTypeFilters=["iam:instance-profile"])["ResourceTagMappingList"]
    assert only == {"ResourceARN": profile, "Tags": TAGS}


def test_lookups_and_simulations_are_no_writes(iam: Any, account: PracticeAccount) -> None:
    with contextlib.suppress(ClientError):
        account.session().client("cloudtrail", config=ONCE).lookup_events()
    with contextlib.suppress(ClientError):
        iam.simulate_principal_policy(PolicySourceArn="arn:aws:iam::123456789012:role/no", ActionNames=["s3:Get*"])
    assert account.counts().keys() == {"LookupEvents", "SimulatePrincipalPolicy"}
    assert account.writes() == 0

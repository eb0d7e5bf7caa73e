"""The practice account against recordings of AWS itself: the same steps get answers of the same keys and words.

The recordings are those that LocalStack's tests made of AWS; they are not part of the project. Where they lie is said
by the variable IAMFRAME_CASES, or is `shared/cases` beside the repository; without them these tests are skipped.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("moto.server")

from botocore.exceptions import ClientError

from iamframe.practice import PracticeAccount

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}]}
INLINE = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::example_bucket"},
}
Steps = dict[str, Any]
SCENARIOS: dict[str, Callable[[Any], Steps]] = {}


def folder() -> Path | None:
    places = [Path(os.environ["IAMFRAME_CASES"])] if os.environ.get("IAMFRAME_CASES") else []
    places += [parent / "shared" / "cases" for parent in Path(__file__).resolve().parents]
    return next((found for place in places if (found := place / "real" / "localstack").is_dir()), None)


@cache
def recordings() -> dict[str, Steps]:
    found = folder()
    if found is None:
        return {}
    texts = [file.read_text("utf-8") for file in sorted(found.glob("*.snapshot.json"))]
    return {
        name.rpartition("::")[2] + "@" + name.split("::")[1]: case["recorded-content"]
        for text in texts
        for name, case in json.loads(text).items()
    }


def differences(recorded: Any, answered: Any, where: str = "") -> Iterator[str]:
    """What an answer lacks, has too much or says otherwise; what is in angle brackets may be anything."""
    if isinstance(recorded, dict) and isinstance(answered, dict):
        for key in recorded.keys() ^ answered.keys():
            yield f"{where}/{key}: only {'recorded' if key in recorded else 'answered'}"
        for key in recorded.keys() & answered.keys():
            yield from differences(recorded[key], answered[key], f"{where}/{key}")
    elif isinstance(recorded, list) and isinstance(answered, list):
        if len(recorded) != len(answered):
            yield f"{where}: {len(recorded)} recorded, {len(answered)} answered"
        for place, (one, other) in enumerate(zip(recorded, answered, strict=False)):
            yield from differences(one, other, f"{where}/{place}")
    elif isinstance(recorded, str) and "<" in recorded:
        pattern = re.sub(r"<[^<>]+>", ".+", re.escape(recorded).replace(r"\<", "<").replace(r"\>", ">"))
        if not re.fullmatch(pattern, str(answered)):
            yield f"{where}: {recorded!r} recorded, {answered!r} answered"
    elif recorded != answered:
        yield f"{where}: {recorded!r} recorded, {answered!r} answered"


def bare(answer: Any) -> Any:
    """An answer as it is recorded: of its metadata only the status."""
    status = answer.pop("ResponseMetadata", {}).get("HTTPStatusCode")
    answer.pop("message", None)
    return answer | {"ResponseMetadata": {"HTTPHeaders": {}, "HTTPStatusCode": status}}


def scenario(test: str) -> Callable[[Callable[[Any], Steps]], Callable[[Any], Steps]]:
    def register(steps: Callable[[Any], Steps]) -> Callable[[Any], Steps]:
        SCENARIOS[test] = steps
        return steps

    return register


def refused(call: Callable[..., Any], **arguments: Any) -> Any:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response


def role(iam: Any, name: str, **more: Any) -> Any:
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), **more)


@scenario("test_instance_profile_lifecycle@TestInstanceProfileLifecycle")
def profile_lifecycle(iam: Any) -> Steps:
    steps = {
        "create-instance-profile": iam.create_instance_profile(InstanceProfileName="one", Path="/some/"),
        "get-instance-profile": iam.get_instance_profile(InstanceProfileName="one"),
        "create-instance-profile-default-path": iam.create_instance_profile(InstanceProfileName="two"),
    }
    iam.delete_instance_profile(InstanceProfileName="one")
    return steps | {"get-deleted-error": refused(iam.get_instance_profile, InstanceProfileName="one")}


@scenario("test_instance_profile_errors@TestInstanceProfileLifecycle")
def profile_errors(iam: Any) -> Steps:
    missing = {"InstanceProfileName": "nonexistent-profile"}
    return {
        "get-nonexistent-error": refused(iam.get_instance_profile, **missing),
        "create-profile-for-duplicate-test": iam.create_instance_profile(InstanceProfileName="one"),
        "create-duplicate-error": refused(iam.create_instance_profile, InstanceProfileName="one"),
        "delete-nonexistent-error": refused(iam.delete_instance_profile, **missing),
    }


@scenario("test_list_instance_profiles@TestInstanceProfileLifecycle")
def list_profiles(iam: Any) -> Steps:
    role(iam, "web", Description="not shown", Tags=[{"Key": "a", "Value": "b"}])
    iam.create_instance_profile(InstanceProfileName="one", Tags=[{"Key": "a", "Value": "b"}])
    iam.create_instance_profile(InstanceProfileName="two")
    iam.add_role_to_instance_profile(InstanceProfileName="one", RoleName="web")
    return {"list-instance-profiles": iam.list_instance_profiles()}


@scenario("test_list_instance_profiles_for_role@TestInstanceProfileLifecycle")
def list_profiles_for_role_with_path(iam: Any) -> Steps:
    return profiles_for_role(iam, {"Path": "/some/"})


@scenario("test_list_instance_profiles_for_role@TestInstanceProfileRoles")
def list_profiles_for_role(iam: Any) -> Steps:
    return profiles_for_role(iam, {})


def profiles_for_role(iam: Any, path: dict[str, str]) -> Steps:
    role(iam, "web")
    role(iam, "idle")
    for name in ("one", "two"):
        iam.create_instance_profile(InstanceProfileName=name, **path)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName="web")
    return {
        "list-for-role": iam.list_instance_profiles_for_role(RoleName="web"),
        "list-for-role-empty": iam.list_instance_profiles_for_role(RoleName="idle"),
    }


@scenario("test_list_instance_profiles_path_prefix@TestInstanceProfileLifecycle")
def profiles_below_a_path(iam: Any) -> Steps:
    iam.create_instance_profile(InstanceProfileName="one", Path="/first/")
    iam.create_instance_profile(InstanceProfileName="two", Path="/second/")
    return {
        "list-with-prefix": iam.list_instance_profiles(PathPrefix="/first/"),
        "list-empty-prefix": iam.list_instance_profiles(PathPrefix="/third/"),
    }


@scenario("test_add_remove_role_from_instance_profile@TestInstanceProfileRoles")
def add_and_remove(iam: Any) -> Steps:
    steps = {"create-profile": iam.create_instance_profile(InstanceProfileName="one"), "create-role": role(iam, "web")}
    both = {"InstanceProfileName": "one", "RoleName": "web"}
    iam.add_role_to_instance_profile(**both)
    steps["get-with-role"] = iam.get_instance_profile(InstanceProfileName="one")
    iam.remove_role_from_instance_profile(**both)
    return steps | {"get-without-role": iam.get_instance_profile(InstanceProfileName="one")}


@scenario("test_add_second_role_to_instance_profile_error@TestInstanceProfileRoles")
def second_role(iam: Any) -> Steps:
    iam.create_instance_profile(InstanceProfileName="one")
    role(iam, "web")
    role(iam, "other")
    iam.add_role_to_instance_profile(InstanceProfileName="one", RoleName="web")
    second = refused(iam.add_role_to_instance_profile, InstanceProfileName="one", RoleName="other")
    return {"add-second-role-error": second}


@scenario("test_delete_instance_profile_with_role_error@TestInstanceProfileRoles")
def delete_profile_with_role(iam: Any) -> Steps:
    steps = {"create-profile": iam.create_instance_profile(InstanceProfileName="one"), "create-role": role(iam, "web")}
    both = {"InstanceProfileName": "one", "RoleName": "web"}
    iam.add_role_to_instance_profile(**both)
    steps["delete-with-role-error"] = refused(iam.delete_instance_profile, InstanceProfileName="one")
    iam.remove_role_from_instance_profile(**both)
    iam.delete_instance_profile(InstanceProfileName="one")
    return steps | {"get-deleted-error": refused(iam.get_instance_profile, InstanceProfileName="one")}


@scenario("test_role_instance_profile_operations_errors@TestInstanceProfileRoles")
def operations_errors(iam: Any) -> Steps:
    add, remove = iam.add_role_to_instance_profile, iam.remove_role_from_instance_profile
    no_profile, no_role = "nonexistent-profile", "nonexistent-role"
    return {
        "create-profile": iam.create_instance_profile(InstanceProfileName="one"),
        "create-role": role(iam, "web"),
        "add-role-nonexistent-profile-error": refused(add, InstanceProfileName=no_profile, RoleName="web"),
        "add-nonexistent-role-error": refused(add, InstanceProfileName="one", RoleName=no_role),
        "remove-role-nonexistent-profile-error": refused(remove, InstanceProfileName=no_profile, RoleName="web"),
        "remove-nonexistent-role-error": refused(remove, InstanceProfileName="one", RoleName=no_role),
        "remove-unattached-role-error": refused(remove, InstanceProfileName="one", RoleName="web"),
        "list-profiles-nonexistent-role-error": refused(iam.list_instance_profiles_for_role, RoleName=no_role),
    }


@scenario("test_instance_profile_tag_lifecycle@TestInstanceProfileTags")
def profile_tags(iam: Any) -> Steps:
    one = {"InstanceProfileName": "one"}
    iam.create_instance_profile(**one)
    steps = {"list-tags-empty": iam.list_instance_profile_tags(**one)}
    iam.tag_instance_profile(**one, Tags=[{"Key": "MyKey", "Value": "myValue"}])
    steps["list-tags-after-tag"] = iam.list_instance_profile_tags(**one)
    steps["get-with-tags"] = iam.get_instance_profile(**one)
    iam.tag_instance_profile(**one, Tags=[{"Key": "MyKey2", "Value": "myValue2"}])
    steps["list-tags-two-tags"] = iam.list_instance_profile_tags(**one)
    iam.untag_instance_profile(**one, TagKeys=["MyKey"])
    steps["list-after-untag"] = iam.list_instance_profile_tags(**one)
    iam.untag_instance_profile(**one, TagKeys=["MyKey2"])
    return steps | {"list-tags-final-empty": iam.list_instance_profile_tags(**one)}


@scenario("test_instance_profile_create_with_tags@TestInstanceProfileTags")
def profile_made_with_tags(iam: Any) -> Steps:
    tags = [{"Key": "InitialKey", "Value": "InitialValue"}]
    return {
        "create-with-tags": iam.create_instance_profile(InstanceProfileName="one", Tags=tags),
        "get-with-initial-tags": iam.get_instance_profile(InstanceProfileName="one"),
    }


@scenario("test_instance_profile_tag_errors@TestInstanceProfileTags")
def profile_tag_errors(iam: Any) -> Steps:
    missing = {"InstanceProfileName": "nonexistent-profile"}
    return {
        "tag-nonexistent-error": refused(iam.tag_instance_profile, **missing, Tags=[{"Key": "a", "Value": "b"}]),
        "untag-nonexistent-error": refused(iam.untag_instance_profile, **missing, TagKeys=["a"]),
        "list-tags-nonexistent-error": refused(iam.list_instance_profile_tags, **missing),
    }


@scenario("test_get_account_authorization_details_filter_role@TestGetAccountAuthorizationDetails")
def details_of_roles(iam: Any) -> Steps:
    policy = iam.create_policy(PolicyName="own", PolicyDocument=json.dumps(POLICY))
    tags = [{"Key": "someotherkey", "Value": "someothervalue"}, {"Key": "somekey", "Value": "somevalue"}]
    made = role(iam, "web", Path="/my-path/")
    iam.tag_role(RoleName="web", Tags=tags)
    iam.attach_role_policy(RoleName="web", PolicyArn=policy["Policy"]["Arn"])
    iam.put_role_policy(RoleName="web", PolicyName="inline", PolicyDocument=json.dumps(POLICY))
    profile = iam.create_instance_profile(InstanceProfileName="one")
    iam.tag_instance_profile(InstanceProfileName="one", Tags=tags)
    iam.create_instance_profile(InstanceProfileName="empty")
    iam.add_role_to_instance_profile(InstanceProfileName="one", RoleName="web")
    return {"create-role": made, "create-instance-profile": profile, "role-filter-result": details(iam, "Role")}


@scenario("test_get_account_authorization_details_filter_local_managed_policy@TestGetAccountAuthorizationDetails")
def details_of_policies(iam: Any) -> Steps:
    iam.create_policy(PolicyName="own", PolicyDocument=json.dumps(POLICY))
    role(iam, "web")
    return {"local-managed-policy-filter-result": details(iam, "LocalManagedPolicy")}


@scenario("test_get_account_authorization_details_filter_user@TestGetAccountAuthorizationDetails")
def details_of_users(iam: Any) -> Steps:
    policy = iam.create_policy(PolicyName="own", PolicyDocument=json.dumps(POLICY))["Policy"]["Arn"]
    tags = [{"Key": "somekey", "Value": "somevalue"}, {"Key": "someotherkey", "Value": "someothervalue"}]
    iam.create_user(UserName="kim", Tags=tags)
    iam.create_group(GroupName="staff")
    iam.add_user_to_group(UserName="kim", GroupName="staff")
    iam.attach_user_policy(UserName="kim", PolicyArn=policy)
    iam.put_user_policy(UserName="kim", PolicyName="inline", PolicyDocument=json.dumps(POLICY))
    return {"user-filter-result": details(iam, "User")}


@scenario("test_get_account_authorization_details_filter_group@TestGetAccountAuthorizationDetails")
def details_of_groups(iam: Any) -> Steps:
    policy = iam.create_policy(PolicyName="own", PolicyDocument=json.dumps(POLICY))["Policy"]["Arn"]
    iam.create_group(GroupName="staff")
    iam.attach_group_policy(GroupName="staff", PolicyArn=policy)
    iam.put_group_policy(GroupName="staff", PolicyName="inline", PolicyDocument=json.dumps(POLICY))
    return {"group-filter-result": details(iam, "Group")}


@scenario("test_get_account_authorization_details_with_inline_policies@TestGetAccountAuthorizationDetails")
def details_with_inline_policies(iam: Any) -> Steps:
    document = json.dumps(POLICY)
    iam.create_user(UserName="kim")
    iam.put_user_policy(UserName="kim", PolicyName="inline", PolicyDocument=document)
    iam.create_group(GroupName="staff")
    iam.put_group_policy(GroupName="staff", PolicyName="inline", PolicyDocument=document)
    made = role(iam, "web")
    iam.put_role_policy(RoleName="web", PolicyName="inline", PolicyDocument=document)
    return {"create-role": made, "inline-policies-result": details(iam, "User", "Group", "Role")}


@scenario("test_get_account_authorization_details_with_tags@TestGetAccountAuthorizationDetails")
def details_with_tags(iam: Any) -> Steps:
    tags = [{"Key": "environment", "Value": "test"}, {"Key": "team", "Value": "platform"}]
    iam.create_user(UserName="kim", Tags=tags)
    role(iam, "web", Tags=tags)
    return {"tags-result": details(iam, "User", "Role")}


@scenario("test_get_account_authorization_details_no_filter@TestGetAccountAuthorizationDetails")
def details_of_all(iam: Any) -> Steps:
    iam.create_user(UserName="kim")
    iam.create_group(GroupName="staff")
    iam.create_policy(PolicyName="own", PolicyDocument=json.dumps(POLICY))
    return {"create-role": role(iam, "web"), "no-filter-result": details(iam)}


def details(iam: Any, *kinds: str) -> Any:
    found = iam.get_account_authorization_details(Filter=list(kinds))
    assert found.pop("IsTruncated") is False
    del found["ResponseMetadata"]
    return found


@scenario("test_role_errors@TestRoleLifecycle")
def role_errors(iam: Any) -> Steps:
    missing = {"RoleName": "test-nonexistent-role"}
    return {
        "get-role-error": refused(iam.get_role, **missing),
        "update-role-error": refused(iam.update_role, **missing),
        "delete-role-error": refused(iam.delete_role, **missing),
        "create-role-for-duplicate-test": role(iam, "one"),
        "create-role-already-exists-error": refused(
            iam.create_role, RoleName="one", AssumeRolePolicyDocument=json.dumps(TRUST)
        ),
    }


@scenario("test_create_role_defaults@TestRoleLifecycle")
def role_defaults(iam: Any) -> Steps:
    return {"create-role-response": role(iam, "one"), "get-role-response": iam.get_role(RoleName="one")}


@scenario("test_create_describe_role@TestRoleLifecycle")
def described_role(iam: Any) -> Steps:
    return {
        "create-role-result": role(iam, "one", Path="/some/"),
        "get-role-result": iam.get_role(RoleName="one"),
        "list-roles-result": iam.list_roles(PathPrefix="/some/"),
    }


@scenario("test_delete_role_with_attached_policy@TestRoleLifecycle")
def delete_role_with_policy(iam: Any) -> Steps:
    policy = iam.create_policy(PolicyName="own", PolicyDocument=json.dumps(POLICY))["Policy"]["Arn"]
    steps = {"create-role": role(iam, "one")}
    iam.attach_role_policy(RoleName="one", PolicyArn=policy)
    steps["delete-role-with-policy-error"] = refused(iam.delete_role, RoleName="one")
    iam.detach_role_policy(RoleName="one", PolicyArn=policy)
    iam.delete_role(RoleName="one")
    return steps | {"get-role-after-deletion-error": refused(iam.get_role, RoleName="one")}


@scenario("test_delete_role_with_inline_policy@TestRoleLifecycle")
def delete_role_with_inline(iam: Any) -> Steps:
    steps = {"create-role": role(iam, "one")}
    iam.put_role_policy(RoleName="one", PolicyName="inline", PolicyDocument=json.dumps(POLICY))
    steps["delete-role-with-inline-policy-error"] = refused(iam.delete_role, RoleName="one")
    iam.delete_role_policy(RoleName="one", PolicyName="inline")
    iam.delete_role(RoleName="one")
    return steps | {"get-role-after-deletion-error": refused(iam.get_role, RoleName="one")}


@scenario("test_delete_role_with_instance_profile@TestRoleLifecycle")
def delete_role_in_profile(iam: Any) -> Steps:
    steps = {
        "create-role": role(iam, "one"),
        "create-instance-profile": iam.create_instance_profile(InstanceProfileName="p"),
    }
    both = {"InstanceProfileName": "p", "RoleName": "one"}
    iam.add_role_to_instance_profile(**both)
    steps["delete-role-with-instance-profile-error"] = refused(iam.delete_role, RoleName="one")
    iam.remove_role_from_instance_profile(**both)
    iam.delete_role(RoleName="one")
    return steps | {"get-role-after-deletion-error": refused(iam.get_role, RoleName="one")}


@scenario("test_update_role@TestRoleLifecycle")
def update_role(iam: Any) -> Steps:
    role(iam, "one", Description="initial description")
    steps = {
        "get-role-initial": iam.get_role(RoleName="one"),
        "update-role-response": iam.update_role(
            RoleName="one", Description="updated description", MaxSessionDuration=7200
        ),
        "get-role-after-update": iam.get_role(RoleName="one"),
        "update-role-description-response": iam.update_role_description(
            RoleName="one", Description="description via update_role_description"
        ),
        "get-role-after-desc-update": iam.get_role(RoleName="one"),
        "update-role-defaults-response": iam.update_role(RoleName="one"),
    }
    return steps | {"get-role-after-defaults": iam.get_role(RoleName="one")}


@scenario("test_update_assume_role_policy_errors@TestRoleLifecycle")
def trust_errors(iam: Any) -> Steps:
    role(iam, "one")

    def update(**statement: Any) -> Any:
        document = json.dumps({"Version": "2012-10-17", "Statement": [TRUST["Statement"][0] | statement]})  # type: ignore[operator,index]
        return refused(iam.update_assume_role_policy, RoleName="one", PolicyDocument=document)

    return {
        "invalid-json-error": refused(iam.update_assume_role_policy, RoleName="one", PolicyDocument="no json"),
        "invalid-action-error": update(Action="s3:ListBucket"),
        "resource-field-error": update(Resource="*"),
    }


@scenario("test_update_assume_role_policy@TestRoleLifecycle")
def update_trust(iam: Any) -> Steps:
    statement = {"Effect": "Allow", "Principal": {"Service": ["ec2.amazonaws.com"]}, "Action": ["sts:AssumeRole"]}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return {
        "created_role": iam.create_role(RoleName="one", AssumeRolePolicyDocument=document),
        "updated_policy": iam.update_assume_role_policy(RoleName="one", PolicyDocument=json.dumps(TRUST)),
    }


@scenario("test_list_roles_path_prefix@TestRoleLifecycle")
def roles_below_a_path(iam: Any) -> Steps:
    return {
        "create-role-without-path": role(iam, "one"),
        "create-role-with-path": role(iam, "two", Path="/some/"),
        "list-roles-with-path-prefix": iam.list_roles(PathPrefix="/some/"),
        "list-roles-empty-path-prefix": iam.list_roles(PathPrefix="/other/"),
    }


@scenario("test_role_inline_policy_lifecycle@TestRoleInlinePolicies")
def inline_policies(iam: Any) -> Steps:
    role(iam, "one")
    steps = {}
    for number in ("1", "2"):
        iam.put_role_policy(RoleName="one", PolicyName=f"p{number}", PolicyDocument=json.dumps(INLINE))
        steps[f"get-role-policy-{number}"] = iam.get_role_policy(RoleName="one", PolicyName=f"p{number}")
        steps[f"list-role-policies-{number}"] = iam.list_role_policies(RoleName="one")
    iam.delete_role_policy(RoleName="one", PolicyName="p1")
    return steps | {
        "list-role-policies-after-delete": iam.list_role_policies(RoleName="one"),
        "get-deleted-policy-error": refused(iam.get_role_policy, RoleName="one", PolicyName="p1"),
        "delete-nonexistent-policy-error": refused(iam.delete_role_policy, RoleName="one", PolicyName="p1"),
    }


@scenario("test_role_inline_policy_errors@TestRoleInlinePolicies")
def inline_policy_errors(iam: Any) -> Steps:
    role(iam, "one")
    missing = {"RoleName": "nonexistent-role", "PolicyName": "any"}
    own = {"RoleName": "one", "PolicyName": "non-existent-policy"}
    return {
        "get-nonexistent-policy-error": refused(iam.get_role_policy, **own),
        "delete-nonexistent-policy-error": refused(iam.delete_role_policy, **own),
        "put-policy-nonexistent-role-error": refused(iam.put_role_policy, **missing, PolicyDocument=json.dumps(POLICY)),
        "get-policy-nonexistent-role-error": refused(iam.get_role_policy, **missing),
        "delete-policy-nonexistent-role-error": refused(iam.delete_role_policy, **missing),
    }


@scenario("test_role_managed_policy_lifecycle@TestRoleManagedPolicies")
def managed_policies(iam: Any) -> Steps:
    policy = iam.create_policy(PolicyName="own", PolicyDocument=json.dumps(POLICY))["Policy"]["Arn"]
    role(iam, "one")
    steps = {"list-attached-policies-empty": iam.list_attached_role_policies(RoleName="one")}
    iam.attach_role_policy(RoleName="one", PolicyArn=policy)
    steps["list-attached-policies-1"] = iam.list_attached_role_policies(RoleName="one")
    iam.detach_role_policy(RoleName="one", PolicyArn=policy)
    return steps | {"list-attached-policies-after-detach": iam.list_attached_role_policies(RoleName="one")}


@scenario("test_role_managed_policy_errors@TestRoleManagedPolicies")
def managed_policy_errors(iam: Any) -> Steps:
    policy = iam.create_policy(PolicyName="own", PolicyDocument=json.dumps(POLICY))["Policy"]["Arn"]
    role(iam, "one")
    attach = {"RoleName": "one"}
    return {
        "detach-not-attached-policy-error": refused(iam.detach_role_policy, **attach, PolicyArn=policy),
        "non-existent-malformed-policy-arn": refused(
            iam.attach_role_policy, **attach, PolicyArn="longpolicynamebutnoarn"
        ),
        "attach-nonexistent-policy-error": refused(
            iam.attach_role_policy, **attach, PolicyArn="arn:aws:iam::111111111111:policy/nonexistent-policy"
        ),
    }


@scenario("test_attach_detach_aws_managed_policy_role@TestRoleManagedPolicies")
def aws_managed_policies(iam: Any) -> Steps:
    role(iam, "one")
    stem = "arn:aws:iam::aws:policy"
    arn = f"{stem}/service-role/AWSLambdaBasicExecutionRole"
    for policy in (arn, f"{stem}/service-role/AmazonEC2RoleforSSM"):
        iam.attach_role_policy(RoleName="one", PolicyArn=policy)
    both = iam.list_attached_role_policies(RoleName="one")
    iam.detach_role_policy(RoleName="one", PolicyArn=arn)
    return {
        "list-attached-2": both,
        "list-attached-after-detach": iam.list_attached_role_policies(RoleName="one"),
        "detach-already-detached-error": refused(iam.detach_role_policy, RoleName="one", PolicyArn=arn),
        "detach-nonexistent-policy-error": refused(
            iam.detach_role_policy, RoleName="one", PolicyArn="arn:aws:iam::aws:policy/Nonexistent"
        ),
    }


@scenario("test_role_with_tags@TestRoleTags")
def role_made_with_tags(iam: Any) -> Steps:
    return {
        "create-role-response": role(iam, "one", Path="/role-with-tags/", Tags=[{"Key": "test", "Value": "value"}]),
        "get-role-response": iam.get_role(RoleName="one"),
        "list-role-response": iam.list_roles(PathPrefix="/role-with-tags/"),
        "create-role-empty-tag-value": role(iam, "two", Tags=[{"Key": "emptykey", "Value": ""}]),
        "list-role-tags-empty-value": iam.list_role_tags(RoleName="two"),
    }


@scenario("test_role_tag_operations@TestRoleTags")
def role_tags(iam: Any) -> Steps:
    one = {"RoleName": "one"}
    role(iam, "one")
    steps = {"get-role-no-tags": iam.get_role(**one)}
    iam.tag_role(
        **one, Tags=[{"Key": "someotherkey", "Value": "someothervalue"}, {"Key": "somekey", "Value": "somevalue"}]
    )
    steps |= {"get-role-with-tags": iam.get_role(**one), "list-role-tags": iam.list_role_tags(**one)}
    iam.tag_role(**one, Tags=[{"Key": "somekey", "Value": "updatedvalue"}])
    steps["list-role-tags-after-update"] = iam.list_role_tags(**one)
    iam.tag_role(**one, Tags=[{"Key": "somekey", "Value": ""}])
    steps["list-role-tags-empty-value"] = iam.list_role_tags(**one)
    iam.untag_role(**one, TagKeys=["somekey"])
    steps["list-role-tags-after-untag"] = iam.list_role_tags(**one)
    iam.untag_role(**one, TagKeys=["someotherkey"])
    steps["list-role-tags-empty"] = iam.list_role_tags(**one)
    iam.tag_role(**one, Tags=[{"Key": "somekey", "Value": "somevalue"}])
    steps["list-role-tags-before-casing-update"] = iam.list_role_tags(**one)
    iam.tag_role(**one, Tags=[{"Key": "Somekey", "Value": "updatedvalue"}])
    return steps | {"list-role-tags-after-casing-update": iam.list_role_tags(**one)}


@scenario("test_role_tag_errors@TestRoleTags")
def role_tag_errors(iam: Any) -> Steps:
    missing, one = {"RoleName": "test-nonexistent-role"}, {"RoleName": "one"}
    new = {"RoleName": "new", "AssumeRolePolicyDocument": json.dumps(TRUST)}
    many = [{"Key": f"k{number}", "Value": ""} for number in range(51)]
    wrong = {
        "duplicate-tags": [{"Key": "a", "Value": ""}, {"Key": "a", "Value": "b"}],
        "duplicate-tags-different-case": [{"Key": "a", "Value": ""}, {"Key": "A", "Value": "b"}],
        "tag-key-too-long": [{"Key": "a" * 129, "Value": ""}],
        "tag-value-too-long": [{"Key": "a", "Value": "b" * 257}],
        "tag-invalid-char": [{"Key": "a\u00b6", "Value": ""}],
    }
    steps = {
        "tag-nonexistent-role-error": refused(iam.tag_role, **missing, Tags=[{"Key": "a", "Value": "b"}]),
        "untag-nonexistent-role-error": refused(iam.untag_role, **missing, TagKeys=["a"]),
        "list-tags-nonexistent-role-error": refused(iam.list_role_tags, **missing),
        "create-role-too-many-tags": refused(iam.create_role, **new, Tags=many),
        "create-role": role(iam, "one"),
        "tag-role-too-many-tags": refused(iam.tag_role, **one, Tags=many),
        "untag-role-too-many-keys": refused(iam.untag_role, **one, TagKeys=[tag["Key"] for tag in many]),
        "untag-role-key-too-long": refused(iam.untag_role, **one, TagKeys=["a" * 129]),
        "untag-role-invalid-char": refused(iam.untag_role, **one, TagKeys=["a\u00b6"]),
    }
    steps |= {f"create-role-{name}": refused(iam.create_role, **new, Tags=tags) for name, tags in wrong.items()}
    return steps | {f"tag-role-{name}": refused(iam.tag_role, **one, Tags=tags) for name, tags in wrong.items()}


@scenario("test_list_roles_pagination@TestRolePagination")
def role_pages(iam: Any) -> Steps:
    steps = {}
    for number in range(5):
        more = {"Description": f"Role {number}"} if number % 2 == 0 else {}
        steps[f"create-role-{number}"] = role(iam, f"r{number}", Path="/pages/", **more)
    first = iam.list_roles(PathPrefix="/pages/", MaxItems=2)
    return steps | {
        "list-roles-with-path": iam.list_roles(PathPrefix="/pages/"),
        "list-roles-max-items": first,
        "list-roles-with-marker": iam.list_roles(PathPrefix="/pages/", Marker=first["Marker"]),
        "list-roles-empty": iam.list_roles(PathPrefix="/none/"),
    }


@scenario("test_role_permissions_boundary_lifecycle@TestRolePermissionsBoundary")
def boundaries(iam: Any) -> Steps:
    policy = iam.create_policy(PolicyName="own", PolicyDocument=json.dumps(POLICY))["Policy"]["Arn"]
    described = {"Description": "Role with permissions boundary", "PermissionsBoundary": policy}
    steps = {
        "create-role-with-boundary": role(iam, "one", **described),
        "get-role-with-boundary": iam.get_role(RoleName="one"),
    }
    iam.delete_role_permissions_boundary(RoleName="one")
    steps["get-role-no-boundary"] = iam.get_role(RoleName="one")
    steps["list-roles-without-boundary"] = roles_only(iam)
    iam.put_role_permissions_boundary(RoleName="one", PermissionsBoundary=policy)
    steps["get-role-boundary-restored"] = iam.get_role(RoleName="one")
    return steps | {"list-roles-with-boundary": roles_only(iam)}


def roles_only(iam: Any) -> Any:
    return {"Roles": iam.list_roles()["Roles"]}


@scenario("test_role_permissions_boundary_errors@TestRolePermissionsBoundary")
def boundary_errors(iam: Any) -> Steps:
    new = {"RoleName": "new", "AssumeRolePolicyDocument": json.dumps(TRUST)}
    no_policy = "arn:aws:iam::111111111111:not_a_policy/invalid"
    missing = "arn:aws:iam::111111111111:policy/nonexistent-policy"
    steps = {"create-role": role(iam, "one")}
    put = iam.put_role_permissions_boundary
    return steps | {
        "put-invalid-boundary-error": refused(put, RoleName="one", PermissionsBoundary=no_policy),
        "create-role-invalid-boundary-error": refused(iam.create_role, **new, PermissionsBoundary=no_policy),
        "put-nonexistent-policy-error": refused(put, RoleName="one", PermissionsBoundary=missing),
        "create-role-nonexistent-policy-error": refused(iam.create_role, **new, PermissionsBoundary=missing),
        "put-boundary-nonexistent-role-error": refused(put, RoleName="nonexistent-role", PermissionsBoundary=missing),
    }


def test_a_difference_is_seen_and_a_placeholder_is_not_one() -> None:
    recorded = {"Name": "<name:1>", "Text": "The role <name:1> is gone.", "Tags": [], "Roles": [{"Path": "/"}]}
    same = {"Name": "web", "Text": "The role web is gone.", "Tags": [], "Roles": [{"Path": "/"}]}
    assert list(differences(recorded, same)) == []
    other = {"Text": "The role web was gone.", "Tags": [1], "Roles": [{"Path": "/a/"}], "New": 1}
    assert len(list(differences(recorded, same | other))) == 4
    assert list(differences({"Name": "a"}, {})) == ["/Name: only recorded"]


@pytest.mark.parametrize("test", sorted(SCENARIOS))
def test_the_same_steps_get_the_answers_that_aws_gave(test: str) -> None:
    if not recordings():
        pytest.skip("the recordings of AWS are not here")
    with PracticeAccount(account_id="111111111111") as account:
        steps = SCENARIOS[test](account.session().client("iam"))
    recorded = recordings()[test]
    assert steps.keys() <= recorded.keys(), "a step that was not recorded"
    found = []
    for name, answer in steps.items():
        one, other = dict(recorded[name]), answer
        if "ResponseMetadata" in one:
            other = bare(answer)
        else:
            other.pop("ResponseMetadata", None)
        found += differences(one, other, name)
    assert found == []

"""An account of plain moto, as other projects run it for their tests: nothing false is said of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
import pytest
from accounts import EC2, TRUST
from builders import tag_list
from moto.server import ThreadedMotoServer

import iamframe
from iamframe.sources import client

LAMBDA = TRUST % "lambda.amazonaws.com"
OPS = {"Owner": "ops", "Env": "prod"}
INSTANCE, TEMPLATE, OLD_VERSION, CONFIGURATION, BATCH, NOTHING = (
    "an instance",
    "a template",
    "an old version of a template",
    "a launch configuration",
    "a Batch environment",
    "nothing",
)
# Profile with its path and tags, role (path before its name) with its tags, what uses the profile, and the checks that
# name the one or the other.
ROWS: list[tuple[str, str, dict[str, str], str, dict[str, str], str, set[str]]] = [
    *((f"web-{n}", "/", OPS, f"/web-{n}", OPS, INSTANCE, set()) for n in range(6)),
    *((f"api-{n}", "/team/", OPS, f"/team/api-{n}", OPS, TEMPLATE, set()) for n in range(4)),
    ("old", "/", OPS, "/old", OPS, OLD_VERSION, set()),
    ("Configured", "/", OPS, "/Configured", OPS, CONFIGURATION, set()),
    ("batch", "/", OPS, "/batch", OPS, BATCH, set()),
    ("empty", "/", OPS, "", {}, NOTHING, {"empty_profiles"}),
    ("bare-empty", "/", {}, "", {}, NOTHING, {"empty_profiles", "untagged_profiles"}),
    ("idle", "/", OPS, "/idle", OPS, NOTHING, {"unreferenced_profiles"}),
    ("idle-at-path", "/team/", OPS, "/team/idle-at-path", OPS, NOTHING, {"unreferenced_profiles"}),
    ("bare", "/", {}, "/bare", OPS, INSTANCE, {"untagged_profiles"}),
    ("bare-role", "/", OPS, "/bare-role", {}, INSTANCE, {"untagged_roles"}),
    ("both-bare", "/", {}, "/both-bare", {}, INSTANCE, {"untagged_profiles", "untagged_roles"}),
    ("differs", "/", OPS, "/differs", OPS | {"Env": "test"}, TEMPLATE, {"tag_differences"}),
    ("Cased", "/", OPS, "/cased", OPS, TEMPLATE, {"name_mismatches"}),
    ("db-profile", "/", OPS, "/db-role", OPS, TEMPLATE, {"name_mismatches"}),
    ("prod-db-123456789012", "/", OPS, "/dev-web-123456789012", OPS, TEMPLATE, {"name_mismatches"}),
    ("pathless", "/", OPS, "/cloud9/pathless", OPS, INSTANCE, {"path_mismatches"}),
    ("job", "/", OPS, "/job", OPS, TEMPLATE, {"profiles_without_ec2_trust"}),
    ("", "", {}, "/free", OPS, NOTHING, {"ec2_roles_without_profile"}),
    ("", "", {}, "/function", OPS, NOTHING, set()),
]
WITHOUT_EC2 = {"/job", "/function"}
boto = cache(boto3.client)


@pytest.fixture(scope="module")
def inventory() -> Iterator[iamframe.Inventory]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "eu-central-2",
            "NO_PROXY": host,
        }.items():
            patch.setenv(name, value)
        # moto fails at services that it does not know. Ten attempts at each would take twenty seconds.
        patch.setitem(client._PATIENCE, "retries", {"mode": "standard", "total_max_attempts": 2})
        fill()
        yield iamframe.load_account(boto3.Session(), regions=["eu-central-2"], progress=False)
    server.stop()


def fill() -> None:
    iam = boto("iam")
    for profile, path, tags, role, role_tags, use, _ in ROWS:
        where, _, name = role.rpartition("/")
        if role:
            trust = LAMBDA if role in WITHOUT_EC2 else EC2
            iam.create_role(RoleName=name, Path=f"{where}/", AssumeRolePolicyDocument=trust)
            if role_tags:
                iam.tag_role(RoleName=name, Tags=tag_list(role_tags))
        if not profile:
            continue
        given: dict[str, Any] = {"Tags": tag_list(tags)} if tags else {}
        iam.create_instance_profile(InstanceProfileName=profile, Path=path, **given)
        if role:
            iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=name)
        use_it(profile, use)


def use_it(profile: str, use: str) -> None:
    ec2 = boto("ec2")
    image = {"ImageId": "ami-12c6146b"}
    named = {"IamInstanceProfile": {"Name": profile}}
    if use == INSTANCE:
        ec2.run_instances(MinCount=1, MaxCount=1, InstanceType="t3.micro", **image, **named)
    elif use in (TEMPLATE, OLD_VERSION):
        name = f"t-{profile}"
        ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=named if use == TEMPLATE else image)
        for data in (named, image) if use == OLD_VERSION else ():
            ec2.create_launch_template_version(LaunchTemplateName=name, LaunchTemplateData=data)
    elif use == CONFIGURATION:
        boto("autoscaling").create_launch_configuration(
            LaunchConfigurationName=profile, InstanceType="t3.micro", IamInstanceProfile=profile, **image
        )
    elif use == BATCH:
        iam = boto("iam")
        iam.create_role(RoleName="service", AssumeRolePolicyDocument=LAMBDA, Tags=tag_list(OPS))
        subnets = [one["SubnetId"] for one in ec2.describe_subnets()["Subnets"][:1]]
        groups = [one["GroupId"] for one in ec2.describe_security_groups()["SecurityGroups"][:1]]
        arn = iam.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]["Arn"]
        compute = {"type": "EC2", "minvCpus": 0, "maxvCpus": 4, "instanceTypes": ["m5.large"], "subnets": subnets}
        boto("batch").create_compute_environment(
            computeEnvironmentName="idle",
            type="MANAGED",
            serviceRole="arn:aws:iam::123456789012:role/service",
            computeResources=compute | {"securityGroupIds": groups, "instanceRole": arn},
        )


def test_what_is_found_is_what_was_made_so(inventory: iamframe.Inventory) -> None:
    expected: dict[str, set[str]] = defaultdict(set)
    of_roles = {"untagged_roles", "ec2_roles_without_profile"}
    for profile, _, _, role, _, _, checks in ROWS:
        for check in checks:
            expected[check].add(role.rpartition("/")[2] if check in of_roles else profile)
    found: dict[str, set[str]] = defaultdict(set)
    result = iamframe.run_checks(inventory)
    for check, name in zip(result.findings["check"], result.findings["resource_name"], strict=True):
        found[check].add(name)
    assert found == expected
    assert result.coverage["status"][result.coverage["check"] == "empty_profiles"].tolist() == ["complete"]


def test_an_instance_profile_id_that_is_an_associations_id_is_no_other_profile(inventory: iamframe.Inventory) -> None:
    references = inventory.references
    of_instances = references[references["consumer_type"] == "instance"]
    assert set(of_instances["profile_arn"].str.rpartition("/")[2]) == {row[0] for row in ROWS if row[5] == INSTANCE}
